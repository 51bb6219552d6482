//! What the tests of store, forward and alert build their cases from.

#![allow(dead_code, unreachable_pub, reason = "each test file uses some of it")]

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use energy::{
    Finding, Interval, Quality, Quantity, Reading, Sample,
    finding::{Condition, Kind, Money, Severity, Title},
    interval::Raw,
};
use jiff::{SignedDuration, Timestamp};
use wattwarden::{
    health::Health,
    store::{Commit, Config, Store},
};

/// A folder that goes when the test ends.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "wattwarden-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn store(&self) -> Config {
        store_in(&self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

pub fn store_in(path: &Path) -> Config {
    Config {
        path: path.to_owned(),
        max_size: 1 << 40,
    }
}

pub fn open(folder: &Folder) -> Store {
    Store::open(&folder.store(), &Health::default()).unwrap()
}

/// 2026-08-28T08:00:00Z and so many seconds.
pub fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-08-28T08:00:00Z".parse().unwrap();
    start + SignedDuration::from_secs(seconds)
}

pub fn sample(meter: &str, seconds: i64, power_kw: f64) -> Sample {
    Sample {
        meter: meter.into(),
        at: at(seconds),
        readings: vec![
            Reading::new(Quantity::ActivePower, power_kw),
            Reading::new(Quantity::EnergyImport, 1000.0 + seconds as f64 / 8.0),
        ],
    }
}

/// The commit of a second: two meters.
pub fn second(seconds: i64) -> Commit {
    Commit {
        tick: (seconds % 60 == 0).then(|| at(seconds)),
        samples: vec![
            sample("press-1", seconds, seconds as f64 + 0.5),
            sample("press-2", seconds, 3.25),
        ],
        ..Commit::default()
    }
}

pub fn interval(meter: &str, seconds: i64, energy_kwh: f64) -> Interval {
    Interval {
        meter: meter.into(),
        start: at(seconds),
        end: at(seconds + 900),
        energy_import_kwh: Some(energy_kwh),
        energy_export_kwh: None,
        reactive_energy_lag_kvarh: Some(0.1 + 0.2),
        reactive_energy_lead_kvarh: None,
        quality: Quality::Ok,
        coverage: 1.0,
        revision: 0,
        raw: Raw {
            energy_import_kwh: Some(energy_kwh),
            reactive_energy_lag_kvarh: Some(0.1 + 0.2),
            ..Raw::default()
        },
        repairs: vec![],
    }
}

pub fn finding(machine: &str, seconds: i64, severity: Severity) -> Finding {
    Finding {
        id: Finding::id(Kind::IdleRunning, machine, at(seconds)),
        kind: Kind::IdleRunning,
        machine: machine.into(),
        meter: machine.into(),
        since: at(seconds),
        detected_at: at(seconds + 600),
        until: None,
        state: Condition::Open,
        severity,
        energy_kwh: Some(1.1),
        energy_kwh_low: Some(0.9),
        energy_kwh_high: Some(1.3),
        cost: Some(Money {
            amount: "162.34".parse().unwrap(),
            currency: "KRW".into(),
        }),
        cost_net: None,
        kgco2e: Some(0.459),
        confidence: 0.9,
        why: [("idle_kw".to_owned(), 6.6)].into(),
        title: Title {
            ko: "프레스가 놀고 있습니다".into(),
            en: "The press idles, \"again\"".into(),
        },
    }
}

pub fn closed(mut finding: Finding, seconds: i64) -> Finding {
    finding.until = Some(at(seconds));
    finding.state = Condition::Closed;
    finding
}
