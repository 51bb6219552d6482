//! The store as its users see it: what was committed is read back, after every kind of end and of damage.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod store_support;

use std::{fs, path::Path};

use energy::{
    Now, Quantity,
    finding::{Condition, Kind, Severity},
    interval::{Repair, RepairKind},
    now::MeterNow,
};
use proptest::prelude::*;
use rusqlite::Connection;
use store_support::{Folder, at, closed, finding, interval, open, sample, second, store_in};
use wattwarden::{
    health::Health,
    store::{
        Acknowledgement, Commit, Config, DeadLetter, FindingFilter, LogError, OpenError, Progress, Reader, SeqRange,
        Snapshot, Store, StoreError,
    },
};

fn now() -> Now {
    Now {
        at: at(5),
        demand: None,
        today: None,
        meters: vec![MeterNow {
            meter: "press-1".into(),
            at: at(5),
            readings: sample("press-1", 5, f64::NAN).readings,
            power_kw: None,
            is_stale: false,
        }],
        machines: Vec::new(),
    }
}

/// A receiver that begins while the first row is written must not begin behind it.
#[tokio::test]
async fn the_first_row_is_the_first_whenever_one_asks() {
    for _ in 0..20 {
        let folder = Folder::new();
        let store = open(&folder);
        let reader = store.reader().unwrap();
        let asking = tokio::task::spawn_blocking(move || {
            while reader.last_seq().unwrap() == 0 {
                for _ in 0..20 {
                    assert_eq!(reader.first_seq().unwrap(), 1);
                }
            }
        });
        store.commit(second(0)).await.unwrap();
        asking.await.unwrap();
    }
}

#[tokio::test]
async fn what_is_committed_is_there_after_a_restart() {
    let folder = Folder::new();
    let store = open(&folder);
    let snapshot = Snapshot {
        at: at(1),
        format: 3,
        body: vec![1, 2, 3],
    };
    let first = Commit {
        snapshot: Some(snapshot.clone()),
        now: Some(now()),
        ..second(0)
    };
    let second_row = Commit {
        intervals: vec![interval("press-1", 0, 2.5)],
        findings: vec![finding("press-1", 0, Severity::P2)],
        health: vec![("polls_total{bus=\"a\"}".into(), 7.0)],
        ..second(1)
    };
    assert_eq!(store.commit(first.clone()).await, Ok(1));
    assert_eq!(store.commit(second_row.clone()).await, Ok(2));
    assert_eq!(*store.committed().borrow(), 2);
    store.close().await.unwrap();

    let store = open(&folder);
    assert_eq!(*store.committed().borrow(), 2, "a restart knows where the log ends");
    assert_eq!(store.commit(second(2)).await, Ok(3), "and goes on without a hole");
    let reader = store.reader().unwrap();
    let entries = reader.entries(1, 10).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((&entries[0].tick, &entries[0].samples), (&first.tick, &first.samples));
    assert_eq!(entries[1].findings, second_row.findings);
    assert_eq!(entries[1].intervals, second_row.intervals);
    assert_eq!(entries[1].health, second_row.health);
    assert_eq!(reader.snapshot().unwrap(), Some((1, snapshot)));
    assert_eq!(format!("{:?}", reader.now().unwrap()), format!("{:?}", Some(now())));
    assert_eq!((reader.first_seq().unwrap(), reader.last_seq().unwrap()), (1, 3));
}

fn reset() -> Repair {
    Repair {
        kind: RepairKind::Reset,
        quantity: Quantity::EnergyImport,
        since: at(60),
        until: at(120),
        before: 100.25,
        after: 0.5,
        amount: None,
        why: [("fall".to_owned(), 99.75)].into(),
    }
}

#[tokio::test]
async fn projections_keep_the_latest_state() {
    let folder = Folder::new();
    let store = open(&folder);
    let opened = finding("press-1", 0, Severity::P2);
    let mut reopened = energy::Interval {
        revision: 1,
        ..interval("press-1", 0, 3.0)
    };
    reopened.raw.energy_import_kwh = Some(-97.0);
    reopened.repairs = vec![reset()];
    let first = [
        interval("press-1", 0, 2.5),
        interval("press-1", 900, 2.0),
        interval("press-2", 0, 9.0),
    ];
    let steps = [
        (vec![opened.clone()], first.to_vec()),
        (vec![closed(opened.clone(), 2000)], vec![reopened.clone()]),
        // An older revision that comes again does not undo the newer.
        (vec![], vec![interval("press-1", 0, 2.5)]),
    ];
    for (findings, intervals) in steps {
        let commit = Commit {
            findings,
            intervals,
            ..Commit::default()
        };
        store.commit(commit).await.unwrap();
    }
    let reader = store.reader().unwrap();
    assert_eq!(reader.intervals(Some("press-1"), at(0), at(900)).unwrap(), [reopened]);
    assert_eq!(reader.intervals(None, at(0), at(901)).unwrap().len(), 3);
    assert_eq!(
        reader.finding(&opened.id).unwrap().unwrap().finding,
        closed(opened, 2000)
    );
    assert_eq!(reader.finding("nothing").unwrap(), None);
}

#[tokio::test]
async fn filters_pick_findings_newest_first() {
    let folder = Folder::new();
    let store = open(&folder);
    let early = closed(finding("press-1", 0, Severity::P2), 2000);
    let findings = vec![early, finding("press-2", 5000, Severity::P1)];
    let commit = Commit {
        findings,
        ..Commit::default()
    };
    store.commit(commit).await.unwrap();
    let reader = store.reader().unwrap();
    let check = |pick: fn(&mut FindingFilter), expected: &[&str]| {
        let mut filter = FindingFilter::default();
        pick(&mut filter);
        let found = reader.findings(&filter).unwrap();
        let machines: Vec<&str> = found.iter().map(|stored| &*stored.finding.machine).collect();
        assert_eq!(machines, expected, "{filter:?}");
    };
    check(|_| {}, &["press-2", "press-1"]);
    check(|filter| filter.state = Some(Condition::Open), &["press-2"]);
    check(|filter| filter.state = Some(Condition::Closed), &["press-1"]);
    check(|filter| filter.from = Some(at(2000)), &["press-2", "press-1"]);
    check(|filter| filter.from = Some(at(2001)), &["press-2"]);
    check(|filter| filter.until = Some(at(5000)), &["press-1"]);
    check(|filter| filter.machine = Some("press-1".into()), &["press-1"]);
    check(|filter| filter.kind = Some(Kind::AirLeak), &[]);
    check(|filter| filter.limit = Some(1), &["press-2"]);
}

#[tokio::test]
async fn a_series_is_in_order_of_time_with_late_samples_in_their_place() {
    let folder = Folder::new();
    let store = open(&folder);
    for seconds in [0, 1, 4, 2, 60, 3] {
        store.commit(second(seconds)).await.unwrap();
    }
    let reader = store.reader().unwrap();
    let series = reader.series("press-1", Quantity::ActivePower, at(1), at(60)).unwrap();
    assert_eq!(series.times, [1, 2, 3, 4].map(at));
    assert_eq!(series.values, [1.5, 2.5, 3.5, 4.5]);
    assert_eq!(series.qualities.len(), 4);
    assert!(
        reader
            .series("press-9", Quantity::ActivePower, at(0), at(60))
            .unwrap()
            .times
            .is_empty()
    );
}

#[tokio::test]
async fn what_people_say_is_appended_and_cannot_be_changed() {
    let folder = Folder::new();
    let store = open(&folder);
    let finding = finding("press-1", 0, Severity::P2);
    store
        .commit(Commit {
            findings: vec![finding.clone()],
            ..Commit::default()
        })
        .await
        .unwrap();
    let said = |comment: &str, seconds| Acknowledgement {
        id: finding.id.clone(),
        by: "김영희".into(),
        comment: comment.into(),
        at: at(seconds),
    };
    store.acknowledge(said("보고 있음", 700)).await.unwrap();
    store.acknowledge(said("valve closed", 800)).await.unwrap();
    let unknown = Acknowledgement {
        id: "no.such".into(),
        ..said("", 0)
    };
    assert_eq!(
        store.acknowledge(unknown).await,
        Err(StoreError::UnknownFinding("no.such".into()))
    );

    let reader = store.reader().unwrap();
    let stored = reader.finding(&finding.id).unwrap().unwrap();
    assert_eq!(stored.acknowledged, Some(said("valve closed", 800)));
    let trail = reader.audit(&finding.id).unwrap();
    assert_eq!(
        trail
            .iter()
            .map(|audit| audit.entry.comment.as_str())
            .collect::<Vec<_>>(),
        ["보고 있음", "valve closed"]
    );
    let db = Connection::open(folder.store().file()).unwrap();
    for statement in ["UPDATE audit SET comment = ''", "DELETE FROM audit"] {
        let refused = db.execute(statement, []).unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{refused}");
    }
}

#[tokio::test]
async fn progress_dead_letters_and_deliveries_are_saved_together() {
    let folder = Folder::new();
    let store = open(&folder);
    let letter = DeadLetter {
        at: at(3),
        source: "influx:plant".into(),
        reason: "field type conflict".into(),
        payload: "가".repeat(DeadLetter::PAYLOAD_LIMIT),
    };
    let ranges = vec![SeqRange { from: 3, to: Some(9) }, SeqRange { from: 20, to: None }];
    let progress = Progress {
        reader: "influx:plant".into(),
        ranges: Some(ranges.clone()),
        dead_letters: vec![letter.clone()],
        delivered: vec!["a.opened".into(), "a.opened".into()],
    };
    store.progress(progress).await.unwrap();
    store.close().await.unwrap();
    let reader = Reader::open(&folder.store()).unwrap();
    assert_eq!(reader.cursor("influx:plant").unwrap(), ranges);
    assert_eq!(reader.cursor("influx:other").unwrap(), []);
    assert!(reader.is_delivered("influx:plant", "a.opened").unwrap());
    assert!(!reader.is_delivered("alert:x", "a.opened").unwrap());
    let (letters, count) = reader.dead_letters(5).unwrap();
    assert_eq!((count, letters[0].at), (1, at(3)));
    assert!(letters[0].payload.len() <= DeadLetter::PAYLOAD_LIMIT && letter.payload.starts_with(&letters[0].payload));
}

#[tokio::test]
async fn a_store_over_its_limit_lets_the_oldest_rows_go_and_counts_them() {
    let folder = Folder::new();
    let health = Health::default();
    let config = Config {
        max_size: 400_000,
        ..folder.store()
    };
    let store = Store::open(&config, &health).unwrap();
    let wide = |seconds: i64| Commit {
        samples: (0..60)
            .map(|meter| sample(&format!("m{meter}"), seconds, f64::from(meter).sqrt()))
            .collect(),
        intervals: vec![interval("m0", seconds * 900, 1.0)],
        ..Commit::default()
    };
    for seconds in 0..600 {
        let snapshot = (seconds % 100 == 0).then(|| Snapshot {
            at: at(seconds),
            format: 1,
            body: vec![0; 100],
        });
        store
            .commit(Commit {
                snapshot,
                ..wide(seconds)
            })
            .await
            .unwrap();
    }
    let reader = store.reader().unwrap();
    let first = reader.first_seq().unwrap();
    assert!(first > 1, "rows went");
    assert!(
        first <= reader.snapshot().unwrap().unwrap().0 + 1,
        "but none that a restart needs"
    );
    let gone = health.dropped("store", "oldest_log_row").get();
    assert_eq!(gone, first - 1);
    assert_eq!(
        reader.entries(1, 3).unwrap()[0].seq,
        first,
        "a reader goes on with what is left"
    );
    assert_eq!(
        reader.intervals(Some("m0"), at(0), at(600 * 900)).unwrap().len(),
        600,
        "intervals stay"
    );
    assert!(fs::metadata(config.file()).unwrap().len() < 2_000_000);
}

#[tokio::test]
async fn a_damaged_row_is_named_and_passed() {
    let folder = Folder::new();
    let store = open(&folder);
    for seconds in 0..6 {
        store.commit(second(seconds)).await.unwrap();
    }
    store.close().await.unwrap();
    let db = Connection::open(folder.store().file()).unwrap();
    let mut body: Vec<u8> = db
        .query_row("SELECT body FROM log WHERE seq = 3", [], |row| row.get(0))
        .unwrap();
    body[5] ^= 0x10;
    db.execute("UPDATE log SET body = ?1 WHERE seq = 3", [&body]).unwrap();
    db.execute("DELETE FROM log WHERE seq = 5", []).unwrap();
    db.close().unwrap();

    let store = open(&folder);
    let reader = store.reader().unwrap();
    let mut seen = Vec::new();
    let mut next = 1;
    while next <= 6 {
        match reader.entries(next, 10) {
            Ok(entries) => {
                next = entries.last().unwrap().seq + 1;
                seen.extend(entries.iter().map(|entry| entry.seq.to_string()));
            }
            Err(LogError::Damaged { seq, reason }) => {
                next = seq + 1;
                seen.push(format!("{seq}:{}", reason.split(' ').nth(1).unwrap()));
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(seen.join(" "), "1 2 3:checksum 4 5:is 6");
    let series = reader.series("press-1", Quantity::ActivePower, at(0), at(60)).unwrap();
    assert_eq!((series.values, series.damaged_rows), (vec![0.5, 1.5, 3.5, 5.5], 1));
}

fn refusal(config: &Config) -> String {
    Store::open(config, &Health::default()).unwrap_err().to_string()
}

#[tokio::test]
async fn what_cannot_be_opened_says_why_and_how_to_mend_it() {
    let missing = store_in(Path::new("/nowhere/at/all"));
    assert!(refusal(&missing).contains("mkdir -p /nowhere/at/all"));
    assert!(matches!(Reader::open(&missing), Err(OpenError::NoFolder(_))));
    assert!(refusal(&store_in(Path::new("/proc/self"))).contains("cannot be written"));

    let folder = Folder::new();
    assert!(Reader::open(&folder.store()).is_err(), "there is nothing to read yet");
    let store = open(&folder);
    let in_use = refusal(&folder.store());
    assert!(in_use.contains(&format!("process {}", std::process::id())), "{in_use}");
    store.commit(second(0)).await.unwrap();
    store.close().await.unwrap();

    let file = folder.store().file();
    let db = Connection::open(&file).unwrap();
    db.execute("UPDATE meta SET value = '9' WHERE key = 'format'", [])
        .unwrap();
    db.close().unwrap();
    let before = fs::read(&file).unwrap();
    let newer = refusal(&folder.store());
    assert!(newer.contains("format 9") && newer.contains("up to 1"), "{newer}");
    assert!(matches!(
        Reader::open(&folder.store()),
        Err(OpenError::Newer { found: 9, .. })
    ));
    assert_eq!(fs::read(&file).unwrap(), before, "a newer file is not touched");
}

#[tokio::test]
async fn a_truncated_or_foreign_file_is_a_clear_error_at_every_length() {
    let folder = Folder::new();
    let store = open(&folder);
    for seconds in 0..200 {
        store.commit(second(seconds)).await.unwrap();
    }
    store.close().await.unwrap();
    let whole = fs::read(folder.store().file()).unwrap();
    // Inside the last page the length cannot tell; the row that lay there can.
    let last_page = whole.len() - 4096;
    for length in (1..=last_page)
        .step_by(3001)
        .chain([99, 100, 511, 512, 4095, 4096, 4097, last_page])
    {
        let other = Folder::new();
        fs::write(other.store().file(), &whole[..length]).unwrap();
        let text = refusal(&other.store());
        assert!(text.contains("damaged or not a store"), "{length}: {text}");
    }
    let other = Folder::new();
    fs::write(
        other.store().file(),
        "not a database, but longer than the header of one".repeat(10),
    )
    .unwrap();
    assert!(refusal(&other.store()).contains("damaged or not a store"));
    let db = Connection::open(other.path().join("other.sqlite")).unwrap();
    db.execute_batch("CREATE TABLE meta (key TEXT, value TEXT)").unwrap();
    db.close().unwrap();
    fs::rename(other.path().join("other.sqlite"), other.store().file()).unwrap();
    assert!(refusal(&other.store()).contains("its format is None"));
}

#[tokio::test]
async fn dead_letters_that_give_way_to_newer_ones_are_counted() {
    let folder = Folder::new();
    let health = Health::default();
    let store = Store::open(&folder.store(), &health).unwrap();
    let letter = |number: u64| DeadLetter {
        at: at(0),
        source: "influx:plant".into(),
        reason: "refused".into(),
        payload: number.to_string(),
    };
    let together = Progress {
        reader: "influx:plant".into(),
        dead_letters: (0..DeadLetter::COUNT_LIMIT + 7).map(letter).collect(),
        ..Progress::default()
    };
    store.progress(together).await.unwrap();
    store.dead_letter(letter(99)).await.unwrap();
    let (_, kept) = store.reader().unwrap().dead_letters(0).unwrap();
    assert_eq!(kept, DeadLetter::COUNT_LIMIT);
    let counted = "wattwarden_dropped_total{part=\"store\",reason=\"oldest_dead_letter\"} 8\n";
    assert!(health.exposition().contains(counted), "{}", health.exposition());
    store.close().await.unwrap();
}

#[tokio::test]
async fn after_close_the_other_handles_say_so() {
    let folder = Folder::new();
    let store = open(&folder);
    let other = store.clone();
    store.close().await.unwrap();
    assert_eq!(other.commit(second(0)).await, Err(StoreError::Closed));
    assert!(
        !folder.path().join("wattwarden.sqlite-wal").exists(),
        "the write-ahead log is folded in"
    );
}

/// One step of the model test.
#[derive(Debug, Clone)]
enum Step {
    Append(u8),
    Read { from: u64, limit: usize },
    Restart,
    PowerCut,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..9u8).prop_map(Step::Append),
        3 => (0..30u64, 1..20usize).prop_map(|(from, limit)| Step::Read { from, limit }),
        1 => Just(Step::Restart),
        2 => Just(Step::PowerCut),
    ];
    prop::collection::vec(step, 1..25)
}

/// The files as they lie there now, under a store that still runs: what a power cut would leave.
fn copy_of(folder: &Folder) -> Folder {
    let copy = Folder::new();
    for file in ["wattwarden.sqlite", "wattwarden.sqlite-wal"] {
        let from = folder.path().join(file);
        if from.exists() {
            fs::copy(from, copy.path().join(file)).unwrap();
        }
    }
    copy
}

async fn live_through(steps: Vec<Step>) {
    let mut folder = Folder::new();
    let mut store = open(&folder);
    let mut model = Vec::new();
    for step in steps {
        match step {
            Step::Append(count) => {
                for _ in 0..count {
                    let commit = second(model.len() as i64);
                    model.push(commit.clone());
                    assert_eq!(store.commit(commit).await, Ok(model.len() as u64));
                }
            }
            Step::Read { from, limit } => {
                let entries = store.reader().unwrap().entries(from, limit).unwrap();
                let wanted = model
                    .iter()
                    .enumerate()
                    .skip((from as usize).saturating_sub(1))
                    .take(limit);
                assert!(
                    entries
                        .iter()
                        .map(|e| (e.seq as usize - 1, &e.samples))
                        .eq(wanted.map(|(i, c)| (i, &c.samples)))
                );
            }
            Step::Restart => {
                store.close().await.unwrap();
                store = open(&folder);
            }
            Step::PowerCut => {
                let copy = copy_of(&folder);
                store.close().await.unwrap();
                folder = copy;
                store = open(&folder);
            }
        }
        assert_eq!(*store.committed().borrow(), model.len() as u64);
    }
    store.close().await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn it_behaves_as_a_list_under_appends_reads_restarts_and_power_cuts(steps in steps()) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(live_through(steps));
    }

    /// The write-ahead log cut at any byte, or with any byte changed: what is left is a dense prefix of the truth.
    #[test]
    fn a_torn_write_ahead_log_leaves_a_dense_prefix(share in 0.0..1.0, flip: Option<u8>) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let folder = Folder::new();
            let store = open(&folder);
            for seconds in 0..40 {
                store.commit(second(seconds)).await.unwrap();
            }
            let copy = copy_of(&folder);
            store.close().await.unwrap();
            let wal = copy.path().join("wattwarden.sqlite-wal");
            let mut bytes = fs::read(&wal).unwrap();
            let place = (bytes.len() as f64 * share) as usize;
            match flip {
                Some(mask) => bytes[place] ^= mask,
                None => bytes.truncate(place),
            }
            fs::write(&wal, bytes).unwrap();
            let store = open(&copy);
            let left = *store.committed().borrow();
            let entries = store.reader().unwrap().entries(1, 100).unwrap();
            assert_eq!(entries.len() as u64, left);
            for (index, entry) in entries.iter().enumerate() {
                assert_eq!((entry.seq, &entry.samples), (index as u64 + 1, &second(index as i64).samples));
            }
            assert_eq!(store.commit(second(99)).await, Ok(left + 1));
            store.close().await.unwrap();
        });
    }
}
