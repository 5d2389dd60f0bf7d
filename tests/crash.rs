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
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
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

/// How often it is killed, unless `CRASH_KILLS` says otherwise.
const KILLS: u64 = 40;

/// How many of the kills are on one file; then a fresh one is begun, or looking at all of it would be most of
/// the work.
const KILLS_A_FILE: u64 = 40;

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |told| told.parse().unwrap())
}

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
        match random.below(13) {
            12 => take_back(&supervisor, task, &text).await,
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

/// Two notes of a task, of which the second is taken back, in a conversation where nothing else happens.
async fn take_back(supervisor: &Supervisor, task: u64, text: &str) {
    let session = supervisor.open(&key(&format!("back{task}"))).await.unwrap();
    let id = session.id().clone();
    say(&format!("opened {id}"));
    let mut last = 0;
    for text in [format!("{text}.note"), format!("{text}.more")] {
        say(&format!("trying {id} {text}"));
        last = session.append(&[reply(&text)]).await.unwrap();
        say(&format!("wrote {id} {last} {text}"));
    }
    say(&format!("taking {id} {text}.more"));
    let back = session.truncate(last - 1, "it is a test", None).await.unwrap();
    assert_eq!(back.entries, 1);
    say(&format!("took {id} {} {text}.more", back.version));
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
    /// What they tried to take back.
    taking: HashSet<String>,
    /// What they were told is taken back, and in which revision it is.
    took: HashMap<String, u64>,
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
            ["@", "taking", _, text] => drop(self.taking.insert(text.to_owned())),
            ["@", "took", _, version, text] => {
                self.took.insert(text.to_owned(), version.parse().unwrap());
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
            let second = ["out", "more"].contains(&parts[3]);
            let number = 2 * parts[2].parse::<u64>().unwrap() + u64::from(second);
            let before = newest.insert(format!("{}.{}", parts[0], parts[1]), number);
            assert!(before.is_none_or(|before| before < number), "{text} came after {before:?}");
            assert_eq!(entry.stream.is_none(), ["note", "more"].contains(&parts[3]));
            let interrupted = entry.mark == EntryMark::Unanswered;
            assert!(entry.mark == EntryMark::Kept || (interrupted && parts[3] == "in"));
            let told = entry.stream.is_some_and(|stream| self.committed.contains(&stream));
            assert!(!(told && interrupted), "{text}: {:?}", entry.mark);
            assert!(found.insert(text, entry.seq).is_none(), "an entry is there twice");
        }
        let revisions = session.revisions().await.unwrap();
        for (text, (owner, seq)) in &self.wrote {
            let taken = revisions.iter().find(|revision| {
                let mut entries = revision.entries.iter();
                entries.any(|entry| entry.content.as_ref().unwrap().content == *text)
            });
            if owner == id && self.taking.contains(text) {
                // It is in the transcript or in the revision; in that, once somebody was told so.
                assert!(found.contains_key(text) == taken.is_none(), "{text} was acknowledged");
                let version = taken.map(|revision| revision.version);
                assert!(self.took.get(text).is_none_or(|told| version == Some(*told)), "{text}");
            } else if owner == id {
                assert_eq!(found.get(text), Some(seq), "{text} was acknowledged");
            }
        }
        for (text, (owner, _)) in &self.began {
            assert!(owner != id || found.contains_key(text), "{text} was acknowledged");
        }
    }
}

/// What was counted, over all files.
#[derive(Debug, Default)]
struct Counts {
    kills: u64,
    in_the_middle: u64,
    entries: usize,
    turns: usize,
    commits: usize,
    deletes: usize,
    taken_back: usize,
    settled: usize,
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
    let (kills, seed) = (setting("CRASH_KILLS", KILLS), setting("CRASH_SEED", 20_260_101));
    println!("seed {seed} -");
    let mut random = Random(seed);
    let mut counts = Counts::default();
    while counts.kills < kills {
        kill_on_one_file(kills, seed, &mut random, &mut counts);
    }
    let told = [
        ("kills", counts.kills as usize, "kills"),
        ("kills_in_the_middle_of_a_reply", counts.in_the_middle as usize, "kills"),
        ("acknowledged_entries", counts.entries, "entries"),
        ("acknowledged_begins", counts.turns, "turns"),
        ("acknowledged_commits", counts.commits, "turns"),
        ("acknowledged_deletes", counts.deletes, "sessions"),
        ("acknowledged_truncations", counts.taken_back, "entries"),
        ("turns_settled_by_a_start", counts.settled, "turns"),
        ("kills_lost", 0, "entries"),
    ];
    for (name, value, unit) in told {
        println!("{name} {value} {unit}");
    }
    assert!(counts.in_the_middle >= kills / 4);
    let at_least = |count: usize, a_kill: f64| count as f64 > kills as f64 * a_kill;
    assert!(at_least(counts.deletes, 0.25) && at_least(counts.taken_back, 0.25));
    assert!(at_least(counts.commits, 6.0) && at_least(counts.entries, 8.0));
}

/// Kills the child as often as one file takes.
fn kill_on_one_file(kills: u64, seed: u64, random: &mut Random, counts: &mut Counts) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let mut log = Log::default();
    for _ in 0..KILLS_A_FILE.min(kills - counts.kills) {
        // No two children have texts in common.
        let child = seed.wrapping_mul(1_000_000).wrapping_add(counts.kills);
        run_and_kill(&path, child, 1 + random.below(250), &mut log);
        counts.kills += 1;
        counts.in_the_middle += u64::from(look(&path, &mut log));
    }
    counts.entries += log.wrote.len();
    counts.turns += log.began.len();
    counts.commits += log.committed.len();
    counts.deletes += log.deleted.len();
    counts.taken_back += log.took.len();
    counts.settled += log.settled.len();
}

/// Opens what a killed child has left, and compares; answers whether it was in the middle of a reply.
fn look(path: &Path, log: &mut Log) -> bool {
    stage::runtime(1).block_on(async {
        let store = SqliteStore::open(path, SqliteOptions::default()).await.unwrap();
        let supervisor = builder().store(store.clone()).start().await.unwrap();
        assert_eq!(supervisor.loaded(), 0);
        let report = supervisor.recovery();
        assert_eq!(report.damaged, Vec::<String>::new());
        assert!(report.healed.is_empty() && report.quarantined.is_empty());
        // The child was killed; its parent ended in good order.
        assert!(report.last_run.is_crash() && report.suspended.is_empty());
        for turn in &report.settled {
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
        log.dies_in_the_middle(report.settled.len())
    })
}
