//! What a meter refuses: blocks asked for in parts, registers left out, all of them tried again.
//!
//! It decides no rest and knows no line. Invariants: a register counts as refused only while the meter gives others; what was
//! planned is tried again ever more seldom, whole blocks too, so that one bad moment splits none for good; a meter that
//! refuses everything is asked for its blocks and for one value alone, another each time, and for no more than that.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use tracing::{info, warn};

use super::{Block, Meter, of};
use crate::acquire::{
    Backoff,
    modbus::{Table, fault::Fault, plan::Read, schedule::later},
};

/// Data time after which what a meter refused is tried again: soon, for a gateway that was starting, then ever more seldom,
/// for a meter that may be configured or replaced one day.
const RETRY: Backoff = Backoff {
    first: Duration::from_secs(10),
    cap: Duration::from_hours(1),
};

/// A block that so many polls in a row found busy, while they were given others, is not busy but not to be had.
const BUSY_POLLS: u32 = 10;

/// What is not read as planned.
#[derive(Default)]
pub(super) struct Parts {
    /// First registers of points that the meter does not give.
    refused: BTreeSet<(Table, u16)>,
    /// Those of this poll that have not been told yet, each with its read and why.
    untold: Vec<(Read, Fault)>,
    /// Planned blocks that are asked for in parts.
    cut: BTreeSet<Block>,
    /// The block that was refused last and is asked for once more as it is.
    again: Option<Block>,
    /// Polls in a row in which a block was busy, until it is given.
    busy: BTreeMap<Block, u32>,
    retry_at: Option<Timestamp>,
    /// Retries in a row after which something was refused still.
    retries: u32,
    /// The meter gives none of its registers.
    is_all: bool,
}

impl Parts {
    /// Whether the meter refuses everything.
    pub(super) fn are_all_refused(&self) -> bool {
        self.is_all
    }

    /// Whether a block that was planned and refused is asked for once more as it is: a device may refuse for a moment only.
    pub(super) fn is_worth_another_try(&mut self, read: &Read) -> bool {
        let is_first = !self.is_all && self.again != Some(of(read));
        self.again = is_first.then(|| of(read));
        is_first
    }

    /// Whether a block that is busy once more will stay so; tried again later, it is believed at once.
    pub(super) fn stays_busy(&mut self, read: &Read) -> bool {
        let n_polls = self.busy.entry(of(read)).or_default();
        *n_polls += 1;
        !self.is_all && *n_polls >= BUSY_POLLS
    }
}

impl Meter {
    /// Whether a poll at this instant finds nothing left to ask for.
    pub(in super::super) fn asks_nothing(&self, at: Timestamp) -> bool {
        let mut due = self.rhythms.iter().filter(|rhythm| rhythm.due <= at);
        due.all(|rhythm| rhythm.reads.is_empty())
    }

    /// Takes note that a poll gave nothing: where registers were refused in it, so are all.
    pub(super) fn gives_nothing(&mut self) {
        self.parts.busy.clear();
        if self.parts.untold.is_empty() {
            return;
        }
        for (table, at) in std::mem::take(&mut self.parts.refused) {
            self.counts.mark_refused(table, at, 0.0); // the meter is away, not these
        }
        self.parts = Parts {
            is_all: true,
            ..Parts::default()
        };
    }

    /// Goes back to the reads as planned where that is due.
    pub(super) fn retry_planned_reads(&mut self, at: Timestamp) {
        self.parts.again = None;
        if self.parts.is_all {
            self.restore_planned_reads();
        } else if self.parts.retry_at.is_some_and(|retry_at| retry_at <= at) {
            self.parts.retries += 1;
            self.restore_planned_reads();
        }
    }

    fn restore_planned_reads(&mut self) {
        self.parts.retry_at = None;
        for (rhythm, planned) in self.rhythms.iter_mut().zip(&self.planned) {
            rhythm.reads.clone_from(&planned.reads);
        }
    }

    /// Goes back to the reads as planned, as if nothing had ever been refused lately.
    pub(super) fn begin_anew(&mut self) {
        self.parts.retries = 0;
        self.restore_planned_reads();
    }

    /// Ends the search for anything that the meter gives at all.
    pub(super) fn goes_on(&mut self) {
        if std::mem::take(&mut self.parts.is_all) {
            self.begin_anew();
        }
    }

    /// Replaces a refused block by its halves; one that holds a single value is left out and remembered.
    pub(super) fn take_apart(&mut self, nth: usize, block: usize, fault: &Fault) {
        let reads = &mut self.rhythms[nth].reads;
        let read = reads.remove(block);
        self.tried = Some(read.to_string());
        let halves = read.halves(&self.points);
        if self.parts.is_all {
            let sought = self.failures as usize % self.points.len();
            let half = halves.and_then(|halves| halves.into_iter().find(|half| half.points.contains(&sought)));
            reads.splice(block..block, half);
            return;
        }
        if let Some(halves) = halves {
            reads.splice(block..block, halves);
            let is_planned = self.planned[nth].reads.contains(&read);
            if is_planned && self.parts.cut.insert(of(&read)) && self.parts.retries == 0 {
                info!(meter = &*self.name, unit = self.unit, tried = %read, got = %fault, "the meter does not give a block and is asked for it in parts; `holes` can name what it does not have");
            }
        } else {
            self.parts.untold.push((read, fault.clone()));
        }
    }

    /// Says which registers the meter does not give beside others that it gives, and when what was planned is tried again.
    pub(super) fn tell_refused(&mut self, at: Timestamp) {
        let wait = RETRY.after(self.parts.retries + 1, &self.name);
        for (read, fault) in std::mem::take(&mut self.parts.untold) {
            let point = &self.points[read.points[0]];
            if self.parts.refused.insert((point.table, point.at)) {
                self.counts.refused.one();
                self.counts.mark_refused(point.table, point.at, 1.0);
                let quantity = point.quantity.name();
                warn!(meter = &*self.name, unit = self.unit, quantity, tried = %read, got = %fault, next_try = ?wait, "the meter does not give this register; its other values go on");
            }
        }
        if self.parts.retry_at.is_none() && !(self.parts.refused.is_empty() && self.parts.cut.is_empty()) {
            self.parts.retry_at = Some(later(at, wait));
        }
    }

    /// Forgets that registers were refused, or a block cut up, which have just been given.
    pub(super) fn has_again(&mut self, nth: usize, block: usize) {
        self.parts.again = None;
        let read = &self.rhythms[nth].reads[block];
        self.parts.busy.remove(&of(read));
        let mut is_news = self.parts.cut.remove(&of(read));
        for point in read.points.iter().map(|&point| &self.points[point]) {
            if self.parts.refused.remove(&(point.table, point.at)) {
                is_news = true;
                self.counts.mark_refused(point.table, point.at, 0.0);
                let quantity = point.quantity.name();
                info!(
                    meter = &*self.name,
                    unit = self.unit,
                    quantity,
                    "the meter gives this register again"
                );
            }
        }
        if is_news && self.parts.refused.is_empty() && self.parts.cut.is_empty() {
            self.parts.retries = 0;
        }
    }
}
