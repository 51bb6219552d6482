//! `plausible.toml`: which numbers a first look at a device takes for plausible. Pure but for reading that file.
//!
//! It changes no value and refuses none: `decode.rs` and `plausible.rs` of the bus do that. Invariant: where two readings
//! of the same registers fit, both are told.

use energy::Quantity;
use serde::Deserialize;

use crate::{
    config::{
        data::{DataFiles, Folder, load_alone},
        diagnostic::Diagnostic,
    },
    language::Language,
};

/// The file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ranges {
    range: Vec<Range>,
}

/// What one kind of quantity can be.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    /// Its name on the command line.
    pub(crate) name: String,
    ko: String,
    /// Unit of the numbers below.
    pub(crate) unit: String,
    #[serde(default)]
    near: Vec<f64>,
    #[serde(default)]
    within: f64,
    /// Whether a sign has a meaning: power may flow out.
    #[serde(default)]
    signed: bool,
    least: Option<f64>,
    most: Option<f64>,
    /// Factors that registers are known to want, the likeliest first.
    pub(crate) scales: Vec<f64>,
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "status")]
    _status: String,
}

impl Ranges {
    /// Reads the file beside the configuration, else the shipped one.
    pub(crate) fn load(data: &DataFiles) -> Result<Self, Vec<Diagnostic>> {
        load_alone(data, Folder::Top, "plausible")
    }

    /// The range of a name.
    pub(crate) fn named(&self, name: &str) -> Option<&Range> {
        self.range.iter().find(|range| range.name == name)
    }

    /// All names.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.range.iter().map(|range| range.name.as_str()).collect()
    }

    /// The range that a quantity must be in; `None` where anything may be.
    pub(crate) fn of(&self, quantity: Quantity) -> Option<&Range> {
        self.named(kind(quantity)?)
    }
}

/// The kind of an electric quantity.
fn kind(quantity: Quantity) -> Option<&'static str> {
    Some(match quantity {
        Quantity::VoltageL1
        | Quantity::VoltageL2
        | Quantity::VoltageL3
        | Quantity::VoltageL12
        | Quantity::VoltageL23
        | Quantity::VoltageL31 => "voltage",
        Quantity::Frequency => "frequency",
        Quantity::CurrentL1 | Quantity::CurrentL2 | Quantity::CurrentL3 => "current",
        Quantity::ActivePower | Quantity::ActivePowerL1 | Quantity::ActivePowerL2 | Quantity::ActivePowerL3 => "power",
        Quantity::EnergyImport => "energy",
        Quantity::PowerFactor => "pf",
        _ => return None,
    })
}

impl Range {
    /// Whether a number in the range's unit fits.
    pub(crate) fn holds(&self, value: f64) -> bool {
        if value < 0.0 && !self.signed {
            return false;
        }
        let size = value.abs();
        let is_between = match (self.least, self.most) {
            (Some(least), Some(most)) => (least..=most).contains(&size),
            _ => false,
        };
        // A hair's breadth, so that a limit that is written down is inside.
        let is_near = |near: &f64| (size - near).abs() <= near * self.within * (1.0 + 1e-9);
        is_between || self.near.iter().any(is_near)
    }

    /// What people call it.
    pub(crate) fn title(&self, language: Language) -> &str {
        match language {
            Language::Ko => &self.ko,
            Language::En => &self.name,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn ranges_hold_what_plants_have() {
        let ranges = Ranges::load(&DataFiles::beside(Path::new("/nonexistent"))).unwrap();
        for (name, value, expected) in [
            ("voltage", 229.8, true),
            ("voltage", -380.0, false),
            ("voltage", 2301.0, false),
            ("voltage", 50.0, false),
            ("voltage", 0.0, false),
            ("frequency", 59.98, true),
            ("frequency", 230.0, false),
            ("current", 10.2, true),
            ("current", 0.0, false),
            ("power", -12.39, true),
            ("power", f64::NAN, false),
            ("energy", 12345.6, true),
            ("pf", -0.92, true),
            ("pf", 12.0, false),
        ] {
            let range = ranges.named(name).unwrap();
            assert_eq!(range.holds(value), expected, "{name} {value}");
        }
        assert!(ranges.named("volts").is_none());
        assert_eq!(ranges.of(Quantity::VoltageL31).unwrap().unit, "V");
        assert!(ranges.of(Quantity::Humidity).is_none());
    }
}
