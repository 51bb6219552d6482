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

fn sample(meter: Meter, at: Timestamp, shown: &MeterReading) -> Sample {
    let readings = vec![
        Reading::new(Quantity::ActivePower, shown.active_power_w / 1000.0),
        Reading::new(Quantity::EnergyImport, shown.energy_import_wh as f64 / 1000.0),
    ];
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
    if let (Some(found), Some(truth)) = (finding.energy_kwh, row.energy_kwh)
        && (found - truth).abs() > (truth * ENERGY_SHARE).max(0.1)
    {
        differences.push(format!("{found} kWh, truly {truth}"));
    }
    differences
}

/// Scores one seed: what was missed, what was wrong, what was false.
fn faults(seed: u64, waste: Waste) -> (usize, Vec<String>) {
    let plant = plant(seed, waste);
    let (start, end) = (plant.config().start, plant.config().start + HORIZON);
    let truth = plant.truth(start, end);
    let found = findings(plant);
    let mut faults = Vec::new();
    let mut n_due = 0;
    for row in &truth {
        let matching: Vec<&Finding> = found.iter().filter(|finding| is_of(finding, row)).collect();
        let is_due = row.until.duration_since(row.since) >= after(row) + MARGIN;
        n_due += usize::from(is_due);
        match matching[..] {
            [] if is_due => faults.push(format!("seed {seed}: missed {row:?}")),
            [] => {}
            [finding] => {
                let wrong = differences(finding, row, end);
                if !wrong.is_empty() {
                    faults.push(format!(
                        "seed {seed}: {} {}: {}",
                        finding.id,
                        row.kind,
                        wrong.join(", ")
                    ));
                }
            }
            _ => faults.push(format!("seed {seed}: {} findings for {row:?}", matching.len())),
        }
    }
    let is_false = |finding: &&Finding| !truth.iter().any(|row| is_of(finding, row));
    faults.extend(
        found
            .iter()
            .filter(is_false)
            .map(|finding| format!("seed {seed}: false {} {:?}", finding.id, finding.until)),
    );
    (n_due, faults)
}

#[test]
fn what_is_found_is_what_was_wasted() {
    let scores: Vec<(usize, Vec<String>)> = (1..=20).map(|seed| faults(seed, Waste::On)).collect();
    let n_due: usize = scores.iter().map(|(n_due, _)| n_due).sum();
    let faults: Vec<String> = scores.into_iter().flat_map(|(_, faults)| faults).collect();
    println!("{n_due} stretches of waste in 20 plants, {} faults", faults.len());
    assert!(n_due >= 60, "too little waste to score: {n_due}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_plant_without_waste_gives_no_finding() {
    for seed in 101..=105 {
        assert_eq!(faults(seed, Waste::Off), (0, vec![]));
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
