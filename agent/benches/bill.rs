//! A meter's year of quarter hours, priced: band by band, item by item, twelve bills.

use std::path::Path;

use energy::tariff::{Usage, bill::bills};
use jiff::{SignedDuration, Timestamp};
use wattwarden::{
    clock::monotonic,
    config::{self, Secrets, diagnostic::Source},
};

use super::{Number, Target};

const SITE: &str = r#"
[site]
name = "bench"
zone = "Asia/Seoul"
main_meter = "main"
[[meter]]
name = "main"
[[contract]]
from = "2025-01-01"
tariff = "kepco-industrial-b-high-a-2"
contract_kw = 800
"#;

/// Runs before the best of them is taken: the first fills caches.
const RUNS: usize = 20;

pub(super) fn measure() -> Vec<Number> {
    let loaded = config::parse(
        Source::new("bench.toml", SITE),
        Path::new("/nonexistent"),
        Secrets::LeaveOut,
    )
    .unwrap();
    let contracts = loaded.config.site.contracts;
    let first: Timestamp = "2026-01-01T00:00:00+09:00".parse().unwrap();
    let quarter = |index: i64| Usage {
        start: first + SignedDuration::from_mins(15 * index),
        minutes: 15,
        energy_kwh: Some(40.0 + (index % 96) as f64 * 0.75),
        lag_kvarh: Some(12.5),
        lead_kvarh: Some(1.25),
        coverage: 1.0,
        quality: energy::Quality::Ok,
    };
    let usage: Vec<Usage> = (0..365 * 96).map(quarter).collect();
    let run = |_| {
        let start = monotonic();
        let (made, _) = bills(&contracts, &usage);
        assert_eq!(made.len(), 12);
        start.elapsed().as_secs_f64() * 1e3
    };
    vec![Number {
        name: "bill_year",
        value: (0..RUNS).map(run).fold(f64::MAX, f64::min),
        unit: "ms, 35,040 quarter hours",
        target: Target::AtMost(5.0),
    }]
}
