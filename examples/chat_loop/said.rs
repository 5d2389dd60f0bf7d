//! A conversation as it is printed.

use session_supervisor::{ChatMessage, Entry, EntryMark, Timestamp};

use crate::words::{age, chain, harmless, shorten};

/// What stands for nothing.
const EMPTY: &str = "nothing has been said yet";

/// How many characters of an entry [`repeated`] shows.
const SHORT: usize = 150;

/// The conversation, a paragraph an entry.
pub(crate) fn history(entries: &[Entry<ChatMessage>], now: Timestamp) -> String {
    if entries.is_empty() {
        return EMPTY.to_owned();
    }
    entries.iter().map(|entry| paragraph(entry, usize::MAX, now)).collect::<Vec<_>>().join("\n")
}

/// The beginning of each of these entries, as a reminder.
pub(crate) fn repeated(entries: &[Entry<ChatMessage>], now: Timestamp) -> String {
    if entries.is_empty() {
        return EMPTY.to_owned();
    }
    entries.iter().map(|entry| paragraph(entry, SHORT, now)).collect::<Vec<_>>().join("\n")
}

/// One entry.
fn paragraph(entry: &Entry<ChatMessage>, max: usize, now: Timestamp) -> String {
    let mark = match entry.mark {
        EntryMark::Unanswered => " [unanswered]",
        EntryMark::Pending => " [being answered]",
        EntryMark::Aside => " [beside the conversation]",
        // What the content says is enough.
        _ => "",
    };
    let age = age(now.since(entry.at));
    match &entry.content {
        Ok(message) => {
            let who = match &*message.role {
                "user" => "you",
                "assistant" => "bot",
                other => other,
            };
            let content = message.content.trim_end();
            let whole = content.chars().count() <= max;
            let content = if whole { content.to_owned() } else { shorten(content, max) };
            format!("{who}: {}{mark}  ({age})", harmless(&content))
        }
        Err(error) => format!("entry {}: {}", entry.seq, chain(error)),
    }
}
