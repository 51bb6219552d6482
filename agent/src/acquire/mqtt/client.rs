//! The connection to one broker: open it, subscribe, keep it, open it again. Messages go to the [`Desk`].
//!
//! It reads no payload and acknowledges nothing. Invariants: it subscribes on every connection; it waits, longer each
//! time, after every error; the broker keeps our session while we are away (MQTT 3.1.1, clean session off, QoS 1).

use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rumqttc::{
    AckMode, AsyncClient, ConnAck, ConnectionError, Event, EventLoop, MqttOptions, NetworkOptions, Packet, QoS,
    StateError, SubAck, SubscribeFilterInput, SubscribeReasonCode, TlsConfiguration, Transport,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    Config, Trust,
    desk::{Arrival, Desk, Line, WINDOW},
};
use crate::{
    acquire::{Backoff, Intake},
    clock::Clock,
    health::{Counter, Health},
};

/// Keep-alive: a broker that is cut off without a word is noticed within a minute.
const KEEP_ALIVE_S: u16 = 30;

/// Time for a connection including TLS and CONNACK: slow gateways take more than 5 s for a TLS handshake.
const CONNECT_WITHIN_S: u64 = 15;

/// The largest packet the client reads at all. What is larger than [`super::MAX_MESSAGE_BYTES`] but fits in here costs
/// only itself; what is larger still costs the session, for the library ends the connection and the broker repeats it.
const LARGEST_PACKET: usize = 16 << 20;

/// Requests on their way to the connection: all acknowledgements of a window twice over, and a subscription.
const REQUESTS: usize = 2 * WINDOW + 1;

/// Wait between attempts to connect; a broker that restarts is back within seconds, and 30 s spare its log.
const CONNECT_REST: Backoff = Backoff {
    first: Duration::from_millis(500),
    cap: Duration::from_secs(30),
};

/// How long the goodbye may take.
const DISCONNECT_WITHIN: Duration = Duration::from_secs(1);

/// Why a broker cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// Without a name the broker keeps no session.
    #[error("broker {broker:?}: client_id is empty; give each agent its own, the broker keeps messages under it")]
    ClientId {
        /// The broker.
        broker: String,
    },
    /// The file with the plant's authority cannot be used.
    #[error("broker {broker:?}: no certificate authority read from {path:?}: {why}; a PEM file is wanted")]
    CaFile {
        /// The broker.
        broker: String,
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        why: String,
    },
    /// The TLS library refused.
    #[error("broker {broker:?}: TLS cannot be set up: {why}")]
    Tls {
        /// The broker.
        broker: String,
        /// What it said.
        why: String,
    },
}

/// Whether this broker can be used as configured; reads the CA file.
pub fn check(config: &Config) -> Result<(), OptionsError> {
    options(config).map(drop)
}

/// Takes messages from one broker until `stop` is cancelled.
///
/// Counts `mqtt_messages_total{broker}`, `connects_total{broker,result}`, `mqtt_subscriptions_total{broker}`,
/// `mqtt_sessions_lost_total{broker}` and
/// `dropped_total{part="mqtt",reason}`.
pub async fn run(config: Config, clock: Clock, intake: Intake, health: Health, stop: CancellationToken) {
    let options = match options(&config) {
        Ok(options) => options,
        Err(refused) => return error!("{refused}"),
    };
    let (client, mut eventloop) = AsyncClient::builder(options).capacity(REQUESTS).build();
    eventloop.set_network_options(network_options());
    let (to_desk, mut arrivals) = mpsc::channel(WINDOW);
    let line = Arc::new(Line::default());
    let mut desk = Desk::new(&config, client.clone(), Arc::clone(&line), intake, health.clone());
    let mut connection = Connection {
        counts: Counts::new(&config.name, &health),
        broker: config.name,
        filters: config.meters.into_iter().map(|meter| meter.subscription).collect(),
        client: client.clone(),
        to_desk,
        clock,
        line,
        failures: 0,
    };
    let keeping = connection.keep(eventloop);
    tokio::pin!(keeping);
    tokio::select! {
        () = &mut keeping => return,
        () = desk.work(&mut arrivals, &stop) => {}
    }
    drop(arrivals);
    if client.try_disconnect().is_ok() {
        // The goodbye is a courtesy; the broker keeps the session either way.
        drop(timeout(DISCONNECT_WITHIN, keeping).await);
    }
}

struct Connection {
    broker: String,
    filters: BTreeSet<String>,
    client: AsyncClient,
    to_desk: mpsc::Sender<Arrival>,
    clock: Clock,
    line: Arc<Line>,
    failures: u32,
    counts: Counts,
}

struct Counts {
    messages: Counter,
    connected: Counter,
    failed: Counter,
    subscribed: Counter,
    sessions_lost: Counter,
    too_large: Counter,
}

impl Counts {
    fn new(broker: &str, health: &Health) -> Self {
        let connects = |result| health.counter("connects_total", &[("broker", broker), ("result", result)]);
        Self {
            messages: health.counter("mqtt_messages_total", &[("broker", broker)]),
            connected: connects("ok"),
            failed: connects("failed"),
            subscribed: health.counter("mqtt_subscriptions_total", &[("broker", broker)]),
            sessions_lost: health.counter("mqtt_sessions_lost_total", &[("broker", broker)]),
            too_large: health.dropped("mqtt", "too_large_session_given_up"),
        }
    }
}

impl Connection {
    /// Keeps the connection up; ends after the goodbye or when the desk is gone.
    async fn keep(&mut self, mut eventloop: EventLoop) {
        loop {
            let line = Arc::clone(&self.line);
            let event = tokio::select! {
                event = eventloop.poll() => event,
                // Dropping a poll half-way is safe here only because the connection goes with it.
                () = line.renew.notified() => {
                    eventloop.clean();
                    self.rest("a sample was not stored").await;
                    continue;
                }
            };
            match event {
                Ok(Event::Incoming(Packet::ConnAck(_))) if eventloop.mqtt_options.clean_session() => {
                    // Connected only to give the session up; now the real one.
                    eventloop.mqtt_options.set_clean_session(false);
                    eventloop.clean();
                    self.line.ended.fetch_add(1, Ordering::AcqRel);
                }
                Ok(event) => {
                    if self.hear(event).await.is_err() {
                        return;
                    }
                }
                Err(ConnectionError::RequestsDone) => return,
                Err(error) => {
                    if is_too_large(&error) {
                        self.counts.too_large.one();
                        eventloop.mqtt_options.set_clean_session(true);
                    }
                    self.rest(&error.to_string()).await;
                }
            }
        }
    }

    /// Fails when the desk is gone.
    async fn hear(&mut self, event: Event) -> Result<(), mpsc::error::SendError<Arrival>> {
        match event {
            Event::Incoming(Packet::ConnAck(answer)) => self.begin(&answer).await,
            Event::Incoming(Packet::SubAck(answer)) => {
                self.subscribed(&answer);
                Ok(())
            }
            Event::Incoming(Packet::Publish(publish)) => {
                self.counts.messages.one();
                let at = self.clock.now();
                self.to_desk.send(Arrival::Published { publish, at }).await
            }
            _ => Ok(()),
        }
    }

    async fn begin(&mut self, answer: &ConnAck) -> Result<(), mpsc::error::SendError<Arrival>> {
        if self.counts.connected.get() > 0 && !answer.session_present {
            self.counts.sessions_lost.one();
            warn!(
                broker = self.broker,
                "the broker has forgotten our session: what it held for us is lost"
            );
        }
        self.counts.connected.one();
        let wanted = self
            .filters
            .iter()
            .map(|filter| SubscribeFilterInput::new(filter.as_str(), QoS::AtLeastOnce));
        if let Err(error) = self.client.try_subscribe_many(wanted) {
            error!(broker = self.broker, %error, "the topics could not be subscribed to; check them in the configuration");
        }
        self.to_desk
            .send(Arrival::Connected {
                connection: self.line.ended.load(Ordering::Acquire) + 1,
                session_present: answer.session_present,
            })
            .await
    }

    fn subscribed(&mut self, answer: &SubAck) {
        for (filter, code) in self.filters.iter().zip(&answer.return_codes) {
            if *code == SubscribeReasonCode::Failure {
                error!(
                    broker = self.broker,
                    filter, "the broker refuses this topic; check its access rules"
                );
            }
        }
        if self.failures > 0 {
            info!(
                broker = self.broker,
                attempts = self.failures + 1,
                "broker connected again"
            );
        }
        self.counts.subscribed.one();
        self.failures = 0; // only now: a broker that accepts and drops must not be hammered
    }

    async fn rest(&mut self, why: &str) {
        self.line.ended.fetch_add(1, Ordering::AcqRel);
        self.counts.failed.one();
        self.failures = self.failures.saturating_add(1);
        let rest = CONNECT_REST.after(self.failures, &self.broker);
        if self.failures == 1 {
            warn!(broker = self.broker, got = why, next_try = ?rest, "broker connection lost");
        }
        tokio::time::sleep(rest).await;
    }
}

fn is_too_large(error: &ConnectionError) -> bool {
    matches!(
        error,
        ConnectionError::MqttState(StateError::Deserialization(rumqttc::Error::PayloadSizeLimitExceeded(_)))
    )
}

fn network_options() -> NetworkOptions {
    let mut options = NetworkOptions::new();
    options.set_tcp_nodelay(true);
    options.set_connection_timeout(CONNECT_WITHIN_S);
    options
}

fn options(config: &Config) -> Result<MqttOptions, OptionsError> {
    if config.client_id.is_empty() {
        return Err(OptionsError::ClientId {
            broker: config.name.clone(),
        });
    }
    let mut options = MqttOptions::new(&*config.client_id, (config.url.host.as_str(), config.url.port));
    options
        .set_clean_session(false)
        .set_ack_mode(AckMode::Manual)
        .set_keep_alive(KEEP_ALIVE_S)
        .set_max_packet_size(LARGEST_PACKET, LARGEST_PACKET)
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
    if let Some(trust) = &config.url.tls {
        let tls = tls(&config.name, trust)?;
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(tls))));
    }
    Ok(options)
}

fn tls(broker: &str, trust: &Trust) -> Result<ClientConfig, OptionsError> {
    let roots = match trust {
        Trust::WebRoots => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
        Trust::CaFile(path) => ca_file(path).map_err(|error| OptionsError::CaFile {
            broker: broker.to_owned(),
            path: path.clone(),
            why: error.to_string(),
        })?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| OptionsError::Tls {
        broker: broker.to_owned(),
        why: error.to_string(),
    })?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn ca_file(path: &PathBuf) -> io::Result<RootCertStore> {
    let invalid = |error: String| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&std::fs::read(path)?) {
        let certificate = certificate.map_err(|error| invalid(error.to_string()))?;
        roots.add(certificate).map_err(|error| invalid(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(invalid("it holds no certificate".to_owned()));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acquire::mqtt::Url;

    fn config(client_id: &str, tls: Option<Trust>) -> Config {
        Config {
            name: "hall".into(),
            url: Url {
                host: "192.0.2.20".into(),
                port: 8883,
                tls,
            },
            client_id: client_id.into(),
            username: None,
            password: None,
            meters: vec![],
            dead_letters: None,
        }
    }

    #[test]
    fn a_broker_is_refused_with_what_is_wrong_about_it() {
        let folder = std::env::temp_dir().join(format!("wattwarden-ca-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let empty = folder.join("empty.pem");
        std::fs::write(&empty, "no certificate here\n").unwrap();
        for (client_id, tls, expected) in [
            ("ansan-1", None, None),
            ("ansan-1", Some(Trust::WebRoots), None),
            ("", None, Some("client_id is empty")),
            ("ansan-1", Some(Trust::CaFile(empty)), Some("it holds no certificate")),
            (
                "ansan-1",
                Some(Trust::CaFile(folder.join("absent.pem"))),
                Some("absent.pem"),
            ),
        ] {
            let refused = check(&config(client_id, tls)).err().map(|error| error.to_string());
            match expected {
                None => assert_eq!(refused, None),
                Some(part) => assert!(refused.as_ref().is_some_and(|text| text.contains(part)), "{refused:?}"),
            }
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_session_is_kept_and_nothing_is_acknowledged_by_itself() {
        let options = options(&config("ansan-1", None)).unwrap();
        assert!(!options.clean_session());
        assert_eq!(options.ack_mode(), AckMode::Manual);
        assert_eq!(options.max_packet_size(), LARGEST_PACKET);
    }
}
