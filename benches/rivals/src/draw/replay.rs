//! What the replay of real traffic has printed, as a table: a row for each thing that it counts, a column for each
//! way of playing.

use std::fmt::Write;

use super::readable;

/// The table, of the lines `replay/TRACE/PACE/copies=N (WHAT) VALUE UNIT …`.
pub(super) fn markdown(lines: &str) -> String {
    let (mut ways, mut rows) = (Vec::new(), Vec::<Row<'_>>::new());
    for (way, what, value) in lines.lines().filter_map(read) {
        if !ways.contains(&way) {
            ways.push(way);
        }
        match rows.iter_mut().find(|row| row.what == what) {
            Some(row) => row.cells.push((way, value)),
            None => rows.push(Row { what, cells: vec![(way, value)] }),
        }
    }
    let mut table = format!("| | {} |\n| --- |{}\n", ways.join(" | "), " --- |".repeat(ways.len()));
    for row in &rows {
        write!(table, "| {} |", row.what).expect("a string takes all");
        for way in &ways {
            let cell = row.cells.iter().find(|(played, _)| played == way);
            write!(table, " {} |", cell.map_or("–", |(_, value)| value))
                .expect("a string takes all");
        }
        table.push('\n');
    }
    table
}

struct Row<'a> {
    what: &'a str,
    cells: Vec<(&'a str, String)>,
}

/// How it was played, what was counted, and how much there was.
fn read(line: &str) -> Option<(&str, &str, String)> {
    let (name, rest) = line.strip_prefix("replay/")?.split_once(')')?;
    let (way, what) = name.split_once(" (")?;
    let mut words = rest.split_whitespace();
    let (value, unit) = (words.next()?.parse().ok()?, words.next()?);
    // What is counted says what it counts.
    let shown = match unit {
        "turns" | "chunks" | "rules" | "live" => readable(value, ""),
        "us" => readable(value * 1e3, "ns"),
        _ => readable(value, unit),
    };
    Some((way, what, shown.trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_playing_has_a_column() {
        let lines = "name value unit ratio\n\
                     replay/trace/turns 12 turns -\n\
                     replay/hour/as_recorded/copies=1 (took) 60.4 s -\n\
                     replay/hour/as_recorded/copies=1 (most live) 2433 live -\n\
                     replay/hour/full_speed/copies=1 (took) 2.50 s -; at least 100.00: ok\n";
        let table = "| | hour/as_recorded/copies=1 | hour/full_speed/copies=1 |\n\
                     | --- | --- | --- |\n\
                     | took | 60.4 s | 2.50 s |\n\
                     | most live | 2433 | – |\n";
        assert_eq!(markdown(lines), table);
    }
}
