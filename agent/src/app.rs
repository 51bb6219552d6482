//! The table of contents: start in order, wait, stop in reverse, say how it went.
//!
//! What it starts is independent of how it was asked to (`run` or `demo`). Invariants: whoever takes data in starts
//! last and stops first; the recorder ends when every sample that was taken in is on the disk; the store closes last.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    acquire::{self, DeadLetter},
    alert,
    clock::Clock,
    config::Config,
    forward::influx::{self, SiteTags},
    health::Health,
    record::{self, Recorder, RestoreError},
    report::Origin,
    store::{self, OpenError, Store},
    web::{self, StartError},
};

/// Messages that could not be read and wait to be written down; a broker waits when more come.
const DEAD_LETTERS: usize = 256;
/// How long a part may take to end before we go on without it; systemd kills after 90 s.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// Why the agent could not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// What the store holds.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The page.
    #[error(transparent)]
    Web(#[from] StartError),
}

/// The running agent.
#[derive(Debug)]
pub struct App {
    store: Store,
    web: web::Server,
    inputs: Part,
    recorder: Part,
    readers: Part,
}

/// Tasks that start and stop together.
#[derive(Debug)]
struct Part {
    name: &'static str,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Part {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(STOP_WITHIN, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                part = self.name,
                within_s = STOP_WITHIN.as_secs(),
                "did not stop in time; going on"
            );
        }
    }
}

/// Starts everything that `config` asks for, on the runtime it is called in.
pub fn start(config: Config, clock: &Clock, health: &Health, origin: Origin) -> Result<App, AppError> {
    let store = Store::open(&config.store, health)?;
    let engine = record::restore(config.site.clone(), &store.reader()?)?;
    let site = Arc::new(config.site);
    let readers = Part::new("readers");
    let tags = SiteTags::of(&site);
    for receiver in config.influx {
        let stop = readers.stop.clone();
        readers
            .tasks
            .spawn(influx::run(receiver, tags.clone(), store.clone(), health.clone(), stop));
    }
    for receiver in config.alerts {
        let stop = readers.stop.clone();
        readers
            .tasks
            .spawn(alert::run(receiver, store.clone(), clock.clone(), health.clone(), stop));
    }
    let parts = web::Parts {
        site,
        language: config.language,
        origin,
        store: store.clone(),
        clock: clock.clone(),
        health: health.clone(),
    };
    let web = web::start(config.web, parts)?;

    let recorder = Part::new("recorder");
    let (intake, taken) = mpsc::channel(record::INTAKE_CAPACITY);
    let loop_ = Recorder::new(engine, store.clone(), clock.clone(), config.record, health.clone());
    recorder.tasks.spawn(record::run(loop_, taken, recorder.stop.clone()));

    let inputs = Part::new("inputs");
    for bus in config.buses {
        let stop = inputs.stop.clone();
        inputs.tasks.spawn(acquire::modbus::run(
            bus,
            clock.clone(),
            intake.clone(),
            health.clone(),
            stop,
        ));
    }
    let (letters, unread) = mpsc::channel(DEAD_LETTERS);
    readers.tasks.spawn(keep_dead_letters(unread, store.clone()));
    for mut broker in config.brokers {
        broker.dead_letters = Some(letters.clone());
        let stop = inputs.stop.clone();
        let (clock, intake, health) = (clock.clone(), intake.clone(), health.clone());
        // The client's future cannot be shown to be Send: it has a thread to itself.
        let runtime = tokio::runtime::Handle::current();
        inputs
            .tasks
            .spawn_blocking(move || runtime.block_on(acquire::mqtt::run(broker, clock, intake, health, stop)));
    }
    Ok(App {
        store,
        web,
        inputs,
        recorder,
        readers,
    })
}

impl App {
    /// The address of the page.
    pub fn page(&self) -> SocketAddr {
        self.web.addr()
    }

    /// The store, for readers of the log.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Stops in reverse; what was taken in is on the disk when this returns.
    pub async fn stop(self) {
        self.inputs.stop().await;
        self.recorder.stop().await;
        tokio::task::spawn_blocking(move || self.web.stop()).await.ok();
        self.readers.stop().await;
        if let Err(error) = self.store.close().await {
            tracing::error!(%error, "the store did not close cleanly; nothing that was acknowledged is lost");
        }
    }
}

/// Writes down messages that could not be read, until their senders have gone.
async fn keep_dead_letters(mut letters: mpsc::Receiver<DeadLetter>, store: Store) {
    while let Some(letter) = letters.recv().await {
        let kept = store::DeadLetter {
            at: letter.at,
            source: format!("mqtt:{}", letter.source),
            reason: format!("{}: {}", letter.topic, letter.reason),
            payload: String::from_utf8_lossy(&letter.payload).into_owned(),
        };
        if let Err(error) = store.dead_letter(kept).await {
            tracing::error!(%error, topic = letter.topic, "a message that could not be read was not kept either");
        }
    }
}
