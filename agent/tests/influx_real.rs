//! The forwarder against real servers: InfluxDB 1 and VictoriaMetrics. What was committed is read back, value by value.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod influx_support;
mod store_support;

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use energy::{Quantity, Reading, finding::Severity};
use influx_support::{QUICK, tags};
use serde_json::Value;
use store_support::{Folder, at, closed, finding, interval, open, second};
use tokio_util::sync::CancellationToken;
use wattwarden::{
    forward::influx::{self, Config, Url, Version},
    health::Health,
    secret::Secret,
    store::{Commit, Store},
};

/// A server that is killed when the test ends.
struct Server {
    child: Child,
    url: Url,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("the server could not be ended: {error}");
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts `program`, if it is installed, and waits until it answers.
async fn start(test: &str, program: &str, arguments: &[String], port: u16) -> Option<Server> {
    let child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(child) = child else {
        println!("skipped: {test}: {program} is not installed");
        return None;
    };
    let url: Url = format!("http://127.0.0.1:{port}").parse().unwrap();
    let server = Server { child, url };
    for _ in 0..600 {
        if influx::version_of(&server.url).await.is_ok() {
            return Some(server);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{program} did not answer within 30 s");
}

async fn influxd(test: &str, folder: &Path) -> Option<Server> {
    let (port, rpc) = (free_port(), free_port());
    let at = |name: &str| folder.join(name).display().to_string();
    let text = format!(
        "reporting-disabled = true\nbind-address = \"127.0.0.1:{rpc}\"\n[meta]\ndir = {:?}\n[data]\ndir = {:?}\n\
         wal-dir = {:?}\n[monitor]\nstore-enabled = false\n[http]\nbind-address = \"127.0.0.1:{port}\"\n",
        at("meta"),
        at("data"),
        at("wal")
    );
    let file = folder.join("influxdb.conf");
    fs::write(&file, text).unwrap();
    start(test, "influxd", &["-config".into(), file.display().to_string()], port).await
}

/// Rows as {column: value}.
async fn query(server: &Server, statement: &str) -> Vec<BTreeMap<String, Value>> {
    let mut url = server.url.join("/query").unwrap();
    url.query_pairs_mut()
        .extend_pairs([("db", "energy"), ("epoch", "ms"), ("q", statement)]);
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    let series = &answer["results"][0]["series"][0];
    let columns: Vec<String> = serde_json::from_value(series["columns"].clone()).unwrap_or_default();
    let rows = series["values"].as_array().cloned().unwrap_or_default();
    rows.into_iter()
        .map(|row| columns.iter().cloned().zip(row.as_array().unwrap().clone()).collect())
        .collect()
}

/// Runs the forwarder until `lines` lines are in or refused; the counters.
async fn forward(config: Config, store: &Store, lines: u64) -> Health {
    let (health, stop) = (Health::default(), CancellationToken::new());
    let task = tokio::spawn(influx::run(config, tags(), store.clone(), health.clone(), stop.clone()));
    let settled = || {
        let numbers = health.snapshot();
        let of = |name| {
            numbers
                .iter()
                .filter(move |(series, _)| series.name == name)
                .map(|(_, value)| value)
        };
        of("influx_lines_sent_total")
            .chain(of("influx_lines_rejected_total"))
            .sum::<f64>()
    };
    influx_support::until("all lines are settled", || settled() >= lines as f64).await;
    stop.cancel();
    task.await.unwrap();
    health
}

fn v1(server: &Server) -> Config {
    let version = Version::V1 {
        database: "energy".into(),
        username: None,
        password: None,
    };
    Config {
        pace: QUICK,
        ..Config::new("plant".into(), server.url.clone(), version)
    }
}

#[tokio::test]
async fn influxdb_1_has_every_value_after_a_missing_database_was_made() {
    let (folder, data) = (Folder::new(), Folder::new());
    let Some(server) = influxd("influxdb_1_has_every_value", data.path()).await else {
        return;
    };
    let version = influx::version_of(&server.url).await.unwrap().unwrap();
    assert!(version.starts_with("1."), "{version}");
    let store = open(&folder);
    for seconds in 0..100 {
        store.commit(second(seconds)).await.unwrap();
    }
    let opened = finding("press-1", 0, Severity::P2);
    let rich = Commit {
        intervals: vec![interval("press-1", 0, 0.1 + 0.2)],
        findings: vec![opened.clone(), closed(opened.clone(), 2_000)],
        ..second(100)
    };
    store.commit(rich).await.unwrap();

    let (health, stop) = (Health::default(), CancellationToken::new());
    let task = tokio::spawn(influx::run(
        v1(&server),
        tags(),
        store.clone(),
        health.clone(),
        stop.clone(),
    ));
    let held = health.gauge("influx_holding", &[("influx", "plant")]);
    influx_support::until("the missing database is held against nobody", || held.get() == 1.0).await;
    let why = influx::reach(&v1(&server)).await.unwrap_err();
    assert!(why.contains("database not found"), "{why}");
    influx::create_database(&v1(&server)).await.unwrap();
    influx::reach(&v1(&server)).await.unwrap();
    let sent = health.counter("influx_lines_sent_total", &[("influx", "plant")]);
    influx_support::until("all lines are in", || sent.get() >= 205).await;
    stop.cancel();
    task.await.unwrap();

    let rows = query(&server, "SELECT * FROM power WHERE meter = 'press-1' ORDER BY time").await;
    assert_eq!(rows.len(), 101);
    for (seconds, row) in (0..).zip(&rows) {
        assert_eq!(row["time"], at(seconds).as_millisecond());
        assert_eq!(row["active_power_kw"].as_f64(), Some(seconds as f64 + 0.5));
        assert_eq!(row["energy_import_kwh"].as_f64(), Some(1000.0 + seconds as f64 / 8.0));
        assert_eq!((&row["machine"], &row["area"]), (&"press, 1".into(), &"hall 2".into()));
        assert_eq!(row["quality"], "ok");
    }
    assert_eq!(
        query(&server, "SELECT * FROM power WHERE meter = 'press-2'")
            .await
            .len(),
        101
    );
    let interval = &query(&server, "SELECT * FROM energy_interval").await[0];
    assert_eq!(interval["energy_import_kwh"].as_f64(), Some(0.1 + 0.2));
    assert_eq!(interval["duration_s"].as_f64(), Some(900.0));
    let findings = query(&server, "SELECT * FROM finding ORDER BY time").await;
    let states: Vec<&Value> = findings.iter().map(|row| &row["state"]).collect();
    assert_eq!(states, ["open", "closed"]);
    assert_eq!(findings[0]["title_ko"], opened.title.ko);
    assert_eq!(findings[0]["title_en"], opened.title.en);
    assert_eq!(findings[1]["time"], at(2_000).as_millisecond());
}

#[tokio::test]
async fn influxdb_1_refuses_the_line_whose_type_conflicts_and_has_the_others() {
    let (folder, data) = (Folder::new(), Folder::new());
    let Some(server) = influxd("influxdb_1_refuses_the_line_whose_type_conflicts", data.path()).await else {
        return;
    };
    influx::create_database(&v1(&server)).await.unwrap();
    // Another program has written this field as a text, in the same week.
    let url = server.url.join("/write?db=energy&precision=ms").unwrap();
    let other = format!("power,meter=other voltage_l1_v=\"high\" {}", at(0).as_millisecond());
    let client = reqwest::Client::new();
    assert!(client.post(url).body(other).send().await.unwrap().status().is_success());

    let store = open(&folder);
    for seconds in 0..50 {
        let mut commit = second(seconds);
        if seconds == 17 {
            commit.samples[0]
                .readings
                .push(Reading::new(Quantity::VoltageL1, 229.5));
        }
        store.commit(commit).await.unwrap();
    }
    let health = forward(v1(&server), &store, 100).await;
    let labels = [("influx", "plant"), ("reason", "type_conflict")];
    assert_eq!(health.counter("influx_lines_rejected_total", &labels).get(), 1);
    let (letters, count) = store.reader().unwrap().dead_letters(9).unwrap();
    assert_eq!((count, letters[0].at), (1, at(17)));
    assert!(letters[0].reason.contains("type conflict") && letters[0].payload.contains("voltage_l1_v=229.5"));
    let rows = query(&server, "SELECT active_power_kw FROM power WHERE meter = 'press-1'").await;
    assert_eq!(rows.len(), 49);
    assert_eq!(
        query(&server, "SELECT active_power_kw FROM power WHERE meter = 'press-2'")
            .await
            .len(),
        50
    );
}

#[tokio::test]
async fn victoria_metrics_has_every_value() {
    let (folder, data) = (Folder::new(), Folder::new());
    let port = free_port();
    let arguments = [
        "-retentionPeriod=100y".to_owned(),
        format!("-storageDataPath={}", data.path().display()),
        format!("-httpListenAddr=127.0.0.1:{port}"),
    ];
    let Some(server) = start("victoria_metrics_has_every_value", "victoria-metrics", &arguments, port).await else {
        return;
    };
    let store = open(&folder);
    for seconds in 0..100 {
        store.commit(second(seconds)).await.unwrap();
    }
    let version = Version::V2 {
        org: "plant".into(),
        bucket: "energy".into(),
        token: Secret::new("any".into()),
    };
    let config = Config::new("vm".into(), server.url.clone(), version);
    influx::reach(&config).await.unwrap();
    forward(config, &store, 200).await;

    let mut url = server.url.join("/api/v1/export").unwrap();
    url.query_pairs_mut()
        .append_pair("match[]", "power_active_power_kw{meter=\"press-1\"}")
        .append_pair("reduce_mem_usage", "1")
        .append_pair("start", "0");
    let mut points = BTreeMap::new();
    // What was written can be searched after a second or two.
    for _ in 0..200 {
        let text = reqwest::get(url.clone()).await.unwrap().text().await.unwrap();
        points.clear();
        for series in text.lines() {
            let series: Value = serde_json::from_str(series).unwrap();
            assert_eq!(
                (&series["metric"]["site"], &series["metric"]["area"]),
                (&"ansan-1".into(), &"hall 2".into())
            );
            let list = |key: &str| series[key].as_array().unwrap().clone();
            let times = list("timestamps").into_iter().map(|time| time.as_i64().unwrap());
            points.extend(times.zip(list("values").into_iter().map(|value| value.as_f64().unwrap())));
        }
        if points.len() >= 100 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let wanted = (0..100).map(|seconds| (at(seconds).as_millisecond(), seconds as f64 + 0.5));
    assert!(points.into_iter().eq(wanted));
}
