//! The running moment, with its age and the month's waste so far.

use axum::{Json, extract::State};
use energy::{Now, Site, finding::Money};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    report::{
        figures::{currency, some_sum},
        waste::cost_sum,
    },
    store::{FindingFilter, Reader, StoreError, StoredFinding},
    web::{data::Web, error::ApiError},
};

#[derive(Debug, Clone, Serialize)]
pub(crate) struct NowView {
    /// Data time of this answer.
    clock: Timestamp,
    /// Seconds on the wall since the newest sample or tick; `None` before the first.
    age_s: Option<f64>,
    now: Option<Now>,
    waste_month: WasteView,
}

/// Findings that began in the month in which data time stands.
#[derive(Debug, Clone, Serialize)]
struct WasteView {
    month: String,
    count: usize,
    energy_kwh: Option<f64>,
    cost: Option<Money>,
    kgco2e: Option<f64>,
}

/// `GET /api/v1/now`.
pub(crate) async fn now(State(web): State<Web>) -> Result<Json<NowView>, ApiError> {
    web.read(now_view).await.map(Json)
}

/// The moment as the store has it.
pub(crate) fn now_view(web: &Web, reader: &Reader) -> Result<NowView, StoreError> {
    let now = reader.now()?;
    let clock = web.parts.clock.now();
    let month = web.this_month();
    let (from, until) = month.bounds(&web.site().zone);
    let mut findings = reader.findings(&FindingFilter {
        from: Some(from),
        until: Some(until),
        ..FindingFilter::default()
    })?;
    // A meter's fault is no waste.
    findings.retain(|stored| stored.finding.since >= from && !stored.finding.kind.is_meter_fault());
    let age = |now: &Now| clock.duration_since(now.at).as_secs_f64() / web.parts.clock.speed();
    Ok(NowView {
        clock,
        age_s: now.as_ref().map(|now| age(now).max(0.0)),
        now,
        waste_month: waste(month.to_string(), &web.site(), &findings),
    })
}

fn waste(month: String, site: &Site, findings: &[StoredFinding]) -> WasteView {
    let findings = || findings.iter().map(|stored| &stored.finding);
    WasteView {
        month,
        count: findings().count(),
        energy_kwh: some_sum(findings().filter_map(|finding| finding.energy_kwh)),
        cost: cost_sum(findings(), site)
            .zip(currency(site))
            .map(|(amount, currency)| Money {
                amount,
                currency: currency.to_owned(),
            }),
        kgco2e: some_sum(findings().filter_map(|finding| finding.kgco2e)),
    }
}
