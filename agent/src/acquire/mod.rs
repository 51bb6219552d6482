//! Meters in.

pub mod csv;
