//! Labels on a clock that is set forward and back: which instant they mean, and which they cannot.
//!
//! It knows no files. Invariants: a label that the clock never showed is refused; one that it showed twice is the earlier
//! until its meter's rows go back over the same labels, as those of a logger do when its clock is set back. Where the
//! rows do not tell, it is refused.

use std::collections::{BTreeMap, BTreeSet};

use energy::sample::Name;
use jiff::{
    SignedDuration, Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};

use super::Marks;

/// How to write times so that each means one instant.
const MEND: &str = "write times with their offset (%:z in \"format\"), or in UTC (zone = \"UTC\")";

/// The hours that clocks showed twice, as far as rows have been read.
#[derive(Default)]
pub(super) struct Folds(BTreeMap<Name, Run>);

/// A meter's labels of such an hour, in its first or second run.
#[derive(Default)]
struct Run {
    last: DateTime,
    seen: BTreeSet<DateTime>,
    is_second: bool,
}

impl Folds {
    /// The instant of a meter's next label.
    pub(super) fn instant(
        &mut self,
        meter: &Name,
        local: DateTime,
        zone: &TimeZone,
        marks: Marks,
    ) -> Result<Timestamp, String> {
        let ambiguous = zone.to_ambiguous_timestamp(local);
        let name = || zone.iana_name().unwrap_or("the zone").to_owned();
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => {
                if !self.0.is_empty() {
                    self.0.remove(meter);
                }
                ambiguous.compatible().map_err(|error| error.to_string())
            }
            AmbiguousOffset::Gap { .. } => {
                let later = ambiguous.later().map_err(|error| error.to_string())?;
                // The end of the last interval before the gap may be called by either clock.
                let is_edge = zone.to_offset(later) != zone.to_offset(later - SignedDuration::from_nanos(1));
                if is_edge && marks == Marks::IntervalEnd {
                    return Ok(later);
                }
                let name = name();
                Err(format!(
                    "no clock of {name} showed it, because clocks were set forward over it; {MEND}"
                ))
            }
            AmbiguousOffset::Fold { .. } => {
                let run = self.0.entry(meter.clone()).or_default();
                if !run.goes_on(local) {
                    let name = name();
                    return Err(format!(
                        "the clocks of {name} showed it twice, because they were set back, and the order of rows does not \
                         tell which is meant; {MEND}"
                    ));
                }
                let instant = if run.is_second {
                    ambiguous.later()
                } else {
                    ambiguous.earlier()
                };
                instant.map_err(|error| error.to_string())
            }
        }
    }
}

impl Run {
    /// Takes the next label; false where it may be of either run.
    fn goes_on(&mut self, local: DateTime) -> bool {
        let is_new = self.seen.insert(local);
        // An hourly logger shows the hour's only label twice in a row.
        let is_back = local < self.last || local == self.last && self.seen.len() == 1;
        let is_same = local == self.last && !is_back;
        self.last = local;
        if is_new || is_same {
            return true;
        }
        if self.is_second || !is_back {
            return false;
        }
        (self.is_second, self.seen) = (true, [local].into());
        true
    }
}
