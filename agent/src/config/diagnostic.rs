//! What is wrong with a file, where, and how to mend it: [`Diagnostic`], its codes, and how it is shown.
//!
//! It judges nothing and reads no file: the line it points at travels with it. Invariant: a code, once published, keeps
//! its meaning; columns count characters, carets count the cells of a terminal.

use std::{fmt, fmt::Write as _, ops::Range, path::Path, sync::Arc};

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

macro_rules! codes {
    ($($variant:ident $code:literal $meaning:literal;)*) => {
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
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

codes! {
    Syntax "E1001" "The text is not valid TOML.";
    Unreadable "E1002" "The file cannot be read.";
    UnknownKey "E1003" "A key that this table does not have.";
    MissingKey "E1004" "A key that must be there is missing.";
    WrongType "E1005" "The value has the wrong type.";
    BadValue "E1006" "The value has the right type but cannot be used.";
    DuplicateName "E1101" "Two things of one kind have the same name.";
    BadName "E1102" "A name has characters that cannot stand in a tag or a file's name.";
    UnknownReference "E1107" "A name that nothing in the configuration has.";
    UnknownDataFile "E1108" "A file of the data folders that does not exist.";
    BadDataFile "E1109" "A data file that cannot be used.";
    Contradiction "E1110" "Two settings contradict each other.";
    BadRegister "E1201" "A register that cannot be read as it is written.";
    NotInThisVersion "E1301" "A thing that this version cannot do yet.";
    PlainSecret "E1401" "A secret stands in the configuration itself.";
    SecretFile "E1402" "The file of a secret cannot be read.";
    NotLoopback "E1501" "The page may only listen on this machine.";
    NotDetected "W2001" "A kind of waste that this version does not detect.";
    SecretIsPublic "W2002" "Everybody on the machine can read the file of a secret.";
    BrokerThrottles "W2003" "The broker will hold messages back.";
    PriceUnknown "W2004" "Some time of the contract has no price.";
    NoEffect "W2005" "A setting that has no effect.";
    DemandInterval "W2006" "The demand interval is not the one that the tariff bills.";
    Unused "N3001" "A meter that no machine uses.";
    NotUsedYet "N3002" "A key that is read and checked, but that this version does not use yet.";
    CalibrationOverdue "N3003" "A meter's calibration was due.";
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
            Diagnostic::new(Code::Unreadable, format!("cannot read {name}: {why}"))
                .help("check the path and who may read it")
        };
        let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        let text = String::from_utf8(bytes)
            .map_err(|error| unreadable(format!("byte {} is not UTF-8", error.utf8_error().valid_up_to())))?;
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
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// Where; `None` when no line of a file is to blame.
    pub place: Option<Box<Place>>,
}

impl Diagnostic {
    /// A problem without a place.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
            place: None,
        }
    }

    /// With a line on how to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
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

    /// As shown on a terminal; colour only when `paint` is [`Paint::Ansi`].
    pub fn render(&self, paint: Paint) -> String {
        let (word, colour) = match self.severity() {
            Severity::Error => ("error", "31"),
            Severity::Warning => ("warning", "33"),
            Severity::Note => ("note", "36"),
        };
        let mut out = paint.on(colour, &format!("{word} {}", self.code.name())) + ": " + &self.message + "\n";
        match &self.place {
            Some(place) => place.render(&mut out, paint, colour, self.help.as_deref()),
            None => out.extend(self.help.iter().flat_map(|help| ["  help: ", help, "\n"])),
        }
        out
    }

    /// For programs.
    pub fn to_json(&self) -> serde_json::Value {
        let place = self.place.as_deref();
        serde_json::json!({
            "code": self.code,
            "severity": self.severity(),
            "message": self.message,
            "help": self.help,
            "file": place.map(|place| place.file.as_ref()),
            "line": place.map(|place| place.line),
            "column": place.map(|place| place.column),
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(Paint::Plain).trim_end())
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
            out.extend([" ", &gutter, " = help: ", help, "\n"]);
        }
    }
}

/// Whether escape codes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Never.
    Plain,
    /// ANSI colours.
    Ansi,
}

impl Paint {
    /// Colour on a terminal, unless the environment variable `NO_COLOR` is set.
    pub fn of(out: &impl std::io::IsTerminal) -> Self {
        let asked_not_to = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if out.is_terminal() && !asked_not_to {
            Self::Ansi
        } else {
            Self::Plain
        }
    }

    fn on(self, colour: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Ansi => format!("\x1b[1;{colour}m{text}\x1b[0m"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, marked: &str, expected: &str) {
        let start = text.find(marked).unwrap();
        let diagnostic = Diagnostic::new(Code::UnknownReference, "no meter is called so")
            .help("did you mean \"b\"?")
            .at(Source::new("a.toml", text).place(start..start + marked.len()));
        assert_eq!(diagnostic.render(Paint::Plain), expected);
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
    fn codes_are_unique() {
        for code in Code::ALL {
            assert_eq!(Code::ALL.iter().filter(|other| other.name() == code.name()).count(), 1);
        }
    }

    #[test]
    fn colour_is_only_in_the_word_and_the_carets() {
        let painted = Diagnostic::new(Code::Syntax, "m").render(Paint::Ansi);
        assert_eq!(painted, "\u{1b}[1;31merror E1001\u{1b}[0m: m\n");
    }
}
