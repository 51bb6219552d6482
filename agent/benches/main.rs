//! The numbers we promise, measured: prints each beside its target. `cargo xtask bench` builds and runs it.
//!
//! It fails nothing: a number that misses its target is printed as such. Invariant: whatever is measured is the release
//! build, and the simulated plant is always another process.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on stops")]

use std::{fs, path::PathBuf};

use serde_json::json;

mod acquire;
mod bill;
mod engine;
mod integrate;
mod modbus;
mod mqtt;
mod plant;
mod record;
mod run;
mod site;

/// A measured number.
struct Number {
    name: &'static str,
    value: f64,
    unit: &'static str,
    target: Target,
}

type Measure = fn() -> Vec<Number>;

/// What a number is wanted to be.
enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// Printed for comparison with others.
    None,
}

impl Number {
    fn is_met(&self) -> Option<bool> {
        match self.target {
            Target::AtLeast(least) => Some(self.value >= least),
            Target::AtMost(most) => Some(self.value <= most),
            Target::None => None,
        }
    }

    fn print(&self) {
        let target = match self.target {
            Target::AtLeast(least) => format!("at least {least}"),
            Target::AtMost(most) => format!("at most {most}"),
            Target::None => String::new(),
        };
        let met = match self.is_met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        let value = rounded(self.value);
        println!("{:<14} {value:>12} {:<24} {target:<18} {met}", self.name, self.unit);
    }

    fn json(&self) -> serde_json::Value {
        let target = match self.target {
            Target::AtLeast(value) | Target::AtMost(value) => Some(value),
            Target::None => None,
        };
        json!({"name": self.name, "value": self.value, "unit": self.unit, "target": target, "met": self.is_met()})
    }
}

/// Three digits that count, or all before the point.
fn rounded(value: f64) -> String {
    let decimals = (2.0 - value.abs().log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{value:.decimals$}")
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [plant::SERVE, meters] => plant::serve(meters.parse().unwrap()),
        [] => drop(measure(&[])),
        ["--json", file] => {
            let numbers = measure(&[]);
            let list: Vec<_> = numbers.iter().map(Number::json).collect();
            fs::write(file, format!("{:#}\n", json!(list))).unwrap();
        }
        // One or some by name, for whoever works on one.
        ref names => drop(measure(names)),
    }
}

fn measure(names: &[&str]) -> Vec<Number> {
    let cores = std::thread::available_parallelism().unwrap();
    println!("{}, {cores} cores", processor());
    let measures: [(&str, Measure); 9] = [
        ("integrate", integrate::measure),
        ("engine", engine::measure),
        ("bill_year", bill::measure),
        ("record", record::measure),
        ("modbus_ratio", modbus::measure),
        ("run", run::measure),
        ("acquire", acquire::measure),
        ("mqtt", mqtt::measure),
        ("binary", binary),
    ];
    let mut numbers = Vec::new();
    for (_, measure) in measures
        .iter()
        .filter(|(name, _)| names.is_empty() || names.contains(name))
    {
        let measured = measure();
        measured.iter().for_each(Number::print);
        numbers.extend(measured);
    }
    numbers
}

fn processor() -> String {
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = about
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.to_owned())
}

/// The program, built beside this one.
fn agent() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(2).unwrap().join("wattwarden")
}

/// A new folder on the disk that the build is on: a folder for temporary files may be in memory.
fn new_folder(name: &str) -> PathBuf {
    let folder = agent().with_file_name(format!("bench-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn binary() -> Vec<Number> {
    vec![Number {
        name: "binary",
        value: fs::metadata(agent()).unwrap().len() as f64 / 1e6,
        unit: "MB",
        target: Target::AtMost(16.0),
    }]
}
