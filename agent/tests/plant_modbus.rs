//! The simulated plant's meters, asked by an ordinary Modbus client: values, exceptions, silence, load.
#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use energy::{Quantity, finding::Kind};
use jiff::{SignedDuration, Timestamp};
use tokio_modbus::{
    ExceptionCode,
    client::{Context, tcp},
    prelude::{Reader as _, Slave},
};
use tokio_util::sync::CancellationToken;
use wattwarden::{
    clock::Clock,
    plant::{self, Meter, Meters, Plant, PlantConfig, Running, Waste, load, modbus},
};

/// Far slower than any test: data time stands still.
const STILL: f64 = 1e-6;

async fn plant_at(seed: u64, at: Timestamp) -> (Running, CancellationToken) {
    let stop = CancellationToken::new();
    let config = PlantConfig::demo(seed, Waste::On, BTreeMap::new());
    (
        plant::run(config, Clock::scaled(at, STILL), stop.clone())
            .await
            .unwrap(),
        stop,
    )
}

fn start() -> Timestamp {
    PlantConfig::demo(0, Waste::On, BTreeMap::new()).start
}

async fn client(at: SocketAddr, unit: u8) -> Context {
    tcp::connect_slave(at, Slave(unit)).await.unwrap()
}

fn decoded(words: &[u16]) -> f64 {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    match bytes.len() {
        4 => f64::from(f32::from_be_bytes(bytes.try_into().unwrap())),
        _ => u64::from_be_bytes(bytes.try_into().unwrap()) as f64,
    }
}

#[tokio::test]
async fn every_register_decodes_to_what_the_meter_shows() {
    let at = start() + SignedDuration::from_mins(7);
    let (running, stop) = plant_at(5, at).await;
    let mut meters = Meters::new(Plant::new(PlantConfig::demo(5, Waste::On, BTreeMap::new())));
    let served = running.addresses.modbus;
    let all = [(served.gateway, modbus::GATEWAY_UNITS), (served.own, modbus::OWN_UNITS)];
    for (address, &(unit, meter)) in all
        .iter()
        .flat_map(|(address, units)| units.iter().map(move |unit| (*address, unit)))
    {
        let mut client = client(address, unit).await;
        let shown = meters.reading(meter, at);
        for &(register, form, quantity, scale) in modbus::POINTS {
            let count = if form == "u64" { 4 } else { 2 };
            let holding = client.read_holding_registers(register, count).await.unwrap().unwrap();
            let input = client.read_input_registers(register, count).await.unwrap().unwrap();
            assert_eq!(holding, input);
            let value = decoded(&holding) * scale;
            let wanted = match quantity {
                Quantity::ActivePower => shown.active_power_w / 1000.0,
                Quantity::ReactivePower => shown.reactive_power_var / 1000.0,
                Quantity::PowerFactor => shown.power_factor,
                Quantity::Frequency => shown.frequency_hz,
                Quantity::VoltageL12 => shown.line_voltage_v[0],
                Quantity::VoltageL23 => shown.line_voltage_v[1],
                Quantity::VoltageL31 => shown.line_voltage_v[2],
                Quantity::CurrentL1 => shown.current_a[0],
                Quantity::CurrentL2 => shown.current_a[1],
                Quantity::CurrentL3 => shown.current_a[2],
                Quantity::EnergyImport => shown.energy_import_wh as f64 / 1000.0,
                Quantity::ReactiveEnergyLag => shown.reactive_energy_lag_varh as f64 / 1000.0,
                other => panic!("no check for {other}"),
            };
            assert!(
                (value - wanted).abs() < 1e-5 * wanted.abs() + 1e-9,
                "{meter:?} {quantity}: {value}, {wanted}"
            );
            assert!(quantity.is_plausible(value));
        }
        let whole = client.read_input_registers(0, 34).await.unwrap().unwrap();
        assert_eq!(decoded(&whole[0..2]), f64::from(shown.active_power_w as f32));
        let tens_of_wh = client.read_input_registers(100, 2).await.unwrap().unwrap();
        assert_eq!(
            u64::from(tens_of_wh[0]) << 16 | u64::from(tens_of_wh[1]),
            shown.energy_import_wh / 10
        );
    }
    stop.cancel();
    running.stopped().await;
}

#[tokio::test]
async fn what_does_not_exist_is_an_exception() {
    let (running, stop) = plant_at(1, start()).await;
    let gateway = running.addresses.modbus.gateway;
    let check = async |unit: u8, at: u16, count: u16, wanted: ExceptionCode| {
        let answer = client(gateway, unit)
            .await
            .read_holding_registers(at, count)
            .await
            .unwrap();
        assert_eq!(answer, Err(wanted), "unit {unit}, {count} registers at {at}");
    };
    check(9, 0, 2, ExceptionCode::GatewayTargetDevice).await;
    check(1, 34, 2, ExceptionCode::IllegalDataAddress).await;
    check(1, 32, 4, ExceptionCode::IllegalDataAddress).await;
    check(1, 110, 4, ExceptionCode::IllegalDataAddress).await;
    check(1, 65_535, 1, ExceptionCode::IllegalDataAddress).await;
    let coils = client(gateway, 1).await.read_coils(0, 1).await.unwrap();
    assert_eq!(coils, Err(ExceptionCode::IllegalFunction));
    stop.cancel();
    running.stopped().await;
}

#[tokio::test]
async fn a_silent_meter_says_nothing_while_its_neighbours_answer() {
    let horizon = start() + SignedDuration::from_hours(24 * 21);
    let gateway_unit = |meter: &str| {
        let known = modbus::GATEWAY_UNITS.iter().find(|(_, known)| known.name() == meter);
        known.map(|(unit, _)| *unit)
    };
    let (seed, silence, unit) = (0..)
        .find_map(|seed| {
            let plant = Plant::new(PlantConfig::demo(seed, Waste::On, BTreeMap::new()));
            let truth = plant.truth(start(), horizon);
            let silence = truth.into_iter().find(|row| row.kind == Kind::MeterSilent)?;
            let unit = gateway_unit(&silence.meter)?;
            Some((seed, silence, unit))
        })
        .unwrap();
    let (running, stop) = plant_at(seed, silence.since + SignedDuration::from_secs(1)).await;
    let gateway = running.addresses.modbus.gateway;
    let mut silent = client(gateway, unit).await;
    let unanswered = tokio::time::timeout(Duration::from_millis(200), silent.read_input_registers(0, 2)).await;
    assert!(unanswered.is_err(), "the silent meter answered: {unanswered:?}");
    let incomer = client(gateway, 1)
        .await
        .read_input_registers(0, 2)
        .await
        .unwrap()
        .unwrap();
    assert!(decoded(&incomer) > 1000.0);
    stop.cancel();
    running.stopped().await;
}

#[tokio::test]
async fn load_meters_fill_addresses_unit_by_unit() {
    let stop = CancellationToken::new();
    let addresses = load::serve_load(300, 40, "127.0.0.1:0".parse().unwrap(), stop.clone())
        .await
        .unwrap();
    assert_eq!(addresses.len(), 2);
    let mut last = client(addresses[1], 53).await;
    let words = last.read_input_registers(0, 80).await.unwrap().unwrap();
    assert_eq!((decoded(&words[0..2]) as u32, decoded(&words[78..80]) as u32), (0, 39));
    assert_eq!(
        last.read_input_registers(79, 2).await.unwrap(),
        Err(ExceptionCode::IllegalDataAddress)
    );
    let beyond = client(addresses[1], 54).await.read_input_registers(0, 2).await.unwrap();
    assert_eq!(beyond, Err(ExceptionCode::GatewayTargetDevice));
    stop.cancel();
}

#[test]
fn two_runs_of_a_seed_write_the_same_truth() {
    let written = |seed| {
        let plant = Plant::new(PlantConfig::demo(seed, Waste::On, BTreeMap::new()));
        let mut lines = Vec::new();
        plant::truth::write(&plant, start(), start() + SignedDuration::from_hours(72), &mut lines).unwrap();
        String::from_utf8(lines).unwrap()
    };
    assert_eq!(written(8), written(8));
    assert_ne!(written(8), written(9));
    let first: serde_json::Value = serde_json::from_str(written(8).lines().next().unwrap()).unwrap();
    assert_eq!(first["kind"], "idle_running");
    assert!(first["energy_kwh"].as_f64().unwrap() > 0.5);
    assert_eq!(
        Meter::ALL.iter().filter(|meter| meter.name() == first["meter"]).count(),
        1
    );
}
