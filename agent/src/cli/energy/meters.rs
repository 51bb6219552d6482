//! `wattwarden energy meters`: the meter register that an energy management system must keep: what each meter is, where
//! it hangs, how exact it is, when it was and must be calibrated, what it stands below, and when it was changed.
//!
//! It shows what the site's file says and adds nothing. Invariant: what the file does not say is empty, never made up.

use std::process::ExitCode;

use clap::ValueEnum;
use energy::{
    Site,
    site::{Meter, Swap},
};
use jiff::{civil::Date, tz::TimeZone};

use crate::{
    cli::{INTERNAL, Lang, Secrets, fail, load, replay_intervals::local, table::table},
    clock::Clock,
    language::Language,
};

/// Arguments of `energy meters`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wattwarden energy meters\n  \
    wattwarden energy meters -c site.toml --format csv > meters.csv\n\n\
    The register is what the [[meter]]s of the configuration say of themselves;\n\
    config/README.md lists the keys.")]
pub(super) struct MetersArgs {
    /// The site's configuration.
    #[arg(long, short, value_name = "FILE", default_value = "/etc/wattwarden/wattwarden.toml")]
    config: std::path::PathBuf,
    /// Text for people, or CSV.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
    /// Language of the text.
    #[arg(long, value_enum)]
    lang: Option<Lang>,
}

/// How the register is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Csv,
}

/// The register as of today.
pub(super) fn made(args: &MetersArgs) -> Result<String, ExitCode> {
    let config = load(&args.config, Secrets::LeaveOut)?;
    let today = config.site.zone.to_datetime(Clock::system().now()).date();
    match args.format {
        Form::Text => Ok(shown(
            &config.site,
            today,
            args.lang.map_or(config.language, Language::from),
        )),
        Form::Csv => csv(&config.site, today).map_err(|error| fail(INTERNAL, format!("writing the register: {error}"))),
    }
}

/// Whether a meter's calibration is due before `today`; `None` where no day is known.
fn is_overdue(meter: &Meter, today: Date) -> Option<bool> {
    meter.card.calibration_due.map(|due| due < today)
}

/// `2026-03-02T10:20:00+09:00: 998.2 → 0 kWh (reason)`.
fn swap_text(swap: &Swap, zone: &TimeZone) -> String {
    let at = local(swap.at, zone);
    let reason = swap.reason.as_ref().map(|reason| format!(" ({reason})"));
    format!(
        "{at}: {} → {} kWh{}",
        swap.last_kwh,
        swap.first_kwh,
        reason.unwrap_or_default()
    )
}

/// Columns of the register after the meter's name: the key of the CSV, and its names for people.
const COLUMNS: [(&str, &str, &str); 12] = [
    ("place", "설치 위치", "place"),
    ("class", "정확도 등급", "class"),
    ("ct_ratio", "CT비", "CT ratio"),
    ("vt_ratio", "VT비", "VT ratio"),
    ("maker", "제조사", "maker"),
    ("serial", "제조번호", "serial"),
    ("owner", "소유자", "owner"),
    ("calibrated", "교정일", "calibrated"),
    ("calibration_due", "차기 교정일", "calibration due"),
    ("overdue", "교정 기한 경과", "overdue"),
    ("parent", "상위 계측기", "parent"),
    ("swaps", "교체 이력", "swaps"),
];

/// Values in the order of [`COLUMNS`]; empty = not known.
fn values(meter: &Meter, site: &Site, today: Date) -> [String; COLUMNS.len()] {
    let card = &meter.card;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let ratio =
        |ratio: Option<(f64, f64)>| ratio.map_or_else(String::new, |(first, second)| format!("{first}/{second}"));
    let day = |day: Option<Date>| day.map_or_else(String::new, |day| day.to_string());
    let swaps: Vec<String> = meter.swaps.iter().map(|swap| swap_text(swap, &site.zone)).collect();
    [
        // Where it hangs; at least the area that it is in.
        card.place.clone().or_else(|| meter.area.clone()).unwrap_or_default(),
        text(&card.class),
        ratio(card.ct_ratio),
        ratio(card.vt_ratio),
        text(&card.maker),
        text(&card.serial),
        text(&card.owner),
        day(card.calibrated),
        day(card.calibration_due),
        is_overdue(meter, today).map_or_else(String::new, |is_overdue| is_overdue.to_string()),
        meter.parent.as_ref().map_or_else(String::new, ToString::to_string),
        swaps.join("; "),
    ]
}

fn csv(site: &Site, today: Date) -> Result<String, Box<dyn std::error::Error>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let keys = COLUMNS.iter().map(|(key, _, _)| *key);
    csv.write_record(std::iter::once("meter").chain(keys))?;
    for meter in &site.meters {
        let values = values(meter, site, today);
        csv.write_record(std::iter::once(&*meter.name).chain(values.iter().map(String::as_str)))?;
    }
    Ok(String::from_utf8(csv.into_inner()?)?)
}

/// One card a meter, then how many there are and how many need a calibration.
fn shown(site: &Site, today: Date, language: Language) -> String {
    let ko = language == Language::Ko;
    let mut text = String::new();
    for meter in &site.meters {
        text += &meter.name;
        text += "\n";
        text += &card(meter, site, today, ko);
        text += "\n";
    }
    let n_overdue = |wanted: Option<bool>| {
        let meters = site.meters.iter();
        meters.filter(|meter| is_overdue(meter, today) == wanted).count()
    };
    let (n, n_late, n_unknown) = (site.meters.len(), n_overdue(Some(true)), n_overdue(None));
    text + &if ko {
        format!("계측기 {n}개, 교정 기한 경과 {n_late}개, 교정 기한 미상 {n_unknown}개\n")
    } else {
        format!("{n} meters; calibration overdue: {n_late}, not known: {n_unknown}\n")
    }
}

fn card(meter: &Meter, site: &Site, today: Date, ko: bool) -> String {
    let mut rows = Vec::new();
    for ((key, in_ko, in_en), value) in COLUMNS.iter().zip(values(meter, site, today)) {
        let head = format!("  {}", if ko { in_ko } else { in_en });
        match *key {
            // Said behind the day that it follows from.
            "overdue" => {}
            "calibration_due" if is_overdue(meter, today) == Some(true) => {
                let late = if ko { "기한 경과" } else { "OVERDUE" };
                rows.push(vec![head, format!("{value}  {late}")]);
            }
            // One line each.
            "swaps" if !meter.swaps.is_empty() => {
                for swap in &meter.swaps {
                    rows.push(vec![head.clone(), swap_text(swap, &site.zone)]);
                }
            }
            _ if value.is_empty() => rows.push(vec![head, "–".to_owned()]),
            _ => rows.push(vec![head, value]),
        }
    }
    table(&rows, &[false, false])
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_calibration_is_overdue_from_the_day_after_it_was_due() {
        let check = |due: Option<&str>, today: &str, expected: Option<bool>| {
            let mut meter = Meter::new("m".into(), SignedDuration::from_mins(1));
            meter.card.calibration_due = due.map(|due| due.parse().expect("valid"));
            assert_eq!(
                is_overdue(&meter, today.parse().expect("valid")),
                expected,
                "{due:?} {today}"
            );
        };
        check(Some("2026-05-01"), "2026-05-01", Some(false));
        check(Some("2026-05-01"), "2026-05-02", Some(true));
        check(None, "2026-05-02", None);
    }

    #[test]
    fn a_swap_says_when_and_both_readings() {
        let swap = Swap {
            at: "2026-03-02T10:20:00+09:00".parse().expect("valid"),
            last_kwh: 998.2,
            first_kwh: 0.0,
            reason: Some("display dead".into()),
        };
        let text = swap_text(&swap, &TimeZone::fixed(jiff::tz::offset(9)));
        assert_eq!(text, "2026-03-02T10:20:00+09:00: 998.2 → 0 kWh (display dead)");
    }
}
