//! The demo as its user meets it: one command, an address, the first waste within the minute, a clean end.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
};

use tokio::process::Command;

#[tokio::test]
async fn it_finds_the_first_waste_within_the_minute_and_ends_by_itself() {
    let truth = std::env::temp_dir().join(format!("wattwarden-truth-{}.jsonl", std::process::id()));
    let mut demo = Command::new(env!("CARGO_BIN_EXE_wattwarden"))
        .args([
            "demo",
            "--duration",
            "45s",
            "--seed",
            "3",
            "--lang",
            "en",
            "--listen",
            "127.0.0.1:0",
            "--truth",
        ])
        .arg(&truth)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let id = demo.id().unwrap();
    let out = demo.stdout.take().unwrap().into_owned_fd().unwrap();
    let lines = tokio::task::spawn_blocking(move || {
        let mut lines = BufReader::new(fs::File::from(out)).lines().map_while(Result::ok);
        let address = lines
            .by_ref()
            .map(|line| line.trim().to_owned())
            .find(|line| line.starts_with("http://"))
            .unwrap();
        (address, lines)
    });
    let (address, rest) = lines.await.unwrap();
    let client = wattwarden::outbound::tls_client(std::time::Duration::from_secs(5)).unwrap();
    let get = |path: &str| client.get(format!("{address}{path}")).send();
    assert!(get("/healthz").await.unwrap().status().is_success());
    assert!(
        get("/metrics")
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
            .contains("wattwarden_commits_total")
    );
    let now: serde_json::Value =
        serde_json::from_str(&get("/api/v1/now").await.unwrap().text().await.unwrap()).unwrap();
    assert!(now["clock"].as_str().unwrap().starts_with("2026-08-28T08:"), "{now}");

    assert_eq!(demo.wait().await.unwrap().code(), Some(0));
    let told: Vec<String> = rest.collect();
    assert!(told.iter().any(|line| line.contains("opened")), "{told:#?}");
    assert!(
        told.iter()
            .any(|line| line.contains("kWh · ") && line.contains("KRW · ")),
        "{told:#?}"
    );
    let rows = fs::read_to_string(&truth).unwrap();
    let first: serde_json::Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    assert_eq!(first["kind"], "idle_running");
    fs::remove_file(&truth).unwrap();
    assert!(
        !std::env::temp_dir().join(format!("wattwarden-demo-{id}")).exists(),
        "the demo left its folder behind"
    );
}
