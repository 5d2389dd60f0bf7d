//! What a typed line asks for.

/// What [`Command::Help`] prints.
pub(crate) const HELP: &str = "\
/new            start a new session; the old one is kept
/sessions       list the sessions
/open ID        go to a session, by its number in the list or the beginning of its id
/history        print the conversation
/stop           stop the running reply, and drop what waits
/retry [N]      do the last turn over, or the last N; what runs is stopped first
/delete [ID]    delete a session, this one if none is named
/help           print this
/quit           leave when what runs has finished (or the end of input, Ctrl-D)
Ctrl-C          stop the running reply; a second one leaves at once
Anything else is said to the bot. To say something that starts with `/`, start with `//`.";

/// What a typed line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Nothing was typed.
    Nothing,
    /// Say this to the bot.
    Say(String),
    /// `/new`
    New,
    /// `/sessions`
    Sessions,
    /// `/open ID`
    Open(String),
    /// `/history`
    History,
    /// `/stop`
    Stop,
    /// `/retry [N]`
    Retry(usize),
    /// `/delete [ID]`
    Delete(Option<String>),
    /// `/help`
    Help,
    /// `/quit`
    Quit,
    /// Something else; the hint says what.
    Unclear(String),
}

impl Command {
    /// Reads one line.
    pub(crate) fn parse(line: &str) -> Self {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("//") {
            return Self::Say(format!("/{text}"));
        }
        if !line.starts_with('/') {
            return if line.is_empty() { Self::Nothing } else { Self::Say(line.to_owned()) };
        }
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        match (name, rest.is_empty()) {
            ("/new", true) => Self::New,
            ("/sessions", true) => Self::Sessions,
            ("/open", true) => Self::Unclear("open which? /sessions lists them".to_owned()),
            ("/open", false) => Self::Open(rest.to_owned()),
            ("/history", true) => Self::History,
            ("/stop", true) => Self::Stop,
            ("/retry", true) => Self::Retry(1),
            ("/retry", false) => match rest.parse() {
                Ok(turns) if turns > 0 => Self::Retry(turns),
                _ => Self::Unclear(
                    "how many turns? /retry does the last one over, /retry 2 two".to_owned(),
                ),
            },
            ("/delete", _) => Self::Delete((!rest.is_empty()).then(|| rest.to_owned())),
            ("/help", true) => Self::Help,
            ("/quit" | "/exit", true) => Self::Quit,
            ("/new" | "/sessions" | "/history" | "/stop" | "/help" | "/quit" | "/exit", false) => {
                Self::Unclear(format!("{name} takes nothing after it"))
            }
            _ => Self::Unclear(format!("there is no {name}; /help lists what there is")),
        }
    }

    /// Whether it is about the reply that runs, and so never waits for it.
    pub(crate) fn is_urgent(&self) -> bool {
        matches!(self, Self::Stop | Self::Delete(_) | Self::Help)
    }
}
