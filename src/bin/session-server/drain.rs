//! The end: serve, drain, report, close.
//!
//! While it drains the port stays open, so that `/ready` says so, what runs can be followed and cancelled, and
//! whoever asks for a new turn is told 503. When the supervisor has ended, what is still being answered has the
//! rest of the deadline.

use std::error::Error;
use std::future::IntoFuture as _;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use session_supervisor::{Clock as _, DrainEnd, ShutdownOptions, ShutdownReport};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::chain;
use crate::routes::router;
use crate::signals::Signals;
use crate::telemetry::{complain, say};

/// How long answers have at least to go out, after everything has ended.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Serves until a signal comes, then drains; answers what to exit with. A second signal ends it at once.
pub(crate) async fn until_asked(
    app: App,
    listener: TcpListener,
    mut signals: Signals,
) -> Result<u8, Box<dyn Error>> {
    let closing = CancellationToken::new();
    let listener = listener.tap_io(|connection| {
        // What is streamed goes out as it comes.
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "a connection that waits before it sends");
        }
    });
    let serving = axum::serve(listener, router(app.clone()));
    let serving = serving.with_graceful_shutdown(closing.clone().cancelled_owned()).into_future();
    let mut serving = std::pin::pin!(serving);
    let asked = tokio::select! {
        served = &mut serving => return Err(served.err().map_or_else(|| "the port was closed".into(), Into::into)),
        asked = signals.next() => asked,
    };
    say(&format!(
        "{asked:?}: draining for {} at most",
        humantime::format_duration(app.settings.drain_timeout)
    ));
    let ending = async {
        let began = app.clock.now().moment;
        let clean = Box::pin(drain(&app)).await;
        closing.cancel();
        app.turns.close();
        let left = app.settings.drain_timeout.saturating_sub(app.clock.now().moment.since(began));
        // Turns that were deleted are nobody's any more but their clients'.
        let answered = tokio::time::timeout(left.max(LAST_ANSWERS), app.turns.wait()).await;
        clean && answered.is_ok()
    };
    let ended = async {
        let mut ending = std::pin::pin!(ending);
        let clean = tokio::select! {
            clean = &mut ending => clean,
            // It has nobody left to serve; what is not over is waited for.
            _ = &mut serving => return ending.await,
        };
        // What is left are connections on which an answer is still being read.
        let closed = tokio::time::timeout(LAST_ANSWERS, serving).await;
        clean && closed.is_ok()
    };
    tokio::select! {
        clean = ended => Ok(u8::from(!clean)),
        again = signals.next() => {
            complain("a second signal: leaving at once");
            Ok(again.code())
        }
    }
}

/// Ends the supervisor, and reports; whether everything has ended and is stored.
async fn drain(app: &App) -> bool {
    let options = ShutdownOptions::within(app.settings.drain_timeout);
    match app.supervisor.shutdown(options).await {
        Ok(report) => {
            tell(&report);
            report.clean
        }
        Err(error) => {
            complain(&format!("the store was not closed in good order: {}", chain(&error)));
            false
        }
    }
}

/// Prints what a shutdown did.
fn tell(report: &ShutdownReport) {
    for session in &report.sessions {
        for turn in &session.turns {
            let how = match turn.end {
                DrainEnd::Finished => "finished",
                DrainEnd::Cancelled => "cancelled",
                DrainEnd::Aborted => "aborted",
                DrainEnd::Fenced | DrainEnd::Excepted => "ended over its holder's head",
                _ => "left open",
            };
            let outcome = turn.outcome.map_or("none", session_supervisor::TurnOutcome::as_str);
            say(&format!("session {}: turn {}: {how}, outcome {outcome}", session.id, turn.stream));
        }
    }
    let clean = if report.clean { "clean" } else { "not clean" };
    let turns: usize = report.sessions.iter().map(|session| session.turns.len()).sum();
    let took = Duration::from_millis(u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX));
    say(&format!(
        "drained in {}: {turns} turns, {} told to end; {clean}",
        humantime::format_duration(took),
        report.told
    ));
}
