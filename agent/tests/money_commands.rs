//! The commands that print money, through the real program: tariffs, prices, bills, and a bill that was typed in.

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
[[contract]]
from = "2025-01-01"
tariff = "kepco-industrial-b-high-a-2"
contract_kw = 900
earlier_peaks = { "2024-12" = 744.5, "2025-01" = 768.5, "2025-02" = 731.75 }
[[meter]]
name = "main"
every = "15m"
[[machine]]
name = "ansan-1"
kind = "site"
meter = "main"
"#;

/// March 2025 and half of April: 100 kWh each quarter hour, a third of it lagging.
fn recording() -> String {
    let mut csv =
        String::from("time,meter,interval_energy_kwh,interval_reactive_lag_kvarh,interval_reactive_lead_kvarh\n");
    for quarter in 0..(31 + 15) * 96 {
        let (day, minute) = (quarter / 96, quarter % 96 * 15);
        let (month, day) = if day < 31 { (3, day + 1) } else { (4, day - 30) };
        writeln!(
            csv,
            "2025-{month:02}-{day:02}T{:02}:{:02}:00+09:00,main,100,33,0",
            minute / 60,
            minute % 60
        )
        .unwrap();
    }
    csv
}

fn replayed(name: &str) -> (Folder, String, String) {
    let folder = Folder::new(name);
    let (site, csv) = (folder.file("site.toml", SITE), folder.file("data.csv", &recording()));
    let out = folder.path("out");
    check(&["replay", "--config", &site, "--csv", &csv, "--out", &out], 0, &[]);
    (folder, site, out)
}

/// Read on the 15th: the bill that began in mid-April is May's, which has not begun.
#[test]
fn the_running_bill_is_told_though_its_month_has_not_begun() {
    let folder = Folder::new("money-reading-day");
    let site = SITE.replace("contract_kw = 900", "contract_kw = 900\nreading_day = 15");
    let (site, csv) = (folder.file("site.toml", &site), folder.file("data.csv", &recording()));
    let out = folder.path("out");
    check(&["replay", "--config", &site, "--csv", &csv, "--out", &out], 0, &[]);
    let summary = std::fs::read_to_string(folder.path("out/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    let bill = &summary["running_bill"];
    assert_eq!(
        (&bill["month"], &bill["from"], &bill["complete"]),
        (&"2025-05-01".into(), &"2025-04-15".into(), &false.into())
    );
    assert_eq!(summary["months"][1]["bill"]["from"], "2025-03-15");
}

/// What demand peaks of a month cost together is what its bill asks more for demand (the power factor's share is that kind's
/// own): each costs what lies above those before it.
#[test]
fn what_demand_peaks_cost_adds_up_to_the_bill() {
    let folder = Folder::new("money-peaks");
    let site = SITE
        .replace("contract_kw = 900", "contract_kw = 400")
        .lines()
        .filter(|line| !line.starts_with("earlier_peaks"))
        .fold(String::new(), |text, line| text + line + "\n");
    let site = folder.file("site.toml", &site);
    let months = |name: &str, peaks: &[(&str, &str)]| {
        let raised = peaks.iter().fold(recording(), |csv, (at, used)| {
            let (before, after) = (
                format!("{at}:00+09:00,main,100,33,0"),
                format!("{at}:00+09:00,main,{used},0"),
            );
            assert_eq!(csv.matches(&before).count(), 1);
            csv.replace(&before, &after)
        });
        let (csv, out) = (folder.file(&format!("{name}.csv"), &raised), folder.path(name));
        check(&["replay", "--config", &site, "--csv", &csv, "--out", &out], 0, &[]);
        let summary = std::fs::read_to_string(folder.path(&format!("{name}/summary.json"))).unwrap();
        serde_json::from_str::<serde_json::Value>(&summary).unwrap()
    };
    let (flat, peaked) = (
        months("flat", &[]),
        months(
            "peaked",
            &[
                ("2025-03-04T10:00", "105,34.65"),
                ("2025-03-05T10:00", "110,36.3"),
                // Below what was billed before it: it costs nothing.
                ("2025-03-06T10:00", "103,33.99"),
                ("2025-03-07T10:00", "120,39.6"),
            ],
        ),
    );
    let demand = |summary: &serde_json::Value| -> f64 {
        let items = summary["months"][0]["bill"]["items"].as_array().unwrap();
        let of_demand = items
            .iter()
            .filter(|item| ["demand_charge", "excess_demand"].contains(&item["item"].as_str().unwrap()));
        of_demand.map(|item| item["amount"].as_f64().unwrap()).sum()
    };
    let of_peaks = peaked["findings"].as_array().unwrap();
    let of_peaks = of_peaks.iter().find(|kind| kind["kind"] == "demand_peak").unwrap();
    assert_eq!(of_peaks["count"], 4);
    // VAT of 10 % and the fund of 3.2 %; each of the four is rounded to the won.
    let (cost, expected) = (
        of_peaks["cost"].as_f64().unwrap(),
        (demand(&peaked) - demand(&flat)) * 1.132,
    );
    assert!(
        expected > 600_000.0 && (cost - expected).abs() <= 2.0,
        "{cost} for {expected}"
    );
}

#[test]
fn a_bill_is_printed_explained_and_compared() {
    let (folder, site, out) = replayed("money-bill");
    let bill = ["tariff", "bill", "-c", &site, "--from", &out, "--month", "2025-03"];
    // 768.5 kW of January, rounded; 20 working days; power factor 94.96 %.
    check(
        &bill,
        0,
        &[
            "billed demand 768.5 kW (2025-01) · coverage 100.0 %",
            "Demand charge           6,398,080",
            "Power factor, lagging  -38,388.48",
            "Climate charge          2,678,400",
            "The maximum demand of 2024-07, 2024-08, 2024-09 is not known",
        ],
    );
    let explained = check(
        &[&bill[..], &["--explain", "--lang", "ko"]].concat(),
        0,
        &[
            "769 kW × 8320",
            "2025-01 최대수요; 768.5 kW의 끝수 처리",
            "30분 구간 868개의 평균",
            "297,600 kWh × 9",
            "제41-43조",
            "청구금액",
            "공휴일로 계산한 날: 03-01, 03-03",
        ],
    );
    assert!(explained.lines().all(|line| line.chars().count() <= 100), "{explained}");
    let json = check(
        &[&bill[..], &["--format", "json"]].concat(),
        0,
        &["\"billing_kw\": 768.5"],
    );
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let total = json["bill"]["total"].as_f64().unwrap();
    assert!(total > 5e7 && (total / 10.0).fract() == 0.0, "{total}");
    // Typed in as it is: nothing differs; with another demand and an item that we do not charge: both are named.
    let same = folder.file("same.toml", &format!("month = \"2025-03-01\"\ntotal = {total}\n"));
    check(
        &[&bill[..], &["--entered", &same]].concat(),
        0,
        &["Everything that was entered is the same."],
    );
    let other = folder.file(
        "other.toml",
        "month = \"2025-03\"\ntotal = 60000000\nbilling_demand_kw = 800\nenergy_import_kwh = 297600\n\
         items = { demand_charge = 6656000, climate = 2678400, other = 2500 }\n",
    );
    check(
        &[&bill[..], &["--entered", &other]].concat(),
        0,
        &[
            "Billed demand, kW",
            "earlier_peaks",
            "Other charges",
            "2,500",
            "of it lies in items that were not entered",
        ],
    );
}

#[test]
fn the_three_questions_are_answered_at_an_instant() {
    let (_folder, site, out) = replayed("money-price");
    let at =
        |instant: &'static str| ["tariff", "price", "-c", &site, "--from", &out, "--at", instant].map(str::to_owned);
    let ask = |instant, texts: &[&str]| {
        let args = at(instant);
        check(&args.iter().map(String::as_str).collect::<Vec<_>>(), 0, texts)
    };
    // A working afternoon in April: 164.1 + 9 + 5, with 13.2 % on top; April is not remembered.
    ask(
        "2025-04-15T14:00+09:00",
        &[
            "201.61 KRW (peak)",
            "on this bill, above 768.5 kW",
            "bill so far",
            "bill will end",
        ],
    );
    // The night does not count for the demand.
    ask(
        "2025-04-15T23:00+09:00",
        &["141.39 KRW (light)", "demand of this band does not count"],
    );
    // Long after the data, the answer says what it does not know.
    let later = ask(
        "2025-09-15T14:00+09:00",
        &[
            "The maximum demand of 2025-07, 2025-08 is not known",
            "Nothing is known of the use since 2025-04-16T00:00:00+09:00",
        ],
    );
    assert!(!later.contains("bill so far"), "{later}");
    check(
        &[
            "tariff",
            "price",
            "-c",
            &site,
            "--from",
            &out,
            "--at",
            "2024-05-01T00:00+09:00",
        ],
        2,
        &["no [[contract]] has begun"],
    );
}

#[test]
fn tariffs_are_listed_and_shown_with_their_sources() {
    check(
        &["tariff", "show"],
        0,
        &["kepco-industrial-b-high-a-2", "us-commercial-tou"],
    );
    check(
        &[
            "tariff",
            "show",
            "kepco-industrial-b-high-a-2",
            "--day",
            "2026-04-16",
            "--lang",
            "ko",
        ],
        0,
        &[
            "산업용(을) 고압A 선택Ⅱ",
            "150.9",
            "15-21",
            "하한: 계약전력의 30 %",
            "(이어 쓴 값)",
            "토요일, 일요일, 공휴일 11-14시",
            "2026-09-30까지 적용받지 않음",
            "진상 22-08시: 기준 95 %",
            "60 % 이상 넘으면 단가의 4배",
            "청구금액 10: 절사",
        ],
    );
    check(
        &["tariff", "show", "us-commercial-tou", "--lang", "en"],
        0,
        &[
            "summer, peak: 20 USD/kW above 0 kW, 15 USD/kW above 100 kW",
            "30 USD each month",
        ],
    );
    check(
        &["tariff", "show", "kepco-industrial-a1-low", "--lang", "en"],
        0,
        &["lagging: reference 92 %, of the month's sums, held to 60–97 %"],
    );
    check(
        &["tariff", "show", "kepco-industrial-b-high-a-2", "--day", "2020-01-01"],
        2,
        &["holds on 2020-01-01: the first one begins on 2024-10-24"],
    );
    check(
        &["tariff", "show", "kepco-industrial-b-high-a-2", "--area", "mars"],
        2,
        &["areas of its own: jeju"],
    );
    check(
        &["tariff", "show", "kepco-industrial-b-high-a-22"],
        2,
        &["did you mean"],
    );
}

#[test]
fn no_line_of_a_tariff_is_wider_than_a_terminal() {
    let names = check(&["tariff", "show"], 0, &[]);
    let names = names.lines().filter_map(|line| line.split_whitespace().next());
    for (name, day, lang) in names.flat_map(|name| {
        let days = ["2025-12-01", "2026-05-01", "2026-07-01"];
        days.into_iter()
            .flat_map(move |day| ["ko", "en"].map(|lang| (name, day, lang)))
    }) {
        let shown = check(&["tariff", "show", name, "--day", day, "--lang", lang], 0, &[]);
        for line in shown.lines() {
            assert!(line.width() <= 80, "{name} {day} {lang}: {line}");
        }
    }
}

#[test]
fn a_months_energy_is_walked_down_to_what_it_was_made_of() {
    let (_folder, site, out) = replayed("money-energy");
    let energy = ["energy", "-c", &site, "--from", &out];
    check(
        &energy,
        0,
        &[
            "2025-03  297,600.00   400.00        100.0 %",
            "2025-04  144,000.00   400.00  50.0 % (part)",
        ],
    );
    check(
        &[&energy[..], &["--by", "day", "--month", "2025-04"]].concat(),
        0,
        &["2025-04-15  9,600.00"],
    );
    check(
        &[&energy[..], &["--month", "2025-03", "--explain"]].concat(),
        0,
        &[
            "main 2025-03: 297,600.00 kWh",
            "1. intervals: 2976 of 15 min, coverage 100.0 %",
            "2. registers: none: energy of intervals or power, before repairs, 297,600.00 kWh",
            "3. repairs: none",
            "fed by recordings",
            "Energy, light load: 163200 kWh × 110.9",
            "297,600.00 kWh: without a factor",
        ],
    );
    check(
        &[&energy[..], &["--meter", "mian"]].concat(),
        2,
        &["no meter is called \"mian\""],
    );
    check(
        &[&energy[..], &["--month", "2024-01"]].concat(),
        2,
        &["nothing is known of meter"],
    );
}

#[test]
fn what_cannot_be_billed_is_said() {
    let (folder, site, out) = replayed("money-wrong");
    check(
        &["tariff", "bill", "-c", &site, "--from", &out, "--month", "2024-01"],
        2,
        &["there are bills from 2025-03 to 2025-04"],
    );
    check(
        &["tariff", "bill", "-c", &site, "--from", &folder.path("nowhere")],
        2,
        &["is it the folder that `replay --out` wrote?"],
    );
    let wrong = folder.file("wrong.toml", "month = \"2025-03-01\"\ntotall = 5\n");
    check(
        &["tariff", "bill", "-c", &site, "--from", &out, "--entered", &wrong],
        2,
        &["totall"],
    );
    let april = folder.file("april.toml", "month = \"2025-04-01\"\ntotal = 5\n");
    check(
        &[
            "tariff",
            "bill",
            "-c",
            &site,
            "--from",
            &out,
            "--month",
            "2025-03",
            "--entered",
            &april,
        ],
        2,
        &["april.toml", "is that of 2025-04, and 2025-03 was reckoned"],
    );
    let without = folder.file(
        "without.toml",
        &SITE.replace(
            "tariff = \"kepco-industrial-b-high-a-2\"",
            "tariff = \"kepco-industrial-a1-low\"",
        ),
    );
    check(
        &["tariff", "bill", "-c", &without, "--from", &out, "--month", "2025-03"],
        0,
        &["billed demand 900 kW"],
    );
    let with = |text: &str, name: &str, key: &str| {
        folder.file(
            name,
            &text.replace("contract_kw = 900", &format!("contract_kw = 900\n{key}")),
        )
    };
    let without = std::fs::read_to_string(&without).unwrap();
    for (site, billed) in [
        (
            with(&without, "low-metered.toml", "demand_meter = true"),
            "billed demand 768.5 kW",
        ),
        (
            with(SITE, "unmetered.toml", "demand_meter = false"),
            "billed demand 900 kW",
        ),
    ] {
        check(
            &["tariff", "bill", "-c", &site, "--from", &out, "--month", "2025-03"],
            0,
            &[billed],
        );
    }
}
