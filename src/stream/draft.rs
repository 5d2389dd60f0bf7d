//! What a turn has said and the store does not have yet, gathered into pieces. Pure.
//!
//! A reply of thousands of chunks must not cost thousands of transactions, and a crash must not cost
//! much of the reply. So a piece is due when enough chunks wait, or when some have waited for a while;
//! and since a slow reply would be due again and again, that while doubles with each piece that was due
//! for its age alone.
//!
//! Invariants: pieces follow on each other without a gap; one at most is with the store; what the store
//! did not take is in the next one; never more than the bound is kept of a reply, and what is behind it
//! is not kept at all, so that what is kept is always its beginning.

use std::time::Duration;

use bytes::Bytes;

use crate::clock::Moment;
use crate::config::PartialConfig;
use crate::policy::PartialPolicy;
use crate::store::PartialPiece;

/// How many bytes make a piece due, however few chunks they are.
const PIECE_BYTES: usize = 64 * 1_024;

/// What became of the piece that was given to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PieceFate {
    /// It is kept.
    Kept,
    /// It is not.
    Lost,
    /// Nobody knows, so nothing can be said of what would follow on it.
    Unknown,
}

/// What a turn has said, as far as it is to be kept.
#[derive(Debug)]
pub(crate) struct Draft {
    /// When pieces are due, and how much is kept.
    config: PartialConfig,
    /// The text from `start` on waits; what is before it is wanted as an entry.
    text: String,
    /// Where what waits begins.
    start: usize,
    /// How many chunks the store has.
    kept: u64,
    /// How many chunks wait, those with the store among them.
    waiting: u64,
    /// How many of them are with the store.
    sent: u64,
    /// How many bytes of them are with the store.
    sent_bytes: usize,
    /// How many must wait for a piece to be due.
    due_at: u64,
    /// How many bytes must wait for a piece to be due, however few chunks they are.
    due_at_bytes: usize,
    /// How many bytes were taken.
    bytes: usize,
    /// Whether nothing more is taken.
    full: bool,
    /// When what waits is due, whatever it is; `None` if that is to be set.
    next_at: Option<Moment>,
    /// How long chunks wait now.
    patience: Duration,
    /// How far the pieces had come when somebody looked last.
    seen: u64,
}

impl Draft {
    /// An empty one, of a turn that was asked for at `since`.
    pub(crate) fn new(since: Moment, config: &PartialConfig) -> Self {
        Self {
            config: config.clone(),
            text: String::new(),
            start: 0,
            kept: 0,
            waiting: 0,
            sent: 0,
            sent_bytes: 0,
            due_at: config.every_chunks as u64,
            due_at_bytes: PIECE_BYTES,
            bytes: 0,
            full: false,
            next_at: Some(since.plus(config.every)),
            patience: config.every,
            seen: 0,
        }
    }

    /// Adds a chunk; answers whether a piece is due.
    pub(crate) fn push(&mut self, chunk: &str) -> bool {
        if self.full || self.bytes + chunk.len() > self.config.max_bytes {
            self.full = true;
            return false;
        }
        self.text.push_str(chunk);
        self.bytes += chunk.len();
        self.waiting += 1;
        self.is_due()
    }

    /// Whether enough waits, and nothing is with the store.
    fn is_due(&self) -> bool {
        let bytes = self.text.len() - self.start;
        let enough = self.waiting >= self.due_at || bytes >= self.due_at_bytes;
        self.sent == 0 && self.waiting > 0 && enough
    }

    /// Whether what waits has waited long enough. To be asked every now and then.
    pub(crate) fn is_overdue(&mut self, now: Moment) -> bool {
        let come = self.kept + self.sent;
        if come != self.seen {
            // A piece went since the last look: what waits now is younger than that.
            self.seen = come;
            self.next_at = None;
        }
        let next_at = *self.next_at.get_or_insert_with(|| now.plus(self.patience));
        if now < next_at || self.sent > 0 || self.waiting == 0 {
            return false;
        }
        self.patience = self.patience.saturating_mul(2);
        self.next_at = None;
        true
    }

    /// What waits, to be given to the store; nothing while a piece is with it, since nobody knows yet what
    /// the next one follows on.
    pub(crate) fn take_piece(&mut self) -> Option<PartialPiece> {
        if self.sent > 0 { None } else { self.take_last() }
    }

    /// What waits and is not with the store, for the end of the turn. It follows on the piece that is
    /// with the store; if that is lost, it is to be taken again.
    pub(crate) fn take_last(&mut self) -> Option<PartialPiece> {
        let chunks = self.waiting - self.sent;
        if chunks == 0 {
            return None;
        }
        let first = self.kept + self.sent + 1;
        let text = self.text.get(self.start + self.sent_bytes..).unwrap_or_default();
        let text = Bytes::copy_from_slice(text.as_bytes());
        self.sent = self.waiting;
        self.sent_bytes += text.len();
        Some(PartialPiece { first, chunks, text })
    }

    /// Takes in what became of what is with the store; answers whether another piece is due.
    pub(crate) fn settle_piece(&mut self, fate: PieceFate) -> bool {
        let every_chunks = self.config.every_chunks as u64;
        let (sent, sent_bytes) = (self.sent, self.sent_bytes);
        (self.sent, self.sent_bytes) = (0, 0);
        match fate {
            PieceFate::Kept => {
                self.kept += sent;
                self.waiting -= sent;
                self.start += sent_bytes;
                (self.due_at, self.due_at_bytes) = (every_chunks, PIECE_BYTES);
                if self.config.interrupted != PartialPolicy::Entry {
                    self.text.drain(..self.start);
                    self.start = 0;
                }
            }
            // Not at once again: a store that fails is not asked for every chunk.
            PieceFate::Lost => {
                self.due_at = self.waiting + every_chunks;
                self.due_at_bytes = self.text.len() - self.start + PIECE_BYTES;
            }
            PieceFate::Unknown => {
                self.full = true;
                self.waiting = 0;
                self.start = self.text.len();
            }
        }
        self.is_due()
    }

    /// Everything that was said, as far as it is kept, if that is wanted as an entry.
    pub(crate) fn text(&self) -> Bytes {
        Bytes::copy_from_slice(self.text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(every_chunks: usize, max_bytes: usize) -> PartialConfig {
        PartialConfig { every_chunks, max_bytes, ..PartialConfig::default() }
    }

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    fn piece(first: u64, chunks: u64, text: &'static str) -> PartialPiece {
        PartialPiece { first, chunks, text: Bytes::from_static(text.as_bytes()) }
    }

    // C10
    #[test]
    fn pieces_follow_on_each_other_and_one_at_most_is_with_the_store() {
        let config = config(2, 1_000);
        let mut draft = Draft::new(at(0), &config);
        assert!(!draft.push("a") && draft.push("b"));
        assert_eq!(draft.take_piece(), Some(piece(1, 2, "ab")));
        assert!(!draft.push("c") && !draft.push("d"), "one is with the store");
        assert!(draft.settle_piece(PieceFate::Kept), "two wait");
        assert_eq!(draft.take_piece(), Some(piece(3, 2, "cd")));
        assert_eq!(draft.take_last(), None);
        assert!(!draft.push("e"));
        assert_eq!(draft.take_piece(), None, "one is with the store");
        let last = draft.take_last();
        assert_eq!(last, Some(piece(5, 1, "e")), "the last one follows on what is with it");
    }

    #[test]
    fn what_the_store_did_not_take_is_in_the_next_piece() {
        let config = config(2, 1_000);
        let mut draft = Draft::new(at(0), &config);
        assert!(!draft.push("a") && draft.push("b"));
        draft.take_piece();
        assert!(!draft.push("c"));
        assert!(!draft.settle_piece(PieceFate::Lost), "not at once again");
        assert!(!draft.push("d") && draft.push("e"));
        assert_eq!(draft.take_piece(), Some(piece(1, 5, "abcde")));
        assert!(!draft.settle_piece(PieceFate::Unknown));
        assert!(!draft.push("f") && !draft.push("g"));
        assert_eq!(draft.take_piece(), None, "nobody knows what it would follow on");
    }

    #[test]
    fn a_store_that_fails_is_not_asked_for_every_chunk_however_large_they_are() {
        let config = config(100, 1_024 * 1_024);
        let mut draft = Draft::new(at(0), &config);
        let large = "x".repeat(65_535); // 64 KiB less one
        assert!(!draft.push(&large) && draft.push("yz"));
        draft.take_piece();
        assert!(!draft.settle_piece(PieceFate::Lost), "not at once again");
        assert!(!draft.push(&large) && draft.push("z"));
        assert_eq!(draft.take_piece().map(|piece| (piece.first, piece.chunks)), Some((1, 4)));
        assert!(!draft.settle_piece(PieceFate::Kept));
        assert!(!draft.push(&large) && draft.push("z"), "as at first");
    }

    // C10
    #[test]
    fn where_all_is_wanted_as_an_entry_what_is_kept_already_makes_no_piece_due() {
        let interrupted = PartialPolicy::Entry;
        let config = PartialConfig { interrupted, ..config(100, 1_024 * 1_024) };
        let mut draft = Draft::new(at(0), &config);
        let large = "x".repeat(65_535); // 64 KiB less one
        assert!(!draft.push(&large) && draft.push("y"));
        draft.take_piece();
        assert!(!draft.settle_piece(PieceFate::Kept) && !draft.push("z"));
        assert!(draft.push(&large));
        assert_eq!(draft.take_piece().map(|piece| (piece.first, piece.chunks)), Some((3, 2)));
        assert!(!draft.settle_piece(PieceFate::Lost));
        assert!(!draft.push(&large) && draft.push("z"), "another piece of what was not taken");
        assert_eq!(draft.take_piece().map(|piece| (piece.first, piece.chunks)), Some((3, 4)));
        let text = draft.text();
        assert!(text.starts_with(b"xx") && text.len() == 3 * 65_535 + 3, "all of it");
    }

    #[test]
    fn no_more_than_the_bound_is_kept_and_it_is_the_beginning() {
        let config = config(100, 5);
        let mut draft = Draft::new(at(0), &config);
        for chunk in ["ab", "cd", "ef", "g"] {
            assert!(!draft.push(chunk));
        }
        assert_eq!(draft.take_piece(), Some(piece(1, 2, "abcd")));
        let mut full = Draft::new(at(0), &config);
        for chunk in ["ab", "cde", "f"] {
            assert!(!full.push(chunk));
        }
        assert_eq!(full.take_piece(), Some(piece(1, 2, "abcde")), "as much as the bound, not less");
    }

    // C10
    #[test]
    fn a_reply_of_two_thousand_chunks_is_few_pieces_at_any_pace() {
        for chunks_a_second in [1, 3, 10, 30, 100, 1_000] {
            let config = PartialConfig::default();
            let mut draft = Draft::new(at(0), &config);
            let (mut said, mut pieces, mut second) = (0, 0, 0);
            while said < 2_000 {
                second += 1;
                let mut due = false;
                for _ in 0..chunks_a_second.min(2_000 - said) {
                    said += 1;
                    if draft.push("word ") {
                        due = false;
                        draft.take_piece();
                        draft.settle_piece(PieceFate::Kept);
                        pieces += 1;
                    }
                }
                due |= draft.is_overdue(at(second));
                if due && draft.take_piece().is_some() {
                    draft.settle_piece(PieceFate::Kept);
                    pieces += 1;
                }
            }
            // Beside them there are the begin and the end.
            assert!((12..=18).contains(&pieces), "{pieces} at {chunks_a_second} a second");
        }
    }

    #[test]
    fn the_first_words_of_a_slow_reply_are_kept_soon() {
        let config = PartialConfig::default();
        let mut draft = Draft::new(at(0), &config);
        draft.push("hello");
        assert!(!draft.is_overdue(at(4)) && draft.is_overdue(at(5)));
    }

    #[test]
    fn what_waits_behind_a_piece_is_not_overdue_before_that_is_settled() {
        let config = PartialConfig::default();
        let mut draft = Draft::new(at(0), &config);
        draft.push("hello");
        assert!(draft.is_overdue(at(5)) && draft.take_piece().is_some());
        draft.push("you");
        assert!(!draft.is_overdue(at(6)) && !draft.is_overdue(at(1_000)));
        assert!(!draft.settle_piece(PieceFate::Lost));
        assert!(!draft.is_overdue(at(1_000)) && draft.is_overdue(at(1_010)), "it waits anew");
    }
}
