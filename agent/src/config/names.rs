//! Names of one kind of thing: each once, each fit for a tag, and every use of one checked against them.

use std::{collections::BTreeMap, ops::Range};

use super::{
    diagnostic::Code,
    read::{At, File},
    suggest,
};

/// The names of one kind of thing, with the places where they are declared.
#[derive(Debug)]
pub(super) struct Names {
    what: &'static str,
    places: BTreeMap<String, Range<usize>>,
}

/// Longest name: it stands in tags, file names and pages.
const MAX_LENGTH: usize = 64;

impl Names {
    /// No names yet; `what` is what people call such a thing (`meter`).
    pub(super) fn new(what: &'static str) -> Self {
        Self {
            what,
            places: BTreeMap::new(),
        }
    }

    /// Takes a name in; reports one that is taken or unfit.
    pub(super) fn declare(&mut self, file: &File, name: &At<&str>) {
        let (what, text) = (self.what, *name.get_ref());
        if let Err(why) = fit(text) {
            let message = format!("{text:?} cannot be the name of a {what}: {why}");
            file.report(Code::BadName, name.span(), message);
        }
        if let Some(first) = self.places.get(text) {
            let first = file.source.place(first.clone()).line;
            let message = format!("two things of kind {what} are called {text:?}; the first stands on line {first}");
            let help = "give one of them another name, or take it out".to_owned();
            file.report_with(Code::DuplicateName, name.span(), message, Some(help));
        } else {
            self.places.insert(text.to_owned(), name.span());
        }
    }

    /// Where a name is declared.
    pub(super) fn place(&self, name: &str) -> Option<Range<usize>> {
        self.places.get(name).cloned()
    }

    /// Whether the thing is there; reports it when not, with the nearest name.
    pub(super) fn find(&self, file: &File, name: &At<&str>) -> bool {
        let text = *name.get_ref();
        if self.places.contains_key(text) {
            return true;
        }
        let message = format!("no {} is called {text:?}", self.what);
        let names = || self.places.keys().map(String::as_str);
        let with_line = |near: &str| {
            let line = file.source.place(self.places[near].clone()).line;
            format!("{near:?} (line {line})")
        };
        let near: Vec<String> = suggest::nearest(text, names()).into_iter().map(with_line).collect();
        let help = suggest::question(&near).or_else(|| suggest::help(text, names()));
        file.report_with(Code::UnknownReference, name.span(), message, help);
        false
    }
}

fn fit(name: &str) -> Result<(), String> {
    let bad = |c: char| c.is_control() || ['/', '\\', '"', '#', '+', ','].contains(&c);
    if name.is_empty() || name.trim() != name {
        return Err("it is empty or begins or ends with a space".into());
    }
    if name.chars().count() > MAX_LENGTH {
        return Err(format!("it is longer than {MAX_LENGTH} characters"));
    }
    match name.chars().find(|&c| bad(c)) {
        Some(c) => Err(format!("{c:?} cannot stand in a tag or a file's name")),
        None => Ok(()),
    }
}
