//! The loop: what is typed, what is replied, and what asks from outside.

use std::collections::VecDeque;
use std::error::Error;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use session_supervisor::{
    BeginError, BusyPolicy, CancelReason, Event, Session, SessionId, SessionKey, Supervisor,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::asking::{AskError, Began, Done, Ended, ask};
use crate::command::Command;
use crate::editor::Edited;
use crate::flags::MAX_WAITING;
use crate::following::Following;
use crate::input::{self, Input};
use crate::left::Left;
use crate::responder::Responder;
use crate::screen::Screen;
use crate::sessions::short;
use crate::signals::{Signal, Signals};
use crate::words::{chain, count, shorten};

/// How many turns may have begun without the loop having seen it.
const MAX_NEWS: usize = 16;

/// How long replies may go on after `kill`.
const TERMINATE_DEADLINE: Duration = Duration::from_secs(2);

/// How many characters of a line a message about it repeats.
const QUOTED: usize = 40;

/// Everything that the loop works with.
pub(crate) struct Chat {
    /// Who owns the conversations.
    pub(crate) supervisor: Supervisor,
    /// Who talks here.
    pub(crate) key: SessionKey,
    /// The session that is open.
    pub(crate) session: Session,
    /// What the user sees.
    pub(crate) screen: Screen,
    /// Which replies are shown.
    pub(crate) following: Following,
    /// What has not been shown of the replies of other sessions.
    pub(crate) left: Left,
    /// How many turns are to be done over once the one that runs has ended.
    pub(crate) again: Option<usize>,
    /// The sessions as they were listed last, so that their numbers keep their meaning.
    pub(crate) listed: Vec<SessionId>,
    /// What happens with a line while a reply runs.
    policy: BusyPolicy,
    /// Who replies.
    pub(crate) responder: Arc<Responder>,
    /// What was said and has no outcome yet.
    asking: JoinSet<Done>,
    /// For those who ask: tells that a turn has begun.
    news: mpsc::Sender<Began>,
    /// The other end.
    began: mpsc::Receiver<Began>,
    /// What is told once the reply that is shown is over: that lines which waited were dropped.
    later: Vec<Done>,
    /// Commands that wait: those of a script until what was said before is answered, others until the
    /// last turns are done over.
    held: VecDeque<Command>,
    /// Whether the next Ctrl-C leaves.
    interrupted: bool,
    /// Whether nothing more comes, so that the chat is over once nothing runs.
    pub(crate) ending: bool,
}

/// What wakes the loop.
enum Wake {
    /// From outside.
    Signal(Signal),
    /// Something was typed.
    Input(Input),
    /// A turn has begun.
    Began(Began),
    /// Of the reply that is shown.
    Reply(Event),
    /// Asking came to something.
    Done(Result<Done, tokio::task::JoinError>),
}

/// How the chat is left.
pub(crate) enum Leave {
    /// Not at all.
    Stay,
    /// What runs has so long to finish.
    Within(Duration),
}

impl Chat {
    /// Opens the session of `key`.
    pub(crate) async fn new(
        supervisor: Supervisor,
        key: SessionKey,
        policy: BusyPolicy,
        responder: Responder,
        screen: Screen,
    ) -> Result<Self, Box<dyn Error>> {
        let session = supervisor.open(&key).await?;
        let (news, began) = mpsc::channel(MAX_NEWS);
        let mut chat = Self {
            supervisor,
            key,
            session,
            screen,
            following: Following::default(),
            left: Left::default(),
            again: None,
            listed: Vec::new(),
            policy,
            responder: Arc::new(responder),
            asking: JoinSet::new(),
            news,
            began,
            later: Vec::new(),
            held: VecDeque::new(),
            interrupted: false,
            ending: false,
        };
        chat.welcome().await?;
        Ok(chat)
    }

    /// Chats until somebody leaves.
    pub(crate) async fn run(mut self) -> Result<(), Box<dyn Error>> {
        let mut signals = Signals::new()?;
        let mut input = input::start(self.screen.is_terminal());
        loop {
            if let Some(turns) = self.may_do_over() {
                self.do_over(turns).await;
                self.show_next();
                continue;
            }
            let free = self.again.is_none() && (self.is_quiet() || !self.is_in_order());
            if free && let Some(command) = self.held.pop_front() {
                self.perform(command).await;
                self.show_next();
                continue;
            }
            if self.ending && self.is_quiet() {
                return self.leave(Duration::ZERO).await;
            }
            let wake = tokio::select! {
                biased;
                signal = signals.next() => Wake::Signal(signal),
                Some(input) = input.recv(), if self.has_room() => Wake::Input(input),
                Some(began) = self.began.recv() => Wake::Began(began),
                event = self.following.next() => Wake::Reply(event),
                Some(done) = self.asking.join_next() => Wake::Done(done),
            };
            match self.handle(wake).await {
                Leave::Stay if self.screen.is_gone() => return self.leave(Duration::ZERO).await,
                Leave::Stay => {}
                Leave::Within(deadline) => return self.leave(deadline).await,
            }
        }
    }

    /// Deals with one thing.
    async fn handle(&mut self, wake: Wake) -> Leave {
        match wake {
            Wake::Signal(Signal::Interrupt) => return self.interrupt(),
            Wake::Signal(Signal::Terminate) => return Leave::Within(TERMINATE_DEADLINE),
            // Nobody is left to read the rest.
            Wake::Signal(Signal::HangUp) => return Leave::Within(Duration::ZERO),
            Wake::Input(Input::End) => self.end(),
            Wake::Input(Input::Line(line)) => self.line(&line).await,
            Wake::Input(Input::Event(event)) => match self.screen.event(event) {
                Some(Edited::Interrupt) => return self.interrupt(),
                Some(Edited::Line(line)) => self.line(&line).await,
                Some(Edited::End) => self.end(),
                Some(Edited::Typed | Edited::Clear) => self.interrupted = false,
                None => {}
            },
            Wake::Began(began) => self.has_begun(began),
            Wake::Reply(event) => self.reply(&event),
            Wake::Done(Ok(done)) => self.done(done),
            Wake::Done(Err(error)) => self.screen.warn(&chain(&error)),
        }
        self.show_next();
        Leave::Stay
    }

    /// Takes a line.
    async fn line(&mut self, line: &str) {
        self.interrupted = false;
        let command = Command::parse(line);
        if self.must_wait(&command) {
            self.held.push_back(command);
        } else {
            self.perform(command).await;
        }
    }

    /// Whether everything that was said is answered, and every answer shown.
    fn is_quiet(&self) -> bool {
        self.asking.is_empty() && !self.following.is_showing()
    }

    /// Whether more is read. A script may be faster than any reply; a person is heard always.
    fn has_room(&self) -> bool {
        self.screen.is_terminal() || self.asking.len() + self.held.len() < MAX_WAITING
    }

    /// Whether commands wait for what was said before. A script hands over its lines at once and
    /// means them one after the other; a person means now.
    fn is_in_order(&self) -> bool {
        matches!(self.policy, BusyPolicy::Queue { .. }) && !self.screen.is_terminal()
    }

    /// Whether a command waits.
    fn must_wait(&self, command: &Command) -> bool {
        // What is to be done over is done over before anything else is begun.
        let behind = self.again.is_some() || !self.held.is_empty();
        // What is said waits inside the session; only behind a held command it has to wait here.
        let said = matches!(command, Command::Say(_));
        let busy = self.is_in_order() && !self.is_quiet() && !said;
        (behind || busy) && !command.is_urgent()
    }

    /// Says something to the bot.
    pub(crate) async fn say(&mut self, text: String) {
        let busy = self.session.status().is_busy();
        match self.policy {
            _ if !busy => self.screen.said(&text),
            BusyPolicy::Queue { .. } => self.screen.waits(&text),
            // It is repeated in a moment: where its reply begins, or as one that was refused.
            _ => {}
        }
        let (session, responder) = (self.session.clone(), self.responder.clone());
        let asked = ask(session, text, self.policy, responder, self.news.clone());
        let mut asked = Box::pin(asked);
        // A begin takes its place in the queue when it is polled first. Done here and not in the
        // task, lines are answered in the order in which they were typed.
        match poll_fn(|context| Poll::Ready(asked.as_mut().poll(context))).await {
            Poll::Ready(done) => self.done(done),
            Poll::Pending => self.spawn(asked),
        }
    }

    /// Lets a turn go on beside the loop.
    pub(crate) fn spawn(&mut self, asked: impl Future<Output = Done> + Send + 'static) {
        self.asking.spawn(asked);
    }

    /// A turn has begun, here or in a session that was left.
    pub(crate) fn has_begun(&mut self, began: Began) {
        if began.session == *self.session.id() {
            self.following.begin(began);
        } else {
            self.left.begin(began);
        }
    }

    /// Shows an event of a reply.
    fn reply(&mut self, event: &Event) {
        match event {
            Event::Chunk { chunk, .. } => {
                if let Some(lead) = self.following.lead() {
                    self.screen.note(lead);
                }
                self.screen.reply(chunk.as_str());
            }
            Event::Lagged { missed } => {
                let missed = count(*missed, "piece", "pieces");
                self.screen.note(&format!(
                    "{missed} of this reply came too fast to be shown; /history has it"
                ));
            }
            // What it came to is told when that is known.
            _ => self.screen.end_reply(),
        }
    }

    /// Asking came to something.
    fn done(&mut self, done: Done) {
        // Whoever is done had begun, and said so before.
        while let Ok(began) = self.began.try_recv() {
            self.has_begun(began);
        }
        match done.stream {
            Some(stream) if self.following.shows(stream) => self.following.note(stream, done),
            None if self.following.is_showing() && done.was_dropped() => self.later.push(done),
            _ => {
                self.tell(&done);
                self.left.note(done);
            }
        }
    }

    /// Ends what has been shown to its end, and shows what comes next.
    fn show_next(&mut self) {
        loop {
            while let Some(done) = self.following.finished() {
                self.tell(&done);
            }
            if !self.following.is_showing() {
                for done in std::mem::take(&mut self.later) {
                    self.tell(&done);
                }
            }
            let Some(heading) = self.following.go_on() else { break };
            if let Some(text) = heading.text {
                self.screen.begin_reply(&text);
            }
            if let Some(gap) = heading.gap {
                self.screen.warn(&gap);
            }
            if let Some(done) = heading.done {
                self.tell(&done);
            }
        }
        self.screen.busy(self.session.status().is_busy());
    }

    /// Tells what asking came to, where the reply does not tell it.
    fn tell(&mut self, done: &Done) {
        let quoted = shorten(&done.text, QUOTED);
        let elsewhere = done.session != *self.session.id();
        let place =
            if elsewhere { format!("session {}: ", short(&done.session)) } else { String::new() };
        match &done.result {
            Ok(Ended::Committed) if elsewhere => {
                self.screen.note(&format!("{place}the reply to “{quoted}” is there"));
            }
            Ok(Ended::Committed) => {}
            Ok(Ended::Told(CancelReason::Stopped)) if !elsewhere && self.again.is_some() => {
                self.screen.note("stopped, to be done over");
            }
            Ok(Ended::Told(reason)) => {
                let what = told(*reason);
                self.screen.note(&format!("{place}{what}"));
            }
            Err(_) if done.was_dropped() => {
                self.screen.note(&format!("{place}dropped before it was answered: “{quoted}”"));
            }
            Err(AskError::Begin(BeginError::Busy { .. })) => {
                let hint = "a reply is running, so this was not taken; wait, or /stop";
                self.screen.warn(&format!("{place}{hint}: “{quoted}”"));
            }
            Err(error) => {
                let kept = if done.stream.is_some() {
                    "; what you said is kept, and /retry asks again"
                } else {
                    ""
                };
                self.screen.warn(&format!("{place}no reply: {}{kept}", chain(error)));
            }
        }
    }

    /// Nothing more is typed.
    pub(crate) fn end(&mut self) {
        self.ending = true;
        if self.screen.is_terminal() && !self.asking.is_empty() {
            self.screen.note("leaving when the reply is finished; Ctrl-C leaves now");
            self.interrupted = true;
        }
    }

    /// Ctrl-C: stops what runs; the second one leaves.
    fn interrupt(&mut self) -> Leave {
        if std::mem::replace(&mut self.interrupted, true) {
            return Leave::Within(Duration::ZERO);
        }
        self.held.clear();
        self.again = None;
        if self.session.status().is_busy() {
            // Its end tells the rest.
            drop(self.session.stop());
        } else if self.screen.clear_line() {
            self.interrupted = false;
        } else {
            self.screen.note("Ctrl-C again leaves, and so do Ctrl-D and /quit");
        }
        Leave::Stay
    }

    /// Ends in good order. What still runs after `deadline` is cut off.
    async fn leave(mut self, deadline: Duration) -> Result<(), Box<dyn Error>> {
        let supervisor = self.supervisor.clone();
        let mut shutdown = std::pin::pin!(supervisor.shutdown(deadline));
        let report = loop {
            tokio::select! {
                report = &mut shutdown => break report?,
                event = self.following.next() => self.reply(&event),
            }
        };
        self.screen.end_reply();
        if report.told > 0 {
            let cut = count(report.told as u64, "reply was", "replies were");
            self.screen.note(&format!("{cut} cut off; what you said is kept, marked unanswered"));
        }
        if !report.clean {
            self.screen.warn("not everything had ended in time");
        }
        Ok(())
    }
}

/// How a reply ended that was told to.
fn told(reason: CancelReason) -> String {
    match reason {
        CancelReason::Stopped => "stopped; /retry does it over".to_owned(),
        CancelReason::Reset => "cut off by /new; /retry does it over".to_owned(),
        CancelReason::Preempted => "interrupted by what was said next".to_owned(),
        CancelReason::Deleted => "the session was deleted, and this reply with it".to_owned(),
        reason => format!("the reply ended: {reason}"),
    }
}
