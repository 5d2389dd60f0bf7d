//! Random histories, and how they are drawn.

use std::time::Duration;

use proptest::prelude::*;

use super::{PARALLEL, PartialPolicy, StallRule, Step, rule, run, step, work};

/// What becomes of replies that are not finished.
fn partials() -> impl Strategy<Value = PartialPolicy> {
    use PartialPolicy::{Beside, Drop, Entry};
    prop::sample::select(vec![Beside, Entry, Drop])
}

fn steps(faults: bool) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(any::<u32>().prop_map(move |bits| step(bits, faults)), 1..60)
}

/// Two turns that run beside each other, and what the watch may see of them.
fn watched(rule: StallRule) -> impl Strategy<Value = Vec<Step>> {
    let step = move |[kind, a, b]: [u8; 3]| match kind % 16 {
        0..6 => Step::Look(rule),
        6..10 => Step::Advance(Duration::from_millis(u64::from(a) * 12)),
        10..14 => Step::Beat { turn: usize::from(a), work: work(b) },
        14 => Step::Alarm,
        _ => Step::Cancel { turn: u64::from(a % 3), grace: Duration::from_secs(u64::from(b % 6)) },
    };
    let (policy, version, input) = (PARALLEL, None, false);
    let begin = Step::Begin { policy, version, input, draining: false, name: None };
    let steps = prop::collection::vec(any::<[u8; 3]>().prop_map(step), 1..60);
    steps.prop_map(move |steps| [vec![begin, begin, Step::Flush], steps].concat())
}

/// How many histories, unless `PROPTEST_CASES` asks for more or fewer.
fn cases() -> u32 {
    let asked = std::env::var_os("PROPTEST_CASES");
    asked.map_or(8_000, |_| ProptestConfig::default().cases)
}

/// How many permits there are, if they are counted.
fn permits() -> impl Strategy<Value = Option<usize>> {
    prop::sample::select(vec![None, None, Some(1), Some(2)])
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    // B1, B6, B8, B9, B10, B15, C1, C5, C8, C9, C10, C11, D6, D9, D10, E3, E4, E5, G6, G11, J6, K1, K4, M4
    #[test]
    fn with_a_store_that_works_every_history_is_one_that_the_model_allows(
        partials in partials(),
        permits in permits(),
        steps in steps(false),
    ) {
        run(partials, permits, steps);
    }

    // The same, and C6, E6, G10, G12
    #[test]
    fn with_a_store_that_fails_nothing_acknowledged_is_lost(
        partials in partials(),
        permits in permits(),
        steps in steps(true),
    ) {
        run(partials, permits, steps);
    }

    // D8, D9, D10: long lives, of which the histories above have few.
    #[test]
    fn what_is_found_stuck_is_what_its_whole_history_says(
        steps in any::<[u8; 2]>().prop_flat_map(|[which, seconds]| watched(rule(which, seconds))),
    ) {
        run(PartialPolicy::Beside, None, steps);
    }
}
