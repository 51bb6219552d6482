//! MQTT meters: topics as configured, messages taken at least once, acknowledged when durable.
//!
//! It knows no vendor's payload format beyond JSON pointers and publishes nothing. Invariants: a message is
//! acknowledged only after everything made from it is stored; one that cannot be read is counted, kept and passed over.

mod client;
mod desk;
pub mod payload;
mod topic;

use std::path::PathBuf;

use energy::{Name, Quantity};
use tokio::sync::mpsc;

use super::DeadLetter;
use crate::secret::Secret;

pub use client::{OptionsError, check, run};
pub use topic::matches;

/// The largest message that is read; a meter's has some hundred bytes. Larger ones are counted and passed over.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// How much of a message that was too large goes into its dead letter: enough to see what it was.
pub const DEAD_LETTER_BYTES: usize = 4096;

/// One broker and the meters behind it.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of the broker: its label in logs and counters.
    pub name: String,
    /// Where it is.
    pub url: Url,
    /// Stable name of this agent's session at the broker: while we are away the broker keeps messages under it.
    pub client_id: String,
    /// User, if the broker wants one.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// The meters that publish here.
    pub meters: Vec<TopicMeter>,
    /// Where messages go that cannot be read; `None` = they are only counted.
    pub dead_letters: Option<mpsc::Sender<DeadLetter>>,
}

/// Address of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Host name or address.
    pub host: String,
    /// Port, by custom 1883, with TLS 8883.
    pub port: u16,
    /// Whom to believe with `mqtts://`; `None` = `mqtt://`, in the clear.
    pub tls: Option<Trust>,
}

/// Which authorities may vouch for the broker's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Those that browsers believe.
    WebRoots,
    /// Only those in this PEM file: the plant's own authority.
    CaFile(PathBuf),
}

/// What one topic says about one meter.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicMeter {
    /// The meter.
    pub name: Name,
    /// Topic, or filter with `+` and `#`.
    pub topic: String,
    /// What to take from the payload.
    pub values: Vec<Value>,
    /// Where the payload says when it was measured.
    pub time: Option<TimePointer>,
}

/// One value in a payload.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// JSON pointer (RFC 6901); `""` = the payload is the number.
    pub pointer: String,
    /// What it measures.
    pub quantity: Quantity,
    /// Quantity's unit per unit of the payload.
    pub scale: f64,
}

/// JSON pointer to the time of measuring: RFC 3339 with its zone, or seconds or milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimePointer(pub String);
