//! The rules of a tariff in sentences: other days, discounts, billed demand, power factor, excess, rounding; each with
//! where it was found.
//!
//! It says what the data say and reckons nothing.

use energy::tariff::{
    Band, BandTable, BillRounding, DayKind, DemandRule, DemandStep, Discount, Edition, ExcessRule, PowerFactorRule,
    Rounding,
};
use rust_decimal::Decimal;

use crate::{
    cli::table::wrapped,
    language::Language,
    report::words::{band_name, item_name, season_name},
};

/// A rule: its name, what it says, where it was found.
type Said = (&'static str, Vec<String>, String);

/// Every rule of an edition, as text.
pub(super) fn shown(edition: &Edition<'_>, language: Language) -> String {
    let rules = &edition.contract.rules;
    let mut said = vec![days(edition.bands, language)];
    said.extend(edition.discounts.iter().map(|row| discount(row, language)));
    said.extend(rules.deferral.as_ref().map(|deferral| {
        let (reform, to) = (deferral.reform, deferral.to);
        let name = pick(language, "개편 유예", "Deferral");
        let text = match language {
            Language::Ko => format!("신청한 고객은 {reform} 개편을 {to}까지 적용받지 않음"),
            Language::En => format!("customers that applied keep what held before {reform} until {to}"),
        };
        (name, vec![text], deferral.source.clone())
    }));
    said.push(match &rules.demand {
        Some(rule) => demand(rule, language),
        None => contract_demand(rules.unused_share, language),
    });
    said.extend(own_demand(edition, language));
    said.extend(
        edition
            .power_factor
            .map(|rule| power_factor(rule, edition.contract.tariff.low_voltage, language)),
    );
    said.extend(rules.excess.as_ref().map(|rule| excess(rule, language)));
    said.extend(rounding(&rules.rounding, language));
    said.iter()
        .filter(|(_, texts, _)| !texts.is_empty())
        .map(as_text)
        .collect()
}

fn as_text((name, texts, source): &Said) -> String {
    let mut text = format!("{name}\n");
    text.extend(texts.iter().map(|line| wrapped(line, 2)));
    if !source.is_empty() {
        text += &wrapped(&format!("[{source}]"), 2);
    }
    text
}

fn pick(language: Language, ko: &'static str, en: &'static str) -> &'static str {
    match language {
        Language::Ko => ko,
        Language::En => en,
    }
}

fn percent(share: Decimal) -> Decimal {
    (share * Decimal::ONE_HUNDRED).normalize()
}

fn list<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn day_name(kind: DayKind, language: Language) -> &'static str {
    match kind {
        DayKind::Working => pick(language, "평일", "working days"),
        DayKind::Saturday => pick(language, "토요일", "Saturdays"),
        DayKind::Sunday => pick(language, "일요일", "Sundays"),
        DayKind::Holiday => pick(language, "공휴일", "public holidays"),
    }
}

/// What Saturdays, Sundays and holidays are.
fn days(bands: &BandTable, language: Language) -> Said {
    let name = |band: &Band| band_name(*band, language);
    let mut texts = Vec::new();
    for (band, counts_as) in &bands.saturday {
        texts.push(match language {
            Language::Ko => format!("토요일: {} 시간의 전력량은 {}로 계산", name(band), name(counts_as)),
            Language::En => format!(
                "Saturdays: energy of {} hours counts as {}",
                name(band),
                name(counts_as)
            ),
        });
    }
    texts.extend(bands.saturday_band.as_ref().map(|band| match language {
        Language::Ko => format!("토요일: 하루 종일 {}", name(band)),
        Language::En => format!("Saturdays: {} all day", name(band)),
    }));
    texts.extend(bands.sunday_and_holiday.as_ref().map(|band| match language {
        Language::Ko => format!("일요일·공휴일: 하루 종일 {}", name(band)),
        Language::En => format!("Sundays and public holidays: {} all day", name(band)),
    }));
    let head = pick(language, "주말·공휴일", "Weekends and holidays");
    (head, texts, format!("{}: {}", bands.from, bands.source))
}

fn discount(row: &Discount, language: Language) -> Said {
    let days: Vec<&str> = row.days.iter().map(|kind| day_name(*kind, language)).collect();
    let (days, hours, months, share) = (list(&days), list(&row.hours), list(&row.months), percent(row.share));
    let (item, from, to) = (item_name(&row.item, language), row.from, row.to);
    let text = match language {
        Language::Ko => {
            format!("{item}: {days} {hours}시, {months}월의 전력량요금 {share} % 할인 ({from} – {to})")
        }
        Language::En => {
            format!("{item}: {share} % off the energy price on {days}, hours {hours}, months {months} ({from} to {to})")
        }
    };
    (pick(language, "할인", "Discount"), vec![text], row.source.clone())
}

/// How the billed demand is found.
fn demand(rule: &DemandRule, language: Language) -> Said {
    let bands: Vec<&str> = rule.bands.iter().map(|band| band_name(*band, language)).collect();
    let (minutes, floor) = (rule.interval_min, percent(rule.floor_share));
    let mut texts = vec![match (language, bands.is_empty()) {
        (Language::Ko, true) => format!("모든 시간대의 {minutes}분 최대수요"),
        (Language::Ko, false) => format!("{}의 {minutes}분 최대수요", list(&bands)),
        (Language::En, true) => format!("highest demand over {minutes} min, whatever the hour"),
        (Language::En, false) => format!("highest demand over {minutes} min in hours of {}", list(&bands)),
    }];
    if !rule.ratchet_months.is_empty() {
        let (months, back) = (list(&rule.ratchet_months), rule.months_back);
        let share = percent(rule.ratchet_share);
        texts.push(match language {
            Language::Ko => format!("{months}월의 최대수요는 당월 포함 {back}개월 동안 {share} % 적용"),
            Language::En => {
                format!("maxima of months {months} count at {share} % for {back} months, their own included")
            }
        });
    }
    if !floor.is_zero() {
        texts.push(match language {
            Language::Ko => format!("하한: 계약전력의 {floor} %"),
            Language::En => format!("not below {floor} % of the contract"),
        });
    }
    (
        pick(language, "요금적용전력", "Billed demand"),
        texts,
        rule.source.clone(),
    )
}

/// Without a demand meter.
fn contract_demand(unused_share: Option<Decimal>, language: Language) -> Said {
    let mut texts = vec![pick(language, "계약전력", "the contract demand").to_owned()];
    texts.extend(unused_share.map(|share| match language {
        Language::Ko => format!("사용하지 않은 달은 기본요금의 {} %", percent(share)),
        Language::En => format!("{} % of the demand charge in a month without use", percent(share)),
    }));
    (pick(language, "요금적용전력", "Billed demand"), texts, String::new())
}

/// Prices of the month's own maxima and of the month itself.
fn own_demand(edition: &Edition<'_>, language: Language) -> Option<Said> {
    let (prices, currency) = (edition.prices, &edition.contract.rules.currency);
    let step = |step: &DemandStep| match language {
        Language::Ko => format!("{} kW 초과분 {} {currency}/kW", step.above_kw, step.per_kw),
        Language::En => format!("{} {currency}/kW above {} kW", step.per_kw, step.above_kw),
    };
    let mut texts = Vec::new();
    for (season, bands) in &prices.demand_by_band_per_kw {
        for (band, steps) in bands {
            let steps: Vec<String> = steps.iter().map(step).collect();
            let (season, band) = (season_name(season, language), band_name(*band, language));
            texts.push(format!("{season}, {band}: {}", list(&steps)));
        }
    }
    texts.extend(prices.fixed_per_month.map(|price| match language {
        Language::Ko => format!("매월 {price} {currency}"),
        Language::En => format!("{price} {currency} each month"),
    }));
    let head = pick(
        language,
        "당월 최대수요·고정요금",
        "The month's own maxima, fixed charge",
    );
    (!texts.is_empty()).then_some((head, texts, String::new()))
}

fn power_factor(rule: &PowerFactorRule, is_low_voltage: bool, language: Language) -> Said {
    let (minutes, per_pct, hours) = (rule.interval_min, percent(rule.share_per_pct), rule.lag_hours);
    let (reference, [low, high]) = (rule.lag_reference_pct, rule.lag_clamp_pct);
    let mut texts = vec![match language {
        // Low voltage is judged by the month's sums, and never leading.
        Language::Ko if is_low_voltage => format!("지상: 기준 {reference} %, 한 달 누계 값을 {low}–{high} %로 제한"),
        Language::En if is_low_voltage => {
            format!("lagging: reference {reference} %, of the month's sums, held to {low}–{high} %")
        }
        Language::Ko => {
            format!("지상 {hours}시: 기준 {reference} %, {minutes}분 값을 {low}–{high} %로 제한해 평균")
        }
        Language::En => {
            format!(
                "lagging, hours {hours}: reference {reference} %, mean of {minutes}-minute values held to {low}–{high} %"
            )
        }
    }];
    if let (Some(hours), Some(reference), false) = (rule.lead_hours, rule.lead_reference_pct, is_low_voltage) {
        let floor = rule.lead_floor_pct.unwrap_or_default();
        texts.push(match language {
            Language::Ko => format!("진상 {hours}시: 기준 {reference} %, 하한 {floor} %"),
            Language::En => format!("leading, hours {hours}: reference {reference} %, values not below {floor} %"),
        });
    }
    texts.push(match language {
        Language::Ko => format!("기준에 1 % 모자랄 때마다 기본요금의 {per_pct} % 추가, 지상은 넘으면 감액"),
        Language::En => {
            format!("{per_pct} % of the demand charge for each percent below; lagging above it is credited")
        }
    });
    texts.extend(rule.least_kw.map(|kw| match language {
        Language::Ko => format!("계약전력 {kw} kW 이상에만 적용"),
        Language::En => format!("contracts of {kw} kW and more only"),
    }));
    let source = format!("{}: {} ({})", rule.from, rule.source, status(&rule.status, language));
    (pick(language, "역률", "Power factor"), texts, source)
}

fn status(status: &str, language: Language) -> &str {
    match status {
        "verified" => pick(language, "원문 확인", "verified"),
        "unverified" => pick(language, "원문 미확인", "unverified"),
        other => other,
    }
}

fn excess(rule: &ExcessRule, language: Language) -> Said {
    let rate = |[from, rate]: &[Decimal; 2]| match language {
        Language::Ko => format!("계약전력을 {} % 이상 넘으면 단가의 {rate}배", percent(*from)),
        Language::En => format!("from {} % above the contract: {rate} times the price", percent(*from)),
    };
    let texts = rule.rates.iter().map(rate).collect();
    (
        pick(language, "초과사용", "Demand above the contract"),
        texts,
        rule.source.clone(),
    )
}

fn rounding(rule: &BillRounding, language: Language) -> Option<Said> {
    let steps = [
        (pick(language, "전력", "demand"), rule.demand_kw, "kW"),
        (pick(language, "전력량", "energy"), rule.energy_kwh, "kWh"),
        (pick(language, "역률", "power factor"), rule.power_factor_pct, "%"),
    ];
    let step = |(name, step, unit): (&str, Option<Decimal>, &str)| Some(format!("{name} {} {unit}", step?));
    let nearest: Vec<String> = steps.into_iter().filter_map(step).collect();
    let mut texts = Vec::new();
    if !nearest.is_empty() {
        let half_up = pick(language, "사사오입", "to the nearest");
        texts.push(format!("{half_up}: {}", list(&nearest)));
    }
    texts.extend(rule.total.map(|step| {
        let way = match rule.total_rounding {
            Some(Rounding::Down) => pick(language, "절사", "down"),
            _ => pick(language, "사사오입", "to the nearest"),
        };
        format!("{} {step}: {way}", item_name("total", language))
    }));
    (!texts.is_empty()).then(|| (pick(language, "끝수 처리", "Rounding"), texts, rule.source.clone()))
}
