//! The end of an RTU line, a serial one or a gateway that passes frames on: one request, its reply, nothing else's.
//!
//! RTU has no transaction number, so a late answer of the same unit, function and length cannot be told from the one that
//! is awaited (`frame.rs` tells all others). After a time-out its unit is left alone for a while. For longer it is in doubt:
//! a late answer betrays itself by what follows, there is an answer more than there were requests, so between
//! [`Wire::begin`] and [`Wire::confirm`] nothing may come that was not asked for, or none of it is believed. (Two late
//! answers that overlap in that time cannot be told by anybody; `plausible.rs` looks at the values.) Invariants: bytes leave
//! through the read-only guard; every wait has an end; a unit in doubt costs the others no more than the time in which it
//! usually answers, twice.

use std::{collections::BTreeMap, io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout, timeout_at},
};

use super::{
    Line,
    fault::Fault,
    frame::{self, Found, framed},
    guard::{Framing, ReadOnly},
};
use crate::clock::monotonic;

/// A byte stream of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// After trouble a stream counts as silent when nothing came for this long: gateways and USB adapters hand bytes over in
/// lumps up to 16 ms apart.
const SETTLED: Duration = Duration::from_millis(20);

/// Bytes that are taken from the line at most before or for one request: no frame is longer than 256, and more than a few
/// are no late answers.
const MOST_BYTES: usize = 4096;

/// For so many time limits after a request that got no answer its unit is asked for nothing.
const ALONE_LIMITS: u32 = 3;

/// For so many time limits one may still come: converters and meters queue requests.
const DOUBT_LIMITS: u32 = 20;

/// The end of an RTU line at which requests leave.
pub(super) struct Wire {
    stream: ReadOnly<Box<dyn Stream>>,
    /// What characters cost; `None` where a gateway keeps the line's times.
    line: Option<Line>,
    /// When the line was last known to be busy.
    busy: Instant,
    /// Units that owe an answer.
    owing: BTreeMap<u8, Owed>,
    /// The longest that each unit has taken to answer while nothing was owed.
    usual: BTreeMap<u8, Duration>,
    /// Bytes that came without having been asked for since [`Wire::begin`].
    strays: usize,
    /// Whether the last exchange ended in anything but an answer.
    is_troubled: bool,
    /// Whether it ended by waiting for one in vain, which shows that none was too many.
    has_waited: bool,
}

/// An answer that did not come in time.
struct Owed {
    /// Its unit is asked again no sooner.
    alone_until: Instant,
    /// It may come until then.
    until: Instant,
}

impl Wire {
    /// A wire on an open stream; with `line` its silences are kept here.
    pub(super) fn new(stream: impl Stream + 'static, line: Option<Line>) -> Self {
        Self {
            stream: ReadOnly::new(Box::new(stream), Framing::Rtu),
            line,
            busy: monotonic(),
            owing: BTreeMap::new(),
            usual: BTreeMap::new(),
            strays: 0,
            is_troubled: true, // what lies in it already was not meant for us
            has_waited: false,
        }
    }

    /// Begins a poll of `unit`. Where it may owe an answer, what it says until [`Wire::confirm`] is not to be believed
    /// before that: then true.
    pub(super) async fn begin(&mut self, unit: u8) -> Result<bool, Fault> {
        let now = monotonic();
        self.owing.retain(|_, owed| owed.until > now);
        let Some(owed) = self.owing.get(&unit) else {
            return Ok(false);
        };
        self.drain(owed.alone_until).await?;
        self.strays = 0;
        Ok(true)
    }

    /// Whether as many answers came as were asked for since [`Wire::begin`].
    pub(super) async fn confirm(&mut self, unit: u8, limit: Duration) -> Result<(), Fault> {
        if !self.has_waited {
            let usual = self.usual.get(&unit).map_or(limit, |usual| *usual * 2);
            let until = self.busy + usual.max(SETTLED).min(limit);
            let mut buffer = [0; frame::LONGEST];
            if let Ok(read) = timeout_at(until, self.stream.read(&mut buffer)).await {
                self.strays += came(read)?;
                self.is_troubled = true;
            }
        }
        if self.strays == 0 {
            return Ok(());
        }
        Err(Fault::Foreign(
            "an answer came more than was asked for: a late one may stand in the place of another".to_owned(),
        ))
    }

    /// Sends one request, function and data, and awaits its reply for `limit`, beside what the characters take.
    pub(super) async fn ask(&mut self, unit: u8, request: &[u8], limit: Duration) -> Result<Vec<u8>, Fault> {
        self.strays += self.drain(self.busy).await?;
        let n_characters = request.len() + 3 + frame::reply_characters(request);
        let limit_on_line = limit + self.line.map_or(Duration::ZERO, |line| line.characters(n_characters));
        let (asked, mut instead) = (monotonic(), None);
        let answer = timeout(limit_on_line, self.exchange(unit, request, &mut instead)).await;
        self.busy = monotonic();
        self.has_waited = answer.is_err();
        let answer = answer.unwrap_or_else(|_| Err(instead.unwrap_or(Fault::TimedOut(limit))));
        self.is_troubled = answer.as_ref().err().is_some_and(|fault| !fault.is_reply());
        if self.has_waited {
            let owed = Owed {
                alone_until: asked + limit_on_line * ALONE_LIMITS,
                until: asked + limit_on_line * DOUBT_LIMITS,
            };
            self.owing.insert(unit, owed);
        } else if !self.is_troubled && !self.owing.contains_key(&unit) {
            let usual = self.usual.entry(unit).or_default();
            *usual = (*usual).max(self.busy - asked);
        }
        answer
    }

    /// How long after a time-out of `limit` a unit is asked for nothing yet: who has others to ask asks them.
    pub(super) fn alone(limit: Duration) -> Duration {
        limit * (ALONE_LIMITS - 1)
    }

    /// Until when a line that is opened anew could not know whose late answer comes.
    pub(super) fn owed_until(&self) -> Option<Instant> {
        self.owing.values().map(|owed| owed.alone_until).max()
    }

    /// The reply to one request; `instead` is what came while there was none.
    async fn exchange(&mut self, unit: u8, request: &[u8], instead: &mut Option<Fault>) -> Result<Vec<u8>, Fault> {
        let frame = framed(unit, request);
        self.stream.write_all(&frame).await.map_err(|error| lost(&error))?;
        self.stream.flush().await.map_err(|error| lost(&error))?;
        let owes = self.owing.contains_key(&unit);
        let mut bytes = Vec::with_capacity(frame::LONGEST);
        loop {
            came(self.stream.read_buf(&mut bytes).await)?;
            match frame::find(&bytes, unit, request, owes) {
                Found::Reply(reply, n_around) => {
                    self.strays += n_around;
                    return Ok(reply);
                }
                Found::Bad(fault) => return Err(fault),
                Found::Nothing(_) if bytes.len() > MOST_BYTES => return Err(never_silent()),
                Found::Nothing(fault) => *instead = fault,
            }
        }
    }

    /// Throws away what comes until `at_least` and until the line is silent for long enough to ask; how many bytes that were.
    async fn drain(&mut self, at_least: Instant) -> Result<usize, Fault> {
        let silence = self.line.map_or(Duration::ZERO, Line::silence);
        let settled = if self.is_troubled {
            silence.max(SETTLED)
        } else {
            silence
        };
        let mut silent_at = at_least.max(self.busy + settled);
        let (mut buffer, mut drained) = ([0; frame::LONGEST], 0);
        while let Ok(read) = timeout_at(silent_at, self.stream.read(&mut buffer)).await {
            drained += came(read)?;
            if drained > MOST_BYTES {
                return Err(never_silent());
            }
            silent_at = silent_at.max(monotonic() + silence.max(SETTLED));
        }
        Ok(drained)
    }
}

/// Bytes that came; the end of the stream is an error.
fn came(read: io::Result<usize>) -> Result<usize, Fault> {
    match read {
        Ok(0) => Err(Fault::Lost(
            "the line ended: adapter unplugged, or closed by the gateway".to_owned(),
        )),
        Ok(n) => Ok(n),
        Err(error) => Err(lost(&error)),
    }
}

fn never_silent() -> Fault {
    Fault::Foreign("the line is never silent; is another master on it?".to_owned())
}

fn lost(error: &io::Error) -> Fault {
    Fault::Lost(error.to_string())
}
