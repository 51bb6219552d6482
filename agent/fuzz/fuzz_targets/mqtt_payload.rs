//! A message of any bytes, read as a plain number and as JSON, by every way of finding and making a number.
#![no_main]

use std::sync::LazyLock;

use energy::{Quality, Quantity};
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;
use wattwarden::acquire::mqtt::{Array, TimePointer, TopicMeter, Value, payload};

static METERS: LazyLock<Vec<TopicMeter>> = LazyLock::new(|| {
    let ways = [("", Array::Refused), ("/a", Array::Sum), ("/a/0", Array::First), ("/id=a/b", Array::Absent)];
    let meter = |(pointer, array): (&str, Array)| TopicMeter {
        name: "dryer".into(),
        topic: "plant/dryer".into(),
        subscription: "plant/dryer".into(),
        values: vec![Value {
            pointer: pointer.into(),
            quantity: Quantity::ActivePower,
            scale: 0.001,
            offset: 0.5,
            array,
        }],
        time: Some(TimePointer {
            pointer: "/t".into(),
            zone: Some(TimeZone::get("Europe/Berlin").expect("in the bundled database")),
        }),
        is_partial: false,
    };
    ways.into_iter().map(meter).collect()
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
