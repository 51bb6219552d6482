//! What the store has committed goes on to other systems.

pub mod influx;
