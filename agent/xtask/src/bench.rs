//! `cargo xtask bench`: builds the release and lets `agent/benches` measure it.
//!
//! It measures nothing by itself.

use crate::{
    Failure,
    step::{cargo, run},
};

/// Measures with these arguments: nothing, names of measurements, or `--json` and a file to write the numbers to.
pub(crate) fn run_all(arguments: &[&str]) -> Result<(), Failure> {
    run(&mut cargo("build --release --locked --package wattwarden"))?;
    let mut measure = cargo("run --release --locked --package wattwarden --example bench --");
    measure.args(arguments);
    run(&mut measure)
}
