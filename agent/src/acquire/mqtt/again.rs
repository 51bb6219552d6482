//! Which messages only say again what their topic said last: a broker gives what it retains at each new subscription.
//!
//! It reads no payload. Invariant: what it holds is bounded; of a topic that it has no room for, nothing is called said
//! again.

use std::{collections::HashMap, hash::BuildHasher};

use super::link::Message;

/// Topics whose last payload is known: more than a site has meters.
const TOPICS: usize = 10_000;

/// A mark of the last payload of each topic.
#[derive(Debug, Default)]
pub(super) struct LastSaid(HashMap<String, u64>);

impl LastSaid {
    /// Whether a message is retained and the same as its topic's last one. Notes it.
    pub(super) fn is_again(&mut self, message: &Message) -> bool {
        let mark = self.0.hasher().hash_one(&*message.payload);
        if let Some(last) = self.0.get_mut(&message.topic) {
            return std::mem::replace(last, mark) == mark && message.is_retained;
        }
        if self.0.len() < TOPICS {
            self.0.insert(message.topic.clone(), mark);
        }
        false
    }
}
