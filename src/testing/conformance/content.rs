//! Entries without a turn, data, labels, and what may be in them.

use bytes::Bytes;

use super::rig::{
    Check, Rig, Verdict, append, at, bytes, checks, marker, new, put, put_one, same, told,
};
use crate::id::Generation;
use crate::store::{DataChange, EntryMark, FenceReason, NewRecord, Record, StoredEntry, Write};

/// The checks of this file.
pub(super) const CHECKS: &[Check] = checks![
    appended_entries_read_back_in_order,
    an_append_out_of_order_changes_nothing,
    entries_are_read_a_part_at_a_time,
    data_are_put_replaced_and_removed,
    data_with_an_old_version_are_fenced,
    changes_of_data_happen_in_order,
    a_label_changes_and_nothing_with_it,
    payloads_are_any_bytes,
    labels_and_names_are_any_text,
    sessions_do_not_see_each_others_content,
];

/// Without a turn, counted, and with the version that was given.
async fn appended_entries_read_back_in_order(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [append(1, &["x", "y"]), append(3, &[]), append(3, &["z"])]).await?;
    let entry = |seq, text| StoredEntry {
        seq,
        generation: None,
        input: false,
        mark: EntryMark::Kept,
        at: at(50),
        payload: bytes(text),
    };
    let expected = vec![entry(1, "x"), entry(2, "y"), entry(3, "z")];
    same("entries", &rig.entries(&life).await?, &expected)?;
    let expected =
        Record { last_active_at: at(50), version: 3, next_seq: 4, entries: 3, ..life.clone() };
    same("look up", &rig.live(&life).await?, &expected)
}

/// Neither again nor ahead.
async fn an_append_out_of_order_changes_nothing(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [append(1, &["x"])]).await?;
    for wrong in [0, 1, 3] {
        rig.fenced(&life, append(wrong, &["y"]), FenceReason::OutOfOrder).await?;
        rig.fenced(&life, append(wrong, &[]), FenceReason::OutOfOrder).await?;
    }
    Ok(())
}

/// Strictly after a number, as many as asked for, with no number too large.
async fn entries_are_read_a_part_at_a_time(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [append(1, &["1", "2", "3", "4", "5"])]).await?;
    let cases = [
        (0, 2, vec![1, 2]),
        (2, 2, vec![3, 4]),
        (4, 2, vec![5]),
        (5, 2, vec![]),
        (0, 0, vec![]),
        (3, usize::MAX, vec![4, 5]),
        (u64::MAX, usize::MAX, vec![]),
    ];
    for (after, limit, expected) in cases {
        let what = format!("{limit} entries after {after}");
        let part = rig.store().entries(&life.id, life.incarnation, after, limit).await;
        let part: Vec<_> = told(&what, part)?.iter().map(|entry| entry.seq).collect();
        same(&what, &part, &expected)?;
    }
    Ok(())
}

/// Counters move with each; removing what is not there is fine.
async fn data_are_put_replaced_and_removed(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let removed = |name: &str| DataChange { name: name.to_owned(), value: None };
    rig.done(&life, [put(2, vec![put_one("one", "1"), put_one("two", "2")])]).await?;
    rig.done(&life, [put(3, vec![put_one("one", "uno"), removed("two"), removed("three")])])
        .await?;
    same("replaced", &rig.datum(&life, "one").await?, &Some(bytes("uno")))?;
    same("removed", &rig.datum(&life, "two").await?, &None)?;
    same("never there", &rig.datum(&life, "three").await?, &None)?;
    let expected = Record { last_active_at: at(60), version: 3, ..life.clone() };
    same("look up", &rig.live(&life).await?, &expected)
}

/// Whoever puts it has seen an older state: it would be written over a newer one.
async fn data_with_an_old_version_are_fenced(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.fenced(&life, put(0, vec![put_one("one", "x")]), FenceReason::OutOfOrder).await?;
    rig.done(&life, [put(3, vec![put_one("one", "1")])]).await?;
    for old in [0, 2, 3] {
        rig.fenced(&life, put(old, vec![put_one("one", "x")]), FenceReason::OutOfOrder).await?;
    }
    rig.done(&life, [put(4, vec![put_one("one", "2")])]).await
}

/// The last change of a name is the one that stands.
async fn changes_of_data_happen_in_order(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let removed = DataChange { name: "two".to_owned(), value: None };
    let changes = vec![
        put_one("one", "1"),
        put_one("one", "2"),
        put_one("two", "1"),
        removed,
        DataChange { name: "three".to_owned(), value: None },
        put_one("three", "1"),
    ];
    rig.done(&life, [put(3, changes)]).await?;
    same("put twice", &rig.datum(&life, "one").await?, &Some(bytes("2")))?;
    same("put and removed", &rig.datum(&life, "two").await?, &None)?;
    same("removed and put", &rig.datum(&life, "three").await?, &Some(bytes("1")))
}

/// It is not a use of the session, and the transcript stays as it is.
async fn a_label_changes_and_nothing_with_it(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    for label in [Some("new".to_owned()), Some(String::new()), None] {
        rig.done(&life, [Write::Label { label: label.clone() }]).await?;
        let expected = Record { label, ..life.clone() };
        same("look up", &rig.live(&life).await?, &expected)?;
    }
    Ok(())
}

/// Wherever a payload can stand.
async fn payloads_are_any_bytes(rig: Rig) -> Verdict {
    let odd: Bytes = (0..=255).collect();
    let long = Bytes::from(vec![0xa5; 1024 * 1024]);
    let payloads = vec![Bytes::new(), odd.clone(), long.clone()];
    let data = vec![("one".to_owned(), Bytes::new()), ("two".to_owned(), long)];
    let life = rig.create(NewRecord { entries: payloads.clone(), data, ..new("a") }).await?;
    let entries = payloads.clone();
    rig.done(&life, [Write::Append { first_seq: 4, entries, version: 1, at: at(1) }]).await?;
    let input = Some((7, Bytes::new()));
    rig.done(&life, [Write::Begin { marker: marker(1, 1), input, extra: None, at: at(1) }]).await?;
    let committed = Write::Commit {
        generation: Generation::new(1),
        first_seq: 8,
        entries: payloads.clone(),
        data: vec![DataChange { name: "three".to_owned(), value: Some(odd.clone()) }],
        extra: None,
        version: 2,
        at: at(2),
    };
    rig.done(&life, [committed]).await?;
    let found = rig.entries(&life).await?;
    let expected: Vec<_> = [&payloads[..], &payloads[..], &[Bytes::new()], &payloads[..]].concat();
    same("how many", &found.len(), &expected.len())?;
    for (found, expected) in found.iter().zip(expected) {
        same(&format!("entry {}", found.seq), &found.payload, &expected)?;
    }
    same("an empty datum", &rig.datum(&life, "one").await?, &Some(Bytes::new()))?;
    let length = rig.datum(&life, "two").await?.map(|datum| datum.len());
    same("the length of a long datum", &length, &Some(1024 * 1024))?;
    same("an odd datum", &rig.datum(&life, "three").await?, &Some(odd))
}

/// Quotes, scripts of several kinds, case, control characters, nothing at all.
async fn labels_and_names_are_any_text(rig: Rig) -> Verdict {
    let texts =
        ["", "it's", "\"x\"; drop table t", "日本語 🦀", "e\u{301}", "é", "%_\\", "a\0b", "One"];
    let life = rig.empty("a").await?;
    for (version, text) in (1..).zip(texts) {
        let label = Some(text.to_owned());
        rig.done(&life, [Write::Label { label: label.clone() }]).await?;
        same("label", &rig.live(&life).await?.label, &label)?;
        rig.done(&life, [put(version, vec![put_one(text, text)])]).await?;
    }
    rig.done(&life, [put(99, vec![put_one("one", "other")])]).await?;
    for text in texts {
        let found = rig.datum(&life, text).await?;
        same(&format!("datum {text:?}"), &found, &Some(bytes(text)))?;
    }
    Ok(())
}

/// Neither entries nor data.
async fn sessions_do_not_see_each_others_content(rig: Rig) -> Verdict {
    let (one, other) = (rig.empty("a").await?, rig.empty("b").await?);
    rig.done(&one, [append(1, &["x"]), put(3, vec![put_one("one", "x")])]).await?;
    same("the other", &rig.live(&other).await?, &other)?;
    same("its entries", &rig.entries(&other).await?, &vec![])?;
    same("its datum", &rig.datum(&other, "one").await?, &None)
}
