//! Readings that cannot be real: remembered for their name's sake.
//!
//! Part of `series.rs`. Invariant: they are no energy, and give none.

use super::Series;
use crate::{
    interval::{
        point::{Point, timestamp},
        repair::{Repair, RepairKind},
    },
    quantity::Quantity,
};

/// Readings that cannot be real are remembered for being named: an hour of one each second.
const KEEP_SPOILED: usize = 3600;

impl Series {
    /// Notes a reading that cannot be real, of which the newest are remembered. The order of those of one instant is that
    /// of their bits.
    pub(crate) fn spoil(&mut self, at_ms: i64, value: f64) {
        let key = |point: &Point| (point.0, point.1.to_bits());
        if let Err(index) = self.bad.binary_search_by_key(&(at_ms, value.to_bits()), key) {
            self.bad.insert(index, (at_ms, value));
            self.bad.drain(..self.bad.len().saturating_sub(KEEP_SPOILED));
        }
    }

    /// Instants of the first and the last of them.
    pub(crate) fn bad_ms(&self) -> Option<(i64, i64)> {
        Some((self.bad.first()?.0, self.bad.last()?.0))
    }

    /// The name of what in `[from, to)` cannot be real.
    pub(crate) fn spoilt(&self, from: i64, to: i64, quantity: Quantity) -> Option<Repair> {
        let place = |ms: i64| self.bad.partition_point(|point| point.0 < ms);
        let bad = &self.bad[place(from)..place(to)];
        let (first, last) = (bad.first()?, bad.last()?);
        let before = self.points.partition_point(|point| point.0 < first.0).checked_sub(1);
        let furthest =
            bad.iter().map(|point| point.1).reduce(
                |furthest, value| {
                    if value.abs() > furthest.abs() { value } else { furthest }
                },
            );
        Some(Repair {
            kind: RepairKind::OutOfRange,
            quantity,
            since: timestamp(first.0),
            until: timestamp(last.0),
            before: before.map_or(last.1, |before| self.points[before].1),
            after: last.1,
            amount: None,
            why: [
                ("n_readings".to_owned(), bad.len() as f64),
                ("furthest".to_owned(), furthest.unwrap_or(last.1)),
            ]
            .into(),
        })
    }
}
