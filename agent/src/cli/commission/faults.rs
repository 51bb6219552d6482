//! What went wrong when a device was asked, and what mends it, in Korean and English. Pure.
//!
//! It asks nothing. Invariant: every kind of trouble has a key for programs, a sentence and a fix.

use std::io::ErrorKind;

use serde::Serialize;

use crate::{
    acquire::modbus::{ExceptionCode, Fault, Transport, ask::Trouble},
    language::Language,
};

/// Trouble, told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Told {
    /// For programs.
    pub(crate) key: &'static str,
    /// What happened.
    pub(crate) what: String,
    /// What mends it.
    pub(crate) fix: String,
}

/// A key with its sentence and its fix.
struct Words(&'static str, [&'static str; 2], [&'static str; 2]);

/// Trouble on a line of this kind, told.
pub(crate) fn told(trouble: &Trouble, transport: &Transport, language: Language) -> Told {
    let Words(key, what, fix) = words(trouble, transport);
    let nth = usize::from(language == Language::En);
    let detail = detail(trouble);
    let what = if detail.is_empty() {
        what[nth].to_owned()
    } else {
        format!("{} ({detail})", what[nth])
    };
    let fix = match other_unit(trouble) {
        Some(unit) => match language {
            Language::Ko => format!("장치는 국번 {unit}(으)로 응답합니다: unit = {unit} (--unit {unit})"),
            Language::En => format!("the device answers as unit {unit}: write unit = {unit} (--unit {unit})"),
        },
        None => fix[nth].to_owned(),
    };
    Told { key, what, fix }
}

/// Troubles told once for each kind, and how many are of it.
pub(super) fn by_kind<'a>(
    troubles: impl Iterator<Item = (&'a Transport, &'a Trouble)>,
    language: Language,
) -> Vec<(Told, usize)> {
    let mut kinds: Vec<(Told, usize)> = vec![];
    for (line, trouble) in troubles {
        let told = told(trouble, line, language);
        match kinds.iter_mut().find(|(known, _)| known.key == told.key) {
            Some((_, n)) => *n += 1,
            None => kinds.push((told, 1)),
        }
    }
    kinds
}

/// The unit as which a device answers that was asked by another.
fn other_unit(trouble: &Trouble) -> Option<u8> {
    let Trouble::Fault(Fault::Foreign(why)) = trouble else {
        return None;
    };
    let (unit, _) = why.strip_prefix("unit ")?.split_once(" instead of ")?;
    unit.parse().ok()
}

/// What no sentence can know beforehand.
fn detail(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Unreachable { text, .. } => text.clone(),
        Trouble::Fault(Fault::TimedOut(limit)) => format!("{limit:?}"),
        Trouble::Fault(Fault::Lost(why) | Fault::Foreign(why) | Fault::Layout(why)) => why.clone(),
        Trouble::Fault(Fault::Length { got, wanted }) => format!("{got} / {wanted}"),
        Trouble::Fault(Fault::Damaged) => String::new(),
        Trouble::Fault(Fault::Unconfirmed { second, .. }) if **second == Fault::Damaged => "CRC".to_owned(),
        Trouble::Fault(Fault::Unconfirmed { second, .. }) => detail(&Fault::clone(second).into()),
        Trouble::Fault(Fault::Gateway(code) | Fault::Refused(code)) => format!("{:#04x}", u8::from(*code)),
    }
}

fn words(trouble: &Trouble, transport: &Transport) -> Words {
    match trouble {
        Trouble::Fault(Fault::Unconfirmed { .. }) => unconfirmed(),
        // Another protocol answers: TLS says so itself.
        Trouble::Unreachable { text, .. } if text.starts_with("received corrupt message") => {
            unreachable(ErrorKind::UnexpectedEof, transport)
        }
        Trouble::Unreachable { kind, .. } => unreachable(*kind, transport),
        Trouble::Fault(Fault::TimedOut(_)) => timed_out(matches!(transport, Transport::Rtu { .. })),
        Trouble::Fault(Fault::Lost(_)) if matches!(transport, Transport::Tls { .. }) => Words(
            "lost",
            [
                "TLS 연결을 맺은 뒤 응답 없이 끊어짐",
                "the TLS connection ended without an answer",
            ],
            [
                "장치가 요구하는 클라이언트 인증서를 --certificate-file 과 --key-file 로 주고, 장치가 그 인증 기관을 믿는지 확인하십시오",
                "give the certificate that the device asks for by --certificate-file and --key-file; the device must trust its authority",
            ],
        ),
        Trouble::Fault(Fault::Lost(_)) => Words(
            "lost",
            ["응답 없이 연결이 끊어짐", "the connection ended without an answer"],
            [
                "프레임 방식(tcp:// 또는 rtu+tcp://)을 확인하십시오. 연결을 하나만 받는 장치라면 다른 프로그램을 먼저 끊으십시오",
                "check the framing (tcp:// or rtu+tcp://); a device that takes one connection must be left by other programs",
            ],
        ),
        Trouble::Fault(Fault::Foreign(_)) => Words(
            "foreign",
            [
                "이 요청의 응답이 아닌 것이 옴",
                "what came is no answer to this request",
            ],
            [
                "프레임 방식이 다르거나, 한 선에 마스터가 둘이거나, 이 포트가 Modbus가 아닙니다",
                "the framing is another, two masters share the line, or this port does not speak Modbus",
            ],
        ),
        Trouble::Fault(Fault::Length { .. }) => Words(
            "length",
            [
                "응답의 레지스터 수가 다름",
                "the answer has another number of registers",
            ],
            [
                "요청할 레지스터 수를 줄이고(probe --len, 프로파일 max_registers), 메아리(echo)를 내는 RS-485 어댑터가 아닌지 확인하십시오",
                "ask for fewer registers (probe --len; a profile's max_registers); see whether the RS-485 adapter hears its own echo",
            ],
        ),
        Trouble::Fault(Fault::Damaged) => damaged(),
        Trouble::Fault(Fault::Gateway(code) | Fault::Refused(code)) => exception(*code),
        Trouble::Fault(Fault::Layout(_)) => Words(
            "layout",
            [
                "SunSpec 모델이 장치에 없음",
                "the device does not have this SunSpec model",
            ],
            [
                "wattwarden discover 로 장치에 있는 모델을 보고 그 프로파일을 쓰십시오",
                "see with wattwarden discover which models the device has, and take the profile of one of them",
            ],
        ),
    }
}

fn damaged() -> Words {
    Words(
        "crc",
        ["CRC가 맞지 않음", "the answer is damaged (CRC)"],
        [
            "배선, 종단 저항, 차폐, 통신 속도와 패리티를 확인하십시오. 같은 국번을 가진 장치가 둘이어도 이렇게 됩니다",
            "check cable, termination, shield, speed and parity; two devices with one unit id do this too",
        ],
    )
}

fn unconfirmed() -> Words {
    Words(
        "unconfirmed",
        [
            "다른 요청의 응답과 같은 값이 왔고, 다시 물었으나 확인되지 않음",
            "the answer is that to another request, and asking again did not confirm it",
        ],
        [
            "같은 요청을 곧바로 다시 받으면 거절하거나 버리는 계측기입니다. 버스에 pause를 두십시오. run은 몇 번 뒤 이 블록도 읽습니다",
            "the meter refuses or drops a request that comes twice at once: give the bus a pause; run reads the block after some polls all the same",
        ],
    )
}

fn timed_out(is_serial: bool) -> Words {
    if is_serial {
        Words(
            "timeout",
            ["제한 시간 안에 응답이 없음", "no answer in time"],
            [
                "국번(unit), 통신 속도, 패리티를 계측기 설정과 맞추고 A/B 선이 바뀌지 않았는지 확인하십시오",
                "compare unit, speed and parity with the meter's own settings; check that A and B are not exchanged",
            ],
        )
    } else {
        Words(
            "timeout",
            ["연결은 되었으나 응답이 없음", "connected, but no answer in time"],
            [
                "국번(unit)을 확인하고, 단순 변환기라면 rtu+tcp:// 로 시도하고, 다른 마스터가 연결을 차지하고 있는지 보십시오",
                "check the unit; behind a plain converter try rtu+tcp://; see whether another master holds the connection",
            ],
        )
    }
}

fn unreachable(kind: ErrorKind, transport: &Transport) -> Words {
    match kind {
        ErrorKind::NotFound if !matches!(transport, Transport::Rtu { .. }) => Words(
            "no_host",
            ["그런 이름의 호스트가 없음", "no host has this name"],
            [
                "호스트 이름의 철자와 이 컴퓨터의 이름 서버를 확인하거나 IP 주소를 쓰십시오",
                "check how the host's name is spelt and this computer's name server, or write the IP address",
            ],
        ),
        ErrorKind::InvalidData if matches!(transport, Transport::Tls { .. }) => Words(
            "tls",
            ["TLS 연결을 맺지 못함", "no TLS connection could be made"],
            [
                "장치의 인증서를 낸 기관을 --ca-file 로 주고, 인증서의 이름이 주소와 같은지, 시계가 맞는지 확인하십시오",
                "give the authority of the device's certificate by --ca-file; its name must be that of the address, and the clock right",
            ],
        ),
        ErrorKind::TimedOut | ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            if matches!(transport, Transport::Tls { .. }) =>
        {
            no_handshake()
        }
        ErrorKind::ConnectionRefused => Words(
            "refused",
            ["장치가 연결을 거절함", "the device refuses the connection"],
            [
                "포트 번호(보통 502)와 장치의 Modbus TCP 기능이 켜져 있는지 확인하십시오",
                "check the port (502 by custom) and that Modbus TCP is switched on in the device",
            ],
        ),
        ErrorKind::PermissionDenied => Words(
            "not_allowed",
            ["포트를 열 권한이 없음", "this user may not open the port"],
            [
                "사용자를 dialout 그룹에 넣고 다시 로그인하십시오: sudo usermod -aG dialout 사용자",
                "put the user into the group dialout and sign in again: sudo usermod -aG dialout USER",
            ],
        ),
        ErrorKind::NotFound => Words(
            "no_port",
            ["그런 직렬 포트가 없음", "there is no such serial port"],
            [
                "ls /dev/serial/by-id 로 어댑터가 보이는지 확인하십시오",
                "see with ls /dev/serial/by-id whether the adapter is there",
            ],
        ),
        ErrorKind::ResourceBusy => Words(
            "busy_port",
            ["다른 프로그램이 포트를 쓰고 있음", "another program holds the port"],
            [
                "wattwarden run 이나 다른 Modbus 프로그램을 먼저 멈추십시오",
                "stop wattwarden run or the other Modbus program first",
            ],
        ),
        _ => Words(
            "unreachable",
            ["연결할 수 없음", "no connection"],
            [
                "IP 주소, 전원, 랜선, VLAN과 방화벽을 확인하십시오. 장치에서 이 컴퓨터로 ping이 되는지 보십시오",
                "check address, power, cable, VLAN and firewall; see whether device and computer can ping each other",
            ],
        ),
    }
}

/// Nobody took part in TLS.
fn no_handshake() -> Words {
    Words(
        "tls_handshake",
        ["TLS 연결이 이루어지지 않음", "no TLS connection came about"],
        [
            "tcp:// 로 응답하면 이 포트는 TLS가 아닙니다(TLS 포트는 보통 802). 아니면 IP 주소, 전원, 방화벽을 확인하십시오",
            "where tcp:// is answered this port does not speak TLS (802 by custom); else check address, power and firewall",
        ],
    )
}

fn exception(code: ExceptionCode) -> Words {
    match u8::from(code) {
        1 => Words(
            "exception_01",
            ["계측기가 이 기능 코드를 모름", "the meter does not know this function"],
            [
                "다른 기능 코드로 읽으십시오: probe 는 --fn 4(입력) 또는 --fn 3(보유), 프로파일은 table",
                "read by the other function: probe by --fn 4 (input) or --fn 3 (holding), a profile by table",
            ],
        ),
        2 => Words(
            "exception_02",
            ["계측기에 이 주소가 없음", "the meter does not have this address"],
            [
                "설명서 주소가 1부터 시작하면 --base 1(프로파일 base = 1)을 주고, 40001/30001 식 번호의 첫 자리는 빼고, 다른 --fn(table)을 써 보십시오",
                "where the manual counts from 1 say --base 1 (a profile: base = 1); leave out the table's digit of 40001 or 30001; try the other --fn (table)",
            ],
        ),
        3 => Words(
            "exception_03",
            [
                "계측기가 이 레지스터 수를 받지 않음",
                "the meter refuses this number of registers",
            ],
            [
                "수를 줄이십시오: probe 는 --len, 프로파일은 max_registers",
                "ask for fewer: probe by --len, a profile by max_registers",
            ],
        ),
        4 => Words(
            "exception_04",
            ["계측기 내부 고장", "the meter failed inside"],
            [
                "모든 주소가 그렇다면 게이트웨이가 없는 국번에 이렇게 답했을 수 있으니 국번을 확인하고, 계측기 표시창의 오류를 보십시오. 이 주소만 그렇다면 읽지 않는 곳(holes)으로 적으십시오",
                "if every address does it, check the unit (a gateway may say so of one that is not there) and the meter's display; if only this address does it, name it as one of the holes",
            ],
        ),
        5 | 6 => Words(
            "exception_06",
            ["계측기가 바쁨", "the meter is busy"],
            [
                "잠시 뒤 다시 하고, 주기(every)를 늘리거나 쉬는 시간(pause)을 주십시오",
                "try again in a moment; read less often (every) or leave it a pause",
            ],
        ),
        0x0A | 0x0B => gateway(code),
        _ => Words(
            "exception",
            ["계측기가 거절함", "the meter refused"],
            [
                "설명서에서 이 예외 코드를 찾으십시오",
                "look this exception up in the manual",
            ],
        ),
    }
}

/// What gateways say in their own name.
fn gateway(code: ExceptionCode) -> Words {
    if u8::from(code) == 0x0A {
        Words(
            "exception_0a",
            [
                "게이트웨이: 이 국번으로 가는 길이 없음",
                "the gateway has no path to this unit",
            ],
            [
                "게이트웨이의 국번·포트 배정과 직렬 설정을 확인하십시오. 계측기의 답이 아닙니다",
                "check which units and serial ports the gateway maps, and its serial settings; this is not the meter's answer",
            ],
        )
    } else {
        Words(
            "exception_0b",
            [
                "게이트웨이: 계측기가 응답하지 않음",
                "the gateway heard nothing from the meter",
            ],
            [
                "국번, 게이트웨이와 계측기 사이의 RS-485 배선, 속도와 패리티를 확인하십시오. 게이트웨이까지는 정상입니다",
                "check the unit and the RS-485 line behind the gateway, its speed and parity; up to the gateway all is well",
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::acquire::modbus::{Line, Tls};

    #[test]
    fn every_trouble_has_its_key_its_words_and_its_fix_in_both_languages() {
        let tcp = Transport::Tcp {
            host: "h".into(),
            port: 502,
        };
        let serial = Transport::Rtu {
            path: "/dev/x".into(),
            line: Line::default(),
        };
        let tls = Transport::Tls {
            host: "h".into(),
            port: 802,
            tls: Tls::default(),
        };
        let unreachable = |kind| Trouble::Unreachable {
            kind,
            text: "text".into(),
        };
        let exception = |code| Trouble::Fault(Fault::of_exception(ExceptionCode::new(code)));
        let faults = [
            (unreachable(ErrorKind::ConnectionRefused), "refused"),
            (unreachable(ErrorKind::AddrNotAvailable), "unreachable"),
            (unreachable(ErrorKind::PermissionDenied), "not_allowed"),
            (unreachable(ErrorKind::ResourceBusy), "busy_port"),
            (Fault::TimedOut(Duration::from_secs(1)).into(), "timeout"),
            (Fault::Lost("why".into()).into(), "lost"),
            (Fault::Foreign("why".into()).into(), "foreign"),
            (Fault::Length { got: 1, wanted: 2 }.into(), "length"),
            (Fault::Damaged.into(), "crc"),
            (Fault::Layout("why".into()).into(), "layout"),
            (exception(1), "exception_01"),
            (exception(2), "exception_02"),
            (exception(3), "exception_03"),
            (exception(4), "exception_04"),
            (exception(6), "exception_06"),
            (exception(0x0A), "exception_0a"),
            (exception(0x0B), "exception_0b"),
            (exception(0x63), "exception"),
        ];
        for (trouble, key) in faults {
            for transport in [&tcp, &serial, &tls] {
                let (ko, en) = (
                    told(&trouble, transport, Language::Ko),
                    told(&trouble, transport, Language::En),
                );
                assert_eq!((ko.key, en.key), (key, key));
                let is_korean = |text: &str| text.chars().any(|c| ('가'..='힣').contains(&c));
                assert!(is_korean(&ko.what) && is_korean(&ko.fix), "{ko:?}");
                assert!(!is_korean(&en.what) && !is_korean(&en.fix), "{en:?}");
            }
        }
        let slow = unreachable(ErrorKind::TimedOut);
        let keys = [&tcp, &serial, &tls].map(|transport| told(&slow, transport, Language::Ko).key);
        assert_eq!(keys, ["unreachable", "unreachable", "tls_handshake"]);
        let other = Fault::Foreign("unit 9 instead of 1".into()).into();
        for language in [Language::Ko, Language::En] {
            assert!(told(&other, &tcp, language).fix.contains("unit = 9"));
        }
        let missing = unreachable(ErrorKind::NotFound);
        let keys = [&tcp, &serial, &tls].map(|transport| told(&missing, transport, Language::Ko).key);
        assert_eq!(keys, ["no_host", "no_port", "no_host"]);
        let untrusted = unreachable(ErrorKind::InvalidData);
        assert_eq!(told(&untrusted, &tls, Language::En).key, "tls");
        let closed = Fault::Lost("why".into()).into();
        assert!(told(&closed, &tls, Language::En).fix.contains("--key-file"));
        let timeout = Fault::TimedOut(Duration::from_secs(1)).into();
        assert_ne!(
            told(&timeout, &tcp, Language::En).fix,
            told(&timeout, &serial, Language::En).fix
        );
    }

    #[test]
    fn an_answer_that_is_not_confirmed_is_told_in_both_languages() {
        let line = Transport::RtuOverTcp {
            host: "h".into(),
            port: 502,
        };
        let busy = Fault::of_exception(ExceptionCode::new(6));
        for (second, detail) in [(busy, "(0x06)"), (Fault::Damaged, "(CRC)")] {
            let (words, second) = (vec![7], Box::new(second));
            let trouble = Fault::Unconfirmed { words, second }.into();
            let [ko, en] = [Language::Ko, Language::En].map(|language| told(&trouble, &line, language));
            assert_eq!((ko.key, en.key), ("unconfirmed", "unconfirmed"));
            assert!(ko.fix.contains("pause") && en.fix.contains("pause"));
            assert!(en.what.ends_with(detail), "{en:?}");
        }
    }
}
