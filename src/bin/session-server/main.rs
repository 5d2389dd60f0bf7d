//! The supervisor over HTTP, in front of an OpenAI-compatible upstream.
//!
//! ```text
//! cargo run --features server --bin session-server -- --upstream http://127.0.0.1:8000
//! ```
//!
//! For whoever cannot embed the library: a conversation is an id in a path, a turn is a chat completion. What
//! holds at every moment is said by the library; the server adds the wire. Its own rules:
//!
//! - a turn belongs to a task of its own ([`turn`]), never to the connection that asked for it;
//! - the upstream is asked after the turn has begun, and the client is answered after it has committed;
//! - nothing about sessions is kept here: [`app::App`] has the supervisor, the upstream and the settings.
//!
//! ARCHITECTURE.md has the states, and what may race.
#![allow(clippy::wildcard_enum_match_arm, reason = "enums of the library may grow")]

mod app;
mod assembly;
mod attended;
mod auth;
mod body;
mod cancel;
mod chat;
mod drain;
mod error;
mod flags;
mod headers;
mod ids;
mod metadata;
mod openapi;
mod page;
mod passthrough;
mod records;
mod rejoin;
mod relay;
mod routes;
mod sessions;
mod settings;
mod signals;
mod sse;
mod start;
mod telemetry;
mod turn;
mod upstream;

use std::process::ExitCode;

use clap::Parser as _;

use self::error::chain;
use self::flags::Flags;
use self::settings::Settings;

/// A turn is some hundred small allocations, and what one core has allocated another frees: glibc's allocator has its cores wait
/// for each other there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What it exits with if it was told nonsense; as clap does.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let flags = Flags::parse();
    let check = flags.check_config;
    let settings = match flags.complete().and_then(Settings::new) {
        Ok(settings) => settings,
        Err(error) => return fail(&error, USAGE),
    };
    if check {
        telemetry::say("the settings are fine");
        return ExitCode::SUCCESS;
    }
    telemetry::log(&settings.log);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, 1),
    };
    let ended = runtime.block_on(start::serve(settings));
    // What still runs has been told, or nobody wanted to wait for it.
    runtime.shutdown_background();
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(&*error, 1),
    }
}

/// Says why it ends.
fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    telemetry::complain(&chain(error));
    ExitCode::from(code)
}
