//! The plant's broker against other people's clients: rumqttc, and mosquitto's where it is installed.
#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::{collections::BTreeMap, process::Stdio, time::Duration};

use rumqttc::{AsyncClient, ConnAck, Event, EventLoop, MqttOptions, Packet, PublishOptions, QoS};
use tokio::{process::Command, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wattwarden::{
    clock::Clock,
    plant::{self, Broker, Fault, PlantConfig, Waste, publish},
};

/// Longer than anything here takes on a busy computer.
const PATIENCE: Duration = Duration::from_secs(20);

async fn broker() -> (Broker, CancellationToken) {
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let broker = Broker::start("127.0.0.1:0".parse().unwrap(), &tasks, stop.clone())
        .await
        .unwrap();
    (broker, stop)
}

/// A client that acknowledges only what it is told to.
fn client(broker: &Broker, id: &str) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(id, (broker.address().ip().to_string(), broker.address().port()));
    options.set_clean_session(false).set_ack_mode(rumqttc::AckMode::Manual);
    AsyncClient::builder(options).capacity(100).build()
}

/// Polls until `pick` finds what it waits for; lost connections are part of the game.
async fn until<T>(events: &mut EventLoop, mut pick: impl FnMut(Packet) -> Option<T>) -> T {
    timeout(PATIENCE, async {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(packet)) => {
                    if let Some(found) = pick(packet) {
                        return found;
                    }
                }
                Ok(Event::Outgoing(_)) => {}
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
    .unwrap()
}

async fn connected(events: &mut EventLoop) -> ConnAck {
    until(events, |packet| {
        if let Packet::ConnAck(ack) = packet {
            Some(ack)
        } else {
            None
        }
    })
    .await
}

async fn message(events: &mut EventLoop) -> rumqttc::Publish {
    until(events, |packet| {
        if let Packet::Publish(publish) = packet {
            Some(publish)
        } else {
            None
        }
    })
    .await
}

async fn subscribed(client: &AsyncClient, events: &mut EventLoop, filter: &str) {
    client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
    until(events, |packet| matches!(packet, Packet::SubAck(_)).then_some(())).await;
}

#[tokio::test]
async fn an_unacknowledged_message_comes_again_and_an_acknowledged_one_does_not() {
    let (broker, stop) = broker().await;
    let (client, mut events) = client(&broker, "agent");
    assert!(!connected(&mut events).await.session_present);
    subscribed(&client, &mut events, "plant/#").await;
    broker.publish("plant/a", QoS::AtLeastOnce, "1");
    broker.publish("plant/b", QoS::AtLeastOnce, "2");
    let first = message(&mut events).await;
    let second = message(&mut events).await;
    assert_eq!((&first.payload[..], &second.payload[..]), (&b"1"[..], &b"2"[..]));
    client.ack(&first).await.unwrap();
    until_counted(&mut events, &broker, 1).await;
    broker.misbehave(Fault::DropConnections);
    assert!(connected(&mut events).await.session_present);
    let again = message(&mut events).await;
    assert_eq!((&again.payload[..], again.dup), (&b"2"[..], true));
    assert_eq!(broker.counts().redelivered, 1);
    stop.cancel();
}

/// Polls until the broker has taken `n` acknowledgements.
async fn until_counted(events: &mut EventLoop, broker: &Broker, n: u64) {
    timeout(PATIENCE, async {
        while broker.counts().acknowledged < n {
            let _event = timeout(Duration::from_millis(20), events.poll()).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn messages_wait_for_a_kept_session_twenty_at_a_time() {
    let (broker, stop) = broker().await;
    let (client, mut events) = client(&broker, "agent");
    connected(&mut events).await;
    subscribed(&client, &mut events, "plant/+/power").await;
    for number in 0..50 {
        broker.publish("plant/x/power", QoS::AtLeastOnce, number.to_string());
        broker.publish("plant/x/other", QoS::AtLeastOnce, "not wanted");
    }
    for number in 0..50 {
        let publish = message(&mut events).await;
        assert_eq!(&publish.payload[..], number.to_string().as_bytes());
        assert!(broker.counts().delivered - broker.counts().acknowledged <= 20);
        client.ack(&publish).await.unwrap();
    }
    until_counted(&mut events, &broker, 50).await;
    assert_eq!((broker.counts().delivered, broker.counts().dropped), (50, 0));
    stop.cancel();
}

#[tokio::test]
async fn a_forgotten_session_is_said_to_be_absent() {
    let (broker, stop) = broker().await;
    let (client, mut events) = client(&broker, "agent");
    connected(&mut events).await;
    subscribed(&client, &mut events, "a").await;
    broker.misbehave(Fault::ForgetSessions);
    assert!(!connected(&mut events).await.session_present);
    broker.publish("a", QoS::AtLeastOnce, "nobody subscribed");
    assert_eq!(broker.counts().delivered, 0);
    stop.cancel();
}

#[tokio::test]
async fn a_swallowed_acknowledgement_makes_the_publisher_send_again() {
    let (broker, stop) = broker().await;
    let (client, mut events) = client(&broker, "device");
    connected(&mut events).await;
    broker.misbehave(Fault::SwallowPubAcks(1));
    client.publish("a", "1", PublishOptions::at_least_once()).await.unwrap();
    timeout(PATIENCE, async {
        while broker.counts().published < 1 {
            let _event = timeout(Duration::from_millis(20), events.poll()).await;
        }
    })
    .await
    .unwrap();
    broker.misbehave(Fault::DropConnections);
    until(&mut events, |packet| matches!(packet, Packet::PubAck(_)).then_some(())).await;
    assert_eq!(broker.counts().published, 2);
    stop.cancel();
}

#[tokio::test]
async fn the_plants_devices_publish_what_their_meters_show() {
    let stop = CancellationToken::new();
    let config = PlantConfig::demo(2, Waste::On, BTreeMap::new());
    let clock = Clock::scaled(config.start, 600.0);
    let running = plant::run(config, clock, stop.clone()).await.unwrap();
    let (client, mut events) = client(&running.broker, "agent");
    connected(&mut events).await;
    subscribed(&client, &mut events, "plant/#").await;
    let (mut power_w, mut pressure_bar) = (None, None);
    while power_w.is_none() || pressure_bar.is_none() {
        let publish = message(&mut events).await;
        if publish.topic == publish::LIGHT_TOPIC {
            let body: serde_json::Value = serde_json::from_slice(&publish.payload).unwrap();
            assert!(body["aenergy"]["total"].as_u64().unwrap() > 20_000_000);
            power_w = body["apower"].as_f64();
        } else {
            assert_eq!(publish.topic, publish::PRESSURE_TOPIC);
            pressure_bar = str::from_utf8(&publish.payload).unwrap().parse::<f64>().ok();
        }
        client.ack(&publish).await.unwrap();
    }
    assert!((10_000.0..10_700.0).contains(&power_w.unwrap()), "{power_w:?}");
    assert!((5.0..8.0).contains(&pressure_bar.unwrap()), "{pressure_bar:?}");
    stop.cancel();
    timeout(PATIENCE, running.stopped()).await.unwrap();
}

async fn is_installed(program: &str) -> bool {
    let asked = Command::new(program)
        .arg("--help")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    asked.await.is_ok()
}

#[tokio::test]
async fn mosquittos_own_clients_understand_each_other_through_it() {
    const NAME: &str = "mosquittos_own_clients_understand_each_other_through_it";
    for program in ["mosquitto_pub", "mosquitto_sub"] {
        if !is_installed(program).await {
            println!("skipped: {NAME}: {program}");
            return;
        }
    }
    let (broker, stop) = broker().await;
    let port = broker.address().port().to_string();
    let run = async |program: &str, args: &[&str]| {
        let command = Command::new(program)
            .args(["-h", "127.0.0.1", "-p", &port, "-V", "mqttv311"])
            .args(args)
            .output();
        let output = timeout(PATIENCE, command).await.unwrap().unwrap();
        assert!(output.status.success(), "{program} {args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    // A retained message waits for whoever subscribes.
    run("mosquitto_pub", &["-t", "hall/1/power", "-m", "12.5", "-q", "1", "-r"]).await;
    run("mosquitto_pub", &["-t", "hall/2/power", "-m", "gone", "-q", "0", "-r"]).await;
    run("mosquitto_pub", &["-t", "hall/2/power", "-n", "-q", "1", "-r"]).await;
    assert_eq!(
        run("mosquitto_sub", &["-t", "hall/+/power", "-q", "1", "-C", "1", "-v"]).await,
        "hall/1/power 12.5\n"
    );
    // A kept session gets what came while it was away.
    run(
        "mosquitto_sub",
        &["-t", "hall/#", "-q", "1", "-c", "-i", "agent", "-C", "1"],
    )
    .await;
    run("mosquitto_pub", &["-t", "hall/3", "-m", "while away", "-q", "1"]).await;
    let listing = run(
        "mosquitto_sub",
        &["-t", "other", "-q", "1", "-c", "-i", "agent", "-C", "1"],
    )
    .await;
    assert_eq!(listing, "while away\n");
    stop.cancel();
}
