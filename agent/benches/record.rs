//! How many readings a second go through the recorder onto the disk: channel, engine, and commits that are durable.

use std::sync::Arc;

use energy::{Quality, Quantity, Reading, Sample};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use wattwarden::{
    acquire::Incoming,
    clock::{self, Clock},
    health::Health,
    record::{self, Recorder},
    store::{self, Reader, Store},
};

use crate::{Number, Target, new_folder, site};

const METERS: usize = 200;
/// Polls of all meters: 16 million readings.
const ROUNDS: usize = 4000;
/// Data time runs this much faster than the wall, so that a round is about a second of it and the engine has its ticks.
const SPEED: f64 = 500.0;
/// Ticks at least in the log afterwards, or the engine did not do its share.
const TICKS: usize = 10;
/// Rows read back at once.
const ROWS: usize = 16;

pub(crate) fn measure() -> Vec<Number> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let value = runtime.unwrap().block_on(readings_per_second());
    vec![Number {
        name: "record",
        value,
        unit: "readings/s, durable",
        target: Target::AtLeast(100_000.0),
    }]
}

async fn readings_per_second() -> f64 {
    let folder = new_folder("record");
    let health = Health::default();
    let config = store::Config {
        path: folder.clone(),
        max_size: 8 << 30,
    };
    let store = Store::open(&config, &health).unwrap();
    let start: Timestamp = "2026-08-28T00:00:00Z".parse().unwrap();
    let clock = Clock::scaled(start, SPEED);
    let config = record::Config {
        commit_every: std::time::Duration::from_secs(1),
        lateness: std::time::Duration::from_secs(5),
    };
    let site = site::site(METERS);
    let (_, by) = watch::channel(Arc::new(site.clone()));
    let engine = record::restore(site, &store.reader().unwrap()).unwrap();
    let names: Vec<_> = engine.site().meters.iter().map(|meter| meter.name.clone()).collect();
    let recorder = Recorder::new(engine, store.clone(), clock.clone(), config, health.clone());
    let (intake, taken) = mpsc::channel(record::INTAKE_CAPACITY);
    let stop = CancellationToken::new();
    let running = tokio::spawn(record::run(recorder, taken, by, stop.clone()));

    let quantities: Vec<Quantity> = site::POINTS
        .iter()
        .map(|name| Quantity::from_name(name).unwrap())
        .collect();
    let began = clock::monotonic();
    for round in 0..ROUNDS {
        let at = clock.now();
        for meter in &names {
            let readings = quantities.iter().enumerate().map(|(index, &quantity)| Reading {
                quantity,
                value: index as f64 + (round % 1000) as f64 / 1000.0,
                quality: Quality::Ok,
            });
            let sample = Sample {
                meter: meter.clone(),
                at,
                readings: readings.collect(),
            };
            intake.send(Incoming { sample, stored: None }).await.unwrap();
        }
    }
    stop.cancel();
    running.await.unwrap();
    let took = began.elapsed();

    let n_readings = ROUNDS * METERS * quantities.len();
    let (in_log, ticks) = read_back(&store.reader().unwrap());
    assert_eq!(in_log, n_readings, "what was measured is not what the log holds");
    assert!(ticks >= TICKS, "{ticks} ticks: the engine did not do its share");
    store.close().await.unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    n_readings as f64 / took.as_secs_f64()
}

/// Readings and ticks that the log holds.
fn read_back(reader: &Reader) -> (usize, usize) {
    let (mut n_readings, mut n_ticks) = (0, 0);
    let mut next = reader.first_seq().unwrap();
    loop {
        let entries = reader.entries(next, ROWS).unwrap();
        let Some(last) = entries.last() else {
            return (n_readings, n_ticks);
        };
        next = last.seq + 1;
        n_readings += entries
            .iter()
            .flat_map(|entry| &entry.samples)
            .map(|sample| sample.readings.len())
            .sum::<usize>();
        n_ticks += entries.iter().filter(|entry| entry.tick.is_some()).count();
    }
}
