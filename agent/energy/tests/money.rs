//! What the tariff's rules make of a month while it runs: demand above what is billed anyway, power factor below the
//! reference, a load at rest that creeps up.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use energy::{
    Finding, Quantity, Reading, Sample, Site,
    finding::{Condition, Kind},
    site::Settings,
    tariff::PowerFactorRule,
};
use jiff::{SignedDuration, Timestamp};
use support::{live_on, site};

const RULE: &str = r#"
from = "2020-01-01"
interval_min = 30
lag_hours = "08-22"
lag_reference_pct = 92
lag_clamp_pct = [60, 97]
lead_hours = "22-08"
lead_reference_pct = 95
lead_floor_pct = 60
share_per_pct = 0.002
status = "verified"
source = "test"
"#;

/// The main meter alone, by quarter hours, with one kind to look for.
fn quarters(kind: Kind, settings: &[(&str, f64)]) -> Site {
    let mut site = site();
    site.meters.truncate(1);
    site.meters[0].every = SignedDuration::from_mins(15);
    site.machines.remove(0);
    let settings: Settings = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), *value))
        .collect();
    site.machines[0].detect = [(kind, settings)].into();
    site.contracts[0].rules.power_factor = vec![toml::from_str::<PowerFactorRule>(RULE).unwrap()];
    site
}

/// Quarter hours from 1 August 2026 in Seoul on; `of` gives kW, lagging and leading kvar of day and hour.
fn days(n_days: i64, of: impl Fn(i64, i64) -> (f64, f64, f64)) -> Vec<Sample> {
    let first: Timestamp = "2026-07-31T15:00:00Z".parse().unwrap();
    let quarter = |index: i64| {
        let (kw, lag_kvar, lead_kvar) = of(index / 96, index % 96 / 4);
        Sample {
            meter: "main".into(),
            at: first + SignedDuration::from_mins(15 * index),
            readings: vec![
                Reading::new(Quantity::IntervalEnergy, kw / 4.0),
                Reading::new(Quantity::IntervalReactiveLag, lag_kvar / 4.0),
                Reading::new(Quantity::IntervalReactiveLead, lead_kvar / 4.0),
            ],
        }
    };
    (0..n_days * 96).map(quarter).collect()
}

fn findings(site: &Site, samples: Vec<Sample>) -> Vec<Finding> {
    let whole = live_on(site, samples.clone(), None);
    let restarted = live_on(site, samples, Some(700));
    assert_eq!(whole, restarted, "a restart moves nothing");
    whole.findings.into_values().collect()
}

fn won(finding: &Finding) -> String {
    finding.cost.as_ref().unwrap().amount.to_string()
}

#[test]
fn a_peak_costs_only_what_lies_above_what_is_billed_anyway() {
    let check = |earlier_kw: f64, peaks: &[(i64, f64)], expected: &[&str]| {
        let mut site = quarters(Kind::DemandPeak, &[("target_kw", 100.0)]);
        let july = "2026-07-01".parse().unwrap();
        site.contracts[0].earlier_peaks = [(july, earlier_kw)].into();
        // Working days at ten: a band that counts.
        let peak_on = |day| peaks.iter().find(|(on, _)| *on == day).map_or(50.0, |(_, kw)| *kw);
        let samples = days(8, |day, hour| (if hour == 10 { peak_on(day) } else { 50.0 }, 0.0, 0.0));
        let found = findings(&site, samples);
        assert_eq!(
            found.iter().map(won).collect::<Vec<_>>(),
            expected,
            "{earlier_kw}: {peaks:?}"
        );
        assert!(found.iter().all(|finding| finding.why["n_bills"] == 12.0));
    };
    // The floor is 150 kW, each kW 8000 with a tenth on top.
    check(0.0, &[(3, 140.0)], &["0"]);
    check(0.0, &[(3, 160.0)], &["88000"]);
    check(0.0, &[(3, 160.0), (4, 170.0), (5, 165.0)], &["88000", "88000", "0"]);
    check(400.0, &[(3, 380.0), (4, 401.0)], &["0", "8800"]);
}

/// A peak that begins where it does not count, or where its month is a notice, costs what the bill bears of all of it.
#[test]
fn a_peak_costs_what_the_bills_bear_of_the_whole_of_it() {
    let check = |n_days, load: &dyn Fn(i64, i64) -> f64, expected: &[&str]| {
        let mut site = quarters(Kind::DemandPeak, &[]);
        site.contracts[0].contract_kw = 300.0;
        let excess = "source = \"test\"\nrates = [[0, 1.5], [0.2, 2]]";
        site.contracts[0].rules.excess = Some(toml::from_str(excess).unwrap());
        let found = findings(&site, days(n_days, |day, hour| (load(day, hour), 0.0, 0.0)));
        assert_eq!(found.iter().map(won).collect::<Vec<_>>(), expected, "{found:#?}");
    };
    // 4 August is a Tuesday; demand from 22 to 8 does not count, but lies above the contract. The floor is 90 kW.
    let from = |first| {
        move |day, hour| {
            if day == 3 && (first..10).contains(&hour) {
                400.0
            } else {
                50.0
            }
        }
    };
    check(6, &from(5), &["880000"]);
    check(6, &from(8), &["880000"]);
    // What rises inside it is all of it.
    let rising = |day, hour| match (day, hour) {
        (3, 9) => 350.0,
        (3, 10) => 400.0,
        _ => 50.0,
    };
    check(6, &rising, &["880000"]);
    // From a Sunday on.
    check(6, &|day, _| if day >= 1 { 400.0 } else { 50.0 }, &["880000"]);
    // Of a second month the excess is charged as well, at twice the price; 31 August is a Monday.
    check(36, &|day, _| if day >= 30 { 400.0 } else { 50.0 }, &["3520000"]);
}

#[test]
fn a_month_below_the_reference_is_a_notice_first_and_costs_from_the_second_on() {
    let site = quarters(Kind::LowPowerFactor, &[]);
    // 3-4-5 by day: 80 %; nothing leads by night.
    let found = findings(
        &site,
        days(61, |_, hour| {
            if (8..22).contains(&hour) {
                (80.0, 60.0, 0.0)
            } else {
                (10.0, 0.0, 0.0)
            }
        }),
    );
    assert_eq!(found.len(), 2);
    let [august, september] = [&found[0], &found[1]];
    assert_eq!(august.id, "low_power_factor.plant.20260731T230000Z");
    assert_eq!(
        august.detected_at.to_string(),
        "2026-08-05T15:00:00Z",
        "after five days"
    );
    assert_eq!((august.state, won(august).as_str()), (Condition::Closed, "0"));
    assert_eq!(august.until.unwrap().to_string(), "2026-08-31T15:00:00Z");
    assert_eq!(september.state, Condition::Open);
    // 150 kW (the floor) × 8000 × 12 % × 0.2 × 1.1: twelve percents below 92.
    assert_eq!(won(september), "31680");
    assert_eq!(september.why["power_factor_pct"], 80.0);
    assert!(
        september.title.en.contains("lagging power factor by day 80.0 %"),
        "{}",
        september.title.en
    );
}

/// What a month's power factor is found to cost is what its bill says, after the bill's rounding.
#[test]
fn a_power_factor_costs_what_the_bill_says() {
    let check = |site: &Site, n_days, n_bad: &dyn Fn(i64) -> bool, expected: &[(&str, f64, f64, Condition)]| {
        // 3-4-5, or better than the rule looks at: 97 %.
        let load = |day, _| (80.0, if n_bad(day) { 60.0 } else { 10.0 }, 0.0);
        let found = findings(site, days(n_days, load));
        let said: Vec<_> = found
            .iter()
            .map(|finding| {
                (
                    won(finding),
                    finding.why["missing_pct"],
                    finding.why["is_notice"],
                    finding.state,
                )
            })
            .collect();
        let said: Vec<_> = said
            .iter()
            .map(|(won, pct, notice, state)| (won.as_str(), *pct, *notice, *state))
            .collect();
        assert_eq!(said, expected, "{found:#?}");
    };
    let (open, closed) = (Condition::Open, Condition::Closed);
    let mut site = quarters(Kind::LowPowerFactor, &[]);
    site.contracts[0].rules.rounding.power_factor_pct = Some(1.into());
    // Ten bad days of August: 91.5 %, billed as 92; the notice is September's.
    let august_recovers = |day: i64| !(10..31).contains(&day);
    let expected = [
        ("0", 0.0, 0.0, closed),
        ("0", 12.0, 1.0, closed),
        ("31680", 12.0, 0.0, open),
    ];
    check(&site, 92, &august_recovers, &expected);
    // Nine bad days of September: 91.9 %, while the recording goes on and at its end.
    let september_recovers = |day: i64| day < 40;
    let expected = [("0", 12.0, 1.0, closed), ("0", 0.0, 0.0, closed)];
    check(&site, 61, &september_recovers, &expected);
    check(&site, 59, &september_recovers, &expected);
    // At low voltage the contract's 500 kW are billed.
    let mut low = site.clone();
    low.contracts[0].tariff.low_voltage = true;
    low.contracts[0].rules.demand = None;
    check(
        &low,
        61,
        &|_| true,
        &[("0", 12.0, 1.0, closed), ("105600", 12.0, 0.0, open)],
    );
    // Another price from 16 September on, 15 of its 30 days.
    let mut changed = site.clone();
    let mut later = changed.contracts[0].clone();
    later.from = "2026-09-16".parse().unwrap();
    let tariff = support::TARIFF.replace("demand_per_kw = 8000", "demand_per_kw = 10000");
    later.tariff = toml::from_str(&tariff).unwrap();
    changed.contracts.push(later);
    check(
        &changed,
        61,
        &|_| true,
        &[("0", 12.0, 1.0, closed), ("35640", 12.0, 0.0, open)],
    );
}

#[test]
fn capacitors_left_on_by_night_are_found_and_a_good_month_is_not() {
    let site = quarters(Kind::LowPowerFactor, &[]);
    let at_night = |hour: i64| !(8..22).contains(&hour);
    let found = findings(
        &site,
        days(8, |_, hour| {
            if at_night(hour) {
                (30.0, 0.0, 40.0)
            } else {
                (80.0, 20.0, 0.0)
            }
        }),
    );
    let ids: Vec<_> = found
        .iter()
        .map(|finding| (finding.id.as_str(), finding.why["is_leading"]))
        .collect();
    assert_eq!(ids, [("low_power_factor.plant.20260731T150000Z", 1.0)]);
    assert_eq!(findings(&site, days(8, |_, _| (80.0, 20.0, 20.0))), []);
    // A mean that recovers ends its finding.
    let recovering = |day: i64, _| if day < 6 { (80.0, 60.0, 0.0) } else { (80.0, 10.0, 0.0) };
    let found = findings(&site, days(31, recovering));
    assert_eq!((found.len(), found[0].state), (1, Condition::Closed));
}

#[test]
fn a_load_at_rest_that_creeps_up_is_found_and_ends_when_it_is_mended() {
    let site = quarters(Kind::BaseloadDrift, &[]);
    // Two weeks at 10 kW of rest with a little noise, then half a kW more each day for ten days, then as before.
    let rest = |day: i64| {
        10.0 + (day % 3) as f64 * 0.1
            + if (14..24).contains(&day) {
                (day - 13) as f64 * 0.5
            } else {
                0.0
            }
    };
    let load = move |day: i64, hour: i64| {
        if (8..18).contains(&hour) {
            (90.0, 0.0, 0.0)
        } else {
            (rest(day), 0.0, 0.0)
        }
    };
    let found = findings(&site, days(30, load));
    assert_eq!(found.len(), 1, "{found:#?}");
    let drift = &found[0];
    assert_eq!(
        drift.since.to_string(),
        "2026-08-14T15:00:00Z",
        "the day on which it began"
    );
    assert!(
        drift.detected_at < "2026-08-21T00:00:00Z".parse().unwrap(),
        "{}",
        drift.detected_at
    );
    assert_eq!(drift.state, Condition::Closed);
    assert_eq!(drift.until.unwrap().to_string(), "2026-08-24T15:00:00Z");
    // 0.5 + 1 + … + 5 kW over 14 quiet hours (24 at weekends: 15, 16, 22, 23 August), give or take the noise.
    let expected: f64 = (1..=10)
        .map(|step| f64::from(step) * 0.5 * if matches!(step, 1 | 2 | 8 | 9) { 24.0 } else { 14.0 })
        .sum();
    let kwh = drift.energy_kwh.unwrap();
    assert!((kwh - expected).abs() < expected * 0.08, "{kwh} {expected}");
    assert!(drift.energy_kwh_low.unwrap() < kwh && kwh < drift.energy_kwh_high.unwrap());
    // A day counts that is whole with the last reading, here of a counter.
    let mut kwh = 5000.0;
    let counted = |mut sample: Sample| {
        let used_kwh = sample.readings[0].value;
        sample.readings = vec![Reading::new(Quantity::EnergyImport, kwh)];
        kwh += used_kwh;
        sample
    };
    let counted = days(21, load).into_iter().take(20 * 96 + 1).map(counted).collect();
    let cut = findings(&site, counted);
    assert_eq!((cut[0].state, cut[0].why["days"]), (Condition::Open, 6.0));
    assert_eq!(
        findings(
            &site,
            days(30, |_, hour| if (8..18).contains(&hour) {
                (90.0, 0.0, 0.0)
            } else {
                (10.0, 0.0, 0.0)
            })
        ),
        []
    );
}

#[test]
fn without_enough_quiet_days_nothing_is_said() {
    let site = quarters(Kind::BaseloadDrift, &[("learn", 2.0 * 86_400.0)]);
    let found = findings(&site, days(12, |day, _| (if day < 2 { 10.0 } else { 40.0 }, 0.0, 0.0)));
    assert_eq!(found, [], "two days teach nothing");
    let known = quarters(Kind::BaseloadDrift, &[("reference_kw", 10.0)]);
    let found = findings(&known, days(12, |day, _| (if day < 2 { 10.0 } else { 40.0 }, 0.0, 0.0)));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].why["reference_kw"], 10.0);
}
