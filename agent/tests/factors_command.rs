//! Three days of electricity and gas through the real program: market-based emissions, scope 1, toe, and a year that is
//! restated twice. Every expected number is reckoned by hand beside it.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod program_support;

use std::{fmt::Write as _, fs};

use program_support::{Folder, check, wattwarden};
use serde_json::{Value, json};

const SITE: &str = r#"
[site]
name = "s"
zone = "Asia/Seoul"
language = "en"
main_meter = "main"
carbon = "kr-grid"
[[meter]]
name = "main"
every = "15m"
[[meter]]
name = "gas"
every = "1h"
[[fuel]]
meter = "gas"
fuel = "city-gas-lng"
nm3_per_m3 = 0.98
[[instrument]]
name = "rec-2024"
kind = "rec"
from = "2024-01-02"
to = "2024-01-02"
energy_kwh = 3000
kgco2e_per_kwh = 0
source = "REC"
[[instrument]]
name = "solar"
kind = "ppa"
from = "2024-01-01"
to = "2024-01-01"
share = 0.5
kgco2e_per_kwh = 0.02
source = "PPA"
"#;

/// What the program printed; it must have ended well.
fn printed(args: &[&str]) -> String {
    let output = wattwarden(args);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{args:?}\n{error}");
    String::from_utf8(output.stdout).unwrap()
}

/// 25 kWh each quarter hour and 10 m³ of gas each hour, 1 to 3 January 2024, replayed.
fn replayed(name: &str) -> Folder {
    replayed_with(name, |hour| Some(1000 + 10 * hour))
}

/// With what the register of gas said each hour.
fn replayed_with(name: &str, gas_m3: impl Fn(i32) -> Option<i32>) -> Folder {
    let folder = Folder::new(&format!("factors-{name}"));
    let mut csv = "time,meter,interval_energy_kwh,gas_m3\n".to_owned();
    for quarter in 0..3 * 96 {
        let (day, hour, minute) = (1 + quarter / 96, quarter / 4 % 24, quarter % 4 * 15);
        let time = format!("2024-01-{day:02}T{hour:02}:{minute:02}:00+09:00");
        writeln!(csv, "{time},main,25,").unwrap();
        if let Some(gas_m3) = gas_m3(quarter / 4).filter(|_| minute == 0) {
            writeln!(csv, "{time},gas,,{gas_m3}").unwrap();
        }
    }
    fs::write(folder.path("in.csv"), csv).unwrap();
    fs::write(folder.path("site.toml"), SITE).unwrap();
    let (config, csv, out) = (folder.path("site.toml"), folder.path("in.csv"), folder.path("out"));
    printed(&["replay", "-c", &config, "--csv", &csv, "--out", &out]);
    folder
}

fn summary(folder: &Folder) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.path("out/summary.json")).unwrap()).unwrap()
}

fn near(value: &Value, expected: f64) {
    let got = value.as_f64().unwrap();
    assert!((got - expected).abs() < 1e-5, "{got}, wanted {expected}");
}

#[test]
fn a_month_has_market_based_emissions_scope_1_and_toe() {
    let folder = replayed("month");
    let summary = summary(&folder);
    let month = &summary["months"][0];
    near(&month["kgco2e"]["location"], 7200.0 * 0.4541);
    // Day 1: half of 2 400 kWh at 0.02; day 2: all certificates; day 3: nothing.
    near(&month["kgco2e"]["market"], 1200.0 * 0.02 + (1200.0 + 2400.0) * 0.4541);
    // 71 hours between the first and the last reading: 710 m³ × 0.98 × 38.9 MJ × 56 100 kg/TJ.
    near(&month["kgco2e"]["scope_1"], 695.8 * 38.9 * 0.0561);
    near(&month["toe"], 7.2 * 0.229 + 695.8 * 42.7 / 41_868.0);
    assert_eq!(
        month["instruments"],
        json!([
            {"instrument": "rec-2024", "energy_kwh": 2400.0, "kgco2e": 0.0, "unused_kwh": 600.0},
            {"instrument": "solar", "energy_kwh": 1200.0, "kgco2e": 24.0, "unused_kwh": null},
        ])
    );
    assert_eq!(summary["total"]["kgco2e"], month["kgco2e"]);
    let (config, out) = (folder.path("site.toml"), folder.path("out"));
    let text = printed(&[
        "factors",
        "use",
        "-c",
        &config,
        "--from",
        &out,
        "--year",
        "2024",
        "--explain",
    ]);
    for part in [
        "3,269.520 kgCO2e  kr-grid-2024 100.0 %",
        "7,200.000 kWh × 0.4541 (288 intervals)",
        "1.649 toe  kr-toe-consumption-2022 100.0 %",
        "1,658.760 kgCO2e",
        "rec-2024 2,400.0 kWh, unused 600.0 kWh",
        "1,518.437 kgCO2  gas: 710.000 m³ = 695.800 Nm³",
        "net heat 27.067 GJ",
        "gross heat 0.710 toe",
        "coverage 0.8 % (part)",
        "kr-toe-city-gas-lng-2022 (unverified)",
        "toe_generation",
        "7,200.000 kWh × 0.000086 (288 intervals)",
        "register of gas\n  2024-01-01T00:00:00+09:00 1000 m³",
        "2.358 toe  electricity and fuels",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    // Nothing known is not nothing used.
    let ask = ["factors", "use", "-c", &config, "--from", &out, "--year"];
    check(
        &[&ask[..], &["2030"]].concat(),
        2,
        &["from 2030-01-01 to 2030-12-31: there is use from 2024-01-01 to 2024-01-03"],
    );
    check(
        &[&ask[..], &["2024", "--purpose", "supplier"]].concat(),
        0,
        &["no factor: 288 intervals, 7,200.0 kWh"],
    );
}

#[test]
fn what_was_done_to_a_fuels_register_is_shown() {
    // Three readings are missing around noon of the first day, and at the second midnight the register is set back.
    let folder = replayed_with("repaired", |hour| match hour {
        11..=13 => None,
        0..48 => Some(1000 + 10 * hour),
        _ => Some(10 * (hour - 48)),
    });
    let (config, out) = (folder.path("site.toml"), folder.path("out"));
    let ask = ["factors", "use", "-c", &config, "--from", &out, "--month", "2024-01"];
    let text = printed(&[&ask[..], &["--explain", "--lang", "en"]].concat());
    for part in [
        "gas: 700.000 m³",
        "2024-01-01T00:00:00+09:00 1000 m³",
        "2024-01-03T23:00:00+09:00 230 m³",
        "2024-01-01T14:00:00+09:00 gap_spread: 1100 → 1140, 40.00 m³",
        "2024-01-03T00:00:00+09:00 reset: 1470 → 0",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(!printed(&ask).contains("reset"), "only the walk shows it");
    let repairs = fs::read_to_string(folder.path("out/repairs.csv")).unwrap();
    let of_gas: Vec<&str> = repairs.lines().filter(|line| line.contains(",gas_m3,")).collect();
    assert!(
        of_gas.len() == 2 && of_gas[1].starts_with("2024-01-03T00:00:00+09:00,gas,gas_m3,reset,1470,0,"),
        "{repairs}"
    );
    check(
        &["energy", "-c", &config, "--from", &out, "--meter", "gas", "--explain"],
        2,
        &["\"gas\" counts a fuel: `wattwarden factors use --month"],
    );
}

#[test]
fn a_restated_year_keeps_both_values_and_reports_print_them() {
    let folder = replayed("restate");
    let (config, out) = (folder.path("site.toml"), folder.path("out"));
    let restate = |rest: &[&str]| {
        let mut args = vec!["factors", "restate", "-c", &config, "--from", &out, "--year", "2024"];
        args.extend(rest);
        wattwarden(&args)
    };
    // Known when 2024 ended: the approval of 2021; today: that of 2024.
    let first = restate(&["--reason", "approval 2024"]);
    let text = String::from_utf8(first.stdout).unwrap();
    for part in [
        "3.442  as known on 2024-12-31",
        "3.270  as known on ",
        "kr-grid-2021 → kr-grid-2024: 7,200.0 kWh × -0.0240",
        "reason: approval 2024",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let running = [
        "factors", "restate", "-c", &config, "--from", &out, "--year", "2999", "--reason", "x",
    ];
    check(&running, 2, &["2999 is not over"]);
    let reported = restate(&["--reason", "x", "--reported", "2024-06-01"]);
    assert_eq!(
        reported.status.code(),
        Some(2),
        "the old value is the last restatement's"
    );
    let again = restate(&["--reason", "nothing"]);
    assert_eq!(again.status.code(), Some(2), "the same factors restate nothing");
    assert_eq!(restate(&["--reason", " "]).status.code(), Some(2));
    assert_eq!(
        restate(&["--reason", "x", "--factor", "kr-gird"]).status.code(),
        Some(2)
    );
    let kept = |folder: &Folder| fs::read_to_string(folder.path("out/restatements.jsonl")).unwrap();
    let line = kept(&folder);
    assert_eq!(line.lines().count(), 1);
    let second = restate(&["--reason", "the group's mean", "--factor", "kr-grid-2025-mean"]);
    assert_eq!(second.status.code(), Some(0));
    assert!(kept(&folder).starts_with(&line), "what was written stays");
    let last: Value = serde_json::from_str(kept(&folder).lines().last().unwrap()).unwrap();
    near(&last["old"]["kgco2e"], 7200.0 * 0.4541);
    near(&last["new"]["kgco2e"], 7200.0 * 0.433);
    let page = printed(&["report", "--from", &out, "--month", "2024-01", "--lang", "en"]);
    for part in [
        "2024: 3.442 tCO₂e → 3.270 tCO₂e (kr-grid-2021 → kr-grid-2024: 7,200.0 kWh). Reason: approval 2024",
        "2024: 3.270 tCO₂e → 3.118 tCO₂e",
        "<span class=\"d\">2024-01-01 –</span> <span class=\"d\">2024-12-31</span>",
        "rec-2024 2,400.0 kWh (unused 600.0 kWh), solar 1,200.0 kWh",
        "1.518 tCO₂e",
        "0.229 toe/MWh",
    ] {
        assert!(page.contains(part), "{part:?} is not in\n{page}");
    }
}

#[test]
fn factors_are_listed_and_shown_with_their_split() {
    let listed = printed(&[
        "factors",
        "list",
        "kr-fuels",
        "--lang",
        "ko",
        "--beside",
        "/nonexistent",
    ]);
    assert!(listed.starts_with("kr-fuels: 연료"), "{listed}");
    let shown = printed(&[
        "factors",
        "show",
        "kr-grid-2025",
        "--lang",
        "en",
        "--beside",
        "/nonexistent",
    ]);
    for part in [
        "2025-01-01–",
        "secondary",
        "0.4149 + (0.0075 × 28 + 0.0081 × 265) / 1000 = 0.4173 (AR5)",
    ] {
        assert!(shown.contains(part), "{part:?} is not in\n{shown}");
    }
    let unknown = wattwarden(&["factors", "show", "kr-grid-1999", "--beside", "/nonexistent"]);
    assert_eq!(unknown.status.code(), Some(2));
}
