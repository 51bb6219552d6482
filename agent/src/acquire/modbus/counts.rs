//! What is counted of one Modbus meter.
//!
//! It decides nothing. Invariant: every result and rule has its counter from the start, so that one which has not happened
//! yet is seen as 0.

use super::{Table, fault::Fault, plausible};
use crate::health::{Counter, Gauge, Health};

/// Results of a poll that is no answer, as [`Fault::result`] names them.
const FAULTS: [&str; 8] = [
    "timeout",
    "lost",
    "foreign",
    "length",
    "damaged",
    "gateway",
    "exception",
    "layout",
];

pub(super) struct Counts {
    health: Health,
    labels: [(&'static str, String); 2],
    ok: Counter,
    /// Beats that passed while it rested.
    pub(super) rested: Counter,
    pub(super) refused: Counter,
    pub(super) answering: Gauge,
    pub(super) answer: Gauge,
    faults: [(&'static str, Counter); 8],
    implausible: [(&'static str, Counter); 3],
}

impl Counts {
    pub(super) fn new(bus: &str, meter: &str, health: &Health) -> Self {
        let labels = [("bus", bus), ("meter", meter)];
        let polls = |result| health.counter("polls_total", &[labels[0], labels[1], ("result", result)]);
        let implausible = |rule| {
            let labels = [labels[0], labels[1], ("rule", rule)];
            (rule, health.counter("implausible_polls_total", &labels))
        };
        Self {
            answer: health.gauge("answer_duration_s", &labels),
            health: health.clone(),
            labels: labels.map(|(key, value)| (key, value.to_owned())),
            ok: polls("ok"),
            rested: polls("rested"),
            refused: health.counter("refused_registers_total", &labels),
            answering: health.gauge("meter_answering", &labels),
            implausible: plausible::RULES.map(implausible),
            faults: FAULTS.map(|result| (result, polls(result))),
        }
    }

    /// A poll, by what ended it.
    pub(super) fn poll(&self, fault: Option<&Fault>) {
        match fault {
            None => self.ok.one(),
            Some(fault) => {
                let count = self.faults.iter().find(|(result, _)| *result == fault.result());
                count.expect("every result has its counter, made at the start").1.one();
            }
        }
    }

    /// A poll whose values break this rule.
    pub(super) fn implausible(&self, rule: &str) {
        let count = self.implausible.iter().find(|(known, _)| *known == rule);
        count.expect("every rule has its counter, made at the start").1.one();
    }

    /// Tells by its address whether a register is refused.
    pub(super) fn mark_refused(&self, table: Table, at: u16, is_refused: f64) {
        let (table, at) = (table.to_string(), at.to_string());
        let [bus, meter] = &self.labels;
        let labels = [(bus.0, &*bus.1), (meter.0, &*meter.1), ("table", &*table), ("at", &*at)];
        self.health.gauge("refused_register", &labels).set(is_refused);
    }
}
