//! One Modbus TCP connection: open it, ask one block, tell apart what can go wrong.
//!
//! It decides nothing about schedules or meters. Invariants: every wait has an end; bytes leave through the read-only
//! guard; after any [`Fault`] that is not an exception reply the connection is gone, so a late reply meets nobody.

use std::{fmt, io, time::Duration};

use tokio::{net::TcpStream, time::timeout};
use tokio_modbus::{
    ExceptionCode, ProtocolError, Slave,
    client::{Client, Context, Reader, tcp},
    prelude::SlaveContext,
};

use super::{
    Table, Transport,
    guard::{Framing, ReadOnly},
    plan::Read,
};

/// A connection may take this long even where devices answer faster: it crosses name servers, switches and, at a
/// gateway's start, its boot.
const CONNECT_AT_LEAST: Duration = Duration::from_secs(3);

/// Why a block was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing came within this time.
    TimedOut(Duration),
    /// The connection broke or carried no Modbus.
    Lost(String),
    /// The reply belongs to another request: transaction, unit or function differ.
    Foreign(String),
    /// The reply has another number of registers than asked for.
    Length { got: usize, wanted: u16 },
    /// The gateway answered in the meter's place (exceptions 0x0A and 0x0B).
    Gateway(ExceptionCode),
    /// The meter refused.
    Refused(ExceptionCode),
}

impl Fault {
    /// The label `result` of the counter `polls_total`.
    pub(super) fn result(&self) -> &'static str {
        match self {
            Self::TimedOut(_) => "timeout",
            Self::Lost(_) => "lost",
            Self::Foreign(_) => "foreign",
            Self::Length { .. } => "length",
            Self::Gateway(_) => "gateway",
            Self::Refused(_) => "exception",
        }
    }

    /// Whether the link itself failed, as one that lay idle for long may: worth one try on a fresh one. A time-out is
    /// not, it has already cost the bus its time.
    pub(super) fn may_pass_on_a_fresh_link(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Foreign(_))
    }

    /// Whether the reads, not the meter, were refused: a smaller block may be answered.
    pub(super) fn may_pass_in_parts(&self) -> bool {
        matches!(
            self,
            Self::Refused(ExceptionCode::IllegalDataAddress | ExceptionCode::IllegalDataValue)
        )
    }

    fn is_reply(&self) -> bool {
        matches!(self, Self::Gateway(_) | Self::Refused(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(limit) => write!(f, "no answer within {limit:?}"),
            Self::Lost(why) => write!(f, "connection lost: {why}"),
            Self::Foreign(why) => write!(f, "the answer belongs to another request: {why}"),
            Self::Length { got, wanted } => write!(f, "{got} registers instead of {wanted}"),
            Self::Gateway(code) => write!(
                f,
                "the gateway, not the meter, answered: {code} ({:#04x})",
                u8::from(*code)
            ),
            Self::Refused(code) => write!(f, "the meter refused: {code} ({:#04x})", u8::from(*code)),
        }
    }
}

/// An open connection.
pub(super) struct Link {
    context: Option<Context>,
    /// Whether it has carried an answer yet.
    pub(super) has_answered: bool,
}

/// Opens the connection of a bus, with an end to the wait.
pub(super) async fn open(transport: &Transport, answer_within: Duration) -> io::Result<Link> {
    let Transport::Tcp { host, port } = transport else {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "only tcp:// is in this version",
        ));
    };
    let limit = answer_within.max(CONNECT_AT_LEAST);
    let stream = timeout(limit, TcpStream::connect((host.as_str(), *port)))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {limit:?}")))??;
    stream.set_nodelay(true)?;
    let context = tcp::attach_slave(ReadOnly::new(stream, Framing::Mbap), Slave(0));
    Ok(Link {
        context: Some(context),
        has_answered: false,
    })
}

impl Link {
    /// Whether another block may be asked for.
    pub(super) fn is_open(&self) -> bool {
        self.context.is_some()
    }

    /// The registers of one block, as many as asked for.
    pub(super) async fn read(&mut self, read: &Read, limit: Duration) -> Result<Vec<u16>, Fault> {
        // Taken out while the call runs: if this future is dropped half-way, so is the connection.
        let mut context = self
            .context
            .take()
            .ok_or_else(|| Fault::Lost("it is closed".to_owned()))?;
        let answer = match timeout(limit, ask(&mut context, read)).await {
            Ok(answer) => judge(answer, read),
            Err(_) => Err(Fault::TimedOut(limit)),
        };
        if answer.as_ref().err().is_none_or(Fault::is_reply) {
            self.context = Some(context);
            self.has_answered = true;
        }
        answer
    }

    /// Says goodbye to the device; nothing to wait for.
    pub(super) async fn close(mut self) {
        if let Some(mut context) = self.context.take() {
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
        Ok(Err(code @ (ExceptionCode::GatewayPathUnavailable | ExceptionCode::GatewayTargetDevice))) => {
            Err(Fault::Gateway(code))
        }
        Ok(Err(code)) => Err(Fault::Refused(code)),
        Err(tokio_modbus::Error::Protocol(error)) => Err(Fault::Foreign(foreign(&error))),
        Err(tokio_modbus::Error::Transport(error)) => Err(Fault::Lost(lost(&error))),
    }
}

/// The library writes out its own types; a person needs what differs.
fn foreign(error: &ProtocolError) -> String {
    match error {
        ProtocolError::HeaderMismatch { .. } => "another transaction or unit".to_owned(),
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
    use tokio_modbus::{FunctionCode, Response};

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
                "the answer belongs to another request: another transaction or unit",
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
