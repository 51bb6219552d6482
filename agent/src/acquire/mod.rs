//! Meters in: what devices and brokers say becomes [`Sample`]s on one bounded channel to the recorder.
//!
//! It judges no value beyond "can this be real" and stores nothing. Invariants: a value is in its quantity's unit from
//! decoding on; what could not be read is absent, never repeated; nothing in here can write to a device.

pub mod csv;
pub mod modbus;
pub mod mqtt;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use energy::Sample;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

/// One sample on its way to the recorder.
#[derive(Debug)]
pub struct Incoming {
    /// What was read.
    pub sample: Sample,
    /// Answered once the sample is durable; dropped unanswered = not stored. `None` where nobody waits for it.
    pub stored: Option<oneshot::Sender<()>>,
}

/// The bounded way to the recorder; senders await room, so what was read is not thrown away.
pub type Intake = mpsc::Sender<Incoming>;

/// Where what a broker sends goes.
#[derive(Debug, Clone)]
pub struct Outlets {
    /// Samples.
    pub intake: Intake,
    /// Messages that cannot be read; `None` = they are only counted.
    pub dead_letters: Option<mpsc::Sender<IncomingLetter>>,
}

/// A message that could not become a sample, kept for a person to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Name of the broker it came from.
    pub source: String,
    /// Topic it was published under.
    pub topic: String,
    /// The message as it came; the first [`mqtt::DEAD_LETTER_BYTES`] of one that was too large.
    pub payload: Vec<u8>,
    /// Kind of reason, as in the counter `dropped_total`.
    pub label: &'static str,
    /// Why it was refused, for people.
    pub reason: String,
    /// Arrival, in data time.
    pub at: Timestamp,
}

/// One dead letter on its way to the store.
#[derive(Debug)]
pub struct IncomingLetter {
    /// What could not be read.
    pub letter: DeadLetter,
    /// Answered once the letter is durable; dropped unanswered = not kept. `None` where nobody waits for it.
    pub kept: Option<oneshot::Sender<()>>,
}

/// Ends when `settings` hold another value; without a sender, never.
async fn renewed<T>(settings: &mut watch::Receiver<T>) {
    if settings.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waiting times that double after each failure in a row, spread by up to a quarter so that many do not march in step.
///
/// The spread comes from a name, not from chance: the same run gives the same times.
#[derive(Debug, Clone, Copy)]
struct Backoff {
    first: Duration,
    cap: Duration,
}

impl Backoff {
    /// How long to wait after the `failures`-th failure in a row (1 = the first).
    fn after(self, failures: u32, name: &str) -> Duration {
        let doublings = failures.saturating_sub(1).min(16); // 2^16 × any first wait is above any cap here
        let full = self.first.saturating_mul(1 << doublings).min(self.cap);
        let mut hasher = DefaultHasher::new();
        (name, failures).hash(&mut hasher);
        let spread = (hasher.finish() % 1000) as f64 / 1000.0;
        full.mul_f64(1.0 - spread / 4.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_stay_within_a_quarter() {
        let backoff = Backoff {
            first: Duration::from_secs(2),
            cap: Duration::from_mins(1),
        };
        for (failures, full_s) in [(0, 2.0), (1, 2.0), (2, 4.0), (5, 32.0), (6, 60.0), (u32::MAX, 60.0)] {
            let wait_s = backoff.after(failures, "press-2").as_secs_f64();
            assert!(
                (full_s * 0.75..=full_s).contains(&wait_s),
                "{failures} failures: {wait_s} s"
            );
            assert_eq!(wait_s, backoff.after(failures, "press-2").as_secs_f64());
        }
    }
}
