//! `check --live`: whether the brokers and the InfluxDB servers of a configuration are there and let us in.
//!
//! It subscribes to nothing and writes nothing. Invariant: every one of them is looked at, and named with what came.

use std::{process::ExitCode, time::Duration};

use serde_json::json;

use super::{super::table::wrapped, block_on, say};
use crate::{acquire::mqtt, config::Config, forward::influx, language::Language};

/// How long a server may take to let us in.
const WITHIN: Duration = Duration::from_secs(5);

/// A server, and what came of looking for it.
#[derive(Debug)]
pub struct Reached {
    /// `broker` or `influxdb`.
    kind: &'static str,
    name: String,
    address: String,
    /// Why it cannot be used.
    trouble: Option<String>,
}

/// Looks for every server of a configuration, one after the other.
pub fn servers(config: &Config) -> Result<Vec<Reached>, ExitCode> {
    block_on(async {
        let mut reached = vec![];
        for broker in &config.brokers {
            reached.push(Reached {
                kind: "broker",
                name: broker.name.clone(),
                address: format!("{}:{}", broker.url.host, broker.url.port),
                trouble: mqtt::reach(broker, WITHIN).await.err(),
            });
        }
        for server in &config.influx {
            let mut asked = server.clone();
            asked.timeout = WITHIN;
            reached.push(Reached {
                kind: "influxdb",
                name: server.name.clone(),
                address: server.url.to_string(),
                trouble: influx::reach(&asked).await.err(),
            });
        }
        reached
    })
}

/// Whether one of them cannot be used.
pub fn has_failed(reached: &[Reached]) -> bool {
    reached.iter().any(|server| server.trouble.is_some())
}

/// For people.
pub fn text(reached: &[Reached], language: Language) -> String {
    let line = |server: &Reached| {
        let Reached { name, address, .. } = server;
        let (kind, fix) = match server.kind {
            "broker" => (
                say(language, "브로커", "broker"),
                say(
                    language,
                    "주소, 포트, 계정과 인증서를 확인하고 브로커가 켜져 있는지 보십시오",
                    "check address, port, account and certificates, and that the broker runs",
                ),
            ),
            _ => (
                "InfluxDB",
                say(
                    language,
                    "주소, 포트, 토큰(계정), 조직과 버킷(데이터베이스)을 확인하고 서버가 켜져 있는지 보십시오",
                    "check address, port, token (user), organisation and bucket (database), and that the server runs",
                ),
            ),
        };
        match &server.trouble {
            None => wrapped(&format!("ok    {kind} {name} {address}"), 2),
            Some(why) => {
                wrapped(&format!("fail  {kind} {name} {address}"), 2)
                    + &wrapped(why, 8)
                    + &wrapped(&format!("→ {fix}"), 8)
            }
        }
    };
    reached.iter().map(line).collect()
}

/// For programs.
pub fn json(reached: &[Reached]) -> serde_json::Value {
    let server = |server: &Reached| {
        json!({
            "kind": server.kind,
            "name": server.name,
            "address": server.address,
            "verdict": if server.trouble.is_none() { "ok" } else { "fail" },
            "trouble": server.trouble,
        })
    };
    reached.iter().map(server).collect()
}
