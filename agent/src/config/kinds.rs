//! What a kind of machine brings by itself: `machines.toml`, read with the same rules as a machine's own settings.
//!
//! It holds no number. Invariant: what the file lists but this version cannot detect is left out without a word, since
//! nobody asked for it.

use std::{collections::BTreeMap, time::Duration};

use energy::{
    both,
    detect::{CATALOGUE, Setting, SettingForm},
    finding::{Kind, Title},
    site::{MachineKind, Settings},
};
use toml::{Spanned, de::DeValue};

use super::{
    diagnostic::Code,
    read::{self, At, File, Table},
    suggest, units,
};

/// The kinds with their names.
pub(super) const KINDS: &[(&str, MachineKind)] = &[
    ("site", MachineKind::Site),
    ("machining_centre", MachineKind::MachiningCentre),
    ("injection_moulding", MachineKind::InjectionMoulding),
    ("press", MachineKind::Press),
    ("compressor", MachineKind::Compressor),
    ("pump", MachineKind::Pump),
    ("fan", MachineKind::Fan),
    ("chiller", MachineKind::Chiller),
    ("furnace", MachineKind::Furnace),
    ("boiler", MachineKind::Boiler),
    ("dryer", MachineKind::Dryer),
    ("welding", MachineKind::Welding),
    ("lighting", MachineKind::Lighting),
    ("hvac", MachineKind::Hvac),
    ("transformer", MachineKind::Transformer),
    ("generic", MachineKind::Generic),
];

/// Limits between states as shares of the rated power.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shares {
    /// Below this it is off.
    pub off_below: f64,
    /// Below this it is in standby.
    pub standby_below: f64,
    /// What it draws in standby.
    pub standby: f64,
    /// From this on it produces.
    pub running_from: f64,
}

/// What one kind brings.
#[derive(Debug, Clone, Default)]
pub(super) struct Defaults {
    /// Limits between its states; `None` = it has no states.
    pub shares: Option<Shares>,
    /// What is looked for, with the settings that differ from the detector's own.
    pub detect: BTreeMap<Kind, Settings>,
}

/// What every kind brings.
pub(super) type Kinds = BTreeMap<MachineKind, Defaults>;

/// Reads `machines.toml`.
pub(super) fn kinds(file: &File) -> Option<Kinds> {
    let parsed = read::parse(file)?;
    let mut root = Table::new(file, both!("파일", "the file"), &parsed);
    let mut every = BTreeMap::new();
    if let Some(mut table) = root.table("every") {
        every = detect(&mut table, Unknown::LeftOut).set;
        table.finish();
    }
    let mut kinds = Kinds::new();
    for (name, kind) in KINDS {
        let Some(mut table) = root.table(name) else { continue };
        let shares = shares(&mut table);
        let own = detect(&mut table, Unknown::LeftOut).set;
        table.finish();
        let detect = every.clone().into_iter().chain(own).collect();
        kinds.insert(*kind, Defaults { shares, detect });
    }
    root.finish();
    Some(kinds)
}

fn shares(table: &mut Table<'_>) -> Option<Shares> {
    let mut share = |key| table.amount(key).map(Spanned::into_inner);
    let off_below = share("off_below")?;
    let standby_below = share("standby_below").unwrap_or(off_below);
    let standby = share("standby").unwrap_or(0.0);
    let running_from = share("running_from")?;
    if off_below > standby_below || standby_below > running_from || standby > standby_below {
        let title = table.title();
        let message = both!(
            [title],
            "{title}: off_below, standby_below, running_from은 차례로 커져야 합니다",
            "{title}: off_below, standby_below and running_from must ascend"
        );
        table.file().report(Code::BadDataFile, table.span(), message);
    }
    Some(Shares {
        off_below,
        standby_below,
        standby,
        running_from,
    })
}

/// What becomes of a kind that this version does not detect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Nobody asked for it.
    LeftOut,
    /// Somebody wrote it down: a warning.
    Warned,
}

/// The table `detect`: what is set, and what is switched off.
#[derive(Debug, Default)]
pub(super) struct Detect {
    /// Kinds with their own settings.
    pub set: BTreeMap<Kind, Settings>,
    /// Kinds that are switched off.
    pub off: Vec<Kind>,
}

/// Reads the table `detect`.
pub(super) fn detect(table: &mut Table<'_>, unknown: Unknown) -> Detect {
    let file = table.file();
    let mut detect = Detect::default();
    let Some(entries) = table.table("detect") else {
        return detect;
    };
    for (name, value) in entries.entries() {
        let Some(kind) = known_kind(file, &name) else { continue };
        let catalogued = CATALOGUE.iter().find(|(known, _)| *known == kind);
        match (value.get_ref(), catalogued) {
            (DeValue::Boolean(false), _) => detect.off.push(kind),
            (_, None) if unknown == Unknown::LeftOut => {}
            (_, None) => {
                let message = both!(
                    "이 버전은 {kind}을(를) 찾지 않습니다. 이 설정은 찾을 수 있는 버전에서 쓰입니다",
                    "{kind} is not detected by this version: its settings wait for one that does"
                );
                file.report(Code::NotDetected, name.span(), message);
            }
            (DeValue::Boolean(true), Some(_)) => {
                detect.set.insert(kind, Settings::new());
            }
            (_, Some((_, known))) => {
                if let Some(settings) = settings(file, kind, known, value) {
                    detect.set.insert(kind, settings);
                }
            }
        }
    }
    detect
}

fn known_kind(file: &File, name: &At<&str>) -> Option<Kind> {
    let text = *name.get_ref();
    let kind = Kind::from_name(text);
    if kind.is_none() {
        let message = both!(
            "{text:?}은(는) 없는 낭비 종류입니다",
            "no kind of waste is called {text:?}"
        );
        let names = Kind::ALL.iter().map(|kind| kind.name());
        let help = suggest::help(text, names).or_else(|| {
            Some(both!(
                "모든 종류는 config/README.md에 있습니다",
                "config/README.md lists all kinds"
            ))
        });
        file.report_with(Code::UnknownKey, name.span(), message, help);
    }
    kind
}

fn settings(file: &File, kind: Kind, known: &[Setting], value: &Spanned<DeValue<'_>>) -> Option<Settings> {
    let mut table = read::table(file, Title::same(format!("detect.{kind}")), kind.name(), value)?;
    let mut settings = Settings::new();
    for setting in known {
        if let Some(value) = setting_value(&mut table, setting) {
            settings.insert(setting.name.to_owned(), value);
        }
    }
    table.finish();
    Some(settings)
}

fn setting_value(table: &mut Table<'_>, setting: &Setting) -> Option<f64> {
    match setting.form {
        SettingForm::Duration => {
            let duration = table.parsed(setting.name, units::duration)?;
            Some(Duration::as_secs_f64(duration.get_ref()))
        }
        SettingForm::Power | SettingForm::Number => table.amount(setting.name).map(Spanned::into_inner),
        SettingForm::Share => {
            let share = table.amount(setting.name)?;
            if *share.get_ref() > 1.0 {
                let message = both!(
                    "{:?} 값은 비율이므로 0에서 1 사이여야 합니다",
                    "{:?} is a share: it must be 0 to 1",
                    setting.name
                );
                table.file().report(Code::BadValue, share.span(), message);
                return None;
            }
            Some(share.into_inner())
        }
    }
}

/// What is looked for at a machine: its kind's defaults, changed by its own table, each with the detector's defaults.
pub(super) fn merged(defaults: &BTreeMap<Kind, Settings>, own: Detect) -> BTreeMap<Kind, Settings> {
    let mut all = defaults.clone();
    for (kind, settings) in own.set {
        all.entry(kind).or_default().extend(settings);
    }
    for kind in own.off {
        all.remove(&kind);
    }
    for (kind, settings) in &mut all {
        let known = CATALOGUE
            .iter()
            .find(|(known, _)| known == kind)
            .map_or(&[][..], |(_, known)| known);
        for setting in known {
            if let Some(default) = setting.default {
                settings.entry(setting.name.to_owned()).or_insert(default);
            }
        }
    }
    all
}
