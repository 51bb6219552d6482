//! The raw side of intervals that were repaired: kept as JSON beside them, in the log and in the table `repair`.
//!
//! Invariant: an interval that nothing was done to takes no place; its raw side is itself.

use energy::{
    Interval,
    interval::{Raw, Repair},
};
use serde::{Deserialize, Serialize};

/// An interval's raw side and its repairs, as JSON keeps them.
#[derive(Serialize, Deserialize)]
pub(super) struct Repaired {
    raw: Raw,
    repairs: Vec<Repair>,
}

impl Repaired {
    /// The raw side of an interval, where anything was repaired: as text.
    pub(super) fn text(interval: &Interval) -> Option<String> {
        let repaired = Self {
            raw: interval.raw,
            repairs: interval.repairs.clone(),
        };
        (!interval.repairs.is_empty()).then(|| serde_json::to_string(&repaired).expect("a repair has text keys only"))
    }

    /// Gives an interval its raw side back: what nothing was done to is its own raw side.
    pub(super) fn restore(text: Option<&str>, interval: &mut Interval) -> serde_json::Result<()> {
        interval.raw = Raw {
            energy_import_kwh: interval.energy_import_kwh,
            energy_export_kwh: interval.energy_export_kwh,
            reactive_energy_lag_kvarh: interval.reactive_energy_lag_kvarh,
            reactive_energy_lead_kvarh: interval.reactive_energy_lead_kvarh,
        };
        if let Some(text) = text {
            let repaired: Self = serde_json::from_str(text)?;
            interval.raw = repaired.raw;
            interval.repairs = repaired.repairs;
        }
        Ok(())
    }
}
