//! The promise "it only ever reads", kept where bytes leave: a byte stream that lets whole reading requests pass.
//!
//! Reading passes through untouched. It does not judge replies. Invariants: a request goes out only if it is whole, has
//! exactly the length of its kind and one of the functions 1–4, 0x11 or 0x2B with MEI type 0x0E; of any other request no
//! byte reaches the wire; after a refusal nothing goes out any more.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How requests are framed on this stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Modbus TCP: transaction, protocol 0, length, unit, then the request.
    Mbap,
    /// Modbus RTU: unit, the request, CRC.
    Rtu,
}

/// The longest admitted request: functions 1–4 in MBAP framing.
const LONGEST_REQUEST: usize = 12;
/// Bits that functions 1 and 2 may ask for, from the Modbus specification.
const MAX_BITS: u16 = 2000;

/// A stream that carries nothing but reading requests outward.
#[derive(Debug)]
pub struct ReadOnly<S> {
    stream: S,
    framing: Framing,
    /// The admitted request that is going out: its own copy, so that what was judged is what leaves.
    request: [u8; LONGEST_REQUEST],
    sent: usize,
    len: usize,
    has_refused: bool,
}

impl<S> ReadOnly<S> {
    /// Puts the guard around `stream`.
    pub fn new(stream: S, framing: Framing) -> Self {
        Self {
            stream,
            framing,
            request: [0; LONGEST_REQUEST],
            sent: 0,
            len: 0,
            has_refused: false,
        }
    }

    /// The bytes of the admitted request that may go out next, given that the caller wants to send `wanted`.
    fn admitted(&mut self, wanted: &[u8]) -> io::Result<usize> {
        if self.has_refused {
            return Err(refusal("a request was refused on this connection before"));
        }
        if self.sent == self.len {
            let len = admissible_len(self.framing, wanted).map_err(|why| self.refuse(why))?;
            self.request[..len].copy_from_slice(&wanted[..len]);
            (self.sent, self.len) = (0, len);
        }
        let left = &self.request[self.sent..self.len];
        let n = left.len().min(wanted.len());
        if wanted[..n] != left[..n] {
            return Err(self.refuse("its rest is not that of the request admitted"));
        }
        Ok(n)
    }

    fn refuse(&mut self, why: &str) -> io::Error {
        self.has_refused = true;
        refusal(why)
    }
}

fn refusal(why: &str) -> io::Error {
    let text = format!("request kept from the wire: {why}; only whole reading requests may pass");
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

/// The length of the reading request that `bytes` begin with, or why they do not begin with one.
fn admissible_len(framing: Framing, bytes: &[u8]) -> Result<usize, &'static str> {
    let (before, after) = match framing {
        Framing::Mbap => (7, 0), // transaction 2, protocol 2, length 2, unit 1
        Framing::Rtu => (1, 2),  // unit 1 … CRC 2
    };
    let &function = bytes.get(before).ok_or("too short to show its function code")?;
    let body = match function {
        1..=4 => 5,
        0x11 => 1,
        0x2B => 4,
        _ => return Err("its function code is none of 1-4, 0x11, 0x2B"),
    };
    let len = before + body + after;
    let request = bytes.get(before..before + body).ok_or("cut short")?;
    if bytes.len() < len {
        return Err("cut short");
    }
    match framing {
        Framing::Mbap if bytes[2..4] != [0, 0] => return Err("its protocol is not Modbus"),
        Framing::Mbap if usize::from(be16(&bytes[4..6])) != body + 1 => {
            return Err("its length is not that of its function");
        }
        Framing::Rtu if bytes[0] == 0 => return Err("a broadcast has no answer"),
        Framing::Mbap | Framing::Rtu => {}
    }
    check_body(request)?;
    Ok(len)
}

/// Whether a request of an admitted function asks only for what can be read.
fn check_body(request: &[u8]) -> Result<(), &'static str> {
    match request[0] {
        1 | 2 if !(1..=MAX_BITS).contains(&be16(&request[3..5])) => Err("it asks for none or more than 2000 bits"),
        3 | 4 if !(1..=super::MAX_REGISTERS).contains(&be16(&request[3..5])) => {
            Err("it asks for none or more than 125 registers")
        }
        0x2B if request[1] != 0x0E => Err("function 0x2B may carry MEI type 0x0E only"),
        0x2B if !(1..=4).contains(&request[2]) => Err("device identification knows read codes 1-4 only"),
        _ => Ok(()),
    }
}

fn be16(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadOnly<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadOnly<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, wanted: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if wanted.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let n = this.admitted(wanted)?;
        let bytes = &this.request[this.sent..this.sent + n];
        let poll = Pin::new(&mut this.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = poll {
            this.sent += written;
        }
        poll
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;
    use tokio_modbus::{Request, Slave, client};

    use super::*;

    /// A wire that takes at most `at_once` bytes a write and answers nothing.
    #[derive(Debug, Clone)]
    struct Wire {
        bytes: Arc<Mutex<Vec<u8>>>,
        at_once: usize,
    }

    impl Wire {
        fn new(at_once: usize) -> Self {
            Self {
                bytes: Arc::default(),
                at_once,
            }
        }

        fn bytes(&self) -> Vec<u8> {
            self.bytes.lock().unwrap().clone()
        }
    }

    impl AsyncRead for Wire {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(())) // the end of the stream
        }
    }

    impl AsyncWrite for Wire {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let n = bytes.len().min(self.at_once);
            self.bytes.lock().unwrap().extend(&bytes[..n]);
            Poll::Ready(Ok(n))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn mbap(request: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x12, 0x34, 0, 0, 0, request.len() as u8 + 1, 7];
        frame.extend(request);
        frame
    }

    fn rtu(request: &[u8]) -> Vec<u8> {
        let mut frame = vec![7];
        frame.extend(request);
        frame.extend([0xAA, 0xBB]);
        frame
    }

    type Framed = fn(&[u8]) -> Vec<u8>;
    const FRAMINGS: [(Framing, Framed); 2] = [(Framing::Mbap, mbap), (Framing::Rtu, rtu)];

    /// What reaches the wire when `bytes` are sent at one go.
    async fn sent(framing: Framing, bytes: &[u8], at_once: usize) -> (io::Result<()>, Vec<u8>) {
        let wire = Wire::new(at_once);
        let result = ReadOnly::new(wire.clone(), framing).write_all(bytes).await;
        (result, wire.bytes())
    }

    fn is_refused(result: &io::Result<()>) -> bool {
        result
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    }

    /// A request's body → whether it may pass, in both framings and however the wire cuts it.
    async fn check(request: &[u8], may_pass: bool) {
        for (framing, framed) in FRAMINGS {
            let frame = framed(request);
            for at_once in [1, 5, 300] {
                let (result, bytes) = sent(framing, &frame, at_once).await;
                if may_pass {
                    assert!(result.is_ok(), "{framing:?} {request:02x?}: {result:?}");
                    assert_eq!(bytes, frame);
                } else {
                    assert!(is_refused(&result), "{framing:?} {request:02x?}: {result:?}");
                    assert!(
                        bytes.is_empty(),
                        "{framing:?} {request:02x?} put {bytes:02x?} on the wire"
                    );
                }
            }
        }
    }

    #[tokio::test]
    async fn whole_reading_requests_pass_unchanged() {
        for function in 1..=4 {
            check(&[function, 0, 100, 0, 10], true).await;
        }
        check(&[3, 0, 100, 0, 125], true).await;
        check(&[1, 0, 100, 0x07, 0xD0], true).await;
        check(&[0x11], true).await;
        check(&[0x2B, 0x0E, 1, 0], true).await;
    }

    #[tokio::test]
    async fn anything_else_is_refused_before_its_first_byte() {
        check(&[3, 0, 100, 0, 0], false).await; // no registers
        check(&[4, 0, 100, 0, 126], false).await;
        check(&[2, 0, 100, 0x07, 0xD1], false).await;
        check(&[0x2B, 0x0D, 1, 0], false).await; // carries CANopen writes
        check(&[0x2B, 0x0E, 5, 0], false).await;
        check(&[5, 0, 100, 0xFF, 0], false).await;
        check(&[0x17, 0, 0, 0, 1, 0, 0, 0, 1, 2, 0, 0], false).await;
        check(&[3, 0], false).await;
        check(&[], false).await;
    }

    #[tokio::test]
    async fn no_function_code_but_the_reading_ones_leaves_in_any_length() {
        for function in 0..=255_u8 {
            for length in [1, 4, 5, 12] {
                let mut request = vec![0; length];
                request[length - 1] = 1; // one register, where the length is that of a read
                request[0] = function;
                for (framing, framed) in FRAMINGS {
                    let (_, bytes) = sent(framing, &framed(&request), 300).await;
                    let may_pass = matches!(function, 1..=4 | 0x11 | 0x2B);
                    assert!(may_pass || bytes.is_empty(), "{framing:?} {function:#04x}");
                }
            }
        }
    }

    #[tokio::test]
    async fn the_library_can_send_no_write_whatever_it_is_asked() {
        use std::borrow::Cow;
        for function in 0..=255_u8 {
            let request = match function {
                0x05 => Request::WriteSingleCoil(1, true),
                0x06 => Request::WriteSingleRegister(1, 1),
                0x0F => Request::WriteMultipleCoils(1, Cow::Borrowed(&[true])),
                0x10 => Request::WriteMultipleRegisters(1, Cow::Borrowed(&[1])),
                0x16 => Request::MaskWriteRegister(1, 1, 1),
                0x17 => Request::ReadWriteMultipleRegisters(1, 1, 1, Cow::Borrowed(&[1])),
                1 => Request::ReadCoils(1, 1),
                2 => Request::ReadDiscreteInputs(1, 1),
                3 => Request::ReadHoldingRegisters(1, 1),
                4 => Request::ReadInputRegisters(1, 1),
                0x11 => Request::ReportServerId,
                custom => Request::Custom(custom, Cow::Borrowed(&[0, 1, 0, 1])),
            };
            for framing in [Framing::Mbap, Framing::Rtu] {
                let wire = Wire::new(300);
                let guard = ReadOnly::new(wire.clone(), framing);
                let mut context = match framing {
                    Framing::Mbap => client::tcp::attach_slave(guard, Slave(7)),
                    Framing::Rtu => client::rtu::attach_slave(guard, Slave(7)),
                };
                // Above 0x7F a function code is an exception's: the library may refuse before the guard does.
                let outcome = client::Client::call(&mut context, request.clone()).await;
                assert!(outcome.is_err(), "{function:#04x}: nobody answers here");
                let may_pass = matches!(function, 1..=4 | 0x11);
                assert_eq!(
                    !wire.bytes().is_empty(),
                    may_pass,
                    "{framing:?} {function:#04x}: {:02x?}",
                    wire.bytes()
                );
            }
        }
    }

    #[tokio::test]
    async fn a_false_header_is_refused() {
        let read = mbap(&[3, 0, 100, 0, 10]);
        for (nth, value) in [(2, 1), (3, 1), (4, 1), (5, 5), (5, 7), (5, 0)] {
            let mut frame = read.clone();
            frame[nth] = value;
            let (result, bytes) = sent(Framing::Mbap, &frame, 300).await;
            assert!(is_refused(&result) && bytes.is_empty(), "byte {nth} = {value}");
        }
        let (result, bytes) = sent(Framing::Rtu, &[0, 3, 0, 100, 0, 10, 0xAA, 0xBB], 300).await;
        assert!(is_refused(&result) && bytes.is_empty(), "a broadcast");
    }

    #[tokio::test]
    async fn a_write_behind_a_read_is_refused_and_so_is_all_that_follows() {
        let read = mbap(&[3, 0, 100, 0, 10]);
        let mut both = read.clone();
        both.extend(mbap(&[6, 0, 100, 0, 10]));
        let wire = Wire::new(5);
        let mut guard = ReadOnly::new(wire.clone(), Framing::Mbap);
        assert!(is_refused(&guard.write_all(&both).await));
        assert_eq!(wire.bytes(), read);
        assert!(is_refused(&guard.write_all(&read).await), "the guard stays shut");
        assert_eq!(wire.bytes(), read);
    }

    #[tokio::test]
    async fn the_rest_of_a_request_cannot_be_exchanged() {
        let read = mbap(&[3, 0, 100, 0, 10]);
        let wire = Wire::new(5);
        let mut guard = ReadOnly::new(wire.clone(), Framing::Mbap);
        assert_eq!(guard.write(&read).await.unwrap(), 5);
        assert!(is_refused(&guard.write_all(&mbap(&[6, 0, 100, 0, 10])).await));
        assert_eq!(wire.bytes(), read[..5]);
    }

    proptest! {
        #[test]
        fn whatever_is_written_the_wire_sees_reads_only(
            chunks in prop::collection::vec(prop::collection::vec(0_u8..20, 0..20), 0..6),
            reads in prop::collection::vec(any::<bool>(), 6),
            at_once in 1_usize..20
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            for (framing, framed) in FRAMINGS {
                let wire = Wire::new(at_once);
                let mut guard = ReadOnly::new(wire.clone(), framing);
                let mut admitted = 0;
                runtime.block_on(async {
                    // Among what may be anything are whole reads, so that a guard that lets nothing pass is seen too.
                    for (chunk, is_read) in chunks.iter().zip(&reads) {
                        let read = framed(&[3, 0, 100, 0, 10]);
                        let sent = guard.write_all(if *is_read { &read } else { chunk }).await;
                        admitted += if *is_read && sent.is_ok() { read.len() } else { 0 };
                    }
                });
                let bytes = wire.bytes();
                prop_assert!(bytes.len() >= admitted);
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let len = admissible_len(framing, rest);
                    prop_assert!(len.is_ok(), "{framing:?} {rest:02x?}");
                    rest = &rest[len.unwrap()..];
                }
            }
        }
    }
}
