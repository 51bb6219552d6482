//! What the agent takes from its gateway: memory and processor of `wattwarden run` with a site of many meters.
//!
//! The kernel's own figures of the process, read from /proc; the readings counted by the agent's own `/metrics`.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
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

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Agent {
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

pub(crate) fn measure() -> Vec<Number> {
    let plant = plant::start();
    let folder = new_folder("run");
    fs::create_dir_all(folder.join("store")).unwrap();
    let page = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = folder.join("wattwarden.toml");
    fs::write(&config, site::running(plant::METERS, plant.addr, page)).unwrap();
    let started = Command::new(agent())
        .args(["run", "--config"])
        .arg(config)
        .env("RUST_LOG", "warn")
        .stdin(Stdio::null())
        .spawn();
    let running = Agent(started.unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let (rss_mb, cpu_s, n_readings) = runtime.block_on(async {
        tokio::time::sleep(SETTLES).await;
        let (cpu_before, readings_before) = (running.cpu_s(), n_readings(page));
        let mut rss_mb: f64 = 0.0;
        for _ in 0..LOOKS {
            tokio::time::sleep(LOOK).await;
            rss_mb = rss_mb.max(running.rss_mb());
        }
        (rss_mb, running.cpu_s() - cpu_before, n_readings(page) - readings_before)
    });
    drop(running);
    fs::remove_dir_all(folder).unwrap();
    let wanted = (plant::METERS * site::POINTS.len() * LOOKS) as f64 * LOOK.as_secs_f64();
    println!(
        "               {n_readings} readings of {wanted} in {} s",
        LOOKS as f64 * LOOK.as_secs_f64()
    );
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

/// Readings taken so far, by the agent's own count.
fn n_readings(page: SocketAddr) -> f64 {
    let mut stream = TcpStream::connect(page).unwrap();
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nHost: {page}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let line = answer
        .lines()
        .find_map(|line| line.strip_prefix("wattwarden_readings_total "));
    line.unwrap_or_else(|| panic!("no count of readings in {answer}"))
        .trim()
        .parse()
        .unwrap()
}
