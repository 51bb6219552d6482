//! Registers that count in steps larger than what is used between two readings, and what they may be taken for.
//!
//! Held: the power of a single step is no power that lasts, so that neither a freeze hides behind it nor a new zero.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use energy::{Quality, Quantity, Reading, Sample, Site, finding::Kind, interval::RepairKind};
use jiff::SignedDuration;
use support::{Outcome, at, live_on, main_watched};

const HOUR_S: i64 = 3600;

/// What a register in steps of `step` shows, second by second; with the power beside it where that is read.
fn lived(site: &Site, until_s: i64, register: impl Fn(i64) -> f64, power_kw: Option<f64>) -> Outcome {
    let every_s = site.meters[0].every.as_secs();
    let sample = |second: i64| {
        let counter = Reading::new(Quantity::EnergyImport, register(second));
        let power = power_kw.map(|kw| Reading::new(Quantity::ActivePower, kw));
        Sample {
            meter: "main".into(),
            at: at("00:00:00") + SignedDuration::from_secs(second),
            readings: power.into_iter().chain([counter]).collect(),
        }
    };
    live_on(
        site,
        (0..=until_s).step_by(every_s as usize).map(sample).collect(),
        None,
    )
}

#[test]
fn power_beside_a_coarse_register_shows_that_it_froze() {
    const FROM_S: i64 = 26 * HOUR_S;
    for (every_s, step_kwh, kw, frozen_h) in [
        (1, 10.0, 300.0, 4),
        (1, 1.0, 25.0, 4),
        (1, 0.1, 2.0, 4),
        (5, 10.0, 60.0, 6),
        (10, 10.0, 30.0, 6),
        (10, 10.0, 17.0, 24),
    ] {
        let until_s = FROM_S + (frozen_h + 2) * HOUR_S;
        // While it is frozen it counts nothing, and goes on from there.
        let used = |second: i64| {
            let frozen_s = (second - FROM_S).clamp(0, frozen_h * HOUR_S);
            20_000.0 + kw * (second - frozen_s) as f64 / 3600.0
        };
        let register = |second: i64| (used(second) / step_kwh).floor() * step_kwh;
        let outcome = lived(&main_watched(every_s, Some(900.0)), until_s, register, Some(kw));
        let name = format!("{step_kwh} kWh at {kw} kW, read each {every_s} s");
        let frozen = at("00:00:00") + SignedDuration::from_secs(FROM_S + HOUR_S);
        let hidden = outcome.intervals.values().filter(|interval| {
            (frozen..frozen + SignedDuration::from_hours(frozen_h - 2)).contains(&interval.start)
                && (interval.energy_import_kwh.is_some() || interval.quality == Quality::Ok)
        });
        assert_eq!(hidden.count(), 0, "{name}");
        let kinds: Vec<Kind> = outcome.findings.values().map(|finding| finding.kind).collect();
        assert_eq!(kinds, [Kind::MeterStuck], "{name}");
        // Without the freeze it is not doubted.
        let healthy = |second: i64| ((20_000.0 + kw * second as f64 / 3600.0) / step_kwh).floor() * step_kwh;
        let outcome = lived(&main_watched(every_s, Some(900.0)), until_s, healthy, Some(kw));
        assert!(outcome.findings.is_empty(), "{name}: {:#?}", outcome.findings);
        let unsure = outcome
            .intervals
            .values()
            .filter(|interval| interval.quality != Quality::Ok);
        assert_eq!(unsure.count(), 0, "{name}");
    }
}

#[test]
fn a_register_that_was_set_to_a_value_has_not_counted_it() {
    const SET_S: i64 = 40 * HOUR_S;
    for (every_s, kw, contract_kw, begins_at) in [
        (900, 10.0, 300.0, 62.0),
        (900, 100.0, 2000.0, 600.0),
        (3600, 10.0, 300.0, 300.0),
        (60, 10.0, 300.0, 5.0),
    ] {
        let register = |second: i64| {
            let used = |seconds: i64| kw * seconds as f64 / 3600.0;
            if second < SET_S {
                51_317.5 + used(second)
            } else {
                begins_at + used(second - SET_S)
            }
        };
        let outcome = lived(&main_watched(every_s, Some(contract_kw)), 60 * HOUR_S, register, None);
        let name = format!("{begins_at} at {kw} kW, read each {every_s} s");
        assert!(outcome.highest_kw() < 1.01 * kw, "{name}: {} kW", outcome.highest_kw());
        assert!(outcome.named().contains(&RepairKind::Reset), "{name}");
        // A true zero has counted what it says.
        let zeroed = |second: i64| {
            register(second)
                - if second < SET_S {
                    0.0
                } else {
                    begins_at - 0.2 * kw * every_s as f64 / 3600.0
                }
        };
        let outcome = lived(&main_watched(every_s, Some(contract_kw)), 60 * HOUR_S, zeroed, None);
        let lost = 60.0 * kw - outcome.sum_kwh();
        assert!(
            (0.0..=kw * every_s as f64 / 3600.0).contains(&lost),
            "{name}: {lost} kWh"
        );
    }
}

/// A register that is read less often than intervals end says how much, but not when in between.
#[test]
fn what_lies_between_two_readings_is_marked() {
    for (every_s, expected) in [
        (900, Quality::Ok),
        (1000, Quality::Ok),
        (1800, Quality::Estimated),
        (3600, Quality::Estimated),
    ] {
        let outcome = lived(
            &main_watched(every_s, Some(300.0)),
            30 * HOUR_S,
            |second| 5000.0 + second as f64 / 36.0,
            None,
        );
        let inner = outcome
            .intervals
            .values()
            .filter(|interval| interval.start >= at("02:00:00"))
            .take(80);
        for interval in inner {
            assert_eq!(
                (interval.quality, interval.coverage),
                (expected, 1.0),
                "each {every_s} s: {interval:?}"
            );
            assert!(
                (interval.energy_import_kwh.unwrap() - 25.0).abs() < 0.01,
                "{interval:?}"
            );
        }
        assert!(
            outcome.named().is_empty() && outcome.findings.is_empty(),
            "each {every_s} s"
        );
    }
}

/// A new meter says what it left the factory with, and is then set to what the old one stood at: no answer came late.
#[test]
fn a_new_register_that_is_set_has_not_counted_that() {
    for (every_s, n, factory_kwh, set_kwh) in [
        (60, 5, 12_345.6, 15_000.0),
        (60, 20, 100.0, 20_000.0),
        (10, 50, 12.5, 2000.0),
        (900, 4, 100.0, 20_000.0),
    ] {
        // Of a meter without a rating that is read seldom, that might be a power.
        for contract_kw in [Some(300.0), None].into_iter().take(if every_s < 900 { 2 } else { 1 }) {
            let set_s = n * every_s;
            let site = main_watched(every_s, contract_kw);
            let register = |second: i64| match second - set_s {
                ..0 => factory_kwh,
                counted_s => set_kwh + (30.0 * counted_s as f64 / 36.0).floor() / 100.0,
            };
            let outcome = lived(&site, 48 * HOUR_S, register, None);
            let name = format!("{factory_kwh} to {set_kwh}, read each {every_s} s, {contract_kw:?}");
            assert!(outcome.highest_kw() < 32.0, "{name}: {} kW", outcome.highest_kw());
            let lost = 30.0 * (48 * HOUR_S - set_s) as f64 / 3600.0 - outcome.sum_kwh();
            assert!((-0.1..=16.0).contains(&lost), "{name}: {lost} kWh");
        }
    }
}

/// Behind large transformers one step of a register may take an hour's use; before it has shown any nobody knows. One that
/// never counts is found all the same.
#[test]
fn a_new_register_may_take_long_for_its_first_step() {
    for (every_s, step_kwh, kw) in [
        (10, 16.654, 20.0),
        (60, 13.333, 10.0),
        (900, 16.654, 16.0),
        (10, 166.54, 100.0),
        (900, 166.54, 100.0),
        (60, 83.27, 60.0),
        (10, 0.01, 5.0),
    ] {
        let register = |second: i64| ((4996.3 + kw * second as f64 / 3600.0) / step_kwh).floor() * step_kwh;
        let outcome = lived(&main_watched(every_s, Some(900.0)), 30 * HOUR_S, register, Some(kw));
        let name = format!("{step_kwh} kWh at {kw} kW, read each {every_s} s");
        assert!(outcome.findings.is_empty(), "{name}: {:#?}", outcome.findings);
        let outcome = lived(&main_watched(every_s, Some(900.0)), 6 * HOUR_S, |_| 5012.3, Some(kw));
        let kinds: Vec<Kind> = outcome.findings.values().map(|finding| finding.kind).collect();
        assert_eq!(kinds, [Kind::MeterStuck], "{name}");
        let told = outcome
            .intervals
            .values()
            .filter(|interval| interval.energy_import_kwh.is_some());
        assert_eq!(told.count(), 0, "{name}");
    }
}

/// What a register that is frozen from its first reading on does not count is no zero that anyone vouches for.
#[test]
fn a_zero_before_the_first_step_is_not_vouched_for() {
    for (every_s, kw, from) in [
        (10, 200.0, 5012.3),
        (60, 200.0, 5012.3),
        (900, 200.0, 5012.3),
        (10, 20.0, 5012.3),
        (60, 100.0, 20_000.0),
    ] {
        let register = |second: i64| {
            let counting_s = (second - 3 * HOUR_S / 2).max(0);
            ((from + kw * counting_s as f64 / 3600.0) * 100.0).floor() / 100.0
        };
        let outcome = lived(&main_watched(every_s, Some(900.0)), 30 * HOUR_S, register, Some(kw));
        for interval in outcome.intervals.values().take(6).skip(1) {
            assert_eq!(
                (interval.coverage, interval.quality == Quality::Ok),
                (0.0, false),
                "{kw} kW, read each {every_s} s: {interval:?}"
            );
        }
        let outcome = lived(&main_watched(every_s, Some(900.0)), 8 * 24 * HOUR_S, |_| from, Some(kw));
        let vouched = outcome.intervals.values().filter(|interval| interval.coverage > 0.0);
        assert!(vouched.count() <= 1, "{from}: {kw} kW, read each {every_s} s");
    }
}

/// A register that takes large steps in no time counts all of them, wherever they begin and however its values are written.
#[test]
fn a_register_of_large_steps_loses_none_of_them() {
    fn as_it_is(value: f64) -> f64 {
        value
    }
    fn as_float(value: f64) -> f64 {
        f64::from(value as f32)
    }
    fn to_thousandths(value: f64) -> f64 {
        (value * 1000.0).round() / 1000.0
    }
    fn noisy(value: f64) -> f64 {
        value - if (value as i64 / 10) % 3 == 0 { 0.007 } else { 0.0 }
    }
    type Written = fn(f64) -> f64;
    let cases: [(i64, f64, f64, f64, f64, Written); 10] = [
        (10, 10.0, 100.0, 150.0, 12_343.0, as_it_is),
        (10, 10.0, 180.0, 250.0, 12_343.0, as_it_is),
        (60, 100.0, 200.0, 300.0, 123_430.0, as_it_is),
        (60, 10.0, 25.0, 40.0, 12_343.0, as_it_is),
        (1, 1.0, 100.0, 150.0, 12_345.345, as_it_is),
        (10, 9.6, 100.0, 150.0, 20_000.003, to_thousandths),
        (10, 9.6, 100.0, 150.0, 19_996.8, as_float),
        (10, 16.65454, 200.0, 300.0, 100_010.512_7, as_it_is),
        (10, 40.0 / 3.0, 100.0, 150.0, 100_000.0, to_thousandths),
        (10, 10.0, 100.0, 150.0, 12_343.0, noisy),
    ];
    for (every_s, step_kwh, kw, contract_kw, from_kwh, written) in cases {
        let until_s = if every_s == 1 { 6 } else { 40 } * HOUR_S;
        let used = |second: i64| kw * (second as f64 / 3600.0 + 0.2 * (second as f64 / 7000.0).sin());
        let register = |second: i64| written(from_kwh + (used(second) / step_kwh).floor() * step_kwh);
        let outcome = lived(&main_watched(every_s, Some(contract_kw)), until_s, register, None);
        let name = format!("{step_kwh} kWh from {from_kwh}, read each {every_s} s");
        let lost = used(until_s) - outcome.sum_kwh();
        assert!((-1.0..=2.0 * step_kwh).contains(&lost), "{name}: {lost} kWh");
        // The first step alone may be a freeze.
        let kinds: Vec<Kind> = outcome.findings.values().map(|finding| finding.kind).collect();
        assert!(
            [vec![], vec![Kind::MeterStuck]].contains(&kinds),
            "{name}: {:#?}",
            outcome.findings
        );
    }
}

/// What the first step of a register is taken for stays, however late the second one comes: it is counted once.
#[test]
fn a_first_step_is_counted_once() {
    for (step_kwh, minutes, contract_kw) in [
        (100.0, 149, 500.0),
        (100.0, 100, 500.0),
        (50.0, 149, 300.0),
        (20.0, 139, 100.0),
    ] {
        for every_s in [10, 60] {
            let register = |second: i64| 20_003.4 + step_kwh * (second / 60 / minutes) as f64;
            let outcome = lived(&main_watched(every_s, Some(contract_kw)), 24 * HOUR_S, register, None);
            let (told, counted) = (outcome.sum_kwh(), register(24 * HOUR_S) - register(0));
            let name = format!("{step_kwh} kWh each {minutes} min, read each {every_s} s");
            assert!((told - counted).abs() < 1e-6, "{name}: {told}, not {counted}");
        }
    }
}
