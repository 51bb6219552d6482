//! A message's bytes → readings and the time they carry. Pure.
//!
//! It knows no broker and no topic. Invariants: a value is taken only where the payload has a number or a text that is
//! one; what the payload leaves out, or gives as `null`, is absent; a time without a zone, its own or a configured one,
//! is no time, nor is one that a clock's change makes ambiguous.

use std::borrow::Cow;

use energy::Reading;
use jiff::{Timestamp, civil, tz::TimeZone};
use serde_json::Value as Json;

use super::{Array, TimePointer, TopicMeter, Value};
use crate::clock::truncated_to_ms;

/// Numbers at or above this are milliseconds since 1970, below it seconds: as seconds it is the year 5138, as
/// milliseconds March 1973.
const FIRST_MS: f64 = 1e11;
/// … and from here on microseconds: as milliseconds it is the year 5138 again.
const FIRST_US: f64 = 1e14;

/// What a message says about one meter.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// When it was measured, if the payload says so with its zone.
    pub at: Option<Timestamp>,
    /// What stands where its time should, but cannot be read as one; a time without its zone can.
    pub unread_time: Option<String>,
    /// At least one.
    pub readings: Vec<Reading>,
    /// Why values that are given, but cannot be read, are not among them.
    pub unread_values: Option<PayloadError>,
}

/// Why a message says nothing about a meter, or less than it gives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Neither JSON nor, where the payload itself should be the number, a number.
    #[error("the payload is neither JSON nor a number: {0}")]
    NotJson(String),
    /// None of the pointers leads anywhere.
    #[error("the payload has none of {0}; compare the pointers in `values` with a real message")]
    Missing(String),
    /// Pointers, each with what it leads to, which is no number.
    #[error("{}, not to a number", .0.iter().map(|(pointer, found)| format!("{pointer:?} leads to {found}")).collect::<Vec<_>>().join(", "))]
    NotNumbers(Vec<(String, String)>),
}

impl PayloadError {
    /// The label `reason` of the counter `dropped_total`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotJson(_) => "not_json",
            Self::Missing(_) => "missing_pointer",
            Self::NotNumbers(_) => "wrong_type",
        }
    }
}

/// What `payload` says about `meter`.
pub fn read(payload: &[u8], meter: &TopicMeter) -> Result<Content, PayloadError> {
    content(&parse(payload)?, meter)
}

/// What a payload that has been parsed says about `meter`.
pub(super) fn content(json: &Json, meter: &TopicMeter) -> Result<Content, PayloadError> {
    let mut readings = Vec::with_capacity(meter.values.len());
    let mut not_numbers = Vec::new();
    for value in &meter.values {
        let Some(found) = find(json, &value.pointer).filter(|found| is_given(found, value.array)) else {
            continue; // many devices send only what has changed
        };
        if let Some(number) = one_number(found, value) {
            readings.push(Reading::new(value.quantity, number * value.scale + value.offset));
        } else {
            not_numbers.push((value.pointer.clone(), shortened(found)));
        }
    }
    let unread_values = (!not_numbers.is_empty()).then_some(PayloadError::NotNumbers(not_numbers));
    if readings.is_empty() {
        return Err(unread_values.unwrap_or_else(|| {
            let pointers: Vec<&str> = meter.values.iter().map(|value| value.pointer.as_str()).collect();
            PayloadError::Missing(format!("{pointers:?}"))
        }));
    }
    let time = meter.time.as_ref();
    let found = time.and_then(|time| Some((time, find(json, &time.pointer).filter(|found| !found.is_null())?)));
    let at = found.and_then(|(time, found)| instant(found, time));
    let is_read = |found: &Json| at.is_some() || found.as_str().is_some_and(|text| is_local(text.trim()));
    let unread = found.filter(|(_, found)| !is_read(found));
    Ok(Content {
        at,
        unread_time: unread.map(|(_, found)| shortened(found)),
        readings,
        unread_values,
    })
}

/// The payload as JSON; a bare number too.
pub(super) fn parse(payload: &[u8]) -> Result<Json, PayloadError> {
    serde_json::from_slice(payload).or_else(|error| {
        // Not JSON, but some devices write "+12.3", "012" or a line end that JSON does not know.
        let text = std::str::from_utf8(payload).map_err(|error| PayloadError::NotJson(error.to_string()))?;
        finite(text)
            .map(Json::from)
            .ok_or_else(|| PayloadError::NotJson(error.to_string()))
    })
}

fn find<'a>(json: &'a Json, pointer: &str) -> Option<&'a Json> {
    if pointer.is_empty() {
        return Some(json);
    }
    pointer
        .strip_prefix('/')?
        .split('/')
        .map(unescaped)
        .try_fold(json, |json, token| step(json, &token))
}

fn unescaped(token: &str) -> Cow<'_, str> {
    if token.contains('~') {
        token.replace("~1", "/").replace("~0", "~").into()
    } else {
        token.into()
    }
}

/// One token down: a key of an object; of an array an index, or the element that has `key=value`.
fn step<'a>(json: &'a Json, token: &str) -> Option<&'a Json> {
    match json {
        Json::Object(entries) => entries.get(token),
        Json::Array(items) => match token.split_once('=') {
            Some((key, wanted)) => items
                .iter()
                .find(|item| item.get(key).is_some_and(|found| is(found, wanted))),
            None => items.get(index(token)?),
        },
        _ => None,
    }
}

fn is(json: &Json, wanted: &str) -> bool {
    match json {
        Json::String(text) => text == wanted,
        other => {
            let written = other.to_string();
            written == wanted
        }
    }
}

fn index(token: &str) -> Option<usize> {
    let is_plain = token == "0" || !token.starts_with(['0', '+']);
    token.parse().ok().filter(|_| is_plain)
}

fn is_given(json: &Json, array: Array) -> bool {
    !(json.is_null() || json.is_array() && array == Array::Absent)
}

fn one_number(json: &Json, value: &Value) -> Option<f64> {
    match (json, value.array) {
        (Json::Array(items), Array::First) => number(items.first()?),
        (Json::Array(items), Array::Sum) if !items.is_empty() => {
            let sum = items.iter().map(number).sum::<Option<f64>>();
            sum.filter(|sum| sum.is_finite())
        }
        _ => number(json),
    }
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
fn instant(json: &Json, time: &TimePointer) -> Option<Timestamp> {
    let text = json.as_str().map(str::trim);
    if let Some(at) = text.and_then(|text| text.parse().ok()) {
        return Some(truncated_to_ms(at));
    }
    if let Some(at) = text.zip(time.zone.as_ref()).and_then(|(text, zone)| local(text, zone)) {
        return Some(truncated_to_ms(at));
    }
    let number = number(json)?;
    let ms = match number.abs() {
        FIRST_US.. => number / 1000.0,
        FIRST_MS.. => number,
        _ => number * 1000.0,
    };
    Timestamp::from_millisecond(ms.round() as i64).ok()
}

/// Whether this is a time of a clock on the wall, whatever its zone.
fn is_local(text: &str) -> bool {
    text.contains(':') && text.parse::<civil::DateTime>().is_ok()
}

/// A time of a clock on the wall; `None` where it was twice or never.
fn local(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    // A day alone is no instant, though it can be read as its midnight.
    let at: civil::DateTime = text.parse().ok().filter(|_| is_local(text))?;
    zone.to_ambiguous_timestamp(at).unambiguous().ok()
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

    fn meter(values: &[(&str, Quantity, f64)], time: Option<&str>) -> TopicMeter {
        TopicMeter {
            name: "dryer".into(),
            topic: "plant/dryer".into(),
            subscription: "plant/dryer".into(),
            values: values
                .iter()
                .map(|&(pointer, quantity, scale)| Value {
                    pointer: pointer.into(),
                    quantity,
                    scale,
                    offset: 0.0,
                    array: Array::Refused,
                })
                .collect(),
            time: time.map(|pointer| TimePointer {
                pointer: pointer.into(),
                zone: None,
            }),
            is_partial: false,
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
        check("[2, 4]", &["/1", "/0"], Ok(&[2.0, 1.0]));
        check("[[2], {\"\": 4}]", &["/0/0", "/1/"], Ok(&[1.0, 2.0]));
    }

    #[test]
    fn an_element_is_found_by_what_it_has_wherever_it_stands() {
        let payload = r#"{"m": [{"id": "press 1", "kw": 2}, {"id": 7, "kw": 4}, {"kw": 8}, 9]}"#;
        check(payload, &["/m/id=7/kw", "/m/id=press 1/kw"], Ok(&[2.0, 1.0]));
        check(payload, &["/m/id=dryer/kw"], Err("missing_pointer"));
        check(r#"{"id=7": {"kw": 4}}"#, &["/id=7/kw"], Ok(&[2.0]));
    }

    #[test]
    fn several_numbers_are_one_only_where_that_is_said() {
        for (array, payload, expected) in [
            (Array::Sum, "[8.25, 0, 1]", Some(9.25)),
            (Array::Sum, "8", Some(8.0)),
            (Array::Sum, "[8, null]", None),
            (Array::Sum, "[]", None),
            (Array::Sum, "[1e308, 1e308]", None),
            (Array::First, "[230, 231]", Some(230.0)),
            (Array::First, "\"230\"", Some(230.0)),
            (Array::First, "[]", None),
            (Array::Refused, "[230]", None),
            (Array::Absent, "[230, 231]", None),
            (Array::Absent, "230", Some(230.0)),
        ] {
            let mut meter = meter(&[("", Quantity::VoltageL1, 1.0)], None);
            meter.values[0].array = array;
            let found = read(payload.as_bytes(), &meter)
                .ok()
                .map(|content| content.readings[0].value);
            assert_eq!(found, expected, "{array:?} {payload}");
        }
    }

    #[test]
    fn a_value_is_scaled_and_then_shifted() {
        let mut meter = meter(&[("", Quantity::Temperature, 5.0 / 9.0)], None);
        meter.values[0].offset = -160.0 / 9.0;
        let content = read(b"212", &meter).unwrap();
        assert!((content.readings[0].value - 100.0).abs() < 1e-9, "212 °F are 100 °C");
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
        for index in ["/00", "/+0", "/-", "/1"] {
            check("[2]", &[index], Err("missing_pointer"));
        }
        check(r#"{"p": true}"#, &["/p"], Err("wrong_type"));
        check(r#"{"p": "off"}"#, &["/p"], Err("wrong_type"));
        check(r#"{"p": "inf"}"#, &["/p"], Err("wrong_type"));
        check(r#"{"p": {"value": 2}}"#, &["/p"], Err("wrong_type"));
        check(r#"{"p": "off", "e": []}"#, &["/p", "/e"], Err("wrong_type"));
    }

    #[test]
    fn a_value_that_cannot_be_read_costs_the_others_nothing_and_is_told() {
        check(r#"{"p": "off", "e": 4}"#, &["/p", "/e"], Ok(&[2.0]));
        let meter = meter(
            &[("/p", Quantity::ActivePower, 1.0), ("/e", Quantity::EnergyImport, 1.0)],
            None,
        );
        let none = read(br#"{"p": "off", "e": []}"#, &meter).unwrap_err().to_string();
        assert_eq!(none, r#""/p" leads to "off", "/e" leads to [], not to a number"#);
        for (payload, expected) in [
            (
                r#"{"p": 2, "e": "off"}"#,
                Some(r#""/e" leads to "off", not to a number"#),
            ),
            (r#"{"p": [], "e": 2}"#, Some(r#""/p" leads to [], not to a number"#)),
            (r#"{"p": 2, "e": null}"#, None),
            (r#"{"p": 2}"#, None),
        ] {
            let content = read(payload.as_bytes(), &meter).unwrap();
            assert_eq!(content.readings.len(), 1, "{payload}");
            let why = content.unread_values.map(|error| error.to_string());
            assert_eq!(why.as_deref(), expected, "{payload}");
        }
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
            ("1787904600123456", Some(1_787_904_600_123)),
            (r#""1787904600""#, Some(1_787_904_600_000)),
            ("null", None),
            ("1e300", None),
            ("{}", None),
        ] {
            assert_eq!(instant_ms(text), expected, "{text}");
        }
        let unread = |text: &str| {
            let payload = format!(r#"{{"p": 1, "t": {text}}}"#);
            let meter = meter(&[("/p", Quantity::ActivePower, 1.0)], Some("/t"));
            read(payload.as_bytes(), &meter).unwrap().unread_time
        };
        for text in [
            "null",
            "1787904600",
            r#""2026-08-28T17:10:00""#,
            r#""2026-08-28T17:10:00Z""#,
        ] {
            assert_eq!(unread(text), None, "{text}");
        }
        for text in [
            "{}",
            "1e+300",
            r#""2026/08/28 12:00""#,
            r#""Fri, 28 Aug 2026 08:10:00 GMT""#,
            "true",
        ] {
            assert_eq!(unread(text).as_deref(), Some(text), "{text}");
        }
    }

    #[test]
    fn a_time_without_a_zone_is_of_the_configured_one_unless_it_was_twice_or_never() {
        for (text, zone, expected) in [
            ("2026-08-28T17:10:00", "Asia/Seoul", Some("2026-08-28T08:10:00Z")),
            ("2026-08-28 17:10:00.5", "Asia/Seoul", Some("2026-08-28T08:10:00.5Z")),
            ("2026-08-28T17:10:00Z", "Asia/Seoul", Some("2026-08-28T17:10:00Z")),
            ("2026-08-28", "Asia/Seoul", None),
            ("17:10:00", "Asia/Seoul", None),
            ("2026-10-25T01:59:59", "Europe/Berlin", Some("2026-10-24T23:59:59Z")),
            ("2026-10-25T02:30:00", "Europe/Berlin", None),
            ("2026-03-29T02:30:00", "Europe/Berlin", None),
        ] {
            let mut meter = meter(&[("/p", Quantity::ActivePower, 1.0)], Some("/t"));
            meter.time.as_mut().unwrap().zone = Some(TimeZone::get(zone).unwrap());
            let content = read(format!(r#"{{"p": 1, "t": "{text}"}}"#).as_bytes(), &meter).unwrap();
            assert_eq!(
                content.at.map(|at| at.to_string()).as_deref(),
                expected,
                "{text} {zone}"
            );
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
