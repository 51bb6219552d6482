//! The content of a log row whose checksum is right: an entry, or a reason, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wattwarden::store::Entry;

fuzz_target!(|body: &[u8]| {
    if let Err(error) = Entry::from_body(1, body) {
        assert!(!error.to_string().is_empty());
    }
});
