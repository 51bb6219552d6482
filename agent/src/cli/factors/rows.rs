//! Every row of a factor file in one shape: what a list shows of it, and what is printed of one.
//!
//! It reads no file.

use energy::{
    carbon::{Factor, FactorSeries, Fuel, Gwp, Heat, Side, Toe},
    unit::Energy,
};
use jiff::civil::Date;

/// A row of a factor file.
pub(super) struct FactorRow {
    pub(super) id: String,
    /// With its unit.
    pub(super) value: String,
    pub(super) purpose: String,
    pub(super) used: String,
    pub(super) status: String,
    /// What else is known of it: name, value.
    pub(super) details: Vec<(&'static str, String)>,
}

/// All rows of a file; splits are made again with `gwp`.
pub(super) fn of_file(series: &FactorSeries, gwp: &[Gwp]) -> Vec<FactorRow> {
    let factors = series.factor.iter().map(|factor| of_factor(factor, gwp));
    factors
        .chain(series.toe.iter().map(of_toe))
        .chain(series.fuel.iter().map(of_fuel))
        .chain(series.heat.iter().map(of_heat))
        .chain(series.gwp.iter().map(of_gwp))
        .collect()
}

fn used(from: Date, to: Option<Date>) -> String {
    format!("{from}–{}", to.map(|day| day.to_string()).unwrap_or_default())
}

/// Those of the pairs that have a value.
fn known(pairs: Vec<(&'static str, Option<String>)>) -> Vec<(&'static str, String)> {
    pairs
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

fn text<T: ToString>(value: Option<&T>) -> Option<String> {
    value.map(ToString::to_string)
}

fn of_factor(factor: &Factor, gwp: &[Gwp]) -> FactorRow {
    let generation = (factor.side == Side::Generation).then(|| "generation (발전단)".to_owned());
    let mut details = known(vec![
        ("side", generation),
        ("region", factor.region.clone()),
        ("kgCO2/kWh", text(factor.kgco2_per_kwh.as_ref())),
        ("kgCH4/MWh", text(factor.kgch4_per_mwh.as_ref())),
        ("kgN2O/MWh", text(factor.kgn2o_per_mwh.as_ref())),
        ("GWP", factor.gwp.clone()),
        ("statistics", factor.statistics.clone()),
        ("published", text(factor.published.as_ref())),
        ("authority", Some(factor.authority.clone())),
        ("source", Some(factor.source.clone())),
        ("note", factor.note.clone()),
    ]);
    details.extend(gwp.iter().filter_map(|set| Some(("split makes", split(factor, set)?))));
    FactorRow {
        id: factor.id.clone(),
        value: format!("{} kgCO2e/kWh", factor.kgco2e_per_kwh),
        purpose: factor.purpose.name().to_owned(),
        used: used(factor.use_from, factor.use_to),
        status: factor.status.clone(),
        details,
    }
}

/// `0.4149 + (0.0075 × 28 + 0.0081 × 265) / 1000 = 0.4173 (AR5)`.
fn split(factor: &Factor, gwp: &Gwp) -> Option<String> {
    let made = factor.from_split(gwp)?;
    let kwh_a_mwh = Energy::Mwh.to(Energy::Kwh, 1.0);
    Some(format!(
        "{} + ({} × {} + {} × {}) / {kwh_a_mwh} = {made:.4} ({})",
        factor.kgco2_per_kwh?, factor.kgch4_per_mwh?, gwp.ch4, factor.kgn2o_per_mwh?, gwp.n2o, gwp.set
    ))
}

fn of_toe(toe: &Toe) -> FactorRow {
    FactorRow {
        id: toe.id.clone(),
        value: format!("{} toe/MWh", toe.toe_per_mwh),
        purpose: "toe".into(),
        used: used(toe.use_from, toe.use_to),
        status: toe.status.clone(),
        details: vec![
            ("kcal/kWh", toe.kcal_per_kwh.to_string()),
            ("MJ/kWh", toe.mj_per_kwh.to_string()),
            ("authority", toe.authority.clone()),
            ("source", toe.source.clone()),
        ],
    }
}

fn of_fuel(fuel: &Fuel) -> FactorRow {
    let unit = fuel.unit.name();
    let heat = |value: Option<f64>, name: &str| value.map(|value| format!("{value} {name}/{unit}"));
    let value = fuel
        .kgco2_per_tj
        .map(|value| format!("{value} kgCO2/TJ"))
        .or(heat(fuel.gross_mj, "MJ"))
        .or(heat(fuel.gross_kcal, "kcal"))
        .or(heat(fuel.net_mj, "MJ"));
    FactorRow {
        id: fuel.id.clone(),
        value: value.unwrap_or_else(|| "–".to_owned()),
        purpose: fuel.purpose.name().to_owned(),
        used: used(fuel.use_from, fuel.use_to),
        status: fuel.status.clone(),
        details: known(vec![
            ("fuel", Some(fuel.fuel.clone())),
            ("title", Some(format!("{} · {}", fuel.title.ko, fuel.title.en))),
            ("net heat", heat(fuel.net_mj, "MJ")),
            ("net heat", heat(fuel.net_kcal, "kcal")),
            ("gross heat", heat(fuel.gross_mj, "MJ")),
            ("gross heat", heat(fuel.gross_kcal, "kcal")),
            ("tC/TJ", text(fuel.tc_per_tj.as_ref())),
            ("kgCO2", fuel.kgco2_per_unit.map(|value| format!("{value} /{unit}"))),
            ("edition", Some(fuel.edition.clone())),
            ("authority", Some(fuel.authority.clone())),
            ("source", Some(fuel.source.clone())),
            ("note", fuel.note.clone()),
        ]),
    }
}

fn of_heat(heat: &Heat) -> FactorRow {
    FactorRow {
        id: heat.id.clone(),
        value: format!("{} kgCO2/TJ", heat.kgco2_per_tj),
        purpose: "heat".into(),
        used: used(heat.use_from, heat.use_to),
        status: heat.status.clone(),
        details: known(vec![
            ("branch", Some(heat.branch.clone())),
            ("authority", Some(heat.authority.clone())),
            ("source", Some(heat.source.clone())),
            ("note", heat.note.clone()),
        ]),
    }
}

fn of_gwp(gwp: &Gwp) -> FactorRow {
    FactorRow {
        id: gwp.set.clone(),
        value: format!("CH4 {}, N2O {}", gwp.ch4, gwp.n2o),
        purpose: "gwp".into(),
        used: String::new(),
        status: gwp.status.clone(),
        details: known(vec![("source", Some(gwp.source.clone())), ("note", gwp.note.clone())]),
    }
}
