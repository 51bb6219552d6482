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
    unit::share,
};
use jiff::{SignedDuration, Timestamp};

use super::{
    Month,
    figures::{self, Emissions, MonthFigures, Summary, rounded, some_sum},
};

/// What figures need beyond the intervals of their own time.
#[derive(Debug, Clone)]
pub struct Books {
    /// Bills, as [`figures::bills`] makes them.
    pub bills: Vec<Bill>,
    /// How instruments cover each interval of the main meter, by its start; empty without instruments.
    pub market: Vec<(Timestamp, Split)>,
    /// How far time has gone on: a period's coverage is its share of what lies before. The end of the newest interval
    /// while an agent lives; of a recording, which is over, [`Timestamp::MAX`]: what it does not hold is missing.
    pub heard_until: Timestamp,
    /// Readings of the fuel meters' registers; a little beyond the time of the figures on both sides.
    pub registers: BTreeMap<Name, Register>,
}

/// Makes the books of all the use there is: bills and instruments remember the months before.
pub fn books(
    site: &Site,
    intervals: &[Interval],
    heard_until: Timestamp,
    registers: BTreeMap<Name, Register>,
) -> Books {
    Books {
        bills: figures::bills(site, intervals, heard_until),
        market: market(site, intervals),
        heard_until,
        registers,
    }
}

fn market(site: &Site, intervals: &[Interval]) -> Vec<(Timestamp, Split)> {
    if site.instruments.is_empty() {
        return Vec::new();
    }
    let newest = figures::newest_of_main_meter(site, intervals).into_values();
    let known: Vec<(Timestamp, f64)> = newest
        .filter_map(|interval| Some((interval.start, interval.energy_import_kwh?)))
        .collect();
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

/// Gives each month, and the total, what instruments and fuels make of it; `bounds` hold all data.
pub(super) fn add(summary: &mut Summary, site: &Site, bounds: Option<(Timestamp, Timestamp)>, books: &Books) {
    let Some((from, to)) = bounds else { return };
    let whole = figures::whole(site, (from, to), books.heard_until);
    add_stretch(&mut summary.total, site, books, ((from, to), whole));
    for figures in &mut summary.months {
        let month = figures.month.as_deref().and_then(|month| month.parse::<Month>().ok());
        let Some((first, next)) = month.map(|month| month.bounds(&site.zone)) else {
            continue;
        };
        let whole = (first, next.min(books.heard_until));
        add_stretch(figures, site, books, ((first.max(from), next.min(to)), whole));
    }
}

/// A stretch of data, and the period that it is a part of.
type Within = ((Timestamp, Timestamp), (Timestamp, Timestamp));

fn add_stretch(figures: &mut MonthFigures, site: &Site, books: &Books, (bounds, whole): Within) {
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
            .map(|meter| fuel_use(site, meter, books, (bounds, whole)))
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

fn fuel_use(site: &Site, meter: &carbon::FuelMeter, books: &Books, (bounds, whole): Within) -> FuelUse {
    let known = site.meters.iter().find(|known| known.name == meter.meter);
    let every = known.map_or(SignedDuration::from_mins(1), |known| known.every);
    let none = Register::new();
    let register = books.registers.get(&meter.meter).unwrap_or(&none);
    let used = fuel::used(meter, register, every, &site.zone, bounds);
    let seconds = |(from, to): (Timestamp, Timestamp)| to.duration_since(from).as_secs_f64();
    FuelUse {
        gas_m3: used.gas_m3.map(rounded),
        gas_nm3: used.gas_nm3.map(rounded),
        net_gj: used.net_gj.map(rounded),
        kgco2: used.kgco2.map(rounded),
        toe: used.toe.map(rounded),
        coverage: share(used.coverage * seconds(bounds) / seconds(whole)),
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

#[cfg(test)]
mod tests {
    use energy::{
        Quality,
        carbon::{Amount, Instrument, InstrumentKind},
    };
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;
    use crate::report::Figures;

    /// A factor for 2018, another from February 2018 on; toe of a MWh 0.229.
    const SERIES: &str = r#"
title = { ko = "시험", en = "test" }
factor = [
  { id = "a", kgco2e_per_kwh = 0.5, purpose = "esg_location", use_from = "2018-01-01", use_to = "2018-01-31", authority = "t", source = "t", status = "t" },
  { id = "b", kgco2e_per_kwh = 0.4, purpose = "esg_location", use_from = "2018-02-01", use_to = "2018-12-31", authority = "t", source = "t", status = "t" },
]
toe = [
  { id = "t", basis = "consumption", toe_per_mwh = 0.229, kcal_per_kwh = 2290, mj_per_kwh = 9.6, use_from = "2018-01-01", authority = "t", source = "t", status = "t" },
]
"#;

    fn site(instruments: Vec<Instrument>) -> Site {
        Site {
            name: "s".into(),
            zone: TimeZone::get("Asia/Seoul").expect("in the bundled database"),
            days_off: energy::calendar::DaysOff::default(),
            demand_interval: SignedDuration::from_mins(15),
            meters: Vec::new(),
            machines: Vec::new(),
            main_meter: Some("main".into()),
            contracts: Vec::new(),
            carbon: Some(toml::from_str(SERIES).expect("valid")),
            fuel_meters: Vec::new(),
            instruments,
        }
    }

    fn instrument(energy_kwh: f64) -> Instrument {
        Instrument {
            name: "rec".into(),
            kind: InstrumentKind::Rec,
            from: "2018-01-01".parse().expect("a day"),
            to: "2018-12-31".parse().expect("a day"),
            amount: Amount::Energy(energy_kwh),
            kgco2e_per_kwh: 0.0,
            source: String::new(),
        }
    }

    /// Intervals of a day each, from noon of a day in Seoul on.
    fn days(from: &str, kwh: &[f64]) -> Vec<Interval> {
        let day = SignedDuration::from_hours(24);
        let first: Timestamp = format!("{from}T12:00:00+09:00").parse().expect("an instant");
        let one = |(kwh, n): (&f64, i32)| Interval {
            meter: "main".into(),
            start: first + day * n,
            end: first + day * (n + 1),
            energy_import_kwh: Some(*kwh),
            energy_export_kwh: None,
            reactive_energy_lag_kvarh: None,
            reactive_energy_lead_kvarh: None,
            quality: Quality::Ok,
            coverage: 1.0,
            revision: 0,
            raw: energy::interval::Raw::default(),
            repairs: Vec::new(),
        };
        kwh.iter().zip(0..).map(one).collect()
    }

    fn summary(site: &Site, intervals: &[Interval]) -> Summary {
        Figures::compute(
            site,
            intervals,
            &[],
            &books(site, intervals, Timestamp::MAX, BTreeMap::new()),
        )
    }

    /// Location, market and toe of all, and of the first month.
    fn check(site: &Site, intervals: &[Interval], expected: [[Option<f64>; 3]; 2]) {
        let summary = summary(site, intervals);
        let figures = |figures: &MonthFigures| [figures.kgco2e.location, figures.kgco2e.market, figures.toe];
        assert_eq!([figures(&summary.total), figures(&summary.months[0])], expected);
    }

    #[test]
    fn months_have_their_part_of_what_an_instrument_covers() {
        let use_of_three = days("2018-01-30", &[1000.0, 1000.0, 1000.0]);
        check(
            &site(Vec::new()),
            &use_of_three,
            [[Some(1400.0), None, Some(0.687)], [Some(1000.0), None, Some(0.458)]],
        );
        check(
            &site(vec![instrument(1500.0)]),
            &use_of_three,
            [
                [Some(1400.0), Some(650.0), Some(0.687)],
                [Some(1000.0), Some(250.0), Some(0.458)],
            ],
        );
    }

    #[test]
    fn a_day_without_a_factor_leaves_the_figure_open() {
        let new_year = days("2018-12-31", &[1000.0, 1000.0]);
        check(
            &site(vec![instrument(1000.0)]),
            &new_year,
            [[None, None, Some(0.458)], [Some(400.0), Some(0.0), Some(0.229)]],
        );
    }

    proptest! {
        /// Whatever the instrument, the months' market-based emissions and covered energy add up to the whole, and are
        /// never negative nor above the location-based ones.
        #[test]
        fn months_add_up(kwh in prop::collection::vec(0.0..2_000.0_f64, 1..120), amount in 0.0..90_000.0_f64) {
            let site = site(vec![instrument(amount)]);
            let summary = summary(&site, &days("2018-01-10", &kwh));
            let total = summary.total.kgco2e;
            let sum: f64 = summary.months.iter().filter_map(|month| month.kgco2e.market).sum();
            prop_assert!((sum - total.market.expect("known")).abs() < 1e-4);
            prop_assert!(total.market.expect("known") >= 0.0);
            prop_assert!(total.market.expect("known") <= total.location.expect("known") + 1e-4);
            let covered = |figures: &MonthFigures| figures.instruments[0].energy_kwh;
            let of_months: f64 = summary.months.iter().map(covered).sum();
            prop_assert!((of_months - covered(&summary.total)).abs() < 1e-4);
            let unused = summary.total.instruments[0].unused_kwh.expect("it has an amount");
            prop_assert!((covered(&summary.total) + unused - amount).abs() < 1e-4);
        }
    }
}
