//! What the MQTT presets of `config/meters` make of messages that real devices have sent, and of their traps.
//!
//! The messages are read from the shared data and not kept here; where they are absent the test says so.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, path::Path};

use energy::Quality;
use serde_json::{Value as Json, json};
use wattwarden::{
    acquire::mqtt::{TopicMeter, payload},
    config::{self, Secrets, diagnostic::Source},
};

/// Device messages by id; `None` where the shared data are absent.
fn messages() -> Option<BTreeMap<String, Json>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/mqtt/payloads.jsonl");
    let lines = std::fs::read_to_string(path).ok()?;
    let lines = lines.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    Some(
        lines
            .map(|line| (line["id"].as_str().unwrap().to_owned(), line["payload"].clone()))
            .collect(),
    )
}

/// The parts of a meter on topic `d` with these keys.
fn meter(keys: &str) -> Vec<TopicMeter> {
    let text = format!(
        "[site]\nname = 's'\nzone = 'Asia/Seoul'\n[[broker]]\nname = 'b'\nmqtt = 'mqtt://h'\n\
         [[meter]]\nname = 'm'\nbroker = 'b'\ntopic = 'd'\n{keys}\n[[machine]]\nname = 'x'\nkind = 'generic'\nmeter = 'm'\n"
    );
    let loaded = config::parse(Source::new("w", &text), Path::new("/nonexistent"), Secrets::LeaveOut);
    let mut loaded = loaded.unwrap_or_else(|found| panic!("{found:?}"));
    loaded.config.brokers.remove(0).meters
}

/// What a meter takes from a message: `quantity=value`, `?` behind what cannot be real, and `@` its time.
fn check(keys: &str, topic: &str, message: &Json, expected: &[&str]) {
    let meters = meter(keys);
    let part = meters.iter().find(|part| part.topic == topic);
    let part = part.unwrap_or_else(|| panic!("nothing under {topic} in {meters:?}"));
    // What has one number a topic sends it as bare text.
    let bytes = message.as_str().map_or_else(|| message.to_string(), str::to_owned);
    let found = match payload::read(bytes.as_bytes(), part) {
        Ok(content) => {
            let shown = |reading: &energy::Reading| {
                let doubt = if reading.quality == Quality::Ok { "" } else { "?" };
                format!("{}={}{doubt}", reading.quantity, (reading.value * 1e7).round() / 1e7)
            };
            let readings = content.readings.iter().map(shown);
            readings.chain(content.at.map(|at| format!("@{at}"))).collect()
        }
        Err(error) => vec![error.reason().to_owned()],
    };
    assert_eq!(found, expected, "{keys}: {topic}");
}

#[test]
fn tasmotas_messages_are_read_as_what_they_mean() {
    let Some(messages) = messages() else {
        println!("skipped: tasmotas_messages_are_read_as_what_they_mean: ../shared/data/mqtt");
        return;
    };
    let tasmota = "preset = 'tasmota'\nzone = 'Europe/Berlin'";
    check(
        tasmota,
        "d",
        &messages["m01"],
        &[
            "current_l1_a=0.17",
            "power_factor=0.85",
            "active_power_kw=0.034",
            "energy_import_kwh=0.034",
            "voltage_l1_v=236",
            "@2018-06-09T14:29:19Z",
        ],
    );
    check(
        "preset = 'tasmota'",
        "d",
        &messages["m05"],
        &[
            "apparent_power_kva=0.144",
            "current_l1_a=0.627",
            "power_factor=0.63",
            "active_power_kw=0.091",
            "reactive_power_kvar=0.111",
            "energy_import_kwh=40.543",
            "voltage_l1_v=229",
        ],
    );
    for id in ["m02", "m03", "m04"] {
        assert_eq!(
            payload::read(messages[id].to_string().as_bytes(), &meter(tasmota)[0])
                .unwrap()
                .readings
                .len(),
            7
        );
    }
    let two_channels = &messages["m06"]["StatusSNS"];
    check(
        tasmota,
        "d",
        two_channels,
        &[
            "apparent_power_kva=0.005",
            "frequency_hz=50",
            "active_power_kw=0.00815",
            "reactive_power_kvar=0.004",
            "energy_import_kwh=0.077",
            "voltage_l1_v=237",
            "@2023-01-09T17:57:39Z",
        ],
    );
}

#[test]
fn shellys_messages_are_read_as_what_they_mean() {
    let Some(messages) = messages() else {
        println!("skipped: shellys_messages_are_read_as_what_they_mean: ../shared/data/mqtt");
        return;
    };
    let [power, voltage, energy] = [0, 1, 2].map(|nth| &messages["m08"][nth]);
    let clamp = "preset = 'shelly-em'\neach = [{ channel = '0' }]";
    check(clamp, "d/emeter/0/power", power, &["active_power_kw=-0.0084"]);
    check(clamp, "d/emeter/0/voltage", voltage, &["voltage_l1_v=227.8"]);
    check(clamp, "d/emeter/0/total", energy, &["energy_import_kwh=7915.52536"]);
    check(
        "preset = 'shelly-plug'",
        "d/status/switch:0",
        &messages["m12"],
        &[
            "energy_import_kwh=2574.466629",
            "active_power_kw=0.3992",
            "current_l1_a=1.886",
            "voltage_l1_v=240.8",
        ],
    );
    let notified = json!({"method": "NotifyStatus", "params": {"ts": 1_786_033_200.5, "switch:0": messages["m12"]}});
    check(
        "preset = 'shelly-plug-rpc'",
        "d/events/rpc",
        &notified,
        &[
            "energy_import_kwh=2574.466629",
            "active_power_kw=0.3992",
            "current_l1_a=1.886",
            "voltage_l1_v=240.8",
            "@2026-08-06T16:20:00.5Z",
        ],
    );
    let three_phases = [
        "active_power_l1_kw=0.1367",
        "current_l1_a=0.951",
        "voltage_l1_v=229.7",
        "active_power_l2_kw=0.0818",
        "current_l2_a=0.867",
        "voltage_l2_v=230.5",
        "active_power_l3_kw=0.8364",
        "current_l3_a=5.495",
        "voltage_l3_v=233.7",
        "active_power_kw=1.054962",
        "apparent_power_kva=1.700496",
    ];
    check(
        "preset = 'shelly-pro-3em'",
        "d/status/em:0",
        &messages["m11"],
        &three_phases,
    );
    let newer = payload::read(
        messages["m10"].to_string().as_bytes(),
        &meter("preset = 'shelly-pro-3em'")[0],
    );
    assert_eq!(
        newer.unwrap().readings.len(),
        12,
        "it has its frequency too, and no current in the neutral"
    );
}

#[test]
fn the_traps_of_each_kind_of_device_are_met() {
    check(
        "preset = 'shelly-1pm'",
        "d/relay/0/energy",
        &json!("90000"),
        &["energy_import_kwh=1.5"],
    );
    check(
        "preset = 'shelly-1pm'",
        "d/relay/0/power",
        &json!("63.80"),
        &["active_power_kw=0.0638"],
    );
    check(
        "preset = 'shelly-pro-3em'",
        "d/status/emdata:0",
        &json!({"id": 0, "total_act": 1500.5, "total_act_ret": 0}),
        &["energy_import_kwh=1.5005", "energy_export_kwh=0"],
    );
    let of_the_network = json!({"method": "NotifyEvent", "params": {"ts": 1.0, "events": [{"component": "wifi"}]}});
    check(
        "preset = 'shelly-pro-3em-rpc'",
        "d/events/rpc",
        &of_the_network,
        &["missing_pointer"],
    );
    assert!(
        meter("preset = 'shelly-pro-3em-rpc'")[0].is_partial,
        "and that is no poison"
    );
    let two =
        json!({"Time": "2026-08-28T17:10:00", "ENERGY": {"Power": [8, 2], "Voltage": 230, "Current": [0.5, 0.25]}});
    check(
        "preset = 'tasmota-channel'\nzone = 'Asia/Seoul'\neach = [{ channel = '1' }]",
        "d",
        &two,
        &[
            "current_l1_a=0.25",
            "active_power_kw=0.002",
            "voltage_l1_v=230",
            "@2026-08-28T08:10:00Z",
        ],
    );
    let zigbee = json!({"power": 12.5, "energy": 3.25, "linkquality": 90, "last_seen": "2026-08-28T08:10:00+00:00"});
    let expected = [
        "energy_import_kwh=3.25",
        "active_power_kw=0.0125",
        "@2026-08-28T08:10:00Z",
    ];
    check("preset = 'zigbee2mqtt'", "d", &zigbee, &expected);
}
