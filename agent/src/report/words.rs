//! Names of the kinds of waste for people, in both languages: the report prints them.

use energy::finding::Kind;

use super::Language;

/// What people call a kind of waste.
pub fn kind_name(kind: Kind, language: Language) -> &'static str {
    let (ko, en) = both(kind);
    match language {
        Language::Ko => ko,
        Language::En => en,
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
