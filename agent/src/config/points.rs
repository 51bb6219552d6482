//! What all points of a meter have: quantity, scale, period; in MQTT payloads and in Modbus registers.
//!
//! Registers are read in `registers.rs`. Invariants: no two points of a meter have one quantity, and what cannot be read
//! from a live device is refused here.

use energy::{
    both,
    quantity::{Form, Quantity},
};
use toml::{Spanned, de::DeValue};

use super::{
    diagnostic::Code,
    read::{self, At, File, Table},
    suggest, units,
};

/// Longest `every`: a day.
const LONGEST_EVERY: std::time::Duration = std::time::Duration::from_hours(24);

/// Shortest `every`: a serial line at 9600 baud answers one read in about 30 ms, and no detector needs more.
pub(super) const SHORTEST_EVERY: std::time::Duration = std::time::Duration::from_millis(100);

/// A period of reading, not shorter than [`SHORTEST_EVERY`].
pub(super) fn every(table: &mut Table<'_>) -> Option<std::time::Duration> {
    let every = table.parsed("every", units::duration)?;
    if *every.get_ref() < SHORTEST_EVERY {
        let message = both!(
            "\"every\" 값이 {:?}입니다. 100ms보다 짧은 주기는 지킬 수 없습니다",
            "\"every\" is {:?}: shorter than 100ms cannot be kept up",
            every.get_ref()
        );
        table.file().report(Code::BadValue, every.span(), message);
        return None;
    }
    if *every.get_ref() > LONGEST_EVERY {
        let message = both!(
            "\"every\" 값이 {:?}입니다. 하루에 한 번도 읽지 않는 계측기로는 수요전력을 알 수 없습니다",
            "\"every\" is {:?}: a meter that is read less than once a day tells no demand",
            every.get_ref()
        );
        table.file().report(Code::BadValue, every.span(), message);
        return None;
    }
    Some(every.into_inner())
}

/// Reports a quantity that this meter has already.
pub(super) fn once(file: &File, span: std::ops::Range<usize>, seen: &mut Vec<Quantity>, quantity: Quantity) {
    if seen.contains(&quantity) {
        let help = both!(
            "둘 중 하나를 지우거나 [[meter]]를 하나 더 만드십시오",
            "leave one of the two out, or make a second [[meter]] of it"
        );
        let message = both!(
            "이 계측기에 물리량 {quantity}이(가) 두 번 있습니다",
            "this meter has {quantity} twice"
        );
        file.report_with(Code::DuplicateName, span, message, Some(help));
    }
    seen.push(quantity);
}

/// The key `quantity`: one that a live device can give.
pub(super) fn quantity(table: &mut Table<'_>) -> Option<At<Quantity>> {
    let text = table.text("quantity");
    let text = table.required("quantity", text)?;
    live_quantity(table.file(), &text)
}

/// A quantity that a live device can give.
pub(super) fn live_quantity(file: &File, text: &At<&str>) -> Option<At<Quantity>> {
    let quantity = known_quantity(file, text)?;
    if quantity.get_ref().row().form == Form::Delta {
        let message = both!(
            "물리량 {}은(는) 기록 파일로만 들어옵니다. 실시간 값에는 구간이 없습니다",
            "{} comes from recordings only: a live reading does not say its interval",
            quantity.get_ref()
        );
        let help = both!(
            "energy_import_kwh처럼 계측기의 적산값을 읽으십시오",
            "read the meter's counter, as energy_import_kwh"
        );
        file.report_with(Code::BadRegister, text.span(), message, Some(help));
        return None;
    }
    Some(quantity)
}

/// The quantity a text names; an unknown one is reported with the nearest.
pub(super) fn known_quantity(file: &File, text: &At<&str>) -> Option<At<Quantity>> {
    let name = *text.get_ref();
    if let Some(quantity) = Quantity::from_name(name) {
        return Some(Spanned::new(text.span(), quantity));
    }
    let names = energy::quantity::TABLE.iter().map(|row| row.name);
    let help = suggest::help(name, names).or_else(|| {
        Some(both!(
            "모든 물리량은 config/README.md에 있습니다",
            "config/README.md lists all quantities"
        ))
    });
    file.report_with(
        Code::UnknownReference,
        text.span(),
        both!("{name:?}은(는) 없는 물리량입니다", "no quantity is called {name:?}"),
        help,
    );
    None
}

/// The key `scale`: any number but zero.
pub(super) fn scale(table: &mut Table<'_>) -> Option<f64> {
    let scale = table.number("scale")?;
    if *scale.get_ref() == 0.0 {
        table.file().report(
            Code::BadValue,
            scale.span(),
            both!("배율이 0이면 모든 값이 0이 됩니다", "a scale of 0 makes every value 0"),
        );
        return None;
    }
    Some(scale.into_inner())
}

/// `"active_power_kw"`, or `{ quantity = "active_power_kw", scale = 0.001 }`.
pub(super) fn quantity_and_scale(file: &File, key: &str, item: &Spanned<DeValue<'_>>) -> Option<(Quantity, f64)> {
    if let DeValue::String(text) = item.get_ref() {
        let quantity = known_quantity(file, &Spanned::new(item.span(), text.as_ref()))?;
        return Some((quantity.into_inner(), 1.0));
    }
    let mut table = read::table(file, both!("값", "the value"), key, item)?;
    let text = table.text("quantity");
    let text = table.required("quantity", text);
    let scale = scale(&mut table);
    table.finish();
    Some((known_quantity(file, &text?)?.into_inner(), scale.unwrap_or(1.0)))
}
