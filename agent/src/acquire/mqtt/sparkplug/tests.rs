//! Stories of edge nodes, told by messages as another implementation encoded them and by our own.

use std::path::Path;

use proptest::prelude::*;
use prost::Message;

use super::{payload::Value as Raw, *};
use crate::acquire::mqtt::Array;

const AT: &str = "2026-08-28T08:10:00Z";

fn meter(name: &str, device: &str, metrics: &[(&str, Quantity, f64)]) -> SparkplugMeter {
    let value = |&(metric, quantity, scale): &(&str, Quantity, f64)| Value {
        pointer: metric.into(),
        quantity,
        scale,
        offset: 0.0,
        array: Array::Refused,
    };
    SparkplugMeter {
        name: name.into(),
        group: "g".into(),
        node: "n".into(),
        device: device.into(),
        values: metrics.iter().map(value).collect(),
    }
}

/// A meter on the device, and one on the node itself.
fn edges() -> Edges {
    Edges::new(vec![
        meter(
            "press",
            "d",
            &[
                ("Power/Active/Total", Quantity::ActivePower, 1.0),
                ("Energy/Active/Import", Quantity::EnergyImport, 1.0),
                ("Temp/Int16", Quantity::Temperature, 1.0),
            ],
        ),
        meter("hall", "", &[("kW", Quantity::ActivePower, 1.0)]),
    ])
}

/// What a message says, shortly: `meter@seconds quantity=value quality`, `meter!label`, `ask`, `gap`.
fn hear(edges: &mut Edges, kind: &str, bytes: &[u8], at: &str) -> Vec<String> {
    let topic = match kind.as_bytes()[0] {
        b'D' => format!("spBv1.0/g/{kind}/n/d"),
        _ => format!("spBv1.0/g/{kind}/n"),
    };
    let heard = edges.hear(&topic, bytes, at.parse().unwrap()).unwrap();
    let mut shown: Vec<String> = heard
        .said
        .iter()
        .map(|said| match &said.content {
            Err(refusal) => format!("{}!{}", said.meter, refusal.label),
            Ok(content) => {
                let time = content
                    .at
                    .map_or_else(|| "now".to_owned(), |at| at.as_second().to_string());
                let reading = |reading: &Reading| {
                    let value = (reading.value * 1e3).round() / 1e3;
                    format!(" {}={value} {}", reading.quantity, reading.quality.name())
                };
                format!("{}@{time}", said.meter) + &content.readings.iter().map(reading).collect::<String>()
            }
        })
        .collect();
    shown.extend(heard.ask.map(|(topic, _)| format!("ask {topic}")));
    shown.extend(heard.is_gap.then(|| "gap".to_owned()));
    shown
}

fn metric(name: Option<&str>, alias: Option<u64>, kw: f64) -> Metric {
    Metric {
        name: name.map(str::to_owned),
        alias,
        value: Some(Raw::Double(kw)),
        ..Metric::default()
    }
}

fn message(seq: u64, metrics: Vec<Metric>) -> Vec<u8> {
    Payload {
        timestamp: Some(1_787_904_600_000 + seq * 1000),
        metrics,
        seq: Some(seq),
        uuid: None,
    }
    .encode_to_vec()
}

fn born(bd_seq: f64) -> Vec<u8> {
    message(
        0,
        vec![metric(Some("bdSeq"), None, bd_seq), metric(Some("kW"), Some(7), 5.0)],
    )
}

#[test]
fn messages_of_another_implementation_are_read_as_it_meant_them() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/sparkplug"));
    let read = |name: &str| std::fs::read(folder.join(format!("{name}.bin"))).ok();
    let (Some(nbirth), Some(dbirth), Some(ddata)) = (read("nbirth"), read("dbirth"), read("ddata_alias_only")) else {
        println!("skipped: messages_of_another_implementation_are_read_as_it_meant_them: ../shared/data/sparkplug");
        return;
    };
    let mut edges = edges();
    assert_eq!(
        hear(&mut edges, "DDATA", &ddata, AT),
        ["press!no_birth", "ask spBv1.0/g/NCMD/n"],
        "an alias is never guessed"
    );
    assert_eq!(hear(&mut edges, "NBIRTH", &nbirth, AT), [""; 0]);
    assert_eq!(
        hear(&mut edges, "DBIRTH", &dbirth, AT),
        ["press@1514764801 active_power_kw=412.36 ok energy_import_kwh=184205.37 ok temperature_c=-12 ok"]
    );
    assert_eq!(
        hear(&mut edges, "DDATA", &ddata, AT),
        ["press@1514764802 active_power_kw=18.35 ok energy_import_kwh=184205.41 ok"]
    );
}

#[test]
fn an_alias_means_what_the_last_birth_said() {
    let mut edges = edges();
    let data = |seq| message(seq, vec![metric(None, Some(7), 6.0), metric(None, Some(8), 1.0)]);
    assert_eq!(
        hear(&mut edges, "NBIRTH", &born(1.0), AT),
        ["hall@1787904600 active_power_kw=5 ok"]
    );
    assert_eq!(
        hear(&mut edges, "NDATA", &data(1), AT),
        ["hall@1787904601 active_power_kw=6 ok"]
    );
    let reborn = message(0, vec![metric(Some("kW"), Some(8), 5.0)]);
    assert_eq!(hear(&mut edges, "NBIRTH", &reborn, AT).len(), 1);
    assert_eq!(
        hear(&mut edges, "NDATA", &data(1), AT),
        ["hall@1787904601 active_power_kw=1 ok"]
    );
}

/// Births come once: settings that leave a node's meters as they were must not cost what it said.
#[test]
fn other_meters_leave_what_a_node_has_said() {
    let mut edges = edges();
    let of_node = edges.meters.clone();
    let data = |seq| message(seq, vec![metric(None, Some(7), 6.0)]);
    let will = message(0, vec![metric(Some("bdSeq"), None, 1.0)]);
    hear(&mut edges, "NBIRTH", &born(1.0), AT);
    let other = SparkplugMeter {
        node: "m".into(),
        ..of_node[0].clone()
    };
    edges.take_up([vec![other], of_node.clone()].concat());
    assert_eq!(
        hear(&mut edges, "NDATA", &data(1), AT),
        ["hall@1787904601 active_power_kw=6 ok"]
    );
    edges.take_up(of_node.clone());
    assert_eq!(
        hear(&mut edges, "NDEATH", &will, AT),
        ["hall@now active_power_kw=6 stale"]
    );
    hear(&mut edges, "NBIRTH", &born(2.0), AT);
    edges.take_up(of_node[1..].to_vec());
    assert_eq!(
        hear(&mut edges, "NDATA", &data(1), AT),
        ["hall!no_birth", "ask spBv1.0/g/NCMD/n"],
        "a node with other meters begins anew"
    );
}

#[test]
fn after_a_gap_aliases_wait_for_a_birth_and_names_do_not() {
    let mut edges = edges();
    let alias = |seq| message(seq, vec![metric(None, Some(7), 6.0)]);
    let named = |seq| message(seq, vec![metric(Some("kW"), Some(7), 6.0)]);
    hear(&mut edges, "NBIRTH", &born(1.0), AT);
    assert_eq!(hear(&mut edges, "NDATA", &alias(1), AT).len(), 1);
    assert_eq!(
        hear(&mut edges, "NDATA", &alias(1), AT).len(),
        1,
        "delivered twice is no gap"
    );
    let ask = "ask spBv1.0/g/NCMD/n".to_owned();
    assert_eq!(hear(&mut edges, "NDATA", &alias(3), AT), ["hall!no_birth", &ask, "gap"]);
    assert_eq!(
        hear(&mut edges, "NDATA", &alias(4), "2026-08-28T08:10:30Z"),
        ["hall!no_birth"]
    );
    assert_eq!(
        hear(&mut edges, "NDATA", &named(5), "2026-08-28T08:11:00Z"),
        ["hall@1787904605 active_power_kw=6 ok", &ask],
        "asked again after a minute"
    );
    hear(&mut edges, "NBIRTH", &born(2.0), AT);
    assert_eq!(hear(&mut edges, "NDATA", &alias(1), AT).len(), 1);
    edges.nodes.values_mut().for_each(|node| node.seq = Some(255));
    assert_eq!(
        hear(&mut edges, "NDATA", &alias(0), AT),
        ["hall@1787904600 active_power_kw=6 ok"],
        "255 is followed by 0"
    );
}

#[test]
fn a_death_makes_the_last_values_stale_once_and_an_old_will_does_not() {
    let will = |bd_seq| message(0, vec![metric(Some("bdSeq"), None, bd_seq)]);
    let mut edges = edges();
    hear(&mut edges, "NBIRTH", &born(4.0), AT);
    let dbirth = message(1, vec![metric(Some("Power/Active/Total"), Some(1), 9.0)]);
    hear(&mut edges, "DBIRTH", &dbirth, AT);
    assert_eq!(hear(&mut edges, "NDEATH", &will(3.0), AT), [""; 0]);
    assert_eq!(
        hear(&mut edges, "DDEATH", &message(2, vec![]), AT),
        ["press@now active_power_kw=9 stale"]
    );
    assert_eq!(
        hear(&mut edges, "NDEATH", &will(4.0), AT),
        ["hall@now active_power_kw=5 stale"]
    );
    assert_eq!(hear(&mut edges, "NDEATH", &will(4.0), AT), [""; 0]);
}

#[test]
fn nulls_are_absent_history_keeps_its_time_and_what_is_no_number_is_told() {
    let mut edges = edges();
    hear(&mut edges, "NBIRTH", &born(1.0), AT);
    let mut old = metric(Some("kW"), None, 4.0);
    old.timestamp = Some(1_787_904_000_000);
    old.is_historical = Some(true);
    let mut null = metric(Some("kW"), None, 0.0);
    null.is_null = Some(true);
    assert_eq!(
        hear(&mut edges, "NDATA", &message(1, vec![old, null]), AT),
        ["hall@1787904000 active_power_kw=4 ok"]
    );
    let mut text = metric(Some("kW"), None, 0.0);
    text.value = Some(Raw::Text("RUN".into()));
    assert_eq!(
        hear(&mut edges, "NDATA", &message(2, vec![text]), AT),
        ["hall!wrong_type"]
    );
    let will = message(0, vec![metric(Some("bdSeq"), None, 1.0)]);
    assert_eq!(
        hear(&mut edges, "NDEATH", &will, AT),
        ["hall@now active_power_kw=5 stale"],
        "not what was history"
    );
    assert_eq!(
        hear(&mut edges, "NDATA", b"\xff", AT),
        ["hall!not_sparkplug", "ask spBv1.0/g/NCMD/n"]
    );
    assert_eq!(
        hear(&mut edges, "DDATA", &vec![0; MAX_MESSAGE_BYTES + 1], AT),
        ["press!too_large"]
    );
}

#[test]
fn others_and_commands_are_not_heard() {
    let mut edges = edges();
    let at = AT.parse().unwrap();
    for topic in [
        "spBv1.0/g/NDATA/other",
        "spBv1.0/STATE/host",
        "plant/dryer",
        "spBv1.0/g/NDATA/n/d/x",
    ] {
        assert_eq!(edges.hear(topic, &born(1.0), at), None, "{topic}");
    }
    assert_eq!(edges.hear("spBv1.0/g/NCMD/n", &born(1.0), at), Some(Heard::default()));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_give_a_number_that_is_none(kinds in prop::collection::vec(0..6_usize, 1..5), bytes: Vec<u8>) {
        let mut edges = edges();
        for kind in kinds {
            let kind = ["NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH"][kind];
            let topic = format!("spBv1.0/g/{kind}/n/d");
            let heard = edges.hear(&topic, &bytes, AT.parse().unwrap()).unwrap();
            for content in heard.said.iter().filter_map(|said| said.content.as_ref().ok()) {
                prop_assert!(content.readings.iter().all(|reading| reading.value.is_finite()));
            }
        }
    }
}
