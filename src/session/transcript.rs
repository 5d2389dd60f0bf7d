//! Reading and adding to what a conversation consists of.

use super::Session;
use super::error::SessionError;
use crate::entry::{Content, Entry, EntryError, decode, encode};
use crate::id::{Generation, StreamId};
use crate::slot::Slot;
use crate::state::Change;
use crate::store::{BranchRecord, EntryMark, StoredEntry};
use crate::tree::Tree;

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

    /// The whole transcript: [`entries`](Self::entries) without those beside it. Where turns stand beside
    /// each other it follows the one that committed last; see [`branches`](Self::branches).
    ///
    /// # Errors
    ///
    /// As [`entries`](Self::entries).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only reads.
    pub async fn transcript(&self) -> Result<Vec<Entry<E>>, SessionError> {
        self.line(None).await
    }

    /// The transcript as it stands for the turn `stream`, whichever of its siblings the conversation went
    /// on from: what came before that turn, and its own entries. Empty if there is no such turn.
    ///
    /// # Errors
    ///
    /// As [`entries`](Self::entries).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only reads.
    pub async fn transcript_of(&self, stream: StreamId) -> Result<Vec<Entry<E>>, SessionError> {
        if stream.incarnation() != self.slot.incarnation {
            return Ok(Vec::new());
        }
        self.line(Some(stream.generation())).await
    }

    /// The turns that were begun under [`Parallel::Branch`](crate::Parallel::Branch), or beside one that
    /// was, oldest first, each with the number of the entry that it stands under; 0 is the start of the
    /// transcript. Those with the same number are siblings. Without those that were taken back.
    ///
    /// # Errors
    ///
    /// As [`entries`](Self::entries).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only reads.
    pub async fn branches(&self) -> Result<Vec<(StreamId, u64)>, SessionError> {
        let stored = self.stored_entries().await?;
        // Read after the entries: a turn that is among them is among these.
        let branches = self.stored_branches().await?;
        let branches = Tree::new(&stored, &branches).branches(&branches);
        let name = |branch: BranchRecord| (self.slot.stream_id(branch.generation), branch.parent);
        Ok(branches.into_iter().map(name).collect())
    }

    /// Every entry, those beside the transcript included.
    async fn stored_entries(&self) -> Result<Vec<StoredEntry>, SessionError> {
        let slot = &self.slot;
        match slot.engine.store.entries(&slot.id, slot.incarnation, 0, usize::MAX).await {
            Ok(stored) => Ok(stored),
            Err(error) => Err(self.read_failed(error).await),
        }
    }

    /// The turns that stand beside siblings.
    async fn stored_branches(&self) -> Result<Vec<BranchRecord>, SessionError> {
        let slot = &self.slot;
        match slot.engine.store.branches(&slot.id, slot.incarnation).await {
            Ok(branches) => Ok(branches),
            Err(error) => Err(self.read_failed(error).await),
        }
    }

    /// The line of the transcript that ends with turn `last`, or else with the newest entry.
    async fn line(&self, last: Option<Generation>) -> Result<Vec<Entry<E>>, SessionError> {
        let stored = self.stored_entries().await?;
        // Read after the entries: a turn that is among them is among these.
        let line = Tree::new(&stored, &self.stored_branches().await?).line(last);
        let slot = self.current();
        Ok(line.into_iter().map(|entry| Self::decode_entry(&slot, entry)).collect())
    }

    /// An entry as its reader sees it.
    pub(super) fn decode_entry(slot: &Slot, stored: &StoredEntry) -> Entry<E> {
        let open = stored.generation.is_some_and(|turn| slot.is_open(turn));
        let pending = open && stored.input && stored.mark == EntryMark::Kept;
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
            input: stored.input,
            mark: if pending { EntryMark::Pending } else { stored.mark },
            at: stored.at,
            content,
        }
    }
}
