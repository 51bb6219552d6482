//! `[[meter]]`: how each meter is read, and what holds between it and its line.
//!
//! Buses are read in `bus.rs`, brokers in `broker.rs`, registers in `registers.rs`, payloads in `payload.rs`. Invariant: a
//! meter hangs on a bus, on a broker or on neither (then recordings feed it), never on two.

use std::{collections::BTreeMap, time::Duration};

use energy::{both, quantity::Quantity, site::Meter};
use jiff::SignedDuration;

use super::{
    Context, broker, bus,
    data::Folder,
    diagnostic::Code,
    meter_card,
    names::Names,
    payload::{self, Payloads},
    points,
    profile::{self, OwnLimits, Profile},
    read::{At, File, Table},
    registers, units,
};
use crate::acquire::{
    modbus::{
        self, ConfigError, MeterPoints,
        budget::{TooMuch, budget},
        plan::Plan,
    },
    mqtt,
};

/// How often an MQTT meter, or one fed by recordings, is expected to speak when the file does not say.
const USUAL_EVERY: Duration = Duration::from_mins(1);
/// All lines and meters.
#[derive(Debug)]
pub(super) struct Lines {
    /// Modbus lines with their meters.
    pub buses: Vec<modbus::Config>,
    /// Brokers with their meters.
    pub brokers: Vec<mqtt::Config>,
    /// Meters as the engine knows them.
    pub meters: Vec<Meter>,
    /// Names of the meters.
    pub meter_names: Names,
    bus_names: Names,
    /// What the meters of a bus inherit.
    bus_limits: BTreeMap<String, OwnLimits>,
    pub(super) broker_names: Names,
    /// Where a broker is written, for the warning that it throttles.
    pub(super) broker_spans: BTreeMap<String, std::ops::Range<usize>>,
    /// Meter → the one above it, and where that is written.
    parents: BTreeMap<String, (String, std::ops::Range<usize>)>,
}

/// Reads all of them.
pub(super) fn lines<'a>(context: &Context<'a>, root: &mut Table<'a>) -> Lines {
    let mut lines = Lines {
        buses: vec![],
        brokers: vec![],
        meters: vec![],
        meter_names: Names::new(both!("계측기", "meter")),
        bus_names: Names::new(both!("회선", "bus")),
        bus_limits: BTreeMap::new(),
        broker_names: Names::new(both!("브로커", "broker")),
        broker_spans: BTreeMap::new(),
        parents: BTreeMap::new(),
    };
    for table in root.tables("bus") {
        if let Some((bus, limits)) = bus::bus(context, table, &mut lines.bus_names) {
            lines.bus_limits.insert(bus.name.clone(), limits);
            lines.buses.push(bus);
        }
    }
    for table in root.tables("broker") {
        broker::broker(context, table, &mut lines);
    }
    for table in root.tables("meter") {
        meter(context, table, &mut lines);
    }
    meter_card::check_tree(context.file, &lines.meter_names, &lines.parents);
    // The bus's own check knows more than single registers; after an error it would only repeat it.
    if context.file.problems.n_errors() == 0 {
        lines.check_buses(context);
    }
    lines
}

/// The required key `name`, taken into `names` and into the table's title.
pub(super) fn name<'a>(table: &mut Table<'a>, names: &mut Names) -> Option<At<&'a str>> {
    let name = table.text("name");
    let name = table.required("name", name)?;
    table.call(name.get_ref());
    names.declare(table.file(), &name);
    Some(name)
}

/// A duration between two bounds.
pub(super) fn within(table: &mut Table<'_>, key: &'static str, least: Duration, most: Duration) -> Option<Duration> {
    let value = table.parsed(key, units::duration)?;
    if !(least..=most).contains(value.get_ref()) {
        let message = both!(
            "{key:?} 값이 {:?}입니다. {least:?}에서 {most:?} 사이여야 합니다",
            "{key:?} is {:?}: it must be {least:?} to {most:?}",
            value.get_ref()
        );
        table.file().report(Code::BadValue, value.span(), message);
        return None;
    }
    Some(value.into_inner())
}

/// `HOST`, `HOST:PORT` or `[IPV6]:PORT`.
pub(super) fn host_and_port(text: &str, usual: u16) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (
                host,
                if port.is_empty() {
                    None
                } else {
                    Some(port.strip_prefix(':')?)
                },
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_host = |c: char| c.is_alphanumeric() || ['-', '.', '_', ':'].contains(&c);
    let port = port.map_or(Some(usual), |port| port.parse().ok().filter(|port| *port != 0))?;
    (!host.is_empty() && host.chars().all(is_host)).then(|| (host.to_owned(), port))
}

fn meter<'a>(context: &Context<'a>, mut table: Table<'a>, lines: &mut Lines) {
    let written = table.text("name");
    let written = table.required("name", written);
    if let Some(name) = &written {
        table.call(name.get_ref());
    }
    let each = payload::each(&mut table);
    let filled = |name: At<&str>| {
        each.iter()
            .map(|one| one.filled(context.file, &both!("이름", "name"), &name))
            .collect()
    };
    let names: Vec<At<String>> = written.map(filled).unwrap_or_default();
    for name in &names {
        lines.meter_names.declare(context.file, &borrowed(name));
    }
    let area = table.text("area");
    let own_every = points::every(&mut table);
    let own = meter_card::own(&mut table);
    let bus = table.text("bus");
    let broker = table.text("broker");
    contradictions(context, &table, bus.as_ref(), broker.as_ref());
    let every = match (&bus, &broker) {
        (Some(bus), _) => on_bus(context, &mut table, bus, names.first(), lines),
        (None, Some(broker)) => {
            broker::meters(context, &mut table, broker, (&names, &each), lines);
            None
        }
        (None, None) => None,
    };
    table.finish();
    let every = own_every.or(every).unwrap_or(USUAL_EVERY);
    for (name, captures) in names.iter().zip(&each) {
        let name = name.get_ref();
        if let Some(parent) = &own.parent {
            let above = ((*parent.get_ref()).to_owned(), parent.span());
            lines.parents.insert(name.clone(), above);
        }
        let every = SignedDuration::try_from(every).unwrap_or(SignedDuration::MAX);
        let mut meter = Meter::new(name.as_str().into(), every);
        let area = area.as_ref();
        meter.area = area.map(|area| captures.filled(context.file, &both!("구역", "area"), area).into_inner());
        meter.slower = slower(lines, name, every);
        own.clone().fill(&mut meter, lines.points(name));
        lines.meters.push(meter);
    }
}

/// Refuses a bus that cannot give what is asked of it, and says what it can.
fn refuse_too_much(file: &File, bus: &modbus::Config, error: TooMuch, place: std::ops::Range<usize>) {
    let why = error.text();
    let message = both!([why], "회선 {:?}: {why}", "bus {:?}: {why}", bus.name);
    let mut points = bus.meters.iter().flat_map(|meter| &meter.points);
    let has_own_period = points.any(|point| point.every.is_some());
    let met = error.can_be_met;
    let help = if has_own_period {
        both!(
            [met],
            "{met}. 프로파일에 적힌 주기는 이 파일 옆 meters/ 폴더에 둔 사본에서 늘립니다",
            "{met}; periods of a profile's own are lengthened in a copy of it, in meters/ beside this file"
        )
    } else {
        met
    };
    file.report_with(Code::BusTooSlow, place, message, Some(help));
}

/// Warns where slow values, whenever they fall due, push out a beat of fast ones.
fn warn_of_crowding(file: &File, bus: &modbus::Config, plan: &Plan, place: std::ops::Range<usize>) {
    let budget = budget(bus, plan);
    if budget.is_crowded() {
        let message = both!(
            "회선 {:?}: 모두 겹칠 때 한 번 도는 데 {:.2?} 걸립니다. 그동안 지나간 주기는 건너뜁니다",
            "bus {:?}: when everything falls due together, a cycle takes {:.2?}: beats that pass meanwhile are left out",
            bus.name,
            budget.longest_cycle()
        );
        let help = both!(
            "느린 값을 더 드물게 읽거나 별도 회선에서 읽으십시오",
            "read slow values less often, or from a bus of their own"
        );
        file.report_with(Code::BusCrowded, place, message, Some(help));
    }
}

fn borrowed(name: &At<String>) -> At<&str> {
    toml::Spanned::new(name.span(), name.get_ref().as_str())
}

fn contradictions(context: &Context<'_>, table: &Table<'_>, bus: Option<&At<&str>>, broker: Option<&At<&str>>) {
    let file = context.file;
    if let (Some(_), Some(broker)) = (bus, broker) {
        let title = table.title();
        let message = both!(
            [title],
            "{title}은(는) 회선과 브로커에 함께 연결할 수 없습니다",
            "{title} cannot hang on a bus and on a broker"
        );
        let help = both!(
            "둘 중 하나를 지우십시오. 다른 방법으로도 재려면 [[meter]]를 따로 쓰십시오",
            "leave one of the two out; a second way of measuring is a [[meter]] of its own"
        );
        file.report_with(Code::Contradiction, broker.span(), message, Some(help));
    } else if table.has("each") && broker.is_none() {
        let title = table.title();
        let message = both!(
            [title],
            "{title}에 \"each\" 키가 있지만 이 키는 브로커의 토픽에만 씁니다",
            "{title} has \"each\", which is for topics of a broker"
        );
        let help = both!(
            "계측기마다 [[meter]]를 하나씩 쓰십시오",
            "write a [[meter]] for each of them"
        );
        file.report_with(Code::Contradiction, table.span(), message, Some(help));
    }
}

/// Quantities of a meter that are read less often than `every`, and how often.
fn slower(lines: &Lines, meter: &str, every: SignedDuration) -> BTreeMap<Quantity, SignedDuration> {
    let on_buses = lines
        .buses
        .iter()
        .flat_map(|bus| bus.meters.iter().map(move |points| (bus, points)));
    let own = on_buses.filter(|(_, points)| *points.name == *meter);
    own.flat_map(|(bus, points)| {
        points
            .points
            .iter()
            .map(|point| (point.quantity, point.every.unwrap_or(bus.every)))
    })
    .filter_map(|(quantity, own)| Some((quantity, SignedDuration::try_from(own).ok()?)))
    .filter(|(_, own)| *own > every)
    .collect()
}

/// Hangs a meter on its bus; gives the period in which it speaks.
fn on_bus(
    context: &Context<'_>,
    table: &mut Table<'_>,
    line: &At<&str>,
    name: Option<&At<String>>,
    lines: &mut Lines,
) -> Option<Duration> {
    let unit = unit(table);
    let profile = either_profile(context, table, "registers")?;
    let limits = OwnLimits::read(table).or(&profile.limits);
    if !lines.bus_names.find(context.file, line) {
        return None;
    }
    let limits = match lines.bus_limits.get(*line.get_ref()) {
        Some(inherited) => limits.or(inherited),
        None => limits,
    };
    let bus = lines.buses.iter_mut().find(|bus| bus.name == *line.get_ref())?;
    let every = profile
        .points
        .iter()
        .map(|point| point.every.unwrap_or(bus.every))
        .min();
    bus.meters.push(MeterPoints {
        name: name?.get_ref().as_str().into(),
        unit: unit?,
        points: profile.points,
        limits: limits.filled(),
    });
    every
}

fn unit(table: &mut Table<'_>) -> Option<u8> {
    // 0 is the broadcast address: no device answers to it.
    let unit = table.integer("unit", 1..=255);
    table.required("unit", unit).map(|unit| unit.into_inner() as u8)
}

/// What is read: from a profile, or written by hand under `by_hand` (`registers` or `values`).
pub(super) fn either_profile(context: &Context<'_>, table: &mut Table<'_>, by_hand: &'static str) -> Option<Profile> {
    let file = context.file;
    let profile_key = if by_hand == "values" { "preset" } else { "profile" };
    let profile = table.text(profile_key);
    let own = Profile {
        points: if by_hand == "registers" {
            registers::all(table)
        } else {
            vec![]
        },
        payloads: if by_hand == "values" {
            Payloads::read(table)
        } else {
            Payloads::default()
        },
        ..Profile::default()
    };
    let is_by_hand = table.has(by_hand) || by_hand == "registers" && registers::are_in(table);
    match (profile, is_by_hand) {
        (Some(name), false) => {
            let mut profile = from_file(context, &name, by_hand)?;
            profile.payloads = profile.payloads.with(own.payloads);
            Some(profile)
        }
        (Some(name), true) => {
            let title = table.title();
            let message = both!(
                [title],
                "{title}에 {profile_key:?} 키와 {by_hand:?} 키가 함께 있습니다. 하나만 쓰십시오",
                "{title} has {profile_key:?} and {by_hand:?}: one of them is enough"
            );
            file.report(Code::Contradiction, name.span(), message);
            None
        }
        (None, true) => Some(own),
        (None, false) => {
            if !table.has(profile_key) {
                let title = table.title();
                let message = both!(
                    [title],
                    "{title}에 {profile_key:?} 키도 {by_hand:?} 키도 없습니다",
                    "{title} says neither {profile_key:?} nor {by_hand:?}"
                );
                file.report(Code::MissingKey, table.span(), message);
            }
            None
        }
    }
}

/// The profile of a name, which must have what a meter takes from it.
fn from_file(context: &Context<'_>, name: &At<&str>, by_hand: &str) -> Option<Profile> {
    let file = context.file;
    let profile = profile::profile(&context.data.find(Folder::Meters, name, file)?)?;
    let is_empty = if by_hand == "values" {
        profile.payloads.values.is_empty()
    } else {
        profile.points.is_empty()
    };
    if is_empty {
        let message = both!(
            "프로파일 {:?}에 {by_hand}이(가) 없습니다",
            "profile {:?} has no {by_hand}",
            name.get_ref()
        );
        file.report(Code::UnknownDataFile, name.span(), message);
        return None;
    }
    if !profile.is_verified {
        let message = both!(
            "프로파일 {:?}은(는) 기기나 제조사 문서와 대조한 적이 없습니다",
            "nobody has compared profile {:?} with a device or the maker's document",
            name.get_ref()
        );
        let help = both!(
            "처음 읽은 값을 계측기 표시창과 비교한 뒤 사본에 verified = true로 적으십시오",
            "compare the first readings with the meter's display, then set verified = true in a copy"
        );
        file.report_with(Code::Unverified, name.span(), message, Some(help));
    }
    Some(profile)
}

impl Lines {
    /// Refuses reads that cannot be, and buses that cannot give what is asked of them.
    fn check_buses(&self, context: &Context<'_>) {
        let file = context.file;
        self.warn_of_doubles(file);
        for bus in &self.buses {
            let on_bus = self.bus_names.place(&bus.name).unwrap_or(0..0);
            match modbus::check(bus) {
                Ok(plan) => warn_of_crowding(file, bus, &plan, on_bus),
                Err(ConfigError::TooMuch { error, .. }) => refuse_too_much(file, bus, error, on_bus),
                Err(ConfigError::Plan { error, .. }) => {
                    let place = self.meter_names.place(error.meter()).unwrap_or(on_bus);
                    file.report(Code::BadRegister, place, error.text());
                }
                Err(error) => file.report(Code::BadValue, on_bus, error.text()),
            }
        }
    }

    /// A copied block whose address was left as it was counts one load twice, or fights over one line.
    fn warn_of_doubles(&self, file: &File) {
        for (nth, bus) in self.buses.iter().enumerate() {
            let is_same = |other: &&modbus::Config| other.transport.place() == bus.transport.place();
            if let Some(other) = self.buses[..nth].iter().find(is_same) {
                let (code, why) = match bus.transport {
                    modbus::Transport::Rtu { .. } => (
                        Code::Contradiction,
                        both!("둘 중 하나만 열 수 있습니다", "only one of them can open it"),
                    ),
                    _ => (
                        Code::ReadTwice,
                        both!(
                            "게이트웨이와 계측기는 연결을 하나만 받는 것이 많습니다",
                            "many gateways and meters serve one connection only"
                        ),
                    ),
                };
                let message = both!(
                    [why],
                    "회선 {:?}의 주소가 회선 {:?}의 주소와 같습니다. {why}",
                    "bus {:?} is on the same line as {:?}: {why}",
                    bus.name,
                    other.name
                );
                let help = both!("계측기를 [[bus]] 하나에 모으십시오", "hang its meters on one [[bus]]");
                file.report_with(
                    code,
                    self.bus_names.place(&bus.name).unwrap_or(0..0),
                    message,
                    Some(help),
                );
            }
            for (nth, meter) in bus.meters.iter().enumerate() {
                let is_same = |other: &&MeterPoints| other.unit == meter.unit && other.points == meter.points;
                if let Some(other) = bus.meters[..nth].iter().find(is_same) {
                    let message = both!(
                        "계측기 {:?}이(가) 국번 {}에서 계측기 {:?}과(와) 같은 레지스터를 읽습니다. 같은 부하를 두 번 세게 됩니다",
                        "meter {:?} reads the same registers of unit {} as {:?}: one load is counted twice",
                        &*meter.name,
                        meter.unit,
                        &*other.name
                    );
                    let help = both!(
                        "계측기마다 기기에 설정된 국번을 unit에 쓰십시오",
                        "give each meter the unit that is set at the device"
                    );
                    let place = self.meter_names.place(&meter.name).unwrap_or(0..0);
                    file.report_with(Code::ReadTwice, place, message, Some(help));
                }
            }
        }
    }

    /// Registers of a meter; none of one that hangs on no bus.
    fn points(&self, meter: &str) -> &[modbus::Point] {
        let mut on_buses = self.buses.iter().flat_map(|bus| &bus.meters);
        on_buses
            .find(|points| &*points.name == meter)
            .map_or(&[], |points| &points.points)
    }

    /// Quantities that a meter is known to give; `None` for one fed by recordings, which may give any.
    pub(super) fn quantities(&self, meter: &str) -> Option<Vec<Quantity>> {
        let on_bus = self
            .buses
            .iter()
            .flat_map(|bus| &bus.meters)
            .find(|points| &*points.name == meter);
        let topics = self.brokers.iter().flat_map(|broker| &broker.meters);
        let values = topics
            .filter(|topic| &*topic.name == meter)
            .flat_map(|topic| &topic.values);
        let on_broker: Vec<Quantity> = values.map(|value| value.quantity).collect();
        on_bus
            .map(|points| points.points.iter().map(|point| point.quantity).collect())
            .or((!on_broker.is_empty()).then_some(on_broker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for (text, expected) in [
            ("192.0.2.10:502", Some(("192.0.2.10", 502))),
            ("meter.hall", Some(("meter.hall", 502))),
            ("[2001:db8::1]:1502", Some(("2001:db8::1", 1502))),
            ("[2001:db8::1]", Some(("2001:db8::1", 502))),
            ("", None),
            (":502", None),
            ("h:0", None),
            ("h:70000", None),
            ("h/x", None),
            ("[::1]x", None),
        ] {
            let found = host_and_port(text, 502);
            assert_eq!(
                found.as_ref().map(|(host, port)| (host.as_str(), *port)),
                expected,
                "{text}"
            );
        }
    }
}
