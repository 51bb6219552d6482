//! Whether meters agree: the eight methods of the Korean FEMS guideline, in its order, as pure functions over series.
//!
//! Limits are data (`config/consistency.toml`). It raises no finding. Invariants: a method that lacks data says
//! `cannot_tell` and why; a value that is not known is in no statistic; the same series give the same answer.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{finding::Title, meter_tree::Family, unit::rounded};

/// Limits of all editions, one file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsistencyRules {
    /// Editions.
    pub limits: Vec<Limits>,
}

impl ConsistencyRules {
    /// The edition in force on a day.
    pub fn on(&self, day: Date) -> Option<&Limits> {
        self.limits
            .iter()
            .filter(|limits| limits.from <= day)
            .max_by_key(|limits| limits.from)
    }
}

/// What still counts as consistent. Shares are 0..1.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// First day.
    pub from: Date,
    /// Fewest values that a statistic is made from.
    pub least_values: usize,
    /// |parent − Σ children| of the parent.
    pub sum_error: f64,
    /// R² from which a regression on a driver tells something.
    pub least_r2: f64,
    /// Production × factor against what was measured.
    pub production_error: f64,
    /// Relative standard deviation of a pattern meant to be flat: of use, of a ratio, of a difference.
    pub relative_deviation: f64,
    /// Utilisation × rated power against what was measured.
    pub utilisation_error: f64,
    /// An estimate from rated powers against what was measured.
    pub capacity_error: f64,
    /// Who set them.
    pub authority: String,
    /// Where they stand.
    pub source: String,
    /// `unverified` while nobody has checked them against the original.
    pub status: Option<String>,
}

/// The methods, by their number in the guideline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// (1) The parent against all its children.
    Sum,
    /// (2) Regression on a driver.
    Regression,
    /// (3) Production × conversion factor.
    Production,
    /// (4) A flat pattern of use.
    FlatPattern,
    /// (5) Known utilisation of the child.
    Utilisation,
    /// (6) The ratio of child and parent is constant.
    ConstantRatio,
    /// (7) The difference of parent and child is constant.
    ConstantDifference,
    /// (8) Comparison with capacity.
    Capacity,
}

impl Method {
    /// Its number in the guideline, 1 to 8.
    pub fn number(self) -> usize {
        self as usize + 1
    }
}

/// The order in which the guideline runs them, as far as there is data.
pub const ORDER: [Method; 8] = [
    Method::Sum,
    Method::ConstantRatio,
    Method::ConstantDifference,
    Method::Utilisation,
    Method::Regression,
    Method::Production,
    Method::FlatPattern,
    Method::Capacity,
];

/// What a method says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Within the limit.
    Consistent,
    /// Beyond it.
    Inconsistent,
    /// There is not enough to go by.
    CannotTell,
}

/// A method's answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// The method.
    pub method: Method,
    /// What it measured, 0..1; `None` when it cannot tell.
    pub statistic: Option<f64>,
    /// What it was held against.
    pub limit: f64,
    /// The answer.
    pub verdict: Verdict,
    /// Why, in words.
    pub reason: Title,
}

/// What is known of a meter beside its family; `None` = not known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Evidence<'a> {
    /// Parent and children by interval.
    pub families: &'a [Family],
    /// Which child is checked; `None` = the parent.
    pub child: Option<usize>,
    /// Share of its rated power at which it ran, by interval, 0..1.
    pub utilisation: Option<&'a [Option<f64>]>,
    /// Its rated energy in one interval, kWh.
    pub rated_kwh: Option<f64>,
    /// A driver by interval: production, degree days, …
    pub driver: Option<&'a [Option<f64>]>,
    /// Energy that a unit of the driver takes, kWh.
    pub kwh_per_unit: Option<f64>,
}

/// Runs the methods in the guideline's order until one finds the meters consistent, or their children above them.
pub fn checks(evidence: &Evidence<'_>, limits: &Limits) -> Vec<Check> {
    let mut found: Vec<Check> = vec![];
    for method in ORDER {
        let check = check(method, evidence, limits);
        let is_consistent = check.verdict == Verdict::Consistent;
        found.push(check);
        // What flows through children has flowed through the parent: no pattern makes more of them plausible.
        if is_consistent || method == Method::ConstantDifference && above(evidence, limits).is_some() {
            break;
        }
    }
    found
}

/// Energy of the parent and of its children, kWh, over the intervals in which all, or the checked one, are known, where
/// theirs is above it by more than the limit.
fn above(evidence: &Evidence<'_>, limits: &Limits) -> Option<(f64, f64)> {
    let sums = |child_kwh: &dyn Fn(&Family) -> Option<f64>| {
        let known = evidence
            .families
            .iter()
            .filter_map(|family| family.parent_kwh.zip(child_kwh(family)));
        let (n, parent, children) = known.fold((0, 0.0, 0.0), |(n, parent, children), (parent_kwh, child_kwh)| {
            (n + 1, parent + parent_kwh, children + child_kwh)
        });
        (n >= limits.least_values.max(1) && children > parent * (1.0 + limits.sum_error)).then_some((parent, children))
    };
    let of_all = sums(&Family::sum_kwh);
    of_all.or_else(|| sums(&|family| family.children_kwh.get(evidence.child?).copied().flatten()))
}

/// A ratio or a difference of parent and child, which must not be above it, however constant.
fn constant(method: Method, values: &[f64], evidence: &Evidence<'_>, limits: &Limits) -> Check {
    let Some((parent, children)) = above(evidence, limits) else {
        return spread(method, values, limits);
    };
    let reason = Title {
        ko: format!("하위 계측 {children:.1} kWh가 상위 계측 {parent:.1} kWh보다 큼: 불가능함"),
        en: format!("the children's {children:.1} kWh are above the parent's {parent:.1} kWh, which cannot be"),
    };
    let excess = (children - parent) / parent.max(f64::MIN_POSITIVE);
    within(method, excess, limits.sum_error, reason)
}

/// What all of them say: consistent if one found it so, inconsistent if none did and one refutes it. A load that is not
/// flat, nor in step with its parent's, nor its rated power, nor its driver's, may be measured rightly all the same.
pub fn verdict(checks: &[Check]) -> Verdict {
    // Where children were above their parent no method came after.
    let is_above = checks.last().map(|check| check.method) == Some(Method::ConstantDifference);
    let refutes = |check: &Check| match check.method {
        Method::Sum | Method::Production | Method::Utilisation => true,
        Method::ConstantRatio | Method::ConstantDifference => is_above,
        Method::Regression | Method::FlatPattern | Method::Capacity => false,
    };
    let is_refuted = |check: &Check| check.verdict == Verdict::Inconsistent && refutes(check);
    if checks.iter().any(|check| check.verdict == Verdict::Consistent) {
        Verdict::Consistent
    } else if checks.iter().any(is_refuted) {
        Verdict::Inconsistent
    } else {
        Verdict::CannotTell
    }
}

/// One method.
pub fn check(method: Method, evidence: &Evidence<'_>, limits: &Limits) -> Check {
    match method {
        Method::Sum => sum(evidence, limits),
        Method::ConstantRatio => constant(
            method,
            &pairs(evidence, |parent, child| child / parent),
            evidence,
            limits,
        ),
        Method::ConstantDifference => constant(
            method,
            &pairs(evidence, |parent, child| parent - child),
            evidence,
            limits,
        ),
        Method::Utilisation => utilisation(evidence, limits),
        Method::Regression => regression(evidence, limits),
        Method::Production => production(evidence, limits),
        Method::FlatPattern => spread(method, &measured(evidence).collect::<Vec<_>>(), limits),
        Method::Capacity => capacity(evidence, limits),
    }
}

/// (1) |parent − Σ children| ÷ parent, over the intervals in which all are known.
fn sum(evidence: &Evidence<'_>, limits: &Limits) -> Check {
    let known = evidence.families.iter().filter_map(|f| f.parent_kwh.zip(f.sum_kwh()));
    errors(Method::Sum, known, limits.sum_error, limits)
}

/// (5) Utilisation × rated energy against what was measured.
fn utilisation(evidence: &Evidence<'_>, limits: &Limits) -> Check {
    let (Some(utilisation), Some(rated_kwh)) = (evidence.utilisation, evidence.rated_kwh) else {
        return cannot(
            Method::Utilisation,
            limits.utilisation_error,
            "가동률과 정격을 알 수 없음",
            "utilisation and rated power are not known",
        );
    };
    let expected = utilisation.iter().map(|share| share.map(|share| share * rated_kwh));
    let known = series(evidence)
        .zip(expected)
        .filter_map(|(kwh, expected)| kwh.zip(expected));
    errors(Method::Utilisation, known, limits.utilisation_error, limits)
}

/// (3) Driver × kWh a unit against what was measured.
fn production(evidence: &Evidence<'_>, limits: &Limits) -> Check {
    let Some(kwh_per_unit) = evidence.kwh_per_unit else {
        return cannot(
            Method::Production,
            limits.production_error,
            "환산계수를 알 수 없음",
            "no conversion factor is known",
        );
    };
    let known = driven(evidence).map(|(driver, kwh)| (kwh, driver * kwh_per_unit));
    errors(Method::Production, known, limits.production_error, limits)
}

/// (8) The rated energy of all intervals against what was measured.
fn capacity(evidence: &Evidence<'_>, limits: &Limits) -> Check {
    let Some(rated_kwh) = evidence.rated_kwh else {
        return cannot(
            Method::Capacity,
            limits.capacity_error,
            "정격을 알 수 없음",
            "no rated power is known",
        );
    };
    let known = measured(evidence).map(|kwh| (kwh, rated_kwh));
    errors(Method::Capacity, known, limits.capacity_error, limits)
}

/// (2) How much of the use a straight line over the driver explains.
fn regression(evidence: &Evidence<'_>, limits: &Limits) -> Check {
    let method = Method::Regression;
    if evidence.driver.is_none() {
        return cannot(
            method,
            limits.least_r2,
            "생산량 등 설명변수를 알 수 없음",
            "no driver is known",
        );
    }
    let points: Vec<(f64, f64)> = driven(evidence).collect();
    if let Some(few) = too_few(method, points.len(), limits.least_r2, limits) {
        return few;
    }
    let n = points.len() as f64;
    let mean = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).sum::<f64>() / n;
    let (mean_x, mean_y) = (mean(|p| p.0), mean(|p| p.1));
    let moment = |product: &dyn Fn(f64, f64) -> f64| {
        let centred = points.iter().map(|(x, y)| (x - mean_x, y - mean_y));
        centred.map(|(x, y)| product(x, y)).sum::<f64>()
    };
    let (xx, yy, xy) = (moment(&|x, _| x * x), moment(&|_, y| y * y), moment(&|x, y| x * y));
    if xx <= 0.0 || yy <= 0.0 {
        return cannot(
            method,
            limits.least_r2,
            "설명변수나 사용량이 변하지 않음",
            "the driver or the use does not change",
        );
    }
    let r2 = xy * xy / (xx * yy);
    Check {
        method,
        statistic: Some(rounded(r2, 6)),
        limit: limits.least_r2,
        verdict: if r2 >= limits.least_r2 && xy > 0.0 {
            Verdict::Consistent
        } else {
            Verdict::Inconsistent
        },
        reason: Title {
            ko: format!("설명변수에 대한 값 {}개의 R²; 함께 증가해야 함", points.len()),
            en: format!("R² of {} values over the driver; it must rise with it", points.len()),
        },
    }
}

/// |Σ measured − Σ expected| ÷ Σ measured.
fn errors(method: Method, known: impl Iterator<Item = (f64, f64)>, limit: f64, limits: &Limits) -> Check {
    let (n, measured, expected) = known.fold((0, 0.0, 0.0), |(n, sum, other), (kwh, expected)| {
        (n + 1, sum + kwh, other + expected)
    });
    if let Some(few) = too_few(method, n, limit, limits) {
        return few;
    }
    if measured <= 0.0 {
        return cannot(method, limit, "사용량이 없음", "nothing was used");
    }
    let error = (measured - expected).abs() / measured;
    let reason = Title {
        ko: format!("계측 {measured:.1} kWh, 비교 {expected:.1} kWh, {n}개 구간"),
        en: format!("{measured:.1} kWh measured against {expected:.1} kWh, over {n} intervals"),
    };
    within(method, error, limit, reason)
}

/// Relative standard deviation: of the use (4), of a ratio (6), of a difference (7).
fn spread(method: Method, values: &[f64], limits: &Limits) -> Check {
    let limit = limits.relative_deviation;
    if let Some(few) = too_few(method, values.len(), limit, limits) {
        return few;
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if mean.abs() < f64::EPSILON {
        return cannot(method, limit, "평균이 0", "the mean is 0");
    }
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    let deviation = variance.sqrt() / mean.abs();
    let n = values.len();
    let reason = Title {
        ko: format!("평균 {mean:.4} 주위 값 {n}개의 상대표준편차"),
        en: format!("relative standard deviation of {n} values around {mean:.4}"),
    };
    within(method, deviation, limit, reason)
}

fn within(method: Method, statistic: f64, limit: f64, reason: Title) -> Check {
    Check {
        method,
        statistic: Some(rounded(statistic, 6)),
        limit,
        verdict: if statistic <= limit {
            Verdict::Consistent
        } else {
            Verdict::Inconsistent
        },
        reason,
    }
}

fn too_few(method: Method, n: usize, limit: f64, limits: &Limits) -> Option<Check> {
    let least = limits.least_values.max(1);
    (n < least).then(|| {
        let ko = format!("알려진 값 {n}개, 최소 {least}개 필요");
        cannot(method, limit, &ko, &format!("{n} values are known, {least} are needed"))
    })
}

fn cannot(method: Method, limit: f64, ko: &str, en: &str) -> Check {
    Check {
        method,
        statistic: None,
        limit,
        verdict: Verdict::CannotTell,
        reason: Title {
            ko: ko.to_owned(),
            en: en.to_owned(),
        },
    }
}

/// The checked meter's energy by interval.
fn series<'a>(evidence: &Evidence<'a>) -> impl Iterator<Item = Option<f64>> + use<'a> {
    let child = evidence.child;
    evidence.families.iter().map(move |family| match child {
        Some(child) => family.children_kwh.get(child).copied().flatten(),
        None => family.parent_kwh,
    })
}

fn measured<'a>(evidence: &Evidence<'a>) -> impl Iterator<Item = f64> + use<'a> {
    series(evidence).flatten()
}

/// Driver and energy, where both are known.
fn driven<'a>(evidence: &Evidence<'a>) -> impl Iterator<Item = (f64, f64)> + use<'a> {
    let driver = evidence.driver.unwrap_or_default().iter().copied();
    driver.zip(series(evidence)).filter_map(|(driver, kwh)| driver.zip(kwh))
}

/// A value of the parent and the checked child (of all children, when the parent is checked).
fn pairs(evidence: &Evidence<'_>, value: fn(f64, f64) -> f64) -> Vec<f64> {
    let pair = |family: &Family| {
        let child = match evidence.child {
            Some(child) => family.children_kwh.get(child).copied().flatten(),
            None => family.sum_kwh(),
        };
        family.parent_kwh.zip(child).filter(|(parent, _)| *parent > 0.0)
    };
    let known = evidence.families.iter().filter_map(pair);
    known.map(|(parent, child)| value(parent, child)).collect()
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    fn limits() -> Limits {
        Limits {
            from: "2020-01-01".parse().expect("valid"),
            least_values: 4,
            sum_error: 0.01,
            least_r2: 0.7,
            production_error: 0.03,
            relative_deviation: 0.042,
            utilisation_error: 0.02,
            capacity_error: 0.02,
            authority: "test".into(),
            source: "test".into(),
            status: None,
        }
    }

    fn families(parent: &[f64], child: &[f64]) -> Vec<Family> {
        let family = |(index, (parent, child)): (usize, (&f64, &f64))| Family {
            start: Timestamp::UNIX_EPOCH + SignedDuration::from_mins(15 * index as i64),
            parent_kwh: Some(*parent),
            children_kwh: vec![Some(*child)],
        };
        parent.iter().zip(child).enumerate().map(family).collect()
    }

    /// What each method says of a parent and its only child, which is checked, beside this evidence.
    #[track_caller]
    fn check_one(method: Method, parent: &[f64], child: &[f64], with: Evidence<'_>, expected: (Option<f64>, Verdict)) {
        let families = families(parent, child);
        let evidence = Evidence {
            families: &families,
            child: Some(0),
            ..with
        };
        let found = check(method, &evidence, &limits());
        assert_eq!((found.statistic, found.verdict), expected, "{found:?}");
    }

    #[test]
    fn each_method_tells_by_its_own_statistic() {
        use Verdict::{CannotTell, Consistent, Inconsistent};
        let (parent, child) = ([100.0, 200.0, 100.0, 200.0], [99.5, 199.0, 99.5, 199.0]);
        let half = [50.0, 100.0, 50.0, 100.0];
        let less_ten = [90.0, 190.0, 90.0, 190.0];
        let flat = [50.0, 51.0, 50.0, 49.0];
        let known = [Some(1.0), Some(2.0), Some(1.0), Some(2.0)];
        let none = Evidence::default();
        let driver = Evidence {
            driver: Some(&known),
            kwh_per_unit: Some(50.0),
            ..none
        };
        let rated = Evidence {
            utilisation: Some(&[Some(0.5), Some(1.0), Some(0.5), Some(1.0)]),
            rated_kwh: Some(100.0),
            ..none
        };
        let capacity = Evidence {
            rated_kwh: Some(50.0),
            ..none
        };
        check_one(Method::Sum, &parent, &child, none, (Some(0.005), Consistent));
        check_one(Method::Sum, &parent, &half, none, (Some(0.5), Inconsistent));
        check_one(Method::Sum, &parent[..3], &half[..3], none, (None, CannotTell));
        check_one(Method::ConstantRatio, &parent, &half, none, (Some(0.0), Consistent));
        check_one(
            Method::ConstantRatio,
            &parent,
            &less_ten,
            none,
            (Some(0.031_208), Consistent),
        );
        check_one(
            Method::ConstantDifference,
            &parent,
            &less_ten,
            none,
            (Some(0.0), Consistent),
        );
        check_one(
            Method::ConstantDifference,
            &parent,
            &half,
            none,
            (Some(0.3849), Inconsistent),
        );
        check_one(Method::Utilisation, &parent, &half, rated, (Some(0.0), Consistent));
        check_one(Method::Utilisation, &parent, &half, none, (None, CannotTell));
        check_one(Method::Regression, &parent, &half, driver, (Some(1.0), Consistent));
        check_one(Method::Regression, &parent, &[50.0; 4], driver, (None, CannotTell));
        check_one(Method::Production, &parent, &half, driver, (Some(0.0), Consistent));
        check_one(
            Method::Production,
            &parent,
            &child,
            driver,
            (Some(0.497_487), Inconsistent),
        );
        check_one(Method::FlatPattern, &parent, &flat, none, (Some(0.01633), Consistent));
        check_one(Method::FlatPattern, &parent, &half, none, (Some(0.3849), Inconsistent));
        check_one(Method::Capacity, &parent, &flat, capacity, (Some(0.0), Consistent));
        check_one(Method::Capacity, &parent, &half, none, (None, CannotTell));
    }

    #[test]
    fn children_above_their_parent_are_never_consistent() {
        let run = |child: &[f64]| {
            let families = families(&[100.0, 200.0, 100.0, 200.0], child);
            let evidence = Evidence {
                families: &families,
                child: Some(0),
                rated_kwh: Some(195.0),
                ..Evidence::default()
            };
            checks(&evidence, &limits())
        };
        // Half as much again throughout; and flat, as rated, but above.
        for child in [[150.0, 300.0, 150.0, 300.0], [195.0; 4]] {
            let found = run(&child);
            assert_eq!(verdict(&found), Verdict::Inconsistent, "{found:?}");
            let ratio = &found[1];
            assert_eq!((ratio.method, ratio.limit), (Method::ConstantRatio, 0.01));
            assert!(ratio.reason.en.contains("above the parent's 600.0 kWh"), "{ratio:?}");
        }
        // Within the limit of their sum it is an error of the meters.
        assert_eq!(verdict(&run(&[100.5, 201.0, 100.5, 201.0])), Verdict::Consistent);
    }

    #[test]
    fn a_use_that_falls_with_its_driver_is_not_explained() {
        let falling = [100.0, 50.0, 100.0, 50.0];
        let known = [Some(1.0), Some(2.0), Some(1.0), Some(2.0)];
        let driver = Evidence {
            driver: Some(&known),
            ..Evidence::default()
        };
        check_one(
            Method::Regression,
            &falling,
            &falling,
            driver,
            (Some(1.0), Verdict::Inconsistent),
        );
    }

    #[test]
    fn methods_run_in_order_until_one_finds_them_consistent() {
        let run = |child: &[f64]| {
            let families = families(&[100.0, 200.0, 130.0, 210.0], child);
            let evidence = Evidence {
                families: &families,
                child: Some(0),
                ..Evidence::default()
            };
            checks(&evidence, &limits())
        };
        let methods = |checks: &[Check]| checks.iter().map(|check| check.method).collect::<Vec<_>>();
        assert_eq!(methods(&run(&[100.0, 200.0, 130.0, 210.0])), [Method::Sum]);
        assert_eq!(methods(&run(&[50.0, 100.0, 65.0, 105.0])), ORDER[..2]);
        let all = run(&[50.0, 20.0, 90.0, 10.0]);
        assert_eq!(methods(&all), ORDER);
        assert_eq!(ORDER.map(Method::number), [1, 6, 7, 5, 2, 3, 4, 8]);
        let worded = |check: &Check| !check.reason.ko.is_empty() && !check.reason.en.is_empty();
        assert!(all.iter().all(worded), "each says why in both languages: {all:?}");
        assert_eq!(verdict(&all), Verdict::Inconsistent);
        assert_eq!(verdict(&checks(&Evidence::default(), &limits())), Verdict::CannotTell);
    }

    #[test]
    fn the_newest_edition_that_has_begun_counts() {
        let edition = |from: &str| Limits {
            from: from.parse().expect("valid"),
            ..limits()
        };
        let rules = ConsistencyRules {
            limits: vec![edition("2020-01-01"), edition("2026-01-01")],
        };
        let on = |day: &str| {
            rules
                .on(day.parse().expect("valid"))
                .map(|limits| limits.from.to_string())
        };
        assert_eq!(on("2025-12-31").as_deref(), Some("2020-01-01"));
        assert_eq!(on("2026-01-01").as_deref(), Some("2026-01-01"));
        assert_eq!(on("2019-12-31"), None);
    }
}
