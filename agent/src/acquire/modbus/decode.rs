//! Register words → a reading in the quantity's unit, or a text of the name plate. Pure.
//!
//! It reads no wire and chooses no order by itself: a wrong order is a wrong configuration. Invariants: no words and no
//! point make it panic; what is not a finite, plausible number, or what the meter itself marks invalid, comes out with
//! quality `bad`.

use energy::{Quality, Reading};

use super::Point;

/// How registers hold a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(
    missing_docs,
    reason = "the names are Rust's own: signedness and bits; bcd = four decimal digits a register"
)]
pub enum RegisterForm {
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    F32,
    F64,
    Bcd16,
    Bcd32,
    Bcd64,
}

impl RegisterForm {
    /// Every form with its name in configuration.
    pub const ALL: [(&'static str, Self); 12] = [
        ("u16", Self::U16),
        ("i16", Self::I16),
        ("u32", Self::U32),
        ("i32", Self::I32),
        ("u64", Self::U64),
        ("i64", Self::I64),
        ("f16", Self::F16),
        ("f32", Self::F32),
        ("f64", Self::F64),
        ("bcd16", Self::Bcd16),
        ("bcd32", Self::Bcd32),
        ("bcd64", Self::Bcd64),
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
            Self::U16 | Self::I16 | Self::F16 | Self::Bcd16 => 1,
            Self::U32 | Self::I32 | Self::F32 | Self::Bcd32 => 2,
            Self::U64 | Self::I64 | Self::F64 | Self::Bcd64 => 4,
        }
    }

    /// Whether its bits are an unsigned whole number, so that some of them can be picked out.
    pub fn is_unsigned(self) -> bool {
        matches!(self, Self::U16 | Self::U32 | Self::U64)
    }

    /// Whether it holds four decimal digits a register.
    pub fn is_decimal(self) -> bool {
        matches!(self, Self::Bcd16 | Self::Bcd32 | Self::Bcd64)
    }

    /// Whether it holds fractions by itself.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::F32 | Self::F64)
    }
}

/// The order of a number's bytes, most significant byte = `a`.
///
/// The four orders of 32 bits run on to `h` for 64; four more exchange words only within or only between the halves of
/// a 64-bit number. Together they are all orders in which a device can exchange bytes, words and double words.
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
    /// Least significant double word first, each in the specification's order. 64 bits only, as the next three.
    Efghabcd,
    /// Most significant double word first, least significant word first in each.
    Cdabghef,
    /// As [`Self::Efghabcd`] with the bytes swapped in each word.
    Fehgbadc,
    /// As [`Self::Cdabghef`] with the bytes swapped in each word.
    Dcbahgfe,
}

impl ByteOrder {
    /// Every order with its name in configuration.
    pub const ALL: [(&'static str, Self); 8] = [
        ("abcd", Self::Abcd),
        ("cdab", Self::Cdab),
        ("badc", Self::Badc),
        ("dcba", Self::Dcba),
        ("efghabcd", Self::Efghabcd),
        ("cdabghef", Self::Cdabghef),
        ("fehgbadc", Self::Fehgbadc),
        ("dcbahgfe", Self::Dcbahgfe),
    ];

    /// The order of a name; `None` when no order is called so.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(_, order)| order)
    }

    /// Whether it means something for a number of so many registers.
    pub fn suits(self, registers: u16) -> bool {
        match self {
            Self::Abcd | Self::Badc => true,
            Self::Cdab | Self::Dcba => registers > 1,
            Self::Efghabcd | Self::Cdabghef | Self::Fehgbadc | Self::Dcbahgfe => registers == 4,
        }
    }

    fn swaps_bytes(self) -> bool {
        matches!(self, Self::Badc | Self::Dcba | Self::Fehgbadc | Self::Dcbahgfe)
    }

    /// Place on the wire of the `nth` of `n` words, most significant first.
    fn place(self, nth: usize, n: usize) -> usize {
        match self {
            Self::Abcd | Self::Badc => nth,
            Self::Cdab | Self::Dcba => n - 1 - nth,
            Self::Efghabcd | Self::Fehgbadc => (nth + 2) % n,
            Self::Cdabghef | Self::Dcbahgfe => nth ^ 1,
        }
    }

    fn word(self, word: u16) -> u16 {
        if self.swaps_bytes() { word.swap_bytes() } else { word }
    }
}

/// Powers of ten that a scale register can name; beyond them it says "not implemented" or is another register
/// (SunSpec, `sunssf`).
const EXPONENTS: std::ops::RangeInclusive<i16> = -10..=10;

/// The reading of `point` in the reply `words` that begins at register `first`; `None` where it is not all in there.
pub fn reading(point: &Point, first: u16, words: &[u16]) -> Option<Reading> {
    let own = slice(words, first, point.at, point.form.registers())?;
    let exponent = match point.exponent_at {
        None => 0,
        Some(at) => point.order.word(slice(words, first, at, 1)?[0]) as i16,
    };
    let raw = raw_bits(own, point.order);
    if point.invalid.contains(&raw) || !EXPONENTS.contains(&exponent) {
        return Some(Reading {
            quantity: point.quantity,
            value: f64::NAN,
            quality: Quality::Bad,
        });
    }
    let number = match point.mask {
        None => number(point.form, raw),
        Some(mask) => (raw & mask).checked_shr(mask.trailing_zeros()).unwrap_or(0) as f64,
    };
    let value = to_the_power(number, exponent) * point.scale + point.offset;
    Some(Reading::new(point.quantity, value))
}

fn slice(words: &[u16], first: u16, at: u16, registers: u16) -> Option<&[u16]> {
    let start = usize::from(at.checked_sub(first)?);
    words.get(start..start + usize::from(registers))
}

/// `number` × 10^`exponent`; divided, not multiplied, below 0, so that 2305 with −1 is the same as 230.5 written down.
fn to_the_power(number: f64, exponent: i16) -> f64 {
    let power = 10_f64.powi(exponent.unsigned_abs().into());
    if exponent < 0 { number / power } else { number * power }
}

/// The words as one unsigned number, most significant byte first.
fn raw_bits(words: &[u16], order: ByteOrder) -> u64 {
    let word = |nth| {
        u64::from(
            words
                .get(order.place(nth, words.len()))
                .map_or(0, |&word| order.word(word)),
        )
    };
    (0..words.len()).fold(0, |bits, nth| bits << 16 | word(nth))
}

/// What the raw bits mean. 64-bit integers above 2^53 lose their last digits, which no meter's resolution reaches.
fn number(form: RegisterForm, raw: u64) -> f64 {
    match form {
        RegisterForm::U16 | RegisterForm::U32 | RegisterForm::U64 => raw as f64,
        RegisterForm::I16 => f64::from(raw as u16 as i16),
        RegisterForm::I32 => f64::from(raw as u32 as i32),
        RegisterForm::I64 => raw as i64 as f64,
        RegisterForm::F16 => half(raw as u16),
        RegisterForm::F32 => f64::from(f32::from_bits(raw as u32)),
        RegisterForm::F64 => f64::from_bits(raw),
        RegisterForm::Bcd16 | RegisterForm::Bcd32 | RegisterForm::Bcd64 => decimal_digits(raw),
    }
}

/// A float of 16 bits (IEEE 754: 5 bits of exponent, 10 of fraction).
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1F), f64::from(bits & 0x3FF) / 1024.0);
    let size = match exponent {
        0 => fraction * 2_f64.powi(-14),
        0x1F if fraction == 0.0 => f64::INFINITY,
        0x1F => f64::NAN,
        _ => (1.0 + fraction) * 2_f64.powi(exponent - 15),
    };
    if bits >> 15 == 1 { -size } else { size }
}

/// Four bits a decimal digit; no number where a digit is above 9.
fn decimal_digits(raw: u64) -> f64 {
    let digits = (0..16).rev().map(|nth| raw >> (4 * nth) & 0xF);
    let mut digits = digits.map(|digit| (digit <= 9).then_some(digit));
    let number = digits.try_fold(0_u64, |number, digit| Some(number * 10 + digit?));
    number.map_or(f64::NAN, |number| number as f64)
}

/// A text of the name plate, two characters a register: without what pads it; `None` where nothing or no text is left.
pub fn text(words: &[u16], order: ByteOrder) -> Option<String> {
    let bytes: Vec<u8> = words.iter().flat_map(|&word| order.word(word).to_be_bytes()).collect();
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let text = std::str::from_utf8(&bytes[..end]).ok()?.trim();
    (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use energy::Quantity;
    use proptest::prelude::*;

    use super::*;

    fn point(form: RegisterForm, order: ByteOrder) -> Point {
        Point {
            order,
            ..Point::new(100, form, Quantity::ProductCode)
        }
    }

    fn value(point: &Point, words: &[u16]) -> f64 {
        reading(point, 100, words).unwrap().value
    }

    /// `form`, `order` and the words on the wire → the value, bit for bit.
    fn check(form: &str, order: &str, words: &[u16], expected: f64) {
        let (form_of, order_of) = (
            RegisterForm::from_name(form).unwrap(),
            ByteOrder::from_name(order).unwrap(),
        );
        let value = value(&point(form_of, order_of), words);
        assert_eq!(
            value.to_bits(),
            expected.to_bits(),
            "{form} {order} {words:04x?}: {value}"
        );
    }

    #[test]
    fn every_form_in_every_order() {
        for (order, word) in [("abcd", 0xFFFE), ("badc", 0xFEFF)] {
            check("u16", order, &[word], 65534.0);
            check("i16", order, &[word], -2.0);
        }
        for (order, word) in [("abcd", 0x1234), ("badc", 0x3412)] {
            check("bcd16", order, &[word], 1234.0);
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
            check("bcd32", order, &words, 81_234_567.0);
        }
        for (order, words) in [
            ("abcd", [0x8123, 0x4567, 0x89AB, 0xCDEF]),
            ("cdab", [0xCDEF, 0x89AB, 0x4567, 0x8123]),
            ("badc", [0x2381, 0x6745, 0xAB89, 0xEFCD]),
            ("dcba", [0xEFCD, 0xAB89, 0x6745, 0x2381]),
            ("efghabcd", [0x89AB, 0xCDEF, 0x8123, 0x4567]),
            ("cdabghef", [0x4567, 0x8123, 0xCDEF, 0x89AB]),
            ("fehgbadc", [0xAB89, 0xEFCD, 0x2381, 0x6745]),
            ("dcbahgfe", [0x6745, 0x2381, 0xEFCD, 0xAB89]),
        ] {
            check("u64", order, &words, 0x8123_4567_89AB_CDEF_u64 as f64);
            check("i64", order, &words, 0x8123_4567_89AB_CDEF_u64 as i64 as f64);
            check("f64", order, &words, f64::from_bits(0x8123_4567_89AB_CDEF));
        }
        check("bcd64", "cdab", &[0x7890, 0x3456, 0x9012, 0x0078], 78_901_234_567_890.0);
    }

    #[test]
    fn half_floats_are_those_of_the_standard() {
        for (word, expected) in [
            (0x0000, 0.0),
            (0x8000, 0.0),             // minus nothing is nothing
            (0x0001, 2_f64.powi(-24)), // the smallest
            (0x03FF, 1023.0 * 2_f64.powi(-24)),
            (0x0400, 2_f64.powi(-14)), // the smallest with a leading one
            (0x3555, 0.333_251_953_125),
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x5B9A, 243.25),
            (0x7BFF, 65504.0), // the largest
            (0x7C00, f64::INFINITY),
        ] {
            check("f16", "abcd", &[word], expected);
        }
        assert!(value(&point(RegisterForm::F16, ByteOrder::Abcd), &[0x7E00]).is_nan());
    }

    #[test]
    fn what_is_no_value_is_bad() {
        let with = |form, invalid: &[u64]| Point {
            invalid: invalid.into(),
            ..point(form, ByteOrder::Abcd)
        };
        let sentinel = with(RegisterForm::I16, &[0x8000, 0x7FFF]);
        let wide = with(RegisterForm::U32, &[0xFFFF_FFFF, 0x7FFF_FFFF]);
        let widest = with(RegisterForm::U64, &[u64::MAX]);
        let (float, bcd) = (with(RegisterForm::F32, &[]), with(RegisterForm::Bcd32, &[]));
        let voltage = Point {
            quantity: Quantity::VoltageL1,
            scale: 10.0,
            ..with(RegisterForm::U16, &[])
        };
        for (point, words, expected) in [
            (&sentinel, &[0x8000][..], Quality::Bad),
            (&sentinel, &[0x7FFF], Quality::Bad),
            (&sentinel, &[0x8001], Quality::Ok),
            (&wide, &[0xFFFF, 0xFFFF], Quality::Bad),
            (&wide, &[0x7FFF, 0xFFFF], Quality::Bad),
            (&wide, &[0x8000, 0x0000], Quality::Ok),
            (&widest, &[0xFFFF; 4], Quality::Bad),
            (&float, &[0x7FC0, 0x0000], Quality::Bad),
            (&float, &[0x7F80, 0x0000], Quality::Bad),
            (&float, &[0xFF80, 0x0000], Quality::Bad),
            (&float, &[0x7F7F, 0xFFFF], Quality::Bad), // 3.4e38 is finite, but in no factory
            (&float, &[0x42C8, 0x0000], Quality::Ok),
            (&bcd, &[0x1234, 0x5A78], Quality::Bad),
            (&bcd, &[0x9999, 0x9999], Quality::Ok),
            (&voltage, &[10_000], Quality::Ok),
            (&voltage, &[10_001], Quality::Bad),
        ] {
            let quality = reading(point, 100, words).unwrap().quality;
            assert_eq!(quality, expected, "{words:04x?}");
        }
    }

    #[test]
    fn scale_comes_before_offset() {
        let point = Point {
            scale: 0.1,
            offset: -40.0,
            ..Point::new(100, RegisterForm::I16, Quantity::Temperature)
        };
        assert_eq!(value(&point, &[655]), 25.5);
    }

    /// Words from register 100 on and a point at 102 whose exponent stands at `exponent_at` → its value, if any.
    #[test]
    fn a_scale_register_moves_the_point() {
        for (exponent_at, order, words, expected) in [
            (103, "abcd", &[0, 0, 2305, (-1_i16) as u16][..], Some(230.5)),
            (100, "abcd", &[2, 0, 2305, 0], Some(230_500.0)),
            (100, "badc", &[0xFEFF, 0, 0x0109, 0], Some(23.05)),
            (100, "abcd", &[0x8000, 0, 2305, 0], None), // SunSpec's "not implemented"
            (100, "abcd", &[11, 0, 2305, 0], None),
            (100, "abcd", &[(-10_i16) as u16, 0, 2305, 0], Some(2305e-10)),
        ] {
            let point = Point {
                exponent_at: Some(exponent_at),
                order: ByteOrder::from_name(order).unwrap(),
                ..Point::new(102, RegisterForm::I16, Quantity::ProductCode)
            };
            let got = reading(&point, 100, words).unwrap();
            assert_eq!(got.quality.is_trusted().then_some(got.value), expected, "{words:04x?}");
            assert!(reading(&point, 101, &words[1..3]).is_none(), "not without its exponent");
        }
    }

    #[test]
    fn bits_are_picked_out_by_their_mask() {
        for (form, mask, words, expected) in [
            (RegisterForm::U16, 0x0F00, &[0xA5C3][..], 5.0),
            (RegisterForm::U16, 0x8000, &[0xA5C3], 1.0),
            (RegisterForm::U32, 0x00FF_FF00, &[0x1234, 0x5678], 13398.0), // 0x3456
            (RegisterForm::U64, u64::MAX, &[0, 0, 0, 7], 7.0),
            (RegisterForm::U16, 0, &[0xFFFF], 0.0),
        ] {
            let masked = Point {
                mask: Some(mask),
                ..point(form, ByteOrder::Abcd)
            };
            assert_eq!(value(&masked, words), expected, "{mask:#x} of {words:04x?}");
        }
    }

    #[test]
    fn texts_of_the_name_plate_are_read_and_trimmed() {
        for (words, order, expected) in [
            (&[0x504D, 0x3531, 0x3130][..], "abcd", Some("PM5110")),
            (&[0x4D50, 0x3135, 0x3031], "badc", Some("PM5110")),
            (&[0x504D, 0x2020, 0x0000, 0xFFFF], "abcd", Some("PM")),
            (&[0x0000, 0x504D], "abcd", None),
            (&[0xFFFF, 0xFFFF], "abcd", None),
            (&[0x0107], "abcd", None), // control characters: a number, not a text
            (&[], "abcd", None),
        ] {
            let text = text(words, ByteOrder::from_name(order).unwrap());
            assert_eq!(text.as_deref(), expected, "{words:04x?}");
        }
    }

    /// The words in which a device of this order sends these bytes, most significant first.
    fn on_the_wire(bytes: &[u8], order: ByteOrder) -> Vec<u16> {
        // The name says which byte stands where; four letters run on to eight.
        let name = ByteOrder::ALL.iter().find(|(_, known)| *known == order).unwrap().0;
        let letters = match (name, bytes.len()) {
            ("abcd", 8) => "abcdefgh",
            ("cdab", 8) => "ghefcdab",
            ("badc", 8) => "badcfehg",
            ("dcba", 8) => "hgfedcba",
            ("abcd", 2) => "ab",
            ("badc", 2) => "ba",
            (name, _) => name,
        };
        let sent: Vec<u8> = letters
            .bytes()
            .map(|letter| bytes[usize::from(letter - b'a')])
            .collect();
        sent.chunks(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
            .collect()
    }

    /// Any way to read registers at all.
    fn any_point() -> impl Strategy<Value = Point> {
        let chosen = (0..RegisterForm::ALL.len(), 0..ByteOrder::ALL.len());
        let of_bits = (any::<Option<u64>>(), prop::collection::vec(any::<u64>(), 0..3));
        (
            chosen,
            of_bits,
            any::<u16>(),
            any::<Option<u16>>(),
            any::<f64>(),
            any::<f64>(),
        )
            .prop_map(
                |((form, order), (mask, invalid), at, exponent_at, scale, offset)| Point {
                    order: ByteOrder::ALL[order].1,
                    mask,
                    invalid,
                    exponent_at,
                    scale,
                    offset,
                    ..Point::new(at, RegisterForm::ALL[form].1, Quantity::ActivePower)
                },
            )
    }

    proptest! {
        #[test]
        fn numbers_come_back_through_every_order(short: i16, int: i32, long: i64, single: f32, double: f64) {
            for (_, order) in ByteOrder::ALL {
                let back = |form: RegisterForm, bytes: &[u8], expected: f64| {
                    let is_same = !order.suits(form.registers())
                        || value(&point(form, order), &on_the_wire(bytes, order)) == expected;
                    prop_assert!(is_same, "{form:?} {order:?} {expected}");
                    Ok(())
                };
                back(RegisterForm::I16, &short.to_be_bytes(), short.into())?;
                back(RegisterForm::U16, &short.to_be_bytes(), (short as u16).into())?;
                back(RegisterForm::I32, &int.to_be_bytes(), int.into())?;
                back(RegisterForm::U32, &int.to_be_bytes(), (int as u32).into())?;
                back(RegisterForm::I64, &long.to_be_bytes(), long as f64)?;
                back(RegisterForm::U64, &long.to_be_bytes(), long as u64 as f64)?;
                back(RegisterForm::F32, &single.to_be_bytes(), single.into())?;
                back(RegisterForm::F64, &double.to_be_bytes(), double)?;
            }
        }

        #[test]
        fn decimal_digits_come_back(number in 0..10_000_000_000_000_000_u64) {
            let digits = format!("{number:016}");
            let bytes: Vec<u8> = digits.as_bytes().chunks(2).map(|pair| (pair[0] - b'0') << 4 | (pair[1] - b'0')).collect();
            for (_, order) in ByteOrder::ALL {
                let wire = on_the_wire(&bytes, order);
                prop_assert_eq!(value(&point(RegisterForm::Bcd64, order), &wire), number as f64);
            }
        }

        #[test]
        fn halves_are_what_single_floats_say_of_them(bits: u16) {
            // Every half float is a single float too: the same parts, other widths.
            let (sign, exponent, fraction) = (u32::from(bits >> 15), u32::from(bits >> 10 & 0x1F), u32::from(bits & 0x3FF));
            prop_assume!(exponent != 0);
            let exponent = if exponent == 0x1F { 0xFF } else { exponent + 112 };
            let single = f32::from_bits(sign << 31 | exponent << 23 | fraction << 13);
            let half = half(bits);
            prop_assert!(half == f64::from(single) || half.is_nan() && single.is_nan());
        }

        #[test]
        fn whatever_comes_nothing_panics_and_only_plausible_numbers_are_trusted(
            point in any_point(), near in 0_u16..8, words in prop::collection::vec(any::<u16>(), 0..16)
        ) {
            for first in [point.at.saturating_sub(near), near, point.at.saturating_add(near)] {
                if let Some(got) = reading(&point, first, &words) {
                    prop_assert_eq!(got.quality.is_trusted(), Quantity::ActivePower.is_plausible(got.value));
                }
            }
            if let Some(text) = text(&words, point.order) {
                prop_assert!(!text.is_empty() && text.len() <= words.len() * 2);
            }
        }
    }
}
