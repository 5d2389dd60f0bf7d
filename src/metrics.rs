//! Every metric: its name, its unit, when it moves, and what it balances with.
//!
//! The library speaks to the `metrics` facade and brings no exporter. The same numbers are kept
//! for [`Supervisor::counts`](crate::Supervisor::counts), so that a program can read what it is
//! about to export, and so that the balances can be checked.
//!
//! | metric | unit | moves | balances |
//! | --- | --- | --- | --- |
//! | `session_created_total` | sessions | when the store has the new record | |
//! | `session_loaded_total` | sessions | when a slot is published: after a create, or a load from the store | = `session_live` + `session_unloaded_total` + `session_deleted_total` |
//! | `session_unloaded_total{reason}` | sessions | when a slot is taken off and the session lives on: `idle` and `cap` as the settings say, `store_failed`, `outdated` if somebody else has written to the store | see above |
//! | `session_deleted_total` | sessions | when the store has the tombstone | see above |
//! | `session_live` | sessions, gauge | with the three above | |
//! | `session_live_max` | sessions, gauge | at the start: `idle.max_live`; 0 is any number | |
//! | `session_live_exceeded_total` | sessions | when one is loaded and none of the others that were looked at could leave, so that there are more than the cap | |
//! | `session_standings_total{to}` | sessions | when a loaded session is suspended, archived or ended, or is active again | |
//! | `session_expired_total{clock}` | sessions | when the store has that one was archived because its time was over | |
//! | `session_prune_seconds` | seconds, histogram | with each pass that ends conversations | |
//! | `session_prune_hook_errors_total{hook,how}` | answers | when a prune hook fails, panics or takes too long; the session is kept | |
//! | `session_prune_forced_total` | sessions | when one is ended whose last rites have failed too often | |
//! | `session_rotated_total` | ids | when the store has a further id of a session | |
//! | `session_live_bytes` | bytes, gauge | what the loaded sessions take, with each that comes, leaves or starts its actor | |
//! | `session_live_bytes_max` | bytes, gauge | at the start: `idle.max_bytes`; 0 is any number | |
//! | `session_loads_refused_total` | sessions | when one is not loaded or created since there is no room, as `idle.when_full` says | |
//! | `session_gone_hits_total` | look-ups | when a look-up, an open, a begin or a delete finds that it is gone | |
//! | `session_turns_begun_total` | turns | when a turn takes the slot | = `session_turns_ended_total` + `session_turns_open` |
//! | `session_turns_ended_total{outcome}` | turns | with the turn's terminal event | see above |
//! | `session_turns_open` | turns, gauge | with the two above | |
//! | `session_turn_seconds{outcome}` | seconds, histogram | with `session_turns_ended_total` | |
//! | `session_begins_refused_total{reason}` | begins | when a begin is answered with an error | |
//! | `session_begins_queued_total` | begins | when a begin has to wait | = `session_begins_dequeued_total` + `session_queue_length` |
//! | `session_begins_dequeued_total` | begins | when its future resolves or is dropped | see above |
//! | `session_queue_length` | begins, gauge | with the two above | |
//! | `session_queue_wait_seconds` | seconds, histogram | with `session_begins_dequeued_total` | |
//! | `session_commits_stale_total{reason}` | commits | when a commit or fail finds its turn ended over its head | |
//! | `session_turns_told_total{reason}` | turns | when a turn is told to end; those that are fenced at once are not told | |
//! | `session_turns_aborted_total{reason}` | turns | when one that was told has not ended within `turns.abort_after` | |
//! | `session_turns_fenced_total{reason}` | turns | when a turn is ended over its holder's head | |
//! | `session_stalls_total{phase, budget}` | stalls | when a turn is found stuck: once a silence, and once if it works for too long; `budget` is `silence` or `total` | |
//! | `session_resume_attempts_total{provider}` | attempts | when one with a resume handle is counted, before it is made | |
//! | `session_resume_failures_total{provider, class}` | attempts | when one is said to have failed | |
//! | `session_resume_retries_total{provider}` | turns | when one is told to retry without its handle | |
//! | `session_resume_refused_total{provider}` | handles | when one that is gone was to be kept again | |
//! | `session_store_failures_total{operation}` | operations | when the store answers with an error | |
//! | `session_actors_started_total` | actors | when a session needs one | = `session_actors_ended_total` + those that run |
//! | `session_actors_ended_total` | actors | when one is gone, however it ended | see above |
//! | `session_tombstones` | tombstones, gauge | those held in memory | |
//! | `session_tombstones_evicted_total` | tombstones | when one leaves memory before its time because there are too many | |
//! | `session_limit_current{limit}` | what the limit counts, gauge | within `stalls.check_every` while turns run, and with each sweep: how much there is; not for `entries` and `transcript_bytes`, which are those of one conversation | = permits of open turns, for `turns` |
//! | `session_limit_max{limit}` | the same, gauge | at the start: how much there may be; 0 is any number | |
//! | `session_limit_rejected_total{limit}` | requests | when somebody is refused because of the limit; `waiting_turns` is also what is waiting for `turns` | |
//! | `session_class_turns{class}` | turns, gauge | as `session_limit_current`, for classes with a limit | |
//! | `session_class_turns_max{class}` | turns, gauge | at the start | |
//! | `session_class_turns_waiting{class}` | begins, gauge | as `session_class_turns` | |
//! | `session_paused` | 0 or 1, gauge | as `session_limit_current` | |
//! | `session_leases_taken_total` | leases | when one is taken; a renewal is none | = `session_leases_released_total` + `session_leases_expired_total` + `session_leases_dropped_total` + `session_leases` |
//! | `session_leases_released_total` | leases | when one is given back | see above |
//! | `session_leases_expired_total` | leases | when one reaches its age and was not renewed | see above |
//! | `session_leases_dropped_total` | leases | when its session ends while it stands | see above |
//! | `session_leases` | leases, gauge | with the four above | |
//! | `session_chunks_total` | chunks | when a turn ends, by what it emitted | |
//!
//! `provider` is what the program calls an outside service: use one name for each service, and none for an
//! account or a user, since each is a series of its own for as long as the process runs.

mod leases;

use metrics::{counter, gauge, histogram};

use crate::outcome::{CancelReason, TurnOutcome};
use crate::pulse::WorkPhase;
use crate::resume::ResumeFailure;
use crate::rt::{AtomicU64, Ordering};
use crate::standing::{ExpiryClock, Standing};
use crate::state::{Budget, LeaveReason};

/// One number that only grows, kept beside the facade.
#[derive(Debug, Default)]
pub(crate) struct Tally(AtomicU64);

impl Tally {
    /// Counts one.
    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many so far.
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts everything that happens to the sessions of one supervisor.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    created: Tally,
    loaded: Tally,
    unloaded: Tally,
    shed: Tally,
    exceeded: Tally,
    deleted: Tally,
    rotated: Tally,
    gone_hits: Tally,
    begun: Tally,
    ended: Tally,
    committed: Tally,
    superseded: Tally,
    stale: Tally,
    told: Tally,
    aborted: Tally,
    fenced: Tally,
    stalls: Tally,
    refused: Tally,
    queued: Tally,
    dequeued: Tally,
    store_failures: Tally,
    actors_started: Tally,
    actors_ended: Tally,
    tombstones_evicted: Tally,
    expired: Tally,
    resume_attempts: Tally,
    resume_failures: Tally,
    resume_retries: Tally,
    resume_refused: Tally,
    loads_refused: Tally,
    leases_taken: Tally,
    leases_released: Tally,
    leases_expired: Tally,
    leases_dropped: Tally,
}

/// A reading of every count, one by one, so not of one instant. Names as in
/// [the table](crate::metrics).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is explained in the table at the top")]
pub struct CountsSnapshot {
    pub created: u64,
    pub loaded: u64,
    pub unloaded: u64,
    pub unloaded_for_cap: u64,
    pub live_exceeded: u64,
    pub deleted: u64,
    pub rotated: u64,
    pub gone_hits: u64,
    pub turns_begun: u64,
    pub turns_ended: u64,
    pub turns_committed: u64,
    pub turns_superseded: u64,
    pub commits_stale: u64,
    pub turns_told: u64,
    pub turns_aborted: u64,
    pub turns_fenced: u64,
    pub stalls: u64,
    pub begins_refused: u64,
    pub begins_queued: u64,
    pub begins_dequeued: u64,
    pub store_failures: u64,
    pub actors_started: u64,
    pub actors_ended: u64,
    pub tombstones_evicted: u64,
    pub expired: u64,
    pub resume_attempts: u64,
    pub resume_failures: u64,
    pub resume_retries: u64,
    pub resume_refused: u64,
    pub loads_refused: u64,
    pub leases_taken: u64,
    pub leases_released: u64,
    pub leases_expired: u64,
    pub leases_dropped: u64,
}

impl Counts {
    /// All of them.
    pub(crate) fn snapshot(&self) -> CountsSnapshot {
        CountsSnapshot {
            created: self.created.get(),
            loaded: self.loaded.get(),
            unloaded: self.unloaded.get(),
            unloaded_for_cap: self.shed.get(),
            live_exceeded: self.exceeded.get(),
            deleted: self.deleted.get(),
            rotated: self.rotated.get(),
            gone_hits: self.gone_hits.get(),
            turns_begun: self.begun.get(),
            turns_ended: self.ended.get(),
            turns_committed: self.committed.get(),
            turns_superseded: self.superseded.get(),
            commits_stale: self.stale.get(),
            turns_told: self.told.get(),
            turns_aborted: self.aborted.get(),
            turns_fenced: self.fenced.get(),
            stalls: self.stalls.get(),
            begins_refused: self.refused.get(),
            begins_queued: self.queued.get(),
            begins_dequeued: self.dequeued.get(),
            store_failures: self.store_failures.get(),
            actors_started: self.actors_started.get(),
            actors_ended: self.actors_ended.get(),
            tombstones_evicted: self.tombstones_evicted.get(),
            expired: self.expired.get(),
            resume_attempts: self.resume_attempts.get(),
            resume_failures: self.resume_failures.get(),
            resume_retries: self.resume_retries.get(),
            resume_refused: self.resume_refused.get(),
            loads_refused: self.loads_refused.get(),
            leases_taken: self.leases_taken.get(),
            leases_released: self.leases_released.get(),
            leases_expired: self.leases_expired.get(),
            leases_dropped: self.leases_dropped.get(),
        }
    }

    pub(crate) fn created(&self) {
        self.created.add();
        counter!("session_created_total").increment(1);
    }

    pub(crate) fn loaded(&self) {
        self.loaded.add();
        counter!("session_loaded_total").increment(1);
        gauge!("session_live").increment(1);
    }

    pub(crate) fn unloaded(&self, reason: LeaveReason) {
        self.unloaded.add();
        if reason == LeaveReason::Cap {
            self.shed.add();
        }
        counter!("session_unloaded_total", "reason" => reason.as_str()).increment(1);
        gauge!("session_live").decrement(1);
    }

    /// Tells the caps of loaded sessions; their counts are there from the start.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    pub(crate) fn max_live(max: usize, bytes: usize) {
        gauge!("session_live_max").set(max as f64);
        gauge!("session_live_bytes_max").set(bytes as f64);
        counter!("session_live_exceeded_total").increment(0);
        counter!("session_loads_refused_total").increment(0);
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    #[expect(clippy::unused_self, reason = "called as the others are")]
    pub(crate) fn occupied(&self, bytes: usize) {
        gauge!("session_live_bytes").set(bytes as f64);
    }

    pub(crate) fn load_refused(&self) {
        self.loads_refused.add();
        counter!("session_loads_refused_total").increment(1);
    }

    pub(crate) fn exceeded(&self) {
        self.exceeded.add();
        counter!("session_live_exceeded_total").increment(1);
    }

    pub(crate) fn deleted(&self) {
        self.deleted.add();
        counter!("session_deleted_total").increment(1);
        gauge!("session_live").decrement(1);
    }

    pub(crate) fn stands(standing: Standing) {
        counter!("session_standings_total", "to" => standing.as_str()).increment(1);
    }

    pub(crate) fn expired(&self, clock: ExpiryClock) {
        self.expired.add();
        counter!("session_expired_total", "clock" => clock.as_str()).increment(1);
    }

    pub(crate) fn hook_failed(hook: &'static str, how: &'static str) {
        counter!("session_prune_hook_errors_total", "hook" => hook, "how" => how).increment(1);
    }

    pub(crate) fn forced() {
        counter!("session_prune_forced_total").increment(1);
    }

    pub(crate) fn pruned(seconds: f64) {
        histogram!("session_prune_seconds").record(seconds);
    }

    pub(crate) fn rotated(&self) {
        self.rotated.add();
        counter!("session_rotated_total").increment(1);
    }

    pub(crate) fn gone_hit(&self) {
        self.gone_hits.add();
        counter!("session_gone_hits_total").increment(1);
    }

    pub(crate) fn begun(&self) {
        self.begun.add();
        counter!("session_turns_begun_total").increment(1);
        gauge!("session_turns_open").increment(1);
    }

    pub(crate) fn ended(&self, outcome: TurnOutcome, seconds: f64, chunks: u64) {
        self.ended.add();
        match outcome {
            TurnOutcome::Committed => self.committed.add(),
            TurnOutcome::Superseded => self.superseded.add(),
            TurnOutcome::Failed
            | TurnOutcome::Abandoned
            | TurnOutcome::Panicked
            | TurnOutcome::Cancelled(_)
            | TurnOutcome::Interrupted => {}
        }
        gauge!("session_turns_open").decrement(1);
        if outcome == TurnOutcome::Committed {
            // The usual end: with a label that is written here, its key is made once and for all.
            counter!("session_turns_ended_total", "outcome" => "committed").increment(1);
            histogram!("session_turn_seconds", "outcome" => "committed").record(seconds);
        } else {
            counter!("session_turns_ended_total", "outcome" => outcome.as_str()).increment(1);
            histogram!("session_turn_seconds", "outcome" => outcome.as_str()).record(seconds);
        }
        counter!("session_chunks_total").increment(chunks);
    }

    pub(crate) fn stale(&self, reason: CancelReason) {
        self.stale.add();
        counter!("session_commits_stale_total", "reason" => reason.as_str()).increment(1);
    }

    pub(crate) fn told(&self, reason: CancelReason) {
        self.told.add();
        counter!("session_turns_told_total", "reason" => reason.as_str()).increment(1);
    }

    pub(crate) fn aborted(&self, reason: CancelReason) {
        self.aborted.add();
        counter!("session_turns_aborted_total", "reason" => reason.as_str()).increment(1);
    }

    pub(crate) fn stalled(&self, phase: WorkPhase, budget: Budget) {
        self.stalls.add();
        let labels = [("phase", phase.as_str()), ("budget", budget.as_str())];
        counter!("session_stalls_total", &labels).increment(1);
    }

    pub(crate) fn fenced(&self, reason: CancelReason) {
        self.fenced.add();
        counter!("session_turns_fenced_total", "reason" => reason.as_str()).increment(1);
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.add();
        counter!("session_begins_refused_total", "reason" => reason).increment(1);
    }

    pub(crate) fn queued(&self) {
        self.queued.add();
        counter!("session_begins_queued_total").increment(1);
        gauge!("session_queue_length").increment(1);
    }

    pub(crate) fn dequeued(&self, seconds: f64) {
        self.dequeued.add();
        counter!("session_begins_dequeued_total").increment(1);
        gauge!("session_queue_length").decrement(1);
        histogram!("session_queue_wait_seconds").record(seconds);
    }

    pub(crate) fn store_failed(&self, operation: &'static str) {
        self.store_failures.add();
        counter!("session_store_failures_total", "operation" => operation).increment(1);
    }

    pub(crate) fn resume_attempted(&self, provider: &str) {
        self.resume_attempts.add();
        counter!("session_resume_attempts_total", "provider" => provider.to_owned()).increment(1);
    }

    pub(crate) fn resume_failed(&self, provider: &str, class: ResumeFailure) {
        self.resume_failures.add();
        let provider = provider.to_owned();
        let class = class.as_str();
        counter!("session_resume_failures_total", "provider" => provider, "class" => class)
            .increment(1);
    }

    pub(crate) fn resume_retried(&self, provider: &str) {
        self.resume_retries.add();
        counter!("session_resume_retries_total", "provider" => provider.to_owned()).increment(1);
    }

    pub(crate) fn resume_refused(&self, provider: &str) {
        self.resume_refused.add();
        counter!("session_resume_refused_total", "provider" => provider.to_owned()).increment(1);
    }

    pub(crate) fn actor_started(&self) {
        self.actors_started.add();
        counter!("session_actors_started_total").increment(1);
    }

    /// How many actors of sessions there are.
    pub(crate) fn actors(&self) -> u64 {
        // The ends first, so that one that starts meanwhile is not missed.
        let ended = self.actors_ended.get();
        self.actors_started.get().saturating_sub(ended)
    }

    pub(crate) fn actor_ended(&self) {
        self.actors_ended.add();
        counter!("session_actors_ended_total").increment(1);
    }

    pub(crate) fn tombstones(&self, held: usize, evicted: usize) {
        for _ in 0..evicted {
            self.tombstones_evicted.add();
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        gauge!("session_tombstones").set(held as f64);
        counter!("session_tombstones_evicted_total").increment(evicted as u64);
    }
}
