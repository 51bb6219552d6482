//! `[[broker]]`, and the `[[meter]]`s that hang on one.
//!
//! What a meter takes from a payload is read in `payload.rs`. Invariant: every meter of a broker has a topic.

use std::time::Duration;

use energy::both;

use super::{
    Context, Secrets,
    diagnostic::Code,
    lines::{self, Lines, host_and_port},
    payload::{self, Captures},
    read::{At, File, Table},
    secret_file,
};
use crate::acquire::mqtt::{self, Identity, Trust, Url, Version};

const VERSIONS: &[(&str, Version)] = &[("3.1.1", Version::V3), ("5", Version::V5)];

/// Keep-alive of a broker that does not say: one that is cut off without a word is noticed within a minute.
const USUAL_KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Longest keep-alive: the protocol's limit, rounded down to hours.
const LONGEST_KEEP_ALIVE: Duration = Duration::from_hours(18);

/// The widest window of unacknowledged messages: more only costs memory, for the disk takes that many at once.
const MOST_WINDOW: i64 = 10_000;

/// Messages that brokers keep unacknowledged for a client, unless told otherwise (mosquitto: `max_inflight_messages`).
const BROKER_INFLIGHT: f64 = 20.0;
/// What a durable commit takes on a gateway's eMMC or SD card, s (default; measure on your own).
const SLOW_COMMIT_S: f64 = 0.05;

/// Reads one `[[broker]]`.
pub(super) fn broker(context: &Context<'_>, mut table: Table<'_>, lines: &mut Lines) {
    let file = context.file;
    let name = lines::name(&mut table, &mut lines.broker_names);
    let written = table.text("mqtt");
    let written = table.required("mqtt", written);
    let ca_file = file_of_tls(context, &mut table, "ca_file", written.as_ref());
    let identity = identity(context, &mut table, written.as_ref());
    let url = written.and_then(|url| {
        let found = mqtt_url(url.get_ref(), ca_file);
        if found.is_none() {
            let message = both!(
                "{:?}은(는) MQTT 브로커의 주소가 아닙니다",
                "{:?} is not the address of an MQTT broker",
                url.get_ref()
            );
            let help = both!(
                "mqtt://HOST:PORT처럼 쓰고, 암호화한 연결은 mqtts://HOST:PORT로 쓰십시오",
                "write mqtt://HOST:PORT, or mqtts://HOST:PORT for an encrypted one"
            );
            file.report_with(Code::BadValue, url.span(), message, Some(help));
        }
        found
    });
    let client_id = table.text("client_id");
    let username = table.text("username");
    let password = secret_file::optional(context, &mut table, "password_file");
    let version = table.choice("version", VERSIONS).map(toml::Spanned::into_inner);
    let keep_alive = lines::within(&mut table, "keep_alive", Duration::from_secs(5), LONGEST_KEEP_ALIVE);
    let window = table.integer("window", 1..=MOST_WINDOW);
    let status_topic = table.text("status_topic");
    if let Some(topic) = &status_topic {
        refuse_no_topic(file, topic);
    }
    let asks_for_births = table.flag("ask_for_births").unwrap_or(false);
    let span = table.span();
    table.finish();
    let (Some(name), Some(url)) = (name, url) else { return };
    let name = (*name.get_ref()).to_owned();
    if let Some(id) = &client_id {
        refuse_double(file, id, &url, &lines.brokers);
    }
    lines.broker_spans.insert(name.clone(), span.clone());
    let broker = mqtt::Config {
        client_id: client_id.map_or_else(String::new, |id| (*id.get_ref()).to_owned()),
        name,
        url,
        username: username.map(|user| (*user.get_ref()).to_owned()),
        password,
        version: version.unwrap_or_default(),
        // Whole seconds, as the protocol has it.
        keep_alive: Duration::from_secs(keep_alive.unwrap_or(USUAL_KEEP_ALIVE).as_secs()),
        window: window.map_or(mqtt::USUAL_WINDOW, |n| n.into_inner() as u16),
        identity,
        status_topic: status_topic.map(|topic| (*topic.get_ref()).to_owned()),
        asks_for_births,
        meters: vec![],
        sparkplug: vec![],
    };
    if let (Secrets::Read, Err(error)) = (context.secrets, mqtt::check_certificates(&broker)) {
        let help = both!(
            "사용자 wattwarden이 읽을 수 있는 PEM 파일이어야 하고, 인증서와 키가 서로 맞아야 합니다",
            "PEM files, readable by the user wattwarden; certificate and key belong together"
        );
        file.report_with(Code::SecretFile, span, error.text(), Some(help));
    }
    lines.brokers.push(broker);
}

/// What is published goes under one topic, and no filter is one.
fn refuse_no_topic(file: &File, topic: &At<&str>) {
    if topic.get_ref().is_empty() || topic.get_ref().contains(['+', '#', '\0']) {
        let message = both!(
            "{:?}은(는) 메시지를 보낼 수 있는 토픽이 아닙니다",
            "{:?} is not a topic that something can be published under",
            topic.get_ref()
        );
        file.report(Code::BadValue, topic.span(), message);
    }
}

/// Two sessions of one name end each other.
fn refuse_double(file: &File, id: &At<&str>, url: &Url, others: &[mqtt::Config]) {
    let is_same = |other: &&mqtt::Config| {
        (&other.url.host, other.url.port) == (&url.host, url.port) && other.client_id == *id.get_ref()
    };
    if let Some(other) = others.iter().find(is_same) {
        let message = both!(
            "같은 주소의 브로커 {:?}도 client_id가 {:?}입니다. 두 연결이 서로를 끊게 됩니다",
            "broker {:?} at the same address has client_id {:?} too: each connection would end the other",
            other.name,
            id.get_ref()
        );
        let help = Some(both!(
            "client_id를 서로 다르게 하거나 [[broker]]를 하나로 합치십시오",
            "give each its own, or write one [[broker]]"
        ));
        file.report_with(Code::Contradiction, id.span(), message, help);
    }
}

/// A file that only an encrypted connection has use for.
fn file_of_tls(
    context: &Context<'_>,
    table: &mut Table<'_>,
    key: &'static str,
    url: Option<&At<&str>>,
) -> Option<std::path::PathBuf> {
    let path = table.text(key)?;
    if url.is_some_and(|url| url.get_ref().starts_with("mqtt://")) {
        let message = match key {
            "ca_file" => both!(
                "\"ca_file\" 설정은 효과가 없습니다. mqtt:// 연결은 암호화하지 않습니다",
                "\"ca_file\" vouches for nobody here: what goes to mqtt:// is not encrypted"
            ),
            key => both!(
                "{key:?} 설정은 효과가 없습니다. mqtt:// 연결은 암호화하지 않습니다",
                "{key:?} is shown to nobody here: what goes to mqtt:// is not encrypted"
            ),
        };
        let help = Some(both!(
            "브로커가 지원하면 mqtts://로 쓰십시오",
            "write mqtts:// if the broker offers it"
        ));
        context.file.report_with(Code::NoEffect, path.span(), message, help);
    }
    Some(context.folder.join(path.get_ref()))
}

/// Our own certificate: both of its files or none.
fn identity(context: &Context<'_>, table: &mut Table<'_>, url: Option<&At<&str>>) -> Option<Identity> {
    let cert_file = file_of_tls(context, table, "cert_file", url);
    let key_file = file_of_tls(context, table, "key_file", url);
    if cert_file.is_some() != key_file.is_some() {
        let title = table.title();
        let message = both!(
            [title],
            "{title}에 \"cert_file\" 키와 \"key_file\" 키 중 하나만 있습니다",
            "{title} has only one of \"cert_file\" and \"key_file\""
        );
        let help = Some(both!(
            "인증서는 개인 키와 함께 써야 합니다. 두 파일을 모두 적으십시오",
            "a certificate is shown with its private key: name both files"
        ));
        context.file.report_with(Code::MissingKey, table.span(), message, help);
    }
    Some(Identity {
        cert_file: cert_file?,
        key_file: key_file?,
    })
}

/// `mqtt://HOST:PORT`, or `mqtts://` with the authorities of `ca_file`, else those that browsers believe.
fn mqtt_url(text: &str, ca_file: Option<std::path::PathBuf>) -> Option<Url> {
    let (rest, usual, tls) = match text.strip_prefix("mqtt://") {
        Some(rest) => (rest, 1883, false),
        None => (text.strip_prefix("mqtts://")?, 8883, true),
    };
    let (host, port) = host_and_port(rest.strip_suffix('/').unwrap_or(rest), usual)?;
    let tls = tls.then(|| ca_file.map_or(Trust::WebRoots, Trust::CaFile));
    Some(Url { host, port, tls })
}

/// Hangs the meters of one `[[meter]]` on their broker.
pub(super) fn meters(
    context: &Context<'_>,
    table: &mut Table<'_>,
    broker: &At<&str>,
    (names, each): (&[At<String>], &[Captures<'_>]),
    lines: &mut Lines,
) {
    let is_known = lines.broker_names.find(context.file, broker);
    let line = lines
        .brokers
        .iter_mut()
        .find(|line| is_known && line.name == *broker.get_ref());
    let pairs = names.iter().map(|name| name.get_ref().as_str()).zip(each);
    if table.has("sparkplug") {
        let found = payload::sparkplug_meters(table, pairs, each);
        if let Some(line) = line {
            line.sparkplug.extend(found);
        }
        return;
    }
    let topic = table.text("topic");
    let topic = table.required("topic", topic);
    let profile = lines::either_profile(context, table, "values");
    let zone = payload::zone(table);
    let payloads = profile.map(|profile| profile.payloads.in_zone(zone, context.file));
    let (Some(topic), Some(payloads)) = (topic, payloads) else {
        return;
    };
    for captures in each {
        payload::check_topic(context.file, captures, &topic, &payloads);
    }
    if let Some(line) = line {
        line.meters
            .extend(pairs.flat_map(|(name, captures)| captures.topic_meters(name, topic.get_ref(), &payloads)));
    }
}

impl Lines {
    /// Warns where a broker would hold messages back: it sends no more than its limit before the commit that holds the
    /// ones before has been acknowledged, and commits as soon as one waits.
    pub(super) fn warn_of_throttling(&self, context: &Context<'_>) {
        for broker in &self.brokers {
            let per_second: f64 = broker
                .meters
                .iter()
                .filter_map(|topic| self.meters.iter().find(|meter| meter.name == topic.name))
                .map(|meter| 1.0 / meter.every.as_secs_f64())
                .sum();
            let most_per_second = BROKER_INFLIGHT / SLOW_COMMIT_S;
            if per_second > most_per_second {
                let message = both!(
                    "브로커 {:?}: 초당 메시지 {per_second:.0}건이 필요한데, 확인 응답을 기다리는 메시지가 통상의 한도인 \
                     {BROKER_INFLIGHT}건이면 느린 디스크는 초당 {most_per_second:.0}건만 통과시킵니다",
                    "broker {:?}: {per_second:.0} messages a second are asked for; with {BROKER_INFLIGHT} unacknowledged, \
                     the usual limit, a slow disk lets {most_per_second:.0} through",
                    broker.name
                );
                let help = both!(
                    "브로커의 한도(mosquitto: max_inflight_messages)를 늘리거나 보내는 주기를 길게 하십시오",
                    "raise the broker's limit (mosquitto: max_inflight_messages), or publish less often"
                );
                let span = self.broker_spans.get(&broker.name).cloned().unwrap_or(0..0);
                context
                    .file
                    .report_with(Code::BrokerThrottles, span, message, Some(help));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encrypted_broker_has_its_own_port_and_somebody_to_believe() {
        let encrypted = mqtt_url("mqtts://b", None).map(|url| (url.port, url.tls));
        assert_eq!(encrypted, Some((8883, Some(Trust::WebRoots))));
        assert_eq!(mqtt_url("http://b", None), None);
    }
}
