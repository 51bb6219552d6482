//! The command line: one file a command; each takes its arguments and gives the exit status.
//!
//! Exit status: 0 done, 1 internal error, 2 the user's input, 3 a device or server did not answer, 4 something was found
//! where that was asked for.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

use crate::{
    config::{
        Config, Secrets,
        diagnostic::{Diagnostic, Paint, Severity},
    },
    language::Language,
};

pub mod check;
pub mod commission;
pub mod dead_letters;
pub mod demo;
pub mod energy;
pub mod export;
pub mod factors;
pub mod past;
pub mod replay;
mod replay_intervals;
pub mod report;
pub mod run;
mod table;
pub mod tariff;

/// An internal error: ours to mend.
pub const INTERNAL: u8 = 1;
/// The user's input.
pub const INPUT: u8 = 2;
/// A device or server did not answer.
pub const NO_ANSWER: u8 = 3;

/// Finds wasted energy in a factory while it happens, and says what it costs.
#[derive(Debug, Parser)]
#[command(name = "wattwarden", version, propagate_version = true)]
#[command(after_help = "Begin here:\n  \
    wattwarden demo                 a simulated plant and its page, no set-up\n  \
    wattwarden discover --hosts A-B which meters answer; writes a configuration\n  \
    wattwarden check --config FILE  every error of a configuration, with its place\n  \
    wattwarden run --config FILE    the agent\n\n\
    Exit status: 0 done, 1 internal error, 2 the user's input, 3 no answer from a\n\
    device or server, 4 warnings with `check --strict`. RUST_LOG sets what is\n\
    logged (info), NO_COLOR takes the colours away.")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How log lines are written, to standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogForm::Text)]
    log: LogForm,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent on a simulated plant, over real sockets.
    Demo(demo::DemoArgs),
    /// Read one block of registers in every type and order.
    Probe(commission::probe::ProbeArgs),
    /// Find meters on hosts or a serial port that you name.
    Discover(commission::discover::DiscoverArgs),
    /// Known meter models: list, make, try on a device.
    Profile(commission::profile::ProfileArgs),
    /// Check a configuration: all problems at once, each with its place.
    Check(check::CheckArgs),
    /// Run the agent in the foreground.
    Run(run::RunArgs),
    /// Run recorded data through the same engine.
    Replay(replay::ReplayArgs),
    /// Write the report of a month.
    Report(report::ReportArgs),
    /// Write the recorded readings as canonical CSV, ready for `replay`.
    Export(export::ExportArgs),
    /// What could not be read or delivered, counted by reason.
    DeadLetters(dead_letters::DeadLettersArgs),
    /// A meter's kWh, and the way back from a figure to its registers.
    Energy(energy::EnergyArgs),
    /// Tariffs, prices at an instant, bills.
    Tariff(tariff::TariffArgs),
    /// Emission factors, what a period makes with them, restatements.
    Factors(factors::FactorsArgs),
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogForm {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Language of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// Korean.
    Ko,
    /// English.
    En,
}

impl From<Lang> for Language {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::Ko => Self::Ko,
            Lang::En => Self::En,
        }
    }
}

/// A duration on the command line, whose refusals are in English as all of clap's.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    crate::config::units::duration(text).map_err(|why| why.en)
}

/// The language asked for, else that of the terminal (`LANG`), else English.
pub fn language(asked: Option<Lang>) -> Language {
    asked.map_or_else(Language::of_terminal, Language::from)
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::Demo(args) => {
            start_log(cli.log, "warn");
            demo::run(&args)
        }
        Command::Probe(args) => commission::probe::run(&args),
        Command::Discover(args) => commission::discover::run(&args),
        Command::Profile(args) => commission::profile::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Run(args) => {
            start_log(cli.log, "info");
            run::run(&args)
        }
        Command::Replay(args) => replay::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Export(args) => export::run(&args),
        Command::DeadLetters(args) => dead_letters::run(&args),
        Command::Energy(args) => energy::run(&args),
        Command::Tariff(args) => tariff::run(&args),
        Command::Factors(args) => factors::run(&args),
    }
}

/// Log lines go to standard error; `usual` holds where RUST_LOG says nothing.
fn start_log(form: LogForm, usual: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    let has_colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_span_events(FmtSpan::NONE);
    match form {
        LogForm::Text => log.with_ansi(has_colours).init(),
        LogForm::Json => log.json().init(),
    }
}

/// Says what went wrong, to standard error, and gives the exit status.
pub fn fail(status: u8, why: impl std::fmt::Display) -> ExitCode {
    eprintln!("error: {why}");
    ExitCode::from(status)
}

/// Writes `text` to standard output. A reader that has gone away (`| head`) is no error.
pub fn print(text: &str) {
    let mut out = io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Prints what a command made, or gives the status that it failed with.
fn finish(made: Result<String, ExitCode>) -> ExitCode {
    match made {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(status) => status,
    }
}

/// Loads a configuration, or prints all that is wrong with it. A command that sends nothing leaves the secrets out.
fn load(path: &std::path::Path, secrets: Secrets) -> Result<Config, ExitCode> {
    let paint = Paint::of(&io::stderr());
    match crate::config::load_with(path, secrets) {
        Ok(loaded) => {
            // Notes are for `check`: at every start they would only be in the way.
            let is_warning = |found: &&Diagnostic| found.severity() == Severity::Warning;
            for warning in loaded.warnings.iter().filter(is_warning) {
                eprintln!("{}", warning.render(paint));
            }
            Ok(loaded.config)
        }
        Err(found) => {
            for diagnostic in &found {
                eprintln!("{}", diagnostic.render(paint));
            }
            let path = path.display();
            let not_ready = match paint.language {
                Language::Ko => format!("{path}: 실행할 수 없는 구성이며, 아무것도 시작하지 않았습니다"),
                Language::En => format!("{path} is not ready to run; nothing was started"),
            };
            Err(fail(INPUT, not_ready))
        }
    }
}
