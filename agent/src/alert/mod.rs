//! One finding → one message when it opens and one when it closes, at least once each, also across a restart.
//!
//! A reader of the log like any other: its place and what it has delivered lie in the store. It decides nothing about
//! waste. Invariants: the same message is not sent twice unless the answer to it was lost; a message is given up only
//! when the receiver refuses it for good, and then lies in the dead letters; no address is logged, for it may be secret.

mod webhook;

use std::{fmt, time::Duration};

use energy::{
    Finding,
    finding::{Condition, Severity},
};
use jiff::Timestamp;
use reqwest::Url;
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use webhook::{Answer, Webhook};

use crate::{
    clock::Clock,
    health::{Counter, Health},
    outbound::Backoff,
    store::{DeadLetter, LogError, Progress, SeqRange, SharedReader, Store, StoreError, Todo},
};

/// Rows read at once: few hold findings, and reading them costs more than passing them.
const ROWS_AT_ONCE: usize = 64;

/// Rows without a message before the place is saved: reading them again after a restart takes a second.
const SAVE_AFTER_ROWS: u64 = 1_000;

/// Where messages go.
#[derive(Clone, PartialEq)]
pub struct Config {
    /// Name of this receiver in the configuration; its cursor in the store is `alert:<name>`.
    pub name: String,
    /// Address that takes the POST; never logged.
    pub webhook: Url,
    /// This severity and more urgent ones.
    pub severity: Severity,
    /// How long the receiver may take to answer.
    pub timeout: Duration,
    /// Wait after a first failure; doubled after each further one.
    pub first_wait: Duration,
    /// The longest wait between attempts.
    pub longest_wait: Duration,
}

impl Config {
    /// A receiver with the usual waits: 10 s for an answer (chat systems take one or two), again after 1 s to 60 s.
    pub fn new(name: String, webhook: Url, severity: Severity) -> Self {
        Self {
            name,
            webhook,
            severity,
            timeout: Duration::from_secs(10),
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_mins(1),
        }
    }
}

/// Without the address.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, severity, .. } = self;
        f.debug_struct("Config")
            .field("name", name)
            .field("severity", severity)
            .finish_non_exhaustive()
    }
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// The finding's id and the event, joined by a point; also the header `Idempotency-Key`.
    pub id: String,
    /// What happened.
    pub event: Event,
    /// The finding in the state of the event.
    pub finding: Finding,
}

/// What happened to a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It began.
    Opened,
    /// It ended.
    Closed,
}

impl Message {
    /// The messages that a finding in this state calls for, in order. One that is closed calls for both: it may have
    /// opened and closed within one row of the log.
    pub fn of(finding: &Finding) -> Vec<Self> {
        let mut opened = finding.clone();
        opened.state = Condition::Open;
        opened.until = None;
        let mut messages = vec![Self::new(Event::Opened, opened)];
        if finding.state == Condition::Closed {
            messages.push(Self::new(Event::Closed, finding.clone()));
        }
        messages
    }

    fn new(event: Event, finding: Finding) -> Self {
        let id = message_id(&finding.id, event);
        Self { id, event, finding }
    }
}

fn message_id(finding: &str, event: Event) -> String {
    let event = match event {
        Event::Opened => "opened",
        Event::Closed => "closed",
    };
    format!("{finding}.{event}")
}

/// Sends messages until `stop` is cancelled or the store is closed. A receiver seen for the first time hears of what is
/// committed from then on, not of the past.
pub async fn run(config: Config, store: Store, clock: Clock, health: Health, stop: CancellationToken) {
    let mut alerter = match Alerter::new(&config, store, clock, &health).await {
        Ok(alerter) => alerter,
        Err(why) => {
            tracing::error!(
                alert = config.name,
                why,
                "this receiver hears nothing until the agent is restarted"
            );
            return;
        }
    };
    let mut backoff = Backoff::new(config.first_wait, config.longest_wait);
    loop {
        let step = tokio::select! {
            () = stop.cancelled() => break,
            step = alerter.step() => step,
        };
        let wait = match step {
            Ok(Done::Some) => {
                backoff.reset();
                continue;
            }
            Ok(Done::Nothing) => {
                tokio::select! {
                    () = stop.cancelled() => break,
                    changed = alerter.committed.changed() => if changed.is_err() { break },
                }
                continue;
            }
            Err(Stuck::Closed) => return,
            Err(Stuck::Later { asked, why }) => {
                tracing::warn!(alert = config.name, why, "the message is kept; trying again");
                backoff.after_failure(asked)
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(wait) => {}
        }
    }
    if let Err(error) = alerter.save(Vec::new(), Vec::new()).await {
        tracing::warn!(alert = config.name, %error, "the place was not saved: some rows are read again");
    }
}

enum Done {
    Some,
    Nothing,
}

enum Stuck {
    Later { asked: Option<Duration>, why: String },
    Closed,
}

impl From<StoreError> for Stuck {
    fn from(error: StoreError) -> Self {
        if error == StoreError::Closed {
            return Self::Closed;
        }
        Self::Later {
            asked: None,
            why: error.to_string(),
        }
    }
}

struct Alerter {
    source: String,
    severity: Severity,
    webhook: Webhook,
    store: Store,
    reader: SharedReader,
    committed: watch::Receiver<u64>,
    clock: Clock,
    next: u64,
    saved: u64,
    counts: Counts,
}

struct Counts {
    sent: Counter,
    retried: Counter,
    refused: Counter,
    damaged: Counter,
    evicted: Counter,
}

impl Alerter {
    async fn new(config: &Config, store: Store, clock: Clock, health: &Health) -> Result<Self, String> {
        let source = format!("alert:{}", config.name);
        let reader = SharedReader::new(store.reader().map_err(|error| error.to_string())?);
        let key = source.clone();
        let ranges = reader.read(move |reader| reader.cursor(&key)).await;
        let ranges = ranges.map_err(|error| error.to_string())?;
        let committed = store.committed();
        let end = *committed.borrow() + 1;
        let next = Todo::restored(&ranges, end)
            .ranges()
            .first()
            .map_or(end, |range| range.from);
        let labels = [("alert", config.name.as_str())];
        let mut alerter = Self {
            source,
            severity: config.severity,
            webhook: Webhook::new(config).map_err(|error| error.to_string())?,
            store,
            reader,
            committed,
            clock,
            next,
            saved: next,
            counts: Counts {
                sent: health.counter("alerts_sent_total", &labels),
                retried: health.counter("alerts_retried_total", &labels),
                refused: health.counter("alerts_refused_total", &labels),
                damaged: health.dropped("alert", "log_row_damaged"),
                evicted: health.dropped("alert", "log_row_gone"),
            },
        };
        if ranges.is_empty() {
            // From here on nothing is missed, also when the agent stops before the first message.
            alerter
                .save(Vec::new(), Vec::new())
                .await
                .map_err(|error| error.to_string())?;
        }
        Ok(alerter)
    }

    /// Takes the next rows and sends what they call for.
    async fn step(&mut self) -> Result<Done, Stuck> {
        let head = *self.committed.borrow_and_update();
        if self.next > head {
            return Ok(Done::Nothing);
        }
        let next = self.next;
        let entries = match self.reader.read(move |reader| reader.entries(next, ROWS_AT_ONCE)).await {
            Ok(entries) => entries,
            Err(LogError::Damaged { seq, reason }) => {
                tracing::error!(seq, reason, "a log row cannot be read for messages");
                self.counts.damaged.one();
                self.next = seq + 1;
                return Ok(Done::Some);
            }
            Err(LogError::Store(error)) => return Err(error.into()),
        };
        if entries.is_empty() {
            self.next = head + 1;
        }
        for entry in entries {
            self.counts.evicted.add(entry.seq.saturating_sub(self.next));
            self.next = entry.seq;
            for message in entry.findings.iter().flat_map(Message::of) {
                self.send(message).await?;
            }
            self.next = entry.seq + 1;
        }
        if self.next - self.saved >= SAVE_AFTER_ROWS {
            self.save(Vec::new(), Vec::new()).await?;
        }
        Ok(Done::Some)
    }

    /// Sends a message that is wanted and was not sent before.
    async fn send(&mut self, message: Message) -> Result<(), Stuck> {
        let (source, id) = (self.source.clone(), message.id.clone());
        let opening = message_id(&message.finding.id, Event::Opened);
        let (is_sent, is_known) = self
            .reader
            .read(move |reader| {
                let is_delivered = |id: &str| reader.is_delivered(&source, id);
                Ok::<_, StoreError>((is_delivered(&id)?, is_delivered(&opening)?))
            })
            .await?;
        // Who heard of the opening hears of the end, whatever its severity has become.
        if is_sent || !(is_known || message.finding.severity <= self.severity) {
            return Ok(());
        }
        let letters = match self.webhook.post(&message).await {
            Answer::Delivered => {
                self.counts.sent.one();
                Vec::new()
            }
            Answer::Later { asked, why } => {
                self.counts.retried.one();
                return Err(Stuck::Later { asked, why });
            }
            Answer::Refused { why } => {
                tracing::warn!(
                    receiver = self.source,
                    message = message.id,
                    why,
                    "the message was refused"
                );
                self.counts.refused.one();
                vec![self.letter(&message, why, self.clock.now())]
            }
        };
        Ok(self.save(letters, vec![message.id]).await?)
    }

    fn letter(&self, message: &Message, reason: String, at: Timestamp) -> DeadLetter {
        DeadLetter {
            at,
            source: self.source.clone(),
            reason,
            payload: webhook::body(message),
        }
    }

    async fn save(&mut self, dead_letters: Vec<DeadLetter>, delivered: Vec<String>) -> Result<(), StoreError> {
        let place = SeqRange {
            from: self.next,
            to: None,
        };
        self.store
            .progress(Progress {
                reader: self.source.clone(),
                ranges: Some(vec![place]),
                dead_letters,
                delivered,
            })
            .await?;
        self.saved = self.next;
        Ok(())
    }
}
