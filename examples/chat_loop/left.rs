//! Replies of sessions that were left: where reading stopped, so that it goes on from there when the
//! session is opened again.
//!
//! A place is a [`Cursor`] and nothing else of the reply, which goes on without a reader. Coming back, a
//! reply is read strictly after its place; what cannot be had any more is told, not skipped.

use std::collections::{HashMap, VecDeque};

use session_supervisor::{Cursor, RejoinError, Session, SessionId, Subscription, Unreadable};

use crate::asking::{Began, Done, Ended};
use crate::words::{count, shorten};

/// How many characters of what the user said a message about its reply repeats.
const QUOTED: usize = 40;

/// A reply that was not shown to its end.
#[derive(Debug)]
pub(crate) struct Place {
    /// How far it was shown.
    pub(crate) cursor: Cursor,
    /// What it is a reply to.
    pub(crate) text: String,
    /// What it came to, if that is known.
    pub(crate) done: Option<Done>,
}

impl Place {
    /// Before the first word of a reply.
    pub(crate) fn start_of(began: Began) -> Self {
        Self { cursor: began.subscription.cursor(), text: began.text, done: None }
    }

    /// The rest of the reply, as far as it can be had; and what is missing before it.
    pub(crate) fn read_on(&self, session: &Session) -> (Option<Subscription>, Option<String>) {
        let error = match session.rejoin(self.cursor) {
            Ok(rest) => return (Some(rest), None),
            Err(error) => error,
        };
        let stream = self.cursor.stream();
        let rest = error.go_on.filter(|cursor| cursor.stream() == stream).and_then(|cursor| {
            // If that place is gone by now, too, its reader is told how much was missed.
            session.rejoin(cursor).ok().or_else(|| session.subscribe_to(stream))
        });
        (rest, self.gap(&error))
    }

    /// What stands before the first word of the rest.
    pub(crate) fn lead(&self, rest: &Subscription) -> Option<&'static str> {
        let lead = match rest.outcome() {
            None => "the reply goes on where you left it",
            Some(_) => "the rest of the reply",
        };
        (self.cursor.seq() > 0).then_some(lead)
    }

    /// Whether it is known that there is no whole reply.
    fn failed(&self) -> bool {
        self.done.as_ref().is_some_and(|done| !matches!(done.result, Ok(Ended::Committed)))
    }

    /// What is missing between this place and what can be read.
    fn gap(&self, error: &RejoinError) -> Option<String> {
        let quoted = shorten(&self.text, QUOTED);
        match error.reason {
            Unreadable::Evicted { missed } => {
                let missed = count(missed, "piece", "pieces");
                Some(format!(
                    "{missed} of the reply to “{quoted}” came meanwhile and cannot be shown; \
                     /history has it when it is finished"
                ))
            }
            // Before the first word there may never have been one. What it came to says so.
            _ if self.cursor.seq() == 0 && self.failed() => None,
            reason => Some(format!(
                "the rest of the reply to “{quoted}” cannot be shown as it was said: {reason}; \
                 /history has it"
            )),
        }
    }
}

/// The sessions that were left in the middle of a reply.
#[derive(Debug, Default)]
pub(crate) struct Left(HashMap<SessionId, VecDeque<Place>>);

impl Left {
    /// A session is left at these places.
    pub(crate) fn leave(&mut self, session: &SessionId, places: VecDeque<Place>) {
        if !places.is_empty() {
            self.0.insert(session.clone(), places);
        }
    }

    /// A turn has begun in a session that was left: a line that had waited there.
    pub(crate) fn begin(&mut self, began: Began) {
        self.0.entry(began.session.clone()).or_default().push_back(Place::start_of(began));
    }

    /// Asking came to something in a session that was left.
    pub(crate) fn note(&mut self, done: Done) {
        let places = self.0.get_mut(&done.session).into_iter().flatten();
        let mut of_it = places.filter(|place| Some(place.cursor.stream()) == done.stream);
        if let Some(place) = of_it.next() {
            place.done = Some(done);
        }
    }

    /// A session was deleted.
    pub(crate) fn forget(&mut self, session: &SessionId) {
        self.0.remove(session);
    }

    /// Somebody is back: what has not been shown, in order.
    pub(crate) fn come_back(&mut self, session: &SessionId) -> VecDeque<Place> {
        self.0.remove(session).unwrap_or_default()
    }
}
