//! `wattwarden profile`: the meter models that are known, a new one from answers, and one tried on a device.
//!
//! It holds what the three have in common: how models are listed.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::{OutArgs, say};
use crate::{
    acquire::modbus::Table,
    cli::{
        print,
        table::{table, wrapped},
    },
    config::{diagnostic::Paint, model},
    language::Language,
};

mod new;
mod test;

/// Arguments of `profile`.
#[derive(Debug, clap::Args)]
pub struct ProfileArgs {
    #[command(subcommand)]
    command: ProfileCommand,
}

#[derive(Debug, Subcommand)]
enum ProfileCommand {
    /// The models that are known, verified or not.
    List(ListArgs),
    /// Write a profile from answers: flags, or questions on a terminal.
    New(new::NewArgs),
    /// Read every point of a profile once from a device.
    Test(test::TestArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wattwarden profile list\n  wattwarden profile list eastron")]
struct ListArgs {
    /// Letters of the name, maker or model.
    find: Option<String>,
    #[command(flatten)]
    out: OutArgs,
}

/// Runs the subcommand.
pub fn run(args: &ProfileArgs) -> ExitCode {
    let done = match &args.command {
        ProfileCommand::List(args) => Ok(list(args)),
        ProfileCommand::New(args) => new::new(args),
        ProfileCommand::Test(args) => test::test(args),
    };
    match done {
        Ok(status) | Err(status) => status,
    }
}

fn list(args: &ListArgs) -> ExitCode {
    let language = args.out.language();
    let (models, problems) = model::models(&args.out.data());
    for problem in problems {
        eprintln!("{}", problem.render(Paint::of(&std::io::stderr())));
    }
    let wanted = args.find.as_deref().unwrap_or_default().to_lowercase();
    let found: Vec<_> = models
        .iter()
        .filter(|model| {
            format!("{} {} {}", model.name, model.maker, model.model)
                .to_lowercase()
                .contains(&wanted)
        })
        .collect();
    if args.out.json {
        let models = found.iter().map(|model| {
            json!({"name": model.name, "maker": model.maker, "model": model.model, "line": line(model),
                   "verified": model.is_verified, "source": model.source, "note": model.note, "points": model.points.len()})
        });
        print(&format!("{:#}\n", json!(models.collect::<Vec<_>>())));
        return ExitCode::SUCCESS;
    }
    let head = [
        say(language, "이름", "name"),
        say(language, "제조사, 모델", "maker, model"),
        say(language, "검증", "verified"),
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(found.iter().map(|model| {
        let title: String = format!("{} {}", model.maker, model.model).chars().take(43).collect();
        let trust = if model.is_verified {
            say(language, "예", "yes")
        } else {
            say(language, "아니오", "no")
        };
        vec![model.name.clone(), title, trust.to_owned()]
    }));
    let mut text = table(&rows, &[false, false, false]);
    if found.len() == 1 {
        text += &wrapped(&format!("{}: {}", say(language, "출처", "source"), found[0].source), 2);
        text += &wrapped(found[0].note.as_deref().unwrap_or_default(), 2);
    }
    let n = found.len();
    text.extend([match language {
        Language::Ko => format!("프로파일 {n}개\n"),
        Language::En => format!("{n} profile{}\n", if n == 1 { "" } else { "s" }),
    }]);
    print(&text);
    ExitCode::SUCCESS
}

/// What kind of line a model hangs on.
fn line(model: &model::Model) -> &'static str {
    match model.points.first() {
        None => "mqtt",
        Some(_) if model.limits.sunspec.is_some() => "sunspec",
        Some(point) if point.table == Table::Input => "modbus input",
        Some(_) => "modbus holding",
    }
}
