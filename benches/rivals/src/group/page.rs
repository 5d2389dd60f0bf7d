//! A page of 1,000 sessions with their metadata.

use std::path::Path;

use rusqlite::Connection;
use session_supervisor::{Incarnation, RecordFilter, Supervisor};
use tokio::runtime::Runtime;

use super::crowd::Crowd;
use crate::measure::{Sample, Side, in_task, interleave, timed};
use crate::report::{Report, Shown};
use crate::rival::map::Map;
use crate::rival::ours::Ours;
use crate::rival::{Key, Rival};
use crate::stored::{fill, quiet, raw};
use crate::world;

/// How many a page has.
pub(super) const PAGE: usize = 1_000;

/// From a file, beside the raw rows; and from memory, beside a map that has to be sorted.
pub(crate) fn run(report: &mut Report) {
    let stored = report.scale.pick(100_000, 10_000);
    let runtime = world::runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("page.db");
    runtime.block_on(fill(&path, stored, 0));
    let series = interleave(report.scale.rounds(31), on_file(&runtime, &path));
    report.work(&format!("page/sqlite/{PAGE} of {stored}"), Shown::Times, &series);

    let keys = Key::many(0, stored);
    let (ours, map) = (Crowd::<Ours>::of(&runtime, &keys), Crowd::<Map>::of(&runtime, &keys));
    let mut pages = Pages::of(ours.rival.0);
    let sides = vec![
        Side::new(Ours::NAME, || pages.next(&runtime)),
        Side::new(Map::NAME, || sorted(&runtime, &map.rival)),
    ];
    let series = interleave(report.scale.rounds(9), sides);
    report.work(&format!("page/memory/{PAGE} of {stored}"), Shown::Times, &series);
}

/// The library and the rows, from one file.
pub(super) fn on_file<'a>(runtime: &'a Runtime, path: &Path) -> Vec<Side<'a>> {
    let supervisor = in_task(runtime, {
        let path = path.to_owned();
        async move { quiet(&path).await }
    });
    let mut pages = Pages::of(supervisor);
    let (raw, mut last) = (raw(path), 0);
    vec![
        Side::new(Ours::NAME, move || pages.next(runtime)),
        Side::new("the rows, raw", move || {
            runtime.block_on(timed(1, async { rows(&raw, &mut last) }))
        }),
    ]
}

/// Pages of a supervisor, one after the other.
struct Pages {
    supervisor: Supervisor,
    after: Option<Incarnation>,
}

impl Pages {
    fn of(supervisor: Supervisor) -> Self {
        Self { supervisor, after: None }
    }

    fn next(&mut self, runtime: &Runtime) -> Sample {
        let (supervisor, after) = (self.supervisor.clone(), self.after.take());
        let (sample, next) = in_task(runtime, async move {
            let mut next = None;
            let sample = timed(1, async {
                let page = supervisor.list(RecordFilter::default(), after, PAGE).await;
                let page = page.expect("the store does not fail");
                assert!(!page.records.is_empty());
                next = page.next;
            })
            .await;
            (sample, next)
        });
        self.after = next;
        sample
    }
}

/// The same rows, each column looked at; from the beginning after the last page.
fn rows(raw: &Connection, last: &mut i64) {
    let sql = "SELECT * FROM sessions WHERE incarnation > ?1 ORDER BY incarnation LIMIT ?2";
    let mut select = raw.prepare_cached(sql).expect("it is right");
    let limit = i64::try_from(PAGE).expect("a page");
    loop {
        let mut rows = select.query((*last, limit)).expect("it is right");
        let mut count = 0;
        while let Some(row) = rows.next().expect("it can be read") {
            *last = row.get(0).expect("a number");
            for column in 0..12 {
                std::hint::black_box(row.get_ref(column).expect("a column"));
            }
            count += 1;
        }
        if count > 0 {
            return;
        }
        *last = 0;
    }
}

/// What it takes to have a page in order out of a map: all of it is looked at.
fn sorted(runtime: &Runtime, map: &Map) -> Sample {
    let map = map.clone();
    in_task(runtime, async move {
        timed(1, async {
            let mut page = map.keys();
            page.select_nth_unstable(PAGE);
            page.truncate(PAGE);
            page.sort_unstable();
            std::hint::black_box(page);
        })
        .await
    })
}
