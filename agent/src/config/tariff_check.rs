//! Whether a tariff's data can be used, reported at the files they stand in; the judgement is the crate `energy`'s.

use std::ops::Range;

use energy::{
    both,
    tariff::{Problem, Rules, Tariff, problems},
};
use jiff::{civil::Date, tz::TimeZone};

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
    let below = limits.below_kw.map_or_else(
        || both!(" 이상", " on"),
        |kw| both!(" 이상 {kw} kW 미만", " to below {kw} kW"),
    );
    let name = &tariff.title;
    let message = both!(
        [name, below],
        "요금제 {name}은(는) {} kW{below} 계약에 적용됩니다. 이 계약은 {} kW입니다",
        "{name} is for contracts from {} kW{below}, not of {} kW",
        limits.least_kw,
        contract_kw.get_ref()
    );
    let help = both!(
        "\"tariff\" 값을 청구서의 계약종별과 비교하십시오 ({})",
        "compare \"tariff\" with the contract type on the bill ({})",
        limits.source
    );
    file.report_with(Code::ContractLimits, contract_kw.span(), message, Some(help));
}

/// Warns where the tariff's hours are of another zone than the site's, as far as that is known.
pub(super) fn runs_by(file: &File, rules: &Rules, zone: &TimeZone, place: Range<usize>) {
    if zone.is_unknown() || rules.zone == *zone {
        return;
    }
    let name = |zone: &TimeZone| zone.iana_name().unwrap_or("?").to_owned();
    let (own, site) = (name(&rules.zone), name(zone));
    let message = both!(
        "이 요금제의 시간대는 {own}이고 사업장은 {site}입니다. 부하시간대와 달은 {own} 시각으로 나뉩니다",
        "the hours and months of this tariff are those of {own}, the site is in {site}"
    );
    let help = both!(
        "요금제의 rules 파일에 zone = {site:?}을 쓰거나 [site]의 \"zone\"을 고치십시오",
        "write zone = {site:?} in the tariff's file of rules, or mend \"zone\" of [site]"
    );
    file.report_with(Code::TariffZone, place, message, Some(help));
}

/// Reports that prices begin after the day they are wanted for: an error for an edition, else a warning.
pub(super) fn covers(file: &File, tariff: &Tariff, day: &At<Date>, is_edition: bool) {
    let Some(first) = tariff.price.first().filter(|first| *day.get_ref() < first.from) else {
        return;
    };
    let message = both!(
        "이 요금제의 단가는 {}에 시작합니다. 그 전의 금액은 알 수 없습니다",
        "the prices of this tariff begin on {}: before that money is unknown",
        first.from
    );
    let code = if is_edition { Code::BadValue } else { Code::PriceUnknown };
    let help = both!(
        "edition = \"DATE\"로 기준일을 고정하면 모든 기간을 그날의 단가와 규정으로 계산합니다",
        "edition = \"DATE\" prices everything by the rules of one day"
    );
    file.report_with(code, day.span(), message, Some(help));
}
