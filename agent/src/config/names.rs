//! Names of one kind of thing: each once, each fit for a tag, and every use of one checked against them.

use std::{collections::BTreeMap, ops::Range};

use energy::{both, finding::Title};

use super::{
    diagnostic::Code,
    read::{At, File},
    suggest,
};

/// The names of one kind of thing, with the places where they are declared.
#[derive(Debug)]
pub(super) struct Names {
    what: Title,
    places: BTreeMap<String, Range<usize>>,
}

/// Longest name: it stands in tags, file names and pages.
const MAX_LENGTH: usize = 64;

impl Names {
    /// No names yet; `what` is what people call such a thing (`meter`).
    pub(super) fn new(what: Title) -> Self {
        Self {
            what,
            places: BTreeMap::new(),
        }
    }

    /// Takes a name in; reports one that is taken or unfit.
    pub(super) fn declare(&mut self, file: &File, name: &At<&str>) {
        let (what, text) = (&self.what, *name.get_ref());
        if let Err(why) = fit(text) {
            let message = both!(
                [what, why],
                "{what} 이름으로 {text:?}을(를) 쓸 수 없습니다. {why}",
                "{text:?} cannot be the name of a {what}: {why}"
            );
            file.report(Code::BadName, name.span(), message);
        }
        if let Some(first) = self.places.get(text) {
            let first = file.source.place(first.clone()).line;
            let message = both!(
                [what],
                "{what} 이름 {text:?}이(가) 두 번 쓰였습니다. 첫 번째는 {first}행에 있습니다",
                "two things of kind {what} are called {text:?}; the first stands on line {first}"
            );
            let help = both!(
                "한쪽의 이름을 바꾸거나 지우십시오",
                "give one of them another name, or take it out"
            );
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
        let what = &self.what;
        let message = both!(
            [what],
            "{what} {text:?}은(는) 구성에 없습니다",
            "no {what} is called {text:?}"
        );
        let names = || self.places.keys().map(String::as_str);
        let with_line = |near| (near, Some(file.source.place(self.places[near].clone()).line));
        let near = suggest::nearest(text, names()).into_iter().map(with_line);
        let help = suggest::question(near).or_else(|| suggest::help(text, names()));
        file.report_with(Code::UnknownReference, name.span(), message, help);
        false
    }
}

fn fit(name: &str) -> Result<(), Title> {
    let bad = |c: char| c.is_control() || ['/', '\\', '"', '#', '+', ','].contains(&c);
    if name.is_empty() || name.trim() != name {
        return Err(both!(
            "비어 있거나 빈칸으로 시작하거나 끝납니다",
            "it is empty or begins or ends with a space"
        ));
    }
    if name.chars().count() > MAX_LENGTH {
        return Err(both!(
            "{MAX_LENGTH}자보다 깁니다",
            "it is longer than {MAX_LENGTH} characters"
        ));
    }
    match name.chars().find(|&c| bad(c)) {
        Some(c) => Err(both!(
            "{c:?}은(는) 태그나 파일 이름에 쓸 수 없는 글자입니다",
            "{c:?} cannot stand in a tag or a file's name"
        )),
        None => Ok(()),
    }
}
