//! What goes wrong on a day: drawn by the seed, each stretch with its kind, its machine, its beginning and its end.
//!
//! It draws and lays out; what a stretch costs is the model's. Invariants: stretches of one machine keep clear of each
//! other, so each has one beginning; a plant without waste draws none; nothing begins before the plant's start.

use energy::finding::Kind;
use jiff::{ToSpan, civil::Date};

use super::{
    dice::Dice,
    machines::{Machine, Mode},
    model::Plant,
    schedule::{DAY_S, DayPlan, LUNCH, SHIFT, at},
};

/// Longest stretch of any waste, s: from Friday evening to Monday morning. How far back a day must look.
pub(super) const LONGEST_S: i64 = 62 * 3600;

/// The days on which a stretch may have begun that still lasts on `date`.
pub(super) fn days_before(date: Date) -> impl Iterator<Item = Date> {
    let n_days = LONGEST_S / DAY_S + 1;
    (1..=n_days).rev().map(move |back| date.saturating_sub(back.days()))
}

/// Machines that can be seen idling: those that produce parts.
const PRODUCING: [Machine; 4] = [Machine::Mc1, Machine::Mc2, Machine::Press1, Machine::Imm1];
/// Machines whose meter speaks Modbus and can fall silent.
const ON_MODBUS: [Machine; 5] = [
    Machine::Mc1,
    Machine::Mc2,
    Machine::Press1,
    Machine::Comp1,
    Machine::Imm1,
];

/// One stretch of waste, or of a meter's silence, Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) kind: Kind,
    /// `None` = the site.
    pub(super) machine: Option<Machine>,
    pub(super) since: i64,
    pub(super) until: i64,
}

impl Stretch {
    fn is_within(&self, guard_s: i64, other: &Self) -> bool {
        self.since < other.until + guard_s && other.since < self.until + guard_s
    }
}

/// Everything that begins on `date`, in the order of its beginning.
pub(super) fn beginning_on(plant: &Plant, date: Date) -> Vec<Stretch> {
    let mut day = Day {
        plant,
        date,
        midnight: plant.midnight(date),
        dice: Dice::new(&[plant.seed(), 1000, plant.midnight(date) as u64]),
        drawn: Vec::new(),
    };
    match (plant.is_working(date), plant.first_idle_window(date)) {
        (true, Some(earliest)) => day.draw_first(earliest),
        (true, None) => day.draw_working(),
        (false, _) => day.draw_rest(),
    }
    let start = plant.start_second();
    let mut drawn = day.drawn;
    drawn.retain(|stretch| stretch.since >= start);
    drawn.sort_by_key(|stretch| (stretch.since, stretch.machine));
    drawn
}

struct Day<'a> {
    plant: &'a Plant,
    date: Date,
    midnight: i64,
    dice: Dice,
    drawn: Vec<Stretch>,
}

impl Day<'_> {
    fn add(&mut self, kind: Kind, machine: Option<Machine>, since: i64, until: i64) {
        self.drawn.push(Stretch {
            kind,
            machine,
            since: self.midnight + since,
            until: self.midnight + until,
        });
    }

    /// The day the plant starts on: an idle machine within 2 to 25 minutes of the start, something left on at 18:00.
    fn draw_first(&mut self, earliest: i64) {
        let idle = self.dice.shuffled(&PRODUCING)[0];
        let since = earliest + self.dice.between(0, 23 * 60);
        let longest = (SHIFT.end - since).min(7200);
        let until = since + self.dice.between(900.min(longest), longest);
        let left_on = self.dice.between(1, 2) as usize;
        self.draw_left_on(left_on);
        let is_left_on = self.drawn.iter().any(|stretch| stretch.machine == Some(idle));
        let until = if is_left_on || until > SHIFT.end - 300 {
            SHIFT.end
        } else {
            until
        };
        self.add(Kind::IdleRunning, Some(idle), since, until);
        if self.dice.chance(0.5) {
            let since = at(18, 10) + self.dice.between(0, 3600);
            self.draw_silence(since);
        }
    }

    fn draw_working(&mut self) {
        let left_on = self.count(0.45, 0.85);
        self.draw_left_on(left_on);
        let idling = self.count(0.25, 0.7);
        for machine in self.dice.shuffled(&PRODUCING).into_iter().take(idling) {
            self.draw_idle(machine);
        }
        if self.dice.chance(0.4) {
            self.draw_peaks();
        }
        if self.dice.chance(0.35) {
            let since = at(8, 30) + self.dice.between(0, at(11, 0));
            self.draw_silence(since);
        }
    }

    /// On a day of rest somebody may switch something on and forget it.
    fn draw_rest(&mut self) {
        /// Off long enough before and after to be a stretch of its own.
        const GUARD_S: i64 = 2 * 3600;
        if !self.dice.chance(0.2) {
            return;
        }
        let machine = self.dice.shuffled(&[Machine::Light1, Machine::Comp1])[0];
        let since = at(9, 0) + self.dice.between(0, at(7, 0));
        let until = since + self.dice.between(3600, 4 * 3600);
        let stretch = Stretch {
            kind: Kind::OffHoursLoad,
            machine: Some(machine),
            since: self.midnight + since,
            until: self.midnight + until,
        };
        let is_free = |other: &Stretch| other.machine != Some(machine) || !other.is_within(GUARD_S, &stretch);
        let earlier: Vec<Date> = days_before(self.date)
            .filter(|day| self.plant.is_working(*day))
            .collect();
        if earlier
            .into_iter()
            .all(|day| beginning_on(self.plant, day).iter().all(is_free))
        {
            self.drawn.push(stretch);
        }
    }

    /// 0, 1 or 2: `none` and `one` are the shares up to which none and at most one is drawn.
    fn count(&mut self, none: f64, one: f64) -> usize {
        if self.dice.chance(none) {
            0
        } else if self.dice.chance((one - none) / (1.0 - none)) {
            1
        } else {
            2
        }
    }

    /// Left on at the end of the shift: for some hours, or until somebody comes on the next working day.
    fn draw_left_on(&mut self, n_machines: usize) {
        for machine in self.dice.shuffled(&Machine::ALL).into_iter().take(n_machines) {
            let hours = SHIFT.end + self.dice.between(45 * 60, 270 * 60);
            let morning =
                self.plant.next_working_midnight(self.date) - self.midnight + at(5, 30) + self.dice.between(0, 3600);
            let is_forgotten = self.dice.chance(0.25) && morning - SHIFT.end <= LONGEST_S;
            let until = if is_forgotten { morning } else { hours };
            self.add(Kind::OffHoursLoad, Some(machine), SHIFT.end, until);
        }
    }

    fn draw_idle(&mut self, machine: Machine) {
        let since = if self.dice.chance(0.5) {
            at(8, 40) + self.dice.between(0, at(3, 10))
        } else {
            at(13, 15) + self.dice.between(0, at(4, 15))
        };
        let until = (since + self.dice.between(900, 7200)).min(SHIFT.end);
        let is_left_on = self.drawn.iter().any(|stretch| stretch.machine == Some(machine));
        // A machine that is left on anyway has nobody to end its idling just before the shift does.
        let until = if until > at(17, 35) && (is_left_on || until > at(17, 55)) {
            SHIFT.end
        } else {
            until
        };
        self.add(Kind::IdleRunning, Some(machine), since, until);
    }

    /// Whole demand blocks in which everything runs at its upper end at once; no two touch, none meets an idle machine.
    fn draw_peaks(&mut self) {
        const BLOCK_S: i64 = 900;
        let first = if self.dice.chance(0.5) { at(9, 15) } else { at(13, 45) };
        for _ in 0..self.dice.between(1, 2) {
            let since = first + BLOCK_S * 3 * self.dice.between(0, 3);
            let peak = Stretch {
                kind: Kind::DemandPeak,
                machine: None,
                since: self.midnight + since,
                until: self.midnight + since + BLOCK_S,
            };
            if self.drawn.iter().all(|other| !other.is_within(BLOCK_S, &peak)) {
                self.drawn.push(peak);
            }
        }
    }

    fn draw_silence(&mut self, since: i64) {
        /// Apart from the machine's waste, so that the silence hides no beginning and no end.
        const GUARD_S: i64 = 30 * 60;
        let machine = self.dice.shuffled(&ON_MODBUS)[0];
        let until = since + self.dice.between(20 * 60, 90 * 60);
        let silence = Stretch {
            kind: Kind::MeterSilent,
            machine: Some(machine),
            since: self.midnight + since,
            until: self.midnight + until,
        };
        let is_clear = |other: &Stretch| other.machine != Some(machine) || !other.is_within(GUARD_S, &silence);
        if self.drawn.iter().all(is_clear) {
            self.drawn.push(silence);
        }
    }
}

/// Lays what is wasted over a machine's ordinary day, with clean edges: production right before and after an idle
/// stretch, nothing between the shift's end and what is left on, off for an hour after it.
pub(super) fn laid_over(plan: DayPlan, machine: Machine, midnight: i64, stretches: &[Stretch]) -> DayPlan {
    let mut plan = plan;
    let of = |kind| {
        stretches
            .iter()
            .filter(move |stretch| stretch.kind == kind && stretch.machine.is_none_or(|of| of == machine))
            .map(move |stretch| stretch.since - midnight..stretch.until - midnight)
    };
    for left in of(Kind::OffHoursLoad).filter(|left| left.start == SHIFT.end) {
        plan.overlay(left.start - 900..left.start - 300, Mode::Steady);
        plan.overlay(left.start - 300..left.start, Mode::Idle);
    }
    for idle in of(Kind::IdleRunning) {
        plan.overlay(idle.start - 360..idle.start, Mode::Steady);
        if idle.end > SHIFT.end - 1500 {
            plan.overlay(idle.end..DAY_S, Mode::Off);
        } else if (LUNCH.start - 600..LUNCH.end).contains(&idle.end) {
            plan.overlay(idle.end..LUNCH.end, Mode::Standby);
        } else {
            plan.overlay(idle.end..idle.end + 360, Mode::Steady);
        }
        plan.overlay(idle, Mode::Idle);
    }
    for left in of(Kind::OffHoursLoad) {
        plan.overlay(left.end..left.end + 3600, Mode::Off);
        plan.overlay(left, Mode::Left);
    }
    for peak in of(Kind::DemandPeak) {
        plan.overlay(peak, Mode::Heavy);
    }
    plan
}
