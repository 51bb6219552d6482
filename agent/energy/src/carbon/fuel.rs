//! Scope 1: what a fuel meter's register counted → normal cubic metres → heat → kgCO2, and toe for filings.
//!
//! Heat values and factors are dated rows of `config/factors`; none stands here. Emissions go by the net heat value,
//! toe by the gross one. CO2 only: CH4 and N2O depend on the burner and are below 3 %. Invariants: kgCO2 a TJ is taken
//! as published, never made from tC a TJ; a register that falls adds nothing; what has no factor is `None`.

use jiff::{
    SignedDuration, Span, Timestamp,
    civil::{Date, Time},
    tz::TimeZone,
};
use serde::{Deserialize, Serialize};

use super::holds;
use crate::{
    finding::Title,
    interval::{
        Patience, Repair,
        known::Rules,
        load::Load,
        point::{Point, timestamp},
        series::Series,
    },
    quantity::Quantity,
    sample::Name,
    unit::Energy,
};

/// What an amount of a fuel is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FuelUnit {
    /// Cubic metres at 0 °C and 1 atm.
    Nm3,
    /// Kilograms.
    Kg,
    /// Litres.
    L,
}

impl FuelUnit {
    /// As printed beside a number.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nm3 => "Nm³",
            Self::Kg => "kg",
            Self::L => "L",
        }
    }
}

/// What a row of a fuel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FuelPurpose {
    /// Scope 1 emissions: net heat value and kgCO2 a TJ of one guideline.
    #[serde(rename = "scope_1")]
    Scope1,
    /// Energy filings in toe, by the gross heat value.
    Toe,
    /// Published beside the official value, not for totals.
    Reference,
}

impl FuelPurpose {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scope1 => "scope_1",
            Self::Toe => "toe",
            Self::Reference => "reference",
        }
    }
}

/// One fuel in one edition of a table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fuel {
    /// Identifies the row in every report.
    pub id: String,
    /// The fuel: what a meter names.
    pub fuel: String,
    /// For people.
    pub title: Title,
    /// What it is counted in.
    pub unit: FuelUnit,
    /// Net heat value, MJ a unit, as published.
    pub net_mj: Option<f64>,
    /// Gross heat value, MJ a unit, as published.
    pub gross_mj: Option<f64>,
    /// Net heat value, kcal a unit, as published.
    pub net_kcal: Option<f64>,
    /// Gross heat value, kcal a unit, as published.
    pub gross_kcal: Option<f64>,
    /// kgCO2 a TJ of net heat, as published.
    pub kgco2_per_tj: Option<f64>,
    /// tC a TJ, as published: not always kgCO2 a TJ × 12/44, so nothing is made from it.
    pub tc_per_tj: Option<f64>,
    /// kgCO2 a unit as found, to check the two before by.
    pub kgco2_per_unit: Option<f64>,
    /// What it is for.
    pub purpose: FuelPurpose,
    /// First day of use.
    pub use_from: Date,
    /// Last day of use; absent = until the next.
    pub use_to: Option<Date>,
    /// Edition of the table.
    pub edition: String,
    /// Who set it.
    pub authority: String,
    /// Where it was found.
    pub source: String,
    /// Whether it was checked against the original.
    pub status: String,
    /// What else a user must know.
    pub note: Option<String>,
}

impl Fuel {
    /// Net heat of a unit, MJ.
    pub fn net_mj(&self) -> Option<f64> {
        self.net_mj
            .or(self.net_kcal.map(|kcal| Energy::Kcal.to(Energy::Mj, kcal)))
    }

    /// Gross heat of a unit, MJ.
    pub fn gross_mj(&self) -> Option<f64> {
        self.gross_mj
            .or(self.gross_kcal.map(|kcal| Energy::Kcal.to(Energy::Mj, kcal)))
    }

    /// kgCO2 of an amount in the fuel's unit.
    pub fn kgco2(&self, amount: f64) -> Option<f64> {
        Some(Energy::Mj.to(Energy::Tj, amount * self.net_mj()?) * self.kgco2_per_tj?)
    }

    /// toe of an amount in the fuel's unit, by gross heat.
    pub fn toe(&self, amount: f64) -> Option<f64> {
        Some(Energy::Mj.to(Energy::Toe, amount * self.gross_mj()?))
    }
}

/// A meter whose register counts a fuel.
#[derive(Debug, Clone, PartialEq)]
pub struct FuelMeter {
    /// The meter; gives `gas_m3`.
    pub meter: Name,
    /// All rows of its fuel.
    pub rows: Vec<Fuel>,
    /// Normal cubic metres of one that it counts: 1 where the meter corrects for temperature and pressure, else the
    /// factor that the supplier bills with (온압보정계수).
    pub nm3_per_m3: f64,
}

impl FuelMeter {
    fn on(&self, purpose: FuelPurpose, day: Date) -> Option<&Fuel> {
        let mut of_purpose = self.rows.iter().filter(|row| row.purpose == purpose);
        of_purpose.find(|row| holds(row.use_from, row.use_to, day))
    }
}

/// What a fuel meter used over a stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FuelUse {
    /// The meter.
    pub meter: String,
    /// Rows that the emissions were made with, in order of use.
    pub factors: Vec<String>,
    /// Rows that the gross heat was made with, in order of use.
    #[serde(default)]
    pub toe_factors: Vec<String>,
    /// As the register counted; `None` when nothing is known.
    pub gas_m3: Option<f64>,
    /// At 0 °C and 1 atm.
    pub gas_nm3: Option<f64>,
    /// Net heat, GJ.
    pub net_gj: Option<f64>,
    /// kgCO2; `None` when any day has no factor.
    pub kgco2: Option<f64>,
    /// Gross heat in toe; `None` when any day has no gross heat value.
    pub toe: Option<f64>,
    /// Share of the time between readings no further apart than three times `every`, 0..1.
    pub coverage: f64,
    /// The readings that enclose the stretch, or the data in it; `None` when there are none.
    pub register: Option<[RegisterReading; 2]>,
    /// What was done to the register's readings, by time.
    pub repairs: Vec<Repair>,
}

/// What a fuel meter's register stood at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RegisterReading {
    /// When.
    pub at: Timestamp,
    /// What it said.
    pub gas_m3: f64,
}

/// A register's readings: what it stood at, when.
pub type Register = Vec<(Timestamp, f64)>;

/// The use of a fuel meter in `[from, to)`, each day of the zone by its own rows. Readings of one register may come in
/// any order; of two for one instant the first counts. Hand over the ones just outside the stretch too.
pub fn used(
    meter: &FuelMeter,
    register: &Register,
    every: SignedDuration,
    zone: &TimeZone,
    (from, to): (Timestamp, Timestamp),
) -> FuelUse {
    let mut series = Series::default();
    for (at, value) in register {
        series.put(at.as_millisecond(), *value);
    }
    // A fuel's register is repaired as any other; nothing else tells how fast it can turn.
    let (rules, load) = (
        Rules {
            quantity: Quantity::Gas,
            rollover: None,
            max_kw: None,
            swaps: &[],
            days_off: None,
            patience: Patience::default(),
            gap_ms: (every * 3).as_millis() as i64,
        },
        Load::default(),
    );
    let mut total = Total::default();
    let mut covered_ms = 0;
    let mut day = zone.to_datetime(from).date();
    let mut start = from;
    while start < to {
        let next = day.saturating_add(Span::new().days(1));
        let midnight = zone.to_ambiguous_timestamp(next.to_datetime(Time::midnight()));
        let end = midnight.compatible().map_or(to, |midnight| midnight.min(to));
        let part = series.counter((start.as_millisecond(), end.as_millisecond()), rules, &load);
        covered_ms += part.covered_ms;
        if let Some(gas_m3) = part.amount {
            total.add(meter, day, gas_m3);
        }
        (day, start) = (next, end);
    }
    let (from_ms, to_ms) = (from.as_millisecond(), to.as_millisecond());
    let ends = series.ends(from_ms, to_ms);
    FuelUse {
        register: ends.map(|(first, last)| [first, last].map(reading)),
        // A repair that touches several days is one.
        repairs: series.counter((from_ms, to_ms), rules, &load).repairs,
        ..total.told(meter, covered_ms as f64 / (to_ms - from_ms).max(1) as f64)
    }
}

fn reading((at_ms, gas_m3): Point) -> RegisterReading {
    RegisterReading {
        at: timestamp(at_ms),
        gas_m3,
    }
}

/// Sums over days; a sum that met a day without its row is not known.
#[derive(Default)]
struct Total {
    factors: Vec<String>,
    toe_factors: Vec<String>,
    gas_m3: Option<f64>,
    net_mj: Sum,
    kgco2: Sum,
    toe: Sum,
}

/// A sum that is known only while each of its parts is.
struct Sum(Option<f64>);

impl Default for Sum {
    fn default() -> Self {
        Self(Some(0.0))
    }
}

impl Sum {
    fn add(&mut self, part: Option<f64>) {
        self.0 = self.0.zip(part).map(|(sum, part)| sum + part);
    }
}

impl Total {
    fn add(&mut self, meter: &FuelMeter, day: Date, gas_m3: f64) {
        let gas_nm3 = gas_m3 * meter.nm3_per_m3;
        let row = meter.on(FuelPurpose::Scope1, day);
        let toe_row = meter.on(FuelPurpose::Toe, day);
        for (row, used) in [(row, &mut self.factors), (toe_row, &mut self.toe_factors)] {
            if let Some(row) = row.filter(|row| !used.contains(&row.id)) {
                used.push(row.id.clone());
            }
        }
        self.gas_m3 = Some(self.gas_m3.unwrap_or(0.0) + gas_m3);
        self.net_mj.add(row.and_then(Fuel::net_mj).map(|mj| mj * gas_nm3));
        self.kgco2.add(row.and_then(|row| row.kgco2(gas_nm3)));
        self.toe.add(toe_row.and_then(|row| row.toe(gas_nm3)));
    }

    fn told(self, meter: &FuelMeter, coverage: f64) -> FuelUse {
        let known = |sum: Sum| self.gas_m3.and(sum.0);
        FuelUse {
            meter: meter.meter.to_string(),
            gas_m3: self.gas_m3,
            gas_nm3: self.gas_m3.map(|gas_m3| gas_m3 * meter.nm3_per_m3),
            net_gj: known(self.net_mj).map(|mj| Energy::Mj.to(Energy::Gj, mj)),
            kgco2: known(self.kgco2),
            toe: known(self.toe),
            factors: self.factors,
            toe_factors: self.toe_factors,
            coverage,
            register: None,
            repairs: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::tests::day, *};

    const ROWS: &str = r#"
title = { ko = "시험", en = "test" }
[[fuel]]
id = "gas-2017"
fuel = "gas"
title = { ko = "도시가스", en = "city gas" }
unit = "nm3"
net_mj = 38.9
kgco2_per_tj = 56100
purpose = "scope_1"
use_from = "2017-12-01"
use_to = "2024-02-29"
edition = "2017-12"
authority = "t"
source = "t"
status = "verified"
[[fuel]]
id = "gas-2024"
fuel = "gas"
title = { ko = "도시가스", en = "city gas" }
unit = "nm3"
net_kcal = 9190
kgco2_per_tj = 56100
purpose = "scope_1"
use_from = "2024-03-01"
edition = "2022-11"
authority = "t"
source = "t"
status = "verified"
[[fuel]]
id = "gas-toe"
fuel = "gas"
title = { ko = "도시가스", en = "city gas" }
unit = "nm3"
gross_mj = 42.7
purpose = "toe"
use_from = "2024-01-01"
edition = "2022-11"
authority = "t"
source = "t"
status = "verified"
"#;

    fn meter() -> FuelMeter {
        let series: super::super::FactorSeries = toml::from_str(ROWS).expect("valid");
        FuelMeter {
            meter: "gas".into(),
            rows: series.fuel,
            nm3_per_m3: 0.98,
        }
    }

    fn seoul() -> TimeZone {
        TimeZone::get("Asia/Seoul").expect("in the bundled database")
    }

    fn instant(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    /// The use in the stretch between two instants, readings each hour.
    fn check(register: &[(&str, f64)], from: &str, to: &str) -> FuelUse {
        let register = register.iter().map(|(at, value)| (instant(at), *value)).collect();
        let hour = SignedDuration::from_hours(1);
        used(&meter(), &register, hour, &seoul(), (instant(from), instant(to)))
    }

    #[test]
    fn a_thousand_cubic_metres_by_hand() {
        let register = [
            ("2024-02-10T00:00:00+09:00", 5000.0),
            ("2024-02-10T02:00:00+09:00", 6000.0),
        ];
        let told = check(&register, "2024-02-10T00:00:00+09:00", "2024-02-10T02:00:00+09:00");
        // 1000 m³ × 0.98 = 980 Nm³; × 38.9 MJ = 38 122 MJ; × 56 100 kg/TJ = 2 138.6442 kg; 980 × 42.7 MJ / 41 868 MJ.
        let near = |got: Option<f64>, wanted: f64| (got.expect("known") - wanted).abs() < 1e-9 * wanted;
        assert!(near(told.gas_m3, 1000.0) && near(told.gas_nm3, 980.0), "{told:?}");
        assert!(near(told.net_gj, 38.122) && near(told.kgco2, 2138.6442), "{told:?}");
        assert!(near(told.toe, 980.0 * 42.7 / 41_868.0), "{told:?}");
        assert_eq!(
            (told.factors.as_slice(), told.coverage),
            (&["gas-2017".to_owned()][..], 1.0)
        );
    }

    #[test]
    fn the_register_and_what_was_done_to_it_are_told() {
        let register = [
            ("2024-02-10T22:00:00+09:00", 5000.0),
            ("2024-02-10T23:00:00+09:00", 5010.0),
            ("2024-02-11T09:00:00+09:00", 5110.0),
            ("2024-02-11T10:00:00+09:00", 3.0),
            ("2024-02-11T11:00:00+09:00", 13.0),
        ];
        let told = check(&register, "2024-02-10T22:30:00+09:00", "2024-02-11T11:00:00+09:00");
        let reading = |(at, gas_m3): (&str, f64)| RegisterReading {
            at: instant(at),
            gas_m3,
        };
        assert_eq!(told.register, Some([reading(register[0]), reading(register[4])]));
        let done = |repair: &Repair| (repair.kind.name(), repair.before, repair.after, repair.amount);
        assert_eq!(
            told.repairs.iter().map(done).collect::<Vec<_>>(),
            [
                ("gap_spread", 5010.0, 5110.0, Some(100.0)),
                ("reset", 5110.0, 3.0, Some(3.0))
            ]
        );
        assert_eq!(told.gas_m3, Some(118.0), "half of the first hour's, then the rest");
    }

    #[test]
    fn each_day_goes_by_its_own_edition() {
        let register = [("2024-02-29T23:00:00+09:00", 0.0), ("2024-03-01T01:00:00+09:00", 200.0)];
        let told = check(&register, "2024-02-29T00:00:00+09:00", "2024-03-02T00:00:00+09:00");
        assert_eq!(told.factors, ["gas-2017", "gas-2024"]);
        let expected = 98.0 * (38.9 + 9190.0 * 0.004_186_8) * 0.0561;
        assert!((told.kgco2.expect("known") - expected).abs() < 1e-9, "{told:?}");
        assert!((told.coverage - 2.0 / 48.0).abs() < 1e-12, "{told:?}");
    }

    #[test]
    fn what_has_no_row_is_not_known() {
        let register = [("2017-11-30T10:00:00+09:00", 0.0), ("2017-11-30T11:00:00+09:00", 10.0)];
        let told = check(&register, "2017-11-30T00:00:00+09:00", "2017-12-01T00:00:00+09:00");
        assert_eq!((told.gas_m3, told.kgco2, told.toe), (Some(10.0), None, None));
        let told = check(&[], "2024-01-01T00:00:00+09:00", "2024-02-01T00:00:00+09:00");
        assert_eq!((told.gas_m3, told.kgco2, told.coverage), (None, None, 0.0));
    }

    #[test]
    fn the_row_of_a_day_is_found_at_the_edge() {
        for (at, expected) in [("2024-02-29", "gas-2017"), ("2024-03-01", "gas-2024")] {
            let meter = meter();
            let row = meter.on(FuelPurpose::Scope1, day(at)).expect("there");
            assert_eq!(row.id, expected);
        }
    }

    proptest! {
        /// The days of a stretch add up to the register's rise, in whatever order the readings came. Minutes apart: what
        /// rises by fifty cubic metres in a second is no gas meter, and is told to be none.
        #[test]
        fn no_gas_is_lost(steps in prop::collection::vec((60i64..7_200, 0.0..50.0_f64), 1..60), seed in any::<u64>()) {
            let from = instant("2024-02-10T00:00:00+09:00");
            let (mut at, mut value) = (from, 1_000.0);
            let mut register = vec![(at, value)];
            for (seconds, rise) in steps {
                at += SignedDuration::from_secs(seconds);
                value += rise;
                register.push((at, value));
            }
            let n = register.len();
            register.swap((seed % n as u64) as usize, n - 1);
            let told = used(&meter(), &register, SignedDuration::from_mins(1), &seoul(), (from, at));
            prop_assert!((told.gas_m3.expect("known") - (value - 1_000.0)).abs() < 1e-6);
            prop_assert!(told.kgco2.expect("known") >= 0.0);
            prop_assert!((0.0..=1.0).contains(&told.coverage));
        }
    }
}
