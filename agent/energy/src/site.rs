//! The plant as the engine knows it: meters, machines, hours, contracts, factors. Built by the configuration.
//!
//! No file, no default that hides a missing fact. Invariant: every machine's meter is one of `meters`, and names are
//! unique; the configuration has checked it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::{
    calendar::{DaysOff, Hours},
    carbon::{FactorSeries, FuelMeter, Instrument},
    finding::Kind,
    quantity::Quantity,
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
    /// When all of it rests.
    pub days_off: DaysOff,
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
    /// Quantities that are read less often than that, and how often.
    pub slower: BTreeMap<Quantity, SignedDuration>,
    /// Where it stands, for people and as the tag `area`.
    pub area: Option<String>,
    /// The meter above it, whose energy holds this one's.
    pub parent: Option<Name>,
    /// Where its registers begin again at zero, in each quantity's unit; absent = not known.
    pub rollover: BTreeMap<Quantity, f64>,
    /// When the device behind the name was changed, in order of time.
    pub swaps: Vec<Swap>,
    /// What the meter register of an energy management system asks of a meter.
    pub card: MeterCard,
}

impl Meter {
    /// A meter of which nothing is known but its name and how often it speaks.
    pub fn new(name: Name, every: SignedDuration) -> Self {
        Self {
            name,
            every,
            slower: BTreeMap::new(),
            area: None,
            parent: None,
            rollover: BTreeMap::new(),
            swaps: vec![],
            card: MeterCard::default(),
        }
    }
}

impl Meter {
    /// How often a reading of a quantity is expected.
    pub fn every_of(&self, quantity: Quantity) -> SignedDuration {
        self.slower.get(&quantity).copied().unwrap_or(self.every)
    }
}

/// Another device in a meter's place.
#[derive(Debug, Clone, PartialEq)]
pub struct Swap {
    /// When; readings from this instant on are the new device's.
    pub at: Timestamp,
    /// Last reading of the old device's import register, kWh.
    pub last_kwh: f64,
    /// First reading of the new device's import register, kWh.
    pub first_kwh: f64,
    /// Why, for people.
    pub reason: Option<String>,
}

/// A meter's card in the plant's meter register: who made it, how exact it is, when it was last calibrated.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MeterCard {
    /// Who made it.
    pub maker: Option<String>,
    /// The maker's number.
    pub serial: Option<String>,
    /// Whose it is.
    pub owner: Option<String>,
    /// Where it hangs.
    pub place: Option<String>,
    /// Accuracy class, as "0.5S".
    pub class: Option<String>,
    /// Ratio of the current transformers, primary and secondary, A.
    pub ct_ratio: Option<(f64, f64)>,
    /// Ratio of the voltage transformers, primary and secondary, V.
    pub vt_ratio: Option<(f64, f64)>,
    /// Day of the last calibration.
    pub calibrated: Option<Date>,
    /// Day by which it must be calibrated again.
    pub calibration_due: Option<Date>,
}

impl MeterCard {
    /// What is known, by the names of the site file.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let ratio = |(primary, secondary): (f64, f64)| format!("{primary}/{secondary}");
        let day = |day: Date| day.to_string();
        let all = [
            ("maker", self.maker.clone()),
            ("serial", self.serial.clone()),
            ("owner", self.owner.clone()),
            ("place", self.place.clone()),
            ("class", self.class.clone()),
            ("ct_ratio", self.ct_ratio.map(ratio)),
            ("vt_ratio", self.vt_ratio.map(ratio)),
            ("calibrated", self.calibrated.map(day)),
            ("calibration_due", self.calibration_due.map(day)),
        ];
        all.into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
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
