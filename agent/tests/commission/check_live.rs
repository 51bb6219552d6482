//! `check --live` and the plan in `check --json`.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{check, check_both, of_vector, plant, program_support::Folder};

/// A configuration with these meters on one line, and a store's folder that is there.
pub(super) fn config(folder: &Folder, address: &str, meters: &[(&str, u8, &str)]) -> String {
    std::fs::create_dir_all(folder.path("store")).unwrap();
    let mut text = format!(
        "[site]\nname = \"s\"\nzone = \"Asia/Seoul\"\n[store]\npath = \"store\"\n\
         [[bus]]\nname = \"panel-a\"\nmodbus = \"{address}\"\ntimeout = \"300ms\"\n"
    );
    for (name, unit, profile) in meters {
        text.extend([format!(
            "[[meter]]\nname = \"{name}\"\nbus = \"panel-a\"\nunit = {unit}\nprofile = \"{profile}\"\n"
        )]);
    }
    folder.file("w.toml", &text)
}

/// The SDM630's vector, its import register counting.
fn counting() -> Value {
    let mut unit = of_vector("eastron-sdm630");
    unit["rises"] = json!({"at": 72, "from": 12_345.6, "per_s": 0.1});
    unit
}

/// The SDM630's vector with its powers negative: the sign is a float's first bit.
fn reversed() -> Value {
    let mut unit = of_vector("eastron-sdm630");
    for (block, nth) in [("0", 12), ("0", 14), ("0", 16), ("52", 0)] {
        let word = unit["input"][block][nth].as_i64().unwrap();
        unit["input"][block][nth] = json!(word ^ 0x8000);
    }
    unit
}

/// The SDM630's vector with nothing but NaN in these registers; in all of them where none is named.
fn without_value(blanks: &[(&str, usize)]) -> Value {
    let mut unit = of_vector("eastron-sdm630");
    let nan = [0x7fc0, 0];
    for (block, words) in unit["input"].as_object_mut().unwrap() {
        for (nth, word) in words.as_array_mut().unwrap().iter_mut().enumerate() {
            let is_blank = |(of, from): &(&str, usize)| of == block && (*from..from + 2).contains(&nth);
            if blanks.is_empty() || blanks.iter().any(is_blank) {
                *word = json!(nan[nth % 2]);
            }
        }
    }
    unit
}

#[tokio::test]
async fn a_register_that_holds_no_value_is_no_value() {
    let units = json!({"1": without_value(&[]), "2": without_value(&[("0", 6)])});
    let Some((_server, address)) = plant("nan", &json!({"kind": "tcp", "silent": true, "units": units})).await else {
        return;
    };
    let folder = Folder::new("check-live-nan");
    let path = config(
        &folder,
        &address,
        &[("empty", 1, "eastron-sdm630"), ("one", 2, "eastron-sdm630")],
    );
    let args = ["check", "-c", &path, "--live"];
    check_both(
        &args,
        3,
        &[
            "fail empty",
            "warn one",
            "값 없음: current_l1_a @6: 계측기가 값 없음이라",
        ],
        &["fail empty", "warn one", "no value: current_l1_a @6: the meter says"],
    )
    .await;
}

#[tokio::test]
async fn each_meter_says_how_it_is() {
    let units = json!({"1": counting(), "2": reversed()});
    let Some((_server, address)) = plant("live", &json!({"kind": "tcp", "silent": true, "units": units})).await else {
        return;
    };
    let folder = Folder::new("check-live");
    let meters = [("main", 1, "eastron-sdm630"), ("dryer", 2, "eastron-sdm630")];
    let path = config(&folder, &address, &meters);
    let args = ["check", "-c", &path, "--live"];
    check_both(
        &args,
        0,
        &[
            "ok main",
            "6.461 kW",
            "적산값 증가 중",
            "warn dryer",
            "CT 방향",
            "거꾸로",
            "회선",
            "%",
        ],
        &[
            "ok main",
            "6.461 kW",
            "pf 0.920",
            "energy counter rising",
            "warn dryer",
            "-6.461 kW",
            "reversed",
            "measured answers",
        ],
    )
    .await;
    let path = config(
        &folder,
        &address,
        &[&meters[..], &[("press", 3, "eastron-sdm630")]].concat(),
    );
    let args = ["check", "-c", &path, "--live"];
    check_both(
        &args,
        3,
        &["fail press", "국번 1, 2에서는 응답이 있음"],
        &["fail press", "no answer", "unit 1, 2 on the same line answers"],
    )
    .await;
    let found: Value = serde_json::from_str(&check(&[&args[..], &["--json"]].concat(), 3, &[]).await).unwrap();
    let meters = found["live"][0]["meters"].as_array().unwrap();
    let verdicts: Vec<_> = meters.iter().map(|meter| meter["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["ok", "warn", "fail"]);
    assert_eq!(meters[2]["trouble"]["key"], "timeout");
    assert_eq!(meters[0]["values"].as_array().unwrap().len(), 24);
    assert!(meters[0]["latency_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(found["live"][0]["can_be_kept_up"], true);
}

#[tokio::test]
async fn a_register_that_stands_still_under_load_is_told() {
    let units = json!({"1": of_vector("eastron-sdm630")});
    let Some((_server, address)) = plant("stands", &json!({"kind": "tcp", "units": units})).await else {
        return;
    };
    let folder = Folder::new("check-stands");
    let path = config(&folder, &address, &[("main", 1, "eastron-sdm630")]);
    let text = check(
        &["check", "-c", &path, "--live", "--lang", "en"],
        0,
        &[
            "warn  main",
            "energy counter: 12345.60 → 12345.60 kWh in 15 s",
            "did not",
            "steps up to 0.0",
        ],
    )
    .await;
    assert!(!text.contains("rising"), "{text}");
}

#[tokio::test]
async fn the_plan_is_told_to_programs() {
    let folder = Folder::new("check-plan");
    let path = config(
        &folder,
        "rtu:///dev/ttyUSB0?baud=19200",
        &[("main", 1, "eastron-sdm630")],
    );
    let found: Value = serde_json::from_str(&check(&["check", "-c", &path, "--json"], 0, &[]).await).unwrap();
    let plan = &found["plan"][0];
    assert_eq!((&plan["bus"], &plan["is_whole"]), (&json!("panel-a"), &json!(true)));
    let rhythms = plan["rhythms"].as_array().unwrap();
    assert_eq!(
        rhythms
            .iter()
            .map(|rhythm| rhythm["every_ms"].as_f64().unwrap())
            .collect::<Vec<_>>(),
        [1000.0, 10_000.0, 60_000.0]
    );
    let requests: u64 = rhythms.iter().map(|rhythm| rhythm["requests"].as_u64().unwrap()).sum();
    assert_eq!(requests as usize, plan["reads"].as_array().unwrap().len());
    let share = rhythms[0]["share"].as_f64().unwrap();
    assert!((0.01..1.0).contains(&share), "{plan:#}");
    assert_eq!(plan["reads"][0]["table"], "input");
}

#[tokio::test]
async fn a_line_that_cannot_keep_up_by_what_was_measured_is_told() {
    let units = json!({"1": counting()});
    let Some((_server, address)) = plant("slow", &json!({"kind": "tcp", "delay_s": 0.3, "units": units})).await else {
        return;
    };
    let folder = Folder::new("check-slow");
    let path = config(&folder, &address, &[("main", 1, "eastron-sdm630")]);
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replace("300ms", "2s")
        .replace("[[meter]]", "every = \"200ms\"\n[[meter]]");
    std::fs::write(&path, text).unwrap();
    check_both(
        &["check", "-c", &path, "--live"],
        3,
        &["fail 측정한 응답 시간으로 계산한 회선", "요구한 만큼 읽을 수"],
        &["fail the line by measured answers", "can be met"],
    )
    .await;
}

/// One slow block is charged to itself only; and a meter that puts a question off is asked again.
#[tokio::test]
async fn a_slow_block_and_a_busy_meter_make_no_line_too_slow_and_no_meter_fail() {
    let holding = json!({"0": [0x41A0, 0], "100": [0x41A0, 0], "200": [0x41A0, 0], "300": [0x41A0, 0]});
    let units = json!({"1": {"holding": holding, "slow": {"at": 100, "s": 0.4}, "busy": 1}});
    let Some((_server, address)) = plant("slow-block", &json!({"kind": "tcp", "units": units})).await else {
        return;
    };
    let folder = Folder::new("check-slow-block");
    let path = config(&folder, &address, &[("main", 1, "x")]);
    let registers = [
        "temperature_c",
        "process_temperature_c",
        "supply_temperature_c",
        "return_temperature_c",
    ]
    .iter()
    .enumerate()
    .map(|(nth, quantity)| format!("{{ at = {}, type = \"f32\", quantity = \"{quantity}\" }}", nth * 100))
    .collect::<Vec<_>>()
    .join(", ");
    let text = std::fs::read_to_string(&path).unwrap().replace("300ms", "2s");
    let text = text.replace("profile = \"x\"", &format!("registers = [{registers}]"));
    std::fs::write(&path, text).unwrap();
    let args = ["check", "-c", &path, "--live", "--json"];
    let found: Value = serde_json::from_str(&check(&args, 0, &[]).await).unwrap();
    let live = &found["live"][0];
    assert_eq!(live["meters"][0]["verdict"], "ok", "{live:#}");
    assert_eq!(found["ok"], true, "{found:#}");
    assert!(live["meters"][0]["latency_ms"].as_f64().unwrap() > 399.0, "{live:#}");
    assert_eq!(live["can_be_kept_up"], true, "{live:#}");
}

/// A plant without a Modbus meter is looked at, too: who is not there is named, and the command fails.
#[tokio::test]
async fn brokers_and_influxdb_are_looked_for() {
    let answered = |answer: &'static [u8]| async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 1024];
                while stream.read(&mut asked).await.is_ok_and(|n| n > 0) {
                    stream.write_all(answer).await.unwrap();
                }
            }
        });
        port
    };
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = free.local_addr().unwrap().port();
    drop(free);
    let folder = Folder::new("check-servers");
    std::fs::create_dir_all(folder.path("store")).unwrap();
    let path = |mqtt: u16, influx: u16| {
        let text = format!(
            "[site]\nname = \"s\"\nzone = \"Asia/Seoul\"\n[store]\npath = \"store\"\n\
             [[broker]]\nname = \"hall\"\nmqtt = \"mqtt://127.0.0.1:{mqtt}\"\n\
             [[meter]]\nname = \"press\"\nbroker = \"hall\"\ntopic = \"a/b\"\n\
             values = {{ \"/p\" = \"active_power_kw\" }}\n\
             [[influx]]\nname = \"history\"\nurl = \"http://127.0.0.1:{influx}\"\nversion = 1\ndatabase = \"d\"\n"
        );
        folder.file("w.toml", &text)
    };
    let absent = path(nobody, nobody);
    let args = ["check", "-c", &absent, "--live"];
    check_both(
        &args,
        3,
        &["fail 브로커 hall", "fail InfluxDB history", "켜져 있는지"],
        &["fail broker hall", "fail InfluxDB history", "that the broker runs"],
    )
    .await;
    // CONNACK of MQTT 3.1.1: no session, accepted.
    let broker = answered(&[0x20, 2, 0, 0]).await;
    let influx = answered(b"HTTP/1.1 204 No Content\r\nX-Influxdb-Version: 1.8.10\r\n\r\n").await;
    let there = path(broker, influx);
    let args = ["check", "-c", &there, "--live"];
    check_both(
        &args,
        0,
        &["ok 브로커 hall", "ok InfluxDB"],
        &["ok broker hall", "ok InfluxDB"],
    )
    .await;
    // It is not the server that is there, but another: not authorised.
    let missing =
        answered(b"HTTP/1.1 404 Not Found\r\nContent-Length: 33\r\n\r\n{\"error\":\"database not found: d\"}");
    let refusing = path(answered(&[0x20, 2, 0, 5]).await, missing.await);
    let args = ["check", "-c", &refusing, "--live", "--json"];
    let found: Value = serde_json::from_str(&check(&args, 3, &[]).await).unwrap();
    let verdicts: Vec<_> = found["servers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|server| &server["verdict"])
        .collect();
    assert_eq!(verdicts, ["fail", "fail"], "{found:#}");
    assert_eq!(found["ok"], false, "{found:#}");
    let why = found["servers"][1]["trouble"].as_str().unwrap();
    assert!(why.contains("404") && why.contains("database not found"), "{why}");
}
