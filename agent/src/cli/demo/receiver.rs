//! The InfluxDB that a demo also sends to: of which version it is, what it needs, and what it was given in the end.
//!
//! It sends nothing itself.

use std::fs;

use reqwest::Url;

use super::{DemoArgs, Failure};
use crate::{
    cli::{INPUT, NO_ANSWER},
    forward::influx,
    health::Health,
    language::Language,
    secret::Secret,
};

/// Database that the demo makes in an InfluxDB 1.
const DATABASE: &str = "wattwarden_demo";
/// Name of the receiver in the counters.
const NAME: &str = "demo";

/// The address of an InfluxDB.
pub(super) fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok();
    url.filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host())
        .ok_or_else(|| "write it as http://HOST:PORT, or https://HOST:PORT".to_owned())
}

/// The InfluxDB at `url`, of the version it says it is; version 1 is given a database.
pub(super) async fn config(args: &DemoArgs, url: &Url) -> Result<influx::Config, Failure> {
    let no_answer = |error: influx::AskError| {
        let hint = "is an InfluxDB there? --influx takes the address it listens on, as http://127.0.0.1:8086";
        Failure::new(NO_ANSWER, format!("{error}\n{hint}"))
    };
    let said = influx::version_of(url).await.map_err(no_answer)?;
    let is_1 = said
        .as_deref()
        .is_some_and(|version| version.trim_start_matches('v').starts_with("1."));
    if !is_1 {
        return version_2(args, url, said.as_deref());
    }
    for option in options_of_2(args) {
        let version = said.as_deref().unwrap_or_default();
        eprintln!("warning: {option} has no effect: {url} says {version}, which has databases ({DATABASE} is used)");
    }
    let version = influx::Version::V1 {
        database: DATABASE.into(),
        username: None,
        password: None,
    };
    let config = influx::Config::new(NAME.into(), url.clone(), version);
    let made = influx::create_database(&config).await;
    made.map_err(|error| Failure::new(NO_ANSWER, format!("making the database {DATABASE}: {error}")))?;
    Ok(config)
}

/// Options given that mean something to an InfluxDB 2 only.
fn options_of_2(args: &DemoArgs) -> Vec<&'static str> {
    let given = [
        ("--influx-org", args.influx_org.is_some()),
        ("--influx-bucket", args.influx_bucket.is_some()),
        ("--influx-token-file", args.influx_token_file.is_some()),
    ];
    given
        .into_iter()
        .filter_map(|(option, is_given)| is_given.then_some(option))
        .collect()
}

fn version_2(args: &DemoArgs, url: &Url, said: Option<&str>) -> Result<influx::Config, Failure> {
    let wanted = |what: &str, option: &str| {
        let version = said.unwrap_or("no version");
        Failure::new(
            INPUT,
            format!("{url} says {version}: InfluxDB 2 needs {what}; give {option}"),
        )
    };
    let org = args.influx_org.clone();
    let org = org.ok_or_else(|| wanted("an organisation", "--influx-org NAME"))?;
    let bucket = args.influx_bucket.clone();
    let bucket = bucket.ok_or_else(|| wanted("a bucket", "--influx-bucket NAME"))?;
    let path = args.influx_token_file.as_ref();
    let path = path.ok_or_else(|| wanted("a token", "--influx-token-file FILE"))?;
    let token = fs::read_to_string(path)
        .map_err(|error| Failure::new(INPUT, format!("reading {}: {error}", path.display())))?;
    let version = influx::Version::V2 {
        org,
        bucket,
        token: Secret::new(token.trim().to_owned()),
    };
    Ok(influx::Config::new(NAME.into(), url.clone(), version))
}

/// What the server has taken, what it refused, and what has not reached it.
pub(super) fn delivered(health: &Health, language: Language) -> String {
    let sum = |name: &str| -> f64 {
        let series = health.snapshot().into_iter();
        let of_name = series.filter(|(series, _)| series.name == name);
        of_name.map(|(_, value)| value).fold(0.0, |sum, value| sum + value)
    };
    let (accepted, refused) = (sum("influx_lines_sent_total"), sum("influx_lines_rejected_total"));
    let waiting = sum("influx_backlog_rows");
    let why = match (accepted > 0.0, language) {
        (true, _) => "",
        (false, Language::Ko) => " (이유는 위 경고 참조)",
        (false, Language::En) => " (the warnings above say why)",
    };
    match language {
        Language::Ko => {
            format!("InfluxDB: {accepted}점 저장{why}, {refused}점 거부, 로그 {waiting}행은 아직 보내지 않음\n")
        }
        Language::En => {
            format!(
                "InfluxDB: {accepted} points accepted{why}, {refused} refused, {waiting} rows of the log not sent\n"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_with_a_host() {
        for (text, is_good) in [
            ("http://127.0.0.1:8086", true),
            ("https://influx.plant", true),
            ("ftp://x", false),
            ("127.0.0.1:8086", false),
            ("", false),
        ] {
            assert_eq!(address(text).is_ok(), is_good, "{text}");
        }
    }

    #[test]
    fn it_is_said_what_was_delivered() {
        let health = Health::default();
        let labels = [("influx", "demo")];
        health.gauge("influx_backlog_rows", &labels).set(7.0);
        let nothing =
            "InfluxDB: 0 points accepted (the warnings above say why), 0 refused, 7 rows of the log not sent\n";
        assert_eq!(delivered(&health, Language::En), nothing);
        health.counter("influx_lines_sent_total", &labels).add(120);
        let labels = [("influx", "demo"), ("reason", "type_conflict")];
        health.counter("influx_lines_rejected_total", &labels).add(2);
        let some = "InfluxDB: 120 points accepted, 2 refused, 7 rows of the log not sent\n";
        assert_eq!(delivered(&health, Language::En), some);
    }
}
