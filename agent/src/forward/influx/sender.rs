//! Lines → HTTP → verdict, and the splitting that finds a bad line. It keeps nothing.
//!
//! Invariants: `settle` says `Settled` only when each line was accepted or rejected for good; a request is bounded in
//! lines and bytes; the token stands in a header and never in a message.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use reqwest::{
    Client, RequestBuilder, Url,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

use super::{
    Config, Version,
    line::Line,
    verdict::{Reply, UNCLEAR, Verdict, class, excerpt, judge},
};
use crate::{health::Health, outbound};

/// Posts lines to one server.
pub(super) struct Sender {
    client: Client,
    url: Url,
    version: Version,
    batch_lines: usize,
    batch_bytes: usize,
    health: Health,
    name: String,
}

/// What became of lines.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// Each is in, or refused for good with the server's reason.
    Settled { sent: u64, rejected: Vec<(Line, String)> },
    /// All of them must go again.
    Later(Pause),
}

/// Why and how long to wait.
#[derive(Debug, PartialEq)]
pub(super) struct Pause {
    pub(super) why: String,
    pub(super) kind: PauseKind,
}

#[derive(Debug, PartialEq)]
pub(super) enum PauseKind {
    /// The server will be back.
    Retry(Option<Duration>),
    /// A person must act.
    Hold,
}

impl Sender {
    pub(super) fn new(config: &Config, health: &Health) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: outbound::tls_client(config.timeout)?,
            url: write_url(&config.url, &config.version),
            version: config.version.clone(),
            batch_lines: config.batch_lines.max(1),
            batch_bytes: config.batch_bytes,
            health: health.clone(),
            name: config.name.clone(),
        })
    }

    /// Sends lines until each is settled, or the server cannot now. The first refusal to answer ends it: what was
    /// accepted before goes again later and overwrites itself.
    pub(super) async fn settle(&self, lines: &[Line]) -> Outcome {
        let (mut sent, mut rejected) = (0, Vec::new());
        for batch in batches(lines, self.batch_lines, self.batch_bytes) {
            match self.settle_batch(batch).await {
                Ok((in_batch, refused)) => {
                    sent += in_batch;
                    rejected.extend(refused);
                }
                Err(pause) => return Outcome::Later(pause),
            }
        }
        Outcome::Settled { sent, rejected }
    }

    async fn settle_batch(&self, batch: Vec<&Line>) -> Result<(u64, Vec<(Line, String)>), Pause> {
        let (mut sent, refused) = self.split_down(batch).await?;
        let (doubtful, mut rejected): (Vec<_>, Vec<_>) =
            refused.into_iter().partition(|(_, why)| class(why) == UNCLEAR);
        // Nothing was taken, for no reason that speaks of lines: that is the set-up, not the data.
        if let ([(_, why), ..], 0, true) = (doubtful.as_slice(), sent, rejected.is_empty()) {
            let (why, kind) = (why.clone(), PauseKind::Hold);
            return Err(Pause { why, kind });
        }
        // The set-up may have been mended in between: such a line is heard once more before it is given up.
        for (line, _) in doubtful {
            let (in_now, refused) = self.split_down(vec![&line]).await?;
            sent += in_now;
            rejected.extend(refused);
        }
        Ok((sent, rejected))
    }

    /// Sends a batch, and again in parts where the server refuses some of it, until every line is in or refused.
    async fn split_down(&self, batch: Vec<&Line>) -> Result<(u64, Vec<(Line, String)>), Pause> {
        let (mut sent, mut refused, mut waiting) = (0, Vec::new(), vec![batch]);
        while let Some(mut lines) = waiting.pop() {
            match self.send(&lines).await {
                Verdict::Accepted => sent += lines.len() as u64,
                Verdict::Rejected { lines: indices, why } => {
                    for index in indices.into_iter().rev() {
                        refused.push((lines.remove(index).clone(), why.clone()));
                    }
                    if !lines.is_empty() {
                        waiting.push(lines);
                    }
                }
                Verdict::Split { .. } => {
                    let second = lines.split_off(lines.len() / 2);
                    waiting.extend([second, lines]);
                }
                Verdict::Retry { after, why } => {
                    let kind = PauseKind::Retry(after);
                    return Err(Pause { why, kind });
                }
                Verdict::Hold { why } => {
                    let kind = PauseKind::Hold;
                    return Err(Pause { why, kind });
                }
            }
        }
        Ok((sent, refused))
    }

    async fn send(&self, lines: &[&Line]) -> Verdict {
        let verdict = self.ask(lines).await;
        let labels = [("influx", self.name.as_str()), ("verdict", verdict.name())];
        self.health.counter("influx_batches_total", &labels).one();
        verdict
    }

    async fn ask(&self, lines: &[&Line]) -> Verdict {
        match self.post(lines).await {
            Ok((status, retry_after, body)) => {
                let reply = Reply {
                    status,
                    retry_after,
                    body: &body,
                };
                judge(Ok(reply), lines)
            }
            Err(error) => judge(Err(outbound::transport_error(error)), lines),
        }
    }

    async fn post(&self, lines: &[&Line]) -> Result<(u16, Option<Duration>, String), reqwest::Error> {
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .header(CONTENT_ENCODING, "gzip")
            .body(gzipped(lines));
        let response = authorised(request, &self.version).send().await?;
        let status = response.status().as_u16();
        let retry_after = outbound::retry_after(response.headers());
        Ok((status, retry_after, outbound::body_start(response).await?))
    }
}

/// The lines in requests of at most `most_lines` lines and `most_bytes` bytes before compression; a longer line goes
/// alone.
fn batches(lines: &[Line], most_lines: usize, most_bytes: usize) -> Vec<Vec<&Line>> {
    let mut batches: Vec<Vec<&Line>> = Vec::new();
    let mut bytes = 0;
    for line in lines {
        bytes += line.text.len() + 1;
        match batches.last_mut() {
            Some(batch) if batch.len() < most_lines && bytes <= most_bytes => batch.push(line),
            _ => {
                bytes = line.text.len() + 1;
                batches.push(vec![line]);
            }
        }
    }
    batches
}

fn gzipped(lines: &[&Line]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = lines.iter().try_for_each(|line| writeln!(encoder, "{}", line.text));
    written
        .and_then(|()| encoder.finish())
        .expect("writing into memory does not fail")
}

/// The server's address followed by `path`; a path of a proxy stays in front.
fn under(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

fn write_url(base: &Url, version: &Version) -> Url {
    let mut url;
    match version {
        Version::V1 { database, .. } => {
            url = under(base, "/write");
            url.query_pairs_mut().append_pair("db", database);
        }
        Version::V2 { org, bucket, .. } => {
            url = under(base, "/api/v2/write");
            url.query_pairs_mut()
                .append_pair("org", org)
                .append_pair("bucket", bucket);
        }
    }
    url.query_pairs_mut().append_pair("precision", "ms");
    url
}

fn authorised(request: RequestBuilder, version: &Version) -> RequestBuilder {
    match version {
        Version::V1 {
            username: Some(username),
            password,
            ..
        } => request.basic_auth(username, password.as_ref().map(crate::secret::Secret::expose)),
        Version::V1 { username: None, .. } => request,
        Version::V2 { token, .. } => request.header("Authorization", format!("Token {}", token.expose())),
    }
}

/// Why a question to a server had no good answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("asking {url} for {path}: {why}")]
pub struct AskError {
    url: String,
    path: &'static str,
    why: String,
}

/// How long a server may take to say who it is.
const ASK: Duration = Duration::from_secs(5);

/// The version that a server names at `/ping`; `None` when it answers without one (VictoriaMetrics does).
pub async fn version_of(url: &Url) -> Result<Option<String>, AskError> {
    let response = ask(url, "/ping", Client::get).await?;
    let version = response.headers().get("X-Influxdb-Version");
    Ok(version.and_then(|version| version.to_str().ok()).map(str::to_owned))
}

/// Whether a server would take lines: it is handed none. `Err` = why not; what it says of an empty request is no fault.
pub async fn reach(config: &Config) -> Result<(), String> {
    let sender = Sender::new(config, &Health::default()).map_err(outbound::transport_error)?;
    match sender.ask(&[]).await {
        Verdict::Accepted | Verdict::Rejected { .. } | Verdict::Split { .. } => Ok(()),
        Verdict::Retry { why, .. } | Verdict::Hold { why } => Err(why),
    }
}

/// Creates the database of a version 1 server where it is not there; does nothing for version 2.
pub async fn create_database(config: &Config) -> Result<(), AskError> {
    let Version::V1 { database, .. } = &config.version else {
        return Ok(());
    };
    let statement = format!(
        "CREATE DATABASE \"{}\"",
        database.replace('\\', "\\\\").replace('"', "\\\"")
    );
    let response = ask(&config.url, "/query", |client, mut url| {
        url.query_pairs_mut().append_pair("q", &statement);
        authorised(client.post(url), &config.version)
    })
    .await?;
    let body = outbound::body_start(response).await.unwrap_or_default();
    if body.contains("\"error\"") {
        return Err(ask_error(&config.url, "/query", excerpt(&body)));
    }
    Ok(())
}

async fn ask(
    base: &Url,
    path: &'static str,
    request: impl FnOnce(&Client, Url) -> RequestBuilder,
) -> Result<reqwest::Response, AskError> {
    let failed = |error| ask_error(base, path, outbound::transport_error(error));
    let client = outbound::tls_client(ASK).map_err(failed)?;
    let response = request(&client, under(base, path)).send().await.map_err(failed)?;
    if response.status().is_success() {
        return Ok(response);
    }
    Err(ask_error(base, path, format!("status {}", response.status())))
}

/// The address without what may be secret in it.
fn ask_error(url: &Url, path: &'static str, why: String) -> AskError {
    let url = url.origin().ascii_serialization();
    AskError { url, path, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_bounded_in_lines_and_bytes_and_lose_none() {
        let lines: Vec<Line> = ["aaaa", "bb", "c", "dddddddddddd", "e", "f", "g"]
            .map(|text| Line {
                at: jiff::Timestamp::UNIX_EPOCH,
                text: text.into(),
            })
            .into();
        let texts: Vec<Vec<&str>> = batches(&lines, 2, 8)
            .iter()
            .map(|batch| batch.iter().map(|line| line.text.as_str()).collect())
            .collect();
        assert_eq!(
            texts,
            [
                vec!["aaaa", "bb"],
                vec!["c"],
                vec!["dddddddddddd"],
                vec!["e", "f"],
                vec!["g"]
            ]
        );
    }

    #[test]
    fn addresses_keep_a_proxys_path_and_escape_names() {
        let v1 = Version::V1 {
            database: "plant a&b".into(),
            username: None,
            password: None,
        };
        let base = "http://host:8086/influx/".parse().unwrap();
        assert_eq!(
            write_url(&base, &v1).as_str(),
            "http://host:8086/influx/write?db=plant+a%26b&precision=ms"
        );
    }
}
