//! Taking back the last turns of a conversation, and doing them over.
//!
//! Which entries that are is found out in the store, without the session's lock. The session then only does
//! what was found out if nothing has come between, and otherwise it is found out again.

use std::collections::HashMap;

use bytes::Bytes;

use super::Session;
use super::attempt::Encoded;
use super::begin::{Digested, named};
use super::error::{BeginError, SessionError};
use crate::entry::Content;
use crate::id::Generation;
use crate::state::{Change, Redo, Size};
use crate::store::{EntryMark, Record, Request, RevisionReason, StoreError, StoredEntry};
use crate::turn::{BeginOptions, Turn};

/// What a [`Session::rollback`] or a [`Session::truncate`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RolledBack {
    /// How many entries were taken back.
    pub entries: usize,
    /// The session's version from then on, which is also the number of the revision that has them. If
    /// there was nothing to take back, the version that it has, and no revision.
    pub version: u64,
}

/// The last turns of a transcript.
#[derive(Debug)]
struct Last {
    /// How to take them back.
    redo: Redo,
    /// How many entries they have.
    entries: usize,
    /// The first of them.
    first: Generation,
    /// What that was begun with.
    input: Option<Bytes>,
    /// The number of that, if it is damaged.
    damaged: Option<u64>,
}

impl<E: Content> Session<E> {
    /// Takes the last `turns` turns out of the transcript, with all that came after the first of them: what
    /// was said and what was replied. 0 is taken for 1. Turns that ran beside one of them go with it, so
    /// that no turn is taken back by half. With `expect_version`, only if the session is at that version.
    ///
    /// What is taken back is kept as a revision for `kept.revisions_for`; see
    /// [`revisions`](Self::revisions). A turn that runs is in the way: stop it first. Counts as use.
    ///
    /// # Errors
    ///
    /// [`SessionError::Conflict`] if the session is at another version; [`SessionError::TooDeep`] if there
    /// are not so many turns, or `limits.max_take_back` is less; [`SessionError::Busy`] while a turn runs;
    /// otherwise as [`append`](Self::append). With any of them nothing was changed, unless the store does
    /// not know.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has either done nothing or all of it.
    pub async fn rollback(
        &self,
        turns: usize,
        expect_version: Option<u64>,
    ) -> Result<RolledBack, SessionError> {
        let mut before = None;
        loop {
            let seen = self.seen_at(expect_version).await?;
            let last = self.last_turns(&seen, turns.max(1));
            let last = last.map_err(|max| self.too_deep(turns, max))?;
            let change = Change::TakeBack { redo: last.redo, reason: RevisionReason::Rollback };
            if let Some(changed) = self.change_unless_moved(change).await? {
                return Ok(RolledBack { entries: last.entries, version: changed.version });
            }
            // It has moved: what has come between is in the store once that has everything.
            self.look_again(last.redo, &mut before);
        }
    }

    /// Does the last turn over, or the last `turns` ones: takes them back as
    /// [`rollback`](Self::rollback) does, and begins a turn with what the first of them was begun with,
    /// which is then in the transcript once. 0 is taken for 1.
    ///
    /// It makes no difference how that turn had ended: a reply that is to be better, one that failed, and
    /// one that a crash interrupted are done over alike. What was handed to a running turn later, under
    /// [`BusyPolicy::Steer`](crate::BusyPolicy::Steer), is in the revision only. A turn that runs is in
    /// the way, whatever the policy: stop it first. A [name](BeginOptions::idempotency_key) is one for
    /// going back by `turns`: whatever has come since, the same is not done twice.
    ///
    /// # Errors
    ///
    /// [`BeginError::TooDeep`], [`BeginError::NoInput`], [`BeginError::Busy`], and otherwise as
    /// [`begin`](Self::begin). With any of them nothing was changed, unless the store does not know.
    ///
    /// # Cancel safety
    ///
    /// As [`begin`](Self::begin): dropped after the turn has taken the slot, the earlier turns are taken
    /// back, the new one is abandoned, and its input is kept.
    pub async fn retry(
        &self,
        turns: usize,
        options: impl Into<BeginOptions>,
    ) -> Result<Turn<E>, BeginError> {
        let (engine, options) = (&self.slot.engine, options.into());
        let begun = self.retry_with(turns, &options).await;
        begun.map_err(|error| error.noted(engine))
    }

    /// [`Self::retry`], without the trace that a refusal leaves.
    async fn retry_with(
        &self,
        turns: usize,
        options: &BeginOptions,
    ) -> Result<Turn<E>, BeginError> {
        let engine = &self.slot.engine;
        let (id, instance) = (self.id().clone(), engine.instance);
        // Not of the input: by the time it is asked for again, the last turn may be another one.
        let digest = Digested::Redo { turns: turns.max(1) };
        let named = named(&digest, options, engine).map_err(BeginError::Input)?;
        let mut before = None;
        loop {
            let last = match self.seen().await {
                Ok(seen) => self.last_turns(&seen, turns.max(1)),
                // A session that is over has no turns to be found; the begin tells what it is.
                Err(StoreError::Fenced { .. }) => Ok(Last::nothing()),
                Err(source) => return Err(BeginError::Store { id, source }),
            };
            let last = match last {
                Ok(last) => last,
                Err(max) => {
                    // It may be so because it was done before.
                    self.ask_again(named.as_ref()).await?;
                    return Err(BeginError::TooDeep { id, asked: turns, max, instance });
                }
            };
            if let Some(seq) = last.damaged {
                let what = format!("entry {seq} of session {id}");
                return Err(BeginError::Store { id, source: StoreError::Damaged { what } });
            }
            if last.input.is_none() && !last.is_nothing() {
                self.ask_again(named.as_ref()).await?;
                let stream = self.slot.stream_id(last.first);
                return Err(BeginError::NoInput { id, stream, instance });
            }
            let request =
                options.request(engine, Some(self.slot.tip()), self.key(), last.input.as_ref());
            engine.admit(&request).map_err(|denial| BeginError::denied(denial, engine))?;
            let (nothing, redo) = (last.is_nothing(), last.redo);
            let begin = Encoded {
                input: last.input,
                named: named.clone(),
                redo: Some(last.redo),
                permit: None,
            };
            match self.begin_encoded(begin, None, options).await? {
                Some(hold) => return Ok(Turn::new(hold)),
                // It is not over, and the store does not know it.
                None if nothing => return Err(BeginError::Unknown { id, instance }),
                None => self.look_again(redo, &mut before),
            }
        }
    }

    /// An error if what has this name was begun before.
    async fn ask_again(&self, named: Option<&Request>) -> Result<(), BeginError> {
        let Some(named) = named else { return Ok(()) };
        self.ask(&self.current(), named).await.map(drop)
    }

    /// The last `wanted` turns of what was seen; otherwise how many there are, or `limits.max_take_back` if
    /// they are more.
    fn last_turns(
        &self,
        (record, entries): &(Record, Vec<StoredEntry>),
        wanted: usize,
    ) -> Result<Last, usize> {
        let most = self.slot.engine.config.limits.max_take_back;
        let mut last = Last::among(entries, wanted, most, (record.next_seq, record.version))?;
        last.redo.open = !record.open.is_empty();
        Ok(last)
    }

    /// What a rollback that goes too far means to its caller.
    fn too_deep(&self, asked: usize, max: usize) -> SessionError {
        let (id, instance) = (self.slot.tip().clone(), self.slot.engine.instance);
        SessionError::TooDeep { id, asked, max, instance }
    }
}

impl Last {
    /// What there is to take back in a session that is over.
    fn nothing() -> Self {
        let redo = Redo { from: 0, next_seq: 0, version: 0, open: false, taken: Size::default() };
        Self { redo, entries: 0, first: Generation::default(), input: None, damaged: None }
    }

    /// Whether there is nothing to take back.
    fn is_nothing(&self) -> bool {
        self.redo.from == 0
    }

    /// The last `wanted` turns among `entries`, which are a transcript; otherwise how many there are, or
    /// `most` if they are more. `seen` is the next entry's number, and the session's version.
    fn among(
        entries: &[StoredEntry],
        wanted: usize,
        most: usize,
        (next_seq, version): (u64, u64),
    ) -> Result<Self, usize> {
        // Where each begins, and the wanted ones.
        let mut begins = HashMap::new();
        let mut last = Vec::new();
        for entry in entries.iter().rev() {
            let Some(turn) = entry.generation else { continue };
            begins.insert(turn, entry);
            if entry.mark != EntryMark::Aside && last.len() < wanted && !last.contains(&turn) {
                last.push(turn);
            }
        }
        let begin = |turn: &Generation| begins.get(turn).copied();
        let first = last.iter().filter_map(begin).min_by_key(|first| first.seq);
        let first = first.filter(|_| last.len() == wanted && wanted <= most);
        let Some(first) = first else { return Err(last.len().min(most)) };
        // No turn is taken back by half: what ran beside one of them goes, too.
        let mut from = first.seq;
        for entry in entries.iter().rev() {
            if entry.seq < from {
                break;
            }
            let begin = entry.generation.as_ref().and_then(begin);
            from = begin.map_or(from, |begin| from.min(begin.seq));
        }
        let place = entries.partition_point(|entry| entry.seq < from);
        let (before, taken) = entries.split_at(place);
        // Without the gap, if there is one: the next entry is to follow one that there is.
        let from = before.last().map_or(0, |before| before.seq) + 1;
        let size = Size::of(taken.iter().map(|entry| entry.payload.len()));
        let is_damaged = first.mark == EntryMark::Damaged;
        Ok(Self {
            redo: Redo { from, next_seq, version, open: false, taken: size },
            entries: taken.len(),
            first: first.generation.unwrap_or_default(),
            input: first.input.then(|| first.payload.clone()),
            damaged: is_damaged.then_some(first.seq),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    /// An entry: its number, its turn (0 for none), whether it is an input, its mark.
    fn entry(seq: u64, turn: u64, input: bool, mark: EntryMark) -> StoredEntry {
        let generation = (turn > 0).then(|| Generation::new(turn));
        let (at, payload) = (Timestamp::default(), Bytes::from(seq.to_string()));
        StoredEntry { seq, generation, input, mark, at, payload }
    }

    /// From where, how many entries, and with which input.
    fn found(entries: &[StoredEntry], wanted: usize) -> Result<(u64, usize, String), usize> {
        let last = Last::among(entries, wanted, 3, (99, 7))?;
        let input = last.input.map(|input| String::from_utf8(input.to_vec()).unwrap());
        assert_eq!((last.redo.next_seq, last.redo.version), (99, 7));
        Ok((last.redo.from, last.entries, input.unwrap_or_default()))
    }

    // C9
    #[test]
    fn turns_one_after_the_other_are_found_whole() {
        use EntryMark::{Aside, Kept, Partial, Unanswered};
        let entries = [
            entry(1, 0, false, Kept), // a prompt
            entry(2, 1, true, Kept),
            entry(3, 1, false, Kept),
            entry(4, 2, true, Aside), // lost
            entry(5, 3, true, Unanswered),
            entry(6, 3, false, Partial),
            entry(7, 0, false, Kept), // a note
            entry(9, 4, true, Kept),
            entry(10, 0, false, Kept), // a note while it ran
            entry(11, 4, true, Kept),  // said to it later
            entry(12, 4, false, Kept),
        ];
        assert_eq!(found(&entries, 1), Ok((8, 4, "9".to_owned())));
        assert_eq!(found(&entries, 2), Ok((5, 7, "5".to_owned())));
        assert_eq!(found(&entries, 3), Ok((2, 10, "2".to_owned())));
        assert_eq!(found(&entries, 4), Err(3));
        assert_eq!(found(&entries[..3], 4), Err(1));
        assert_eq!(found(&[], 1), Err(0));
    }

    // C9: a turn that ran beside another is not taken back by half
    #[test]
    fn what_ran_beside_the_last_turn_goes_with_it() {
        use EntryMark::Kept;
        let turns = [1, 1, 2, 3, 4, 3, 2, 4];
        let inputs = [1, 3, 4, 5];
        let entries: Vec<_> = (1..)
            .zip(turns)
            .map(|(seq, turn)| entry(seq, turn, inputs.contains(&seq), Kept))
            .collect();
        // 4 is the last; the reply of 2 came meanwhile, and that of 3 while 2 ran.
        assert_eq!(found(&entries, 1), Ok((3, 6, "5".to_owned())));
        assert_eq!(found(&entries, 2), Ok((3, 6, "3".to_owned())));
    }

    #[test]
    fn a_damaged_input_is_told_as_what_it_is() {
        let entries = [entry(1, 1, true, EntryMark::Damaged)];
        assert_eq!(Last::among(&entries, 1, 3, (2, 0)).unwrap().damaged, Some(1));
    }
}
