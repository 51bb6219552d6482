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
