//! The host's say before a conversation ends by itself, and its last rites.
//!
//! A session may be idle here while something works for it outside: a job, a sandbox, a call. The library
//! cannot know of it, so it asks. Whatever goes wrong with the answer (an error, a panic, no answer in
//! time) means that the session is kept and asked about again at the next pass: never destroy what one is
//! not sure about.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::clock::Timestamp;
use crate::id::{Incarnation, SessionId};
use crate::key::SessionKey;
use crate::rt::{self, Arc, Spawner};
use crate::standing::ExpiryClock;

/// What a [`PruneHook`] returns.
pub type HookFuture<T> = Pin<Box<dyn Future<Output = Result<T, HookError>> + Send>>;

/// Why a hook could not say.
pub type HookError = Box<dyn std::error::Error + Send + Sync>;

/// The host's say before a conversation ends by itself.
///
/// Called without any lock, and only for sessions whose time is over; for each of them by one at a time,
/// whoever else comes for it waits. After each answer it is looked again whether the session was used
/// meanwhile, by the hook itself or by others: then it is kept.
///
/// It may look at the session and use it, in the task that it is called in: look it up by its id. Whoever
/// opens its key may be waiting for this very answer.
pub trait PruneHook: Send + Sync + 'static {
    /// Whether something outside keeps the session. Errors, panics and silence for longer than
    /// `prune.hook_timeout` keep it as well, and are counted.
    fn keeps(&self, session: Arc<Candidate>) -> HookFuture<bool>;

    /// The last rites of a session that is about to be ended: to write its memories down, or to tell its
    /// user. What is written into the session itself is a use of it, and keeps it. Sometimes they are held
    /// more than once for one end: whoever wanted it went away meanwhile. If they fail, the session is kept and they are tried again, `prune.finalize_attempts` times
    /// in a row; then it is ended without them, which is counted.
    fn finalize(&self, _session: Arc<Candidate>) -> HookFuture<()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A session whose time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate {
    /// Which conversation.
    pub id: SessionId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// The key under which it was created.
    pub key: Option<SessionKey>,
    /// What kind of conversation it is.
    pub class: String,
    /// When it was last used.
    pub last_active_at: Timestamp,
    /// By which clock its time is over.
    pub clock: ExpiryClock,
}

/// What a hook has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// It may end.
    End,
    /// It is kept.
    Keep,
    /// Nothing that could be understood.
    Failed(HookFailure),
}

/// How a hook failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HookFailure {
    /// It returned an error.
    Error,
    /// It panicked.
    Panic,
    /// It took too long.
    Timeout,
}

impl HookFailure {
    /// As a label.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Panic => "panic",
            Self::Timeout => "timeout",
        }
    }
}

/// The host's hook, and how long it may take.
#[derive(Clone)]
pub(crate) struct Hook {
    /// It.
    pub(crate) hook: Arc<dyn PruneHook>,
    /// How long it may take.
    pub(crate) timeout: std::time::Duration,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// Whether this is the task in which the host says something of that life.
pub(crate) fn is_asked_about(life: Incarnation) -> bool {
    rt::is_on_errand(life.get())
}

impl Hook {
    /// Whether something outside keeps the session.
    pub(crate) async fn keeps(&self, session: &Arc<Candidate>, spawner: &Spawner) -> Said {
        let (hook, session) = (self.hook.clone(), session.clone());
        let life = session.incarnation;
        match self.ask(life, spawner, async move { hook.keeps(session).await }).await {
            Ok(false) => Said::End,
            Ok(true) => Said::Keep,
            Err(failure) => Said::Failed(failure),
        }
    }

    /// Gives the session its last rites.
    pub(crate) async fn finalize(
        &self,
        session: &Arc<Candidate>,
        spawner: &Spawner,
    ) -> Result<(), HookFailure> {
        let (hook, session) = (self.hook.clone(), session.clone());
        let life = session.incarnation;
        self.ask(life, spawner, async move { hook.finalize(session).await }).await
    }

    /// Runs the host's code in a task of its own, so that a panic ends nothing else.
    async fn ask<T: Send + 'static>(
        &self,
        life: Incarnation,
        spawner: &Spawner,
        work: impl Future<Output = Result<T, HookError>> + Send + 'static,
    ) -> Result<T, HookFailure> {
        let mut task = AbortOnDrop(spawner.spawn(rt::on_errand(life.get(), work)));
        match rt::timeout(self.timeout, &mut task.0).await {
            Ok(Ok(Ok(said))) => Ok(said),
            Ok(Ok(Err(error))) => {
                tracing::warn!(%error, "a prune hook has failed");
                Err(HookFailure::Error)
            }
            Ok(Err(_)) => Err(HookFailure::Panic),
            Err(_) => Err(HookFailure::Timeout),
        }
    }
}

/// A task that ends with whoever waits for it.
struct AbortOnDrop<T>(rt::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
