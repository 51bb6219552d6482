//! `wattwarden check`: is this configuration fit to start with? All problems at once, each with its place.
//!
//! Without `--live` it opens no connection; in the store's folder it makes a file and takes it away, to see whether `run`
//! could. Exit status: 0 fit, 2 errors, 3 a device failed (`--live`), 4 warnings with `--strict`.

mod summary;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use energy::both;

use super::{
    Lang, NO_ANSWER,
    commission::{
        check_live::{self, BusLive},
        reach::{self, Reached},
    },
    language,
};
use crate::{
    acquire::modbus,
    clock::Clock,
    config::{
        self, Config, Loaded,
        bus::written,
        diagnostic::{Code, Diagnostic, Paint, Severity},
        meter_card,
    },
    language::Language,
    store,
};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wattwarden check -c plant.toml\n  wattwarden check -c plant.toml --live\n  \
    wattwarden check -c plant.toml --json --strict"
)]
pub struct CheckArgs {
    /// Configuration to check.
    #[arg(long, short, default_value = "/etc/wattwarden/wattwarden.toml")]
    pub config: PathBuf,
    /// Print one JSON document for programs.
    #[arg(long)]
    pub json: bool,
    /// Exit with status 4 when there are warnings.
    #[arg(long)]
    pub strict: bool,
    /// Also read each Modbus point once; see that brokers, InfluxDB are there.
    #[arg(long)]
    pub live: bool,
    /// Language; else that of LANG.
    #[arg(long, value_enum)]
    pub lang: Option<Lang>,
}

const ERRORS: u8 = 2;
const WARNINGS: u8 = 4;

/// Checks the configuration and says what was found.
pub fn run(args: &CheckArgs) -> ExitCode {
    let (loaded, found) = match config::load(&args.config) {
        Ok(mut loaded) => {
            let today = loaded.config.site.zone.to_datetime(Clock::system().now()).date();
            loaded
                .warnings
                .extend(meter_card::overdue(&loaded.config.site.meters, today));
            loaded.warnings.extend(store_folder(&loaded));
            (Some(loaded.config), loaded.warnings)
        }
        Err(found) => (None, found),
    };
    let live = match loaded.as_ref().filter(|_| args.live) {
        Some(config) => match check_live::buses(config).and_then(|live| Ok((live, reach::servers(config)?))) {
            Ok(live) => Some(live),
            Err(status) => return status,
        },
        None => None,
    };
    let failed =
        |(live, servers): &(Vec<BusLive>, Vec<Reached>)| check_live::has_failed(live) || reach::has_failed(servers);
    let has_failed = live.as_ref().is_some_and(failed);
    let language = language(args.lang);
    let text = if args.json {
        let is_ok = loaded.is_some() && !has_failed;
        json(is_ok, loaded.as_ref(), &found, live.as_ref(), language)
    } else {
        let live = live
            .as_ref()
            .map(|(live, servers)| check_live::text(live, language) + &reach::text(servers, language));
        let paint = Paint {
            language,
            ..Paint::of(&io::stdout())
        };
        shown(loaded.as_ref(), &found, paint) + &live.unwrap_or_default()
    };
    // A closed pipe is the reader's wish, not our error.
    drop(io::stdout().write_all(text.as_bytes()));
    let live_warns = live.as_ref().is_some_and(|(live, _)| check_live::has_warnings(live));
    match loaded {
        None => ExitCode::from(ERRORS),
        Some(_) if has_failed => ExitCode::from(NO_ANSWER),
        Some(_) if args.strict && (count(&found, Severity::Warning) > 0 || live_warns) => ExitCode::from(WARNINGS),
        Some(_) => ExitCode::SUCCESS,
    }
}

/// A warning where the store's folder could not be used here and now; the configuration may be for another computer.
fn store_folder(loaded: &Loaded) -> Option<Diagnostic> {
    let error = store::try_folder(&loaded.config.store.path).err()?;
    let warning = Diagnostic::new(Code::StoreFolder, error.text());
    let warning = warning.help(both!(
        "이것 없이는 `run` 명령이 시작하지 않습니다. 다른 컴퓨터에는 있을 수 있습니다",
        "`run` does not start without it; on another computer it may be there"
    ));
    Some(match &loaded.store_path {
        Some(place) => warning.at(place.clone()),
        None => warning,
    })
}

fn count(found: &[Diagnostic], severity: Severity) -> usize {
    found
        .iter()
        .filter(|diagnostic| diagnostic.severity() == severity)
        .count()
}

/// For people: every problem, then what the configuration means or how many problems there are.
fn shown(config: Option<&Config>, found: &[Diagnostic], paint: Paint) -> String {
    let mut text: String = found.iter().map(|diagnostic| diagnostic.render(paint) + "\n").collect();
    text += &config
        .map(|config| summary::text(config, paint.language))
        .unwrap_or_default();
    let (n_errors, n_warnings) = (count(found, Severity::Error), count(found, Severity::Warning));
    let (errors, warnings) = match paint.language {
        Language::Ko => (format!("오류 {n_errors}건"), format!("경고 {n_warnings}건")),
        Language::En => (numbered(n_errors, "error"), numbered(n_warnings, "warning")),
    };
    text.extend([errors.as_str(), ", ", &warnings, "\n"]);
    text
}

fn numbered(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn json(
    is_ok: bool,
    config: Option<&Config>,
    found: &[Diagnostic],
    live: Option<&(Vec<BusLive>, Vec<Reached>)>,
    language: Language,
) -> String {
    let mut document = serde_json::json!({
        "ok": is_ok,
        "diagnostics": found.iter().map(|one| one.to_json(language)).collect::<Vec<_>>(),
    });
    if let Some(config) = config {
        document["plan"] = config.buses.iter().filter_map(planned).collect();
    }
    if let Some((live, servers)) = live {
        document["live"] = check_live::json(live, language);
        document["servers"] = reach::json(servers);
    }
    format!("{document:#}\n")
}

/// What one bus reads, in how many requests, and what that takes of its time.
fn planned(bus: &modbus::Config) -> Option<serde_json::Value> {
    let plan = modbus::check(bus).ok()?;
    let budget = modbus::budget::budget(bus, &plan);
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
    let rhythms = budget.rhythms.iter().map(|rhythm| {
        let (time_ms, share) = (ms(rhythm.time), rhythm.share());
        serde_json::json!({
            "every_ms": ms(rhythm.every), "requests": rhythm.requests, "registers": rhythm.registers,
            "time_ms": Some(time_ms).filter(|_| budget.is_whole), "share": Some(share).filter(|_| budget.is_whole),
        })
    });
    let reads = plan.reads.iter().map(|read| {
        serde_json::json!({
            "meter": &*bus.meters[read.meter].name, "unit": read.unit, "table": read.table.to_string(), "at": read.at,
            "count": read.count, "every_ms": ms(read.every.unwrap_or(bus.every)), "points": read.points.len(),
        })
    });
    Some(serde_json::json!({
        "bus": bus.name, "address": written(&bus.transport), "rhythms": rhythms.collect::<Vec<_>>(),
        "longest_cycle_ms": Some(ms(budget.longest_cycle())).filter(|_| budget.is_whole),
        "is_whole": budget.is_whole, "reads": reads.collect::<Vec<_>>(),
    }))
}
