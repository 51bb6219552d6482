//! When the reads of one rhythm are due, in data time. Pure: the instant is handed in.
//!
//! It does not know the line or what a read costs. Invariants: after a poll the next beat lies after it, on the grid of
//! the first one; beats that passed meanwhile are told and never made up for, so polls do not bunch.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::plan::Read;

/// How soon a rhythm whose registers have all been refused is looked at again although it should run without pause.
const PAUSE_WITHOUT_READS: Duration = Duration::from_secs(1);

/// Reads of one meter that are due together.
#[derive(Debug, Clone)]
pub(super) struct Rhythm {
    /// Data time from one beat to the next; zero = always due.
    pub(super) every: Duration,
    /// The next beat.
    pub(super) due: Timestamp,
    /// What is read on each beat.
    pub(super) reads: Vec<Read>,
}

impl Rhythm {
    /// The poll of the current beat starts at `now`; returns how many earlier beats passed without a poll.
    pub(super) fn begin(&mut self, now: Timestamp) -> u64 {
        let every_ms = self.every.as_millis() as i64;
        if every_ms == 0 {
            let pause = if self.reads.is_empty() {
                PAUSE_WITHOUT_READS
            } else {
                Duration::ZERO
            };
            self.due = later(now, pause);
            return 0;
        }
        let passed = ms_between(self.due, now).max(0) / every_ms;
        self.due = later_ms(self.due, (passed + 1).saturating_mul(every_ms));
        passed as u64
    }

    /// Leaves out every beat before `until`; returns how many that were.
    pub(super) fn rest_until(&mut self, until: Timestamp) -> u64 {
        let wait_ms = ms_between(self.due, until);
        if wait_ms <= 0 {
            return 0;
        }
        let every_ms = (self.every.as_millis() as i64).max(1);
        let beats = (wait_ms + every_ms - 1) / every_ms;
        self.due = later_ms(self.due, beats.saturating_mul(every_ms));
        if self.every.is_zero() { 0 } else { beats as u64 }
    }

    /// Mends a beat that a clock set back has pushed out of reach: no beat is further away than a period and `rest`.
    pub(super) fn keep_within(&mut self, now: Timestamp, rest: Duration) {
        if self.due > later(later(now, self.every), rest) {
            self.due = now;
        }
    }
}

fn ms_between(from: Timestamp, to: Timestamp) -> i64 {
    to.as_millisecond() - from.as_millisecond()
}

fn later_ms(at: Timestamp, ms: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_millis(ms))
        .unwrap_or(Timestamp::MAX)
}

/// `wait` after `at`, or the last instant there is.
pub(super) fn later(at: Timestamp, wait: Duration) -> Timestamp {
    later_ms(at, i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}
