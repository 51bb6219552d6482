//! `wattwarden factors list` and `show`: the factors there are, and one of them with its split and sources.

use std::{io, path::PathBuf, process::ExitCode};

use energy::carbon::FactorSeries;

use super::rows::{FactorRow, of_file};
use crate::{
    cli::{INPUT, Lang, fail, language, print, table::table},
    config::{
        data::{DataFiles, Folder, load_alone},
        diagnostic::{Diagnostic, Paint},
        factor_check,
    },
    language::Language,
    report::words::status_name,
};

/// Arguments of `factors list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wattwarden factors list\n  wattwarden factors list kr-grid")]
pub(super) struct ListArgs {
    /// Name of a file; without it, all are listed.
    file: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// Arguments of `factors show`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wattwarden factors show kr-grid-2025\n  wattwarden factors show kr-city-gas-lng-2017"
)]
pub(super) struct ShowArgs {
    /// Id of a factor.
    id: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Place {
    /// Folder whose factors/ override the shipped ones.
    #[arg(long, value_name = "DIR", default_value = "/etc/wattwarden")]
    beside: PathBuf,
    /// Language.
    #[arg(long, value_enum)]
    lang: Option<Lang>,
}

/// One file and its rows.
type Listed = (String, FactorSeries, Vec<FactorRow>);

/// Lists factors.
pub(super) fn run(args: &ListArgs) -> ExitCode {
    let language = language(args.place.lang);
    match files(&args.place, args.file.as_deref()) {
        Ok(files) => {
            let text: Vec<String> = files.iter().map(|file| listed(file, language)).collect();
            print(&text.join("\n"));
            ExitCode::SUCCESS
        }
        Err(found) => refused(&found),
    }
}

/// Prints one factor.
pub(super) fn show(args: &ShowArgs) -> ExitCode {
    let language = language(args.place.lang);
    let files = match files(&args.place, None) {
        Ok(files) => files,
        Err(found) => return refused(&found),
    };
    let mut rows = files
        .iter()
        .flat_map(|(name, _, rows)| rows.iter().map(move |row| (name, row)));
    let Some((file, row)) = rows.find(|(_, row)| row.id == args.id) else {
        let help = "`wattwarden factors list` says which there are";
        return fail(INPUT, format!("no factor has the id {:?}; {help}", args.id));
    };
    let pick = |ko: &str, en: &str| if language == Language::Ko { ko } else { en }.to_owned();
    let mut lines = vec![
        vec![pick("값", "value"), row.value.clone()],
        vec![pick("용도", "purpose"), row.purpose.clone()],
        vec![pick("적용 기간", "in use"), row.used.clone()],
        vec![
            pick("확인 상태", "status"),
            status_name(&row.status, language).to_owned(),
        ],
        vec![pick("파일", "file"), format!("factors/{file}.toml")],
    ];
    lines.extend(
        row.details
            .iter()
            .map(|(name, value)| vec![word(name, language).to_owned(), value.clone()]),
    );
    print(&format!("{}\n{}", row.id, table(&lines, &[false, false])));
    ExitCode::SUCCESS
}

fn files(place: &Place, only: Option<&str>) -> Result<Vec<Listed>, Vec<Diagnostic>> {
    let data = DataFiles::beside(&place.beside);
    let gwp = factor_check::gwp(&data).unwrap_or_default();
    let names = match only {
        Some(name) => vec![name.to_owned()],
        None => data.names(Folder::Factors).into_iter().collect(),
    };
    let one = |name: String| {
        let series: FactorSeries = load_alone(&data, Folder::Factors, &name)?;
        let rows = of_file(&series, &gwp);
        Ok((name, series, rows))
    };
    names.into_iter().map(one).collect()
}

/// The file's rows under the purposes they serve, each purpose where the file first names it.
fn listed((name, series, rows): &Listed, language: Language) -> String {
    let mut purposes: Vec<&str> = Vec::new();
    for row in rows {
        if !purposes.contains(&row.purpose.as_str()) {
            purposes.push(&row.purpose);
        }
    }
    let mut lines = Vec::new();
    for purpose in purposes {
        lines.push(vec![purpose.to_owned()]);
        lines.extend(rows.iter().filter(|row| row.purpose == purpose).map(|row| {
            let id = format!(" {}", row.id);
            vec![
                id,
                row.value.clone(),
                row.used.clone(),
                status_name(&row.status, language).to_owned(),
            ]
        }));
    }
    let title = language.pick(&series.title);
    format!("{name}: {title}\n{}", table(&lines, &[false, true, false, false]))
}

/// What a name of this list is called.
fn word(name: &str, language: Language) -> &str {
    if language == Language::En {
        return name;
    }
    match name {
        "side" => "기준",
        "region" => "지역",
        "statistics" => "통계 연도",
        "published" => "공표",
        "authority" => "기관",
        "source" => "출처",
        "note" => "비고",
        "split makes" => "가스별 검산",
        "fuel" => "연료",
        "title" => "이름",
        "net heat" => "순발열량",
        "gross heat" => "총발열량",
        "edition" => "판",
        "branch" => "지사",
        _ => name,
    }
}

fn refused(found: &[Diagnostic]) -> ExitCode {
    let paint = Paint::of(&io::stderr());
    for diagnostic in found {
        eprintln!("{}", diagnostic.render(paint));
    }
    ExitCode::from(INPUT)
}
