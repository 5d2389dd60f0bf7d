//! A small bot that needs no network: it looks at what was said, now and before. The same
//! conversation always gets the same replies.

use session_supervisor::ChatMessage;

/// Long enough to type something while it is told.
const STORY: &str = "Once there was a lighthouse keeper who answered every ship. One night two \
ships called at the same moment, and she said to the second: wait, I am speaking. It waited, and \
was answered. Another night a storm put out her lamp in the middle of a word. When it burned \
again she looked into her book, found the ship's question in it and no answer, and wrote beside \
it: interrupted, ask again. The ship did. And when a captain once said: forget that I was here, \
she tore out the page while she was still talking to him, and the next morning nobody could say \
what had been on it, only that there had been one. Ships liked that harbour. The end.";

/// What to say when nothing better comes to mind; which one depends on what was said.
const OPENINGS: [&str; 4] = [
    "I am a small program and understand less than it seems, but I am listening.",
    "Noted, and kept: even if I am killed in the middle of this sentence.",
    "Tell me more about that.",
    "I would have to be a larger model to answer that well.",
];

/// The reply to `text`, the last thing that was said in `messages`.
pub(crate) fn reply(text: &str, messages: &[ChatMessage]) -> String {
    let lower = text.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| has_words(&lower, word));
    let name = messages.iter().rev().filter(|message| message.role == "user");
    let name = name.flat_map(|message| message.content.lines().rev()).find_map(introduced);
    let dear = name.as_ref().map_or_else(String::new, |name| format!(", {name}"));
    if let Some(name) = introduced(text) {
        return format!("Pleased to meet you, {name}. I will remember that, across restarts too.");
    }
    if has(&["my name", "who am i"]) {
        return name.map_or_else(
            || "You have not told me. Say: my name is Ada.".to_owned(),
            |name| format!("You are {name}; you told me so yourself."),
        );
    }
    if has(&["story", "lighthouse"]) {
        return STORY.to_owned();
    }
    if has(&["hello", "hi", "hey", "good morning", "good evening"]) {
        return format!(
            "Hello{dear}! Ask me for a story and type on while I tell it, or stop me with Ctrl-C."
        );
    }
    if has(&["thanks", "thank you"]) {
        return format!("You are welcome{dear}.");
    }
    if has(&["bye", "goodbye", "good night"]) {
        return format!("Goodbye{dear}. Everything is kept; /quit leaves.");
    }
    if let Some(result) = sum(text) {
        return result;
    }
    remark(text, messages)
}

/// Something for everything else.
fn remark(text: &str, messages: &[ChatMessage]) -> String {
    let said: Vec<_> = messages.iter().filter(|message| message.role == "user").collect();
    let seed = text.chars().fold(0_usize, |sum, c| sum.wrapping_mul(31).wrapping_add(c as usize));
    let opening = if text.trim_end().ends_with('?') {
        "A good question."
    } else {
        OPENINGS.get(seed % OPENINGS.len()).copied().unwrap_or_default()
    };
    let words = text.split_whitespace().count();
    let counted = match words {
        1 => format!("You said one word, “{}”.", text.trim()),
        _ => format!("You said {words} words, the longest of them “{}”.", longest(text)),
    };
    match said.len().checked_sub(2).and_then(|before| said.get(before)) {
        Some(before) => {
            let before = crate::words::shorten(&before.content, 40);
            format!("{opening} {counted} Before that it was “{before}”.")
        }
        None => format!("{opening} {counted}"),
    }
}

/// The name that `text` introduces.
fn introduced(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let start = ["my name is ", "call me "].iter().find_map(|phrase| {
        let at = lower.find(phrase)? + phrase.len();
        text.get(at..)
    })?;
    let name: String =
        start.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '-' | '\'')).collect();
    (!name.is_empty()).then_some(name)
}

/// Whether `text` has `phrase` in it as whole words.
fn has_words(text: &str, phrase: &str) -> bool {
    let words: Vec<_> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let phrase: Vec<_> = phrase.split(' ').collect();
    words.windows(phrase.len()).any(|window| window == phrase)
}

/// The answer to a sum such as `2 + 3`.
fn sum(text: &str) -> Option<String> {
    let words: Vec<_> = text.trim_end_matches(['?', '.', '=']).split_whitespace().collect();
    words.windows(3).find_map(|window| {
        let [left, sign, right] = window else { return None };
        let (a, b): (i64, i64) = (left.parse().ok()?, right.parse().ok()?);
        let result = match *sign {
            "+" | "plus" => a.checked_add(b)?,
            "-" | "minus" => a.checked_sub(b)?,
            "*" | "x" | "times" => a.checked_mul(b)?,
            _ => return None,
        };
        Some(format!("{left} {sign} {right} is {result}."))
    })
}

/// The longest word of `text`.
fn longest(text: &str) -> &str {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words.max_by_key(|word| word.chars().count()).unwrap_or_default()
}
