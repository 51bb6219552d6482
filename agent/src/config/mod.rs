//! The configuration.
pub mod diagnostic;
pub mod read;
mod suggest;
mod units;
