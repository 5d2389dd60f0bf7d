//! A conversation as it is printed.

use std::collections::HashMap;

use session_supervisor::{ChatMessage, Entry, EntryMark, Partial, StreamId, Timestamp};

use crate::words::{age, chain, harmless, shorten};

/// What stands for nothing.
const EMPTY: &str = "nothing has been said yet";

/// What to do about a reply that was interrupted.
const INTERRUPTED: &str = "this reply was interrupted; /retry does it over";

/// How many characters of an entry [`repeated`] shows.
const SHORT: usize = 150;

/// What is kept of replies that were interrupted.
pub(crate) type Partials = HashMap<StreamId, Partial>;

/// The conversation, a paragraph an entry.
pub(crate) fn history(
    entries: &[Entry<ChatMessage>],
    partials: &Partials,
    now: Timestamp,
) -> String {
    print(entries, partials, usize::MAX, now)
}

/// The beginning of each of these entries, as a reminder. A reply that was interrupted at their end is
/// shown as far as it is kept: nobody may have seen it.
pub(crate) fn repeated(
    entries: &[Entry<ChatMessage>],
    partials: &Partials,
    now: Timestamp,
) -> String {
    print(entries, partials, SHORT, now)
}

/// What to do about the last of these entries, if it has no whole reply.
pub(crate) fn hint(entries: &[Entry<ChatMessage>], partials: &Partials) -> Option<&'static str> {
    let last = entries.last()?;
    let begun = last.stream.is_some_and(|stream| partials.contains_key(&stream));
    match last.mark {
        EntryMark::Partial => Some(INTERRUPTED),
        EntryMark::Unanswered if begun => Some(INTERRUPTED),
        EntryMark::Unanswered => Some("this was not answered; /retry asks again"),
        _ => None,
    }
}

/// These entries, each shortened to `max` characters, with what is kept of the replies they did not get.
fn print(
    entries: &[Entry<ChatMessage>],
    partials: &Partials,
    max: usize,
    now: Timestamp,
) -> String {
    if entries.is_empty() {
        return EMPTY.to_owned();
    }
    let mut paragraphs = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        paragraphs.push(paragraph(entry, max, now));
        let unanswered = entry.mark == EntryMark::Unanswered;
        let partial = entry.stream.filter(|_| unanswered).and_then(|it| partials.get(&it));
        if let Some(partial) = partial {
            let max = if number + 1 == entries.len() { usize::MAX } else { max };
            paragraphs.push(format!("bot: {} [interrupted]", content(&partial.text, max)));
        }
    }
    paragraphs.join("\n")
}

/// One entry.
fn paragraph(entry: &Entry<ChatMessage>, max: usize, now: Timestamp) -> String {
    let mark = match entry.mark {
        EntryMark::Unanswered => " [unanswered]",
        EntryMark::Pending => " [being answered]",
        EntryMark::Partial => " [interrupted]",
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
            format!("{who}: {}{mark}  ({age})", content(&message.content, max))
        }
        Err(error) => format!("entry {}: {}", entry.seq, chain(error)),
    }
}

/// What somebody said, shortened to `max` characters.
fn content(text: &str, max: usize) -> String {
    let text = text.trim_end();
    let whole = text.chars().count() <= max;
    harmless(&if whole { text.to_owned() } else { shorten(text, max) })
}
