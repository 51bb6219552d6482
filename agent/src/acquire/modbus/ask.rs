//! Single questions to a device, for the commands that set a plant up: one block, one name plate, one at a time.
//!
//! It has no schedule and merges nothing; `bus.rs` is what runs. Invariants: bytes leave through the read-only guard;
//! every wait has an end; a gap lies between two requests; after trouble a TCP connection is opened anew, so that a late
//! answer meets nobody.

use std::{io, time::Duration};

use tokio::time::{Instant, sleep_until, timeout};

use super::{
    Table, Transport,
    fault::Fault,
    identify::{self, Identity},
    link::{CONNECT_AT_LEAST, connected},
    mbap::Mbap,
    pdu, rtu,
    units::Units,
};
use crate::clock::monotonic;

/// Requests for one name plate, however often a device says that more follows.
const MOST_PARTS: usize = 8;

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// There was no connection to ask over.
    Unreachable {
        /// What kind of failure.
        kind: io::ErrorKind,
        /// What the system says of it.
        text: String,
    },
    /// The question was asked.
    Fault(Fault),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Trouble {
    /// Whether a device, or a gateway for it, has answered, if only to refuse.
    pub fn is_reply(&self) -> bool {
        matches!(self, Self::Fault(fault) if fault.is_reply())
    }
}

/// A block of registers as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its first register.
    pub at: u16,
    /// Its registers, as many as asked for.
    pub words: Vec<u16>,
    /// From the request to the answer.
    pub took: Duration,
}

/// One end of a line at which a person asks.
pub struct Master {
    transport: Transport,
    /// Wall time for an answer.
    timeout: Duration,
    /// Wall time for a connection.
    connect_within: Duration,
    /// Least time from an answer to the next request.
    gap: Duration,
    wire: Option<Wire>,
    /// What was known of an RTU line's units when it was closed.
    units: Units,
    rests_until: Instant,
    n_requests: u64,
}

enum Wire {
    Tcp(Box<Mbap>),
    Rtu(Box<rtu::Wire>),
}

impl Master {
    /// A master that connects when it is first asked.
    pub fn new(transport: Transport, timeout: Duration, gap: Duration) -> Self {
        Self {
            transport,
            timeout,
            connect_within: timeout.max(CONNECT_AT_LEAST),
            gap,
            wire: None,
            units: Units::default(),
            rests_until: monotonic(),
            n_requests: 0,
        }
    }

    /// A master that gives a connection no more time than an answer: where most addresses are expected to be empty.
    #[must_use]
    pub fn hasty(self) -> Self {
        Self {
            connect_within: self.timeout,
            ..self
        }
    }

    /// How the line is reached.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Requests sent so far.
    pub fn n_requests(&self) -> u64 {
        self.n_requests
    }

    /// Reads one block.
    pub async fn registers(&mut self, unit: u8, table: Table, at: u16, count: u16) -> Result<Block, Trouble> {
        let (reply, took) = self.ask(unit, &pdu::read(table, at, count)).await?;
        let words = pdu::registers(&reply);
        Ok(Block { at, words, took })
    }

    /// The device identification, function 0x2B: regular where the device has it, else basic.
    pub async fn identification(&mut self, unit: u8) -> Result<Identity, Trouble> {
        match self.identification_of(unit, identify::REGULAR).await {
            Err(Trouble::Fault(Fault::Refused(code))) if u8::from(code) == 3 => {
                self.identification_of(unit, identify::BASIC).await
            }
            found => found,
        }
    }

    async fn identification_of(&mut self, unit: u8, code: u8) -> Result<Identity, Trouble> {
        let (mut identity, mut object) = (Identity::default(), 0);
        for _ in 0..MOST_PARTS {
            let (reply, _) = self.ask(unit, &pdu::identification(code, object)).await?;
            match identity.add(&reply) {
                Some(next) => object = next,
                None => break,
            }
        }
        Ok(identity)
    }

    /// What the device says by function 0x11, as far as it is text.
    pub async fn server_id(&mut self, unit: u8) -> Result<Option<String>, Trouble> {
        let (reply, _) = self.ask(unit, &pdu::SERVER_ID).await?;
        Ok(identify::server_id(&reply))
    }

    /// Opens the connection, if none is open.
    pub async fn connect(&mut self) -> Result<(), Trouble> {
        if self.wire.is_none() {
            let limit = self.connect_within;
            let opened = timeout(limit, open(&self.transport, self.units.clone()))
                .await
                .unwrap_or_else(|_| {
                    let text = format!("no connection within {limit:?}");
                    Err(io::Error::new(io::ErrorKind::TimedOut, text))
                });
            self.wire = Some(opened.map_err(|error| Trouble::Unreachable {
                kind: error.kind(),
                text: error.to_string(),
            })?);
        }
        Ok(())
    }

    async fn ask(&mut self, unit: u8, request: &[u8]) -> Result<(Vec<u8>, Duration), Trouble> {
        self.connect().await?;
        sleep_until(self.rests_until).await;
        // Taken out while the call runs: if this future is dropped half-way, so is the connection.
        let mut wire = self.wire.take().ok_or_else(|| Fault::Lost("it is closed".to_owned()))?;
        self.n_requests += 1;
        let asked = monotonic();
        let answer = match &mut wire {
            Wire::Tcp(mbap) => timeout(self.timeout, mbap.ask(unit, request))
                .await
                .unwrap_or(Err(Fault::TimedOut(self.timeout)))
                .map(|reply| (reply, monotonic() - asked)),
            Wire::Rtu(wire) => believed(wire, unit, request, self.timeout, self.gap).await,
        };
        self.rests_until = monotonic() + self.gap;
        let fault = answer.as_ref().err();
        match wire {
            Wire::Tcp(_) if fault.is_some_and(|fault| !fault.is_reply()) => {}
            Wire::Rtu(wire) if matches!(fault, Some(Fault::Lost(_))) => self.units = wire.into_units(),
            wire => self.wire = Some(wire),
        }
        Ok(answer?)
    }
}

fn mbap(stream: impl rtu::Stream + 'static) -> Wire {
    Wire::Tcp(Box::new(Mbap::new(stream, false)))
}

/// One request and its reply and what that took, and no reply more.
async fn believed(
    wire: &mut rtu::Wire,
    unit: u8,
    request: &[u8],
    limit: Duration,
    gap: Duration,
) -> Result<(Vec<u8>, Duration), Fault> {
    wire.begin(unit).await?;
    let reply = wire.ask(unit, request, limit, gap).await?;
    let took = wire.answered_in;
    wire.confirm(unit, limit).await?;
    Ok((reply, took))
}

async fn open(transport: &Transport, units: Units) -> io::Result<Wire> {
    Ok(match transport {
        Transport::Tcp { host, port } => mbap(connected(host, *port).await?),
        Transport::Tls { host, port, tls } => mbap(tls.connect(host, connected(host, *port).await?).await?),
        Transport::RtuOverTcp { host, port } => {
            Wire::Rtu(Box::new(rtu::Wire::new(connected(host, *port).await?, None, units)))
        }
        Transport::Rtu { path, line } => Wire::Rtu(Box::new(rtu::Wire::new(line.open(path)?, Some(*line), units))),
    })
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// What a device answers to a read of two registers of unit 7 → the registers, or the trouble's name.
    async fn check(answer: &[u8], expected: Result<&[u16], &str>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = answer.to_vec();
        let shown = format!("{answer:02x?}");
        let device = tokio::spawn(async move {
            let mut n_connections = 0;
            while let Ok((mut stream, _)) = listener.accept().await {
                n_connections += 1;
                let mut request = [0; 12];
                while stream.read_exact(&mut request).await.is_ok() {
                    assert_eq!(request[4..], [0, 6, 7, 3, 0, 100, 0, 2], "connection {n_connections}");
                    if answer.is_empty() {
                        break; // closes without a word
                    }
                    stream.write_all(&answer).await.unwrap();
                }
            }
        });
        let host = "127.0.0.1".to_owned();
        let mut master = Master::new(
            Transport::Tcp { host, port },
            Duration::from_millis(100),
            Duration::ZERO,
        );
        let got = master.registers(7, Table::Holding, 100, 2).await;
        let got = got
            .as_ref()
            .map(|block| &block.words[..])
            .map_err(|trouble| match trouble {
                Trouble::Fault(fault) => fault.result(),
                Trouble::Unreachable { .. } => "unreachable",
            });
        assert_eq!(got, expected, "{shown}");
        device.abort();
    }

    #[tokio::test]
    async fn an_answer_is_believed_only_if_everything_fits() {
        let right = [0, 1, 0, 0, 0, 7, 7, 3, 4, 0, 9, 1, 2];
        check(&right, Ok(&[9, 0x0102])).await;
        let with = |nth: usize, value: u8| {
            let mut answer = right;
            answer[nth] = value;
            answer
        };
        check(&with(1, 2), Err("foreign")).await; // another transaction
        check(&with(6, 8), Err("foreign")).await; // another unit
        check(&with(3, 1), Err("foreign")).await; // another protocol
        check(&with(4, 9), Err("foreign")).await; // longer than any frame
        check(&with(7, 4), Err("foreign")).await; // another function
        check(&[0, 1, 0, 0, 0, 5, 7, 3, 2, 0, 9], Err("length")).await;
        check(&[0, 1, 0, 0, 0, 3, 7, 0x83, 2], Err("exception")).await;
        check(&[0, 1, 0, 0, 0, 3, 7, 0x83, 0x0B], Err("gateway")).await;
        check(&right[..9], Err("timeout")).await;
        check(b"HTTP/1.1 400 Bad Request\r\n", Err("foreign")).await;
        check(&[], Err("lost")).await;
    }

    #[tokio::test]
    async fn nobody_at_the_port_is_told_by_its_kind() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (host, port) = (closed.ip().to_string(), closed.port());
        let mut master = Master::new(Transport::Tcp { host, port }, Duration::from_secs(1), Duration::ZERO);
        let got = master.server_id(1).await;
        assert!(
            matches!(
                &got,
                Err(Trouble::Unreachable {
                    kind: io::ErrorKind::ConnectionRefused,
                    ..
                })
            ),
            "{got:?}"
        );
        assert_eq!(master.n_requests(), 0);
    }
}
