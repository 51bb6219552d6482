//! What is known of a register beside the readings held: the site's rules for it, and what earlier readings taught.
//!
//! It judges single rises and falls only; `counter.rs` walks over them. Invariant: what was learnt is made of readings
//! that were believed.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{
    Patience,
    grain::{Grain, decimal},
    point::{MINUTE_MS, MS_PER_HOUR, Point, hours},
};
use crate::{calendar::DaysOff, quantity::Quantity, site::Swap};

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
/// … which are taken for this at least where it has never risen …
const UNKNOWN_STEP: f64 = 1.0;
/// … and for this at most, whatever round number it stands at: none is read in more than MWh.
const COARSEST_STEP: f64 = 1000.0;

/// A register is followed over steps as long as this; over longer ones it may have stood still unseen.
const FOLLOWED_MS: i64 = 3_600_000;

/// Power that lasts is measured over so long at least, ms: a coarse register that is read each second makes a step of an hour's
/// use in one of them.
const LASTING_MS: i64 = 900_000;

/// The mean power is that of about so long before the last rise, ms.
const MEAN_MS: f64 = 4.0 * MS_PER_HOUR;

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
    /// When a standstill is doubted.
    pub(crate) patience: Patience,
    /// When its site rests, and in which zone; `None` where its standstills are not judged by that.
    pub(crate) days_off: Option<(&'a DaysOff, &'a TimeZone)>,
    /// Readings further apart than this have a gap between them, ms.
    pub(crate) gap_ms: i64,
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
    /// It counts in no larger steps.
    pub(super) grain: Grain,
    /// The last rise, and the time since the one before it.
    pub(super) rise: f64,
    pub(super) rise_ms: i64,
    /// Mean power of the last hours' rises, kW; 0 = none yet.
    pub(super) mean_kw: f64,
    /// Longest standstill that was believed, between two rises, ms.
    pub(super) longest_ms: i64,
    /// How long it has been followed until its last rise, ms; silences do not count.
    pub(super) known_ms: i64,
    /// Where it stood, and when, before it fell to zero, while it has said nothing but zeros since.
    pub(super) zeroed: Option<Point>,
    /// Highest mean power over a quarter hour or longer, kW; 0 = none yet.
    pub(super) lasting_kw: f64,
    /// Where the running one began: when, and where the register stood …
    pub(super) lasting_from: Point,
    /// … and from when on it is long enough, ms; 0 = it begins at the next rise.
    pub(super) lasting_until_ms: i64,
    /// Where it came to by the last leap that no power makes, or that was owed before any power was known, and when.
    pub(super) leapt_to: Option<Point>,
    /// The newest change of the meter that was applied, as entered, ms.
    pub(super) swapped_ms: Option<i64>,
}

impl Memory {
    /// Where the register stood before the zeros it says, if `value` is that again or more.
    pub(super) fn back(&self, value: f64) -> Option<Point> {
        self.zeroed.filter(|(_, before)| value >= before - waver(*before))
    }

    /// Where the register stood, and when, before the zeros that it says, where nobody can tell what they mean.
    pub(crate) fn zeroed(&self) -> Option<Point> {
        self.zeroed
    }

    /// Whether it has ever counted anything.
    pub(crate) fn has_risen(&self) -> bool {
        self.rise > 0.0
    }

    /// Where the register stands; `value` before anything was learnt.
    pub(crate) fn reference_or(&self, value: f64) -> f64 {
        self.reference.unwrap_or(value)
    }

    /// How much energy a register at `value` may hide between two equal readings.
    pub(crate) fn hidden(&self, value: f64) -> f64 {
        let step = if self.least > 0.0 {
            self.least
        } else {
            decimal(self.grain.step()).clamp(UNKNOWN_STEP, COARSEST_STEP)
        };
        HIDDEN_STEPS * step.max(value * FLOAT_STEP)
    }

    /// A believed rise, and the time since the one before it.
    pub(super) fn learn_rise(&mut self, rise: f64, rise_ms: i64) {
        let kw = rise * MS_PER_HOUR / rise_ms as f64;
        let share = if self.rise == 0.0 {
            1.0
        } else {
            (rise_ms as f64 / MEAN_MS).min(1.0)
        };
        self.mean_kw += (kw - self.mean_kw) * share;
        (self.rise, self.rise_ms) = (rise, rise_ms);
    }

    /// A believed rise to here tells what power lasts.
    pub(super) fn learn_lasting(&mut self, to: Point) {
        if to.0 < self.lasting_until_ms {
            return;
        }
        if self.lasting_until_ms > 0 {
            let elapsed_ms = to.0 - self.lasting_from.0;
            let kw = (to.1 - self.lasting_from.1) * MS_PER_HOUR / elapsed_ms as f64;
            self.lasting_kw = self.lasting_kw.max(kw);
        }
        (self.lasting_from, self.lasting_until_ms) = (to, to.0 + LASTING_MS);
    }

    /// What it counts from here on has nothing to do with what it counted before.
    pub(super) fn begin_lasting(&mut self) {
        self.lasting_until_ms = 0;
    }

    /// How long the register may stand still and be believed, ms; `None` while too little is known of it.
    pub(super) fn believed_ms(&self, patience: Patience) -> Option<i64> {
        (self.known_ms >= patience.known_ms).then(|| self.habit_ms(patience))
    }

    /// A standstill longer than this is none of those that it has shown, ms.
    pub(super) fn habit_ms(&self, patience: Patience) -> i64 {
        ((self.longest_ms as f64 * patience.times) as i64).max(patience.least_ms)
    }

    /// A rise ends a standstill. One that was doubted is believed only as far as it was not: so a register that froze
    /// once is doubted when it freezes again, and a machine that has new hours is not doubted for long.
    pub(super) fn learn_standstill(&mut self, stood_ms: i64, step_ms: i64, patience: Patience) {
        if stood_ms > self.longest_ms {
            let believed_ms = self.believed_ms(patience).unwrap_or(stood_ms);
            self.longest_ms = stood_ms.min(believed_ms);
        }
        self.known_ms += stood_ms + if step_ms <= FOLLOWED_MS { step_ms } else { 0 };
    }

    /// Longest standstill that was believed, ms.
    pub(crate) fn longest_ms(&self) -> i64 {
        self.longest_ms
    }

    /// It counts in no larger steps, as far as its values tell.
    pub(super) fn step(&self) -> f64 {
        self.grain.step()
    }

    /// Smallest rise seen; 0 = none yet.
    pub(super) fn least(&self) -> f64 {
        self.least
    }

    /// About half of what is used between two readings this far apart, in the register's unit, and of a minute at least.
    pub(crate) fn usual(&self, elapsed_ms: i64) -> f64 {
        self.mean_kw * hours(elapsed_ms.max(MINUTE_MS)) / 2.0
    }

    /// Highest power that has lasted, kW; that of a single step where none has yet.
    pub(crate) fn lasting_kw(&self) -> f64 {
        if self.lasting_kw > 0.0 {
            self.lasting_kw
        } else {
            self.peak_kw
        }
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

/// Whether a rise, or a fall, from `before` needs no second look.
pub(super) fn is_usual(rise: f64, before: f64, elapsed_ms: i64, limit_kw: f64) -> bool {
    rise * MS_PER_HOUR <= limit_kw * elapsed_ms as f64 && (rise >= 0.0 || -rise <= waver(before))
}

/// How far a register may fall without having been reset.
pub(crate) fn waver(reference: f64) -> f64 {
    (reference.abs() * WAVER_SHARE).max(WAVER_MIN)
}
