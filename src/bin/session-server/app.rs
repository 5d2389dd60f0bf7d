//! What every handler has at hand.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use session_supervisor::{Supervisor, SystemClock};
use tokio_util::task::TaskTracker;

use crate::records::Exchange;
use crate::settings::Settings;
use crate::upstream::Upstream;

/// What every handler has at hand. Clones are the same.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

/// What the clones share.
pub(crate) struct Inner {
    /// The sessions.
    pub(crate) supervisor: Supervisor<Exchange>,
    /// Who answers.
    pub(crate) upstream: Upstream,
    /// What counts.
    pub(crate) settings: Settings,
    /// The tasks of turns. A turn that was deleted goes on in one, and is waited for at the end.
    pub(crate) turns: TaskTracker,
    /// Measures how long answers take.
    pub(crate) clock: SystemClock,
    /// What is told to `/metrics`.
    pub(crate) metrics: PrometheusHandle,
}

impl App {
    /// Of its parts.
    pub(crate) fn new(
        supervisor: Supervisor<Exchange>,
        upstream: Upstream,
        settings: Settings,
        metrics: PrometheusHandle,
    ) -> Self {
        let (turns, clock) = (TaskTracker::new(), SystemClock::new());
        Self(Arc::new(Inner { supervisor, upstream, settings, turns, clock, metrics }))
    }
}

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
