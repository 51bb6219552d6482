//! What a register owes when a standstill ends by less than a multiple of what it has shown, within its first week or day, or
//! with readings that go wrong just after it.
//!
//! Each case counts a known load and hides some of it. Held: what was hidden is spread over the standstill and named, and no
//! interval that is `ok` has a power that the plant never drew.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use energy::{
    Interval, Quality, Quantity, Reading, Sample, Site,
    finding::Kind,
    interval::RepairKind::{Frozen, Spike},
};
use jiff::SignedDuration;
use support::{Outcome, at, live_on, main_alone};

const DAY: i64 = 1440;

fn watched(every: i64, contract_kw: Option<f64>) -> Site {
    let mut site = main_alone(SignedDuration::from_mins(every), &[Kind::MeterReset]);
    match contract_kw {
        Some(kw) => site.contracts[0].contract_kw = kw,
        None => site.contracts.clear(),
    }
    site
}

/// What has been used by a minute, kWh.
type Used<'a> = &'a dyn Fn(i64) -> f64;

/// A load over some days, and what the register says at a minute, of what has been used by then.
struct Case<'a> {
    every: i64,
    contract_kw: Option<f64>,
    has_power: bool,
    days: i64,
    kw: &'a dyn Fn(i64) -> f64,
    register: &'a dyn Fn(i64, Used<'_>) -> f64,
}

fn lived(case: &Case<'_>) -> (Outcome, f64) {
    let mut used = vec![1234.567];
    for n in 0..case.days * DAY {
        used.push(used[n as usize] + (case.kw)(n) / 60.0);
    }
    let says = |n: i64| (used[n as usize] * 100.0).floor() / 100.0;
    let sample = |n: i64| {
        let power = case
            .has_power
            .then(|| Reading::new(Quantity::ActivePower, (case.kw)(n)));
        let register = Reading::new(Quantity::EnergyImport, (case.register)(n, &says));
        Sample {
            meter: "main".into(),
            at: at("00:00:00") + SignedDuration::from_mins(n),
            readings: power.into_iter().chain([register]).collect(),
        }
    };
    let minutes = (0..=case.days * DAY).step_by(case.every as usize);
    let outcome = live_on(
        &watched(case.every, case.contract_kw),
        minutes.map(sample).collect(),
        None,
    );
    (outcome, used.last().unwrap() - used[0])
}

/// Works from 8 to 19 on six days of the week with a pause at noon, and draws a little at night.
fn shift_kw(night_kw: f64) -> impl Fn(i64) -> f64 {
    move |n| {
        let wave = 1.0 + 0.2 * (n as f64 / 16.3).sin() + 0.1 * (n as f64 / 2.2).sin();
        match n % DAY / 60 {
            12 if n / DAY % 7 < 6 => 10.0,
            8..19 if n / DAY % 7 < 6 => 100.0 * wave,
            _ => night_kw * wave,
        }
    }
}

#[test]
fn a_night_that_a_register_did_not_count_is_no_demand_of_the_morning() {
    for (night_kw, day, contract_kw) in [
        (3.0, 3, Some(200.0)),
        (3.0, 3, None),
        (1.5, 9, Some(130.0)),
        (1.5, 9, None),
        (5.0, 3, Some(200.0)),
        (5.0, 9, Some(200.0)),
    ] {
        // By the hour, the first one of a morning hides what little was used in a night.
        let hourly = (60, night_kw >= 3.0);
        for (every, has_power) in [(15, false), (15, true), (5, false), hourly] {
            let (from, until) = (day * DAY + 18 * 60 + 50, day * DAY + 32 * 60 + 10);
            let case = Case {
                every,
                contract_kw,
                has_power,
                days: 14,
                kw: &shift_kw(night_kw),
                register: &|n, used| {
                    let first = (from + every - 1) / every * every;
                    used(if (from..until).contains(&n) { first } else { n })
                },
            };
            let name = format!("{night_kw} kW at night, day {day}, {contract_kw:?}, {every} min, power {has_power}");
            let (outcome, truth) = lived(&case);
            assert!(
                (outcome.sum_kwh() - truth).abs() < 0.1,
                "{name}: {}, not {truth}",
                outcome.sum_kwh()
            );
            assert!(outcome.highest_kw() < 131.0, "{name}: {} kW", outcome.highest_kw());
            assert_eq!(outcome.named(), [Frozen].into(), "{name}");
            let minute = |n: i64| at("00:00:00") + SignedDuration::from_mins(n);
            let within = |i: &&Interval| i.start >= minute(from + every) && i.end <= minute(until);
            for interval in outcome.intervals.values().filter(within) {
                assert_eq!(
                    (interval.quality, interval.coverage),
                    (Quality::Estimated, 0.0),
                    "{name}: {interval:?}"
                );
            }
        }
    }
}

/// No contract, and less than a day known: what is a hundred times all that was ever seen is no quarter hour's.
#[test]
fn a_register_frozen_within_its_first_day_makes_no_peak() {
    let by_day = |n: i64| {
        let is_work = n / DAY % 7 < 5 && (480..1080).contains(&(n % DAY));
        if is_work {
            100.0 + 20.0 * (n as f64 / 16.3).sin()
        } else {
            0.0
        }
    };
    for every in [1, 15, 60] {
        for contract_kw in [None, Some(300.0)] {
            for (from, until) in [
                (20 * 60 + 27, 10 * DAY + 20 * 60 + 27),
                (10 * 60, 2 * DAY + 21 * 60),
                (10 * 60, 3 * DAY + 9 * 60),
            ] {
                let first = (from + every - 1) / every * every;
                let case = Case {
                    every,
                    contract_kw,
                    has_power: false,
                    days: 14,
                    kw: &by_day,
                    register: &|n, used| used(if (from..until).contains(&n) { first } else { n }),
                };
                let name = format!("{every} min, {contract_kw:?}, {from}..{until}");
                let (outcome, truth) = lived(&case);
                assert!(
                    (outcome.sum_kwh() - truth).abs() < 0.1,
                    "{name}: {}, not {truth}",
                    outcome.sum_kwh()
                );
                assert!(outcome.highest_kw() < 121.0, "{name}: {} kW", outcome.highest_kw());
                assert_eq!(outcome.named(), [Frozen].into(), "{name}");
            }
        }
    }
}

/// It goes on for a reading or three, and then a single one is far too high.
#[test]
fn a_spike_just_after_a_standstill_does_not_end_it() {
    let kw = |n: i64| {
        if n / DAY % 7 < 5 && (480..1080).contains(&(n % DAY)) {
            100.0
        } else {
            20.0
        }
    };
    for every in [1, 15] {
        for hours in [3, 30] {
            for good in 0..4 {
                for spike in [1.8e9, 1.2e5] {
                    let (from, until) = (9 * DAY + 600, 9 * DAY + 600 + hours * 60);
                    let case = Case {
                        every,
                        contract_kw: Some(300.0),
                        has_power: false,
                        days: 14,
                        kw: &kw,
                        register: &|n, used| match n - until {
                            _ if (from..until).contains(&n) => used(from),
                            after if after == good * every => spike,
                            _ => used(n),
                        },
                    };
                    let name = format!("{every} min, {hours} h, {good} good, {spike}");
                    let (outcome, truth) = lived(&case);
                    assert!(
                        (outcome.sum_kwh() - truth).abs() < 0.1,
                        "{name}: {}, not {truth}",
                        outcome.sum_kwh()
                    );
                    assert!(outcome.highest_kw() < 101.0, "{name}: {} kW", outcome.highest_kw());
                    assert_eq!(outcome.named(), [Frozen, Spike].into(), "{name}");
                    assert!(outcome.findings.is_empty(), "{name}: {:#?}", outcome.findings);
                }
            }
        }
    }
}
