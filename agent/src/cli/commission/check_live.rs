//! `wattwarden check --live`: each point of each Modbus meter read once, its energy register until it rose, and whether
//! the bus has the time for all of it.
//!
//! It reads over one connection a bus, one meter after the other. Invariants: a meter that fails costs the others
//! nothing; what a meter took to answer goes into the bus-time budget in place of what was assumed.

use std::{process::ExitCode, time::Duration};

use energy::Quantity;
use serde_json::json;

use super::{
    super::table::{table, wrapped},
    block_on,
    counting::{self, Counted},
    faults::{Told, told},
    live::{self, Live},
    number,
    ranges::Ranges,
    refused, say,
    sheet::Check,
};
use crate::{
    acquire::modbus::{
        self, Answer, Config as Bus,
        ask::{Master, Trouble},
    },
    config::{Config, bus::written},
    language::Language,
};

/// One bus, read once.
#[derive(Debug)]
pub struct BusLive {
    /// The bus, each meter's latencies as measured where the file does not say one.
    bus: Bus,
    ranges: Ranges,
    /// In the order of its meters.
    meters: Vec<Live>,
}

/// How a meter came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// Reads all buses of a configuration.
pub fn buses(config: &Config) -> Result<Vec<BusLive>, ExitCode> {
    let ranges = Ranges::load(&config.data).map_err(|found| refused(&found))?;
    let reading = async {
        let mut found = vec![];
        for bus in &config.buses {
            found.push(one_bus(bus, &ranges).await);
        }
        found
    };
    block_on(reading)
}

async fn one_bus(bus: &Bus, ranges: &Ranges) -> BusLive {
    let pause = bus.meters.iter().map(|meter| meter.limits.pause).max();
    let mut master = Master::new(bus.transport.clone(), bus.timeout, pause.unwrap_or_default());
    let (mut bus, mut meters) = (bus.clone(), vec![]);
    for meter in &mut bus.meters {
        let live = live::read(&mut master, meter).await;
        if live.has_values() && meter.limits.latency.is_none() {
            meter.limits.latency = Some(whole_ms(live.latency()));
            let whole = |answer: &Answer| Answer {
                latency: whole_ms(answer.latency),
                ..*answer
            };
            meter.limits.answers = live.answers.iter().map(whole).collect();
        }
        meters.push(live);
    }
    let units: Vec<u8> = bus.meters.iter().map(|meter| meter.unit).collect();
    counting::watch(&mut master, &units, &mut meters).await;
    BusLive {
        bus,
        ranges: ranges.clone(),
        meters,
    }
}

/// Rounded up, as people write a latency; a converter that keeps no line's speed may seem to take no time at all.
fn whole_ms(time: Duration) -> Duration {
    Duration::from_millis(time.as_micros().div_ceil(1000).max(1) as u64)
}

/// Whether a device failed, or a line cannot be kept up with by the answers that were measured.
pub fn has_failed(live: &[BusLive]) -> bool {
    verdicts(live).any(|verdict| verdict == Verdict::Fail) || live.iter().any(|bus| modbus::check(&bus.bus).is_err())
}

/// Whether something about a device does not fit.
pub fn has_warnings(live: &[BusLive]) -> bool {
    verdicts(live).any(|verdict| verdict == Verdict::Warn)
}

fn verdicts(live: &[BusLive]) -> impl Iterator<Item = Verdict> {
    live.iter()
        .flat_map(|bus| (0..bus.meters.len()).map(|nth| bus.verdict(nth)))
}

impl BusLive {
    fn verdict(&self, nth: usize) -> Verdict {
        let live = &self.meters[nth];
        let has_refused = live.points.iter().any(|read| read.trouble.is_some());
        if live.trouble.is_some() || !live.has_trusted() {
            Verdict::Fail
        } else if has_refused || live.checks(&self.ranges, Language::En).iter().any(|check| !check.ok) {
            Verdict::Warn
        } else {
            Verdict::Ok
        }
    }

    /// Units beside this one that answer: the line is well, the fault is the meter's.
    fn neighbours(&self, nth: usize) -> Vec<u8> {
        let others = self.bus.meters.iter().zip(&self.meters).enumerate();
        let answering = others.filter(|(other, (_, live))| *other != nth && live.trouble.is_none());
        answering.map(|(_, (meter, _))| meter.unit).collect()
    }

    fn told(&self, nth: usize, language: Language) -> Option<Told> {
        let trouble = self.meters[nth].trouble.as_ref()?;
        Some(told(trouble, &self.bus.transport, language))
    }

    fn checks(&self, nth: usize, language: Language) -> Vec<Check> {
        self.meters[nth].checks(&self.ranges, language)
    }

    /// A meter in a line: how it is, what it measures, what it took.
    fn row(&self, nth: usize, language: Language) -> Vec<String> {
        let (meter, live) = (&self.bus.meters[nth], &self.meters[nth]);
        let value = |quantity| live.value(quantity).map(number);
        let kw = value(Quantity::ActivePower).map(|kw| kw + " kW");
        let pf = value(Quantity::PowerFactor).map(|pf| format!("pf {pf}"));
        let ms = Some(format!("{} ms", whole_ms(live.latency()).as_millis())).filter(|_| live.has_values());
        let is_rising = live.counted.is_some_and(Counted::is_rising);
        let counter = is_rising.then(|| say(language, "적산값 증가 중", "energy counter rising"));
        vec![
            format!("  {}", self.verdict(nth).name()),
            meter.name.to_string(),
            format!("{} {}", say(language, "국번", "unit"), meter.unit),
            kw.unwrap_or_default(),
            pf.unwrap_or_default(),
            ms.unwrap_or_default(),
            counter.unwrap_or_default().to_owned(),
        ]
    }

    /// What does not fit, in sentences.
    fn remarks(&self, nth: usize, language: Language) -> Vec<String> {
        let live = &self.meters[nth];
        let mut remarks: Vec<String> = vec![];
        if let Some(told) = self.told(nth, language) {
            let neighbours = self.neighbours(nth);
            let units: Vec<String> = neighbours.iter().map(u8::to_string).collect();
            remarks.push(told.what);
            let has_answered = live.trouble.as_ref().is_some_and(Trouble::is_reply);
            remarks.push(if units.is_empty() || has_answered {
                told.fix
            } else {
                let units = units.join(", ");
                match language {
                    Language::Ko => {
                        format!("같은 회선의 국번 {units}에서는 응답이 있음 → 이 계측기의 국번, 배선, 전원을 확인")
                    }
                    Language::En => {
                        format!("unit {units} on the same line answers → check this meter's unit, wiring and power")
                    }
                }
            });
        }
        if live.trouble.is_none() {
            remarks.extend(self.not_given(live, language));
        }
        let wrong = self.checks(nth, language).into_iter().filter(|check| !check.ok);
        remarks.extend(wrong.map(|check| format!("{}: {}", check.what, check.found)));
        remarks
    }

    /// The values that a meter which gives others does not give, for each reason, and what mends it.
    fn not_given(&self, live: &Live, language: Language) -> impl Iterator<Item = String> {
        let mut reasons: Vec<(Told, Vec<String>)> = vec![];
        for read in &live.points {
            let Some(trouble) = &read.trouble else { continue };
            let told = told(trouble, &self.bus.transport, language);
            let value = format!("{} @{}", read.point.quantity, read.point.at);
            match reasons.iter_mut().find(|(known, _)| known.what == told.what) {
                Some((_, values)) => values.push(value),
                None => reasons.push((told, vec![value])),
            }
        }
        reasons
            .into_iter()
            .flat_map(|(told, values)| [format!("{}: {}", told.what, values.join(", ")), told.fix])
    }

    /// What the line can give, now that answers have been measured.
    fn budget(&self, language: Language) -> Result<String, String> {
        match modbus::check(&self.bus) {
            Ok(plan) => Ok(modbus::budget::told(&self.bus, &plan, language)),
            Err(error) => Err(language.pick(&error.text()).to_owned()),
        }
    }
}

/// For people.
pub fn text(live: &[BusLive], language: Language) -> String {
    let n_devices: usize = live.iter().map(|bus| bus.meters.len()).sum();
    let n_points: usize = live
        .iter()
        .flat_map(|bus| &bus.meters)
        .map(|live| live.points.len())
        .sum();
    let mut text = match language {
        Language::Ko => format!("실측 (계측기 {n_devices}대, 점 {n_points}개)\n"),
        Language::En => {
            let plural = if n_devices == 1 { "" } else { "s" };
            format!("live ({n_devices} device{plural}, {n_points} points)\n")
        }
    };
    for bus in live {
        text += &wrapped(&format!("{} {}", bus.bus.name, written(&bus.bus.transport)), 2);
        let rows: Vec<Vec<String>> = (0..bus.meters.len()).map(|nth| bus.row(nth, language)).collect();
        let lines = table(&rows, &[false, false, true, true, true, true, false]);
        for (nth, line) in lines.lines().enumerate() {
            text.extend([line, "\n"]);
            for remark in bus.remarks(nth, language) {
                text += &wrapped(&remark, 8);
            }
        }
        let name = &bus.bus.name;
        let measured = say(
            language,
            "측정한 응답 시간으로 계산한 회선",
            "the line by measured answers",
        );
        match bus.budget(language) {
            Ok(told) => text.extend([format!("  {measured}: {name}\n{told}")]),
            Err(why) => text += &wrapped(&format!("{} {measured}: {why}", Verdict::Fail.name().trim_end()), 2),
        }
    }
    text
}

/// For programs.
pub(crate) fn json(live: &[BusLive], language: Language) -> serde_json::Value {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let bus = |bus: &BusLive| {
        let meters = bus
            .bus
            .meters
            .iter()
            .zip(&bus.meters)
            .enumerate()
            .map(|(nth, (meter, live))| {
                let transport = &bus.bus.transport;
                json!({
                    "meter": &*meter.name,
                    "unit": meter.unit,
                    "verdict": bus.verdict(nth).name(),
                    "latency_ms": Some(ms(live.latency())).filter(|_| live.has_values()),
                    "trouble": bus.told(nth, language),
                    "remarks": bus.remarks(nth, language),
                    "checks": bus.checks(nth, language),
                    "values": live.values(&bus.ranges, language, |trouble| told(trouble, transport, language).what),
                })
            });
        let budget = bus.budget(language);
        json!({
            "bus": bus.bus.name,
            "address": written(&bus.bus.transport),
            "meters": meters.collect::<Vec<_>>(),
            "can_be_kept_up": budget.is_ok(),
            "why_not": budget.err(),
        })
    };
    live.iter().map(bus).collect()
}
