//! Every point of a meter read once from the device, and what can be said of the values.
//!
//! It asks as the plan of a bus does; a block that is refused is asked for point by point. Invariants: each value stands
//! beside the registers that it was made from; a point that was not read says why.

use std::time::Duration;

use energy::{Quantity, Reading};
use tokio::time::sleep;

use super::{
    block::{form_name, order_name},
    counting::Counted,
    number,
    probe::{BUSY_PAUSE, BUSY_TRIES, is_busy},
    ranges::Ranges,
    say,
    sheet::{Check, Value, hex},
};
use crate::{
    acquire::modbus::{
        Answer, Fault, MeterPoints, Point, Table, Transport,
        ask::{Block, Master, Trouble},
        can_judge, decode, judge, plan,
        sunspec::{self, Walk},
    },
    language::Language,
};

/// Characters of a request and of its reply beside the registers.
const FRAMES: usize = 13;

/// What a meter said.
#[derive(Debug, Clone, Default)]
pub(super) struct Live {
    /// Its points in the order of the profile.
    pub(super) points: Vec<PointRead>,
    /// What the device took for each block that it gave, beside what the characters take on a serial line.
    pub(super) answers: Vec<Answer>,
    /// From where its addresses count.
    pub(super) base: u16,
    /// Why the meter as a whole was given up.
    pub(super) trouble: Option<Trouble>,
    /// What its energy register did while it was watched, where that was.
    pub(super) counted: Option<Counted>,
}

/// One point, and what came.
#[derive(Debug, Clone)]
pub(super) struct PointRead {
    /// The point; its address as on the wire.
    pub(super) point: Point,
    /// Its registers.
    pub(super) words: Vec<u16>,
    /// Its value, with the quality that decoding gave it.
    pub(super) reading: Option<Reading>,
    /// Why it has none.
    pub(super) trouble: Option<Trouble>,
}

/// Walks the chain of SunSpec models; empty where the device has none.
pub(super) async fn chain(master: &mut Master, unit: u8) -> Result<Walk, Trouble> {
    let mut walk = Walk::default();
    while let Some(at) = walk.asks() {
        match master.registers(unit, Table::Holding, at, sunspec::HEAD).await {
            Ok(block) => walk.came(Some(&block.words)),
            // Heads may well be alike.
            Err(Trouble::Fault(Fault::Unconfirmed { words, .. })) => walk.came(Some(&words)),
            Err(Trouble::Fault(Fault::Refused(_))) => walk.came(None),
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(walk)
}

/// Reads every point of a meter once.
pub(super) async fn read(master: &mut Master, meter: &MeterPoints) -> Live {
    let mut live = Live::default();
    let base = match base(master, meter).await {
        Ok(base) => base,
        Err(trouble) => {
            live.trouble = Some(trouble);
            return live;
        }
    };
    live.base = base;
    live.points = meter.points.iter().map(|point| unread(point, base)).collect();
    // Without its rhythms, so that everything is read once in the fewest blocks.
    let mut once = meter.clone();
    once.limits.sunspec = None;
    for (point, read) in once.points.iter_mut().zip(&live.points) {
        *point = Point {
            every: None,
            ..read.point.clone()
        };
    }
    // A profile's points have been planned when it was loaded: only the move to the model's place can spoil that.
    let Ok(plan) = plan::plan(std::slice::from_ref(&once)) else {
        live.trouble = Some(Fault::Layout("the model reaches beyond the last register".to_owned()).into());
        return live;
    };
    let mut failed = None;
    for block in plan.reads {
        let Err(trouble) = read_block(master, meter.unit, &block, &mut live).await else {
            continue;
        };
        for nth in &block.points {
            live.points[*nth].trouble = Some(trouble.clone());
        }
        // A meter that is away says nothing to the second question either.
        if failed.replace(trouble).is_some() && !live.has_values() {
            break;
        }
    }
    if !live.has_values() {
        // Where every point is refused, so is the meter.
        live.trouble = failed.or_else(|| live.points.iter().find_map(|read| read.trouble.clone()));
    }
    live
}

async fn base(master: &mut Master, meter: &MeterPoints) -> Result<u16, Trouble> {
    let Some(id) = meter.limits.sunspec else { return Ok(0) };
    let walk = chain(master, meter.unit).await?;
    let ids: Vec<u16> = walk.models().iter().map(|model| model.id).collect();
    let found = walk.find(id).map(|model| model.at);
    found.ok_or_else(|| Fault::Layout(format!("{id} / {ids:?}")).into())
}

fn unread(point: &Point, base: u16) -> PointRead {
    let moved = |at: u16| at.saturating_add(base);
    PointRead {
        point: Point {
            at: moved(point.at),
            exponent_at: point.exponent_at.map(moved),
            ..point.clone()
        },
        words: vec![],
        reading: None,
        trouble: None,
    }
}

/// Asks for one block; for its points alone where it is refused. An error is the block's.
async fn read_block(master: &mut Master, unit: u8, block: &plan::Read, live: &mut Live) -> Result<(), Trouble> {
    match timed(master, (unit, block.table, block.at, block.count), live).await {
        Ok(answer) => {
            for nth in &block.points {
                take(&mut live.points[*nth], answer.at, &answer.words);
            }
            Ok(())
        }
        Err(trouble) if is_refusal(&trouble) && block.points.len() > 1 => {
            for nth in &block.points {
                let (at, count) = extent(&live.points[*nth].point);
                match timed(master, (unit, block.table, at, count), live).await {
                    Ok(answer) => take(&mut live.points[*nth], answer.at, &answer.words),
                    Err(trouble) if trouble.is_reply() => live.points[*nth].trouble = Some(trouble),
                    Err(trouble) => return Err(trouble),
                }
            }
            Ok(())
        }
        Err(trouble) if trouble.is_reply() && is_refusal(&trouble) => {
            for nth in &block.points {
                live.points[*nth].trouble = Some(trouble.clone());
            }
            Ok(())
        }
        Err(trouble) => Err(trouble),
    }
}

/// Registers of a unit's table from an address on; what the device took for them counts.
async fn timed(
    master: &mut Master,
    (unit, table, at, count): (u8, Table, u16, u16),
    live: &mut Live,
) -> Result<Block, Trouble> {
    let mut answer = master.registers(unit, table, at, count).await;
    for _ in 0..BUSY_TRIES {
        if !answer.as_ref().is_err_and(is_busy) {
            break;
        }
        sleep(BUSY_PAUSE).await;
        answer = master.registers(unit, table, at, count).await;
    }
    let answer = answer?;
    let on_line = match master.transport() {
        Transport::Rtu { line, .. } => line.characters(FRAMES + 2 * usize::from(count)),
        _ => Duration::ZERO,
    };
    live.answers.push(Answer {
        table,
        at: at - live.base,
        count,
        latency: answer.took.saturating_sub(on_line),
    });
    Ok(answer)
}

/// Whether addresses, not the meter, were refused.
fn is_refusal(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Fault(fault) if fault.may_pass_in_parts())
}

fn no_value(language: Language) -> &'static str {
    say(
        language,
        "계측기가 값 없음이라 하거나 있을 수 없는 값",
        "the meter says \"no value\", or it cannot be",
    )
}

/// The registers that a point needs, its scale register among them.
pub(super) fn extent(point: &Point) -> (u16, u16) {
    let last = point.at.saturating_add(point.form.registers() - 1);
    let first = point.exponent_at.map_or(point.at, |at| at.min(point.at));
    let last = point.exponent_at.map_or(last, |at| at.max(last));
    (first, last - first + 1)
}

fn take(read: &mut PointRead, first: u16, words: &[u16]) {
    let from = usize::from(read.point.at - first);
    let own = words.get(from..from + usize::from(read.point.form.registers()));
    read.words = own.unwrap_or_default().to_vec();
    read.reading = decode::reading(&read.point, first, words);
}

impl Live {
    /// The readings that were made.
    pub(super) fn readings(&self) -> Vec<Reading> {
        self.points.iter().filter_map(|read| read.reading).collect()
    }

    /// The longest that it took to answer.
    pub(super) fn latency(&self) -> Duration {
        self.answers
            .iter()
            .map(|answer| answer.latency)
            .max()
            .unwrap_or_default()
    }

    /// A value that can be trusted.
    pub(super) fn value(&self, quantity: Quantity) -> Option<f64> {
        let found = self.points.iter().find(|read| read.point.quantity == quantity)?;
        let reading = found.reading.filter(|reading| reading.quality.is_trusted())?;
        Some(reading.value)
    }

    /// Whether any value came.
    pub(super) fn has_values(&self) -> bool {
        self.points.iter().any(|read| read.reading.is_some())
    }

    /// Whether any value came that can be trusted.
    pub(super) fn has_trusted(&self) -> bool {
        self.readings().iter().any(|reading| reading.quality.is_trusted())
    }

    /// Its values for a sheet.
    pub(super) fn values(&self, ranges: &Ranges, language: Language, told: impl Fn(&Trouble) -> String) -> Vec<Value> {
        let value = |read: &PointRead| {
            let Point { quantity, at, .. } = read.point;
            let trusted = read.reading.filter(|reading| reading.quality.is_trusted());
            let range = ranges.of(quantity);
            let is_zero = trusted.is_some_and(|reading| reading.value == 0.0);
            let holds = |value| range.map(|range| range.holds(value));
            let remark = match (&read.trouble, read.reading, trusted) {
                (Some(trouble), ..) => told(trouble),
                (None, Some(_), None) => no_value(language).to_owned(),
                _ => String::new(),
            };
            Value {
                name: quantity.name().to_owned(),
                number: trusted.map(|reading| reading.value),
                unit: quantity.row().unit.to_owned(),
                at,
                table: read.point.table.to_string(),
                form: format!("{} {}", form_name(read.point.form), order_name(read.point.order)),
                raw: hex(&read.words),
                // Nothing flows through a machine that stands still.
                plausible: trusted.filter(|_| !is_zero).and_then(|reading| holds(reading.value)),
                remark,
            }
        };
        self.points.iter().map(value).collect()
    }

    /// What the values say together.
    pub(super) fn checks(&self, ranges: &Ranges, language: Language) -> Vec<Check> {
        let mut checks = vec![];
        for name in ["voltage", "frequency", "pf"] {
            let of_kind = |quantity: Quantity| ranges.of(quantity).is_some_and(|range| range.name == name);
            let values: Vec<f64> = self
                .readings()
                .iter()
                .filter(|reading| of_kind(reading.quantity) && reading.quality.is_trusted() && reading.value != 0.0)
                .map(|reading| reading.value)
                .collect();
            let Some(range) = ranges.named(name).filter(|_| !values.is_empty()) else {
                continue;
            };
            checks.push(Check {
                what: range.title(language).to_owned(),
                ok: values.iter().all(|value| range.holds(*value)),
                found: values.iter().map(|value| number(*value)).collect::<Vec<_>>().join(", ") + " " + &range.unit,
            });
        }
        checks.extend(self.without_value(language));
        checks.extend(self.not_all_zero(language));
        checks.extend(self.direction(language));
        checks.extend(self.one_load(language));
        checks.extend(self.counted.map(|counted| counted.check(language)));
        checks
    }

    /// A complaint of registers that were given and hold nothing that can be a value.
    fn without_value(&self, language: Language) -> Option<Check> {
        let is_empty = |read: &&PointRead| read.reading.is_some_and(|reading| !reading.quality.is_trusted());
        let empty: Vec<String> = self
            .points
            .iter()
            .filter(is_empty)
            .map(|read| format!("{} @{}", read.point.quantity.name(), read.point.at))
            .collect();
        (!empty.is_empty()).then(|| Check {
            what: say(language, "값 없음", "no value").to_owned(),
            ok: false,
            found: format!("{}: {}", empty.join(", "), no_value(language)),
        })
    }

    /// A complaint where every value is 0: even a machine that stands still has voltage.
    fn not_all_zero(&self, language: Language) -> Option<Check> {
        let values = self
            .readings()
            .into_iter()
            .filter(|reading| reading.quality.is_trusted());
        let values: Vec<f64> = values.map(|reading| reading.value).collect();
        let is_all_zero = !values.is_empty() && values.iter().all(|value| *value == 0.0);
        is_all_zero.then(|| Check {
            what: say(language, "값", "values").to_owned(),
            ok: false,
            found: say(
                language,
                "모두 0: 다른 모델이거나 결선되지 않음",
                "all are 0: another model, or not wired",
            )
            .to_owned(),
        })
    }

    /// Whether power flows in.
    fn direction(&self, language: Language) -> Option<Check> {
        let kw = self.value(Quantity::ActivePower).filter(|kw| *kw != 0.0)?;
        let phases = [
            Quantity::ActivePowerL1,
            Quantity::ActivePowerL2,
            Quantity::ActivePowerL3,
        ];
        let reversed: Vec<&str> = phases
            .into_iter()
            .zip(["L1", "L2", "L3"])
            .filter(|(quantity, _)| self.value(*quantity).is_some_and(|kw| kw < 0.0))
            .map(|(_, phase)| phase)
            .collect();
        let ok = kw > 0.0 && reversed.is_empty();
        let fix = say(
            language,
            ": 음수. 발전 설비가 아니면 CT 방향(P1/P2, S1/S2)이 거꾸로임",
            ": negative; unless it generates, the current transformer is reversed (P1/P2, S1/S2)",
        );
        Some(Check {
            what: say(language, "CT 방향", "direction of current").to_owned(),
            ok,
            found: format!(
                "{} kW{}{}",
                number(kw),
                [&[""], &reversed[..]].concat().join(" "),
                if ok { "" } else { fix }
            ),
        })
    }

    /// Whether the values can be of one load.
    fn one_load(&self, language: Language) -> Option<Check> {
        let mut readings = self.readings();
        if !can_judge(&readings) {
            return None;
        }
        let broken = judge(&mut readings);
        Some(Check {
            what: say(language, "P와 V×I×PF, 상별 합", "P against V×I×PF and its phases").to_owned(),
            ok: broken.is_none(),
            found: match broken {
                None => say(language, "서로 맞음", "they agree").to_owned(),
                Some(broken) => format!(
                    "{} kW ≠ {} kW: {}",
                    number(broken.got_kw),
                    number(broken.wanted_kw),
                    say(
                        language,
                        "형식, 워드 순서, 배율 또는 CT비를 확인",
                        "check type, word order, scale or CT ratio"
                    )
                ),
            },
        })
    }
}
