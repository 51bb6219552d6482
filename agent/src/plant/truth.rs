//! The truth about a run as JSON lines, for whoever scores what was found.
//!
//! It writes what [`Plant::truth`] says, nothing more. Invariant: the same plant and horizon give the same bytes.

use std::io::Write;

use jiff::Timestamp;

use super::Plant;

/// Writes one line per stretch of waste between `from` and `until`, by its beginning.
pub fn write(plant: &Plant, from: Timestamp, until: Timestamp, mut to: impl Write) -> std::io::Result<()> {
    for row in plant.truth(from, until) {
        serde_json::to_writer(&mut to, &row)?;
        to.write_all(b"\n")?;
    }
    to.flush()
}
