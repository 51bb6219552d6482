//! Which messages only say again to a meter what it has heard: a broker gives what it retains at each subscription, and
//! topics are subscribed to on each connection, and again for each new meter.
//!
//! It reads no payload. Invariant: what it holds is bounded; of a topic that it has no room for, nothing is called said
//! again.

use std::{
    collections::{BTreeSet, HashMap},
    hash::BuildHasher,
};

use energy::Name;

use super::{link::Message, matches, said::Said};

/// Topics whose last payload is known, of each meter: more than a site has meters.
const TOPICS: usize = 10_000;

/// A mark of the last payload that each meter heard of each topic, and on which connection.
#[derive(Debug, Default)]
pub(super) struct LastSaid(HashMap<(Name, String), (u64, u64)>);

impl LastSaid {
    /// Takes note of a message; gives those of its meters to which it says nothing new: it is retained, and they heard just
    /// that last of its topic, or heard the topic on this connection, so that it is the older one.
    pub(super) fn note(&mut self, message: &Message, said: &[Said], connection: u64) -> BTreeSet<Name> {
        let mark = self.0.hasher().hash_one(&*message.payload);
        let mut meters: BTreeSet<Name> = said.iter().map(|said| Name::clone(&said.meter)).collect();
        meters.retain(|meter| {
            let of = (Name::clone(meter), message.topic.clone());
            if let Some(last) = self.0.get_mut(&of) {
                let (last_mark, heard_on) = std::mem::replace(last, (mark, connection));
                return message.is_retained && (last_mark == mark || heard_on == connection);
            }
            if self.0.len() < TOPICS {
                self.0.insert(of, (mark, connection));
            }
            false
        });
        meters
    }

    /// Forgets what these meters heard by these filters.
    pub(super) fn forget(&mut self, new: &BTreeSet<(Name, String)>) {
        let is_new = |meter: &Name, topic: &str| {
            let mut own = new.iter().filter(|(name, _)| name == meter);
            own.any(|(_, filter)| matches(filter, topic))
        };
        self.0.retain(|(meter, topic), _| !is_new(meter, topic));
    }
}
