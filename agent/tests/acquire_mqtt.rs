//! The MQTT side against a real mosquitto on a free port: killed, restarted, forgetful, and fed with poison.
//!
//! Messages are published by a second client of the same library; what counts is what comes out of the bounded channel
//! and what the broker delivers again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mqtt_support;

use std::sync::Arc;

use energy::{Quality, Quantity};
use mqtt_support::{A_MOMENT, Agent, Broker, PATIENCE, config, meter, publish, publish_as, watts};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, PublishOptions, QoS};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::timeout,
};
use wattwarden::acquire::{
    IncomingLetter,
    mqtt::{DEAD_LETTER_BYTES, TimePointer},
};

#[tokio::test]
async fn messages_become_samples_of_every_meter_that_means_their_topic() {
    let Some(broker) = Broker::start("messages_become_samples_of_every_meter_that_means_their_topic").await else {
        return;
    };
    let mut timed = meter("timed", "plant/+/json", "/em/0/p");
    timed.time = Some(TimePointer {
        pointer: "/t".into(),
        zone: None,
    });
    let meters = vec![
        meter("plain", "plant/dryer/power", ""),
        meter("any", "plant/dryer/#", ""),
        timed,
    ];
    let mut agent = Agent::start(config(&broker, meters)).await;
    let json = br#"{"em": [{"p": "55"}], "t": "2026-08-28T17:10:00+09:00"}"#;
    publish(&broker, &[("plant/dryer/power", b"42"), ("plant/press/json", json)]).await;
    let mut got = Vec::new();
    for _ in 0..3 {
        let incoming = agent.next().await;
        got.push((incoming.sample.meter.to_string(), watts(&incoming.sample)));
        if got.len() == 3 {
            assert_eq!(incoming.sample.at.to_string(), "2026-08-28T08:10:00Z");
        }
        incoming.stored.unwrap().send(()).unwrap();
    }
    assert_eq!(
        got,
        [("plain".into(), 42.0), ("any".into(), 42.0), ("timed".into(), 55.0)]
    );
    agent.end().await;
}

#[tokio::test]
async fn what_was_not_stored_is_delivered_again_after_a_kill() {
    let Some(broker) = Broker::start("what_was_not_stored_is_delivered_again_after_a_kill").await else {
        return;
    };
    let settings = config(&broker, vec![meter("dryer", "plant/dryer", "")]);
    let mut agent = Agent::start(settings.clone()).await;
    publish(
        &broker,
        &[("plant/dryer", b"1"), ("plant/dryer", b"2"), ("plant/dryer", b"3")],
    )
    .await;
    let (first, second, third) = (agent.next().await, agent.next().await, agent.next().await);
    first.stored.unwrap().send(()).unwrap();
    third.stored.unwrap().send(()).unwrap(); // stored, but out of turn: it may not overtake the second
    tokio::time::sleep(A_MOMENT).await;
    agent.die().await;
    drop(second);

    let mut agent = Agent::start(settings.clone()).await;
    assert_eq!([agent.next_w().await, agent.next_w().await], [2.0, 3.0]);
    agent.nothing_comes().await;
    agent.end().await; // waits for acknowledgements on their way

    let mut agent = Agent::start(settings).await;
    agent.nothing_comes().await;
}

#[tokio::test]
async fn a_sample_that_could_not_be_stored_comes_again_without_a_restart() {
    let Some(broker) = Broker::start("a_sample_that_could_not_be_stored_comes_again_without_a_restart").await else {
        return;
    };
    let mut agent = Agent::start(config(&broker, vec![meter("dryer", "plant/dryer", "")])).await;
    publish(&broker, &[("plant/dryer", b"1"), ("plant/dryer", b"2")]).await;
    drop(agent.next().await.stored.unwrap());
    let second = agent.next().await;
    assert_eq!(watts(&second.sample), 2.0);
    assert_eq!(agent.next_w().await, 1.0, "the refused one comes again");
    second.stored.unwrap().send(()).unwrap(); // and the one on its way is not recorded twice
    agent.nothing_comes().await;
    publish(&broker, &[("plant/dryer", b"3")]).await;
    assert_eq!(agent.next_w().await, 3.0);
    assert_eq!(agent.count("dropped_total", "not_stored_yet"), 1.0);
}

/// A way to the broker that can be cut; the broker notices and keeps the session.
struct Cable {
    port: u16,
    cut: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cable {
    async fn to(broker: &Broker) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, broker_port) = (listener.local_addr().unwrap().port(), broker.port);
        let cut = Arc::new(Notify::new());
        let is_cut = Arc::clone(&cut);
        let task = tokio::spawn(async move {
            loop {
                let (mut inner, _) = listener.accept().await.unwrap();
                let mut outer = TcpStream::connect(("127.0.0.1", broker_port)).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut inner, &mut outer) => {}
                    () = is_cut.notified() => {}
                }
            }
        });
        Self { port, cut, task }
    }
}

#[tokio::test]
async fn a_message_that_comes_twice_while_it_is_being_stored_is_one_sample() {
    let Some(broker) = Broker::start("a_message_that_comes_twice_while_it_is_being_stored_is_one_sample").await else {
        return;
    };
    let cable = Cable::to(&broker).await;
    let mut settings = config(&broker, vec![meter("dryer", "plant/dryer", "")]);
    settings.url.port = cable.port;
    let mut agent = Agent::start(settings).await;
    publish(&broker, &[("plant/dryer", b"1"), ("plant/dryer", b"2")]).await;
    let (first, second) = (agent.next().await, agent.next().await);
    cable.cut.notify_one();
    agent.reaches("connects_total", 2.0).await; // one that held, one that broke
    first.stored.unwrap().send(()).unwrap(); // stored while there is no one to tell
    agent.reaches("mqtt_messages_total", 4.0).await;
    second.stored.unwrap().send(()).unwrap();
    agent.nothing_comes().await;
    cable.cut.notify_one();
    publish(&broker, &[("plant/dryer", b"3")]).await;
    assert_eq!(
        agent.next_w().await,
        3.0,
        "both were acknowledged on the second connection"
    );
    assert_eq!(agent.count("mqtt_messages_total", ""), 5.0);
}

#[tokio::test]
async fn a_broker_that_forgot_us_is_subscribed_to_again() {
    let Some(mut broker) = Broker::start("a_broker_that_forgot_us_is_subscribed_to_again").await else {
        return;
    };
    let mut agent = Agent::start(config(&broker, vec![meter("dryer", "plant/dryer", "")])).await;
    publish(&broker, &[("plant/dryer", b"1")]).await;
    let unstored = agent.next().await;
    broker.kill().await;
    broker.forget();
    broker.restart().await;
    agent.reaches("mqtt_sessions_lost_total", 1.0).await;
    agent.reaches("mqtt_subscriptions_total", 2.0).await;
    assert!(
        unstored.stored.unwrap().is_closed(),
        "nobody is left to acknowledge it to"
    );
    publish(&broker, &[("plant/dryer", b"2")]).await;
    assert_eq!(agent.next_w().await, 2.0);
    assert_eq!(
        agent.count("connects_total", "ok"),
        2.0,
        "the stale acknowledgement broke nothing"
    );
}

#[tokio::test]
async fn messages_published_while_we_are_away_wait_for_us() {
    let Some(broker) = Broker::start("messages_published_while_we_are_away_wait_for_us").await else {
        return;
    };
    let settings = config(&broker, vec![meter("dryer", "plant/dryer", "")]);
    Agent::start(settings.clone()).await.end().await;
    let payloads: Vec<String> = (1..=60).map(|n| n.to_string()).collect();
    let messages: Vec<_> = payloads
        .iter()
        .map(|payload| ("plant/dryer", payload.as_bytes()))
        .collect();
    publish(&broker, &messages).await;
    let mut agent = Agent::start(settings).await;
    for n in 1..=60 {
        assert_eq!(agent.next_w().await, f64::from(n), "in order, three windows long");
    }
}

#[tokio::test]
async fn poison_is_counted_kept_acknowledged_and_passed_over() {
    let Some(broker) = Broker::start("poison_is_counted_kept_acknowledged_and_passed_over").await else {
        return;
    };
    let (dead_letters, mut letters) = mpsc::channel::<IncomingLetter>(10);
    let settings = config(&broker, vec![meter("dryer", "plant/dryer", "/p")]);
    let mut agent = Agent::start_with_letters(settings.clone(), &dead_letters).await;
    let huge = vec![b' '; 2_000_000];
    let poison: [(&[u8], &str); 5] = [
        (b"\xFF\x00", "not_json"),
        (b"{\"p\": ", "not_json"),
        (b"{\"q\": 1}", "missing_pointer"),
        (b"{\"p\": [1]}", "wrong_type"),
        (&huge, "too_large"),
    ];
    for (payload, reason) in poison {
        let before = agent.count("dropped_total", reason);
        publish(&broker, &[("plant/dryer", payload), ("plant/dryer", b"{\"p\": 7}")]).await;
        let IncomingLetter { letter, kept } = timeout(PATIENCE, letters.recv()).await.unwrap().unwrap();
        assert_eq!((&*letter.source, &*letter.topic), ("hall", "plant/dryer"));
        assert_eq!(
            letter.payload,
            payload[..payload.len().min(DEAD_LETTER_BYTES)],
            "{reason}"
        );
        assert_eq!(agent.count("dropped_total", reason), before + 1.0, "{}", letter.reason);
        assert_eq!(letter.label, reason);
        kept.unwrap().send(()).unwrap();
        assert_eq!(
            agent.count("mqtt_refused_total", reason),
            before + 1.0,
            "and whose it was"
        );
        assert_eq!(agent.next_w().await, 7.0, "after {reason} the stream goes on");
    }
    assert_eq!(
        agent.count("connects_total", ""),
        1.0,
        "nothing of it cost the connection"
    );
    agent.end().await;
    let mut agent = Agent::start_with_letters(settings, &dead_letters).await;
    agent.nothing_comes().await;
    assert!(
        letters.try_recv().is_err(),
        "it was acknowledged and does not come again"
    );
}

#[tokio::test]
async fn poison_is_acknowledged_only_when_its_letter_is_kept() {
    let Some(broker) = Broker::start("poison_is_acknowledged_only_when_its_letter_is_kept").await else {
        return;
    };
    let (dead_letters, mut letters) = mpsc::channel::<IncomingLetter>(10);
    let settings = config(&broker, vec![meter("dryer", "plant/dryer", "")]);
    let agent = Agent::start_with_letters(settings.clone(), &dead_letters).await;
    publish(&broker, &[("plant/dryer", b"ON")]).await;
    let unkept = timeout(PATIENCE, letters.recv()).await.unwrap().unwrap();
    tokio::time::sleep(A_MOMENT).await;
    agent.die().await;
    drop(unkept);
    let agent = Agent::start_with_letters(settings.clone(), &dead_letters).await;
    let again = timeout(PATIENCE, letters.recv()).await.unwrap().unwrap();
    assert_eq!(again.letter.payload, b"ON");
    again.kept.unwrap().send(()).unwrap();
    agent.end().await;
    let _agent = Agent::start_with_letters(settings, &dead_letters).await;
    assert!(timeout(A_MOMENT, letters.recv()).await.is_err(), "it was acknowledged");
}

#[tokio::test]
async fn a_message_too_large_for_the_library_costs_the_session_but_not_the_stream() {
    let Some(broker) = Broker::start("a_message_too_large_for_the_library_costs_the_session_but_not_the_stream").await
    else {
        return;
    };
    let mut agent = Agent::start(config(&broker, vec![meter("dryer", "plant/dryer", "")])).await;
    publish(&broker, &[("plant/dryer", &vec![b' '; 20 << 20])]).await;
    agent.reaches("mqtt_sessions_lost_total", 1.0).await;
    agent.reaches("mqtt_subscriptions_total", 2.0).await;
    publish(&broker, &[("plant/dryer", b"7")]).await;
    assert_eq!(agent.next_w().await, 7.0);
    assert_eq!(agent.count("dropped_total", "too_large_session_given_up"), 1.0);
}

#[tokio::test]
async fn a_retained_value_is_old_and_says_so() {
    let Some(broker) = Broker::start("a_retained_value_is_old_and_says_so").await else {
        return;
    };
    publish_as(
        &broker,
        &[("plant/dryer", b"42")],
        PublishOptions::new(QoS::AtLeastOnce).retained(),
    )
    .await;
    let mut agent = Agent::start(config(&broker, vec![meter("dryer", "plant/dryer", "")])).await;
    let retained = agent.next().await;
    assert_eq!(retained.sample.readings[0].quality, Quality::Stale);
    assert_eq!(retained.sample.trusted(Quantity::ActivePower), None);
    publish(&broker, &[("plant/dryer", b"43")]).await;
    assert_eq!(agent.next().await.sample.readings[0].quality, Quality::Ok);
}

/// Another client of the agent's name throws it out; at its new subscription the broker hands over what it retains.
async fn is_thrown_out(agent: &Agent, broker: &Broker, n_subscriptions: f64) {
    let mut options = MqttOptions::new("wattwarden-test", ("127.0.0.1", broker.port));
    options.set_clean_session(false);
    let (_client, mut eventloop) = AsyncClient::builder(options).capacity(10).build();
    let taken_over = |event: &Event| matches!(event, Event::Incoming(Packet::ConnAck(_)));
    while !taken_over(&eventloop.poll().await.unwrap()) {}
    drop(eventloop);
    agent.reaches("mqtt_subscriptions_total", n_subscriptions).await;
}

#[tokio::test]
async fn a_retained_value_comes_again_only_if_it_is_news() {
    let Some(broker) = Broker::start("a_retained_value_comes_again_only_if_it_is_news").await else {
        return;
    };
    let topic = "plant/dryer";
    let mut agent = Agent::start(config(&broker, vec![meter("dryer", topic, "")])).await;
    let retained = || PublishOptions::new(QoS::AtLeastOnce).retained();
    publish_as(&broker, &[(topic, b"42")], retained()).await;
    assert_eq!(agent.next_w().await, 42.0);
    is_thrown_out(&agent, &broker, 2.0).await;
    publish(&broker, &[(topic, b"43")]).await;
    assert_eq!(agent.next_w().await, 43.0);
    assert_eq!(agent.count("dropped_total", "retained_again"), 1.0);
    // What is not the last that was heard may be newer: it is handed on, as old.
    is_thrown_out(&agent, &broker, 3.0).await;
    let news = agent.next().await.sample.readings[0];
    assert_eq!((news.value, news.quality), (0.042, Quality::Stale));
}

#[tokio::test]
async fn a_message_without_a_promise_needs_no_answer() {
    let Some(broker) = Broker::start("a_message_without_a_promise_needs_no_answer").await else {
        return;
    };
    let mut agent = Agent::start(config(&broker, vec![meter("dryer", "plant/dryer", "")])).await;
    let messages: [(&str, &[u8]); 1] = [("plant/dryer", b"1")];
    let mut options = MqttOptions::new("careless", ("127.0.0.1", broker.port));
    options.set_keep_alive(5);
    let (client, mut eventloop) = AsyncClient::builder(options).capacity(10).build();
    client
        .publish(messages[0].0, messages[0].1, PublishOptions::at_most_once())
        .await
        .unwrap();
    let polling = async {
        loop {
            eventloop.poll().await.unwrap();
        }
    };
    tokio::select! {
        () = polling => {}
        incoming = agent.next() => assert!(incoming.stored.is_none()),
    }
}

#[tokio::test]
async fn topics_that_are_changed_while_it_runs_take_effect_and_nothing_is_lost() {
    let Some(broker) = Broker::start("topics_that_are_changed_while_it_runs_take_effect_and_nothing_is_lost").await
    else {
        return;
    };
    let mut agent = Agent::start(config(&broker, vec![meter("dryer", "plant/dryer", "")])).await;
    publish(&broker, &[("plant/dryer", b"1"), ("plant/press", b"2")]).await;
    assert_eq!(agent.next_w().await, 1.0);
    let both = vec![meter("dryer", "plant/dryer", ""), meter("press", "plant/press", "")];
    agent.settings.send_replace(config(&broker, both.clone()));
    publish(&broker, &[("plant/dryer", b"3")]).await;
    assert_eq!(agent.next_w().await, 3.0);
    agent.reaches("mqtt_subscriptions_total", 2.0).await;
    publish(&broker, &[("plant/press", b"4")]).await;
    assert_eq!(agent.next_w().await, 4.0);
    agent.settings.send_replace(config(&broker, both[1..].to_vec()));
    publish(&broker, &[("plant/dryer", b"5"), ("plant/press", b"6")]).await;
    assert_eq!(agent.next_w().await, 6.0);
    let received = agent.count("mqtt_messages_total", "hall");
    publish(&broker, &[("plant/dryer", b"7"), ("plant/press", b"8")]).await;
    assert_eq!(agent.next_w().await, 8.0);
    assert_eq!(
        agent.count("mqtt_messages_total", "hall"),
        received + 1.0,
        "what is not asked for any more does not come"
    );
    assert_eq!(
        agent.count("connects_total", "ok"),
        1.0,
        "on the connection that there was"
    );
    // What only another connection can do is done on one; what was given up stays so.
    let mut other = config(&broker, both[1..].to_vec());
    other.keep_alive *= 2;
    agent.settings.send_replace(other);
    agent.reaches("mqtt_subscriptions_total", 3.0).await;
    publish(&broker, &[("plant/dryer", b"9"), ("plant/press", b"10")]).await;
    assert_eq!(agent.next_w().await, 10.0);
    assert_eq!(agent.count("connects_total", "ok"), 2.0);
    assert_eq!(agent.count("mqtt_sessions_lost_total", ""), 0.0);
}
