//! How many messages a second go from a real mosquitto to the disk, acknowledged once they are durable.
//!
//! The broker holds a million messages for the agent's session before it starts; its limit of messages in flight, which
//! decides how many share a commit, is printed beside the number. Without mosquitto nothing is measured, and it says so.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, PublishOptions, QoS};
use wattwarden::clock::{self, Clock};

use crate::{Number, Target, new_folder, run};

/// Messages of each run; fewer where twenty in flight share a commit.
const MESSAGES: [(u32, usize, f64, &str); 2] = [
    (20, 200_000, 5_000.0, "mqtt_20"),
    (0, 1_000_000, 50_000.0, "mqtt_lifted"),
];
const METERS: usize = 100;
const SESSION: &str = "bench";
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(10);

struct Broker {
    child: Child,
    port: u16,
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) fn measure() -> Vec<Number> {
    let Some(mosquitto) = mosquitto() else {
        println!("               mqtt is not measured: there is no mosquitto");
        return vec![];
    };
    let measured = |(in_flight, messages, least, name)| {
        // mosquitto 2.0 sends what it kept for a session without regard to its limit: ours holds it.
        let window = if in_flight == 0 { 10_000 } else { in_flight };
        let folder = new_folder(name);
        let broker = start(&mosquitto, &folder, in_flight);
        let value = messages_per_second(&broker, &folder, (messages, window));
        println!(
            "               {messages} messages of QoS 1, max_inflight_messages {in_flight} (0 = no limit), window {window}"
        );
        drop(broker);
        fs::remove_dir_all(folder).unwrap();
        Number {
            name,
            value,
            unit: "messages/s, durable",
            target: Target::AtLeast(least),
        }
    };
    MESSAGES.into_iter().map(measured).collect()
}

fn mosquitto() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join("mosquitto"));
    found
        .chain([PathBuf::from("/usr/sbin/mosquitto")])
        .find(|path| path.is_file())
}

fn start(mosquitto: &Path, folder: &Path, in_flight: u32) -> Broker {
    let port = free().port();
    let settings = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages {in_flight}\n"
    );
    fs::write(folder.join("mosquitto.conf"), settings).unwrap();
    let child = Command::new(mosquitto)
        .arg("-c")
        .arg(folder.join("mosquitto.conf"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Broker { child, port }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn messages_per_second(broker: &Broker, folder: &Path, (messages, window): (usize, u32)) -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let filled = async {
            begin_session(broker.port).await;
            publish(broker.port, messages).await;
        };
        tokio::time::timeout(PATIENCE, filled)
            .await
            .expect("the broker takes them in time");
        let page = free();
        fs::create_dir_all(folder.join("store")).unwrap();
        let config = folder.join("wattwarden.toml");
        fs::write(&config, site(broker.port, window, page)).unwrap();
        let _agent = run::Agent::start(&config);
        // The page listens before the first message is taken; what comes before the first look is not counted.
        let (mut began, mut first) = (None, 0.0);
        let took = async {
            loop {
                let n = run::try_count(page, "samples_total").unwrap_or_default();
                if n > 0.0 && began.is_none() {
                    (began, first) = (Some(clock::monotonic()), n);
                }
                if n >= messages as f64 {
                    let commits = run::try_count(page, "commits_total").unwrap_or_default();
                    println!(
                        "               {:.0} messages shared a commit",
                        messages as f64 / commits
                    );
                    return began.map(|began| (messages as f64 - first) / began.elapsed().as_secs_f64());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let took = tokio::time::timeout(PATIENCE, took).await.expect("all of them in time");
        took.expect("it was seen to begin")
    })
}

fn options(port: u16, client: &str) -> MqttOptions {
    let mut options = MqttOptions::new(client, ("127.0.0.1", port));
    options.set_clean_session(client != SESSION);
    options
}

/// Lets the broker know the agent's session, so that it keeps what is published.
async fn begin_session(port: u16) {
    let (client, mut events) = AsyncClient::builder(options(port, SESSION)).capacity(8).build();
    client.subscribe("plant/#", QoS::AtLeastOnce).await.unwrap();
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Incoming::SubAck(_))) => break,
            Ok(_) => {}
            // mosquitto is still starting.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn publish(port: u16, messages: usize) {
    let (client, mut events) = AsyncClient::builder(options(port, "plant")).capacity(1000).build();
    let first = Clock::system().now().as_millisecond() - (messages / METERS) as i64 * 1000;
    let publishing = async {
        for n in 0..messages {
            let (meter, second) = (n % METERS, (n / METERS) as i64);
            let payload = format!("{{\"t\": {}, \"w\": {}}}", first + second * 1000, 1000 + n % 50);
            client
                .publish(
                    format!("plant/m{meter}"),
                    payload,
                    PublishOptions::new(QoS::AtLeastOnce),
                )
                .await
                .unwrap();
        }
    };
    let taken = async {
        let mut n_taken = 0;
        while n_taken < messages {
            if let Event::Incoming(Incoming::PubAck(_)) = events.poll().await.unwrap() {
                n_taken += 1;
            }
        }
    };
    tokio::join!(publishing, taken);
}

fn site(port: u16, window: u32, page: SocketAddr) -> String {
    let names: Vec<String> = (0..METERS).map(|n| format!("{{ n = \"{n}\" }}")).collect();
    format!(
        "[site]\nname = \"bench\"\nzone = \"Asia/Seoul\"\n\
         [[broker]]\nname = \"hall\"\nmqtt = \"mqtt://127.0.0.1:{port}\"\nclient_id = \"{SESSION}\"\nwindow = {window}\n\
         [[meter]]\nname = \"m{{n}}\"\nbroker = \"hall\"\ntopic = \"plant/m{{n}}\"\ntime = \"/t\"\n\
         values = {{ \"/w\" = {{ quantity = \"active_power_kw\", scale = 0.001 }} }}\neach = [{}]\n\
         [store]\npath = \"store\"\n[web]\nlisten = \"{page}\"\n",
        names.join(", ")
    )
}
