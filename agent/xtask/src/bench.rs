//! `cargo xtask bench`: builds the release and lets `agent/benches` measure it.
//!
//! It measures nothing by itself.

use crate::{
    Failure,
    step::{cargo, run},
};

/// Measures, and writes the numbers to `json` too if wanted.
pub(crate) fn run_all(json: Option<&str>) -> Result<(), Failure> {
    run(&mut cargo("build --release --locked --package wattwarden"))?;
    let mut measure = cargo("run --release --locked --package wattwarden --example bench --");
    measure.args(json.iter().flat_map(|file| ["--json", file]));
    run(&mut measure)
}
