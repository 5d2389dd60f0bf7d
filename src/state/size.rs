//! How long the conversation is, and what would make it too long.
//!
//! What counts is what a reader of the transcript gets, with what stands beside it: inputs, replies, notes.
//! What was taken back does not count. A begin, a reply and an append are refused before anything of them is
//! decided; what a running turn takes from the queue, and what is left of an interrupted reply, is not refused
//! and counts from then on. It is counted on decisions, so that nobody waits for the store for it, and anew
//! when the session is loaded.

use super::{BeginRequest, Change, Ports, SessionState};
use crate::id::Generation;
use crate::limit::{Limit, TooLong};

/// An amount of entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// How many.
    pub(crate) entries: u64,
    /// Their bytes, encoded.
    pub(crate) bytes: u64,
}

impl Size {
    /// That of entries of these lengths.
    pub(crate) fn of(lengths: impl IntoIterator<Item = usize>) -> Self {
        lengths.into_iter().fold(Self::default(), |size, length| size.plus(Self::one(length)))
    }

    /// That of one entry.
    pub(crate) const fn one(length: usize) -> Self {
        Self { entries: 1, bytes: length as u64 }
    }

    /// Both together.
    pub(crate) const fn plus(self, more: Self) -> Self {
        let entries = self.entries.saturating_add(more.entries);
        Self { entries, bytes: self.bytes.saturating_add(more.bytes) }
    }

    /// What is left without `less`.
    pub(crate) const fn minus(self, less: Self) -> Self {
        let entries = self.entries.saturating_sub(less.entries);
        Self { entries, bytes: self.bytes.saturating_sub(less.bytes) }
    }

    /// Whether it is more than `max`, of which 0 is any amount.
    fn exceeds(self, max: Self) -> Option<TooLong> {
        let checks = [
            (Limit::Entries, self.entries, max.entries),
            (Limit::TranscriptBytes, self.bytes, max.bytes),
        ];
        let over = checks.into_iter().find(|(_, wanted, max)| *max > 0 && wanted > max);
        over.map(|(limit, wanted, max)| TooLong { limit, wanted, max })
    }
}

/// How long a conversation is, and how long it may be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Length {
    /// How long it is.
    pub(crate) size: Size,
    /// How long it may be; 0 is any length.
    pub(crate) max: Size,
}

impl Length {
    /// Why `more` is too much, if it is.
    fn refuse(&self, more: Size) -> Option<TooLong> {
        if self.max == Size::default() {
            return None; // As mostly.
        }
        self.size.plus(more).exceeds(self.max)
    }
}

impl<P: Ports> SessionState<P> {
    /// Why a begin is too much: there has to be room for its input, and for one entry of a reply.
    pub(super) fn refuse_long(&self, request: &BeginRequest) -> Option<TooLong> {
        let input = Size::of(request.input.iter().map(bytes::Bytes::len));
        let less = request.redo().map_or_else(Size::default, |redo| redo.taken);
        let length = Length { size: self.length.size.minus(less), ..self.length };
        length.refuse(input.plus(Size { entries: 1, bytes: 0 }))
    }

    /// Why a change is too much.
    pub(super) fn refuse_more(&self, change: &Change) -> Option<TooLong> {
        if let Change::PutBack { redo, back, .. } = change {
            let length = Length { size: self.length.size.minus(redo.taken), ..self.length };
            return length.refuse(*back);
        }
        let Change::Append(entries) = change else { return None };
        self.length.refuse(Size::of(entries.iter().map(bytes::Bytes::len)))
    }

    /// Why the reply of turn `generation` is too much, if that turn could commit it.
    pub(crate) fn refuse_reply(&self, generation: Generation, more: Size) -> Option<TooLong> {
        let open = self.turns.iter().find(|turn| turn.generation == generation);
        open.filter(|turn| turn.stopping.is_none()).and_then(|_| self.length.refuse(more))
    }

    /// So much was added.
    pub(super) fn grow(&mut self, more: Size) {
        self.length.size = self.length.size.plus(more);
    }

    /// So much was taken out.
    pub(super) fn shrink(&mut self, less: Size) {
        self.length.size = self.length.size.minus(less);
    }
}
