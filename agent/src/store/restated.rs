//! Restatements of past years: `restatements.jsonl` beside the database, one line each, only ever added to.
//!
//! A file of its own, because a command writes it while the agent holds the database; readers take it as it stands.
//! Invariant: a line once written is never changed; a line that cannot be read is an error with its number.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
};

use energy::carbon::restate::Restatement;

/// Name of the file in the store's folder, or in that of a replay.
const FILE: &str = "restatements.jsonl";

/// All restatements kept in `folder`, the oldest first; none where there is no file.
pub fn restatements(folder: &Path) -> io::Result<Vec<Restatement>> {
    let path = folder.join(FILE);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    let line = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            let why = format!("{} line {}: {error}", path.display(), number + 1);
            io::Error::new(io::ErrorKind::InvalidData, why)
        })
    };
    text.lines().enumerate().map(line).collect()
}

/// Adds a restatement to those of `folder`; when it returns, it is on the disk.
pub fn keep_restatement(folder: &Path, restatement: &Restatement) -> io::Result<()> {
    let line = serde_json::to_string(restatement)? + "\n";
    let mut file = OpenOptions::new().create(true).append(true).open(folder.join(FILE))?;
    file.write_all(line.as_bytes())?;
    file.sync_all()
}
