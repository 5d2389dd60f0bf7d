//! One session that is stuck beside 10,000 that are busy: what the others notice.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::json;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::crowd::Crowd;
use crate::measure::{Sample, Series, Side, in_task, interleave};
use crate::report::{Report, Shown, Target};
use crate::rival::kameo::Kameo;
use crate::rival::map::Map;
use crate::rival::moka::Moka;
use crate::rival::ours::Ours;
use crate::rival::python::{self, Python};
use crate::rival::ractor::Ractor;
use crate::rival::task::Task;
use crate::rival::{Key, Turns};
use crate::world::{self, SESSIONS};

/// By how much the p99 of the others may grow.
const MARGIN: f64 = 1.1;

/// Every busy session has a task of its own. The stuck one has a turn that does not end and others who wait for
/// it; with the library there is also a reader that never reads, of a stream that goes on.
pub(crate) fn run(report: &mut Report) {
    let each = report.scale.pick(10, 2);
    let runtime = world::runtime();
    let keys = Key::many(0, SESSIONS + 1);
    let mut python = Python::start().map(|mut python| {
        python.fill(SESSIONS + 1);
        Mutex::new(python)
    });
    let mut sides = Vec::new();
    sides.extend(both::<Ours>(&runtime, &keys, each));
    sides.extend(both::<Map>(&runtime, &keys, each));
    sides.extend(both::<Moka>(&runtime, &keys, each));
    sides.extend(both::<Task>(&runtime, &keys, each));
    sides.extend(both::<Ractor>(&runtime, &keys, each));
    sides.extend(both::<Kameo>(&runtime, &keys, each));
    if let Some(python) = &mut python {
        let python = &*python;
        for stuck in [false, true] {
            let arguments = json!({"sessions": SESSIONS, "each": each, "stuck": stuck});
            sides.push(Side::new(python::NAME, move || {
                python.lock().expect("it runs").work("stuck", arguments.clone())
            }));
        }
    }
    let mut series = interleave(report.scale.rounds(11), sides);
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for (place, series) in series.drain(..).enumerate() {
        if place % 2 == 0 { alone.push(series) } else { beside.push(series) }
    }
    let shown = Shown::Value("p99", "ns");
    report.work(&format!("turn/busy={SESSIONS}"), shown, &alone);
    report.work(&format!("turn/busy={SESSIONS}/one stuck"), shown, &beside);
    let times = |(alone, beside): (&Series, &Series)| {
        let rounds = alone.samples.iter().zip(&beside.samples);
        let ratio = |(alone, beside): (&Sample, &Sample)| {
            let times = beside.wall / alone.wall;
            Sample { wall: times, cpu: times }
        };
        Series::of(alone.name.clone(), rounds.map(ratio).collect())
    };
    let times: Vec<_> = alone.iter().zip(&beside).map(times).collect();
    report.work("turn/p99 beside a stuck one", Shown::Value("growth", "times"), &times);
    let name = format!("turn/busy={SESSIONS}/one stuck (p99)");
    let measured = (&*name, beside[0].wall(), "ns");
    let ratio = Some((times[0].wall(), "the same without it"));
    let row = "one session stuck, one reader stalled";
    report.judge(row, measured, ratio, Target::AtMost(MARGIN));
}

fn both<'a, R: Turns>(runtime: &'a Runtime, keys: &Arc<Vec<Key>>, each: usize) -> [Side<'a>; 2] {
    let crowd = Crowd::<R>::of(runtime, keys);
    [false, true].map(|stuck| {
        let crowd = crowd.clone();
        Side::new(R::NAME, move || p99(runtime, &crowd, each, stuck))
    })
}

/// The slowest but one in a hundred of the turns of all sessions but the first.
fn p99<R: Turns>(runtime: &Runtime, crowd: &Crowd<R>, each: usize, stuck: bool) -> Sample {
    let crowd = crowd.clone();
    let mut took = in_task(runtime, async move {
        let stuck = if stuck { Some(crowd.rival.stick(&crowd.handles[0]).await) } else { None };
        let mut busy = JoinSet::new();
        for number in 1..crowd.handles.len() {
            let (rival, handles) = (crowd.rival.clone(), crowd.handles.clone());
            busy.spawn(async move { turns(&rival, &handles[number], each).await });
        }
        let took = busy.join_all().await.concat();
        drop(stuck);
        assert_eq!(took.len(), each * SESSIONS, "{}", R::NAME);
        took
    });
    let place = took.len() * 99 / 100;
    let (_, p99, _) = took.select_nth_unstable(place);
    let p99 = f64::from(*p99);
    Sample { wall: p99, cpu: p99 }
}

/// Turns in one session, with room for the others in between; what each took, in nanoseconds.
async fn turns<R: Turns>(rival: &R, handle: &R::Handle, each: usize) -> Vec<u32> {
    let mut took = Vec::with_capacity(each);
    for _ in 0..each {
        let start = Instant::now();
        rival.turn(handle).await;
        took.push(u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX));
        tokio::task::yield_now().await;
    }
    took
}
