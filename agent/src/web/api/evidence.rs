//! What a finding was seen by: the power around it, its gaps, the limits it was judged by, the working hours.
//!
//! It judges nothing anew: limits are the numbers of the finding's own `why`. Invariant: where the meter has no power
//! reading, the demand intervals stand in and the answer says so.

use axum::{
    Json,
    extract::{Path, State},
};
use energy::{Finding, Interval, Quantity, Site, calendar::Hours};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{findings::stored, series::allowed_gap_ms};
use crate::{
    store::{Reader, StoreError},
    web::{
        data::Web,
        downsample::{Columns, Stretch, columns, gaps, trusted},
        error::ApiError,
    },
};

#[derive(Serialize)]
pub(crate) struct EvidenceView {
    id: String,
    meter: String,
    quantity: Quantity,
    source: Source,
    from: Timestamp,
    to: Timestamp,
    since: Timestamp,
    until: Option<Timestamp>,
    gaps: Vec<Stretch>,
    limits: Vec<Limit>,
    /// The limit above which power is waste, kW.
    reference_kw: Option<f64>,
    /// Working hours of the machine; `None` when it has none.
    working: Option<Vec<Stretch>>,
    #[serde(flatten)]
    columns: Columns,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Source {
    Samples,
    Intervals,
}

#[derive(Serialize)]
struct Limit {
    name: String,
    kw: f64,
}

/// Columns of the chart: one a pixel of a wide screen.
const POINTS: usize = 1200;
/// Longest stretch shown: a week of seconds is read in about a second; a longer finding is shown by its last week.
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Shown before and after at least.
const MARGIN: SignedDuration = SignedDuration::from_mins(30);
/// Edges of working hours looked for at most: a week has some dozens.
const MAX_EDGES: usize = 500;

/// Numbers of `why` that are limits of power, the one above which power is waste first.
const LIMITS: [&str; 8] = [
    "reference_kw",
    "base_kw",
    "standby_kw",
    "target_kw",
    "above_kw",
    "limit_kw",
    "contract_kw",
    "running_from_kw",
];

/// `GET /api/v1/findings/{id}/evidence`.
pub(crate) async fn evidence(State(web): State<Web>, Path(id): Path<String>) -> Result<Json<EvidenceView>, ApiError> {
    let finding = stored(&web, id).await?.finding;
    web.read(move |web, reader| view(web, reader, finding)).await.map(Json)
}

fn view(web: &Web, reader: &Reader, finding: Finding) -> Result<EvidenceView, StoreError> {
    let (from, to) = window(&finding, web.parts.clock.now());
    let within = Stretch {
        since_ms: from.as_millisecond(),
        until_ms: to.as_millisecond(),
    };
    let Power { source, rows, gaps } = power(web, reader, &finding, within)?;
    let limits = limits(&finding);
    Ok(EvidenceView {
        meter: finding.meter.to_string(),
        quantity: Quantity::ActivePower,
        source,
        from,
        to,
        since: finding.since,
        until: finding.until,
        gaps,
        reference_kw: limits.first().map(|limit| limit.kw),
        limits,
        working: hours(&web.site(), &finding).map(|hours| working(hours, from, to)),
        columns: columns(&rows, POINTS),
        id: finding.id,
    })
}

/// The finding with a margin, at most [`LONGEST`], never beyond `now`.
fn window(finding: &Finding, now: Timestamp) -> (Timestamp, Timestamp) {
    let end = finding.until.unwrap_or(now).max(finding.since);
    let margin = (end.duration_since(finding.since) / 4).max(MARGIN);
    let to = (end + margin).min(now.max(end));
    let from = (finding.since - margin).max(to - LONGEST);
    (from, to)
}

/// Power of a meter: points of time and kW, and where nothing is known.
struct Power {
    source: Source,
    rows: Vec<(i64, f64)>,
    gaps: Vec<Stretch>,
}

/// The meter's power in the window, from its readings or else from its intervals.
fn power(web: &Web, reader: &Reader, finding: &Finding, within: Stretch) -> Result<Power, StoreError> {
    let (from, to) = (instant(within.since_ms), instant(within.until_ms));
    let rows = trusted(reader.series(&finding.meter, Quantity::ActivePower, from, to)?);
    if !rows.is_empty() {
        let site = web.site();
        let meter = site.meters.iter().find(|meter| meter.name == finding.meter);
        let every = meter.map_or(SignedDuration::from_secs(1), |meter| meter.every);
        return Ok(Power {
            source: Source::Samples,
            gaps: gaps(&rows, within, allowed_gap_ms(every)),
            rows,
        });
    }
    let mut intervals = reader.intervals(Some(&finding.meter), from, to)?;
    intervals.sort_by_key(|interval| interval.start);
    Ok(of_intervals(&intervals, within))
}

/// Each interval at its start; what no interval covers is a gap.
fn of_intervals(intervals: &[Interval], within: Stretch) -> Power {
    let known = intervals
        .iter()
        .filter_map(|interval| Some((interval, interval.demand_kw()?)));
    let known: Vec<(&Interval, f64)> = known.collect();
    let edges = known.iter().flat_map(|(interval, kw)| {
        [
            (interval.start.as_millisecond(), *kw),
            (interval.end.as_millisecond() - 1, *kw),
        ]
    });
    let shortest = known
        .iter()
        .map(|(interval, _)| interval.end.duration_since(interval.start))
        .min();
    let allowed_ms = shortest.map_or(0, |length| length.as_millis() as i64 - 1);
    Power {
        source: Source::Intervals,
        gaps: gaps(&edges.collect::<Vec<_>>(), within, allowed_ms),
        rows: known
            .iter()
            .map(|(interval, kw)| (interval.start.as_millisecond(), *kw))
            .collect(),
    }
}

fn instant(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn limits(finding: &Finding) -> Vec<Limit> {
    let limit = |name: &&str| {
        finding.why.get(*name).map(|&kw| Limit {
            name: (*name).to_owned(),
            kw,
        })
    };
    LIMITS.iter().filter_map(limit).collect()
}

fn hours<'a>(site: &'a Site, finding: &Finding) -> Option<&'a Hours> {
    let mut machines = site.machines.iter();
    machines.find(|machine| machine.name == finding.machine)?.hours.as_ref()
}

/// Stretches of `[from, to)` in which work is meant.
fn working(hours: &Hours, from: Timestamp, to: Timestamp) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut at = from;
    for _ in 0..MAX_EDGES {
        let now = hours.at(at);
        let until = now.until.min(to);
        if now.is_open {
            let (since_ms, until_ms) = (at.as_millisecond(), until.as_millisecond());
            match stretches.last_mut().filter(|last| last.until_ms == since_ms) {
                Some(last) => last.until_ms = until_ms,
                None => stretches.push(Stretch { since_ms, until_ms }),
            }
        }
        at = until;
        if at >= to {
            break;
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use energy::calendar::Hours;
    use jiff::tz::TimeZone;

    use super::*;

    fn check(from: &str, to: &str, expected: &[(&str, &str)]) {
        let hours = Hours {
            zone: TimeZone::get("Asia/Seoul").expect("in the bundled database"),
            shift: Some("mon-fri 08:00-12:00 13:00-18:00".parse().expect("a shift")),
            days_off: energy::calendar::DaysOff::default(),
            open: Vec::new(),
        };
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        let found: Vec<(i64, i64)> = working(&hours, at(from), at(to))
            .iter()
            .map(|stretch| (stretch.since_ms, stretch.until_ms))
            .collect();
        let expected: Vec<(i64, i64)> = expected
            .iter()
            .map(|(since, until)| (at(since).as_millisecond(), at(until).as_millisecond()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_missing_interval_is_a_gap_from_end_to_start() {
        let quarter = |index: i64, energy_import_kwh| Interval {
            meter: "m".into(),
            start: instant(index * 900_000),
            end: instant((index + 1) * 900_000),
            energy_import_kwh,
            energy_export_kwh: None,
            reactive_energy_lag_kvarh: None,
            reactive_energy_lead_kvarh: None,
            quality: energy::Quality::Ok,
            coverage: 1.0,
            revision: 0,
            raw: energy::interval::Raw::default(),
            repairs: vec![],
        };
        let within = Stretch {
            since_ms: 0,
            until_ms: 4 * 900_000,
        };
        let power = of_intervals(
            &[
                quarter(0, Some(2.5)),
                quarter(1, None),
                quarter(2, Some(5.0)),
                quarter(3, Some(5.0)),
            ],
            within,
        );
        assert_eq!(power.rows, [(0, 10.0), (1_800_000, 20.0), (2_700_000, 20.0)]);
        let gap = Stretch {
            since_ms: 899_999,
            until_ms: 1_800_000,
        };
        assert_eq!(power.gaps, [gap]);
    }

    #[test]
    fn the_lane_shows_the_hours_of_the_site() {
        check(
            "2026-08-28T17:30:00+09:00",
            "2026-08-29T09:00:00+09:00",
            &[("2026-08-28T17:30:00+09:00", "2026-08-28T18:00:00+09:00")],
        );
        check(
            "2026-08-28T11:00:00+09:00",
            "2026-08-28T14:00:00+09:00",
            &[
                ("2026-08-28T11:00:00+09:00", "2026-08-28T12:00:00+09:00"),
                ("2026-08-28T13:00:00+09:00", "2026-08-28T14:00:00+09:00"),
            ],
        );
    }
}
