//! The plant against the plainest rules there are: whoever applies the limits of its configuration to samples of 10 s
//! finds exactly the truth. Tests only; the product's detectors are not here.

use std::collections::BTreeMap;

use energy::finding::Kind;

use super::{
    machines::{Machine, Meter},
    model::{Day, Plant, PlantConfig, TARGET_KW, TruthRow, Waste, timestamp},
    schedule::{DAY_S, SHIFT},
};

const EVERY_S: i64 = 10;
const IDLE_AFTER_S: i64 = 600;
const OFF_HOURS_AFTER_S: i64 = 1800;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Found {
    kind: Kind,
    machine: Option<Machine>,
    since: i64,
    until: i64,
    energy_kwh: f64,
}

/// A condition that may last: where it began, and the avoidable energy since.
#[derive(Debug, Clone, Copy)]
struct Lasting {
    kind: Kind,
    machine: Machine,
    after_s: i64,
    since: Option<i64>,
    energy_kwh: f64,
}

impl Lasting {
    fn step(&mut self, second: i64, holds_kw: Option<f64>) -> Option<Found> {
        if let Some(avoidable_kw) = holds_kw {
            self.since.get_or_insert(second);
            self.energy_kwh += avoidable_kw * EVERY_S as f64 / 3600.0;
            return None;
        }
        let energy_kwh = std::mem::take(&mut self.energy_kwh);
        let since = self.since.take().filter(|since| second - since >= self.after_s)?;
        Some(Found {
            kind: self.kind,
            machine: Some(self.machine),
            since,
            until: second,
            energy_kwh,
        })
    }
}

/// What holds for a machine now: idling inside the shift, load outside it; each with its avoidable power.
fn conditions(day: &Day, machine: Machine, second: i64) -> [Option<f64>; 2] {
    let spec = machine.spec();
    let power_kw = f64::from(day.power_w(Meter::Of(machine), second)) / 1000.0;
    let avoidable_kw = power_kw - machine.unavoidable_w() / 1000.0;
    let asleep_below_kw = spec.standby_kw.map_or(spec.off_below_kw, |kw| kw * 1.5);
    let is_shift = day.is_shift(second, &SHIFT);
    let has_idling = !matches!(machine, Machine::Light1 | Machine::Comp1);
    let is_idle = has_idling && (asleep_below_kw..spec.running_from_kw).contains(&power_kw);
    let is_on = power_kw >= spec.off_below_kw;
    [
        (is_shift && is_idle).then_some(avoidable_kw),
        (!is_shift && is_on).then_some(avoidable_kw),
    ]
}

fn found(plant: &Plant, days: i64) -> Vec<Found> {
    let start = plant.start_second();
    let mut rules: Vec<[Lasting; 2]> = Machine::ALL
        .map(|machine| {
            [
                (Kind::IdleRunning, IDLE_AFTER_S),
                (Kind::OffHoursLoad, OFF_HOURS_AFTER_S),
            ]
            .map(|(kind, after_s)| Lasting {
                kind,
                machine,
                after_s,
                since: None,
                energy_kwh: 0.0,
            })
        })
        .into();
    let mut found = Vec::new();
    let mut day = plant.day(timestamp(start));
    let mut block_kw = Vec::new();
    for second in (start..start + days * DAY_S).step_by(EVERY_S as usize) {
        if !day.covers(second) {
            day = plant.day(timestamp(second));
        }
        for (machine, rules) in Machine::ALL.into_iter().zip(&mut rules) {
            let conditions = conditions(&day, machine, second);
            found.extend(
                rules
                    .iter_mut()
                    .zip(conditions)
                    .filter_map(|(rule, holds)| rule.step(second, holds)),
            );
        }
        block_kw.push(f64::from(day.power_w(Meter::Incomer, second)) / 1000.0);
        if (second + EVERY_S) % 900 == 0 {
            let demand_kw = block_kw.iter().sum::<f64>() / block_kw.len() as f64;
            block_kw.clear();
            let since = second + EVERY_S - 900;
            found.extend((demand_kw > TARGET_KW).then_some(Found {
                kind: Kind::DemandPeak,
                machine: None,
                since,
                until: since + 900,
                energy_kwh: 0.0,
            }));
        }
    }
    found
}

fn plant(seed: u64, waste: Waste) -> Plant {
    Plant::new(PlantConfig::demo(seed, waste, BTreeMap::new()))
}

#[test]
fn they_find_nothing_where_nothing_is_wasted() {
    for seed in 100..105 {
        assert_eq!(found(&plant(seed, Waste::Off), 5), [], "seed {seed}");
    }
}

#[test]
fn they_find_the_truth_and_nothing_else() {
    const DAYS: i64 = 5;
    for seed in 0..20 {
        let plant = plant(seed, Waste::On);
        let (start, end) = (plant.start_second(), plant.start_second() + DAYS * DAY_S);
        let is_seen = |row: &TruthRow| row.kind != Kind::MeterSilent && row.until.as_second() < end;
        let truth: Vec<TruthRow> = plant
            .truth(timestamp(start), timestamp(end))
            .into_iter()
            .filter(is_seen)
            .collect();
        let mut found = found(&plant, DAYS);
        found.sort_by_key(|found| (found.since, found.machine));
        for row in &truth {
            let is_it = |found: &&Found| {
                let machine = found.machine.map_or(super::SITE_NAME, Machine::name);
                found.kind == row.kind && machine == row.machine && (found.since - row.since.as_second()).abs() <= 60
            };
            let hits: Vec<&Found> = found.iter().filter(is_it).collect();
            assert_eq!(hits.len(), 1, "seed {seed}: {row:?} in {found:#?}");
            assert!(
                (hits[0].until - row.until.as_second()).abs() <= 60,
                "seed {seed}: {row:?}, {:?}",
                hits[0]
            );
            if let Some(energy_kwh) = row.energy_kwh {
                let error = (hits[0].energy_kwh - energy_kwh).abs() / energy_kwh;
                assert!(error < 0.03, "seed {seed}: {row:?}, {:?}", hits[0]);
            }
        }
        assert_eq!(found.len(), truth.len(), "seed {seed}: {found:#?} {truth:#?}");
    }
}
