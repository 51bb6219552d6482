//! `wattwarden discover`: which meters answer on the hosts or the serial port that somebody names, and what they are.
//!
//! It reads, slowly, and asks before it begins. Invariants: no host, port or unit is asked that was not named; the search
//! ends when its time is up and says what was left. Exit status: 0 devices found, 2 the user's input, 3 none answered.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use super::{
    OutArgs, block_on, configuration,
    offer::{self, Offer},
    parity, range,
    ranges::Ranges,
    refused, say,
    scan::{self, Search},
    sheet::{Sheet, new_file},
};
use crate::{
    acquire::modbus::{Line, Parity, Transport},
    cli::{INPUT, NO_ANSWER, fail, print},
    clock::monotonic,
    config::{bus::written, model},
    language::Language,
};

/// Arguments of `discover`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    wattwarden discover --hosts 192.168.10.20-40 --units 1-32\n  \
    wattwarden discover --hosts 192.168.10.0/24 --units 1 --write plant.toml\n  \
    wattwarden discover --serial /dev/ttyUSB0 --baud 9600,19200 --units 1-32 --yes\n\n\
    It only reads, one request at a time, and asks nobody that was not named.")]
pub struct DiscoverArgs {
    /// Hosts: 192.168.10.20-40, 192.168.10.0/24, names, or a list of them.
    #[arg(
        long,
        value_name = "RANGE",
        required_unless_present = "serial",
        conflicts_with = "serial"
    )]
    hosts: Option<String>,
    /// Port of the hosts.
    #[arg(long, default_value_t = 502, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// A serial port, as /dev/ttyUSB0.
    #[arg(long, value_name = "DEVICE")]
    serial: Option<String>,
    /// Speeds of the serial port that are tried, in this order.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "19200,9600")]
    baud: Vec<u32>,
    /// Parities of the serial port that are tried.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "even,none", value_parser = parity)]
    parity: Vec<Parity>,
    /// Units, as 1-32 or 1,7,20.
    #[arg(long, value_name = "RANGE", default_value = "1-32", value_parser = range::units)]
    units: Units,
    /// Longest wait for an answer.
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = crate::cli::duration)]
    timeout: Duration,
    /// Least time between two requests.
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = crate::cli::duration)]
    gap: Duration,
    /// The search ends after this, whatever is left.
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = crate::cli::duration)]
    at_most: Duration,
    /// Do not ask before the search begins.
    #[arg(long)]
    yes: bool,
    /// Write a configuration that `check` accepts to this new file.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Name of the site in that configuration.
    #[arg(long, default_value = "site-1")]
    site: String,
    /// Its time zone.
    #[arg(long, default_value = "Asia/Seoul")]
    zone: String,
    /// Also write the hand-over sheet: as JSON to a .json, else as text.
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    #[command(flatten)]
    out: OutArgs,
}

type Units = Vec<u8>;

/// Searches and shows what was found.
pub fn run(args: &DiscoverArgs) -> ExitCode {
    match discover(args) {
        Ok(status) | Err(status) => status,
    }
}

fn discover(args: &DiscoverArgs) -> Result<ExitCode, ExitCode> {
    let (data, language) = (args.out.data(), args.out.language());
    let ranges = Ranges::load(&data).map_err(|found| refused(&found))?;
    let (models, problems) = model::models(&data);
    if !problems.is_empty() {
        return Err(refused(&problems));
    }
    let models: Vec<_> = models.into_iter().filter(|model| !model.points.is_empty()).collect();
    let lines = lines(args)?;
    let mut files = args.write.iter().chain(&args.sheet);
    if let Some(path) = files.find(|path| path.exists()) {
        let path = path.display();
        let why = format!("{path} is there already and is not written over; name another file");
        return Err(fail(INPUT, why));
    }
    agreed(args, &lines, language)?;
    let search = Search {
        lines,
        units: args.units.clone(),
        timeout: args.timeout,
        gap: args.gap,
        until: monotonic() + args.at_most,
        models: &models,
        ranges: &ranges,
    };
    let started = monotonic();
    let found = block_on(scan::search(&search, progress(language)))?;
    if io::stderr().is_terminal() {
        eprint!("\r\x1b[2K");
    }
    let offer = Offer {
        found: &found,
        models: &models,
        ranges: &ranges,
        language,
        took: monotonic() - started,
    };
    let sheet = Sheet::new(offer::devices(&offer));
    print(&if args.out.json {
        format!("{:#}\n", offer::json(&offer, &sheet))
    } else {
        offer::text(&offer)
    });
    if let Some(path) = args.write.as_ref().filter(|_| !found.devices.is_empty()) {
        let config = configuration::of(&offer, (&args.site, &args.zone), path)?;
        new_file(path, &config)?;
        told(args, language, path);
    }
    if let Some(path) = args.sheet.as_ref().filter(|_| !found.devices.is_empty()) {
        sheet.save(path, language)?;
    }
    Ok(if found.devices.is_empty() {
        ExitCode::from(NO_ANSWER)
    } else {
        ExitCode::SUCCESS
    })
}

fn told(args: &DiscoverArgs, language: Language, path: &std::path::Path) {
    if !args.out.json {
        let path = path.display();
        print(&match language {
            Language::Ko => format!("{path}: 설정을 썼습니다. 다음:\n  wattwarden check --live -c {path}\n"),
            Language::En => format!("Wrote {path}. Next:\n  wattwarden check --live -c {path}\n"),
        });
    }
}

/// The lines that were named.
fn lines(args: &DiscoverArgs) -> Result<Vec<Transport>, ExitCode> {
    if let Some(path) = &args.serial {
        if !path.starts_with('/') {
            return Err(fail(
                INPUT,
                format!("{path:?} is no serial port: write it as /dev/ttyUSB0"),
            ));
        }
        let of_speed = |baud: u32| {
            args.parity.iter().map(move |parity| Transport::Rtu {
                path: path.clone(),
                line: Line {
                    baud,
                    parity: *parity,
                    stop_bits: 1,
                },
            })
        };
        return Ok(args.baud.iter().copied().flat_map(of_speed).collect());
    }
    let hosts = range::hosts(args.hosts.as_deref().unwrap_or_default()).map_err(|why| fail(INPUT, why))?;
    let port = args.port;
    Ok(hosts.into_iter().map(|host| Transport::Tcp { host, port }).collect())
}

/// Asks on a terminal whether the search may begin; elsewhere `--yes` must say so.
fn agreed(args: &DiscoverArgs, lines: &[Transport], language: Language) -> Result<(), ExitCode> {
    if args.yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        let why = say(
            language,
            "터미널이 아니어서 물을 수 없습니다: --yes 를 주면 이름을 댄 범위를 검색합니다",
            "there is no terminal to ask on: --yes lets the search of the named range begin",
        );
        return Err(fail(INPUT, why));
    }
    let (first, last) = (lines.first().map(written), lines.last().map(written));
    let (first, last) = (first.unwrap_or_default(), last.unwrap_or_default());
    let (n, n_units, min) = (lines.len(), args.units.len(), args.at_most.as_secs().div_ceil(60));
    eprint!(
        "{}",
        match language {
            Language::Ko => format!(
                "{first} … {last}\n회선 {n}개, 국번 {n_units}개씩, 최대 {min}분. 읽기만 합니다. 시작할까요? [y/N] "
            ),
            Language::En => format!(
                "{first} … {last}\nLines: {n}, units on each: {n_units}, at most {min} min. It only reads. Begin? [y/N] "
            ),
        }
    );
    io::stderr().flush().ok();
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).ok();
    if ["y", "yes", "예", "네"].contains(&answer.trim().to_lowercase().as_str()) {
        return Ok(());
    }
    Err(fail(INPUT, say(language, "시작하지 않았습니다", "not begun")))
}

/// Tells on a terminal where the search is.
fn progress(language: Language) -> impl FnMut(&Transport, u8, usize) {
    let is_terminal = io::stderr().is_terminal();
    move |line, unit, n_found| {
        if is_terminal {
            let unit_word = say(language, "국번", "unit");
            let found_word = say(language, "찾음", "found");
            eprint!("\r\x1b[2K{} {unit_word} {unit}  {found_word} {n_found}", written(line));
            io::stderr().flush().ok();
        }
    }
}
