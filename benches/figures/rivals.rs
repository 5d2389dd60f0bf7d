//! What the library is held against: a map of locks, an actor, a bare write-ahead log.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, RpcReplyPort};
use rusqlite::Connection;

/// How many shards the map has; as many as the library's.
const SHARDS: usize = 64;

/// 200 bytes of state behind a lock of its own: what a session's metadata would be.
pub(crate) type Record = Arc<Mutex<[u64; 25]>>;

/// The limit of every look-up: a map under a sharded lock.
pub(crate) struct Map<K, V> {
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<K, V>>>,
}

impl<K: Hash + Eq, V: Clone> Map<K, V> {
    pub(crate) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::new(HashMap::new())).collect();
        Self { hasher: RandomState::new(), shards }
    }

    fn shard(&self, key: &K) -> &Mutex<HashMap<K, V>> {
        &self.shards[(self.hasher.hash_one(key) >> 32) as usize % SHARDS]
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.shard(key).lock().get(key).cloned()
    }

    pub(crate) fn insert(&self, key: K, value: V) -> Option<V> {
        self.shard(&key).lock().insert(key, value)
    }

    pub(crate) fn remove(&self, key: &K) -> Option<V> {
        self.shard(key).lock().remove(key)
    }
}

/// An actor that counts: 200 bytes of state, as the map's records have.
pub(crate) struct Counter;

/// Asks for the next number.
pub(crate) struct Next(pub(crate) RpcReplyPort<u64>);

#[cfg(feature = "cluster")]
impl ractor::Message for Next {}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Counter {
    type Msg = Next;
    type State = [u64; 25];
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Next>, (): ()) -> Result<[u64; 25], ActorProcessingErr> {
        Ok([0; 25])
    }

    async fn handle(
        &self,
        _: ActorRef<Next>,
        Next(reply): Next,
        state: &mut [u64; 25],
    ) -> Result<(), ActorProcessingErr> {
        state[0] += 1;
        drop(reply.send(state[0]));
        Ok(())
    }
}

/// Starts an actor that others are linked to.
pub(crate) async fn start_parent() -> ActorRef<Next> {
    Actor::spawn(None, Counter, ()).await.expect("it starts").0
}

/// Starts an actor linked to `parent`.
pub(crate) async fn start_linked(parent: ActorCell) -> ActorRef<Next> {
    Actor::spawn_linked(None, Counter, (), parent).await.expect("it starts").0
}

/// One bare call.
pub(crate) async fn ask(actor: &ActorRef<Next>) -> u64 {
    actor.call(Next, None).await.expect("it runs").expect("it answers")
}

/// The rows of begin and commit, written by hand: the same file, the same statements and sizes, and
/// none of what the store does besides. It reads nothing, checks nothing, computes no checksum, and
/// nobody waits for it.
pub(crate) struct RawLog {
    connection: Connection,
    lives: Vec<RawLife>,
}

/// What the raw loop knows of one session without asking.
struct RawLife {
    incarnation: i64,
    generation: i64,
    seq: i64,
}

/// Stands where the store has a checksum.
const CRC: i64 = 0x7FAB_CDEF;

impl RawLog {
    /// Opens a file that a store made, with the settings of the store's writer.
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.execute_batch(
            "PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; \
             PRAGMA cell_size_check = ON; PRAGMA cache_size = -8192; PRAGMA synchronous = FULL; \
             PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON; \
             PRAGMA wal_autocheckpoint = 4096; PRAGMA journal_size_limit = 16777216",
        )?;
        let lives = connection
            .prepare("SELECT incarnation FROM sessions ORDER BY incarnation")?
            .query_map([], |row| Ok(RawLife { incarnation: row.get(0)?, generation: 0, seq: 1 }))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self { connection, lives })
    }

    /// How many sessions there are.
    pub(crate) fn sessions(&self) -> usize {
        self.lives.len()
    }

    /// A turn in each of `sessions`: all begins in one transaction, all commits in the next.
    pub(crate) fn turns(
        &mut self,
        sessions: &[usize],
        input: &[u8],
        reply: &[u8],
    ) -> rusqlite::Result<()> {
        self.execute("BEGIN IMMEDIATE")?;
        for &session in sessions {
            self.begin(session, input)?;
        }
        self.execute("COMMIT")?;
        self.execute("BEGIN IMMEDIATE")?;
        for &session in sessions {
            self.commit(session, reply)?;
        }
        self.execute("COMMIT")
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }

    fn begin(&mut self, session: usize, input: &[u8]) -> rusqlite::Result<()> {
        let life = &mut self.lives[session];
        life.generation += 1;
        push(&self.connection, life, input)?;
        update(&self.connection, life, Some(&[7; 40]))
    }

    fn commit(&mut self, session: usize, reply: &[u8]) -> rusqlite::Result<()> {
        let life = &mut self.lives[session];
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO turns (incarnation, generation, outcome, settled_at, crc) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        insert.execute((life.incarnation, life.generation, "committed", now(life), CRC))?;
        push(&self.connection, life, reply)?;
        update(&self.connection, life, None)
    }
}

/// A time of the size that times have.
fn now(life: &RawLife) -> i64 {
    1_790_000_000_000 + life.seq
}

fn push(connection: &Connection, life: &mut RawLife, payload: &[u8]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO entries (incarnation, seq, generation, mark, at, payload, crc) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    insert.execute((life.incarnation, life.seq, life.generation, 0, now(life), payload, CRC))?;
    life.seq += 1;
    Ok(())
}

fn update(connection: &Connection, life: &RawLife, open: Option<&[u8]>) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached(
        "UPDATE sessions SET label = ?2, active_at = ?3, generation = ?4, version = ?5, \
         next_seq = ?6, entries = ?7, open = ?8, crc = ?9 WHERE incarnation = ?1",
    )?;
    let (generation, seq, none) = (life.generation, life.seq, None::<&str>);
    let row = (life.incarnation, none, now(life), generation, generation, seq, seq - 1, open, CRC);
    update.execute(row).map(drop)
}
