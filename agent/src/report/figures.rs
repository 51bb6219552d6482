//! Intervals and findings of a site → the figures of each month: energy, peak, load factor, bands, cost, carbon, waste.
//!
//! Pure; `replay` writes the result as `summary.json` and the report prints it, so the two never differ. Bills are made
//! in the crate `energy`, of all intervals there are, because a ratchet remembers. Invariants: what cannot be known is `None`, never 0; energy is the main meter's, the newest revision of each
//! interval counts; sums of kWh are rounded to a millionth; a missing interval lowers the coverage.

use std::collections::BTreeMap;

use energy::{
    Finding, Interval, Quality, Site,
    carbon::{FuelUse, Used, market::Covered},
    finding::{Kind, Money},
    tariff::{
        Band, PriceUntil, Usage,
        bill::{self, Bill, Item},
        contract_at,
    },
    unit::share,
};
use jiff::Timestamp;
use rust_decimal::{
    Decimal,
    prelude::{FromPrimitive, ToPrimitive},
};
use serde::{Deserialize, Serialize};

use super::{
    Month,
    carbon::{self, Books},
    waste::by_kind,
};

/// Makes the figures.
pub struct Figures;

/// Everything that `summary.json` says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// From the first interval's start to the last one's end; `None` without intervals.
    pub period: Option<Period>,
    /// The whole period, as a month.
    pub total: MonthFigures,
    /// Each calendar month of the period, in the site's zone.
    pub months: Vec<MonthFigures>,
    /// The running bill, where it is named after a month that has not begun: bills read in mid-month are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_bill: Option<Bill>,
    /// Findings by kind, in the catalogue's order.
    pub findings: Vec<KindFigures>,
}

/// A stretch of time, as people of the site write it: RFC 3339 with the zone's offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// Start.
    pub from: String,
    /// End, exclusive.
    pub to: String,
}

/// The figures of a month, or of the whole period.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MonthFigures {
    /// `2026-08`; absent in the total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month: Option<String>,
    /// Imported energy, kWh.
    pub energy_import_kwh: Option<f64>,
    /// Highest demand, kW.
    pub peak_demand_kw: Option<f64>,
    /// Start of the interval with the highest demand, RFC 3339 with offset; the first of equals.
    pub peak_demand_start: Option<String>,
    /// Quality of that interval's energy: other than ok, the meter itself did not say it.
    #[serde(default)]
    pub peak_demand_quality: Option<Quality>,
    /// Mean demand over peak demand.
    pub load_factor: Option<f64>,
    /// Share of the time seen with trusted readings, 0..1, intervals without a row counted as unseen: of the whole
    /// month, or of what has passed of it where it is still running; of the total, of its months.
    pub coverage: f64,
    /// The same of what each figure was made from.
    pub figure_coverage: FigureCoverage,
    /// Whether the data reach from the first instant of the month to its last; of the total, in every month.
    pub complete: bool,
    /// Energy by band; `None` when any of it has no band (no tariff, or none for its day).
    pub energy_by_band_kwh: Option<BandEnergy>,
    /// Mean lagging power factor by the tariff's rule, percent.
    pub power_factor_lag_pct: Option<f64>,
    /// Mean leading power factor by the tariff's rule, percent.
    pub power_factor_lead_pct: Option<f64>,
    /// Demand that is billed, kW.
    pub billing_demand_kw: Option<f64>,
    /// The bill.
    pub bill: Option<Bill>,
    /// Emissions, kgCO2e.
    pub kgco2e: Emissions,
    /// Tonnes of oil equivalent: electricity by the statutory consumption basis, fuels by their gross heat.
    pub toe: Option<f64>,
    /// What each contractual instrument covered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instruments: Vec<Covered>,
    /// What each fuel meter used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fuels: Vec<FuelUse>,
    /// Energy at the price of its interval, with levies, without demand charge; for the report, not in the summary.
    #[serde(skip)]
    pub energy_cost: Option<Money>,
    /// Ids of the factors that emissions and toe of electricity were made with; for the report, not in the summary.
    #[serde(skip)]
    pub factors: Vec<String>,
}

/// Share of the time, 0..1, whose intervals went into a figure, as far as they were seen; `None` where the figure is
/// not known.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is named as its figure")]
pub struct FigureCoverage {
    pub energy: Option<f64>,
    pub peak_demand: Option<f64>,
    pub energy_cost: Option<f64>,
    pub carbon: Option<f64>,
}

/// Energy by band of the tariff, kWh.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain words; kWh")]
pub struct BandEnergy {
    pub light: f64,
    pub mid: f64,
    pub peak: f64,
    /// A tariff without bands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flat: Option<f64>,
}

/// Emissions of scope 2 by both methods, and of scope 1 where fuel is metered, kgCO2e.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Emissions {
    /// Location-based; `None` when a day has no factor.
    pub location: Option<f64>,
    /// Market-based; `None` without contractual instruments.
    pub market: Option<f64>,
    /// Scope 1 of the fuel meters, CO2 only; `None` without them, or when any of it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_1: Option<f64>,
}

/// All findings of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KindFigures {
    /// The kind.
    pub kind: Kind,
    /// How many began in the period.
    pub count: usize,
    /// Avoidable energy, kWh; `None` when no finding of the kind has any.
    pub energy_kwh: Option<f64>,
    /// What it cost, in the site's currency; `None` when that is not known of any.
    pub cost: Option<Decimal>,
    /// Location-based emissions, kgCO2e.
    pub kgco2e: Option<f64>,
}

/// A closed interval of the main meter that is known, with what is looked up for it.
struct Row {
    start: Timestamp,
    hours: f64,
    energy_kwh: Option<f64>,
    coverage: f64,
    quality: Quality,
}

type Pricing<'a> = &'a dyn Fn(Timestamp) -> PriceUntil;

impl Figures {
    /// The figures of a site, priced by the contract that holds at each interval; `books` as [`carbon::books`] makes them.
    pub fn compute(site: &Site, intervals: &[Interval], findings: &[Finding], books: &Books) -> Summary {
        let price = |at| {
            contract_at(&site.contracts, at).map_or(
                PriceUntil {
                    price: None,
                    until: Timestamp::MAX,
                },
                |contract| contract.price_at(at),
            )
        };
        let mut summary = Self::priced(site, intervals, findings, &price, books.heard_until);
        add_bills(&mut summary, &books.bills);
        carbon::add(&mut summary, site, bounds(&main_meter_rows(site, intervals)), books);
        summary
    }

    /// The same with prices from elsewhere and without bills.
    pub fn priced(
        site: &Site,
        intervals: &[Interval],
        findings: &[Finding],
        price: Pricing<'_>,
        heard_until: Timestamp,
    ) -> Summary {
        let rows = main_meter_rows(site, intervals);
        let bounds = bounds(&rows);
        let months = bounds.map_or_else(Vec::new, |bounds| months(site, &rows, (bounds, heard_until), price));
        Summary {
            period: bounds.map(|(from, to)| Period {
                from: local(site, from),
                to: local(site, to),
            }),
            total: bounds.map_or_else(MonthFigures::default, |bounds| MonthFigures {
                complete: months.iter().all(|month| month.complete),
                ..stretch(site, &rows, whole(site, bounds, heard_until), price)
            }),
            months,
            running_bill: None,
            findings: by_kind(findings, site),
        }
    }
}

/// Bills of every billing period that `intervals` reach into. Hand over all there are: months before count too.
/// `heard_until` as in [`Books`].
pub fn bills(site: &Site, intervals: &[Interval], heard_until: Timestamp) -> Vec<Bill> {
    bill::bills_until(&site.contracts, &usage(site, intervals), heard_until).0
}

/// The main meter's usage, the newest revision of each interval.
pub fn usage(site: &Site, intervals: &[Interval]) -> Vec<Usage> {
    newest_of_main_meter(site, intervals)
        .into_values()
        .map(Usage::from)
        .collect()
}

/// Gives each month the bill that is named after it, and the total their sum where every month has one.
fn add_bills(summary: &mut Summary, bills: &[Bill]) {
    let mut of_period = Vec::new();
    for figures in &mut summary.months {
        let name = figures.month.clone().unwrap_or_default();
        let Some(bill) = bills
            .iter()
            .find(|bill| bill.month.strftime("%Y-%m").to_string() == name)
        else {
            continue;
        };
        figures.power_factor_lag_pct = bill.power_factor_lag_pct.map(rounded);
        figures.power_factor_lead_pct = bill.power_factor_lead_pct.map(rounded);
        figures.billing_demand_kw = bill.demand.billing_kw.to_f64();
        figures.bill = Some(bill.clone());
        of_period.push(bill);
    }
    let last = summary.months.last().and_then(|month| month.month.clone());
    let is_later = |bill: &&Bill| {
        last.as_ref()
            .is_some_and(|last| *last < bill.month.strftime("%Y-%m").to_string())
    };
    summary.running_bill = bills.last().filter(is_later).cloned();
    let total = &mut summary.total;
    if let ([bill], [_]) = (of_period.as_slice(), summary.months.as_slice()) {
        total.power_factor_lag_pct = bill.power_factor_lag_pct.map(rounded);
        total.power_factor_lead_pct = bill.power_factor_lead_pct.map(rounded);
    }
    if of_period.len() == summary.months.len() {
        let highest = of_period.iter().map(|bill| bill.demand.billing_kw).max();
        total.billing_demand_kw = highest.and_then(|kw| kw.to_f64());
        total.bill = sum(&of_period);
    }
}

/// Several bills as one; `None` of none, or of two currencies.
fn sum(bills: &[&Bill]) -> Option<Bill> {
    let (first, rest) = bills.split_first()?;
    let mut sum = (*first).clone();
    for bill in rest {
        if bill.currency != sum.currency {
            return None;
        }
        sum.to = bill.to;
        sum.complete &= bill.complete;
        sum.coverage = sum.coverage.min(bill.coverage);
        sum.total += bill.total;
        sum.net += bill.net;
        for item in &bill.items {
            add_item(&mut sum.items, item);
        }
        for note in &bill.notes {
            if !sum.notes.contains(note) {
                sum.notes.push(note.clone());
            }
        }
        if bill.demand.billing_kw > sum.demand.billing_kw {
            sum.demand = bill.demand.clone();
        }
        sum.power_factor_lag_pct = None;
        sum.power_factor_lead_pct = None;
    }
    Some(sum)
}

fn add_item(items: &mut Vec<Item>, item: &Item) {
    match items.iter_mut().find(|known| known.item == item.item) {
        Some(known) => {
            known.amount += item.amount;
            known.lines.extend(item.lines.iter().cloned());
        }
        None => items.push(item.clone()),
    }
}

/// Currency of the site's newest contract.
pub fn currency(site: &Site) -> Option<&str> {
    site.contracts.last().map(|contract| contract.rules.currency.as_str())
}

/// Instant as people of the site write it.
pub(crate) fn local(site: &Site, at: Timestamp) -> String {
    at.display_with_offset(site.zone.to_offset(at)).to_string()
}

/// From the first row's start to the last one's end.
fn bounds(rows: &[Row]) -> Option<(Timestamp, Timestamp)> {
    Some((rows.first()?.start, end(rows.last()?)))
}

/// The months that data lie in, as far as time has gone on.
pub(crate) fn whole(site: &Site, bounds: (Timestamp, Timestamp), heard_until: Timestamp) -> (Timestamp, Timestamp) {
    let last = bounds.1 - jiff::SignedDuration::from_nanos(1);
    let (first, _) = Month::of(bounds.0, &site.zone).bounds(&site.zone);
    let (_, next) = Month::of(last, &site.zone).bounds(&site.zone);
    (first, next.min(heard_until.max(bounds.1)))
}

fn end(row: &Row) -> Timestamp {
    row.start + jiff::SignedDuration::from_secs_f64(row.hours * 3600.0)
}

/// Intervals of the main meter by start, the newest revision of each.
pub(crate) fn newest_of_main_meter<'a>(site: &Site, intervals: &'a [Interval]) -> BTreeMap<Timestamp, &'a Interval> {
    let mut newest: BTreeMap<Timestamp, &Interval> = BTreeMap::new();
    let of_main = |interval: &&Interval| site.main_meter.as_ref() == Some(&interval.meter);
    for interval in intervals.iter().filter(of_main) {
        let kept = newest.entry(interval.start).or_insert(interval);
        if interval.revision >= kept.revision {
            *kept = interval;
        }
    }
    newest
}

fn main_meter_rows(site: &Site, intervals: &[Interval]) -> Vec<Row> {
    let row = |interval: &Interval| Row {
        start: interval.start,
        hours: interval.end.duration_since(interval.start).as_secs_f64() / 3600.0,
        energy_kwh: interval.energy_import_kwh,
        coverage: interval.coverage,
        quality: interval.quality,
    };
    let newest = newest_of_main_meter(site, intervals);
    newest.into_values().map(row).collect()
}

/// `bounds` hold all data, the first's start and the last's end; and how far time has gone on.
type Heard = ((Timestamp, Timestamp), Timestamp);

fn months(site: &Site, rows: &[Row], (bounds, heard_until): Heard, price: Pricing<'_>) -> Vec<MonthFigures> {
    let month_of = |row: &Row| Month::of(row.start, &site.zone).first;
    rows.chunk_by(|a, b| month_of(a) == month_of(b))
        .map(|rows| {
            let month = Month {
                first: month_of(&rows[0]),
            };
            let (first, next) = month.bounds(&site.zone);
            // What lies before the data began is missing from the month, and what lies after their end, as far as that
            // has come.
            let part = (first, next.min(heard_until.max(bounds.1)));
            MonthFigures {
                month: Some(month.to_string()),
                complete: bounds.0 <= first && next <= bounds.1,
                ..stretch(site, rows, part, price)
            }
        })
        .collect()
}

/// The figures of consecutive rows within `bounds`.
fn stretch(site: &Site, rows: &[Row], bounds: (Timestamp, Timestamp), price: Pricing<'_>) -> MonthFigures {
    let known: Vec<(&Row, f64)> = rows
        .iter()
        .filter_map(|row| row.energy_kwh.map(|kwh| (row, kwh)))
        .collect();
    let hours: f64 = known.iter().map(|(row, _)| row.hours).sum();
    let energy_kwh = some_sum(known.iter().map(|(_, kwh)| *kwh));
    let peak = peak(&known);
    let span_hours = bounds.1.duration_since(bounds.0).as_secs_f64() / 3600.0;
    let coverage = |seen_hours: f64| {
        if span_hours > 0.0 {
            share(seen_hours / span_hours)
        } else {
            0.0
        }
    };
    let known_coverage = coverage(known.iter().map(|(row, _)| row.coverage * row.hours).sum());
    let (energy_by_band_kwh, energy_cost) = by_price(site, &known, price);
    let used: Vec<Used> = known
        .iter()
        .map(|(row, kwh)| Used::new(row.start, &site.zone, *kwh))
        .collect();
    let (location, toe) = carbon::of_use(site, &used);
    let shares = location.shares.iter().chain(&toe.shares);
    MonthFigures {
        month: None,
        energy_import_kwh: energy_kwh,
        peak_demand_kw: peak.map(|(_, kw)| rounded(kw)),
        peak_demand_start: peak.map(|(row, _)| local(site, row.start)),
        peak_demand_quality: peak.map(|(row, _)| row.quality),
        load_factor: energy_kwh
            .zip(peak)
            .filter(|(_, (_, peak))| *peak > 0.0)
            .map(|(kwh, (_, peak))| rounded(kwh / hours / peak)),
        coverage: coverage(rows.iter().map(|row| row.coverage * row.hours).sum()),
        // Each is made from every known interval or, for want of a price or factor, from none.
        figure_coverage: FigureCoverage {
            energy: energy_kwh.map(|_| known_coverage),
            peak_demand: peak.map(|_| known_coverage),
            energy_cost: energy_cost.as_ref().map(|_| known_coverage),
            carbon: location.amount().map(|_| known_coverage),
        },
        energy_by_band_kwh,
        kgco2e: Emissions::of_location(&location),
        toe: toe.amount().map(rounded),
        energy_cost,
        factors: shares.map(|share| share.factor.clone()).collect(),
        ..MonthFigures::default()
    }
}

/// Highest demand and its interval; the first of equals.
fn peak<'a>(known: &[(&'a Row, f64)]) -> Option<(&'a Row, f64)> {
    let demand = known.iter().map(|(row, kwh)| (*row, kwh / row.hours));
    demand.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

/// Energy by band and its cost, each interval at the price of its start: bands change on demand intervals' edges.
fn by_price(site: &Site, known: &[(&Row, f64)], price: Pricing<'_>) -> (Option<BandEnergy>, Option<Money>) {
    let mut energy = BTreeMap::<Band, f64>::new();
    let mut cost = Decimal::ZERO;
    let mut held: Option<PriceUntil> = None;
    for (row, kwh) in known {
        if held.as_ref().is_none_or(|held| row.start >= held.until) {
            held = Some(price(row.start));
        }
        let priced = held.as_ref().and_then(|held| held.price.as_ref());
        let (Some(priced), Some(exact_kwh)) = (priced, Decimal::from_f64(*kwh)) else {
            return (None, None);
        };
        *energy.entry(priced.band).or_default() += kwh;
        cost += exact_kwh * priced.gross_per_kwh;
    }
    if known.is_empty() {
        return (None, None);
    }
    let band = |band| energy.get(&band).copied().map(rounded);
    let bands = BandEnergy {
        light: band(Band::Light).unwrap_or(0.0),
        mid: band(Band::Mid).unwrap_or(0.0),
        peak: band(Band::Peak).unwrap_or(0.0),
        flat: band(Band::Flat),
    };
    let rules = site.contracts.last().map(|contract| &contract.rules);
    let money = rules.map(|rules| Money {
        amount: cost.round_dp(rules.decimals),
        currency: rules.currency.clone(),
    });
    (Some(bands), money)
}

/// Sum to a millionth; `None` of nothing.
pub(crate) fn some_sum(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    values.into_iter().reduce(|sum, value| sum + value).map(rounded)
}

/// To a millionth: what a sum of thousands of floats can promise.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use energy::{
        Quality,
        carbon::{Factor, FactorSeries, Purpose, Side},
        finding::{Condition, Severity, Title},
        tariff::Price,
    };
    use jiff::{SignedDuration, tz::TimeZone};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn site() -> Site {
        let factor = |id: &str, kgco2e_per_kwh, use_from: &str, use_to: Option<&str>| Factor {
            id: id.into(),
            kgco2e_per_kwh,
            side: Side::Consumption,
            region: None,
            note: None,
            purpose: Purpose::EsgLocation,
            use_from: use_from.parse().expect("a day"),
            use_to: use_to.map(|day| day.parse().expect("a day")),
            kgco2_per_kwh: None,
            kgch4_per_mwh: None,
            kgn2o_per_mwh: None,
            gwp: None,
            statistics: None,
            published: None,
            authority: "GIR".into(),
            source: "approval".into(),
            status: "unverified".into(),
        };
        Site {
            name: "ansan-1".into(),
            zone: TimeZone::get("Asia/Seoul").expect("in the bundled database"),
            days_off: energy::calendar::DaysOff::default(),
            demand_interval: SignedDuration::from_mins(15),
            meters: Vec::new(),
            machines: Vec::new(),
            main_meter: Some("incomer".into()),
            contracts: Vec::new(),
            carbon: Some(FactorSeries {
                title: Title {
                    ko: "전력".into(),
                    en: "power".into(),
                },
                factor: vec![
                    factor("old", 0.5, "2018-01-01", Some("2018-01-31")),
                    factor("new", 0.4, "2018-02-01", None),
                ],
                toe: Vec::new(),
                fuel: Vec::new(),
                heat: Vec::new(),
                gwp: Vec::new(),
            }),
            fuel_meters: Vec::new(),
            instruments: Vec::new(),
        }
    }

    /// An interval of the main meter, `quarter` quarter hours from 23:30 in Seoul on the last day of January 2018.
    fn interval(quarter: i64, energy_import_kwh: Option<f64>) -> Interval {
        let origin: Timestamp = "2018-01-31T14:30:00Z".parse().expect("an instant");
        let start = origin + SignedDuration::from_mins(15 * quarter);
        Interval {
            meter: "incomer".into(),
            start,
            end: start + SignedDuration::from_mins(15),
            energy_import_kwh,
            energy_export_kwh: None,
            reactive_energy_lag_kvarh: None,
            reactive_energy_lead_kvarh: None,
            quality: Quality::Ok,
            coverage: if energy_import_kwh.is_some() { 1.0 } else { 0.0 },
            revision: 0,
            raw: energy::interval::Raw::default(),
            repairs: vec![],
        }
    }

    fn no_price(_: Timestamp) -> PriceUntil {
        PriceUntil {
            price: None,
            until: Timestamp::MAX,
        }
    }

    /// Light at 80 before midnight in Seoul, mid at 120 from then on.
    fn two_bands(at: Timestamp) -> PriceUntil {
        let midnight: Timestamp = "2018-01-31T15:00:00Z".parse().expect("an instant");
        let (band, price, until) = if at < midnight {
            (Band::Light, 80, midnight)
        } else {
            (Band::Mid, 120, Timestamp::MAX)
        };
        PriceUntil {
            price: Some(Price {
                band,
                demand_band: band,
                energy_per_kwh: Decimal::from(price),
                discount_share: Decimal::ZERO,
                net_per_kwh: Decimal::from(price),
                gross_per_kwh: Decimal::from(price),
            }),
            until,
        }
    }

    fn summary(intervals: &[Interval]) -> Value {
        serde_json::to_value(Figures::priced(&site(), intervals, &[], &two_bands, Timestamp::MIN))
            .expect("plain structs")
    }

    fn check(intervals: &[Interval], pointer: &str, expected: &Value) {
        assert_eq!(summary(intervals).pointer(pointer), Some(expected), "{pointer}");
    }

    #[test]
    fn a_month_is_judged_in_the_zone_of_the_site() {
        let rows: Vec<_> = [10.0, 20.0, 30.0, 20.0]
            .into_iter()
            .zip(0..)
            .map(|(kwh, q)| interval(q, Some(kwh)))
            .collect();
        check(
            &rows,
            "/period",
            &json!({"from": "2018-01-31T23:30:00+09:00", "to": "2018-02-01T00:30:00+09:00"}),
        );
        check(&rows, "/months/0/month", &json!("2018-01"));
        check(&rows, "/total/complete", &json!(false));
        check(&rows, "/months/0/energy_import_kwh", &json!(30.0));
        check(&rows, "/months/0/peak_demand_quality", &json!("ok"));
        check(&rows, "/months/0/peak_demand_kw", &json!(80.0));
        check(&rows, "/months/0/load_factor", &json!(0.75));
        check(
            &rows,
            "/months/1/peak_demand_start",
            &json!("2018-02-01T00:00:00+09:00"),
        );
        check(
            &rows,
            "/months/1/energy_by_band_kwh",
            &json!({"light": 0.0, "mid": 50.0, "peak": 0.0}),
        );
        check(&rows, "/months/1/kgco2e", &json!({"location": 20.0, "market": null}));
        check(&rows, "/total/energy_import_kwh", &json!(80.0));
        check(
            &rows,
            "/total/energy_by_band_kwh",
            &json!({"light": 30.0, "mid": 50.0, "peak": 0.0}),
        );
        check(&rows, "/total/kgco2e/location", &json!(35.0));
        check(&rows, "/total/bill", &Value::Null);
    }

    #[test]
    fn a_summary_has_the_keys_that_others_rely_on() {
        let value = summary(&[interval(0, Some(1.0))]);
        let keys = |value: &Value| {
            value
                .as_object()
                .expect("an object")
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        let mut month = vec![
            "bill",
            "billing_demand_kw",
            "complete",
            "coverage",
            "energy_by_band_kwh",
            "energy_import_kwh",
            "figure_coverage",
            "kgco2e",
            "load_factor",
            "month",
            "peak_demand_kw",
            "peak_demand_quality",
            "peak_demand_start",
            "power_factor_lag_pct",
            "power_factor_lead_pct",
            "toe",
        ];
        let mut found = keys(&value["months"][0]);
        found.sort();
        assert_eq!(found, month);
        month.retain(|key| *key != "month");
        let mut found = keys(&value["total"]);
        found.sort();
        assert_eq!(found, month);
        let mut found = keys(&value);
        found.sort();
        assert_eq!(found, ["findings", "months", "period", "total"]);
    }

    #[test]
    fn what_is_missing_lowers_the_coverage_and_is_not_zero() {
        // Known, unknown, no row at all, known.
        let rows = [interval(2, Some(10.0)), interval(3, None), interval(5, Some(10.0))];
        check(&rows, "/total/energy_import_kwh", &json!(20.0));
        check(&rows, "/total/coverage", &json!(0.5));
        check(&rows, "/total/load_factor", &json!(1.0));
        check(&[interval(0, None)], "/total/energy_import_kwh", &Value::Null);
        check(&[interval(0, None)], "/total/energy_by_band_kwh", &Value::Null);
        check(&[], "/period", &Value::Null);
        check(&[], "/months", &json!([]));
    }

    /// Begun late or ended early, a month is covered in part; the total is that of its months.
    #[test]
    fn coverage_is_the_share_of_whole_months_as_far_as_time_has_gone() {
        let check = |quarters: std::ops::Range<i64>, heard: &str, expected: &[f64], complete: bool| {
            let rows: Vec<_> = quarters.map(|quarter| interval(quarter, Some(1.0))).collect();
            let heard = format!("{heard}T00:00:00+09:00").parse().expect("an instant");
            let summary = Figures::priced(&site(), &rows, &[], &two_bands, heard);
            let mut found: Vec<f64> = summary.months.iter().map(|month| month.coverage).collect();
            found.push(summary.total.coverage);
            assert_eq!(found, expected, "{heard}");
            assert_eq!(summary.total.complete, complete, "{heard}");
        };
        let days = |first: i64, next: i64| 2 + 96 * (first - 1)..2 + 96 * (next - 1);
        // February alone: from the 8th on, to the 14th, whole; while it runs up to the 15th, and when it is over.
        check(days(8, 29), "2018-03-01", &[0.75, 0.75], false);
        check(days(1, 15), "2018-03-01", &[0.5, 0.5], false);
        check(days(1, 15), "2018-02-15", &[1.0, 1.0], false);
        check(days(1, 15), "2018-02-21", &[0.7, 0.7], false);
        check(days(8, 15), "2018-02-15", &[0.5, 0.5], false);
        check(days(1, 29), "2018-04-01", &[1.0, 1.0], true);
        // The last day of January too: 1 of 31 days, 29 of 59.
        check(days(0, 29), "2018-03-01", &[0.032_258, 1.0, 0.491_525], false);
    }

    #[test]
    fn each_figure_has_the_coverage_of_what_it_was_made_from() {
        // Half seen and known; seen, but its energy is not known; no row.
        let half = Interval {
            coverage: 0.5,
            ..interval(2, Some(10.0))
        };
        let unknown = Interval {
            coverage: 1.0,
            ..interval(3, None)
        };
        let whole = interval(5, Some(10.0));
        let rows = [half, unknown, whole];
        check(&rows, "/total/coverage", &json!(0.625));
        check(
            &rows,
            "/total/figure_coverage",
            &json!({"energy": 0.375, "peak_demand": 0.375, "energy_cost": null, "carbon": 0.375}),
        );
        let none = json!({"energy": null, "peak_demand": null, "energy_cost": null, "carbon": null});
        check(&[interval(0, None)], "/total/figure_coverage", &none);
    }

    #[test]
    fn without_a_price_there_is_neither_band_nor_cost() {
        let figures = Figures::priced(&site(), &[interval(0, Some(5.0))], &[], &no_price, Timestamp::MIN).total;
        assert_eq!((figures.energy_by_band_kwh, figures.energy_cost), (None, None));
        let without_factor = Site { carbon: None, ..site() };
        let figures = Figures::priced(
            &without_factor,
            &[interval(0, Some(5.0))],
            &[],
            &no_price,
            Timestamp::MIN,
        )
        .total;
        assert_eq!((figures.kgco2e.location, figures.factors), (None, Vec::new()));
    }

    #[test]
    fn the_newest_revision_of_the_main_meter_counts() {
        let newer = Interval {
            revision: 1,
            ..interval(0, Some(7.0))
        };
        let other = Interval {
            meter: "press-2".into(),
            ..interval(0, Some(100.0))
        };
        check(
            &[newer, interval(0, Some(5.0)), other],
            "/total/energy_import_kwh",
            &json!(7.0),
        );
    }

    #[test]
    fn findings_add_up_by_kind_and_unknown_stays_unknown() {
        let finding = |kind, energy_kwh: Option<f64>, kgco2e| Finding {
            id: String::new(),
            kind,
            machine: "m".into(),
            meter: "m".into(),
            since: Timestamp::UNIX_EPOCH,
            detected_at: Timestamp::UNIX_EPOCH,
            until: None,
            state: Condition::Open,
            severity: Severity::P3,
            energy_kwh,
            energy_kwh_low: None,
            energy_kwh_high: None,
            cost: None,
            cost_net: None,
            kgco2e,
            confidence: 1.0,
            why: BTreeMap::new(),
            title: Title {
                ko: String::new(),
                en: String::new(),
            },
        };
        let findings = [
            finding(Kind::MeterSilent, None, None),
            finding(Kind::IdleRunning, Some(0.1), Some(0.04)),
            finding(Kind::IdleRunning, Some(0.2), Some(0.08)),
        ];
        let found = Figures::priced(&site(), &[], &findings, &no_price, Timestamp::MIN).findings;
        assert_eq!(
            serde_json::to_value(found).expect("plain structs"),
            json!([
                {"kind": "idle_running", "count": 2, "energy_kwh": 0.3, "cost": null, "kgco2e": 0.12},
                {"kind": "meter_silent", "count": 1, "energy_kwh": null, "cost": null, "kgco2e": null},
            ])
        );
    }

    proptest! {
        #[test]
        fn months_and_bands_add_up_to_the_total(kwh in prop::collection::vec(prop::option::of(0.0..500.0_f64), 1..200)) {
            let rows: Vec<_> = kwh.iter().zip(0..).map(|(kwh, quarter)| interval(quarter, *kwh)).collect();
            let summary = Figures::priced(&site(), &rows, &[], &two_bands, Timestamp::MIN);
            let sum = summary.months.iter().filter_map(|month| month.energy_import_kwh).sum::<f64>();
            let total = summary.total.energy_import_kwh.unwrap_or(0.0);
            prop_assert!((sum - total).abs() < 1e-5);
            if let Some(bands) = summary.total.energy_by_band_kwh {
                prop_assert!((bands.light + bands.mid + bands.peak - total).abs() < 1e-5);
            }
            prop_assert!((0.0..=1.0).contains(&summary.total.coverage));
            prop_assert!(summary.total.load_factor.is_none_or(|factor| (0.0..=1.000_001).contains(&factor)));
        }
    }
}
