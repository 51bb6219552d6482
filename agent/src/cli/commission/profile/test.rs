//! `wattwarden profile test`: every point of a profile read once from a device, raw and decoded, and what is to be
//! thought of it.
//!
//! It only reads. Exit status: 0 all points came, 2 the user's input, 3 the device failed or refused a point.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use super::super::{
    LineArgs, OutArgs, block_on,
    faults::told,
    live::{self, Live},
    probe,
    ranges::Ranges,
    refused, say, scan,
    sheet::{Device, ProfileLine, Sheet},
};
use crate::{
    acquire::modbus::{
        Fault, Transport,
        ask::{Master, Trouble},
    },
    cli::{INPUT, NO_ANSWER, fail, print},
    config::{
        bus::written,
        diagnostic::Source,
        model::{self, Model},
    },
    language::Language,
};

/// Arguments of `profile test`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    wattwarden profile test eastron-sdm630 --address tcp://10.0.0.21:502\n  \
    wattwarden profile test ./m1.toml --address /dev/ttyUSB0 --baud 9600")]
pub(super) struct TestArgs {
    /// A profile's name, or its file.
    profile: String,
    /// tcp://HOST:502, rtu+tcp://HOST:PORT, tls://HOST, or /dev/ttyUSB0.
    #[arg(long)]
    address: String,
    /// Unit of the device.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    unit: u8,
    #[command(flatten)]
    line: LineArgs,
    /// Also write the hand-over sheet: as JSON to a .json, else as text.
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    #[command(flatten)]
    out: OutArgs,
}

/// Gap between two questions (default): what the slowest meters need.
const GAP: Duration = Duration::from_millis(20);

/// Reads the profile's points from the device.
pub(super) fn test(args: &TestArgs) -> Result<ExitCode, ExitCode> {
    let (data, language) = (args.out.data(), args.out.language());
    let ranges = Ranges::load(&data).map_err(|found| refused(&found))?;
    let path = Path::new(&args.profile);
    let model = if path.extension().is_some_and(|extension| extension == "toml") {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let source = Source::read(path).map_err(|error| refused(&[error]))?;
        model::model(&name, source).map_err(|found| refused(&found))?.0
    } else {
        probe::profile(&data, &args.profile)?
    };
    if model.points.is_empty() {
        return Err(fail(
            INPUT,
            format!("{:?} is an MQTT preset: there are no registers to read", model.name),
        ));
    }
    let transport = args.line.transport(&args.address)?;
    let mut master = Master::new(transport.clone(), args.line.timeout, GAP);
    let live = block_on(live::read(&mut master, &scan::meter(&model, args.unit)))?;
    let device = device(&model, (&transport, args.unit), &live, &ranges, language);
    let sheet = Sheet::new(vec![device]);
    print(&if args.out.json {
        format!("{:#}\n", serde_json::json!(sheet))
    } else {
        sheet.text(language)
    });
    if let Some(path) = &args.sheet {
        sheet.save(path, language)?;
    }
    let is_whole = live.trouble.is_none() && live.points.iter().all(|read| read.trouble.is_none());
    Ok(if is_whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NO_ANSWER)
    })
}

fn device(
    model: &Model,
    (transport, unit): (&Transport, u8),
    live: &Live,
    ranges: &Ranges,
    language: Language,
) -> Device {
    let say = |ko: &'static str, en: &'static str| say(language, ko, en).to_owned();
    let mut open = vec![];
    if let Some(trouble) = &live.trouble {
        let told = told(trouble, transport, language);
        open.push(format!("{}: {}", told.what, told.fix));
    }
    let is_refused = |trouble: &Trouble| matches!(trouble, Trouble::Fault(Fault::Refused(_)));
    if live
        .points
        .iter()
        .any(|read| read.trouble.as_ref().is_some_and(is_refused))
    {
        open.push(say(
            "거절된 주소를 설명서와 비교하거나 프로파일에서 뺌",
            "compare refused addresses with the manual, or take them out of the profile",
        ));
    }
    if live.has_values() {
        open.push(say(
            "값을 계측기 표시창과 비교",
            "compare the values with the meter's display",
        ));
    }
    if !model.is_verified && live.has_values() {
        open.push(say(
            "비교가 끝나면 verified = true 로 함",
            "after the comparison set verified = true",
        ));
    }
    Device {
        address: written(transport),
        unit,
        model: Some(format!("{} {}", model.maker, model.model)),
        identified_by: vec![say("사람이 이 프로파일을 지정함", "a person named this profile")],
        profile: Some(ProfileLine::of(model)),
        values: live.values(ranges, language, |trouble| told(trouble, transport, language).what),
        checks: live.checks(ranges, language),
        open,
        ..Device::default()
    }
}
