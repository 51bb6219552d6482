//! The machines of the simulated factory and what each draws in each mode, second by second.
//!
//! It knows no day and no waste: who is in which mode when is the schedule's. Invariant: power is whole watts and a
//! pure function of (seed, machine, mode, second), so energy sums are exact; modes keep clear of each other's limits.

use energy::site::MachineKind;

use super::dice::noise;

/// A machine of the plant. Its meter has its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "described by their row in SPECS")]
pub enum Machine {
    Mc1,
    Mc2,
    Press1,
    Comp1,
    Imm1,
    Light1,
}

/// A meter of the plant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Meter {
    /// The main meter: every machine and a small base that no sub-meter sees.
    Incomer,
    /// The sub-meter of one machine.
    Of(Machine),
}

/// What a machine is, for its configuration and for people.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// The machine.
    pub machine: Machine,
    /// Its name and its meter's.
    pub name: &'static str,
    /// What people call it, Korean.
    pub ko: &'static str,
    /// What people call it, English.
    pub en: &'static str,
    /// Its kind in the catalogue.
    pub kind: MachineKind,
    /// Nameplate power, kW.
    pub rated_kw: f64,
    /// What it draws switched off, kW.
    pub off_kw: f64,
    /// What it draws in standby, kW; `None` = it is simply switched off.
    pub standby_kw: Option<f64>,
    /// Limit between off and on, kW, as the configuration gives it.
    pub off_below_kw: f64,
    /// Limit between idle and producing, kW, as the configuration gives it.
    pub running_from_kw: f64,
}

/// Every machine of the plant.
#[rustfmt::skip]
pub const SPECS: [Spec; 6] = [
    spec(Machine::Mc1, "mc-1", ["머시닝센터 1호기", "Machining centre 1"], MachineKind::MachiningCentre, [22.0, 0.05, 0.9, 0.4, 9.0]),
    spec(Machine::Mc2, "mc-2", ["머시닝센터 2호기", "Machining centre 2"], MachineKind::MachiningCentre, [22.0, 0.05, 0.9, 0.4, 9.0]),
    spec(Machine::Press1, "press-1", ["프레스 1호기", "Press 1"], MachineKind::Press, [55.0, 0.2, 0.0, 2.0, 14.0]),
    spec(Machine::Comp1, "comp-1", ["공기압축기 1호기", "Compressor 1"], MachineKind::Compressor, [37.0, 0.2, 0.0, 2.0, 20.0]),
    spec(Machine::Imm1, "imm-1", ["사출성형기 1호기", "Injection moulding machine 1"], MachineKind::InjectionMoulding, [60.0, 0.25, 2.5, 1.0, 14.0]),
    spec(Machine::Light1, "light-1", ["공장동 조명", "Hall lighting"], MachineKind::Lighting, [12.0, 0.02, 0.0, 1.0, 3.0]),
];

/// `kw`: rated, off, standby (0 = none), off below, running from. `label`: Korean, English.
const fn spec(machine: Machine, name: &'static str, label: [&'static str; 2], kind: MachineKind, kw: [f64; 5]) -> Spec {
    Spec {
        machine,
        name,
        ko: label[0],
        en: label[1],
        kind,
        rated_kw: kw[0],
        off_kw: kw[1],
        standby_kw: if kw[2] > 0.0 { Some(kw[2]) } else { None },
        off_below_kw: kw[3],
        running_from_kw: kw[4],
    }
}

impl Machine {
    /// All machines.
    pub const ALL: [Self; 6] = [
        Self::Mc1,
        Self::Mc2,
        Self::Press1,
        Self::Comp1,
        Self::Imm1,
        Self::Light1,
    ];

    /// What it is.
    pub fn spec(self) -> &'static Spec {
        &SPECS[self as usize]
    }

    /// Its name and its meter's.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// What it cannot do without while nobody needs it, W: standby where it has one, else off.
    pub(super) fn unavoidable_w(self) -> f64 {
        self.spec().standby_kw.unwrap_or(self.spec().off_kw) * 1000.0
    }
}

impl Meter {
    /// All meters, the main one first.
    pub const ALL: [Self; 7] = [
        Self::Incomer,
        Self::Of(Machine::Mc1),
        Self::Of(Machine::Mc2),
        Self::Of(Machine::Press1),
        Self::Of(Machine::Comp1),
        Self::Of(Machine::Imm1),
        Self::Of(Machine::Light1),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Incomer => super::MAIN_METER,
            Self::Of(machine) => machine.name(),
        }
    }

    /// Its place in `ALL`.
    pub(super) fn index(self) -> usize {
        match self {
            Self::Incomer => 0,
            Self::Of(machine) => machine as usize + 1,
        }
    }
}

/// What a machine does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Switched off.
    Off,
    /// On, asleep; machines without a standby are off. Lighting: half the lamps.
    Standby,
    /// Energised, not producing.
    Idle,
    /// Producing, with the short pauses of its cycle.
    Run,
    /// Producing without pauses longer than a few seconds.
    Steady,
    /// Producing at the upper end of what it can.
    Heavy,
    /// Left on with nobody there; a compressor now and then feeds the leaks.
    Left,
    /// The first seconds after being switched on.
    Inrush,
}

/// What `machine` draws, W, in the second `second` (Unix time) of being in `mode`.
pub(super) fn power_w(seed: u64, machine: Machine, mode: Mode, second: i64) -> u32 {
    let draw = Draw { seed, machine, second };
    let kw = match (mode, machine) {
        (Mode::Off, _) => draw.spec().off_kw,
        (Mode::Standby, Machine::Light1) => 5.3 + draw.fine(0.03),
        (Mode::Standby, _) => draw
            .spec()
            .standby_kw
            .map_or(draw.spec().off_kw, |kw| kw * (1.0 + draw.fine(0.03))),
        (_, Machine::Mc1 | Machine::Mc2) => draw.machining_kw(mode),
        (_, Machine::Press1) => draw.press_kw(mode),
        (_, Machine::Comp1) => draw.compressor_kw(mode),
        (_, Machine::Imm1) => draw.moulding_kw(mode),
        (Mode::Inrush, Machine::Light1) => 14.0,
        (_, Machine::Light1) => 10.3 + draw.fine(0.08),
    };
    (kw * 1000.0).round() as u32
}

/// What no sub-meter sees, W: offices, controls, the gateway.
pub(super) fn base_w(seed: u64, is_daytime: DayTime, second: i64) -> u32 {
    let (level_kw, swing_kw) = match is_daytime {
        DayTime::Work => (3.0, 0.3),
        DayTime::Rest => (1.6, 0.1),
    };
    let slow = noise(&[seed, 90, second.div_euclid(300) as u64]);
    ((level_kw + swing_kw * slow) * 1000.0).round() as u32
}

/// Whether people are in the building.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DayTime {
    Work,
    Rest,
}

#[derive(Clone, Copy)]
struct Draw {
    seed: u64,
    machine: Machine,
    second: i64,
}

impl Draw {
    fn spec(self) -> &'static Spec {
        self.machine.spec()
    }

    /// Noise that changes every `period` seconds.
    fn slow(self, period: i64) -> f64 {
        let index = self.second.div_euclid(period) as u64;
        noise(&[self.seed, self.machine as u64, period as u64, index])
    }

    /// Noise of this second, at most `swing`.
    fn fine(self, swing: f64) -> f64 {
        swing * self.slow(1)
    }

    /// Seconds into a cycle of `period`.
    fn phase(self, period: i64) -> i64 {
        (self.second + (self.seed % 97) as i64 + 31 * self.machine as i64).rem_euclid(period)
    }

    fn machining_kw(self, mode: Mode) -> f64 {
        let idle = 5.2 + 0.5 * self.slow(300) + self.fine(0.06);
        let cycle_s = if self.machine == Machine::Mc1 { 260 } else { 310 };
        match mode {
            Mode::Run if self.phase(cycle_s) < 25 => idle, // the part is changed
            Mode::Run | Mode::Steady => 14.0 + 1.2 * self.slow(20) + self.fine(0.6),
            Mode::Heavy => 20.5 + self.fine(0.5),
            Mode::Inrush => 26.0,
            _ => idle,
        }
    }

    fn press_kw(self, mode: Mode) -> f64 {
        match mode {
            Mode::Run | Mode::Steady if self.phase(6) < 3 => 33.0 + self.fine(1.5),
            Mode::Run | Mode::Steady => 19.0 + self.fine(0.6),
            Mode::Heavy => 48.0 + self.fine(2.0),
            Mode::Inrush => 80.0,
            _ => 9.0 + 0.3 * self.slow(300) + self.fine(0.1),
        }
    }

    fn compressor_kw(self, mode: Mode) -> f64 {
        let unloaded = 11.0 + self.fine(0.2);
        let loaded = 34.0 + self.fine(0.5);
        match mode {
            Mode::Run | Mode::Steady if self.phase(170) < 105 + (15.0 * self.slow(3600)) as i64 => loaded,
            Mode::Left if self.phase(300) < 20 => loaded,
            Mode::Heavy => 36.3 + self.fine(0.3),
            Mode::Inrush => 55.0,
            _ => unloaded,
        }
    }

    fn moulding_kw(self, mode: Mode) -> f64 {
        match (mode, self.phase(32)) {
            (Mode::Run | Mode::Steady, 0..8) => 38.0 + self.fine(0.8), // injection
            (Mode::Run | Mode::Steady, 8..16) => 29.0 + self.fine(0.6), // plasticising
            (Mode::Run | Mode::Steady, _) => 19.5 + self.fine(0.4),    // cooling
            (Mode::Heavy, _) => 52.0 + self.fine(1.0),
            (Mode::Inrush, _) => 40.0,
            _ => 8.0 + 0.8 * self.slow(60) + self.fine(0.1), // heaters
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_stand_in_the_order_of_the_machines_and_their_limits_ascend() {
        for (machine, spec) in Machine::ALL.into_iter().zip(SPECS) {
            assert_eq!(machine, spec.machine);
            let standby_kw = spec.standby_kw.unwrap_or(spec.off_below_kw);
            assert!(spec.off_kw < spec.off_below_kw && spec.off_below_kw <= standby_kw.max(spec.off_below_kw));
            assert!(standby_kw < spec.running_from_kw && spec.running_from_kw < spec.rated_kw);
        }
        for (index, meter) in Meter::ALL.into_iter().enumerate() {
            assert_eq!(meter.index(), index);
        }
    }

    #[test]
    fn each_mode_stays_inside_its_limits() {
        for spec in SPECS {
            let check = |mode, low_kw: f64, high_kw: f64| {
                for second in 0..4000 {
                    let kw = f64::from(power_w(11, spec.machine, mode, second)) / 1000.0;
                    assert!((low_kw..high_kw).contains(&kw), "{} {mode:?}: {kw} kW", spec.name);
                }
            };
            check(Mode::Off, 0.0, spec.off_below_kw);
            if spec.machine == Machine::Light1 {
                check(Mode::Left, 10.0, 10.6);
                continue;
            }
            check(Mode::Standby, 0.0, spec.standby_kw.unwrap_or(spec.off_below_kw) * 1.1);
            check(Mode::Idle, spec.off_below_kw * 1.5, spec.running_from_kw * 0.75);
            check(Mode::Heavy, spec.running_from_kw, spec.rated_kw);
            if spec.machine != Machine::Comp1 {
                check(Mode::Steady, spec.running_from_kw * 1.2, spec.rated_kw);
            }
        }
    }
}
