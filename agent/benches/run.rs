//! What the agent takes from its gateway: memory and processor of `wattwarden run` with a site of many meters.
//!
//! The kernel's own figures of the process, read from /proc; the readings counted by the agent's own `/metrics`.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{Number, Target, agent, new_folder, plant, site};

/// Start, connect and first commits are not what running costs.
const SETTLES: Duration = Duration::from_secs(10);
/// How often memory is looked at, and how many times: a minute.
const LOOK: Duration = Duration::from_secs(1);
const LOOKS: usize = 60;
/// Parts of a second in which Linux counts processor time for programs, the same on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;
/// Meters of the usual site.
const METERS: usize = 200;

pub(crate) struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Agent {
    /// The program of the release, quiet.
    pub(crate) fn start(config: &Path) -> Self {
        let started = Command::new(agent())
            .args(["run", "--config"])
            .arg(config)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .spawn();
        Self(started.unwrap())
    }

    fn about(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).unwrap()
    }

    fn rss_mb(&self) -> f64 {
        let status = self.about("status");
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib: f64 = rss.trim().trim_end_matches(" kB").parse().unwrap();
        kib * 1024.0 / 1e6
    }

    fn cpu_s(&self) -> f64 {
        let stat = self.about("stat");
        // Fields are counted after the name, which may have spaces: utime and stime are the 14th and 15th of all.
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
        (ticks(11) + ticks(12)) / TICKS_PER_SECOND
    }
}

/// What a minute of a site took.
pub(crate) struct Minute {
    pub(crate) rss_mb: f64,
    pub(crate) cpu_s: f64,
    pub(crate) n_readings: f64,
    /// Polls that were answered.
    pub(crate) n_polls: f64,
    /// Beats that passed without a poll.
    pub(crate) n_skipped: f64,
}

/// How long a minute is, in seconds.
pub(crate) const MINUTE_S: f64 = LOOKS as f64;

/// A minute of `meters` meters, each read once a second.
pub(crate) fn minute(meters: usize) -> Minute {
    let plant = plant::start(meters);
    let folder = new_folder("run");
    fs::create_dir_all(folder.join("store")).unwrap();
    let page = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = site::running(&folder, meters, &plant.addrs, page);
    let running = Agent::start(&config);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let counted = || ["readings_total", "polls_total{", "skipped_polls_total"].map(|name| count(page, name));
    let minute = runtime.block_on(async {
        tokio::time::sleep(SETTLES).await;
        let (cpu_before, before) = (running.cpu_s(), counted());
        let mut rss_mb: f64 = 0.0;
        for _ in 0..LOOKS {
            tokio::time::sleep(LOOK).await;
            rss_mb = rss_mb.max(running.rss_mb());
        }
        let (cpu_s, after) = (running.cpu_s() - cpu_before, counted());
        Minute {
            rss_mb,
            cpu_s,
            n_readings: after[0] - before[0],
            n_polls: after[1] - before[1],
            n_skipped: after[2] - before[2],
        }
    });
    drop(running);
    fs::remove_dir_all(folder).unwrap();
    minute
}

pub(crate) fn measure() -> Vec<Number> {
    let Minute {
        rss_mb,
        cpu_s,
        n_readings,
        ..
    } = minute(METERS);
    let wanted = (METERS * site::POINTS.len()) as f64 * MINUTE_S;
    println!("               {n_readings} readings of {wanted} in {MINUTE_S} s");
    assert!(
        n_readings > 0.95 * wanted,
        "the agent did not keep up: its figures mean nothing"
    );
    vec![
        Number {
            name: "run_rss",
            value: rss_mb,
            unit: "MB",
            target: Target::AtMost(40.0),
        },
        Number {
            name: "run_cpu",
            value: cpu_s / (n_readings / 1000.0),
            unit: "CPU s/1000 readings",
            target: Target::None,
        },
    ]
}

/// The sum of a counter's series, by the agent's own count: of `polls_total{`, those that were answered.
fn count(page: SocketAddr, name: &str) -> f64 {
    try_count(page, name).unwrap()
}

/// As [`count`], of a program that may not listen yet.
pub(crate) fn try_count(page: SocketAddr, name: &str) -> std::io::Result<f64> {
    let mut stream = TcpStream::connect(page)?;
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nHost: {page}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let name = format!("wattwarden_{name}");
    let is_wanted = |line: &&str| line.starts_with(&name) && (!name.ends_with('{') || line.contains("result=\"ok\""));
    let values = answer.lines().filter(is_wanted).map(|line| {
        let (_, value) = line.rsplit_once(' ').unwrap();
        value.parse::<f64>().unwrap()
    });
    Ok(values.sum())
}
