//! What is kept of a life besides its transcript: what a [`Record`] says, in less room.

use crate::clock::Timestamp;
use crate::expiry::ExpiryRules;
use crate::id::{Generation, Incarnation, SessionId};
use crate::key::SessionKey;
use crate::standing::{Previous, Standing};
use crate::store::{Bucket, Lane, Record, TurnMarker, class_name, lane};

/// What a [`Record`] says, but for the open turns. What most sessions have none of is in a box: a store keeps
/// many more than are in use.
///
/// Laid out as it is written: the last that it has is what a turn changes of it.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Summary {
    /// What most have none of.
    rare: Option<Box<Rare>>,
    /// The key that it was created under.
    pub(super) key: Option<SessionKey>,
    /// Its id now.
    pub(super) id: SessionId,
    /// When it was created.
    created_at: Timestamp,
    /// Whether it takes turns.
    pub(super) standing: Standing,
    /// Which life.
    pub(super) incarnation: Incarnation,
    /// When it was last used.
    pub(super) last_active_at: Timestamp,
    /// The newest turn.
    pub(super) generation: Generation,
    /// Counts changes.
    pub(super) version: u64,
    /// The number of the next entry.
    pub(super) next_seq: u64,
    /// How many entries there are.
    pub(super) entries: u64,
    /// How often in a row a run ended while it was active.
    pub(super) crashes: u32,
    /// Whether it never ends by itself.
    pub(super) pinned: bool,
}

/// What most sessions have none of.
#[derive(Debug, Default)]
struct Rare {
    former_ids: Vec<SessionId>,
    label: Option<String>,
    class: Option<String>,
    expiry: Option<Box<ExpiryRules>>,
    previous: Option<Box<Previous>>,
}

impl Summary {
    /// Of one that has just begun, without a turn that is open.
    pub(super) fn new(record: Record) -> Self {
        let rare = Rare {
            former_ids: record.former_ids,
            label: record.label,
            class: record.class,
            expiry: record.expiry,
            previous: record.previous,
        };
        Self {
            rare: (!rare.is_empty()).then(|| Box::new(rare)),
            key: record.key,
            id: record.id,
            created_at: record.created_at,
            standing: record.standing,
            incarnation: record.incarnation,
            last_active_at: record.last_active_at,
            generation: record.generation,
            version: record.version,
            next_seq: record.next_seq,
            entries: record.entries,
            crashes: record.crashes,
            pinned: record.pinned,
        }
    }

    /// As a record, with the turns that are open.
    pub(super) fn record(&self, open: Vec<TurnMarker>) -> Record {
        let rare = self.rare.as_deref();
        Record {
            id: self.id.clone(),
            former_ids: rare.map_or_else(Vec::new, |rare| rare.former_ids.clone()),
            incarnation: self.incarnation,
            key: self.key.clone(),
            label: rare.and_then(|rare| rare.label.clone()),
            class: rare.and_then(|rare| rare.class.clone()),
            standing: self.standing,
            expiry: rare.and_then(|rare| rare.expiry.clone()),
            pinned: self.pinned,
            previous: rare.and_then(|rare| rare.previous.clone()),
            created_at: self.created_at,
            open,
            last_active_at: self.last_active_at,
            generation: self.generation,
            version: self.version,
            next_seq: self.next_seq,
            entries: self.entries,
            crashes: self.crashes,
        }
    }

    /// Where it is found when its time may be over.
    pub(super) fn lane(&self) -> Option<(Lane, Bucket)> {
        let rare = self.rare.as_deref();
        let class = class_name(rare.and_then(|it| it.class.as_deref()), self.key.as_ref());
        let rules = rare.and_then(|it| it.expiry.as_deref());
        if self.pinned { None } else { lane(class, self.standing, rules, self.last_active_at) }
    }

    /// The ids that it had before.
    fn former_ids(&self) -> &[SessionId] {
        self.rare.as_deref().map_or(&[], |rare| &rare.former_ids)
    }

    /// The id under which it was created.
    pub(super) fn first_id(&self) -> &SessionId {
        self.former_ids().first().unwrap_or(&self.id)
    }

    /// Every id that it has had, oldest first.
    pub(super) fn ids(&self) -> Vec<SessionId> {
        self.former_ids().iter().chain([&self.id]).cloned().collect()
    }

    /// It goes by another id from now on.
    pub(super) fn rotate(&mut self, to: SessionId) {
        let former = std::mem::replace(&mut self.id, to);
        self.rare.get_or_insert_default().former_ids.push(former);
    }

    /// It has another line for people.
    pub(super) fn set_label(&mut self, label: Option<String>) {
        self.change_rare(|rare| rare.label = label);
    }

    /// It has other clocks of its own.
    pub(super) fn set_expiry(&mut self, expiry: Option<Box<ExpiryRules>>) {
        self.change_rare(|rare| rare.expiry = expiry);
    }

    /// Changes what most have none of.
    fn change_rare(&mut self, change: impl FnOnce(&mut Rare)) {
        let rare = self.rare.get_or_insert_default();
        change(rare);
        if rare.is_empty() {
            self.rare = None;
        }
    }
}

impl Rare {
    /// Whether there is nothing in it.
    fn is_empty(&self) -> bool {
        let Self { former_ids, label, class, expiry, previous } = self;
        former_ids.is_empty()
            && label.is_none()
            && class.is_none()
            && expiry.is_none()
            && previous.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // M4
    #[test]
    fn what_most_have_none_of_takes_no_room() {
        let mut summary = Summary::new(Record {
            id: SessionId::from_random(1),
            former_ids: Vec::new(),
            incarnation: Incarnation::new(1),
            key: None,
            label: None,
            class: None,
            standing: Standing::Active,
            expiry: None,
            pinned: false,
            previous: None,
            created_at: Timestamp::default(),
            open: Vec::new(),
            last_active_at: Timestamp::default(),
            generation: Generation::default(),
            version: 0,
            next_seq: 1,
            entries: 0,
            crashes: 0,
        });
        assert!(summary.rare.is_none());
        summary.set_label(Some("a line".to_owned()));
        assert_eq!(summary.record(Vec::new()).label.as_deref(), Some("a line"));
        summary.set_label(None);
        assert!(summary.rare.is_none());
    }
}
