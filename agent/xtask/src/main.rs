//! The developers' commands: `cargo xtask test` is everything that must hold before a change goes in, `cargo xtask bench`
//! the numbers the README prints, `cargo xtask fuzz` what finds panics in whatever reads others' bytes.
//!
//! It tests nothing by itself: it calls cargo, npm and the browser, in order, and stops at the first that fails.

use std::process::ExitCode;

mod bench;
mod browser;
mod fuzz;
mod packages;
mod step;
mod test;

const COMMANDS: &str = "\
cargo xtask test                  everything that must hold: dashboard, format, clippy, tests, documents, browser;
                                  on Debian and its kin it installs the system packages that are missing
cargo xtask bench [NAME… | --json FILE]
                                  measures the release build, each number beside its target
cargo xtask fuzz [TARGET…] [--minutes N]
                                  lets each target of agent/fuzz run for 10 minutes from its kept corpus, and keeps what
                                  that found; needs a nightly toolchain and cargo-fuzz
";

/// Why a command ended without success: said to the user as it stands.
type Failure = String;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [] | ["help" | "--help"] => {
            print!("{COMMANDS}");
            Ok(())
        }
        ["test"] => test::run_all(),
        ["bench", ref arguments @ ..] => bench::run_all(arguments),
        ["fuzz", ref arguments @ ..] => fuzz::run_all(arguments),
        _ => Err(format!("no such command: {}\n\n{COMMANDS}", arguments.join(" "))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("\nxtask: {why}");
            ExitCode::FAILURE
        }
    }
}
