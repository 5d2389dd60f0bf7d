//! Begin and commit from one task and from two, on two workers.

use std::sync::Arc;

use tokio::runtime::Runtime;

use super::crowd::Crowd;
use super::turns::by_tasks;
use crate::measure::{Sample, Series, Side, interleave};
use crate::popularity::Popularity;
use crate::report::{Report, Shown, Target};
use crate::rival::kameo::Kameo;
use crate::rival::map::Map;
use crate::rival::moka::Moka;
use crate::rival::ours::Ours;
use crate::rival::ractor::Ractor;
use crate::rival::task::Task;
use crate::rival::{Key, Turns};
use crate::world::{self, SESSIONS};

/// How many times as many turns two tasks have to do as one. Two cores share what lies behind them, so it is
/// not two.
const DUE: f64 = 1.6;

/// The sessions of one task are not those of the other.
pub(crate) fn run(report: &mut Report) {
    let count = report.scale.pick(40_000, 8_000);
    let runtime = world::runtime();
    let keys = Key::many(0, SESSIONS);
    let drawn = Arc::new(Popularity::Uniform.draws(SESSIONS, count, 9));
    let mut sides = Vec::new();
    sides.extend(both::<Ours>(&runtime, &keys, &drawn));
    sides.extend(both::<Map>(&runtime, &keys, &drawn));
    sides.extend(both::<Moka>(&runtime, &keys, &drawn));
    sides.extend(both::<Task>(&runtime, &keys, &drawn));
    sides.extend(both::<Ractor>(&runtime, &keys, &drawn));
    sides.extend(both::<Kameo>(&runtime, &keys, &drawn));
    let mut series = interleave(report.scale.rounds(15), sides);
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for (place, series) in series.drain(..).enumerate() {
        if place % 2 == 0 { one.push(series) } else { two.push(series) }
    }
    report.work(&format!("begin_commit/tasks=1/sessions={SESSIONS}"), Shown::Rate, &one);
    report.work(&format!("begin_commit/tasks=2/sessions={SESSIONS}"), Shown::Rate, &two);
    // On a machine that others use as well, what a turn costs says more than how many there are.
    report.work(&format!("begin_commit/tasks=1/sessions={SESSIONS}"), Shown::Times, &one);
    report.work(&format!("begin_commit/tasks=2/sessions={SESSIONS}"), Shown::Times, &two);
    let faster = one.iter().zip(&two).map(|(one, two)| times_as_fast(one, two));
    let faster: Vec<_> = faster.collect();
    let shown = Shown::Value("speed", "times");
    report.work("begin_commit/two tasks beside one", shown, &faster);
    let name = format!("begin_commit/tasks=2/sessions={SESSIONS}");
    let measured = (&*name, 1e9 / two[0].wall(), "/s");
    let ratio = Some((faster[0].wall(), "one task"));
    report.judge("begin + commit, memory", measured, ratio, Target::AtLeast(DUE));
}

fn both<'a, R: Turns>(
    runtime: &'a Runtime,
    keys: &Arc<Vec<Key>>,
    drawn: &Arc<Vec<u32>>,
) -> [Side<'a>; 2] {
    let crowd = Crowd::<R>::of(runtime, keys);
    [1, 2].map(|tasks| {
        let (crowd, drawn) = (crowd.clone(), drawn.clone());
        Side::new(R::NAME, move || by_tasks(runtime, &crowd, &drawn, tasks))
    })
}

/// How many times as fast the second was, round by round.
fn times_as_fast(one: &Series, two: &Series) -> Series {
    let rounds = one.samples.iter().zip(&two.samples);
    let ratio = |(one, two): (&Sample, &Sample)| {
        let times = one.wall / two.wall;
        Sample { wall: times, cpu: times }
    };
    Series::of(one.name.clone(), rounds.map(ratio).collect())
}
