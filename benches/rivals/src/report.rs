//! What was found: gathered, judged, printed and written down.

use std::fmt;
use std::path::Path;
use std::time::Instant;

use crate::figure::{Figure, Findings, Judgement, Place};
use crate::machine::Machine;
use crate::measure::{Series, median};
use crate::scale::Scale;

/// What a ratio or a value has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(bound) => write!(f, "at most {bound}"),
            Self::AtLeast(bound) => write!(f, "at least {bound}"),
        }
    }
}

/// How a series is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Processor time and time, in nanoseconds an operation.
    Times,
    /// Time alone, as operations a second.
    Rate,
    /// A value that is no time, with what it is and its unit.
    Value(&'static str, &'static str),
}

/// What a run has found so far.
pub(crate) struct Report {
    pub(crate) scale: Scale,
    started: Instant,
    group: String,
    findings: Findings,
}

impl Report {
    pub(crate) fn new(scale: Scale) -> Self {
        let (figures, judgements) = (Vec::new(), Vec::new());
        let findings = Findings {
            machine: Machine::this(),
            quick: scale == Scale::Quick,
            figures,
            judgements,
        };
        Self { scale, started: Instant::now(), group: String::new(), findings }
    }

    /// What follows is of this group.
    pub(crate) fn enter(&mut self, group: &str) {
        group.clone_into(&mut self.group);
        self.progress(group);
    }

    /// Says on standard error how far it is.
    pub(crate) fn progress(&self, what: &str) {
        eprintln!("{:>6.0} s  {what}", self.started.elapsed().as_secs_f64());
    }

    /// How many figures are not as they should be.
    pub(crate) fn short(&self) -> usize {
        self.findings.judgements.iter().filter(|it| !it.ok).count()
    }

    /// What several have taken for the same work; the first is what the others' ratios are to.
    pub(crate) fn work(&mut self, work: &str, shown: Shown, series: &[Series]) {
        self.on_curve(work, None, shown, series);
    }

    /// The same, at a place of a curve.
    pub(crate) fn on_curve(
        &mut self,
        work: &str,
        at: Option<&Place>,
        shown: Shown,
        series: &[Series],
    ) {
        self.progress(work);
        let Some(first) = series.first() else { return };
        for one in series {
            let metrics: &[Metric] = match shown {
                Shown::Times => &[("cpu", "ns", |it| it.cpu), ("wall", "ns", |it| it.wall)],
                Shown::Rate => &[("rate", "/s", |it| 1e9 / it.wall)],
                Shown::Value(metric, unit) => &[(metric, unit, |it| it.wall)],
            };
            for (metric, unit, value) in metrics {
                let rounds: Vec<_> = one.samples.iter().map(value).collect();
                let pairs = one.samples.iter().zip(&first.samples);
                let ratio = median(pairs.map(|(one, first)| value(one) / value(first)).collect());
                self.findings.figures.push(Figure {
                    group: self.group.clone(),
                    work: work.to_owned(),
                    who: one.name.clone(),
                    metric: (*metric).to_owned(),
                    value: median(rounds.clone()),
                    unit: (*unit).to_owned(),
                    ratio: Some(ratio).filter(|ratio| ratio.is_finite()),
                    at: at.cloned(),
                    rounds,
                });
            }
        }
    }

    /// Holds a ratio to its bound, or the value where there is none. `measured` is a name, a value and its unit;
    /// a ratio comes with what it is to.
    pub(crate) fn judge(
        &mut self,
        row: &str,
        measured: (&str, f64, &str),
        ratio: Option<(f64, &str)>,
        target: Target,
    ) {
        let (name, value, unit) = measured;
        self.findings.judgements.push(Judgement {
            row: row.to_owned(),
            name: name.to_owned(),
            value,
            unit: unit.to_owned(),
            ratio: ratio.map(|(ratio, _)| ratio),
            baseline: ratio.map_or_else(String::new, |(_, of)| of.to_owned()),
            target: target.to_string(),
            ok: target.holds(ratio.map_or(value, |(ratio, _)| ratio)),
        });
    }

    /// Prints the ratios, then the table, then what is judged.
    pub(crate) fn print(&self) {
        println!("# name value unit ratio: to {}, in the same rounds", crate::figure::OURS);
        for figure in &self.findings.figures {
            let ratio = figure.ratio.map_or_else(|| "-".to_owned(), |it| format!("{it:.2}"));
            println!("{} {} {} {ratio}", figure.name(), short(figure.value), figure.unit);
        }
        println!("\n{}", crate::draw::table::text(&self.findings.figures));
        println!(
            "# name value unit ratio: to the baseline that is named; the bound, and whether it holds"
        );
        for it in &self.findings.judgements {
            let ratio = it.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
            let of =
                if it.baseline.is_empty() { String::new() } else { format!(" of {}", it.baseline) };
            let ok = if it.ok { "ok" } else { "short" };
            let value = short(it.value);
            println!("{} {value} {} {ratio}{of}; {}: {ok}", it.name, it.unit, it.target);
        }
        println!("{} of {} short", self.short(), self.findings.judgements.len());
    }

    /// Writes everything to `file`.
    pub(crate) fn write(&self, file: &Path) {
        let text = serde_json::to_string_pretty(&self.findings).expect("numbers and names");
        std::fs::write(file, text).expect("the file can be written");
    }
}

/// A metric: its name, its unit, and how it is read from a sample.
type Metric = (&'static str, &'static str, fn(&crate::measure::Sample) -> f64);

/// A number with three digits that say something.
pub(crate) fn short(value: f64) -> String {
    let digits = if value.abs() < 10.0 { 2 } else { usize::from(value.abs() < 100.0) };
    format!("{value:.digits$}")
}
