//! Sessions that are not used leave memory: which ones are due, and which have to make room.
//!
//! Every loaded session has one entry in [`Buckets`], under the time at which it was used last as far as is
//! known here. Using it touches nothing but its own state; the entry is put right when it is looked at. So a
//! look costs what is due, not what is loaded, and nothing ticks while nothing is due.
//!
//! What races: whoever takes an entry out has it alone, and puts it back unless the session is over; the
//! session itself decides under its lock whether it leaves (`state/idle.rs`). A load puts its entry in after
//! it has made room, so that it does not make room for itself.

mod buckets;
mod room;

use std::time::Duration;

use self::buckets::{Buckets, Chunk};
use self::room::Coming;
pub(super) use self::room::Room;
use super::shared::Shared;
use crate::clock::{Moment, Now};
use crate::config::IdleConfig;
use crate::rt::{self, Arc, AtomicUsize, Mutex, Notify, Weak};
use crate::slot::Slot;
use crate::state::LeaveReason;

/// How many entries are looked at without letting other tasks run.
const SLICE: usize = 256;

/// How many entries a load looks at to make room.
const LOOKS_PER_LOAD: usize = 16;

/// How many entries one look goes through to make room.
const LOOKS_PER_ROUND: usize = 4_096;

/// How many entries of sessions that are over may stand, beyond a quarter of those that are loaded.
const SPARE: usize = 1_024;

/// The longest sleep: the clock that was given to the builder may be another than the runtime's.
const LONGEST_SLEEP: Duration = Duration::from_secs(3_600);

/// An entry. Does not keep the session.
type Entry = Weak<Slot>;

/// The loaded sessions by their last use.
#[derive(Debug)]
pub(super) struct Idle {
    /// Where the entries stand.
    entries: Mutex<Buckets<Entry>>,
    /// Notified when there is something to look at that the clock does not know of.
    wanted: Notify,
    /// How many are about to be loaded that have asked for room.
    coming: AtomicUsize,
    /// When sessions leave.
    config: IdleConfig,
}

impl Idle {
    /// Nothing is loaded.
    pub(super) fn new(config: IdleConfig) -> Self {
        Self {
            entries: Mutex::new(Buckets::new()),
            wanted: Notify::new(),
            coming: AtomicUsize::new(0),
            config,
        }
    }

    /// How many entries there are.
    fn len(&self) -> usize {
        self.entries.lock().len()
    }

    /// Somebody may have to leave.
    pub(super) fn wake(&self) {
        self.wanted.notify_one();
    }

    /// Whether sessions leave memory at all.
    fn is_on(&self) -> bool {
        !self.config.unload_after.is_zero() || self.config.is_bounded()
    }

    /// In which span of time `moment` is.
    fn span(&self, moment: Moment) -> u64 {
        moment.spans(self.config.check_every)
    }

    /// The last moment of `span`.
    fn end_of(&self, span: u64) -> Moment {
        let next = Moment::after_spans(span.saturating_add(1), self.config.check_every);
        next.minus(Duration::from_nanos(1)).unwrap_or_default()
    }

    /// Puts in a session that was used at `used_at`; answers how many there are.
    fn put(&self, slot: Entry, used_at: Moment) -> usize {
        let span = self.span(used_at);
        let mut entries = self.entries.lock();
        entries.push(span, slot);
        entries.len()
    }

    /// The last span all of which is due at `now`.
    fn due(&self, now: Moment) -> Option<u64> {
        let after = Some(self.config.unload_after).filter(|after| !after.is_zero())?;
        self.span(now.minus(after)?).checked_sub(1)
    }

    /// When the oldest are due, if there are any.
    fn next_due(&self) -> Option<Moment> {
        let after = Some(self.config.unload_after).filter(|after| !after.is_zero())?;
        let oldest = self.entries.lock().oldest()?;
        Some(Moment::after_spans(oldest.saturating_add(1), self.config.check_every).plus(after))
    }

    /// Takes out up to `most` entries of one span, `newest` or older.
    fn take(&self, newest: u64, most: usize) -> Option<Taken<'_>> {
        let (span, entries) = self.entries.lock().take(newest, most)?;
        Some(Taken { idle: self, span, entries })
    }

    /// Whether more entries of sessions that are over stand than may, if `live` are loaded.
    fn is_littered(&self, live: usize) -> bool {
        Self::are_litter(self.entries.lock().len(), live)
    }

    /// Whether so many entries are too many for as many loaded sessions.
    const fn are_litter(entries: usize, live: usize) -> bool {
        entries > live + live / 4 + SPARE
    }

    /// The sessions that have no entry, of `slots`; none, if sessions never leave.
    pub(super) fn missing<'a>(&self, slots: &'a [Arc<Slot>]) -> Vec<&'a Arc<Slot>> {
        if !self.is_on() {
            return Vec::new();
        }
        let there: std::collections::HashSet<_> =
            self.entries.lock().iter().map(Weak::as_ptr).collect();
        slots.iter().filter(|slot| !there.contains(&Arc::as_ptr(slot))).collect()
    }
}

/// Entries that were taken out. Those that are left are put back, however this ends.
struct Taken<'a> {
    /// Where.
    idle: &'a Idle,
    /// When they were used last, as far as was known.
    span: u64,
    /// Not looked at yet.
    entries: Chunk<Entry>,
}

impl Taken<'_> {
    /// Lets the first leave memory, unless something keeps it or it was used after `unused_since`; then it is
    /// put where it belongs. Answers whether there was one.
    fn look(&mut self, unused_since: Moment, reason: LeaveReason, now: Now) -> bool {
        let Some(entry) = self.entries.front() else { return false };
        let idle_since = entry.upgrade().and_then(|it| it.unload(unused_since, reason, now));
        // Only now: if that panics, the next look finds it again.
        let entry = self.entries.pop_front();
        if let (Some(entry), Some(idle_since)) = (entry, idle_since) {
            self.idle.put(entry, idle_since);
        }
        true
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let left = std::mem::take(&mut self.entries);
        self.idle.entries.lock().put_back(self.span, left);
    }
}

impl Shared {
    /// Notes that `slot` is loaded, and makes room for it.
    pub(super) fn note_loaded(&self, slot: &Arc<Slot>) {
        if !self.idle.is_on() {
            return;
        }
        let now = self.engine.now();
        let room = self.make_room(LOOKS_PER_LOAD, self.coming(), now);
        // Whoever is published and has not given back the room that was kept for it is counted twice until then.
        if !room && self.is_crowded_now() {
            self.engine.counts.exceeded();
        }
        let entries = self.idle.put(Arc::downgrade(slot), now.moment);
        if entries == 1 || !room || Idle::are_litter(entries, self.registry.live()) {
            self.idle.wanted.notify_one();
        }
    }

    /// Whether more are loaded than may be.
    pub(super) fn is_crowded_now(&self) -> bool {
        self.is_crowded(Coming::default())
    }

    /// Whether more are loaded than may be, together with those that are `coming`.
    fn is_crowded(&self, coming: Coming) -> bool {
        let IdleConfig { max_live, max_bytes, .. } = self.idle.config;
        let (live, bytes) = (self.registry.live(), self.engine.occupied.bytes());
        max_live > 0 && live + coming.sessions > max_live
            || max_bytes > 0 && bytes + coming.bytes() > max_bytes
    }

    /// Lets sessions leave while there are too many, those that have not been used for longest first; looks at
    /// `looks` entries at most. Answers whether there are not too many any more.
    fn make_room(&self, mut looks: usize, coming: Coming, now: Now) -> bool {
        while self.is_crowded(coming) {
            let Some(mut taken) = self.idle.take(u64::MAX, looks).filter(|_| looks > 0) else {
                return false;
            };
            // Used since: it belongs elsewhere, and others are before it.
            let unused_since = self.idle.end_of(taken.span);
            while looks > 0
                && self.is_crowded(coming)
                && taken.look(unused_since, LeaveReason::Cap, now)
            {
                looks -= 1;
            }
        }
        true
    }

    /// After how long to look again, if nobody asks for it before; `None` if only then.
    fn next_look(&self) -> Option<Duration> {
        let now = self.engine.now().moment;
        let crowded = self.is_crowded_now();
        let due_in = || self.idle.next_due().map(|due| due.since(now).min(LONGEST_SLEEP));
        if crowded { Some(Duration::ZERO) } else { due_in() }
    }

    /// Lets sessions leave that are due, and those that are too many.
    pub(super) async fn look_for_idle(&self) {
        let now = self.engine.now();
        drop(self.engine.compare_clocks(now));
        let unused_since = now.moment.minus(self.idle.config.unload_after).unwrap_or_default();
        let due = self.idle.due(now.moment);
        while let Some(mut taken) = due.and_then(|due| self.idle.take(due, SLICE)) {
            while taken.look(unused_since, LeaveReason::Idle, now) {}
            drop(taken);
            rt::yield_now().await;
        }
        for _ in 0..LOOKS_PER_ROUND / SLICE {
            if self.make_room(SLICE, self.coming(), now) {
                break;
            }
            rt::yield_now().await;
        }
        if self.idle.is_littered(self.registry.live()) {
            self.sweep_entries().await;
        }
    }

    /// Removes the entries of sessions that are over.
    async fn sweep_entries(&self) {
        let (mut swept, now) = (None, self.engine.now());
        loop {
            let taken = self.idle.entries.lock().take_after(swept);
            let Some((span, chunks)) = taken else { return };
            swept = Some(span);
            for mut entries in chunks {
                entries.retain(|entry| {
                    entry.upgrade().is_some_and(|slot| slot.idle_since(now).is_some())
                });
                self.idle.entries.lock().put_back(span, entries);
                rt::yield_now().await;
            }
        }
    }
}

/// Looks when something is due, and while there are too many; at most every `idle.check_every`.
///
/// Each time in a task of its own, so that a store that panics ends one look and not the clock.
pub(super) async fn run(idle: Arc<Idle>, shared: Weak<Shared>) {
    if !idle.is_on() {
        return;
    }
    loop {
        let Some(due_in) = shared.upgrade().map(|shared| shared.next_look()) else { return };
        match due_in {
            Some(due_in) => drop(rt::timeout(due_in, idle.wanted.notified()).await),
            None => idle.wanted.notified().await,
        }
        let Some(shared) = shared.upgrade() else { return };
        let spawner = shared.engine.spawner.clone();
        drop(spawner.spawn(async move { shared.look_for_idle().await }).await);
        rt::sleep(idle.config.check_every).await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Supervisor;
    use super::*;
    use crate::supervisor::NewSession;
    use crate::testing::PausedClock;

    // X11, X12, M4: what is deleted leaves nothing to look at for long
    #[tokio::test(start_paused = true)]
    async fn sessions_that_come_and_go_leave_nothing_to_look_at() {
        let builder = Supervisor::builder().clock(PausedClock::new());
        let supervisor: Supervisor = builder.start().await.unwrap();
        let idle = &supervisor.shared.idle;
        let kept = supervisor.create(NewSession::new()).await.unwrap();
        for _ in 0..20 {
            for _ in 0..2_000 {
                let session = supervisor.create(NewSession::new()).await.unwrap();
                session.delete().await.unwrap();
            }
            rt::sleep(Duration::from_secs(3)).await;
            let entries = idle.entries.lock().len();
            assert!(entries <= SPARE + 1, "{entries} are looked at for one");
        }
        assert!(kept.status().loaded);
        assert!(idle.missing(&supervisor.shared.registry.slots()).is_empty());
    }
}
