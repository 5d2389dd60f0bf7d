//! Settings as TOML and as JSON, durations and calendars: strict and lenient agree, and what is written
//! reads back.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::Value;
use session_supervisor::{Calendar, Config, ConfigWarning};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some((&kind, text)) = bytes.split_first() else { return Corpus::Reject };
    let Ok(text) = std::str::from_utf8(text) else { return Corpus::Reject };
    match kind {
        b't' => {
            let Ok(source) = toml::Deserializer::parse(text) else { return Corpus::Keep };
            agree(&toml::from_str(text), Config::lenient(source));
        }
        b'j' => {
            let mut source = serde_json::Deserializer::from_str(text);
            let lenient = Config::lenient(&mut source);
            // What stands behind the settings is for whoever reads on from there.
            if source.end().is_ok() {
                let strict = serde_json::from_str::<Config>(text);
                if let Ok(strict) = &strict
                    && strict.validate().is_ok()
                {
                    assert_eq!((strict, &Vec::new()), (&lenient.0, &lenient.1));
                }
                // JSON may have a name twice. Then the last one counts, and the strict way says what it finds first:
                // that, or what is wrong with the other one. So it is asked about what counts.
                match serde_json::from_str::<Value>(text) {
                    Ok(once) => agree(&serde_json::from_str(&once.to_string()), lenient),
                    Err(_) => agree(&strict, lenient),
                }
            }
        }
        b'c' => calendar(text),
        _ => return Corpus::Reject,
    }
    Corpus::Keep
});

/// Without a warning, both ways of reading are one; and what is read can be written and read again.
fn agree<E>(
    strict: &Result<Config, E>,
    (lenient, warnings): (Config, Vec<ConfigWarning>),
) {
    assert_eq!(lenient.validate(), Ok(()));
    match strict {
        Ok(strict) if strict.validate().is_ok() => {
            assert_eq!(warnings, []);
            assert_eq!(*strict, lenient);
        }
        Ok(_) | Err(_) => assert_ne!(warnings, []),
    }
    let written = serde_json::to_string(&lenient).expect("settings can be written");
    assert_eq!(serde_json::from_str::<Config>(&written).expect("and read"), lenient);
    // TOML has no numbers above the largest signed one.
    if let Ok(written) = toml::to_string(&lenient) {
        assert_eq!(toml::from_str::<Config>(&written).expect("and read"), lenient);
    }
}

/// A calendar prints its words, and the zone that was not said.
fn calendar(text: &str) {
    let Ok(calendar) = text.parse::<Calendar>() else { return };
    let printed = calendar.to_string();
    assert_eq!(printed.parse(), Ok(calendar));
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(printed == words || printed == format!("{words} UTC"), "{text:?} is {printed:?}");
}
