//! One connection of the broker: packets in and out over a socket.
//!
//! It knows packets, no sessions. Invariant: `receive` may be dropped half way and called again without losing a byte.

use std::{future::pending, io, time::Duration};

use bytes::BytesMut;
use rumqttc::{Connect, Error as PacketError, Packet};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Largest packet taken and sent: a message of a factory is a few hundred bytes, a Sparkplug birth some 100 kB.
const MAX_PACKET: usize = 256 * 1024;
/// How long a new connection may take to greet: a client that says nothing is no client.
const GREETING: Duration = Duration::from_secs(10);

/// Why a connection ended without a goodbye.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("the connection was cut: {0}")]
    Io(#[from] io::Error),
    #[error("the client sent what is no packet of MQTT 3.1.1, or too large a one: {0}")]
    Packet(#[from] PacketError),
    #[error("the client closed without DISCONNECT")]
    Closed,
    #[error("the client said nothing for one and a half times its keep-alive")]
    Silent,
    #[error("the client sent {0}, which has no place here")]
    OutOfPlace(&'static str),
    #[error("the broker cut the connection")]
    Cut,
}

/// A socket with its half-read and half-written packets.
pub(super) struct Link {
    stream: TcpStream,
    incoming: BytesMut,
    outgoing: BytesMut,
    patience: Option<Duration>,
}

impl Link {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            patience: Some(GREETING),
        }
    }

    /// The CONNECT that must come first.
    pub(super) async fn greeting(&mut self) -> Result<Connect, LinkError> {
        match self.receive().await? {
            Packet::Connect(connect) => Ok(connect),
            _ => Err(LinkError::OutOfPlace("something before CONNECT")),
        }
    }

    /// From now on the client must say something every one and a half `keep_alive_s`; 0 = never.
    pub(super) fn expect_every(&mut self, keep_alive_s: u16) {
        self.patience = (keep_alive_s > 0).then(|| Duration::from_millis(u64::from(keep_alive_s) * 1500));
    }

    /// The next packet.
    pub(super) async fn receive(&mut self) -> Result<Packet, LinkError> {
        loop {
            match Packet::read(&mut self.incoming, MAX_PACKET) {
                Ok(packet) => return Ok(packet),
                Err(PacketError::InsufficientBytes(_)) => {}
                Err(error) => return Err(error.into()),
            }
            let patience = self.patience;
            let silence = async move {
                match patience {
                    Some(patience) => tokio::time::sleep(patience).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                read = self.stream.read_buf(&mut self.incoming) => if read? == 0 {
                    return Err(LinkError::Closed);
                },
                () = silence => return Err(LinkError::Silent),
            }
        }
    }

    /// Puts a packet behind those that wait to be sent.
    pub(super) fn put(&mut self, packet: &Packet) -> Result<(), LinkError> {
        packet.write(&mut self.outgoing, MAX_PACKET)?;
        Ok(())
    }

    /// Sends what waits.
    pub(super) async fn flush(&mut self) -> Result<(), LinkError> {
        /// A client that takes nothing for so long is gone.
        const STALLED: Duration = Duration::from_secs(10);
        timeout(STALLED, self.stream.write_all(&self.outgoing))
            .await
            .map_err(|_| LinkError::Silent)??;
        self.outgoing.clear();
        Ok(())
    }
}
