//! The plant's meters on real Modbus TCP sockets: five behind one gateway, one with an address of its own.
//!
//! It answers reads of holding (0x03) and input registers (0x04), which hold the same, with the values of data time;
//! everything else is an exception. It logs nothing about its clients. Invariant: a silent meter answers nothing at
//! all, not even an exception, while its neighbours behind the gateway go on.
//!
//! | address | type | what | unit |
//! |---|---|---|---|
//! | 0, 2, 4, 6 | f32 abcd | active power, total, L1, L2, L3 | W |
//! | 8, 10, 12 | f32 abcd | reactive power, apparent power, power factor | var, VA, – |
//! | 14 | f32 abcd | frequency | Hz |
//! | 16, 18, 20 | f32 abcd | voltage L1, L2, L3 to neutral | V |
//! | 22, 24, 26 | f32 abcd | voltage L1-L2, L2-L3, L3-L1 | V |
//! | 28, 30, 32 | f32 abcd | current L1, L2, L3 | A |
//! | 100 | u32 abcd | active energy, import | 10 Wh |
//! | 102 | u32 abcd | reactive energy, lagging | 10 varh |
//! | 104 | u64 abcd | active energy, import | Wh |
//! | 108 | u64 abcd | reactive energy, lagging | varh |

use std::{
    future::{Ready, ready},
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use energy::Quantity;
use tokio::net::TcpListener;
use tokio_modbus::{
    ExceptionCode, Request, Response, SlaveRequest,
    server::{
        Service,
        tcp::{Server, accept_tcp_connection},
    },
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    machines::{Machine, Meter},
    meters::{MeterReading, Meters},
};
use crate::clock::Clock;

/// Registers that the configuration of a plant's meter reads: address, type, quantity, factor to its unit.
pub const POINTS: &[(u16, &str, Quantity, f64)] = &[
    (0, "f32", Quantity::ActivePower, 0.001),
    (8, "f32", Quantity::ReactivePower, 0.001),
    (12, "f32", Quantity::PowerFactor, 1.0),
    (14, "f32", Quantity::Frequency, 1.0),
    (22, "f32", Quantity::VoltageL12, 1.0),
    (24, "f32", Quantity::VoltageL23, 1.0),
    (26, "f32", Quantity::VoltageL31, 1.0),
    (28, "f32", Quantity::CurrentL1, 1.0),
    (30, "f32", Quantity::CurrentL2, 1.0),
    (32, "f32", Quantity::CurrentL3, 1.0),
    (104, "u64", Quantity::EnergyImport, 0.001),
    (108, "u64", Quantity::ReactiveEnergyLag, 0.001),
];

/// Units behind the gateway.
pub const GATEWAY_UNITS: &[(u8, Meter)] = &[
    (1, Meter::Incomer),
    (2, Meter::Of(Machine::Mc1)),
    (3, Meter::Of(Machine::Mc2)),
    (4, Meter::Of(Machine::Press1)),
    (5, Meter::Of(Machine::Comp1)),
];
/// Units at the device with an address of its own.
pub const OWN_UNITS: &[(u8, Meter)] = &[(1, Meter::Of(Machine::Imm1))];

/// Address of the first counter register.
const COUNTERS_AT: u16 = 100;
/// Most registers one read may ask for, by the Modbus specification.
pub(super) const MAX_REGISTERS: u16 = 125;

/// Where the meters listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// The gateway with [`GATEWAY_UNITS`] behind it.
    pub gateway: SocketAddr,
    /// The device of its own, [`OWN_UNITS`].
    pub own: SocketAddr,
}

/// Serves the meters on two free ports of the loopback until `stop`; returns as soon as they listen.
pub async fn serve(
    meters: Arc<Mutex<Meters>>,
    clock: Clock,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> io::Result<Served> {
    let device = |units| Device {
        units,
        meters: Arc::clone(&meters),
        clock: clock.clone(),
    };
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Ok(Served {
        gateway: listen(free, device(GATEWAY_UNITS), tasks, stop.clone()).await?,
        own: listen(free, device(OWN_UNITS), tasks, stop).await?,
    })
}

/// Serves `device` at `addr` until `stop`.
pub(super) async fn listen<D>(
    addr: SocketAddr,
    device: D,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> io::Result<SocketAddr>
where
    D: Service<Request = SlaveRequest<'static>> + Clone + Send + Sync + 'static,
{
    let listener = TcpListener::bind(addr).await?;
    let address = listener.local_addr()?;
    tasks.spawn(async move {
        let on_connected = |stream, peer| {
            let device = device.clone();
            async move { accept_tcp_connection(stream, peer, |_| Ok(Some(device.clone()))) }
        };
        let on_error = |error| tracing::debug!(%error, "a client of the plant went away");
        let served = Server::new(listener)
            .serve_until(&on_connected, on_error, stop.cancelled_owned())
            .await;
        if let Err(error) = served {
            tracing::error!(%address, %error, "the plant's Modbus server stopped");
        }
    });
    Ok(address)
}

/// One address with meters behind it.
#[derive(Clone)]
struct Device {
    units: &'static [(u8, Meter)],
    meters: Arc<Mutex<Meters>>,
    clock: Clock,
}

impl Service for Device {
    type Request = SlaveRequest<'static>;
    type Response = Option<Response>;
    type Exception = ExceptionCode;
    type Future = Ready<Result<Self::Response, ExceptionCode>>;

    fn call(&self, asked: Self::Request) -> Self::Future {
        ready(self.answer(&asked))
    }
}

impl Device {
    fn answer(&self, asked: &SlaveRequest<'static>) -> Result<Option<Response>, ExceptionCode> {
        let &(_, meter) = self
            .units
            .iter()
            .find(|(unit, _)| *unit == asked.slave)
            .ok_or(ExceptionCode::GatewayTargetDevice)?;
        let now = self.clock.now();
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        if meters.is_silent(meter, now) {
            return Ok(None);
        }
        answered(&asked.request, |at, count| {
            registers(&meters.reading(meter, now), at, count)
        })
        .map(Some)
    }
}

/// The response to a read, from `read(at, count)`.
pub(super) fn answered(
    request: &Request<'_>,
    read: impl FnOnce(u16, u16) -> Option<Vec<u16>>,
) -> Result<Response, ExceptionCode> {
    let (Request::ReadHoldingRegisters(at, count) | Request::ReadInputRegisters(at, count)) = *request else {
        return Err(ExceptionCode::IllegalFunction);
    };
    if !(1..=MAX_REGISTERS).contains(&count) {
        return Err(ExceptionCode::IllegalDataValue);
    }
    let words = read(at, count).ok_or(ExceptionCode::IllegalDataAddress)?;
    Ok(match request {
        Request::ReadHoldingRegisters(..) => Response::ReadHoldingRegisters(words),
        _ => Response::ReadInputRegisters(words),
    })
}

/// `count` registers from `at`, or `None` where one of them does not exist.
fn registers(shown: &MeterReading, at: u16, count: u16) -> Option<Vec<u16>> {
    let (block, offset) = if at < COUNTERS_AT {
        (gauge_words(shown), at)
    } else {
        (counter_words(shown), at - COUNTERS_AT)
    };
    let since = usize::from(offset);
    block.get(since..since + usize::from(count)).map(<[u16]>::to_vec)
}

fn gauge_words(shown: &MeterReading) -> Vec<u16> {
    let mut values = vec![shown.active_power_w];
    values.extend(shown.phase_power_w);
    values.extend([
        shown.reactive_power_var,
        shown.apparent_power_va,
        shown.power_factor,
        shown.frequency_hz,
    ]);
    values.extend(shown.voltage_v);
    values.extend(shown.line_voltage_v);
    values.extend(shown.current_a);
    values
        .into_iter()
        .flat_map(|value| words((value as f32).to_be_bytes()))
        .collect()
}

fn counter_words(shown: &MeterReading) -> Vec<u16> {
    let (active_wh, reactive_varh) = (shown.energy_import_wh, shown.reactive_energy_lag_varh);
    [
        words(((active_wh / 10) as u32).to_be_bytes()),
        words(((reactive_varh / 10) as u32).to_be_bytes()),
        words(active_wh.to_be_bytes()),
        words(reactive_varh.to_be_bytes()),
    ]
    .concat()
}

/// Big-endian bytes as registers.
pub(super) fn words<const N: usize>(bytes: [u8; N]) -> Vec<u16> {
    bytes
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        .collect()
}
