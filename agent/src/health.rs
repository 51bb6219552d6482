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

/// What each number says, as `# HELP` of the exposition.
const HELP: &[(&str, &str)] = &[
    (
        "alerts_refused_total",
        "Messages that a receiver refused for good; kept as dead letters.",
    ),
    ("alerts_retried_total", "Attempts to alert that will be made again."),
    ("alerts_sent_total", "Messages about incidents that were delivered."),
    (
        "answer_duration_s",
        "What the last answer of this Modbus meter took from its request on, seconds.",
    ),
    ("cannot_commit", "1 while a commit fails and is tried again."),
    (
        "clock_ahead_s",
        "How far time in the recordings is ahead of the system's clock, seconds.",
    ),
    ("clock_steps_total", "Times the system's clock was set, by direction."),
    (
        "clock_suspect_samples_total",
        "Samples stamped by a clock that was not to be trusted.",
    ),
    (
        "commit_duration_s",
        "What the last commit took until it was durable, seconds.",
    ),
    ("commits_total", "Commits of the recorder that are durable."),
    ("connects_total", "Attempts to connect to a bus or broker, by result."),
    (
        "dead_letters_total",
        "Things refused for good and kept for people, by source.",
    ),
    (
        "dropped_total",
        "Things left out, by part and reason; config/README.md lists the reasons.",
    ),
    ("failed_commits_total", "Commits that failed and will be made again."),
    (
        "implausible_polls_total",
        "Polls of this Modbus meter whose values cannot be of one load and were marked bad, by the rule they break.",
    ),
    (
        "influx_backlog_rows",
        "Rows of the log that this InfluxDB has not got yet.",
    ),
    (
        "influx_batches_total",
        "Requests to this InfluxDB, by what was made of its answer.",
    ),
    (
        "influx_holding",
        "1 while a person must mend the set-up of this InfluxDB.",
    ),
    (
        "influx_lines_rejected_total",
        "Lines that this InfluxDB refused for good, by reason; kept as dead letters.",
    ),
    ("influx_lines_sent_total", "Lines that this InfluxDB accepted."),
    ("late_samples_total", "Samples older than the last tick."),
    ("meter_answering", "1 while this Modbus meter answers, else 0."),
    (
        "mqtt_births_asked_total",
        "Requests to Sparkplug edge nodes of this broker to say their births again.",
    ),
    ("mqtt_messages_total", "Messages received from this broker."),
    (
        "mqtt_refused_total",
        "Messages from which this meter could not be read, by reason.",
    ),
    (
        "mqtt_same_arrival_total",
        "Messages of this meter without a time of their own that came within one instant.",
    ),
    (
        "mqtt_time_unread_total",
        "Messages of this meter whose time cannot be read: their values are marked clock_suspect.",
    ),
    (
        "mqtt_sessions_lost_total",
        "Connections at whose start the broker did not know our session.",
    ),
    (
        "mqtt_sparkplug_gaps_total",
        "Messages of Sparkplug edge nodes of this broker before which others are missing.",
    ),
    ("mqtt_subscriptions_total", "Subscriptions that this broker granted."),
    ("polls_total", "Polls of this meter, by result."),
    ("readings_total", "Readings taken by the recorder."),
    (
        "recorder_rounds_total",
        "Rounds of the recorder: it stands still when this does.",
    ),
    (
        "refused_register",
        "1 while this Modbus meter does not give the register of this address, 0 since it gives it again.",
    ),
    ("refused_registers_total", "Registers that this meter does not give."),
    (
        "reloads_total",
        "Times the configuration was written anew while the agent ran, by whether it was taken up.",
    ),
    ("samples_total", "Samples taken by the recorder."),
    (
        "skipped_polls_total",
        "Polls of this bus that were left out because an earlier one took too long or the line was down.",
    ),
    (
        "store_commit_seconds",
        "What the store's last transaction took, seconds.",
    ),
    ("store_commits_total", "Transactions of the store."),
    (
        "store_errors_total",
        "Transactions of the store that failed, by reason.",
    ),
    ("store_size_bytes", "What the store's file takes, bytes."),
    (
        "web_acknowledgements_total",
        "Findings that somebody took note of on the page.",
    ),
    ("web_listeners", "Pages that watch the live stream."),
    (
        "web_stream_errors_total",
        "Events of the live stream that could not be made.",
    ),
];

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

    /// Counts something that was dropped, in `part`, for `reason`: a word or several joined by underscores, that stays.
    pub fn dropped(&self, part: &'static str, reason: &str) -> Counter {
        debug_assert!(
            reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "a reason is an identifier: {reason:?}"
        );
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
                let help = HELP.iter().find(|(known, _)| *known == name);
                if let Some((_, help)) = help {
                    writeln!(text, "# HELP wattwarden_{name} {help}").expect("writing into memory does not fail");
                }
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
        health.counter("polls_total", &[("bus", "b")]).add(2);
        health.counter("polls_total", &[("bus", "a \"b\"\nc")]).one();
        health.gauge("clock_ahead_s", &[]).set(-0.5);
        assert_eq!(
            health.exposition(),
            "# HELP wattwarden_clock_ahead_s How far time in the recordings is ahead of the system's clock, seconds.\n\
             # TYPE wattwarden_clock_ahead_s gauge\n\
             wattwarden_clock_ahead_s -0.5\n\
             # HELP wattwarden_polls_total Polls of this meter, by result.\n\
             # TYPE wattwarden_polls_total counter\n\
             wattwarden_polls_total{bus=\"a \\\"b\\\"\\nc\"} 1\n\
             wattwarden_polls_total{bus=\"b\"} 2\n"
        );
    }

    /// The names that a part gives its counters and gauges, read from the sources.
    fn names_in(folder: &std::path::Path, names: &mut std::collections::BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("the sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                names_in(&path, names);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a source");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for call in [".counter(\"", ".gauge(\""] {
                let named = code.split(call).skip(1).filter_map(|rest| rest.split('"').next());
                names.extend(named.map(str::to_owned));
            }
        }
    }

    #[test]
    fn every_number_says_what_it_is() {
        let mut named = std::collections::BTreeSet::new();
        names_in(
            &std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut named,
        );
        assert!(named.len() > 30, "the sources were not read: {named:?}");
        let helped: std::collections::BTreeSet<String> = HELP.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(named, helped);
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
