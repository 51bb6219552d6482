//! Faults of registers as findings: reset, and stuck while energy was used.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use energy::{
    Quantity, Reading, Sample, Site,
    finding::{Condition, Kind},
    site::{Settings, Swap},
};
use jiff::SignedDuration;
use proptest::prelude::*;
use support::{Outcome, at, live_on, site};

/// The press draws 36 kW, 0.1 kWh between two readings, from 08:00 to 16:00.
const KW: f64 = 36.0;
const READINGS: i64 = 8 * 360;
/// Its register at 08:00, kWh.
const BEGIN_KWH: f64 = 1000.0;

/// The plant, looking for these kinds at the press alone.
fn watched(kinds: &[Kind]) -> Site {
    let mut site = site();
    for machine in &mut site.machines {
        machine.detect.clear();
        if *machine.name == *"press" {
            machine.detect = kinds.iter().map(|kind| (*kind, Settings::new())).collect();
        }
    }
    site
}

/// What the register should say at a clock time.
fn true_kwh(clock: &str) -> f64 {
    BEGIN_KWH + KW * at(clock).duration_since(at("08:00:00")).as_secs_f64() / 3600.0
}

/// The press's register, as `shown` turns what it should say, and its power.
fn day(kw: f64, shown: impl Fn(jiff::Timestamp, f64) -> f64) -> Vec<Sample> {
    let reading = |index: i64| {
        let now = at("08:00:00") + SignedDuration::from_secs(10 * index);
        let kwh = (10.0 * (BEGIN_KWH + kw * index as f64 / 360.0)).round() / 10.0;
        Sample {
            meter: "press".into(),
            at: now,
            readings: vec![
                Reading::new(Quantity::ActivePower, kw),
                Reading::new(Quantity::EnergyImport, shown(now, kwh)),
            ],
        }
    };
    (0..READINGS).map(reading).collect()
}

fn reset(from: &'static str) -> impl Fn(jiff::Timestamp, f64) -> f64 {
    move |now, kwh| if now < at(from) { kwh } else { kwh - true_kwh(from) }
}

fn frozen(from: &'static str, until: &'static str) -> impl Fn(jiff::Timestamp, f64) -> f64 {
    move |now, kwh| {
        let stands = at(from) <= now && now < at(until);
        if stands { true_kwh(from) } else { kwh }
    }
}

/// Id, when it was detected, when it ended.
type Told = (&'static str, &'static str, Option<&'static str>);

fn check(site: &Site, samples: Vec<Sample>, expected: &[Told]) -> Outcome {
    let outcome = live_on(site, samples, None);
    let found: Vec<_> = outcome
        .findings
        .values()
        .map(|finding| (finding.id.as_str(), finding.detected_at, finding.until))
        .collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(id, detected, until)| (*id, at(detected), until.map(at)))
        .collect();
    assert_eq!(found, expected);
    outcome
}

const BOTH: [Kind; 2] = [Kind::MeterReset, Kind::MeterStuck];

#[test]
fn a_reset_is_told_once_no_reading_can_turn_it() {
    // The last reading before it is of 09:59:50; an hour after it, at the tick behind 11:00, nothing can come back.
    let told = ("meter_reset.press.20260828T005950Z", "11:01:00", Some("10:00:00"));
    let outcome = check(&watched(&BOTH), day(KW, reset("10:00:00")), &[told]);
    let finding = outcome.findings.values().next().unwrap();
    assert_eq!((finding.state, finding.energy_kwh), (Condition::Closed, None));
    assert_eq!((finding.why["before_kwh"], finding.why["after_kwh"]), (1071.9, 0.0));
    assert_eq!(
        finding.title.en,
        "meter press: energy_import_kwh went from 1071.9 to 0: reset, or a change not entered in swaps"
    );
    // Switched off, nothing is said; neither where the change was entered.
    check(&watched(&[Kind::MeterStuck]), day(KW, reset("10:00:00")), &[]);
    let mut entered = watched(&BOTH);
    entered.meters[1].swaps.push(Swap {
        at: at("10:00:00"),
        last_kwh: 1072.0,
        first_kwh: 0.0,
        reason: None,
    });
    check(&entered, day(KW, reset("10:00:00")), &[]);
}

#[test]
fn a_register_that_comes_back_was_not_reset() {
    for until in ["10:05:00", "10:50:00"] {
        let zeros = |now, kwh| {
            if at("10:00:00") <= now && now < at(until) {
                0.0
            } else {
                kwh
            }
        };
        check(&watched(&BOTH), day(KW, zeros), &[]);
    }
}

/// At the recording's end nothing comes any more that could explain it.
#[test]
fn the_end_of_a_recording_is_final() {
    let told = ("meter_reset.press.20260828T063950Z", "16:00:00", Some("15:40:00"));
    check(&watched(&BOTH), day(KW, reset("15:40:00")), &[told]);
    let told = ("meter_stuck.press.20260828T052000Z", "14:31:00", None);
    check(&watched(&BOTH), day(KW, frozen("14:20:00", "23:00:00")), &[told]);
}

#[test]
fn standstills_that_adjoin_are_one_finding_with_what_was_spread() {
    let told = ("meter_stuck.press.20260828T002000Z", "09:31:00", Some("10:10:00"));
    let outcome = check(&watched(&BOTH), day(KW, frozen("09:20:00", "10:10:00")), &[told]);
    let finding = outcome.findings.values().next().unwrap();
    assert_eq!((finding.why["stood_s"], finding.why["register_kwh"]), (3000.0, 1048.0));
    assert!((finding.why["spread_kwh"] - 30.0).abs() < 0.2, "{:?}", finding.why);
    assert_eq!(finding.energy_kwh, None);
    assert_eq!(
        finding.title.en,
        "meter press: energy_import_kwh has not counted for 50 min while energy was used"
    );
}

#[test]
fn a_register_stands_still_rightly_when_nothing_is_used_or_for_a_moment() {
    check(&watched(&BOTH), day(0.0, |_, kwh| kwh), &[]);
    check(&watched(&BOTH), day(KW, frozen("09:20:00", "09:26:00")), &[]);
    check(
        &watched(&[Kind::MeterReset]),
        day(KW, frozen("09:20:00", "10:10:00")),
        &[],
    );
    let mut patient = watched(&BOTH);
    let press = patient.machines.iter_mut().find(|machine| *machine.name == *"press");
    let settings = Settings::from([("after".to_owned(), 3600.0)]);
    press.unwrap().detect.insert(Kind::MeterStuck, settings);
    check(&patient, day(KW, frozen("09:20:00", "10:10:00")), &[]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Killed and taken up again at any minute, the engine says the same.
    #[test]
    fn a_restart_changes_nothing(minute in 0usize..480) {
        let shown = |now, kwh| {
            let kwh = frozen("09:20:00", "10:10:00")(now, kwh);
            if now < at("12:00:00") { kwh } else { kwh - true_kwh("12:00:00") }
        };
        let site = watched(&BOTH);
        let whole = live_on(&site, day(KW, shown), None);
        prop_assert_eq!(whole.findings.len(), 2);
        prop_assert_eq!(live_on(&site, day(KW, shown), Some(minute)), whole);
    }
}

/// Nothing is heard while a meter is changed: the change explains it, as long as it may take.
#[test]
fn an_entered_change_explains_the_silence_around_it() {
    for (swap, until, n_silent) in [
        ("10:00:00", "10:50:00", 0),
        ("09:20:00", "09:50:00", 0),
        ("10:00:00", "14:00:00", 1),
        ("13:00:00", "13:10:00", 1),
    ] {
        let mut site = watched(&[Kind::MeterSilent]);
        site.meters.remove(0);
        site.meters[0].swaps.push(Swap {
            at: at(swap),
            last_kwh: 1072.0,
            first_kwh: 1072.0,
            reason: None,
        });
        let mut samples = day(KW, |_, kwh| kwh);
        samples.retain(|sample| sample.at < at("09:30:00") || sample.at >= at(until));
        let found = live_on(&site, samples, None).findings;
        assert_eq!(found.len(), n_silent, "{swap}: {found:#?}");
    }
}

/// A week of a plant that draws 100 kW from 8 to 18: its power and its register, of which `shown` makes what is read at a
/// minute from what has been used by then and by any other.
fn week(every: i64, kw: fn(i64) -> f64, shown: impl Fn(i64, &dyn Fn(i64) -> f64) -> Option<f64>) -> Outcome {
    let mut site = watched(&BOTH);
    site.meters.remove(0);
    site.meters[0].every = SignedDuration::from_mins(every);
    let mut used = vec![1234.5];
    (0..7 * 1440).for_each(|n| used.push(used[n as usize] + kw(n) / 60.0));
    let used = |n: i64| (used[n as usize] * 100.0).round() / 100.0;
    let sample = |n: i64| Sample {
        meter: "press".into(),
        at: at("00:00:00") + SignedDuration::from_mins(n),
        readings: [Reading::new(Quantity::ActivePower, kw(n))]
            .into_iter()
            .chain(shown(n, &used).map(|kwh| Reading::new(Quantity::EnergyImport, kwh)))
            .collect(),
    };
    let minutes = (0..7 * 1440).step_by(every as usize);
    live_on(&site, minutes.map(sample).collect(), None)
}

fn by_day(n: i64) -> f64 {
    let is_on = (480..1080).contains(&(n % 1440));
    if is_on { 100.0 } else { 0.0 }
}

/// However many nights lie in it, one cause is one finding; a register that says what its power says has none.
#[test]
fn a_register_that_does_not_count_through_nights_is_one_finding() {
    const FROM: i64 = 2 * 1440 + 600;
    const UNTIL: i64 = 5 * 1440 + 660;
    type Shown = fn(i64, &dyn Fn(i64) -> f64) -> Option<f64>;
    let cases: [(&str, Shown, Option<Condition>); 5] = [
        ("true", |n, used| Some(used(n)), None),
        (
            "frozen",
            |n, used| Some(used(if (FROM..UNTIL).contains(&n) { FROM } else { n })),
            Some(Condition::Closed),
        ),
        (
            "what is lost",
            |n, used| Some(used(n) + used(FROM) - used(n.clamp(FROM, UNTIL))),
            Some(Condition::Closed),
        ),
        (
            "gone",
            |n, used| Some(used(n)).filter(|_| n < FROM),
            Some(Condition::Open),
        ),
        (
            "gone at night",
            |n, used| Some(used(n)).filter(|_| n < FROM + 600),
            Some(Condition::Open),
        ),
    ];
    for (name, shown, state) in cases {
        for every in [1, 15, 60] {
            let found = week(every, by_day, shown).findings;
            let states: Vec<Condition> = found.values().map(|finding| finding.state).collect();
            let expected: Vec<Condition> = state.into_iter().collect();
            assert_eq!(states, expected, "{name}, {every} min: {found:#?}");
        }
    }
}

/// Power and the register of a small load, before its first step: 100 kWh at once.
#[test]
fn a_register_of_large_steps_is_not_stuck_before_its_first() {
    for every in [1, 15, 60] {
        for kwh in [10.0, 100.0] {
            let shown = |n: i64, used: &dyn Fn(i64) -> f64| Some((used(n) / kwh).floor() * kwh);
            let outcome = week(every, |_| 8.0, shown);
            assert!(outcome.findings.is_empty(), "{kwh} kWh: {:#?}", outcome.findings);
            assert!(outcome.named().is_empty(), "{kwh} kWh: {:?}", outcome.named());
        }
    }
}

/// What the finding of a day of zeros says agrees with the intervals: nothing was used, as far as the register knows.
#[test]
fn zeros_that_were_a_reset_say_so_once_it_counts() {
    const FROM: i64 = 2 * 1440 + 615;
    let zeros = |n: i64, used: &dyn Fn(i64) -> f64| match n - FROM {
        ..0 => Some(used(n)),
        0..1800 => Some(0.0),
        _ => Some(used(n) - used(FROM + 1800)),
    };
    let outcome = week(15, by_day, zeros);
    let titles: Vec<&str> = outcome
        .findings
        .values()
        .map(|finding| finding.title.en.as_str())
        .collect();
    assert_eq!(titles.len(), 2, "{titles:#?}");
    let stuck = titles
        .iter()
        .find(|title| title.contains("has said 0 for 30 h"))
        .unwrap();
    assert!(
        stuck.ends_with("it was reset, and has counted nothing in that time"),
        "{stuck}"
    );
}
