//! RTU frames on a byte stream, a serial line or a gateway that passes them on: one request, its answer, nothing else's.
//!
//! RTU has no transaction number, so an answer is believed only if unit, function, length and CRC are those of the
//! request, and a late one must meet nobody: before each request the line is drained until it is silent; after a time-out
//! the same unit is asked again only when it has had as long again for its answer. (What comes later still cannot be told
//! from the next answer by anybody; `plausible.rs` looks at the values.) Invariants: bytes leave through the read-only
//! guard; every wait has an end.

use std::{collections::BTreeMap, io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout, timeout_at},
};

use super::{
    Line,
    guard::{Framing, ReadOnly},
    link::Fault,
    pdu,
    plan::Read,
};
use crate::clock::monotonic;

/// A byte stream of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// After trouble a stream counts as silent when nothing came for this long: gateways and USB adapters hand bytes over in
/// lumps up to 16 ms apart.
const SETTLED: Duration = Duration::from_millis(20);

/// Bytes that are drained at most before a request: no frame is longer than 256, and more than a few are no late answers.
const DRAINED_AT_MOST: usize = 4096;

/// No frame is longer, from the specification.
const LONGEST_FRAME: usize = 256;

/// The end of an RTU line at which requests leave.
pub(super) struct Wire {
    stream: ReadOnly<Box<dyn Stream>>,
    /// What characters cost; `None` where a gateway keeps the line's times.
    line: Option<Line>,
    /// When the line was last known to be busy.
    busy: Instant,
    /// Units whose answers may still come, and until when.
    owing: BTreeMap<u8, Instant>,
    /// Whether the last exchange ended in anything but an answer.
    is_troubled: bool,
}

impl Wire {
    /// A wire on an open stream; with `line` its silences are kept here.
    pub(super) fn new(stream: impl Stream + 'static, line: Option<Line>) -> Self {
        Self {
            stream: ReadOnly::new(Box::new(stream), Framing::Rtu),
            line,
            busy: monotonic(),
            owing: BTreeMap::new(),
            is_troubled: true, // what lies in it already was not meant for us
        }
    }

    /// Asks for one block and awaits its answer for `limit`, beside what the characters take.
    pub(super) async fn exchange(&mut self, read: &Read, limit: Duration) -> Result<Vec<u16>, Fault> {
        let request = pdu::read(read.table, read.at, read.count);
        let reply = self.ask(read.unit, &request, limit).await?;
        Ok(pdu::registers(&reply))
    }

    /// Sends one request, function and data, and awaits its reply for `limit`, beside what the characters take.
    pub(super) async fn ask(&mut self, unit: u8, request: &[u8], limit: Duration) -> Result<Vec<u8>, Fault> {
        self.drain(unit).await?;
        let n_characters = request.len() + 3 + reply_characters(request);
        let limit_on_line = limit + self.line.map_or(Duration::ZERO, |line| line.characters(n_characters));
        let (asked, frame) = (monotonic(), framed(unit, request));
        let answer = timeout(limit_on_line, async {
            self.stream.write_all(&frame).await.map_err(|error| lost(&error))?;
            self.stream.flush().await.map_err(|error| lost(&error))?;
            receive(&mut self.stream, unit, request).await
        });
        let answer = answer.await.unwrap_or(Err(Fault::TimedOut(limit)));
        self.busy = monotonic();
        self.is_troubled = answer.as_ref().err().is_some_and(|fault| !fault.is_reply());
        if self.is_troubled {
            self.owing.insert(unit, asked + limit_on_line * 2);
        } else {
            self.owing.remove(&unit);
        }
        answer
    }

    /// Until when some unit may still owe an answer.
    pub(super) fn owed_until(&self) -> Option<Instant> {
        self.owing.values().max().copied()
    }

    /// Throws away what comes until the line is silent for long enough to ask `unit`.
    async fn drain(&mut self, unit: u8) -> Result<(), Fault> {
        let silence = self.line.map_or(Duration::ZERO, Line::silence);
        let settled = if self.is_troubled {
            silence.max(SETTLED)
        } else {
            silence
        };
        let mut silent_at = self.busy + settled;
        if let Some(until) = self.owing.remove(&unit) {
            silent_at = silent_at.max(until);
        }
        let (mut buffer, mut drained) = ([0; 256], 0);
        while let Ok(got) = timeout_at(silent_at, self.stream.read(&mut buffer)).await {
            match got {
                Ok(0) => return Err(ended()),
                Ok(n) => drained += n,
                Err(error) => return Err(lost(&error)),
            }
            if drained > DRAINED_AT_MOST {
                return Err(Fault::Foreign(
                    "the line is never silent; is another master on it?".to_owned(),
                ));
            }
            // Perhaps not what this unit owes: the wait for that goes on.
            silent_at = silent_at.max(monotonic() + silence.max(SETTLED));
        }
        Ok(())
    }
}

/// A request as it goes over the line.
fn framed(unit: u8, request: &[u8]) -> Vec<u8> {
    let body = [&[unit], request].concat();
    [&body[..], &crc(&body)].concat()
}

/// Characters of a reply at most.
fn reply_characters(request: &[u8]) -> usize {
    pdu::wanted_registers(request).map_or(LONGEST_FRAME, |count| 5 + 2 * usize::from(count))
}

/// The reply to `request`, function and data, if that is what comes.
async fn receive(stream: &mut (impl AsyncRead + Unpin), unit: u8, request: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut frame = vec![0; 3];
    fill(stream, &mut frame).await?;
    let rest = rest_length([frame[0], frame[1], frame[2]], unit, request)?;
    if frame[1] == pdu::IDENTIFICATION {
        more(stream, &mut frame, 5).await?; // read code, conformity, two marks, number of objects
        for _ in 0..frame[7] {
            more(stream, &mut frame, 2).await?;
            let length = frame[frame.len() - 1];
            more(stream, &mut frame, length.into()).await?;
            if frame.len() > LONGEST_FRAME {
                return Err(Fault::Foreign(
                    "an identification longer than a frame may be".to_owned(),
                ));
            }
        }
    }
    more(stream, &mut frame, rest).await?;
    let sum = frame.split_off(frame.len() - 2);
    if crc(&frame)[..] != sum {
        return Err(Fault::Damaged);
    }
    let reply = frame.split_off(1);
    pdu::judged(request, &reply)?;
    Ok(reply)
}

async fn more(stream: &mut (impl AsyncRead + Unpin), frame: &mut Vec<u8>, n: usize) -> Result<(), Fault> {
    let have = frame.len();
    frame.resize(have + n, 0);
    fill(stream, &mut frame[have..]).await
}

async fn fill(stream: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> Result<(), Fault> {
    match stream.read_exact(buffer).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ended()),
        Err(error) => Err(lost(&error)),
    }
}

/// Bytes that must follow a frame's first three, of an exception and of what says its own length later the CRC alone; or
/// why it is not our answer.
fn rest_length([got, code, length]: [u8; 3], unit: u8, request: &[u8]) -> Result<usize, Fault> {
    let wanted = request[0];
    if got != unit {
        return Err(Fault::Foreign(format!("unit {got} instead of {unit}")));
    }
    if code == wanted | 0x80 {
        return Ok(2);
    }
    if code != wanted {
        return Err(Fault::Foreign(format!("function {code} instead of {wanted}")));
    }
    if code == pdu::IDENTIFICATION {
        return Ok(2);
    }
    match pdu::wanted_registers(request) {
        Some(wanted) if usize::from(length) != 2 * usize::from(wanted) => Err(Fault::Length {
            got: usize::from(length) / 2,
            wanted,
        }),
        _ => Ok(usize::from(length) + 2),
    }
}

/// CRC-16/MODBUS, low byte first as it goes over the line.
fn crc(bytes: &[u8]) -> [u8; 2] {
    let shifted = |crc: u16| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xA001 };
    let crc = bytes.iter().fold(0xFFFF, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte), |crc, _| shifted(crc))
    });
    crc.to_le_bytes()
}

fn ended() -> Fault {
    Fault::Lost("the line ended: adapter unplugged, or closed by the gateway".to_owned())
}

fn lost(error: &io::Error) -> Fault {
    Fault::Lost(error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::acquire::modbus::Table;

    fn read(unit: u8, table: Table, at: u16, count: u16) -> (u8, [u8; 5]) {
        (unit, pdu::read(table, at, count))
    }

    fn request((unit, request): (u8, [u8; 5])) -> Vec<u8> {
        framed(unit, &request)
    }

    async fn received(bytes: &[u8], (unit, request): (u8, [u8; 5])) -> Result<Vec<u16>, Fault> {
        let reply = receive(&mut &*bytes, unit, &request).await?;
        Ok(pdu::registers(&reply))
    }

    fn summed(frame: &[u8]) -> Vec<u8> {
        [frame, &crc(frame)].concat()
    }

    /// The bytes that come → registers, or the fault's name in the counters.
    fn check(read: (u8, [u8; 5]), bytes: &[u8], expected: Result<&[u16], &str>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let got = runtime.block_on(received(bytes, read));
        let got = got.as_deref().map_err(Fault::result);
        assert_eq!(got, expected, "{bytes:02x?}");
    }

    #[test]
    fn frames_are_those_of_the_specification() {
        // Modbus over Serial Line V1.02, and the sums that manuals print beside their examples.
        let holding = read(1, Table::Holding, 0, 10);
        assert_eq!(request(holding), [0x01, 0x03, 0x00, 0x00, 0x00, 0x0A, 0xC5, 0xCD]);
        let input = read(1, Table::Input, 0, 2);
        assert_eq!(request(input), [0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB]);
        check(
            input,
            &[0x01, 0x04, 0x04, 0x43, 0x66, 0x33, 0x34, 0x1B, 0x38],
            Ok(&[0x4366, 0x3334]),
        );
        check(
            input,
            &summed(&[1, 4, 4, 0x43, 0x66, 0x33, 0x34]),
            Ok(&[0x4366, 0x3334]),
        );
    }

    #[test]
    fn an_answer_is_believed_only_if_everything_fits() {
        let asked = read(7, Table::Holding, 100, 2);
        let right = summed(&[7, 3, 4, 0, 100, 0, 101]);
        check(asked, &right, Ok(&[100, 101]));
        check(asked, &[&right[..], &[0xFF]].concat(), Ok(&[100, 101])); // what follows is drained
        check(asked, &summed(&[8, 3, 4, 0, 100, 0, 101]), Err("foreign"));
        check(asked, &summed(&[7, 4, 4, 0, 100, 0, 101]), Err("foreign"));
        check(asked, &summed(&[7, 3, 2, 0, 100]), Err("length"));
        check(asked, &summed(&[7, 0x83, 2]), Err("exception"));
        check(asked, &summed(&[7, 0x84, 2]), Err("foreign"));
        check(asked, &summed(&[7, 0x83, 0x0B]), Err("gateway"));
        check(asked, &right[..right.len() - 1], Err("lost")); // the stream ended
        check(asked, &[], Err("lost"));
        // Our own request, as an adapter that hears itself gives it back.
        check(asked, &request(asked), Err("length"));
    }

    #[tokio::test]
    async fn an_identification_says_its_own_length() {
        let request = pdu::identification(1, 0);
        let reply = [0x2B, 0x0E, 1, 0x81, 0, 0, 2, 0, 2, b'A', b'B', 1, 1, b'C'];
        let frame = summed(&[&[7], &reply[..]].concat());
        assert_eq!(receive(&mut &*frame, 7, &request).await.as_deref(), Ok(&reply[..]));
        let refused = summed(&[7, 0xAB, 1]);
        let fault = receive(&mut &*refused, 7, &request).await.unwrap_err();
        assert_eq!(fault.result(), "exception");
        let endless = [&[7, 0x2B, 0x0E, 1, 0x81, 0, 0, 255][..], &[0, 250].repeat(400)].concat();
        let fault = receive(&mut &*endless, 7, &request).await.unwrap_err();
        assert_eq!(fault.result(), "foreign");
    }

    proptest! {
        #[test]
        fn no_flipped_bit_is_believed(words in prop::collection::vec(any::<u16>(), 1..=125), bit: prop::sample::Index) {
            let asked = read(7, Table::Holding, 0, words.len() as u16);
            let mut frame = vec![7, 3, (words.len() * 2) as u8];
            frame.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            let mut frame = summed(&frame);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            prop_assert_eq!(runtime.block_on(received(&frame, asked)).ok(), Some(words));
            let bit = bit.index(frame.len() * 8);
            frame[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(runtime.block_on(received(&frame, asked)).is_err());
        }

        #[test]
        fn whatever_comes_nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), count in 1_u16..=125) {
            let asked = read(bytes.first().copied().unwrap_or(1), Table::Holding, 0, count);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            if let Ok(words) = runtime.block_on(received(&bytes, asked)) {
                prop_assert_eq!(words.len(), usize::from(count));
            }
        }
    }
}
