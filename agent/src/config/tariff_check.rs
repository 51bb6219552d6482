//! Whether a tariff's data can be used, reported at the files they stand in; the judgement is the crate `energy`'s.

use energy::tariff::{Problem, Rules, Tariff, problems};
use jiff::civil::Date;

use super::{
    diagnostic::Code,
    read::{At, File},
};

/// Reports what makes `tariff` and `rules` unusable together.
pub(super) fn check(tariff: &Tariff, tariff_file: &File, rules: &Rules, rules_file: &File) {
    for problem in problems(tariff, rules) {
        match problem {
            Problem::Tariff(wrong) => tariff_file.report_row(Code::BadDataFile, (wrong.key, wrong.row), wrong.why),
            Problem::Rules(wrong) => rules_file.report_row(Code::BadDataFile, (wrong.key, wrong.row), wrong.why),
        }
    }
}

/// Warns where the tariff is not for a contract of so many kW.
pub(super) fn fits(file: &File, tariff: &Tariff, contract_kw: &At<f64>) {
    let Some(limits) = tariff
        .contract
        .as_ref()
        .filter(|limits| !limits.hold(*contract_kw.get_ref()))
    else {
        return;
    };
    let below = limits
        .below_kw
        .map_or_else(|| " on".to_owned(), |kw| format!(" to below {kw} kW"));
    let message = format!(
        "{} is for contracts from {} kW{below}, not of {} kW",
        tariff.title.en,
        limits.least_kw,
        contract_kw.get_ref()
    );
    let help = format!(
        "compare \"tariff\" with the contract type on the bill ({})",
        limits.source
    );
    file.report_with(Code::ContractLimits, contract_kw.span(), message, Some(help));
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
