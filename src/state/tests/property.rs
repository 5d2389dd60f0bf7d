//! Random inputs, delays and faults, against a model and a real store.
//!
//! The driver plays the shell: it hands writes to a store and brings the answers back as late as it
//! likes, keeps the turns that were given out, and loads the session again after a failure. The
//! model says what each input may do, in the plainest words that suffice.

mod driver;
#[cfg(test)]
mod histories;
mod model;

use std::time::Duration;

use self::driver::Driver;
use super::{BusyPolicy, PARALLEL, PartialPolicy, StallRule, WorkPhase};

/// One thing that happens. Numbers choose among what there is.
#[derive(Clone, Copy, Debug)]
enum Step {
    Begin {
        policy: BusyPolicy,
        version: Option<u64>,
        input: bool,
        draining: bool,
        /// Under which name, and what it asks for under that.
        name: Option<(u8, u8)>,
    },
    Find(Find),
    Leave(usize),
    Commit {
        turn: usize,
        entries: usize,
    },
    Fail {
        turn: usize,
        drop_input: bool,
    },
    Drop {
        turn: usize,
        panicked: bool,
    },
    Cancel {
        turn: u64,
        grace: Duration,
    },
    CancelAll {
        grace: Duration,
    },
    Change(usize),
    Delete,
    AwaitDelete,
    Alarm,
    Beat {
        turn: usize,
        work: Option<WorkPhase>,
    },
    Look(StallRule),
    Advance(Duration),
    /// The next write goes to the store.
    Send(Fault),
    /// The store's answer comes back.
    Answer,
    /// The store is handed everything, and answers.
    Flush,
    /// The session is loaded again, if it was left.
    Reload,
    /// Something happens in the line for permits.
    Permit(u8),
    /// Somebody is there.
    Touch,
    /// The store is to know when it was used last.
    Save,
    /// A lease is taken, renewed or given back.
    Lease {
        op: u8,
        which: u8,
        seconds: u8,
    },
    /// It leaves memory, if nothing has happened for so long.
    Unload {
        unused_for: Duration,
    },
}

/// What is found out beforehand, and what is said.
#[derive(Clone, Copy, Debug)]
enum Find {
    /// The store is asked whether it knows a name; a begin with it comes later.
    Ask(u8),
    /// It is found out what the last turns are; to be taken back or done over later.
    LookBack(usize),
    /// What was found out is taken back, or else what is found out now.
    TakeBack(usize),
    /// The transcript is cut off somewhere.
    Cut(usize),
    /// It is found out what a revision has; to be put back later.
    LookForRevision(usize),
    /// What was found out is put back, or else what is found out now.
    PutBack(usize),
    ForgetRevision(usize),
    /// What was found out is done over, or else what is found out now.
    Redo {
        turns: usize,
        policy: BusyPolicy,
        name: Option<(u8, u8)>,
    },
    /// A turn says so many chunks.
    Say {
        turn: usize,
        chunks: usize,
    },
    /// A piece of what a turn has said is asked for once more.
    Keep(usize),
    /// A turn asks for what was said to it.
    Take(usize),
    Clear(u64),
}

/// What the store does with a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Unavailable,
    UnknownAndLost,
    UnknownAndKept,
}

/// A step from 32 random bits: many times cheaper than a tree of strategies, and it shrinks just as
/// well, towards a begin that is refused when a turn runs.
fn step(bits: u32, faults: bool) -> Step {
    let [kind, a, b, c] = bits.to_le_bytes();
    let (turn, flag) = (usize::from(a), b % 2 == 1);
    let grace = Duration::from_secs(u64::from(b % 6));
    match kind {
        0..45 => Step::Begin {
            policy: policy(a, b),
            version: (c % 8 == 7).then_some(u64::from(c / 8 % 4)),
            input: c % 10 != 9,
            draining: c > 250,
            name: name(b / 6),
        },
        45..49 => Step::Leave(turn),
        49..53 => Step::Find(Find::Ask(a)),
        53..55 => Step::Find(Find::LookBack(usize::from(a % 3))),
        55..58 => Step::Find(Find::TakeBack(usize::from(a % 3))),
        58..61 => Step::Find(Find::Redo {
            turns: usize::from(a % 3),
            policy: policy(b, c),
            name: name(c / 6),
        }),
        61..83 => Step::Commit { turn, entries: usize::from(b % 3) },
        83..90 => Step::Fail { turn, drop_input: flag },
        90..98 => Step::Drop { turn, panicked: flag },
        98..106 => Step::Cancel { turn: u64::from(a % 12), grace },
        106 => Step::CancelAll { grace },
        107..110 => Step::Change(usize::from(a % 3)),
        110..113 => Step::Change(usize::from(a % 18 + 1)),
        113..117 => Step::Find(Find::Clear(u64::from(a % 12))),
        117 => Step::Delete,
        118 => Step::AwaitDelete,
        119..122 => Step::Alarm,
        122 => Step::Save,
        123..126 => Step::Look(rule(a, b)),
        126 | 127 => Step::Touch,
        128..147 => Step::Find(Find::Say { turn, chunks: usize::from(b % 4) }),
        147..151 => Step::Find(Find::Keep(turn)),
        151..161 => Step::Find(Find::Take(turn)),
        161..164 => Step::Beat { turn, work: work(b) },
        164..172 => Step::Advance(Duration::from_millis(u64::from(a) * 12)),
        172..193 => Step::Send(fault(a, faults)),
        193..198 => Step::Lease { op: a, which: b, seconds: c },
        198..222 => Step::Answer,
        222..244 => Step::Flush,
        244..247 => Step::Unload { unused_for: Duration::from_secs(u64::from(a % 3)) },
        247 => Step::Find(Find::Cut(usize::from(a))),
        248 | 249 => Step::Find(match b % 8 {
            0 => Find::ForgetRevision(usize::from(a)),
            1 => Find::LookForRevision(usize::from(a)),
            _ => Find::PutBack(usize::from(a)),
        }),
        250..253 => Step::Permit(a),
        _ => Step::Reload,
    }
}

/// Budgets so short that turns are stuck now and then.
fn rule(which: u8, seconds: u8) -> StallRule {
    let budget = |bit: u8, after: u8| {
        (which & bit != 0).then_some(Duration::from_secs(u64::from(seconds % 4 + after)))
    };
    let act = (which & 0x18 == 0x18).then_some(super::grace(u64::from(seconds % 6)));
    StallRule { model: budget(1, 0), tool: budget(2, 1), total: budget(4, 2), act }
}

fn work(which: u8) -> Option<WorkPhase> {
    match which % 4 {
        0 => Some(WorkPhase::Model),
        1 => Some(WorkPhase::Tool),
        2 => Some(WorkPhase::Human),
        _ => None,
    }
}

fn fault(which: u8, faults: bool) -> Fault {
    match which % 16 {
        13 if faults => Fault::Unavailable,
        14 if faults => Fault::UnknownAndLost,
        15 if faults => Fault::UnknownAndKept,
        _ => Fault::None,
    }
}

fn policy(which: u8, seconds: u8) -> BusyPolicy {
    let wait = Duration::from_secs(u64::from(seconds % 5 + 1));
    match which % 20 {
        0 | 1 => BusyPolicy::Reject,
        2..5 => BusyPolicy::queue(),
        5 | 6 => BusyPolicy::Queue { max: 3, wait: Some(wait) },
        7 => super::interrupt(u64::from(seconds % 6)),
        8..11 => PARALLEL,
        11..14 => super::BRANCH,
        14..18 => super::STEER,
        _ => BusyPolicy::Queue { max: 1, wait: None },
    }
}

/// One of a few names, and one of two things that are asked for under it.
fn name(which: u8) -> Option<(u8, u8)> {
    (which % 4 == 3).then_some((which / 4 % 3, u8::from(which > 30)))
}

fn run(partials: PartialPolicy, permits: Option<usize>, steps: Vec<Step>) {
    let mut driver = Driver::new(partials, permits);
    for step in steps {
        driver.step(step);
    }
    driver.drain();
    driver.compare();
}

/// A history from a fuzzer's bytes: how it is set up, then its steps.
#[cfg(fuzzing)]
pub(crate) fn play(bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let partials = [PartialPolicy::Beside, PartialPolicy::Entry, PartialPolicy::Drop];
    let partials = partials[usize::from(first) % 3];
    let permits = [None, None, Some(1), Some(2)][usize::from(first >> 2 & 3)];
    let steps = rest.as_chunks().0.iter().map(|bits| step(u32::from_le_bytes(*bits), first > 127));
    run(partials, permits, steps.collect());
}
