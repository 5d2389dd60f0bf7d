//! One of a crowd: does what it likes to a few names, and notes what it is told.

use std::future::Future;
use std::hint;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::answers;
use super::model::{Answer, Call, How, Life, What};
use crate::entry::ChatMessage;
use crate::id::{Generation, Incarnation, SessionId, StreamId};
use crate::key::SessionKey;
use crate::policy::{BusyPolicy, DEFAULT_QUEUE_MAX};
use crate::rt;
use crate::session::Session;
use crate::store::Record;
use crate::supervisor::{Lookup, NewSession, Supervisor};
use crate::testing::dice::Dice;
use crate::testing::{Client, Pending};
use crate::turn::{FailedInput, Turn};

/// How many handles to sessions of one name are kept, old ones among them.
const MAX_HANDLES: usize = 3;

/// How often one is polled that is given up.
const MAX_POLLS: u64 = 4;

/// What leads to sessions, one life after another.
#[derive(Clone, Debug)]
pub(super) enum Name {
    /// An id, created again after each delete.
    Id(SessionId),
    /// A key, opened again after each delete.
    Key(SessionKey),
}

/// A handle, and which life it is of.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    /// The handle.
    pub(super) session: Session,
    /// Which life.
    pub(super) life: Life,
}

/// One of a crowd.
pub(super) struct Member {
    /// Who everybody asks.
    pub(super) supervisor: Supervisor,
    /// What it does it to.
    pub(super) names: Vec<Name>,
    /// Notes it.
    pub(super) client: Client<Call, Answer>,
    /// Decides what to do.
    pub(super) dice: Dice,
    /// Whether it stops now and then before and after what it does.
    pub(super) chaos: bool,
    /// Whether it interrupts others, instead of waiting for them.
    pub(super) interrupts: bool,
    /// What it has of each name.
    pub(super) handles: Vec<Vec<Handle>>,
    /// A record that it has read, of each name.
    pub(super) records: Vec<Option<Record>>,
    /// Numbers its begins and values; those of others are elsewhere.
    pub(super) ticket: u64,
}

impl Member {
    /// Does so many things, or a few more.
    pub(super) async fn live(mut self, operations: usize) -> Self {
        let end = self.client.noted() + operations;
        while self.client.noted() < end {
            let name = self.dice.index(&self.names);
            if self.dice.below(100) < 40 {
                self.turn(name).await;
            } else {
                self.deed(name).await;
            }
        }
        self
    }

    /// Stops for a moment, perhaps.
    async fn stir(&mut self) {
        if !self.chaos {
            return;
        }
        match self.dice.below(8) {
            0 => rt::yield_now().await,
            1 => {
                for _ in 0..self.dice.below(200) {
                    hint::spin_loop();
                }
            }
            2 => {
                for _ in 0..self.dice.below(8) {
                    rt::yield_now().await;
                }
            }
            _ => {}
        }
    }

    /// Notes a call.
    async fn call(&mut self, name: usize, what: What) -> Pending {
        self.stir().await;
        self.client.call(Call { name, what })
    }

    /// Notes what is answered.
    async fn answer(&mut self, name: usize, pending: Pending, answer: Answer) {
        self.let_go(name, &answer);
        self.client.answer(pending, answer);
        self.stir().await;
    }

    /// Keeps a handle.
    fn keep(&mut self, name: usize, session: Session) -> Life {
        let life = session.incarnation().get();
        let Some(handles) = self.handles.get_mut(name) else { return life };
        if handles.len() == MAX_HANDLES {
            handles.remove(self.dice.index(handles));
        }
        handles.push(Handle { session, life });
        life
    }

    /// Lets go of what has led nowhere, half the time.
    fn let_go(&mut self, name: usize, answer: &Answer) {
        if matches!(answer, Answer::Gone(_)) && self.dice.below(2) == 0 {
            self.handles.get_mut(name).map(Vec::clear);
        }
    }

    /// One of the handles of a name; comes by one if it has none.
    async fn handle(&mut self, name: usize) -> Option<Handle> {
        let has_none = |of: &Self| of.handles.get(name).is_none_or(Vec::is_empty);
        if has_none(self) {
            self.come_by(name).await;
        }
        // Somebody else has created it.
        if let Some(Name::Id(id)) = self.names.get(name).filter(|_| has_none(self)).cloned() {
            self.look_up_id(name, &id, None).await;
        }
        let handles = self.handles.get(name)?;
        handles.get(self.dice.index(handles)).cloned()
    }

    /// Opens the key, or creates the id.
    async fn come_by(&mut self, name: usize) {
        match self.names.get(name).cloned() {
            Some(Name::Key(key)) => {
                let pending = self.call(name, What::Open).await;
                let told = self.dice.below(2) == 0;
                let opened = if told {
                    let opened = self.supervisor.open_with(&key, NewSession::new).await;
                    opened.map(|opened| (opened.session, opened.created))
                } else {
                    self.supervisor.open(&key).await.map(|session| (session, false))
                };
                let answer = match opened {
                    Ok((session, created)) => match (self.keep(name, session), told) {
                        (life, false) => Answer::Opened(life),
                        (life, true) if created => Answer::Created(life),
                        (life, true) => Answer::Live(life),
                    },
                    Err(error) => Answer::Odd(format!("{error:?}")),
                };
                self.answer(name, pending, answer).await;
            }
            Some(Name::Id(id)) => {
                let reuse = self.dice.below(4) > 0;
                let pending = self.call(name, What::Create { reuse }).await;
                let new = if reuse { NewSession::new().allow_reuse() } else { NewSession::new() };
                let answer = match self.supervisor.create_id(&id, new).await {
                    Ok(session) => Answer::Created(self.keep(name, session)),
                    Err(error) => answers::not_created(&error),
                };
                self.answer(name, pending, answer).await;
            }
            None => {}
        }
    }

    /// Begins a turn, does a few things meanwhile, and ends it.
    async fn turn(&mut self, name: usize) {
        let Some(handle) = self.handle(name).await else { return };
        let Some(turn) = self.begin(name, &handle).await else { return };
        for _ in 0..self.dice.below(3) {
            // Nothing that waits for a turn.
            let name = self.dice.index(&self.names);
            self.deed(name).await;
        }
        self.end(name, handle.life, turn).await;
    }

    /// Begins a turn; gives up now and then.
    async fn begin(&mut self, name: usize, handle: &Handle) -> Option<Turn> {
        let life = handle.life;
        let how = match (self.dice.below(2) == 0, self.interrupts) {
            (true, _) => How::Reject,
            (false, true) => How::Interrupt,
            (false, false) => How::Queue,
        };
        self.ticket += 1;
        let (ticket, may_give_up) = (self.ticket, self.dice.below(10) == 0);
        let leave = may_give_up
            .then(|| self.client.call(Call { name, what: What::Leave { life, ticket } }));
        let pending = self.call(name, What::Begin { life, how, ticket }).await;
        let policy = match how {
            How::Reject => BusyPolicy::Reject,
            How::Queue => BusyPolicy::queue(),
            How::Interrupt => {
                BusyPolicy::Interrupt { grace: Duration::ZERO, max: DEFAULT_QUEUE_MAX }
            }
        };
        let input = ChatMessage::user("in");
        let begun = handle.session.begin(&input, policy);
        let begun = if may_give_up {
            poll_some(begun, 1 + self.dice.below(MAX_POLLS)).await
        } else {
            Some(begun.await)
        };
        if let Some(leave) = leave.filter(|_| begun.is_some()) {
            self.client.answer(leave, Answer::NotRunning);
        }
        match begun {
            Some(Ok(turn)) => {
                let number = turn.stream().generation().get();
                self.answer(name, pending, Answer::Began(number)).await;
                Some(turn)
            }
            Some(Err(error)) => {
                self.answer(name, pending, answers::not_begun(&error, life)).await;
                None
            }
            None => {
                // What becomes of it is over when nothing is under way any more.
                self.answer(name, pending, Answer::GaveUp).await;
                None
            }
        }
    }

    /// Ends a turn in one of the ways that there are.
    async fn end(&mut self, name: usize, life: Life, held: Turn) {
        let turn = held.stream().generation().get();
        let fate = match self.dice.below(10) {
            0..6 => {
                let pending = self.call(name, What::Commit { life, turn }).await;
                let outcome = held.commit(&ChatMessage::assistant("out")).await;
                return self.answer(name, pending, answers::committed(&outcome)).await;
            }
            6 => FailedInput::Drop,
            7 => FailedInput::Keep,
            _ => {
                let pending = self.call(name, What::Drop { life, turn }).await;
                drop(held);
                return self.answer(name, pending, Answer::Ended).await;
            }
        };
        let pending = self.call(name, What::Fail { life, turn }).await;
        let outcome = held.fail(fate).await;
        self.answer(name, pending, answers::failed(&outcome)).await;
    }

    /// Something that waits for no turn.
    async fn deed(&mut self, name: usize) {
        match self.dice.below(100) {
            0..6 => self.come_by(name).await,
            6..36 => self.look_up(name).await,
            36..43 => self.delete(name).await,
            43..60 => self.cancel(name).await,
            60..76 => self.insert(name).await,
            76..84 => self.get(name).await,
            84..98 => self.record(name).await,
            // Nothing is due, so it changes nothing; it goes through everything that rests.
            _ => drop(self.supervisor.prune(self.dice.below(2) == 0).await),
        }
    }

    /// An id that leads to a name's sessions, with the life if it is of one only.
    async fn id(&mut self, name: usize) -> Option<(SessionId, Option<Life>)> {
        match self.names.get(name)? {
            Name::Id(id) => Some((id.clone(), None)),
            Name::Key(_) => {
                let handle = self.handle(name).await?;
                Some((handle.session.id().clone(), Some(handle.life)))
            }
        }
    }

    async fn look_up(&mut self, name: usize) {
        let Some((id, life)) = self.id(name).await else { return };
        self.look_up_id(name, &id, life).await;
    }

    /// Looks an id up that leads to a name's sessions; of one life only, perhaps.
    async fn look_up_id(&mut self, name: usize, id: &SessionId, life: Option<Life>) {
        let pending = self.call(name, What::LookUp { life }).await;
        let answer = match self.supervisor.look_up(id).await {
            Ok(Lookup::Live(session)) => Answer::Live(self.keep(name, session)),
            found => answers::not_live(&found),
        };
        self.answer(name, pending, answer).await;
    }

    /// Deletes by the id, or by a handle; now and then without waiting for it.
    async fn delete(&mut self, name: usize) {
        if self.dice.below(2) == 0 {
            let Some((id, life)) = self.id(name).await else { return };
            let pending = self.call(name, What::Delete { life }).await;
            let outcome = self.supervisor.delete(&id).await;
            return self.answer(name, pending, answers::deleted(&outcome, None)).await;
        }
        let Some(Handle { session, life }) = self.handle(name).await else { return };
        let pending = self.call(name, What::Delete { life: Some(life) }).await;
        let deleting = session.delete();
        let outcome = if self.dice.below(8) == 0 {
            poll_some(deleting, self.dice.below(MAX_POLLS)).await
        } else {
            Some(deleting.await)
        };
        if let Some(outcome) = outcome {
            self.answer(name, pending, answers::deleted(&outcome, Some(life))).await;
        }
    }

    /// Tells a turn that it sees to end, or one of long ago, or whatever runs.
    async fn cancel(&mut self, name: usize) {
        let Some(Handle { session, life }) = self.handle(name).await else { return };
        let status = session.status();
        let seen = status.turns.first().map_or(status.generation, |it| it.stream.generation());
        let outcome = match self.dice.below(4) {
            0 => {
                let pending = self.call(name, What::Stop { life }).await;
                (pending, session.stop())
            }
            more => {
                let turn = seen.get() - u64::from(more == 1 && seen.get() > 0);
                let stream = StreamId::new(Incarnation::new(life), Generation::new(turn));
                let pending = self.call(name, What::Cancel { life, turn }).await;
                (pending, session.cancel(stream))
            }
        };
        self.answer(name, outcome.0, answers::cancelled(&outcome.1)).await;
    }

    async fn insert(&mut self, name: usize) {
        let Some(Handle { session, life }) = self.handle(name).await else { return };
        self.ticket += 1;
        let value = self.ticket;
        let pending = self.call(name, What::Insert { life, value }).await;
        let answer = match session.insert("value", &value).await {
            Ok(version) => Answer::Put(version),
            Err(error) => answers::refused(&error, life),
        };
        self.answer(name, pending, answer).await;
    }

    async fn get(&mut self, name: usize) {
        let Some(Handle { session, life }) = self.handle(name).await else { return };
        let pending = self.call(name, What::Get { life }).await;
        let answer = match session.get("value").await {
            Ok(value) => Answer::Value(value),
            Err(error) => answers::refused(&error, life),
        };
        self.answer(name, pending, answer).await;
    }

    /// Reads what is stored, and clears what nobody holds: on the way, or with a record of long ago.
    async fn record(&mut self, name: usize) {
        let old = self.records.get_mut(name).and_then(Option::take);
        let life = old.as_ref().map(|old| old.incarnation.get());
        let Some((id, of)) = self.id(name).await else { return };
        let pending = self.call(name, What::Record { life: life.or(of) }).await;
        let found = match &old {
            Some(old) => self.supervisor.clear_stale(old).await,
            None => self.supervisor.record(&id).await,
        };
        let answer = answers::stored(&found);
        if let (Ok(crate::store::Found::Live(record)), Some(kept)) =
            (found, self.records.get_mut(name))
        {
            *kept = Some(record);
        }
        self.answer(name, pending, answer).await;
    }
}

/// Polls up to `polls` times, with others in between; drops it then.
async fn poll_some<F: Future>(future: F, polls: u64) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let polled = std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context)));
        if let Poll::Ready(output) = polled.await {
            return Some(output);
        }
        rt::yield_now().await;
    }
    None
}
