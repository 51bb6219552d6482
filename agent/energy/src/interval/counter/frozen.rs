//! Standstills that were none: a register that jumps, after it stood still, by what was used meanwhile.
//!
//! Part of the walk in `counter.rs`. It knows no power beside the register. Invariant: what a frozen register owes is spread over the time that it stood still, and
//! is no demand; one that is read in large steps, or rests by habit, is not frozen because it takes a step.

use super::{
    Step, Walk,
    away::RETURN_READINGS,
    leap::{FAR, GOES_ON_SHARE, LEAP, LEARNT_MS},
};
use crate::{
    interval::{
        known::MARGIN,
        point::{MS_PER_HOUR, Point, hours, is_torn},
        repair::RepairKind,
    },
    quantity::Quantity,
};

/// Against the power that the site's file says, a register is called frozen after so many equal readings at least.
const FROZEN_READINGS: usize = 3;
/// A frozen register jumps by at least this share of what it would have counted, going by its usual power …
const FROZEN_SHARE: f64 = 0.5;
/// … and by at most so many times that, …
const FROZEN_TIMES: f64 = 2.0;
/// … and after a standstill of no kind that it has shown, about that, …
const ALIKE: f64 = 1.25;
/// … unless the jump is so many times the highest power known: no start makes that, with all that draws more at first.
const BEYOND: f64 = 1.5;
/// A register that counts in large steps stands still for so many of them by nature.
const SEVERAL: f64 = 3.0;

/// What a frozen register had not counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owed {
    /// `None` where how much of its jump belongs to the standstill is unknown.
    rise: Option<f64>,
    /// Index of the reading with which it went on.
    end: usize,
}

/// A rise that ends a standstill.
#[derive(Debug, Clone, Copy)]
struct Jump {
    rise: f64,
    /// Time since the last reading before it, and since the register began to stand still.
    step_ms: i64,
    stood_ms: i64,
}

impl Jump {
    /// Its power, were it of one step, kW.
    fn step_kw(self) -> f64 {
        self.rise / hours(self.step_ms)
    }

    /// Its power, spread over the standstill, kW.
    fn spread_kw(self) -> f64 {
        self.rise / hours(self.stood_ms)
    }
}

impl Walk<'_> {
    /// What a register that stood still until `jump` had not counted, where the standstill was none.
    pub(super) fn owed(&self, jump: usize) -> Option<Owed> {
        let end = self.end(jump)?;
        let (to_ms, value) = self.points[end];
        let n_equal = jump - self.at;
        let rise = self.counted(value);
        let ended = Jump {
            rise,
            step_ms: to_ms - self.points[jump - 1].0,
            stood_ms: to_ms - self.since_ms,
        };
        // What a clock that was set makes is no debt.
        if rise <= 0.0 || is_torn(self.torn_ms, self.points[jump - 1].0, to_ms) {
            return None;
        }
        // Asked last: the step of a register is dear to reckon.
        let is_ordinary = || self.is_step(rise) || self.memory.back(value).is_some();
        if self.memory.peak_kw == 0.0 {
            return self.owes_first(ended, end, n_equal).filter(|_| !is_ordinary());
        }
        // Each second knows a standstill, and no more power than is known owes anything, but after one of no kind that the
        // register has shown.
        if ended.step_kw() <= MARGIN * self.memory.peak_kw {
            // No standstill is strange before this.
            if ended.stood_ms <= self.rules.patience.least_ms {
                return None;
            }
            let is_owed = self.is_strange(ended) && self.falls_back(ended, end) && self.is_alike(ended);
            return (is_owed && !is_ordinary()).then_some(Owed { rise: Some(rise), end });
        }
        let mut known = self.known(n_equal, ended.stood_ms - ended.step_ms);
        let is_owed = known.any(|known| self.owes(ended, self.next_kw(end), known))
            || n_equal >= FROZEN_READINGS && self.is_far(ended, self.next_kw(end));
        let is_owed = is_owed && !is_ordinary();
        let rise = Some(rise);
        is_owed.then_some(Owed { rise, end })
    }

    /// Index of the reading with which a standstill ends, at `jump` or after readings that only left its place.
    fn end(&self, jump: usize) -> Option<usize> {
        let &(to_ms, value) = self.points.get(jump).filter(|point| point.0 < self.swap_ms)?;
        let (rise, elapsed_ms) = (value - self.reference, to_ms - self.points[jump - 1].0);
        let is_away = rise < 0.0 || !self.is_usual(rise, elapsed_ms);
        let back = is_away.then(|| self.returned(jump - 1)).flatten();
        Some(back.unwrap_or(jump))
    }

    /// Whether a standstill of import, which has been followed, was longer than any that it has shown.
    fn is_strange(&self, ended: Jump) -> bool {
        let believed_ms = self.memory.believed_ms(self.rules.patience);
        self.rules.quantity == Quantity::EnergyImport
            && believed_ms.is_some_and(|ms| self.outlasts(ended.stood_ms - ended.step_ms, ms))
    }

    /// Whether it goes on from the reading at `end` by far less power than its step there.
    fn falls_back(&self, ended: Jump, end: usize) -> bool {
        self.points.len() > end + 1 && self.next_kw(end) <= GOES_ON_SHARE * ended.step_kw()
    }

    /// Whether the rise is what the last power, or the usual one, makes over the whole standstill. A plant that was off starts
    /// with what it starts with.
    fn is_alike(&self, ended: Jump) -> bool {
        let is_of = |kw: f64| (kw / ALIKE..=kw * ALIKE).contains(&ended.spread_kw());
        is_of(self.last_kw()) || is_of(self.memory.mean_kw)
    }

    /// Mean power up to the last rise, kW.
    fn last_kw(&self) -> f64 {
        self.memory.rise * MS_PER_HOUR / self.memory.rise_ms as f64
    }

    /// Whether the register has shown what it counts.
    pub(super) fn is_learnt(&self) -> bool {
        self.memory.known_ms >= LEARNT_MS
    }

    /// The highest power known, kW, by what the register has counted and by what the site's file lets expect, and how many
    /// times that no start makes: a plant followed for a week has shown all its hours. After a standstill of no kind that it
    /// has ever shown, whatever it has not shown either is no start.
    fn known(&self, n_equal: usize, equal_ms: i64) -> impl Iterator<Item = (f64, f64)> + use<> {
        let memory = &self.memory;
        let is_doubted = self.rules.quantity == Quantity::EnergyImport
            && self.is_learnt()
            && equal_ms > memory.habit_ms(self.rules.patience);
        let is_followed = memory.known_ms >= self.rules.patience.known_ms;
        let (beyond, rated_beyond) = match is_followed {
            _ if is_doubted => (MARGIN, MARGIN),
            true => (BEYOND, BEYOND),
            false => (LEAP, BEYOND),
        };
        let learnt = self.is_learnt().then_some((memory.peak_kw, beyond));
        let is_rated = n_equal >= FROZEN_READINGS && self.rules.max_kw.is_some();
        let rated = is_rated.then_some((self.limit_kw / MARGIN, rated_beyond));
        learnt.into_iter().chain(rated)
    }

    /// Of a register that has shown little yet, far more than all of that is no start.
    fn is_far(&self, jump: Jump, next_kw: f64) -> bool {
        let (peak_kw, most_kw) = (self.memory.peak_kw, MARGIN * self.memory.peak_kw);
        !self.is_learnt() && jump.step_kw() > FAR * peak_kw && jump.spread_kw() <= most_kw && next_kw <= most_kw
    }

    /// The highest power known makes the rise over the whole standstill, but not in one step: such a step is owed if it
    /// is far beyond that power, however long the plant was off meanwhile, or if the usual power makes as much.
    fn owes(&self, jump: Jump, next_kw: f64, (known_kw, beyond): (f64, f64)) -> bool {
        let most_kw = MARGIN * known_kw;
        // A plant that has begun to draw more than ever goes on with it.
        let is_beyond = jump.step_kw() > beyond * known_kw && next_kw <= most_kw;
        jump.step_kw() > most_kw
            && jump.spread_kw() <= most_kw
            && (is_beyond || self.is_missing(jump, (FROZEN_SHARE, FROZEN_TIMES)))
    }

    /// The register's usual power makes the rise over the whole standstill, and it does not stand still as long: it never
    /// did, or would have taken several steps.
    fn is_missing(&self, jump: Jump, (share, times): (f64, f64)) -> bool {
        let memory = &self.memory;
        let last_kw = self.last_kw();
        let (least_kw, most_kw) = (last_kw.min(memory.mean_kw), last_kw.max(memory.mean_kw));
        let equal_ms = jump.stood_ms - jump.step_ms;
        let several = SEVERAL * self.step_to(self.reference + jump.rise);
        (share * least_kw..=times * most_kw).contains(&jump.spread_kw())
            && (equal_ms > memory.longest_ms || least_kw * hours(equal_ms) > several)
    }

    /// The power by which the register goes on from the reading at `index`, kW; 0 where nothing is known yet.
    fn next_kw(&self, index: usize) -> f64 {
        let (from, next) = (self.points[index], self.points.get(index + 1));
        next.map_or(0.0, |to| (to.1 - from.1) / hours(to.0 - from.0))
    }

    /// A register of which no power is known yet is known by what it counts after the jump; where it stands still then, by
    /// what the site's file lets expect, once.
    fn owes_first(&self, jump: Jump, end: usize, n_equal: usize) -> Option<Owed> {
        let (next_kw, next_rise) = self.next_most(end);
        let is_beyond = jump.rise > FROZEN_TIMES * next_rise && jump.step_kw() > MARGIN * next_kw;
        let is_rated = self.rules.max_kw.is_some();
        let is_missing = next_kw > 0.0 && jump.spread_kw() >= FROZEN_SHARE * next_kw;
        let is_impossible = is_rated && !self.is_usual(jump.rise, jump.step_ms);
        let is_known = next_kw > 0.0 || self.memory.rise == 0.0;
        let is_owed = is_known
            && n_equal >= FROZEN_READINGS
            && self.reference > 0.0
            && is_beyond
            && (is_missing || is_impossible);
        // It may have stood still long before it was first heard.
        let is_explained =
            is_rated && self.is_usual(jump.rise, jump.stood_ms) || jump.spread_kw() <= FROZEN_TIMES * next_kw;
        // Without a rating nothing is impossible: what is not explained was used, or came in a silence.
        let rise = is_explained.then_some(jump.rise);
        (is_owed && (is_explained || is_rated)).then_some(Owed { rise, end })
    }

    /// Highest power, kW, and largest rise of the next few readings after the one at `index`; 0 where it stands still. Of no more
    /// of them: what was told of a standstill that has been forgotten cannot be told otherwise.
    fn next_most(&self, index: usize) -> (f64, f64) {
        let mut from = self.points[index];
        let mut most = (0.0_f64, 0.0_f64);
        for to in self.points[index + 1..].iter().take(RETURN_READINGS) {
            if to.1 == from.1 {
                continue;
            }
            if to.0 >= self.swap_ms || to.1 < from.1 {
                break;
            }
            let (kw, rise) = ((to.1 - from.1) / hours(to.0 - from.0), to.1 - from.1);
            most = (most.0.max(kw), most.1.max(rise));
            from = *to;
        }
        most
    }

    /// How far it went to `value`: over its top, where it begins again at zero and has fallen.
    fn counted(&self, value: f64) -> f64 {
        let top = self
            .rules
            .rollover
            .filter(|top| value < self.reference && *top >= self.reference);
        top.unwrap_or(0.0) + value - self.reference
    }

    /// A step over a standstill that was none, which lasted until the reading at `jump`.
    pub(super) fn frozen(&mut self, jump: usize, owed: Owed) -> Step {
        let (since_ms, last, to) = (self.points[self.at].0, self.points[jump - 1], self.points[owed.end]);
        let mut why = vec![
            ("unchanged_s", (last.0 - since_ms) as f64 / 1000.0),
            ("n_readings", (jump - self.at) as f64),
            ("jump", self.counted(to.1)),
        ];
        why.extend(
            self.rules
                .rollover
                .filter(|_| to.1 < self.reference)
                .map(|top| ("top", top)),
        );
        if let Some(rise) = owed.rise.filter(|_| self.memory.peak_kw == 0.0) {
            self.memory.learn_rise(rise, to.0 - self.since_ms);
            self.memory.grain.learn(self.reference, to.1, true);
            self.memory.leapt_to = Some(to);
        }
        let Some(rise) = owed.rise.filter(|_| owed.end > jump) else {
            return self.repaired(owed.end, RepairKind::Frozen, owed.rise, why);
        };
        // Readings that left its place have a name of their own: they go on from where it would have stood by then.
        let share = (last.0 - since_ms) as f64 / (to.0 - since_ms) as f64;
        let stood_at = self.reference;
        let step = self.repaired(jump - 1, RepairKind::Frozen, Some(rise * share), why);
        self.reference = stood_at + rise * share;
        step
    }

    /// Index of the reading at which a register that was set back, and said several zeros, counts again by more than it has
    /// ever counted in a step: the zeros hid what was used.
    pub(super) fn owed_since_zero(&self, (_, zero): Point) -> Option<usize> {
        let jump = self.counts_again()?;
        let (to_ms, rise) = self.points[jump];
        let ended = Jump {
            rise,
            step_ms: to_ms - self.points[jump - 1].0,
            stood_ms: to_ms - self.points[self.at].0,
        };
        let most_kw = MARGIN * self.memory.peak_kw;
        let is_owed = zero == 0.0
            && jump > self.at + 2
            && self.is_learnt()
            && !self.is_step(rise)
            && ended.step_kw() > most_kw
            && ended.spread_kw() <= most_kw;
        is_owed.then_some(jump)
    }
}
