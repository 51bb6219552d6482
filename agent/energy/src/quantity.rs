//! What can be measured: name, unit, gauge or counter, plausible range. The one table.
//!
//! Sign convention: positive active power and `energy_import_kwh` flow into the plant; positive reactive power
//! lags (inductive). A `Reading` carries its quantity's unit from decoding on; nothing later scales.
//! It does not know registers, topics or meters.
//!
//! Codes are written into the log on disk: a code, once given, keeps its meaning for ever.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How values of a quantity relate to time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Ever-growing register: the difference of two readings is the amount between them.
    Counter,
    /// Value at an instant.
    Gauge,
    /// Amount over one demand interval, stamped with the interval's start.
    Delta,
}

/// One row of the table of quantities.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The quantity this row describes.
    pub quantity: Quantity,
    /// Its name everywhere: configuration, CSV, API, InfluxDB field.
    pub name: &'static str,
    /// Unit as printed beside a number; empty for pure numbers.
    pub unit: &'static str,
    /// Counter, gauge or delta.
    pub form: Form,
    /// Smallest physically plausible value in a factory; below it a reading is `bad`.
    pub min: f64,
    /// Largest physically plausible value in a factory; above it a reading is `bad`.
    pub max: f64,
}

macro_rules! quantities {
    ($($code:literal $variant:ident $name:literal $unit:literal $form:ident $min:literal..$max:literal;)*) => {
        /// A measured quantity; see [`Row`] and the table in this file.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "each variant is described by its row: name, unit, form, range")]
        pub enum Quantity { $($variant = $code,)* }

        /// Every quantity with its unit, form and plausible range.
        pub const TABLE: &[Row] = &[$(Row {
            quantity: Quantity::$variant, name: $name, unit: $unit, form: Form::$form, min: $min, max: $max,
        },)*];
    };
}

// Ranges: 100 MW, 100 kV and 100 kA bound any factory feeder; counters up to 1e12 hold a 64-bit Wh register in kWh.
quantities! {
    1 EnergyImport "energy_import_kwh" "kWh" Counter 0.0..1e12;
    2 EnergyExport "energy_export_kwh" "kWh" Counter 0.0..1e12;
    3 ReactiveEnergyLag "reactive_energy_lag_kvarh" "kvarh" Counter 0.0..1e12;
    4 ReactiveEnergyLead "reactive_energy_lead_kvarh" "kvarh" Counter 0.0..1e12;
    5 Produced "produced_pieces" "" Counter 0.0..1e12;
    6 OperatingHours "operating_hours_h" "h" Counter 0.0..1e7;
    7 Gas "gas_m3" "m³" Counter 0.0..1e12;
    8 Water "water_m3" "m³" Counter 0.0..1e12;
    20 ActivePower "active_power_kw" "kW" Gauge -1e5..1e5;
    21 ActivePowerL1 "active_power_l1_kw" "kW" Gauge -1e5..1e5;
    22 ActivePowerL2 "active_power_l2_kw" "kW" Gauge -1e5..1e5;
    23 ActivePowerL3 "active_power_l3_kw" "kW" Gauge -1e5..1e5;
    24 ReactivePower "reactive_power_kvar" "kvar" Gauge -1e5..1e5;
    25 ApparentPower "apparent_power_kva" "kVA" Gauge -1e5..1e5;
    26 PowerFactor "power_factor" "" Gauge -1.0..1.0;
    30 VoltageL1 "voltage_l1_v" "V" Gauge 0.0..1e5;
    31 VoltageL2 "voltage_l2_v" "V" Gauge 0.0..1e5;
    32 VoltageL3 "voltage_l3_v" "V" Gauge 0.0..1e5;
    33 VoltageL12 "voltage_l12_v" "V" Gauge 0.0..1e6;
    34 VoltageL23 "voltage_l23_v" "V" Gauge 0.0..1e6;
    35 VoltageL31 "voltage_l31_v" "V" Gauge 0.0..1e6;
    40 CurrentL1 "current_l1_a" "A" Gauge -1e5..1e5;
    41 CurrentL2 "current_l2_a" "A" Gauge -1e5..1e5;
    42 CurrentL3 "current_l3_a" "A" Gauge -1e5..1e5;
    43 CurrentN "current_n_a" "A" Gauge -1e5..1e5;
    44 Frequency "frequency_hz" "Hz" Gauge 0.0..100.0;
    45 ThdVoltage "thd_voltage_pct" "%" Gauge 0.0..1000.0;
    46 ThdCurrent "thd_current_pct" "%" Gauge 0.0..1000.0;
    60 Temperature "temperature_c" "°C" Gauge -90.0..2000.0;
    61 ProcessTemperature "process_temperature_c" "°C" Gauge -273.15..5000.0;
    62 SupplyTemperature "supply_temperature_c" "°C" Gauge -273.15..2000.0;
    63 ReturnTemperature "return_temperature_c" "°C" Gauge -273.15..2000.0;
    64 Humidity "humidity_pct" "%" Gauge 0.0..100.0;
    65 Pressure "pressure_bar" "bar" Gauge -1.0..10000.0;
    66 Flow "flow_m3h" "m³/h" Gauge -1e6..1e6;
    67 ValvePosition "valve_position_pct" "%" Gauge -10.0..110.0;
    68 ProductCode "product_code" "" Gauge -1e15..1e15;
    80 IntervalEnergy "interval_energy_kwh" "kWh" Delta 0.0..1e6;
    81 IntervalReactiveLag "interval_reactive_lag_kvarh" "kvarh" Delta 0.0..1e6;
    82 IntervalReactiveLead "interval_reactive_lead_kvarh" "kvarh" Delta 0.0..1e6;
}

/// Code → place in [`TABLE`]: rows are looked up for every reading.
const PLACE: [u8; 256] = {
    let mut place = [0; 256];
    let mut index = 0;
    while index < TABLE.len() {
        place[TABLE[index].quantity as usize] = index as u8;
        index += 1;
    }
    place
};

impl Quantity {
    /// The row of this quantity.
    pub fn row(self) -> &'static Row {
        &TABLE[usize::from(PLACE[usize::from(self.code())])]
    }

    /// Name as written in configuration, CSV, API and InfluxDB.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Code as written into the log on disk.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The quantity of a code from the log; `None` for a code of a newer version.
    pub fn from_code(code: u8) -> Option<Self> {
        TABLE
            .iter()
            .map(|row| row.quantity)
            .find(|quantity| quantity.code() == code)
    }

    /// The quantity of a name; `None` when no quantity is called so.
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.quantity)
    }

    /// Whether `value` can be real in a factory: finite and inside the row's range.
    pub fn is_plausible(self, value: f64) -> bool {
        let row = self.row();
        (row.min..=row.max).contains(&value)
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no quantity has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no quantity is called {0:?}")]
pub struct UnknownQuantity(pub String);

impl std::str::FromStr for Quantity {
    type Err = UnknownQuantity;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::from_name(name).ok_or_else(|| UnknownQuantity(name.to_owned()))
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.name().serialize(serializer)
        } else {
            self.code().serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            let code = u8::deserialize(deserializer)?;
            Self::from_code(code).ok_or_else(|| D::Error::custom(format!("no quantity has code {code}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_lead_back_and_are_unique() {
        for row in TABLE {
            assert_eq!(row.name.parse(), Ok(row.quantity));
            assert_eq!(Quantity::from_code(row.quantity.code()), Some(row.quantity));
            assert_eq!(
                TABLE.iter().filter(|other| other.name == row.name).count(),
                1,
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn the_unit_stands_last_in_the_name() {
        for row in TABLE.iter().filter(|row| !row.unit.is_empty()) {
            let suffix = match row.unit {
                "°C" => "c",
                "%" => "pct",
                "m³" => "m3",
                "m³/h" => "m3h",
                unit => &unit.to_lowercase(),
            };
            assert!(
                row.name.ends_with(&format!("_{suffix}")),
                "{} does not end with _{suffix}",
                row.name
            );
        }
    }

    #[test]
    fn only_finite_values_in_range_are_plausible() {
        for (quantity, value, expected) in [
            (Quantity::ActivePower, -63.8, true),
            (Quantity::EnergyImport, 1.8e21, false),
            (Quantity::EnergyImport, -0.007, false),
            (Quantity::PowerFactor, 1.2, false),
            (Quantity::VoltageL1, f64::NAN, false),
            (Quantity::VoltageL1, f64::INFINITY, false),
        ] {
            assert_eq!(quantity.is_plausible(value), expected, "{quantity} {value}");
        }
    }
}
