//! Topic and payload → what is said of which meters. Pure.
//!
//! It stamps nothing and keeps nothing. Invariant: every meter that a topic means gets an answer, if only why there is
//! none.

use std::collections::HashMap;

use energy::Name;
use jiff::Timestamp;

use super::{
    Config, MAX_MESSAGE_BYTES, TopicMeter, matches, payload,
    said::{Refusal, Said},
    sparkplug::{Ask, Edges, Heard},
};

/// The meters of a broker, by topic.
#[derive(Debug, Default)]
pub(super) struct Reader {
    meters: Vec<TopicMeter>,
    by_topic: HashMap<String, Vec<usize>>,
    /// Those whose topic is a filter.
    by_filter: Vec<usize>,
    edges: Edges,
    subscriptions: Vec<String>,
}

impl Reader {
    #[cfg(test)]
    fn new(config: &Config) -> Self {
        let mut reader = Self::default();
        reader.take_up(config);
        reader
    }

    /// The requests for births that are due before anything was heard.
    pub(super) fn unborn(&mut self, at: Timestamp) -> Vec<Ask> {
        self.edges.unborn(at)
    }

    /// Reads by another configuration from now on; what edge nodes said holds where their meters stay.
    pub(super) fn take_up(&mut self, config: &Config) {
        self.meters.clone_from(&config.meters);
        self.edges.take_up(config.sparkplug.clone());
        self.subscriptions = config.subscriptions().collect();
        self.by_topic.clear();
        self.by_filter.clear();
        for (nth, meter) in config.meters.iter().enumerate() {
            if meter.topic.contains(['+', '#']) {
                self.by_filter.push(nth);
            } else {
                self.by_topic.entry(meter.topic.clone()).or_default().push(nth);
            }
        }
    }

    /// Whether this configuration asks for messages under `topic`.
    pub(super) fn subscribes_to(&self, topic: &str) -> bool {
        self.subscriptions.iter().any(|filter| matches(filter, topic))
    }

    /// What a message that came at `at` says; `None` when it is nobody's.
    pub(super) fn read(&mut self, topic: &str, payload: &[u8], at: Timestamp) -> Option<Heard> {
        let mut said = self.of_topic(topic, payload);
        match self.edges.hear(topic, payload, at) {
            None if said.is_empty() => None,
            None => Some(Heard {
                said,
                ..Heard::default()
            }),
            Some(mut heard) => {
                said.append(&mut heard.said);
                Some(Heard { said, ..heard })
            }
        }
    }

    /// Of each of the topic's meters, in the order of the configuration.
    fn of_topic(&self, topic: &str, payload: &[u8]) -> Vec<Said> {
        let exact = self.by_topic.get(topic).into_iter().flatten();
        let is_meant = |nth: &&usize| matches(&self.meters[**nth].topic, topic);
        let mut meant: Vec<usize> = exact.chain(self.by_filter.iter().filter(is_meant)).copied().collect();
        if meant.is_empty() {
            return Vec::new();
        }
        meant.sort_unstable();
        let too_large = || Refusal {
            label: "too_large",
            reason: format!("{} bytes; at most {MAX_MESSAGE_BYTES} are read", payload.len()),
            is_kept: true,
        };
        let json = if payload.len() > MAX_MESSAGE_BYTES {
            Err(too_large())
        } else {
            payload::parse(payload).map_err(|error| Refusal::of(&error, false))
        };
        let said = |nth: usize| {
            let meter = &self.meters[nth];
            let told = |content| Said {
                meter: Name::clone(&meter.name),
                content,
            };
            match json.as_ref().map(|json| payload::content(json, meter)) {
                Err(refusal) => [Some(told(Err(refusal.clone()))), None],
                Ok(Err(error)) => [Some(told(Err(Refusal::of(&error, meter.is_partial)))), None],
                // One value that cannot be read costs the others nothing.
                Ok(Ok(content)) => {
                    let unread = content.unread_values.as_ref().map(Refusal::of_values);
                    [Some(told(Ok(content))), unread.map(|refusal| told(Err(refusal)))]
                }
            }
        };
        meant.into_iter().flat_map(said).flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use energy::Quantity;

    use super::*;
    use crate::acquire::mqtt::{Array, Value};

    fn meter(name: &str, topic: &str, pointers: &[&str], is_partial: bool) -> TopicMeter {
        let value = |pointer: &&str| Value {
            pointer: (*pointer).into(),
            quantity: Quantity::ActivePower,
            scale: 1.0,
            offset: 0.0,
            array: Array::Refused,
        };
        TopicMeter {
            name: name.into(),
            topic: topic.into(),
            subscription: topic.into(),
            values: pointers.iter().map(value).collect(),
            time: None,
            is_partial,
        }
    }

    /// What is said: `meter=value`, or `meter!label`, with `?` where nobody needs to look.
    fn check(topic: &str, payload: &[u8], expected: &[&str]) {
        let meters = vec![
            meter("any", "plant/#", &["/p"], true),
            meter("dryer", "plant/dryer", &["/p"], false),
            meter("press", "plant/dryer", &["/q"], false),
            meter("saw", "plant/saw", &["/p", "/q", "/r"], false),
            meter("hall", "hall/+/p", &[""], false),
        ];
        let reader = Reader::new(&Config {
            meters,
            ..Config::of_test()
        });
        let shown = |said: Said| match said.content {
            Ok(content) => format!("{}={}", said.meter, content.readings[0].value),
            Err(refusal) => {
                let of_others = if refusal.is_kept { "" } else { "?" };
                format!("{}!{}{of_others}", said.meter, refusal.label)
            }
        };
        let found: Vec<String> = reader.of_topic(topic, payload).into_iter().map(shown).collect();
        assert_eq!(found, expected, "{topic}");
    }

    #[test]
    fn a_message_speaks_of_every_meter_that_its_topic_means() {
        check("plant/dryer", br#"{"p": 2, "q": 4}"#, &["any=2", "dryer=2", "press=4"]);
        check(
            "plant/dryer",
            br#"{"q": 4}"#,
            &["any!of_other_things?", "dryer!missing_pointer", "press=4"],
        );
        check(
            "plant/dryer",
            b"x",
            &["any!not_json", "dryer!not_json", "press!not_json"],
        );
        check("plant/x", br#"{"p": []}"#, &["any!wrong_type"]);
        check(
            "plant/saw",
            br#"{"p": "off", "q": [], "r": 4}"#,
            &["any!wrong_type", "saw=4", "saw!wrong_type"],
        );
        check("hall/1/p", b"3", &["hall=3"]);
        check("hall/1/q", b"3", &[]);
        check("hall/1/p", &vec![b' '; MAX_MESSAGE_BYTES + 1], &["hall!too_large"]);
    }
}
