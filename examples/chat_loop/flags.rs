//! What is said on the command line.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use session_supervisor::{BusyPolicy, Config};

use crate::responder::Responder;
use crate::upstream::Upstream;

/// How many lines may wait for a reply. Of a script, no more than these are read.
pub(crate) const MAX_WAITING: usize = 1_000;

/// How long an interrupted reply has to unwind.
const GRACE: Duration = Duration::from_secs(1);

/// How many pieces of a reply a crash may cost. One person talks here and a reply is a few hundred
/// words, so the disk can be asked more often than by a bot with many users.
const KEPT_EVERY: usize = 16;

/// Chat in the terminal. Conversations are kept; say /help inside.
#[derive(Debug, Parser)]
#[command(name = "chat_loop")]
pub(crate) struct Flags {
    /// The file that keeps the conversations, or `memory`
    #[arg(long, value_name = "PATH", default_value = "chat.db")]
    pub(crate) store: PathBuf,

    /// What happens with a line that is typed while a reply streams
    #[arg(long, value_enum, default_value_t = Busy::Queue)]
    busy: Busy,

    /// How long the offline responder takes for a word
    #[arg(long, value_name = "DURATION", default_value = "70ms", value_parser = humantime::parse_duration)]
    pace: Duration,

    /// A TOML file with settings of the library
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,

    /// Talk to this OpenAI-compatible server instead; its key is taken from `OPENAI_API_KEY`
    #[arg(long, value_name = "URL", requires = "model")]
    upstream: Option<String>,

    /// The model to ask that server for
    #[arg(long, value_name = "NAME", requires = "upstream")]
    model: Option<String>,
}

/// What happens with a line that is typed while a reply streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Busy {
    /// It is refused
    Reject,
    /// It waits its turn. The default: nothing that was said or answered is lost, and cutting a
    /// reply short has a key of its own, Ctrl-C
    Queue,
    /// It cuts the reply short and is answered instead
    Interrupt,
}

impl Flags {
    /// What a begin does while another turn runs.
    pub(crate) fn policy(&self) -> BusyPolicy {
        match self.busy {
            Busy::Reject => BusyPolicy::Reject,
            Busy::Queue => BusyPolicy::Queue { max: MAX_WAITING, wait: None },
            Busy::Interrupt => BusyPolicy::Interrupt { grace: GRACE, max: MAX_WAITING },
        }
    }

    /// The settings of the library.
    pub(crate) fn config(&self) -> Result<Config, Box<dyn Error>> {
        let Some(path) = &self.config else {
            let mut config = Config::default();
            config.partials.every_chunks = KEPT_EVERY;
            return Ok(config);
        };
        let wrong = |error: &dyn Error| format!("--config {}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
        Ok(toml::from_str(&text).map_err(|error| wrong(&error))?)
    }

    /// Whether nothing is to be kept.
    pub(crate) fn in_memory(&self) -> bool {
        self.store == Path::new("memory")
    }

    /// Where the lines that were typed are kept: beside the store.
    pub(crate) fn history_file(&self) -> Option<PathBuf> {
        (!self.in_memory()).then(|| self.store.with_extension("history"))
    }

    /// Who replies.
    pub(crate) fn responder(&self) -> Result<Responder, Box<dyn Error>> {
        match (&self.upstream, &self.model) {
            (Some(url), Some(model)) => {
                let key = std::env::var("OPENAI_API_KEY").ok().filter(|key| !key.is_empty());
                Ok(Responder::Upstream(Upstream::new(url, model, key.as_deref())?))
            }
            _ => Ok(Responder::Offline { pace: self.pace }),
        }
    }

    /// The first line.
    pub(crate) fn greeting(&self, responder: &Responder) -> String {
        let kept = if self.in_memory() {
            "nothing is kept (--store memory)".to_owned()
        } else {
            format!("kept in {}", self.store.display())
        };
        format!("{responder}; {kept}; /help for help")
    }
}
