//! Messages of a Sparkplug edge node, of any bytes and in any order of kinds: births, data, deaths.
#![no_main]

use energy::{Quality, Quantity};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use wattwarden::acquire::mqtt::{Array, SparkplugMeter, Value, sparkplug::Edges};

const KINDS: [&str; 8] = [
    "NBIRTH/n", "DBIRTH/n/d", "NDATA/n", "DDATA/n/d", "NDEATH/n", "DDEATH/n/d", "NCMD/n", "DDATA/n/other",
];

fn meter(device: &str) -> SparkplugMeter {
    SparkplugMeter {
        name: "press".into(),
        group: "g".into(),
        node: "n".into(),
        device: device.into(),
        values: [("Power/Active/Total", Quantity::ActivePower), ("Energy/Active/Import", Quantity::EnergyImport)]
            .map(|(metric, quantity)| Value {
                pointer: metric.into(),
                quantity,
                scale: 0.001,
                offset: 0.0,
                array: Array::Refused,
            })
            .to_vec(),
    }
}

// Each message: a byte for its kind, one for its length, its bytes.
fuzz_target!(|bytes: &[u8]| {
    let mut edges = Edges::new(vec![meter("d"), meter("")]);
    let mut rest = bytes;
    let mut at = Timestamp::UNIX_EPOCH;
    while let [kind, length, tail @ ..] = rest {
        let (message, tail) = tail.split_at(tail.len().min(usize::from(*length) * 4));
        rest = tail;
        at += jiff::SignedDuration::from_secs(7);
        let topic = format!("spBv1.0/g/{}", KINDS[usize::from(*kind) % KINDS.len()]);
        let heard = edges.hear(&topic, message, at).expect("the node has meters");
        for said in heard.said {
            match said.content {
                Ok(content) => {
                    assert!(!content.readings.is_empty(), "{topic}");
                    for reading in content.readings {
                        assert!(reading.value.is_finite() || reading.quality == Quality::Bad, "{reading:?}");
                    }
                }
                Err(refusal) => assert!(!refusal.label.is_empty() && !refusal.reason.is_empty()),
            }
        }
    }
});
