//! The client library for MQTT 3.1.1 and its sibling for MQTT 5 behind one face.
//!
//! It decides nothing: what is subscribed to, kept and acknowledged is the caller's matter. Invariants: the broker keeps
//! our session while we are away; nothing is acknowledged by itself; a message larger than [`LARGEST_PACKET`] is never
//! read, and no more than the window are unacknowledged.

use std::{
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use rumqttc::NetworkOptions;
use rustls::ClientConfig;

use super::{Config, Version, tls};

/// Time for a connection including TLS and CONNACK: slow gateways take more than 5 s for a TLS handshake.
const CONNECT_WITHIN_S: u64 = 15;

/// The largest packet the client reads at all. What is larger than [`super::MAX_MESSAGE_BYTES`] but fits in here costs
/// only itself. What is larger still a broker of MQTT 5 keeps to itself; one of MQTT 3.1.1 sends it, and it costs the
/// session, for the library ends the connection and the broker repeats it.
pub(super) const LARGEST_PACKET: u32 = 16 << 20;

/// Requests on their way to the connection beside the acknowledgements of a window: subscriptions and what we say.
const OTHER_REQUESTS: usize = 64;

/// What we say of ourselves under the status topic, retained.
const ONLINE: &str = "online";
const OFFLINE: &str = "offline";

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    /// Its number in this session; 0 where it needs no acknowledgement.
    pub(super) pkid: u16,
    /// Sent before, and not acknowledged.
    pub(super) is_repeated: bool,
    /// An old one that the broker kept for newcomers.
    pub(super) is_retained: bool,
}

impl Message {
    /// Whether the broker delivers it again until it is acknowledged.
    pub(super) fn is_promised(&self) -> bool {
        self.pkid != 0
    }
}

/// What happens on the connection.
#[derive(Debug)]
pub(super) enum Heard {
    /// A new connection.
    Connected { session_present: bool },
    /// Whether each topic was granted, in the order asked for.
    Subscribed(Vec<bool>),
    /// A message.
    Message(Message),
    /// Nothing that matters here.
    Nothing,
}

/// Why the connection has ended.
#[derive(Debug)]
pub(super) enum Lost {
    /// We said goodbye.
    Done,
    /// A packet was larger than [`LARGEST_PACKET`].
    TooLarge(String),
    /// Anything else.
    Other(String),
}

/// The half that sends; cheap to clone.
#[derive(Clone)]
pub(super) enum Client {
    V3(rumqttc::AsyncClient),
    V5(rumqttc_v5::AsyncClient),
}

/// The half that must be polled.
pub(super) enum Events {
    V3(Box<rumqttc::EventLoop>),
    V5(Box<rumqttc_v5::EventLoop>),
}

/// The client has ended, or its queue is full.
#[derive(Debug)]
pub(super) struct Refused(String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn refused(error: impl std::fmt::Display) -> Refused {
    Refused(error.to_string())
}

/// A client for this broker; it connects when it is polled.
pub(super) fn open(config: &Config) -> Result<(Client, Events), tls::OptionsError> {
    if config.client_id.is_empty() {
        return Err(tls::OptionsError::ClientId {
            broker: config.name.clone(),
        });
    }
    let tls = tls::client(config)?.map(Arc::new);
    let requests = 2 * usize::from(config.window) + OTHER_REQUESTS;
    Ok(match config.version {
        Version::V3 => {
            let (client, mut events) = rumqttc::AsyncClient::builder(v3(config, tls))
                .capacity(requests)
                .build();
            events.set_network_options(network_options());
            (Client::V3(client), Events::V3(Box::new(events)))
        }
        Version::V5 => {
            let (client, events) = rumqttc_v5::AsyncClient::builder(v5(config, tls))
                .capacity(requests)
                .build();
            (Client::V5(client), Events::V5(Box::new(events)))
        }
    })
}

fn network_options() -> NetworkOptions {
    let mut options = NetworkOptions::new();
    options.set_tcp_nodelay(true);
    options.set_connection_timeout(CONNECT_WITHIN_S);
    options
}

fn keep_alive_s(config: &Config) -> u16 {
    u16::try_from(config.keep_alive.as_secs()).unwrap_or(u16::MAX)
}

fn v3(config: &Config, tls: Option<Arc<ClientConfig>>) -> rumqttc::MqttOptions {
    use rumqttc::{AckMode, LastWill, MqttOptions, QoS, TlsConfiguration, Transport};
    let mut options = MqttOptions::new(&*config.client_id, (config.url.host.as_str(), config.url.port));
    options
        .set_clean_session(false)
        .set_ack_mode(AckMode::Manual)
        .set_keep_alive(keep_alive_s(config))
        .set_max_packet_size(LARGEST_PACKET as usize, LARGEST_PACKET as usize)
        // One packet a poll: no message of an old connection is left to be heard after the next one has begun.
        .set_read_batch_size(1);
    match (&config.username, &config.password) {
        (Some(user), Some(password)) => {
            options.set_credentials(user, password.expose().as_bytes().to_vec());
        }
        (Some(user), None) => {
            options.set_username(user);
        }
        (None, _) => {}
    }
    if let Some(topic) = &config.status_topic {
        options.set_last_will(LastWill::new(topic, OFFLINE, QoS::AtLeastOnce, true));
    }
    if let Some(tls) = tls {
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
    }
    options
}

fn v5(config: &Config, tls: Option<Arc<ClientConfig>>) -> rumqttc_v5::MqttOptions {
    use rumqttc_v5::{AckMode, LastWill, MqttOptions, QoS, SessionMode, TlsConfiguration, Transport};
    let mut options = MqttOptions::new(&*config.client_id, (config.url.host.as_str(), config.url.port));
    options
        .set_session_mode(SessionMode::Persistent)
        .set_session_store(NothingOnItsWay)
        .set_ack_mode(AckMode::Manual)
        .set_keep_alive(keep_alive_s(config))
        .set_max_packet_size(Some(LARGEST_PACKET))
        .set_receive_maximum(Some(config.window))
        .set_connect_timeout(Duration::from_secs(CONNECT_WITHIN_S))
        .set_network_options(network_options())
        .set_read_batch_size(1); // as for 3.1.1
    match (&config.username, &config.password) {
        (Some(user), Some(password)) => {
            options.set_credentials(user, password.expose().as_bytes().to_vec());
        }
        (Some(user), None) => {
            options.set_username(user);
        }
        (None, _) => {}
    }
    if let Some(topic) = &config.status_topic {
        options.set_last_will(LastWill::new(topic, OFFLINE, QoS::AtLeastOnce, true, None));
    }
    if let Some(tls) = tls {
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
    }
    options
}

/// What the library for MQTT 5 wants to know of a session that it did not begin itself: that nothing of ours was on its
/// way. Without this it takes what the broker kept for us, but sends no subscription on that connection.
#[derive(Debug)]
struct NothingOnItsWay;

type Stored<'a, T> = Pin<Box<dyn Future<Output = Result<T, rumqttc_v5::SessionStoreError>> + Send + 'a>>;

impl rumqttc_v5::SessionStore for NothingOnItsWay {
    fn load<'a>(&'a self, key: &'a rumqttc_v5::SessionStoreKey) -> Stored<'a, Option<rumqttc_v5::PersistedSession>> {
        let session = rumqttc_v5::PersistedSession {
            format_version: 1,
            client_id: key.client_id().to_owned(),
            clean_start: false,
            session_expiry_interval: Some(u32::MAX),
            outgoing_inflight_upper_limit: None,
            ack_mode: rumqttc_v5::PersistedAckMode::Manual,
            last_pkid: 0,
            last_puback: 0,
            replay: vec![],
            incoming_qos2: vec![],
        };
        Box::pin(ready(Ok(Some(session))))
    }

    fn save<'a>(&'a self, _: &'a rumqttc_v5::SessionStoreKey, _: &'a rumqttc_v5::PersistedSession) -> Stored<'a, ()> {
        Box::pin(ready(Ok(())))
    }

    fn clear<'a>(&'a self, _: &'a rumqttc_v5::SessionStoreKey) -> Stored<'a, ()> {
        Box::pin(ready(Ok(())))
    }
}

impl Client {
    /// Acknowledges a message of the present connection.
    pub(super) async fn acknowledge(&self, pkid: u16) -> Result<(), Refused> {
        match self {
            Self::V3(client) => {
                let ack = rumqttc::ManualAck::PubAck(rumqttc::PubAck::new(pkid));
                client.manual_ack(ack).await.map_err(refused)
            }
            Self::V5(client) => {
                let ack = rumqttc_v5::ManualAck::PubAck(rumqttc_v5::PubAck::new(pkid, None));
                client.manual_ack(ack).await.map_err(refused)
            }
        }
    }

    /// Asks for the messages under these filters, each delivered at least once.
    pub(super) fn subscribe<'a>(&self, filters: impl Iterator<Item = &'a str>) -> Result<(), Refused> {
        match self {
            Self::V3(client) => {
                let wanted =
                    filters.map(|filter| rumqttc::SubscribeFilterInput::new(filter, rumqttc::QoS::AtLeastOnce));
                client.try_subscribe_many(wanted).map_err(refused)
            }
            Self::V5(client) => {
                use rumqttc_v5::{QoS, RetainForwardRule, SubscribeFilterInput};
                // Retained messages come once, not at every new connection.
                let wanted = filters.map(|filter| {
                    SubscribeFilterInput::new(filter, QoS::AtLeastOnce)
                        .retain_forward_rule(RetainForwardRule::OnNewSubscribe)
                });
                client.try_subscribe_many(wanted).map_err(refused)
            }
        }
    }

    /// Gives up a subscription that an earlier configuration had.
    pub(super) fn unsubscribe(&self, filter: &str) -> Result<(), Refused> {
        match self {
            Self::V3(client) => client.try_unsubscribe(filter).map_err(refused),
            Self::V5(client) => client.try_unsubscribe(filter).map_err(refused),
        }
    }

    /// Says under the status topic that we are here; the last will says the contrary.
    pub(super) fn say_online(&self, topic: &str) -> Result<(), Refused> {
        self.say(topic, ONLINE)
    }

    /// Says that we are going, which the last will does not say after a goodbye.
    pub(super) fn say_offline(&self, topic: &str) -> Result<(), Refused> {
        self.say(topic, OFFLINE)
    }

    fn say(&self, topic: &str, status: &'static str) -> Result<(), Refused> {
        match self {
            Self::V3(client) => {
                let how = rumqttc::PublishOptions::at_least_once().retained();
                client.try_publish(topic, status, how).map_err(refused)
            }
            Self::V5(client) => {
                let how = rumqttc_v5::PublishOptions::at_least_once().retained();
                client.try_publish(topic, status, how).map_err(refused)
            }
        }
    }

    /// Sends an edge node the request for its births; the specification wants QoS 0.
    pub(super) fn ask_for_births(&self, topic: String, payload: Vec<u8>) -> Result<(), Refused> {
        match self {
            Self::V3(client) => client
                .try_publish(topic, payload, rumqttc::PublishOptions::at_most_once())
                .map_err(refused),
            Self::V5(client) => client
                .try_publish(topic, payload, rumqttc_v5::PublishOptions::at_most_once())
                .map_err(refused),
        }
    }

    /// Says goodbye once what is on its way has left.
    pub(super) fn say_goodbye(&self) -> Result<(), Refused> {
        match self {
            Self::V3(client) => client.try_disconnect().map_err(refused),
            Self::V5(client) => client.try_disconnect().map_err(refused),
        }
    }
}

impl Events {
    /// Connects if need be, and waits for what comes next. Dropped half-way, the connection must be dropped too.
    pub(super) async fn next(&mut self) -> Result<Heard, Lost> {
        match self {
            Self::V3(events) => events.poll().await.map(heard_v3).map_err(|error| lost_v3(&error)),
            Self::V5(events) => events.poll().await.map(heard_v5).map_err(|error| lost_v5(&error)),
        }
    }

    /// Drops the connection.
    pub(super) fn hang_up(&mut self) {
        match self {
            Self::V3(events) => events.clean(),
            Self::V5(events) => events.clean(),
        }
    }

    /// The next connection gives the session up, with all that the broker keeps for us.
    pub(super) fn give_session_up(&mut self) {
        match self {
            Self::V3(events) => drop(events.mqtt_options.set_clean_session(true)),
            Self::V5(events) => drop(events.options.set_clean_start(true)),
        }
    }

    /// Whether this connection only gives the session up; the next one does not.
    pub(super) fn has_given_up(&mut self) -> bool {
        match self {
            Self::V3(events) => {
                let has = events.mqtt_options.clean_session();
                events.mqtt_options.set_clean_session(false);
                has
            }
            Self::V5(events) => {
                let has = events.options.clean_start();
                events.options.set_clean_start(false);
                has
            }
        }
    }
}

/// What an event of the library says; both versions of the protocol name their parts alike.
macro_rules! heard {
    ($name:ident, $library:ident) => {
        fn $name(event: $library::Event) -> Heard {
            use $library::{Event, Packet, QoS, SubscribeReasonCode};
            match event {
                Event::Incoming(Packet::ConnAck(answer)) => Heard::Connected {
                    session_present: answer.session_present,
                },
                Event::Incoming(Packet::SubAck(answer)) => {
                    let granted = answer
                        .return_codes
                        .iter()
                        .map(|code| matches!(code, SubscribeReasonCode::Success(_)));
                    Heard::Subscribed(granted.collect())
                }
                Event::Incoming(Packet::Publish(publish)) => Heard::Message(Message {
                    topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                    payload: publish.payload,
                    pkid: if publish.qos == QoS::AtMostOnce {
                        0
                    } else {
                        publish.pkid
                    },
                    is_repeated: publish.dup,
                    is_retained: publish.retain,
                }),
                _ => Heard::Nothing,
            }
        }
    };
}

heard!(heard_v3, rumqttc);
heard!(heard_v5, rumqttc_v5);

fn not_admitted(code: &impl std::fmt::Debug) -> String {
    format!("the broker refuses us: {code:?}; check username, password_file and the broker's access rules")
}

fn lost_v3(error: &rumqttc::ConnectionError) -> Lost {
    use rumqttc::{ConnectionError, Error, StateError};
    match error {
        ConnectionError::RequestsDone => Lost::Done,
        ConnectionError::MqttState(StateError::Deserialization(Error::PayloadSizeLimitExceeded(_))) => {
            Lost::TooLarge(error.to_string())
        }
        ConnectionError::ConnectionRefused(code) => Lost::Other(not_admitted(code)),
        _ => Lost::Other(error.to_string()),
    }
}

fn lost_v5(error: &rumqttc_v5::ConnectionError) -> Lost {
    use rumqttc_v5::{ConnectionError, StateError};
    match error {
        ConnectionError::RequestsDone => Lost::Done,
        ConnectionError::MqttState(StateError::IncomingPacketTooLarge { .. }) => Lost::TooLarge(error.to_string()),
        ConnectionError::ConnectionRefused(code) => Lost::Other(not_admitted(code)),
        _ => Lost::Other(error.to_string()),
    }
}
