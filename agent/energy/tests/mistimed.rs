//! Readings that are stamped when they come: what a broker held back in a cut of the line comes at once, a slow answer tells of
//! a later time than its request.
//!
//! Each case is the register of a plant that draws 100 kW. Held: all energy is told, none of it as a peak, nothing but the
//! silence is named, and no fault of the meter is told.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use std::ops::RangeInclusive;

use energy::{Quantity, Sample, Site, interval::RepairKind};
use jiff::SignedDuration;
use support::{Outcome, at, live_on, main_watched, sample};

const KW: f64 = 100.0;
const DAY_S: i64 = 86_400;
/// When the line is cut, or answers are slow: in the third day, in the middle of a quarter hour.
const FROM_S: i64 = 2 * DAY_S + 36_100;

/// What the register says, at an instant in ms.
fn said(came_ms: i64, kwh: f64) -> Sample {
    let came = at("00:00:00") + SignedDuration::from_millis(came_ms);
    sample("main", came, Quantity::EnergyImport, kwh)
}

/// Readings of these instants, in ms: when each was taken, and when it came.
fn lived(site: &Site, readings: impl Iterator<Item = (i64, i64)>) -> Outcome {
    // To a watt-hour, and not the same in each quarter hour, or that would be the register's step.
    let used = |taken_ms: i64| 5003.217 + KW * taken_ms as f64 / 3.6e6 + 0.004 * (taken_ms as f64 / 7e5).sin();
    let sample = |(taken_ms, came_ms)| said(came_ms, (1000.0 * used(taken_ms)).floor() / 1000.0);
    live_on(site, readings.map(sample).collect(), None)
}

/// All that was used is told, but for what may be missing; at no higher power; and no fault of the meter.
fn check_told(name: &str, outcome: &Outcome, truth: f64, may_miss: RangeInclusive<f64>, most_kw: f64) {
    let (told, highest_kw) = (outcome.sum_kwh(), outcome.highest_kw());
    assert!(may_miss.contains(&(truth - told)), "{name}: {told}, not {truth}");
    assert!(highest_kw < most_kw, "{name}: {highest_kw} kW");
    assert!(outcome.findings.is_empty(), "{name}: {:#?}", outcome.findings);
}

fn check(name: &str, outcome: &Outcome, until_s: i64) {
    let (told, truth) = (outcome.sum_kwh(), KW * until_s as f64 / 3600.0);
    assert!((told - truth).abs() < 0.01, "{name}: {told}, not {truth}");
    let highest = outcome.highest_kw();
    assert!(highest < 1.15 * KW, "{name}: {highest} kW");
    // Where it was not heard meanwhile there is a gap.
    let named = outcome.named();
    assert!(named.is_subset(&[RepairKind::GapSpread].into()), "{name}: {named:?}");
    assert!(outcome.findings.is_empty(), "{name}: {:#?}", outcome.findings);
}

#[test]
fn what_was_held_back_is_spread_over_the_silence() {
    for (every_s, cut_s) in [(1, 300), (10, 600), (10, 3600), (60, 3600), (60, 30 * 3600)] {
        // One a millisecond, ten at once, all at once.
        for (n_at_once, contract_kw) in [(1, None), (1, Some(500.0)), (10, None), (1_000_000, Some(500.0))] {
            let until_s = 4 * DAY_S;
            let ends_ms = (FROM_S + cut_s) * 1000;
            let mut n_held = 0;
            let came = |taken_s: i64| {
                if !(FROM_S..FROM_S + cut_s).contains(&taken_s) {
                    return Some((taken_s * 1000, taken_s * 1000));
                }
                n_held += 1;
                // A second one of the same instant is refused.
                let is_first = (n_held - 1) % n_at_once == 0;
                is_first.then_some((taken_s * 1000, ends_ms - 1000 + (n_held - 1) / n_at_once % 900))
            };
            let taken = (0..=until_s).step_by(every_s as usize);
            let outcome = lived(&main_watched(every_s, contract_kw), taken.filter_map(came));
            let name = format!("{cut_s} s, one in {every_s} s, {n_at_once} at once, {contract_kw:?}");
            check(&name, &outcome, until_s);
        }
    }
}

#[test]
fn a_slow_answer_is_no_leap() {
    for (every_s, slow_ms, contract_kw) in [
        (1, 2900, None),
        (1, 4900, None),
        (1, 4900, Some(500.0)),
        (1, 9000, None),
        (2, 5000, None),
        (10, 30_000, None),
    ] {
        let until_s = 3 * DAY_S;
        let is_skipped = |taken_s: i64| taken_s > FROM_S && taken_s * 1000 < FROM_S * 1000 + slow_ms;
        let taken = (0..=until_s)
            .step_by(every_s as usize)
            .filter(|taken_s| !is_skipped(*taken_s));
        let from_s = FROM_S / every_s * every_s;
        let readings = taken.map(|taken_s| {
            (
                taken_s * 1000 + if taken_s == from_s { slow_ms } else { 0 },
                taken_s * 1000,
            )
        });
        let outcome = lived(&main_watched(every_s, contract_kw), readings);
        let name = format!("{slow_ms} ms, read each {every_s} s, {contract_kw:?}");
        check(&name, &outcome, until_s);
    }
}

/// A clock was ahead, or behind, for a day and was set right: some instants come twice. Which of them is right nobody knows; no
/// peak is made of it, no fault of the meter is told, and no more is missing than was used while it was off: as the readings
/// came, and as a recording in order of time has them.
#[test]
fn a_clock_that_was_off_for_a_day_makes_no_peak() {
    // A tenth more and a tenth less in turns of two hours.
    let used = |taken_s: i64| KW * (taken_s as f64 / 3600.0 + 0.0318 * (taken_s as f64 / 1146.0).sin());
    for (every_s, step) in [(10, 0.01), (60, 0.001), (60, 1.0), (900, 0.001), (900, 1.0)] {
        for off_s in [900, 1800, 3600, -900, -1800, -3600, 9 * 3600] {
            for by_time in [false, true] {
                // In the middle of a quarter hour, too: what is forecast of it must not take the step for power.
                let from_s = FROM_S / 900 * 900 + if every_s == 60 && by_time { 720 } else { 0 };
                let is_off = |taken_s: i64| (from_s..from_s + DAY_S).contains(&taken_s);
                let until_s = 5 * DAY_S;
                let sample = |taken_s: i64| {
                    let came_s = taken_s + if is_off(taken_s) { off_s } else { 0 };
                    said(came_s * 1000, ((5003.217 + used(taken_s)) / step).floor() * step)
                };
                let mut samples: Vec<Sample> = (0..=until_s).step_by(every_s as usize).map(sample).collect();
                if by_time {
                    samples.sort_by_key(|sample| sample.at);
                }
                // Of two values for one instant the wrong clock's came first.
                let contract_kw = if by_time { 130.0 } else { 500.0 };
                let outcome = live_on(&main_watched(every_s, Some(contract_kw)), samples, None);
                let name = format!("{off_s} s off, read each {every_s} s to {step} kWh, by time {by_time}");
                let (told, truth) = (outcome.sum_kwh(), used(until_s));
                let most = 1.1 * KW * (off_s.abs() + every_s) as f64 / 3600.0 + step + 0.01;
                assert!(
                    (-step - 0.01..=most).contains(&(truth - told)),
                    "{name}: {told}, not {truth}"
                );
                assert!(
                    outcome.highest_kw() < 1.15 * 1.1 * KW + 4.0 * step,
                    "{name}: {} kW",
                    outcome.highest_kw()
                );
                assert!(outcome.findings.is_empty(), "{name}: {:#?}", outcome.findings);
            }
        }
    }
}

/// A clock that is wrong again and again, and a second gateway that says nearly the same beside it, or said it once: none of it
/// takes away what is known of the clock.
#[test]
fn a_clock_that_is_set_again_and_again_makes_no_peak() {
    const HOUR_S: i64 = 3600;
    /// How often it is read, by how much the clock is off, in which hours of the third day on, and when another value of the
    /// same instant comes after one.
    type Case<'a> = (i64, i64, &'a [(i64, i64)], fn(i64) -> bool);
    let used = |taken_s: i64| KW * (taken_s as f64 / 3600.0 + 0.0318 * (taken_s as f64 / 1146.0).sin());
    let none = |_| false;
    let daily: &[(i64, i64)] = &[(3, 9), (27, 33), (51, 57)];
    let in_turns: &[(i64, i64)] = &[(8, 10), (12, 14), (16, 18)];
    let once: &[(i64, i64)] = &[(3, 9)];
    let cases: [Case<'_>; 11] = [
        (900, HOUR_S, daily, none),
        (900, HOUR_S, in_turns, none),
        (900, -HOUR_S, daily, none),
        (900, 1800, in_turns, none),
        (60, HOUR_S, in_turns, none),
        (3600, 3 * HOUR_S, daily, none),
        (900, HOUR_S, once, |taken_s| taken_s == 2 * DAY_S - 4 * HOUR_S),
        (900, HOUR_S, once, |taken_s| taken_s == 2 * DAY_S + 10 * HOUR_S),
        (60, 1800, once, |_| true),
        // A second value for each instant but those that the wrong clock stamped, or but those that it did not.
        (900, HOUR_S, once, |taken_s| {
            !(2 * DAY_S + 3 * HOUR_S..2 * DAY_S + 11 * HOUR_S).contains(&taken_s)
        }),
        (900, HOUR_S, once, |taken_s| {
            (2 * DAY_S + 3 * HOUR_S..2 * DAY_S + 9 * HOUR_S).contains(&taken_s)
        }),
    ];
    for (nth, (every_s, off_s, spans, has_second)) in cases.into_iter().enumerate() {
        for (beside, by_time) in [(0.02, false), (-0.05, false), (0.02, true)] {
            let until_s = 6 * DAY_S;
            let samples = (0..=until_s).step_by(every_s as usize).flat_map(|taken_s| {
                let hour = |span: &(i64, i64)| (span.0 * HOUR_S..span.1 * HOUR_S).contains(&(taken_s - 2 * DAY_S));
                let came_s = taken_s + if spans.iter().any(hour) { off_s } else { 0 };
                let kwh = ((5003.217 + used(taken_s)) * 100.0).floor() / 100.0;
                let second = has_second(taken_s).then(|| said(came_s * 1000, kwh + beside));
                [said(came_s * 1000, kwh)].into_iter().chain(second)
            });
            let mut samples: Vec<Sample> = samples.collect();
            if by_time {
                samples.sort_by_key(|sample| sample.at);
            }
            let outcome = live_on(&main_watched(every_s, Some(500.0)), samples, None);
            let name = format!("{nth}: {off_s} s off, read each {every_s} s, {beside} beside, by time {by_time}");
            let n_set = spans.len() as i64;
            let most = 1.1 * KW * (n_set * (off_s.abs() + every_s)) as f64 / 3600.0 + 0.1;
            check_told(&name, &outcome, used(until_s), -0.1..=most, 1.15 * 1.1 * KW);
        }
    }
}

/// Two gateways deliver one meter, or one that also speaks when something changes, by stamps that are the same: one value of
/// each instant counts, and no energy is lost by the other.
#[test]
fn two_values_for_each_instant_are_one_meter() {
    for (every_s, lag_s, step, other_step) in [
        (1, 1, 1.0, 1.0),
        (10, 8, 1.0, 1.0),
        (60, 36, 0.001, 0.001),
        (900, 540, 0.001, 0.001),
        (60, 60, 0.3, 0.3),
        (900, 900, 3.0, 3.0),
        (60, 0, 1.0, 0.01),
        (10, 0, 0.01, 1.0),
        (60, 0, 10.0, 0.1),
        (10, 0, 10.0, 0.1),
        (10, 5, 1.0, 0.01),
        (900, 450, 10.0, 0.1),
    ] {
        let until_s = 2 * DAY_S;
        let sample = |at_s: i64, lag_s: i64, step: f64| {
            let kwh = 5003.217 + 20.0 * (at_s + lag_s) as f64 / 3600.0 + (at_s as f64 / 5000.0).sin();
            said(at_s * 1000, (kwh / step).floor() * step)
        };
        let both = |at_s: i64| [sample(at_s, 0, step), sample(at_s, lag_s, other_step)];
        let samples = (0..=until_s).step_by(every_s as usize).flat_map(both);
        let outcome = live_on(&main_watched(every_s, Some(500.0)), samples.collect(), None);
        let name = format!("each {every_s} s, {lag_s} s later, {step} and {other_step} kWh");
        let (told, truth) = (outcome.sum_kwh(), 20.0 * until_s as f64 / 3600.0);
        let most = 1.0 + 2.0 * step.max(other_step) + 40.0 * every_s as f64 / 3600.0;
        assert!((told - truth).abs() <= most, "{name}: {told}, not {truth}");
        assert!(outcome.findings.is_empty(), "{name}: {:#?}", outcome.findings);
    }
}

/// A second gateway that is late, that stops, comes back or leaves instants out: of two values the one that is not late counts, so
/// that no energy is lost and none comes twice, whatever the load does.
#[test]
fn a_late_gateway_beside_another_changes_nothing() {
    /// How often it is read, how late the second gateway is, in whose place it comes, and which instants it leaves out of its
    /// day and a half.
    type Case = (i64, i64, bool, fn(i64) -> bool);
    let never = |_| false;
    let cases: [Case; 16] = [
        (900, 900, true, never),
        (900, 900, false, never),
        (900, 600, true, never),
        // By more than one period.
        (900, 1350, true, never),
        (900, 1800, false, |taken_s| taken_s / 900 % 5 == 3),
        (60, 90, true, |taken_s| taken_s / 60 % 5 == 3),
        (10, 25, false, |taken_s| taken_s / 10 % 5 == 3),
        (900, 900, true, |taken_s| taken_s / 900 % 11 == 7),
        (900, 900, true, |taken_s| taken_s / 900 % 4 == 3),
        (900, 900, true, |taken_s| taken_s / 900 % 7 < 3),
        (900, 900, true, |taken_s| taken_s % DAY_S < 6 * 3600),
        (300, 150, true, |taken_s| taken_s / 300 % 7 == 6),
        (60, 60, true, never),
        (60, 60, true, |taken_s| taken_s / 60 % 7 == 6),
        (10, 10, true, never),
        (10, 8, true, |taken_s| taken_s / 10 % 5 == 3),
    ];
    for (nth, (every_s, late_s, is_first, is_out)) in cases.into_iter().enumerate() {
        // Steady; with the load of each reading in turns, and of each hour.
        for (high_kw, turn_s) in [(KW, DAY_S), (4.0 * KW, every_s), (4.0 * KW, 3600)] {
            let used = |taken_s: i64| {
                let n_turns = taken_s.div_euclid(2 * turn_s);
                let in_turn_s = taken_s.rem_euclid(2 * turn_s);
                let high_s = n_turns * turn_s + in_turn_s.min(turn_s);
                (high_kw * high_s as f64 + KW * (taken_s - high_s) as f64) / 3600.0
            };
            let until_s = 6 * DAY_S;
            let read =
                |at_s: i64, taken_s: i64| said(at_s * 1000, ((5003.217 + used(taken_s)) * 100.0).floor() / 100.0);
            let is_late = |at_s: i64| (FROM_S..FROM_S + DAY_S + DAY_S / 2).contains(&at_s) && !is_out(at_s);
            let samples = (0..=until_s).step_by(every_s as usize).flat_map(|at_s| {
                let late = is_late(at_s).then(|| read(at_s, at_s - late_s));
                let mut both: Vec<Sample> = late.into_iter().chain([read(at_s, at_s)]).collect();
                if !is_first {
                    both.reverse();
                }
                both
            });
            for contract_kw in [None, Some(3000.0)] {
                let outcome = live_on(&main_watched(every_s, contract_kw), samples.clone().collect(), None);
                let name =
                    format!("{nth}: one in {every_s} s, {late_s} s late, {high_kw} kW for {turn_s} s, {contract_kw:?}");
                let (told, truth) = (outcome.sum_kwh(), used(until_s));
                assert!((truth - told).abs() < 0.1, "{name}: {told}, not {truth}");
                let highest_kw = outcome.highest_kw();
                assert!(highest_kw < 1.001 * high_kw + 0.1, "{name}: {highest_kw} kW");
                assert!(outcome.findings.is_empty(), "{name}: {:#?}", outcome.findings);
            }
        }
    }
}

/// An instant that comes again and again, since stamps are cut to the minute or several gateways deliver: all that the register
/// counts is counted, though it rises more than ever before for one period only.
#[test]
fn instants_that_come_often_lose_no_power() {
    /// One reading in so many seconds, stamped with the last of so many, by gateways that are late by so much.
    type Case<'a> = (i64, i64, &'a [i64]);
    let cases: [Case<'_>; 12] = [
        // Once and twice in turns, and twice now and then.
        (40, 60, &[0]),
        (50, 60, &[0]),
        (20, 60, &[0]),
        (10, 60, &[0]),
        (15, 60, &[0]),
        (60, 300, &[0]),
        (300, 900, &[0]),
        (900, 900, &[5, 0]),
        (900, 900, &[120, 60, 0]),
        (300, 300, &[5, 0]),
        (60, 60, &[10, 5, 0]),
        (60, 60, &[90, 0]),
    ];
    // 20 kW; more for a quarter of an hour in each of the day's hours, for the day, or on the last day once.
    let loads: [fn(i64) -> f64; 3] = [
        |at_s| if at_s % 3600 < 900 { 400.0 } else { 20.0 },
        |_| 100.0,
        |at_s| {
            if at_s / DAY_S == 3 && at_s % DAY_S / 900 == 50 {
                400.0
            } else {
                60.0
            }
        },
    ];
    for (every_s, stamp_s, late_s) in cases {
        for (nth, load) in loads.into_iter().enumerate() {
            let until_s = 4 * DAY_S;
            let sums = sums(|at_s| if is_day(at_s) { load(at_s) } else { 20.0 }, until_s);
            let samples = (0..=until_s).step_by(every_s as usize).flat_map(|at_s| {
                let stamped_s = at_s / stamp_s * stamp_s;
                let late = late_s.iter().map(|late_s| read(&sums, stamped_s, at_s - late_s));
                late.collect::<Vec<_>>()
            });
            let outcome = live_on(&main_watched(every_s, Some(900.0)), samples.collect(), None);
            let name = format!("load {nth}: one in {every_s} s, stamped each {stamp_s} s, late by {late_s:?} s");
            let (told, truth) = (outcome.sum_kwh(), sums[sums.len() - 1]);
            // As long as it is not known that instants come often, in the night that it begins in, a few are in doubt.
            let most = 0.1 + 20.0 * (3 * stamp_s) as f64 / 3600.0;
            assert!((-0.1..=most).contains(&(truth - told)), "{name}: {told}, not {truth}");
            let (highest_kw, due_kw) = (outcome.highest_kw(), [400.0, 100.0, 400.0][nth]);
            // Where stamps are cut, each is off by up to that.
            let slack = if stamp_s > every_s {
                400.0 * stamp_s as f64 / 900.0
            } else {
                0.0
            };
            assert!(
                (highest_kw - due_kw).abs() < 0.01 * due_kw + slack,
                "{name}: {highest_kw} kW"
            );
            assert!(outcome.findings.is_empty(), "{name}: {:#?}", outcome.findings);
        }
    }
}

/// What a plant has used by each fifth second. Its power wavers, or a quarter hour's use would be the register's step.
fn sums(kw: impl Fn(i64) -> f64, until_s: i64) -> Vec<f64> {
    let mut sum = 0.0;
    let steps = (0..=until_s / 5).map(|nth| {
        let (before, at_s) = (sum, nth * 5);
        sum += kw(at_s) * (1.0 - 0.01 * (at_s as f64 / 1146.0).sin().abs()) * 5.0 / 3600.0;
        before
    });
    steps.collect()
}

/// What a register of 0.01 kWh said at `taken_s` of what had been used by then, stamped with another second.
fn read(sums: &[f64], stamped_s: i64, taken_s: i64) -> Sample {
    let used = sums[(taken_s.max(0) / 5) as usize];
    said_of(stamped_s, 5003.217 + used, 0.01)
}

/// What a register of such steps says of so many kWh.
fn said_of(stamped_s: i64, kwh: f64, step_kwh: f64) -> Sample {
    let steps_a_kwh = 1.0 / step_kwh;
    said(stamped_s * 1000, (kwh * steps_a_kwh).floor() / steps_a_kwh)
}

/// The same of a plant that draws so much by day, and 20 kW by night.
fn by_day(kw: f64, until_s: i64) -> Vec<f64> {
    sums(|at_s| if is_day(at_s) { kw } else { 20.0 }, until_s)
}

fn is_day(at_s: i64) -> bool {
    (8..18).contains(&(at_s % DAY_S / 3600))
}

/// Of two or three gateways one has its clock set, for an hour or more: no peak is made of it, no fault of the meter is told, and no
/// more is missing than it was off by, twice.
#[test]
fn one_clock_of_several_that_is_set_makes_no_peak() {
    for (every_s, off_s, length_s) in [
        (900, 3600, 3600),
        (900, 900, 2700),
        (900, 900, 3600),
        (900, 1800, 7200),
        (300, 1800, 3600),
        (300, -3600, 3600),
        (300, 3600, DAY_S),
        (60, 600, 3600),
        (60, 3600, 3600),
        (60, 1800, 7200),
    ] {
        for (n_gateways, of, late_s) in [(2, 0, 5), (2, 1, 5), (2, 1, 0), (3, 0, 5), (3, 1, 5)] {
            let until_s = 5 * DAY_S;
            let sums = by_day(500.0, until_s);
            let is_off = |at_s: i64| (FROM_S..FROM_S + length_s).contains(&at_s);
            let read_by = |at_s: i64, nth: i64| {
                let off_s = if nth == of && is_off(at_s) { off_s } else { 0 };
                read(&sums, at_s - off_s, at_s - late_s * nth)
            };
            let samples = (every_s..=until_s).step_by(every_s as usize);
            let samples = samples.flat_map(|at_s| (0..n_gateways).map(move |nth| (at_s, nth)));
            let samples = samples.map(|(at_s, nth)| read_by(at_s, nth)).collect();
            let outcome = live_on(&main_watched(every_s, Some(900.0)), samples, None);
            let name = format!(
                "{n_gateways} gateways {late_s} s late, each {every_s} s, {of} is {off_s} s off for {length_s} s"
            );
            let most = 500.0 * 2.0 * (off_s.abs() + every_s) as f64 / 3600.0;
            check_told(&name, &outcome, sums[sums.len() - 1], -3.0..=most, 1.01 * 500.0);
        }
    }
}

/// Where a register of coarse steps, or one at rest, makes two gateways agree, one value that a clock of them stamps an hour too
/// early is one too many all the same.
#[test]
fn a_set_clock_beside_two_that_agree_makes_no_peak() {
    for (every_s, night_kw, step_kwh) in [(900, 20.0, 0.1), (900, 20.0, 1.0), (900, 0.0, 0.01), (300, 20.0, 1.0)] {
        for (of, n_off) in [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)] {
            let until_s = 3 * DAY_S;
            let sums = sums(
                |at_s| {
                    let is_lunch = at_s % DAY_S / 3600 == 12;
                    if is_day(at_s) && !is_lunch { 300.0 } else { night_kw }
                },
                until_s,
            );
            let from_s = 2 * DAY_S + 48_600;
            let read_by = |at_s: i64, nth: i64| {
                let is_off = nth == of && (from_s..from_s + n_off * every_s).contains(&at_s);
                let used = sums[((at_s - 5 * nth) / 5) as usize];
                said_of(at_s - if is_off { 3600 } else { 0 }, 5003.217 + used, step_kwh)
            };
            let samples = (every_s..=until_s).step_by(every_s as usize);
            let samples = samples.flat_map(|at_s| [read_by(at_s, 0), read_by(at_s, 1)]).collect();
            let outcome = live_on(&main_watched(every_s, Some(900.0)), samples, None);
            let name = format!(
                "each {every_s} s in steps of {step_kwh} kWh, {night_kw} kW at rest, {of} an hour off for {n_off}"
            );
            let most = 300.0 * (3600 + n_off * every_s) as f64 / 3600.0;
            check_told(
                &name,
                &outcome,
                sums[sums.len() - 1],
                -3.0..=most,
                1.01 * 300.0 + 8.0 * step_kwh,
            );
        }
    }
}

/// One of two gateways has lost its meter and says zero for hours: nothing is lost of what the other tells, no peak and no fault is
/// made of it, and none where that one is silent meanwhile. Which quarter hours may be unknown until it ends.
#[test]
fn zeros_beside_a_true_value_are_none() {
    for (every_s, base_kwh) in [
        (900, 5.0),
        (900, 5003.217),
        (900, 905_003.217),
        (60, 5003.217),
        (60, 905_003.217),
    ] {
        for (from_h, n_hours, late_s, n_out) in [
            (50, 3, 90, 0),
            (50, 8, 450, 0),
            (51, 20, 0, 1),
            (56, 20, 450, 3),
            (57, 12, 90, 7),
            (60, 8, 90, 7),
        ] {
            let until_s = 6 * DAY_S;
            let out_from_s = (from_h + 1) * 3600;
            let is_out = |at_s: i64, nth: i64| nth == 0 && (out_from_s..out_from_s + n_out * every_s).contains(&at_s);
            for load in [
                |at_s: i64| if at_s % 3600 < 900 { 400.0 } else { 20.0 },
                |at_s: i64| if is_day(at_s) { 300.0 } else { 0.0 },
            ] {
                let sums = sums(load, until_s);
                let said_by = |at_s: i64, nth: i64| {
                    let is_lost = nth == 1 && (from_h..from_h + n_hours).contains(&(at_s / 3600));
                    let taken_s = (at_s - late_s * nth).max(0);
                    let kwh = base_kwh + sums[(taken_s / 5) as usize];
                    said_of(at_s, if is_lost { 0.0 } else { kwh }, 0.01)
                };
                let samples = (every_s..=until_s).step_by(every_s as usize);
                let samples = samples.flat_map(|at_s| [(at_s, 0), (at_s, 1)]);
                let samples = samples.filter(|(at_s, nth)| !is_out(*at_s, *nth));
                let samples = samples.map(|(at_s, nth)| said_by(at_s, nth)).collect();
                let outcome = live_on(&main_watched(every_s, Some(900.0)), samples, None);
                let name = format!(
                    "each {every_s} s from {base_kwh} kWh: zeros from hour {from_h} for {n_hours} h, {late_s} s late, \
                     the other silent for {n_out}"
                );
                // What is used before the first instant is in no interval.
                let first = sums[(every_s / 5) as usize];
                check_told(&name, &outcome, sums[sums.len() - 1] - first, -0.1..=0.1, 1.03 * 400.0);
            }
        }
    }
}

/// Of two gateways, or of cut stamps, the instant in which the register falls has values of before and after: it is found all the same.
#[test]
fn a_fall_in_an_instant_with_several_values_is_a_reset() {
    for (every_s, stamp_s, late_s) in [
        (900, 900, Some(450)),
        (60, 60, Some(30)),
        (10, 60, None),
        (20, 60, None),
    ] {
        for (fall_kwh, at_s) in [
            (5000.0, FROM_S),
            (400.0, FROM_S),
            (400.0, 2 * DAY_S),
            (400.0, FROM_S + 1220),
        ] {
            let until_s = 4 * DAY_S;
            let sums = by_day(500.0, until_s);
            let at_s = at_s / every_s * every_s;
            let read = |stamped_s: i64, taken_s: i64| {
                let mut sample = read(&sums, stamped_s, taken_s);
                if taken_s >= at_s {
                    let reading = &mut sample.readings[0];
                    let counted = sums[(taken_s / 5) as usize] - sums[(at_s / 5) as usize];
                    reading.value = if fall_kwh == 5000.0 {
                        counted
                    } else {
                        reading.value - fall_kwh
                    };
                }
                sample
            };
            let samples = (every_s..=until_s).step_by(every_s as usize).flat_map(|taken_s| {
                let stamped_s = taken_s / stamp_s * stamp_s;
                let late = late_s.map(|late_s| read(stamped_s, taken_s - late_s));
                [read(stamped_s, taken_s)].into_iter().chain(late)
            });
            let outcome = live_on(&main_watched(every_s, Some(900.0)), samples.collect(), None);
            let name = format!("one in {every_s} s, stamped each {stamp_s} s, falls by {fall_kwh} kWh at {at_s} s");
            let kinds: Vec<_> = outcome.findings.values().map(|finding| finding.kind).collect();
            assert_eq!(kinds, [energy::finding::Kind::MeterReset], "{name}");
            let (told, truth) = (outcome.sum_kwh(), sums[sums.len() - 1]);
            let most = 500.0 * 2.0 * stamp_s.max(every_s) as f64 / 3600.0 + 1.0;
            assert!((-1.0..=most).contains(&(truth - told)), "{name}: {told}, not {truth}");
        }
    }
}

/// A register that falls while nothing is used has fallen, though a gateway that is late says the old values for two instants.
#[test]
fn a_fall_in_a_standstill_beside_a_late_gateway_is_a_reset() {
    for (every_s, late_s, fall_kwh) in [
        (300, 450, 30.0),
        (300, 600, 400.0),
        (900, 1350, 1200.0),
        (60, 75, 1200.0),
    ] {
        let (until_s, at_s) = (4 * DAY_S, 2 * DAY_S + 10_800);
        let sums = sums(|at_s| if is_day(at_s) { 300.0 } else { 0.0 }, until_s);
        let read_by = |stamped_s: i64, late_s: i64| {
            let taken_s = (stamped_s - late_s).max(0);
            let fallen = if taken_s >= at_s { fall_kwh } else { 0.0 };
            said_of(stamped_s, 5003.217 + sums[(taken_s / 5) as usize] - fallen, 0.01)
        };
        let samples = (every_s..=until_s).step_by(every_s as usize);
        let samples = samples.flat_map(|at_s| [read_by(at_s, 0), read_by(at_s, late_s)]);
        let outcome = live_on(&main_watched(every_s, Some(900.0)), samples.collect(), None);
        let name = format!("falls by {fall_kwh} kWh, one in {every_s} s, the other {late_s} s late");
        let kinds: Vec<_> = outcome.findings.values().map(|finding| finding.kind).collect();
        assert_eq!(kinds, [energy::finding::Kind::MeterReset], "{name}");
        let (told, truth) = (outcome.sum_kwh(), sums[sums.len() - 1]);
        assert!((told - truth).abs() < 0.1, "{name}: {told}, not {truth}");
    }
}

/// One gateway whose clock is set back, or forth, for a few readings and right again, each day: each of them finds its place.
#[test]
fn a_clock_that_is_off_for_a_few_readings_takes_nothing() {
    for (every_s, n_periods, n_off) in [
        (900, 1, 1),
        (900, 2, 2),
        (900, 4, 3),
        (900, -4, 2),
        (900, 12, 2),
        (300, 3, 3),
        (300, -12, 3),
        (60, 8, 5),
        (60, 12, 7),
        (900, -12, 12),
        (300, -2, 2),
        (60, -12, 12),
    ] {
        for (hour, load) in [(10, 500.0), (2, 500.0), (8, 500.0), (10, 60.0)] {
            let until_s = 6 * DAY_S;
            let sums = by_day(load, until_s);
            let is_off = |at_s: i64| {
                let nth = (at_s % DAY_S - hour * 3600).div_euclid(every_s);
                at_s > 2 * DAY_S && (0..n_off).contains(&nth)
            };
            let off_s = |at_s| if is_off(at_s) { n_periods * every_s } else { 0 };
            let samples = (every_s..=until_s).step_by(every_s as usize);
            let samples = samples.map(|at_s| read(&sums, at_s - off_s(at_s), at_s)).collect();
            let outcome = live_on(&main_watched(every_s, Some(900.0)), samples, None);
            let name = format!("{n_off} of one in {every_s} s, {n_periods} periods off at {hour}:00, {load} kW");
            let truth = sums[sums.len() - 1] - sums[(every_s / 5) as usize];
            check_told(&name, &outcome, truth, -0.1..=0.1, 1.01 * load);
        }
    }
}

/// One gateway that now and then says another value for an instant, of earlier or later in the period: it makes no power, and a register
/// that freezes beside it is found.
#[test]
fn a_second_value_now_and_then_makes_no_power() {
    // So often, at no regular instants.
    let tenth: fn(i64) -> bool = |nth| nth * 7919 % 101 < 10;
    let third: fn(i64) -> bool = |nth| nth % 3 == 0;
    let fifth: fn(i64) -> bool = |nth| nth % 5 == 0;
    for (every_s, later_s, has_second) in [
        (900, 800, third),
        (900, 810, tenth),
        (900, -810, tenth),
        (900, 450, fifth),
        (300, 270, tenth),
        (300, -270, fifth),
        (300, 270, third),
        (60, 55, tenth),
        // Where it thaws, one value comes: of two, one of the freeze, the leap may be a clock's, and is missing.
        (60, -55, tenth),
    ] {
        for is_frozen in [false, true] {
            let until_s = 8 * DAY_S;
            let sums = by_day(500.0, until_s);
            let frozen_s = 6 * DAY_S + 9 * 3600..6 * DAY_S + 12 * 3600;
            let told_s = |at_s: i64| {
                if is_frozen && frozen_s.contains(&at_s) {
                    frozen_s.start
                } else {
                    at_s
                }
            };
            let samples = (every_s..=until_s).step_by(every_s as usize).flat_map(|at_s| {
                let second =
                    has_second(at_s / every_s).then(|| read(&sums, at_s, told_s((at_s + later_s).min(until_s))));
                [read(&sums, at_s, told_s(at_s))].into_iter().chain(second)
            });
            let outcome = live_on(&main_watched(every_s, Some(900.0)), samples.collect(), None);
            let name = format!("one in {every_s} s, another {later_s} s later, frozen {is_frozen}");
            let told = outcome.sum_kwh();
            let truth = sums[sums.len() - 1] - sums[(every_s / 5) as usize];
            assert!((told - truth).abs() < 0.1, "{name}: {told}, not {truth}");
            let highest_kw = outcome.highest_kw();
            // Where the register thaws, nobody knows which of two values is of the instant: what it owed is spread with it.
            let most_kw = if is_frozen { 1.1 * 500.0 } else { 1.01 * 500.0 };
            assert!(highest_kw < most_kw, "{name}: {highest_kw} kW");
            let kinds: Vec<_> = outcome.findings.values().map(|finding| finding.kind).collect();
            let due = if is_frozen {
                vec![energy::finding::Kind::MeterStuck]
            } else {
                vec![]
            };
            assert_eq!(kinds, due, "{name}");
        }
    }
}

/// Some of a gateway's readings are sent again, and its stamps are cut so that instants come once and twice, or oftener: nothing that
/// recurs is a clock that was set.
#[test]
fn what_is_sent_again_beside_cut_stamps_takes_nothing() {
    for (every_s, stamp_s) in [
        (900, 1350),
        (900, 1800),
        (300, 360),
        (300, 450),
        (300, 900),
        (60, 75),
        (60, 90),
        (60, 180),
    ] {
        for again in [0, 4, 11] {
            let until_s = 6 * DAY_S;
            let sums = by_day(500.0, until_s);
            let samples = (every_s..=until_s).step_by(every_s as usize).flat_map(|at_s| {
                let n_sent = if again > 0 && at_s / every_s % again == 3 { 2 } else { 1 };
                vec![read(&sums, at_s / stamp_s * stamp_s, at_s); n_sent]
            });
            let outcome = live_on(&main_watched(every_s, Some(900.0)), samples.collect(), None);
            let name = format!("one in {every_s} s, stamped each {stamp_s} s, one in {again} sent again");
            let (told, truth) = (outcome.sum_kwh(), sums[sums.len() - 1]);
            // The first that comes again as the day begins may be one of a clock that was set.
            let most = 500.0 * 2.0 * stamp_s as f64 / 3600.0 + 1.0;
            assert!((-1.0..=most).contains(&(truth - told)), "{name}: {told}, not {truth}");
            assert!(outcome.findings.is_empty(), "{name}: {:#?}", outcome.findings);
        }
    }
}

/// The gateway that is not late leaves instants out, or the plant has stood still since the beginning, or stands still each night:
/// all energy is told, and no standstill is doubted.
#[test]
fn a_late_gateway_alone_now_and_then_takes_nothing() {
    for (every_s, late_s, is_out) in [
        (900, 450, 11),
        (900, 900, 11),
        (900, 1350, 11),
        (60, 60, 11),
        (60, 90, 7),
        (10, 15, 11),
        (10, 15, i64::MAX),
        (60, 150, i64::MAX),
        (900, 1350, i64::MAX),
        (900, 2700, i64::MAX),
    ] {
        for (day_kw, night_kw) in [(100.0, 0.0), (500.0, 0.0), (100.0, 60.0)] {
            let until_s = 4 * DAY_S;
            let sums = sums(
                |at_s| {
                    if (28_980..64_800).contains(&(at_s % DAY_S)) {
                        day_kw
                    } else {
                        night_kw
                    }
                },
                until_s,
            );
            let samples = (4 * every_s..=until_s).step_by(every_s as usize).flat_map(|at_s| {
                let good = (at_s / every_s % is_out != 7 || at_s < 12 * every_s).then(|| read(&sums, at_s, at_s));
                [read(&sums, at_s, at_s - late_s)].into_iter().chain(good)
            });
            let outcome = live_on(&main_watched(every_s, Some(900.0)), samples.collect(), None);
            let name = format!("one in {every_s} s, {late_s} s late, out one in {is_out}, {day_kw} and {night_kw} kW");
            let (told, truth) = (
                outcome.sum_kwh(),
                sums[sums.len() - 1] - sums[(4 * every_s / 5) as usize],
            );
            // As long as no power is known, and that instants come often, one may be in doubt.
            let most = 0.1 + night_kw * every_s as f64 / 3600.0;
            assert!((-0.1..=most).contains(&(truth - told)), "{name}: {told}, not {truth}");
            // Before any power is known, two readings may be told in one.
            let slack = if every_s < 900 {
                day_kw * every_s as f64 / 900.0
            } else {
                0.0
            };
            assert!(
                outcome.highest_kw() < 1.01 * day_kw + slack,
                "{name}: {} kW",
                outcome.highest_kw()
            );
            assert!(outcome.findings.is_empty(), "{name}: {:#?}", outcome.findings);
            let doubted = outcome.intervals.values().filter(|told| told.coverage == 0.0).count();
            assert_eq!(doubted, 0, "{name}");
        }
    }
}

/// One second value that is higher, by less than a period or by much: it makes no peak and no fault, and no more than a period is
/// unknown by it.
#[test]
fn one_second_value_makes_no_peak() {
    for (every_s, beside_kwh) in [
        (900, 12.0),
        (900, 15.0),
        (900, 100.0),
        (60, 12.0),
        (60, 100.0),
        (60, 700.0),
        (10, 3.0),
    ] {
        for is_first in [false, true] {
            let until_s = 4 * DAY_S;
            let used = |taken_s: i64| 60.0 * taken_s as f64 / 3600.0;
            let samples = (0..=until_s).step_by(every_s as usize).flat_map(|at_s| {
                let kwh = ((5003.217 + used(at_s)) * 100.0).floor() / 100.0;
                let second = (at_s == FROM_S / 900 * 900).then(|| said(at_s * 1000, kwh + beside_kwh));
                let mut both: Vec<Sample> = [said(at_s * 1000, kwh)].into_iter().chain(second).collect();
                if is_first {
                    both.reverse();
                }
                both
            });
            let outcome = live_on(&main_watched(every_s, Some(500.0)), samples.collect(), None);
            let name = format!("{beside_kwh} kWh beside, first {is_first}, read each {every_s} s");
            let most = 2.0 * 60.0 * every_s as f64 / 3600.0 + 0.1;
            check_told(&name, &outcome, used(until_s), -0.1..=most, 1.01 * 60.0);
        }
    }
}

/// A new meter whose first answers came late, one after the other: nothing has shown yet what power it counts.
#[test]
fn the_first_answers_may_be_slow() {
    for every_s in [1, 10, 60] {
        for (n_late, contract_kw) in [
            (1, Some(500.0)),
            (2, Some(500.0)),
            (3, Some(130.0)),
            (2, None),
            (4, None),
        ] {
            let until_s = DAY_S / 4;
            let ends_ms = every_s * 1000 * n_late;
            // The last of the late ones comes just before the first that is on time.
            let came = |taken_s: i64| {
                let nth = taken_s / every_s;
                let late_ms = ends_ms - 3 * (n_late - nth);
                (taken_s * 1000, if nth < n_late { late_ms } else { taken_s * 1000 })
            };
            let outcome = lived(
                &main_watched(every_s, contract_kw),
                (0..=until_s).step_by(every_s as usize).map(came),
            );
            let name = format!("{n_late} late of one in {every_s} s, {contract_kw:?}");
            check(&name, &outcome, until_s);
        }
    }
}

/// Zeros before a silence and in its first reading: what follows them is where the register stood, and no energy.
#[test]
fn what_comes_back_after_zeros_and_a_silence_was_not_used_in_it() {
    let site = main_watched(60, None);
    let (zeros_s, cut_s) = (3600, 2 * DAY_S);
    let until_s = FROM_S + zeros_s + cut_s + DAY_S;
    let register = |at_s: i64| match at_s - FROM_S {
        0..3600 | 176_400 => Some(0.0),
        3600..176_400 => None,
        _ => Some(5000.0 + KW * at_s as f64 / 3600.0),
    };
    let sample = |at_s: i64| Some(said(at_s * 1000, register(at_s)?));
    let samples = (0..=until_s).step_by(60).filter_map(sample);
    let outcome = live_on(&site, samples.collect(), None);
    let (told, truth) = (outcome.sum_kwh(), KW * until_s as f64 / 3600.0);
    assert!((told - truth).abs() < 26.0, "{told}, not {truth}");
    assert!(outcome.highest_kw() < 1.15 * KW, "{} kW", outcome.highest_kw());
}
