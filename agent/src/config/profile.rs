//! Profiles of `meters/`: what a maker's device has in its registers or payloads, with its source and its proof.
//!
//! It does not know which meters use it. Invariant: a profile with a test vector decodes that vector to the values that
//! stand beside it, else nobody gets it.

use std::{ops::Range, time::Duration};

use energy::quantity::Quantity;
use toml::Spanned;

use super::{
    diagnostic::Code,
    points, read,
    read::{File, Table},
    registers, units,
};
use crate::acquire::{
    modbus::{Limits, MAX_REGISTERS, Point, Table as RegisterTable, decode},
    mqtt::{TimePointer, Value},
};

/// What a profile of `meters/` brings.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Profile {
    /// Registers.
    pub points: Vec<Point>,
    /// Values of an MQTT payload.
    pub values: Vec<Value>,
    /// Time in an MQTT payload.
    pub time: Option<TimePointer>,
    /// What the device can bear.
    pub limits: OwnLimits,
    /// Whether somebody has checked it against a device or the maker's document.
    pub is_verified: bool,
}

/// Reads a profile file.
pub(super) fn profile(file: &File) -> Option<Profile> {
    let parsed = read::parse(file)?;
    let mut table = Table::new(file, "the profile", &parsed);
    for key in ["maker", "model", "source"] {
        let text = table.text(key);
        table.required(key, text);
    }
    let is_verified = table.flag("verified");
    let is_verified = table.required("verified", is_verified);
    table.text("note");
    let profile = Profile {
        points: registers::all(&mut table),
        values: points::values(&mut table),
        time: points::time(&mut table),
        limits: OwnLimits::read(&mut table),
        is_verified: is_verified.unwrap_or(false),
    };
    for vector in table.tables("vector") {
        prove(vector, &profile.points);
    }
    table.finish();
    Some(profile)
}

/// How a device wants to be read, as far as a profile, a meter or a bus says so.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct OwnLimits {
    max_gap: Option<u16>,
    max_registers: Option<u16>,
    holes: Vec<(u16, u16)>,
    pause: Option<Duration>,
    latency: Option<Duration>,
    checks_values: Option<bool>,
}

/// The longest wait between two requests that makes sense.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

impl OwnLimits {
    /// The keys of a profile or a meter.
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        let gap = table.integer("max_gap", 0..=i64::from(MAX_REGISTERS));
        let most = table.integer("max_registers", 1..=i64::from(MAX_REGISTERS));
        Self {
            max_gap: gap.map(|gap| gap.into_inner() as u16),
            max_registers: most.map(|most| most.into_inner() as u16),
            holes: holes(table),
            checks_values: table.flag("check_values"),
            ..Self::of_bus(table)
        }
    }

    /// The keys of a bus, which its meters inherit.
    pub(super) fn of_bus(table: &mut Table<'_>) -> Self {
        Self {
            pause: at_most(table, "pause"),
            latency: at_most(table, "latency"),
            ..Self::default()
        }
    }

    /// What is said here, else there.
    pub(super) fn or(self, other: &Self) -> Self {
        Self {
            max_gap: self.max_gap.or(other.max_gap),
            max_registers: self.max_registers.or(other.max_registers),
            holes: if self.holes.is_empty() {
                other.holes.clone()
            } else {
                self.holes
            },
            pause: self.pause.or(other.pause),
            latency: self.latency.or(other.latency),
            checks_values: self.checks_values.or(other.checks_values),
        }
    }

    /// With what is usual where nothing is said.
    pub(super) fn filled(self) -> Limits {
        let usual = Limits::default();
        Limits {
            max_gap: self.max_gap.unwrap_or(usual.max_gap),
            max_registers: self.max_registers.unwrap_or(usual.max_registers),
            holes: self.holes,
            pause: self.pause.unwrap_or(usual.pause),
            latency: self.latency,
            checks_values: self.checks_values.unwrap_or(usual.checks_values),
        }
    }
}

fn at_most(table: &mut Table<'_>, key: &'static str) -> Option<Duration> {
    let wait = table.parsed(key, units::duration)?;
    if *wait.get_ref() > LONGEST_PAUSE {
        let message = format!("{key:?} is {:?}: it must be at most {LONGEST_PAUSE:?}", wait.get_ref());
        table.file().report(Code::BadValue, wait.span(), message);
        return None;
    }
    Some(wait.into_inner())
}

/// `[[100, 119], [200, 200]]`: first and last register that no read may touch.
fn holes(table: &mut Table<'_>) -> Vec<(u16, u16)> {
    let file = table.file();
    let mut holes = vec![];
    for item in table.list("holes") {
        match read::all_bits(file, "holes", item).as_slice() {
            [first, last] if first.get_ref() <= last.get_ref() && *last.get_ref() <= 0xFFFF => {
                holes.push((*first.get_ref() as u16, *last.get_ref() as u16));
            }
            _ => file.report(
                Code::BadValue,
                item.span(),
                "a hole is its first and last register, as [100, 119]",
            ),
        }
    }
    holes
}

/// Decodes the words of a test vector and compares with the values that stand beside them.
fn prove(mut vector: Table<'_>, points: &[Point]) {
    let file = vector.file();
    let source = vector.text("source");
    vector.required("source", source);
    let replies = replies(&mut vector);
    let tolerance = vector.amount("tolerance").map_or(1e-6, Spanned::into_inner);
    let Some(values) = vector.table("values") else {
        vector.required::<()>("values", None);
        return vector.finish();
    };
    for (name, value) in values.entries() {
        let Some(quantity) = points::known_quantity(file, &name) else {
            continue;
        };
        let Some(expected) = read::number(file, name.get_ref(), value) else {
            continue;
        };
        let got = decoded(*quantity.get_ref(), points, &replies);
        let difference = got.map(|got| (got - expected.get_ref()).abs());
        let allowed = tolerance * expected.get_ref().abs().max(1.0);
        if difference.is_none_or(|difference| difference > allowed) {
            disproved(file, value.span(), *quantity.get_ref(), *expected.get_ref(), got);
        }
    }
    vector.finish();
}

fn disproved(file: &File, span: Range<usize>, quantity: Quantity, expected: f64, got: Option<f64>) {
    let got = got.map_or_else(|| "nothing that can be trusted".to_owned(), |got| got.to_string());
    let message = format!("the test vector gives {got} for {quantity}, not {expected}");
    let help = "compare address, type, order and scale with the source of the vector".to_owned();
    file.report_with(Code::BadDataFile, span, message, Some(help));
}

/// The words of a vector: table, first register, words.
fn replies(vector: &mut Table<'_>) -> Vec<(RegisterTable, u16, Vec<u16>)> {
    let file = vector.file();
    let mut replies = vec![];
    for item in vector.list("replies") {
        let Some(mut reply) = read::table(file, "the reply", "replies", item) else {
            continue;
        };
        let at = reply.integer("at", 0..=65_535);
        let at = reply.required("at", at);
        let table = reply.choice("table", registers::TABLES);
        let words = registers::words(&mut reply, "words");
        reply.finish();
        if let Some(at) = at {
            let table = table.map_or(RegisterTable::Holding, Spanned::into_inner);
            replies.push((table, at.into_inner() as u16, words));
        }
    }
    replies
}

fn decoded(quantity: Quantity, points: &[Point], replies: &[(RegisterTable, u16, Vec<u16>)]) -> Option<f64> {
    let point = points.iter().find(|point| point.quantity == quantity)?;
    let mut of_table = replies.iter().filter(|(table, ..)| *table == point.table);
    let reading = of_table.find_map(|(_, at, words)| decode::reading(point, *at, words))?;
    reading.quality.is_trusted().then_some(reading.value)
}
