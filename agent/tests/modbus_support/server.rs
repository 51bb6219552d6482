//! A server that others wrote, in a process of its own.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use super::{PATIENCE, python_with_pymodbus};

/// A Python script with pymodbus that tells on its first line where it listens, until dropped.
pub(crate) struct Server {
    pub(crate) told: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Server {
    /// The server, and where it listens.
    pub(crate) async fn start(test: &str, script: &str, args: &[&str]) -> Option<(Self, String)> {
        let Some(python) = python_with_pymodbus().await else {
            println!("skipped: {test}: python3 with pymodbus");
            return None;
        };
        let mut command = Command::new(python);
        command.arg(script).args(args).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("python was found");
        let told = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut server = Self { told, _child: child };
        let place = server.next_line().await.expect("a server says where it listens");
        Some((server, place))
    }

    pub(crate) async fn next_line(&mut self) -> Option<String> {
        timeout(PATIENCE, self.told.next_line())
            .await
            .expect("a line in time")
            .expect("its output can be read")
    }
}
