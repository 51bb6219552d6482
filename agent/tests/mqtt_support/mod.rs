//! A real mosquitto on a free port, a client under test, and a publisher of the same library.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test fails where it unwraps"
)]

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use energy::{Quantity, Sample};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, PublishOptions};
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use wattwarden::{
    acquire::{
        Incoming, IncomingLetter, Outlets,
        mqtt::{self, Array, Config, TopicMeter, Url, Value, Version},
    },
    clock::Clock,
    health::Health,
};

/// No event of these tests takes this long unless something is broken.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Long enough for a message on the loopback to have come if one was to come.
pub const A_MOMENT: Duration = Duration::from_millis(300);

/// A mosquitto of our own; killed at the end.
pub struct Broker {
    pub port: u16,
    pub folder: PathBuf,
    pub program: PathBuf,
    pub child: Child,
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

pub fn mosquitto() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&folders)
        .map(|folder| folder.join("mosquitto"))
        .find(|path| path.is_file());
    found.or_else(|| Some(PathBuf::from("/usr/sbin/mosquitto")).filter(|path| path.is_file()))
}

impl Broker {
    /// `None`, said by name, where mosquitto is not installed.
    pub async fn start(test: &str) -> Option<Self> {
        Self::start_with(test, |_| String::new()).await
    }

    /// As [`Self::start`], with more settings, for which there is a folder.
    pub async fn start_with(test: &str, more: impl FnOnce(&Path) -> String) -> Option<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let Some(program) = mosquitto() else {
            println!("skipped: {test}: mosquitto");
            return None;
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let nth = STARTED.fetch_add(1, Ordering::SeqCst);
        let folder = std::env::temp_dir().join(format!("wattwarden-mqtt-{}-{nth}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let settings = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {}/\n\
             autosave_interval 1\nautosave_on_changes true\n",
            folder.display()
        );
        let settings = settings + &more(&folder);
        std::fs::write(folder.join("mosquitto.conf"), settings).unwrap();
        let child = spawn(&program, &folder);
        let broker = Self {
            port,
            folder,
            program,
            child,
        };
        broker.listens().await;
        Some(broker)
    }

    pub async fn listens(&self) {
        let connects = async {
            while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, connects).await.expect("mosquitto starts");
    }

    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    pub async fn restart(&mut self) {
        self.child = spawn(&self.program, &self.folder);
        self.listens().await;
    }

    pub fn forget(&self) {
        drop(std::fs::remove_file(self.folder.join("mosquitto.db")));
    }
}

pub fn spawn(program: &Path, folder: &Path) -> Child {
    let mut command = Command::new(program);
    command.arg("-c").arg(folder.join("mosquitto.conf"));
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Publishes with QoS 1 and returns when the broker has taken everything.
pub async fn publish(broker: &Broker, messages: &[(&str, &[u8])]) {
    publish_as(broker, messages, PublishOptions::at_least_once()).await;
}

pub async fn publish_as(broker: &Broker, messages: &[(&str, &[u8])], how: PublishOptions) {
    let mut options = MqttOptions::new("publisher", ("127.0.0.1", broker.port));
    options.set_max_packet_size(64 << 20, 64 << 20);
    let (client, mut eventloop) = AsyncClient::builder(options).capacity(100).build();
    for (topic, payload) in messages {
        client.publish(*topic, payload.to_vec(), how).await.unwrap();
    }
    let mut open = messages.len();
    timeout(PATIENCE, async {
        while open > 0 {
            if let Event::Incoming(Packet::PubAck(_)) = eventloop.poll().await.unwrap() {
                open -= 1;
            }
        }
    })
    .await
    .expect("the broker takes it");
}

pub fn meter(name: &str, topic: &str, pointer: &str) -> TopicMeter {
    TopicMeter {
        name: name.into(),
        topic: topic.into(),
        subscription: topic.into(),
        values: vec![Value {
            pointer: pointer.into(),
            quantity: Quantity::ActivePower,
            scale: 0.001,
            offset: 0.0,
            array: Array::Refused,
        }],
        time: None,
        is_partial: false,
    }
}

pub fn config(broker: &Broker, meters: Vec<TopicMeter>) -> Config {
    Config {
        name: "hall".into(),
        url: Url {
            host: "127.0.0.1".into(),
            port: broker.port,
            tls: None,
        },
        client_id: "wattwarden-test".into(),
        username: None,
        password: None,
        version: Version::V3,
        keep_alive: Duration::from_secs(30),
        window: 20,
        identity: None,
        status_topic: None,
        asks_for_births: true,
        meters,
        sparkplug: vec![],
    }
}

/// A running client and what comes out of it.
pub struct Agent {
    /// Another value is taken up while it runs.
    pub settings: watch::Sender<Config>,
    pub samples: mpsc::Receiver<Incoming>,
    pub health: Health,
    pub stop: CancellationToken,
    pub task: JoinHandle<()>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Agent {
    /// Starts and waits until the broker has taken the subscription.
    pub async fn start(config: Config) -> Self {
        let agent = Self::start_unheard(config);
        agent.reaches("mqtt_subscriptions_total", 1.0).await;
        agent
    }

    /// As [`Self::start`], with a way for messages that cannot be read.
    pub async fn start_with_letters(config: Config, letters: &mpsc::Sender<IncomingLetter>) -> Self {
        let agent = Self::with(config, Some(letters.clone()));
        agent.reaches("mqtt_subscriptions_total", 1.0).await;
        agent
    }

    /// Starts, and waits for nothing.
    pub fn start_unheard(config: Config) -> Self {
        Self::with(config, None)
    }

    fn with(config: Config, dead_letters: Option<mpsc::Sender<IncomingLetter>>) -> Self {
        let (intake, samples) = mpsc::channel(1000);
        let outlets = Outlets { intake, dead_letters };
        let (health, stop) = (Health::default(), CancellationToken::new());
        let (settings, taken) = watch::channel(config);
        let task = tokio::spawn(mqtt::run(taken, Clock::system(), outlets, health.clone(), stop.clone()));
        Self {
            settings,
            samples,
            health,
            stop,
            task,
        }
    }

    /// The sample of a message to the dryer.
    pub async fn next_after(&mut self, broker: &Broker, payload: &str) -> Incoming {
        publish(broker, &[("plant/dryer", payload.as_bytes())]).await;
        self.next().await
    }

    pub async fn next(&mut self) -> Incoming {
        timeout(PATIENCE, self.samples.recv())
            .await
            .expect("a sample in time")
            .expect("the client runs")
    }

    /// The next sample, stored at once.
    pub async fn next_stored(&mut self) -> Sample {
        let Incoming { sample, stored } = self.next().await;
        if let Some(stored) = stored {
            stored.send(()).unwrap();
        }
        sample
    }

    /// The next sample's value in watts, stored at once.
    pub async fn next_w(&mut self) -> f64 {
        watts(&self.next_stored().await)
    }

    pub async fn nothing_comes(&mut self) {
        let more = timeout(A_MOMENT, self.samples.recv()).await;
        assert!(more.is_err(), "{more:?}");
    }

    pub fn count(&self, name: &str, label: &str) -> f64 {
        let snapshot = self.health.snapshot();
        let has_label = |labels: &[(&str, String)]| label.is_empty() || labels.iter().any(|(_, value)| value == label);
        let matching = snapshot
            .iter()
            .filter(|(series, _)| series.name == name && has_label(&series.labels));
        matching.map(|(_, value)| value).sum()
    }

    /// Waits until a counter, all labels together, has reached `n`.
    pub async fn reaches(&self, name: &str, n: f64) {
        let counted = async {
            while self.count(name, "") < n {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, counted)
            .await
            .unwrap_or_else(|_| panic!("{name} stays at {}", self.count(name, "")));
    }

    /// Ends as a program does that is told to.
    pub async fn end(mut self) {
        self.stop.cancel();
        timeout(PATIENCE, &mut self.task).await.expect("it stops").unwrap();
    }

    /// Ends without a word, as `kill -9` does.
    pub async fn die(mut self) {
        self.task.abort();
        drop((&mut self.task).await);
    }
}

pub fn watts(sample: &Sample) -> f64 {
    (sample.readings[0].value * 1000.0).round()
}
