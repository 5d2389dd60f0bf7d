//! What the child does until it is killed: one scenario, on a file, in sessions of its own.
//!
//! Wherever a step comes next, nothing is owed to the store any more; so the steps come in the same order in
//! every run, and the parent can kill at each of them.

use std::path::Path;
use std::sync::Arc;

use session_supervisor::{
    BeginError, BeginOptions, BusyPolicy, CommitOutcome, Event, FailedInput, Parallel, Session,
    SqliteOptions, SqliteStore, Supervisor, Turn,
};

use crate::points::{MortalStore, Points, die, say};
use crate::stage::{key, poll_once, reply, runtime, until, user};
use crate::{Job, builder};

/// How many chunks a turn emits, if nothing else is said: one piece, and two chunks more.
const CHUNKS: u64 = 10;

/// The text of a chunk.
pub(crate) fn chunk(text: &str, number: u64) -> String {
    format!("{text}:{number} ")
}

/// What a turn replies.
pub(crate) fn answer(text: &str) -> String {
    format!("{text}.out")
}

/// Does what it is told to.
pub(crate) fn run(job: &Job) {
    // Of both kinds, in turn.
    runtime(1 + usize::try_from(job.last % 2).unwrap()).block_on(async {
        let points = Arc::new(Points::new(if job.prelude { 0 } else { job.last }));
        let supervisor = start(job, &points).await;
        let at = |name: &'static str| Place::open(&supervisor, &points, job, name);
        match (&*job.scenario, job.prelude) {
            ("reply", _) => a_reply(at("a").await, true).await,
            ("flow", _) => a_reply(at("a").await, false).await,
            ("ends", _) => every_end(at("a").await).await,
            ("queue", _) => one_behind_the_other(at("a").await).await,
            ("again", true) => to_be_done_over(at("a").await).await,
            ("again", false) => done_over(at("a").await).await,
            ("named", _) => under_a_name(at("a").await).await,
            ("steer", _) => steered(at("a").await).await,
            ("starts", true) => left_open([at("a").await, at("b").await, at("c").await]).await,
            ("starts", false) => {}
            other => panic!("{other:?}"),
        }
        say("done");
    });
}

/// Starts on the file, and says what was left in it.
async fn start(job: &Job, points: &Arc<Points>) -> Supervisor {
    let store = SqliteStore::open(Path::new(&job.path), SqliteOptions::default()).await.unwrap();
    let store = MortalStore::new(store, points.clone());
    let supervisor = builder(&job.policy).store(store).start().await.unwrap();
    for turn in &supervisor.recovery().settled {
        say(&format!("names {}", turn.stream));
    }
    points.pass("start");
    supervisor
}

/// A session, and what is done in it.
struct Place {
    session: Session,
    points: Arc<Points>,
}

impl Place {
    async fn open(
        supervisor: &Supervisor,
        points: &Arc<Points>,
        job: &Job,
        name: &'static str,
    ) -> Self {
        let session = supervisor.open(&key(&job.chat(name))).await.unwrap();
        say(&format!("opened {name} {}", session.id()));
        let place = Self { session, points: points.clone() };
        place.step("opened").await;
        place
    }

    /// A step between two writes.
    async fn step(&self, name: &str) {
        until("all is stored", || self.session.status().unwritten == 0).await;
        self.points.pass(name);
    }

    async fn begin(&self, text: &str, options: impl Into<BeginOptions>) -> Turn {
        say(&format!("tries {text}"));
        let turn = self.session.begin(&user(text), options).await.unwrap();
        say(&format!("began {} {text}", turn.stream()));
        self.step("began").await;
        turn
    }

    /// Says the chunks `from..=to`.
    async fn emit(&self, turn: &Turn, text: &str, from: u64, to: u64) {
        for number in from..=to {
            say(&format!("emits {} {number}", turn.stream()));
            turn.emit(chunk(text, number)).unwrap();
            tokio::task::yield_now().await;
        }
    }

    async fn commit(&self, turn: Turn, text: &str) {
        let stream = turn.stream();
        let outcome = turn.commit(&reply(&answer(text))).await.unwrap();
        let CommitOutcome::Committed { seq, .. } = outcome else { panic!("{outcome:?}") };
        say(&format!("ended {stream} committed {seq}"));
        self.step("committed").await;
    }
}

/// One reply, with steps while it is said, or without.
async fn a_reply(place: Place, steps: bool) {
    let turn = place.begin("in1", ()).await;
    for number in 1..=50 {
        place.emit(&turn, "in1", number, number).await;
        if steps && number % 5 == 0 {
            place.step("between chunks").await;
        }
    }
    place.commit(turn, "in1").await;
}

/// Every way in which a turn ends without a reply.
async fn every_end(place: Place) {
    for way in ["keep", "drop_input", "drop", "stop"] {
        let turn = place.begin(way, ()).await;
        let (stream, mut reader) = (turn.stream(), turn.subscribe());
        place.emit(&turn, way, 1, CHUNKS).await;
        place.step("said").await;
        match way {
            "keep" => assert_eq!(turn.fail(FailedInput::Keep).await.unwrap(), None),
            "drop_input" => {
                say(&format!("drops {stream}"));
                assert_eq!(turn.fail(FailedInput::Drop).await.unwrap(), None);
            }
            "drop" => drop(turn),
            _ => {
                place.session.stop();
                drop(turn);
            }
        }
        let outcome = loop {
            match reader.next().await {
                Some(Event::Ended(outcome)) => break outcome,
                Some(_) => {}
                None => panic!("a stream without an end"),
            }
        };
        say(&format!("ended {stream} {outcome} 0"));
        place.step("ended").await;
    }
    let fenced = place.begin("fenced", ()).await;
    place.emit(&fenced, "fenced", 1, CHUNKS).await;
    let at_once = BusyPolicy::Interrupt { grace: std::time::Duration::ZERO, max: 1 };
    let turn = place.begin("newer", at_once).await;
    let stream = fenced.stream();
    let stale = fenced.commit(&reply("too late")).await.unwrap();
    let CommitOutcome::Stale { .. } = stale else { panic!("{stale:?}") };
    say(&format!("ended {stream} cancelled_preempted 0"));
    place.commit(turn, "newer").await;
}

/// Two turns, and one more that waits for the second.
async fn one_behind_the_other(place: Place) {
    let first = place.begin("in1", ()).await;
    place.emit(&first, "in1", 1, CHUNKS).await;
    place.commit(first, "in1").await;
    let second = place.begin("in2", ()).await;
    say("tries in3");
    let (session, input) = (place.session.clone(), user("in3"));
    let mut third =
        Box::pin(async move { session.begin(&input, BusyPolicy::queue()).await.unwrap() });
    assert!(poll_once(&mut third).is_pending());
    place.step("queued").await;
    place.emit(&second, "in2", 1, CHUNKS).await;
    place.commit(second, "in2").await;
    let third = third.await;
    say(&format!("began {} in3", third.stream()));
    place.emit(&third, "in3", 1, CHUNKS).await;
    place.step("said").await;
    place.commit(third, "in3").await;
}

/// A turn that is answered, and one that is interrupted.
async fn to_be_done_over(place: Place) {
    let turn = place.begin("in1", ()).await;
    place.commit(turn, "in1").await;
    let turn = place.begin("in2", ()).await;
    place.emit(&turn, "in2", 1, CHUNKS).await;
    place.step("said").await;
    die();
}

/// The interrupted turn is done over, done over once more since its reply could be better, then taken back.
async fn done_over(place: Place) {
    for _ in 0..2 {
        say("tries in2");
        let turn = place.session.retry(1, ()).await.unwrap();
        say(&format!("began {} in2", turn.stream()));
        place.step("retried").await;
        place.emit(&turn, "in2", 1, CHUNKS).await;
        place.commit(turn, "in2").await;
    }
    let back = place.session.rollback(1, None).await.unwrap();
    say(&format!("took_back {}", back.version));
    place.step("rolled back").await;
    let turn = place.begin("in3", ()).await;
    place.commit(turn, "in3").await;
}

/// A begin with a name; the parent begins it again.
async fn under_a_name(place: Place) {
    let turn = place.begin("in1", named()).await;
    place.emit(&turn, "in1", 1, CHUNKS).await;
    place.commit(turn, "in1").await;
}

/// The name.
pub(crate) fn named() -> BeginOptions {
    BeginOptions::default().idempotency_key("message 1")
}

/// A turn that takes what is said to it, and leaves something for the next.
async fn steered(place: Place) {
    let first = place.begin("in1", ()).await;
    place.emit(&first, "in1", 1, CHUNKS).await;
    for text in ["more1", "more2"] {
        say(&format!("tries {text}"));
        let (session, input) = (place.session.clone(), user(text));
        let mut more =
            Box::pin(async move { session.begin(&input, BusyPolicy::steer()).await.unwrap_err() });
        assert!(poll_once(&mut more).is_pending());
        place.step("offered").await;
        let taken = first.next_input().await.unwrap();
        assert_eq!(taken.content.unwrap().content, text);
        let told = more.await;
        let BeginError::Steered { by, seq, .. } = told else { panic!("{told:?}") };
        assert_eq!((by, seq), (first.stream(), taken.seq));
        say(&format!("steered {by} {seq} {text}"));
        place.step("taken").await;
    }
    say("tries in2");
    let (session, input) = (place.session.clone(), user("in2"));
    let mut second =
        Box::pin(async move { session.begin(&input, BusyPolicy::steer()).await.unwrap() });
    assert!(poll_once(&mut second).is_pending());
    place.step("not asked for").await;
    place.commit(first, "in1").await;
    let second = second.await;
    say(&format!("began {} in2", second.stream()));
    place.commit(second, "in2").await;
}

/// Conversations in the middle of a reply, or of two, and one that waits for its first word.
async fn left_open([one, two, none]: [Place; 3]) {
    let parallel = BusyPolicy::Parallel(Parallel::FirstCommit);
    let turns = [
        (&one, "in1", one.begin("in1", ()).await),
        (&two, "in2", two.begin("in2", parallel).await),
        (&two, "in3", two.begin("in3", parallel).await),
    ];
    for (place, text, turn) in &turns {
        place.emit(turn, text, 1, CHUNKS).await;
    }
    let answered = none.begin("in4", ()).await;
    none.commit(answered, "in4").await;
    let _silent = none.begin("in5", ()).await;
    for place in [&one, &two, &none] {
        place.step("left").await;
    }
    die();
}
