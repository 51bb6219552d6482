//! A meter profile of any text: taken or refused, every error inside the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wattwarden::config::{
    diagnostic::{Paint, Source},
    model::model,
};

fuzz_target!(|text: &str| {
    let found = match model("fuzz", Source::new("fuzz.toml", text)) {
        Ok((_, warnings)) => warnings,
        Err(found) => {
            assert!(!found.is_empty(), "refused without a word");
            found
        }
    };
    for diagnostic in found {
        assert!(!diagnostic.render(Paint::PLAIN).is_empty());
    }
});
