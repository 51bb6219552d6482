//! What a device, or whoever sits at its address, sends as an answer, over Modbus TCP or as RTU frames: taken or refused,
//! and what is taken is as long as was asked for.
#![no_main]

use std::{cell::LazyCell, time::Duration};

use libfuzzer_sys::fuzz_target;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    runtime::Runtime,
};
use wattwarden::acquire::modbus::{Table, Transport, ask::Master};

thread_local! {
    static RUNTIME: LazyCell<Runtime> = LazyCell::new(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
    });
}

fn crc(frame: &[u8]) -> u16 {
    let step = |crc: u16| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 };
    frame.iter().fold(0xFFFF, |crc, byte| (0..8).fold(crc ^ u16::from(*byte), |crc, _| step(crc)))
}

async fn answered(is_rtu: bool, is_mended: bool, question: u8, mut answer: Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (host, port) = ("127.0.0.1".to_owned(), listener.local_addr().expect("bound").port());
    let device = async {
        let Ok((mut stream, _)) = listener.accept().await else { return };
        let mut request = [0; 64];
        let Ok(length) = stream.read(&mut request).await else { return };
        if is_mended && is_rtu {
            answer.extend(crc(&answer).to_le_bytes());
        } else if is_mended && answer.len() > 6 && length > 2 {
            answer[..2].copy_from_slice(&request[..2]);
            let rest = answer.len() as u16 - 6;
            answer[2..6].copy_from_slice(&[0, 0, (rest >> 8) as u8, rest as u8]);
        }
        drop(stream.write_all(&answer).await);
        drop(stream.shutdown().await);
    };
    let transport = if is_rtu { Transport::RtuOverTcp { host, port } } else { Transport::Tcp { host, port } };
    let mut master = Master::new(transport, Duration::from_millis(200), Duration::ZERO);
    let asking = async {
        let count = u16::from(question % 125) + 1;
        match question % 3 {
            0 => {
                if let Ok(block) = master.registers(7, Table::Holding, 100, count).await {
                    assert_eq!(block.words.len(), usize::from(count));
                }
            }
            1 => drop(master.identification(7).await),
            _ => drop(master.server_id(7).await),
        }
    };
    tokio::select! {
        () = asking => {}
        () = async { device.await; std::future::pending().await } => {}
    }
}

fuzz_target!(|bytes: &[u8]| {
    let [how, question, answer @ ..] = bytes else { return };
    let (is_rtu, is_mended) = (how & 1 == 1, how & 2 == 0);
    RUNTIME.with(|runtime| runtime.block_on(answered(is_rtu, is_mended, *question, answer.to_vec())));
});
