//! RTU frames over TCP from a line on which one request is worked on after the other, whoever is connected: answers that
//! come late, in the place of others, once too often, or from two devices at once.
//!
//! Every register holds its own address, so that a value in the wrong place shows at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, tcp::OwnedWriteHalf},
    sync::mpsc,
    task::JoinHandle,
    time::sleep,
};

use super::{
    modbus_support::{Bus, EVERY, TIMEOUT, assert_right},
    rtu::{Asked, alike, over},
};

/// What becomes of a request.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// Its answer, after so long; whoever asks meanwhile waits.
    Answered(Duration),
    /// The same, and who asks meanwhile is not heard.
    Deaf(Duration),
    /// Its answer at once, and again after so long.
    Twice(Duration),
    /// The same, but that registers from 104 on are refused.
    RefusedTwice(Duration),
    /// Its answer at once, and that of another device with the same unit id after so long.
    Two(Duration),
    /// Nothing.
    Lost,
    /// After so long, registers that all hold one number.
    Equal(Duration),
}

/// A line behind a converter that sends what comes from it to whoever connected last.
struct Slow {
    port: u16,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The end that connected last, and how many bytes go over it at a time: adapters hand them over in lumps.
type Newest = Arc<tokio::sync::Mutex<(Option<OwnedWriteHalf>, usize)>>;

async fn send(newest: &Newest, bytes: &[u8]) {
    let (to, lump) = &mut *newest.lock().await;
    let Some(to) = to else { return };
    for lump in bytes.chunks(*lump) {
        drop(to.write_all(lump).await); // a peer that went away gets no answer
        if lump.len() < bytes.len() {
            sleep(Duration::from_millis(3)).await;
        }
    }
}

/// Works through the requests one after the other.
async fn work(mut asked: mpsc::Receiver<Asked>, newest: Newest, fate: impl Fn(Asked) -> Fate) {
    while let Some(request) = asked.recv().await {
        let right = request.right();
        match fate(request) {
            Fate::Answered(after) => {
                sleep(after).await;
                send(&newest, &right).await;
            }
            Fate::Lost => {}
            Fate::Equal(after) => {
                sleep(after).await;
                send(&newest, &request.all(7)).await;
            }
            Fate::Deaf(after) => {
                sleep(after).await;
                while asked.try_recv().is_ok() {}
                send(&newest, &right).await;
            }
            fate @ (Fate::Twice(after) | Fate::RefusedTwice(after) | Fate::Two(after)) => {
                let (first, second) = match fate {
                    Fate::RefusedTwice(_) if request.at == 104 => (request.exception(2), request.exception(2)),
                    Fate::Two(_) => {
                        let at = request.at + 1000;
                        (right, Asked { at, ..request }.right())
                    }
                    _ => (right.clone(), right),
                };
                let newest = Arc::clone(&newest);
                send(&newest, &first).await;
                tokio::spawn(async move {
                    sleep(after).await;
                    send(&newest, &second).await;
                });
            }
        }
    }
}

impl Slow {
    async fn start(fate: impl Fn(Asked) -> Fate + Send + Sync + 'static) -> Self {
        Self::in_lumps(256, fate).await
    }

    async fn in_lumps(lump: usize, fate: impl Fn(Asked) -> Fate + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let newest = Newest::new(tokio::sync::Mutex::new((None, lump)));
        let (tell, asked) = mpsc::channel(1000);
        let worker = tokio::spawn(work(asked, Arc::clone(&newest), fate));
        let nth = Arc::new(AtomicUsize::new(0));
        let acceptor = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (mut from, to) = stream.into_split();
                newest.lock().await.0 = Some(to);
                let (tell, nth) = (tell.clone(), Arc::clone(&nth));
                tokio::spawn(async move {
                    let mut frame = [0; 8];
                    while from.read_exact(&mut frame).await.is_ok() {
                        let request = Asked::of(frame, nth.fetch_add(1, Ordering::Relaxed));
                        let _is_sent = tell.send(request).await; // the worker ends with the test
                    }
                });
            }
        });
        Self {
            port,
            tasks: [worker, acceptor],
        }
    }
}

/// Takes samples for so long, each of them right → how many whole ones of each unit.
async fn take(bus: &mut Bus, wanted: Duration) -> [u32; 4] {
    let (mut n, until) = ([0; 4], wattwarden::clock::monotonic() + wanted);
    while let Ok(incoming) = tokio::time::timeout_at(until, bus.samples.recv()).await {
        let sample = incoming.expect("the bus runs").sample;
        assert_right(&sample);
        if sample.readings.len() == 3 {
            n[sample.meter.strip_prefix("meter-").unwrap().parse::<usize>().unwrap()] += 1;
        }
    }
    n
}

/// A link that stalls once, then hands over all that it owes, also to a connection that was opened meanwhile.
#[tokio::test]
async fn what_a_line_owes_is_no_value_of_the_next_connection() {
    let check = async |limits_pct: u32| {
        let stall = TIMEOUT * limits_pct / 100;
        let line = Slow::start(move |asked| Fate::Answered(if asked.nth == 14 { stall } else { Duration::ZERO })).await;
        let mut bus = Bus::start(over(line.port, vec![alike(1), alike(2), alike(3)]));
        take(&mut bus, TIMEOUT * 20).await;
        let n = take(&mut bus, TIMEOUT * 60).await;
        assert!(n[1..].iter().all(|n| *n > 10), "{limits_pct}: {n:?}, and all go on");
    };
    join_all((150..1900).step_by(50).map(check)).await;
}

/// A meter that answers late, and hears nothing meanwhile: as many answers come as requests were heard.
#[tokio::test]
async fn a_late_answer_of_a_meter_that_was_deaf_meanwhile_is_no_value() {
    let check = async |(limits_pct, nth): (u32, usize)| {
        let late = TIMEOUT * limits_pct / 100;
        let line = Slow::in_lumps(3, move |asked| {
            if asked.nth == nth {
                Fate::Deaf(late)
            } else {
                Fate::Answered(TIMEOUT / 20)
            }
        })
        .await;
        let mut bus = Bus::start(over(line.port, vec![alike(1)]));
        let n = take(&mut bus, TIMEOUT * 50).await;
        assert!(n[1] > 10, "{limits_pct}, {nth}: {n:?}");
    };
    let cases = (150..1500).step_by(60).flat_map(|pct| [(pct, 8), (pct, 10)]);
    join_all(cases.map(check)).await;
}

/// A unit that is always slow by more than it is left alone for: never a value, and its neighbour misses none.
#[tokio::test]
async fn a_unit_that_is_always_too_slow_gives_no_value_rather_than_a_wrong_one() {
    let check = async |(limits_pct, is_deaf): (u32, bool)| {
        let late = TIMEOUT * limits_pct / 100;
        let fate = if is_deaf { Fate::Deaf } else { Fate::Answered };
        let line = Slow::start(move |_| fate(late)).await;
        let mut bus = Bus::start(over(line.port, vec![alike(1)]));
        let n = take(&mut bus, TIMEOUT * 80).await;
        assert_eq!(n, [0; 4], "{limits_pct}");
        assert!(bus.count("polls_total", "timeout") > 2.0);
    };
    let cases = (130..900).step_by(40).flat_map(|pct| [(pct, false), (pct, true)]);
    join_all(cases.map(check)).await;
}

/// A repeater on the line says every answer again.
#[tokio::test]
async fn an_answer_said_twice_is_not_taken_for_the_next_blocks() {
    let check = async |after_ms: u64| {
        let line = Slow::start(move |_| Fate::Twice(Duration::from_millis(after_ms))).await;
        let mut bus = Bus::start(over(line.port, vec![alike(1), alike(2)]));
        let n = take(&mut bus, TIMEOUT * 30).await;
        assert!(n[1] > 20 && n[2] > 20, "{after_ms}: {n:?}");
    };
    join_all([0, 1, 2, 3, 5, 8, 10, 20, 30, 60, 90].map(check)).await;
}

/// The same where the meter does not have one register: what it refuses it refuses twice.
#[tokio::test]
async fn a_refusal_said_twice_costs_no_other_value() {
    let check = async |after_ms: u64| {
        let line = Slow::start(move |_| Fate::RefusedTwice(Duration::from_millis(after_ms))).await;
        let mut bus = Bus::start(over(line.port, vec![alike(1)]));
        let (mut n_both, until) = (0, wattwarden::clock::monotonic() + TIMEOUT * 30);
        while let Ok(incoming) = tokio::time::timeout_at(until, bus.samples.recv()).await {
            let sample = incoming.expect("the bus runs").sample;
            assert_right(&sample);
            n_both += u32::from(sample.readings.len() == 2);
        }
        assert!(n_both > 15, "{after_ms}: {n_both}");
    };
    join_all([0, 1, 2, 5, 10, 15].map(check)).await;
}

/// Two devices with one unit id: nothing that either says is believed, and the reason is told.
#[tokio::test]
async fn two_devices_with_one_unit_id_are_noticed() {
    let check = async |after_ms: u64, lump: usize| {
        let line = Slow::in_lumps(lump, move |asked| {
            if asked.unit == 1 {
                Fate::Two(Duration::from_millis(after_ms))
            } else {
                Fate::Answered(Duration::ZERO)
            }
        })
        .await;
        let mut bus = Bus::start(over(line.port, vec![alike(1), alike(2)]));
        let n = take(&mut bus, TIMEOUT * 30).await;
        assert!(n[2] > 20, "{after_ms}: {n:?}");
        assert!(bus.count("polls_total", "foreign") >= 2.0, "{after_ms}: {n:?}");
    };
    let lines = [1, 2, 3, 5, 8, 10, 15]
        .iter()
        .flat_map(|after_ms| [check(*after_ms, 256), check(*after_ms, 3)]);
    join_all(lines).await;
}

/// A gateway that hangs up after each answer: what it said stands.
#[tokio::test]
async fn an_answer_before_the_line_ends_is_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let gateway = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut frame = [0; 8];
            if stream.read_exact(&mut frame).await.is_ok() {
                stream.write_all(&Asked::of(frame, 0).right()).await.unwrap();
            }
        }
    });
    let mut meter = alike(1);
    meter.points.truncate(1);
    let mut bus = Bus::start(over(port, vec![meter]));
    for _ in 0..5 {
        let sample = bus.next_of(1).await;
        assert_eq!(sample.readings.len(), 1, "{sample:?}");
    }
    gateway.abort();
}

/// Two devices with one unit id, the second of which only speaks now and then: its first word may be believed, no other.
#[tokio::test]
async fn a_device_that_is_doubled_now_and_then_is_believed_once_at_most() {
    let check = async |every_nth: usize, after_ms: u64| {
        let line = Slow::start(move |asked| {
            if asked.unit == 1 && asked.nth > 40 && asked.nth % every_nth == 0 {
                Fate::Two(Duration::from_millis(after_ms))
            } else {
                Fate::Answered(Duration::ZERO)
            }
        })
        .await;
        let mut bus = Bus::start(over(line.port, vec![alike(1), alike(2)]));
        let (mut n, mut n_wrong, until) = ([0; 4], 0, wattwarden::clock::monotonic() + TIMEOUT * 60);
        while let Ok(incoming) = tokio::time::timeout_at(until, bus.samples.recv()).await {
            let sample = incoming.expect("the bus runs").sample;
            let unit: usize = sample.meter.strip_prefix("meter-").unwrap().parse().unwrap();
            n[unit] += 1;
            n_wrong += u32::from(sample.readings.iter().any(|reading| reading.value > 1000.0));
        }
        assert!(n_wrong <= 1, "{every_nth}, {after_ms}: {n_wrong} of {n:?}");
        assert!(n[1] > 50 && n[2] > 90, "{every_nth}, {after_ms}: {n:?}");
    };
    join_all([(61, 0), (61, 2), (61, 5), (97, 0), (97, 1)].map(|(nth, ms)| check(nth, ms))).await;
}

/// A meter with more than a handful of blocks behind a repeater that says an answer again many questions later.
#[tokio::test]
async fn many_blocks_that_are_said_twice_are_read() {
    let check = async |after_ms: u64| {
        let line = Slow::start(move |_| Fate::Twice(Duration::from_millis(after_ms))).await;
        let mut meter = alike(1);
        let quantities = [
            "voltage_l2_v",
            "voltage_l3_v",
            "current_l2_a",
            "current_l3_a",
            "power_factor",
            "frequency_hz",
        ];
        for (nth, quantity) in quantities.iter().enumerate() {
            let quantity = energy::Quantity::from_name(quantity).unwrap();
            meter
                .points
                .push(super::modbus_support::point(300 + 10 * nth as u16, quantity));
        }
        let mut bus = Bus::start(over(line.port, vec![meter]));
        let (mut n, until) = (0, wattwarden::clock::monotonic() + TIMEOUT * 30);
        while let Ok(incoming) = tokio::time::timeout_at(until, bus.samples.recv()).await {
            let sample = incoming.expect("the bus runs").sample;
            n += u32::from(sample.readings.len() == 9);
            for reading in &sample.readings {
                let known = bus.settings.borrow().meters[0].points.clone();
                let point = known.iter().find(|point| point.quantity == reading.quantity).unwrap();
                assert_eq!(reading.value, f64::from(point.at), "{after_ms}: {}", reading.quantity);
            }
        }
        assert!(n > 20, "{after_ms}: {n}");
    };
    join_all([1, 2, 3, 5, 8, 10, 15].map(check)).await;
}

/// A slow meter whose blocks hold one content each: nothing to wait for, once that is known.
#[tokio::test]
async fn blocks_of_one_content_cost_no_time_for_good() {
    let line = Slow::start(|asked| {
        if asked.unit == 1 {
            Fate::Equal(TIMEOUT / 10)
        } else {
            Fate::Answered(Duration::ZERO)
        }
    })
    .await;
    let mut bus = Bus::start(over(line.port, vec![alike(1), alike(2)]));
    tokio::time::sleep(TIMEOUT * 6).await;
    while bus.samples.try_recv().is_ok() {}
    let (mut n, until) = ([0; 4], wattwarden::clock::monotonic() + EVERY * 60);
    while let Ok(incoming) = tokio::time::timeout_at(until, bus.samples.recv()).await {
        let sample = incoming.expect("the bus runs").sample;
        let unit: usize = sample.meter.strip_prefix("meter-").unwrap().parse().unwrap();
        n[unit] += usize::from(sample.readings.len() == 3);
    }
    assert!(n[1] >= 56 && n[2] >= 56, "{n:?}");
    let answer_s = bus.count("answer_duration_s", "meter-1");
    assert!((0.009..0.03).contains(&answer_s), "{answer_s}");
}

/// A meter that gives nothing but the blocks it is asked for loses one answer.
#[tokio::test]
async fn a_meter_that_gives_no_other_blocks_is_back_when_its_answer_cannot_come_any_more() {
    let check = async |nth: usize| {
        let line = Slow::start(move |asked| {
            let is_lost = asked.unit == 1 && (asked.count != 1 || asked.nth == nth);
            if is_lost {
                Fate::Lost
            } else {
                Fate::Answered(Duration::ZERO)
            }
        })
        .await;
        let mut bus = Bus::start(over(line.port, vec![alike(1), alike(2)]));
        let (mut last, mut longest, mut n) = (wattwarden::clock::monotonic(), Duration::ZERO, 0);
        let until = last + TIMEOUT * 50;
        while let Ok(incoming) = tokio::time::timeout_at(until, bus.samples.recv()).await {
            let sample = incoming.expect("the bus runs").sample;
            assert_right(&sample);
            if &*sample.meter == "meter-2" {
                n += 1;
            } else if sample.readings.len() == 3 && !sample.is_stale() {
                longest = longest.max(last.elapsed());
                last = wattwarden::clock::monotonic();
            }
        }
        assert!(longest < TIMEOUT * 25, "{nth}: {longest:?}");
        assert!(n >= 90, "{nth}: {n}");
    };
    join_all([18, 19, 20, 21].map(check)).await;
}

/// A line that stands still for longer than anybody waits, then hands over all: what it says then is in no one's place.
#[tokio::test]
async fn an_answer_that_comes_long_after_is_no_value() {
    let check = async |limits: u32, nth: usize| {
        let line = Slow::start(move |asked| {
            Fate::Answered(if asked.nth == nth {
                TIMEOUT * limits
            } else {
                TIMEOUT / 20
            })
        })
        .await;
        let mut bus = Bus::start(over(line.port, vec![alike(1)]));
        let n = take(&mut bus, TIMEOUT * 100).await;
        assert!(n[1] > 10, "{limits}, {nth}: {n:?}");
    };
    let cases = [21, 25, 33, 40, 47].map(|limits| [18, 19, 20].map(|nth| check(limits, nth)));
    join_all(cases.into_iter().flatten()).await;
}

/// The same, and one answer is said twice, once: the meter goes on.
#[tokio::test]
async fn blocks_of_one_content_are_read_after_one_was_said_twice() {
    let line = Slow::start(|asked| {
        if asked.nth == 60 {
            Fate::Twice(Duration::from_millis(2))
        } else {
            Fate::Equal(Duration::ZERO)
        }
    })
    .await;
    let mut bus = Bus::start(over(line.port, vec![alike(1)]));
    tokio::time::sleep(EVERY * 40).await;
    while bus.samples.try_recv().is_ok() {}
    let (mut n, until) = (0, wattwarden::clock::monotonic() + EVERY * 20);
    while let Ok(incoming) = tokio::time::timeout_at(until, bus.samples.recv()).await {
        n += usize::from(incoming.expect("the bus runs").sample.readings.len() == 3);
    }
    assert!(n >= 10, "{n}");
}
