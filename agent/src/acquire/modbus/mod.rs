//! Modbus meters: their registers as configured, checked once into a [`plan::Plan`], then polled by one task a bus.
//!
//! It knows no device profiles and no configuration file. Invariants: one connection a bus, one request at a time; only
//! reading function codes can leave ([`guard`]); a reply that is late, short or foreign never becomes a value.

mod bus;
pub mod decode;
pub mod guard;
mod link;
pub mod plan;
mod schedule;

use std::time::Duration;

use energy::{Name, Quantity};

pub use bus::run;
pub use decode::{ByteOrder, RegisterForm};

/// Registers a merged read may bridge when nothing else is said: 20 take 23 ms at 19200 baud, a second request takes
/// 9 ms on the line and the device's answering time, 20 ms and more.
pub const DEFAULT_MAX_GAP: u16 = 20;

/// The most registers one request may ask for, from the Modbus specification.
pub const MAX_REGISTERS: u16 = 125;

/// One Modbus line and the meters on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Name of the bus: its label in logs and counters.
    pub name: String,
    /// How the line is reached.
    pub transport: Transport,
    /// Data time from one poll of a meter to the next; zero = as fast as the line answers.
    pub every: Duration,
    /// Wall time a device has for its answer.
    pub timeout: Duration,
    /// The meters that share the line.
    pub meters: Vec<MeterPoints>,
}

/// How a Modbus line is reached. Only [`Transport::Tcp`] runs in this version; [`check`] refuses the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// Modbus TCP: one connection, MBAP framing.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port, 502 by custom.
        port: u16,
    },
    /// RTU frames over a TCP connection, as simple serial gateways pass them on.
    RtuOverTcp {
        /// Host name or address.
        host: String,
        /// Port of the gateway.
        port: u16,
    },
    /// A serial line of this machine.
    Rtu {
        /// Device file.
        path: String,
        /// Bits per second.
        baud: u32,
    },
    /// Modbus TCP inside TLS.
    Tls {
        /// Host name, also the name the certificate must have.
        host: String,
        /// Port, 802 by custom.
        port: u16,
    },
}

/// As in a configuration.
impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bracketed = |host: &str| {
            if host.contains(':') {
                format!("[{host}]")
            } else {
                host.to_owned()
            }
        };
        match self {
            Self::Tcp { host, port } => write!(f, "tcp://{}:{port}", bracketed(host)),
            Self::RtuOverTcp { host, port } => write!(f, "rtu+tcp://{}:{port}", bracketed(host)),
            Self::Rtu { path, baud } => write!(f, "rtu://{path}?baud={baud}"),
            Self::Tls { host, port } => write!(f, "tls://{}:{port}", bracketed(host)),
        }
    }
}

/// The points of one meter.
#[derive(Debug, Clone, PartialEq)]
pub struct MeterPoints {
    /// The meter.
    pub name: Name,
    /// Its unit id on the line.
    pub unit: u8,
    /// What to read; at most one point a quantity.
    pub points: Vec<Point>,
    /// How it wants to be read.
    pub limits: Limits,
}

/// What a device can bear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Unwanted registers that one read may bridge; see [`DEFAULT_MAX_GAP`].
    pub max_gap: u16,
    /// The most registers one read may ask for, at most [`MAX_REGISTERS`].
    pub max_registers: u16,
    /// First and last of registers that the device refuses: no read touches them, in neither table.
    pub holes: Vec<(u16, u16)>,
    /// The least time between its answer and the next request on the line.
    pub pause: Duration,
    /// What it takes to answer, beside the time on the line; `None` = not known.
    pub latency: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_gap: DEFAULT_MAX_GAP,
            max_registers: MAX_REGISTERS,
            holes: vec![],
            pause: Duration::ZERO,
            latency: None,
        }
    }
}

/// One value in a meter's registers.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Address of the first register on the wire, 0-based.
    pub at: u16,
    /// Which of the two register tables.
    pub table: Table,
    /// How the registers hold the number.
    pub form: RegisterForm,
    /// In which order its bytes stand.
    pub order: ByteOrder,
    /// What it measures.
    pub quantity: Quantity,
    /// Quantity's unit per raw unit: value = raw × scale + offset.
    pub scale: f64,
    /// Added after scaling, in the quantity's unit.
    pub offset: f64,
    /// Register whose signed number n makes the value raw × 10^n × scale, as SunSpec's `sunssf`; same table, same read.
    pub exponent_at: Option<u16>,
    /// The bits that count, of an unsigned number; the lowest of them becomes bit 0.
    pub mask: Option<u64>,
    /// The raw bits by which this meter says "no value", for example `0x8000` or `0xFFFF_FFFF`.
    pub invalid: Vec<u64>,
    /// Data time between two reads where it differs from the bus's.
    pub every: Option<Duration>,
}

impl Point {
    /// A holding register in the specification's order, in the quantity's unit already.
    pub fn new(at: u16, form: RegisterForm, quantity: Quantity) -> Self {
        Self {
            at,
            table: Table::Holding,
            form,
            order: ByteOrder::Abcd,
            quantity,
            scale: 1.0,
            offset: 0.0,
            exponent_at: None,
            mask: None,
            invalid: vec![],
            every: None,
        }
    }
}

/// The register tables that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Holding registers, function 3.
    Holding,
    /// Input registers, function 4.
    Input,
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Holding => "holding",
            Self::Input => "input",
        })
    }
}

/// Why a bus cannot run as configured.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// The way to the line is not built yet.
    #[error("bus {bus:?}: {transport} is not in this version; use tcp://host:port")]
    Transport {
        /// The bus.
        bus: String,
        /// The transport as written in a URL.
        transport: &'static str,
    },
    /// A device must have time to answer.
    #[error("bus {bus:?}: timeout is zero, no device can answer in that; 500ms is usual")]
    Timeout {
        /// The bus.
        bus: String,
    },
    /// A meter's points cannot be read.
    #[error("bus {bus:?}: {error}")]
    Plan {
        /// The bus.
        bus: String,
        /// Which point, and why.
        error: plan::PlanError,
    },
}

/// What one cycle of this bus reads, or why it cannot run.
pub fn check(config: &Config) -> Result<plan::Plan, ConfigError> {
    let bus = || config.name.clone();
    let not_yet = |transport| Err(ConfigError::Transport { bus: bus(), transport });
    match config.transport {
        Transport::Tcp { .. } => {}
        Transport::RtuOverTcp { .. } => return not_yet("rtu+tcp://"),
        Transport::Rtu { .. } => return not_yet("rtu://"),
        Transport::Tls { .. } => return not_yet("tls://"),
    }
    if config.timeout.is_zero() {
        return Err(ConfigError::Timeout { bus: bus() });
    }
    plan::plan(&config.meters).map_err(|error| ConfigError::Plan { bus: bus(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(transport: Transport) -> Config {
        Config {
            name: "panel-a".into(),
            transport,
            every: Duration::from_secs(1),
            timeout: Duration::from_millis(500),
            meters: vec![],
        }
    }

    #[test]
    fn transports_of_later_versions_and_a_zero_timeout_are_refused() {
        let host = || "192.0.2.10".to_owned();
        for (transport, expected) in [
            (
                Transport::Tcp {
                    host: host(),
                    port: 502,
                },
                None,
            ),
            (
                Transport::RtuOverTcp {
                    host: host(),
                    port: 502,
                },
                Some("rtu+tcp://"),
            ),
            (
                Transport::Rtu {
                    path: "/dev/ttyUSB0".into(),
                    baud: 9600,
                },
                Some("rtu://"),
            ),
            (
                Transport::Tls {
                    host: host(),
                    port: 802,
                },
                Some("tls://"),
            ),
        ] {
            let refused = check(&config(transport)).err().map(|error| error.to_string());
            match expected {
                None => assert_eq!(refused, None),
                Some(name) => {
                    assert!(refused.is_some_and(|text| text.contains(name) && text.contains("not in this version")));
                }
            }
        }
        let mut hasty = config(Transport::Tcp {
            host: host(),
            port: 502,
        });
        hasty.timeout = Duration::ZERO;
        assert!(matches!(check(&hasty), Err(ConfigError::Timeout { .. })));
    }
}
