//! Sparkplug B: what edge nodes say of meters, by their births, aliases and deaths. Pure.
//!
//! It keeps of a node the names that its births gave, for meters that come later, and acts as no primary host. Invariants: an
//! alias means what the last birth said and nothing before one was heard; after a gap in the sequence all aliases of the node
//! are forgotten, because a birth may lie in it; a message that cannot be read is no gap; a death makes the last values stale,
//! once; a value has its own time.
//! Source: Eclipse Sparkplug specification 3.0, chapters 4 to 6.

mod payload;

use std::collections::{BTreeMap, BTreeSet};

use energy::{Name, Quality, Quantity, Reading};
use jiff::{SignedDuration, Timestamp};

use super::{
    MAX_MESSAGE_BYTES, SparkplugMeter, Value,
    payload::Content,
    said::{Refusal, Said},
};
use payload::{Metric, Payload};

/// An edge node is asked for its births at most this often: a node that does not answer must not be hammered.
const ASK_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// Metrics kept of a node beside those that a meter wants, and the longest name of one: births come once, and a meter may
/// be added later. A gateway of 50 devices gives some thousands.
const MOST_UNWANTED: usize = 10_000;
const LONGEST_UNWANTED: usize = 200;

/// The first level of every Sparkplug topic.
const NAMESPACE: &str = "spBv1.0";

/// What a message of an edge node says.
#[derive(Debug, Default, PartialEq)]
pub struct Heard {
    /// Of which meters it says what.
    pub said: Vec<Said>,
    /// The request for the node's births, where it is due.
    pub ask: Option<Ask>,
    /// Whether messages before it are missing.
    pub is_gap: bool,
}

/// A request to an edge node to say its births again.
#[derive(Debug, PartialEq)]
pub struct Ask {
    /// Where it goes.
    pub topic: String,
    /// What it says.
    pub payload: Vec<u8>,
    /// Whether no birth of the node was heard at all; else some were missed.
    pub is_first: bool,
}

/// The edge nodes of a broker that have meters.
#[derive(Debug, Default)]
pub struct Edges {
    meters: Vec<SparkplugMeter>,
    nodes: BTreeMap<(String, String), Node>,
}

/// What is known of an edge node. The device `""` is the node itself.
#[derive(Debug, Default)]
struct Node {
    /// Number of its session, by its birth.
    bd_seq: Option<u64>,
    /// Number of its last message, 0 to 255.
    seq: Option<u64>,
    /// Devices whose birth holds.
    born: BTreeSet<String>,
    /// Device and alias → metric.
    aliases: BTreeMap<(String, u64), String>,
    /// Device and metric → data type.
    types: BTreeMap<(String, String), u32>,
    /// Device and meter → its last values.
    last: BTreeMap<(String, Name), BTreeMap<Quantity, f64>>,
    /// Whether a birth of it was ever heard.
    was_born: bool,
    /// When it was last asked for its births.
    asked: Option<Timestamp>,
}

/// What a topic names.
struct Address<'a> {
    group: &'a str,
    kind: &'a str,
    node: &'a str,
    device: &'a str,
}

impl<'a> Address<'a> {
    fn of(topic: &'a str) -> Option<Self> {
        let mut levels = topic.strip_prefix(NAMESPACE)?.strip_prefix('/')?.split('/');
        let address = Self {
            group: levels.next()?,
            kind: levels.next()?,
            node: levels.next()?,
            device: levels.next().unwrap_or(""),
        };
        levels.next().is_none().then_some(address)
    }
}

impl SparkplugMeter {
    /// What is subscribed to for it: all that its edge node says.
    pub(super) fn subscription(&self) -> String {
        format!("{NAMESPACE}/{}/+/{}/#", self.group, self.node)
    }

    /// Its edge node: group and name.
    fn node_key(&self) -> (String, String) {
        (self.group.clone(), self.node.clone())
    }

    fn value(&self, metric: &str) -> Option<&Value> {
        self.values.iter().find(|value| value.pointer == metric)
    }
}

impl Edges {
    /// The nodes of these meters, of which nothing is known yet.
    pub fn new(meters: Vec<SparkplugMeter>) -> Self {
        let mut edges = Self::default();
        edges.take_up(meters);
        edges
    }

    /// Takes up other meters. An edge node keeps what was heard of it: its births do not come again by themselves.
    pub fn take_up(&mut self, meters: Vec<SparkplugMeter>) {
        let mut known = std::mem::take(&mut self.nodes);
        let former = std::mem::replace(&mut self.meters, meters);
        let keys: BTreeSet<(String, String)> = self.meters.iter().map(SparkplugMeter::node_key).collect();
        for key in keys {
            let mut node = known.remove(&key).unwrap_or_default();
            let stays = |name: &Name| {
                let mut same = self.meters.iter().filter(|meter| former.contains(meter));
                same.any(|meter| meter.name == *name)
            };
            node.last.retain(|(_, name), _| stays(name));
            let new = self
                .meters
                .iter()
                .filter(|meter| meter.node_key() == key && !former.contains(meter));
            new.for_each(|meter| node.welcome(meter));
            self.nodes.insert(key, node);
        }
    }

    /// Takes a message that came at `at`; `None` when it is of no node that has meters.
    pub fn hear(&mut self, topic: &str, bytes: &[u8], at: Timestamp) -> Option<Heard> {
        let address = Address::of(topic)?;
        let key = (address.group.to_owned(), address.node.to_owned());
        let node = self.nodes.get_mut(&key)?;
        let own = self
            .meters
            .iter()
            .filter(|meter| meter.group == key.0 && meter.node == key.1);
        let own: Vec<&SparkplugMeter> = own.collect();
        if !["NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH"].contains(&address.kind) {
            return Some(Heard::default()); // commands to the node are not ours to hear
        }
        let of_device = own.iter().copied().filter(|meter| meter.device == address.device);
        let of_device: Vec<_> = of_device.collect();
        let mut heard = match decode(bytes) {
            Ok(payload) => node.take(&address, &payload, &own, &of_device),
            Err(refusal) => {
                let meant = if of_device.is_empty() { &own } else { &of_device };
                Heard {
                    said: meant.iter().map(|meter| refused(meter, refusal.clone())).collect(),
                    is_gap: node.pass_over(&address, payload::seq(bytes)),
                    ask: None,
                }
            }
        };
        if !address.kind.ends_with("DEATH") && !node.born.contains(address.device) {
            heard.ask = node.ask(&key, at);
        }
        Some(heard)
    }

    /// The requests that are due of nodes of which nothing has been heard.
    pub fn unborn(&mut self, at: Timestamp) -> Vec<Ask> {
        let unborn = self.nodes.iter_mut().filter(|(_, node)| !node.was_born);
        unborn.filter_map(|(key, node)| node.ask(key, at)).collect()
    }
}

fn decode(bytes: &[u8]) -> Result<Payload, Refusal> {
    let refusal = |label, reason| Refusal {
        label,
        reason,
        is_kept: true,
    };
    if bytes.len() > MAX_MESSAGE_BYTES {
        let reason = format!("{} bytes; at most {MAX_MESSAGE_BYTES} are read", bytes.len());
        return Err(refusal("too_large", reason));
    }
    payload::decode(bytes).map_err(|why| refusal("not_sparkplug", why))
}

fn refused(meter: &SparkplugMeter, refusal: Refusal) -> Said {
    Said {
        meter: Name::clone(&meter.name),
        content: Err(refusal),
    }
}

type Meters<'a> = [&'a SparkplugMeter];

impl Node {
    fn take(&mut self, address: &Address<'_>, payload: &Payload, own: &Meters<'_>, of_device: &Meters<'_>) -> Heard {
        let mut heard = Heard::default();
        match address.kind {
            "NBIRTH" => {
                // A new session: what was known of the old one holds no longer.
                self.forget_births();
                self.types.clear();
                self.bd_seq = bd_seq(payload);
                self.seq = payload.seq;
            }
            "NDEATH" => {
                let known = self.bd_seq.zip(bd_seq(payload));
                if known.is_none_or(|(born, died)| born == died) {
                    self.forget_births();
                    heard.said = self.die(own);
                } // else the will of an older session, which came late
                return heard;
            }
            _ => heard.is_gap = !self.follows(payload.seq),
        }
        if heard.is_gap {
            self.forget_births();
        }
        if address.kind == "DDEATH" {
            self.forget_birth(address.device);
            heard.said = self.die(of_device);
            return heard;
        }
        if address.kind.ends_with("BIRTH") {
            self.learn(address.device, payload, of_device);
        }
        for meter in of_device {
            heard.said.extend(self.values(meter, payload));
        }
        heard
    }

    /// Passes over a message that cannot be read, of this number as far as that can be: else it is the next, as messages
    /// come in order, and the one after it shows if it was not. Whether messages before it are missing.
    fn pass_over(&mut self, address: &Address<'_>, seq: Option<u64>) -> bool {
        match address.kind {
            "NDEATH" => return false, // it has no number
            "NBIRTH" => {
                self.forget_births();
                (self.bd_seq, self.seq) = (None, seq);
                return false;
            }
            _ => {}
        }
        let is_gap = !self.follows(seq.or(self.seq.map(next)));
        if is_gap {
            self.forget_births();
        }
        if address.kind != "DDATA" && address.kind != "NDATA" {
            self.forget_birth(address.device);
        }
        is_gap
    }

    fn forget_birth(&mut self, device: &str) {
        self.born.remove(device);
        self.aliases.retain(|(of, _), _| of != device);
    }

    fn forget_births(&mut self) {
        self.born.clear();
        self.aliases.clear();
    }

    /// Whether no message is missing before the one of this number; it is the last from now on.
    fn follows(&mut self, seq: Option<u64>) -> bool {
        let (Some(last), Some(now)) = (self.seq, seq) else {
            self.seq = seq.or(self.seq);
            return true; // nothing to compare with
        };
        self.seq = Some(now);
        now == last || now == next(last) // the same number twice is one message delivered twice
    }

    /// The request for the births of this node, unless it was asked lately.
    fn ask(&mut self, (group, node): &(String, String), at: Timestamp) -> Option<Ask> {
        let is_due = |asked| at.duration_since(asked).abs() >= ASK_EVERY;
        if !self.asked.is_none_or(is_due) {
            return None;
        }
        self.asked = Some(at);
        Some(Ask {
            topic: format!("{NAMESPACE}/{group}/NCMD/{node}"),
            payload: payload::rebirth(at),
            is_first: !self.was_born,
        })
    }

    /// Takes up a meter that was not there when its device was born: where not all names were kept, that birth is no use.
    fn welcome(&mut self, meter: &SparkplugMeter) {
        let is_full = self.aliases.len().max(self.types.len()) >= MOST_UNWANTED;
        let is_kept = |name: &str| {
            let of = |device: &String, other: &String| *device == meter.device && other == name;
            self.types.keys().any(|(device, other)| of(device, other))
                || self.aliases.iter().any(|((device, _), other)| of(device, other))
        };
        let is_lost = |value: &Value| (is_full || value.pointer.len() > LONGEST_UNWANTED) && !is_kept(&value.pointer);
        if meter.values.iter().any(is_lost) {
            self.born.remove(&meter.device);
        }
    }

    fn learn(&mut self, device: &str, payload: &Payload, meters: &Meters<'_>) {
        self.was_born = true;
        self.born.insert(device.to_owned());
        self.aliases.retain(|(of, _), _| of != device);
        self.types.retain(|(of, _), _| of != device);
        for metric in &payload.metrics {
            let Some(name) = metric.name.as_ref() else { continue };
            let is_wanted = meters.iter().any(|meter| meter.value(name).is_some());
            let has_room = self.aliases.len().max(self.types.len()) < MOST_UNWANTED && name.len() <= LONGEST_UNWANTED;
            if !is_wanted && !has_room {
                continue;
            }
            if let Some(alias) = metric.alias {
                self.aliases.insert((device.to_owned(), alias), name.clone());
            }
            if let Some(datatype) = metric.datatype {
                self.types.insert((device.to_owned(), name.clone()), datatype);
            }
        }
    }

    /// What a message says of a meter: one content an instant, and what could not be read.
    fn values(&mut self, meter: &SparkplugMeter, payload: &Payload) -> Vec<Said> {
        let mut by_time: BTreeMap<Option<u64>, Vec<Reading>> = BTreeMap::new();
        let mut said = Vec::new();
        let mut nameless = 0;
        for metric in &payload.metrics {
            let Some(name) = self.name(&meter.device, metric) else {
                nameless += usize::from(!self.born.contains(&meter.device));
                continue;
            };
            let Some(value) = meter.value(&name).filter(|_| metric.is_null != Some(true)) else {
                continue;
            };
            let datatype = self.types.get(&(meter.device.clone(), name.clone())).copied();
            let Some(number) = metric.number(datatype) else {
                said.push(refused(meter, wrong_type(&name, metric)));
                continue;
            };
            let mut reading = Reading::new(value.quantity, number * value.scale + value.offset);
            reading.quality = reading.quality.max(metric.quality());
            if metric.is_historical != Some(true) {
                self.last
                    .entry((meter.device.clone(), Name::clone(&meter.name)))
                    .or_default()
                    .insert(reading.quantity, reading.value);
            }
            let readings = by_time.entry(metric.timestamp.or(payload.timestamp)).or_default();
            if readings.iter().all(|other| other.quantity != reading.quantity) {
                readings.push(reading);
            }
        }
        if nameless > 0 {
            said.push(refused(meter, no_birth(nameless)));
        }
        said.extend(by_time.into_iter().map(|(time, readings)| Said {
            meter: Name::clone(&meter.name),
            content: Ok(Content {
                at: time.and_then(instant),
                unread_time: None,
                unread_values: None,
                readings,
            }),
        }));
        said
    }

    /// The metric's name: its own, or what its alias stands for.
    fn name(&self, device: &str, metric: &Metric) -> Option<String> {
        let own = metric.name.clone().filter(|name| !name.is_empty());
        own.or_else(|| self.aliases.get(&(device.to_owned(), metric.alias?)).cloned())
    }

    /// The last values of these meters, stale from now on.
    fn die(&mut self, meters: &Meters<'_>) -> Vec<Said> {
        let died = |meter: &&SparkplugMeter| {
            let last = self.last.remove(&(meter.device.clone(), Name::clone(&meter.name)))?;
            let stale = |(quantity, value): (Quantity, f64)| {
                let mut reading = Reading::new(quantity, value);
                reading.quality = reading.quality.max(Quality::Stale);
                reading
            };
            Some(Said {
                meter: Name::clone(&meter.name),
                content: Ok(Content {
                    at: None,
                    unread_time: None,
                    unread_values: None,
                    readings: last.into_iter().map(stale).collect(),
                }),
            })
        };
        meters.iter().filter_map(died).collect()
    }
}

/// The number of the message after this one.
fn next(seq: u64) -> u64 {
    (seq % 256 + 1) % 256
}

fn bd_seq(payload: &Payload) -> Option<u64> {
    let metric = payload
        .metrics
        .iter()
        .find(|metric| metric.name.as_deref() == Some("bdSeq"))?;
    metric.number(None).map(|number| number as u64)
}

fn instant(time_ms: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(time_ms).ok()?).ok()
}

fn wrong_type(name: &str, metric: &Metric) -> Refusal {
    Refusal {
        label: "wrong_type",
        reason: format!("metric {name:?} is {}, not a number", metric.shown()),
        is_kept: true,
    }
}

fn no_birth(n_metrics: usize) -> Refusal {
    Refusal {
        label: "no_birth",
        reason: format!(
            "{n_metrics} values have only an alias, and what it stands for was not heard or holds no longer"
        ),
        is_kept: false,
    }
}

#[cfg(test)]
mod tests;
