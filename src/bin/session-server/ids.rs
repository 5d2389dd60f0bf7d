//! The session that a path names.
//!
//! The id is checked before anything else is done, so that what is no id is told as such by every route, and what
//! is gone or unknown as the settings say. Looking creates nothing.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use session_supervisor::{Lookup, Session, SessionId};

use crate::app::App;
use crate::error::{ApiError, chain};
use crate::flags::Unknown;
use crate::records::Exchange;

/// The id in a path. Nobody was asked whether there is such a session.
#[derive(Debug)]
pub(crate) struct Id(pub(crate) SessionId);

/// The session that a path names.
#[derive(Debug)]
pub(crate) struct Named {
    /// Its id, as the client said it.
    pub(crate) id: SessionId,
    /// The session; none if nobody knows it and a chat would create it.
    pub(crate) session: Option<Session<Exchange>>,
}

/// A session that there is.
#[derive(Debug)]
pub(crate) struct Live {
    /// Its id, as the client said it.
    pub(crate) id: SessionId,
    /// The session.
    pub(crate) session: Session<Exchange>,
}

/// Checks an id that a client has said.
pub(crate) fn parse(id: &str) -> Result<SessionId, ApiError> {
    SessionId::new(id).map_err(|error| {
        let shown: String = id.chars().take(128).collect();
        ApiError::bad_request(format!("not a session id: {shown:?}: {}", chain(&error)))
    })
}

impl FromRequestParts<App> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, app).await;
        let params =
            params.map_err(|_| ApiError::bad_request("not a session id: it is no text"))?;
        let id = params.iter().find(|(name, _)| *name == "id").map(|(_, id)| id);
        Ok(Self(parse(id.unwrap_or_default())?))
    }
}

impl FromRequestParts<App> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Id(id) = Id::from_request_parts(parts, app).await?;
        match app.supervisor.look_up(&id).await.map_err(|error| ApiError::read(&error))? {
            Lookup::Live(session) => Ok(Self { id, session: Some(session) }),
            Lookup::Gone(tombstone) => Err(ApiError::gone(&app.settings, &id, Some(&tombstone))),
            Lookup::Unknown => match app.settings.unknown {
                Unknown::NotFound => Err(ApiError::not_found(&id)),
                Unknown::Create => Ok(Self { id, session: None }),
            },
        }
    }
}

impl FromRequestParts<App> for Live {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Named { id, session } = Named::from_request_parts(parts, app).await?;
        match session {
            Some(session) => Ok(Self { id, session }),
            None => Err(ApiError::not_found(&id)),
        }
    }
}
