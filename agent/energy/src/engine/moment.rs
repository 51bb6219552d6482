//! The running moment, told from the engine's state: [`Now`] for pages, the running demand interval for detectors.
//!
//! It changes nothing. Invariant: what it says of a machine is what the detectors have been shown.

use jiff::SignedDuration;

use super::{Engine, MeterState, basis, due_ms, lengths};
use crate::{
    detect::demand_peak,
    interval::{
        Basis,
        point::{hours, timestamp},
    },
    now::{DemandNow, EnergyNow, MachineNow, MeterNow, Now},
    power::Stretch,
    quantity::Quantity,
    sample::Name,
    site::{Machine, MachineKind},
    tariff::contract_at,
};

/// The forecast follows the power of this last stretch: shorter is a start-up, longer hides a change.
const FORECAST_MS: i64 = 60_000;

impl Engine {
    /// The running moment, samples not yet stepped through included.
    pub fn now(&self) -> Option<Now> {
        let at_ms = self.state.newest_ms.max(self.state.tick_ms)?;
        let demand = self.demand(self.state.tick_ms.unwrap_or(at_ms));
        let demand = demand.map(|(demand, _)| demand);
        Some(Now {
            at: timestamp(at_ms),
            today: self.today(self.state.tick_ms.unwrap_or(at_ms)),
            demand,
            meters: self
                .site
                .meters
                .iter()
                .filter_map(|meter| self.meter_now(&meter.name, meter.every, at_ms))
                .collect(),
            machines: self
                .site
                .machines
                .iter()
                .map(|machine| self.machine_now(machine, at_ms))
                .collect(),
        })
    }

    /// Closed intervals since local midnight, and what is known since the last of them closed.
    fn today(&self, at_ms: i64) -> Option<EnergyNow> {
        let name = self.site.main_meter.as_ref()?;
        let meter = self.state.meters.get(name)?;
        let index = *self.meter_index.get(name)?;
        let basis = basis(&self.site, index, self.expected[index]);
        let day = self.site.zone.to_datetime(timestamp(at_ms)).date();
        let midnight = self
            .site
            .zone
            .to_timestamp(day.to_datetime(jiff::civil::Time::midnight()))
            .ok()?;
        let midnight_ms = midnight.as_millisecond();
        let mut energy_kwh = 0.0;
        let mut covered_ms = 0.0;
        if self.state.today.day == Some(day) {
            energy_kwh = self.state.today.intervals.values().map(|(kwh, _)| kwh).sum();
            let coverage: f64 = self.state.today.intervals.values().map(|(_, coverage)| coverage).sum();
            covered_ms = coverage * basis.lengths.interval_ms as f64;
        }
        if let (Some(open_ms), false) = (meter.intervals.open_ms(), meter.intervals.is_by_interval()) {
            let part = meter.intervals.between(open_ms.max(midnight_ms), at_ms, &basis);
            energy_kwh += part.amount.unwrap_or(0.0);
            covered_ms += part.covered_ms as f64;
        }
        let passed_ms = (at_ms - midnight_ms).max(1) as f64;
        Some(EnergyNow {
            energy_kwh,
            coverage: (covered_ms / passed_ms).min(1.0),
        })
    }

    fn meter_now(&self, name: &Name, every: SignedDuration, at_ms: i64) -> Option<MeterNow> {
        let state = self.state.meters.get(name)?;
        let newest = state.newest.as_ref()?;
        let power_kw = newest.trusted(Quantity::ActivePower).or_else(|| state.power.kw());
        Some(MeterNow {
            meter: name.clone(),
            at: newest.at,
            readings: newest.readings.clone(),
            power_kw,
            is_stale: newest.is_stale()
                || at_ms - due_ms(newest, self.site.demand_interval) > lengths(&self.site, every).gap_ms,
        })
    }

    fn machine_now(&self, machine: &Machine, at_ms: i64) -> MachineNow {
        let meter = self.site.meters.iter().find(|meter| meter.name == machine.meter);
        let meter_now = meter.and_then(|meter| self.meter_now(&meter.name, meter.every, at_ms));
        let live = meter_now.filter(|meter| !meter.is_stale);
        let shown = live.as_ref().and_then(|live| {
            let stateful = self.state.machines.get(&machine.name)?;
            Some(
                stateful
                    .state
                    .shown(live.power_kw?, live.at.as_millisecond(), machine.states.as_ref()?),
            )
        });
        MachineNow {
            machine: machine.name.clone(),
            meter: machine.meter.clone(),
            state: shown.map(|(state, _)| state),
            since: shown.map(|(_, since_ms)| timestamp(since_ms)),
            power_kw: live.and_then(|meter| meter.power_kw),
            is_working_time: machine.hours.as_ref().map(|hours| hours.at(timestamp(at_ms)).is_open),
        }
    }

    /// The main meter's interval that runs at `at_ms`, as known from what was stepped through, and by how much its
    /// forecast may be off, kW.
    pub(super) fn demand(&self, at_ms: i64) -> Option<(DemandNow, f64)> {
        let name = self.site.main_meter.as_ref()?;
        let meter = self.state.meters.get(name)?;
        if meter.intervals.is_by_interval() {
            return None;
        }
        let index = *self.meter_index.get(name)?;
        let basis = basis(&self.site, index, self.expected[index]);
        let start_ms = basis.start_of(at_ms);
        let end_ms = basis.end_of(start_ms);
        let energy_kwh = meter
            .intervals
            .between(start_ms, at_ms, &basis)
            .amount
            .or(meter.recent(at_ms).map(|_| 0.0))?;
        let start = timestamp(start_ms);
        let site_machine = self
            .site
            .machines
            .iter()
            .find(|machine| machine.kind == MachineKind::Site);
        let target_kw = site_machine.and_then(|machine| demand_peak::target(machine, &self.site, start));
        let forecast = meter.forecast(&basis, (start_ms, at_ms), target_kw);
        let now = DemandNow {
            start,
            end: timestamp(end_ms),
            energy_kwh,
            demand_kw: energy_kwh / hours(end_ms - start_ms),
            forecast_kw: forecast.map(|forecast| forecast.kw),
            target_kw,
            contract_kw: contract_at(&self.site.contracts, start).map(|contract| contract.contract_kw),
        };
        Some((now, forecast.map_or(0.0, |forecast| forecast.error_kw)))
    }
}

impl MeterState {
    pub(super) fn note(&mut self, stretch: &Stretch) {
        self.recent
            .retain(|(end_ms, _, _)| *end_ms > stretch.to_ms - FORECAST_MS);
        self.recent
            .push((stretch.to_ms, stretch.to_ms - stretch.from_ms, stretch.kw));
    }

    /// Mean power of the last [`FORECAST_MS`] before `at_ms`, kW, and the time it is of, ms; `None` when nothing was heard
    /// in it.
    fn recent(&self, at_ms: i64) -> Option<(f64, i64)> {
        let heard = || {
            self.recent
                .iter()
                .filter(|(end_ms, _, _)| *end_ms > at_ms - 2 * FORECAST_MS)
        };
        let length_ms: i64 = heard().map(|(_, length_ms, _)| length_ms).sum();
        let energy: f64 = heard().map(|(_, length_ms, kw)| kw * *length_ms as f64).sum();
        (length_ms > 0).then(|| (energy / length_ms as f64, length_ms))
    }

    /// Where the interval that began at `start_ms` will end, if power goes on: what was used up to the end of the newest
    /// stretch of power, and that power from there on. The power is that of the last minute; that of a counter is taken
    /// over as many minutes more, up to the interval's length, as it takes until the counter's step no longer decides on
    /// which side of the target the forecast lies: a counter tells power to its step ÷ time.
    fn forecast(&self, basis: &Basis<'_>, (start_ms, at_ms): (i64, i64), target_kw: Option<f64>) -> Option<Forecast> {
        // What has been used so far is not sure while a leap of the register may be taken back.
        if self.intervals.leapt_ms().is_some_and(|leapt_ms| leapt_ms >= start_ms) {
            return None;
        }
        let interval_ms = basis.end_of(start_ms) - start_ms;
        let until_ms = self.power.until_ms()?;
        let used_ms = until_ms.clamp(start_ms, at_ms);
        // Nothing is known where the stretch ended before the interval began.
        let energy_kwh = self.intervals.between(start_ms, used_ms, basis).amount.unwrap_or(0.0);
        let left_ms = start_ms + interval_ms - used_ms;
        let step_kwh = self.power.step_kwh();
        let forecast = |(kw, error_kw): (f64, f64)| Forecast {
            kw: (energy_kwh + kw.max(0.0) * hours(left_ms)) / hours(interval_ms),
            error_kw: (step_kwh + error_kw * hours(left_ms)) / hours(interval_ms),
        };
        let (recent_kw, recent_ms) = self.recent(at_ms)?;
        if !self.power.is_counted() {
            return Some(forecast((recent_kw, 0.0)));
        }
        let is_far = |forecast: &Forecast| (forecast.kw - target_kw.unwrap_or(0.0)).abs() > forecast.error_kw;
        let mut best = forecast((recent_kw, step_kwh / hours(recent_ms)));
        let mut length_ms = recent_ms + FORECAST_MS;
        while !is_far(&best) && length_ms <= interval_ms {
            let part = self.intervals.between(until_ms - length_ms, until_ms, basis);
            let Some(counted_kwh) = part.amount.filter(|_| part.covered_ms >= length_ms) else {
                break;
            };
            best = forecast((counted_kwh / hours(length_ms), step_kwh / hours(length_ms)));
            length_ms += FORECAST_MS;
        }
        Some(best)
    }
}

/// A demand to come, and by how much the register's step may make it another, kW.
#[derive(Clone, Copy)]
struct Forecast {
    kw: f64,
    error_kw: f64,
}
