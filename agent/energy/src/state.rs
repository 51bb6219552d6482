//! Off, standby, idle, running: told apart by power, with a dead band and a dwell time.
//!
//! It knows no shift and no waste. Invariant: the state of a stretch depends on the stretches before it only through
//! the dead band, so that a long stay is recognised however it began.

use serde::{Deserialize, Serialize};

use crate::{now::MachineState, power::Stretch, site::StateLimits};

/// A limit is left only when the power has gone this share of it beyond: a quantised or noisy reading at the limit
/// does not flap.
const DEAD_BAND: f64 = 0.05;
/// A state is shown once it has lasted this long: a tool change is not a stop.
const DWELL_MS: i64 = 60_000;

/// Follows one machine's state.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// State of the newest stretch, and since when.
    current: Option<(MachineState, i64)>,
    /// State that has lasted [`DWELL_MS`], and since when.
    shown: Option<(MachineState, i64)>,
}

impl State {
    /// The state during a stretch.
    pub(crate) fn take(&mut self, stretch: &Stretch, limits: &StateLimits) -> MachineState {
        let state = classify(stretch.kw, self.current.map(|(state, _)| state), limits);
        let since_ms = match self.current {
            Some((current, since_ms)) if current == state => since_ms,
            _ => stretch.from_ms,
        };
        self.current = Some((state, since_ms));
        if self.shown.is_none_or(|(shown, _)| shown != state) && stretch.to_ms - since_ms >= DWELL_MS {
            self.shown = Some((state, since_ms));
        }
        state
    }

    /// The state that people are shown beside the power `kw` of `at_ms`, and since when (ms): one that has lasted
    /// [`DWELL_MS`], unless the power already says another.
    pub(crate) fn shown(&self, kw: f64, at_ms: i64, limits: &StateLimits) -> (MachineState, i64) {
        let lasting = self.shown.or(self.current);
        let state = classify(kw, lasting.map(|(state, _)| state), limits);
        match lasting {
            Some((lasting, since_ms)) if lasting == state => (state, since_ms),
            _ => (state, at_ms),
        }
    }
}

/// The state at `kw`; a limit below the present state is lowered, one above it raised, by the dead band.
fn classify(kw: f64, present: Option<MachineState>, limits: &StateLimits) -> MachineState {
    let limit = |limit_kw: f64, above: MachineState| match present {
        Some(present) if present >= above => limit_kw * (1.0 - DEAD_BAND),
        Some(_) => limit_kw * (1.0 + DEAD_BAND),
        None => limit_kw,
    };
    if kw >= limit(limits.running_from_kw, MachineState::Running) {
        MachineState::Running
    } else if kw >= limit(limits.standby_below_kw, MachineState::Idle) {
        MachineState::Idle
    } else if kw >= limit(limits.off_below_kw, MachineState::Standby) {
        MachineState::Standby
    } else {
        MachineState::Off
    }
}

#[cfg(test)]
mod tests {
    use MachineState::{Idle, Off, Running, Standby};

    use super::*;

    const LIMITS: StateLimits = StateLimits {
        off_below_kw: 0.5,
        standby_below_kw: 2.0,
        running_from_kw: 10.0,
        standby_kw: 1.0,
    };

    fn check(kw: &[f64], expected: &[MachineState]) {
        let mut state = State::default();
        let states: Vec<_> = kw
            .iter()
            .enumerate()
            .map(|(i, &kw)| {
                let from_ms = i as i64 * 10_000;
                state.take(
                    &Stretch {
                        from_ms,
                        to_ms: from_ms + 10_000,
                        kw,
                    },
                    &LIMITS,
                )
            })
            .collect();
        assert_eq!(states, expected, "{kw:?}");
    }

    #[test]
    fn powers_tell_states_and_the_dead_band_holds_them() {
        check(&[0.1, 1.0, 5.0, 12.0], &[Off, Standby, Idle, Running]);
        check(
            &[12.0, 9.6, 10.4, 9.4, 10.4, 10.6],
            &[Running, Running, Running, Idle, Idle, Running],
        );
        check(&[5.0, 1.95, 1.8, 2.05], &[Idle, Idle, Standby, Standby]);
    }

    #[test]
    fn a_machine_without_standby_goes_from_off_to_idle() {
        let limits = StateLimits {
            standby_below_kw: 0.5,
            ..LIMITS
        };
        assert_eq!(classify(1.0, None, &limits), Idle);
    }

    #[test]
    fn the_word_agrees_with_the_power_and_its_time_outlasts_a_tool_change() {
        let mut state = State::default();
        for (from_s, to_s, kw) in [(0, 90, 12.0), (90, 120, 5.0), (120, 200, 12.0)] {
            let (from_ms, to_ms) = (from_s * 1000, to_s * 1000);
            state.take(&Stretch { from_ms, to_ms, kw }, &LIMITS);
        }
        assert_eq!(state.shown(12.0, 200_000, &LIMITS), (Running, 0));
        assert_eq!(state.shown(0.0, 200_000, &LIMITS), (Off, 200_000));
        state.take(
            &Stretch {
                from_ms: 200_000,
                to_ms: 270_000,
                kw: 5.0,
            },
            &LIMITS,
        );
        assert_eq!(state.shown(5.0, 270_000, &LIMITS), (Idle, 200_000));
    }
}
