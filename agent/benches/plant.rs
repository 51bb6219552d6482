//! The simulated meters, served by this program started a second time: their work is not the agent's.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use tokio_util::sync::CancellationToken;
use wattwarden::plant::load::serve_load;

use crate::site::POINTS;

/// The argument that makes this program serve so many meters until its standard input closes.
pub(crate) const SERVE: &str = "serve-plant";

/// The other process.
pub(crate) struct Plant {
    child: Child,
    /// Meter `n` is unit `n % 247 + 1` behind address `n / 247`.
    pub(crate) addrs: Vec<SocketAddr>,
}

impl Drop for Plant {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) fn start(meters: usize) -> Plant {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([SERVE, &meters.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let addrs = line.split_whitespace().map(|addr| addr.parse().unwrap()).collect();
    Plant { child, addrs }
}

/// Serves until whoever started us has gone.
pub(crate) fn serve(meters: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let stop = CancellationToken::new();
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let addresses = runtime
        .block_on(serve_load(meters, POINTS.len(), anywhere, stop))
        .unwrap();
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    println!("{}", addresses.join(" "));
    let mut nothing = String::new();
    drop(std::io::stdin().read_line(&mut nothing));
}
