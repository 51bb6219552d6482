//! Points of a meter: Modbus registers written by hand or in a profile of `meters/`.
//!
//! It does not plan reads. Invariants: no point reaches beyond the last register, no two points of a meter share a
//! register or a quantity, and what cannot be read from a live device is refused here.

use std::collections::BTreeMap;

use energy::quantity::{Form, Quantity};
use toml::{Spanned, de::DeValue};

use super::{
    diagnostic::Code,
    payload::Payloads,
    read::{self, At, File, Table},
    suggest, units,
};
use crate::acquire::modbus::{ByteOrder, Point, RegisterForm, Table as RegisterTable};

const FORMS: &[(&str, RegisterForm)] = &[
    ("u16", RegisterForm::U16),
    ("i16", RegisterForm::I16),
    ("u32", RegisterForm::U32),
    ("i32", RegisterForm::I32),
    ("u64", RegisterForm::U64),
    ("i64", RegisterForm::I64),
    ("f32", RegisterForm::F32),
    ("f64", RegisterForm::F64),
];

const ORDERS: &[(&str, ByteOrder)] = &[
    ("abcd", ByteOrder::Abcd),
    ("cdab", ByteOrder::Cdab),
    ("badc", ByteOrder::Badc),
    ("dcba", ByteOrder::Dcba),
];

const TABLES: &[(&str, RegisterTable)] = &[("holding", RegisterTable::Holding), ("input", RegisterTable::Input)];

/// Longest `every`: a day.
const LONGEST_EVERY: std::time::Duration = std::time::Duration::from_hours(24);

/// Shortest `every`: a serial line at 9600 baud answers one read in about 30 ms, and no detector needs more.
pub(super) const SHORTEST_EVERY: std::time::Duration = std::time::Duration::from_millis(100);

/// What a profile of `meters/` brings.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Profile {
    /// Registers.
    pub points: Vec<Point>,
    /// MQTT payloads.
    pub payloads: Payloads,
    /// Registers one read may bridge.
    pub max_gap: Option<u16>,
    /// Registers of one read.
    pub max_registers: Option<u16>,
}

/// Reads a profile file.
pub(super) fn profile(file: &File) -> Option<Profile> {
    let parsed = read::parse(file)?;
    let mut table = Table::new(file, "the profile", &parsed);
    for key in ["maker", "model", "source", "status"] {
        let text = table.text(key);
        table.required(key, text);
    }
    table.text("note");
    let profile = Profile {
        points: registers(&mut table),
        payloads: Payloads::read(&mut table),
        max_gap: table.integer("max_gap", 0..=125).map(|gap| gap.into_inner() as u16),
        max_registers: table
            .integer("max_registers", 1..=125)
            .map(|most| most.into_inner() as u16),
    };
    table.finish();
    Some(profile)
}

/// A period of reading, not shorter than [`SHORTEST_EVERY`].
pub(super) fn every(table: &mut Table<'_>) -> Option<std::time::Duration> {
    let every = table.parsed("every", units::duration)?;
    if *every.get_ref() < SHORTEST_EVERY {
        let message = format!(
            "\"every\" is {:?}: shorter than 100ms cannot be kept up",
            every.get_ref()
        );
        table.file().report(Code::BadValue, every.span(), message);
        return None;
    }
    if *every.get_ref() > LONGEST_EVERY {
        let message = format!(
            "\"every\" is {:?}: a meter that is read less than once a day tells no demand",
            every.get_ref()
        );
        table.file().report(Code::BadValue, every.span(), message);
        return None;
    }
    Some(every.into_inner())
}

/// The list `registers` of a meter or profile.
pub(super) fn registers(table: &mut Table<'_>) -> Vec<Point> {
    let file = table.file();
    let mut points = vec![];
    let mut seen = Seen::default();
    for item in table.list("registers") {
        let Some(mut register) = read::table(file, "the register", "registers", item) else {
            continue;
        };
        let point = point(&mut register);
        register.finish();
        if let Some(point) = point {
            seen.take(file, item.span(), &point);
            points.push(point);
        }
    }
    points
}

fn point(register: &mut Table<'_>) -> Option<Point> {
    let at = register.integer("at", 0..=65_535);
    let at = register.required("at", at);
    let form = register.choice("type", FORMS);
    let form = register.required("type", form);
    let order = register.choice("order", ORDERS);
    let table = register.choice("table", TABLES);
    let quantity = quantity(register);
    let scale = scale(register);
    let offset = register.number("offset").map_or(0.0, Spanned::into_inner);
    let invalid = register
        .integer("invalid", 0..=i64::MAX)
        .map(|bits| bits.into_inner() as u64);
    let every = every(register);
    let (form, quantity, at) = (form?, quantity?, at?);
    let point = Point {
        at: *at.get_ref() as u16,
        table: table.map_or(RegisterTable::Holding, Spanned::into_inner),
        form: form.into_inner(),
        order: order.as_ref().map_or(ByteOrder::Abcd, |order| *order.get_ref()),
        quantity: *quantity.get_ref(),
        scale: scale.unwrap_or(1.0),
        offset,
        invalid,
        every,
    };
    possible(register, &point)?;
    if let Some(order) = order.filter(|order| point.form.registers() == 1 && *order.get_ref() == ByteOrder::Abcd) {
        let message = "\"order\" has no effect on a single register, unless it swaps the bytes (\"badc\")";
        register.file().report(Code::NoEffect, order.span(), message);
    }
    hint_at_modicon(register, &at, point.table);
    Some(point)
}

/// A note where an address looks like a number of the old numbering, which has the table in its first digit.
fn hint_at_modicon(register: &Table<'_>, at: &At<i64>, table: RegisterTable) {
    let at_number = *at.get_ref();
    let (first, name) = match (at_number, table) {
        (40_001..=49_999, RegisterTable::Holding) => (40_001, "holding"),
        (30_001..=39_999, _) => (30_001, "input"),
        _ => return,
    };
    let message = format!("address {at_number} on the wire: manuals often print it so and mean another");
    let help = format!(
        "in Modicon's numbering {at_number} is at = {}, table = \"{name}\"",
        at_number - first
    );
    register
        .file()
        .report_with(Code::ModiconNumber, at.span(), message, Some(help));
}

/// Refuses what no device can mean.
fn possible(register: &Table<'_>, point: &Point) -> Option<()> {
    let words = point.form.registers();
    let whole = !matches!(point.form, RegisterForm::F32 | RegisterForm::F64);
    let why = if u32::from(point.at) + u32::from(words) > 65_536 {
        format!("{words} registers from {} reach beyond the last one, 65535", point.at)
    } else if words == 1 && matches!(point.order, ByteOrder::Cdab | ByteOrder::Dcba) {
        "one register has no word order: write \"abcd\", or \"badc\" for swapped bytes".into()
    } else if point.quantity == Quantity::PowerFactor && whole && point.scale.abs() >= 1.0 {
        "a power factor of whole numbers can only be -1, 0 or 1: meters write thousandths, scale = 0.001".into()
    } else {
        return Some(());
    };
    register.file().report(Code::BadRegister, register.span(), why);
    None
}

/// Registers and quantities taken so far.
#[derive(Default)]
struct Seen {
    registers: BTreeMap<(RegisterTable, u32), Quantity>,
    quantities: Vec<Quantity>,
}

impl Seen {
    fn take(&mut self, file: &File, span: std::ops::Range<usize>, point: &Point) {
        let first = u32::from(point.at);
        let all = first..first + u32::from(point.form.registers());
        let taken = all
            .clone()
            .find_map(|at| self.registers.get(&(point.table, at)).map(|other| (at, other)));
        if let Some((at, other)) = taken {
            let message = format!("register {at} belongs to {other} already");
            let help = "a wrong \"type\" or an address off by one is the usual cause".to_owned();
            file.report_with(Code::BadRegister, span.clone(), message, Some(help));
        }
        self.registers.extend(all.map(|at| ((point.table, at), point.quantity)));
        once(file, span, &mut self.quantities, point.quantity);
    }
}

/// Reports a quantity that a meter has twice.
pub(super) fn once(file: &File, span: std::ops::Range<usize>, seen: &mut Vec<Quantity>, quantity: Quantity) {
    if seen.contains(&quantity) {
        let help = "leave one of the two out, or make a second [[meter]] of it".to_owned();
        let message = format!("this meter has {quantity} twice");
        file.report_with(Code::DuplicateName, span, message, Some(help));
    }
    seen.push(quantity);
}

/// The key `quantity`: one that a live device can give.
pub(super) fn quantity(table: &mut Table<'_>) -> Option<At<Quantity>> {
    let text = table.text("quantity");
    let text = table.required("quantity", text)?;
    live_quantity(table.file(), &text)
}

/// A quantity that a live device can give.
pub(super) fn live_quantity(file: &File, text: &At<&str>) -> Option<At<Quantity>> {
    let quantity = known_quantity(file, text)?;
    if quantity.get_ref().row().form == Form::Delta {
        let message = format!(
            "{} comes from recordings only: a live reading does not say its interval",
            quantity.get_ref()
        );
        let help = "read the meter's counter, as energy_import_kwh".to_owned();
        file.report_with(Code::BadRegister, text.span(), message, Some(help));
        return None;
    }
    Some(quantity)
}

/// The quantity a text names; an unknown one is reported with the nearest.
pub(super) fn known_quantity(file: &File, text: &At<&str>) -> Option<At<Quantity>> {
    let name = *text.get_ref();
    if let Some(quantity) = Quantity::from_name(name) {
        return Some(Spanned::new(text.span(), quantity));
    }
    let names = energy::quantity::TABLE.iter().map(|row| row.name);
    let help = suggest::help(name, names).or_else(|| Some("config/README.md lists all quantities".into()));
    file.report_with(
        Code::UnknownReference,
        text.span(),
        format!("no quantity is called {name:?}"),
        help,
    );
    None
}

/// The key `scale`: any number but zero.
pub(super) fn scale(table: &mut Table<'_>) -> Option<f64> {
    let scale = table.number("scale")?;
    if *scale.get_ref() == 0.0 {
        table
            .file()
            .report(Code::BadValue, scale.span(), "a scale of 0 makes every value 0");
        return None;
    }
    Some(scale.into_inner())
}

/// `"active_power_kw"`, or `{ quantity = "active_power_kw", scale = 0.001 }`.
pub(super) fn quantity_and_scale(file: &File, key: &str, item: &Spanned<DeValue<'_>>) -> Option<(Quantity, f64)> {
    if let DeValue::String(text) = item.get_ref() {
        let quantity = known_quantity(file, &Spanned::new(item.span(), text.as_ref()))?;
        return Some((quantity.into_inner(), 1.0));
    }
    let mut table = read::table(file, "the value", key, item)?;
    let text = table.text("quantity");
    let text = table.required("quantity", text);
    let scale = scale(&mut table);
    table.finish();
    Some((known_quantity(file, &text?)?.into_inner(), scale.unwrap_or(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{diagnostic::Source, read::Problems};

    fn check(registers: &str, expected: &[&str]) {
        let text = format!("maker = 'm'\nmodel = 'm'\nsource = 's'\nstatus = 's'\nregisters = [{registers}]");
        let file = File {
            source: Source::new("p", &text),
            problems: Problems::default(),
        };
        profile(&file);
        let messages: Vec<String> = file.problems.take().into_iter().map(|found| found.message).collect();
        assert_eq!(messages, expected, "{registers}");
    }

    #[test]
    fn impossible_registers_are_refused() {
        check("{ at = 0, type = 'f32', quantity = 'active_power_kw' }", &[]);
        check("{ at = 65534, type = 'f32', quantity = 'active_power_kw' }", &[]);
        check(
            "{ at = 65535, type = 'f32', quantity = 'active_power_kw' }",
            &["2 registers from 65535 reach beyond the last one, 65535"],
        );
        check(
            "{ at = 65536, type = 'f32', quantity = 'active_power_kw' }",
            &["\"at\" is 65536: it must be 0 to 65535"],
        );
        check(
            "{ at = 0, type = 'f32', quantity = 'active_power_kw' }, { at = 1, type = 'u16', quantity = 'frequency_hz' }",
            &["register 1 belongs to active_power_kw already"],
        );
        check(
            "{ at = 0, type = 'u16', quantity = 'frequency_hz' }, { at = 0, table = 'input', type = 'u16', quantity = 'power_factor' }",
            &["a power factor of whole numbers can only be -1, 0 or 1: meters write thousandths, scale = 0.001"],
        );
        check(
            "{ at = 0, type = 'u16', order = 'cdab', quantity = 'frequency_hz' }",
            &["one register has no word order: write \"abcd\", or \"badc\" for swapped bytes"],
        );
        check(
            "{ at = 0, type = 'u32', quantity = 'interval_energy_kwh' }",
            &["interval_energy_kwh comes from recordings only: a live reading does not say its interval"],
        );
        check(
            "{ at = 0, type = 'u16', quantity = 'frequency_hz', scale = 0, every = '10ms' }",
            &[
                "a scale of 0 makes every value 0",
                "\"every\" is 10ms: shorter than 100ms cannot be kept up",
            ],
        );
        check(
            "{ at = 0, type = 'u16', quantity = 'frequency_hz' }, { at = 1, type = 'u16', quantity = 'frequency_hz' }",
            &["this meter has frequency_hz twice"],
        );
        check(
            "{ at = 0, type = 'u16', order = 'abcd', quantity = 'frequency_hz' }, { at = 1, type = 'u16', order = 'badc', quantity = 'voltage_l1_v' }",
            &["\"order\" has no effect on a single register, unless it swaps the bytes (\"badc\")"],
        );
        for (at, table) in [(40_001, "holding"), (30_001, "input"), (30_001, "holding")] {
            check(
                &format!("{{ at = {at}, type = 'u16', table = '{table}', quantity = 'frequency_hz' }}"),
                &[&format!(
                    "address {at} on the wire: manuals often print it so and mean another"
                )],
            );
        }
        check("{ at = 40000, type = 'u16', quantity = 'frequency_hz' }", &[]);
    }
}
