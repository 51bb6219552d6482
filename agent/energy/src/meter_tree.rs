//! Meters above and below each other: who measures a part of whom, and what nobody below measures.
//!
//! It judges nothing (see `consistency.rs`). Invariant: a remainder is told only where the parent and every child are
//! known whole; it may be negative, and then says that a meter is wrong.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{interval::Interval, sample::Name, site::Site};

/// An interval counts as known whole from this coverage on: a reading that comes a second late is no gap.
const WHOLE: f64 = 0.99;

/// Children of a meter, in the order of the site.
pub fn children<'a>(site: &'a Site, parent: &str) -> Vec<&'a Name> {
    site.meters
        .iter()
        .filter(|meter| meter.parent.as_deref() == Some(parent))
        .map(|meter| &meter.name)
        .collect()
}

/// What a parent and all its children measured in one interval, kWh; `None` where it is not known whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Start of the interval.
    pub start: Timestamp,
    /// The parent.
    pub parent_kwh: Option<f64>,
    /// The children, in the order of [`children`].
    pub children_kwh: Vec<Option<f64>>,
}

impl Family {
    /// Sum of the children, kWh; `None` when one of them is not known, or there is none.
    pub fn sum_kwh(&self) -> Option<f64> {
        let sum = self.children_kwh.iter().copied().sum::<Option<f64>>();
        sum.filter(|_| !self.children_kwh.is_empty())
    }

    /// What no child measures, kWh.
    pub fn remainder_kwh(&self) -> Option<f64> {
        Some(self.parent_kwh? - self.sum_kwh()?)
    }
}

/// A part of a parent's energy, over the intervals in which both are known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// The part, kWh.
    pub kwh: f64,
    /// What the parent measured in the same intervals, kWh.
    pub parent_kwh: f64,
    /// How many intervals those are.
    pub n_intervals: usize,
}

impl Share {
    /// Sums `part` over the families; `None` where no interval knows both.
    pub fn of(families: &[Family], part: impl Fn(&Family) -> Option<f64>) -> Option<Self> {
        let known = families
            .iter()
            .filter_map(|family| Some((part(family)?, family.parent_kwh?)));
        known.fold(None, |sum, (kwh, parent_kwh)| {
            let sum = sum.unwrap_or(Self {
                kwh: 0.0,
                parent_kwh: 0.0,
                n_intervals: 0,
            });
            Some(Self {
                kwh: sum.kwh + kwh,
                parent_kwh: sum.parent_kwh + parent_kwh,
                n_intervals: sum.n_intervals + 1,
            })
        })
    }

    /// The part of the parent, 0..1; `None` where the parent measured nothing.
    pub fn of_parent(&self) -> Option<f64> {
        (self.parent_kwh > 0.0).then(|| self.kwh / self.parent_kwh)
    }
}

/// Parent and children interval by interval, by start. Of intervals that come twice the last counts.
pub fn families(site: &Site, parent: &str, intervals: &[Interval]) -> Vec<Family> {
    let children = children(site, parent);
    let mut families: BTreeMap<Timestamp, Family> = BTreeMap::new();
    for interval in intervals {
        let child = children.iter().position(|child| **child == interval.meter);
        if child.is_none() && *interval.meter != *parent {
            continue;
        }
        let family = families.entry(interval.start).or_insert_with(|| Family {
            start: interval.start,
            parent_kwh: None,
            children_kwh: vec![None; children.len()],
        });
        let known = interval.energy_import_kwh.filter(|_| interval.coverage >= WHOLE);
        match child {
            Some(child) => family.children_kwh[child] = known,
            None => family.parent_kwh = known,
        }
    }
    families.into_values().collect()
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, tz::TimeZone};

    use super::*;
    use crate::{
        interval::Raw,
        sample::Quality,
        site::{Meter, Site},
    };

    fn site() -> Site {
        let meter = |name: &str, parent: Option<&str>| Meter {
            parent: parent.map(Into::into),
            ..Meter::new(name.into(), SignedDuration::from_mins(1))
        };
        Site {
            name: "s".into(),
            zone: TimeZone::UTC,
            days_off: crate::calendar::DaysOff::default(),
            demand_interval: SignedDuration::from_mins(15),
            meters: vec![
                meter("main", None),
                meter("a", Some("main")),
                meter("b", Some("main")),
                meter("c", Some("b")),
            ],
            machines: vec![],
            main_meter: Some("main".into()),
            contracts: vec![],
            carbon: None,
            fuel_meters: vec![],
            instruments: vec![],
        }
    }

    fn interval(meter: &str, kwh: Option<f64>, coverage: f64) -> Interval {
        Interval {
            meter: meter.into(),
            start: Timestamp::UNIX_EPOCH,
            end: Timestamp::UNIX_EPOCH + SignedDuration::from_mins(15),
            energy_import_kwh: kwh,
            energy_export_kwh: None,
            reactive_energy_lag_kvarh: None,
            reactive_energy_lead_kvarh: None,
            quality: Quality::Ok,
            coverage,
            revision: 0,
            raw: Raw::default(),
            repairs: vec![],
        }
    }

    #[test]
    fn what_no_child_measures_is_told_only_where_all_are_known() {
        let check = |b: Interval, expected: Option<f64>| {
            let all = [
                interval("main", Some(100.0), 1.0),
                interval("a", Some(30.0), 1.0),
                interval("c", Some(50.0), 1.0),
                b.clone(),
            ];
            let families = families(&site(), "main", &all);
            assert_eq!(families.len(), 1);
            assert_eq!(families[0].remainder_kwh(), expected, "{b:?}");
        };
        check(interval("b", Some(60.0), 1.0), Some(10.0));
        check(interval("b", Some(80.0), 1.0), Some(-10.0));
        check(interval("b", Some(60.0), 0.5), None);
        check(interval("b", None, 0.0), None);
        check(interval("nobody", Some(60.0), 1.0), None);
        assert_eq!(children(&site(), "b"), [&Name::from("c")]);
        let childless = families(&site(), "c", &[interval("c", Some(1.0), 1.0)]);
        assert_eq!(
            childless[0].remainder_kwh(),
            None,
            "without children nothing is left over"
        );
    }

    #[test]
    fn a_share_is_of_the_intervals_in_which_both_are_known() {
        let check = |families: &[(Option<f64>, Option<f64>)], expected: Option<(f64, Option<f64>, usize)>| {
            let families: Vec<Family> = families
                .iter()
                .map(|(parent_kwh, child)| Family {
                    start: Timestamp::UNIX_EPOCH,
                    parent_kwh: *parent_kwh,
                    children_kwh: vec![*child],
                })
                .collect();
            let share = Share::of(&families, Family::remainder_kwh);
            let found = share.map(|share| (share.kwh, share.of_parent(), share.n_intervals));
            assert_eq!(found, expected);
        };
        let (whole, unknown) = ((Some(100.0), Some(75.0)), (Some(100.0), None));
        check(
            &[whole, unknown, whole, (None, Some(75.0))],
            Some((50.0, Some(0.25), 2)),
        );
        check(&[(Some(0.0), Some(0.0))], Some((0.0, None, 1)));
        check(&[unknown], None);
        check(&[], None);
    }
}
