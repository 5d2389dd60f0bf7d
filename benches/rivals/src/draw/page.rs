//! The tables in `BENCHMARKS.md`, between their marks.

use std::fmt::Write;
use std::path::Path;

use super::{readable, replay, table};
use crate::figure::Findings;

/// Puts what was found between `<!-- NAME -->` and `<!-- end of NAME -->`; the rest stays as it is.
pub(super) fn update(path: &Path, findings: &Findings, replayed: Option<&str>) {
    let mut page = std::fs::read_to_string(path).expect("the page can be read");
    put(&mut page, "machine", &machine(findings));
    put(&mut page, "judged", &judged(findings));
    for (name, groups) in TABLES {
        if findings.figures.iter().any(|it| groups.contains(&it.group.as_str())) {
            put(&mut page, name, &table::markdown(&findings.figures, groups));
        }
    }
    if let Some(lines) = replayed {
        put(&mut page, "replay", &replay::markdown(lines));
    }
    std::fs::write(path, page).expect("the page can be written");
}

/// The tables, each with the groups in it.
const TABLES: [(&str, &[&str]); 5] = [
    ("work", &["create", "look_up", "turns", "cores", "race", "delete", "stuck", "sweep"]),
    ("memory", &["memory"]),
    ("durable", &["durable"]),
    ("stored", &["start", "page"]),
    ("growth", &["growth"]),
];

fn put(page: &mut String, name: &str, text: &str) {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let Some(from) = page.find(&open).map(|at| at + open.len()) else { return };
    let to = page.find(&close).filter(|to| *to >= from).expect("each mark has its end");
    page.replace_range(from..to, &format!("\n{text}\n"));
}

fn machine(findings: &Findings) -> String {
    let machine = &findings.machine;
    let gibibytes = machine.memory_bytes >> 30;
    let mut text = format!(
        "{} cores of {}, {gibibytes} GiB, {}; {}; {}. Allocator: {}.\n",
        machine.cores,
        machine.cpu,
        machine.kernel,
        machine.rustc,
        machine.python,
        machine.allocator
    );
    if findings.quick {
        text.push_str("\n**A quick run: small sizes, few rounds. These numbers mean little.**\n");
    }
    text
}

fn judged(findings: &Findings) -> String {
    let mut text = String::from(
        "| what is to be reached | measured | value | ratio | of | bound | |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for it in &findings.judgements {
        let ratio = it.ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
        let ok = if it.ok { "ok" } else { "**short**" };
        let value = readable(it.value, &it.unit);
        let of = if it.baseline.is_empty() { "–" } else { &it.baseline };
        writeln!(
            text,
            "| {} | {} | {value} | {ratio} | {of} | {} | {ok} |",
            it.row, it.name, it.target
        )
        .expect("a string takes all");
    }
    text
}
