//! What the supervisor is given: clocks that are set, a hook with moods, ids that go on over a restart.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use session_supervisor::testing::CountingIds;
use session_supervisor::{
    Candidate, Clock, HookFuture, IdSource, Moment, Now, PruneHook, Timestamp,
};

use crate::history::Mood;
use crate::model::{Question, Reading};

/// Clocks of one run of the process: both follow tokio's time, and the wall clock can be set.
#[derive(Clone, Debug)]
pub(crate) struct HandClock {
    pub(crate) started: tokio::time::Instant,
    /// What the wall clock shows, less what the other does.
    pub(crate) wall: Arc<AtomicI64>,
}

impl HandClock {
    pub(crate) fn starting_at(wall: i64) -> Self {
        Self { started: tokio::time::Instant::now(), wall: Arc::new(AtomicI64::new(wall)) }
    }

    pub(crate) fn read(&self, run: usize) -> Reading {
        let moment = i64::try_from(self.started.elapsed().as_millis()).unwrap();
        Reading { run, moment, wall: self.wall.load(Ordering::Relaxed) + moment }
    }
}

impl Clock for HandClock {
    fn now(&self) -> Now {
        let Reading { wall, .. } = self.read(0);
        let wall = Timestamp::from_millis(u64::try_from(wall).unwrap());
        Now { moment: Moment::after_start(self.started.elapsed()), wall }
    }
}

/// What the host is asked, and says.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) moods: Mutex<(Mood, Mood)>,
    pub(crate) asked: Mutex<Vec<(Arc<Candidate>, Question, Mood)>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Hook(pub(crate) Arc<Host>);

impl Hook {
    fn ask<T: Send + 'static>(
        &self,
        session: Arc<Candidate>,
        question: Question,
        mood: Mood,
        says: T,
    ) -> HookFuture<T> {
        self.0.asked.lock().unwrap().push((session, question, mood));
        match mood {
            Mood::Well | Mood::Keeps => Box::pin(std::future::ready(Ok(says))),
            Mood::Fails => Box::pin(std::future::ready(Err("nobody is there".into()))),
            // Without a line on the terminal.
            Mood::Panics => Box::pin(async { std::panic::resume_unwind(Box::new("a hook")) }),
            Mood::Hangs => Box::pin(std::future::pending()),
        }
    }
}

impl PruneHook for Hook {
    fn keeps(&self, session: Arc<Candidate>) -> HookFuture<bool> {
        let (mood, _) = *self.0.moods.lock().unwrap();
        self.ask(session, Question::Keeps, mood, mood == Mood::Keeps)
    }

    fn finalize(&self, session: Arc<Candidate>) -> HookFuture<()> {
        let (_, mood) = *self.0.moods.lock().unwrap();
        let mood = if mood == Mood::Keeps { Mood::Well } else { mood };
        self.ask(session, Question::Rites, mood, ())
    }
}

/// Ids that go on over a restart.
#[derive(Debug)]
pub(crate) struct Ids(pub(crate) Arc<CountingIds>);

impl IdSource for Ids {
    fn draw(&self) -> u128 {
        self.0.draw()
    }
}
