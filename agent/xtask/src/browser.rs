//! The demo's page in a real browser: starts the demo, waits for its first finding, lets the browser look, stops it.
//!
//! What the browser looks at stands in `dashboard/web/test/browser.mjs`. Invariant: the demo ends, whatever was found,
//! and must end with status 0 when asked to.

use std::{
    io::{self, BufRead, BufReader, Read},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
};

use crate::{
    Failure,
    step::{command, root, run},
};

/// The demo ends by itself after this long, should this program be killed; the browser needs a minute or two.
const DEMO_LASTS: &str = "10m";
/// A finding's line in the demo's output bears one of these, by urgency.
const FINDING_MARKS: [&str; 3] = ["▲", "◆", "●"];

/// Runs the browser over the page of a running demo.
pub(crate) fn look_at_demo() -> Result<(), Failure> {
    let pictures = root().join("target/pictures");
    let mut demo = Command::new(root().join("target/debug/wattwarden"))
        .args([
            "demo",
            "--lang",
            "en",
            "--listen",
            "127.0.0.1:0",
            "--duration",
            DEMO_LASTS,
        ])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("starting the demo: {error}"))?;
    let output = demo.stdout.take().expect("standard output was asked for");
    let looked = page(BufReader::new(output)).and_then(|page| {
        println!("the demo has found its first waste; the page is {page}");
        run(command(&format!("node dashboard/web/test/browser.mjs {page}")).arg(pictures))
    });
    let ended = stop(demo);
    looked.and(ended)
}

/// The page's address, as soon as the demo has told its first finding. The rest of its output goes nowhere.
fn page(mut output: BufReader<ChildStdout>) -> Result<String, Failure> {
    let mut address = None;
    for line in output.by_ref().lines() {
        let line = line.map_err(|error| format!("reading the demo's output: {error}"))?;
        println!("  {line}");
        if let Some(at) = line.find("http://") {
            address = Some(line[at..].trim().to_owned());
        }
        if let Some(address) = address
            .as_ref()
            .filter(|_| FINDING_MARKS.iter().any(|mark| line.contains(mark)))
        {
            // Read on, or the demo would wait for somebody to read what it says.
            thread::spawn(move || io::copy(&mut output, &mut io::sink()));
            return Ok(address.clone());
        }
    }
    Err(format!(
        "the demo ended before it had found anything; its page was {address:?}"
    ))
}

/// Asks it to end as systemd would, and wants it to end well.
fn stop(mut demo: Child) -> Result<(), Failure> {
    // The shell's own kill: a small system has no program of that name.
    let asked = run(Command::new("sh").args(["-c", &format!("kill -TERM {}", demo.id())]));
    if asked.is_err() {
        // It has ended already, or there is no shell; either way nothing may be left running.
        drop(demo.kill());
    }
    let status = demo.wait().map_err(|error| format!("waiting for the demo: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("the demo, asked to end, ended with {status}"))
    }
}
