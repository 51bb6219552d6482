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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at_ms(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn rhythm(every_ms: u64, due_ms: i64) -> Rhythm {
        Rhythm {
            every: Duration::from_millis(every_ms),
            due: at_ms(due_ms),
            reads: vec![],
        }
    }

    #[test]
    fn late_polls_skip_beats_and_keep_the_grid() {
        for (every_ms, due, now, expected_due, expected_skipped) in [
            (1000, 5000, 5000, 6000, 0),
            (1000, 5000, 5999, 6000, 0),
            (1000, 5000, 6000, 7000, 1),
            (1000, 5000, 8300, 9000, 3),
            (0, 5000, 8300, 9300, 0), // always due, but nothing left to read
        ] {
            let mut rhythm = rhythm(every_ms, due);
            let skipped = rhythm.begin(at_ms(now));
            assert_eq!(
                (rhythm.due, skipped),
                (at_ms(expected_due), expected_skipped),
                "due {due} now {now}"
            );
        }
    }

    #[test]
    fn a_rest_ends_on_the_grid() {
        for (every_ms, due, until, expected_due, expected_left_out) in [
            (1000, 5000, 4000, 5000, 0),
            (1000, 5000, 5000, 5000, 0),
            (1000, 5000, 6500, 7000, 2),
            (0, 5000, 6500, 6500, 0),
        ] {
            let mut rhythm = rhythm(every_ms, due);
            let left_out = rhythm.rest_until(at_ms(until));
            assert_eq!(
                (rhythm.due, left_out),
                (at_ms(expected_due), expected_left_out),
                "due {due} until {until}"
            );
        }
    }

    proptest! {
        #[test]
        fn polled_and_skipped_beats_are_all_beats(every_ms in 1_u64..5000, lates in prop::collection::vec(0_i64..20_000, 1..50)) {
            let mut rhythm = rhythm(every_ms, 0);
            let mut beats = 0;
            for late_ms in lates {
                let now = later_ms(rhythm.due, late_ms);
                beats += 1 + rhythm.begin(now);
                prop_assert!(rhythm.due > now);
                prop_assert!(ms_between(now, rhythm.due) <= every_ms as i64);
            }
            prop_assert_eq!(rhythm.due, at_ms((beats * every_ms) as i64));
        }
    }
}
