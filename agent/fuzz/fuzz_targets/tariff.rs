//! The data files that money and carbon come from: prices, rules, calendar, factors, parted by NULs. What is found fit
//! must give bills of any usage without a panic.
#![no_main]

use energy::{
    calendar::HolidayCalendar,
    carbon::FactorSeries,
    tariff::{
        Contract, Rules, Tariff, Usage,
        bill::{bills, demand_worth, project},
        problems,
    },
};
use jiff::{SignedDuration, Timestamp, civil::date};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut files = text.split('\0');
    let mut next = || files.next().unwrap_or("");
    let (prices, rules, calendar, factors) = (next(), next(), next(), next());
    if let Ok(calendar) = toml::from_str::<HolidayCalendar>(calendar) {
        calendar.days();
    }
    if let Ok(series) = toml::from_str::<FactorSeries>(factors) {
        series.location(date(2026, 5, 1));
    }
    let (Ok(tariff), Ok(rules)) = (toml::from_str::<Tariff>(prices), toml::from_str::<Rules>(rules)) else {
        return;
    };
    if !problems(&tariff, &rules).is_empty() {
        return;
    }
    let contracts = [Contract::alone("fuzz", tariff, rules, None)];
    let first: Timestamp = "2026-03-25T00:00:00Z".parse().expect("valid");
    let hour = |hour: i64| Usage {
        start: first + SignedDuration::from_hours(hour),
        minutes: 60,
        energy_kwh: (hour % 7 != 0).then_some(1e6 / (hour % 11 + 1) as f64),
        lag_kvarh: Some((hour % 5) as f64),
        lead_kvarh: Some((hour % 3) as f64),
        coverage: 1.0,
        quality: energy::Quality::Ok,
    };
    let usage: Vec<Usage> = (0..24 * 40).map(hour).collect();
    let (made, history) = bills(&contracts, &usage);
    for bill in &made {
        assert!(bill.items.iter().all(|item| !item.lines.is_empty()));
    }
    demand_worth(&contracts, &history, &usage, first);
    project(&contracts, &usage);
});
