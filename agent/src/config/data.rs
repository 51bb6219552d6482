//! Data files: tariffs, factors, calendars, meter profiles and kinds of machine, embedded in the program and
//! overridable by a file of the same name in the same folder beside the configuration.
//!
//! It does not know what stands in them, but says in both languages what the crate `energy` says of it. Invariant: a file
//! is taken whole, from one place or the other, never merged.

use std::{
    collections::BTreeSet,
    ops::Range,
    path::{Path, PathBuf},
};

use energy::{both, finding::Title, tariff::HourSpan};
use serde::de::DeserializeOwned;

use super::{
    diagnostic::{Code, Diagnostic, Source},
    read::{At, File, Problems},
    suggest,
};

#[derive(rust_embed::Embed)]
#[folder = "../config"]
struct Shipped;

/// A folder of data files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the folder of its name")]
pub enum Folder {
    Meters,
    Tariffs,
    TariffRules,
    Factors,
    Calendars,
    /// The configuration's own folder: `machines.toml`.
    Top,
}

impl Folder {
    /// Every folder.
    pub(super) const ALL: [Self; 6] = [
        Self::Meters,
        Self::Tariffs,
        Self::TariffRules,
        Self::Factors,
        Self::Calendars,
        Self::Top,
    ];

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Meters => "meters/",
            Self::Tariffs => "tariffs/",
            Self::TariffRules => "tariffs/rules/",
            Self::Factors => "factors/",
            Self::Calendars => "calendars/",
            Self::Top => "",
        }
    }

    fn what(self) -> Title {
        match self {
            Self::Meters => both!("프로파일", "meter profile"),
            Self::Tariffs => both!("요금제", "tariff"),
            Self::TariffRules => both!("요금 규정", "set of tariff rules"),
            Self::Factors => both!("배출계수", "factor series"),
            Self::Calendars => both!("공휴일 달력", "holiday calendar"),
            Self::Top => both!("데이터 파일", "data file"),
        }
    }
}

/// The data files as one configuration sees them.
#[derive(Debug, Clone)]
pub struct DataFiles {
    beside: PathBuf,
}

impl DataFiles {
    /// The shipped files, overridden by those in the folders under `beside`.
    pub fn beside(beside: &Path) -> Self {
        Self {
            beside: beside.to_owned(),
        }
    }

    /// Names of all files of a folder, without `.toml`.
    pub fn names(&self, folder: Folder) -> BTreeSet<String> {
        let own = std::fs::read_dir(self.beside.join(folder.path())).into_iter().flatten();
        let own = own.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let shipped = Shipped::iter().filter_map(|path| path.strip_prefix(folder.path()).map(str::to_owned));
        shipped
            .chain(own)
            .filter(|name| !name.contains('/'))
            .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
            .collect()
    }

    /// The file of a name; `None` when there is none.
    pub fn read(&self, folder: Folder, name: &str) -> Option<Result<Source, Diagnostic>> {
        if name.contains(['/', '\\']) || name.starts_with('.') {
            return None;
        }
        let path = format!("{}{name}.toml", folder.path());
        let own = self.beside.join(&path);
        if own.is_file() {
            return Some(Source::read(&own));
        }
        let shipped = Shipped::get(&path)?;
        let text = String::from_utf8_lossy(&shipped.data);
        Some(Ok(Source::new(&format!("{path} (shipped)"), &text)))
    }

    /// The file that `name` in `file` refers to; what is wrong is reported there.
    pub fn find(&self, folder: Folder, name: &At<&str>, file: &File) -> Option<File> {
        let text = *name.get_ref();
        match self.read(folder, text) {
            Some(Ok(source)) => Some(File {
                source,
                problems: file.problems.clone(),
            }),
            Some(Err(diagnostic)) => {
                file.problems.push(diagnostic);
                None
            }
            None => {
                let names = self.names(folder);
                let what = folder.what();
                let message = both!(
                    [what],
                    "{text:?}은(는) 없는 {what}입니다",
                    "no {what} is called {text:?}"
                );
                let help = suggest::help(text, names.iter().map(String::as_str)).unwrap_or_else(|| {
                    both!(
                        "{text}.toml 파일을 {}{} 폴더에 넣으십시오",
                        "put {text}.toml into {}{}",
                        self.shown(),
                        folder.path()
                    )
                });
                file.report_with(Code::UnknownDataFile, name.span(), message, Some(help));
                None
            }
        }
    }

    fn shown(&self) -> String {
        match self.beside.display().to_string() {
            beside if beside.is_empty() => beside,
            beside => beside + "/",
        }
    }

    /// The file that `name` refers to, as a value; what is wrong is reported at its place.
    pub fn load<T: DeserializeOwned>(&self, folder: Folder, name: &At<&str>, file: &File) -> Option<T> {
        let found = self.find(folder, name, file)?;
        deserialised(&found)
    }
}

/// The whole of a data file as a value; what is wrong is reported at its place.
pub fn deserialised<T: DeserializeOwned>(file: &File) -> Option<T> {
    match toml::from_str(&file.source.text) {
        Ok(value) => Some(value),
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            let message = own_words(file, &span).filter(|own| own.en == error.message());
            let message = message.unwrap_or_else(|| Code::BadDataFile.said(error.message()));
            file.report(Code::BadDataFile, span, message);
            None
        }
    }
}

/// What the crate `energy` says of a text that it does not understand: on its way through serde it lost its Korean.
fn own_words(file: &File, span: &Range<usize>) -> Option<Title> {
    let text = file.source.text.get(span.clone())?.trim_matches(['"', '\'']);
    HourSpan::try_from(text.to_owned()).err().map(|error| error.0)
}

/// Reads a shipped or overriding file without a configuration that refers to it, for commands that list data.
pub fn load_alone<T: DeserializeOwned>(data: &DataFiles, folder: Folder, name: &str) -> Result<T, Vec<Diagnostic>> {
    let file = File {
        source: Source::new("command line", name),
        problems: Problems::default(),
    };
    data.load(folder, &toml::Spanned::new(0..name.len(), name), &file)
        .ok_or_else(|| file.problems.take())
}
