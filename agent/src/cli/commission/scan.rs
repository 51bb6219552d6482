//! Looking for devices on the lines that somebody named: one question at a time, with a gap, until the time is up.
//!
//! It decides nothing about what is printed. Invariants: only named hosts, ports and units are asked; a unit counts as a
//! device only when registers, or their refusal, come from it, since gateways answer identification in their own name, and
//! some say "failed inside" of every unit that is not there.

use std::{collections::HashMap, time::Duration};

use energy::{Quantity, Reading};
use tokio::time::Instant;

use super::{
    candidates::{Candidate, Evidence, is_named, ranked, telling, weigh},
    live::{self, Live},
    probe::other_framing,
    ranges::Ranges,
};
use crate::{
    acquire::modbus::{
        ByteOrder, ExceptionCode, Fault, Limits, MeterPoints, Point, Table, Transport,
        ask::{Master, Trouble},
        decode,
        identify::Identity,
        plan, sunspec,
    },
    clock::monotonic,
    config::model::{Mark, Model},
};

/// What is searched, and how patiently.
pub(super) struct Search<'a> {
    /// Lines in order; of a serial port one for each speed.
    pub(super) lines: Vec<Transport>,
    /// Units asked on each.
    pub(super) units: Vec<u8>,
    /// Wall time for an answer.
    pub(super) timeout: Duration,
    /// Least time from an answer to the next request.
    pub(super) gap: Duration,
    /// When the search ends, whatever is left.
    pub(super) until: Instant,
    /// Models that may be recognised.
    pub(super) models: &'a [Model],
    /// What values are plausible.
    pub(super) ranges: &'a Ranges,
}

/// A device that was found.
pub(super) struct Device {
    /// The line that answers.
    pub(super) transport: Transport,
    /// Its unit.
    pub(super) unit: u8,
    /// What it says by function 0x2B.
    pub(super) identity: Identity,
    /// What it says by function 0x11.
    pub(super) server_id: Option<String>,
    /// Its SunSpec models.
    pub(super) chain: Vec<sunspec::Model>,
    /// Maker, model, version and serial number of SunSpec's common model.
    pub(super) common: Vec<(&'static str, String)>,
    /// Known models that fit, the best first.
    pub(super) candidates: Vec<Candidate>,
    /// How many of them cannot be told apart.
    pub(super) n_alike: usize,
    /// Its values by the first of them.
    pub(super) live: Live,
    /// Another unit of the same line that has the same counters: probably the same device.
    pub(super) same_as: Option<u8>,
}

/// What came of the search.
#[derive(Default)]
pub(super) struct Found {
    /// Devices in the order of the search.
    pub(super) devices: Vec<Device>,
    /// Lines to which there was no connection.
    pub(super) unreachable: Vec<(Transport, Trouble)>,
    /// Lines that connect, but where no unit gave registers.
    pub(super) silent: Vec<Transport>,
    /// Units that gave no registers but answered something, on lines of either kind.
    pub(super) otherwise: Vec<(Transport, u8, Trouble)>,
    /// Requests sent.
    pub(super) n_requests: u64,
    /// Whether the time was up before the end.
    pub(super) is_cut: bool,
}

/// Time-outs in a row after which no more unknown addresses are tried: the device answers refusals with silence.
const SILENT_AFTER: u32 = 3;

/// Searches; `progress` is told each unit before it is asked.
pub(super) async fn search(search: &Search<'_>, mut progress: impl FnMut(&Transport, u8, usize)) -> Found {
    let mut found = Found::default();
    for line in &search.lines {
        // One line of a serial port has one speed: the others are not tried where it answers.
        let is_done = |device: &Device| is_same_port(&device.transport, line);
        if found.devices.iter().any(is_done) {
            continue;
        }
        let mut master = Master::new(line.clone(), search.timeout, search.gap).hasty();
        if let Err(trouble) = master.connect().await {
            found.unreachable.push((line.clone(), trouble));
            continue;
        }
        let n_before = found.devices.len();
        for unit in &search.units {
            if monotonic() > search.until {
                found.is_cut = true;
                found.n_requests += master.n_requests();
                return found;
            }
            progress(line, *unit, found.devices.len());
            let is_first = found.devices.len() == n_before;
            let answer = presence(&mut master, *unit).await;
            let is_heard = answer.as_ref().err().is_none_or(Trouble::is_reply);
            if answer.is_ok() || is_first && !is_heard && by_other_framing(search, &mut master, *unit, &mut found).await
            {
                let mut device = examined(search, &mut master, *unit).await;
                device.same_as = same(&found.devices[n_before..], &device);
                found.devices.push(device);
            } else if let Err(trouble) = answer
                && !is_timeout(&trouble)
            {
                found.otherwise.push((line.clone(), *unit, trouble));
            }
        }
        found.n_requests += master.n_requests();
        if found.devices.len() == n_before {
            found.silent.push(line.clone());
        }
    }
    found
}

fn is_same_port(found: &Transport, line: &Transport) -> bool {
    matches!((found, line), (Transport::Rtu { path: found, .. }, Transport::Rtu { path: line, .. }) if found == line)
}

/// Where a unit that has failed inside at the first register is asked once more.
const CUSTOMARY_PLACES: [u16; 4] = [0, 100, 1000, 40_000];

/// Whether the unit has registers, if only to refuse the first; else what came instead.
async fn presence(master: &mut Master, unit: u8) -> Result<(), Trouble> {
    let has_failed = |trouble: &Trouble| *trouble == Fault::Refused(ExceptionCode::ServerDeviceFailure).into();
    let mut came: Option<Trouble> = None;
    for at in CUSTOMARY_PLACES {
        for table in [Table::Holding, Table::Input] {
            match master.registers(unit, table, at, 1).await {
                Err(trouble) if has_failed(&trouble) => came = Some(trouble),
                Ok(_) | Err(Trouble::Fault(Fault::Refused(_))) => return Ok(()),
                Err(trouble @ (Trouble::Fault(Fault::Gateway(_)) | Trouble::Unreachable { .. })) => {
                    return Err(trouble);
                }
                Err(trouble) if came.as_ref().is_none_or(is_timeout) => came = Some(trouble),
                Err(_) => {}
            }
        }
        if !came.as_ref().is_some_and(has_failed) {
            break;
        }
    }
    came.map_or(Ok(()), Err)
}

fn is_timeout(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Fault(Fault::TimedOut(_)))
}

/// Whether the unit answers in the other framing; the master then stays with it.
async fn by_other_framing(search: &Search<'_>, master: &mut Master, unit: u8, found: &mut Found) -> bool {
    let Some(other) = other_framing(master.transport()) else {
        return false;
    };
    let mut by_other = Master::new(other, search.timeout, search.gap).hasty();
    // A device that takes one connection must be left first.
    found.n_requests += master.n_requests();
    let line = master.transport().clone();
    *master = Master::new(line, search.timeout, search.gap).hasty();
    if presence(&mut by_other, unit).await.is_ok() {
        *master = by_other;
        return true;
    }
    found.n_requests += by_other.n_requests();
    false
}

/// A unit whose device has the same counters: values move between two readings, a counter of another device differs.
fn same(others: &[Device], device: &Device) -> Option<u8> {
    let counter = |device: &Device| device.live.value(Quantity::EnergyImport).filter(|kwh| *kwh > 0.0);
    let kwh = counter(device)?;
    let first = |device: &Device| device.candidates.first().map(|candidate| candidate.model);
    let is_same = |other: &&Device| {
        let is_near = counter(other).is_some_and(|other| (other - kwh).abs() <= 1e-5 * kwh);
        is_near && first(other) == first(device) && other.identity == device.identity
    };
    others.iter().find(is_same).map(|other| other.unit)
}

/// Asks a device for its name, its chain, and what known models would have in it.
async fn examined(search: &Search<'_>, master: &mut Master, unit: u8) -> Device {
    let identity = master.identification(unit).await.unwrap_or_default();
    let server_id = master.server_id(unit).await.ok().flatten();
    let chain = live::chain(master, unit)
        .await
        .map(|walk| walk.models().to_vec())
        .unwrap_or_default();
    let common = common(master, unit, &chain).await;
    let mut says: Vec<&str> = identity
        .named()
        .map(|(_, text)| text)
        .chain(server_id.as_deref())
        .collect();
    says.extend(common.iter().map(|(_, text)| text.as_str()));
    let mut asker = Asker {
        master,
        unit,
        seen: HashMap::new(),
        n_silent: 0,
    };
    let mut all = vec![];
    for (nth, model) in search.models.iter().enumerate() {
        let evidence = match model.limits.sunspec {
            Some(id) => of_chain(&chain, id),
            None => asker.evidence(model, &says, search.ranges).await,
        };
        all.push(Candidate { model: nth, evidence });
    }
    let (candidates, n_alike) = ranked(all);
    let live = match candidates.first() {
        Some(best) => {
            let model = &search.models[best.model];
            live::read(master, &meter(model, unit)).await
        }
        None => Live::default(),
    };
    Device {
        transport: master.transport().clone(),
        unit,
        identity,
        server_id,
        chain,
        common,
        candidates,
        n_alike,
        live,
        same_as: None,
    }
}

/// A model's points as a meter of this unit.
pub(super) fn meter(model: &Model, unit: u8) -> MeterPoints {
    MeterPoints {
        name: model.name.as_str().into(),
        unit,
        points: model.points.clone(),
        limits: model.limits.clone(),
    }
}

/// A model in the chain is its own fingerprint.
fn of_chain(chain: &[sunspec::Model], id: u16) -> Evidence {
    let is_there = chain.iter().any(|model| model.id == id);
    Evidence {
        marks: (usize::from(is_there), usize::from(!is_there)),
        ..Evidence::default()
    }
}

/// Texts of SunSpec's common model: place behind its head, registers, name. Source: model_1.json of the SunSpec Alliance.
const COMMON_TEXTS: [(u16, u16, &str); 4] = [
    (2, 16, "maker"),
    (18, 16, "model"),
    (42, 8, "version"),
    (50, 16, "serial"),
];

async fn common(master: &mut Master, unit: u8, chain: &[sunspec::Model]) -> Vec<(&'static str, String)> {
    let mut texts = vec![];
    let Some(model) = chain.iter().find(|model| model.id == sunspec::COMMON) else {
        return texts;
    };
    for (behind, registers, name) in COMMON_TEXTS {
        let Some(at) = model.at.checked_add(behind) else {
            continue;
        };
        if let Ok(block) = master.registers(unit, Table::Holding, at, registers).await {
            texts.extend(decode::text(&block.words, ByteOrder::Abcd).map(|text| (name, text)));
        }
    }
    texts
}

/// Asks for blocks, each once.
struct Asker<'a> {
    master: &'a mut Master,
    unit: u8,
    /// What came; `None` = refused, or silence.
    seen: HashMap<(Table, u16, u16), Option<Vec<u16>>>,
    n_silent: u32,
}

impl Asker<'_> {
    async fn block(&mut self, table: Table, at: u16, count: u16) -> Option<Vec<u16>> {
        if let Some(seen) = self.seen.get(&(table, at, count)) {
            return seen.clone();
        }
        if self.n_silent >= SILENT_AFTER {
            return None;
        }
        let answer = self.master.registers(self.unit, table, at, count).await;
        self.n_silent = match &answer {
            Err(trouble) if !trouble.is_reply() => self.n_silent + 1,
            _ => 0,
        };
        let words = answer.ok().map(|block| block.words);
        self.seen.insert((table, at, count), words.clone());
        words
    }

    /// What speaks for a model: its name, its fingerprints, then, if one of them does or its first telling value makes
    /// sense, all of its telling values.
    async fn evidence(&mut self, model: &Model, says: &[&str], ranges: &Ranges) -> Evidence {
        let mut marks = (0, 0);
        for mark in &model.marks {
            match self.holds(mark, says).await {
                Some(true) => marks.0 += 1,
                Some(false) => marks.1 += 1,
                None => {}
            }
        }
        let is_named = is_named(model, says);
        let points = telling(model, ranges);
        let mut evidence = Evidence::default();
        if is_named || marks.0 > 0 || self.has_sense(&points, ranges).await {
            evidence = weigh(&self.readings(points, &model.limits).await, ranges);
        }
        Evidence {
            is_named,
            marks,
            ..evidence
        }
    }

    /// Whether the first telling value, a voltage where there is one, is plausible: most models need no more to be ruled out.
    async fn has_sense(&mut self, points: &[Point], ranges: &Ranges) -> bool {
        let is_voltage = |point: &&Point| ranges.of(point.quantity).is_some_and(|range| range.name == "voltage");
        let Some(first) = points.iter().find(is_voltage).or(points.first()) else {
            return false;
        };
        self.reading(first).await.is_some_and(|reading| {
            reading.quality.is_trusted()
                && ranges
                    .of(reading.quantity)
                    .is_some_and(|range| range.holds(reading.value))
        })
    }

    async fn reading(&mut self, point: &Point) -> Option<Reading> {
        let (at, count) = live::extent(point);
        let words = self.block(point.table, at, count).await?;
        decode::reading(point, at, &words)
    }

    /// Telling points in the blocks that a bus would read; a block that is refused point by point.
    async fn readings(&mut self, points: Vec<Point>, limits: &Limits) -> Vec<Option<Reading>> {
        let mut found = vec![None; points.len()];
        let meter = MeterPoints {
            name: "telling".into(),
            unit: self.unit,
            points,
            limits: limits.clone(),
        };
        // The profile's own plan has been checked; a part of its points makes a plan too.
        let Ok(plan) = plan::plan(std::slice::from_ref(&meter)) else {
            return found;
        };
        for read in plan.reads {
            let block = self.block(read.table, read.at, read.count).await;
            for nth in read.points {
                let point = &meter.points[nth];
                found[nth] = match &block {
                    Some(words) => decode::reading(point, read.at, words),
                    None => self.reading(point).await,
                };
            }
        }
        found
    }

    /// Whether a fingerprint holds; `None` where the device does not say.
    async fn holds(&mut self, mark: &Mark, says: &[&str]) -> Option<bool> {
        match mark {
            Mark::Says(_) if says.is_empty() => None,
            Mark::Says(letters) => Some(says.iter().any(|said| said.contains(letters.as_str()))),
            Mark::Words { at, table, words } => {
                let came = self.block(*table, *at, words.len() as u16).await?;
                Some(came == *words)
            }
            Mark::Code { at, table, codes } => {
                let came = self.block(*table, *at, 1).await?;
                Some(came.iter().any(|code| codes.contains(code)))
            }
            Mark::Text {
                at,
                table,
                registers,
                text,
            } => {
                let came = self.block(*table, *at, *registers).await?;
                Some(decode::text(&came, ByteOrder::Abcd).is_some_and(|came| came.contains(text.as_str())))
            }
        }
    }
}
