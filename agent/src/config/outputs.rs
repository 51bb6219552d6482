//! `[store]`, `[record]`, `[[influx]]`, `[[alert]]` and `[web]`: where readings and findings go.
//!
//! Each part's own `Config` says what it means; here it is only read and bounded.

use std::time::Duration;

use energy::{
    both,
    finding::{Severity, Title},
};
use toml::Spanned;

use super::{
    Context,
    diagnostic::Code,
    lines::{name, within},
    names::Names,
    read::{At, Table},
    secret_file, units,
};
use crate::{
    alert,
    forward::influx::{self, Version},
    record, store, web,
};

/// Size of the store when the file does not say: about a year of a hundred meters.
const USUAL_SIZE: u64 = 8 << 30;
/// Below this the store could not hold a day.
const LEAST_SIZE: u64 = 64 << 20;
/// Longest wait for a commit.
const USUAL_COMMIT: Duration = Duration::from_secs(1);
/// How late samples may arrive: one time-out and some clock error of MQTT devices.
const USUAL_LATENESS: Duration = Duration::from_secs(5);
/// Where the page listens when the file does not say.
const USUAL_LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 8420);

/// Reads `[store]`.
pub(super) fn store<'a>(context: &Context<'a>, root: &mut Table<'a>) -> store::Config {
    let mut config = store::Config {
        path: "/var/lib/wattwarden".into(),
        max_size: USUAL_SIZE,
    };
    let Some(mut table) = root.table("store") else {
        return config;
    };
    if let Some(path) = table.text("path") {
        config.path = context.folder.join(path.get_ref());
    }
    if let Some(size) = table.parsed("max_size", units::size) {
        if *size.get_ref() < LEAST_SIZE {
            let message = both!(
                "\"max_size\" 값은 64MiB 이상이어야 합니다. 그보다 작으면 하루 치도 담지 못합니다",
                "\"max_size\" must be at least 64MiB: less cannot hold a day"
            );
            context.file.report(Code::BadValue, size.span(), message);
        }
        config.max_size = size.into_inner();
    }
    table.finish();
    config
}

/// Reads `[record]`.
pub(super) fn record(root: &mut Table<'_>) -> record::Config {
    let mut config = record::Config {
        commit_every: USUAL_COMMIT,
        lateness: USUAL_LATENESS,
    };
    if let Some(mut table) = root.table("record") {
        let (least, minute) = (Duration::from_millis(10), Duration::from_mins(1));
        let commit_every = within(&mut table, "commit_every", least, minute);
        let lateness = within(&mut table, "lateness", Duration::ZERO, Duration::from_mins(10));
        table.finish();
        config.commit_every = commit_every.unwrap_or(config.commit_every);
        config.lateness = lateness.unwrap_or(config.lateness);
    }
    config
}

/// Reads `[web]`.
pub(super) fn web(root: &mut Table<'_>) -> web::Config {
    let mut config = web::Config {
        listen: USUAL_LISTEN.into(),
    };
    if let Some(mut table) = root.table("web") {
        let listen = table.parsed("listen", listen);
        if let Some(listen) = listen {
            if !listen.get_ref().ip().is_loopback() {
                let message = both!(
                    "화면을 {}에 열려고 합니다. 아직 로그인이 없으므로 이 컴퓨터에서만 열 수 있습니다",
                    "the page would listen on {}: it has no sign-in yet, so it stays on this machine",
                    listen.get_ref()
                );
                let help = both!(
                    "127.0.0.1:8420으로 쓰고 SSH 터널로 접속하십시오",
                    "write 127.0.0.1:8420 and reach it through an SSH tunnel"
                );
                table
                    .file()
                    .report_with(Code::NotLoopback, listen.span(), message, Some(help));
            }
            config.listen = listen.into_inner();
        }
        table.finish();
    }
    config
}

fn listen(text: &str) -> Result<std::net::SocketAddr, Title> {
    let text = text.replacen("localhost:", "127.0.0.1:", 1);
    text.parse().map_err(|_| {
        both!(
            "{text:?}은(는) 화면을 열 수 있는 주소가 아닙니다. \"127.0.0.1:8420\"처럼 쓰십시오",
            "{text:?} is not an address to listen on: write \"127.0.0.1:8420\""
        )
    })
}

/// Reads every `[[influx]]`.
pub(super) fn influx<'a>(context: &Context<'a>, root: &mut Table<'a>) -> Vec<influx::Config> {
    let mut names = Names::new(Title::same("InfluxDB"));
    root.tables("influx")
        .into_iter()
        .filter_map(|table| one_influx(context, table, &mut names))
        .collect()
}

fn one_influx(context: &Context<'_>, mut table: Table<'_>, names: &mut Names) -> Option<influx::Config> {
    let name = name(&mut table, names);
    let url = http_url(&mut table, "url");
    let version = table.integer("version", 1..=3);
    let version = table.required("version", version);
    let is_known = version.as_ref().is_some_and(|version| *version.get_ref() < 3);
    let version = version.and_then(|version| influx_version(context, &mut table, &version));
    let batch_lines = table.integer("batch_lines", 1..=100_000);
    let timeout = within(
        &mut table,
        "timeout",
        Duration::from_millis(100),
        Duration::from_mins(5),
    );
    if !is_known {
        table.pass_over(VERSION_KEYS);
    }
    table.finish();
    let mut config = influx::Config::new((*name?.get_ref()).to_owned(), url?, version?);
    if let Some(lines) = batch_lines {
        config.batch_lines = lines.into_inner() as usize;
    }
    config.timeout = timeout.unwrap_or(config.timeout);
    Some(config)
}

/// Keys of one version or another: while the version is wrong itself, complaining about them would only confuse.
const VERSION_KEYS: &[&str] = &["database", "username", "password_file", "org", "bucket", "token_file"];

fn influx_version(context: &Context<'_>, table: &mut Table<'_>, version: &At<i64>) -> Option<Version> {
    let mut owned = |key| {
        let text = table.text(key);
        table.required(key, text).map(|text| (*text.get_ref()).to_owned())
    };
    match version.get_ref() {
        1 => {
            let database = owned("database");
            let username = table.text("username").map(|user| (*user.get_ref()).to_owned());
            let password = secret_file::optional(context, table, "password_file");
            Some(Version::V1 {
                database: database?,
                username,
                password,
            })
        }
        2 => {
            let (org, bucket) = (owned("org"), owned("bucket"));
            let token = secret_file::required(context, table, "token_file");
            Some(Version::V2 {
                org: org?,
                bucket: bucket?,
                token: token?,
            })
        }
        _ => {
            let message = both!(
                "이 버전은 InfluxDB 1과 2를 지원하고 3은 아직 지원하지 않습니다",
                "InfluxDB 3 is not in this version: 1 and 2 are"
            );
            let help = both!(
                "InfluxDB 3은 버전 2 방식의 쓰기도 받습니다. version = 2에 org, bucket, token_file을 적어 보십시오",
                "InfluxDB 3 also takes writes of version 2: try version = 2 with org, bucket and token_file"
            );
            context
                .file
                .report_with(Code::NotInThisVersion, version.span(), message, Some(help));
            None
        }
    }
}

/// A required address with `http://` or `https://`, without a password in it.
fn http_url(table: &mut Table<'_>, key: &'static str) -> Option<reqwest::Url> {
    let text = table.text(key);
    let text = table.required(key, text)?;
    let file = table.file();
    let parsed = reqwest::Url::parse(text.get_ref()).ok();
    let Some(url) = parsed.filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host()) else {
        let message = both!(
            "{:?}은(는) 주소가 아닙니다. \"http://HOST:PORT\"처럼 쓰십시오",
            "{:?} is not an address: write \"http://HOST:PORT\"",
            text.get_ref()
        );
        file.report(Code::BadValue, text.span(), message);
        return None;
    };
    if url.password().is_some() {
        let message = both!(
            "주소에 비밀번호를 쓰면 안 됩니다. 파일을 복사할 때 함께 복사됩니다",
            "a password must not stand in an address: it would be copied with the file"
        );
        file.report(Code::PlainSecret, text.span(), message);
        return None;
    }
    Some(url)
}

const SEVERITIES: &[(&str, Severity)] = &[("p1", Severity::P1), ("p2", Severity::P2), ("p3", Severity::P3)];

/// Reads every `[[alert]]`.
pub(super) fn alerts(root: &mut Table<'_>) -> Vec<alert::Config> {
    let mut names = Names::new(both!("알림", "alert"));
    root.tables("alert")
        .into_iter()
        .filter_map(|table| one_alert(table, &mut names))
        .collect()
}

fn one_alert(mut table: Table<'_>, names: &mut Names) -> Option<alert::Config> {
    let name = name(&mut table, names);
    let webhook = http_url(&mut table, "webhook");
    let severity = table.choice("severity", SEVERITIES);
    table.finish();
    let severity = severity.map_or(Severity::P2, Spanned::into_inner);
    Some(alert::Config::new((*name?.get_ref()).to_owned(), webhook?, severity))
}
