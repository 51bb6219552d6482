//! How many readings of a counter become demand intervals a second: a year of one meter, read each second, by the core.
//!
//! The register steps by 0.02 kWh each fourth second; a tick comes each minute, as in the engine.

use energy::{
    Quantity, Reading, Sample,
    calendar::DaysOff,
    interval::{Basis, Lengths, MeterIntervals, Patience, Refused},
    site::Meter,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use wattwarden::clock;

use crate::{Number, Target};

const READINGS: i64 = 365 * 86_400;
const STEP_KWH: f64 = 0.02;

pub(crate) fn measure() -> Vec<Number> {
    let meter = Meter::new("m".into(), SignedDuration::from_secs(1));
    let zone = TimeZone::get("Asia/Seoul").unwrap();
    let lengths = Lengths {
        interval_ms: 900_000,
        gap_ms: 3_000,
    };
    let basis = Basis {
        meter: &meter,
        max_kw: None,
        zone: &zone,
        lengths,
        patience: Patience::default(),
        days_off: &DaysOff::default(),
    };
    let start: Timestamp = "2026-01-01T00:00:00+09:00".parse().unwrap();
    let mut sample = Sample {
        meter: meter.name.clone(),
        at: start,
        readings: vec![Reading::new(Quantity::EnergyImport, 0.0)],
    };
    let (mut intervals, mut refused, mut closed) = (MeterIntervals::default(), Refused::default(), vec![]);
    let (mut energy_kwh, mut n_intervals) = (0.0, 0);
    let began = clock::monotonic();
    for second in 0..READINGS {
        let at_ms = start.as_millisecond() + second * 1000;
        sample.at = Timestamp::from_millisecond(at_ms).unwrap();
        sample.readings[0].value = (second / 4) as f64 * STEP_KWH;
        intervals.take(&sample, &basis, &mut refused);
        if second % 60 == 59 {
            intervals.tick(at_ms + 1000, &basis, &mut closed);
            n_intervals += closed.len();
            energy_kwh += closed
                .drain(..)
                .filter_map(|interval| interval.energy_import_kwh)
                .sum::<f64>();
        }
    }
    let took = began.elapsed();
    // The last interval is still open: it waits for the reading at its end.
    let expected_kwh = (READINGS / 4) as f64 * STEP_KWH;
    assert!(
        (expected_kwh - energy_kwh).abs() < 20.0,
        "{energy_kwh} kWh of {expected_kwh}"
    );
    assert_eq!(n_intervals as i64, READINGS / 900 - 1);
    vec![Number {
        name: "integrate",
        value: READINGS as f64 / took.as_secs_f64(),
        unit: "readings/s",
        target: Target::AtLeast(31.5e6),
    }]
}
