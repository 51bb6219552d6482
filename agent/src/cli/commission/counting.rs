//! Whether an energy register counts while power flows: read again until it rose, or should have.
//!
//! It waits no longer than [`LIMIT_S`]: of a small load, whose register needs longer for its next steps, it says nothing.
//! Invariants: that a register did not move is said only after all that time, or else that it stopped answering; and with it, since a meter may count in
//! coarser steps than its numbers could hold, of which steps [`STEPS`] should have come by then.

use std::time::Duration;

use energy::Quantity;

use super::{live, live::Live, number, say, sheet::Check};
use crate::{
    acquire::modbus::{Point, RegisterForm, ask::Master, decode},
    language::Language,
};

/// Longest wait, s.
const LIMIT_S: u32 = 15;
/// Steps that a register owes before it is said to stand still: its phase within a step is not known, and the load may
/// have fallen.
const STEPS: f64 = 2.0;
/// The finest step that a meter is trusted to count in, kWh, whatever its number could hold.
const FINEST_KWH: f64 = 0.01;

/// What a register did while it was watched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Counted {
    first_kwh: f64,
    last_kwh: f64,
    kw: f64,
    /// At least so long, s.
    watched_s: u32,
}

/// A register that is watched.
struct Watched {
    nth: usize,
    unit: u8,
    point: Point,
    counted: Counted,
}

/// Watches the import registers of all meters of a bus that can be told in time.
pub(super) async fn watch(master: &mut Master, units: &[u8], meters: &mut [Live]) {
    let mut watched: Vec<Watched> = meters
        .iter()
        .zip(units)
        .enumerate()
        .filter_map(|(nth, (live, unit))| watched(nth, *unit, live))
        .collect();
    for second in 1..=LIMIT_S {
        watched.retain(|one| meters[one.nth].counted.is_none());
        if watched.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        for one in &mut watched {
            let (at, count) = live::extent(&one.point);
            let answer = master.registers(one.unit, one.point.table, at, count).await.ok();
            let read = answer.and_then(|answer| decode::reading(&one.point, at, &answer.words));
            if let Some(read) = read.filter(|read| read.quality.is_trusted()) {
                (one.counted.last_kwh, one.counted.watched_s) = (read.value, second);
            }
            if one.counted.has_moved() || second == LIMIT_S {
                meters[one.nth].counted = Some(one.counted);
            }
        }
    }
}

fn watched(nth: usize, unit: u8, live: &Live) -> Option<Watched> {
    let kw = live.value(Quantity::ActivePower).filter(|kw| *kw > 0.0)?;
    let first_kwh = live.value(Quantity::EnergyImport)?;
    let read = live
        .points
        .iter()
        .find(|read| read.point.quantity == Quantity::EnergyImport)?;
    let needed_s = STEPS * step_kwh(&read.point, first_kwh) / kw * 3600.0;
    (needed_s <= f64::from(LIMIT_S)).then(|| Watched {
        nth,
        unit,
        point: read.point.clone(),
        counted: Counted {
            first_kwh,
            last_kwh: first_kwh,
            kw,
            watched_s: 0,
        },
    })
}

/// What the register can rise by at least, as far as its form tells; it may well rise by more at a time.
fn step_kwh(point: &Point, kwh: f64) -> f64 {
    let scale = point.scale.abs();
    let by_form = match point.form {
        // A float of 24 bits.
        RegisterForm::F32 => kwh.abs() / f64::from(1 << 23),
        RegisterForm::F64 => 0.0,
        // A power of ten that the device says may make it finer or coarser than the profile's scale.
        _ if point.exponent_at.is_some() => 1.0,
        _ => scale,
    };
    by_form.max(FINEST_KWH)
}

impl Counted {
    fn has_moved(self) -> bool {
        self.last_kwh != self.first_kwh
    }

    /// Whether it counts.
    pub(super) fn is_rising(self) -> bool {
        self.last_kwh > self.first_kwh
    }

    /// As a check of a sheet.
    pub(super) fn check(self, language: Language) -> Check {
        let (first, last) = (format!("{:.2}", self.first_kwh), format!("{:.2}", self.last_kwh));
        let kw = number(self.kw);
        let said = match language {
            Language::Ko => format!("{}초 동안 {kw} kW에서 {first} → {last} kWh", self.watched_s),
            Language::En => format!("{first} → {last} kWh in {} s at {kw} kW", self.watched_s),
        };
        let coarsest_kwh = number(self.kw * f64::from(self.watched_s) / 3600.0 / STEPS);
        // A single answer may be lost.
        let is_heard = self.watched_s + 1 >= LIMIT_S;
        let fix = match (self.is_rising(), self.has_moved(), language) {
            (true, ..) => String::new(),
            (false, false, _) if !is_heard => say(
                language,
                ": 그 뒤로 값이 오지 않음. 회선과 계측기를 확인",
                ": then no value came any more; check the line and the meter",
            )
            .to_owned(),
            (false, true, _) => say(
                language,
                ": 감소함. 형식, 워드 순서 또는 송전 레지스터인지 확인",
                ": it falls; check type and word order, and whether it is the export register",
            )
            .to_owned(),
            (false, false, Language::Ko) => format!(
                ": 움직이지 않음. 이 전력이면 증분이 {coarsest_kwh} kWh 이하인 레지스터는 움직였어야 함. 계측기 표시값과 \
                 비교하고 주소와 배율을 확인"
            ),
            (false, false, Language::En) => format!(
                ": it did not move; at this power a register of steps up to {coarsest_kwh} kWh should have; compare with \
                 the meter's display, check address and scale"
            ),
        };
        Check {
            what: say(language, "적산값", "energy counter").to_owned(),
            ok: self.is_rising(),
            found: said + &fix,
        }
    }
}

#[cfg(test)]
mod tests {
    use energy::{Quality, Reading};

    use super::{super::live::PointRead, *};

    fn live(form: RegisterForm, scale: f64, kwh: f64, kw: f64) -> Live {
        let read = |quantity, value, form, scale| PointRead {
            point: Point {
                scale,
                ..Point::new(0, form, quantity)
            },
            words: vec![],
            reading: Some(Reading {
                quantity,
                value,
                quality: Quality::Ok,
            }),
            trouble: None,
        };
        Live {
            points: vec![
                read(Quantity::ActivePower, kw, RegisterForm::F32, 1.0),
                read(Quantity::EnergyImport, kwh, form, scale),
            ],
            ..Live::default()
        }
    }

    #[test]
    fn a_register_is_watched_where_its_steps_may_come_in_time() {
        let check = |form, scale, kwh, kw, expected: bool| {
            let found = watched(0, 1, &live(form, scale, kwh, kw)).is_some();
            assert_eq!(found, expected, "{form:?} × {scale} at {kwh} kWh, {kw} kW");
        };
        check(RegisterForm::U32, 0.01, 1234.5, 7.2, true);
        check(RegisterForm::U32, 0.1, 1234.5, 7.2, false);
        check(RegisterForm::U32, 0.1, 1234.5, 72.0, true);
        check(RegisterForm::U64, 0.001, 1234.5, 7.2, true);
        check(RegisterForm::F64, 0.001, 1234.5, 7.2, true);
        check(RegisterForm::F32, 1.0, 1234.5, 7.2, true);
        // A float of 32 bits counts ten million kWh in whole ones.
        check(RegisterForm::F32, 1.0, 12_345_678.0, 1000.0, true);
        check(RegisterForm::F32, 1.0, 12_345_678.0, 400.0, false);
        check(RegisterForm::U32, 0.01, 1234.5, 0.0, false);
        check(RegisterForm::U32, 0.01, 1234.5, -7.2, false);
    }

    #[test]
    fn what_it_did_is_said() {
        let check = |(last_kwh, watched_s), ok, said: &str| {
            let counted = Counted {
                first_kwh: 100.0,
                last_kwh,
                kw: 72.0,
                watched_s,
            };
            let check = counted.check(Language::En);
            assert_eq!(check.ok, ok);
            assert!(check.found.contains(said), "{}", check.found);
        };
        check((100.05, 15), true, "100.00 → 100.05 kWh in 15 s at 72 kW");
        check((100.0, 3), false, "in 3 s at 72 kW: then no value came any more");
        check(
            (100.0, 14),
            false,
            "did not move; at this power a register of steps up to 0.140 kWh should have",
        );
        check((99.0, 15), false, "falls");
    }
}
