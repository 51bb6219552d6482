//! Every file that is shipped in `config/` loads, and says what its sources say.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::{Path, PathBuf};

use wattwarden::config::{self, Loaded, mapping};

fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config").join(path)
}

fn load(path: &str) -> Loaded {
    config::load(&shipped(path)).unwrap_or_else(|found| {
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        panic!("{path}:\n{}", shown.join("\n"))
    })
}

#[test]
fn steel() {
    let loaded = load("examples/steel.toml");
    println!("{:#?}", loaded.config.site);
    println!("{:?}", loaded.warnings);
    println!("{:#?}", mapping::load(&shipped("examples/steel.map.toml")));
    panic!();
}
