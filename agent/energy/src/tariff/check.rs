//! Whether a tariff's data can be reckoned with: every hour in exactly one band, every band with a price, dates that
//! ascend, shares and steps within their bounds. Files come from outside, and a file of the user may override a shipped one.
//!
//! It prices nothing. Invariant: a tariff without problems gives a bill for any usage of a meter's range, without a panic.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

mod charges;

use super::{Band, BandTable, PowerFactorRule, PriceTable, Rules, Tariff};
use crate::{both, finding::Title};

/// What makes a tariff unusable, and in which of its two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// In the file of prices.
    Tariff(Wrong),
    /// In the file of rules.
    Rules(Wrong),
}

/// What is wrong in a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The key at the file's top …
    pub key: &'static str,
    /// … and which of its rows, from 0, where it has several.
    pub row: usize,
    /// What is wrong, and what is wanted.
    pub why: Title,
}

impl Wrong {
    fn new(key: &'static str, row: usize, why: Title) -> Self {
        Self { key, row, why }
    }
}

/// Largest amount that a price or a step may be, in any currency.
const LARGEST: Decimal = Decimal::from_parts(1_000_000_000, 0, 0, false, 0);
/// Months that a ratchet may look back: no supplier remembers longer than three years.
const MOST_MONTHS_BACK: u8 = 36;

/// Everything that makes `tariff` and `rules` unusable together; empty = nothing.
pub fn problems(tariff: &Tariff, rules: &Rules) -> Vec<Problem> {
    let mut found = Vec::new();
    found.extend(currency(rules).map(Problem::Rules));
    found.extend(seasons(rules).into_iter().chain(bands(rules)).map(Problem::Rules));
    found.extend(
        charges::charges(rules)
            .into_iter()
            .chain(demand(rules))
            .map(Problem::Rules),
    );
    found.extend(power_factors(rules).into_iter().map(Problem::Rules));
    found.extend(
        limits(tariff)
            .into_iter()
            .chain(prices(tariff, rules))
            .map(Problem::Tariff),
    );
    found
}

fn currency(rules: &Rules) -> Option<Wrong> {
    let (code, is_capital) = (&rules.currency, |letter: char| letter.is_ascii_uppercase());
    let is_code = code.len() == 3 && code.chars().all(is_capital);
    let why = || {
        both!(
            "currency는 KRW처럼 ISO 4217의 대문자 세 글자여야 하는데 {code:?}입니다",
            "currency must be three capital letters of ISO 4217, as KRW, not {code:?}"
        )
    };
    (!is_code).then(|| Wrong::new("currency", 0, why()))
}

fn seasons(rules: &Rules) -> Option<Wrong> {
    let mut months: Vec<i8> = rules.seasons.values().flatten().copied().collect();
    months.sort_unstable();
    let is_year = months == (1..=12).collect::<Vec<i8>>();
    (!is_year).then(|| {
        Wrong::new(
            "seasons",
            0,
            both!(
                "[seasons]에는 1월부터 12월까지 각 달이 한 번씩 있어야 합니다",
                "[seasons] must hold each month from 1 to 12 once"
            ),
        )
    })
}

fn bands(rules: &Rules) -> Vec<Wrong> {
    let mut found = Vec::new();
    if !rules.bands.is_sorted_by_key(|table| table.from) || rules.bands.is_empty() {
        found.push(Wrong::new(
            "bands",
            0,
            both!(
                "[[bands]]가 있어야 하고 \"from\" 순서여야 합니다",
                "[[bands]] must be there and ascend by \"from\""
            ),
        ));
    }
    let twice = repeated(rules.bands.iter().map(|table| (table.from, &table.area)));
    found.extend(twice.map(|(row, (from, _))| {
        Wrong::new(
            "bands",
            row,
            both!(
                "{from}부터의 bands가 같은 지역에 두 번 있습니다",
                "bands from {from} stand twice for one area"
            ),
        )
    }));
    for (row, table) in rules.bands.iter().enumerate() {
        for season in rules.seasons.keys() {
            if let Err(why) = hours(table, season) {
                let why = both!(
                    [why],
                    "{}부터의 bands, 계절 {season}: {why}",
                    "bands from {}, season {season}: {why}",
                    table.from
                );
                found.push(Wrong::new("bands", row, why));
            }
        }
    }
    found
}

/// Whether each is more than the one before it.
fn ascend<T: PartialOrd>(values: impl Iterator<Item = T>) -> bool {
    values.is_sorted_by(|one, next| one < next)
}

/// What stands there again, and in which row.
fn repeated<T: Ord + Clone>(values: impl Iterator<Item = T>) -> impl Iterator<Item = (usize, T)> {
    let mut seen = BTreeSet::new();
    values.enumerate().filter(move |(_, value)| !seen.insert(value.clone()))
}

/// Every hour of a day of `season` stands in exactly one band.
fn hours(table: &BandTable, season: &str) -> Result<(), Title> {
    let hours = table
        .hours
        .get(season)
        .ok_or_else(|| both!("시간이 적혀 있지 않습니다", "no hours are given"))?;
    let mut seen = [0usize; 24];
    for stretch in hours.values().flatten() {
        for (hour, times) in seen.iter_mut().enumerate() {
            *times += usize::from(stretch.contains(hour as i8));
        }
    }
    match seen.iter().position(|&times| times != 1) {
        Some(hour) if seen[hour] == 0 => Err(both!(
            "{hour}시가 어느 시간대에도 없습니다",
            "hour {hour} stands in no band"
        )),
        Some(hour) => Err(both!(
            "{hour}시가 시간대 {}개에 들어 있습니다",
            "hour {hour} stands in {} bands",
            seen[hour]
        )),
        None => Ok(()),
    }
}

fn demand(rules: &Rules) -> Vec<Wrong> {
    let mut found = Vec::new();
    let mut wrong = |key, why: Title| {
        let why = both!([why], "[{key}] {why}", "[{key}] {why}");
        found.push(Wrong::new(key, 0, why));
    };
    if let Some(rule) = &rules.demand {
        if !matches!(rule.interval_min, 1 | 5 | 10 | 15 | 30 | 60) {
            let got = rule.interval_min;
            wrong(
                "demand",
                both!(
                    "interval_min은 1, 5, 10, 15, 30, 60 중 하나여야 하는데 {got}입니다",
                    "interval_min must be 1, 5, 10, 15, 30 or 60, not {got}"
                ),
            );
        }
        if !(1..=MOST_MONTHS_BACK).contains(&rule.months_back) {
            let got = rule.months_back;
            wrong(
                "demand",
                both!(
                    "months_back은 1에서 {MOST_MONTHS_BACK} 사이여야 하는데 {got}입니다",
                    "months_back must be 1 to {MOST_MONTHS_BACK}, not {got}"
                ),
            );
        }
        for (name, share) in [("floor_share", rule.floor_share), ("ratchet_share", rule.ratchet_share)] {
            if !(Decimal::ZERO..=Decimal::ONE).contains(&share) {
                wrong(
                    "demand",
                    both!(
                        "{name} 값은 0에서 1 사이여야 하는데 {share}입니다",
                        "{name} must be 0 to 1, not {share}"
                    ),
                );
            }
        }
    }
    let Some(rule) = &rules.excess else { return found };
    if !ascend(rule.rates.iter().map(|rate| rate[0])) {
        wrong(
            "excess",
            both!(
                "rates는 적용 비율이 커지는 순서여야 합니다",
                "rates must ascend by the share from which they hold"
            ),
        );
    }
    for [from, rate] in &rule.rates {
        if from.is_sign_negative() || !(Decimal::ZERO..=Decimal::ONE_HUNDRED).contains(rate) {
            wrong(
                "excess",
                both!(
                    "배율은 0에서 100 사이, 적용 비율은 0 이상이어야 하는데 {from}부터 {rate}입니다",
                    "a rate must be 0 to 100 from a share of 0 on, not {rate} from {from}"
                ),
            );
        }
    }
    found
}

fn power_factors(rules: &Rules) -> Vec<Wrong> {
    let mut found = Vec::new();
    for (row, rule) in rules.power_factor.iter().enumerate() {
        let from = rule.from;
        let why = |why: Title| {
            let why = both!(
                [why],
                "{from}부터의 power_factor: {why}",
                "power_factor from {from}: {why}"
            );
            Wrong::new("power_factor", row, why)
        };
        found.extend(power_factor(rule).into_iter().map(why));
    }
    if !ascend(rules.power_factor.iter().map(|rule| rule.from)) {
        found.push(Wrong::new(
            "power_factor",
            0,
            both!(
                "[[power_factor]]는 \"from\" 순서여야 합니다",
                "[[power_factor]] must ascend by \"from\""
            ),
        ));
    }
    found
}

fn power_factor(rule: &PowerFactorRule) -> Vec<Title> {
    let mut found = Vec::new();
    let percents = Decimal::ZERO..=Decimal::ONE_HUNDRED;
    if !matches!(rule.interval_min, 5 | 10 | 15 | 30 | 60) {
        found.push(both!(
            "interval_min은 5, 10, 15, 30, 60 중 하나여야 하는데 {}입니다",
            "interval_min must be 5, 10, 15, 30 or 60, not {}",
            rule.interval_min
        ));
    }
    let [floor, ceiling] = rule.lag_clamp_pct;
    if floor.is_sign_negative() || floor > ceiling || ceiling > Decimal::ONE_HUNDRED {
        found.push(both!(
            "lag_clamp_pct는 0에서 100 사이의 두 수이고 작은 수가 먼저여야 합니다",
            "lag_clamp_pct must be two numbers from 0 to 100, the lower first"
        ));
    }
    let wanted = [
        Some(rule.lag_reference_pct),
        rule.lead_reference_pct,
        rule.lead_floor_pct,
    ];
    if wanted.iter().flatten().any(|pct| !percents.contains(pct)) {
        found.push(both!(
            "기준과 하한은 퍼센트이므로 0에서 100 사이여야 합니다",
            "references and floors are percents, 0 to 100"
        ));
    }
    if !(Decimal::ZERO..=Decimal::ONE).contains(&rule.share_per_pct) {
        found.push(both!(
            "share_per_pct는 0에서 1 사이여야 합니다",
            "share_per_pct must be 0 to 1"
        ));
    }
    found
}

fn limits(tariff: &Tariff) -> Option<Wrong> {
    let limits = tariff.contract.as_ref()?;
    let below_kw = limits.below_kw.unwrap_or(f64::INFINITY);
    let is_range = limits.least_kw >= 0.0 && limits.least_kw < below_kw;
    let why = both!(
        "contract: least_kw는 음수일 수 없고 below_kw보다 작아야 합니다",
        "contract: least_kw must not be negative, and lie below below_kw"
    );
    (!is_range).then(|| Wrong::new("contract", 0, why))
}

fn prices(tariff: &Tariff, rules: &Rules) -> Vec<Wrong> {
    let mut found = Vec::new();
    if !ascend(tariff.price.iter().map(|table| table.from)) || tariff.price.is_empty() {
        found.push(Wrong::new(
            "price",
            0,
            both!(
                "[[price]]가 있어야 하고 \"from\" 순서여야 합니다",
                "[[price]] must be there and ascend by \"from\""
            ),
        ));
    }
    for (row, table) in tariff.price.iter().enumerate() {
        let from = table.from;
        let why = |why: Title| {
            Wrong::new(
                "price",
                row,
                both!([why], "{from}부터의 단가{why}", "prices from {from}{why}"),
            )
        };
        found.extend(price(table, rules).into_iter().map(why));
    }
    found
}

fn price(table: &PriceTable, rules: &Rules) -> Vec<Title> {
    let mut found = Vec::new();
    let priced_seasons = table.energy_per_kwh.keys().chain(table.demand_by_band_per_kw.keys());
    let is_unknown = |season: &&String| !rules.seasons.contains_key(*season);
    let unknown: BTreeSet<&String> = priced_seasons.filter(is_unknown).collect();
    for season in unknown {
        let seasons: Vec<_> = rules.seasons.keys().collect();
        found.push(both!(
            ": 계절 {season:?}은(는) 없습니다. 있는 계절: {seasons:?}",
            ": no season is called {season:?}; there are {seasons:?}"
        ));
    }
    for season in rules.seasons.keys() {
        if let Err(why) = priced(table, season, rules) {
            found.push(both!([why], ", 계절 {season}: {why}", ", season {season}: {why}"));
        }
    }
    let bands = table.demand_by_band_per_kw.values();
    let steps = bands.flat_map(|bands| bands.values().flatten()).map(|step| step.per_kw);
    let demands: Vec<Decimal> = steps.chain([table.demand_per_kw]).collect();
    if let Some(price) = demands.iter().min().filter(|price| price.is_sign_negative()) {
        found.push(both!(
            ": 수요전력의 단가는 음수일 수 없는데 {price}입니다",
            ": no demand costs less than nothing, got {price}"
        ));
    }
    let energies = table.energy_per_kwh.values().flat_map(|bands| bands.values());
    let mut amounts = demands.iter().chain(energies).chain(&table.fixed_per_month);
    if amounts.any(|price| price.abs() > LARGEST) {
        found.push(both!(
            ": 단가는 {LARGEST} 이하여야 합니다",
            ": no price may be above {LARGEST}"
        ));
    }
    found
}

/// The bands that its hours and its days are in.
fn bands_of(table: &BandTable) -> impl Iterator<Item = Band> {
    let of_hours = table.hours.values().flat_map(|hours| hours.keys());
    let of_days = table
        .saturday
        .values()
        .chain(&table.saturday_band)
        .chain(&table.sunday_and_holiday);
    of_hours.chain(of_days).copied()
}

fn names(bands: &BTreeSet<Band>) -> String {
    let names: Vec<_> = bands.iter().map(|band| band.name()).collect();
    names.join(", ")
}

/// Whether each band that the hours of `season` know has a price, and each list of steps begins at 0.
fn priced(table: &PriceTable, season: &str, rules: &Rules) -> Result<(), Title> {
    let known: BTreeSet<Band> = rules.bands.iter().flat_map(bands_of).collect();
    let priced: BTreeSet<Band> = table
        .energy_per_kwh
        .get(season)
        .into_iter()
        .flat_map(|p| p.keys())
        .copied()
        .collect();
    if priced != known {
        let (known, priced) = (names(&known), names(&priced));
        return Err(both!(
            "시간대 {known}마다 단가가 있어야 하는데 {priced}만 있습니다",
            "a price for each of {known} is wanted, got {priced}"
        ));
    }
    for (band, steps) in table.demand_by_band_per_kw.get(season).into_iter().flatten() {
        if !known.contains(band) {
            let (band, known) = (band.name(), names(&known));
            return Err(both!(
                "수요전력의 단가가 시간대 {band}에 있는데 시간대는 {known}입니다",
                "a demand is priced in {band}, but the bands are {known}"
            ));
        }
        let begins = steps.first().is_some_and(|step| step.above_kw.is_zero());
        if !begins || !ascend(steps.iter().map(|step| step.above_kw)) {
            return Err(both!(
                "시간대별 단가의 단계는 above_kw = 0에서 시작해 차례로 커져야 합니다",
                "the steps of a price by band begin with above_kw = 0 and ascend"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "../../../tests/config_errors/korean.rs"]
mod korean;

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"
currency = "EUR"
decimals = 2
zone = "Europe/Berlin"
seasons = { all = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] }
levy = [{ item = "vat", from = "2020-01-01", share = 0.19, step = 0.01, rounding = "half-up", source = "test" }]
[[bands]]
from = "2020-01-01"
hours.all = { light = ["22-08"], peak = ["08-22"] }
authority = "test"
source = "test"
[demand]
interval_min = 15
bands = []
ratchet_months = []
months_back = 12
floor_share = 0.3
source = "test"
[[power_factor]]
from = "2020-01-01"
interval_min = 30
lag_hours = "08-22"
lag_reference_pct = 90
lag_clamp_pct = [60, 95]
share_per_pct = 0.002
status = "verified"
source = "test"
[rounding]
total = 0.01
"#;

    const TARIFF: &str = r#"
title = { ko = "시험", en = "test" }
rules = "test"
[[price]]
from = "2020-01-01"
demand_per_kw = 10
energy_per_kwh.all = { light = 0.1, peak = 0.2 }
demand_by_band_per_kw.all.peak = [{ above_kw = 0, per_kw = 2 }, { above_kw = 100, per_kw = 1 }]
authority = "test"
source = "test"
"#;

    fn check(change: (&str, &str), expected: &str) {
        let (from, to) = change;
        let rules = toml::from_str(&RULES.replace(from, to)).expect("still of the schema");
        let tariff = toml::from_str(&TARIFF.replace(from, to)).expect("still of the schema");
        let found = problems(&tariff, &rules);
        let told = found.iter().map(|problem| match problem {
            Problem::Tariff(Wrong { why, .. }) | Problem::Rules(Wrong { why, .. }) => {
                korean::check(&why.ko, &why.en);
                why.en.as_str()
            }
        });
        assert_eq!(told.collect::<Vec<_>>().join("; "), expected, "{from} -> {to}");
    }

    /// What is written, what stands in its place, and what is said of that.
    const WRONG: &[(&str, &str, &str)] = &[
        ("[1, 2, ", "[2, ", "[seasons] must hold each month from 1 to 12 once"),
        (
            "[\"22-08\"]",
            "[\"23-08\"]",
            "bands from 2020-01-01, season all: hour 22 stands in no band",
        ),
        (
            "[\"22-08\"]",
            "[\"21-08\"]",
            "bands from 2020-01-01, season all: hour 21 stands in 2 bands",
        ),
        (
            "share = 0.19",
            "share = 19",
            "the share of levy vat from 2020-01-01 must be 0 to 1, not 19",
        ),
        (
            "total = 0.01",
            "total = 0",
            "a step of [rounding] must be 0.000001 to 1000000000, not 0",
        ),
        (
            "interval_min = 15",
            "interval_min = 7",
            "[demand] interval_min must be 1, 5, 10, 15, 30 or 60, not 7",
        ),
        (
            "months_back = 12",
            "months_back = 0",
            "[demand] months_back must be 1 to 36, not 0",
        ),
        (
            "interval_min = 30",
            "interval_min = 0",
            "power_factor from 2020-01-01: interval_min must be 5, 10, 15, 30 or 60, not 0",
        ),
        (
            "[60, 95]",
            "[95, 60]",
            "power_factor from 2020-01-01: lag_clamp_pct must be two numbers from 0 to 100, the lower first",
        ),
        (
            "light = 0.1, peak",
            "peak",
            "prices from 2020-01-01, season all: a price for each of light, peak is wanted, got peak",
        ),
        (
            "above_kw = 0,",
            "above_kw = 1,",
            "prices from 2020-01-01, season all: the steps of a price by band begin with above_kw = 0 and ascend",
        ),
        (
            "\"EUR\"",
            "\"\"",
            "currency must be three capital letters of ISO 4217, as KRW, not \"\"",
        ),
        (
            "[demand]",
            "sunday_and_holiday = \"mid\"\n[demand]",
            "prices from 2020-01-01, season all: a price for each of light, mid, peak is wanted, got light, peak",
        ),
        (
            "demand_by_band_per_kw.all.",
            "demand_by_band_per_kw.al.",
            "prices from 2020-01-01: no season is called \"al\"; there are [\"all\"]",
        ),
        (
            "demand_by_band_per_kw.all.peak",
            "demand_by_band_per_kw.all.mid",
            "prices from 2020-01-01, season all: a demand is priced in mid, but the bands are light, peak",
        ),
        (
            "levy = [",
            "levy = [{ item = \"vat\", from = \"2020-01-01\", share = 0.07, step = 0.01, rounding = \"half-up\", source = \"test\" }, ",
            "vat from 2020-01-01 stands there twice",
        ),
        (
            "[rounding]",
            "[excess]\nrates = [[0.3, 2], [0, 1.5]]\nsource = \"test\"\n[rounding]",
            "[excess] rates must ascend by the share from which they hold",
        ),
        (
            "demand_per_kw = 10",
            "demand_per_kw = -10",
            "prices from 2020-01-01: no demand costs less than nothing, got -10",
        ),
        (
            "demand_per_kw = 10",
            "demand_per_kw = 10000000000",
            "prices from 2020-01-01: no price may be above 1000000000",
        ),
    ];

    #[test]
    fn what_cannot_be_reckoned_with_is_named() {
        check(("", ""), "");
        for (from, to, expected) in WRONG {
            check((from, to), expected);
        }
    }

    #[test]
    fn what_is_wrong_is_shown_in_its_row() {
        let place = |from: &str, to: &str| {
            let rules = toml::from_str(&RULES.replace(from, to)).expect("still of the schema");
            let tariff = toml::from_str(&TARIFF.replace(from, to)).expect("still of the schema");
            problems(&tariff, &rules)
                .into_iter()
                .next()
                .map(|problem| match problem {
                    Problem::Tariff(wrong) => ("prices", wrong.key, wrong.row),
                    Problem::Rules(wrong) => ("rules", wrong.key, wrong.row),
                })
        };
        let twice = "levy = [{ item = \"vat\", from = \"2020-01-01\", share = 0.07, step = 0.01, rounding = \"half-up\", source = \"test\" }, ";
        assert_eq!(place("levy = [", twice), Some(("rules", "levy", 1)));
        assert_eq!(
            place("interval_min = 30", "interval_min = 0"),
            Some(("rules", "power_factor", 0))
        );
        assert_eq!(
            place("demand_per_kw = 10", "demand_per_kw = -10"),
            Some(("prices", "price", 0))
        );
        assert_eq!(
            place("[demand]\ninterval_min = 15", "[demand]\ninterval_min = 7"),
            Some(("rules", "demand", 0))
        );
    }
}
