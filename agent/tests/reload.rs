//! The configuration of the running program: written anew it is taken up, with errors it changes nothing, and SIGHUP asks
//! for it at once.
//!
//! Not here: what a bus or a broker makes of new settings (`acquire_modbus.rs`, `acquire_mqtt.rs`), and that an engine
//! goes on by a new configuration as if nothing had been (`restart.rs`).

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod meter_support;
mod store_support;

use std::{fs, path::Path, process::Stdio, time::Duration};

use energy::Sample;
use store_support::{Folder, store_in};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStderr, Command},
    time::timeout,
};
use wattwarden::store::Reader;

/// No event takes this long unless something is broken: a look at the file comes every two seconds.
const PATIENCE: Duration = Duration::from_secs(30);

fn meter(name: &str, unit: u8) -> String {
    format!(
        "[[meter]]\nname = \"{name}\"\nbus = \"panel\"\nunit = {unit}\n\
         registers = [{{ at = 0, type = \"f32\", quantity = \"active_power_kw\", scale = 0.001 }}]\n"
    )
}

fn site(port: u16, meters: &[String]) -> String {
    format!(
        "[site]\nname = \"plant\"\nzone = \"Asia/Seoul\"\n\
         [[bus]]\nname = \"panel\"\nmodbus = \"tcp://127.0.0.1:{port}\"\nevery = \"200ms\"\ntimeout = \"100ms\"\n\
         {}[record]\ncommit_every = \"200ms\"\nlateness = \"1s\"\n[store]\npath = \".\"\n[web]\nlisten = \"127.0.0.1:0\"\n",
        meters.concat()
    )
}

struct Program {
    child: Child,
    said: Lines<BufReader<ChildStderr>>,
}

impl Program {
    fn start(config: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wattwarden"))
            .args(["run", "--config"])
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, said }
    }

    /// Reads on until a line that holds `text`.
    async fn says(&mut self, text: &str) -> String {
        let line = async {
            loop {
                let line = self.said.next_line().await.unwrap();
                let line = line.unwrap_or_else(|| panic!("the program ended without {text:?}"));
                if line.contains(text) {
                    return line;
                }
            }
        };
        timeout(PATIENCE, line)
            .await
            .unwrap_or_else(|_| panic!("nobody said {text:?}"))
    }

    async fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id().unwrap());
        assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
    }
}

/// The samples on the disk of one meter.
fn samples(folder: &Path, meter: &str) -> Vec<Sample> {
    let Ok(reader) = Reader::open(&store_in(folder)) else {
        return vec![];
    };
    let all = reader.entries(1, 10_000).unwrap_or_default();
    let all = all.into_iter().flat_map(|entry| entry.samples);
    all.filter(|sample| &*sample.meter == meter).collect()
}

async fn wait_for(what: impl Fn() -> bool) {
    let reached = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, reached).await.expect("in time");
}

#[tokio::test]
async fn a_configuration_written_anew_is_taken_up_and_one_with_errors_is_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let device = tokio::spawn(meter_support::serve(listener));
    let folder = Folder::new();
    let path = folder.path();
    let config = path.join("wattwarden.toml");
    let (press, dryer, wrong) = (meter("press", 1), meter("dryer", 2), meter("press", 3));
    fs::write(&config, site(port, std::slice::from_ref(&press))).unwrap();
    let mut program = Program::start(&config);
    program.says("started").await;
    wait_for(|| samples(path, "press").len() > 2).await;

    // Written: noticed by itself.
    fs::write(&config, site(port, &[press.clone(), dryer.clone()])).unwrap();
    program.says("the configuration was taken up").await;
    wait_for(|| samples(path, "dryer").len() > 2).await;

    // With an error, by signal: said with its place, and both go on.
    fs::write(&config, site(port, &[press.clone(), wrong])).unwrap();
    program.signal("HUP").await;
    program.says("press").await;
    program.says("goes on by the former one").await;
    let before = samples(path, "dryer").len();
    wait_for(|| samples(path, "dryer").len() > before + 5).await;

    // Only the dryer, and another place for the store: that waits for a restart, and says so.
    let moved = site(port, std::slice::from_ref(&dryer)).replace("path = \".\"", "path = \"elsewhere\"");
    fs::write(&config, moved).unwrap();
    program.signal("HUP").await;
    program.says("[store]").await;
    program.says("the configuration was taken up").await;
    let last_of_press = samples(path, "press").last().unwrap().at;
    wait_for(|| {
        samples(path, "dryer")
            .last()
            .unwrap()
            .at
            .duration_since(last_of_press)
            .as_secs()
            >= 2
    })
    .await;
    assert!(!path.join("elsewhere").exists());

    let kept = samples(path, "dryer");
    let gap = kept.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at)).max();
    println!("longest pause of the dryer over three reloads: {gap:?}");
    program.signal("TERM").await;
    assert_eq!(program.child.wait().await.unwrap().code(), Some(0));
    device.abort();
}
