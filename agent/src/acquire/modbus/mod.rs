//! One Modbus line: what is read from it, how often and how it is decoded.

use std::time::Duration;

use energy::{quantity::Quantity, sample::Name};

/// One bus.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Its name.
    pub name: String,
    /// How it is reached.
    pub transport: Transport,
    /// Period of polling, data time.
    pub every: Duration,
    /// How long an answer may take, wall time.
    pub timeout: Duration,
    /// What is read.
    pub meters: Vec<MeterPoints>,
}

/// How a bus is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// Modbus TCP.
    Tcp {
        /// Name or address.
        host: String,
        /// Port, usually 502.
        port: u16,
    },
}

/// What is read of one meter.
#[derive(Debug, Clone, PartialEq)]
pub struct MeterPoints {
    /// The meter.
    pub name: Name,
    /// Its unit on the bus.
    pub unit: u8,
    /// Its points.
    pub points: Vec<Point>,
    /// Registers between two points that one read may bridge.
    pub max_gap: u16,
    /// Registers of one read, at most 125.
    pub max_registers: u16,
}

/// One quantity in one or more registers.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// First register, 0-based on the wire.
    pub at: u16,
    /// Which table it is in.
    pub table: Table,
    /// How the registers are a number.
    pub form: RegisterForm,
    /// Order of their bytes.
    pub order: ByteOrder,
    /// What it measures.
    pub quantity: Quantity,
    /// Value = raw x scale + offset.
    pub scale: f64,
    /// See `scale`.
    pub offset: f64,
    /// Period of its own, data time.
    pub every: Option<Duration>,
}

/// Table of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "plain words")]
pub enum Table {
    Holding,
    Input,
}

/// Form of a number in registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "plain words")]
pub enum RegisterForm {
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

impl RegisterForm {
    /// Registers it takes.
    pub fn registers(self) -> u16 {
        match self {
            Self::U16 | Self::I16 => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
            Self::U64 | Self::I64 | Self::F64 => 4,
        }
    }
}

/// Order of the bytes of a number, `abcd` = most significant first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "plain words")]
pub enum ByteOrder {
    Abcd,
    Cdab,
    Badc,
    Dcba,
}
