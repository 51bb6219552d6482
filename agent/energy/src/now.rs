//! What pages need of the running moment: [`Now`], made by the engine at each commit.
//!
//! It is derived from engine state alone, so that a page and a finding never disagree.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::sample::{Name, Reading};

/// The running moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Now {
    /// Data time of the newest sample or tick.
    pub at: Timestamp,
    /// The site's running demand interval; `None` without a main meter or before its first reading.
    pub demand: Option<DemandNow>,
    /// Imported energy of the main meter since local midnight, kWh, and the coverage of that time.
    pub today: Option<EnergyNow>,
    /// Newest sample of each meter, in the configuration's order; meters never heard are absent.
    pub meters: Vec<MeterNow>,
    /// State of each machine, in the configuration's order.
    pub machines: Vec<MachineNow>,
}

/// The running demand interval of the main meter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DemandNow {
    /// Start of the interval.
    pub start: Timestamp,
    /// End of the interval.
    pub end: Timestamp,
    /// Energy since its start, kWh.
    pub energy_kwh: f64,
    /// That energy over the whole interval, kW: the demand if nothing more were drawn.
    pub demand_kw: f64,
    /// Demand if the power of the last minute goes on to the end, kW, that of a coarse counter taken over a longer time;
    /// `None` before the interval's first readings.
    pub forecast_kw: Option<f64>,
    /// The target, kW.
    pub target_kw: Option<f64>,
    /// The contract demand, kW.
    pub contract_kw: Option<f64>,
}

/// An amount of energy and how much of its time was seen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EnergyNow {
    /// kWh.
    pub energy_kwh: f64,
    /// 0..1.
    pub coverage: f64,
}

/// Newest sample of a meter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeterNow {
    /// The meter.
    pub meter: Name,
    /// When it was heard.
    pub at: Timestamp,
    /// What it said.
    pub readings: Vec<Reading>,
    /// Its power, kW, however it is known (register, interval energy, counter); `None` when it is not.
    pub power_kw: Option<f64>,
    /// It has been silent for longer than three times its `every`.
    pub is_stale: bool,
}

/// State of a machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachineNow {
    /// The machine.
    pub machine: Name,
    /// The meter that measures it.
    pub meter: Name,
    /// Its state; `None` when it cannot be told.
    pub state: Option<MachineState>,
    /// Since when it has been in this state.
    pub since: Option<Timestamp>,
    /// Its power, kW.
    pub power_kw: Option<f64>,
    /// Whether its hours say that work is meant; `None` without hours.
    pub is_working_time: Option<bool>,
}

/// What a machine is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineState {
    /// Switched off.
    Off,
    /// In its sleep state.
    Standby,
    /// Energised, not producing.
    Idle,
    /// Producing.
    Running,
}
