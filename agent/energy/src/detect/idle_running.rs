//! `idle_running`: a machine energised and not producing inside its working hours, for longer than a short stop.
//!
//! Avoidable is what it draws beyond standby, or beyond off where it has no standby; at most (90 %) all of it, at least
//! (10 %) what lies beyond the limit of its idle state. Outside working hours the same load is `off_hours_load`.
//! Source of the pattern: machine-tool states of ISO 14955-1; waiting times below `after` are tool changes and set-up.

use serde::{Deserialize, Serialize};

use super::{
    Detector, Piece, Setting, Tick, after,
    episode::{Account, Episode, Stay, Verdict},
    in_words, setting_ms,
};
use crate::{
    finding::{Finding, Kind, Title},
    now::MachineState,
    site::Machine,
    unit::rounded,
};

pub(super) const SETTINGS: &[Setting] = &[after(600.0)];

/// State of this detector at one machine.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct IdleRunning(Episode);

impl Detector for IdleRunning {
    fn take(&mut self, piece: &Piece, machine: &Machine) {
        let after_ms = setting_ms(machine, Kind::IdleRunning, "after");
        self.0.take(piece, judge(piece, machine), after_ms);
    }

    fn tick(&mut self, tick: &Tick<'_>, machine: &Machine, out: &mut Vec<Finding>) {
        self.0.tick(tick, machine, |stay| account(stay, machine), out);
    }
}

fn judge(piece: &Piece, machine: &Machine) -> Verdict {
    match (piece.state, &machine.states) {
        (Some(_), Some(_)) if piece.is_open == Some(false) => Verdict::Fine,
        (Some(MachineState::Idle), Some(limits)) => Verdict::Waste {
            kw: (piece.kw - limits.standby_kw).max(0.0),
            low_kw: (piece.kw - limits.standby_below_kw).max(0.0),
            high_kw: piece.kw,
        },
        (Some(_), _) => Verdict::Fine,
        (None, _) => Verdict::CannotTell,
    }
}

fn account(stay: &Stay, machine: &Machine) -> Account {
    let (ko, en) = in_words(stay.until_ms - stay.since_ms);
    let kw = rounded(stay.mean_kw(), 1);
    let standby_kw = machine.states.map_or(0.0, |limits| limits.standby_kw);
    Account {
        kind: Kind::IdleRunning,
        why: vec![
            ("standby_kw", standby_kw),
            (
                "running_from_kw",
                machine.states.map_or(0.0, |limits| limits.running_from_kw),
            ),
            (
                "after_s",
                setting_ms(machine, Kind::IdleRunning, "after") as f64 / 1000.0,
            ),
        ],
        title: Title {
            ko: format!("{}: 생산 없이 {ko} 동안 {kw:.1} kW로 공회전", machine.name),
            en: format!("{}: idling for {en} at {kw:.1} kW without producing", machine.name),
        },
    }
}
