//! What the engine hands out when something is wasted: [`Finding`], its [`Kind`], [`Severity`], [`Money`].
//!
//! It does not decide anything; detectors fill it. Invariant: the id is made of kind, machine and `since` and never
//! changes after the finding has opened; energy is the avoidable part only; what cannot be known is `None`, never 0.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::sample::Name;

macro_rules! kinds {
    ($($variant:ident $name:literal;)*) => {
        /// A kind of waste or of meter fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs, reason = "each kind is described where it is detected, in detect/")]
        pub enum Kind { $($variant,)* }

        impl Kind {
            /// Every kind, in the order of the catalogue.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Name as written in JSON, TOML, InfluxDB and files.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

kinds! {
    IdleRunning "idle_running";
    StandbyLoad "standby_load";
    OffHoursLoad "off_hours_load";
    BaseloadDrift "baseload_drift";
    AirLeak "air_leak";
    UnloadedRunning "unloaded_running";
    AirPressureHigh "air_pressure_high";
    ThrottledFlow "throttled_flow";
    OversizedMotor "oversized_motor";
    VoltageUnbalance "voltage_unbalance";
    VoltageDeviation "voltage_deviation";
    Harmonics "harmonics";
    LowPowerFactor "low_power_factor";
    TransformerLightLoad "transformer_light_load";
    Holding "holding";
    ChillerEfficiency "chiller_efficiency";
    SimultaneousHeatingCooling "simultaneous_heating_cooling";
    ShortCycling "short_cycling";
    DemandPeak "demand_peak";
    CoincidentStart "coincident_start";
    SpecificEnergyDrift "specific_energy_drift";
    TimeOfWeekAnomaly "time_of_week_anomaly";
    PhaseLoss "phase_loss";
    MeterStuck "meter_stuck";
    MeterSilent "meter_silent";
    MeterReset "meter_reset";
    CtReversed "ct_reversed";
    SubmeterImbalance "submeter_imbalance";
}

impl Kind {
    /// The kind of a name; `None` when no kind is called so.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

impl Kind {
    /// Whether the harm is data that is missing, not energy: a fault of a meter is no waste.
    pub fn is_meter_fault(self) -> bool {
        matches!(
            self,
            Self::MeterStuck | Self::MeterSilent | Self::MeterReset | Self::CtReversed | Self::SubmeterImbalance
        )
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether the condition still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It holds; `until` is absent.
    Open,
    /// It has ended at `until`.
    Closed,
}

/// How soon somebody should look: p1 at once, p2 this shift, p3 this week. Ordered, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "said in the type's own line")]
pub enum Severity {
    P1,
    P2,
    P3,
}

impl Severity {
    /// Name as written in JSON and TOML.
    pub fn name(self) -> &'static str {
        match self {
            Self::P1 => "p1",
            Self::P2 => "p2",
            Self::P3 => "p3",
        }
    }

    /// The severity of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::P1, Self::P2, Self::P3]
            .into_iter()
            .find(|severity| severity.name() == name)
    }
}

/// An exact amount in a currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// The amount, rounded to what the currency is counted in.
    pub amount: Decimal,
    /// ISO 4217 code.
    pub currency: String,
}

/// A sentence in both languages of the product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Title {
    /// Korean.
    pub ko: String,
    /// English.
    pub en: String,
}

impl Title {
    /// A text that is the same in both: a name, or what somebody else said.
    pub fn same(text: impl Into<String>) -> Self {
        let en = text.into();
        Self { ko: en.clone(), en }
    }
}

/// A [`Title`] of two formats, Korean first, and the arguments of both. Variables in `[…]` before them are titles
/// themselves: each format gets them in its own language.
///
/// ```
/// let what = energy::both!("회선", "bus");
/// let text = energy::both!([what], "{what} {:?}", "the {what} {:?}", "a");
/// assert_eq!((text.ko.as_str(), text.en.as_str()), ("회선 \"a\"", "the bus \"a\""));
/// ```
#[macro_export]
macro_rules! both {
    ([$($title:ident),+], $ko:literal, $en:literal $(, $argument:expr)* $(,)?) => {
        $crate::finding::Title {
            ko: {
                $(let $title = &$title.ko;)+
                format!($ko $(, $argument)*)
            },
            en: {
                $(let $title = &$title.en;)+
                format!($en $(, $argument)*)
            },
        }
    };
    ($ko:literal, $en:literal $(, $argument:expr)* $(,)?) => {
        $crate::finding::Title {
            ko: format!($ko $(, $argument)*),
            en: format!($en $(, $argument)*),
        }
    };
}

/// A stretch of one kind of waste, or of a meter's fault, with its evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// `kind.machine.since`, `since` in UTC seconds (`20260828T083000Z`).
    pub id: String,
    /// What kind of waste.
    pub kind: Kind,
    /// The machine, or the site's name for what only the site shows.
    pub machine: Name,
    /// The meter whose readings are the evidence.
    pub meter: Name,
    /// When the waste began; frozen at first opening.
    pub since: Timestamp,
    /// Data time at which the rule first could say so.
    pub detected_at: Timestamp,
    /// When it ended; `None` while it goes on.
    pub until: Option<Timestamp>,
    /// Open or closed.
    pub state: Condition,
    /// How soon somebody should look.
    pub severity: Severity,
    /// Avoidable energy, kWh; `None` where the harm is not kWh.
    pub energy_kwh: Option<f64>,
    /// 10 % bound of the avoidable energy, kWh.
    pub energy_kwh_low: Option<f64>,
    /// 90 % bound of the avoidable energy, kWh.
    pub energy_kwh_high: Option<f64>,
    /// What it cost, with the taxes and levies of its day; `None` without a tariff.
    pub cost: Option<Money>,
    /// The same before taxes and levies.
    pub cost_net: Option<Money>,
    /// Location-based emissions of the avoidable energy, kgCO2e; `None` without a factor.
    pub kgco2e: Option<f64>,
    /// 0 to 1: share of the stretch seen with trusted readings, lowered by what the rule could not see.
    pub confidence: f64,
    /// The numbers the sentence is made from, unit last in each name.
    pub why: BTreeMap<String, f64>,
    /// One sentence for people.
    pub title: Title,
}

impl Finding {
    /// The identity of a finding: `kind.machine.since`.
    pub fn id(kind: Kind, machine: &str, since: Timestamp) -> String {
        format!("{kind}.{machine}.{}", since.strftime("%Y%m%dT%H%M%SZ"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_written_as_in_the_catalogue() {
        for &kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).expect("plain enum"), kind.name());
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
    }

    #[test]
    fn the_id_is_kind_machine_and_since_in_utc_seconds() {
        let since: Timestamp = "2026-08-28T17:30:00.250+09:00".parse().expect("valid");
        assert_eq!(
            Finding::id(Kind::IdleRunning, "press-2", since),
            "idle_running.press-2.20260828T083000Z"
        );
    }

    #[test]
    fn money_is_written_as_a_number() {
        let money = Money {
            amount: Decimal::new(1_234_567, 2),
            currency: "KRW".into(),
        };
        let text = serde_json::to_string(&money).expect("plain struct");
        assert_eq!(text, r#"{"amount":12345.67,"currency":"KRW"}"#);
        assert_eq!(serde_json::from_str::<Money>(&text).expect("reads back"), money);
    }
}
