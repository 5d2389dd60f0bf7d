//! What a child has said: what it tried, what it was told, and what the store under it was asked and did.

use std::collections::BTreeMap;

use session_supervisor::{SessionId, StreamId};

/// Whether the file has a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It was asked, and killed before it answered: either.
    Asked,
    /// It has it.
    Stored,
}

/// A turn that the store was asked to begin.
#[derive(Debug)]
pub(crate) struct Told {
    /// What it was begun with.
    pub(crate) text: String,
    pub(crate) begin: Known,
    /// Whether its holder was told so.
    pub(crate) began: bool,
    /// What was said to it later, by number.
    pub(crate) more: BTreeMap<u64, (String, Known)>,
    /// How many chunks it may have emitted.
    pub(crate) emitted: u64,
    /// How many of them the file has for certain.
    pub(crate) kept: u64,
    /// The end that the store was asked for last.
    pub(crate) end: Option<(String, Known)>,
    /// The end that its holder was told, with the number of the reply.
    pub(crate) ended: Option<(String, u64)>,
    /// Whether its input is to go.
    pub(crate) drops_input: bool,
    /// How many times entries had been taken back, or were to be, when it was begun.
    pub(crate) backs: usize,
}

/// Entries that the store was asked to take back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Back {
    pub(crate) incarnation: u64,
    pub(crate) version: u64,
    pub(crate) from: u64,
    pub(crate) known: Known,
}

/// Everything that the children of one step have said.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Sessions by their short name.
    pub(crate) opened: BTreeMap<String, SessionId>,
    /// Inputs, in the order in which they were tried.
    pub(crate) tried: Vec<String>,
    pub(crate) turns: BTreeMap<StreamId, Told>,
    pub(crate) backs: Vec<Back>,
    /// The turns that a start of a child has told as settled.
    pub(crate) named: Vec<StreamId>,
    /// The steps of the child that ran last.
    pub(crate) points: Vec<String>,
    /// Whether that came to its end.
    pub(crate) done: bool,
}

impl Log {
    /// What was said before stands, and another child speaks.
    pub(crate) fn next_child(&mut self) {
        self.points.clear();
        self.done = false;
    }

    pub(crate) fn take_in(&mut self, line: &str) {
        let Some(line) = line.strip_prefix("@ ") else { return };
        let words: Vec<_> = line.split(' ').collect();
        let stream = |text: &str| text.parse::<StreamId>().unwrap();
        match words[..] {
            ["point", ..] => self.points.push(line["point ".len()..].to_owned()),
            ["done"] => self.done = true,
            ["names", of] => self.named.push(stream(of)),
            ["opened", name, id] => {
                let before = self.opened.insert(name.to_owned(), id.parse().unwrap());
                assert!(before.is_none_or(|before| before.to_string() == id), "{line}");
            }
            ["tries", text] => self.tried.push(text.to_owned()),
            ["began", of, text] => {
                let backs = self.backs.len();
                let turn = self.turns.entry(stream(of)).or_insert_with(|| Told::new(text, backs));
                assert!(turn.text == text && !turn.began);
                turn.began = true;
            }
            ["emits", of, chunks] => self.turn(of).emitted = chunks.parse().unwrap(),
            ["drops", of] => self.turn(of).drops_input = true,
            ["ended", of, outcome, seq] => {
                let turn = self.turn(of);
                assert_eq!(turn.ended, None, "{of} ended twice");
                turn.ended = Some((outcome.to_owned(), seq.parse().unwrap()));
            }
            ["steered", of, seq, text] => {
                let (seq, told) = (seq.parse().unwrap(), (text.to_owned(), Known::Stored));
                self.turn(of).more.insert(seq, told);
            }
            ["took_back", version] => {
                let version: u64 = version.parse().unwrap();
                let back = self.backs.iter().find(|back| back.version == version);
                assert_eq!(back.unwrap().known, Known::Stored);
            }
            ["asks", ..] => self.write(&words[1..], Known::Asked),
            ["has", ..] => self.write(&words[1..], Known::Stored),
            _ => panic!("the child says: {line}"),
        }
    }

    fn turn(&mut self, stream: &str) -> &mut Told {
        let stream = stream.parse().unwrap();
        self.turns.get_mut(&stream).unwrap_or_else(|| panic!("{stream} was told before it was"))
    }

    /// A write on its way to the file, or there.
    fn write(&mut self, words: &[&str], known: Known) {
        match *words {
            ["begin", of, text, version, from] => {
                let stream: StreamId = of.parse().unwrap();
                if version != "0" {
                    let incarnation = stream.incarnation().get();
                    self.back(incarnation, version, from, known);
                }
                let backs = self.backs.len();
                self.turns.entry(stream).or_insert_with(|| Told::new(text, backs)).begin = known;
            }
            ["steer", of, seq, text] => {
                self.turn(of).more.insert(seq.parse().unwrap(), (text.to_owned(), known));
            }
            ["partial", of, last] if known == Known::Stored => {
                self.turn(of).kept = last.parse().unwrap();
            }
            ["create" | "patch", _] | ["partial", ..] => {}
            ["end", of, outcome, _] => {
                let turn = self.turn(of);
                let ended = matches!(turn.end, Some((_, Known::Stored)));
                assert!(!ended, "{of} is ended twice: {:?}, {outcome}", turn.end);
                turn.end = Some((outcome.to_owned(), known));
            }
            ["back", incarnation, version, from] => {
                self.back(incarnation.parse().unwrap(), version, from, known);
            }
            _ => panic!("the child's store says: {words:?}"),
        }
    }

    fn back(&mut self, incarnation: u64, version: &str, from: &str, known: Known) {
        let (version, from) = (version.parse().unwrap(), from.parse().unwrap());
        let same = |back: &Back| (back.incarnation, back.version) == (incarnation, version);
        self.backs.retain(|back| !same(back));
        self.backs.push(Back { incarnation, version, from, known });
    }
}

impl Told {
    fn new(text: &str, backs: usize) -> Self {
        Self {
            text: text.to_owned(),
            begin: Known::Asked,
            began: false,
            more: BTreeMap::new(),
            emitted: 0,
            kept: 0,
            end: None,
            ended: None,
            drops_input: false,
            backs,
        }
    }
}
