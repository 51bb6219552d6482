//! A register's readings, in order of time → the steps by which it rose: rollover, reset, swap, spike, burst of zeros.
//!
//! A pure walk over the readings held: whether a fall is a reset, or a spike's way back, is told by the readings after
//! it, so the same readings give the same steps whatever the order they came in. It knows no intervals and no gaps.
//! Invariants: steps adjoin, each from one believed reading to the next; a rise is never negative.

mod away;
mod burst;
mod frozen;
mod leap;
mod swap;

use super::{
    known::{MARGIN, Mark, Memory, Rules, limit_kw, waver},
    point::{MINUTE_MS, MS_PER_HOUR, Point, hours, is_torn, timestamp},
    repair::RepairKind,
};
use crate::quantity::Quantity;

pub(crate) use away::{FIRST_STEP, RETURN_MS, RETURN_READINGS, ZERO_MS};
pub(crate) use leap::impossible_kw;
pub use swap::CHANGE_MS;
pub(crate) use swap::changing_ms;

/// A rise is impossible beyond this times what is plausible by the power the site's file says: nameplates are wrong
/// at times, but not so far.
const IMPOSSIBLE: f64 = 10.0;
/// A register that falls from less than this share of its top below it has gone over it rather than been reset.
const NEAR_TOP_SHARE: f64 = 0.1;
/// What happened between two believed readings.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    /// The register before, and after.
    pub(crate) before: f64,
    pub(crate) after: f64,
    /// What was used; `None` = unknown.
    pub(crate) rise: Option<f64>,
    /// Since when the register has stood still, where that is too long to be believed.
    pub(crate) doubted_since_ms: Option<i64>,
    /// The whole standstill that it is a part of, as far as is known: from when, until when.
    pub(crate) stood_ms: Option<(i64, i64)>,
    /// What was done, if anything; boxed, because it hardly ever is.
    pub(crate) repaired: Option<Box<Repaired>>,
}

/// A repair, not yet cut to intervals.
#[derive(Debug)]
pub(crate) struct Repaired {
    pub(crate) kind: RepairKind,
    pub(crate) why: Vec<(&'static str, f64)>,
}

impl Step {
    /// An ordinary one.
    fn plain((from_ms, to_ms): (i64, i64), (before, after): (f64, f64), rise: f64) -> Self {
        Self {
            from_ms,
            to_ms,
            before,
            after,
            rise: Some(rise),
            doubted_since_ms: None,
            stood_ms: None,
            repaired: None,
        }
    }
}

/// Walks over readings.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    points: &'a [Point],
    rules: Rules<'a>,
    /// Index of the last believed reading.
    at: usize,
    reference: f64,
    /// When the reference was first reached.
    since_ms: i64,
    /// Equal readings up to this index have been seen to end in no jump.
    looked_at: usize,
    /// They have been seen to last for longer than is believed.
    is_doubted: bool,
    /// From when on readings are another meter's; `i64::MAX` when no change comes.
    swap_ms: i64,
    /// From when on they are the new one's own; between the two a gateway said the old one's last value again.
    swapped_to_ms: i64,
    /// From when on that has to be looked for.
    look_ms: i64,
    limit_kw: f64,
    memory: Memory,
    /// Instants at which time itself was in doubt: a rise across one teaches nothing.
    torn_ms: &'a [i64],
}

impl<'a> Walk<'a> {
    /// Begins at the first of `points`, which is believed.
    pub(crate) fn new(points: &'a [Point], memory: Memory, rules: Rules<'a>) -> Self {
        Self::stands_at(0, points, memory, rules)
    }

    /// Goes on at a mark set earlier, on the same or more readings.
    pub(crate) fn resume(points: &'a [Point], mark: &Mark, rules: Rules<'a>) -> Self {
        let at = points.partition_point(|point| point.0 < mark.at_ms);
        Self::stands_at(at, points, mark.memory, rules)
    }

    fn stands_at(at: usize, points: &'a [Point], memory: Memory, rules: Rules<'a>) -> Self {
        let (at_ms, first) = points.first().copied().unwrap_or((0, 0.0));
        let mut walk = Self {
            points,
            rules,
            at,
            reference: memory.reference.unwrap_or(first),
            since_ms: memory.since_ms.unwrap_or(at_ms),
            looked_at: at,
            is_doubted: false,
            swap_ms: i64::MAX,
            swapped_to_ms: i64::MIN,
            look_ms: i64::MAX,
            limit_kw: limit_kw(memory.peak_kw, rules.max_kw),
            memory,
            torn_ms: &[],
        };
        if walk.memory.grain.is_new() {
            walk.memory.grain.learn(first, first, false);
        }
        if !rules.swaps.is_empty() {
            walk.expect_swap();
        }
        walk
    }

    /// Across these instants, within which time itself was in doubt.
    pub(crate) fn over_torn(mut self, torn_ms: &'a [i64]) -> Self {
        self.torn_ms = torn_ms;
        self
    }

    /// The place it stands at.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            at_ms: self.points.get(self.at).map_or(0, |point| point.0),
            memory: Memory {
                reference: (!self.points.is_empty()).then_some(self.reference),
                since_ms: Some(self.since_ms),
                ..self.memory
            },
        }
    }

    /// Instant of the last believed reading.
    pub(crate) fn at_ms(&self) -> Option<i64> {
        self.points.get(self.at).map(|point| point.0)
    }

    /// Instant of the reading after it, believed or not.
    pub(crate) fn next_ms(&self) -> Option<i64> {
        self.points.get(self.at + 1).map(|point| point.0)
    }

    /// What it has learnt so far.
    pub(crate) fn learnt(&self) -> &Memory {
        &self.memory
    }

    /// Whether a rise is what the highest power known makes, or less. Nothing is where none is known.
    fn is_usual(&self, rise: f64, elapsed_ms: i64) -> bool {
        rise * MS_PER_HOUR <= self.limit_kw * elapsed_ms as f64
    }

    /// Whether a rise is what the register itself has shown, once it has been followed: a contract allows for more than any
    /// machine draws.
    fn is_shown(&self, rise: f64, elapsed_ms: i64) -> bool {
        let most_kw = if self.is_learnt() {
            MARGIN * self.memory.peak_kw
        } else {
            self.limit_kw
        };
        rise * MS_PER_HOUR <= most_kw * elapsed_ms as f64
    }

    /// Whether a rise can be, by the highest power known, or by any.
    fn is_plausible(&self, rise: f64, elapsed_ms: i64) -> bool {
        rise <= self.plausible(elapsed_ms)
    }

    /// An ordinary rise to the reading at `index`, the next one or one after a silence.
    fn rises(&mut self, index: usize, rise: f64) -> Step {
        let (from_ms, before, to) = (self.points[self.at].0, self.reference, self.points[index]);
        if to.1 != before && is_torn(self.torn_ms, from_ms, to.0) {
            self.stands(to);
            self.memory.begin_lasting();
        } else if rise > 0.0 {
            self.learn(to, rise);
        }
        self.at = index;
        Step::plain((from_ms, to.0), (before, to.1), rise)
    }

    /// What an ordinary rise teaches; the register stands there now.
    fn learn(&mut self, to: Point, rise: f64) {
        let (from_ms, elapsed_ms) = (self.points[self.at].0, to.0 - self.points[self.at].0);
        self.learn_peak(rise, elapsed_ms);
        if rise < self.memory.least || self.memory.least == 0.0 {
            self.memory.least = rise;
        }
        // What values are multiples of, and what power lasts, shows in one a minute; of all it would cost as much as the rest
        // of the walk.
        if to.0.div_euclid(MINUTE_MS) != self.since_ms.div_euclid(MINUTE_MS) {
            let has_stood = self.since_ms < self.points[self.at].0;
            self.memory.grain.learn(self.reference, to.1, has_stood);
            self.memory.learn_lasting(to);
        }
        self.memory.zeroed = None;
        self.memory.learn_rise(rise, to.0 - self.since_ms);
        self.memory
            .learn_standstill(from_ms - self.since_ms, elapsed_ms, self.rules.patience);
        self.stands(to);
    }

    /// Steps over readings up to `to_ms` that ask for no second look: no further apart than `gap_ms`, they rise in the
    /// usual way, or stand still and rise so afterwards. Says how far it came, and adds what they rose by to `sum`. It
    /// gives what single steps give, in a fraction of the time.
    pub(crate) fn stride(&mut self, to_ms: i64, gap_ms: i64, mut sum: f64) -> f64 {
        while let Some(&to) = self.points.get(self.at + 1) {
            let elapsed_ms = to.0 - self.points[self.at].0;
            let rise = to.1 - self.reference;
            if to.0 > to_ms || to.0 >= self.swap_ms.min(self.look_ms) || elapsed_ms > gap_ms {
                break;
            }
            if rise > 0.0 && self.is_usual(rise, elapsed_ms) {
                self.learn(to, rise);
                sum += rise;
            } else if rise != 0.0 || !self.rests() {
                break;
            }
            self.at += 1;
        }
        sum
    }

    /// Whether the standstill that it is in is one of every day, which a usual rise ends.
    fn rests(&mut self) -> bool {
        if self.memory.zeroed.is_some() {
            return false;
        }
        if self.at < self.looked_at {
            return !self.is_doubted;
        }
        let jump = self.jump();
        let is_usual = |to: &Point| {
            let rise = to.1 - self.reference;
            rise > 0.0 && self.is_usual(rise, to.0 - self.points[jump - 1].0)
        };
        let rests =
            self.points.get(jump).is_none_or(is_usual) && !self.stands_too_long(jump - 1) && self.owed(jump).is_none();
        if rests {
            (self.looked_at, self.is_doubted) = (jump - 1, false);
        }
        rests
    }

    /// Index of the first reading that does not say the same again, or waver, but for those that only left its place.
    fn jump(&self) -> usize {
        let lowest = self.reference - waver(self.reference);
        let still = |point: &Point| (lowest..=self.reference).contains(&point.1) && point.0 < self.swap_ms;
        let mut jump = self.at + 1;
        loop {
            jump += self.points[jump..].iter().take_while(|point| still(point)).count();
            // Each second may end a standstill: a rise of the usual kind asks for no second look.
            let is_away = |to: &&Point| {
                let rise = to.1 - self.reference;
                rise < 0.0 || !self.is_usual(rise, to.0 - self.points[jump - 1].0)
            };
            let away = self.points.get(jump).filter(is_away);
            match away.and_then(|_| self.returned(jump - 1)) {
                Some(back) if still(&self.points[back]) => jump = back,
                _ => return jump,
            }
        }
    }

    /// A believed rise tells what power there can be.
    fn learn_peak(&mut self, rise: f64, elapsed_ms: i64) {
        if rise * MS_PER_HOUR > self.memory.peak_kw * elapsed_ms as f64 {
            self.memory.peak_kw = rise / hours(elapsed_ms);
            self.limit_kw = limit_kw(self.memory.peak_kw, self.rules.max_kw);
        }
    }

    fn stands(&mut self, (at_ms, value): Point) {
        self.reference = value;
        self.since_ms = at_ms;
    }

    /// A step to the reading at `index` that was not ordinary; the register stands there now.
    fn repaired(&mut self, index: usize, kind: RepairKind, rise: Option<f64>, why: Vec<(&'static str, f64)>) -> Step {
        let (from_ms, to) = (self.points[self.at].0, self.points[index]);
        let before = self.reference;
        self.stands(to);
        self.memory.begin_lasting();
        if let RepairKind::Jump | RepairKind::Reset | RepairKind::Rollover | RepairKind::Swap = kind {
            self.memory.grain.begin_at(to.1);
        }
        self.at = index;
        Step {
            from_ms,
            to_ms: to.0,
            before,
            after: to.1,
            rise,
            doubted_since_ms: None,
            stood_ms: None,
            repaired: Some(Box::new(Repaired { kind, why })),
        }
    }

    /// The register says the same again, but for its noise: it stands still, or is frozen and will jump.
    fn unchanged(&mut self, to: Point) -> Step {
        if self.at >= self.looked_at {
            let jump = self.jump();
            self.looked_at = jump - 1;
            if let Some(step) = self.back(jump) {
                return step;
            }
            if let Some(owed) = self.owed(jump) {
                return self.frozen(jump, owed);
            }
            if let Some(step) = self.frozen_until_swap(jump) {
                return step;
            }
            if self.is_awake(jump) {
                return self.awoken(jump);
            }
            self.is_doubted = self.stands_too_long(jump - 1);
        }
        let step = if to.1 < self.reference {
            self.wavered(to)
        } else {
            self.rises(self.at + 1, 0.0)
        };
        Step {
            doubted_since_ms: self.is_doubted.then_some(self.since_ms),
            stood_ms: Some((self.since_ms, self.points[self.looked_at].0)),
            ..step
        }
    }

    /// Whether a standstill up to the reading at `last` is longer than is believed. Only import is used all the time:
    /// export and reactive energy rest for seasons.
    fn stands_too_long(&self, last: usize) -> bool {
        let stood_ms = self.points[last].0 - self.since_ms;
        let believed_ms = self.memory.believed_ms(self.rules.patience);
        self.rules.quantity == Quantity::EnergyImport && believed_ms.is_some_and(|ms| self.outlasts(stood_ms, ms))
    }

    /// Whether a standstill of so long is longer than is believed, days off that were declared apart.
    fn outlasts(&self, stood_ms: i64, believed_ms: i64) -> bool {
        stood_ms > believed_ms && stood_ms - self.off_ms(self.since_ms, self.since_ms + stood_ms) > believed_ms
    }

    /// How much of a time lies in days off, ms, which is no standstill of the register: planned stops, and holidays where it
    /// ever rests. What runs round the clock runs on holidays.
    fn off_ms(&self, from_ms: i64, to_ms: i64) -> i64 {
        let ever_rests = self.memory.longest_ms() > self.rules.patience.least_ms;
        self.rules.days_off.map_or(0, |(days, zone)| {
            days.within_ms(zone, (timestamp(from_ms), timestamp(to_ms)), ever_rests)
        })
    }

    /// What a rise beyond the usual, a fall or a change of the meter means.
    fn unusual(&mut self, to: Point, rise: f64) -> Step {
        let elapsed_ms = to.0 - self.points[self.at].0;
        if to.0 >= self.swap_ms {
            return self.swapped(self.at + 1);
        }
        // A clock was set: the register has neither leapt nor fallen.
        if self.torn_ms.contains(&self.points[self.at].0) {
            return self.rises(self.at + 1, rise.max(0.0));
        }
        if let Some(back) = self.returned(self.at) {
            return self.discarded(back);
        }
        if rise < 0.0 {
            return self.fallen(to, elapsed_ms);
        }
        if self.is_awake(self.at + 1) {
            return self.awoken(self.at + 1);
        }
        if let Some(step) = self.back(self.at + 1) {
            return step;
        }
        self.leapt(to, rise).unwrap_or_else(|| self.rises(self.at + 1, rise))
    }

    /// A fall within the register's noise. Named only where it falls, not while it stays there.
    fn wavered(&mut self, to: Point) -> Step {
        let (_, last) = self.points[self.at];
        let (reference, since_ms) = (self.reference, self.since_ms);
        let why = vec![("fall", reference - to.1), ("waver", waver(reference))];
        let step = self.repaired(self.at + 1, RepairKind::Waver, Some(0.0), why);
        self.reference = reference;
        self.since_ms = since_ms;
        Step {
            repaired: step.repaired.filter(|_| to.1 < last),
            ..step
        }
    }

    /// Over the top, to the reading at `index`, if what it counted until then can have been used.
    fn over_top(&mut self, index: usize) -> Option<Step> {
        let top = self.rules.rollover.filter(|top| *top >= self.reference)?;
        let (to_ms, value) = self.points[index];
        let elapsed_ms = to_ms - self.points[self.at].0;
        let (wrapped, plausible) = (top - self.reference + value, self.plausible(elapsed_ms));
        let is_near_top = wrapped <= NEAR_TOP_SHARE * top;
        let is_usual = self.is_plausible(wrapped, elapsed_ms);
        if index > self.at + 1 {
            // What zeros hide for long may be anything.
            (is_usual && is_near_top && elapsed_ms <= ZERO_MS).then_some(())?;
        } else {
            // Against a register that stood just below its top, the highest power seen so far is a weak witness.
            let is_unrated = self.rules.max_kw.is_none();
            (is_usual || is_near_top && is_unrated && wrapped <= IMPOSSIBLE * plausible).then_some(())?;
            self.learn_peak(wrapped, elapsed_ms);
        }
        let why = vec![("top", top), ("wrapped", wrapped), ("plausible", plausible)];
        Some(self.repaired(index, RepairKind::Rollover, Some(wrapped), why))
    }

    /// A fall that stayed: over the top, or set back.
    fn fallen(&mut self, to: Point, elapsed_ms: i64) -> Step {
        let plausible = self.plausible(elapsed_ms);
        if let Some(step) = self
            .over_top(self.at + 1)
            .or_else(|| self.over_top(self.counts_again()?))
        {
            return step;
        }
        // A single first reading, and then a value that cannot have been counted since zero: it was never there.
        let is_first = self.memory.rise == 0.0 && self.since_ms == self.points[self.at].0;
        if is_first && to.1 > self.first_rise(elapsed_ms) {
            let why = vec![("n_readings", 1.0), ("furthest", self.reference)];
            return self.repaired(self.at + 1, RepairKind::Spike, None, why);
        }
        if to.1 == 0.0
            && let Some(step) = self.zeroed()
        {
            return step;
        }
        if let Some(jump) = self.owed_since_zero(to) {
            let counted = self.points[jump].1;
            let why = vec![("fall", self.reference), ("counted", counted)];
            return self.repaired(jump, RepairKind::Reset, Some(counted), why);
        }
        // What it has counted since its new zero was used, if it can have been; of a gap that is no more than a part.
        let is_near = elapsed_ms <= self.rules.gap_ms;
        let since_zero = Some(to.1).filter(|value| is_near && *value > 0.0 && self.is_shown(*value, elapsed_ms));
        let mut why = vec![("fall", self.reference - to.1), ("plausible", plausible)];
        why.extend(self.rules.rollover.map(|top| ("wrapped", top - self.reference + to.1)));
        self.repaired(self.at + 1, RepairKind::Reset, since_zero, why)
    }
}

impl Iterator for Walk<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let &to = self.points.get(self.at + 1)?;
        let rise = to.1 - self.reference;
        let elapsed_ms = to.0 - self.points[self.at].0;
        if to.0 >= self.look_ms {
            self.look_for_swap();
        }
        if to.0 < self.swap_ms {
            if elapsed_ms > self.rules.gap_ms
                && let Some(last) = self.held_back()
            {
                return Some(self.rises(last, self.points[last].1 - self.reference));
            }
            if rise <= 0.0 && -rise <= waver(self.reference) {
                return Some(self.unchanged(to));
            }
            if rise > 0.0 && self.is_usual(rise, elapsed_ms) {
                return Some(self.rises(self.at + 1, rise));
            }
        }
        Some(self.unusual(to, rise))
    }
}
