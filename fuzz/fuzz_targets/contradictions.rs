//! Rows with right checksums that make no sense together: whatever is asked or written, nothing panics, a
//! refusal changes nothing, and what was healed is healed.
#![no_main]

mod draw;

use bytes::Bytes;
use draw::{Draw, IDS};
use libfuzzer_sys::fuzz_target;
use session_supervisor::fuzzing::{Rows, tables};
use session_supervisor::store::{
    DataChange, InputFate, PartialFate, PartialPiece, PutBack, RecordPatch, RevisionReason,
    TakeBack, TurnMarker, Write,
};
use session_supervisor::{
    Generation, GoneReason, InstanceId, Record, SessionId, Standing, StoreError, Timestamp,
    Tombstone, TurnOutcome,
};

thread_local! {
    static ROWS: Rows = Rows::new().expect("SQLite works");
}

fuzz_target!(|bytes: &[u8]| {
    ROWS.with(|rows| {
        rows.clear().expect("SQLite works");
        let mut draw = Draw::new(bytes);
        let tables = tables();
        for _ in 0..=draw.below(12) {
            let table = draw.below(tables.len());
            let columns: Vec<_> = tables[table].1.iter().map(|name| draw.column(name)).collect();
            // The schema refuses some.
            drop(rows.put(table, &columns));
        }
        rows.check().expect("a check says what it finds");
        let lives = rows.records().expect("what cannot be read is left out");
        for life in &lives {
            drop(rows.read(life));
        }
        while !draw.is_over() && !lives.is_empty() {
            let life = &lives[draw.below(lives.len())];
            write(rows, life, &mut draw);
        }
        if rows.heal().is_ok() {
            let again = rows.heal().expect("it was healed before");
            assert!(again.healed.is_empty(), "healed twice: {again:?}");
        }
        drop(rows.forget(at(&mut draw)));
        rows.check().expect("a check says what it finds");
    });
});

/// One write to a life; a refusal leaves its transcript as it is.
fn write(rows: &Rows, life: &Record, draw: &mut Draw<'_>) {
    let write = drawn(life, draw);
    let before = rows.read(life);
    match rows.write(&life.id, life.incarnation, &write) {
        Ok(()) => {}
        Err(StoreError::Fenced { .. } | StoreError::Damaged { .. }) => {
            let after = rows.read(life);
            assert_eq!(format!("{before:?}"), format!("{after:?}"), "{write:?} was refused");
        }
        Err(error) => panic!("{write:?}: {error:?}"),
    }
}

fn number(draw: &mut Draw<'_>) -> u64 {
    draw.number().cast_unsigned()
}

fn at(draw: &mut Draw<'_>) -> Timestamp {
    Timestamp::from_millis(number(draw))
}

/// A number that is mostly the one that is expected.
fn near(expected: u64, draw: &mut Draw<'_>) -> u64 {
    if draw.below(8) == 7 { number(draw) } else { expected }
}

fn entries(draw: &mut Draw<'_>) -> Vec<Bytes> {
    (0..draw.below(3)).map(|_| draw.bytes(4).into()).collect()
}

fn changes(draw: &mut Draw<'_>) -> Vec<DataChange> {
    let value = (draw.below(2) == 0).then(|| Bytes::from(draw.bytes(4)));
    vec![DataChange { name: "a".to_owned(), value }]
}

fn drawn(life: &Record, draw: &mut Draw<'_>) -> Write {
    let open = life.open.get(draw.below(life.open.len())).map(|it| it.generation);
    let generation = open.unwrap_or_else(|| Generation::new(number(draw)));
    let version = near(life.version.wrapping_add(1), draw);
    let seq = near(life.next_seq, draw);
    match draw.below(15) {
        0 => {
            let generation = near(life.generation.get().wrapping_add(1), draw);
            let (generation, instance) = (Generation::new(generation), InstanceId::from_random(1));
            let marker = TurnMarker { generation, instance, began_at: at(draw) };
            let input = (draw.below(2) == 0).then(|| (seq, Bytes::from(draw.bytes(4))));
            Write::Begin { marker, input, extra: None, at: at(draw) }
        }
        1 => Write::Steer { generation, seq, input: draw.bytes(4).into(), at: at(draw) },
        2 => {
            let (first, chunks) = (near(1, draw), near(1, draw));
            Write::Partial {
                generation,
                piece: PartialPiece { first, chunks, text: draw.bytes(4).into() },
            }
        }
        3 => {
            let (entries, data, at) = (entries(draw), changes(draw), at(draw));
            Write::Commit { generation, first_seq: seq, entries, data, extra: None, version, at }
        }
        4 => {
            let outcome = TurnOutcome::ALL[1 + draw.below(TurnOutcome::ALL.len() - 1)];
            let input = [InputFate::Keep, InputFate::Drop, InputFate::Aside][draw.below(3)];
            let partial = match draw.below(3) {
                0 => PartialFate::Drop,
                1 => PartialFate::Keep { last: None },
                _ => PartialFate::Entry { payload: draw.bytes(4).into() },
            };
            let next_seq = seq.wrapping_add(draw.below(2) as u64);
            Write::Settle { generation, outcome, input, partial, next_seq, version, at: at(draw) }
        }
        5 => Write::Append { first_seq: seq, entries: entries(draw), version, at: at(draw) },
        6 => Write::PutData { changes: changes(draw), version, at: at(draw) },
        7 => {
            let reason = RevisionReason::Rollback;
            Write::TakeBack { from: TakeBack { from: number(draw), version, reason }, at: at(draw) }
        }
        8 => {
            let (revision, from, entries) = (number(draw), number(draw), number(draw));
            let back = PutBack { revision, from, entries, first_seq: seq, version };
            Write::PutBack { back, at: at(draw) }
        }
        9 => Write::ForgetRevision { version: number(draw) },
        10 => Write::Label { label: Some("line".to_owned()) },
        11 => {
            let mut patch = RecordPatch::default();
            patch.pinned = Some(draw.below(2) == 0);
            patch.touched_at = Some(at(draw));
            Write::Patch { patch }
        }
        12 => {
            let to = SessionId::new(IDS[draw.below(IDS.len())]).expect("it is one");
            Write::Rotate { to, at: at(draw) }
        }
        13 => {
            let (standing, used_at) = (Standing::Active, Some(at(draw)));
            Write::Standing { standing, unused_since: Some(at(draw)), used_at }
        }
        _ => {
            let (reason, incarnation) = (GoneReason::Deleted, life.incarnation);
            let tombstone = Tombstone { incarnation, reason, at: at(draw), until: at(draw) };
            Write::Delete { tombstone }
        }
    }
}
