//! Billing periods, and the parts of one in which the same contract and the same dated rows hold.
//!
//! It knows no usage. Invariants: periods adjoin, and no two are of one month; every day of a period under contract is in exactly one part, parts are in order of
//! time; a day before the first price is in none.

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, Time},
    tz::TimeZone,
};

use crate::tariff::{Contract, edition::Edition};

/// From one reading of the supplier's meter to the day before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    /// First day of the month that the period's last day lies in: names the bill.
    pub(super) month: Date,
    /// First day.
    pub(super) from: Date,
    /// The day after the last.
    pub(super) to: Date,
}

impl Period {
    /// The period that holds `day`, where the meter is read on day `reading_day` (1..=28) of each month.
    fn of(day: Date, reading_day: i8) -> Self {
        let first = day.first_of_month();
        let reading = first.saturating_add(i64::from(reading_day - 1).days());
        let from = if day >= reading {
            reading
        } else {
            reading.saturating_sub(1.month())
        };
        let to = from.saturating_add(1.month());
        Self {
            month: to.saturating_sub(1.day()).first_of_month(),
            from,
            to,
        }
    }

    /// The period that holds `day`; `None` before the first contract. Each begins where the one before it ended: where a
    /// contract has another reading day than the one before, its first period is shorter or longer than a month, and each
    /// month still has one bill.
    pub(super) fn at(contracts: &[Contract], day: Date) -> Option<Self> {
        let index = contracts.iter().rposition(|contract| contract.from <= day)?;
        let (before, contract) = (&contracts[..index], &contracts[index]);
        let usual = Self::of(day, contract.reading_day);
        let Some(last) = Self::at(before, contract.from.saturating_sub(1.day())) else {
            return Some(usual);
        };
        if day < last.to {
            return Some(last);
        }
        let first = Self {
            from: last.to,
            ..Self::of(last.month.saturating_add(1.month()), contract.reading_day)
        };
        Some(if day < first.to { first } else { usual })
    }

    pub(super) fn n_days(self) -> i64 {
        days_between(self.from, self.to)
    }

    /// Days that a price of a month is for: those of a whole month up to its end.
    pub(super) fn usual_days(self) -> i64 {
        days_between(self.to.saturating_sub(1.month()), self.to)
    }

    /// First instant, and the first instant after it, on the tariff's clock.
    pub(super) fn bounds(self, zone: &TimeZone) -> (Timestamp, Timestamp) {
        let instant = |day: Date| {
            let midnight = zone
                .to_ambiguous_timestamp(day.to_datetime(Time::midnight()))
                .compatible();
            midnight.unwrap_or(Timestamp::MAX)
        };
        (instant(self.from), instant(self.to))
    }
}

/// Days from `from` to `to`, `to` exclusive.
pub(super) fn days_between(from: Date, to: Date) -> i64 {
    i64::from(from.until(to).map_or(0, |span| span.get_days()))
}

/// Consecutive days of a period with the same contract and the same rows.
#[derive(Debug, Clone)]
pub(super) struct Part<'a> {
    pub(super) edition: Edition<'a>,
    /// First day.
    pub(super) from: Date,
    /// The day after the last.
    pub(super) to: Date,
}

impl Part<'_> {
    pub(super) fn n_days(&self) -> i64 {
        days_between(self.from, self.to)
    }
}

/// The parts of a period.
pub(super) fn parts(contracts: &[Contract], period: Period) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    let mut day = period.from;
    while day < period.to {
        let next = day.saturating_add(1.day());
        let contract = contracts.iter().rev().find(|contract| contract.from <= day);
        if let Some(edition) = contract.and_then(|contract| contract.edition_of(day)) {
            match parts.last_mut() {
                Some(part) if part.to == day && part.edition.is_same(&edition) => part.to = next,
                _ => parts.push(Part {
                    edition,
                    from: day,
                    to: next,
                }),
            }
        }
        day = next;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_named_by_the_month_it_ends_in() {
        let check = |day: &str, reading_day, expected: (&str, &str, &str)| {
            let period = Period::of(day.parse().expect("valid"), reading_day);
            let (month, from, to) = expected;
            let date = |text: &str| text.parse().expect("valid");
            let expected = Period {
                month: date(month),
                from: date(from),
                to: date(to),
            };
            assert_eq!(period, expected, "{day} read on {reading_day}");
        };
        check("2026-02-28", 1, ("2026-02-01", "2026-02-01", "2026-03-01"));
        check("2026-02-15", 15, ("2026-03-01", "2026-02-15", "2026-03-15"));
        check("2026-02-14", 15, ("2026-02-01", "2026-01-15", "2026-02-15"));
        check("2026-01-03", 28, ("2026-01-01", "2025-12-28", "2026-01-28"));
    }
}
