//! Reads the sources: who imports whom, that every file says what it is for, and that files and functions stay short.
//!
//! What clippy can see (the wall clock, unbounded channels, Modbus writes) stands in `clippy.toml`. Tests may import
//! what they like. Invariant: a part that is not in the table fails the test, so that nobody adds one in passing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Files of one purpose and no state of their own, that any part may import.
const SHARED: &[&str] = &["clock", "health", "secret", "language", "outbound"];

/// A file or folder of agent/src, what it may import besides [`SHARED`] and the crate `energy`, and why.
const ARROWS: &[(&str, &[&str], &str)] = &[
    ("acquire", &[], "it hands samples over and knows nobody who takes them"),
    ("plant", &[], "a simulated factory knows nothing of who reads it"),
    ("store", &[], "everyone after the log reads it; it knows none of them"),
    (
        "record",
        &["acquire", "store"],
        "it takes samples from one and commits them to the other",
    ),
    ("forward", &["store"], "a reader of the log"),
    ("alert", &["store"], "a reader of the log"),
    ("report", &["store"], "figures are made from the ledger"),
    ("web", &["alert", "report", "store"], "it shows what they hold"),
    (
        "replay",
        &["acquire"],
        "recorded files through the engine, without a store",
    ),
    (
        "config",
        &["acquire", "alert", "forward", "record", "store", "web"],
        "it fills each part's own Config; no part imports it",
    ),
    (
        "app",
        &[
            "acquire", "alert", "config", "forward", "record", "report", "store", "web",
        ],
        "it starts and stops them all",
    ),
    (
        "cli",
        &[
            "acquire", "app", "config", "forward", "plant", "replay", "report", "store",
        ],
        "commands start the agent or use a part of it; nothing imports a command",
    ),
    ("main", &["cli"], "it hands the arguments on"),
    ("lib", &[], "the list of parts"),
];

/// Crates that `energy` may use: what it knows must not need a socket, a file or a runtime.
const ENERGY_CRATES: &[&str] = &["jiff", "rust_decimal", "serde", "thiserror"];
/// What the thinking part may not touch.
const NOT_IN_ENERGY: &[&str] = &[
    "std::fs",
    "std::net",
    "std::io",
    "std::thread",
    "std::process",
    "async fn",
];

/// Lines of a file before its tests: what one reads at a sitting.
const FILE_LINES: usize = 500;
/// Lines of a function, its signature included, blank lines and comments not.
const FUNCTION_LINES: usize = 70;

const AGENT: &str = env!("CARGO_MANIFEST_DIR");

/// All Rust files below a folder of agent/, with their text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(AGENT).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(AGENT).unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

/// What stands before the tests at the end of a file.
fn before_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod ").next().unwrap()
}

/// The code with comments, texts and characters blanked out; line ends stay.
fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = match next {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '"' => text_length(rest),
            'r' if !code.ends_with(is_word) => raw_text_length(rest),
            '\'' => character_length(rest),
            _ => 0,
        };
        if skipped == 0 {
            code.push(next);
            rest = &rest[next.len_utf8()..];
        } else {
            code.extend(rest[..skipped].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[skipped..];
        }
    }
    code
}

fn text_length(rest: &str) -> usize {
    let mut is_escaped = false;
    let end = rest.char_indices().skip(1).find(|&(_, c)| {
        let is_end = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    });
    end.map_or(rest.len(), |(at, _)| at + 1)
}

/// Length of `r"…"` and `r#"…"#`; 0 when this is a word that begins with r.
fn raw_text_length(rest: &str) -> usize {
    let hashes = &rest[1..][..rest[1..].bytes().take_while(|&byte| byte == b'#').count()];
    let start = 1 + hashes.len();
    if !rest[start..].starts_with('"') {
        return 0;
    }
    let end = rest[start + 1..].find(&format!("\"{hashes}"));
    end.map_or(rest.len(), |at| start + 1 + at + 1 + hashes.len())
}

/// Length of `'x'` and `'\n'`; 0 when this begins a lifetime.
fn character_length(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => rest[3..].find('\'').map_or(0, |at| at + 4),
        _ => characters
            .next()
            .filter(|&(_, c)| c == '\'')
            .map_or(0, |(at, _)| at + 1),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The parts that code in a module of this depth names, by `crate::`, `wattwarden::` or `super::` up to the root.
fn imports(code: &str, depth: usize) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for root in ["crate::".to_owned(), "wattwarden::".to_owned(), "super::".repeat(depth)] {
        for (at, _) in code.match_indices(&root) {
            let is_whole = !code[..at].ends_with(|c| is_word(c) || c == ':' || c == '$');
            if is_whole {
                found.extend(first_words(&code[at + root.len()..]));
            }
        }
    }
    found
}

/// `a` of `a::b`; `a` and `c` of `{a::{b}, c}`.
fn first_words(path: &str) -> Vec<String> {
    let word = |text: &str| {
        text.trim_start()
            .chars()
            .take_while(|&c| is_word(c))
            .collect::<String>()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![word(path)];
    };
    let mut depth = 0;
    let inner = group.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0 || depth < 0
    });
    let mut words = Vec::new();
    let mut read = 0;
    for one in inner {
        words.push(word(one));
        read += one.len();
        if group[read..].starts_with('}') {
            break;
        }
        read += 1;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Lines of code of every function, by name.
fn functions(code: &str) -> Vec<(String, usize)> {
    let starts = code
        .match_indices("fn ")
        .filter(|&(at, _)| !code[..at].ends_with(is_word));
    starts
        .filter_map(|(at, _)| {
            let signature = &code[at..];
            let mut brackets = 0;
            let body = signature.find(|c| {
                brackets += i32::from(matches!(c, '(' | '[')) - i32::from(matches!(c, ')' | ']'));
                brackets == 0 && matches!(c, '{' | ';')
            })?;
            if signature[body..].starts_with(';') {
                return None;
            }
            let mut depth = 0;
            let end = signature[body..].find(|c| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                depth == 0
            })?;
            let name = signature[3..].chars().take_while(|&c| is_word(c)).collect();
            let lines = signature[..=body + end].lines().filter(|line| !line.trim().is_empty());
            Some((name, lines.count()))
        })
        .collect()
}

#[test]
fn no_arrow_runs_against_the_table() {
    let mut faults = Vec::new();
    for (path, text) in sources("src") {
        let inner = path.strip_prefix("src").unwrap();
        let part = Path::new(inner.iter().next().unwrap())
            .file_stem()
            .unwrap()
            .to_str()
            .unwrap();
        let allowed = match ARROWS.iter().find(|(name, ..)| *name == part) {
            Some((_, allowed, _)) => *allowed,
            None if SHARED.contains(&part) => &[],
            None => {
                faults.push(format!("{}: {part} is not in the table of this test", path.display()));
                continue;
            }
        };
        let depth = inner.iter().count() - usize::from(inner.ends_with("mod.rs"));
        for imported in imports(&code_only(before_tests(&text)), depth) {
            let is_known = SHARED.contains(&&*imported) || ARROWS.iter().any(|(name, ..)| *name == imported);
            let is_allowed = imported == part || SHARED.contains(&&*imported) || allowed.contains(&&*imported);
            if is_known && !is_allowed {
                faults.push(format!(
                    "{}: {part} may not import {imported}, only {allowed:?}",
                    path.display()
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_thinking_part_touches_nothing() {
    let manifest = fs::read_to_string(format!("{AGENT}/energy/Cargo.toml")).unwrap();
    let section = manifest
        .split("[dependencies]\n")
        .nth(1)
        .unwrap()
        .split("\n[")
        .next()
        .unwrap();
    for line in section
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let name = line.split(['.', ' ', '=']).next().unwrap();
        assert!(
            ENERGY_CRATES.contains(&name),
            "energy may not depend on {name}, only {ENERGY_CRATES:?}"
        );
    }
    for (path, text) in sources("energy/src") {
        let code = code_only(before_tests(&text));
        let found = NOT_IN_ENERGY.iter().find(|banned| code.contains(**banned));
        assert_eq!(found, None, "{}: the thinking part does no such thing", path.display());
    }
}

#[test]
fn every_file_says_at_its_top_what_it_is_for() {
    let folders = ["src", "energy/src", "energy/tests", "tests", "benches", "xtask/src"];
    let files = folders.into_iter().flat_map(sources);
    let silent: Vec<PathBuf> = files
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(silent, Vec::<PathBuf>::new());
}

#[test]
fn files_and_functions_stay_short() {
    let mut faults = Vec::new();
    for (path, text) in ["src", "energy/src", "benches", "xtask/src"]
        .into_iter()
        .flat_map(sources)
    {
        let text = before_tests(&text);
        let lines = text.lines().count();
        if lines > FILE_LINES {
            faults.push(format!(
                "{}: {lines} lines before its tests, at most {FILE_LINES}",
                path.display()
            ));
        }
        let long = functions(&code_only(text))
            .into_iter()
            .filter(|(_, lines)| *lines > FUNCTION_LINES);
        faults.extend(
            long.map(|(name, lines)| format!("{}: {name} has {lines} lines, at most {FUNCTION_LINES}", path.display())),
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_reader_of_sources_reads_rightly() {
    let code =
        code_only("let a = \"fn x() { // \\\" }\"; // crate::web\nlet b = ('{', '\\'', r#\"\"}\"#); fn f<'a>() {}");
    assert!(!code.contains("web") && !code.contains("x()"), "{code}");
    assert_eq!(code.matches(['{', '}']).count(), 2, "{code}");
    let check = |code: &str, depth, expected: &[&str]| {
        let expected: BTreeSet<String> = expected.iter().map(|&name| name.into()).collect();
        assert_eq!(imports(code, depth), expected, "{code}");
    };
    check("use crate::store::Store;", 1, &["store"]);
    check(
        "use crate::{\n clock::{self, Clock}, store::{Commit, a::{b, c}},\n web};\nfn x() {}",
        1,
        &["clock", "store", "web"],
    );
    check(
        "fn x() { crate::app::start(); my_crate::web(); $crate::web::a() }",
        1,
        &["app"],
    );
    check("use super::web;", 1, &["web"]);
    check("use super::web;", 2, &[]);
    check("use super::super::{web, report};", 2, &["report", "web"]);
    assert_eq!(
        functions("fn a();\npub fn b(x: [u8; 2])\n{\n\n  if x { }\n}\nfn c() {}\n"),
        [("b".into(), 4), ("c".into(), 1)]
    );
}
