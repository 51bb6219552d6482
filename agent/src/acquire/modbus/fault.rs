//! Why a block was not read, and what its kind allows.
//!
//! It tells nobody and tries nothing again. Invariant: each kind has one word, the label `result` of what is counted.

use std::{fmt, time::Duration};

use tokio_modbus::ExceptionCode;

/// Why a block was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing came within this time.
    TimedOut(Duration),
    /// The connection broke or carried no Modbus.
    Lost(String),
    /// The reply belongs to another request: transaction, unit or function differ.
    Foreign(String),
    /// The reply has another number of registers than asked for.
    Length {
        /// Registers that came.
        got: usize,
        /// Registers that were asked for.
        wanted: u16,
    },
    /// The reply's sum of control is wrong: noise, or two devices with one unit id.
    Damaged,
    /// The gateway answered in the meter's place (exceptions 0x0A and 0x0B).
    Gateway(ExceptionCode),
    /// The meter refused.
    Refused(ExceptionCode),
    /// The answer reads as that to another request, and a second question did not confirm it.
    Unconfirmed {
        /// The registers that came.
        words: Vec<u16>,
        /// What came of the second question.
        second: Box<Fault>,
    },
    /// The SunSpec model that is to be read is not in the device, or no longer where it was.
    Layout(String),
}

impl Fault {
    /// The label `result` of the counter `polls_total`.
    pub fn result(&self) -> &'static str {
        match self {
            Self::TimedOut(_) => "timeout",
            Self::Lost(_) => "lost",
            Self::Foreign(_) | Self::Unconfirmed { .. } => "foreign",
            Self::Length { .. } => "length",
            Self::Damaged => "damaged",
            Self::Gateway(_) => "gateway",
            Self::Refused(_) => "exception",
            Self::Layout(_) => "layout",
        }
    }

    /// Whether the link itself failed, as one that lay idle for long may: worth one try on a fresh one. A time-out is
    /// not, it has already cost the bus its time.
    pub(super) fn may_pass_on_a_fresh_link(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Foreign(_))
    }

    /// Whether the read, not the meter, was refused: a smaller block may be answered. A device that is busy says so of any.
    pub fn may_pass_in_parts(&self) -> bool {
        matches!(self, Self::Refused(code) if !matches!(code, ExceptionCode::Acknowledge | ExceptionCode::ServerDeviceBusy))
    }

    /// Whether nobody answered in the meter's name: it may be away, or silent where it does not have a register.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::TimedOut(_) | Self::Gateway(_))
    }

    /// Whether a device has answered, if only to refuse.
    pub fn is_reply(&self) -> bool {
        matches!(self, Self::Gateway(_) | Self::Refused(_) | Self::Unconfirmed { .. })
    }

    /// Whether the device said no by itself; for a gateway to say that one does not answer takes its time-out.
    pub fn is_refused_at_once(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Gateway(code) => *code == ExceptionCode::GatewayPathUnavailable,
            Self::Unconfirmed { second, .. } => second.is_refused_at_once(),
            _ => false,
        }
    }

    /// Whether it was read, but not confirmed, by a device that owes no answer now: others may be asked for at once.
    pub(super) fn is_unconfirmed_at_once(&self) -> bool {
        matches!(self, Self::Unconfirmed { second, .. } if !matches!(**second, Self::TimedOut(_)))
    }

    /// Who speaks by this exception: 0x0A and 0x0B are a gateway's own words.
    pub fn of_exception(code: ExceptionCode) -> Self {
        match code {
            ExceptionCode::GatewayPathUnavailable | ExceptionCode::GatewayTargetDevice => Self::Gateway(code),
            code => Self::Refused(code),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(limit) => write!(f, "no answer within {limit:?}"),
            Self::Lost(why) => write!(f, "connection lost: {why}"),
            Self::Foreign(why) => write!(f, "the answer belongs to another request: {why}"),
            Self::Length { got, wanted } => write!(f, "{got} registers instead of {wanted}"),
            Self::Damaged => write!(
                f,
                "the answer is damaged (CRC); check cable, termination, speed and parity, and that no two devices have one \
                 unit id"
            ),
            Self::Gateway(code) => write!(
                f,
                "the gateway, not the meter, answered: {code} ({:#04x})",
                u8::from(*code)
            ),
            Self::Refused(code) => write!(f, "the meter refused: {code} ({:#04x})", u8::from(*code)),
            Self::Unconfirmed { second, .. } => {
                write!(
                    f,
                    "the answer reads as that to another request, and at a second asking: {second}"
                )
            }
            Self::Layout(why) => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A busy meter is asked again soon; a gateway that waits for a dead one is not.
    #[test]
    fn only_what_costs_the_line_nothing_is_refused_at_once() {
        let fault = |code: u8| Fault::of_exception(ExceptionCode::new(code));
        for code in [1, 2, 3, 4, 5, 6, 8, 0x0A] {
            assert!(fault(code).is_refused_at_once(), "exception {code}");
        }
        let slow = [fault(0x0B), Fault::TimedOut(Duration::from_millis(500)), Fault::Damaged];
        for fault in slow {
            assert!(!fault.is_refused_at_once(), "{fault}");
        }
    }
}
