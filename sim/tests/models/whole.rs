//! The whole supervisor with its actors: a few callers who do anything at all, and every answer has to fit
//! one order of events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use session_supervisor::store::Found;
use session_supervisor::{
    BeginError, BusyPolicy, CancelOutcome, CommitOutcome, CreateError, DeleteOutcome, FailedInput,
    Lookup, NewSession, Session, SessionId, Turn,
};
use shuttle::rand::{Rng, thread_rng};

use crate::explore::{explore, explore_twice, race};
use crate::history::{Recorder, check};
use crate::sequential::{Life, Seen, Sequential, State, What};
use crate::stage::{Kind, Stage, begin, key, task};

/// How many callers there are, and how much each does.
const CALLERS: usize = 3;
const OPERATIONS: usize = 4;

/// Where the callers meet: a key, or an id of its own.
const PLACES: usize = 2;

/// What all callers know.
struct World {
    stage: Stage,
    id: SessionId,
    /// What was seen at each place.
    notes: [Recorder<What>; PLACES],
    /// The sessions that were seen at each place; a life is an index.
    lives: std::sync::Mutex<[Vec<(SessionId, Session)>; PLACES]>,
    /// What became of each input and reply that was told.
    said: std::sync::Mutex<Vec<Said>>,
    /// Names for what is said, and for begins that are refused.
    names: AtomicU64,
}

/// What a caller knows to be in a transcript, or not to be.
struct Said {
    life: (usize, Life),
    text: String,
    is_there: bool,
}

impl World {
    fn name(&self) -> u64 {
        self.names.fetch_add(1, Ordering::Relaxed)
    }

    /// Which life that is.
    fn life(&self, place: usize, session: &Session) -> Life {
        // Before the lock: asking a session is a step, at which somebody else may run.
        let id = session.id().clone();
        let lives = &mut self.lives.lock().unwrap()[place];
        let known = lives.iter().position(|it| it.0 == id);
        let life = known.unwrap_or_else(|| {
            lives.push((id, session.clone()));
            lives.len() - 1
        });
        life.try_into().unwrap()
    }

    fn said(&self, life: (usize, Life), text: String, is_there: bool) {
        self.said.lock().unwrap().push(Said { life, text, is_there });
    }
}

/// One caller.
struct Caller {
    world: Arc<World>,
    sessions: [Option<(Life, Session)>; PLACES],
    turn: Option<Held>,
}

/// A turn that a caller has.
struct Held {
    place: usize,
    life: Life,
    input: String,
    turn: Turn,
}

impl Held {
    fn number(&self) -> u64 {
        self.turn.stream().generation().get()
    }
}

impl Caller {
    /// Does one thing or another.
    async fn act(&mut self) {
        let place = thread_rng().gen_range(0..PLACES);
        let Some((life, session)) = self.sessions[place].clone() else {
            return self.meet(place).await;
        };
        match thread_rng().gen_range(0..16) {
            0 => self.meet(place).await,
            1..=4 if self.turn.is_none() => self.begin(place, life, &session).await,
            1..=3 => self.commit().await,
            4 => self.fail().await,
            5 => self.let_go(),
            6 | 7 => self.stop(place, life, &session),
            8 => self.delete(place, life, &session).await,
            9 | 10 => self.look_up(place, life, &session).await,
            11 | 12 => self.status(place, life, &session),
            13 => drop(self.world.stage.supervisor.open(&key("other")).await.unwrap()),
            14 => drop(self.world.stage.supervisor.prune(false).await.unwrap()),
            _ => self.clear(&session).await,
        }
    }

    /// Opens the key, or creates the id.
    async fn meet(&mut self, place: usize) {
        let (world, supervisor) = (self.world.clone(), &self.world.stage.supervisor);
        let called = world.notes[place].tick();
        let (session, what) = if place == 0 {
            let session = supervisor.open(&key("a")).await.unwrap();
            let life = world.life(place, &session);
            self.look_at_those_before(place, &session).await;
            (Some((life, session)), What::Opened(life))
        } else {
            match supervisor.create_id(&world.id, NewSession::new()).await {
                Ok(session) => {
                    let life = world.life(place, &session);
                    (Some((life, session)), What::Created(life))
                }
                Err(CreateError::Exists { .. }) => (None, What::Exists),
                Err(CreateError::Gone { tombstone, .. }) => {
                    let stage = &self.world.stage;
                    let stored = stage.behind.look_up(&self.world.id, tombstone.at).await.unwrap();
                    assert!(matches!(stored, Found::Gone(_)), "told before it is stored");
                    (None, What::Buried)
                }
                Err(error) => panic!("{error}"),
            }
        };
        world.notes[place].note(called, [what]);
        if session.is_some() {
            self.sessions[place] = session;
        } else if let Lookup::Live(session) = supervisor.look_up(&world.id).await.unwrap() {
            self.sessions[place] = Some((0, session));
        }
    }

    /// A key leads to a session only once the store has the ends of all those before it.
    async fn look_at_those_before(&self, place: usize, session: &Session) {
        let before = |it: &Session| it.incarnation() < session.incarnation();
        let known = self.world.lives.lock().unwrap()[place].clone();
        for (_, older) in known.iter().filter(|(_, it)| before(it)) {
            let stored = self.world.stage.stored(older).await;
            assert!(
                matches!(stored, Found::Gone(_)),
                "the key leads elsewhere before it is stored"
            );
        }
    }

    async fn begin(&mut self, place: usize, life: Life, session: &Session) {
        let notes = &self.world.notes[place];
        let (called, name) = (notes.tick(), self.world.name());
        let input = format!("input {name}");
        let queue = thread_rng().gen_range(0..2) == 0;
        let policy = if queue { BusyPolicy::queue() } else { BusyPolicy::Reject };
        match begin(session, &input, policy).await {
            Ok(turn) => {
                let held = Held { place, life, input, turn };
                notes.note(called, [What::Begun(life, held.number())]);
                self.turn = Some(held);
            }
            Err(BeginError::Busy { holder, .. }) => {
                let holder = holder.stream.generation().get();
                notes.note(called, [What::Busy(life, holder)]);
                self.world.said((place, life), input, false);
            }
            // It may have had the slot before the delete came.
            Err(BeginError::Gone { .. }) => {
                notes.note(called, [What::Started(life, name), What::BeginGone(life)]);
            }
            Err(BeginError::Closing { .. }) => {
                notes.note(called, [What::Started(life, name), What::BeginClosing(life)]);
            }
            Err(BeginError::Cancelled { reason }) => {
                let refused = What::Refused(life, name, reason);
                notes.note(called, [What::Started(life, name), refused]);
            }
            Err(error) => panic!("{error}"),
        }
    }

    async fn commit(&mut self) {
        let Some(held) = self.turn.take() else { return };
        let (place, life, number) = (held.place, held.life, held.number());
        let (notes, reply) = (&self.world.notes[place], format!("reply {}", self.world.name()));
        let called = notes.tick();
        let committed = crate::stage::commit(held.turn, &reply).await;
        self.world.said((place, life), held.input, true);
        match committed {
            CommitOutcome::Committed { seq, .. } => {
                notes.note(called, [What::Committed(life, number, seq)]);
                self.world.said((place, life), reply, true);
            }
            CommitOutcome::Stale { reason } => {
                notes.note(called, [What::Stale(life, number, reason)]);
                self.world.said((place, life), reply, false);
            }
            other => panic!("{other:?}"),
        }
    }

    async fn fail(&mut self) {
        let Some(held) = self.turn.take() else { return };
        let (place, life, number) = (held.place, held.life, held.number());
        let keeps = thread_rng().gen_range(0..2) == 0;
        let fate = if keeps { FailedInput::Keep } else { FailedInput::Drop };
        let notes = &self.world.notes[place];
        let called = notes.tick();
        let told = held.turn.fail(fate).await.unwrap();
        let what = match told {
            Some(reason) => What::Stale(life, number, reason),
            None => What::Ended(life, number),
        };
        notes.note(called, [what]);
        if keeps || told.is_none() {
            self.world.said((place, life), held.input, keeps);
        }
    }

    /// Drops the turn.
    fn let_go(&mut self) {
        let Some(held) = self.turn.take() else { return };
        let (place, life, number) = (held.place, held.life, held.number());
        let notes = &self.world.notes[place];
        let called = notes.tick();
        drop(held.turn);
        notes.note(called, [What::Ended(life, number)]);
        self.world.said((place, life), held.input, true);
    }

    fn stop(&self, place: usize, life: Life, session: &Session) {
        let notes = &self.world.notes[place];
        let called = notes.tick();
        let what = match session.stop() {
            CancelOutcome::Cancelling { streams }
            | CancelOutcome::AlreadyCancelling { streams } => {
                What::Stopped(life, streams.iter().map(|it| it.generation().get()).collect())
            }
            CancelOutcome::NotRunning => What::NotRunning(life),
            other => panic!("{other:?}"),
        };
        notes.note(called, [what]);
    }

    async fn delete(&self, place: usize, life: Life, session: &Session) {
        let notes = &self.world.notes[place];
        let called = notes.tick();
        match session.delete().await.unwrap() {
            DeleteOutcome::Deleted(_) => {
                notes.note(called, [What::DeleteBegan(life), What::DeleteDone(life)]);
            }
            DeleteOutcome::AlreadyGone(_) => notes.note(called, [What::AlreadyGone(life)]),
            other => panic!("{other:?}"),
        }
        let stored = self.world.stage.stored(session).await;
        assert!(matches!(stored, Found::Gone(_)), "told before it is stored");
    }

    async fn look_up(&self, place: usize, life: Life, session: &Session) {
        let notes = &self.world.notes[place];
        let called = notes.tick();
        let seen = match self.world.stage.supervisor.look_up(session.id()).await.unwrap() {
            Lookup::Live(_) => Seen::Live,
            Lookup::Gone(_) => Seen::Gone,
            Lookup::Unknown => panic!("it was there"),
        };
        notes.note(called, [What::Looked(life, seen)]);
    }

    fn status(&self, place: usize, life: Life, session: &Session) {
        let notes = &self.world.notes[place];
        let called = notes.tick();
        let status = session.status();
        let seen = match (status.gone, status.closing) {
            (Some(_), _) => Seen::Gone,
            (None, true) => Seen::Closing,
            (None, false) => Seen::Live,
        };
        let turns = status.turns.iter().map(|turn| turn.stream.generation().get()).collect();
        notes.note(called, [What::Status(life, seen, turns)]);
    }

    async fn clear(&self, session: &Session) {
        let supervisor = &self.world.stage.supervisor;
        if let Found::Live(record) = supervisor.record(session.id()).await.unwrap() {
            drop(supervisor.clear_stale(&record).await.unwrap());
        }
    }
}

/// Some callers do as they like, and then everything is looked at.
async fn model(kind: Kind, fences: bool, bounded: bool) -> Arc<World> {
    let stage = Stage::with(kind, |config| {
        if !fences {
            config.turns.cancel_grace = Duration::from_secs(5);
        }
        config.idle.max_live = usize::from(bounded);
    })
    .await;
    let world = Arc::new(World {
        stage,
        id: "mine".parse().unwrap(),
        notes: [Recorder::new(), Recorder::new()],
        lives: std::sync::Mutex::default(),
        said: std::sync::Mutex::default(),
        names: AtomicU64::new(0),
    });
    race((0..CALLERS).map(|_| {
        let world = world.clone();
        task(async move {
            let mut caller = Caller { world, sessions: [None, None], turn: None };
            for _ in 0..OPERATIONS {
                caller.act().await;
            }
            caller.let_go();
        })
    }))
    .await;
    world.stage.settle().await;
    for notes in &world.notes {
        let events = notes.take();
        if let Err(stuck) = check(&Sequential { fences }, State::default(), &events) {
            let mut events: Vec<_> = events.iter().enumerate().collect();
            events.sort_by_key(|it| it.1.called);
            for (at, event) in events {
                println!("{at:>3}: {:>3} to {:>3}: {:?}", event.called, event.answered, event.what);
            }
            panic!("in no order: {stuck:?}");
        }
    }
    look_at_transcripts(&world).await;
    world
}

/// What was told to be said is there once, and the rest is nowhere.
async fn look_at_transcripts(world: &World) {
    let lives = world.lives.lock().unwrap().clone();
    for (place, sessions) in lives.iter().enumerate() {
        for (life, (_, session)) in sessions.iter().enumerate() {
            let Found::Live(_) = world.stage.stored(session).await else { continue };
            let transcript = crate::stage::said(session).await;
            for said in world.said.lock().unwrap().iter() {
                if said.life == (place, Life::try_from(life).unwrap()) {
                    let times = transcript.iter().filter(|it| **it == said.text).count();
                    let expected = usize::from(said.is_there);
                    assert_eq!(times, expected, "{:?} in {transcript:?}", said.text);
                }
            }
        }
    }
}

/// One of the settings that make a difference.
fn coin() -> bool {
    thread_rng().gen_range(0..2) == 0
}

#[test]
fn whatever_callers_do_at_once_could_have_been_one_after_the_other() {
    explore(300, || async { drop(model(Kind::AtOnce, coin(), coin()).await) });
}

#[test]
fn whatever_callers_do_at_once_could_have_been_one_after_the_other_on_a_store_that_is_awaited() {
    explore(300, || async { drop(model(Kind::Awaited, coin(), coin()).await) });
}

#[test]
fn a_seed_stands_for_one_schedule() {
    // Without actors of sessions: ractor stops those that are left in an order of its own.
    explore_twice(200, || async { drop(model(Kind::AtOnce, coin(), coin()).await) });
}
