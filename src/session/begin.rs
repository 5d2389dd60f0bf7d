//! How turns are begun from a handle.

use std::future::Future;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::Session;
use super::attempt::{Attempt, Encoded};
use super::error::BeginError;
use super::wait::Again;
use crate::capacity::Permit;
use crate::clock::Moment;
use crate::engine::Engine;
use crate::entry::{Content, EntryError, TurnInput, check_name};
use crate::room::LoadError;
use crate::rt::{self, Arc};
use crate::slot::Slot;
use crate::slot::answer::Answered;
use crate::slot::hold::Hold;
use crate::slot::idle::Stay;
use crate::state::{Asked, BeginRefusal, Special};
use crate::store::{FenceReason, Request, StoreError};
use crate::turn::{BeginOptions, Running, Turn};

impl<E: Content> Session<E> {
    /// Begins a turn whose work stays with the caller: what the user said becomes durable, and the
    /// caller gets the right to reply.
    ///
    /// Its place among others is taken by the first poll of the future, not by the call: whoever spawns
    /// a task for each message and wants them in order has to poll each once before the next.
    ///
    /// `options` is a [`BusyPolicy`](crate::BusyPolicy), `()` for the supervisor's, or
    /// [`BeginOptions`]. Counts as use if it is admitted.
    ///
    /// # Errors
    ///
    /// [`BeginError`]; with any of them nothing was begun. The input is in the transcript only if a
    /// running turn took it, if the turn was admitted and then told to end, or if the store does not know.
    ///
    /// # Cancel safety
    ///
    /// Dropped before its first poll, nothing has happened. Dropped while it waits, it leaves the
    /// queue, unless a running turn has taken its input. Dropped after the turn has taken the slot, the
    /// turn ends as abandoned and its input is kept.
    pub async fn begin(
        &self,
        input: impl Into<TurnInput<'_, E>>,
        options: impl Into<BeginOptions>,
    ) -> Result<Turn<E>, BeginError> {
        let (engine, options) = (&self.slot.engine, options.into());
        let admitted = input.into().encode(&engine.config.limits).map_err(BeginError::Input);
        let admitted = admitted.and_then(|input| {
            let request =
                options.request(engine, Some(self.slot.tip()), self.key(), input.as_ref());
            engine.admit(&request).map_err(|denial| BeginError::denied(denial, engine))?;
            Ok(input)
        });
        match admitted {
            Ok(input) => self.begin_admitted(input, None, &options).await,
            Err(error) => Err(error.noted(engine)),
        }
    }

    /// As [`begin`](Self::begin), for an input that was encoded and that the host was asked about.
    ///
    /// With a permit, if that was waited for before.
    pub(crate) async fn begin_admitted(
        &self,
        input: Option<Bytes>,
        permit: Option<Permit>,
        options: &BeginOptions,
    ) -> Result<Turn<E>, BeginError> {
        if options.idempotency_key.is_some() {
            return Box::pin(self.begin_named(input, permit, options)).await;
        }
        match Attempt::new(&self.slot, (input, permit), None, options) {
            // As mostly. Whatever takes longer is in a box: its future is large, and would be carried along.
            Attempt { begun: Answered::Ready(Ok(hold)), .. } => {
                // As a channel does: a task that never has to wait still lets others in.
                rt::consume_budget().await;
                Ok(Turn::new(hold))
            }
            first => Box::pin(self.go_on(Encoded::default(), Some(first), options)).await,
        }
    }

    /// [`Self::begin_admitted`], with a name.
    async fn begin_named(
        &self,
        input: Option<Bytes>,
        permit: Option<Permit>,
        options: &BeginOptions,
    ) -> Result<Turn<E>, BeginError> {
        match named(&Digested::Input(input.as_ref()), options, &self.slot.engine) {
            Ok(named) => {
                let encoded = Encoded { input, named, redo: None, permit };
                self.go_on(encoded, None, options).await
            }
            Err(error) => Err(BeginError::Input(error).noted(&self.slot.engine)),
        }
    }

    /// Goes on from the `first` attempt, if that was made and has not brought a turn at once.
    async fn go_on(
        &self,
        encoded: Encoded,
        first: Option<Attempt>,
        options: &BeginOptions,
    ) -> Result<Turn<E>, BeginError> {
        let engine = &self.slot.engine;
        let begun = self.begin_encoded(encoded, first, options).await.and_then(|hold| {
            // Only what is to be done over can have moved.
            hold.ok_or(BeginError::Draining { instance: engine.instance })
        });
        begun.map_err(|error| error.noted(engine)).map(Turn::new)
    }

    /// Begins a turn and gives its work to the supervisor: a task that it tracks, aborts when the
    /// turn does not end in time after it was told to, and waits for at its shutdown.
    ///
    /// Resolves when the turn has begun. Dropping the handle that it resolves to detaches from the
    /// task, unless [`Running::cancel_on_drop`] was called.
    ///
    /// # Errors
    ///
    /// As [`begin`](Self::begin); `work` has not been called then.
    ///
    /// # Cancel safety
    ///
    /// As [`begin`](Self::begin); once the work has started, dropping has no influence.
    pub async fn run<F, W>(
        &self,
        input: impl Into<TurnInput<'_, E>>,
        options: impl Into<BeginOptions>,
        work: F,
    ) -> Result<Running<W::Output>, BeginError>
    where
        F: FnOnce(Turn<E>) -> W + Send + 'static,
        W: Future + Send + 'static,
        W::Output: Send + 'static,
    {
        let turn = self.begin(input, options).await?;
        Ok(Running::start(turn, work))
    }

    /// Ends the session if its time is over and nothing keeps it.
    async fn expire(&self, slot: &Arc<Slot>) -> Result<(), BeginError> {
        let expired = self.house.expire(slot).await;
        expired.map_err(|source| BeginError::Store { id: slot.tip().clone(), source })
    }

    /// [`Self::begin`], from what was encoded, and from the `first` attempt if that was made; `None` if what was
    /// to be done over is not there any more as it was seen.
    pub(super) async fn begin_encoded(
        &self,
        mut encoded: Encoded,
        mut first: Option<Attempt>,
        options: &BeginOptions,
    ) -> Result<Option<Hold>, BeginError> {
        let mut loaded: Option<Stay> = None;
        loop {
            let slot = loaded.as_deref().unwrap_or(&self.slot);
            let attempt = match first.take() {
                Some(first) => first,
                None => self.attempt(slot, &mut encoded, options).await?,
            };
            let since = attempt.since;
            let refusal = match attempt.answer(slot).await {
                Ok(hold) => return Ok(Some(hold)),
                Err(refusal) => refusal,
            };
            match self.after_refusal(slot, *refusal, since, options).await? {
                Refused::Moved => return Ok(None),
                Refused::Again(input) => encoded.input = input,
                Refused::Loaded(input, stay) => {
                    (encoded.input, loaded) = (input, Some(stay));
                }
            }
        }
    }

    /// Asks `slot`, and before that the store if there is a name; an error if that was used before.
    async fn attempt(
        &self,
        slot: &Arc<Slot>,
        encoded: &mut Encoded,
        options: &BeginOptions,
    ) -> Result<Attempt, BeginError> {
        let (redo, asked) = (encoded.redo, (encoded.input.take(), encoded.permit.take()));
        let request = match &encoded.named {
            Some(request) => Some(self.ask(slot, request).await?),
            None => None,
        };
        let special = redo.is_some() || request.is_some();
        let special = special.then(|| Box::new(Special { redo, request }));
        Ok(Attempt::new(slot, asked, special, options))
    }

    /// What follows from a refusal of what was asked for at `began`: another try, or an error.
    async fn after_refusal(
        &self,
        slot: &Arc<Slot>,
        mut refusal: BeginRefusal,
        began: Moment,
        options: &BeginOptions,
    ) -> Result<Refused, BeginError> {
        let engine = &slot.engine;
        let input = refusal.take_input();
        let is_due = matches!(refusal, BeginRefusal::Due(_));
        let has_moved = matches!(refusal, BeginRefusal::Moved);
        let has_left = matches!(refusal, BeginRefusal::Left(_));
        let waited = engine.now().moment.since(began);
        if let Some(error) = BeginError::from_refusal(refusal, slot, waited, options) {
            if matches!(error, BeginError::Gone { .. }) {
                engine.counts.gone_hit();
            }
            return Err(error);
        }
        if is_due {
            self.expire(slot).await?;
        }
        if has_moved {
            return Ok(Refused::Moved);
        }
        if !has_left {
            return Ok(Refused::Again(input));
        }
        let (id, instance) = (slot.tip().clone(), engine.instance);
        match self.again().await {
            Ok(Again::Live(stay)) => Ok(Refused::Loaded(input, stay)),
            Ok(Again::Gone(tombstone)) => Err(BeginError::Gone { id, tombstone, instance }),
            Ok(Again::Unknown) => Err(BeginError::Unknown { id, instance }),
            Err(LoadError::NoRoom(no_room)) => Err(BeginError::NoRoom(no_room)),
            Err(LoadError::Store(source)) if engine.is_over(&source) => {
                Err(BeginError::Draining { instance })
            }
            Err(LoadError::Store(source)) => Err(BeginError::Store { id, source }),
        }
    }

    /// Asks the store for a name; an error if it was used before.
    pub(super) async fn ask(&self, slot: &Slot, request: &Request) -> Result<Asked, BeginError> {
        let (id, instance) = (slot.tip().clone(), slot.engine.instance);
        let failed = |source| BeginError::Store { id: id.clone(), source };
        // Counted before the store is asked: whatever is admitted from here on is noticed.
        let seen = slot.snapshot(slot.engine.now()).requests;
        let store = &slot.engine.store;
        let found = match store.request(&slot.id, slot.incarnation, &request.key).await {
            // A life that is over has no names: the begin will be told what became of it.
            Err(StoreError::Fenced { reason: FenceReason::NoSuchLife }) => None,
            found => found.map_err(failed)?,
        };
        let Some(found) = found else { return Ok(Asked { request: request.clone(), seen }) };
        let stream = slot.stream_id(found.generation);
        if found.digest != request.digest {
            return Err(BeginError::KeyReused { id, key: request.key.clone(), stream, instance });
        }
        let turn =
            store.turn(&slot.id, slot.incarnation, found.generation).await.map_err(failed)?;
        let outcome = turn.map(|turn| turn.outcome);
        Err(BeginError::Repeated { id, stream, outcome, instance })
    }
}

/// What is to be done about a refusal that is no error.
enum Refused {
    /// Nothing: what was to be done over is not there any more as it was seen.
    Moved,
    /// To be asked again, with this input.
    Again(Option<Bytes>),
    /// To be asked again of the state that was loaded.
    Loaded(Option<Bytes>, Stay),
}

/// What is asked for: what tells two begins of one name apart.
pub(super) enum Digested<'a> {
    /// A turn with this input.
    Input(Option<&'a Bytes>),
    /// The last turns, over.
    Redo {
        /// How many.
        turns: usize,
    },
}

/// The name of a begin, with the digest of what is asked for.
pub(super) fn named(
    asked: &Digested<'_>,
    options: &BeginOptions,
    engine: &Engine,
) -> Result<Option<Request>, EntryError> {
    let Some(key) = &options.idempotency_key else { return Ok(None) };
    check_name(key, &engine.config.limits)?;
    let mut hasher = Sha256::new();
    match asked {
        Digested::Input(None) => hasher.update([0]),
        Digested::Input(Some(input)) => {
            hasher.update([1]);
            hasher.update(input);
        }
        Digested::Redo { turns } => {
            hasher.update([2]);
            hasher.update((*turns as u64).to_be_bytes());
        }
    }
    // Half of it is more than enough to tell one message from another.
    let hash = hasher.finalize();
    let (half, _) = hash.as_slice().split_first_chunk::<16>().expect("a SHA-256 has 32 bytes");
    Ok(Some(Request { key: key.clone(), digest: u128::from_be_bytes(*half) }))
}
