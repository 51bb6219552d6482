//! Demand peaks as registers of any step show them: none is said that was not, and a true one is said early.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use energy::{
    Finding, Quantity, Sample, Site,
    finding::{Condition, Kind},
};
use jiff::{SignedDuration, Timestamp};
use support::{at, live_on, sample, site};

/// The main meter alone, read each minute, and demand to be kept below 300 kW.
fn by_the_minute() -> Site {
    let mut site = site();
    site.meters.truncate(1);
    site.meters[0].every = SignedDuration::from_mins(1);
    site.machines.remove(0);
    site.machines[0].detect = [(Kind::DemandPeak, [("target_kw".to_owned(), 300.0)].into())].into();
    site
}

/// A counter of steps of `step_kwh`, read each minute from `from` on; `load` gives kW at a minute.
fn counter(from: Timestamp, n_minutes: i64, step_kwh: f64, load: impl Fn(i64) -> f64) -> Vec<Sample> {
    counter_each(60, from, n_minutes, step_kwh, load)
}

/// The same, read each `period_s`.
fn counter_each(
    period_s: i64,
    from: Timestamp,
    n_minutes: i64,
    step_kwh: f64,
    load: impl Fn(i64) -> f64,
) -> Vec<Sample> {
    let mut kwh = 1234.5;
    let reading = |index| {
        kwh += load(index * period_s / 60) * period_s as f64 / 3600.0;
        let shown_kwh = (kwh / step_kwh + 1e-9).floor() * step_kwh;
        let at = from + SignedDuration::from_secs(index * period_s);
        sample("main", at, Quantity::EnergyImport, shown_kwh)
    };
    (0..n_minutes * 60 / period_s).map(reading).collect()
}

/// The load of a plant that works by day: up to 130 kW, from minute to minute another.
fn plant_kw(minute: i64) -> f64 {
    let base_kw = if (480..1080).contains(&(minute % 1440)) {
        100.0
    } else {
        20.0
    };
    let (slow, fast) = ((minute as f64 / 16.3).sin(), (minute as f64 / 2.2).sin());
    base_kw * (1.0 + 0.2 * slow + 0.1 * fast)
}

fn peaks(site: &Site, samples: Vec<Sample>) -> Vec<Finding> {
    let mut found: Vec<_> = live_on(site, samples, None).findings.into_values().collect();
    found.retain(|finding| finding.kind == Kind::DemandPeak);
    found
}

#[test]
fn a_step_of_the_register_is_no_peak() {
    for step_kwh in [0.01, 1.0, 10.0, 50.0, 100.0] {
        let samples = counter(at("00:00:00"), 3 * 1440, step_kwh, plant_kw);
        let found = peaks(&by_the_minute(), samples);
        assert!(found.is_empty(), "{step_kwh}: {} of them: {:#?}", found.len(), found[0]);
    }
}

/// However often the counter is read: nothing of the running minute is used twice.
#[test]
fn a_load_just_below_the_target_is_no_peak() {
    let cases = [
        (1, 90, 0.01),
        (10, 1440, 0.01),
        (20, 1440, 0.01),
        (60, 1440, 0.01),
        (60, 1440, 10.0),
        (900, 1440, 10.0),
    ];
    for (period_s, n_minutes, step_kwh) in cases {
        let mut site = by_the_minute();
        site.meters[0].every = SignedDuration::from_secs(period_s);
        let samples = counter_each(period_s, at("09:00:00"), n_minutes, step_kwh, |_| 290.0);
        let found = peaks(&site, samples);
        assert!(
            found.is_empty(),
            "{period_s} s: {} of them: {:#?}",
            found.len(),
            found[0]
        );
    }
}

#[test]
fn a_true_peak_is_forecast_as_early_as_the_step_allows() {
    let check = |step_kwh: f64, peak_kw: f64, since: &str, detected: &str| {
        let load = |minute| {
            if (600..630).contains(&minute) {
                peak_kw
            } else {
                plant_kw(minute)
            }
        };
        let found = peaks(&by_the_minute(), counter(at("00:00:00"), 660, step_kwh, load));
        let said: Vec<_> = found
            .iter()
            .map(|finding| (finding.since, finding.detected_at))
            .collect();
        assert_eq!(said, [(at(since), at(detected))], "{step_kwh}: {found:#?}");
        assert_eq!(found[0].state, Condition::Closed);
    };
    check(0.01, 330.0, "10:00:00", "10:05:00");
    check(1.0, 600.0, "10:00:00", "10:05:00");
    check(1.0, 400.0, "10:00:00", "10:05:00");
    check(10.0, 600.0, "10:00:00", "10:05:00");
    // The band of ten kWh in a quarter hour is 40 kW: the first, of 320 kW as metered, cannot be told.
    check(10.0, 330.0, "10:15:00", "10:20:00");
}

/// Power that no plant of this contract can draw is none: what is said is what had been said without those readings.
#[test]
fn a_power_that_cannot_be_is_no_load() {
    let check = |impossible: std::ops::Range<i64>| {
        let mut site = by_the_minute();
        site.machines[0]
            .detect
            .insert(Kind::OffHoursLoad, [("above_kw".to_owned(), 5.0)].into());
        let is_impossible = |minute: &i64| impossible.contains(minute);
        let power = |minute: i64| {
            let kw = if is_impossible(&minute) {
                50_000.0
            } else {
                plant_kw(minute)
            };
            sample(
                "main",
                at("00:00:00") + SignedDuration::from_mins(minute),
                Quantity::ActivePower,
                kw,
            )
        };
        let minutes = 0..1440;
        let lived = live_on(&site, minutes.clone().map(power).collect(), None);
        let without = minutes.filter(|minute| !is_impossible(minute)).map(power).collect();
        assert_eq!(lived.findings, live_on(&site, without, None).findings, "{impossible:?}");
    };
    check(615..616);
    check(180..181);
    check(180..220);
}
