//! The sessions of one user, and how they are named on a command line.

use session_supervisor::{ReadError, Record, RecordFilter, SessionId, SessionKey, Supervisor};

use crate::words::{age, count};

/// How many records are read at once.
const PAGE: usize = 256;

/// How many characters of an id a list shows.
const ID_CHARS: usize = 8;

/// Which session a word on the command line means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// This one; it may be gone.
    Session(SessionId),
    /// Several start so.
    Several,
    /// None.
    Nothing,
}

/// The sessions that were created under `key`, oldest first.
pub(crate) async fn under(
    supervisor: &Supervisor,
    key: &SessionKey,
) -> Result<Vec<Record>, ReadError> {
    let mut filter = RecordFilter::default();
    filter.platform = Some(key.platform().to_owned());
    let (mut records, mut after) = (Vec::new(), None);
    loop {
        let page = supervisor.list(filter.clone(), after, PAGE).await?;
        records.extend(page.records.into_iter().filter(|record| record.key.as_ref() == Some(key)));
        after = page.next;
        if after.is_none() {
            return Ok(records);
        }
    }
}

/// The beginning of an id, enough for people.
pub(crate) fn short(id: &SessionId) -> String {
    id.to_string().chars().take(ID_CHARS).collect()
}

/// The list that is printed; `open` is the session that is open.
pub(crate) fn list(supervisor: &Supervisor, records: &[Record], open: &SessionId) -> String {
    let now = supervisor.now();
    let line = |(index, record): (usize, &Record)| {
        let mark = if record.id == *open { ">" } else { " " };
        let entries = count(record.entries, "entry", "entries");
        let replying = if record.open.is_empty() { "" } else { ", replying" };
        let (id, age) = (short(&record.id), age(now.since(record.last_active_at)));
        let label = record.label.as_deref().unwrap_or("(nothing said yet)");
        format!("{mark} {}  {id}  {label}  ({entries}, {age}{replying})", index + 1)
    };
    records.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

/// Which session `word` means: a number of the list `listed`, an id, or the beginning of one.
pub(crate) fn named(word: &str, listed: &[SessionId], records: &[Record]) -> Named {
    let number = word.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    if let Some(id) = number.and_then(|index| listed.get(index)) {
        return Named::Session(id.clone());
    }
    let ids = records.iter().map(|record| &record.id).chain(listed);
    let mut found = ids.filter(|id| id.to_string().starts_with(word)).collect::<Vec<_>>();
    found.sort();
    found.dedup();
    match (found.as_slice(), word.parse()) {
        ([id], _) => Named::Session((*id).clone()),
        ([], Ok(id)) => Named::Session(id),
        ([], Err(_)) => Named::Nothing,
        _ => Named::Several,
    }
}
