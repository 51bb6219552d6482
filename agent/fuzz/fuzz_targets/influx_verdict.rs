//! What a database answers to three lines: two bytes of status, one that says how many lines, then the body.
#![no_main]

use std::collections::BTreeSet;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use wattwarden::forward::influx::{
    line::Line,
    verdict::{Reply, Verdict, class, judge},
};

fuzz_target!(|bytes: &[u8]| {
    let [high, low, n_lines, body @ ..] = bytes else { return };
    let Ok(body) = std::str::from_utf8(body) else { return };
    let lines: Vec<Line> = (0..1 + n_lines % 4)
        .map(|number| Line {
            at: Timestamp::UNIX_EPOCH,
            text: format!("power,meter=m{number} active_power_kw={number} 0"),
        })
        .collect();
    let lines: Vec<&Line> = lines.iter().collect();
    let status = u16::from_be_bytes([*high, *low]);
    let reply = Reply {
        status,
        retry_after: None,
        body,
    };
    let verdict = judge(Ok(reply), &lines);
    assert!(!verdict.name().is_empty() && !class(body).is_empty());
    if let Verdict::Rejected { lines: refused, .. } = verdict {
        let distinct: BTreeSet<usize> = refused.iter().copied().collect();
        assert_eq!(distinct.len(), refused.len(), "a line is refused twice");
        assert!(!refused.is_empty() && distinct.iter().all(|&line| line < lines.len()));
    }
});
