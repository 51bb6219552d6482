//! Chance that can be asked again: every draw is a pure function of the seed and of what it is drawn for.
//!
//! No global generator, no clock. Invariant: the same parts give the same numbers on every machine, so a plant of one
//! seed is the same plant everywhere. SplitMix64 (Steele, Lea, Flood 2014): good enough for a factory, not for secrets.

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

fn mixed(state: u64) -> u64 {
    let mut z = state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn hashed(parts: &[u64]) -> u64 {
    parts.iter().fold(GOLDEN, |state, part| {
        mixed(state.wrapping_add(GOLDEN) ^ mixed(*part ^ GOLDEN))
    })
}

fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number in -1..1 that belongs to `parts`.
pub(super) fn noise(parts: &[u64]) -> f64 {
    2.0 * unit(hashed(parts)) - 1.0
}

/// A sequence of draws that belongs to what it was made for.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// The draws that belong to `parts`.
    pub(super) fn new(parts: &[u64]) -> Self {
        Self(hashed(parts))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mixed(self.0)
    }

    /// A whole number in `low..=high`.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (unit(self.next()) * (high - low + 1) as f64) as i64
    }

    /// True in `share` (0..1) of all draws.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        unit(self.next()) < share
    }

    /// The items in a drawn order.
    pub(super) fn shuffled<T: Copy>(&mut self, items: &[T]) -> Vec<T> {
        let mut left = items.to_vec();
        let mut drawn = Vec::with_capacity(left.len());
        while !left.is_empty() {
            let index = self.between(0, left.len() as i64 - 1) as usize;
            drawn.push(left.remove(index));
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_belong_to_their_parts_and_stay_in_range() {
        let draws = |parts: &[u64]| {
            let mut dice = Dice::new(parts);
            (0..1000).map(|_| dice.between(3, 9)).collect::<Vec<_>>()
        };
        assert_eq!(draws(&[1, 2]), draws(&[1, 2]));
        assert_ne!(draws(&[1, 2]), draws(&[2, 1]));
        for value in 3..=9 {
            let count = draws(&[7]).iter().filter(|drawn| **drawn == value).count();
            assert!((90..200).contains(&count), "{value} drawn {count} times of 1000");
        }
        assert!((0..1000).all(|i| (-1.0..1.0).contains(&noise(&[i]))));
    }

    #[test]
    fn shuffling_keeps_every_item() {
        let mut drawn = Dice::new(&[5]).shuffled(&[1, 2, 3, 4]);
        drawn.sort_unstable();
        assert_eq!(drawn, [1, 2, 3, 4]);
    }
}
