//! Readings that come late: what was said of intervals that are told otherwise then, is said as if they had come in time.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use std::collections::BTreeMap;

use energy::{Engine, Finding, Quantity, Reading, Sample, Site, finding::Kind, tariff::PowerFactorRule};
use jiff::{SignedDuration, Timestamp};
use support::{at, sample, site};

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
fn lived(site: &Site, samples: &[Sample], late: Option<(Timestamp, Timestamp, Timestamp)>) -> Vec<Finding> {
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
    let mut findings: BTreeMap<String, Finding> = BTreeMap::new();
    let mut keep = |step: energy::engine::Step| {
        findings.extend(step.findings.into_iter().map(|finding| (finding.id.clone(), finding)));
    };
    for (minute, samples) in by_minute {
        for sample in samples {
            engine.take(sample.clone());
        }
        keep(engine.tick(Timestamp::from_second((minute + 1) * 60).unwrap()));
    }
    keep(engine.finish());
    findings.into_values().collect()
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
        let found = lived(&site, &samples, late);
        let peak = found
            .into_iter()
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
    let rule = r#"
from = "2020-01-01"
interval_min = 30
lag_hours = "08-22"
lag_reference_pct = 92
lag_clamp_pct = [60, 97]
share_per_pct = 0.002
status = "verified"
source = "test"
"#;
    let after_s = 2.0 * 86_400.0;
    let mut site = watched(
        Kind::LowPowerFactor,
        &[("after", after_s)],
        SignedDuration::from_mins(15),
    );
    site.contracts[0].rules.power_factor = vec![toml::from_str::<PowerFactorRule>(rule).unwrap()];
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
        let found = lived(&site, &samples, late);
        assert_eq!(found.len(), 1, "{found:#?}");
        (found[0].why["power_factor_pct"], found[0].confidence, found[0].since)
    };
    let expected = told(None);
    assert_eq!(told(Some((quarter(322), quarter(374), quarter(390)))), expected);
}
