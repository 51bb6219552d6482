//! Which line of a recording a byte stands on, whatever ends the lines.
//!
//! It takes no row apart; bytes pass through untouched. Invariant: a line is counted as every editor counts it.

use std::{
    collections::VecDeque,
    io::{self, Read},
};

/// A recording that knows where its lines end. The parser's own count is of `\n` before the place where it stopped, which
/// is between `\r` and `\n`, or before empty lines.
pub(super) struct LineEnds<R> {
    input: R,
    n_read: u64,
    ends_in_cr: bool,
    /// Line ends that were read and not yet passed, as the bytes they cover: `\n` or `\r\n`.
    ahead: VecDeque<(u64, u64)>,
    line: u64,
}

impl<R> LineEnds<R> {
    /// Before its first byte.
    pub(super) fn of(input: R) -> Self {
        Self {
            input,
            n_read: 0,
            ends_in_cr: false,
            ahead: VecDeque::new(),
            line: 1,
        }
    }

    /// The line of what stands at `byte` or after the line ends there. Places ascend.
    pub(super) fn line_at(&mut self, mut byte: u64) -> u64 {
        while let Some((start, end)) = self.ahead.front().copied()
            && start <= byte
        {
            self.ahead.pop_front();
            self.line += 1;
            byte = byte.max(end);
        }
        self.line
    }
}

impl<R: Read> Read for LineEnds<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        for byte in &buffer[..n] {
            if *byte == b'\n' {
                let start = self.n_read - u64::from(self.ends_in_cr);
                self.ahead.push_back((start, self.n_read + 1));
            }
            self.ends_in_cr = *byte == b'\r';
            self.n_read += 1;
        }
        Ok(n)
    }
}
