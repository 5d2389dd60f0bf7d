//! Sessions: create, list, look at, delete.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use session_supervisor::{
    DeleteOutcome, Incarnation, NewSession, Record as Stored, RecordFilter, Session, SessionKey,
    Standing,
};

use crate::app::App;
use crate::body;
use crate::error::{ApiError, ErrorBody, chain};
use crate::ids::{self, Id, Named};
use crate::metadata::Metadata;
use crate::records::{Exchange, Record, pair};
use crate::settings::expiry;

/// How many sessions a page has, unless something else is asked for.
const PAGE: usize = 100;

/// How many a page has at most.
const LARGEST_PAGE: usize = 1_000;

/// How many pages of the store are looked at for one that is filtered.
const LOOKED_AT: usize = 16;

/// What a new session is to be.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(crate) struct CreateBody {
    /// Its id: 1 to 128 of `A-Z a-z 0-9 . _ -`. Default: 32 random hexadecimal digits.
    session_id: Option<String>,
    /// Who talks where: any text. Of one key there is one session; who comes with it again is told the same id.
    key: Option<String>,
    /// After how long without use it is deleted: seconds, or a text such as `15m`.
    #[schema(value_type = Option<String>)]
    ttl: Option<Ttl>,
    /// Whether the id may be one that was deleted.
    allow_reuse: bool,
}

/// A length of time.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Ttl {
    /// In seconds.
    Seconds(f64),
    /// As people write it.
    Text(String),
}

/// A session that was created.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Created {
    /// Its id.
    session_id: String,
}

/// Which sessions are listed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// How many, at most 1,000. Default: 100.
    limit: Option<usize>,
    /// What `next` of the page before said.
    after: Option<u64>,
    /// Only those in this state: `active`, `suspended`, `archived`, `ended`; or `running`, `idle`.
    state: Option<String>,
}

/// A page of sessions.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Listing {
    /// The sessions, in the order of their creation.
    sessions: Vec<Metadata>,
    /// What to ask for as `after`, if there may be more.
    next: Option<u64>,
}

/// A session with its records.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct SessionBody {
    /// Which.
    session_id: String,
    /// The turns that were committed, in that order.
    records: Vec<Record>,
    /// What else is known of it.
    metadata: Metadata,
}

/// Creates a session.
#[utoipa::path(post, path = "/sessions", request_body = Option<CreateBody>, responses(
    (status = 200, body = Created),
    (status = 400, body = ErrorBody, description = "the id, the key, the time or the JSON makes no sense"),
    (status = 409, body = ErrorBody, description = "there is a session of that id, or the key leads to another"),
    (status = 410, body = ErrorBody, description = "the id was deleted, and `allow_reuse` was not said"),
    (status = 429, body = ErrorBody, description = "there are as many sessions as may be"),
))]
pub(crate) async fn create(
    State(app): State<App>,
    request: Request,
) -> Result<Json<Created>, ApiError> {
    let body = body::read(&app, request.into_body()).await?;
    let wanted = if body.trim_ascii().is_empty() {
        CreateBody::default()
    } else {
        serde_json::from_slice(&body)
            .map_err(|error| ApiError::bad_request(format!("not a new session: {error}")))?
    };
    let key = wanted.key.as_deref().map(key).transpose()?;
    let session = match (&wanted.session_id, &key) {
        (None, Some(key)) => {
            let new = seed(&wanted)?;
            let opened = app.supervisor.open_with(key, || new).await;
            opened.map_err(|error| ApiError::open(&error))?.session
        }
        (None, None) => {
            let created = app.supervisor.create(seed(&wanted)?).await;
            created.map_err(|error| ApiError::create_anew(&error))?
        }
        (Some(id), key) => create_named(&app, id, key.as_ref(), &wanted).await?,
    };
    Ok(Json(Created { session_id: session.id().to_string() }))
}

/// Creates a session with an id of the caller's own, and with its key, if it has one.
async fn create_named(
    app: &App,
    id: &str,
    key: Option<&SessionKey>,
    wanted: &CreateBody,
) -> Result<Session<Exchange>, ApiError> {
    let (id, new) = (ids::parse(id)?, seed(wanted)?);
    let created = match key {
        Some(key) => app.supervisor.create_for(key, &id, new).await,
        None => app.supervisor.create_id(&id, new).await,
    };
    created.map_err(|error| ApiError::create_named(&id, &error))
}

/// What a new session starts with.
fn seed(wanted: &CreateBody) -> Result<NewSession<Exchange>, ApiError> {
    let mut new = NewSession::new();
    if wanted.allow_reuse {
        new = new.allow_reuse();
    }
    let unused_for = match &wanted.ttl {
        None => return Ok(new),
        Some(Ttl::Seconds(seconds)) => Duration::try_from_secs_f64(*seconds).ok(),
        Some(Ttl::Text(text)) => humantime::parse_duration(text).ok(),
    };
    let unused_for = unused_for.filter(|span| *span >= Duration::from_secs(1));
    let unused_for = unused_for.ok_or_else(|| {
        ApiError::bad_request("`ttl` must be at least one second: a number, or a text such as 15m")
    })?;
    Ok(new.expiry(expiry(unused_for)))
}

/// A key: in the library's form, or any text.
fn key(text: &str) -> Result<SessionKey, ApiError> {
    let key = text.parse().or_else(|_| SessionKey::builder("http").segment("key", text).build());
    key.map_err(|error| ApiError::bad_request(chain(&error)))
}

/// Lists sessions, in the order of their creation. Wakes none.
#[utoipa::path(get, path = "/sessions", params(ListQuery), responses(
    (status = 200, body = Listing),
    (status = 400, body = ErrorBody, description = "there is no such state, or no such place to go on from"),
))]
pub(crate) async fn list(
    State(app): State<App>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Listing>, ApiError> {
    let Query(query) = query?;
    let wanted = query.state.as_deref().map(Wanted::parse).transpose()?;
    let limit = query.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    let filter = wanted.map_or_else(RecordFilter::default, Wanted::filter);
    let (mut sessions, mut after) = (Vec::new(), query.after.map(Incarnation::new));
    for _ in 0..LOOKED_AT {
        let page = app.supervisor.list(filter.clone(), after, limit - sessions.len()).await;
        let page = page.map_err(|error| ApiError::read(&error))?;
        for damaged in &page.damaged {
            tracing::warn!(damaged, "left out of a listing");
        }
        let shown = page.records.iter().filter(|record| wanted.is_none_or(|it| it.shows(record)));
        sessions.extend(shown.map(|record| Metadata::listed(&app, record)));
        after = page.next;
        if after.is_none() || sessions.len() >= limit {
            break;
        }
    }
    Ok(Json(Listing { sessions, next: after.map(Incarnation::get) }))
}

/// Which sessions are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// A turn runs.
    Running,
    /// No turn runs.
    Idle,
    /// By how they stand.
    Standing(&'static str),
}

impl Wanted {
    /// Of its name.
    fn parse(name: &str) -> Result<Self, ApiError> {
        Ok(match name {
            "running" => Self::Running,
            "idle" => Self::Idle,
            "active" => Self::Standing("active"),
            "suspended" => Self::Standing("suspended"),
            "archived" => Self::Standing("archived"),
            "ended" => Self::Standing("ended"),
            _ => return Err(ApiError::bad_request(format!("not a state: {name:?}"))),
        })
    }

    /// As much of it as the store can tell apart.
    fn filter(self) -> RecordFilter {
        let all = RecordFilter::default();
        match self {
            Self::Running => all.replying(true),
            Self::Idle => all.replying(false),
            Self::Standing("active" | "suspended") => all.routable(true),
            Self::Standing(_) => all.routable(false),
        }
    }

    /// Whether a session is in it.
    fn shows(self, record: &Stored) -> bool {
        let standing: Standing = record.standing;
        match self {
            Self::Running | Self::Idle => true,
            Self::Standing(name) => standing.as_str() == name,
        }
    }
}

/// A session with its records.
#[utoipa::path(get, path = "/sessions/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = SessionBody),
    (status = 404, body = ErrorBody),
))]
pub(crate) async fn show(
    State(app): State<App>,
    named: Named,
) -> Result<Json<SessionBody>, ApiError> {
    let records = match &named.session {
        Some(session) => {
            let transcript = session.transcript().await;
            pair(transcript.map_err(|error| ApiError::session(&app.settings, &named.id, &error))?)
        }
        None => Vec::new(),
    };
    let metadata = Metadata::of(&app, &named).await?;
    Ok(Json(SessionBody { session_id: named.id.to_string(), records, metadata }))
}

/// What is happening in a session. Waits for nothing.
#[utoipa::path(get, path = "/sessions/{id}/status", params(("id" = String, Path)), responses(
    (status = 200, body = Metadata),
    (status = 404, body = ErrorBody),
))]
pub(crate) async fn status(
    State(app): State<App>,
    named: Named,
) -> Result<Json<Metadata>, ApiError> {
    Metadata::of(&app, &named).await.map(Json)
}

/// Deletes a session. Does not wait for a turn that runs: its client gets the upstream's answer.
#[utoipa::path(delete, path = "/sessions/{id}", params(("id" = String, Path)), responses(
    (status = 204),
    (status = 404, body = ErrorBody),
))]
pub(crate) async fn delete(State(app): State<App>, Id(id): Id) -> Result<StatusCode, ApiError> {
    match app.supervisor.delete(&id).await.map_err(|error| ApiError::delete(&id, &error))? {
        DeleteOutcome::Deleted(_) => Ok(StatusCode::NO_CONTENT),
        DeleteOutcome::AlreadyGone(tombstone) => {
            Err(ApiError::gone(&app.settings, &id, Some(&tombstone)))
        }
        _ => Err(ApiError::not_found(&id)),
    }
}
