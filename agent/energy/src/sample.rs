//! What a meter said: [`Reading`], its [`Quality`], and [`Sample`], all readings of one meter at one instant.
//!
//! It does not know where a reading came from. Invariant: a value is in its quantity's canonical unit, and the
//! quality travels with it to the last page; an absent reading is absent, never zero.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::quantity::{Form, Quantity};

/// Name of a meter or machine as the configuration gives it; its tag everywhere.
pub type Name = Arc<str>;

/// How far a value can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Quality {
    /// As the meter said it.
    #[default]
    Ok = 0,
    /// Repaired after the fact, by a rule that is named beside it.
    Restored = 1,
    /// Computed over a gap from what is known on both sides.
    Estimated = 2,
    /// The clock that stamped it was not to be trusted.
    ClockSuspect = 3,
    /// An old value, or a meter that has stopped answering.
    Stale = 4,
    /// Impossible, or marked invalid by the meter.
    Bad = 5,
}

impl Quality {
    /// All qualities, best first.
    pub const ALL: [Self; 6] = [
        Self::Ok,
        Self::Restored,
        Self::Estimated,
        Self::ClockSuspect,
        Self::Stale,
        Self::Bad,
    ];

    /// Name as written in CSV, API and InfluxDB.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Restored => "restored",
            Self::Estimated => "estimated",
            Self::ClockSuspect => "clock-suspect",
            Self::Stale => "stale",
            Self::Bad => "bad",
        }
    }

    /// The quality of a name; `None` when there is none of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quality| quality.name() == name)
    }

    /// Whether a value of this quality may become energy or move a machine's state.
    pub fn is_trusted(self) -> bool {
        matches!(self, Self::Ok | Self::Restored | Self::Estimated)
    }
}

/// One value of one quantity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// What was measured; fixes the unit.
    pub quantity: Quantity,
    /// The value in the quantity's unit.
    pub value: f64,
    /// How far it can be trusted.
    pub quality: Quality,
}

impl Reading {
    /// A reading of quality `ok`, or `bad` where the value cannot be real (see [`Quantity::is_plausible`]).
    pub fn new(quantity: Quantity, value: f64) -> Self {
        let quality = if quantity.is_plausible(value) {
            Quality::Ok
        } else {
            Quality::Bad
        };
        Self {
            quantity,
            value,
            quality,
        }
    }
}

/// All readings of one meter at one instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The meter.
    pub meter: Name,
    /// The instant, in data time, whole milliseconds.
    pub at: Timestamp,
    /// At most one reading a quantity.
    pub readings: Vec<Reading>,
}

impl Sample {
    /// Marks every reading that was thought better of: the clock that stamped it was not to be trusted.
    pub fn doubt_clock(&mut self) {
        for reading in &mut self.readings {
            reading.quality = reading.quality.max(Quality::ClockSuspect);
        }
    }

    /// Whether the clock that stamped it was not to be trusted.
    pub fn is_clock_suspect(&self) -> bool {
        let suspect = Quality::ClockSuspect;
        self.readings.iter().any(|reading| reading.quality == suspect)
    }

    /// What it says of its instant, and apart from it the energy of the interval that begins there: each is complete
    /// at a time of its own. One part at least.
    pub fn parts(mut self) -> impl Iterator<Item = Self> {
        let is_delta = |reading: &mut Reading| reading.quantity.row().form == Form::Delta;
        let filling: Vec<Reading> = self.readings.extract_if(.., is_delta).collect();
        let filling = (!filling.is_empty()).then(|| Self {
            meter: self.meter.clone(),
            at: self.at,
            readings: filling,
        });
        let instant = (!self.readings.is_empty() || filling.is_none()).then_some(self);
        instant.into_iter().chain(filling)
    }

    /// Whether it says only that values are old.
    pub fn is_stale(&self) -> bool {
        let stale = |reading: &Reading| reading.quality >= Quality::Stale;
        self.readings.iter().any(|reading| reading.quality == Quality::Stale) && self.readings.iter().all(stale)
    }

    /// The trusted value of a quantity in this sample.
    pub fn trusted(&self, quantity: Quantity) -> Option<f64> {
        self.readings
            .iter()
            .find(|reading| reading.quantity == quantity && reading.quality.is_trusted())
            .map(|reading| reading.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_names_lead_back() {
        for quality in Quality::ALL {
            assert_eq!(Quality::from_name(quality.name()), Some(quality));
        }
        assert_eq!(Quality::from_name("fine"), None);
    }

    #[test]
    fn the_energy_of_an_interval_is_apart_from_what_is_read_at_its_start() {
        let (power, counter) = (Quantity::ActivePower, Quantity::EnergyImport);
        let (energy, lag) = (Quantity::IntervalEnergy, Quantity::IntervalReactiveLag);
        let check = |quantities: &[Quantity], expected: &[&[Quantity]]| {
            let sample = Sample {
                meter: "m".into(),
                at: Timestamp::UNIX_EPOCH,
                readings: quantities.iter().map(|quantity| Reading::new(*quantity, 4.0)).collect(),
            };
            let of = |part: Sample| part.readings.iter().map(|reading| reading.quantity).collect::<Vec<_>>();
            let parts: Vec<Vec<Quantity>> = sample.parts().map(of).collect();
            assert_eq!(parts, expected, "{quantities:?}");
        };
        check(&[], &[&[]]);
        check(&[power, counter], &[&[power, counter]]);
        check(&[energy, lag], &[&[energy, lag]]);
        check(&[energy, power, lag, counter], &[&[power, counter], &[energy, lag]]);
    }

    #[test]
    fn an_impossible_value_is_bad_and_never_trusted() {
        let sample = Sample {
            meter: "m".into(),
            at: Timestamp::UNIX_EPOCH,
            readings: vec![
                Reading::new(Quantity::EnergyImport, 1.8e21),
                Reading::new(Quantity::ActivePower, 4.0),
            ],
        };
        assert_eq!(sample.trusted(Quantity::EnergyImport), None);
        assert_eq!(sample.trusted(Quantity::ActivePower), Some(4.0));
        let mut doubted = sample.clone();
        doubted.doubt_clock();
        assert_eq!(doubted.trusted(Quantity::ActivePower), None);
        assert_eq!((sample.is_clock_suspect(), doubted.is_clock_suspect()), (false, true));
        assert_eq!(doubted.readings[0].quality, Quality::Bad, "what is worse stays so");
    }
}
