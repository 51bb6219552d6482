//! The hand-over sheet: what was found at which address, by what, with which values, what is open, and who signs.
//!
//! It asks and judges nothing: the commands fill it. Invariants: the text fits 80 columns; the JSON has the same facts;
//! a file that exists is not written over.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use serde::Serialize;

use super::{
    super::table::{table, wrapped},
    fail, number, say,
};
use crate::{cli::INPUT, clock::Clock, config::model::Model, language::Language};

/// What is handed over.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sheet {
    /// Local time, with its offset.
    made_at: String,
    made_by: String,
    /// The devices.
    pub(crate) devices: Vec<Device>,
}

/// One device.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Device {
    /// Its name in the configuration.
    pub(crate) name: Option<String>,
    /// How its line is reached.
    pub(crate) address: String,
    /// Its unit.
    pub(crate) unit: u8,
    /// Maker and model, if one is known.
    pub(crate) model: Option<String>,
    /// What speaks for it, in sentences.
    pub(crate) identified_by: Vec<String>,
    /// Profiles that cannot be told apart.
    pub(crate) could_be: Vec<String>,
    /// The profile it was read by.
    pub(crate) profile: Option<ProfileLine>,
    /// What the device says of itself: name, text.
    pub(crate) says: Vec<(String, String)>,
    /// Values, raw and decoded.
    pub(crate) values: Vec<Value>,
    /// What was checked.
    pub(crate) checks: Vec<Check>,
    /// What is still to be done.
    pub(crate) open: Vec<String>,
}

/// A profile, and how far it can be trusted.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct ProfileLine {
    /// Its name.
    pub(crate) name: String,
    /// Whether somebody compared it with a device or the maker's document.
    pub(crate) verified: bool,
    /// Where its registers are from.
    pub(crate) source: String,
    /// What a reader must know.
    pub(crate) note: Option<String>,
}

impl ProfileLine {
    /// Of a model.
    pub(crate) fn of(model: &Model) -> Self {
        Self {
            name: model.name.clone(),
            verified: model.is_verified,
            source: model.source.clone(),
            note: model.note.clone(),
        }
    }
}

/// One value beside its registers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Value {
    /// Quantity, or the way it was read.
    pub(crate) name: String,
    /// The number; `None` where there is none.
    #[serde(rename = "value")]
    pub(crate) number: Option<f64>,
    /// Its unit.
    pub(crate) unit: String,
    /// First register, on the wire.
    pub(crate) at: u16,
    /// Its table.
    pub(crate) table: String,
    /// Type and order.
    pub(crate) form: String,
    /// The registers as they came.
    pub(crate) raw: Vec<String>,
    /// Whether it can be; `None` where nothing says so.
    pub(crate) plausible: Option<bool>,
    /// What is to be said of it.
    pub(crate) remark: String,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Check {
    /// What.
    pub(crate) what: String,
    /// Whether it is so.
    pub(crate) ok: bool,
    /// What was found.
    pub(crate) found: String,
}

impl Value {
    /// Its first register, behind the function that reads its table: 3 holding, 4 input registers.
    fn place(&self) -> String {
        let function = if self.table == "input" { 4 } else { 3 };
        format!("{function}:{}", self.at)
    }
}

/// Registers as engineers write them.
pub(crate) fn hex(words: &[u16]) -> Vec<String> {
    words.iter().map(|word| format!("{word:04X}")).collect()
}

/// Cells of a ruler.
const RULE: usize = 78;
/// Registers shown beside a value at most.
const RAW_AT_MOST: usize = 4;

impl Sheet {
    /// A sheet of now.
    pub(crate) fn new(devices: Vec<Device>) -> Self {
        let now = Clock::system().now().to_zoned_datetime(jiff::tz::TimeZone::system());
        Self {
            made_at: now.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            made_by: format!("wattwarden {}", env!("CARGO_PKG_VERSION")),
            devices,
        }
    }

    /// Writes it to a new file: JSON where the name ends so, else text.
    pub(crate) fn save(&self, path: &Path, language: Language) -> Result<(), ExitCode> {
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        let text = if is_json {
            format!("{:#}\n", serde_json::json!(self))
        } else {
            self.text(language)
        };
        new_file(path, &text)
    }

    /// As text.
    pub(crate) fn text(&self, language: Language) -> String {
        let say = |ko, en| say(language, ko, en);
        let mut text = format!(
            "{}\n{}  {}\n",
            "=".repeat(RULE),
            say("계측기 인수인계서", "Hand-over of meters"),
            self.made_at
        );
        text.extend([format!("{} {}\n", say("작성:", "made by"), self.made_by)]);
        for (nth, device) in self.devices.iter().enumerate() {
            text.extend([format!("{}\n", "-".repeat(RULE))]);
            text += &device.text(nth + 1, language);
        }
        text.extend([format!("{}\n", "=".repeat(RULE))]);
        text += &wrapped(
            say(
                "확인한 사람이 서명합니다. 표시창과 비교하지 않은 값에는 서명하지 마십시오.",
                "Signed by those who checked it. Do not sign for values that nobody has compared with the display.",
            ),
            0,
        );
        let who = [
            say("설치", "installed"),
            say("확인", "checked"),
            say("인수", "taken over"),
        ];
        let lines = who.map(|who| {
            let blank = |title: &str, n| format!("{title} {}", "_".repeat(n));
            vec![
                who.to_owned(),
                blank(say("이름", "name"), 20),
                blank(say("날짜", "date"), 11),
                blank(say("서명", "signed"), 13),
            ]
        });
        text += &table(&lines, &[false; 4]);
        text
    }
}

impl Device {
    fn text(&self, nth: usize, language: Language) -> String {
        let say = |ko: &'static str, en: &'static str| say(language, ko, en);
        let name = self.name.as_deref().unwrap_or_default();
        let mut text = format!(
            "{nth}. {name}  {}  {} {}\n",
            self.address,
            say("국번", "unit"),
            self.unit
        );
        let unknown = say("알 수 없음", "not known");
        text += &line(say("모델", "model"), self.model.as_deref().unwrap_or(unknown));
        if !self.could_be.is_empty() {
            text += &line(say("후보", "could be"), &self.could_be.join(say(" 또는 ", " or ")));
        }
        for why in &self.identified_by {
            text += &line(say("근거", "because"), why);
        }
        if let Some(profile) = &self.profile {
            let trust = if profile.verified {
                say("검증됨", "verified")
            } else {
                say("검증되지 않음 (verified = false)", "not verified (verified = false)")
            };
            text += &line(say("프로파일", "profile"), &format!("{}: {trust}", profile.name));
            text += &line(say("출처", "source"), &profile.source);
            if let Some(note) = &profile.note {
                text += &line(say("참고", "note"), note);
            }
        }
        for (name, said) in &self.says {
            text += &line(name, said);
        }
        text += &self.values_text(language);
        for check in &self.checks {
            let mark = if check.ok { "ok  " } else { "!!  " };
            text += &wrapped(&format!("{mark} {}: {}", check.what, check.found), 2);
        }
        for open in &self.open {
            text += &line(say("남은 일", "open"), open);
        }
        text
    }

    fn values_text(&self, language: Language) -> String {
        if self.values.is_empty() {
            return String::new();
        }
        let say = |ko: &'static str, en: &'static str| say(language, ko, en).to_owned();
        let mut rows = vec![vec![
            "  ".to_owned(),
            say("값", "value"),
            String::new(),
            String::new(),
            say("fn:주소", "fn:at"),
            say("원시값", "raw"),
        ]];
        rows.extend(self.values.iter().map(|value| {
            let raw = &value.raw[..value.raw.len().min(RAW_AT_MOST)];
            let mark = match value.plausible {
                Some(true) => "ok",
                Some(false) => "!!",
                None => "",
            };
            vec![
                mark.to_owned(),
                value.name.clone(),
                value.number.map_or_else(|| "–".to_owned(), number),
                value.unit.clone(),
                value.place(),
                raw.join(" "),
            ]
        }));
        let mut text = table(&rows, &[false, false, true, false, true, false]);
        let mut remarks: Vec<(&str, Vec<&str>)> = vec![];
        for Value { name, remark, .. } in self.values.iter().filter(|value| !value.remark.is_empty()) {
            match remarks.iter_mut().find(|(known, _)| known == remark) {
                Some((_, names)) => names.push(name),
                None => remarks.push((remark, vec![name])),
            }
        }
        for (remark, names) in remarks {
            text += &wrapped(&format!("{remark}: {}", names.join(", ")), 4);
        }
        text
    }
}

fn line(title: &str, text: &str) -> String {
    wrapped(&format!("{title}: {text}"), 2)
}

/// Writes a file that was not there.
pub(crate) fn new_file(path: &Path, text: &str) -> Result<(), ExitCode> {
    let written = File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let why = if error.kind() == io::ErrorKind::AlreadyExists {
            "it is there already and is not written over; name another file".to_owned()
        } else {
            error.to_string()
        };
        fail(INPUT, format!("cannot write {}: {why}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    #[test]
    fn the_sheet_fits_80_columns_and_has_the_same_facts_as_its_json() {
        let value = Value {
            name: "reactive_energy_lead_kvarh".into(),
            number: Some(123_456_789.5),
            unit: "kvarh".into(),
            at: 65532,
            table: "holding".into(),
            form: "f64 abcd".into(),
            raw: hex(&[1, 2, 3, 4]),
            plausible: Some(false),
            remark: "a remark that goes on for a while and even longer than that, beyond the edge".into(),
        };
        let device = Device {
            name: Some("main".into()),
            address: "tcp://192.0.2.10:502".into(),
            unit: 7,
            model: Some("Maker Model".into()),
            identified_by: vec!["the device says so ".repeat(8)],
            could_be: vec!["a".into(), "b".into()],
            profile: Some(ProfileLine {
                name: "p".into(),
                source: "a source".into(),
                ..ProfileLine::default()
            }),
            says: vec![("serial".into(), "12345".into())],
            values: vec![value],
            checks: vec![Check {
                what: "V".into(),
                ok: true,
                found: "230".into(),
            }],
            open: vec!["compare".into()],
        };
        let sheet = Sheet::new(vec![device]);
        for language in [Language::Ko, Language::En] {
            let text = sheet.text(language);
            assert!(text.lines().all(|line| line.width() <= 80), "{text}");
            for fact in [
                "tcp://192.0.2.10:502",
                "Maker Model",
                "0001 0002 0003 0004",
                "verified = false",
                "12345",
                "3:65532",
            ] {
                assert!(text.contains(fact), "{fact} is not in\n{text}");
            }
        }
        let json = serde_json::to_value(&sheet).unwrap();
        assert_eq!(json["devices"][0]["values"][0]["raw"][3], "0004");
        assert_eq!(json["devices"][0]["profile"]["verified"], false);
    }
}
