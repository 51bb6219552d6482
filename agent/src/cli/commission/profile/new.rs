//! `wattwarden profile new`: answers → a commented profile that the loader has accepted.
//!
//! It asks no device. Invariants: the source is asked for, `verified` is false, and a file that is there is not written
//! over; what the loader refuses is not written at all.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use super::super::{refused, say, sheet::new_file};
use crate::{
    cli::{INPUT, Lang, fail, language, print},
    config::{diagnostic::Source, model},
    language::Language,
};

/// Arguments of `profile new`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    wattwarden profile new                        asks on the terminal\n  \
    wattwarden profile new --name maker-m1 --maker Maker --model M1 \\\n    \
      --source \"Maker M1 register list, edition 3\" --base 1 --type f32 \\\n    \
      --point voltage_l1_v@3028 --point active_power_kw@3060,scale=0.001 \\\n    \
      --point energy_import_kwh@3204,type=i64,scale=0.001,every=10s")]
pub(super) struct NewArgs {
    /// Name of the profile: its file is NAME.toml.
    #[arg(long)]
    name: Option<String>,
    /// Who makes the device.
    #[arg(long)]
    maker: Option<String>,
    /// What the maker calls it.
    #[arg(long)]
    model: Option<String>,
    /// Where the registers are from: document and edition.
    #[arg(long)]
    source: Option<String>,
    /// What a reader must know beside it.
    #[arg(long)]
    note: Option<String>,
    /// The number of the first register in that source: 0 or 1.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=1))]
    base: Option<u8>,
    /// Table: holding (function 3; the default) or input (function 4).
    #[arg(long)]
    table: Option<String>,
    /// Type of registers that do not say theirs (else f32).
    #[arg(long = "type", value_name = "TYPE")]
    form: Option<String>,
    /// Order of their bytes (else abcd).
    #[arg(long)]
    order: Option<String>,
    /// QUANTITY@REGISTER,type=i32,scale=0.001,every=10s; several times.
    #[arg(long = "point", value_name = "POINT")]
    points: Vec<String>,
    /// Folder of the new file.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Language; else that of LANG.
    #[arg(long, alias = "language", value_enum)]
    lang: Option<Lang>,
}

/// Keys that a point may have beside quantity and register, and whether their values are texts.
const KEYS: [(&str, bool); 8] = [
    ("type", true),
    ("order", true),
    ("table", true),
    ("every", true),
    ("scale", false),
    ("offset", false),
    ("exponent_at", false),
    ("invalid", false),
];

/// Writes a profile.
pub(super) fn new(args: &NewArgs) -> Result<ExitCode, ExitCode> {
    let language = language(args.lang);
    let ask = |flag: &str, given: Option<&str>, ko: &str, en: &str| answer(flag, given, say(language, ko, en));
    let name = ask(
        "--name",
        args.name.as_deref(),
        "파일 이름 (예: maker-m1)",
        "name of the file (as maker-m1)",
    )?;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(fail(
            INPUT,
            format!("{name:?}: a profile's name has small letters, digits and hyphens"),
        ));
    }
    let maker = ask("--maker", args.maker.as_deref(), "제조사", "maker")?;
    let model = ask("--model", args.model.as_deref(), "모델", "model")?;
    let source = ask(
        "--source",
        args.source.as_deref(),
        "레지스터의 출처 (문서와 판)",
        "source of the registers (document and edition)",
    )?;
    if source.trim().is_empty() {
        return Err(fail(
            INPUT,
            "a profile names its source: the maker's document, or who measured it",
        ));
    }
    let base = args.base.map(|base| base.to_string());
    let base = ask(
        "--base",
        base.as_deref(),
        "출처에서 첫 레지스터의 번호 (0 또는 1)",
        "number of the first register there (0 or 1)",
    )?;
    let common = common(args, language)?;
    let points = points(args, language)?;
    let head = [("maker", &maker), ("model", &model), ("source", &source)];
    let text = written(args.note.as_deref(), &head, (&base, &common), &points, language);
    let file = format!("{name}.toml");
    let (_, notes) = model::model(&name, Source::new(&file, &text)).map_err(|found| refused(&found))?;
    for note in notes {
        eprintln!("{note}");
    }
    let path = args.out.join(&file);
    new_file(&path, &text)?;
    let path = path.display();
    print(&match language {
        Language::Ko => format!(
            "{path}에 썼습니다 (점 {}개, verified = false).\n다음: wattwarden profile test {path} --address tcp://HOST:502 --unit 1\n",
            points.len()
        ),
        Language::En => format!(
            "Wrote {path} ({} points, verified = false).\nNext: wattwarden profile test {path} --address tcp://HOST:502 --unit 1\n",
            points.len()
        ),
    });
    Ok(ExitCode::SUCCESS)
}

/// What was given, else what a person answers on the terminal.
fn answer(flag: &str, given: Option<&str>, question: &str) -> Result<String, ExitCode> {
    if let Some(given) = given {
        return Ok(given.trim().to_owned());
    }
    if !io::stdin().is_terminal() {
        return Err(fail(
            INPUT,
            format!("say {flag} ({question}); there is no terminal to ask on"),
        ));
    }
    eprint!("{question}: ");
    io::stderr().flush().ok();
    let mut line = String::new();
    io::stdin()
        .read_line(&mut line)
        .map_err(|error| fail(INPUT, format!("reading the answer: {error}")))?;
    Ok(line.trim().to_owned())
}

/// Table, type and order of registers that say nothing else: as given, else as a person at a terminal says who also says
/// the points, else the usual ones.
fn common(args: &NewArgs, language: Language) -> Result<[String; 3], ExitCode> {
    let is_asked = args.points.is_empty() && io::stdin().is_terminal();
    let ask = |flag: &str, given: &Option<String>, usual: &str, (ko, en): (&str, &str)| match given {
        None if !is_asked => Ok::<_, ExitCode>(usual.to_owned()),
        given => {
            let said = answer(flag, given.as_deref(), say(language, ko, en))?;
            Ok(if said.is_empty() { usual.to_owned() } else { said })
        }
    };
    Ok([
        ask(
            "--table",
            &args.table,
            "holding",
            (
                "레지스터 표: holding (기능 3) 또는 input (기능 4); 빈 줄이면 holding",
                "table of the registers: holding (function 3) or input (function 4); empty: holding",
            ),
        )?,
        ask(
            "--type",
            &args.form,
            "f32",
            (
                "레지스터 형식 (f32, u32, i32, u16, u64 …); 빈 줄이면 f32",
                "type of the registers (f32, u32, i32, u16, u64 …); empty: f32",
            ),
        )?,
        ask(
            "--order",
            &args.order,
            "abcd",
            (
                "바이트 순서 (abcd, cdab …); 빈 줄이면 abcd",
                "order of their bytes (abcd, cdab …); empty: abcd",
            ),
        )?,
    ])
}

/// The points as rows of TOML.
fn points(args: &NewArgs, language: Language) -> Result<Vec<String>, ExitCode> {
    let mut given = args.points.clone();
    if given.is_empty() {
        let question = say(
            language,
            "점: 물리량@레지스터[,type=…,scale=…,table=…,order=…] (빈 줄이면 끝)",
            "point: QUANTITY@REGISTER[,type=…,scale=…,table=…,order=…] (an empty line ends)",
        );
        loop {
            let line = answer("--point", None, question)?;
            if line.is_empty() {
                break;
            }
            match point(&line) {
                Ok(_) => given.push(line),
                Err(why) => eprintln!("{why}"),
            }
        }
    }
    if given.is_empty() {
        return Err(fail(INPUT, "a profile has at least one --point"));
    }
    given
        .iter()
        .map(|text| point(text).map_err(|why| fail(INPUT, why)))
        .collect()
}

/// `active_power_kw@3060,scale=0.001` → a row of `registers`. What it means is the loader's to judge.
fn point(text: &str) -> Result<String, String> {
    let how = || format!("{text:?} is no point: write QUANTITY@REGISTER, as active_power_kw@3060,scale=0.001");
    let (first, rest) = text.split_once(',').unwrap_or((text, ""));
    let (quantity, at) = first.split_once('@').ok_or_else(how)?;
    let at: u32 = at.trim().parse().map_err(|_| how())?;
    let mut row = format!("{{ at = {at}, quantity = {:?}", quantity.trim());
    for pair in rest.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(how)?;
        let known = KEYS.iter().find(|(known, _)| *known == key.trim());
        let names: Vec<&str> = KEYS.iter().map(|(name, _)| *name).collect();
        let &(key, is_text) =
            known.ok_or_else(|| format!("{text:?}: a point has no {key:?}, but {}", names.join(", ")))?;
        let value = value.trim();
        let is_number = value.parse::<f64>().is_ok() || value.starts_with("0x");
        if !is_text && !is_number {
            return Err(format!("{text:?}: {key} is a number, not {value:?}"));
        }
        let written = if is_text {
            format!("{value:?}")
        } else {
            value.to_owned()
        };
        write!(row, ", {key} = {written}").ok();
    }
    Ok(row + " }")
}

/// A text as TOML has it.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn written(
    note: Option<&str>,
    head: &[(&str, &String)],
    (base, [table, form, order]): (&str, &[String; 3]),
    points: &[String],
    language: Language,
) -> String {
    let say = |ko, en| say(language, ko, en);
    let mut text = String::new();
    for (key, value) in head {
        writeln!(text, "{key} = {}", quoted(value)).ok();
    }
    let verified = say(
        "계측기 표시창이나 제조사 문서와 비교한 뒤에만 true 로 바꾸십시오",
        "true only after comparison with the meter's display or the maker's document",
    );
    writeln!(text, "# {verified}").ok();
    text += "verified = false\n";
    if let Some(note) = note {
        writeln!(text, "note = {}", quoted(note)).ok();
    }
    let counts = say(
        "출처가 첫 레지스터를 세는 번호",
        "how the source numbers the first register",
    );
    writeln!(text, "\n# {counts}\nbase = {base}").ok();
    let common = say(
        "따로 적지 않은 레지스터의 표, 형식, 바이트 순서",
        "table, type and order of registers that say nothing else",
    );
    writeln!(
        text,
        "# {common}\ntable = {table:?}\ntype = {form:?}\norder = {order:?}"
    )
    .ok();
    let scale = say(
        "값 = 원시값 × scale + offset, 물리량 이름 끝의 단위로",
        "value = raw × scale + offset, in the unit at the quantity's end",
    );
    writeln!(text, "# {scale}\nregisters = [").ok();
    for point in points {
        writeln!(text, "  {point},").ok();
    }
    let vector = say(
        "장치에서 읽은 값으로 [[vector]]를 더하면 프로파일이 스스로 검사합니다 (config/README.md)",
        "a [[vector]] of words and values read from a device makes the profile prove itself (config/README.md)",
    );
    writeln!(text, "]\n\n# {vector}").ok();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_become_rows() {
        for (text, expected) in [
            ("voltage_l1_v@3028", Ok("{ at = 3028, quantity = \"voltage_l1_v\" }")),
            (
                "energy_import_kwh@3204,type=i64,scale=0.001,every=10s",
                Ok("{ at = 3204, quantity = \"energy_import_kwh\", type = \"i64\", scale = 0.001, every = \"10s\" }"),
            ),
            ("voltage_l1_v", Err("QUANTITY@REGISTER")),
            ("voltage_l1_v@x", Err("QUANTITY@REGISTER")),
            ("voltage_l1_v@1,colour=red", Err("a point has no \"colour\"")),
            ("voltage_l1_v@1,scale=\"1\"\nx = 1", Err("scale is a number")),
        ] {
            match (point(text), expected) {
                (Ok(row), Ok(expected)) => assert_eq!(row, expected),
                (Err(why), Err(expected)) => assert!(why.contains(expected), "{why}"),
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
    }
}
