//! Power that a meter says beside its counter, minute by minute: the witness when the counter stands still.
//!
//! It never becomes energy. Invariant: the order in which readings come does not matter, so sums are whole numbers.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::point::{MINUTE_MS, hours};

/// Minutes remembered at most: a day, as long as intervals may be opened again.
const MINUTES: usize = 1500;
/// Power is a witness for the time between two minutes no further apart: read by the hour, one may be missing.
const SPAN_MS: i64 = 2 * 3_600_000;

/// Mean power of the last day's minutes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Load {
    minutes: VecDeque<Minute>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Minute {
    at_ms: i64,
    n_readings: u32,
    /// Sum of what was drawn, and of what was fed back, mW.
    import_mw: i64,
    export_mw: i64,
}

/// Which way the energy flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Import,
    Export,
}

impl Load {
    /// Notes a reading.
    pub(crate) fn note(&mut self, at_ms: i64, kw: f64) {
        let at_ms = at_ms.div_euclid(MINUTE_MS) * MINUTE_MS;
        let index = match self.minutes.back() {
            Some(last) if last.at_ms == at_ms => self.minutes.len() - 1,
            _ => {
                let index = self.minutes.partition_point(|minute| minute.at_ms < at_ms);
                if self.minutes.get(index).is_none_or(|minute| minute.at_ms != at_ms) {
                    let minute = Minute {
                        at_ms,
                        n_readings: 0,
                        import_mw: 0,
                        export_mw: 0,
                    };
                    self.minutes.insert(index, minute);
                }
                index
            }
        };
        let minute = &mut self.minutes[index];
        let mw = (kw * 1e6) as i64;
        minute.n_readings += 1;
        minute.import_mw += mw.max(0);
        minute.export_mw += (-mw).max(0);
        if self.minutes.len() > MINUTES {
            self.minutes.pop_front();
        }
    }

    /// Forgets the minutes before `before_ms`, but for the last of them.
    pub(crate) fn forget(&mut self, before_ms: i64) {
        let n_gone = self
            .minutes
            .partition_point(|minute| minute.at_ms + MINUTE_MS <= before_ms);
        self.minutes.drain(..n_gone.saturating_sub(1));
    }

    /// Whether no power is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.minutes.is_empty()
    }

    /// Whether power was heard in `[from, to)`.
    pub(crate) fn is_heard(&self, from_ms: i64, to_ms: i64) -> bool {
        let first = self
            .minutes
            .partition_point(|minute| minute.at_ms + MINUTE_MS <= from_ms);
        self.minutes.get(first).is_some_and(|minute| minute.at_ms < to_ms)
    }

    /// Whether power was heard in a minute that began in `[from, to)`.
    pub(crate) fn is_heard_since(&self, from_ms: i64, to_ms: i64) -> bool {
        self.is_heard(from_ms + MINUTE_MS, to_ms)
    }

    /// Energy that flowed in `[from, to)` at least, kWh: between two minutes heard, as much as the lower of both says. What
    /// began or ended in between is no witness. `None` when none was heard on both sides of any of it.
    pub(crate) fn energy_kwh(&self, from_ms: i64, to_ms: i64, flow: Flow) -> Option<f64> {
        let first = self.minutes.partition_point(|minute| minute.at_ms <= from_ms);
        let mut sum_kwh = None;
        let mut heard = self.minutes.range(first.saturating_sub(1)..);
        let mut from = heard.next()?;
        for to in heard {
            let both_ms = (from.at_ms.max(from_ms), to.at_ms.min(to_ms));
            if both_ms.1 > both_ms.0 && to.at_ms - from.at_ms <= SPAN_MS {
                *sum_kwh.get_or_insert(0.0) += from.kw(flow).min(to.kw(flow)) * hours(both_ms.1 - both_ms.0);
            }
            if to.at_ms >= to_ms {
                break;
            }
            from = to;
        }
        sum_kwh
    }
}

impl Minute {
    /// Its mean power, kW.
    fn kw(&self, flow: Flow) -> f64 {
        let mw = match flow {
            Flow::Import => self.import_mw,
            Flow::Export => self.export_mw,
        };
        mw as f64 / 1e6 / f64::from(self.n_readings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_a_witness_for_its_own_time_and_way() {
        let mut load = Load::default();
        let later = 9000;
        for (second, kw) in [
            (130, 30.0),
            (0, 10.0),
            (30, 20.0),
            (60, 40.0),
            (180, -6.0),
            (240, -8.0),
            (later, 5.0),
        ] {
            load.note(second * 1000, kw);
        }
        for (from_s, to_s, flow, expected) in [
            (0, 60, Flow::Import, Some(15.0 / 60.0)),
            (60, 120, Flow::Import, Some(30.0 / 60.0)),
            (0, 180, Flow::Import, Some(45.0 / 60.0)),
            (75, 90, Flow::Import, Some(30.0 / 240.0)),
            (120, 180, Flow::Export, Some(0.0)),
            (180, 240, Flow::Export, Some(6.0 / 60.0)),
            (240, later, Flow::Import, None),
            (later, later + 60, Flow::Import, None),
        ] {
            let kwh = load.energy_kwh(from_s * 1000, to_s * 1000, flow);
            assert_eq!(kwh, expected, "{from_s}..{to_s} {flow:?}");
        }
    }

    #[test]
    fn it_is_bounded() {
        let mut load = Load::default();
        (0..10_000).for_each(|minute| load.note(minute * MINUTE_MS, 1.0));
        assert_eq!(load.minutes.len(), MINUTES);
    }
}
