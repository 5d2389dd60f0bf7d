//! Which replies are shown: those of the session that is open, one after the other.

use std::collections::{HashMap, VecDeque};

use session_supervisor::{Event, StreamId, Subscription, TurnOutcome};

use crate::asking::{Began, Done};

/// Which replies are shown.
#[derive(Debug, Default)]
pub(crate) struct Following {
    /// The one that is shown now.
    current: Option<Reader>,
    /// Those that have begun since.
    next: VecDeque<Began>,
    /// What asking came to, where the reply has not been shown to its end.
    done: HashMap<StreamId, Done>,
}

/// A reply that is being shown.
#[derive(Debug)]
struct Reader {
    /// Where its words come from.
    subscription: Subscription,
    /// How its turn ended; nothing comes after that.
    ended: Option<TurnOutcome>,
}

impl Following {
    /// Shows a reply from the oldest word that is kept.
    pub(crate) fn attach(&mut self, subscription: Subscription) {
        self.current = Some(Reader { subscription, ended: None });
    }

    /// Shows nothing any more.
    pub(crate) fn detach(&mut self) {
        *self = Self::default();
    }

    /// A turn has begun, whose reply is to be shown in its time.
    pub(crate) fn begin(&mut self, began: Began) {
        let stream = began.subscription.stream();
        if self.current.as_ref().is_some_and(|reader| reader.subscription.stream() == stream) {
            return;
        }
        self.next.push_back(began);
    }

    /// Whether a reply is being shown, or one waits for that.
    pub(crate) fn is_showing(&self) -> bool {
        self.current.is_some() || !self.next.is_empty()
    }

    /// Whether this reply is shown, or will be.
    pub(crate) fn shows(&self, stream: StreamId) -> bool {
        let current = self.current.iter().map(|reader| &reader.subscription);
        let next = self.next.iter().map(|began| &began.subscription);
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

    /// Shows the reply that has begun next, if none is shown; answers what it is a reply to.
    pub(crate) fn go_on(&mut self) -> Option<String> {
        if self.current.is_some() {
            return None;
        }
        let Began { subscription, text, .. } = self.next.pop_front()?;
        self.attach(subscription);
        Some(text)
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
