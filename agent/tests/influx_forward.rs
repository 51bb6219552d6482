//! The forwarder against a false InfluxDB: whatever it answers, each line ends up in it or in the dead letters.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod influx_support;
mod store_support;

use std::ops::Range;

use energy::finding::Severity;
use influx_support::{Fake, Manner, Say, lines_of, tags, until};
use store_support::{Folder, at, finding, interval, open, sample, second};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wattwarden::{
    forward::influx,
    health::Health,
    store::{Commit, Reader, Store},
};

struct Running {
    health: Health,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(fake: &Fake, store: &Store) -> Self {
        let (health, stop) = (Health::default(), CancellationToken::new());
        let task = tokio::spawn(influx::run(
            fake.config(),
            tags(),
            store.clone(),
            health.clone(),
            stop.clone(),
        ));
        Self { health, stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

async fn fill(store: &Store, seconds: Range<i64>) {
    for seconds in seconds {
        store.commit(second(seconds)).await.unwrap();
    }
}

/// Everything the log calls for is in the server, and nothing else.
async fn all_in(fake: &Fake, store: &Store) {
    let wanted = lines_of(store);
    until("all lines are in", || fake.inner().points.len() >= wanted.len()).await;
    assert_eq!(fake.inner().points, wanted);
}

fn letters(folder: &Folder) -> Vec<(String, String)> {
    let (letters, _) = Reader::open(&folder.store()).unwrap().dead_letters(100).unwrap();
    letters
        .into_iter()
        .map(|letter| (letter.payload, letter.reason))
        .collect()
}

#[tokio::test]
async fn all_that_is_committed_arrives_once_and_live() {
    let (folder, fake) = (Folder::new(), Fake::start().await);
    let store = open(&folder);
    let rich = Commit {
        intervals: vec![interval("press-1", 0, 2.5)],
        findings: vec![finding("press-1", 0, Severity::P1)],
        health: vec![("polls_total{bus=\"a\"}".into(), 3.0)],
        ..second(0)
    };
    store.commit(rich).await.unwrap();
    let running = Running::start(&fake, &store);
    all_in(&fake, &store).await;
    fill(&store, 1..40).await;
    all_in(&fake, &store).await;
    until("it is counted", || {
        running
            .health
            .counter("influx_lines_sent_total", &[("influx", "plant")])
            .get()
            == 83
    })
    .await;
    running.stop().await;

    // The place was saved at the stop: nothing goes out again.
    let requests = fake.inner().requests;
    let running = Running::start(&fake, &store);
    fill(&store, 40..41).await;
    all_in(&fake, &store).await;
    running.stop().await;
    assert_eq!(fake.inner().requests, requests + 1);
    assert!(letters(&folder).is_empty());
}

#[tokio::test]
async fn no_answer_of_a_server_that_cannot_or_will_not_costs_a_line() {
    const JSON: &str = r#"{"code":"x","message":"unauthorized access"}"#;
    let answers = [
        Say::Status(401, &[], JSON),
        Say::Status(403, &[], JSON),
        Say::Status(
            404,
            &[],
            r#"{"code":"not found","message":"bucket \"energy\" not found"}"#,
        ),
        Say::Status(429, &[("retry-after", "0")], ""),
        Say::Status(500, &[], JSON),
        Say::Status(
            503,
            &[
                ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
                ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ],
            "",
        ),
        Say::Status(302, &[("location", "http://127.0.0.1:1/login")], ""),
        Say::Status(200, &[], "<html>please sign in</html>"),
        Say::Status(400, &[], "<html>plain HTTP sent to HTTPS port</html>"),
        Say::Status(400, &[], r#"{"code":"invalid","message":"org must not be empty"}"#),
        Say::Status(413, &[], ""),
        Say::Hang,
        Say::Drop,
    ];
    let (folder, fake) = (Folder::new(), Fake::start().await);
    let store = open(&folder);
    fill(&store, 0..3).await;
    fake.inner().script = answers.into();
    let running = Running::start(&fake, &store);
    let health = running.health.clone();
    all_in(&fake, &store).await;
    // The server has the lines before its answer is counted.
    for (verdict, least) in [("hold", 3), ("retry", 6), ("split", 1), ("accepted", 1)] {
        let labels = [("influx", "plant"), ("verdict", verdict)];
        let counter = health.counter("influx_batches_total", &labels);
        until(verdict, || counter.get() >= least).await;
    }
    running.stop().await;
    assert!(letters(&folder).is_empty());
}

#[tokio::test]
async fn one_bad_line_costs_one_line_however_it_is_refused() {
    for manner in [Manner::Named, Manner::Partial, Manner::Silent] {
        let (folder, fake) = (Folder::new(), Fake::start().await);
        let store = open(&folder);
        fake.inner().manner = manner;
        fill(&store, 0..30).await;
        let poisoned = Commit {
            samples: vec![sample("poison", 30, 1.0), sample("press-1", 30, 1.0)],
            ..Commit::default()
        };
        store.commit(poisoned).await.unwrap();
        fill(&store, 31..60).await;
        let running = Running::start(&fake, &store);
        let (bad, good): (Vec<_>, Vec<_>) = lines_of(&store).into_iter().partition(|line| line.contains("poison"));
        until("the good lines are in", || fake.inner().points.len() >= good.len()).await;
        until("the bad line is kept", || letters(&folder).len() == 1).await;
        let health = running.health.clone();
        let counted = "wattwarden_influx_lines_rejected_total{influx=\"plant\",reason=";
        let is_counted = |line: &str| line.starts_with(counted) && line.ends_with(" 1");
        until("it is counted", || health.exposition().lines().any(is_counted)).await;
        running.stop.cancel();
        running.task.await.unwrap();
        assert!(fake.inner().points.iter().eq(&good));
        let kept = letters(&folder);
        assert_eq!(kept[0].0, bad[0]);
        assert!(
            kept[0].1.contains("poison") || manner == Manner::Silent,
            "{}",
            kept[0].1
        );
    }
}

#[tokio::test]
async fn a_set_up_that_refuses_every_line_is_held_not_emptied() {
    let (folder, fake) = (Folder::new(), Fake::start().await);
    let store = open(&folder);
    fill(&store, 0..5).await;
    fake.inner().always = Some(Say::Status(
        400,
        &[],
        r#"{"code":"invalid","message":"precision is not supported"}"#,
    ));
    let running = Running::start(&fake, &store);
    until("it has tried again and again", || fake.inner().requests > 60).await;
    assert!(letters(&folder).is_empty());
    assert_eq!(
        running.health.gauge("influx_holding", &[("influx", "plant")]).get(),
        1.0
    );
    fake.inner().always = None;
    all_in(&fake, &store).await;
    running.stop().await;
}

#[tokio::test]
async fn after_an_outage_the_newest_rows_come_first_and_the_backlog_follows() {
    let (folder, fake) = (Folder::new(), Fake::start().await);
    let store = open(&folder);
    fake.inner().always = Some(Say::Status(503, &[], ""));
    let running = Running::start(&fake, &store);
    fill(&store, 0..400).await;
    // One request may have been under way, begun before the last row was there.
    let begun = fake.inner().requests + 2;
    until("it has tried with every row there", || fake.inner().requests > begun).await;
    fake.inner().always = None;
    all_in(&fake, &store).await;
    let accepted = fake.inner().accepted.clone();
    assert_eq!(
        accepted[0].0,
        at(399).as_millisecond(),
        "the newest row is in the first request that is accepted"
    );
    let oldest: Vec<i64> = accepted.iter().map(|times| times.1).collect();
    // On a busy machine a request may be given up and repeated that was taken after all.
    assert!(oldest.is_sorted_by(|a, b| a >= b), "and then it goes back in time");
    until("the backlog is gone", || {
        running
            .health
            .gauge("influx_backlog_rows", &[("influx", "plant")])
            .get()
            == 0.0
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn kills_and_restarts_lose_nothing() {
    let (folder, fake) = (Folder::new(), Fake::start().await);
    let mut store = open(&folder);
    let mut next = 0;
    for round in 0..12 {
        let wanted = fake.inner().requests + 1;
        let running = Running::start(&fake, &store);
        fill(&store, next..next + 50).await;
        next += 50;
        until("a request came", || fake.inner().requests >= wanted).await;
        fake.inner().script.push_back(Say::Status(500, &[], ""));
        if round % 3 == 0 {
            store.close().await.unwrap();
            running.task.await.unwrap();
            store = open(&folder);
        } else {
            running.task.abort();
        }
    }
    // The server is well again: refusals that no request came for would only be waited through.
    fake.inner().script.clear();
    let running = Running::start(&fake, &store);
    all_in(&fake, &store).await;
    running.stop().await;
    assert!(letters(&folder).is_empty());
}

#[tokio::test]
async fn requests_stay_within_what_the_server_takes() {
    let (folder, fake) = (Folder::new(), Fake::start().await);
    let store = open(&folder);
    let wide = |seconds| Commit {
        samples: (0..300)
            .map(|meter| sample(&format!("m{meter}"), seconds, 1.0))
            .collect(),
        ..Commit::default()
    };
    for seconds in 0..20 {
        store.commit(wide(seconds)).await.unwrap();
    }
    fake.inner().limit = 1_000;
    let running = Running::start(&fake, &store);
    all_in(&fake, &store).await;
    running.stop().await;
    assert!(
        (4_000..=5_000).contains(&fake.inner().largest),
        "it begins with 5,000 lines at most and splits"
    );
}

#[tokio::test]
async fn a_receiver_loses_only_rows_that_went_after_it_came() {
    let (folder, fake) = (Folder::new(), Fake::start().await);
    let store = open(&folder);
    fill(&store, 0..30).await;
    let store = evicted_before(&folder, store, 11).await;
    fake.inner().always = Some(Say::Status(503, &[], ""));
    let running = Running::start(&fake, &store);
    until("it has tried", || fake.inner().requests > 0).await;
    assert_eq!(rows_lost(&running), 0);
    // Killed before it has sent anything: its beginning was saved all the same.
    running.task.abort();
    let store = evicted_before(&folder, store, 15).await;
    // Another server: what the first one still had in its hands is nobody's now.
    let fake = Fake::start().await;
    let running = Running::start(&fake, &store);
    all_in(&fake, &store).await;
    assert_eq!(rows_lost(&running), 4);
    running.stop().await;
}

/// The store opened again after rows before `first` gave way, as they do when it is full.
async fn evicted_before(folder: &Folder, store: Store, first: u64) -> Store {
    store.close().await.unwrap();
    let db = rusqlite::Connection::open(folder.store().file()).unwrap();
    db.execute("DELETE FROM log WHERE seq < ?1", [first]).unwrap();
    db.close().unwrap();
    open(folder)
}

fn rows_lost(running: &Running) -> u64 {
    let reason = "log_row_gone";
    running.health.dropped("influx", reason).get()
}

#[tokio::test]
async fn a_damaged_row_is_counted_and_the_rest_arrives() {
    let (folder, fake) = (Folder::new(), Fake::start().await);
    let store = open(&folder);
    fill(&store, 0..10).await;
    let mut wanted = lines_of(&store);
    store.close().await.unwrap();
    let db = rusqlite::Connection::open(folder.store().file()).unwrap();
    db.execute("UPDATE log SET crc = crc + 1 WHERE seq IN (1, 5)", [])
        .unwrap();
    db.close().unwrap();
    for row in [0, 4] {
        wanted.retain(|line| !line.ends_with(&format!(" {}", at(row).as_millisecond())));
    }
    let store = open(&folder);
    let running = Running::start(&fake, &store);
    until("the good rows are in", || fake.inner().points.len() >= wanted.len()).await;
    let damaged = running.health.dropped("influx", "log_row_damaged");
    until("the damaged rows are counted", || damaged.get() == 2).await;
    running.stop().await;
    assert_eq!(fake.inner().points, wanted);
}

/// A server is asked whether it would take lines by being handed none: version 2 calls that a bad request, once it has
/// let us in.
#[tokio::test]
async fn whether_a_server_would_take_lines_is_told_without_a_line() {
    let fake = Fake::start().await;
    let check = async |status, body, expected: Option<&str>| {
        fake.inner().always = Some(Say::Status(status, &[], body));
        let said = influx::reach(&fake.config()).await;
        match expected {
            None => assert_eq!(said, Ok(()), "{status}"),
            Some(text) => assert!(said.as_ref().is_err_and(|why| why.contains(text)), "{status}: {said:?}"),
        }
    };
    let no_points = r#"{"code":"invalid","message":"unable to parse points: writing requires points"}"#;
    check(204, "", None).await;
    check(400, no_points, None).await;
    check(
        401,
        r#"{"code":"unauthorized","message":"unauthorized access"}"#,
        Some("unauthorized access"),
    )
    .await;
    check(
        404,
        r#"{"code":"not found","message":"bucket \"energy\" not found"}"#,
        Some("not found"),
    )
    .await;
    check(503, "", Some("503")).await;
    check(400, "<html>a proxy</html>", Some("not an answer of InfluxDB")).await;
    assert!(fake.inner().points.is_empty());
}
