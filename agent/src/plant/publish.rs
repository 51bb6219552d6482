//! The plant's MQTT devices: the lighting's meter and the compressor's pressure gauge, each a message every 10 s.
//!
//! An ordinary client of the broker, QoS 1; it knows nothing of the agent. Invariant: it never waits for the broker: a
//! message that finds the queue full is left out, as a small device would.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use rumqttc::{AsyncClient, EventLoop, MqttOptions, PublishOptions};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    machines::{Machine, Meter},
    meters::{Meters, header_pressure_bar},
};
use crate::clock::Clock;

/// Topic of the lighting's meter: `{"apower": W, "voltage": V, "aenergy": {"total": Wh}}`.
pub const LIGHT_TOPIC: &str = "plant/light-1/power";
/// Topic of the compressed-air header's pressure: a plain number, bar.
pub const PRESSURE_TOPIC: &str = "plant/comp-1/pressure";
/// Data time between two messages of a topic.
pub const EVERY_S: i64 = 10;

/// Messages that may wait for the broker: five minutes of both topics; then newer ones are left out.
const QUEUE: usize = 60;
/// Wall time between two attempts to connect: soon enough for a demo, no busy loop.
const RECONNECT: Duration = Duration::from_millis(500);

/// Publishes both topics to the broker at `broker` until `stop`.
pub(super) fn start(
    broker: SocketAddr,
    meters: Arc<Mutex<Meters>>,
    clock: Clock,
    tasks: &TaskTracker,
    stop: CancellationToken,
) {
    let options = MqttOptions::new("plant", (broker.ip().to_string(), broker.port()));
    let (client, events) = AsyncClient::builder(options).capacity(QUEUE).build();
    tasks.spawn(keep_connected(events, stop.clone()));
    tasks.spawn(async move {
        stop.run_until_cancelled(publish(client, meters, clock)).await;
    });
}

async fn keep_connected(mut events: EventLoop, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            event = events.poll() => if let Err(error) = event {
                tracing::debug!(%error, "the plant's devices cannot reach their broker");
                tokio::time::sleep(RECONNECT).await;
            },
        }
    }
}

async fn publish(client: AsyncClient, meters: Arc<Mutex<Meters>>, clock: Clock) {
    loop {
        let next = next_after(clock.now());
        clock.sleep_until(next).await;
        for (topic, payload) in messages(&meters, next) {
            if let Err(error) = client.try_publish(topic, payload, PublishOptions::at_least_once()) {
                tracing::debug!(%error, topic, "a message of the plant was left out");
            }
        }
    }
}

/// The next whole multiple of the period.
fn next_after(now: Timestamp) -> Timestamp {
    let left_s = EVERY_S - now.as_second().rem_euclid(EVERY_S);
    Timestamp::from_second(now.as_second()).unwrap_or(now) + SignedDuration::from_secs(left_s)
}

fn messages(meters: &Mutex<Meters>, at: Timestamp) -> [(&'static str, String); 2] {
    let mut meters = meters.lock().unwrap_or_else(PoisonError::into_inner);
    let light = meters.reading(Meter::Of(Machine::Light1), at);
    let body = serde_json::json!({
        "apower": (light.active_power_w * 10.0).round() / 10.0,
        "voltage": (light.voltage_v[0] * 10.0).round() / 10.0,
        "aenergy": { "total": light.energy_import_wh },
    });
    let pressure = format!("{:.2}", header_pressure_bar(meters.plant(), at));
    [(LIGHT_TOPIC, body.to_string()), (PRESSURE_TOPIC, pressure)]
}
