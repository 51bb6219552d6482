//! MQTT meters: topics as configured, messages taken at least once, acknowledged when durable.
//!
//! It knows no vendor's payload format beyond JSON pointers and Sparkplug B. It publishes nothing but two things: that the
//! agent is there, and the request to a Sparkplug edge node to say its births again. Invariants: a message is
//! acknowledged only after everything made from it is stored; one that cannot be read is counted, kept and passed over.

mod again;
mod client;
mod desk;
mod line;
mod link;
pub mod payload;
mod reader;
mod said;
pub mod sparkplug;
mod stamp;
mod tls;
mod told;
mod topic;

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use crate::secret::Secret;
use energy::{Name, Quantity};
use jiff::tz::TimeZone;

pub use client::{check_certificates, reach, run};
pub use said::{Refusal, Said};
pub use tls::OptionsError;
pub use topic::matches;

/// The largest message that is read; a meter's has some hundred bytes. Larger ones are counted and passed over.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// Messages that may wait for their acknowledgement where nothing else is said: brokers send 20 ahead by default; one
/// that is told to send more is then not held up by us.
pub const USUAL_WINDOW: u16 = 1_000;

/// How much of a message that was too large goes into its dead letter: enough to see what it was.
pub const DEAD_LETTER_BYTES: usize = 4096;

/// One broker and the meters behind it.
#[derive(Debug, Clone, PartialEq)]
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
    /// Version of the protocol.
    pub version: Version,
    /// How soon a connection that was cut without a word is noticed: within two of this. Whole seconds.
    pub keep_alive: Duration,
    /// Messages that may wait for their acknowledgement, at least 1.
    pub window: u16,
    /// Our own certificate, if the broker wants one.
    pub identity: Option<Identity>,
    /// Where the broker says whether we are there: `online` or, by our last will, `offline`, retained.
    pub status_topic: Option<String>,
    /// Whether Sparkplug edge nodes may be asked for births that were missed.
    pub asks_for_births: bool,
    /// The meters that publish here.
    pub meters: Vec<TopicMeter>,
    /// Those that publish by Sparkplug B.
    pub sparkplug: Vec<SparkplugMeter>,
}

impl Config {
    /// What is asked for at the broker; a filter may come several times.
    fn subscriptions(&self) -> impl Iterator<Item = String> {
        let topics = self.meters.iter().map(|meter| meter.subscription.clone());
        topics.chain(self.sparkplug.iter().map(SparkplugMeter::subscription))
    }

    /// Whether it differs from `other` in its meters at most: the connection can stay.
    fn has_connection_of(&self, other: &Self) -> bool {
        let bare = |config: &Self| Self {
            meters: vec![],
            sparkplug: vec![],
            asks_for_births: false,
            ..config.clone()
        };
        bare(self) == bare(other)
    }

    /// Whose messages come: of which broker, to whom. What its edge nodes said holds as long as this is the same.
    fn session(&self) -> (String, u16, String) {
        (self.url.host.clone(), self.url.port, self.client_id.clone())
    }

    /// How many meters publish here; one may have several topics.
    pub fn n_meters(&self) -> usize {
        let of_topics = self.meters.iter().map(|meter| &meter.name);
        let names: BTreeSet<&Name> = of_topics
            .chain(self.sparkplug.iter().map(|meter| &meter.name))
            .collect();
        names.len()
    }

    /// A broker without meters.
    #[cfg(test)]
    fn of_test() -> Self {
        Self {
            name: "hall".into(),
            url: Url {
                host: "192.0.2.20".into(),
                port: 1883,
                tls: None,
            },
            client_id: "ansan-1".into(),
            username: None,
            password: None,
            version: Version::V3,
            keep_alive: Duration::from_secs(30),
            window: USUAL_WINDOW,
            identity: None,
            status_topic: None,
            asks_for_births: true,
            meters: vec![],
            sparkplug: vec![],
        }
    }
}

/// Version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// MQTT 3.1.1.
    #[default]
    V3,
    /// MQTT 5.
    V5,
}

/// Files of our own certificate, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and those between it and the authority.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
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

/// A meter behind a Sparkplug B edge node.
#[derive(Debug, Clone, PartialEq)]
pub struct SparkplugMeter {
    /// The meter.
    pub name: Name,
    /// Group of the edge node.
    pub group: String,
    /// The edge node.
    pub node: String,
    /// Device of the edge node; empty = the node itself.
    pub device: String,
    /// What to take; [`Value::pointer`] is the metric's name.
    pub values: Vec<Value>,
}

/// Where a payload says when it was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimePointer {
    /// JSON pointer to a time: RFC 3339 with its zone, or seconds, milliseconds or microseconds since 1970.
    pub pointer: String,
    /// Zone of a time that names none; without it such a time is none.
    pub zone: Option<TimeZone>,
}
