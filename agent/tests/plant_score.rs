//! What the engine finds in the simulated plant, scored against the plant's own truth: twenty seeds with waste, five
//! without. The meters are read straight, ten seconds apart, with the configuration that the demo writes.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::{collections::BTreeMap, net::SocketAddr, path::Path};

use energy::{Engine, Finding, Quantity, Reading, Sample, Site, calendar::HolidayCalendar, finding::Kind};
use jiff::{SignedDuration, Timestamp};
use wattwarden::{
    config::{
        self, Secrets,
        data::{DataFiles, Folder, load_alone},
        diagnostic::Source,
    },
    plant::{
        Machine, Meter, MeterReading, Meters, Plant, PlantAddresses, PlantConfig, TruthRow, Waste, config_toml,
        modbus::Served,
    },
};

/// Friday evening to Tuesday morning: an evening, a weekend and a working day.
const HORIZON: SignedDuration = SignedDuration::from_hours(86);
/// The engine steps by the minute and the meters speak every ten seconds.
const TOLERANCE_S: f64 = 60.0;
/// Avoidable energy may differ by this share: three machines have no standby, so that the engine counts from zero what
/// the truth counts from what they draw when off.
const ENERGY_SHARE: f64 = 0.05;
/// Found only when it lasts this much longer than its rule asks for.
const MARGIN: SignedDuration = SignedDuration::from_mins(2);

fn plant(seed: u64, waste: Waste) -> Plant {
    let calendar: HolidayCalendar = load_alone(&DataFiles::beside(Path::new(".")), Folder::Calendars, "kr").unwrap();
    Plant::new(PlantConfig::demo(seed, waste, calendar.days()))
}

fn site(plant: &Plant) -> Site {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    let addresses = PlantAddresses {
        modbus: Served {
            gateway: nowhere,
            own: nowhere,
        },
        broker: nowhere,
    };
    let text = config_toml(&addresses, plant.config());
    config::parse(Source::new("plant", &text), Path::new("."), Secrets::LeaveOut)
        .unwrap()
        .config
        .site
}

/// What the demo's configuration reads of a meter.
fn sample(meter: Meter, at: Timestamp, shown: &MeterReading) -> Sample {
    let ([l12, l23, l31], [l1, l2, l3]) = (shown.line_voltage_v, shown.current_a);
    let readings = [
        (Quantity::ActivePower, shown.active_power_w / 1000.0),
        (Quantity::ReactivePower, shown.reactive_power_var / 1000.0),
        (Quantity::PowerFactor, shown.power_factor),
        (Quantity::Frequency, shown.frequency_hz),
        (Quantity::VoltageL12, l12),
        (Quantity::VoltageL23, l23),
        (Quantity::VoltageL31, l31),
        (Quantity::CurrentL1, l1),
        (Quantity::CurrentL2, l2),
        (Quantity::CurrentL3, l3),
        (Quantity::EnergyImport, shown.energy_import_wh as f64 / 1000.0),
        (
            Quantity::ReactiveEnergyLag,
            shown.reactive_energy_lag_varh as f64 / 1000.0,
        ),
    ];
    let readings = readings.map(|(quantity, value)| Reading::new(quantity, value)).to_vec();
    Sample {
        meter: meter.name().into(),
        at,
        readings,
    }
}

/// Everything found over the horizon, in its last state.
fn findings(plant: Plant) -> Vec<Finding> {
    let (start, site) = (plant.config().start, site(&plant));
    let mut engine = Engine::new(site);
    let mut meters = Meters::new(plant);
    let mut found = BTreeMap::new();
    let mut now = start;
    while now < start + HORIZON {
        for meter in Meter::ALL {
            if !meters.is_silent(meter, now) {
                let shown = meters.reading(meter, now);
                engine.take(sample(meter, now, &shown));
            }
        }
        now += SignedDuration::from_secs(10);
        if now.as_second() % 60 == 0 {
            found.extend(
                engine
                    .tick(now)
                    .findings
                    .into_iter()
                    .map(|finding| (finding.id.clone(), finding)),
            );
        }
    }
    found.extend(
        engine
            .finish()
            .findings
            .into_iter()
            .map(|finding| (finding.id.clone(), finding)),
    );
    found.into_values().collect()
}

fn after(row: &TruthRow) -> SignedDuration {
    match row.kind {
        Kind::OffHoursLoad => SignedDuration::from_mins(30),
        Kind::DemandPeak => SignedDuration::ZERO,
        _ => SignedDuration::from_mins(10),
    }
}

fn is_of(finding: &Finding, row: &TruthRow) -> bool {
    let names = if row.kind == Kind::MeterSilent {
        *finding.meter == row.meter
    } else {
        *finding.machine == row.machine
    };
    let until = finding.until.unwrap_or(Timestamp::MAX);
    finding.kind == row.kind && names && finding.since < row.until && row.since < until
}

/// How a finding differs from its truth; empty = as it should be.
fn differences(finding: &Finding, row: &TruthRow, end: Timestamp) -> Vec<String> {
    let mut differences = Vec::new();
    let mut instant = |what: &str, found: Timestamp, truth: Timestamp| {
        let off_s = found.duration_since(truth).as_secs_f64();
        if off_s.abs() > TOLERANCE_S {
            differences.push(format!("{what} is {off_s:.0} s off"));
        }
    };
    instant("since", finding.since, row.since);
    instant("until", finding.until.unwrap_or(end), row.until);
    match (finding.energy_kwh, row.energy_kwh) {
        (Some(found), Some(truth)) if (found - truth).abs() <= (truth * ENERGY_SHARE).max(0.1) => {}
        (None, None) => {}
        (found, truth) => differences.push(format!("{found:?} kWh, truly {truth:?}")),
    }
    differences
}

/// How one kind of waste fared.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    /// Stretches that last long enough to be found.
    due: usize,
    missed: usize,
    found: usize,
    /// Found where there was none, or twice.
    unfounded: usize,
}

type Score = BTreeMap<Kind, Tally>;

/// Scores one seed: the tallies, and in words what was missed, wrong or false.
fn scored(seed: u64, waste: Waste, score: &mut Score) -> Vec<String> {
    let plant = plant(seed, waste);
    let (start, end) = (plant.config().start, plant.config().start + HORIZON);
    let truth = plant.truth(start, end);
    let found = findings(plant);
    let mut faults = Vec::new();
    for row in &truth {
        let matching: Vec<&Finding> = found.iter().filter(|finding| is_of(finding, row)).collect();
        let is_due = row.until.duration_since(row.since) >= after(row) + MARGIN;
        let tally = score.entry(row.kind).or_default();
        tally.due += usize::from(is_due);
        tally.missed += usize::from(is_due && matching.is_empty());
        tally.unfounded += matching.len().saturating_sub(1);
        match matching[..] {
            [] if is_due => faults.push(format!("missed {row:?}")),
            [] => {}
            [finding] => {
                let wrong = differences(finding, row, end);
                faults.extend((!wrong.is_empty()).then(|| format!("{}: {}", finding.id, wrong.join(", "))));
            }
            _ => faults.push(format!("{} findings for {row:?}", matching.len())),
        }
    }
    for finding in &found {
        let tally = score.entry(finding.kind).or_default();
        tally.found += 1;
        if !truth.iter().any(|row| is_of(finding, row)) {
            tally.unfounded += 1;
            faults.push(format!("false {} {:?}", finding.id, finding.until));
        }
    }
    faults
        .into_iter()
        .map(|fault| format!("seed {seed}: {fault}"))
        .collect()
}

#[test]
fn what_is_found_is_what_was_wasted() {
    let mut score = Score::new();
    let faults: Vec<String> = (1..=20).flat_map(|seed| scored(seed, Waste::On, &mut score)).collect();
    for (kind, tally) in &score {
        let recall = 1.0 - tally.missed as f64 / tally.due.max(1) as f64;
        let precision = 1.0 - tally.unfounded as f64 / tally.found.max(1) as f64;
        println!("{kind}: recall {recall:.3}, precision {precision:.3}, {tally:?}");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for kind in [
        Kind::IdleRunning,
        Kind::OffHoursLoad,
        Kind::MeterSilent,
        Kind::DemandPeak,
    ] {
        let due = score.get(&kind).map_or(0, |tally| tally.due);
        assert!(due >= 5, "{kind}: {due} stretches are too few for a score");
    }
}

#[test]
fn a_plant_without_waste_gives_no_finding() {
    for seed in 101..=105 {
        let mut score = Score::new();
        assert_eq!((scored(seed, Waste::Off, &mut score), score), (vec![], Score::new()));
    }
}

/// The lights are found by their own meter although they have no states to idle in.
#[test]
fn the_lights_are_a_machine_of_their_own() {
    let site = site(&plant(1, Waste::On));
    let light = site
        .machines
        .iter()
        .find(|machine| *machine.name == *Machine::Light1.name())
        .unwrap();
    assert!(light.detect.contains_key(&Kind::OffHoursLoad) && !light.detect.contains_key(&Kind::IdleRunning));
}
