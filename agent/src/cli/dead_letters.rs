//! `wattwarden dead-letters`: what could not be read or delivered, counted by reason, and one of them whole.
//!
//! It only reads the store, beside a running agent too. Invariant: nothing is shown that could move a terminal's cursor.

use std::{collections::BTreeMap, io, path::PathBuf, process::ExitCode};

use clap::{Subcommand, ValueEnum};
use serde_json::json;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{INPUT, INTERNAL, Lang, Secrets, fail, finish, language, load, table::table};
use crate::{
    config::{Config, diagnostic::Paint},
    forward::influx::verdict,
    language::Language,
    store::{DeadLetter, KeptLetter, Reader, StoreError},
};

/// Arguments of `dead-letters`.
#[derive(Debug, clap::Args)]
pub struct DeadLettersArgs {
    #[command(subcommand)]
    command: DeadLettersCommand,
}

#[derive(Debug, Subcommand)]
enum DeadLettersCommand {
    /// Count them by source and reason, and list the newest.
    List(ListArgs),
    /// Print one whole, with its payload.
    Show(ShowArgs),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wattwarden dead-letters list\n  wattwarden dead-letters list --source mqtt:hall --reason not_json\n  wattwarden dead-letters list --format json --limit 1000"
)]
struct ListArgs {
    #[command(flatten)]
    place: Place,
    /// Only those of this source, as `mqtt:hall`, `influx:plant`.
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Only those of this kind of reason, as the count names it.
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// How many of the newest are listed; all are counted.
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wattwarden dead-letters show 17\n  wattwarden dead-letters show 17 --format json")]
struct ShowArgs {
    /// Its number, as `list` prints it.
    id: u64,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The agent's configuration, whose store is read.
    #[arg(long, short, value_name = "FILE", default_value = "/etc/wattwarden/wattwarden.toml")]
    config: PathBuf,
    /// Text for people, or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Language.
    #[arg(long, value_enum)]
    lang: Option<Lang>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// The kind of reason: a letter of a broker begins with it, an InfluxDB's answer is classed as its counter is.
fn label(letter: &KeptLetter) -> &str {
    let DeadLetter { source, reason, .. } = &letter.letter;
    if source.starts_with("influx:") {
        return verdict::class(reason);
    }
    let first = reason.split(':').next().unwrap_or_default();
    let is_label = source.starts_with("mqtt:") && first.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    if is_label { first } else { verdict::UNCLEAR }
}

/// Runs the subcommand.
pub fn run(args: &DeadLettersArgs) -> ExitCode {
    finish(match &args.command {
        DeadLettersCommand::List(args) => list(args),
        DeadLettersCommand::Show(args) => show(args),
    })
}

fn open(place: &Place) -> Result<(Config, Reader), ExitCode> {
    let config = load(&place.config, Secrets::LeaveOut)?;
    let reader = Reader::open(&config.store).map_err(|error| fail(INPUT, error))?;
    Ok((config, reader))
}

fn unread(error: &StoreError) -> ExitCode {
    fail(INTERNAL, format!("reading dead letters from the store: {error}"))
}

fn list(args: &ListArgs) -> Result<String, ExitCode> {
    let (config, reader) = open(&args.place)?;
    let all = reader.all_dead_letters().map_err(|error| unread(&error))?;
    let is_asked = |letter: &KeptLetter| {
        args.source
            .as_ref()
            .is_none_or(|source| *source == letter.letter.source)
            && args.reason.as_ref().is_none_or(|reason| *reason == label(letter))
    };
    let asked: Vec<&KeptLetter> = all.iter().filter(|letter| is_asked(letter)).collect();
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for letter in &asked {
        *counts.entry((&letter.letter.source, label(letter))).or_default() += 1;
    }
    let newest = &asked[..asked.len().min(args.limit)];
    Ok(match args.place.format {
        Format::Json => {
            let counts: Vec<_> = counts
                .iter()
                .map(|((source, reason), n)| json!({"source": source, "reason": reason, "count": n}))
                .collect();
            let letters: Vec<_> = newest.iter().map(|letter| to_json(letter)).collect();
            lines(&json!({"total": asked.len(), "counts": counts, "letters": letters}))
        }
        Format::Text => {
            let width = Paint::of(&io::stdout()).width;
            listed(&counts, newest, &config, (language(args.place.lang), width))
        }
    })
}

fn lines(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

fn to_json(letter: &KeptLetter) -> serde_json::Value {
    json!({
        "id": letter.id,
        "at": letter.letter.at.to_string(),
        "source": letter.letter.source,
        "reason": label(letter),
        "why": letter.letter.reason,
        "payload": letter.letter.payload,
    })
}

/// Cells of a number, an instant and the spaces around them.
const BEFORE_WHY: usize = 8 + 2 + 19 + 2;

/// A list whose lines are `width` cells long at most: on a terminal, as long as its own; in a file, whole.
fn listed(
    counts: &BTreeMap<(&str, &str), u64>,
    newest: &[&KeptLetter],
    config: &Config,
    (language, width): (Language, usize),
) -> String {
    let word = |ko: &'static str, en: &'static str| if language == Language::Ko { ko } else { en }.to_owned();
    if counts.is_empty() {
        return word("읽거나 전달하지 못한 것이 없습니다.\n", "No dead letters.\n");
    }
    let mut rows = vec![vec![
        word("건수", "count"),
        word("출처", "source"),
        word("사유", "reason"),
    ]];
    let cells = |((source, reason), n): (&(&str, &str), &u64)| {
        vec![n.to_string(), cut(source, width / 2 - 8), cut(reason, width / 2 - 4)]
    };
    rows.extend(counts.iter().map(cells));
    let mut text = table(&rows, &[true, false, false]);
    let total: u64 = counts.values().sum();
    if newest.is_empty() {
        return text;
    }
    let n = newest.len();
    let zone = config.site.zone.iana_name().unwrap_or("the site");
    let title = match language {
        Language::Ko => format!("\n전체 {total}건 중 최근 {n}건 ({zone}):\n"),
        Language::En => format!("\nThe newest {n} of {total} (times of {zone}):\n"),
    };
    text += &title;
    let mut rows = vec![];
    for letter in newest {
        let at = letter.letter.at.to_zoned_datetime(config.site.zone.clone());
        let why = format!("{} {}", letter.letter.source, letter.letter.reason);
        let at = at.strftime("%Y-%m-%d %H:%M:%S").to_string();
        rows.push(vec![letter.id.to_string(), at, cut(&why, width - BEFORE_WHY)]);
    }
    text += &table(&rows, &[true, false, false]);
    text + &match language {
        Language::Ko => "\n하나를 모두 보려면: wattwarden dead-letters show 번호\n".to_owned(),
        Language::En => "\nOne of them whole: wattwarden dead-letters show NUMBER\n".to_owned(),
    }
}

/// As much of a text as fits, on one line.
fn cut(text: &str, cells: usize) -> String {
    let text = plain(text).replace('\n', " ");
    if text.width() <= cells {
        return text;
    }
    let mut used = 1; // the mark that something is missing
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= cells
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// A text with what a terminal would obey made visible.
fn plain(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' => "\n".to_owned(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(shown).collect()
}

fn show(args: &ShowArgs) -> Result<String, ExitCode> {
    let (config, reader) = open(&args.place)?;
    let Some(letter) = reader.dead_letter(args.id).map_err(|error| unread(&error))? else {
        let why = format!(
            "no dead letter has the number {}; `wattwarden dead-letters list` says which there are",
            args.id
        );
        return Err(fail(INPUT, why));
    };
    if args.place.format == Format::Json {
        return Ok(lines(&to_json(&letter)));
    }
    let language = language(args.place.lang);
    let word = |ko: &str, en: &str| if language == Language::Ko { ko } else { en }.to_owned();
    let at = letter.letter.at.to_zoned_datetime(config.site.zone.clone());
    let rows = vec![
        vec![word("번호", "number"), letter.id.to_string()],
        vec![word("시각", "at"), at.strftime("%Y-%m-%d %H:%M:%S %:z").to_string()],
        vec![word("출처", "source"), plain(&letter.letter.source)],
        vec![word("사유", "reason"), label(&letter).to_owned()],
    ];
    let why = super::table::wrapped(&plain(&letter.letter.reason), 0);
    let payload = plain(&letter.letter.payload);
    Ok(format!(
        "{}\n{why}\n{}\n{}\n",
        table(&rows, &[false, false]),
        word("내용", "payload"),
        payload.trim_end_matches('\n')
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_to_the_cells_it_has_and_moves_no_cursor() {
        for (text, cells, expected) in [
            ("plant/dryer", 11, "plant/dryer"),
            ("plant/dryer", 10, "plant/dry…"),
            ("압축기-1", 8, "압축기-1"),
            ("압축기-1", 7, "압축기…"),
            ("a\nb\u{1b}[2J", 20, "a b\\u{1b}[2J"),
        ] {
            assert_eq!(cut(text, cells), expected, "{text:?}");
        }
    }
}
