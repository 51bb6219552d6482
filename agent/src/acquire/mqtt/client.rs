//! The connection to one broker: open it, subscribe, keep it, open it again. Messages go to the [`Desk`].
//!
//! It reads no payload and acknowledges nothing. Invariants: it subscribes on every connection; it waits, longer each
//! time, after every error; the broker keeps our session while we are away (QoS 1).

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    Config,
    desk::{Arrival, Desk, Ended},
    line::{Line, Topics},
    link::{self, Client, Events, Heard, Lost},
    reader::Reader,
    tls::{self, Files, OptionsError},
};
use crate::{
    acquire::{Backoff, Outlets, renewed},
    clock::{Clock, monotonic},
    health::{Counter, Health},
};

/// Wait between attempts to connect; a broker that restarts is back within seconds, and 30 s spare its log.
const CONNECT_REST: Backoff = Backoff {
    first: Duration::from_millis(500),
    cap: Duration::from_secs(30),
};

/// Messages between the connection and the desk: enough that neither waits for the other, few enough that large ones cost
/// little memory.
const ARRIVALS: usize = 32;

/// A connection that lasted for so long counts as one: a broker that accepts and drops must not be hammered.
const STEADY: Duration = Duration::from_secs(10);

/// So many connections in a row that did not last have a cause of their own, for people.
const DROPPED: u32 = 4;

/// How long the goodbye may take.
const DISCONNECT_WITHIN: Duration = Duration::from_secs(1);

/// Whether its certificates can be used.
pub fn check_certificates(config: &Config) -> Result<(), OptionsError> {
    tls::client(config).map(drop)
}

/// Whether the broker lets us in as configured, within so long of wall time; else why not. It connects by a client id of its
/// own, so that an agent which runs keeps its connection, and subscribes to nothing.
pub async fn reach(config: &Config, within: Duration) -> Result<(), String> {
    let visitor = Config {
        client_id: format!("{}-check", config.client_id),
        status_topic: None,
        ..config.clone()
    };
    let (client, mut events) = link::open(&visitor).map_err(|error| error.to_string())?;
    events.give_session_up();
    let connecting = async {
        loop {
            match events.next().await {
                Ok(Heard::Connected { .. }) => return Ok(()),
                Ok(_) => {}
                Err(Lost::TooLarge(why) | Lost::Other(why)) => return Err(why),
                Err(Lost::Done) => return Err("it ended".to_owned()),
            }
        }
    };
    let connected = timeout(within, connecting).await;
    connected.unwrap_or_else(|_| Err(format!("no connection within {within:?}")))?;
    if client.say_goodbye().is_ok() {
        let leaving = async { while events.next().await.is_ok() {} };
        timeout(DISCONNECT_WITHIN, leaving).await.ok(); // a broker that keeps us waiting has let us in
    }
    Ok(())
}

/// Takes messages from one broker until `stop` is cancelled. A new value of `settings` that changes its meters only is
/// taken up on the living connection; else it connects again, and the broker keeps what comes meanwhile. What is no longer
/// asked for is unsubscribed.
///
/// Counts `mqtt_messages_total{broker}`, `connects_total{broker,result}`, `mqtt_subscriptions_total{broker}`,
/// `mqtt_sessions_lost_total{broker}` and
/// `dropped_total{part="mqtt",reason}`.
pub async fn run(
    mut settings: watch::Receiver<Config>,
    clock: Clock,
    outlets: Outlets,
    health: Health,
    stop: CancellationToken,
) {
    let around = Around {
        topics: Arc::default(),
        clock,
        outlets,
        health,
    };
    let (mut reader, mut session, mut refused) = (Reader::default(), None, None);
    while !stop.is_cancelled() {
        let config = settings.borrow_and_update().clone();
        if session.replace(config.session()) != Some(config.session()) {
            reader = Reader::default();
        }
        let certificates = Files::of(&config);
        let opened = match link::open(&config) {
            Ok((client, events)) => (&config, client, events, certificates),
            Err(error) => {
                Counts::new(&config.name, &around.health).failed.one();
                let why = error.to_string();
                if refused.as_ref() != Some(&why) {
                    error!(next_try = ?CONNECT_REST.cap, "{why}");
                }
                refused = Some(why);
                // Whoever renews a certificate writes one file after the other.
                let waiting = timeout(CONNECT_REST.cap, renewed(&mut settings));
                stop.run_until_cancelled(waiting).await;
                continue;
            }
        };
        refused = None;
        if by(opened, &mut settings, around.clone(), &mut reader, &stop).await == Ended::Alone {
            // Nobody takes the samples: only other settings can help.
            stop.run_until_cancelled(renewed(&mut settings)).await;
        }
    }
}

/// What a connection works with, whatever its settings.
#[derive(Clone)]
struct Around {
    topics: Arc<Topics>,
    clock: Clock,
    outlets: Outlets,
    health: Health,
}

/// Takes messages as `config` says until `stop` is cancelled or there are `settings` for another connection. What the
/// `reader` has learnt of edge nodes outlives the connection: their births do not come again by themselves.
async fn by(
    (config, client, events, certificates): (&Config, Client, Events, Files),
    settings: &mut watch::Receiver<Config>,
    around: Around,
    reader: &mut Reader,
    stop: &CancellationToken,
) -> Ended {
    let Around {
        topics,
        clock,
        outlets,
        health,
    } = around;
    topics.take_up(config);
    reader.take_up(config);
    let line = Arc::new(Line {
        topics,
        ..Line::default()
    });
    let (to_desk, mut arrivals) = mpsc::channel(ARRIVALS);
    let mut desk = Desk::new(
        config,
        (client.clone(), Arc::clone(&line)),
        reader,
        outlets,
        health.clone(),
    );
    let mut connection = Connection {
        counts: Counts::new(&config.name, &health),
        broker: config.name.clone(),
        address: format!("{}:{}", config.url.host, config.url.port),
        status_topic: config.status_topic.clone(),
        client: client.clone(),
        to_desk,
        clock,
        line,
        failures: 0,
        steady_from: None,
        certificates,
    };
    let keeping = connection.keep(events);
    tokio::pin!(keeping);
    let ended = tokio::select! {
        ended = &mut keeping => return ended,
        ended = desk.work(&mut arrivals, settings, stop) => ended,
    };
    drop(arrivals);
    if let Some(topic) = &config.status_topic {
        // Where this cannot leave any more, the goodbye cannot either, and the last will speaks.
        client.say_offline(topic).ok();
    }
    if client.say_goodbye().is_ok() {
        // The goodbye is a courtesy; the broker keeps the session either way.
        drop(timeout(DISCONNECT_WITHIN, keeping).await);
    }
    ended
}

struct Connection {
    broker: String,
    address: String,
    status_topic: Option<String>,
    client: Client,
    to_desk: mpsc::Sender<Arrival>,
    clock: Clock,
    line: Arc<Line>,
    failures: u32,
    /// When this connection will have lasted; `None` while there is none.
    steady_from: Option<Instant>,
    certificates: Files,
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
    /// Keeps the connection up; ends after the goodbye, when the desk is gone, or where it is lost and there are other
    /// certificates by now, for another connection.
    async fn keep(&mut self, mut events: Events) -> Ended {
        loop {
            let line = Arc::clone(&self.line);
            let heard = tokio::select! {
                heard = events.next() => heard,
                // Dropping a poll half-way is safe here only because the connection goes with it.
                () = line.renew.notified() => {
                    events.hang_up();
                    self.rest("a sample was not stored").await;
                    continue;
                }
            };
            match heard {
                Ok(Heard::Connected { .. }) if events.has_given_up() => {
                    // Connected only to give the session up; now the real one.
                    events.hang_up();
                    self.line.ended.fetch_add(1, Ordering::AcqRel);
                }
                Ok(heard) => {
                    if self.hear(heard).await.is_err() {
                        return Ended::Alone;
                    }
                }
                Err(Lost::Done) => return Ended::Alone,
                Err(Lost::TooLarge(why)) => {
                    self.counts.too_large.one();
                    events.give_session_up();
                    self.rest(&why).await;
                }
                Err(Lost::Other(why)) => {
                    self.rest(&why).await;
                    if self.certificates.have_changed() {
                        info!(
                            broker = self.broker,
                            "there are other certificates: connecting by those"
                        );
                        return Ended::Elsewhere;
                    }
                }
            }
        }
    }

    /// Fails when the desk is gone.
    async fn hear(&mut self, heard: Heard) -> Result<(), mpsc::error::SendError<Arrival>> {
        match heard {
            Heard::Connected { session_present } => self.begin(session_present).await,
            Heard::Subscribed(granted) => {
                self.subscribed(&granted);
                Ok(())
            }
            Heard::Message(message) => {
                self.counts.messages.one();
                let at = self.clock.now();
                self.to_desk.send(Arrival::Published { message, at }).await
            }
            Heard::Nothing => Ok(()),
        }
    }

    async fn begin(&mut self, session_present: bool) -> Result<(), mpsc::error::SendError<Arrival>> {
        if self.counts.connected.get() > 0 && !session_present {
            self.counts.sessions_lost.one();
            warn!(
                broker = self.broker,
                "the broker has forgotten our session: what it held for us is lost"
            );
        }
        self.counts.connected.one();
        let (wanted, unwanted) = self.line.topics.anew();
        if let Err(error) = self.client.subscribe(wanted.iter().map(String::as_str)) {
            error!(broker = self.broker, %error, "the topics could not be subscribed to; check them in the configuration");
        }
        for filter in &unwanted {
            if let Err(error) = self.client.unsubscribe(filter) {
                warn!(broker = self.broker, filter, %error, "the broker could not be told that this is not asked for any more");
            }
        }
        if let Some(topic) = &self.status_topic
            && let Err(error) = self.client.say_online(topic)
        {
            warn!(broker = self.broker, topic, %error, "the broker could not be told that the agent is here");
        }
        self.to_desk
            .send(Arrival::Connected {
                at: self.clock.now(),
                connection: self.line.ended.load(Ordering::Acquire) + 1,
                session_present,
            })
            .await
    }

    fn subscribed(&mut self, granted: &[bool]) {
        for (filter, is_granted) in self.line.topics.answered().iter().zip(granted) {
            if !is_granted {
                error!(
                    broker = self.broker,
                    filter, "the broker refuses this topic; check its access rules"
                );
            }
        }
        self.counts.subscribed.one();
        if self.steady_from.is_some() {
            return; // topics of other settings
        }
        if self.failures > 0 {
            let attempts = self.failures + 1;
            info!(broker = self.broker, attempts, "broker connected again");
        }
        self.steady_from = Some(monotonic() + STEADY);
    }

    async fn rest(&mut self, why: &str) {
        self.line.ended.fetch_add(1, Ordering::AcqRel);
        self.counts.failed.one();
        let steady_from = self.steady_from.take();
        if steady_from.is_some_and(|steady_from| steady_from <= monotonic()) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        let rest = CONNECT_REST.after(self.failures, &self.broker);
        let (broker, tried, next_try) = (&self.broker, &self.address, rest);
        match (self.failures, steady_from) {
            (1, Some(_)) => warn!(broker, tried, got = why, ?next_try, "broker connection lost"),
            (1, None) => warn!(broker, tried, got = why, ?next_try, "broker does not connect"),
            (n, Some(_)) if n == DROPPED => warn!(
                broker,
                got = why,
                ?next_try,
                "the broker drops each connection at once; does another client use this client_id?"
            ),
            _ => {}
        }
        tokio::time::sleep(rest).await;
    }
}
