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
            Problem::Tariff(why) => tariff_file.report(Code::BadDataFile, 0..0, why),
            Problem::Rules(why) => rules_file.report(Code::BadDataFile, 0..0, why),
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
