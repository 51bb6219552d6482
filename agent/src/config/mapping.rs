//! The mapping file that says how a foreign CSV is to be read (`replay --map`).
//!
//! It reads no CSV. Invariant: a mapping that loads names its time, its meter and at least one quantity.

use std::path::Path;

use energy::{
    Site, both,
    finding::Title,
    quantity::{Form, Quantity},
};
use jiff::{SignedDuration, tz::TimeZone};
use toml::Spanned;

use crate::acquire::csv::{ColumnMapping, EndOfDay, Mapping, Marks, MeterMapping, TimeFormat, TimeMapping};

use super::{
    diagnostic::{Code, Diagnostic, Source},
    points,
    read::{self, At, File, Problems, Table},
    site, suggest, units,
};

const MARKS: &[(&str, Marks)] = &[
    ("instant", Marks::Instant),
    ("interval-start", Marks::IntervalStart),
    ("interval-end", Marks::IntervalEnd),
];

const ENDS: &[(&str, EndOfDay)] = &[
    ("same-label", EndOfDay::SameLabel),
    ("next-day-start", EndOfDay::NextDayStart),
];

/// Reads and checks the mapping at `path` for recordings of `site`; all errors at once.
pub fn load(path: &Path, site: &Site) -> Result<Mapping, Vec<Diagnostic>> {
    parse(Source::read(path).map_err(|error| vec![error])?, Some(site))
}

/// As [`load`], of a text; without a site, a meter may have any name.
pub fn parse(source: Source, site: Option<&Site>) -> Result<Mapping, Vec<Diagnostic>> {
    let file = File {
        source,
        problems: Problems::default(),
    };
    let mapping = read::parse(&file).and_then(|parsed| {
        mapping(
            &file,
            site,
            Table::new(&file, both!("매핑 파일", "the mapping"), &parsed),
        )
    });
    match mapping {
        Some(mapping) if file.problems.n_errors() == 0 => Ok(mapping),
        _ => Err(file.problems.take()),
    }
}

fn mapping<'a>(file: &'a File, site: Option<&Site>, mut root: Table<'a>) -> Option<Mapping> {
    let delimiter = root.parsed("delimiter", delimiter);
    let time = root.table("time");
    let time = root.required("time", time).and_then(time_mapping);
    let meter = root.table("meter");
    let meter = root
        .required("meter", meter)
        .and_then(|table| meter_mapping(table, site));
    let columns = root.table("columns");
    let columns = root
        .required("columns", columns)
        .map(|table| column_mappings(file, &table));
    root.finish();
    let (time, columns) = (time?, columns?);
    check_deltas(file, &time, &columns, site);
    Some(Mapping {
        delimiter: delimiter.map_or(b',', Spanned::into_inner),
        time,
        meter: meter?,
        columns,
    })
}

fn delimiter(text: &str) -> Result<u8, Title> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && *byte != b'"' => Ok(*byte),
        _ => Err(both!(
            "{text:?}은(는) 구분자가 아닙니다. \",\", \";\", \"\\t\"처럼 한 글자로 쓰십시오",
            "{text:?} is not a delimiter: write one character, as \",\", \";\" or \"\\t\""
        )),
    }
}

fn time_mapping(mut table: Table<'_>) -> Option<TimeMapping> {
    let file = table.file();
    let column = table.text("column").map(|name| (*name.get_ref()).to_owned());
    let columns: Vec<String> = table
        .texts("columns")
        .iter()
        .map(|name| (*name.get_ref()).to_owned())
        .collect();
    if table.has("column") == table.has("columns") {
        let message = both!(
            "[time]에는 \"column\" 키와 \"columns\" 키 중 하나만 있어야 합니다",
            "[time] needs either \"column\" or \"columns\""
        );
        file.report(Code::MissingKey, table.span(), message);
    }
    let format = table.parsed("format", format);
    let format = table.required("format", format);
    let zone = table.parsed("zone", site::zone);
    let marks = table.choice("marks", MARKS).map_or(Marks::Instant, Spanned::into_inner);
    let interval = table.parsed("interval", units::duration);
    let end_of_day = table.choice("end_of_day", ENDS).map(Spanned::into_inner);
    if marks != Marks::Instant && !table.has("interval") {
        file.report(
            Code::MissingKey,
            table.span(),
            both!(
                "[time]의 시각은 구간을 나타내는데 \"interval\" 키가 없습니다",
                "[time] marks an interval but has no \"interval\""
            ),
        );
    }
    let names_no_zone = format.as_ref().is_some_and(|format| needs_zone(format.get_ref()));
    if names_no_zone && !table.has("zone") {
        file.report(
            Code::MissingKey,
            table.span(),
            both!(
                "[time]에 \"zone\" 키가 없고 시각 형식에도 시간대가 없습니다",
                "[time] has no \"zone\", and its format names none"
            ),
        );
    }
    if interval.as_ref().is_some_and(|interval| interval.get_ref().is_zero()) {
        file.report(
            Code::BadValue,
            table.span(),
            both!("\"interval\" 값은 0보다 커야 합니다", "\"interval\" must be above zero"),
        );
    }
    table.finish();
    Some(TimeMapping {
        columns: column.into_iter().chain(columns).collect(),
        format: format?.into_inner(),
        zone: zone.map_or(TimeZone::UTC, Spanned::into_inner),
        marks,
        interval: interval.map_or(SignedDuration::ZERO, |interval| {
            SignedDuration::try_from(interval.into_inner()).unwrap_or(SignedDuration::MAX)
        }),
        end_of_day: end_of_day.unwrap_or(EndOfDay::NextDayStart),
    })
}

fn needs_zone(format: &TimeFormat) -> bool {
    matches!(format, TimeFormat::Strftime(pattern) if !["%z", "%:z", "%Q", "%s"].iter().any(|zoned| pattern.contains(zoned)))
}

fn format(text: &str) -> Result<TimeFormat, Title> {
    Ok(match text {
        "unix_s" => TimeFormat::UnixSeconds,
        "unix_ms" => TimeFormat::UnixMillis,
        "rfc3339" => TimeFormat::Rfc3339,
        pattern => {
            let sample = jiff::ZonedDateTime::new(jiff::Timestamp::UNIX_EPOCH, TimeZone::UTC);
            let written = jiff::fmt::strtime::format(pattern, &sample).ok();
            if !pattern.contains('%') || written.is_none() {
                return Err(both!(
                    "{text:?}은(는) 시각 형식이 아닙니다. \"%d-%m-%Y %H:%M\"처럼 strftime으로 쓰거나 unix_s, unix_ms, rfc3339 중 하나를 쓰십시오",
                    "{text:?} is not a time format: write strftime, as \"%d-%m-%Y %H:%M\", or unix_s, unix_ms, rfc3339"
                ));
            }
            TimeFormat::Strftime(pattern.to_owned())
        }
    })
}

fn meter_mapping(mut table: Table<'_>, site: Option<&Site>) -> Option<MeterMapping> {
    let name = table.text("name");
    let column = table.text("column");
    let (file, span) = (table.file(), table.span());
    table.finish();
    match (name, column) {
        (Some(name), None) => {
            if let Some(site) = site {
                known_meter(file, site, &name);
            }
            Some(MeterMapping::Name((*name.get_ref()).into()))
        }
        (None, Some(column)) => Some(MeterMapping::Column((*column.get_ref()).to_owned())),
        _ => {
            file.report(
                Code::MissingKey,
                span,
                both!(
                    "[meter]에는 \"name\" 키와 \"column\" 키 중 하나만 있어야 합니다",
                    "[meter] needs either \"name\" or \"column\""
                ),
            );
            None
        }
    }
}

fn known_meter(file: &File, site: &Site, name: &At<&str>) {
    let text = *name.get_ref();
    if site.meters.iter().any(|meter| *meter.name == *text) {
        return;
    }
    let message = both!(
        "계측기 {text:?}은(는) 구성에 없습니다. 모든 행이 빠지게 됩니다",
        "the configuration has no meter {text:?}: every row would be left out"
    );
    let help = suggest::help(text, site.meters.iter().map(|meter| &*meter.name));
    let help = help.or_else(|| {
        Some(both!(
            "이 이름의 [[meter]]를 구성에 추가하십시오",
            "add a [[meter]] of this name to the configuration"
        ))
    });
    file.report_with(Code::UnknownReference, name.span(), message, help);
}

fn column_mappings(file: &File, table: &Table<'_>) -> Vec<ColumnMapping> {
    let mut columns = Vec::new();
    let mut seen: Vec<Quantity> = vec![];
    for (column, value) in table.entries() {
        let Some((quantity, scale)) = points::quantity_and_scale(file, column.get_ref(), value) else {
            continue;
        };
        if seen.contains(&quantity) {
            let message = both!(
                "두 열이 모두 물리량 {quantity}에 지정되어 있습니다",
                "two columns are mapped to {quantity}"
            );
            file.report(Code::DuplicateName, column.span(), message);
        }
        seen.push(quantity);
        columns.push(ColumnMapping {
            column: (*column.get_ref()).to_owned(),
            quantity,
            scale,
        });
    }
    if table.entries().next().is_none() {
        file.report(
            Code::MissingKey,
            table.span(),
            both!("[columns]에 지정된 열이 없습니다", "[columns] maps no column"),
        );
    }
    columns
}

/// The energy of an interval can be told of no part of it, and no part of it of the whole.
fn check_deltas(file: &File, time: &TimeMapping, columns: &[ColumnMapping], site: Option<&Site>) {
    let Some(delta) = columns.iter().find(|column| column.quantity.row().form == Form::Delta) else {
        return;
    };
    let span = file.source.text.find("[time]").map_or(0..0, |at| at..at + 6);
    if time.marks == Marks::Instant {
        let message = both!(
            "물리량 {}은(는) 구간의 값인데 시각은 순간을 나타냅니다",
            "{} belongs to an interval, but the times mark instants",
            delta.quantity
        );
        let help = both!(
            "[time]에 marks = \"interval-start\" 또는 \"interval-end\"와 interval을 쓰십시오",
            "say in [time] marks = \"interval-start\" or \"interval-end\", and interval"
        );
        file.report_with(Code::Contradiction, span, message, Some(help));
        return;
    }
    let demand = site.map(|site| site.demand_interval);
    if let Some(demand) = demand.filter(|demand| *demand != time.interval) {
        let (rows, demand_min) = (time.interval.as_secs_f64() / 60.0, demand.as_secs_f64() / 60.0);
        let message = both!(
            "각 행은 {rows}분 동안의 전력량인데 사업장의 수요 시한은 {demand_min}분입니다. 이것으로는 수요전력을 알 수 없습니다",
            "each row holds the energy of {rows} min, but the site's demand interval is {demand_min} min: no demand can be \
             told of that"
        );
        let help = both!(
            "{demand_min}분 단위로 기록하거나 [site]에 demand_interval = \"{rows}m\"로 쓰십시오",
            "record rows of {demand_min} min, or write demand_interval = \"{rows}m\" in [site]"
        );
        file.report_with(Code::Contradiction, span, message, Some(help));
    }
}
