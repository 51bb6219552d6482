//! The points of a bus's meters → the reads that fetch them with few requests. Pure and deterministic.
//!
//! It knows neither time nor connection. Invariants: every point lies whole inside exactly one read, and so does the
//! register that scales it, so that both are of one instant; a read stays inside one unit, table and rhythm, within the
//! meter's limit and within addresses 0–65535, and touches no register that the meter is known to refuse; reads come
//! sorted by meter, rhythm, table and address.

use std::time::Duration;

use energy::{Name, Quantity, finding::Title};

use super::{Limits, MAX_REGISTERS, MeterPoints, Point, Table};

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
        "meter {meter:?}: at most {limit} registers a read, but {quantity} (with the register that scales it) takes \
         {registers} and no device gives more than 125"
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
    /// A point stands where the meter is said to refuse reading.
    #[error("meter {meter:?}: {quantity} touches the registers {first} to {last}, which are given as a hole")]
    Hole {
        /// The meter.
        meter: Name,
        /// The point's quantity.
        quantity: Quantity,
        /// First register of the hole.
        first: u16,
        /// Last register of the hole.
        last: u16,
    },
}

impl PlanError {
    /// In both languages, for people.
    pub fn text(&self) -> Title {
        let ko = match self {
            Self::Beyond {
                meter,
                quantity,
                at,
                registers,
            } => format!(
                "계측기 {meter:?}, 물리량 {quantity}: {at}번부터 레지스터 {registers}개는 마지막 주소 65535를 넘습니다. \
                 주소를 0부터 세고 표를 뜻하는 첫 자리를 뺐습니까(40001은 0)?"
            ),
            Self::Overlap {
                meter,
                first,
                second,
                at,
            } => format!(
                "계측기 {meter:?}: 주소 {at}의 물리량 {second}이(가) 물리량 {first}의 레지스터 안에 있습니다. 두 점은 주소, \
                 형식, 바이트 순서가 같을 때만 레지스터를 함께 쓸 수 있습니다"
            ),
            Self::Duplicate { meter, quantity, at } => format!(
                "계측기 {meter:?}: 물리량 {quantity}을(를) 두 번 읽습니다(두 번째 주소 {at}). 둘 중 하나만 두십시오"
            ),
            Self::Limit {
                meter,
                quantity,
                registers,
                limit,
            } => format!(
                "계측기 {meter:?}: 한 번에 레지스터 {limit}개까지인데 물리량 {quantity}은(는) 배율을 정하는 레지스터까지 \
                 {registers}개이고, 어느 기기도 125개를 넘게 주지 않습니다"
            ),
            Self::Hole {
                meter,
                quantity,
                first,
                last,
            } => format!("계측기 {meter:?}: 물리량 {quantity}이(가) 읽지 않기로 한 레지스터 {first}~{last}에 걸칩니다"),
        };
        let en = self.to_string();
        Title { ko, en }
    }

    /// The meter whose points cannot be read.
    pub fn meter(&self) -> &Name {
        match self {
            Self::Beyond { meter, .. }
            | Self::Overlap { meter, .. }
            | Self::Duplicate { meter, .. }
            | Self::Limit { meter, .. }
            | Self::Hole { meter, .. } => meter,
        }
    }
}

/// The reads of one cycle.
pub fn plan(meters: &[MeterPoints]) -> Result<Plan, PlanError> {
    let mut reads = Vec::new();
    for (index, meter) in meters.iter().enumerate() {
        check(meter)?;
        let mut order: Vec<usize> = (0..meter.points.len()).collect();
        order.sort_by_key(|&point| sort_key(&meter.points[point], point));
        let first = reads.len();
        merge(meter, index, &order, &mut reads);
        if meter.limits.sunspec.is_some() {
            with_head(meter, reads[first..].first_mut());
        }
    }
    Ok(Plan { reads })
}

fn sort_key(point: &Point, index: usize) -> (Option<Duration>, Table, u16, u16, usize) {
    (point.every, point.table, start(point), point.at, index)
}

fn check(meter: &MeterPoints) -> Result<(), PlanError> {
    for (index, point) in meter.points.iter().enumerate() {
        check_point(meter, point)?;
        let mut earlier = meter.points[..index].iter();
        if earlier.any(|earlier| earlier.quantity == point.quantity) {
            return Err(PlanError::Duplicate {
                meter: Name::clone(&meter.name),
                quantity: point.quantity,
                at: point.at,
            });
        }
    }
    check_overlaps(meter)
}

fn check_point(meter: &MeterPoints, point: &Point) -> Result<(), PlanError> {
    let (name, quantity) = (|| Name::clone(&meter.name), point.quantity);
    let registers = point.form.registers();
    if point.at.checked_add(registers - 1).is_none() {
        let at = point.at;
        return Err(PlanError::Beyond {
            meter: name(),
            quantity,
            at,
            registers,
        });
    }
    let (limit, registers) = (meter.limits.max_registers, end(point) - u32::from(start(point)));
    if registers > u32::from(limit) || limit > MAX_REGISTERS {
        return Err(PlanError::Limit {
            meter: name(),
            quantity,
            registers: registers.min(u32::from(u16::MAX)) as u16,
            limit,
        });
    }
    match meter.limits.hole_in(start(point), end(point)) {
        Some((first, last)) => Err(PlanError::Hole {
            meter: name(),
            quantity,
            first,
            last,
        }),
        None => Ok(()),
    }
}

fn check_overlaps(meter: &MeterPoints) -> Result<(), PlanError> {
    let overlap = |first: &Point, second: &Point, at| {
        Err(PlanError::Overlap {
            meter: Name::clone(&meter.name),
            first: first.quantity,
            second: second.quantity,
            at,
        })
    };
    let mut by_address: Vec<&Point> = meter.points.iter().collect();
    by_address.sort_by_key(|point| (point.table, point.at));
    if let Some(pair) = by_address.windows(2).find(|pair| collide(pair[0], pair[1])) {
        return overlap(pair[0], pair[1], pair[1].at);
    }
    for scaled in &meter.points {
        let Some(at) = scaled.exponent_at else { continue };
        let holds = |value: &&Point| value.table == scaled.table && own_registers(value).contains(&u32::from(at));
        if let Some(value) = meter.points.iter().find(holds) {
            return overlap(value, scaled, at);
        }
    }
    Ok(())
}

/// Whether two points, the first not behind the second, share registers without being the same value.
fn collide(first: &Point, second: &Point) -> bool {
    let is_same_value = first.at == second.at && first.form == second.form && first.order == second.order;
    first.table == second.table && own_registers(first).end > u32::from(second.at) && !is_same_value
}

fn own_registers(point: &Point) -> std::ops::Range<u32> {
    let at = u32::from(point.at);
    at..at + u32::from(point.form.registers())
}

/// The first register that a point needs, its own or the one that scales it.
fn start(point: &Point) -> u16 {
    point.exponent_at.map_or(point.at, |at| at.min(point.at))
}

/// The address after the last register that a point needs; one more than `u16` can hold.
fn end(point: &Point) -> u32 {
    let own = own_registers(point).end;
    point.exponent_at.map_or(own, |at| own.max(u32::from(at) + 1))
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
                at: start(point),
                count: (end(point) - u32::from(start(point))) as u16,
                every: point.every,
                points: vec![point_index],
            }),
        }
    }
}

/// Lets the first read of a SunSpec model begin at its head, so that each poll sees whether the model still stands there;
/// where it cannot, the meter walks the chain before each poll (`meter.rs`).
fn with_head(meter: &MeterPoints, read: Option<&mut Read>) {
    let Some(read) = read.filter(|read| read.table == Table::Holding) else {
        return;
    };
    let count = u32::from(read.at) + u32::from(read.count);
    if count <= u32::from(meter.limits.max_registers) && meter.limits.hole_in(0, count).is_none() {
        (read.at, read.count) = (0, count as u16);
    }
}

/// Whether `point`, not before the read's last one, fits into the read.
fn joins(meter: &MeterPoints, read: &Read, point: &Point) -> bool {
    let limits = &meter.limits;
    let read_end = u32::from(read.at) + u32::from(read.count);
    read.every == point.every
        && read.table == point.table
        && u32::from(start(point)).saturating_sub(read_end) <= u32::from(limits.max_gap)
        && end(point) - u32::from(read.at) <= u32::from(limits.max_registers)
        && limits.hole_in(read.at, end(point)).is_none()
}

impl Limits {
    /// The hole that a read from `first` up to before `end` would touch.
    fn hole_in(&self, first: u16, end: u32) -> Option<(u16, u16)> {
        let mut holes = self.holes.iter().copied();
        holes.find(|&(hole, last)| hole <= last && u32::from(hole) < end && last >= first)
    }
}

impl Read {
    /// A block that holds no point.
    pub(super) fn of(unit: u8, table: Table, at: u16, count: u16) -> Self {
        Self {
            meter: 0,
            unit,
            table,
            at,
            count,
            every: None,
            points: vec![],
        }
    }

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
        let needed = || kept.iter().map(|&point| &points[point]);
        let at = needed().map(start).min().unwrap_or(self.at);
        let last = needed().map(end).max().unwrap_or(u32::from(at) + 1);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::acquire::modbus::RegisterForm;

    const U16: RegisterForm = RegisterForm::U16;
    const F32: RegisterForm = RegisterForm::F32;
    const U64: RegisterForm = RegisterForm::U64;

    fn point(nth: usize, at: u16, form: RegisterForm) -> Point {
        Point::new(at, form, energy::quantity::TABLE[nth].quantity)
    }

    fn meter(points: &[(u16, RegisterForm)], max_gap: u16, max_registers: u16) -> MeterPoints {
        MeterPoints {
            name: "m".into(),
            unit: 7,
            points: points
                .iter()
                .enumerate()
                .map(|(nth, &(at, form))| point(nth, at, form))
                .collect(),
            limits: Limits {
                max_gap,
                max_registers,
                ..Limits::default()
            },
        }
    }

    /// Points with gap and limit → (first register, registers) of each read.
    fn check(points: &[(u16, RegisterForm)], (max_gap, max_registers): (u16, u16), expected: &[(u16, u16)]) {
        let reads = plan(&[meter(points, max_gap, max_registers)]).unwrap().reads;
        let got: Vec<_> = reads.iter().map(|read| (read.at, read.count)).collect();
        assert_eq!(got, expected, "{points:?} gap {max_gap} limit {max_registers}");
    }

    #[test]
    fn reads_bridge_holes_and_keep_limits() {
        check(&[], (16, 125), &[]);
        check(&[(5, U16)], (16, 125), &[(5, 1)]);
        check(&[(2, F32), (0, F32)], (0, 125), &[(0, 4)]);
        check(&[(0, F32), (18, F32)], (16, 125), &[(0, 20)]); // 16 unwanted between
        check(&[(0, F32), (19, F32)], (16, 125), &[(0, 2), (19, 2)]); // 17 are too many
        check(&[(0, F32), (3, F32)], (0, 125), &[(0, 2), (3, 2)]);
        check(&[(0, U16), (124, U16)], (200, 125), &[(0, 125)]);
        check(&[(0, U16), (125, U16)], (200, 125), &[(0, 1), (125, 1)]);
        check(&[(0, U16), (123, F32), (125, U16)], (200, 125), &[(0, 125), (125, 1)]);
        check(&[(0, U16), (122, U64)], (200, 125), &[(0, 1), (122, 4)]); // a value is never split
        check(&[(0, F32), (2, F32), (4, F32)], (16, 4), &[(0, 4), (4, 2)]);
        check(&[(65_534, F32), (65_533, U16)], (16, 125), &[(65_533, 3)]);
        check(&[(10, F32), (10, F32)], (16, 125), &[(10, 2)]); // one register for two quantities
    }

    #[test]
    fn the_first_read_of_a_model_begins_at_its_head_if_it_can() {
        for (points, max_registers, expected) in [
            (&[(3, U16), (90, U16)][..], 125, &[(0, 4), (90, 1)][..]),
            (&[(0, U16)], 125, &[(0, 1)]),
            (&[(50, F32)], 52, &[(0, 52)]),
            (&[(50, F32)], 51, &[(50, 2)]),
        ] {
            let mut meter = meter(points, 16, max_registers);
            meter.limits.sunspec = Some(203);
            let reads = plan(&[meter]).unwrap().reads;
            let got: Vec<_> = reads.iter().map(|read| (read.at, read.count)).collect();
            assert_eq!(got, expected, "{points:?} limit {max_registers}");
        }
    }

    #[test]
    fn tables_rhythms_and_units_are_read_apart() {
        let mut first = meter(&[(0, U16), (1, U16), (2, U16), (3, U16)], 16, 125);
        first.points[1].table = Table::Input;
        first.points[2].every = Some(Duration::from_secs(10));
        let second = MeterPoints {
            unit: 8,
            ..meter(&[(0, U16)], 16, 125)
        };
        let reads = plan(&[first, second]).unwrap().reads;
        let got: Vec<_> = reads
            .iter()
            .map(|read| (read.unit, read.table, read.at, read.count, read.every))
            .collect();
        let slow = Some(Duration::from_secs(10));
        assert_eq!(
            got,
            [
                (7, Table::Holding, 0, 4, None),
                (7, Table::Input, 1, 1, None),
                (7, Table::Holding, 2, 1, slow),
                (8, Table::Holding, 0, 1, None),
            ]
        );
        assert_eq!(reads[0].points, [0, 3]);
    }

    #[test]
    fn impossible_points_are_named() {
        let refused = |points: &[(u16, RegisterForm)], max_registers| {
            plan(&[meter(points, 16, max_registers)])
                .expect_err("must be refused")
                .to_string()
        };
        for (text, parts) in [
            (
                refused(&[(65_535, F32)], 125),
                ["energy_import_kwh", "65535", "0-based"],
            ),
            (
                refused(&[(65_533, U64)], 125),
                ["energy_import_kwh", "4 registers from 65533", "65535"],
            ),
            (
                refused(&[(0, F32), (1, F32)], 125),
                ["energy_export_kwh", "at 1", "inside energy_import_kwh"],
            ),
            (
                refused(&[(0, F32), (0, U16)], 125),
                ["energy_export_kwh", "at 0", "the same"],
            ),
            (
                refused(&[(0, U64), (0, U64), (3, U16)], 125),
                ["reactive_energy_lag_kvarh", "at 3", "the same"],
            ),
            (refused(&[(0, U64)], 3), ["energy_import_kwh", "at most 3", "takes 4"]),
            (refused(&[(0, U16)], 126), ["energy_import_kwh", "at most 126", "125"]),
        ] {
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
        let mut twice = meter(&[(0, F32), (2, F32)], 16, 125);
        twice.points[1].quantity = twice.points[0].quantity;
        assert!(matches!(plan(&[twice]), Err(PlanError::Duplicate { at: 2, .. })));
    }

    #[test]
    fn a_refused_read_is_halved_between_values_until_one_is_left() {
        let meter = meter(&[(0, F32), (10, F32), (10, F32), (14, U16)], 16, 125);
        let read = plan(std::slice::from_ref(&meter)).unwrap().reads.remove(0);
        let [low, high] = read.halves(&meter.points).unwrap();
        assert_eq!((low.at, low.count, &*low.points), (0, 2, &[0][..]));
        assert_eq!((high.at, high.count, &*high.points), (10, 5, &[1, 2, 3][..]));
        assert_eq!(low.halves(&meter.points), None);
        let [twin, last] = high.halves(&meter.points).unwrap();
        assert_eq!((twin.at, twin.count, &*twin.points), (10, 2, &[1, 2][..]));
        assert_eq!((last.at, last.count, &*last.points), (14, 1, &[3][..]));
        assert_eq!(twin.halves(&meter.points), None);
    }

    #[test]
    fn a_value_and_the_register_that_scales_it_are_read_together() {
        let scaled = |points: &[(u16, RegisterForm)], exponents: &[Option<u16>], max_registers| {
            let mut meter = meter(points, 2, max_registers);
            for (point, at) in meter.points.iter_mut().zip(exponents) {
                point.exponent_at = *at;
            }
            plan(&[meter]).map(|plan| plan.reads.iter().map(|read| (read.at, read.count)).collect::<Vec<_>>())
        };
        let three = [(10, U16), (11, U16), (12, U16)];
        assert_eq!(scaled(&three, &[Some(13); 3], 125), Ok(vec![(10, 4)]));
        assert_eq!(scaled(&three, &[Some(9); 3], 125), Ok(vec![(9, 4)]));
        assert_eq!(
            scaled(&three, &[Some(13), None, None], 3),
            Err(PlanError::Limit {
                meter: "m".into(),
                quantity: Quantity::EnergyImport,
                registers: 4,
                limit: 3,
            })
        );
        assert_eq!(
            scaled(&[(10, U16), (30, U16)], &[Some(20), Some(20)], 12),
            Ok(vec![(10, 11), (20, 11)])
        );
        let inside = scaled(&[(10, U16), (20, F32)], &[Some(21), None], 125).unwrap_err();
        assert!(matches!(inside, PlanError::Overlap { at: 21, .. }), "{inside}");
    }

    #[test]
    fn known_holes_are_never_asked_for() {
        let mut meter = meter(&[(0, U16), (4, U16), (9, U16)], 20, 125);
        meter.limits.holes = vec![(2, 2), (10, 20)];
        let reads = plan(std::slice::from_ref(&meter)).unwrap().reads;
        let got: Vec<_> = reads.iter().map(|read| (read.at, read.count)).collect();
        assert_eq!(got, [(0, 1), (4, 6)]);
        meter.limits.holes = vec![(3, 4)];
        assert!(matches!(plan(&[meter]), Err(PlanError::Hole { first: 3, last: 4, .. })));
    }

    fn any_points() -> impl Strategy<Value = Vec<Point>> {
        let kinds = (0_u16..40, 0_usize..3, any::<bool>(), 0_u64..2, 0_u16..12);
        prop::collection::vec(kinds, 0..30).prop_map(|kinds| {
            let mut at = 0;
            let mut points: Vec<Point> = Vec::new();
            for (nth, (gap, form, is_input, every_s, scaled)) in kinds.into_iter().enumerate() {
                let mut point = point(nth, at + gap, [U16, F32, U64][form]);
                at += gap + point.form.registers();
                point.table = if is_input { Table::Input } else { Table::Holding };
                point.every = (every_s > 0).then(|| Duration::from_secs(every_s));
                if scaled == 0 {
                    point.exponent_at = Some(at);
                    at += 1;
                }
                points.push(point);
            }
            points
        })
    }

    /// Registers that no point needs, some of which a meter may refuse.
    fn free_registers(points: &[Point], wanted: &[u16]) -> Vec<(u16, u16)> {
        let is_free = |at: &u16| {
            !points
                .iter()
                .any(|point| (u32::from(start(point))..end(point)).contains(&u32::from(*at)))
        };
        wanted.iter().copied().filter(is_free).map(|at| (at, at)).collect()
    }

    proptest! {
        #[test]
        fn every_point_lies_whole_in_exactly_one_read(
            points in any_points(), holes in prop::collection::vec(0_u16..700, 0..6), max_gap in 0_u16..30, max_registers in 5_u16..=125
        ) {
            let mut meter = MeterPoints { points, ..meter(&[], max_gap, max_registers) };
            meter.limits.holes = free_registers(&meter.points, &holes);
            let reads = plan(std::slice::from_ref(&meter)).unwrap().reads;
            let mut seen: Vec<usize> = reads.iter().flat_map(|read| read.points.clone()).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..meter.points.len()).collect::<Vec<_>>());
            for read in &reads {
                prop_assert!((1..=max_registers).contains(&read.count));
                let points: Vec<_> = read.points.iter().map(|&point| &meter.points[point]).collect();
                prop_assert_eq!(points.iter().map(|point| start(point)).min(), Some(read.at));
                let read_end = u32::from(read.at) + u32::from(read.count);
                prop_assert_eq!(points.iter().map(|point| end(point)).max(), Some(read_end));
                for pair in points.windows(2) {
                    prop_assert!(u32::from(start(pair[1])) <= end(pair[0]) + u32::from(max_gap));
                }
                prop_assert!(points.iter().all(|point| (point.table, point.every) == (read.table, read.every)));
                prop_assert!(meter.limits.holes.iter().all(|&(at, _)| !(u32::from(read.at)..read_end).contains(&u32::from(at))));
            }
            prop_assert!(reads.is_sorted_by_key(|read| (read.every, read.table, read.at)));
        }

        #[test]
        fn halving_loses_no_point(points in any_points()) {
            let meter = MeterPoints { points, ..meter(&[], 40, 125) };
            let mut whole = plan(std::slice::from_ref(&meter)).unwrap().reads;
            let mut single = Vec::new();
            while let Some(read) = whole.pop() {
                match read.halves(&meter.points) {
                    Some(halves) => whole.extend(halves),
                    None => single.push(read),
                }
            }
            prop_assert_eq!(single.len(), meter.points.len());
            for read in single {
                let point = &meter.points[read.points[0]];
                prop_assert_eq!((read.at, u32::from(read.at) + u32::from(read.count)), (start(point), end(point)));
            }
        }
    }
}
