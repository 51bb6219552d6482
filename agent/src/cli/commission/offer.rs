//! What a search found: as a table, as JSON, and as devices of a hand-over sheet.
//!
//! It asks nothing. Invariant: what is not sure says so.

use std::time::Duration;

use serde_json::json;

use super::{
    super::table::{table, wrapped},
    faults::{Told, by_kind, told},
    ranges::Ranges,
    say,
    scan::{Device, Found},
    sheet::{self, ProfileLine, Sheet},
};
use crate::{
    config::{bus::written, model::Model},
    language::Language,
};

/// What is offered, and how.
pub(super) struct Offer<'a> {
    pub(super) found: &'a Found,
    pub(super) models: &'a [Model],
    pub(super) ranges: &'a Ranges,
    pub(super) language: Language,
    pub(super) took: Duration,
}

/// Silent lines that are named at most; the JSON has all.
const LINES_AT_MOST: usize = 8;
/// Names in a row of the table at most.
const NAMES_AT_MOST: usize = 3;

impl Offer<'_> {
    pub(super) fn say<'b>(&self, ko: &'b str, en: &'b str) -> &'b str {
        say(self.language, ko, en)
    }

    /// The models that cannot be told apart, the best there are.
    pub(super) fn best<'b>(&'b self, device: &Device) -> Vec<&'b Model> {
        let best = device.candidates.iter().take(device.n_alike);
        best.map(|candidate| &self.models[candidate.model]).collect()
    }

    /// Names of profiles, as many as fit.
    fn names(&self, models: &[&Model]) -> String {
        let names: Vec<&str> = models
            .iter()
            .take(NAMES_AT_MOST)
            .map(|model| model.name.as_str())
            .collect();
        let more = if models.len() > NAMES_AT_MOST { " …" } else { "" };
        names.join(self.say(" 또는 ", " or ")) + more
    }
}

/// For people.
pub(super) fn text(offer: &Offer<'_>) -> String {
    let found = offer.found;
    let mut text = String::new();
    if !found.devices.is_empty() {
        let head = [
            offer.say("회선", "line"),
            offer.say("국번", "unit"),
            offer.say("말하는 이름", "says"),
            "",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(found.devices.iter().map(|device| {
            let says = own_name(device);
            let line = its_end(&device.transport.to_string(), 44);
            let says = says.chars().take(24).collect();
            vec![line, device.unit.to_string(), says, String::new()]
        }));
        for (nth, row) in table(&rows, &[false, true, false, false]).lines().enumerate() {
            text.extend([row, "\n"]);
            if let Some(device) = nth.checked_sub(1).and_then(|nth| found.devices.get(nth)) {
                text += &wrapped(&verdict(offer, device), 4);
            }
        }
    }
    text + &tail(offer)
}

/// The end of an address that is longer than this: there stand its speed, or what tells it from others.
fn its_end(address: &str, at_most: usize) -> String {
    let n = address.chars().count();
    if n <= at_most {
        return address.to_owned();
    }
    std::iter::once('…')
        .chain(address.chars().skip(n + 1 - at_most))
        .collect()
}

/// What one device is.
fn verdict(offer: &Offer<'_>, device: &Device) -> String {
    let best = offer.best(device);
    if let Some(unit) = device.same_as {
        return match offer.language {
            Language::Ko => format!("국번 {unit}과 적산값이 같음: 같은 장치로 보이며 설정에 넣지 않음"),
            Language::En => {
                format!("has the counters of unit {unit}: probably the same device, left out of the configuration")
            }
        };
    }
    match &best[..] {
        [] => offer
            .say(
                "응답하지만 아는 모델이 아님: wattwarden probe 와 설명서로 프로파일을 만드십시오 (profile new)",
                "answers, but is no model that is known: make a profile with wattwarden probe and its manual (profile new)",
            )
            .to_owned(),
        [one] => {
            let trust = if one.is_verified {
                offer.say("검증된 프로파일", "verified profile")
            } else {
                offer.say("검증되지 않은 프로파일", "profile not verified")
            };
            format!("→ {} ({} {}), {trust}; {}", one.name, one.maker, one.model, why(offer, device).join("; "))
        }
        several => {
            let names = offer.names(several);
            match offer.language {
                Language::Ko => format!("→ {names} 중 하나: 같은 레지스터를 써서 구별되지 않음. 명판을 보고 정하십시오"),
                Language::En => {
                    format!("→ could be {names}: these registers do not tell them apart; decide by the name plate")
                }
            }
        }
    }
}

/// What speaks for the best model.
fn why(offer: &Offer<'_>, device: &Device) -> Vec<String> {
    let Some(best) = device.candidates.first() else {
        return vec![];
    };
    let evidence = &best.evidence;
    let mut why = vec![];
    if evidence.is_named {
        why.push(
            offer
                .say("장치가 이 이름을 말함", "the device says this name")
                .to_owned(),
        );
    }
    if evidence.marks.0 > 0 {
        let is_sunspec = offer.models[best.model].limits.sunspec.is_some();
        why.push(if is_sunspec {
            offer
                .say("SunSpec 체인에 이 모델이 있음", "its SunSpec chain has this model")
                .to_owned()
        } else {
            offer
                .say("지문 레지스터가 맞음", "its fingerprint registers hold")
                .to_owned()
        });
    }
    let (right, wrong) = evidence.values;
    if right > 0 {
        why.push(match offer.language {
            Language::Ko => format!("값 {}개 중 {right}개가 그럴듯함", right + wrong),
            Language::En => format!("{right} of {} values are plausible", right + wrong),
        });
    }
    why
}

/// What a device says of itself.
pub(super) fn said(device: &Device) -> Vec<(String, String)> {
    let identity = device
        .identity
        .named()
        .map(|(name, text)| (name.to_owned(), text.to_owned()));
    let common = device
        .common
        .iter()
        .map(|(name, text)| (format!("sunspec_{name}"), text.clone()));
    let server = device.server_id.clone().map(|text| ("server_id".to_owned(), text));
    identity.chain(common).chain(server).collect()
}

/// What a device calls itself, in short: SunSpec's common model is its own, the rest may be a gateway's.
fn own_name(device: &Device) -> String {
    let said = said(device);
    let text = |key: &str| said.iter().find(|(name, _)| name == key).map(|(_, text)| text.as_str());
    let pairs = [("sunspec_maker", "sunspec_model"), ("vendor", "product_code")];
    let found = pairs
        .into_iter()
        .find_map(|(maker, model)| Some(format!("{} {}", text(maker)?, text(model)?)));
    found
        .or_else(|| said.first().map(|(_, text)| text.clone()))
        .unwrap_or_default()
}

/// What was asked in vain, how long it took, what comes next.
fn tail(offer: &Offer<'_>) -> String {
    let found = offer.found;
    let mut text = String::new();
    let unreachable = found.unreachable.iter().map(|(line, trouble)| (line, trouble));
    for (Told { what, fix, .. }, n) in by_kind(unreachable, offer.language) {
        text += &wrapped(&format!("✗ {n} × {what}"), 0);
        if found.devices.is_empty() {
            text += &wrapped(&format!("→ {fix}"), 2);
        }
    }
    for line in found.silent.iter().take(LINES_AT_MOST) {
        let is_mute = !found.otherwise.iter().any(|(of, ..)| of == line);
        let no_registers = offer.say(
            "연결되지만 어느 국번도 레지스터를 주지 않음",
            "connects, but no unit gives registers",
        );
        let fix = offer.say("국번 범위, 속도, 배선을 확인", "check units, speed and wiring");
        let end = if is_mute { format!("; {fix}") } else { String::new() };
        text += &wrapped(&format!("✗ {}: {no_registers}{end}", written(line)), 0);
    }
    text += &otherwise(offer);
    if let Some(more) = found.silent.len().checked_sub(LINES_AT_MOST).filter(|more| *more > 0) {
        text.extend([match offer.language {
            Language::Ko => format!("  그 밖에 {more}개 (--json)\n"),
            Language::En => format!("  and {more} more (--json)\n"),
        }]);
    }
    if found.is_cut {
        text += &wrapped(
            offer.say(
                "시간이 다 되어 끝까지 검색하지 못했습니다 (--at-most).",
                "The time was up before the end of the search (--at-most).",
            ),
            0,
        );
    }
    let (n, requests, s) = (found.devices.len(), found.n_requests, offer.took.as_secs());
    text.extend([match offer.language {
        Language::Ko => format!("장치 {n}개, 요청 {requests}개, {s}초. 읽기만 했습니다.\n"),
        Language::En => format!(
            "{n} device{}, {requests} requests, {s} s. Nothing was written to any device.\n",
            if n == 1 { "" } else { "s" }
        ),
    }]);
    text
}

/// What units said that gave no registers, by its kind.
fn otherwise(offer: &Offer<'_>) -> String {
    let said = offer.found.otherwise.iter().map(|(line, _, trouble)| (line, trouble));
    let shown = |(told, n): (Told, usize)| {
        let what = match offer.language {
            Language::Ko => format!("✗ 국번 {n}개는 장치로 보지 않음: {}", told.what),
            Language::En => {
                let subject = if n == 1 {
                    "1 address answers but is no device"
                } else {
                    &format!("{n} addresses answer but are no devices")
                };
                format!("✗ {subject}: {}", told.what)
            }
        };
        wrapped(&what, 0) + &wrapped(&format!("→ {}", told.fix), 2)
    };
    by_kind(said, offer.language).into_iter().map(shown).collect()
}

/// For programs.
pub(super) fn json(offer: &Offer<'_>, sheet: &Sheet) -> serde_json::Value {
    let found = offer.found;
    let models: Vec<_> = found
        .devices
        .iter()
        .map(|device| {
            json!({
                "address": written(&device.transport),
                "unit": device.unit,
                "same_as_unit": device.same_as,
                "is_sure": device.n_alike == 1,
                "candidates": device.candidates.iter().map(|candidate| json!({
                    "profile": offer.models[candidate.model].name,
                    "says_its_name": candidate.evidence.is_named,
                    "fingerprints": candidate.evidence.marks.0,
                    "plausible": candidate.evidence.values.0,
                    "implausible": candidate.evidence.values.1,
                })).collect::<Vec<_>>(),
                "sunspec": device.chain.iter().map(|model| json!({"id": model.id, "at": model.at, "length": model.length}))
                    .collect::<Vec<_>>(),
            })
        })
        .collect();
    let unreachable = found.unreachable.iter().map(|(line, trouble)| {
        let told = told(trouble, line, offer.language);
        json!({"address": written(line), "key": told.key, "what": told.what, "fix": told.fix})
    });
    let otherwise = found.otherwise.iter().map(|(line, unit, trouble)| {
        let told = told(trouble, line, offer.language);
        json!({"address": written(line), "unit": unit, "key": told.key, "what": told.what, "fix": told.fix})
    });
    json!({
        "devices": models,
        "unreachable": unreachable.collect::<Vec<_>>(),
        "silent": found.silent.iter().map(written).collect::<Vec<_>>(),
        "answered_otherwise": otherwise.collect::<Vec<_>>(),
        "requests": found.n_requests,
        "took_s": offer.took.as_secs_f64(),
        "is_complete": !found.is_cut,
        "sheet": sheet,
    })
}

/// For those who take the meters over.
pub(super) fn devices(offer: &Offer<'_>) -> Vec<sheet::Device> {
    let named = named(offer.found);
    let device = |(device, name): (&Device, &Option<String>)| {
        let best = offer.best(device);
        let is_sure = best.len() == 1;
        let transport = &device.transport;
        if device.same_as.is_some() {
            // The first of them has the values.
            return sheet::Device {
                address: written(transport),
                unit: device.unit,
                says: said(device),
                open: vec![verdict(offer, device)],
                ..sheet::Device::default()
            };
        }
        sheet::Device {
            name: name.clone(),
            address: written(transport),
            unit: device.unit,
            model: best
                .first()
                .filter(|_| is_sure)
                .map(|model| format!("{} {}", model.maker, model.model)),
            identified_by: why(offer, device),
            could_be: if is_sure {
                vec![]
            } else {
                best.iter().map(|model| model.name.clone()).collect()
            },
            profile: best.first().map(|model| ProfileLine::of(model)),
            says: said(device),
            values: device.live.values(offer.ranges, offer.language, |trouble| {
                told(trouble, transport, offer.language).what
            }),
            checks: device.live.checks(offer.ranges, offer.language),
            open: open(offer, device),
        }
    };
    offer.found.devices.iter().zip(&named).map(device).collect()
}

/// What is still to be done about a device.
fn open(offer: &Offer<'_>, device: &Device) -> Vec<String> {
    let (best, mut open) = (offer.best(device), vec![]);
    if device.live.has_values() {
        open.push(
            offer
                .say(
                    "값을 계측기 표시창과 비교",
                    "compare the values with the meter's display",
                )
                .to_owned(),
        );
    }
    if best.len() != 1 {
        open.push(
            offer
                .say("명판을 보고 모델을 정함", "decide the model by the name plate")
                .to_owned(),
        );
    }
    if best.first().is_some_and(|model| !model.is_verified) {
        open.push(
            offer
                .say(
                    "비교가 끝나면 프로파일을 복사해 verified = true 로 함",
                    "after the comparison copy the profile and set verified = true",
                )
                .to_owned(),
        );
    }
    if let Some(trouble) = &device.live.trouble {
        let told = told(trouble, &device.transport, offer.language);
        open.push(format!("{}: {}", told.what, told.fix));
    }
    open
}

/// Names of the devices that go into a configuration, in their order.
pub(super) fn named(found: &Found) -> Vec<Option<String>> {
    let mut n = 0;
    let name = |device: &Device| {
        let is_taken = device.same_as.is_none() && !device.candidates.is_empty();
        is_taken.then(|| {
            n += 1;
            format!("meter-{n}")
        })
    };
    found.devices.iter().map(name).collect()
}
