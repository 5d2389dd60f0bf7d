//! Bars, one for each who does the same work, on a logarithmic scale.

use super::readable;
use super::svg::{Anchor, Axis, COLOURS, Svg};
use crate::figure::{Figure, OURS};

const WIDTH: f64 = 800.0;
/// Where the bars begin, right of the names, and where the longest may end.
const BARS: (f64, f64) = (265.0, 660.0);
const BAR: f64 = 20.0;

/// A drawing of all works of a group, one below the other; `None` if there is nothing to draw.
pub(super) fn draw(title: &str, figures: &[&Figure]) -> Option<String> {
    let figures: Vec<_> = figures.iter().filter(|it| it.value > 0.0).collect();
    let unit = &figures.first()?.unit;
    let mut works: Vec<&str> = Vec::new();
    for figure in &figures {
        if !works.contains(&figure.work.as_str()) {
            works.push(&figure.work);
        }
    }
    let axis = Axis::of(figures.iter().map(|it| it.value), BARS.0, BARS.1);
    let height = 70.0 + BAR * figures.len() as f64 + 34.0 * works.len() as f64;
    let mut svg = Svg::new(WIDTH, height);
    svg.text((12.0, 24.0), Anchor::Start, "title", title);
    let (top, bottom) = (44.0, height - 28.0);
    for mark in axis.marks() {
        let x = axis.place(mark);
        svg.rule((x, top), (x, bottom));
        svg.text((x, bottom + 14.0), Anchor::Middle, "small", &readable(mark, unit));
    }
    svg.text((12.0, bottom + 14.0), Anchor::Start, "small", "logarithmic scale");
    let mut y = top;
    for work in works {
        svg.text((12.0, y + 16.0), Anchor::Start, "head", work);
        y += 26.0;
        for figure in figures.iter().filter(|it| it.work == work) {
            let colour = if figure.who.starts_with(OURS) { COLOURS[0] } else { COLOURS[6] };
            let end = axis.place(figure.value);
            svg.text((BARS.0 - 8.0, y + 13.0), Anchor::End, "", &figure.who);
            svg.bar((BARS.0, y + 2.0), ((end - BARS.0).max(1.0), BAR - 5.0), colour);
            let value = readable(figure.value, unit);
            let label = match figure.ratio {
                Some(ratio) if figure.who != OURS => format!("{value}  ({ratio:.2} ×)"),
                _ => value,
            };
            svg.text((end + 6.0, y + 13.0), Anchor::Start, "", &label);
            y += BAR;
        }
        y += 8.0;
    }
    Some(svg.finish())
}
