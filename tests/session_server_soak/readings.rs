//! What `/metrics` says.

use std::collections::HashMap;

/// One reading of every metric.
#[derive(Debug)]
pub(crate) struct Readings(HashMap<String, f64>);

impl Readings {
    pub(crate) fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let parsed = lines.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(parsed.collect())
    }

    /// One metric, with its labels; 0 if it has never moved.
    #[expect(clippy::cast_possible_truncation, reason = "they count")]
    pub(crate) fn one(&self, name: &str) -> i64 {
        self.0.get(name).map_or(0, |value| *value as i64)
    }

    /// All labels of a metric together.
    #[expect(clippy::cast_possible_truncation, reason = "they count")]
    pub(crate) fn all(&self, name: &str) -> i64 {
        let labelled =
            |metric: &str| metric.strip_prefix(name).is_some_and(|it| it.starts_with('{'));
        let found = self.0.iter().filter(|(metric, _)| *metric == name || labelled(metric));
        found.map(|(_, value)| *value as i64).sum()
    }

    /// Each label of a metric.
    pub(crate) fn labels(&self, name: &str) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().filter_map(move |(metric, value)| {
            let labels = metric.strip_prefix(name)?.strip_prefix('{')?.strip_suffix('}')?;
            Some((labels, *value))
        })
    }
}
