//! Whole lives of the program, in real time, a minute and less each: beside each other, because most of it is waiting.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod demo;
#[path = "../life_support/mod.rs"]
mod life_support;
#[path = "../meter_support/mod.rs"]
mod meter_support;
mod replay_equals_live;
mod restart;
#[path = "../store_support/mod.rs"]
mod store_support;
