//! `[site]` and `[[contract]]`: where and when the plant works, and what its electricity costs.
//!
//! Machines and meters are read beside it. Invariant: nothing is guessed; what a file does not say is absent.

use std::{collections::BTreeMap, sync::Arc};

use energy::{
    both,
    calendar::{DaysOff, HolidayCalendar, Hours, Shift},
    carbon::FactorSeries,
    finding::Title,
    sample::Name,
    tariff::{Contract, Rules, Tariff},
};
use jiff::{SignedDuration, civil::Date, tz::TimeZone};
use toml::Spanned;

use super::{
    Context, carbon,
    data::Folder,
    diagnostic::Code,
    names::Names,
    read::{self, At, Table},
    suggest, tariff_check,
    units::{self, Stretches},
};
use crate::language::Language;

/// `[site]` as read; names that refer to meters are checked later.
#[derive(Debug)]
pub(super) struct SitePart<'a> {
    /// Its name and where it is written.
    pub name: At<&'a str>,
    /// Its zone.
    pub zone: TimeZone,
    /// Language of what people read.
    pub language: Language,
    /// When all of it rests.
    pub days_off: DaysOff,
    /// Shifts by name.
    pub shifts: BTreeMap<String, Shift>,
    /// Names of the shifts, also of those that could not be read.
    pub shift_names: Names,
    /// Declared overtime of the whole site.
    pub open: Stretches,
    /// The meter the bill is made from.
    pub main_meter: Option<At<&'a str>>,
    /// Over what demand is measured, where the site says so.
    pub demand_interval: Option<At<SignedDuration>>,
    /// Factors.
    pub carbon: Option<FactorSeries>,
}

/// Reads `[site]`.
pub(super) fn site<'a>(context: &Context<'a>, root: &mut Table<'a>) -> Option<SitePart<'a>> {
    let table = root.table("site");
    let mut table = root.required("site", table)?;
    let file = context.file;
    let name = table.text("name");
    let name = table.required("name", name);
    if let Some(name) = &name {
        Names::new(both!("사업장", "site")).declare(file, name);
    }
    let zone = table.parsed("zone", zone);
    let zone = table.required("zone", zone);
    let language = table.choice("language", Language::NAMES);
    let holidays = table.text("holidays").and_then(|name| {
        context
            .data
            .load::<HolidayCalendar>(Folder::Calendars, &name, file)
            .map(|calendar| calendar.days())
    });
    let mut shift_names = Names::new(both!("근무조", "shift"));
    let shifts = shifts(&mut table, &mut shift_names);
    let closed = stretches(&mut table, "closed");
    let open = stretches(&mut table, "open");
    let main_meter = table.text("main_meter");
    let demand_interval = table.choice("demand_interval", DEMAND_INTERVALS);
    let carbon = carbon::series(context, &mut table);
    let span = table.span();
    table.finish();
    // A bad name or zone has been reported and nothing will run: the rest is still checked, as if there were one.
    Some(SitePart {
        name: name.unwrap_or_else(|| Spanned::new(span, "site")),
        zone: zone.map_or(TimeZone::unknown(), Spanned::into_inner),
        language: language.map_or(Language::default(), Spanned::into_inner),
        days_off: DaysOff {
            holidays: Arc::new(holidays.unwrap_or_default()),
            closed,
        },
        shifts,
        shift_names,
        open,
        main_meter,
        demand_interval,
        carbon,
    })
}

/// Intervals that demand is measured over: all divide an hour, and tariffs know no others.
const DEMAND_INTERVALS: &[(&str, SignedDuration)] = &[
    ("1m", SignedDuration::from_mins(1)),
    ("5m", SignedDuration::from_mins(5)),
    ("10m", SignedDuration::from_mins(10)),
    ("15m", SignedDuration::from_mins(15)),
    ("30m", SignedDuration::from_mins(30)),
    ("60m", SignedDuration::from_mins(60)),
    ("1h", SignedDuration::from_mins(60)),
];

/// A time zone by its IANA name.
pub(super) fn zone(name: &str) -> Result<TimeZone, Title> {
    TimeZone::get(name).map_err(|_| {
        both!(
            "{name:?}은(는) 시간대가 아닙니다. \"Asia/Seoul\"처럼 IANA 이름으로 쓰십시오",
            "{name:?} is not a time zone: write its IANA name, as \"Asia/Seoul\""
        )
    })
}

fn shifts(table: &mut Table<'_>, names: &mut Names) -> BTreeMap<String, Shift> {
    let file = table.file();
    let mut shifts = BTreeMap::new();
    let Some(entries) = table.table("shifts") else {
        return shifts;
    };
    for (name, value) in entries.entries() {
        names.declare(file, &name);
        let Some(text) = read::text(file, name.get_ref(), value) else {
            continue;
        };
        match text.get_ref().parse::<Shift>() {
            Ok(shift) => {
                shifts.insert((*name.get_ref()).to_owned(), shift);
            }
            Err(error) => file.report(Code::BadValue, text.span(), error.text()),
        }
    }
    shifts
}

/// The stretches of time under `key`.
pub(super) fn stretches(table: &mut Table<'_>, key: &'static str) -> Stretches {
    let file = table.file();
    let mut all = vec![];
    for text in table.texts(key) {
        match units::stretches(text.get_ref()) {
            Ok(found) => all.extend(found),
            Err(why) => file.report(Code::BadValue, text.span(), why),
        }
    }
    all
}

impl SitePart<'_> {
    /// Working hours with a shift and declared work of its own; `None` when neither is known.
    pub(super) fn hours(&self, shift: Option<&Shift>, open: Stretches) -> Option<Hours> {
        if shift.is_none() && open.is_empty() {
            return None;
        }
        Some(Hours {
            zone: self.zone.clone(),
            shift: shift.cloned(),
            days_off: self.days_off.clone(),
            open: self.open.iter().copied().chain(open).collect(),
        })
    }

    /// The site's name.
    pub(super) fn tag(&self) -> Name {
        (*self.name.get_ref()).into()
    }
}

/// Reads every `[[contract]]`, by its first day ascending.
pub(super) fn contracts<'a>(context: &Context<'a>, root: &mut Table<'a>, zone: &TimeZone) -> Vec<Contract> {
    let mut lines: BTreeMap<Date, usize> = BTreeMap::new();
    let mut contracts: Vec<Contract> = root
        .tables("contract")
        .into_iter()
        .filter_map(|table| contract(context, table, zone, &mut lines))
        .collect();
    contracts.sort_by_key(|contract| contract.from);
    contracts
}

fn contract<'a>(
    context: &Context<'a>,
    mut table: Table<'a>,
    zone: &TimeZone,
    lines: &mut BTreeMap<Date, usize>,
) -> Option<Contract> {
    let file = context.file;
    let from = table.date("from");
    let from = table.required("from", from);
    if let Some(from) = &from {
        let line = file.source.place(from.span()).line;
        if let Some(first) = lines.insert(*from.get_ref(), line) {
            let message = both!(
                "{}에 시작하는 계약이 둘입니다. 첫 번째는 {first}행에 있습니다",
                "two contracts begin on {}; the first stands on line {first}",
                from.get_ref()
            );
            file.report(Code::DuplicateName, from.span(), message);
        }
    }
    let tariff_name = table.text("tariff");
    let tariff_name = table.required("tariff", tariff_name);
    let contract_kw = positive(&mut table, "contract_kw");
    let contract_kw = table.required("contract_kw", contract_kw);
    let reading_day = table.integer("reading_day", 1..=28);
    let deferred = table.flag("deferred").unwrap_or(false);
    let earlier_peaks = earlier_peaks(&mut table);
    let edition = table.date("edition");
    let area = table.text("area");
    let reactive_meter = table.flag("reactive_meter").unwrap_or(true);
    let demand_meter = table.flag("demand_meter");
    let span = table.span();
    table.finish();
    let supply = tariff_name.and_then(|name| tariff(context, &name).map(|found| (name, found)));
    let (tariff_name, (tariff, rules, holidays)) = supply?;
    let from = from?;
    let dated = edition.as_ref().unwrap_or(&from);
    tariff_check::covers(file, &tariff, dated, edition.is_some());
    if let Some(contract_kw) = &contract_kw {
        tariff_check::fits(file, &tariff, contract_kw);
    }
    tariff_check::runs_by(file, &rules, zone, tariff_name.span());
    if let Some(area) = &area {
        known_area(context, &rules, area);
    }
    if deferred && rules.deferral.is_none() {
        let message = both!(
            "요금제 {:?}에는 유예할 개편이 없습니다",
            "tariff {:?} has no reform that could be deferred",
            tariff_name.get_ref()
        );
        file.report(Code::NoEffect, span, message);
    }
    Some(Contract {
        from: from.into_inner(),
        tariff_name: (*tariff_name.get_ref()).to_owned(),
        rules: rules.with_demand_meter(demand_meter.unwrap_or(!tariff.low_voltage)),
        tariff,
        holidays,
        contract_kw: contract_kw?.into_inner(),
        reading_day: reading_day.map_or(1, |day| day.into_inner() as i8),
        deferred,
        earlier_peaks,
        edition: edition.map(Spanned::into_inner),
        area: area.map(|area| (*area.get_ref()).to_owned()),
        reactive_meter,
    })
}

type Supply = (Tariff, Rules, std::collections::BTreeSet<Date>);

/// A tariff with its rules and holidays, checked.
fn tariff(context: &Context<'_>, name: &At<&str>) -> Option<Supply> {
    let tariff_file = context.data.find(Folder::Tariffs, name, context.file)?;
    let tariff: Tariff = super::data::deserialised(&tariff_file)?;
    let rules_name = tariff.rules.clone();
    let rules_name = place_of(&tariff_file.source.text, &rules_name);
    let rules_file = context.data.find(Folder::TariffRules, &rules_name, &tariff_file)?;
    let rules: Rules = super::data::deserialised(&rules_file)?;
    tariff_check::check(&tariff, &tariff_file, &rules, &rules_file);
    let holidays = match &rules.holidays {
        None => std::collections::BTreeSet::new(),
        Some(calendar) => {
            let calendar = place_of(&rules_file.source.text, calendar);
            let calendar: HolidayCalendar = context.data.load(Folder::Calendars, &calendar, &rules_file)?;
            let lasting = calendar.holiday.iter().filter(|holiday| !holiday.ad_hoc);
            lasting.map(|holiday| holiday.date).collect()
        }
    };
    Some((tariff, rules, holidays))
}

/// `value` with the place where it stands in `text`.
fn place_of<'v>(text: &str, value: &'v str) -> At<&'v str> {
    let quoted = format!("\"{value}\"");
    let start = text.find(&quoted).unwrap_or(0);
    Spanned::new(start..start + quoted.len(), value)
}

fn known_area(context: &Context<'_>, rules: &Rules, area: &At<&str>) {
    let known: Vec<&str> = rules.bands.iter().filter_map(|table| table.area.as_deref()).collect();
    if !known.contains(area.get_ref()) {
        let message = both!(
            "이 요금제에는 지역 {:?}이(가) 없습니다",
            "the tariff has no area {:?}",
            area.get_ref()
        );
        let help = suggest::help(area.get_ref(), known);
        let help = help.or_else(|| {
            Some(both!(
                "육지이면 area를 쓰지 마십시오",
                "leave area out for the mainland"
            ))
        });
        context
            .file
            .report_with(Code::UnknownReference, area.span(), message, help);
    }
}

/// A number above zero.
pub(super) fn positive(table: &mut Table<'_>, key: &'static str) -> Option<At<f64>> {
    let value = table.number(key)?;
    if *value.get_ref() <= 0.0 {
        let message = both!("{key:?} 값은 0보다 커야 합니다", "{key:?} must be above zero");
        table.file().report(Code::BadValue, value.span(), message);
        return None;
    }
    Some(value)
}

fn earlier_peaks(table: &mut Table<'_>) -> BTreeMap<Date, f64> {
    let file = table.file();
    let mut peaks = BTreeMap::new();
    let Some(entries) = table.table("earlier_peaks") else {
        return peaks;
    };
    for (month, value) in entries.entries() {
        let peak = read::number(file, month.get_ref(), value);
        match (units::month(month.get_ref()), peak) {
            (Err(why), _) => file.report(Code::BadValue, month.span(), why),
            (Ok(_), Some(peak)) if *peak.get_ref() < 0.0 => {
                file.report(
                    Code::BadValue,
                    peak.span(),
                    both!("최대수요는 음수일 수 없습니다", "a maximum demand must not be negative"),
                );
            }
            (Ok(month), Some(peak)) => {
                peaks.insert(month, peak.into_inner());
            }
            (Ok(_), None) => {}
        }
    }
    peaks
}
