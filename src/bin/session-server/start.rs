//! From the settings to an open port. The port opens last, when recovery is done.

use std::error::Error;
use std::time::Duration;

use session_supervisor::{MemoryStore, SqliteOptions, SqliteStore, Supervisor, SupervisorBuilder};
use tokio::net::TcpListener;

use crate::app::App;
use crate::drain;
use crate::records::Exchange;
use crate::settings::{Settings, StoreAt};
use crate::signals::Signals;
use crate::telemetry::{self, say};
use crate::upstream::Upstream;

/// How often what was measured is put together, so that it does not pile up where nobody asks for it.
const UPKEEP: Duration = Duration::from_secs(5);

/// Serves until it is asked to end; answers what to exit with.
pub(crate) async fn serve(settings: Settings) -> Result<u8, Box<dyn Error>> {
    let mut signals = Signals::new()?;
    let metrics = telemetry::record(&settings)?;
    let upstream = Upstream::new(&settings)?;
    let builder = Supervisor::builder().config(settings.library.clone());
    // Large, and awaited once.
    let starting = Box::pin(async {
        let builder = store(builder, &settings.store).await?;
        Ok::<_, Box<dyn Error>>(builder.start().await?)
    });
    // A start may take long, and nobody has to wait for it to end the process.
    let supervisor = tokio::select! {
        started = starting => started?,
        asked = signals.next() => return Ok(asked.code()),
    };
    told(&supervisor);
    let listener = TcpListener::bind(settings.listen).await;
    let listener =
        listener.map_err(|error| format!("listening on {}: {error}", settings.listen))?;
    let address = listener.local_addr()?;
    let open = settings.token.is_none();
    let app = App::new(supervisor, upstream, settings, metrics);
    if open {
        say("no token: listening on loopback only, for requests that name this machine");
    }
    say(&format!("listening on http://{address}, in front of {}", app.settings.upstream));
    let upkeep = async {
        loop {
            tokio::time::sleep(UPKEEP).await;
            app.metrics.run_upkeep();
        }
    };
    tokio::select! {
        ended = Box::pin(drain::until_asked(app.clone(), listener, signals)) => ended,
        () = upkeep => Ok(0),
    }
}

/// Opens the store that the settings name.
async fn store(
    builder: SupervisorBuilder<Exchange>,
    store: &StoreAt,
) -> Result<SupervisorBuilder<Exchange>, Box<dyn Error>> {
    Ok(match store {
        StoreAt::Memory => builder.store(MemoryStore::new()),
        StoreAt::Sqlite(path) => {
            builder.store(SqliteStore::open(path, SqliteOptions::default()).await?)
        }
    })
}

/// Says what was found of an earlier run.
fn told(supervisor: &Supervisor<Exchange>) {
    let found = supervisor.recovery();
    let how =
        if found.last_run.is_crash() { "; the last run had not ended in good order" } else { "" };
    say(&format!(
        "{} sessions, {} turns settled that were cut off{how}",
        found.found,
        found.settled.len()
    ));
    for damaged in &found.damaged {
        tracing::warn!(damaged, "found in the store");
    }
}
