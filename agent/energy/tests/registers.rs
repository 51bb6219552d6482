//! Meters of several registers, one of which stands still, says zero or says nothing for days while the others count.
//!
//! Held: what can still be reckoned of the one is told again for all of that time, what of the others cannot stays as it was
//! told, and a restart changes nothing.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use energy::{Interval, Quality, Quantity, Reading, Sample, Site};
use jiff::SignedDuration;
use support::{Outcome, at, live_on, site};

const HOUR: i64 = 60;
const FAULT: i64 = 6 * 1440 + 615;

/// The registers, and how much of what is used each of them counts: of lead none is, ever.
const REGISTERS: [(Quantity, f64); 4] = [
    (Quantity::EnergyImport, 1.0),
    (Quantity::ReactiveEnergyLag, 0.4),
    (Quantity::EnergyExport, 0.1),
    (Quantity::ReactiveEnergyLead, 0.0),
];

fn watched() -> Site {
    let mut site = site();
    site.meters[0].every = SignedDuration::from_mins(15);
    site.meters.truncate(1);
    site.machines.clear();
    site
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Frozen,
    Zero,
    Silent,
}

fn kw(n: i64) -> f64 {
    let is_day = (480..1080).contains(&(n % 1440));
    if is_day {
        90.0
    } else {
        20.0 + 4.0 * (n as f64 / 100.0).sin()
    }
}

/// `faulty` registers of all have the fault for so many hours.
fn lived(faulty: &[Quantity], fault: Fault, hours: i64, restart: Option<usize>) -> Outcome {
    let until = FAULT + hours * HOUR;
    let mut used = vec![1234.5];
    (0..until + 40 * HOUR).for_each(|n| used.push(used[n as usize] + kw(n) / 60.0));
    let sample = |n: i64| {
        let is_faulty = (FAULT..until).contains(&n);
        let reading = |(quantity, share): (Quantity, f64)| {
            let says = |n: i64| (used[n as usize] * share * 1000.0).round() / 1000.0;
            let value = match fault {
                _ if !is_faulty || !faulty.contains(&quantity) => says(n),
                Fault::Frozen => says(FAULT),
                Fault::Zero => 0.0,
                Fault::Silent => return None,
            };
            Some(Reading::new(quantity, value))
        };
        Sample {
            meter: "main".into(),
            at: at("00:00:00") + SignedDuration::from_mins(n),
            readings: REGISTERS.into_iter().filter_map(reading).collect(),
        }
    };
    let minutes = (0..=until + 40 * HOUR).step_by(15);
    live_on(&watched(), minutes.map(sample).collect(), restart)
}

fn amount(interval: &Interval, quantity: Quantity) -> Option<f64> {
    match quantity {
        Quantity::EnergyImport => interval.energy_import_kwh,
        Quantity::ReactiveEnergyLag => interval.reactive_energy_lag_kvarh,
        Quantity::ReactiveEnergyLead => interval.reactive_energy_lead_kvarh,
        _ => interval.energy_export_kwh,
    }
}

#[test]
fn what_one_register_hid_is_told_again_and_the_others_keep_theirs() {
    use Quantity::{EnergyExport, EnergyImport, ReactiveEnergyLag};
    let alone: [&[Quantity]; 4] = [
        &[EnergyImport],
        &[ReactiveEnergyLag],
        &[EnergyImport, EnergyExport],
        &[EnergyImport, ReactiveEnergyLag, EnergyExport],
    ];
    for faulty in alone {
        for hours in [20, 30, 120, 500] {
            for fault in [Fault::Frozen, Fault::Zero, Fault::Silent] {
                // Of reactive energy a zero may be a reset for a season.
                if matches!(fault, Fault::Zero) && faulty[0] != EnergyImport
                    || matches!(fault, Fault::Silent) && faulty.len() == 3
                {
                    continue;
                }
                let outcome = lived(faulty, fault, hours, None);
                let name = format!("{faulty:?} {fault:?} {hours} h");
                let truth: f64 = (0..FAULT + (hours + 40) * HOUR).map(|n| kw(n) / 60.0).sum();
                for (quantity, share) in REGISTERS {
                    if matches!(fault, Fault::Zero) && faulty.contains(&quantity) && quantity != EnergyImport {
                        continue;
                    }
                    let sum: f64 = outcome
                        .intervals
                        .values()
                        .filter_map(|interval| amount(interval, quantity))
                        .sum();
                    assert!(
                        (sum - truth * share).abs() < 0.01,
                        "{name}, {quantity}: {sum}, not {}",
                        truth * share
                    );
                }
                let minute = |n: i64| at("00:00:00") + SignedDuration::from_mins(n);
                let within = outcome
                    .intervals
                    .values()
                    .filter(|interval| interval.start >= minute(FAULT) && interval.end <= minute(FAULT + hours * HOUR));
                let is_import = faulty.contains(&EnergyImport);
                for interval in within {
                    let (quality, coverage) = if is_import {
                        (Quality::Estimated, 0.0)
                    } else {
                        (Quality::Ok, 1.0)
                    };
                    assert_eq!(
                        (interval.quality, interval.coverage),
                        (quality, coverage),
                        "{name}: {interval:?}"
                    );
                    assert!(!interval.repairs.is_empty(), "{name}: {interval:?}");
                }
            }
        }
    }
}

#[test]
fn a_restart_changes_nothing() {
    for fault in [Fault::Frozen, Fault::Zero, Fault::Silent] {
        let faulty = [Quantity::EnergyImport];
        let whole = lived(&faulty, fault, 60, None);
        for hours in [1, 26, 50, 60, 61, 63, 70] {
            let restart = usize::try_from((FAULT + hours * HOUR) / 15).unwrap();
            assert_eq!(lived(&faulty, fault, 60, Some(restart)), whole, "{fault:?} {hours}");
        }
    }
}

/// 100 kW of which import is frozen, or says zero, beside one register that counts so much at a minute, or says nothing.
fn check_beside(beside: impl Fn(i64) -> f64, fault: Fault, every: i64, hours: i64) {
    let mut watched = watched();
    watched.meters[0].every = SignedDuration::from_mins(every);
    let until = FAULT + hours * HOUR;
    let end = until + 40 * HOUR;
    let mut exported = 0.0;
    let sample = |n: i64| {
        exported += beside(n) * every as f64;
        let import = match fault {
            Fault::Frozen if (FAULT..until).contains(&n) => FAULT,
            Fault::Zero if (FAULT..until).contains(&n) => -600,
            _ => n,
        };
        let said = [
            (Quantity::EnergyImport, 1000.0 + import as f64 * 100.0 / 60.0),
            (Quantity::EnergyExport, exported),
        ];
        let is_said = |(quantity, _): &(Quantity, f64)| {
            let is_import = *quantity == Quantity::EnergyImport;
            !(is_import && matches!(fault, Fault::Silent) && (FAULT..until).contains(&n))
        };
        let readings = said.into_iter().filter(is_said);
        Sample {
            meter: "main".into(),
            at: at("00:00:00") + SignedDuration::from_mins(n),
            readings: readings
                .map(|(quantity, value)| Reading::new(quantity, value))
                .collect(),
        }
    };
    let minutes = (0..=end).filter(|n| n % every == 0);
    let outcome = live_on(&watched, minutes.map(sample).collect(), None);
    let name = format!("{fault:?} {every} min {hours} h");
    let last = outcome.intervals.values().next_back().unwrap();
    let used = last.end.duration_since(at("00:00:00")).as_secs() as f64 / 36.0;
    let sum = outcome.sum_kwh();
    assert!((sum - used).abs() < 0.01, "{name}: {sum}, not {used}");
    let highest = outcome.highest_kw();
    assert!(highest < 100.1, "{name}: {highest} kW");
}

#[test]
fn import_alone_is_told_again_whatever_the_register_beside_it_does() {
    let weekend = |n: i64| if n / 1440 % 7 > 4 { 0.1 } else { 0.0 };
    let once = |n: i64| if n == 3 * 1440 { 0.1 } else { 0.0 };
    for fault in [Fault::Frozen, Fault::Zero, Fault::Silent] {
        for (every, hours) in [(15, 30), (15, 48), (15, 120), (1, 36), (1, 60)] {
            check_beside(|_| 0.0, fault, every, hours);
            check_beside(once, fault, every, hours);
            check_beside(weekend, fault, every, hours);
        }
    }
}
