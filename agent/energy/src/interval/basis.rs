//! What is known of a meter beside its readings: lengths, clock, rollover, swaps, the power to expect.
//!
//! It holds no readings. Invariant: a register that is read less often has longer gaps of its own.

use jiff::tz::TimeZone;

use super::{grid, known::Rules};
use crate::{calendar::DaysOff, detect::meter_fault, quantity::Quantity, site::Meter};

/// Lengths that rule a meter's intervals, milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Lengths {
    /// Demand interval.
    pub interval_ms: i64,
    /// Readings further apart than this are a gap: three times `every`.
    pub gap_ms: i64,
}

/// How long a register may stand still with no power beside it before it is doubted: the settings of `meter_stuck`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Patience {
    /// Never before so long, milliseconds.
    pub least_ms: i64,
    /// Never before this many times its longest standstill.
    pub times: f64,
    /// Never before it has been followed for so long, milliseconds.
    pub known_ms: i64,
}

impl Default for Patience {
    fn default() -> Self {
        meter_fault::patience(None)
    }
}

/// Readings this many times `every` apart have a gap between them.
pub(crate) const GAP_PERIODS: i32 = 3;

/// What is known of a meter beside its readings.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'a> {
    /// The meter: its name, where its registers roll over, when it was changed.
    pub meter: &'a Meter,
    /// Highest power to expect of it, kW: its machines' rated power, or the contract of the main meter.
    pub max_kw: Option<f64>,
    /// Zone on whose clock intervals lie.
    pub zone: &'a TimeZone,
    /// Interval and gap.
    pub lengths: Lengths,
    /// How long its registers may stand still.
    pub patience: Patience,
    /// When its site rests.
    pub days_off: &'a DaysOff,
}

impl<'a> Basis<'a> {
    /// Start of the interval that holds `at_ms`.
    pub(crate) fn start_of(&self, at_ms: i64) -> i64 {
        grid::start_of(at_ms, self.lengths.interval_ms, self.zone)
    }

    /// End of the interval that begins at `start_ms`.
    pub(crate) fn end_of(&self, start_ms: i64) -> i64 {
        grid::end_of(start_ms, self.lengths.interval_ms, self.zone)
    }

    /// The first start of an interval at or after `at_ms`.
    pub(crate) fn boundary(&self, at_ms: i64) -> i64 {
        let start_ms = self.start_of(at_ms);
        if start_ms == at_ms {
            at_ms
        } else {
            self.end_of(start_ms)
        }
    }

    /// How far apart readings of a quantity may be, ms: a register that is read less often has longer gaps.
    pub(crate) fn gap_ms(&self, quantity: Quantity) -> i64 {
        let slower = self.meter.slower.get(&quantity);
        slower.map_or(self.lengths.gap_ms, |every| (*every * GAP_PERIODS).as_millis() as i64)
    }

    /// Rules of a register. What is fed back has nothing to do with what was contracted, or is rated.
    pub(crate) fn rules(&self, quantity: Quantity) -> Rules<'a> {
        Rules {
            quantity,
            rollover: self.meter.rollover.get(&quantity).copied(),
            max_kw: self.max_kw.filter(|_| quantity != Quantity::EnergyExport),
            swaps: &self.meter.swaps,
            patience: self.patience,
            days_off: Some((self.days_off, self.zone)),
            gap_ms: self.gap_ms(quantity),
        }
    }
}
