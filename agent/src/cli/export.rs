//! `wattwarden export`: the recorded readings as canonical CSV, in the order in which they were recorded.
//!
//! The columns `quality` and `tick` let `replay` live through them again exactly: what was late is late again.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
};

use energy::{Quality, Quantity, Sample};
use jiff::Timestamp;

use super::{INPUT, Secrets, fail, load};
use crate::store::{Entry, LogError, Reader};

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wattwarden export --config /etc/wattwarden/wattwarden.toml --out readings.csv")]
pub struct ExportArgs {
    /// The agent's configuration, whose store is read.
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// The file to write; without it, standard output.
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Rows of the log read at once.
const ROWS: usize = 256;

/// Writes the recorded readings.
pub fn run(args: &ExportArgs) -> ExitCode {
    let config = match load(&args.config, Secrets::LeaveOut) {
        Ok(config) => config,
        Err(status) => return status,
    };
    let reader = match Reader::open(&config.store) {
        Ok(reader) => reader,
        Err(error) => return fail(INPUT, error),
    };
    let written = match &args.out {
        Some(path) => File::create(path)
            .map_err(ExportError::Write)
            .and_then(|file| export(&reader, BufWriter::new(file))),
        None => export(&reader, BufWriter::new(io::stdout())),
    };
    match written {
        Ok(0) => ExitCode::SUCCESS,
        Ok(n_damaged) => {
            eprintln!("warning: {n_damaged} damaged rows of the log are left out");
            ExitCode::SUCCESS
        }
        // Whoever reads it has read enough.
        Err(ExportError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(INPUT, error),
    }
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store.
    #[error("reading the store: {0}")]
    Read(#[from] crate::store::StoreError),
    /// The file.
    #[error("writing the export: {0}")]
    Write(#[from] io::Error),
}

/// Writes every sample of the log; gives the number of damaged rows that had to be left out.
pub fn export(reader: &Reader, out: impl Write) -> Result<u64, ExportError> {
    let mut quantities = BTreeSet::new();
    each_entry(reader, |entry| {
        quantities.extend(
            entry
                .samples
                .iter()
                .flat_map(|sample| &sample.readings)
                .map(|reading| reading.quantity),
        );
        Ok(())
    })?;
    let quantities: Vec<Quantity> = quantities.into_iter().collect();
    let mut csv = csv::Writer::from_writer(out);
    let names = quantities.iter().map(|quantity| quantity.name());
    csv.write_record(["time", "meter"].into_iter().chain(names).chain(["quality", "tick"]))
        .map_err(of_writing)?;
    let mut tick: Option<Timestamp> = None;
    let n_damaged = each_entry(reader, |entry| {
        for sample in &entry.samples {
            for quality in Quality::ALL {
                write_row(&mut csv, sample, &quantities, quality, tick)?;
            }
        }
        tick = entry.tick.or(tick);
        Ok(())
    })?;
    csv.flush()?;
    Ok(n_damaged)
}

/// The file's own error, whose kind the format's would hide.
fn of_writing(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// One row for the readings of a sample that share a quality.
fn write_row(
    csv: &mut csv::Writer<impl Write>,
    sample: &Sample,
    quantities: &[Quantity],
    quality: Quality,
    tick: Option<Timestamp>,
) -> io::Result<()> {
    let readings: Vec<_> = sample
        .readings
        .iter()
        .filter(|reading| reading.quality == quality)
        .collect();
    if readings.is_empty() {
        return Ok(());
    }
    let value = |quantity: &Quantity| {
        let reading = readings.iter().find(|reading| reading.quantity == *quantity);
        // A value that no CSV can hold (infinite, not a number) is no reading.
        reading
            .filter(|reading| reading.value.is_finite())
            .map(|reading| reading.value.to_string())
            .unwrap_or_default()
    };
    let mut cells = vec![sample.at.to_string(), sample.meter.to_string()];
    cells.extend(quantities.iter().map(value));
    cells.push(quality.name().to_owned());
    cells.push(tick.map(|tick| tick.to_string()).unwrap_or_default());
    csv.write_record(cells).map_err(of_writing)
}

/// Hands every sound row of the log to `each`; gives the number of the damaged ones.
fn each_entry(reader: &Reader, mut each: impl FnMut(Entry) -> io::Result<()>) -> Result<u64, ExportError> {
    let mut next = reader.first_seq()?;
    let last = reader.last_seq()?;
    let mut n_damaged = 0;
    while next <= last {
        match reader.entries(next, ROWS) {
            Ok(entries) => {
                let Some(newest) = entries.last() else { break };
                next = newest.seq + 1;
                for entry in entries {
                    each(entry)?;
                }
            }
            Err(LogError::Damaged { seq, .. }) => {
                n_damaged += 1;
                next = seq + 1;
            }
            Err(LogError::Store(error)) => return Err(error.into()),
        }
    }
    Ok(n_damaged)
}
