//! What a tariff takes of a demand interval: energy, reactive energy, and how well they are known.
//!
//! It prices nothing.

use jiff::{SignedDuration, Timestamp};

use crate::{interval::Interval, sample::Quality};

/// Energy of one demand interval of the main meter, as a bill needs it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Start of the interval.
    pub start: Timestamp,
    /// Its length; divides an hour.
    pub minutes: u16,
    /// Imported energy, kWh.
    pub energy_kwh: Option<f64>,
    /// Lagging reactive energy, kvarh.
    pub lag_kvarh: Option<f64>,
    /// Leading reactive energy, kvarh.
    pub lead_kvarh: Option<f64>,
    /// Share seen with trusted readings, 0..1.
    pub coverage: f64,
    /// Quality of the imported energy.
    pub quality: Quality,
}

impl Usage {
    /// An interval of which only the demand is known, or supposed.
    pub(crate) fn of_demand(start: Timestamp, minutes: u16, demand_kw: f64) -> Self {
        Self {
            start,
            minutes,
            energy_kwh: Some(demand_kw * f64::from(minutes) / 60.0),
            lag_kvarh: None,
            lead_kvarh: None,
            coverage: 1.0,
            quality: Quality::Ok,
        }
    }

    /// Mean power of the interval, kW.
    pub(crate) fn demand_kw(&self) -> Option<f64> {
        self.energy_kwh
            .map(|energy_kwh| energy_kwh / (f64::from(self.minutes) / 60.0))
    }

    pub(crate) fn end(&self) -> Timestamp {
        self.start + SignedDuration::from_mins(i64::from(self.minutes))
    }
}

impl From<&Interval> for Usage {
    fn from(interval: &Interval) -> Self {
        Self {
            start: interval.start,
            minutes: interval.minutes(),
            energy_kwh: interval.energy_import_kwh,
            lag_kvarh: interval.reactive_energy_lag_kvarh,
            lead_kvarh: interval.reactive_energy_lead_kvarh,
            coverage: interval.coverage,
            quality: interval.quality,
        }
    }
}
