//! A configuration of any text: checked or refused, every error inside the text. Secrets are not read from disk.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use wattwarden::config::{
    self, Secrets,
    diagnostic::{Paint, Source},
};

fuzz_target!(|text: &str| {
    if let Err(found) = config::parse(Source::new("fuzz.toml", text), Path::new("."), Secrets::LeaveOut) {
        assert!(!found.is_empty(), "refused without a word");
        for diagnostic in found {
            assert!(!diagnostic.render(Paint::PLAIN).is_empty());
        }
    }
});
