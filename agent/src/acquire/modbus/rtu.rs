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
use tokio_modbus::ExceptionCode;

use super::{
    Line, Table,
    guard::{Framing, ReadOnly},
    link::Fault,
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
        self.drain(read.unit).await?;
        let wanted = 5 + 2 * usize::from(read.count);
        let limit_on_line = limit + self.line.map_or(Duration::ZERO, |line| line.characters(8 + wanted));
        let (asked, frame) = (monotonic(), request(read));
        let answer = timeout(limit_on_line, async {
            self.stream.write_all(&frame).await.map_err(|error| lost(&error))?;
            self.stream.flush().await.map_err(|error| lost(&error))?;
            receive(&mut self.stream, read).await
        });
        let answer = answer.await.unwrap_or(Err(Fault::TimedOut(limit)));
        self.busy = monotonic();
        self.is_troubled = answer.as_ref().err().is_some_and(|fault| !fault.is_reply());
        if self.is_troubled {
            self.owing.insert(read.unit, asked + limit_on_line * 2);
        } else {
            self.owing.remove(&read.unit);
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

/// The frame that asks for a block.
fn request(read: &Read) -> [u8; 8] {
    let ([at_high, at_low], [count_high, count_low]) = (read.at.to_be_bytes(), read.count.to_be_bytes());
    let mut frame = [
        read.unit,
        function(read.table),
        at_high,
        at_low,
        count_high,
        count_low,
        0,
        0,
    ];
    let crc = crc(&frame[..6]);
    frame[6..].copy_from_slice(&crc);
    frame
}

fn function(table: Table) -> u8 {
    match table {
        Table::Holding => 3,
        Table::Input => 4,
    }
}

/// The registers of the answer to `read`, if that is what comes.
async fn receive(stream: &mut (impl AsyncRead + Unpin), read: &Read) -> Result<Vec<u16>, Fault> {
    let mut frame = vec![0; 3];
    fill(stream, &mut frame).await?;
    let rest = rest_length([frame[0], frame[1], frame[2]], read)?;
    frame.resize(3 + rest, 0);
    fill(stream, &mut frame[3..]).await?;
    judged(&frame, read)
}

async fn fill(stream: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> Result<(), Fault> {
    match stream.read_exact(buffer).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ended()),
        Err(error) => Err(lost(&error)),
    }
}

/// Bytes that must follow a frame's first three, of an exception its CRC alone; or why it is not our answer.
fn rest_length([unit, code, length]: [u8; 3], read: &Read) -> Result<usize, Fault> {
    let wanted = function(read.table);
    if unit != read.unit {
        return Err(Fault::Foreign(format!("unit {unit} instead of {}", read.unit)));
    }
    if code == wanted | 0x80 {
        return Ok(2);
    }
    if code != wanted {
        return Err(Fault::Foreign(format!("function {code} instead of {wanted}")));
    }
    if usize::from(length) != 2 * usize::from(read.count) {
        return Err(Fault::Length {
            got: usize::from(length) / 2,
            wanted: read.count,
        });
    }
    Ok(usize::from(length) + 2)
}

/// A whole frame of the right unit, function and length: its registers, or what its CRC or exception says.
fn judged(frame: &[u8], read: &Read) -> Result<Vec<u16>, Fault> {
    let (body, sum) = frame.split_at(frame.len() - 2);
    if crc(body) != *sum {
        return Err(Fault::Damaged);
    }
    if body[1] & 0x80 != 0 {
        return Err(Fault::of_exception(ExceptionCode::new(body[2])));
    }
    debug_assert_eq!(body.len(), 3 + 2 * usize::from(read.count));
    let words = body[3..].chunks_exact(2);
    Ok(words.map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect())
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

    fn read(unit: u8, table: Table, at: u16, count: u16) -> Read {
        Read {
            meter: 0,
            unit,
            table,
            at,
            count,
            every: None,
            points: vec![],
        }
    }

    fn summed(frame: &[u8]) -> Vec<u8> {
        [frame, &crc(frame)].concat()
    }

    /// The bytes that come → registers, or the fault's name in the counters.
    fn check(read: &Read, bytes: &[u8], expected: Result<&[u16], &str>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let got = runtime.block_on(receive(&mut &*bytes, read));
        let got = got.as_deref().map_err(Fault::result);
        assert_eq!(got, expected, "{bytes:02x?}");
    }

    #[test]
    fn frames_are_those_of_the_specification() {
        // Modbus over Serial Line V1.02, and the sums that manuals print beside their examples.
        let holding = read(1, Table::Holding, 0, 10);
        assert_eq!(request(&holding), [0x01, 0x03, 0x00, 0x00, 0x00, 0x0A, 0xC5, 0xCD]);
        let input = read(1, Table::Input, 0, 2);
        assert_eq!(request(&input), [0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB]);
        check(
            &input,
            &[0x01, 0x04, 0x04, 0x43, 0x66, 0x33, 0x34, 0x1B, 0x38],
            Ok(&[0x4366, 0x3334]),
        );
        check(
            &input,
            &summed(&[1, 4, 4, 0x43, 0x66, 0x33, 0x34]),
            Ok(&[0x4366, 0x3334]),
        );
    }

    #[test]
    fn an_answer_is_believed_only_if_everything_fits() {
        let asked = read(7, Table::Holding, 100, 2);
        let right = summed(&[7, 3, 4, 0, 100, 0, 101]);
        check(&asked, &right, Ok(&[100, 101]));
        check(&asked, &[&right[..], &[0xFF]].concat(), Ok(&[100, 101])); // what follows is drained
        check(&asked, &summed(&[8, 3, 4, 0, 100, 0, 101]), Err("foreign"));
        check(&asked, &summed(&[7, 4, 4, 0, 100, 0, 101]), Err("foreign"));
        check(&asked, &summed(&[7, 3, 2, 0, 100]), Err("length"));
        check(&asked, &summed(&[7, 0x83, 2]), Err("exception"));
        check(&asked, &summed(&[7, 0x84, 2]), Err("foreign"));
        check(&asked, &summed(&[7, 0x83, 0x0B]), Err("gateway"));
        check(&asked, &right[..right.len() - 1], Err("lost")); // the stream ended
        check(&asked, &[], Err("lost"));
        // Our own request, as an adapter that hears itself gives it back.
        check(&asked, &request(&asked), Err("length"));
    }

    proptest! {
        #[test]
        fn no_flipped_bit_is_believed(words in prop::collection::vec(any::<u16>(), 1..=125), bit: prop::sample::Index) {
            let asked = read(7, Table::Holding, 0, words.len() as u16);
            let mut frame = vec![7, 3, (words.len() * 2) as u8];
            frame.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            let mut frame = summed(&frame);
            prop_assert_eq!(judged(&frame, &asked).ok(), Some(words));
            let bit = bit.index(frame.len() * 8);
            frame[bit / 8] ^= 1 << (bit % 8);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            prop_assert!(runtime.block_on(receive(&mut &*frame, &asked)).is_err());
        }

        #[test]
        fn whatever_comes_nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), count in 1_u16..=125) {
            let asked = read(bytes.first().copied().unwrap_or(1), Table::Holding, 0, count);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            if let Ok(words) = runtime.block_on(receive(&mut &*bytes, &asked)) {
                prop_assert_eq!(words.len(), usize::from(count));
            }
        }
    }
}
