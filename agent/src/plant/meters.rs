//! What the plant's meters show: power, voltages, currents, power factor and the exact running energy registers.
//!
//! It keeps nothing but sums: asked for an earlier instant it goes back to the whole hour before. Invariants: an
//! energy register is the integral of true power, in whole joules, whatever was asked in between; the electrical values
//! of one reading agree with each other (P = ΣUI·pf).

use jiff::Timestamp;

use super::{
    dice::noise,
    machines::{Machine, Meter},
    model::{Day, Plant, timestamp},
};

/// What one meter shows at one instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeterReading {
    /// Active power, W.
    pub active_power_w: f64,
    /// Active power of each phase, W.
    pub phase_power_w: [f64; 3],
    /// Reactive power, var, inductive.
    pub reactive_power_var: f64,
    /// Apparent power, VA.
    pub apparent_power_va: f64,
    /// Power factor.
    pub power_factor: f64,
    /// Frequency, Hz.
    pub frequency_hz: f64,
    /// Voltage of each phase to neutral, V.
    pub voltage_v: [f64; 3],
    /// Voltages between the phases 12, 23, 31, V.
    pub line_voltage_v: [f64; 3],
    /// Current of each phase, A.
    pub current_a: [f64; 3],
    /// Energy register, Wh.
    pub energy_import_wh: u64,
    /// Lagging reactive energy register, varh.
    pub reactive_energy_lag_varh: u64,
}

/// What a meter had counted up to an instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    joules: u64,
    var_s: u64,
}

type Counts = [Count; Meter::ALL.len()];

/// Seconds between two remembered sums.
const CHECKPOINT_S: i64 = 3600;
/// Share of reactive power that the capacitor bank at the incomer leaves.
const UNCOMPENSATED: f64 = 0.5;

/// The meters of a plant.
#[derive(Debug, Clone)]
pub struct Meters {
    plant: Plant,
    day: Day,
    /// Sums at each whole hour since the start.
    checkpoints: Vec<Counts>,
    second: i64,
    counts: Counts,
}

impl Meters {
    /// The meters at the plant's start; their registers hold what they had counted before.
    pub fn new(plant: Plant) -> Self {
        let second = plant.start_second();
        let counts: Counts = std::array::from_fn(|index| Count {
            // 20 to 60 MWh: meters that have been there for a while.
            joules: ((40.0 + 20.0 * noise(&[plant.seed(), 70, index as u64])) * 1e6) as u64 * 3600,
            var_s: 5_000_000 * 3600,
        });
        Self {
            day: plant.day(timestamp(second)),
            plant,
            checkpoints: vec![counts],
            second,
            counts,
        }
    }

    /// The plant they measure.
    pub fn plant(&self) -> &Plant {
        &self.plant
    }

    /// What `meter` shows at `at`; before the plant's start as at its start. Meters renew their values each second.
    pub fn reading(&mut self, meter: Meter, at: Timestamp) -> MeterReading {
        self.go_to(at.as_second().max(self.plant.start_second()));
        self.shown(meter)
    }

    /// Whether `meter` answers at `at`.
    pub fn is_silent(&mut self, meter: Meter, at: Timestamp) -> bool {
        self.go_to(at.as_second().max(self.plant.start_second()));
        self.day.is_silent(meter, self.second)
    }

    fn go_to(&mut self, second: i64) {
        let start = self.plant.start_second();
        if second < self.second {
            let index = (second - start) / CHECKPOINT_S;
            self.second = start + index * CHECKPOINT_S;
            self.counts = self.checkpoints[index as usize];
        }
        while self.second < second {
            self.enter_day();
            let powers = self.true_powers();
            for (count, (power_w, reactive_var)) in self.counts.iter_mut().zip(powers) {
                count.joules += u64::from(power_w);
                count.var_s += u64::from(reactive_var);
            }
            self.second += 1;
            let passed = self.second - start;
            if passed % CHECKPOINT_S == 0 && passed / CHECKPOINT_S == self.checkpoints.len() as i64 {
                self.checkpoints.push(self.counts);
            }
        }
        self.enter_day();
    }

    fn enter_day(&mut self) {
        if !self.day.covers(self.second) {
            self.day = self.plant.day(timestamp(self.second));
        }
    }

    /// Active W and reactive var of every meter in this second.
    fn true_powers(&self) -> [(u32, u32); Meter::ALL.len()] {
        let mut powers = [(0, 0); Meter::ALL.len()];
        let base_w = self.day.base_w(self.second);
        let (mut total_w, mut total_var) = (base_w, base_w / 3);
        for machine in Machine::ALL {
            let power_w = self.day.power_w(Meter::Of(machine), self.second);
            let reactive_var = reactive_var(machine, power_w);
            powers[Meter::Of(machine).index()] = (power_w, reactive_var);
            (total_w, total_var) = (total_w + power_w, total_var + reactive_var);
        }
        powers[Meter::Incomer.index()] = (total_w, (f64::from(total_var) * UNCOMPENSATED) as u32);
        powers
    }

    fn shown(&self, meter: Meter) -> MeterReading {
        let (power_w, reactive_var) = self.true_powers()[meter.index()];
        let drawn = |what: u64| noise(&[self.plant.seed(), 80 + what, meter.index() as u64, self.second as u64]);
        let slow = noise(&[self.plant.seed(), 89, self.second.div_euclid(600) as u64]);
        // Class 0.5: readings of power wander by up to 0.2 %, the registers do not.
        let active_power_w = f64::from(power_w) * (1.0 + 0.002 * drawn(0));
        let reactive_power_var = f64::from(reactive_var) * (1.0 + 0.002 * drawn(1));
        let apparent_power_va = active_power_w.hypot(reactive_power_var);
        let power_factor = if apparent_power_va > 0.0 {
            active_power_w / apparent_power_va
        } else {
            1.0
        };
        let voltage_v = [0, 1, 2].map(|phase| 220.0 * (1.0 + 0.008 * slow + 0.001 * drawn(2 + phase)));
        let lean = 0.02 * noise(&[self.plant.seed(), 88, meter.index() as u64]);
        let phase_power_w = [1.0 + lean, 1.0, 1.0 - lean].map(|share| active_power_w / 3.0 * share);
        MeterReading {
            active_power_w,
            phase_power_w,
            reactive_power_var,
            apparent_power_va,
            power_factor,
            frequency_hz: 60.0 + 0.03 * drawn(5),
            voltage_v,
            line_voltage_v: [0, 1, 2].map(|phase| between(voltage_v[phase], voltage_v[(phase + 1) % 3])),
            current_a: [0, 1, 2].map(|phase| phase_power_w[phase] / (voltage_v[phase] * power_factor)),
            energy_import_wh: self.counts[meter.index()].joules / 3600,
            reactive_energy_lag_varh: self.counts[meter.index()].var_s / 3600,
        }
    }
}

/// Voltage between two phases 120° apart.
fn between(first_v: f64, second_v: f64) -> f64 {
    (first_v * first_v + second_v * second_v + first_v * second_v).sqrt()
}

/// Reactive power of a machine, var: motors at little load have a poor power factor.
fn reactive_var(machine: Machine, power_w: u32) -> u32 {
    let (idle_factor, full_factor) = match machine {
        Machine::Mc1 | Machine::Mc2 => (0.55, 0.88),
        Machine::Press1 => (0.45, 0.82),
        Machine::Comp1 => (0.5, 0.87),
        Machine::Imm1 => (0.8, 0.92),
        Machine::Light1 => (0.95, 0.96),
    };
    let load = (f64::from(power_w) / 1000.0 / machine.spec().rated_kw).min(1.0);
    let power_factor: f64 = idle_factor + (full_factor - idle_factor) * load.sqrt();
    (f64::from(power_w) * power_factor.acos().tan()) as u32
}

/// Pressure in the compressed-air header, bar: it falls toward nothing while the compressor is off.
pub(super) fn header_pressure_bar(plant: &Plant, at: Timestamp) -> f64 {
    let second = at.as_second();
    let wander = noise(&[plant.seed(), 60, second.div_euclid(10) as u64]);
    let is_on = plant.power_kw(Meter::Of(Machine::Comp1), at) > Machine::Comp1.spec().off_below_kw;
    let pressure_bar = if is_on { 6.6 + 0.3 * wander } else { 1.2 + 0.2 * wander };
    (pressure_bar * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{
        super::model::{PlantConfig, Waste},
        *,
    };

    fn plant(seed: u64) -> Plant {
        Plant::new(PlantConfig::demo(seed, Waste::On, BTreeMap::new()))
    }

    #[test]
    fn asking_in_any_order_gives_the_same_readings() {
        let start = plant(3).start_second();
        let instants = [10, 90_000, 3600, 3599, 0, 7205, 90_001, 90_000, 5, -40];
        let mut meters = Meters::new(plant(3));
        for after_s in instants {
            let at = timestamp(start + after_s);
            let mut fresh = Meters::new(plant(3));
            for meter in Meter::ALL {
                assert_eq!(
                    meters.reading(meter, at),
                    fresh.reading(meter, at),
                    "{meter:?} +{after_s}"
                );
            }
        }
    }

    #[test]
    fn registers_are_the_integral_of_power_and_the_incomer_is_the_sum() {
        let plant = plant(4);
        let start = plant.start_second();
        let mut meters = Meters::new(plant.clone());
        let (since_s, until_s) = (1000, 12_345);
        let mut unmetered_wh = 0;
        for meter in Meter::ALL {
            let before = meters.reading(meter, timestamp(start + since_s)).energy_import_wh;
            let counted_wh = meters.reading(meter, timestamp(start + until_s)).energy_import_wh - before;
            let day = plant.day(timestamp(start));
            let joules: u64 = (since_s..until_s)
                .map(|s| u64::from(day.power_w(meter, start + s)))
                .sum();
            assert!(counted_wh.abs_diff(joules / 3600) <= 1, "{meter:?}");
            unmetered_wh += if meter == Meter::Incomer {
                counted_wh as i64
            } else {
                -(counted_wh as i64)
            };
        }
        let hours = (until_s - since_s) as f64 / 3600.0;
        assert!(
            (1.4..3.4).contains(&(unmetered_wh as f64 / 1000.0 / hours)),
            "{unmetered_wh} Wh unmetered"
        );
    }

    #[test]
    fn the_electrical_values_of_a_reading_agree() {
        let mut meters = Meters::new(plant(5));
        let start = plant(5).start_second();
        for (after_s, meter) in (0..2000).step_by(37).flat_map(|s| Meter::ALL.map(|meter| (s, meter))) {
            let shown = meters.reading(meter, timestamp(start + after_s));
            let product: f64 = (0..3)
                .map(|p| shown.voltage_v[p] * shown.current_a[p] * shown.power_factor)
                .sum();
            let check = |name: &str, got: f64, wanted: f64| {
                assert!(
                    (got - wanted).abs() <= 1e-6 * wanted.abs().max(1.0),
                    "{meter:?} {name}: {got}, {wanted}"
                );
            };
            check("sum of U I pf", product, shown.active_power_w);
            check("phases", shown.phase_power_w.iter().sum(), shown.active_power_w);
            check(
                "S",
                shown.active_power_w.hypot(shown.reactive_power_var),
                shown.apparent_power_va,
            );
            assert!(shown.voltage_v.iter().all(|volts| (216.0..224.0).contains(volts)));
            assert!(shown.line_voltage_v.iter().all(|volts| (374.0..388.0).contains(volts)));
        }
    }

    #[test]
    fn the_site_keeps_a_power_factor_that_costs_nothing() {
        let mut meters = Meters::new(plant(6));
        let start = plant(6).start_second();
        for after_s in (0..3000).step_by(60) {
            let shown = meters.reading(Meter::Incomer, timestamp(start + after_s));
            assert!(shown.power_factor > 0.92, "{}", shown.power_factor);
        }
    }
}
