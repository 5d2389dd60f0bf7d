//! Looking at everything: the file's structure, every checksum, and whether rows agree.

use rusqlite::{Connection, Row};

use super::failure::Setback;
use super::row::{self, Table};
use super::snapshot::Snapshot;
use super::{
    binding, branch, datum, entry, later_id, partial, query, request, resume, revision, run,
    tombstone, turn,
};

/// How many problems are told; a file with more of them needs a backup, not a longer list.
const MAX_PROBLEMS: usize = 1_000;

/// Rows that contradict each other: a line, and the statement that finds those it is about.
const CONTRADICTIONS: [(&str, &str); 21] = [
    (
        "`sessions` row % counts other entries than there are",
        "SELECT id FROM sessions AS s WHERE entries <> \
         (SELECT count(*) FROM entries AS e WHERE e.incarnation = s.incarnation AND NOT EXISTS \
         (SELECT 1 FROM revisions AS r WHERE r.incarnation = e.incarnation \
         AND e.seq BETWEEN r.from_seq AND r.to_seq))",
    ),
    (
        "`sessions` row % has an entry beyond its next one",
        "SELECT id FROM sessions AS s WHERE next_seq <= \
         (SELECT max(seq) FROM entries AS e WHERE e.incarnation = s.incarnation)",
    ),
    (
        "`sessions` row % is a tombstone as well",
        "SELECT id FROM sessions WHERE id IN (SELECT id FROM tombstones)",
    ),
    (
        "`bindings` row % points to a life that is not there",
        "SELECT key FROM bindings AS b WHERE NOT EXISTS \
         (SELECT 1 FROM sessions AS s WHERE s.incarnation = b.incarnation AND s.id = b.id)",
    ),
    (
        "`later_ids` has rows of life %, which is not there",
        "SELECT DISTINCT incarnation FROM later_ids \
         WHERE incarnation NOT IN (SELECT incarnation FROM sessions)",
    ),
    (
        "`later_ids` row % is a tombstone as well",
        "SELECT id FROM later_ids WHERE id IN (SELECT id FROM tombstones)",
    ),
    (
        "`later_ids` row % is the first id of a life as well",
        "SELECT id FROM later_ids WHERE id IN (SELECT id FROM sessions)",
    ),
    (
        "`later_ids` of life % lack one",
        "SELECT incarnation FROM (SELECT s.incarnation, count(l.id) AS found, \
         coalesce(max(l.place), 0) AS last, \
         iif(json_valid(s.traits), coalesce(s.traits ->> '$.rotations', 0), 0) AS given \
         FROM sessions AS s LEFT JOIN later_ids AS l ON l.incarnation = s.incarnation \
         GROUP BY s.incarnation) WHERE found <> given OR last <> given",
    ),
    (
        "`entries` has rows of life %, which is not there",
        "SELECT DISTINCT incarnation FROM entries \
         WHERE incarnation NOT IN (SELECT incarnation FROM sessions)",
    ),
    (
        "`data` has rows of life %, which is not there",
        "SELECT DISTINCT incarnation FROM data \
         WHERE incarnation NOT IN (SELECT incarnation FROM sessions)",
    ),
    (
        "`turns` has rows of life %, which is not there",
        "SELECT DISTINCT incarnation FROM turns \
         WHERE incarnation NOT IN (SELECT incarnation FROM sessions)",
    ),
    (
        "`partials` has rows of life %, which is not there",
        "SELECT DISTINCT incarnation FROM partials \
         WHERE incarnation NOT IN (SELECT incarnation FROM sessions)",
    ),
    (
        "`revisions` has rows of life %, which is not there",
        "SELECT DISTINCT incarnation FROM revisions \
         WHERE incarnation NOT IN (SELECT incarnation FROM sessions)",
    ),
    (
        "`requests` has rows of life %, which is not there",
        "SELECT DISTINCT incarnation FROM requests \
         WHERE incarnation NOT IN (SELECT incarnation FROM sessions)",
    ),
    (
        "`resume` has rows of life %, which is not there",
        "SELECT DISTINCT incarnation FROM resume \
         WHERE incarnation NOT IN (SELECT incarnation FROM sessions)",
    ),
    (
        "`branches` has rows of life %, which is not there",
        "SELECT DISTINCT incarnation FROM branches \
         WHERE incarnation NOT IN (SELECT incarnation FROM sessions)",
    ),
    (
        "`partials` of life % lack a piece",
        "SELECT DISTINCT incarnation FROM (SELECT incarnation, first, \
         lag(first + chunks, 1, 1) OVER (PARTITION BY incarnation, generation ORDER BY first) \
         AS next FROM partials) WHERE first <> next",
    ),
    (
        "`partials` of life % are of a turn that has committed its reply",
        "SELECT DISTINCT p.incarnation FROM partials AS p JOIN turns AS t \
         ON t.incarnation = p.incarnation AND t.generation = p.generation \
         WHERE t.outcome = 'committed'",
    ),
    (
        "`revisions` of life % are not as many as it counts",
        "SELECT incarnation FROM (SELECT s.incarnation, count(r.version) AS found, \
         iif(json_valid(s.traits), coalesce(s.traits ->> '$.revisions', 0), 0) AS given \
         FROM sessions AS s LEFT JOIN revisions AS r ON r.incarnation = s.incarnation \
         GROUP BY s.incarnation) WHERE found <> given",
    ),
    (
        "`revisions` of life % go beyond its last entry",
        "SELECT DISTINCT r.incarnation FROM revisions AS r JOIN sessions AS s \
         ON s.incarnation = r.incarnation WHERE r.to_seq >= s.next_seq",
    ),
    (
        "`sqlite_sequence` would draw life % again",
        "SELECT max(incarnation) FROM sessions HAVING max(incarnation) > \
         coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'sessions'), 0)",
    ),
];

/// [`Store::check`](crate::store::Store::check), on one snapshot. What cannot be read becomes a
/// line, and the rest goes on.
pub(super) fn check(connection: &Connection) -> Result<Vec<String>, Setback> {
    let snapshot = Snapshot::begin(connection)?;
    let mut problems = Vec::new();
    tell(&mut problems, "the structure", |problems| check_structure(&snapshot, problems));
    for table in Table::ALL {
        let what = format!("`{}`", table.name());
        tell(&mut problems, &what, |problems| check_rows(&snapshot, table, problems));
    }
    for (line, sql) in CONTRADICTIONS {
        tell(&mut problems, line, |problems| check_agreement(&snapshot, line, sql, problems));
    }
    if problems.len() >= MAX_PROBLEMS {
        problems.truncate(MAX_PROBLEMS);
        problems.push("there may be more".to_owned());
    }
    Ok(problems)
}

/// Runs one part of the check and tells if it cannot be finished.
fn tell(
    problems: &mut Vec<String>,
    what: &str,
    part: impl FnOnce(&mut Vec<String>) -> rusqlite::Result<()>,
) {
    if let Err(error) = part(problems) {
        problems.push(format!("{what}: could not be read to its end: {error}"));
    }
}

/// SQLite's own check: pages, indexes, types.
fn check_structure(connection: &Connection, problems: &mut Vec<String>) -> rusqlite::Result<()> {
    let mut check = connection.prepare(&format!("PRAGMA integrity_check({MAX_PROBLEMS})"))?;
    let mut rows = check.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            problems.push(format!("the structure: {line}"));
        }
    }
    Ok(())
}

/// Reads every row of a table.
fn check_rows(
    connection: &Connection,
    table: Table,
    problems: &mut Vec<String>,
) -> rusqlite::Result<()> {
    let sql = format!("SELECT {} FROM {}", table.columns(), table.name());
    let mut select = connection.prepare(&sql)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        if problems.len() >= MAX_PROBLEMS {
            break;
        }
        if !is_intact(table, row) {
            let (first, second) = (show(row, 0), show(row, 1));
            problems.push(format!("`{}` row {first}, {second} is damaged", table.name()));
        }
    }
    Ok(())
}

/// Whether a row is what was written.
pub(super) fn is_intact(table: Table, row: &Row<'_>) -> bool {
    match table {
        Table::Sessions => query::record(row).is_some(),
        Table::Entries => entry::read(row, &mut entry::Payloads::apart()).is_some(),
        Table::Data => datum::read(row).is_some(),
        Table::Turns => turn::read(row).is_some(),
        Table::Bindings => binding::read(row).is_some(),
        Table::LaterIds => later_id::read(row).is_some(),
        Table::Tombstones => tombstone::read(row).is_some(),
        Table::Partials => partial::read(row).is_some(),
        Table::Revisions => revision::read(row).is_some(),
        Table::Requests => request::read(row).is_some(),
        Table::Resume => resume::read(row).is_some(),
        Table::Branches => branch::read(row).is_some(),
        Table::Runs => run::read(row).is_some(),
    }
}

/// Runs one statement of [`CONTRADICTIONS`].
fn check_agreement(
    connection: &Connection,
    line: &str,
    sql: &str,
    problems: &mut Vec<String>,
) -> rusqlite::Result<()> {
    let mut select = connection.prepare(sql)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        if problems.len() >= MAX_PROBLEMS {
            break;
        }
        problems.push(line.replace('%', &show(row, 0)));
    }
    Ok(())
}

/// A column in words: the first two of each table name its rows.
fn show(row: &Row<'_>, column: usize) -> String {
    let number = row::get_number(row, column).map(|number| number.to_string());
    let text = || row::get_text(row, column).map(str::to_owned);
    number.or_else(text).unwrap_or_else(|| "?".to_owned())
}
