//! The API against its contract: every route stands in `openapi.json`, and what a real server on loopback answers is
//! valid by the schemas there. Then what the contract cannot say: who may ask, what is refused, what is streamed.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use energy::{
    Finding, Interval, Now, Quality, Quantity, Reading, Sample, Site,
    finding::{Condition, Kind, Money, Severity, Title},
    now::{DemandNow, EnergyNow, MachineNow, MachineState, MeterNow},
    site::{Machine, MachineKind, Meter},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use wattwarden::{
    clock::Clock,
    health::Health,
    report::{Language, Origin},
    store::{Commit, Store},
    web::{self, Parts, Server},
};

fn contract() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

// ---- a validator for the part of JSON Schema that the contract uses ------------------------------------------------

/// Keywords the validator knows; any other in the contract fails the test, so that none is passed over in silence.
const KEYWORDS: &[&str] = &[
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxLength",
    "maximum",
    "minLength",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
];

fn validate(schema: &Value, value: &Value, at: &str, contract: &Value, faults: &mut Vec<String>) {
    let schema = resolve(schema, contract);
    for keyword in schema.as_object().unwrap().keys() {
        assert!(
            KEYWORDS.contains(&keyword.as_str()),
            "{at}: the validator does not know {keyword}"
        );
    }
    if let Some(options) = schema["anyOf"].as_array() {
        let fits = |option: &&Value| {
            let mut faults = Vec::new();
            validate(option, value, at, contract, &mut faults);
            faults.is_empty()
        };
        if !options.iter().any(|option| fits(&option)) {
            faults.push(format!("{at}: {value} fits no alternative"));
        }
        return;
    }
    if !has_type(&schema["type"], value) {
        faults.push(format!("{at}: {value} is not of type {}", schema["type"]));
        return;
    }
    if schema["enum"].as_array().is_some_and(|names| !names.contains(value)) {
        faults.push(format!("{at}: {value} is not one of the names"));
    }
    if schema["format"] == "date-time" && value.as_str().is_some_and(|text| text.parse::<Timestamp>().is_err()) {
        faults.push(format!("{at}: {value} is not an instant"));
    }
    if let Some(number) = value.as_f64() {
        let below = schema["minimum"].as_f64().is_some_and(|minimum| number < minimum);
        if below || schema["maximum"].as_f64().is_some_and(|maximum| number > maximum) {
            faults.push(format!("{at}: {number} is out of range"));
        }
    }
    validate_parts(schema, value, at, contract, faults);
}

fn validate_parts(schema: &Value, value: &Value, at: &str, contract: &Value, faults: &mut Vec<String>) {
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        validate(&schema["items"], item, &format!("{at}[{index}]"), contract, faults);
    }
    for name in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if value.get(name).is_none() {
            faults.push(format!("{at}: {name} is missing"));
        }
    }
    for (name, part) in value.as_object().into_iter().flatten() {
        let known = schema["properties"].get(name).or(schema.get("additionalProperties"));
        match known {
            Some(schema) if schema.is_object() => validate(schema, part, &format!("{at}.{name}"), contract, faults),
            _ => faults.push(format!("{at}: {name} is not in the contract")),
        }
    }
}

fn resolve<'a>(schema: &'a Value, contract: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(target) => contract.pointer(target.strip_prefix('#').unwrap()).unwrap(),
        None => schema,
    }
}

fn has_type(names: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the validator does not know the type {other}"),
    };
    match names {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}

/// What the page must have words for, as its own tests read it.
#[test]
fn the_page_knows_what_numbers_each_kind_sends() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/evidence.json");
    let of = |(kind, keys): &(energy::finding::Kind, &[&str])| (kind.name().to_owned(), Value::from(keys.to_vec()));
    let sent = Value::Object(energy::detect::EVIDENCE.iter().map(of).collect());
    let known: Vec<_> = energy::detect::CATALOGUE.iter().map(|(kind, _)| kind.name()).collect();
    let named: Vec<_> = energy::detect::EVIDENCE.iter().map(|(kind, _)| kind.name()).collect();
    assert_eq!(named, known, "each kind that is detected says what numbers it sends");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let found: Value = serde_json::from_str(&text).unwrap_or_default();
    assert_eq!(found, sent, "write this to {path}:\n{sent:#}");
}

#[test]
fn the_validator_refuses_what_is_wrong() {
    let contract = contract();
    let check = |name: &str, value: Value, expected: usize| {
        let mut faults = Vec::new();
        validate(
            &json!({ "$ref": format!("#/components/schemas/{name}") }),
            &value,
            name,
            &contract,
            &mut faults,
        );
        assert_eq!(faults.len(), expected, "{faults:?}");
    };
    check("Money", json!({ "amount": 1.5, "currency": "KRW" }), 0);
    check("Money", json!({ "amount": "1.5", "currency": "KRW", "net": 1 }), 2);
    check("Money", json!({ "amount": 1.5 }), 1);
    check("Severity", json!("p4"), 1);
    check(
        "Acknowledged",
        json!({ "at": "yesterday", "by": "Kim", "comment": null }),
        1,
    );
}

#[test]
fn every_route_stands_in_the_contract_and_the_other_way_round() {
    let contract = contract();
    let written: BTreeSet<(String, String)> = contract["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods
                .as_object()
                .unwrap()
                .keys()
                .map(|method| (method.clone(), path.clone()))
        })
        .collect();
    let served: BTreeSet<(String, String)> = web::paths()
        .into_iter()
        .map(|(method, path)| (method.to_owned(), path.to_owned()))
        .collect();
    assert_eq!(written, served);
    for schema in ["Kind", "Quantity"] {
        let names = contract["components"]["schemas"][schema]["enum"].as_array().unwrap();
        let known: Vec<&str> = match schema {
            "Kind" => Kind::ALL.iter().map(|kind| kind.name()).collect(),
            _ => energy::quantity::TABLE.iter().map(|row| row.name).collect(),
        };
        assert_eq!(names.iter().filter_map(Value::as_str).collect::<Vec<_>>(), known);
    }
}

// ---- a plant in the store and a server over it ---------------------------------------------------------------------

const ID: &str = "idle_running.press-2.20260828T081000Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn site() -> Site {
    let machine = |name: &str, kind, meter: &str| Machine {
        name: name.into(),
        kind,
        meter: meter.into(),
        area: Some("hall 2".into()),
        rated_kw: Some(55.0),
        states: None,
        hours: None,
        detect: std::collections::BTreeMap::default(),
    };
    let meter = |name: &str| Meter::new(name.into(), SignedDuration::from_secs(60));
    Site {
        name: "ansan-1".into(),
        zone: TimeZone::get("Asia/Seoul").unwrap(),
        days_off: energy::calendar::DaysOff::default(),
        demand_interval: SignedDuration::from_mins(15),
        meters: vec![meter("incomer"), meter("press-2")],
        machines: vec![
            machine("ansan-1", MachineKind::Site, "incomer"),
            machine("press-2", MachineKind::Press, "press-2"),
        ],
        main_meter: Some("incomer".into()),
        contracts: Vec::new(),
        carbon: None,
        fuel_meters: Vec::new(),
        instruments: Vec::new(),
    }
}

fn finding() -> Finding {
    let money = |amount| {
        Some(Money {
            amount: rust_decimal::Decimal::new(amount, 0),
            currency: "KRW".into(),
        })
    };
    Finding {
        id: ID.into(),
        kind: Kind::IdleRunning,
        machine: "press-2".into(),
        meter: "press-2".into(),
        since: at("2026-08-28T08:10:00Z"),
        detected_at: at("2026-08-28T08:20:00Z"),
        until: None,
        state: Condition::Open,
        severity: Severity::P2,
        energy_kwh: Some(3.2),
        energy_kwh_low: Some(2.9),
        energy_kwh_high: Some(3.4),
        cost: money(512),
        cost_net: money(450),
        kgco2e: Some(1.335),
        confidence: 0.97,
        why: [("standby_kw".to_owned(), 1.5), ("mean_power_kw".to_owned(), 9.5)].into(),
        title: Title {
            ko: "press-2: 생산 없이 24분 동안 9.5 kW로 공회전".into(),
            en: "press-2: idling for 24 min at 9.5 kW without producing".into(),
        },
    }
}

/// Began in July and went on into August: it belongs to July.
fn of_last_month() -> Finding {
    Finding {
        id: "idle_running.press-2.20260731T060000Z".into(),
        since: at("2026-07-31T06:00:00Z"),
        until: Some(at("2026-08-01T06:00:00Z")),
        state: Condition::Closed,
        ..finding()
    }
}

fn plant() -> Commit {
    let start = at("2026-08-28T08:00:00Z");
    let sample = |minute: i64| Sample {
        meter: "press-2".into(),
        at: start + SignedDuration::from_mins(minute),
        readings: vec![Reading::new(Quantity::ActivePower, 9.5)],
    };
    // Silent for ten minutes from 08:40.
    let minutes = (0..40).chain(50..60);
    let interval = |meter: &str, quarter: i64| Interval {
        meter: meter.into(),
        start: start + SignedDuration::from_mins(15 * quarter),
        end: start + SignedDuration::from_mins(15 * quarter + 15),
        energy_import_kwh: Some(25.0 + quarter as f64),
        energy_export_kwh: None,
        reactive_energy_lag_kvarh: None,
        reactive_energy_lead_kvarh: None,
        quality: Quality::Ok,
        coverage: 1.0,
        revision: 0,
        raw: energy::interval::Raw::default(),
        repairs: vec![],
    };
    Commit {
        samples: minutes.map(sample).collect(),
        intervals: (0..4)
            .flat_map(|quarter| [interval("incomer", quarter), interval("press-2", quarter)])
            .collect(),
        findings: vec![finding(), of_last_month()],
        now: Some(now()),
        ..Commit::default()
    }
}

fn now() -> Now {
    let moment = at("2026-08-28T09:00:00Z");
    Now {
        at: moment,
        demand: Some(DemandNow {
            start: moment,
            end: moment + SignedDuration::from_mins(15),
            energy_kwh: 0.0,
            demand_kw: 0.0,
            forecast_kw: Some(101.5),
            target_kw: Some(120.0),
            contract_kw: None,
        }),
        today: Some(EnergyNow {
            energy_kwh: 812.5,
            coverage: 0.998,
        }),
        meters: vec![MeterNow {
            meter: "press-2".into(),
            at: moment,
            readings: vec![Reading::new(Quantity::ActivePower, 9.5)],
            power_kw: Some(9.5),
            is_stale: false,
        }],
        machines: vec![MachineNow {
            machine: "press-2".into(),
            meter: "press-2".into(),
            state: Some(MachineState::Idle),
            since: None,
            power_kw: Some(9.5),
            is_working_time: None,
        }],
    }
}

struct Bench {
    server: Server,
    store: Store,
    health: Health,
    client: Client,
    folder: std::path::PathBuf,
}

impl Bench {
    async fn new(name: &str) -> Self {
        // Another test of this process may have installed it already: either way one is there.
        drop(rustls::crypto::ring::default_provider().install_default());
        let folder = std::env::temp_dir().join(format!("wattwarden-web-{name}-{}", std::process::id()));
        let health = Health::default();
        let config = wattwarden::store::Config {
            path: folder.clone(),
            max_size: 1 << 30,
        };
        std::fs::create_dir_all(&folder).unwrap();
        let store = Store::open(&config, &health).unwrap();
        store.commit(plant()).await.unwrap();
        health.dropped("acquire", "late").one();
        let parts = Parts {
            site: watch::channel(Arc::new(site())).1,
            language: Language::Ko,
            origin: Origin::Demo,
            store: store.clone(),
            clock: Clock::scaled(at("2026-08-28T09:00:05Z"), 1.0),
            health: health.clone(),
        };
        let listen = "127.0.0.1:0".parse().unwrap();
        Self {
            server: web::start(web::Config { listen }, parts).unwrap(),
            store,
            health,
            client: Client::new(),
            folder,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.addr())
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    async fn acknowledge(&self, headers: &[(&str, &str)], body: &str) -> Response {
        let path = format!("/api/v1/findings/{ID}/acknowledge");
        let request = self.client.post(self.url(&path)).body(body.to_owned());
        let request = headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.unwrap()
    }

    fn end(self) {
        self.server.stop();
        std::fs::remove_dir_all(self.folder).ok();
    }
}

async fn valid(response: Response, operation: &Value, contract: &Value) -> Value {
    let status = response.status().as_u16().to_string();
    let path = response.url().to_string();
    let schema = &operation["responses"][&status]["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{path}: {status} is not in the contract");
    let value: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let mut faults = Vec::new();
    validate(schema, &value, &path, contract, &mut faults);
    assert!(faults.is_empty(), "{faults:#?}");
    value
}

#[tokio::test]
async fn answers_are_valid_by_the_contract() {
    let bench = Bench::new("contract").await;
    let contract = contract();
    let check = async |path: &str, query: &str, status: u16| {
        let response = bench.get(&format!("{}{query}", path.replace("{id}", ID))).await;
        assert_eq!(response.status().as_u16(), status, "{path}{query}");
        valid(response, &contract["paths"][path]["get"], &contract).await
    };
    let site = check("/api/v1/site", "", 200).await;
    assert_eq!((&site["zone"], &site["demo"]), (&json!("Asia/Seoul"), &json!(true)));
    let now = check("/api/v1/now", "", 200).await;
    assert_eq!(now["waste_month"]["energy_kwh"], 3.2);
    assert!(
        (4.9..60.0).contains(&now["age_s"].as_f64().unwrap()),
        "{}",
        now["age_s"]
    );
    assert_eq!(check("/api/v1/findings", "", 200).await["total"], 2);
    assert_eq!(check("/api/v1/findings", "?state=closed", 200).await["total"], 1);
    assert_eq!(
        check("/api/v1/findings", "?from=2026-08-01T00:00:00Z", 200).await["total"],
        1
    );
    assert_eq!(
        check("/api/v1/findings", "?kind=idle_running&machine=press-2&limit=0", 200).await["total"],
        2
    );
    check("/api/v1/findings", "?state=asleep", 400).await;
    check("/api/v1/findings", "?colour=red", 400).await;
    let found = check("/api/v1/findings/{id}", "", 200).await;
    assert_eq!(
        (&found["incident"], &found["cost"]["amount"]),
        (&json!("open"), &json!(512.0))
    );
    let evidence = check("/api/v1/findings/{id}/evidence", "", 200).await;
    assert_eq!(evidence["reference_kw"], 1.5);
    assert_eq!(evidence["source"], "samples");
    let silent = &evidence["gaps"][1];
    let length_ms = silent["until_ms"].as_i64().unwrap() - silent["since_ms"].as_i64().unwrap();
    assert_eq!(
        length_ms,
        11 * 60_000,
        "the gap runs from the last reading before to the first after"
    );
    let window = "&from=2026-08-28T08:00:00Z&until=2026-08-28T09:00:00Z";
    let series = format!("?meter=press-2&quantity=active_power_kw{window}");
    assert_eq!(check("/api/v1/series", &series, 200).await["n_readings"], 50);
    assert_eq!(
        check("/api/v1/series", &format!("{series}&points=10"), 200).await["max"][0],
        9.5
    );
    check("/api/v1/series", "?meter=nobody&quantity=active_power_kw", 404).await;
    check("/api/v1/series", "?meter=press-2&quantity=cos_phi", 400).await;
    check("/api/v1/series", &format!("{series}&from=2020-01-01T00:00:00Z"), 400).await;
    let far = "?meter=press-2&quantity=active_power_kw&from=2020-01-01T00:00:00Z&until=2026-01-01T00:00:00Z";
    check("/api/v1/series", far, 400).await;
    let intervals = check("/api/v1/intervals", "", 200).await;
    assert_eq!(intervals["meters"][0]["demand_kw"], json!([100.0, 104.0, 108.0, 112.0]));
    check("/api/v1/intervals", "?meter=nobody", 404).await;
    let report = check("/api/v1/report", "?month=2026-08&format=json", 200).await;
    assert_eq!(report["summary"]["total"]["energy_import_kwh"], 106.0);
    assert_eq!(report["summary"]["findings"][0]["count"], 1);
    check("/api/v1/report", "?month=august", 400).await;
    check("/api/v1/health", "", 200).await;
    bench.end();
}

#[tokio::test]
async fn the_report_is_a_page_of_its_own_in_both_languages() {
    let bench = Bench::new("report").await;
    for (language, title) in [("ko", "월간 에너지 보고서"), ("en", "Monthly energy report")] {
        let page = bench
            .get(&format!("/api/v1/report?month=2026-08&lang={language}"))
            .await;
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        let text = page.text().await.unwrap();
        assert!(
            text.contains(title) && text.contains("DEMO") && text.contains("106.0 kWh"),
            "{text}"
        );
    }
    bench.end();
}

#[tokio::test]
async fn only_the_own_page_may_acknowledge_and_it_is_seen_everywhere() {
    let bench = Bench::new("acknowledge").await;
    let contract = contract();
    let operation = &contract["paths"]["/api/v1/findings/{id}/acknowledge"]["post"];
    let json = ("content-type", "application/json");
    let own = ("x-wattwarden", "1");
    let body = r#"{"by":"김정비","comment":"밸브 확인"}"#;
    for (headers, body, status) in [
        (&[json][..], body, 403),
        (&[json, own, ("origin", "http://evil.example")], body, 403),
        (&[json, own], r#"{"by":" "}"#, 400),
        (&[json, own, ("host", "evil.example")], body, 403),
    ] {
        let response = bench.acknowledge(headers, body).await;
        assert_eq!(response.status().as_u16(), status, "{headers:?} {body}");
        valid(response, operation, &contract).await;
    }
    assert_eq!(
        bench.acknowledge(&[own], body).await.status(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    let long = format!(r#"{{"by":"{}"}}"#, "x".repeat(20_000));
    assert_eq!(
        bench.acknowledge(&[json, own], &long).await.status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let seen = valid(bench.acknowledge(&[json, own], body).await, operation, &contract).await;
    assert_eq!(
        (&seen["incident"], &seen["acknowledged"]["by"]),
        (&json!("acknowledged"), &json!("김정비"))
    );
    let path = format!("/api/v1/findings/{ID}");
    let again: Value = serde_json::from_str(&bench.get(&path).await.text().await.unwrap()).unwrap();
    assert_eq!(again, seen);
    bench.end();
}

#[tokio::test]
async fn other_names_of_the_host_get_nothing_and_headers_are_strict() {
    let bench = Bench::new("guard").await;
    for path in ["/", "/api/v1/site", "/metrics", "/healthz"] {
        let foreign = bench
            .client
            .get(bench.url(path))
            .header("host", "evil.example")
            .send()
            .await
            .unwrap();
        assert_eq!(foreign.status(), StatusCode::FORBIDDEN, "{path}");
        let own = bench.get(path).await;
        assert_eq!(own.status(), StatusCode::OK, "{path}");
        assert!(
            own.headers()["content-security-policy"]
                .to_str()
                .unwrap()
                .starts_with("default-src 'self'")
        );
        assert_eq!(own.headers()["x-content-type-options"], "nosniff");
        assert_eq!(own.headers()["referrer-policy"], "no-referrer");
    }
    for (path, status) in [
        ("/api/v1/nothing", 404),
        ("/nothing", 404),
        ("/waste/x", 200),
        ("/assets/none.js", 404),
        ("/readyz", 200),
    ] {
        assert_eq!(bench.get(path).await.status().as_u16(), status, "{path}");
    }
    // Alive, and not ready: what is taken in waits for the disk.
    let cannot_commit = bench.health.gauge("cannot_commit", &[]);
    for (failing, status) in [(1.0, 503), (0.0, 200)] {
        cannot_commit.set(failing);
        assert_eq!(bench.get("/readyz").await.status().as_u16(), status);
        assert_eq!(bench.get("/healthz").await.status().as_u16(), 200);
    }
    let metrics = bench.get("/metrics").await.text().await.unwrap();
    assert!(
        metrics.contains("wattwarden_dropped_total{part=\"acquire\",reason=\"late\"} 1"),
        "{metrics}"
    );
    let packed = bench
        .client
        .get(bench.url("/api/v1/site"))
        .header("accept-encoding", "gzip")
        .send()
        .await
        .unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    bench.end();
}

#[tokio::test]
async fn the_stream_tells_the_moment_and_every_transition() {
    let bench = Bench::new("stream").await;
    let contract = contract();
    let mut stream = bench.get("/api/v1/stream").await;
    let mut text = String::new();
    let closed = Finding {
        state: Condition::Closed,
        until: Some(at("2026-08-28T09:00:00Z")),
        ..finding()
    };
    let mut has_closed = false;
    // Ends when the events are there; the limit only keeps a broken stream from hanging the test.
    let told = tokio::time::timeout(Duration::from_secs(30), async {
        while !text.contains("\"incident\":\"closed\"") || text.matches("event: now").count() < 2 {
            text += std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap();
            if !has_closed && text.contains("event: now") {
                let findings = vec![closed.clone()];
                bench
                    .store
                    .commit(Commit {
                        findings,
                        now: Some(now()),
                        ..Commit::default()
                    })
                    .await
                    .unwrap();
                has_closed = true;
            }
        }
    });
    told.await.unwrap();
    for event in text.split("\n\n").filter(|event| event.starts_with("event: ")) {
        let (name, data) = event.split_once("\ndata: ").unwrap();
        let schema = if name == "event: now" { "NowAnswer" } else { "Finding" };
        let mut faults = Vec::new();
        let schema = json!({ "$ref": format!("#/components/schemas/{schema}") });
        validate(
            &schema,
            &serde_json::from_str(data).unwrap(),
            name,
            &contract,
            &mut faults,
        );
        assert!(faults.is_empty(), "{faults:#?}");
    }
    bench.end();
}

#[test]
fn it_listens_on_loopback_only() {
    let health = Health::default();
    let config = wattwarden::store::Config {
        path: std::env::temp_dir().join(format!("wattwarden-web-loopback-{}", std::process::id())),
        max_size: 1 << 30,
    };
    std::fs::create_dir_all(&config.path).unwrap();
    let parts = Parts {
        site: watch::channel(Arc::new(site())).1,
        language: Language::En,
        origin: Origin::Plant,
        store: Store::open(&config, &health).unwrap(),
        clock: Clock::system(),
        health,
    };
    let listen = "0.0.0.0:0".parse().unwrap();
    let error = web::start(web::Config { listen }, parts).unwrap_err();
    assert!(error.to_string().contains("loopback"), "{error}");
    std::fs::remove_dir_all(config.path).ok();
}
