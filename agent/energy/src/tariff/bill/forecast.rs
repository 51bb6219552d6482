//! Where the running bill will end: the rest of the period as the last weeks were on days of the same kind.
//!
//! It learns nothing else; a plant that changes its work will end elsewhere. Invariant: what has been measured is taken
//! as it is, and every quarter hour still to come is marked as not seen.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Bill, bills, notes, period::Period};
use crate::tariff::{Contract, DayKind, Usage, contract_at};

/// How far back days are looked at: four of each weekday.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(28 * 24);

/// The bill of the period that holds the last usage, as it will stand at its end, or stands if that is over; `None` without a price, or where a
/// time of day still to come was never seen.
pub fn project(contracts: &[Contract], usage: &[Usage]) -> Option<Bill> {
    let last = usage.last()?;
    let contract = contract_at(contracts, last.start)?;
    let period = Period::at(contracts, contract.local(last.start).date())?;
    let (_, end) = period.bounds(&contract.rules.zone);
    let seen = Seen::of(contract, usage, last.end() - LOOK_BACK);
    let mut whole = usage.to_vec();
    while whole.last().is_some_and(|row| row.end() < end) {
        let start = whole.last()?.end();
        whole.push(seen.like(contract, start, last.minutes)?);
    }
    let mut bill = bills(contracts, &whole).0.pop()?;
    if whole.len() > usage.len() {
        bill.complete = false;
        // What is not known yet is projected, and nothing of it is missing.
        bill.notes
            .retain(|note| note.code != "coverage" || usage.iter().any(|row| row.coverage < 1.0));
        bill.notes.push(notes::projected());
    }
    Some(bill)
}

/// Sums of what was seen at a time of day, by kind of day, and on any day.
struct Seen(BTreeMap<(Option<u8>, i32), Sums>);

#[derive(Default)]
struct Sums {
    energy: (f64, u32),
    lag: (f64, u32),
    lead: (f64, u32),
}

impl Seen {
    fn of(contract: &Contract, usage: &[Usage], from: Timestamp) -> Self {
        let mut seen = BTreeMap::<_, Sums>::new();
        for row in usage.iter().filter(|row| row.start >= from) {
            let (kind, minute) = time_of(contract, row.start);
            for key in [(Some(kind), minute), (None, minute)] {
                let sums = seen.entry(key).or_default();
                add(&mut sums.energy, row.energy_kwh);
                add(&mut sums.lag, row.lag_kvarh);
                add(&mut sums.lead, row.lead_kvarh);
            }
        }
        Self(seen)
    }

    /// What an interval that starts at `start` will be like.
    fn like(&self, contract: &Contract, start: Timestamp, minutes: u16) -> Option<Usage> {
        let (kind, minute) = time_of(contract, start);
        let of = |key| self.0.get(&key).filter(|sums| sums.energy.1 > 0);
        let sums = of((Some(kind), minute)).or_else(|| of((None, minute)))?;
        Some(Usage {
            start,
            minutes,
            energy_kwh: mean(sums.energy),
            lag_kvarh: mean(sums.lag),
            lead_kvarh: mean(sums.lead),
            coverage: 0.0,
            quality: crate::Quality::Ok,
        })
    }
}

/// Kind of day and minute of the day on the tariff's clock.
fn time_of(contract: &Contract, at: Timestamp) -> (u8, i32) {
    let local = contract.local(at);
    let kind = match contract.day_kind(local.date()) {
        DayKind::Working => 0,
        DayKind::Saturday => 1,
        DayKind::Sunday | DayKind::Holiday => 2,
    };
    (kind, i32::from(local.hour()) * 60 + i32::from(local.minute()))
}

fn add(sum: &mut (f64, u32), value: Option<f64>) {
    if let Some(value) = value {
        *sum = (sum.0 + value, sum.1 + 1);
    }
}

fn mean((sum, n): (f64, u32)) -> Option<f64> {
    (n > 0).then(|| sum / f64::from(n))
}
