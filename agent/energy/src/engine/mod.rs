//! Sample in → Interval, Finding out. Owns the order of the steps; its state can be written down and taken up again.
//!
//! Samples are gathered until a tick, then put in order of time and stepped through: so the order of arrival within a
//! minute does not matter, and a replay gives what living through it gave, byte for byte. It opens no file and asks
//! no clock. Invariants: ticks are whole minutes and go forward; nothing moves but at a tick, except [`Engine::now`].

mod basis;
mod context;
mod moment;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use basis::{Expected, basis, due_ms, is_stepped, lengths, machines_of, possible, sort_intervals};
use context::Context;

use crate::{
    detect::{AnyDetector, Moment, Piece, TICK_MS, Tick, meter_fault::MeterFaults, meter_silent::MeterSilent},
    finding::{Finding, Kind},
    interval::{Interval, MeterIntervals, Refused, grid::floor, point::timestamp},
    power::{Power, Stretch},
    sample::{Name, Sample},
    site::{Machine, MachineKind, Site},
    state::State,
    tariff::bill::Billing,
};

/// A sample later than this is refused: no logger holds its data back for longer than a day, but a clock that was reset
/// says that it is 2000.
const LATEST_MS: i64 = 25 * 3_600_000;
/// Samples that may wait for a tick: a minute of a very large site. More come only while the clock stands still or runs
/// backwards, and are refused.
const STAGED: usize = 500_000;

/// A step of data time further than this is no gap in a recording but a clock that was set, or another recording: what
/// was heard before is closed and the intervals between are not made.
const LEAP_MS: i64 = 35 * 24 * 3_600_000;

/// What a tick brought.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// Intervals that closed or changed, by start, then meter.
    pub intervals: Vec<Interval>,
    /// Findings that opened, changed or closed, each in its newest state.
    pub findings: Vec<Finding>,
    /// What was not taken since the last tick.
    pub counts: Counts,
}

/// Samples and readings that were late or not taken, since the last tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Samples older than the last tick; taken.
    pub late: u64,
    /// Samples of a meter that the site does not have.
    pub unknown_meter: u64,
    /// Readings not taken into intervals.
    pub refused: Refused,
}

/// The thinking part, at work on one site.
#[derive(Debug)]
pub struct Engine {
    site: Arc<Site>,
    state: EngineState,
    /// Meter name → its place in `site.meters`.
    meter_index: HashMap<Name, usize>,
    /// Machines of each meter, by place.
    machines_of: Vec<Vec<usize>>,
    /// What to expect of each meter, by place.
    expected: Vec<Expected>,
    contexts: Vec<Context>,
}

/// Everything that must survive a restart. Meters and machines are found again by name, so the configuration may
/// change in between.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EngineState {
    tick_ms: Option<i64>,
    /// Instant of the newest sample, stepped through or not.
    newest_ms: Option<i64>,
    staged: Vec<Sample>,
    counts: Counts,
    meters: BTreeMap<Name, MeterState>,
    machines: BTreeMap<Name, MachineStateful>,
    silent: MeterSilent,
    faults: MeterFaults,
    billing: Billing,
    today: Today,
    /// Intervals of the main meter as the detectors have not seen them, because its register leapt in them.
    unsure: BTreeMap<Timestamp, Interval>,
    /// Start of the newest that they have seen.
    shown: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct MeterState {
    intervals: MeterIntervals,
    power: Power,
    /// Newest stretches' energy, for the forecast: end (ms), length (ms), kW.
    recent: Vec<(i64, i64, f64)>,
    /// The newest sample, stepped through or not.
    newest: Option<Sample>,
    /// Due time of the newest sample that was stepped through; what is older is not shown to detectors.
    stepped_ms: Option<i64>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct MachineStateful {
    state: State,
    detectors: BTreeMap<Kind, AnyDetector>,
}

/// Energy of the main meter's intervals that closed since local midnight.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Today {
    day: Option<Date>,
    /// Start (ms) → kWh, coverage.
    intervals: BTreeMap<i64, (f64, f64)>,
}

impl Engine {
    /// An engine that has seen nothing yet.
    pub fn new(site: impl Into<Arc<Site>>) -> Self {
        Self::restore(site, EngineState::default())
    }

    /// An engine that goes on from a state written down earlier.
    pub fn restore(site: impl Into<Arc<Site>>, mut state: EngineState) -> Self {
        let site = site.into();
        let meter_index = site
            .meters
            .iter()
            .enumerate()
            .map(|(index, meter)| (meter.name.clone(), index))
            .collect();
        let machines_of = site
            .meters
            .iter()
            .map(|meter| machines_of(&site.machines, &meter.name))
            .collect();
        for meter in &site.meters {
            state.meters.entry(meter.name.clone()).or_default();
        }
        for machine in &site.machines {
            let detectors = &mut state.machines.entry(machine.name.clone()).or_default().detectors;
            detectors.retain(|kind, _| machine.detect.contains_key(kind));
            for kind in machine.detect.keys() {
                if let (false, Some(detector)) = (detectors.contains_key(kind), AnyDetector::new(*kind)) {
                    detectors.insert(*kind, detector);
                }
            }
        }
        let expected = site
            .meters
            .iter()
            .map(|meter| Expected::of(&site, &meter.name))
            .collect();
        let contexts = vec![Context::default(); site.machines.len()];
        Self {
            site,
            state,
            meter_index,
            machines_of,
            expected,
            contexts,
        }
    }

    /// The site it works on.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Calls meters silent that were never heard of: for a living site, where each one is meant to speak. A recording
    /// need not hold them all.
    pub fn expect_all_meters(&mut self) {
        self.state.silent.expect_all();
    }

    /// What must survive a restart.
    pub fn state(&self) -> &EngineState {
        &self.state
    }

    /// The last tick.
    pub fn last_tick(&self) -> Option<Timestamp> {
        self.state.tick_ms.map(timestamp)
    }

    /// When a sample's evidence is complete: its instant, or the end of the interval that its deltas fill.
    /// A tick steps through what is complete by it; a recording fires every tick that lies before.
    pub fn due(&self, sample: &Sample) -> Timestamp {
        timestamp(due_ms(sample, self.site.demand_interval))
    }

    /// Takes a sample; nothing follows from it before the next tick but what [`Engine::now`] shows.
    pub fn take(&mut self, sample: Sample) {
        if !self.meter_index.contains_key(&sample.meter) {
            self.state.counts.unknown_meter += 1;
            return;
        }
        self.state.newest_ms = self.state.newest_ms.max(Some(sample.at.as_millisecond()));
        if let Some(meter) = self.state.meters.get_mut(&sample.meter)
            && meter.newest.as_ref().is_none_or(|newest| newest.at <= sample.at)
        {
            meter.newest = Some(sample.clone());
        }
        if sample.is_stale() {
            return; // nothing new was heard
        }
        let mut is_late = false;
        for part in sample.parts() {
            is_late |= self.stage(part);
        }
        self.state.counts.late += u64::from(is_late);
    }

    /// Keeps it for the tick that it is due at; whether it comes after that, in time to be taken.
    fn stage(&mut self, mut sample: Sample) -> bool {
        let due_ms = due_ms(&sample, self.site.demand_interval);
        let late_ms = self.state.tick_ms.map(|tick_ms| tick_ms - due_ms);
        if late_ms.is_some_and(|late_ms| late_ms > LATEST_MS) || self.state.staged.len() >= STAGED {
            self.state.counts.refused.too_old += sample.readings.len() as u64;
            return false;
        }
        sample.readings.retain(|reading| is_stepped(reading.quantity));
        sample.readings.shrink_to_fit();
        self.state.staged.push(sample);
        late_ms.is_some_and(|late_ms| late_ms >= 0)
    }

    /// Lets data time reach the whole minute at or before `at`, minute by minute.
    pub fn tick(&mut self, at: Timestamp) -> Step {
        let mut step = Step::default();
        let last_ms = floor(at.as_millisecond(), TICK_MS);
        let first_ms = match (
            self.state.tick_ms,
            self.state.staged.iter().map(|s| s.at.as_millisecond()).min(),
        ) {
            (Some(tick_ms), _) => tick_ms + TICK_MS,
            (None, Some(earliest_ms)) => floor(earliest_ms, TICK_MS) + TICK_MS,
            (None, None) => last_ms,
        };
        self.state.staged.sort_by_cached_key(|sample| {
            (
                due_ms(sample, self.site.demand_interval),
                self.meter_index.get(&sample.meter).copied(),
            )
        });
        let mut tick_ms = first_ms;
        while tick_ms <= last_ms {
            let next_ms = self.state.staged.first().map_or(last_ms, |sample| {
                floor(due_ms(sample, self.site.demand_interval), TICK_MS).min(last_ms)
            });
            if next_ms - tick_ms > LEAP_MS {
                step.intervals.append(&mut self.finish().intervals);
                self.begin_anew();
                tick_ms = next_ms;
            }
            self.minute(tick_ms, &mut step);
            tick_ms += TICK_MS;
        }
        step.counts = std::mem::take(&mut self.state.counts);
        step
    }

    /// Closes what has been heard of and writes what goes on as it stands, at the end of a recording.
    pub fn finish(&mut self) -> Step {
        let mut step = Step::default();
        for (index, meter) in self.site.meters.iter().enumerate() {
            let basis = basis(&self.site, index, self.expected[index]);
            if let Some(state) = self.state.meters.get_mut(&meter.name) {
                state.intervals.finish(&basis, &mut step.intervals);
            }
        }
        sort_intervals(&mut step.intervals);
        if let Some(tick_ms) = self.state.tick_ms {
            self.detect(tick_ms, &step.intervals, Moment::Last, &mut step.findings);
        }
        step
    }

    fn begin_anew(&mut self) {
        for meter in self.state.meters.values_mut() {
            meter.intervals.begin_anew();
        }
    }

    fn minute(&mut self, tick_ms: i64, step: &mut Step) {
        self.state.tick_ms = Some(tick_ms);
        let interval = self.site.demand_interval;
        let n_due = self
            .state
            .staged
            .partition_point(|sample| due_ms(sample, interval) <= tick_ms);
        let mut due: Vec<Sample> = self.state.staged.drain(..n_due).collect();
        // Samples of one meter and instant have an order of their own, so that their arrival does not matter.
        for same in due
            .chunk_by_mut(|a, b| a.at == b.at && a.meter == b.meter)
            .filter(|same| same.len() > 1)
        {
            same.sort_by_cached_key(|s| {
                s.readings
                    .iter()
                    .map(|r| (r.quantity, r.value.to_bits()))
                    .collect::<Vec<_>>()
            });
        }
        for sample in &due {
            self.step(sample);
        }
        let mut closed = Vec::new();
        for (index, meter) in self.site.meters.iter().enumerate() {
            let basis = basis(&self.site, index, self.expected[index]);
            if let Some(state) = self.state.meters.get_mut(&meter.name) {
                state.intervals.tick(tick_ms, &basis, &mut closed);
            }
        }
        sort_intervals(&mut closed);
        self.detect(tick_ms, &closed, Moment::Running, &mut step.findings);
        step.intervals.append(&mut closed);
    }

    /// Takes one sample into intervals, states and detectors.
    fn step(&mut self, sample: &Sample) {
        let Some(&index) = self.meter_index.get(&sample.meter) else {
            return;
        };
        let basis = basis(&self.site, index, self.expected[index]);
        let due_ms = due_ms(sample, self.site.demand_interval);
        let Some(meter) = self.state.meters.get_mut(&sample.meter) else {
            return;
        };
        meter.intervals.take(sample, &basis, &mut self.state.counts.refused);
        let at_ms = sample.at.as_millisecond();
        let told_ms = if due_ms == at_ms + 1 { at_ms } else { due_ms };
        let times_ms = (told_ms, self.state.tick_ms.unwrap_or(told_ms));
        self.state.silent.heard(&self.site.meters[index], times_ms, &self.site);
        if meter.stepped_ms.is_some_and(|stepped_ms| due_ms < stepped_ms) {
            return;
        }
        meter.stepped_ms = Some(due_ms);
        let has_leapt = meter.intervals.leapt_ms() == Some(at_ms) || meter.intervals.leaves_row();
        let gap_ms = |quantity| basis.gap_ms(quantity);
        let sample = possible(sample, &basis);
        if let Some(stretch) = meter.power.take(&sample, basis.lengths.interval_ms, gap_ms, has_leapt) {
            meter.note(&stretch);
            let step_kwh = meter.power.counted_step_kwh();
            for place in 0..self.machines_of[index].len() {
                self.step_machine(self.machines_of[index][place], &stretch, step_kwh);
            }
        }
    }

    /// Cuts a stretch where hours, price or factor may change, and shows the pieces to the machine's detectors.
    fn step_machine(&mut self, index: usize, stretch: &Stretch, step_kwh: f64) {
        let explained_kw = self.explained_kw(index, stretch.from_ms);
        let machine = &self.site.machines[index];
        let Some(stateful) = self.state.machines.get_mut(&machine.name) else {
            return;
        };
        let state = machine
            .states
            .as_ref()
            .map(|limits| stateful.state.take(stretch, limits));
        let mut from_ms = stretch.from_ms;
        while from_ms < stretch.to_ms {
            let context = &mut self.contexts[index];
            if !context.holds(from_ms) {
                *context = Context::at(&self.site, machine, from_ms);
            }
            let to_ms = stretch.to_ms.min(context.until_ms.max(from_ms + 1));
            let (is_open, rate) = (context.is_open, context.rate.clone());
            let piece = Piece {
                from_ms,
                to_ms,
                kw: stretch.kw,
                is_open,
                state,
                explained_kw,
                step_kwh,
                rate,
            };
            for detector in stateful.detectors.values_mut() {
                detector.as_mut().take(&piece, machine);
            }
            from_ms = to_ms;
        }
    }

    /// What the machines' own detectors have judged already at `at_ms`, for the site; 0 for any other machine. A machine
    /// that is no longer heard of explains nothing.
    fn explained_kw(&self, index: usize, at_ms: i64) -> f64 {
        if self.site.machines[index].kind != MachineKind::Site {
            return 0.0;
        }
        let judged = |machine: &Machine| {
            let meter = &self.site.meters[*self.meter_index.get(&machine.meter)?];
            let oldest_ms = at_ms
                - lengths(&self.site, meter.every)
                    .gap_ms
                    .max(self.site.demand_interval.as_millis() as i64);
            let detectors = self.state.machines.get(&machine.name)?.detectors.values();
            let explained = detectors
                .filter_map(AnyDetector::explained)
                .filter(|(_, until_ms)| *until_ms >= oldest_ms);
            explained.map(|(kw, _)| kw).reduce(f64::max)
        };
        self.site
            .machines
            .iter()
            .filter(|machine| machine.kind != MachineKind::Site)
            .filter_map(judged)
            .sum()
    }

    fn detect(&mut self, tick_ms: i64, intervals: &[Interval], moment: Moment, out: &mut Vec<Finding>) {
        self.note_today(tick_ms, intervals);
        let (main, retold) = self.sure(intervals, moment);
        for interval in main.iter().chain(&retold) {
            self.state.billing.note(&self.site.contracts, interval);
        }
        let demand = self.demand(tick_ms);
        let main_meter = self
            .site
            .main_meter
            .as_ref()
            .and_then(|main| self.state.meters.get(main));
        let tick = Tick {
            at_ms: tick_ms,
            site: &self.site,
            demand: demand.as_ref().map(|(demand, _)| demand),
            error_kw: demand.as_ref().map_or(0.0, |(_, error_kw)| *error_kw),
            step_kwh: main_meter.map_or(0.0, |meter| meter.power.step_kwh()),
            closed: &main,
            retold: &retold,
            billing: &self.state.billing,
            moment,
        };
        for machine in &self.site.machines {
            let Some(stateful) = self.state.machines.get_mut(&machine.name) else {
                continue;
            };
            for detector in stateful.detectors.values_mut() {
                detector.as_mut().tick(&tick, machine, out);
            }
        }
        let meters = &self.state.meters;
        let settled_ms = |meter: &Name| meters.get(meter).map_or(i64::MAX, |meter| meter.intervals.settled_ms());
        let faults = &mut self.state.faults;
        faults.tick(&tick, intervals, settled_ms, out);
        self.state.silent.tick(tick_ms, &self.site, out);
    }

    /// The main meter's intervals that hold no leap of its register that may yet be taken back: those that closed, and
    /// those told again. Others wait.
    fn sure(&mut self, intervals: &[Interval], moment: Moment) -> (Vec<Interval>, Vec<Interval>) {
        let Some(main) = self.site.main_meter.as_ref() else {
            return (vec![], vec![]);
        };
        let unsure = &mut self.state.unsure;
        for interval in intervals.iter().filter(|interval| interval.meter == *main) {
            unsure.insert(interval.start, interval.clone());
        }
        let leapt_ms = self.state.meters.get(main).and_then(|meter| meter.intervals.leapt_ms());
        let leapt = leapt_ms.filter(|_| moment == Moment::Running).map(timestamp);
        let is_sure = |_: &Timestamp, interval: &mut Interval| leapt.is_none_or(|leapt| interval.end < leapt);
        let sure = unsure.extract_if(.., is_sure).map(|(_, interval)| interval);
        let shown = self.state.shown;
        let (retold, first): (Vec<_>, Vec<_>) = sure.partition(|interval| Some(interval.start) <= shown);
        self.state.shown = shown.max(first.last().map(|interval| interval.start));
        (first, retold)
    }

    fn note_today(&mut self, tick_ms: i64, intervals: &[Interval]) {
        let day = self.site.zone.to_datetime(timestamp(tick_ms)).date();
        let today = &mut self.state.today;
        if today.day != Some(day) {
            *today = Today {
                day: Some(day),
                intervals: BTreeMap::new(),
            };
        }
        for interval in intervals
            .iter()
            .filter(|interval| Some(&interval.meter) == self.site.main_meter.as_ref())
        {
            if self.site.zone.to_datetime(interval.start).date() == day {
                let known = (interval.energy_import_kwh.unwrap_or(0.0), interval.coverage);
                today.intervals.insert(interval.start.as_millisecond(), known);
            }
        }
    }
}
