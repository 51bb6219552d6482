//! Every file that is shipped in `config/` loads, and says what its sources say.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use energy::{
    calendar::HolidayCalendar,
    carbon::FactorSeries,
    consistency::ConsistencyRules,
    finding::Kind,
    quantity::{Quantity, TABLE},
    site::MachineKind,
    tariff::{Band, HourSpan, PriceTable, Rules, Tariff},
};
use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use wattwarden::acquire::csv::{EndOfDay, Marks};
use wattwarden::config::{
    self, Loaded, Secrets,
    data::{DataFiles, Folder, load_alone},
    diagnostic::{Code, Diagnostic, Source},
    mapping,
};

mod factors;
mod prices;

fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config").join(path)
}

fn all(found: &[Diagnostic]) -> String {
    found.iter().map(|one| one.to_string() + "\n").collect()
}

fn load(path: &str) -> Loaded {
    config::load(&shipped(path)).unwrap_or_else(|found| panic!("{path}:\n{}", all(&found)))
}

/// A shipped data file.
fn data<T: serde::de::DeserializeOwned>(folder: Folder, name: &str) -> T {
    let files = DataFiles::beside(Path::new("/nonexistent"));
    load_alone(&files, folder, name).unwrap_or_else(|found| panic!("{name}:\n{}", all(&found)))
}

fn span(text: &str) -> HourSpan {
    HourSpan::try_from(text.to_owned()).unwrap()
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

#[test]
fn the_first_configuration_starts_as_it_is() {
    let loaded = load("wattwarden.toml");
    assert_eq!(all(&loaded.warnings), "");
    assert_eq!(loaded.config.web.listen.to_string(), "127.0.0.1:8420");
}

#[test]
fn the_first_configuration_is_right_with_its_examples_taken_in() {
    let text = std::fs::read_to_string(shipped("wattwarden.toml")).unwrap();
    let is_key = |key: &str| {
        key.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.".contains(&byte))
    };
    let is_example = |line: &str| {
        let rest = line.strip_prefix("# ").unwrap_or_default();
        let key = rest.split_once(" = ").map(|(key, _)| key);
        rest.starts_with(['[', ']']) || rest.starts_with("  { at") || key.is_some_and(is_key)
    };
    let lines = text
        .lines()
        .map(|line| if is_example(line) { &line[2..] } else { line });
    let whole = lines.collect::<Vec<_>>().join("\n");
    let found = config::parse(Source::new("whole", &whole), &shipped(""), Secrets::LeaveOut);
    let loaded = found.unwrap_or_else(|found| panic!("{}", all(&found)));
    assert_eq!(loaded.config.site.meters.len(), 7, "two of them by one pattern");
    assert_eq!(loaded.config.site.fuel_meters.len(), 1);
    assert_eq!(loaded.config.site.instruments.len(), 1);
    assert_eq!(
        loaded.config.site.machines.len(),
        2,
        "one declared, one implied by main_meter"
    );
    assert_eq!(loaded.config.buses[0].meters[1].points[1].at, 342);
}

#[test]
fn the_steel_site_is_as_the_data_was_recorded() {
    let Loaded { config, warnings, .. } = load("examples/steel.toml");
    assert_eq!(all(&warnings), "");
    let site = config.site;
    let contract = &site.contracts[0];
    assert_eq!(contract.tariff_name, "kepco-industrial-b-high-a-2");
    assert_eq!(contract.contract_kw, 900.0);
    assert_eq!(contract.edition, Some(day("2025-02-01")));
    assert_eq!(
        site.carbon.unwrap().location(day("2018-06-01")).unwrap().kgco2e_per_kwh,
        0.4594
    );
    assert_eq!(site.main_meter.as_deref(), Some("main"));
    assert_eq!(site.machines.len(), 1);
    let machine = &site.machines[0];
    assert_eq!(machine.kind, MachineKind::Site);
    assert_eq!(machine.detect[&Kind::OffHoursLoad]["above_kw"], 25.0);
    let hours = machine.hours.as_ref().unwrap();
    for (at, expected) in [
        ("2018-01-02T06:59:00+09:00", false),
        ("2018-01-02T07:00:00+09:00", true),
        ("2018-01-02T22:00:00+09:00", false),
        ("2018-01-06T12:00:00+09:00", true),  // a Saturday
        ("2018-01-07T12:00:00+09:00", false), // a Sunday
        ("2018-01-17T23:00:00+09:00", false),
        ("2018-01-18T00:30:00+09:00", true),
        ("2018-01-18T22:30:00+09:00", true),
        ("2018-01-21T03:00:00+09:00", true),
        ("2018-02-25T00:30:00+09:00", true),
        ("2018-02-26T00:30:00+09:00", false),
        ("2018-05-07T12:00:00+09:00", false), // a substitute holiday
    ] {
        let at: Timestamp = at.parse().unwrap();
        assert_eq!(hours.at(at).is_open, expected, "{at}");
    }
}

#[test]
fn the_steel_mapping_reads_the_recording() {
    let path = shipped("examples/steel.map.toml");
    let mapping = mapping::load(&path, &load("examples/steel.toml").config.site)
        .unwrap_or_else(|found| panic!("{}", all(&found)));
    assert_eq!(mapping.time.marks, Marks::IntervalEnd);
    assert_eq!(mapping.time.end_of_day, EndOfDay::SameLabel);
    let usage = mapping
        .columns
        .iter()
        .find(|column| column.column == "Usage_kWh")
        .unwrap();
    assert_eq!(usage.quantity, Quantity::IntervalEnergy);
    assert_eq!(mapping.columns.len(), 3);
    let recording = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../shared/data/steel/Steel_industry_data_2018-01_2018-09.csv"
    );
    let Ok(text) = std::fs::read_to_string(recording) else {
        println!("skipped: the_steel_mapping_reads_the_recording: {recording}");
        return;
    };
    let header: Vec<&str> = text
        .trim_start_matches('\u{feff}')
        .lines()
        .next()
        .unwrap()
        .split(',')
        .collect();
    let named = mapping.columns.iter().map(|column| &column.column);
    for column in named.chain(&mapping.time.columns) {
        assert!(
            header.contains(&column.as_str()),
            "{column} is no column of the recording"
        );
    }
}

/// `light/mid/peak`, or one flat price.
fn bands(text: &str) -> BTreeMap<Band, Decimal> {
    let prices: Vec<Decimal> = text.split('/').map(|price| price.parse().unwrap()).collect();
    let bands = if prices.len() == 1 {
        vec![Band::Flat]
    } else {
        vec![Band::Light, Band::Mid, Band::Peak]
    };
    bands.into_iter().zip(prices).collect()
}

fn check_prices(name: &str, table: &PriceTable, from: &str, demand: &str, seasons: [&str; 3]) {
    assert_eq!(table.from, day(from), "{name}");
    assert_eq!(table.demand_per_kw, demand.parse().unwrap(), "{name}");
    for (season, expected) in ["summer", "spring_autumn", "winter"].into_iter().zip(seasons) {
        assert_eq!(table.energy_per_kwh[season], bands(expected), "{name} {season}");
    }
    assert_eq!(table.energy_per_kwh.len(), 3);
}

#[test]
fn every_price_is_the_printed_one() {
    for (name, demand, now, before) in prices::B {
        let tariff: Tariff = data(Folder::Tariffs, name);
        assert_eq!(tariff.price.len(), 2);
        check_prices(name, &tariff.price[0], "2024-10-24", demand, *before);
        check_prices(name, &tariff.price[1], "2026-04-16", demand, *now);
    }
    for (name, demand, seasons) in prices::A {
        let tariff: Tariff = data(Folder::Tariffs, name);
        assert_eq!(tariff.price.len(), 1);
        check_prices(name, &tariff.price[0], "2024-10-24", demand, *seasons);
        assert_eq!(tariff.low_voltage, name.ends_with("low"));
    }
    let printed = prices::B
        .iter()
        .map(|row| row.0)
        .chain(prices::A.iter().map(|row| row.0));
    let files = DataFiles::beside(Path::new("/nonexistent"));
    // The example from outside Korea is held against another program's bills, in tests/bills.rs.
    let all = printed.chain(["us-commercial-tou"]);
    assert_eq!(files.names(Folder::Tariffs), all.map(str::to_owned).collect());
}

/// The reform of 2026 by its published differences: light +5.1, peak -16.9, in spring and autumn -13.2.
#[test]
fn the_reform_moves_prices_by_what_was_announced() {
    for (name, ..) in prices::B {
        let tariff: Tariff = data(Folder::Tariffs, name);
        for (season, peak) in [("summer", "-16.9"), ("spring_autumn", "-13.2"), ("winter", "-16.9")] {
            let moved = |band: Band| {
                tariff.price[1].energy_per_kwh[season][&band] - tariff.price[0].energy_per_kwh[season][&band]
            };
            assert_eq!(moved(Band::Light), "5.1".parse().unwrap(), "{name} {season}");
            assert_eq!(moved(Band::Mid), Decimal::ZERO, "{name} {season}");
            assert_eq!(moved(Band::Peak), peak.parse().unwrap(), "{name} {season}");
        }
    }
}

/// The band of each hour of a day as one letter, from a table of stretches.
fn letters(hours: &BTreeMap<Band, Vec<HourSpan>>) -> String {
    let letter = |hour: i8| {
        let mut bands = hours.iter();
        let (band, _) = bands
            .find(|(_, spans)| spans.iter().any(|span| span.contains(hour)))
            .unwrap();
        format!("{band:?}").remove(0)
    };
    (0..24).map(letter).collect()
}

#[test]
fn every_hour_is_in_the_announced_band() {
    // Hour by hour from midnight: Light, Mid, Peak.
    let winter = "LLLLLLLLMPPPMMMMPPPMMMLL";
    let before = "LLLLLLLLMMMPMPPPPPMMMMLL";
    let reformed = "LLLLLLLLMMMMMMMPPPPPPMLL";
    let jeju = "LLLLLLLLMMMMMMMMPPPPPPLL";
    for (rules, reform) in [
        ("kepco-industrial-b", "2026-04-16"),
        ("kepco-industrial-a2", "2026-06-01"),
    ] {
        let rules: Rules = data(Folder::TariffRules, rules);
        for (from, area, warm, cold) in [
            ("2023-01-01", None, before, winter),
            ("2023-01-01", Some("jeju"), jeju, jeju),
            (reform, None, reformed, winter),
            (reform, Some("jeju"), jeju, jeju),
        ] {
            let found = rules
                .bands
                .iter()
                .find(|one| one.from == day(from) && one.area.as_deref() == area);
            let table = found.unwrap();
            for (season, expected) in [("summer", warm), ("spring_autumn", warm), ("winter", cold)] {
                assert_eq!(letters(&table.hours[season]), expected, "{from} {area:?} {season}");
            }
            assert_eq!(table.saturday, BTreeMap::from([(Band::Peak, Band::Mid)]));
            assert_eq!(table.sunday_and_holiday, Some(Band::Light));
        }
    }
}

#[test]
fn rules_of_the_bill_are_dated() {
    let rules: Rules = data(Folder::TariffRules, "kepco-industrial-b");
    let at = |from: &str| -> Vec<(String, String)> {
        let levies = rules.levy.iter().filter(|levy| levy.from <= day(from));
        let per_kwh = rules.per_kwh.iter().filter(|one| one.from <= day(from));
        let mut latest: BTreeMap<String, (Date, String)> = BTreeMap::new();
        for (item, since, value) in levies
            .map(|levy| (&levy.item, levy.from, levy.share))
            .chain(per_kwh.map(|one| (&one.item, one.from, one.price)))
        {
            latest.insert(item.clone(), (since, value.normalize().to_string()));
        }
        latest.into_iter().map(|(item, (_, value))| (item, value)).collect()
    };
    let expected = |fund: &str| -> Vec<(String, String)> {
        [("climate", "9"), ("fuel", "5"), ("fund", fund), ("vat", "0.1")]
            .map(|(item, value)| (item.into(), value.into()))
            .into()
    };
    assert_eq!(at("2024-06-30"), expected("0.037"));
    assert_eq!(at("2025-06-30"), expected("0.032"));
    assert_eq!(at("2025-07-01"), expected("0.027"));
    assert!(rules.per_kwh.last().unwrap().assumed);
    let demand = rules.demand.unwrap();
    assert_eq!((demand.interval_min, demand.months_back), (15, 12));
    assert_eq!(demand.ratchet_months, [12, 1, 2, 7, 8, 9]);
    assert_eq!(demand.bands, [Band::Mid, Band::Peak]);
    let factor = rules.power_factor.last().unwrap();
    assert_eq!(factor.from, day("2025-02-01"));
    assert_eq!(factor.lag_hours, span("08-22"));
    assert_eq!(factor.lead_hours, Some(span("22-08")));
    assert_eq!(rules.power_factor[0].status, "unverified");
    assert_eq!(rules.excess.unwrap().rates.len(), 6);
    assert_eq!(rules.deferral.unwrap().to, day("2026-09-30"));
    let discount = &rules.discount[0];
    assert_eq!((discount.from, discount.to), (day("2026-04-16"), day("2030-12-31")));
    assert_eq!(
        (discount.months.as_slice(), discount.hours.as_slice()),
        (&[3, 4, 5, 9, 10][..], &[span("11-14")][..])
    );
    let reformed: Rules = data(Folder::TariffRules, "kepco-industrial-a2");
    assert!(reformed.discount.is_empty() && reformed.deferral.is_none());
}

#[test]
fn limits_of_consistency_hold_today_and_are_shares() {
    let rules: ConsistencyRules = data(Folder::Top, "consistency");
    let limits = rules.on(day("2026-08-28")).unwrap();
    let shares = [
        limits.sum_error,
        limits.least_r2,
        limits.production_error,
        limits.relative_deviation,
        limits.utilisation_error,
        limits.capacity_error,
    ];
    assert!(shares.iter().all(|share| (0.0..1.0).contains(share)), "{limits:?}");
    assert!(limits.least_values > 1 && !limits.source.is_empty());
}

#[test]
fn every_day_since_2018_has_its_factor() {
    let series: FactorSeries = data(Folder::Factors, "kr-grid");
    for (on, expected) in [
        ("2018-01-01", 0.4594),
        ("2020-12-31", 0.4594),
        ("2021-01-01", 0.4781),
        ("2023-12-31", 0.4781),
        ("2024-02-29", 0.4541),
        ("2025-01-01", 0.4173),
        ("2027-01-01", 0.4173),
    ] {
        assert_eq!(series.location(day(on)).unwrap().kgco2e_per_kwh, expected, "{on}");
    }
}

#[test]
fn holidays_are_those_of_an_independent_list() {
    let calendar: HolidayCalendar = data(Folder::Calendars, "kr");
    let listed: Vec<Date> = include_str!("kr_holidays.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(day)
        .collect();
    let ours: Vec<Date> = calendar.days().into_keys().collect();
    assert_eq!(ours, listed);
}

#[test]
fn holidays_are_those_of_the_government() {
    let calendar: HolidayCalendar = data(Folder::Calendars, "kr");
    let days = calendar.days();
    // The recording's own list of 2018 (January to September, Sundays left out) and 23 September, a Sunday.
    let listed = "01-01 02-15 02-16 02-17 03-01 05-05 05-07 05-22 06-06 06-13 08-15 09-23 09-24 09-25 09-26";
    let listed: Vec<Date> = listed.split(' ').map(|text| day(&format!("2018-{text}"))).collect();
    let found: Vec<Date> = days
        .keys()
        .copied()
        .filter(|on| on.year() == 2018 && on.month() < 10)
        .collect();
    assert_eq!(found, listed);
    let ad_hoc: Vec<Date> = calendar
        .holiday
        .iter()
        .filter(|one| one.ad_hoc)
        .map(|one| one.date)
        .collect();
    let declared = ["2020-08-17", "2023-10-02", "2024-10-01", "2025-01-27", "2025-06-03"];
    assert_eq!(ad_hoc, declared.map(day));
    for (on, expected) in [
        ("2025-05-01", false),
        ("2026-05-01", true),
        ("2025-07-17", false),
        ("2026-07-17", true),
        ("2024-04-10", true),
        ("2026-06-03", true),
        ("2025-05-06", true),
        ("2035-12-25", true),
    ] {
        assert_eq!(days.contains_key(&day(on)), expected, "{on}");
    }
    assert!(calendar.holiday.is_sorted_by(|left, right| left.date < right.date));
    assert!((2018..=2035).all(|year| days.keys().filter(|on| on.year() == year).count() >= 14));
}

#[test]
fn every_profile_and_tariff_can_be_used() {
    let files = DataFiles::beside(Path::new("/nonexistent"));
    let lines = "[site]\nname = 's'\nzone = 'Asia/Seoul'\nmain_meter = 'm0'\n\
                 [[bus]]\nname = 'b'\nmodbus = 'tcp://h'\n[[broker]]\nname = 'q'\nmqtt = 'mqtt://h'\n";
    let names = files.names(Folder::Meters);
    let n_meters = names.len();
    let meters = names.iter().enumerate().map(|(n, name)| {
        let source = files.read(Folder::Meters, name).unwrap().unwrap();
        let on = if source.text.contains("[values]") {
            let zone = if source.text.contains("local_time") {
                "zone = 'Asia/Seoul'\n"
            } else {
                ""
            };
            format!("broker = 'q'\ntopic = 't{n}'\npreset = '{name}'\n{zone}each = [{{ channel = '0' }}]")
        } else {
            format!("bus = 'b'\nunit = {}\nprofile = '{name}'", n + 1)
        };
        format!("[[meter]]\nname = 'm{n}'\n{on}\n[[machine]]\nname = 'x{n}'\nkind = 'generic'\nmeter = 'm{n}'\n")
    });
    let names = files.names(Folder::Tariffs);
    let contracts = names.iter().enumerate().map(|(n, name)| {
        let from = jiff::civil::date(2024, 11, n as i8 + 1);
        let kw = if name.starts_with("kepco-industrial-b-") {
            300
        } else {
            100
        };
        format!("[[contract]]\nfrom = '{from}'\ntariff = '{name}'\ncontract_kw = {kw}\n")
    });
    let text = std::iter::once(lines.to_owned())
        .chain(meters)
        .chain(contracts)
        .collect::<Vec<_>>()
        .concat();
    let found = config::parse(Source::new("all", &text), Path::new("/nonexistent"), Secrets::LeaveOut);
    let loaded = found.unwrap_or_else(|found| panic!("{}", all(&found)));
    let (unverified, others): (Vec<_>, Vec<_>) = loaded
        .warnings
        .into_iter()
        .partition(|one| one.code == Code::Unverified);
    // A tariff of another country has its own hours.
    let n_abroad = names.iter().filter(|name| !name.starts_with("kepco-")).count();
    let (abroad, others): (Vec<_>, Vec<_>) = others.into_iter().partition(|one| one.code == Code::TariffZone);
    assert_eq!(all(&others), "");
    assert_eq!(abroad.len(), n_abroad);
    assert_eq!(
        unverified.len(),
        n_meters,
        "no profile has been compared with a device yet"
    );
    assert!(n_meters >= 53, "{n_meters} profiles and presets");
    assert_eq!(loaded.config.site.contracts.len(), 19);
}

#[test]
fn the_readme_lists_every_quantity_and_kind() {
    let readme = std::fs::read_to_string(shipped("README.md")).unwrap();
    for name in TABLE
        .iter()
        .map(|row| row.name)
        .chain(Kind::ALL.iter().map(|kind| kind.name()))
    {
        assert!(
            readme.contains(&format!("`{name}`")),
            "{name} is not in config/README.md"
        );
    }
}
