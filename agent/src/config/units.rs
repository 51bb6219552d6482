//! Values that are written with their unit or as a date: durations, sizes, days, months, stretches of days and hours.
//!
//! Pure text to value; places and files are the reader's matter. Every error says what was written and how to write it.

use std::time::Duration;

use energy::{both, finding::Title};
use jiff::{
    ToSpan,
    civil::{Date, DateTime, Time},
};

/// A duration: `"500ms"`, `"1s"`, `"10m"`, `"1h"`, `"7d"`.
pub fn duration(text: &str) -> Result<Duration, Title> {
    let units = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
    ];
    with_unit(text, &units).map(Duration::from_millis).ok_or_else(|| {
        both!(
            "{text:?}은(는) 시간 길이가 아닙니다. \"500ms\", \"1s\", \"10m\", \"1h\"처럼 정수와 단위를 쓰십시오",
            "{text:?} is not a duration: write a whole number and its unit, as \"500ms\", \"1s\", \"10m\" or \"1h\""
        )
    })
}

/// A size in bytes: `"512MiB"`, `"8GiB"`. Only units that mean one thing: disks are sold in others than files are counted in.
pub fn size(text: &str) -> Result<u64, Title> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
    with_unit(text, &units).ok_or_else(|| {
        both!(
            "{text:?}은(는) 크기가 아닙니다. \"8GiB\"처럼 정수에 KiB, MiB, GiB, TiB 중 하나를 붙여 쓰십시오",
            "{text:?} is not a size: write a whole number with KiB, MiB, GiB or TiB, as \"8GiB\""
        )
    })
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = (&text[..split], text[split..].trim());
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// A day: `"2026-08-01"`.
pub fn date(text: &str) -> Result<Date, Title> {
    let is_day = text.len() == 10 && text.is_ascii();
    is_day.then(|| text.parse().ok()).flatten().ok_or_else(|| {
        both!(
            "{text:?}은(는) 날짜가 아닙니다. \"2026-08-01\"처럼 쓰십시오",
            "{text:?} is not a day: write \"2026-08-01\""
        )
    })
}

/// A month, as its first day: `"2026-08"`.
pub fn month(text: &str) -> Result<Date, Title> {
    date(&format!("{text}-01")).map_err(|_| {
        both!(
            "{text:?}은(는) 연월이 아닙니다. \"2026-08\"처럼 쓰십시오",
            "{text:?} is not a month: write \"2026-08\""
        )
    })
}

/// Local stretches, end exclusive.
pub type Stretches = Vec<(DateTime, DateTime)>;

/// Longest run of days with hours: bounds what one line can unfold to. Ten years of declared nights is beyond any plan.
const MAX_DAYS: i32 = 3_660;

/// Stretches of time: days (`"2026-08-03/2026-08-07"`, both inclusive, or one day), hours of a day
/// (`"2026-08-01 09:00/13:00"`), from instant to instant (`"2026-08-01 22:00/2026-08-03 06:00"`), or the same hours of
/// each of some days (`"2026-01-18/2026-02-24 22:00-07:00"`; past midnight they belong to the day they begin on).
pub fn stretches(text: &str) -> Result<Stretches, Title> {
    let (left, right) = text.split_once('/').unwrap_or((text, text));
    let left: Vec<&str> = left.split_whitespace().collect();
    let right: Vec<&str> = right.split_whitespace().collect();
    let found = match (left.as_slice(), right.as_slice()) {
        (&[first], &[last]) => days(date(first)?, date(last)?),
        (&[day, start], &[end]) => hours(date(day)?, clock(start)?, clock(end)?),
        (&[first, start], &[last, end]) if text.contains('/') => {
            let start = instant(date(first)?, clock(start)?);
            let end = instant(date(last)?, clock(end)?);
            vec![(start, end)]
        }
        (&[first], &[last, hours]) => each_day(date(first)?, date(last)?, hours)?,
        _ => return Err(unreadable(text)),
    };
    if found.is_empty() || found.iter().any(|(start, end)| start >= end) {
        return Err(both!(
            "{text:?}의 끝이 시작보다 앞섭니다. 이른 쪽을 먼저 쓰고, 자정을 넘으면 \"2026-08-01 22:00/2026-08-02 06:00\"처럼 쓰십시오",
            "{text:?} ends before it begins: write the earlier end first; past midnight as \"2026-08-01 22:00/2026-08-02 06:00\""
        ));
    }
    Ok(found)
}

fn unreadable(text: &str) -> Title {
    both!(
        "{text:?}은(는) 기간이 아닙니다. \"2026-08-03/2026-08-07\" 또는 \"2026-08-01 09:00/13:00\"처럼 쓰십시오",
        "{text:?} is not a stretch of time: write \"2026-08-03/2026-08-07\" or \"2026-08-01 09:00/13:00\""
    )
}

fn days(first: Date, last: Date) -> Stretches {
    vec![(instant(first, 0), instant(last, 1440))]
}

fn hours(day: Date, start: i64, end: i64) -> Stretches {
    vec![(instant(day, start), instant(day, end))]
}

fn each_day(first: Date, last: Date, hours: &str) -> Result<Stretches, Title> {
    let (start, end) = hours.split_once('-').ok_or_else(|| unreadable(hours))?;
    let (start, end) = (clock(start)?, clock(end)?);
    let end = if end <= start { end + 1440 } else { end };
    let n_days = first.until(last).map_or(0, |span| span.get_days());
    if n_days >= MAX_DAYS {
        return Err(both!(
            "{first}부터 {last}까지는 {MAX_DAYS}일을 넘습니다",
            "{first} to {last} is more than {MAX_DAYS} days"
        ));
    }
    let days = (0..=n_days).map(|step| first.saturating_add(step.days()));
    Ok(days.map(|day| (instant(day, start), instant(day, end))).collect())
}

fn instant(day: Date, minutes: i64) -> DateTime {
    day.to_datetime(Time::midnight()).saturating_add(minutes.minutes())
}

/// Minutes from midnight of `"HH:MM"`, up to `"24:00"`.
fn clock(text: &str) -> Result<i64, Title> {
    let error = || {
        both!(
            "{text:?}은(는) 시각이 아닙니다. \"09:00\"처럼 쓰십시오",
            "{text:?} is not a time of day: write \"09:00\""
        )
    };
    let (hours, minutes) = text.split_once(':').ok_or_else(error)?;
    let digits = |part: &str| -> Option<i64> {
        let is_number = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse().ok()).flatten()
    };
    match (digits(hours), digits(minutes)) {
        (Some(24), Some(0)) => Ok(1440),
        (Some(hours @ 0..=23), Some(minutes @ 0..=59)) => Ok(hours * 60 + minutes),
        _ => Err(error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_carry_their_unit() {
        for (text, expected) in [
            ("500ms", Some(500)),
            ("1s", Some(1_000)),
            ("10m", Some(600_000)),
            ("1h", Some(3_600_000)),
            ("10 m", Some(600_000)),
            ("10", None),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("1.5h", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(duration(text).ok(), expected.map(Duration::from_millis), "{text}");
        }
        assert_eq!(size("8GiB"), Ok(8 << 30));
        for text in ["500MB", "8GB", "8G", "8"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn stretches_are_days_hours_instants_or_nights() {
        for (text, expected) in [
            ("2026-08-03/2026-08-07", vec!["2026-08-03T00:00/2026-08-08T00:00"]),
            ("2026-08-03", vec!["2026-08-03T00:00/2026-08-04T00:00"]),
            ("2026-08-01 09:00/13:00", vec!["2026-08-01T09:00/2026-08-01T13:00"]),
            ("2026-08-01 22:00/24:00", vec!["2026-08-01T22:00/2026-08-02T00:00"]),
            (
                "2026-08-01 22:00/2026-08-03 06:00",
                vec!["2026-08-01T22:00/2026-08-03T06:00"],
            ),
            (
                "2026-01-18/2026-01-19 22:00-07:00",
                vec!["2026-01-18T22:00/2026-01-19T07:00", "2026-01-19T22:00/2026-01-20T07:00"],
            ),
            ("2026-08-07/2026-08-03", vec![]),
            ("2026-08-01 13:00/09:00", vec![]),
            ("2026-08-01 09:00", vec![]),
            ("2026-02-30", vec![]),
            ("", vec![]),
            ("0001-01-01/9999-12-31 00:00-01:00", vec![]),
        ] {
            let shown = |(start, end): &(DateTime, DateTime)| {
                format!(
                    "{}/{}",
                    start.strftime("%Y-%m-%dT%H:%M"),
                    end.strftime("%Y-%m-%dT%H:%M")
                )
            };
            let found = stretches(text).unwrap_or_default();
            assert_eq!(found.iter().map(shown).collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn months_are_their_first_day() {
        assert_eq!(month("2025-08"), date("2025-08-01"));
        assert!(month("2025-13").is_err());
    }
}
