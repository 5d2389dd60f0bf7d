//! What the shell finds out beforehand, and what it has the turns say.

use bytes::Bytes;

use super::super::super::{
    ABORT_AFTER, Asked, BeginRequest, BusyPolicy, Change, Generation, Input, PartialConfig,
    PartialPolicy, Redo, Request, Special, Ticket, Write, say, steering,
};
use super::super::Find;
use super::Driver;
use crate::state::{Pass, Pending, Size};
use crate::store::{EntryMark, Found, RevisionReason, Store, StoredEntry};

/// The last turns, as the store knew them.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) redo: Redo,
    /// What the first of them was begun with.
    pub(super) input: Option<Bytes>,
    /// The numbers of the whole transcript.
    pub(super) numbers: Vec<u64>,
}

/// How much the entries from number `from` on are.
fn taken_from(entries: &[StoredEntry], from: u64) -> Size {
    let taken = entries.iter().filter(|entry| entry.seq >= from);
    Size::of(taken.map(|entry| entry.payload.len()))
}

/// A revision, as the store knew it.
#[derive(Clone, Debug)]
pub(super) struct Back {
    redo: Redo,
    revision: u64,
    entries: Vec<StoredEntry>,
    /// The numbers of the whole transcript.
    numbers: Vec<u64>,
}

fn taking_back(redo: Redo) -> Change {
    Change::TakeBack { redo, reason: RevisionReason::Rollback }
}

impl Driver {
    /// A step that is about what was found out or said.
    pub(super) fn find(&mut self, find: Find) {
        match find {
            Find::Ask(name) => {
                let name = name % 3;
                if let Some(seen) = self.ask(name) {
                    self.asked.insert(name, seen);
                }
            }
            Find::LookBack(turns) => self.found = self.look_back(turns),
            Find::TakeBack(turns) => {
                let Some(last) = self.found.take().or_else(|| self.look_back(turns)) else {
                    return;
                };
                let port = self.port();
                self.model.sees(last.numbers);
                self.apply(Input::Change { change: taking_back(last.redo), port });
            }
            Find::Cut(which) => self.cut(which),
            Find::LookForRevision(which) => self.found_back = self.look_for_revision(which),
            Find::PutBack(which) => self.put_back(which),
            Find::ForgetRevision(which) => {
                // Whoever has found it finds that out from the store, which fails the session then.
                self.found_back = None;
                let Some(back) = self.look_for_revision(which) else { return };
                self.model.may_forget(back.entries.iter().filter_map(|entry| entry.generation));
                let port = self.port();
                self.apply(Input::Change { change: Change::ForgetRevision(back.revision), port });
            }
            Find::Redo { turns, policy, name } => self.redo(turns, policy, name),
            Find::Say { turn, chunks } => self.say(turn, chunks),
            Find::Keep(which) => {
                let generation = self.held.get(which % self.held.len().max(1)).copied();
                let generation = generation.unwrap_or(Generation::new(which as u64 % 12));
                self.apply(Input::Keep { generation });
            }
            Find::Take(which) => {
                let generation = self.held.get(which % self.held.len().max(1)).copied();
                let generation = generation.unwrap_or(Generation::new(which as u64 % 12));
                // One that looks again before it has read what it was handed is handed nothing.
                let handed = steering::handed(&self.state, generation);
                let read = if which % 3 == 0 { handed.saturating_sub(1) } else { handed };
                self.apply(Input::Take { generation, read });
            }
            Find::Clear(turn) => {
                let (generation, port) = (Generation::new(turn), self.port());
                self.apply(Input::Clear { generation, port });
            }
        }
    }

    /// Does the last turns over.
    pub(super) fn redo(&mut self, turns: usize, policy: BusyPolicy, name: Option<(u8, u8)>) {
        let Some(last) = self.found.take().or_else(|| self.look_back(turns)) else { return };
        let request = match name.map(|name| self.asked_for(name)) {
            Some(None) => return,
            asked => asked.flatten(),
        };
        let port = self.port();
        self.model.sees(last.numbers);
        let request = BeginRequest {
            ticket: Ticket(port.into()),
            input: last.input,
            policy,
            expect_version: None,
            draining: false,
            abort_after: ABORT_AFTER,
            special: Some(Box::new(Special { redo: Some(last.redo), request })),
        };
        self.apply(Input::Begin { request, port, stream: port, pass: Pass::Ask { waited: false } });
    }

    /// How many named begins were stored before the store was asked for a name that it does not know.
    pub(super) fn ask(&self, name: u8) -> Option<u64> {
        let seen = self.state.snapshot(self.now()).requests;
        self.request(&name.to_string()).is_none().then_some(seen)
    }

    /// A name of which the store knows nothing, or knew nothing when it was asked.
    pub(super) fn asked_for(&mut self, (name, digest): (u8, u8)) -> Option<Asked> {
        let seen = self.asked.remove(&name).or_else(|| self.ask(name))?;
        let request = Request { key: name.to_string(), digest: digest.into() };
        Some(Asked { request, seen })
    }

    /// What the store knows of a name.
    pub(super) fn request(&self, key: &str) -> Option<Generation> {
        let (id, life) = (&self.record.id, self.record.incarnation);
        let found = self.store.request(id, life, key).now().expect("at once");
        // A session that was deleted has none.
        found.ok().flatten().map(|request| request.generation)
    }

    /// What the store says of a turn's reply.
    pub(super) fn partial(&self, generation: Generation) -> Bytes {
        let (id, life) = (&self.record.id, self.record.incarnation);
        let found = self.store.partial(id, life, generation).now().expect("at once");
        found.expect("no faults").map_or_else(Bytes::new, |partial| partial.text)
    }

    /// Cuts the transcript off in front of one of its entries.
    fn cut(&mut self, which: usize) {
        let Some(redo) = self.from(0) else { return };
        let entries = self.entries();
        let Some(first) = entries.get(which % entries.len().max(1)) else { return };
        let redo = Redo { from: first.seq, taken: taken_from(&entries, first.seq), ..redo };
        let port = self.port();
        self.model.sees(entries.iter().map(|entry| entry.seq).collect());
        let reason = RevisionReason::Truncated { why: "cut".into() };
        self.apply(Input::Change { change: Change::TakeBack { redo, reason }, port });
    }

    /// Puts a revision back, as it was found out before or else now.
    fn put_back(&mut self, which: usize) {
        let found = self.found_back.take().or_else(|| self.look_for_revision(which));
        let Some(Back { redo, revision, entries, numbers }) = found else { return };
        let back = Size::of(entries.iter().map(|entry| entry.payload.len()));
        self.model.sees(numbers);
        self.model.sees_revision(if self.state.outbox.is_empty() { entries } else { Vec::new() });
        let port = self.port();
        let change = Change::PutBack { redo, revision, back };
        self.apply(Input::Change { change, port });
    }

    /// Finds out what a revision has.
    fn look_for_revision(&self, which: usize) -> Option<Back> {
        let (id, life) = (&self.record.id, self.record.incarnation);
        // A session that was deleted has none.
        let revisions = self.store.revisions(id, life).now().expect("at once").ok()?;
        let found = revisions.get(which % revisions.len().max(1))?;
        let redo = self.from(found.entries.first()?.seq)?;
        let numbers = self.entries().iter().map(|entry| entry.seq).collect();
        Some(Back { redo, revision: found.version, entries: found.entries.clone(), numbers })
    }

    /// All from the number `from` on, as the store knows it.
    fn from(&self, from: u64) -> Option<Redo> {
        let found = self.store.look_up(&self.record.id, self.now().wall).now().expect("at once");
        let Found::Live(record) = found.expect("no faults") else { return None };
        let (next_seq, version, open) = (record.next_seq, record.version, !record.open.is_empty());
        let taken = taken_from(&self.entries(), from);
        Some(Redo { from, next_seq, version, open, taken })
    }

    /// Finds out what the last turns are.
    pub(super) fn look_back(&self, turns: usize) -> Option<Last> {
        let found = self.store.look_up(&self.record.id, self.now().wall).now().expect("at once");
        let Found::Live(record) = found.expect("no faults") else { return None };
        let entries = self.entries();
        let mut last: Vec<Generation> = Vec::new();
        for entry in entries.iter().rev().filter(|entry| entry.mark != EntryMark::Aside) {
            last.extend(entry.generation.filter(|turn| !last.contains(turn)));
        }
        let turn = *last.get(turns)?;
        let first = entries.iter().find(|entry| entry.generation == Some(turn))?;
        Some(Last {
            redo: Redo {
                from: first.seq,
                next_seq: record.next_seq,
                version: record.version,
                open: !record.open.is_empty(),
                taken: taken_from(&entries, first.seq),
            },
            input: first.input.then(|| first.payload.clone()),
            numbers: entries.iter().map(|entry| entry.seq).collect(),
        })
    }

    /// One of the turns that were given out says something, if it still may.
    pub(super) fn say(&mut self, which: usize, chunks: usize) {
        let Some(&generation) = self.held.get(which % self.held.len().max(1)) else { return };
        if self.partials == PartialPolicy::Drop || !self.model.speaks(generation) {
            return;
        }
        let stream = self.state.stream(generation).expect("it runs");
        let (interrupted, every_chunks) = (self.partials, 2);
        let config = PartialConfig { interrupted, every_chunks, ..PartialConfig::default() };
        for chunk in 0..chunks {
            let text = format!("{stream}.{chunk} ");
            self.model.says(generation, &text);
            if say(stream, &text, &config) {
                self.apply(Input::Keep { generation });
            }
        }
    }

    /// What a turn that was just begun stands under.
    pub(super) fn parent(&self, wanted: Generation) -> Option<u64> {
        let write = self.state.outbox.iter().find_map(|pending| {
            let Pending::Begin { write, generation, .. } = pending else { return None };
            write.as_ref().filter(|_| *generation == wanted)
        });
        let Some(Write::Begin { extra, .. }) = write else { panic!("its begin is to be written") };
        extra.as_ref()?.parent
    }

    /// Where nothing comes between, what was found out is taken back.
    pub(super) fn takes_back_at_rest(&mut self) {
        let Some(Last { redo, numbers, .. }) = self.look_back(0) else { return };
        let port = self.port();
        self.model.sees(numbers);
        self.apply(Input::Change { change: taking_back(redo), port });
        assert!(!self.state.is_quiet(), "it has moved, and nothing came between");
        self.drain();
        assert!(self.entries().iter().all(|entry| entry.seq < redo.from));
    }
}
