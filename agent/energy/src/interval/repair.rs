//! What was done to a register's readings before they became energy: [`Repair`], and its kinds.
//!
//! It decides nothing; `counter.rs` does. Invariant: whatever makes an interval's energy differ from the difference of
//! its registers is a repair of that interval, with the numbers that it was decided by.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::quantity::Quantity;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident $name:literal;)*) => {
        /// How a register's readings were repaired.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum RepairKind { $($(#[$doc])* $variant,)* }

        impl RepairKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Name as written in JSON and CSV.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

kinds! {
    /// The register reached its top and began again: the way over the top is counted.
    Rollover "rollover";
    /// The register was set back: a new zero. What was used around it is known only as far as the register has counted
    /// since.
    Reset "reset";
    /// Another meter took its place, with last and first readings as entered.
    Swap "swap";
    /// The register rose further than any power could make it, and stayed there: a new zero, nothing is counted.
    Jump "jump";
    /// Readings far from the register's place, which then came back: discarded.
    Spike "spike";
    /// Readings of zero, after which the old value came back: discarded.
    ZeroBurst "zero_burst";
    /// Readings that cannot be real at all (1.8e21 kWh, −0.007 kWh): discarded.
    OutOfRange "out_of_range";
    /// A fall too small for a reset: the register's own noise, taken for no rise.
    Waver "waver";
    /// The register stood still while energy was used: spread over its time once it jumps, unknown until then.
    Frozen "frozen";
    /// No counter said it: integrated from power. Where a counter begins, what power said of that interval is not used.
    Calculated "calculated";
    /// Energy over a time without readings, known from the register on both sides: spread evenly.
    GapSpread "gap_spread";
}

impl std::fmt::Display for RepairKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A repair of one register, as far as it touches one interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Repair {
    /// What was done.
    pub kind: RepairKind,
    /// The register; the power where there is none.
    pub quantity: Quantity,
    /// The last reading before it that was believed.
    pub since: Timestamp,
    /// The first reading after it that was believed.
    pub until: Timestamp,
    /// The register before, in its quantity's unit.
    pub before: f64,
    /// The register after.
    pub after: f64,
    /// What the repair gave this interval, in the register's unit, kWh of a power; `None` = unknown, and missing from the interval.
    pub amount: Option<f64>,
    /// The numbers it was decided by, unit last in each name.
    pub why: BTreeMap<String, f64>,
}

impl Repair {
    /// The order in which an interval says what was done, whenever it is told.
    pub(super) fn sort(repairs: &mut [Self]) {
        repairs.sort_by_key(|repair| (repair.quantity, repair.since, repair.kind));
    }

    /// One more of the same kind, just after it: how many there were, and the largest of their other numbers.
    pub(super) fn join(&mut self, next: Self) {
        (self.until, self.after) = (next.until, next.after);
        self.amount = self.amount.zip(next.amount).map(|(amount, more)| amount + more);
        for (name, value) in next.why {
            let largest = self.why.entry(name).or_insert(value);
            *largest = largest.max(value);
        }
        *self.why.entry("n_readings".to_owned()).or_insert(0.0) += 1.0;
    }
}
