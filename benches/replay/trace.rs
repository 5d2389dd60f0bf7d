//! What was recorded: requests with their arrival, conversation and length of reply.

use std::time::Duration;

/// Names the file of the whole hour.
const VARIABLE: &str = "CONVERSATION_TRACE";

/// Played where that is not set.
const EXCERPT: &str = include_str!("../data/conversation_excerpt.csv");

/// Somebody says something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// When, since the first.
    pub(crate) at: Duration,
    /// In which conversation.
    pub(crate) conversation: usize,
    /// Of how many tokens the reply is.
    pub(crate) tokens: usize,
}

/// All of them, in the order of their arrival.
pub(crate) struct Trace {
    pub(crate) name: &'static str,
    pub(crate) requests: Vec<Request>,
    /// How many turns each conversation has.
    pub(crate) turns: Vec<u64>,
}

impl Trace {
    /// The hour that the environment names, or the excerpt.
    pub(crate) fn load() -> Self {
        let Some(path) = std::env::var_os(VARIABLE) else {
            return Self::parse("excerpt", EXCERPT);
        };
        let text = std::fs::read_to_string(&path);
        Self::parse("hour", &text.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    fn parse(name: &'static str, text: &str) -> Self {
        let requests: Vec<Request> = text.lines().skip(1).map(request).collect();
        let conversations = requests.iter().map(|it| it.conversation + 1).max().unwrap_or(0);
        let mut turns = vec![0; conversations];
        for request in &requests {
            turns[request.conversation] += 1;
        }
        Self { name, requests, turns }
    }

    /// How long it was recorded for.
    pub(crate) fn length(&self) -> Duration {
        self.requests.last().map_or(Duration::ZERO, |last| last.at)
    }

    /// How many tokens of replies there are.
    pub(crate) fn tokens(&self) -> usize {
        self.requests.iter().map(|request| request.tokens).sum()
    }
}

fn request(line: &str) -> Request {
    let mut columns = line.split(',').map(|column| column.parse::<u64>().expect("a number"));
    let mut next = || columns.next().expect("a column");
    let (at, conversation, _prompt, tokens) = (next(), next(), next(), next());
    Request {
        at: Duration::from_millis(at),
        conversation: conversation as usize,
        tokens: tokens as usize,
    }
}
