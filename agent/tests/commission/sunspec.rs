//! SunSpec meters in a chain made from the public layouts: found wherever they stand, and again when they have moved.

use std::path::Path;

use serde_json::{Value, json};
use wattwarden::{
    acquire::modbus,
    config::{self, Secrets, diagnostic::Source},
};

use super::{
    check_both,
    modbus_support::{Bus, server::Server},
    plant,
};

/// The public layouts; `None` where they are not at hand.
pub(super) fn layouts(test: &str) -> Option<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/sunspec_models");
    if Path::new(folder).is_dir() {
        return Some(folder.to_owned());
    }
    println!("skipped: {test}: the SunSpec layouts of ../shared/data");
    None
}

/// What its phases make together: one, two or three of them.
fn watts(meter: u16) -> u16 {
    match meter % 10 {
        1 => 2159,
        2 => 4228,
        _ => 6461,
    }
}

/// A device with the common model, an inverter, and a meter of 6.46 kW behind them.
pub(super) fn device(layouts: &str, base: u16, meter: u16, inverter_length: u16) -> Value {
    let common = json!({"id": 1, "values": {"Mn": "Maker", "Md": "Meter-1", "Vr": "1.2", "SN": "SN-12345"}});
    let inverter = json!({"id": 103, "length": inverter_length});
    let values = if meter < 210 {
        json!({"A_SF": -2, "AphA": 1020, "AphB": 980, "AphC": 1050, "V_SF": -1, "PhVphA": 2301, "PhVphB": 2294,
               "PhVphC": 2312, "Hz_SF": -2, "Hz": 6000, "W_SF": 0, "W": watts(meter), "PF_SF": 0, "PF": 92, "TotWh_SF": 1,
               "TotWhImp": 1_234_560})
    } else {
        json!({"AphA": 10.2, "AphB": 9.8, "AphC": 10.5, "PhVphA": 230.1, "PhVphB": 229.4, "PhVphC": 231.2, "Hz": 60.0,
               "W": f64::from(watts(meter)), "PF": 0.92, "TotWhImp": 12_345_600.0})
    };
    let meter = json!({"id": meter, "values": values});
    json!({"sunspec": {"base": base, "layouts": layouts, "models": [common, inverter, meter]}})
}

/// A bus with one meter of a profile, read twenty times a second.
fn bus(address: &str, profile: &str) -> Bus {
    let text = format!(
        "[site]\nname = 's'\nzone = 'Asia/Seoul'\n[[bus]]\nname = 'b'\nmodbus = '{address}'\nevery = '100ms'\n\
         [[meter]]\nname = 'main'\nbus = 'b'\nunit = 3\nprofile = '{profile}'\n"
    );
    let loaded = config::parse(Source::new("site", &text), Path::new("."), Secrets::LeaveOut);
    Bus::start(loaded.unwrap().config.buses.remove(0))
}

/// The first sample of a meter by its profile, value by value.
async fn check(address: &str, meter: u16) -> Bus {
    let mut bus = bus(address, &format!("sunspec-{meter}"));
    let sample = bus.next().await;
    for (quantity, expected) in [
        ("voltage_l1_v", 230.1),
        ("current_l1_a", 10.2),
        ("frequency_hz", 60.0),
        ("power_factor", 0.92),
        ("active_power_kw", f64::from(watts(meter)) / 1000.0),
        ("energy_import_kwh", 12345.6),
    ] {
        let got = sample.trusted(quantity.parse().unwrap());
        let is_near = got.is_some_and(|got| (got - expected).abs() < 1e-3);
        assert!(is_near, "{meter} {quantity}: {got:?} in {sample:?}");
    }
    let unset = sample.trusted("apparent_power_kva".parse().unwrap());
    assert_eq!(unset, None, "{meter}: not implemented is no value");
    bus
}

#[tokio::test]
async fn a_meter_is_found_wherever_the_chain_has_it() {
    let name = "a_meter_is_found_wherever_the_chain_has_it";
    let Some(layouts) = layouts(name) else { return };
    for (nth, meter) in modbus::sunspec::METERS.into_iter().enumerate() {
        let (base, inverter_length) = ([40_000, 50_000, 0][nth % 3], [50, 1, 60, 7][nth % 4]);
        let units = json!({"3": device(&layouts, base, meter, inverter_length)});
        let Some((_server, address)) = plant(name, &json!({"kind": "tcp", "units": units})).await else {
            return;
        };
        check(&address, meter).await;
    }
}

#[tokio::test]
async fn a_chain_that_has_changed_is_walked_again() {
    let name = "a_chain_that_has_changed_is_walked_again";
    let Some(layouts) = layouts(name) else { return };
    let described = |inverter_length| json!({"3": device(&layouts, 40_000, 203, inverter_length)});
    let Some((server, address)) = plant(name, &json!({"kind": "tcp", "units": described(50)})).await else {
        return;
    };
    let mut bus = check(&address, 203).await;
    drop(server);
    let port: u16 = address.rsplit(':').next().unwrap().parse().unwrap();
    let _server = restarted(name, &json!({"kind": "tcp", "port": port, "units": described(60)})).await;
    loop {
        let sample = bus.next().await;
        let Some(kw) = sample.trusted("active_power_kw".parse().unwrap()) else {
            continue;
        };
        assert_eq!(kw, 6.461, "no value of another model ever");
        if bus.count("polls_total", "layout") > 0.0 {
            break;
        }
    }
}

/// The port is free once the old server's process is gone, which takes a moment.
async fn restarted(name: &str, described: &Value) -> Server {
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    plant(name, described).await.unwrap().0
}

#[tokio::test]
async fn a_device_without_the_model_says_which_it_has() {
    let name = "a_device_without_the_model_says_which_it_has";
    let Some(layouts) = layouts(name) else { return };
    let units = json!({"3": device(&layouts, 40_000, 203, 50)});
    let Some((_server, address)) = plant(name, &json!({"kind": "tcp", "units": units})).await else {
        return;
    };
    let test = |profile: &'static str| ["profile", "test", profile, "--address", &address, "--unit", "3"];
    // The meter's id stands at 40122, its power 18 registers on.
    let power = ["active_power_kw 6.461 kW 3:40140 193D"];
    check_both(&test("sunspec-203"), 0, &power, &power).await;
    check_both(
        &test("sunspec-201"),
        3,
        &["201 / [1, 103, 203]"],
        &["201 / [1, 103, 203]"],
    )
    .await;
    let bus = bus(&address, "sunspec-201");
    while bus.count("polls_total", "layout") < 2.0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(bus.count("polls_total", "ok"), 0.0);
}
