//! The main loop: bounded channel → engine → one durable commit → acknowledgement.
//!
//! It meets no socket and no file format. Invariants: a sample is acknowledged only after the commit that holds it is
//! on the disk; a row of the log holds its samples first and then at most one tick, so that stepping the rows again
//! gives the same findings; a commit that fails is tried again as it is, and meanwhile the channel holds back the
//! meters; ticks go on whatever becomes of the system's clock, and what it stamped wrongly is marked before the engine
//! sees it.

use std::{
    collections::HashMap,
    io::{BufWriter, IntoInnerError, Read},
    sync::Arc,
    time::Duration,
};

use energy::{Engine, Name, Sample, Site, detect::TICK_MS, engine::EngineState};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    acquire::Incoming,
    clock::{self, Clock, STEP, Trust},
    health::{Counter, Gauge, Health},
    store::{Commit, LogError, Reader, Snapshot, Store, StoreError},
};

/// Samples that may wait for the recorder: some seconds of a large site while the disk is slow.
pub const INTAKE_CAPACITY: usize = 4096;
/// A commit holds no more samples than this: what a row of the log may cost in memory.
const COMMIT_SAMPLES: usize = 8192;
/// Engine state is written this often, in data time: a restart steps at most this much again.
const SNAPSHOT_MS: i64 = 900_000;
/// Version of the engine's written state. A snapshot of another version is passed over and the state is rebuilt from
/// the log: raise it whenever a field of the state changes.
const SNAPSHOT_FORMAT: u32 = 20;
/// Bytes of a snapshot that are packed at once: byte by byte it takes many times as long.
const PACKED_AT_ONCE: usize = 64 << 10;
/// How hard it is packed, 0 to 9: twice as well as by 1, in a third of the time that 6 takes.
const PACKED_BY: u32 = 2;
/// Rows of the log read at once when the state is rebuilt.
const REBUILD_ROWS: usize = 256;
/// The loop goes round at least this often, whatever `commit_every` is: it is how the watchdog sees that it lives.
const ROUND_WITHIN: Duration = Duration::from_secs(1);
/// Pause before a commit that failed is tried again: a full disk is not emptied faster.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Settings of the recorder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Longest wait before what has gathered is committed, wall time.
    pub commit_every: Duration,
    /// How long after an instant its samples may arrive before its tick is logged, data time.
    pub lateness: Duration,
}

/// Why the engine's state could not be taken up again.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The store could not be read.
    #[error("reading the engine's state back from the store: {0}")]
    Store(#[from] StoreError),
    /// A row of the log is damaged.
    #[error("stepping the log again after a restart: {0}")]
    Log(#[from] LogError),
}

/// A state as a snapshot holds it: packed while it is written, so that neither memory nor the gateway's flash ever sees
/// it at its full size.
fn packed(state: &EngineState) -> Vec<u8> {
    let encoder = DeflateEncoder::new(Vec::new(), Compression::new(PACKED_BY));
    let written = postcard::to_io(state, BufWriter::with_capacity(PACKED_AT_ONCE, encoder));
    let encoder = written.expect("the state is plain data in memory").into_inner();
    let body = encoder
        .map_err(IntoInnerError::into_error)
        .and_then(DeflateEncoder::finish);
    body.expect("memory takes all that is written")
}

/// The state of a snapshot; `None` where it is not one of this program.
fn unpacked(body: &[u8]) -> Option<EngineState> {
    let mut plain = Vec::new();
    DeflateDecoder::new(body).read_to_end(&mut plain).ok()?;
    postcard::from_bytes(&plain).ok()
}

/// The engine as it was when the last commit was made: the last snapshot, and the rows after it stepped again.
/// What they bring is in the store already.
pub fn restore(site: impl Into<Arc<Site>>, reader: &Reader) -> Result<Engine, RestoreError> {
    let snapshot = match reader.snapshot() {
        Err(StoreError::Damaged(why)) => {
            tracing::error!(
                why,
                "the engine's snapshot is damaged; its state is made anew from the log"
            );
            None
        }
        read => read?.filter(|(_, snapshot)| snapshot.format == SNAPSHOT_FORMAT),
    };
    let state = snapshot.and_then(|(seq, snapshot)| Some((seq, unpacked(&snapshot.body)?)));
    let (mut next, mut engine) = match state {
        Some((seq, state)) => (seq + 1, Engine::restore(site, state)),
        None => (reader.first_seq()?, Engine::new(site)),
    };
    engine.expect_all_meters();
    loop {
        let entries = match reader.entries(next, REBUILD_ROWS) {
            Err(LogError::Damaged { seq, reason }) => {
                tracing::error!(
                    seq,
                    reason,
                    "a row of the log is damaged; its samples are missing from what follows"
                );
                next = seq + 1;
                continue;
            }
            read => read?,
        };
        let Some(last) = entries.last() else { return Ok(engine) };
        next = last.seq + 1;
        for entry in entries {
            for sample in entry.samples {
                engine.take(sample);
            }
            if let Some(tick) = entry.tick {
                engine.tick(tick);
            }
        }
    }
}

/// Runs until `stop`, then takes what is still in the channel, commits it with a snapshot and returns. On another value
/// of `site` the engine goes on by that.
pub async fn run(
    recorder: Recorder,
    mut intake: mpsc::Receiver<Incoming>,
    mut site: watch::Receiver<Arc<Site>>,
    stop: CancellationToken,
) {
    let mut recorder = recorder;
    let mut commit_at = clock::monotonic() + recorder.config.commit_every;
    loop {
        recorder.counters.rounds.one();
        recorder.watch_clock();
        let tick = recorder.next_tick();
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Ok(()) = site.changed() => {
                let site = Arc::clone(&site.borrow_and_update());
                recorder.go_on_by(site).await;
            }
            () = recorder.clock.sleep_until(tick + lateness(&recorder.config)) => recorder.tick(tick).await,
            Some(incoming) = intake.recv() => {
                recorder.take(incoming);
                while recorder.has_room() && let Ok(incoming) = intake.try_recv() {
                    recorder.take(incoming);
                }
                if !recorder.has_room() || recorder.is_waited_for() {
                    recorder.commit().await;
                }
            }
            () = tokio::time::sleep_until(commit_at.min(clock::monotonic() + ROUND_WITHIN)) => {}
        }
        if clock::monotonic() >= commit_at {
            recorder.commit().await;
            commit_at = next_commit(commit_at, recorder.config.commit_every);
        }
    }
    intake.close();
    while let Some(incoming) = intake.recv().await {
        recorder.take(incoming);
    }
    recorder.gathered.snapshot = recorder.snapshot();
    recorder.commit().await;
}

fn lateness(config: &Config) -> SignedDuration {
    SignedDuration::try_from(config.lateness).unwrap_or(SignedDuration::MAX)
}

/// The whole minute at or before `at`.
fn last_minute(at: Timestamp) -> Timestamp {
    let ms = at.as_millisecond().div_euclid(TICK_MS) * TICK_MS;
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MIN)
}

/// The next instant of the commit rhythm that lies ahead.
fn next_commit(last: Instant, every: Duration) -> Instant {
    (last + every).max(clock::monotonic())
}

/// The engine and what has gathered for the next commit.
#[derive(Debug)]
pub struct Recorder {
    engine: Engine,
    store: Store,
    clock: Clock,
    config: Config,
    health: Health,
    counters: Counters,
    gathered: Commit,
    waiting: Vec<oneshot::Sender<()>>,
    /// What the clock was last known to be worth.
    trust: Trust,
    /// By meter, the last leap of data time behind which a sample has been doubted.
    doubted: HashMap<Name, Timestamp>,
    /// The last tick, or the minute before the first one: were that always the minute to come, a channel that is never
    /// empty would put it off for ever.
    ticked: Timestamp,
}

#[derive(Debug)]
struct Counters {
    rounds: Counter,
    samples: Counter,
    readings: Counter,
    commits: Counter,
    failed_commits: Counter,
    late: Counter,
    unknown_meter: Counter,
    duplicate: Counter,
    conflict: Counter,
    too_old: Counter,
    off_grid: Counter,
    commit_s: Gauge,
    /// 1 while a commit fails and is tried again.
    cannot_commit: Gauge,
    clock_ahead_s: Gauge,
    steps_back: Counter,
    leaps: Counter,
    clock_suspect: Counter,
}

impl Counters {
    fn new(health: &Health) -> Self {
        Self {
            rounds: health.counter("recorder_rounds_total", &[]),
            samples: health.counter("samples_total", &[]),
            readings: health.counter("readings_total", &[]),
            commits: health.counter("commits_total", &[]),
            failed_commits: health.counter("failed_commits_total", &[]),
            late: health.counter("late_samples_total", &[]),
            unknown_meter: health.dropped("engine", "unknown_meter"),
            duplicate: health.dropped("engine", "duplicate"),
            conflict: health.dropped("engine", "conflict"),
            too_old: health.dropped("engine", "too_old"),
            off_grid: health.dropped("engine", "off_grid"),
            commit_s: health.gauge("commit_duration_s", &[]),
            cannot_commit: health.gauge("cannot_commit", &[]),
            clock_ahead_s: health.gauge("clock_ahead_s", &[]),
            steps_back: health.counter("clock_steps_total", &[("direction", "back")]),
            leaps: health.counter("clock_steps_total", &[("direction", "forward")]),
            clock_suspect: health.counter("clock_suspect_samples_total", &[]),
        }
    }
}

impl Recorder {
    /// A recorder around an engine that [`restore`] has brought up to the store's last row.
    pub fn new(engine: Engine, store: Store, clock: Clock, config: Config, health: Health) -> Self {
        let counters = Counters::new(&health);
        let last_tick = engine.last_tick();
        let ticked = last_tick.unwrap_or_else(|| last_minute(clock.now() - lateness(&config)));
        if let Some(tick) = last_tick.filter(|tick| clock.now() < *tick) {
            // Set back while no agent ran: what was stamped before its end lies at most a minute behind its last tick.
            clock.not_before(tick + SignedDuration::from_millis(TICK_MS) + lateness(&config));
        }
        Self {
            engine,
            store,
            clock,
            config,
            health,
            counters,
            gathered: Commit::default(),
            waiting: Vec::new(),
            trust: Trust::default(),
            doubted: HashMap::new(),
            ticked,
        }
    }

    /// Notices that the system's clock was set, and says so.
    fn watch_clock(&mut self) {
        self.clock.now();
        let (before, now) = (self.trust, self.clock.trust());
        self.trust = now;
        self.counters.clock_ahead_s.set(now.ahead.as_secs_f64());
        self.counters.steps_back.add(now.steps_back - before.steps_back);
        self.counters.leaps.add(now.leaps - before.leaps);
        if now.steps_back > before.steps_back {
            tracing::warn!(
                ahead_s = now.ahead.as_secs(),
                "the system's clock was set back: time goes on at half speed until that clock has caught up, and what \
                 is stamped meanwhile is clock-suspect; check where this computer gets its time from"
            );
        } else if now.leaps > before.leaps {
            tracing::warn!(
                "the system's clock was set forward, or the computer slept: nothing is known of the time between"
            );
        } else if now.is_lost && !before.is_lost {
            tracing::warn!(
                now = %self.clock.now(),
                "the system's clock has lost its time: what is stamped is clock-suspect until it is set"
            );
        } else if before.ahead > STEP && now.ahead <= STEP {
            tracing::info!("the system's clock has caught up: stamps are trusted again");
        }
    }

    /// Doubts what was stamped by a clock that had lost its time, or ahead of one that had been set back, and each meter's
    /// first sample behind a leap: no energy is reckoned across any of them. What a meter stamped by a clock of its own
    /// is not ahead.
    fn doubt(&mut self, sample: &mut Sample) {
        let trust = self.clock.trust();
        let is_ahead = trust.ahead > STEP && sample.at > self.clock.now() - trust.ahead + STEP;
        let is_first = trust.leapt_at.is_some_and(|leapt_at| {
            sample.at >= leapt_at && self.doubted.insert(Name::clone(&sample.meter), leapt_at) != Some(leapt_at)
        });
        if trust.is_lost || is_ahead || is_first {
            sample.doubt_clock();
            self.counters.clock_suspect.one();
        }
    }

    /// The next whole minute to tick: after the last one, and not before the running minute began.
    fn next_tick(&self) -> Timestamp {
        let running = last_minute(self.clock.now() - lateness(&self.config));
        running.max(self.ticked + SignedDuration::from_millis(TICK_MS))
    }

    fn take(&mut self, mut incoming: Incoming) {
        self.doubt(&mut incoming.sample);
        self.counters.samples.one();
        self.counters.readings.add(incoming.sample.readings.len() as u64);
        self.engine.take(incoming.sample.clone());
        self.gathered.samples.push(incoming.sample);
        self.waiting.extend(incoming.stored);
    }

    /// Lets the engine go on by another configuration, as a restart would. The snapshot keeps what was made of the rows
    /// until now: stepping them again by the new one might give something else.
    async fn go_on_by(&mut self, site: Arc<Site>) {
        self.commit().await;
        self.engine = Engine::restore(site, self.engine.state().clone());
        self.engine.expect_all_meters();
        self.gathered.snapshot = self.snapshot();
        self.commit().await;
    }

    fn has_room(&self) -> bool {
        self.gathered.samples.len() < COMMIT_SAMPLES
    }

    fn is_waited_for(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Lets data time reach `tick` and commits what that brings: the tick ends the row.
    async fn tick(&mut self, tick: Timestamp) {
        let step = self.engine.tick(tick);
        self.ticked = tick;
        self.counters.late.add(step.counts.late);
        self.counters.unknown_meter.add(step.counts.unknown_meter);
        self.counters.duplicate.add(step.counts.refused.duplicate);
        self.counters.conflict.add(step.counts.refused.conflict);
        self.counters.too_old.add(step.counts.refused.too_old);
        self.counters.off_grid.add(step.counts.refused.off_grid);
        self.gathered.tick = Some(tick);
        self.gathered.intervals = step.intervals;
        self.gathered.findings = step.findings;
        self.gathered.health = self
            .health
            .snapshot()
            .into_iter()
            .map(|(series, value)| (series.to_string(), value))
            .collect();
        if tick.as_millisecond() % SNAPSHOT_MS == 0 {
            self.gathered.snapshot = self.snapshot();
        }
        self.commit().await;
    }

    fn snapshot(&self) -> Option<Snapshot> {
        let at = self.engine.last_tick()?;
        Some(Snapshot {
            at,
            format: SNAPSHOT_FORMAT,
            body: packed(self.engine.state()),
        })
    }

    /// Makes what has gathered durable, however often that must be tried, and then says so to whoever waits.
    async fn commit(&mut self) {
        if self.gathered == Commit::default() {
            return;
        }
        self.gathered.now = self.engine.now();
        let commit = Arc::new(std::mem::take(&mut self.gathered));
        let began = clock::monotonic();
        while let Err(error) = self.store.commit(Arc::clone(&commit)).await {
            self.counters.failed_commits.one();
            self.counters.cannot_commit.set(1.0);
            if error == StoreError::Closed {
                tracing::error!(%error, "the store closed before the recorder; the last samples were not acknowledged");
                self.waiting.clear();
                return;
            }
            tracing::error!(%error, retry_after_s = RETRY_AFTER.as_secs(), "commit failed, nothing is lost yet");
            tokio::time::sleep(RETRY_AFTER).await;
            // Alive and waiting for the disk: a watchdog that ended it now would lose what it holds.
            self.counters.rounds.one();
        }
        self.counters.commits.one();
        self.counters.cannot_commit.set(0.0);
        self.counters.commit_s.set(began.elapsed().as_secs_f64());
        for stored in self.waiting.drain(..) {
            // A receiver that has gone away (its connection ended) will be sent the message again by its broker.
            stored.send(()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use energy::{Quantity, Reading};

    use super::*;

    #[test]
    fn a_snapshot_is_packed_and_only_whole_ones_are_taken_up() {
        let text = "[site]\nname = \"s\"\nzone = \"Asia/Seoul\"\n[[meter]]\nname = \"m\"\n";
        let source = crate::config::diagnostic::Source::new("s", text);
        let loaded = crate::config::parse(source, std::path::Path::new("."), crate::config::Secrets::LeaveOut);
        let mut engine = Engine::new(loaded.expect("valid").config.site);
        let first: Timestamp = "2026-03-02T00:00:00Z".parse().expect("valid");
        for second in 0..900 {
            let at = first + SignedDuration::from_secs(second);
            engine.take(Sample {
                meter: "m".into(),
                at,
                readings: vec![Reading::new(Quantity::EnergyImport, 100.0 + (second / 9) as f64)],
            });
            engine.tick(at);
        }
        let plain = |state: &EngineState| postcard::to_stdvec(state).expect("plain data");
        let body = packed(engine.state());
        let state = unpacked(&body).expect("it was packed here");
        assert_eq!(plain(&state), plain(engine.state()));
        assert!(4 * body.len() < plain(&state).len(), "{} bytes", body.len());
        for torn in [&body[..body.len() / 2], &body[1..], &[][..]] {
            assert!(unpacked(torn).is_none());
        }
    }
}
