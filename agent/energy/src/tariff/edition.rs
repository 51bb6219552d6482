//! Which dated rows of a contract's tariff hold on a day, and what they make of an hour of it.
//!
//! It multiplies nothing. Invariants: a contract pinned to an edition has the rows of that day in all years; a deferred
//! reform holds back prices, bands and discounts, and nothing else; an area's own band table wins over the general one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{ToSpan, civil::Date};
use rust_decimal::Decimal;

use super::{
    Band, BandTable, Contract, DayKind, Deferral, Discount, HourSpan, Levy, PerKwh, PowerFactorRule, PriceTable, Rules,
    Tariff,
};

/// The rows that hold on a day.
#[derive(Debug, Clone)]
pub struct Edition<'a> {
    /// Whose rows they are.
    pub contract: &'a Contract,
    /// Prices.
    pub prices: &'a PriceTable,
    /// Hours of the bands.
    pub bands: &'a BandTable,
    /// Season of the day.
    pub season: &'a str,
    /// Charges on every kWh, one of each item.
    pub charges: Vec<&'a PerKwh>,
    /// Taxes and levies, one of each item.
    pub levies: Vec<&'a Levy>,
    /// The power-factor rule, where there is one.
    pub power_factor: Option<&'a PowerFactorRule>,
    /// Discounts on the energy price that run.
    pub discounts: Vec<&'a Discount>,
}

/// What an hour of a day is to the tariff.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot<'a> {
    /// Band of the energy.
    pub(super) band: Band,
    /// Band of a demand: a Saturday's peak energy may count as mid while its demand does not.
    pub(super) demand_band: Band,
    /// Price of the energy, before any discount.
    pub(super) energy_per_kwh: Decimal,
    pub(super) discount: Option<&'a Discount>,
}

impl Slot<'_> {
    /// Share of the energy price that is taken off.
    pub(super) fn discount_share(&self) -> Decimal {
        self.discount.map_or(Decimal::ZERO, |discount| discount.share)
    }
}

impl Contract {
    /// A tariff without a customer, to be looked at: 1 kW from the first day of its prices on, no holidays, and the meters that are
    /// usual.
    pub fn alone(name: &str, tariff: Tariff, rules: Rules, area: Option<String>) -> Self {
        Self {
            from: tariff.price.first().map_or(Date::MIN, |first| first.from),
            tariff_name: name.to_owned(),
            rules: rules.with_demand_meter(!tariff.low_voltage),
            tariff,
            holidays: BTreeSet::new(),
            contract_kw: 1.0,
            reading_day: 1,
            deferred: false,
            earlier_peaks: BTreeMap::new(),
            edition: None,
            area,
            reactive_meter: true,
        }
    }

    /// The rows that hold on `day`; `None` before the first price or band table.
    pub fn edition_of(&self, day: Date) -> Option<Edition<'_>> {
        let (reform_day, rules_day) = (self.reform_day(day), self.edition.unwrap_or(day));
        let rules = &self.rules;
        let season = rules
            .seasons
            .iter()
            .find(|(_, months)| months.contains(&day.month()))?
            .0;
        let runs = |discount: &&Discount| (discount.from..=discount.to).contains(&reform_day);
        Some(Edition {
            contract: self,
            prices: newest(&self.tariff.price, reform_day, |row| row.from)?,
            bands: self.band_table(reform_day)?,
            season,
            charges: newest_of_each(&rules.per_kwh, rules_day, |row| (&row.item, row.from)),
            levies: newest_of_each(&rules.levy, rules_day, |row| (&row.item, row.from)),
            power_factor: newest(&rules.power_factor, rules_day, |row| row.from),
            discounts: rules.discount.iter().filter(runs).collect(),
        })
    }

    /// The day whose prices, bands and discounts hold on `day`: another one where the contract is pinned or the reform
    /// deferred.
    fn reform_day(&self, day: Date) -> Date {
        match self.deferral_on(day) {
            Some(deferral) => deferral.reform.saturating_sub(1.day()),
            None => self.edition.unwrap_or(day),
        }
    }

    /// The deferral that holds back the reform on `day`, or on the day that the contract is pinned to.
    pub(super) fn deferral_on(&self, day: Date) -> Option<&Deferral> {
        let day = self.edition.unwrap_or(day);
        let holds = |deferral: &&Deferral| self.deferred && (deferral.reform..=deferral.to).contains(&day);
        self.rules.deferral.as_ref().filter(holds)
    }

    fn band_table(&self, day: Date) -> Option<&BandTable> {
        let held = || self.rules.bands.iter().rev().filter(|table| table.from <= day);
        held()
            .find(|table| table.area.is_some() && table.area == self.area)
            .or_else(|| held().find(|table| table.area.is_none()))
    }

    /// What kind of day the tariff's calendar makes of `day`.
    pub(super) fn day_kind(&self, day: Date) -> DayKind {
        DayKind::of(day, &self.holidays)
    }
}

impl<'a> Edition<'a> {
    /// Whether the same rows hold as in `other`, or charges and levies that are carried on unchanged, so that one line of a
    /// bill serves both.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(self.contract, other.contract)
            && std::ptr::eq(self.prices, other.prices)
            && std::ptr::eq(self.bands, other.bands)
            && self.season == other.season
            && self
                .charges
                .iter()
                .map(|row| (&row.item, row.price))
                .eq(other.charges.iter().map(|row| (&row.item, row.price)))
            && self
                .levies
                .iter()
                .map(|row| (&row.item, row.share))
                .eq(other.levies.iter().map(|row| (&row.item, row.share)))
            && are_same(&self.discounts, &other.discounts)
            && self.power_factor.map(|rule| rule.from) == other.power_factor.map(|rule| rule.from)
    }

    /// What the clock hour `hour` of a day of `kind` in `month` is; `None` when the tables do not say.
    pub(super) fn slot(&self, kind: DayKind, month: i8, hour: i8) -> Option<Slot<'a>> {
        let (band, demand_band) = self.band(kind, hour)?;
        let holds = |discount: &&&Discount| {
            discount.months.contains(&month)
                && discount.days.contains(&kind)
                && discount.hours.iter().any(|span| span.contains(hour))
        };
        Some(Slot {
            band,
            demand_band,
            energy_per_kwh: *self.prices.energy_per_kwh.get(self.season)?.get(&band)?,
            discount: self.discounts.iter().find(holds).copied(),
        })
    }

    fn band(&self, kind: DayKind, hour: i8) -> Option<(Band, Band)> {
        let whole_day = match kind {
            DayKind::Sunday | DayKind::Holiday => self.bands.sunday_and_holiday,
            DayKind::Saturday => self.bands.saturday_band,
            DayKind::Working => None,
        };
        if let Some(band) = whole_day {
            return Some((band, band));
        }
        let in_hours = |spans: &[HourSpan]| spans.iter().any(|span| span.contains(hour));
        let hours = self.bands.hours.get(self.season)?;
        let band = *hours.iter().find(|(_, spans)| in_hours(spans))?.0;
        let energy_band = self.bands.saturday.get(&band).filter(|_| kind == DayKind::Saturday);
        Some((energy_band.copied().unwrap_or(band), band))
    }

    /// Sum of the charges on every kWh.
    pub(super) fn charges_per_kwh(&self) -> Decimal {
        self.charges.iter().map(|row| row.price).sum()
    }

    /// The power-factor rule, where the contract is large enough to be judged.
    pub(crate) fn judged_power_factor(&self) -> Option<&'a PowerFactorRule> {
        let is_judged = |rule: &&PowerFactorRule| {
            rule.least_kw
                .is_none_or(|least_kw| self.contract.contract_kw >= least_kw)
        };
        self.power_factor.filter(is_judged)
    }

    /// One, plus the levies.
    pub(super) fn levy_factor(&self) -> Decimal {
        Decimal::ONE + self.levies.iter().map(|row| row.share).sum::<Decimal>()
    }
}

fn are_same<T>(one: &[&T], other: &[&T]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| std::ptr::eq(*one, *other))
}

/// Of dated rows, ascending, the newest that has begun on `day`.
fn newest<T>(rows: &[T], day: Date, from: impl Fn(&T) -> Date) -> Option<&T> {
    rows.iter().rev().find(|row| from(row) <= day)
}

/// Of dated rows, the newest of each item that has begun on `day`.
fn newest_of_each<T>(rows: &[T], day: Date, key: impl Fn(&T) -> (&String, Date)) -> Vec<&T> {
    let is_newest = |row: &&T| {
        let (item, from) = key(row);
        let supersedes = |other: &T| {
            let (other_item, other_from) = key(other);
            other_item == item && from < other_from && other_from <= day
        };
        from <= day && !rows.iter().any(supersedes)
    };
    rows.iter().filter(is_newest).collect()
}
