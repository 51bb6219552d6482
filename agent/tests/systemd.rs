//! The unit file passes systemd's own check, and `run` tells systemd that it is ready, alive and stopping.
//!
//! No service manager runs here: the notify socket is the test's own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

const AGENT: &str = env!("CARGO_BIN_EXE_wattwarden");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Longest wait for one message, on a machine busy with other tests.
const PATIENCE: Duration = Duration::from_mins(1);

/// A folder of one test's own, empty.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("systemd-{test}-{}", std::process::id()));
    fs::create_dir_all(folder.join("store")).unwrap();
    folder
}

#[test]
fn systemd_finds_no_fault_in_the_unit() {
    const NAME: &str = "systemd_finds_no_fault_in_the_unit";
    let unit = fs::read_to_string(format!("{ROOT}/systemd/wattwarden.service")).unwrap();
    let here = unit.replace("/usr/bin/wattwarden", AGENT);
    assert_eq!(here.matches(AGENT).count(), 2, "check before start, and start:\n{unit}");
    let folder = folder("unit");
    let copy = folder.join("wattwarden.service");
    fs::write(&copy, here).unwrap();
    let Ok(said) = Command::new("systemd-analyze").arg("verify").arg(&copy).output() else {
        println!("skipped: {NAME}: systemd-analyze");
        return;
    };
    let faults = String::from_utf8_lossy(&said.stderr);
    // Other units of this machine may have faults of their own.
    let ours: Vec<&str> = faults.lines().filter(|line| line.contains("wattwarden")).collect();
    assert!(said.status.success() && ours.is_empty(), "{}: {faults}", said.status);
    fs::remove_dir_all(folder).unwrap();
}

/// The running agent; killed when a test gives up on it.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The agent on the configuration that is shipped, its store and its page moved out of everyone's way.
fn start(folder: &Path, socket: &Path) -> Agent {
    let shipped = fs::read_to_string(format!("{ROOT}/config/wattwarden.toml")).unwrap();
    let moved = shipped
        .replace("/var/lib/wattwarden", "store")
        .replace("127.0.0.1:8420", "127.0.0.1:0");
    assert_eq!(moved.matches(r#"path = "store""#).count(), 1);
    let config = folder.join("wattwarden.toml");
    fs::write(&config, moved).unwrap();
    // A third of this is the beat: longer than the recorder's second, or a beat would find it at rest.
    let watchdog_us = Duration::from_millis(4500).as_micros().to_string();
    let child = Command::new(AGENT)
        .args(["run", "--config"])
        .arg(config)
        .env("NOTIFY_SOCKET", socket)
        .env("WATCHDOG_USEC", watchdog_us)
        .stderr(Stdio::inherit())
        .spawn();
    Agent(child.unwrap())
}

fn next(socket: &UnixDatagram) -> String {
    let mut message = [0; 512];
    let length = socket.recv(&mut message).unwrap();
    String::from_utf8(message[..length].to_vec()).unwrap().trim().to_owned()
}

#[test]
fn it_says_ready_then_alive_then_stopping() {
    let folder = folder("notify");
    // Not in the test's folder: the path of a socket has room for some hundred letters only.
    let path = std::env::temp_dir().join(format!("wattwarden-notify-{}", std::process::id()));
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut agent = start(&folder, &path);
    assert_eq!(next(&socket), "READY=1");
    assert_eq!(next(&socket), "WATCHDOG=1");
    assert_eq!(next(&socket), "WATCHDOG=1");
    let asked = Command::new("sh")
        .args(["-c", &format!("kill -TERM {}", agent.0.id())])
        .status();
    assert!(asked.unwrap().success());
    let last = std::iter::repeat_with(|| next(&socket)).find(|message| message != "WATCHDOG=1");
    assert_eq!(last.as_deref(), Some("STOPPING=1"));
    assert_eq!(agent.0.wait().unwrap().code(), Some(0));
    fs::remove_file(path).unwrap();
    fs::remove_dir_all(folder).unwrap();
}
