//! The system's clock is set while the program runs: no tick is missed, no reading lost, and no interval tells energy of
//! a time that did not pass so.
//!
//! Not here: how data time follows the clock (unit tests of `clock.rs`).

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod life_support;
mod store_support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use energy::{Interval, Quality, Quantity, Reading, Sample};
use jiff::{SignedDuration, Timestamp};
use life_support::{Life, settings, site, start};
use store_support::Folder;
use wattwarden::{
    acquire::Incoming,
    clock::{self, Clock},
    health::Health,
    store::Reader,
};

const SITE: &str = r#"
[site]
name = "plant"
zone = "Asia/Seoul"
main_meter = "main"
[[meter]]
name = "main"
every = "10s"
"#;

/// What the plant draws all the time.
const LOAD_KW: f64 = 90.0;

fn begin(folder: &Folder, clock: &Clock, health: &Health) -> Life {
    Life::begin(folder, site(SITE), clock, settings(Duration::from_secs(2)), health)
}

/// What the store knows afterwards.
struct Known {
    samples: Vec<Sample>,
    ticks: Vec<Timestamp>,
    intervals: Vec<Interval>,
    metrics: String,
}

/// `hours` of the wall with a reading each ten seconds, the clock wrong by `first_s` and after 65 minutes by `set_s`;
/// `is_restarted`: set while the program is down.
async fn lived((first_s, set_s): (i64, i64), hours: u64, is_restarted: bool) -> Known {
    let (origin, offset_s) = (clock::monotonic(), Arc::new(AtomicI64::new(first_s)));
    let time_of_day = {
        let offset_s = Arc::clone(&offset_s);
        move || {
            start()
                + SignedDuration::try_from(origin.elapsed()).unwrap()
                + SignedDuration::from_secs(offset_s.load(Ordering::Relaxed))
        }
    };
    let folder = Folder::new();
    let health = Health::default();
    let mut clock = Clock::following(time_of_day.clone());
    let mut life = begin(&folder, &clock, &health);
    for step in 0..=hours * 360 {
        if step == 390 {
            if is_restarted {
                life.end().await;
                offset_s.store(set_s, Ordering::Relaxed);
                clock = Clock::following(time_of_day.clone());
                life = begin(&folder, &clock, &health);
            }
            offset_s.store(set_s, Ordering::Relaxed);
        }
        let kwh = LOAD_KW * origin.elapsed().as_secs_f64() / 3600.0;
        let readings = vec![Reading::new(Quantity::EnergyImport, 5000.0 + kwh)];
        let sample = Sample {
            meter: "main".into(),
            at: clock.now(),
            readings,
        };
        // Time stands still while the answer is waited for: the disk is real.
        for answer in life.send(&[sample]).await {
            answer.await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    life.end().await;
    let reader = Reader::open(&folder.store()).unwrap();
    let entries = reader.entries(1, 1_000_000).unwrap();
    Known {
        ticks: entries.iter().filter_map(|entry| entry.tick).collect(),
        samples: entries.into_iter().flat_map(|entry| entry.samples).collect(),
        intervals: reader.intervals(None, Timestamp::MIN, Timestamp::MAX).unwrap(),
        metrics: health.exposition(),
    }
}

/// Lives through it and checks what holds however the clock was set: minutes ticked, samples kept, energy as drawn or
/// unknown. Gives the samples in doubt and the data hours of which the energy is not known.
async fn check((first_s, set_s): (i64, i64), hours: u64, is_restarted: bool, counted: &str) -> (usize, f64) {
    let known = lived((first_s, set_s), hours, is_restarted).await;
    let context = format!("set from {first_s} s to {set_s} s, restarted: {is_restarted}");
    assert_eq!(
        known.samples.len() as u64,
        hours * 360 + 1,
        "{context}: each reading is kept"
    );
    assert!(
        known.samples.is_sorted_by(|a, b| a.at < b.at),
        "{context}: none stands under another's stamp"
    );
    assert!(known.ticks.is_sorted_by(|a, b| a < b), "{context}");
    let longest = known
        .ticks
        .windows(2)
        .map(|pair| pair[1].duration_since(pair[0]))
        .max()
        .unwrap();
    assert!(
        set_s > first_s || longest == SignedDuration::from_mins(1),
        "{context}: each minute ticks, {longest:?}"
    );
    assert!(
        known
            .metrics
            .contains(&format!("wattwarden_clock_steps_total{{direction=\"{counted}\"}} 1\n")),
        "{}",
        known.metrics
    );
    let mut unknown_h = 0.0;
    for interval in &known.intervals {
        unknown_h += (1.0 - interval.coverage) / 4.0;
        let energy_kwh = interval.energy_import_kwh.unwrap_or(0.0);
        let covered_kwh = LOAD_KW * interval.coverage / 4.0;
        assert!(
            (energy_kwh - covered_kwh).abs() < 0.3,
            "{context}: {covered_kwh} kWh wanted, {interval:?}"
        );
        assert_eq!(
            interval.energy_import_kwh.is_none(),
            interval.coverage == 0.0,
            "{context}: {interval:?}"
        );
    }
    let is_suspect = |sample: &&Sample| sample.readings[0].quality == Quality::ClockSuspect;
    (known.samples.iter().filter(is_suspect).count(), unknown_h)
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_by_an_hour_stops_nothing_and_its_stamps_are_in_doubt() {
    for is_restarted in [false, true] {
        // It is caught up with after two hours, in which data time goes on by one.
        let (suspect, unknown_h) = check((0, -3600), 5, is_restarted, "back").await;
        assert!((715..=722).contains(&suspect), "{suspect} in doubt");
        assert!((0.9..1.1).contains(&unknown_h), "{unknown_h} h unknown");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_by_seconds_costs_seconds() {
    let (suspect, unknown_h) = check((0, -30), 3, false, "back").await;
    assert!((5..=7).contains(&suspect), "{suspect} in doubt");
    assert!(unknown_h < 120.0 / 3600.0, "{unknown_h} h unknown");
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_forward_by_nine_hours_leaves_nine_hours_unknown() {
    let (suspect, unknown_h) = check((0, 9 * 3600), 3, false, "forward").await;
    assert_eq!(suspect, 1, "the first behind the leap");
    assert!((9.0..9.1).contains(&unknown_h), "{unknown_h} h unknown");
}

#[tokio::test(start_paused = true)]
async fn a_computer_that_begins_in_1970_tells_nothing_until_its_clock_is_set() {
    let (suspect, unknown_h) = check((-start().as_second(), 0), 3, false, "forward").await;
    assert_eq!(suspect, 391, "all before, and the first behind the leap");
    assert!(unknown_h < 0.5, "{unknown_h} h: 1970 has no intervals");
}

/// Data time goes on while the recorder has no moment to wait for its tick: the channel is never empty.
#[tokio::test]
async fn the_first_tick_comes_however_full_the_channel_is() {
    let (folder, health) = (Folder::new(), Health::default());
    let asked_s = AtomicI64::new(0);
    let clock = Clock::following(move || start() + SignedDuration::from_secs(asked_s.fetch_add(1, Ordering::Relaxed)));
    let life = begin(&folder, &clock, &health);
    for second in 0..5000 {
        let sample = Sample {
            meter: "main".into(),
            at: start() + SignedDuration::from_secs(second),
            readings: vec![Reading::new(Quantity::ActivePower, LOAD_KW)],
        };
        life.intake.send(Incoming { sample, stored: None }).await.unwrap();
    }
    life.end().await;
    let entries = Reader::open(&folder.store()).unwrap().entries(1, 10_000).unwrap();
    assert!(entries.iter().filter(|entry| entry.tick.is_some()).count() > 1);
}
