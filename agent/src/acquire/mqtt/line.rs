//! What the connection to a broker and the desk share: which connection it is, and which topics are asked for.
//!
//! It sends nothing. Invariant: a topic that was asked for once and is not any more is given up on every new connection,
//! since the broker may hold it for our session still.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use tokio::sync::Notify;

use super::Config;

/// What the connection and the desk share.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Connections that have ended: no acknowledgement may be given for a message of an ended one.
    pub(super) ended: AtomicU64,
    /// Asks for a new connection, on which the broker delivers again what was not stored.
    pub(super) renew: Notify,
    /// What is asked for at the broker.
    pub(super) topics: Arc<Topics>,
}

/// What is asked for at the broker, and what is not any more.
#[derive(Debug, Default)]
pub(super) struct Topics(Mutex<Filters>);

#[derive(Debug, Default)]
struct Filters {
    wanted: BTreeSet<String>,
    /// Of earlier configurations: the broker may still hold them for our session.
    unwanted: BTreeSet<String>,
    /// What each subscription that has no answer yet asks for.
    asked: VecDeque<BTreeSet<String>>,
}

impl Topics {
    /// Takes up what `config` asks for; what is new, and what is not asked for any more.
    pub(super) fn take_up(&self, config: &Config) -> (BTreeSet<String>, BTreeSet<String>) {
        let mut filters = self.filters();
        let wanted: BTreeSet<String> = config.subscriptions().collect();
        let new = wanted.difference(&filters.wanted).cloned().collect();
        let gone: BTreeSet<String> = filters.wanted.difference(&wanted).cloned().collect();
        filters.unwanted.extend(gone.iter().cloned());
        filters.unwanted.retain(|filter| !wanted.contains(filter));
        filters.wanted = wanted;
        (new, gone)
    }

    /// What a new connection subscribes to, and what it gives up.
    pub(super) fn anew(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let mut filters = self.filters();
        filters.asked = VecDeque::from([filters.wanted.clone()]);
        (filters.wanted.clone(), filters.unwanted.clone())
    }

    /// Another subscription leaves.
    pub(super) fn ask(&self, new: &BTreeSet<String>) {
        self.filters().asked.push_back(new.clone());
    }

    /// What the subscription that is answered next asked for.
    pub(super) fn answered(&self) -> BTreeSet<String> {
        self.filters().asked.pop_front().unwrap_or_default()
    }

    fn filters(&self) -> MutexGuard<'_, Filters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acquire::mqtt::SparkplugMeter;

    #[test]
    fn only_what_changed_is_asked_for_or_given_up_and_a_new_connection_asks_for_all() {
        let config = |nodes: &[&str]| {
            let meter = |node: &&str| SparkplugMeter {
                name: (*node).into(),
                group: "g".into(),
                node: (*node).into(),
                device: String::new(),
                values: vec![],
            };
            Config {
                sparkplug: nodes.iter().map(meter).collect(),
                ..Config::of_test()
            }
        };
        let filters = |nodes: &[&str]| nodes.iter().map(|node| format!("spBv1.0/g/+/{node}/#")).collect();
        let topics = Topics::default();
        let check = |nodes: &[&str], new: &[&str], gone: &[&str], unwanted: &[&str]| {
            assert_eq!(
                topics.take_up(&config(nodes)),
                (filters(new), filters(gone)),
                "{nodes:?}"
            );
            assert_eq!(topics.anew(), (filters(nodes), filters(unwanted)), "{nodes:?}");
        };
        check(&["a", "b"], &["a", "b"], &[], &[]);
        check(&["b", "c"], &["c"], &["a"], &["a"]);
        check(&["a", "b"], &["a"], &["c"], &["c"]);
        topics.ask(&filters(&["d"]));
        let answered = [topics.answered(), topics.answered(), topics.answered()];
        assert_eq!(answered, [filters(&["a", "b"]), filters(&["d"]), filters(&[])]);
    }
}
