//! A mapping, and a recording read by it: the two are parted by the first NUL.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wattwarden::{
    acquire::csv::Rows,
    config::{diagnostic::Source, mapping},
};

fuzz_target!(|text: &str| {
    let (mapped, recording) = text.split_once('\0').unwrap_or((text, ""));
    if let Ok(mapping) = mapping::parse(Source::new("map.toml", mapped), None)
        && let Ok(rows) = Rows::open(recording.as_bytes(), Some(&mapping))
    {
        assert!(rows.count() <= recording.len() + 1);
    }
});
