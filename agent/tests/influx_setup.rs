//! Setting up a bucket and reading back through the crate `influxdb2`, against a false server.

#![cfg(feature = "influxdb2-client")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::State,
    http::HeaderMap,
    routing::{get, post},
};
use serde_json::{Value, json};
use wattwarden::{
    forward::influx::{
        Config, Version,
        setup::{Bucket, SetupError, ensure_bucket, read_back},
    },
    secret::Secret,
};

type Buckets = Arc<Mutex<Vec<String>>>;

async fn list(State(buckets): State<Buckets>, headers: HeaderMap) -> Json<Value> {
    assert_eq!(headers["authorization"], "Token t0ken");
    let named = |name: &String| json!({"id": "1", "name": name, "retentionRules": [], "labels": []});
    Json(json!({"buckets": buckets.lock().unwrap().iter().map(named).collect::<Vec<_>>()}))
}

async fn create(State(buckets): State<Buckets>, body: String) -> Json<Value> {
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["orgID"], "0000000000000001");
    buckets.lock().unwrap().push(body["name"].as_str().unwrap().to_owned());
    Json(json!({}))
}

async fn query(body: String) -> &'static str {
    let body: Value = serde_json::from_str(&body).unwrap();
    let flux = body["query"].as_str().unwrap();
    assert!(
        flux.contains(r#"from(bucket: "energy")"#) && flux.contains(r#"r._field == "active_power_kw""#),
        "{flux}"
    );
    "#datatype,string,long,dateTime:RFC3339,double,string,string\r\n\
     #group,false,false,false,false,true,true\r\n\
     #default,_result,,,,,\r\n\
     ,result,table,_time,_value,_field,_measurement\r\n\
     ,,0,2026-08-28T08:00:00Z,0.5,active_power_kw,power\r\n\
     ,,0,2026-08-28T08:00:01Z,1.5,active_power_kw,power\r\n\r\n"
}

async fn server() -> (Config, Buckets) {
    let buckets = Buckets::default();
    let router = Router::new()
        .route(
            "/health",
            get(|| async { Json(json!({"name": "influxdb", "status": "pass", "checks": []})) }),
        )
        .route(
            "/api/v2/orgs",
            get(|| async { Json(json!({"orgs": [{"id": "0000000000000001", "name": "plant"}]})) }),
        )
        .route("/api/v2/buckets", get(list).post(create))
        .route("/api/v2/query", post(query))
        .with_state(Buckets::clone(&buckets));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let version = Version::V2 {
        org: "plant".into(),
        bucket: "energy".into(),
        token: Secret::new("t0ken".into()),
    };
    (Config::new("plant".into(), url, version), buckets)
}

#[tokio::test]
async fn a_missing_bucket_is_made_once_and_values_are_read_back() {
    let (config, buckets) = server().await;
    assert_eq!(ensure_bucket(&config).await.unwrap(), Bucket::Created);
    assert_eq!(ensure_bucket(&config).await.unwrap(), Bucket::Found);
    assert_eq!(*buckets.lock().unwrap(), ["energy"]);
    assert_eq!(
        read_back(&config, "power", "active_power_kw").await.unwrap(),
        [0.5, 1.5]
    );
}

#[tokio::test]
async fn what_cannot_be_set_up_says_why() {
    let (config, _) = server().await;
    let stranger = Version::V2 {
        org: "other".into(),
        bucket: "energy".into(),
        token: Secret::new("t0ken".into()),
    };
    let other = Config {
        version: stranger,
        ..config.clone()
    };
    assert!(matches!(ensure_bucket(&other).await, Err(SetupError::NoOrganisation(org)) if org == "other"));
    let tls = Config {
        url: "https://127.0.0.1:1".parse().unwrap(),
        ..config.clone()
    };
    assert!(matches!(ensure_bucket(&tls).await, Err(SetupError::NotHere(_))));
    let away = Config {
        url: "http://127.0.0.1:1".parse().unwrap(),
        ..config
    };
    assert!(matches!(ensure_bucket(&away).await, Err(SetupError::Refused(_))));
}
