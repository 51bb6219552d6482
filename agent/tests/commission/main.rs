//! The commands that set a plant up, as the real program against servers that others wrote, over real sockets and a
//! pseudo-terminal: what they print in both languages within 80 columns, their JSON, their exit status.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod check_live;
mod discover;
#[path = "../modbus_support/mod.rs"]
mod modbus_support;
mod probe;
mod profile;
#[path = "../program_support/mod.rs"]
mod program_support;
mod refusals;
mod sunspec;

use modbus_support::server::Server;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

/// A plant of pymodbus's; `None` where it cannot be had.
async fn plant(test: &str, described: &Value) -> Option<(Server, String)> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/commission/server.py");
    let (server, place) = Server::start(test, script, &[&described.to_string()]).await?;
    let address = match described["kind"].as_str().unwrap() {
        "rtu" => place,
        "rtu+tcp" => format!("rtu+tcp://127.0.0.1:{place}"),
        _ => format!("tcp://127.0.0.1:{place}"),
    };
    Some((server, address))
}

/// Runs the program beside the server; wants this exit status and these texts.
async fn check(args: &[&str], status: i32, texts: &[&str]) -> String {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    let run = move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        program_support::check(&args, status, &texts)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// The same in both languages, of which the English one is handed back; no line is wider than a terminal.
async fn check_both(args: &[&str], status: i32, ko: &[&str], en: &[&str]) -> String {
    let mut last = String::new();
    for (lang, texts) in [("ko", ko), ("en", en)] {
        let text = check(&[args, &["--lang", lang]].concat(), status, &[]).await;
        let words: Vec<&str> = text.split_whitespace().collect();
        for wanted in texts {
            // Sentences are broken where a line ends.
            assert!(
                words.join(" ").contains(wanted),
                "{args:?}: {wanted:?} is not in\n{text}"
            );
        }
        // Diagnostics of `check` are as wide as what they are written to: a pipe has no width.
        let marks = ["note N", "참고 N", "= help: ", "= 조치: "];
        let is_diagnostic = |line: &&str| marks.iter().any(|mark| line.contains(mark));
        let wide = text
            .lines()
            .filter(|line| !is_diagnostic(line))
            .find(|line| line.width() > 80);
        assert_eq!(wide, None, "{text}");
        let has_korean = text.chars().any(|c| ('가'..='힣').contains(&c));
        assert_eq!(has_korean, lang == "ko", "{text}");
        last = text;
    }
    last
}

/// The program on a terminal, where somebody types these answers, one to a question.
async fn on_terminal(answers: &str, args: &[&str]) -> (Option<i32>, String) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/commission/terminal.py");
    let mut command = tokio::process::Command::new("python3");
    command
        .args([script, answers, env!("CARGO_BIN_EXE_wattwarden")])
        .args(args);
    let output = command.output().await.unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

/// Registers as [`server.py`] wants them.
fn registers(blocks: &[(u16, &[u16])]) -> Value {
    blocks
        .iter()
        .map(|(at, words)| (at.to_string(), json!(words)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The registers of a shipped profile's test vector, as [`server.py`] wants a unit.
fn of_vector(profile: &str) -> Value {
    let path = format!("{}/../config/meters/{profile}.toml", env!("CARGO_MANIFEST_DIR"));
    let parsed: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let mut unit = json!({"holding": {}, "input": {}});
    for reply in parsed["vector"][0]["replies"].as_array().unwrap() {
        let table = reply.get("table").and_then(toml::Value::as_str).unwrap_or("holding");
        let words: Vec<i64> = reply["words"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(toml::Value::as_integer)
            .collect();
        unit[table][reply["at"].as_integer().unwrap().to_string()] = json!(words);
    }
    unit
}

#[tokio::test]
async fn help_has_examples_and_fits_a_terminal() {
    let commands: [&[&str]; 7] = [
        &["probe"],
        &["discover"],
        &["profile"],
        &["profile", "list"],
        &["profile", "new"],
        &["profile", "test"],
        &["check"],
    ];
    for command in commands {
        let text = check(&[command, &["--help"]].concat(), 0, &[]).await;
        let wide = text.lines().find(|line| line.width() > 80);
        assert_eq!(wide, None, "{text}");
        assert!(
            command == ["profile"] || text.contains("Examples:\n  wattwarden "),
            "{text}"
        );
    }
}
