//! The engine as its users meet it: samples and ticks in, intervals and findings out.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use energy::{
    Engine, Finding, Quality, Quantity, Reading, Sample,
    finding::{Condition, Kind, Severity},
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use support::{Outcome, at, live, live_on, power, sample, site};

fn check(samples: Vec<Sample>, expected: &[(&str, Option<&str>, f64)]) -> Vec<Finding> {
    let findings: Vec<Finding> = live(samples, None).findings.into_values().collect();
    let seen: Vec<_> = findings
        .iter()
        .map(|f| {
            (
                f.id.as_str(),
                f.until.map(|until| until.to_string()),
                f.energy_kwh.unwrap_or(-1.0),
            )
        })
        .collect();
    let wanted: Vec<_> = expected
        .iter()
        .map(|(id, until, kwh)| (*id, until.map(|until| at(until).to_string()), *kwh))
        .collect();
    assert_eq!(seen, wanted);
    findings
}

/// A gateway that hands everything on late is heard of when it does so, and silent when it stops.
#[test]
fn a_meter_that_is_always_late_is_not_silent() {
    for late in [0, 30, 55, 90] {
        let mut site = site();
        site.meters.truncate(1);
        let mut engine = Engine::new(site);
        let mut outcome = Outcome::default();
        for minute in 0..10 * 60 {
            let now = at("08:00:00") + SignedDuration::from_mins(minute);
            if minute >= late && !(300..400).contains(&minute) {
                let read = now - SignedDuration::from_mins(late);
                engine.take(sample("main", read, Quantity::ActivePower, 3.0));
            }
            outcome.keep(engine.tick(now + SignedDuration::from_mins(1)));
        }
        let findings = outcome.findings.values();
        let silent: Vec<_> = findings.filter(|finding| finding.kind == Kind::MeterSilent).collect();
        let since = |index: usize| silent[index].since.duration_since(at("08:00:00")).as_mins();
        if late <= 60 {
            assert_eq!(
                (silent.len(), since(0), silent[0].until.is_some()),
                (1, 299, true),
                "{late}: {silent:#?}"
            );
        } else {
            // Later than may be: it is silent since its newest reading, again and again.
            assert!(since(0) < 60, "{late}: {silent:#?}");
        }
    }
}

#[test]
fn a_press_that_idles_in_its_shift_is_found_after_ten_minutes() {
    let samples = [
        power("press", "09:00:00", "09:20:00", 30.0),
        power("press", "09:20:00", "09:50:00", 7.0),
        power("press", "09:50:00", "10:30:00", 30.0),
    ]
    .concat();
    // The trapezoids at both ends run from 30 to 7 kW: 18.5 kW is "running", so the stay is 10 s shorter.
    let findings = check(
        samples,
        &[("idle_running.press.20260828T002000Z", Some("09:49:50"), 2.983)],
    );
    let finding = &findings[0];
    assert_eq!(finding.detected_at, at("09:30:00"));
    assert_eq!(finding.state, Condition::Closed);
    assert_eq!(finding.severity, Severity::P2);
    assert_eq!(finding.energy_kwh_high, Some(3.481), "all of it, were it switched off");
    assert_eq!(
        finding.cost.as_ref().unwrap().amount.to_string(),
        "492",
        "2.983 kWh × (140 + 10) × 1.1"
    );
    assert_eq!(finding.cost_net.as_ref().unwrap().amount.to_string(), "447");
    assert_eq!(finding.kgco2e, None, "no factor, no figure");
    assert_eq!(finding.title.en, "press: idling for 29 min at 7.0 kW without producing");
}

/// A page shows the last row of an open finding: a young one is news by the minute, an old one by the quarter hour.
#[test]
fn an_open_finding_is_never_far_behind_and_seldom_written() {
    let mut engine = Engine::new(site());
    let (mut n_written, mut written) = (0, at("09:00:00"));
    let mut behind_min = Vec::new();
    for minute in 1..=9 * 60 {
        let end = at("09:00:00") + jiff::SignedDuration::from_mins(minute);
        let samples = (0..6).map(|step| end - jiff::SignedDuration::from_secs(60 - 10 * step));
        for instant in samples {
            engine.take(sample("press", instant, Quantity::ActivePower, 7.0));
        }
        let found = engine.tick(end).findings;
        if found.iter().any(|finding| finding.kind == Kind::IdleRunning) {
            (n_written, written) = (n_written + 1, end);
        }
        if n_written > 0 {
            behind_min.push((minute, end.duration_since(written).as_mins()));
        }
    }
    for (age_min, behind_min) in behind_min {
        assert!(
            behind_min <= (age_min / 10).clamp(0, 15),
            "{behind_min} minutes behind at {age_min}"
        );
    }
    assert!(n_written < 60, "{n_written} rows in nine hours");
}

#[test]
fn short_stops_and_a_swinging_load_are_not_waste() {
    let stop = [
        power("press", "09:00:00", "09:20:00", 30.0),
        power("press", "09:20:00", "09:28:00", 7.0),
        power("press", "09:28:00", "09:40:00", 30.0),
    ]
    .concat();
    check(stop, &[]);
    let mut swinging = Vec::new();
    for minute in 0..50 {
        let (from, middle) = (format!("09:{minute:02}:00"), format!("09:{minute:02}:40"));
        swinging.extend(power("press", &from, &middle, 7.0));
        swinging.extend(power("press", &middle, &format!("09:{:02}:00", minute + 1), 30.0));
    }
    check(swinging, &[]);
}

#[test]
fn what_is_left_on_at_night_is_the_machines_and_not_the_sites() {
    let samples = [
        power("press", "17:00:00", "17:55:00", 0.2),
        power("press", "17:55:00", "20:00:00", 7.0),
        power("press", "20:00:00", "21:00:00", 0.2),
        power("main", "17:00:00", "21:00:00", 10.0),
    ]
    .concat();
    let findings = check(
        samples,
        &[
            ("off_hours_load.plant.20260828T110000Z", None, 4.976),
            ("off_hours_load.press.20260828T090000Z", Some("20:00:00"), 11.991),
        ],
    );
    assert!(
        findings[0].since >= at("20:00:00"),
        "while the press explains the load the site says nothing"
    );
    assert_eq!(findings[1].energy_kwh_low, Some(9.991), "above the limit of standby");
}

#[test]
fn overtime_that_nobody_declared_is_no_waste() {
    check(power("press", "17:00:00", "21:00:00", 30.0), &[]);
}

#[test]
fn a_gap_is_neither_waste_nor_its_end() {
    let samples = [
        power("press", "09:00:00", "09:08:00", 7.0),
        power("press", "09:20:00", "09:25:00", 7.0),
        power("press", "09:25:00", "09:40:00", 0.2),
    ]
    .concat();
    let findings = check(
        samples,
        &[
            ("idle_running.press.20260828T000000Z", Some("09:25:00"), 1.274),
            ("meter_silent.press.20260828T000750Z", Some("09:20:00"), -1.0),
        ],
    );
    assert_eq!(
        findings[0].detected_at,
        at("09:22:10"),
        "ten minutes of being seen idle, not of time"
    );
    assert!(findings[0].confidence < 0.6);
}

#[test]
fn a_peak_is_forecast_in_its_interval_and_priced_by_the_kilowatt() {
    let samples = [
        power("main", "09:00:00", "09:16:00", 60.0),
        power("main", "09:16:00", "09:30:00", 200.0),
        power("main", "09:30:00", "10:00:00", 60.0),
    ]
    .concat();
    let findings = check(
        samples,
        &[("demand_peak.plant.20260828T001500Z", Some("09:30:00"), -1.0)],
    );
    let finding = &findings[0];
    assert_eq!(finding.detected_at, at("09:20:00"), "a third into the interval");
    assert_eq!(finding.severity, Severity::P1);
    assert!((finding.why["demand_kw"] - 191.0).abs() < 1.0, "{:?}", finding.why);
    // 30 % of the contract is billed anyway.
    assert_eq!((finding.why["billed_kw"], finding.why["n_bills"]), (150.0, 12.0));
    let expected = (finding.why["demand_kw"] - 150.0) * 8000.0 * 1.1;
    let cost: f64 = finding.cost.as_ref().unwrap().amount.to_string().parse().unwrap();
    assert!((cost - expected).abs() < 10.0, "{cost} {expected}");
}

#[test]
fn a_peak_at_night_does_not_raise_the_bill() {
    check(
        power("main", "22:00:00", "23:00:00", 140.0),
        &[("off_hours_load.plant.20260828T130000Z", None, 134.625)],
    );
}

#[test]
fn one_silent_meter_is_named_and_all_together_are_the_site() {
    let alone = [
        power("press", "09:00:00", "09:10:00", 0.2),
        power("press", "09:40:00", "10:00:00", 0.2),
        power("main", "09:00:00", "10:00:00", 1.0),
    ]
    .concat();
    check(
        alone,
        &[("meter_silent.press.20260828T000950Z", Some("09:40:00"), -1.0)],
    );
    let mut together = Vec::new();
    for (from, until) in [("09:00:00", "09:10:00"), ("09:40:00", "10:00:00")] {
        together.extend(power("press", from, until, 0.2));
        together.extend(power("main", from, until, 1.0));
    }
    check(
        together,
        &[("meter_silent.plant.20260828T000950Z", Some("09:40:00"), -1.0)],
    );
}

/// That its last values are old is no sign of life.
#[test]
fn a_meter_of_which_only_old_values_are_heard_is_silent() {
    let mut stale = sample("press", at("09:12:00"), Quantity::ActivePower, 0.2);
    stale.readings[0].quality = Quality::Stale;
    let samples = [
        power("press", "09:00:00", "09:10:00", 0.2),
        vec![stale.clone()],
        power("press", "09:40:00", "10:00:00", 0.2),
        power("main", "09:00:00", "10:00:00", 1.0),
    ];
    check(
        samples.concat(),
        &[("meter_silent.press.20260828T000950Z", Some("09:40:00"), -1.0)],
    );
    let mut engine = Engine::new(site());
    engine.take(sample("press", at("09:11:50"), Quantity::ActivePower, 0.2));
    engine.take(stale);
    let now = engine.now().unwrap();
    let press = now.meters.iter().find(|meter| &*meter.meter == "press").unwrap();
    assert!(press.is_stale, "{press:?}");
}

#[test]
fn intervals_close_with_coverage_and_open_again_for_late_data() {
    let mut engine = Engine::new(site());
    for sample in power("main", "09:00:00", "09:20:00", 40.0) {
        let is_late = (at("09:05:00")..at("09:07:30")).contains(&sample.at);
        if !is_late {
            engine.take(sample);
        }
    }
    let intervals = engine.tick(at("09:16:00")).intervals;
    assert_eq!(intervals.len(), 1);
    assert!(
        (intervals[0].energy_import_kwh.unwrap() - 8.222).abs() < 0.001,
        "nothing is invented for the gap"
    );
    assert!((intervals[0].coverage - 0.822).abs() < 0.001);
    for sample in power("main", "09:05:00", "09:07:30", 40.0) {
        engine.take(sample);
    }
    let step = engine.tick(at("09:17:00"));
    assert_eq!(step.counts.late, 15);
    assert_eq!(step.intervals.len(), 1);
    assert_eq!((step.intervals[0].revision, step.intervals[0].coverage), (1, 1.0));
    assert!((step.intervals[0].energy_import_kwh.unwrap() - 10.0).abs() < 1e-9);
}

#[test]
fn a_counter_tells_the_energy_of_a_gap_and_marks_it() {
    let counter = |clock: &str, kwh| sample("main", at(clock), Quantity::EnergyImport, kwh);
    let samples = vec![
        counter("09:00:00", 100.0),
        counter("09:00:10", 100.1),
        counter("09:50:00", 130.0),
        counter("09:50:10", 130.1),
        counter("10:00:00", 136.0),
    ];
    let intervals = live(samples, None).intervals;
    let sum: f64 = intervals
        .values()
        .filter_map(|interval| interval.energy_import_kwh)
        .sum();
    assert!((sum - 36.0).abs() < 1e-9, "{sum}");
    assert!(
        intervals
            .values()
            .all(|interval| interval.quality == energy::Quality::Estimated)
    );
    assert!(intervals.values().all(|interval| interval.coverage < 0.05));
}

#[test]
fn repeated_and_contradicting_readings_are_counted() {
    let mut engine = Engine::new(site());
    for kwh in [5.0, 5.0, 6.0] {
        engine.take(sample("main", at("09:00:00"), Quantity::IntervalEnergy, kwh));
    }
    engine.take(sample("nobody", at("09:00:00"), Quantity::IntervalEnergy, 1.0));
    let step = engine.tick(at("09:15:00"));
    let refused = step.counts.refused;
    assert_eq!(
        (refused.duplicate, refused.conflict, step.counts.unknown_meter),
        (1, 1, 1)
    );
    assert_eq!(step.intervals[0].energy_import_kwh, Some(5.0), "the first value stays");
}

/// A day with idling, a peak, a gap and a load left on.
fn eventful_day() -> Vec<Sample> {
    [
        power("press", "08:00:00", "09:20:00", 30.0),
        power("press", "09:20:00", "09:50:00", 7.0),
        power("press", "09:50:00", "12:00:00", 30.0),
        power("press", "12:30:00", "17:30:00", 30.0),
        power("press", "17:30:00", "21:00:00", 7.0),
        power("main", "08:00:00", "10:00:00", 60.0),
        power("main", "10:00:00", "10:20:00", 140.0),
        power("main", "10:20:00", "21:00:00", 50.0),
    ]
    .concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Killed and taken up again at any minute, the engine says the same.
    #[test]
    fn a_restart_changes_nothing(minute in 0usize..780) {
        prop_assert_eq!(live(eventful_day(), Some(minute)), live(eventful_day(), None));
    }

    /// The order of arrival within a minute changes nothing.
    #[test]
    fn the_order_within_a_minute_changes_nothing(seed in any::<u64>()) {
        let mut samples = eventful_day();
        samples.sort_by_key(|sample| sample.at);
        let mut random = seed;
        for group in samples.chunk_by_mut(|a, b| a.at.as_second() / 60 == b.at.as_second() / 60) {
            for i in (1..group.len()).rev() {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                group.swap(i, (random >> 33) as usize % (i + 1));
            }
        }
        let mut engine = Engine::new(site());
        let mut outcome = Outcome::default();
        for group in samples.chunk_by(|a, b| a.at.as_second() / 60 == b.at.as_second() / 60) {
            for sample in group {
                engine.take(sample.clone());
            }
            outcome.keep(engine.tick(Timestamp::from_second((group[0].at.as_second() / 60 + 1) * 60).unwrap()));
        }
        outcome.keep(engine.finish());
        prop_assert_eq!(outcome, live(eventful_day(), None));
    }
}

/// A meter read each second whose energy register is read every ten: what is ten seconds apart is no gap there.
#[test]
fn a_register_that_is_read_less_often_has_longer_gaps() {
    let check = |slower_s: Option<i64>, expected: (f64, Quality)| {
        let mut site = site();
        let main = &mut site.meters[0];
        main.every = SignedDuration::from_secs(1);
        main.slower = slower_s
            .map(|seconds| (Quantity::EnergyImport, SignedDuration::from_secs(seconds)))
            .into_iter()
            .collect();
        let second = |second: i64| {
            let at = at("09:00:00") + SignedDuration::from_secs(second);
            let mut readings = vec![Reading::new(Quantity::ActivePower, 36.0)];
            if second % 10 == 0 {
                readings.push(Reading::new(Quantity::EnergyImport, 500.0 + second as f64 / 100.0));
            }
            Sample {
                meter: "main".into(),
                at,
                readings,
            }
        };
        let outcome = live_on(&site, (0..1810).map(second).collect(), None);
        let interval = &outcome.intervals[&(at("09:15:00"), "main".to_owned())];
        assert_eq!(interval.energy_import_kwh, Some(9.0));
        assert_eq!((interval.coverage, interval.quality), expected, "{slower_s:?}");
        assert_eq!(interval.revision, 0, "it closes once its energy is known");
    };
    check(Some(10), (1.0, Quality::Ok));
    check(None, (0.0, Quality::Estimated));
}
