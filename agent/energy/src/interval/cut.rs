//! A counter's steps, cut to one stretch of time: amount, coverage, quality and the repairs that touch it.
//!
//! Over a gap between readings the energy is spread evenly and marked `estimated`; a counter that stands still while
//! its meter says power is no zero but unknown. It walks over no readings. Invariant: whatever is not plain has a name.

use super::{
    counter::{Repaired, Step, Walk},
    known::{Mark, Memory},
    load::{Flow, Load},
    point::{Point, hours, timestamp},
    repair::{Repair, RepairKind},
};
use crate::{quantity::Quantity, sample::Quality, unit::rounded};

/// Power below this share of the highest is no witness against a standing counter: below its starting current a meter
/// counts nothing.
const STARTING_SHARE: f64 = 0.01;
/// Nobody knows in what steps a register counts that has never risen: behind large transformers one of them may take an hour's
/// use. It is believed, though not vouched for, for so long, ms, …
const UNKNOWN_MS: i64 = 2 * 3_600_000;
/// … and for so much, kWh: three steps of 0.01 kWh behind transformers of 22.9 kV and 400 A, 16,654 times what the meter sees.
const UNKNOWN_KWH: f64 = 500.0;
/// Three steps of the coarsest common register, kWh: before its first step one that stands at a multiple of it is vouched for so
/// far.
const COMMON_KWH: f64 = 30.0;

/// Readings further apart than this share of what is a gap have one missing between them: one and a half times `every` …
const HOLE_GAP_SHARE: f64 = 0.5;
/// … and what is less than this share of an interval is the jitter of a meter that is read often.
const HOLE_INTERVAL_SHARE: f64 = 0.1;
/// A meter that is read less often than intervals end has this many of them between two readings, or more; what is less is
/// jitter.
const INTERPOLATED_INTERVALS: f64 = 1.5;

/// A repair's amounts and numbers are said to a thousandth of a watt-hour: what is finer is noise of sums.
const DECIMALS: i32 = 6;

/// Energy of a stretch of time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    /// Known amount; `None` when nothing is known.
    pub(crate) amount: Option<f64>,
    /// What the registers say by themselves, where that was repaired.
    pub(crate) raw: Option<f64>,
    /// Milliseconds between trusted readings close enough together.
    pub(crate) covered_ms: i64,
    /// Worst quality of what the amount was made from.
    pub(crate) quality: Quality,
    /// What was repaired.
    pub(crate) repairs: Vec<Repair>,
    /// Since when the register has stood still, where that is not believed, ms.
    pub(crate) doubted_ms: Option<i64>,
    /// Where a walk for what comes after it can begin.
    pub(crate) mark: Option<Mark>,
}

impl Part {
    /// Nothing is known.
    pub(crate) fn nothing() -> Self {
        Self {
            amount: None,
            raw: None,
            covered_ms: 0,
            quality: Quality::Ok,
            repairs: vec![],
            doubted_ms: None,
            mark: None,
        }
    }

    pub(crate) fn add(&mut self, amount: f64, covered_ms: i64, quality: Quality) {
        self.amount = Some(self.amount.unwrap_or(0.0) + amount);
        self.covered_ms += covered_ms;
        self.quality = self.quality.max(quality);
    }
}

/// Gathers the steps of a stretch of time.
pub(crate) struct Cut {
    from_ms: i64,
    to_ms: i64,
    gap_ms: i64,
    quantity: Quantity,
    part: Part,
    stood: Option<Stood>,
}

/// Steps without a rise, one after the other.
struct Stood {
    from_ms: i64,
    to_ms: i64,
    covered_ms: i64,
    quality: Quality,
    /// The register's value.
    value: f64,
    /// Since when it has stood there, where that is too long to be believed, and its longest standstill before, ms.
    doubted_since_ms: Option<i64>,
    longest_ms: i64,
    /// The whole standstill, of which this stretch of time may hold a part: from when, until when.
    whole_ms: (i64, i64),
    /// Where it stood, and when, before zeros that nobody can explain yet.
    zeroed: Option<Point>,
}

impl Cut {
    pub(crate) fn new(from_ms: i64, to_ms: i64, gap_ms: i64, quantity: Quantity) -> Self {
        Self {
            from_ms,
            to_ms,
            gap_ms,
            quantity,
            part: Part::nothing(),
            stood: None,
        }
    }

    /// Adds what a walk that stands at `at_ms` can tell in one stride, to where it comes, ms.
    pub(crate) fn stride(&mut self, walk: &mut Walk<'_>, at_ms: i64, load: &Load) -> i64 {
        let before = self.part.amount.unwrap_or(0.0);
        let amount = walk.stride(self.to_ms, self.gap_ms, before);
        let until_ms = walk.at_ms().unwrap_or(at_ms);
        if until_ms > at_ms {
            self.stand(walk.learnt(), load);
            self.part.amount = Some(amount);
            self.part.covered_ms += until_ms - at_ms;
        }
        until_ms
    }

    /// Adds a step's share.
    #[inline]
    pub(crate) fn add(&mut self, step: Step, memory: &Memory, load: &Load) {
        let (from_ms, to_ms) = (step.from_ms.max(self.from_ms), step.to_ms.min(self.to_ms));
        let elapsed_ms = step.to_ms - step.from_ms;
        let is_gap = elapsed_ms > self.gap_ms;
        let is_still = |repaired: &Repaired| repaired.kind == RepairKind::Waver;
        if step.rise == Some(0.0) && step.repaired.as_deref().is_none_or(is_still) {
            let covered_ms = if is_gap { 0 } else { to_ms - from_ms };
            let stood = self.stood.get_or_insert(Stood {
                from_ms,
                to_ms,
                covered_ms: 0,
                quality: Quality::Ok,
                value: step.after,
                doubted_since_ms: step.doubted_since_ms,
                longest_ms: memory.longest_ms(),
                whole_ms: step.stood_ms.unwrap_or((from_ms, to_ms)),
                zeroed: memory.zeroed().filter(|_| self.quantity == Quantity::EnergyImport),
            });
            stood.to_ms = to_ms;
            stood.covered_ms += covered_ms;
            if is_gap {
                stood.quality = Quality::Estimated;
            }
            if let Some(waver) = step.repaired {
                self.stand(memory, load);
                self.name((step.from_ms, step.to_ms), (step.before, step.after), *waver, Some(0.0));
            }
            return;
        }
        if self.stood.is_some() {
            self.stand(memory, load);
        }
        // A whole step needs no division, and most are whole.
        let share = if to_ms - from_ms == elapsed_ms {
            1.0
        } else {
            (to_ms - from_ms) as f64 / elapsed_ms as f64
        };
        match step.repaired {
            None if !is_gap && !self.is_hole(elapsed_ms, share) => {
                if let Some(rise) = step.rise {
                    let quality = if self.is_interpolated(elapsed_ms) {
                        Quality::Estimated
                    } else {
                        Quality::Ok
                    };
                    self.part.add(rise * share, to_ms - from_ms, quality);
                }
            }
            _ => self.unusual(step, to_ms - from_ms, share),
        }
    }

    /// Whether at least one reading is missing in a step of which only a share lies in the interval: then what was used in
    /// it is known by spreading. A reading that is merely late leaves no hole.
    fn is_hole(&self, elapsed_ms: i64, share: f64) -> bool {
        let (gap_ms, interval_ms) = (self.gap_ms as f64, (self.to_ms - self.from_ms) as f64);
        share < 1.0 && elapsed_ms as f64 > (HOLE_GAP_SHARE * gap_ms).max(HOLE_INTERVAL_SHARE * interval_ms)
    }

    /// Whether a step spans more than an interval: when in it energy was used is not known.
    fn is_interpolated(&self, elapsed_ms: i64) -> bool {
        elapsed_ms as f64 > INTERPOLATED_INTERVALS * (self.to_ms - self.from_ms) as f64
    }

    fn unusual(&mut self, step: Step, overlap_ms: i64, share: f64) {
        let elapsed_ms = step.to_ms - step.from_ms;
        let is_gap = elapsed_ms > self.gap_ms;
        let is_spread = is_gap || self.is_hole(elapsed_ms, share);
        let kind = step.repaired.as_ref().map(|repaired| repaired.kind);
        let quality = match kind {
            _ if is_spread => Quality::Estimated,
            Some(RepairKind::Frozen) => Quality::Estimated,
            Some(RepairKind::Waver) | None => Quality::Ok,
            Some(_) => Quality::Restored,
        };
        // What was used around a new zero is unknown, and a frozen register has seen nothing.
        let is_seen = !is_gap && !matches!(kind, Some(RepairKind::Reset | RepairKind::Frozen | RepairKind::Jump));
        let amount = step.rise.map(|rise| rise * share);
        if let Some(amount) = amount {
            self.part.add(amount, if is_seen { overlap_ms } else { 0 }, quality);
        } else {
            self.part.quality = self.part.quality.max(quality);
        }
        let repaired = step.repaired.map(|repaired| *repaired).or_else(|| {
            let whole = step.rise?;
            let why = vec![("gap_s", (step.to_ms - step.from_ms) as f64 / 1000.0), ("whole", whole)];
            Some(Repaired {
                kind: RepairKind::GapSpread,
                why,
            })
        });
        if let Some(repaired) = repaired {
            self.name((step.from_ms, step.to_ms), (step.before, step.after), repaired, amount);
        }
    }

    /// Adds what stood still: nothing was used, or nothing is known when the power says otherwise. Where no power is
    /// said and it stood too long, nothing was used as far as the register can tell.
    fn stand(&mut self, memory: &Memory, load: &Load) {
        let Some(stood) = self.stood.take() else { return };
        if let Some(zeroed) = stood.zeroed {
            self.say_zeros(&stood, zeroed);
            return;
        }
        let flow = match self.quantity {
            Quantity::EnergyImport => Some(Flow::Import),
            Quantity::EnergyExport => Some(Flow::Export),
            _ => None,
        };
        let witnessed_kwh = flow.and_then(|flow| load.energy_kwh(stood.from_ms, stood.to_ms, flow));
        if let (None, Some(since_ms)) = (witnessed_kwh, stood.doubted_since_ms) {
            self.doubt(&stood, since_ms);
            return;
        }
        // What the register may hide it may hide once in a standstill, not once in each interval of it.
        let (since_ms, until_ms) = (stood.whole_ms.0, stood.whole_ms.1.max(stood.to_ms));
        let whole_kwh = flow
            .and_then(|flow| load.energy_kwh(since_ms, until_ms, flow))
            .unwrap_or(0.0);
        let power_kwh = witnessed_kwh.unwrap_or(0.0);
        let mean_kw = power_kwh / hours(stood.to_ms - stood.from_ms);
        let whole_kwh = whole_kwh.max(power_kwh);
        let hidden_kwh = memory.hidden(stood.value);
        let is_known = memory.has_risen() || whole_kwh <= COMMON_KWH;
        if is_known && whole_kwh <= hidden_kwh || mean_kw <= STARTING_SHARE * memory.lasting_kw() {
            self.part.add(0.0, stood.covered_ms, stood.quality);
            return;
        }
        let is_new = until_ms - since_ms < UNKNOWN_MS && whole_kwh <= UNKNOWN_KWH;
        if !memory.has_risen() && (is_new || whole_kwh <= hidden_kwh) {
            self.part.add(0.0, 0, Quality::Estimated);
            return;
        }
        self.part.doubted_ms = Some(since_ms);
        self.say_frozen((stood.from_ms, stood.to_ms), stood.value, power_kwh, mean_kw);
    }

    /// It says zeros, and whether it was reset or comes back is not known: no energy is. Of import alone: other registers
    /// that were reset may say zero for seasons.
    fn say_zeros(&mut self, stood: &Stood, (before_ms, before): Point) {
        self.part.quality = self.part.quality.max(Quality::Restored);
        let zeros = Repaired {
            kind: RepairKind::ZeroBurst,
            why: vec![
                ("lasted_s", (stood.to_ms - before_ms) as f64 / 1000.0),
                ("stood_at", before),
            ],
        };
        self.name((stood.from_ms, stood.to_ms), (before, stood.value), zeros, None);
    }

    /// It stood for longer than ever: a zero that nobody vouches for.
    fn doubt(&mut self, stood: &Stood, since_ms: i64) {
        self.part.add(0.0, 0, Quality::Estimated);
        self.part.doubted_ms = Some(since_ms);
        let frozen = Repaired {
            kind: RepairKind::Frozen,
            why: vec![
                ("unchanged_s", (stood.to_ms - since_ms) as f64 / 1000.0),
                ("longest_s", stood.longest_ms as f64 / 1000.0),
            ],
        };
        self.name(
            (stood.from_ms, stood.to_ms),
            (stood.value, stood.value),
            frozen,
            Some(0.0),
        );
    }

    /// The register has said nothing since its `last` reading, but the meter says power: what was used is not known.
    pub(crate) fn fall_silent(&mut self, (last_ms, value): Point, memory: &Memory, load: &Load) {
        let since_ms = last_ms.max(self.from_ms);
        if self.quantity != Quantity::EnergyImport || self.to_ms - last_ms <= self.gap_ms {
            return;
        }
        // Power that ends about when the counter does is a meter that has fallen silent.
        if !load.is_heard_since(last_ms + self.gap_ms, self.to_ms) {
            return;
        }
        let used_kwh = |from_ms| load.energy_kwh(from_ms, self.to_ms, Flow::Import).unwrap_or(0.0);
        let (power_kwh, whole_kwh) = (used_kwh(since_ms), used_kwh(last_ms));
        let mean_kw = power_kwh / hours(self.to_ms - since_ms);
        if whole_kwh > memory.hidden(value) && mean_kw > STARTING_SHARE * memory.lasting_kw() {
            self.stand(memory, load);
            self.say_frozen((since_ms, self.to_ms), value, power_kwh, mean_kw);
        }
    }

    /// What was used while the register did not count is not known.
    fn say_frozen(&mut self, (from_ms, to_ms): (i64, i64), value: f64, power_kwh: f64, mean_kw: f64) {
        self.part.quality = self.part.quality.max(Quality::Restored);
        let frozen = Repaired {
            kind: RepairKind::Frozen,
            why: vec![
                ("unchanged_s", (to_ms - from_ms) as f64 / 1000.0),
                ("power_kwh", power_kwh),
                ("mean_kw", mean_kw),
            ],
        };
        self.name((from_ms, to_ms), (value, value), frozen, None);
    }

    /// What was gathered.
    pub(crate) fn finish(mut self, memory: &Memory, load: &Load) -> Part {
        self.stand(memory, load);
        self.part
    }

    fn name(
        &mut self,
        (since_ms, until_ms): (i64, i64),
        (before, after): (f64, f64),
        repaired: Repaired,
        amount: Option<f64>,
    ) {
        let mut repair = Repair {
            kind: repaired.kind,
            quantity: self.quantity,
            since: timestamp(since_ms),
            until: timestamp(until_ms),
            before: rounded(before, DECIMALS),
            after: rounded(after, DECIMALS),
            amount: amount.map(|amount| rounded(amount, DECIMALS)),
            why: repaired
                .why
                .into_iter()
                .map(|(name, value)| (name.to_owned(), rounded(value, DECIMALS)))
                .collect(),
        };
        match self.part.repairs.last_mut() {
            Some(last) if last.kind == RepairKind::Waver && repair.kind == RepairKind::Waver => last.join(repair),
            // The fall to zero, and the zeros after it.
            Some(last)
                if last.kind == RepairKind::ZeroBurst
                    && repair.kind == RepairKind::ZeroBurst
                    && last.until == repair.since
                    && last.amount.is_none()
                    && repair.amount.is_none() =>
            {
                (last.until, last.after, last.why) = (repair.until, repair.after, repair.why);
            }
            _ => {
                if repair.kind == RepairKind::Waver {
                    repair.why.insert("n_readings".to_owned(), 1.0);
                }
                self.part.repairs.push(repair);
            }
        }
    }
}
