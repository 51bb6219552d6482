//! The first reading of recordings: can every row be read, is its meter known, how often was each meter read.
//!
//! It writes nothing. Invariant: when it is content, the second reading meets no error.

use std::{collections::BTreeMap, path::PathBuf};

use energy::{Name, Reading, Site, interval::begins_at, quantity::Form};
use jiff::SignedDuration;

use crate::{
    acquire::csv::{Mapping, Order, Row},
    cli::replay_intervals::local,
    config::suggest,
};

/// Rows listed when they cannot be read, and meters when they are unknown; the number of the others is said.
const LISTED: usize = 200;

/// The usual step between the rows of each meter, or why nothing can be replayed. Rows that cannot be read, and meters
/// that the site does not have, are named on standard error.
pub(super) fn steps(
    paths: &[PathBuf],
    mapping: Option<&Mapping>,
    site: &Site,
) -> Result<BTreeMap<Name, SignedDuration>, String> {
    let mut errors = Vec::new();
    let mut steps = Steps::default();
    let mut unknown = Unknown::of(site);
    let mut n_rows = 0;
    for path in paths {
        let rows = match super::open(path, mapping) {
            Ok(rows) => rows,
            Err(found) => {
                errors.extend(found);
                continue;
            }
        };
        for row in rows {
            n_rows += 1;
            match row {
                Ok(row) => {
                    errors.extend(off_grid(site, &row).map(|why| format!("{}: {why}", path.display())));
                    unknown.note(&row.sample.meter);
                    steps.note(&row);
                }
                Err(found) => errors.extend(found.iter().map(|error| format!("{}: {error}", path.display()))),
            }
        }
    }
    if !errors.is_empty() {
        return Err(listed(&errors));
    }
    if n_rows == 0 {
        return Err("the recordings have headings and no rows; nothing was written".into());
    }
    unknown.tell();
    if unknown.n_rows() == n_rows {
        return Err("no row is of a meter of the configuration; nothing was written".into());
    }
    Ok(steps.usual())
}

/// Energy of an interval that begins where no demand interval of the site does: it could be counted nowhere.
fn off_grid(site: &Site, row: &Row) -> Option<String> {
    let is_delta = |reading: &Reading| reading.quantity.row().form == Form::Delta;
    let reading = row.sample.readings.iter().find(|reading| is_delta(reading))?;
    let is_known = site.meters.iter().any(|meter| meter.name == row.sample.meter);
    (is_known && !begins_at(site, row.sample.at)).then(|| {
        format!(
            "{} of {} at {}: no demand interval of {} min begins there; see demand_interval of [site], or time.marks of \
             the mapping",
            reading.quantity,
            row.sample.meter,
            local(row.sample.at, &site.zone),
            site.demand_interval.as_mins()
        )
    })
}

/// Lists the errors; the sentence that sums them up.
fn listed(errors: &[String]) -> String {
    for error in errors.iter().take(LISTED) {
        eprintln!("error: {error}");
    }
    let what = match errors.len() {
        1 => "1 cell or row cannot be read".to_owned(),
        n => format!("{n} cells or rows cannot be read"),
    };
    let more = match errors.len().saturating_sub(LISTED) {
        0 => String::new(),
        n => format!(" ({n} more are not listed)"),
    };
    format!("{what}{more}; nothing was written")
}

/// Rows of meters that the site does not have.
struct Unknown<'a> {
    site: &'a Site,
    rows: BTreeMap<Name, u64>,
}

impl<'a> Unknown<'a> {
    fn of(site: &'a Site) -> Self {
        Self {
            site,
            rows: BTreeMap::new(),
        }
    }

    fn note(&mut self, meter: &Name) {
        if !self.site.meters.iter().any(|known| known.name == *meter) {
            *self.rows.entry(meter.clone()).or_default() += 1;
        }
    }

    fn n_rows(&self) -> u64 {
        self.rows.values().sum()
    }

    fn tell(&self) {
        for (meter, n) in self.rows.iter().take(LISTED) {
            let rows = if *n == 1 {
                "1 row".to_owned()
            } else {
                format!("{n} rows")
            };
            let known = self.site.meters.iter().map(|known| &*known.name);
            let help = suggest::help(meter, known).map_or(String::new(), |help| format!("; {}", help.en));
            eprintln!("warning: {rows} of {meter:?} left out: the configuration has no such meter{help}");
        }
        let n_more = self.rows.len().saturating_sub(LISTED);
        if n_more > 0 {
            eprintln!("warning: {n_more} more meters are unknown");
        }
    }
}

/// Keeps the times of a meter's rows, to learn how often it was read. An export of our own log is left as it is:
/// it replays to what was lived with the configuration it was lived with.
#[derive(Default)]
struct Steps {
    times_ms: BTreeMap<Name, Vec<i64>>,
    n_times: usize,
}

/// Times that are kept to learn the steps by, 64 MB of them: the rows of a recording may stand in any order.
const MOST_TIMES: usize = 8_000_000;

impl Steps {
    fn note(&mut self, row: &Row) {
        if row.order == Order::ByTime && self.n_times < MOST_TIMES {
            let times_ms = self.times_ms.entry(row.sample.meter.clone()).or_default();
            times_ms.push(row.sample.at.as_millisecond());
            self.n_times += 1;
        }
    }

    /// The median step of each meter.
    fn usual(self) -> BTreeMap<Name, SignedDuration> {
        let usual = |(meter, mut times_ms): (Name, Vec<i64>)| {
            times_ms.sort_unstable();
            times_ms.dedup();
            let mut steps_ms: Vec<i64> = times_ms.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let middle = steps_ms.len().checked_sub(1)? / 2;
            let (_, median_ms, _) = steps_ms.select_nth_unstable(middle);
            Some((meter, SignedDuration::from_millis(*median_ms)))
        };
        self.times_ms.into_iter().filter_map(usual).collect()
    }
}
