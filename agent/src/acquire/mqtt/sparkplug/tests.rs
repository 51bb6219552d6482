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
    shown.extend(heard.ask.map(|ask| format!("ask {}", ask.topic)));
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

/// Births come once: settings that change meters must not cost what their node said, nor what it said of a new one.
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
    let metrics = [("Power/Active/Total", Some(1), 9.0), ("Frequency", Some(2), 60.0)];
    let metrics = metrics.map(|(name, alias, value)| metric(Some(name), alias, value));
    hear(&mut edges, "DBIRTH", &message(1, metrics.to_vec()), AT);
    let renamed = meter("oven", "d", &[("Frequency", Quantity::Frequency, 1.0)]);
    edges.take_up(vec![of_node[1].clone(), renamed]);
    assert_eq!(
        hear(&mut edges, "NDATA", &data(2), AT),
        ["hall@1787904602 active_power_kw=6 ok"],
        "one meter goes, another stays"
    );
    assert_eq!(
        hear(&mut edges, "DDATA", &message(3, vec![metric(None, Some(2), 50.0)]), AT),
        ["oven@1787904603 frequency_hz=50 ok"],
        "a new one knows what was said before it"
    );
    assert_eq!(
        hear(&mut edges, "NDEATH", &message(0, vec![]), AT),
        ["hall@now active_power_kw=6 stale", "oven@now frequency_hz=50 stale"],
        "nothing of one that is gone"
    );
}

/// What of a node no meter wants is bounded; what one wants is kept however much there is.
#[test]
fn a_birth_without_end_is_not_kept_whole() {
    let mut edges = edges();
    let many = (0..12_000).map(|nth| metric(Some(&format!("m{nth}")), Some(nth), 1.0));
    let wanted = metric(Some("Power/Active/Total"), Some(20_000), 9.0);
    hear(&mut edges, "NBIRTH", &born(1.0), AT);
    hear(&mut edges, "DBIRTH", &message(1, many.chain([wanted]).collect()), AT);
    assert_eq!(
        hear(
            &mut edges,
            "DDATA",
            &message(2, vec![metric(None, Some(20_000), 8.0)]),
            AT
        ),
        ["press@1787904602 active_power_kw=8 ok"]
    );
    let n_kept: Vec<usize> = edges.nodes.values().map(|node| node.aliases.len()).collect();
    assert_eq!(n_kept, [MOST_UNWANTED + 1]);
}

/// A meter that is added when not all names of its node were kept: the node is asked, and the next birth names it.
#[test]
fn a_meter_whose_name_was_not_kept_waits_for_a_birth() {
    let mut edges = edges();
    let birth = || {
        (0..12_000)
            .map(|nth| metric(Some(&format!("m{nth}")), Some(nth), 1.0))
            .collect()
    };
    hear(&mut edges, "NBIRTH", &born(1.0), AT);
    hear(&mut edges, "DBIRTH", &message(1, birth()), AT);
    let added = |metric| meter("oven", "d", &[(metric, Quantity::ActivePower, 1.0)]);
    let data = |seq, alias| message(seq, vec![metric(None, Some(alias), 8.0)]);
    let of_press = edges.meters.clone();
    edges.take_up([of_press.clone(), vec![added("m5")]].concat());
    assert_eq!(
        hear(&mut edges, "DDATA", &data(2, 5), AT),
        ["oven@1787904602 active_power_kw=8 ok"],
        "a name that was kept"
    );
    edges.take_up([of_press, vec![added("m11000")]].concat());
    let lost = ["press!no_birth", "oven!no_birth", "ask spBv1.0/g/NCMD/n"];
    assert_eq!(hear(&mut edges, "DDATA", &data(3, 11_000), AT), lost);
    hear(&mut edges, "DBIRTH", &message(4, birth()), AT);
    assert_eq!(
        hear(&mut edges, "DDATA", &data(5, 11_000), AT),
        ["oven@1787904605 active_power_kw=8 ok"]
    );
    // What a node no longer has takes no room.
    hear(&mut edges, "NBIRTH", &born(2.0), AT);
    let n_types: Vec<usize> = edges.nodes.values().map(|node| node.types.len()).collect();
    assert_eq!(n_types, [0]);
}

/// Before anything was heard of a node it can be asked, once a minute; it is told apart from births that were missed.
#[test]
fn a_node_that_has_not_been_heard_is_asked_at_once() {
    let mut edges = edges();
    let unborn = |edges: &mut Edges, at: &str| -> Vec<(String, bool)> {
        let asks = edges.unborn(at.parse().unwrap());
        asks.into_iter().map(|ask| (ask.topic, ask.is_first)).collect()
    };
    let first = [("spBv1.0/g/NCMD/n".to_owned(), true)];
    assert_eq!(unborn(&mut edges, AT), first);
    assert_eq!(unborn(&mut edges, "2026-08-28T08:10:30Z"), []);
    assert_eq!(unborn(&mut edges, "2026-08-28T08:11:00Z"), first);
    hear(&mut edges, "NBIRTH", &born(1.0), AT);
    assert_eq!(unborn(&mut edges, "2026-08-28T08:20:00Z"), []);
    let after_a_gap = message(9, vec![metric(None, Some(7), 6.0)]);
    let heard = edges.hear(
        "spBv1.0/g/NDATA/n",
        &after_a_gap,
        "2026-08-28T08:30:00Z".parse().unwrap(),
    );
    assert!(!heard.unwrap().ask.unwrap().is_first);
}

/// A message that cannot be read costs itself: the next is no gap, and aliases stay; a birth among them costs its device's.
#[test]
fn after_a_message_that_cannot_be_read_the_stream_goes_on() {
    let data = |seq| message(seq, vec![metric(None, Some(7), 6.0)]);
    // Cut in its number, cut in the compression's mark behind it, and behind a number that was missed.
    let marked = |seq| [message(seq, vec![]), b"\x22\x7fX".to_vec()].concat();
    let at_1 = ["hall@1787904602 active_power_kw=6 ok"].as_slice();
    let no_birth = ["hall!no_birth"].as_slice();
    for (kind, unreadable, is_gap, next) in [
        ("DDATA", data(1)[..9].to_vec(), false, at_1),
        ("NDATA", marked(1), false, at_1),
        ("NDATA", vec![0; MAX_MESSAGE_BYTES + 1], false, at_1),
        ("DBIRTH", marked(1), false, at_1),
        ("NDATA", marked(9), true, no_birth),
        ("NBIRTH", marked(1), false, no_birth),
    ] {
        let mut edges = edges();
        hear(&mut edges, "NBIRTH", &born(1.0), AT);
        let heard = hear(&mut edges, kind, &unreadable, AT);
        assert!(
            heard[0].contains("!not_sparkplug") || heard[0].contains("!too_large"),
            "{heard:?}"
        );
        assert_eq!(heard.contains(&"gap".to_owned()), is_gap, "{kind}: {heard:?}");
        let after = hear(&mut edges, "NDATA", &data(if is_gap { 10 } else { 2 }), AT);
        assert_eq!(after, next, "{kind} {:02x?}", &unreadable[..9]);
    }
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
    let late = message(3, vec![metric(None, Some(1), 9.5)]);
    assert!(
        hear(&mut edges, "DDATA", &late, AT)[0].starts_with("press!no_birth"),
        "what its aliases stand for is not known"
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
