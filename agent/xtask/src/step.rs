//! One step: announced, run, timed. And the commands that steps are made of.
//!
//! It knows no step by name. Invariant: a command that does not end with status 0 ends its step.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::Failure;

/// What ran so far and how long it took.
#[derive(Debug, Default)]
pub(crate) struct Steps(Vec<(String, Duration)>);

impl Steps {
    /// Runs a step and says what it is, how long it took and, where it failed, why.
    pub(crate) fn run<T>(
        &mut self,
        name: impl Into<String>,
        step: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let name = name.into();
        println!("\n=== {name}");
        let began = now();
        let done = step();
        let took = began.elapsed();
        let word = if done.is_ok() { "done" } else { "FAILED" };
        println!("=== {name}: {word} after {:.0} s", took.as_secs_f64());
        let done = done.map_err(|why| format!("{name}: {why}"));
        self.0.push((name, took));
        done
    }

    /// A line for each step that ran.
    pub(crate) fn print_table(&self) {
        let total = self.0.iter().map(|(_, took)| *took).sum();
        println!();
        for (name, took) in self.0.iter().chain([&("together".to_owned(), total)]) {
            println!("{:>6.0} s  {name}", took.as_secs_f64());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a step took is told, not judged")]
fn now() -> Instant {
    Instant::now()
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("agent/xtask lies two folders below the root")
        .to_owned()
}

/// A program with its arguments, parted by spaces, run in the root.
pub(crate) fn command(line: &str) -> Command {
    let mut words = line.split(' ');
    let program = words.next().unwrap_or_default();
    let mut command = Command::new(program);
    command.args(words).current_dir(root());
    command
}

/// Cargo, without what the cargo that started us says of our own package: build scripts would take that for a change.
pub(crate) fn cargo(line: &str) -> Command {
    let mut command = command(&format!("cargo {line}"));
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs it, its output shown, and wants status 0.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    println!("$ {}", shown(command));
    let status = command
        .status()
        .map_err(|error| format!("starting {}: {error}", shown(command)))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{}` ended with {status}", shown(command)))
    }
}

/// As [`run`], each line of standard output handed to `line`, which says whether to show it.
pub(crate) fn run_read(command: &mut Command, mut line: impl FnMut(&str) -> Show) -> Result<(), Failure> {
    println!("$ {}", shown(command));
    let failed = |command: &Command, error: std::io::Error| format!("running {}: {error}", shown(command));
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(command, error))?;
    let output = child.stdout.take().expect("standard output was asked for");
    for read in BufReader::new(output).split(b'\n') {
        let bytes = read.map_err(|error| failed(command, error))?;
        let text = String::from_utf8_lossy(&bytes);
        if line(&text) == Show::Yes {
            println!("{text}");
        }
    }
    let status = child.wait().map_err(|error| failed(command, error))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{}` ended with {status}", shown(command)))
    }
}

/// Whether people are shown a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    Yes,
    No,
}

/// Whether it runs and ends with status 0; shows nothing.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
