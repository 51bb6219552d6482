//! Living through a morning and replaying its export say the same, byte for byte: with a restart that loses what was
//! not committed, a gap of all meters, a meter that delivers three minutes late, and rows shuffled within a minute.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::{collections::BTreeMap, fs, io::Cursor, path::Path, time::Duration};

use energy::{Quantity, Reading, Sample, Site};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wattwarden::{
    acquire::{Incoming, csv::Rows},
    cli::export::export,
    clock::Clock,
    config::{self, Secrets, diagnostic::Source},
    health::Health,
    record::{self, Recorder},
    replay::{Outcome, Replay},
    store::{self, FindingFilter, Reader, Store},
};

const SITE: &str = r#"
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
[[meter]]
name = "dryer"
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
[[machine]]
name = "dryer"
kind = "press"
meter = "dryer"
rated_kw = 55
shift = "day"
off_below_kw = 2
running_from_kw = 14
"#;

/// Data time is this many times as fast as the wall: three hours pass in 27 seconds, and a machine that stalls for a
/// second makes no meter silent.
const SPEED: f64 = 400.0;
const MINUTES: i64 = 180;
/// How long after its instant the dryer delivers.
const LATE: SignedDuration = SignedDuration::from_mins(3);

fn start() -> Timestamp {
    "2026-08-28T09:00:00+09:00".parse().unwrap()
}

fn site() -> Site {
    config::parse(Source::new("site", SITE), Path::new("."), Secrets::LeaveOut)
        .unwrap()
        .config
        .site
}

/// Power of a meter in a minute of the morning; nothing from 80 to 84 (a gap of all), dryer and press idle, a peak.
fn kw(meter: &str, minute: i64) -> Option<f64> {
    match (meter, minute) {
        (_, 80..84) => None,
        ("press", 20..50) | ("dryer", 30..60) => Some(9.0),
        ("press" | "dryer", 0..20 | 50..110) => Some(30.0),
        ("press" | "dryer", _) => Some(0.2),
        (_, 95..110) => Some(140.0),
        _ => Some(60.0),
    }
}

fn sample(meter: &str, at: Timestamp) -> Option<Sample> {
    let minute = at.duration_since(start()).as_mins();
    let wavering = 1.0 + (at.as_second() % 70) as f64 / 1000.0;
    let reading = Reading::new(Quantity::ActivePower, kw(meter, minute)? * wavering);
    Some(Sample {
        meter: meter.into(),
        at,
        readings: vec![reading],
    })
}

/// Sends every meter's samples at their time until `until`; the dryer's come late.
async fn meters(clock: Clock, from: i64, until: i64, intake: mpsc::Sender<Incoming>) {
    for step in from * 6..until * 6 {
        let now = start() + SignedDuration::from_secs(step * 10);
        clock.sleep_until(now).await;
        let spoken = [sample("main", now), sample("press", now), sample("dryer", now - LATE)];
        for sample in spoken.into_iter().flatten().filter(|sample| sample.at >= start()) {
            intake.send(Incoming { sample, stored: None }).await.unwrap();
        }
    }
}

/// One life of the agent; `stop` ends it in order, dropping it does not.
async fn live(store: &Store, clock: &Clock, minutes: std::ops::Range<i64>, stop: &CancellationToken) {
    let engine = record::restore(site(), &store.reader().unwrap()).unwrap();
    let config = record::Config {
        commit_every: Duration::from_millis(20),
        lateness: Duration::from_secs(20),
    };
    let recorder = Recorder::new(engine, store.clone(), clock.clone(), config, Health::default());
    let (intake, taken) = mpsc::channel(64);
    let recording = tokio::spawn(record::run(recorder, taken, stop.clone()));
    meters(clock.clone(), minutes.start, minutes.end, intake).await;
    if minutes.end < MINUTES {
        recording.abort();
        assert!(recording.await.unwrap_err().is_cancelled());
    } else {
        stop.cancel();
        recording.await.unwrap();
    }
}

/// Rows that came after the same tick, in another order.
fn shuffled(csv: &str) -> String {
    let (heading, rows) = csv.split_once('\n').unwrap();
    let tick = |row: &str| row.rsplit(',').next().map(str::to_owned);
    let rows: Vec<&str> = rows.lines().collect();
    let mut out = vec![heading.to_owned()];
    let mut random: u64 = 7;
    for group in rows.chunk_by(|a, b| tick(a) == tick(b)) {
        let mut group = group.to_vec();
        for i in (1..group.len()).rev() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            group.swap(i, (random >> 33) as usize % (i + 1));
        }
        out.extend(group.into_iter().map(str::to_owned));
    }
    out.join("\n") + "\n"
}

fn replayed(csv: &str) -> Outcome {
    let mut replay = Replay::new(site());
    for row in Rows::open(Cursor::new(csv), None).unwrap_or_else(|errors| panic!("{errors:?}")) {
        replay.take(row.unwrap());
    }
    replay.finish()
}

fn findings_of(reader: &Reader) -> Vec<String> {
    let stored = reader.findings(&FindingFilter::default()).unwrap();
    let mut findings: Vec<_> = stored.into_iter().map(|stored| stored.finding).collect();
    findings.sort_by(|a, b| (a.since, &a.id).cmp(&(b.since, &b.id)));
    findings
        .iter()
        .map(|finding| serde_json::to_string(finding).unwrap())
        .collect()
}

fn store_in(folder: &Path) -> Store {
    Store::open(
        &store::Config {
            path: folder.to_owned(),
            max_size: 1 << 30,
        },
        &Health::default(),
    )
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_morning_replays_as_it_was_lived() {
    let folder = std::env::temp_dir().join(format!("wattwarden-replay-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let store = store_in(&folder);
    let clock = Clock::scaled(start(), SPEED);
    let stop = CancellationToken::new();
    live(&store, &clock, 0..35, &stop).await;
    live(&store, &clock, 35..MINUTES, &stop).await;

    let reader = store.reader().unwrap();
    let mut csv = Vec::new();
    assert_eq!(export(&reader, &mut csv).unwrap(), 0);
    let outcome = replayed(&shuffled(std::str::from_utf8(&csv).unwrap()));

    let lived = findings_of(&reader);
    let again: Vec<_> = outcome
        .findings
        .iter()
        .map(|finding| serde_json::to_string(finding).unwrap())
        .collect();
    assert_eq!(lived, again);
    let kinds: Vec<&str> = outcome.findings.iter().map(|finding| finding.kind.name()).collect();
    assert_eq!(kinds, ["idle_running", "idle_running", "demand_peak"], "{lived:#?}");
    assert_eq!(
        outcome.findings[0].since,
        start() + SignedDuration::from_mins(20),
        "the restart did not move it"
    );
    assert!(outcome.tally.late > 500, "the dryer was late: {:?}", outcome.tally);

    let key = |interval: &energy::Interval| (interval.start, interval.meter.clone());
    let text = |interval: &energy::Interval| serde_json::to_string(interval).unwrap();
    let replayed: BTreeMap<_, _> = outcome.intervals.iter().map(|i| (key(i), text(i))).collect();
    let lived = reader.intervals(None, Timestamp::MIN, Timestamp::MAX).unwrap();
    assert!(lived.len() >= 30, "{}", lived.len());
    for interval in &lived {
        assert_eq!(Some(&text(interval)), replayed.get(&key(interval)));
    }
    let tail = start() + SignedDuration::from_mins(MINUTES - 30);
    let lived: Vec<_> = lived.iter().map(key).collect();
    assert!(
        replayed.keys().all(|key| lived.contains(key) || key.0 >= tail),
        "nothing but the end is added"
    );
    store.close().await.unwrap();
    fs::remove_dir_all(&folder).unwrap();
}
