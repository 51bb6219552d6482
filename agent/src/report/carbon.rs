//! Emissions, instruments, fuels and toe of each month: what the crate `energy` reckons, laid beside the other figures.
//!
//! Pure. Instruments are applied to all use there is, from its beginning, and each month shows its part: so the months
//! add up to the whole. Invariant: a figure of which any part is not known is `None`.

use std::collections::BTreeMap;

use energy::{
    Interval, Name, Site,
    carbon::{
        self, Account, FuelUse, ToeBasis, Used,
        fuel::{self, Register},
        market::{self, Covered, Split},
    },
    tariff::bill::Bill,
};
use jiff::{SignedDuration, Timestamp};

use super::figures::{self, Emissions, MonthFigures, rounded, some_sum};

/// What figures need beyond the intervals of their own time.
#[derive(Debug, Clone, Default)]
pub struct Books {
    /// Bills, as [`figures::bills`] makes them.
    pub bills: Vec<Bill>,
    /// How instruments cover each interval of the main meter, by its start; empty without instruments.
    pub market: Vec<(Timestamp, Split)>,
    /// Readings of the fuel meters' registers; a little beyond the time of the figures on both sides.
    pub registers: BTreeMap<Name, Register>,
}

/// Makes the books of all the use there is: bills and instruments remember the months before.
pub fn books(site: &Site, intervals: &[Interval], registers: BTreeMap<Name, Register>) -> Books {
    Books {
        bills: figures::bills(site, intervals),
        market: market(site, intervals),
        registers,
    }
}

fn market(site: &Site, intervals: &[Interval]) -> Vec<(Timestamp, Split)> {
    if site.instruments.is_empty() {
        return Vec::new();
    }
    let known = figures::known_of_main_meter(site, intervals);
    let used: Vec<Used> = known
        .iter()
        .map(|(start, kwh)| Used::new(*start, &site.zone, *kwh))
        .collect();
    let splits = market::allocate(&used, &site.instruments);
    known.into_iter().map(|(start, _)| start).zip(splits).collect()
}

/// Location-based emissions, kgCO2e, and electricity in toe by the statutory consumption basis, with how each was made.
pub(super) fn of_use(site: &Site, used: &[Used]) -> (Account, Account) {
    let location = |day| site.carbon.as_ref()?.location(day).map(carbon::rate);
    let toe = |day| {
        site.carbon
            .as_ref()?
            .toe_on(ToeBasis::Consumption, day)
            .map(carbon::toe_rate)
    };
    (Account::of(used, location), Account::of(used, toe))
}

/// Adds to a month what instruments and fuels make of it; `bounds` are the part of it that there are data of.
pub(super) fn add(figures: &mut MonthFigures, site: &Site, books: &Books, bounds: (Timestamp, Timestamp)) {
    if !site.instruments.is_empty() {
        let place = |at| books.market.partition_point(|(start, _)| *start < at);
        let stretch = place(bounds.0)..place(bounds.1);
        figures.kgco2e.market = market_based(site, &books.market[stretch.clone()]);
        let splits: Vec<Split> = books.market.iter().map(|(_, split)| split.clone()).collect();
        figures.instruments = market::covered(&splits, stretch, &site.instruments)
            .into_iter()
            .map(printable)
            .collect();
    }
    if !site.fuel_meters.is_empty() {
        figures.fuels = site
            .fuel_meters
            .iter()
            .map(|meter| fuel_use(site, meter, books, bounds))
            .collect();
        let sum = |of: fn(&FuelUse) -> Option<f64>| figures.fuels.iter().map(of).sum::<Option<f64>>();
        figures.kgco2e.scope_1 = sum(|fuel| fuel.kgco2).map(rounded);
        figures.toe = figures.toe.zip(sum(|fuel| fuel.toe)).map(|(a, b)| rounded(a + b));
    }
}

fn market_based(site: &Site, splits: &[(Timestamp, Split)]) -> Option<f64> {
    let kgco2e = |(start, split): &(Timestamp, Split)| {
        let day = site.zone.to_datetime(*start).date();
        let rest = site.carbon.as_ref().and_then(|series| market::rest_factor(series, day));
        split.kgco2e(&site.instruments, rest)
    };
    let all: Option<Vec<f64>> = splits.iter().map(kgco2e).collect();
    some_sum(all?)
}

fn printable(covered: Covered) -> Covered {
    Covered {
        energy_kwh: rounded(covered.energy_kwh),
        kgco2e: rounded(covered.kgco2e),
        unused_kwh: covered.unused_kwh.map(rounded),
        ..covered
    }
}

fn fuel_use(site: &Site, meter: &carbon::FuelMeter, books: &Books, bounds: (Timestamp, Timestamp)) -> FuelUse {
    let known = site.meters.iter().find(|known| known.name == meter.meter);
    let every = known.map_or(SignedDuration::from_mins(1), |known| known.every);
    let none = Register::new();
    let register = books.registers.get(&meter.meter).unwrap_or(&none);
    let used = fuel::used(meter, register, every, &site.zone, bounds);
    FuelUse {
        gas_m3: used.gas_m3.map(rounded),
        gas_nm3: used.gas_nm3.map(rounded),
        net_gj: used.net_gj.map(rounded),
        kgco2: used.kgco2.map(rounded),
        toe: used.toe.map(rounded),
        coverage: rounded(used.coverage),
        ..used
    }
}

impl Emissions {
    /// Scope 2 by location; the others are added by whoever has instruments and fuels.
    pub(super) fn of_location(account: &Account) -> Self {
        Self {
            location: account.amount().map(rounded),
            ..Self::default()
        }
    }
}
