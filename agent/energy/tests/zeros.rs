//! Zeros that a gateway says while it cannot read its meter, for minutes or hours; and registers that were truly reset.
//!
//! Each case is a register of a plant that draws 60 kW, read each minute for two days. Held: zeros that come back take
//! and give no energy, are named, and raise no finding; a reset is told once it counts from its new zero.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use std::collections::BTreeMap;

use energy::{Engine, Quantity, Reading, Sample, Site, finding::Kind, interval::RepairKind, site::Settings};
use jiff::SignedDuration;
use support::{Outcome, at, live_on, site};

const MINUTES: i64 = 2 * 1440;
/// When it goes wrong: 09:20 of the first day.
const FROM: i64 = 560;

fn watched() -> Site {
    let mut site = site();
    site.contracts.clear();
    site.meters[0].every = SignedDuration::from_mins(1);
    site.meters.truncate(1);
    site.machines.retain(|machine| *machine.meter == *"main");
    site.machines[0].detect = [(Kind::MeterReset, Settings::new())].into();
    site
}

fn lived(site: &Site, register: impl Fn(i64) -> f64) -> Outcome {
    lived_on(site, register, None)
}

/// Written down and taken up again after so many minutes.
fn lived_on(site: &Site, register: impl Fn(i64) -> f64, restart: Option<usize>) -> Outcome {
    let sample = |n: i64| Sample {
        meter: "main".into(),
        at: at("00:00:00") + SignedDuration::from_mins(n),
        readings: vec![Reading::new(Quantity::EnergyImport, register(n))],
    };
    live_on(site, (0..=MINUTES).map(sample).collect(), restart)
}

#[test]
fn zeros_that_come_back_are_a_burst_however_long() {
    for minutes in [1, 10, 59, 61, 90, 5 * 60, 20 * 60] {
        let away = FROM..FROM + minutes;
        let outcome = lived(&watched(), |n| if away.contains(&n) { 0.0 } else { 5000.0 + n as f64 });
        let sum = outcome.sum_kwh();
        assert!((sum - MINUTES as f64).abs() < 1e-6, "{minutes}: {sum}");
        assert_eq!(outcome.named(), [RepairKind::ZeroBurst].into(), "{minutes}");
        assert!(outcome.findings.is_empty(), "{minutes}: {:#?}", outcome.findings);
        let highest = outcome.highest_kw();
        assert!(highest < 60.1, "{minutes}: {highest} kW");
        // What the zeros hid is named wherever they reach, from the reading before them on.
        let touched = outcome
            .intervals
            .values()
            .filter(|interval| !interval.repairs.is_empty())
            .count() as i64;
        assert_eq!(touched, (FROM + minutes - 1) / 15 - (FROM - 1) / 15 + 1, "{minutes}");
    }
}

/// A large contract's power counts as much in a minute as a new register shows: no witness that it was reset.
#[test]
fn a_low_register_is_not_reset_by_zeros() {
    let mut site = watched();
    site.contracts = support::site().contracts;
    site.contracts[0].contract_kw = 50_000.0;
    for minutes in [1, 3, 30] {
        let away = FROM..FROM + minutes;
        let outcome = lived(&site, |n| if away.contains(&n) { 0.0 } else { 20.0 + n as f64 });
        let (sum, highest) = (outcome.sum_kwh(), outcome.highest_kw());
        assert!((sum - MINUTES as f64).abs() < 1e-6, "{minutes}: {sum}");
        assert!(highest < 60.1, "{minutes}: {highest} kW");
        assert_eq!(outcome.named(), [RepairKind::ZeroBurst].into(), "{minutes}");
    }
}

#[test]
fn first_zeros_are_a_burst_and_no_energy() {
    for (minutes, contract_kw) in [
        (1, None),
        (30, None),
        (90, None),
        (90, Some(500.0)),
        (600, None),
        (600, Some(500.0)),
    ] {
        let mut watched = watched();
        if let Some(kw) = contract_kw {
            watched.contracts = site().contracts;
            watched.contracts[0].contract_kw = kw;
        }
        let outcome = lived(&watched, |n| if n < minutes { 0.0 } else { 5000.0 + n as f64 });
        let sum = outcome.sum_kwh();
        assert!((sum - (MINUTES - minutes) as f64).abs() < 1e-6, "{minutes}: {sum}");
        assert_eq!(outcome.named(), [RepairKind::ZeroBurst].into(), "{minutes}");
        assert!(outcome.findings.is_empty(), "{minutes}: {:#?}", outcome.findings);
        let zeros = outcome
            .intervals
            .values()
            .filter(|interval| interval.energy_import_kwh == Some(0.0));
        assert_eq!(zeros.count(), 0, "{minutes}: not known, and no zero");
    }
}

/// A new register that begins at zero is believed, whatever its steps.
#[test]
fn a_new_register_counts_from_its_first_zero() {
    let contracted = || {
        let mut site = watched();
        site.contracts = support::site().contracts;
        site.contracts[0].contract_kw = 300.0;
        site
    };
    for (site, step) in [0.1, 1.0, 10.0, 50.0, 100.0]
        .into_iter()
        .flat_map(|step| [(watched(), step), (contracted(), step)])
    {
        let outcome = lived(&site, |n| ((n - FROM).max(0) as f64 / step).floor() * step);
        let sum = outcome.sum_kwh();
        assert!((sum - (MINUTES - FROM) as f64).abs() <= step, "{step}: {sum}");
        assert!(outcome.named().is_empty(), "{step}");
    }
}

/// Reset while the machine stands: zeros, then honest counting.
#[test]
fn a_reset_is_told_once_it_counts_from_its_new_zero() {
    for (minutes, told) in [(0, 62), (10, 62), (90, 91), (300, 301)] {
        let outcome = lived(&watched(), |n| {
            if n < FROM {
                5000.0 + n as f64
            } else {
                (n - FROM - minutes).max(0) as f64
            }
        });
        let expected = (MINUTES - minutes - 1) as f64;
        assert!(
            (outcome.sum_kwh() - expected).abs() < 1e-6,
            "{minutes}: {}",
            outcome.sum_kwh()
        );
        assert_eq!(outcome.named(), [RepairKind::Reset].into(), "{minutes}");
        let findings: Vec<_> = outcome.findings.values().collect();
        assert_eq!(findings.len(), 1, "{minutes}: {findings:#?}");
        assert_eq!(findings[0].kind, Kind::MeterReset);
        let after = findings[0].detected_at.duration_since(at("09:20:00")).as_mins();
        assert!(
            (told..=told + 16).contains(&after),
            "{minutes}: told after {after} minutes"
        );
    }
}

/// The gateway says zeros while the register goes over its top, which the site's file knows: what was left to it was used.
#[test]
fn zeros_that_hide_a_rollover_hide_no_energy() {
    let top_kwh = 1e6;
    for (before, after) in [(12, 12), (60, 120), (120, 420), (0, 120), (120, 0)] {
        let over = FROM + 1440;
        let away = over - before..over + after;
        let mut site = watched();
        site.meters[0].rollover = [(Quantity::EnergyImport, top_kwh)].into();
        let outcome = lived(&site, |n| match n {
            _ if away.contains(&n) => 0.0,
            _ if n < over => top_kwh + (n - over) as f64,
            _ => (n - over) as f64,
        });
        let name = format!("{before} before, {after} after");
        assert!(
            (outcome.sum_kwh() - MINUTES as f64).abs() < 1e-6,
            "{name}: {}",
            outcome.sum_kwh()
        );
        assert!(
            outcome.named().contains(&RepairKind::Rollover),
            "{name}: {:?}",
            outcome.named()
        );
        assert!(outcome.findings.is_empty(), "{name}: {:#?}", outcome.findings);
        let highest = outcome.highest_kw();
        assert!(highest < 60.1, "{name}: {highest} kW");
    }
}

/// A register that was reset in a silence has counted since then: what was used in all of the silence nobody knows.
#[test]
fn what_was_used_in_a_silence_with_a_reset_is_unknown() {
    for (minutes, is_known) in [(1, true), (2, true), (3, false), (9 * 60, false)] {
        let until = FROM + minutes;
        let sample = |n: i64| Sample {
            meter: "main".into(),
            at: at("00:00:00") + SignedDuration::from_mins(n),
            readings: vec![Reading::new(
                Quantity::EnergyImport,
                if n < FROM {
                    5000.0 + n as f64
                } else {
                    0.4 + (n - until) as f64
                },
            )],
        };
        let read = (0..=MINUTES).filter(|n| !(FROM..until).contains(n));
        let outcome = live_on(&watched(), read.map(sample).collect(), None);
        let known = (FROM - 1 + MINUTES - until) as f64 + if is_known { 0.4 } else { 0.0 };
        assert!(
            (outcome.sum_kwh() - known).abs() < 1e-6,
            "{minutes}: {}",
            outcome.sum_kwh()
        );
        assert_eq!(outcome.named(), [RepairKind::Reset].into(), "{minutes}");
        let unknown = outcome
            .intervals
            .values()
            .filter(|i| i.energy_import_kwh.is_none())
            .count() as i64;
        assert_eq!(unknown, (until / 15 - FROM / 15 - 1).max(0), "{minutes}");
    }
}

/// Zeros for longer than a day are a fault, and no reset before the register counts from zero.
#[test]
fn zeros_without_end_are_told_after_a_day() {
    let mut site = watched();
    site.machines[0].detect.insert(Kind::MeterStuck, Settings::new());
    let outcome = lived(&site, |n| if n < FROM { 5000.0 + n as f64 } else { 0.0 });
    assert_eq!(outcome.findings.len(), 1, "{:#?}", outcome.findings);
    let finding = outcome.findings.values().next().unwrap();
    assert_eq!((finding.kind, finding.since), (Kind::MeterStuck, at("09:19:00")));
    let after = finding.detected_at.duration_since(at("09:20:00")).as_mins();
    assert!((1440..=1456).contains(&after), "{after}");
    for interval in outcome
        .intervals
        .values()
        .filter(|interval| interval.start >= at("09:20:00"))
    {
        let told = (interval.energy_import_kwh, interval.coverage);
        assert_eq!(told, (None, 0.0), "unknown, and not a reset: {interval:?}");
        assert_eq!(
            (interval.repairs.len(), interval.repairs[0].kind),
            (1, RepairKind::ZeroBurst)
        );
    }
}

/// Zeros for longer than a day that come back: the finding says what the intervals say.
#[test]
fn zeros_that_come_back_after_days_say_what_was_spread() {
    let mut site = watched();
    site.machines[0].detect.insert(Kind::MeterStuck, Settings::new());
    for hours in [30, 60] {
        let away = FROM..FROM + hours * 60;
        let sample = |n: i64| Sample {
            meter: "main".into(),
            at: at("00:00:00") + SignedDuration::from_mins(n),
            readings: vec![Reading::new(
                Quantity::EnergyImport,
                if away.contains(&n) { 0.0 } else { 5000.0 + n as f64 },
            )],
        };
        let outcome = live_on(&site, (0..=5 * 1440).map(sample).collect(), None);
        assert!(
            (outcome.sum_kwh() - 5.0 * 1440.0).abs() < 1e-6,
            "{hours}: {}",
            outcome.sum_kwh()
        );
        let findings: Vec<_> = outcome.findings.values().collect();
        assert_eq!(findings.len(), 1, "{hours}: {findings:#?}");
        let (finding, kwh) = (findings[0], (hours * 60 + 1) as f64);
        assert_eq!((finding.why["spread_kwh"], finding.confidence), (kwh, 1.0));
        let told = format!("it came back with {kwh:.1} kWh more, which are spread over that time");
        assert!(finding.title.en.ends_with(&told), "{}", finding.title.en);
        assert!(!finding.title.ko.contains("알 수 없음"), "{}", finding.title.ko);
    }
    // One that counts from a new zero has counted nothing meanwhile, and its intervals say so.
    let register = |n: i64| match n - FROM {
        ..0 => 5000.0 + n as f64,
        since => (since - 1800).max(0) as f64,
    };
    let outcome = lived(&site, register);
    let mut stuck = outcome.findings.values().filter(|found| found.kind == Kind::MeterStuck);
    let finding = stuck.next().unwrap();
    assert!(!finding.why.contains_key("spread_kwh"), "{:?}", finding.why);
    let told = "it was reset, and has counted nothing in that time";
    assert!(finding.title.en.ends_with(told), "{}", finding.title.en);
}

#[test]
fn a_restart_changes_nothing() {
    let register = |n: i64| {
        let is_zero = n < 20 || (FROM..FROM + 90).contains(&n) || (1500..1900).contains(&n);
        if is_zero { 0.0 } else { 5000.0 + n as f64 }
    };
    let whole = lived(&watched(), register);
    for restart in [10, 20, 21, 570, 600, 640, 650, 651, 1600, 1900, 1950] {
        assert_eq!(lived_on(&watched(), register, Some(restart)), whole, "{restart}");
    }
}

/// A gateway that says 0, or a spike, every half hour for as long as it lives: the energy is right to the end, and no more
/// is held in the last days than in the third.
#[test]
fn what_recurs_within_the_hour_is_held_in_bounds() {
    for wrong in [0.0, 1.8e21, 9e5] {
        check_recurring(wrong);
    }
}

fn check_recurring(wrong: f64) {
    const DAYS: i64 = 6;
    let mut engine = Engine::new(watched());
    let (mut newest, mut held) = (BTreeMap::new(), Vec::new());
    for minute in 0..=DAYS * 1440 {
        let now = at("00:00:00") + SignedDuration::from_mins(minute);
        let value = if minute % 30 == 17 {
            wrong
        } else {
            5000.0 + minute as f64
        };
        engine.take(Sample {
            meter: "main".into(),
            at: now,
            readings: vec![Reading::new(Quantity::EnergyImport, value)],
        });
        let told = engine.tick(now + SignedDuration::from_mins(1)).intervals;
        newest.extend(told.into_iter().map(|interval| (interval.start, interval)));
        if minute % 360 == 359 {
            held.push(serde_json::to_string(engine.state()).unwrap().len());
        }
    }
    let finished = engine.finish().intervals;
    newest.extend(finished.into_iter().map(|interval| (interval.start, interval)));
    let sum: f64 = newest.values().filter_map(|interval| interval.energy_import_kwh).sum();
    assert!((sum - (DAYS * 1440) as f64).abs() < 1e-6, "{wrong}: {sum}");
    let (first, last) = (
        held[8..12].iter().max().unwrap(),
        held.iter().rev().take(4).max().unwrap(),
    );
    assert!(*last <= first * 11 / 10, "{wrong}: {first} bytes, then {last}");
}
