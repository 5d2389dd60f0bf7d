//! Begin and commit in memory, from one task.

use std::sync::Arc;

use serde_json::json;
use tokio::runtime::Runtime;

use super::crowd::Crowd;
use crate::measure::{Sample, Series, Side, in_task, interleave, timed};
use crate::popularity::Popularity;
use crate::report::{Report, Shown, Target};
use crate::rival::kameo::Kameo;
use crate::rival::map::Map;
use crate::rival::moka::Moka;
use crate::rival::ours::Ours;
use crate::rival::python::{self, Python};
use crate::rival::ractor::Ractor;
use crate::rival::task::Task;
use crate::rival::{Key, Rival, Turns};
use crate::world::{self, SESSIONS, Said};

/// What of a turn is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// The slot, the fence and the outcome.
    Silent,
    /// Also an input of 32 and a reply of 128 bytes of text, encoded and kept.
    Said,
}

impl Load {
    fn name(self) -> &'static str {
        match self {
            Self::Silent => "begin_commit",
            Self::Said => "begin_commit_with_entries",
        }
    }
}

/// On one hot session, and on 10,000 evenly and by Zipf's law.
pub(crate) fn run(report: &mut Report) {
    for load in [Load::Silent, Load::Said] {
        turns(report, load, 1, Popularity::Uniform);
        turns(report, load, SESSIONS, Popularity::Uniform);
        turns(report, load, SESSIONS, Popularity::Zipf);
    }
}

fn turns(report: &mut Report, load: Load, sessions: usize, popularity: Popularity) {
    let count = report.scale.pick(20_000, 4_000);
    let rounds = report.scale.rounds(15);
    let runtime = world::runtime();
    let keys = Key::many(0, sessions);
    let drawn = Arc::new(popularity.draws(sessions, count, 5));
    let crowds = (
        Crowd::<Ours>::of(&runtime, &keys),
        Crowd::<Map>::of(&runtime, &keys),
        Crowd::<Moka>::of(&runtime, &keys),
        Crowd::<Task>::of(&runtime, &keys),
        Crowd::<Ractor>::of(&runtime, &keys),
        Crowd::<Kameo>::of(&runtime, &keys),
    );
    let mut python = Python::start();
    let mut sides = vec![
        side(&runtime, &crowds.0, &drawn, load),
        side(&runtime, &crowds.1, &drawn, load),
        side(&runtime, &crowds.2, &drawn, load),
        side(&runtime, &crowds.3, &drawn, load),
        side(&runtime, &crowds.4, &drawn, load),
        side(&runtime, &crowds.5, &drawn, load),
    ];
    if let Some(python) = &mut python {
        python.fill(sessions);
        let (popularity, said) = (popularity.name(), load == Load::Said);
        let arguments =
            json!({"sessions": sessions, "count": count, "popularity": popularity, "said": said});
        sides.push(Side::new(python::NAME, move || python.work("turns", arguments.clone())));
    }
    let series = interleave(rounds, sides);
    // The warm-up is a round as well.
    let done = ((rounds + 1) * count) as u64;
    crowds.0.stop_after(&runtime, done);
    crowds.1.stop_after(&runtime, done);
    crowds.2.stop_after(&runtime, done);
    crowds.3.stop_after(&runtime, done);
    crowds.4.stop_after(&runtime, done);
    crowds.5.stop_after(&runtime, done);
    let how = if sessions == 1 { "hot" } else { popularity.name() };
    let work = format!("{}/{how}/sessions={sessions}", load.name());
    report.work(&work, Shown::Times, &series);
    if load == Load::Silent && sessions > 1 {
        judge(report, &work, &series);
    }
}

/// Half of what one call of an actor costs, which does the same bookkeeping and keeps nothing either.
fn judge(report: &mut Report, work: &str, series: &[Series]) {
    for who in [Ractor::NAME, Kameo::NAME] {
        let other = series.iter().find(|it| it.name == who).expect("it was measured");
        let ratio = series[0].cpu_ratio(other);
        let baseline = format!("one {who} call");
        let measured = (&*format!("{work} (cpu)"), series[0].cpu(), "ns");
        let ratio = Some((ratio, &*baseline));
        report.judge("begin + commit, memory", measured, ratio, Target::AtMost(0.5));
    }
}

/// A turn in each session that was drawn, one after the other.
pub(super) fn side<'a, R: Turns>(
    runtime: &'a Runtime,
    crowd: &Crowd<R>,
    drawn: &Arc<Vec<u32>>,
    load: Load,
) -> Side<'a> {
    let (crowd, drawn) = (crowd.clone(), drawn.clone());
    let said = Said::short();
    Side::new(R::NAME, move || {
        let (crowd, drawn, said) = (crowd.clone(), drawn.clone(), said.clone());
        in_task(runtime, async move {
            timed(drawn.len(), async {
                for &number in drawn.iter() {
                    one(&crowd.rival, &crowd.handles[number as usize], load, &said).await;
                }
            })
            .await
        })
    })
}

async fn one<R: Turns>(rival: &R, handle: &R::Handle, load: Load, said: &Said) {
    match load {
        Load::Silent => rival.turn(handle).await,
        Load::Said => rival.say(handle, said).await,
    }
}

/// So many silent turns by each of some tasks, each with its own part of the sessions.
pub(super) fn by_tasks<R: Turns>(
    runtime: &Runtime,
    crowd: &Crowd<R>,
    drawn: &Arc<Vec<u32>>,
    tasks: usize,
) -> Sample {
    let (crowd, drawn) = (crowd.clone(), drawn.clone());
    in_task(runtime, async move {
        timed(drawn.len(), async move {
            let mut running = tokio::task::JoinSet::new();
            for task in 0..tasks {
                let (crowd, drawn) = (crowd.clone(), drawn.clone());
                running.spawn(async move {
                    let share = crowd.handles.len() / tasks;
                    for number in drawn.iter().skip(task).step_by(tasks) {
                        let place = task * share + *number as usize % share;
                        crowd.rival.turn(&crowd.handles[place]).await;
                    }
                });
            }
            running.join_all().await;
        })
        .await
    })
}
