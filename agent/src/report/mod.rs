//! The monthly report: figures (pure) and the forms they are written in, HTML for people, JSON for programs.
//!
//! It reads no store and no clock; who calls hands over intervals and findings. Invariant: every form shows the same
//! figures, made once in `figures`, and a total never stands without its coverage.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

pub mod carbon;
pub mod figures;
pub mod html;
mod html_words;
pub mod json;
pub(crate) mod waste;
pub mod words;

pub use crate::language::Language;
pub use figures::{Figures, MonthFigures, Summary};

/// Where the readings come from: a report of the demo says so on its first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Meters of a plant.
    Plant,
    /// The simulated plant.
    Demo,
}

/// A calendar month of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    /// Its first day.
    pub first: Date,
}

/// A text that names no month.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a month: write it as \"2026-08\"")]
pub struct MonthError(String);

impl std::str::FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let first = match text.len() {
            7 => format!("{text}-01").parse(),
            _ => "".parse(),
        };
        first
            .map(|first| Self { first })
            .map_err(|_| MonthError(text.to_owned()))
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.first.strftime("%Y-%m"))
    }
}

impl Month {
    /// The month of an instant in a site's zone.
    pub fn of(at: Timestamp, zone: &TimeZone) -> Self {
        Self {
            first: zone.to_datetime(at).date().first_of_month(),
        }
    }

    /// First instant, and the first instant of the next month.
    pub fn bounds(self, zone: &TimeZone) -> (Timestamp, Timestamp) {
        let next = self.first.saturating_add(jiff::Span::new().months(1));
        (midnight(self.first, zone), midnight(next, zone))
    }
}

/// First instant of a day, and of the next.
pub fn day_bounds(day: Date, zone: &TimeZone) -> (Timestamp, Timestamp) {
    let next = day.tomorrow().unwrap_or(day);
    (midnight(day, zone), midnight(next, zone))
}

/// First instant of a day in a zone.
fn midnight(day: Date, zone: &TimeZone) -> Timestamp {
    zone.to_ambiguous_timestamp(day.to_datetime(jiff::civil::Time::midnight()))
        .compatible()
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, &str)>) {
        let zone = TimeZone::get("Asia/Seoul").expect("in the bundled database");
        let bounds = text.parse::<Month>().ok().map(|month| month.bounds(&zone));
        let expected = expected.map(|(from, until)| (from.parse().expect("valid"), until.parse().expect("valid")));
        assert_eq!(bounds, expected, "{text}");
    }

    #[test]
    fn a_month_runs_from_midnight_to_midnight_of_its_zone() {
        check("2026-12", Some(("2026-11-30T15:00:00Z", "2026-12-31T15:00:00Z")));
        check("2018-02", Some(("2018-01-31T15:00:00Z", "2018-02-28T15:00:00Z")));
        for wrong in ["2026-13", "2026", "2026-1", "", "2026-08-01"] {
            check(wrong, None);
        }
    }
}
