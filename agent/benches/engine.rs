//! How many samples a second the engine takes, ticks included: a day of twenty machines, one reading a sample.

use std::time::Duration;

use energy::{Engine, Quality, Quantity, Reading, Sample};
use jiff::Timestamp;
use wattwarden::clock;

use crate::{Number, Target, site};

const METERS: usize = 20;
const HOURS: i64 = 24;

pub(crate) fn measure() -> Vec<Number> {
    let mut engine = Engine::new(site::site(METERS));
    let names: Vec<_> = engine.site().meters.iter().map(|meter| meter.name.clone()).collect();
    let start: Timestamp = "2026-08-28T00:00:00Z".parse().unwrap();
    let mut took = Duration::ZERO;
    let (mut n_samples, mut n_findings) = (0, 0);
    for minute in 0..HOURS * 60 {
        let samples: Vec<Sample> = (1..=60)
            .flat_map(|second| names.iter().enumerate().map(move |meter| (minute * 60 + second, meter)))
            .map(|(second, (index, name))| Sample {
                meter: name.clone(),
                at: start + jiff::SignedDuration::from_secs(second),
                readings: vec![Reading {
                    quantity: Quantity::ActivePower,
                    value: power_kw(second, index),
                    quality: Quality::Ok,
                }],
            })
            .collect();
        n_samples += samples.len();
        let began = clock::monotonic();
        for sample in samples {
            engine.take(sample);
        }
        let step = engine.tick(start + jiff::SignedDuration::from_mins(minute + 1));
        took += began.elapsed();
        n_findings += step.findings.len();
    }
    assert!(
        n_findings > 0,
        "an engine that finds nothing was not measured at its work"
    );
    vec![Number {
        name: "engine",
        value: n_samples as f64 / took.as_secs_f64(),
        unit: "samples/s",
        target: Target::AtLeast(500_000.0),
    }]
}

/// Runs, idles for a quarter of an hour each hour and is off at times, each machine by its own clock.
fn power_kw(second: i64, machine: usize) -> f64 {
    let minute = second / 60 + 7 * machine as i64;
    let ripple = (second % 10) as f64 / 10.0;
    match minute % 60 {
        0..=34 => 40.0 + ripple,
        35..=49 => 9.0 + ripple,
        _ => 0.1,
    }
}
