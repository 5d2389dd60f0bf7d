//! Small words: errors, ages and labels as people read them.

use std::error::Error;
use std::time::Duration;

/// An error with everything that led to it.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors print their source themselves.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// How long ago, in the largest unit that fits.
pub(crate) fn age(age: Duration) -> String {
    match age.as_secs() {
        0 => "just now".to_owned(),
        seconds @ 1..60 => format!("{seconds} s ago"),
        seconds @ 60..3_600 => format!("{} min ago", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h ago", seconds / 3_600),
        seconds => format!("{} d ago", seconds / 86_400),
    }
}

/// The beginning of `text` on one line, at most `max` characters.
pub(crate) fn shorten(text: &str, max: usize) -> String {
    let mut short = String::new();
    for word in text.split_whitespace() {
        let taken = short.chars().count();
        let room = max.saturating_sub(taken + usize::from(taken > 0));
        if word.chars().count() > room {
            if taken == 0 {
                short.extend(word.chars().take(max));
            }
            short.push('…');
            break;
        }
        if taken > 0 {
            short.push(' ');
        }
        short.push_str(word);
    }
    short
}

/// `1 entry`, `2 entries`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// `text` without what a terminal would obey; line breaks stay.
pub(crate) fn harmless(text: &str) -> String {
    let clean = |c: char| match c {
        '\t' => Some(' '),
        '\n' => Some('\n'),
        c if c.is_control() => None,
        c => Some(c),
    };
    text.chars().filter_map(clean).collect()
}
