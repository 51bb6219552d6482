//! Recordings in: canonical CSV, and foreign CSV through a mapping, row by row: [`Rows`].
//!
//! It reads from anything that gives bytes and writes nothing. It neither sorts nor repairs: a row that cannot be read
//! is an error with its line and column, and all of them are handed out, so that a file is mended once. Invariant: what
//! a label means is settled by the label and the mapping, never by the order of rows; but for an hour that the clock showed
//! twice, where nothing else tells (`csv/fold.rs`).

use std::io::Read;

use csv::{Position, StringRecord};
use energy::{Quality, Quantity, Reading, Sample, sample::Name};
use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{DateTime, Time},
    tz::TimeZone,
};

mod fold;
mod label;
mod line_ends;

use fold::Folds;
use line_ends::LineEnds;

/// One row of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What it says.
    pub sample: Sample,
    /// How it stands to the rows around it.
    pub order: Order,
}

/// How a row stands to the rows around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By its time.
    ByTime,
    /// As it was recorded: after this tick, or before the first one. Exports of our own log say so in a column `tick`,
    /// and replaying by it repeats what was late.
    AsRecorded(Option<Timestamp>),
}

/// Why a row, or a file, cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}{}: {message}", column.as_ref().map(|column| format!(", column {column:?}")).unwrap_or_default())]
pub struct RowError {
    /// Line in the file, from 1.
    pub line: u64,
    /// Heading of the column, where the row could be taken apart.
    pub column: Option<String>,
    /// What was wanted and what stood there.
    pub message: String,
}

/// How a foreign CSV is read; `config::mapping` makes it from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// Byte between cells.
    pub delimiter: u8,
    /// How time is written.
    pub time: TimeMapping,
    /// Which meter the rows are of.
    pub meter: MeterMapping,
    /// Headings that become quantities; others are passed over.
    pub columns: Vec<ColumnMapping>,
}

/// How a foreign CSV writes time.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeMapping {
    /// One heading, or several whose cells are joined by a space.
    pub columns: Vec<String>,
    /// The form.
    pub format: TimeFormat,
    /// Zone of labels that name none.
    pub zone: TimeZone,
    /// What a label stands for.
    pub marks: Marks,
    /// Length of the interval that a label marks.
    pub interval: SignedDuration,
    /// What "D 00:00" means where labels mark ends.
    pub end_of_day: EndOfDay,
}

/// Form of a time label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeFormat {
    /// RFC 3339 with offset.
    Rfc3339,
    /// strftime.
    Strftime(String),
    /// Seconds since the epoch.
    UnixSeconds,
    /// Milliseconds since the epoch.
    UnixMillis,
}

/// What a label stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// The instant itself.
    Instant,
    /// The start of an interval.
    IntervalStart,
    /// The end of an interval.
    IntervalEnd,
}

/// How "D 00:00" is meant where labels mark ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndOfDay {
    /// The end of day D (D 24:00).
    SameLabel,
    /// The start of day D.
    NextDayStart,
}

/// Where the meter's name comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeterMapping {
    /// All rows are of one meter.
    Name(Name),
    /// A column names it.
    Column(String),
}

/// A heading that becomes a quantity.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnMapping {
    /// The heading.
    pub column: String,
    /// What it is.
    pub quantity: Quantity,
    /// Cell × scale = value in the quantity's unit.
    pub scale: f64,
}

impl Mapping {
    /// The canonical form: `time,meter,<quantity>,…`, with `quality` and `tick` as optional columns. `headings` are
    /// those of the file.
    fn canonical(headings: &StringRecord) -> Result<Self, Vec<RowError>> {
        let mut columns = Vec::new();
        let mut errors = Vec::new();
        for heading in headings
            .iter()
            .filter(|heading| !["time", "meter", "quality", "tick"].contains(heading))
        {
            match Quantity::from_name(heading) {
                Some(quantity) => columns.push(ColumnMapping {
                    column: heading.to_owned(),
                    quantity,
                    scale: 1.0,
                }),
                None => errors.push(error_in(
                    1,
                    heading,
                    "no quantity has this name; a foreign file needs --map".into(),
                )),
            }
        }
        let mapping = Self {
            delimiter: b',',
            time: TimeMapping {
                columns: vec!["time".into()],
                format: TimeFormat::Rfc3339,
                zone: TimeZone::UTC,
                marks: Marks::Instant,
                interval: SignedDuration::ZERO,
                end_of_day: EndOfDay::NextDayStart,
            },
            meter: MeterMapping::Column("meter".into()),
            columns,
        };
        if errors.is_empty() { Ok(mapping) } else { Err(errors) }
    }
}

/// Characters of a cell that a message quotes at most.
const QUOTED: usize = 60;

/// 1990-01-01 and 2100-01-01: no power meter recorded before, and a typing error in a year is no reason to step
/// through centuries.
const EARLIEST_MS: i64 = 631_152_000_000;
const LATEST_MS: i64 = 4_102_444_800_000;

/// The rows of one recording, in the order of the file.
pub struct Rows<R> {
    reader: csv::Reader<LineEnds<R>>,
    record: StringRecord,
    layout: Layout,
    folds: Folds,
}

impl<R: Read> Rows<R> {
    /// Opens a recording; without a mapping the canonical form is meant. The error is about the headings.
    pub fn open(input: R, mapping: Option<&Mapping>) -> Result<Self, Vec<RowError>> {
        let is_canonical = mapping.is_none();
        let delimiter = mapping.map_or(b',', |mapping| mapping.delimiter);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .trim(csv::Trim::All)
            .from_reader(LineEnds::of(input));
        let headings = match reader.headers() {
            Ok(headings) => headings.clone(),
            Err(error) => return Err(vec![unreadable(&error, line(&mut reader, error.position()))]),
        };
        if headings.iter().all(str::is_empty) {
            return Err(vec![RowError {
                line: 1,
                column: None,
                message: "the file is empty: a line of headings is wanted".into(),
            }]);
        }
        let mapping = mapping.map_or_else(|| Mapping::canonical(&headings), |mapping| Ok(mapping.clone()))?;
        let mut layout = Layout::new(mapping, headings)?;
        if !is_canonical {
            // Another's column of this name means something of its own.
            (layout.quality, layout.tick) = (None, None);
        }
        Ok(Self {
            reader,
            record: StringRecord::new(),
            layout,
            folds: Folds::default(),
        })
    }
}

impl<R: Read> Iterator for Rows<R> {
    /// A row, or all that is wrong with it.
    type Item = Result<Row, Vec<RowError>>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.reader.read_record(&mut self.record);
        if matches!(read, Ok(false)) {
            return None;
        }
        let position = match &read {
            Ok(_) => self.record.position(),
            Err(error) => error.position(),
        };
        let line = line(&mut self.reader, position);
        Some(match read {
            Ok(_) => self.layout.row(&self.record, line, &mut self.folds),
            Err(error) => Err(vec![unreadable(&error, line)]),
        })
    }
}

/// The line, from 1, on which what begins at `position` stands.
fn line<R: Read>(reader: &mut csv::Reader<LineEnds<R>>, position: Option<&Position>) -> u64 {
    let byte = position.map_or(0, Position::byte);
    reader.get_mut().line_at(byte)
}

/// A mapping with its headings found in the file.
struct Layout {
    mapping: Mapping,
    headings: StringRecord,
    time: Vec<usize>,
    meter: Option<usize>,
    /// Places of `mapping.columns`, in their order.
    values: Vec<usize>,
    quality: Option<usize>,
    tick: Option<usize>,
}

impl Layout {
    fn new(mapping: Mapping, headings: StringRecord) -> Result<Self, Vec<RowError>> {
        let mut errors = Vec::new();
        let mut place = |column: &str| {
            let place = headings.iter().position(|heading| heading == column);
            if place.is_none() {
                let known = headings.iter().collect::<Vec<_>>().join(", ");
                errors.push(error_in(
                    1,
                    column,
                    format!("the file has no such heading; it has {known}"),
                ));
            } else if headings.iter().filter(|heading| *heading == column).count() > 1 {
                let twice = error_in(1, column, "the file has this heading twice".into());
                if !errors.contains(&twice) {
                    errors.push(twice);
                }
            }
            place
        };
        let time = mapping.time.columns.iter().filter_map(|column| place(column)).collect();
        let meter = match &mapping.meter {
            MeterMapping::Name(_) => None,
            MeterMapping::Column(column) => place(column),
        };
        let values = mapping
            .columns
            .iter()
            .filter_map(|column| place(&column.column))
            .collect();
        let optional = |column: &str| headings.iter().position(|heading| heading == column);
        let (quality, tick) = (optional("quality"), optional("tick"));
        if errors.is_empty() {
            Ok(Self {
                mapping,
                headings,
                time,
                meter,
                values,
                quality,
                tick,
            })
        } else {
            Err(errors)
        }
    }

    fn row(&self, record: &StringRecord, line: u64, folds: &mut Folds) -> Result<Row, Vec<RowError>> {
        let mut errors = Vec::new();
        let meter = self.meter(record);
        let at = self
            .time(record, &meter, folds)
            .map_err(|message| errors.push(self.error(line, self.time.first(), message)));
        let readings = self.readings(record, line, &mut errors);
        let order = self.order(record).unwrap_or_else(|message| {
            errors.push(self.error(line, self.tick.as_ref(), message));
            Order::ByTime
        });
        if meter.is_empty() {
            errors.push(self.error(line, self.meter.as_ref(), "no meter is named".into()));
        }
        match at {
            Ok(at) if errors.is_empty() => Ok(Row {
                sample: Sample { meter, at, readings },
                order,
            }),
            _ => Err(errors),
        }
    }

    fn order(&self, record: &StringRecord) -> Result<Order, String> {
        let Some(place) = self.tick else {
            return Ok(Order::ByTime);
        };
        match record.get(place).unwrap_or("") {
            "" => Ok(Order::AsRecorded(None)),
            cell => match cell.parse() {
                Ok(tick) => Ok(Order::AsRecorded(Some(tick))),
                Err(_) => Err(format!("{} is not a time in RFC 3339", shown(cell))),
            },
        }
    }

    fn meter(&self, record: &StringRecord) -> Name {
        match (&self.mapping.meter, self.meter) {
            (MeterMapping::Name(name), _) => name.clone(),
            (MeterMapping::Column(_), place) => place.and_then(|place| record.get(place)).unwrap_or("").into(),
        }
    }

    fn readings(&self, record: &StringRecord, line: u64, errors: &mut Vec<RowError>) -> Vec<Reading> {
        let quality = match self
            .quality
            .and_then(|place| record.get(place))
            .filter(|cell| !cell.is_empty())
        {
            Some(cell) => Quality::from_name(cell).unwrap_or_else(|| {
                let known = Quality::ALL.map(Quality::name).join(", ");
                errors.push(self.error(
                    line,
                    self.quality.as_ref(),
                    format!("{} is not one of {known}", shown(cell)),
                ));
                Quality::Bad
            }),
            None => Quality::Ok,
        };
        let mut readings = Vec::with_capacity(self.values.len());
        for (place, column) in self.values.iter().zip(&self.mapping.columns) {
            let cell = record.get(*place).unwrap_or("");
            if cell.is_empty() {
                continue;
            }
            match cell.parse::<f64>().ok().filter(|value| value.is_finite()) {
                Some(value) => {
                    let reading = Reading::new(column.quantity, value * column.scale);
                    readings.push(Reading {
                        quality: reading.quality.max(quality),
                        ..reading
                    });
                }
                None => errors.push(self.error(line, Some(place), format!("{} is not a number", shown(cell)))),
            }
        }
        readings
    }

    fn time(&self, record: &StringRecord, meter: &Name, folds: &mut Folds) -> Result<Timestamp, String> {
        let text = self
            .time
            .iter()
            .filter_map(|&place| record.get(place))
            .collect::<Vec<_>>()
            .join(" ");
        let time = &self.mapping.time;
        let at = match &time.format {
            TimeFormat::Rfc3339 => text
                .parse()
                .map_err(|_| format!("{} is not a time in RFC 3339 with offset", shown(&text)))?,
            TimeFormat::UnixSeconds => epoch(&text, 1000.0)?,
            TimeFormat::UnixMillis => epoch(&text, 1.0)?,
            TimeFormat::Strftime(format) => self.local(&text, format, meter, folds)?,
        };
        let at = crate::clock::truncated_to_ms(at);
        if !(EARLIEST_MS..LATEST_MS).contains(&at.as_millisecond()) {
            return Err(format!(
                "{} lies outside the years 1990 to 2099: is the format right?",
                shown(&text)
            ));
        }
        Ok(if time.marks == Marks::IntervalEnd {
            at - time.interval
        } else {
            at
        })
    }

    fn local(&self, text: &str, format: &str, meter: &Name, folds: &mut Folds) -> Result<Timestamp, String> {
        let time = &self.mapping.time;
        let midnight_24 = label::midnight_24(text, format);
        let is_midnight_24 = midnight_24.is_some();
        let mut label = text.to_owned();
        if let Some(at) = midnight_24 {
            label.replace_range(at..at + 2, "00");
        }
        let other = |_| format!("{} is not of the format {format:?}", shown(text));
        let parsed = jiff::fmt::strtime::parse(format, &label).map_err(other)?;
        if let Ok(at) = parsed.to_timestamp() {
            return Ok(at);
        }
        let mut local: DateTime = parsed.to_datetime().map_err(other)?;
        let ends_its_day = time.marks == Marks::IntervalEnd
            && time.end_of_day == EndOfDay::SameLabel
            && local.time() == Time::midnight();
        if is_midnight_24 || ends_its_day {
            local += 1.day();
        }
        folds
            .instant(meter, local, &time.zone, time.marks)
            .map_err(|error| format!("{}: {error}", shown(text)))
    }

    fn error(&self, line: u64, place: Option<&usize>, message: String) -> RowError {
        let column = place.and_then(|&place| self.headings.get(place)).map(str::to_owned);
        RowError { line, column, message }
    }
}

fn epoch(text: &str, to_ms: f64) -> Result<Timestamp, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| format!("{} is not a number of seconds or milliseconds", shown(text)))?;
    Timestamp::from_millisecond((number * to_ms).round() as i64).map_err(|error| format!("{text:?}: {error}"))
}

/// A cell as a message quotes it: a broken file may have the rest of itself in one.
fn shown(cell: &str) -> String {
    match cell.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{:?}… ({} bytes)", &cell[..end], cell.len()),
        None => format!("{cell:?}"),
    }
}

fn error_in(line: u64, column: &str, message: String) -> RowError {
    RowError {
        line,
        column: Some(column.to_owned()),
        message,
    }
}

fn unreadable(error: &csv::Error, line: u64) -> RowError {
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the row has {len} cells, the headings are {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "the row is not UTF-8".into(),
        _ => error.to_string(),
    };
    RowError {
        line,
        column: None,
        message,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A mapping of `when;kW` with interval-end labels of Seoul.
    fn mapping(format: TimeFormat, marks: Marks, end_of_day: EndOfDay) -> Mapping {
        let interval = if marks == Marks::Instant {
            SignedDuration::ZERO
        } else {
            SignedDuration::from_mins(15)
        };
        Mapping {
            delimiter: b';',
            time: TimeMapping {
                columns: vec!["when".into()],
                format,
                zone: TimeZone::get("Asia/Seoul").expect("known"),
                marks,
                interval,
                end_of_day,
            },
            meter: MeterMapping::Name("main".into()),
            columns: vec![ColumnMapping {
                column: "W".into(),
                quantity: Quantity::ActivePower,
                scale: 0.001,
            }],
        }
    }

    fn labels() -> TimeFormat {
        TimeFormat::Strftime("%d-%m-%Y %H:%M".into())
    }

    /// Rows as `time meter quantity=value/quality…`, errors as they print.
    fn read(text: &str, mapping: Option<&Mapping>) -> Vec<String> {
        let rows = match Rows::open(text.as_bytes(), mapping) {
            Ok(rows) => rows,
            Err(errors) => return errors.iter().map(ToString::to_string).collect(),
        };
        rows.flat_map(|row| match row {
            Ok(Row { sample, order }) => {
                let readings = sample.readings.iter();
                let readings = readings.map(|r| format!(" {}={}/{}", r.quantity, r.value, r.quality.name()));
                let order = match order {
                    Order::ByTime => String::new(),
                    Order::AsRecorded(tick) => {
                        format!(" after {}", tick.map_or("nothing".into(), |tick| tick.to_string()))
                    }
                };
                vec![format!(
                    "{} {}{}{order}",
                    sample.at,
                    sample.meter,
                    readings.collect::<String>()
                )]
            }
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        })
        .collect()
    }

    fn check(text: &str, mapping: Option<&Mapping>, expected: &[&str]) {
        assert_eq!(read(text, mapping), expected, "{text}");
    }

    /// Clocks of Berlin: 02:00 to 03:00 is missing on 29 March 2026, and comes twice on 25 October.
    #[test]
    fn clocks_that_are_set_are_read_by_what_they_showed() {
        let berlin = |marks| {
            let mut mapping = mapping(labels(), marks, EndOfDay::NextDayStart);
            mapping.time.zone = TimeZone::get("Europe/Berlin").expect("known");
            mapping
        };
        let instants = |labels: &[&str], marks| {
            let rows: Vec<String> = labels.iter().map(|label| format!("{label};1000\n")).collect();
            let told = read(&format!("when;W\n{}", rows.concat()), Some(&berlin(marks)));
            let time = |row: &String| {
                row.get(11..16)
                    .filter(|_| row.starts_with("2026"))
                    .map_or(row.clone(), str::to_owned)
            };
            told.iter().map(time).collect::<Vec<_>>()
        };
        let spring = ["29-03-2026 01:45", "29-03-2026 03:00"];
        assert_eq!(instants(&spring, Marks::Instant), ["00:45", "01:00"]);
        for (label, marks) in [
            ("02:00", Marks::Instant),
            ("02:30", Marks::Instant),
            ("02:15", Marks::IntervalEnd),
        ] {
            let refused = instants(&[spring[0], &format!("29-03-2026 {label}")], marks);
            let place = format!("line 3, column \"when\": \"29-03-2026 {label}\": no clock of Europe/Berlin showed it");
            assert!(
                refused[1].starts_with(&place) && refused[1].contains("%:z"),
                "{refused:?}"
            );
        }
        assert_eq!(
            instants(&["29-03-2026 02:00"], Marks::IntervalEnd),
            ["00:45"],
            "the last before it"
        );
        let autumn = |clock: &[&str]| {
            let labels: Vec<String> = clock.iter().map(|clock| format!("25-10-2026 {clock}")).collect();
            instants(&labels.iter().map(String::as_str).collect::<Vec<_>>(), Marks::Instant)
        };
        assert_eq!(
            autumn(&["01:30", "02:00", "02:30", "02:30", "02:00", "02:30", "03:00"]),
            ["23:30", "00:00", "00:30", "00:30", "01:00", "01:30", "02:00"]
        );
        assert_eq!(
            autumn(&["02:00", "02:45", "02:30", "03:00"]),
            ["00:00", "00:45", "00:30", "02:00"],
            "one late"
        );
        // Newest first, and a third time: nobody can tell.
        for clock in [
            &["02:30", "02:00", "02:30"][..],
            &["02:00", "02:30", "02:00", "02:30", "02:00"],
        ] {
            let refused = autumn(clock);
            assert!(
                refused.last().is_some_and(|row| row.contains("showed it twice")),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn the_canonical_form_is_read() {
        check(
            "time,meter,active_power_kw,power_factor\n2018-01-01T00:00:00+09:00,m,1.5,\n2018-01-01T00:15:00Z,n,,0.9\n",
            None,
            &[
                "2017-12-31T15:00:00Z m active_power_kw=1.5/ok",
                "2018-01-01T00:15:00Z n power_factor=0.9/ok",
            ],
        );
        check(
            "\u{feff}time,meter,energy_import_kwh\r\n2018-01-01T00:00:00Z,m,1.8e21\r\n",
            None,
            &["2018-01-01T00:00:00Z m energy_import_kwh=1800000000000000000000/bad"],
        );
        check(
            "time,meter,active_power_kw,quality,tick\n2018-01-01T00:00:00Z,m,1,stale,\n2018-01-01T00:01:00Z,m,2,,2018-01-01T00:01:00Z\n",
            None,
            &[
                "2018-01-01T00:00:00Z m active_power_kw=1/stale after nothing",
                "2018-01-01T00:01:00Z m active_power_kw=2/ok after 2018-01-01T00:01:00Z",
            ],
        );
    }

    #[test]
    fn what_cannot_be_read_is_named_by_line_and_column() {
        check(
            "time,meter,active_power_kw\nyesterday,m,x\n2018-01-01T00:00:00Z,,1\n2018-01-01T00:00:00Z,m\n2018-01-01T00:00:00Z,m,NaN\n",
            None,
            &[
                "line 2, column \"time\": \"yesterday\" is not a time in RFC 3339 with offset",
                "line 2, column \"active_power_kw\": \"x\" is not a number",
                "line 3, column \"meter\": no meter is named",
                "line 4: the row has 2 cells, the headings are 3",
                "line 5, column \"active_power_kw\": \"NaN\" is not a number",
            ],
        );
        check(
            "time,meter,power\n",
            None,
            &["line 1, column \"power\": no quantity has this name; a foreign file needs --map"],
        );
        check(
            "time,meter,active_power_kw,voltage_l1_v,active_power_kw\n2018-01-01T00:00:00Z,m,1,230,2\n",
            None,
            &["line 1, column \"active_power_kw\": the file has this heading twice"],
        );
        let long = "가".repeat(100);
        check(
            &format!("time,meter,active_power_kw\n2018-01-01T00:00:00Z,m,{long}\n"),
            None,
            &[&format!(
                "line 2, column \"active_power_kw\": \"{}\"… (300 bytes) is not a number",
                "가".repeat(60)
            )],
        );
        for empty in ["", "\n\n", "\u{feff}"] {
            check(
                empty,
                None,
                &["line 1: the file is empty: a line of headings is wanted"],
            );
        }
        let mapping = mapping(labels(), Marks::Instant, EndOfDay::SameLabel);
        check(
            "when;kW\n",
            Some(&mapping),
            &["line 1, column \"W\": the file has no such heading; it has when, kW"],
        );
        check(
            "time,meter,quality\n2018-01-01T00:00:00Z,m,fine\n",
            None,
            &["line 2, column \"quality\": \"fine\" is not one of ok, restored, estimated, clock-suspect, stale, bad"],
        );
    }

    #[test]
    fn a_label_means_what_the_mapping_says() {
        let cases = [
            (
                labels(),
                Marks::IntervalEnd,
                EndOfDay::SameLabel,
                "01-01-2018 00:15",
                "2017-12-31T15:00:00Z",
            ),
            (
                labels(),
                Marks::IntervalEnd,
                EndOfDay::SameLabel,
                "01-01-2018 00:00",
                "2018-01-01T14:45:00Z",
            ),
            (
                labels(),
                Marks::IntervalEnd,
                EndOfDay::NextDayStart,
                "01-01-2018 00:00",
                "2017-12-31T14:45:00Z",
            ),
            (
                labels(),
                Marks::IntervalEnd,
                EndOfDay::NextDayStart,
                "01-01-2018 24:00",
                "2018-01-01T14:45:00Z",
            ),
            (
                labels(),
                Marks::IntervalStart,
                EndOfDay::SameLabel,
                "01-01-2018 00:00",
                "2017-12-31T15:00:00Z",
            ),
            (
                labels(),
                Marks::Instant,
                EndOfDay::SameLabel,
                "01-01-2018 00:00",
                "2017-12-31T15:00:00Z",
            ),
            (
                TimeFormat::UnixSeconds,
                Marks::Instant,
                EndOfDay::SameLabel,
                "1514764800.5",
                "2018-01-01T00:00:00.5Z",
            ),
            (
                TimeFormat::UnixMillis,
                Marks::Instant,
                EndOfDay::SameLabel,
                "1514764800500",
                "2018-01-01T00:00:00.5Z",
            ),
        ];
        for (format, marks, end_of_day, label, expected) in cases {
            let expected = format!("{expected} main active_power_kw=2.5/ok");
            check(
                &format!("when;W;note\n{label};2500;x\n"),
                Some(&mapping(format, marks, end_of_day)),
                &[&expected],
            );
        }
    }

    #[test]
    fn a_minute_24_is_no_midnight() {
        let with_seconds = TimeFormat::Strftime("%d-%m-%Y %H:%M:%S".into());
        check(
            "when;W;note\n01-01-2018 10:24:00;2500;x\n",
            Some(&mapping(with_seconds, Marks::Instant, EndOfDay::NextDayStart)),
            &["2018-01-01T01:24:00Z main active_power_kw=2.5/ok"],
        );
    }

    #[test]
    fn a_mapping_joins_columns_and_leaves_foreign_ones_alone() {
        let mut mapping = mapping(labels(), Marks::Instant, EndOfDay::SameLabel);
        mapping.time.columns = vec!["day".into(), "clock".into()];
        mapping.meter = MeterMapping::Column("machine".into());
        check(
            "day;clock;machine;W;quality;tick\n01-01-2018;09:00;press;1000;good;7\n",
            Some(&mapping),
            &["2018-01-01T00:00:00Z press active_power_kw=1/ok"],
        );
    }

    proptest! {
        /// A line is counted as every editor counts it, whatever ends the lines and however many of them are empty.
        #[test]
        fn lines_are_counted_as_an_editor_does(
            rows in prop::collection::vec((prop::bool::weighted(0.2), 0usize..3, any::<bool>()), 1..200),
            is_crlf in any::<bool>(),
        ) {
            let mut text = "time,meter,active_power_kw,power_factor\n".to_owned();
            let mut wrong = Vec::new();
            for (is_wrong, n_empty, is_quoted) in rows {
                text += &"\n".repeat(n_empty);
                if is_wrong {
                    wrong.push(text.matches('\n').count() + 1);
                }
                let value = if is_wrong { "x" } else { "1" };
                let cell = if is_quoted { "\"\n\"" } else { "2" };
                text.extend(["2018-01-01T00:00:00Z,m,", value, ",", cell, "\n"]);
            }
            let text = text.replace('\n', if is_crlf { "\r\n" } else { "\n" });
            let found = read(&text, None);
            let found: Vec<String> = found.into_iter().filter(|row| row.starts_with("line")).collect();
            let named = |line| format!("line {line}, column \"active_power_kw\": \"x\" is not a number");
            prop_assert_eq!(found, wrong.into_iter().map(named).collect::<Vec<_>>());
        }

        /// Whatever the bytes are, they are answered.
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200), is_mapped in any::<bool>()) {
            let mapping = mapping(labels(), Marks::IntervalEnd, EndOfDay::SameLabel);
            let mapping = is_mapped.then_some(&mapping);
            if let Ok(rows) = Rows::open(&bytes[..], mapping) {
                prop_assert!(rows.count() <= bytes.len() + 1);
            }
        }

        /// A canonical file with any cells is answered row by row.
        #[test]
        fn any_cells_are_answered(time in "\\PC{0,30}", value in "[-0-9.eE+infa]{0,12}") {
            let text = format!("time,meter,active_power_kw\n\"{}\",m,{value}\n", time.replace('"', ""));
            prop_assert!(!read(&text, None).is_empty());
        }
    }
}
