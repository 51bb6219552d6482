//! The connection of a bus, of whatever kind: open it, ask one block, tell apart what can go wrong.
//!
//! It decides nothing about schedules or meters. Invariants: every wait has an end; bytes leave through the read-only
//! guard; after a [`Fault`] that is not an exception reply, a connection that numbers its requests is gone and one that
//! does not watches its unit (`rtu.rs`), so that a late reply becomes no value.

use std::{fmt, io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::{Instant, sleep_until, timeout},
};
use tokio_modbus::{
    ProtocolError, Slave,
    client::{Client, Context, Reader, tcp},
    prelude::SlaveContext,
};

use super::{
    Config, Table, Transport,
    fault::Fault,
    guard::{Framing, ReadOnly},
    mbap::{Mbap, OTHER_TRANSACTION},
    pdu,
    plan::Read,
    rtu,
    units::Units,
};
use crate::clock::monotonic;

/// A connection may take this long even where devices answer faster: it crosses name servers, switches and, at a
/// gateway's start, its boot.
pub(super) const CONNECT_AT_LEAST: Duration = Duration::from_secs(3);

/// An open connection.
pub(super) struct Link {
    wire: Option<Wire>,
    /// What was known of an RTU line's units when it was closed.
    units: Units,
    /// Whether it has carried an answer yet.
    pub(super) has_answered: bool,
    /// What the device took for the last answer, from the request on.
    pub(super) answered_in: Duration,
    /// The next request leaves no sooner.
    rests_until: Instant,
    /// Time-outs in a row, of whichever unit.
    timeouts: u32,
}

/// Time-outs in a row after which even a line that could be drained is opened anew: a converter that restarted does not
/// know the connection any more, and says nothing for ever; a USB adapter may hang.
const DEAD_AFTER: u32 = 3;

/// What a request goes out on.
enum Wire {
    /// Modbus TCP, plain or in TLS: the library numbers requests and compares.
    Numbered(Box<Context>),
    /// The same, of a gateway that answers by other numbers.
    Misnumbered(Box<Mbap>),
    /// RTU frames.
    Unnumbered(Box<rtu::Wire>),
}

/// Opens the connection of a bus, on which `units` are known already, with an end to the wait.
pub(super) async fn open(config: &Config, units: &Units) -> io::Result<Link> {
    let limit = config.timeout.max(CONNECT_AT_LEAST);
    let wire = timeout(limit, wire(config, units.clone()))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {limit:?}")))??;
    Ok(Link {
        wire: Some(wire),
        units: Units::default(),
        has_answered: false,
        answered_in: Duration::ZERO,
        rests_until: monotonic(),
        timeouts: 0,
    })
}

async fn wire(config: &Config, units: Units) -> io::Result<Wire> {
    Ok(match &config.transport {
        Transport::Tcp { host, port } => mbap(connected(host, *port).await?, config),
        Transport::Tls { host, port, tls } => mbap(tls.connect(host, connected(host, *port).await?).await?, config),
        Transport::RtuOverTcp { host, port } => unnumbered(rtu::Wire::new(connected(host, *port).await?, None, units)),
        Transport::Rtu { path, line } => unnumbered(rtu::Wire::new(line.open(path)?, Some(*line), units)),
    })
}

pub(super) async fn connected(host: &str, port: u16) -> io::Result<TcpStream> {
    let unknown = |error: io::Error| io::Error::new(io::ErrorKind::NotFound, format!("{host}: {error}"));
    let addresses: Vec<_> = lookup_host((host, port)).await.map_err(unknown)?.collect();
    let stream = TcpStream::connect(&*addresses).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn mbap(stream: impl AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin + 'static, config: &Config) -> Wire {
    if config.any_transaction {
        return Wire::Misnumbered(Box::new(Mbap::new(stream, true)));
    }
    Wire::Numbered(Box::new(tcp::attach_slave(
        ReadOnly::new(stream, Framing::Mbap),
        Slave(0),
    )))
}

fn unnumbered(wire: rtu::Wire) -> Wire {
    Wire::Unnumbered(Box::new(wire))
}

impl Link {
    /// How long `unit` is left alone yet; where answers have numbers, a late one is no danger.
    pub(super) fn alone(&mut self, unit: u8) -> Duration {
        match &mut self.wire {
            Some(Wire::Unnumbered(wire)) => wire.alone(unit),
            _ => self.units.alone(unit, monotonic()),
        }
    }

    /// How long answers of `unit` may come yet because of which it was only asked something else, in vain.
    pub(super) fn in_doubt(&mut self, unit: u8) -> Option<Duration> {
        match &mut self.wire {
            Some(Wire::Unnumbered(wire)) => wire.in_doubt(unit),
            _ => self.units.of(unit).in_doubt(monotonic()),
        }
    }

    /// Whether another block may be asked for.
    pub(super) fn is_open(&self) -> bool {
        self.wire.is_some()
    }

    /// The registers of one block, as many as asked for; the line then rests for `pause`.
    pub(super) async fn read(&mut self, read: &Read, limit: Duration, pause: Duration) -> Result<Vec<u16>, Fault> {
        // Only where there is a rest to wait for: the timer takes a millisecond even for an instant that has passed.
        if monotonic() < self.rests_until {
            sleep_until(self.rests_until).await;
        }
        // Taken out while the call runs: if this future is dropped half-way, so is the connection.
        let mut wire = self.wire.take().ok_or_else(|| Fault::Lost("it is closed".to_owned()))?;
        let asked = monotonic();
        let answer = match &mut wire {
            Wire::Numbered(context) => match timeout(limit, ask(context, read)).await {
                Ok(answer) => judge(answer, read),
                Err(_) => Err(Fault::TimedOut(limit)),
            },
            Wire::Misnumbered(mbap) => {
                let request = pdu::read(read.table, read.at, read.count);
                let reply = timeout(limit, mbap.ask(read.unit, &request)).await;
                let reply = reply.unwrap_or(Err(Fault::TimedOut(limit)));
                reply.map(|reply| pdu::registers(&reply))
            }
            Wire::Unnumbered(wire) => {
                let request = pdu::read(read.table, read.at, read.count);
                let reply = wire.ask(read.unit, &request, limit, pause).await;
                reply.map(|reply| pdu::registers(&reply))
            }
        };
        let now = monotonic();
        self.rests_until = now + pause;
        let has_answered = answer.as_ref().err().is_none_or(Fault::is_reply);
        self.timeouts = match answer {
            Err(Fault::TimedOut(_)) => self.timeouts + 1,
            _ => 0,
        };
        if has_answered {
            self.has_answered = true;
            self.answered_in = match &wire {
                Wire::Unnumbered(wire) => wire.answered_in,
                Wire::Numbered(_) | Wire::Misnumbered(_) => now - asked,
            };
        }
        let stays = match &wire {
            Wire::Unnumbered(_) => self.timeouts < DEAD_AFTER && !matches!(answer, Err(Fault::Lost(_))),
            Wire::Numbered(_) | Wire::Misnumbered(_) => has_answered,
        };
        self.keep(wire, stays);
        answer
    }

    fn keep(&mut self, wire: Wire, stays: bool) {
        match wire {
            wire if stays => self.wire = Some(wire),
            Wire::Unnumbered(wire) => self.units = wire.into_units(),
            Wire::Numbered(_) | Wire::Misnumbered(_) => {}
        }
    }

    /// What is known of the units of a line that is closed, for the next one.
    pub(super) fn into_units(self) -> Units {
        match self.wire {
            Some(Wire::Unnumbered(wire)) => wire.into_units(),
            _ => self.units,
        }
    }

    /// Begins a poll of `unit`, which ends in [`Link::confirm`].
    pub(super) async fn begin(&mut self, unit: u8) -> Result<(), Fault> {
        let Some(Wire::Unnumbered(mut wire)) = self.wire.take_if(|wire| matches!(wire, Wire::Unnumbered(_))) else {
            return Ok(());
        };
        let begun = wire.begin(unit).await;
        self.keep(Wire::Unnumbered(wire), !matches!(begun, Err(Fault::Lost(_))));
        begun
    }

    /// Whether what `unit` said since [`Link::begin`] may be believed: no answer stands in the place of another.
    pub(super) async fn confirm(&mut self, unit: u8, limit: Duration) -> Result<(), Fault> {
        let Some(Wire::Unnumbered(mut wire)) = self.wire.take_if(|wire| matches!(wire, Wire::Unnumbered(_))) else {
            let is_strayed = self.wire.is_none() && self.units.is_strayed(unit);
            return if is_strayed {
                Err(rtu::one_too_many(unit))
            } else {
                Ok(())
            };
        };
        let confirmed = wire.confirm(unit, limit).await;
        self.keep(Wire::Unnumbered(wire), !matches!(confirmed, Err(Fault::Lost(_))));
        confirmed
    }

    /// Says goodbye to the device; nothing to wait for.
    pub(super) async fn close(mut self) {
        if let Some(Wire::Numbered(mut context)) = self.wire.take() {
            // The connection is going anyway: an error here has no one to act on it.
            drop(context.disconnect().await);
        }
    }
}

async fn ask(context: &mut Context, read: &Read) -> tokio_modbus::Result<Vec<u16>> {
    context.set_slave(Slave(read.unit));
    match read.table {
        Table::Holding => context.read_holding_registers(read.at, read.count).await,
        Table::Input => context.read_input_registers(read.at, read.count).await,
    }
}

fn judge(answer: tokio_modbus::Result<Vec<u16>>, read: &Read) -> Result<Vec<u16>, Fault> {
    match answer {
        Ok(Ok(words)) if words.len() == usize::from(read.count) => Ok(words),
        Ok(Ok(words)) => Err(Fault::Length {
            got: words.len(),
            wanted: read.count,
        }),
        Ok(Err(code)) => Err(Fault::of_exception(code)),
        Err(tokio_modbus::Error::Protocol(error)) => Err(Fault::Foreign(foreign(&error))),
        Err(tokio_modbus::Error::Transport(error)) => Err(Fault::Lost(lost(&error))),
    }
}

/// The library writes out its own types; a person needs what differs.
fn foreign(error: &ProtocolError) -> String {
    match error {
        ProtocolError::HeaderMismatch { .. } => format!("another unit, or {OTHER_TRANSACTION}"),
        ProtocolError::FunctionCodeMismatch { request, result } => {
            let answered = match result {
                Ok(response) => response.function_code(),
                Err(refusal) => refusal.function,
            };
            format!("function {} instead of {}", answered.value(), request.value())
        }
    }
}

/// The library reports a peer that closed as whatever system error happened last; only its own kinds mean something.
fn lost(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::PermissionDenied => {
            error.to_string()
        }
        _ => "the device closed it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tokio_modbus::{ExceptionCode, FunctionCode, Response};

    use super::*;

    #[test]
    fn what_went_wrong_is_written_for_people() {
        let read = Read {
            meter: 0,
            unit: 1,
            table: Table::Holding,
            at: 0,
            count: 2,
            points: vec![],
            every: None,
        };
        let mismatch = |result| ProtocolError::FunctionCodeMismatch {
            request: FunctionCode::ReadHoldingRegisters,
            result,
        };
        let header = ProtocolError::HeaderMismatch {
            message: "Header { transaction_id: 1 }".into(),
            result: Ok(Response::WriteSingleRegister(1, 2)),
        };
        for (answer, expected) in [
            (
                Err(mismatch(Ok(Response::WriteSingleRegister(1, 2))).into()),
                "the answer belongs to another request: function 6 instead of 3",
            ),
            (
                Err(header.into()),
                "the answer belongs to another request: another unit, or another transaction; for a gateway that never gives \
                 back the request's number set any_transaction = true",
            ),
            (Ok(Ok(vec![1])), "1 registers instead of 2"),
            (
                Ok(Err(ExceptionCode::IllegalDataAddress)),
                "the meter refused: Illegal data address (0x02)",
            ),
        ] {
            assert_eq!(judge(answer, &read).unwrap_err().to_string(), expected);
        }
    }
}
