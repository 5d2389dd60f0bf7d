//! Reading and adding to what a conversation consists of.

use super::Session;
use super::error::SessionError;
use crate::entry::{Content, Entry, EntryError, decode, encode};
use crate::slot::Slot;
use crate::state::Change;
use crate::store::{EntryMark, StoredEntry};

impl<E: Content> Session<E> {
    /// Adds entries without a turn, such as a notice; answers the number of the last. Counts as use.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    ///
    /// # Cancel safety
    ///
    /// As [`insert`](Self::insert).
    pub async fn append(&self, entries: &[E]) -> Result<u64, SessionError> {
        let max = self.slot.engine.config.limits.max_entry_bytes;
        let entries = entries.iter().map(|entry| encode(entry, max)).collect::<Result<_, _>>();
        let entries = entries.map_err(|error| self.refused(error))?;
        self.change(Change::Append(entries)).await.map(|changed| changed.last_seq)
    }

    /// Up to `limit` entries with a number above `after`, in order; `after` 0 starts at the first.
    ///
    /// The input of a turn that runs is among them, marked [`EntryMark::Pending`]. Never waits for a
    /// turn, never counts as use.
    ///
    /// # Errors
    ///
    /// As the store says. An entry that cannot be read is an error in that entry alone.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only reads.
    pub async fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry<E>>, SessionError> {
        let slot = &self.slot;
        let stored = match slot.engine.store.entries(&slot.id, slot.incarnation, after, limit).await
        {
            Ok(stored) => stored,
            Err(error) => return Err(self.read_failed(error).await),
        };
        let slot = self.current();
        Ok(stored.iter().map(|entry| Self::decode_entry(&slot, entry)).collect())
    }

    /// The whole transcript: [`entries`](Self::entries) without those beside it.
    ///
    /// # Errors
    ///
    /// As [`entries`](Self::entries).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only reads.
    pub async fn transcript(&self) -> Result<Vec<Entry<E>>, SessionError> {
        let mut entries = self.entries(0, usize::MAX).await?;
        entries.retain(|entry| entry.mark != EntryMark::Aside);
        Ok(entries)
    }

    /// An entry as its reader sees it.
    fn decode_entry(slot: &Slot, stored: &StoredEntry) -> Entry<E> {
        let open = stored.generation.is_some_and(|turn| slot.is_open(turn));
        let pending = open && stored.mark == EntryMark::Kept;
        let content = match stored.mark {
            EntryMark::Damaged => Err(EntryError::Damaged),
            EntryMark::Kept
            | EntryMark::Pending
            | EntryMark::Unanswered
            | EntryMark::Partial
            | EntryMark::Aside => decode(&stored.payload),
        };
        Entry {
            seq: stored.seq,
            stream: stored.generation.map(|generation| slot.stream_id(generation)),
            mark: if pending { EntryMark::Pending } else { stored.mark },
            at: stored.at,
            content,
        }
    }
}
