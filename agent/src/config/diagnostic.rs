//! What is wrong with a file, where, and how to mend it: [`Diagnostic`], its codes, and how it is shown.
//!
//! It judges nothing and reads no file: the line it points at travels with it. Invariant: a code, once published, keeps
//! its meaning; columns count characters, carets count the cells of a terminal.

use std::{fmt, fmt::Write as _, ops::Range, path::Path, sync::Arc};

use energy::{both, finding::Title};
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::language::Language;

macro_rules! codes {
    ($($variant:ident $code:literal $en:literal $ko:literal;)*) => {
        /// What kind of problem it is; `E…` stops the agent, `W…` does not, `N…` is only worth knowing.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each code has its sentence in the table, see meaning()")]
        pub enum Code { $($variant,)* }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as printed.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// What it means, in one sentence.
            pub fn meaning(self, language: Language) -> &'static str {
                match self { $(Self::$variant => language.say($ko, $en),)* }
            }
        }
    };
}

codes! {
    Syntax "E1001" "The text is not valid TOML."
        "TOML 문법에 맞지 않습니다.";
    Unreadable "E1002" "The file cannot be read."
        "파일을 읽을 수 없습니다.";
    UnknownKey "E1003" "A key that this table does not have."
        "이 표에 없는 키입니다.";
    MissingKey "E1004" "A key that must be there is missing."
        "꼭 있어야 하는 키가 없습니다.";
    WrongType "E1005" "The value has the wrong type."
        "값의 형이 다릅니다.";
    BadValue "E1006" "The value has the right type but cannot be used."
        "형은 맞지만 쓸 수 없는 값입니다.";
    DuplicateName "E1101" "Two things of one kind have the same name."
        "같은 종류의 두 항목이 같은 이름을 가졌습니다.";
    BadName "E1102" "A name has characters that cannot stand in a tag or a file's name."
        "태그나 파일 이름에 쓸 수 없는 글자가 이름에 있습니다.";
    UnknownReference "E1107" "A name that nothing in the configuration has."
        "구성 어디에도 없는 이름입니다.";
    UnknownDataFile "E1108" "A file of the data folders that does not exist."
        "데이터 폴더에 없는 파일입니다.";
    BadDataFile "E1109" "A data file that cannot be used."
        "쓸 수 없는 데이터 파일입니다.";
    Contradiction "E1110" "Two settings contradict each other."
        "두 설정이 서로 어긋납니다.";
    BadRegister "E1201" "A register that cannot be read as it is written."
        "적힌 대로는 읽을 수 없는 레지스터입니다.";
    BusTooSlow "E1202" "More is asked of a Modbus line than it can give in the time."
        "Modbus 회선이 주어진 시간에 읽을 수 있는 것보다 많습니다.";
    NotInThisVersion "E1301" "A thing that this version cannot do yet."
        "이 버전이 아직 하지 못하는 일입니다.";
    PlainSecret "E1401" "A secret stands in the configuration itself."
        "비밀 값이 구성 파일에 그대로 적혀 있습니다.";
    SecretFile "E1402" "The file of a secret cannot be read."
        "비밀 값의 파일을 읽을 수 없습니다.";
    NotLoopback "E1501" "The page may only listen on this machine."
        "화면은 이 컴퓨터에서만 열 수 있습니다.";
    NotDetected "W2001" "A kind of waste that this version does not detect."
        "이 버전이 찾지 않는 낭비입니다.";
    SecretIsPublic "W2002" "Everybody on the machine can read the file of a secret."
        "비밀 값의 파일을 이 컴퓨터의 누구나 읽을 수 있습니다.";
    BrokerThrottles "W2003" "The broker will hold messages back."
        "브로커가 메시지를 늦게 보낼 것입니다.";
    PriceUnknown "W2004" "Some time of the contract has no price."
        "계약 기간의 일부에 단가가 없습니다.";
    NoEffect "W2005" "A setting that has no effect."
        "효과가 없는 설정입니다.";
    DemandInterval "W2006" "The demand interval is not the one that the tariff bills."
        "수요 시한이 요금제가 청구하는 것과 다릅니다.";
    StoreFolder "W2007" "The store's folder is not there, or cannot be written."
        "저장소 폴더가 없거나 거기에 쓸 수 없습니다.";
    BusCrowded "W2008" "Some reads of a Modbus line push others out."
        "Modbus 회선의 어떤 읽기가 다른 읽기를 밀어냅니다.";
    ContractLimits "W2009" "The tariff is not for a contract of this demand."
        "이 계약전력에 맞지 않는 요금제입니다.";
    ReadTwice "W2010" "One device or line is read twice."
        "한 기기 또는 회선을 두 번 읽습니다.";
    ManyInOne "W2011" "Whatever matches a filter is taken for one meter."
        "필터에 맞는 모든 토픽을 한 계측기로 받습니다.";
    NoZone "W2012" "The device says local times, and no zone is written."
        "기기가 지역 시각을 보내는데 시간대가 적혀 있지 않습니다.";
    TariffZone "W2013" "The tariff's clock is not the site's."
        "요금제의 시간대가 사업장의 것과 다릅니다.";
    Unused "N3001" "A meter that no machine uses."
        "어느 설비도 쓰지 않는 계측기입니다.";
    ModiconNumber "N3003" "An address that looks like a number of Modicon's, which begin at 1 and name the table."
        "1부터 세고 표를 함께 뜻하는 Modicon 번호처럼 보이는 주소입니다.";
    NotUsedYet "N3002" "A key that is read and checked, but that this version does not use yet."
        "읽고 확인하지만 이 버전이 아직 쓰지 않는 키입니다.";
    Unverified "N3005" "A profile that nobody has compared with a device or the maker's document."
        "아무도 기기나 제조사 문서와 대조하지 않은 프로파일입니다.";
    CalibrationOverdue "N3004" "A meter's calibration was due."
        "계측기의 교정 기한이 지났습니다.";
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The agent does not start.
    Error,
    /// The agent starts; somebody should look.
    Warning,
    /// Worth knowing.
    Note,
}

impl Code {
    /// What a library said of a problem of this code, as it stands; in Korean, after what the code means.
    pub fn said(self, why: &str) -> Title {
        Title {
            ko: format!("{} {why}", self.meaning(Language::Ko)),
            en: why.to_owned(),
        }
    }

    /// How bad problems of this code are.
    pub fn severity(self) -> Severity {
        match self.name().as_bytes()[0] {
            b'E' => Severity::Error,
            b'W' => Severity::Warning,
            _ => Severity::Note,
        }
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A file as read, to tell places in it.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file as people call it.
    pub name: Arc<str>,
    /// Its text.
    pub text: Arc<str>,
}

impl Source {
    /// A file called `name` with `text`.
    pub fn new(name: &str, text: &str) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }

    /// Reads a file; a byte-order mark at its start is left out.
    pub fn read(path: &Path) -> Result<Self, Diagnostic> {
        let name = path.display().to_string();
        let unreadable = |why: String| {
            let message = both!("{name} 파일을 읽을 수 없습니다: {why}", "cannot read {name}: {why}");
            Diagnostic::new(Code::Unreadable, message).help(both!(
                "경로와 읽기 권한을 확인하십시오",
                "check the path and who may read it"
            ))
        };
        if path.is_dir() {
            let message = both!(
                "{name}은(는) 폴더입니다. 파일이 필요합니다",
                "{name} is a folder: a file is wanted"
            );
            let help = both!("폴더 안의 파일 이름까지 쓰십시오", "name the file in it");
            return Err(Diagnostic::new(Code::Unreadable, message).help(help));
        }
        let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + String::from_utf8_lossy(good).matches('\n').count();
            let message = both!(
                "{name}은(는) UTF-8 텍스트가 아닙니다. {line}행에 다른 바이트가 있습니다",
                "{name} is not a text in UTF-8: line {line} has other bytes"
            );
            Diagnostic::new(Code::Unreadable, message).help(both!(
                "UTF-8로 저장하십시오. 따로 정하지 않으면 UTF-16이나 CP949로 저장하는 편집기가 있습니다",
                "save it as UTF-8; some editors write UTF-16 or CP949 unless told otherwise"
            ))
        })?;
        Ok(Self::new(&name, text.strip_prefix('\u{feff}').unwrap_or(&text)))
    }

    /// The place of a stretch of bytes.
    pub fn place(&self, span: Range<usize>) -> Place {
        let start = floor_boundary(&self.text, span.start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |index| index + 1);
        let line_end = self.text[start..]
            .find('\n')
            .map_or(self.text.len(), |index| start + index);
        let end = floor_boundary(&self.text, span.end.min(line_end)).max(start);
        let line = self.text[line_start..line_end].trim_end_matches('\r');
        Place {
            file: Arc::clone(&self.name),
            line: self.text[..line_start].matches('\n').count() + 1,
            column: self.text[line_start..start].chars().count() + 1,
            before: self.text[line_start..start].to_owned(),
            marked: self.text[start..end].trim_end_matches('\r').to_owned(),
            text: line.to_owned(),
        }
    }
}

fn floor_boundary(text: &str, index: usize) -> usize {
    (0..=index.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}

/// Where in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as people call it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    before: String,
    marked: String,
    text: String,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of problem.
    pub code: Code,
    /// Got and wanted.
    pub message: Title,
    /// How to mend it.
    pub help: Option<Title>,
    /// Where; `None` when no line of a file is to blame.
    pub place: Option<Box<Place>>,
}

impl Diagnostic {
    /// A problem without a place.
    pub fn new(code: Code, message: Title) -> Self {
        Self {
            code,
            message,
            help: None,
            place: None,
        }
    }

    /// With a line on how to mend it.
    #[must_use]
    pub fn help(mut self, help: Title) -> Self {
        self.help = Some(help);
        self
    }

    /// With its place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(Box::new(place));
        self
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// As shown on a terminal.
    pub fn render(&self, paint: Paint) -> String {
        let (word, colour) = match self.severity() {
            Severity::Error => (paint.language.say("오류", "error"), "31"),
            Severity::Warning => (paint.language.say("경고", "warning"), "33"),
            Severity::Note => (paint.language.say("참고", "note"), "36"),
        };
        let head = format!("{word} {}", self.code.name());
        let said = format!(": {}", paint.language.pick(&self.message));
        let help = self.help.as_ref().map(|help| paint.language.pick(help));
        let mut out = paint.on(colour, &head) + &paint.wrapped(&head, &said, 4);
        match &self.place {
            Some(place) => place.render(&mut out, paint, colour, help),
            None => out.extend(help.map(|help| help_line("  ", help, paint))),
        }
        out
    }

    /// For programs, and for whom they show it to.
    pub fn to_json(&self, language: Language) -> serde_json::Value {
        let place = self.place.as_deref();
        serde_json::json!({
            "code": self.code,
            "severity": self.severity(),
            "message": language.pick(&self.message),
            "help": self.help.as_ref().map(|help| language.pick(help)),
            "file": place.map(|place| place.file.as_ref()),
            "line": place.map(|place| place.line),
            "column": place.map(|place| place.column),
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(Paint::PLAIN).trim_end())
    }
}

impl Place {
    fn render(&self, out: &mut String, paint: Paint, colour: &str, help: Option<&str>) {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        // A tab is shown as four cells, in the text and under it.
        let shown = |text: &str| text.replace('\t', "    ");
        let lead = " ".repeat(shown(&self.before).width());
        let carets = "^".repeat(shown(&self.marked).width().max(1));
        let write = writeln!(
            out,
            " {gutter}┌─ {}:{}:{}\n {number} │ {}\n {gutter} │ {lead}{}",
            self.file,
            self.line,
            self.column,
            shown(&self.text),
            paint.on(colour, &carets),
        );
        write.expect("writing to a String cannot fail");
        if let Some(help) = help {
            *out += &help_line(&format!(" {gutter} = "), help, paint);
        }
    }
}

fn help_line(lead: &str, help: &str, paint: Paint) -> String {
    let lead = format!("{lead}{}: ", paint.language.say("조치", "help"));
    lead.clone() + &paint.wrapped(&lead, help, lead.width())
}

/// How text is fitted to what it is written on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    /// Whether ANSI colours are written.
    pub has_colours: bool,
    /// Cells of a line; lines of a file are shown whole all the same.
    pub width: usize,
    /// What its reader reads.
    pub language: Language,
}

/// Cells of a line on a terminal that does not say.
const USUAL_WIDTH: usize = 80;
/// Below this, wrapping would leave one word a line.
const LEAST_WIDTH: usize = 40;

impl Paint {
    /// For files, pipes and programs.
    pub const PLAIN: Self = Self {
        has_colours: false,
        width: usize::MAX,
        language: Language::En,
    };

    /// Colour on a terminal, unless the environment variable `NO_COLOR` is set. Lines as long as `COLUMNS` says, else as
    /// on a usual terminal; on anything else, as long as they are. In the terminal's language.
    pub fn of(out: &impl std::io::IsTerminal) -> Self {
        let asked_not_to = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
        let usual = if out.is_terminal() { USUAL_WIDTH } else { usize::MAX };
        Self {
            has_colours: out.is_terminal() && !asked_not_to,
            width: columns.unwrap_or(usual).max(LEAST_WIDTH),
            language: Language::of_terminal(),
        }
    }

    /// `text` in bold and a colour by its ANSI number, where colours are written.
    pub fn on(self, colour: &str, text: &str) -> String {
        if self.has_colours {
            format!("\x1b[1;{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// `text` and a line end, broken between words where it does not fit behind `lead`; further lines begin with
    /// `indent` spaces.
    pub fn wrapped(self, lead: &str, text: &str, indent: usize) -> String {
        let mut out = String::new();
        let mut used = lead.width();
        for word in text.split_inclusive(' ') {
            let width = word.trim_end().width();
            if used + width > self.width && used > indent {
                out.truncate(out.trim_end().len());
                out += "\n";
                out += &" ".repeat(indent);
                used = indent;
            }
            out += word;
            used += word.width();
        }
        out + "\n"
    }
}

#[cfg(test)]
#[path = "../../tests/config_errors/korean.rs"]
mod korean;

/// The English of what was found, whose Korean has been looked at.
#[cfg(test)]
pub(super) fn messages(found: Vec<Diagnostic>) -> Vec<String> {
    let english = |one: Diagnostic| {
        for text in [Some(&one.message), one.help.as_ref()].into_iter().flatten() {
            korean::check(&text.ko, &text.en);
        }
        one.message.en
    };
    found.into_iter().map(english).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_meter() -> Diagnostic {
        let message = both!("그런 계측기는 구성에 없습니다", "no meter is called so");
        let help = both!("\"b\"을(를) 뜻했습니까?", "did you mean \"b\"?");
        Diagnostic::new(Code::UnknownReference, message).help(help)
    }

    fn check(text: &str, marked: &str, expected: &str) {
        let start = text.find(marked).unwrap();
        let diagnostic = no_meter().at(Source::new("a.toml", text).place(start..start + marked.len()));
        assert_eq!(diagnostic.render(Paint::PLAIN), expected);
    }

    #[test]
    fn carets_stand_under_what_is_meant() {
        check(
            "x = 1\nmeter = \"a\"\r\ny = 2\n",
            "\"a\"",
            "error E1107: no meter is called so\n  ┌─ a.toml:2:9\n 2 │ meter = \"a\"\n   │         ^^^\n   = help: did you mean \"b\"?\n",
        );
    }

    #[test]
    fn a_korean_character_takes_two_cells() {
        check(
            "이름 = \"압축기\"",
            "\"압축기\"",
            "error E1107: no meter is called so\n  ┌─ a.toml:1:6\n 1 │ 이름 = \"압축기\"\n   │        ^^^^^^^^\n   = help: did you mean \"b\"?\n",
        );
    }

    #[test]
    fn a_korean_reads_what_is_wrong_and_what_to_do() {
        let korean = Paint {
            language: Language::Ko,
            ..Paint::PLAIN
        };
        assert_eq!(
            no_meter().render(korean),
            "오류 E1107: 그런 계측기는 구성에 없습니다\n  조치: \"b\"을(를) 뜻했습니까?\n"
        );
        let json = no_meter().to_json(Language::Ko);
        assert_eq!(
            (&json["message"], &json["help"]),
            (
                &"그런 계측기는 구성에 없습니다".into(),
                &"\"b\"을(를) 뜻했습니까?".into()
            )
        );
    }

    #[test]
    fn codes_are_unique() {
        for code in Code::ALL {
            assert_eq!(Code::ALL.iter().filter(|other| other.name() == code.name()).count(), 1);
        }
    }

    #[test]
    fn colour_is_only_in_the_word_and_the_carets() {
        let paint = Paint {
            has_colours: true,
            ..Paint::PLAIN
        };
        let painted = Diagnostic::new(Code::Syntax, Title::same("m")).render(paint);
        assert_eq!(painted, "\u{1b}[1;31merror E1001\u{1b}[0m: m\n");
    }

    #[test]
    fn long_lines_are_broken_between_words() {
        let paint = Paint {
            width: 40,
            ..Paint::PLAIN
        };
        let shown = Diagnostic::new(
            Code::NoEffect,
            Title::same("a setting that nobody reads, written by somebody"),
        )
        .help(Title::same("take it out, or write the one that was meant"))
        .at(Source::new(
            "a.toml",
            "nobody_reads_this = \"and a long line of a file stays whole\"",
        )
        .place(0..1));
        let expected = "\
warning W2005: a setting that nobody
    reads, written by somebody
  ┌─ a.toml:1:1
 1 │ nobody_reads_this = \"and a long line of a file stays whole\"
   │ ^
   = help: take it out, or write the one
           that was meant
";
        assert_eq!(shown.render(paint), expected);
    }
}
