//! What stands under an id, by hand: slots that no supervisor has loaded, in a registry of their own.

use super::*;
use crate::clock::Timestamp;
use crate::entry::ChatMessage;
use crate::session::Session;
use crate::state::{LeaseKey, LeaseOp};
use crate::store::Record;
use crate::supervisor::{NewSession, Supervisor};
use crate::tombstone::GoneReason;

const MINUTE: Duration = Duration::from_secs(60);

fn id(name: &str) -> SessionId {
    SessionId::new(name).unwrap()
}

/// The reading of the clocks at `second`.
fn at(second: u64) -> Now {
    let since = Duration::from_secs(second);
    Now { moment: Moment::after_start(since), wall: Timestamp::from_millis(second * 1_000) }
}

/// That of a life.
fn tombstone(life: u64) -> Tombstone {
    let (at, until) = (at(0).wall, at(60).wall);
    let incarnation = Incarnation::new(life);
    Tombstone { incarnation, reason: GoneReason::Deleted, at, until }
}

/// A registry, and what slots are made of.
struct Rig {
    registry: Registry,
    session: Session,
    record: Record,
    supervisor: Supervisor,
}

impl Rig {
    async fn new() -> Self {
        let supervisor: Supervisor = Supervisor::builder().start().await.unwrap();
        let session = supervisor.create(NewSession::new()).await.unwrap();
        let record = session.record().await.unwrap();
        Self { registry: Registry::new(9), session, record, supervisor }
    }

    /// A slot of a life that has these ids, the first one first.
    fn slot(&self, life: u64, ids: &[&str]) -> Arc<Slot> {
        let (pattern, mut record) = (self.session.slot(), self.record.clone());
        let (tip, former) = ids.split_last().unwrap();
        (record.id, record.incarnation) = (id(tip), Incarnation::new(life));
        record.former_ids = former.iter().map(|name| id(name)).collect();
        let house = Arc::downgrade(&pattern.house().unwrap());
        Slot::new(record, (Vec::new(), 0), pattern.engine.clone(), house)
    }

    /// One that is in.
    fn published(&self, life: u64, ids: &[&str]) -> Arc<Slot> {
        let slot = self.slot(life, ids);
        assert!(matches!(self.registry.publish(&slot), Published::New));
        slot
    }

    /// It is deleted at `second`, and its tombstone stands for a minute.
    fn bury(&self, slot: &Arc<Slot>, second: u64) {
        self.registry.bury(slot, tombstone(slot.incarnation.get()), MINUTE, at(second));
    }

    /// Whether `slot` stands under `name`.
    fn stands(&self, slot: &Arc<Slot>, name: &str) -> bool {
        matches!(self.registry.get(&id(name)), Some(Place::Live(it)) if Arc::ptr_eq(&it, slot))
    }

    /// Whose tombstone stands under `name`.
    fn grave(&self, name: &str) -> Option<u64> {
        let Some(Place::Gone(grave)) = self.registry.get(&id(name)) else { return None };
        Some(grave.tombstone.incarnation.get())
    }
}

// A5, E10
#[tokio::test]
async fn a_place_is_of_the_latest_life_that_was_put_there() {
    let rig = Rig::new().await;
    let (older, same) = (rig.slot(1, &["a"]), rig.slot(2, &["a"]));
    let slot = rig.published(2, &["a"]);
    for late in [&older, &same] {
        let published = rig.registry.publish(late);
        assert!(matches!(published, Published::Existing(it) if Arc::ptr_eq(&it, &slot)));
    }
    let newer = rig.published(3, &["a"]);
    rig.bury(&slot, 0);
    rig.registry.remove(&slot);
    assert!(rig.stands(&newer, "a"), "it is not what was deleted, nor what has left");
    rig.bury(&newer, 0);
    for late in [&slot, &newer] {
        let published = rig.registry.publish(late);
        assert!(matches!(published, Published::Gone(it) if it == tombstone(3)), "{published:?}");
    }
    rig.published(4, &["a"]);
    assert_eq!((rig.registry.live(), rig.registry.tombstones()), (1, 0));
}

// A13, E10
#[tokio::test]
async fn an_id_that_comes_late_does_not_hide_the_tombstone() {
    let rig = Rig::new().await;
    let slot = rig.published(2, &["a", "b"]);
    assert!(rig.stands(&slot, "a") && rig.stands(&slot, "b"));
    rig.bury(&slot, 0);
    rig.registry.share(&slot, &id("b"));
    assert_eq!((rig.grave("a"), rig.grave("b")), (Some(2), Some(2)));
    let newer = rig.slot(3, &["c", "b"]);
    rig.registry.share(&newer, &id("b"));
    assert!(rig.stands(&newer, "b"), "that of another life is over");
}

// X12
#[tokio::test]
async fn what_is_taken_out_is_weighed_no_more() {
    let rig = Rig::new().await;
    let weight = || rig.session.slot().engine.occupied.bytes();
    let before = weight();
    let slot = rig.published(2, &["a"]);
    assert!(weight() > before);
    rig.registry.remove(&slot);
    assert_eq!(weight(), before);
}

// E8
#[tokio::test]
async fn a_sweep_takes_the_tombstones_that_are_over_and_no_others() {
    let rig = Rig::new().await;
    let slot = rig.published(2, &["a"]);
    rig.bury(&slot, 0);
    rig.registry.sweep(at(59));
    assert_eq!(rig.grave("a"), Some(2));
    let newer = rig.published(3, &["a"]);
    rig.bury(&newer, 30);
    rig.registry.sweep(at(60));
    assert_eq!(rig.grave("a"), Some(3), "it was not the earlier one's turn to hide it");
    rig.registry.sweep(at(89));
    assert_eq!(rig.grave("a"), Some(3));
    rig.registry.sweep(at(90));
    assert!(rig.registry.get(&id("a")).is_none());
    assert_eq!(rig.registry.tombstones(), 0);
    assert!(rig.registry.buried.lock().is_empty());
}

// E9, M4
#[tokio::test]
async fn a_sweep_forgets_what_has_left_once_nothing_of_it_runs() {
    let rig = Rig::new().await;
    let (registry, slot) = (&rig.registry, rig.session.slot());
    let turn = rig.session.begin(&ChatMessage::user("go"), ()).await.unwrap();
    registry.publish(slot);
    registry.remove(slot);
    assert!(registry.testators(&slot.id).is_empty(), "it had no lease");
    registry.sweep(at(0));
    assert_eq!(registry.ghosts.len(), 1);
    drop(turn);
    registry.sweep(at(0));
    assert_eq!(registry.ghosts.len(), 0);
}

// X6
#[tokio::test]
async fn a_sweep_forgets_what_was_left_once_its_leases_are_over() {
    let rig = Rig::new().await;
    let (registry, slot) = (&rig.registry, rig.session.slot());
    let (purpose, name) = ("work".to_owned(), None);
    slot.lease(LeaseOp::Take { number: 1, name, purpose, max_age: MINUTE, max: 3 });
    registry.publish(slot);
    registry.remove(slot);
    registry.sweep(at(0));
    assert_eq!(registry.testators(&slot.id).len(), 1);
    slot.lease(LeaseOp::Release { lease: LeaseKey::Number(1) });
    registry.sweep(at(0));
    assert!(registry.testators(&slot.id).is_empty());
    assert_eq!(registry.testators.len(), 0);
}

// L6
#[tokio::test]
async fn each_rule_of_the_places_that_is_broken_is_named() {
    type Breaks = fn(&Rig, &Arc<Slot>);
    let rules: [(&str, Breaks); 7] = [
        ("loaded sessions are not as many", |rig, _| {
            rig.registry.live.fetch_add(1, Ordering::Relaxed);
        }),
        ("b does not lead to it", |rig, _| {
            rig.registry.places.remove_if(&id("b"), |_| true);
        }),
        ("c: leads to a slot of a that is over", |rig, slot| {
            rig.registry.places.insert(id("c"), Place::Live(slot.clone()));
        }),
        ("b: leads to a slot of a that is over", |rig, _| {
            rig.registry.places.remove_if(&id("a"), |_| true);
        }),
        ("tombstones are not as many", |rig, _| {
            rig.registry.graves.fetch_add(1, Ordering::Relaxed);
        }),
        ("will not be swept", |rig, _| rig.registry.buried.lock().clear()),
        ("gone, and its slot stands", |rig, _| {
            rig.registry.places.insert(id("d"), Place::Live(rig.session.slot().clone()));
        }),
    ];
    for (named, breaks) in rules {
        let mut rig = Rig::new().await;
        rig.session = rig.supervisor.create_id(&id("d"), NewSession::new()).await.unwrap();
        rig.session.delete().await.unwrap();
        let slot = rig.published(2, &["a", "b"]);
        let gone = rig.published(3, &["e"]);
        rig.bury(&gone, 0);
        assert_eq!(rig.registry.audit(), Vec::<String>::new(), "in order before");
        breaks(&rig, &slot);
        let broken = rig.registry.audit();
        assert!(broken.iter().any(|rule| rule.contains(named)), "{named}: {broken:?}");
    }
}
