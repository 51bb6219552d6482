//! What a `[[meter]]` on a broker, or its preset, takes from which messages: topics, their captures, JSON pointers, time.
//!
//! It reads no message. Invariants: a pattern stands for the meters that `each` lists and for no others; a meter has a
//! quantity once, whatever topic it comes under.

use std::collections::BTreeMap;

use energy::{both, finding::Title, quantity::Quantity};
use jiff::tz::TimeZone;
use toml::{Spanned, de::DeValue};

use super::{
    diagnostic::Code,
    points,
    read::{self, At, File, Table},
    site,
};
use crate::acquire::mqtt::{Array, SparkplugMeter, TimePointer, TopicMeter, Value};

const ARRAYS: &[(&str, Array)] = &[("sum", Array::Sum), ("first", Array::First), ("absent", Array::Absent)];

/// A value of a preset or meter, and the topic it comes under where that is not the meter's own.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Written {
    /// Levels below the meter's topic; empty = the topic itself.
    pub topic: String,
    /// What stands there.
    pub value: Value,
}

/// Payloads of a meter: what its preset brings, or what is written by hand.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Payloads {
    /// Values.
    pub values: Vec<Written>,
    /// Time in the payload.
    pub time: Option<TimePointer>,
    /// Messages may have none of the values.
    pub is_partial: bool,
    /// The time in the payload names no zone.
    pub is_local_time: bool,
}

impl Payloads {
    /// Reads the keys `values`, `time` and `partial`.
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        Self {
            values: values(table),
            time: time(table),
            is_partial: table.flag("partial").unwrap_or(false),
            is_local_time: table.flag("local_time").unwrap_or(false),
        }
    }

    /// A preset's, with what the meter itself says of it.
    #[must_use]
    pub(super) fn with(mut self, own: Self) -> Self {
        self.time = own.time.or(self.time);
        self.is_partial |= own.is_partial;
        self.is_local_time |= own.is_local_time;
        self
    }

    /// With the zone of a time that names none.
    #[must_use]
    pub(super) fn in_zone(mut self, zone: Option<At<TimeZone>>, file: &File) -> Self {
        match (&mut self.time, zone) {
            (Some(time), Some(zone)) => time.zone = Some(zone.into_inner()),
            (None, Some(zone)) => {
                let message = both!(
                    "\"zone\" 키는 메시지 속 시각의 시간대인데, 그 시각의 위치를 정하는 \"time\" 키가 없습니다",
                    "\"zone\" is of a time in the payload, but no \"time\" says where that stands"
                );
                file.report(Code::NoEffect, zone.span(), message);
            }
            (_, None) => {}
        }
        self
    }
}

/// The key `zone`: of a payload's time that names none.
pub(super) fn zone(table: &mut Table<'_>) -> Option<At<TimeZone>> {
    table.parsed("zone", site::zone)
}

/// The table `values`: JSON pointer → quantity.
fn values(table: &mut Table<'_>) -> Vec<Written> {
    let file = table.file();
    let Some(entries) = table.table("values") else {
        return vec![];
    };
    let mut seen = vec![];
    let mut values = vec![];
    for (key, item) in entries.entries() {
        let (topic, pointer) = place(key.get_ref());
        check_pointer(file, &Spanned::new(key.span(), pointer));
        if topic.contains('+') {
            let message = both!(
                "{topic:?}은(는) 계측기의 토픽 뒤에 올 수 없습니다. 단계를 모두 풀어 쓰십시오",
                "{topic:?} cannot be what follows a meter's topic: write the levels out"
            );
            file.report(Code::BadValue, key.span(), message);
        }
        if let Some(value) = value(file, pointer, item) {
            points::once(file, item.span(), &mut seen, value.quantity);
            let topic = topic.to_owned();
            values.push(Written { topic, value });
        }
    }
    values
}

/// `TOPIC#POINTER` in its parts; a pointer alone has no topic.
fn place(key: &str) -> (&str, &str) {
    match key.split_once('#') {
        Some((topic, pointer)) if !key.starts_with('/') => (topic.trim_matches('/'), pointer),
        _ => ("", key),
    }
}

fn check_pointer(file: &File, pointer: &At<&str>) {
    let text = pointer.get_ref();
    if !text.is_empty() && !text.starts_with('/') {
        let message = both!(
            "{text:?}은(는) JSON 포인터가 아닙니다. \"/\" 글자로 시작하거나, 메시지 전체를 뜻하는 \"\"여야 합니다",
            "{text:?} is not a JSON pointer: it begins with \"/\", or is \"\" for the whole payload"
        );
        let help = Some(both!("\"/{}\"처럼 쓰십시오", "write \"/{}\"", text.replace('.', "/")));
        file.report_with(Code::BadValue, pointer.span(), message, help);
    }
}

/// `"active_power_kw"`, or `{ quantity = "active_power_kw", scale = 0.001, offset = 0, array = "sum" }`.
pub(super) fn value(file: &File, pointer: &str, item: &Spanned<DeValue<'_>>) -> Option<Value> {
    let (quantity, scale, offset, array): (At<Quantity>, _, _, _) = if let DeValue::String(text) = item.get_ref() {
        let name = Spanned::new(item.span(), text.as_ref());
        (points::live_quantity(file, &name)?, None, None, None)
    } else {
        let mut table = read::table(file, both!("값", "the value"), pointer, item)?;
        let quantity = points::quantity(&mut table);
        let scale = points::scale(&mut table);
        let offset = table.number("offset").map(Spanned::into_inner);
        let array = table.choice("array", ARRAYS).map(Spanned::into_inner);
        table.finish();
        (quantity?, scale, offset, array)
    };
    Some(Value {
        pointer: pointer.to_owned(),
        quantity: quantity.into_inner(),
        scale: scale.unwrap_or(1.0),
        offset: offset.unwrap_or(0.0),
        array: array.unwrap_or_default(),
    })
}

/// The key `time` of a meter or preset: a JSON pointer to the time of measuring.
fn time(table: &mut Table<'_>) -> Option<TimePointer> {
    let pointer = table.text("time")?;
    check_pointer(table.file(), &pointer);
    Some(TimePointer {
        pointer: (*pointer.get_ref()).to_owned(),
        zone: None,
    })
}

/// What a pattern's captures hold for one of the meters it stands for.
#[derive(Debug)]
pub(super) struct Captures<'a> {
    held: Vec<(&'a str, &'a str)>,
}

/// The list `each` of a meter: one entry a meter that it stands for; one without captures where it is not written.
pub(super) fn each<'a>(table: &mut Table<'a>) -> Vec<Captures<'a>> {
    let file = table.file();
    if !table.has("each") {
        return vec![Captures { held: vec![] }];
    }
    let items = table.list("each");
    if items.is_empty() {
        let title = table.title();
        let message = both!(
            [title],
            "{title}에 해당하는 계측기가 없습니다. \"each\" 목록이 비어 있습니다",
            "{title} stands for no meter: \"each\" is empty"
        );
        file.report(Code::BadValue, table.span(), message);
    }
    let one = |item: &'a Spanned<DeValue<'a>>| {
        let entries = read::table(file, both!("\"each\" 항목", "the entry of \"each\""), "each", item)?;
        let held = entries.entries().filter_map(|(key, value)| {
            let text = read::text(file, key.get_ref(), value)?;
            if text.get_ref().is_empty() || text.get_ref().contains(['/', '+', '#', '{', '}']) {
                let message = both!(
                    "{:?}은(는) 토픽의 한 단계가 아닙니다",
                    "{:?} is not one level of a topic",
                    text.get_ref()
                );
                file.report(Code::BadValue, text.span(), message);
            }
            Some((*key.get_ref(), *text.get_ref()))
        });
        Some(Captures { held: held.collect() })
    };
    items.into_iter().filter_map(one).collect()
}

impl Captures<'_> {
    /// `text` with what they hold in their places.
    pub(super) fn fill(&self, text: &str) -> String {
        let fill = |text: String, (name, held): &(&str, &str)| text.replace(&format!("{{{name}}}"), held);
        self.held.iter().fold(text.to_owned(), fill)
    }

    /// As [`Self::fill`], of a text in which no capture may be left over.
    pub(super) fn filled(&self, file: &File, what: &Title, text: &At<&str>) -> At<String> {
        let filled = self.fill(text.get_ref());
        if let Some(open) = filled.find('{').filter(|_| filled.contains('}')) {
            let left: String = filled[open..].chars().take_while(|c| *c != '}').chain(['}']).collect();
            let message = both!(
                [what],
                "{what}에 {left}이(가) 있는데 무엇을 뜻하는지 적혀 있지 않습니다",
                "the {what} has {left}, and nothing says what that stands for"
            );
            let name = left.trim_matches(['{', '}']);
            let help = both!(
                "계측기를 나열하십시오: each = [{{ {name} = \"…\" }}, …]",
                "list the meters: each = [{{ {name} = \"…\" }}, …]"
            );
            file.report_with(Code::BadValue, text.span(), message, Some(help));
        }
        Spanned::new(text.span(), filled)
    }

    /// The filter for all meters of a pattern: `+` where a capture is a whole level.
    fn subscription(&self, pattern: &str) -> String {
        let is_capture = |level: &str| self.held.iter().any(|(name, _)| level == format!("{{{name}}}"));
        let level = |level| {
            if is_capture(level) {
                "+".into()
            } else {
                self.fill(level)
            }
        };
        pattern.split('/').map(level).collect::<Vec<String>>().join("/")
    }

    /// What meter `name` takes from the messages under `pattern`, one part a topic.
    pub(super) fn topic_meters(&self, name: &str, pattern: &str, payloads: &Payloads) -> Vec<TopicMeter> {
        let mut by_topic: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for Written { topic, value } in &payloads.values {
            let mut value = value.clone();
            value.pointer = self.fill(&value.pointer);
            by_topic.entry(topic).or_default().push(value);
        }
        let one = |(below, values): (&str, Vec<Value>)| {
            let pattern = match below {
                "" => pattern.to_owned(),
                below => format!("{pattern}/{below}"),
            };
            TopicMeter {
                name: name.into(),
                topic: self.fill(&pattern),
                subscription: self.subscription(&pattern),
                values,
                time: payloads.time.clone().map(|time| TimePointer {
                    pointer: self.fill(&time.pointer),
                    ..time
                }),
                is_partial: payloads.is_partial,
            }
        };
        by_topic.into_iter().map(one).collect()
    }
}

/// The meters of one `[[meter]]` behind a Sparkplug edge node: `sparkplug` = `GROUP/NODE/DEVICE`, and `metrics`.
pub(super) fn sparkplug_meters<'c>(
    table: &mut Table<'_>,
    meters: impl Iterator<Item = (&'c str, &'c Captures<'c>)>,
    each: &[Captures<'_>],
) -> Vec<SparkplugMeter> {
    let file = table.file();
    let address = table.text("sparkplug");
    let Some(entries) = table.table("metrics") else {
        table.required("metrics", None::<()>);
        return vec![];
    };
    let mut seen = vec![];
    let mut values = vec![];
    for (metric, item) in entries.entries() {
        if let Some(value) = value(file, metric.get_ref(), item) {
            points::once(file, item.span(), &mut seen, value.quantity);
            values.push(value);
        }
    }
    let Some(address) = address else { return vec![] };
    for captures in each {
        let filled = captures.filled(file, &both!("주소", "address"), &address);
        let levels: Vec<&str> = filled.get_ref().split('/').collect();
        let is_address = (2..=3).contains(&levels.len())
            && levels
                .iter()
                .all(|level| !level.is_empty() && !level.contains(['+', '#', '\0']));
        if !is_address {
            let message = both!(
                "{:?}은(는) Sparkplug 기기의 주소가 아닙니다",
                "{:?} is not the address of a Sparkplug device",
                filled.get_ref()
            );
            let help = both!(
                "GROUP/NODE/DEVICE로 쓰고, 엣지 노드 자신의 값이면 GROUP/NODE로 쓰십시오",
                "write GROUP/NODE/DEVICE, or GROUP/NODE for what the edge node says of itself"
            );
            file.report_with(Code::BadValue, address.span(), message, Some(help));
        }
    }
    let one = |(name, captures): (&str, &Captures<'_>)| {
        let filled = captures.fill(address.get_ref());
        let mut levels = filled.splitn(3, '/').map(str::to_owned);
        let mut values = values.clone();
        for value in &mut values {
            value.pointer = captures.fill(&value.pointer);
        }
        Some(SparkplugMeter {
            name: name.into(),
            group: levels.next()?,
            node: levels.next()?,
            device: levels.next().unwrap_or_default(),
            values,
        })
    };
    meters.filter_map(one).collect()
}

/// Reports a topic that is none, and captures that stand for nothing.
pub(super) fn check_topic(file: &File, captures: &Captures<'_>, topic: &At<&str>, payloads: &Payloads) {
    let topic = &captures.filled(file, &both!("토픽", "topic"), topic);
    let text = topic.get_ref();
    for Written { topic: below, value } in &payloads.values {
        for (what, text) in [
            (both!("값의 토픽", "topic of a value"), below),
            (both!("값의 포인터", "pointer of a value"), &value.pointer),
        ] {
            captures.filled(file, &what, &Spanned::new(topic.span(), text.as_str()));
        }
    }
    if !is_filter(text) {
        let message = both!(
            "{text:?}은(는) 토픽도 아니고, +와 #을 제자리에 쓴 필터도 아닙니다",
            "{text:?} is not a topic, nor a filter with + or # in their places"
        );
        file.report(Code::BadValue, topic.span(), message);
    } else if text.ends_with('#') && payloads.values.iter().any(|written| !written.topic.is_empty()) {
        let message = both!(
            "{text:?}은(는) #으로 끝나는데 그 아래 토픽에서 오는 값이 있습니다",
            "{text:?} ends with #, but some values come under topics below it"
        );
        let help = both!("그 토픽들의 앞부분을 쓰십시오", "write the topic that these begin with");
        file.report_with(Code::BadValue, topic.span(), message, Some(help));
    } else if text.ends_with('#') || text.split('/').any(|level| level == "+") {
        let message = both!(
            "{text:?}은(는) 필터에 맞는 모든 토픽의 값을 이 계측기 하나의 값으로 받습니다",
            "{text:?} takes what every matching topic says for this one meter"
        );
        let help = both!(
            "+ 자리에 {{machine}} 같은 이름을 쓰고 each에 계측기를 나열하십시오",
            "write a capture in place of +, as {{machine}}, and list the meters with each"
        );
        file.report_with(Code::ManyInOne, topic.span(), message, Some(help));
    }
    if payloads.is_local_time && payloads.time.as_ref().is_some_and(|time| time.zone.is_none()) {
        let message = both!(
            "기기가 시간대 없이 지역 시각을 보냅니다. 늦게 온 값에는 받은 시각이 붙게 됩니다",
            "the device says local times without a zone: what comes late would be stamped when it arrives"
        );
        let help = both!(
            "zone = \"Asia/Seoul\"처럼 기기 시계가 맞춰진 시간대를 쓰십시오",
            "write zone = \"Asia/Seoul\", or the zone that the device's clock is set to"
        );
        file.report_with(Code::NoZone, topic.span(), message, Some(help));
    }
}

/// A topic, or a filter: `+` is a whole level, `#` the whole last one.
fn is_filter(topic: &str) -> bool {
    let levels: Vec<&str> = topic.split('/').collect();
    let is_level = |(index, level): (usize, &&str)| match *level {
        "#" => index + 1 == levels.len(),
        "+" => true,
        level => !level.contains(['#', '+', '\0']),
    };
    !topic.is_empty() && levels.iter().enumerate().all(is_level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        diagnostic::{Source, messages},
        read::Problems,
    };

    /// Topics, subscriptions and pointers that a meter's text leads to, or what is reported.
    fn check(text: &str, expected: &[&str]) {
        let file = File {
            source: Source::new("t", text),
            problems: Problems::default(),
        };
        let parsed = read::parse(&file).unwrap();
        let mut table = Table::new(&file, both!("파일", "the meter"), &parsed);
        let payloads = Payloads::read(&mut table);
        let topic = table.text("topic").unwrap();
        let mut found = vec![];
        for captures in each(&mut table) {
            check_topic(&file, &captures, &topic, &payloads);
            for one in captures.topic_meters("m", topic.get_ref(), &payloads) {
                let pointers: Vec<String> = one.values.into_iter().map(|value| value.pointer).collect();
                found.push(format!("{} by {}: {}", one.topic, one.subscription, pointers.join(" ")));
            }
        }
        let problems = file.problems.take();
        if !problems.is_empty() {
            found = messages(problems);
        }
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn captures_stand_for_the_meters_that_each_lists() {
        check(
            "topic = 'plant/{area}/{machine}/power'\nvalues = { '' = 'active_power_kw' }\n\
             each = [{ area = 'h1', machine = 'press' }, { area = 'h2', machine = 'dryer' }]",
            &[
                "plant/h1/press/power by plant/+/+/power: ",
                "plant/h2/dryer/power by plant/+/+/power: ",
            ],
        );
        check(
            "topic = 'plant/em-{n}/all'\nvalues = { '/m/id={n}/kw' = 'active_power_kw' }\neach = [{ n = '7' }]",
            &["plant/em-7/all by plant/em-7/all: /m/id=7/kw"],
        );
        check(
            "topic = 'plant/{area}'\nvalues = { '' = 'active_power_kw' }\neach = [{ are = 'h1' }]",
            &["the topic has {area}, and nothing says what that stands for"],
        );
        check(
            "topic = 'plant/{area}'\nvalues = { '' = 'active_power_kw' }\neach = [{ area = 'h1/x' }]",
            &["\"h1/x\" is not one level of a topic"],
        );
        check(
            "topic = 'p'\nvalues = { '/{n}' = 'active_power_kw' }",
            &["the pointer of a value has {n}, and nothing says what that stands for"],
        );
        check(
            "topic = 'p'\nvalues = { '' = 'active_power_kw' }\neach = []",
            &["the meter stands for no meter: \"each\" is empty"],
        );
    }

    #[test]
    fn values_under_several_topics_are_taken_from_each() {
        check(
            "topic = 's/em'\nvalues = { 'emeter/0/power#' = 'active_power_l1_kw', 'emeter/1/power#' = 'active_power_l2_kw', \
             '/t' = 'temperature_c', '#/h' = 'humidity_pct' }",
            &[
                "s/em by s/em: /h /t",
                "s/em/emeter/0/power by s/em/emeter/0/power: ",
                "s/em/emeter/1/power by s/em/emeter/1/power: ",
            ],
        );
        check(
            "topic = 's/#'\nvalues = { 'power#' = 'active_power_kw' }",
            &["\"s/#\" ends with #, but some values come under topics below it"],
        );
        check(
            "topic = 's'\nvalues = { '/a#b' = 'active_power_kw' }",
            &["s by s: /a#b"],
        );
        check(
            "topic = 's'\nvalues = { 'power#p' = 'active_power_kw', '+/x#' = 'frequency_hz', '/q' = 'active_power_kw' }",
            &[
                "\"p\" is not a JSON pointer: it begins with \"/\", or is \"\" for the whole payload",
                "this meter has active_power_kw twice",
                "\"+/x\" cannot be what follows a meter's topic: write the levels out",
            ],
        );
    }

    #[test]
    fn a_value_may_say_what_to_make_of_it() {
        let item = "values = { '/p' = { quantity = 'active_power_kw', scale = 0.001, offset = 1, array = 'sum' } }\ntopic = 'p'";
        check(item, &["p by p: /p"]);
        check(
            "values = { '/p' = { quantity = 'active_power_kw', array = 'mean' } }\ntopic = 'p'",
            &["\"array\" cannot be \"mean\""],
        );
    }
}
