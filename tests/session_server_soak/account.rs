//! What a client knows of its session, and whether the records are that.

use serde_json::Value;

use super::plan::answer;

/// A session, as far as its client knows.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) id: String,
    /// What was said in the turns of which a client was told that they are recorded, each with the round in which it was
    /// said. Within a round several run at once, in an order that nobody is told.
    committed: Vec<(usize, String)>,
    /// What was said in turns whose client has left: recorded or not.
    open: Vec<String>,
    /// The round.
    round: usize,
    /// A turn that is over.
    pub(crate) over: Option<String>,
    /// How many chats there were.
    pub(crate) chats: usize,
}

impl Account {
    pub(crate) fn new(id: String) -> Self {
        Self { id, ..Self::default() }
    }

    /// What comes now comes after what was.
    pub(crate) fn next_round(&mut self) {
        self.round += 1;
    }

    /// A client was told that it is recorded.
    pub(crate) fn commit(&mut self, text: &str) {
        self.committed.push((self.round, text.to_owned()));
    }

    /// A client has left, and does not know.
    pub(crate) fn leave_open(&mut self, text: &str) {
        self.open.push(text.to_owned());
    }

    /// Holds the records against what was told; answers how many there are.
    pub(crate) fn check(&mut self, session: &Value) -> Result<usize, String> {
        let records = session["records"].as_array().ok_or("no records")?;
        let (mut round, mut found) = (0, vec![false; self.committed.len()]);
        for record in records {
            let text = said(record)?;
            let told = self.committed.iter().position(|(_, told)| told == text);
            if let Some(at) = told {
                if std::mem::replace(&mut found[at], true) {
                    return Err(format!("{text} is recorded twice"));
                }
                let now = self.committed[at].0;
                if now < round {
                    return Err(format!("{text} is recorded after what was said later"));
                }
                round = now;
            } else if let Some(at) = self.open.iter().position(|open| open == text) {
                // From now on it is known.
                let known = self.open.swap_remove(at);
                self.committed.push((round, known));
                found.push(true);
            } else {
                return Err(format!("{text} is recorded, and nobody was told"));
            }
        }
        match found.iter().position(|found| !found) {
            Some(lost) => Err(format!("{} is not recorded", self.committed[lost].1)),
            None => Ok(records.len()),
        }
    }

    /// Of those whose client has left, none is left that may still be recorded.
    pub(crate) fn settle(&mut self) {
        self.open.clear();
    }
}

/// What was said in a record, which has to be whole.
fn said(record: &Value) -> Result<&str, String> {
    let text = record["request"]["messages"][0]["content"].as_str();
    let text = text.ok_or_else(|| format!("a record without a request: {record}"))?;
    let response = &record["response"];
    let whole = record["status_code"] == 200
        && record["path"] == "/v1/chat/completions"
        && response["object"] == "chat.completion"
        && response["choices"][0]["finish_reason"] == "stop"
        && response["choices"][0]["message"]["content"] == answer(text).as_str();
    whole.then_some(text).ok_or_else(|| format!("a record that was not said: {record}"))
}
