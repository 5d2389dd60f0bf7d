//! What counts: every setting with its default, checked once.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode};
use session_supervisor::{
    BusyPolicy, Config, ConfigError, ExpiryAction, ExpiryRules, Parallel, PartialPolicy,
    UnknownPolicy,
};

use crate::flags::{Busy, OnDisconnect, Said, Span, Unknown};

/// The largest body that may be set, in bytes: less than 64 MiB, so that what holds it in memory is bounded.
const MOST_BODY_BYTES: usize = (64 << 20) - 1;

/// How many turns of one session may wait, unless something else is said.
const QUEUE: usize = 16;

/// What a record takes beside the two bodies, at most.
const AROUND_BODIES: usize = 64 << 10;

/// Every setting.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// The upstream, without `/v1` and without a slash at its end.
    pub(crate) upstream: String,
    /// What is shown to it.
    pub(crate) upstream_token: Option<HeaderValue>,
    /// How many requests it is asked at once.
    pub(crate) upstream_connections: usize,
    /// How long it may say nothing.
    pub(crate) upstream_timeout: Duration,
    /// How long connecting to it may take.
    pub(crate) upstream_connect_timeout: Duration,
    /// What clients have to show.
    pub(crate) token: Option<String>,
    /// Where sessions are kept.
    pub(crate) store: StoreAt,
    /// What happens with a turn while another runs.
    pub(crate) busy: Busy,
    /// What happens with an id that nobody knows.
    pub(crate) unknown: Unknown,
    /// The status of an id that was deleted.
    pub(crate) gone: StatusCode,
    /// What happens with the turn of a client that goes away.
    pub(crate) on_disconnect: OnDisconnect,
    /// How many turns of one session may wait.
    pub(crate) queue: usize,
    /// The largest body of a request, in bytes.
    pub(crate) max_body_bytes: usize,
    /// The largest answer to a chat, in bytes.
    pub(crate) max_answer_bytes: usize,
    /// How long a client may take nothing of a stream.
    pub(crate) client_timeout: Duration,
    /// How long running turns have at the end.
    pub(crate) drain_timeout: Duration,
    /// What is logged.
    pub(crate) log: String,
    /// Those of the library.
    pub(crate) library: Config,
}

/// Where sessions are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreAt {
    /// In one file.
    Sqlite(PathBuf),
    /// Nowhere.
    Memory,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// There is no such file, or it cannot be read.
    #[error("--config {}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It does not say settings.
    #[error("--config {}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Box<toml::de::Error>,
    },
    /// A setting that has no default was not said.
    #[error("--{name} has to be said")]
    Missing {
        /// Which.
        name: &'static str,
    },
    /// A setting makes no sense.
    #[error("--{name} {value}: {rule}")]
    Value {
        /// Which.
        name: &'static str,
        /// What was said.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
    /// A file with a token cannot be read.
    #[error("--{name} {}", .path.display())]
    TokenFile {
        /// Which.
        name: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It would listen to everybody, and ask nobody for a token.
    #[error("--host {host} is not loopback: without --token the server listens on loopback only")]
    Open {
        /// Where.
        host: String,
    },
    /// The library refuses a setting.
    #[error(transparent)]
    Library(#[from] ConfigError),
}

impl Settings {
    /// What counts, given what was said.
    pub(crate) fn new(said: Said) -> Result<Self, SettingsError> {
        let queue = said.queue.unwrap_or(QUEUE);
        let library = library(&said, queue);
        library.validate()?;
        let upstream = said.upstream.ok_or(SettingsError::Missing { name: "upstream" })?;
        let base = upstream.trim_end_matches('/').trim_end_matches("/v1");
        if !base.starts_with("http://") && !base.starts_with("https://") {
            let rule = "it must begin with http:// or https://";
            return Err(SettingsError::Value { name: "upstream", value: upstream, rule });
        }
        if reqwest::Url::parse(base).is_err() {
            let rule = "it must be an address, such as http://127.0.0.1:8000";
            return Err(SettingsError::Value { name: "upstream", value: upstream, rule });
        }
        let token = token("token-file", said.token, said.token_file.as_deref())?;
        let listen = listen(said.host.as_deref(), said.port, token.is_some())?;
        let upstream_token = self::token(
            "upstream-token-file",
            said.upstream_token,
            said.upstream_token_file.as_deref(),
        )?;
        let span = |span: Option<Span>, default| span.map_or(default, |it| it.0);
        Ok(Self {
            listen,
            upstream: base.to_owned(),
            upstream_token: upstream_token.as_deref().map(bearer).transpose()?,
            upstream_connections: at_least_one(
                "upstream-connections",
                said.upstream_connections.unwrap_or(4_096),
            )?,
            upstream_timeout: span(said.upstream_timeout, Duration::from_secs(600)),
            upstream_connect_timeout: span(said.upstream_connect_timeout, Duration::from_secs(10)),
            token,
            store: store(said.store.as_deref().unwrap_or("sqlite:sessions.db"))?,
            busy: said.busy.unwrap_or(Busy::Parallel),
            unknown: said.unknown.unwrap_or(Unknown::NotFound),
            gone: gone(said.gone.unwrap_or(404))?,
            on_disconnect: said.on_disconnect.unwrap_or(OnDisconnect::Continue),
            queue,
            max_body_bytes: bytes(
                "max-body-bytes",
                said.max_body_bytes,
                32 << 20,
                MOST_BODY_BYTES,
            )?,
            max_answer_bytes: bytes("max-answer-bytes", said.max_answer_bytes, 64 << 20, 1 << 30)?,
            client_timeout: span(said.client_timeout, Duration::from_secs(30)),
            drain_timeout: span(said.drain_timeout, Duration::from_secs(30)),
            log: said.log.unwrap_or_else(|| "info".to_owned()),
            library,
        })
    }
}

/// The settings of the library; with `max` turns of a session that may wait.
fn library(said: &Said, max: usize) -> Config {
    let span = |span: Option<Span>, seconds| span.map_or(Duration::from_secs(seconds), |it| it.0);
    let mut config = Config::default();
    let grace = span(said.cancel_grace, 5);
    config.busy = match said.busy.unwrap_or(Busy::Parallel) {
        Busy::Parallel => BusyPolicy::Parallel(Parallel::FirstCommit),
        Busy::Reject => BusyPolicy::Reject,
        Busy::Queue => {
            let wait = Some(span(said.queue_wait, 0)).filter(|wait| !wait.is_zero());
            BusyPolicy::Queue { max, wait }
        }
        Busy::Interrupt => BusyPolicy::Interrupt { grace, max },
    };
    config.unknown = match said.unknown.unwrap_or(Unknown::NotFound) {
        Unknown::NotFound => UnknownPolicy::NotFound,
        Unknown::Create => UnknownPolicy::Create,
    };
    config.turns.cancel_grace = grace;
    let limits = &mut config.limits;
    limits.max_turns = said.max_turns.unwrap_or(4_096);
    limits.turn_wait = span(said.turn_wait, 0);
    limits.max_queued_turns = said.max_queued.unwrap_or(4_096);
    limits.max_queued_bytes = said.max_queued_bytes.unwrap_or(256 << 20);
    limits.max_sessions = said.max_sessions.unwrap_or(1_000_000);
    // A request and an answer that were taken in can be recorded.
    let bodies =
        said.max_body_bytes.unwrap_or(32 << 20).max(said.max_answer_bytes.unwrap_or(64 << 20));
    limits.max_entry_bytes = bodies.saturating_mul(2).saturating_add(AROUND_BODIES);
    // Whoever comes back finds all of a long answer.
    config.streams.max_items = 1 << 16;
    config.streams.max_bytes = 16 << 20;
    config.streams.keep_finished_for = span(said.keep_streams_for, 600);
    // What is streamed are chunks of JSON, and half of one is nothing that anybody could read.
    config.partials.interrupted = PartialPolicy::Drop;
    config.expiry = expiry(span(said.session_ttl, 90 * 86_400));
    config.tombstones.keep_for = span(said.keep_deleted_for, 86_400);
    // A turn asks a server for something; it is not what crashes this process.
    config.recovery.max_crashes = 0;
    config.recovery.max_restarts = 0;
    config
}

/// The rules by which a session ends that is not used for so long.
pub(crate) fn expiry(unused_for: Duration) -> ExpiryRules {
    let mut rules = ExpiryRules::default();
    rules.idle = Some(unused_for);
    rules.action = Some(ExpiryAction::Delete);
    rules
}

/// Where to listen.
fn listen(host: Option<&str>, port: Option<u16>, token: bool) -> Result<SocketAddr, SettingsError> {
    let (host, port) = (host.unwrap_or("127.0.0.1"), port.unwrap_or(8080));
    let wrong = || SettingsError::Value {
        name: "host",
        value: host.to_owned(),
        rule: "it must be the name or the address of this machine",
    };
    let address = match host.parse::<IpAddr>() {
        Ok(address) => SocketAddr::new(address, port),
        Err(_) => {
            (host, port).to_socket_addrs().ok().and_then(|mut it| it.next()).ok_or_else(wrong)?
        }
    };
    if !token && !address.ip().is_loopback() {
        return Err(SettingsError::Open { host: host.to_owned() });
    }
    Ok(address)
}

/// A token that was said, or is in a file.
fn token(
    name: &'static str,
    said: Option<String>,
    file: Option<&Path>,
) -> Result<Option<String>, SettingsError> {
    let token = match (said, file) {
        (Some(said), _) => said,
        (None, None) => return Ok(None),
        (None, Some(path)) => std::fs::read_to_string(path)
            .map_err(|source| SettingsError::TokenFile { name, path: path.to_owned(), source })?,
    };
    let token = token.trim().to_owned();
    if token.is_empty() {
        let rule = "a token has to be something";
        return Err(SettingsError::Value { name, value: String::new(), rule });
    }
    Ok(Some(token))
}

/// The header that shows a token.
fn bearer(token: &str) -> Result<HeaderValue, SettingsError> {
    let shown = HeaderValue::try_from(format!("Bearer {token}"));
    let mut shown = shown.map_err(|_| SettingsError::Value {
        name: "upstream-token",
        value: String::new(),
        rule: "it must be fit for a header",
    })?;
    shown.set_sensitive(true);
    Ok(shown)
}

/// Where sessions are kept.
fn store(text: &str) -> Result<StoreAt, SettingsError> {
    match text.split_once(':') {
        None if text == "memory" => Ok(StoreAt::Memory),
        Some(("sqlite", path)) if !path.is_empty() => Ok(StoreAt::Sqlite(path.into())),
        _ => Err(SettingsError::Value {
            name: "store",
            value: text.to_owned(),
            rule: "it must be sqlite:PATH or memory",
        }),
    }
}

/// The status of an id that was deleted.
fn gone(status: u16) -> Result<StatusCode, SettingsError> {
    match status {
        404 => Ok(StatusCode::NOT_FOUND),
        410 => Ok(StatusCode::GONE),
        _ => Err(SettingsError::Value {
            name: "gone",
            value: status.to_string(),
            rule: "it must be 404 or 410",
        }),
    }
}

/// A number of which there has to be one.
fn at_least_one(name: &'static str, value: usize) -> Result<usize, SettingsError> {
    bytes(name, Some(value), value, usize::MAX >> 4)
}

/// A number between 1 and `most`.
fn bytes(
    name: &'static str,
    said: Option<usize>,
    default: usize,
    most: usize,
) -> Result<usize, SettingsError> {
    let value = said.unwrap_or(default);
    if (1..=most).contains(&value) {
        return Ok(value);
    }
    let rule = if value == 0 { "it must be at least 1" } else { "it is too large" };
    Err(SettingsError::Value { name, value: value.to_string(), rule })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Settings, SettingsError> {
        Settings::new(toml::from_str(text).unwrap())
    }

    #[test]
    fn an_upstream_is_enough() {
        let settings = settings("upstream = \"http://h:1/v1/\"").unwrap();
        assert_eq!(settings.upstream, "http://h:1");
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.store, StoreAt::Sqlite("sessions.db".into()));
        assert!(settings.max_body_bytes < 64_000_000);
    }

    #[test]
    fn without_a_token_it_listens_on_loopback_only() {
        let text = "upstream = \"http://h\"\nhost = \"0.0.0.0\"";
        assert!(matches!(settings(text), Err(SettingsError::Open { .. })));
        assert!(settings(&format!("{text}\ntoken = \"t\"")).is_ok());
    }

    #[test]
    fn nonsense_is_refused_with_the_name_of_the_setting() {
        for (text, name) in [
            ("", "upstream"),
            ("upstream = \"h\"", "upstream"),
            ("upstream = \"http://a b\"", "upstream"),
            ("upstream = \"http://h:99999\"", "upstream"),
            ("upstream = \"http://h\"\nstore = \"postgres:x\"", "store"),
            ("upstream = \"http://h\"\ngone = 500", "gone"),
            ("upstream = \"http://h\"\nmax_body_bytes = 0", "max-body-bytes"),
            ("upstream = \"http://h\"\nmax_body_bytes = 70000000", "max-body-bytes"),
            ("upstream = \"http://h\"\ntoken = \" \"", "token"),
            ("upstream = \"http://h\"\ncancel_grace = \"2h\"", "cancel_grace"),
        ] {
            let error = settings(text).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
