//! Names for people, in both languages, of what reports and commands print: kinds of waste, bands, items of a bill,
//! qualities and repairs of readings.

use energy::{
    Quality, Quantity,
    finding::{Kind, Money},
    interval::Repair,
    tariff::{Band, bill},
    unit::percent_seen,
};

use super::Language;

/// Money as people write it, with all its places: `1,234,567원` in Korean, `1,234,567 KRW` in English.
pub fn money(money: &Money, language: Language) -> String {
    let mut amount = money.amount.normalize();
    // No currency is counted in tenths.
    if amount.scale() == 1 {
        amount.rescale(2);
    }
    let amount = grouped(&amount.to_string());
    match (language, money.currency.as_str()) {
        (Language::Ko, "KRW") => format!("{amount}원"),
        (_, currency) => format!("{amount} {currency}"),
    }
}

/// A coverage, rounded down; of a period of which the data hold a part, that is said too.
pub fn seen(coverage: f64, is_whole: bool, language: Language) -> String {
    percent_seen(coverage) + part(is_whole, language)
}

/// Marks a period of which the data hold a part.
pub fn part(is_whole: bool, language: Language) -> &'static str {
    match (is_whole, language) {
        (true, _) => "",
        (false, Language::Ko) => " (일부)",
        (false, Language::En) => " (part)",
    }
}

/// What people call a kind of waste.
pub fn kind_name(kind: Kind, language: Language) -> &'static str {
    let (ko, en) = both(kind);
    match language {
        Language::Ko => ko,
        Language::En => en,
    }
}

/// A number's whole part in groups of three.
pub fn grouped(number: &str) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("-", digits));
    let (whole, rest) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    // What rounds to nothing has no sign.
    let is_nothing = digits.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let mut out = String::from(if is_nothing { "" } else { sign });
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + rest
}

/// What people call a band.
pub fn band_name(band: Band, language: Language) -> &'static str {
    let (ko, en) = match band {
        Band::Light => ("경부하", "light"),
        Band::Mid => ("중간부하", "mid"),
        Band::Peak => ("최대부하", "peak"),
        Band::Flat => ("단일", "flat"),
    };
    match language {
        Language::Ko => ko,
        Language::En => en,
    }
}

/// What people call an item of a bill; an item of a tariff of the site's own keeps its name.
pub fn item_name(item: &str, language: Language) -> &str {
    bill::item_name(item).map_or(item, |(ko, en)| match language {
        Language::Ko => ko,
        Language::En => en,
    })
}

/// What people call a season of the tariffs; one of a tariff of the site's own keeps its name.
pub fn season_name(season: &str, language: Language) -> &str {
    let (ko, en) = match season {
        "summer" => ("여름철", "summer"),
        "spring_autumn" => ("봄·가을철", "spring, autumn"),
        "winter" => ("겨울철", "winter"),
        _ => (season, season),
    };
    match language {
        Language::Ko => ko,
        Language::En => en,
    }
}

/// The unit of what a repair of this register gave: energy, where there is only its power.
pub fn repaired_unit(quantity: Quantity) -> &'static str {
    if quantity == Quantity::ActivePower {
        return Quantity::EnergyImport.row().unit;
    }
    quantity.row().unit
}

/// The numbers that a repair was decided by, as `name=value`.
pub fn reasons(repair: &Repair) -> Vec<String> {
    let pair = |(name, value): (&String, &f64)| format!("{name}={value}");
    repair.why.iter().map(pair).collect()
}

/// `reset`, what was before and after, and the numbers it was decided by.
pub fn repair_text(repair: &Repair, language: Language) -> String {
    let why = reasons(repair);
    let amount = repair.amount.map_or(String::new(), |amount| {
        format!(
            ", {} {}",
            grouped(&format!("{amount:.2}")),
            repaired_unit(repair.quantity)
        )
    });
    let why = if why.is_empty() {
        String::new()
    } else {
        format!(" ({})", why.join(" "))
    };
    let name = repair_name(repair.kind.name(), language);
    format!("{name}: {} → {}{amount}{why}", repair.before, repair.after)
}

/// What people call a repair, by its name in files, which stands beside it: files are searched for that.
pub fn repair_name(repair: &str, language: Language) -> String {
    let ko = match repair {
        "rollover" => "레지스터 넘침",
        "reset" => "초기화",
        "swap" => "계측기 교체",
        "jump" => "비약",
        "spike" => "튐",
        "zero_burst" => "영점 연속",
        "out_of_range" => "범위 밖",
        "waver" => "미세 후퇴",
        "frozen" => "멈춤",
        "calculated" => "전력으로 계산",
        "gap_spread" => "공백 배분",
        _ => repair,
    };
    with_name(ko, repair, language)
}

/// How far a number of a data file was checked, by the word that the file has for it.
pub fn status_name(status: &str, language: Language) -> &str {
    match (language, status) {
        (Language::Ko, "verified") => "확인함",
        (Language::Ko, "secondary source") => "2차 자료",
        (Language::Ko, "unverified") => "미확인",
        (Language::Ko, "from memory, verify") => "확인 필요",
        (Language::En, "secondary source") => "secondary",
        (Language::En, "from memory, verify") => "to verify",
        _ => status,
    }
}

/// What people call a quality, its name in files beside it.
pub fn quality_name(quality: Quality, language: Language) -> String {
    let ko = match quality {
        Quality::Ok => "정상",
        Quality::Restored => "복원",
        Quality::Estimated => "추정",
        Quality::ClockSuspect => "시각 의심",
        Quality::Stale => "오래된 값",
        Quality::Bad => "불량",
    };
    with_name(ko, quality.name(), language)
}

fn with_name(ko: &str, name: &str, language: Language) -> String {
    match language {
        Language::Ko if ko != name => format!("{ko}({name})"),
        Language::Ko | Language::En => name.to_owned(),
    }
}

fn both(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::IdleRunning => ("공회전", "Idle running"),
        Kind::StandbyLoad => ("대기 전력", "Standby load"),
        Kind::OffHoursLoad => ("비가동 시간 부하", "Off-hours load"),
        Kind::BaseloadDrift => ("기저부하 상승", "Baseload drift"),
        Kind::AirLeak => ("압축공기 누설", "Compressed-air leak"),
        Kind::UnloadedRunning => ("무부하 운전", "Unloaded running"),
        Kind::AirPressureHigh => ("압축공기 과압", "Air pressure too high"),
        Kind::ThrottledFlow => ("교축 운전", "Throttled flow"),
        Kind::OversizedMotor => ("과대 전동기", "Oversized motor"),
        Kind::VoltageUnbalance => ("전압 불평형", "Voltage unbalance"),
        Kind::VoltageDeviation => ("전압 편차", "Voltage deviation"),
        Kind::Harmonics => ("고조파", "Harmonics"),
        Kind::LowPowerFactor => ("낮은 역률", "Low power factor"),
        Kind::TransformerLightLoad => ("변압기 경부하", "Lightly loaded transformer"),
        Kind::Holding => ("보온 유지", "Holding heat"),
        Kind::ChillerEfficiency => ("냉동기 효율 저하", "Chiller efficiency"),
        Kind::SimultaneousHeatingCooling => ("냉난방 동시 운전", "Simultaneous heating and cooling"),
        Kind::ShortCycling => ("잦은 기동·정지", "Short cycling"),
        Kind::DemandPeak => ("최대수요 초과", "Demand peak"),
        Kind::CoincidentStart => ("동시 기동", "Coincident start"),
        Kind::SpecificEnergyDrift => ("원단위 악화", "Specific energy drift"),
        Kind::TimeOfWeekAnomaly => ("요일·시간대 이상", "Time-of-week anomaly"),
        Kind::PhaseLoss => ("결상", "Phase loss"),
        Kind::MeterStuck => ("계측기 고착", "Meter stuck"),
        Kind::MeterSilent => ("계측기 무응답", "Meter silent"),
        Kind::MeterReset => ("계측기 초기화", "Meter reset"),
        Kind::CtReversed => ("CT 역결선", "CT reversed"),
        Kind::SubmeterImbalance => ("하위 계량 불일치", "Submeter imbalance"),
    }
}

#[cfg(test)]
mod tests {
    use energy::interval::RepairKind;

    use super::*;

    #[test]
    fn numbers_are_grouped_in_threes() {
        for (number, expected) in [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1,000"),
            ("-1234567.89", "-1,234,567.89"),
            ("-0.01", "-0.01"),
            ("-0.00", "0.00"),
            ("123456", "123,456"),
        ] {
            assert_eq!(grouped(number), expected);
        }
    }

    #[test]
    fn every_repair_and_quality_has_a_korean_name_beside_its_own() {
        let korean = |text: String, name: &str| {
            assert!(text.ends_with(&format!("({name})")), "{text}");
            assert!(!text.is_ascii(), "{text}");
        };
        for kind in RepairKind::ALL {
            korean(repair_name(kind.name(), Language::Ko), kind.name());
            assert_eq!(repair_name(kind.name(), Language::En), kind.name());
        }
        for quality in Quality::ALL {
            korean(quality_name(quality, Language::Ko), quality.name());
        }
    }

    #[test]
    fn money_keeps_its_places_and_is_written_as_each_language_does() {
        for (amount, currency, ko, en) in [
            ("12345.67", "KRW", "12,345.67원", "12,345.67 KRW"),
            ("1200.00", "KRW", "1,200원", "1,200 KRW"),
            ("-1200.5", "EUR", "-1,200.50 EUR", "-1,200.50 EUR"),
        ] {
            let amount = Money {
                amount: amount.parse().expect("a decimal"),
                currency: currency.into(),
            };
            assert_eq!([money(&amount, Language::Ko), money(&amount, Language::En)], [ko, en]);
        }
    }
}
