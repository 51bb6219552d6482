//! MQTT meters: topics as configured, messages taken at least once, acknowledged when durable.
//!
//! It knows no vendor's payload format beyond JSON pointers and publishes nothing. Invariants: a message is
//! acknowledged only after everything made from it is stored; one that cannot be read is counted, kept and passed over.

mod client;
mod desk;
pub mod payload;
mod reader;
mod topic;

use std::path::PathBuf;

use energy::{Name, Quantity};
use jiff::tz::TimeZone;
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

/// What one topic says about one meter. A meter whose values come under several topics has one of these for each.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicMeter {
    /// The meter.
    pub name: Name,
    /// Topic, or filter with `+` and `#`, whose messages are this meter's.
    pub topic: String,
    /// What is subscribed to for it; more than [`Self::topic`] where many meters share a pattern.
    pub subscription: String,
    /// What to take from the payload.
    pub values: Vec<Value>,
    /// Where the payload says when it was measured.
    pub time: Option<TimePointer>,
    /// Whether a message may well say nothing of this meter: its topic carries other things too.
    pub is_partial: bool,
}

/// One value in a payload.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// JSON pointer (RFC 6901); `""` = the payload is the number. In an array `id=a` leads to the element whose `id` is a.
    pub pointer: String,
    /// What it measures.
    pub quantity: Quantity,
    /// Quantity's unit per unit of the payload.
    pub scale: f64,
    /// Added after scaling, in the quantity's unit.
    pub offset: f64,
    /// What to make of several numbers where one is looked for.
    pub array: Array,
}

/// What to make of an array where a number is looked for: some devices send one as soon as they have two channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Array {
    /// It is no number.
    #[default]
    Refused,
    /// The sum of its numbers: powers of channels or phases.
    Sum,
    /// Its first number: the voltage that channels share, or that of the first phase.
    First,
    /// Absent: no one number stands for several, as for their power factors.
    Absent,
}

/// Where a payload says when it was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimePointer {
    /// JSON pointer to a time: RFC 3339 with its zone, or seconds or milliseconds since 1970.
    pub pointer: String,
    /// Zone of a time that names none; without it such a time is none.
    pub zone: Option<TimeZone>,
}
