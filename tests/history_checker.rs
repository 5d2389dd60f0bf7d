//! The checker of histories: what it finds, that another checker finds the same, and how it tells it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

use std::collections::BTreeMap;

use session_supervisor::testing::{Model, Operation, Recorder, Verdict, check};

/// What is asked of a box that holds one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Put(u8),
    Take,
    Swap(u8),
}

/// What a box held before.
type Answer = Option<u8>;

/// Some boxes, each with a number in it or none.
#[derive(Clone, Copy, Debug)]
struct Boxes;

/// Which box, and what is done with it.
type Order = (u8, Call);

/// What a box answers, and holds then.
fn one_at_a_time(held: Option<u8>, call: Call) -> (Answer, Option<u8>) {
    match call {
        Call::Put(number) => (None, held.or(Some(number))),
        Call::Take => (held, None),
        Call::Swap(number) => (held, Some(number)),
    }
}

impl Model for Boxes {
    type Call = Order;
    type Answer = Answer;
    type Part = u8;
    type Step = (Call, Option<Answer>);
    type State = Option<u8>;

    fn start(&self, _: &u8) -> Option<u8> {
        None
    }

    fn steps(
        &self,
        (place, call): &Order,
        answer: Option<&Answer>,
    ) -> impl IntoIterator<Item = (u8, Self::Step)> {
        [(*place, (*call, answer.copied()))]
    }

    fn apply(
        &self,
        held: &Option<u8>,
        (call, told): &Self::Step,
    ) -> impl IntoIterator<Item = Option<u8>> {
        let (answer, then) = one_at_a_time(*held, *call);
        told.is_none_or(|told| told == answer).then_some(then)
    }
}

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn number(&mut self, bound: u8) -> u8 {
        u8::try_from(self.below(u64::from(bound))).unwrap()
    }
}

/// A history of some boxes that really was: every operation happens at a moment between its call and its
/// return. Then, perhaps, a client is told something else.
fn history(
    random: &mut Random,
    boxes: u8,
    length: u64,
    lies: u64,
) -> Vec<Operation<Order, Answer>> {
    let clients = usize::from(random.number(4) + 2);
    let (mut held, mut time) = (BTreeMap::new(), 0);
    // What each client is at: an index, and whether it has happened.
    let mut at: Vec<Option<(usize, bool)>> = vec![None; clients];
    let mut history: Vec<Operation<Order, Answer>> = Vec::new();
    while history.len() < usize::try_from(length).unwrap() || at.iter().any(Option::is_some) {
        let client = usize::from(random.number(u8::try_from(clients).unwrap()));
        time += 1;
        match at[client] {
            None if history.len() < usize::try_from(length).unwrap() => {
                let call = match random.below(3) {
                    0 => Call::Put(random.number(3)),
                    1 => Call::Take,
                    _ => Call::Swap(random.number(3)),
                };
                at[client] = Some((history.len(), false));
                let call = (random.number(boxes), call);
                let (answer, returned) = (None, None);
                history.push(Operation { client, call, called: time, answer, returned });
            }
            None => {}
            Some((index, false)) => {
                let (place, call) = history[index].call;
                let before = held.get(&place).copied().flatten();
                let (answer, then) = one_at_a_time(before, call);
                held.insert(place, then);
                history[index].answer = Some(answer);
                at[client] = Some((index, true));
            }
            Some((index, true)) => {
                history[index].returned = Some(time);
                at[client] = None;
            }
        }
    }
    for _ in 0..random.below(lies + 1) {
        let index = usize::try_from(random.below(length)).unwrap();
        history[index].answer = Some(Some(random.number(3)).filter(|it| *it != 2));
    }
    history
}

/// Whether there is an order, by trying all of them: which operations are `left`, what the boxes hold.
fn some_order_works(left: &[Operation<Order, Answer>], held: &BTreeMap<u8, u8>) -> bool {
    // Nothing happens before its call, so not after the first return either of what is left.
    let first_return = left.iter().filter_map(|it| it.returned).min();
    let may_be_next = |it: &Operation<Order, Answer>| Some(it.called) < first_return;
    first_return.is_none()
        || (0..left.len()).filter(|&index| may_be_next(&left[index])).any(|index| {
            let mut rest = left.to_vec();
            let Operation { call: (place, call), answer, .. } = rest.remove(index);
            let (told, then) = one_at_a_time(held.get(&place).copied(), call);
            let mut held = held.clone();
            held.remove(&place);
            held.extend(then.map(|then| (place, then)));
            answer.is_none_or(|answer| answer == told) && some_order_works(&rest, &held)
        })
}

// The search leaves out what cannot matter. Here nothing is left out.
#[test]
fn trying_every_order_finds_the_same_in_ten_thousand_histories() {
    let mut verdicts = [0, 0];
    for seed in 0..10_000 {
        let mut random = Random(seed);
        let (boxes, length, lies) = (random.number(3) + 1, random.below(8) + 2, random.below(3));
        let mut history = history(&mut random, boxes, length, lies);
        if random.below(4) == 0 {
            // Nobody knows whether it ended.
            (history[0].answer, history[0].returned) = (None, None);
        }
        let found = check(&Boxes, history.clone());
        let expected = some_order_works(&history, &BTreeMap::new());
        assert_eq!(found.is_legal(), expected, "seed {seed}: {found:?}");
        assert!(expected || lies > 0, "seed {seed}: what really was is refused");
        verdicts[usize::from(expected)] += 1;
        // What is told of it has no order either.
        let Verdict::Illegal(illegal) = found else { continue };
        assert!(
            !some_order_works(illegal.operations(), &BTreeMap::new()),
            "seed {seed}: {illegal}"
        );
        assert!(illegal.operations().len() <= history.len(), "seed {seed}");
    }
    println!("{verdicts:?}");
    assert!(verdicts.iter().all(|count| *count > 2_000), "{verdicts:?}");
}

/// An operation of which nobody knows whether it ended.
fn open_ended(client: usize, call: Order, called: u64) -> Operation<Order, Answer> {
    Operation { client, call, called, answer: None, returned: None }
}

/// One that was answered.
fn over(
    client: usize,
    call: Order,
    (called, returned): (u64, u64),
    answer: Answer,
) -> Operation<Order, Answer> {
    Operation { client, call, called, answer: Some(answer), returned: Some(returned) }
}

#[test]
fn what_never_returned_may_have_happened_at_any_time_after_its_call_or_not_at_all() {
    let put = open_ended(0, (0, Call::Put(1)), 3);
    let take = |called, answer| over(1, (0, Call::Take), (called, called + 1), answer);
    assert!(check(&Boxes, [put.clone(), take(4, Some(1))]).is_legal());
    assert!(check(&Boxes, [put.clone(), take(4, None), take(90, Some(1))]).is_legal());
    assert!(check(&Boxes, [put.clone(), take(4, None), take(90, None)]).is_legal());
    // Before its call it has not, and it does not happen twice.
    assert!(check(&Boxes, [take(1, Some(1)), put.clone()]).is_illegal());
    assert!(check(&Boxes, [put, take(4, Some(1)), take(90, Some(1))]).is_illegal());
}

#[test]
fn more_than_can_be_kept_apart_is_told_as_too_hard() {
    let under_way = |count: u64| (0..count).map(|at| open_ended(0, (0, Call::Put(1)), at));
    let take = over(1, (0, Call::Take), (900, 901), Some(1));
    assert!(check(&Boxes, under_way(127).chain([take.clone()])).is_legal());
    assert!(matches!(check(&Boxes, under_way(128).chain([take])), Verdict::TooHard(_)));
}

/// A door that is closed and then locked by one who is seen doing it.
struct Door;

impl Model for Door {
    type Call = &'static str;
    type Answer = ();
    type Part = ();
    type Step = &'static str;
    type State = &'static str;

    fn start(&self, (): &()) -> &'static str {
        "open"
    }

    fn steps(
        &self,
        call: &&'static str,
        _: Option<&()>,
    ) -> impl IntoIterator<Item = ((), &'static str)> {
        let steps = if *call == "lock up" { vec!["close", "lock"] } else { vec![*call] };
        steps.into_iter().map(|step| ((), step))
    }

    fn apply(
        &self,
        door: &&'static str,
        step: &&'static str,
    ) -> impl IntoIterator<Item = &'static str> {
        match (*door, *step) {
            ("open", "close") => Some("closed"),
            ("closed", "lock") => Some("locked"),
            (door, "see it closed") => Some(door).filter(|door| *door == "closed"),
            (door, "see it locked") => Some(door).filter(|door| *door == "locked"),
            _ => None,
        }
    }
}

#[test]
fn the_steps_of_one_operation_happen_in_their_order_with_others_in_between() {
    let see = |what, at| Operation {
        client: 1,
        call: what,
        called: at,
        answer: Some(()),
        returned: Some(at + 1),
    };
    let lock_up =
        Operation { client: 0, call: "lock up", called: 0, answer: Some(()), returned: Some(9) };
    let (closed, locked) = ("see it closed", "see it locked");
    assert!(check(&Door, [lock_up.clone(), see(closed, 2), see(locked, 4)]).is_legal());
    assert!(check(&Door, [lock_up.clone(), see(locked, 2), see(closed, 4)]).is_illegal());
    assert!(check(&Door, [lock_up.clone(), see(closed, 10)]).is_illegal());
    assert!(check(&Door, [lock_up, see(locked, 10)]).is_legal());
}

#[test]
fn what_is_wrong_is_told_small_and_with_the_moment_at_which_no_order_is_left() {
    let mut random = Random(5);
    let mut operations = history(&mut random, 1, 30, 0);
    let later = |count: u64| 1_000 + 10 * count;
    let (put, take) = ((1, Call::Put(2)), (1, Call::Take));
    operations.extend([
        over(0, put, (later(0), later(1)), None),
        over(1, take, (later(2), later(4)), Some(2)),
        over(2, take, (later(3), later(5)), Some(2)),
        over(0, put, (later(6), later(7)), None),
        over(0, (1, Call::Swap(1)), (later(8), later(9)), Some(2)),
    ]);
    let Verdict::Illegal(illegal) = check(&Boxes, operations) else { panic!("there is no order") };
    assert_eq!(
        illegal.to_string(),
        "\
1: 3 operations that happened in no order
  moment  client 0       client 1       client 2
    1000  ┌ (1, Put(2))
    1010  └ None
    1020                 ┌ (1, Take)
    1030                 │              ┌ (1, Take)
    1040                 └ Some(2)      │
    1050                                └ Some(2)  ◀ no order has this

As far as there is an order, it is this one, from None:
- client 0, (1, Put(2)): (Put(2), Some(None)), then Some(2)
- client 1, (1, Take): (Take, Some(Some(2))), then None
Then this cannot be: client 2, (1, Take) → Some(2)"
    );
}

#[tokio::test]
async fn a_recorder_notes_what_is_under_way_and_what_was_given_up() {
    let recorder: Recorder<Order, Answer> = Recorder::new();
    let (ada, bob) = (recorder.client(), recorder.client());
    let answer = ada.record((0, Call::Put(1)), async { None }).await;
    assert_eq!(answer, None);
    let given_up = bob.record((0, Call::Swap(2)), std::future::pending());
    tokio::select! { biased; _ = given_up => panic!("it never ends"), () = async {} => {} }
    let take = ada.call((0, Call::Take));
    assert_eq!(recorder.under_way(), [(0, (0, Call::Take)), (1, (0, Call::Swap(2)))]);
    ada.answer(take, Some(2));
    let noted = recorder.take();
    let moments: Vec<_> = noted.iter().map(|it| (it.client, it.called, it.returned)).collect();
    assert_eq!(moments, [(0, 0, Some(1)), (1, 2, None), (0, 3, Some(4))]);
    assert!(check(&Boxes, noted).is_legal());
    assert_eq!(recorder.take(), []);
}
