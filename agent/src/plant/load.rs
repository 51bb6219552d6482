//! Many cheap meters over Modbus TCP, for benchmarks: every register of every unit answers at once.
//!
//! It simulates no plant and keeps no time: a point's value counts the reads so far, so that no two polls look alike.
//! Invariant: meter `n` is unit `n % 247 + 1` behind address `n / 247` of what `serve_load` returns.

use std::{
    future::{Ready, ready},
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio_modbus::{ExceptionCode, Response, SlaveRequest, server::Service};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::modbus::{answered, listen, words};

/// Units behind one address: the ids that Modbus gives to devices.
pub const UNITS_PER_ADDRESS: usize = 247;
/// Points of one meter at most: two registers each fill the address space.
pub const MAX_POINTS: usize = 32_768;

/// Serves `meters` meters of `points` points (f32 abcd, at 0, 2, 4 …) until `stop`. Port 0 takes free ports, another
/// port and those after it are taken in order. Returns the addresses as soon as they listen.
pub async fn serve_load(
    meters: usize,
    points: usize,
    addr: SocketAddr,
    stop: CancellationToken,
) -> io::Result<Vec<SocketAddr>> {
    let tasks = TaskTracker::new();
    let mut addresses = Vec::new();
    for first in (0..meters).step_by(UNITS_PER_ADDRESS) {
        let step = if addr.port() == 0 { 0 } else { addresses.len() as u16 };
        let at = SocketAddr::new(addr.ip(), addr.port().saturating_add(step));
        let device = Load {
            units: (meters - first).min(UNITS_PER_ADDRESS) as u8,
            n_registers: 2 * points.min(MAX_POINTS),
            n_reads: Arc::default(),
        };
        addresses.push(listen(at, device, &tasks, stop.clone()).await?);
    }
    Ok(addresses)
}

#[derive(Clone)]
struct Load {
    units: u8,
    n_registers: usize,
    n_reads: Arc<AtomicU32>,
}

impl Service for Load {
    type Request = SlaveRequest<'static>;
    type Response = Response;
    type Exception = ExceptionCode;
    type Future = Ready<Result<Response, ExceptionCode>>;

    fn call(&self, asked: Self::Request) -> Self::Future {
        if !(1..=self.units).contains(&asked.slave) {
            return ready(Err(ExceptionCode::GatewayTargetDevice));
        }
        let n_reads = self.n_reads.fetch_add(1, Ordering::Relaxed);
        ready(answered(&asked.request, |at, count| {
            let (at, until) = (usize::from(at), usize::from(at) + usize::from(count));
            (until <= self.n_registers).then(|| (at..until).map(|register| register_word(n_reads, register)).collect())
        }))
    }
}

/// Half of the f32 that stands at an even address: the point's number and, behind the point, the reads so far.
fn register_word(n_reads: u32, register: usize) -> u16 {
    let value = (register / 2) as f32 + (n_reads % 1000) as f32 / 1000.0;
    words(value.to_be_bytes())[register % 2]
}
