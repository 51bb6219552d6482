//! The only file that asks the system for the time. Two clocks, handed in everywhere else.
//!
//! *Data time* stamps samples and drives `every` and ticks; in the demo it runs faster than the wall. *Monotonic wall
//! time* drives sockets, time-outs, back-off and commits. Invariant: data time of one `Clock` never goes backwards by
//! itself when scaled; the system's clock may, and the recorder judges that.

#![allow(clippy::disallowed_methods, reason = "this is the file where they are allowed")]

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// Source of data time.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Scaled {
        start: Timestamp,
        origin: Instant,
        speed: f64,
    },
}

impl Clock {
    /// The system's clock: data time is the time of day.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// Data time that begins at `start` now and runs `speed` times as fast as the wall.
    pub fn scaled(start: Timestamp, speed: f64) -> Self {
        Self(Source::Scaled {
            start,
            origin: Instant::now(),
            speed,
        })
    }

    /// Data time now, in whole milliseconds.
    pub fn now(&self) -> Timestamp {
        let at = match &self.0 {
            Source::System => Timestamp::now(),
            Source::Scaled { start, origin, speed } => {
                let elapsed_ms = origin.elapsed().as_secs_f64() * speed * 1000.0;
                *start + jiff::SignedDuration::from_millis(elapsed_ms as i64)
            }
        };
        truncated_to_ms(at)
    }

    /// How many times as fast as the wall data time runs.
    pub fn speed(&self) -> f64 {
        match self.0 {
            Source::System => 1.0,
            Source::Scaled { speed, .. } => speed,
        }
    }

    /// How long a stretch of data time lasts on the wall.
    pub fn wall(&self, data: Duration) -> Duration {
        data.div_f64(self.speed())
    }

    /// Sleeps until data time has reached `at`; returns at once when it has.
    pub async fn sleep_until(&self, at: Timestamp) {
        let left = at.duration_since(self.now());
        if left.is_positive() {
            tokio::time::sleep(self.wall(left.unsigned_abs())).await;
        }
    }
}

/// Monotonic wall time.
pub fn monotonic() -> Instant {
    Instant::now()
}

/// `at` without what lies below a millisecond: the precision of every instant in the product.
pub fn truncated_to_ms(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).expect("a timestamp's own milliseconds are in range")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn scaled_time_runs_by_its_factor_and_sleeps_by_it() {
        let start: Timestamp = "2026-08-28T08:10:00Z".parse().expect("valid");
        let clock = Clock::scaled(start, 60.0);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(clock.now().duration_since(start).as_secs(), 60);
        let before = monotonic();
        clock.sleep_until(start + jiff::SignedDuration::from_secs(180)).await;
        assert_eq!(before.elapsed().as_secs(), 2);
    }
}
