//! What does not change while the agent runs: the site, its meters and machines.

use axum::{Json, extract::State};
use energy::site::{Machine, MachineKind, Meter};
use serde::Serialize;

use crate::{
    report::{Language, Origin, figures},
    web::data::Web,
};

#[derive(Serialize)]
pub(crate) struct SiteView {
    name: String,
    zone: String,
    language: Language,
    currency: Option<String>,
    demand_interval_s: i64,
    main_meter: Option<String>,
    demo: bool,
    speed: f64,
    version: &'static str,
    machines: Vec<MachineView>,
    meters: Vec<MeterView>,
}

#[derive(Serialize)]
struct MachineView {
    name: String,
    label: String,
    kind: MachineKind,
    meter: String,
    area: Option<String>,
    rated_kw: Option<f64>,
    has_hours: bool,
}

#[derive(Serialize)]
struct MeterView {
    name: String,
    area: Option<String>,
    every_s: f64,
}

/// `GET /api/v1/site`.
pub(crate) async fn site(State(web): State<Web>) -> Json<SiteView> {
    let site = &*web.site();
    Json(SiteView {
        name: site.name.to_string(),
        zone: site.zone.iana_name().unwrap_or("UTC").to_owned(),
        language: web.parts.language,
        currency: figures::currency(site).map(str::to_owned),
        demand_interval_s: site.demand_interval.as_secs(),
        main_meter: site.main_meter.as_ref().map(ToString::to_string),
        demo: web.parts.origin == Origin::Demo,
        speed: web.parts.clock.speed(),
        version: env!("CARGO_PKG_VERSION"),
        machines: site.machines.iter().map(machine).collect(),
        meters: site.meters.iter().map(meter).collect(),
    })
}

fn machine(machine: &Machine) -> MachineView {
    MachineView {
        name: machine.name.to_string(),
        label: machine.name.to_string(),
        kind: machine.kind,
        meter: machine.meter.to_string(),
        area: machine.area.clone(),
        rated_kw: machine.rated_kw,
        has_hours: machine.hours.is_some(),
    }
}

fn meter(meter: &Meter) -> MeterView {
    MeterView {
        name: meter.name.to_string(),
        area: meter.area.clone(),
        every_s: meter.every.as_secs_f64(),
    }
}
