//! `session-server` under a crowd: the built program, real sockets, an upstream that answers late, wrongly, half or not
//! at all, and clients that create, chat, leave, cancel and delete as it comes. Each answer is held against what the
//! contract allows after what that client has done; at the end the counters have to balance and the file has to be whole.
//!
//! A little of it in `cargo test`; ten minutes of 200 clients with `proof/soak/run`, or
//!
//! ```sh
//! SOAK_CLIENTS=200 SOAK_SECONDS=600 SOAK_BUSY=parallel \
//!   cargo test --release --features server --test session_server_soak -- --nocapture
//! ```
//!
//! What a client does is drawn from `SOAK_SEED`, which is printed; how the clients meet is up to the machine.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[allow(dead_code, reason = "its other half is for the tests of single answers")]
#[path = "session_server/rig.rs"]
mod rig;
#[allow(dead_code, reason = "its other half is for the tests of single answers")]
#[path = "session_server/upstream.rs"]
mod upstream;

mod session_server_soak {
    pub(crate) mod account;
    pub(crate) mod answer;
    pub(crate) mod client;
    pub(crate) mod dice;
    pub(crate) mod ending;
    pub(crate) mod in_flight;
    pub(crate) mod plan;
    pub(crate) mod process;
    pub(crate) mod readings;
    pub(crate) mod scripted;
    pub(crate) mod storm;
    pub(crate) mod world;
}

use std::time::Duration;

use session_server_soak::world::{Busy, Settings, World};

/// A setting from the environment.
fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).map_or(default, |text| text.parse().ok().expect("a setting is a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_crowd_does_each_answer_is_one_that_the_contract_allows() {
    let clients = setting("SOAK_CLIENTS", 32_u32);
    let seconds = setting("SOAK_SECONDS", 6.0_f64);
    let seed = setting("SOAK_SEED", rand::random::<u32>().into());
    let policies = std::env::var("SOAK_BUSY").unwrap_or_else(|_| Busy::ALL.join(","));
    let policies: Vec<_> = policies.split(',').map(Busy::named).collect();
    println!("soak_seed {seed} seed");
    let share = u32::try_from(policies.len()).unwrap();
    let lasts = Duration::from_secs_f64(seconds) / share;
    for (busy, seed) in policies.into_iter().zip(seed..) {
        World::run(Settings { busy, clients, lasts, seed }).await;
    }
}
