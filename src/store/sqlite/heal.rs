//! Putting back what was lost: [`Store::heal`](crate::store::Store::heal).

use rusqlite::Connection;

use super::entry;
use super::failure::Setback;
use super::life::Life;
use super::range::Range;
use super::revision::{self, Interval};
use super::row::{self, Table};
use super::verdict::{Counted, Evidence, Stamp, Verdict, decide};
use crate::id::{Incarnation, SessionId};
use crate::store::{HealReport, Healed, QuarantineReason, Quarantined};

/// How much of what is wrong is told; a file with more of it needs a backup, not a longer list.
const MAX_QUARANTINED: usize = 1_000;

/// The record of a life.
enum Found {
    /// It can be read.
    Intact(Life),
    /// It cannot.
    Damaged,
    /// The life is over.
    Gone,
}

/// All that there is of the removals of one life.
struct Case {
    /// Which life.
    incarnation: Incarnation,
    /// Its record.
    record: Found,
    /// The rows that can be read, oldest first.
    intervals: Vec<Interval>,
    /// The number of one that cannot.
    damaged: Option<u64>,
}

/// Judges the removals of every life that has some.
pub(super) fn heal(connection: &Connection) -> Result<HealReport, Setback> {
    let mut report = HealReport::default();
    for case in cases(connection)? {
        let stamp = case.stamp();
        let verdict = decide(case.evidence(), stamp, || case.counted(connection))?;
        match verdict {
            Verdict::PutBack => report.healed.extend(case.put_back(connection)?),
            Verdict::Quarantine(reason) if report.quarantined.len() < MAX_QUARANTINED => {
                report.quarantined.push(case.quarantined(reason));
            }
            Verdict::Leave | Verdict::Quarantine(_) => {}
        }
    }
    Ok(report)
}

/// What there is to be judged, a life each.
fn cases(connection: &Connection) -> Result<Vec<Case>, Setback> {
    let sql = format!(
        "SELECT {} FROM revisions ORDER BY incarnation, version",
        Table::Revisions.columns()
    );
    let mut select = connection.prepare(&sql)?;
    let mut rows = select.query([])?;
    let mut cases: Vec<Case> = Vec::new();
    while let Some(row) = rows.next()? {
        let incarnation = Incarnation::new(row::get_number(row, 0).unwrap_or_default());
        if cases.last().is_none_or(|case| case.incarnation != incarnation) {
            let record = match Life::find(connection, incarnation)? {
                Some(Some(life)) => Found::Intact(life),
                Some(None) => Found::Damaged,
                None => Found::Gone,
            };
            cases.push(Case { incarnation, record, intervals: Vec::new(), damaged: None });
        }
        let Some(case) = cases.last_mut() else { continue };
        match revision::read(row) {
            Some(interval) => case.intervals.push(interval),
            None => case.damaged = Some(row::get_number(row, 1).unwrap_or_default()),
        }
    }
    Ok(cases)
}

impl Case {
    /// The record, if it can be read.
    fn life(&self) -> Option<&Life> {
        if let Found::Intact(life) = &self.record { Some(life) } else { None }
    }

    /// Whether its rows can be relied on.
    fn evidence(&self) -> Evidence {
        if self.damaged.is_some() || matches!(self.record, Found::Damaged) {
            return Evidence::Malformed(QuarantineReason::Damaged);
        }
        if self.intervals.is_empty() {
            return Evidence::None;
        }
        let next_seq = self.life().map_or(u64::MAX, |life| life.next_seq);
        let fits = |range: Range| range.to < next_seq && range.from <= range.to.saturating_add(1);
        if self.intervals.iter().all(|interval| fits(interval.range)) {
            Evidence::Sound
        } else {
            Evidence::Malformed(QuarantineReason::Misfit)
        }
    }

    /// Whether the record knows of them.
    fn stamp(&self) -> Stamp {
        match &self.record {
            Found::Gone => Stamp::NewerLife,
            Found::Intact(_) if self.unknown().next().is_some() => Stamp::Missing,
            Found::Intact(_) | Found::Damaged => Stamp::Acknowledged,
        }
    }

    /// Those that the record does not know of.
    fn unknown(&self) -> impl Iterator<Item = &Interval> {
        let version = self.life().map_or(u64::MAX, |life| life.version);
        self.intervals.iter().filter(move |interval| interval.version > version)
    }

    /// How many entries are hidden only by what the record does not know of.
    fn lost(&self, connection: &Connection) -> Result<u64, Setback> {
        let mut lost = 0;
        for interval in self.unknown() {
            for range in revision::own(interval, &self.intervals) {
                lost += entry::count(connection, self.incarnation, range)?;
            }
        }
        Ok(lost)
    }

    /// What the record counts.
    fn counted(&self, connection: &Connection) -> Result<Counted, Setback> {
        let mut left = 0;
        let hidden = self.intervals.iter().map(|interval| interval.range);
        for range in (Range { from: 0, to: u64::MAX }).without(hidden) {
            left += entry::count(connection, self.incarnation, range)?;
        }
        let counted = self.life().map_or(0, |life| life.entries);
        Ok(if counted == left {
            Counted::Short
        } else if counted == left + self.lost(connection)? {
            Counted::Whole
        } else {
            Counted::Neither
        })
    }

    /// Removes the rows that the record knows nothing of, which hid what it counts. The record is right as it is,
    /// but for how many of them there are.
    fn put_back(self, connection: &Connection) -> Result<Option<Healed>, Setback> {
        let Some(session) = self.session() else { return Ok(None) };
        let entries = self.lost(connection)?;
        let revisions: Vec<_> = self.unknown().map(|interval| interval.version).collect();
        for version in &revisions {
            revision::remove(connection, self.incarnation, *version)?;
        }
        let left = self.intervals.len() - revisions.len();
        if let Found::Intact(mut life) = self.record {
            life.count_revisions(left as u64)?;
            life.update(connection)?;
        }
        Ok(Some(Healed { session, incarnation: self.incarnation, revisions, entries }))
    }

    /// Whose they are, if that can be told.
    fn session(&self) -> Option<SessionId> {
        self.life().and_then(Life::session_id)
    }

    /// What is told of it.
    fn quarantined(&self, reason: QuarantineReason) -> Quarantined {
        let life = self.incarnation.get();
        let version = self.damaged.or_else(|| {
            let newest = self.unknown().last().or(self.intervals.last());
            newest.map(|interval| interval.version)
        });
        let what = match (&self.record, version) {
            (Found::Damaged, _) => format!("`sessions` row of life {life}"),
            (_, Some(version)) => format!("`revisions` row {version} of life {life}"),
            (_, None) => format!("`revisions` of life {life}"),
        };
        Quarantined { session: self.session(), what, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::store::sqlite::schema;
    use crate::store::{NewRecord, RevisionReason};

    fn empty() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, 0).unwrap();
        connection
    }

    /// What is told of a life of this version and this next number, which counts so many entries of which none is
    /// there, and one removal: version 5, of these numbers.
    fn healed(version: u64, next_seq: u64, entries: u64, (from, to): (u64, u64)) -> HealReport {
        let (connection, at) = (empty(), Timestamp::default());
        let new = NewRecord::new(SessionId::new("a").unwrap(), at);
        let mut life = Life::new(Incarnation::new(1), &new);
        (life.version, life.next_seq, life.entries) = (version, next_seq, entries);
        life.count_revisions(1).unwrap();
        life.insert(&connection).unwrap();
        let reason = RevisionReason::Rollback;
        let interval = Interval { version: 5, range: Range { from, to }, at, reason };
        revision::insert(&connection, life.incarnation, &interval).unwrap();
        heal(&connection).unwrap()
    }

    // G8
    #[test]
    fn nothing_is_counted_where_the_record_knows_of_the_removal() {
        assert_eq!(healed(5, 9, 3, (1, 2)), HealReport::default());
        let told = healed(4, 9, 3, (1, 2)).quarantined;
        assert!(matches!(&told[..], [it] if it.reason == QuarantineReason::Miscounted), "{told:?}");
    }

    #[test]
    fn a_removal_of_a_number_that_was_not_given_yet_does_not_fit() {
        assert_eq!(healed(4, 2, 0, (1, 1)), HealReport::default());
        let told = healed(4, 1, 0, (1, 1)).quarantined;
        assert!(matches!(&told[..], [it] if it.reason == QuarantineReason::Misfit), "{told:?}");
    }

    #[test]
    fn a_thousand_things_that_are_wrong_are_told_and_no_more() {
        for (wrong, told) in [(999, 999), (1_000, 1_000), (1_001, 1_000), (1_002, 1_000)] {
            let connection = empty();
            let inserted = connection.execute(
                "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1) \
                 INSERT INTO revisions (incarnation, version, from_seq, to_seq, at, reason, crc) \
                 SELECT n, 1, 1, 1, 1, 'rollback', -1 FROM n",
                [i64::try_from(wrong).unwrap()],
            );
            assert_eq!(inserted.unwrap(), wrong);
            assert_eq!(heal(&connection).unwrap().quarantined.len(), told);
        }
    }
}
