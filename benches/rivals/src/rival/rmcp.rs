//! The session manager of rmcp, the MCP server: it creates, knows and closes sessions, and has no turns.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rmcp::transport::WorkerTransport;
use rmcp::transport::streamable_http_server::session::SessionManager;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionWorker,
};

use super::{Key, Rival};

/// What a server keeps of a session while it serves it.
type Transport = WorkerTransport<LocalSessionWorker>;

/// The manager, and the sessions' transports, without which they would end.
#[derive(Clone, Default)]
pub(crate) struct Rmcp {
    manager: Arc<LocalSessionManager>,
    transports: Arc<Mutex<HashMap<Arc<str>, Transport>>>,
}

impl Rival for Rmcp {
    const NAME: &'static str = "rmcp";
    /// It gives the names itself.
    type Name = Arc<str>;
    type Handle = ();

    async fn start() -> Self {
        Self::default()
    }

    async fn create(&self, _: &Key) -> (Arc<str>, ()) {
        let (id, transport) = self.manager.create_session().await.expect("it creates");
        self.transports.lock().insert(id.clone(), transport);
        (id, ())
    }

    async fn look_up(&self, name: &Arc<str>) -> bool {
        self.manager.has_session(name).await.expect("it answers")
    }

    async fn delete(&self, name: &Arc<str>, (): &()) {
        let transport = self.transports.lock().remove(name);
        self.manager.close_session(name).await.expect("it closes");
        drop(transport);
    }

    fn count(&self) -> usize {
        self.manager.sessions.try_read().map_or(0, |sessions| sessions.len())
    }

    async fn stop(self) {
        let ids: Vec<_> = self.transports.lock().keys().cloned().collect();
        for id in ids {
            self.delete(&id, &()).await;
        }
    }
}
