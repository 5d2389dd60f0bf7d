//! A store of one's own, and how to find out whether it keeps what every store promises.
//!
//! ```text
//! cargo run --release --example custom_store
//! ```
//!
//! You will see three tests pass, then what a short conversation asked of the store. This one stands in front of
//! another and counts the calls; yours talks to a database, and is tested in the same way.

#![allow(clippy::print_stdout, reason = "it shows something")]
#![allow(clippy::wildcard_imports, reason = "a store names nearly all that is there")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_supervisor::store::*;
use session_supervisor::testing::{Crowd, conformance, differential};
use session_supervisor::{BusyPolicy, ChatMessage, Config, Generation, Incarnation, InstanceId};
use session_supervisor::{SessionId, SessionKey, Supervisor, Timestamp};

type Answer<T> = StoreFuture<Result<T, StoreError>>;

/// Counts what the store behind it is asked.
#[derive(Clone, Debug)]
struct Counting {
    behind: Arc<dyn Store>,
    calls: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

impl Counting {
    fn new(behind: impl Store) -> Self {
        Self { behind: Arc::new(behind), calls: Arc::default() }
    }
}

/// Each function of the trait: counts, and asks. A call is made when the function is called, not when its future
/// is polled: that keeps the writes to one session in their order, whoever waits for them.
macro_rules! ask {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&self, $($argument: $type),*) -> Answer<$answer> {
            *self.calls.lock().expect("nobody panics while counting").entry(stringify!($name)).or_default() += 1;
            self.behind.$name($($argument),*)
        })*
    };
}

// `attach` is left out: its writes would go past the counter, and `None` is always right.
#[rustfmt::skip]
impl Store for Counting {
    ask! {
        create(new: NewRecord) -> Created;
        write(id: &SessionId, life: Incarnation, write: Write) -> ();
        look_up(id: &SessionId, now: Timestamp) -> Found;
        life_of(id: &SessionId) -> Option<Incarnation>;
        bound_to(key: &SessionKey) -> Option<SessionId>;
        bind(binding: Binding, to: Option<(SessionId, Incarnation)>) -> Bound;
        keys_of(id: &SessionId, life: Incarnation) -> Vec<SessionKey>;
        entries(id: &SessionId, life: Incarnation, after: u64, limit: usize) -> Vec<StoredEntry>;
        datum(id: &SessionId, life: Incarnation, name: &str) -> Option<bytes::Bytes>;
        turn(id: &SessionId, life: Incarnation, turn: Generation) -> Option<TurnRecord>;
        list(filter: RecordFilter, after: Option<Incarnation>, limit: usize) -> RecordPage;
        count() -> u64;
        lanes() -> Vec<Lane>;
        due(query: DueQuery, limit: usize) -> DuePage;
        partial(id: &SessionId, life: Incarnation, turn: Generation) -> Option<StoredPartial>;
        request(id: &SessionId, life: Incarnation, key: &str) -> Option<RequestRecord>;
        branches(id: &SessionId, life: Incarnation) -> Vec<BranchRecord>;
        revisions(id: &SessionId, life: Incarnation) -> Vec<Revision>;
        resume(id: &SessionId, life: Incarnation, provider: &str) -> ResumeRecord;
        forget(what: Forget, limit: usize) -> usize;
        open_run(instance: InstanceId, at: Timestamp) -> RunsFound;
        close_run(instance: InstanceId, stop: CleanStop) -> ();
        heal() -> HealReport;
        check() -> Vec<String>;
        close() -> ();
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let fresh = || async { Counting::new(MemoryStore::new()) };
    conformance(fresh).await.assert();
    println!("each promise, one by one:        kept");
    differential(fresh, 7, 1_000).await?;
    println!("as the memory store, at random:  the same answers");
    Crowd::new(7).operations(5_000).run(fresh().await).await.assert();
    println!("under eight clients at once:     as one after another\n");

    let store = fresh().await;
    let mut config = Config::default();
    config.prune.every = Duration::ZERO; // Nobody else is to ask it anything.
    let builder = Supervisor::builder().store(store.clone()).config(config);
    let supervisor: Supervisor = builder.start().await?;
    store.calls.lock().expect("nobody panics while counting").clear();
    let session = supervisor.open(&SessionKey::builder("irc").chat("#rust").build()?).await?;
    let turn = session.begin(&ChatMessage::user("hello"), BusyPolicy::Reject).await?;
    println!("{:?}", turn.commit(&ChatMessage::assistant("hi there")).await?);
    for (name, calls) in &*store.calls.lock().expect("nobody panics while counting") {
        println!("{name:10} {calls}");
    }
    Ok(())
}
