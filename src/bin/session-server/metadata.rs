//! What is told of a session beside its records. Telling it loads nothing and counts as no use.

use serde::Serialize;
use session_supervisor::{
    Fate, Inspection, KeptBy, LeaseInfo, Record, SessionId, SessionStatus, StreamId, TurnPhase,
};

use crate::app::App;
use crate::error::ApiError;
use crate::ids::Named;
use crate::records::seconds;

/// What is told of a session beside its records.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Metadata {
    /// Which.
    session_id: String,
    /// `active`, `suspended`, `archived` or `ended`; `unknown` where a chat would create it.
    state: &'static str,
    /// The turn that was begun last and runs.
    active_stream: Option<String>,
    /// What that is doing: `starting`, `running` or `cancelling`. If there is none, `storing` until what has ended is
    /// stored, and then `idle`.
    phase: String,
    /// How many turns wait.
    queued: usize,
    /// Work beside the turns for which it is kept.
    leases: Vec<LeaseBody>,
    /// What keeps it from being deleted when its time is over.
    kept_by: Vec<&'static str>,
    /// When it was created, in seconds since 1970.
    created_at: Option<f64>,
    /// When it was used last, in seconds since 1970.
    last_activity: Option<f64>,
    /// The key under which it was created.
    key: Option<String>,
    /// Counts the changes of its records.
    version: u64,
}

/// Work beside the turns.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct LeaseBody {
    /// What it is for.
    purpose: String,
    /// When it was taken, in seconds since 1970.
    since: f64,
    /// When it is over, in seconds since 1970.
    until: f64,
}

impl Metadata {
    /// Of the session that a path names.
    pub(crate) async fn of(app: &App, named: &Named) -> Result<Self, ApiError> {
        let Named { id, session: Some(session) } = named else {
            return Ok(Self::unknown(&named.id));
        };
        let explained = app.supervisor.explain(id).await.map_err(|error| ApiError::read(&error))?;
        let explained = explained.filter(|it| it.incarnation == session.incarnation());
        if explained.as_ref().is_none_or(|it| matches!(it.fate, Fate::Ends { .. })) {
            // It went while it was looked at, and this says how; or its time is over and nobody has come for it yet, and
            // this ends it.
            let record = session.record().await;
            record.map_err(|error| ApiError::session(&app.settings, id, &error))?;
        }
        let explained = explained.ok_or_else(|| ApiError::gone(&app.settings, id, None))?;
        let status = session.status();
        let (active_stream, phase) = running(&status);
        Ok(Self {
            session_id: id.to_string(),
            state: explained.standing.as_str(),
            active_stream,
            phase,
            queued: status.queued,
            leases: session.leases().into_iter().map(LeaseBody::from).collect(),
            kept_by: explained.kept_by.into_iter().filter_map(kept_by).collect(),
            created_at: Some(seconds(session.created_at())),
            last_activity: Some(seconds(status.last_active_at)),
            key: session.key().map(ToString::to_string),
            version: status.version,
        })
    }

    /// Of a session in a listing: as it is stored, and what is happening in it if it is loaded.
    pub(crate) fn listed(app: &App, record: &Record) -> Self {
        let loaded = app.supervisor.inspect(&record.id);
        let loaded = loaded.filter(|loaded| loaded.incarnation == record.incarnation);
        let (active_stream, phase) =
            loaded.as_ref().map_or((None, "idle".to_owned()), |loaded| running(&loaded.status));
        let pinned = record.pinned.then_some("pinned");
        let kept =
            loaded.iter().flat_map(|loaded| loaded.kept_by.iter().copied().filter_map(kept_by));
        let leases =
            |loaded: &Inspection| loaded.leases.iter().cloned().map(LeaseBody::from).collect();
        Self {
            session_id: record.id.to_string(),
            state: record.standing.as_str(),
            active_stream,
            phase,
            queued: loaded.as_ref().map_or(0, |loaded| loaded.status.queued),
            leases: loaded.as_ref().map(leases).unwrap_or_default(),
            kept_by: kept.chain(pinned).collect(),
            created_at: Some(seconds(record.created_at)),
            last_activity: Some(seconds(record.last_active_at)),
            key: record.key.as_ref().map(ToString::to_string),
            version: record.version,
        }
    }

    /// Of a session that a chat would create.
    fn unknown(id: &SessionId) -> Self {
        Self {
            session_id: id.to_string(),
            state: "unknown",
            active_stream: None,
            phase: "idle".to_owned(),
            queued: 0,
            leases: Vec::new(),
            kept_by: Vec::new(),
            created_at: None,
            last_activity: None,
            key: None,
            version: 0,
        }
    }
}

/// The turn that was begun last and runs, and what it is doing.
fn running(status: &SessionStatus) -> (Option<String>, String) {
    let last: Option<(StreamId, TurnPhase)> =
        status.turns.last().map(|turn| (turn.stream, turn.phase));
    match last {
        Some((stream, phase)) => (Some(stream.to_string()), phase.to_string()),
        None if status.unwritten > 0 => (None, "storing".to_owned()),
        None => (None, "idle".to_owned()),
    }
}

/// The name of what keeps a session; none for what keeps it in memory only.
fn kept_by(kept_by: KeptBy) -> Option<&'static str> {
    Some(match kept_by {
        KeptBy::Closing => "deleting",
        KeptBy::Turn => "turn",
        KeptBy::Waiting => "queue",
        KeptBy::Unwritten => "write",
        KeptBy::Fenced => "fenced_turn",
        KeptBy::Leased => "lease",
        KeptBy::Pinned => "pinned",
        _ => return None,
    })
}

impl From<LeaseInfo> for LeaseBody {
    fn from(lease: LeaseInfo) -> Self {
        let (since, until) = (seconds(lease.since), seconds(lease.until));
        Self { purpose: lease.purpose, since, until }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use session_supervisor::{MemoryStore, NewSession, Supervisor};

    use super::*;
    use crate::settings::Settings;
    use crate::upstream::Upstream;

    #[tokio::test]
    async fn what_went_while_it_was_looked_at_is_told_as_what_is_gone() {
        let said = "upstream = \"http://127.0.0.1:1\"\ngone = 410";
        let settings = Settings::new(toml::from_str(said).unwrap()).unwrap();
        let supervisor = Supervisor::builder().store(MemoryStore::new()).start().await.unwrap();
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let upstream = Upstream::new(&settings).unwrap();
        let app = App::new(supervisor, upstream, settings, metrics);
        let id = SessionId::new("looked-at").unwrap();
        let session = app.supervisor.create_id(&id, NewSession::new()).await.unwrap();
        let named = Named { id, session: Some(session.clone()) };
        assert!(Metadata::of(&app, &named).await.is_ok());
        session.delete().await.unwrap();
        let error = Metadata::of(&app, &named).await.unwrap_err();
        assert_eq!(error.status, StatusCode::GONE, "{}", error.message);
        // Nor is what has its id now taken for it.
        let again = NewSession::new().allow_reuse();
        app.supervisor.create_id(&named.id, again).await.unwrap();
        let error = Metadata::of(&app, &named).await.unwrap_err();
        assert_eq!(error.status, StatusCode::GONE, "{}", error.message);
    }
}
