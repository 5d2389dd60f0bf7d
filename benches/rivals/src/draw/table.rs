//! What everybody took for everything, a line for each piece of work.

use std::fmt::Write;

use super::readable;
use crate::figure::Figure;

/// Rows of work, columns of who does it.
struct Grid<'a> {
    columns: Vec<&'a str>,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    name: String,
    cells: Vec<&'a Figure>,
}

impl<'a> Grid<'a> {
    /// Processor time stands for time where both were measured.
    fn of(figures: impl Iterator<Item = &'a Figure>) -> Self {
        let (mut columns, mut rows) = (Vec::new(), Vec::<Row<'_>>::new());
        for figure in figures.filter(|it| it.metric != "wall") {
            if !columns.contains(&figure.who.as_str()) {
                columns.push(figure.who.as_str());
            }
            let at = figure.at.as_ref();
            let at = at.map_or_else(String::new, |at| format!(" at {} {}", at.count, at.of));
            let name = format!("{}{at} ({})", figure.work, figure.metric);
            match rows.iter_mut().find(|row| row.name == name) {
                Some(row) => row.cells.push(figure),
                None => rows.push(Row { name, cells: vec![figure] }),
            }
        }
        Self { columns, rows }
    }

    fn cell(row: &Row<'_>, who: &str) -> String {
        let cell = row.cells.iter().find(|it| it.who == who);
        cell.map_or_else(|| "–".to_owned(), |it| readable(it.value, &it.unit))
    }
}

/// As text with columns.
pub(crate) fn text(figures: &[Figure]) -> String {
    let grid = Grid::of(figures.iter());
    let wide = grid.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let mut table = String::new();
    for row in &grid.rows {
        write!(table, "{:<wide$}", row.name).expect("a string takes all");
        for cell in &row.cells {
            let value = readable(cell.value, &cell.unit);
            write!(table, "  {}: {value}", cell.who).expect("a string takes all");
        }
        table.push('\n');
    }
    table
}

/// As a table of Markdown, of the figures of some groups. Each cell has the ratio to the first column.
pub(super) fn markdown(figures: &[Figure], groups: &[&str]) -> String {
    let own = figures.iter().filter(|it| groups.contains(&it.group.as_str()));
    let grid = Grid::of(own);
    let mut table = format!("| work | {} |\n", grid.columns.join(" | "));
    table.push_str(&format!("| --- |{}\n", " --- |".repeat(grid.columns.len())));
    for row in &grid.rows {
        write!(table, "| {} |", row.name).expect("a string takes all");
        for (number, who) in grid.columns.iter().enumerate() {
            let ratio = row.cells.iter().find(|it| it.who == *who).and_then(|it| it.ratio);
            let ratio = ratio.filter(|_| number > 0).map(|ratio| format!(" · {ratio:.2}"));
            let ratio = ratio.unwrap_or_default();
            write!(table, " {}{ratio} |", Grid::cell(row, who)).expect("a string takes all");
        }
        table.push('\n');
    }
    table
}
