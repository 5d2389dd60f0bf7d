//! What is kept of what turns have said.

use bytes::Bytes;

use super::super::super::{Generation, InputFate, PartialPolicy, Record};
use super::{Model, Turn};
use crate::outcome::TurnOutcome;
use crate::store::{EntryMark, PartialPiece};

/// What a turn has said.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// All of it, as far as it was taken.
    text: String,
    /// What the store has said it keeps.
    kept: String,
    /// Whether nobody knows whether the store has a piece: then nothing more is taken.
    unsure: bool,
    /// Whether nothing of it is to be kept beside the transcript.
    gone: bool,
    /// Whether its turn has ended by itself, or over its head, and not with the state.
    whole: bool,
}

impl Model {
    /// Whether what turn `generation` says is taken.
    pub(in super::super) fn speaks(&self, generation: Generation) -> bool {
        let turn = self.open.iter().find(|turn| turn.generation == generation);
        turn.is_some_and(|turn| turn.given && turn.told.is_none())
    }

    /// A turn says something.
    pub(in super::super) fn says(&mut self, generation: Generation, text: &str) {
        let said = self.said.entry(generation).or_default();
        if !said.unsure {
            said.text.push_str(text);
        }
    }

    /// The store answers for a piece.
    pub(super) fn piece(&mut self, turn: Generation, piece: &PartialPiece, kept: Option<bool>) {
        let said = self.said.get_mut(&turn).expect("who has said nothing has no piece");
        let text = std::str::from_utf8(&piece.text).expect("text");
        match kept {
            Some(true) => said.kept.push_str(text),
            Some(false) => {}
            None => said.unsure = true,
        }
    }

    /// A revision may be forgotten, and with it what its turns had said: nothing of that has to be there any more.
    pub(in super::super) fn may_forget(&mut self, turns: impl Iterator<Item = Generation>) {
        for turn in turns {
            if let Some(said) = self.said.get_mut(&turn) {
                (said.unsure, said.kept) = (true, String::new());
            }
        }
    }

    /// A turn is over: what becomes of what it has said.
    pub(super) fn leaves(&mut self, turn: &Turn, outcome: TurnOutcome, fate: InputFate) {
        let Some(said) = self.said.get_mut(&turn.generation) else { return };
        said.whole = true;
        said.gone = true;
        if outcome == TurnOutcome::Committed || fate != InputFate::Keep {
            return;
        }
        match self.partials {
            PartialPolicy::Beside => said.gone = false,
            PartialPolicy::Entry if !said.text.is_empty() => {
                let text = Bytes::from(said.text.clone());
                self.partial_entry(turn.generation, text);
            }
            PartialPolicy::Entry | PartialPolicy::Drop => {}
        }
    }

    /// What was said becomes an entry.
    fn partial_entry(&mut self, turn: Generation, text: Bytes) {
        self.lines.insert(self.next_seq, (text, EntryMark::Partial));
        self.owners.insert(self.next_seq, turn);
        self.next_seq += 1;
        self.version += 1;
    }

    /// The session is loaded, and these turns were open: `said` is what the store has of each.
    pub(super) fn interrupted(&mut self, record: &Record, said: &[Bytes]) {
        for (marker, text) in record.open.iter().zip(said) {
            let turn = marker.generation;
            let kept = String::from_utf8(text.to_vec()).expect("text");
            let mut said = Said { text: kept.clone(), kept, whole: true, ..Said::default() };
            if self.partials == PartialPolicy::Entry && !text.is_empty() {
                said.gone = true;
                self.partial_entry(turn, text.clone());
            }
            self.said.insert(turn, said);
        }
    }

    /// Whatever the store has of a turn is the beginning of what that has said, and has all of what it
    /// said that it keeps.
    pub(in super::super) fn keeps_beginnings(&self, stored: impl Fn(Generation) -> Bytes) {
        for (turn, said) in &self.said {
            let stored = stored(*turn);
            let text = std::str::from_utf8(&stored).expect("text");
            assert!(said.text.starts_with(text), "{turn:?}: {text} of {said:?}");
        }
    }

    /// At rest: what is kept beside the transcript is all that was said, unless nobody knew.
    pub(in super::super) fn keeps_partials(&self, stored: impl Fn(Generation) -> Bytes) {
        self.keeps_beginnings(&stored);
        for (turn, said) in &self.said {
            let stored = stored(*turn);
            let text = std::str::from_utf8(&stored).expect("text");
            assert!(said.whole, "its turn is over");
            if said.gone {
                assert_eq!(text, "", "{turn:?} left nothing");
            } else if said.unsure {
                assert!(text.starts_with(&said.kept), "{turn:?}: {text} of {said:?}");
            } else {
                assert_eq!(text, said.text, "{turn:?}");
            }
        }
    }
}
