//! Who tells those that wait for a permit that they have one, or that their wait is over.

use super::{Capacity, Permit, Waiter};
use crate::clock::Moment;
use crate::engine::Engine;
use crate::limit::{Place, Shortage};
use crate::rt::{self, Arc, Weak, oneshot};
use crate::state::Taken;

/// What somebody who waits is to be told.
struct News {
    /// Who.
    waiter: Waiter,
    /// In which place.
    place: Place,
    /// What.
    what: Result<Permit, Shortage>,
}

/// Tells whoever is to be told something, and sleeps as long as that is nobody.
///
/// Each is told in a task of its own, so that a store that panics keeps nobody else waiting.
pub(crate) async fn run(capacity: Arc<Capacity>, engine: Weak<Engine>) {
    loop {
        let Some(strong) = engine.upgrade() else { return };
        let now = strong.now();
        while let Some(news) = capacity.next_news(now.moment) {
            drop(strong.spawner.spawn(async move { news.tell() }));
        }
        drop(strong);
        let deadline = capacity.permits.lock().next_deadline();
        let stirred = capacity.stirred.notified();
        match deadline {
            Some(at) => drop(rt::timeout(at.since(now.moment), stirred).await),
            None => stirred.await,
        }
    }
}

impl Capacity {
    /// What is to be told next at `now`.
    fn next_news(self: &Arc<Self>, now: Moment) -> Option<News> {
        let mut permits = self.permits.lock();
        if let Some((place, class, waiter)) = permits.next_granted() {
            let what = Ok(self.permit(&class, now));
            return Some(News { waiter, place, what });
        }
        let (place, class, waiter) = permits.next_overdue(now)?;
        let what = Err(self.shortage(&permits, &class));
        Some(News { waiter, place, what })
    }

    /// A permit for a turn of a session that is not created yet, after `limits.turn_wait` at most; `None`
    /// if none is needed.
    ///
    /// Dropped, the place is given up, and a permit that was granted goes back.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        class: &str,
        engine: &Engine,
    ) -> Result<Option<Permit>, Option<Shortage>> {
        if !self.is_gated() {
            return Ok(None);
        }
        let class: Arc<str> = class.into();
        let (sender, receiver) = oneshot::channel();
        let place = match self.take(&class, false, engine.now().moment, || Waiter::Caller(sender)) {
            Taken::Permit(permit) => return Ok(permit),
            Taken::Short(shortage) => return Err(Some(shortage)),
            Taken::Waits(place) => CallerPlace { capacity: self, place },
        };
        let answer = receiver.await;
        drop(place);
        match answer {
            Ok(permit) => Ok(Some(permit)),
            Err(_) if engine.is_draining() => Err(None),
            Err(_) => Err(Some(self.shortage(&self.permits.lock(), &class))),
        }
    }
}

/// The place of a caller; given up when dropped.
struct CallerPlace<'a> {
    /// Where.
    capacity: &'a Arc<Capacity>,
    /// Which.
    place: Place,
}

impl Drop for CallerPlace<'_> {
    fn drop(&mut self) {
        self.capacity.leave(self.place);
    }
}

impl News {
    /// Tells it. If nobody is there any more, a permit goes back.
    fn tell(self) {
        let Self { waiter, place, what } = self;
        match (waiter, what) {
            (Waiter::Session(session), what) => {
                let Some(session) = session.upgrade() else { return };
                match what {
                    Ok(permit) => session.granted(place, permit),
                    Err(shortage) => session.not_granted(place, shortage),
                }
            }
            (Waiter::Caller(caller), Ok(permit)) => drop(caller.send(permit)),
            // It finds its channel closed.
            (Waiter::Caller(caller), Err(_)) => drop(caller),
        }
    }
}
