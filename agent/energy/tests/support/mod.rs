//! A small plant for the engine's tests, and living through samples minute by minute.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test fails where it unwraps"
)]

use std::collections::{BTreeMap, BTreeSet};

use energy::{
    Engine, Finding, Interval, Quantity, Reading, Sample, Site,
    calendar::Hours,
    detect::EVIDENCE,
    engine::EngineState,
    finding::Kind,
    interval::RepairKind,
    site::{Machine, MachineKind, Meter, Settings, StateLimits},
    tariff::{Contract, PowerFactorRule, Rules, Tariff},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

/// A rule for lagging power factor alone: by half hours of the day, 92 %.
pub fn lagging() -> PowerFactorRule {
    let rule = r#"
from = "2020-01-01"
interval_min = 30
lag_hours = "08-22"
lag_reference_pct = 92
lag_clamp_pct = [60, 97]
share_per_pct = 0.002
status = "verified"
source = "test"
"#;
    toml::from_str(rule).unwrap()
}

pub const RULES: &str = r#"
currency = "KRW"
decimals = 0
zone = "Asia/Seoul"
seasons = { all = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] }
per_kwh = [{ item = "climate", from = "2020-01-01", price = 10, source = "test" }]
levy = [{ item = "vat", from = "2020-01-01", share = 0.1, step = 1, rounding = "half-up", source = "test" }]

[[bands]]
from = "2020-01-01"
hours.all = { light = ["22-08"], mid = ["08-15"], peak = ["15-22"] }
saturday = { peak = "mid" }
sunday_and_holiday = "light"
authority = "test"
source = "test"

[demand]
interval_min = 15
bands = ["mid", "peak"]
ratchet_months = [1, 2, 7, 8, 9, 12]
months_back = 12
floor_share = 0.3
source = "test"
"#;

pub const TARIFF: &str = r#"
title = { ko = "시험", en = "test" }
rules = "test"
[[price]]
from = "2020-01-01"
demand_per_kw = 8000
energy_per_kwh.all = { light = 90, mid = 140, peak = 190 }
authority = "test"
source = "test"
"#;

/// A Friday in August, in Seoul.
pub fn at(clock: &str) -> Timestamp {
    format!("2026-08-28T{clock}+09:00").parse().unwrap()
}

pub fn machine(name: &str, kind: MachineKind, states: Option<StateLimits>) -> Machine {
    Machine {
        name: name.into(),
        kind,
        meter: name.into(),
        area: None,
        rated_kw: None,
        states,
        hours: Some(Hours {
            zone: TimeZone::get("Asia/Seoul").unwrap(),
            shift: Some("mon-fri 08:00-18:00".parse().unwrap()),
            days_off: energy::calendar::DaysOff::default(),
            open: vec![],
        }),
        detect: BTreeMap::new(),
    }
}

/// A press with standby 1 kW, idle 2 to 10 kW, and a main meter; readings every 10 s.
pub fn site() -> Site {
    let settings = |pairs: &[(&str, f64)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect::<Settings>();
    let limits = StateLimits {
        off_below_kw: 0.5,
        standby_below_kw: 2.0,
        running_from_kw: 10.0,
        standby_kw: 1.0,
    };
    let mut press = machine("press", MachineKind::Press, Some(limits));
    press.detect = [
        (Kind::IdleRunning, settings(&[])),
        (Kind::OffHoursLoad, settings(&[("production_from_kw", 10.0)])),
        (Kind::MeterSilent, settings(&[])),
    ]
    .into();
    let mut plant = machine("plant", MachineKind::Site, None);
    plant.meter = "main".into();
    plant.detect = [
        (Kind::OffHoursLoad, settings(&[("above_kw", 5.0)])),
        (Kind::DemandPeak, settings(&[("target_kw", 100.0)])),
        (Kind::MeterSilent, settings(&[])),
    ]
    .into();
    let meter = |name: &str| Meter::new(name.into(), SignedDuration::from_secs(10));
    let contract = Contract {
        from: "2020-01-01".parse().unwrap(),
        tariff_name: "test".into(),
        tariff: toml::from_str::<Tariff>(TARIFF).unwrap(),
        rules: toml::from_str::<Rules>(RULES).unwrap(),
        holidays: std::collections::BTreeSet::new(),
        contract_kw: 500.0,
        reading_day: 1,
        deferred: false,
        earlier_peaks: BTreeMap::new(),
        edition: None,
        area: None,
        reactive_meter: true,
    };
    Site {
        name: "plant".into(),
        zone: TimeZone::get("Asia/Seoul").unwrap(),
        days_off: energy::calendar::DaysOff::default(),
        demand_interval: SignedDuration::from_mins(15),
        meters: vec![meter("main"), meter("press")],
        machines: vec![press, plant],
        main_meter: Some("main".into()),
        contracts: vec![contract],
        carbon: None,
        fuel_meters: Vec::new(),
        instruments: Vec::new(),
    }
}

/// The main meter alone, read so often, at which these kinds are looked for.
pub fn main_alone(every: SignedDuration, kinds: &[Kind]) -> Site {
    let mut site = site();
    site.meters[0].every = every;
    site.meters.truncate(1);
    site.machines.retain(|machine| *machine.meter == *"main");
    site.machines[0].detect = kinds.iter().map(|kind| (*kind, Settings::new())).collect();
    site
}

/// The same, read each `every_s`, at which faults of its register are looked for, under a contract of so much.
pub fn main_watched(every_s: i64, contract_kw: Option<f64>) -> Site {
    let mut site = main_alone(
        SignedDuration::from_secs(every_s),
        &[Kind::MeterReset, Kind::MeterStuck],
    );
    site.contracts.truncate(usize::from(contract_kw.is_some()));
    for contract in &mut site.contracts {
        contract.contract_kw = contract_kw.unwrap_or_default();
    }
    site
}

pub fn sample(meter: &str, at: Timestamp, quantity: Quantity, value: f64) -> Sample {
    Sample {
        meter: meter.into(),
        at,
        readings: vec![Reading::new(quantity, value)],
    }
}

/// A meter's power, every 10 s from `from` to `until`.
pub fn power(meter: &str, from: &str, until: &str, kw: f64) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut now = at(from);
    while now < at(until) {
        samples.push(sample(meter, now, Quantity::ActivePower, kw));
        now += SignedDuration::from_secs(10);
    }
    samples
}

/// Everything that came out, in its last state.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    pub intervals: BTreeMap<(Timestamp, String), Interval>,
    pub findings: BTreeMap<String, Finding>,
}

impl Outcome {
    pub fn keep(&mut self, step: energy::engine::Step) {
        for finding in &step.findings {
            let (_, sent) = EVIDENCE.iter().find(|(kind, _)| *kind == finding.kind).unwrap();
            let unknown: Vec<_> = finding.why.keys().filter(|key| !sent.contains(&key.as_str())).collect();
            assert!(unknown.is_empty(), "{}: {unknown:?} is not in EVIDENCE", finding.id);
        }
        self.intervals
            .extend(step.intervals.into_iter().map(|i| ((i.start, i.meter.to_string()), i)));
        self.findings
            .extend(step.findings.into_iter().map(|f| (f.id.clone(), f)));
    }

    /// All energy, kWh.
    pub fn sum_kwh(&self) -> f64 {
        let intervals = self.intervals.values();
        intervals.filter_map(|interval| interval.energy_import_kwh).sum()
    }

    /// The highest demand of any interval, kW.
    pub fn highest_kw(&self) -> f64 {
        let demands = self.intervals.values().filter_map(Interval::demand_kw);
        demands.fold(0.0, f64::max)
    }

    /// What was repaired.
    pub fn named(&self) -> BTreeSet<RepairKind> {
        let repairs = self.intervals.values().flat_map(|interval| &interval.repairs);
        repairs.map(|repair| repair.kind).collect()
    }
}

/// Lives through samples minute by minute; after `restart_at` minutes the state is written down and taken up again.
pub fn live(samples: Vec<Sample>, restart_at: Option<usize>) -> Outcome {
    live_on(&site(), samples, restart_at)
}

/// The same on another site.
pub fn live_on(site: &Site, mut samples: Vec<Sample>, restart_at: Option<usize>) -> Outcome {
    samples.sort_by_key(|sample| sample.at);
    let mut engine = Engine::new(site.clone());
    let mut outcome = Outcome::default();
    let minute = |at: Timestamp| at.as_millisecond().div_euclid(60_000);
    let groups: Vec<Vec<Sample>> = samples
        .chunk_by(|a, b| minute(a.at) == minute(b.at))
        .map(<[Sample]>::to_vec)
        .collect();
    for (index, group) in groups.iter().enumerate() {
        let end = Timestamp::from_millisecond((minute(group[0].at) + 1) * 60_000).unwrap();
        for sample in group {
            engine.take(sample.clone());
        }
        outcome.keep(engine.tick(end));
        if restart_at == Some(index) {
            let written = serde_json::to_string(engine.state()).unwrap();
            engine = Engine::restore(site.clone(), serde_json::from_str::<EngineState>(&written).unwrap());
        }
    }
    outcome.keep(engine.finish());
    outcome
}
