//! Faults that were once there: each case is one that gave a wrong figure, and stands before its mend.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use energy::{Engine, Finding, Interval, Quantity, Reading, Sample, Site, finding::Kind};
use jiff::{SignedDuration, Timestamp};
use support::{at, live, power, sample, site};

/// Lives through samples with the meters read each second.
fn by_the_second(mut samples: Vec<Sample>) -> Vec<Interval> {
    let mut site = site();
    for meter in &mut site.meters {
        meter.every = SignedDuration::from_secs(1);
    }
    samples.sort_by_key(|sample| sample.at);
    let mut engine = Engine::new(site);
    let mut intervals = std::collections::BTreeMap::new();
    for group in samples.chunk_by(|a, b| a.at.as_second() / 60 == b.at.as_second() / 60) {
        for sample in group {
            engine.take(sample.clone());
        }
        let end = Timestamp::from_second((group[0].at.as_second() / 60 + 1) * 60).unwrap();
        intervals.extend(
            engine
                .tick(end)
                .intervals
                .into_iter()
                .map(|interval| (interval.start, interval)),
        );
    }
    intervals.extend(
        engine
            .finish()
            .intervals
            .into_iter()
            .map(|interval| (interval.start, interval)),
    );
    intervals.into_values().collect()
}

fn each_second(from: &str, until: &str, value: impl Fn(f64) -> f64, quantity: Quantity) -> Vec<Sample> {
    let (from, until) = (at(from), at(until));
    let seconds = until.duration_since(from).as_secs();
    (0..seconds)
        .map(|second| {
            let at = from + SignedDuration::from_secs(second);
            sample("main", at, quantity, value(at.as_second() as f64))
        })
        .collect()
}

#[test]
fn a_meter_that_returns_from_a_long_silence_keeps_what_it_had_said() {
    let power = |from, until| each_second(from, until, |_| 60.0, Quantity::ActivePower);
    let intervals = by_the_second([power("10:00:00", "10:10:00"), power("10:40:00", "10:45:00")].concat());
    assert!(
        (intervals[0].energy_import_kwh.unwrap() - 9.98).abs() < 0.05,
        "{:?}",
        intervals[0]
    );
    assert!((intervals[0].coverage - 0.665).abs() < 0.01);

    // 100 kW on a counter, through a silence of half an hour: all of it is somewhere.
    let start = at("10:00:00").as_second() as f64;
    let counter = |from, until| each_second(from, until, move |s| (s - start) / 36.0, Quantity::EnergyImport);
    let intervals = by_the_second([counter("10:00:00", "10:10:00"), counter("10:40:00", "10:45:00")].concat());
    let sum: f64 = intervals.iter().filter_map(|interval| interval.energy_import_kwh).sum();
    assert!((sum - 2699.0 / 36.0).abs() < 1e-6, "{sum}");
}

#[test]
fn samples_of_one_instant_are_all_seen_whatever_their_order() {
    for is_reversed in [false, true] {
        let mut samples = Vec::new();
        for power in power("press", "09:00:00", "09:25:00", 7.0) {
            let mut pair = vec![sample("press", power.at, Quantity::Frequency, 60.0), power];
            if is_reversed {
                pair.reverse();
            }
            samples.extend(pair);
        }
        let found = live(samples, None).findings;
        assert!(found.keys().any(|id| id.starts_with("idle_running.press")), "{found:?}");
    }
}

#[test]
fn energy_today_never_falls() {
    let mut engine = Engine::new(site());
    let mut last_kwh = 0.0;
    for group in power("main", "09:00:00", "10:00:00", 60.0).chunks(6) {
        for sample in group {
            engine.take(sample.clone());
        }
        engine.tick(group[0].at + SignedDuration::from_secs(60));
        let today = engine.now().unwrap().today.unwrap();
        assert!(today.energy_kwh >= last_kwh, "{} after {last_kwh}", today.energy_kwh);
        last_kwh = today.energy_kwh;
    }
    assert!((last_kwh - 59.8).abs() < 0.3, "{last_kwh}");
}

fn findings(samples: Vec<Sample>) -> Vec<Finding> {
    live(samples, None).findings.into_values().collect()
}

#[test]
fn a_peak_over_several_intervals_of_a_utility_meter_is_one() {
    let kwh = [20.0, 40.0, 45.0, 42.0, 20.0, 20.0];
    let samples = kwh.iter().enumerate().map(|(i, kwh)| {
        sample(
            "main",
            at("09:00:00") + SignedDuration::from_mins(15 * i as i64),
            Quantity::IntervalEnergy,
            *kwh,
        )
    });
    let mut found = findings(samples.collect());
    found.retain(|finding| finding.kind == Kind::DemandPeak);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((found[0].since, found[0].until), (at("09:15:00"), Some(at("10:00:00"))));
    assert_eq!(found[0].why["demand_kw"], 180.0);
}

#[test]
fn a_machine_that_is_no_longer_heard_of_explains_nothing() {
    let samples = [
        power("press", "18:00:00", "18:40:00", 9.0),
        power("main", "18:00:00", "20:00:00", 12.0),
    ]
    .concat();
    let found = findings(samples);
    let site = found
        .iter()
        .find(|f| f.kind == Kind::OffHoursLoad && &*f.machine == "plant")
        .unwrap();
    assert!(
        site.since >= at("18:40:00") && site.since < at("19:00:00"),
        "{}",
        site.since
    );
}

#[test]
fn a_late_sample_does_not_end_a_silence_before_it_began() {
    let mut engine = Engine::new(site());
    let mut out = Vec::new();
    for sample in [
        power("press", "09:00:00", "09:10:00", 0.2),
        power("main", "09:00:00", "09:40:00", 1.0),
    ]
    .concat()
    {
        engine.take(sample);
    }
    out.extend(engine.tick(at("09:30:00")).findings);
    engine.take(sample("press", at("09:05:05"), Quantity::ActivePower, 0.2));
    out.extend(engine.tick(at("09:35:00")).findings);
    let silent: Vec<_> = out.iter().filter(|f| f.kind == Kind::MeterSilent).collect();
    assert!(
        silent.iter().all(|f| f.id == silent[0].id && f.until.is_none()),
        "{silent:#?}"
    );
    // While it goes on, how long it has lasted is told anew.
    let [first, last] = [silent[0], silent[silent.len() - 1]].map(|f| f.why["silent_s"]);
    assert_eq!((first, last >= 1380.0), (610.0, true), "{silent:#?}");
}

#[test]
fn a_finding_of_a_meter_that_died_ends_where_it_was_last_seen() {
    let samples = [
        power("press", "09:00:00", "09:20:00", 7.0),
        power("main", "09:00:00", "11:00:00", 1.0),
    ]
    .concat();
    let found = findings(samples);
    let idle = found.iter().find(|f| f.kind == Kind::IdleRunning).unwrap();
    assert_eq!(idle.until, Some(at("09:19:50")));
}

fn with_limit(above_kw: f64) -> Site {
    let mut site = site();
    let settings = site.machines[0].detect.get_mut(&Kind::OffHoursLoad).unwrap();
    settings.insert("above_kw".into(), above_kw);
    site
}

#[test]
fn waste_is_never_negative_and_its_bounds_hold_it() {
    let mut engine = Engine::new(with_limit(0.6));
    for sample in power("press", "18:00:00", "19:00:00", 0.8) {
        engine.take(sample);
    }
    let found = engine.tick(at("19:00:00")).findings;
    let finding = found.iter().find(|f| f.kind == Kind::OffHoursLoad).unwrap();
    let kwh = [finding.energy_kwh_low, finding.energy_kwh, finding.energy_kwh_high].map(Option::unwrap);
    assert!(kwh[0] > 0.0 && kwh.is_sorted(), "{kwh:?}");
}

#[test]
fn a_clock_that_leaps_makes_no_intervals_between() {
    let mut engine = Engine::new(site());
    let old: Timestamp = "1970-01-01T00:05:00Z".parse().unwrap();
    engine.take(sample("main", old, Quantity::ActivePower, 1.0));
    engine.tick(old + SignedDuration::from_mins(1));
    engine.take(sample("main", at("09:00:00"), Quantity::ActivePower, 1.0));
    engine.take(sample("main", at("09:00:10"), Quantity::ActivePower, 1.0));
    let n_intervals = engine.tick(at("09:30:00")).intervals.len();
    assert!(n_intervals <= 4, "{n_intervals}");
}

#[test]
fn a_sample_of_another_age_is_refused_and_counted() {
    let mut engine = Engine::new(site());
    for sample in power("main", "09:00:00", "09:10:00", 1.0) {
        engine.take(sample);
    }
    engine.tick(at("09:10:00"));
    let old = "2000-01-01T00:00:00Z".parse().unwrap();
    engine.take(Sample {
        meter: "press".into(),
        at: old,
        readings: vec![Reading::new(Quantity::ActivePower, 1.0)],
    });
    let step = engine.tick(at("09:20:00"));
    assert_eq!(step.counts.refused.too_old, 1);
    assert!(
        step.intervals.iter().all(|interval| interval.start > old),
        "{:?}",
        step.intervals
    );
}

#[test]
fn a_meter_that_was_never_heard_of_is_silent_where_it_is_expected() {
    for is_expected in [false, true] {
        let mut engine = Engine::new(site());
        if is_expected {
            engine.expect_all_meters();
        }
        let mut found = Vec::new();
        for group in power("main", "09:00:00", "09:30:00", 1.0).chunks(6) {
            for sample in group {
                engine.take(sample.clone());
            }
            found.extend(engine.tick(group[0].at + SignedDuration::from_secs(60)).findings);
        }
        let silent = found
            .iter()
            .any(|f| f.kind == Kind::MeterSilent && &*f.meter == "press");
        assert_eq!(silent, is_expected, "{found:#?}");
    }
}
