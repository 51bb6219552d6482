//! A recording that others made and decoded (`../shared/data/modbus_pcap`): its answers, replayed, must give its truth.

use std::{fs, path::PathBuf, time::Duration};

use energy::Quantity;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use wattwarden::acquire::modbus::{Limits, MeterPoints, Point, RegisterForm, Table, Transport};

use super::modbus_support::{Bus, config};

/// The TCP payloads of a recording of Ethernet and IPv4, in order (libpcap format, either byte order).
fn payloads(pcap: &[u8]) -> Vec<Vec<u8>> {
    let is_little = pcap[0] == 0xD4;
    let word = |at: usize| {
        let bytes = pcap[at..at + 4].try_into().unwrap();
        if is_little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        }
    };
    let (mut at, mut found) = (24, vec![]);
    while at < pcap.len() {
        let length = word(at + 8) as usize;
        let ip = &pcap[at + 16 + 14..at + 16 + length];
        let header = usize::from(ip[0] & 0x0F) * 4;
        let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
        let tcp = &ip[header..total];
        found.push(tcp[usize::from(tcp[12] >> 4) * 4..].to_vec());
        at += 16 + length;
    }
    found
}

/// One line of the decoded truth: unit, function, address, quantity, values; an exception has none.
type Truth = (u8, u8, u16, u16, Vec<f64>);

fn truths(log: &str) -> Vec<Truth> {
    let lines = log.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let function = match fields[8] {
                "READ_HOLDING_REGISTERS" => 3,
                "READ_INPUT_REGISTERS" => 4,
                _ => return None,
            };
            let values = fields[12].split(',').filter_map(|value| value.parse().ok()).collect();
            let number = |nth: usize| fields[nth].parse::<u16>().unwrap();
            Some((number(7) as u8, function, number(9), number(10), values))
        })
        .collect()
}

/// A device that gives the recorded answer to each recorded request, whatever its number.
async fn replay(listener: TcpListener, payloads: Vec<Vec<u8>>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 12];
        while stream.read_exact(&mut request).await.is_ok() {
            let asked = payloads
                .iter()
                .position(|payload| payload.len() == 12 && payload[4..] == request[4..]);
            let answers = payloads.iter().skip(asked.map_or(usize::MAX, |nth| nth + 1));
            let mut answers = answers.filter(|payload| payload.len() > 8 && payload[6] == request[6]);
            // What was not recorded, the halves of a refused read, is refused too.
            let refusal = [0, 0, 0, 0, 0, 3, request[6], request[7] | 0x80, 2];
            let mut answer = answers.next().cloned().unwrap_or(refusal.into());
            answer[..2].copy_from_slice(&request[..2]);
            stream.write_all(&answer).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_recording_gives_the_values_that_others_decoded() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/modbus_pcap"));
    let Ok(pcap) = fs::read(folder.join("modbus_example.pcap")) else {
        println!("skipped: a_recording_gives_the_values_that_others_decoded: ../shared/data/modbus_pcap");
        return;
    };
    let truths = truths(&fs::read_to_string(folder.join("modbus_detailed.log")).unwrap());
    assert_eq!(truths.len(), 5, "{truths:?}");
    let quantities = energy::quantity::TABLE.iter().map(|row| row.quantity);
    let quantities: Vec<Quantity> = quantities.filter(|quantity| quantity.is_plausible(65_535.0)).collect();
    for (unit, function, at, count, values) in truths {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let device = tokio::spawn(replay(listener, payloads(&pcap)));
        let table = if function == 3 { Table::Holding } else { Table::Input };
        let points = (0..count).map(|nth| Point {
            table,
            ..Point::new(at + nth, RegisterForm::U16, quantities[usize::from(nth)])
        });
        let meter = MeterPoints {
            name: "recorded".into(),
            unit,
            points: points.collect(),
            limits: Limits::default(),
        };
        let transport = Transport::Tcp {
            host: "127.0.0.1".into(),
            port,
        };
        let mut bus = Bus::start(config(transport, vec![meter]));
        if values.is_empty() {
            while bus.count("polls_total", "exception") < 1.0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        } else {
            let readings = bus.next().await.readings;
            let got: Vec<f64> = readings.iter().map(|reading| reading.value).collect();
            assert_eq!(got, values, "unit {unit}, function {function}, {count} from {at}");
        }
        device.abort();
    }
}
