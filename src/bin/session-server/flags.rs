//! What is said on the command line, in the environment and in a file.
//!
//! One list of names: each is a flag (`--max-turns`), a variable (`SESSION_SERVER_MAX_TURNS`) and a field of the
//! TOML file (`max_turns`). A flag counts more than a variable, and that more than the file. Nothing has a
//! default here: [`Settings`](crate::settings::Settings) says what counts if nothing was said.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use serde::Deserialize;

use crate::settings::SettingsError;

/// Keeps conversations in front of an OpenAI-compatible server.
#[derive(Debug, Parser)]
#[command(name = "session-server", version)]
pub(crate) struct Flags {
    /// A TOML file with any of the settings below: `max_turns = 64`, `drain_timeout = "30s"`
    #[arg(long, value_name = "FILE", env = "SESSION_SERVER_CONFIG")]
    config: Option<PathBuf>,

    /// Say whether the settings are fine, and do nothing else
    #[arg(long)]
    pub(crate) check_config: bool,

    /// Everything that the file may say as well.
    #[command(flatten)]
    said: Said,
}

/// A length of time, as people write it: `30s`, `5m`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = humantime::DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        humantime::parse_duration(text).map(Self)
    }
}

impl TryFrom<String> for Span {
    type Error = humantime::DurationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// What happens with a turn that is begun while another runs in its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Busy {
    /// All run; the first to commit wins
    Parallel,
    /// It is refused
    Reject,
    /// It waits its turn
    Queue,
    /// The one that runs is ended
    Interrupt,
}

/// What happens with an id that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unknown {
    /// It is 404
    NotFound,
    /// A chat creates it
    Create,
}

/// What happens with the turn of a client that goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnDisconnect {
    /// It goes on, and is recorded
    Continue,
    /// It is told to end
    Cancel,
}

/// Declares [`Said`], and which of two counts.
macro_rules! said {
    ($($(#[$meta:meta])* $variable:literal $name:ident: $type:ty,)*) => {
        /// What was said in one place.
        #[derive(Debug, Default, clap::Args, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub(crate) struct Said {
            $($(#[$meta])* #[arg(long, env = $variable)] pub(crate) $name: Option<$type>,)*
        }

        impl Said {
            /// This, and where it says nothing, `other`.
            fn or(self, other: Self) -> Self {
                Self { $($name: self.$name.or(other.$name),)* }
            }
        }
    };
}

said! {
    /// The OpenAI-compatible server, with or without `/v1`
    "SESSION_SERVER_UPSTREAM" upstream: String,
    /// Where to listen [default: 127.0.0.1]; elsewhere than on loopback only with a token
    "SESSION_SERVER_HOST" host: String,
    /// The port; 0 takes one that is free [default: 8080]
    "SESSION_SERVER_PORT" port: u16,
    /// `sqlite:PATH` or `memory` [default: sqlite:sessions.db]
    "SESSION_SERVER_STORE" store: String,
    /// What clients have to show as a bearer token
    "SESSION_SERVER_TOKEN" token: String,
    /// The file that has that token
    "SESSION_SERVER_TOKEN_FILE" token_file: PathBuf,
    /// What to show the upstream as a bearer token; without it, what the client sends is passed on
    /// unless it is the server's own
    "SESSION_SERVER_UPSTREAM_TOKEN" upstream_token: String,
    /// The file that has that token
    "SESSION_SERVER_UPSTREAM_TOKEN_FILE" upstream_token_file: PathBuf,
    /// What happens with a turn while another runs in its session [default: parallel]
    #[arg(value_enum)]
    "SESSION_SERVER_BUSY" busy: Busy,
    /// What happens with an id that nobody knows [default: not-found]
    #[arg(value_enum)]
    "SESSION_SERVER_UNKNOWN" unknown: Unknown,
    /// The status of an id that was deleted, 404 or 410 [default: 404]
    "SESSION_SERVER_GONE" gone: u16,
    /// What happens with the turn of a client that goes away [default: continue]
    #[arg(value_enum)]
    "SESSION_SERVER_ON_DISCONNECT" on_disconnect: OnDisconnect,
    /// How many turns of one session may wait under `queue` and `interrupt` [default: 16]
    "SESSION_SERVER_QUEUE" queue: usize,
    /// How long one waits there; 0 is as long as it takes [default: 0s]
    "SESSION_SERVER_QUEUE_WAIT" queue_wait: Span,
    /// How long a turn that is told to end may take [default: 5s]
    "SESSION_SERVER_CANCEL_GRACE" cancel_grace: Span,
    /// How many turns may run at once; 0 is any number [default: 4096]
    "SESSION_SERVER_MAX_TURNS" max_turns: usize,
    /// How long a turn waits if as many run; 0 refuses it at once [default: 0s]
    "SESSION_SERVER_TURN_WAIT" turn_wait: Span,
    /// How many turns may wait, in all sessions; 0 is any number [default: 4096]
    "SESSION_SERVER_MAX_QUEUED" max_queued: usize,
    /// How many bytes their requests may have; 0 is any number [default: 268435456]
    "SESSION_SERVER_MAX_QUEUED_BYTES" max_queued_bytes: usize,
    /// How many sessions may be stored; 0 is any number [default: 1000000]
    "SESSION_SERVER_MAX_SESSIONS" max_sessions: usize,
    /// The largest body of a request, in bytes [default: 33554432]
    "SESSION_SERVER_MAX_BODY_BYTES" max_body_bytes: usize,
    /// The largest answer of the upstream to a chat, in bytes [default: 67108864]
    "SESSION_SERVER_MAX_ANSWER_BYTES" max_answer_bytes: usize,
    /// How many requests the upstream is asked at once [default: 4096]
    "SESSION_SERVER_UPSTREAM_CONNECTIONS" upstream_connections: usize,
    /// How long the upstream may say nothing [default: 10m]
    "SESSION_SERVER_UPSTREAM_TIMEOUT" upstream_timeout: Span,
    /// How long connecting to the upstream may take [default: 10s]
    "SESSION_SERVER_UPSTREAM_CONNECT_TIMEOUT" upstream_connect_timeout: Span,
    /// How long a client may take nothing of a stream before it counts as gone [default: 30s]
    "SESSION_SERVER_CLIENT_TIMEOUT" client_timeout: Span,
    /// How long the stream of a turn that is over can be read again [default: 10m]
    "SESSION_SERVER_KEEP_STREAMS_FOR" keep_streams_for: Span,
    /// After how long without use a session is deleted; 0 is never [default: 90d]
    "SESSION_SERVER_SESSION_TTL" session_ttl: Span,
    /// How long a deleted id is remembered, at least [default: 1d]
    "SESSION_SERVER_KEEP_DELETED_FOR" keep_deleted_for: Span,
    /// How long running turns have at the end [default: 30s]
    "SESSION_SERVER_DRAIN_TIMEOUT" drain_timeout: Span,
    /// What is logged: `info`, or as for `tracing_subscriber::EnvFilter` [default: info]
    "SESSION_SERVER_LOG" log: String,
}

impl Flags {
    /// With what the file says.
    pub(crate) fn complete(self) -> Result<Said, SettingsError> {
        let file = self.config.as_deref().map(read).transpose()?;
        Ok(self.said.or(file.unwrap_or_default()))
    }
}

/// Reads the file.
fn read(path: &Path) -> Result<Said, SettingsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| SettingsError::Unreadable { path: path.to_owned(), source })?;
    toml::from_str(&text)
        .map_err(|source| SettingsError::File { path: path.to_owned(), source: Box::new(source) })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_flag_is_a_variable_and_a_field() {
        Flags::command().debug_assert();
        for flag in Flags::command().get_arguments() {
            let Some(long) =
                flag.get_long().filter(|it| !["check-config", "help", "version"].contains(it))
            else {
                continue;
            };
            let variable = format!("SESSION_SERVER_{}", long.replace('-', "_").to_uppercase());
            assert_eq!(flag.get_env().and_then(|it| it.to_str()), Some(variable.as_str()));
        }
    }

    #[test]
    fn a_flag_counts_more_than_the_file() {
        let file: Said = toml::from_str("port = 1\nmax_turns = 2\nqueue_wait = \"1m\"").unwrap();
        let flags = Flags::parse_from(["session-server", "--port", "3"]);
        let said = flags.said.or(file);
        assert_eq!((said.port, said.max_turns), (Some(3), Some(2)));
        assert_eq!(said.queue_wait.unwrap().0, Duration::from_secs(60));
    }

    #[test]
    fn what_is_no_setting_is_refused_by_name() {
        let error = toml::from_str::<Said>("max_trns = 2").unwrap_err().to_string();
        assert!(error.contains("max_trns"), "{error}");
    }
}
