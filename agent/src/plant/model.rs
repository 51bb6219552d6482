//! The simulated factory as a pure function of data time: power of each meter, whether it answers, and what was wasted.
//!
//! No clock, no socket, no state: any instant can be asked and asked again, in any order. Invariants: the incomer is
//! the sum of all machines and the unmetered base; the truth is made from the same stretches that move the power.

use std::{collections::BTreeMap, ops::Range};

use energy::finding::Kind;
use jiff::{
    Timestamp, ToSpan,
    civil::{Date, Time},
    tz::TimeZone,
};
use serde::{Deserialize, Serialize};

use super::{
    MAIN_METER, SITE_NAME,
    machines::{DayTime, Machine, Meter, Mode, base_w, power_w},
    schedule::{DayPlan, SHIFT},
    waste::{self, Stretch},
};

/// Demand that the plant means to stay under, kW. Without waste no block and no minute exceeds 147 kW (92 %); a block of
/// coincident heavy work takes about 190 kW.
pub const TARGET_KW: f64 = 160.0;
/// Contract demand, kW: above every peak, and the least that 산업용(을) is written for (300 kW).
pub const CONTRACT_KW: f64 = 300.0;

/// Whether the plant wastes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waste {
    /// As drawn by the seed.
    On,
    /// Never: whatever is found is false.
    Off,
}

/// Which plant is simulated.
#[derive(Debug, Clone)]
pub struct PlantConfig {
    /// Draws everything that differs between two plants.
    pub seed: u64,
    /// Whether it wastes.
    pub waste: Waste,
    /// Its time zone.
    pub zone: TimeZone,
    /// When it begins: counters start here. On a working day, 08:10 to 17:20 local, the first waste follows within 25
    /// minutes.
    pub start: Timestamp,
    /// Days without work beside the weekends: those of the calendar that its configuration names.
    pub holidays: BTreeMap<Date, String>,
}

impl PlantConfig {
    /// The plant of the demo: Asia/Seoul, from Friday 28 August 2026, 17:10.
    pub fn demo(seed: u64, waste: Waste, holidays: BTreeMap<Date, String>) -> Self {
        Self {
            seed,
            waste,
            zone: TimeZone::get("Asia/Seoul").expect("the zone database is built in"),
            start: "2026-08-28T17:10:00+09:00".parse().expect("a written instant"),
            holidays,
        }
    }
}

/// One stretch of waste or of a meter's silence as it truly was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TruthRow {
    /// What kind.
    pub kind: Kind,
    /// The machine; the site for a demand peak.
    pub machine: String,
    /// The meter that shows it.
    pub meter: String,
    /// When it began.
    pub since: Timestamp,
    /// When it ended; the end of the asked horizon where it goes on.
    pub until: Timestamp,
    /// Avoidable energy, kWh: against standby where the machine has one, else against off. `None` where the harm is not
    /// kWh.
    pub energy_kwh: Option<f64>,
}

/// A factory; cheap to clone and to ask.
#[derive(Debug, Clone)]
pub struct Plant {
    config: PlantConfig,
}

impl Plant {
    /// The plant of `config`.
    pub fn new(config: PlantConfig) -> Self {
        Self { config }
    }

    /// What it was made from.
    pub fn config(&self) -> &PlantConfig {
        &self.config
    }

    /// True mean power of a meter over the second of `at`, kW.
    pub fn power_kw(&self, meter: Meter, at: Timestamp) -> f64 {
        f64::from(self.day(at).power_w(meter, at.as_second())) / 1000.0
    }

    /// What a machine does at `at`.
    pub fn mode(&self, machine: Machine, at: Timestamp) -> Mode {
        self.day(at).mode(machine, at.as_second())
    }

    /// Whether a meter leaves every question unanswered at `at`.
    pub fn is_silent(&self, meter: Meter, at: Timestamp) -> bool {
        self.day(at).is_silent(meter, at.as_second())
    }

    /// Everything that was wasted between `from` and `until`, by its beginning. What began before `from` and lasts into
    /// the stretch is listed whole; what lasts beyond `until` is cut there, with its energy so far.
    pub fn truth(&self, from: Timestamp, until: Timestamp) -> Vec<TruthRow> {
        let mut date = self.date(from);
        let mut dates: Vec<Date> = waste::days_before(date).collect();
        while date <= self.date(until) {
            dates.push(date);
            date = date.saturating_add(1.day());
        }
        let mut stretches: Vec<Stretch> = dates.into_iter().flat_map(|date| self.beginning_on(date)).collect();
        stretches.retain(|stretch| stretch.since < until.as_second() && stretch.until > from.as_second());
        stretches.sort_by_key(|stretch| (stretch.since, stretch.machine));
        stretches
            .iter()
            .map(|stretch| self.row(stretch, until.as_second()))
            .collect()
    }

    fn row(&self, stretch: &Stretch, horizon: i64) -> TruthRow {
        let until = stretch.until.min(horizon);
        let (machine, meter) = stretch
            .machine
            .map_or((SITE_NAME, MAIN_METER), |machine| (machine.name(), machine.name()));
        let is_energy = matches!(stretch.kind, Kind::IdleRunning | Kind::OffHoursLoad);
        TruthRow {
            kind: stretch.kind,
            machine: machine.into(),
            meter: meter.into(),
            since: timestamp(stretch.since),
            until: timestamp(until),
            energy_kwh: stretch
                .machine
                .filter(|_| is_energy)
                .map(|machine| self.avoidable_kwh(machine, stretch.since, until)),
        }
    }

    fn avoidable_kwh(&self, machine: Machine, since: i64, until: i64) -> f64 {
        let mut day = self.day(timestamp(since));
        let mut joules = 0.0;
        for second in since..until {
            if !day.covers(second) {
                day = self.day(timestamp(second));
            }
            joules += f64::from(day.power_w(Meter::Of(machine), second)) - machine.unavoidable_w();
        }
        (joules / 3.6).round() / 1e6
    }

    /// The day that holds `at`: what to ask for many instants in a row.
    pub(super) fn day(&self, at: Timestamp) -> Day {
        let date = self.date(at);
        let midnight = self.midnight(date);
        let stretches: Vec<Stretch> = waste::days_before(date)
            .chain([date])
            .flat_map(|date| self.beginning_on(date))
            .filter(|stretch| stretch.until > midnight - 3600)
            .collect();
        let plan = |machine: Machine| {
            let ordinary = if self.is_working(date) {
                DayPlan::working(&[self.seed(), machine as u64, midnight as u64], machine)
            } else {
                DayPlan::off()
            };
            waste::laid_over(ordinary, machine, midnight, &stretches).with_inrush()
        };
        Day {
            seed: self.seed(),
            midnight,
            next_midnight: self.midnight(date.saturating_add(1.day())),
            is_working: self.is_working(date),
            plans: Machine::ALL.map(plan),
            silences: stretches
                .into_iter()
                .filter(|stretch| stretch.kind == Kind::MeterSilent)
                .collect(),
        }
    }

    fn beginning_on(&self, date: Date) -> Vec<Stretch> {
        match self.config.waste {
            Waste::On => waste::beginning_on(self, date),
            Waste::Off => Vec::new(),
        }
    }

    pub(super) fn seed(&self) -> u64 {
        self.config.seed
    }

    pub(super) fn start_second(&self) -> i64 {
        self.config.start.as_second()
    }

    fn date(&self, at: Timestamp) -> Date {
        self.config.zone.to_datetime(at).date()
    }

    /// Unix second at which `date` begins. Seconds of the day count from here, also on the rare day of a clock change.
    pub(super) fn midnight(&self, date: Date) -> i64 {
        let midnight = date.to_datetime(Time::midnight());
        self.config.zone.to_timestamp(midnight).map_or(0, Timestamp::as_second)
    }

    pub(super) fn is_working(&self, date: Date) -> bool {
        date.weekday().to_monday_one_offset() <= 5 && !self.config.holidays.contains_key(&date)
    }

    /// Unix second at which the next working day begins.
    pub(super) fn next_working_midnight(&self, date: Date) -> i64 {
        /// The longest row of days off that is looked through: two weeks.
        const LONGEST_REST_DAYS: i64 = 14;
        let next = (1..=LONGEST_REST_DAYS)
            .map(|ahead| date.saturating_add(ahead.days()))
            .find(|day| self.is_working(*day));
        self.midnight(next.unwrap_or_else(|| date.saturating_add(1.day())))
    }

    /// On the day the plant starts, during the shift: the first second of the day at which a machine may begin to idle.
    pub(super) fn first_idle_window(&self, date: Date) -> Option<i64> {
        let start = self.start_second() - self.midnight(date);
        (SHIFT.start + 600..=SHIFT.end - 2400)
            .contains(&start)
            .then_some(start + 120)
    }
}

/// An instant of whole Unix seconds.
pub(super) fn timestamp(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("the plant's seconds come from timestamps")
}

/// One day of the plant, laid out.
#[derive(Debug, Clone)]
pub(super) struct Day {
    seed: u64,
    midnight: i64,
    next_midnight: i64,
    is_working: bool,
    plans: [DayPlan; 6],
    silences: Vec<Stretch>,
}

impl Day {
    /// Whether this is the day of that Unix second.
    pub(super) fn covers(&self, second: i64) -> bool {
        (self.midnight..self.next_midnight).contains(&second)
    }

    pub(super) fn mode(&self, machine: Machine, second: i64) -> Mode {
        self.plans[machine as usize].mode_at(second - self.midnight)
    }

    pub(super) fn is_silent(&self, meter: Meter, second: i64) -> bool {
        self.silences.iter().any(|silence| {
            meter == silence.machine.map_or(Meter::Incomer, Meter::Of)
                && (silence.since..silence.until).contains(&second)
        })
    }

    pub(super) fn power_w(&self, meter: Meter, second: i64) -> u32 {
        match meter {
            Meter::Of(machine) => power_w(self.seed, machine, self.mode(machine, second), second),
            Meter::Incomer => {
                let machines = Machine::ALL.map(|machine| self.power_w(Meter::Of(machine), second));
                machines.iter().sum::<u32>() + self.base_w(second)
            }
        }
    }

    /// Whether people work at that second, `hours` from midnight being their day.
    pub(super) fn is_shift(&self, second: i64, hours: &Range<i64>) -> bool {
        self.is_working && hours.contains(&(second - self.midnight))
    }

    /// What no sub-meter sees, W.
    pub(super) fn base_w(&self, second: i64) -> u32 {
        let is_daytime = self.is_shift(second, &(SHIFT.start - 1800..SHIFT.end + 1800));
        base_w(
            self.seed,
            if is_daytime { DayTime::Work } else { DayTime::Rest },
            second,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{machines::SPECS, schedule::DAY_S},
        *,
    };

    const HOUR_S: i64 = 3600;

    fn plant(seed: u64, waste: Waste) -> Plant {
        Plant::new(PlantConfig::demo(seed, waste, BTreeMap::new()))
    }

    fn after(plant: &Plant, seconds: i64) -> Timestamp {
        timestamp(plant.start_second() + seconds)
    }

    /// Calls `visit` with each second of the plant's first `days` days.
    fn each_second(plant: &Plant, days: i64, mut visit: impl FnMut(&Day, i64)) {
        let start = plant.start_second();
        let mut day = plant.day(timestamp(start));
        for second in start..start + days * DAY_S {
            if !day.covers(second) {
                day = plant.day(timestamp(second));
            }
            visit(&day, second);
        }
    }

    #[test]
    fn a_plant_without_waste_has_an_empty_truth_and_keeps_the_rules() {
        for seed in 0..3 {
            let plant = plant(seed, Waste::Off);
            assert_eq!(plant.truth(after(&plant, 0), after(&plant, 30 * DAY_S)), []);
            let mut idle_s = [0; 6];
            let (mut block_j, mut minute_j) = (0.0, 0.0);
            each_second(&plant, 4, |day, second| {
                let of_day = second - day.midnight;
                let is_shift = day.is_working && SHIFT.contains(&of_day);
                for machine in Machine::ALL {
                    let power_kw = f64::from(day.power_w(Meter::Of(machine), second)) / 1000.0;
                    let spec = machine.spec();
                    let is_idle = power_kw < spec.running_from_kw
                        && power_kw > spec.standby_kw.unwrap_or(spec.off_below_kw) * 1.5;
                    let idle = &mut idle_s[machine as usize];
                    *idle = if is_idle && machine != Machine::Light1 {
                        *idle + 1
                    } else {
                        0
                    };
                    assert!(*idle < 8 * 60, "seed {seed}, {machine:?} idles at {of_day}");
                    let is_quiet = day.is_working && (SHIFT.start - 1800..SHIFT.end + 1800).contains(&of_day);
                    let is_lit = machine == Machine::Light1 && day.is_working;
                    assert!(
                        is_quiet || is_lit || power_kw < spec.off_below_kw,
                        "seed {seed}, {machine:?} on at {of_day}"
                    );
                }
                let power_w = f64::from(day.power_w(Meter::Incomer, second));
                (block_j, minute_j) = (block_j + power_w, minute_j + power_w);
                let limit_kw = 0.92 * TARGET_KW;
                if second % 60 == 59 {
                    assert!(
                        minute_j / 60e3 < limit_kw,
                        "seed {seed}: {} kW over a minute",
                        minute_j / 60e3
                    );
                    minute_j = 0.0;
                }
                if second % 900 == 899 {
                    assert!(block_j / 900e3 < limit_kw && (!is_shift || block_j > 0.0));
                    block_j = 0.0;
                }
            });
        }
    }

    #[test]
    fn every_wasting_seed_begins_as_promised() {
        for seed in 0..300 {
            let plant = plant(seed, Waste::On);
            let truth = plant.truth(after(&plant, 0), after(&plant, 4 * HOUR_S));
            let first = &truth[0];
            let begins_s = first.since.as_second() - plant.start_second();
            assert_eq!(first.kind, Kind::IdleRunning, "seed {seed}");
            assert!((120..=1500).contains(&begins_s), "seed {seed}: {begins_s}");
            assert!(first.until.as_second() - first.since.as_second() >= 900, "seed {seed}");
            assert!(
                first.until <= after(&plant, 50 * 60),
                "seed {seed}: idles beyond its shift"
            );
            let is_left_on = |row: &TruthRow| row.kind == Kind::OffHoursLoad && row.since == after(&plant, 50 * 60);
            assert!(truth.iter().any(is_left_on), "seed {seed}: nothing is left on");
        }
    }

    #[test]
    fn the_seeds_differ_and_every_kind_occurs() {
        let mut kinds = std::collections::BTreeSet::new();
        let mut firsts = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let plant = plant(seed, Waste::On);
            let truth = plant.truth(after(&plant, 0), after(&plant, 14 * DAY_S));
            firsts.insert((truth[0].machine.clone(), truth[0].since));
            kinds.extend(truth.iter().map(|row| (row.kind.name(), row.machine.clone())));
        }
        assert!(firsts.len() > 35);
        for spec in SPECS {
            assert!(
                kinds.contains(&("off_hours_load", spec.name.to_owned())),
                "{}",
                spec.name
            );
        }
        for kind in ["idle_running", "demand_peak", "meter_silent"] {
            assert!(kinds.iter().any(|(seen, _)| *seen == kind), "{kind}");
        }
    }

    #[test]
    fn stretches_of_one_machine_keep_clear_and_last_as_promised() {
        for seed in 0..30 {
            let plant = plant(seed, Waste::On);
            let truth = plant.truth(after(&plant, 0), after(&plant, 28 * DAY_S));
            for (index, row) in truth.iter().enumerate() {
                if row.until == after(&plant, 28 * DAY_S) {
                    continue; // cut by the horizon
                }
                let minutes = (row.until.as_second() - row.since.as_second()) / 60;
                let bounds = match row.kind {
                    Kind::IdleRunning => 15..=120,
                    Kind::OffHoursLoad => 45..=62 * 60,
                    Kind::DemandPeak => 15..=15,
                    _ => 20..=90,
                };
                assert!(bounds.contains(&minutes), "seed {seed}: {row:?}");
                assert_eq!(
                    row.energy_kwh.is_some(),
                    matches!(row.kind, Kind::IdleRunning | Kind::OffHoursLoad)
                );
                for other in truth[index + 1..].iter().filter(|other| other.machine == row.machine) {
                    let follows_at_shift_end = row.until == other.since && other.kind == Kind::OffHoursLoad;
                    assert!(
                        row.until < other.since || follows_at_shift_end,
                        "seed {seed}: {row:?} {other:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_power_shows_what_the_truth_says() {
        for seed in 0..4 {
            let plant = plant(seed, Waste::On);
            for row in plant.truth(after(&plant, 0), after(&plant, 6 * DAY_S)) {
                let (since, until) = (row.since.as_second(), row.until.as_second());
                let meter = Meter::ALL
                    .into_iter()
                    .find(|meter| meter.name() == row.meter)
                    .expect("known");
                let at = |second| plant.power_kw(meter, timestamp(second));
                let mean_kw = |since: i64, until: i64| {
                    (since..until).step_by(7).map(at).sum::<f64>() / ((until - since) as f64 / 7.0).ceil()
                };
                match (row.kind, meter) {
                    (Kind::DemandPeak, _) => {
                        assert!(mean_kw(since, until) > 1.1 * TARGET_KW, "seed {seed}: {row:?}");
                        assert!(mean_kw(since - 900, since) < TARGET_KW && mean_kw(until, until + 900) < TARGET_KW);
                    }
                    (Kind::MeterSilent, meter) => {
                        assert!(plant.is_silent(meter, row.since) && !plant.is_silent(meter, row.until));
                    }
                    (_, Meter::Of(machine)) => {
                        let low_kw = machine
                            .spec()
                            .off_below_kw
                            .max(machine.spec().standby_kw.unwrap_or(0.0))
                            * 1.5;
                        assert!(
                            (since + 5..until).step_by(13).all(|second| at(second) > low_kw),
                            "seed {seed}: {row:?}"
                        );
                        let expected_kwh = mean_kw(since, until.min(since + 7200));
                        assert!(row.energy_kwh.expect("energy") > 0.2 * expected_kwh * 0.25);
                        let is_idle = row.kind == Kind::IdleRunning;
                        assert!(
                            !is_idle || (since - 300..since).all(|second| at(second) > machine.spec().running_from_kw)
                        );
                        assert!(
                            is_idle || at(until + 60) < machine.spec().off_below_kw,
                            "seed {seed}: {row:?}"
                        );
                    }
                    (_, Meter::Incomer) => panic!("no such waste of the site: {row:?}"),
                }
            }
        }
    }

    #[test]
    fn holidays_are_days_of_rest() {
        let mut config = PlantConfig::demo(1, Waste::Off, BTreeMap::new());
        config
            .holidays
            .insert("2026-08-31".parse().expect("valid"), "founding day".into());
        let plant = Plant::new(config);
        let noon = |day: &str| format!("{day}T11:00:00+09:00").parse().expect("valid");
        assert_eq!(plant.mode(Machine::Imm1, noon("2026-08-31")), Mode::Off);
        assert_ne!(plant.mode(Machine::Light1, noon("2026-09-01")), Mode::Off);
    }

    #[test]
    fn a_plant_may_start_anywhere_and_wastes_nothing_before_it() {
        for (zone, start) in [
            ("Asia/Seoul", "2026-08-29T03:00:00+09:00"),
            ("Asia/Seoul", "2026-08-31T12:30:00+09:00"),
            ("Europe/Berlin", "2026-10-23T17:10:00+02:00"), // the clocks go back on the Sunday
        ] {
            let mut config = PlantConfig::demo(3, Waste::On, BTreeMap::new());
            config.zone = TimeZone::get(zone).expect("known");
            config.start = start.parse().expect("valid");
            let plant = Plant::new(config);
            let truth = plant.truth(after(&plant, -30 * DAY_S), after(&plant, 10 * DAY_S));
            assert!(
                truth.len() > 3 && truth.iter().all(|row| row.since >= after(&plant, 0)),
                "{start}"
            );
            for row in truth.iter().filter(|row| row.kind == Kind::OffHoursLoad) {
                let local = plant.config.zone.to_datetime(row.since);
                assert!(
                    local.hour() == 18 || local.weekday().to_monday_one_offset() > 5,
                    "{start}: {row:?}"
                );
            }
        }
    }
}
