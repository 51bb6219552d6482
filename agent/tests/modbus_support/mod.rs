//! A bus in a test: meters that hold their own addresses, what comes out of it, and a Python with a server of others.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod server;

use std::{process::Stdio, time::Duration};

use energy::{Quantity, Sample};
use tokio::{
    process::Command,
    sync::{OnceCell, mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use wattwarden::{
    acquire::{
        Incoming,
        modbus::{self, Config, Limits, MeterPoints, Point, RegisterForm, Transport},
    },
    clock::Clock,
    health::Health,
};

/// No event of these tests takes this long unless something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
pub(crate) const TIMEOUT: Duration = Duration::from_millis(100);
pub(crate) const EVERY: Duration = Duration::from_millis(50);

pub(crate) fn point(at: u16, quantity: Quantity) -> Point {
    Point::new(at, RegisterForm::U16, quantity)
}

/// A meter with three values, at 100, 104 and 200 + unit: two blocks.
pub(crate) fn meter(unit: u8) -> MeterPoints {
    MeterPoints {
        name: format!("meter-{unit}").into(),
        unit,
        points: vec![
            point(100, Quantity::ActivePower),
            point(104, Quantity::VoltageL1),
            point(200 + u16::from(unit), Quantity::CurrentL1),
        ],
        limits: Limits::default(),
    }
}

pub(crate) fn config(transport: Transport, meters: Vec<MeterPoints>) -> Config {
    Config {
        name: "panel-a".into(),
        transport,
        every: EVERY,
        timeout: TIMEOUT,
        connections: 1,
        any_transaction: false,
        meters,
    }
}

/// A running bus and what comes out of it.
pub(crate) struct Bus {
    /// Another value is taken up while it runs.
    pub(crate) settings: watch::Sender<Config>,
    pub(crate) samples: mpsc::Receiver<Incoming>,
    pub(crate) health: Health,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Bus {
    pub(crate) fn start(config: Config) -> Self {
        Self::with_room(config, 1000)
    }

    pub(crate) fn with_room(config: Config, room: usize) -> Self {
        Self::on(config, room, Clock::system())
    }

    pub(crate) fn on(config: Config, room: usize, clock: Clock) -> Self {
        let (intake, samples) = mpsc::channel(room);
        let (health, stop) = (Health::default(), CancellationToken::new());
        let (settings, taken) = watch::channel(config);
        let task = tokio::spawn(modbus::run(taken, clock, intake, health.clone(), stop.clone()));
        Self {
            settings,
            samples,
            health,
            stop,
            task,
        }
    }

    pub(crate) async fn next(&mut self) -> Sample {
        let incoming = timeout(PATIENCE, self.samples.recv()).await.expect("a sample in time");
        incoming.expect("the bus runs").sample
    }

    /// The next sample of this unit's meter; those of others are checked and passed over.
    pub(crate) async fn next_of(&mut self, unit: u8) -> Sample {
        loop {
            let sample = self.next().await;
            assert_right(&sample);
            if *sample.meter == *format!("meter-{unit}") {
                return sample;
            }
        }
    }

    pub(crate) fn count(&self, name: &str, label: &str) -> f64 {
        let has_label = |labels: &[(&str, String)]| label.is_empty() || labels.iter().any(|(_, value)| value == label);
        let snapshot = self.health.snapshot();
        let matching = snapshot
            .iter()
            .filter(|(series, _)| series.name == name && has_label(&series.labels));
        matching.map(|(_, value)| value).sum()
    }
}

/// Every value must be the address of the register it claims to be from.
pub(crate) fn assert_right(sample: &Sample) {
    let unit: f64 = sample.meter.strip_prefix("meter-").unwrap().parse().unwrap();
    for reading in &sample.readings {
        let expected = match reading.quantity {
            Quantity::ActivePower => 100.0,
            Quantity::VoltageL1 => 104.0,
            Quantity::CurrentL1 => 200.0 + unit,
            other => panic!("nobody asked for {other}"),
        };
        assert_eq!(reading.value, expected, "{} of {}", reading.quantity, sample.meter);
    }
}

/// A Python that has pymodbus; `None` if it cannot be had here. Tests run at once, the first one sets it up for all.
pub(crate) async fn python_with_pymodbus() -> Option<String> {
    static PYTHON: OnceCell<Option<String>> = OnceCell::const_new();
    PYTHON.get_or_init(set_python_up).await.clone()
}

/// Sets it up in a folder that later runs use again.
async fn set_python_up() -> Option<String> {
    let folder = concat!(env!("CARGO_TARGET_TMPDIR"), "/pymodbus");
    let python = format!("{folder}/bin/python");
    let succeeds = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        async move {
            let status = timeout(Duration::from_mins(1), command.status()).await;
            matches!(status, Ok(Ok(status)) if status.success())
        }
    };
    let has_it = ["-c", "import serial; from pymodbus.simulator import SimDevice"];
    if !succeeds(&python, &has_it).await {
        succeeds("python3", &["-m", "venv", folder]).await;
        succeeds(&python, &["-m", "pip", "install", "-q", "pymodbus[serial]==3.16.1"]).await;
        if !succeeds(&python, &has_it).await {
            return None;
        }
    }
    Some(python)
}
