//! Whether a tariff's data can be used: every hour in exactly one band, every band with a price, dates that ascend.
//!
//! It prices nothing. It is here because a file of the user may override a shipped one.

use std::collections::BTreeSet;

use energy::tariff::{Band, BandTable, Rules, Tariff};
use jiff::civil::Date;

use super::{
    diagnostic::Code,
    read::{At, File},
};

/// Reports what makes `tariff` and `rules` unusable together.
pub(super) fn check(tariff: &Tariff, tariff_file: &File, rules: &Rules, rules_file: &File) {
    let bad_rules = |why: String| rules_file.report(Code::BadDataFile, 0..0, why);
    let mut months: Vec<i8> = rules.seasons.values().flatten().copied().collect();
    months.sort_unstable();
    if months != (1..=12).collect::<Vec<i8>>() {
        bad_rules("[seasons] must hold each month from 1 to 12 once".into());
    }
    if !ascend(rules.bands.iter().map(|table| table.from)) || rules.bands.is_empty() {
        bad_rules("[[bands]] must be there and ascend by \"from\"".into());
    }
    for table in &rules.bands {
        for season in rules.seasons.keys() {
            if let Err(why) = bands(table, season) {
                bad_rules(format!("bands from {}, season {season}: {why}", table.from));
            }
        }
    }
    prices(tariff, tariff_file, rules);
}

fn ascend(dates: impl Iterator<Item = Date>) -> bool {
    dates.is_sorted()
}

/// Every hour of a day of `season` stands in exactly one band.
fn bands(table: &BandTable, season: &str) -> Result<(), String> {
    let hours = table.hours.get(season).ok_or("no hours are given")?;
    let mut seen = [0u8; 24];
    for stretch in hours.values().flatten() {
        for (hour, times) in seen.iter_mut().enumerate() {
            *times += u8::from(stretch.contains(hour as i8));
        }
    }
    match seen.iter().position(|&times| times != 1) {
        Some(hour) if seen[hour] == 0 => Err(format!("hour {hour} stands in no band")),
        Some(hour) => Err(format!("hour {hour} stands in {} bands", seen[hour])),
        None => Ok(()),
    }
}

fn prices(tariff: &Tariff, file: &File, rules: &Rules) {
    let bad = |why: String| file.report(Code::BadDataFile, 0..0, why);
    if !ascend(tariff.price.iter().map(|table| table.from)) || tariff.price.is_empty() {
        bad("[[price]] must be there and ascend by \"from\"".into());
    }
    let bands: BTreeSet<Band> = rules
        .bands
        .iter()
        .flat_map(|table| table.hours.values().flat_map(|hours| hours.keys()))
        .copied()
        .collect();
    for table in &tariff.price {
        for season in rules.seasons.keys() {
            let priced: BTreeSet<Band> = table
                .energy_per_kwh
                .get(season)
                .into_iter()
                .flat_map(|p| p.keys())
                .copied()
                .collect();
            if priced != bands {
                bad(format!(
                    "prices from {}, season {season}: a price for each of {bands:?} is wanted, got {priced:?}",
                    table.from
                ));
            }
        }
    }
}

/// Reports that prices begin after the day they are wanted for: an error for an edition, else a warning.
pub(super) fn covers(file: &File, tariff: &Tariff, day: &At<Date>, is_edition: bool) {
    let Some(first) = tariff.price.first().filter(|first| *day.get_ref() < first.from) else {
        return;
    };
    let message = format!(
        "the prices of this tariff begin on {}: before that money is unknown",
        first.from
    );
    let code = if is_edition { Code::BadValue } else { Code::PriceUnknown };
    let help = "edition = \"DATE\" prices everything by the rules of one day";
    file.report_with(code, day.span(), message, Some(help.into()));
}
