//! Whether the values of one poll can be of one load: power against voltage × current × power factor, and against its
//! phases; and what is marked where they, or energy and power over time (`balance.rs`), do not agree. Pure.
//!
//! It repairs nothing and knows no device. A swapped word order, a register off by one, a scale ten times too high or a
//! late answer often leave numbers that each look possible; together they do not. Invariants: what a broken rule rests on
//! comes out `bad`, all of it, since nobody can tell which part is wrong; a rule that lacks a value says nothing.

use energy::{Quality, Quantity, Reading};

use super::balance::Mismatch;

/// Power below which rounding and the time between two requests decide, kW (default).
const FLOOR_KW: f64 = 0.1;
/// Share by which total and phases may differ: a welder changes that much between two requests of one poll (default).
const SUM_TOLERANCE: f64 = 0.3;
/// Bounds of |P| / (Σ V·I × |PF|). Above 1 is rounding and time; below it unbalance (phases do not add up like one) and
/// harmonics, where the meter shows cos φ: 0.7 with a six-pulse drive, half of it is the bound (default).
const SHARE_OF_VI: std::ops::RangeInclusive<f64> = 0.35..=1.4;

const PHASES: [[Quantity; 4]; 3] = [
    [
        Quantity::ActivePowerL1,
        Quantity::VoltageL1,
        Quantity::VoltageL12,
        Quantity::CurrentL1,
    ],
    [
        Quantity::ActivePowerL2,
        Quantity::VoltageL2,
        Quantity::VoltageL23,
        Quantity::CurrentL2,
    ],
    [
        Quantity::ActivePowerL3,
        Quantity::VoltageL3,
        Quantity::VoltageL31,
        Quantity::CurrentL3,
    ],
];

/// A rule that the values of a poll break.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Broken {
    /// Its name in counters.
    pub rule: &'static str,
    /// What the meter says, kW.
    pub got_kw: f64,
    /// What its other values say, kW.
    pub wanted_kw: f64,
}

/// The rules, for the counters.
pub(super) const RULES: [&str; 3] = ["phases", "volt-ampere", "energy"];

/// Whether any rule has the values that it needs.
pub fn can_judge(readings: &[Reading]) -> bool {
    let has_other = of_phases(readings, 0).is_some() || apparent_kva(readings).is_some();
    has_other && value(readings, Quantity::ActivePower).is_some()
}

/// Marks what cannot be; tells the first rule that is broken.
pub fn judge(readings: &mut [Reading]) -> Option<Broken> {
    let broken = sum_of_phases(readings).or_else(|| volt_ampere(readings))?;
    let mut rests_on: Vec<Quantity> = PHASES.iter().map(|phase| phase[0]).collect();
    rests_on.push(Quantity::ActivePower);
    if broken.rule == RULES[1] {
        rests_on.push(Quantity::PowerFactor);
        rests_on.extend(PHASES.iter().flat_map(|phase| &phase[1..]));
    }
    for reading in readings
        .iter_mut()
        .filter(|reading| rests_on.contains(&reading.quantity))
    {
        reading.quality = Quality::Bad;
    }
    Some(broken)
}

/// Marks an energy register that does not count what the power makes, and the power too unless voltage and current vouch
/// for it.
pub(super) fn doubt_energy(readings: &mut [Reading], mismatch: Mismatch) -> Broken {
    let is_vouched_for = value(readings, Quantity::ActivePower).is_some() && apparent_kva(readings).is_some();
    let is_doubted =
        |quantity| quantity == Quantity::EnergyImport || quantity == Quantity::ActivePower && !is_vouched_for;
    for reading in readings.iter_mut().filter(|reading| is_doubted(reading.quantity)) {
        reading.quality = Quality::Bad;
    }
    Broken {
        rule: RULES[2],
        got_kw: mismatch.counted_kw,
        wanted_kw: mismatch.drawn_kw,
    }
}

/// The trusted value of a quantity.
fn value(readings: &[Reading], quantity: Quantity) -> Option<f64> {
    let found = readings.iter().find(|reading| reading.quantity == quantity)?;
    found.quality.is_trusted().then_some(found.value)
}

/// A quantity of each phase, by its place in [`PHASES`]; `None` unless all three are there.
fn of_phases(readings: &[Reading], nth: usize) -> Option<[f64; 3]> {
    let [l1, l2, l3] = PHASES.map(|phase| value(readings, phase[nth]));
    Some([l1?, l2?, l3?])
}

/// The total is the sum of the phases; of their magnitudes where the meter counts so.
fn sum_of_phases(readings: &[Reading]) -> Option<Broken> {
    let total = value(readings, Quantity::ActivePower)?;
    let phases = of_phases(readings, 0)?;
    let (sum, magnitudes) = (
        phases.iter().sum::<f64>(),
        phases.iter().map(|kw| kw.abs()).sum::<f64>(),
    );
    if magnitudes == 0.0 {
        return None; // a meter of three wires has no power of a phase
    }
    let allowed = SUM_TOLERANCE * magnitudes.max(total.abs()) + FLOOR_KW;
    let is_near = [sum, magnitudes, -sum]
        .iter()
        .any(|wanted| (total - wanted).abs() <= allowed);
    (!is_near).then_some(Broken {
        rule: RULES[0],
        got_kw: total,
        wanted_kw: sum,
    })
}

/// Power is what voltage, current and power factor make; without a power factor it is at most V·I.
fn volt_ampere(readings: &[Reading]) -> Option<Broken> {
    let got_kw = value(readings, Quantity::ActivePower)?;
    let vi_kva = apparent_kva(readings)?;
    let power_factor = value(readings, Quantity::PowerFactor).map_or(1.0, f64::abs);
    let has_power_factor = value(readings, Quantity::PowerFactor).is_some();
    let wanted_kw = vi_kva * power_factor;
    let is_too_high = got_kw.abs() > wanted_kw * SHARE_OF_VI.end() + FLOOR_KW;
    let is_too_low = has_power_factor && got_kw.abs() < wanted_kw * SHARE_OF_VI.start() - FLOOR_KW;
    (is_too_high || is_too_low).then_some(Broken {
        rule: RULES[1],
        got_kw,
        wanted_kw,
    })
}

/// Σ V·I: three phases by their voltages to neutral, else by those between them; one phase where there is no other.
fn apparent_kva(readings: &[Reading]) -> Option<f64> {
    let has = |phase: usize| value(readings, PHASES[phase][3]).is_some();
    if !has(1) && !has(2) {
        let (volts, amperes) = (
            value(readings, Quantity::VoltageL1)?,
            value(readings, Quantity::CurrentL1)?,
        );
        let is_one_phase = value(readings, Quantity::VoltageL2).is_none() && of_phases(readings, 2).is_none();
        return is_one_phase.then_some(volts * amperes.abs() / 1000.0);
    }
    let amperes = of_phases(readings, 3)?;
    let volts = match of_phases(readings, 1) {
        Some(to_neutral) => to_neutral,
        None => of_phases(readings, 2)?.map(|between| between / 3_f64.sqrt()),
    };
    let sum: f64 = volts
        .iter()
        .zip(amperes)
        .map(|(volts, amperes)| volts * amperes.abs())
        .sum();
    Some(sum / 1000.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn readings(text: &str) -> Vec<Reading> {
        let pairs = text.split(' ').filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(name, value)| Reading::new(name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    /// `quantity=value …` → the rule that is broken, and what is bad then.
    fn check(text: &str, rule: Option<&str>, bad: &[&str]) {
        let mut readings = readings(text);
        assert_eq!(judge(&mut readings).map(|broken| broken.rule), rule, "{text}");
        let marked = readings.iter().filter(|reading| reading.quality == Quality::Bad);
        let marked: Vec<&str> = marked.map(|reading| reading.quantity.name()).collect();
        assert_eq!(marked, bad, "{text}");
    }

    const PHASE_VALUES: &str =
        "voltage_l1_v=230 voltage_l2_v=231 voltage_l3_v=229 current_l1_a=10 current_l2_a=11 current_l3_a=9";

    #[test]
    fn power_is_the_sum_of_its_phases() {
        let phases = "active_power_l1_kw=2 active_power_l2_kw=3 active_power_l3_kw=4";
        check(&format!("active_power_kw=9 {phases}"), None, &[]);
        check(&format!("active_power_kw=11 {phases}"), None, &[]); // a load that changes fast
        check(&format!("active_power_kw=-9 {phases}"), None, &[]); // a sign of its own
        let all = [
            "active_power_kw",
            "active_power_l1_kw",
            "active_power_l2_kw",
            "active_power_l3_kw",
        ];
        check(&format!("active_power_kw=90 {phases}"), Some("phases"), &all);
        check(
            &format!("active_power_kw=0.9 {phases} frequency_hz=60"),
            Some("phases"),
            &all,
        );
        check(
            "active_power_kw=90 active_power_l1_kw=2 active_power_l2_kw=3",
            None,
            &[],
        ); // one phase is not known
        let none = "active_power_l1_kw=0 active_power_l2_kw=0 active_power_l3_kw=0";
        check(&format!("active_power_kw=59 {none}"), None, &[]); // three wires: no phase has a power of its own
        // One current transformer reversed: the sum is small, as the meter says, or it counts magnitudes.
        let reversed = "active_power_l1_kw=3 active_power_l2_kw=-3 active_power_l3_kw=3";
        check(&format!("active_power_kw=3 {reversed}"), None, &[]);
        check(&format!("active_power_kw=9 {reversed}"), None, &[]);
        check(
            "active_power_kw=0.09 active_power_l1_kw=0 active_power_l2_kw=0 active_power_l3_kw=0",
            None,
            &[],
        );
    }

    #[test]
    fn power_is_what_voltage_current_and_power_factor_make() {
        // 6.9 kVA
        check(
            &format!("active_power_kw=6.2 power_factor=0.9 {PHASE_VALUES}"),
            None,
            &[],
        );
        check(
            &format!("active_power_kw=-6.2 power_factor=-0.9 {PHASE_VALUES}"),
            None,
            &[],
        );
        check(
            &format!("active_power_kw=4.3 power_factor=0.98 {PHASE_VALUES}"),
            None,
            &[],
        ); // cos φ beside harmonics
        check(&format!("active_power_kw=2.1 {PHASE_VALUES}"), None, &[]); // no power factor: anything up to V·I
        let all = [
            "active_power_kw",
            "power_factor",
            "voltage_l1_v",
            "voltage_l2_v",
            "voltage_l3_v",
            "current_l1_a",
            "current_l2_a",
            "current_l3_a",
        ];
        check(
            &format!("active_power_kw=62 power_factor=0.9 {PHASE_VALUES}"),
            Some("volt-ampere"),
            &all,
        );
        check(
            &format!("active_power_kw=0.62 power_factor=0.9 {PHASE_VALUES}"),
            Some("volt-ampere"),
            &all,
        );
        let without: Vec<&str> = all.into_iter().filter(|name| *name != "power_factor").collect();
        check(
            &format!("active_power_kw=62 {PHASE_VALUES}"),
            Some("volt-ampere"),
            &without,
        );
        let between =
            "voltage_l12_v=400 voltage_l23_v=400 voltage_l31_v=400 current_l1_a=10 current_l2_a=10 current_l3_a=10";
        check(&format!("active_power_kw=6.2 power_factor=0.9 {between}"), None, &[]);
        check(
            "active_power_kw=2.1 power_factor=0.9 voltage_l1_v=230 current_l1_a=10",
            None,
            &[],
        );
        check(
            "active_power_kw=21 power_factor=0.9 voltage_l1_v=230 current_l1_a=10",
            Some("volt-ampere"),
            &["active_power_kw", "power_factor", "voltage_l1_v", "current_l1_a"],
        );
        // Three phases of which only one is read.
        check(
            "active_power_kw=21 voltage_l1_v=230 voltage_l2_v=230 current_l1_a=10",
            None,
            &[],
        );
    }

    proptest! {
        /// Any real load, its phases as unequal and its power factor as low as they may be, is believed; read with its
        /// words swapped, a factor of ten off or from another load of another size it is not.
        #[test]
        fn real_loads_are_believed_and_others_are_not(amperes in prop::array::uniform3(5.0..500_f64), volts in 200.0..250_f64, power_factor in 0.3..1.0_f64, scale in prop::sample::select(vec![0.01, 0.1, 10.0, 1000.0])) {
            let kw = amperes.map(|amperes| amperes * volts * power_factor / 1000.0);
            let total: f64 = kw.iter().sum();
            let of = |total: f64| {
                let mut readings = vec![Reading::new(Quantity::ActivePower, total), Reading::new(Quantity::PowerFactor, power_factor)];
                for (phase, (kw, amperes)) in PHASES.iter().zip(kw.iter().zip(amperes)) {
                    let values = [(phase[0], *kw), (phase[1], volts), (phase[3], amperes)];
                    readings.extend(values.map(|(quantity, value)| Reading::new(quantity, value)));
                }
                readings
            };
            // Beyond 100 MW a reading is bad by itself.
            let is_believed = |mut readings: Vec<Reading>| {
                judge(&mut readings);
                value(&readings, Quantity::ActivePower).is_some()
            };
            let mut right = of(total);
            prop_assert_eq!(judge(&mut right), None);
            prop_assert!(right.iter().all(|reading| reading.quality == Quality::Ok));
            prop_assert!(!is_believed(of(total * scale)));
            let without_phases = |total| of(total).into_iter().filter(|reading| PHASES.iter().all(|phase| phase[0] != reading.quantity)).collect::<Vec<_>>();
            prop_assert_eq!(judge(&mut without_phases(total)), None);
            prop_assert!(!is_believed(without_phases(total * scale)));
        }
    }
}
