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
            .tag("kind", finding.kind.name());
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
        // It may change while the finding lasts; as a tag that would begin a second series.
        point.string("severity", finding.severity.name());
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

#[cfg(test)]
mod tests {
    use energy::{
        Quantity, Reading,
        finding::{Kind, Money, Severity, Title},
    };
    use influxdb_line_protocol::{FieldValue, ParsedLine, parse_lines};
    use proptest::prelude::*;

    use super::*;

    fn at() -> Timestamp {
        "2026-08-28T08:10:00.250Z".parse().unwrap()
    }

    fn tags() -> SiteTags {
        let press = MeterTags {
            area: Some("hall 2".into()),
            machine: Some("press=2".into()),
        };
        SiteTags {
            site: "ansan-1".into(),
            meters: [("press-2".into(), press)].into(),
        }
    }

    fn entry() -> Entry {
        Entry {
            seq: 1,
            tick: None,
            samples: vec![],
            intervals: vec![],
            findings: vec![],
            health: vec![],
        }
    }

    fn sample(meter: &str, readings: Vec<Reading>) -> Entry {
        let sample = Sample {
            meter: meter.into(),
            at: at(),
            readings,
        };
        Entry {
            samples: vec![sample],
            ..entry()
        }
    }

    fn check(entry: &Entry, expected: &[&str]) -> Encoded {
        let encoded = encode(entry, &tags());
        let texts: Vec<&str> = encoded.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, expected);
        encoded
    }

    #[test]
    fn a_sample_is_one_line_with_its_worst_quality_and_without_what_is_bad() {
        let reading = |quantity, value, quality| Reading {
            quantity,
            value,
            quality,
        };
        let encoded = check(
            &sample(
                "press-2",
                vec![
                    reading(Quantity::ActivePower, 12.5, Quality::Ok),
                    reading(Quantity::EnergyImport, 1e15, Quality::Stale),
                    reading(Quantity::VoltageL1, 231.0, Quality::Bad),
                    reading(Quantity::Frequency, f64::NAN, Quality::Ok),
                ],
            ),
            &["power,site=ansan-1,area=hall\\ 2,machine=press\\=2,meter=press-2 \
               active_power_kw=12.5,energy_import_kwh=1000000000000000,quality=\"stale\" 1787904600250"],
        );
        assert_eq!((encoded.bad, encoded.not_finite), (1, 1));
        check(
            &sample("press-2", vec![reading(Quantity::ActivePower, 1.0, Quality::Bad)]),
            &[],
        );
        check(
            &sample("new", vec![Reading::new(Quantity::ActivePower, -0.5)]),
            &["power,site=ansan-1,meter=new active_power_kw=-0.5,quality=\"ok\" 1787904600250"],
        );
    }

    #[test]
    fn an_interval_stands_at_its_start_and_unknown_energy_is_absent() {
        let interval = Interval {
            meter: "press-2".into(),
            start: at(),
            end: at() + jiff::SignedDuration::from_mins(15),
            energy_import_kwh: Some(2.5),
            energy_export_kwh: None,
            reactive_energy_lag_kvarh: Some(0.25),
            reactive_energy_lead_kvarh: None,
            quality: Quality::Estimated,
            coverage: 0.75,
            revision: 2,
            raw: energy::interval::Raw::default(),
            repairs: vec![],
        };
        check(
            &Entry {
                intervals: vec![interval],
                ..entry()
            },
            &[
                "energy_interval,site=ansan-1,area=hall\\ 2,machine=press\\=2,meter=press-2 energy_import_kwh=2.5,\
             reactive_energy_lag_kvarh=0.25,coverage=0.75,duration_s=900,revision=2,quality=\"estimated\" 1787904600250",
            ],
        );
    }

    fn finding(title: &str) -> Finding {
        Finding {
            id: "idle_running.press-2.20260828T081000Z".into(),
            kind: Kind::IdleRunning,
            machine: "press-2".into(),
            meter: "m".into(),
            since: at(),
            detected_at: at() + jiff::SignedDuration::from_secs(1),
            until: None,
            state: Condition::Open,
            severity: Severity::P2,
            energy_kwh: Some(1.5),
            energy_kwh_low: None,
            energy_kwh_high: None,
            cost: Some(Money {
                amount: "162.34".parse().unwrap(),
                currency: "KRW".into(),
            }),
            cost_net: None,
            kgco2e: None,
            confidence: 1.0,
            why: BTreeMap::new(),
            title: Title {
                ko: title.into(),
                en: "x".into(),
            },
        }
    }

    #[test]
    fn a_finding_stands_at_the_data_time_of_its_transition() {
        let open = finding("놀고 \"있음\"\\\n");
        let closed = Finding {
            until: Some(at() + jiff::SignedDuration::from_secs(2)),
            state: Condition::Closed,
            ..open.clone()
        };
        let line = |state: &str, ms: &str| {
            format!(
                "finding,site=ansan-1,machine=press-2,meter=m,kind=idle_running energy_kwh=1.5,cost=162.34,\
                 confidence=1,id=\"idle_running.press-2.20260828T081000Z\",state=\"{state}\",severity=\"p2\",currency=\"KRW\",\
                 title_ko=\"놀고 \\\"있음\\\"\\\\ \",title_en=\"x\" {ms}"
            )
        };
        let (opened, ended) = (line("open", "1787904601250"), line("closed", "1787904602250"));
        check(
            &Entry {
                findings: vec![open, closed],
                ..entry()
            },
            &[&opened, &ended],
        );
    }

    #[test]
    fn a_finding_that_grows_worse_stays_one_series() {
        let open = finding("x");
        let worse = Finding {
            severity: Severity::P1,
            cost: None,
            ..open.clone()
        };
        let series = |finding: Finding| {
            let entry = Entry {
                findings: vec![finding],
                ..entry()
            };
            let text = encode(&entry, &tags()).lines.remove(0).text;
            let (series, fields) = text
                .split_once(' ')
                .map(|(series, fields)| (series.to_owned(), fields.to_owned()))
                .unwrap();
            (series, fields)
        };
        let ((before, mild), (after, severe)) = (series(open), series(worse));
        assert_eq!(before, after);
        assert!(
            mild.contains("severity=\"p2\"") && severe.contains("severity=\"p1\""),
            "{mild}\n{severe}"
        );
    }

    #[test]
    fn health_numbers_keep_their_labels_and_need_an_instant() {
        let health = |series: &str| (series.to_owned(), 3.0);
        let series = vec![
            health("polls_total{bus=\"a, \\\"b\\\"\",name=\"x\"}"),
            health("store_size_bytes"),
            health("broken{bus=\"a}"),
        ];
        let encoded = check(
            &Entry {
                health: series.clone(),
                ..entry()
            },
            &[],
        );
        assert_eq!(encoded.timeless, 3);
        check(
            &Entry {
                tick: Some(at()),
                health: series,
                ..entry()
            },
            &[
                "agent_health,site=ansan-1,name=polls_total,bus=a\\,\\ \"b\",label_name=x value=3 1787904600250",
                "agent_health,site=ansan-1,name=store_size_bytes value=3 1787904600250",
                "agent_health,site=ansan-1,name=broken{bus\\=\"a} value=3 1787904600250",
            ],
        );
    }

    /// What a name becomes where line protocol cannot say it.
    fn carried(name: &str) -> String {
        let plain: Vec<char> = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let next = |index: usize| plain.get(index + 1).copied().unwrap_or(' ');
        let slash = |index: usize| matches!(next(index), ',' | '=' | ' ' | '\\');
        let chars = plain.iter().enumerate();
        chars
            .map(|(index, &c)| if c == '\\' && slash(index) { '/' } else { c })
            .collect()
    }

    fn tag(line: &ParsedLine<'_>, key: &str) -> String {
        line.tag_value(key).map_or(String::new(), ToString::to_string)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn any_name_and_any_number_is_read_back_from_exactly_one_line(
            meter in any::<String>(),
            area in "[ ,=\\\\\"a가\n\t]{0,6}",
            value in any::<f64>(),
            title in any::<String>(),
        ) {
            let meters = [(Name::from(meter.as_str()), MeterTags { area: Some(area.clone()), machine: None })];
            let tags = SiteTags { site: "s".into(), meters: meters.into() };
            let reading = Reading { quantity: Quantity::ActivePower, value, quality: Quality::Ok };
            let entry = Entry { findings: vec![finding(&title)], ..sample(&meter, vec![reading]) };
            let encoded = encode(&entry, &tags);
            let texts: Vec<&str> = encoded.lines.iter().map(|line| line.text.as_str()).collect();
            let text = texts.join("\n");
            let lines: Vec<ParsedLine<'_>> = parse_lines(&text).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(lines.len(), 1 + usize::from(value.is_finite()));
            if value.is_finite() {
                prop_assert_eq!(tag(&lines[0], "meter"), carried(&meter));
                prop_assert_eq!(tag(&lines[0], "area"), carried(&area));
                prop_assert_eq!(lines[0].field_value("active_power_kw"), Some(&FieldValue::F64(value)));
            }
            let FieldValue::String(title_field) = lines.last().unwrap().field_value("title_ko").unwrap() else {
                panic!("a title is a string")
            };
            let plain: String = title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            prop_assert_eq!(title_field.as_str(), plain);
        }
    }
}
