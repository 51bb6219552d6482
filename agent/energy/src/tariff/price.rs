//! What one kWh costs at an instant: band, energy price after discounts, charges on every kWh, levies.
//!
//! It does not make bills. Invariant: the answer holds from the instant asked to `until`.

use jiff::{SignedDuration, Timestamp, civil::DateTime};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Contract;

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
    /// Every band, cheapest first: their order on a bill.
    pub const ALL: [Self; 4] = [Self::Light, Self::Mid, Self::Peak, Self::Flat];

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
    /// Share of the energy price that a discount takes off, 0..1.
    pub discount_share: Decimal,
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

    pub(crate) fn local(&self, at: Timestamp) -> DateTime {
        self.rules.zone.to_datetime(at)
    }

    fn price(&self, local: DateTime) -> Option<Price> {
        let edition = self.edition_of(local.date())?;
        let slot = edition.slot(self.day_kind(local.date()), local.month(), local.hour())?;
        let discount_share = slot.discount_share();
        let discounted = slot.energy_per_kwh * (Decimal::ONE - discount_share);
        let net_per_kwh = discounted + edition.charges_per_kwh();
        Some(Price {
            band: slot.band,
            demand_band: slot.demand_band,
            energy_per_kwh: slot.energy_per_kwh,
            discount_share,
            net_per_kwh,
            gross_per_kwh: net_per_kwh * edition.levy_factor(),
        })
    }
}

/// Bands change at whole hours of the local clock.
pub(super) fn next_hour(at: Timestamp, local: DateTime) -> Timestamp {
    let into_hour_ms =
        i64::from(local.minute()) * 60_000 + i64::from(local.second()) * 1000 + i64::from(local.millisecond());
    at + SignedDuration::from_millis(3_600_000 - into_hour_ms)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::tariff::{Rules, Tariff};

    const RULES: &str = r#"
currency = "KRW"
decimals = 0
zone = "Asia/Seoul"
seasons = { winter = [1, 2, 11, 12], other = [3, 4, 5, 6, 7, 8, 9, 10] }
per_kwh = [
  { item = "climate", from = "2020-01-01", price = 5, source = "test" },
  { item = "climate", from = "2026-04-01", price = 9, source = "test" },
  { item = "fuel", from = "2022-07-01", price = 1, source = "test" },
]
levy = [
  { item = "vat", from = "2020-01-01", share = 0.1, step = 1, rounding = "half-up", source = "test" },
  { item = "fund", from = "2020-01-01", share = 0.032, step = 10, rounding = "down", source = "test" },
  { item = "fund", from = "2025-07-01", share = 0.027, step = 10, rounding = "down", source = "test" },
]
deferral = { reform = "2026-04-16", to = "2026-09-30", source = "test" }

[[discount]]
item = "weekend_discount"
from = "2026-04-16"
to = "2030-12-31"
months = [3, 4, 5, 9, 10]
days = ["saturday", "sunday", "holiday"]
hours = ["11-14"]
share = 0.5
source = "test"

[[bands]]
from = "2020-01-01"
hours.winter = { light = ["22-08"], mid = ["08-22"] }
hours.other = { light = ["22-08"], mid = ["18-22"], peak = ["08-18"] }
saturday = { peak = "mid" }
sunday_and_holiday = "light"
authority = "test"
source = "test"

[[bands]]
from = "2020-01-01"
area = "jeju"
hours.winter = { light = ["00-24"] }
hours.other = { light = ["00-24"] }
authority = "test"
source = "test"

[[bands]]
from = "2026-04-16"
hours.winter = { light = ["22-08"], mid = ["08-22"] }
hours.other = { light = ["22-08"], mid = ["08-15"], peak = ["15-22"] }
saturday = { peak = "mid" }
sunday_and_holiday = "light"
authority = "test"
source = "test"
"#;

    const TARIFF: &str = r#"
title = { ko = "시험", en = "test" }
rules = "test"
[[price]]
from = "2020-01-01"
demand_per_kw = 8000
energy_per_kwh.winter = { light = 100, mid = 150 }
energy_per_kwh.other = { light = 90, mid = 140, peak = 190 }
authority = "test"
source = "test"
[[price]]
from = "2026-04-16"
demand_per_kw = 8320
energy_per_kwh.winter = { light = 100, mid = 150 }
energy_per_kwh.other = { light = 95, mid = 140, peak = 175 }
authority = "test"
source = "test"
"#;

    fn contract() -> Contract {
        Contract {
            from: "2024-01-01".parse().expect("valid"),
            tariff_name: "test".into(),
            tariff: toml::from_str::<Tariff>(TARIFF).expect("valid"),
            rules: toml::from_str::<Rules>(RULES).expect("valid"),
            holidays: BTreeSet::from(["2026-05-05".parse().expect("valid")]),
            contract_kw: 500.0,
            reading_day: 1,
            deferred: false,
            earlier_peaks: BTreeMap::new(),
            edition: None,
            area: None,
            reactive_meter: true,
        }
    }

    fn at(local: &str) -> Timestamp {
        format!("{local}:00+09:00").parse().expect("valid")
    }

    fn check(contract: &Contract, local: &str, expected: (Band, &str, &str)) {
        let price = contract.price_at(at(local)).price.expect("covered");
        let seen = (
            price.band,
            price.net_per_kwh.normalize().to_string(),
            price.gross_per_kwh.normalize().to_string(),
        );
        assert_eq!((seen.0, seen.1.as_str(), seen.2.as_str()), expected, "{local}");
    }

    #[test]
    fn band_edition_charges_and_levies_are_those_of_the_day() {
        let contract = contract();
        check(&contract, "2025-03-03T10:00", (Band::Peak, "196", "221.872"));
        check(&contract, "2025-07-01T10:00", (Band::Peak, "196", "220.892"));
        check(&contract, "2026-04-15T10:00", (Band::Peak, "200", "225.4"));
        check(&contract, "2026-04-16T10:00", (Band::Mid, "150", "169.05"));
        check(&contract, "2026-04-16T15:00", (Band::Peak, "185", "208.495"));
        check(&contract, "2026-11-05T15:00", (Band::Mid, "160", "180.32"));
    }

    #[test]
    fn saturdays_sundays_and_holidays_have_their_bands_and_their_discount() {
        let contract = contract();
        check(&contract, "2026-04-18T16:00", (Band::Mid, "150", "169.05"));
        assert_eq!(
            contract.price_at(at("2026-04-18T16:00")).price.map(|p| p.demand_band),
            Some(Band::Peak)
        );
        check(&contract, "2026-04-18T12:00", (Band::Mid, "80", "90.16"));
        check(&contract, "2026-04-19T12:00", (Band::Light, "57.5", "64.8025"));
        check(&contract, "2026-05-05T16:00", (Band::Light, "105", "118.335"));
    }

    #[test]
    fn a_pinned_or_deferred_contract_keeps_the_rules_of_another_day() {
        let pinned = Contract {
            edition: Some("2025-02-01".parse().expect("valid")),
            ..contract()
        };
        check(&pinned, "2018-05-04T10:00", (Band::Peak, "196", "221.872"));
        let deferred = Contract {
            deferred: true,
            ..contract()
        };
        check(&deferred, "2026-09-30T10:00", (Band::Peak, "200", "225.4"));
        check(&deferred, "2026-10-01T10:00", (Band::Mid, "150", "169.05"));
        let pinned_to = |day: &str| Contract {
            edition: Some(day.parse().expect("valid")),
            ..deferred.clone()
        };
        check(
            &pinned_to("2026-09-30"),
            "2022-05-04T10:00",
            (Band::Peak, "200", "225.4"),
        );
        check(
            &pinned_to("2026-10-01"),
            "2022-05-04T10:00",
            (Band::Mid, "150", "169.05"),
        );
    }

    #[test]
    fn an_area_has_its_own_bands() {
        let jeju = Contract {
            area: Some("jeju".into()),
            ..contract()
        };
        check(&jeju, "2026-05-04T16:00", (Band::Light, "105", "118.335"));
    }

    #[test]
    fn before_the_first_edition_nothing_is_known() {
        let early = contract().price_at(at("2019-12-31T10:00"));
        assert_eq!(early.price, None);
        assert!(!contract().has_begun(at("2023-12-31T23:59")));
        assert!(contract().has_begun(at("2024-01-01T00:00")));
    }

    proptest! {
        /// A price holds until it says, on every kind of day.
        #[test]
        fn a_price_holds_until_it_says(minute in 0i64..525_600, later in 0.0f64..1.0) {
            let contract = contract();
            let start = at("2026-01-01T00:00") + SignedDuration::from_mins(minute);
            let now = contract.price_at(start);
            prop_assert!(now.until > start);
            let between = (now.until.as_millisecond() - start.as_millisecond() - 1) as f64 * later;
            let then = contract.price_at(start + SignedDuration::from_millis(between as i64));
            prop_assert_eq!(then.price, now.price);
        }
    }
}
