//! One operation of a random sequence, and how it is drawn.

use bytes::Bytes;

use super::super::rig::{at, id, key, marker, new};
use super::super::snapshot::{DATA, REQUESTS, SERVICES};
use super::random::{Random, STANDINGS};
use crate::clock::Timestamp;
use crate::id::{Generation, Incarnation, SessionId};
use crate::key::SessionKey;
use crate::outcome::TurnOutcome;
use crate::store::{
    Binding, DataChange, Forget, InputFate, NewRecord, PartialFate, Record, RecordFilter, Write,
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
    /// `Store::bind`.
    Bind {
        /// Which key, and what is expected of it.
        binding: Binding,
        /// Which life.
        to: Option<usize>,
    },
    /// `Store::keys_of`.
    KeysOf(usize),
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
    /// `Store::partial`.
    Partial {
        /// Which life.
        life: usize,
        /// Which turn.
        generation: Generation,
    },
    /// `Store::request`.
    Request {
        /// Which life.
        life: usize,
        /// Which name.
        key: &'static str,
    },
    /// `Store::resume`.
    Resume {
        /// Which life.
        life: usize,
        /// Which service.
        provider: &'static str,
    },
    /// `Store::branches`.
    Branches(usize),
    /// `Store::revisions`.
    Revisions(usize),
    /// `Store::heal`.
    Heal,
    /// `Store::forget`.
    Forget {
        /// What.
        what: Forget,
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

    /// A bind, of which the expectation is mostly right.
    pub(super) fn bind(
        random: &mut Random,
        chat: &str,
        bound_to: Option<SessionId>,
        life: usize,
    ) -> Self {
        let expected = if random.one_in(5) { Some(id(random.name())) } else { bound_to };
        let to = (!random.one_in(4)).then_some(life);
        Self::Bind { binding: Binding { key: key(chat), expected }, to }
    }

    /// A read; of one life, or of all.
    pub(super) fn read(random: &mut Random, now: u64, life: usize) -> Self {
        let limit = random.index(5) + 1;
        let generation = Generation::new(random.below(6));
        match random.below(15) {
            0 => Self::LookUp { id: id(random.name()), now: at(now) },
            1 => Self::BoundTo(key(random.name())),
            2 | 3 => Self::Entries { life, after: random.below(6), limit },
            4 => Self::Datum { life, name: random.pick(&DATA) },
            5 => Self::Turn { life, generation },
            6 => {
                let what = random.pick(&[
                    Forget::Tombstones(at(now)),
                    Forget::Revisions(at(now.saturating_sub(60))),
                    Forget::Requests(at(now.saturating_sub(60))),
                    Forget::ResumeHandles(at(now.saturating_sub(60))),
                    Forget::RefusedHandles(at(now.saturating_sub(60))),
                ]);
                Self::Forget { what, limit }
            }
            7 => Self::Partial { life, generation },
            8 => Self::Request { life, key: random.pick(&REQUESTS) },
            12 => Self::Resume { life, provider: random.pick(&SERVICES) },
            9 => Self::Branches(life),
            10 => Self::Revisions(life),
            11 => Self::KeysOf(life),
            13 => Self::Heal,
            _ => {
                let filter = RecordFilter {
                    platform: random.one_in(2).then(|| "test".to_owned()),
                    active_since: random.one_in(2).then(|| at(now.saturating_sub(20))),
                    replying: random.one_in(2).then(|| random.one_in(2)),
                    routable: random.one_in(2).then(|| random.one_in(2)),
                };
                Self::List { filter, after: random.one_in(2).then_some(life), limit }
            }
        }
    }

    /// The turn that the next write is for, if it is for one: mostly an open one.
    pub(super) fn turn(random: &mut Random, record: &Record) -> Generation {
        let open = record.open.get(random.index(record.open.len().max(1)));
        let open = open.filter(|_| !random.one_in(10)).map(|marker| marker.generation);
        open.unwrap_or_else(|| Generation::new(random.below(record.generation.get() + 2)))
    }

    /// A write to a life, mostly one that is accepted.
    pub(super) fn write(random: &mut Random, now: u64, life: usize, known: &Known) -> Self {
        let (at, record, turn) = (at(now), &known.record, known.turn);
        let version = if random.one_in(20) { random.below(8) } else { record.version + 1 };
        let seq = if random.one_in(10) { random.below(8) } else { record.next_seq };
        let newest = record.generation.get();
        let write = match random.below(32) {
            0..5 => {
                let next = if random.one_in(10) { random.below(newest + 1) } else { newest + 1 };
                let input = (!random.one_in(4)).then(|| (seq, random.payload()));
                let extra = random.one_in(3).then(|| Box::new(random.extra(version, seq)));
                Write::Begin { marker: marker(next, now), input, extra, at }
            }
            5..8 => {
                let (entries, data) = (random.payloads(), random.changes());
                let extra = random.one_in(3).then(|| Box::new(random.commit_extra()));
                Write::Commit {
                    generation: turn,
                    first_seq: seq,
                    entries,
                    data,
                    extra,
                    version,
                    at,
                }
            }
            8..11 => {
                let outcome = random.pick(&TurnOutcome::ALL[1..]);
                let input = random.pick(&[InputFate::Keep, InputFate::Drop, InputFate::Aside]);
                let partial = random.partial_fate(known.said);
                let entries = u64::from(matches!(partial, PartialFate::Entry { .. }));
                let next_seq = seq + if random.one_in(5) { random.below(3) } else { entries };
                Write::Settle { generation: turn, outcome, input, partial, next_seq, version, at }
            }
            11..13 => Write::Append { first_seq: seq, entries: random.payloads(), version, at },
            13 | 14 => Write::PutData { changes: random.changes(), version, at },
            15 => Write::Label { label: random.one_in(2).then(|| format!("at {now}")) },
            16 | 17 => Write::Partial { generation: turn, piece: random.piece(known.said) },
            18 => Write::Steer { generation: turn, seq, input: random.payload(), at },
            19 | 20 => Write::TakeBack { from: random.take_back(version, seq), at },
            21 => Write::Standing {
                standing: random.pick(&STANDINGS),
                unused_since: random.one_in(2).then_some(record.last_active_at),
                used_at: random.one_in(2).then_some(at),
            },
            22 | 23 => Write::Patch { patch: random.patch(now) },
            24..27 => Write::Resume { change: Box::new(random.resume()), at },
            27 => Write::Rotate { to: id(random.name()), at },
            28 | 29 => Write::PutBack { back: random.put_back(version, seq, known), at },
            30 => Write::ForgetRevision { version: random.forgotten(version, known) },
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

/// What a write is drawn from.
#[derive(Debug)]
pub(super) struct Known {
    /// The life.
    pub(super) record: Record,
    /// The turn that it is for, if it is for one.
    pub(super) turn: Generation,
    /// How many chunks are kept of that.
    pub(super) said: u64,
    /// The revisions that have entries: number, first entry, and how many.
    pub(super) revisions: Vec<(u64, u64, u64)>,
}

/// A datum to begin with, if a change is not a removal.
fn kept(change: DataChange) -> Option<(String, Bytes)> {
    change.value.map(|value| (change.name, value))
}
