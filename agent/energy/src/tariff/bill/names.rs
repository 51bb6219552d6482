//! What people call the items of a bill, and what is compared beside them.
//!
//! A tariff of the site's own may have others: they keep their names.

/// Name in files, Korean, English.
const NAMES: &[(&str, &str, &str)] = &[
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
    ("other", "기타", "Other charges"),
    ("rounding", "끝수 처리", "Rounding"),
    ("total", "청구금액", "Total"),
    ("energy_import_kwh", "사용전력량 kWh", "Energy, kWh"),
    ("billing_demand_kw", "요금적용전력 kW", "Billed demand, kW"),
];

/// What people call an item: Korean, English. `None` = it has the name that the tariff gave it.
pub fn item_name(item: &str) -> Option<(&'static str, &'static str)> {
    let known = NAMES.iter().find(|(name, ..)| *name == item)?;
    Some((known.1, known.2))
}
