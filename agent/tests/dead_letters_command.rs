//! `wattwarden dead-letters` through the real program: counts, one letter whole, JSON, 80 columns, and what is wrong.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod program_support;

use std::process::Command;

use program_support::{Folder, check, wattwarden};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;
use wattwarden::{
    health::Health,
    store::{Config, DeadLetter, Store},
};

/// A store with three letters, and the configuration that names it.
async fn kept() -> (Folder, String) {
    let folder = Folder::new("dead-letters");
    let path = folder.0.join("store");
    std::fs::create_dir_all(&path).unwrap();
    let text = "[site]\nname = \"s\"\nzone = \"Asia/Seoul\"\n[store]\npath = \"store\"\n";
    let config = folder.file("w.toml", text);
    let store = Config {
        path,
        max_size: 64 << 20,
    };
    let store = Store::open(&store, &Health::default()).unwrap();
    let long = format!(
        "not_json: plant/압축기/power: meter \"압축기-1\": {}",
        "아주 긴 사유 ".repeat(20)
    );
    for (source, reason, payload) in [
        ("mqtt:hall", long.as_str(), "\u{1b}[2J{\"p\": "),
        ("influx:plant", "field type conflict: input field", "power v=1"),
        (
            "mqtt:hall",
            "wrong_type: plant/dryer: meter \"dryer\": \"/p\" leads to true",
            "{\"p\": true}",
        ),
    ] {
        let letter = DeadLetter {
            at: "2026-08-28T08:10:00Z".parse().unwrap(),
            source: source.into(),
            reason: reason.into(),
            payload: payload.into(),
        };
        store.dead_letter(letter).await.unwrap();
    }
    store.close().await.unwrap();
    (folder, config)
}

#[tokio::test]
async fn letters_are_counted_listed_and_shown() {
    let (_folder, config) = kept().await;
    let list = |more: &[&'static str]| [&["dead-letters", "list", "-c", &config], more].concat();
    for lang in ["en", "ko"] {
        let text = check(
            &list(&["--lang", lang]),
            0,
            &["type_conflict", "not_json", "2026-08-28 17:10:00"],
        );
        assert!(
            text.contains("아주 긴 사유 ".repeat(20).trim_end()),
            "whole where no terminal is: {text}"
        );
        let places: Vec<_> = ["3  2026", "2  2026", "1  2026"]
            .iter()
            .map(|line| text.find(line))
            .collect();
        assert!(places.is_sorted() && places[0].is_some(), "newest first: {text}");
    }
    let narrow = Command::new(env!("CARGO_BIN_EXE_wattwarden"))
        .args(list(&[]))
        .env("COLUMNS", "80")
        .output();
    let narrow = String::from_utf8(narrow.unwrap().stdout).unwrap();
    assert!(
        narrow.contains('…') && narrow.lines().all(|line| line.width() <= 80),
        "{narrow}"
    );
    let found = check(
        &list(&["--format", "json", "--source", "mqtt:hall", "--limit", "1"]),
        0,
        &[],
    );
    let found: Value = serde_json::from_str(&found).unwrap();
    let counts = json!([
        {"source": "mqtt:hall", "reason": "not_json", "count": 1},
        {"source": "mqtt:hall", "reason": "wrong_type", "count": 1},
    ]);
    assert_eq!((&found["counts"], &found["total"]), (&counts, &json!(2)));
    assert_eq!(found["letters"][0]["payload"], "{\"p\": true}");
    assert_eq!(found["letters"].as_array().unwrap().len(), 1);
    check(
        &list(&["--reason", "too_large", "--lang", "en"]),
        0,
        &["No dead letters."],
    );

    let show = |id: &'static str, more: &[&'static str]| [&["dead-letters", "show", id, "-c", &config], more].concat();
    let text = check(
        &show("1", &["--lang", "ko"]),
        0,
        &["사유", "압축기-1", "\\u{1b}[2J{\"p\": "],
    );
    assert!(
        text.lines().all(|line| line.width() <= 80) && !text.contains('\u{1b}'),
        "{text}"
    );
    let one: Value = serde_json::from_str(&check(&show("2", &["--format", "json"]), 0, &[])).unwrap();
    assert_eq!(
        (&one["reason"], &one["source"]),
        (&json!("type_conflict"), &json!("influx:plant"))
    );
    check(
        &show("99", &[]),
        2,
        &["no dead letter has the number 99", "dead-letters list"],
    );
}

#[test]
fn help_has_examples_and_fits_a_terminal() {
    for args in [
        &["dead-letters", "--help"][..],
        &["dead-letters", "list", "--help"],
        &["dead-letters", "show", "--help"],
    ] {
        let text = String::from_utf8(wattwarden(args).stdout).unwrap();
        assert!(text.lines().all(|line| line.width() <= 80), "{text}");
        assert!(
            args.len() == 2 || text.contains("Examples:\n  wattwarden dead-letters"),
            "{text}"
        );
    }
}
