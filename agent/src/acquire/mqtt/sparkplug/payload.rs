//! A Sparkplug B payload: the parts of its protobuf message that a meter needs. Pure.
//!
//! Data sets, templates and metadata are passed over. Invariants: a value is a finite number or none; a number that is
//! negative travels as two's complement of 8, 16, 32 or 64 bits and comes out negative.
//! Source: Eclipse Sparkplug specification 3.0, chapter 6 and `sparkplug_b.proto`.

use energy::Quality;
use jiff::Timestamp;
use prost::Message;

/// A message.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Payload {
    #[prost(uint64, optional, tag = "1")]
    pub(super) timestamp: Option<u64>,
    #[prost(message, repeated, tag = "2")]
    pub(super) metrics: Vec<Metric>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) seq: Option<u64>,
    /// Says how the body is compressed, where it is.
    #[prost(string, optional, tag = "4")]
    pub(super) uuid: Option<String>,
}

/// One value of a message.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Metric {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(uint64, optional, tag = "2")]
    pub(super) alias: Option<u64>,
    /// Milliseconds since 1970.
    #[prost(uint64, optional, tag = "3")]
    pub(super) timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "4")]
    pub(super) datatype: Option<u32>,
    #[prost(bool, optional, tag = "5")]
    pub(super) is_historical: Option<bool>,
    #[prost(bool, optional, tag = "7")]
    pub(super) is_null: Option<bool>,
    #[prost(message, optional, tag = "9")]
    pub(super) properties: Option<PropertySet>,
    #[prost(oneof = "Value", tags = "10, 11, 12, 13, 14, 15")]
    pub(super) value: Option<Value>,
}

/// A value in the form in which it travels.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Value {
    #[prost(uint32, tag = "10")]
    Int(u32),
    #[prost(uint64, tag = "11")]
    Long(u64),
    #[prost(float, tag = "12")]
    Float(f32),
    #[prost(double, tag = "13")]
    Double(f64),
    #[prost(bool, tag = "14")]
    Bool(bool),
    #[prost(string, tag = "15")]
    Text(String),
}

/// Properties of a metric: names and values, one to one.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PropertySet {
    #[prost(string, repeated, tag = "1")]
    pub(super) keys: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    pub(super) values: Vec<PropertyValue>,
}

/// A property, as far as it is a whole number.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PropertyValue {
    #[prost(uint32, optional, tag = "3")]
    pub(super) int: Option<u32>,
    #[prost(uint64, optional, tag = "4")]
    pub(super) long: Option<u64>,
}

/// Numbers of the specification's data types.
mod datatype {
    pub(super) const INT8: u32 = 1;
    pub(super) const INT16: u32 = 2;
    pub(super) const INT32: u32 = 3;
    pub(super) const INT64: u32 = 4;
    pub(super) const BOOLEAN: u32 = 11;
}

/// Values of the property `Quality` by the specification: good, and stale. All others are bad.
const GOOD: u64 = 192;
const STALE: u64 = 500;

/// What marks a body that is compressed.
const COMPRESSED: &str = "SPBV1.0_COMPRESSED";

/// The message of these bytes, or why there is none.
pub(super) fn decode(bytes: &[u8]) -> Result<Payload, String> {
    let payload = Payload::decode(bytes).map_err(|error| format!("no Sparkplug B payload: {error}"))?;
    if payload.uuid.as_deref() == Some(COMPRESSED) {
        return Err("its body is compressed: switch compression off at the edge node".to_owned());
    }
    Ok(payload)
}

/// A message of which only the number counts.
#[derive(Clone, PartialEq, Message)]
struct Numbered {
    #[prost(uint64, optional, tag = "3")]
    seq: Option<u64>,
}

/// The number of a message that cannot be read otherwise, where what stands before the trouble says it.
pub(super) fn seq(bytes: &[u8]) -> Option<u64> {
    let mut message = Numbered::default();
    drop(message.merge(bytes)); // what came before an error stays
    message.seq
}

impl Metric {
    /// Its value as a number; `None` when it is none. `datatype` is what its birth said.
    pub(super) fn number(&self, datatype: Option<u32>) -> Option<f64> {
        let number = match (self.value.as_ref()?, self.datatype.or(datatype)) {
            // The low bits decide: some write a negative number in its own width, others in 32 bits.
            (Value::Int(bits), Some(datatype::INT8)) => f64::from(*bits as i8),
            (Value::Int(bits), Some(datatype::INT16)) => f64::from(*bits as i16),
            (Value::Int(bits), Some(datatype::INT32)) => f64::from(*bits as i32),
            (Value::Int(bits), _) => f64::from(*bits),
            (Value::Long(bits), Some(datatype::INT64)) => *bits as i64 as f64,
            (Value::Long(bits), _) => *bits as f64,
            (Value::Float(number), _) => f64::from(*number),
            (Value::Double(number), _) => *number,
            (Value::Bool(_), _) => return None,
            (Value::Text(text), _) => text.trim().parse().ok()?,
        };
        number.is_finite().then_some(number)
    }

    /// What it says of its own quality.
    pub(super) fn quality(&self) -> Quality {
        let said = self.properties.as_ref().and_then(|set| {
            let nth = set.keys.iter().position(|key| key == "Quality")?;
            let value = set.values.get(nth)?;
            value.long.or(value.int.map(u64::from))
        });
        match said {
            None | Some(GOOD) => Quality::Ok,
            Some(STALE) => Quality::Stale,
            Some(_) => Quality::Bad,
        }
    }

    /// What stands there, for people.
    pub(super) fn shown(&self) -> String {
        match &self.value {
            None => "something that is no simple value".to_owned(),
            Some(Value::Text(text)) => format!("{:?}", text.chars().take(60).collect::<String>()),
            Some(Value::Bool(flag)) => flag.to_string(),
            Some(Value::Float(number)) => number.to_string(),
            Some(Value::Double(number)) => number.to_string(),
            Some(Value::Int(_) | Value::Long(_)) => "a whole number".to_owned(),
        }
    }
}

/// The one command that is ever sent to an edge node: to publish its births again. It changes nothing at the plant.
pub(super) fn rebirth(at: Timestamp) -> Vec<u8> {
    let at_ms = u64::try_from(at.as_millisecond()).ok();
    let metric = Metric {
        name: Some("Node Control/Rebirth".to_owned()),
        timestamp: at_ms,
        datatype: Some(datatype::BOOLEAN),
        value: Some(Value::Bool(true)),
        ..Metric::default()
    };
    let payload = Payload {
        timestamp: at_ms,
        metrics: vec![metric],
        ..Payload::default()
    };
    payload.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_their_type() {
        let int = |bits: u32| Value::Int(bits);
        for (value, own, of_birth, expected) in [
            (int(4_294_967_284), Some(2), None, Some(-12.0)),
            (int(65_524), None, Some(2), Some(-12.0)),
            (int(4_294_967_284), Some(1), None, Some(-12.0)),
            (int(244), Some(1), Some(7), Some(-12.0)),
            (int(2_147_483_648), Some(3), None, Some(-2_147_483_648.0)),
            (int(4_294_967_284), Some(7), None, Some(4_294_967_284.0)),
            (int(12), None, None, Some(12.0)),
            (Value::Long(u64::MAX), Some(4), None, Some(-1.0)),
            (Value::Long(51_234_560), Some(8), None, Some(51_234_560.0)),
            (Value::Float(0.5), None, None, Some(0.5)),
            (Value::Double(f64::NAN), Some(10), None, None),
            (Value::Bool(true), Some(11), None, None),
            (Value::Text(" 12.5".into()), Some(12), None, Some(12.5)),
            (Value::Text("RUN".into()), Some(12), None, None),
        ] {
            let metric = Metric {
                datatype: own,
                value: Some(value.clone()),
                ..Metric::default()
            };
            assert_eq!(metric.number(of_birth), expected, "{value:?} {own:?} {of_birth:?}");
        }
    }

    #[test]
    fn a_quality_is_good_stale_or_bad() {
        let with = |int| Metric {
            properties: Some(PropertySet {
                keys: vec!["engUnit".into(), "Quality".into()],
                values: vec![PropertyValue::default(), PropertyValue { int, long: None }],
            }),
            ..Metric::default()
        };
        let qualities = [None, Some(192), Some(500), Some(0)].map(|int| with(int).quality());
        assert_eq!(qualities, [Quality::Ok, Quality::Ok, Quality::Stale, Quality::Bad]);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let compressed = Payload {
            uuid: Some(COMPRESSED.into()),
            ..Payload::default()
        };
        for (bytes, expected) in [
            (compressed.encode_to_vec(), "compressed"),
            (vec![0x12, 0xff], "no Sparkplug"),
        ] {
            assert!(decode(&bytes).is_err_and(|why| why.contains(expected)), "{bytes:?}");
        }
    }

    #[test]
    fn the_request_for_a_birth_says_nothing_else() {
        let sent = decode(&rebirth(Timestamp::UNIX_EPOCH)).unwrap();
        assert_eq!((sent.metrics.len(), sent.seq), (1, None));
        assert_eq!(sent.metrics[0].name.as_deref(), Some("Node Control/Rebirth"));
        assert_eq!(sent.metrics[0].value, Some(Value::Bool(true)));
    }
}
