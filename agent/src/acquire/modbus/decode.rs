//! Register words → a reading in the quantity's unit. Pure.
//!
//! It reads no wire and chooses no order by itself: a wrong order is a wrong configuration. Invariant: what is not a
//! finite, plausible number, or what the meter itself marks invalid, comes out with quality `bad`.

use energy::{Quality, Reading};

use super::Point;

/// How registers hold a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are Rust's own: signedness and bits")]
pub enum RegisterForm {
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

impl RegisterForm {
    /// Every form with its name in configuration.
    pub const ALL: [(&'static str, Self); 8] = [
        ("u16", Self::U16),
        ("i16", Self::I16),
        ("u32", Self::U32),
        ("i32", Self::I32),
        ("u64", Self::U64),
        ("i64", Self::I64),
        ("f32", Self::F32),
        ("f64", Self::F64),
    ];

    /// The form of a name; `None` when no form is called so.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(_, form)| form)
    }

    /// Registers it takes: 1, 2 or 4.
    pub fn registers(self) -> u16 {
        match self {
            Self::U16 | Self::I16 => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
            Self::U64 | Self::I64 | Self::F64 => 4,
        }
    }
}

/// The order of a number's bytes, most significant byte = `a`. For 64 bits the same four patterns run on to `h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum ByteOrder {
    /// Big-endian words, big-endian bytes: the specification's order (`abcdefgh`).
    #[default]
    Abcd,
    /// Least significant word first (`ghefcdab`).
    Cdab,
    /// Most significant word first, bytes swapped in each word (`badcfehg`).
    Badc,
    /// Least significant byte first (`hgfedcba`).
    Dcba,
}

impl ByteOrder {
    /// Every order with its name in configuration.
    pub const ALL: [(&'static str, Self); 4] = [
        ("abcd", Self::Abcd),
        ("cdab", Self::Cdab),
        ("badc", Self::Badc),
        ("dcba", Self::Dcba),
    ];

    /// The order of a name; `None` when no order is called so.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(_, order)| order)
    }

    fn swaps_words(self) -> bool {
        matches!(self, Self::Cdab | Self::Dcba)
    }

    fn swaps_bytes(self) -> bool {
        matches!(self, Self::Badc | Self::Dcba)
    }
}

/// The reading of `point` in its own registers (exactly [`RegisterForm::registers`] words).
pub fn reading(point: &Point, words: &[u16]) -> Reading {
    debug_assert_eq!(words.len(), usize::from(point.form.registers()));
    let raw = raw_bits(words, point.order);
    if point.invalid == Some(raw) {
        return Reading {
            quantity: point.quantity,
            value: f64::NAN,
            quality: Quality::Bad,
        };
    }
    Reading::new(point.quantity, number(point.form, raw) * point.scale + point.offset)
}

/// The words as one unsigned number, most significant byte first.
fn raw_bits(words: &[u16], order: ByteOrder) -> u64 {
    let word = |word: &u16| u64::from(if order.swaps_bytes() { word.swap_bytes() } else { *word });
    let join = |bits: u64, word: u64| bits << 16 | word;
    if order.swaps_words() {
        words.iter().rev().map(word).fold(0, join)
    } else {
        words.iter().map(word).fold(0, join)
    }
}

/// What the raw bits mean. 64-bit integers above 2^53 lose their last digits, which no meter's resolution reaches.
fn number(form: RegisterForm, raw: u64) -> f64 {
    match form {
        RegisterForm::U16 | RegisterForm::U32 | RegisterForm::U64 => raw as f64,
        RegisterForm::I16 => f64::from(raw as u16 as i16),
        RegisterForm::I32 => f64::from(raw as u32 as i32),
        RegisterForm::I64 => raw as i64 as f64,
        RegisterForm::F32 => f64::from(f32::from_bits(raw as u32)),
        RegisterForm::F64 => f64::from_bits(raw),
    }
}

#[cfg(test)]
mod tests {
    use energy::Quantity;
    use proptest::prelude::*;

    use super::*;
    use crate::acquire::modbus::Table;

    fn point(form: RegisterForm, order: ByteOrder, scale: f64) -> Point {
        Point {
            at: 0,
            table: Table::Holding,
            form,
            order,
            quantity: Quantity::ProductCode,
            scale,
            offset: 0.0,
            invalid: None,
            every: None,
        }
    }

    /// `form`, `order` and the words on the wire → the value.
    fn check(form: &str, order: &str, words: &[u16], expected: f64) {
        let (form_of, order_of) = (
            RegisterForm::from_name(form).unwrap(),
            ByteOrder::from_name(order).unwrap(),
        );
        let value = reading(&point(form_of, order_of, 1.0), words).value;
        assert_eq!(
            value.to_bits(),
            expected.to_bits(),
            "{form} {order} {words:04x?}: {value}"
        );
    }

    #[test]
    fn every_form_in_every_order() {
        for order in ["abcd", "cdab"] {
            check("u16", order, &[0xFFFE], 65534.0);
            check("i16", order, &[0xFFFE], -2.0);
        }
        for order in ["badc", "dcba"] {
            check("u16", order, &[0xFEFF], 65534.0);
            check("i16", order, &[0xFEFF], -2.0);
        }
        for (order, words) in [
            ("abcd", [0x8123, 0x4567]),
            ("cdab", [0x4567, 0x8123]),
            ("badc", [0x2381, 0x6745]),
            ("dcba", [0x6745, 0x2381]),
        ] {
            check("u32", order, &words, 2_166_572_391.0);
            check("i32", order, &words, -2_128_394_905.0);
            check("f32", order, &words, f64::from(f32::from_bits(0x8123_4567)));
        }
        for (order, words) in [
            ("abcd", [0x8123, 0x4567, 0x89AB, 0xCDEF]),
            ("cdab", [0xCDEF, 0x89AB, 0x4567, 0x8123]),
            ("badc", [0x2381, 0x6745, 0xAB89, 0xEFCD]),
            ("dcba", [0xEFCD, 0xAB89, 0x6745, 0x2381]),
        ] {
            check("u64", order, &words, 0x8123_4567_89AB_CDEF_u64 as f64);
            check("i64", order, &words, 0x8123_4567_89AB_CDEF_u64 as i64 as f64);
            check("f64", order, &words, f64::from_bits(0x8123_4567_89AB_CDEF));
        }
    }

    #[test]
    fn what_is_no_value_is_bad() {
        let mut sentinel = point(RegisterForm::I16, ByteOrder::Abcd, 0.1);
        sentinel.invalid = Some(0x8000);
        let f32_point = point(RegisterForm::F32, ByteOrder::Abcd, 1.0);
        let mut voltage = point(RegisterForm::U16, ByteOrder::Abcd, 10.0);
        voltage.quantity = Quantity::VoltageL1;
        for (point, words, expected) in [
            (&sentinel, &[0x8000][..], Quality::Bad),
            (&sentinel, &[0x8001], Quality::Ok),
            (&f32_point, &[0x7FC0, 0x0000], Quality::Bad),
            (&f32_point, &[0x7F80, 0x0000], Quality::Bad),
            (&f32_point, &[0xFF80, 0x0000], Quality::Bad),
            (&f32_point, &[0x7F7F, 0xFFFF], Quality::Bad), // 3.4e38 is finite, but in no factory
            (&f32_point, &[0x42C8, 0x0000], Quality::Ok),
            (&voltage, &[10_000], Quality::Ok),
            (&voltage, &[10_001], Quality::Bad),
        ] {
            assert_eq!(reading(point, words).quality, expected, "{words:04x?}");
        }
    }

    #[test]
    fn scale_comes_before_offset() {
        let mut point = point(RegisterForm::I16, ByteOrder::Abcd, 0.1);
        point.quantity = Quantity::Temperature;
        point.offset = -40.0;
        assert_eq!(reading(&point, &[655]).value, 25.5);
    }

    /// The words in which a device of this order sends these bytes, most significant first.
    fn on_the_wire(bytes: &[u8], order: ByteOrder) -> Vec<u16> {
        let mut bytes = bytes.to_vec();
        match order {
            ByteOrder::Abcd => {}
            ByteOrder::Dcba => bytes.reverse(),
            ByteOrder::Badc => bytes.chunks_mut(2).for_each(<[u8]>::reverse),
            ByteOrder::Cdab => {
                bytes.reverse();
                bytes.chunks_mut(2).for_each(<[u8]>::reverse);
            }
        }
        bytes
            .chunks(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
            .collect()
    }

    proptest! {
        #[test]
        fn numbers_come_back_through_every_order(int: i32, long: i64, single: f32, double: f64) {
            for (_, order) in ByteOrder::ALL {
                let value = |form, bytes: &[u8]| reading(&point(form, order, 1.0), &on_the_wire(bytes, order)).value;
                prop_assert_eq!(value(RegisterForm::I32, &int.to_be_bytes()), f64::from(int));
                prop_assert_eq!(value(RegisterForm::I64, &long.to_be_bytes()), long as f64);
                prop_assert_eq!(value(RegisterForm::F32, &single.to_be_bytes()), f64::from(single));
                prop_assert_eq!(value(RegisterForm::F64, &double.to_be_bytes()), double);
            }
        }

        #[test]
        fn nothing_but_a_plausible_number_is_trusted(words: [u16; 4], form in 0_usize..8, order in 0_usize..4) {
            let (form, order) = (RegisterForm::ALL[form].1, ByteOrder::ALL[order].1);
            let got = reading(&point(form, order, 1.0), &words[..usize::from(form.registers())]);
            prop_assert_eq!(got.quality.is_trusted(), Quantity::ProductCode.is_plausible(got.value));
        }
    }
}
