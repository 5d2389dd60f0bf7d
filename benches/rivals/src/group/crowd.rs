//! A rival with its sessions.

use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::measure::in_task;
use crate::rival::{Key, Rival, Turns, committed, create_all};

/// A rival and a session for each of some keys.
pub(crate) struct Crowd<R: Rival> {
    pub(crate) rival: R,
    pub(crate) names: Arc<Vec<R::Name>>,
    pub(crate) handles: Arc<Vec<R::Handle>>,
}

impl<R: Rival> Clone for Crowd<R> {
    fn clone(&self) -> Self {
        let (names, handles) = (self.names.clone(), self.handles.clone());
        Self { rival: self.rival.clone(), names, handles }
    }
}

impl<R: Rival> Crowd<R> {
    /// Starts one, and creates its sessions.
    pub(crate) fn of(runtime: &Runtime, keys: &Arc<Vec<Key>>) -> Self {
        let keys = keys.clone();
        let (rival, (names, handles)) = in_task(runtime, async move {
            let rival = R::start().await;
            let created = create_all(&rival, &keys).await;
            assert_eq!(rival.count(), keys.len(), "{}", R::NAME);
            (rival, created)
        });
        Self { rival, names: Arc::new(names), handles: Arc::new(handles) }
    }

    /// Ends it.
    pub(crate) fn stop(self, runtime: &Runtime) {
        drop((self.names, self.handles));
        in_task(runtime, self.rival.stop());
    }
}

impl<R: Turns> Crowd<R> {
    /// Fails unless so many turns were committed, and ends it.
    pub(crate) fn stop_after(self, runtime: &Runtime, turns: u64) {
        let (rival, handles) = (self.rival.clone(), self.handles.clone());
        let found = in_task(runtime, async move { committed(&rival, &handles).await });
        assert_eq!(found, turns, "{}: as many turns as were measured", R::NAME);
        self.stop(runtime);
    }
}
