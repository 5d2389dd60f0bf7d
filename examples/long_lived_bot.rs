//! Three days of a bot on two platforms, in a second: what leaves memory, what is kept and why, what ends by
//! itself, and how its user is told.
//!
//! Run it:
//!
//! ```text
//! cargo run --example long_lived_bot
//! ```
//!
//! You will see Ada on Discord ask for something that takes the bot thirty hours, and Ben on Telegram say
//! good morning. A conversation on Discord ends after twelve hours of silence, one on Telegram at four
//! o'clock in the night. Ada's is kept for as long as the work goes on, which holds a lease; twelve hours after that it
//! ends as well. When they come back each gets a fresh conversation, and is told what became of the old
//! one. Every six hours the bot says what it has in memory, and what is to become of each.
//!
//! Nobody waits for days: the runtime's clock is paused, so that it jumps to whatever comes next. A
//! program of yours needs none of that, only the settings.
#![allow(clippy::print_stdout, reason = "it shows something")]
#![allow(clippy::disallowed_methods, reason = "a bot starts tasks of its own")]
#![allow(clippy::wildcard_enum_match_arm, reason = "enums of another crate may grow")]

use std::error::Error;
use std::time::Duration;

use session_supervisor::testing::PausedClock;
use session_supervisor::{
    Calendar, ChatMessage, ClassConfig, Config, Fate, Lookup, Session, SessionId, SessionKey,
    Supervisor, Timestamp,
};

const HOUR: Duration = Duration::from_secs(3_600);

/// Monday, 1 June 2026, 08:00 in Berlin.
const START: Timestamp = Timestamp::from_millis(1_780_293_600_000);

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    tokio::time::pause();
    let supervisor = start().await?;
    let (ada, ben) = (key("discord", "ada")?, key("telegram", "ben")?);

    // Monday morning: both say something, and Ada wants something big.
    let asked = say(&supervisor, &ada, "read the whole archive for me, please").await?;
    begin_work(&asked).await?;
    let greeted = say(&supervisor, &ben, "good morning").await?;

    for _ in 0..10 {
        tokio::time::sleep(6 * HOUR).await;
        look(&supervisor, &[(&ada, asked.id()), (&ben, greeted.id())]).await?;
    }

    // Wednesday evening: they are back.
    say(&supervisor, &ben, "did I miss anything?").await?;
    say(&supervisor, &ada, "what did you find?").await?;

    // The old ones are out of the way, and not lost.
    let old = supervisor.look_up(asked.id()).await?;
    if let Lookup::Live(session) = old {
        println!("\n{}: {}", session.id(), session.status().standing);
        for entry in session.entries(0, 10).await? {
            if let Ok(message) = entry.content {
                println!("  {}: {}", message.role, message.content);
            }
        }
    }

    // What was put away a month ago goes for good.
    tokio::time::sleep(30 * 24 * HOUR).await;
    let gone = supervisor.look_up(asked.id()).await?;
    if let Lookup::Gone(tombstone) = gone {
        println!("\n{} {}: {}", time(tombstone.at), asked.id(), tombstone.reason);
    }
    supervisor.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}

/// A bot whose conversations last until they are over.
async fn start() -> Outcome<Supervisor> {
    let mut config = Config::default();
    config.idle.unload_after = HOUR / 4;
    config.expiry.idle = Some(12 * HOUR);
    config.prune.every = HOUR;
    config.leases.max_age = 72 * HOUR;
    config.prune.delete_closed_after = 30 * 24 * HOUR;
    // On Telegram a conversation ends with the night, too.
    let mut telegram = ClassConfig::default();
    telegram.expiry.idle = Some(24 * HOUR);
    telegram.expiry.calendar = Some(Calendar::daily(4, 0, "Europe/Berlin")?);
    config.classes.insert("telegram".to_owned(), telegram);
    let builder = Supervisor::builder().config(config).clock(PausedClock::starting_at(START));
    Ok(builder.start().await?)
}

/// Who talks where.
fn key(platform: &str, user: &str) -> Outcome<SessionKey> {
    Ok(SessionKey::builder(platform).chat("dm").user(user).build()?)
}

/// One message and its reply. A user whose conversation has ended is told so.
async fn say(supervisor: &Supervisor, key: &SessionKey, text: &str) -> Outcome<Session> {
    let session = supervisor.open(key).await?;
    println!("{} {key}: {text}", time(supervisor.now()));
    let turn = session.begin(&ChatMessage::user(text), ()).await?;
    let reply = match session.previous() {
        None => "Hello! I'm on it.".to_owned(),
        Some(previous) => format!("We start anew: {}.", previous.reason),
    };
    println!("{} bot: {reply}", time(supervisor.now()));
    let committed = turn.commit(&ChatMessage::assistant(&reply)).await?;
    assert!(matches!(committed, session_supervisor::CommitOutcome::Committed { .. }));
    Ok(session)
}

/// Work that goes on when the turn is over. It holds a lease: so the conversation neither leaves memory nor ends
/// before the work does, or the lease is as old as it may get, whichever comes first.
async fn begin_work(session: &Session) -> Outcome<()> {
    let lease = session.lease("reading the archive", 48 * HOUR).await?;
    let session = session.clone();
    tokio::spawn(async move {
        tokio::time::sleep(30 * HOUR).await;
        let found = ChatMessage::assistant("I have read it all. It is about sessions.");
        if let Err(error) = session.append(&[found]).await {
            println!("nobody wants to know any more: {error}");
        }
        // Idle counts from here.
        lease.release();
    });
    Ok(())
}

/// What is in memory, and what is to become of each conversation, and why.
async fn look(supervisor: &Supervisor, sessions: &[(&SessionKey, &SessionId)]) -> Outcome<()> {
    println!("{} in memory: {}", time(supervisor.now()), supervisor.loaded());
    for (key, id) in sessions {
        let Some(explained) = supervisor.explain(id).await? else { continue };
        let memory = if explained.loaded { "in memory" } else { "asleep" };
        let fate = match explained.fate {
            Fate::GoesOn { clock, left } => {
                let left = humantime(left);
                format!("will have ended in {left} if nothing is said: {clock}")
            }
            Fate::Kept { clock, .. } => format!("would have ended: {clock}"),
            Fate::Ends { clock, .. } => format!("ends now: {clock}"),
            Fate::Inactive => explained.standing.to_string(),
            _ => "stays".to_owned(),
        };
        let kept = if explained.kept_by.is_empty() {
            String::new()
        } else {
            format!(", kept by {:?}", explained.kept_by)
        };
        println!("    {key}: {memory}, {fate}{kept}");
    }
    Ok(())
}

/// A day and a time, for people.
fn time(at: Timestamp) -> String {
    let hours = at.since(START).as_secs() / 3_600 + 8;
    let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let day = days.iter().cycle().nth(usize::try_from(hours / 24).unwrap_or_default());
    format!("{} {:02}:00", day.unwrap_or(&"?"), hours % 24)
}

/// Hours and minutes.
fn humantime(span: Duration) -> String {
    format!("{}h{:02}", span.as_secs() / 3_600, span.as_secs() / 60 % 60)
}
