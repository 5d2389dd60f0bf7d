//! Taking back the last turns of a conversation, and doing them over.
//!
//! Which entries that are is found out in the store, without the session's lock. The session then only does
//! what was found out if nothing has come between, and otherwise it is found out again.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::Session;
use super::error::{BeginError, SessionError};
use crate::clock::Timestamp;
use crate::entry::{Content, Entry, check_name};
use crate::id::Generation;
use crate::state::{Change, Redo};
use crate::store::{EntryMark, Found, StoreError, StoredEntry};
use crate::turn::{BeginOptions, Turn};

/// How many entries are read at first to find the last turns; each further time four times as many.
const FIRST_LOOK: u64 = 32;

/// What a [`Session::rollback`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RolledBack {
    /// How many entries were taken back.
    pub entries: usize,
    /// The session's version from then on, which is also the number of the revision that has them.
    pub version: u64,
}

/// Entries that were taken back together; what [`Session::revisions`] lists.
#[derive(Debug)]
#[non_exhaustive]
pub struct TakenBack<E> {
    /// The session's version from then on.
    pub version: u64,
    /// When.
    pub at: Timestamp,
    /// The entries, in order.
    pub entries: Vec<Entry<E>>,
}

/// The last turns of a transcript.
struct Last {
    /// How to take them back.
    redo: Redo,
    /// How many entries they have.
    entries: usize,
    /// The first of them.
    first: Generation,
    /// What that was begun with.
    input: Option<Bytes>,
}

/// Why there are no such turns.
enum Missing {
    /// There are only so many, or no more may be taken back.
    TooDeep(usize),
    /// The store failed, or the session is over.
    Store(StoreError),
}

impl<E: Content> Session<E> {
    /// Takes the last `turns` turns out of the transcript, with all that came after the first of them: what
    /// was said and what was replied. 0 is taken for 1.
    ///
    /// What is taken back is kept as a revision for `kept.revisions_for`; see
    /// [`revisions`](Self::revisions). A turn that runs is in the way: stop it first. Counts as use.
    ///
    /// # Errors
    ///
    /// [`SessionError::TooDeep`] if there are not so many turns, or `limits.max_take_back` is less;
    /// [`SessionError::Busy`] while a turn runs; otherwise as [`append`](Self::append). With any of them
    /// nothing was changed, unless the store does not know.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has either done nothing or all of it.
    pub async fn rollback(&self, turns: usize) -> Result<RolledBack, SessionError> {
        loop {
            let last = match self.last_turns(turns.max(1)).await {
                Ok(last) => last,
                Err(Missing::TooDeep(max)) => return Err(self.too_deep(turns, max)),
                Err(Missing::Store(source)) => return Err(self.read_failed(source).await),
            };
            if let Some(changed) = self.change_unless_moved(Change::TakeBack(last.redo)).await? {
                return Ok(RolledBack { entries: last.entries, version: changed.version });
            }
        }
    }

    /// Does the last turn over, or the last `turns` ones: takes them back as
    /// [`rollback`](Self::rollback) does, and begins a turn with what the first of them was begun with,
    /// which is then in the transcript once. 0 is taken for 1.
    ///
    /// It makes no difference how that turn had ended: a reply that is to be better, one that failed, and
    /// one that a crash interrupted are done over alike. What was handed to a running turn later, under
    /// [`BusyPolicy::Steer`](crate::BusyPolicy::Steer), is in the revision only. A turn that runs is in
    /// the way, whatever the policy: stop it first.
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
        if let Some(key) = &options.idempotency_key {
            check_name(key, &engine.config.limits).map_err(BeginError::Input)?;
        }
        loop {
            let last = match self.last_turns(turns.max(1)).await {
                Ok(last) => last,
                Err(Missing::TooDeep(max)) => {
                    return Err(BeginError::TooDeep { id, asked: turns, max, instance });
                }
                // A session that is over has no turns to be found; the begin tells what it is.
                Err(Missing::Store(StoreError::Fenced { .. })) => Last::nothing(),
                Err(Missing::Store(source)) => return Err(BeginError::Store { id, source }),
            };
            if last.input.is_none() && last.redo.from > 0 {
                let stream = self.slot.stream_id(last.first);
                return Err(BeginError::NoInput { id, stream, instance });
            }
            let request = options.request(engine, Some(self.id()), self.key(), last.input.as_ref());
            engine.admit(&request).map_err(|denial| BeginError::denied(denial, engine))?;
            let begun = self.begin_encoded(last.input, options, Some(last.redo)).await?;
            if let Some(hold) = begun {
                return Ok(Turn::new(hold));
            }
        }
    }

    /// What was taken back and is not forgotten, oldest first. Does not count as use.
    ///
    /// # Errors
    ///
    /// As [`entries`](Self::entries).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only reads.
    pub async fn revisions(&self) -> Result<Vec<TakenBack<E>>, SessionError> {
        let slot = &self.slot;
        let revisions = match slot.engine.store.revisions(&slot.id, slot.incarnation).await {
            Ok(revisions) => revisions,
            Err(error) => return Err(self.read_failed(error).await),
        };
        let slot = self.current();
        let read = |revision: crate::store::Revision| TakenBack {
            version: revision.version,
            at: revision.at,
            entries: revision.entries.iter().map(|it| Self::decode_entry(&slot, it)).collect(),
        };
        Ok(revisions.into_iter().map(read).collect())
    }

    /// Finds the last `wanted` turns.
    async fn last_turns(&self, wanted: usize) -> Result<Last, Missing> {
        let slot = self.current();
        let (store, most) = (&slot.engine.store, slot.engine.config.limits.max_take_back);
        if wanted > most {
            return Err(Missing::TooDeep(most));
        }
        // What is on its way to its end may still change what the last turns are.
        while let Some(mut ending) = slot.ending() {
            while ending.next().await.is_some() {}
        }
        let found =
            store.look_up(&slot.id, slot.engine.now().wall).await.map_err(Missing::Store)?;
        let next_seq = match found {
            Found::Live(record) if record.incarnation == slot.incarnation => record.next_seq,
            Found::Live(_) | Found::Gone(_) | Found::Unknown => {
                let reason = crate::store::FenceReason::NoSuchLife;
                return Err(Missing::Store(StoreError::fenced(reason)));
            }
        };
        let mut look = FIRST_LOOK;
        loop {
            let after = (next_seq - 1).saturating_sub(look);
            let entries = store.entries(&slot.id, slot.incarnation, after, usize::MAX).await;
            let mut entries = entries.map_err(Missing::Store)?;
            entries.retain(|entry| entry.seq < next_seq);
            match Last::among(&entries, wanted, next_seq, after == 0) {
                Ok(last) => return Ok(last),
                Err(there) if after == 0 => return Err(Missing::TooDeep(there)),
                Err(_) => look = look.saturating_mul(4),
            }
        }
    }

    /// What a rollback that goes too far means to its caller.
    fn too_deep(&self, asked: usize, max: usize) -> SessionError {
        let (id, instance) = (self.slot.id.clone(), self.slot.engine.instance);
        SessionError::TooDeep { id, asked, max, instance }
    }
}

impl Last {
    /// What there is to take back in a session that is over.
    fn nothing() -> Self {
        let redo = Redo { from: 0, next_seq: 0 };
        Self { redo, entries: 0, first: Generation::default(), input: None }
    }

    /// The last `wanted` turns among `entries`, which are the end of a transcript or, if that is so, all
    /// of it; otherwise how many there are.
    fn among(
        entries: &[StoredEntry],
        wanted: usize,
        next_seq: u64,
        all: bool,
    ) -> Result<Self, usize> {
        let mut turns = BTreeSet::new();
        for entry in entries.iter().rev().filter(|entry| entry.mark != EntryMark::Aside) {
            let Some(generation) = entry.generation else { continue };
            if turns.len() == wanted && !turns.contains(&generation) {
                break;
            }
            turns.insert(generation);
        }
        let of_them =
            |entry: &&StoredEntry| entry.generation.is_some_and(|turn| turns.contains(&turn));
        let first = entries.iter().find(of_them);
        // Without an entry before them, the first of them may begin before what was read.
        let whole = all || first.is_some_and(|first| entries.first() != Some(first));
        let (Some(first), true) = (first, turns.len() == wanted && whole) else {
            return Err(turns.len());
        };
        Ok(Self {
            redo: Redo { from: first.seq, next_seq },
            entries: entries.iter().filter(|entry| entry.seq >= first.seq).count(),
            first: first.generation.unwrap_or_default(),
            input: first.input.then(|| first.payload.clone()),
        })
    }
}
