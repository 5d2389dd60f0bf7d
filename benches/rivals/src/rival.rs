//! What a person would pick to hold sessions, each set up as somebody would who knows it.
//!
//! All have the same keys of 40 bytes and, except rmcp's, which has what it has, 200 bytes of state a session
//! ([`State`]). Each does a thing in the way that is cheapest for it: an actor has all of a turn done in one call; who locks
//! a map locks twice, since a reply is waited for between begin and commit, and nobody would wait with the lock held.

pub(crate) mod kameo;
pub(crate) mod map;
pub(crate) mod moka;
pub(crate) mod ours;
pub(crate) mod python;
pub(crate) mod ractor;
pub(crate) mod rmcp;
pub(crate) mod state;
pub(crate) mod task;

use std::future::Future;
use std::sync::Arc;

use session_supervisor::SessionKey;

use crate::world::{self, Said};

pub(crate) use state::{Entries, State};

/// What a session is found by, made in advance for everybody.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// For the library.
    pub(crate) session: SessionKey,
    /// The same 40 bytes for the others; a clone allocates nothing.
    pub(crate) text: Arc<str>,
}

impl Key {
    pub(crate) fn of(number: usize) -> Self {
        let session = world::key(number);
        let text: Arc<str> = session.to_string().into();
        assert_eq!(text.len(), 40, "{text}");
        Self { session, text }
    }

    /// `count` keys, from the one of `first` on.
    pub(crate) fn many(first: usize, count: usize) -> Arc<Vec<Self>> {
        Arc::new((first..first + count).map(Self::of).collect())
    }
}

/// How many want a session that is stuck.
pub(crate) const WAITING: usize = 8;

/// A holder of sessions.
pub(crate) trait Rival: Clone + Send + Sync + 'static {
    /// What the figures call it.
    const NAME: &'static str;
    /// What it finds a session by.
    type Name: Clone + Send + Sync + 'static;
    /// What a caller keeps of a session to use it.
    type Handle: Clone + Send + Sync + 'static;

    /// An empty one.
    fn start() -> impl Future<Output = Self> + Send;

    /// Creates the session of `key`, which is new.
    fn create(&self, key: &Key) -> impl Future<Output = (Self::Name, Self::Handle)> + Send;

    /// Finds a session that is known.
    fn look_up(&self, name: &Self::Name) -> impl Future<Output = bool> + Send;

    /// Ends a session; it is gone when this resolves.
    fn delete(&self, name: &Self::Name, handle: &Self::Handle) -> impl Future<Output = ()> + Send;

    /// How many sessions there are.
    fn count(&self) -> usize;

    /// Ends everything and waits until it has ended.
    fn stop(self) -> impl Future<Output = ()> + Send;
}

/// One that has turns.
pub(crate) trait Turns: Rival {
    /// What keeps a session stuck until it is dropped.
    type Stuck: Send;

    /// Begin and commit, with nothing said.
    fn turn(&self, handle: &Self::Handle) -> impl Future<Output = ()> + Send;

    /// Begin with an input and commit with a reply, both encoded and kept.
    fn say(&self, handle: &Self::Handle, said: &Said) -> impl Future<Output = ()> + Send;

    /// How many turns of the session were committed.
    fn committed(&self, handle: &Self::Handle) -> impl Future<Output = u64> + Send;

    /// Creates the session of `key` unless it is there.
    fn open(&self, key: &Key) -> impl Future<Output = Self::Handle> + Send;

    /// Whether two handles lead to one session.
    fn same(one: &Self::Handle, other: &Self::Handle) -> bool;

    /// Has a session stuck in the middle of a turn, with others who want it.
    fn stick(&self, handle: &Self::Handle) -> impl Future<Output = Self::Stuck> + Send;
}

/// Creates a session for each of `keys`.
pub(crate) async fn create_all<R: Rival>(
    rival: &R,
    keys: &[Key],
) -> (Vec<R::Name>, Vec<R::Handle>) {
    let (mut names, mut handles) = (Vec::new(), Vec::new());
    for key in keys {
        let (name, handle) = rival.create(key).await;
        names.push(name);
        handles.push(handle);
    }
    (names, handles)
}

/// How many turns were committed in all of `handles`.
pub(crate) async fn committed<R: Turns>(rival: &R, handles: &[R::Handle]) -> u64 {
    let mut sum = 0;
    for handle in handles {
        sum += rival.committed(handle).await;
    }
    sum
}
