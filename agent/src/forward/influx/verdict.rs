//! What a server's answer to a write means for the lines: the verdict. Pure.
//!
//! Only `Accepted` and `Rejected` settle lines. Invariants: a fault of the set-up (wrong token, no such bucket, a proxy
//! in between) never costs a line; lines are refused only by a server that speaks InfluxDB's errors, and one bad line
//! costs one line. Sending a line twice is harmless: a point is overwritten by itself.

use std::time::Duration;

use serde_json::Value;

use super::line::Line;

/// What to do with the lines of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The server has them all.
    Accepted,
    /// The server will never take the lines of these indices; the others go again.
    Rejected {
        /// Indices into the request's lines, ascending.
        lines: Vec<usize>,
        /// The server's words.
        why: String,
    },
    /// Some line is bad, or there are too many: go again in halves.
    Split {
        /// The server's words.
        why: String,
    },
    /// The server cannot now: all go again later.
    Retry {
        /// What it asked for.
        after: Option<Duration>,
        /// What happened.
        why: String,
    },
    /// A person must mend the set-up; all are kept and go again slowly.
    Hold {
        /// The server's words.
        why: String,
    },
}

impl Verdict {
    /// Its name as a label.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected { .. } => "rejected",
            Self::Split { .. } => "split",
            Self::Retry { .. } => "retry",
            Self::Hold { .. } => "hold",
        }
    }
}

/// A server's answer.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After`, read and capped.
    pub retry_after: Option<Duration>,
    /// The start of the body.
    pub body: &'a str,
}

/// The verdict of an answer to these lines; `Err` = there was none, and why.
pub fn judge(reply: Result<Reply<'_>, String>, lines: &[&Line]) -> Verdict {
    let reply = match reply {
        Ok(reply) => reply,
        Err(why) => return Verdict::Retry { after: None, why },
    };
    let why = format!("{}: {}", reply.status, excerpt(reply.body));
    let retry = |why| Verdict::Retry {
        after: reply.retry_after,
        why,
    };
    match reply.status {
        204 => Verdict::Accepted,
        200..=299 if reply.body.trim().is_empty() => Verdict::Accepted,
        400 | 422 => match message(reply.body) {
            Some(message) => judge_lines(&message, reply.body, lines),
            None => retry(format!("not an answer of InfluxDB: {why}")),
        },
        413 if lines.len() == 1 => Verdict::Rejected { lines: vec![0], why },
        413 => Verdict::Split { why },
        408 | 429 | 500..=599 => retry(why),
        401..=499 => Verdict::Hold { why },
        _ => retry(format!("not an answer of InfluxDB: {why}")),
    }
}

/// A short word for a reason, for counters.
pub fn class(why: &str) -> &'static str {
    let why = why.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    if says(&["type conflict", "already exists as type", "schema"]) {
        "type_conflict"
    } else if says(&["retention", "outside"]) {
        "outside_retention"
    } else if says(&["unable to parse", "parse", "invalid field", "line protocol"]) {
        "unreadable"
    } else if why.starts_with("413") || says(&["too large"]) {
        "too_large"
    } else {
        UNCLEAR
    }
}

/// The class of what says nothing about lines.
pub const UNCLEAR: &str = "refused";

/// The server took the request for what it is and did not like some lines.
fn judge_lines(message: &str, body: &str, lines: &[&Line]) -> Verdict {
    let why = excerpt(message);
    if lines.len() == 1 || dropped(message) == Some(lines.len()) {
        let lines = (0..lines.len()).collect();
        return Verdict::Rejected { lines, why };
    }
    let named = named_lines(message, body, lines);
    if named.is_empty() {
        Verdict::Split { why }
    } else {
        Verdict::Rejected { lines: named, why }
    }
}

/// The error's text: `error` of version 1, `message` of version 2 and 3; `None` when the body is neither.
fn message(body: &str) -> Option<String> {
    let value: Value = serde_json::from_str(body).ok()?;
    let text = |key| value.get(key).and_then(Value::as_str);
    text("message").or_else(|| text("error")).map(str::to_owned)
}

/// `dropped=N` of a partial write of version 1 and 2: how many lines are not in, without saying which.
fn dropped(message: &str) -> Option<usize> {
    let (_, rest) = message.split_once("partial write")?;
    let (_, number) = rest.rsplit_once("dropped=")?;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..digits].parse().ok()
}

/// Lines that the answer names: by their text (versions 1 and 2), or by number (the cloud's, version 3's).
fn named_lines(message: &str, body: &str, lines: &[&Line]) -> Vec<usize> {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    let listed = value.get("data").and_then(Value::as_array).into_iter().flatten();
    let numbers: Vec<u64> = listed
        .filter_map(|item| item.get("line_number")?.as_u64())
        .chain(value.get("line").and_then(Value::as_u64))
        .collect();
    let quoted: Vec<&str> = message.split("unable to parse '").skip(1).collect();
    let is_named = |(index, line): &(usize, &&Line)| {
        numbers.contains(&(*index as u64 + 1))
            || quoted.iter().any(|rest| {
                rest.strip_prefix(line.text.as_str())
                    .is_some_and(|rest| rest.starts_with('\''))
            })
    };
    let named = lines.iter().enumerate().filter(is_named);
    named.map(|(index, _)| index).collect()
}

/// The start of a server's text on one line, without bytes that a terminal would obey.
pub(super) fn excerpt(text: &str) -> String {
    /// Characters of an answer that a log line or a dead letter needs.
    const LIMIT: usize = 500;
    text.chars()
        .take(LIMIT)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<Line> {
        let at = jiff::Timestamp::UNIX_EPOCH;
        texts.iter().map(|&text| Line { at, text: text.into() }).collect()
    }

    /// The verdict on three lines, in short.
    fn check(status: u16, body: &str, expected: &str) {
        let lines = lines(&["power,meter=a v=1 1", "power,meter=b v=x 1", "power,meter=b v=x 12"]);
        let lines: Vec<&Line> = lines.iter().collect();
        let retry_after = (status == 429 || status == 503).then(|| Duration::from_secs(7));
        let reply = Reply {
            status,
            retry_after,
            body,
        };
        let verdict = match judge(Ok(reply), &lines) {
            Verdict::Rejected { lines, .. } => format!("rejected {lines:?}"),
            Verdict::Retry { after: Some(after), .. } => format!("retry {}", after.as_secs()),
            other => other.name().to_owned(),
        };
        assert_eq!(verdict, expected, "{status} {body}");
    }

    #[test]
    fn success_is_204_or_an_empty_answer() {
        check(204, "", "accepted");
        check(200, "\n", "accepted");
        check(200, "<html>please sign in</html>", "retry");
        check(302, "", "retry");
        check(101, "", "retry");
    }

    #[test]
    fn faults_of_the_set_up_hold_and_faults_of_the_server_go_again() {
        for status in [401, 403, 404, 405, 407, 415] {
            check(
                status,
                r#"{"code":"unauthorized","message":"unauthorized access"}"#,
                "hold",
            );
        }
        for status in [408, 500, 502, 504] {
            check(status, "", "retry");
        }
        check(429, "{}", "retry 7");
        check(503, "", "retry 7");
        check(413, "", "split");
    }

    #[test]
    fn a_refusal_that_names_lines_costs_those_and_one_that_does_not_is_split() {
        let v1 = r#"{"error":"partial write: unable to parse 'power,meter=b v=x 1': invalid number dropped=0"}"#;
        check(400, v1, "rejected [1]");
        let both =
            r#"{"error":"unable to parse 'power,meter=b v=x 1': bad\nunable to parse 'power,meter=b v=x 12': bad"}"#;
        check(400, both, "rejected [1, 2]");
        let conflict = r#"{"error":"partial write: field type conflict: input field \"v\" on measurement \"power\" is type float, already exists as type integer dropped=1"}"#;
        check(400, conflict, "split");
        check(400, &conflict.replace("dropped=1", "dropped=3"), "rejected [0, 1, 2]");
        check(
            422,
            r#"{"code":"unprocessable entity","message":"points beyond retention policy"}"#,
            "split",
        );
        check(
            400,
            r#"{"code":"invalid","message":"write buffer failed to parse","line":3}"#,
            "rejected [2]",
        );
        let v3 =
            r#"{"error":"partial write of line protocol occurred","data":[{"line_number":1,"error_message":"x"}]}"#;
        check(400, v3, "rejected [0]");
        check(400, r#"{"code":"invalid","message":"x","line":9}"#, "split");
    }

    #[test]
    fn a_stranger_cannot_make_us_throw_lines_away() {
        for body in [
            "",
            "<html>400 The plain HTTP request was sent to HTTPS port</html>",
            "[1]",
            "null",
            "{}",
            "\u{0}",
        ] {
            check(400, body, "retry");
        }
    }

    #[test]
    fn one_line_that_is_refused_is_refused() {
        let one = lines(&["power v=1 1"]);
        let judge_one = |status, body| {
            let reply = Reply {
                status,
                retry_after: None,
                body,
            };
            judge(Ok(reply), &[&one[0]]).name()
        };
        assert_eq!(judge_one(400, r#"{"error":"field type conflict"}"#), "rejected");
        assert_eq!(judge_one(413, ""), "rejected");
        assert_eq!(judge_one(400, "gibberish"), "retry");
        let none = judge(Err("connection refused".into()), &[&one[0]]);
        assert_eq!(none.name(), "retry");
    }

    #[test]
    fn reasons_have_a_short_word() {
        for (why, expected) in [
            ("partial write: field type conflict: input field", "type_conflict"),
            ("unable to parse 'x': bad timestamp", "unreadable"),
            (
                "partial write: points beyond retention policy dropped=3",
                "outside_retention",
            ),
            ("413: ", "too_large"),
            ("org must not be empty", UNCLEAR),
        ] {
            assert_eq!(class(why), expected, "{why}");
        }
    }
}
