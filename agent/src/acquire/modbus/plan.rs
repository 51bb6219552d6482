//! The points of a bus's meters → the reads that fetch them with few requests. Pure and deterministic.
//!
//! It knows neither time nor connection. Invariants: every point lies whole inside exactly one read; a read stays
//! inside one unit, table and rhythm, within the meter's limit and within addresses 0–65535; reads come sorted by
//! meter, rhythm, table and address.

use std::time::Duration;

use energy::{Name, Quantity};

use super::{MAX_REGISTERS, MeterPoints, Point, Table};

/// What one cycle of a bus reads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The reads, sorted by meter, rhythm, table and address.
    pub reads: Vec<Read>,
}

/// One request and the points its reply holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Index of the meter in the list given.
    pub meter: usize,
    /// The meter's unit id.
    pub unit: u8,
    /// The table asked.
    pub table: Table,
    /// First register.
    pub at: u16,
    /// Registers, 1 to the meter's limit.
    pub count: u16,
    /// The points' own rhythm; `None` = the bus's.
    pub every: Option<Duration>,
    /// Indices into the meter's points, by address.
    pub points: Vec<usize>,
}

/// Why points cannot be read; names the point.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The value would end after the last address there is.
    #[error(
        "meter {meter:?}, {quantity}: {registers} registers from {at} end after the last address, 65535; is the address \
         0-based and without the table's digit (40001 is 0)?"
    )]
    Beyond {
        /// The meter.
        meter: Name,
        /// The point's quantity.
        quantity: Quantity,
        /// Its first register.
        at: u16,
        /// How many it takes.
        registers: u16,
    },
    /// Two values share registers without being the same value.
    #[error(
        "meter {meter:?}: {second} at {at} lies inside {first}; two points share registers only if address, type and \
         order are the same"
    )]
    Overlap {
        /// The meter.
        meter: Name,
        /// The point that begins first.
        first: Quantity,
        /// The point that begins inside it.
        second: Quantity,
        /// Where the second begins.
        at: u16,
    },
    /// A sample holds one value a quantity.
    #[error("meter {meter:?}: {quantity} is read twice (the second time at {at}); keep one of the two")]
    Duplicate {
        /// The meter.
        meter: Name,
        /// The quantity.
        quantity: Quantity,
        /// Where the second stands.
        at: u16,
    },
    /// The limit is above the specification's or below the widest point.
    #[error(
        "meter {meter:?}: at most {limit} registers a read, but {quantity} takes {registers} and no device gives more than 125"
    )]
    Limit {
        /// The meter.
        meter: Name,
        /// Its widest point.
        quantity: Quantity,
        /// How many registers that takes.
        registers: u16,
        /// The limit given.
        limit: u16,
    },
}

/// The reads of one cycle.
pub fn plan(meters: &[MeterPoints]) -> Result<Plan, PlanError> {
    let mut reads = Vec::new();
    for (index, meter) in meters.iter().enumerate() {
        check(meter)?;
        let mut order: Vec<usize> = (0..meter.points.len()).collect();
        order.sort_by_key(|&point| sort_key(&meter.points[point], point));
        merge(meter, index, &order, &mut reads);
    }
    Ok(Plan { reads })
}

fn sort_key(point: &Point, index: usize) -> (Option<Duration>, Table, u16, usize) {
    (point.every, point.table, point.at, index)
}

fn check(meter: &MeterPoints) -> Result<(), PlanError> {
    let name = || Name::clone(&meter.name);
    let mut by_address: Vec<&Point> = meter.points.iter().collect();
    by_address.sort_by_key(|point| (point.table, point.at));
    for (index, point) in meter.points.iter().enumerate() {
        let registers = point.form.registers();
        if point.at.checked_add(registers - 1).is_none() {
            return Err(PlanError::Beyond {
                meter: name(),
                quantity: point.quantity,
                at: point.at,
                registers,
            });
        }
        if registers > meter.max_registers || meter.max_registers > MAX_REGISTERS {
            let limit = meter.max_registers;
            return Err(PlanError::Limit {
                meter: name(),
                quantity: point.quantity,
                registers,
                limit,
            });
        }
        if meter.points[..index]
            .iter()
            .any(|earlier| earlier.quantity == point.quantity)
        {
            return Err(PlanError::Duplicate {
                meter: name(),
                quantity: point.quantity,
                at: point.at,
            });
        }
    }
    match by_address.windows(2).find(|pair| collide(pair[0], pair[1])) {
        Some(pair) => Err(PlanError::Overlap {
            meter: name(),
            first: pair[0].quantity,
            second: pair[1].quantity,
            at: pair[1].at,
        }),
        None => Ok(()),
    }
}

/// Whether two points, the first not behind the second, share registers without being the same value.
fn collide(first: &Point, second: &Point) -> bool {
    let is_same_value = first.at == second.at && first.form == second.form && first.order == second.order;
    first.table == second.table && end(first) > u32::from(second.at) && !is_same_value
}

/// The address after the last register; one more than `u16` can hold.
fn end(point: &Point) -> u32 {
    u32::from(point.at) + u32::from(point.form.registers())
}

fn merge(meter: &MeterPoints, index: usize, order: &[usize], reads: &mut Vec<Read>) {
    let first_read = reads.len();
    for &point_index in order {
        let point = &meter.points[point_index];
        match reads[first_read..].last_mut().filter(|read| joins(meter, read, point)) {
            Some(read) => {
                read.count = read.count.max((end(point) - u32::from(read.at)) as u16);
                read.points.push(point_index);
            }
            None => reads.push(Read {
                meter: index,
                unit: meter.unit,
                table: point.table,
                at: point.at,
                count: point.form.registers(),
                every: point.every,
                points: vec![point_index],
            }),
        }
    }
}

/// Whether `point`, not before the read's last one, fits into the read.
fn joins(meter: &MeterPoints, read: &Read, point: &Point) -> bool {
    let read_end = u32::from(read.at) + u32::from(read.count);
    read.every == point.every
        && read.table == point.table
        && u32::from(point.at).saturating_sub(read_end) <= u32::from(meter.max_gap)
        && end(point) - u32::from(read.at) <= u32::from(meter.max_registers)
}

impl Read {
    /// The two halves of a read whose reply was refused, cut between values; `None` when it holds one value only.
    ///
    /// Each half is trimmed to its own values, so that a hole between them is asked for no more.
    pub(super) fn halves(&self, points: &[Point]) -> Option<[Self; 2]> {
        let middle = self.points.len() / 2;
        // Points at one address are the same value and stay together.
        let cut = (1..self.points.len())
            .filter(|&cut| points[self.points[cut]].at != points[self.points[cut - 1]].at)
            .min_by_key(|cut| cut.abs_diff(middle))?;
        let (low, high) = self.points.split_at(cut);
        Some([self.trimmed(points, low), self.trimmed(points, high)])
    }

    fn trimmed(&self, points: &[Point], kept: &[usize]) -> Self {
        let at = points[kept[0]].at;
        let last = kept
            .iter()
            .map(|&point| end(&points[point]))
            .max()
            .unwrap_or(u32::from(at) + 1);
        Self {
            at,
            count: (last - u32::from(at)) as u16,
            points: kept.to_vec(),
            ..*self
        }
    }
}

impl std::fmt::Display for Read {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            unit, table, at, count, ..
        } = self;
        write!(f, "{count} {table} registers from {at} of unit {unit}")
    }
}
