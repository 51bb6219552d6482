//! `[site] carbon`, `[[fuel]]` and `[[instrument]]`: what emissions and toe are reckoned with.
//!
//! Whether a factor file can be used at all is checked in `factor_check.rs`. Invariant: a fuel meter has rows for its
//! fuel, an instrument has exactly one amount and a period that does not end before it begins.

use energy::{
    Quantity, both,
    carbon::{Amount, FactorSeries, FuelMeter, Instrument, InstrumentKind, fuel::FuelUnit},
};
use toml::Spanned;

use super::{
    Context,
    data::{Folder, deserialised},
    diagnostic::Code,
    factor_check,
    lines::Lines,
    names::Names,
    read::{At, Table},
    site, suggest,
};

/// Fuels where `series` is not written.
const USUAL_FUELS: &str = "kr-fuels";

/// The factors of `[site]`, those of its region.
pub(super) fn series<'a>(context: &Context<'a>, table: &mut Table<'a>) -> Option<FactorSeries> {
    let name = table.text("carbon");
    let region = table.text("carbon_region");
    let file = context.file;
    let Some(name) = name else {
        if let Some(region) = region {
            file.report(
                Code::NoEffect,
                region.span(),
                both!(
                    "\"carbon_region\" 설정은 \"carbon\" 없이는 효과가 없습니다",
                    "\"carbon_region\" has no effect without \"carbon\""
                ),
            );
        }
        return None;
    };
    let mut series = load(context, &name)?;
    let regions: Vec<String> = series.factor.iter().filter_map(|f| f.region.clone()).collect();
    match &region {
        None if regions.is_empty() => {}
        None => {
            let message = both!(
                "이 배출계수는 지역별인데 [site]에 \"carbon_region\" 키가 없습니다",
                "this factor series has regions and [site] has no \"carbon_region\""
            );
            let help = both!(
                "{}개 중 하나를 carbon_region = {:?}처럼 쓰십시오",
                "one of {}, as carbon_region = {:?}",
                regions.len(),
                regions[0]
            );
            file.report_with(Code::MissingKey, name.span(), message, Some(help));
        }
        Some(region) if !regions.iter().any(|known| known == region.get_ref()) => {
            let message = both!(
                "이 배출계수에는 지역 {:?}이(가) 없습니다",
                "the factor series has no region {:?}",
                region.get_ref()
            );
            let help = suggest::help(region.get_ref(), regions.iter().map(String::as_str));
            file.report_with(Code::UnknownReference, region.span(), message, help);
        }
        Some(region) => {
            let is_of_region = |of: &Option<String>| of.as_deref().is_none_or(|of| of == *region.get_ref());
            series.factor.retain(|factor| is_of_region(&factor.region));
        }
    }
    Some(series)
}

/// A factor file, checked.
fn load(context: &Context<'_>, name: &At<&str>) -> Option<FactorSeries> {
    let found = context.data.find(Folder::Factors, name, context.file)?;
    let series: FactorSeries = deserialised(&found)?;
    factor_check::check(context, &series, &found);
    Some(series)
}

/// Reads every `[[fuel]]`.
pub(super) fn fuel_meters<'a>(context: &Context<'a>, root: &mut Table<'a>, lines: &Lines) -> Vec<FuelMeter> {
    let tables = root.tables("fuel");
    tables
        .into_iter()
        .filter_map(|table| fuel_meter(context, table, lines))
        .collect()
}

fn fuel_meter<'a>(context: &Context<'a>, mut table: Table<'a>, lines: &Lines) -> Option<FuelMeter> {
    let file = context.file;
    let meter = table.text("meter");
    let meter = table.required("meter", meter);
    let fuel = table.text("fuel");
    let fuel = table.required("fuel", fuel);
    let series = table.text("series");
    let nm3_per_m3 = site::positive(&mut table, "nm3_per_m3");
    let nm3_per_m3 = table.required("nm3_per_m3", nm3_per_m3);
    let span = table.span();
    table.finish();
    let series = load(context, &series.unwrap_or_else(|| Spanned::new(span, USUAL_FUELS)))?;
    let meter = meter.filter(|meter| lines.meter_names.find(file, meter))?;
    let gives_gas = |quantities: Vec<Quantity>| quantities.contains(&Quantity::Gas);
    if !lines.quantities(meter.get_ref()).is_none_or(gives_gas) {
        let message = both!(
            "계측기 {:?}에 \"gas_m3\" 값이 없습니다",
            "meter {:?} does not give \"gas_m3\"",
            meter.get_ref()
        );
        file.report(Code::Contradiction, meter.span(), message);
    }
    let fuel = fuel?;
    // A register counts cubic metres: fuels by weight or litre cannot be told from it.
    let mut rows = series.fuel;
    rows.retain(|row| row.unit == FuelUnit::Nm3);
    if !rows.iter().any(|row| row.fuel == *fuel.get_ref()) {
        let message = both!(
            "연료 {:?}은(는) Nm³로 세는 연료 중에 없습니다",
            "no fuel that is counted in Nm³ is called {:?}",
            fuel.get_ref()
        );
        let help = suggest::help(fuel.get_ref(), rows.iter().map(|row| row.fuel.as_str()));
        file.report_with(Code::UnknownReference, fuel.span(), message, help);
    }
    rows.retain(|row| row.fuel == *fuel.get_ref());
    Some(FuelMeter {
        meter: (*meter.get_ref()).into(),
        rows,
        nm3_per_m3: nm3_per_m3?.into_inner(),
    })
}

/// Reads every `[[instrument]]`.
pub(super) fn instruments<'a>(context: &Context<'a>, root: &mut Table<'a>) -> Vec<Instrument> {
    let mut names = Names::new(both!("계약 수단", "instrument"));
    let tables = root.tables("instrument");
    tables
        .into_iter()
        .filter_map(|table| instrument(context, table, &mut names))
        .collect()
}

fn instrument<'a>(context: &Context<'a>, mut table: Table<'a>, names: &mut Names) -> Option<Instrument> {
    let file = context.file;
    let name = table.text("name");
    let name = table.required("name", name);
    if let Some(name) = &name {
        names.declare(file, name);
    }
    let kind = table.choice("kind", InstrumentKind::NAMES);
    let kind = table.required("kind", kind);
    let from = table.date("from");
    let from = table.required("from", from);
    let to = table.date("to");
    let to = table.required("to", to);
    let amount = amount(&mut table, kind.as_ref().map(|kind| *kind.get_ref()));
    let kgco2e_per_kwh = table.amount("kgco2e_per_kwh");
    let kgco2e_per_kwh = table.required("kgco2e_per_kwh", kgco2e_per_kwh);
    let source = table.text("source");
    let source = table.required("source", source);
    table.finish();
    if let (Some(from), Some(to)) = (&from, &to)
        && to.get_ref() < from.get_ref()
    {
        let message = both!(
            "\"to\" 값 {}이(가) \"from\" 날짜보다 앞섭니다",
            "\"to\" is {}, before \"from\"",
            to.get_ref()
        );
        file.report(Code::BadValue, to.span(), message);
    }
    Some(Instrument {
        name: (*name?.get_ref()).into(),
        kind: kind?.into_inner(),
        from: from?.into_inner(),
        to: to?.into_inner(),
        amount: amount?,
        kgco2e_per_kwh: kgco2e_per_kwh?.into_inner(),
        source: (*source?.get_ref()).to_owned(),
    })
}

/// `energy_kwh`, or `share` for contracts that deliver one.
fn amount(table: &mut Table<'_>, kind: Option<InstrumentKind>) -> Option<Amount> {
    let energy = site::positive(table, "energy_kwh");
    let share = site::positive(table, "share");
    let file = table.file();
    let is_contract = kind.is_none_or(|kind| matches!(kind, InstrumentKind::Ppa | InstrumentKind::Supplier));
    match (energy, share) {
        (Some(_), Some(share)) => {
            let message = both!(
                "\"energy_kwh\" 키와 \"share\" 키를 함께 쓸 수 없습니다",
                "\"energy_kwh\" and \"share\" cannot both be given"
            );
            file.report(Code::Contradiction, share.span(), message);
            None
        }
        (None, Some(share)) if !is_contract => {
            let message = both!(
                "인증서나 녹색프리미엄은 kWh 단위로 구매합니다. share가 아니라 energy_kwh를 쓰십시오",
                "a certificate or premium is bought by the kWh: write energy_kwh, not share"
            );
            file.report(Code::Contradiction, share.span(), message);
            None
        }
        (None, Some(share)) if *share.get_ref() > 1.0 => {
            let message = both!(
                "\"share\" 값이 {}입니다. 0보다 크고 1 이하여야 합니다",
                "\"share\" is {}: it must be above 0 and at most 1",
                share.get_ref()
            );
            file.report(Code::BadValue, share.span(), message);
            None
        }
        (None, Some(share)) => Some(Amount::Share(share.into_inner())),
        (Some(energy), None) => Some(Amount::Energy(energy.into_inner())),
        (None, None) => {
            // A value that could not be read has been reported.
            if !table.has("share") {
                table.required::<At<f64>>("energy_kwh", None);
            }
            None
        }
    }
}
