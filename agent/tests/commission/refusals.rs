//! What the commands say of devices that refuse, are away behind their gateway, or answer as somebody else.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{check, check_both, check_live::config, program_support::Folder};

/// A request: unit, function, first register, how many; and how many came before it.
type Asked = (u8, u8, u16, u16, usize);

/// A device that answers each request by a unit and a function with its data, and nothing where that is empty.
async fn device(answer: impl Fn(Asked) -> (u8, Vec<u8>) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let (answer, n) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (answer, n) = (Arc::clone(&answer), Arc::clone(&n));
            tokio::spawn(async move {
                let mut frame = [0; 12];
                while stream.read_exact(&mut frame).await.is_ok() {
                    let word = |nth: usize| u16::from_be_bytes([frame[nth], frame[nth + 1]]);
                    let nth = n.fetch_add(1, Ordering::Relaxed);
                    let (unit, pdu) = answer((frame[6], frame[7], word(8), word(10), nth));
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                    let head = [frame[0], frame[1], 0, 0, 0, pdu.len() as u8 + 1, unit];
                    if !pdu.is_empty() && stream.write_all(&[&head, &pdu[..]].concat()).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

fn zeros((_, function, _, count, _): Asked) -> Vec<u8> {
    [vec![function, 2 * count as u8], vec![0; 2 * usize::from(count)]].concat()
}

fn refusal((_, function, ..): Asked, code: u8) -> Vec<u8> {
    vec![function | 0x80, code]
}

/// A search of one port of this machine for some units.
fn discover<'a>(port: &'a str, units: &'a str) -> [&'a str; 10] {
    [
        "discover",
        "--hosts",
        "127.0.0.1",
        "--yes",
        "--gap",
        "1ms",
        "--port",
        port,
        "--units",
        units,
    ]
}

#[tokio::test]
async fn a_unit_that_only_ever_fails_inside_is_no_device() {
    // Unit 2 is there, if only to refuse; a gateway speaks for all others.
    let address = device(|asked| {
        let answer = match asked.0 {
            2 => refusal(asked, 2),
            3 => refusal(asked, 0x0B),
            _ => refusal(asked, 4),
        };
        (asked.0, answer)
    })
    .await;
    let port = address.rsplit(':').next().unwrap().to_owned();
    let args = discover(&port, "1-5");
    check_both(
        &args,
        0,
        &["장치 1개", "국번 3개는 장치로 보지 않음", "국번 1개는", "0x04", "0x0b"],
        &[
            "1 device,",
            "3 addresses answer but are no devices",
            "1 address answers",
            "0x04",
            "0x0b",
        ],
    )
    .await;
    let found: Value = serde_json::from_str(&check(&[&args[..], &["--json"]].concat(), 0, &[]).await).unwrap();
    let otherwise = found["answered_otherwise"].as_array().unwrap();
    assert_eq!(otherwise.len(), 4, "{found:#}");
    let args = discover(&port, "3");
    check_both(
        &args,
        3,
        &["게이트웨이: 계측기가 응답하지 않음"],
        &["the gateway heard nothing"],
    )
    .await;
    let other = device(|asked| (9, zeros(asked))).await;
    let args = discover(other.rsplit(':').next().unwrap(), "1");
    check_both(&args, 3, &["unit = 9"], &["answers as unit 9", "unit = 9"]).await;
}

#[tokio::test]
async fn check_live_says_what_mends_a_meter_that_refuses_everything() {
    let address = device(|asked| (asked.0, refusal(asked, 1))).await;
    let folder = Folder::new("check-refusing");
    let path = config(&folder, &address, &[("main", 1, "eastron-sdm630")]);
    let args = ["check", "-c", &path, "--live"];
    check_both(&args, 3, &["fail main", "--fn 4"], &["fail main", "--fn 4"]).await;
    let test = ["profile", "test", "eastron-sdm630", "--address", &address];
    check_both(&test, 3, &["--fn 4", "거절된 주소"], &["--fn 4", "compare refused"]).await;
}

#[tokio::test]
async fn what_a_meter_takes_is_measured_of_single_values_too_and_all_zeros_are_told() {
    // Whole blocks are refused, so that each value is asked for alone.
    let address = device(|asked| (asked.0, if asked.3 > 2 { refusal(asked, 2) } else { zeros(asked) })).await;
    let folder = Folder::new("check-zeros");
    let path = config(&folder, &address, &[("main", 1, "eastron-sdm630")]);
    let args = ["check", "-c", &path, "--live"];
    check_both(
        &args,
        0,
        &["warn main", "모두 0"],
        &["warn main", "all are 0: another model"],
    )
    .await;
    let found: Value = serde_json::from_str(&check(&[&args[..], &["--json"]].concat(), 0, &[]).await).unwrap();
    assert!(
        found["live"][0]["meters"][0]["latency_ms"].as_f64().unwrap() >= 5.0,
        "{found:#}"
    );
    let test = ["profile", "test", "eastron-sdm630", "--address", &address];
    check_both(&test, 0, &["모두 0"], &["all are 0"]).await;
}

#[tokio::test]
async fn of_a_silent_meter_there_is_nothing_to_compare() {
    let address = device(|asked| (asked.0, vec![])).await;
    let test = [
        "profile",
        "test",
        "eastron-sdm630",
        "--timeout",
        "100ms",
        "--address",
        &address,
    ];
    for lang in ["ko", "en"] {
        let text = check(&[&test[..], &["--lang", lang]].concat(), 3, &[]).await;
        for absent in ["verified = true", "compare refused", "거절된 주소"] {
            assert!(!text.contains(absent), "{absent}: {text}");
        }
    }
}

#[tokio::test]
async fn probe_asks_a_busy_meter_again_and_nothing_else() {
    let address = device(|asked| (asked.0, if asked.4 == 0 { refusal(asked, 6) } else { zeros(asked) })).await;
    let text = check(&["probe", &address, "--reg", "0", "--lang", "en"], 0, &[]).await;
    assert!(!text.contains("function 4") && !text.contains("fn 4"), "{text}");
    let busy = device(|asked| (asked.0, refusal(asked, 6))).await;
    check_both(
        &["probe", &busy, "--reg", "0"],
        3,
        &["계측기가 바쁨"],
        &["the meter is busy"],
    )
    .await;
    let plain = busy.replace("tcp://", "tls://");
    let tls = ["probe", &plain, "--reg", "0", "--timeout", "200ms"];
    check_both(&tls, 3, &["TLS가 아닙니다"], &["does not speak TLS"]).await;
}
