//! Times of the day or of the week at which conversations end, in a time zone.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{self, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp as Instant, ToSpan};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::Timestamp;

/// A time of the day or of the week at which conversations end that were last used before it.
///
/// Written `"04:00 Europe/Berlin"`, `"monday 04:00 Europe/Berlin"` or `"never"`. The time zone is a name of
/// the IANA database; without one it is UTC. There is exactly one such time each day: where the clocks are
/// put forward over it, it is as much later, and where they are put back over it, it is the first of the
/// two (RFC 5545, section 3.3.5).
///
/// ```
/// use session_supervisor::Calendar;
///
/// let nightly: Calendar = "04:00 Europe/Berlin".parse()?;
/// assert_eq!(nightly.to_string(), "04:00 Europe/Berlin");
/// assert!("04:00 Europe/Atlantis".parse::<Calendar>().is_err());
/// # Ok::<(), session_supervisor::CalendarError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Calendar(Option<Written>);

/// A calendar as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Written {
    /// On which day of the week; `None` is each.
    day: Option<Weekday>,
    /// Minutes after midnight.
    minute: u16,
    /// The name of the time zone.
    zone: String,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// A text that is no calendar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no calendar: {problem}; write it as \"04:00 Europe/Berlin\", \"monday 04:00 Europe/Berlin\" or \"never\""
)]
pub struct CalendarError {
    /// The text.
    text: String,
    /// What is wrong with it.
    problem: &'static str,
}

impl Weekday {
    /// All of them.
    const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];

    /// Its name.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Monday => "monday",
            Self::Tuesday => "tuesday",
            Self::Wednesday => "wednesday",
            Self::Thursday => "thursday",
            Self::Friday => "friday",
            Self::Saturday => "saturday",
            Self::Sunday => "sunday",
        }
    }

    /// As the library for time zones calls it.
    const fn civil(self) -> civil::Weekday {
        match self {
            Self::Monday => civil::Weekday::Monday,
            Self::Tuesday => civil::Weekday::Tuesday,
            Self::Wednesday => civil::Weekday::Wednesday,
            Self::Thursday => civil::Weekday::Thursday,
            Self::Friday => civil::Weekday::Friday,
            Self::Saturday => civil::Weekday::Saturday,
            Self::Sunday => civil::Weekday::Sunday,
        }
    }
}

impl Calendar {
    /// No time at all; for a class or a session, whatever is set for all.
    pub const NEVER: Self = Self(None);

    /// Each day at `hour` and `minute` in the time zone of this name.
    ///
    /// # Errors
    ///
    /// [`CalendarError`] if there is no such time or no such zone.
    pub fn daily(hour: u8, minute: u8, zone: &str) -> Result<Self, CalendarError> {
        format!("{hour:02}:{minute:02} {zone}").parse()
    }

    /// On one day of each week.
    ///
    /// # Errors
    ///
    /// As [`daily`](Self::daily).
    pub fn weekly(day: Weekday, hour: u8, minute: u8, zone: &str) -> Result<Self, CalendarError> {
        format!("{} {hour:02}:{minute:02} {zone}", day.as_str()).parse()
    }

    /// With its time zone looked up; `None` for never.
    pub(super) fn compile(&self) -> Result<Option<Boundary>, CalendarError> {
        let Some(Written { day, minute, zone }) = &self.0 else { return Ok(None) };
        let failed = |problem| CalendarError { text: self.to_string(), problem };
        let zone = TimeZone::get(zone).map_err(|_| failed("there is no such time zone"))?;
        let field = |number: u16| i8::try_from(number).unwrap_or(i8::MAX);
        let time = Time::new(field(minute / 60), field(minute % 60), 0, 0);
        let time = time.map_err(|_| failed("there is no such time"))?;
        Ok(Some(Boundary { day: day.map(Weekday::civil), time, zone }))
    }
}

impl FromStr for Calendar {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let failed = |problem| CalendarError { text: text.to_owned(), problem };
        if text == "never" {
            return Ok(Self::NEVER);
        }
        let mut words = text.split_whitespace().peekable();
        let is_named = |day: &Weekday, word: &str| day.as_str() == word;
        let day =
            words.peek().and_then(|word| Weekday::ALL.into_iter().find(|day| is_named(day, word)));
        if day.is_some() {
            words.next();
        }
        let time = words.next().ok_or_else(|| failed("it names no time"))?;
        let (hour, minute) = time.split_once(':').ok_or_else(|| failed("it names no time"))?;
        let two = |digits: &str, below: u16| {
            let is_written_so = digits.len() == 2 && digits.bytes().all(|it| it.is_ascii_digit());
            let number = if is_written_so { digits.parse().ok() } else { None };
            number.filter(|number| *number < below)
        };
        let hour: u16 = two(hour, 24).ok_or_else(|| failed("there is no such hour"))?;
        let minute: u16 = two(minute, 60).ok_or_else(|| failed("there is no such minute"))?;
        let zone = words.next().unwrap_or("UTC").to_owned();
        if words.next().is_some() {
            return Err(failed("there is something behind it"));
        }
        let calendar = Self(Some(Written { day, minute: hour * 60 + minute, zone }));
        calendar.compile()?;
        Ok(calendar)
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Written { day, minute, zone }) = &self.0 else { return f.write_str("never") };
        if let Some(day) = day {
            write!(f, "{} ", day.as_str())?;
        }
        write!(f, "{:02}:{:02} {zone}", minute / 60, minute % 60)
    }
}

impl Serialize for Calendar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Calendar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A calendar with its time zone.
#[derive(Clone, Debug)]
pub(super) struct Boundary {
    /// On which day of the week; `None` is each.
    day: Option<civil::Weekday>,
    /// At which time.
    time: Time,
    /// Where.
    zone: TimeZone,
}

/// How many days there may be from one boundary to the next, and one more for each end.
const DAYS: i64 = 9;

impl Boundary {
    /// The first boundary after `at`.
    pub(super) fn first_after(&self, at: Timestamp) -> Option<Timestamp> {
        let at = instant(at)?;
        self.around(at, -1..DAYS).find(|boundary| *boundary > at).and_then(timestamp)
    }

    /// The last boundary that is not after `at`.
    pub(super) fn last_before(&self, at: Timestamp) -> Option<Timestamp> {
        let at = instant(at)?;
        self.around(at, -DAYS..2).filter(|boundary| *boundary <= at).last().and_then(timestamp)
    }

    /// The boundaries of those days, counted from that of `at`, in order.
    fn around(
        &self,
        at: Instant,
        days: std::ops::Range<i64>,
    ) -> impl Iterator<Item = Instant> + use<'_> {
        let today = at.to_zoned(self.zone.clone()).date();
        days.filter_map(move |days| {
            let date = today.checked_add(days.days()).ok()?;
            let wanted = self.day.is_none_or(|day| date.weekday() == day);
            let local = date.to_datetime(self.time);
            wanted.then(|| self.zone.to_ambiguous_timestamp(local).compatible().ok()).flatten()
        })
    }
}

/// As the library for time zones has it; `None` beyond the year 9999.
fn instant(at: Timestamp) -> Option<Instant> {
    let millis = i64::try_from(at.as_millis()).ok()?;
    Instant::from_duration(SignedDuration::from_millis(millis)).ok()
}

/// As this library has it.
fn timestamp(at: Instant) -> Option<Timestamp> {
    u64::try_from(at.as_millisecond()).ok().map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boundary(text: &str) -> Boundary {
        text.parse::<Calendar>().unwrap().compile().unwrap().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        timestamp(text.parse().unwrap()).unwrap()
    }

    // X1
    #[test]
    fn a_day_ends_by_the_clock_of_the_place() {
        let berlin = boundary("04:00 Europe/Berlin");
        assert_eq!(
            berlin.first_after(at("2026-01-10T02:59:59Z")),
            Some(at("2026-01-10T03:00:00Z"))
        );
        assert_eq!(
            berlin.first_after(at("2026-01-10T03:00:00Z")),
            Some(at("2026-01-11T03:00:00Z"))
        );
        assert_eq!(
            berlin.first_after(at("2026-07-10T03:00:00Z")),
            Some(at("2026-07-11T02:00:00Z"))
        );
        assert_eq!(
            berlin.last_before(at("2026-01-10T03:00:00Z")),
            Some(at("2026-01-10T03:00:00Z"))
        );
        assert_eq!(
            berlin.last_before(at("2026-01-10T02:59:59Z")),
            Some(at("2026-01-09T03:00:00Z"))
        );
    }

    // X1
    #[test]
    fn a_time_that_the_clocks_skip_comes_later_and_one_that_comes_twice_counts_once() {
        // Berlin, 2026-03-29: 02:00 becomes 03:00. 2026-10-25: 03:00 becomes 02:00.
        let berlin = boundary("02:30 Europe/Berlin");
        assert_eq!(
            berlin.first_after(at("2026-03-28T12:00:00Z")),
            Some(at("2026-03-29T01:30:00Z"))
        );
        assert_eq!(
            berlin.first_after(at("2026-03-29T01:30:00Z")),
            Some(at("2026-03-30T00:30:00Z"))
        );
        assert_eq!(
            berlin.first_after(at("2026-10-24T12:00:00Z")),
            Some(at("2026-10-25T00:30:00Z"))
        );
        assert_eq!(
            berlin.first_after(at("2026-10-25T00:30:00Z")),
            Some(at("2026-10-26T01:30:00Z"))
        );
        // A whole day that a place has left out: Samoa had no 30 December 2011.
        let apia = boundary("04:00 Pacific/Apia");
        let before = at("2011-12-29T14:00:00Z");
        let next = apia.first_after(before).unwrap();
        assert!(next > before && next.since(before) <= std::time::Duration::from_secs(26 * 3_600));
    }

    // X1
    #[test]
    fn a_week_ends_on_its_day() {
        let monday = boundary("monday 09:15 America/New_York");
        assert_eq!(
            monday.first_after(at("2026-11-20T00:00:00Z")),
            Some(at("2026-11-23T14:15:00Z"))
        );
        assert_eq!(
            monday.last_before(at("2026-11-20T00:00:00Z")),
            Some(at("2026-11-16T14:15:00Z"))
        );
    }

    // X1: the same day, again and again, in many places: boundaries are a day apart, more or less an hour
    #[test]
    fn there_is_one_boundary_a_day_in_every_place() {
        for zone in
            ["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca"]
        {
            for time in ["00:00", "02:30", "23:59"] {
                let boundary = boundary(&format!("{time} {zone}"));
                let mut last = boundary.first_after(at("2024-12-31T00:00:00Z")).unwrap();
                for _ in 0..800 {
                    let next = boundary.first_after(last).unwrap();
                    let hours = next.since(last).as_secs_f64() / 3_600.0;
                    assert!((22.9..25.1).contains(&hours), "{zone} {time}: {last} to {next}");
                    assert_eq!(boundary.last_before(next), Some(next));
                    assert_eq!(
                        boundary.last_before(next.minus(std::time::Duration::from_millis(1))),
                        Some(last)
                    );
                    last = next;
                }
            }
        }
    }

    // X2
    #[test]
    fn nonsense_is_refused_with_what_is_wrong() {
        for (text, problem) in [
            ("", "no time"),
            ("monday", "no time"),
            ("4:00", "no such hour"),
            ("24:00", "no such hour"),
            ("04:60", "no such minute"),
            ("04:0x", "no such minute"),
            ("04:00 Europe/Atlantis", "no such time zone"),
            ("04:00 UTC UTC", "behind it"),
            // A sign is a part of a number to whoever reads numbers, and was read as 04:00.
            ("+4:00", "no such hour"),
            ("04:+0", "no such minute"),
            ("someday 04:00", "no time"),
        ] {
            let error = text.parse::<Calendar>().unwrap_err().to_string();
            assert!(error.contains(problem), "{text:?}: {error}");
        }
        for text in ["never", "04:00 UTC", "sunday 23:59 Asia/Tokyo"] {
            assert_eq!(text.parse::<Calendar>().unwrap().to_string(), text);
        }
    }
}
