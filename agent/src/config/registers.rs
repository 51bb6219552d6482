//! Registers of a Modbus meter, written by hand or in a profile: alone, or in groups that say once what is common.
//!
//! It does not plan reads. Invariants: no point reaches beyond the last register, no two points share a register unless
//! they are read alike (bits of one register), no quantity is read twice, and every problem is told at its place.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use energy::{both, quantity::Quantity};
use toml::{Spanned, de::DeValue};

use super::{
    diagnostic::Code,
    points::{self, once},
    read::{self, At, File, Table},
};
use crate::acquire::modbus::{ByteOrder, Point, RegisterForm, Table as RegisterTable};

/// The register tables by name.
pub(super) const TABLES: &[(&str, RegisterTable)] =
    &[("holding", RegisterTable::Holding), ("input", RegisterTable::Input)];

/// What a profile, a meter or a group says once for all of its registers.
#[derive(Debug, Clone, Default)]
struct Common {
    table: Option<RegisterTable>,
    form: Option<RegisterForm>,
    order: ByteOrder,
    scale: Option<f64>,
    /// 1 where the manual numbers the first register 1; `None` = not said, which is 0 with a doubt.
    base: Option<u16>,
    every: Option<Duration>,
    /// "No value" by type.
    invalid: BTreeMap<RegisterForm, Vec<u64>>,
}

impl Common {
    /// What `table` says, else what is said above it.
    fn read(table: &mut Table<'_>, above: &Self) -> Self {
        let mut invalid = above.invalid.clone();
        if let Some(by_type) = table.table("invalid") {
            invalid.extend(invalid_by_type(&by_type));
        }
        let base = table.integer("base", 0..=1);
        let order = table.choice("order", &ByteOrder::ALL);
        Self {
            table: choice(table, "table", TABLES).or(above.table),
            form: choice(table, "type", &RegisterForm::ALL).or(above.form),
            order: order.map_or(above.order, Spanned::into_inner),
            scale: points::scale(table).or(above.scale),
            base: base.map(|base| base.into_inner() as u16).or(above.base),
            every: above.every,
            invalid,
        }
    }
}

fn choice<T: Copy>(table: &mut Table<'_>, key: &'static str, names: &[(&str, T)]) -> Option<T> {
    table.choice(key, names).map(Spanned::into_inner)
}

/// Whether a table has registers written down.
pub(super) fn are_in(table: &Table<'_>) -> bool {
    table.has("registers") || table.has("group")
}

/// The registers of a meter or profile: its list `registers` and those of its groups.
pub(super) fn all(table: &mut Table<'_>) -> Vec<Point> {
    let mut seen = Seen::default();
    let common = Common::read(table, &Common::default());
    let mut found = list(table, &common, &mut seen);
    for mut group in table.tables("group") {
        let mut own = Common::read(&mut group, &common);
        own.every = points::every(&mut group);
        found.extend(list(&mut group, &own, &mut seen));
        group.finish();
    }
    found
}

fn list(table: &mut Table<'_>, common: &Common, seen: &mut Seen) -> Vec<Point> {
    let file = table.file();
    let mut found = vec![];
    for item in table.list("registers") {
        let Some(mut register) = read::table(file, both!("레지스터", "the register"), "registers", item) else {
            continue;
        };
        let point = point(&mut register, common);
        register.finish();
        if let Some(point) = point {
            seen.take(file, item.span(), &point);
            found.push(point);
        }
    }
    found
}

fn point(register: &mut Table<'_>, common: &Common) -> Option<Point> {
    let at = address(register, "at", common);
    let at = register.required("at", at);
    let form = choice(register, "type", &RegisterForm::ALL).or_else(|| common.form.filter(|_| !register.has("type")));
    let form = register.required("type", form);
    let order = register.choice("order", &ByteOrder::ALL);
    let table = choice(register, "table", TABLES).or(common.table);
    let quantity = points::quantity(register);
    let scale = points::scale(register).or(common.scale);
    let offset = register.number("offset").map_or(0.0, Spanned::into_inner);
    let exponent_at = address(register, "exponent_at", common);
    let mask = register.bits("mask");
    let invalid = if register.has("invalid") {
        let own = register.all_bits("invalid");
        own.into_iter().map(Spanned::into_inner).collect()
    } else {
        form.and_then(|form| common.invalid.get(&form).cloned())
            .unwrap_or_default()
    };
    let every = points::every(register).or(common.every);
    let (form, quantity, at) = (form?, quantity?, at?);
    let inherited = if common.order.suits(form.registers()) {
        common.order
    } else {
        swapped(common.order)
    };
    let point = Point {
        table: table.unwrap_or(RegisterTable::Holding),
        order: order.as_ref().map_or(inherited, |order| *order.get_ref()),
        scale: scale.unwrap_or(1.0),
        offset,
        exponent_at: exponent_at.map(Spanned::into_inner),
        mask: mask.map(Spanned::into_inner),
        invalid,
        every,
        ..Point::new(*at.get_ref(), form, *quantity.get_ref())
    };
    possible(register, &point)?;
    if let Some(order) = order.filter(|order| point.form.registers() == 1 && *order.get_ref() == ByteOrder::Abcd)
        && common.order == ByteOrder::Abcd
    {
        let message = both!(
            "\"order\" 설정은 레지스터가 하나일 때 바이트를 바꾸는 경우(\"badc\") 외에는 효과가 없습니다",
            "\"order\" has no effect on a single register, unless it swaps the bytes (\"badc\")"
        );
        register.file().report(Code::NoEffect, order.span(), message);
    }
    if common.base.is_none() {
        hint_at_modicon(register, &at, point.table);
    }
    Some(point)
}

/// What is left of an order for numbers that are too short for it: whether bytes are swapped.
fn swapped(order: ByteOrder) -> ByteOrder {
    match order {
        ByteOrder::Dcba | ByteOrder::Fehgbadc | ByteOrder::Dcbahgfe => ByteOrder::Badc,
        _ => ByteOrder::Abcd,
    }
}

/// An address as written → as on the wire.
fn address(register: &mut Table<'_>, key: &'static str, common: &Common) -> Option<At<u16>> {
    let base = i64::from(common.base.unwrap_or_default());
    let written = register.integer(key, base..=65_535 + base)?;
    Some(Spanned::new(written.span(), (*written.get_ref() - base) as u16))
}

/// A note where an address looks like a number of the old numbering, which has the table in its first digit.
fn hint_at_modicon(register: &Table<'_>, at: &At<u16>, table: RegisterTable) {
    let at_number = u32::from(*at.get_ref());
    let (first, name) = match (at_number, table) {
        (40_001..=49_999, RegisterTable::Holding) => (40_001, "holding"),
        (30_001..=39_999, _) => (30_001, "input"),
        _ => return,
    };
    let message = both!(
        "선로의 주소가 {at_number}입니다. 설명서에 이렇게 적혀 있어도 실제 주소는 다른 경우가 많습니다",
        "address {at_number} on the wire: manuals often print it so and mean another"
    );
    let help = both!(
        "Modicon 번호 {at_number}은(는) at = {}, table = \"{name}\"입니다. 적힌 대로가 맞으면 base = 0을 쓰십시오",
        "in Modicon's numbering {at_number} is at = {}, table = \"{name}\"; if it is meant as it stands, say base = 0",
        at_number - first
    );
    register
        .file()
        .report_with(Code::ModiconNumber, at.span(), message, Some(help));
}

/// Refuses what no device can mean.
fn possible(register: &Table<'_>, point: &Point) -> Option<()> {
    let words = point.form.registers();
    let why = if u32::from(point.at) + u32::from(words) > 65_536 {
        both!(
            "{}번부터 레지스터 {words}개는 마지막 65535번을 넘습니다",
            "{words} registers from {} reach beyond the last one, 65535",
            point.at
        )
    } else if !point.order.suits(words) && words == 1 {
        both!(
            "레지스터 하나에는 워드 순서가 없습니다. \"abcd\", 바이트를 바꾸려면 \"badc\"로 쓰십시오",
            "one register has no word order: write \"abcd\", or \"badc\" for swapped bytes"
        )
    } else if !point.order.suits(words) {
        both!(
            "여덟 글자 순서는 64비트 수에만 씁니다. 네 글자로 쓰십시오",
            "orders of eight letters are for numbers of 64 bits: write four"
        )
    } else if point.mask == Some(0) || point.mask.is_some_and(|mask| words < 4 && mask >> (16 * words) != 0) {
        both!(
            "\"mask\" 값이 고르는 비트가 없거나, 레지스터 {words}개에 없는 비트를 고릅니다",
            "\"mask\" picks no bit, or one that {words} registers do not have"
        )
    } else if point.mask.is_some() && !point.form.is_unsigned() {
        both!(
            "비트는 부호 없는 정수에서만 골라낼 수 있습니다. u16, u32, u64 중 하나를 쓰십시오",
            "bits are picked out of whole numbers without sign: write u16, u32 or u64"
        )
    } else if point.quantity == Quantity::PowerFactor
        && !point.form.is_float()
        && point.exponent_at.is_none()
        && point.scale.abs() >= 1.0
    {
        both!(
            "정수 그대로인 역률은 -1, 0, 1밖에 될 수 없습니다. 계측기는 1000분의 1 단위로 보내므로 scale = 0.001을 쓰십시오",
            "a power factor of whole numbers can only be -1, 0 or 1: meters write thousandths, scale = 0.001"
        )
    } else {
        return Some(());
    };
    register.file().report(Code::BadRegister, register.span(), why);
    None
}

/// `{ i16 = 0x8000, u32 = [0xFFFFFFFF, 0x7FFFFFFF] }`.
fn invalid_by_type(by_type: &Table<'_>) -> BTreeMap<RegisterForm, Vec<u64>> {
    let file = by_type.file();
    let mut found = BTreeMap::new();
    for (name, value) in by_type.entries() {
        if let Some(form) = RegisterForm::from_name(name.get_ref()) {
            let bits = read::all_bits(file, name.get_ref(), value);
            found.insert(form, bits.into_iter().map(Spanned::into_inner).collect());
        } else {
            let message = both!(
                "{:?}은(는) 없는 레지스터 형식입니다",
                "no type is called {:?}",
                name.get_ref()
            );
            file.report(Code::UnknownKey, name.span(), message);
        }
    }
    found
}

/// Registers and quantities taken so far.
#[derive(Default)]
struct Seen {
    registers: BTreeMap<(RegisterTable, u32), Point>,
    quantities: Vec<Quantity>,
}

impl Seen {
    fn take(&mut self, file: &File, span: Range<usize>, point: &Point) {
        let first = u32::from(point.at);
        let all = first..first + u32::from(point.form.registers());
        let is_other = |other: &&Point| {
            let is_alike = (other.at, other.form, other.order) == (point.at, point.form, point.order);
            !is_alike || (other.mask.is_none() || point.mask.is_none())
        };
        let taken = all
            .clone()
            .find_map(|at| Some((at, self.registers.get(&(point.table, at)).filter(is_other)?)));
        if let Some((at, other)) = taken {
            let message = both!(
                "레지스터 {at}은(는) 이미 물리량 {}에 쓰였습니다",
                "register {at} belongs to {} already",
                other.quantity
            );
            let help = both!(
                "\"type\" 형식이 틀렸거나 주소가 하나 어긋난 경우가 많습니다",
                "a wrong \"type\" or an address off by one is the usual cause"
            );
            file.report_with(Code::BadRegister, span.clone(), message, Some(help));
        }
        self.registers.extend(all.map(|at| ((point.table, at), point.clone())));
        once(file, span, &mut self.quantities, point.quantity);
    }
}

/// A list of the words that a meter sends, as `[0x4366, 0x8000]`.
pub(super) fn words(table: &mut Table<'_>, key: &'static str) -> Vec<u16> {
    let file = table.file();
    let mut words = vec![];
    for item in table.list(key) {
        match (item.get_ref(), read::whole(item)) {
            (DeValue::Integer(_), Some(word @ 0..=0xFFFF)) => words.push(word as u16),
            _ => file.report(
                Code::BadValue,
                item.span(),
                both!(
                    "레지스터의 워드는 0에서 0xFFFF 사이여야 합니다",
                    "a word of a register is 0 to 0xFFFF"
                ),
            ),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        diagnostic::{Source, messages},
        read::Problems,
    };

    fn check(registers: &str, expected: &[&str]) {
        let text = if registers.starts_with('{') {
            format!("registers = [{registers}]")
        } else {
            registers.to_owned()
        };
        let file = File {
            source: Source::new("p", &text),
            problems: Problems::default(),
        };
        let parsed = read::parse(&file).unwrap();
        let mut table = Table::new(&file, both!("파일", "the profile"), &parsed);
        all(&mut table);
        table.finish();
        let messages: Vec<String> = messages(file.problems.take());
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
        check(
            "base = 0\nregisters = [{ at = 40001, type = 'u16', quantity = 'frequency_hz' }]",
            &[],
        );
    }

    #[test]
    fn bits_orders_and_scale_registers_that_no_device_can_mean_are_refused() {
        check(
            "{ at = 0, type = 'u16', mask = 0x0F00, quantity = 'product_code' }, { at = 0, type = 'u16', mask = 0xFF, quantity = 'valve_position_pct' }",
            &[],
        );
        check(
            "{ at = 0, type = 'u16', quantity = 'product_code' }, { at = 0, type = 'u16', mask = 1, quantity = 'valve_position_pct' }",
            &["register 0 belongs to product_code already"],
        );
        for (keys, expected) in [
            (
                "type = 'u16', mask = 0x10000",
                "\"mask\" picks no bit, or one that 1 registers do not have",
            ),
            (
                "type = 'u16', mask = 0",
                "\"mask\" picks no bit, or one that 1 registers do not have",
            ),
            (
                "type = 'f32', mask = 1",
                "bits are picked out of whole numbers without sign: write u16, u32 or u64",
            ),
            (
                "type = 'u16', mask = -1",
                "\"mask\" must be the bits of a register, as 0x8000",
            ),
            (
                "type = 'u32', order = 'efghabcd'",
                "orders of eight letters are for numbers of 64 bits: write four",
            ),
            ("type = 'u64', order = 'efghabcd'", ""),
            ("type = 'u64', mask = 0xFFFFFFFFFFFFFFFF", ""),
            (
                "type = 'i16', exponent_at = 65536",
                "\"exponent_at\" is 65536: it must be 0 to 65535",
            ),
            (
                "type = 'i16', invalid = [0x8000, 'x']",
                "\"invalid\" must be the bits of a register, as 0x8000",
            ),
            ("type = 'i16', base = 1", "the register has no key \"base\""),
        ] {
            let expected: Vec<&str> = Some(expected).filter(|text| !text.is_empty()).into_iter().collect();
            check(&format!("{{ at = 0, {keys}, quantity = 'product_code' }}"), &expected);
        }
        check(
            "base = 1\nregisters = [{ at = 0, type = 'u16', quantity = 'product_code' }]",
            &["\"at\" is 0: it must be 1 to 65536"],
        );
        check("[invalid]\nu17 = 1", &["no type is called \"u17\""]);
    }

    #[test]
    fn a_group_says_once_what_is_common_to_its_registers() {
        let file = File {
            source: Source::new(
                "p",
                "base = 1\ntable = 'input'\norder = 'cdab'\ntype = 'f32'\n\
                 invalid = { u32 = [0xFFFFFFFF, 0x7FFFFFFF], f32 = 0x7F7FFFFF }\n\
                 registers = [{ at = 1, quantity = 'voltage_l1_v' }, { at = 3, type = 'i16', quantity = 'frequency_hz', invalid = 0x8000 }]\n\
                 [[group]]\nevery = '10s'\ntype = 'u32'\nscale = 0.01\norder = 'dcba'\n\
                 registers = [{ at = 65535, quantity = 'energy_import_kwh' }, { at = 9, type = 'u16', table = 'holding', scale = 1, every = '1m', quantity = 'humidity_pct' }]",
            ),
            problems: Problems::default(),
        };
        let parsed = read::parse(&file).unwrap();
        let mut table = Table::new(&file, both!("파일", "the profile"), &parsed);
        let found = all(&mut table);
        table.finish();
        assert_eq!(file.problems.take(), []);
        let secs = |s| Some(std::time::Duration::from_secs(s));
        let common = Point {
            table: RegisterTable::Input,
            order: ByteOrder::Cdab,
            ..Point::new(0, RegisterForm::F32, Quantity::VoltageL1)
        };
        let expected = [
            Point {
                invalid: vec![0x7F7F_FFFF],
                ..common.clone()
            },
            Point {
                order: ByteOrder::Abcd,
                invalid: vec![0x8000],
                table: RegisterTable::Input,
                ..Point::new(2, RegisterForm::I16, Quantity::Frequency)
            },
            Point {
                at: 65534,
                form: RegisterForm::U32,
                order: ByteOrder::Dcba,
                scale: 0.01,
                quantity: Quantity::EnergyImport,
                invalid: vec![0xFFFF_FFFF, 0x7FFF_FFFF],
                every: secs(10),
                ..common
            },
            Point {
                order: ByteOrder::Badc,
                every: secs(60),
                ..Point::new(8, RegisterForm::U16, Quantity::Humidity)
            },
        ];
        assert_eq!(found, expected);
    }
}
