//! A plant in the morning, and a recorder that lives through it on a store of its own.

#![allow(dead_code, unreachable_pub, reason = "each test file uses some of it")]

use std::{path::Path, sync::Arc, time::Duration};

use energy::{Finding, Sample, Site};
use jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use wattwarden::{
    acquire::Incoming,
    clock::Clock,
    config::{self, Secrets, diagnostic::Source},
    health::Health,
    record::{self, Recorder},
    store::{FindingFilter, Reader, Store},
};

use crate::store_support::{self, Folder};

/// A main meter and a press whose idling is waste.
pub const SITE: &str = r#"
[site]
name = "plant"
zone = "Asia/Seoul"
shifts = { day = "mon-fri 08:00-18:00" }
main_meter = "main"
carbon = "kr-grid"
[[contract]]
from = "2024-11-01"
tariff = "kepco-industrial-b-high-a-2"
contract_kw = 500
[[meter]]
name = "main"
every = "10s"
[[meter]]
name = "press"
every = "10s"
[[machine]]
name = "plant"
kind = "site"
meter = "main"
detect.demand_peak = { target_kw = 100 }
[[machine]]
name = "press"
kind = "press"
meter = "press"
rated_kw = 55
shift = "day"
off_below_kw = 2
running_from_kw = 14
"#;

/// A Friday morning in Seoul.
pub fn start() -> Timestamp {
    "2026-08-28T09:00:00+09:00".parse().unwrap()
}

pub fn site(text: &str) -> Site {
    let loaded = config::parse(Source::new("site", text), Path::new("."), Secrets::LeaveOut);
    loaded.unwrap().config.site
}

/// A recorder's settings for tests: it commits each second.
pub fn settings(lateness: Duration) -> record::Config {
    record::Config {
        commit_every: Duration::from_secs(1),
        lateness,
    }
}

/// All findings in their last state, in the order of `findings.jsonl`.
pub fn findings(reader: &Reader) -> Vec<Finding> {
    let stored = reader.findings(&FindingFilter::default()).unwrap();
    let mut findings: Vec<Finding> = stored.into_iter().map(|stored| stored.finding).collect();
    findings.sort_by(|a, b| (a.since, &a.id).cmp(&(b.since, &b.id)));
    findings
}

/// A store with a recorder at work on it.
pub struct Life {
    /// Another value is taken up while it lives.
    pub site: watch::Sender<Arc<Site>>,
    store: Store,
    pub intake: mpsc::Sender<Incoming>,
    recording: JoinHandle<()>,
    stop: CancellationToken,
}

impl Life {
    /// Takes up what the store in `folder` knows of `site`.
    pub fn begin(folder: &Folder, site: Site, clock: &Clock, settings: record::Config, health: &Health) -> Self {
        let store = store_support::open(folder);
        let engine = record::restore(site.clone(), &store.reader().unwrap()).unwrap();
        let (site, by) = watch::channel(Arc::new(site));
        let recorder = Recorder::new(engine, store.clone(), clock.clone(), settings, health.clone());
        let ((intake, taken), stop) = (mpsc::channel(64), CancellationToken::new());
        let recording = tokio::spawn(record::run(recorder, taken, by, stop.clone()));
        Self {
            site,
            store,
            intake,
            recording,
            stop,
        }
    }

    /// Sends as a broker does: each sample waits for its acknowledgement.
    pub async fn send(&self, samples: &[Sample]) -> Vec<oneshot::Receiver<()>> {
        let mut answers = Vec::new();
        for sample in samples {
            let (stored, answer) = oneshot::channel();
            let sample = sample.clone();
            let stored = Some(stored);
            self.intake.send(Incoming { sample, stored }).await.unwrap();
            answers.push(answer);
        }
        answers
    }

    /// The end without warning. What the writer had been handed may or may not have been answered.
    pub async fn cut(self) {
        self.recording.abort();
        assert!(self.recording.await.unwrap_err().is_cancelled());
        self.store.close().await.unwrap();
    }

    pub async fn end(self) {
        self.stop.cancel();
        self.recording.await.unwrap();
        self.store.close().await.unwrap();
    }
}
