//! Readings that come late: what was said of intervals that are told otherwise then, is said as if they had come in time.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use std::collections::BTreeMap;

use energy::{Engine, Quality, Quantity, Reading, Sample, Site, finding::Kind, interval::RepairKind};
use jiff::{SignedDuration, Timestamp};
use support::{Outcome, at, lagging, sample, site};

/// The main meter alone, with one kind to look for.
fn watched(kind: Kind, settings: &[(&str, f64)], every: SignedDuration) -> Site {
    let mut site = site();
    site.meters.truncate(1);
    site.meters[0].every = every;
    site.machines.remove(0);
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), *value));
    site.machines[0].detect = [(kind, settings.collect())].into();
    site
}

/// Lives through samples, of which those between `late` come only at its third instant.
fn lived(site: &Site, samples: &[Sample], late: Option<(Timestamp, Timestamp, Timestamp)>) -> Outcome {
    let comes = |sample: &Sample| match late {
        Some((from, until, comes)) if (from..until).contains(&sample.at) => comes,
        _ => sample.at,
    };
    let minute = |at: Timestamp| at.as_second().div_euclid(60);
    let mut by_minute: BTreeMap<i64, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        by_minute.entry(minute(comes(sample))).or_default().push(sample);
    }
    let mut engine = Engine::new(site.clone());
    let mut outcome = Outcome::default();
    for (minute, samples) in by_minute {
        for sample in samples {
            engine.take(sample.clone());
        }
        outcome.keep(engine.tick(Timestamp::from_second((minute + 1) * 60).unwrap()));
    }
    outcome.keep(engine.finish());
    outcome
}

/// A silence over 22:00, after which demand by night does not count: spread over it, its energy is a peak that counts.
/// The readings show that all of it was used by night, and the demand billed is the floor again.
#[test]
fn a_maximum_that_is_told_lower_is_billed_no_more() {
    let mut site = watched(Kind::DemandPeak, &[("target_kw", 100.0)], SignedDuration::from_mins(1));
    site.contracts[0].contract_kw = 400.0;
    let mut kwh = 5000.0;
    let samples: Vec<Sample> = (0..16 * 60)
        .map(|minute| {
            let load_kw = match minute {
                125..135 => 420.0,
                // Saturday at ten.
                840..870 => 140.0,
                _ => 60.0,
            };
            kwh += load_kw / 60.0;
            let at = at("20:00:00") + SignedDuration::from_mins(minute);
            sample("main", at, Quantity::EnergyImport, kwh)
        })
        .collect();
    let saturday = |late| {
        let found = lived(&site, &samples, late).findings;
        let peak = found
            .into_values()
            .find(|finding| finding.since >= at("23:00:00"))
            .unwrap();
        (peak.why["billed_kw"], peak.cost.unwrap().amount.to_string())
    };
    let (from, until) = (at("21:40:00"), at("22:20:00"));
    // The floor is 120 kW; twenty kW more, at 8000 with a tenth on top.
    let expected = (120.0, "176000".to_owned());
    assert_eq!(saturday(None), expected);
    assert_eq!(
        saturday(Some((from, until, at("22:30:00")))),
        expected,
        "before the next peak"
    );
    let next_day = at("11:00:00") + SignedDuration::from_hours(24);
    assert_eq!(saturday(Some((from, until, next_day))), expected, "after it");
}

#[test]
fn a_power_factor_is_that_of_the_month_as_it_is_told_last() {
    let after_s = 2.0 * 86_400.0;
    let mut site = watched(
        Kind::LowPowerFactor,
        &[("after", after_s)],
        SignedDuration::from_mins(15),
    );
    site.contracts[0].rules.power_factor = vec![lagging()];
    let first: Timestamp = "2026-07-31T15:00:00Z".parse().unwrap();
    let (mut kwh, mut kvarh) = (5000.0, 1000.0);
    let samples: Vec<Sample> = (0..8 * 96)
        .map(|quarter| {
            // Of the fourth day the morning is bad and the afternoon good.
            let lag_kvar = match quarter {
                320..344 => 100.0,
                344..376 => 0.0,
                _ => 40.0,
            };
            kwh += 80.0 / 4.0;
            kvarh += lag_kvar / 4.0;
            Sample {
                meter: "main".into(),
                at: first + SignedDuration::from_mins(15 * quarter),
                readings: vec![
                    Reading::new(Quantity::EnergyImport, kwh),
                    Reading::new(Quantity::ReactiveEnergyLag, kvarh),
                ],
            }
        })
        .collect();
    let quarter = |n: i64| first + SignedDuration::from_mins(15 * n);
    let told = |late| {
        let found = lived(&site, &samples, late).findings;
        assert_eq!(found.len(), 1, "{found:#?}");
        let found = found.into_values().next().unwrap();
        (found.why["power_factor_pct"], found.confidence, found.since)
    };
    let expected = told(None);
    assert_eq!(told(Some((quarter(322), quarter(374), quarter(390)))), expected);
}

/// 60 kW by the minute for four hours, told as it is: some readings cannot be real, of some the time is in doubt.
fn hours_of(readings_of: impl Fn(i64, f64) -> Vec<Reading>) -> Vec<Sample> {
    let sample = |minute: i64| Sample {
        meter: "main".into(),
        at: at("09:00:00") + SignedDuration::from_mins(minute),
        readings: readings_of(minute, 5000.0 + minute as f64),
    };
    (0..240).map(sample).collect()
}

#[test]
fn a_doubt_of_the_time_that_comes_late_is_a_doubt() {
    let site = watched(Kind::MeterReset, &[], SignedDuration::from_mins(1));
    let samples = hours_of(|minute, kwh| {
        let reading = Reading::new(Quantity::EnergyImport, kwh);
        let is_doubted = (65..70).contains(&minute);
        vec![if is_doubted {
            Reading {
                quality: Quality::ClockSuspect,
                ..reading
            }
        } else {
            reading
        }]
    });
    let minute = |minute| at("09:00:00") + SignedDuration::from_mins(minute);
    let in_time = lived(&site, &samples, None);
    assert_eq!(
        in_time.sum_kwh(),
        239.0 - 6.0,
        "what lies between 10:04 and 10:10 is not known"
    );
    let energy = |outcome: &Outcome| {
        let told = outcome.intervals.values();
        told.map(|told| (told.start, told.energy_import_kwh, told.coverage))
            .collect::<Vec<_>>()
    };
    for (from, comes) in [(65, 71), (65, 120), (67, 90)] {
        let late = lived(&site, &samples, Some((minute(from), minute(70), minute(comes))));
        assert_eq!(energy(&late), energy(&in_time), "{from} {comes}");
    }
}

#[test]
fn what_is_told_again_as_it_was_has_no_new_revision() {
    let site = watched(Kind::MeterReset, &[], SignedDuration::from_mins(1));
    let samples = hours_of(|minute, kwh| {
        let value = match minute {
            62 => 1.8e21,
            68 => 9e5,
            _ => kwh,
        };
        vec![Reading::new(Quantity::EnergyImport, value)]
    });
    let minute = |minute| at("09:00:00") + SignedDuration::from_mins(minute);
    let in_time = lived(&site, &samples, None);
    let kinds = [RepairKind::Spike, RepairKind::OutOfRange];
    assert_eq!(in_time.named(), kinds.into());
    assert!(in_time.intervals.values().all(|interval| interval.revision == 0));
    let late = lived(&site, &samples, Some((minute(72), minute(73), minute(130))));
    assert_eq!(
        late, in_time,
        "the reading at 10:12 lies on the line between its neighbours"
    );
}
