//! The log → InfluxDB (or what speaks its write protocol), newest first, nothing twice that matters and nothing lost.
//!
//! A round sends the newest rows, then one batch of the backlog, and saves what is left to do. After an outage the
//! newest rows therefore lead, and the backlog follows from its new end to its old. It never changes a value.
//! Invariants: rows are taken off only when each of their lines is accepted or lies in the dead letters; while a server
//! refuses (401, 403, 404) or is away, rows wait in the log.

pub mod line;
mod sender;
#[cfg(feature = "influxdb2-client")]
pub mod setup;
pub mod verdict;

use std::time::Duration;

use line::Encoded;
pub use line::{MeterTags, SiteTags};
pub use reqwest::Url;
pub use sender::{AskError, create_database, reach, version_of};
use sender::{Outcome, Pause, PauseKind, Sender};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    health::{Counter, Gauge, Health},
    outbound::Backoff,
    secret::Secret,
    store::{DeadLetter, Entry, LogError, Progress, Reader, SharedReader, Store, StoreError, Todo},
};

/// Rows read at once: about a minute of commits, and the most that goes again when a server fails half-way.
const ROWS_AT_ONCE: u64 = 64;

/// Rows settled before the place is saved again: sending them twice is harmless, and each save costs the disk a write.
const SAVE_AFTER_ROWS: u64 = 16;

/// Where to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Name of this receiver in the configuration; its cursor in the store is `influx:<name>`.
    pub name: String,
    /// Address of the server.
    pub url: Url,
    /// Its protocol and how to be let in.
    pub version: Version,
    /// Most lines a request.
    pub batch_lines: usize,
    /// Most bytes a request before compression.
    pub batch_bytes: usize,
    /// How long a request may take.
    pub timeout: Duration,
    /// Waits between attempts.
    pub pace: Pace,
}

/// Waits between attempts, on the wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// After the first failure; doubled after each further one.
    pub first: Duration,
    /// The longest wait: newest data flow no later than this after a server is back.
    pub longest: Duration,
    /// While a person must mend the set-up (wrong token, no such bucket).
    pub hold: Duration,
}

/// A server's protocol.
#[derive(Debug, Clone, PartialEq)]
pub enum Version {
    /// InfluxDB 1.x: `/write`.
    V1 {
        /// Database.
        database: String,
        /// User, where the server wants one.
        username: Option<String>,
        /// The user's password.
        password: Option<Secret>,
    },
    /// InfluxDB 2.x, and VictoriaMetrics: `/api/v2/write`.
    V2 {
        /// Organisation.
        org: String,
        /// Bucket.
        bucket: String,
        /// Token.
        token: Secret,
    },
}

impl Config {
    /// A receiver with the usual bounds: 5,000 lines (what InfluxData advises) or 1 MiB a request, 30 s for an answer
    /// (a busy server takes 10), attempts after 1 s to 30 s, and every minute while somebody must act.
    pub fn new(name: String, url: Url, version: Version) -> Self {
        Self {
            name,
            url,
            version,
            batch_lines: 5_000,
            batch_bytes: 1 << 20,
            timeout: Duration::from_secs(30),
            pace: Pace {
                first: Duration::from_secs(1),
                longest: Duration::from_secs(30),
                hold: Duration::from_mins(1),
            },
        }
    }
}

/// Forwards the log until `stop` is cancelled or the store is closed. A receiver seen for the first time gets all that
/// the log still holds.
pub async fn run(config: Config, tags: SiteTags, store: Store, health: Health, stop: CancellationToken) {
    let mut forwarder = match Forwarder::new(&config, tags, store, &health).await {
        Ok(forwarder) => forwarder,
        Err(why) => {
            tracing::error!(
                influx = config.name,
                why,
                "this receiver gets nothing until the agent is restarted"
            );
            return;
        }
    };
    let mut backoff = Backoff::new(config.pace.first, config.pace.longest);
    loop {
        let step = tokio::select! {
            () = stop.cancelled() => break,
            step = forwarder.round() => step,
        };
        let wait = match step {
            Step::Forward => {
                backoff.reset();
                continue;
            }
            Step::Idle => {
                tokio::select! {
                    () = stop.cancelled() => break,
                    changed = forwarder.committed.changed() => if changed.is_err() { break },
                }
                continue;
            }
            Step::Closed => return,
            Step::Pause(pause) => {
                tracing::warn!(influx = config.name, why = pause.why, "nothing is lost; trying again");
                match pause.kind {
                    PauseKind::Hold => config.pace.hold,
                    PauseKind::Retry(asked) => backoff.after_failure(asked),
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(wait) => {}
        }
    }
    if let Err(error) = forwarder.save(Vec::new()).await {
        tracing::warn!(influx = config.name, %error, "the place was not saved: some rows go out again");
    }
}

/// What a round led to.
enum Step {
    Forward,
    Idle,
    Pause(Pause),
    Closed,
}

struct Forwarder {
    source: String,
    sender: Sender,
    tags: SiteTags,
    store: Store,
    reader: SharedReader,
    committed: watch::Receiver<u64>,
    todo: Todo,
    unsaved_rows: u64,
    counts: Counts,
    health: Health,
}

struct Counts {
    sent: Counter,
    backlog: Gauge,
    holding: Gauge,
    not_finite: Counter,
    bad: Counter,
    timeless: Counter,
    unreadable: Counter,
    evicted: Counter,
}

impl Counts {
    fn new(name: &str, health: &Health) -> Self {
        let labels = [("influx", name)];
        Self {
            sent: health.counter("influx_lines_sent_total", &labels),
            backlog: health.gauge("influx_backlog_rows", &labels),
            holding: health.gauge("influx_holding", &labels),
            not_finite: health.dropped("influx", "not_finite"),
            bad: health.dropped("influx", "reading_bad"),
            timeless: health.dropped("influx", "health_without_time"),
            unreadable: health.dropped("influx", "log_row_damaged"),
            evicted: health.dropped("influx", "log_row_gone"),
        }
    }
}

impl Counts {
    fn settled(&self, sent: u64, encoded: &Encoded) {
        self.sent.add(sent);
        self.holding.set(0.0);
        self.not_finite.add(encoded.not_finite);
        self.bad.add(encoded.bad);
        self.timeless.add(encoded.timeless);
    }
}

impl Forwarder {
    async fn new(config: &Config, tags: SiteTags, store: Store, health: &Health) -> Result<Self, String> {
        let source = format!("influx:{}", config.name);
        let reader = SharedReader::new(store.reader().map_err(|error| error.to_string())?);
        let key = source.clone();
        let ranges = reader.read(move |reader| reader.cursor(&key)).await;
        let ranges = ranges.map_err(|error| error.to_string())?;
        let first = reader.read(Reader::first_seq).await;
        let todo = Todo::restored(&ranges, first.map_err(|error| error.to_string())?);
        if ranges.is_empty() {
            // From here on a row that gives way unsent is a loss of this receiver; what went before it came was not.
            let saved = store.save_cursor(&source, todo.ranges()).await;
            saved.map_err(|error| error.to_string())?;
        }
        Ok(Self {
            source,
            sender: Sender::new(config, health).map_err(|error| error.to_string())?,
            tags,
            committed: store.committed(),
            store,
            reader,
            todo,
            unsaved_rows: 0,
            counts: Counts::new(&config.name, health),
            health: health.clone(),
        })
    }

    /// Sends the newest rows, then one batch of the backlog.
    async fn round(&mut self) -> Step {
        let head = *self.committed.borrow_and_update();
        match self.reader.read(Reader::first_seq).await {
            Ok(first) => self.counts.evicted.add(self.todo.forget_before(first)),
            Err(error) => return later(&error),
        }
        self.counts.backlog.set(self.todo.rows(head) as f64);
        let mut step = Step::Idle;
        if let Some((first, last)) = self.todo.live(head, ROWS_AT_ONCE) {
            step = self.carry(first, last).await;
            if !matches!(step, Step::Forward) {
                return step;
            }
        }
        if let Some((first, last)) = self.todo.backlog(ROWS_AT_ONCE) {
            step = self.carry(first, last).await;
        }
        self.counts.backlog.set(self.todo.rows(head) as f64);
        step
    }

    /// Carries rows over; a damaged row is counted and passed.
    async fn carry(&mut self, first: u64, last: u64) -> Step {
        let count = (last - first + 1) as usize;
        let read = self.reader.read(move |reader| reader.entries(first, count)).await;
        let entries = match read {
            Ok(entries) => entries,
            Err(LogError::Damaged { seq, reason }) => {
                tracing::error!(seq, reason, "a log row cannot be forwarded");
                self.counts.unreadable.one();
                return self.settled(first, seq, Vec::new()).await;
            }
            Err(LogError::Store(error)) => return later(&error),
        };
        let entries: Vec<Entry> = entries.into_iter().filter(|entry| entry.seq <= last).collect();
        let done = entries.last().map_or(last, |entry| entry.seq);
        let mut encoded = Encoded::default();
        for entry in &entries {
            encoded.append(line::encode(entry, &self.tags));
        }
        match self.sender.settle(&encoded.lines).await {
            Outcome::Settled { sent, rejected } => {
                self.counts.settled(sent, &encoded);
                self.settled(first, done, rejected).await
            }
            Outcome::Later(pause) => {
                self.counts
                    .holding
                    .set(f64::from(u8::from(pause.kind == PauseKind::Hold)));
                Step::Pause(pause)
            }
        }
    }

    /// Takes rows off, and puts what was refused into the dead letters in the transaction that saves the place.
    async fn settled(&mut self, first: u64, last: u64, rejected: Vec<(line::Line, String)>) -> Step {
        let before = self.todo.clone();
        self.todo.done(first, last);
        self.unsaved_rows += last - first + 1;
        if rejected.is_empty() && self.unsaved_rows < SAVE_AFTER_ROWS {
            return Step::Forward;
        }
        if !rejected.is_empty() {
            tracing::warn!(
                receiver = self.source,
                lines = rejected.len(),
                why = rejected[0].1,
                "lines were refused"
            );
        }
        match self.save(rejected).await {
            Ok(()) => Step::Forward,
            Err(error) => {
                // The dead letters are not kept yet: the rows must go again.
                self.todo = before;
                later(&error)
            }
        }
    }

    async fn save(&mut self, rejected: Vec<(line::Line, String)>) -> Result<(), StoreError> {
        let name = self.source.trim_start_matches("influx:");
        let mut reasons = Vec::new();
        let mut dead_letters = Vec::new();
        for (line, reason) in rejected {
            reasons.push(verdict::class(&reason));
            dead_letters.push(DeadLetter {
                at: line.at,
                source: self.source.clone(),
                reason,
                payload: line.text,
            });
        }
        let progress = Progress {
            reader: self.source.clone(),
            ranges: Some(self.todo.ranges()),
            dead_letters,
            delivered: Vec::new(),
        };
        self.store.progress(progress).await?;
        self.unsaved_rows = 0;
        for reason in reasons {
            let labels = [("influx", name), ("reason", reason)];
            self.health.counter("influx_lines_rejected_total", &labels).one();
        }
        Ok(())
    }
}

/// The store cannot now, or no more.
fn later(error: &StoreError) -> Step {
    if *error == StoreError::Closed {
        return Step::Closed;
    }
    Step::Pause(Pause {
        why: error.to_string(),
        kind: PauseKind::Retry(None),
    })
}
