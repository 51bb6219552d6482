//! What one kWh costs at an instant: band, energy price after discounts, charges on every kWh, levies.
//!
//! It does not make bills. Invariant: the answer holds from the instant asked to `until`.

use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, DateTime},
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{BandTable, Contract, DayKind, PriceTable};

/// Band of a time-of-use tariff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "plain words")]
pub enum Band {
    Light,
    Mid,
    Peak,
    Flat,
}

impl Band {
    /// Name as written in files and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Mid => "mid",
            Self::Peak => "peak",
            Self::Flat => "flat",
        }
    }
}

/// Price of one kWh, in the currency of the contract's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// Band its energy counts in.
    pub band: Band,
    /// Band a demand at this instant counts in.
    pub demand_band: Band,
    /// Energy price before any discount.
    pub energy_per_kwh: Decimal,
    /// Energy price after discounts, plus charges on every kWh, before levies.
    pub net_per_kwh: Decimal,
    /// With the levies of the day.
    pub gross_per_kwh: Decimal,
}

/// A price and until when it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceUntil {
    /// The price; `None` when no edition covers the instant.
    pub price: Option<Price>,
    /// The next instant at which it may change.
    pub until: Timestamp,
}

impl Contract {
    /// Whether the contract has begun at `at`.
    pub fn has_begun(&self, at: Timestamp) -> bool {
        self.from <= self.local(at).date()
    }

    /// What one kWh costs at `at`.
    pub fn price_at(&self, at: Timestamp) -> PriceUntil {
        let local = self.local(at);
        PriceUntil {
            price: self.price(local),
            until: next_hour(at, local),
        }
    }

    fn local(&self, at: Timestamp) -> DateTime {
        self.rules.zone.to_datetime(at)
    }

    /// Price of one kW of billing demand and month, at `at`, before levies and with them.
    pub fn demand_price_at(&self, at: Timestamp) -> Option<(Decimal, Decimal)> {
        let day = self.rules_day(self.local(at).date());
        let net = self.price_table(day)?.demand_per_kw;
        Some((net, net * self.levy_factor(day)))
    }

    /// The day whose rules hold on `day`: another one where the contract is pinned or the reform deferred.
    pub(super) fn rules_day(&self, day: Date) -> Date {
        let deferred = |reform: Date, to: Date| self.deferred && reform <= day && day <= to;
        match (&self.edition, &self.rules.deferral) {
            (Some(edition), _) => *edition,
            (None, Some(deferral)) if deferred(deferral.reform, deferral.to) => deferral.reform.saturating_sub(1.day()),
            _ => day,
        }
    }

    fn price(&self, local: DateTime) -> Option<Price> {
        let day = self.rules_day(local.date());
        let season = self.season(local.month())?;
        let prices = self.price_table(day)?.energy_per_kwh.get(season)?;
        let (band, demand_band) = self.bands(local, season, day)?;
        let energy_per_kwh = *prices.get(&band)?;
        let discounted = energy_per_kwh * (Decimal::ONE - self.discount_share(local, day));
        let net_per_kwh = discounted + self.charges_per_kwh(day);
        Some(Price {
            band,
            demand_band,
            energy_per_kwh,
            net_per_kwh,
            gross_per_kwh: net_per_kwh * self.levy_factor(day),
        })
    }

    fn season(&self, month: i8) -> Option<&str> {
        self.rules
            .seasons
            .iter()
            .find(|(_, months)| months.contains(&month))
            .map(|(season, _)| season.as_str())
    }

    fn price_table(&self, day: Date) -> Option<&PriceTable> {
        self.tariff.price.iter().rev().find(|table| table.from <= day)
    }

    fn band_table(&self, day: Date) -> Option<&BandTable> {
        let held = || self.rules.bands.iter().rev().filter(|table| table.from <= day);
        held()
            .find(|table| table.area.is_some() && table.area == self.area)
            .or_else(|| held().find(|table| table.area.is_none()))
    }

    /// Bands of energy and of demand: a Saturday's peak energy may count as mid while its demand does not.
    fn bands(&self, local: DateTime, season: &str, day: Date) -> Option<(Band, Band)> {
        let table = self.band_table(day)?;
        let kind = DayKind::of(local.date(), &self.holidays);
        if let (DayKind::Sunday | DayKind::Holiday, Some(band)) = (kind, table.sunday_and_holiday) {
            return Some((band, band));
        }
        let hours = table.hours.get(season)?;
        let in_hours = |spans: &Vec<super::HourSpan>| spans.iter().any(|span| span.contains(local.hour()));
        let band = hours.iter().find(|(_, spans)| in_hours(spans)).map(|(band, _)| *band)?;
        let energy_band = if kind == DayKind::Saturday {
            table.saturday.get(&band).copied()
        } else {
            None
        };
        Some((energy_band.unwrap_or(band), band))
    }

    fn discount_share(&self, local: DateTime, day: Date) -> Decimal {
        let kind = DayKind::of(local.date(), &self.holidays);
        let holds = |discount: &&super::Discount| {
            (discount.from..=discount.to).contains(&day)
                && discount.months.contains(&local.month())
                && discount.days.contains(&kind)
                && discount.hours.iter().any(|span| span.contains(local.hour()))
        };
        self.rules
            .discount
            .iter()
            .filter(holds)
            .map(|discount| discount.share)
            .sum()
    }

    /// Sum of the charges on every kWh, the newest row of each item.
    fn charges_per_kwh(&self, day: Date) -> Decimal {
        newest_of_each(&self.rules.per_kwh, day, |row| (&row.item, row.from))
            .map(|row| row.price)
            .sum()
    }

    fn levy_factor(&self, day: Date) -> Decimal {
        Decimal::ONE
            + newest_of_each(&self.rules.levy, day, |row| (&row.item, row.from))
                .map(|row| row.share)
                .sum::<Decimal>()
    }
}

/// Of dated rows, the newest of each item that has begun on `day`.
fn newest_of_each<T>(rows: &[T], day: Date, key: impl Fn(&T) -> (&String, Date)) -> impl Iterator<Item = &T> {
    rows.iter().filter(move |row| {
        let (item, from) = key(row);
        let is_superseded = |other: &T| {
            let (other_item, other_from) = key(other);
            other_item == item && from < other_from && other_from <= day
        };
        from <= day && !rows.iter().any(is_superseded)
    })
}

/// Bands change at whole hours of the local clock.
fn next_hour(at: Timestamp, local: DateTime) -> Timestamp {
    let into_hour_ms =
        i64::from(local.minute()) * 60_000 + i64::from(local.second()) * 1000 + i64::from(local.millisecond());
    at + SignedDuration::from_millis(3_600_000 - into_hour_ms)
}
