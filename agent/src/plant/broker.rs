//! A small MQTT 3.1.1 broker, QoS 0 and 1, for the demo and for tests: it can be told to misbehave.
//!
//! One task a connection, one lock around everything shared. No TLS, no passwords, no disk, no QoS 2. Invariants: at
//! most 20 messages are unacknowledged a client; what a kept session has not acknowledged is sent again, marked so, when
//! it comes back; every queue has a bound and what falls out is counted.

mod link;
mod sessions;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rumqttc::{ConnAck, Packet, Publish, QoS};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use link::{Link, LinkError};
use sessions::{Seat, Sessions};

/// What the broker does wrong when told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Cuts every connection now.
    DropConnections,
    /// Cuts every connection and forgets every session, as after a restart without a disk.
    ForgetSessions,
    /// Takes the next messages of publishers without ever acknowledging them.
    SwallowPubAcks(u32),
    /// Does not hear the next acknowledgements of subscribers.
    IgnorePubAcks(u32),
}

/// What has happened since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted by ConnAck.
    pub connected: u64,
    /// Messages taken from publishers.
    pub published: u64,
    /// Messages sent to subscribers, repeats included.
    pub delivered: u64,
    /// Of these, sent again after a reconnection.
    pub redelivered: u64,
    /// Acknowledgements taken from subscribers.
    pub acknowledged: u64,
    /// Messages that fell out of a session's full queue.
    pub dropped: u64,
}

/// A running broker; cheap to clone.
#[derive(Debug, Clone)]
pub struct Broker {
    address: SocketAddr,
    sessions: Arc<Mutex<Sessions>>,
}

impl Broker {
    /// Listens at `addr` until `stop`.
    pub async fn start(addr: SocketAddr, tasks: &TaskTracker, stop: CancellationToken) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let broker = Self {
            address: listener.local_addr()?,
            sessions: Arc::default(),
        };
        let (accepting, connections) = (broker.clone(), tasks.clone());
        tasks.spawn(async move {
            while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
                match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(accepting.clone().serve(stream, stop.clone()));
                    }
                    Err(error) => tracing::warn!(%error, "the broker could not accept a connection"),
                }
            }
        });
        Ok(broker)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Misbehaves.
    pub fn misbehave(&self, fault: Fault) {
        self.lock().misbehave(fault);
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Sends a message to the subscribers of `topic`, as if a client had published it.
    pub fn publish(&self, topic: &str, qos: QoS, payload: impl Into<Vec<u8>>) {
        self.lock().deliver(&Publish::new(topic, qos, payload));
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(self, stream: TcpStream, stop: CancellationToken) {
        let served = stop.run_until_cancelled(self.converse(Link::new(stream))).await;
        if let Some(Err(error)) = served {
            tracing::debug!(%error, "a client of the broker went away");
        }
    }

    async fn converse(&self, mut link: Link) -> Result<(), LinkError> {
        let connect = link.greeting().await?;
        link.expect_every(connect.keep_alive);
        let will = connect.last_will.clone();
        let (seat, answer) = self.lock().enter(&connect);
        link.put(&Packet::ConnAck(answer))?;
        let Some(seat) = seat else {
            return link.flush().await;
        };
        let conversed = self.exchange(&mut link, &seat).await;
        let mut sessions = self.lock();
        sessions.leave(&seat);
        if let (Err(_), Some(will)) = (&conversed, will) {
            let mut message = Publish::from_bytes(will.topic, will.qos, will.message);
            message.retain = will.retain;
            sessions.deliver(&message);
        }
        conversed
    }

    /// Sends what the session has and takes what the client says, until the client says goodbye (`Ok`) or is lost.
    async fn exchange(&self, link: &mut Link, seat: &Seat) -> Result<(), LinkError> {
        loop {
            let outgoing = self.lock().outgoing(seat);
            for publish in outgoing {
                link.put(&Packet::Publish(publish))?;
            }
            link.flush().await?;
            let packet = tokio::select! {
                () = seat.closed.cancelled() => return Err(LinkError::Cut),
                () = seat.wake.notified() => continue,
                packet = link.receive() => packet?,
            };
            if packet == Packet::Disconnect {
                return Ok(());
            }
            let answer = self.lock().take(seat, packet)?;
            if let Some(answer) = answer {
                link.put(&answer)?;
            }
        }
    }
}

/// The refusal of a connection.
fn refused(code: rumqttc::ConnectReturnCode) -> ConnAck {
    ConnAck::new(code, false)
}
