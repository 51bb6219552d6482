//! What a `[[meter]]` says of itself beside how it is read: its card in the meter register, its parent, its changes.
//!
//! Points are read in `points.rs`. Invariants: parents exist and lead to no meter twice; changes come in order of time;
//! a register's rollover is what the file says, else its width times its scale.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use energy::{
    Quantity, both,
    finding::Title,
    quantity::Form,
    site::{Meter, MeterCard, Swap},
};
use jiff::{Span, Timestamp, ToSpan, civil::Date};
use toml::Spanned;

use super::{
    diagnostic::{Code, Diagnostic},
    names::Names,
    read::{self, At, File, Table},
    site::positive,
};
use crate::acquire::modbus::{Point, RegisterForm};

/// Counters of energy: what `rollover_kwh` is said of.
const ENERGY: [Quantity; 4] = [
    Quantity::EnergyImport,
    Quantity::EnergyExport,
    Quantity::ReactiveEnergyLag,
    Quantity::ReactiveEnergyLead,
];

/// What a meter says of itself.
#[derive(Clone)]
pub(super) struct Own<'a> {
    /// The meter above it.
    pub(super) parent: Option<At<&'a str>>,
    rollover_kwh: Option<f64>,
    swaps: Vec<Swap>,
    card: MeterCard,
}

/// Reads the keys of a meter's own.
pub(super) fn own<'a>(table: &mut Table<'a>) -> Own<'a> {
    let parent = table.text("parent");
    let rollover_kwh = positive(table, "rollover_kwh").map(Spanned::into_inner);
    Own {
        parent,
        rollover_kwh,
        swaps: swaps(table),
        card: card(table),
    }
}

impl Own<'_> {
    /// Writes it into the meter, whose registers are `points`.
    pub(super) fn fill(self, meter: &mut Meter, points: &[Point]) {
        meter.rollover = points.iter().filter_map(by_width).collect();
        if let Some(top_kwh) = self.rollover_kwh {
            meter.rollover.extend(ENERGY.map(|quantity| (quantity, top_kwh)));
        }
        meter.parent = self.parent.map(|parent| (*parent.get_ref()).into());
        meter.swaps = self.swaps;
        meter.card = self.card;
    }
}

/// Where a counter of whole numbers begins again, by its width and scale; none where no factory gets there.
fn by_width(point: &Point) -> Option<(Quantity, f64)> {
    let size = match point.form {
        RegisterForm::U16 => 2f64.powi(16),
        RegisterForm::I16 => 2f64.powi(15),
        RegisterForm::U32 => 2f64.powi(32),
        RegisterForm::I32 => 2f64.powi(31),
        RegisterForm::Bcd16 => 1e4,
        RegisterForm::Bcd32 => 1e8,
        _ => return None,
    };
    let is_counter = point.quantity.row().form == Form::Counter;
    let is_whole = point.offset == 0.0 && point.exponent_at.is_none() && point.mask.is_none();
    let top = size * point.scale;
    (is_counter && is_whole && top > 0.0).then_some((point.quantity, top))
}

fn swaps(table: &mut Table<'_>) -> Vec<Swap> {
    let file = table.file();
    let mut swaps: Vec<Swap> = vec![];
    for item in table.list("swaps") {
        let Some(mut swap) = read::table(file, both!("교체 항목", "the swap"), "swaps", item) else {
            continue;
        };
        let at = swap.parsed("at", instant);
        let at = swap.required("at", at);
        let last = swap.amount("last_kwh");
        let last = swap.required("last_kwh", last);
        let first = swap.amount("first_kwh");
        let first = swap.required("first_kwh", first);
        let reason = swap.text("reason").map(|reason| (*reason.get_ref()).to_owned());
        swap.finish();
        let (Some(at), Some(last), Some(first)) = (at, last, first) else {
            continue;
        };
        if swaps.last().is_some_and(|before| before.at >= *at.get_ref()) {
            let message = both!(
                "{} 교체가 그 앞에 적힌 교체보다 늦지 않습니다",
                "the swap of {} is not after the one before it",
                at.get_ref()
            );
            let help = Some(both!("시간 순서대로 쓰십시오", "write them in order of time"));
            file.report_with(Code::Contradiction, at.span(), message, help);
        }
        swaps.push(Swap {
            at: at.into_inner(),
            last_kwh: last.into_inner(),
            first_kwh: first.into_inner(),
            reason,
        });
    }
    swaps
}

fn instant(text: &str) -> Result<Timestamp, Title> {
    text.parse().map_err(|_| {
        both!(
            "{text:?}은(는) 시각이 아닙니다. \"2026-03-02T10:20:00+09:00\"처럼 쓰십시오",
            "{text:?} is not an instant: write \"2026-03-02T10:20:00+09:00\""
        )
    })
}

fn card(table: &mut Table<'_>) -> MeterCard {
    let mut text = |key| table.text(key).map(|text| (*text.get_ref()).to_owned());
    let (maker, serial, owner, place) = (text("maker"), text("serial"), text("owner"), text("place"));
    let class = table.parsed("class", class).map(Spanned::into_inner);
    let ct_ratio = table.parsed("ct_ratio", ratio).map(Spanned::into_inner);
    let vt_ratio = table.parsed("vt_ratio", ratio).map(Spanned::into_inner);
    let calibrated = table.date("calibrated");
    let every = table.parsed("calibration_every", years);
    if let (None, Some(every)) = (&calibrated, &every) {
        let title = table.title();
        let message = both!(
            [title],
            "{title}에 calibration_every는 있는데 calibrated가 없습니다. 교정 기한을 알 수 없습니다",
            "{title} has calibration_every but no calibrated: nothing falls due"
        );
        table.file().report(Code::NoEffect, every.span(), message);
    }
    let calibrated = calibrated.map(Spanned::into_inner);
    MeterCard {
        maker,
        serial,
        owner,
        place,
        class,
        ct_ratio,
        vt_ratio,
        calibrated,
        calibration_due: calibrated
            .zip(every)
            .and_then(|(day, every)| day.checked_add(every.into_inner()).ok()),
    }
}

/// Accuracy classes of IEC 62053-21, -22 and IEC 61557-12.
const CLASSES: [&str; 11] = ["0.1S", "0.2S", "0.5S", "0.1", "0.2", "0.5", "1", "1.0", "2", "2.0", "3"];

fn class(text: &str) -> Result<String, Title> {
    if CLASSES.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(both!(
        "{text:?}은(는) 정확도 등급이 아닙니다. 다음 중 하나를 쓰십시오: {}",
        "{text:?} is no class of accuracy: write one of {}",
        CLASSES.join(", ")
    ))
}

/// `"200/5"`: primary and secondary.
fn ratio(text: &str) -> Result<(f64, f64), Title> {
    let parsed = text.split_once('/').and_then(|(primary, secondary)| {
        let number = |text: &str| {
            text.trim()
                .parse()
                .ok()
                .filter(|value: &f64| value.is_finite() && *value > 0.0)
        };
        Some((number(primary)?, number(secondary)?))
    });
    parsed.ok_or_else(|| {
        both!(
            "{text:?}은(는) CT비나 VT비가 아닙니다. \"200/5\"처럼 1차와 2차를 쓰십시오",
            "{text:?} is not a ratio: write primary and secondary, as \"200/5\""
        )
    })
}

/// `"7y"` or `"18mo"`.
fn years(text: &str) -> Result<Span, Title> {
    let whole = |unit| text.strip_suffix(unit).and_then(|number| number.parse::<i64>().ok());
    let span = match (whole("y"), whole("mo")) {
        (Some(years @ 1..=50), _) => Some(years.years()),
        (_, Some(months @ 1..=600)) => Some(months.months()),
        _ => None,
    };
    span.ok_or_else(|| {
        both!(
            "{text:?}은(는) 교정 주기가 아닙니다. \"7y\" 또는 \"18mo\"처럼 햇수나 개월 수로 쓰십시오",
            "{text:?} is no time between calibrations: write years or months, as \"7y\" or \"18mo\""
        )
    })
}

/// Checks that every parent is a meter and that none is its own ancestor.
pub(super) fn check_tree(file: &File, names: &Names, parents: &BTreeMap<String, (String, Range<usize>)>) {
    for (meter, (parent, span)) in parents {
        if !names.find(file, &Spanned::new(span.clone(), parent.as_str())) {
            continue;
        }
        let mut seen = BTreeSet::from([meter]);
        let mut above = Some(parent);
        while let Some(name) = above {
            if name == meter {
                let message = both!(
                    "계측기 {meter:?}의 상위 계측기를 따라가면 자기 자신이 나옵니다",
                    "meter {meter:?} is its own ancestor"
                );
                file.report(Code::Contradiction, span.clone(), message);
            }
            above = parents
                .get(name)
                .map(|(parent, _)| parent)
                .filter(|_| seen.insert(name));
        }
    }
}

/// Meters whose calibration was due before `today`, a note each.
pub fn overdue(meters: &[Meter], today: Date) -> Vec<Diagnostic> {
    let late = |meter: &Meter| {
        let due = meter.card.calibration_due.filter(|due| *due < today)?;
        let since = meter.card.calibrated.map_or_else(
            || Title::same(""),
            |day| both!(", 마지막 교정 {day}", ", the last one was on {day}"),
        );
        let message = both!(
            [since],
            "계측기 {:?}의 교정 기한이 지났습니다. 기한 {due}{since}",
            "meter {:?}: its calibration was due on {due}{since}",
            meter.name
        );
        Some(Diagnostic::new(Code::CalibrationOverdue, message))
    };
    meters.iter().filter_map(late).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_counters_begin_again_by_width_and_scale() {
        let top = |form, scale, quantity| {
            let point = Point {
                scale,
                ..Point::new(0, form, quantity)
            };
            by_width(&point).map(|(_, top)| top)
        };
        let import = Quantity::EnergyImport;
        for (found, expected) in [
            (top(RegisterForm::U32, 0.01, import), Some(42_949_672.96)),
            (top(RegisterForm::I32, 0.1, import), Some(214_748_364.8)),
            (top(RegisterForm::U16, 1.0, import), Some(65_536.0)),
            (top(RegisterForm::U64, 0.001, import), None),
            (top(RegisterForm::F32, 1.0, import), None),
            (top(RegisterForm::Bcd32, 0.1, import), Some(10_000_000.0)),
            (top(RegisterForm::U32, 0.1, Quantity::ActivePower), None),
        ] {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn ratios_classes_and_years_are_read() {
        assert_eq!(ratio("200/5"), Ok((200.0, 5.0)));
        assert!(["200", "0/5", "200:5", "a/b"].iter().all(|text| ratio(text).is_err()));
        assert_eq!(years("7y").map(|span| span.get_years()), Ok(7));
        assert_eq!(years("18mo").map(|span| span.get_months()), Ok(18));
        assert!(["7", "0y", "7d", "99y"].iter().all(|text| years(text).is_err()));
        assert!(class("0.5S").is_ok() && class("5").is_err());
    }
}
