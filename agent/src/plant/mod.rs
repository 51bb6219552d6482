//! A simulated factory that speaks real Modbus TCP and MQTT, with known truth: for the demo, for tests, for load.
//!
//! It is the world outside, never a part of the agent: the agent meets it through sockets and through the configuration
//! that [`config_toml`] writes, as it meets any plant. Invariant: everything follows from (seed, data time).

pub mod broker;
mod dice;
pub mod load;
mod machines;
pub mod meters;
pub mod modbus;
mod model;
#[cfg(test)]
mod plain_rules;
pub mod publish;
mod schedule;
mod site;
pub mod truth;
mod waste;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use broker::{Broker, Fault};
pub use machines::{Machine, Meter, Mode, SPECS, Spec};
pub use meters::{MeterReading, Meters};
pub use model::{CONTRACT_KW, Plant, PlantConfig, TARGET_KW, TruthRow, Waste};
pub use site::{PlantAddresses, config_toml};

use crate::clock::Clock;

/// Name of the demo's site, and of the machine that stands for it.
pub const SITE_NAME: &str = "demo";
/// Name of the main meter.
pub const MAIN_METER: &str = "incomer";

/// A plant whose devices answer.
#[derive(Debug)]
pub struct Running {
    /// Where its devices are found.
    pub addresses: PlantAddresses,
    /// The plant itself, for its truth.
    pub plant: Plant,
    /// Its broker, which can be told to misbehave.
    pub broker: Broker,
    tasks: TaskTracker,
}

impl Running {
    /// Returns when every task has ended, after `stop`.
    pub async fn stopped(self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Starts the plant's meters, its broker and its MQTT devices on free ports of the loopback; they run until `stop`.
pub async fn run(config: PlantConfig, clock: Clock, stop: CancellationToken) -> io::Result<Running> {
    let plant = Plant::new(config);
    let tasks = TaskTracker::new();
    let meters = Arc::new(Mutex::new(Meters::new(plant.clone())));
    let modbus = modbus::serve(Arc::clone(&meters), clock.clone(), &tasks, stop.clone()).await?;
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let broker = Broker::start(free, &tasks, stop.clone()).await?;
    publish::start(broker.address(), meters, clock, &tasks, stop);
    Ok(Running {
        addresses: PlantAddresses {
            modbus,
            broker: broker.address(),
        },
        plant,
        broker,
        tasks,
    })
}
