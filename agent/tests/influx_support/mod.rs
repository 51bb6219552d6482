//! A false InfluxDB 2 that is stricter than a real one, and can be told how to answer.

#![allow(dead_code, unreachable_pub, reason = "each test file uses some of it")]

use std::{
    collections::{BTreeSet, VecDeque},
    io::Read,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::post,
};
use energy::Name;
use influxdb_line_protocol::parse_lines;
use wattwarden::{
    forward::influx::{Config, MeterTags, Pace, SiteTags, Url, Version, line},
    secret::Secret,
    store::Store,
};

/// One scripted answer.
#[derive(Clone)]
pub enum Say {
    Status(u16, &'static [(&'static str, &'static str)], &'static str),
    Hang,
    Drop,
}

/// How a line that holds `poison` is refused.
#[derive(Clone, Copy, PartialEq)]
pub enum Manner {
    /// Version 2: the text of the line is named, nothing of the request is in.
    Named,
    /// Version 1: only a count is given, the good lines are in.
    Partial,
    /// Neither a name nor a count, nothing is in.
    Silent,
}

pub struct Inner {
    pub script: VecDeque<Say>,
    /// Answer to everything while set.
    pub always: Option<Say>,
    pub manner: Manner,
    /// Lines that are in, without order.
    pub points: BTreeSet<String>,
    /// Newest and oldest time of each accepted request, ms.
    pub accepted: Vec<(i64, i64)>,
    pub requests: usize,
    /// Largest request, lines.
    pub largest: usize,
    /// Requests beyond this many lines are answered 413.
    pub limit: usize,
}

#[derive(Clone)]
pub struct Fake {
    inner: Arc<Mutex<Inner>>,
    pub url: Url,
}

impl Fake {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let inner = Inner {
            script: VecDeque::new(),
            always: None,
            manner: Manner::Named,
            points: BTreeSet::new(),
            accepted: Vec::new(),
            requests: 0,
            largest: 0,
            limit: 5_000,
        };
        let fake = Self {
            inner: Arc::new(Mutex::new(inner)),
            url,
        };
        let router = Router::new()
            .route("/api/v2/write", post(write))
            .layer(DefaultBodyLimit::disable())
            .with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        fake
    }

    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn config(&self) -> Config {
        let version = Version::V2 {
            org: "plant".into(),
            bucket: "energy".into(),
            token: Secret::new("t0ken".into()),
        };
        Config {
            timeout: Duration::from_millis(500),
            pace: QUICK,
            ..Config::new("plant".into(), self.url.clone(), version)
        }
    }
}

/// Waits short enough for a test.
pub const QUICK: Pace = Pace {
    first: Duration::from_millis(2),
    longest: Duration::from_millis(10),
    hold: Duration::from_millis(10),
};

pub fn tags() -> SiteTags {
    let press = MeterTags {
        area: Some("hall 2".into()),
        machine: Some("press, 1".into()),
    };
    SiteTags {
        site: "ansan-1".into(),
        meters: [(Name::from("press-1"), press)].into(),
    }
}

/// Every line that the log of a store calls for.
pub fn lines_of(store: &Store) -> BTreeSet<String> {
    let entries = store.reader().unwrap().entries(1, 1_000_000).unwrap();
    let lines = entries.iter().flat_map(|entry| line::encode(entry, &tags()).lines);
    lines.map(|line| line.text).collect()
}

/// Waits until something holds; fails after so long that only a fault can be the reason.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("waited for 30 s: {what}");
}

async fn write(State(fake): State<Fake>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    assert_eq!(uri.query(), Some("org=plant&bucket=energy&precision=ms"));
    assert_eq!(headers["authorization"], "Token t0ken");
    assert_eq!(headers["content-encoding"], "gzip");
    let mut text = String::new();
    flate2::read::GzDecoder::new(body.as_ref())
        .read_to_string(&mut text)
        .unwrap();
    let said = {
        let mut inner = fake.inner();
        inner.requests += 1;
        inner.always.clone().or_else(|| inner.script.pop_front())
    };
    match said {
        None => take(&mut fake.inner(), &text),
        Some(Say::Status(status, headers, body)) => {
            let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(*name, value.parse().unwrap());
            }
            response
        }
        Some(Say::Hang) => std::future::pending().await,
        // Ends the connection without an answer.
        Some(Say::Drop) => panic!("the false server drops the connection, as it was told"),
    }
}

fn take(inner: &mut Inner, text: &str) -> Response {
    let lines: Vec<&str> = text.lines().collect();
    inner.largest = inner.largest.max(lines.len());
    if lines.len() > inner.limit {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    let mut times = Vec::new();
    for line in parse_lines(text) {
        times.push(line.unwrap().timestamp.unwrap());
    }
    assert_eq!(times.len(), lines.len(), "every line is one point");
    let (bad, good): (Vec<&str>, Vec<&str>) = lines.iter().partition(|line| line.contains("poison"));
    if bad.is_empty() || inner.manner == Manner::Partial {
        inner.points.extend(good.into_iter().map(str::to_owned));
    }
    if bad.is_empty() {
        inner
            .accepted
            .push((*times.iter().max().unwrap(), *times.iter().min().unwrap()));
        return StatusCode::NO_CONTENT.into_response();
    }
    let message = match inner.manner {
        Manner::Named => format!("unable to parse '{}': poisoned", bad[0]),
        Manner::Partial => format!("partial write: field type conflict: poisoned dropped={}", bad.len()),
        Manner::Silent => "line protocol: something is wrong".to_owned(),
    };
    let body = serde_json::json!({"code": "invalid", "message": message}).to_string();
    (StatusCode::BAD_REQUEST, body).into_response()
}
