//! What has been said in the log, and how often. Pure.
//!
//! It writes nothing. Invariant: what it keeps is bounded, and what is said grows with each new thing, not with each message.

use std::collections::BTreeMap;

/// What has been said in the log about topics, so that a meter that sends nonsense each second does not fill it.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<(String, &'static str), u64>);

/// Of messages refused for one reason under one topic, the first is logged and then each of this many.
const TOLD_EACH: u64 = 100;
/// Topics and reasons that are kept apart; under a filter with `#` there may be any number.
const TOLD_TOPICS: usize = 1_000;

impl Told {
    /// How many there were of this, when it is to be said.
    pub(super) fn again(&mut self, topic: &str, reason: &'static str) -> Option<u64> {
        let key = (topic.to_owned(), reason);
        if self.0.len() >= TOLD_TOPICS && !self.0.contains_key(&key) {
            return None;
        }
        let n = self.0.entry(key).or_default();
        *n += 1;
        (*n % TOLD_EACH == 1).then_some(*n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_topic_and_reason_is_told_and_then_few() {
        let mut told = Told::default();
        let said: Vec<u64> = (0..250).filter_map(|_| told.again("plant/dryer", "not_json")).collect();
        assert_eq!(said, [1, 101, 201]);
        assert_eq!(told.again("plant/dryer", "wrong_type"), Some(1));
        let n_told = (0..2 * TOLD_TOPICS)
            .filter(|n| told.again(&format!("t/{n}"), "not_json").is_some())
            .count();
        assert_eq!(n_told, TOLD_TOPICS - 2, "topics without end are not kept");
    }
}
