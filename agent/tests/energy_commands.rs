//! The meters as a plant's people see them, through the real program: their tree with what is left over and whether
//! they agree, and their register.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod program_support;

use std::fmt::Write;

use program_support::{Folder, check};
use unicode_width::UnicodeWidthStr;

const SITE: &str = r#"
[site]
name = "ansan-1"
zone = "Asia/Seoul"
language = "en"
main_meter = "main"
[[meter]]
name = "main"
every = "15m"
[[meter]]
name = "hall"
every = "15m"
parent = "main"
maker = "Schneider"
serial = "A-17"
owner = "plant"
place = "panel 3, hall 2"
class = "0.5S"
ct_ratio = "200/5"
calibrated = "2010-05-01"
calibration_every = "7y"
swaps = [{ at = "2026-03-02T10:20:00+09:00", last_kwh = 998.2, first_kwh = 0, reason = "display dead" }]
[[meter]]
name = "press"
every = "15m"
parent = "hall"
area = "hall 2"
calibrated = "2200-01-01"
calibration_every = "18mo"
[[meter]]
name = "dryer"
every = "15m"
parent = "main"
[[meter]]
name = "weather"
[[machine]]
name = "press"
kind = "press"
meter = "press"
rated_kw = 40
"#;

/// Three days: the hall takes `hall(quarter)` of the main meter's 100 kWh, the dryer is silent from `dryer_until` on.
fn recording(hall: fn(usize) -> f64, dryer_until: usize) -> String {
    let mut csv = String::from("time,meter,interval_energy_kwh\n");
    for quarter in 0..3 * 96 {
        let (day, minute) = (1 + quarter / 96, quarter % 96 * 15);
        let time = format!("2025-03-{day:02}T{:02}:{:02}:00+09:00", minute / 60, minute % 60);
        let mut meters = vec![("main", 100.0), ("hall", hall(quarter)), ("press", 10.0)];
        meters.extend((quarter < dryer_until).then_some(("dryer", 20.0)));
        for (meter, kwh) in meters {
            writeln!(csv, "{time},{meter},{kwh}").unwrap();
        }
    }
    csv
}

fn replayed(name: &str, csv: &str) -> (Folder, String, String) {
    replayed_at(SITE, name, csv)
}

fn replayed_at(site: &str, name: &str, csv: &str) -> (Folder, String, String) {
    let folder = Folder::new(name);
    let (site, csv) = (folder.file("site.toml", site), folder.file("data.csv", csv));
    let out = folder.path("out");
    check(&["replay", "--config", &site, "--csv", &csv, "--out", &out], 0, &[]);
    (folder, site, out)
}

fn fits_a_terminal(text: &str) {
    assert!(text.lines().all(|line| line.width() <= 80), "{text}");
}

#[test]
fn the_tree_shows_shares_the_rest_and_who_agrees() {
    let steady = |quarter: usize| 70.0 + (quarter % 2) as f64;
    let (_folder, site, out) = replayed("energy-tree", &recording(steady, 96 * 3));
    let tree = ["energy", "tree", "-c", &site, "--from", &out];
    let text = check(
        &tree,
        0,
        &[
            "2025-03 (part)\n\nmeter                  kWh  coverage  of parent",
            "\nmain             28,800.00     9.6 %          –",
            "\n  hall           20,304.00     9.6 %     70.5 %",
            "\n    press         2,880.00     9.6 %     14.2 %",
            "\n    (unmetered)  17,424.00     9.6 %     85.8 %",
            "\n  dryer           5,760.00     9.6 %     20.0 %",
            "\n  (unmetered)     2,736.00     9.6 %      9.5 %",
            "\nno energy in this time: weather\n",
            // The sum does not agree, the ratio is as good as constant: there it ends.
            "\nmain and 2 below it: consistent\n",
            "\n  (1) sum             inconsistent  9.50 %  ≤ 1.00 %",
            "\n      28800.0 kWh measured against 26064.0 kWh, over 288 intervals\n",
            "\n  (6) constant ratio  consistent    0.55 %  ≤ 4.20 %",
            "\nlimits: 2018-01-01, 한국전자통신연구원 (ETRI)",
            "[unverified]",
        ],
    );
    assert!(!text.contains("each of those below"), "{text}");
    fits_a_terminal(&text);
    let ko = check(
        &[&tree[..], &["--lang", "ko", "--month", "2025-03"]].concat(),
        0,
        &[
            "(미계측)",
            "main – 하위 계측기 2개: 정합",
            "(6) 일정 비율",
            "상대표준편차",
        ],
    );
    fits_a_terminal(&ko);
    check(
        &[&tree[..], &["--month", "2024-03"]].concat(),
        2,
        &["nothing is known of any meter in 2024-03"],
    );
}

#[test]
fn what_is_left_over_is_told_only_where_all_are_known() {
    let swinging = |quarter: usize| if quarter.is_multiple_of(2) { 5.0 } else { 70.0 };
    let half = replayed("energy-tree-half", &recording(swinging, 96));
    let text = check(
        &["energy", "tree", "-c", &half.1, "--from", &half.2],
        0,
        &[
            // One day of three; 42.5 of 100 kWh.
            "\n  dryer           1,920.00     3.2 %     20.0 %",
            "\n  (unmetered)     4,080.00     3.2 %     42.5 %",
            "\n  (1) sum                  cannot tell       –  ≤ 1.00 %\n      96 values are known, 192 are needed\n",
            "\nhall and 1 below it: inconsistent\n",
            "\n  (2) regression           cannot tell          –  ≥ 0.700\n      no driver is known\n",
            "\n  each of those below\n  press  consistent  (4) flat pattern  0.00 %  ≤ 4.20 %\n",
        ],
    );
    fits_a_terminal(&text);
    let never = replayed("energy-tree-never", &recording(swinging, 0));
    let text = check(
        &["energy", "tree", "-c", &never.1, "--from", &never.2],
        0,
        &[
            "\n  dryer                  –     0.0 %          –",
            "unknown     0.0 %          –",
        ],
    );
    fits_a_terminal(&text);
}

#[test]
fn the_register_names_each_meter_and_what_is_overdue() {
    let folder = Folder::new("energy-meters");
    let site = folder.file("site.toml", SITE);
    let meters = ["energy", "meters", "-c", &site];
    let text = check(
        &meters,
        0,
        &[
            "\nhall\n  place            panel 3, hall 2\n",
            "\n  CT ratio         200/5\n  VT ratio         –\n",
            "\n  calibration due  2017-05-01  OVERDUE\n  parent           main\n",
            "\n  swaps            2026-03-02T10:20:00+09:00: 998.2 → 0 kWh (display dead)\n",
            "\npress\n  place            hall 2\n",
            "\n  calibration due  2201-07-01\n",
            "\n5 meters; calibration overdue: 1, not known: 3\n",
        ],
    );
    fits_a_terminal(&text);
    let ko = check(
        &[&meters[..], &["--lang", "ko"]].concat(),
        0,
        &["차기 교정일  2017-05-01  기한 경과", "상위 계측기  main", "계측기 5개"],
    );
    fits_a_terminal(&ko);
    let csv = check(&[&meters[..], &["--format", "csv"]].concat(), 0, &[]);
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(
        rows[..3],
        [
            "meter,place,class,ct_ratio,vt_ratio,maker,serial,owner,calibrated,calibration_due,overdue,parent,swaps",
            "main,,,,,,,,,,,,",
            "hall,\"panel 3, hall 2\",0.5S,200/5,,Schneider,A-17,plant,2010-05-01,2017-05-01,true,main,\
             2026-03-02T10:20:00+09:00: 998.2 → 0 kWh (display dead)",
        ]
    );
    assert!(rows[3].contains("2201-07-01,false,hall,"), "{csv}");
    check(&["energy", "meters", "--month", "2026-03"], 2, &["--month"]);
}

/// Eight hours of a register read each minute, which begins anew after two.
fn reset_recording() -> String {
    let mut csv = String::from("time,meter,energy_import_kwh\n");
    for minute in 0..8 * 60 {
        let kwh = if minute < 120 { 5000 + minute } else { minute - 120 };
        writeln!(
            csv,
            "2025-03-03T{:02}:{:02}:00+09:00,press,{kwh}",
            minute / 60,
            minute % 60
        )
        .unwrap();
    }
    csv
}

#[test]
fn a_reset_register_is_a_finding_unless_it_is_switched_off() {
    let folder = Folder::new("energy-reset");
    let csv = folder.file("data.csv", &reset_recording());
    for (settings, n_expected) in [("", 1), ("detect.meter_reset = false\n", 0)] {
        let site = folder.file("site.toml", &format!("{SITE}{settings}"));
        let out = folder.path("out");
        check(&["replay", "--config", &site, "--csv", &csv, "--out", &out], 0, &[]);
        let found = std::fs::read_to_string(folder.0.join("out/findings.jsonl")).unwrap();
        let resets = found.lines().filter(|line| line.contains("\"kind\":\"meter_reset\""));
        let resets: Vec<&str> = resets.collect();
        assert_eq!(resets.len(), n_expected, "{settings:?}: {found}");
        for reset in resets {
            assert!(reset.contains("\"before_kwh\":5119.0"), "{reset}");
            assert!(reset.contains("\"until\":\"2025-03-02T17:00:00Z\""), "{reset}");
        }
    }
}

/// A counter over the turn of a month: what it stood at first and last is told beside what was made of it.
#[test]
fn a_months_energy_is_walked_down_to_the_registers_readings() {
    let mut csv = String::from("time,meter,energy_import_kwh\n");
    for (day, kwh) in [("2025-02-28", 100.0), ("2025-03-01", 340.5), ("2025-03-02", 580.5)] {
        for quarter in 0..96 {
            let (hour, minute, stood) = (quarter / 4, quarter % 4 * 15, kwh + f64::from(quarter) * 2.5);
            writeln!(csv, "{day}T{hour:02}:{minute:02}:00+09:00,press,{stood}").unwrap();
        }
    }
    let (folder, site, out) = replayed("energy-registers", &csv);
    let explain = [
        "energy",
        "-c",
        &site,
        "--from",
        &out,
        "--meter",
        "press",
        "--explain",
        "--month",
    ];
    let march = [
        "2. registers: as read, before repairs, ",
        "2025-03-01T00:00:00+09:00  energy_import_kwh = 340.5",
        "2025-03-02T23:45:00+09:00  energy_import_kwh = 818",
    ];
    check(&[&explain[..], &["2025-03"]].concat(), 0, &march);
    // The reading at a month's end closes it, as it opens the next.
    let february = [
        "2025-02-28T00:00:00+09:00  energy_import_kwh = 100",
        "2025-03-01T00:00:00+09:00  energy_import_kwh = 340.5",
    ];
    check(&[&explain[..], &["2025-02"]].concat(), 0, &february);
    std::fs::remove_file(folder.path("out/registers.csv")).unwrap();
    check(
        &[&explain[..], &["2025-03"]].concat(),
        2,
        &["registers.csv", "run the replay again"],
    );
}

/// Energy of a meter that only says its power is named as calculated, once for the whole stretch and in each of its months.
#[test]
fn energy_that_no_register_counted_is_named_as_calculated() {
    let mut csv = String::from("time,meter,active_power_kw\n");
    for day in ["2025-02-28", "2025-03-01"] {
        for quarter in 0..96 {
            let (hour, minute) = (quarter / 4, quarter % 4 * 15);
            writeln!(csv, "{day}T{hour:02}:{minute:02}:00+09:00,press,12").unwrap();
        }
    }
    let (_folder, site, out) = replayed("energy-calculated", &csv);
    for month in ["2025-02", "2025-03"] {
        let explain = [
            "energy",
            "-c",
            &site,
            "--from",
            &out,
            "--meter",
            "press",
            "--explain",
            "--month",
            month,
        ];
        let told = check(
            &explain,
            0,
            &["2. registers: none: power integrated", "3. repairs: 1\n", "calculated"],
        );
        assert_eq!(told.matches("calculated").count(), 1, "{told}");
    }
}

/// Half an hour without readings is a gap whatever the order of the rows.
#[test]
fn the_order_of_rows_changes_nothing() {
    let site = SITE.replace("name = \"press\"\nevery = \"15m\"", "name = \"press\"\nevery = \"1m\"");
    let minutes: Vec<usize> = (0..24 * 60).filter(|minute| !(600..630).contains(minute)).collect();
    let row = |minute: &usize| {
        let (hour, of_hour, kwh) = (minute / 60, minute % 60, 1000.0 + *minute as f64 / 2.0);
        format!("2025-03-03T{hour:02}:{of_hour:02}:00+09:00,press,{kwh}\n")
    };
    let mut shuffled = minutes.clone();
    shuffled.sort_by_key(|minute| minute * 7919 % 1440);
    let told = [minutes, shuffled].map(|minutes| {
        let rows: String = minutes.iter().map(row).collect();
        let csv = format!("time,meter,energy_import_kwh\n{rows}");
        let (folder, _, _) = replayed_at(&site, "energy-order", &csv);
        ["intervals.csv", "repairs.csv", "findings.jsonl"]
            .map(|name| std::fs::read_to_string(folder.path(&format!("out/{name}"))).unwrap())
    });
    assert_eq!(told[0], told[1]);
    assert!(told[0][1].contains("gap_spread"), "{}", told[0][1]);
}

/// A meter's register by the minute and the energy of its quarter hours, in order of time: nothing of it comes late.
#[test]
fn a_row_that_says_the_energy_of_its_quarter_hour_makes_no_other_late() {
    let site = SITE.replace("name = \"press\"\nevery = \"15m\"", "name = \"press\"\nevery = \"1m\"");
    let mut csv = String::from("time,meter,energy_import_kwh,interval_energy_kwh\n");
    for minute in 0..24 * 60 {
        let (hour, of_hour, kwh) = (minute / 60, minute % 60, 1000.0 + minute as f64 / 2.0);
        let of_quarter = if of_hour % 15 == 0 { "7.5" } else { "" };
        writeln!(
            csv,
            "2025-03-03T{hour:02}:{of_hour:02}:00+09:00,press,{kwh},{of_quarter}"
        )
        .unwrap();
    }
    let (folder, _, _) = replayed_at(&site, "energy-two-ways", &csv);
    let read = |name: &str| std::fs::read_to_string(folder.path(&format!("out/{name}"))).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&read("summary.json")).unwrap();
    assert_eq!(
        (&summary["rows"]["rows"], &summary["rows"]["late"]),
        (&1440.into(), &0.into())
    );
    let intervals = read("intervals.csv");
    let press: Vec<&str> = intervals.lines().filter(|line| line.contains(",press,")).collect();
    assert_eq!(press.len(), 96);
    assert!(
        press[..95].iter().all(|line| line.contains(",7.5,ok,1,,,,0,")),
        "{press:#?}"
    );
    assert!(read("repairs.csv").lines().nth(1).is_none());
}

/// A register of gigawatt-hours knows seven places less: what it counts is a tenth of a kWh all the same.
#[test]
fn a_large_register_counts_without_the_noise_of_its_size() {
    let mut csv = String::from("time,meter,energy_import_kwh\n");
    for quarter in 0..96 {
        let (hour, minute, kwh) = (quarter / 4, quarter % 4 * 15, 16_777_216.0 + f64::from(quarter) / 10.0);
        writeln!(csv, "2025-03-01T{hour:02}:{minute:02}:00+09:00,press,{kwh:.1}").unwrap();
    }
    let (folder, _, _) = replayed("energy-large", &csv);
    let told = std::fs::read_to_string(folder.path("out/intervals.csv")).unwrap();
    assert_eq!(told.matches(",press,0.1,ok,1,").count(), 95, "{told}");
}

#[test]
fn an_hour_that_comes_twice_loses_nothing() {
    let folder = Folder::new("energy-autumn");
    let site = folder.file(
        "site.toml",
        "[site]\nname = \"x\"\nzone = \"Europe/Berlin\"\nlanguage = \"en\"\nmain_meter = \"main\"\ndemand_interval = \"60m\"\n\
         [[meter]]\nname = \"main\"\nevery = \"60m\"\n",
    );
    let map = folder.file(
        "map.toml",
        "[time]\ncolumn = \"t\"\nformat = \"%Y-%m-%d %H:%M\"\nzone = \"Europe/Berlin\"\nmarks = \"interval-start\"\n\
         interval = \"60m\"\n[meter]\nname = \"main\"\n[columns]\ne = \"interval_energy_kwh\"\n",
    );
    let csv = folder.file(
        "data.csv",
        "t,e\n2026-10-25 01:00,2.66\n2026-10-25 02:00,8.09\n2026-10-25 02:00,3.15\n2026-10-25 03:00,1.6\n",
    );
    let out = folder.path("out");
    let args = ["replay", "--config", &site, "--map", &map, "--csv", &csv, "--out", &out];
    check(&args, 0, &["15.5", "0 refused"]);
}
