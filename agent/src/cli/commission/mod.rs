//! Commands that set a plant up: look at registers, find devices, try a profile, hand it over.
//!
//! One file a command; what they share stands here. They only read, one question at a time. Invariant: what is not sure
//! is said to be not sure.

use std::{future::Future, path::PathBuf, process::ExitCode, time::Duration};

use super::{INPUT, INTERNAL, Lang, fail, language};
use crate::{
    acquire::modbus::{Line, Parity, Tls, Transport},
    config::{
        bus::{self, address},
        data::DataFiles,
        diagnostic::{Diagnostic, Paint},
    },
    language::Language,
};

mod block;
mod candidates;
pub mod check_live;
mod configuration;
mod counting;
pub mod discover;
mod faults;
mod live;
mod offer;
pub mod probe;
pub mod profile;
mod range;
mod ranges;
pub mod reach;
mod scan;
mod sheet;
mod show;

/// How a serial line is set, and how patiently a device is asked.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LineArgs {
    /// Speed of a serial port.
    #[arg(long, value_name = "BITS_A_SECOND", default_value_t = 19_200)]
    pub(crate) baud: u32,
    /// Parity of a serial port: none, even, odd.
    #[arg(long, default_value = "even", value_parser = parity)]
    pub(crate) parity: Parity,
    /// Stop bits of a serial port, 1 or 2.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub(crate) stop: u8,
    /// Longest wait for an answer.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = crate::cli::duration)]
    pub(crate) timeout: Duration,
    /// tls://: PEM file of its authorities; else what browsers believe.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// tls://: PEM file of our certificate, where it asks for one.
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub(crate) certificate_file: Option<PathBuf>,
    /// tls://: PEM file of its key.
    #[arg(long, value_name = "FILE", requires = "certificate_file")]
    pub(crate) key_file: Option<PathBuf>,
}

/// What all of these commands have.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct OutArgs {
    /// Print one JSON document for programs.
    #[arg(long)]
    pub(crate) json: bool,
    /// Language; else that of LANG.
    #[arg(long, alias = "language", value_enum)]
    pub(crate) lang: Option<Lang>,
    /// Folder whose meters/ and plausible.toml override the shipped ones.
    #[arg(long, value_name = "DIR", default_value = "/etc/wattwarden")]
    pub(crate) beside: PathBuf,
}

impl OutArgs {
    fn language(&self) -> Language {
        language(self.lang)
    }

    fn data(&self) -> DataFiles {
        DataFiles::beside(&self.beside)
    }
}

/// A parity by its name.
fn parity(text: &str) -> Result<Parity, String> {
    let found = Parity::ALL.iter().find(|(name, _)| *name == text);
    found
        .map(|(_, parity)| *parity)
        .ok_or_else(|| "write none, even or odd".to_owned())
}

impl LineArgs {
    /// The line of an address: `tcp://HOST:502`, `rtu+tcp://HOST:PORT`, `tls://HOST`, or a serial port.
    fn transport(&self, text: &str) -> Result<Transport, ExitCode> {
        let tls = Tls {
            ca_file: self.ca_file.clone(),
            identity: self.certificate_file.clone().zip(self.key_file.clone()),
        };
        if text.starts_with("tls://") {
            tls.check().map_err(|error| fail(INPUT, error.en))?;
        } else if tls != Tls::default() {
            let why = "certificates have no effect here: only tls:// is encrypted";
            return Err(fail(INPUT, format!("{text}: {why}")));
        }
        if text.starts_with('/') {
            return Ok(Transport::Rtu {
                path: text.to_owned(),
                line: Line {
                    baud: self.baud,
                    parity: self.parity,
                    stop_bits: self.stop,
                },
            });
        }
        address(text, tls).map_err(|why| {
            let how = bus::how().en;
            fail(INPUT, format!("{}; {how}, or a serial port as /dev/ttyUSB0", why.en))
        })
    }
}

/// Runs one command's questions; Ctrl-C ends it at once.
fn block_on<T>(asking: impl Future<Output = T>) -> Result<T, ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| fail(INTERNAL, format!("starting the runtime: {error}")))?;
    Ok(runtime.block_on(asking))
}

/// Prints what is wrong with a data file.
fn refused(found: &[Diagnostic]) -> ExitCode {
    for diagnostic in found {
        eprintln!("{}", diagnostic.render(Paint::of(&std::io::stderr())));
    }
    ExitCode::from(INPUT)
}

/// The text of the language.
fn say<'a>(language: Language, ko: &'a str, en: &'a str) -> &'a str {
    language.say(ko, en)
}

/// A number as people read it: digits that count, no exponent where none is needed.
fn number(value: f64) -> String {
    let size = value.abs();
    if value.is_nan() {
        return "–".to_owned();
    }
    if size != 0.0 && !(1e-4..1e10).contains(&size) {
        return format!("{value:.3e}");
    }
    if value.fract() == 0.0 {
        return format!("{value}");
    }
    let decimals = match size {
        size if size >= 1000.0 => 1,
        size if size >= 100.0 => 2,
        size if size >= 0.1 => 3,
        _ => 6,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_count() {
        for (value, expected) in [
            (12390.546, "12390.5"),
            (229.987, "229.99"),
            (0.92, "0.920"),
            (0.0, "0"),
            (-7.0, "-7"),
            (-3.6e-23, "-3.600e-23"),
            (1_178_704_432.0, "1178704432"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(number(value), expected);
        }
    }
}
