//! Whether the Korean of a text says what its English says, as far as a machine can see: part of several test modules.

/// What the system and libraries say stays as it is, in both.
const SAID_BY_OTHERS: [&str; 2] = ["No such file or directory", "I/O error"];
/// So many English words in a row are a sentence; fewer are a name, a unit or a key.
const SENTENCE: usize = 4;

/// Panics where the Korean has no Hangul, quotes other values than the English, or holds an English sentence. What a
/// library says may follow a Korean lead-in whole.
pub(super) fn check(ko: &str, en: &str) {
    let own = ko.strip_suffix(en).unwrap_or(ko);
    assert!(own.contains(|c| ('가'..='힣').contains(&c)), "no Korean: {ko}");
    let of = |text: &str| {
        let mut quoted = quoted(text).0;
        quoted.sort_unstable();
        quoted
    };
    assert_eq!(of(ko), of(en), "other values are quoted: {ko} / {en}");
    let mut unquoted = quoted(own).1;
    for said in SAID_BY_OTHERS {
        unquoted = unquoted.replace(said, ",");
    }
    let mut run = 0;
    for word in unquoted.split(' ') {
        let is_word = |c: char| c.is_ascii_alphabetic() || c == '\'';
        run = if !word.is_empty() && word.chars().all(is_word) {
            run + 1
        } else {
            0
        };
        assert!(run < SENTENCE, "an English sentence: {ko}");
    }
}

/// The texts in quotes, each once, and what is left without them and what stands in backticks.
fn quoted(text: &str) -> (Vec<String>, String) {
    let (mut found, mut rest): (Vec<String>, String) = (vec![], String::new());
    let mut open: Option<(char, String)> = None;
    let mut is_escaped = false;
    for c in text.chars() {
        match &mut open {
            Some((end, inside)) if c == *end && !is_escaped => {
                if c == '"' && !found.contains(inside) {
                    found.push(std::mem::take(inside));
                }
                open = None;
            }
            Some((_, inside)) => {
                inside.push(c);
                is_escaped = c == '\\' && !is_escaped;
            }
            None if c == '"' || c == '`' => open = Some((c, String::new())),
            None => rest.push(c),
        }
    }
    (found, rest)
}
