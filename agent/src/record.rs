//! The main loop: when it commits and what counts as late.

use std::time::Duration;

/// Settings of the recorder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Longest wait before what has gathered is committed, wall time.
    pub commit_every: Duration,
    /// How long after an instant its samples may arrive before its tick is logged, data time.
    pub lateness: Duration,
}
