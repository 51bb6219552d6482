//! One machine's ordinary day: when it is switched on, warms up, produces, stops, rests at lunch and goes off.
//!
//! No waste here, but everything that a careless rule would call waste: warm-ups, part changes, stops of up to eight
//! minutes at idle power, set-ups in standby, an evening's overrun, cleaners' light. Invariant: outside these a machine
//! that does not produce is in standby or off within five minutes.

use std::ops::Range;

use super::{
    dice::Dice,
    machines::{Machine, Mode},
};

/// Seconds of a day.
pub(super) const DAY_S: i64 = 86_400;
/// Start and end of the shift and of lunch, seconds from midnight.
pub(super) const SHIFT: Range<i64> = at(8, 0)..at(18, 0);
/// Lunch, inside the shift.
pub(super) const LUNCH: Range<i64> = at(12, 0)..at(13, 0);

/// `hours:minutes` as seconds from midnight.
pub(super) const fn at(hours: i64, minutes: i64) -> i64 {
    hours * 3600 + minutes * 60
}

/// From this second of the day on the machine is in `mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) from: i64,
    pub(super) mode: Mode,
}

/// The day of a machine, first segment at midnight, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DayPlan(Vec<Segment>);

impl DayPlan {
    /// A day of rest.
    pub(super) fn off() -> Self {
        Self(vec![Segment {
            from: 0,
            mode: Mode::Off,
        }])
    }

    /// An ordinary working day of `machine`; `parts` is what the draws belong to.
    pub(super) fn working(parts: &[u64], machine: Machine) -> Self {
        let mut dice = Dice::new(parts);
        match machine {
            Machine::Light1 => lighting(&mut dice),
            Machine::Comp1 => compressor(&mut dice),
            _ => production(&mut dice),
        }
    }

    fn then(&mut self, from: i64, mode: Mode) {
        self.0.push(Segment { from, mode });
    }

    /// What the machine does in this second of the day.
    pub(super) fn mode_at(&self, second: i64) -> Mode {
        let after = self.0.partition_point(|segment| segment.from <= second);
        self.0[after.max(1) - 1].mode
    }

    /// Puts `mode` over a stretch, whatever was planned there.
    pub(super) fn overlay(&mut self, stretch: Range<i64>, mode: Mode) {
        let (from, until) = (stretch.start.max(0), stretch.end.min(DAY_S));
        if from >= until {
            return;
        }
        let resumed = self.mode_at(until);
        self.0.retain(|segment| segment.from < from || segment.from > until);
        let place = self.0.partition_point(|segment| segment.from < from);
        self.0.insert(place, Segment { from, mode });
        if until < DAY_S {
            let from = until;
            self.0.insert(place + 1, Segment { from, mode: resumed });
        }
    }

    /// Puts the first seconds' higher draw wherever the machine is switched on.
    pub(super) fn with_inrush(mut self) -> Self {
        /// How long a motor takes to come up or a lamp to settle.
        const INRUSH_S: i64 = 4;
        let is_on = |mode| !matches!(mode, Mode::Off | Mode::Standby);
        let starts: Vec<i64> = self
            .0
            .windows(2)
            .filter(|pair| pair[0].mode == Mode::Off && is_on(pair[1].mode))
            .map(|pair| pair[1].from)
            .collect();
        for from in starts {
            self.overlay(from..from + INRUSH_S, Mode::Inrush);
        }
        self
    }
}

fn production(dice: &mut Dice) -> DayPlan {
    let mut plan = DayPlan::off();
    let morning = switch_on(&mut plan, dice);
    let lunch = LUNCH.start - 120 + dice.between(0, 240);
    stops(&mut plan, dice, morning..lunch);
    plan.then(lunch, Mode::Idle);
    plan.then(lunch + dice.between(60, 240), Mode::Standby);
    let afternoon = LUNCH.end - 180 + dice.between(0, 240);
    plan.then(afternoon, Mode::Idle);
    let afternoon = afternoon + dice.between(60, 180);
    plan.then(afternoon, Mode::Run);
    let finish = finish(dice);
    stops(&mut plan, dice, afternoon..finish);
    plan.then(finish, Mode::Idle);
    plan.then(finish + dice.between(60, 200), Mode::Off);
    plan
}

/// Switches on before the shift, warms up, and says when production starts.
fn switch_on(plan: &mut DayPlan, dice: &mut Dice) -> i64 {
    let on = SHIFT.start - 720 + dice.between(0, 540);
    plan.then(on, Mode::Idle);
    let ready = on + dice.between(180, 360);
    plan.then(ready, Mode::Run);
    ready
}

/// When the last part is done: mostly before the end of the shift, now and then a quarter of an hour after it.
fn finish(dice: &mut Dice) -> i64 {
    if dice.chance(0.25) {
        SHIFT.end + 120 + dice.between(0, 600)
    } else {
        SHIFT.end - 600 + dice.between(0, 480)
    }
}

/// Stops inside a stretch of production: most short and at idle power, some long and then in standby.
fn stops(plan: &mut DayPlan, dice: &mut Dice, stretch: Range<i64>) {
    /// Production that must follow a stop before the stretch ends, so that two stops never look like one.
    const BEFORE_END_S: i64 = 600;
    let mut since = stretch.start + dice.between(720, 2400);
    loop {
        let is_long = dice.chance(0.2);
        let idle_s = dice.between(60, if is_long { 240 } else { 420 });
        let rest_s = if is_long { dice.between(900, 2100) } else { 0 };
        let until = since + idle_s + rest_s;
        if until + BEFORE_END_S > stretch.end {
            return;
        }
        plan.then(since, Mode::Idle);
        if is_long {
            plan.then(since + idle_s, Mode::Standby);
        }
        plan.then(until, Mode::Run);
        since = until + dice.between(720, 2700);
    }
}

/// Unloads and loads all day; at lunch its own timer switches it off.
fn compressor(dice: &mut Dice) -> DayPlan {
    let mut plan = DayPlan::off();
    let on = SHIFT.start - 900 + dice.between(0, 300);
    plan.then(on, Mode::Idle);
    plan.then(on + dice.between(120, 300), Mode::Run);
    let lunch = LUNCH.start + dice.between(0, 120);
    plan.then(lunch, Mode::Idle);
    plan.then(lunch + dice.between(120, 240), Mode::Off);
    plan.then(LUNCH.end - 240 + dice.between(0, 120), Mode::Run);
    let finish = SHIFT.end - 240 + dice.between(0, 420);
    plan.then(finish, Mode::Idle);
    plan.then(finish + dice.between(60, 240), Mode::Off);
    plan
}

/// On before the shift and off after it, half at lunch; on some evenings the cleaners' light.
fn lighting(dice: &mut Dice) -> DayPlan {
    let mut plan = DayPlan::off();
    plan.then(SHIFT.start - 1200 + dice.between(0, 600), Mode::Run);
    plan.then(LUNCH.start + 300, Mode::Standby);
    plan.then(LUNCH.end - 300, Mode::Run);
    plan.then(SHIFT.end + 180 + dice.between(0, 600), Mode::Off);
    if dice.chance(0.35) {
        let cleaners = at(19, 30) + dice.between(0, 5400);
        plan.then(cleaners, Mode::Run);
        plan.then(cleaners + dice.between(720, 1200), Mode::Off);
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_replaces_its_stretch_and_nothing_else() {
        use Mode::{Idle, Left, Off, Run};
        let check = |stretch: Range<i64>, expected: &[(i64, Mode)]| {
            let mut plan = DayPlan::off();
            plan.then(100, Mode::Idle);
            plan.then(200, Mode::Run);
            plan.then(300, Mode::Off);
            plan.overlay(stretch, Mode::Left);
            let got: Vec<_> = plan.0.iter().map(|segment| (segment.from, segment.mode)).collect();
            assert_eq!(got, expected);
        };
        check(
            120..180,
            &[(0, Off), (100, Idle), (120, Left), (180, Idle), (200, Run), (300, Off)],
        );
        check(100..200, &[(0, Off), (100, Left), (200, Run), (300, Off)]);
        check(150..250, &[(0, Off), (100, Idle), (150, Left), (250, Run), (300, Off)]);
        check(-50..50, &[(0, Left), (50, Off), (100, Idle), (200, Run), (300, Off)]);
        check(250..DAY_S + 5, &[(0, Off), (100, Idle), (200, Run), (250, Left)]);
        check(DAY_S..DAY_S + 5, &[(0, Off), (100, Idle), (200, Run), (300, Off)]);
    }

    #[test]
    fn an_ordinary_day_ascends_and_never_idles_for_eight_minutes() {
        for seed in 0..500 {
            for machine in Machine::ALL {
                let plan = DayPlan::working(&[seed, machine as u64], machine);
                for pair in plan.0.windows(2) {
                    assert!(pair[0].from < pair[1].from, "{machine:?} {seed}: {pair:?}");
                    if pair[0].mode == Mode::Idle {
                        assert!(pair[1].from - pair[0].from <= 430, "{machine:?} {seed}: {pair:?}");
                    }
                }
                let rest = SHIFT.end + 16 * 60;
                assert_eq!(plan.mode_at(rest), Mode::Off, "{machine:?} {seed}");
                assert_eq!(plan.mode_at(at(7, 30)), Mode::Off, "{machine:?} {seed}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn overlays_in_any_order_say_what_was_laid_last(
            laid in proptest::collection::vec((0..DAY_S, 1..20_000_i64, 0..4_usize), 1..12),
            asked in proptest::collection::vec(0..DAY_S, 20),
        ) {
            let modes = [Mode::Idle, Mode::Run, Mode::Heavy, Mode::Left];
            let mut plan = DayPlan::off();
            for &(from, length, mode) in &laid {
                plan.overlay(from..from + length, modes[mode]);
            }
            for second in asked {
                let last = laid.iter().rev().find(|(from, length, _)| (*from..from + length).contains(&second));
                proptest::prop_assert_eq!(plan.mode_at(second), last.map_or(Mode::Off, |(_, _, mode)| modes[*mode]));
            }
            proptest::prop_assert!(plan.0.windows(2).all(|pair| pair[0].from < pair[1].from));
        }
    }
}
