//! A serial line: its speed and framing, what they cost in time, and how its port is opened.
//!
//! It knows no frames. Sources: Modbus over Serial Line V1.02 for characters of 11 bits, 19200 8E1 as the default and
//! silences of 3.5 characters, fixed at 1.75 ms above 19200 baud.

use std::{io, path::Path, time::Duration};

use tokio_serial::{DataBits, SerialPortBuilderExt, SerialStream, StopBits};

/// Speed and framing of a serial line; always 8 data bits, as RTU wants them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Bits per second.
    pub baud: u32,
    /// The bit that guards a character.
    pub parity: Parity,
    /// Bits that end a character, 1 or 2.
    pub stop_bits: u8,
}

/// The bit that guards a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of every manual")]
pub enum Parity {
    None,
    Even,
    Odd,
}

impl Parity {
    /// Every parity with its name in configuration.
    pub const ALL: [(&'static str, Self); 3] = [("none", Self::None), ("even", Self::Even), ("odd", Self::Odd)];
}

impl Default for Line {
    fn default() -> Self {
        Self {
            baud: 19_200,
            parity: Parity::Even,
            stop_bits: 1,
        }
    }
}

/// Above this speed the silence between frames does not shrink any more.
const FIXED_ABOVE_BAUD: u32 = 19_200;

impl Line {
    /// What `n` characters take.
    pub fn characters(self, n: usize) -> Duration {
        let parity = u64::from(self.parity != Parity::None);
        let bits = n as u64 * (1 + 8 + parity + u64::from(self.stop_bits));
        Duration::from_nanos((bits * 1_000_000_000).div_ceil(u64::from(self.baud.max(1))))
    }

    /// The silence that ends a frame, t3.5.
    pub fn silence(self) -> Duration {
        if self.baud > FIXED_ABOVE_BAUD {
            Duration::from_micros(1750)
        } else {
            self.characters(7) / 2
        }
    }

    /// Opens the port, for this program alone.
    pub(super) fn open(self, path: &str) -> io::Result<SerialStream> {
        let parity = match self.parity {
            Parity::None => tokio_serial::Parity::None,
            Parity::Even => tokio_serial::Parity::Even,
            Parity::Odd => tokio_serial::Parity::Odd,
        };
        let stop_bits = if self.stop_bits == 2 {
            StopBits::Two
        } else {
            StopBits::One
        };
        let port = tokio_serial::new(path, self.baud)
            .data_bits(DataBits::Eight)
            .parity(parity)
            .stop_bits(stop_bits);
        port.open_native_async()
            .map_err(io::Error::from)
            .map_err(|error| match error.kind() {
                // The library says so of a port that another program has locked, too.
                io::ErrorKind::NotFound if Path::new(path).exists() => {
                    io::Error::new(io::ErrorKind::ResourceBusy, error)
                }
                _ => error,
            })
    }
}

/// As engineers write it: `9600 baud 8E1`.
impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parity = match self.parity {
            Parity::None => 'N',
            Parity::Even => 'E',
            Parity::Odd => 'O',
        };
        write!(f, "{} baud 8{parity}{}", self.baud, self.stop_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_and_silences_are_those_of_the_specification() {
        let line = |baud, parity, stop_bits| Line {
            baud,
            parity,
            stop_bits,
        };
        for (line, text, character_us, silence_us) in [
            (line(9600, Parity::Even, 1), "9600 baud 8E1", 1146, 4010), // 11 bits
            (line(9600, Parity::None, 1), "9600 baud 8N1", 1042, 3646), // 10 bits
            (line(19_200, Parity::Odd, 1), "19200 baud 8O1", 573, 2005),
            (line(19_200, Parity::None, 2), "19200 baud 8N2", 573, 2005),
            (line(115_200, Parity::Even, 1), "115200 baud 8E1", 95, 1750),
        ] {
            assert_eq!(line.to_string(), text);
            let us = |time: Duration| (time.as_nanos() as f64 / 1000.0).round() as u64;
            assert_eq!(
                (us(line.characters(1)), us(line.silence())),
                (character_us, silence_us),
                "{text}"
            );
        }
        assert_eq!(Line::default().to_string(), "19200 baud 8E1");
    }
}
