//! What becomes of each message: samples to the recorder, or a dead letter, then its acknowledgement, in order.
//!
//! It owns no connection and never polls one. Invariants: acknowledgements leave in the order of arrival and only for
//! messages whose samples are all stored; a message delivered again while its samples are still on their way is not
//! recorded twice; nothing is acknowledged on another connection than the one it came by.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use energy::Name;
use jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    Config, DEAD_LETTER_BYTES, MAX_MESSAGE_BYTES,
    again::LastSaid,
    line::Line,
    link::{Client, Message},
    reader::Reader,
    said::{OF_OTHER_THINGS, Refusal, Said},
    sparkplug::{Ask, Heard},
    stamp::stamped,
    told::Told,
};
use crate::{
    acquire::{DeadLetter, Incoming, IncomingLetter, Intake, Outlets, renewed},
    health::Health,
};

/// Bytes of messages that may wait for their acknowledgement, beside their number: what one broker may cost in memory.
const WAITING_BYTES: usize = 16 << 20;

/// How long the last samples may take to become durable at the end; the recorder commits at once when a broker waits.
const LAST_ACKS_WITHIN: Duration = Duration::from_secs(2);

/// What the connection reports to the desk, in order.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A new connection, the `connection`-th; whether the broker still knew our session; when, in data time.
    Connected {
        connection: u64,
        session_present: bool,
        at: Timestamp,
    },
    /// A message and when it came, in data time.
    Published { message: Message, at: Timestamp },
}

/// Why the desk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was asked to.
    Stopped,
    /// There are settings that want another connection.
    Elsewhere,
    /// Nobody takes the samples, or there is no connection any more.
    Alone,
}

/// One message that waits for its acknowledgement.
struct Delivery {
    message: Message,
    unstored: Vec<oneshot::Receiver<()>>,
}

pub(super) struct Desk<'a> {
    broker: String,
    reader: &'a mut Reader,
    dead_letters: Option<mpsc::Sender<IncomingLetter>>,
    asks_for_births: bool,
    client: Client,
    line: Arc<Line>,
    intake: Intake,
    health: Health,
    window: usize,
    connection: u64,
    /// Of this connection, in order of arrival.
    waiting: VecDeque<Delivery>,
    /// Of their payloads.
    waiting_bytes: usize,
    /// Of the connection before, until the broker delivers them again.
    former: Vec<Delivery>,
    told: Told,
    /// The instant at which a meter's newest message without a time of its own came.
    last_arrival: BTreeMap<Name, Timestamp>,
    last_said: LastSaid,
}

impl<'a> Desk<'a> {
    pub(super) fn new(
        config: &Config,
        (client, line): (Client, Arc<Line>),
        reader: &'a mut Reader,
        outlets: Outlets,
        health: Health,
    ) -> Self {
        Self {
            broker: config.name.clone(),
            reader,
            dead_letters: outlets.dead_letters,
            asks_for_births: config.asks_for_births,
            client,
            line,
            intake: outlets.intake,
            health,
            window: usize::from(config.window),
            connection: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            former: Vec::new(),
            told: Told::default(),
            last_arrival: BTreeMap::new(),
            last_said: LastSaid::default(),
        }
    }

    /// Works until `stop` is cancelled, the recorder is gone or `settings` want another connection, then gives the last
    /// samples time to become durable. Other meters are taken up on the living connection.
    pub(super) async fn work(
        &mut self,
        arrivals: &mut mpsc::Receiver<Arrival>,
        settings: &mut watch::Receiver<Config>,
        stop: &CancellationToken,
    ) -> Ended {
        let ended = stop.run_until_cancelled(self.serve(arrivals, settings)).await;
        let ended = ended.unwrap_or(Ended::Stopped);
        if ended != Ended::Alone {
            // What is not stored by then stays unacknowledged and comes again at the next start.
            drop(timeout(LAST_ACKS_WITHIN, self.acknowledge_rest()).await);
        }
        ended
    }

    async fn serve(&mut self, arrivals: &mut mpsc::Receiver<Arrival>, settings: &mut watch::Receiver<Config>) -> Ended {
        let connected_by = settings.borrow().clone();
        loop {
            tokio::select! {
                biased;
                () = renewed(settings) => {
                    let config = settings.borrow_and_update().clone();
                    if !config.has_connection_of(&connected_by) {
                        settings.mark_changed();
                        return Ended::Elsewhere;
                    }
                    self.take_up(&config);
                }
                stored = front_stored(&mut self.waiting), if !self.waiting.is_empty() => self.acknowledge(stored).await,
                arrival = arrivals.recv(), if self.has_room() => match arrival {
                    Some(Arrival::Connected { connection, session_present, at }) => {
                        self.begin(connection, session_present);
                        self.ask_unborn(at);
                    }
                    Some(Arrival::Published { message, at }) => {
                        if self.receive(message, at).await.is_err() {
                            return Ended::Alone;
                        }
                    }
                    None => return Ended::Alone,
                },
            }
        }
    }

    /// Takes up other meters: only the topics that changed are asked for, or given up.
    fn take_up(&mut self, config: &Config) {
        self.reader.take_up(config);
        self.last_said = LastSaid::default(); // a new meter has heard nothing
        self.asks_for_births = config.asks_for_births;
        let (new, gone) = self.line.topics.take_up(config);
        if self.line.ended.load(Ordering::Acquire) + 1 != self.connection {
            return; // the next connection asks for all
        }
        let mut subscribed = Ok(());
        if !new.is_empty() {
            self.line.topics.ask(&new);
            subscribed = self.client.subscribe(new.iter().map(String::as_str));
        }
        let told = gone.iter().map(|filter| self.client.unsubscribe(filter));
        if let Some(error) = std::iter::once(subscribed).chain(told).find_map(Result::err) {
            warn!(broker = self.broker, %error, "the broker could not be told of the changed topics and is connected to anew");
            self.line.renew.notify_one();
        }
    }

    fn has_room(&self) -> bool {
        self.waiting.len() < self.window && self.waiting_bytes < WAITING_BYTES
    }

    fn wait_for(&mut self, delivery: Delivery) {
        self.waiting_bytes += delivery.message.payload.len();
        self.waiting.push_back(delivery);
    }

    async fn acknowledge_rest(&mut self) {
        while !self.waiting.is_empty() {
            let stored = front_stored(&mut self.waiting).await;
            self.acknowledge(stored).await;
        }
    }

    /// A new connection: what waits is of the old one and will be delivered again, if the broker knows us still.
    fn begin(&mut self, connection: u64, session_present: bool) {
        self.connection = connection;
        self.waiting_bytes = 0;
        if session_present {
            self.former.extend(self.waiting.drain(..));
            let too_old = self.former.len().saturating_sub(self.window);
            self.former.drain(..too_old);
        } else {
            self.waiting.clear();
            self.former.clear();
        }
    }

    /// Asks edge nodes of which no birth was heard, before their first value is lost.
    fn ask_unborn(&mut self, at: Timestamp) {
        if self.asks_for_births {
            for ask in self.reader.unborn(at) {
                self.ask_for_births(ask);
            }
        }
    }

    /// Takes one message. Fails when the recorder is gone.
    async fn receive(&mut self, message: Message, at: Timestamp) -> Result<(), RecorderGone> {
        if message.is_repeated
            && let Some(mut known) = self.take_former(&message)
        {
            debug!(
                broker = self.broker,
                "a message came again before it was acknowledged: its samples are on their way"
            );
            known.message = message;
            self.wait_for(known);
            return Ok(());
        }
        let unstored = self.record(&message, at).await?;
        if message.is_promised() {
            self.wait_for(Delivery { message, unstored });
        }
        Ok(())
    }

    fn take_former(&mut self, message: &Message) -> Option<Delivery> {
        let is_same = |known: &Message| {
            known.pkid == message.pkid && known.topic == message.topic && known.payload == message.payload
        };
        let nth = self.former.iter().position(|known| is_same(&known.message))?;
        Some(self.former.remove(nth))
    }

    /// Hands on what a message says about each of its meters; gives back what must be stored before it is acknowledged.
    async fn record(&mut self, message: &Message, at: Timestamp) -> Result<Vec<oneshot::Receiver<()>>, RecorderGone> {
        let mut unstored = Vec::new();
        let is_again = self.last_said.is_again(message);
        let Some(Heard { said, ask, is_gap }) = self.reader.read(&message.topic, &message.payload, at) else {
            self.nobodys(&message.topic);
            return Ok(unstored);
        };
        if is_gap {
            let labels = [("broker", self.broker.as_str())];
            self.health.counter("mqtt_sparkplug_gaps_total", &labels).one();
        }
        if let Some(ask) = ask {
            self.ask_for_births(ask);
        }
        for Said { meter, content } in said {
            if is_again && !content.as_ref().is_ok_and(|content| content.at.is_some()) {
                // Given at a new connection, and heard before.
                self.health.dropped("mqtt", "retained_again").one();
                continue;
            }
            match content {
                Err(refusal) => unstored.extend(self.refuse(message, at, &meter, refusal).await),
                Ok(content) => {
                    match (content.at, &content.unread_time) {
                        (None, Some(found)) => self.note_unread_time(&message.topic, &meter, found),
                        (None, None) if !message.is_retained => self.note_arrival(&message.topic, &meter, at),
                        _ => {}
                    }
                    let sample = stamped(&meter, content, at, message.is_retained);
                    let (stored, until_stored) = promise(message);
                    unstored.extend(until_stored);
                    self.intake
                        .send(Incoming { sample, stored })
                        .await
                        .map_err(|_| RecorderGone)?;
                }
            }
        }
        Ok(unstored)
    }

    /// Asks where the site allows it: nothing else would ever go towards the plant.
    fn ask_for_births(&self, ask: Ask) {
        let Ask {
            topic,
            payload,
            is_first,
        } = ask;
        let broker = &self.broker;
        match (self.asks_for_births, is_first) {
            (false, true) => warn!(
                broker,
                topic,
                "no birth of the edge node was heard since the start: values that have only an alias stay unknown until its \
                 next birth; restart the edge node, or set ask_for_births = true"
            ),
            (false, false) => warn!(
                broker,
                topic,
                "births were missed: values that have only an alias stay unknown until the next birth; restart the edge \
                 node, or set ask_for_births = true"
            ),
            (true, true) => info!(
                broker,
                topic, "no birth of the edge node was heard since the start: it is asked for its births"
            ),
            (true, false) => info!(broker, topic, "births were missed: the edge node is asked for them"),
        }
        if !self.asks_for_births {
            return;
        }
        let labels = [("broker", self.broker.as_str())];
        match self.client.ask_for_births(topic, payload) {
            Ok(()) => self.health.counter("mqtt_births_asked_total", &labels).one(),
            Err(error) => debug!(broker = self.broker, %error, "the question did not leave; it is asked again"),
        }
    }

    /// A message under a topic of an earlier configuration, or of a pattern's meter that is not in this one.
    fn nobodys(&mut self, topic: &str) {
        self.health.dropped("mqtt", "no_meter").one();
        let Some(n) = self.told.again(topic, "no_meter") else {
            return;
        };
        if self.reader.subscribes_to(topic) {
            warn!(
                broker = self.broker,
                topic, n, "no meter of the configuration has this topic: message passed over"
            );
        } else if n > 1 {
            warn!(
                broker = self.broker,
                topic,
                n,
                "messages of an earlier configuration still come, under a filter with + or # that the broker holds for this \
                 client_id: give it another one to be rid of them"
            );
        } else if let Err(error) = self.client.unsubscribe(topic) {
            debug!(broker = self.broker, topic, %error, "a topic of an earlier configuration could not be given up yet");
        } else {
            info!(
                broker = self.broker,
                topic, "a message of an earlier configuration: the broker is asked to send this topic no more"
            );
        }
    }

    /// Says that the time that a payload gives cannot be read.
    fn note_unread_time(&mut self, topic: &str, meter: &Name, found: &str) {
        let labels = [("broker", self.broker.as_str()), ("meter", meter)];
        self.health.counter("mqtt_time_unread_total", &labels).one();
        if let Some(n) = self.told.again(topic, "unread_time") {
            warn!(
                broker = self.broker,
                topic,
                meter = &**meter,
                found,
                n,
                "the payload's time cannot be read, so its values are marked clock_suspect and make no energy; it must be \
                 RFC 3339, or seconds, milliseconds or microseconds since 1970: point `time` at another value, or leave it out"
            );
        }
    }

    /// Says where messages cannot be told apart in time: what a broker kept while we were away comes at once.
    fn note_arrival(&mut self, topic: &str, meter: &Name, at: Timestamp) {
        if self.last_arrival.insert(Name::clone(meter), at) != Some(at) {
            return;
        }
        let labels = [("broker", self.broker.as_str()), ("meter", meter)];
        self.health.counter("mqtt_same_arrival_total", &labels).one();
        if let Some(n) = self.told.again(topic, "same_arrival") {
            // Two messages of a busy moment are no fault; a broker's backlog is worth knowing.
            info!(
                broker = self.broker,
                topic,
                meter = &**meter,
                n,
                "messages came within one instant and say no time of their own: when each was measured is not known, and \
                 of two values only one counts; name the payload's time with `time` if it has one"
            );
        }
    }

    /// Counts a message that cannot be read, tells of it and keeps it for people; gives back what must be kept before it
    /// is acknowledged.
    async fn refuse(
        &mut self,
        message: &Message,
        at: Timestamp,
        meter: &Name,
        refusal: Refusal,
    ) -> Option<oneshot::Receiver<()>> {
        let Refusal { label, reason, is_kept } = refusal;
        let topic = &message.topic;
        self.health.dropped("mqtt", label).one();
        if label == OF_OTHER_THINGS {
            return None;
        }
        let labels = [("broker", self.broker.as_str()), ("meter", meter), ("reason", label)];
        self.health.counter("mqtt_refused_total", &labels).one();
        if let Some(n) = self.told.again(topic, label) {
            warn!(broker = self.broker, topic, meter = &**meter, n, reason, "passed over");
        }
        let dead_letters = self.dead_letters.as_ref().filter(|_| is_kept)?;
        let keep = match message.payload.len() {
            all if all <= MAX_MESSAGE_BYTES => all,
            _ => DEAD_LETTER_BYTES,
        };
        let letter = DeadLetter {
            source: self.broker.clone(),
            topic: topic.clone(),
            payload: message.payload[..keep].to_vec(),
            label,
            reason: format!("meter {meter:?}: {reason}"),
            at,
        };
        let (kept, until_kept) = promise(message);
        if dead_letters.send(IncomingLetter { letter, kept }).await.is_err() {
            self.health.dropped("mqtt", "dead_letter_unkept").one();
        }
        until_kept
    }

    /// Answers the message at the front, or asks for a new connection if its samples were not stored.
    async fn acknowledge(&mut self, stored: Result<(), NotStored>) {
        let Some(delivery) = self.waiting.pop_front() else {
            return;
        };
        self.waiting_bytes -= delivery.message.payload.len();
        let is_connected = self.line.ended.load(Ordering::Acquire) + 1 == self.connection;
        if let Err(NotStored) = stored {
            if is_connected {
                self.health.dropped("mqtt", "not_stored_yet").one();
                warn!(
                    broker = self.broker,
                    "a sample was not stored; the broker is asked to deliver its message again"
                );
                self.line.renew.notify_one();
                self.connection = 0; // later messages keep their order: they too wait for the next connection
            }
        } else if !is_connected {
            self.former.push(delivery); // the broker will deliver it again
        } else if self.client.acknowledge(delivery.message.pkid).await.is_err() {
            debug!(
                broker = self.broker,
                "the client ended before an acknowledgement could leave"
            );
        }
    }
}

struct RecorderGone;
struct NotStored;

/// The two ends of a promise to store something of a message; none where no broker waits for it.
fn promise(message: &Message) -> (Option<oneshot::Sender<()>>, Option<oneshot::Receiver<()>>) {
    message.is_promised().then(oneshot::channel).unzip()
}

/// Waits until everything made of the oldest message is durable. May be dropped and called again.
async fn front_stored(waiting: &mut VecDeque<Delivery>) -> Result<(), NotStored> {
    let Some(front) = waiting.front_mut() else {
        return Ok(());
    };
    while let Some(receiver) = front.unstored.last_mut() {
        receiver.await.map_err(|_| NotStored)?;
        front.unstored.pop();
    }
    Ok(())
}
