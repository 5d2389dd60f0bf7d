//! Curves: what an operation costs as something grows, a panel for each operation, on logarithmic scales.

use super::readable;
use super::svg::{Anchor, Axis, COLOURS, Svg};
use crate::figure::{Figure, OURS};

const COLUMNS: usize = 2;
/// A panel with its margins.
const PANEL: (f64, f64) = (400.0, 250.0);
/// Left, right, top, bottom.
const MARGINS: (f64, f64, f64, f64) = (76.0, 34.0, 34.0, 44.0);
const TOP: f64 = 64.0;

/// A drawing of all curves over what grows; `None` if there are none.
pub(super) fn draw(title: &str, of: &str, figures: &[&Figure]) -> Option<String> {
    let mut works: Vec<&str> = Vec::new();
    let mut everybody: Vec<&str> = Vec::new();
    for figure in figures {
        if !works.contains(&figure.work.as_str()) {
            works.push(&figure.work);
        }
        if !everybody.contains(&figure.who.as_str()) {
            everybody.push(&figure.who);
        }
    }
    if works.is_empty() {
        return None;
    }
    let rows = works.len().div_ceil(COLUMNS);
    let mut svg = Svg::new(PANEL.0 * COLUMNS as f64, TOP + PANEL.1 * rows as f64);
    svg.text((12.0, 24.0), Anchor::Start, "title", title);
    let mut x = 12.0;
    for who in &everybody {
        svg.curve(&[(x, 44.0), (x + 26.0, 44.0)], colour(&everybody, who), *who != OURS);
        svg.text((x + 34.0, 48.0), Anchor::Start, "", who);
        x += 60.0 + 7.0 * who.len() as f64;
    }
    for (number, work) in works.iter().enumerate() {
        let at = ((number % COLUMNS) as f64 * PANEL.0, TOP + (number / COLUMNS) as f64 * PANEL.1);
        let own: Vec<_> = figures.iter().filter(|it| it.work == *work).copied().collect();
        panel(&mut svg, at, of, &own, &everybody);
    }
    Some(svg.finish())
}

fn colour(everybody: &[&str], who: &str) -> &'static str {
    let place = everybody.iter().position(|it| *it == who).unwrap_or(0);
    COLOURS[place % COLOURS.len()]
}

fn count(figure: &Figure) -> f64 {
    figure.at.as_ref().map_or(1.0, |at| at.count)
}

fn panel(svg: &mut Svg, at: (f64, f64), of: &str, figures: &[&Figure], everybody: &[&str]) {
    let Some(first) = figures.first() else { return };
    let (left, right) = (at.0 + MARGINS.0, at.0 + PANEL.0 - MARGINS.1);
    let (top, bottom) = (at.1 + MARGINS.2, at.1 + PANEL.1 - MARGINS.3);
    let across = Axis::of(figures.iter().map(|it| count(it)), left, right);
    let values = figures.iter().map(|it| it.value).filter(|value| *value > 0.0);
    let up = Axis::of(values, bottom, top);
    let name = first.work.trim_start_matches("growth/").replace('_', " ");
    svg.text((left, at.1 + 22.0), Anchor::Start, "head", &name);
    for mark in across.marks() {
        let x = across.place(mark);
        svg.rule((x, top), (x, bottom));
        svg.text((x, bottom + 15.0), Anchor::Middle, "small", &power(mark));
    }
    svg.text(((left + right) / 2.0, bottom + 32.0), Anchor::Middle, "small", of);
    for mark in up.marks() {
        let y = up.place(mark);
        svg.rule((left, y), (right, y));
        svg.text((left - 6.0, y + 4.0), Anchor::End, "small", &readable(mark, &first.unit));
    }
    for who in everybody {
        let own = figures.iter().filter(|it| it.who == **who && it.value > 0.0);
        let points: Vec<_> = own.map(|it| (across.place(count(it)), up.place(it.value))).collect();
        if !points.is_empty() {
            svg.curve(&points, colour(everybody, who), *who != OURS);
        }
    }
}

/// A power of ten, with its zeros grouped.
fn power(value: f64) -> String {
    match value as u64 {
        1_000_000.. => format!("{} million", value / 1e6),
        1_000.. => format!("{},000", value / 1e3),
        other => other.to_string(),
    }
}
