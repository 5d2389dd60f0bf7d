//! A bot that is restarted, in every way there is: from a chat, by a signal, and by a crash.
//!
//! Run it:
//!
//! ```text
//! cargo run --example restart
//! ```
//!
//! You will see four runs on one file. The first is ended by somebody who writes `/restart`: the turn that
//! does it is left out, and everybody else gets the reply that is under way. The second crashes in the
//! middle of a reply; the third is told so, and does the reply over. It is ended by `SIGTERM`, which takes
//! the same path as the chat command did, so that nothing is cut off by it either. The fourth finds nothing
//! to be done.
#![allow(clippy::print_stdout, reason = "it shows something")]

use std::path::Path;
use std::time::Duration;

use session_supervisor::{
    ChatMessage, CommitOutcome, LastRun, Session, SessionKey, ShutdownOptions, ShutdownReport,
    SqliteOptions, SqliteStore, Store, StoreError, Supervisor, Turn,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long replies may take that are under way.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bot.db");
    let ada = SessionKey::builder("irc").user("ada").build()?;
    let eve = SessionKey::builder("irc").user("eve").build()?;

    let (supervisor, _store) = start(&file).await?;
    let reply = replies(&supervisor.open(&ada).await?, "tell me something long").await?;
    let command = supervisor.open(&eve).await?;
    let bot = supervisor.clone();
    let input = ChatMessage::user("/restart");
    let restart = command.run(&input, (), |turn| restart(bot, turn)).await?;
    told("a /restart", &restart.await??);
    println!("  ada got her reply: {}", reply.await.is_ok());

    let (supervisor, store) = start(&file).await?;
    let turn = supervisor.begin(&ada, &ChatMessage::user("and now?"), ()).await?;
    turn.emit("well, ")?;
    // What a crash leaves: the kernel takes the file away, and nobody tidies up.
    store.close().await?;
    Box::leak(Box::new((supervisor, turn)));
    println!("ended by a crash");

    let (supervisor, _store) = start(&file).await?;
    for lost in supervisor.recovery().resumable() {
        let found = supervisor.look_up(&lost.session).await?;
        let Some(session) = found.live() else { continue };
        let turn = session.retry(1, ()).await?;
        let outcome = turn.commit(&ChatMessage::assistant("well, now")).await?;
        let kept = matches!(outcome, CommitOutcome::Committed { .. });
        println!("  done over, in the same session: {}", kept && session.id() == &lost.session);
    }
    let reply = replies(&supervisor.open(&ada).await?, "goodbye").await?;
    let signal = signal();
    println!("  hears {}", signal.await?);
    told("a signal", &supervisor.shutdown(PATIENCE).await?);
    println!("  ada got her reply: {}", reply.await.is_ok());

    let (supervisor, _store) = start(&file).await?;
    supervisor.shutdown(PATIENCE).await?;
    Ok(())
}

/// Starts on the file, and says what the run before has left.
async fn start(file: &Path) -> Result<(Supervisor, SqliteStore), Failure> {
    let store = SqliteStore::open(file, SqliteOptions::default()).await?;
    let supervisor = Supervisor::builder().store(store.clone()).start().await?;
    let found = supervisor.recovery();
    let last = match found.last_run {
        LastRun::None => "there was none".to_owned(),
        LastRun::Clean { stop, .. } => format!("ended in good order, {} turns", stop.turns.total()),
        LastRun::Crashed { .. } => format!("crashed, {} turns cut off", found.settled.len()),
        _ => "ended somehow".to_owned(),
    };
    println!("\nstarted, {} sessions; the run before: {last}", found.found);
    Ok((supervisor, store))
}

/// A reply that takes its time.
async fn replies(
    session: &Session,
    text: &str,
) -> Result<impl Future<Output = Result<(), Failure>> + use<>, Failure> {
    let work = |turn: Turn| async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        turn.commit(&ChatMessage::assistant("as you wish")).await.map(drop)
    };
    let running = session.run(&ChatMessage::user(text), (), work).await?;
    Ok(async move { Ok(running.await??) })
}

/// Restarts the bot, from within a turn: that one is not to be waited for, or it would wait for itself.
async fn restart(bot: Supervisor, turn: Turn) -> Result<ShutdownReport, StoreError> {
    let options = ShutdownOptions::within(PATIENCE).except(turn.stream());
    bot.shutdown(options).await
}

/// Waits for a signal to end: `SIGTERM`, which this program sends to itself, and `Ctrl-C`.
#[cfg(unix)]
async fn signal() -> Result<&'static str, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)?;
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        ctrl_c = tokio::signal::ctrl_c() => Ok(ctrl_c.map(|()| "Ctrl-C")?),
    }
}

/// Elsewhere there is only `Ctrl-C`, and nobody to press it.
#[cfg(not(unix))]
async fn signal() -> Result<&'static str, Failure> {
    Ok("SIGTERM")
}

/// Says what a shutdown did.
fn told(by: &str, report: &ShutdownReport) {
    let turns = report.turns;
    println!(
        "ended by {by}: {} finished, {} cut off, {} left out; clean: {}",
        turns.finished,
        turns.cancelled + turns.aborted,
        turns.fenced,
        report.clean
    );
}
