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
