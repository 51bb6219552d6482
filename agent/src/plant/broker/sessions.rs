//! What the broker remembers: sessions with their subscriptions and queues, and retained messages. No sockets.
//!
//! Invariants: a session has at most one connection, the newest; a packet id is in use at most once a session.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use rumqttc::{
    ConnAck, Connect, ConnectReturnCode, Packet, PubAck, Publish, QoS, SubAck, Subscribe, SubscribeReasonCode,
    UnsubAck, matches, valid_filter,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Counts, Fault, link::LinkError, refused};

/// Messages a client may leave unacknowledged, as mosquitto's default.
pub(super) const MAX_UNACKNOWLEDGED: usize = 20;
/// Messages that wait for a client: a day of one message every 10 s. Then the oldest fall out.
const MAX_QUEUE: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_client: BTreeMap<String, Session>,
    retained: BTreeMap<String, Publish>,
    pub(super) counts: Counts,
    swallow: u32,
    ignore: u32,
    last_seat: u64,
}

#[derive(Debug, Default)]
struct Session {
    filters: BTreeMap<String, QoS>,
    /// A packet id of 0 = never sent.
    waiting: VecDeque<Publish>,
    unacknowledged: VecDeque<Publish>,
    last_pkid: u16,
    is_kept: bool,
    seat: Option<Seat>,
}

/// A connection's place in its session.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    client: String,
    number: u64,
    /// Something waits to be sent.
    pub(super) wake: Arc<Notify>,
    /// The broker cuts the connection.
    pub(super) closed: CancellationToken,
}

impl Sessions {
    /// Opens or takes up the client's session; an older connection of the same client is cut.
    pub(super) fn enter(&mut self, connect: &Connect) -> (Option<Seat>, ConnAck) {
        if connect.client_id.is_empty() && !connect.clean_session {
            return (None, refused(ConnectReturnCode::BadClientId));
        }
        self.last_seat += 1;
        let seat = Seat {
            client: if connect.client_id.is_empty() {
                format!("nameless-{}", self.last_seat)
            } else {
                connect.client_id.clone()
            },
            number: self.last_seat,
            wake: Arc::default(),
            closed: CancellationToken::new(),
        };
        let mut session = self.by_client.remove(&seat.client).unwrap_or_default();
        if let Some(older) = session.seat.take() {
            older.closed.cancel();
        }
        let is_present = session.is_kept && !connect.clean_session;
        if !is_present {
            session = Session::default();
        }
        session.is_kept = !connect.clean_session;
        session.send_again();
        session.seat = Some(seat.clone());
        self.by_client.insert(seat.client.clone(), session);
        self.counts.connected += 1;
        (Some(seat), ConnAck::new(ConnectReturnCode::Success, is_present))
    }

    /// The connection has ended: its session stays if it is kept.
    pub(super) fn leave(&mut self, seat: &Seat) {
        let Some(session) = self.session(seat) else { return };
        session.seat = None;
        if !session.is_kept {
            self.by_client.remove(&seat.client);
        }
    }

    /// The session of a seat, unless another connection sits in it by now.
    fn session(&mut self, seat: &Seat) -> Option<&mut Session> {
        let session = self.by_client.get_mut(&seat.client)?;
        let is_own = session.seat.as_ref().is_some_and(|own| own.number == seat.number);
        is_own.then_some(session)
    }

    /// What may be sent now.
    pub(super) fn outgoing(&mut self, seat: &Seat) -> Vec<Publish> {
        let Some(session) = self.session(seat) else {
            return Vec::new();
        };
        let outgoing = session.outgoing();
        self.counts.delivered += outgoing.len() as u64;
        self.counts.redelivered += outgoing.iter().filter(|publish| publish.dup).count() as u64;
        outgoing
    }

    /// Takes a packet of the client and says what to answer.
    pub(super) fn take(&mut self, seat: &Seat, packet: Packet) -> Result<Option<Packet>, LinkError> {
        match packet {
            Packet::Publish(publish) => self.take_publish(&publish),
            Packet::PubAck(PubAck { pkid, .. }) => {
                self.take_acknowledgement(seat, pkid);
                Ok(None)
            }
            Packet::Subscribe(subscribe) => Ok(Some(self.subscribe(seat, subscribe))),
            Packet::Unsubscribe(unsubscribe) => {
                if let Some(session) = self.session(seat) {
                    session.filters.retain(|filter, _| !unsubscribe.topics.contains(filter));
                }
                Ok(Some(Packet::UnsubAck(UnsubAck::new(unsubscribe.pkid))))
            }
            Packet::PingReq => Ok(Some(Packet::PingResp)),
            Packet::Connect(_) => Err(LinkError::OutOfPlace("a second CONNECT")),
            Packet::PubRec(_) | Packet::PubRel(_) | Packet::PubComp(_) => {
                Err(LinkError::OutOfPlace("a packet of QoS 2"))
            }
            _ => Err(LinkError::OutOfPlace("a packet that only brokers send")),
        }
    }

    fn take_publish(&mut self, publish: &Publish) -> Result<Option<Packet>, LinkError> {
        if publish.qos == QoS::ExactlyOnce {
            return Err(LinkError::OutOfPlace("a message of QoS 2"));
        }
        self.counts.published += 1;
        self.deliver(publish);
        if publish.qos == QoS::AtMostOnce {
            return Ok(None);
        }
        if self.swallow > 0 {
            self.swallow -= 1;
            return Ok(None);
        }
        Ok(Some(Packet::PubAck(PubAck::new(publish.pkid))))
    }

    fn take_acknowledgement(&mut self, seat: &Seat, pkid: u16) {
        if self.ignore > 0 {
            self.ignore -= 1;
            return;
        }
        self.counts.acknowledged += 1;
        if let Some(session) = self.session(seat) {
            session.unacknowledged.retain(|publish| publish.pkid != pkid);
        }
    }

    /// Brings a message to every session that wants it, and keeps it where it is to be retained.
    pub(super) fn deliver(&mut self, publish: &Publish) {
        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
        if publish.retain && publish.payload.is_empty() {
            self.retained.remove(&topic);
        } else if publish.retain {
            self.retained.insert(topic.clone(), publish.clone());
        }
        for session in self.by_client.values_mut() {
            let wanted = session.filters.iter().filter(|(filter, _)| matches(&topic, filter));
            if let Some(qos) = wanted.map(|(_, qos)| *qos).max_by_key(|qos| *qos as u8) {
                let copy = copy_for(publish, qos, Freshness::New);
                self.counts.dropped += session.push(copy);
            }
        }
    }

    fn subscribe(&mut self, seat: &Seat, subscribe: Subscribe) -> Packet {
        let mut return_codes = Vec::new();
        for filter in subscribe.filters {
            if !valid_filter(&filter.path) {
                return_codes.push(SubscribeReasonCode::Failure);
                continue;
            }
            let qos = at_most_one(filter.qos);
            return_codes.push(SubscribeReasonCode::Success(qos));
            let retained: Vec<Publish> = self
                .retained
                .iter()
                .filter(|(topic, _)| matches(topic, &filter.path))
                .map(|(_, publish)| copy_for(publish, qos, Freshness::Retained))
                .collect();
            let Some(session) = self.session(seat) else { continue };
            session.filters.insert(filter.path, qos);
            let dropped: u64 = retained.into_iter().map(|publish| session.push(publish)).sum();
            self.counts.dropped += dropped;
        }
        Packet::SubAck(SubAck::new(subscribe.pkid, return_codes))
    }

    pub(super) fn misbehave(&mut self, fault: Fault) {
        match fault {
            Fault::SwallowPubAcks(n) => self.swallow = n,
            Fault::IgnorePubAcks(n) => self.ignore = n,
            Fault::DropConnections => self.cut(),
            Fault::ForgetSessions => {
                self.cut();
                self.by_client.clear();
            }
        }
    }

    fn cut(&self) {
        let seats = self.by_client.values().filter_map(|session| session.seat.as_ref());
        seats.for_each(|seat| seat.closed.cancel());
    }
}

impl Session {
    /// Queues a message; says how many fell out.
    fn push(&mut self, publish: Publish) -> u64 {
        if self.seat.is_none() && publish.qos == QoS::AtMostOnce {
            return 0; // QoS 0 is for those who are there
        }
        self.waiting.push_back(publish);
        if let Some(seat) = &self.seat {
            seat.wake.notify_one();
        }
        if self.waiting.len() > MAX_QUEUE {
            self.waiting.pop_front();
            return 1;
        }
        0
    }

    /// After a reconnection: what was sent and not acknowledged goes first, marked, under its old packet id.
    fn send_again(&mut self) {
        while let Some(mut publish) = self.unacknowledged.pop_back() {
            publish.dup = true;
            self.waiting.push_front(publish);
        }
    }

    fn outgoing(&mut self) -> Vec<Publish> {
        let mut outgoing = Vec::new();
        while self.unacknowledged.len() < MAX_UNACKNOWLEDGED
            && let Some(mut publish) = self.waiting.pop_front()
        {
            if publish.qos == QoS::AtLeastOnce {
                if publish.pkid == 0 {
                    publish.pkid = self.free_pkid();
                }
                self.unacknowledged.push_back(publish.clone());
            }
            outgoing.push(publish);
        }
        outgoing
    }

    fn free_pkid(&mut self) -> u16 {
        loop {
            self.last_pkid = self.last_pkid.checked_add(1).unwrap_or(1);
            let mut in_use = self.unacknowledged.iter().chain(&self.waiting);
            if in_use.all(|publish| publish.pkid != self.last_pkid) {
                return self.last_pkid;
            }
        }
    }
}

/// Whether a message comes as it is published or because it was retained.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Freshness {
    New,
    Retained,
}

/// A subscriber's own copy of a message.
fn copy_for(publish: &Publish, granted: QoS, freshness: Freshness) -> Publish {
    let mut copy = publish.clone();
    copy.dup = false;
    copy.pkid = 0;
    copy.retain = freshness == Freshness::Retained;
    copy.qos = if at_most_one(publish.qos) == QoS::AtMostOnce {
        QoS::AtMostOnce
    } else {
        granted
    };
    copy
}

fn at_most_one(qos: QoS) -> QoS {
    if qos == QoS::AtMostOnce {
        QoS::AtMostOnce
    } else {
        QoS::AtLeastOnce
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::Unsubscribe;

    use super::*;

    fn enter(sessions: &mut Sessions, client: &str, is_clean: IsClean) -> (Seat, bool) {
        let mut connect = Connect::new(client);
        connect.clean_session = is_clean == IsClean::Yes;
        let (seat, answer) = sessions.enter(&connect);
        (seat.unwrap(), answer.session_present)
    }

    #[derive(Clone, Copy, PartialEq)]
    enum IsClean {
        Yes,
        No,
    }

    fn subscribe(sessions: &mut Sessions, seat: &Seat, filter: &str, qos: QoS) -> Packet {
        sessions
            .take(seat, Packet::Subscribe(Subscribe::new(filter, qos)))
            .unwrap()
            .unwrap()
    }

    fn payloads(publishes: &[Publish]) -> Vec<&str> {
        publishes
            .iter()
            .map(|publish| str::from_utf8(&publish.payload).unwrap())
            .collect()
    }

    #[test]
    fn each_client_gets_a_message_once_at_the_lesser_quality() {
        use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
        let check = |filters: &[(&str, QoS)], published: QoS, wanted: Option<QoS>| {
            let mut sessions = Sessions::default();
            let (seat, _) = enter(&mut sessions, "a", IsClean::Yes);
            for &(filter, qos) in filters {
                subscribe(&mut sessions, &seat, filter, qos);
            }
            sessions.deliver(&Publish::new("hall/1/kw", published, "1"));
            let got: Vec<QoS> = sessions.outgoing(&seat).iter().map(|publish| publish.qos).collect();
            assert_eq!(got, wanted.into_iter().collect::<Vec<_>>(), "{filters:?}");
        };
        check(&[("hall/#", AtLeastOnce)], AtLeastOnce, Some(AtLeastOnce));
        check(
            &[("hall/#", AtMostOnce), ("hall/+/kw", ExactlyOnce)],
            AtLeastOnce,
            Some(AtLeastOnce),
        );
        check(&[("hall/1/kw", AtLeastOnce)], AtMostOnce, Some(AtMostOnce));
        check(&[("hall/+", AtLeastOnce)], AtLeastOnce, None);
    }

    #[test]
    fn a_second_connection_of_a_client_takes_the_place_of_the_first() {
        let mut sessions = Sessions::default();
        let (first, _) = enter(&mut sessions, "a", IsClean::No);
        subscribe(&mut sessions, &first, "t", QoS::AtLeastOnce);
        let (second, is_present) = enter(&mut sessions, "a", IsClean::No);
        assert!(is_present && first.closed.is_cancelled() && !second.closed.is_cancelled());
        sessions.leave(&first);
        sessions.deliver(&Publish::new("t", QoS::AtLeastOnce, "1"));
        assert!(sessions.outgoing(&first).is_empty());
        assert_eq!(payloads(&sessions.outgoing(&second)), ["1"]);
    }

    #[test]
    fn a_kept_session_keeps_quality_one_only_and_a_clean_one_nothing() {
        let mut sessions = Sessions::default();
        let (seat, _) = enter(&mut sessions, "a", IsClean::No);
        subscribe(&mut sessions, &seat, "t", QoS::AtLeastOnce);
        sessions.leave(&seat);
        sessions.deliver(&Publish::new("t", QoS::AtLeastOnce, "kept"));
        sessions.deliver(&Publish::new("t", QoS::AtMostOnce, "lost"));
        let (seat, is_present) = enter(&mut sessions, "a", IsClean::No);
        assert!(is_present);
        assert_eq!(payloads(&sessions.outgoing(&seat)), ["kept"]);
        sessions.leave(&seat);
        let (seat, is_present) = enter(&mut sessions, "a", IsClean::Yes);
        assert!(!is_present && sessions.outgoing(&seat).is_empty());
    }

    #[test]
    fn an_unheard_acknowledgement_brings_the_message_again_under_its_id() {
        let mut sessions = Sessions::default();
        let (seat, _) = enter(&mut sessions, "a", IsClean::No);
        subscribe(&mut sessions, &seat, "t", QoS::AtLeastOnce);
        sessions.misbehave(Fault::IgnorePubAcks(1));
        sessions.deliver(&Publish::new("t", QoS::AtLeastOnce, "1"));
        let sent = sessions.outgoing(&seat);
        assert_eq!(
            sessions.take(&seat, Packet::PubAck(PubAck::new(sent[0].pkid))).unwrap(),
            None
        );
        let (seat, _) = enter(&mut sessions, "a", IsClean::No);
        let again = sessions.outgoing(&seat);
        assert_eq!((again[0].pkid, again[0].dup), (sent[0].pkid, true));
        assert_eq!((sessions.counts.acknowledged, sessions.counts.redelivered), (0, 1));
    }

    #[test]
    fn a_full_queue_loses_its_oldest_and_counts_it() {
        let mut sessions = Sessions::default();
        let (seat, _) = enter(&mut sessions, "a", IsClean::No);
        subscribe(&mut sessions, &seat, "t", QoS::AtLeastOnce);
        sessions.leave(&seat);
        for number in 0..MAX_QUEUE + 3 {
            sessions.deliver(&Publish::new("t", QoS::AtLeastOnce, number.to_string()));
        }
        let (seat, _) = enter(&mut sessions, "a", IsClean::No);
        let sent = sessions.outgoing(&seat);
        assert_eq!((sent.len(), sessions.counts.dropped), (MAX_UNACKNOWLEDGED, 3));
        assert_eq!(payloads(&sent[..1]), ["3"]);
    }

    #[test]
    fn what_has_no_place_ends_the_connection() {
        let mut sessions = Sessions::default();
        let (seat, _) = enter(&mut sessions, "a", IsClean::Yes);
        let mut check = |packet: Packet| assert!(sessions.take(&seat, packet).is_err());
        check(Packet::Connect(Connect::new("a")));
        check(Packet::PingResp);
        check(Packet::Publish(Publish::new("t", QoS::ExactlyOnce, "1")));
        let refused = subscribe(&mut sessions, &seat, "a/#/b", QoS::AtLeastOnce);
        assert_eq!(
            refused,
            Packet::SubAck(SubAck::new(0, vec![SubscribeReasonCode::Failure]))
        );
        subscribe(&mut sessions, &seat, "t", QoS::AtLeastOnce);
        sessions
            .take(&seat, Packet::Unsubscribe(Unsubscribe::new("t")))
            .unwrap();
        sessions.deliver(&Publish::new("t", QoS::AtLeastOnce, "1"));
        assert!(sessions.outgoing(&seat).is_empty());
        let nameless = Connect {
            clean_session: false,
            ..Connect::new("")
        };
        assert!(sessions.enter(&nameless).0.is_none());
    }
}
