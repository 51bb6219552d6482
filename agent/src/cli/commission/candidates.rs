//! Which known models a device can be, by what it says of itself, by fingerprints and by values that make sense. Pure.
//!
//! It asks nothing. Invariants: a model is called sure only where nothing else fits as well; a value that cannot be speaks
//! against a model, one that is zero says nothing.

use energy::{Quality, Reading};

use super::ranges::Ranges;
use crate::{
    acquire::modbus::{Point, judge},
    config::model::Model,
};

/// What speaks for and against one model.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Evidence {
    /// Whether the device says this model's name.
    pub(super) is_named: bool,
    /// Fingerprints that hold, and that do not.
    pub(super) marks: (usize, usize),
    /// Values that can be, and that cannot.
    pub(super) values: (usize, usize),
    /// Whether a voltage is near a nominal one.
    pub(super) has_voltage: bool,
}

/// One model that fits, and how well.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    /// Place in the list of models.
    pub(super) model: usize,
    /// What speaks for it.
    pub(super) evidence: Evidence,
}

/// Of all values of a model, at most this share may be missing or impossible: a device may lack what its series has.
const WRONG_AT_MOST: f64 = 0.2;
/// Values that make sense together before a model is believed without its name.
const FEWEST_VALUES: usize = 4;
/// Letters of a model's word that may stand for it in what a device says: shorter ones are in anything.
const SHORTEST_WORD: usize = 4;

impl Evidence {
    /// Whether this can be the model at all.
    fn fits(&self) -> bool {
        let (right, wrong) = self.values;
        let is_plausible =
            self.has_voltage && right >= FEWEST_VALUES && wrong as f64 <= WRONG_AT_MOST * (right + wrong) as f64;
        let (held, broken) = self.marks;
        let is_told = self.is_named || held > 0;
        (is_told && self.is_bearable() || is_plausible) && (broken == 0 || held > 0)
    }

    /// Whether the values bear out what the device says, or at least half of them: a gateway may say its own name for
    /// every unit behind it, and another model may have a measured value where this one has its code.
    fn is_bearable(&self) -> bool {
        let (right, wrong) = self.values;
        wrong <= right
    }

    /// More is better.
    fn rank(&self) -> (bool, usize, isize) {
        let (right, wrong) = self.values;
        (
            self.is_named && self.is_bearable(),
            if self.is_bearable() { self.marks.0 } else { 0 },
            right as isize - 2 * wrong as isize,
        )
    }
}

/// The models that fit, the best first, and how many of them cannot be told apart.
pub(super) fn ranked(all: Vec<Candidate>) -> (Vec<Candidate>, usize) {
    let mut fitting: Vec<Candidate> = all.into_iter().filter(|candidate| candidate.evidence.fits()).collect();
    fitting.sort_by_key(|candidate| std::cmp::Reverse(candidate.evidence.rank()));
    let best = fitting.first().map(|best| best.evidence.rank());
    let n_alike = fitting
        .iter()
        .take_while(|other| Some(other.evidence.rank()) == best)
        .count();
    (fitting, n_alike)
}

/// Whether what a device says of itself has the model's name in it.
pub(super) fn is_named(model: &Model, says: &[&str]) -> bool {
    let plain = |text: &str| -> String {
        text.chars()
            .filter(|c| c.is_alphanumeric())
            .collect::<String>()
            .to_uppercase()
    };
    let said: Vec<String> = says.iter().map(|text| plain(text)).collect();
    let words = model.model.split([' ', ',', '(', ')', ':']).map(plain);
    let mut names = words.filter(|word| word.len() >= SHORTEST_WORD && word.contains(|c: char| c.is_ascii_digit()));
    names.any(|name| said.iter().any(|said| said.contains(&name)))
}

/// Points whose values tell models apart: those that have a range.
pub(super) fn telling(model: &Model, ranges: &Ranges) -> Vec<Point> {
    let points = model.points.iter().filter(|point| ranges.of(point.quantity).is_some());
    points
        .map(|point| Point {
            every: None,
            ..point.clone()
        })
        .collect()
}

/// What the values of a model's telling points say; `None` = the device does not have the register.
pub(super) fn weigh(readings: &[Option<Reading>], ranges: &Ranges) -> Evidence {
    let mut evidence = Evidence::default();
    for reading in readings {
        match reading {
            Some(reading) if reading.quality.is_trusted() && reading.value == 0.0 => {}
            Some(reading) if reading.quality.is_trusted() => {
                let Some(range) = ranges.of(reading.quantity) else {
                    continue;
                };
                if range.holds(reading.value) {
                    evidence.values.0 += 1;
                    evidence.has_voltage |= range.name == "voltage";
                } else {
                    evidence.values.1 += 1;
                }
            }
            _ => evidence.values.1 += 1,
        }
    }
    let mut known: Vec<Reading> = readings.iter().flatten().copied().collect();
    if judge(&mut known).is_some() {
        // Each value for itself could be; together they cannot, and with a wrong unit they often cannot.
        evidence.values.1 += known.iter().filter(|reading| reading.quality == Quality::Bad).count();
    }
    evidence
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{data::DataFiles, model::models};

    fn evidence(is_named: bool, marks: (usize, usize), values: (usize, usize)) -> Evidence {
        Evidence {
            is_named,
            marks,
            values,
            has_voltage: values.0 > 0,
        }
    }

    /// Evidence by model → the models in order, and how many cannot be told apart.
    fn check(all: &[Evidence], expected: &[usize], n_alike: usize) {
        let all = all.iter().cloned().enumerate();
        let (ranked, alike) = ranked(all.map(|(model, evidence)| Candidate { model, evidence }).collect());
        let order: Vec<usize> = ranked.iter().map(|candidate| candidate.model).collect();
        assert_eq!((&order[..], alike), (expected, n_alike));
    }

    #[test]
    fn the_model_for_which_most_speaks_goes_first_and_equals_are_both_told() {
        let plausible = |right, wrong| evidence(false, (0, 0), (right, wrong));
        check(&[plausible(6, 0), plausible(12, 0), plausible(12, 0)], &[1, 2, 0], 2);
        check(&[plausible(12, 0), evidence(true, (0, 0), (6, 3))], &[1, 0], 1); // its own word counts most
        check(&[plausible(12, 0), evidence(true, (0, 0), (3, 9))], &[0], 1); // but may be the gateway's
        check(&[plausible(12, 0), evidence(false, (1, 0), (2, 0))], &[1, 0], 1);
        check(&[plausible(12, 0), evidence(false, (1, 0), (3, 9))], &[0], 1); // a code that is no code
        check(&[evidence(false, (0, 1), (12, 0)), plausible(5, 1)], &[1], 1); // another model's mark stands there
        check(&[plausible(3, 0), plausible(12, 6)], &[], 0);
        check(&[], &[], 0);
    }

    #[test]
    fn a_device_that_says_its_name_is_known_by_it() {
        let (models, problems) = models(&DataFiles::beside(Path::new("/nonexistent")));
        assert_eq!(problems, []);
        let named = |says: &[&str]| -> Vec<&str> {
            let named = models.iter().filter(|model| is_named(model, says));
            named.map(|model| model.name.as_str()).collect()
        };
        assert_eq!(named(&["Schneider Electric", "METSEPM5110"]), ["schneider-pm5110"]);
        assert_eq!(named(&["iEM3155"]), ["schneider-iem3000"]);
        assert_eq!(named(&["SENTRON PAC-3200"]), ["siemens-pac3200"]);
        assert_eq!(named(&["Maker", "V1.2"]), [""; 0]);
    }
}
