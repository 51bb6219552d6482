//! `off_hours_load`: a load left on outside working hours.
//!
//! A load is left on when it lies above `above_kw`, else above the limit below which the machine is in standby or off.
//! Avoidable is what lies above `above_kw` where somebody has set it, else above standby where the machine has one, else
//! all of it. From `production_from_kw` on the machine is producing: that is
//! overtime nobody declared, not a load left on. At the site only what no machine explains is judged.

use serde::{Deserialize, Serialize};

use super::{
    Detector, Piece, Setting, SettingForm, Tick, after,
    episode::{Account, Episode, Stay, Verdict},
    in_words, setting, setting_ms,
};
use crate::{
    finding::{Finding, Kind, Title},
    site::Machine,
    unit::rounded,
};

pub(super) const SETTINGS: &[Setting] = &[
    after(1800.0),
    Setting {
        name: "above_kw",
        form: SettingForm::Power,
        default: None,
        doc: "power above which load outside working hours is waste; unset: the machine's own limit of standby",
    },
    Setting {
        name: "production_from_kw",
        form: SettingForm::Power,
        default: None,
        doc: "power from which the machine is producing, so that its load is undeclared overtime and not waste",
    },
];

/// State of this detector at one machine.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct OffHoursLoad {
    episode: Episode,
    /// Power of the newest stretch that was judged, kW, and its end, ms.
    explained: Option<(f64, i64)>,
}

impl Detector for OffHoursLoad {
    fn take(&mut self, piece: &Piece, machine: &Machine) {
        let (verdict, explained_kw) = judge(piece, machine);
        self.explained = Some((explained_kw, piece.to_ms));
        self.episode
            .take(piece, verdict, setting_ms(machine, Kind::OffHoursLoad, "after"));
    }

    fn tick(&mut self, tick: &Tick<'_>, machine: &Machine, out: &mut Vec<Finding>) {
        self.episode.tick(tick, machine, |stay| account(stay, machine), out);
    }

    fn explained(&self) -> Option<(f64, i64)> {
        self.explained
    }
}

/// The limit between rest and a load left on, kW, and what is avoidable from there on is counted against, kW.
fn limits(machine: &Machine) -> Option<(f64, f64)> {
    match (setting(machine, Kind::OffHoursLoad, "above_kw"), &machine.states) {
        (Some(above_kw), _) => Some((above_kw, above_kw)),
        (None, Some(states)) => Some((states.standby_below_kw, states.standby_kw)),
        (None, None) => None,
    }
}

/// Power above which a load outside working hours is called left on, kW; `None` where that cannot be told.
pub(super) fn rest_limit_kw(machine: &Machine) -> Option<f64> {
    limits(machine).map(|(above_kw, _)| above_kw)
}

/// The verdict on a piece, and how much of its power is thereby explained.
fn judge(piece: &Piece, machine: &Machine) -> (Verdict, f64) {
    let (Some(is_open), Some((above_kw, base_kw))) = (piece.is_open, limits(machine)) else {
        return (Verdict::CannotTell, 0.0);
    };
    let kw = piece.kw - piece.explained_kw;
    if is_open || kw <= above_kw {
        return (Verdict::Fine, 0.0);
    }
    if setting(machine, Kind::OffHoursLoad, "production_from_kw").is_some_and(|from_kw| kw >= from_kw) {
        return (Verdict::Fine, kw);
    }
    (
        Verdict::Waste {
            kw: kw - base_kw,
            low_kw: kw - above_kw,
            high_kw: kw,
        },
        kw,
    )
}

fn account(stay: &Stay, machine: &Machine) -> Account {
    let (ko, en) = in_words(stay.until_ms - stay.since_ms);
    let kw = rounded(stay.mean_kw(), 1);
    let (above_kw, base_kw) = limits(machine).unwrap_or((0.0, 0.0));
    Account {
        kind: Kind::OffHoursLoad,
        why: vec![
            ("above_kw", above_kw),
            ("base_kw", base_kw),
            (
                "after_s",
                setting_ms(machine, Kind::OffHoursLoad, "after") as f64 / 1000.0,
            ),
        ],
        title: Title {
            ko: format!("{}: 가동 시간 외 {ko} 동안 {kw:.1} kW 켜져 있음", machine.name),
            en: format!("{}: left on at {kw:.1} kW for {en} outside working hours", machine.name),
        },
    }
}
