//! Whole monthly bills against those of a workbook that shares nothing with this program (`tests/bills/README.md`): every
//! item and figure, to the won. The contracts go through the configuration and the shipped tariffs.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use energy::tariff::{
    Contract, Usage,
    bill::{self, Bill},
};
use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, Weekday},
    tz::TimeZone,
};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Map, Value};
use wattwarden::config::{self, Secrets, diagnostic::Source};

#[derive(Deserialize)]
struct Case {
    name: String,
    contracts: Vec<Map<String, Value>>,
    load: Load,
    months: Vec<Month>,
}

#[derive(Deserialize)]
struct Load {
    months: Vec<String>,
    profiles: BTreeMap<String, Profile>,
    weekdays: BTreeMap<String, String>,
    dates: BTreeMap<Date, String>,
    overrides: Vec<Override>,
}

/// Values of a quarter hour, by the hour of the day.
#[derive(Deserialize)]
struct Profile {
    kwh: Vec<f64>,
    lag: Option<Vec<f64>>,
    lead: Option<Vec<f64>>,
}

#[derive(Deserialize)]
struct Override {
    start: Timestamp,
    kwh: f64,
    lag: Option<f64>,
    lead: Option<f64>,
}

#[derive(Deserialize)]
#[allow(clippy::struct_field_names, reason = "the file's own word")]
struct Month {
    #[serde(rename = "month")]
    name: String,
    billing_demand_kw: f64,
    counted_demand_kw: Option<f64>,
    power_factor_lag_pct: Option<f64>,
    power_factor_lead_pct: Option<f64>,
    energy_by_band_kwh: BTreeMap<String, f64>,
    ratchet_unknown: Option<Vec<String>>,
    peak_demand_kw: f64,
    peak_demand_start: Option<Timestamp>,
    items: Vec<Item>,
    charge: Decimal,
    total: Decimal,
}

#[derive(Deserialize)]
struct Item {
    item: String,
    #[serde(with = "rust_decimal::serde::str")]
    amount: Decimal,
}

fn cases() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bills/bills.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The contracts of a case as a site file, read as any site file is.
fn contracts(case: &Case) -> Vec<Contract> {
    read(&case.name, &case.contracts)
}

fn read(name: &str, contracts: &[Map<String, Value>]) -> Vec<Contract> {
    let mut text = String::from(
        "[site]\nname = \"case\"\nzone = \"Asia/Seoul\"\nmain_meter = \"main\"\n[[meter]]\nname = \"main\"\nevery = \"15m\"\n",
    );
    for contract in contracts {
        text += "[[contract]]\n";
        for (key, value) in contract {
            let value = match value {
                Value::Object(peaks) => {
                    let peaks: Vec<String> = peaks.iter().map(|(month, kw)| format!("\"{month}\" = {kw}")).collect();
                    format!("{{ {} }}", peaks.join(", "))
                }
                value => value.to_string(),
            };
            writeln!(text, "{key} = {value}").unwrap();
        }
    }
    let loaded = config::parse(
        Source::new("site.toml", &text),
        Path::new("/nonexistent"),
        Secrets::LeaveOut,
    );
    let loaded = loaded.unwrap_or_else(|found| panic!("{name}: {found:?}\n{text}"));
    loaded.config.site.contracts
}

impl Load {
    /// Every quarter hour of the load's months.
    fn expanded(&self) -> Vec<Usage> {
        let zone = TimeZone::get("Asia/Seoul").unwrap();
        let mut usage = Vec::new();
        for month in &self.months {
            let first: Date = format!("{month}-01").parse().unwrap();
            let next = first.saturating_add(1.month());
            let mut day = first;
            while day < next {
                let midnight = zone
                    .to_timestamp(day.to_datetime(jiff::civil::Time::midnight()))
                    .unwrap();
                usage.extend((0..96).map(|quarter| self.quarter(day, midnight, quarter)));
                day = day.tomorrow().unwrap();
            }
        }
        usage
    }

    fn quarter(&self, day: Date, midnight: Timestamp, quarter: usize) -> Usage {
        let start = midnight + SignedDuration::from_mins(15 * quarter as i64);
        let weekday = match day.weekday() {
            Weekday::Saturday => "sat",
            Weekday::Sunday => "sun",
            _ => "mon-fri",
        };
        let profile = &self.profiles[self.dates.get(&day).unwrap_or_else(|| &self.weekdays[weekday])];
        let hour = quarter / 4;
        let of = |values: &Option<Vec<f64>>| values.as_ref().map(|values| values[hour]);
        let (energy_kwh, lag_kvarh, lead_kvarh) = match self.overrides.iter().find(|row| row.start == start) {
            Some(row) => (row.kwh, row.lag, row.lead),
            None => (profile.kwh[hour], of(&profile.lag), of(&profile.lead)),
        };
        Usage {
            start,
            minutes: 15,
            energy_kwh: Some(energy_kwh),
            lag_kvarh,
            lead_kvarh,
            coverage: 1.0,
            quality: energy::Quality::Ok,
        }
    }
}

/// Every difference of a bill to the workbook's, in words.
fn differences(bill: &Bill, expected: &Month) -> Vec<String> {
    let mut found = Vec::new();
    let mut differ = |what: &str, ours: String, theirs: String| {
        if ours != theirs {
            found.push(format!("{what}: {ours} here, {theirs} in the workbook"));
        }
    };
    let won = |amount: Decimal| amount.round_dp(6).normalize().to_string();
    let ours: Vec<_> = bill
        .items
        .iter()
        .map(|item| (item.item.as_str(), won(item.amount)))
        .collect();
    let theirs: Vec<_> = expected
        .items
        .iter()
        .map(|item| (item.item.as_str(), won(item.amount)))
        .collect();
    for (item, amount) in &theirs {
        let here = ours.iter().find(|(name, _)| name == item);
        differ(
            item,
            here.map_or("absent".into(), |(_, amount)| amount.clone()),
            amount.clone(),
        );
    }
    let names = |items: &[(&str, String)]| items.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
    differ("items", names(&ours), names(&theirs));
    differ("charge", won(bill.net), won(expected.charge));
    differ("total", won(bill.total), won(expected.total));
    let figure = |value: Option<f64>| value.map_or("null".to_owned(), |value| format!("{value:.9}"));
    let kw = |value: Decimal| figure(value.to_string().parse().ok());
    differ(
        "billing_demand_kw",
        kw(bill.demand.billing_kw),
        figure(Some(expected.billing_demand_kw)),
    );
    let peak = bill.demand.peak.filter(|peak| !peak.kw.is_zero());
    differ(
        "peak_demand_kw",
        kw(peak.map_or(Decimal::ZERO, |peak| peak.kw)),
        figure(Some(expected.peak_demand_kw)),
    );
    differ(
        "peak_demand_start",
        format!("{:?}", peak.map(|peak| peak.start)),
        format!("{:?}", expected.peak_demand_start),
    );
    if let (Some(counted), Some(_)) = (expected.counted_demand_kw, &expected.ratchet_unknown) {
        let ours = bill.demand.counted.map_or(Decimal::ZERO, |peak| peak.kw);
        differ("counted", kw(ours), figure(Some(counted)));
    }
    differ(
        "power_factor_lag_pct",
        figure(bill.power_factor_lag_pct),
        figure(expected.power_factor_lag_pct),
    );
    differ(
        "power_factor_lead_pct",
        figure(bill.power_factor_lead_pct),
        figure(expected.power_factor_lead_pct),
    );
    if let Some(unknown) = &expected.ratchet_unknown {
        differ("ratchet_unknown", bill.demand.unknown.join(" "), unknown.join(" "));
    }
    found
}

/// Energy by band: the bill's is rounded, part by part and discount by discount.
fn band_differences(bill: &Bill, expected: &Month) -> Vec<String> {
    let billed = |band: &str| {
        let item = bill.items.iter().find(|item| item.item == format!("energy_{band}"));
        let lines = item.into_iter().flat_map(|item| &item.lines);
        let kwh: Decimal = lines.map(|line| line.quantity).sum();
        kwh.to_string().parse::<f64>().unwrap()
    };
    let bands = expected.energy_by_band_kwh.iter();
    bands
        .filter(|(band, kwh)| (billed(band) - **kwh).abs() > 2.0)
        .map(|(band, kwh)| format!("{band}: {} kWh here, {kwh} in the workbook", billed(band)))
        .collect()
}

#[test]
fn every_item_is_the_workbooks_to_the_won() {
    let mut found = Vec::new();
    let mut n_bills = 0;
    for case in cases() {
        let (bills, _) = bill::bills(&contracts(&case), &case.load.expanded());
        let months: Vec<String> = bills
            .iter()
            .map(|bill| bill.month.strftime("%Y-%m").to_string())
            .collect();
        assert_eq!(months, case.load.months, "{}", case.name);
        for expected in &case.months {
            let bill = &bills[months.iter().position(|month| *month == expected.name).unwrap()];
            assert!(bill.complete, "{} {}", case.name, expected.name);
            let place = format!("{} {}", case.name, expected.name);
            let all = [differences(bill, expected), band_differences(bill, expected)].concat();
            found.extend(all.into_iter().map(|line| format!("{place}: {line}")));
            n_bills += 1;
        }
    }
    assert!(n_bills >= 12, "{n_bills}");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The lines of a bill are what its items were made from: their amounts add up to the item's.
#[test]
fn the_lines_explain_the_items() {
    for case in cases() {
        for bill in bill::bills(&contracts(&case), &case.load.expanded()).0 {
            for item in &bill.items {
                let sum: Decimal = item.lines.iter().map(|line| line.amount).sum();
                assert!(
                    (sum - item.amount).abs() < Decimal::new(1, 6),
                    "{} {}: {sum}",
                    case.name,
                    item.item
                );
                assert!(!item.lines.is_empty(), "{} {}", case.name, item.item);
            }
        }
    }
}

/// A contract that begins inside a month bears the demand charge of its own days; nothing of it is missing before it, and
/// it says that it began then.
#[test]
fn a_contract_begun_in_a_month_is_billed_by_its_days() {
    let case = cases()
        .into_iter()
        .find(|case| case.name == "after-the-ratchet")
        .unwrap();
    let mut contracts = contracts(&case);
    contracts[0].from = "2025-03-10".parse().unwrap();
    let bill = &bill::bills(&contracts, &case.load.expanded()).0[0];
    let said: Vec<&str> = bill.notes.iter().map(|note| note.code.as_str()).collect();
    assert_eq!(
        (bill.complete, bill.coverage, said),
        (true, 1.0, vec!["contract_begins"])
    );
    let whole = Decimal::from(769 * 8320);
    assert_eq!(
        bill.items[0].amount.round_dp(6),
        (whole * Decimal::from(22) / Decimal::from(31)).round_dp(6)
    );
}

/// A tariff from elsewhere, as data: a year's bills under NREL's default commercial rate, against those that its own model
/// reckons (`tests/us_example`).
#[test]
fn a_tariff_from_elsewhere_is_a_file() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/us_example/us_example.json");
    let expected: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let contract = serde_json::json!({ "from": "2018-01-01", "tariff": "us-commercial-tou", "contract_kw": 500 });
    let contracts = read("us", &[contract.as_object().unwrap().clone()]);
    let first: Timestamp = "2018-01-01T00:00:00-07:00".parse().unwrap();
    let hour = |hour: i64| {
        let (day, clock) = (hour / 24, hour % 24);
        let base = 40.0 + (day % 9) as f64 * 1.25;
        let is_working = day % 7 < 5 && (7..17 + day % 5).contains(&clock);
        Usage {
            start: first + SignedDuration::from_hours(hour),
            minutes: 60,
            energy_kwh: Some(
                base + if is_working {
                    90.0 + (day % 11) as f64 * 6.5
                } else {
                    0.0
                },
            ),
            lag_kvarh: None,
            lead_kvarh: None,
            coverage: 1.0,
            quality: energy::Quality::Ok,
        }
    };
    let (bills, _) = bill::bills(&contracts, &(0..8760).map(hour).collect::<Vec<_>>());
    let sum = |bill: &Bill, item: &str| -> f64 {
        let items = bill.items.iter().filter(|known| known.item.starts_with(item));
        items
            .map(|item| item.amount)
            .sum::<Decimal>()
            .to_string()
            .parse()
            .unwrap()
    };
    assert_eq!(bills.len(), 12);
    for (bill, month) in bills.iter().zip(expected["months"].as_array().unwrap()) {
        assert_eq!(bill.month.strftime("%Y-%m").to_string(), month["month"]);
        for (item, theirs) in [
            ("energy", "energy"),
            ("demand", "demand"),
            ("fixed", "fixed"),
            ("", "total"),
        ] {
            let (ours, theirs) = (sum(bill, item), month[theirs].as_f64().unwrap());
            assert!((ours - theirs).abs() < 0.005, "{} {item}: {ours} {theirs}", bill.month);
        }
        assert_eq!((bill.currency.as_str(), bill.total.scale()), ("USD", 2));
    }
}

/// A running month ends where its days lead: a month of equal weeks, projected from its first half, ends as it does.
#[test]
fn a_projection_of_equal_weeks_is_the_bill() {
    let case = cases()
        .into_iter()
        .find(|case| case.name == "after-the-ratchet")
        .unwrap();
    let contracts = contracts(&case);
    let without_holidays = Load {
        months: vec!["2025-11".into()],
        overrides: Vec::new(),
        dates: BTreeMap::new(),
        ..case.load
    };
    let usage = without_holidays.expanded();
    let bill = &bill::bills(&contracts, &usage).0[0];
    let projected = bill::project(&contracts, &usage[..16 * 96]).unwrap();
    assert_eq!(projected.total, bill.total);
    assert!(!projected.complete && bill.complete);
}
