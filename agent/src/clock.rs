//! The only file that asks the system for the time. Two clocks, handed in everywhere else.
//!
//! *Data time* stamps samples and drives `every` and ticks; in the demo it runs faster than the wall. *Monotonic wall
//! time* drives sockets, time-outs, back-off and commits. Invariant: data time of one `Clock` never goes backwards and
//! never stands still. Where the system's clock steps back, data time goes on at half speed until that clock has caught
//! up; where it steps forward, data time leaps with it. [`Clock::trust`] says so, and the recorder judges what follows.

#![allow(clippy::disallowed_methods, reason = "this is the file where they are allowed")]

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The system's clock is believed this far: a daemon that keeps time steps only by more than 128 ms, and 2 s move a
/// quarter hour's demand by 0.2 %.
pub const STEP: SignedDuration = SignedDuration::from_secs(2);

/// 2026-01-01: no computer that runs this program is in an earlier year. A clock that says so has lost its time: it begins
/// at 1970 or 2000 where no battery keeps it.
const WRITTEN: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// Data time that is ahead of the system's clock runs this many times slower than the wall.
const SLOWED: i32 = 2;

/// Source of data time.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    Following(Arc<Following>),
    Scaled {
        start: Timestamp,
        origin: Instant,
        speed: f64,
    },
}

/// A time of day that may be set, and data time that follows it.
struct Following {
    time_of_day: Box<dyn Fn() -> Timestamp + Send + Sync>,
    hand: Mutex<Hand>,
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Following").field(&self.hand).finish()
    }
}

/// Where data time stood when it was last asked for.
#[derive(Debug)]
struct Hand {
    at: Timestamp,
    asked: Instant,
    trust: Trust,
}

/// How far data time can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trust {
    /// How far data time is ahead of the time of day; zero while it follows.
    pub ahead: SignedDuration,
    /// How often the time of day stepped back by more than [`STEP`].
    pub steps_back: u64,
    /// How often data time leapt forward by more than [`STEP`].
    pub leaps: u64,
    /// Data time at the end of the last leap.
    pub leapt_at: Option<Timestamp>,
    /// Data time lies before this program was written: no clock has been set yet.
    pub is_lost: bool,
}

impl Hand {
    fn new(time_of_day: Timestamp) -> Self {
        Self {
            at: time_of_day,
            asked: Instant::now(),
            trust: Trust::default(),
        }
    }

    /// Follows the time of day, but never slower than half the wall.
    fn follow(&mut self, time_of_day: Timestamp) -> Timestamp {
        let now = Instant::now();
        let elapsed = SignedDuration::try_from(now - self.asked).unwrap_or(SignedDuration::MAX);
        let behind = |of: Timestamp| of.duration_since(time_of_day);
        let was_ahead = self.trust.ahead;
        let steady = self.at.saturating_add(elapsed).unwrap_or(Timestamp::MAX);
        let slowed = self.at.saturating_add(elapsed / SLOWED).unwrap_or(Timestamp::MAX);
        if behind(steady) - was_ahead > STEP {
            self.trust.steps_back += 1;
        }
        if -behind(steady) > STEP {
            self.trust.leaps += 1;
            self.trust.leapt_at = Some(truncated_to_ms(time_of_day));
        }
        self.at = slowed.max(time_of_day);
        self.asked = now;
        self.trust.ahead = behind(self.at);
        self.trust.is_lost = self.at < WRITTEN;
        self.at
    }
}

impl Clock {
    /// The system's clock: data time is the time of day.
    pub fn system() -> Self {
        Self::following(Timestamp::now)
    }

    /// Data time that follows `time_of_day`, which may be set at any moment.
    pub fn following(time_of_day: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        let hand = Mutex::new(Hand::new(time_of_day()));
        let time_of_day = Box::new(time_of_day);
        Self(Source::Following(Arc::new(Following { time_of_day, hand })))
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
            Source::Following(following) => following.hand().follow((following.time_of_day)()),
            Source::Scaled { start, origin, speed } => {
                let elapsed_ms = origin.elapsed().as_secs_f64() * speed * 1000.0;
                *start + SignedDuration::from_millis(elapsed_ms as i64)
            }
        };
        truncated_to_ms(at)
    }

    /// How far data time can be trusted, as of the last time it was asked for.
    pub fn trust(&self) -> Trust {
        match &self.0 {
            Source::Following(following) => following.hand().trust,
            Source::Scaled { .. } => Trust::default(),
        }
    }

    /// Lets data time begin no earlier than `at`, where an earlier life of the agent had come to: the system's clock may
    /// have been set back in between.
    pub fn not_before(&self, at: Timestamp) {
        if let Source::Following(following) = &self.0 {
            let mut hand = following.hand();
            hand.at = hand.at.max(at);
        }
    }

    /// How many times as fast as the wall data time runs.
    pub fn speed(&self) -> f64 {
        match self.0 {
            Source::Following(_) => 1.0,
            Source::Scaled { speed, .. } => speed,
        }
    }

    /// How long a stretch of data time lasts on the wall.
    pub fn wall(&self, data: Duration) -> Duration {
        data.div_f64(self.speed())
    }

    /// Sleeps until data time has reached `at`; returns at once when it has.
    pub async fn sleep_until(&self, at: Timestamp) {
        loop {
            let left = at.duration_since(self.now());
            if !left.is_positive() {
                return;
            }
            // Data time may have run slower meanwhile.
            tokio::time::sleep(self.wall(left.unsigned_abs())).await;
        }
    }
}

impl Following {
    fn hand(&self) -> std::sync::MutexGuard<'_, Hand> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
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
        clock.sleep_until(start + SignedDuration::from_secs(180)).await;
        assert_eq!(before.elapsed().as_secs(), 2);
    }

    /// A time of day that is set by so many seconds at so many seconds of the wall; asked each second. What data time is
    /// then, in seconds from the start, how far ahead, and how many steps were noticed.
    async fn check(sets: &[(u64, i64)], until_s: u64, expected: (i64, i64, u64, u64)) {
        let start: Timestamp = "2026-08-28T08:10:00Z".parse().expect("valid");
        let (origin, offset_s) = (monotonic(), Arc::new(std::sync::atomic::AtomicI64::new(0)));
        let shared = Arc::clone(&offset_s);
        let clock = Clock::following(move || {
            let offset_s = shared.load(std::sync::atomic::Ordering::Relaxed);
            start + SignedDuration::from_secs(origin.elapsed().as_secs() as i64 + offset_s)
        });
        let mut last = clock.now();
        for second in 1..=until_s {
            tokio::time::advance(Duration::from_secs(1)).await;
            let set_s: i64 = sets
                .iter()
                .filter(|(at_s, _)| *at_s == second)
                .map(|(_, by_s)| by_s)
                .sum();
            offset_s.fetch_add(set_s, std::sync::atomic::Ordering::Relaxed);
            assert!(clock.now() > last, "it goes on at second {second}");
            last = clock.now();
        }
        let trust = clock.trust();
        let found = (
            last.duration_since(start).as_secs(),
            trust.ahead.as_secs(),
            trust.steps_back,
            trust.leaps,
        );
        assert_eq!(found, expected, "{sets:?} until {until_s} s");
    }

    #[tokio::test(start_paused = true)]
    async fn data_time_goes_on_when_the_system_clock_is_set() {
        check(&[], 100, (100, 0, 0, 0)).await;
        // An hour back: half speed, until the clock has caught up two hours later.
        check(&[(10, -3600)], 10, (9, 3599, 1, 0)).await;
        check(&[(10, -3600)], 7208, (3608, 0, 1, 0)).await;
        check(&[(10, -3600)], 7300, (3700, 0, 1, 0)).await;
        // Back, and set right again before it had caught up: only what was lost meanwhile is leapt over.
        check(&[(10, -3600), (110, 3600)], 110, (110, 0, 1, 1)).await;
        check(&[(10, 32_400)], 20, (32_420, 0, 0, 1)).await;
        // What a daemon does every day is no step.
        check(&[(10, -1), (50, 1), (90, 1)], 100, (101, 0, 0, 0)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn sleeping_lasts_while_data_time_is_slow() {
        let day: Timestamp = "2026-08-28T08:10:00Z".parse().expect("valid");
        let origin = monotonic();
        let time_of_day = move || day + SignedDuration::from_secs(origin.elapsed().as_secs() as i64);
        let clock = Clock::following(time_of_day);
        clock.not_before(day + SignedDuration::from_hours(1));
        let before = monotonic();
        clock.sleep_until(day + SignedDuration::from_secs(3660)).await;
        assert_eq!(before.elapsed().as_secs(), 120);
        assert_eq!(clock.trust().steps_back, 1);
    }
}
