//! `probe`: every kind of line, every kind of error, and what it names as the fix.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{check, check_both, plant, program_support::Folder, registers};

/// Unit 7: 12 390.5 at 3059 as f32, 230.1 V at 3100, word order swapped; 4641 9A30 is 12.387 in another order too.
fn meter(kind: &str) -> Value {
    let holding = registers(&[(3059, &[0x4641, 0x9A30]), (3100, &[0x199A, 0x4366])]);
    // Volts of three phases one behind the other, watts.
    let volts = [0x4366, 0x199A, 0x4365, 0x6666, 0x4366, 0x8000];
    let input = registers(&[(0, &volts), (52, &[0x45C9, 0xE75E])]);
    json!({"kind": kind, "units": {"7": {"holding": holding, "input": input}, "9": {"holding": {"0": [0, 0]}, "exception": 4}}})
}

#[tokio::test]
async fn a_block_is_read_in_every_way_and_two_that_fit_are_both_told() {
    let Some((_server, address)) = plant("probe", &meter("tcp")).await else {
        return;
    };
    let block = ["probe", &address, "--unit", "7", "--reg", "3059"];
    let way = "f32 abcd @3059 = 12390.5";
    check_both(
        &block,
        0,
        &[
            "국번 7 응답",
            "4641 9A30",
            way,
            "f32 badc @3059 = 12.387",
            "어느 것도 확정하지 않습니다",
        ],
        &[
            "unit 7 answered",
            "4641 9A30",
            way,
            "f32 badc @3059 = 12.387",
            "none of them is claimed",
            "3060",
        ],
    )
    .await;
    check_both(
        &[
            "probe",
            &address,
            "--unit",
            "7",
            "--reg",
            "3101",
            "--base",
            "1",
            "--quantity",
            "voltage",
        ],
        0,
        &[
            "3가지가 맞습니다",
            "f32 cdab @3100 = 230.10 V",
            "u16 abcd @3100 = 6554 V",
        ],
        &["3 ways fit (voltage)", "f32 cdab @3100 = 230.10 V", "--expect"],
    )
    .await;
    check_both(
        &["probe", &address, "--unit", "7", "--reg", "3100", "--expect", "230"],
        0,
        &["유일하게 맞음", "f32 cdab @3100 = 230.10"],
        &["the only way that fits", "f32 cdab @3100 = 230.10", "order = \"cdab\""],
    )
    .await;
}

/// The low word of one phase and the high word of the next make a voltage as well: an address that is off by one.
#[tokio::test]
async fn a_neighbour_that_fits_too_is_told_and_nothing_is_called_the_only_way() {
    let Some((_server, address)) = plant("probe", &meter("tcp")).await else {
        return;
    };
    for (reg, beside) in [("2", "f32 cdab @1 = 229.10"), ("3", "f32 abcd @2 = 229.40")] {
        let block = [
            "probe", &address, "--unit", "7", "--fn", "4", "--base", "1", "--expect", "230", "--reg", reg,
        ];
        check_both(
            &block,
            0,
            &[beside, "이웃 주소에서도 맞음", "표시창을 따라가는"],
            &[
                beside,
                "fits here",
                "at the neighbouring address, too",
                "follows the display",
            ],
        )
        .await;
        let shown = check(&block, 0, &[]).await;
        assert!(
            !shown.contains("the only way") && !shown.contains("유일하게"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_block_is_told_to_programs_too() {
    let Some((_server, address)) = plant("probe", &meter("tcp")).await else {
        return;
    };
    let block = ["probe", &address, "--unit", "7", "--reg", "3059"];
    let text = check(&[&block[..], &["--json", "--expect", "12.4"]].concat(), 0, &[]).await;
    let found: Value = serde_json::from_str(&text).unwrap();
    let ways: Vec<_> = found["block"]["fits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fit| &fit["order"])
        .collect();
    assert_eq!(
        ways,
        ["badc", "abcd"],
        "12.387 as it stands first, then 12390.5 by thousands: {found:#}"
    );
    assert_eq!(found["block"]["words"], json!(["4641", "9A30"]));
    // 4 one-word types in 2 orders at both registers, 4 two-word types in 4 orders.
    assert_eq!(found["block"]["readings"].as_array().unwrap().len(), 2 * 8 + 16);
}

#[tokio::test]
async fn a_profile_names_the_points_of_the_block_and_a_sheet_is_written_once() {
    let Some((_server, address)) = plant("probe", &meter("tcp")).await else {
        return;
    };
    let folder = Folder::new("probe-sheet");
    for (name, lang) in [("sheet.txt", "ko"), ("sheet.json", "en")] {
        let path = folder.path(name);
        let args = [
            "probe",
            &address,
            "--unit",
            "7",
            "--profile",
            "eastron-sdm630",
            "--point",
            "voltage_l1_v",
        ];
        let args = [&args[..], &["--sheet", &path, "--lang", lang]].concat();
        check(&args, 0, &["voltage_l1_v @0 = 230.10 V", "eastron-sdm630"]).await;
        check(&args, 2, &["not written over"]).await;
    }
    let text = std::fs::read_to_string(folder.path("sheet.txt")).unwrap();
    for fact in ["인수인계서", "검증되지 않음", "4366 199A", "표시창과 비교", "서명"] {
        assert!(text.contains(fact), "{fact} is not in\n{text}");
    }
    let json: Value = serde_json::from_str(&std::fs::read_to_string(folder.path("sheet.json")).unwrap()).unwrap();
    assert_eq!(json["devices"][0]["values"][0]["raw"], json!(["4366", "199A"]));
    assert_eq!(json["devices"][0]["profile"]["verified"], false);
}

#[tokio::test]
async fn the_right_framing_is_named_whichever_was_written() {
    for (kind, written, right) in [("rtu+tcp", "tcp", "rtu+tcp"), ("tcp", "rtu+tcp", "tcp")] {
        let Some((_server, address)) = plant("framing", &meter(kind)).await else {
            return;
        };
        let port = address.rsplit(':').next().unwrap();
        let wrong = format!("{written}://127.0.0.1:{port}");
        let started = wattwarden::clock::monotonic();
        let found = format!("modbus = \"{right}://127.0.0.1:{port}\"");
        let args = ["probe", &wrong, "--unit", "7", "--reg", "3059", "--timeout", "300ms"];
        check_both(&args, 0, &["이렇게 하면 응답", &found], &["this is answered", &found]).await;
        assert!(started.elapsed().as_secs() < 60, "within a minute, twice");
    }
}

#[tokio::test]
async fn a_serial_line_is_probed_too() {
    let Some((_server, port)) = plant("serial", &meter("rtu")).await else {
        return;
    };
    let args = [
        "probe",
        &port,
        "--unit",
        "7",
        "--reg",
        "0",
        "--fn",
        "4",
        "--quantity",
        "voltage",
    ];
    check_both(&args, 0, &["f32 abcd @0 = 230.10 V"], &["f32 abcd @0 = 230.10 V"]).await;
    let args = ["probe", &port, "--unit", "8", "--reg", "0", "--timeout", "200ms"];
    check_both(&args, 3, &["응답이 없음", "패리티"], &["no answer", "parity"]).await;

    // Whoever opens a port for itself locks it so.
    let mut holder = tokio::process::Command::new("flock");
    let mut holder = holder.args([&port, "sleep", "60"]).kill_on_drop(true).spawn().unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    check_both(
        &args,
        3,
        &["다른 프로그램이 포트를"],
        &["another program holds the port"],
    )
    .await;
    holder.kill().await.unwrap();
}

/// The line to paste names the table, whichever way that was found.
#[tokio::test]
async fn what_is_pasted_is_read_from_the_table_that_was_probed() {
    let Some((_server, address)) = plant("table", &meter("tcp")).await else {
        return;
    };
    let line = ["at = 0, table = \"input\", type = \"f32\""];
    let asked = [
        "probe",
        &address,
        "--unit",
        "7",
        "--reg",
        "0",
        "--quantity",
        "voltage",
        "--expect",
        "230.1",
    ];
    for more in [&[][..], &["--fn", "4"]] {
        check_both(&[&asked[..], more].concat(), 0, &line, &line).await;
    }
}

#[tokio::test]
async fn each_error_names_its_fix() {
    let Some((_server, address)) = plant("errors", &meter("tcp")).await else {
        return;
    };
    let at =
        |unit: &'static str, reg: &'static str, more: &[&'static str]| [&["--unit", unit, "--reg", reg], more].concat();
    let cases: [(Vec<&str>, i32, &str, &str); 5] = [
        // Off by one: the neighbour is read and told.
        (
            at("7", "3060", &["--expect", "12390.5"]),
            0,
            "f32 abcd @3059 = 12390.5",
            "f32 abcd @3059 = 12390.5",
        ),
        // The other table: 0 is an input register only.
        (
            at("7", "0", &["--quantity", "voltage"]),
            0,
            "기능 코드 4, 주소 0",
            "function 4, address 0",
        ),
        (at("7", "9000", &[]), 3, "--base 1", "--base 1"),
        (at("9", "0", &[]), 3, "계측기 내부 고장", "the meter failed inside"),
        (at("8", "0", &[]), 3, "게이트웨이와 계측기 사이", "behind the gateway"),
    ];
    for (args, status, ko, en) in cases {
        check_both(&[&["probe", &address], &args[..]].concat(), status, &[ko], &[en]).await;
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let closed = format!("tcp://{closed}");
    let args = ["probe", &closed, "--reg", "0"];
    check_both(&args, 3, &["연결을 거절", "502"], &["refuses", "502"]).await;
    check_both(
        &["probe", "/dev/nothing", "--reg", "0"],
        3,
        &["ls /dev/serial"],
        &["ls /dev/serial"],
    )
    .await;
    check(&["probe", "192.0.2.1", "--reg", "0"], 2, &["tcp://HOST:PORT"]).await;
    check(&["probe", &closed, "--reg", "65535"], 2, &["within 0 to 65535"]).await;
    check(
        &["probe", &closed, "--reg", "0", "--quantity", "speed"],
        2,
        &["voltage, frequency"],
    )
    .await;
    check(&["probe", &closed], 2, &["--reg"]).await;
    check(
        &["probe", &closed, "--reg", "0", "--profile", "sunspec-203"],
        2,
        &["profile test"],
    )
    .await;
    check(
        &[
            "probe",
            &closed,
            "--profile",
            "eastron-sdm72",
            "--point",
            "voltage_l1_v",
        ],
        2,
        &["has no voltage_l1_v"],
    )
    .await;
}

#[tokio::test]
async fn a_unit_that_device_has_by_custom_is_found() {
    let holding = registers(&[(0, &[0x4366, 0x199A])]);
    let described = json!({"kind": "tcp", "silent": true, "units": {"255": {"holding": holding}}});
    let Some((_server, address)) = plant("unit", &described).await else {
        return;
    };
    let args = ["probe", &address, "--unit", "7", "--reg", "0", "--timeout", "200ms"];
    check_both(&args, 3, &["unit = 255"], &["unit = 255"]).await;
}

/// A converter behind which unit 2 answers with a wrong sum, unit 3 with a register too few, and unit 1 rightly.
async fn line_with_faults() -> (String, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("rtu+tcp://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut frame = [0; 8];
            while stream.read_exact(&mut frame).await.is_ok() {
                // Their sums were made with another program's CRC-16/MODBUS.
                let answer: &[u8] = match frame[0] {
                    1 => &[1, 3, 4, 0x43, 0x66, 0x33, 0x34, 0x1A, 0x8F],
                    2 => &[2, 3, 4, 0x43, 0x66, 0x33, 0x34, 0, 0],
                    3 => &[3, 3, 2, 0x43, 0x66, 0x70, 0x9E],
                    _ => &[],
                };
                if stream.write_all(answer).await.is_err() {
                    break;
                }
            }
        }
    });
    (address, serving)
}

/// What one unit answers badly is not mended by asking another.
#[tokio::test]
async fn a_damaged_or_short_answer_is_told_with_its_fix_and_no_other_unit_is_offered() {
    let (address, serving) = line_with_faults().await;
    let probe = |unit: &'static str| ["probe", &address, "--unit", unit, "--reg", "0", "--timeout", "200ms"];
    for (unit, ko, en) in [
        ("2", "종단 저항", "termination"),
        ("3", "--len", "ask for fewer registers"),
    ] {
        check_both(&probe(unit), 3, &[ko], &[en]).await;
        let told = check(&probe(unit), 3, &[]).await;
        assert!(!told.contains("unit = 1") && !told.contains("▶"), "{told}");
    }
    check_both(&probe("1"), 0, &["국번 1 응답"], &["unit 1 answered"]).await;
    check_both(&probe("4"), 3, &["unit = 1"], &["unit = 1"]).await;
    serving.abort();
}
