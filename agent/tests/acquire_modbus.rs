//! The bus against a device that misbehaves on purpose, over plain TCP.
//!
//! The false device holds its own address in every register, so that a value in the wrong place shows at once, and it
//! serves one connection at a time: a bus that opened a second one would hang.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod modbus_support;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use energy::{Quality, Quantity, Sample};
use modbus_support::{Bus, EVERY, PATIENCE, TIMEOUT, assert_right, config, meter, point};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};
use wattwarden::{
    acquire::modbus::{Config, MeterPoints, Transport},
    clock::{self, Clock},
};

/// One request as the device sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    transaction: u16,
    unit: u8,
    function: u8,
    at: u16,
    count: u16,
    /// How many requests came before this one, on all connections.
    nth: usize,
}

impl Asked {
    fn holds(&self, register: u16) -> bool {
        (self.at..self.at + self.count).contains(&register)
    }

    /// A frame with this request's header around `pdu`.
    fn frame(&self, pdu: &[u8]) -> Vec<u8> {
        let mut frame = self.transaction.to_be_bytes().to_vec();
        frame.extend([0, 0]);
        frame.extend((pdu.len() as u16 + 1).to_be_bytes());
        frame.push(self.unit);
        frame.extend(pdu);
        frame
    }

    /// `count` registers, each holding its own address.
    fn registers(&self, count: u16) -> Vec<u8> {
        let mut pdu = vec![self.function, (count * 2) as u8];
        for register in 0..count {
            pdu.extend((self.at + register).to_be_bytes());
        }
        self.frame(&pdu)
    }

    fn right(&self) -> Answer {
        Answer::Bytes(self.registers(self.count))
    }

    fn exception(&self, code: u8) -> Answer {
        Answer::Bytes(self.frame(&[self.function | 0x80, code]))
    }
}

enum Answer {
    Bytes(Vec<u8>),
    Late(Duration, Vec<u8>),
    Silence,
    Close,
}

type Script = Arc<dyn Fn(Asked) -> Answer + Send + Sync>;

struct Device {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Drop for Device {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Device {
    async fn start(script: impl Fn(Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").await.unwrap(), script)
    }

    /// Answers right, but refuses every read that touches a register it does not have.
    async fn with_hole(register: u16) -> Self {
        Self::refusing(register, 2).await
    }

    /// Answers right, but with an exception to every read that touches a register.
    async fn refusing(register: u16, code: u8) -> Self {
        Self::start(move |asked| {
            if asked.holds(register) {
                asked.exception(code)
            } else {
                asked.right()
            }
        })
        .await
    }

    fn at(listener: TcpListener, script: impl Fn(Asked) -> Answer + Send + Sync + 'static) -> Self {
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(accept(listener, Arc::new(script), Arc::clone(&asked)));
        Self { port, asked, task }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn accept(listener: TcpListener, script: Script, asked: Arc<Mutex<Vec<Asked>>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        drop(serve(stream, &script, &asked).await); // a peer that goes away ends the connection, nothing else
    }
}

async fn serve(mut stream: TcpStream, script: &Script, asked: &Mutex<Vec<Asked>>) -> std::io::Result<()> {
    loop {
        let mut frame = [0; 12];
        stream.read_exact(&mut frame).await?;
        let word = |nth: usize| u16::from_be_bytes([frame[nth], frame[nth + 1]]);
        let request = {
            let mut asked = asked.lock().unwrap();
            let request = Asked {
                transaction: word(0),
                unit: frame[6],
                function: frame[7],
                at: word(8),
                count: word(10),
                nth: asked.len(),
            };
            asked.push(request);
            request
        };
        match script(request) {
            Answer::Bytes(bytes) => stream.write_all(&bytes).await?,
            Answer::Late(wait, bytes) => {
                tokio::time::sleep(wait).await;
                stream.write_all(&bytes).await?;
            }
            Answer::Silence => {}
            Answer::Close => return Ok(()),
        }
    }
}

fn over_tcp(port: u16, meters: Vec<MeterPoints>) -> Config {
    let host = "127.0.0.1".into();
    config(Transport::Tcp { host, port }, meters)
}

#[tokio::test]
async fn a_poll_is_one_sample_of_all_that_is_due() {
    let device = Device::start(|asked| asked.right()).await;
    let mut slow = meter(1);
    slow.points[2].every = Some(Duration::from_mins(1));
    let mut bus = Bus::start(over_tcp(device.port, vec![slow, meter(2)]));
    let samples: Vec<Sample> = [bus.next_of(1).await, bus.next_of(1).await, bus.next_of(1).await].into();
    assert_eq!(samples[0].readings.len(), 3, "the first poll reads everything");
    assert_eq!(samples[1].readings.len(), 2, "the slow value is not due");
    assert!(samples.windows(2).all(|pair| pair[0].at < pair[1].at));
    assert_eq!(bus.next_of(2).await.readings.len(), 3);
    assert!(device.asked().iter().all(|asked| asked.function == 3));
    let block = device.asked()[0];
    assert_eq!((block.at, block.count), (100, 5), "one read bridges the hole");
}

#[tokio::test]
async fn a_late_answer_never_becomes_a_value() {
    // The answer to one request in seven comes after the time-out, so that it meets whoever asks next.
    let device = Device::start(|asked| match asked.nth % 7 {
        3 => Answer::Late(TIMEOUT * 3 / 2, asked.registers(asked.count)),
        _ => asked.right(),
    })
    .await;
    let mut bus = Bus::start(over_tcp(device.port, vec![meter(1), meter(2)]));
    while bus.count("polls_total", "timeout") < 3.0 {
        assert_right(&bus.next().await);
    }
    for unit in [1, 2] {
        bus.next_of(unit).await; // and both go on
    }
}

/// Unit 1 answers like this, unit 2 rightly: nothing wrong may come of it, the other meter must not suffer, and the
/// reason must be countable.
async fn check_bad_answer(result: &str, bad: impl Fn(Asked) -> Answer + Send + Sync + 'static) {
    let device = Device::start(move |asked| if asked.unit == 1 { bad(asked) } else { asked.right() }).await;
    let mut bus = Bus::start(over_tcp(device.port, vec![meter(1), meter(2)]));
    for _ in 0..12 {
        let sample = bus.next().await;
        assert_right(&sample);
        assert_eq!(&*sample.meter, "meter-2", "{result}: {sample:?}");
    }
    assert!(
        bus.count("polls_total", result) >= 2.0,
        "{result}: {}",
        bus.health.exposition()
    );
    let asked = device.asked().iter().filter(|asked| asked.unit == 1).count();
    assert!(
        asked <= 4,
        "{result}: a meter that answers badly rests, but was asked {asked} times"
    );
}

#[tokio::test]
async fn wrong_answers_are_told_apart_and_never_become_values() {
    let other_transaction = |asked: Asked| Asked {
        transaction: asked.transaction.wrapping_sub(1),
        ..asked
    };
    tokio::join!(
        check_bad_answer("foreign", move |asked| other_transaction(asked).right()),
        check_bad_answer("foreign", |asked| Asked { unit: 9, ..asked }.right()),
        check_bad_answer("foreign", |asked| Asked { function: 4, ..asked }.right()),
        check_bad_answer("length", |asked| Answer::Bytes(asked.registers(asked.count - 1))),
        check_bad_answer("length", |asked| Answer::Bytes(asked.registers(asked.count + 1))),
        check_bad_answer("lost", |_| Answer::Close),
        check_bad_answer("lost", |_| Answer::Bytes(b"HTTP\0\x02 400".to_vec())), // as Modbus: of another protocol
        check_bad_answer("timeout", |_| Answer::Bytes(b"SSH-2.0-OpenSSH".to_vec())), // as Modbus: not all of it yet
        check_bad_answer("lost", |asked| Answer::Bytes(asked.frame(&[]))),
        check_bad_answer("lost", |asked| Answer::Bytes(asked.frame(&[3, 10, 0]))),
        check_bad_answer("gateway", |asked| asked.exception(0x0B)),
        check_bad_answer("timeout", |_| Answer::Silence),
    );
}

/// A gateway that gives each reply a number of its own: told as such, and read where the site says that it does so.
#[tokio::test]
async fn a_gateway_that_numbers_replies_itself_is_read_where_that_is_said() {
    let start = || {
        Device::start(|asked| {
            let right = asked.registers(asked.count);
            let other = Asked {
                transaction: 7,
                ..asked
            }
            .frame(&right[7..]);
            // A late reply of this kind looks like the next one: only a new connection is rid of it.
            let is_late = asked.nth % 7 == 5;
            if is_late {
                Answer::Late(TIMEOUT * 3 / 2, other)
            } else {
                Answer::Bytes(other)
            }
        })
    };
    let device = start().await;
    let mut bus = Bus::start(over_tcp(device.port, vec![meter(1)]));
    let told = async {
        while bus.count("polls_total", "foreign") < 2.0 {
            tokio::time::sleep(EVERY).await;
        }
    };
    timeout(PATIENCE, told).await.unwrap();
    assert!(bus.samples.try_recv().is_err(), "no such reply is believed unasked");
    let device = start().await;
    let mut bus = Bus::start(Config {
        any_transaction: true,
        ..over_tcp(device.port, vec![meter(1)])
    });
    for _ in 0..20 {
        bus.next_of(1).await;
    }
    assert!(bus.count("polls_total", "timeout") >= 3.0);
    assert_eq!(bus.count("polls_total", "foreign"), 0.0);
}

#[tokio::test]
async fn an_address_a_meter_does_not_have_costs_only_its_own_value() {
    let device = Device::with_hole(104).await;
    let mut bus = Bus::start(over_tcp(device.port, vec![meter(1)]));
    for _ in 0..5 {
        let quantities: Vec<_> = bus
            .next_of(1)
            .await
            .readings
            .iter()
            .map(|reading| reading.quantity)
            .collect();
        assert_eq!(quantities, [Quantity::ActivePower, Quantity::CurrentL1]);
    }
    let refused = device.asked().iter().filter(|asked| asked.holds(104)).count();
    assert_eq!(refused, 3, "twice in its block, once alone, then not for 10 s");
    assert_eq!(bus.count("refused_registers_total", "meter-1"), 1.0);
}

/// A gateway that starts refuses everything for some seconds: that must not cost a value for an hour.
#[tokio::test]
async fn a_refused_register_is_tried_again_soon() {
    let is_starting = Arc::new(AtomicBool::new(true));
    let refuses = Arc::clone(&is_starting);
    let device = Device::start(move |asked| {
        if asked.holds(104) && refuses.load(Ordering::Relaxed) {
            asked.exception(2)
        } else {
            asked.right()
        }
    })
    .await;
    let mut quick = over_tcp(device.port, vec![meter(1)]);
    quick.every = Duration::from_secs(3);
    let mut bus = Bus::on(quick, 1000, Clock::scaled(clock::Clock::system().now(), 60.0));
    for _ in 0..20 {
        assert_eq!(bus.next_of(1).await.readings.len(), 2);
    }
    let tries = device
        .asked()
        .iter()
        .filter(|asked| asked.holds(104) && asked.count <= 2)
        .count();
    assert!(
        (2..=4).contains(&tries),
        "in a minute after 10, 20 and 40 s, not {tries} times"
    );
    is_starting.store(false, Ordering::Relaxed);
    let mut n_waited = 0;
    while bus.next_of(1).await.readings.len() < 3 {
        n_waited += 1;
        assert!(n_waited < 200, "the value is back within ten minutes");
    }
    assert_eq!(bus.count("refused_registers_total", "meter-1"), 1.0, "said once");
}

#[tokio::test]
async fn a_hole_that_nobody_wants_splits_the_block() {
    let device = Device::with_hole(102).await;
    let mut bus = Bus::start(over_tcp(device.port, vec![meter(1)]));
    for _ in 0..5 {
        assert_eq!(bus.next_of(1).await.readings.len(), 3);
    }
    assert_eq!(device.asked().iter().filter(|asked| asked.holds(102)).count(), 2);
    assert_eq!(bus.count("refused_registers_total", "meter-1"), 0.0);
}

/// A block is refused so many times in a row → requests a poll afterwards, and once it has been tried again.
#[tokio::test]
async fn a_block_that_is_refused_for_a_moment_is_not_split_for_good() {
    for (n_refused, n_reads) in [(1, 1), (2, 2)] {
        let device = Device::start(move |asked| match asked.nth {
            nth if nth >= 5 && nth < 5 + n_refused => asked.exception(4),
            _ => asked.right(),
        })
        .await;
        let mut one_block = meter(1);
        one_block.points.truncate(2);
        let mut config = over_tcp(device.port, vec![one_block]);
        config.every = Duration::from_secs(3);
        let mut bus = Bus::on(config, 1000, Clock::scaled(clock::Clock::system().now(), 60.0));
        for _ in 0..7 {
            assert_eq!(bus.next_of(1).await.readings.len(), 2, "no value is lost");
        }
        let reads = |n_before| device.asked().len() - n_before;
        let n_before = 5 + n_refused + n_reads;
        assert_eq!(reads(n_before), n_reads, "refused {n_refused} times");
        for _ in 0..10 {
            assert_eq!(bus.next_of(1).await.readings.len(), 2);
        }
        let last = device.asked().split_off(device.asked().len() - 3);
        assert!(last.iter().all(|asked| asked.count == 5), "{last:?}");
    }
}

/// How a gateway may answer for a meter that is not there: it is silent like one that says nothing, and back as soon.
#[tokio::test]
async fn a_meter_that_refuses_everything_is_silent() {
    let check = async |code: u8| {
        let is_away = Arc::new(AtomicBool::new(false));
        let away = Arc::clone(&is_away);
        let device = Device::start(move |asked| {
            if asked.unit == 1 && away.load(Ordering::Relaxed) {
                asked.exception(code)
            } else {
                asked.right()
            }
        })
        .await;
        let mut ill = meter(1);
        ill.points[2].every = Some(Duration::from_secs(30)); // what is not due is silent too
        ill.limits.checks_values = false;
        let mut bus = Bus::start(over_tcp(device.port, vec![ill, meter(2)]));
        assert_eq!(bus.next_of(1).await.readings.len(), 3);
        is_away.store(true, Ordering::Relaxed);
        let mut stale = bus.next_of(1).await;
        while !stale.is_stale() {
            stale = bus.next_of(1).await;
        }
        assert_eq!(stale.readings.len(), 3, "{code}: all that it said");
        let n_ok = bus.count("polls_total", "ok");
        let n_asked = device.asked().len();
        for _ in 0..60 {
            assert_eq!(&*bus.next().await.meter, "meter-2", "{code}: it is said once");
        }
        let asked = device.asked().split_off(n_asked);
        let n_probes = asked.iter().filter(|asked| asked.unit == 1).count();
        assert!((1..=8).contains(&n_probes), "{code}: {n_probes} requests, it rests");
        assert!(
            bus.count("polls_total", "ok") - n_ok <= 61.0,
            "{code}: no answer is no ok"
        );
        assert_eq!(bus.count("meter_answering", "meter-1"), 0.0, "{code}");
        assert_eq!(
            bus.count("refused_register", "meter-1"),
            0.0,
            "{code}: the meter is away"
        );
        assert_eq!(bus.count("polls_total", "exception"), 3.0, "{code}");
        is_away.store(false, Ordering::Relaxed);
        let mut n_back = 0;
        while n_back < 3 {
            n_back += usize::from(bus.next_of(1).await.readings.len() >= 2);
        }
        assert_eq!(bus.count("meter_answering", "meter-1"), 1.0, "{code}");
    };
    tokio::join!(check(1), check(2), check(3), check(4), check(8));
}

/// It answers as long as it gives anything, however seldom that is due; a beat on which nothing is asked is no poll.
#[tokio::test]
async fn a_meter_whose_fast_values_are_refused_answers_by_its_slow_ones() {
    let device = Device::start(|asked| {
        if asked.at < 200 {
            asked.exception(2)
        } else {
            asked.right()
        }
    })
    .await;
    let mut half = meter(1);
    half.points[2].every = Some(EVERY * 20);
    let mut bus = Bus::start(over_tcp(device.port, vec![half]));
    for _ in 0..3 {
        let sample = bus.next_of(1).await;
        assert_eq!((sample.readings.len(), sample.is_stale()), (1, false));
    }
    assert_eq!(bus.count("meter_answering", "meter-1"), 1.0);
    assert_eq!(bus.count("refused_registers_total", "meter-1"), 2.0);
    let n_polls = ["ok", "exception"].map(|result| bus.count("polls_total", result));
    assert_eq!(n_polls, [2.0, 1.0]);
}

#[tokio::test]
async fn other_exceptions_cost_their_block_for_one_poll() {
    let device = Device::start(|asked| {
        if asked.at >= 200 && asked.nth < 4 {
            asked.exception(6)
        } else {
            asked.right()
        }
    })
    .await;
    let mut bus = Bus::start(over_tcp(device.port, vec![meter(1)]));
    let n_readings =
        [bus.next_of(1).await, bus.next_of(1).await, bus.next_of(1).await].map(|sample| sample.readings.len());
    assert_eq!(n_readings, [2, 2, 3]);
}

/// It is no moment's business any more: its register is named, and tried again ever more seldom.
#[tokio::test]
async fn a_register_that_is_busy_for_ever_costs_only_its_own_value() {
    let device = Device::refusing(104, 6).await;
    let mut slow = over_tcp(device.port, vec![meter(1)]);
    slow.every = Duration::from_secs(3);
    let mut bus = Bus::on(slow, 1000, Clock::scaled(clock::Clock::system().now(), 60.0));
    let mut n_polls = 0;
    while bus.next_of(1).await.readings.len() < 2 {
        n_polls += 1;
    }
    assert_eq!(n_polls, 9, "its block is busy until the tenth poll");
    let n_asked = || device.asked().iter().filter(|asked| asked.holds(104)).count();
    while bus.count("refused_registers_total", "meter-1") < 1.0 {
        assert_eq!(bus.next_of(1).await.readings.len(), 2);
    }
    let n_before = n_asked();
    for _ in 0..20 {
        assert_eq!(bus.next_of(1).await.readings.len(), 2, "a retry costs no other value");
    }
    let n_retries = n_asked() - n_before;
    assert!((4..=10).contains(&n_retries), "after 10, 20 and 40 s, not {n_retries}");
}

#[tokio::test]
async fn a_dead_meter_costs_its_bus_little_and_comes_back_by_itself() {
    let is_dead = Arc::new(AtomicBool::new(true));
    let dead = Arc::clone(&is_dead);
    let device = Device::start(move |asked| match asked.unit {
        3 if dead.load(Ordering::SeqCst) => Answer::Silence,
        _ => asked.right(),
    })
    .await;
    let mut bus = Bus::start(over_tcp(device.port, (1..=5).map(meter).collect()));
    while bus.count("polls_total", "timeout") < 2.0 {
        assert_right(&bus.next().await);
    }
    let silent_since = clock::monotonic();
    is_dead.store(false, Ordering::SeqCst);
    let back = bus.next_of(3).await;
    let rest = silent_since.elapsed();
    assert!(
        rest > Duration::from_secs(1),
        "it rests before it is asked again, but came after {rest:?}"
    );
    assert_eq!(back.readings.len(), 3);
    assert_eq!(bus.count("polls_total", "timeout"), 2.0);
    let polled = bus.count("polls_total", "ok");
    assert!(
        polled > 60.0,
        "four meters at 20 polls a second for more than a second, but {polled} polls"
    );
    assert_eq!(bus.count("meter_answering", "meter-3"), 1.0);
}

/// What a meter said last is said once more when it falls silent, as old; then nothing, until it answers.
#[tokio::test]
async fn the_last_values_of_a_meter_that_falls_silent_are_stale_once() {
    let is_silent = Arc::new(AtomicBool::new(false));
    let now_silent = Arc::clone(&is_silent);
    let device = Device::start(move |asked| {
        if asked.unit == 1 && now_silent.load(Ordering::Relaxed) {
            Answer::Silence
        } else {
            asked.right()
        }
    })
    .await;
    let trusting = |unit| {
        let mut meter = meter(unit);
        meter.limits.checks_values = false;
        meter
    };
    let mut bus = Bus::start(over_tcp(device.port, vec![trusting(1), trusting(2)]));
    let newest = bus.next_of(1).await.at;
    is_silent.store(true, Ordering::Relaxed);
    let mut stale = bus.next_of(1).await;
    while !stale.is_stale() {
        stale = bus.next_of(1).await;
    }
    assert!(
        stale.readings.iter().all(|reading| reading.quality == Quality::Stale),
        "{stale:?}"
    );
    assert_eq!((stale.readings.len(), stale.at > newest), (3, true));
    for _ in 0..20 {
        assert_eq!(&*bus.next().await.meter, "meter-2", "it is said once");
    }
    is_silent.store(false, Ordering::Relaxed);
    assert!(!bus.next_of(1).await.is_stale());
    device.task.abort();
    let mut stale = [bus.next_of(1).await, bus.next_of(2).await];
    while !stale.iter().all(Sample::is_stale) {
        let sample = bus.next().await;
        let place = usize::from(&*sample.meter == "meter-2");
        stale[place] = sample;
    }
}

#[tokio::test]
async fn a_gateway_that_starts_after_us_is_found() {
    let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = reserved.local_addr().unwrap();
    drop(reserved);
    let mut bus = Bus::start(over_tcp(at.port(), vec![meter(1)]));
    timeout(PATIENCE, async {
        while bus.count("connects_total", "failed") < 2.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    let _device = Device::at(TcpListener::bind(at).await.unwrap(), |asked| asked.right());
    assert_eq!(bus.next_of(1).await.readings.len(), 3);
    assert!(
        bus.count("skipped_polls_total", "panel-a") > 0.0,
        "what was not polled meanwhile is counted"
    );
}

/// A block that stays without an answer closes a connection that numbers its requests: the others have their turn first.
#[tokio::test]
async fn a_block_that_is_silent_costs_only_its_own_value() {
    let device = Device::start(|asked| {
        if asked.holds(100) {
            Answer::Silence
        } else {
            asked.right()
        }
    })
    .await;
    let mut bus = Bus::start(over_tcp(device.port, vec![meter(1)]));
    while bus.count("refused_registers_total", "meter-1") < 1.0 {
        bus.next_of(1).await;
    }
    for _ in 0..5 {
        assert_eq!(bus.next_of(1).await.readings.len(), 2);
    }
}

/// A meter that is busy for ever has no values, and says so; one whose line is down does not answer.
#[tokio::test]
async fn a_meter_without_values_does_not_pass_for_one_that_answers() {
    let device = Device::start(|asked| {
        if asked.unit == 1 {
            asked.exception(6)
        } else {
            asked.right()
        }
    })
    .await;
    let mut bus = Bus::start(over_tcp(device.port, vec![meter(1), meter(2)]));
    bus.next_of(2).await;
    let answering = |bus: &Bus| [1, 2].map(|unit| bus.count("meter_answering", &format!("meter-{unit}")));
    while bus.count("polls_total", "exception") < 2.0 {
        bus.next_of(2).await;
    }
    bus.next_of(2).await;
    assert_eq!(answering(&bus), [0.0, 1.0]);
    device.task.abort();
    let gone = async {
        while answering(&bus) != [0.0, 0.0] {
            tokio::time::sleep(EVERY).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("the line is down");
}

#[tokio::test]
async fn a_gateway_that_hangs_up_between_two_polls_costs_no_value() {
    // Closes instead of answering each ninth request: the poll is tried again at once on a new connection.
    let device = Device::start(|asked| {
        if asked.nth % 9 == 8 {
            Answer::Close
        } else {
            asked.right()
        }
    })
    .await;
    let mut only_block = meter(1);
    only_block.points.truncate(2);
    let mut bus = Bus::start(over_tcp(device.port, vec![only_block]));
    for _ in 0..20 {
        assert_eq!(bus.next_of(1).await.readings.len(), 2);
    }
    assert_eq!(bus.count("polls_total", "lost"), 0.0);
    assert!(bus.count("connects_total", "ok") >= 3.0);
}

#[tokio::test]
async fn a_full_channel_skips_polls_and_never_bunches_them() {
    let device = Device::start(|asked| asked.right()).await;
    let mut bus = Bus::with_room(over_tcp(device.port, vec![meter(1)]), 1);
    while device.asked().len() < 4 {
        tokio::task::yield_now().await; // one sample waits in the channel, one for room in it
    }
    tokio::time::sleep(EVERY * 6).await;
    let mut samples = Vec::new();
    for _ in 0..6 {
        samples.push(bus.next_of(1).await);
    }
    assert!(bus.count("skipped_polls_total", "panel-a") >= 4.0);
    // A poll is never before its beat, and the next beat is after it: three polls span more than two periods.
    let span = samples[5].at.duration_since(samples[2].at);
    assert!(span > (EVERY * 2).try_into().unwrap(), "four samples within {span:?}");
}

#[tokio::test]
async fn without_a_rhythm_it_reads_as_fast_as_the_device_answers_and_serves_all() {
    let device = Device::start(|asked| asked.right()).await;
    let mut fast = over_tcp(device.port, vec![meter(1), meter(2), meter(3)]);
    fast.every = Duration::ZERO;
    let mut bus = Bus::with_room(fast, 1);
    let mut n_samples = [0_u32; 4];
    for _ in 0..600 {
        let sample = bus.next().await;
        assert_right(&sample);
        n_samples[sample.meter.strip_prefix("meter-").unwrap().parse::<usize>().unwrap()] += 1;
    }
    assert!(n_samples[1..].iter().all(|n| (199..=201).contains(n)), "{n_samples:?}");
}

#[tokio::test]
async fn it_stops_at_once_even_while_it_waits_for_an_answer() {
    let (tell, mut told) = watch::channel(());
    let device = Device::start(move |_| {
        tell.send_replace(());
        Answer::Silence
    })
    .await;
    let mut patient = over_tcp(device.port, vec![meter(1)]);
    patient.timeout = Duration::from_mins(10);
    let mut bus = Bus::start(patient);
    timeout(PATIENCE, told.changed()).await.unwrap().unwrap();
    bus.stop.cancel();
    timeout(PATIENCE, &mut bus.task).await.expect("it stops").unwrap();
    assert!(bus.samples.recv().await.is_none(), "and lets go of the recorder");
}

/// A meter whose third value is read once a minute.
fn with_a_slow_value(unit: u8) -> MeterPoints {
    let mut meter = meter(unit);
    meter.points[2].every = Some(Duration::from_mins(1));
    meter
}

#[tokio::test]
async fn a_changed_meter_begins_anew_and_the_others_keep_their_schedule() {
    let device = Device::start(|asked| asked.right()).await;
    let former = over_tcp(device.port, vec![with_a_slow_value(1), with_a_slow_value(2)]);
    let mut bus = Bus::start(former.clone());
    for unit in [1, 2, 1, 2] {
        bus.next_of(unit).await;
    }
    let mut changed = with_a_slow_value(1);
    changed.points.remove(1);
    let config = over_tcp(device.port, vec![changed, with_a_slow_value(2), with_a_slow_value(3)]);
    bus.settings.send_replace(config.clone());
    let mut first_of_three = bus.next_of(3).await;
    assert_eq!(first_of_three.readings.len(), 3, "a new meter is read whole");
    let n_slow = |unit: u8| {
        device
            .asked()
            .iter()
            .filter(|asked| asked.unit == unit && asked.holds(200 + u16::from(unit)))
            .count()
    };
    assert_eq!(
        (n_slow(1), n_slow(2)),
        (2, 1),
        "only the changed meter reads its slow value again"
    );
    assert_eq!(bus.count("connects_total", "ok"), 1.0, "over the same connection");
    // Another address: the connection changes, the schedule does not.
    let other = Device::start(|asked| asked.right()).await;
    let moved = over_tcp(other.port, config.meters.clone());
    bus.settings.send_replace(moved);
    while other.asked().is_empty() {
        first_of_three = bus.next_of(3).await;
    }
    assert_eq!(first_of_three.readings.len(), 2);
    assert_eq!(bus.count("connects_total", "ok"), 2.0);
    // Settings that cannot be met are refused, and all goes on.
    let too_much = Config {
        timeout: Duration::ZERO,
        ..over_tcp(other.port, vec![])
    };
    bus.settings.send_replace(too_much);
    bus.next_of(2).await;
    // A meter that is gone is asked no more.
    bus.settings
        .send_replace(over_tcp(other.port, vec![with_a_slow_value(2)]));
    bus.next_of(2).await;
    let n_asked = other.asked().len();
    bus.next_of(2).await;
    bus.next_of(2).await;
    assert!(other.asked()[n_asked..].iter().all(|asked| asked.unit == 2));
}

#[tokio::test]
async fn an_address_that_is_mended_is_tried_at_once() {
    let device = Device::start(|asked| asked.right()).await;
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut bus = Bus::start(over_tcp(nobody, vec![meter(1)]));
    // By then it rests for seconds between two attempts.
    while bus.count("connects_total", "failed") < 4.0 {
        tokio::time::sleep(EVERY).await;
    }
    bus.settings.send_replace(over_tcp(device.port, vec![meter(1)]));
    let patience = Duration::from_secs(1);
    tokio::time::timeout(patience, bus.next_of(1))
        .await
        .expect("before its rest is over");
}

#[tokio::test]
async fn a_register_that_counts_something_else_than_the_power_is_marked() {
    // 100 kW at register 100; the energy register at 104 counts ten times as fast, in data time a thousand times ours.
    let begun = clock::monotonic();
    let device = Device::start(move |asked| {
        let hours = begun.elapsed().as_secs_f64() * 1000.0 / 3600.0;
        let value = |register: u16| match register {
            100 => 100,
            104 => (hours * 1000.0) as u16,
            _ => 0,
        };
        let mut pdu = vec![asked.function, (asked.count * 2) as u8];
        pdu.extend((asked.at..asked.at + asked.count).flat_map(|register| value(register).to_be_bytes()));
        Answer::Bytes(asked.frame(&pdu))
    })
    .await;
    let mut meter = meter(1);
    meter.points = vec![point(100, Quantity::ActivePower), point(104, Quantity::EnergyImport)];
    let mut config = over_tcp(device.port, vec![meter]);
    config.every = Duration::from_secs(20);
    let mut bus = Bus::on(
        config,
        1000,
        Clock::scaled("2026-08-28T00:00:00Z".parse().unwrap(), 1000.0),
    );
    loop {
        let sample = bus.next().await;
        assert_eq!(sample.readings.len(), 2);
        if sample
            .readings
            .iter()
            .all(|reading| reading.quality == energy::Quality::Bad)
        {
            break;
        }
    }
    assert!(bus.count("implausible_polls_total", "energy") >= 1.0);
}
