//! One MQTT broker: which topics are meters, and where in a payload their numbers are.

use energy::{quantity::Quantity, sample::Name};

use crate::secret::Secret;

/// One broker.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: Url,
    /// Identifier of our session.
    pub client_id: String,
    /// User, where the broker asks for one.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// Meters that publish there.
    pub meters: Vec<TopicMeter>,
}

/// Where a broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Encrypted.
    pub tls: bool,
}

/// One meter that publishes to one topic.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicMeter {
    /// The meter.
    pub name: Name,
    /// Its topic.
    pub topic: String,
    /// Its values.
    pub values: Vec<Value>,
    /// Where its time is, if the payload has one.
    pub time: Option<TimePointer>,
}

/// One number in a payload.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// JSON pointer; empty = the payload is the number.
    pub pointer: String,
    /// What it measures.
    pub quantity: Quantity,
    /// Value = raw x scale.
    pub scale: f64,
}

/// Where the time of a payload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimePointer {
    /// JSON pointer.
    pub pointer: String,
    /// How it is written.
    pub format: TimeFormat,
}

/// How a payload writes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "plain words")]
pub enum TimeFormat {
    Rfc3339,
    UnixS,
    UnixMs,
}
