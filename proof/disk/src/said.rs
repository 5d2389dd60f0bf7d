//! What users were told, in conversations where that decides what must be there: they write, reply and delete,
//! and take nothing back.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use session_supervisor::ChatMessage;

/// One thing that was said to a user, or by one.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// This text is about to be handed over to a conversation.
    Trying { session: String, text: String },
    /// It is there, under this number.
    Wrote { text: String, seq: Option<u64> },
    /// It is not, and never will be.
    Refused { text: String },
    /// The turn of this generation has committed.
    Committed { session: String, generation: u64 },
    /// The conversation is about to be deleted.
    Deleting { session: String },
    /// It is deleted.
    Deleted { session: String },
}

/// Everything that was said up to a point.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// Where each text belongs.
    tried: BTreeMap<String, String>,
    /// The numbers that were told.
    wrote: BTreeMap<String, Option<u64>>,
    /// What is not there.
    refused: BTreeSet<String>,
    /// The turns that have committed.
    committed: BTreeSet<(String, u64)>,
    /// The conversations that somebody has begun to delete.
    deleting: BTreeSet<String>,
    /// Those that are deleted.
    deleted: BTreeSet<String>,
}

impl Told {
    /// Goes on by one.
    pub(crate) fn take_in(&mut self, said: &Said) {
        match said.clone() {
            Said::Trying { session, text } => drop(self.tried.insert(text, session)),
            Said::Wrote { text, seq } => drop(self.wrote.insert(text, seq)),
            Said::Refused { text } => drop(self.refused.insert(text)),
            Said::Committed { session, generation } => {
                self.committed.insert((session, generation));
            }
            Said::Deleting { session } => drop(self.deleting.insert(session)),
            Said::Deleted { session } => drop(self.deleted.insert(session)),
        }
    }

    /// How many texts were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.wrote.len()
    }

    /// What in the file contradicts it; a line each.
    pub(crate) fn compare(&self, connection: &Connection) -> rusqlite::Result<Vec<String>> {
        let mut problems = Vec::new();
        let found = self.entries(connection, &mut problems)?;
        for (text, seq) in &self.wrote {
            let session = &self.tried[text];
            if self.deleting.contains(session) {
                continue;
            }
            match found.get(text) {
                None => problems.push(format!("lost: {text} of {session} was acknowledged")),
                Some(at) if seq.is_some_and(|seq| seq != *at) => {
                    problems.push(format!("order: {text} is at {at}, {seq:?} was told"));
                }
                Some(_) => {}
            }
        }
        for text in &self.refused {
            if found.contains_key(text) {
                problems.push(format!("ghost: {text} was refused"));
            }
        }
        self.compare_turns(connection, &mut problems)?;
        self.compare_deletes(connection, &mut problems)?;
        Ok(problems)
    }

    /// The texts that are there, with their numbers.
    fn entries(
        &self,
        connection: &Connection,
        problems: &mut Vec<String>,
    ) -> rusqlite::Result<BTreeMap<String, u64>> {
        let mut select = connection.prepare(
            "SELECT s.id, e.seq, e.payload FROM entries AS e JOIN sessions AS s \
             ON s.incarnation = e.incarnation ORDER BY e.incarnation, e.seq",
        )?;
        let (mut rows, mut found) = (select.query([])?, BTreeMap::new());
        let mut before = (String::new(), 0);
        while let Some(row) = rows.next()? {
            let (id, seq): (String, i64) = (row.get(0)?, row.get(1)?);
            let seq = seq.cast_unsigned();
            let payload = row.get_ref(2)?.as_blob().unwrap_or_default();
            let Ok(message) = serde_json::from_slice::<ChatMessage>(payload) else {
                problems.push(format!("torn: entry {seq} of {id}"));
                continue;
            };
            let text = message.content;
            let Some(number) = number(&text) else { continue };
            if self.tried.get(&text) != Some(&id) {
                problems.push(format!("ghost: {text} was not written to {id}"));
            }
            // Texts of a conversation are numbered in the order in which they were written.
            if before.0 == id && number <= before.1 {
                problems.push(format!("order: {text} stands behind {}", before.1));
            }
            before = (id, number);
            if found.insert(text.clone(), seq).is_some() {
                problems.push(format!("twice: {text}"));
            }
        }
        Ok(found)
    }

    /// Turns that were committed stay so.
    fn compare_turns(
        &self,
        connection: &Connection,
        problems: &mut Vec<String>,
    ) -> rusqlite::Result<()> {
        let mut select = connection.prepare(
            "SELECT count(*) FROM turns AS t JOIN sessions AS s ON s.incarnation = t.incarnation \
             WHERE s.id = ?1 AND t.generation = ?2 AND t.outcome = 'committed'",
        )?;
        for (session, generation) in &self.committed {
            if self.deleting.contains(session) {
                continue;
            }
            let number = generation.cast_signed();
            let count: i64 = select.query_row((session, number), |row| row.get(0))?;
            if count != 1 {
                problems.push(format!("lost: turn {generation} of {session} had committed"));
            }
        }
        Ok(())
    }

    /// What was deleted stays so, and nothing else is.
    fn compare_deletes(
        &self,
        connection: &Connection,
        problems: &mut Vec<String>,
    ) -> rusqlite::Result<()> {
        let mut live = connection.prepare("SELECT count(*) FROM sessions WHERE id = ?1")?;
        let mut gone = connection.prepare("SELECT count(*) FROM tombstones WHERE id = ?1")?;
        let sessions: BTreeSet<_> = self.tried.values().chain(&self.deleting).collect();
        for session in sessions {
            let live: i64 = live.query_row([session], |row| row.get(0))?;
            let gone: i64 = gone.query_row([session], |row| row.get(0))?;
            if self.deleted.contains(session) && (live, gone) != (0, 1) {
                problems.push(format!("lost: the deletion of {session}"));
            }
            if gone > 0 && !self.deleting.contains(session) {
                problems.push(format!("ghost: {session} was deleted by nobody"));
            }
            if live > 0 && gone > 0 {
                problems.push(format!("torn: {session} lives and is deleted"));
            }
        }
        Ok(())
    }
}

/// The number of a text; `None` for one of a conversation where things are taken back.
fn number(text: &str) -> Option<u64> {
    let (prefix, number) = text.split_once('.')?;
    if prefix == "plain" { number.parse().ok() } else { None }
}
