//! Modbus under load: a thousand meters each second, and one dead meter among thirty behind a gateway.
//!
//! The thousand are served by another process; the gateway waits as a serial line does.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use wattwarden::{
    acquire::modbus::{self, Config, Limits, MeterPoints, Point, RegisterForm, Transport},
    clock::Clock,
    health::Health,
};

use crate::{
    Number, Target,
    run::{self, MINUTE_S},
    site::POINTS,
};

const METERS: usize = 1000;

/// Meters behind the gateway; one of them is dead.
const BEHIND: u8 = 30;
const DEAD: u8 = 13;
/// What a request takes on the line behind the gateway.
const LINE: Duration = Duration::from_millis(20);
const WATCHED: Duration = Duration::from_mins(1);

pub(crate) fn measure() -> Vec<Number> {
    let minute = run::minute(METERS);
    let wanted = METERS as f64 * MINUTE_S;
    println!(
        "               {} polls of {wanted}, {} beats skipped; {METERS} requests a cycle, point by point {}",
        minute.n_polls,
        minute.n_skipped,
        METERS * POINTS.len()
    );
    vec![
        Number {
            name: "acquire_kept",
            value: 100.0 * (minute.n_polls / wanted).min(1.0),
            unit: "% of polls on schedule",
            target: Target::AtLeast(99.9),
        },
        Number {
            name: "acquire_cpu",
            value: minute.cpu_s / MINUTE_S,
            unit: "cores, 1000 x 20 points",
            target: Target::AtMost(0.5),
        },
        Number {
            name: "acquire_rss",
            value: minute.rss_mb,
            unit: "MB",
            target: Target::AtMost(60.0),
        },
        Number {
            name: "one_dead",
            value: 100.0 * one_dead(),
            unit: "% of the others' polls",
            target: Target::AtLeast(99.0),
        },
    ]
}

/// A gateway: one request at a time, [`LINE`] each, and no answer from the dead meter.
#[allow(
    clippy::disallowed_methods,
    reason = "it stands for the time that a serial line takes"
)]
fn serve(listener: &TcpListener) {
    while let Ok((mut stream, _)) = listener.accept() {
        let mut request = [0; 12];
        while stream.read_exact(&mut request).is_ok() {
            std::thread::sleep(LINE);
            if request[6] != DEAD && answer(&mut stream, request).is_err() {
                break;
            }
        }
    }
}

fn answer(stream: &mut TcpStream, request: [u8; 12]) -> std::io::Result<()> {
    let n_bytes = request[11] * 2;
    let mut reply = vec![
        request[0],
        request[1],
        0,
        0,
        0,
        n_bytes + 3,
        request[6],
        request[7],
        n_bytes,
    ];
    reply.extend((0..n_bytes).map(|n| n * 3));
    stream.write_all(&reply)
}

/// The least share of its polls that one of the living meters kept, with one dead among them on the same connection.
fn one_dead() -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || serve(&listener));
    let meters = (1..=BEHIND).map(|unit| MeterPoints {
        name: format!("m{unit}").into(),
        unit,
        points: vec![Point::new(0, RegisterForm::U16, energy::Quantity::CurrentL1)],
        limits: Limits::default(),
    });
    let config = Config {
        name: "gateway".into(),
        transport: Transport::Tcp {
            host: addr.ip().to_string(),
            port: addr.port(),
        },
        every: Duration::from_secs(1),
        timeout: Duration::from_millis(300),
        connections: 1,
        any_transaction: false,
        meters: meters.collect(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let kept: BTreeMap<String, u32> = runtime.unwrap().block_on(async {
        let (intake, mut taken) = mpsc::channel(wattwarden::record::INTAKE_CAPACITY);
        let stop = CancellationToken::new();
        let (_settings, by) = watch::channel(config);
        tokio::spawn(modbus::run(
            by,
            Clock::system(),
            intake,
            Health::default(),
            stop.clone(),
        ));
        let mut kept = BTreeMap::new();
        let watched = async {
            while let Some(incoming) = taken.recv().await {
                *kept.entry(incoming.sample.meter.to_string()).or_default() += 1;
            }
        };
        drop(tokio::time::timeout(WATCHED, watched).await);
        stop.cancel();
        kept
    });
    assert_eq!(kept.len(), usize::from(BEHIND) - 1, "all but the dead one: {kept:?}");
    let least = kept.values().min().copied().unwrap_or_default();
    f64::from(least) / WATCHED.as_secs_f64()
}
