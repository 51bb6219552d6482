//! What Wattwarden knows about energy: quantities, demand intervals, machine states, waste, tariffs, carbon.
//!
//! The thinking part: plain functions on plain data. It opens no file and no socket and asks no clock, so it has
//! nothing to fail at, and a replay of recorded data gives what living through it gave, byte for byte.

pub mod calendar;
pub mod carbon;
pub mod consistency;
pub mod detect;
pub mod engine;
pub mod finding;
pub mod interval;
pub mod meter_tree;
pub mod now;
mod power;
pub mod quantity;
pub mod sample;
pub mod site;
pub mod state;
pub mod tariff;
pub mod unit;

pub use engine::Engine;
pub use finding::Finding;
pub use interval::Interval;
pub use now::Now;
pub use quantity::Quantity;
pub use sample::{Name, Quality, Reading, Sample};
pub use site::Site;
