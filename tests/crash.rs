//! A process that is killed, over and over, on one file: what it acknowledged is there, once and in
//! order, what it deleted stays deleted, and every turn has one end.
//!
//! The child is this test binary, run again for one test that does nothing unless it is told to. It
//! says on its output what it is about to do and what it was told; the parent keeps that log, kills
//! the child after some lines, and compares.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

#[path = "support/stage.rs"]
mod stage;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use session_supervisor::store::Found;
use session_supervisor::{
    BeginError, BusyPolicy, CommitOutcome, Config, DeleteOutcome, EntryMark, Lookup, NewSession,
    RecordFilter, SessionError, SessionId, SqliteOptions, SqliteStore, Store, StreamId, Supervisor,
    SupervisorBuilder, TurnOutcome,
};
use stage::{assert_clean, key, reply, user};

/// Names the file and the seed for the child.
const CHILD: &str = "CRASH_CHILD";

/// How often it is killed.
const CYCLES: u64 = 40;

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// Tells the parent; one write, on a line of its own whatever the test harness has printed.
fn say(line: &str) {
    println!("\n@ {line}");
}

/// The settings of child and parent: these crashes are wanted.
fn builder() -> SupervisorBuilder {
    let mut config = Config::default();
    (config.recovery.max_crashes, config.recovery.max_restarts) = (0, 0);
    Supervisor::builder().config(config)
}

/// What one task of the child does until it is killed.
async fn work(supervisor: Supervisor, seed: u64, task: u64) {
    let mut random = Random(seed.wrapping_mul(1_000).wrapping_add(task));
    for n in 0_u64.. {
        let text = format!("{seed}.{task}.{n}");
        let session = supervisor.open(&key(&format!("{}", random.below(4)))).await.unwrap();
        let id = session.id().clone();
        say(&format!("opened {id}"));
        match random.below(12) {
            0 => {
                say(&format!("deleting {id}"));
                if let DeleteOutcome::Deleted(_) = session.delete().await.unwrap() {
                    say(&format!("deleted {id}"));
                }
            }
            1..4 => {
                say(&format!("trying {id} {text}.note"));
                match session.append(&[reply(&format!("{text}.note"))]).await {
                    Ok(seq) => say(&format!("wrote {id} {seq} {text}.note")),
                    Err(SessionError::Gone { .. } | SessionError::Closing { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
            _ => {
                say(&format!("trying {id} {text}.in"));
                let begun = session.begin(&user(&format!("{text}.in")), BusyPolicy::queue()).await;
                let turn = match begun {
                    Ok(turn) => turn,
                    Err(BeginError::Gone { .. } | BeginError::Closing { .. }) => continue,
                    Err(error) => panic!("{error:?}"),
                };
                let stream = turn.stream();
                say(&format!("began {id} {stream} {text}.in"));
                for _ in 0..random.below(3) {
                    if turn.emit("half of a ").is_err() {
                        break;
                    }
                    // Something durable in the middle of the reply.
                    drop(session.insert("mood", &n).await);
                }
                say(&format!("trying {id} {text}.out"));
                match turn.commit(&reply(&format!("{text}.out"))).await.unwrap() {
                    CommitOutcome::Committed { seq, .. } => {
                        say(&format!("wrote {id} {seq} {text}.out"));
                        say(&format!("committed {id} {stream}"));
                    }
                    CommitOutcome::Stale { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_child_that_works_until_it_is_killed() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let (seed, path) = told.split_once(' ').unwrap();
    let seed = seed.parse().unwrap();
    let store = SqliteStore::open(path, SqliteOptions::default()).await.unwrap();
    let supervisor = builder().store(store).start().await.unwrap();
    let tasks = [0, 1, 2].map(|task| tokio::spawn(work(supervisor.clone(), seed, task)));
    for task in tasks {
        task.await.unwrap();
    }
}

/// What all children have said so far.
#[derive(Debug, Default)]
struct Log {
    opened: HashSet<SessionId>,
    /// What they tried to write, and to which session.
    tried: HashMap<String, SessionId>,
    /// What they were told is written, and at which place.
    wrote: BTreeMap<String, (SessionId, u64)>,
    /// The inputs that were acknowledged, and the turns that they began.
    began: BTreeMap<String, (SessionId, StreamId)>,
    committed: HashSet<StreamId>,
    deleting: HashSet<SessionId>,
    deleted: HashSet<SessionId>,
    /// The turns that a start has settled.
    settled: HashSet<StreamId>,
}

impl Log {
    fn take_in(&mut self, line: &str) {
        let words: Vec<_> = line.split(' ').collect();
        let id = |text: &str| text.parse::<SessionId>().unwrap();
        match words[..] {
            ["@", "opened", session] => drop(self.opened.insert(id(session))),
            ["@", "trying", session, text] => {
                assert!(self.tried.insert(text.to_owned(), id(session)).is_none());
            }
            ["@", "began", session, stream, text] => {
                let began = (id(session), stream.parse().unwrap());
                assert!(self.began.insert(text.to_owned(), began).is_none());
            }
            ["@", "wrote", session, seq, text] => {
                let wrote = (id(session), seq.parse().unwrap());
                assert!(self.wrote.insert(text.to_owned(), wrote).is_none());
            }
            ["@", "committed", _, stream] => {
                assert!(self.committed.insert(stream.parse().unwrap()));
            }
            ["@", "deleting", session] => drop(self.deleting.insert(id(session))),
            ["@", "deleted", session] => {
                assert!(self.deleted.insert(id(session)), "{session} was deleted twice");
            }
            _ => assert!(!line.starts_with('@'), "{line}"),
        }
    }

    /// Whether the child was working on a reply when it was killed.
    fn dies_in_the_middle(&self, settled: usize) -> bool {
        settled > 0 && !self.began.is_empty()
    }

    /// Compares the store with what was said.
    async fn compare(&self, supervisor: &Supervisor, store: &SqliteStore) {
        for id in &self.opened {
            match supervisor.look_up(id).await.unwrap() {
                Lookup::Live(session) => {
                    assert!(!self.deleted.contains(id), "{id} lives again");
                    let record = session.record().await.unwrap();
                    assert_eq!(record.open, []);
                    self.compare_entries(&session).await;
                    for (owner, stream) in self.began.values() {
                        if owner != id {
                            continue;
                        }
                        let (life, turn) = (stream.incarnation(), stream.generation());
                        let turn = store.turn(id, life, turn).await.unwrap().unwrap();
                        let told = self.committed.contains(stream);
                        let committed = turn.outcome == TurnOutcome::Committed;
                        assert!(committed || !told, "{stream} was committed: {turn:?}");
                        // Nobody cancels or drops here, so there are two ways to end.
                        assert!(committed || turn.outcome == TurnOutcome::Interrupted, "{turn:?}");
                    }
                }
                Lookup::Gone(tombstone) => {
                    assert!(self.deleting.contains(id), "{id}: {tombstone:?}");
                    let refused = supervisor.create_id(id, NewSession::new()).await;
                    assert!(refused.is_err(), "{id} was created again");
                    let found = store.look_up(id, supervisor.now()).await.unwrap();
                    assert_eq!(found, Found::Gone(tombstone));
                }
                Lookup::Unknown => panic!("{id} is forgotten"),
            }
        }
    }

    /// Each entry that was acknowledged once and at its place, and none that nobody tried.
    async fn compare_entries(&self, session: &session_supervisor::Session) {
        let id = session.id();
        let mut found = HashMap::new();
        let mut newest: HashMap<String, u64> = HashMap::new();
        let entries = session.entries(0, usize::MAX).await.unwrap();
        assert!(entries.is_sorted_by(|one, next| one.seq < next.seq));
        for entry in entries {
            let text = entry.content.unwrap().content;
            assert_eq!(self.tried.get(&text), Some(id), "{text} was not written here");
            // A task's texts are numbered in the order in which it wrote them.
            let parts: Vec<_> = text.split('.').collect();
            let number = 2 * parts[2].parse::<u64>().unwrap() + u64::from(parts[3] == "out");
            let before = newest.insert(format!("{}.{}", parts[0], parts[1]), number);
            assert!(before.is_none_or(|before| before < number), "{text} came after {before:?}");
            assert_eq!(entry.stream.is_none(), parts[3] == "note");
            let interrupted = entry.mark == EntryMark::Unanswered;
            assert!(entry.mark == EntryMark::Kept || (interrupted && parts[3] == "in"));
            let told = entry.stream.is_some_and(|stream| self.committed.contains(&stream));
            assert!(!(told && interrupted), "{text}: {:?}", entry.mark);
            assert!(found.insert(text, entry.seq).is_none(), "an entry is there twice");
        }
        for (text, (owner, seq)) in &self.wrote {
            if owner == id {
                assert_eq!(found.get(text), Some(seq), "{text} was acknowledged");
            }
        }
        for (text, (owner, _)) in &self.began {
            assert!(owner != id || found.contains_key(text), "{text} was acknowledged");
        }
    }
}

/// Runs the child, and kills it after `lines` lines that it has said.
fn run_and_kill(path: &Path, seed: u64, lines: u64, log: &mut Log) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_child_that_works_until_it_is_killed", "--nocapture"])
        .env(CHILD, format!("{seed} {}", path.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut said = 0;
    let mut line = String::new();
    loop {
        line.clear();
        output.read_line(&mut line).unwrap();
        // A last line that was cut off was not said.
        let Some(whole) = line.strip_suffix('\n') else { break };
        log.take_in(whole);
        said += u64::from(whole.starts_with('@'));
        if said == lines {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert!(said >= lines, "the child ended by itself: {status}");
}

// G2, G3, G4, G8, G10, E11, C11, F6, F14, F24
#[test]
fn what_a_killed_process_was_told_is_there_once_and_every_turn_has_one_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let mut log = Log::default();
    let mut random = Random(20_260_101);
    let mut in_the_middle = 0;
    for cycle in 0..CYCLES {
        run_and_kill(&path, cycle, 1 + random.below(250), &mut log);
        stage::runtime(1).block_on(async {
            let store = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
            let supervisor = builder().store(store.clone()).start().await.unwrap();
            assert_eq!(supervisor.loaded(), 0);
            let settled = &supervisor.recovery().settled;
            let report = supervisor.recovery();
            assert_eq!(report.damaged, Vec::<String>::new());
            // The child was killed; its parent ended in good order.
            assert!(report.last_run.is_crash() && report.suspended.is_empty());
            in_the_middle += u64::from(log.dies_in_the_middle(settled.len()));
            for turn in settled {
                assert!(log.settled.insert(turn.stream), "{turn:?} was settled twice");
                assert!(!log.committed.contains(&turn.stream), "{turn:?} was committed");
            }
            let mut replying = RecordFilter::default();
            replying.replying = Some(true);
            assert_eq!(supervisor.list(replying, None, 9).await.unwrap().records, []);
            log.compare(&supervisor, &store).await;
            assert_eq!(supervisor.check_store().await.unwrap(), Vec::<String>::new());
            assert_clean(&supervisor).await;
            assert!(supervisor.shutdown(std::time::Duration::from_secs(5)).await.unwrap().clean);
        });
    }
    println!(
        "{} entries, {} turns, {} deletes acknowledged; {in_the_middle} of {CYCLES} kills in the \
         middle of a reply, {} turns settled",
        log.wrote.len(),
        log.began.len(),
        log.deleted.len(),
        log.settled.len()
    );
    assert!(in_the_middle >= CYCLES / 4, "{in_the_middle} kills in the middle of a reply");
    assert!(log.deleted.len() > 10 && log.wrote.len() > 100);
}
