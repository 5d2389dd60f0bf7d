//! Whether a session takes turns, and how those are found whose time may be over.

use std::collections::BTreeSet;
use std::time::Duration;

use super::rig::{
    Check, Rig, Verdict, append, at, begin, checks, commit, delete, id, key, key_on, new,
    new_bound, same, shown, told,
};
use crate::clock::Timestamp;
use crate::expiry::ExpiryRules;
use crate::id::Incarnation;
use crate::standing::{EndReason, ExpiryClock, Previous, RebindReason, Standing, SuspendReason};
use crate::store::{
    Binding, Bucket, DueBy, DueQuery, FenceReason, Lane, NewRecord, Record, RecordFilter,
    RecordPatch, Write,
};

/// The checks of this file.
pub(super) const CHECKS: &[Check] = checks![
    a_standing_is_kept_and_is_no_use,
    a_standing_leaves_keys_alone,
    a_standing_is_not_changed_while_a_turn_is_open,
    a_standing_is_not_changed_if_it_was_used_since,
    a_patch_changes_what_it_names,
    a_commit_ends_a_row_of_crashes,
    a_class_and_rules_of_its_own_are_kept,
    each_session_stands_in_its_lane,
    a_session_that_is_used_again_is_not_due,
    a_session_that_is_used_by_a_clock_that_was_put_back_is_due_by_it,
    a_session_that_is_created_by_a_clock_that_was_put_back_is_due_by_it,
    due_pages_of_any_size_show_each_session_once,
    those_that_are_not_closed_are_counted,
];

/// Suspended ten seconds after time zero.
const SUSPENDED: Standing =
    Standing::Suspended { reason: SuspendReason::CrashLoop, at: Timestamp::from_millis(10) };

/// Archived by a clock.
fn archived(seconds: u64) -> Standing {
    Standing::Archived { reason: EndReason::Expired(ExpiryClock::Calendar), at: at(seconds) }
}

/// Changes the standing.
const fn stand(standing: Standing) -> Write {
    Write::Standing { standing, unused_since: None, used_at: None }
}

/// Patches the record.
const fn patched(patch: RecordPatch) -> Write {
    Write::Patch { patch }
}

/// Rules that are not as usual.
fn rules(seconds: u64) -> ExpiryRules {
    ExpiryRules { idle: Some(Duration::from_secs(seconds)), ..ExpiryRules::default() }
}

async fn a_standing_is_kept_and_is_no_use(rig: Rig) -> Verdict {
    let life = rig.create(new_bound("a", "a", None)).await?;
    let ended = Standing::Ended { reason: EndReason::Requested, at: at(30) };
    for standing in [SUSPENDED, Standing::Active, archived(20), ended] {
        rig.done(&life, [stand(standing)]).await?;
        let expected = Record { standing, ..life.clone() };
        same("the record", &rig.live(&life).await?, &expected)?;
    }
    Ok(())
}

async fn a_standing_leaves_keys_alone(rig: Rig) -> Verdict {
    let life = rig.create(new_bound("a", "a", None)).await?;
    let ended = Standing::Ended { reason: EndReason::Requested, at: at(30) };
    for standing in [SUSPENDED, Standing::Active, archived(20), ended] {
        rig.done(&life, [stand(standing)]).await?;
        same("the key", &rig.bound_to(&key("a")).await?, &Some(id("a")))?;
    }
    rig.create(new_bound("b", "a", Some("a"))).await?;
    same("the key, bound anew", &rig.bound_to(&key("a")).await?, &Some(id("b")))?;
    rig.done(&life, [stand(Standing::Active)]).await?;
    same("the key of another", &rig.bound_to(&key("a")).await?, &Some(id("b")))
}

async fn a_standing_is_not_changed_while_a_turn_is_open(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(1, 1)]).await?;
    rig.fenced(&life, stand(archived(20)), FenceReason::TurnOpen).await?;
    rig.done(&life, [commit(1, 2), stand(archived(20))]).await?;
    rig.done(&life, [delete(&life, at(900))]).await?;
    rig.fenced(&life, stand(Standing::Active), FenceReason::NoSuchLife).await
}

async fn a_standing_is_not_changed_if_it_was_used_since(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [append(1, &["x"])]).await?;
    let unless_used = |since, used_at| Write::Standing {
        standing: archived(20),
        unused_since: Some(since),
        used_at,
    };
    rig.fenced(&life, unless_used(at(49), None), FenceReason::UsedSince).await?;
    rig.done(&life, [unless_used(at(50), Some(at(55)))]).await?;
    let record = rig.live(&life).await?;
    same("the standing", &record.standing, &archived(20))?;
    same("the last use", &record.last_active_at, &at(55))?;
    // Not active any more, and pinned.
    rig.fenced(&life, unless_used(at(900), None), FenceReason::UsedSince).await?;
    let pinned = RecordPatch { pinned: Some(true), ..RecordPatch::default() };
    rig.done(&life, [stand(Standing::Active), patched(pinned)]).await?;
    rig.fenced(&life, unless_used(at(900), None), FenceReason::UsedSince).await
}

async fn a_patch_changes_what_it_names(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let own = Some(Box::new(rules(60)));
    let patch = |patch: RecordPatch| patched(patch);
    rig.done(&life, [patch(RecordPatch { pinned: Some(true), ..RecordPatch::default() })]).await?;
    let mut expected = Record { pinned: true, ..life.clone() };
    same("the pinned record", &rig.live(&life).await?, &expected)?;
    let expiry = Some(own.clone());
    rig.done(&life, [patch(RecordPatch { expiry, ..RecordPatch::default() })]).await?;
    expected.expiry = own;
    same("the record with rules", &rig.live(&life).await?, &expected)?;
    let touched_at = Some(at(40));
    rig.done(&life, [patch(RecordPatch { touched_at, ..RecordPatch::default() })]).await?;
    expected.last_active_at = at(40);
    same("the touched record", &rig.live(&life).await?, &expected)?;
    let all = RecordPatch {
        pinned: Some(false),
        expiry: Some(None),
        crashes: Some(2),
        touched_at: Some(at(39)),
    };
    rig.done(&life, [patch(all)]).await?;
    expected.last_active_at = at(39);
    let expected = Record { pinned: false, expiry: None, crashes: 2, ..expected };
    same("the record, touched by a clock that was put back", &rig.live(&life).await?, &expected)
}

async fn a_commit_ends_a_row_of_crashes(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let crashed = patched(RecordPatch { crashes: Some(2), ..RecordPatch::default() });
    rig.done(&life, [crashed, append(1, &["x"]), begin(1, 2)]).await?;
    same("crashes before the commit", &rig.live(&life).await?.crashes, &2)?;
    rig.done(&life, [commit(1, 3)]).await?;
    same("crashes after the commit", &rig.live(&life).await?.crashes, &0)
}

async fn a_class_and_rules_of_its_own_are_kept(rig: Rig) -> Verdict {
    let (class, expiry) = (Some("night".to_owned()), Some(Box::new(rules(7))));
    let before = Previous::new(id("b"), RebindReason::Expired(ExpiryClock::Age));
    let previous = Some(Box::new(before));
    let new = NewRecord {
        class: class.clone(),
        expiry: expiry.clone(),
        previous: previous.clone(),
        ..new("a")
    };
    let life = rig.create(new).await?;
    let written = rig.live(&life).await?;
    same("what was before", &written.previous, &previous)?;
    same("the class", &written.class, &class)?;
    same("the rules", &written.expiry, &expiry)
}

async fn those_that_are_not_closed_are_counted(rig: Rig) -> Verdict {
    let count = async || told("a count", rig.store().count().await);
    same("no sessions", &count().await?, &0)?;
    let lives = stage(&rig).await?;
    let filter = RecordFilter::default().routable(true);
    let page = told("a listing", rig.store().list(filter, None, 100).await)?;
    let routable = page.records.len() as u64;
    same("those that are routable", &count().await?, &routable)?;
    let Some(first) = lives.first() else { return Ok(()) };
    let pinned = RecordPatch { pinned: Some(true), ..RecordPatch::default() };
    rig.done(first, [patched(pinned)]).await?;
    same("with a pinned one", &count().await?, &routable)?;
    rig.done(first, [stand(archived(60_000))]).await?;
    same("without one that is pinned and archived", &count().await?, &(routable - 1))?;
    rig.done(first, [delete(first, at(90_000))]).await?;
    same("after its delete", &count().await?, &(routable - 1))?;
    let Some(other) = lives.get(2) else { return Ok(()) };
    rig.done(other, [delete(other, at(90_000))]).await?;
    same("after another delete", &count().await?, &(routable - 2))
}

/// Sessions of all kinds, at times an hour apart.
async fn stage(rig: &Rig) -> Result<Vec<Record>, String> {
    let mut lives = Vec::new();
    for (index, name) in ["f", "e", "d", "c", "b", "a"].into_iter().enumerate() {
        let hour = index as u64 * 3_600;
        let platform = if index % 2 == 0 { "irc" } else { "web" };
        let binding = Some(Binding { key: key_on(platform, name), expected: None });
        let expiry = (index == 2 || index == 5).then(|| Box::new(rules(60)));
        let class = (index == 3).then(|| "irc".to_owned());
        let new = NewRecord { binding, expiry, class, at: at(hour), ..new(name) };
        lives.push(rig.create(new).await?);
    }
    let [_, second, _, _, fifth, sixth] = lives.as_slice() else { return Ok(lives) };
    rig.done(second, [stand(archived(50_000))]).await?;
    rig.done(fifth, [stand(SUSPENDED)]).await?;
    let pinned = Some(true);
    rig.done(sixth, [patched(RecordPatch { pinned, ..RecordPatch::default() })]).await?;
    Ok(lives)
}

/// All that is due, page by page.
async fn due(rig: &Rig, lane: &Lane, by: DueBy, limit: usize) -> Result<Vec<Incarnation>, String> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let query = DueQuery { lane: lane.clone(), by, after };
        let page = told("due", rig.store().due(query, limit).await)?;
        same("damaged rows", &page.damaged, &vec![])?;
        if page.records.len() > limit {
            return Err(format!("a page of {limit} has {}", page.records.len()));
        }
        found.extend(page.records.into_iter().map(|record| record.incarnation));
        let Some(next) = page.next else { return Ok(found) };
        after = Some(next);
    }
}

/// What is due, as a listing tells it.
async fn expected(rig: &Rig, lane: &Lane, by: DueBy) -> Result<Vec<Incarnation>, String> {
    let page = rig.list(&RecordFilter::default(), None, 1_000).await?;
    let mut due: Vec<_> = page
        .records
        .into_iter()
        .filter_map(|record| {
            let (stands, bucket) = record.lane()?;
            let old = match by {
                DueBy::Rested(last) => bucket <= last,
                DueBy::Created(at) => record.created_at <= at,
            };
            let order = if matches!(by, DueBy::Rested(_)) { bucket } else { Bucket::default() };
            (old && stands == *lane).then_some((order, record.incarnation))
        })
        .collect();
    due.sort_unstable();
    Ok(due.into_iter().map(|(_, incarnation)| incarnation).collect())
}

/// Whether everything that is due is found in every lane, in pages of that size, and nothing else.
async fn all_due(rig: &Rig, limit: usize) -> Verdict {
    let page = rig.list(&RecordFilter::default(), None, 1_000).await?;
    let lanes: BTreeSet<_> =
        page.records.iter().filter_map(|record| Some(record.lane()?.0)).collect();
    let told: BTreeSet<_> = told("lanes", rig.store().lanes().await)?.into_iter().collect();
    if let Some(missing) = lanes.difference(&told).next() {
        return Err(format!("lanes: {} is missing", shown(missing)));
    }
    for lane in told {
        for hour in [0, 1, 2, 5, 14, 30, 10_000] {
            let at = at(hour * 3_600);
            for by in [DueBy::Rested(Bucket::of(at)), DueBy::Created(at)] {
                let found = due(rig, &lane, by, limit).await?;
                same(
                    &format!("due in {} by {by:?}", shown(&lane)),
                    &found,
                    &expected(rig, &lane, by).await?,
                )?;
            }
        }
    }
    Ok(())
}

async fn each_session_stands_in_its_lane(rig: Rig) -> Verdict {
    let lives = stage(&rig).await?;
    all_due(&rig, 100).await?;
    // And in another one after a change, or in none.
    for life in &lives {
        rig.done(life, [stand(archived(60_000))]).await?;
        all_due(&rig, 100).await?;
        rig.done(life, [stand(Standing::Active)]).await?;
        let patch =
            RecordPatch { pinned: Some(false), expiry: Some(None), ..RecordPatch::default() };
        rig.done(life, [patched(patch)]).await?;
        all_due(&rig, 100).await?;
        rig.done(life, [delete(life, at(900_000))]).await?;
        all_due(&rig, 100).await?;
    }
    Ok(())
}

async fn a_session_that_is_used_again_is_not_due(rig: Rig) -> Verdict {
    let lives = stage(&rig).await?;
    for (index, life) in lives.iter().enumerate() {
        let later = at(3_600 * (20 + index as u64));
        let (entries, version) = (vec![super::rig::bytes("x")], 1);
        rig.done(life, [Write::Append { first_seq: 1, entries, version, at: later }]).await?;
    }
    all_due(&rig, 100).await?;
    for life in &lives {
        let touched_at = Some(at(3_600 * 40));
        rig.done(life, [patched(RecordPatch { touched_at, ..RecordPatch::default() })]).await?;
    }
    all_due(&rig, 100).await
}

async fn a_session_that_is_used_by_a_clock_that_was_put_back_is_due_by_it(rig: Rig) -> Verdict {
    let lives = stage(&rig).await?;
    for life in &lives {
        let (entries, version) = (vec![super::rig::bytes("x")], 1);
        rig.done(life, [Write::Append { first_seq: 1, entries, version, at: at(0) }]).await?;
    }
    all_due(&rig, 100).await
}

async fn a_session_that_is_created_by_a_clock_that_was_put_back_is_due_by_it(rig: Rig) -> Verdict {
    for (name, hour) in [("a", 14), ("b", 2), ("c", 30), ("d", 0), ("e", 5)] {
        rig.create(NewRecord { at: at(hour * 3_600), ..new(name) }).await?;
    }
    for limit in [1, 2, 100] {
        all_due(&rig, limit).await?;
    }
    Ok(())
}

async fn due_pages_of_any_size_show_each_session_once(rig: Rig) -> Verdict {
    stage(&rig).await?;
    for limit in 1..5 {
        all_due(&rig, limit).await?;
    }
    Ok(())
}
