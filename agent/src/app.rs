//! The table of contents: start in order, wait, stop in reverse, say how it went.
//!
//! What it starts is independent of how it was asked to (`run` or `demo`). Invariants: whoever takes data in starts
//! last and stops first; the recorder ends when every sample that was taken in is on the disk; the store closes last.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use energy::Site;
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    acquire::{DeadLetter, IncomingLetter, Outlets, modbus, mqtt},
    alert,
    clock::Clock,
    config::Config,
    forward::influx::{self, SiteTags},
    health::Health,
    language::Language,
    record::{self, Recorder, RestoreError},
    report::Origin,
    store::{self, OpenError, Store, StoreError},
    web::{self, StartError},
};

mod running;

use running::{Running, each};

/// Messages that could not be read and wait to be written down; a broker waits when more come.
const DEAD_LETTERS: usize = 256;
/// Pause before dead letters that could not be written are tried again: a full disk is not emptied faster.
const RETRY_AFTER: Duration = Duration::from_secs(1);
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
    site: watch::Sender<Arc<Site>>,
    outlets: Outlets,
    clock: Clock,
    health: Health,
    inputs: Part,
    recorder: Part,
    readers: Part,
    buses: Running<modbus::Config>,
    brokers: Running<mqtt::Config>,
    influx: Running<(influx::Config, SiteTags)>,
    alerts: Running<alert::Config>,
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

    /// Whether it has stopped.
    async fn stop(self) -> bool {
        self.stop.cancel();
        self.tasks.close();
        let has_stopped = tokio::time::timeout(STOP_WITHIN, self.tasks.wait()).await.is_ok();
        if !has_stopped {
            tracing::warn!(
                part = self.name,
                within_s = STOP_WITHIN.as_secs(),
                "did not stop in time; going on"
            );
        }
        has_stopped
    }
}

/// The parts of a configuration that a running agent cannot take up.
#[derive(Debug)]
pub struct Fixed {
    store: store::Config,
    web: web::Config,
    record: record::Config,
    language: Language,
}

impl Fixed {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        Self {
            store: config.store.clone(),
            web: config.web,
            record: config.record.clone(),
            language: config.language,
        }
    }

    /// Names of the parts in which another differs.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let parts = [
            ("[store]", self.store != other.store),
            ("[web]", self.web != other.web),
            ("[record]", self.record != other.record),
            ("language of the page", self.language != other.language),
        ];
        let name = |(part, differs): (&'static str, bool)| differs.then_some(part);
        parts.into_iter().filter_map(name).collect()
    }
}

/// Starts everything that `config` asks for, on the runtime it is called in.
pub fn start(config: Config, clock: &Clock, health: &Health, origin: Origin) -> Result<App, AppError> {
    let store = Store::open(&config.store, health)?;
    let site = Arc::new(config.site);
    let engine = record::restore(Arc::clone(&site), &store.reader()?)?;
    let (site, _) = watch::channel(site);
    let parts = web::Parts {
        site: site.subscribe(),
        language: config.language,
        origin,
        store: store.clone(),
        clock: clock.clone(),
        health: health.clone(),
    };
    let web = web::start(config.web, parts)?;
    let (intake, taken) = mpsc::channel(record::INTAKE_CAPACITY);
    let (letters, unread) = mpsc::channel(DEAD_LETTERS);
    let mut app = App {
        store,
        web,
        site,
        outlets: Outlets {
            intake,
            dead_letters: Some(letters),
        },
        clock: clock.clone(),
        health: health.clone(),
        inputs: Part::new("inputs"),
        recorder: Part::new("recorder"),
        readers: Part::new("readers"),
        buses: Running::default(),
        brokers: Running::default(),
        influx: Running::default(),
        alerts: Running::default(),
    };
    app.readers.tasks.spawn(keep_dead_letters(unread, app.store.clone()));
    app.read_log(config.influx, config.alerts);
    let recorder = Recorder::new(engine, app.store.clone(), clock.clone(), config.record, health.clone());
    let (site, stop) = (app.site.subscribe(), app.recorder.stop.clone());
    app.recorder.tasks.spawn(record::run(recorder, taken, site, stop));
    app.take_in(config.buses, config.brokers);
    Ok(app)
}

impl App {
    /// Goes on by another configuration: what it does not change runs on untouched. The store, the page's address and the
    /// recorder's times stay as they are until a restart.
    pub fn renew(&mut self, config: Config) {
        self.site.send_replace(Arc::new(config.site));
        self.read_log(config.influx, config.alerts);
        self.take_in(config.buses, config.brokers);
    }

    /// Lets these receivers read the log, and no others.
    fn read_log(&mut self, influx: Vec<influx::Config>, alerts: Vec<alert::Config>) {
        let (tasks, stop) = (&self.readers.tasks, &self.readers.stop);
        let tags = SiteTags::of(&self.site.borrow());
        let wanted = influx
            .into_iter()
            .map(|receiver| (receiver.name.clone(), (receiver, tags.clone())));
        self.influx.arrange(wanted, stop, |settings, stop| {
            let parts = (self.store.clone(), self.health.clone());
            tasks.spawn(each(
                settings,
                stop,
                parts,
                |(receiver, tags), (store, health), stop| influx::run(receiver, tags, store, health, stop),
            ));
        });
        let wanted = alerts.into_iter().map(|receiver| (receiver.name.clone(), receiver));
        self.alerts.arrange(wanted, stop, |settings, stop| {
            let parts = (self.store.clone(), self.clock.clone(), self.health.clone());
            tasks.spawn(each(settings, stop, parts, |receiver, (store, clock, health), stop| {
                alert::run(receiver, store, clock, health, stop)
            }));
        });
    }

    /// Reads these buses and brokers, and no others.
    fn take_in(&mut self, buses: Vec<modbus::Config>, brokers: Vec<mqtt::Config>) {
        let (tasks, stop) = (&self.inputs.tasks, &self.inputs.stop);
        let parts = || (self.clock.clone(), self.outlets.clone(), self.health.clone());
        let wanted = buses.into_iter().map(|bus| (bus.name.clone(), bus));
        self.buses.arrange(wanted, stop, |settings, stop| {
            let (clock, outlets, health) = parts();
            tasks.spawn(modbus::run(settings, clock, outlets.intake, health, stop));
        });
        let wanted = brokers.into_iter().map(|broker| (broker.name.clone(), broker));
        self.brokers.arrange(wanted, stop, |settings, stop| {
            let (clock, outlets, health) = parts();
            // The client's future cannot be shown to be Send: it has a thread to itself.
            let runtime = tokio::runtime::Handle::current();
            tasks.spawn_blocking(move || runtime.block_on(mqtt::run(settings, clock, outlets, health, stop)));
        });
    }

    /// The address of the page.
    pub fn page(&self) -> SocketAddr {
        self.web.addr()
    }

    /// The store, for readers of the log.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Stops in reverse; whether what was taken in is on the disk.
    pub async fn stop(self) -> bool {
        self.inputs.stop().await;
        drop(self.outlets);
        let has_recorded = self.recorder.stop().await;
        tokio::task::spawn_blocking(move || self.web.stop()).await.ok();
        self.readers.stop().await;
        let closed = self.store.close().await;
        if let Err(error) = &closed {
            tracing::error!(%error, "the store did not close cleanly; nothing that was acknowledged is lost");
        }
        has_recorded && closed.is_ok()
    }
}

/// Writes down messages that could not be read, until their senders have gone; each is answered once it is durable.
async fn keep_dead_letters(mut letters: mpsc::Receiver<IncomingLetter>, store: Store) {
    let mut batch = Vec::new();
    while letters.recv_many(&mut batch, DEAD_LETTERS).await > 0 {
        let kept: Vec<store::DeadLetter> = batch.iter().map(|incoming| dead_letter(&incoming.letter)).collect();
        loop {
            let progress = store::Progress {
                dead_letters: kept.clone(),
                ..store::Progress::default()
            };
            let error = match store.progress(progress).await {
                Ok(()) => break,
                Err(error) => error,
            };
            tracing::error!(%error, n = kept.len(), "messages that could not be read are not kept yet");
            if matches!(error, StoreError::Closed | StoreError::Damaged(_)) {
                return; // unanswered: the broker delivers them again
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
        for kept in batch.drain(..).filter_map(|incoming| incoming.kept) {
            // Who asked may have gone, and then nobody misses the answer.
            kept.send(()).ok();
        }
    }
}

fn dead_letter(letter: &DeadLetter) -> store::DeadLetter {
    let payload = match std::str::from_utf8(&letter.payload) {
        Ok(text) => text.to_owned(),
        Err(_) => hex(&letter.payload),
    };
    store::DeadLetter {
        at: letter.at,
        source: format!("mqtt:{}", letter.source),
        reason: format!("{}: {}: {}", letter.label, letter.topic, letter.reason),
        payload,
    }
}

/// What is no text, so that nothing of it is lost, as far as a letter goes.
fn hex(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(store::DeadLetter::PAYLOAD_LIMIT / 2)];
    let digits = shown.iter().map(|byte| format!("{byte:02x}"));
    std::iter::once("hex:".to_owned()).chain(digits).collect()
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn dead_letters_are_answered_when_they_can_be_read_back() {
        let path = std::env::temp_dir().join(format!("wattwarden-letters-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let config = store::Config {
            path: path.clone(),
            max_size: 64 << 20,
        };
        let store = Store::open(&config, &Health::default()).unwrap();
        let (letters, unread) = mpsc::channel(4);
        let keeping = tokio::spawn(keep_dead_letters(unread, store.clone()));
        for (payload, expected) in [(&b"ON"[..], "ON"), (&[0x0a, 0xff][..], "hex:0aff")] {
            let (kept, is_kept) = oneshot::channel();
            let letter = DeadLetter {
                source: "hall".into(),
                topic: "plant/dryer".into(),
                payload: payload.to_vec(),
                label: "not_json",
                reason: "why".into(),
                at: jiff::Timestamp::UNIX_EPOCH,
            };
            let kept = Some(kept);
            letters.send(IncomingLetter { letter, kept }).await.unwrap();
            is_kept.await.unwrap();
            let found = store.reader().unwrap().dead_letters(1).unwrap().0.remove(0);
            assert_eq!((found.source.as_str(), found.payload.as_str()), ("mqtt:hall", expected));
            assert_eq!(found.reason, "not_json: plant/dryer: why");
        }
        drop(letters);
        keeping.await.unwrap();
        store.close().await.unwrap();
        std::fs::remove_dir_all(&path).unwrap();
    }
}
