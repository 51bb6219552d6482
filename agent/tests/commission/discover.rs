//! `discover`: what stands on a gateway, a converter and a serial port, and a configuration that `check` accepts.

use serde_json::{Value, json};

use super::{check, check_both, of_vector, on_terminal, plant, program_support::Folder, registers, sunspec};

fn port(address: &str) -> &str {
    address.rsplit(':').next().unwrap()
}

/// A gateway with a meter that others share registers with, one that says its name, a SunSpec meter, an unknown device.
fn gateway(layouts: Option<&str>) -> Value {
    let mut units = json!({
        "3": of_vector("eastron-sdm630"),
        "7": of_vector("schneider-pm5110"),
        "12": {"holding": registers(&[(0, &[1, 2, 3])])},
    });
    if let Some(layouts) = layouts {
        units["9"] = sunspec::device(layouts, 40_000, 203, 50);
    }
    json!({"kind": "tcp", "vendor": "Schneider Electric", "product": "METSEPM5110", "units": units})
}

/// A search of the first twelve units at a port of this machine.
fn asked<'a>(port: &'a str, units: &'a str) -> [&'a str; 10] {
    [
        "discover",
        "--hosts",
        "127.0.0.1",
        "--port",
        port,
        "--units",
        units,
        "--gap",
        "1ms",
        "--yes",
    ]
}

#[tokio::test]
async fn meters_behind_a_gateway_are_found_told_and_written_down() {
    let name = "meters_behind_a_gateway_are_found_told_and_written_down";
    let layouts = sunspec::layouts(name);
    let Some((_server, address)) = plant(name, &gateway(layouts.as_deref())).await else {
        return;
    };
    let asked = asked(port(&address), "1-12");
    let text = check(&[&asked[..], &["--json"]].concat(), 0, &[]).await;
    let found: Value = serde_json::from_str(&text).unwrap();
    let first = |unit: u64| {
        let device = found["devices"]
            .as_array()
            .unwrap()
            .iter()
            .find(|device| device["unit"] == unit)
            .unwrap();
        (
            device["candidates"][0]["profile"].as_str().unwrap_or_default(),
            device["is_sure"].as_bool().unwrap(),
        )
    };
    assert_eq!(
        first(3),
        ("eastron-sdm630", true),
        "not the name that the gateway says: {found:#}"
    );
    assert_eq!(
        first(7),
        ("schneider-pm5110", true),
        "its registers are a PM5320's too, its name is not: {found:#}"
    );
    assert_eq!(first(12), ("", false));
    if layouts.is_some() {
        assert_eq!(first(9), ("sunspec-203", true));
        let device = &found["sheet"]["devices"][2];
        assert!(device["says"].to_string().contains("SN-12345"), "{device:#}");
        let value = |name: &str| {
            device["values"]
                .as_array()
                .unwrap()
                .iter()
                .find(|value| value["name"] == name)
                .unwrap()["value"]
                .clone()
        };
        assert_eq!(value("active_power_kw"), 6.461);
    }
    assert_eq!(found["is_complete"], true);
    assert_eq!(
        found["devices"].as_array().unwrap().len(),
        if layouts.is_some() { 4 } else { 3 }
    );
}

#[tokio::test]
async fn what_was_found_is_written_as_a_configuration_that_check_accepts() {
    let name = "what_was_found_is_written_as_a_configuration_that_check_accepts";
    let Some((_server, address)) = plant(name, &gateway(None)).await else {
        return;
    };
    let asked = asked(port(&address), "1-12");
    let folder = Folder::new("discover");
    let (config, sheet) = (folder.path("plant.toml"), folder.path("sheet.txt"));
    let store = format!("\n[store]\npath = \"{}\"\n", folder.path("store"));
    std::fs::create_dir_all(folder.path("store")).unwrap();
    let written = [&asked[..], &["--write", &config, "--sheet", &sheet]].concat();
    check_both(
        &written[..asked.len()],
        0,
        &["eastron-sdm630", "검증되지 않은", "모델이 아님"],
        &["sdm630", "not verified", "no model"],
    )
    .await;
    check(&written, 0, &["plant.toml", "check --live"]).await;
    check(&written, 2, &["not written over"]).await;
    let text = std::fs::read_to_string(&config).unwrap() + &store;
    std::fs::write(&config, &text).unwrap();
    let unjudged = ["0 errors", "2 meters", "no contract", "no main_meter"];
    check(&["check", "-c", &config], 0, &unjudged).await;
    // What a search cannot know needs only its # taken away.
    let filled = ["shifts", "main_meter", "[[contract]]", "from", "tariff", "contract_kw"]
        .iter()
        .fold(text, |text, key| {
            text.replacen(&format!("\n# {key}"), &format!("\n{key}"), 1)
        });
    std::fs::write(&config, filled).unwrap();
    check(&["check", "-c", &config], 0, &["0 errors", "500 kW by kepco"]).await;
    let sheet = std::fs::read_to_string(sheet).unwrap();
    for fact in ["SDM630", "4366 199A", "verified = false", "signed"] {
        assert!(sheet.contains(fact), "{fact} is not in\n{sheet}");
    }
}

#[tokio::test]
async fn a_device_that_answers_to_every_unit_is_written_once_and_twins_in_registers_are_both_told() {
    let name = "a_device_that_answers_to_every_unit";
    let unit = || of_vector("schneider-pm5320");
    let units = json!({"1": unit(), "2": unit(), "3": unit()});
    let Some((_server, address)) = plant(name, &json!({"kind": "tcp", "units": units})).await else {
        return;
    };
    let folder = Folder::new("discover-twins");
    let config = folder.path("plant.toml");
    let asked = asked(port(&address), "1-3");
    check_both(
        &asked,
        0,
        &[
            "schneider-pm5110 또는 schneider-pm5320",
            "명판",
            "국번 1과 적산값이 같음",
        ],
        &[
            "schneider-pm5110 or schneider-pm5320",
            "name plate",
            "has the counters of unit 1",
        ],
    )
    .await;
    check(&[&asked[..], &["--write", &config]].concat(), 0, &[]).await;
    let text = std::fs::read_to_string(&config).unwrap();
    assert_eq!(text.matches("[[meter]]").count(), 1, "{text}");
    assert!(text.contains("schneider-pm5110, schneider-pm5320"), "{text}");
}

#[tokio::test]
async fn a_fingerprint_names_the_model() {
    let folder = Folder::new("discover-mark");
    std::fs::create_dir_all(folder.path("meters")).unwrap();
    let profile = "maker = 'Maker'\nmodel = 'Own'\nsource = 's'\nverified = true\n\
                   registers = [{ at = 0, type = 'u16', quantity = 'temperature_c' }]\n\
                   [[fingerprint]]\nsource = 's'\nat = 100\nregisters = 3\ntext = 'OWN-'\n";
    folder.file("meters/own.toml", profile);
    let holding = registers(&[(0, &[21]), (100, &[0x4F57, 0x4E2D, 0x3100])]);
    let described =
        json!({"kind": "tcp", "units": {"1": {"holding": holding}, "2": {"holding": registers(&[(0, &[21])])}}});
    let Some((_server, address)) = plant("fingerprint", &described).await else {
        return;
    };
    let beside = folder.0.display().to_string();
    let asked = asked(port(&address), "1-2");
    let asked = [&asked[..], &["--beside", &beside]].concat();
    check_both(
        &asked,
        0,
        &["→ own", "검증된 프로파일; 지문", "모델이 아님"],
        &["→ own", "verified profile; its fingerprint", "no model"],
    )
    .await;
}

#[tokio::test]
async fn an_identification_code_decides_between_models_that_share_their_registers() {
    let with = |code: Option<u16>| {
        let mut unit = of_vector("carlo-gavazzi-em24-e1");
        let words: Vec<u16> = serde_json::from_value(unit["input"]["0"].clone()).unwrap();
        let (before, behind) = (&words[..11], &words[12..]);
        unit["input"]["0"] = match code {
            Some(code) => json!([before, &[code], behind].concat()),
            None => json!(before),
        };
        if code.is_none() {
            unit["input"]["12"] = json!(behind);
        }
        unit
    };
    let units = json!({"1": with(Some(341)), "2": with(Some(7)), "3": with(None)});
    let Some((_server, address)) = plant("code", &json!({"kind": "tcp", "units": units})).await else {
        return;
    };
    let asked = [&asked(port(&address), "1-3")[..], &["--json"]].concat();
    let found: Value = serde_json::from_str(&check(&asked, 0, &[]).await).unwrap();
    let best = |nth: usize, n: usize| -> Vec<&str> {
        let candidates = found["devices"][nth]["candidates"].as_array().unwrap();
        candidates
            .iter()
            .take(n)
            .map(|one| one["profile"].as_str().unwrap())
            .collect()
    };
    let is_sure = |nth: usize| found["devices"][nth]["is_sure"].as_bool().unwrap();
    assert_eq!(
        (best(0, 1), is_sure(0)),
        (vec!["carlo-gavazzi-ex3x0"], true),
        "{found:#}"
    );
    let twins = ["carlo-gavazzi-em24-e1", "garo-gnm3d"];
    assert_eq!(
        (best(1, 9), is_sure(1)),
        (twins.to_vec(), false),
        "another code: {found:#}"
    );
    let all = ["carlo-gavazzi-em24-e1", "carlo-gavazzi-ex3x0", "garo-gnm3d"];
    assert_eq!((best(2, 3), is_sure(2)), (all.to_vec(), false), "no code: {found:#}");
}

#[tokio::test]
async fn a_converter_that_only_passes_bytes_on_is_recognised() {
    let described = json!({"kind": "rtu+tcp", "silent": true, "units": {"2": of_vector("eastron-sdm630")}});
    let Some((_server, address)) = plant("converter", &described).await else {
        return;
    };
    let asked = [
        "discover",
        "--hosts",
        "127.0.0.1",
        "--port",
        port(&address),
        "--units",
        "1-3",
        "--timeout",
        "150ms",
        "--yes",
    ];
    check_both(
        &asked,
        0,
        &["rtu+tcp://127.0.0.1", "eastron-sdm630"],
        &["rtu+tcp://127.0.0.1", "eastron-sdm630"],
    )
    .await;
}

#[tokio::test]
async fn a_serial_port_is_searched_speed_by_speed() {
    let described = json!({"kind": "rtu", "units": {"2": of_vector("eastron-sdm630")}});
    let Some((_server, path)) = plant("serial", &described).await else {
        return;
    };
    let asked = [
        "discover",
        "--serial",
        &path,
        "--units",
        "1-2",
        "--timeout",
        "150ms",
        "--gap",
        "1ms",
        "--yes",
    ];
    check_both(
        &asked,
        0,
        &["eastron-sdm630", "baud 8"],
        &["eastron-sdm630", "baud 8", "1 device,"],
    )
    .await;
}

#[tokio::test]
async fn nothing_is_asked_that_nobody_named_and_what_does_not_answer_is_told() {
    check(&["discover"], 2, &["--hosts"]).await;
    check(&["discover", "--hosts", "10.0.0.0/8", "--yes"], 2, &["/22"]).await;
    check(&["discover", "--hosts", "127.0.0.1"], 2, &["--yes"]).await;
    check(
        &["discover", "--hosts", "127.0.0.1", "--units", "0", "--yes"],
        2,
        &["1 to 255"],
    )
    .await;
    check(&["discover", "--serial", "ttyUSB0", "--yes"], 2, &["/dev/ttyUSB0"]).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
        .to_string();
    let asked = ["discover", "--hosts", "127.0.0.1", "--port", &closed, "--yes"];
    check_both(&asked, 3, &["연결을 거절", "장치 0개"], &["refuses", "0 devices"]).await;
    let folder = Folder::new("discover-nothing");
    let config = folder.path("plant.toml");
    check(&[&asked[..], &["--write", &config]].concat(), 3, &[]).await;
    assert!(
        !std::path::Path::new(&config).exists(),
        "an empty configuration helps nobody"
    );
}

#[tokio::test]
async fn the_search_begins_only_when_somebody_says_so() {
    let described = json!({"kind": "tcp", "units": {"2": of_vector("eastron-sdm630")}});
    let Some((_server, address)) = plant("terminal", &described).await else {
        return;
    };
    let asked = [
        "discover",
        "--hosts",
        "127.0.0.1",
        "--port",
        port(&address),
        "--units",
        "2",
        "--gap",
        "1ms",
        "--lang",
        "ko",
    ];
    let (status, text) = on_terminal("n", &asked).await;
    assert!(
        status == Some(2) && text.contains("읽기만 합니다") && !text.contains("sdm630"),
        "{text}"
    );
    let (status, text) = on_terminal("예", &asked).await;
    assert!(
        status == Some(0) && text.contains("eastron-sdm630") && text.contains("국번 2"),
        "{text}"
    );
}
