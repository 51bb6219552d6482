//! Every kind of line against a server that others wrote, RTU against a device that misbehaves, a recording of others.
//!
//! A pseudo-terminal does not pace bytes: a relay waits what the characters would take, and tells when a request came
//! before the line was silent.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod late;
#[path = "../modbus_support/mod.rs"]
mod modbus_support;
mod recording;
mod rtu;

use std::{path::Path, time::Duration};

use energy::Quantity;
use modbus_support::{Bus, config, server::Server};
use tokio::{process::Command, time::timeout};
use wattwarden::acquire::modbus::{
    ByteOrder, Config, Limits, Line, MeterPoints, Parity, Point, RegisterForm, Tls, Transport,
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/modbus_lines/server.py");

/// pymodbus at the far end of a line, and where it listens.
async fn start(test: &str, kind: &str, folder: &Path) -> Option<(Server, String)> {
    Server::start(test, SCRIPT, &[kind, &folder.display().to_string()]).await
}

/// What the server holds, as points and values.
fn wanted() -> [(Point, f64); 8] {
    let point = Point::new;
    let low_word_first = Point {
        order: ByteOrder::Cdab,
        ..point(40, RegisterForm::U32, Quantity::Water)
    };
    let scaled = Point {
        exponent_at: Some(43),
        ..point(42, RegisterForm::U16, Quantity::VoltageL1)
    };
    let bits = Point {
        mask: Some(0x0F00),
        ..point(42, RegisterForm::U16, Quantity::ProductCode)
    };
    [
        (point(0, RegisterForm::F32, Quantity::ActivePower), 21.5),
        (point(2, RegisterForm::F32, Quantity::ReactivePower), -3.25),
        (point(10, RegisterForm::U32, Quantity::EnergyImport), 123_456_789.0),
        (point(20, RegisterForm::I16, Quantity::Temperature), -7.0),
        (point(30, RegisterForm::F64, Quantity::ReactiveEnergyLag), 2.5e9),
        (low_word_first, 123_456.0),
        (scaled, 230.5),
        (bits, 9.0),
    ]
}

fn patient(transport: Transport) -> Config {
    let meter = MeterPoints {
        name: "pymodbus".into(),
        unit: 7,
        points: wanted().map(|(point, _)| point).into(),
        limits: Limits {
            max_gap: 5,
            ..Limits::default()
        },
    };
    Config {
        // What the serial line can give: six requests take 0.3 s of it.
        every: Duration::from_millis(500),
        timeout: Duration::from_secs(2),
        ..config(transport, vec![meter])
    }
}

/// Reads the server `n` times; every value must be there and right.
async fn check(transport: Transport, n: usize) {
    let mut bus = Bus::start(patient(transport.clone()));
    for _ in 0..n {
        let sample = bus.next().await;
        for (point, expected) in wanted() {
            let got = sample.trusted(point.quantity);
            assert_eq!(got, Some(expected), "{} over {transport}: {sample:?}", point.quantity);
        }
    }
    assert_eq!(
        bus.count("polls_total", "ok"),
        bus.count("polls_total", ""),
        "{transport}"
    );
    let holes = bus.count("refused_registers_total", "");
    assert_eq!(holes, 0.0, "registers between the values are not asked for");
}

#[tokio::test]
async fn a_server_that_others_wrote_is_read_over_tcp_and_rtu_over_tcp() {
    let name = "a_server_that_others_wrote_is_read_over_tcp_and_rtu_over_tcp";
    let host = || "127.0.0.1".to_owned();
    let Some((_tcp, port)) = start(name, "tcp", Path::new("")).await else {
        return;
    };
    let port = port.parse().unwrap();
    check(Transport::Tcp { host: host(), port }, 3).await;
    let (_rtu, port) = start(name, "rtu+tcp", Path::new("")).await.unwrap();
    let port = port.parse().unwrap();
    check(Transport::RtuOverTcp { host: host(), port }, 3).await;
}

#[tokio::test]
async fn a_server_that_others_wrote_is_read_over_a_serial_line_with_its_silences() {
    let name = "a_server_that_others_wrote_is_read_over_a_serial_line_with_its_silences";
    let Some((mut server, path)) = start(name, "rtu", Path::new("")).await else {
        return;
    };
    let line = Line {
        baud: 19_200,
        parity: Parity::None,
        stop_bits: 2,
    };
    let over = || Transport::Rtu {
        path: path.clone(),
        line,
    };
    check(over(), 4).await;
    let early = timeout(Duration::from_millis(100), server.told.next_line()).await;
    assert!(early.is_err(), "a request came before the line was silent: {early:?}");
    // An adapter that is pulled out ends the line at once, and is looked for again.
    let mut bus = Bus::start(patient(over()));
    bus.next().await;
    drop(server);
    while bus.count("polls_total", "lost") + bus.count("connects_total", "failed") < 2.0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An authority, a server and a client whom it vouches for, and a stranger who vouches for himself; `None` without openssl.
async fn certificates(folder: &Path) -> Option<()> {
    const SCRIPT: &str = r#"set -e
sign() {
    openssl req -newkey rsa:2048 -nodes -keyout $1.key -out $1.csr -subj /CN=$1 2>/dev/null
    printf "subjectAltName=IP:127.0.0.1\n" > ext
    openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out $1.pem 2>/dev/null
}
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca 2>/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -keyout stranger.key -out stranger.pem -days 2 -subj /CN=stranger 2>/dev/null
sign server
sign client
"#;
    std::fs::create_dir_all(folder).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT]).current_dir(folder).kill_on_drop(true);
    command
        .status()
        .await
        .is_ok_and(|status| status.success())
        .then_some(())
}

/// What `probe` prints of the first register, its authority known, with these options beside.
async fn probed(folder: &Path, port: u16, options: &[&str]) -> String {
    let address = format!("tls://127.0.0.1:{port}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_wattwarden"));
    let ask = ["probe", &address, "--unit", "7", "--reg", "0", "--ca-file", "ca.pem"];
    let output = command
        .args(ask)
        .args(options)
        .current_dir(folder)
        .output()
        .await
        .unwrap();
    [output.stdout, output.stderr]
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .concat()
}

#[tokio::test]
async fn over_tls_both_sides_show_certificates_or_nothing_is_read() {
    let name = "over_tls_both_sides_show_certificates_or_nothing_is_read";
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("modbus_tls");
    if certificates(&folder).await.is_none() {
        println!("skipped: {name}: openssl");
        return;
    }
    let Some((_server, port)) = start(name, "tls", &folder).await else {
        return;
    };
    let port = port.parse().unwrap();
    let over = |host: &str, ca: &str, who: Option<&str>| Transport::Tls {
        host: host.to_owned(),
        port,
        tls: Tls {
            ca_file: Some(folder.join(ca)),
            identity: who.map(|who| (folder.join(format!("{who}.pem")), folder.join(format!("{who}.key")))),
        },
    };
    check(over("127.0.0.1", "ca.pem", Some("client")), 3).await;
    let shown = probed(
        &folder,
        port,
        &["--certificate-file", "client.pem", "--key-file", "client.key"],
    )
    .await;
    assert!(shown.contains("21.5"), "{shown}");
    let shown = probed(&folder, port, &[]).await;
    assert!(!shown.contains("21.5"), "{shown}");
    for (why, transport) in [
        (
            "a device that nobody vouches for",
            over("127.0.0.1", "stranger.pem", Some("client")),
        ),
        ("a device of another name", over("localhost", "ca.pem", Some("client"))),
        (
            "a client that nobody vouches for",
            over("127.0.0.1", "ca.pem", Some("stranger")),
        ),
        ("a client without a certificate", over("127.0.0.1", "ca.pem", None)),
    ] {
        let mut bus = Bus::start(patient(transport));
        while bus.count("connects_total", "failed") + bus.count("polls_total", "lost") < 1.0 {
            tokio::task::yield_now().await;
        }
        assert!(bus.samples.try_recv().is_err(), "{why}");
        assert_eq!(bus.count("polls_total", "ok"), 0.0, "{why}");
    }
    for (ca, who, why) in [
        (
            "client.key",
            "client",
            "client.key cannot be used as certificate: there is none in it",
        ),
        ("ca.pem", "absent", "absent.key cannot be used as private key"),
        ("server.csr", "client", "server.csr cannot be used as certificate"),
    ] {
        let Transport::Tls { tls, .. } = over("h", ca, Some(who)) else {
            unreachable!()
        };
        let error = tls.check().unwrap_err().en;
        assert!(error.contains(why), "{error}");
    }
}
