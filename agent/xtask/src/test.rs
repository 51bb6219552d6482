//! `cargo xtask test`: all that must hold before a change goes in, from the cheapest to the dearest.
//!
//! It judges nothing by itself. Invariants: the first step that fails ends it; a test that could not run for want of a
//! program is named at the end, so that nobody takes "skipped" for "passed".

use std::{collections::BTreeMap, fs, path::Path};

use crate::{
    Failure, browser,
    packages::{self, has_program},
    step::{self, Show, Steps, cargo, command, root, run_read, succeeds},
};

const DASHBOARD: &str = "dashboard/web";

/// Runs every step and sums up.
pub(crate) fn run_all() -> Result<(), Failure> {
    let mut steps = Steps::default();
    let mut skipped = Vec::new();
    let done = all(&mut steps, &mut skipped);
    steps.print_table();
    match skipped.len() {
        0 => println!("no test was skipped"),
        n => println!("{n} skipped:\n{}", skipped.join("\n")),
    }
    done
}

fn all(steps: &mut Steps, skipped: &mut Vec<String>) -> Result<(), Failure> {
    steps.run("system packages", packages::install)?;
    steps.run("rustfmt and clippy are there", components)?;
    let has_node = has_program("node") && has_program("npm");
    if has_node {
        dashboard(steps)?;
    } else {
        skipped.push("skipped: dashboard: node with npm".into());
    }
    steps.run("format", || step::run(&mut cargo("fmt --all --check")))?;
    steps.run("clippy", || clippy(""))?;
    steps.run("clippy, with the crate influxdb2", || {
        clippy(" --features wattwarden/influxdb2-client")
    })?;
    steps.run("tests", || tests("--workspace", skipped))?;
    let set_up = "--package wattwarden --features influxdb2-client --test influx_setup";
    steps.run("tests, with the crate influxdb2", || tests(set_up, skipped))?;
    steps.run("documents", || {
        step::run(cargo("doc --no-deps --workspace --locked").env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    if has_node && has_program("chromium") {
        steps.run("the program, as users build it", || {
            step::run(&mut cargo("build --package wattwarden --locked"))
        })?;
        steps.run("browser: the demo's page", browser::look_at_demo)?;
        steps.run("browser: every state of the page", || {
            step::run(&mut npm("run --silent browser"))
        })?;
    } else {
        skipped.push("skipped: browser: chromium, node".into());
    }
    Ok(())
}

fn components() -> Result<(), Failure> {
    for (component, question) in [("rustfmt", "fmt --version"), ("clippy", "clippy --version")] {
        if !succeeds(&mut cargo(question)) {
            return Err(format!(
                "this toolchain has no {component}: rustup component add {component}"
            ));
        }
    }
    Ok(())
}

fn clippy(more: &str) -> Result<(), Failure> {
    step::run(&mut cargo(&format!(
        "clippy --workspace --all-targets --locked{more} -- -D warnings"
    )))
}

fn npm(line: &str) -> std::process::Command {
    let mut npm = command(&format!("npm {line}"));
    npm.current_dir(root().join(DASHBOARD));
    npm
}

fn dashboard(steps: &mut Steps) -> Result<(), Failure> {
    steps.run("dashboard: packages", || step::run(&mut npm("ci --no-progress")))?;
    steps.run("dashboard: built as committed", built_as_committed)?;
    steps.run("dashboard: types", || step::run(&mut npm("run --silent check")))?;
    steps.run("dashboard: tests", || step::run(&mut npm("test --silent")))
}

/// The agent embeds the built page from the repository: it must be what its sources give.
fn built_as_committed() -> Result<(), Failure> {
    let dist = root().join(DASHBOARD).join("dist");
    let committed = files(&dist)?;
    step::run(&mut npm("run --silent build"))?;
    let built = files(&dist)?;
    let differing: Vec<&String> = committed
        .keys()
        .chain(built.keys())
        .filter(|name| committed.get(*name) != built.get(*name))
        .collect();
    if differing.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "the sources give another page than {DASHBOARD}/dist held ({differing:?}); it has been built anew: commit it"
        ))
    }
}

/// What every file below `folder` holds, by path.
fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let failed = |error: std::io::Error| format!("reading {}: {error}", folder.display());
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.insert(path.display().to_string(), fs::read(&path).map_err(failed)?);
        }
    }
    Ok(found)
}

/// Tests, their own output shown only where they fail; what they skipped is kept.
fn tests(what: &str, skipped: &mut Vec<String>) -> Result<(), Failure> {
    let mut is_passed_output = false;
    let mut cargo = cargo(&format!("test {what} --locked --no-fail-fast -- --show-output"));
    run_read(&mut cargo, |line| {
        // The outputs of tests that passed stand between these lines.
        match line {
            "successes:" => is_passed_output = true,
            _ if line == "failures:" || line.starts_with("test result:") => is_passed_output = false,
            _ => {}
        }
        if line.starts_with("skipped: ") && !skipped.iter().any(|known| known == line) {
            skipped.push(line.to_owned());
        }
        if is_passed_output { Show::No } else { Show::Yes }
    })
}
