//! A small reader over a TOML table that keeps the place of every value and never stops at the first error.
//!
//! It knows no key of ours: the files beside it do. Invariants: each problem is reported once, with its place; a key
//! nobody asked for is a problem (see [`Table::finish`]); a value that is `None` was either absent or reported.

use std::{cell::RefCell, collections::BTreeSet, ops::Range, rc::Rc, sync::Arc};

use energy::{both, finding::Title};
use jiff::civil::Date;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    diagnostic::{Code, Diagnostic, Severity, Source},
    suggest, units,
};

/// A value with its place.
pub type At<T> = Spanned<T>;

/// Everything found so far, in one file or several.
#[derive(Debug, Clone, Default)]
pub struct Problems(Rc<RefCell<Vec<Diagnostic>>>);

impl Problems {
    /// Adds one.
    pub fn push(&self, diagnostic: Diagnostic) {
        self.0.borrow_mut().push(diagnostic);
    }

    /// How many of them are errors.
    pub fn n_errors(&self) -> usize {
        let is_error = |diagnostic: &&Diagnostic| diagnostic.severity() == Severity::Error;
        self.0.borrow().iter().filter(is_error).count()
    }

    /// All of them, by file and line, each once; those without a place last.
    pub fn take(&self) -> Vec<Diagnostic> {
        let mut found = self.0.take();
        let place = |diagnostic: &Diagnostic| {
            let place = diagnostic.place.as_ref();
            let place = place.map(|place| (Arc::clone(&place.file), place.line, place.column));
            (place.is_none(), place)
        };
        found.sort_by_key(place);
        // A profile that several meters use is read several times.
        found.dedup();
        found
    }
}

/// A file under check: where problems are placed and put.
#[derive(Debug, Clone)]
pub struct File {
    /// The file.
    pub source: Source,
    /// Where its problems go.
    pub problems: Problems,
}

impl File {
    /// Reports a problem at `span`.
    pub fn report(&self, code: Code, span: Range<usize>, message: Title) {
        self.problems
            .push(Diagnostic::new(code, message).at(self.source.place(span)));
    }

    /// Reports a problem at a key of a file that was read as a whole, or at one of its rows.
    pub fn report_row(&self, code: Code, (key, row): (&str, usize), message: Title) {
        let (table, _) = DeTable::parse_recoverable(&self.source.text);
        let span = table.get_ref().get(key).map_or(0..0, |value| match value.get_ref() {
            DeValue::Array(rows) => rows.get(row).map_or(value.span(), Spanned::span),
            _ => value.span(),
        });
        self.report(code, span, message);
    }

    /// Reports a problem at `span` with a line of help, if there is one.
    pub fn report_with(&self, code: Code, span: Range<usize>, message: Title, help: Option<Title>) {
        let diagnostic = Diagnostic::new(code, message).at(self.source.place(span));
        self.problems.push(Diagnostic { help, ..diagnostic });
    }
}

/// Parses `file` as TOML; `None` after syntax errors, all of which are reported.
pub fn parse(file: &File) -> Option<Spanned<DeTable<'_>>> {
    let (table, errors) = DeTable::parse_recoverable(&file.source.text);
    for error in &errors {
        let message = Code::Syntax.said(error.message());
        file.report(Code::Syntax, error.span().unwrap_or(0..0), message);
    }
    errors.is_empty().then_some(table)
}

/// A table being read.
#[derive(Debug)]
pub struct Table<'a> {
    file: &'a File,
    entries: &'a DeTable<'a>,
    /// What people call it: `[site]`, `[[meter]] "press-2"`.
    title: Title,
    span: Range<usize>,
    known: BTreeSet<&'static str>,
}

impl<'a> Table<'a> {
    /// Starts to read `table`.
    pub fn new(file: &'a File, title: Title, table: &'a Spanned<DeTable<'a>>) -> Self {
        Self::over(file, title, table.get_ref(), table.span())
    }

    fn over(file: &'a File, title: Title, entries: &'a DeTable<'a>, span: Range<usize>) -> Self {
        Self {
            file,
            entries,
            title,
            span,
            known: BTreeSet::new(),
        }
    }

    /// The file it stands in.
    pub fn file(&self) -> &'a File {
        self.file
    }

    /// Place of the table's header.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// What people call it.
    pub fn title(&self) -> &Title {
        &self.title
    }

    /// Adds its name to what people call it.
    pub fn call(&mut self, name: &str) {
        let title = &self.title;
        self.title = both!([title], "{title} {name:?}", "{title} {name:?}");
    }

    /// Whether `key` is written.
    pub fn has(&self, key: &str) -> bool {
        self.entries.get(key).is_some()
    }

    fn get(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.insert(key);
        self.entries.get(key)
    }

    /// `value`, or a report that `key` is missing when it is not written.
    pub fn required<T>(&self, key: &'static str, value: Option<T>) -> Option<T> {
        if value.is_none() && !self.has(key) {
            let title = &self.title;
            let message = both!([title], "{title}에 {key:?} 키가 없습니다", "{title} has no {key:?}");
            self.file.report(Code::MissingKey, self.span(), message);
        }
        value
    }

    /// A text.
    pub fn text(&mut self, key: &'static str) -> Option<At<&'a str>> {
        let value = self.get(key)?;
        text(self.file, key, value)
    }

    /// A number, whole or not, finite.
    pub fn number(&mut self, key: &'static str) -> Option<At<f64>> {
        let value = self.get(key)?;
        number(self.file, key, value)
    }

    /// A number that is not below zero.
    pub fn amount(&mut self, key: &'static str) -> Option<At<f64>> {
        let value = self.number(key)?;
        if *value.get_ref() < 0.0 {
            self.file.report(
                Code::BadValue,
                value.span(),
                both!("{key:?} 값은 음수일 수 없습니다", "{key:?} must not be negative"),
            );
            return None;
        }
        Some(value)
    }

    /// A whole number within `range`.
    pub fn integer(&mut self, key: &'static str, range: std::ops::RangeInclusive<i64>) -> Option<At<i64>> {
        let value = self.get(key)?;
        let DeValue::Integer(written) = value.get_ref() else {
            wrong_type(self.file, key, WHOLE, value);
            return None;
        };
        match i64::from_str_radix(written.as_str(), written.radix()) {
            Ok(number) if range.contains(&number) => Some(Spanned::new(value.span(), number)),
            _ => {
                let message = both!(
                    "{key:?} 값이 {written}입니다. {}에서 {} 사이여야 합니다",
                    "{key:?} is {written}: it must be {} to {}",
                    range.start(),
                    range.end()
                );
                self.file.report(Code::BadValue, value.span(), message);
                None
            }
        }
    }

    /// The bits of a register: a whole number up to 64 of them, best written as 0x….
    pub fn bits(&mut self, key: &'static str) -> Option<At<u64>> {
        let value = self.get(key)?;
        bits(self.file, key, value)
    }

    /// The bits of one register, or of several in a list.
    pub fn all_bits(&mut self, key: &'static str) -> Vec<At<u64>> {
        self.get(key)
            .map_or_else(Vec::new, |value| all_bits(self.file, key, value))
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        if let DeValue::Boolean(flag) = value.get_ref() {
            return Some(*flag);
        }
        wrong_type(self.file, key, FLAG, value);
        None
    }

    /// A text that `parse` understands.
    pub fn parsed<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, Title>) -> Option<At<T>> {
        let value = self.get(key)?;
        if let DeValue::String(text) = value.get_ref() {
            return self.understood(&Spanned::new(value.span(), text.as_ref()), parse);
        }
        // What the reader says of the bare value tells how to write it: a number without its unit, most often.
        let why = parse(&self.file.source.text[value.span()]).err();
        let how = |text: &str, after| Some(text.split_once(after)?.1.to_owned());
        let help = why.and_then(|why| {
            let (ko, en) = (how(&why.ko, ". ")?, how(&why.en, ": ")?);
            Some(Title { ko, en })
        });
        let message = wrong(key, TEXT, value);
        self.file.report_with(Code::WrongType, value.span(), message, help);
        None
    }

    fn understood<T>(&self, text: &At<&str>, parse: impl Fn(&str) -> Result<T, Title>) -> Option<At<T>> {
        match parse(text.get_ref()) {
            Ok(value) => Some(Spanned::new(text.span(), value)),
            Err(why) => {
                self.file.report(Code::BadValue, text.span(), why);
                None
            }
        }
    }

    /// A day, in quotes or as TOML's own date.
    pub fn date(&mut self, key: &'static str) -> Option<At<Date>> {
        match self.get(key)?.get_ref() {
            DeValue::Datetime(_) => {
                let value = self.get(key)?;
                let written = Spanned::new(value.span(), &self.file.source.text[value.span()]);
                self.understood(&written, units::date)
            }
            _ => self.parsed(key, units::date),
        }
    }

    /// One of some names.
    pub fn choice<T: Copy>(&mut self, key: &'static str, names: &[(&str, T)]) -> Option<At<T>> {
        let text = self.text(key)?;
        if let Some((_, value)) = names.iter().find(|(name, _)| name == text.get_ref()) {
            return Some(Spanned::new(text.span(), *value));
        }
        let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        let message = both!(
            "{key:?} 값으로 {:?}을(를) 쓸 수 없습니다",
            "{key:?} cannot be {:?}",
            text.get_ref()
        );
        let one_of = both!("다음 중 하나: {}", "one of: {}", known.join(", "));
        let near = suggest::nearest(text.get_ref(), known);
        let help = suggest::question(near.into_iter().map(|near| (near, None))).unwrap_or(one_of);
        self.file.report_with(Code::BadValue, text.span(), message, Some(help));
        None
    }

    /// A table below this one.
    pub fn table(&mut self, key: &'static str) -> Option<Table<'a>> {
        let value = self.get(key)?;
        table(self.file, Title::same(format!("[{key}]")), key, value)
    }

    /// A list of tables.
    pub fn tables(&mut self, key: &'static str) -> Vec<Table<'a>> {
        let file = self.file;
        self.list(key)
            .into_iter()
            .filter_map(|value| table(file, Title::same(format!("[[{key}]]")), key, value))
            .collect()
    }

    /// The items of a list; empty when absent.
    pub fn list(&mut self, key: &'static str) -> Vec<&'a Spanned<DeValue<'a>>> {
        let Some(value) = self.get(key) else { return vec![] };
        if let DeValue::Array(items) = value.get_ref() {
            return items.iter().collect();
        }
        wrong_type(self.file, key, LIST, value);
        vec![]
    }

    /// The items of a list of texts; empty when absent.
    pub fn texts(&mut self, key: &'static str) -> Vec<At<&'a str>> {
        let file = self.file;
        self.list(key)
            .into_iter()
            .filter_map(|value| text(file, key, value))
            .collect()
    }

    /// All entries, for a table whose keys are free.
    pub fn entries(&self) -> impl Iterator<Item = (At<&'a str>, &'a Spanned<DeValue<'a>>)> + use<'a> {
        let entries = self.entries;
        entries
            .iter()
            .map(|(key, value)| (Spanned::new(key.span(), key.get_ref().as_ref()), value))
    }

    /// Takes keys as known without reading them: they may belong to what has been refused already.
    pub fn pass_over(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self) {
        for (key, _) in self.entries() {
            let word = *key.get_ref();
            if self.known.contains(word) {
                continue;
            }
            if is_secret(word) {
                let message = both!(
                    "{word:?} 값을 구성 파일에 직접 쓰면 안 됩니다. 파일을 복사할 때 함께 복사됩니다",
                    "{word:?} must not stand in the configuration: it would be copied with the file"
                );
                let help = Some(both!(
                    "그 값만 담은 파일을 만들고 {word}_file = \"/path/of/that/file\"처럼 적으십시오",
                    "write it alone into a file and say {word}_file = \"/path/of/that/file\""
                ));
                self.file.report_with(Code::PlainSecret, key.span(), message, help);
                continue;
            }
            let title = &self.title;
            let message = both!(
                [title],
                "{word:?}은(는) {title}에 없는 키입니다",
                "{title} has no key {word:?}"
            );
            let help = suggest::help(word, self.known.iter().copied());
            self.file.report_with(Code::UnknownKey, key.span(), message, help);
        }
    }
}

fn is_secret(key: &str) -> bool {
    ["password", "token", "secret"].contains(&key)
}

/// `value` as text; else the wrong type is reported.
pub fn text<'a>(file: &File, key: &str, value: &'a Spanned<DeValue<'a>>) -> Option<At<&'a str>> {
    if let DeValue::String(text) = value.get_ref() {
        return Some(Spanned::new(value.span(), text.as_ref()));
    }
    wrong_type(file, key, TEXT, value);
    None
}

/// `value` as a finite number; else the wrong type is reported.
pub fn number(file: &File, key: &str, value: &Spanned<DeValue<'_>>) -> Option<At<f64>> {
    let number = match value.get_ref() {
        DeValue::Integer(written) => i64::from_str_radix(written.as_str(), written.radix())
            .ok()
            .map(|whole| whole as f64),
        DeValue::Float(written) => written.as_str().parse::<f64>().ok(),
        _ => None,
    };
    match number {
        Some(number) if number.is_finite() => Some(Spanned::new(value.span(), number)),
        _ => {
            wrong_type(file, key, NUMBER, value);
            None
        }
    }
}

/// A whole number without sign, of up to 64 bits.
pub fn whole(value: &Spanned<DeValue<'_>>) -> Option<u64> {
    match value.get_ref() {
        DeValue::Integer(written) => u64::from_str_radix(written.as_str(), written.radix()).ok(),
        _ => None,
    }
}

fn bits(file: &File, key: &str, value: &Spanned<DeValue<'_>>) -> Option<At<u64>> {
    let bits = whole(value);
    if bits.is_none() {
        let message = both!(
            "{key:?} 값은 0x8000처럼 레지스터의 비트로 써야 합니다",
            "{key:?} must be the bits of a register, as 0x8000"
        );
        file.report(Code::BadValue, value.span(), message);
    }
    bits.map(|bits| Spanned::new(value.span(), bits))
}

/// `value` as bits, or as a list of them; else the wrong type is reported.
pub fn all_bits(file: &File, key: &str, value: &Spanned<DeValue<'_>>) -> Vec<At<u64>> {
    match value.get_ref() {
        DeValue::Array(items) => items.iter().filter_map(|item| bits(file, key, item)).collect(),
        _ => bits(file, key, value).into_iter().collect(),
    }
}

/// `value` as a table that people call `title`; else the wrong type is reported.
pub fn table<'a>(file: &'a File, title: Title, key: &str, value: &'a Spanned<DeValue<'a>>) -> Option<Table<'a>> {
    if let DeValue::Table(entries) = value.get_ref() {
        return Some(Table::over(file, title, entries, value.span()));
    }
    wrong_type(file, key, TABLE, value);
    None
}

/// What a value must be, in Korean with its verb, and in English.
type Wanted = (&'static str, &'static str);

const TEXT: Wanted = ("따옴표로 묶은 문자열이어야", "a text in quotes");
const WHOLE: Wanted = ("정수여야", "a whole number");
const NUMBER: Wanted = ("숫자여야", "a number");
const FLAG: Wanted = ("true 또는 false여야", "true or false");
const LIST: Wanted = ("목록이어야", "a list");
const TABLE: Wanted = ("표여야", "a table");

/// Reports that the value of `key` is not what was wanted.
fn wrong_type(file: &File, key: &str, wanted: Wanted, value: &Spanned<DeValue<'_>>) {
    file.report(Code::WrongType, value.span(), wrong(key, wanted, value));
}

fn wrong(key: &str, (wanted_ko, wanted): Wanted, value: &Spanned<DeValue<'_>>) -> Title {
    let (got_ko, got) = match value.get_ref() {
        DeValue::String(_) => ("문자열", "a text"),
        DeValue::Integer(_) => ("정수", "a whole number"),
        DeValue::Float(written) if written.as_str().contains(['n', 'i']) => ("유한하지 않은 수", "not a finite number"),
        DeValue::Float(_) => ("숫자", "a number"),
        DeValue::Boolean(_) => ("true 또는 false", "true or false"),
        DeValue::Datetime(_) => ("날짜", "a date"),
        DeValue::Array(_) => ("목록", "a list"),
        DeValue::Table(_) => ("표", "a table"),
    };
    Title {
        ko: format!("{key:?} 값은 {wanted_ko} 하는데 {got_ko}입니다"),
        en: format!("{key:?} must be {wanted}, got {got}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostic::messages;

    fn file(text: &str) -> File {
        File {
            source: Source::new("t", text),
            problems: Problems::default(),
        }
    }

    /// What a small reading of `text` reports: line:column code message | help.
    fn check(text: &str, expected: &[&str]) {
        let file = file(text);
        if let Some(parsed) = parse(&file) {
            let mut root = Table::new(&file, both!("파일", "the file"), &parsed);
            let name = root.text("name");
            root.required("name", name);
            root.parsed("every", units::duration);
            root.number("scale");
            root.integer("unit", 1..=247);
            root.flag("on");
            root.date("from");
            root.choice("table", &[("holding", 0), ("input", 1)]);
            for mut meter in root.tables("meter") {
                let name = meter.text("name");
                meter.required("name", name);
                meter.texts("list");
                meter.finish();
            }
            root.finish();
        }
        let shown = |found: Diagnostic| {
            messages(vec![found.clone()]);
            let place = found.place.unwrap();
            let help = found.help.map(|help| format!(" | {}", help.en)).unwrap_or_default();
            format!(
                "{}:{} {} {}{help}",
                place.line,
                place.column,
                found.code.name(),
                found.message.en
            )
        };
        assert_eq!(
            file.problems.take().into_iter().map(shown).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn good_values_pass() {
        check(
            "name = 'a'\nevery = '1s'\nscale = 1\nunit = 0x10\non = true\nfrom = 2026-08-01\ntable = 'input'\n",
            &[],
        );
        check("name = 'a'\nscale = 1e-3\nfrom = '2026-08-01'", &[]);
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        check(
            "nmae = 'a'\nevery = '1'\nscale = 'x'\nunit = 0\non = 1\nfrom = '1 May'\ntable = 'inptu'\npassword = 'x'\nscael = nan",
            &[
                "1:1 E1004 the file has no \"name\"",
                "1:1 E1003 the file has no key \"nmae\" | did you mean \"name\"?",
                "2:9 E1006 \"1\" is not a duration: write a whole number and its unit, as \"500ms\", \"1s\", \"10m\" or \"1h\"",
                "3:9 E1005 \"scale\" must be a number, got a text",
                "4:8 E1006 \"unit\" is 0: it must be 1 to 247",
                "5:6 E1005 \"on\" must be true or false, got a whole number",
                "6:8 E1006 \"1 May\" is not a day: write \"2026-08-01\"",
                "7:9 E1006 \"table\" cannot be \"inptu\" | did you mean \"input\"?",
                "8:1 E1401 \"password\" must not stand in the configuration: it would be copied with the file | write it alone into a file and say password_file = \"/path/of/that/file\"",
                "9:1 E1003 the file has no key \"scael\" | did you mean \"scale\"?",
            ],
        );
    }

    #[test]
    fn a_table_is_placed_by_its_header() {
        check(
            "name = 'a'\n[[meter]]\nlist = ['a', 1]\n\n[[meter]]\nname = 'b'\nlist = 'c'\n",
            &[
                "2:1 E1004 [[meter]] has no \"name\"",
                "3:14 E1005 \"list\" must be a text in quotes, got a whole number",
                "7:8 E1005 \"list\" must be a list, got a text",
            ],
        );
    }

    #[test]
    fn several_syntax_errors_are_reported() {
        check(
            "name = \nb = 'a\nc = 1",
            &[
                "1:8 E1001 string values must be quoted, expected literal string",
                "2:7 E1001 invalid literal string, expected `'`",
            ],
        );
    }
}
