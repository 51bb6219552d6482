//! Bad input through the real program: a clear error with its place, the right exit status, nothing written.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod program_support;

use std::{fs, net::TcpListener, path::Path, process::Command, time::Duration};

use program_support::{Folder, check, wattwarden};

const SITE: &str = "[site]\nname = \"x\"\nzone = \"Asia/Seoul\"\nmain_meter = \"main\"\n[[meter]]\nname = \"main\"\n";

#[test]
fn a_configuration_is_refused_with_every_place() {
    let folder = Folder::new("config");
    let broken = format!("{SITE}lenght = 1\n[[bus]]\nname = \"a\"\nmodbus = \"tcp://\"\n[store\n");
    check(
        &["check", "--config", &folder.file("syntax.toml", &broken)],
        2,
        &["syntax.toml:11:"],
    );
    let wrong = format!(
        "{SITE}lenght = 1\n[[bus]]\nname = \"a\"\nmodbus = \"tcp://h:502\"\n[[meter]]\nname = \"m\"\nbus = \"a\"\nunit = 1\n\
         registers = [{{ at = 65535, type = \"f32\", quantity = \"active_power_kw\" }}]\n"
    );
    let path = folder.file("wrong.toml", &wrong);
    check(
        &["check", "--config", &path],
        2,
        &["wrong.toml:7:1", "lenght", "wrong.toml:15:", "65535"],
    );
    check(&["run", "--config", &path], 2, &["lenght", "nothing was started"]);
    check(&["run", "--config", &folder.path("absent.toml")], 2, &["absent.toml"]);
    check(&["check", "--config", &folder.path("")], 2, &["is a folder"]);
    fs::write(folder.0.join("utf16.toml"), b"[site]\nname = \"\xc0\xcc\"\n").unwrap();
    check(
        &["check", "--config", &folder.path("utf16.toml")],
        2,
        &["not a text in UTF-8: line 2", "save it as UTF-8"],
    );
}

#[test]
fn a_check_tells_of_a_store_that_cannot_be_used() {
    let folder = Folder::new("store");
    let config = folder.file("site.toml", &format!("{SITE}[store]\npath = \"absent\"\n"));
    let warning = ["W2007", "site.toml:8:8", "mkdir -p", "0 errors, 1 warning"];
    check(&["check", "--config", &config], 0, &warning);
    check(&["check", "--strict", "--config", &config], 4, &["W2007"]);
    folder.file("absent", "");
    check(
        &["check", "--config", &config],
        0,
        &["is a file: store.path names a folder"],
    );
    check(
        &["run", "--config", &config],
        2,
        &["is a file: store.path names a folder"],
    );
    fs::remove_file(folder.0.join("absent")).unwrap();
    fs::create_dir(folder.0.join("absent")).unwrap();
    check(
        &["check", "--strict", "--config", &config],
        0,
        &["0 errors, 0 warnings"],
    );
    assert_eq!(
        fs::read_dir(folder.0.join("absent")).unwrap().count(),
        0,
        "check leaves nothing behind"
    );
}

/// Notes are for `check`; a terminal's width is kept.
#[test]
fn what_is_only_worth_knowing_is_said_by_check_alone() {
    let folder = Folder::new("notes");
    let config = folder.file(
        "site.toml",
        &format!("{SITE}[[meter]]\nname = \"spare\"\n[store]\npath = \".\"\n"),
    );
    check(&["check", "--config", &config], 0, &["N3001", "site.toml:8:8"]);
    let csv = folder.file("one.csv", "time,meter,active_power_kw\n2026-01-31T15:00:00Z,main,1\n");
    let output = wattwarden(&[
        "replay",
        "--config",
        &config,
        "--csv",
        &csv,
        "--out",
        &folder.path("out"),
    ]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_recording_is_refused_whole() {
    let folder = Folder::new("csv");
    let config = folder.file("site.toml", SITE);
    let csv = folder.file(
        "bad.csv",
        "time,meter,interval_energy_kwh\n2026-01-01T00:00:00Z,main,1\n2026-01-01T00:15:00Z,main,abc\nx,main,1\n",
    );
    let out = folder.path("out");
    check(
        &["replay", "--config", &config, "--csv", &csv, "--out", &out],
        2,
        &[
            "bad.csv: line 3, column \"interval_energy_kwh\"",
            "bad.csv: line 4, column \"time\"",
            "nothing was written",
        ],
    );
    assert!(!Path::new(&out).exists());
    check(
        &[
            "replay",
            "--config",
            &config,
            "--csv",
            &folder.path("absent.csv"),
            "--out",
            &out,
        ],
        2,
        &["absent.csv"],
    );
    check(
        &[
            "replay",
            "--config",
            &config,
            "--csv",
            &csv,
            "--map",
            &folder.path("absent.toml"),
            "--out",
            &out,
        ],
        2,
        &["absent.toml"],
    );
}

#[test]
fn rows_of_meters_that_nobody_knows_are_not_left_out_in_silence() {
    let folder = Folder::new("unknown");
    let config = folder.file("site.toml", SITE);
    let map = folder.file(
        "map.toml",
        "[time]\ncolumn = \"t\"\nformat = \"rfc3339\"\n[meter]\nname = \"mian\"\n[columns]\nkW = \"active_power_kw\"\n",
    );
    let foreign = folder.file("foreign.csv", "t,kW\n2026-01-01T00:00:00Z,1\n");
    let out = folder.path("out");
    let replay = |csv: &str, more: &[&str]| {
        let args = [
            "replay", "--config", &config, "--csv", csv, "--out", &out, "--lang", "en",
        ];
        let args = args.into_iter().chain(more.iter().copied());
        args.map(str::to_owned).collect::<Vec<_>>()
    };
    let check = |args: Vec<String>, status, texts: &[&str]| {
        check(&args.iter().map(String::as_str).collect::<Vec<_>>(), status, texts);
    };
    check(
        replay(&foreign, &["--map", &map]),
        2,
        &["map.toml:5:8", "did you mean \"main\"?"],
    );
    let row = |meter: &str| format!("2026-01-01T00:00:00Z,{meter},1\n");
    let head = "time,meter,active_power_kw\n";
    let none = folder.file("none.csv", &format!("{head}{}", row("mian")));
    check(
        replay(&none, &[]),
        2,
        &[
            "1 row of \"mian\" left out",
            "did you mean \"main\"?",
            "no row is of a meter of the configuration",
        ],
    );
    assert!(!Path::new(&out).exists());
    let some = folder.file(
        "some.csv",
        &format!("{head}{}{}{}", row("main"), row("press"), row("press")),
    );
    check(
        replay(&some, &[]),
        0,
        &["2 rows of \"press\" left out", "2 of unknown meters"],
    );
}

#[test]
fn recordings_and_folders_that_hold_nothing_are_named() {
    let folder = Folder::new("empty");
    let config = folder.file("site.toml", SITE);
    let head = "time,meter,interval_energy_kwh\n";
    let good = folder.file("good.csv", &format!("{head}2026-01-01T00:00:00Z,main,1\n"));
    let bad = folder.file("bad.csv", &format!("{head}2026-01-01T00:00:00Z,main,-1\n"));
    let wrong = folder.file("wrong.csv", &format!("{head}2026-01-01T00:00:00Z,main,x\n"));
    let out = folder.path("out");
    for (csv, out, status, text) in [
        (
            folder.file("empty.csv", ""),
            &out,
            2,
            "empty.csv: line 1: the file is empty",
        ),
        (folder.file("head.csv", head), &out, 2, "headings and no rows"),
        (wrong, &out, 2, "1 cell or row cannot be read"),
        (good.clone(), &good, 2, "--out"),
        (good.clone(), &"/proc/none".to_owned(), 2, "--out /proc/none"),
        (bad, &out, 0, "1 bad"),
    ] {
        check(
            &[
                "replay", "--config", &config, "--csv", &csv, "--out", out, "--lang", "en",
            ],
            status,
            &[text],
        );
    }
    let summary = fs::read_to_string(folder.0.join("out/summary.json")).unwrap();
    assert!(
        summary.contains("\"energy_import_kwh\": null"),
        "a negative amount is no energy:\n{summary}"
    );
}

#[test]
fn a_report_says_what_there_is() {
    let folder = Folder::new("report");
    let config = folder.file("site.toml", SITE);
    let csv = folder.file(
        "one.csv",
        "time,meter,interval_energy_kwh\n2026-01-31T15:00:00Z,main,1\n",
    );
    let out = folder.path("out");
    check(
        &[
            "replay", "--config", &config, "--csv", &csv, "--out", &out, "--lang", "en",
        ],
        0,
        &["2026-02", "1 row →"],
    );
    check(
        &["report", "--month", "2026-02", "--from", &out, "--format", "json"],
        0,
        &["\"energy_import_kwh\": 1.0"],
    );
    check(
        &["report", "--month", "2026-03", "--from", &out],
        2,
        &["it has 2026-02"],
    );
    check(
        &["report", "--month", "2026-03"],
        2,
        &["--config FILE, or --from FOLDER"],
    );
    check(&["report", "--month", "March", "--from", &out], 2, &["March"]);
}

fn runnable(folder: &Folder, store: &str, port: u16) -> String {
    let text = format!("{SITE}[store]\npath = \"{store}\"\n[web]\nlisten = \"127.0.0.1:{port}\"\n");
    folder.file(&format!("run-{store}-{port}.toml"), &text)
}

#[test]
fn an_agent_that_cannot_start_says_how_to_mend_it() {
    let folder = Folder::new("run");
    check(
        &["run", "--config", &runnable(&folder, "absent", 0)],
        2,
        &["absent", "mkdir -p"],
    );
    fs::create_dir_all(folder.0.join("store")).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    check(
        &["run", "--config", &runnable(&folder, "store", port)],
        2,
        &["cannot listen", "listen"],
    );
}

#[test]
fn a_second_agent_leaves_the_store_alone() {
    let folder = Folder::new("second");
    fs::create_dir_all(folder.0.join("store")).unwrap();
    let config = runnable(&folder, "store", 0);
    let mut first = Command::new(env!("CARGO_BIN_EXE_wattwarden"))
        .args(["run", "--config", &config])
        .spawn()
        .unwrap();
    let lock = folder.0.join("store/wattwarden.sqlite");
    for _ in 0..500 {
        if lock.exists() {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    std::thread::park_timeout(Duration::from_millis(300));
    check(
        &["run", "--config", &config],
        2,
        &["in use by another wattwarden", &first.id().to_string()],
    );
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn a_demo_that_cannot_do_what_was_asked_is_not_begun() {
    let folder = Folder::new("demo");
    fs::create_dir_all(&folder.0).unwrap();
    let absent = folder.path("absent/truth.jsonl");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("http://{free}");
    for (args, status, texts) in [
        (["--truth", &absent], 2, &["--truth", "absent/truth.jsonl"][..]),
        (["--influx", "ftp://x"], 2, &["--influx", "http://HOST:PORT"]),
        (["--influx", &nobody], 3, &[&nobody, "is an InfluxDB there?"]),
        (
            ["--listen", "0.0.0.0:9999"],
            2,
            &["--listen", "no sign-in", "127.0.0.1:9999"],
        ),
        (["--seed", "x"], 2, &["--seed", "a whole number from 0"]),
    ] {
        let args = ["demo", "--duration", "1s", args[0], args[1]];
        check(&args, status, texts);
        let printed = String::from_utf8(wattwarden(&args).stderr).unwrap();
        assert!(
            !printed.contains("wattwarden.toml"),
            "the user wrote no file:\n{printed}"
        );
        assert_eq!(printed.matches(args[4]).count(), 1, "said once:\n{printed}");
    }
}

#[test]
fn help_fits_a_terminal() {
    for command in ["", "demo", "check", "run", "replay", "report", "export"] {
        let help: Vec<&str> = [command, "--help"].into_iter().filter(|arg| !arg.is_empty()).collect();
        let printed = String::from_utf8(wattwarden(&help).stdout).unwrap();
        for line in printed.lines() {
            assert!(line.chars().count() <= 80, "{command} --help: {line:?}");
        }
    }
}

/// Quarter hours of a site that measures demand by the half hour: they would be counted nowhere, so nothing is written.
#[test]
fn energy_of_intervals_that_are_not_the_sites_is_refused() {
    let folder = Folder::new("off-grid");
    let site = SITE.replace("main_meter", "demand_interval = \"30m\"\nmain_meter");
    let site = folder.file("site.toml", &site);
    let csv = "time,meter,interval_energy_kwh\n2026-01-01T00:00:00+09:00,main,5\n2026-01-01T00:15:00+09:00,main,5\n";
    let csv = folder.file("data.csv", csv);
    let out = folder.path("out");
    check(
        &["replay", "--config", &site, "--csv", &csv, "--out", &out],
        2,
        &[
            "interval_energy_kwh of main at 2026-01-01T00:15:00+09:00: no demand interval of 30 min begins there",
            "nothing was written",
        ],
    );
    assert!(!Path::new(&out).exists());
}
