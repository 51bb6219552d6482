//! The detectors: one file a kind of waste or meter fault, and the list of their settings.
//!
//! They judge stretches of power and demand intervals that the engine hands them, and ask no clock. Invariants: the
//! same input gives the same findings; a gap is neither waste nor proof of its end; a finding's `since` never moves.
//!
//! What an interval was told to be may change for forty days. Kinds that judge intervals reckon again from
//! `Tick::billing`, which holds the newest as they are told now, and say their finding anew.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    finding::{Condition, Finding, Kind, Severity, Title},
    interval::{Interval, point::timestamp},
    now::{DemandNow, MachineState},
    sample::Name,
    site::{Machine, Meter, Site},
    tariff::bill::Billing,
};

mod baseload_drift;
pub(crate) mod demand_peak;
mod episode;
mod idle_running;
mod low_power_factor;
pub(crate) mod meter_fault;
pub(crate) mod meter_silent;
mod off_hours_load;

pub(crate) use episode::{Rate, RatePrice};

/// Detectors are asked at each whole minute.
pub const TICK_MS: i64 = 60_000;

/// A setting of a waste kind.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its key under `detect.<kind>`.
    pub name: &'static str,
    /// How it is written.
    pub form: SettingForm,
    /// Its value when neither the site nor the kind of machine sets it; `None` = unset.
    pub default: Option<f64>,
    /// What it does, for the manual.
    pub doc: &'static str,
}

/// How a setting is written in TOML, and in what it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingForm {
    /// `"10m"`; kept in seconds.
    Duration,
    /// A number; kW.
    Power,
    /// A number 0..1.
    Share,
    /// A number above 0.
    Number,
}

/// Settings of every kind that this version detects: the one list.
pub const CATALOGUE: &[(Kind, &[Setting])] = &[
    (Kind::IdleRunning, idle_running::SETTINGS),
    (Kind::OffHoursLoad, off_hours_load::SETTINGS),
    (Kind::BaseloadDrift, baseload_drift::SETTINGS),
    (Kind::LowPowerFactor, low_power_factor::SETTINGS),
    (Kind::DemandPeak, demand_peak::SETTINGS),
    (Kind::MeterSilent, meter_silent::SETTINGS),
    (Kind::MeterStuck, meter_fault::STUCK),
    (Kind::MeterReset, meter_fault::RESET),
];

/// What numbers (`why`) each kind may send: whoever shows a finding to people has a name for each. Of a register the
/// last word is its unit.
pub const EVIDENCE: &[(Kind, &[&str])] = &[
    (
        Kind::IdleRunning,
        &[
            "standby_kw",
            "running_from_kw",
            "after_s",
            "duration_s",
            "mean_power_kw",
            "energy_light_kwh",
            "energy_mid_kwh",
            "energy_peak_kwh",
            "energy_flat_kwh",
        ],
    ),
    (
        Kind::OffHoursLoad,
        &[
            "above_kw",
            "base_kw",
            "after_s",
            "duration_s",
            "mean_power_kw",
            "energy_light_kwh",
            "energy_mid_kwh",
            "energy_peak_kwh",
            "energy_flat_kwh",
        ],
    ),
    (
        Kind::BaseloadDrift,
        &["base_kw", "reference_kw", "deviation_kw", "days", "duration_s"],
    ),
    (
        Kind::LowPowerFactor,
        &[
            "power_factor_pct",
            "reference_pct",
            "missing_pct",
            "is_leading",
            "is_notice",
            "duration_s",
            "billed_kw",
        ],
    ),
    (
        Kind::DemandPeak,
        &[
            "target_kw",
            "excess_kw",
            "forecast_kw",
            "demand_kw",
            "contract_kw",
            "billed_kw",
            "n_bills",
        ],
    ),
    (Kind::MeterSilent, &["silent_s"]),
    (
        Kind::MeterStuck,
        &[
            "stood_s",
            "longest_s",
            "register_kwh",
            "register_kvarh",
            "spread_kwh",
            "spread_kvarh",
        ],
    ),
    (
        Kind::MeterReset,
        &["before_kwh", "before_kvarh", "after_kwh", "after_kvarh"],
    ),
];

/// How long a condition must last before a finding opens.
const fn after(seconds: f64) -> Setting {
    Setting {
        name: "after",
        form: SettingForm::Duration,
        default: Some(seconds),
        doc: "how long the condition must last before a finding opens",
    }
}

/// A stretch of a machine's power over which nothing else changes: hours, price, factor.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    pub(crate) kw: f64,
    /// Work is meant; `None` = the machine has no hours.
    pub(crate) is_open: Option<bool>,
    /// `None` = the machine's states cannot be told.
    pub(crate) state: Option<MachineState>,
    /// Part of `kw` that other machines' detectors have judged already; for the site.
    pub(crate) explained_kw: f64,
    /// In what steps the counter counts that `kw` was made from, kWh; 0 where power is read.
    pub(crate) step_kwh: f64,
    pub(crate) rate: Rate,
}

/// A whole minute of data time.
pub(crate) struct Tick<'a> {
    pub(crate) at_ms: i64,
    pub(crate) site: &'a Site,
    /// The main meter's running interval.
    pub(crate) demand: Option<&'a DemandNow>,
    /// By how much its forecast may be off, by the step of the meter's register, kW.
    pub(crate) error_kw: f64,
    /// In what steps its counter counts, kWh; 0 where it has none.
    pub(crate) step_kwh: f64,
    /// The main meter's intervals that closed for the first time at this tick.
    pub(crate) closed: &'a [Interval],
    /// Its intervals that closed earlier, and are told otherwise now.
    pub(crate) retold: &'a [Interval],
    /// The main meter's newest intervals as they are told now, these included, and what demand costs after them.
    pub(crate) billing: &'a Billing,
    pub(crate) moment: Moment,
}

/// Whether time goes on after a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Running,
    /// The recording ends: what goes on is written as it stands.
    Last,
}

/// Looks for one kind of waste at one machine.
pub(crate) trait Detector {
    /// Takes a stretch of the machine's power; stretches come in order of time.
    fn take(&mut self, _piece: &Piece, _machine: &Machine) {}

    /// Says what has opened, changed or closed by this minute.
    fn tick(&mut self, tick: &Tick<'_>, machine: &Machine, out: &mut Vec<Finding>);

    /// Power of the newest stretch that this detector has judged, so that the site need not, kW, and its end, ms.
    fn explained(&self) -> Option<(f64, i64)> {
        None
    }
}

/// Any detector, so that its state can be written down.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum AnyDetector {
    IdleRunning(idle_running::IdleRunning),
    OffHoursLoad(off_hours_load::OffHoursLoad),
    DemandPeak(demand_peak::DemandPeak),
    BaseloadDrift(baseload_drift::BaseloadDrift),
    LowPowerFactor(low_power_factor::LowPowerFactor),
}

impl AnyDetector {
    /// A fresh detector of a machine's kind of waste; `None` for kinds that are not looked for at machines.
    pub(crate) fn new(kind: Kind) -> Option<Self> {
        match kind {
            Kind::IdleRunning => Some(Self::IdleRunning(idle_running::IdleRunning::default())),
            Kind::OffHoursLoad => Some(Self::OffHoursLoad(off_hours_load::OffHoursLoad::default())),
            Kind::BaseloadDrift => Some(Self::BaseloadDrift(baseload_drift::BaseloadDrift::default())),
            Kind::LowPowerFactor => Some(Self::LowPowerFactor(low_power_factor::LowPowerFactor::default())),
            Kind::DemandPeak => Some(Self::DemandPeak(demand_peak::DemandPeak::default())),
            _ => None,
        }
    }

    pub(crate) fn as_mut(&mut self) -> &mut dyn Detector {
        match self {
            Self::IdleRunning(detector) => detector,
            Self::OffHoursLoad(detector) => detector,
            Self::DemandPeak(detector) => detector,
            Self::BaseloadDrift(detector) => detector,
            Self::LowPowerFactor(detector) => detector,
        }
    }

    pub(crate) fn explained(&self) -> Option<(f64, i64)> {
        match self {
            Self::IdleRunning(detector) => detector.explained(),
            Self::OffHoursLoad(detector) => detector.explained(),
            Self::DemandPeak(detector) => detector.explained(),
            Self::BaseloadDrift(detector) => detector.explained(),
            Self::LowPowerFactor(detector) => detector.explained(),
        }
    }
}

/// A setting of a machine's detector, or its default from [`CATALOGUE`].
fn setting(machine: &Machine, kind: Kind, name: &str) -> Option<f64> {
    machine
        .detect
        .get(&kind)
        .and_then(|settings| settings.get(name))
        .copied()
        .or_else(|| default(kind, name))
}

/// A setting that has a default, in milliseconds.
fn setting_ms(machine: &Machine, kind: Kind, name: &str) -> i64 {
    (setting(machine, kind, name).unwrap_or(0.0) * 1000.0) as i64
}

/// How long a meter's fault must last, ms; `None` where the meter's machine has switched this kind off.
fn meter_after_ms(kind: Kind, meter: &Meter, site: &Site) -> Option<i64> {
    let machine = site.machines.iter().find(|machine| machine.meter == meter.name);
    let after_s = match machine.map(|machine| machine.detect.get(&kind)) {
        Some(None) => return None,
        Some(Some(settings)) => settings.get("after").copied(),
        None => None,
    };
    Some((after_s.or_else(|| default(kind, "after")).unwrap_or(0.0) * 1000.0) as i64)
}

/// The machine that a meter measures; the meter itself where none is declared.
fn meter_machine<'a>(meter: &'a Name, site: &'a Site) -> &'a Name {
    let machine = site.machines.iter().find(|machine| machine.meter == *meter);
    machine.map_or(meter, |machine| &machine.name)
}

/// A meter's fault: since when, detected when, until when, ms; by what name it goes, at which machine and meter. The
/// harm is data that is missing, not kWh.
fn meter_finding(
    kind: Kind,
    (since_ms, detected_ms, until_ms): (i64, i64, Option<i64>),
    (named, machine, meter): (&Name, &Name, &Name),
    title: Title,
    why: BTreeMap<String, f64>,
) -> Finding {
    let since = timestamp(since_ms);
    Finding {
        id: Finding::id(kind, named, since),
        kind,
        machine: machine.clone(),
        meter: meter.clone(),
        since,
        detected_at: timestamp(detected_ms),
        until: until_ms.map(timestamp),
        state: if until_ms.is_some() {
            Condition::Closed
        } else {
            Condition::Open
        },
        severity: Severity::P2,
        energy_kwh: None,
        energy_kwh_low: None,
        energy_kwh_high: None,
        cost: None,
        cost_net: None,
        kgco2e: None,
        confidence: 1.0,
        why,
        title,
    }
}

fn default(kind: Kind, name: &str) -> Option<f64> {
    let (_, settings) = CATALOGUE.iter().find(|(known, _)| *known == kind)?;
    settings.iter().find(|setting| setting.name == name)?.default
}

/// A duration in words, for titles: `"25분"`, `"1시간 05분"` and `"25 min"`, `"1 h 05 min"`.
fn in_words(ms: i64) -> (String, String) {
    let minutes = ms / 60_000;
    if minutes < 60 {
        return (format!("{minutes}분"), format!("{minutes} min"));
    }
    let (hours, minutes) = (minutes / 60, minutes % 60);
    (
        format!("{hours}시간 {minutes:02}분"),
        format!("{hours} h {minutes:02} min"),
    )
}
