//! A process that is killed while it commits: everything it was told is durable is there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod store_support;

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use store_support::{Folder, open, second, store_in};
use wattwarden::{health::Health, store::Store};

const FOLDER: &str = "WATTWARDEN_TEST_STORE";

/// Not a test by itself: the process that is killed. It says each number after the store has said it.
#[test]
fn child_that_commits_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let store = Store::open(&store_in(folder.as_ref()), &Health::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let rows = *store.committed().borrow();
        for seconds in i64::try_from(rows).unwrap().. {
            let seq = store.commit(second(seconds)).await.unwrap();
            writeln!(std::io::stderr(), "durable {seq}").unwrap();
        }
    });
}

#[test]
fn nothing_that_was_acknowledged_is_lost_by_a_kill() {
    let folder = Folder::new();
    let mut acknowledged = 0;
    for round in 1..=5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_commits_until_it_is_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut numbers = said
            .by_ref()
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("durable ")?.parse().ok());
        acknowledged = numbers.nth(40 * round).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // What it still said before it died counts as well.
        acknowledged = numbers.last().unwrap_or(acknowledged);
    }
    let store = open(&folder);
    let last = *store.committed().borrow();
    assert!(
        last >= acknowledged && last <= acknowledged + 1,
        "{last} rows, {acknowledged} acknowledged"
    );
    let entries = store
        .reader()
        .unwrap()
        .entries(1, usize::try_from(last).unwrap())
        .unwrap();
    assert_eq!(entries.len() as u64, last);
    for (index, entry) in entries.iter().enumerate() {
        assert_eq!(
            (entry.seq, &entry.samples),
            (index as u64 + 1, &second(index as i64).samples)
        );
    }
}
