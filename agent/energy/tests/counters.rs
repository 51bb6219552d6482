//! Counters that misbehave as real ones do: each case is a trace made by a formula, so that the truth is known.
//!
//! The plant draws `40 + 20·sin(2π·t/4 h)` kW for a day; the register counts it exactly and is then spoilt as the case
//! says. Held: the energy is within a thousandth of the truth, every event has its name, nothing is negative, and no
//! interval says 0 where something was used.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    f64::consts::TAU,
};

use energy::{Engine, Interval, Quality, Quantity, Reading, Sample, Site, interval::RepairKind, site::Swap};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use support::{at, site};

const DAY_S: i64 = 86_400;

/// What the plant has used after so many seconds, kWh.
fn truth_kwh(second: i64) -> f64 {
    let hours = second as f64 / 3600.0;
    let period_h = 4.0;
    40.0 * hours + 20.0 * period_h / TAU * (1.0 - (TAU * hours / period_h).cos())
}

fn power_kw(second: i64) -> f64 {
    40.0 + 20.0 * (TAU * second as f64 / 14_400.0).sin()
}

fn hour(hours: f64) -> i64 {
    (hours * 3600.0) as i64
}

/// A register that shows whole steps only.
fn shown(kwh: f64, step_kwh: f64) -> f64 {
    (kwh / step_kwh + 1e-6).floor() * step_kwh
}

struct Case {
    name: &'static str,
    every_s: i64,
    /// What the register says at a second; `None` = no reading.
    register: fn(i64) -> Option<f64>,
    /// The meter says its power too.
    has_power: bool,
    site: fn(&mut Site),
    expected: &'static [RepairKind],
    /// Energy that no reading tells, kWh: around a reset.
    unknown_kwh: f64,
}

const PLAIN: Case = Case {
    name: "",
    every_s: 60,
    register: |s| Some(shown(5000.0 + truth_kwh(s), 0.01)),
    has_power: false,
    site: |_| {},
    expected: &[],
    unknown_kwh: 0.0,
};

fn rollover(site: &mut Site, top_kwh: f64) {
    site.meters[0].rollover = [(Quantity::EnergyImport, top_kwh)].into();
}

const CASES: &[Case] = &[
    Case {
        name: "as it should be",
        ..PLAIN
    },
    Case {
        name: "set back to 0",
        register: |s| {
            Some(shown(
                if s < hour(9.3) {
                    5000.0 + truth_kwh(s)
                } else {
                    truth_kwh(s) - truth_kwh(hour(9.3))
                },
                0.01,
            ))
        },
        expected: &[RepairKind::Reset],
        unknown_kwh: 1.0,
        ..PLAIN
    },
    Case {
        name: "rollover of a display at 999 999.9",
        register: |s| Some(shown((999_700.0 + truth_kwh(s)) % 1e6, 0.1)),
        site: |site| rollover(site, 1e6),
        expected: &[RepairKind::Rollover],
        ..PLAIN
    },
    Case {
        name: "rollover of 32 bits of 0.01 kWh, by the quarter hour",
        every_s: 900,
        register: |s| Some(shown((42_949_272.0 + truth_kwh(s)) % 42_949_672.96, 0.01)),
        site: |site| rollover(site, 42_949_672.96),
        expected: &[RepairKind::Rollover],
        ..PLAIN
    },
    Case {
        name: "reset far from the top of a display is no rollover",
        register: |s| {
            Some(shown(
                if s < hour(9.3) {
                    5000.0 + truth_kwh(s)
                } else {
                    truth_kwh(s) - truth_kwh(hour(9.3))
                },
                0.1,
            ))
        },
        site: |site| rollover(site, 1e6),
        expected: &[RepairKind::Reset],
        unknown_kwh: 1.0,
        ..PLAIN
    },
    Case {
        name: "another meter",
        register: |s| {
            Some(if s < hour(10.0) {
                81_000.0 + truth_kwh(s)
            } else {
                3.2 + truth_kwh(s) - truth_kwh(hour(10.0))
            })
        },
        site: |site| {
            site.meters[0].swaps = vec![Swap {
                at: at("10:00:00"),
                last_kwh: 81_000.0 + truth_kwh(hour(10.0)),
                first_kwh: 3.2,
                reason: None,
            }];
        },
        expected: &[RepairKind::Swap],
        ..PLAIN
    },
    Case {
        name: "another meter that stands higher",
        register: |s| {
            Some(if s < hour(10.0) {
                800.0 + truth_kwh(s)
            } else {
                81_000.0 + truth_kwh(s)
            })
        },
        site: |site| {
            site.meters[0].swaps = vec![Swap {
                at: at("10:00:00"),
                last_kwh: 800.0 + truth_kwh(hour(10.0)),
                first_kwh: 81_000.0 + truth_kwh(hour(10.0)),
                reason: None,
            }];
        },
        expected: &[RepairKind::Swap],
        ..PLAIN
    },
    Case {
        name: "frozen for two hours, then right again",
        register: |s| {
            Some(shown(
                5000.0
                    + truth_kwh(if (hour(8.0)..hour(10.0)).contains(&s) {
                        hour(8.0)
                    } else {
                        s
                    }),
                0.01,
            ))
        },
        expected: &[RepairKind::Frozen],
        ..PLAIN
    },
    Case {
        name: "frozen for two hours while the power goes on",
        register: |s| {
            Some(shown(
                5000.0
                    + truth_kwh(if (hour(8.0)..hour(10.0)).contains(&s) {
                        hour(8.0)
                    } else {
                        s
                    }),
                0.01,
            ))
        },
        has_power: true,
        expected: &[RepairKind::Frozen],
        ..PLAIN
    },
    Case {
        name: "frozen by the quarter hour",
        every_s: 900,
        register: |s| {
            Some(shown(
                5000.0
                    + truth_kwh(if (hour(8.0)..hour(14.0)).contains(&s) {
                        hour(8.0)
                    } else {
                        s
                    }),
                0.01,
            ))
        },
        expected: &[RepairKind::Frozen],
        ..PLAIN
    },
    Case {
        name: "1.8e21",
        // Nothing is read where an interval begins, so that its energy and that of the one before it are spread.
        register: |s| Some(if s == hour(11.0) { 1.8e21 } else { 5000.0 + truth_kwh(s) }),
        expected: &[RepairKind::OutOfRange, RepairKind::GapSpread],
        ..PLAIN
    },
    Case {
        name: "1.8e21 as the first reading",
        register: |s| Some(if s == 0 { 1.8e21 } else { 5000.0 + truth_kwh(s) }),
        expected: &[RepairKind::OutOfRange],
        unknown_kwh: 1.0,
        ..PLAIN
    },
    Case {
        name: "1.8e21 as the only readings of the first interval",
        register: |s| Some(if s < hour(0.25) { 1.8e21 } else { 5000.0 + truth_kwh(s) }),
        expected: &[RepairKind::OutOfRange],
        unknown_kwh: 11.0,
        ..PLAIN
    },
    Case {
        name: "1.8e21 as the last readings, in two intervals",
        register: |s| Some(if s >= DAY_S - 60 { 1.8e21 } else { 5000.0 + truth_kwh(s) }),
        expected: &[RepairKind::OutOfRange],
        unknown_kwh: 2.0,
        ..PLAIN
    },
    Case {
        name: "a spike that could be, as the first reading",
        register: |s| Some(5000.0 + truth_kwh(s) + if s == 0 { 4000.0 } else { 0.0 }),
        expected: &[RepairKind::Spike],
        unknown_kwh: 1.0,
        ..PLAIN
    },
    Case {
        name: "a spike that could be, at the end of an interval",
        register: |s| Some(5000.0 + truth_kwh(s) + if s == hour(11.25) - 60 { 4000.0 } else { 0.0 }),
        expected: &[RepairKind::Spike],
        ..PLAIN
    },
    Case {
        name: "a spike by the quarter hour",
        every_s: 900,
        register: |s| Some(5000.0 + truth_kwh(s) + if s == hour(11.0) { 4000.0 } else { 0.0 }),
        expected: &[RepairKind::Spike],
        ..PLAIN
    },
    Case {
        name: "zeros across the end of an interval",
        register: |s| {
            Some(if (hour(11.2)..hour(11.3)).contains(&s) {
                0.0
            } else {
                5000.0 + truth_kwh(s)
            })
        },
        expected: &[RepairKind::ZeroBurst],
        ..PLAIN
    },
    Case {
        name: "zeros by the quarter hour",
        every_s: 900,
        register: |s| {
            Some(if (hour(11.0)..hour(11.7)).contains(&s) {
                0.0
            } else {
                5000.0 + truth_kwh(s)
            })
        },
        expected: &[RepairKind::ZeroBurst],
        ..PLAIN
    },
    Case {
        name: "noise of -0.007",
        every_s: 1,
        register: |s| Some(shown(5000.0 + truth_kwh(s), 0.01) - if s % 420 == 7 { 0.007 } else { 0.0 }),
        expected: &[RepairKind::Waver],
        ..PLAIN
    },
    Case {
        name: "-0.007 for a register at its beginning",
        register: |s| Some(if s % 600 == 120 { -0.007 } else { truth_kwh(s) }),
        expected: &[RepairKind::OutOfRange],
        ..PLAIN
    },
    Case {
        name: "six hours without readings",
        register: |s| Some(5000.0 + truth_kwh(s)).filter(|_| !(hour(7.1)..hour(13.1)).contains(&s)),
        expected: &[RepairKind::GapSpread],
        ..PLAIN
    },
    Case {
        name: "a register of whole kWh, each second",
        every_s: 1,
        register: |s| Some(shown(5000.0 + truth_kwh(s), 1.0)),
        unknown_kwh: 1.0,
        ..PLAIN
    },
    Case {
        name: "a register of ten kWh, at a machine of known power",
        every_s: 10,
        register: |s| Some(shown(5000.0 + truth_kwh(s), 10.0)),
        site: |site| {
            let mut machine = site.machines[0].clone();
            machine.meter = "main".into();
            machine.rated_kw = Some(55.0);
            site.main_meter = None;
            site.machines = vec![machine];
        },
        has_power: true,
        unknown_kwh: 10.0,
        ..PLAIN
    },
    Case {
        name: "a float of 32 bits in Wh that steps by 2048 Wh and over a power of two",
        every_s: 1,
        register: |s| Some(f64::from(((17_179_500.0 + truth_kwh(s)) * 1000.0) as f32) / 1000.0),
        has_power: true,
        unknown_kwh: 3.0,
        ..PLAIN
    },
    Case {
        name: "a register set forward by somebody",
        register: |s| Some(5000.0 + truth_kwh(s) + if s < hour(11.0) { 0.0 } else { 90_000.0 }),
        expected: &[RepairKind::Jump],
        unknown_kwh: 1.0,
        ..PLAIN
    },
];

fn samples(case: &Case) -> Vec<Sample> {
    let start = at("00:00:00");
    (0..=DAY_S / case.every_s)
        .map(|n| n * case.every_s)
        .filter_map(|second| {
            let mut readings = vec![Reading::new(Quantity::EnergyImport, (case.register)(second)?)];
            if case.has_power {
                readings.push(Reading::new(Quantity::ActivePower, power_kw(second)));
            }
            Some(Sample {
                meter: "main".into(),
                at: start + SignedDuration::from_secs(second),
                readings,
            })
        })
        .collect()
}

/// Lives through samples in the order in which they come, each minute ticked once what came in it is in.
fn intervals(site: Site, arrivals: &[(i64, Sample)]) -> Vec<Interval> {
    let mut engine = Engine::new(site);
    let mut newest = BTreeMap::new();
    let mut keep = |closed: Vec<Interval>| {
        for interval in closed {
            let older: Option<Interval> = newest.insert((interval.start, interval.meter.clone()), interval.clone());
            let revision = older.map_or(0, |older| older.revision + 1);
            assert_eq!(interval.revision, revision, "no revision is lost: {interval:?}");
        }
    };
    for group in arrivals.chunk_by(|(a, _), (b, _)| a / 60 == b / 60) {
        for (_, sample) in group {
            engine.take(sample.clone());
        }
        let tick = Timestamp::from_second((group[0].0 / 60 + 1) * 60).unwrap();
        keep(engine.tick(tick).intervals);
    }
    keep(engine.finish().intervals);
    newest.into_values().collect()
}

/// Samples that come when they are taken.
fn punctual(samples: Vec<Sample>) -> Vec<(i64, Sample)> {
    samples
        .into_iter()
        .map(|sample| (sample.at.as_second(), sample))
        .collect()
}

fn sum_kwh(intervals: &[Interval]) -> f64 {
    intervals.iter().filter_map(|interval| interval.energy_import_kwh).sum()
}

fn site_of(case: &Case) -> Site {
    let mut site = site();
    site.contracts.clear();
    for meter in &mut site.meters {
        meter.every = SignedDuration::from_secs(case.every_s);
    }
    (case.site)(&mut site);
    site
}

fn check(case: &Case) {
    let name = case.name;
    let found = intervals(site_of(case), &punctual(samples(case)));
    let truth = truth_kwh(DAY_S);
    let sum = sum_kwh(&found);
    assert!(
        (sum - truth).abs() <= truth * 0.001 + case.unknown_kwh,
        "{name}: {sum} kWh, the truth is {truth}"
    );
    let named: BTreeSet<RepairKind> = found
        .iter()
        .flat_map(|i| &i.repairs)
        .map(|repair| repair.kind)
        .collect();
    assert_eq!(named, case.expected.iter().copied().collect(), "{name}");
    for interval in &found {
        let kwh = interval.energy_import_kwh;
        assert!(kwh.is_none_or(|kwh| kwh >= 0.0), "{name}: {interval:?}");
        assert!(
            kwh != Some(0.0) || case.unknown_kwh >= 10.0,
            "{name}: silently 0: {interval:?}"
        );
        assert!((0.0..=1.0).contains(&interval.coverage), "{name}: {interval:?}");
        if interval.repairs.is_empty() {
            assert_eq!(interval.raw.energy_import_kwh, kwh, "{name}: {interval:?}");
            assert!(
                interval.quality == Quality::Ok && interval.coverage > 0.99,
                "{name}: {interval:?}"
            );
        }
    }
}

#[test]
fn a_misbehaving_counter_tells_the_truth_and_names_what_happened() {
    CASES.iter().for_each(check);
}

/// What a plant and its register do next.
#[derive(Debug, Clone)]
enum Event {
    /// Minutes of reading, and what each uses, kWh.
    Runs(i64, f64),
    /// Minutes without readings, used as before.
    Silence(i64),
    /// The register begins again at zero.
    Reset,
    /// The register does not move for so many minutes, nor is anything used.
    Stands(i64),
    /// The register says zeros for so many minutes, and then goes on as if it had counted.
    Zeros(i64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (5i64..60, 0.2f64..2.0).prop_map(|(minutes, kwh)| Event::Runs(minutes, kwh)),
        1 => (4i64..300).prop_map(Event::Silence),
        1 => Just(Event::Reset),
        1 => (1i64..90).prop_map(Event::Stands),
        1 => prop_oneof![2i64..100, 1300i64..2500].prop_map(Event::Zeros),
    ];
    prop::collection::vec(event, 1..20)
}

const TOP_KWH: f64 = 1000.0;

/// Readings of a register that stood at 900 kWh and rolls over at 1000, what was used between the first and the last,
/// and how much of that the register cannot tell because it was reset.
fn lived(events: &[Event]) -> (Vec<Sample>, f64, f64) {
    let (mut register, mut used, mut untold, mut minute, mut rate) = (900.0, 0.0, 0.0, 0, 1.0);
    let mut samples = vec![];
    let read = |minute: i64, register: f64| Sample {
        meter: "main".into(),
        at: at("00:00:00") + SignedDuration::from_mins(minute),
        readings: vec![Reading::new(Quantity::EnergyImport, register)],
    };
    samples.push(read(0, register));
    let mut is_reset = false;
    for event in events {
        let (minutes, kwh, step) = match *event {
            Event::Runs(minutes, kwh) => (minutes, kwh, 1),
            // A reset in a silence: what the register would have counted over its top may have been used in that time, so
            // nobody can tell the two apart.
            Event::Silence(minutes) => {
                is_reset = false;
                (minutes, rate, minutes)
            }
            Event::Stands(minutes) => (minutes, 0.0, 1),
            Event::Zeros(minutes) => {
                // Near the top, and over it, nobody can tell what they hid.
                if is_reset || !(300.0..600.0).contains(&register) {
                    continue;
                }
                for left in (0..minutes).rev() {
                    let rise = rate.min(250.0 / minutes as f64);
                    (used, register, minute) = (used + rise, register + rise, minute + 1);
                    samples.push(read(minute, if left > 0 { 0.0 } else { register }));
                }
                continue;
            }
            Event::Reset => {
                // Near the top nobody can tell it from a rollover, near zero from nothing.
                is_reset = (300.0..600.0).contains(&register) || is_reset;
                continue;
            }
        };
        if kwh > 0.0 {
            rate = kwh;
        }
        for _ in 0..minutes / step {
            let rise = kwh * step as f64;
            if is_reset {
                register = 0.0;
                untold += rise;
            }
            is_reset = false;
            used += rise;
            register = (register + rise) % TOP_KWH;
            minute += step;
            samples.push(read(minute, register));
        }
    }
    (samples, used, untold)
}

fn rolling_site() -> Site {
    let mut site = site();
    site.contracts.clear();
    for meter in &mut site.meters {
        meter.every = SignedDuration::from_mins(1);
    }
    rollover(&mut site, TOP_KWH);
    site
}

fn without_revision(intervals: Vec<Interval>) -> Vec<Interval> {
    intervals
        .into_iter()
        .map(|interval| Interval {
            revision: 0,
            ..interval
        })
        .collect()
}

/// A logger that hands over every so many minutes what it has read `delay` minutes and longer ago: it tells the same in
/// the end, and is held in bounds however long it lives.
#[test]
fn a_logger_that_is_always_late_is_forgotten_as_any_other() {
    for (every, delay) in [(60, 0), (1, 20), (10, 300)] {
        check_late_logger(every, delay);
    }
}

fn check_late_logger(every: i64, delay: i64) {
    const DAYS: i64 = 6;
    let mut site = site();
    site.contracts.clear();
    for meter in &mut site.meters {
        meter.every = SignedDuration::from_mins(1);
    }
    let mut engine = Engine::new(site);
    let (mut newest, mut held) = (BTreeMap::new(), Vec::new());
    let start = at("00:00:00");
    for minute in 0..DAYS * 1440 {
        let closed = engine.tick(start + SignedDuration::from_mins(minute)).intervals;
        newest.extend(closed.into_iter().map(|interval| (interval.start, interval)));
        let last = minute - delay;
        for read in (last - every + 1..=last).filter(|read| minute % every == 0 && *read >= 0) {
            engine.take(Sample {
                meter: "main".into(),
                at: start + SignedDuration::from_mins(read),
                readings: vec![Reading::new(
                    Quantity::EnergyImport,
                    shown(5000.0 + truth_kwh(read * 60), 0.01),
                )],
            });
        }
        if minute % 60 == 59 {
            held.push(serde_json::to_string(engine.state()).unwrap().len());
        }
    }
    let told: Vec<&Interval> = newest.values().filter(|interval| *interval.meter == *"main").collect();
    let last = told.iter().rfind(|interval| interval.coverage == 1.0).unwrap();
    let told_kwh: f64 = told
        .iter()
        .take_while(|one| one.start <= last.start)
        .filter_map(|one| one.energy_import_kwh)
        .sum();
    let used = truth_kwh(last.end.duration_since(start).as_secs());
    assert!((told_kwh - used).abs() < 0.02, "{every} {delay}: {told_kwh} of {used}");
    assert!(
        last.start > start + SignedDuration::from_hours(24 * DAYS - 8),
        "{every} {delay}: {last:?}"
    );
    let (second_day, last_day) = (held[36..48].iter().max(), held[held.len() - 12..].iter().max());
    assert!(
        last_day <= second_day.map(|held| held * 11 / 10).as_ref(),
        "{every} {delay}: {second_day:?} {last_day:?}"
    );
}

/// Energy is conserved in the order of time, and the same is told when readings come late or twice.
fn check_conserved(events: &[Event], delays: &[(i64, bool)]) -> Result<(), TestCaseError> {
    let (samples, used, untold) = lived(events);
    let mut late: Vec<(i64, Sample)> = punctual(samples.clone());
    for (index, (delay_s, is_doubled)) in delays.iter().cycle().take(samples.len()).enumerate().skip(1) {
        late[index].0 += delay_s;
        if *is_doubled {
            late.push((late[index].0 + 60, samples[index].clone()));
        }
    }
    late.sort_by_key(|(arrival_s, _)| *arrival_s);
    let ordered = intervals(rolling_site(), &punctual(samples));
    let sum = sum_kwh(&ordered);
    prop_assert!(
        sum <= used + 1e-6 && sum >= used - untold - 1e-6,
        "{} of {}, {} untold",
        sum,
        used,
        untold
    );
    prop_assert!(
        ordered
            .iter()
            .all(|interval| interval.energy_import_kwh.is_none_or(|kwh| kwh >= 0.0))
    );
    prop_assert_eq!(
        without_revision(intervals(rolling_site(), &late)),
        without_revision(ordered)
    );
    Ok(())
}

/// What goes over the top in a silence shows a power too, so that what comes after a standstill is no first rise.
#[test]
fn a_rise_over_the_top_is_told_the_same_in_whatever_order_readings_come() {
    let events = [
        Event::Silence(186),
        Event::Stands(4),
        Event::Silence(290),
        Event::Runs(5, 0.2),
        Event::Stands(1),
    ];
    let mut delays = [(0, false); 50];
    delays[11] = (634, false);
    check_conserved(&events, &delays).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Energy is conserved through any sequence of events; readings that come twice or late change nothing.
    #[test]
    fn energy_is_conserved_in_whatever_order_readings_come(
        events in events(),
        delays in prop::collection::vec((0i64..900, any::<bool>()), 50),
    ) {
        check_conserved(&events, &delays)?;
    }
}

/// Quarter hours that are known only together, because a reading between them is missing, say so; those whose reading is
/// a few minutes late do not.
#[test]
fn energy_spread_over_missing_readings_is_estimated() {
    let (missing, late) = (hour(11.0), 240);
    for n_missing in [1, 2] {
        let case = Case { every_s: 900, ..PLAIN };
        let mut samples = samples(&case);
        samples.retain(|sample| {
            let second = sample.at.duration_since(at("00:00:00")).as_secs();
            !(missing..missing + 900 * n_missing).contains(&second)
        });
        for sample in samples.iter_mut().filter(|sample| sample.at > at("18:00:00")) {
            sample.at += SignedDuration::from_secs(late);
            late_value(sample);
        }
        let found = intervals(site_of(&case), &punctual(samples));
        let named: Vec<_> = found.iter().filter(|interval| !interval.repairs.is_empty()).collect();
        assert_eq!(named.len() as i64, n_missing + 1);
        for interval in named {
            let (repair, hours) = (&interval.repairs[0], 0.25 * (n_missing + 1) as f64);
            assert_eq!(repair.kind, RepairKind::GapSpread);
            let spread_kwh = repair.amount.unwrap() - interval.energy_import_kwh.unwrap();
            assert!(spread_kwh.abs() < 1e-5, "{interval:?}");
            assert_eq!(repair.why["gap_s"], hours * 3600.0);
            assert_eq!((interval.quality, interval.coverage), (Quality::Estimated, 1.0));
        }
        assert!(
            (sum_kwh(&found) - truth_kwh(DAY_S + late)).abs() < 0.02,
            "{}",
            sum_kwh(&found)
        );
    }
}

/// What the register says at the instant at which a late reading is taken.
fn late_value(sample: &mut Sample) {
    let second = sample.at.duration_since(at("00:00:00")).as_secs();
    sample.readings[0].value = shown(5000.0 + truth_kwh(second), 0.01);
}

#[test]
fn a_register_that_wavers_has_one_row_an_interval() {
    let case = CASES.iter().find(|case| case.name == "noise of -0.007").unwrap();
    let found = intervals(site_of(case), &punctual(samples(case)));
    let mut most = 0.0_f64;
    for interval in &found {
        assert!(interval.repairs.len() <= 1, "{interval:?}");
        for repair in &interval.repairs {
            most = most.max(repair.why["n_readings"]);
            assert_eq!((repair.why["fall"], repair.amount), (0.007, Some(0.0)), "{repair:?}");
            for number in repair.why.values().chain([&repair.before, &repair.after]) {
                assert_eq!(*number, (number * 1e6).round() / 1e6, "no noise of sums: {repair:?}");
            }
        }
    }
    assert!((2.0..=3.0).contains(&most), "{most}");
}

/// Power, import, export and lagging energy of a quarter hour's minutes, each register as given.
fn register(quantity: Quantity, minute: impl Fn(i64) -> f64) -> Vec<Sample> {
    let sample = |n: i64| Sample {
        meter: "main".into(),
        at: at("09:00:00") + SignedDuration::from_mins(n),
        readings: vec![Reading::new(quantity, minute(n))],
    };
    (0..=60).map(sample).collect()
}

fn together(registers: &[Vec<Sample>]) -> Vec<Interval> {
    let mut samples = registers.concat();
    samples.sort_by_key(|sample| sample.at);
    intervals(rolling_site(), &punctual(samples))
}

#[test]
fn a_counter_that_stands_still_while_its_meter_says_power_is_unknown_not_zero() {
    let stands = register(Quantity::EnergyImport, |n| 500.0 + n.min(30) as f64);
    let power = |kw: f64| register(Quantity::ActivePower, move |n| if n < 30 { 60.0 } else { kw });
    let found = together(&[stands.clone(), power(60.0)]);
    let kwh: Vec<_> = found.iter().map(|interval| interval.energy_import_kwh).collect();
    assert_eq!(kwh, [Some(15.0), Some(15.0), None, None]);
    let repair = &found[2].repairs[0];
    assert_eq!((repair.kind, repair.amount), (RepairKind::Frozen, None));
    assert_eq!((repair.why["mean_kw"], repair.why["power_kwh"]), (60.0, 15.0));
    assert_eq!(
        (found[2].quality, found[2].coverage, found[2].raw.energy_import_kwh),
        (Quality::Stale, 0.0, Some(0.0))
    );
    // A real stop: the power is gone too, or so little that no meter counts it.
    for kw in [0.0, 0.3] {
        let found = together(&[stands.clone(), power(kw)]);
        assert_eq!(
            (found[3].energy_import_kwh, found[3].coverage),
            (Some(0.0), 1.0),
            "{kw}"
        );
        assert!(found[3].repairs.is_empty(), "{:?}", found[3]);
    }
}

/// What power says is no register's, and ends where a counter begins.
#[test]
fn energy_of_power_is_named_calculated_and_never_mixed() {
    let power = register(Quantity::ActivePower, |_| 60.0);
    let calculated = together(std::slice::from_ref(&power));
    assert_eq!(calculated.len(), 4);
    for interval in &calculated {
        let repair = &interval.repairs[0];
        assert_eq!(
            (repair.kind, repair.quantity),
            (RepairKind::Calculated, Quantity::ActivePower)
        );
        assert_eq!((repair.before, repair.after, repair.amount), (60.0, 60.0, Some(15.0)));
        assert_eq!(
            (interval.energy_import_kwh, interval.raw.energy_import_kwh),
            (Some(15.0), None)
        );
        assert_eq!((interval.quality, interval.coverage), (Quality::Ok, 1.0));
    }
    // The counter begins at 09:35 and says 30 kW.
    let mut counter = register(Quantity::EnergyImport, |n| 500.0 + n as f64 / 2.0);
    counter.retain(|sample| sample.at >= at("09:35:00"));
    let found = together(&[power.clone(), counter]);
    assert_eq!(found[..2], calculated[..2], "what was told stays");
    assert_eq!(
        (found[2].energy_import_kwh, found[2].raw.energy_import_kwh),
        (Some(5.0), Some(5.0))
    );
    assert!((found[2].coverage - 10.0 / 15.0).abs() < 1e-9, "{:?}", found[2]);
    let repair = &found[2].repairs[0];
    assert_eq!(
        (repair.kind, repair.amount, repair.until),
        (RepairKind::Calculated, None, at("09:35:00"))
    );
    assert_eq!((found[3].energy_import_kwh, found[3].repairs.len()), (Some(7.5), 0));
    // A meter that says both from its beginning has a counter.
    let both = together(&[power, register(Quantity::EnergyImport, |n| 500.0 + n as f64)]);
    assert!(both.iter().all(|interval| interval.repairs.is_empty()), "{both:?}");
}

#[test]
fn every_register_is_repaired_by_itself() {
    let found = together(&[
        register(Quantity::EnergyImport, |n| 500.0 + n as f64),
        register(Quantity::EnergyExport, |n| {
            if n == 20 { 0.0 } else { 300.0 + 0.1 * n as f64 }
        }),
        register(Quantity::ReactiveEnergyLag, |n| {
            if n < 35 { 200.0 + n as f64 } else { (n - 35) as f64 }
        }),
        register(Quantity::ReactiveEnergyLead, |n| {
            100.0 + if n == 50 { 3000.0 } else { 0.2 * n as f64 }
        }),
    ]);
    let named: Vec<_> = found
        .iter()
        .flat_map(|interval| &interval.repairs)
        .map(|repair| (repair.quantity, repair.kind))
        .collect();
    assert_eq!(
        named,
        [
            (Quantity::EnergyExport, RepairKind::ZeroBurst),
            (Quantity::ReactiveEnergyLag, RepairKind::Reset),
            (Quantity::ReactiveEnergyLead, RepairKind::Spike),
        ]
    );
    let sums = |amount: fn(&Interval) -> Option<f64>| found.iter().filter_map(amount).sum::<f64>();
    for (sum, expected) in [
        (sums(|i| i.energy_import_kwh), 60.0),
        (sums(|i| i.energy_export_kwh), 6.0),
        (sums(|i| i.reactive_energy_lag_kvarh), 59.0),
        (sums(|i| i.reactive_energy_lead_kvarh), 12.0),
        (sums(|i| i.raw.reactive_energy_lag_kvarh), -175.0),
    ] {
        assert!((sum - expected).abs() < 1e-6, "{sum}, not {expected}");
    }
}

#[test]
fn an_interval_opens_again_when_later_readings_tell_what_it_saw() {
    let spike = register(Quantity::EnergyImport, |n| {
        500.0 + n as f64 + if n == 14 || n == 15 { 3000.0 } else { 0.0 }
    });
    let found = together(&[spike]);
    assert_eq!(found[0].revision, 1, "{:?}", found[0]);
    assert_eq!(found[0].energy_import_kwh, Some(15.0));
    assert_eq!(found[0].raw.energy_import_kwh, Some(3015.0));
    let repair = &found[0].repairs[0];
    assert_eq!((repair.since, repair.until), (at("09:13:00"), at("09:16:00")));
    assert_eq!((repair.before, repair.after, repair.amount), (513.0, 516.0, Some(2.0)));
    assert_eq!(repair.why["furthest"], 3515.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Zeros and spikes that come back take and give nothing.
    #[test]
    fn what_comes_back_changes_nothing(
        kwh in prop::collection::vec(0.5f64..2.0, 200),
        spoilt in prop::collection::btree_map(3i64..19, (0i64..3, prop::option::of(200.0f64..50_000.0)), 0..6),
    ) {
        let mut register = 5000.0;
        let mut samples = vec![];
        for (minute, kwh) in (0..).zip(&kwh) {
            // A leap of a few minutes at most, each tenth minute at most.
            let spoiler = spoilt.get(&(minute / 10)).filter(|(n, _)| minute % 10 <= *n);
            let value = match spoiler {
                None => register,
                Some((_, None)) => 0.0,
                Some((_, Some(leap))) => register + leap,
            };
            samples.push(Sample {
                meter: "main".into(),
                at: at("00:00:00") + SignedDuration::from_mins(minute),
                readings: vec![Reading::new(Quantity::EnergyImport, value)],
            });
            register += kwh;
        }
        let mut site = rolling_site();
        site.meters[0].rollover.clear();
        let found = intervals(site, &punctual(samples));
        let used: f64 = kwh[..199].iter().sum();
        prop_assert!((sum_kwh(&found) - used).abs() < 1e-6, "{} of {}", sum_kwh(&found), used);
    }
}

#[test]
fn a_register_that_was_frozen_for_days_loses_nothing() {
    for hours in [10, 30, 120] {
        let frozen = (hour(6.0), hour(6.0 + f64::from(hours)));
        let last = frozen.1 + hour(3.0);
        let value = |s: i64| if s >= frozen.0 && s < frozen.1 { frozen.0 } else { s };
        let samples: Vec<Sample> = (0..=last / 60)
            .map(|minute| Sample {
                meter: "main".into(),
                at: at("00:00:00") + SignedDuration::from_mins(minute),
                readings: vec![Reading::new(
                    Quantity::EnergyImport,
                    5000.0 + truth_kwh(value(minute * 60)),
                )],
            })
            .collect();
        let found = intervals(site_of(&PLAIN), &punctual(samples));
        let (sum, truth) = (sum_kwh(&found), truth_kwh(last));
        assert!((sum - truth).abs() < 1e-6, "{hours} h: {sum}, not {truth}");
        let highest = found.iter().filter_map(Interval::demand_kw).fold(0.0, f64::max);
        assert!(highest < 300.0, "{hours} h: spread, not one peak of {highest} kW");
    }
}

#[test]
fn intervals_lie_on_the_clock_of_the_zone() {
    let mut site = rolling_site();
    site.zone = jiff::tz::TimeZone::get("Asia/Kathmandu").unwrap();
    site.demand_interval = SignedDuration::from_mins(60);
    let zone = site.zone.clone();
    let found = intervals(site, &punctual(samples(&PLAIN)));
    for interval in &found[1..] {
        let start = interval.start.to_zoned_datetime(zone.clone());
        assert_eq!(
            (start.minute(), interval.end.duration_since(interval.start).as_mins()),
            (0, 60)
        );
    }
    assert!((sum_kwh(&found) - shown(truth_kwh(DAY_S), 0.01)).abs() < 1e-6);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Written down and taken up again between any two minutes, the engine says the same.
    #[test]
    fn a_restart_changes_nothing(events in events(), restart in 0.0f64..1.0) {
        let (samples, ..) = lived(&events);
        let restart = (samples.len() as f64 * restart) as usize;
        let run = |restart: Option<usize>| {
            let mut engine = Engine::new(rolling_site());
            let mut found = vec![];
            for (index, sample) in samples.iter().enumerate() {
                engine.take(sample.clone());
                found.extend(engine.tick(sample.at + SignedDuration::from_mins(1)).intervals);
                if restart == Some(index) {
                    let written = serde_json::to_string(engine.state()).unwrap();
                    engine = Engine::restore(rolling_site(), serde_json::from_str(&written).unwrap());
                }
            }
            found.extend(engine.finish().intervals);
            found
        };
        prop_assert_eq!(run(Some(restart)), run(None));
    }
}
