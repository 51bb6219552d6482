//! Registers that freeze for a few readings and jump, read by the minute, the quarter hour or the hour.
//!
//! Each case counts a known load for nine days and more, and hides some of it. Held: what was hidden is spread over the
//! standstill and named, no interval has a power that the plant never drew, and none says zero while energy was used. A
//! register that is read in large steps stands still by nature, and is left alone.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use std::f64::consts::TAU;

use energy::{
    Interval, Quality, Quantity, Reading, Sample, Site,
    interval::RepairKind::{self, Frozen, Reset, Spike, ZeroBurst},
};
use jiff::SignedDuration;
use support::{Outcome, at, live_on, site};

const DAYS: i64 = 10;
/// When it freezes: at 14:00 of the ninth day.
const FAULT: i64 = 8 * 1440 + 840;

fn watched(every: i64, contract_kw: Option<f64>) -> Site {
    let mut site = site();
    site.meters[0].every = SignedDuration::from_mins(every);
    site.meters.truncate(1);
    site.machines.clear();
    match contract_kw {
        Some(kw) => site.contracts[0].contract_kw = kw,
        None => site.contracts.clear(),
    }
    site
}

/// A register, and the power beside it, read so often.
struct Case {
    every: i64,
    contract_kw: Option<f64>,
    has_power: bool,
    kw: fn(i64) -> f64,
    /// What the register says at a minute, of what has been used by then and of a way to know that of other minutes.
    register: fn(i64, &dyn Fn(i64) -> f64) -> f64,
}

const CASE: Case = Case {
    every: 15,
    contract_kw: Some(900.0),
    has_power: false,
    kw: |_| 100.0,
    register: |n, used| used(n),
};

fn varying_kw(n: i64) -> f64 {
    70.0 + 40.0 * ((n - 360) as f64 / 1440.0 * TAU).sin() + (n / 15 * 7 % 11) as f64
}

fn lived(case: &Case, restart: Option<usize>) -> Outcome {
    let mut used = vec![1234.567];
    for n in 0..DAYS * 1440 {
        used.push(used[n as usize] + (case.kw)(n) / 60.0);
    }
    // As a register says it: by the watt-hour.
    let used = |n: i64| (used[n as usize] * 1000.0).round() / 1000.0;
    let sample = |n: i64| {
        let mut readings = vec![Reading::new(Quantity::EnergyImport, (case.register)(n, &used))];
        if case.has_power {
            readings.push(Reading::new(Quantity::ActivePower, (case.kw)(n)));
        }
        Sample {
            meter: "main".into(),
            at: at("00:00:00") + SignedDuration::from_mins(n),
            readings,
        }
    };
    let minutes = (0..=DAYS * 1440).step_by(case.every as usize);
    live_on(
        &watched(case.every, case.contract_kw),
        minutes.map(sample).collect(),
        restart,
    )
}

fn used_kwh(case: &Case) -> f64 {
    (0..DAYS * 1440).map(|n| (case.kw)(n) / 60.0).sum()
}

/// The intervals in a stretch of minutes.
fn within(outcome: &Outcome, from: i64, until: i64) -> Vec<&Interval> {
    let minute = |n| at("00:00:00") + SignedDuration::from_mins(n);
    let is_within = |interval: &&Interval| interval.start >= minute(from) && interval.end <= minute(until);
    outcome.intervals.values().filter(is_within).collect()
}

/// Nothing is lost, and the power stays below `most_kw`.
fn check(name: &str, case: &Case, most_kw: f64, named: &[RepairKind]) -> Outcome {
    let outcome = lived(case, None);
    let (sum, used) = (outcome.sum_kwh(), used_kwh(case));
    assert!((sum - used).abs() < 0.1, "{name}: {sum}, not {used}");
    assert!(outcome.highest_kw() <= most_kw, "{name}: {} kW", outcome.highest_kw());
    assert_eq!(outcome.named(), named.iter().copied().collect(), "{name}");
    outcome
}

/// The register says the same for so many readings, then is right again.
fn frozen<const READINGS: i64, const EVERY: i64>(n: i64, used: &dyn Fn(i64) -> f64) -> f64 {
    let is_frozen = (FAULT..FAULT + READINGS * EVERY).contains(&n);
    used(if is_frozen { FAULT } else { n })
}

#[test]
fn a_frozen_register_makes_no_peak() {
    let readings = [
        (2, frozen::<2, 15> as fn(i64, &dyn Fn(i64) -> f64) -> f64),
        (3, frozen::<3, 15>),
        (4, frozen::<4, 15>),
        (8, frozen::<8, 15>),
        (40, frozen::<40, 15>),
    ];
    for (n, register) in readings {
        for contract_kw in [None, Some(300.0), Some(900.0), Some(5000.0)] {
            for has_power in [false, true] {
                let name = format!("{n} readings, {contract_kw:?}, {has_power}");
                let even = Case {
                    contract_kw,
                    has_power,
                    register,
                    ..CASE
                };
                let outcome = check(&name, &even, 100.01, &[Frozen]);
                for interval in within(&outcome, FAULT, FAULT + 15 * n) {
                    assert_eq!(interval.quality, Quality::Estimated, "{name}: {interval:?}");
                }
                check(&name, &Case { kw: varying_kw, ..even }, 130.0, &[Frozen]);
            }
        }
    }
    let hourly = Case {
        every: 60,
        register: frozen::<2, 60>,
        ..CASE
    };
    check("hourly", &hourly, 100.01, &[Frozen]);
    let by_minute = Case {
        every: 1,
        register: frozen::<40, 1>,
        kw: varying_kw,
        ..CASE
    };
    check("by the minute", &by_minute, 130.0, &[Frozen]);
}

/// A night's standstill that ends in the night: its leap is no more than the highest power of the days before, but just what
/// the nights use. A night in which nothing was used ends without it, whatever the plant starts with.
#[test]
fn a_nights_freeze_is_not_the_mornings_peak() {
    fn is_night(n: i64) -> bool {
        !(360..1320).contains(&(n % 1440))
    }
    fn kw(n: i64) -> f64 {
        // Each morning for a quarter hour more than at any other time.
        match n % 1440 {
            360..375 => 340.0,
            _ if is_night(n) => 20.0,
            _ => 260.0 + (n / 15 * 7 % 11) as f64,
        }
    }
    fn stuck(n: i64, used: &dyn Fn(i64) -> f64) -> f64 {
        const NIGHT: i64 = 8 * 1440;
        used(if (NIGHT..NIGHT + 345).contains(&n) { NIGHT } else { n })
    }
    let night = Case {
        register: stuck,
        kw,
        ..CASE
    };
    check("night", &night, 340.01, &[Frozen]);
    let off = Case {
        kw: |n| {
            if (8 * 1440 - 120..8 * 1440 + 360).contains(&n) {
                0.0
            } else {
                kw(n)
            }
        },
        ..CASE
    };
    let outcome = lived(&off, None);
    let morning = within(&outcome, 8 * 1440 + 360, 8 * 1440 + 375);
    assert_eq!(morning[0].demand_kw().map(f64::round), Some(340.0), "{morning:?}");
}

/// What a freeze of the night owed is spread over the night, whatever the register does once it has leapt.
#[test]
fn what_a_freeze_owed_is_not_lost_where_a_rest_follows() {
    const FROZEN: i64 = 9 * 1440 + 60;
    const LEAP: i64 = FROZEN + 150;
    fn kw<const NIGHT_KW: i64, const RESTS: i64>(n: i64) -> f64 {
        if (LEAP..LEAP + RESTS).contains(&n) {
            return 0.0;
        }
        match n % 1440 {
            480..1080 => 100.0 + (n / 15 * 7 % 11) as f64,
            _ => NIGHT_KW as f64 + (n / 15 * 7 % 11) as f64 / 10.0,
        }
    }
    fn stuck(n: i64, used: &dyn Fn(i64) -> f64) -> f64 {
        used(if (FROZEN..LEAP).contains(&n) { FROZEN } else { n })
    }
    for (every, kw) in [
        (5, kw::<3, 150> as fn(i64) -> f64),
        (5, kw::<3, 1200>),
        (10, kw::<6, 60>),
        (10, kw::<6, 90>),
        (10, kw::<6, 150>),
        (10, kw::<6, 0>),
        (15, kw::<9, 150>),
        (15, kw::<9, 1200>),
    ] {
        let case = Case {
            every,
            contract_kw: Some(500.0),
            kw,
            register: stuck,
            ..CASE
        };
        let name = format!("{every} min, {} kW after it", kw(LEAP + 75));
        let outcome = check(&name, &case, 110.01, &[Frozen]);
        let told = within(&outcome, FROZEN, LEAP);
        assert!(
            told.iter().all(|interval| interval.energy_import_kwh > Some(0.1)),
            "{name}"
        );
    }
}

#[test]
fn a_restart_changes_nothing() {
    let case = Case {
        register: frozen::<8, 15>,
        kw: varying_kw,
        has_power: true,
        ..CASE
    };
    let whole = lived(&case, None);
    for readings in [-1, 0, 1, 4, 7, 8, 9, 12] {
        let restart = usize::try_from(FAULT / 15 + readings).unwrap();
        assert_eq!(lived(&case, Some(restart)), whole, "{readings}");
    }
}

#[test]
fn a_register_that_was_frozen_when_it_was_first_heard_makes_no_peak() {
    let first = [
        (|n: i64, used: &dyn Fn(i64) -> f64| used(if n < 600 { 0 } else { n })) as fn(i64, &dyn Fn(i64) -> f64) -> f64,
        |n: i64, used: &dyn Fn(i64) -> f64| used(if n < 180 { 0 } else { n }),
    ];
    for register in first {
        for contract_kw in [None, Some(300.0), Some(900.0), Some(5000.0)] {
            let name = format!("{contract_kw:?}");
            let case = Case {
                contract_kw,
                register,
                ..CASE
            };
            check(&name, &case, 100.01, &[Frozen]);
        }
    }
    // It had stood still long before: what it owes then is no one's.
    let case = Case {
        register: |n, used| if n < 600 { 1000.0 } else { 90_000.0 + used(n) },
        ..CASE
    };
    let outcome = lived(&case, None);
    assert!(outcome.highest_kw() < 100.01, "{}", outcome.highest_kw());
    assert!(
        within(&outcome, 0, 600)
            .iter()
            .all(|interval| interval.energy_import_kwh.is_none())
    );
}

/// A register of large steps that often stands still, and loads that come and go.
#[test]
fn what_stands_still_by_nature_is_not_frozen() {
    fn steps<const KWH: i64>(n: i64, used: &dyn Fn(i64) -> f64) -> f64 {
        (used(n) / KWH as f64 + 1e-6).floor() * KWH as f64
    }
    type Load = (&'static str, fn(i64) -> f64);
    let loads: [Load; 5] = [
        ("even", |_| 12.0),
        ("varying", |n| varying_kw(n) / 3.0),
        ("by day", |n| if (480..1080).contains(&(n % 1440)) { 80.0 } else { 2.0 }),
        ("off at night", |n| {
            if (480..1080).contains(&(n % 1440)) { 60.0 } else { 0.0 }
        }),
        ("more every day", |n| {
            if n / 30 % 3 == 0 {
                20.0 + 10.0 * (n / 1440) as f64
            } else {
                1.0
            }
        }),
    ];
    for (name, kw) in loads {
        for every in [1, 15, 60] {
            for (kwh, register) in [
                (1, steps::<1> as fn(i64, &dyn Fn(i64) -> f64) -> f64),
                (10, steps::<10>),
            ] {
                for contract_kw in [None, Some(900.0)] {
                    let outcome = lived(
                        &Case {
                            every,
                            contract_kw,
                            kw,
                            register,
                            ..CASE
                        },
                        None,
                    );
                    let name = format!("{name}, {kwh} kWh each {every} min, {contract_kw:?}");
                    assert_eq!(outcome.named(), [].into(), "{name}");
                }
            }
        }
    }
}

/// It loses hours of a night while the power goes on; read by the hour, more than three of its smallest rises.
#[test]
fn power_is_a_witness_for_the_whole_standstill() {
    fn lost<const HOURS: i64>(n: i64, used: &dyn Fn(i64) -> f64) -> f64 {
        let (from, until) = (8 * 1440 + 60, 8 * 1440 + 60 + HOURS * 60);
        used(n) - used(n.clamp(from, until)) + used(from)
    }
    let night: fn(i64) -> f64 = |n| {
        let is_day = (480..1080).contains(&(n % 1440));
        if is_day {
            90.0
        } else {
            20.0 + 4.0 * (n as f64 / 100.0).sin()
        }
    };
    for (every, register) in [
        (15, lost::<3> as fn(i64, &dyn Fn(i64) -> f64) -> f64),
        (60, lost::<6>),
        (1, lost::<3>),
    ] {
        let outcome = lived(
            &Case {
                every,
                has_power: true,
                kw: night,
                register,
                ..CASE
            },
            None,
        );
        assert_eq!(outcome.named(), [Frozen].into(), "{every}");
        let hidden = within(&outcome, 8 * 1440 + 60, 8 * 1440 + 240);
        assert_eq!(hidden.len(), 12);
        for interval in hidden {
            assert_eq!(
                (interval.energy_import_kwh, interval.coverage),
                (None, 0.0),
                "{every}: {interval:?}"
            );
        }
    }
}

#[test]
fn zeros_after_a_reset_hide_no_peak() {
    let case = Case {
        register: |n, used| match n - FAULT {
            ..0 => used(n),
            0..30 => 0.0,
            _ => used(n) - used(FAULT - 15),
        },
        ..CASE
    };
    check("two zeros", &case, 100.01, &[Reset]);
}

/// The last of its equal readings is a zero, or a spike.
fn away<const FROM: i64, const READINGS: i64, const EVERY: i64, const SAYS: i64>(
    n: i64,
    used: &dyn Fn(i64) -> f64,
) -> f64 {
    match (n - FROM).div_euclid(EVERY) {
        last if last == READINGS - 1 => SAYS as f64,
        reading if (0..READINGS).contains(&reading) => used(FROM),
        _ => used(n),
    }
}

#[test]
fn a_frozen_register_that_left_its_place_before_it_went_on_makes_no_peak() {
    const SPIKE: i64 = 1_800_000_000;
    const EARLIER: i64 = 2 * 1440 + 840;
    for (every, away, name) in [
        (
            15,
            away::<FAULT, 5, 15, 0> as fn(i64, &dyn Fn(i64) -> f64) -> f64,
            ZeroBurst,
        ),
        (15, away::<FAULT, 13, 15, 0>, ZeroBurst),
        (15, away::<FAULT, 13, 15, SPIKE>, Spike),
        (15, away::<EARLIER, 600, 15, 0>, ZeroBurst),
        (1, away::<FAULT, 180, 1, 0>, ZeroBurst),
        (1, away::<EARLIER, 8000, 1, SPIKE>, Spike),
    ] {
        let case = Case {
            every,
            contract_kw: Some(300.0),
            register: away,
            ..CASE
        };
        let outcome = check(&format!("{every} min, {name}"), &case, 100.01, &[Frozen, name]);
        let told = outcome.intervals.values().filter(|i| i.energy_import_kwh == Some(0.0));
        assert_eq!(told.count(), 0, "{every} min, {name}: nothing is silently 0");
    }
}

/// Works from 8 to 18, and draws so much at night.
fn by_day_kw<const NIGHT_KW: i64>(n: i64) -> f64 {
    if (480..1080).contains(&(n % 1440)) {
        100.0
    } else {
        NIGHT_KW as f64
    }
}

/// It goes on at night, when nothing is used, or little: a step of what no quarter hour makes is not one's.
#[test]
fn a_register_that_was_frozen_until_the_night_makes_no_peak() {
    const EVENING: i64 = FAULT + 120;
    for (every, register) in [
        (15, frozen_from::<EVENING, 660> as fn(i64, &dyn Fn(i64) -> f64) -> f64),
        (1, frozen_from::<EVENING, 660>),
        (60, frozen_from::<EVENING, 660>),
        (15, frozen_from::<{ EVENING + 30 }, 240>),
        // From the beginning on.
        (15, frozen_from::<0, 1200>),
        (1, frozen_from::<0, 1200>),
    ] {
        for kw in [by_day_kw::<0> as fn(i64) -> f64, by_day_kw::<2>] {
            for has_power in [false, true] {
                let case = Case {
                    every,
                    contract_kw: Some(300.0),
                    has_power,
                    kw,
                    register,
                };
                check(&format!("{every} min, power {has_power}"), &case, 100.01, &[Frozen]);
            }
        }
    }
}

fn frozen_from<const FROM: i64, const MINUTES: i64>(n: i64, used: &dyn Fn(i64) -> f64) -> f64 {
    let is_frozen = (FROM..FROM + MINUTES).contains(&n);
    used(if is_frozen { FROM } else { n })
}

/// More than ever after a night: as much again in the next readings, or a little more in one.
#[test]
fn a_start_with_more_than_ever_is_what_was_used() {
    for (kw, most_kw) in [
        (
            (|n| if n > FAULT - 360 { 2.5 } else { 1.0 } * by_day_kw::<0>(n)) as fn(i64) -> f64,
            250.0,
        ),
        (
            |n| if (FAULT - 360..FAULT - 345).contains(&n) { 1.4 } else { 1.0 } * by_day_kw::<0>(n),
            140.0,
        ),
    ] {
        for every in [15, 1] {
            for contract_kw in [None, Some(300.0)] {
                let case = Case {
                    every,
                    contract_kw,
                    kw,
                    ..CASE
                };
                let outcome = check(&format!("{every} min, {most_kw} kW"), &case, most_kw + 0.01, &[]);
                assert!(outcome.highest_kw() > most_kw - 0.01, "{every} min, {most_kw} kW");
            }
        }
    }
}

/// A contract of 300 kW allows no quarter hour of 10 MWh, however long the register stood still before.
#[test]
fn a_step_that_no_contract_allows_is_never_energy() {
    fn set<const FROM: i64, const UNTIL: i64>(n: i64, used: &dyn Fn(i64) -> f64) -> f64 {
        let forward = if n >= UNTIL { 10_000.0 } else { 0.0 };
        frozen_from::<FROM, 30>(n, used) + forward
    }
    for register in [
        set::<FAULT, { FAULT + 30 }> as fn(i64, &dyn Fn(i64) -> f64) -> f64,
        set::<30, 600>,
        set::<120, 480>,
        set::<FAULT, { FAULT + 600 }>,
    ] {
        let case = Case {
            contract_kw: Some(300.0),
            kw: by_day_kw::<0>,
            register,
            ..CASE
        };
        let outcome = lived(&case, None);
        assert!(outcome.highest_kw() < 100.01, "{} kW", outcome.highest_kw());
        assert!(!outcome.named().is_empty());
    }
}

/// A single reading, or two, in a plant that stands still each night: of energy by the quarter hour, or by the hour.
#[test]
fn a_reading_or_two_that_are_frozen_by_day_make_no_peak() {
    for (every, minutes) in [(15, 30), (15, 45), (60, 120), (60, 180)] {
        let register = match minutes {
            30 => frozen_from::<FAULT, 30> as fn(i64, &dyn Fn(i64) -> f64) -> f64,
            45 => frozen_from::<FAULT, 45>,
            120 => frozen_from::<FAULT, 120>,
            _ => frozen_from::<FAULT, 180>,
        };
        for has_power in [false, true] {
            let case = Case {
                every,
                contract_kw: Some(110.0),
                has_power,
                kw: by_day_kw::<0>,
                register,
            };
            check(&format!("{minutes} of {every} min"), &case, 100.01, &[Frozen]);
        }
    }
}

/// Two events in one: a register that is frozen, and wavers meanwhile by less than a hundredth of a kWh.
#[test]
fn a_frozen_register_that_wavers_makes_no_peak() {
    fn wavers<const EVERY: i64, const FROM: i64, const UNTIL: i64>(n: i64, used: &dyn Fn(i64) -> f64) -> f64 {
        let reading = (n - FAULT).div_euclid(EVERY);
        let off = if (FROM..UNTIL).contains(&reading) && reading % 2 == UNTIL % 2 {
            0.007
        } else {
            0.0
        };
        frozen_from::<FAULT, 180>(n, used) - off
    }
    for (every, register) in [
        (15, wavers::<15, 3, 4> as fn(i64, &dyn Fn(i64) -> f64) -> f64),
        (15, wavers::<15, 1, 12>),
        (15, wavers::<15, 1, 11>),
        (15, wavers::<15, 5, 12>),
        (1, wavers::<1, 100, 101>),
        (1, wavers::<1, 0, 179>),
    ] {
        let case = Case {
            every,
            contract_kw: Some(300.0),
            register,
            ..CASE
        };
        let outcome = check(&format!("{every} min"), &case, 100.03, &[Frozen]);
        for interval in within(&outcome, FAULT, FAULT + 180) {
            assert_eq!(interval.quality, Quality::Estimated, "{interval:?}");
        }
    }
}

/// A gateway that says one zero, or a spike, while its meter is frozen: the whole standstill is one.
#[test]
fn what_left_its_place_within_a_freeze_does_not_part_it() {
    fn parted<const READINGS: i64, const EVERY: i64, const SAYS: i64>(n: i64, used: &dyn Fn(i64) -> f64) -> f64 {
        if n == FAULT + READINGS / 2 * EVERY {
            return SAYS as f64;
        }
        frozen::<READINGS, EVERY>(n, used)
    }
    for (every, register) in [
        (15, parted::<8, 15, 0> as fn(i64, &dyn Fn(i64) -> f64) -> f64),
        (15, parted::<48, 15, 0>),
        (15, parted::<48, 15, 900_000>),
        (1, parted::<600, 1, 0>),
        (60, parted::<20, 60, 0>),
    ] {
        for contract_kw in [None, Some(300.0)] {
            let case = Case {
                every,
                contract_kw,
                register,
                ..CASE
            };
            let outcome = check("parted", &case, 100.1, &[Frozen]);
            let idle = outcome
                .intervals
                .values()
                .filter(|told| told.energy_import_kwh == Some(0.0));
            assert_eq!(idle.count(), 0, "every {every}, {contract_kw:?}");
        }
    }
}

/// What is fed back goes by the weather: a first sunny day after rain is no leap, and a rest at work no freeze.
#[test]
fn an_export_that_nobody_rated_is_believed() {
    let mut site = watched(60, Some(300.0));
    site.meters[0].every = SignedDuration::from_mins(60);
    let sun = |hour: i64| (1.0 - ((hour % 24 - 12) as f64 / 6.0).powi(2)).max(0.0);
    let exported_kw = |hour: i64| match hour / 24 {
        0 | 1 => 2.0 * sun(hour),
        // Weekdays: what is left over at lunch.
        2..=4 if hour % 24 != 12 => 0.0,
        _ => 70.0 * sun(hour),
    };
    let mut exported = 0.0;
    let samples = (0..=10 * 24).map(|hour| {
        exported += exported_kw(hour);
        let says = [
            (Quantity::EnergyImport, 1000.0 + 50.0 * hour as f64),
            (Quantity::EnergyExport, exported),
        ];
        Sample {
            meter: "main".into(),
            at: at("00:00:00") + SignedDuration::from_hours(hour),
            readings: says.map(|(quantity, value)| Reading::new(quantity, value)).into(),
        }
    });
    let outcome = live_on(&site, samples.collect(), None);
    assert!(outcome.named().is_empty(), "{:?}", outcome.named());
    let told: f64 = outcome
        .intervals
        .values()
        .filter_map(|told| told.energy_export_kwh)
        .sum();
    let truth: f64 = (1..=10 * 24).map(exported_kw).sum();
    assert!((told - truth).abs() < 0.01, "{told}, not {truth}");
}
