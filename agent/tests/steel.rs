//! Nine months of a Korean steel plant through the engine, against truth figures computed by somebody else's program.
//! The recording states no licence and lies outside the project: without it these tests are skipped by name.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::{collections::BTreeMap, fs, path::PathBuf};

use energy::Site;
use wattwarden::{
    acquire::csv::{Mapping, Rows},
    config::{self, mapping},
    replay::{Outcome, Replay},
    report::{self, Figures, Summary},
};

fn shared(file: &str) -> Option<String> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/steel")).join(file);
    fs::read_to_string(path).ok()
}

const RECORDING: &str = "Steel_industry_data_2018-01_2018-09.csv";

fn example(file: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../config/examples")).join(file)
}

fn site() -> Site {
    config::load(&example("steel.toml")).unwrap().config.site
}

fn map() -> Mapping {
    mapping::load(&example("steel.map.toml"), &site()).unwrap()
}

fn replayed(csv: &str) -> Outcome {
    let mut replay = Replay::new(site());
    for row in Rows::open(csv.as_bytes(), Some(&map())).unwrap_or_else(|errors| panic!("{errors:?}")) {
        replay.take(row.unwrap());
    }
    replay.finish()
}

fn figures(outcome: &Outcome) -> Summary {
    let site = site();
    let books = report::carbon::books(&site, &outcome.intervals, jiff::Timestamp::MAX, BTreeMap::new());
    Figures::compute(&site, &outcome.intervals, &outcome.findings, &books)
}

/// What is compared byte for byte.
fn printed(outcome: &Outcome) -> String {
    serde_json::to_string(&(&outcome.intervals, &outcome.findings)).unwrap()
}

/// Month, kWh, peak kW, start of the peak, load factor: the table of the truth file.
fn truth(text: &str) -> Vec<(String, f64, f64, String, f64)> {
    let table = text
        .split("== 2. ENERGY AND DEMAND")
        .nth(1)
        .unwrap()
        .split("ten highest")
        .next()
        .unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|cells| cells.len() >= 8 && cells[0].parse::<u8>().is_ok())
        .map(|cells| {
            let start = cells[4].split('-').next().unwrap();
            let number = |cell: &str| cell.parse::<f64>().unwrap();
            let peak_start = format!("{}T{start}:00+09:00", cells[3]);
            (
                format!("2018-{:0>2}", cells[0]),
                number(cells[1]),
                number(cells[2]),
                peak_start,
                number(cells[7]),
            )
        })
        .collect()
}

#[test]
fn energy_peaks_and_load_factors_are_those_of_the_truth_file() {
    let (Some(recording), Some(truth_text)) = (shared(RECORDING), shared("truth_jan_sep.txt")) else {
        println!("skipped: energy_peaks_and_load_factors_are_those_of_the_truth_file: ../shared/data/steel");
        return;
    };
    let outcome = replayed(&recording);
    let summary = figures(&outcome);
    let truth = truth(&truth_text);
    assert_eq!(truth.len(), 9);
    assert_eq!(summary.months.len(), 9);
    for ((month, kwh, peak_kw, peak_start, load_factor), figures) in truth.into_iter().zip(&summary.months) {
        assert_eq!(figures.month.as_deref(), Some(month.as_str()));
        assert!(
            (figures.energy_import_kwh.unwrap() - kwh).abs() < 0.005,
            "{month}: {figures:?}"
        );
        assert!(
            (figures.peak_demand_kw.unwrap() - peak_kw).abs() < 0.005,
            "{month}: {figures:?}"
        );
        assert_eq!(figures.peak_demand_start.as_deref(), Some(peak_start.as_str()));
        assert!(
            (figures.load_factor.unwrap() - load_factor).abs() < 0.000_05,
            "{month}: {figures:?}"
        );
        assert_eq!(figures.coverage, 1.0);
        // The approval of 2018 and the statutory consumption basis.
        let (kgco2e, toe) = (figures.kgco2e.location.unwrap(), figures.toe.unwrap());
        assert!((kgco2e - kwh * 0.4594).abs() < 0.005, "{month}: {figures:?}");
        assert!((toe - kwh / 1000.0 * 0.229).abs() < 0.000_005, "{month}: {figures:?}");
        assert_eq!(figures.kgco2e.market, None, "no instruments");
    }
    assert_eq!((outcome.tally.rows, outcome.tally.late), (26_208, 0));
}

/// Month, mean lagging and leading power factor, billing demand: the table of the truth file.
fn power_factors(text: &str) -> Vec<(f64, f64, f64)> {
    let table = text
        .split("== 6. KEPCO-STYLE")
        .nth(1)
        .unwrap()
        .split("== 7")
        .next()
        .unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|cells| cells.len() == 7 && cells[0].parse::<u8>().is_ok())
        .map(|cells| [1, 4, 6].map(|cell| cells[cell].parse().unwrap()))
        .map(|[lag, lead, billed]| (lag, lead, billed))
        .collect()
}

#[test]
fn power_factors_and_billing_demand_are_those_of_the_truth_file() {
    let (Some(recording), Some(truth_text)) = (shared(RECORDING), shared("truth_jan_sep.txt")) else {
        println!("skipped: power_factors_and_billing_demand_are_those_of_the_truth_file: ../shared/data/steel");
        return;
    };
    let summary = figures(&replayed(&recording));
    let truth = power_factors(&truth_text);
    assert_eq!(truth.len(), 9);
    for ((lag_pct, lead_pct, billed_kw), month) in truth.into_iter().zip(&summary.months) {
        let (ours_lag, ours_lead) = (
            month.power_factor_lag_pct.unwrap(),
            month.power_factor_lead_pct.unwrap(),
        );
        assert!(
            (ours_lag - lag_pct).abs() < 0.000_051,
            "{:?}: {ours_lag} {lag_pct}",
            month.month
        );
        assert!(
            (ours_lead - lead_pct).abs() < 0.000_051,
            "{:?}: {ours_lead} {lead_pct}",
            month.month
        );
        assert_eq!(month.billing_demand_kw, Some(billed_kw));
        // Whole won, cut below ten; the sum of the items without taxes is the charge.
        let bill = month.bill.as_ref().unwrap();
        assert_eq!(bill.total % rust_decimal::Decimal::TEN, rust_decimal::Decimal::ZERO);
        assert!(bill.complete && bill.coverage == 1.0);
    }
}

/// Nobody works on these days and the plant rests below the limit: nothing may be said of them.
#[test]
fn idle_days_and_declared_night_work_are_no_waste() {
    let Some(recording) = shared(RECORDING) else {
        println!("skipped: idle_days_and_declared_night_work_are_no_waste: ../shared/data/steel");
        return;
    };
    let outcome = replayed(&recording);
    let during = |from: &str, until: &str| {
        let (from, until): (jiff::Timestamp, jiff::Timestamp) = (from.parse().unwrap(), until.parse().unwrap());
        // The month's power factor is another matter.
        let is_waste = |f: &&energy::Finding| f.kind != energy::finding::Kind::LowPowerFactor;
        let overlaps = |f: &&energy::Finding| f.since < until && f.until.is_none_or(|end| end > from);
        outcome
            .findings
            .iter()
            .filter(is_waste)
            .filter(overlaps)
            .map(|f| f.id.clone())
            .collect::<Vec<_>>()
    };
    let none: Vec<String> = vec![];
    assert_eq!(
        during("2018-02-15T00:00:00+09:00", "2018-02-19T00:00:00+09:00"),
        none,
        "Seollal at rest"
    );
    assert_eq!(
        during("2018-09-22T00:00:00+09:00", "2018-09-27T00:00:00+09:00"),
        none,
        "Chuseok at rest"
    );
    assert_eq!(
        during("2018-01-18T23:00:00+09:00", "2018-01-20T05:00:00+09:00"),
        none,
        "declared night work"
    );
    assert!(
        !during("2018-07-15T09:00:00+09:00", "2018-07-15T18:00:00+09:00").is_empty(),
        "a Sunday at 200 kW"
    );
}

#[test]
fn the_order_of_rows_and_repeated_rows_change_nothing() {
    let Some(recording) = shared(RECORDING) else {
        println!("skipped: the_order_of_rows_and_repeated_rows_change_nothing: ../shared/data/steel");
        return;
    };
    let (heading, rows) = recording.split_once('\n').unwrap();
    // Two months are enough to meet the declared night work and a holiday.
    let rows: Vec<&str> = rows.lines().take(59 * 96).collect();
    let file = |rows: Vec<&str>| replayed(&format!("{heading}\n{}\n", rows.join("\n")));
    let as_recorded = file(rows.clone());

    let label = |row: &str| {
        let (day, clock) = row.split(',').next().unwrap().split_once(' ').unwrap();
        let day: Vec<&str> = day.split('-').rev().collect();
        format!("{} {clock}", day.join("-"))
    };
    let mut by_label = rows.clone();
    by_label.sort_by_key(|row| label(row));
    assert_ne!(
        by_label, rows,
        "D 00:00 stands first when sorted by label, and last in the file"
    );
    assert_eq!(printed(&file(by_label)), printed(&as_recorded));

    let twice = file(rows.iter().flat_map(|row| [*row, *row]).collect());
    assert_eq!(printed(&twice), printed(&as_recorded));
    assert_eq!(
        twice.tally.duplicate,
        3 * rows.len() as u64,
        "energy and two kinds of reactive energy in each row"
    );

    let mut late = rows.clone();
    for place in [100, 1000, 3000] {
        let row = late.remove(place);
        late.insert(place + 5, row);
    }
    let late = file(late);
    assert_eq!(printed(&late), printed(&as_recorded));
    assert_eq!(late.tally.late, 3);

    // Days in any order, and newest first.
    let mut shuffled: Vec<(usize, &str)> = (0..).zip(rows.iter().copied()).collect();
    shuffled.sort_by_key(|(index, _)| (index * 7919 % rows.len(), *index));
    let shuffled = file(shuffled.into_iter().map(|(_, row)| row).collect());
    let reversed = file(rows.iter().rev().copied().collect());
    for other in [shuffled, reversed] {
        assert_eq!(other.tally.too_old, 0);
        assert_eq!(printed(&other), printed(&as_recorded));
    }
}
