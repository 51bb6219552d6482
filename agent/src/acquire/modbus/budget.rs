//! What a bus's plan costs in time on its line, and whether the time asked for is enough. Pure.
//!
//! It measures nothing. Invariant: no cost is left out of a sum that is called whole; where a device's own time is not
//! known, what is proven to be too much without it is too much all the more.

use std::{fmt::Write, time::Duration};

use energy::{both, finding::Title};
use unicode_width::UnicodeWidthStr as _;

use super::{
    Config, Limits, Transport,
    plan::{Plan, Read, plan},
};
use crate::language::Language;

/// What a device on a serial line of this machine takes to answer when nobody says (default; meters take 20 to 200 ms:
/// `answer_duration_s` in `/metrics` tells what yours take).
pub const USUAL_LATENCY: Duration = Duration::from_millis(20);

/// Characters of a request, and of a reply beside its registers: unit, function, addresses or length, CRC.
const REQUEST_CHARACTERS: usize = 8;
const REPLY_CHARACTERS: usize = 5;

/// Reads that are due together.
#[derive(Debug, Clone, PartialEq)]
pub struct RhythmCost {
    /// From one beat to the next.
    pub every: Duration,
    /// Requests a beat.
    pub requests: usize,
    /// Registers a beat.
    pub registers: usize,
    /// Time that they take of the line.
    pub time: Duration,
}

impl RhythmCost {
    /// The share of the line's time, 1 = all of it.
    pub fn share(&self) -> f64 {
        self.time.as_secs_f64() / self.every.as_secs_f64()
    }
}

/// The cost of a bus; of several connections the most loaded one.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// By rhythm, the fastest first.
    pub rhythms: Vec<RhythmCost>,
    /// Whether the devices' own time is counted: `false` where a meter behind TCP does not say its `latency`.
    pub is_whole: bool,
}

/// More is asked of a bus than its line can give.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the line cannot give what is asked: {}", asked.en)]
pub struct TooMuch {
    /// What is asked and what it costs, for people.
    asked: Title,
    /// What can be met, for people.
    pub can_be_met: Title,
}

impl TooMuch {
    /// In both languages, for people.
    pub fn text(&self) -> Title {
        let asked = &self.asked;
        both!(
            [asked],
            "요구한 만큼 읽을 수 없습니다. {asked}",
            "the line cannot give what is asked: {asked}"
        )
    }
}

/// What the plan of a bus costs.
pub fn budget(config: &Config, plan: &Plan) -> Budget {
    let connections = usize::from(config.connections.max(1));
    let parts = (0..connections).map(|part| {
        of_part(
            config,
            plan.reads.iter().filter(|read| read.meter % connections == part),
        )
    });
    parts.max_by(|a, b| a.share().total_cmp(&b.share())).unwrap_or(Budget {
        rhythms: vec![],
        is_whole: true,
    })
}

fn of_part<'a>(config: &Config, reads: impl Iterator<Item = &'a Read>) -> Budget {
    let mut budget = Budget {
        rhythms: vec![],
        is_whole: true,
    };
    for read in reads {
        let every = read.every.unwrap_or(config.every);
        let (time, is_whole) = cost(config, read);
        budget.is_whole &= is_whole;
        let place = budget.rhythms.partition_point(|rhythm| rhythm.every < every);
        if budget.rhythms.get(place).is_none_or(|rhythm| rhythm.every != every) {
            budget.rhythms.insert(
                place,
                RhythmCost {
                    every,
                    requests: 0,
                    registers: 0,
                    time: Duration::ZERO,
                },
            );
        }
        let rhythm = &mut budget.rhythms[place];
        rhythm.requests += 1;
        rhythm.registers += usize::from(read.count);
        rhythm.time += time;
    }
    budget
}

/// What one read takes of the line, until the next may leave; and whether the device's own time is in it.
fn cost(config: &Config, read: &Read) -> (Duration, bool) {
    let limits = &config.meters[read.meter].limits;
    let latency = limits.latency_of(read.table, read.at, read.count);
    match config.transport {
        Transport::Rtu { line, .. } => {
            let characters = REQUEST_CHARACTERS + REPLY_CHARACTERS + 2 * usize::from(read.count);
            let answer = latency.unwrap_or(USUAL_LATENCY).max(line.silence());
            let time = line.characters(characters) + answer + limits.pause.max(line.silence());
            (time, true)
        }
        _ => (latency.unwrap_or_default() + limits.pause, latency.is_some()),
    }
}

impl Budget {
    /// The share of the line's time, 1 = all of it; 0 where it is read without pause.
    pub fn share(&self) -> f64 {
        let paced = self.rhythms.iter().filter(|rhythm| !rhythm.every.is_zero());
        paced.map(RhythmCost::share).sum()
    }

    /// What it takes when everything falls due together.
    pub fn longest_cycle(&self) -> Duration {
        self.rhythms.iter().map(|rhythm| rhythm.time).sum()
    }

    /// Whether slow values, when they fall due, push out a beat of fast ones.
    pub fn is_crowded(&self) -> bool {
        let fastest = self.rhythms.first().map(|rhythm| rhythm.every);
        fastest.is_some_and(|every| !every.is_zero() && self.longest_cycle() > every)
    }

    /// Refuses what the line cannot give, and says what it can.
    pub(super) fn prove(&self, config: &Config) -> Result<(), TooMuch> {
        let share = self.share();
        let Some(fastest) = self.rhythms.iter().find(|rhythm| !rhythm.every.is_zero()) else {
            return Ok(());
        };
        if share <= 1.0 {
            return Ok(());
        }
        let RhythmCost {
            every,
            requests,
            registers,
            time,
        } = fastest;
        let share_pct = share * 100.0;
        let basis = Title {
            ko: basis(config, Language::Ko),
            en: basis(config, Language::En),
        };
        Err(TooMuch {
            asked: both!(
                [basis],
                "{every:?}마다 요청 {requests}회(레지스터 {registers}개)에 {time:.2?} 걸리고, 더 드물게 읽는 것까지 \
                 합하면 시간의 {share_pct:.0} %가 필요합니다 ({basis})",
                "{requests} requests for {registers} registers take {time:.2?} of each {every:?}, with all that is read \
                 more slowly {share_pct:.0} % of the time ({basis})"
            ),
            can_be_met: can_be_met(config, fastest, share),
        })
    }
}

/// A slower rhythm for the fastest values, or for all where the slow ones alone are too much. Values that no longer fall
/// due together are read apart, so that each period is planned for anew.
fn can_be_met(config: &Config, fastest: &RhythmCost, share: f64) -> Title {
    let from = fastest.every;
    let left = 1.0 - (share - fastest.share());
    let mut to = rounded_up(fastest.time.div_f64(left.max(0.1)).max(from));
    while to < 10 * from {
        let share = share_of(&slower(config, from, to));
        if share <= 1.0 {
            let to = written(to);
            return both!(
                "{from:?}마다 읽는 값은 every = \"{to}\"이면 읽을 수 있습니다",
                "every = \"{to}\" can be met for what is read every {from:?}"
            );
        }
        to = rounded_up(to.mul_f64(share.clamp(1.01, 10.0)));
    }
    let mut tenths = (share * 10.0).ceil() as u32;
    // Ends: no plan asks for a point more than once.
    while share_of(&all_slower(config, tenths)) > 1.0 {
        tenths += 1;
    }
    both!(
        "모든 주기를 {:.1}배로 늘리면 읽을 수 있습니다",
        "all periods {:.1} times as long can be met",
        f64::from(tenths) / 10.0
    )
}

/// With another period in place of `from`: the bus's where that is its own, while a meter's or profile's own stay.
fn slower(config: &Config, from: Duration, to: Duration) -> Config {
    let mut slower = config.clone();
    let points = || config.meters.iter().flat_map(|meter| &meter.points);
    if config.every == from && points().any(|point| point.every.is_none()) {
        slower.every = to;
        return slower;
    }
    let points = slower.meters.iter_mut().flat_map(|meter| &mut meter.points);
    for point in points.filter(|point| point.every == Some(from)) {
        point.every = Some(to);
    }
    slower
}

/// With all periods so many tenths as long.
fn all_slower(config: &Config, tenths: u32) -> Config {
    let mut slower = config.clone();
    let points = slower.meters.iter_mut().flat_map(|meter| &mut meter.points);
    let own = points.filter_map(|point| point.every.as_mut());
    for every in own.chain([&mut slower.every]) {
        *every = *every * tenths / 10;
    }
    slower
}

/// The share of the line's time, planned for as it is run.
fn share_of(config: &Config) -> f64 {
    let paced = config.paced();
    // What could be planned can be at other periods.
    plan(&paced.meters).map_or(0.0, |plan| budget(&paced, &plan).share())
}

/// No shorter, with two digits that count.
fn rounded_up(time: Duration) -> Duration {
    let ms = time.as_secs_f64() * 1000.0;
    let step = 10_f64.powf((ms.log10().floor() - 1.0).max(0.0));
    Duration::from_millis(((ms / step).ceil() * step) as u64)
}

/// As in a configuration.
fn written(time: Duration) -> String {
    let ms = time.as_millis();
    if ms.is_multiple_of(1000) {
        format!("{}s", ms / 1000)
    } else {
        format!("{ms}ms")
    }
}

/// What the reckoning rests on, for people.
fn basis(config: &Config, language: Language) -> String {
    let of = |limits: &Limits| {
        let measured = limits.answers.iter().map(|answer| answer.latency);
        let said = limits.latency.filter(|_| limits.answers.is_empty());
        measured.chain(said).collect::<Vec<_>>()
    };
    let known: Vec<Duration> = config.meters.iter().flat_map(|meter| of(&meter.limits)).collect();
    let are_all_known = config.meters.iter().all(|meter| meter.limits.latency.is_some());
    let after = |times: String| match language {
        Language::Ko => format!("응답 {times}"),
        Language::En => format!("answers after {times}"),
    };
    let answers = match (known.iter().min(), known.iter().max()) {
        _ if !are_all_known && !matches!(config.transport, Transport::Rtu { .. }) => language
            .say(
                "기기의 응답 시간을 모름: latency를 적으십시오",
                "what devices take to answer is not known: set latency",
            )
            .to_owned(),
        (Some(least), Some(most)) if least != most => after(format!("{least:?} {} {most:?}", language.say("~", "to"))),
        (Some(latency), _) if are_all_known => after(format!("{latency:?}")),
        _ => match language {
            Language::Ko => format!("응답 {USUAL_LATENCY:?}로 가정: latency를 적으십시오"),
            Language::En => format!("answers after {USUAL_LATENCY:?} assumed: set latency"),
        },
    };
    match config.transport {
        Transport::Rtu { line, .. } => format!("{line}, {answers}"),
        _ => answers,
    }
}

/// The plan of a bus in lines of at most 80 columns, for `check`.
pub fn told(config: &Config, plan: &Plan, language: Language) -> String {
    let budget = budget(config, plan);
    let mut text = String::new();
    for rhythm in &budget.rhythms {
        let RhythmCost {
            every,
            requests,
            registers,
            time,
        } = rhythm;
        let every = format!("{every:?}");
        match language {
            Language::Ko => write!(
                text,
                "          {every:>5}마다 {requests:>8}회 요청 {registers:>8} 레지스터"
            ),
            Language::En => {
                let requests = format!("{requests} request{}", if *requests == 1 { " " } else { "s" });
                write!(
                    text,
                    "          every {every:<7}{requests:>13} {registers:>6} registers"
                )
            }
        }
        .ok();
        if budget.is_whole && !rhythm.every.is_zero() {
            let ms = time.as_secs_f64() * 1000.0;
            write!(text, "{ms:>8.0} ms {:>5.1} %", rhythm.share() * 100.0).ok();
        }
        text.push('\n');
    }
    if budget.is_whole && budget.rhythms.len() > 1 {
        let (share, longest) = (budget.share() * 100.0, budget.longest_cycle().as_secs_f64() * 1000.0);
        let together = language.say("모두 겹칠 때 합계", "together, when all fall due");
        let cells = 51 - together.width();
        writeln!(text, "          {together}{longest:>cells$.0} ms {share:>5.1} %").ok();
    }
    writeln!(text, "          {}", basis(config, language)).ok();
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::acquire::modbus::{Answer, ConfigError, Line, MeterPoints, Parity, Point, RegisterForm, Table, check};

    fn meter(nth: u16, n_points: u16, slow: Option<Duration>) -> MeterPoints {
        let point = |nth: u16| Point {
            every: slow.filter(|_| nth > 0),
            ..Point::new(
                nth * 2,
                RegisterForm::F32,
                energy::quantity::TABLE[usize::from(nth)].quantity,
            )
        };
        MeterPoints {
            name: format!("m{nth}").into(),
            unit: nth as u8 + 1,
            points: (0..n_points).map(point).collect(),
            limits: crate::acquire::modbus::Limits::default(),
        }
    }

    fn serial(baud: u32, every_ms: u64, meters: Vec<MeterPoints>) -> Config {
        let line = Line {
            baud,
            parity: Parity::Even,
            stop_bits: 1,
        };
        Config {
            name: "panel-a".into(),
            transport: Transport::Rtu {
                path: "/dev/ttyUSB0".into(),
                line,
            },
            every: Duration::from_millis(every_ms),
            timeout: Duration::from_millis(500),
            connections: 1,
            any_transaction: false,
            meters,
        }
    }

    fn of(config: &Config) -> Budget {
        budget(config, &crate::acquire::modbus::plan::plan(&config.meters).unwrap())
    }

    #[test]
    fn a_request_costs_its_characters_the_answer_and_the_silences() {
        // 16 registers: 8 + 5 + 32 = 45 characters of 11 bits = 51.6 ms at 9600 baud, 20 ms for the meter, 4 ms of silence.
        let mut one = serial(9600, 1000, vec![meter(0, 8, None)]);
        let ms = |config: &Config| of(config).longest_cycle().as_secs_f64() * 1000.0;
        assert!((ms(&one) - 75.57).abs() < 0.01, "{}", ms(&one));
        one.meters[0].limits.latency = Some(Duration::from_millis(100));
        assert!((ms(&one) - 155.57).abs() < 0.01);
        one.meters[0].limits.pause = Duration::from_millis(50);
        assert!((ms(&one) - 201.56).abs() < 0.01);
        // No device answers before the line was silent.
        one.meters[0].limits.latency = Some(Duration::ZERO);
        assert!((ms(&one) - 105.57).abs() < 0.01);
    }

    #[test]
    fn a_block_costs_what_it_was_measured_to_take() {
        let mut one = serial(9600, 1000, vec![meter(0, 8, None)]);
        one.transport = Transport::Tcp {
            host: "h".into(),
            port: 502,
        };
        one.meters[0].limits.max_registers = 4;
        one.meters[0].limits.latency = Some(Duration::from_millis(450));
        assert!(refusal(&one).is_some(), "four blocks");
        let answer = |at, ms| Answer {
            table: Table::Holding,
            at,
            count: 4,
            latency: Duration::from_millis(ms),
        };
        one.meters[0].limits.answers = vec![answer(0, 15), answer(4, 450), answer(8, 15)];
        one.meters[0].limits.latency = Some(Duration::from_millis(20)); // of the last
        assert_eq!(
            (refusal(&one), of(&one).longest_cycle()),
            (None, Duration::from_millis(500))
        );
        assert_eq!(basis(&one, Language::En), "answers after 15ms to 450ms");
    }

    #[test]
    fn what_is_advised_is_planned_for_anew() {
        // Values of the bus's period share reads with those of a profile's own, as long as the two are one.
        let own = Some(Duration::from_secs(10));
        let with_own = |n_own: usize| {
            let mut config = serial(9600, 10_000, (0..140).map(|nth| meter(nth, 8, None)).collect());
            for meter in &mut config.meters {
                meter.points[8 - n_own..].iter_mut().for_each(|point| point.every = own);
            }
            config
        };
        let mut few = with_own(1);
        let (_, can_be_met) = refusal(&few).unwrap();
        assert_eq!(can_be_met, "every = \"26s\" can be met for what is read every 10s");
        few.every = Duration::from_secs(26);
        assert_eq!(refusal(&few), None);
        let most = with_own(7);
        assert_eq!(refusal(&most).unwrap().1, "all periods 1.1 times as long can be met");
        assert_eq!(refusal(&all_slower(&most, 11)), None);
    }

    /// A configuration → the texts of its refusal, or nothing.
    fn refusal(config: &Config) -> Option<(String, String)> {
        match check(config) {
            Err(ConfigError::TooMuch { error, .. }) => Some((error.to_string(), error.can_be_met.en)),
            other => other.map(|_| None).unwrap(),
        }
    }

    #[test]
    fn what_cannot_be_met_is_refused_with_what_can() {
        let thirty = |every_ms| serial(9600, every_ms, (0..30).map(|nth| meter(nth, 8, None)).collect());
        let (text, can_be_met) = refusal(&thirty(1000)).unwrap();
        assert_eq!(
            text,
            "the line cannot give what is asked: 30 requests for 480 registers take 2.27s of each 1s, with all that \
             is read more slowly 227 % of the time (9600 baud 8E1, answers after 20ms assumed: set latency)"
        );
        assert_eq!(can_be_met, "every = \"2300ms\" can be met for what is read every 1s");
        assert_eq!(refusal(&thirty(2300)), None);
        let slow_alone = serial(
            1200,
            1000,
            (0..30).map(|nth| meter(nth, 8, Some(Duration::from_secs(2)))).collect(),
        );
        assert!(refusal(&slow_alone).unwrap().1.contains("times as long"));
        // Behind TCP nothing is known but what is said.
        let mut tcp = thirty(1000);
        tcp.transport = Transport::Tcp {
            host: "h".into(),
            port: 502,
        };
        assert_eq!((refusal(&tcp), of(&tcp).is_whole), (None, false));
        for meter in &mut tcp.meters {
            meter.limits.latency = Some(Duration::from_millis(40));
        }
        assert_eq!(
            refusal(&tcp).unwrap().1,
            "every = \"1200ms\" can be met for what is read every 1s"
        );
        tcp.connections = 2;
        assert_eq!((refusal(&tcp), of(&tcp).share()), (None, 0.6));
    }

    #[test]
    fn the_plan_is_told_in_eighty_columns() {
        let slow = Some(Duration::from_mins(1));
        let config = serial(9600, 1000, vec![meter(0, 20, slow), meter(1, 20, slow)]);
        let plan = check(&config).unwrap();
        let text = told(&config, &plan, Language::En);
        assert_eq!(
            text,
            "          every 1s        2 requests      4 registers      87 ms   8.7 %\n\
             \x20         every 60s       2 requests     76 registers     252 ms   0.4 %\n\
             \x20         together, when all fall due                     339 ms   9.1 %\n\
             \x20         9600 baud 8E1, answers after 20ms assumed: set latency\n"
        );
        let korean = told(&config, &plan, Language::Ko);
        assert_eq!(
            korean,
            "             1s마다        2회 요청        4 레지스터      87 ms   8.7 %\n\
             \x20           60s마다        2회 요청       76 레지스터     252 ms   0.4 %\n\
             \x20         모두 겹칠 때 합계                               339 ms   9.1 %\n\
             \x20         9600 baud 8E1, 응답 20ms로 가정: latency를 적으십시오\n"
        );
        assert!(text.lines().chain(korean.lines()).all(|line| line.width() <= 80));
        assert!(!budget(&config, &plan).is_crowded());
    }

    #[test]
    fn periods_are_rounded_up_as_people_write_them() {
        for (ms, expected) in [
            (1, "1ms"),
            (99, "99ms"),
            (1841, "1900ms"),
            (1901, "2s"),
            (12_345, "13s"),
            (120_000, "120s"),
        ] {
            assert_eq!(written(rounded_up(Duration::from_millis(ms))), expected, "{ms}");
        }
    }

    proptest! {
        #[test]
        fn every_read_is_paid_for_and_what_can_be_met_is(n_meters in 1_u16..40, n_points in 1_u16..20, every_ms in 100_u64..5000, baud in 1200_u32..120_000, slow_s in 5_u64..60) {
            let slow = Some(Duration::from_secs(slow_s));
            let mut config = serial(baud, every_ms, (0..n_meters).map(|nth| meter(nth, n_points, slow)).collect());
            let plan = crate::acquire::modbus::plan::plan(&config.paced().meters).unwrap();
            let whole = budget(&config, &plan);
            prop_assert_eq!(whole.rhythms.iter().map(|rhythm| rhythm.requests).sum::<usize>(), plan.reads.len());
            let registers: usize = plan.reads.iter().map(|read| usize::from(read.count)).sum();
            prop_assert_eq!(whole.rhythms.iter().map(|rhythm| rhythm.registers).sum::<usize>(), registers);
            prop_assert!(whole.rhythms.is_sorted_by(|a, b| a.every < b.every));
            if let Err(error) = whole.prove(&config) {
                prop_assert!(whole.share() > 1.0);
                let advice = error.can_be_met.en;
                let of = |before: &str| Some(advice.split_once(before)?.1.split(['"', ' ']).next().unwrap().to_owned());
                if let Some(to) = of("every = \"") {
                    config.every = crate::config::units::duration(&to).unwrap();
                } else {
                    let factor: f64 = of("all periods ").unwrap().parse().unwrap();
                    config = all_slower(&config, (factor * 10.0).round() as u32);
                }
                prop_assert!(check(&config).is_ok(), "{}: {:?}", advice, check(&config));
            } else {
                prop_assert!(whole.share() <= 1.0);
            }
        }
    }
}
