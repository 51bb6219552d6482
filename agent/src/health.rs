//! Every part's counters, for people (`/metrics`, the System page) and for InfluxDB (`agent_health`).
//!
//! A part takes its counters once, at start, and moves them without a lock. It judges nothing. Invariant: whatever is
//! dropped, refused or retried anywhere is counted here with its reason; a name, once published, keeps its meaning.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// All counters and gauges of the running agent; cheap to clone, one set a process.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<Series, Cell>>>);

/// Name and labels of one number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// Prometheus name without the prefix `wattwarden_`; a counter's ends in `_total`.
    pub name: &'static str,
    /// Labels in the order given.
    pub labels: Vec<(&'static str, String)>,
}

/// `name{label="value",…}` as in the Prometheus text format, without the prefix.
impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        for (index, (key, value)) in self.labels.iter().enumerate() {
            let opening = if index == 0 { '{' } else { ',' };
            write!(f, "{opening}{key}=\"{}\"", escaped(value))?;
        }
        f.write_str(if self.labels.is_empty() { "" } else { "}" })
    }
}

#[derive(Debug, Clone)]
struct Cell {
    bits: Arc<AtomicU64>,
    is_counter: bool,
}

impl Cell {
    fn value(&self) -> f64 {
        let bits = self.bits.load(Ordering::Relaxed);
        if self.is_counter {
            bits as f64
        } else {
            f64::from_bits(bits)
        }
    }
}

/// A number that only grows.
#[derive(Debug, Clone)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// `n` more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Clone)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// The value last set; 0 before that.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

impl Health {
    /// The counter of this name and these labels, made at the first call.
    pub fn counter(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Counter {
        debug_assert!(name.ends_with("_total"), "a counter's name ends in _total: {name}");
        Counter(self.cell(name, labels, true))
    }

    /// The gauge of this name and these labels, made at the first call.
    pub fn gauge(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        Gauge(self.cell(name, labels, false))
    }

    /// Counts something that was dropped, in `part`, for `reason`.
    pub fn dropped(&self, part: &'static str, reason: &str) -> Counter {
        self.counter("dropped_total", &[("part", part), ("reason", reason)])
    }

    fn cell(&self, name: &'static str, labels: &[(&'static str, &str)], is_counter: bool) -> Arc<AtomicU64> {
        let labels = labels.iter().map(|&(key, value)| (key, value.to_owned())).collect();
        let mut series = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = series.entry(Series { name, labels }).or_insert_with(|| Cell {
            bits: Arc::default(),
            is_counter,
        });
        Arc::clone(&cell.bits)
    }

    /// All numbers as they stand now.
    pub fn snapshot(&self) -> Vec<(Series, f64)> {
        let series = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        series
            .iter()
            .map(|(series, cell)| (series.clone(), cell.value()))
            .collect()
    }

    /// The Prometheus text format, version 0.0.4.
    pub fn exposition(&self) -> String {
        let series = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        let mut last_name = "";
        for (series, cell) in series.iter() {
            let name = series.name;
            if name != last_name {
                let form = if cell.is_counter { "counter" } else { "gauge" };
                writeln!(text, "# TYPE wattwarden_{name} {form}").expect("writing into memory does not fail");
                last_name = name;
            }
            writeln!(text, "wattwarden_{series} {}", cell.value()).expect("writing into memory does not fail");
        }
        text
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exposition_groups_by_name_and_escapes_labels() {
        let health = Health::default();
        health.dropped("acquire", "channel full").add(2);
        health.dropped("acquire", "a \"b\"\nc").one();
        health.gauge("clock_offset_s", &[]).set(-0.5);
        assert_eq!(
            health.exposition(),
            "# TYPE wattwarden_clock_offset_s gauge\n\
             wattwarden_clock_offset_s -0.5\n\
             # TYPE wattwarden_dropped_total counter\n\
             wattwarden_dropped_total{part=\"acquire\",reason=\"a \\\"b\\\"\\nc\"} 1\n\
             wattwarden_dropped_total{part=\"acquire\",reason=\"channel full\"} 2\n"
        );
    }

    #[test]
    fn the_same_name_and_labels_are_the_same_counter() {
        let health = Health::default();
        health.counter("polls_total", &[("bus", "a")]).one();
        health.counter("polls_total", &[("bus", "a")]).one();
        assert_eq!(
            health.snapshot().iter().map(|(_, value)| *value).collect::<Vec<_>>(),
            [2.0]
        );
    }
}
