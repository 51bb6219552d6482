//! Modbus meters: their registers as configured, checked once into a [`plan::Plan`], then polled by one task a bus.
//!
//! It knows no device profiles and no configuration file. Invariants: one request at a time on a connection, and one
//! connection a bus unless more are asked for; only reading function codes can leave ([`guard`]); a reply that is late,
//! short or foreign never becomes a value; a bus that is asked for more than its line can give does not start.

pub mod ask;
mod balance;
pub mod budget;
mod bus;
mod counts;
pub mod decode;
mod fault;
mod frame;
pub mod guard;
pub mod identify;
mod link;
mod mbap;
mod meter;
mod pdu;
pub mod plan;
mod plausible;
mod rtu;
mod schedule;
mod serial;
pub mod sunspec;
mod tls;
mod units;

use std::time::Duration;

use energy::{Name, Quantity, finding::Title};

pub use bus::run;
pub use decode::{ByteOrder, RegisterForm};
pub use fault::Fault;
pub use plausible::{Broken, can_judge, judge};
pub use serial::{Line, Parity};
pub use tls::Tls;
pub use tokio_modbus::ExceptionCode;

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
    /// Wall time a device has for its answer, beside what its characters take on a serial line.
    pub timeout: Duration,
    /// Connections over which the meters are spread; most gateways and all serial lines take one.
    pub connections: u8,
    /// Whether a reply by Modbus TCP may have another transaction number than its request, as some gateways give it.
    pub any_transaction: bool,
    /// The meters that share the line.
    pub meters: Vec<MeterPoints>,
}

impl Config {
    /// The same, and every point says how often it is read: what is planned depends on whether two are read together.
    fn paced(&self) -> Self {
        let mut config = self.clone();
        for point in config.meters.iter_mut().flat_map(|meter| &mut meter.points) {
            point.every.get_or_insert(config.every);
        }
        config
    }
}

/// How a Modbus line is reached.
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
        /// Its speed and framing.
        line: Line,
    },
    /// Modbus TCP inside TLS.
    Tls {
        /// Host name, also the name the certificate must have.
        host: String,
        /// Port, 802 by custom.
        port: u16,
        /// Certificates.
        tls: Tls,
    },
}

impl Transport {
    /// What two lines cannot share: the host and port, or the device file.
    pub fn place(&self) -> (&str, u16) {
        match self {
            Self::Tcp { host, port } | Self::RtuOverTcp { host, port } | Self::Tls { host, port, .. } => (host, *port),
            Self::Rtu { path, .. } => (path, 0),
        }
    }
}

/// As in a configuration, nearly.
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
            Self::Rtu { path, line } => write!(f, "rtu://{path} ({line})"),
            Self::Tls { host, port, .. } => write!(f, "tls://{}:{port}", bracketed(host)),
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
    /// What single blocks were measured to take; any other takes `latency`.
    pub answers: Vec<Answer>,
    /// Whether values that cannot be of one load are marked (`plausible.rs`).
    pub checks_values: bool,
    /// The SunSpec model from whose first register addresses count; the device's chain says where that stands.
    pub sunspec: Option<u16>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_gap: DEFAULT_MAX_GAP,
            max_registers: MAX_REGISTERS,
            holes: vec![],
            pause: Duration::ZERO,
            latency: None,
            answers: vec![],
            checks_values: true,
            sunspec: None,
        }
    }
}

/// What a device took to answer for a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The table asked.
    pub table: Table,
    /// First register.
    pub at: u16,
    /// Registers.
    pub count: u16,
    /// Beside the time on the line.
    pub latency: Duration,
}

impl Limits {
    /// What the device takes to answer for a block: as long as for the slowest of those that it was measured by.
    fn latency_of(&self, table: Table, at: u16, count: u16) -> Option<Duration> {
        let ends = |at: u16, count: u16| u32::from(at) + u32::from(count);
        let is_in = |answer: &&Answer| {
            answer.table == table
                && u32::from(answer.at) < ends(at, count)
                && u32::from(at) < ends(answer.at, answer.count)
        };
        let measured = self.answers.iter().filter(is_in).map(|answer| answer.latency).max();
        measured.or(self.latency)
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

impl Table {
    /// The Modbus function that reads it.
    pub fn function(self) -> u8 {
        match self {
            Self::Holding => 3,
            Self::Input => 4,
        }
    }
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
    /// The line is too slow.
    #[error("bus {bus:?}: {error}; {}", error.can_be_met.en)]
    TooMuch {
        /// The bus.
        bus: String,
        /// How much is asked, and what can be met.
        error: budget::TooMuch,
    },
    /// A serial line has one end here.
    #[error("bus {bus:?}: {connections} connections, but a serial port is opened once")]
    Connections {
        /// The bus.
        bus: String,
        /// How many were asked for.
        connections: u8,
    },
}

impl ConfigError {
    /// In both languages, for people.
    pub fn text(&self) -> Title {
        let ko = match self {
            Self::Timeout { bus } => {
                format!("회선 {bus:?}: timeout이 0이면 어느 기기도 응답할 수 없습니다. 보통 500ms로 합니다")
            }
            Self::Plan { bus, error } => format!("회선 {bus:?}: {}", error.text().ko),
            Self::TooMuch { bus, error } => {
                format!("회선 {bus:?}: {}. {}", error.text().ko, error.can_be_met.ko)
            }
            Self::Connections { bus, connections } => {
                format!("회선 {bus:?}: 연결이 {connections}개인데 직렬 포트는 한 번만 열 수 있습니다")
            }
        };
        let en = self.to_string();
        Title { ko, en }
    }
}

/// What one cycle of this bus reads, or why it cannot run.
pub fn check(config: &Config) -> Result<plan::Plan, ConfigError> {
    let bus = || config.name.clone();
    if config.timeout.is_zero() {
        return Err(ConfigError::Timeout { bus: bus() });
    }
    if matches!(config.transport, Transport::Rtu { .. }) && config.connections > 1 {
        let connections = config.connections;
        return Err(ConfigError::Connections {
            bus: bus(),
            connections,
        });
    }
    let plan = plan::plan(&config.paced().meters).map_err(|error| ConfigError::Plan { bus: bus(), error })?;
    let proof = budget::budget(config, &plan).prove(config);
    proof.map_err(|error| ConfigError::TooMuch { bus: bus(), error })?;
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_timeout_and_a_port_opened_twice_are_refused() {
        let config = |timeout_ms, connections, transport| Config {
            name: "panel-a".into(),
            transport,
            every: Duration::from_secs(1),
            timeout: Duration::from_millis(timeout_ms),
            connections,
            any_transaction: false,
            meters: vec![],
        };
        let tcp = || Transport::Tcp {
            host: "192.0.2.10".to_owned(),
            port: 502,
        };
        let serial = || Transport::Rtu {
            path: "/dev/ttyUSB0".to_owned(),
            line: Line::default(),
        };
        assert_eq!(check(&config(500, 2, tcp())), Ok(plan::Plan::default()));
        assert_eq!(check(&config(500, 1, serial())), Ok(plan::Plan::default()));
        assert!(matches!(check(&config(0, 1, tcp())), Err(ConfigError::Timeout { .. })));
        assert!(matches!(
            check(&config(500, 2, serial())),
            Err(ConfigError::Connections { .. })
        ));
    }

    #[test]
    fn a_rhythm_that_is_the_buss_own_is_planned_with_the_bus() {
        let point = |at, quantity, every_s: Option<u64>| Point {
            every: every_s.map(Duration::from_secs),
            ..Point::new(at, RegisterForm::F32, quantity)
        };
        let n_reads = |every_s| {
            let config = Config {
                name: "panel-a".into(),
                transport: Transport::Tcp {
                    host: "192.0.2.10".to_owned(),
                    port: 502,
                },
                every: Duration::from_secs(2),
                timeout: Duration::from_millis(500),
                connections: 1,
                any_transaction: false,
                meters: vec![MeterPoints {
                    name: "press".into(),
                    unit: 1,
                    points: vec![
                        point(0, Quantity::ActivePower, every_s),
                        point(2, Quantity::VoltageL1, None),
                    ],
                    limits: Limits::default(),
                }],
            };
            check(&config).unwrap().reads.len()
        };
        assert_eq!([None, Some(2), Some(10)].map(n_reads), [1, 1, 2]);
    }
}
