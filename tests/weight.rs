//! What a loaded session is counted with is what it takes.
//!
//! The only test of its program, since it is the program's memory that is measured: what is resident, before
//! and after many sessions were loaded, which were stored by then. So neither the store nor the entries
//! are in it. Where the system does not tell what is resident, nothing is measured.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a test, which does not run on the library's seam"
)]

use session_supervisor::store::{Binding, NewRecord};
use session_supervisor::{
    ChatMessage, Session, SessionId, SessionKey, SqliteOptions, SqliteStore, Store, Supervisor,
    Timestamp,
};

/// How many: so many that nothing else counts.
const SESSIONS: usize = 8_000;

fn key(number: usize) -> SessionKey {
    SessionKey::builder("irc").chat(&format!("room-{number:010}")).user("somebody").build().unwrap()
}

/// How much memory this process has resident, if that is told.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1_024)
}

/// Fails unless `counted` is near what the program has grown by.
fn near(what: &str, counted: usize, grown: usize) {
    let each = |bytes: usize| bytes as f64 / SESSIONS as f64;
    println!(
        "{what}: {:.0} bytes each are counted, it has grown by {:.0}",
        each(counted),
        each(grown)
    );
    let ratio = counted as f64 / grown as f64;
    assert!((0.7..1.4).contains(&ratio), "{what}: {ratio:.2} of what it has grown by is counted");
}

// K5, X15
#[tokio::test]
async fn what_is_counted_is_near_what_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("a.db"), SqliteOptions::default());
    let store = std::sync::Arc::new(store.await.unwrap());
    for number in 0..SESSIONS {
        let id = SessionId::from_random(0x5EED << 64 | number as u128);
        let binding = Some(Binding { key: key(number), expected: None });
        let new =
            NewRecord { binding, ..NewRecord::new(id, Timestamp::from_millis(4_000_000_000_000)) };
        drop(store.create(new));
    }
    let builder = Supervisor::builder().shared_store(store);
    let supervisor: Supervisor = builder.start().await.unwrap();
    // What is made once for all.
    supervisor.open(&key(0)).await.unwrap().insert("mood", &1).await.unwrap();
    let Some(before) = resident() else { return };
    let counted = supervisor.loaded_bytes();
    for number in 1..SESSIONS {
        supervisor.open(&key(number)).await.unwrap();
    }
    assert_eq!(supervisor.loaded(), SESSIONS);
    let loaded = resident().unwrap();
    near("loaded", supervisor.loaded_bytes() - counted, loaded - before);
    let counted = supervisor.loaded_bytes();
    let mut waiting = Vec::new();
    for number in 1..SESSIONS {
        let session: Session = supervisor.open(&key(number)).await.unwrap();
        waiting.push(tokio::spawn(async move {
            session.append(&[ChatMessage::user("x")]).await.unwrap();
        }));
        if waiting.len() == 500 {
            for waiting in waiting.drain(..) {
                waiting.await.unwrap();
            }
        }
    }
    for waiting in waiting {
        waiting.await.unwrap();
    }
    assert_eq!(supervisor.counts().actors_started, SESSIONS as u64);
    near("actors", supervisor.loaded_bytes() - counted, resident().unwrap() - loaded);
}
