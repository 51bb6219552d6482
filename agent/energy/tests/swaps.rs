//! Changes of a meter, entered by people: at another instant than they were, with readings that do not fit.
//!
//! Each case is the registers of a plant that draws about 43 kW, read each minute, whose meter is changed at 10:00 of the
//! sixth day. Held: the energy is the plant's whatever was entered, the change is named once, and no reset is told.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use std::{collections::BTreeSet, f64::consts::TAU};

use energy::{
    Interval, Quantity, Reading, Sample, Site,
    finding::Kind,
    interval::{Repair, RepairKind},
    site::Swap,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use support::{Outcome, at, live_on, main_alone};

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;
const CHANGED: i64 = 5 * DAY + 10 * HOUR;
const MINUTES: i64 = 7 * DAY;

fn minute(n: i64) -> Timestamp {
    at("00:00:00") + SignedDuration::from_mins(n)
}

/// What has been used after so many minutes, kWh.
fn used_kwh() -> Vec<f64> {
    let power_kw = |n: i64| 40.0 + 15.0 * (n as f64 / DAY as f64 * TAU).sin() + (n % 7) as f64;
    let rises = (0..=MINUTES).map(|n| power_kw(n) / 60.0);
    rises
        .scan(0.0, |sum, rise| {
            *sum += rise;
            Some(*sum)
        })
        .collect()
}

/// The device before, at `from_kwh`, and the one after, at `to_kwh` when it begins.
fn register(from_kwh: f64, to_kwh: f64) -> Vec<f64> {
    let used = used_kwh();
    let changed = used[CHANGED as usize];
    let value = |(n, used): (i64, &f64)| {
        if n < CHANGED {
            from_kwh + used
        } else {
            to_kwh + used - changed
        }
    };
    (0..).zip(&used).map(value).collect()
}

fn watched(swaps: Vec<Swap>) -> Site {
    let mut site = main_alone(SignedDuration::from_mins(1), &[Kind::MeterReset, Kind::MeterStuck]);
    site.contracts.clear();
    site.meters[0].swaps = swaps;
    site
}

/// Entered so many minutes after it was, with readings that are off by so much, kWh.
fn entered(off: i64, from_kwh: f64, to_kwh: f64, (off_last, off_first): (f64, f64)) -> Swap {
    Swap {
        at: minute(CHANGED + off),
        last_kwh: from_kwh + used_kwh()[CHANGED as usize] + off_last,
        first_kwh: to_kwh + off_first,
        reason: None,
    }
}

fn lived(site: &Site, registers: &[(Quantity, Vec<f64>)], is_read: impl Fn(i64) -> bool) -> Outcome {
    let sample = |n: i64| Sample {
        meter: "main".into(),
        at: minute(n),
        readings: registers
            .iter()
            .map(|(quantity, kwh)| Reading::new(*quantity, kwh[n as usize]))
            .collect(),
    };
    live_on(site, (0..=MINUTES).filter(|n| is_read(*n)).map(sample).collect(), None)
}

fn sum(outcome: &Outcome, amount: impl Fn(&Interval) -> Option<f64>) -> f64 {
    outcome.intervals.values().filter_map(amount).sum()
}

fn repairs_told(outcome: &Outcome) -> Vec<&Repair> {
    outcome
        .intervals
        .values()
        .flat_map(|interval| &interval.repairs)
        .collect()
}

/// The plant's energy, but for so much; told once, and no fault.
fn check(name: &str, outcome: &Outcome, unknown_kwh: f64) {
    let (told, truth) = (outcome.sum_kwh(), used_kwh()[MINUTES as usize] - used_kwh()[0]);
    assert!((told - truth).abs() <= unknown_kwh, "{name}: {told}, not {truth}");
    assert_eq!(outcome.named(), [RepairKind::Swap].into(), "{name}");
    let places: BTreeSet<Timestamp> = repairs_told(outcome).iter().map(|repair| repair.since).collect();
    assert_eq!(places.len(), 1, "{name}: {places:?}");
    assert!(outcome.findings.is_empty(), "{name}: {:#?}", outcome.findings);
    let highest = outcome.highest_kw();
    assert!(highest < 70.0, "{name}: {highest} kW");
}

#[test]
fn a_change_counts_where_the_register_shows_it() {
    for (from_kwh, to_kwh) in [
        (81_000.0, 3.2),
        (800.0, 81_000.0),
        (5000.0, 0.0),
        (5000.0, 4990.0),
        (3000.0, 3400.0),
    ] {
        for off in [-119, -61, -7, 0, 1, 13, 60, 119] {
            let name = format!("{from_kwh} {to_kwh} {off}");
            let site = watched(vec![entered(off, from_kwh, to_kwh, (0.0, 0.0))]);
            let outcome = lived(&site, &[(Quantity::EnergyImport, register(from_kwh, to_kwh))], |_| true);
            check(&name, &outcome, 1e-6);
            let told = repairs_told(&outcome)[0];
            assert_eq!(
                (told.since, told.until),
                (minute(CHANGED - 1), minute(CHANGED)),
                "{name}"
            );
            assert_eq!(told.why.contains_key("off_s"), off != 0, "{name}: {told:?}");
        }
    }
}

/// The change in a silence, and behind zeros that its gateway says meanwhile.
#[test]
fn a_change_that_takes_its_time_loses_nothing() {
    for off in [-100, 0, 20, 100] {
        let site = watched(vec![entered(off, 5000.0, 3.2, (0.0, 0.0))]);
        let silent = lived(&site, &[(Quantity::EnergyImport, register(5000.0, 3.2))], |n| {
            !(CHANGED - 20..CHANGED + 30).contains(&n)
        });
        check(&format!("silence {off}"), &silent, 1e-6);
        let mut zeros = register(5000.0, 3.2);
        zeros[CHANGED as usize - 20..CHANGED as usize + 30].fill(0.0);
        let zeros = lived(&site, &[(Quantity::EnergyImport, zeros)], |_| true);
        check(&format!("zeros {off}"), &zeros, 1e-6);
    }
}

/// What was entered neither takes what the register has said, nor gives what it has not.
#[test]
fn entered_readings_that_the_register_contradicts_are_named() {
    for off in [-90, 0, 90] {
        for wrong in [(-40.0, 0.0), (0.0, -3.2), (700.0, 0.0), (0.0, 500.0)] {
            let name = format!("{off} {wrong:?}");
            let site = watched(vec![entered(off, 5000.0, 3.2, wrong)]);
            let outcome = lived(&site, &[(Quantity::EnergyImport, register(5000.0, 3.2))], |_| true);
            check(&name, &outcome, 1.0);
            let told = repairs_told(&outcome)[0];
            assert!((told.why["seen_kwh"] - told.before).abs() < 1e-6, "{name}: {told:?}");
        }
    }
}

/// A device that goes on where the old one stood shows nothing: the entered instant counts, and the readings where they
/// fit.
#[test]
fn a_change_that_the_register_does_not_show_is_as_entered() {
    let on = register(0.0, used_kwh()[CHANGED as usize]);
    for (last, first, is_named) in [(0.0, 0.0, false), (0.0, -5000.0, true)] {
        let swap = Swap {
            first_kwh: used_kwh()[CHANGED as usize] + first,
            ..entered(0, 0.0, 0.0, (last, 0.0))
        };
        let outcome = lived(&watched(vec![swap]), &[(Quantity::EnergyImport, on.clone())], |_| true);
        check(&format!("{first}"), &outcome, 1e-6);
        let told = repairs_told(&outcome)[0];
        assert_eq!(
            (told.until, told.why.contains_key("seen_kwh")),
            (minute(CHANGED), is_named)
        );
    }
}

/// The old device stood still, or its gateway said zeros, before it was taken away: its last reading, as entered, says what
/// was used meanwhile.
#[test]
fn what_a_register_hid_before_it_was_changed_is_its_entered_last_reading() {
    for (every, contract_kw) in [(1, None), (1, Some(300.0)), (15, None), (15, Some(300.0))] {
        for hours in [1, 6, 30] {
            for (is_zero, off) in [(false, 0), (false, 40), (true, 0), (true, -40)] {
                let (from_kwh, to_kwh) = (5000.0, 7.5);
                let mut values = register(from_kwh, to_kwh);
                let frozen = (CHANGED - hours * HOUR) as usize;
                let stood = if is_zero { 0.0 } else { values[frozen] };
                values[frozen..CHANGED as usize].fill(stood);
                let mut site = watched(vec![entered(off, from_kwh, to_kwh, (0.0, 0.0))]);
                site.meters[0].every = SignedDuration::from_mins(every);
                if let Some(kw) = contract_kw {
                    site.contracts = support::site().contracts;
                    site.contracts[0].contract_kw = kw;
                }
                let outcome = lived(&site, &[(Quantity::EnergyImport, values)], |n| n % every == 0);
                let name = format!("{hours} h, zeros {is_zero}, every {every}, {contract_kw:?}, {off}");
                let used = used_kwh();
                let (kwh, truth) = (outcome.sum_kwh(), used[MINUTES as usize] - used[0]);
                // Read by the quarter hour, the last one has not closed at the last reading.
                assert!((kwh - truth).abs() < 1.0, "{name}: {kwh}, not {truth}");
                let highest = outcome.highest_kw();
                assert!(highest < 70.0, "{name}: {highest} kW");
                let told = repairs_told(&outcome)
                    .into_iter()
                    .filter(|repair| repair.kind == RepairKind::Swap);
                let places: BTreeSet<Timestamp> = told.map(|repair| repair.since).collect();
                assert_eq!(places.len(), 1, "{name}: {places:?}");
                let resets = outcome
                    .findings
                    .values()
                    .filter(|finding| finding.kind == Kind::MeterReset);
                assert_eq!(resets.count(), 0, "{name}: {:#?}", outcome.findings);
                let zeros = outcome
                    .intervals
                    .values()
                    .filter(|interval| interval.energy_import_kwh == Some(0.0));
                assert_eq!(zeros.count(), 0, "{name}");
            }
        }
    }
}

/// A steady 100 kW, and a change eight minutes before a reading of each quarter hour.
#[test]
fn a_change_between_two_readings_makes_no_peak() {
    let changed = CHANGED + 7;
    let check = |is_zero: bool, every: i64, hidden: i64, most_kw: f64| {
        let used = |n: i64| n as f64 * 100.0 / 60.0;
        let says = |n: i64| match n {
            _ if n >= changed => used(n - changed),
            _ if n < changed - hidden => 5000.0 + used(n),
            _ if is_zero => 0.0,
            _ => 5000.0 + used(changed - hidden),
        };
        let mut site = watched(vec![Swap {
            at: minute(changed),
            last_kwh: 5000.0 + used(changed),
            first_kwh: 0.0,
            reason: None,
        }]);
        site.meters[0].every = SignedDuration::from_mins(every);
        let values = (0..=MINUTES).map(says).collect();
        let outcome = lived(&site, &[(Quantity::EnergyImport, values)], |n| n % every == 0);
        let name = format!("zero {is_zero}, every {every}, hidden {hidden}");
        let highest = outcome.highest_kw();
        assert!(highest < most_kw, "{name}: {highest} kW");
        // The last quarter hour may not have closed at the last reading.
        let (sum, truth) = (outcome.sum_kwh(), used(MINUTES));
        assert!(
            (sum - truth).abs() < 0.01 || (sum - truth + 25.0).abs() < 0.01,
            "{name}: {sum}, not {truth}"
        );
    };
    for (every, hidden) in [(1, 45), (1, 120), (1, 1800), (15, 45), (15, 60), (15, 360), (15, 3600)] {
        // Where it froze between two readings, what it hid seems to have been used from the second of them on.
        let most_kw = 100.1 * hidden as f64 / (hidden - (every + 1) / 2) as f64;
        check(false, every, hidden, if every == 1 { 100.1 } else { most_kw + 1.0 });
        // A zero of the gateway may be the new device's: what it had counted by then is told in the step after it.
        check(true, every, hidden, if every == 1 { 100.1 } else { 155.0 });
    }
}

/// A gateway may go on with the old device's last value when that is gone already, whether it had counted until then or
/// stood still before: what the new one has counted meanwhile is spread over that time, and nothing of it is a peak.
#[test]
fn a_last_value_said_after_the_change_hides_nothing() {
    for every in [1, 5, 15, 60] {
        for (stale, hidden) in [(9, 0), (40, 0), (70, 0), (100, 0), (40, 90), (70, 600), (100, 2000)] {
            for (off, first_kwh) in [(0, 0.0), (0, 7.5), (-8, 0.0), (25, 0.0)] {
                let name = format!("every {every}, stale {stale}, hidden {hidden}, off {off}, first {first_kwh}");
                let used = |n: i64| n as f64 * 100.0 / 60.0;
                let says = |n: i64| match n {
                    _ if n >= CHANGED + stale => first_kwh + used(n - CHANGED),
                    _ => 5000.0 + used(n.min(CHANGED - hidden)),
                };
                let mut site = watched(vec![Swap {
                    at: minute(CHANGED + off),
                    last_kwh: 5000.0 + used(CHANGED),
                    first_kwh,
                    reason: None,
                }]);
                site.meters[0].every = SignedDuration::from_mins(every);
                let values = (0..=MINUTES).map(says).collect();
                let outcome = lived(&site, &[(Quantity::EnergyImport, values)], |n| n % every == 0);
                let (kwh, highest) = (outcome.sum_kwh(), outcome.highest_kw());
                assert!((kwh - used(MINUTES)).abs() < 25.1, "{name}: {kwh}");
                // Where it froze between two readings, what it hid seems to have been used from the second of them on.
                let most_kw = 121.0 * hidden.max(1) as f64 / (hidden - every / 2).max(1) as f64;
                assert!(highest < most_kw, "{name}: {highest} kW");
                let resets = outcome.findings.values().filter(|f| f.kind == Kind::MeterReset);
                assert_eq!(resets.count(), 0, "{name}");
            }
        }
    }
}

/// All registers are changed at once; of those without entered readings the new zero is taken for one.
#[test]
fn a_change_is_one_of_every_register() {
    for off in [-110, 0, 110] {
        let site = watched(vec![entered(off, 5000.0, 3.2, (0.0, 0.0))]);
        let registers = [
            (Quantity::EnergyImport, register(5000.0, 3.2)),
            (Quantity::EnergyExport, register(300.0, 0.0)),
            (Quantity::ReactiveEnergyLag, register(700.0, 90_000.0)),
            (Quantity::ReactiveEnergyLead, register(9000.0, 20.0)),
        ];
        let outcome = lived(&site, &registers, |_| true);
        let truth = used_kwh()[MINUTES as usize] - used_kwh()[0];
        for (name, told) in [
            ("import", sum(&outcome, |i| i.energy_import_kwh)),
            ("export", sum(&outcome, |i| i.energy_export_kwh)),
            ("lag", sum(&outcome, |i| i.reactive_energy_lag_kvarh)),
            ("lead", sum(&outcome, |i| i.reactive_energy_lead_kvarh)),
        ] {
            // The step itself is not known.
            assert!((told - truth).abs() < 1.0, "{off} {name}: {told}, not {truth}");
        }
        let told: Vec<_> = repairs_told(&outcome)
            .iter()
            .map(|repair| (repair.kind, repair.until))
            .collect();
        assert_eq!(told, [(RepairKind::Swap, minute(CHANGED)); 4], "{off}");
        assert!(outcome.findings.is_empty(), "{off}: {:#?}", outcome.findings);
    }
}

/// Further off than it may be, it is as entered, and the fall is a reset; a real reset on another day is one as well.
#[test]
fn a_fall_far_from_the_entered_change_is_a_reset() {
    let site = watched(vec![entered(-6 * HOUR, 5000.0, 3.2, (0.0, 0.0))]);
    let outcome = lived(&site, &[(Quantity::EnergyImport, register(5000.0, 3.2))], |_| true);
    assert_eq!(outcome.named(), [RepairKind::Reset, RepairKind::Swap].into());
    let (told, truth) = (outcome.sum_kwh(), used_kwh()[MINUTES as usize] - used_kwh()[0]);
    assert!(told <= truth && told > truth - 5.0, "{told}, not {truth}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whenever it was entered within two hours, whatever the devices said, read how late, and written down and taken
    /// up again at any minute: the energy is the plant's.
    #[test]
    fn energy_is_conserved_over_a_change(
        off in -119i64..120,
        from_kwh in 200.0f64..90_000.0,
        to_kwh in prop_oneof![Just(0.0), 0.0f64..50.0, 200.0f64..90_000.0],
        spike in prop::option::of((CHANGED - 200..CHANGED + 200, -1.0f64..50.0)),
        late in prop::collection::vec(0i64..40, 20),
        restart in 0usize..300,
    ) {
        let site = watched(vec![entered(off, from_kwh, to_kwh, (0.0, 0.0))]);
        let mut kwh = register(from_kwh, to_kwh);
        // Not at the change itself, where nobody can tell.
        if let Some((n, share)) = spike.filter(|(n, _)| (n - CHANGED).abs() > 2 && kwh[*n as usize] > 100.0) {
            kwh[n as usize] *= 1.0 + share;
        }
        let first = CHANGED - 4 * HOUR;
        let used = used_kwh();
        let truth = used[(CHANGED + 6 * HOUR) as usize] - used[first as usize];
        let told = |late: &[i64], restart: usize| {
            let mut arrivals: Vec<i64> = (first..=CHANGED + 6 * HOUR).collect();
            let arrival = |n: &i64| n + if *n == first { 0 } else { late[*n as usize % late.len()] };
            arrivals.sort_by_key(arrival);
            let mut engine = energy::Engine::new(site.clone());
            let mut outcome = Outcome::default();
            for (index, n) in arrivals.iter().enumerate() {
                engine.take(Sample {
                    meter: "main".into(),
                    at: minute(*n),
                    readings: vec![Reading::new(Quantity::EnergyImport, kwh[*n as usize])],
                });
                outcome.keep(engine.tick(minute(arrival(n) + 1)));
                if index == restart {
                    let written = serde_json::to_string(engine.state()).unwrap();
                    engine = energy::Engine::restore(site.clone(), serde_json::from_str(&written).unwrap());
                }
            }
            outcome.keep(engine.tick(minute(CHANGED + 7 * HOUR)));
            outcome.keep(engine.finish());
            outcome
        };
        let punctual = told(&[0], usize::MAX);
        let sum = punctual.sum_kwh();
        prop_assert!((sum - truth).abs() < 1e-6, "{} of {}", sum, truth);
        prop_assert!(punctual.findings.is_empty(), "{:#?}", punctual.findings);
        prop_assert_eq!(told(&[0], restart), told(&[0], usize::MAX));
        // The last to come may be late beyond the last interval.
        let late = told(&late, usize::MAX);
        for (late, punctual) in late.intervals.values().zip(punctual.intervals.values()) {
            prop_assert_eq!(&Interval { revision: punctual.revision, ..late.clone() }, punctual);
        }
    }
}
