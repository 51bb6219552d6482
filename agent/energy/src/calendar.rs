//! When a machine is meant to work: shifts, public holidays, planned stops, declared overtime, in the site's zone.
//!
//! It knows nothing of tariffs (their days are a calendar of their own) and asks no clock. Invariant: the answer at an
//! instant comes with the instant at which it may change, and between the two it is the same.

use std::{collections::BTreeMap, fmt, sync::Arc};

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, DateTime, Time, Weekday},
    tz::TimeZone,
};
use serde::Deserialize;

use crate::{both, finding::Title};

/// A calendar of public holidays, one file of `config/calendars`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HolidayCalendar {
    /// Who declares these days.
    pub authority: String,
    /// Where they were found.
    pub source: String,
    /// The days, ascending.
    pub holiday: Vec<Holiday>,
}

/// One public holiday.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holiday {
    /// The day.
    pub date: Date,
    /// Its name in Korean (or the country's language).
    pub ko: String,
    /// Its name in English.
    pub en: String,
    /// Declared ad hoc (임시공휴일): a holiday for people, a working day for KEPCO's tariffs.
    #[serde(default)]
    pub ad_hoc: bool,
}

impl HolidayCalendar {
    /// The days off that everybody has, ad-hoc ones included.
    pub fn days(&self) -> BTreeMap<Date, String> {
        self.holiday
            .iter()
            .map(|holiday| (holiday.date, holiday.en.clone()))
            .collect()
    }
}

/// Weekly working hours: `"mon-fri 08:00-12:00 13:00-18:00"`; several rules are joined by commas.
/// A stretch may run past midnight (`22:00-06:00`) and then belongs to the day it starts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift(Vec<Rule>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    days: Vec<Weekday>,
    /// Minutes from midnight; the end is beyond 1440 where the stretch runs past midnight.
    stretches: Vec<(i16, i16)>,
}

/// Why a shift could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: write a shift as \"mon-fri 08:00-12:00 13:00-18:00\"", .0.en)]
pub struct ShiftError(Title);

impl ShiftError {
    /// In both languages, for people.
    pub fn text(&self) -> Title {
        let what = &self.0;
        both!(
            [what],
            "{what}. 근무조는 \"mon-fri 08:00-12:00 13:00-18:00\"처럼 쓰십시오",
            "{what}: write a shift as \"mon-fri 08:00-12:00 13:00-18:00\""
        )
    }
}

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl std::str::FromStr for Shift {
    type Err = ShiftError;

    fn from_str(text: &str) -> Result<Self, ShiftError> {
        text.split(',')
            .map(|rule| parse_rule(rule.trim()))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn parse_rule(text: &str) -> Result<Rule, ShiftError> {
    let mut words = text.split_whitespace();
    let days = parse_days(
        words
            .next()
            .ok_or_else(|| ShiftError(both!("아무것도 적혀 있지 않습니다", "nothing is written")))?,
    )?;
    let stretches: Vec<_> = words.map(parse_stretch).collect::<Result<_, _>>()?;
    if stretches.is_empty() {
        return Err(ShiftError(both!(
            "{text:?}에 요일 다음의 시간이 없습니다",
            "no hours follow the days in {text:?}"
        )));
    }
    Ok(Rule { days, stretches })
}

fn parse_days(text: &str) -> Result<Vec<Weekday>, ShiftError> {
    let index = |name: &str| {
        WEEKDAYS.iter().position(|(known, _)| *known == name).ok_or_else(|| {
            ShiftError(both!(
                "{name:?}은(는) 요일(mon, tue, … sun)이 아닙니다",
                "{name:?} is not a day (mon, tue, … sun)"
            ))
        })
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (index(first)?, index(last)?),
        None => (index(text)?, index(text)?),
    };
    let length = (last + 7 - first) % 7;
    Ok((0..=length).map(|step| WEEKDAYS[(first + step) % 7].1).collect())
}

fn parse_stretch(text: &str) -> Result<(i16, i16), ShiftError> {
    let (start, end) = text.split_once('-').ok_or_else(|| {
        ShiftError(both!(
            "{text:?}은(는) 시간 구간이 아닙니다",
            "{text:?} is not a stretch of hours"
        ))
    })?;
    let (start, end) = (parse_minutes(start)?, parse_minutes(end)?);
    if start == 1440 || start == end {
        return Err(ShiftError(both!("{text:?}의 길이가 0입니다", "{text:?} has no length")));
    }
    Ok((start, if end <= start { end + 1440 } else { end }))
}

/// Minutes from midnight of `HH:MM`, up to `24:00`.
fn parse_minutes(text: &str) -> Result<i16, ShiftError> {
    let error = || {
        ShiftError(both!(
            "{text:?}은(는) 시각(HH:MM)이 아닙니다",
            "{text:?} is not a time of day (HH:MM)"
        ))
    };
    let (hours, minutes) = text.split_once(':').ok_or_else(error)?;
    let two_digits = |part: &str| {
        if part.len() == 2 {
            part.parse::<i16>().map_err(|_| error())
        } else {
            Err(error())
        }
    };
    match (two_digits(hours)?, two_digits(minutes)?) {
        (24, 0) => Ok(1440),
        (hours @ 0..=23, minutes @ 0..=59) => Ok(hours * 60 + minutes),
        _ => Err(error()),
    }
}

impl Shift {
    /// Stretches of work that begin on `day`, in local time.
    fn stretches(&self, day: Date) -> impl Iterator<Item = (DateTime, DateTime)> + '_ {
        let midnight = day.to_datetime(Time::midnight());
        self.0
            .iter()
            .filter(move |rule| rule.days.contains(&day.weekday()))
            .flat_map(|rule| &rule.stretches)
            .map(move |&(start, end)| {
                (
                    midnight + i64::from(start).minutes(),
                    midnight + i64::from(end).minutes(),
                )
            })
    }
}

/// Days on which a whole site rests.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DaysOff {
    /// Public holidays and company days, with their names.
    pub holidays: Arc<BTreeMap<Date, String>>,
    /// Planned stops, local time, end exclusive.
    pub closed: Vec<(DateTime, DateTime)>,
}

impl DaysOff {
    /// How much of `[from, to)`, in milliseconds, lies in them; in holidays only where those are kept.
    pub(crate) fn within_ms(&self, zone: &TimeZone, (from, to): (Timestamp, Timestamp), is_kept: bool) -> i64 {
        let (from, to) = (zone.to_datetime(from), zone.to_datetime(to));
        let day = |day: Date| {
            let midnight = day.to_datetime(Time::midnight());
            (midnight, midnight + 1.day())
        };
        let holidays = self.holidays.range(from.date()..=to.date());
        let holidays = holidays.filter(|_| is_kept).map(|(date, _)| day(*date));
        let mut off: Vec<(DateTime, DateTime)> = holidays
            .chain(self.closed.iter().copied())
            .map(|(start, end)| (start.max(from), end.min(to)))
            .filter(|(start, end)| start < end)
            .collect();
        off.sort_unstable();
        // What lies in two of them counts once.
        let (mut sum_ms, mut until) = (0, from);
        for (start, end) in off {
            let length = end.duration_since(start.max(until));
            sum_ms += length.as_millis().max(0) as i64;
            until = until.max(end);
        }
        sum_ms
    }
}

/// Working hours of one machine: its shift, less holidays and stops, plus declared work.
#[derive(Debug, Clone, PartialEq)]
pub struct Hours {
    /// Zone the hours are meant in.
    pub zone: TimeZone,
    /// Weekly hours; `None` = none but what is declared `open`.
    pub shift: Option<Shift>,
    /// They cancel the shift.
    pub days_off: DaysOff,
    /// Declared work, local time, end exclusive: it wins over everything above.
    pub open: Vec<(DateTime, DateTime)>,
}

/// Whether work is meant at an instant, and until when that answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenUntil {
    /// Work is meant.
    pub is_open: bool,
    /// The next instant at which the answer may change, at most two days ahead.
    pub until: Timestamp,
}

impl Hours {
    /// Whether work is meant at `at`.
    pub fn at(&self, at: Timestamp) -> OpenUntil {
        let local = self.zone.to_datetime(at);
        OpenUntil {
            is_open: self.is_open(local),
            until: self.next_edge(local, at),
        }
    }

    fn is_open(&self, local: DateTime) -> bool {
        let within = |&(start, end): &(DateTime, DateTime)| start <= local && local < end;
        self.open.iter().any(within)
            || (!self.days_off.closed.iter().any(within) && self.regular(local).any(|s| within(&s)))
    }

    /// Stretches of the shift around `local`, those of holidays left out: a night shift that began on a working day
    /// runs on into a holiday.
    fn regular(&self, local: DateTime) -> impl Iterator<Item = (DateTime, DateTime)> + '_ {
        let days = [
            local.date().saturating_sub(1.day()),
            local.date(),
            local.date().saturating_add(1.day()),
        ];
        days.into_iter()
            .filter(|day| !self.days_off.holidays.contains_key(day))
            .flat_map(|day| self.shift.iter().flat_map(move |shift| shift.stretches(day)))
    }

    fn next_edge(&self, local: DateTime, at: Timestamp) -> Timestamp {
        let tomorrow = local.date().saturating_add(1.day()).to_datetime(Time::midnight());
        let edges = self
            .regular(local)
            .chain(self.open.iter().copied())
            .chain(self.days_off.closed.iter().copied());
        edges
            .flat_map(|(start, end)| [start, end])
            .chain([tomorrow])
            .filter(|edge| *edge > local)
            .filter_map(|edge| self.zone.to_timestamp(edge).ok())
            .filter(|edge| *edge > at)
            .min()
            .unwrap_or(at + 1.hour())
    }
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |minutes: i16| format!("{:02}:{:02}", minutes % 1440 / 60, minutes % 60);
        for (index, rule) in self.0.iter().enumerate() {
            let day = |weekday: Weekday| {
                WEEKDAYS
                    .iter()
                    .find(|(_, known)| *known == weekday)
                    .map_or("", |(name, _)| name)
            };
            let (first, last) = (day(rule.days[0]), day(rule.days[rule.days.len() - 1]));
            write!(f, "{}{first}", if index == 0 { "" } else { ", " })?;
            if first != last {
                write!(f, "-{last}")?;
            }
            for &(start, end) in &rule.stretches {
                write!(f, " {}-{}", clock(start), clock(end))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hours(shift: &str) -> Hours {
        let day = |text: &str| text.parse::<DateTime>().expect("valid");
        Hours {
            zone: TimeZone::get("Asia/Seoul").expect("known"),
            shift: Some(shift.parse().expect("valid")),
            days_off: DaysOff {
                holidays: Arc::new([("2026-09-25".parse().expect("valid"), "Chuseok".to_owned())].into()),
                closed: vec![(day("2026-08-03T00:00"), day("2026-08-08T00:00"))],
            },
            open: vec![(day("2026-09-25T09:00"), day("2026-09-25T13:00"))],
        }
    }

    fn at(local: &str) -> Timestamp {
        format!("{local}:00+09:00").parse().expect("valid")
    }

    fn check(shift: &str, cases: &[(&str, bool, &str)]) {
        for (local, is_open, until) in cases {
            let expected = OpenUntil {
                is_open: *is_open,
                until: at(until),
            };
            assert_eq!(hours(shift).at(at(local)), expected, "{shift} at {local}");
        }
    }

    #[test]
    fn days_off_are_counted_once() {
        let days_off = DaysOff {
            closed: vec![
                (
                    "2026-08-03T00:00".parse().expect("valid"),
                    "2026-08-08T00:00".parse().expect("valid"),
                ),
                (
                    "2026-09-24T12:00".parse().expect("valid"),
                    "2026-09-25T12:00".parse().expect("valid"),
                ),
            ],
            ..hours("mon-fri 08:00-18:00").days_off
        };
        let zone = hours("mon-fri 08:00-18:00").zone;
        for (from, to, expected_h) in [
            ("2026-08-01T00:00", "2026-08-03T00:00", 0),
            ("2026-08-01T00:00", "2026-08-31T00:00", 120),
            ("2026-08-04T06:00", "2026-08-04T09:00", 3),
            ("2026-09-20T00:00", "2026-09-30T00:00", 36),
            ("2026-09-25T06:00", "2026-09-25T18:00", 12),
        ] {
            let off_ms = days_off.within_ms(&zone, (at(from), at(to)), true);
            assert_eq!(off_ms, expected_h * 3_600_000, "{from} {to}");
        }
    }

    #[test]
    fn a_day_shift_has_its_break_its_nights_and_its_weekend() {
        check(
            "mon-fri 08:00-12:00 13:00-18:00",
            &[
                ("2026-08-28T07:59", false, "2026-08-28T08:00"),
                ("2026-08-28T08:00", true, "2026-08-28T12:00"),
                ("2026-08-28T12:00", false, "2026-08-28T13:00"),
                ("2026-08-28T17:59", true, "2026-08-28T18:00"),
                ("2026-08-28T18:00", false, "2026-08-29T00:00"),
                ("2026-08-29T10:00", false, "2026-08-30T00:00"),
            ],
        );
    }

    #[test]
    fn a_night_shift_belongs_to_the_day_it_begins() {
        check(
            "mon-fri 22:00-06:00",
            &[
                ("2026-08-28T23:00", true, "2026-08-29T00:00"),
                ("2026-08-29T05:59", true, "2026-08-29T06:00"),
                ("2026-08-29T06:00", false, "2026-08-30T00:00"),
                ("2026-08-31T05:00", false, "2026-08-31T22:00"),
            ],
        );
    }

    #[test]
    fn holidays_and_stops_cancel_the_shift_and_declared_work_wins() {
        check(
            "mon-fri 08:00-18:00",
            &[
                ("2026-08-04T10:00", false, "2026-08-04T18:00"),
                ("2026-08-10T10:00", true, "2026-08-10T18:00"),
                ("2026-09-25T08:30", false, "2026-09-25T09:00"),
                ("2026-09-25T09:00", true, "2026-09-25T13:00"),
                ("2026-09-25T14:00", false, "2026-09-26T00:00"),
            ],
        );
    }

    #[test]
    fn a_clock_change_moves_nothing_on_the_wall() {
        let berlin = Hours {
            zone: TimeZone::get("Europe/Berlin").expect("known"),
            ..hours("mon-sun 01:00-04:00")
        };
        let before: Timestamp = "2026-03-29T00:30:00Z".parse().expect("valid");
        assert_eq!(
            berlin.at(before).until.to_string(),
            "2026-03-29T02:00:00Z",
            "04:00 of the summer clock"
        );
    }

    #[test]
    fn shifts_are_read_and_written_and_nonsense_is_refused() {
        for text in [
            "mon-fri 08:00-12:00 13:00-18:00",
            "sat 22:00-06:00",
            "mon-thu 06:00-14:00, fri 06:00-12:00",
        ] {
            assert_eq!(
                text.parse::<Shift>().map(|shift| shift.to_string()),
                Ok(text.to_owned())
            );
        }
        assert_eq!(
            "fri-mon 00:00-24:00".parse::<Shift>().expect("valid").to_string(),
            "fri-mon 00:00-00:00"
        );
        for bad in [
            "",
            "mon",
            "mo 08:00-09:00",
            "mon 8:00-09:00",
            "mon 08:00",
            "mon 08:00-25:00",
            "mon 08:00-08:00",
        ] {
            assert!(bad.parse::<Shift>().is_err(), "{bad}");
        }
    }

    proptest! {
        /// Between an instant and its `until` the answer stays the same, and `until` lies ahead.
        #[test]
        fn the_answer_holds_until_it_says(minute in 0i64..525_600, later in 0.0f64..1.0) {
            let hours = hours("mon-fri 08:00-12:00 13:00-22:30, sat 22:00-06:00");
            let start = at("2026-01-01T00:00") + jiff::SignedDuration::from_mins(minute);
            let now = hours.at(start);
            prop_assert!(now.until > start);
            let between = (now.until.as_millisecond() - start.as_millisecond() - 1) as f64 * later;
            let then = start + jiff::SignedDuration::from_millis(between as i64);
            prop_assert_eq!(hours.at(then).is_open, now.is_open);
        }

        /// Whatever is written, reading it does not panic, and what is read is written the same way again.
        #[test]
        fn any_text_is_answered(text in "[a-z0-9:, -]{0,40}") {
            if let Ok(shift) = text.parse::<Shift>() {
                let written = shift.to_string();
                prop_assert_eq!(written.parse::<Shift>().map(|shift| shift.to_string()), Ok(written));
            }
        }
    }
}
