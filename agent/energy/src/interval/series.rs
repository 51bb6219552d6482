//! Readings of one register, held while an interval may still need them, and the energy between two instants.
//!
//! It decides nothing about meters or when intervals close; what a counter's readings mean is told in `counter.rs`.
//! Invariants: points are ascending in time, one an instant; the parts of adjoining stretches add up to the whole.

mod bad;
mod clock;
mod keep;

pub(crate) use keep::Keep;

use serde::{Deserialize, Serialize};

use super::{
    counter::{FIRST_STEP, RETURN_MS, RETURN_READINGS, Repaired, Walk, changing_ms},
    cut::{Cut, Part},
    known::{MARGIN, Mark, Memory, Rules, is_usual, limit_kw, waver},
    load::Load,
    point::{MS_PER_HOUR, Point, distances, hours, is_torn},
    repair::RepairKind,
};
use crate::{sample::Quality, site::Swap};

/// So many of a new register's readings show what it counts: those of a coarse one that is read often may stand still for long.
const SHOWN_READINGS: usize = 64;

/// Ascending readings of one quantity of one meter.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    #[serde(with = "distances")]
    points: Vec<Point>,
    /// Readings that cannot be real, for their name's sake; ascending.
    bad: Vec<Point>,
    /// Readings before this have been forgotten, but for the first of a standstill that still lasts.
    forgotten_ms: Option<i64>,
    /// The first of those forgotten, ms.
    first_ms: Option<i64>,
    /// Instants at which time itself was in doubt: what lies between the readings on both sides is not known.
    torn_ms: Vec<i64>,
    /// The last instant for which two values came.
    contradicted: Option<clock::Contradicted>,
    /// How often instants come, once one came again.
    repeats: Option<clock::Repeats>,
    /// What the forgotten readings of a counter have taught.
    memory: Memory,
    /// Highest mean power of the last walk, kW: what rises above it may be a spike, or end a standstill.
    peak_kw: f64,
    /// Smallest rise of the last walk.
    least: f64,
    unsettled: Option<Unsettled>,
    /// A change of the meter was entered for about now: from here on energy may be told anew, ms.
    changing_ms: Option<i64>,
    /// Where walks over a counter's readings can begin that need not begin at the first: ascending, each before
    /// everything that is told anew.
    marks: Vec<Mark>,
    /// Since when it has stood still, where that was doubted, ms.
    doubted_ms: Option<i64>,
}

/// A counter did what later readings may explain.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[allow(
    clippy::struct_field_names,
    reason = "all are instants in milliseconds, and the unit stands last"
)]
struct Unsettled {
    /// Energy from here on may be told anew, ms.
    from_ms: i64,
    /// The newest reading that was unusual, ms.
    by_ms: i64,
    /// The newest to which it leapt up, ms.
    leapt_ms: Option<i64>,
}

/// What happened to a reading that was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is the newest.
    Newest,
    /// It stands between, or before, others.
    Between,
    /// The same value was there for the same instant.
    Duplicate,
    /// Another value was there for the same instant, and is still.
    Conflict,
    /// It is older than anything still held.
    TooOld,
}

impl Series {
    /// Puts a reading in its place.
    pub(crate) fn put(&mut self, at_ms: i64, value: f64) -> Put {
        if self.points.last().is_none_or(|last| last.0 < at_ms) {
            if self.points.len() == self.points.capacity() {
                // Twice as many would be most of what a thousand meters hold.
                self.points.reserve_exact(self.points.len() / 8 + 16);
            }
            self.points.push((at_ms, value));
            self.begin_instant();
            return Put::Newest;
        }
        self.repeat(at_ms);
        match self.points.binary_search_by_key(&at_ms, |point| point.0) {
            Ok(index) if self.points[index].1 == value => Put::Duplicate,
            Ok(_) => Put::Conflict,
            Err(_) if self.forgotten_ms.is_some_and(|forgotten_ms| at_ms < forgotten_ms) => Put::TooOld,
            Err(index) => {
                self.points.insert(index, (at_ms, value));
                Put::Between
            }
        }
    }

    /// Time was in doubt at `at_ms`. One such instant between two readings is enough: gives the one before it if it is
    /// the first.
    pub(crate) fn tear(&mut self, at_ms: i64) -> Option<i64> {
        let index = self.points.partition_point(|point| point.0 <= at_ms);
        let from_ms = self.points[index.checked_sub(1)?].0;
        (!self.is_torn(from_ms, at_ms + 1)).then(|| {
            self.torn_ms.push(at_ms);
            from_ms
        })
    }

    /// What it has taught so far.
    fn learnt(&self) -> &Memory {
        self.marks.last().map_or(&self.memory, |mark| &mark.memory)
    }

    fn is_torn(&self, from_ms: i64, to_ms: i64) -> bool {
        is_torn(&self.torn_ms, from_ms, to_ms)
    }

    /// Instant of the reading before `at_ms`; `at_ms` where there is none.
    pub(crate) fn before(&self, at_ms: i64) -> i64 {
        let index = self.points.partition_point(|point| point.0 < at_ms);
        index.checked_sub(1).map_or(at_ms, |index| self.points[index].0)
    }

    /// From when on a counter's energy is known anew after the reading at `at_ms` was put in. The newest of a counter
    /// that goes its usual way tells of the time since the one before, and so does one that says the same again; any
    /// other may tell what those before it were.
    #[inline]
    pub(crate) fn told_anew_ms(&mut self, at_ms: i64, rules: Rules<'_>) -> i64 {
        let shown_ms = self.repeats.and_then(|_| self.show_instants(at_ms, rules.gap_ms));
        let told_ms = self.told_by(at_ms, rules.max_kw);
        let told_ms = shown_ms.map_or(told_ms, |shown_ms| shown_ms.min(told_ms));
        if rules.swaps.is_empty() {
            return told_ms;
        }
        self.told_of_change(told_ms, at_ms, rules.swaps)
    }

    /// About a change of the meter, whatever is unusual may show when it was, and so does the last reading that may.
    fn told_of_change(&mut self, told_ms: i64, at_ms: i64, swaps: &[Swap]) -> i64 {
        let changing_ms = |at_ms: Option<i64>| changing_ms(swaps, at_ms?);
        let now_ms = changing_ms(self.last_ms());
        let earlier_ms = std::mem::replace(&mut self.changing_ms, now_ms);
        let is_over = earlier_ms != self.changing_ms;
        let is_unusual = told_ms < self.before(at_ms);
        let from_ms = earlier_ms
            .filter(|_| is_over)
            .into_iter()
            .chain(changing_ms(Some(at_ms)).filter(|_| is_unusual))
            .chain([told_ms])
            .min()
            .unwrap_or(told_ms);
        if from_ms < told_ms {
            self.marks.retain(|mark| mark.at_ms <= from_ms);
        }
        from_ms
    }

    #[inline]
    fn told_by(&mut self, at_ms: i64, max_kw: Option<f64>) -> i64 {
        if let [.., (before_ms, before), (last_ms, last)] = self.points[..]
            && last_ms == at_ms
            && self.needs_no_second_look((before_ms, before), (last_ms, last), max_kw)
        {
            return match self.unsettled {
                None if before == 0.0 && last > 0.0 && self.has_fallen() => self.unsettle(at_ms),
                _ if last > before && self.has_doubted() => self.told_of_doubt((before_ms, before), (last_ms, last)),
                // That it stands still right after what was unusual tells, too; that it goes on standing tells nothing.
                Some(unsettled) if last != before || unsettled.by_ms == before_ms => unsettled.from_ms.min(before_ms),
                _ => before_ms,
            };
        }
        if self.points.len() == 1 {
            return at_ms; // nothing lies before it
        }
        self.unsettle(at_ms)
    }

    /// Whether the newest reading ends a standstill by more power than the register has ever shown: what it had not counted
    /// before, perhaps.
    fn may_owe(&self) -> bool {
        let [.., (_, earlier), (before_ms, before), (last_ms, last)] = self.points[..] else {
            return false;
        };
        (before - earlier).abs() <= waver(before)
            && (last - before) * MS_PER_HOUR > MARGIN * self.shown_kw() * (last_ms - before_ms) as f64
    }

    /// Whether the newest step is an ordinary one, or a new register's first: most take it in their first minute, and were all
    /// of them held for an hour because of it, memory would be.
    fn needs_no_second_look(&self, (before_ms, before): Point, (last_ms, last): Point, max_kw: Option<f64>) -> bool {
        let (rise, shown_kw) = (last - before, self.shown_kw());
        let is_first = shown_kw == 0.0 && before > 0.0 && (0.0..=FIRST_STEP).contains(&rise);
        is_first || is_usual(rise, before, last_ms - before_ms, limit_kw(shown_kw, max_kw)) && !self.may_owe()
    }

    /// Highest mean power that it has shown, kW; before its first walk, in its newest readings but for the last.
    fn shown_kw(&self) -> f64 {
        if self.peak_kw > 0.0 {
            return self.peak_kw;
        }
        let Some((_, earlier)) = self.points.split_last() else {
            return 0.0;
        };
        let newest = &earlier[earlier.len().saturating_sub(SHOWN_READINGS)..];
        let kw = |pair: &[Point]| (pair[1].1 - pair[0].1) / hours(pair[1].0 - pair[0].0);
        newest.windows(2).map(kw).fold(0.0, f64::max)
    }

    /// Whether the standstill that was last told is doubted.
    fn has_doubted(&self) -> bool {
        let is_of = |since_ms: i64| self.marks.last().and_then(|mark| mark.memory.since_ms) == Some(since_ms);
        self.doubted_ms.is_some_and(is_of)
    }

    /// What ends a doubted standstill may tell what it was, and where it is more than the usual power makes, how the register goes
    /// on from there.
    #[cold]
    fn told_of_doubt(&mut self, before: Point, last: Point) -> i64 {
        let unsettled_ms = self.unsettled.map(|unsettled| unsettled.from_ms);
        let told = self.doubted_ms.into_iter().chain(unsettled_ms).chain([before.0]);
        let told_ms = told.min().unwrap_or(before.0);
        if last.1 - before.1 > 4.0 * self.learnt().usual(last.0 - before.0) {
            self.unsettled = Some(Unsettled {
                from_ms: told_ms,
                by_ms: last.0,
                leapt_ms: self.leapt_ms(),
            });
        }
        self.marks.retain(|mark| mark.at_ms <= told_ms);
        told_ms
    }

    #[cold]
    fn unsettle(&mut self, at_ms: i64) -> i64 {
        let index = self.points.partition_point(|point| point.0 < at_ms);
        let first = self
            .place(at_ms - RETURN_MS)
            .min(index.saturating_sub(RETURN_READINGS + 1))
            .saturating_sub(1);
        // … and of the standstill before that, or of the one that zeros came after.
        let mut first = self.stood_from(first);
        if self.points.get(first).is_some_and(|point| point.1 == 0.0) {
            first = self.stood_from(first.saturating_sub(1));
        }
        let from_ms = self.points.get(first).map_or(at_ms, |point| point.0);
        let leapt_ms = self.has_leapt(index).then_some(at_ms);
        let unsettled = self.unsettled.get_or_insert(Unsettled {
            from_ms,
            by_ms: at_ms,
            leapt_ms: None,
        });
        if index + 1 == self.points.len() && self.points[index].1 > self.points[index.saturating_sub(1)].1 {
            unsettled.leapt_ms = leapt_ms;
        }
        unsettled.from_ms = unsettled.from_ms.min(from_ms);
        unsettled.by_ms = unsettled.by_ms.max(at_ms);
        let from_ms = unsettled.from_ms;
        self.marks.retain(|mark| mark.at_ms <= from_ms);
        from_ms
    }

    /// Index of the first of the readings that end at `index` and are equal but for the register's noise, and for zeros and
    /// a few others among them.
    fn stood_from(&self, index: usize) -> usize {
        let value = self.points[index].1;
        let mut first = index;
        for (earlier, point) in self.points[..index].iter().enumerate().rev() {
            if (point.1 - value).abs() <= waver(value) {
                first = earlier;
            } else if first - earlier > RETURN_READINGS && point.1 != 0.0 {
                break;
            }
        }
        first
    }

    /// Whether the zeros before the newest reading came after something else.
    fn has_fallen(&self) -> bool {
        self.points.iter().rev().skip(1).any(|point| point.1 != 0.0)
    }

    /// Whether the rise to the reading at `index`, which is more than usual, is a leap: neither one of a register's large
    /// steps nor as high a power as just before, which is a power that the plant has not drawn before.
    fn has_leapt(&self, index: usize) -> bool {
        let step = |index: usize| {
            let ((from_ms, before), (to_ms, after)) =
                (*self.points.get(index.checked_sub(1)?)?, *self.points.get(index)?);
            Some((after - before, (after - before) / hours(to_ms - from_ms)))
        };
        let Some((rise, kw)) = step(index) else { return false };
        let before_kw = index.checked_sub(1).and_then(step).map_or(0.0, |(_, kw)| kw);
        rise > 2.0 * self.least && kw > 2.0 * before_kw
    }

    /// When the register last leapt, as long as that may be told otherwise, ms.
    pub(crate) fn leapt_ms(&self) -> Option<i64> {
        self.unsettled?.leapt_ms
    }

    /// From when on later readings may explain what a counter did, ms.
    pub(crate) fn unsettled_ms(&self) -> Option<i64> {
        let unsettled_ms = self.unsettled.map(|unsettled| unsettled.from_ms);
        unsettled_ms.into_iter().chain(self.changing_ms).min()
    }

    /// Forgets everything but what could not be real; what was told before `told_ms` stays.
    pub(crate) fn clear(&mut self, told_ms: Option<i64>) {
        *self = Self {
            bad: std::mem::take(&mut self.bad),
            forgotten_ms: told_ms,
            ..Self::default()
        };
    }

    /// The newest reading.
    pub(crate) fn last(&self) -> Option<Point> {
        self.points.last().copied()
    }

    /// Instant of the newest reading.
    pub(crate) fn last_ms(&self) -> Option<i64> {
        self.points.last().map(|point| point.0)
    }

    /// Since when it stands where it was last told, ms: before any zeros that nobody can explain. `None` where it was never
    /// heard, or has never risen and need not: export may be zero for ever.
    pub(crate) fn stood_ms(&self, is_used: bool) -> Option<i64> {
        let memory = self.learnt();
        let since_ms = memory.since_ms.filter(|_| is_used || memory.has_risen())?;
        Some(memory.zeroed().map_or(since_ms, |(before_ms, _)| before_ms))
    }

    /// Index of the first reading at or after an instant.
    fn place(&self, at_ms: i64) -> usize {
        self.points.partition_point(|point| point.0 < at_ms)
    }

    /// A standstill that began at `since_ms` is not believed; whether that is new.
    pub(crate) fn doubt(&mut self, since_ms: i64) -> bool {
        self.doubted_ms.replace(since_ms) != Some(since_ms)
    }

    /// Keeps the mark of a walk: what it has learnt, and where to go on if nothing before it can be told anew.
    pub(crate) fn keep_mark(&mut self, mark: Mark) {
        self.peak_kw = mark.memory.peak_kw();
        self.least = mark.memory.least();
        let is_settled = self.unsettled_ms().is_none_or(|from_ms| mark.at_ms <= from_ms);
        if is_settled && self.marks.last().is_none_or(|last| last.at_ms < mark.at_ms) {
            self.marks.push(mark);
        }
    }

    /// A walk from the last mark at or before `from_ms` on.
    fn walk<'a>(&'a self, from_ms: i64, rules: Rules<'a>) -> Walk<'a> {
        let walk = match self.marks.iter().rfind(|mark| mark.at_ms <= from_ms) {
            Some(mark) => Walk::resume(&self.points, mark, rules),
            None => Walk::new(&self.points, self.memory, rules),
        };
        walk.over_torn(&self.torn_ms)
    }

    /// From when on energy can be told, ms: from the first reading not forgotten, or through the whole standstill
    /// before it if that has turned out to be one of the register alone, is not believed, or was taken for something
    /// else until the register counted again. `None` = all of it.
    pub(crate) fn told_from_ms(&self, rules: Option<Rules<'_>>, load: &Load) -> Option<i64> {
        let forgotten_ms = self.forgotten_ms?;
        let first_ms = self.points.first()?.0;
        let is_told = rules.filter(|_| first_ms < forgotten_ms).is_some_and(|rules| {
            let is_doubted = |since_ms: i64| !load.is_heard(since_ms, forgotten_ms);
            let is_reset = |repaired: &Repaired| repaired.kind == RepairKind::Reset;
            let walk = Walk::new(&self.points, self.memory, rules).over_torn(&self.torn_ms);
            walk.take_while(|step| step.from_ms < forgotten_ms).any(|step| {
                let is_across = step.to_ms >= forgotten_ms;
                let repaired = step.repaired.as_deref();
                repaired.is_some_and(|repaired| is_across || is_reset(repaired) && step.after == 0.0)
                    || is_across && step.doubted_since_ms.is_some_and(is_doubted)
            })
        });
        Some(if is_told { first_ms } else { forgotten_ms })
    }

    /// Rise of a counter in `[from, to)`, each step in the share that lies in it.
    pub(crate) fn counter(&self, (from, to): (i64, i64), rules: Rules<'_>, load: &Load) -> Part {
        let mut cut = Cut::new(from, to, rules.gap_ms, rules.quantity);
        let mut walk = self.walk(from, rules);
        let mut mark = None;
        // Time in doubt and power beside the register ask for a look at each step.
        let is_calm = self.torn_ms.is_empty() && load.is_empty();
        while let Some(mut at_ms) = walk.at_ms().filter(|at_ms| *at_ms <= to) {
            if is_calm && at_ms >= from {
                at_ms = cut.stride(&mut walk, at_ms, load);
            }
            if walk.next_ms().is_none_or(|next_ms| next_ms > to) {
                mark = Some(walk.mark());
            }
            let Some(step) = (if at_ms < to { walk.next() } else { None }) else {
                break;
            };
            if step.to_ms > from && !self.is_torn(step.from_ms, step.to_ms) {
                cut.add(step, walk.learnt(), load);
            }
        }
        if let Some(last) = self.last().filter(|last| last.0 < to) {
            cut.fall_silent(last, walk.learnt(), load);
        }
        let mut part = cut.finish(walk.learnt(), load);
        part.mark = mark;
        if !part.repairs.is_empty() {
            part.raw = self.difference(from, to);
        }
        part
    }

    /// What the register itself says of `[from, to)`: the plain difference of its readings, whatever they are.
    fn difference(&self, from: i64, to: i64) -> Option<f64> {
        let mut sum = None;
        for pair in self.around(from, to).windows(2) {
            let ((start, first), (end, last)) = (pair[0], pair[1]);
            let overlap = end.min(to) - start.max(from);
            if overlap > 0 {
                *sum.get_or_insert(0.0) += (last - first) * overlap as f64 / (end - start) as f64;
            }
        }
        sum
    }

    /// Integral of the positive part of a power (`sign` 1) or of its negative part (`sign` −1) in `[from, to)`, in
    /// unit·hours. Between readings further apart than `gap_ms` nothing is known.
    pub(crate) fn power(&self, from: i64, to: i64, gap_ms: i64, sign: f64) -> Part {
        let mut part = Part::nothing();
        for pair in self.around(from, to).windows(2) {
            let ((start, first), (end, last)) = (pair[0], pair[1]);
            let (cut_from, cut_to) = (start.max(from), end.min(to));
            if cut_to <= cut_from || end - start > gap_ms || self.is_torn(start, end) {
                continue;
            }
            let at = |ms: i64| first + (last - first) * (ms - start) as f64 / (end - start) as f64;
            let mean = f64::midpoint(at(cut_from), at(cut_to));
            part.add(
                (mean * sign).max(0.0) * hours(cut_to - cut_from),
                cut_to - cut_from,
                Quality::Ok,
            );
        }
        part
    }

    /// The amount labelled with an interval's start.
    pub(crate) fn delta(&self, from: i64, to: i64) -> Part {
        let mut part = Part::nothing();
        if let Ok(index) = self.points.binary_search_by_key(&from, |point| point.0) {
            part.add(self.points[index].1, to - from, Quality::Ok);
        }
        part
    }

    /// The readings that enclose `[from, to)`: the first and the last.
    pub(crate) fn ends(&self, from: i64, to: i64) -> Option<(Point, Point)> {
        let around = self.around(from, to);
        Some((*around.first()?, *around.last()?))
    }

    /// The readings that enclose `[from, to)`.
    fn around(&self, from: i64, to: i64) -> &[Point] {
        let first = self.points.partition_point(|point| point.0 <= from).saturating_sub(1);
        let last = self.points.partition_point(|point| point.0 < to);
        &self.points[first..(last + 1).min(self.points.len())]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::interval::Patience;

    const RULES: Rules<'_> = Rules {
        quantity: crate::Quantity::EnergyImport,
        rollover: None,
        max_kw: None,
        swaps: &[],
        patience: Patience {
            least_ms: 3_600_000,
            times: 3.0,
            known_ms: 7 * 24 * 3_600_000,
        },
        days_off: None,
        gap_ms: 30_000,
    };

    /// What a counter, read at these seconds, tells of a stretch of seconds; readings 30 s apart are close.
    fn counted(points: &[Point], from_s: i64, to_s: i64) -> Part {
        let points: Vec<Point> = points.iter().map(|(at_s, value)| (at_s * 1000, *value)).collect();
        series(&points).counter((from_s * 1000, to_s * 1000), RULES, &Load::default())
    }

    fn series(points: &[Point]) -> Series {
        let mut series = Series::default();
        for &(at, value) in points {
            series.put(at, value);
        }
        series
    }

    #[test]
    fn a_reading_finds_its_place() {
        let mut series = series(&[(10, 1.0), (20, 2.0)]);
        for (at, value, expected) in [
            (30, 3.0, Put::Newest),
            (25, 2.5, Put::Between),
            (25, 2.5, Put::Duplicate),
            (25, 9.9, Put::Conflict),
            (5, 0.5, Put::Between),
        ] {
            assert_eq!(series.put(at, value), expected, "{at} {value}");
        }
        assert_eq!(series.before(25), 20);
    }

    #[test]
    fn counters_rise_waver_reset_and_bridge_gaps() {
        let check = |points: &[Point], from, to, expected: (Option<f64>, i64, Quality)| {
            let part = counted(points, from, to);
            assert_eq!(
                (part.amount, part.covered_ms / 1000, part.quality),
                expected,
                "{points:?} {from}..{to}"
            );
        };
        let rising = [(0, 100.0), (10, 101.0), (20, 103.0)];
        check(&rising, 0, 20, (Some(3.0), 20, Quality::Ok));
        check(&rising, 5, 15, (Some(1.5), 10, Quality::Ok));
        check(
            &[(0, 100.0), (10, 99.993), (20, 100.5)],
            0,
            20,
            (Some(0.5), 20, Quality::Ok),
        );
        check(
            &[(0, 100.0), (10, 0.0), (20, 2.0)],
            0,
            20,
            (Some(2.0), 10, Quality::Restored),
        );
        check(&[(0, 100.0), (100, 110.0)], 0, 50, (Some(5.0), 0, Quality::Estimated));
        check(&[(0, 100.0)], 0, 50, (None, 0, Quality::Ok));
        check(&[], 0, 50, (None, 0, Quality::Ok));
    }

    #[test]
    fn power_is_integrated_only_between_close_readings() {
        let hour = 3_600_000;
        let check = |points: &[Point], sign, expected: (Option<f64>, i64)| {
            let part = series(points).power(0, 2 * hour, hour, sign);
            assert_eq!((part.amount, part.covered_ms), expected, "{points:?}");
        };
        check(&[(0, 10.0), (hour, 20.0)], 1.0, (Some(15.0), hour));
        check(&[(0, 10.0), (3 * hour, 20.0)], 1.0, (None, 0));
        check(&[(0, -10.0), (hour, -10.0)], 1.0, (Some(0.0), hour));
        check(&[(0, -10.0), (hour, -10.0)], -1.0, (Some(10.0), hour));
        check(&[(hour, 8.0), (2 * hour + hour / 2, 8.0)], 1.0, (None, 0));
    }

    #[test]
    fn nothing_is_known_across_an_instant_whose_time_was_in_doubt() {
        let mut series = series(&[(0, 100.0), (10_000, 101.0)]);
        for torn_ms in [12_000, 14_000, 16_000] {
            series.tear(torn_ms);
        }
        series.put(20_000, 150.0);
        series.put(30_000, 151.0);
        assert_eq!(series.torn_ms, [12_000], "one is enough");
        let load = Load::default();
        let known = |part: Part| (part.amount, part.covered_ms);
        assert_eq!(known(series.counter((0, 30_000), RULES, &load)), (Some(2.0), 20_000));
        assert_eq!(known(series.counter((10_000, 20_000), RULES, &load)), (None, 0));
        assert_eq!(known(series.power(10_000, 20_000, 15_000, 1.0)), (None, 0));
    }

    #[test]
    fn pruning_keeps_what_the_window_needs() {
        let points: Vec<Point> = (0..100).map(|i| (i * 10_000, (i / 4) as f64)).collect();
        let load = Load::default();
        let mut series = series(&points);
        let mark = series.counter((0, 490_000), RULES, &load).mark;
        series.keep_mark(mark.expect("a reading stands at the end"));
        let whole = series.counter((500_000, 900_000), RULES, &load);
        let keep = Keep {
            ms: 0,
            n_least: 4,
            n_most: 4,
        };
        series.prune_counter(500_000, keep, 0, |at_ms| at_ms);
        assert_eq!(series.counter((500_000, 900_000), RULES, &load), whole);
        assert_eq!(series.put(5, 0.5), Put::TooOld, "older readings are gone");
        assert_eq!(
            series.before(490_000),
            480_000,
            "but where the register stood still from"
        );
    }

    proptest! {
        /// Energy is conserved: whatever is cut wherever, the parts add up to the counter's rise.
        #[test]
        fn parts_add_up(steps in prop::collection::vec((1i64..100, 0.0f64..30.0), 2..60), cut in 0.0f64..1.0) {
            let mut at = 0;
            let mut value = 0.0;
            let points: Vec<Point> = steps.iter().map(|(dt, dv)| { at += dt; value += dv; (at, value) }).collect();
            let (from, to) = (points[0].0, at);
            let middle = from + ((to - from) as f64 * cut) as i64;
            let amount = |a, b| counted(&points, a, b).amount.unwrap_or(0.0);
            let whole = value - points[0].1;
            prop_assert!((amount(from, middle) + amount(middle, to) - whole).abs() < 1e-6);
            prop_assert!((amount(from - 1000, to + 1000) - whole).abs() < 1e-6);
        }

        /// A stride gives what single steps give, to the last bit. Power heard at another time forbids strides.
        #[test]
        fn strides_change_nothing(
            steps in prop::collection::vec((1i64..40, prop::sample::select(vec![0.0, 0.0, 0.1, 0.3, 5.0, -0.005, -50.0])), 2..80),
            cut in 0i64..1000,
        ) {
            let (mut at, mut value) = (0, 100.0);
            let points: Vec<Point> = steps.iter().map(|(dt, dv)| { at += dt * 1000; value += dv; (at, value) }).collect();
            let series = series(&points);
            let mut stepwise = Load::default();
            stepwise.note(-86_400_000, 1.0);
            for (from, to) in [(0, cut * 1000), (cut * 1000, at + 1)] {
                let part = |load: &Load| series.counter((from, to), RULES, load);
                prop_assert_eq!(part(&Load::default()), part(&stepwise));
            }
        }

        /// The order of arrival does not matter, and nothing is ever negative.
        #[test]
        fn order_does_not_matter(values in prop::collection::vec(0.0f64..1000.0, 3..30), seed in any::<u64>()) {
            let points: Vec<Point> = values.iter().enumerate().map(|(i, v)| (i as i64 * 10, *v)).collect();
            let mut shuffled = points.clone();
            let mut random = seed;
            for i in (1..shuffled.len()).rev() {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                shuffled.swap(i, (random >> 33) as usize % (i + 1));
            }
            let end = points.len() as i64 * 10;
            let ordered = counted(&points, 0, end);
            prop_assert!(ordered.amount.is_none_or(|amount| amount >= 0.0));
            prop_assert_eq!(ordered, counted(&shuffled, 0, end));
        }
    }
}
