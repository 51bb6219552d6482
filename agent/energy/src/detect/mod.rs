//! The catalogue of detectors: which kinds of waste are looked for, and with which settings.

use crate::finding::Kind;

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
}

/// Settings of every kind that this version detects, and at what: the one list.
pub const CATALOGUE: &[(Kind, &[Setting])] = &[
    (Kind::IdleRunning, &[AFTER_10_MIN]),
    (Kind::OffHoursLoad, &[AFTER_30_MIN, ABOVE]),
    (Kind::DemandPeak, &[TARGET]),
    (Kind::MeterSilent, &[AFTER_10_MIN]),
];

const AFTER_10_MIN: Setting = Setting {
    name: "after",
    form: SettingForm::Duration,
    default: Some(600.0),
    doc: "how long the condition must last before a finding opens",
};
const AFTER_30_MIN: Setting = Setting {
    default: Some(1800.0),
    ..AFTER_10_MIN
};
const ABOVE: Setting = Setting {
    name: "above_kw",
    form: SettingForm::Power,
    default: None,
    doc: "power above which load outside working hours is waste; unset: the machine's own limit between off and on",
};
const TARGET: Setting = Setting {
    name: "target_kw",
    form: SettingForm::Power,
    default: None,
    doc: "demand that the running interval must stay under; unset: the contract demand",
};
