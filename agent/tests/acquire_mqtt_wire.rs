//! MQTT 5, TLS, passwords, certificates, our own status, changed topics and Sparkplug, against a real mosquitto.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mqtt_support;

use std::{
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use energy::Quantity;
use mqtt_support::{A_MOMENT, Agent, Broker, PATIENCE, config, meter, publish, watts};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use tokio::{net::TcpListener, sync::mpsc, time::timeout};
use wattwarden::{
    acquire::mqtt::{Array, Config, Identity, SparkplugMeter, Trust, Value, Version},
    secret::Secret,
};

const BOTH: [Version; 2] = [Version::V3, Version::V5];

/// Runs a program of the system in a folder; whether it is there and went well.
fn runs(folder: &Path, program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// An authority, and certificates by it for the broker and for us. Where openssl is not there, nothing.
fn certificates(folder: &Path) -> bool {
    let extensions = "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";
    std::fs::write(folder.join("extensions"), extensions).unwrap();
    let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let authority = |name: &str| {
        let (key, pem, subject) = (format!("{name}.key"), format!("{name}.pem"), format!("/CN={name}"));
        let args = [
            "req", "-x509", "-days", "2", "-keyout", &key, "-out", &pem, "-subj", &subject,
        ];
        runs(folder, "openssl", &[&args[..], &new_key[..]].concat())
    };
    let signed = |name: &str| {
        let (key, pem, subject) = (format!("{name}.key"), format!("{name}.pem"), format!("/CN={name}"));
        let ask = ["req", "-keyout", &key, "-out", "asked.csr", "-subj", &subject];
        let sign = [
            "x509",
            "-req",
            "-in",
            "asked.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "extensions",
            "-out",
            &pem,
        ];
        runs(folder, "openssl", &[&ask[..], &new_key[..]].concat()) && runs(folder, "openssl", &sign)
    };
    let made = authority("ca") && authority("stranger") && signed("server") && signed("agent");
    if made {
        // mosquitto gives its rights up before it reads its key.
        let key = folder.join("server.key");
        std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    made
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

fn dryer(broker: &Broker, version: Version) -> Config {
    let mut settings = config(broker, vec![meter("dryer", "plant/dryer", "")]);
    settings.version = version;
    settings
}

#[tokio::test]
async fn an_encrypted_broker_is_believed_by_its_authority_and_believes_our_certificate() {
    const NAME: &str = "an_encrypted_broker_is_believed_by_its_authority_and_believes_our_certificate";
    let port = free_port().await;
    let mut has_openssl = false;
    let started = Broker::start_with(NAME, |folder| {
        has_openssl = certificates(folder);
        let file = |name: &str| folder.join(name).display().to_string();
        let (ca, cert, key) = (file("ca.pem"), file("server.pem"), file("server.key"));
        let encrypted = "require_certificate true\nuse_identity_as_username true\n";
        let with = format!("listener {port} 127.0.0.1\ncafile {ca}\ncertfile {cert}\nkeyfile {key}\n{encrypted}");
        if has_openssl { with } else { String::new() }
    });
    let Some(broker) = started.await else { return };
    if !has_openssl {
        println!("skipped: {NAME}: openssl");
        return;
    }
    let file = |name: &str| broker.folder.join(name);
    let encrypted = |version, authority: &str, identity: bool| {
        let mut settings = dryer(&broker, version);
        settings.url.port = port;
        settings.url.tls = Some(Trust::CaFile(file(authority)));
        settings.identity = identity.then(|| Identity {
            cert_file: file("agent.pem"),
            key_file: file("agent.key"),
        });
        settings
    };
    for version in BOTH {
        let mut agent = Agent::start(encrypted(version, "ca.pem", true)).await;
        publish(&broker, &[("plant/dryer", b"42")]).await;
        assert_eq!(agent.next_w().await, 42.0, "{version:?}");
        agent.end().await;
        for (authority, identity) in [("stranger.pem", true), ("ca.pem", false)] {
            let agent = Agent::start_unheard(encrypted(version, authority, identity));
            agent.reaches("connects_total", 2.0).await;
            assert_eq!(
                agent.count("connects_total", "ok"),
                0.0,
                "{version:?} {authority} {identity}"
            );
        }
        // Certificates that are renewed take effect by themselves.
        std::fs::copy(file("stranger.pem"), file("renewed.pem")).unwrap();
        let mut agent = Agent::start_unheard(encrypted(version, "renewed.pem", true));
        agent.reaches("connects_total", 2.0).await;
        std::fs::copy(file("ca.pem"), file("renewed.pem")).unwrap();
        agent.reaches("mqtt_subscriptions_total", 1.0).await;
        publish(&broker, &[("plant/dryer", b"43")]).await;
        assert_eq!(agent.next_w().await, 43.0, "{version:?}");
        agent.end().await;
    }
}

#[tokio::test]
async fn a_broker_that_wants_a_password_gets_it() {
    const NAME: &str = "a_broker_that_wants_a_password_gets_it";
    let port = free_port().await;
    let mut has_passwords = false;
    let started = Broker::start_with(NAME, |folder| {
        has_passwords = runs(folder, "mosquitto_passwd", &["-b", "-c", "users", "gateway", "쌀밥 42"]);
        std::fs::set_permissions(folder.join("users"), std::fs::Permissions::from_mode(0o644)).ok();
        let users = folder.join("users").display().to_string();
        let with = format!("listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {users}\n");
        // Settings of a listener of its own, so that the publisher needs none.
        if has_passwords { with } else { String::new() }
    });
    let Some(broker) = started.await else { return };
    if !has_passwords {
        println!("skipped: {NAME}: mosquitto_passwd");
        return;
    }
    for version in BOTH {
        for (password, is_right) in [("쌀밥 42", true), ("42", false)] {
            let mut settings = dryer(&broker, version);
            settings.url.port = port;
            settings.username = Some("gateway".into());
            settings.password = Some(Secret::new(password.to_owned()));
            let agent = Agent::start_unheard(settings);
            agent.reaches("connects_total", 1.0).await;
            let connected = agent.count("connects_total", "ok");
            assert_eq!(connected, f64::from(u8::from(is_right)), "{version:?} {password}");
        }
    }
}

#[tokio::test]
async fn mqtt_5_promises_what_3_1_1_does() {
    let Some(mut broker) = Broker::start("mqtt_5_promises_what_3_1_1_does").await else {
        return;
    };
    let settings = dryer(&broker, Version::V5);
    let mut agent = Agent::start(settings.clone()).await;
    publish(&broker, &[("plant/dryer", b"1"), ("plant/dryer", b"2")]).await;
    let (first, second) = (agent.next().await, agent.next().await);
    first.stored.unwrap().send(()).unwrap();
    tokio::time::sleep(A_MOMENT).await;
    agent.die().await;
    drop(second);
    let payloads: Vec<String> = (3..=50).map(|n| n.to_string()).collect();
    let while_away: Vec<_> = payloads
        .iter()
        .map(|payload| ("plant/dryer", payload.as_bytes()))
        .collect();
    publish(&broker, &while_away).await;

    let mut agent = Agent::start(settings).await;
    for n in 2..=50 {
        assert_eq!(
            agent.next_w().await,
            f64::from(n),
            "what was not acknowledged, in order"
        );
    }
    drop(agent.next_after(&broker, "51").await.stored.unwrap());
    assert_eq!(
        agent.next_w().await,
        51.0,
        "what could not be stored comes again without a restart"
    );
    // Larger than the client takes: the broker keeps it to itself, and nothing else is lost.
    publish(
        &broker,
        &[("plant/dryer", &vec![b' '; 20 << 20]), ("plant/dryer", b"52")],
    )
    .await;
    assert_eq!(agent.next_w().await, 52.0);
    assert_eq!(agent.count("mqtt_sessions_lost_total", ""), 0.0);

    broker.kill().await;
    broker.forget();
    broker.restart().await;
    agent.reaches("mqtt_sessions_lost_total", 1.0).await;
    agent.reaches("mqtt_subscriptions_total", 3.0).await;
    publish(&broker, &[("plant/dryer", b"53")]).await;
    assert_eq!(agent.next_w().await, 53.0, "subscribed to again");
    agent.end().await;
}

/// What is published under a filter, as a person would watch it.
async fn watch(broker: &Broker, filter: &str) -> mpsc::Receiver<(String, Vec<u8>)> {
    let options = MqttOptions::new("watcher", ("127.0.0.1", broker.port));
    let (client, mut events) = AsyncClient::builder(options).capacity(10).build();
    client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
    let (sender, mut seen) = mpsc::channel(100);
    let (subscribed, is_subscribed) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut subscribed = Some(subscribed);
        let _keep = client;
        while let Ok(event) = events.poll().await {
            match event {
                Event::Incoming(Packet::SubAck(_)) => drop(subscribed.take().map(|subscribed| subscribed.send(()))),
                Event::Incoming(Packet::Publish(publish)) => {
                    let topic = String::from_utf8_lossy(&publish.topic).into_owned();
                    if sender.send((topic, publish.payload.to_vec())).await.is_err() {
                        return;
                    }
                }
                _ => {}
            }
        }
    });
    timeout(PATIENCE, is_subscribed).await.unwrap().unwrap();
    // Retained messages of earlier rounds are no news.
    while timeout(A_MOMENT, seen.recv()).await.is_ok() {}
    seen
}

#[tokio::test]
async fn the_broker_says_whether_we_are_there() {
    let Some(broker) = Broker::start("the_broker_says_whether_we_are_there").await else {
        return;
    };
    for version in BOTH {
        let mut seen = watch(&broker, "wattwarden/status").await;
        let mut settings = dryer(&broker, version);
        settings.status_topic = Some("wattwarden/status".into());
        let mut sees = async |expected: &str| {
            let (_, payload) = timeout(PATIENCE, seen.recv()).await.unwrap().unwrap();
            assert_eq!(String::from_utf8_lossy(&payload), expected, "{version:?}");
        };
        let agent = Agent::start(settings.clone()).await;
        sees("online").await;
        agent.end().await;
        sees("offline").await;
        let agent = Agent::start(settings).await;
        sees("online").await;
        agent.die().await;
        sees("offline").await;
    }
}

#[tokio::test]
async fn topics_that_changed_in_the_configuration_are_taken_up_and_given_up() {
    let Some(broker) = Broker::start("topics_that_changed_in_the_configuration_are_taken_up_and_given_up").await else {
        return;
    };
    for version in BOTH {
        let mut settings = dryer(&broker, version);
        settings.client_id = format!("changing-{version:?}");
        Agent::start(settings.clone()).await.end().await;
        settings.meters = vec![meter("dryer", "plant/new", "")];
        let mut agent = Agent::start(settings).await;
        publish(&broker, &[("plant/dryer", b"1"), ("plant/new", b"2")]).await;
        assert_eq!(agent.next_w().await, 2.0);
        tokio::time::sleep(A_MOMENT).await;
        publish(&broker, &[("plant/dryer", b"3"), ("plant/new", b"4")]).await;
        assert_eq!(agent.next_w().await, 4.0);
        assert_eq!(
            agent.count("dropped_total", "no_meter"),
            1.0,
            "{version:?}: the old topic came once more only"
        );
        agent.end().await;
    }
}

#[tokio::test]
async fn a_pattern_is_one_subscription_and_tells_of_meters_that_are_not_listed() {
    let Some(broker) = Broker::start("a_pattern_is_one_subscription_and_tells_of_meters_that_are_not_listed").await
    else {
        return;
    };
    let of = |area: &str, machine: &str| {
        let mut one = meter(machine, &format!("plant/{area}/{machine}/power"), "");
        one.subscription = "plant/+/+/power".into();
        one
    };
    let mut agent = Agent::start(config(&broker, vec![of("h1", "press"), of("h2", "dryer")])).await;
    publish(
        &broker,
        &[
            ("plant/h3/saw/power", b"1"),
            ("plant/h2/dryer/power", b"2"),
            ("plant/h1/press/power", b"3"),
        ],
    )
    .await;
    let (dryer, press) = (agent.next_stored().await, agent.next_stored().await);
    assert_eq!((&*dryer.meter, watts(&dryer)), ("dryer", 2.0));
    assert_eq!((&*press.meter, watts(&press)), ("press", 3.0));
    assert_eq!(agent.count("dropped_total", "no_meter"), 1.0);
}

#[tokio::test]
async fn a_sparkplug_node_is_asked_for_its_births_and_then_understood() {
    const NAME: &str = "a_sparkplug_node_is_asked_for_its_births_and_then_understood";
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/sparkplug"));
    let read = |name: &str| std::fs::read(folder.join(format!("{name}.bin"))).ok();
    let (Some(nbirth), Some(dbirth), Some(ddata)) = (read("nbirth"), read("dbirth"), read("ddata_alias_only")) else {
        println!("skipped: {NAME}: ../shared/data/sparkplug");
        return;
    };
    let Some(broker) = Broker::start(NAME).await else {
        return;
    };
    for (version, asks) in [(Version::V3, true), (Version::V5, true), (Version::V3, false)] {
        let mut asked = watch(&broker, "spBv1.0/g/NCMD/#").await;
        let mut settings = config(&broker, vec![]);
        settings.version = version;
        settings.client_id = format!("host-{version:?}-{asks}");
        settings.asks_for_births = asks;
        settings.sparkplug = vec![SparkplugMeter {
            name: "press".into(),
            group: "g".into(),
            node: "n".into(),
            device: "d".into(),
            values: vec![Value {
                pointer: "Power/Active/Total".into(),
                quantity: Quantity::ActivePower,
                scale: 1.0,
                offset: 0.0,
                array: Array::Refused,
            }],
        }];
        let mut agent = Agent::start(settings).await;
        let seen = timeout(if asks { PATIENCE } else { A_MOMENT }, asked.recv()).await;
        assert_eq!(seen.is_ok(), asks, "{version:?}: at once, before anything is lost");
        publish(&broker, &[("spBv1.0/g/DDATA/n/d", &ddata)]).await;
        let births: [(&str, &[u8]); 3] = [
            ("spBv1.0/g/NBIRTH/n", &nbirth),
            ("spBv1.0/g/DBIRTH/n/d", &dbirth),
            ("spBv1.0/g/DDATA/n/d", &ddata),
        ];
        publish(&broker, &births).await;
        for (kw, at) in [(412.36, "2018-01-01T00:00:01Z"), (18.35, "2018-01-01T00:00:02Z")] {
            let sample = agent.next_stored().await;
            assert!((sample.readings[0].value - kw).abs() < 1e-3, "{sample:?}");
            assert_eq!(sample.at.to_string(), at);
        }
        // Other settings of the broker want another connection, but what the node said holds.
        agent.settings.send_modify(|settings| settings.window += 1);
        agent.reaches("mqtt_subscriptions_total", 2.0).await;
        publish(&broker, &[("spBv1.0/g/DDATA/n/d", &ddata)]).await;
        let sample = agent.next_stored().await;
        assert!((sample.readings[0].value - 18.35).abs() < 1e-3, "{sample:?}");
        assert_eq!(agent.count("dropped_total", "no_birth"), 1.0);
        assert_eq!(agent.count("mqtt_births_asked_total", ""), f64::from(u8::from(asks)));
        agent.end().await;
    }
}

#[tokio::test]
async fn a_broker_that_is_not_there_does_not_end_the_agent() {
    let Some(mut broker) = Broker::start("a_broker_that_is_not_there_does_not_end_the_agent").await else {
        return;
    };
    for version in BOTH {
        broker.kill().await;
        let mut agent = Agent::start_unheard(dryer(&broker, version));
        agent.reaches("connects_total", 2.0).await;
        broker.restart().await;
        agent.reaches("mqtt_subscriptions_total", 1.0).await;
        publish(&broker, &[("plant/dryer", b"1")]).await;
        assert_eq!(agent.next_w().await, 1.0, "{version:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_broker_that_falls_silent_is_noticed_by_its_keep_alive_and_heard_again() {
    const NAME: &str = "a_broker_that_falls_silent_is_noticed_by_its_keep_alive_and_heard_again";
    let Some(broker) = Broker::start(NAME).await else {
        return;
    };
    let pid = broker.child.id().unwrap().to_string();
    let mut agents = vec![];
    for version in BOTH {
        let mut settings = dryer(&broker, version);
        settings.client_id = format!("patient-{version:?}");
        settings.keep_alive = Duration::from_secs(5);
        agents.push(Agent::start(settings).await);
    }
    assert!(runs(&broker.folder, "kill", &["-STOP", &pid]));
    for agent in &agents {
        let noticed = async {
            while agent.count("connects_total", "failed") < 1.0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(Duration::from_secs(20), noticed)
            .await
            .expect("noticed within two keep-alives");
    }
    assert!(runs(&broker.folder, "kill", &["-CONT", &pid]));
    for agent in &mut agents {
        agent.reaches("mqtt_subscriptions_total", 2.0).await;
    }
    publish(&broker, &[("plant/dryer", b"1")]).await;
    for agent in &mut agents {
        assert_eq!(agent.next_w().await, 1.0);
    }
}
