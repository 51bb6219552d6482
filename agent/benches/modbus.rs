//! Reads a second of our Modbus bus beside a bare tokio-modbus loop that does the same reads, turn by turn.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_modbus::prelude::{Reader, SlaveContext};
use tokio_util::sync::CancellationToken;
use wattwarden::{
    acquire::modbus::{self, Config, Limits, MeterPoints, Point, RegisterForm, Transport},
    clock::{self, Clock},
    health::Health,
};

use crate::{Number, Target, plant, site::POINTS};

const UNITS: u8 = 10;
const ROUNDS: usize = 9;
const TURN: Duration = Duration::from_secs(1);

pub(crate) fn measure() -> Vec<Number> {
    let plant = plant::start(usize::from(UNITS));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (mut ratios, mut ours_all, mut bare_all) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let ours = runtime.block_on(ours(plant.addrs[0]));
        let bare = runtime.block_on(bare(plant.addrs[0]));
        ratios.push(ours / bare);
        ours_all.push(ours);
        bare_all.push(bare);
    }
    let (ours, bare) = (median(&mut ours_all), median(&mut bare_all));
    println!("               {ours:.0} reads/s by the bus, {bare:.0} by the bare loop");
    vec![Number {
        name: "modbus_ratio",
        value: median(&mut ratios),
        unit: "of a bare loop's reads/s",
        target: Target::AtLeast(0.8),
    }]
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Reads a second of the bus as `run` starts it, samples decoded and handed over.
async fn ours(addr: std::net::SocketAddr) -> f64 {
    let points = POINTS.iter().zip((0..).step_by(2)).map(|(name, at)| {
        let quantity = energy::Quantity::from_name(name).unwrap();
        Point::new(at, RegisterForm::F32, quantity)
    });
    let points: Vec<Point> = points.collect();
    let meters = (1..=UNITS).map(|unit| MeterPoints {
        name: format!("m{unit}").into(),
        unit,
        points: points.clone(),
        limits: Limits::default(),
    });
    let config = Config {
        name: "bench".into(),
        transport: Transport::Tcp {
            host: addr.ip().to_string(),
            port: addr.port(),
        },
        every: Duration::ZERO,
        timeout: Duration::from_secs(1),
        connections: 1,
        any_transaction: false,
        meters: meters.collect(),
    };
    let (intake, mut taken) = mpsc::channel(wattwarden::record::INTAKE_CAPACITY);
    let stop = CancellationToken::new();
    let running = tokio::spawn(modbus::run(
        watch::channel(config).1,
        Clock::system(),
        intake,
        Health::default(),
        stop.clone(),
    ));
    // The first sample says that the line stands; it is not counted.
    taken.recv().await.unwrap();
    let began = clock::monotonic();
    let mut n_reads = 0;
    while began.elapsed() < TURN {
        let incoming = taken.recv().await.unwrap();
        assert_eq!(incoming.sample.readings.len(), POINTS.len());
        n_reads += 1;
    }
    let took = began.elapsed();
    stop.cancel();
    running.await.unwrap();
    f64::from(n_reads) / took.as_secs_f64()
}

/// The same requests, their answers thrown away.
async fn bare(addr: std::net::SocketAddr) -> f64 {
    let mut context = tokio_modbus::client::tcp::connect(addr).await.unwrap();
    let count = 2 * POINTS.len() as u16;
    let began = clock::monotonic();
    let mut n_reads = 0;
    for unit in (1..=UNITS).cycle() {
        if began.elapsed() >= TURN {
            break;
        }
        context.set_slave(tokio_modbus::Slave(unit));
        let words = context.read_holding_registers(0, count).await.unwrap().unwrap();
        assert_eq!(words.len(), usize::from(count));
        n_reads += 1;
    }
    f64::from(n_reads) / began.elapsed().as_secs_f64()
}
