//! Readings → demand intervals: energy, coverage and quality of each, from counters, interval energy or power.
//!
//! It does not price anything and never mixes sources in one series. Invariants: energy is conserved (the intervals
//! between two counter readings add up to their difference, less what a named repair took or gave), nothing is negative
//! that was not exported, and what is not known is `None`.

mod basis;
mod counter;
mod cut;
pub(crate) mod grain;
pub(crate) mod grid;
pub(crate) mod known;
pub(crate) mod load;
pub(crate) mod meter;
mod older;
pub(crate) mod point;
mod repair;
pub(crate) mod series;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub(crate) use basis::GAP_PERIODS;
pub use basis::{Basis, Lengths, Patience};
pub use counter::CHANGE_MS;
pub(crate) use counter::ZERO_MS;
pub use meter::{MeterIntervals, Refused};
pub use repair::{Repair, RepairKind};

use crate::{
    sample::{Name, Quality},
    site::Site,
};

/// Whether a demand interval of the site begins at `at`: only there can the energy of an interval be labelled.
pub fn begins_at(site: &Site, at: Timestamp) -> bool {
    let at_ms = at.as_millisecond();
    grid::start_of(at_ms, site.demand_interval.as_millis() as i64, &site.zone) == at_ms
}

/// What a meter's registers say of a stretch of time by themselves, before any repair: the plain difference of their
/// readings. `None` = no reading on one side.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Raw {
    /// Import register, kWh.
    pub energy_import_kwh: Option<f64>,
    /// Export register, kWh.
    pub energy_export_kwh: Option<f64>,
    /// Register of lagging reactive energy, kvarh.
    pub reactive_energy_lag_kvarh: Option<f64>,
    /// Register of leading reactive energy, kvarh.
    pub reactive_energy_lead_kvarh: Option<f64>,
}

/// One demand interval of one meter. Closed at a tick; closed again, with a higher revision, when late data came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The meter.
    pub meter: Name,
    /// Start; names the interval.
    pub start: Timestamp,
    /// End, exclusive.
    pub end: Timestamp,
    /// Imported energy, kWh: the known part. `None` when nothing is known.
    pub energy_import_kwh: Option<f64>,
    /// Exported energy, kWh.
    pub energy_export_kwh: Option<f64>,
    /// Lagging reactive energy, kvarh.
    pub reactive_energy_lag_kvarh: Option<f64>,
    /// Leading reactive energy, kvarh.
    pub reactive_energy_lead_kvarh: Option<f64>,
    /// Worst quality of what the energy was made from.
    pub quality: Quality,
    /// Share of the interval between trusted readings no further apart than three times `every`, 0..1.
    pub coverage: f64,
    /// 0 at first closing, one more at each re-opening.
    pub revision: u32,
    /// What the registers said; differs from the energies above only where `repairs` says why.
    pub raw: Raw,
    /// What was repaired, by quantity, then time.
    pub repairs: Vec<Repair>,
}

impl Interval {
    /// Mean import power over the whole interval, kW: a lower bound where coverage is below 1.
    pub fn demand_kw(&self) -> Option<f64> {
        let hours = self.end.duration_since(self.start).as_secs_f64() / 3600.0;
        self.energy_import_kwh.map(|energy| energy / hours)
    }

    /// Its length, minutes.
    pub(crate) fn minutes(&self) -> u16 {
        (self.end.duration_since(self.start).as_secs() / 60) as u16
    }
}
