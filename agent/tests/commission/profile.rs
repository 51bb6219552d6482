//! `profile`: listed, made from answers, tried on a device.

use serde_json::{Value, json};

use super::{
    check, check_both, modbus_support::python_with_pymodbus, of_vector, on_terminal, plant, program_support::Folder,
};

#[tokio::test]
async fn known_models_are_listed() {
    check_both(
        &["profile", "list"],
        0,
        &["eastron-sdm630", "아니오"],
        &["eastron-sdm630", "no"],
    )
    .await;
    check_both(
        &["profile", "list", "pm5110"],
        0,
        &["출처", "프로파일 1개"],
        &["source", "1 profile"],
    )
    .await;
    let text = check(&["profile", "list", "shelly-pro-3em", "--json"], 0, &[]).await;
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found[0]["line"], "mqtt");
}

/// The flags of a new profile for the device of the SDM630's vector, except its points.
const FLAGS: [&str; 13] = [
    "profile",
    "new",
    "--name",
    "maker-m1",
    "--maker",
    "Maker \"M\"",
    "--model",
    "M1",
    "--source",
    "list, edition 3",
    "--base",
    "1",
    "--table=input",
];

#[tokio::test]
async fn a_profile_is_made_from_answers_and_tried_on_a_device() {
    let folder = Folder::new("profile-new");
    let here = folder.0.display().to_string();
    let points = [
        "--point",
        "voltage_l1_v@1",
        "--point",
        "active_power_kw@53,scale=0.001",
        "--out",
        &here,
    ];
    let new = [&FLAGS[..], &points].concat();
    check(&[&new[..], &["--lang", "ko"]].concat(), 0, &["점 2개", "profile test"]).await;
    check(&new, 2, &["not written over"]).await;
    let path = folder.path("maker-m1.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("verified = false") && text.contains("표시창"), "{text}");

    let units = json!({"1": of_vector("eastron-sdm630")});
    let Some((_server, address)) = plant("profile", &json!({"kind": "tcp", "units": units})).await else {
        return;
    };
    let test = ["profile", "test", &path, "--address", &address];
    check_both(
        &test,
        0,
        &[
            "ok voltage_l1_v 230.10 V 4:0 4366 199A",
            "active_power_kw 6.461 kW 4:52 45C9 E75E",
            "verified = true 로",
        ],
        &[
            "ok voltage_l1_v 230.10 V 4:0 4366 199A",
            "6.461 kW",
            "set verified = true",
        ],
    )
    .await;
    let shipped = ["profile", "test", "eastron-sdm630", "--address", &address, "--json"];
    let found: Value = serde_json::from_str(&check(&shipped, 0, &[]).await).unwrap();
    let device = &found["devices"][0];
    assert_eq!(device["values"].as_array().unwrap().len(), 24);
    assert!(
        device["checks"]
            .as_array()
            .unwrap()
            .iter()
            .all(|check| check["ok"] == true),
        "{device:#}"
    );
}

#[tokio::test]
async fn a_wrong_profile_a_silent_device_and_wrong_answers_are_told() {
    let units = json!({"1": of_vector("eastron-sdm630")});
    let Some((_server, address)) = plant("profile", &json!({"kind": "tcp", "units": units})).await else {
        return;
    };
    let test =
        |profile: &'static str, unit: &'static str| ["profile", "test", profile, "--address", &address, "--unit", unit];
    let refused = ["계측기에 이 주소가 없음"];
    check_both(
        &test("schneider-iem3000", "1"),
        3,
        &refused,
        &["does not have this address"],
    )
    .await;
    check_both(
        &test("eastron-sdm630", "2"),
        3,
        &["게이트웨이"],
        &["gateway heard nothing"],
    )
    .await;
    check(&test("no-such", "1"), 2, &["profile list"]).await;
    check(&test("shelly-em", "1"), 2, &["MQTT preset"]).await;
    check(&test("/tmp/no-such.toml", "1"), 2, &["cannot read"]).await;
    let folder = Folder::new("profile-wrong");
    let here = folder.0.display().to_string();
    for (point, why) in [
        ("voltage@1", "no quantity is called"),
        ("voltage_l1_v@0", "1 to 65536"),
        ("voltage_l1_v", "QUANTITY@REGISTER"),
        ("voltage_l1_v@1,type=f33", "cannot be"),
    ] {
        check(&[&FLAGS[..], &["--point", point, "--out", &here]].concat(), 2, &[why]).await;
    }
    check(&["profile", "new", "--name", "x"], 2, &["--maker"]).await;
    check(&["profile", "new", "--name", "../x"], 2, &["small letters"]).await;
    assert_eq!(
        std::fs::read_dir(&folder.0).unwrap().count(),
        0,
        "nothing is written that the loader refuses"
    );
}

#[tokio::test]
async fn what_no_flag_says_is_asked_on_the_terminal() {
    if python_with_pymodbus().await.is_none() {
        println!("skipped: what_no_flag_says_is_asked_on_the_terminal: python3");
        return;
    }
    let folder = Folder::new("profile-asked");
    let here = folder.0.display().to_string();
    let answers =
        "own-m1|제조사 \"가\"|M1|manual, edition 2|1|input|||voltage|voltage_l1_v@1|active_power_kw@53,scale=0.001|";
    let (status, text) = on_terminal(answers, &["profile", "new", "--out", &here, "--lang", "ko"]).await;
    assert!(
        status == Some(0) && text.contains("QUANTITY@REGISTER") && text.contains("점 2개"),
        "{text}"
    );
    let written = std::fs::read_to_string(folder.path("own-m1.toml")).unwrap();
    assert!(
        written.contains("제조사 \"가\"")
            && written.contains("{ at = 53, ")
            && written.contains("table = \"input\"\ntype = \"f32\"\norder = \"abcd\""),
        "{written}"
    );
}
