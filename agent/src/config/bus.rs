//! `[[bus]]`: how one Modbus line is reached and paced.
//!
//! Meters are hung on it in `lines.rs`. Invariant: what cannot be opened the way it is written is refused at its place.

use std::time::Duration;

use energy::{both, finding::Title};

use super::{
    Context, Secrets,
    diagnostic::{Code, Diagnostic},
    lines::{host_and_port, name, within},
    names::Names,
    points,
    profile::OwnLimits,
    read::{At, Table},
    secret_file,
};
use crate::acquire::modbus::{self, Line, Parity, Tls, Transport};

/// Polling period of a bus that does not say.
const USUAL_POLL: Duration = Duration::from_secs(1);
/// Time-out of a bus that does not say: gateways in front of serial lines take up to 300 ms.
const USUAL_TIMEOUT: Duration = Duration::from_millis(500);
/// Connections that a bus may have: no device is known that serves more.
const MOST_CONNECTIONS: i64 = 16;
/// Speeds of serial lines, from the slowest that meters still offer to the fastest that RS-485 adapters do.
const BAUDS: std::ops::RangeInclusive<u32> = 300..=921_600;

/// How an address is written.
pub fn how() -> Title {
    both!(
        "tcp://HOST:PORT(예: \"tcp://192.0.2.10:502\"), tls://HOST, rtu+tcp://HOST:PORT 또는 \
                 rtu:///dev/ttyUSB0?baud=9600&parity=even 형태로 쓰십시오",
        "write tcp://HOST:PORT, as \"tcp://192.0.2.10:502\", tls://HOST, rtu+tcp://HOST:PORT, or \
                   rtu:///dev/ttyUSB0?baud=9600&parity=even"
    )
}

/// Reads a bus, without its meters; and what its meters inherit.
pub(super) fn bus(
    context: &Context<'_>,
    mut table: Table<'_>,
    names: &mut Names,
) -> Option<(modbus::Config, OwnLimits)> {
    let name = name(&mut table, names);
    let url = table.text("modbus");
    let url = table.required("modbus", url);
    let tls = tls(context, &mut table, url.as_ref());
    let transport = url.and_then(|url| transport(context, &url, tls));
    let every = points::every(&mut table);
    let timeout = within(&mut table, "timeout", Duration::from_millis(10), Duration::from_mins(1));
    let connections = table.integer("connections", 1..=MOST_CONNECTIONS);
    let any_transaction = table.flag("any_transaction").unwrap_or(false);
    let limits = OwnLimits::of_bus(&mut table);
    table.finish();
    let (name, transport) = ((*name?.get_ref()).to_owned(), transport?);
    let connections = connections.map_or(1, |n| possible(context, &name, &transport, &n));
    let bus = modbus::Config {
        name,
        transport,
        every: every.unwrap_or(USUAL_POLL),
        timeout: timeout.unwrap_or(USUAL_TIMEOUT),
        connections,
        any_transaction,
        meters: vec![],
    };
    Some((bus, limits))
}

/// The connections that are asked for, 1 where there can be no more.
fn possible(context: &Context<'_>, bus: &str, transport: &Transport, asked: &At<i64>) -> u8 {
    let connections = *asked.get_ref() as u8;
    if connections == 1 || !matches!(transport, Transport::Rtu { .. }) {
        return connections;
    }
    let bus = bus.to_owned();
    let error = modbus::ConfigError::Connections { bus, connections };
    context.file.report(Code::BadValue, asked.span(), error.text());
    1
}

fn transport(context: &Context<'_>, url: &At<&str>, tls: Tls) -> Option<Transport> {
    let found = address(url.get_ref(), tls);
    let report = |why| {
        context.file.report_with(Code::BadValue, url.span(), why, Some(how()));
    };
    found.map_err(report).ok()
}

/// How the line of an address is reached, or what is wrong with it.
pub fn address(text: &str, tls: Tls) -> Result<Transport, Title> {
    let (scheme, rest) = text.split_once("://").unwrap_or((text, ""));
    let found = match scheme {
        "tcp" => host_and_port(rest, 502).map(|(host, port)| Transport::Tcp { host, port }),
        "rtu+tcp" => host_and_port(rest, 502).map(|(host, port)| Transport::RtuOverTcp { host, port }),
        "tls" => host_and_port(rest, 802).map(|(host, port)| Transport::Tls { host, port, tls }),
        "rtu" => {
            let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
            let line = line(query).map_err(|why| both!([why], "{text:?}: {why}", "{text:?}: {why}"))?;
            path.starts_with('/').then(|| Transport::Rtu {
                path: path.to_owned(),
                line,
            })
        }
        _ => None,
    };
    found.ok_or_else(|| {
        both!(
            "{text:?}은(는) Modbus 회선의 주소가 아닙니다",
            "{text:?} is not the address of a Modbus line"
        )
    })
}

/// The address of a line, as [`address`] reads it; files of a TLS line are keys of their own.
pub fn written(transport: &Transport) -> String {
    match transport {
        Transport::Rtu { path, line } => {
            let parity = Parity::ALL.iter().find(|(_, known)| *known == line.parity);
            let parity = parity.map_or("none", |(name, _)| name);
            format!(
                "rtu://{path}?baud={}&parity={parity}&stop={}",
                line.baud, line.stop_bits
            )
        }
        other => other.to_string(),
    }
}

/// `baud=9600&parity=even&stop=1`.
///
/// Without parity the specification wants two stop bits, but next to every meter sends one: that is what is taken.
fn line(query: &str) -> Result<Line, Title> {
    let mut line = Line::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match key {
            "baud" => {
                let baud = value.parse().ok().filter(|baud| BAUDS.contains(baud));
                line.baud = baud.ok_or_else(|| {
                    both!(
                        "{value:?}은(는) 통신 속도가 아닙니다. baud=9600처럼 초당 비트 수로 쓰십시오",
                        "{value:?} is no speed: write bits a second, as baud=9600"
                    )
                })?;
            }
            "parity" => {
                let known = Parity::ALL.iter().find(|(name, _)| *name == value);
                line.parity = known
                    .ok_or_else(|| {
                        both!(
                            "parity는 none, even, odd 중 하나이며 {value:?}은(는) 쓸 수 없습니다",
                            "parity is none, even or odd, not {value:?}"
                        )
                    })?
                    .1;
            }
            "stop" => {
                let bits = value.parse().ok().filter(|bits| [1, 2].contains(bits));
                line.stop_bits = bits.ok_or_else(|| {
                    both!(
                        "stop은 1 또는 2이며 {value:?}은(는) 쓸 수 없습니다",
                        "stop is 1 or 2, not {value:?}"
                    )
                })?;
            }
            _ => {
                return Err(both!(
                    "직렬 회선에는 baud, parity, stop만 쓸 수 있고 {key:?}은(는) 없습니다",
                    "a serial line has baud, parity and stop, but no {key:?}"
                ));
            }
        }
    }
    Ok(line)
}

/// The keys of a `tls://` bus; files that cannot be used are reported.
fn tls(context: &Context<'_>, table: &mut Table<'_>, url: Option<&At<&str>>) -> Tls {
    let file = context.file;
    let ca = table.text("ca_file");
    let certificate = table.text("certificate_file");
    let key = table.text("key_file");
    let first = [&ca, &certificate, &key].into_iter().flatten().next();
    let is_tls = url.is_none_or(|url| url.get_ref().starts_with("tls://"));
    if let Some(first) = first.filter(|_| !is_tls) {
        let message = both!(
            "여기서는 인증서가 효과가 없습니다. tls://만 암호화합니다",
            "certificates have no effect here: only tls:// is encrypted"
        );
        file.report(Code::NoEffect, first.span(), message);
        return Tls::default();
    }
    if let (Some(one), None) | (None, Some(one)) = (&certificate, &key) {
        let message = both!(
            "certificate_file과 key_file은 함께 써야 하는데 하나가 없습니다",
            "certificate_file and key_file belong together: one of them is missing"
        );
        file.report(Code::MissingKey, one.span(), message);
    }
    if let Some(key) = &key {
        secret_file::warn_if_public(context, key, &context.folder.join(key.get_ref()));
    }
    let path = |file: &At<&str>| context.folder.join(file.get_ref());
    let tls = Tls {
        ca_file: ca.as_ref().map(path),
        identity: certificate.as_ref().map(path).zip(key.as_ref().map(path)),
    };
    if let (Some(first), Secrets::Read, Err(error)) = (first, context.secrets, tls.check()) {
        let diagnostic = Diagnostic::new(Code::SecretFile, error);
        let help = both!(
            "사용자 wattwarden이 읽을 수 있는 PEM 파일이어야 합니다",
            "PEM files, readable by the user wattwarden"
        );
        file.problems
            .push(diagnostic.help(help).at(file.source.place(first.span())));
    }
    tls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_as_written() {
        for text in [
            "tcp://192.0.2.10:502",
            "tcp://[2001:db8::1]:1502",
            "tls://meter.hall:802",
            "rtu+tcp://192.0.2.10:4001",
            "rtu:///dev/ttyUSB0?baud=9600&parity=none&stop=2",
        ] {
            assert_eq!(written(&address(text, Tls::default()).unwrap()), text);
        }
        for text in [
            "",
            "tcp://",
            "udp://h",
            "rtu://dev/ttyUSB0",
            "192.0.2.10",
            "rtu:///dev/x?baud=1",
        ] {
            let why = address(text, Tls::default()).unwrap_err();
            assert!(why.ko.contains(text) && why.en.contains(text), "{why:?}");
        }
    }

    #[test]
    fn serial_lines_are_written_as_in_a_url() {
        for (query, expected) in [
            ("", Ok("19200 baud 8E1")),
            ("baud=9600&parity=none", Ok("9600 baud 8N1")),
            ("parity=odd&stop=2&baud=115200", Ok("115200 baud 8O2")),
            (
                "baud=9600bps",
                Err("\"9600bps\" is no speed: write bits a second, as baud=9600"),
            ),
            ("baud=1", Err("\"1\" is no speed: write bits a second, as baud=9600")),
            ("parity=mark", Err("parity is none, even or odd, not \"mark\"")),
            ("stop=3", Err("stop is 1 or 2, not \"3\"")),
            (
                "bits=7",
                Err("a serial line has baud, parity and stop, but no \"bits\""),
            ),
        ] {
            let found = line(query).map(|line| line.to_string());
            assert_eq!(found.as_deref().map_err(|why| why.en.as_str()), expected, "{query}");
        }
    }
}
