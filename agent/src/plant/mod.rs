//! A simulated factory that speaks real Modbus TCP and MQTT, with known truth: for the demo, for tests, for load.
//!
//! It is the world outside, never a part of the agent: the agent meets it through sockets and through the configuration
//! that [`config_toml`] writes, as it meets any plant. Invariant: everything follows from (seed, data time).

mod dice;
mod machines;
pub mod meters;
mod model;
mod schedule;
pub mod truth;
mod waste;

pub use machines::{Machine, Meter, Mode, SPECS, Spec};
pub use model::{CONTRACT_KW, Plant, PlantConfig, TARGET_KW, TruthRow, Waste};

/// Name of the demo's site, and of the machine that stands for it.
pub const SITE_NAME: &str = "demo";
/// Name of the main meter.
pub const MAIN_METER: &str = "incomer";
