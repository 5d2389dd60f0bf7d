//! Sessions that come and go, over and over: nothing piles up.
//!
//! Takes a minute by itself; here, among the first, others run beside it.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test, which does not run on the library's seam"
)]

use std::time::Duration;

use session_supervisor::TurnInput;

use crate::support::{self, key, settled, until};

/// Uses a hundred sessions in turn, of which ten may be loaded, `rounds` times.
async fn cycles(stage: support::Stage, rounds: usize) {
    let start = stage.start_with(|config| {
        config.idle.max_live = 10;
        config.idle.unload_after = Duration::ZERO;
    });
    let supervisor = start.await;
    let mut sessions = Vec::new();
    for number in 0..100 {
        sessions.push(supervisor.open(&key(&format!("#{number}"))).await.unwrap());
    }
    for round in 0..rounds {
        for session in &sessions {
            let turn = session.begin(TurnInput::none(), ()).await.unwrap();
            if round % 2 == 0 {
                session.insert("round", &round).await.unwrap();
            }
            drop(turn);
        }
    }
    until("all is written", || sessions.iter().all(|it| it.status().unwritten == 0)).await;
    settled(&supervisor).await;
    let counts = supervisor.counts();
    assert!(counts.loaded >= 90 * rounds as u64, "{counts:?}");
    for session in sessions {
        session.delete().await.unwrap();
    }
    settled(&supervisor).await;
    until("the actors have ended", || {
        let counts = supervisor.counts();
        counts.actors_started == counts.actors_ended
    })
    .await;
    assert_eq!((supervisor.loaded(), supervisor.in_flight()), (0, 0));
    let report = supervisor.shutdown(Duration::from_secs(1)).await.unwrap();
    assert!(report.clean);
}

// M4, X14
#[test]
fn a_hundred_thousand_times_loaded_and_left_leave_nothing_behind() {
    support::play(false, support::Kind::Memory, |stage| cycles(stage, 1_000));
    support::play(true, support::Kind::Awaited, |stage| cycles(stage, 20));
    #[cfg(feature = "sqlite")]
    support::play(true, support::Kind::Sqlite, |stage| cycles(stage, 5));
}
