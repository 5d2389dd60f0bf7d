//! What a store keeps of the handles of outside services, and what becomes of it.
//!
//! The rules are here and nowhere else: a store loads what it keeps of one service, has
//! [`ResumeRecord::apply`] change it, and keeps what comes of it. So no two stores can disagree.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::clock::Timestamp;

/// How many refused values are remembered of one service in one life; beyond that the oldest goes.
pub const MAX_REFUSED: usize = 16;

/// What is kept of the handles of one outside service in one life of a session. Nothing is kept of a service
/// of which [`is_empty`](Self::is_empty) says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResumeRecord {
    /// The handle.
    pub handle: Option<StoredHandle>,
    /// The values that the service has said are gone, in the order in which it did; [`MAX_REFUSED`] at
    /// most.
    pub refused: Vec<RefusedHandle>,
}

/// A handle as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredHandle {
    /// What the service calls its conversation.
    pub value: String,
    /// Since when it is kept.
    pub stored_at: Timestamp,
    /// When it was kept last, or a turn that had used it committed.
    pub used_at: Timestamp,
    /// How many attempts to use it were begun since then.
    pub attempts: u32,
}

/// A value that is not to be kept again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedHandle {
    /// [`resume_digest`] of it.
    pub digest: u128,
    /// Since when.
    pub at: Timestamp,
}

/// One change of what is kept of the handles of one outside service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeChange {
    /// Which service.
    pub provider: String,
    /// What is to be done.
    pub action: ResumeAction,
}

/// What is to be done with a handle. Those that name one by its [digest](resume_digest) do nothing if
/// another is kept by now, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResumeAction {
    /// Keeps a value in the place of another, with no attempts. One that is kept already goes on, used now.
    /// One that was refused less than `refuse_for` ago is not kept, and changes nothing.
    Keep {
        /// The value.
        value: String,
        /// How long a refusal counts; zero is for ever.
        refuse_for: Duration,
    },
    /// It is used now, and has no attempts.
    Worked {
        /// Which.
        digest: u128,
    },
    /// One more attempt.
    Attempt {
        /// Which.
        digest: u128,
    },
    /// One attempt less: it failed, and not for the handle.
    Absolve {
        /// Which.
        digest: u128,
    },
    /// It goes, if it was used at `unused_since` or before.
    Drop {
        /// Which.
        digest: u128,
        /// When the caller knows it was used last.
        unused_since: Timestamp,
    },
    /// It goes; and whether it is kept or not, its value is refused from now on.
    Refuse {
        /// Which.
        digest: u128,
    },
}

/// What tells one value from another.
pub fn resume_digest(value: &str) -> u128 {
    // Half of it is more than enough.
    let half = Sha256::digest(value).into_iter().take(16);
    half.fold(0, |digest, byte| digest << 8 | u128::from(byte))
}

impl ResumeRecord {
    /// Does `action` at `at`.
    pub fn apply(&mut self, action: &ResumeAction, at: Timestamp) {
        match action {
            ResumeAction::Keep { value, refuse_for } => self.keep(value, *refuse_for, at),
            ResumeAction::Worked { digest } => self.change(*digest, |handle| {
                (handle.used_at, handle.attempts) = (at, 0);
            }),
            ResumeAction::Attempt { digest } => self.change(*digest, |handle| {
                handle.attempts = handle.attempts.saturating_add(1);
            }),
            ResumeAction::Absolve { digest } => self.change(*digest, |handle| {
                handle.attempts = handle.attempts.saturating_sub(1);
            }),
            ResumeAction::Drop { digest, unused_since } => {
                self.handle.take_if(|it| it.is(*digest) && it.used_at <= *unused_since);
            }
            ResumeAction::Refuse { digest } => self.refuse(*digest, at),
        }
    }

    /// Whether nothing is left to be kept.
    pub fn is_empty(&self) -> bool {
        self.handle.is_none() && self.refused.is_empty()
    }

    /// When the handle was used last, if there is one.
    pub fn used_at(&self) -> Option<Timestamp> {
        self.handle.as_ref().map(|handle| handle.used_at)
    }

    /// When a value was refused last, if one is remembered.
    pub fn refused_at(&self) -> Option<Timestamp> {
        self.refused.iter().map(|refused| refused.at).max()
    }

    /// Drops the handle, if it was used last at or before `at`; answers whether there was such.
    pub fn forget_handle(&mut self, at: Timestamp) -> bool {
        self.handle.take_if(|handle| handle.used_at <= at).is_some()
    }

    /// Drops what was refused, if the last of it was at or before `at`; answers whether there was such.
    pub fn forget_refused(&mut self, at: Timestamp) -> bool {
        let over = self.refused_at().is_some_and(|newest| newest <= at);
        if over {
            self.refused.clear();
        }
        over
    }

    /// Whether a value is refused at `now`, where a refusal counts for `refuse_for`; zero is for ever.
    ///
    /// A refusal of a time to come, which a wall clock that was set back leaves, counts no longer than one
    /// of a time gone by.
    pub fn refuses(&self, digest: u128, now: Timestamp, refuse_for: Duration) -> bool {
        let counts = |at| refuse_for.is_zero() || now.apart(at) < refuse_for;
        self.refused.iter().any(|refused| refused.digest == digest && counts(refused.at))
    }

    /// [`ResumeAction::Keep`].
    fn keep(&mut self, value: &str, refuse_for: Duration, at: Timestamp) {
        let digest = resume_digest(value);
        if self.refuses(digest, at, refuse_for) {
            return;
        }
        self.refused.retain(|refused| refused.digest != digest);
        let known = self.handle.as_ref().filter(|handle| handle.value == value);
        let stored_at = known.map_or(at, |handle| handle.stored_at);
        let value = value.to_owned();
        self.handle = Some(StoredHandle { value, stored_at, used_at: at, attempts: 0 });
    }

    /// [`ResumeAction::Refuse`].
    fn refuse(&mut self, digest: u128, at: Timestamp) {
        self.handle.take_if(|handle| handle.is(digest));
        self.refused.retain(|refused| refused.digest != digest);
        self.refused.push(RefusedHandle { digest, at });
        let excess = self.refused.len().saturating_sub(MAX_REFUSED);
        self.refused.drain(..excess);
    }

    /// Changes the handle, if it is the one.
    fn change(&mut self, digest: u128, change: impl FnOnce(&mut StoredHandle)) {
        if let Some(handle) = self.handle.as_mut().filter(|handle| handle.is(digest)) {
            change(handle);
        }
    }
}

impl StoredHandle {
    /// What tells its value from others.
    pub fn digest(&self) -> u128 {
        resume_digest(&self.value)
    }

    /// Whether it is the one with this digest.
    fn is(&self, digest: u128) -> bool {
        self.digest() == digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    /// So many hours after a start.
    fn at(hours: u64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000).plus(Duration::from_secs(hours * 3_600))
    }

    fn keep(value: &str) -> ResumeAction {
        ResumeAction::Keep { value: value.to_owned(), refuse_for: DAY }
    }

    fn refuse(value: &str) -> ResumeAction {
        ResumeAction::Refuse { digest: resume_digest(value) }
    }

    fn attempt(value: &str) -> ResumeAction {
        ResumeAction::Attempt { digest: resume_digest(value) }
    }

    /// What comes of `actions`, an hour apart.
    fn record(actions: &[ResumeAction]) -> ResumeRecord {
        let mut record = ResumeRecord::default();
        for (hour, action) in (0..).zip(actions) {
            record.apply(action, at(hour));
        }
        record
    }

    fn value(record: &ResumeRecord) -> Option<&str> {
        record.handle.as_ref().map(|handle| handle.value.as_str())
    }

    // I1
    #[test]
    fn what_is_kept_again_goes_on_and_what_is_new_starts_afresh() {
        let again = record(&[keep("a"), attempt("a"), attempt("a"), keep("a")]).handle.unwrap();
        assert_eq!((again.stored_at, again.used_at, again.attempts), (at(0), at(3), 0));
        let other = record(&[keep("a"), attempt("a"), keep("b")]).handle.unwrap();
        assert_eq!((other.stored_at, other.used_at, other.attempts), (at(2), at(2), 0));
    }

    // I2, I3: whichever comes first of a refusal and of who keeps that value, it is not there.
    #[test]
    fn a_refused_value_goes_and_does_not_come_back() {
        for actions in [vec![keep("a"), refuse("a"), keep("a")], vec![refuse("a"), keep("a")]] {
            let record = record(&actions);
            assert_eq!(value(&record), None);
            assert!(record.refuses(resume_digest("a"), at(20), DAY));
        }
        let newer = record(&[keep("a"), keep("b"), refuse("a"), keep("a")]);
        assert_eq!(value(&newer), Some("b"));
        assert_eq!(newer.handle.unwrap().used_at, at(1), "what is refused changes nothing");
    }

    // I3: a service that takes up an old name again, or was misunderstood, is believed in the end; also
    // if the wall clock was set back meanwhile.
    #[test]
    fn a_refusal_is_over_in_time_whichever_way_the_clock_jumps() {
        for (refused_at, kept_at, stays) in
            [(0, 23, false), (0, 24, true), (100, 77, false), (100, 76, true), (900, 1, true)]
        {
            let mut record = ResumeRecord::default();
            record.apply(&refuse("a"), at(refused_at));
            record.apply(&keep("a"), at(kept_at));
            assert_eq!(record.handle.is_some(), stays, "{refused_at} {kept_at}");
            assert_eq!(record.refused.is_empty(), stays, "{refused_at} {kept_at}");
        }
        let mut record = ResumeRecord::default();
        record.apply(&refuse("a"), at(0));
        let forever = ResumeAction::Keep { value: "a".to_owned(), refuse_for: Duration::ZERO };
        record.apply(&forever, at(1_000_000));
        assert_eq!(record.handle, None);
    }

    // I1: what was used since is not dropped by who saw it unused.
    #[test]
    fn a_drop_hits_only_the_handle_that_was_seen_and_only_as_it_was_seen() {
        let digest = resume_digest("a");
        for (actions, unused_since, stays) in [
            (vec![keep("a")], at(0), false),
            (vec![keep("a"), attempt("a")], at(0), false),
            (vec![keep("a"), ResumeAction::Worked { digest }], at(0), true),
            (vec![keep("a"), keep("a")], at(0), true),
            (vec![keep("a"), keep("b")], at(9), true),
        ] {
            let mut record = record(&actions);
            record.apply(&ResumeAction::Drop { digest, unused_since }, at(30));
            assert_eq!(record.handle.is_some(), stays, "{actions:?}");
        }
    }

    #[test]
    fn attempts_are_those_of_the_handle_that_is_meant() {
        let digest = resume_digest("a");
        let absolve = ResumeAction::Absolve { digest };
        let worked = ResumeAction::Worked { digest };
        let attempts = |more: &[ResumeAction]| {
            let actions: Vec<_> = [keep("a")].iter().chain(more).cloned().collect();
            record(&actions).handle.unwrap().attempts
        };
        assert_eq!(attempts(&[attempt("a"), attempt("a"), attempt("b")]), 2);
        assert_eq!(attempts(&[attempt("a"), absolve.clone(), absolve]), 0);
        assert_eq!(attempts(&[attempt("a"), worked, attempt("a")]), 1);
        assert_eq!(attempts(&[keep("b"), attempt("a")]), 0);
    }

    // I3
    #[test]
    fn no_more_than_the_newest_refusals_are_remembered() {
        let many: Vec<_> = (0..40).map(|n| refuse(&n.to_string())).collect();
        let record = record(&many);
        let known = |n: u64| record.refuses(resume_digest(&n.to_string()), at(40), Duration::ZERO);
        assert_eq!(record.refused.len(), MAX_REFUSED);
        assert!((24..40).all(known) && !(0..24).any(known));
        assert_eq!(record.refused_at(), Some(at(39)));
    }

    // I2, I3
    #[test]
    fn a_handle_and_what_was_refused_are_forgotten_apart_and_only_when_they_are_old_enough() {
        let mut record = record(&[keep("a"), refuse("b"), refuse("c"), keep("a")]);
        assert_eq!((record.used_at(), record.refused_at()), (Some(at(3)), Some(at(2))));
        assert!(!record.forget_handle(at(2)) && !record.forget_refused(at(1)));
        assert_eq!((value(&record), record.refused.len()), (Some("a"), 2));
        assert!(record.forget_refused(at(2)), "its last is as old as that");
        assert!(!record.is_empty() && record.refused.is_empty());
        assert!(!record.forget_refused(at(99)), "nothing is left of it");
        assert!(record.forget_handle(at(3)));
        assert_eq!((record.used_at(), record.refused_at()), (None, None));
        assert!(record.is_empty() && !record.forget_handle(at(99)));
        record.apply(&refuse("b"), at(4));
        assert!(!record.is_empty(), "what was refused is kept without a handle");
    }

    #[test]
    fn a_digest_is_the_same_for_ever_since_it_stands_in_files() {
        assert_eq!(resume_digest("a"), 0xca97_8112_ca1b_bdca_fac2_31b3_9a23_dc4d);
    }
}
