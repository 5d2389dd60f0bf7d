//! The lines that are printed, and what they are held to.

use crate::measure::Series;

/// What a ratio or a value has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// Neither above nor below one by more than this.
    Within(f64),
}

impl Target {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
            Self::Within(margin) => (value - 1.0).abs() <= margin,
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(bound) => write!(f, "at most {bound:.2}"),
            Self::AtLeast(bound) => write!(f, "at least {bound:.2}"),
            Self::Within(margin) => write!(f, "1 ± {margin:.2}"),
        }
    }
}

/// How a time is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As a time; a ratio below one is faster than the baseline.
    Time,
    /// As operations a second; a ratio above one is faster than the baseline.
    Rate,
}

/// Prints figures, and counts those that fall short.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) short: usize,
}

impl Report {
    /// Prints the head of the table.
    pub(crate) fn new() -> Self {
        println!("{:<58} {:>10} {:<7} {:>7}", "name", "value", "unit", "ratio");
        Self::default()
    }

    /// One line: a figure, its ratio to a baseline, and whether that is as it should be.
    pub(crate) fn line(
        &mut self,
        name: &str,
        (value, unit): (f64, &str),
        ratio: Option<(f64, &str)>,
        target: Option<Target>,
    ) {
        let digits = if value < 10.0 { 2 } else { usize::from(value < 1_000.0) };
        let shown = ratio.map_or_else(|| "-".to_owned(), |(ratio, _)| format!("{ratio:.2}"));
        print!("{name:<58} {value:>10.digits$} {unit:<7} {shown:>7}");
        if let Some((_, of)) = ratio {
            print!("  of {of}");
        }
        if let Some(target) = target {
            let ok = target.holds(ratio.map_or(value, |(ratio, _)| ratio));
            self.short += usize::from(!ok);
            print!("; {target}: {}", if ok { "ok" } else { "SHORT" });
        }
        println!();
    }

    /// The figures of sides that were measured together. The first is what is measured; `targets`
    /// are against its baselines, the sides from the second on, in their order.
    pub(crate) fn sides(&mut self, shown: Shown, series: &[Series], targets: &[Option<Target>]) {
        let Some((subject, baselines)) = series.split_first() else { return };
        let processor_time = subject.cpu().is_finite();
        let mut targets: Vec<_> = targets.to_vec();
        targets.resize(baselines.len(), None);
        // What a second core does for an operation is work as well, so where processor time is
        // measured, that is what is held against the target.
        let cpu_target = if processor_time && shown == Shown::Time {
            targets.first_mut().and_then(Option::take)
        } else {
            None
        };
        for (baseline, target) in baselines.iter().zip(targets) {
            let ratio = subject.wall_ratio(baseline);
            let ratio = if shown == Shown::Rate { 1.0 / ratio } else { ratio };
            let value = as_shown(shown, subject.wall());
            self.line(&subject.name, value, Some((ratio, &baseline.name)), target);
        }
        if let Some(first) = baselines.first().filter(|_| processor_time) {
            let cpu = (subject.cpu_ratio(first), first.name.as_str());
            let value = as_shown(Shown::Time, subject.cpu());
            self.line(&format!("{} (cpu)", subject.name), value, Some(cpu), cpu_target);
        }
        for baseline in baselines {
            self.line(
                &format!("- {}", baseline.name),
                as_shown(shown, baseline.wall()),
                None,
                None,
            );
            if processor_time {
                let cpu = as_shown(Shown::Time, baseline.cpu());
                self.line(&format!("- {} (cpu)", baseline.name), cpu, None, None);
            }
        }
    }
}

/// A time in nanoseconds, in a unit that reads well.
fn as_shown(shown: Shown, nanos: f64) -> (f64, &'static str) {
    match shown {
        Shown::Rate => (1e9 / nanos, "/s"),
        Shown::Time if nanos < 1_000.0 => (nanos, "ns"),
        Shown::Time if nanos < 1_000_000.0 => (nanos / 1e3, "us"),
        Shown::Time => (nanos / 1e6, "ms"),
    }
}
