//! The demo site's configuration file, so that the demo runs through exactly the code that `run` uses.
//!
//! It writes text and starts nothing. `[store]` and `[web]` are not in it: whoever runs the site adds what differs from
//! the defaults. Invariant: every name in it is the plant's own, and the limits are those the plant keeps.

use std::net::SocketAddr;

use energy::{Quantity, site::MachineKind};

use super::{
    MAIN_METER, SITE_NAME,
    machines::{Machine, Meter, SPECS, Spec},
    modbus::{GATEWAY_UNITS, OWN_UNITS, POINTS, Served},
    model::{CONTRACT_KW, PlantConfig, TARGET_KW},
    publish::{EVERY_S, LIGHT_TOPIC, PRESSURE_TOPIC},
};

/// Where the plant's devices are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlantAddresses {
    /// The Modbus devices.
    pub modbus: Served,
    /// The MQTT broker.
    pub broker: SocketAddr,
}

/// The configuration of the site with these devices, TOML.
pub fn config_toml(addresses: &PlantAddresses, config: &PlantConfig) -> String {
    let mut parts = vec![site_text(config), lines_text(addresses)];
    for (bus, units) in [("panel", GATEWAY_UNITS), ("moulding", OWN_UNITS)] {
        parts.extend(units.iter().map(|&(unit, meter)| modbus_meter_text(bus, unit, meter)));
    }
    parts.push(mqtt_meters_text());
    parts.push(format!(
        "\n[[machine]]\nname = \"{SITE_NAME}\"\nkind = \"site\"\nmeter = \"{MAIN_METER}\"\n\
         detect.demand_peak = {{ target_kw = {TARGET_KW} }}\n"
    ));
    parts.extend(SPECS.iter().map(machine_text));
    parts.concat()
}

fn site_text(config: &PlantConfig) -> String {
    let zone = config.zone.iana_name().unwrap_or("UTC");
    format!(
        "# The simulated plant of `wattwarden demo`, seed {seed}. 데모 공장.\n\n\
         [site]\nname = \"{SITE_NAME}\"\nzone = \"{zone}\"\nlanguage = \"ko\"\nholidays = \"kr\"\n\
         shifts = {{ day = \"mon-fri 08:00-18:00\" }}\nmain_meter = \"{MAIN_METER}\"\ncarbon = \"kr-grid\"\n\n\
         [[contract]]\nfrom = \"2024-11-01\"\ntariff = \"kepco-industrial-b-high-a-2\"\ncontract_kw = {CONTRACT_KW}\n",
        seed = config.seed,
    )
}

fn lines_text(addresses: &PlantAddresses) -> String {
    let PlantAddresses { modbus, broker } = addresses;
    // A silent meter costs its bus one time-out a poll. 150 ms of wall time is long on the loopback and, at 60 times the
    // speed, 9 s of data time: its neighbours are still read often enough to be trusted.
    let bus = |name: &str, at: &SocketAddr| {
        format!("\n[[bus]]\nname = \"{name}\"\nmodbus = \"tcp://{at}\"\nevery = \"10s\"\ntimeout = \"150ms\"\n")
    };
    format!(
        "{}{}\n[[broker]]\nname = \"hall\"\nmqtt = \"mqtt://{broker}\"\n",
        bus("panel", &modbus.gateway),
        bus("moulding", &modbus.own)
    )
}

fn modbus_meter_text(bus: &str, unit: u8, meter: Meter) -> String {
    let name = meter.name();
    let points: Vec<String> = POINTS.iter().map(point_text).collect();
    format!(
        "\n[[meter]]\nname = \"{name}\"\nbus = \"{bus}\"\nunit = {unit}\nregisters = [\n{}]\n",
        points.concat()
    )
}

fn point_text(&(at, form, quantity, scale): &(u16, &str, Quantity, f64)) -> String {
    let scale = if scale == 1.0 {
        String::new()
    } else {
        format!(", scale = {scale}")
    };
    format!("  {{ at = {at}, type = \"{form}\", order = \"abcd\", quantity = \"{quantity}\"{scale} }},\n")
}

fn mqtt_meters_text() -> String {
    format!(
        "\n[[meter]]\nname = \"{light}\"\nbroker = \"hall\"\ntopic = \"{LIGHT_TOPIC}\"\nevery = \"{EVERY_S}s\"\nvalues = {{ \
         \"/apower\" = {{ quantity = \"active_power_kw\", scale = 0.001 }}, \
         \"/aenergy/total\" = {{ quantity = \"energy_import_kwh\", scale = 0.001 }}, \
         \"/voltage\" = {{ quantity = \"voltage_l1_v\" }} }}\n\
         \n[[meter]]\nname = \"air-header\"\nbroker = \"hall\"\ntopic = \"{PRESSURE_TOPIC}\"\nevery = \"{EVERY_S}s\"\n\
         values = {{ \"\" = {{ quantity = \"pressure_bar\" }} }}\n",
        light = Machine::Light1.name(),
    )
}

fn machine_text(spec: &Spec) -> String {
    let Spec {
        name,
        ko,
        en,
        rated_kw,
        off_below_kw,
        running_from_kw,
        ..
    } = spec;
    let kind = kind_name(spec.kind);
    let standby = spec
        .standby_kw
        .map_or(String::new(), |kw| format!("standby_kw = {kw}\n"));
    // Lighting is on or off: it has no production to wait for.
    let idle = if spec.kind == MachineKind::Lighting {
        "detect.idle_running = false\n"
    } else {
        ""
    };
    format!(
        "\n[[machine]] # {ko} · {en}\nname = \"{name}\"\nkind = \"{kind}\"\nmeter = \"{name}\"\nrated_kw = {rated_kw}\n\
         shift = \"day\"\n{standby}off_below_kw = {off_below_kw}\nrunning_from_kw = {running_from_kw}\n{idle}"
    )
}

fn kind_name(kind: MachineKind) -> String {
    serde_json::to_value(kind)
        .ok()
        .and_then(|name| name.as_str().map(str::to_owned))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{super::model::Waste, *};

    #[test]
    fn it_is_toml_whose_names_fit_together() {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let addresses = PlantAddresses {
            modbus: Served {
                gateway: at(1502),
                own: at(1503),
            },
            broker: at(1883),
        };
        let text = config_toml(&addresses, &PlantConfig::demo(1, Waste::On, BTreeMap::new()));
        let table: toml::Table = text.parse().unwrap();
        let names = |list: &str, key: &str| -> Vec<String> {
            let items = table[list].as_array().unwrap();
            items
                .iter()
                .filter_map(|item| Some(item.get(key)?.as_str()?.to_owned()))
                .collect()
        };
        let meters = names("meter", "name");
        assert_eq!(meters.len(), 8);
        assert!(names("machine", "meter").iter().all(|meter| meters.contains(meter)));
        assert!(
            names("meter", "bus")
                .iter()
                .all(|bus| names("bus", "name").contains(bus))
        );
        assert_eq!(
            table["machine"][0]["detect"]["demand_peak"]["target_kw"].as_integer(),
            Some(160)
        );
        assert_eq!(table["site"]["zone"].as_str(), Some("Asia/Seoul"));
    }
}
