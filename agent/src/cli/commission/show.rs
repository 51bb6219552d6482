//! What `probe` found, as text, as JSON, and as a hand-over sheet. Pure.
//!
//! It asks nothing. Invariants: lines fit 80 columns; where two ways to read fit, both are told, how to decide beside
//! them, and neither is called right.

use serde_json::json;

use super::{
    super::table::{table, wrapped},
    block::{self, Fit, Reading, Sought, form_name, order_name},
    number,
    probe::{Found, Tried},
    ranges::Ranges,
    say,
    sheet::{Device, ProfileLine, Sheet, Value, hex},
};
use crate::{
    acquire::modbus::{ByteOrder, Point, RegisterForm, Table, ask::Block, decode},
    config::{bus::written, model::Model},
    language::Language,
};

/// What is shown, and how.
pub(super) struct Shown<'a> {
    pub(super) found: &'a Found,
    pub(super) sought: Sought<'a>,
    pub(super) model: Option<&'a Model>,
    pub(super) ranges: &'a Ranges,
    pub(super) language: Language,
}

/// Ways that fit, in the text at most; the JSON has all of them.
const FITS_AT_MOST: usize = 8;
/// Registers in a line.
const WORDS_A_LINE: usize = 12;

impl Shown<'_> {
    fn say<'b>(&self, ko: &'b str, en: &'b str) -> &'b str {
        say(self.language, ko, en)
    }

    fn fits(&self, block: &Block) -> Vec<Fit> {
        block::fitting(&block::readings(block.at, &block.words), self.sought)
    }

    /// Whether a neighbouring address fits as well, so that the one asked for may be off by one.
    fn has_rivals(&self) -> bool {
        !self.found.neighbours.is_empty()
    }

    /// What is looked for, behind a number.
    fn kind(&self) -> String {
        match self.sought {
            Sought::Kind(range) | Sought::Value(_, Some(range)) => format!(" ({})", range.title(self.language)),
            _ => String::new(),
        }
    }

    fn unit(&self) -> &str {
        match self.sought {
            Sought::Kind(range) | Sought::Value(_, Some(range)) => &range.unit,
            _ => "",
        }
    }
}

/// For people.
pub(super) fn text(shown: &Shown<'_>) -> String {
    let found = shown.found;
    let Some(block) = &found.block else {
        return silent(shown);
    };
    let mut text = detours(shown);
    let function = found.asked.table.function();
    let (unit, n, ms) = (found.asked.unit, block.words.len(), block.took.as_millis());
    let head = match shown.language {
        Language::Ko => format!(
            "국번 {unit} 응답 {ms} ms (기능 코드 {function:02}, 레지스터 {n}개, {})",
            written(&found.transport)
        ),
        Language::En => format!(
            "unit {unit} answered in {ms} ms (function {function:02}, {n} register{}, {})",
            if n == 1 { "" } else { "s" },
            written(&found.transport)
        ),
    };
    text += &wrapped(&head, 0);
    for (nth, words) in block.words.chunks(WORDS_A_LINE).enumerate() {
        let at = block.at as usize + nth * WORDS_A_LINE;
        text.extend([format!("  @{at:<6} {}\n", hex(words).join(" "))]);
    }
    let readings = block::readings(block.at, &block.words);
    text += &ways(&readings, block.at, shown);
    text += &named(shown, block);
    text += &verdict(shown, block);
    text
}

/// What was tried before something answered.
fn detours(shown: &Shown<'_>) -> String {
    let tried = &shown.found.tried;
    let failed = tried.iter().take_while(|tried| tried.trouble.is_some());
    let mut text = String::new();
    for Tried { what, trouble } in failed {
        let Some(trouble) = trouble else { continue };
        text += &wrapped(&format!("✗ {what}: {}", trouble.what), 0);
    }
    if text.is_empty() || tried.iter().all(|tried| tried.trouble.is_some()) {
        return text;
    }
    text + &wrapped(&answered(shown), 0) + "\n"
}

/// What is answered in place of what was asked for, and what that means.
fn answered(shown: &Shown<'_>) -> String {
    let (found, wanted) = (shown.found, shown.found.wanted);
    let (line, unit, at) = (written(&found.transport), found.asked.unit, found.asked.at);
    let function = found.asked.table.function();
    let failed = found.tried.iter().find_map(|tried| tried.trouble.as_ref());
    let fix = failed.map_or("", |trouble| trouble.fix.as_str());
    let is_elsewhere = (found.asked.table, at) != (wanted.table, wanted.at);
    match shown.language {
        Language::Ko if unit != wanted.unit => format!(
            "▶ 국번 {}은(는) 응답하지 않고 국번 {unit}이(가) 응답합니다. 찾는 장치라면 unit = {unit}, 다른 장치라면 → {fix}",
            wanted.unit
        ),
        Language::En if unit != wanted.unit => format!(
            "▶ unit {} does not answer, unit {unit} does: if it is the device you mean, write unit = {unit}; else → {fix}",
            wanted.unit
        ),
        Language::Ko if is_elsewhere => format!("▶ 이렇게 하면 응답합니다 → 기능 코드 {function}, 주소 {at}"),
        Language::En if is_elsewhere => format!("▶ this is answered → function {function}, address {at}"),
        Language::Ko => format!("▶ 이렇게 하면 응답합니다 → 설정에 modbus = \"{line}\", unit = {unit}"),
        Language::En => format!("▶ this is answered → write modbus = \"{line}\", unit = {unit}"),
    }
}

/// Nothing answered: what was tried, and what mends it.
fn silent(shown: &Shown<'_>) -> String {
    let mut text = String::new();
    let mut fixes: Vec<&str> = vec![];
    for Tried { what, trouble } in &shown.found.tried {
        let Some(trouble) = trouble else { continue };
        text += &wrapped(&format!("✗ {what}: {}", trouble.what), 0);
        if !fixes.contains(&trouble.fix.as_str()) {
            fixes.push(&trouble.fix);
        }
    }
    for fix in fixes {
        text += &wrapped(&format!("→ {fix}"), 2);
    }
    text
}

/// Every type in every order, from one register on.
fn ways(readings: &[Reading], at: u16, shown: &Shown<'_>) -> String {
    let here = |form: RegisterForm, order: ByteOrder| {
        let found = readings
            .iter()
            .find(|reading| (reading.at, reading.form, reading.order) == (at, form, order));
        found.map_or_else(String::new, |reading| number(reading.value))
    };
    let mut text = String::new();
    let (four, eight) = ByteOrder::ALL.split_at(4);
    for (orders, least) in [(four, 1), (eight, 4)] {
        let forms: Vec<_> = RegisterForm::ALL
            .into_iter()
            .filter(|(_, form)| form.registers() >= least)
            .filter(|(_, form)| readings.iter().any(|reading| reading.form == *form && reading.at == at))
            .collect();
        if forms.is_empty() {
            continue;
        }
        let title = format!("  {}@{at}", shown.say("형식", "type"));
        let mut rows = vec![[vec![title], orders.iter().map(|(name, _)| (*name).to_owned()).collect()].concat()];
        rows.extend(forms.into_iter().map(|(name, form)| {
            let cells = orders.iter().map(|(_, order)| here(form, *order)).collect();
            [vec![format!("  {name}")], cells].concat()
        }));
        text += &table(&rows, &[false, true, true, true, true]);
    }
    text
}

/// The points of a profile that lie in the block.
fn named(shown: &Shown<'_>, block: &Block) -> String {
    let Some(model) = shown.model else { return String::new() };
    let trust = if model.is_verified {
        shown.say("검증됨", "verified")
    } else {
        shown.say("검증되지 않음", "not verified")
    };
    let mut text = format!("{} {} ({trust}):\n", shown.say("프로파일", "profile"), model.name);
    let points = of_profile(shown, block);
    if points.is_empty() {
        text.extend([format!(
            "  {}\n",
            shown.say("이 구간에는 점이 없음", "no point in this block")
        )]);
    }
    for (point, value) in points {
        let (name, unit) = (point.quantity.name(), point.quantity.row().unit);
        text.extend([format!("  {name} @{} = {} {unit}\n", point.at, number(value))]);
    }
    text
}

fn of_profile<'a>(shown: &Shown<'a>, block: &Block) -> Vec<(&'a Point, f64)> {
    let Some(model) = shown.model else { return vec![] };
    let is_here = |point: &&Point| point.table == shown.found.asked.table;
    let points = model.points.iter().filter(is_here);
    points
        .filter_map(|point| Some((point, decode::reading(point, block.at, &block.words)?.value)))
        .collect()
}

fn way(fit: &Fit, unit: &str) -> String {
    let Reading { at, form, order, value } = &fit.reading;
    let unit = if unit.is_empty() {
        String::new()
    } else {
        format!(" {unit}")
    };
    let scaled = if fit.scale == 1.0 {
        format!("{}{unit}", number(*value))
    } else {
        format!("{} × {} = {}{unit}", number(*value), fit.scale, number(fit.value()))
    };
    format!("{} {} @{at} = {scaled}", form_name(*form), order_name(*order))
}

/// What fits, and how to decide where several do.
fn verdict(shown: &Shown<'_>, block: &Block) -> String {
    let fits = shown.fits(block);
    let mut text = String::new();
    match &fits[..] {
        [] => text += &nothing(shown),
        [one] => {
            let lead = match shown.sought {
                Sought::Anything => shown.say("▶ 유일하게 보통 크기의 수:", "▶ the only number of a usual size:"),
                _ if shown.has_rivals() => shown.say("▶ 여기서는 이렇게만 맞음:", "▶ fits here:"),
                _ => shown.say("▶ 유일하게 맞음:", "▶ the only way that fits:"),
            };
            text += &wrapped(&format!("{lead} {}", way(one, shown.unit())), 0);
            text += &wrapped(&toml_line(one, shown.found.asked.table), 2);
        }
        several => {
            text += &wrapped(
                &match shown.language {
                    Language::Ko => format!(
                        "▶ {}가지가 맞습니다{}. 그럴듯한 순서이며, 어느 것도 확정하지 않습니다:",
                        several.len(),
                        shown.kind()
                    ),
                    Language::En => format!(
                        "▶ {} ways fit{}, the likeliest first; none of them is claimed:",
                        several.len(),
                        shown.kind()
                    ),
                },
                0,
            );
            for fit in several.iter().take(FITS_AT_MOST) {
                text.extend([format!("  {}\n", way(fit, shown.unit()))]);
            }
            if several.len() > FITS_AT_MOST {
                let more = several.len() - FITS_AT_MOST;
                let rest = match shown.language {
                    Language::Ko => format!("그 밖에 {more}가지 (--json)"),
                    Language::En => format!("and {more} more (--json)"),
                };
                text += &wrapped(&rest, 2);
            }
            text += &wrapped(&format!("→ {}", how_to_decide(shown)), 2);
        }
    }
    text += &rivals(shown, &fits);
    let (at, counted) = (block.at, u32::from(block.at) + 1);
    text + &wrapped(
        &match shown.language {
            Language::Ko => format!("설명서는 1부터 세는 일이 많습니다: 설명서의 \"{counted}\" = 선로의 {at}"),
            Language::En => format!("Manuals often count from 1: \"{counted}\" in the manual is {at} on the wire."),
        },
        0,
    )
}

/// What fits at the neighbouring addresses.
fn rivals(shown: &Shown<'_>, fits: &[Fit]) -> String {
    let mut text = String::new();
    for neighbour in &shown.found.neighbours {
        for fit in shown.fits(neighbour).iter().take(2) {
            let lead = match fits {
                [] => shown.say("▶ 이웃 주소에서는 맞음:", "▶ at the neighbouring address it fits:"),
                _ => shown.say("▶ 이웃 주소에서도 맞음:", "▶ at the neighbouring address, too:"),
            };
            text += &wrapped(&format!("{lead} {}", way(fit, shown.unit())), 0);
        }
    }
    if fits.len() == 1 && shown.has_rivals() {
        text += &wrapped(&format!("→ {}", how_to_decide(shown)), 2);
    }
    text
}

fn nothing(shown: &Shown<'_>) -> String {
    let text = match shown.sought {
        Sought::Anything => shown.say(
            "보통 크기의 실수가 없습니다. 정수일 수 있으니 --expect 표시값 또는 --quantity 종류를 주십시오.",
            "No float of a usual size. It may be a whole number: say --expect (what the display shows) or --quantity.",
        ),
        _ => shown.say(
            "여기에는 찾는 값이 없습니다. 주소를 설명서와 다시 비교하고 --base 1, 다른 --fn 을 시도하십시오.",
            "Nothing here can be what you look for. Compare the address with the manual; try --base 1 or the other --fn.",
        ),
    };
    wrapped(text, 0)
}

fn how_to_decide<'a>(shown: &Shown<'a>) -> &'a str {
    match shown.sought {
        Sought::Value(..) => shown.say(
            "부하가 바뀔 때 다시 읽어 표시창을 따라가는 쪽을 고르십시오",
            "read again when the load has changed, and take the one that follows the display",
        ),
        _ => shown.say(
            "--expect 에 표시창의 값을 주거나, 전압 × 전류 또는 전력량계의 증가와 비교하십시오",
            "say --expect with what the display shows, or compare with voltage × current or the energy counter",
        ),
    }
}

/// Type, order and factor of a way.
fn way_name(fit: &Fit) -> String {
    let name = format!("{} {}", form_name(fit.reading.form), order_name(fit.reading.order));
    if fit.scale == 1.0 {
        name
    } else {
        format!("{name} × {}", fit.scale)
    }
}

/// The point as a configuration has it, where no table is that of holding registers.
fn toml_line(fit: &Fit, table: Table) -> String {
    let Reading { at, form, order, .. } = &fit.reading;
    let (form, order, scale) = (form_name(*form), order_name(*order), fit.scale);
    let table = match table {
        Table::Holding => "",
        Table::Input => "table = \"input\", ",
    };
    format!("{{ at = {at}, {table}type = \"{form}\", order = \"{order}\", scale = {scale}, quantity = \"…\" }}")
}

/// For programs.
pub(super) fn json(shown: &Shown<'_>) -> serde_json::Value {
    let found = shown.found;
    let reading = |reading: &Reading| {
        json!({"at": reading.at, "type": form_name(reading.form), "order": order_name(reading.order),
               "value": Some(reading.value).filter(|value| value.is_finite())})
    };
    let fit = |fit: &Fit| {
        let mut told = reading(&fit.reading);
        told["scale"] = json!(fit.scale);
        told["scaled"] = json!(fit.value());
        told
    };
    let block = |block: &Block| {
        let readings = block::readings(block.at, &block.words);
        json!({"at": block.at, "words": hex(&block.words), "took_ms": block.took.as_secs_f64() * 1000.0,
               "readings": readings.iter().map(reading).collect::<Vec<_>>(),
               "fits": block::fitting(&readings, shown.sought).iter().map(fit).collect::<Vec<_>>()})
    };
    let points = found
        .block
        .as_ref()
        .map(|block| of_profile(shown, block))
        .unwrap_or_default();
    let points = points.iter().map(|(point, value)| {
        json!({"quantity": point.quantity.name(), "at": point.at, "value": Some(*value).filter(|value| value.is_finite())})
    });
    json!({
        "ok": found.block.is_some(),
        "address": written(&found.transport),
        "unit": found.asked.unit,
        "table": found.asked.table.to_string(),
        "tried": found.tried,
        "block": found.block.as_ref().map(block),
        "neighbours": found.neighbours.iter().map(block).collect::<Vec<_>>(),
        "profile_points": points.collect::<Vec<_>>(),
    })
}

/// For those who take the meter over.
pub(super) fn sheet(shown: &Shown<'_>) -> Sheet {
    let found = shown.found;
    let table = found.asked.table.to_string();
    let mut device = Device {
        address: written(&found.transport),
        unit: found.asked.unit,
        model: shown.model.map(|model| format!("{} {}", model.maker, model.model)),
        profile: shown.model.map(ProfileLine::of),
        ..Device::default()
    };
    let Some(block) = &found.block else {
        device.open = found
            .tried
            .iter()
            .filter_map(|tried| tried.trouble.as_ref())
            .map(|trouble| format!("{}: {}", trouble.what, trouble.fix))
            .collect();
        device.open.dedup();
        return Sheet::new(vec![device]);
    };
    let raw = |at: u16, n: u16| {
        let from = usize::from(at - block.at);
        hex(&block.words[from..from + usize::from(n)])
    };
    device
        .values
        .extend(of_profile(shown, block).into_iter().map(|(point, value)| Value {
            name: point.quantity.name().to_owned(),
            number: Some(value).filter(|value| value.is_finite()),
            unit: point.quantity.row().unit.to_owned(),
            at: point.at,
            table: table.clone(),
            form: format!("{} {}", form_name(point.form), order_name(point.order)),
            raw: raw(point.at, point.form.registers()),
            plausible: shown.ranges.of(point.quantity).map(|range| range.holds(value)),
            ..Value::default()
        }));
    let fits = shown.fits(block);
    device.values.extend(fits.iter().map(|fit| Value {
        name: way_name(fit),
        number: Some(fit.value()),
        unit: shown.unit().to_owned(),
        at: fit.reading.at,
        table: table.clone(),
        form: format!("{} {}", form_name(fit.reading.form), order_name(fit.reading.order)),
        raw: raw(fit.reading.at, fit.reading.form.registers()),
        plausible: Some(true),
        remark: String::new(),
    }));
    if fits.len() != 1 || shown.has_rivals() {
        device.open.push(how_to_decide(shown).to_owned());
    }
    device.open.push(
        shown
            .say(
                "값을 계측기 표시창과 비교",
                "compare the value with the meter's display",
            )
            .to_owned(),
    );
    Sheet::new(vec![device])
}
