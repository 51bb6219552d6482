//! A message of any bytes, read as a plain number and as JSON.
#![no_main]

use std::sync::LazyLock;

use energy::{Quality, Quantity};
use libfuzzer_sys::fuzz_target;
use wattwarden::acquire::mqtt::{TimePointer, TopicMeter, Value, payload};

static METERS: LazyLock<[TopicMeter; 2]> = LazyLock::new(|| {
    ["", "/a"].map(|pointer| TopicMeter {
        name: "dryer".into(),
        topic: "plant/dryer".into(),
        values: vec![Value {
            pointer: pointer.into(),
            quantity: Quantity::ActivePower,
            scale: 0.001,
        }],
        time: Some(TimePointer("/t".into())),
    })
});

fuzz_target!(|bytes: &[u8]| {
    for meter in METERS.iter() {
        match payload::read(bytes, meter) {
            Ok(content) => {
                for reading in content.readings {
                    assert!(reading.value.is_finite() || reading.quality == Quality::Bad, "{reading:?}");
                }
            }
            Err(error) => assert!(!error.reason().is_empty() && !error.to_string().is_empty()),
        }
    }
});
