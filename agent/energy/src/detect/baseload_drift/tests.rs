//! Years of a plant at rest, quarter hour by quarter hour: without a drift none is said, with one it is found.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::*;
use crate::{calendar::Hours, site::MachineKind, site::Site, tariff::bill::Billing};

/// A day on which no more than this share of the base is drawn is one of a shut-down.
const SHUT: f64 = 0.2;

/// A plant at rest: kW, by how much it varies from day to day, within a day, and the register's step, kWh.
struct Plant {
    night_kw: f64,
    by_day: f64,
    within: f64,
    step_kwh: f64,
    /// Quarter hours of work of a work day, and what is drawn in them, kW.
    work: std::ops::Range<i64>,
    work_kw: f64,
    seed: u64,
}

/// A number 0..1 from a seed that goes on (SplitMix64).
fn number(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

fn machine() -> Machine {
    Machine {
        name: "plant".into(),
        kind: MachineKind::Site,
        meter: "main".into(),
        area: None,
        rated_kw: None,
        states: None,
        hours: Some(Hours {
            zone: TimeZone::UTC,
            shift: Some("mon-fri 08:00-18:00".parse().expect("a shift")),
            days_off: crate::calendar::DaysOff::default(),
            open: vec![],
        }),
        detect: [(Kind::BaseloadDrift, BTreeMap::new())].into(),
    }
}

fn site() -> Site {
    Site {
        name: "plant".into(),
        zone: TimeZone::UTC,
        days_off: crate::calendar::DaysOff::default(),
        demand_interval: jiff::SignedDuration::from_mins(15),
        meters: vec![],
        machines: vec![],
        main_meter: None,
        contracts: vec![],
        carbon: None,
        fuel_meters: vec![],
        instruments: vec![],
    }
}

/// Findings of so many days, by the days on which they begin and are said; a load at rest is `of(day)` times as high.
fn drifts(plant: &Plant, n_days: i64, of: impl Fn(i64) -> f64) -> Vec<(i64, i64)> {
    let (machine, site) = (machine(), site());
    let (mut drift, mut seed, mut slow) = (BaseloadDrift::default(), plant.seed, 0.0);
    let (mut kwh, mut shown_kwh) = (plant.step_kwh * 0.4, 0.0);
    let mut said = BTreeMap::new();
    for day in 0..n_days {
        let that_day = 1.0 + plant.by_day * (2.0 * number(&mut seed) - 1.0);
        for quarter in 0..96 {
            // Monday, 5 January 1970 is the first; a sum of twelve numbers is about normal.
            let from_ms = (4 + day) * DAY_MS + quarter * MEAN_MS;
            let is_open = day % 7 < 5 && plant.work.contains(&quarter);
            slow = 0.9 * slow + plant.within * ((0..12).map(|_| number(&mut seed)).sum::<f64>() - 6.0);
            let load_kw = if is_open && of(day) > SHUT {
                plant.work_kw
            } else {
                plant.night_kw * of(day) * that_day
            };
            kwh += load_kw * (1.0 + slow) / 4.0;
            let now_kwh = (kwh / plant.step_kwh).floor() * plant.step_kwh;
            let piece = Piece {
                from_ms,
                to_ms: from_ms + MEAN_MS,
                kw: (now_kwh - shown_kwh) * 4.0,
                is_open: Some(is_open),
                state: None,
                explained_kw: 0.0,
                step_kwh: plant.step_kwh,
                rate: Rate::default(),
            };
            shown_kwh = now_kwh;
            drift.take(&piece, &machine);
        }
        let tick = Tick {
            at_ms: (5 + day) * DAY_MS,
            site: &site,
            demand: None,
            error_kw: 0.0,
            step_kwh: plant.step_kwh,
            closed: &[],
            retold: &[],
            billing: &Billing::default(),
            moment: Moment::Running,
        };
        let mut found = Vec::new();
        drift.tick(&tick, &machine, &mut found);
        for finding in found {
            let day_of = |at: jiff::Timestamp| at.as_millisecond() / DAY_MS - 4;
            said.insert(finding.id.clone(), (day_of(finding.since), day_of(finding.detected_at)));
        }
    }
    said.into_values().collect()
}

/// Three dozen plants, of nights at 5 to 80 kW.
fn plants(by_day: f64, within: f64, steps_kwh: &[f64]) -> impl Iterator<Item = Plant> {
    let nights_kw = [5.0, 10.0, 20.0, 40.0, 80.0];
    (0..36).map(move |seed| Plant {
        night_kw: nights_kw[seed % 5],
        by_day,
        within,
        step_kwh: steps_kwh[seed % steps_kwh.len()],
        work: 32..72,
        work_kw: 300.0,
        seed: seed as u64 + 1,
    })
}

#[test]
fn a_year_without_drift_has_none() {
    for (by_day, within, steps_kwh) in [
        (0.07, 0.03, &[0.1][..]),
        (0.03, 0.01, &[0.01]),
        (0.07, 0.03, &[0.5, 1.0, 10.0]),
        (0.0, 0.0, &[0.1, 1.0]),
    ] {
        for plant in plants(by_day, within, steps_kwh) {
            let said = drifts(&plant, 365, |_| 1.0);
            let Plant {
                night_kw,
                step_kwh,
                seed,
                ..
            } = plant;
            assert!(
                said.is_empty(),
                "±{by_day}, {night_kw} kW by {step_kwh} kWh, seed {seed}: {said:?}"
            );
        }
    }
}

#[test]
fn a_drift_is_found_within_weeks_and_once() {
    let check = |by_day, within, within_days: i64, of: &dyn Fn(i64) -> f64| {
        for plant in plants(by_day, within, &[0.01]) {
            let said = drifts(&plant, 170, of);
            let is_it = |&(since, detected): &(i64, i64)| since > 80 && (100..=100 + within_days).contains(&detected);
            assert!(
                said.first().is_some_and(is_it) && said.len() == 1,
                "{} kW, seed {}: {said:?}",
                plant.night_kw,
                plant.seed
            );
        }
    };
    let step = |share: f64| move |day| if day < 100 { 1.0 } else { 1.0 + share };
    let creep = |day: i64| 1.0 + 0.15 * ((day - 100) as f64 / 56.0).clamp(0.0, 1.0);
    check(0.03, 0.01, 21, &step(0.1));
    check(0.03, 0.01, 49, &creep);
    check(0.07, 0.03, 28, &step(0.3));
}

/// One works round the clock from Monday to Friday, one draws hardly more at work than at rest.
#[test]
fn plants_without_rest_or_hardly_with_work_have_a_base_too() {
    for (work, times) in [(0..96, 4.0), (0..92, 4.0), (32..72, 1.1)] {
        for plant in plants(0.03, 0.01, &[0.01]) {
            let work_kw = plant.night_kw * times;
            let plant = Plant {
                work: work.clone(),
                work_kw,
                ..plant
            };
            let said = drifts(&plant, 170, |day| if day < 100 { 1.0 } else { 1.3 });
            let is_it = |&(since, detected): &(i64, i64)| since > 80 && (100..=140).contains(&detected);
            assert!(
                said.first().is_some_and(is_it) && said.len() == 1,
                "{work:?} at {work_kw} kW, seed {}: {said:?}",
                plant.seed
            );
        }
    }
}

#[test]
fn what_does_not_draw_at_rest_has_no_base_that_could_creep_up() {
    let of = |kw: f64, step_kw| Reference::of(None, &[vec![kw; CLASS_DAYS], vec![]], 0, step_kw);
    assert!(of(0.0, 0.0).is_none(), "a watt would be a drift");
    assert!(of(0.0, 0.4).is_some_and(|reference| reference.deviation_kw == 0.4));
    assert!(of(10.0, 0.0).is_some_and(|reference| reference.deviation_kw == 10.0 * DEVIATION_SHARE));
}

/// A meter that is fitted in a shut-down, of which some days are before a weekend and some after; or works holidays.
#[test]
fn a_shut_down_teaches_no_base() {
    for (from, until) in [(0, 5), (0, 11), (3, 12), (7, 14)] {
        for left_on in [0.0, 0.15] {
            for plant in plants(0.07, 0.03, &[0.1]) {
                let of = |day| if (from..until).contains(&day) { left_on } else { 1.0 };
                let said = drifts(&plant, 120, of);
                assert!(
                    said.is_empty(),
                    "{from}..{until} at {left_on}, seed {}: {said:?}",
                    plant.seed
                );
            }
        }
    }
}
