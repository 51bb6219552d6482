//! Rises that no load explains, zeros and standstills for longer than a day: what a register says once it is back.
//!
//! Each case is the register of a plant that draws about 43 kW, `40 + 15·sin(2π·t/24 h)` and a little by the minute.
//! Held: what is told is never more than the register rose by beside the fault, no interval has a power that the plant
//! never drew, and what happened is named.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use std::{collections::BTreeSet, f64::consts::TAU};

use energy::{
    Interval, Quality, Quantity, Reading, Sample, Site,
    finding::Kind,
    interval::RepairKind::{self, Frozen, Jump, Spike, ZeroBurst},
    site::Settings,
};
use jiff::SignedDuration;
use support::{Outcome, at, live_on, site};

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;
/// When it goes wrong: at 10:00 of the sixth day.
const FAULT: i64 = 5 * DAY + 10 * HOUR;

fn power_kw(minute: i64) -> f64 {
    40.0 + 15.0 * (minute as f64 / DAY as f64 * TAU).sin() + (minute % 7) as f64
}

/// What has been used after so many minutes, kWh, while `is_on`.
fn used_kwh(minutes: i64, is_on: fn(i64) -> bool) -> Vec<f64> {
    let mut kwh = 1000.0;
    (0..=minutes)
        .map(|minute| {
            kwh += if is_on(minute) { power_kw(minute) / 60.0 } else { 0.0 };
            kwh
        })
        .collect()
}

/// The meter alone, read every so many minutes; nothing is known of its power unless it is contracted.
fn watched(every: i64, is_contracted: bool) -> Site {
    let mut site = site();
    site.meters[0].every = SignedDuration::from_mins(every);
    site.meters.truncate(1);
    site.machines.retain(|machine| *machine.meter == *"main");
    site.machines[0].detect = [
        (Kind::MeterReset, Settings::new()),
        (Kind::DemandPeak, [("target_kw".to_owned(), 250.0)].into()),
    ]
    .into();
    if !is_contracted {
        site.contracts.clear();
    }
    site
}

fn lived(site: &Site, register: &[f64], is_read: impl Fn(i64) -> bool) -> Outcome {
    let every = site.meters[0].every.as_mins();
    let minutes = (0..register.len() as i64).filter(|minute| minute % every == 0 && is_read(*minute));
    let sample = |minute: i64| Sample {
        meter: "main".into(),
        at: at("00:00:00") + SignedDuration::from_mins(minute),
        readings: vec![Reading::new(Quantity::EnergyImport, register[minute as usize])],
    };
    live_on(site, minutes.map(sample).collect(), None)
}

fn by_day(minute: i64) -> bool {
    (7 * HOUR..19 * HOUR).contains(&(minute % DAY))
}

#[test]
fn a_leap_for_good_is_no_energy() {
    // By how much, at which minute, how often it is read, how much of the truth the step itself hides.
    for (leap_kwh, fault, every, is_on) in [
        (20_183.0, FAULT, 1, (|_| true) as fn(i64) -> bool),
        (1900.0, FAULT, 1, |_| true),
        (40.0, FAULT, 1, |_| true),
        (20_183.0, 5 * DAY + 7 * HOUR + 3, 1, by_day),
        (20_183.0, 5 * DAY + 7 * HOUR, 15, by_day),
        (20_183.0, FAULT, 15, |_| true),
        (800.0, FAULT, 15, |_| true),
    ] {
        for is_contracted in [false, true] {
            let mut register = used_kwh(8 * DAY, is_on);
            let truth = register.last().unwrap() - register[0];
            register[fault as usize..].iter_mut().for_each(|kwh| *kwh += leap_kwh);
            let name = format!("{leap_kwh} kWh every {every} min, {is_contracted}");
            let outcome = lived(&watched(every, is_contracted), &register, |_| true);
            // Against a contract of 500 kW, 800 kWh in a quarter hour are six times as much, 40 kWh in a minute as well.
            let hidden = power_kw(fault) * every as f64 / 60.0 * 1.5;
            assert!(
                (outcome.sum_kwh() - truth).abs() <= hidden,
                "{name}: {}, not {truth}",
                outcome.sum_kwh()
            );
            assert_eq!(outcome.named(), [Jump].into(), "{name}");
            assert!(outcome.highest_kw() < 70.0, "{name}: {}", outcome.highest_kw());
            let kinds: Vec<Kind> = outcome.findings.values().map(|finding| finding.kind).collect();
            assert_eq!(kinds, [Kind::MeterReset], "{name}");
        }
    }
}

#[test]
fn a_leap_at_the_last_reading_is_held_back() {
    let mut register = used_kwh(FAULT, |_| true);
    let truth = register[FAULT as usize - 1] - register[0];
    *register.last_mut().unwrap() += 800.0;
    let outcome = lived(&watched(1, false), &register, |_| true);
    assert!(
        (outcome.sum_kwh() - truth).abs() < 1e-6,
        "{}, not {truth}",
        outcome.sum_kwh()
    );
    assert_eq!(outcome.named(), [Spike].into());
    assert!(outcome.findings.is_empty(), "{:#?}", outcome.findings);
}

#[test]
fn a_power_that_was_never_drawn_before_is_energy_if_it_goes_on() {
    for every in [1, 15] {
        let mut register = used_kwh(8 * DAY, |_| true);
        for (minute, kwh) in register.iter_mut().enumerate() {
            *kwh += 30.0 * (minute as i64 - FAULT).clamp(0, 90) as f64;
        }
        let truth = register.last().unwrap() - register[0];
        let outcome = lived(&watched(every, false), &register, |_| true);
        assert!(
            (outcome.sum_kwh() - truth).abs() < 1e-6,
            "{every}: {}, not {truth}",
            outcome.sum_kwh()
        );
        assert!(outcome.named().is_empty(), "{every}: {:?}", outcome.named());
    }
}

/// Ten minutes a day: half of it in each of two readings on some days, all of it in one on others.
#[test]
fn a_load_of_minutes_was_not_frozen_before() {
    for is_contracted in [false, true] {
        let register = used_kwh(12 * DAY, |minute| {
            (0..10).contains(&(minute % DAY - 595 - minute / DAY * 7 % 20))
        });
        let truth = register.last().unwrap() - register[0];
        let outcome = lived(&watched(15, is_contracted), &register, |_| true);
        assert!((outcome.sum_kwh() - truth).abs() < 1e-6, "{}", outcome.sum_kwh());
        assert_eq!(outcome.named(), BTreeSet::new());
    }
}

/// Whole steps of 10 kWh, at times two at once; a register that is held back by its gateway for some minutes.
#[test]
fn a_register_of_large_steps_does_not_leap() {
    let used = used_kwh(8 * DAY, |_| true);
    let steps: Vec<f64> = used.iter().map(|kwh| (kwh / 10.0).floor() * 10.0).collect();
    let mut doubled = steps.clone();
    let first = (FAULT as usize..steps.len())
        .find(|minute| steps[*minute] > steps[minute - 1])
        .unwrap();
    let second = (first + 1..steps.len())
        .find(|minute| steps[*minute] > steps[minute - 1])
        .unwrap();
    doubled[first..second].fill(steps[first - 1]);
    for (name, register, kinds) in [
        ("steps", steps, BTreeSet::new()),
        ("two at once", doubled, BTreeSet::new()),
    ] {
        let truth = register.last().unwrap() - register[0];
        let outcome = lived(&watched(1, false), &register, |_| true);
        assert!(
            (outcome.sum_kwh() - truth).abs() < 1e-6,
            "{name}: {}, not {truth}",
            outcome.sum_kwh()
        );
        assert_eq!(outcome.named(), kinds, "{name}");
    }
    let mut held = used;
    for minute in 0..8 {
        held[FAULT as usize + minute] = held[FAULT as usize];
    }
    let outcome = lived(&watched(1, false), &held, |_| true);
    let truth = held.last().unwrap() - held[0];
    assert!(
        (outcome.sum_kwh() - truth).abs() < 1e-6,
        "{}, not {truth}",
        outcome.sum_kwh()
    );
    assert_eq!(outcome.named(), [Frozen].into());
}

#[test]
fn zeros_for_days_hide_what_is_told_once_they_come_back() {
    for (hours, is_lost) in [(25, false), (30, false), (90, false), (700, false), (30, true)] {
        let mut register = used_kwh(FAULT + (hours + 40) * HOUR, |_| true);
        let back = FAULT + hours * HOUR;
        let hidden = register[back as usize] - register[FAULT as usize - 1];
        if is_lost {
            register[back as usize..].iter_mut().for_each(|kwh| *kwh -= hidden);
        }
        let truth = register.last().unwrap() - register[0];
        register[FAULT as usize..back as usize].fill(0.0);
        let mut site = watched(1, false);
        site.machines[0].detect.insert(Kind::MeterStuck, Settings::new());
        let outcome = lived(&site, &register, |_| true);
        let sum = outcome.sum_kwh();
        assert!((sum - truth).abs() < 1e-6, "{hours} {is_lost}: {sum}, not {truth}");
        assert!(outcome.highest_kw() < 70.0, "{hours}: {}", outcome.highest_kw());
        assert_eq!(outcome.named(), [ZeroBurst].into(), "{hours} {is_lost}");
        let hidden: Vec<&Interval> = outcome.intervals.values().filter(|i| !i.repairs.is_empty()).collect();
        assert_eq!(hidden.len() as i64, hours * 4 + 1, "{hours} {is_lost}");
        let whole = |i: &&Interval| i.coverage == 0.0 && i.quality == Quality::Estimated;
        assert_eq!(
            hidden.iter().filter(|i| whole(i)).count() as i64,
            hours * 4,
            "{hours} {is_lost}"
        );
        // A fault of the meter, which ends when the register is back; no reset.
        let finding = outcome.findings.values().next().unwrap();
        assert_eq!(outcome.findings.len(), 1, "{:#?}", outcome.findings);
        let times = (finding.since, finding.until);
        let minute = |n: i64| at("00:00:00") + SignedDuration::from_mins(n);
        assert_eq!(
            (finding.kind, times),
            (Kind::MeterStuck, (minute(FAULT - 1), Some(minute(back))))
        );
        assert!(finding.title.en.contains("has said 0 for"), "{}", finding.title.en);
    }
}

/// Zeros are the truth where the register counts from them, and then nothing was used in their time.
#[test]
fn a_reset_is_told_once_it_counts_again_however_late() {
    for hours in [20, 62, 500] {
        let mut register = used_kwh(FAULT + (hours + 40) * HOUR, |_| true);
        let back = FAULT + hours * HOUR;
        let (before, after) = (register[FAULT as usize - 1], register[back as usize]);
        register[FAULT as usize..back as usize].fill(0.0);
        register[back as usize..].iter_mut().for_each(|kwh| *kwh -= after);
        let truth = before - register[0] + register.last().unwrap();
        let outcome = lived(&watched(1, false), &register, |_| true);
        assert!(
            (outcome.sum_kwh() - truth).abs() < 1e-6,
            "{hours}: {}, not {truth}",
            outcome.sum_kwh()
        );
        assert_eq!(outcome.named(), [RepairKind::Reset].into(), "{hours}");
        // Of readings that are forgotten nobody knows any more how close they were.
        let zeros = outcome.intervals.values().filter(|i| i.energy_import_kwh == Some(0.0));
        let covered = zeros.clone().filter(|i| i.coverage == 1.0);
        assert_eq!(zeros.count() as i64, hours * 4, "{hours}: nothing was used");
        assert!(covered.count() as i64 >= hours.min(24) * 4, "{hours}");
        let kinds: Vec<Kind> = outcome.findings.values().map(|finding| finding.kind).collect();
        assert_eq!(kinds, [Kind::MeterReset], "{hours}");
    }
}

/// What was used before a register's first true reading is not known, and no zero.
#[test]
fn first_zeros_for_days_are_unknown_once_it_is_heard() {
    for hours in [20, 26, 90, 700] {
        let mut register = used_kwh((hours + 40) * HOUR, |_| true);
        let back = (hours * HOUR) as usize;
        let truth = register.last().unwrap() - register[back];
        register[..back].fill(0.0);
        let outcome = lived(&watched(1, false), &register, |_| true);
        assert!(
            (outcome.sum_kwh() - truth).abs() < 1e-6,
            "{hours}: {}, not {truth}",
            outcome.sum_kwh()
        );
        assert_eq!(outcome.named(), [ZeroBurst].into(), "{hours}");
        let unknown = outcome
            .intervals
            .values()
            .filter(|i| i.energy_import_kwh.is_none() && i.coverage == 0.0);
        assert_eq!(unknown.count() as i64, hours * 4, "{hours}");
        assert!(outcome.findings.is_empty(), "{hours}: {:#?}", outcome.findings);
    }
}

#[test]
fn a_register_that_was_frozen_over_its_top_was_not_reset() {
    let used = used_kwh(8 * DAY, |_| true);
    let truth = used.last().unwrap() - used[0];
    let top = used[FAULT as usize];
    let mut site = watched(1, false);
    site.meters[0].rollover = [(Quantity::EnergyImport, top)].into();
    let mut register: Vec<f64> = used.iter().map(|kwh| kwh % top).collect();
    let frozen = (FAULT - HOUR) as usize;
    register[frozen..frozen + 120].fill(used[frozen - 1]);
    let outcome = lived(&site, &register, |_| true);
    assert!(
        (outcome.sum_kwh() - truth).abs() < 1e-6,
        "{}, not {truth}",
        outcome.sum_kwh()
    );
    assert_eq!(outcome.named(), [Frozen].into());
    assert!(
        outcome.highest_kw() < 70.0 && outcome.findings.is_empty(),
        "{:?}",
        outcome.findings
    );
}

/// Handed over in an order of its own: readings that come hours late still find their place.
#[test]
fn readings_that_come_a_day_late_are_taken() {
    for (every_s, late_h) in [(60, 4), (60, 24), (10, 3)] {
        let mut site = watched(1, false);
        site.meters[0].every = SignedDuration::from_secs(every_s);
        let mut engine = energy::Engine::new(site);
        let mut outcome = Outcome::default();
        let value = |second: i64| 1000.0 + second as f64 * 0.01 + (second as f64 / 3600.0).sin();
        let (hole, last) = (30 * 3600..31 * 3600, (32 + late_h) * 3600);
        let read = |second: i64| Sample {
            meter: "main".into(),
            at: at("00:00:00") + SignedDuration::from_secs(second),
            readings: vec![Reading::new(Quantity::EnergyImport, value(second))],
        };
        for second in (0..=last).step_by(every_s as usize) {
            if !hole.contains(&second) {
                engine.take(read(second));
            }
            if second == hole.end + late_h * 3600 {
                hole.clone()
                    .step_by(every_s as usize)
                    .for_each(|second| engine.take(read(second)));
            }
            if second % 60 == 0 {
                outcome.keep(engine.tick(at("00:00:00") + SignedDuration::from_secs(second)));
            }
        }
        outcome.keep(engine.finish());
        let plain = outcome
            .intervals
            .values()
            .filter(|interval| interval.coverage == 1.0)
            .count() as i64;
        let partly: Vec<_> = outcome
            .intervals
            .values()
            .filter(|interval| interval.coverage < 1.0)
            .collect();
        // The last reading is not ticked on.
        assert_eq!(plain, last / 900 - 1, "{every_s} {late_h}: {partly:#?}");
        assert!(outcome.named().is_empty(), "{every_s} {late_h}: {:?}", outcome.named());
    }
}

/// Whatever lasted for days, the intervals add up to what the register counted, each told as often as it says.
#[test]
fn energy_of_a_silence_or_a_standstill_of_days_is_told_for_all_of_it() {
    for (hours, every) in [(20, 1), (24, 1), (26, 1), (62, 1), (62, 15), (200, 1), (1000, 15)] {
        // A recording that is silent for longer than a month begins anew.
        for is_silent in [false, true].into_iter().filter(|is_silent| !is_silent || hours < 700) {
            let until = FAULT + hours * HOUR;
            let mut register = used_kwh(until + 40 * HOUR, |_| true);
            let truth = register.last().unwrap() - register[0];
            if !is_silent {
                let stood = register[FAULT as usize - every as usize];
                register[FAULT as usize..until as usize].fill(stood);
            }
            let name = format!("{hours} h every {every} min, {is_silent}");
            let is_read = |minute: i64| !is_silent || !(FAULT..until).contains(&minute);
            let outcome = lived(&watched(every, false), &register, is_read);
            let sum = outcome.sum_kwh();
            // What is older than forty days stays untold.
            let untold = 45.0 * (hours - 960).max(0) as f64;
            assert!(
                sum <= truth + 1e-6 && sum >= truth - untold * 1.1 - 1e-6,
                "{name}: {sum}, not {truth}"
            );
            assert!(outcome.highest_kw() < 70.0, "{name}: {}", outcome.highest_kw());
            let repaired = outcome
                .intervals
                .values()
                .filter(|interval| !interval.repairs.is_empty());
            assert!(
                repaired.clone().count() as i64 >= hours.min(958) * 4,
                "{name}: {}",
                repaired.count()
            );
            let most = outcome.intervals.values().map(|interval| interval.revision).max();
            assert!(most <= Some(4), "{name}: {most:?}");
        }
    }
}

/// A contract of 900 kW, and a power or a quarter hour's energy of twenty times that: neither is billed, and both are named.
/// One of twice the contract is what the plant drew.
#[test]
fn power_and_interval_energy_that_no_contract_allows_are_none() {
    for (quantity, plain, minutes) in [(Quantity::ActivePower, 400.0, 1), (Quantity::IntervalEnergy, 100.0, 15)] {
        for (times, is_named) in [(50.0, true), (5.0, false)] {
            let mut site = watched(minutes, true);
            site.contracts[0].contract_kw = 900.0;
            let sample = |n: i64| Sample {
                meter: "main".into(),
                at: at("00:00:00") + SignedDuration::from_mins(n),
                readings: vec![Reading::new(
                    quantity,
                    plain * if n == 10 * HOUR + 30 { times } else { 1.0 },
                )],
            };
            let outcome = live_on(&site, (0..DAY).step_by(minutes as usize).map(sample).collect(), None);
            let doubted = &outcome.intervals[&(at("10:30:00"), "main".into())];
            let named: Vec<_> = doubted.repairs.iter().map(|repair| repair.kind).collect();
            assert_eq!(
                named.contains(&RepairKind::OutOfRange),
                is_named,
                "{quantity} {times}: {doubted:?}"
            );
            let highest = outcome.highest_kw();
            assert_eq!(highest < 401.0, is_named, "{quantity} {times}: {highest}");
        }
    }
}

/// A meter wrongly entered, at a machine of 20 kW where 400 are drawn: nothing it says can be, and that is said of all of
/// its time, in one finding where its counter does so.
#[test]
fn a_meter_of_which_nothing_can_be_is_named_for_all_of_its_time() {
    for (quantity, n_days, minutes, value, named) in [
        (
            Quantity::ActivePower,
            4,
            1,
            (|_| 400.0) as fn(i64) -> f64,
            RepairKind::OutOfRange,
        ),
        (Quantity::IntervalEnergy, 4, 15, |_| 100.0, RepairKind::OutOfRange),
        (Quantity::EnergyImport, 1, 1, |n| 1000.0 + n as f64 * 400.0 / 60.0, Jump),
    ] {
        let mut site = watched(minutes, true);
        site.contracts[0].contract_kw = 20.0;
        site.machines[0].detect.remove(&Kind::DemandPeak);
        let sample = |n: i64| Sample {
            meter: "main".into(),
            at: at("00:00:00") + SignedDuration::from_mins(n),
            readings: vec![Reading::new(quantity, value(n))],
        };
        let outcome = live_on(
            &site,
            (0..n_days * DAY).step_by(minutes as usize).map(sample).collect(),
            None,
        );
        // The last interval's energy would be ready at its end.
        assert!(outcome.intervals.len() as i64 >= n_days * 96 - 1, "{quantity}");
        assert_eq!(outcome.named(), [named].into(), "{quantity}");
        for interval in outcome.intervals.values() {
            let told = (interval.energy_import_kwh, interval.coverage, interval.repairs.len());
            assert!(matches!(told, (None, 0.0, 1..)), "{quantity}: {interval:?}");
        }
        let n_reset = usize::from(quantity == Quantity::EnergyImport);
        assert_eq!(outcome.findings.len(), n_reset, "{quantity}: {:#?}", outcome.findings);
    }
}

/// A contract of 50 kW does not bound what a roof feeds back.
#[test]
fn what_is_fed_back_is_not_judged_by_the_contract() {
    for quantity in [Quantity::ActivePower, Quantity::EnergyExport] {
        let mut site = watched(1, true);
        site.contracts[0].contract_kw = 50.0;
        let sample = |n: i64| {
            let fed_kwh = 2000.0 * n as f64 / 60.0;
            Sample {
                meter: "main".into(),
                at: at("00:00:00") + SignedDuration::from_mins(n),
                readings: vec![if quantity == Quantity::ActivePower {
                    Reading::new(quantity, -2000.0)
                } else {
                    Reading::new(quantity, 1000.0 + fed_kwh.floor())
                }],
            }
        };
        let outcome = live_on(&site, (0..=4 * HOUR).map(sample).collect(), None);
        let fed_kwh: f64 = outcome.intervals.values().filter_map(|i| i.energy_export_kwh).sum();
        assert!((fed_kwh - 8000.0).abs() < 1.0, "{quantity}: {fed_kwh}");
        assert!(!outcome.named().contains(&RepairKind::OutOfRange), "{quantity}");
    }
}
