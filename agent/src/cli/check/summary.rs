//! What a configuration means, in plain words: one line a thing, for the end of `check`. It judges nothing.

use energy::site::Site;
use unicode_width::UnicodeWidthStr as _;

use super::numbered;
use crate::{acquire::modbus, config::Config, language::Language};

/// Cells before a line's text.
const LABEL_CELLS: usize = 10;

/// All lines.
pub(super) fn text(config: &Config, language: Language) -> String {
    let mut text = plant(&config.site, language);
    for bus in &config.buses {
        let n_points: usize = bus.meters.iter().map(|meter| meter.points.len()).sum();
        let what = match language {
            Language::Ko => format!("{}: 계측기 {}대, 점 {n_points}개", bus.name, bus.meters.len()),
            Language::En => {
                let (meters, points) = (numbered(bus.meters.len(), "meter"), numbered(n_points, "point"));
                format!("{}: {meters}, {points}", bus.name)
            }
        };
        text += &line(language.say("회선", "bus"), &what);
        text += &modbus::check(bus).map_or_else(|_| String::new(), |plan| modbus::budget::told(bus, &plan, language));
    }
    for broker in &config.brokers {
        let (name, url, n_meters) = (&broker.name, &broker.url, broker.n_meters());
        let what = match language {
            Language::Ko => format!("{name}: {}:{}, 계측기 {n_meters}대", url.host, url.port),
            Language::En => format!("{name}: {} at {}:{}", numbered(n_meters, "meter"), url.host, url.port),
        };
        text += &line(language.say("브로커", "broker"), &what);
    }
    text + &outward(config, language)
}

fn line(label: &str, text: &str) -> String {
    format!(
        "{label}{}{text}\n",
        " ".repeat(LABEL_CELLS.saturating_sub(label.width()))
    )
}

fn plant(site: &Site, language: Language) -> String {
    let contract = match (site.contracts.last(), language) {
        (Some(contract), Language::Ko) => format!("계약전력 {} kW, {}", contract.contract_kw, contract.tariff_name),
        (Some(contract), Language::En) => format!("{} kW by {}", contract.contract_kw, contract.tariff_name),
        (None, _) => language
            .say("계약 없음: 금액은 알 수 없음", "no contract: costs stay unknown")
            .to_owned(),
    };
    let zone = site.zone.iana_name();
    let zone = zone.unwrap_or(language.say("이름 없는 시간대", "a zone without a name"));
    let (n_meters, n_machines) = (site.meters.len(), site.machines.len());
    let has = match language {
        Language::Ko => format!("계측기 {n_meters}대, 설비 {n_machines}대"),
        Language::En => format!("{}, {}", numbered(n_meters, "meter"), numbered(n_machines, "machine")),
    };
    let mut text = line(
        language.say("사업장", "site"),
        &format!("{}, {zone}; {contract}", site.name),
    );
    text += &line(language.say("설비", "plant"), &has);
    for what in unjudged(site, language) {
        text += &line(language.say("판단 불가", "unjudged"), what);
    }
    text
}

/// What nobody can say anything of as long as the site does not tell what it hangs on.
fn unjudged(site: &Site, language: Language) -> impl Iterator<Item = &'static str> {
    let has_shift = site.machines.iter().any(|machine| machine.hours.is_some());
    let missing = [
        (!has_shift && !site.machines.is_empty()).then(|| {
            language.say(
                "작업 시간 밖의 부하 (근무조가 있는 설비가 없음)",
                "load outside working hours (no machine has a shift)",
            )
        }),
        site.main_meter.is_none().then(|| {
            language.say(
                "사업장의 수요전력 (main_meter가 없음)",
                "the site's demand (no main_meter)",
            )
        }),
    ];
    missing.into_iter().flatten()
}

/// Where data are kept, sent and shown.
fn outward(config: &Config, language: Language) -> String {
    let mut text = line(
        language.say("저장소", "store"),
        &config.store.path.display().to_string(),
    );
    for influx in &config.influx {
        text += &line("influx", &format!("{}: {}", influx.name, influx.url));
    }
    for alert in &config.alerts {
        let (name, severity) = (&alert.name, alert.severity.name());
        let what = match language {
            Language::Ko => format!("{name}: {severity} 이상"),
            Language::En => format!("{name}: {severity} and above"),
        };
        text += &line(language.say("알림", "alert"), &what);
    }
    text + &line(language.say("화면", "page"), &format!("http://{}", config.web.listen))
}
