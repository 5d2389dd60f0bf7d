//! Which replies are shown: those of the session that is open, one after the other.

use std::collections::{HashMap, VecDeque};

use session_supervisor::{Cursor, Event, Session, StreamId, Subscription, TurnOutcome};

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
    /// What stands before the first word that is shown.
    lead: Option<&'static str>,
    /// How its turn ended; nothing comes after that.
    ended: Option<TurnOutcome>,
}

/// A reply that is to be shown in its time.
#[derive(Debug)]
struct Next {
    /// How far it was shown before. What is missing after that is told when it is shown.
    from: Cursor,
    /// Where its words come from; `None` if there are none to be had.
    subscription: Option<Subscription>,
    /// What it is a reply to.
    text: String,
    /// What stands before it.
    heading: Heading,
    /// What stands before its first word, if there is one.
    lead: Option<&'static str>,
}

/// What stands before a reply.
#[derive(Debug, Default)]
pub(crate) struct Heading {
    /// What it is a reply to, unless that was shown.
    pub(crate) text: Option<String>,
    /// What is missing of it.
    pub(crate) gap: Option<String>,
    /// What it came to, if there are no words of it.
    pub(crate) done: Option<Done>,
}

impl Following {
    /// Shows nothing any more; answers what has not been shown to its end, in order.
    pub(crate) fn leave(&mut self) -> VecDeque<Place> {
        let Self { current, next, mut done } = std::mem::take(self);
        let current = current.map(|reader| (reader.subscription.cursor(), reader.text, None));
        let next = next.into_iter().map(|next| (next.from, next.text, next.heading.done));
        let place = |(cursor, text, over): (Cursor, String, Option<Done>)| {
            let done = over.or_else(|| done.remove(&cursor.stream()));
            Place { cursor, text, done }
        };
        current.into_iter().chain(next).map(place).collect()
    }

    /// Shows what came after `places` in a session that is open again. The first is a reply to what is on
    /// the screen.
    pub(crate) fn come_back(&mut self, places: VecDeque<Place>, session: &Session) {
        for (number, place) in places.into_iter().enumerate() {
            let (subscription, gap) = place.read_on(session);
            let lead =
                subscription.as_ref().filter(|_| gap.is_none()).and_then(|rest| place.lead(rest));
            let Place { cursor: from, text, done } = place;
            let mut heading = Heading { text: (number > 0).then(|| text.clone()), gap, done };
            if subscription.is_some() {
                self.done.extend(heading.done.take().map(|done| (from.stream(), done)));
            }
            self.next.push_back(Next { from, subscription, text, heading, lead });
        }
    }

    /// A turn has begun, whose reply is to be shown in its time.
    pub(crate) fn begin(&mut self, began: Began) {
        let Began { subscription, text, .. } = began;
        let heading = Heading { text: Some(text.clone()), ..Heading::default() };
        let (from, subscription) = (subscription.cursor(), Some(subscription));
        self.next.push_back(Next { from, subscription, text, heading, lead: None });
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
        let Next { subscription, text, heading, lead, .. } = self.next.pop_front()?;
        self.current =
            subscription.map(|subscription| Reader { subscription, text, lead, ended: None });
        Some(heading)
    }

    /// What is to be told before the first word that is shown, once.
    pub(crate) fn lead(&mut self) -> Option<&'static str> {
        self.current.as_mut()?.lead.take()
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
