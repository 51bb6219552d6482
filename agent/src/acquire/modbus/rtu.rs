//! The end of an RTU line, a serial one or a gateway that passes frames on: one request, its reply, nothing else's.
//!
//! RTU has no transaction number, so an answer to something else of the same unit, function and length looks like the
//! awaited one (`frame.rs` tells all others). What is done about it, `units.rs` keeping the books:
//! * A unit that owes an answer is left alone for a while, then asked for a number of registers that none of the owed
//!   answers can have. It answers in the order in which it was asked, so what is owed has come, or never will, once that
//!   one has come. What is owed outlives the connection: a converter may answer the next one.
//! * An answer said again word for word, by a repeater, is not taken for that of the next block; one that comes alone, where the
//!   right one was lost, is asked for a second time, as often as its block can bear.
//! * A unit is watched at first, after a lost answer, and where it was heard without having been asked: what it says in
//!   a poll is believed only if as many answers came as were asked for. Each time that it was believed again too early it
//!   is watched for longer.
//!
//! What is left: a unit that is not watched, to whose questions two devices begin to answer, is believed for one poll, and so
//! may be a unit that answers late and in another order than it was asked in.
//! Invariants: bytes leave through the read-only guard; every wait has an end; a watched unit costs the others no more
//! than the time in which it usually answers, twice.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout, timeout_at},
};

use super::{
    Line,
    fault::Fault,
    frame::{self, Found, framed},
    guard::{Framing, ReadOnly},
    pdu,
    units::{Unit, Units},
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

/// A line on which bytes come for so long without a pause is never silent: the longest frame takes 2.4 s at 1200 baud.
const LONGEST_SPEECH: Duration = Duration::from_secs(3);

/// The end of an RTU line at which requests leave.
pub(super) struct Wire {
    stream: ReadOnly<Box<dyn Stream>>,
    /// What characters cost; `None` where a gateway keeps the line's times.
    line: Option<Line>,
    /// When the line was last known to be busy.
    busy: Instant,
    /// Bytes behind the last reply, which may be the beginning of another.
    left: Vec<u8>,
    units: Units,
    /// Whether the last exchange ended in anything but an answer.
    is_troubled: bool,
    /// Whether it ended by waiting for one in vain, which shows that none was too many.
    has_waited: bool,
    /// From the last request that was answered, or refused, to the answer, without what was waited for behind it.
    pub(super) answered_in: Duration,
}

impl Wire {
    /// A wire on an open stream, and what is known of the units on it; with `line` its silences are kept here.
    pub(super) fn new(stream: impl Stream + 'static, line: Option<Line>, units: Units) -> Self {
        Self {
            stream: ReadOnly::new(Box::new(stream), Framing::Rtu),
            line,
            busy: monotonic(),
            left: Vec::new(),
            units,
            is_troubled: true, // what lies in it already was not meant for us
            has_waited: false,
            answered_in: Duration::ZERO,
        }
    }

    /// What is known of the units, for the next connection.
    pub(super) fn into_units(self) -> Units {
        self.units
    }

    /// How long `unit` is left alone yet, because it owes an answer.
    pub(super) fn alone(&mut self, unit: u8) -> Duration {
        self.units.alone(unit, monotonic())
    }

    /// How long answers of `unit` may come yet because of which it was only asked something else, in vain.
    pub(super) fn in_doubt(&mut self, unit: u8) -> Option<Duration> {
        self.units.of(unit).in_doubt(monotonic())
    }

    /// Begins a poll of `unit`, which ends in [`Wire::confirm`].
    pub(super) async fn begin(&mut self, unit: u8) -> Result<(), Fault> {
        self.drain(self.busy).await?;
        self.units.of(unit).begin();
        Ok(())
    }

    /// Whether what came since [`Wire::begin`] may be believed: of a watched unit, as many answers as were asked for.
    pub(super) async fn confirm(&mut self, unit: u8, limit: Duration) -> Result<(), Fault> {
        let known = self.units.of(unit);
        if !known.is_watched(monotonic()) {
            return Ok(());
        }
        if !self.has_waited {
            let patience = known.patience(SETTLED, limit);
            let mut bytes = std::mem::take(&mut self.left);
            let (mut until, at_last) = (self.busy + patience, self.busy + patience + LONGEST_SPEECH);
            // A line that ends says nothing more: whoever asks next will notice.
            while let Ok(Ok(1..)) = timeout_at(until.min(at_last), self.stream.read_buf(&mut bytes)).await {
                self.is_troubled = true;
                until = until.max(monotonic() + SETTLED); // an answer may come in pieces
            }
            self.units.overheard(&bytes);
        }
        if self.units.of(unit).confirm(!self.has_waited) {
            return Ok(());
        }
        Err(one_too_many(unit))
    }

    /// Sends one request, function and data, and awaits its reply for `limit`, beside what the characters take. Where more
    /// must be asked, the line rests for `pause` between.
    pub(super) async fn ask(
        &mut self,
        unit: u8,
        request: &[u8],
        limit: Duration,
        pause: Duration,
    ) -> Result<Vec<u8>, Fault> {
        if let Some(alone_until) = self.units.of(unit).owes(monotonic()) {
            self.drain(alone_until).await?;
            self.settle(unit, request, limit, pause).await?;
        }
        let known = self.units.of(unit);
        known.is_asked_for(request);
        let former = known.told(request).map(<[u8]>::to_vec);
        let reply = self.ask_now(unit, request, limit, Unit::went_unanswered).await?;
        if !self.units.of(unit).is_asked_again(request, &reply, former.as_deref()) {
            return Ok(reply);
        }
        self.drain(self.busy + pause).await?;
        let asked = monotonic();
        let again = self.ask_now(unit, request, limit, Unit::went_unanswered).await;
        let said_other = again.as_ref().is_ok_and(|again| *again != reply);
        self.units.of(unit).was_asked_again(request, said_other);
        let second = match again {
            Err(fault) if fault.is_silence() || fault.is_reply() => Box::new(fault),
            Err(Fault::Damaged) if !self.has_waited => Box::new(Fault::Damaged),
            again => return again,
        };
        // The right one to the first question may come yet.
        self.units.of(unit).is_doubted(asked, limit);
        // It has answered once: it is neither silent nor without these registers.
        let words = pdu::registers(&reply);
        Err(Fault::Unconfirmed { words, second })
    }

    /// Asks a unit that owes answers for what none of them can be. A refusal may be one of them; one more than are owed
    /// is not.
    async fn settle(&mut self, unit: u8, request: &[u8], limit: Duration, pause: Duration) -> Result<(), Fault> {
        let n_owed = self.units.of(unit).n_owed();
        for nth in 0..=n_owed {
            let question = self.units.of(unit).question_apart(request, nth);
            match self.ask_now(unit, &question, limit, Unit::went_unanswered_apart).await {
                Err(fault) if !fault.is_reply() => return Err(fault),
                answer => {
                    self.drain(self.busy + pause).await?;
                    if answer.is_ok() {
                        break;
                    }
                }
            }
        }
        self.units.of(unit).is_settled();
        Ok(())
    }

    /// Asks; a request that gets no answer is booked by `unanswered`.
    async fn ask_now(
        &mut self,
        unit: u8,
        request: &[u8],
        limit: Duration,
        unanswered: fn(&mut Unit, &[u8], Instant, Duration),
    ) -> Result<Vec<u8>, Fault> {
        self.drain(self.busy).await?;
        let n_characters = request.len() + 3 + frame::reply_characters(request);
        let limit_on_line = limit + self.line.map_or(Duration::ZERO, |line| line.characters(n_characters));
        let asked = monotonic();
        let mut bytes = Vec::with_capacity(frame::LONGEST);
        let exchange = self.exchange(unit, request, asked + limit_on_line, &mut bytes);
        let answer = timeout(limit_on_line, exchange).await;
        self.busy = monotonic();
        self.has_waited = answer.is_err();
        let answer = answer.unwrap_or_else(|_| {
            let instead = frame::find(&bytes, unit, request, true);
            self.units.overheard(&bytes);
            unanswered(self.units.of(unit), request, asked, limit_on_line);
            match instead {
                Found::Nothing(Some(fault)) => Err(fault),
                _ => Err(Fault::TimedOut(limit)),
            }
        });
        self.is_troubled = answer.is_err();
        if !self.has_waited && answer.as_ref().is_err_and(|fault| !fault.is_reply()) {
            self.units.of(unit).is_doubted(asked, limit_on_line);
        }
        answer
    }

    async fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.stream.write_all(frame).await?;
        self.stream.flush().await
    }

    /// The reply to one request; `bytes` is what came so far.
    async fn exchange(
        &mut self,
        unit: u8,
        request: &[u8],
        deadline: Instant,
        bytes: &mut Vec<u8>,
    ) -> Result<Vec<u8>, Fault> {
        let (frame, asked) = (framed(unit, request), monotonic());
        self.send(&frame).await.map_err(|error| lost(&error))?;
        let known = self.units.of(unit);
        let is_watched = known.is_watched(asked) || known.n_owed() > 0;
        let patience = known.patience(SETTLED, deadline.saturating_duration_since(asked));
        // Replies that may be earlier ones said again, or a broken one, and until when the right one may follow.
        let (mut repeated, mut is_broken, mut until): (Vec<Vec<u8>>, _, _) = (Vec::new(), false, deadline);
        let (mut from, mut first_in) = (0, Duration::ZERO);
        self.hear_echo(&frame, bytes).await?;
        loop {
            match frame::find(&bytes[from..], unit, request, is_watched) {
                Found::Reply(reply, place) => {
                    let (begins, ends) = (from + place.start, from + place.end);
                    let now = monotonic();
                    self.units.overheard(&bytes[from..begins]);
                    let known = self.units.of(unit);
                    if repeated.is_empty() {
                        first_in = now - asked;
                    }
                    if known.may_repeat_itself(request, &reply, now) {
                        until = until.min(now + patience);
                        repeated.push(reply);
                        from = ends;
                        continue;
                    }
                    if !repeated.is_empty() {
                        known.repeated_itself();
                    }
                    known.took(now - asked);
                    known.answered(request, &reply);
                    self.answered_in = now - asked;
                    self.left = bytes.split_off(ends);
                    return Ok(reply);
                }
                Found::Bad(fault) => {
                    self.answered_in = monotonic() - asked;
                    self.units.of(unit).refused(request, &fault);
                    return Err(fault);
                }
                Found::Nothing(_) if bytes.len() > MOST_BYTES => return Err(never_silent()),
                Found::Nothing(Some(Fault::Damaged)) if !is_broken => {
                    is_broken = true;
                    until = until.min(monotonic() + patience);
                }
                Found::Nothing(_) => {}
            }
            if repeated.is_empty() && !is_broken {
                came(self.stream.read_buf(bytes).await)?;
                continue;
            }
            if let Ok(read) = timeout_at(until, self.stream.read_buf(bytes)).await {
                came(read)?;
                continue;
            }
            let known = self.units.of(unit);
            let says_twice = known.says_twice();
            known.is_alike();
            let reply = only(repeated, says_twice)?;
            known.took(first_in);
            known.answered(request, &reply);
            self.answered_in = first_in;
            return Ok(reply);
        }
    }

    /// Takes away the `request` that an adapter hears itself send. Byte by byte it may look like an answer, whole or broken, and
    /// an answer like it: that one nothing follows.
    async fn hear_echo(&mut self, request: &[u8], bytes: &mut Vec<u8>) -> Result<(), Fault> {
        came(self.stream.read_buf(bytes).await)?;
        while bytes.len() < request.len() && request.starts_with(bytes) {
            match timeout(SETTLED, self.stream.read_buf(bytes)).await {
                Ok(read) => came(read)?,
                Err(_) => return Ok(()),
            };
        }
        if bytes.starts_with(request) {
            bytes.drain(..request.len());
        }
        Ok(())
    }

    /// Throws away what comes until `at_least` and until the line is silent for long enough to ask.
    async fn drain(&mut self, at_least: Instant) -> Result<(), Fault> {
        let silence = self.line.map_or(Duration::ZERO, Line::silence);
        let settled = if self.is_troubled {
            silence.max(SETTLED)
        } else {
            silence
        };
        let mut silent_at = at_least.max(self.busy + settled);
        let at_last = silent_at.max(monotonic()) + LONGEST_SPEECH;
        let mut drained = std::mem::take(&mut self.left);
        while let Ok(read) = timeout_at(silent_at, self.stream.read_buf(&mut drained)).await {
            came(read)?;
            if drained.len() > MOST_BYTES || monotonic() > at_last {
                return Err(never_silent());
            }
            silent_at = silent_at.max(monotonic() + silence.max(SETTLED));
        }
        self.units.overheard(&drained);
        Ok(())
    }
}

/// The reply, where nothing came but what earlier ones said too: two blocks may have one content. Of a unit that says all
/// twice the earlier answer comes beside the reply.
fn only(mut repeated: Vec<Vec<u8>>, says_twice: bool) -> Result<Vec<u8>, Fault> {
    let is_alone = repeated.len() == 1;
    repeated.dedup();
    match repeated.pop() {
        None => Err(Fault::Damaged),
        Some(reply) if repeated.is_empty() && !(is_alone && says_twice) => Ok(reply),
        Some(_) => Err(Fault::Foreign("answers to earlier requests, said again".to_owned())),
    }
}

/// More answers than requests.
pub(super) fn one_too_many(unit: u8) -> Fault {
    Fault::Foreign(format!(
        "an answer came more than was asked for, so none is believed: a late one, or two devices with unit id {unit}"
    ))
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
