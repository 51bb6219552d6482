//! Modbus TCP as it stands on the wire, so that what is no answer can be told by its bytes.
//!
//! `tokio-modbus` speaks on a bus that runs; this is for single questions, and for gateways that answer with another
//! transaction number than the request's. Such a reply is believed only because nothing else was asked on its connection:
//! the caller closes it after every fault. Invariant: bytes leave through the read-only guard.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    fault::Fault,
    guard::{Framing, ReadOnly},
    pdu, rtu,
};

/// One connection, one request at a time.
pub(super) struct Mbap {
    stream: ReadOnly<Box<dyn rtu::Stream>>,
    transaction: u16,
    /// Whether a reply may have another number than its request.
    takes_any: bool,
}

/// What a reply of another number is, for people.
pub(super) const OTHER_TRANSACTION: &str =
    "another transaction; for a gateway that never gives back the request's number set any_transaction = true";

/// Bytes of a header: transaction, protocol, length, unit.
const HEADER: usize = 7;
/// Longest and shortest length that a header can say: unit and what the specification allows behind it.
const LENGTHS: std::ops::RangeInclusive<usize> = 3..=254;

impl Mbap {
    /// On an open stream.
    pub(super) fn new(stream: impl rtu::Stream + 'static, takes_any: bool) -> Self {
        Self {
            stream: ReadOnly::new(Box::new(stream), Framing::Mbap),
            transaction: 0,
            takes_any,
        }
    }

    /// Sends one request, function and data, and awaits its reply. After a fault that is no reply the connection is spent.
    pub(super) async fn ask(&mut self, unit: u8, request: &[u8]) -> Result<Vec<u8>, Fault> {
        let lost = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Lost("the device closed it".to_owned()),
            _ => Fault::Lost(error.to_string()),
        };
        self.transaction = self.transaction.wrapping_add(1);
        let [high, low] = self.transaction.to_be_bytes();
        let header = [high, low, 0, 0, 0, request.len() as u8 + 1, unit];
        let frame = [&header[..], request].concat();
        self.stream.write_all(&frame).await.map_err(lost)?;
        self.stream.flush().await.map_err(lost)?;
        let mut got = [0; HEADER];
        self.stream.read_exact(&mut got).await.map_err(lost)?;
        let length = usize::from(u16::from_be_bytes([got[4], got[5]]));
        if got[2..4] != [0, 0] || !LENGTHS.contains(&length) {
            return Err(Fault::Foreign(format!("no Modbus TCP header: {got:02x?}")));
        }
        let mut reply = vec![0; length - 1];
        self.stream.read_exact(&mut reply).await.map_err(lost)?;
        if got[6] != unit {
            return Err(Fault::Foreign(format!("unit {} instead of {unit}", got[6])));
        }
        if got[..2] != header[..2] && !self.takes_any {
            return Err(Fault::Foreign(OTHER_TRANSACTION.to_owned()));
        }
        pdu::judged(request, &reply)?;
        Ok(reply)
    }
}
