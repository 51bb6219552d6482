//! The plant as the engine knows it: meters, machines, hours, contracts, factors. Built by the configuration.
//!
//! No file, no default that hides a missing fact. Invariant: every machine's meter is one of `meters`, and names are
//! unique; the configuration has checked it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::{
    calendar::Hours,
    carbon::{FactorSeries, FuelMeter, Instrument},
    finding::Kind,
    sample::Name,
    tariff::Contract,
};

/// A plant, ready for the engine.
#[derive(Debug, Clone)]
pub struct Site {
    /// Its name, the tag `site` everywhere.
    pub name: Name,
    /// Zone in which days, shifts and tariffs are judged.
    pub zone: TimeZone,
    /// Length of a demand interval; divides an hour.
    pub demand_interval: SignedDuration,
    /// All meters.
    pub meters: Vec<Meter>,
    /// All machines; the one of kind `site` stands for the whole plant.
    pub machines: Vec<Machine>,
    /// Whose demand the bill is made from.
    pub main_meter: Option<Name>,
    /// Dated contracts, by `from` ascending; empty = money is unknown.
    pub contracts: Vec<Contract>,
    /// Emission factors of electricity; `None` = carbon is unknown.
    pub carbon: Option<FactorSeries>,
    /// Meters whose register counts a fuel.
    pub fuel_meters: Vec<FuelMeter>,
    /// Contractual instruments of scope 2; empty = no market-based figure.
    pub instruments: Vec<Instrument>,
}

/// A device that measures.
#[derive(Debug, Clone)]
pub struct Meter {
    /// Its name.
    pub name: Name,
    /// How often a reading is expected; gaps beyond three times this are not trusted.
    pub every: SignedDuration,
    /// Where it stands, for people and as the tag `area`.
    pub area: Option<String>,
}

/// Kinds of machine of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "plain words")]
pub enum MachineKind {
    Site,
    MachiningCentre,
    InjectionMoulding,
    Press,
    Compressor,
    Pump,
    Fan,
    Chiller,
    Furnace,
    Boiler,
    Dryer,
    Welding,
    Lighting,
    Hvac,
    Transformer,
    Generic,
}

/// What consumes.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its name.
    pub name: Name,
    /// What kind of machine it is.
    pub kind: MachineKind,
    /// The meter that measures it.
    pub meter: Name,
    /// Where it stands.
    pub area: Option<String>,
    /// Nameplate power, kW.
    pub rated_kw: Option<f64>,
    /// What its states are told apart by; `None` = cannot be told.
    pub states: Option<StateLimits>,
    /// When it is meant to work; `None` = no hours are known, nothing is said about them.
    pub hours: Option<Hours>,
    /// The waste kinds that are looked for, each with its settings by name (durations in seconds).
    pub detect: BTreeMap<Kind, Settings>,
}

/// Settings of one waste kind, by name: durations in seconds, powers in kW, shares as 0..1.
pub type Settings = BTreeMap<String, f64>;

/// Powers between the states of a machine, kW; `off <= idle <= running` hold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StateLimits {
    /// Below this the machine is off.
    pub off_below_kw: f64,
    /// Below this (and not off) it is in standby, where it has such a state; equals `off_below_kw` where not.
    pub standby_below_kw: f64,
    /// At and above this it is producing; between standby and this it idles.
    pub running_from_kw: f64,
    /// What it draws in standby, kW: the part of idling that cannot be avoided; 0 where it is simply switched off.
    pub standby_kw: f64,
}
