//! Which replies are shown: those of the session that is open, one after the other.

use std::collections::{HashMap, VecDeque};

use session_supervisor::{Event, Session, StreamId, Subscription, TurnOutcome};

use crate::asking::{Began, Done};
use crate::left::Place;

/// Which replies are shown.
#[derive(Debug, Default)]
pub(crate) struct Following {
    /// The one that is shown now.
    current: Option<Reader>,
    /// Those that have begun since.
    next: VecDeque<Next>,
    /// What asking came to, where the reply has not been shown to its end.
    done: HashMap<StreamId, Done>,
}

/// A reply that is being shown.
#[derive(Debug)]
struct Reader {
    /// Where its words come from.
    subscription: Subscription,
    /// What it is a reply to.
    text: String,
    /// How its turn ended; nothing comes after that.
    ended: Option<TurnOutcome>,
}

/// A reply that is to be shown in its time.
#[derive(Debug)]
struct Next {
    /// Where its words come from; `None` if there are none to be had.
    subscription: Option<Subscription>,
    /// What it is a reply to.
    text: String,
    /// What stands before it.
    heading: Heading,
}

/// What stands before a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heading {
    /// What it is a reply to, unless that was shown.
    pub(crate) text: Option<String>,
    /// A word about it.
    pub(crate) note: Option<String>,
}

impl Following {
    /// Shows nothing any more; answers what has not been shown to its end, in order.
    pub(crate) fn leave(&mut self) -> VecDeque<Place> {
        let Self { current, next, mut done } = std::mem::take(self);
        let current = current.map(|reader| (reader.subscription, reader.text));
        let next = next.into_iter().filter_map(|next| Some((next.subscription?, next.text)));
        let place = |(subscription, text): (Subscription, String)| Place {
            cursor: subscription.cursor(),
            text,
            done: done.remove(&subscription.stream()),
        };
        current.into_iter().chain(next).map(place).collect()
    }

    /// Shows what came after `places` in a session that is open again. The first is a reply to what is on
    /// the screen.
    pub(crate) fn come_back(&mut self, places: VecDeque<Place>, session: &Session) {
        for (number, place) in places.into_iter().enumerate() {
            let (subscription, note) = place.read_on(session);
            if let (Some(rest), Some(done)) = (&subscription, place.done) {
                self.done.insert(rest.stream(), done);
            }
            let heading = Heading { text: (number > 0).then(|| place.text.clone()), note };
            self.next.push_back(Next { subscription, text: place.text, heading });
        }
    }

    /// A turn has begun, whose reply is to be shown in its time.
    pub(crate) fn begin(&mut self, began: Began) {
        let Began { subscription, text, .. } = began;
        let heading = Heading { text: Some(text.clone()), note: None };
        self.next.push_back(Next { subscription: Some(subscription), text, heading });
    }

    /// Whether a reply is being shown, or one waits for that.
    pub(crate) fn is_showing(&self) -> bool {
        self.current.is_some() || !self.next.is_empty()
    }

    /// Whether this reply is shown, or will be.
    pub(crate) fn shows(&self, stream: StreamId) -> bool {
        let current = self.current.iter().map(|reader| &reader.subscription);
        let next = self.next.iter().filter_map(|next| next.subscription.as_ref());
        current.chain(next).any(|subscription| subscription.stream() == stream)
    }

    /// Asking came to something, and its reply is shown.
    pub(crate) fn note(&mut self, stream: StreamId, done: Done) {
        self.done.insert(stream, done);
    }

    /// What the reply that was shown came to, once all of it was shown and that is known.
    pub(crate) fn finished(&mut self) -> Option<Done> {
        let reader = self.current.as_ref().filter(|reader| reader.ended.is_some())?;
        let done = self.done.remove(&reader.subscription.stream())?;
        self.current = None;
        Some(done)
    }

    /// Shows the reply that has begun next, if none is shown; answers what stands before it.
    pub(crate) fn go_on(&mut self) -> Option<Heading> {
        if self.current.is_some() {
            return None;
        }
        let Next { subscription, text, heading } = self.next.pop_front()?;
        self.current = subscription.map(|subscription| Reader { subscription, text, ended: None });
        Some(heading)
    }

    /// The next event of the reply that is shown.
    pub(crate) async fn next(&mut self) -> Event {
        let Some(reader) = self.current.as_mut().filter(|reader| reader.ended.is_none()) else {
            return std::future::pending().await;
        };
        match reader.subscription.next().await {
            Some(event) => {
                if let Event::Ended(outcome) = event {
                    reader.ended = Some(outcome);
                }
                event
            }
            None => std::future::pending().await,
        }
    }
}
