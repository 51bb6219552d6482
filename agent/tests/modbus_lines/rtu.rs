//! RTU frames over TCP against a device that misbehaves on purpose: without a transaction number only unit, function,
//! length and CRC tell whose an answer is.
//!
//! Every register holds its own address, so that a value in the wrong place shows at once.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use energy::Quantity;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use wattwarden::{
    acquire::modbus::{Config, MeterPoints, Point, RegisterForm, Transport},
    clock,
};

use super::modbus_support::{Bus, TIMEOUT, assert_right, config, meter};

/// One request as the device sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) unit: u8,
    pub(super) function: u8,
    pub(super) at: u16,
    pub(super) count: u16,
    /// How many requests came before this one.
    pub(super) nth: usize,
}

impl Asked {
    /// A request, its CRC checked.
    pub(super) fn of(frame: [u8; 8], nth: usize) -> Self {
        assert_eq!(summed(frame[..6].into()), frame, "the request's own CRC");
        let word = |nth: usize| u16::from_be_bytes([frame[nth], frame[nth + 1]]);
        Self {
            unit: frame[0],
            function: frame[1],
            at: word(2),
            count: word(4),
            nth,
        }
    }

    /// `count` registers, each holding its own address.
    pub(super) fn right(&self) -> Vec<u8> {
        let mut frame = vec![self.unit, self.function, (self.count * 2) as u8];
        frame.extend((self.at..self.at + self.count).flat_map(u16::to_be_bytes));
        summed(frame)
    }

    /// `count` registers that all hold one number.
    pub(super) fn all(&self, number: u16) -> Vec<u8> {
        let mut frame = vec![self.unit, self.function, (self.count * 2) as u8];
        frame.extend((0..self.count).flat_map(|_| number.to_be_bytes()));
        summed(frame)
    }

    pub(super) fn exception(&self, code: u8) -> Vec<u8> {
        summed(vec![self.unit, self.function | 0x80, code])
    }
}

/// With its CRC, bit by bit as in the specification's appendix: not the program's way of computing it.
fn summed(mut frame: Vec<u8>) -> Vec<u8> {
    let mut crc = 0xFFFF_u16;
    for byte in &frame {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            let has_carry = crc & 1 == 1;
            crc >>= 1;
            if has_carry {
                crc ^= 0xA001;
            }
        }
    }
    frame.extend([crc as u8, (crc >> 8) as u8]);
    frame
}

type Script = Arc<dyn Fn(Asked) -> (Duration, Vec<u8>) + Send + Sync>;

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
    /// A device whose answers, each after its time, do not hold up the next: as a line on which several talk.
    async fn start(script: impl Fn(Asked) -> (Duration, Vec<u8>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(serve(listener, Arc::new(script), Arc::clone(&asked)));
        Self { port, asked, task }
    }
}

async fn serve(listener: TcpListener, script: Script, asked: Arc<Mutex<Vec<Asked>>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut from, to) = stream.into_split();
        let to = Arc::new(tokio::sync::Mutex::new(to));
        let mut frame = [0; 8];
        while from.read_exact(&mut frame).await.is_ok() {
            let mut asked = asked.lock().unwrap();
            let request = Asked::of(frame, asked.len());
            asked.push(request);
            drop(asked);
            let ((wait, bytes), to) = (script(request), Arc::clone(&to));
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                drop(to.lock().await.write_all(&bytes).await); // a peer that went away gets no answer
            });
        }
    }
}

pub(super) fn over(port: u16, meters: Vec<MeterPoints>) -> Config {
    let host = "127.0.0.1".into();
    config(Transport::RtuOverTcp { host, port }, meters)
}

const AT_ONCE: Duration = Duration::ZERO;

/// A meter whose blocks are of one function and one length: 100, 104 and 200 + unit, one register each.
pub(super) fn alike(unit: u8) -> MeterPoints {
    let mut meter = meter(unit);
    meter.limits.max_gap = 0;
    meter
}

/// Answers that come after the time-out: to one request in five, by up to nearly three times as long.
#[tokio::test]
async fn a_late_answer_never_becomes_a_value() {
    let device = Device::start(|asked| {
        let late = TIMEOUT * [105, 150, 190, 240, 290][asked.nth / 5 % 5] / 100;
        (if asked.nth % 5 == 3 { late } else { AT_ONCE }, asked.right())
    })
    .await;
    let mut bus = Bus::start(over(device.port, vec![alike(1), alike(2)]));
    while bus.count("polls_total", "timeout") < 10.0 {
        assert_right(&bus.next().await);
    }
    for unit in [1, 2] {
        bus.next_of(unit).await; // and both go on
    }
    assert_eq!(bus.count("connects_total", "ok"), 1.0, "drained, not connected anew");
}

/// An answer is lost, and a converter says the one before it again in its place: as many came as were asked for. That its
/// blocks once had one content excuses no later answer.
#[tokio::test]
async fn the_answer_before_in_place_of_a_lost_one_is_no_value() {
    for (were_alike, every) in [(false, 7), (true, 7), (false, 4)] {
        let (before, n_said_again) = (Mutex::new(vec![]), Arc::new(Mutex::new(0)));
        let counted = Arc::clone(&n_said_again);
        let device = Device::start(move |asked| {
            let mut before = before.lock().unwrap();
            let lost = asked.at > 100 && asked.nth > 20 && asked.nth % every == 0 && !before.is_empty();
            let answer = match asked.nth {
                _ if lost => std::mem::take(&mut *before),
                ..12 if were_alike => asked.all(7),
                _ => asked.right(),
            };
            *counted.lock().unwrap() += usize::from(lost);
            if !lost {
                before.clone_from(&answer);
            }
            (AT_ONCE, answer)
        })
        .await;
        let mut bus = Bus::start(over(device.port, vec![alike(1)]));
        while device.asked.lock().unwrap().len() < 18 {
            bus.next().await;
        }
        while *n_said_again.lock().unwrap() < 40 {
            assert_right(&bus.next().await);
        }
    }
}

/// Blocks that always have one content, which moves from one request to the next, cost the line little.
#[tokio::test]
async fn blocks_that_mirror_each_other_are_rarely_asked_twice() {
    let began = clock::monotonic();
    let device = Device::start(move |asked| {
        let moved = began.elapsed().as_millis() / 15;
        (Duration::from_millis(3), asked.all(1000 + moved as u16))
    })
    .await;
    let mut bus = Bus::start(over(device.port, vec![alike(1)]));
    for _ in 0..60 {
        bus.next().await;
    }
    let (n_polls, n_asked) = (bus.count("polls_total", "ok"), device.asked.lock().unwrap().len());
    assert!(
        (n_asked as f64) < 1.35 * 3.0 * (n_polls + 1.0) + 15.0,
        "{n_asked} requests in {n_polls} polls of three"
    );
}

/// Two of them use up no question of a third, in whose place the answer before is said again.
#[tokio::test]
async fn blocks_that_mirror_each_other_leave_a_third_its_second_question() {
    let n_lost = Arc::new(Mutex::new(0));
    let (counted, state) = (Arc::clone(&n_lost), Mutex::new((0_u16, 0_usize, vec![])));
    let device = Device::start(move |asked| {
        let (n_polls, n_third, before) = &mut *state.lock().unwrap();
        *n_polls += u16::from(asked.at == 100);
        *n_third += usize::from(asked.at > 200);
        if asked.at > 200 && *n_third > 40 && *n_third % 6 == 0 {
            *counted.lock().unwrap() += 1;
            return (AT_ONCE, before.clone());
        }
        *before = match asked.at {
            100 | 104 => asked.all(1000 + *n_polls),
            _ => asked.right(),
        };
        (AT_ONCE, before.clone())
    })
    .await;
    let mut bus = Bus::start(over(device.port, vec![alike(1)]));
    while *n_lost.lock().unwrap() < 12 {
        let sample = bus.next().await;
        let third = sample
            .readings
            .iter()
            .find(|reading| reading.quantity == Quantity::CurrentL1);
        assert_eq!(third.unwrap().value, 201.0);
    }
}

/// A meter that is busy when it is asked the same twice in a row, or says nothing then, or what is damaged, keeps the block, and
/// the others.
#[tokio::test]
async fn a_second_question_without_answer_costs_one_poll() {
    type Second = fn(Asked) -> Vec<u8>;
    let damaged: Second = |asked| [&asked.right()[..5], &[0, 0]].concat();
    let cases: [(&str, Second, u32, u32); 3] = [
        ("busy", |asked| asked.exception(6), 45, 60),
        ("damaged", damaged, 45, 60),
        ("silent", |_| vec![], 40, 55),
    ];
    for (name, second, least_whole, least_third) in cases {
        let state = Mutex::new((0_u16, 0_u16));
        let device = Device::start(move |asked| {
            let (n_polls, last) = &mut *state.lock().unwrap();
            *n_polls += u16::from(asked.at == 100);
            let answer = match asked.at {
                104 if *last == 104 => second(asked),
                100 | 104 => asked.all(1000 + *n_polls),
                _ => asked.right(),
            };
            *last = asked.at;
            (AT_ONCE, answer)
        })
        .await;
        let mut bus = Bus::start(over(device.port, vec![alike(1)]));
        let (mut n_whole, mut n_third) = (0, 0);
        for _ in 0..60 {
            let readings = bus.next().await.readings;
            n_whole += u32::from(readings.len() == 3);
            n_third += u32::from(readings.iter().any(|reading| reading.quantity == Quantity::CurrentL1));
        }
        // Five in a row, then one in ten.
        assert!(n_whole >= least_whole, "{n_whole} of 60, {name}");
        assert!(n_third >= least_third, "{n_third} of 60, {name}");
        assert_eq!(bus.count("polls_total", "exception"), 0.0);
        assert!(bus.count("polls_total", "foreign") >= 5.0);
    }
}

/// A SunSpec chain that has heads of one content, in a meter that refuses or drops what it is asked twice at once.
#[tokio::test]
async fn a_chain_of_like_heads_is_walked_whatever_becomes_of_second_questions() {
    for is_busy in [true, false] {
        let last = Mutex::new(0);
        let device = Device::start(move |asked| {
            let is_again = std::mem::replace(&mut *last.lock().unwrap(), asked.at) == asked.at;
            // Its first registers, each of the others holding its own address.
            let head = |id: u16, length: u16| {
                let mut frame = vec![asked.unit, asked.function, (asked.count * 2) as u8];
                let others = asked.at + 2..asked.at + asked.count;
                frame.extend([id, length].into_iter().chain(others).flat_map(u16::to_be_bytes));
                summed(frame)
            };
            let answer = match asked.at {
                40_000 if asked.count == 2 => head(0x5375, 0x6E53),
                40_122 if is_again && is_busy => asked.exception(6),
                40_122 if is_again => vec![],
                40_002 | 40_122 => head(1, 66),
                40_070 => head(103, 50),
                40_190 => head(213, 124),
                40_316 => head(0xFFFF, 0),
                0 | 50_000 => asked.exception(2),
                _ => asked.right(),
            };
            (AT_ONCE, answer)
        })
        .await;
        let mut meter = alike(1);
        meter.limits.sunspec = Some(213);
        let mut bus = Bus::start(over(device.port, vec![meter]));
        for _ in 0..10 {
            let sample = bus.next().await;
            let third = sample.trusted(Quantity::CurrentL1);
            assert_eq!(third, Some(f64::from(40_190_u16 + 201)), "busy {is_busy}");
        }
    }
}

/// The right answer to the first question comes when the second has been refused, and another block is asked for.
#[tokio::test]
async fn an_answer_behind_a_refused_second_question_is_no_value() {
    let state = Mutex::new((0_u16, 0_usize));
    let device = Device::start(move |asked| {
        let (n_polls, n_second) = &mut *state.lock().unwrap();
        *n_polls += u16::from(asked.at == 100);
        *n_second = if asked.at == 104 { *n_second + 1 } else { 0 };
        match asked.at {
            // Then a copy comes in place of the answer, and that when the third block is asked for.
            104 if *n_polls == 20 && *n_second == 1 => (AT_ONCE, asked.all(100)),
            104 if *n_polls == 20 => (AT_ONCE, asked.exception(6)),
            201 if *n_polls == 20 => (AT_ONCE, [asked.all(104), asked.right()].concat()),
            _ => (AT_ONCE, asked.right()),
        }
    })
    .await;
    let mut bus = Bus::start(over(device.port, vec![alike(1)]));
    for _ in 0..40 {
        assert_right(&bus.next().await);
    }
    assert!(bus.count("polls_total", "foreign") >= 1.0);
}

/// One answer that comes when its unit has been asked for something else long since, out of turn.
#[tokio::test]
async fn an_answer_that_was_overtaken_is_no_value() {
    let check = async |late_pct: u32| {
        let device = Device::start(move |asked| {
            let late = TIMEOUT * late_pct / 100;
            // Some time for each answer, so that the late one may come in its stead.
            (if asked.nth == 4 { late } else { TIMEOUT / 4 }, asked.right())
        })
        .await;
        let mut bus = Bus::start(over(device.port, vec![alike(1)]));
        for _ in 0..25 {
            assert_right(&bus.next().await);
        }
        assert_eq!(bus.count("polls_total", "timeout"), 1.0, "{late_pct}");
    };
    futures_util::future::join_all((310..1900).step_by(90).map(check)).await;
}

/// A meter whose answers come late, or byte by byte, or with noise before them: its neighbour misses no poll by it.
#[tokio::test]
async fn what_one_unit_says_at_the_wrong_time_is_not_its_neighbours_fault() {
    let check = async |late_pct: u32| {
        let late = TIMEOUT * late_pct / 100;
        let device = Device::start(move |asked| (if asked.unit == 1 { late } else { AT_ONCE }, asked.right())).await;
        let mut two = over(device.port, vec![meter(1), meter(2)]);
        two.every = TIMEOUT * 3 / 2;
        let mut bus = Bus::start(two);
        for _ in 0..12 {
            let sample = bus.next_of(2).await;
            assert_eq!(sample.readings.len(), 3, "{late:?}");
        }
        let text = bus.health.exposition();
        assert_eq!(bus.count("polls_total", "foreign"), 0.0, "{late:?}: {text}");
    };
    tokio::join!(check(110), check(130), check(170));
    let device = Device::start(|asked| (AT_ONCE, [&[0x00, 0xFE][..], &asked.right()].concat())).await;
    let mut bus = Bus::start(over(device.port, vec![meter(1)]));
    assert_eq!(bus.next_of(1).await.readings.len(), 3);
}

/// An adapter that hears itself; the echoes of some requests have the sum of a whole answer in them.
#[tokio::test]
async fn what_an_adapter_hears_of_itself_is_no_answer() {
    let device = Device::start(|asked| {
        let [at, count] = [asked.at, asked.count].map(u16::to_be_bytes);
        let echo = summed([&[asked.unit, asked.function], &at[..], &count].concat());
        (AT_ONCE, [echo, asked.right()].concat())
    })
    .await;
    let places = [
        (581, Quantity::Water),
        (0x0321, Quantity::VoltageL1),
        (0x0400, Quantity::VoltageL2),
    ];
    let mut one = meter(1);
    one.points = places
        .map(|(at, quantity)| Point::new(at, RegisterForm::U32, quantity))
        .to_vec();
    one.limits.max_gap = 0;
    one.limits.checks_values = false;
    let mut bus = Bus::start(over(device.port, vec![one]));
    for _ in 0..6 {
        let sample = bus.next().await;
        let values = sample.readings.iter().map(|reading| reading.value);
        let wanted = places.map(|(at, _)| f64::from(at) * 65536.0 + f64::from(at + 1));
        assert_eq!(values.collect::<Vec<_>>(), wanted);
    }
    assert_eq!(bus.count("polls_total", "foreign"), 0.0);
}

/// Answers that begin as the request does, whole and with the right sum: 0 of register 512.
#[tokio::test]
async fn an_answer_that_looks_like_the_beginning_of_an_echo_is_one() {
    let device = Device::start(|asked| (AT_ONCE, asked.all(0))).await;
    let meters = [83, 147, 20].map(|unit| {
        let mut one = meter(unit);
        one.points = vec![Point::new(512, RegisterForm::U16, Quantity::Water)];
        one.limits.checks_values = false;
        one
    });
    let mut bus = Bus::start(over(device.port, meters.to_vec()));
    let mut heard = std::collections::BTreeSet::new();
    while heard.len() < 3 {
        let sample = bus.next().await;
        assert_eq!(sample.readings[0].value, 0.0, "{sample:?}");
        heard.insert(sample.meter);
    }
}

/// A converter that restarted does not know the connection any more and says nothing: it is connected to anew.
#[tokio::test]
async fn a_line_that_is_silent_for_all_is_opened_anew() {
    let device = Device::start(|asked| (AT_ONCE, if asked.nth < 3 { vec![] } else { asked.right() })).await;
    let mut bus = Bus::start(over(device.port, vec![meter(1), meter(2)]));
    bus.next_of(1).await;
    bus.next_of(2).await;
    assert_eq!(bus.count("polls_total", "timeout"), 3.0);
    assert_eq!(bus.count("connects_total", "ok"), 2.0);
}

/// Unit 1 answers like this, unit 2 rightly: nothing wrong may come of it, the other meter must not suffer, and the
/// reason must be countable.
async fn check_bad_answer(result: &str, bad: impl Fn(Asked) -> Vec<u8> + Send + Sync + 'static) {
    let device = Device::start(move |asked| (AT_ONCE, if asked.unit == 1 { bad(asked) } else { asked.right() })).await;
    let mut bus = Bus::start(over(device.port, vec![meter(1), meter(2)]));
    for _ in 0..12 {
        let sample = bus.next().await;
        assert_right(&sample);
        assert_eq!(&*sample.meter, "meter-2", "{result}: {sample:?}");
    }
    let text = bus.health.exposition();
    assert!(bus.count("polls_total", result) >= 2.0, "{result}: {text}");
    let asked = device.asked.lock().unwrap();
    let asked = asked.iter().filter(|asked| asked.unit == 1).count();
    assert!(
        asked <= 4,
        "{result}: a meter that answers badly rests, but was asked {asked} times"
    );
}

#[tokio::test]
async fn wrong_answers_are_told_apart_and_never_become_values() {
    let broken = |mut frame: Vec<u8>| {
        frame[4] ^= 0x10;
        frame
    };
    tokio::join!(
        check_bad_answer("foreign", |asked| Asked { unit: 9, ..asked }.right()),
        check_bad_answer("foreign", |asked| Asked { function: 4, ..asked }.right()),
        check_bad_answer("length", |asked| Asked {
            count: asked.count - 1,
            ..asked
        }
        .right()),
        check_bad_answer("length", |asked| Asked {
            count: asked.count + 1,
            ..asked
        }
        .right()),
        check_bad_answer("damaged", move |asked| broken(asked.right())),
        check_bad_answer("damaged", |asked| [asked.unit, asked.function | 0x80, 2, 0, 0].into()),
        check_bad_answer("gateway", |asked| asked.exception(0x0A)),
        check_bad_answer("gateway", |asked| asked.exception(0x0B)),
        check_bad_answer("timeout", |_| vec![]),
        check_bad_answer("timeout", |asked| asked.right()[..4].into()),
        // Modbus TCP instead of RTU: transaction, protocol, length before the unit, and no sum.
        check_bad_answer("foreign", |asked| {
            let right = asked.right();
            [&[0xC3, 0x50, 0, 0, 0, 5], &right[..right.len() - 2]].concat()
        }),
    );
}

/// Noise in one answer costs that block; a meter of which others came is not silent.
#[tokio::test]
async fn a_noisy_line_costs_little_more_than_what_it_damages() {
    let device = Device::start(|asked| {
        let mut frame = asked.right();
        // One in ten of the first unit's, in its registers or its sum.
        if asked.unit == 1 && asked.nth * 7 % 10 == 0 {
            let place = 3 + asked.nth / 10 % (frame.len() - 3);
            frame[place] ^= 1 << (asked.nth % 8);
        }
        (AT_ONCE, frame)
    })
    .await;
    let mut eight = alike(1);
    let more = [
        Quantity::VoltageL2,
        Quantity::VoltageL3,
        Quantity::CurrentL2,
        Quantity::CurrentL3,
        Quantity::Frequency,
    ];
    eight.points.extend((0_u16..).zip(more).map(|(nth, quantity)| Point {
        at: 300 + 10 * nth,
        ..Point::new(0, RegisterForm::U16, quantity)
    }));
    eight.limits.checks_values = false;
    let mut bus = Bus::start(over(device.port, vec![eight]));
    let mut n_values = 0;
    for _ in 0..40 {
        n_values += bus.next().await.readings.len();
    }
    assert!(n_values >= 40 * 8 * 85 / 100, "{n_values} of {}", 40 * 8);
    assert!(bus.count("polls_total", "damaged") > 5.0);
    assert_eq!(bus.count("polls_total", "rested"), 0.0);
    assert_eq!(bus.count("meter_answering", "meter-1"), 1.0);
}

/// Whatever a meter says of a register that it does not have, or nothing: the others go on, and the register is named.
#[tokio::test]
async fn an_address_a_meter_does_not_have_costs_only_its_own_value_and_is_told() {
    let check = async |answer: fn(Asked) -> Vec<u8>, missing: u16| {
        let device = Device::start(move |asked| {
            let holds = (asked.at..asked.at + asked.count).contains(&missing);
            (AT_ONCE, if holds { answer(asked) } else { asked.right() })
        })
        .await;
        let mut bus = Bus::start(over(device.port, vec![meter(1)]));
        let shown = format!(
            "{missing}, {:?}",
            answer(Asked {
                unit: 1,
                function: 3,
                at: 0,
                count: 1,
                nth: 0
            })
        );
        let told =
            format!("refused_register{{bus=\"panel-a\",meter=\"meter-1\",table=\"holding\",at=\"{missing}\"}} 1");
        let others = [
            (100, Quantity::ActivePower),
            (104, Quantity::VoltageL1),
            (201, Quantity::CurrentL1),
        ];
        let mut others = others.to_vec();
        others.retain(|(at, _)| *at != missing);
        while !bus.health.exposition().contains(&told) {
            bus.next_of(1).await;
        }
        for _ in 0..5 {
            let sample = bus.next_of(1).await;
            let mut quantities: Vec<_> = sample.readings.iter().map(|reading| reading.quantity).collect();
            quantities.sort();
            let mut wanted: Vec<_> = others.iter().map(|(_, quantity)| *quantity).collect();
            wanted.sort();
            assert_eq!(quantities, wanted, "{shown}");
        }
        assert_eq!(bus.count("meter_answering", "meter-1"), 1.0, "{shown}");
    };
    let answers: [fn(Asked) -> Vec<u8>; 6] = [
        |asked| asked.exception(1),
        |asked| asked.exception(2),
        |asked| asked.exception(4),
        |asked| asked.exception(8),
        |asked| asked.exception(0x0B),
        |_| vec![],
    ];
    let missing = [100, 104, 201];
    let checks = missing
        .iter()
        .flat_map(|missing| answers.iter().map(|answer| check(*answer, *missing)));
    futures_util::future::join_all(checks).await;
}

#[tokio::test]
async fn a_silent_unit_costs_the_others_on_its_line_nothing_but_its_time_outs() {
    let device = Device::start(|asked| (AT_ONCE, if asked.unit == 3 { vec![] } else { asked.right() })).await;
    let mut bus = Bus::start(over(device.port, (1..=6).map(meter).collect()));
    let mut n_polls = [0_u32; 7];
    while n_polls[1] < 60 {
        let sample = bus.next().await;
        assert_right(&sample);
        n_polls[sample.meter.strip_prefix("meter-").unwrap().parse::<usize>().unwrap()] += 1;
    }
    assert_eq!(n_polls[3], 0);
    for unit in [1, 2, 4, 5, 6] {
        assert!(n_polls[unit] >= 59, "{n_polls:?}");
    }
    // 3 s: two time-outs of 100 ms to know it, then one after 1.5 to 2 s.
    assert!(bus.count("polls_total", "timeout") <= 3.0);
}

/// Thirty meters behind one converter, answers in the time that a line ten times as fast as 9600 baud would take, one of
/// them dead: the others keep their schedule.
#[tokio::test]
async fn thirty_meters_of_which_one_is_dead_keep_their_schedule() {
    const N_POLLS: u32 = 12;
    let device = Device::start(|asked| {
        let characters = 8 + 5 + 2 * u64::from(asked.count);
        let on_the_line = Duration::from_nanos(characters * 11 * 1_000_000_000 / 96_000);
        (on_the_line, if asked.unit == 30 { vec![] } else { asked.right() })
    })
    .await;
    let mut line = over(device.port, (1..=30).map(meter).collect());
    line.every = Duration::from_millis(600);
    let mut bus = Bus::start(line);
    let (mut n_polls, mut n_all) = ([0_u32; 31], 0);
    while n_polls[1] < N_POLLS {
        let sample = bus.next().await;
        assert_right(&sample);
        n_polls[sample.meter.strip_prefix("meter-").unwrap().parse::<usize>().unwrap()] += 1;
        n_all += 1;
    }
    // The last round may not be over when the first meter has had its turn in it.
    let due = 29 * (N_POLLS - 1);
    assert!(
        f64::from(n_all) >= 0.99 * f64::from(due),
        "{n_all} of {due}: {n_polls:?}"
    );
    assert_eq!(n_polls[30], 0);
    // 7 s: two time-outs to know it, then one after 2 s and one after 4 s more.
    assert!(bus.count("polls_total", "timeout") <= 4.0);
}

/// A converter that wants time between an answer and the next request gets it, for all meters and blocks.
#[tokio::test]
async fn a_pause_is_kept_before_each_request() {
    const PAUSE: Duration = Duration::from_millis(30);
    let came = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&came);
    let device = Device::start(move |asked| {
        told.lock().unwrap().push(clock::monotonic());
        (AT_ONCE, asked.right())
    })
    .await;
    let pausing = |unit| {
        let mut meter = meter(unit);
        meter.limits.pause = PAUSE;
        meter
    };
    let mut slow = over(device.port, vec![pausing(1), pausing(2)]);
    slow.every = Duration::ZERO;
    let mut bus = Bus::start(slow);
    for _ in 0..3 {
        bus.next_of(1).await;
        bus.next_of(2).await;
    }
    let came = came.lock().unwrap();
    assert!(came.len() >= 11, "two requests a poll: {}", came.len());
    // The answer left after its request came, so the next request is at least the pause later.
    assert!(came.windows(2).all(|pair| pair[1] - pair[0] >= PAUSE), "{came:?}");
}

/// The same before what the schedule does not know of: a second question for a block that may be another's, and what is asked
/// to know that no answer is late.
#[tokio::test]
async fn a_pause_is_kept_before_questions_that_are_asked_beside() {
    const PAUSE: Duration = Duration::from_millis(30);
    let check = async |answer: fn(Asked) -> Vec<u8>, is_beside: fn(&[Asked]) -> bool| {
        let came = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&came);
        let device = Device::start(move |asked| {
            told.lock().unwrap().push(clock::monotonic());
            (AT_ONCE, answer(asked))
        })
        .await;
        let mut pausing = alike(1);
        pausing.limits.pause = PAUSE;
        let mut slow = over(device.port, vec![pausing]);
        slow.every = Duration::ZERO;
        let mut bus = Bus::start(slow);
        while came.lock().unwrap().len() < 40 {
            bus.next().await;
        }
        let came = came.lock().unwrap();
        assert!(came.windows(2).all(|pair| pair[1] - pair[0] >= PAUSE), "{came:?}");
        let asked = device.asked.lock().unwrap();
        assert!(asked.windows(2).any(is_beside), "{asked:?}");
    };
    let mirrored = |asked: Asked| asked.all(1000 + asked.nth as u16 / 4);
    let sometimes_lost = |asked: Asked| if asked.nth % 13 == 11 { vec![] } else { asked.right() };
    tokio::join!(
        check(mirrored, |pair| pair[0].at == pair[1].at),
        check(sometimes_lost, |pair| pair[0].count != 1),
    );
}

/// Spread over connections, meters are read side by side; each connection has its own.
#[tokio::test]
async fn a_bus_may_have_several_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let both = Arc::new(tokio::sync::Barrier::new(2));
    let device = tokio::spawn(async move {
        loop {
            let ((mut stream, _), both) = (listener.accept().await.unwrap(), Arc::clone(&both));
            tokio::spawn(async move {
                let mut frame = [0; 8];
                while stream.read_exact(&mut frame).await.is_ok() {
                    both.wait().await; // no answer before another connection has asked too
                    stream.write_all(&Asked::of(frame, 0).right()).await.unwrap();
                }
            });
        }
    });
    let mut two = over(port, vec![meter(1), meter(2)]);
    two.connections = 2;
    two.timeout = Duration::from_secs(5);
    let mut bus = Bus::start(two);
    for _ in 0..5 {
        bus.next_of(1).await;
        bus.next_of(2).await;
    }
    device.abort();
}

/// A meter whose total is read ten times too high: its phases say so, and nothing of it is trusted.
#[tokio::test]
async fn values_that_cannot_be_of_one_load_are_marked_and_counted() {
    let device = Device::start(|asked| (AT_ONCE, asked.right())).await;
    let phases = [
        Quantity::ActivePower,
        Quantity::ActivePowerL1,
        Quantity::ActivePowerL2,
        Quantity::ActivePowerL3,
    ];
    let with_total_at = |at: u16, checks_values| {
        // Registers hold their addresses: 10 + 20 + 30 kW.
        let at = [at, 10, 20, 30];
        let points = phases
            .iter()
            .zip(at)
            .map(|(quantity, at)| Point::new(at, RegisterForm::U16, *quantity));
        let mut meter = MeterPoints {
            points: points.collect(),
            ..meter(1)
        };
        meter.limits.checks_values = checks_values;
        over(device.port, vec![meter])
    };
    for (at, checks_values, is_trusted) in [(60, true, true), (600, true, false), (600, false, true)] {
        let mut bus = Bus::start(with_total_at(at, checks_values));
        let samples = [bus.next().await, bus.next().await];
        for sample in &samples {
            let trusted = phases.map(|quantity| sample.trusted(quantity).is_some());
            assert_eq!(trusted, [is_trusted; 4], "{at}: {sample:?}");
        }
        let counted = bus.count("implausible_polls_total", "phases");
        assert_eq!(counted >= 2.0, !is_trusted, "{at}: {counted}");
    }
}
