//! The site's knowledge of a meter, as its intervals need it, and of a sample: when it is due and what of it counts. It
//! looks up and decides nothing.

use std::borrow::Cow;

use jiff::SignedDuration;

use crate::{
    detect::meter_fault,
    interval::{Basis, GAP_PERIODS, Interval, Lengths, Patience, meter::is_impossible},
    quantity::{Form, Quantity},
    sample::{Name, Sample},
    site::{Machine, Site},
};

/// What the site's file lets expect of a meter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    max_kw: Option<f64>,
    patience: Patience,
}

impl Expected {
    pub(super) fn of(site: &Site, meter: &Name) -> Self {
        let place = site.machines.iter().position(|machine| machine.meter == *meter);
        Self {
            max_kw: max_kw(site, meter),
            patience: meter_fault::patience(place.map(|place| &site.machines[place])),
        }
    }
}

/// What is known of the meter at `index` beside its readings.
pub(super) fn basis(site: &Site, index: usize, expected: Expected) -> Basis<'_> {
    let meter = &site.meters[index];
    Basis {
        meter,
        max_kw: expected.max_kw,
        zone: &site.zone,
        lengths: lengths(site, meter.every),
        patience: expected.patience,
        days_off: &site.days_off,
    }
}

/// Highest power to expect of a meter, kW: the contract's of the main meter, else what all its machines are rated.
fn max_kw(site: &Site, meter: &Name) -> Option<f64> {
    if site.main_meter.as_ref() == Some(meter) {
        return site
            .contracts
            .iter()
            .map(|contract| contract.contract_kw)
            .reduce(f64::max);
    }
    let mut rated = site
        .machines
        .iter()
        .filter(|machine| machine.meter == *meter)
        .map(|machine| machine.rated_kw);
    let first_kw = rated.next()??;
    rated.try_fold(first_kw, |sum_kw, rated_kw| Some(sum_kw + rated_kw?))
}

pub(super) fn lengths(site: &Site, every: SignedDuration) -> Lengths {
    Lengths {
        interval_ms: site.demand_interval.as_millis() as i64,
        gap_ms: (every * GAP_PERIODS).as_millis() as i64,
    }
}

/// Whether intervals or power are made of it. Of other gauges only the newest is kept, for `Now`: all that a
/// thousand meters say in a minute would be forty megabytes.
pub(super) fn is_stepped(quantity: Quantity) -> bool {
    quantity == Quantity::ActivePower || quantity.row().form != Form::Gauge
}

/// A sample without readings that no power that can be makes: they are no load, as they are no energy.
pub(super) fn possible<'a>(sample: &'a Sample, basis: &Basis<'_>) -> Cow<'a, Sample> {
    if !sample.readings.iter().any(|reading| is_impossible(reading, basis)) {
        return Cow::Borrowed(sample);
    }
    let mut possible = sample.clone();
    possible.readings.retain(|reading| !is_impossible(reading, basis));
    Cow::Owned(possible)
}

/// Places of the machines that a meter measures.
pub(super) fn machines_of(machines: &[Machine], meter: &Name) -> Vec<usize> {
    (0..machines.len())
        .filter(|&index| machines[index].meter == *meter)
        .collect()
}

pub(super) fn sort_intervals(intervals: &mut [Interval]) {
    intervals.sort_by(|a, b| (a.start, &a.meter).cmp(&(b.start, &b.meter)));
}

/// When a sample's evidence is complete, ms; an instant counts from just after itself.
pub(super) fn due_ms(sample: &Sample, interval: SignedDuration) -> i64 {
    let fills = sample
        .readings
        .iter()
        .any(|reading| reading.quantity.row().form == Form::Delta);
    sample.at.as_millisecond() + if fills { interval.as_millis() as i64 } else { 1 }
}
