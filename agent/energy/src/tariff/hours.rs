//! Clock hours and kinds of day as tariffs write them. It knows no price.

use jiff::civil::{Date, Weekday};
use serde::Deserialize;

use crate::{both, finding::Title};

/// A stretch of clock hours `"HH-HH"`, end exclusive; `"22-08"` runs past midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HourSpan {
    from: i8,
    to: i8,
}

impl HourSpan {
    /// Whether the clock hour `hour` (0..=23) lies in it.
    pub fn contains(self, hour: i8) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&hour)
        } else {
            hour >= self.from || hour < self.to
        }
    }
}

/// Why clock hours could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.en)]
pub struct HourSpanError(pub Title);

impl TryFrom<String> for HourSpan {
    type Error = HourSpanError;

    fn try_from(text: String) -> Result<Self, HourSpanError> {
        let hour = |part: &str, last: i8| {
            part.parse()
                .ok()
                .filter(|hour| part.len() == 2 && (0..=last).contains(hour))
        };
        text.split_once('-')
            .and_then(|(from, to)| {
                Some(Self {
                    from: hour(from, 23)?,
                    to: hour(to, 24)?,
                })
            })
            .filter(|span| span.from != span.to)
            .ok_or_else(|| {
                HourSpanError(both!(
                    "{text:?}은(는) 시간 구간이 아닙니다. \"08-11\" 또는 \"22-08\"처럼 쓰십시오",
                    "{text:?} is not a stretch of hours: write \"08-11\" or \"22-08\""
                ))
            })
    }
}

impl std::fmt::Display for HourSpan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}-{:02}", self.from, self.to)
    }
}

/// What kind of day the tariff's calendar makes of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DayKind {
    /// Monday to Friday, not a public holiday.
    Working,
    /// Saturday, not a public holiday.
    Saturday,
    /// Sunday, not a public holiday.
    Sunday,
    /// Public holiday, whatever the weekday.
    Holiday,
}

impl DayKind {
    /// The kind of `day`, given the tariff's holidays.
    pub fn of(day: Date, holidays: &std::collections::BTreeSet<Date>) -> Self {
        match day.weekday() {
            _ if holidays.contains(&day) => Self::Holiday,
            Weekday::Sunday => Self::Sunday,
            Weekday::Saturday => Self::Saturday,
            _ => Self::Working,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_hold_their_hours_and_refuse_nonsense() {
        let span = |text: &str| HourSpan::try_from(text.to_owned());
        let night = span("22-08").expect("valid");
        assert_eq!((0..24).filter(|hour| night.contains(*hour)).count(), 10);
        assert_eq!(night.to_string(), "22-08");
        assert!(span("08-24").expect("valid").contains(23));
        for bad in ["8-11", "08-25", "24-08", "08-08", "0811", "", "aa-bb"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }
}
