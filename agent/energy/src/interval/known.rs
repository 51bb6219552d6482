//! What is known of a register beside the readings held: the site's rules for it, and what earlier readings taught.
//!
//! It judges single rises and falls only; `counter.rs` walks over them. Invariant: what was learnt is made of readings
//! that were believed.

use serde::{Deserialize, Serialize};

use super::series::MS_PER_HOUR;
use crate::{quantity::Quantity, site::Swap};

/// A fall by less than this share of the register is noise; it was not reset. Seen on real meters: −0.007 kWh. A float
/// of 32 bits resolves a tenth of it.
const WAVER_SHARE: f64 = 1e-6;
/// … and never less than this, in the register's unit.
const WAVER_MIN: f64 = 0.01;
/// A rise is plausible up to this times what the highest power makes.
pub(super) const MARGIN: f64 = 1.2;
/// Steps of a float of 32 bits, as share of its value, twice: a jump by one of them proves nothing.
pub(super) const FLOAT_STEP: f64 = 2.4e-7;

/// A register may hide so many of its smallest rises …
const HIDDEN_STEPS: f64 = 3.0;
/// … which are taken for this where it has never risen.
const UNKNOWN_STEP: f64 = 1.0;

/// A place in a walk from which it can go on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The believed reading it stands at, ms.
    pub(crate) at_ms: i64,
    pub(crate) memory: Memory,
}

/// What is known of a register beside its readings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) quantity: Quantity,
    /// Where the register begins again at zero.
    pub(crate) rollover: Option<f64>,
    /// Highest power that the site's file lets expect, kW: rated, or contracted.
    pub(crate) max_kw: Option<f64>,
    /// Changes of the meter, in order of time.
    pub(crate) swaps: &'a [Swap],
}

impl Rules<'_> {
    /// Whether the way from one reading to the next needs no second look, by the highest power known before, kW.
    pub(crate) fn is_usual(&self, before: f64, value: f64, elapsed_ms: i64, peak_kw: f64) -> bool {
        let rise = value - before;
        rise * MS_PER_HOUR <= limit_kw(peak_kw, self.max_kw) * elapsed_ms as f64
            && (rise >= 0.0 || -rise <= waver(before))
    }
}

/// What a walk has learnt of the readings before the first one held.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// Where the register stands; a reading that wavers stands lower. `None` before any reading.
    pub(super) reference: Option<f64>,
    /// When it first stood there, ms; may be long before the first reading held.
    pub(super) since_ms: Option<i64>,
    /// Highest mean power between two readings, kW; 0 = none yet.
    pub(super) peak_kw: f64,
    /// Smallest rise between two readings: no more than this is the register's step. 0 = none yet.
    pub(super) least: f64,
    /// The last rise, and the time since the one before it.
    pub(super) rise: f64,
    pub(super) rise_ms: i64,
}

impl Memory {
    /// Where the register stands; `value` before anything was learnt.
    pub(crate) fn reference_or(&self, value: f64) -> f64 {
        self.reference.unwrap_or(value)
    }

    /// How much energy a register at `value` may hide between two equal readings.
    pub(crate) fn hidden(&self, value: f64) -> f64 {
        let step = if self.least > 0.0 { self.least } else { UNKNOWN_STEP };
        HIDDEN_STEPS * step.max(value * FLOAT_STEP)
    }

    /// Highest mean power seen, kW.
    pub(crate) fn peak_kw(&self) -> f64 {
        self.peak_kw
    }
}

/// What a rise is measured by, kW; 0 = no power is known.
pub(super) fn limit_kw(peak_kw: f64, max_kw: Option<f64>) -> f64 {
    MARGIN * max_kw.map_or(peak_kw, |max_kw| max_kw.max(peak_kw))
}

/// How far a register may fall without having been reset.
pub(super) fn waver(reference: f64) -> f64 {
    (reference.abs() * WAVER_SHARE).max(WAVER_MIN)
}
