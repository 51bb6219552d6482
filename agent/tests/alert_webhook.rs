//! Messages against a receiver that fails, is slow, refuses, and outlives the agent: each arrives once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod store_support;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use energy::{Finding, finding::Severity};
use reqwest::Url;
use serde_json::Value;
use store_support::{Folder, closed, finding, open, second};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wattwarden::{
    alert::{self, Config},
    clock::Clock,
    health::Health,
    store::{Commit, Store},
};

/// What the receiver does with a message.
#[derive(Clone, Copy)]
enum Say {
    Status(u16),
    Hang,
}

#[derive(Clone)]
struct Receiver {
    url: Url,
    script: Arc<Mutex<VecDeque<Say>>>,
    /// Ids of messages taken, and of those refused or unanswered.
    taken: Arc<Mutex<Vec<String>>>,
    turned_away: Arc<Mutex<Vec<String>>>,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook/s3cret?key=s3cret", listener.local_addr().unwrap());
        let receiver = Self {
            url: url.parse().unwrap(),
            script: Arc::default(),
            taken: Arc::default(),
            turned_away: Arc::default(),
            bodies: Arc::default(),
        };
        let router = Router::new()
            .route("/hook/s3cret", post(take))
            .with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        receiver
    }

    fn says(&self, script: &[Say]) {
        self.script.lock().unwrap().extend(script);
    }

    fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }

    async fn until_taken(&self, count: usize) {
        for _ in 0..6_000 {
            if self.taken().len() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("waited 30 s for {count} messages, there are {:?}", self.taken());
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap();
    let id = body["id"].as_str().unwrap().to_owned();
    assert_eq!(headers["idempotency-key"], id);
    assert_eq!(headers["content-type"], "application/json");
    let said = receiver.script.lock().unwrap().pop_front();
    let status = match said {
        None => 204,
        Some(Say::Status(status)) => status,
        Some(Say::Hang) => {
            receiver.turned_away.lock().unwrap().push(id);
            return std::future::pending().await;
        }
    };
    let list = if status < 300 {
        &receiver.taken
    } else {
        &receiver.turned_away
    };
    list.lock().unwrap().push(id);
    receiver.bodies.lock().unwrap().push(body);
    (StatusCode::from_u16(status).unwrap(), [("retry-after", "0")]).into_response()
}

struct Running {
    health: Health,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Starts the part and waits until it has its place, so that nothing of the test is past to it.
    async fn start(receiver: &Receiver, store: &Store) -> Self {
        let (health, stop) = (Health::default(), CancellationToken::new());
        let config = Config {
            timeout: Duration::from_millis(300),
            first_wait: Duration::from_millis(2),
            longest_wait: Duration::from_millis(10),
            ..Config::new("maintenance".into(), receiver.url.clone(), Severity::P2)
        };
        let clock = Clock::scaled(store_support::at(0), 1.0);
        let task = tokio::spawn(alert::run(config, store.clone(), clock, health.clone(), stop.clone()));
        while store.reader().unwrap().cursor("alert:maintenance").unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Self { health, stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

async fn commit(store: &Store, findings: &[Finding]) {
    let commit = Commit {
        findings: findings.to_vec(),
        ..second(0)
    };
    store.commit(commit).await.unwrap();
}

fn ids(findings: &[(&Finding, &str)]) -> Vec<String> {
    findings
        .iter()
        .map(|(finding, event)| format!("{}.{event}", finding.id))
        .collect()
}

#[tokio::test]
async fn an_opening_and_a_close_are_one_message_each_with_the_finding_inside() {
    let (folder, receiver) = (Folder::new(), Receiver::start().await);
    let store = open(&folder);
    commit(&store, &[finding("of-the-past", 0, Severity::P1)]).await;
    let running = Running::start(&receiver, &store).await;
    let press = finding("press-1", 0, Severity::P2);
    commit(&store, std::slice::from_ref(&press)).await;
    receiver.until_taken(1).await;
    // The same transition again, a quiet row, and one that nobody wanted to hear of.
    commit(&store, &[press.clone(), finding("lamp", 0, Severity::P3)]).await;
    commit(&store, &[]).await;
    let mut ended = closed(press.clone(), 900);
    ended.severity = Severity::P3;
    commit(&store, &[ended.clone(), closed(finding("lamp", 0, Severity::P3), 901)]).await;
    receiver.until_taken(2).await;
    // Opened and closed within one row.
    let short = closed(finding("press-2", 0, Severity::P1), 700);
    commit(&store, std::slice::from_ref(&short)).await;
    receiver.until_taken(4).await;
    running.stop().await;

    let wanted = ids(&[
        (&press, "opened"),
        (&press, "closed"),
        (&short, "opened"),
        (&short, "closed"),
    ]);
    assert_eq!(receiver.taken(), wanted);
    let bodies = receiver.bodies.lock().unwrap().clone();
    assert_eq!(bodies[0]["event"], "opened");
    assert_eq!(bodies[0]["finding"], serde_json::to_value(&press).unwrap());
    assert_eq!(bodies[1]["event"], "closed");
    assert_eq!(bodies[1]["finding"], serde_json::to_value(&ended).unwrap());
    assert_eq!(
        (&bodies[2]["finding"]["state"], &bodies[2]["finding"]["until"]),
        (&"open".into(), &Value::Null)
    );
    assert_eq!(bodies[3]["finding"]["state"], "closed");
}

#[tokio::test]
async fn a_receiver_that_fails_or_is_slow_gets_the_message_when_it_can() {
    let (folder, receiver) = (Folder::new(), Receiver::start().await);
    let store = open(&folder);
    let running = Running::start(&receiver, &store).await;
    let script = [500, 503, 429, 408, 302].map(Say::Status);
    receiver.says(&script);
    receiver.says(&[Say::Hang]);
    let (first, second) = (finding("press-1", 0, Severity::P1), finding("press-2", 0, Severity::P1));
    commit(&store, &[first.clone(), second.clone()]).await;
    receiver.until_taken(2).await;
    let retried = running
        .health
        .counter("alerts_retried_total", &[("alert", "maintenance")])
        .get();
    running.stop().await;
    assert_eq!(
        receiver.taken(),
        ids(&[(&first, "opened"), (&second, "opened")]),
        "in order, once each"
    );
    assert_eq!(*receiver.turned_away.lock().unwrap(), ids(&[(&first, "opened"); 6]));
    assert_eq!(retried, 6);
    assert_eq!(store.reader().unwrap().dead_letters(9).unwrap().1, 0);
}

#[tokio::test]
async fn a_message_refused_for_good_is_kept_and_the_next_one_goes() {
    let (folder, receiver) = (Folder::new(), Receiver::start().await);
    let store = open(&folder);
    let running = Running::start(&receiver, &store).await;
    receiver.says(&[Say::Status(410)]);
    let (first, second) = (finding("press-1", 0, Severity::P1), finding("press-2", 0, Severity::P1));
    commit(&store, &[first.clone(), second.clone()]).await;
    receiver.until_taken(1).await;
    running.stop().await;
    // Refused is settled: a restart does not bring it back.
    let running = Running::start(&receiver, &store).await;
    commit(&store, &[first.clone(), closed(second.clone(), 900)]).await;
    receiver.until_taken(2).await;
    running.stop().await;
    assert_eq!(receiver.taken(), ids(&[(&second, "opened"), (&second, "closed")]));
    let (letters, count) = store.reader().unwrap().dead_letters(9).unwrap();
    assert_eq!((count, letters[0].source.as_str()), (1, "alert:maintenance"));
    assert!(letters[0].reason.contains("410") && letters[0].payload.contains(&first.id));
    assert!(!format!("{letters:?}").contains("s3cret"));
}

#[tokio::test]
async fn restarts_at_any_moment_lose_no_message() {
    let (folder, receiver) = (Folder::new(), Receiver::start().await);
    let mut store = open(&folder);
    let mut wanted = Vec::new();
    let mut running = Running::start(&receiver, &store).await;
    for round in 0..10 {
        receiver.says(&[Say::Status(500), Say::Hang]);
        let short = closed(finding(&format!("press-{round}"), 0, Severity::P1), 700);
        wanted.extend(ids(&[(&short, "opened"), (&short, "closed")]));
        let before = receiver.taken().len() + receiver.turned_away.lock().unwrap().len();
        commit(&store, &[short]).await;
        while receiver.taken().len() + receiver.turned_away.lock().unwrap().len() == before {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if round % 2 == 0 {
            running.task.abort();
        } else {
            running.stop().await;
            store.close().await.unwrap();
            store = open(&folder);
        }
        running = Running::start(&receiver, &store).await;
    }
    receiver.until_taken(wanted.len()).await;
    running.stop().await;
    let mut taken = receiver.taken();
    taken.dedup();
    assert_eq!(
        taken, wanted,
        "in order; only an answer that was lost may have doubled one"
    );
}

#[test]
fn the_address_is_not_printed() {
    let config = Config::new(
        "m".into(),
        "https://hooks.example/s3cret".parse().unwrap(),
        Severity::P1,
    );
    assert_eq!(format!("{config:?}"), "Config { name: \"m\", severity: P1, .. }");
}
