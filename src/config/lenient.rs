//! Settings for a process that has to start, whatever its file says.
//!
//! The names are not listed here a second time: which settings there are is asked of the types
//! themselves, by reading them from nothing ([`Shape`]).

mod shape;

use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use self::shape::Shape;
use super::{Config, ConfigError};

/// How much of what was found is told, in bytes.
const TOLD: usize = 120;

/// A setting that was not taken over by [`Config::lenient`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigWarning {
    /// Which setting, with dots; empty if nothing could be read.
    pub field: String,
    /// What was found there, as JSON; if that is long, its beginning.
    pub found: String,
    /// What is wrong with it.
    pub problem: ConfigProblem,
    /// What counts instead, as JSON; `None` if that is nothing.
    pub taken: Option<String>,
}

/// What is wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigProblem {
    /// There is no such setting.
    Unknown {
        /// The one that was probably meant: its name, in the same table.
        nearest: Option<&'static str>,
    },
    /// It is not the table that it must be.
    NoTable,
    /// It cannot be read.
    Unreadable {
        /// What the reader says.
        message: String,
    },
    /// It is out of its bounds.
    OutOfBounds {
        /// What it must be.
        rule: &'static str,
    },
}

impl Config {
    /// The settings of a source in which anything may be wrong; for a gateway that has to start anyway.
    ///
    /// What is right is taken over, setting by setting. What is not is as if it were not there, and is
    /// one warning each: a name that does not exist, a value that cannot be read, one that is out of
    /// its bounds. A policy such as [`busy`](Self::busy) is one setting, with all that is in it. If settings are wrong only
    /// together, those stay that can. A source that is no table, or breaks off, is one warning, and all
    /// settings have their defaults.
    ///
    /// What comes of it always [validates](Self::validate). A source without a warning is one that the
    /// strict way reads, to the same settings; but where a name is there twice, which JSON allows, the last
    /// one counts here, and the strict way refuses it.
    ///
    /// ```
    /// use session_supervisor::Config;
    ///
    /// let text = "[turns]\ncancel_grace = \"2s\"\nabort_after = \"soon\"\n[tombstone]\nkeep_for = \"1h\"";
    /// let (config, warnings) = Config::lenient(toml::Deserializer::parse(text)?);
    ///
    /// assert_eq!(config.turns.cancel_grace.as_secs(), 2);
    /// assert_eq!(config.turns.abort_after.as_secs(), 3); // the default
    /// let said: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    /// assert!(said[0].starts_with("there is no setting `tombstone`; was `tombstones` meant?"));
    /// assert!(said[1].starts_with("setting `turns.abort_after` is \"soon\", but"));
    /// assert!(said[1].ends_with("\"3s\" is taken instead"));
    /// # Ok::<(), toml::de::Error>(())
    /// ```
    pub fn lenient<'de, D: Deserializer<'de>>(source: D) -> (Self, Vec<ConfigWarning>) {
        let mut sieve = Sieve::default();
        match Value::deserialize(source) {
            Ok(Value::Object(table)) => sieve.table(&mut Vec::new(), table),
            Ok(other) => sieve.refused.push((Setting::whole(other), ConfigProblem::NoTable)),
            Err(error) => {
                let message = error.to_string();
                let problem = ConfigProblem::Unreadable { message };
                sieve.refused.push((Setting::whole(Value::Null), problem));
            }
        }
        let (config, mut refused) = settle(sieve.settings, read);
        refused.append(&mut sieve.refused);
        refused.sort_by(|(one, _), (other, _)| one.path.cmp(&other.path));
        let counts = serde_json::to_value(&config).unwrap_or_default();
        let warnings = refused.into_iter().map(|(setting, why)| setting.warning(why, &counts));
        (config, warnings.collect())
    }
}

/// One value of a source.
#[derive(Clone, Debug)]
struct Setting {
    /// Where it stands.
    path: Vec<String>,
    /// What it is.
    value: Value,
}

impl Setting {
    /// All of the source.
    const fn whole(value: Value) -> Self {
        Self { path: Vec::new(), value }
    }

    /// Whether an error names it, or something in it.
    fn is_named_by(&self, error: &ConfigError) -> bool {
        let rest = error.field.strip_prefix(self.path.join(".").as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// What is told of it; `counts` are the settings that count.
    fn warning(self, problem: ConfigProblem, counts: &Value) -> ConfigWarning {
        let mut found = self.value.to_string();
        if found.len() > TOLD {
            let end = (0..=TOLD).rev().find(|at| found.is_char_boundary(*at)).unwrap_or_default();
            found.truncate(end);
            found.push('…');
        }
        let is_setting = !self.path.is_empty() && !matches!(problem, ConfigProblem::Unknown { .. });
        let taken = self.path.iter().try_fold(counts, |value, name| value.get(name));
        let taken = taken.filter(|value| is_setting && !value.is_null()).map(Value::to_string);
        let names = self.path.iter().map(|name| {
            let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            let quoted = name.is_empty() || !name.chars().all(is_bare);
            if quoted { Value::from(name.as_str()).to_string() } else { name.clone() }
        });
        let field = names.collect::<Vec<_>>().join(".");
        ConfigWarning { field, found, problem, taken }
    }
}

/// What a source is sorted into.
#[derive(Debug, Default)]
struct Sieve {
    /// What can be read, one by one.
    settings: Vec<Setting>,
    /// What cannot.
    refused: Vec<(Setting, ConfigProblem)>,
}

impl Sieve {
    /// Sorts what is in the table at `path`.
    fn table(&mut self, path: &mut Vec<String>, table: Map<String, Value>) {
        let shape = Shape::at(path);
        for (name, value) in table {
            path.push(name);
            self.entry(&shape, path, value);
            path.pop();
        }
    }

    /// Sorts what stands at `path`, in a table of that shape.
    fn entry(&mut self, shape: &Shape, path: &mut Vec<String>, value: Value) {
        let name = path.last().map(String::as_str).unwrap_or_default();
        if let Shape::Table(names) = shape
            && !names.contains(&name)
        {
            let nearest = nearest(name, names);
            let setting = Setting { path: path.clone(), value };
            return self.refused.push((setting, ConfigProblem::Unknown { nearest }));
        }
        match (Shape::at(path), value) {
            (Shape::Table(_) | Shape::Map, Value::Object(table)) => {
                // It counts that it is there, whatever is in it.
                let value = Value::Object(Map::new());
                self.settings.push(Setting { path: path.clone(), value });
                self.table(path, table);
            }
            (Shape::Table(_) | Shape::Map, value) => {
                let setting = Setting { path: path.clone(), value };
                self.refused.push((setting, ConfigProblem::NoTable));
            }
            (Shape::Leaf, value) => {
                let setting = Setting { path: path.clone(), value };
                match parse(std::slice::from_ref(&setting)) {
                    Ok(_) => self.settings.push(setting),
                    Err(problem) => self.refused.push((setting, problem)),
                }
            }
        }
    }
}

/// Why settings are not right together.
#[derive(Debug)]
struct Refusal {
    /// What is wrong with one of them.
    problem: ConfigProblem,
    /// With which, if that is known.
    field: Option<ConfigError>,
}

/// Reads `settings`, and nothing else.
fn parse(settings: &[Setting]) -> Result<Config, ConfigProblem> {
    let mut table = Map::new();
    for Setting { path, value } in settings {
        let Some((last, above)) = path.split_last() else { continue };
        let mut inner = Some(&mut table);
        for name in above {
            let next = inner.and_then(|table| {
                table
                    .entry(name.as_str())
                    .or_insert_with(|| Value::Object(Map::new()))
                    .as_object_mut()
            });
            inner = next;
        }
        if let Some(inner) = inner {
            // A table is there twice: as such, and as what its settings stand in.
            inner.entry(last.as_str()).or_insert_with(|| value.clone());
        }
    }
    Config::deserialize(Value::Object(table))
        .map_err(|error| ConfigProblem::Unreadable { message: error.to_string() })
}

/// Reads and checks `settings`, and nothing else.
fn read(settings: &[Setting]) -> Result<Config, Refusal> {
    let config = parse(settings).map_err(|problem| Refusal { problem, field: None })?;
    match config.validate() {
        Ok(()) => Ok(config),
        Err(error) => {
            let problem = ConfigProblem::OutOfBounds { rule: error.rule };
            Err(Refusal { problem, field: Some(error) })
        }
    }
}

/// As many of `settings` as are right together, and the others. None of those can be added.
fn settle<C: Default>(
    mut settings: Vec<Setting>,
    read: impl Fn(&[Setting]) -> Result<C, Refusal>,
) -> (C, Vec<(Setting, ConfigProblem)>) {
    let mut refused = Vec::new();
    let mut config = loop {
        match read(&settings) {
            Ok(config) => break config,
            Err(_) if settings.is_empty() => break C::default(),
            Err(refusal) => {
                let is_named = |setting: &Setting| {
                    refusal.field.as_ref().is_some_and(|error| setting.is_named_by(error))
                };
                let named = settings.iter().enumerate().filter(|(_, setting)| is_named(setting));
                // A table is named with each of its settings.
                match named.max_by_key(|(_, setting)| setting.path.len()).map(|(at, _)| at) {
                    Some(at) => refused.push((settings.remove(at), refusal.problem)),
                    // Then they come one by one.
                    None => refused.extend(
                        settings.drain(..).map(|setting| (setting, refusal.problem.clone())),
                    ),
                }
            }
        }
    };
    // One may be wrong only without another, or only with one that was refused since.
    loop {
        let before = refused.len();
        for (setting, _) in std::mem::take(&mut refused) {
            settings.push(setting.clone());
            match read(&settings) {
                Ok(better) => config = better,
                Err(refusal) => {
                    settings.pop();
                    refused.push((setting, refusal.problem));
                }
            }
        }
        if refused.len() == before {
            return (config, refused);
        }
    }
}

/// The name that was probably meant by `name`.
fn nearest(name: &str, names: &'static [&'static str]) -> Option<&'static str> {
    // Beyond that it is another word.
    let most = 1 + name.chars().count() / 3;
    let far = names.iter().map(|known| (distance(name, known, most), *known));
    far.filter(|(far, _)| *far <= most).min_by_key(|(far, _)| *far).map(|(_, known)| known)
}

/// How many letters have to be changed, put in or taken out to come from one word to another; anything
/// above `most` if it is more.
fn distance(one: &str, other: &str, most: usize) -> usize {
    if one.len().abs_diff(other.len()) > 4 * most {
        return most + 1;
    }
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut diagonal = at;
        let mut left = at + 1;
        for (cell, known) in
            row.iter_mut().zip(std::iter::once(None).chain(other.chars().map(Some)))
        {
            let above = *cell;
            if let Some(known) = known {
                let changed = diagonal + usize::from(known != letter);
                left = changed.min(above + 1).min(left + 1);
            }
            *cell = left;
            diagonal = above;
        }
    }
    row.last().copied().unwrap_or_default()
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, found, problem, taken } = self;
        let taken = taken.as_deref().unwrap_or("nothing");
        match problem {
            ConfigProblem::Unknown { nearest: Some(nearest) } => {
                write!(f, "there is no setting `{field}`; was `{nearest}` meant? It is {found}")
            }
            ConfigProblem::Unknown { nearest: None } => {
                write!(f, "there is no setting `{field}`; it is {found}")
            }
            ConfigProblem::NoTable if field.is_empty() => {
                write!(
                    f,
                    "the settings are {found}, but they must be a table; the defaults are taken"
                )
            }
            ConfigProblem::Unreadable { message } if field.is_empty() => {
                write!(f, "the settings cannot be read: {message}; the defaults are taken")
            }
            ConfigProblem::NoTable => {
                write!(
                    f,
                    "setting `{field}` is {found}, but it must be a table; {taken} is taken instead"
                )
            }
            ConfigProblem::Unreadable { message } => {
                write!(f, "setting `{field}` is {found}, but {message}; {taken} is taken instead")
            }
            ConfigProblem::OutOfBounds { rule } => {
                write!(f, "setting `{field}` is {found}, but {rule}; {taken} is taken instead")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{BusyPolicy, PartialPolicy, StallAction, UnknownPolicy};

    fn lenient(source: &Value) -> (Config, BTreeMap<String, ConfigProblem>) {
        let (config, warnings) = Config::lenient(source);
        assert_eq!(config.validate(), Ok(()));
        (config, warnings.into_iter().map(|it| (it.field, it.problem)).collect())
    }

    // X2
    #[test]
    fn what_is_right_stays_and_what_is_not_is_one_warning_each() {
        let (config, warnings) = Config::lenient(json!({
            "busy": { "queue": { "max": 3, "wait": "90s" } },
            "unknown": "creat",
            "turns": { "cancel_grace": "250ms", "abort_after": -5, "cancel_grcae": "1s" },
            "stalls": [],
            "idle": { "unload_after": "1ms", "max_live": 7 },
            "classes": { "night.owl": { "expiry": { "age": "30d", "idle": "1ms" } }, "day": 3 },
            "\u{1b}[0m": null,
        }));
        assert_eq!(config.busy, BusyPolicy::Queue { max: 3, wait: Some(Duration::from_secs(90)) });
        assert_eq!(config.turns.cancel_grace, Duration::from_millis(250));
        assert_eq!(config.idle.max_live, 7);
        assert_eq!(config.classes["night.owl"].expiry.age, Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(config.classes.len(), 1);
        let said: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "there is no setting `\"\\u001b[0m\"`; it is null",
                "setting `classes.day` is 3, but it must be a table; nothing is taken instead",
                "setting `classes.\"night.owl\".expiry.idle` is \"1ms\", but it must be 0, or between \
                 1s and 100 years; nothing is taken instead",
                "setting `idle.unload_after` is \"1ms\", but it must be 0, or between 1s and 100 \
                 years; \"15m\" is taken instead",
                "setting `stalls` is [], but it must be a table; {\"action\":\"observe\",\
                 \"check_every\":\"1s\",\"model\":\"5m\",\"tool\":\"30m\",\"total\":\"0s\"} is taken \
                 instead",
                "setting `turns.abort_after` is -5, but invalid type: integer `-5`, expected a \
                 duration; \"3s\" is taken instead",
                "there is no setting `turns.cancel_grcae`; was `cancel_grace` meant? It is \"1s\"",
                "setting `unknown` is \"creat\", but unknown variant `creat`, expected `not_found` or \
                 `create`; \"not_found\" is taken instead",
            ]
        );
    }

    // X2
    #[test]
    fn a_source_that_is_no_table_is_one_warning() {
        for source in [json!(null), json!([1, 2]), json!("[turns]")] {
            let (config, warnings) = Config::lenient(&source);
            assert_eq!(config, Config::default());
            assert_eq!(warnings.len(), 1);
            assert_eq!(warnings[0].problem, ConfigProblem::NoTable);
            assert!(warnings[0].to_string().contains("the defaults are taken"));
        }
        let broken = "{ \"unknown\": \"create\", \"turns\": ";
        let (config, warnings) = Config::lenient(&mut serde_json::Deserializer::from_str(broken));
        assert_eq!(config, Config::default());
        assert!(matches!(&warnings[..], [ConfigWarning {
            problem: ConfigProblem::Unreadable { .. }, field, ..
        }] if field.is_empty()));
    }

    // X2. A fuzzer had the strict way complain of what is in the first one, and the lenient way of nothing.
    #[test]
    fn of_two_of_one_name_the_last_one_counts_whatever_is_in_the_first() {
        let first =
            r#"{ "partials": { "no_setting": 1 }, "partials": { "interrupted": "entry" } }"#;
        let (config, warnings) = Config::lenient(&mut serde_json::Deserializer::from_str(first));
        assert_eq!(config.partials.interrupted, PartialPolicy::Entry);
        assert_eq!(warnings, []);
        assert!(serde_json::from_str::<Config>(first).is_err());
    }

    // X2
    #[test]
    fn a_policy_is_one_setting() {
        let (config, warnings) = lenient(&json!({
            "busy": { "queue": { "max": 3, "wiat": "90s" } },
            "partials": { "interrupted": "drop" },
        }));
        assert_eq!(config.busy, BusyPolicy::Reject);
        assert_eq!(config.partials.interrupted, PartialPolicy::Drop);
        assert!(matches!(&warnings["busy"], ConfigProblem::Unreadable { message }
            if message.contains("wiat")));
        let (config, warnings) = lenient(&json!({ "busy": { "interrupt": { "grace": "2h" } } }));
        assert_eq!(config.busy, BusyPolicy::Reject);
        assert!(matches!(warnings["busy"], ConfigProblem::OutOfBounds { .. }));
    }

    // X2
    #[test]
    fn long_findings_are_told_in_part() {
        let (_, warnings) = Config::lenient(json!({ "unknown": "ä".repeat(1_000) }));
        assert!(warnings[0].found.len() <= TOLD + '…'.len_utf8());
        assert!(warnings[0].found.ends_with('…'));
    }

    #[test]
    fn the_nearest_name_is_suggested_and_no_other_word() {
        const NAMES: &[&str] = &["cancel_grace", "abort_after", "age", "idle"];
        for (name, known) in [
            ("cancel_grce", Some("cancel_grace")),
            ("abort-after", Some("abort_after")),
            ("idel", Some("idle")),
            ("aeg", Some("age")),
            ("keep_for", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, NAMES), known, "{name}");
        }
        assert_eq!(distance("kitten", "sitting", 9), 3);
        assert_eq!(distance("", "abc", 9), 3);
        assert_eq!(distance("abc", "", 9), 3);
        assert!(nearest(&"x".repeat(100_000), NAMES).is_none());
    }

    /// The settings among the numbers that are right together: what `rule` says, and none is above 9.
    fn settle_numbers(
        numbers: &[(&str, u64)],
        rule: impl Fn(&BTreeMap<String, u64>) -> Option<&'static str>,
    ) -> (Vec<String>, Vec<String>) {
        let settings = numbers
            .iter()
            .map(|(name, value)| Setting { path: vec![(*name).to_owned()], value: json!(value) });
        let read = |settings: &[Setting]| {
            let pairs = settings.iter().map(|it| (it.path[0].clone(), it.value.as_u64().unwrap()));
            let numbers: BTreeMap<String, u64> = pairs.collect();
            let above = numbers.iter().find(|(_, number)| **number > 9);
            match above.map(|(name, _)| name.clone()).or(rule(&numbers).map(str::to_owned)) {
                None => Ok(numbers),
                Some(field) => {
                    let (field, value) = (field.into(), String::new());
                    let error = ConfigError { field, value, rule: "" };
                    let problem = ConfigProblem::OutOfBounds { rule: "" };
                    Err(Refusal { problem, field: Some(error) })
                }
            }
        };
        let (taken, refused) = settle(settings.collect(), read);
        (
            taken.into_keys().collect(),
            refused.into_iter().map(|(it, _)| it.path[0].clone()).collect(),
        )
    }

    // X2
    #[test]
    fn of_settings_that_are_wrong_together_as_many_stay_as_can() {
        // `low`, 3 by default, is at most `high`, 5 by default; the error names whichever is asked for.
        for named in ["low", "high"] {
            let rule = |it: &BTreeMap<String, u64>| {
                let (low, high) = (it.get("low").unwrap_or(&3), it.get("high").unwrap_or(&5));
                (low > high).then_some(named)
            };
            let settle = |numbers: &[(&str, u64)]| settle_numbers(numbers, rule).0;
            assert_eq!(settle(&[("low", 7), ("high", 8)]), ["high", "low"]);
            assert_eq!(settle(&[("low", 7), ("x", 1)]), ["x"]);
            assert_eq!(settle(&[("high", 2), ("x", 1)]), ["x"]);
            assert_eq!(settle(&[("low", 4), ("high", 3), ("x", 1)]).len(), 2);
            assert_eq!(settle(&[("low", 7), ("high", 10), ("x", 1)]), ["x"]);
        }
        // An error about neither.
        let rule = |it: &BTreeMap<String, u64>| (it.len() > 1).then_some("all");
        let (taken, refused) = settle_numbers(&[("a", 1), ("b", 1)], rule);
        assert_eq!((taken.len(), refused.len()), (1, 1));
    }

    /// Places, and at each what is right and what is not.
    fn places() -> Vec<(&'static str, Vec<Value>, Vec<Value>)> {
        let spans = |good: &[&str], bad: &[&str]| {
            let bad = bad.iter().map(|it| json!(it));
            let nonsense =
                [json!(3), json!("soon"), json!("-5s"), json!([]), json!({}), json!(true)];
            (good.iter().map(|it| json!(it)).collect(), bad.chain(nonsense).collect())
        };
        let usual = || spans(&["0s", "1s", "90d", "2h 30m"], &["1ms", "200years"]);
        let count = || {
            let bad = vec![json!(-1), json!(0), json!(1.5), json!("3"), json!(4e19)];
            (vec![json!(1), json!(4_000_000_000_u32)], bad)
        };
        let calendar = || {
            let bad = ["", "25:00", "04:00 Atlantis", "noday 04:00"].map(|it| json!(it)).to_vec();
            (vec![json!("never"), json!("04:00"), json!("monday 04:00 Europe/Berlin")], bad)
        };
        let action = || {
            (vec![json!("archive"), json!("delete")], vec![json!("Delete"), json!({ "delete": 1 })])
        };
        let busy = (
            vec![
                json!("reject"),
                json!({ "queue": {} }),
                json!({ "interrupt": { "grace": "1s" } }),
            ],
            vec![
                json!("queue"),
                json!({ "interrupt": { "grace": "2h" } }),
                json!({ "queue": { "mx": 1 } }),
                json!({}),
            ],
        );
        let stall = (vec![json!("observe"), json!("act")], vec![json!("panic"), json!(0)]);
        let unknown =
            (vec![json!("not_found"), json!("create")], vec![json!("found"), json!(null)]);
        [
            ("busy", busy),
            ("unknown", unknown),
            ("stalls.action", stall),
            ("turns.cancel_grace", spans(&["0s", "1h"], &["61m"])),
            ("turns.abort_after", spans(&["0s", "1ms"], &["1d"])),
            ("stalls.check_every", spans(&["10ms"], &["0s", "2h"])),
            ("idle.unload_after", usual()),
            ("idle.max_live", (vec![json!(0), json!(9)], vec![json!(-1), json!("9")])),
            ("expiry.idle", usual()),
            ("expiry.age", usual()),
            ("expiry.calendar", calendar()),
            ("expiry.action", action()),
            ("classes.discord.expiry.idle", usual()),
            ("classes.discord.expiry.calendar", calendar()),
            ("classes..expiry.age", usual()),
            ("classes.never mind.expiry.action", action()),
            ("prune.every", usual()),
            ("prune.finalize_attempts", count()),
            ("streams.max_items", count()),
            ("limits.max_branches", count()),
            ("kept.requests_for", spans(&["1s"], &["0s"])),
            ("tombstones.keep_for", spans(&["1s"], &["0s", "999ms"])),
        ]
        .map(|(place, (right, wrong))| (place, right, wrong))
        .to_vec()
    }

    /// Something at a place, and whether that is right.
    fn written() -> impl Strategy<Value = (&'static str, Value, bool)> {
        let place = proptest::sample::select(places());
        (place, any::<proptest::sample::Index>(), any::<bool>()).prop_map(|(place, at, right)| {
            let (path, good, bad) = place;
            let values = if right { good } else { bad };
            (path, values[at.index(values.len())].clone(), right)
        })
    }

    /// A source with these in it.
    fn source<'a>(written: impl Iterator<Item = (&'a &'static str, &'a Value)>) -> Value {
        let mut source = json!({});
        for (path, value) in written {
            let mut place = &mut source;
            for name in path.split('.') {
                place = &mut place[name];
            }
            *place = value.clone();
        }
        source
    }

    fn mess() -> impl Strategy<Value = Value> {
        let words = places().into_iter().flat_map(|(path, right, wrong)| {
            let names = path.split('.').map(|name| json!(name)).collect::<Vec<_>>();
            names.into_iter().chain(right).chain(wrong)
        });
        let words: Vec<Value> = words.collect();
        let names: Vec<String> =
            words.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect();
        let name = prop_oneof![8 => proptest::sample::select(names), 1 => any::<String>()];
        let leaf = prop_oneof![
            8 => proptest::sample::select(words),
            1 => any::<String>().prop_map(Value::from),
            1 => any::<f64>().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 60, 8, move |inner| {
            let table = proptest::collection::vec((name.clone(), inner.clone()), 0..8);
            let table = table.prop_map(|pairs| pairs.into_iter().collect::<Map<_, _>>().into());
            prop_oneof![6 => table, 1 => proptest::collection::vec(inner, 0..3).prop_map(Value::from)]
        })
    }

    proptest! {
        // X2
        #[test]
        fn exactly_what_is_wrong_is_left_out(
            written in proptest::collection::vec(written(), 0..12),
            strange in proptest::collection::btree_set("[a-z]{1,12}_x", 0..3),
        ) {
            let written: BTreeMap<_, _> =
                written.into_iter().map(|(path, value, right)| (path, (value, right))).collect();
            let mut source_of_all = source(written.iter().map(|(path, (value, _))| (path, value)));
            for name in &strange {
                source_of_all[name] = json!(1);
            }
            let right = written.iter().filter(|(_, (_, right))| *right);
            let mut strict: Config =
                serde_json::from_value(source(right.map(|(path, (value, _))| (path, value)))).unwrap();
            for path in written.keys() {
                // A class is there, whatever is in it.
                if let Some((class, _)) = path.strip_prefix("classes.").and_then(|it| it.split_once('.')) {
                    strict.classes.entry(class.to_owned()).or_default();
                }
            }
            let (config, warnings) = lenient(&source_of_all);
            prop_assert_eq!(config, strict);
            let mut wrong: Vec<String> = written
                .iter()
                .filter(|(_, (_, right))| !right)
                .map(|(path, _)| path.replace("classes..", "classes.\"\".")
                    .replace("never mind", "\"never mind\""))
                .chain(strange)
                .collect();
            wrong.sort();
            prop_assert_eq!(warnings.into_keys().collect::<Vec<_>>(), wrong);
        }

        // X2
        #[test]
        fn whatever_is_read_comes_to_settings_that_count(source in mess()) {
            let (config, warnings) = Config::lenient(&source);
            prop_assert_eq!(config.validate(), Ok(()));
            for warning in &warnings {
                prop_assert!(!warning.to_string().is_empty());
            }
            let strict = serde_json::from_value::<Config>(source.clone());
            let strict = strict.ok().filter(|config| config.validate().is_ok());
            if warnings.is_empty() {
                prop_assert_eq!(strict, Some(config));
            } else {
                // The strict way takes a list for a table, as serde does.
                let is_list = |it: &ConfigWarning| it.problem == ConfigProblem::NoTable && it.found.starts_with('[');
                prop_assert!(strict.is_none() || warnings.iter().all(is_list), "{:?}", warnings);
            }
        }

        // X2
        #[test]
        fn what_is_written_reads_back_without_a_warning(
            written in proptest::collection::vec(written(), 0..12),
        ) {
            let right: BTreeMap<_, _> = written
                .into_iter()
                .filter(|(_, _, right)| *right)
                .map(|(path, value, _)| (path, value))
                .collect();
            let (config, _) = Config::lenient(source(right.iter()));
            let text = toml::to_string(&config).unwrap();
            let read = Config::lenient(toml::Deserializer::parse(&text).unwrap());
            prop_assert_eq!(read, (config.clone(), vec![]));
            let text = serde_json::to_string(&config).unwrap();
            let read = Config::lenient(&mut serde_json::Deserializer::from_str(&text));
            prop_assert_eq!(read, (config, vec![]));
        }
    }

    // X2
    #[test]
    fn every_setting_can_be_left_out_and_every_name_is_known() {
        /// The settings in `value`, all of which are known.
        fn count(path: &mut Vec<String>, value: &Value) -> usize {
            let known = |name: &String, shape: &Shape| match shape {
                Shape::Table(names) => names.contains(&name.as_str()),
                Shape::Map => true,
                Shape::Leaf => false,
            };
            let shape = Shape::at(path);
            let Value::Object(table) = value else {
                assert!(matches!(shape, Shape::Leaf), "{path:?}");
                return 1;
            };
            let inner = table.iter().map(|(name, value)| {
                assert!(known(name, &shape), "{path:?} {name}");
                path.push(name.clone());
                let count = count(path, value);
                path.pop();
                count
            });
            inner.sum()
        }
        let all = serde_json::to_value(Config::default()).unwrap();
        assert!(count(&mut Vec::new(), &all) > 30);
        assert_eq!(Config::default().unknown, UnknownPolicy::NotFound);
        assert_eq!(Config::default().stalls.action, StallAction::Observe);
    }
}
