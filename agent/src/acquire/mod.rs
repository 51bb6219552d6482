//! Meters in: what each way of reading needs to be told.

pub mod modbus;
pub mod mqtt;
