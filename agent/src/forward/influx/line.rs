//! A log entry → lines of InfluxDB's line protocol. Pure: nothing is sent here.
//!
//! Measurements `power`, `energy_interval`, `finding`, `agent_health`; every number is a float, so that a field's type
//! never changes. Invariants: one `Line` is one line of text whatever the names hold; a value that is not finite or
//! that a meter marked bad is left out and counted; a line without a number is not written.

use std::{collections::BTreeMap, fmt::Write};

use energy::{Finding, Interval, Name, Quality, Sample, finding::Condition};
use jiff::Timestamp;
use rust_decimal::prelude::ToPrimitive;

use crate::store::Entry;

/// Tags that do not stand in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteTags {
    /// The tag `site`.
    pub site: Name,
    /// By meter; an unknown meter has neither tag.
    pub meters: BTreeMap<Name, MeterTags>,
}

impl SiteTags {
    /// The tags of a plant: a meter's machine is the first one it measures, the site itself only where it measures no
    /// other.
    pub fn of(site: &energy::Site) -> Self {
        let tags = |meter: &energy::site::Meter| {
            let machines = || site.machines.iter().filter(|machine| machine.meter == meter.name);
            let own = machines().find(|machine| machine.kind != energy::site::MachineKind::Site);
            let machine = own.or_else(|| machines().next());
            MeterTags {
                area: meter
                    .area
                    .clone()
                    .or_else(|| machine.and_then(|machine| machine.area.clone())),
                machine: machine.map(|machine| machine.name.to_string()),
            }
        };
        Self {
            site: site.name.clone(),
            meters: site
                .meters
                .iter()
                .map(|meter| (meter.name.clone(), tags(meter)))
                .collect(),
        }
    }
}

/// Tags of a meter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MeterTags {
    /// The tag `area`.
    pub area: Option<String>,
    /// The tag `machine`: the machine it measures.
    pub machine: Option<String>,
}

/// One point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its instant.
    pub at: Timestamp,
    /// The line without its end, time in ms.
    pub text: String,
}

/// The lines of an entry, and what could not become one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The lines, in the order of the entry.
    pub lines: Vec<Line>,
    /// Numbers left out because line protocol has no NaN and no infinity.
    pub not_finite: u64,
    /// Readings left out because they are `bad`.
    pub bad: u64,
    /// Health numbers of an entry that has no instant.
    pub timeless: u64,
}

/// The lines of an entry.
pub fn encode(entry: &Entry, tags: &SiteTags) -> Encoded {
    let mut encoded = Encoded::default();
    for sample in &entry.samples {
        encoded.sample(sample, tags);
    }
    for interval in &entry.intervals {
        encoded.interval(interval, tags);
    }
    for finding in &entry.findings {
        encoded.finding(finding, tags);
    }
    let at = entry
        .tick
        .or_else(|| entry.samples.iter().map(|sample| sample.at).max());
    match at {
        Some(at) => entry
            .health
            .iter()
            .for_each(|(series, value)| encoded.health(series, *value, at, tags)),
        None => encoded.timeless += entry.health.len() as u64,
    }
    encoded
}

impl Encoded {
    /// Joins what another entry gave.
    pub fn append(&mut self, mut other: Self) {
        self.lines.append(&mut other.lines);
        self.not_finite += other.not_finite;
        self.bad += other.bad;
        self.timeless += other.timeless;
    }

    fn sample(&mut self, sample: &Sample, tags: &SiteTags) {
        let mut point = Point::new("power").meter(tags, &sample.meter);
        let mut worst = Quality::Ok;
        for reading in &sample.readings {
            if reading.quality == Quality::Bad {
                self.bad += 1;
                continue;
            }
            point.number(reading.quantity.name(), Some(reading.value));
            worst = worst.max(reading.quality);
        }
        point.string("quality", worst.name());
        self.finish(&point, sample.at);
    }

    fn interval(&mut self, interval: &Interval, tags: &SiteTags) {
        let mut point = Point::new("energy_interval").meter(tags, &interval.meter);
        point.number("energy_import_kwh", interval.energy_import_kwh);
        point.number("energy_export_kwh", interval.energy_export_kwh);
        point.number("reactive_energy_lag_kvarh", interval.reactive_energy_lag_kvarh);
        point.number("reactive_energy_lead_kvarh", interval.reactive_energy_lead_kvarh);
        point.number("coverage", Some(interval.coverage));
        let duration = interval.end.duration_since(interval.start);
        point.number("duration_s", Some(duration.as_secs_f64()));
        point.number("revision", Some(f64::from(interval.revision)));
        point.string("quality", interval.quality.name());
        self.finish(&point, interval.start);
    }

    fn finding(&mut self, finding: &Finding, tags: &SiteTags) {
        let mut point = Point::new("finding")
            .tag("site", &tags.site)
            .tag("machine", &finding.machine)
            .tag("meter", &finding.meter)
            .tag("kind", finding.kind.name())
            .tag("severity", finding.severity.name());
        point.number("energy_kwh", finding.energy_kwh);
        point.number("energy_kwh_low", finding.energy_kwh_low);
        point.number("energy_kwh_high", finding.energy_kwh_high);
        point.number("cost", finding.cost.as_ref().and_then(|cost| cost.amount.to_f64()));
        point.number("kgco2e", finding.kgco2e);
        point.number("confidence", Some(finding.confidence));
        point.string("id", &finding.id);
        let (state, at) = match finding.state {
            Condition::Open => ("open", finding.detected_at),
            Condition::Closed => ("closed", finding.until.unwrap_or(finding.detected_at)),
        };
        point.string("state", state);
        if let Some(cost) = &finding.cost {
            point.string("currency", &cost.currency);
        }
        point.string("title_ko", &finding.title.ko);
        point.string("title_en", &finding.title.en);
        self.finish(&point, at);
    }

    fn health(&mut self, series: &str, value: f64, at: Timestamp, tags: &SiteTags) {
        let (name, labels) = parse_series(series);
        let mut point = Point::new("agent_health").tag("site", &tags.site).tag("name", name);
        for (key, value) in &labels {
            // These two are ours; a label of the same name must not stand beside them twice.
            let key = if matches!(key.as_str(), "site" | "name") {
                format!("label_{key}")
            } else {
                key.clone()
            };
            point = point.tag(&key, value);
        }
        point.number("value", Some(value));
        self.finish(&point, at);
    }

    fn finish(&mut self, point: &Point, at: Timestamp) {
        self.not_finite += point.not_finite;
        if point.has_number {
            let text = format!("{} {}", point.text, at.as_millisecond());
            self.lines.push(Line { at, text });
        }
    }
}

/// A line in the making: tags first, then fields.
struct Point {
    text: String,
    has_field: bool,
    has_number: bool,
    not_finite: u64,
}

impl Point {
    fn new(measurement: &str) -> Self {
        Self {
            text: measurement.to_owned(),
            has_field: false,
            has_number: false,
            not_finite: 0,
        }
    }

    fn meter(self, tags: &SiteTags, meter: &Name) -> Self {
        let known = tags.meters.get(meter);
        let text = |text: Option<&String>| text.map_or(String::new(), String::clone);
        self.tag("site", &tags.site)
            .tag("area", &text(known.and_then(|tags| tags.area.as_ref())))
            .tag("machine", &text(known.and_then(|tags| tags.machine.as_ref())))
            .tag("meter", meter)
    }

    /// Adds a tag; line protocol has no empty tag, so that an empty value is left out.
    fn tag(mut self, key: &str, value: &str) -> Self {
        if !value.is_empty() {
            self.text.push(',');
            push_name(&mut self.text, key);
            self.text.push('=');
            push_name(&mut self.text, value);
        }
        self
    }

    fn number(&mut self, key: &str, value: Option<f64>) {
        match value {
            Some(value) if value.is_finite() => {
                self.begin_field(key);
                write!(self.text, "{value}").expect("writing into memory does not fail");
                self.has_number = true;
            }
            Some(_) => self.not_finite += 1,
            None => {}
        }
    }

    fn string(&mut self, key: &str, value: &str) {
        self.begin_field(key);
        self.text.push('"');
        for c in value.chars() {
            match c {
                '"' | '\\' => self.text.extend(['\\', c]),
                c if c.is_control() => self.text.push(' '),
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }

    fn begin_field(&mut self, key: &str) {
        self.text.push(if self.has_field { ',' } else { ' ' });
        self.has_field = true;
        self.text.push_str(key);
        self.text.push('=');
    }
}

/// Writes a tag's key or value. Line protocol cannot say a control character there, nor a backslash before a character
/// that is itself escaped or at the end: the first becomes a space, the second a slash.
fn push_name(text: &mut String, name: &str) {
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            ',' | '=' | ' ' => text.extend(['\\', c]),
            c if c.is_control() => text.push_str("\\ "),
            '\\' => {
                let is_read_as_written = rest
                    .peek()
                    .is_some_and(|next| !matches!(next, ',' | '=' | ' ' | '\\') && !next.is_control());
                text.push(if is_read_as_written { '\\' } else { '/' });
            }
            c => text.push(c),
        }
    }
}

/// Name and labels of a series written as in the Prometheus text format; what cannot be read so is the name.
fn parse_series(series: &str) -> (&str, Vec<(String, String)>) {
    let whole = (series, Vec::new());
    let Some((name, rest)) = series.split_once('{') else {
        return whole;
    };
    let Some(mut rest) = rest.strip_suffix('}') else {
        return whole;
    };
    let mut labels = Vec::new();
    while !rest.is_empty() {
        let Some((key, quoted)) = rest.split_once("=\"") else {
            return whole;
        };
        let Some((value, after)) = unquoted(quoted) else {
            return whole;
        };
        labels.push((key.to_owned(), value));
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    (name, labels)
}

/// The text up to the closing quote, its escapes undone, and what follows the quote.
fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    loop {
        match chars.next()? {
            (at, '"') => return Some((value, &quoted[at + 1..])),
            (_, '\\') => value.push(match chars.next()?.1 {
                'n' => '\n',
                c => c,
            }),
            (_, c) => value.push(c),
        }
    }
}
