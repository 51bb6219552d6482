//! The two languages of everything a person reads.

use energy::finding::Title;
use serde::{Deserialize, Serialize};

/// Korean or English.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Korean.
    #[default]
    Ko,
    /// English.
    En,
}

impl Language {
    /// Names as written in TOML and on the command line.
    pub const NAMES: &[(&str, Self)] = &[("ko", Self::Ko), ("en", Self::En)];

    /// The language of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, language)| *language)
    }

    /// What the terminal is set to by `LC_ALL`, `LC_MESSAGES` or `LANG`: Korean, else English.
    pub fn of_terminal() -> Self {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|set| !set.is_empty()));
        if set.is_some_and(|set| set.starts_with("ko")) {
            Self::Ko
        } else {
            Self::En
        }
    }

    /// The one of two texts that is in this language.
    pub fn say<'a>(self, ko: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Ko => ko,
            Self::En => en,
        }
    }

    /// The sentence in this language.
    pub fn pick(self, title: &Title) -> &str {
        match self {
            Self::Ko => &title.ko,
            Self::En => &title.en,
        }
    }
}
