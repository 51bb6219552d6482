//! The chain of models in a SunSpec device: from the marker to the model that is looked for. Pure: it says what to read
//! next and is told what came.
//!
//! It decodes no values; a profile's points do, counted from the model's first register. Source: SunSpec Device
//! Information Model Specification (marker "SunS" at 40000, 50000 or 0, then model id and length, ending with 0xFFFF).
//! Invariants: every step goes forward, so that a walk ends; nothing beyond the last register is asked for.

/// Where the marker can stand, the usual place first.
pub const BASES: [u16; 3] = [40_000, 50_000, 0];
/// The marker: "SunS".
pub const MARKER: [u16; 2] = [0x5375, 0x6E53];
/// Registers of a model's head: id and length.
pub const HEAD: u16 = 2;
/// Models of meters that profiles are there for: whole numbers, then floats.
pub const METERS: [u16; 8] = [201, 202, 203, 204, 211, 212, 213, 214];
/// The model that names maker, model, version and serial number.
pub const COMMON: u16 = 1;
/// The id that ends a chain.
const END: u16 = 0xFFFF;
/// Models of one device at most: the longest real chains have about thirty.
const MOST_MODELS: usize = 100;

/// One model of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model {
    /// Its number in SunSpec's list.
    pub id: u16,
    /// Register of its id, the first of its own.
    pub at: u16,
    /// Registers behind its head.
    pub length: u16,
}

/// A walk along the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Walk {
    /// Place in [`BASES`] that is tried or holds the marker.
    base: usize,
    /// The head to read; `None` while the marker is looked for.
    head: Option<u16>,
    is_over: bool,
    models: Vec<Model>,
}

impl Walk {
    /// The two holding registers to read next; `None` when the walk is over.
    pub fn asks(&self) -> Option<u16> {
        if self.is_over {
            return None;
        }
        self.head.or_else(|| BASES.get(self.base).copied())
    }

    /// What came for the last question: two words, or `None` where the device refused.
    pub fn came(&mut self, words: Option<&[u16]>) {
        let words = words.and_then(|words| <[u16; 2]>::try_from(words).ok());
        match (self.head, words) {
            (None, Some(MARKER)) => self.head = BASES[self.base].checked_add(HEAD),
            (None, _) => {
                self.base += 1;
                self.is_over = self.base == BASES.len();
            }
            (Some(at), Some([id, length])) if id != END && id != 0 => {
                let next = at.checked_add(HEAD).and_then(|at| at.checked_add(length));
                if next.is_some() {
                    self.models.push(Model { id, at, length });
                }
                // The head of the next model has two registers too.
                let next = next.filter(|next| next.checked_add(HEAD - 1).is_some());
                self.is_over = next.is_none() || self.models.len() == MOST_MODELS;
                self.head = next.or(self.head);
            }
            (Some(_), _) => self.is_over = true,
        }
    }

    /// The chain as far as it was walked; empty where there is no marker.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// Where the marker stands, if it was found.
    pub fn base(&self) -> Option<u16> {
        self.head.and_then(|_| BASES.get(self.base).copied())
    }

    /// The first model of this id.
    pub fn find(&self, id: u16) -> Option<Model> {
        self.models.iter().find(|model| model.id == id).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Registers → the models found as (id, first register), and how many questions it took.
    fn walked(registers: &BTreeMap<u16, u16>) -> (Walk, usize) {
        let (mut walk, mut n) = (Walk::default(), 0);
        while let Some(at) = walk.asks() {
            n += 1;
            let both = at
                .checked_add(1)
                .and_then(|second| Some([*registers.get(&at)?, *registers.get(&second)?]));
            walk.came(both.as_ref().map(|words| &words[..]));
        }
        (walk, n)
    }

    fn chain(base: u16, models: &[(u16, u16)]) -> BTreeMap<u16, u16> {
        let mut words = MARKER.to_vec();
        for (id, length) in models {
            words.extend([*id, *length]);
            words.extend(vec![0; usize::from(*length)]);
        }
        words.extend([0xFFFF, 0]);
        (base..).zip(words).collect()
    }

    #[test]
    fn the_chain_is_walked_from_wherever_the_marker_is() {
        for (base, n_misses) in [(40_000, 0), (50_000, 1), (0, 2)] {
            let (walk, n) = walked(&chain(base, &[(1, 66), (103, 50), (203, 105)]));
            let found: Vec<_> = walk.models().iter().map(|model| (model.id, model.at)).collect();
            assert_eq!(found, [(1, base + 2), (103, base + 70), (203, base + 122)]);
            assert_eq!((walk.base(), n), (Some(base), n_misses + 1 + 4));
            assert_eq!(walk.find(203).map(|model| model.length), Some(105));
            assert_eq!(walk.find(213), None);
        }
    }

    #[test]
    fn what_is_no_chain_ends_the_walk() {
        assert_eq!(walked(&BTreeMap::new()).0.models(), []);
        assert_eq!(walked(&(0..100).map(|at| (at, at)).collect()).0.base(), None);
        let mut cut = chain(0, &[(1, 66), (203, 105)]);
        cut.retain(|at, _| *at < 70); // refused behind the first model
        assert_eq!(walked(&cut).0.models().len(), 1);
        let beyond: BTreeMap<u16, u16> = [(0, MARKER[0]), (1, MARKER[1]), (2, 203), (3, 65_533)].into();
        assert_eq!(walked(&beyond).0.models(), []); // a model that reaches beyond the last register
    }

    proptest! {
        #[test]
        fn every_walk_ends_and_goes_forward(words in prop::collection::vec(0_u16..300, 0..400), has_marker: bool) {
            let mut registers: BTreeMap<u16, u16> = (0..).zip(words).collect();
            if has_marker {
                registers.extend([(0, MARKER[0]), (1, MARKER[1])]);
            }
            let (walk, n) = walked(&registers);
            prop_assert!(n <= BASES.len() + MOST_MODELS + 1);
            prop_assert!(walk.models().windows(2).all(|pair| pair[0].at < pair[1].at));
        }
    }
}
