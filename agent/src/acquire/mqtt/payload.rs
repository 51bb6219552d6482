//! A message's bytes → readings and the time they carry. Pure.
//!
//! It knows no broker and no topic. Invariants: a value is taken only where the payload has a number or a text that is
//! one; what the payload leaves out, or gives as `null`, is absent; a time without a zone is no time.

use energy::Reading;
use jiff::Timestamp;
use serde_json::Value as Json;

use super::TopicMeter;
use crate::clock::truncated_to_ms;

/// Numbers at or above this are milliseconds since 1970, below it seconds: as seconds it is the year 5138, as
/// milliseconds March 1973.
const FIRST_MS: f64 = 1e11;

/// What a message says about one meter.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// When it was measured, if the payload says so with its zone.
    pub at: Option<Timestamp>,
    /// At least one.
    pub readings: Vec<Reading>,
}

/// Why a message says nothing about a meter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Neither JSON nor, where the payload itself should be the number, a number.
    #[error("the payload is neither JSON nor a number: {0}")]
    NotJson(String),
    /// None of the pointers leads anywhere.
    #[error("the payload has none of {0}; compare the pointers in `values` with a real message")]
    Missing(String),
    /// A pointer leads to something that is no number.
    #[error("{pointer:?} leads to {found}, not to a number")]
    NotANumber {
        /// The pointer.
        pointer: String,
        /// What stands there.
        found: String,
    },
}

impl PayloadError {
    /// The label `reason` of the counter `dropped_total`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotJson(_) => "not_json",
            Self::Missing(_) => "missing_pointer",
            Self::NotANumber { .. } => "wrong_type",
        }
    }
}

/// What `payload` says about `meter`.
pub fn read(payload: &[u8], meter: &TopicMeter) -> Result<Content, PayloadError> {
    let json = parse(payload)?;
    let mut readings = Vec::with_capacity(meter.values.len());
    for value in &meter.values {
        let Some(found) = json.pointer(&value.pointer).filter(|found| !found.is_null()) else {
            continue; // many devices send only what has changed
        };
        let number = number(found).ok_or_else(|| PayloadError::NotANumber {
            pointer: value.pointer.clone(),
            found: shortened(found),
        })?;
        readings.push(Reading::new(value.quantity, number * value.scale));
    }
    if readings.is_empty() {
        let pointers: Vec<&str> = meter.values.iter().map(|value| value.pointer.as_str()).collect();
        return Err(PayloadError::Missing(format!("{pointers:?}")));
    }
    let time = meter.time.as_ref().and_then(|pointer| json.pointer(&pointer.0));
    Ok(Content {
        at: time.and_then(instant),
        readings,
    })
}

fn parse(payload: &[u8]) -> Result<Json, PayloadError> {
    serde_json::from_slice(payload).or_else(|error| {
        // Not JSON, but some devices write "+12.3", "012" or a line end that JSON does not know.
        let text = std::str::from_utf8(payload).map_err(|error| PayloadError::NotJson(error.to_string()))?;
        finite(text)
            .map(Json::from)
            .ok_or_else(|| PayloadError::NotJson(error.to_string()))
    })
}

fn number(json: &Json) -> Option<f64> {
    match json {
        Json::Number(number) => number.as_f64().filter(|number| number.is_finite()),
        Json::String(text) => finite(text),
        _ => None,
    }
}

fn finite(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// The instant a payload names; `None` when it names none, or none with a zone.
fn instant(json: &Json) -> Option<Timestamp> {
    if let Some(at) = json.as_str().and_then(|text| text.trim().parse().ok()) {
        return Some(truncated_to_ms(at));
    }
    let number = number(json)?;
    let ms = if number.abs() >= FIRST_MS {
        number
    } else {
        number * 1000.0
    };
    Timestamp::from_millisecond(ms.round() as i64).ok()
}

fn shortened(json: &Json) -> String {
    const LONGEST: usize = 60; // characters: a line of log stays a line
    let text = json.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use energy::{Quality, Quantity};
    use proptest::prelude::*;

    use super::*;
    use crate::acquire::mqtt::{TimePointer, Value};

    fn meter(values: &[(&str, Quantity, f64)], time: Option<&str>) -> TopicMeter {
        TopicMeter {
            name: "dryer".into(),
            topic: "plant/dryer".into(),
            values: values
                .iter()
                .map(|&(pointer, quantity, scale)| Value {
                    pointer: pointer.into(),
                    quantity,
                    scale,
                })
                .collect(),
            time: time.map(|pointer| TimePointer(pointer.into())),
        }
    }

    /// The values read, or the reason why none were.
    fn check(payload: &str, pointers: &[&str], expected: Result<&[f64], &str>) {
        let quantities = [Quantity::ActivePower, Quantity::EnergyImport];
        let values: Vec<_> = pointers
            .iter()
            .zip(quantities)
            .map(|(pointer, quantity)| (*pointer, quantity, 0.5))
            .collect();
        let got = read(payload.as_bytes(), &meter(&values, None));
        let values = got
            .as_ref()
            .map(|content| content.readings.iter().map(|reading| reading.value).collect::<Vec<_>>());
        match (values, expected) {
            (Ok(values), Ok(expected)) => assert_eq!(values, expected, "{payload}"),
            (Err(error), Err(reason)) => assert_eq!(error.reason(), reason, "{payload}: {error}"),
            (got, expected) => panic!("{payload}: {got:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn pointers_find_numbers_and_texts_that_are_numbers() {
        check("12.5", &[""], Ok(&[6.25]));
        check(" +12.5\n", &[""], Ok(&[6.25]));
        check("\"12.5\"", &[""], Ok(&[6.25]));
        check(r#"{"apower": 42}"#, &["/apower"], Ok(&[21.0]));
        check(r#"{"apower": " -4e1 "}"#, &["/apower"], Ok(&[-20.0]));
        check(
            r#"{"em": [{"p": 2}, {"p": 4}]}"#,
            &["/em/1/p", "/em/0/p"],
            Ok(&[2.0, 1.0]),
        );
        check(r#"{"a/b": 2, "c~d": 4}"#, &["/a~1b", "/c~0d"], Ok(&[1.0, 2.0]));
        check(r#"{"p": 2}"#, &["/p", "/not_this_time"], Ok(&[1.0]));
        check(r#"{"p": 2, "e": null}"#, &["/p", "/e"], Ok(&[1.0]));
    }

    #[test]
    fn what_is_no_number_is_refused_with_its_reason() {
        check("", &[""], Err("not_json"));
        check("ON", &[""], Err("not_json"));
        check("NaN", &[""], Err("not_json"));
        check(r#"{"p": 2"#, &["/p"], Err("not_json"));
        check(r#"{"q": 2}"#, &["/p"], Err("missing_pointer"));
        check(r#"{"p": null}"#, &["/p"], Err("missing_pointer"));
        check("12", &["/p"], Err("missing_pointer"));
        check("[]", &["/0"], Err("missing_pointer"));
        check(r#"{"p": true}"#, &["/p"], Err("wrong_type"));
        check(r#"{"p": "off"}"#, &["/p"], Err("wrong_type"));
        check(r#"{"p": "inf"}"#, &["/p"], Err("wrong_type"));
        check(r#"{"p": {"value": 2}}"#, &["/p"], Err("wrong_type"));
        check(r#"{"p": 2, "e": []}"#, &["/p", "/e"], Err("wrong_type"));
    }

    #[test]
    fn an_impossible_value_is_kept_but_bad() {
        let content = read(b"1e9", &meter(&[("", Quantity::ActivePower, 1.0)], None)).unwrap();
        assert_eq!(content.readings[0].quality, Quality::Bad);
    }

    #[test]
    fn only_a_time_with_its_zone_counts() {
        let instant_ms = |text: &str| {
            let payload = format!(r#"{{"p": 1, "t": {text}}}"#);
            let meter = meter(&[("/p", Quantity::ActivePower, 1.0)], Some("/t"));
            read(payload.as_bytes(), &meter)
                .unwrap()
                .at
                .map(Timestamp::as_millisecond)
        };
        for (text, expected) in [
            (r#""2026-08-28T17:10:00+09:00""#, Some(1_787_904_600_000)),
            (r#""2026-08-28T08:10:00.1239Z""#, Some(1_787_904_600_123)),
            (r#""2026-08-28T17:10:00""#, None),
            (r#""2026-08-28""#, None),
            ("1787904600", Some(1_787_904_600_000)),
            ("1787904600.25", Some(1_787_904_600_250)),
            ("1787904600123", Some(1_787_904_600_123)),
            (r#""1787904600""#, Some(1_787_904_600_000)),
            ("null", None),
            ("1e300", None),
            ("{}", None),
        ] {
            assert_eq!(instant_ms(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_payload_makes_it_panic_or_give_readings_without_a_number(payload: Vec<u8>) {
            let meter = meter(&[("", Quantity::ActivePower, 1.0), ("/p", Quantity::EnergyImport, 1.0)], Some("/t"));
            if let Ok(content) = read(&payload, &meter) {
                prop_assert!(content.readings.iter().all(|reading| reading.value.is_finite()));
            }
        }

        #[test]
        fn a_number_comes_back_as_it_was_sent(value in -1e5..1e5_f64) {
            let meter = meter(&[("/p", Quantity::ActivePower, 1.0)], None);
            for payload in [format!(r#"{{"p": {value}}}"#), format!(r#"{{"p": "{value}"}}"#)] {
                let content = read(payload.as_bytes(), &meter).unwrap();
                prop_assert!((content.readings[0].value - value).abs() <= value.abs() * 1e-15);
            }
        }
    }
}
