//! Effects and states as short texts, for tables and assertions.
//!
//! `t1` is turn 1, `~1` stream 1, `b1 s1 c1 d1` the ports 1 of a begin, a settle, a change and a
//! delete, `#1` the number of an entry, `v1` a version.

use super::super::{
    BeginRefusal, ChangeRefusal, Changed, DeleteRefusal, Deletion, Effect, LeaseAnswer,
    LeaveReason, OpenTurn, Pending, Phase, SessionState, Settlement, Stall,
};
use super::Test;
use crate::clock::Moment;
use crate::outcome::{CancelReason, TurnOutcome};
use crate::policy::{Holder, Parallel};
use crate::store::{
    BeginExtra, FenceReason, InputFate, PartialFate, PartialPiece, PutBack, StoreError, TakeBack,
    Write,
};

/// Effects in their order; empty for none. A wait, which is only told to the log, is left out, and so
/// is the request to be looked at, which comes with the first turn.
pub(super) fn effects(effects: &[Effect<Test>]) -> String {
    let told = effects.iter().filter(|it| !matches!(it, Effect::Waiting { .. } | Effect::Watch));
    told.map(effect).collect::<Vec<_>>().join(" ")
}

fn effect(effect: &Effect<Test>) -> String {
    match effect {
        Effect::Begun { port, generation, stream } => {
            format!("begun(b{port} t{} ~{stream})", generation.get())
        }
        Effect::Refused { port, refusal } => format!("refused(b{port} {})", self::refusal(refusal)),
        Effect::Settled { port, answer } => match answer {
            Ok(answer) => format!("settled(s{port} {})", settlement(answer)),
            Err(it) => format!("settled(s{port} {})", error(it)),
        },
        Effect::Rotated { to } => format!("rotated({to})"),
        Effect::Changed { port, answer } => format!("changed(c{port} {})", changed(answer)),
        Effect::Deleted { port, answer } => match answer {
            Ok(Deletion::Deleted(_)) => format!("deleted(d{port} deleted)"),
            Ok(Deletion::AlreadyGone(_)) => format!("deleted(d{port} already)"),
            Err(DeleteRefusal::Left) => format!("deleted(d{port} left)"),
            Err(DeleteRefusal::Kept) => format!("deleted(d{port} kept)"),
            Err(DeleteRefusal::Store(it)) => format!("deleted(d{port} {})", error(it)),
        },
        Effect::Cancelled { streams, already } => {
            let names: Vec<_> = streams.iter().map(|it| it.generation().get()).collect();
            match (names.as_slice(), already) {
                ([], _) => "cancelled(none)".to_owned(),
                (names, false) => format!("cancelled({names:?})"),
                (names, true) => format!("cancelled({names:?} already)"),
            }
        }
        Effect::Waiting { .. } => "waits".to_owned(),
        Effect::Steerable { stream } => format!("steerable(~{stream})"),
        Effect::Steered { port, generation, seq, .. } => {
            format!("steered(b{port} t{} #{seq})", generation.get())
        }
        Effect::Opened { generation, .. } => format!("opened(t{})", generation.get()),
        Effect::Tell { stream, reason } => format!("tell(~{stream} {})", why(*reason)),
        Effect::Abort { stream, reason } => format!("abort(~{stream} {})", why(*reason)),
        Effect::Watch => "watch".to_owned(),
        Effect::Unwatch => "unwatch".to_owned(),
        Effect::Stalled { stream, stall } => {
            let Stall { work, silent_for, worked_for, budget } = stall;
            let (silent, worked) = (silent_for.as_secs(), worked_for.as_secs());
            format!("stalled(~{stream} {work} {silent}/{worked} {})", budget.as_str())
        }
        Effect::Fence { stream, reason } => format!("fence(~{stream} {})", why(*reason)),
        Effect::End { stream, outcome } => format!("end(~{stream} {outcome})"),
        Effect::Alarm { at, .. } => format!("alarm({})", at.since(Moment::default()).as_secs()),
        Effect::Stands { standing, .. } => format!("stands({})", standing.as_str()),
        Effect::Leased { answer } => format!("leased({})", lease(answer)),
        Effect::LeaseTaken { lease } => format!("taken(l{})", lease.number),
        Effect::LeaseEnded { lease, end } => format!("{}(l{})", end.as_str(), lease.number),
        Effect::Bury { .. } => "bury".to_owned(),
        Effect::Leave { reason } => {
            let told = *reason != LeaveReason::StoreFailed;
            if told { format!("leave({})", reason.as_str()) } else { "leave".to_owned() }
        }
    }
}

fn changed(answer: &Result<Changed, ChangeRefusal>) -> String {
    match answer {
        Ok(Changed { version, last_seq }) => format!("v{version} #{last_seq}"),
        Err(ChangeRefusal::Left) => "left".to_owned(),
        Err(ChangeRefusal::Gone(_)) => "gone".to_owned(),
        Err(ChangeRefusal::Closing) => "closing".to_owned(),
        Err(ChangeRefusal::Shut(it)) => it.as_str().to_owned(),
        Err(ChangeRefusal::Due) => "due".to_owned(),
        Err(ChangeRefusal::Busy { .. }) => "busy".to_owned(),
        Err(ChangeRefusal::TooLong(_)) => "too long".to_owned(),
        Err(ChangeRefusal::Moved) => "moved".to_owned(),
        Err(ChangeRefusal::Store(it)) => error(it).to_owned(),
    }
}

fn lease(answer: &LeaseAnswer) -> String {
    match answer {
        LeaseAnswer::Stands(until) => format!("{}", until.as_millis() / 1_000),
        LeaseAnswer::Released => "released".to_owned(),
        LeaseAnswer::Over => "over".to_owned(),
        LeaseAnswer::TooMany => "too many".to_owned(),
        LeaseAnswer::Due => "due".to_owned(),
        LeaseAnswer::Shut(standing) => standing.as_str().to_owned(),
        LeaseAnswer::Left => "left".to_owned(),
        LeaseAnswer::Closing => "closing".to_owned(),
        LeaseAnswer::Gone(_) => "gone".to_owned(),
    }
}

fn refusal(refusal: &BeginRefusal) -> String {
    match refusal {
        BeginRefusal::Left(_) => "left".to_owned(),
        BeginRefusal::Gone(_) => "gone".to_owned(),
        BeginRefusal::Closing => "closing".to_owned(),
        BeginRefusal::Shut(it) => it.as_str().to_owned(),
        BeginRefusal::Due(_) => "due".to_owned(),
        BeginRefusal::Draining => "draining".to_owned(),
        BeginRefusal::Short(_) => "short".to_owned(),
        BeginRefusal::TooLong(_) => "too long".to_owned(),
        BeginRefusal::Busy { holder, queued } => format!("busy {} q{queued}", self::holder(holder)),
        BeginRefusal::QueueFull { holder, queued } => {
            format!("full {} q{queued}", self::holder(holder))
        }
        BeginRefusal::TimedOut { holder: Some(holder) } => {
            format!("timeout {}", self::holder(holder))
        }
        BeginRefusal::TimedOut { holder: None } => "timeout".to_owned(),
        BeginRefusal::Moved => "moved".to_owned(),
        BeginRefusal::TooManyBranches { parent } => format!("branches under #{parent}"),
        BeginRefusal::AskAgain(_) => "ask again".to_owned(),
        BeginRefusal::Repeated { generation, same } => {
            format!("repeats t{} {}", generation.get(), if *same { "same" } else { "other" })
        }
        BeginRefusal::Steered { by, seq } => format!("steered t{} #{seq}", by.get()),
        BeginRefusal::Conflict { version } => format!("conflict v{version}"),
        BeginRefusal::Cancelled(reason) => format!("cancelled {}", why(*reason)),
        BeginRefusal::Store(it) => error(it).to_owned(),
    }
}

fn holder(holder: &Holder) -> String {
    format!("t{} {}", holder.stream.generation().get(), holder.phase)
}

fn settlement(settlement: &Settlement) -> String {
    match settlement {
        Settlement::Committed { seq, version } => format!("committed #{seq} v{version}"),
        Settlement::Superseded { by } => format!("superseded t{}", by.generation().get()),
        Settlement::Stale { reason } => format!("stale {}", why(*reason)),
        Settlement::Failed => "failed".to_owned(),
    }
}

fn why(reason: CancelReason) -> &'static str {
    TurnOutcome::Cancelled(reason).as_str().trim_start_matches("cancelled_")
}

fn error(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unavailable { .. } => "unavailable",
        StoreError::OutcomeUnknown { .. } => "unknown",
        StoreError::Fenced { reason: FenceReason::NoSuchLife } => "no-such-life",
        StoreError::Fenced { .. }
        | StoreError::Full { .. }
        | StoreError::Damaged { .. }
        | StoreError::Owned { .. }
        | StoreError::Unusable { .. }
        | StoreError::Closed => "another error",
    }
}

/// A state: its phase, `t1s t1r t1c t1a` for a turn that starts, runs, was told to end or aborted (`p`
/// for a parallel one, `b` for a branch), `q2` for a waiting begin, `q2?` if it waits for a permit, `e3` for one
/// that repeats another, `!1` for a fenced turn whose holder has not reported, `l1` for a lease, `u` if it
/// was used and the store is not told of it by anything else,
/// and behind a bar the writes, the one with the store starred.
pub(super) fn state(state: &SessionState<Test>) -> String {
    let mut words = Vec::new();
    match &state.phase {
        Phase::Live => words.push("live".to_owned()),
        Phase::Shut(standing) => words.push(standing.as_str().to_owned()),
        Phase::Closing(closing) => {
            words.push("closing".to_owned());
            words.extend(closing.failed.iter().map(|_| "failed".to_owned()));
            words.extend(closing.waiting.iter().map(|port| format!("d{port}")));
        }
        Phase::Gone(_) => words.push("gone".to_owned()),
        Phase::Left => words.push("left".to_owned()),
    }
    words.extend(state.turns.iter().map(|it| turn(it)));
    let asks = |place: usize| if place == 0 && state.asking.is_some() { "?" } else { "" };
    let queue = state.queue.iter().enumerate();
    words.extend(queue.map(|(place, queued)| format!("q{}{}", queued.port, asks(place))));
    words.extend(state.echoes.iter().map(|echo| format!("e{}", echo.port)));
    words.extend(state.fenced.iter().map(|(generation, _)| format!("!{}", generation.get())));
    words.extend(state.leases(Moment::default()).map(|lease| format!("l{}", lease.number)));
    words.extend(state.unsaved.then(|| "u".to_owned()));
    if !state.outbox.is_empty() {
        words.push("|".to_owned());
        words.extend(state.outbox.iter().map(pending));
    }
    words.join(" ")
}

fn turn(turn: &OpenTurn<Test>) -> String {
    let kind = match turn.parallel {
        Some(Parallel::Branch) => 'b',
        Some(Parallel::FirstCommit) => 'p',
        None => 't',
    };
    let phase = match (turn.stopping, turn.opened) {
        (Some(stopping), _) => {
            if stopping.aborted {
                'a'
            } else {
                'c'
            }
        }
        (None, true) => 'r',
        (None, false) => 's',
    };
    format!("{kind}{}{phase}", turn.generation.get())
}

fn pending(pending: &Pending<Test>) -> String {
    let (name, write) = match pending {
        Pending::Begin { write, generation, .. } => (format!("begin{}", generation.get()), write),
        Pending::Settle { write, generation, outcome: TurnOutcome::Committed, .. } => {
            (format!("commit{}", generation.get()), write)
        }
        Pending::Settle { write, generation, outcome, .. } => {
            (format!("settle{}:{outcome}", generation.get()), write)
        }
        Pending::Partial { write, generation, .. } => {
            (format!("partial{}", generation.get()), write)
        }
        Pending::Steer { write, generation, .. } => (format!("steer{}", generation.get()), write),
        Pending::Change { write, .. } => ("change".to_owned(), write),
        Pending::Use { write, then_leave } => {
            (if then_leave.is_some() { "use-leave" } else { "use" }.to_owned(), write)
        }
        Pending::Delete { write } => ("delete".to_owned(), write),
    };
    match write {
        None => format!("*{name}"),
        Some(write) => format!("{name}{}", details(write)),
    }
}

fn details(write: &Write) -> String {
    match write {
        Write::Begin { input, extra, .. } => {
            let input = input.as_ref().map_or_else(String::new, |(seq, _)| format!("#{seq}"));
            input + &extra.as_deref().map_or_else(String::new, extras)
        }
        Write::Steer { seq, .. } => format!("#{seq}"),
        Write::Partial { piece, .. } => said(piece),
        Write::Commit { first_seq, version, .. } => format!("#{first_seq}v{version}"),
        Write::Settle { input, partial, next_seq, .. } => {
            let input = match input {
                InputFate::Keep => "/keep",
                InputFate::Drop => "/drop",
                InputFate::Aside => "/aside",
            };
            let partial = match partial {
                PartialFate::Keep { last: Some(last) } => said(last),
                PartialFate::Entry { .. } => format!("+entry#{}", next_seq - 1),
                PartialFate::Keep { last: None } | PartialFate::Drop => String::new(),
            };
            format!("{input}{partial}")
        }
        Write::Append { first_seq, version, .. } => format!(":append#{first_seq}v{version}"),
        Write::PutData { version, .. } => format!(":data-v{version}"),
        Write::TakeBack { from, .. } => format!(":{}", taken_back(from)),
        Write::PutBack { back, .. } => {
            let PutBack { revision, from, entries, first_seq, version } = back;
            format!(":put{revision}@{from}#{first_seq}+{entries}v{version}")
        }
        Write::ForgetRevision { version } => format!(":forget{version}"),
        Write::Resume { .. } => ":handle".to_owned(),
        Write::Label { .. } => ":label".to_owned(),
        Write::Rotate { to, .. } => format!(":rotate>{to}"),
        Write::Standing { standing, .. } => format!(":{}", standing.as_str()),
        Write::Patch { .. } => ":patch".to_owned(),
        Write::Delete { .. } => String::new(),
    }
}

/// What a begin does beside: `^2` for what it stands under, `(n)` for its name.
fn extras(extra: &BeginExtra) -> String {
    let parent = extra.parent.map(|parent| format!("^{parent}"));
    let name = extra.request.as_ref().map(|request| format!("({})", request.key));
    let back = extra.take_back.as_ref().map(|from| format!("<{}>", taken_back(from)));
    [parent, name, back].into_iter().flatten().collect()
}

fn taken_back(TakeBack { from, version, .. }: &TakeBack) -> String {
    format!("back#{from}v{version}")
}

/// A piece: its first chunk and how many there are.
fn said(piece: &PartialPiece) -> String {
    format!("~{}+{}", piece.first, piece.chunks)
}
