//! One block of registers, read as every type in every order, and which of these numbers can be what is looked for. Pure.
//!
//! It asks no device. Invariants: each number comes out as `decode.rs` would read it in a plant; where two fit, both are
//! told and neither is claimed.

use energy::Quantity;

use super::ranges::Range;
use crate::acquire::modbus::{ByteOrder, Point, RegisterForm, decode};

/// One way to read some registers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading {
    /// First register.
    pub(crate) at: u16,
    /// Type.
    pub(crate) form: RegisterForm,
    /// Order.
    pub(crate) order: ByteOrder,
    /// The number, unscaled; NaN where there is none.
    pub(crate) value: f64,
}

/// A way to read that can be what is looked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fit {
    /// The way.
    pub(crate) reading: Reading,
    /// The factor with which it fits.
    pub(crate) scale: f64,
}

impl Fit {
    /// The number with its factor.
    pub(crate) fn value(&self) -> f64 {
        self.reading.value * self.scale
    }
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sought<'a> {
    /// What the display shows, and the kind of quantity if it was said.
    Value(f64, Option<&'a Range>),
    /// A kind of quantity.
    Kind(&'a Range),
    /// Nobody said.
    Anything,
}

/// Share by which the display may have moved on meanwhile (default).
const MOVED: f64 = 0.05;
/// Factors tried for what a display shows, the likeliest first.
const FACTORS: [f64; 9] = [1.0, 0.1, 0.01, 0.001, 10.0, 100.0, 1000.0, 0.0001, 0.000_001];
/// Sizes that a float can have when nobody says what it is: others come from a wrong order far more often.
const ANY_FLOAT: std::ops::RangeInclusive<f64> = 0.001..=1e8;

/// The name of a type in configuration.
pub(crate) fn form_name(form: RegisterForm) -> &'static str {
    let found = RegisterForm::ALL.iter().find(|(_, known)| *known == form);
    found.map_or("", |(name, _)| name)
}

/// The name of an order in configuration.
pub(crate) fn order_name(order: ByteOrder) -> &'static str {
    let found = ByteOrder::ALL.iter().find(|(_, known)| *known == order);
    found.map_or("", |(name, _)| name)
}

/// Every way to read the block, by register, type and order.
pub(crate) fn readings(first: u16, words: &[u16]) -> Vec<Reading> {
    let last = words.len() as u16;
    let places = (0..last).filter_map(|nth| first.checked_add(nth));
    let mut found = vec![];
    for at in places {
        for (_, form) in RegisterForm::ALL {
            for (_, order) in ByteOrder::ALL
                .into_iter()
                .filter(|(_, order)| order.suits(form.registers()))
            {
                // A quantity whose range holds every number that a register can say.
                let point = Point {
                    order,
                    ..Point::new(at, form, Quantity::ProductCode)
                };
                let reading = decode::reading(&point, first, words);
                found.extend(reading.map(|reading| Reading {
                    at,
                    form,
                    order,
                    value: reading.value,
                }));
            }
        }
    }
    found
}

/// The ways that fit, the likeliest first: floats before whole numbers, likely factors before others. Those that begin at
/// the first register go before all others, which count only where none of them fits. Of ways that give the same number
/// from the same registers (signed and unsigned) the first is kept.
pub(crate) fn fitting(readings: &[Reading], sought: Sought<'_>) -> Vec<Fit> {
    let first = readings.first().map(|reading| reading.at);
    let (here, beyond): (Vec<&Reading>, Vec<&Reading>) = readings.iter().partition(|reading| Some(reading.at) == first);
    let found = fitting_of(&here, sought);
    if found.is_empty() {
        fitting_of(&beyond, sought)
    } else {
        found
    }
}

fn fitting_of(readings: &[&Reading], sought: Sought<'_>) -> Vec<Fit> {
    let mut found: Vec<Fit> = vec![];
    for reading in readings {
        let Some(scale) = factor(reading, sought) else { continue };
        let is_same = |other: &Fit| {
            (other.reading.at, other.reading.form.registers()) == (reading.at, reading.form.registers())
                && other.reading.order == reading.order
                && other.reading.value == reading.value
        };
        if !found.iter().any(is_same) {
            found.push(Fit {
                reading: (*reading).clone(),
                scale,
            });
        }
    }
    let is_common = |form: RegisterForm| form.is_float() && form != RegisterForm::F16;
    let rank = |fit: &Fit| (place(fit.scale, sought), !is_common(fit.reading.form));
    found.sort_by_key(rank);
    found
}

/// How likely a factor is.
fn place(scale: f64, sought: Sought<'_>) -> usize {
    let factors = match sought {
        Sought::Kind(range) => &range.scales[..],
        _ => &FACTORS[..],
    };
    factors
        .iter()
        .position(|factor| *factor == scale)
        .unwrap_or(factors.len())
}

/// The factor with which a way fits, if it does.
fn factor(reading: &Reading, sought: Sought<'_>) -> Option<f64> {
    let value = reading.value;
    if !value.is_finite() || value == 0.0 {
        return None;
    }
    // Decimal digits and half floats are rare, and nearly any word can be read so: only a display can speak for them.
    let is_rare = reading.form.is_decimal() || reading.form == RegisterForm::F16;
    if is_rare && !matches!(sought, Sought::Value(..)) {
        return None;
    }
    // A float carries its unit's own size: makers scale it by thousands only.
    let is_usual = |scale: &f64| !reading.form.is_float() || [1.0, 0.001, 1000.0, 0.000_001].contains(scale);
    match sought {
        Sought::Value(expected, _) => {
            let is_near = |scale: &f64| (value * scale - expected).abs() <= MOVED * expected.abs();
            FACTORS.into_iter().filter(is_usual).find(is_near)
        }
        Sought::Kind(range) => {
            let scales = range.scales.iter().copied().filter(is_usual);
            scales.into_iter().find(|scale| range.holds(value * scale))
        }
        Sought::Anything => {
            let is_size = reading.form.is_float() && ANY_FLOAT.contains(&value.abs());
            is_size.then_some(1.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::{cli::commission::ranges::Ranges, config::data::DataFiles};

    fn ranges() -> Ranges {
        Ranges::load(&DataFiles::beside(Path::new("/nonexistent"))).unwrap()
    }

    /// Words from register 100 on → the ways that fit, as `type order@register xfactor`, and no others before them.
    fn check(words: &[u16], sought: Sought<'_>, expected: &[&str]) {
        let fits = fitting(&readings(100, words), sought);
        let told: Vec<String> = fits
            .iter()
            .map(|fit| {
                let Reading { at, form, order, .. } = &fit.reading;
                format!("{} {}@{at} x{}", form_name(*form), order_name(*order), fit.scale)
            })
            .collect();
        assert_eq!(told, expected, "{words:04x?}");
    }

    #[test]
    fn what_fits_is_found_and_two_are_both_told() {
        let ranges = ranges();
        let kind = |name| Sought::Kind(ranges.named(name).unwrap());
        check(
            &[0x4366, 0x199A],
            kind("voltage"),
            &["f32 abcd@100 x1", "u16 badc@100 x0.01"], // 261.79 is near 254
        );
        check(
            &[0x199A, 0x4366],
            kind("voltage"),
            &["f32 cdab@100 x1", "u16 abcd@100 x1", "u16 badc@100 x0.01"],
        );
        check(
            &[0x6643, 0x9A19],
            kind("voltage"),
            &["f32 badc@100 x1", "u16 abcd@100 x0.01"],
        );
        check(
            &[0x9A19, 0x6643],
            kind("voltage"),
            &["f32 dcba@100 x1", "u16 badc@100 x1", "u16 abcd@100 x0.01"],
        );
        check(&[0x0908], kind("voltage"), &["u16 abcd@100 x0.1", "u16 badc@100 x0.1"]); // 2312 and 2057: 205.7 is near 200
        check(&[0x0000, 0x08FD], Sought::Value(230.1, None), &["u32 abcd@100 x0.1"]);
        // The documented case: 12 390.5 W and 12.387 kW from the same two registers.
        check(
            &[0x4641, 0x9A30],
            Sought::Anything,
            &["f32 abcd@100 x1", "f32 badc@100 x1"],
        );
        check(
            &[0x4641, 0x9A30],
            Sought::Value(12390.5, None),
            &["f32 abcd@100 x1", "f32 badc@100 x1000"],
        );
        check(&[0x7FFF, 0x08FD], Sought::Value(230.1, None), &["u16 abcd@101 x0.1"]); // begins behind
        check(&[0x2301], Sought::Value(230.1, None), &["bcd16 abcd@100 x0.1"]);
        check(&[0x4270, 0], kind("frequency"), &["f32 abcd@100 x1"]);
        check(&[0, 0], kind("voltage"), &[]);
        check(&[0xFFFF, 0xFFFF], Sought::Anything, &[]);
        check(&[], Sought::Anything, &[]);
    }

    #[test]
    fn every_type_and_order_is_there_once() {
        // One register: 4 types in 2 orders; two: 4 in 4; four: 4 in 8.
        for (n, expected) in [(1, 8), (2, 2 * 8 + 16), (4, 4 * 8 + 3 * 16 + 32)] {
            assert_eq!(readings(0, &vec![1; n]).len(), expected, "{n}");
        }
    }

    proptest! {
        #[test]
        fn a_voltage_in_any_order_is_among_what_fits(volts in 207.0..253_f32, nth in 0_usize..4) {
            let (bits, (_, order)) = (volts.to_bits().to_be_bytes(), ByteOrder::ALL[nth]);
            let places = [[0, 1, 2, 3], [2, 3, 0, 1], [1, 0, 3, 2], [3, 2, 1, 0]][nth];
            let sent = places.map(|place| bits[place]);
            let words = [u16::from_be_bytes([sent[0], sent[1]]), u16::from_be_bytes([sent[2], sent[3]])];
            let ranges = ranges();
            let fits = fitting(&readings(7, &words), Sought::Kind(ranges.named("voltage").unwrap()));
            let is_right = |fit: &Fit| fit.reading.form == RegisterForm::F32 && fit.reading.order == order && fit.value() == f64::from(volts);
            prop_assert!(fits.iter().any(is_right));
        }
    }
}
