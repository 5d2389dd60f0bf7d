//! Jumps of the wall clock, and what is stored or found out around them.
//!
//! That they end nothing by themselves is shown in `expiry.rs`.

#![allow(
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a test, which does not run on the library's seam"
)]

use crate::ending;
use crate::support;

use std::time::Duration;

use ending::{DAY, TTL, calendar, crowd_out, expired_by, our_key, start, stored, talk};
use session_supervisor::testing::ManualClock;
use session_supervisor::{ExpiryClock, Fate, Session, SessionError, Supervisor};
use support::{everywhere, settled};

/// What is to become of it by itself.
async fn fate(supervisor: &Supervisor, session: &Session) -> Fate {
    supervisor.explain(session.id()).await.unwrap().unwrap().fate
}

/// The wall clock jumps ahead, and it is noticed.
async fn jump(supervisor: &Supervisor, clock: &ManualClock, ahead: Duration) {
    clock.advance_wall(ahead);
    assert_eq!(supervisor.prune(true).await.unwrap().expired, 0);
}

everywhere! {
    // X3, X4: a lease said when it would be over when it was taken, by a wall clock that jumped ahead before.
    // Where nobody gave it back, that time was stored as the last use, by as much too early; so the
    // conversation was over as soon as it had left memory.
    async fn a_lease_that_ends_after_a_jump_ends_when_it_does(stage) {
        let (supervisor, clock) = start(&stage, |_| {}).await;
        let session = supervisor.open(&our_key()).await.unwrap();
        let lease = session.lease("a job", TTL / 4).await.unwrap();
        jump(&supervisor, &clock, DAY).await;
        clock.advance(TTL / 4);
        assert!(lease.is_expired());
        let used = session.status().last_active_at;
        assert_eq!(used, supervisor.now());
        crowd_out(&supervisor, &session).await;
        assert_eq!(stored(&stage, &session).await.last_active_at, used);
        let fate = fate(&supervisor, &session).await;
        assert!(
            matches!(fate, Fate::GoesOn { clock: ExpiryClock::Idle, left } if left == TTL),
            "{fate:?}"
        );
        settled(&supervisor).await;
    }

    // X1, X10: until when a loaded session is not over for sure was noted once, and use was taken to make it
    // only later. Use after a jump ahead is nearer to the hour at which a calendar ends it; but that was
    // found as late as if there had been no jump.
    async fn a_jump_brings_the_hour_of_a_calendar_nearer(stage) {
        for touched in [false, true] {
            let (supervisor, clock) = start(&stage, |config| {
                config.expiry = calendar("02:00");
            }).await;
            let session = supervisor.open(&our_key()).await.unwrap();
            let use_it = async || {
                if touched {
                    session.touch().await.unwrap();
                } else {
                    talk(&session, "one").await;
                }
            };
            use_it().await;
            jump(&supervisor, &clock, TTL).await;
            use_it().await;
            // A touch asks once a minute.
            clock.advance(TTL / 60);
            use_it().await;
            clock.advance(TTL - TTL / 60);
            let refused = if touched {
                session.touch().await.unwrap_err()
            } else {
                session.insert("mood", &1).await.unwrap_err()
            };
            let SessionError::Inactive { standing, .. } = refused else { panic!("{refused:?}") };
            assert_eq!(expired_by(standing), Some(ExpiryClock::Calendar), "touched: {touched}");
            settled(&supervisor).await;
        }
    }

    // X17, X21: a touch did not count where it was earlier than the last use that was stored, by a wall clock
    // that had been put back since. So a clock that was a year ahead when a conversation was created kept it
    // for a year, however long ago somebody had been there.
    async fn a_touch_by_a_clock_that_was_put_back_is_stored(stage) {
        let (supervisor, clock) = start(&stage, |_| {}).await;
        let session = supervisor.open(&our_key()).await.unwrap();
        clock.set_wall(supervisor.now().minus(DAY));
        clock.advance(TTL / 2);
        session.touch().await.unwrap();
        let touched = supervisor.now();
        crowd_out(&supervisor, &session).await;
        assert_eq!(stored(&stage, &session).await.last_active_at, touched);
        clock.advance(TTL);
        assert_eq!(supervisor.prune(false).await.unwrap().expired, 1);
        settled(&supervisor).await;
    }
}
