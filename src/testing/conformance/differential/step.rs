//! One operation of a random sequence, and how it is drawn.

use bytes::Bytes;

use super::super::rig::{at, bytes, id, key, marker, new};
use super::super::snapshot::{DATA, NAMES};
use crate::clock::Timestamp;
use crate::id::{Generation, Incarnation, SessionId};
use crate::key::SessionKey;
use crate::outcome::TurnOutcome;
use crate::store::{
    Binding, DataChange, InputFate, NewRecord, PartialFate, Record, RecordFilter, Write,
};
use crate::tombstone::{GoneReason, Tombstone};

/// An operation in terms of both stores: lives are named by the order in which they were made.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// `Store::create`.
    Create(NewRecord),
    /// `Store::write` of anything but a delete.
    Write {
        /// Which life.
        life: usize,
        /// What.
        write: Write,
    },
    /// `Write::Delete`.
    Delete {
        /// Which life.
        life: usize,
        /// What stays; each store puts in its own number.
        tombstone: Tombstone,
    },
    /// `Store::look_up`.
    LookUp {
        /// Which id.
        id: SessionId,
        /// As of when.
        now: Timestamp,
    },
    /// `Store::bound_to`.
    BoundTo(SessionKey),
    /// `Store::entries`.
    Entries {
        /// Which life.
        life: usize,
        /// After which number.
        after: u64,
        /// How many.
        limit: usize,
    },
    /// `Store::datum`.
    Datum {
        /// Which life.
        life: usize,
        /// Which datum.
        name: &'static str,
    },
    /// `Store::turn`.
    Turn {
        /// Which life.
        life: usize,
        /// Which turn.
        generation: Generation,
    },
    /// `Store::list`.
    List {
        /// Which.
        filter: RecordFilter,
        /// After which life.
        after: Option<usize>,
        /// How many.
        limit: usize,
    },
    /// `Store::forget_tombstones`.
    Forget {
        /// As of when.
        now: Timestamp,
        /// How many.
        limit: usize,
    },
}

impl Step {
    /// A create, of which the key's expectation is mostly right.
    pub(super) fn create(
        random: &mut Random,
        now: u64,
        name: &str,
        chat: &str,
        bound_to: Option<SessionId>,
    ) -> Self {
        let expected = if random.one_in(5) { Some(id(random.name())) } else { bound_to };
        let binding = (!random.one_in(3)).then(|| Binding { key: key(chat), expected });
        Self::Create(NewRecord {
            allow_reuse: random.one_in(2),
            binding,
            label: random.one_in(2).then(|| format!("made at {now}")),
            entries: random.payloads(),
            data: random.changes().into_iter().filter_map(kept).collect(),
            at: at(now),
            ..new(name)
        })
    }

    /// A read; of one life, or of all.
    pub(super) fn read(random: &mut Random, now: u64, life: usize) -> Self {
        let limit = random.index(5) + 1;
        match random.below(8) {
            0 => Self::LookUp { id: id(random.name()), now: at(now) },
            1 => Self::BoundTo(key(random.name())),
            2 | 3 => Self::Entries { life, after: random.below(6), limit },
            4 => Self::Datum { life, name: random.pick(&DATA) },
            5 => Self::Turn { life, generation: Generation::new(random.below(6)) },
            6 => Self::Forget { now: at(now), limit },
            _ => {
                let filter = RecordFilter {
                    platform: random.one_in(2).then(|| "test".to_owned()),
                    active_since: random.one_in(2).then(|| at(now.saturating_sub(20))),
                    replying: random.one_in(2).then(|| random.one_in(2)),
                };
                Self::List { filter, after: random.one_in(2).then_some(life), limit }
            }
        }
    }

    /// A write to a life of which `record` is known; mostly one that is accepted.
    pub(super) fn write(random: &mut Random, now: u64, life: usize, record: &Record) -> Self {
        let (at, version) = (at(now), record.version + 1);
        let seq = if random.one_in(10) { random.below(8) } else { record.next_seq };
        let newest = record.generation.get();
        let open = record.open.get(random.index(record.open.len().max(1)));
        let open = open.filter(|_| !random.one_in(10)).map(|marker| marker.generation);
        let turn = open.unwrap_or_else(|| Generation::new(random.below(newest + 2)));
        let write = match random.below(16) {
            0..4 => {
                let next = if random.one_in(10) { random.below(newest + 1) } else { newest + 1 };
                let input = (!random.one_in(4)).then(|| (seq, random.payload()));
                Write::Begin { marker: marker(next, now), input, extra: None, at }
            }
            4..7 => {
                let (entries, data) = (random.payloads(), random.changes());
                Write::Commit { generation: turn, first_seq: seq, entries, data, version, at }
            }
            7..10 => {
                let outcome = random.pick(&TurnOutcome::ALL[1..]);
                let input = random.pick(&[InputFate::Keep, InputFate::Drop, InputFate::Aside]);
                let (partial, next_seq) = (PartialFate::Drop, record.next_seq);
                Write::Settle { generation: turn, outcome, input, partial, next_seq, version, at }
            }
            10..12 => Write::Append { first_seq: seq, entries: random.payloads(), version, at },
            12 | 13 => Write::PutData { changes: random.changes(), version, at },
            14 => Write::Label { label: random.one_in(2).then(|| format!("at {now}")) },
            _ => return Self::delete(random, now, life),
        };
        Self::Write { life, write }
    }

    /// A delete, whose tombstone may have ended already.
    fn delete(random: &mut Random, now: u64, life: usize) -> Self {
        let tombstone = Tombstone {
            incarnation: Incarnation::new(0),
            reason: GoneReason::Deleted,
            at: at(now),
            until: at(now + random.below(120)),
        };
        Self::Delete { life, tombstone }
    }
}

/// A datum to begin with, if a change is not a removal.
fn kept(change: DataChange) -> Option<(String, Bytes)> {
    change.value.map(|value| (change.name, value))
}

/// Marsaglia's xorshift: the same sequence for the same seed, on every machine.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub(super) fn new(seed: u64) -> Self {
        // Zero is the one state that does not move.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1))
    }

    /// A number below `bound`, or 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The low bits are the weak ones.
        (self.0 >> 16).checked_rem(bound).unwrap_or(0)
    }

    /// An index below `bound`, or 0.
    pub(super) fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).expect("it is below a usize")
    }

    /// Once in so many times.
    pub(super) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of several.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        *from.get(self.index(from.len())).expect("nobody picks from nothing")
    }

    /// The name of an id or a chat.
    pub(super) fn name(&mut self) -> &'static str {
        self.pick(&NAMES)
    }

    /// Something to store.
    fn payload(&mut self) -> Bytes {
        bytes(&format!("{:x}", self.below(1 << 20)))
    }

    /// Up to two payloads.
    fn payloads(&mut self) -> Vec<Bytes> {
        (0..self.below(3)).map(|_| self.payload()).collect()
    }

    /// Up to two changes of data.
    fn changes(&mut self) -> Vec<DataChange> {
        let one = |random: &mut Self| DataChange {
            name: random.pick(&DATA).to_owned(),
            value: (!random.one_in(3)).then(|| random.payload()),
        };
        (0..self.below(3)).map(|_| one(self)).collect()
    }
}
