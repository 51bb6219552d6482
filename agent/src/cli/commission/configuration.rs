//! What a search found, as a configuration ready to check.
//!
//! It writes no file. Invariants: what is not sure says so; the configuration has been through the same checks as
//! `wattwarden check` before it is handed out.

use std::{fmt::Write as _, path::Path, process::ExitCode, time::Duration};

use super::{
    offer::{Offer, named, said},
    refused,
    scan::Device,
};
use crate::{
    acquire::modbus::Transport,
    config::{self, Secrets, bus::written, diagnostic::Source},
    language::Language,
};

/// Periods tried for a bus, the fastest that its line can give is written.
const PERIODS: [&str; 7] = ["1s", "2s", "5s", "10s", "30s", "1m", "5m"];
/// Answers that take so long are said, so that a period is chosen that they can keep.
const SLOW: Duration = Duration::from_millis(20);
/// What a search cannot know, to be filled in.
const TO_FILL_IN: &str = "\
# shifts = { day = \"mon-fri 08:00-18:00\" }
# main_meter = \"meter-1\"
#
# [[contract]]
# from = \"2026-01-01\"
# tariff = \"kepco-industrial-b-high-a-2\"
# contract_kw = 500
";

/// A configuration that has been checked: each line as fast as it can give.
pub(super) fn of(offer: &Offer<'_>, site: (&str, &str), path: &Path) -> Result<String, ExitCode> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut refusal = vec![];
    for period in PERIODS {
        let text = written_out(offer, site, period);
        match config::parse(
            Source::new(&path.display().to_string(), &text),
            folder,
            Secrets::LeaveOut,
        ) {
            Ok(_) => return Ok(text),
            Err(found) => refusal = found,
        }
    }
    Err(refused(&refusal))
}

fn written_out(offer: &Offer<'_>, (site, zone): (&str, &str), period: &str) -> String {
    let language = if offer.language == Language::Ko { "ko" } else { "en" };
    let mut text = format!(
        "# {}\n\n[site]\nname = {site:?}\nzone = {zone:?}\nlanguage = \"{language}\"\n{}{TO_FILL_IN}",
        offer.say(
            "wattwarden discover 가 쓴 설정. 이름과 구역을 현장에 맞게 고치고 check --live 로 확인하십시오.",
            "Written by wattwarden discover. Give the meters their names, then look at check --live.",
        ),
        offer.say(
            "# 비가동 시간 부하, 사업장의 수요전력, 금액도 판단하려면 아래에서 #을 지우고 고치십시오 (config/README.md).\n",
            "# Take the # away and mend, and load outside working hours, the site's demand and money are judged too.\n",
        )
    );
    let names = named(offer.found);
    let mut lines: Vec<&Transport> = vec![];
    for device in offer
        .found
        .devices
        .iter()
        .filter(|device| !device.candidates.is_empty())
    {
        if !lines.contains(&&device.transport) {
            lines.push(&device.transport);
        }
    }
    for (nth, line) in lines.iter().enumerate() {
        let (nth, address) = (nth + 1, written(line));
        write!(
            text,
            "\n[[bus]]\nname = \"bus-{nth}\"\nmodbus = {address:?}\nevery = \"{period}\"\n"
        )
        .ok();
        let here = offer
            .found
            .devices
            .iter()
            .zip(&names)
            .filter(|(device, _)| device.transport == **line);
        for (device, name) in here {
            let Some(name) = name else { continue };
            text += &meter(offer, device, name, nth);
        }
    }
    for device in offer.found.devices.iter().filter(|device| device.candidates.is_empty()) {
        let (address, unit) = (written(&device.transport), device.unit);
        let why = offer.say("모르는 모델이 응답함", "an unknown model answers");
        write!(text, "\n# {why}: {address} unit {unit}\n").ok();
    }
    text
}

fn meter(offer: &Offer<'_>, device: &Device, name: &str, bus: usize) -> String {
    let best = offer.best(device);
    let mut text = String::from("\n");
    for (key, said) in said(device) {
        writeln!(text, "# {key}: {said}").ok();
    }
    if best.len() > 1 {
        let names: Vec<&str> = best.iter().map(|model| model.name.as_str()).collect();
        let lead = offer.say("명판을 보고 고를 것", "decide by the name plate");
        writeln!(text, "# {lead}: {}", names.join(", ")).ok();
    }
    let (unit, profile) = (device.unit, best.first().map_or("", |model| model.name.as_str()));
    write!(
        text,
        "[[meter]]\nname = \"{name}\"\nbus = \"bus-{bus}\"\nunit = {unit}\nprofile = \"{profile}\"\n"
    )
    .ok();
    // A serial line's own time is reckoned anyway; how long a gateway takes only the answers have shown.
    let latency = device.live.latency();
    if latency >= SLOW && !matches!(device.transport, Transport::Rtu { .. }) {
        writeln!(text, "latency = \"{}ms\"", latency.as_micros().div_ceil(1000)).ok();
    }
    text
}
