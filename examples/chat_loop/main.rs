//! A chat in the terminal whose conversations survive two messages at once, a delete in the middle
//! of a reply, and `kill -9`.
//!
//! ```text
//! cargo run --example chat_loop
//! ```
//!
//! You will see a prompt; say something, and a small offline responder answers word by word. Type
//! on while it does. `/help` lists the commands; `--help` the flags. Without a terminal it is plain:
//!
//! ```text
//! printf 'hello\nmy name is Ada\n/history\n' | cargo run --example chat_loop -- --store memory
//! ```
//!
//! Where to read what the library is used for:
//!
//! - `asking`: a turn from what the user said to what it came to (`session.run`);
//! - `following`: how a reply is shown through a `Subscription`, and attached to again;
//! - `chat` and `deed`: the loop, and what its commands do;
//! - `left`: where reading stopped in a session that was left, and how it goes on there (`session.resume`);
//! - `again`: how the last turns are done over (`session.retry`);
//! - `found`: what a start tells about an earlier run that was killed, and `said`: how what is kept of a
//!   reply is shown (`session.partial`).
#![allow(clippy::print_stderr, reason = "an example talks to people")]
#![allow(clippy::wildcard_enum_match_arm, reason = "enums of another crate may grow")]

mod again;
mod asking;
mod chat;
mod command;
mod deed;
mod editor;
mod flags;
mod following;
mod found;
mod input;
mod left;
mod offline;
mod plain;
mod responder;
mod said;
mod screen;
mod sessions;
mod signals;
mod sse;
mod terminal;
mod upstream;
mod words;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser as _;
use session_supervisor::{ChatMessage, SessionKey, Supervisor, SupervisorBuilder};

use self::chat::Chat;
use self::flags::Flags;
use self::screen::Screen;
use self::words::chain;

fn main() -> ExitCode {
    let flags = Flags::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("chat_loop: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(chat(flags));
    // Somebody may still be asked for a line, on a thread that nothing wakes.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat_loop: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Starts the supervisor, chats, and ends in good order.
async fn chat(flags: Flags) -> Result<(), Box<dyn Error>> {
    let responder = flags.responder()?;
    let user = std::env::var("USER").ok().filter(|user| !user.is_empty());
    let key =
        SessionKey::builder("terminal").user(user.as_deref().unwrap_or("somebody")).build()?;
    let builder = Supervisor::builder().config(flags.config()?);
    // Used if the settings want what there is of a reply as an entry.
    let builder = builder.partial_entry(|text| ChatMessage::assistant(text));
    let supervisor: Supervisor = store(builder, &flags).await?.start().await?;
    let mut screen = Screen::new(flags.history_file())?;
    screen.note(&flags.greeting(&responder));
    found::tell(&supervisor, &mut screen).await?;
    Chat::new(supervisor, key, flags.policy(), responder, screen).await?.run().await
}

/// Opens the store that the flags name.
#[cfg_attr(not(feature = "sqlite"), allow(clippy::unused_async, reason = "SQLite needs it"))]
async fn store(
    builder: SupervisorBuilder,
    flags: &Flags,
) -> Result<SupervisorBuilder, Box<dyn Error>> {
    if flags.in_memory() {
        return Ok(builder);
    }
    #[cfg(feature = "sqlite")]
    {
        use session_supervisor::{SqliteOptions, SqliteStore};
        let store = SqliteStore::open(&flags.store, SqliteOptions::default()).await?;
        Ok(builder.store(store))
    }
    #[cfg(not(feature = "sqlite"))]
    Err("this was built without the feature `sqlite`; say `--store memory`".into())
}
