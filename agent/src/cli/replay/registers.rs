//! `registers.csv` of `replay`: what each register stood at first and last in each month, its end included, so that a figure
//! can be walked down to its readings without the recording.
//!
//! It judges nothing: a reading that was repaired away stands there as it was read. Bad readings are left out.

use std::{collections::BTreeMap, io, path::Path};

use energy::{Name, Quantity, Sample, Site, quantity::Form};
use jiff::{SignedDuration, Timestamp};

use crate::{cli::replay_intervals::local, report::Month};

/// A register's instant and what it stood at.
type At = (Timestamp, f64);

/// Month, meter and register → its first and its last reading.
#[derive(Debug, Default)]
pub(super) struct Ends(BTreeMap<(Month, Name, Quantity), (At, At)>);

impl Ends {
    pub(super) fn note(&mut self, site: &Site, sample: &Sample) {
        for reading in &sample.readings {
            if reading.quantity.row().form != Form::Counter || !reading.quality.is_trusted() {
                continue;
            }
            let (at, next) = (sample.at, (sample.at, reading.value));
            let key = |month| (month, sample.meter.clone(), reading.quantity);
            // The reading at a month's end closes it too.
            let closed = Month::of(at - SignedDuration::from_millis(1), &site.zone);
            let month = Month::of(at, &site.zone);
            if closed != month
                && let Some((_, last)) = self.0.get_mut(&key(closed))
            {
                *last = next;
            }
            let (first, last) = self.0.entry(key(month)).or_insert((next, next));
            if next.0 < first.0 {
                *first = next;
            }
            if next.0 >= last.0 {
                *last = next;
            }
        }
    }

    pub(super) fn write(&self, path: &Path, site: &Site) -> io::Result<()> {
        let mut csv = csv::Writer::from_path(path)?;
        csv.write_record([
            "month",
            "meter",
            "quantity",
            "first",
            "first_value",
            "last",
            "last_value",
        ])?;
        for ((month, meter, quantity), (first, last)) in &self.0 {
            csv.write_record([
                month.to_string(),
                meter.to_string(),
                quantity.name().to_owned(),
                local(first.0, &site.zone),
                first.1.to_string(),
                local(last.0, &site.zone),
                last.1.to_string(),
            ])?;
        }
        csv.flush()
    }
}
