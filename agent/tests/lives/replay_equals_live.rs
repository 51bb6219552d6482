//! Living through a morning and replaying its export say the same, byte for byte: with a restart that loses what was
//! not committed, a gap of all meters, a meter that delivers three minutes late, and rows shuffled within a minute.

use std::{collections::BTreeMap, io::Cursor, time::Duration};

use crate::life_support::{Life, SITE, findings, site, start};
use crate::store_support::Folder;
use energy::{Quantity, Reading, Sample, Site};
use jiff::{SignedDuration, Timestamp};
use wattwarden::{
    acquire::{Incoming, csv::Rows},
    cli::export::export,
    clock::Clock,
    health::Health,
    record,
    replay::{Outcome, Replay},
    store::Reader,
};

/// A machine more, whose meter delivers late.
const DRYER: &str = r#"
[[meter]]
name = "dryer"
every = "10s"
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
async fn meters(life: &Life, clock: &Clock, from: i64, until: i64) {
    for step in from * 6..until * 6 {
        let now = start() + SignedDuration::from_secs(step * 10);
        clock.sleep_until(now).await;
        let spoken = [sample("main", now), sample("press", now), sample("dryer", now - LATE)];
        for sample in spoken.into_iter().flatten().filter(|sample| sample.at >= start()) {
            life.intake.send(Incoming { sample, stored: None }).await.unwrap();
        }
    }
}

fn plant() -> Site {
    site(&format!("{SITE}{DRYER}"))
}

fn begin(folder: &Folder, clock: &Clock) -> Life {
    let settings = record::Config {
        commit_every: Duration::from_millis(20),
        lateness: Duration::from_secs(20),
    };
    Life::begin(folder, plant(), clock, settings, &Health::default())
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
    let mut replay = Replay::new(plant());
    for row in Rows::open(Cursor::new(csv), None).unwrap_or_else(|errors| panic!("{errors:?}")) {
        replay.take(row.unwrap());
    }
    replay.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_morning_replays_as_it_was_lived() {
    let (folder, clock) = (Folder::new(), Clock::scaled(start(), SPEED));
    let life = begin(&folder, &clock);
    meters(&life, &clock, 0, 35).await;
    life.cut().await;
    let life = begin(&folder, &clock);
    meters(&life, &clock, 35, MINUTES).await;
    life.end().await;

    let reader = Reader::open(&folder.store()).unwrap();
    let mut csv = Vec::new();
    assert_eq!(export(&reader, &mut csv).unwrap(), 0);
    let outcome = replayed(&shuffled(std::str::from_utf8(&csv).unwrap()));

    let lived = serde_json::to_string_pretty(&findings(&reader)).unwrap();
    let again = serde_json::to_string_pretty(&outcome.findings).unwrap();
    assert_eq!(lived, again);
    let kinds: Vec<&str> = outcome.findings.iter().map(|finding| finding.kind.name()).collect();
    assert_eq!(kinds, ["idle_running", "idle_running", "demand_peak"], "{lived}");
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
}
