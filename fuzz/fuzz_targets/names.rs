//! Keys, ids and cursors: what is printed parses back, and what parses prints as it was written.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use session_supervisor::{Cursor, Generation, Incarnation, SessionId, SessionKey, StreamId};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        parses::<SessionId>(text);
        parses::<StreamId>(text);
        parses::<Cursor>(text);
        if let Some(key) = parses::<SessionKey>(text) {
            let segments = key.segments().collect::<Vec<_>>();
            assert!(segments.iter().all(|(_, value)| !value.is_empty()));
            assert!(text.starts_with(key.platform()));
            assert_eq!(text.split('/').count(), segments.len() + 1, "a segment is lost");
        }
        builds(text);
    }
    numbers(bytes);
});

/// Whatever parses has one form only.
fn parses<T: FromStr + Display + Debug + PartialEq>(text: &str) -> Option<T> {
    let value = text.parse::<T>().ok()?;
    assert_eq!(value.to_string(), text);
    Some(value)
}

/// Values of any text come back out of a key.
fn builds(text: &str) {
    let mut words = text.split('\n');
    let mut builder = SessionKey::builder(words.next().unwrap_or_default());
    let words: Vec<_> = words.collect();
    let (pairs, _) = words.as_chunks::<2>();
    for [name, value] in pairs {
        builder = builder.segment(name, value);
    }
    let Ok(key) = builder.build() else { return };
    assert_eq!(key.to_string().parse(), Ok(key.clone()));
    let segments = key.segments().map(|(name, value)| (name.to_owned(), value.into_owned()));
    let given = pairs.iter().map(|[name, value]| ((*name).to_owned(), (*value).to_owned()));
    assert!(segments.eq(given), "{key}");
}

/// Numbers print, and parse back.
fn numbers(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first_chunk::<8>() else { return };
    let Some((second, rest)) = rest.split_first_chunk::<8>() else { return };
    let (first, second) = (u64::from_le_bytes(*first), u64::from_le_bytes(*second));
    let stream = StreamId::new(Incarnation::new(first), Generation::new(second));
    assert_eq!(stream.to_string().parse(), Ok(stream));
    let id = SessionId::from_random(u128::from(first) << 64 | u128::from(second));
    assert_eq!(id.to_string().parse(), Ok(id));
    if let Some(third) = rest.first_chunk::<8>() {
        let cursor = Cursor::after(stream, u64::from_le_bytes(*third));
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }
}
