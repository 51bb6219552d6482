//! Names for people, in both languages, of what reports and commands print: kinds of waste, bands, items of a bill.

use energy::{
    finding::{Kind, Money},
    tariff::Band,
};

use super::Language;

/// Money as people write it, with all its places: `1,234,567원` in Korean, `1,234,567 KRW` in English.
pub fn money(money: &Money, language: Language) -> String {
    let amount = grouped(&money.amount.normalize().to_string());
    match (language, money.currency.as_str()) {
        (Language::Ko, "KRW") => format!("{amount}원"),
        (_, currency) => format!("{amount} {currency}"),
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
    let mut out = String::from(sign);
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

/// Items of bills, and what is compared beside them: name in files, Korean, English.
const ITEMS: &[(&str, &str, &str)] = &[
    ("demand_charge", "기본요금", "Demand charge"),
    ("demand_light", "경부하 최대수요 요금", "Demand, light load"),
    ("demand_mid", "중간부하 최대수요 요금", "Demand, mid load"),
    ("demand_peak", "최대부하 최대수요 요금", "Demand, peak load"),
    ("energy_light", "전력량요금 경부하", "Energy, light load"),
    ("energy_mid", "전력량요금 중간부하", "Energy, mid load"),
    ("energy_peak", "전력량요금 최대부하", "Energy, peak load"),
    ("energy_flat", "전력량요금", "Energy"),
    ("weekend_discount", "주말·공휴일 할인", "Weekend discount"),
    ("power_factor_lag", "역률요금(지상)", "Power factor, lagging"),
    ("power_factor_lead", "역률요금(진상)", "Power factor, leading"),
    ("climate", "기후환경요금", "Climate charge"),
    ("fuel", "연료비조정요금", "Fuel adjustment"),
    ("excess_demand", "초과사용부가금", "Demand above the contract"),
    ("fixed", "고정요금", "Fixed charge"),
    ("vat", "부가가치세", "VAT"),
    ("fund", "전력산업기반기금", "Power industry fund"),
    ("total", "청구금액", "Total"),
    ("energy_import_kwh", "사용전력량 kWh", "Energy, kWh"),
    ("billing_demand_kw", "요금적용전력 kW", "Billed demand, kW"),
];

/// What people call an item of a bill; an item of a tariff of the site's own keeps its name.
pub fn item_name(item: &str, language: Language) -> &str {
    let known = ITEMS.iter().find(|(name, ..)| *name == item);
    known.map_or(item, |(_, ko, en)| match language {
        Language::Ko => ko,
        Language::En => en,
    })
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
    use super::*;

    #[test]
    fn numbers_are_grouped_in_threes() {
        for (number, expected) in [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1,000"),
            ("-1234567.89", "-1,234,567.89"),
            ("123456", "123,456"),
        ] {
            assert_eq!(grouped(number), expected);
        }
    }

    #[test]
    fn money_keeps_its_places_and_is_written_as_each_language_does() {
        for (amount, currency, ko, en) in [
            ("12345.67", "KRW", "12,345.67원", "12,345.67 KRW"),
            ("1200.00", "KRW", "1,200원", "1,200 KRW"),
            ("-1200.5", "EUR", "-1,200.5 EUR", "-1,200.5 EUR"),
        ] {
            let amount = Money {
                amount: amount.parse().expect("a decimal"),
                currency: currency.into(),
            };
            assert_eq!([money(&amount, Language::Ko), money(&amount, Language::En)], [ko, en]);
        }
    }
}
