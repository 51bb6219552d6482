//! Points of one meter (six bytes each) → a plan, and the rest of the bytes as the words of every reply.
#![no_main]

use energy::quantity::TABLE;
use libfuzzer_sys::fuzz_target;
use wattwarden::acquire::modbus::{
    ByteOrder, Limits, MeterPoints, Point, RegisterForm, Table,
    decode::reading,
    plan::{Plan, plan},
};

fn point(bytes: &[u8]) -> Point {
    let chosen = |byte: u8, n: usize| usize::from(byte) % n;
    Point {
        table: [Table::Holding, Table::Input][chosen(bytes[2], 2)],
        order: ByteOrder::ALL[chosen(bytes[4], ByteOrder::ALL.len())].1,
        scale: 0.1,
        offset: -1.0,
        exponent_at: (bytes[2] & 0x40 != 0).then(|| u16::from_be_bytes([bytes[0], bytes[4]])),
        mask: (bytes[2] & 0x20 != 0).then(|| u64::from(bytes[4]) << (bytes[5] & 0x3F)),
        invalid: if bytes[2] > 127 { vec![0x8000] } else { vec![] },
        ..Point::new(
            u16::from_be_bytes([bytes[0], bytes[1]]),
            RegisterForm::ALL[chosen(bytes[3], RegisterForm::ALL.len())].1,
            TABLE[chosen(bytes[5], TABLE.len())].quantity,
        )
    }
}

fn check(meter: &MeterPoints, plan: &Plan, words: &[u16]) {
    let mut n_read = vec![0; meter.points.len()];
    for read in &plan.reads {
        assert!((1..=meter.limits.max_registers).contains(&read.count) && read.at.checked_add(read.count - 1).is_some());
        for &index in &read.points {
            let point = &meter.points[index];
            let registers = point.form.registers();
            let offset = point.at.checked_sub(read.at).expect("a point begins inside its read");
            assert!(point.table == read.table && offset + registers <= read.count);
            n_read[index] += 1;
            let whole = words.len() >= usize::from(read.count);
            let got = reading(point, read.at, words);
            assert!(got.is_some() || !whole);
            assert!(got.is_none_or(|got| got.quantity == point.quantity));
        }
    }
    assert!(n_read.iter().all(|&n| n == 1), "{n_read:?}");
}

fuzz_target!(|bytes: &[u8]| {
    let [gap, limit, n_points, rest @ ..] = bytes else { return };
    let (points, words) = rest.split_at(rest.len().min(usize::from(*n_points) * 6));
    let words: Vec<u16> = words.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    let meter = MeterPoints {
        name: "press".into(),
        unit: 1,
        points: points.chunks_exact(6).map(point).collect(),
        limits: Limits {
            max_gap: (*gap).into(),
            max_registers: (*limit).into(),
            ..Limits::default()
        },
    };
    match plan(std::slice::from_ref(&meter)) {
        Ok(plan) => check(&meter, &plan, &words),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
