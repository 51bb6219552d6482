//! What an interval that is told again keeps of what was told before. It reckons nothing.
//!
//! Invariant: a register's amount and its repairs come from the same telling, and so do quality and coverage with import.

use super::{Interval, Repair, meter::Register};
use crate::quantity::Quantity;

/// What of a closed interval can no longer be reckoned stays as it was.
pub(super) fn keep_older(interval: &mut Interval, closed: &Interval, is_older: [bool; 4]) {
    if is_older[Register::Import as usize] {
        (interval.quality, interval.coverage) = (closed.quality, closed.coverage);
    }
    for (register, _) in Register::ALL
        .into_iter()
        .zip(is_older)
        .filter(|(_, is_older)| *is_older)
    {
        let (amount, raw) = amounts(interval, register);
        let mut older = closed.clone();
        let (older_amount, older_raw) = amounts(&mut older, register);
        (*amount, *raw) = (*older_amount, *older_raw);
        interval.repairs.retain(|repair| !is_of(repair, register));
        older.repairs.retain(|repair| is_of(repair, register));
        interval.repairs.append(&mut older.repairs);
    }
    Repair::sort(&mut interval.repairs);
}

/// Whether a repair is of this register; what was calculated from power stands for import.
fn is_of(repair: &Repair, register: Register) -> bool {
    let is_power = repair.quantity == Quantity::ActivePower && register == Register::Import;
    repair.quantity == register.counter() || is_power
}

fn amounts(interval: &mut Interval, register: Register) -> (&mut Option<f64>, &mut Option<f64>) {
    let raw = &mut interval.raw;
    match register {
        Register::Import => (&mut interval.energy_import_kwh, &mut raw.energy_import_kwh),
        Register::Export => (&mut interval.energy_export_kwh, &mut raw.energy_export_kwh),
        Register::Lag => (
            &mut interval.reactive_energy_lag_kvarh,
            &mut raw.reactive_energy_lag_kvarh,
        ),
        Register::Lead => (
            &mut interval.reactive_energy_lead_kvarh,
            &mut raw.reactive_energy_lead_kvarh,
        ),
    }
}
