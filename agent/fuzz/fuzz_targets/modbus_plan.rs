//! Points of one meter (six bytes each) → a plan, and the rest of the bytes as the words of every reply.
#![no_main]

use energy::quantity::TABLE;
use libfuzzer_sys::fuzz_target;
use wattwarden::acquire::modbus::{
    ByteOrder, MeterPoints, Point, RegisterForm, Table,
    decode::reading,
    plan::{Plan, plan},
};

fn point(bytes: &[u8]) -> Point {
    let chosen = |byte: u8, n: usize| usize::from(byte) % n;
    Point {
        at: u16::from_be_bytes([bytes[0], bytes[1]]),
        table: [Table::Holding, Table::Input][chosen(bytes[2], 2)],
        form: RegisterForm::ALL[chosen(bytes[3], RegisterForm::ALL.len())].1,
        order: ByteOrder::ALL[chosen(bytes[4], ByteOrder::ALL.len())].1,
        quantity: TABLE[chosen(bytes[5], TABLE.len())].quantity,
        scale: 0.1,
        offset: -1.0,
        invalid: (bytes[2] > 127).then_some(0x8000),
        every: None,
    }
}

fn check(meter: &MeterPoints, plan: &Plan, words: &[u16]) {
    let mut n_read = vec![0; meter.points.len()];
    for read in &plan.reads {
        assert!((1..=meter.max_registers).contains(&read.count) && read.at.checked_add(read.count - 1).is_some());
        for &index in &read.points {
            let point = &meter.points[index];
            let registers = point.form.registers();
            let offset = point.at.checked_sub(read.at).expect("a point begins inside its read");
            assert!(point.table == read.table && offset + registers <= read.count);
            n_read[index] += 1;
            if let Some(words) = words.get(..usize::from(registers)) {
                assert_eq!(reading(point, words).quantity, point.quantity);
            }
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
        max_gap: (*gap).into(),
        max_registers: (*limit).into(),
    };
    match plan(std::slice::from_ref(&meter)) {
        Ok(plan) => check(&meter, &plan, &words),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
