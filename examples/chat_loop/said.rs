//! A conversation as it is printed.

use session_supervisor::{ChatMessage, Entry, EntryMark, Timestamp};

use crate::words::{age, chain, harmless};

/// What stands for nothing.
const EMPTY: &str = "nothing has been said yet";

/// The conversation, a paragraph an entry.
pub(crate) fn history(entries: &[Entry<ChatMessage>], now: Timestamp) -> String {
    if entries.is_empty() {
        return EMPTY.to_owned();
    }
    entries.iter().map(|entry| paragraph(entry, now)).collect::<Vec<_>>().join("\n")
}

/// One entry.
fn paragraph(entry: &Entry<ChatMessage>, now: Timestamp) -> String {
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
            format!("{who}: {}{mark}  ({age})", harmless(message.content.trim_end()))
        }
        Err(error) => format!("entry {}: {}", entry.seq, chain(error)),
    }
}
