//! Registers that stand still with no power beside them: stuck, or nothing was used? A machine's own habit decides.
//!
//! Each case lives through days of readings, a minute apart. Held: a standstill longer than ever is doubted from its
//! beginning on and said so, a habit is not, and energy that comes later is spread from the instant it stopped.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use energy::{
    Engine, Finding, Interval, Quality, Quantity, Reading, Sample, Site,
    finding::{Condition, Kind},
    interval::RepairKind,
};
use jiff::{SignedDuration, Timestamp};
use support::{Outcome, live_on, main_alone};

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;
/// kWh a minute, while it runs.
const KWH: f64 = 0.5;

/// So many minutes after a Monday's midnight.
fn minute(n: i64) -> Timestamp {
    let monday: Timestamp = "2026-08-03T00:00:00+09:00".parse().unwrap();
    monday + SignedDuration::from_mins(n)
}

fn watched() -> Site {
    main_alone(SignedDuration::from_mins(1), &[Kind::MeterStuck])
}

/// A register over some days: whether energy is used in a minute, whether it is shown, and what the power says.
struct Case {
    minutes: i64,
    is_used: fn(i64) -> bool,
    /// The register hides what is used from here on …
    frozen: (i64, i64),
    /// … and it is lost, or comes at the end.
    is_lost: bool,
    power: Option<f64>,
}

const CASE: Case = Case {
    minutes: 9 * DAY,
    is_used: |_| true,
    frozen: (8 * DAY + 560, 8 * DAY + 560 + 3 * HOUR),
    is_lost: true,
    power: None,
};

/// What the register shows at a minute: it counts only what it is not frozen for, unless it catches up.
fn lived(case: &Case) -> Outcome {
    restarted(case, None)
}

/// Written down and taken up again after so many minutes.
fn restarted(case: &Case, restart: Option<usize>) -> Outcome {
    let (from, until) = case.frozen;
    let (mut used, mut shown) = (1000.0, 1000.0);
    let samples = (0..case.minutes).map(|n| {
        let kwh = if (case.is_used)(n) { KWH } else { 0.0 };
        used += kwh;
        if !(from..until).contains(&n) {
            shown = if case.is_lost { shown + kwh } else { used };
        }
        let power = case.power.map(|kw| Reading::new(Quantity::ActivePower, kw));
        let register = Reading::new(Quantity::EnergyImport, shown);
        Sample {
            meter: "main".into(),
            at: minute(n),
            readings: power.into_iter().chain([register]).collect(),
        }
    });
    live_on(&watched(), samples.collect(), restart)
}

/// The intervals that lie in `[from, until)` or touch it, in minutes.
fn within(outcome: &Outcome, from: i64, until: i64) -> Vec<&Interval> {
    let is_within = |interval: &&Interval| interval.end > minute(from) && interval.start < minute(until);
    outcome.intervals.values().filter(is_within).collect()
}

fn only(outcome: &Outcome) -> &Finding {
    assert_eq!(outcome.findings.len(), 1, "{:#?}", outcome.findings);
    outcome.findings.values().next().unwrap()
}

/// Works on weekdays from 8 to 18.
fn by_day(n: i64) -> bool {
    n / DAY % 7 < 5 && (8 * HOUR..18 * HOUR).contains(&(n % DAY))
}

#[test]
fn a_standstill_longer_than_ever_is_doubted_from_its_beginning() {
    for hours in [2, 3, 20] {
        let from = CASE.frozen.0;
        let until = from + hours * HOUR;
        let outcome = lived(&Case {
            frozen: (from, until),
            minutes: until + 3 * HOUR,
            ..CASE
        });
        // The last reading before it is of the minute before; then it says the same until `until`.
        let (begin, end) = (minute(from - 1), minute(until - 1));
        let found = within(&outcome, from, until - 1);
        for interval in &found {
            let repair = &interval.repairs[0];
            let (since, last) = (begin.max(interval.start), end.min(interval.end));
            assert_eq!(
                (repair.kind, repair.amount),
                (RepairKind::Frozen, Some(0.0)),
                "{interval:?}"
            );
            assert_eq!((repair.since, repair.until), (since, last));
            assert_eq!(repair.why["unchanged_s"], last.duration_since(begin).as_secs_f64());
            assert_eq!(repair.why["longest_s"], 0.0);
            assert_eq!(interval.quality, Quality::Estimated);
            let covered = 1.0 - last.duration_since(since).as_secs_f64() / 900.0;
            assert!((interval.coverage - covered).abs() < 1e-9, "{interval:?}");
        }
        assert!(found.len() as i64 >= hours * 4);
        let finding = only(&outcome);
        assert_eq!(
            (finding.kind, finding.since, finding.until),
            (Kind::MeterStuck, begin, Some(end))
        );
        assert!(finding.detected_at <= minute(from + 80), "{}", finding.detected_at);
        assert!(
            finding.title.en.contains("either the meter or its gateway is stuck"),
            "{}",
            finding.title.en
        );
        assert!(finding.title.ko.contains("멈췄거나"), "{}", finding.title.ko);
        assert_eq!(finding.why["longest_s"], 0.0);
        let around = within(&outcome, from - 60, until + 120);
        let plain = around
            .iter()
            .filter(|interval| interval.end <= begin || interval.start >= end);
        assert!(plain.clone().count() > 8);
        for interval in plain {
            assert!(interval.repairs.is_empty() && interval.coverage == 1.0, "{interval:?}");
        }
    }
}

#[test]
fn a_habit_is_not_doubted_and_neither_is_what_power_vouches_for() {
    let never = (0, 0);
    let plain = [
        // Nights and two weekends, then one more; a register that is not known for a week yet.
        Case {
            minutes: 22 * DAY,
            is_used: by_day,
            frozen: never,
            ..CASE
        },
        Case {
            frozen: (3 * DAY, 3 * DAY + 5 * HOUR),
            minutes: 4 * DAY,
            ..CASE
        },
        Case {
            frozen: (8 * DAY, 8 * DAY + 50),
            ..CASE
        },
        Case {
            power: Some(0.0),
            ..CASE
        },
    ];
    for (index, case) in plain.iter().enumerate() {
        let outcome = lived(case);
        assert!(outcome.findings.is_empty(), "{index}: {:#?}", outcome.findings);
        for interval in outcome.intervals.values() {
            let is_plain = interval.repairs.is_empty() && interval.quality == Quality::Ok;
            assert!(
                is_plain && (interval.coverage == 1.0 || interval.end >= minute(case.minutes)),
                "{index}: {interval:?}"
            );
        }
    }
    // Known for two weeks, closed for nine days: more than three weekends of 62 hours.
    let closed = Case {
        minutes: 29 * DAY,
        is_used: |n| by_day(n) && !(15 * DAY..26 * DAY).contains(&n),
        frozen: never,
        ..CASE
    };
    let outcome = lived(&closed);
    let finding = only(&outcome);
    assert_eq!(
        (finding.state, finding.why["longest_s"]),
        (Condition::Closed, 62.0 * 3600.0)
    );
    let doubted = outcome
        .intervals
        .values()
        .filter(|interval| !interval.repairs.is_empty());
    assert!(doubted.count() > 96, "from a day before it was doubted");
}

/// While it lasts the finding says so anew, and how far it is believed.
#[test]
fn a_doubted_standstill_is_told_with_its_doubt_and_grows() {
    let case = Case {
        frozen: (CASE.frozen.0, CASE.frozen.0 + 20 * HOUR),
        minutes: CASE.frozen.0 + 24 * HOUR,
        ..CASE
    };
    let told = |is_lost: bool| told_of(&Case { is_lost, ..case });
    let lost = told(true);
    let open: Vec<&Finding> = lost.iter().filter(|finding| finding.state == Condition::Open).collect();
    assert!((20..=80).contains(&open.len()), "{} times", open.len());
    assert!(open.is_sorted_by(|a, b| a.why["stood_s"] < b.why["stood_s"]));
    assert!(
        lost.iter()
            .all(|finding| finding.confidence == 0.5 && finding.id == lost[0].id)
    );
    // The jump proves it.
    assert_eq!(
        told(false).last().map(|finding| (finding.state, finding.confidence)),
        Some((Condition::Closed, 1.0))
    );
}

/// Every state of every finding, in the order in which they were told.
fn told_of(case: &Case) -> Vec<Finding> {
    let (from, until) = case.frozen;
    let (mut used, mut shown) = (1000.0, 1000.0);
    let mut engine = Engine::new(watched());
    let mut told = vec![];
    for n in 0..case.minutes {
        used += KWH;
        if !(from..until).contains(&n) {
            shown = if case.is_lost { shown + KWH } else { used };
        }
        let readings = vec![Reading::new(Quantity::EnergyImport, shown)];
        engine.take(Sample {
            meter: "main".into(),
            at: minute(n),
            readings,
        });
        told.extend(engine.tick(minute(n + 1)).findings);
    }
    told
}

/// A peak that only the end of a standstill shows, and one that was a forecast when it began.
#[test]
fn a_peak_that_a_frozen_register_hid_is_told_once_it_is_known() {
    let mut site = watched();
    site.machines[0].detect = [(Kind::DemandPeak, [("target_kw".to_owned(), 100.0)].into())].into();
    // 30 kW; from 08:00 on 130 kW for three hours. The register stands still from so many minutes before or after.
    let lived = |from: i64, until: i64| {
        let kwh = |n: i64| 1000.0 + KWH * n as f64 + (n - 8 * HOUR).clamp(0, 3 * HOUR) as f64 * 100.0 / 60.0;
        let sample = |n: i64| Sample {
            meter: "main".into(),
            at: minute(n),
            readings: vec![Reading::new(
                Quantity::EnergyImport,
                kwh(if (from..until).contains(&n) { from } else { n }),
            )],
        };
        live_on(&site, (0..14 * HOUR).map(sample).collect(), None)
    };
    let plain = lived(0, 0);
    let plain = only(&plain);
    for (from, until) in [
        (7 * HOUR + 55, 9 * HOUR + 15),
        (8 * HOUR + 10, 9 * HOUR + 15),
        (8 * HOUR + 9, 10 * HOUR),
    ] {
        let outcome = lived(from, until);
        let highest = outcome.highest_kw();
        let told = outcome
            .findings
            .values()
            .filter_map(|finding| finding.why.get("demand_kw"));
        let told_kw = told.fold(0.0, |a: f64, b| a.max(*b));
        assert!(
            (told_kw - highest).abs() < 0.01,
            "{from}: {highest} kW, told {told_kw}: {:#?}",
            outcome.findings
        );
        for finding in outcome.findings.values() {
            let touched = within(&outcome, from, until)
                .iter()
                .any(|interval| interval.start == finding.since);
            assert!(
                !touched || finding.title.en.contains("(estimated)"),
                "{from}: {finding:#?}"
            );
            assert_eq!(
                (finding.state, finding.until <= plain.until),
                (Condition::Closed, true),
                "{from}: {finding:#?} {plain:#?}"
            );
        }
        assert!(outcome.findings.len() <= 3, "{from}: {:#?}", outcome.findings);
    }
}

/// One that froze once is doubted again when it freezes for less than three times as long.
#[test]
fn a_doubted_standstill_teaches_little() {
    let again = Case {
        minutes: 10 * DAY,
        is_used: |n| !(8 * DAY..8 * DAY + 20 * HOUR).contains(&n),
        frozen: (9 * DAY, 9 * DAY + 4 * HOUR),
        ..CASE
    };
    let outcome = lived(&again);
    let longest: Vec<f64> = outcome
        .findings
        .values()
        .map(|finding| finding.why["longest_s"])
        .collect();
    assert_eq!(longest, [0.0, 3600.0]);
}

#[test]
fn energy_that_comes_later_is_spread_from_the_instant_it_stopped() {
    for (from, hours) in [(DAY + 560, 1), (DAY + 560, 6), (8 * DAY + 560, 6), (8 * DAY + 555, 20)] {
        let until = from + hours * HOUR;
        let outcome = lived(&Case {
            frozen: (from, until),
            minutes: until + 3 * HOUR,
            is_lost: false,
            ..CASE
        });
        assert!((outcome.sum_kwh() - KWH * (until + 3 * HOUR - 1) as f64).abs() < 1e-6);
        for interval in within(&outcome, from, until) {
            assert!(
                (interval.energy_import_kwh.unwrap() - 15.0 * KWH).abs() < 1e-6,
                "{interval:?}"
            );
            assert_eq!(interval.quality, Quality::Estimated);
            let repair = &interval.repairs[0];
            assert_eq!(
                (repair.kind, repair.since, repair.until),
                (RepairKind::Frozen, minute(from - 1), minute(until))
            );
        }
    }
}

/// A leap may be a spike, or what a frozen register owes: until that is known it is neither demand nor a peak.
#[test]
fn a_leap_is_no_demand_before_it_is_explained() {
    let mut site = watched();
    site.machines[0].detect = [(Kind::DemandPeak, [("target_kw".to_owned(), 100.0)].into())].into();
    // 30 kW, a contract of 500 kW; at 09:20 the register leaps by 40 kWh in a minute, and back at 09:40, or never.
    let lived = |back: i64, kwh: f64| {
        let sample = |n: i64| Sample {
            meter: "main".into(),
            at: minute(n),
            readings: vec![Reading::new(
                Quantity::EnergyImport,
                1000.0 + KWH * n as f64 + if (560..back).contains(&n) { kwh } else { 0.0 },
            )],
        };
        live_on(&site, (0..DAY).map(sample).collect(), None)
    };
    for back in [562, 572, 580, 600] {
        assert!(lived(back, 40.0).findings.is_empty(), "{back}");
    }
    let outcome = lived(DAY, 40.0);
    let finding = only(&outcome);
    assert_eq!((finding.since, finding.confidence), (minute(555), 1.0));
    // A power that it has not drawn before goes on, and is told at once.
    let sample = |n: i64| Sample {
        meter: "main".into(),
        at: minute(n),
        readings: vec![Reading::new(
            Quantity::EnergyImport,
            1000.0 + KWH * n as f64 + 15.0 * (n - 560).max(0) as f64,
        )],
    };
    let outcome = live_on(&site, (0..DAY).map(sample).collect(), None);
    assert!(
        only(&outcome).detected_at <= minute(564),
        "{}",
        only(&outcome).detected_at
    );
}

#[test]
fn a_restart_changes_nothing() {
    for is_lost in [true, false] {
        let case = Case { is_lost, ..CASE };
        let whole = lived(&case);
        for minutes in [-30, 5, 30, 58, 62, 75, 100, 178, 181, 200, 300] {
            let restart = usize::try_from(case.frozen.0 + minutes).unwrap();
            assert_eq!(restarted(&case, Some(restart)), whole, "{is_lost} {minutes}");
        }
    }
}

/// Readings that come late, in any order, tell the same in the end.
#[test]
fn late_readings_change_nothing() {
    let (from, until) = CASE.frozen;
    let register = |n: i64| 1000.0 + KWH * (n.min(from - 1) + (n - until + 1).max(0)) as f64;
    let told = |late: fn(i64) -> i64| {
        let mut arrivals: Vec<i64> = (0..CASE.minutes).collect();
        arrivals.sort_by_key(|n| n + late(*n));
        let mut engine = Engine::new(watched());
        let mut outcome = Outcome::default();
        for n in arrivals {
            let arrived = n + late(n);
            engine.take(Sample {
                meter: "main".into(),
                at: minute(n),
                readings: vec![Reading::new(Quantity::EnergyImport, register(n))],
            });
            outcome.keep(engine.tick(minute(arrived + 1)));
        }
        outcome.keep(engine.finish());
        let told = |interval: Interval| Interval {
            revision: 0,
            ..interval
        };
        outcome.intervals.into_values().map(told).collect::<Vec<_>>()
    };
    let punctual = told(|_| 0);
    assert!(punctual.iter().filter(|interval| !interval.repairs.is_empty()).count() > 12);
    let delays: [fn(i64) -> i64; 2] = [
        |n| if n < 8 * DAY { 0 } else { n % 7 },
        |n| if n % 3 == 0 && n > 8 * DAY { 20 } else { 0 },
    ];
    for late in delays {
        let late = told(late);
        // The last to come may be late beyond the last interval.
        let differs = |(late, punctual): &(&Interval, &Interval)| late != punctual;
        assert_eq!(late.iter().zip(&punctual).find(differs), None);
    }
}

/// Its gateway loses the counter while power is still read: what was used is not known, and that is told; once the counter
/// is heard again its energy is spread.
#[test]
fn a_counter_that_is_heard_no_more_is_stuck_while_power_goes_on() {
    let (from, until) = (DAY + 555, DAY + 555 + 3 * HOUR);
    for (kw, is_stuck) in [(30.0, true), (0.0, false)] {
        let kwh = kw / 60.0;
        for last in [until, until + HOUR] {
            let sample = |n: i64| {
                let counter = Reading::new(
                    Quantity::EnergyImport,
                    1000.0 + KWH * n.min(from) as f64 + kwh * (n - from).max(0) as f64,
                );
                let power = Reading::new(Quantity::ActivePower, if n < from { 30.0 } else { kw });
                Sample {
                    meter: "main".into(),
                    at: minute(n),
                    readings: [power]
                        .into_iter()
                        .chain((n <= from || n > until).then_some(counter))
                        .collect(),
                }
            };
            let outcome = live_on(&watched(), (0..=last).map(sample).collect(), None);
            let silent = within(&outcome, from, until);
            if last > until {
                assert!((outcome.sum_kwh() - KWH * from as f64 - kwh * (last - from) as f64).abs() < 1e-6);
                assert!(silent.iter().all(|interval| interval.quality == Quality::Estimated));
            } else if is_stuck {
                let finding = only(&outcome);
                assert_eq!(
                    (finding.kind, finding.since, finding.confidence),
                    (Kind::MeterStuck, minute(from), 1.0)
                );
                assert!(finding.title.en.contains("has not counted for"), "{}", finding.title.en);
                let named = |interval: &&Interval| {
                    let repair = interval.repairs.first();
                    repair.is_some_and(|repair| (repair.kind, repair.amount) == (RepairKind::Frozen, None))
                };
                // The last quarter hour is still waited for.
                assert_eq!(silent.iter().filter(|interval| named(interval)).count(), 11);
            }
            if !is_stuck {
                assert!(outcome.findings.is_empty(), "{:#?}", outcome.findings);
            }
        }
    }
}

/// It fell silent, and its power was heard a little longer than its counter: that is a meter that is silent, not one whose
/// counter is.
#[test]
fn a_meter_that_falls_silent_is_not_stuck() {
    let last = DAY + 556;
    let sample = |n: i64| Sample {
        // After its last word only the clock goes on.
        meter: if n <= last + 1 { "main" } else { "other" }.into(),
        at: minute(n),
        readings: [Reading::new(Quantity::ActivePower, 30.0)]
            .into_iter()
            .chain((n <= last).then_some(Reading::new(Quantity::EnergyImport, 1000.0 + KWH * n as f64)))
            .collect(),
    };
    let outcome = live_on(&watched(), (0..=last + 180).map(sample).collect(), None);
    let stuck = outcome
        .findings
        .values()
        .filter(|finding| finding.kind == Kind::MeterStuck);
    assert_eq!(stuck.count(), 0, "{:#?}", outcome.findings);
}

/// Days off that were declared are no standstill; the same without the declaration is.
#[test]
fn declared_days_off_are_not_doubted() {
    let works = |n: i64| n / DAY % 7 != 6 && (8 * HOUR..20 * HOUR).contains(&(n % DAY));
    // From Saturday evening of the third week to Friday morning.
    let is_off = |n: i64| (14 * DAY + 5 * DAY + 20 * HOUR..14 * DAY + 11 * DAY).contains(&n);
    let lived = |declare: &dyn Fn(&mut energy::calendar::DaysOff)| {
        let mut site = watched();
        site.machines[0].hours = None; // they hold for the whole site, whatever is known of its machines
        declare(&mut site.days_off);
        let mut shown = 1000.0;
        let samples = (0..28 * DAY).map(|n| {
            shown += if works(n) && !is_off(n) { KWH } else { 0.0 };
            Sample {
                meter: "main".into(),
                at: minute(n),
                readings: vec![Reading::new(Quantity::EnergyImport, shown)],
            }
        });
        live_on(&site, samples.collect(), None)
    };
    let count = |outcome: &Outcome| {
        let unsure = outcome
            .intervals
            .values()
            .filter(|interval| interval.quality != Quality::Ok);
        (outcome.findings.len(), unsure.count() > 0)
    };
    assert_eq!(count(&lived(&|_| ())), (1, true), "five days are longer than ever");
    let closed = lived(&|days| {
        let span = ("2026-08-24T00:00".parse().unwrap(), "2026-08-28T00:00".parse().unwrap());
        days.closed = vec![span];
    });
    assert_eq!(count(&closed), (0, false));
    let holidays = lived(&|days_off| {
        let days = (24..28).map(|day| (format!("2026-08-{day}").parse().unwrap(), "off".to_owned()));
        days_off.holidays = std::sync::Arc::new(days.collect());
    });
    assert_eq!(count(&holidays), (0, false));
}

/// What runs round the clock stands still in a stop that was planned, however often; on a holiday it would run.
#[test]
fn a_planned_stop_of_what_never_rests_is_not_doubted() {
    let stops = [(15, 18), (22, 23)];
    let is_off = |n: i64| stops.iter().any(|(from, until)| (from * DAY..until * DAY).contains(&n));
    let n_found = |declare: &dyn Fn(&mut energy::calendar::DaysOff)| {
        let mut site = watched();
        site.machines[0].hours = None;
        declare(&mut site.days_off);
        let mut shown = 1000.0;
        let samples = (0..28 * DAY).map(|n| {
            // With pauses of 50 minutes, which are no rest.
            shown += if is_off(n) || n % DAY < 50 { 0.0 } else { KWH };
            Sample {
                meter: "main".into(),
                at: minute(n),
                readings: vec![Reading::new(Quantity::EnergyImport, shown)],
            }
        });
        live_on(&site, samples.collect(), None).findings.len()
    };
    let day = |n: i64| watched().zone.to_datetime(minute(n * DAY));
    let closed = n_found(&|days| days.closed = stops.iter().map(|(from, until)| (day(*from), day(*until))).collect());
    assert_eq!(closed, 0);
    let holidays = n_found(&|days| {
        let off = (15..18).map(|n| (day(n).date(), "off".to_owned()));
        days.holidays = std::sync::Arc::new(off.collect());
    });
    assert_eq!(holidays, 2);
}
