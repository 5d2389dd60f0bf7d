//! Listing: order, pages and filters.

use super::rig::{
    Check, Rig, Verdict, append, at, begin, begin_bare, checks, delete, id, key_on, new, same,
};
use crate::id::Incarnation;
use crate::standing::{EndReason, Standing};
use crate::store::{Binding, NewRecord, Record, RecordFilter, Write};

/// The checks of this file.
pub(super) const CHECKS: &[Check] = checks![
    a_listing_is_in_the_order_of_creation,
    pages_of_any_size_show_each_record_once,
    a_full_last_page_has_no_next,
    a_listing_goes_on_where_a_session_was_deleted,
    each_filter_shows_what_matches,
    filtered_pages_show_each_match_once,
];

/// Sessions of three platforms and none, used at different times, some replying.
async fn stage(rig: &Rig) -> Result<Vec<Record>, String> {
    let platforms = [Some("irc"), Some("irc2"), None, Some("irc"), Some("web"), Some("irc")];
    let mut records = Vec::new();
    for (name, platform) in ["f", "e", "d", "c", "b", "a"].into_iter().zip(platforms) {
        let binding =
            platform.map(|platform| Binding { key: key_on(platform, name), expected: None });
        let life = rig.create(NewRecord { binding, ..new(name) }).await?;
        records.push(life);
    }
    for (index, life) in records.iter().enumerate() {
        if index % 2 == 0 {
            rig.done(life, [append(1, &["x"])]).await?;
        }
        if index % 3 == 0 {
            rig.done(life, [begin_bare(40)]).await?;
        }
        if index == 5 {
            rig.done(life, [begin(60, 1)]).await?;
        }
        if index == 4 {
            let standing = Standing::Archived { reason: EndReason::Requested, at: at(9) };
            rig.done(life, [Write::Standing { standing, unused_since: None, used_at: None }])
                .await?;
        }
    }
    let mut current = Vec::new();
    for life in records {
        current.push(rig.live(&life).await?);
    }
    Ok(current)
}

/// All that a listing shows, page by page, and the sizes of the pages.
async fn pages(
    rig: &Rig,
    filter: &RecordFilter,
    limit: usize,
) -> Result<(Vec<Record>, Vec<usize>), String> {
    let (mut records, mut sizes, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = rig.list(filter, after, limit).await?;
        same("damaged rows", &page.damaged, &vec![])?;
        sizes.push(page.records.len());
        let last = page.records.last().map(|record| record.incarnation);
        records.extend(page.records);
        let Some(next) = page.next else { return Ok((records, sizes)) };
        same("the next page starts after the last record", &Some(next), &last)?;
        after = Some(next);
    }
}

/// Not by name, and not by use.
async fn a_listing_is_in_the_order_of_creation(rig: Rig) -> Verdict {
    let expected = stage(&rig).await?;
    let page = rig.list(&RecordFilter::default(), None, 100).await?;
    same("records", &page.records, &expected)?;
    same("next", &page.next, &None)?;
    let all = rig.list(&RecordFilter::default(), None, usize::MAX).await?;
    same("without a limit", &all.records, &expected)
}

/// And each but the last is full.
async fn pages_of_any_size_show_each_record_once(rig: Rig) -> Verdict {
    let expected = stage(&rig).await?;
    for limit in 1..=7 {
        let (records, sizes) = pages(&rig, &RecordFilter::default(), limit).await?;
        same(&format!("pages of {limit}"), &records, &expected)?;
        let full = sizes.iter().rev().skip(1).all(|size| *size == limit);
        same(&format!("pages of {limit} are full, {sizes:?}"), &full, &true)?;
    }
    let newest = expected.last().map_or(Incarnation::new(0), |record| record.incarnation);
    let beyond = rig.list(&RecordFilter::default(), Some(newest), 3).await?;
    same("after the last", &(beyond.records, beyond.next), &(vec![], None))
}

/// So nobody asks for a page that is empty.
async fn a_full_last_page_has_no_next(rig: Rig) -> Verdict {
    stage(&rig).await?;
    for (limit, expected) in [(6, vec![6]), (3, vec![3, 3]), (4, vec![4, 2]), (5, vec![5, 1])] {
        let (_, sizes) = pages(&rig, &RecordFilter::default(), limit).await?;
        same(&format!("sizes of pages of {limit}"), &sizes, &expected)?;
    }
    let filter = RecordFilter { platform: Some("irc".to_owned()), ..RecordFilter::default() };
    let (_, sizes) = pages(&rig, &filter, 3).await?;
    same("sizes of pages of 3 of 3 that match", &sizes, &vec![3])
}

/// The place to go on from need not be a session any more.
async fn a_listing_goes_on_where_a_session_was_deleted(rig: Rig) -> Verdict {
    let records = stage(&rig).await?;
    let page = rig.list(&RecordFilter::default(), None, 2).await?;
    for life in &page.records {
        rig.done(life, [delete(life, at(1_000))]).await?;
    }
    let rest = rig.list(&RecordFilter::default(), page.next, 10).await?;
    same("the rest", &rest.records, &records.into_iter().skip(2).collect())?;
    let all = rig.list(&RecordFilter::default(), None, 10).await?;
    same("all that is left", &all.records, &rest.records)
}

/// Every combination of the four filters, with values that match some, all and none.
fn filters() -> Vec<RecordFilter> {
    let mut filters = Vec::new();
    for platform in [None, Some("irc"), Some("irc2"), Some("ir"), Some("IRC"), Some("web")] {
        for active_since in [None, Some(at(0)), Some(at(40)), Some(at(50)), Some(at(9_000))] {
            for replying in [None, Some(true), Some(false)] {
                let platform = platform.map(str::to_owned);
                for routable in [None, Some(true), Some(false)] {
                    let platform = platform.clone();
                    filters.push(RecordFilter { platform, active_since, replying, routable });
                }
            }
        }
    }
    filters
}

/// The records that a filter shows.
fn matching(records: &[Record], filter: &RecordFilter) -> Vec<Record> {
    records.iter().filter(|record| filter.matches(record)).cloned().collect()
}

/// Alone and together.
async fn each_filter_shows_what_matches(rig: Rig) -> Verdict {
    let records = stage(&rig).await?;
    for filter in filters() {
        let page = rig.list(&filter, None, 100).await?;
        same(&format!("{filter:?}"), &page.records, &matching(&records, &filter))?;
        same(&format!("{filter:?}, next"), &page.next, &None)?;
    }
    same("the stage has its last session", &records.last().map(|r| r.id.clone()), &Some(id("a")))
}

/// What does not match takes no room on a page, and `next` is told only if more matches.
async fn filtered_pages_show_each_match_once(rig: Rig) -> Verdict {
    let records = stage(&rig).await?;
    for filter in filters() {
        for limit in 1..=3 {
            let what = format!("{filter:?} in pages of {limit}");
            let expected = matching(&records, &filter);
            let (found, sizes) = pages(&rig, &filter, limit).await?;
            same(&what, &found, &expected)?;
            let wanted = expected.len().div_ceil(limit).max(1);
            same(&format!("{what}, how many pages"), &sizes.len(), &wanted)?;
        }
    }
    Ok(())
}
