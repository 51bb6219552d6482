//! Meter models as their profiles tell of them, for commands that look for a device's model or test a profile.
//!
//! `profile.rs` reads the file. Invariant: a model that comes out has passed all checks of a profile that is used in a
//! plant, its test vectors among them.

use energy::both;
use toml::Spanned;

use super::{
    data::{DataFiles, Folder},
    diagnostic::{Code, Diagnostic, Source},
    profile,
    read::{File, Problems, Table},
    registers,
};
use crate::acquire::modbus::{Limits, Point, Table as RegisterTable};

/// A model of which the registers, or the payloads, are known.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Name of its file, without `.toml`.
    pub name: String,
    /// Who makes it.
    pub maker: String,
    /// What the maker calls it.
    pub model: String,
    /// Where the registers were found.
    pub source: String,
    /// What a reader must know beside it.
    pub note: Option<String>,
    /// Whether somebody has compared it with a device or the maker's document.
    pub is_verified: bool,
    /// Registers; empty for an MQTT preset.
    pub points: Vec<Point>,
    /// What the device can bear.
    pub limits: Limits,
    /// By what a device shows that it is this model.
    pub marks: Vec<Mark>,
}

/// Something by which a device shows its model.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// These registers hold these words.
    Words {
        /// The first register.
        at: u16,
        /// Its table.
        table: RegisterTable,
        /// What stands there.
        words: Vec<u16>,
    },
    /// This register holds one of these codes: one register, because meters refuse a wider read of it.
    Code {
        /// The register.
        at: u16,
        /// Its table.
        table: RegisterTable,
        /// One for each variant that has these registers.
        codes: Vec<u16>,
    },
    /// These registers hold a text with these letters in it.
    Text {
        /// The first register.
        at: u16,
        /// Its table.
        table: RegisterTable,
        /// How many registers.
        registers: u16,
        /// The letters.
        text: String,
    },
    /// The device says these letters when it is asked for its name (functions 0x2B and 0x11).
    Says(String),
}

/// `[[fingerprint]]`: each one alone speaks for the model.
pub(super) fn marks(table: &mut Table<'_>) -> Vec<Mark> {
    table.tables("fingerprint").into_iter().filter_map(mark).collect()
}

fn mark(mut table: Table<'_>) -> Option<Mark> {
    let source = table.text("source");
    table.required("source", source);
    let at = table.integer("at", 0..=65_535).map(|at| at.into_inner() as u16);
    let of = table.choice("table", registers::TABLES);
    let of = of.map_or(RegisterTable::Holding, Spanned::into_inner);
    let words = registers::words(&mut table, "words");
    let codes = registers::words(&mut table, "codes");
    let registers = table.integer("registers", 1..=125).map(|n| n.into_inner() as u16);
    let text = table.text("text").map(|text| (*text.get_ref()).to_owned());
    let says = table.text("says").map(|text| (*text.get_ref()).to_owned());
    let found = match (at, &words[..], &codes[..], registers, text, says) {
        (Some(at), [_, ..], [], None, None, None) => Some(Mark::Words { at, table: of, words }),
        (Some(at), [], [_, ..], None, None, None) => Some(Mark::Code { at, table: of, codes }),
        (Some(at), [], [], Some(registers), Some(text), None) if !text.is_empty() => Some(Mark::Text {
            at,
            table: of,
            registers,
            text,
        }),
        (None, [], [], None, None, Some(says)) if !says.is_empty() => Some(Mark::Says(says)),
        _ => {
            let message = both!(
                "지문에는 at과 words, at과 codes, at과 registers와 text, 또는 says 중 한 가지를 쓰십시오",
                "a fingerprint has at and words, or at and codes, or at, registers and text, or says"
            );
            table.file().report(Code::BadValue, table.span(), message);
            None
        }
    };
    table.finish();
    found
}

/// The model of a profile file, or all that is wrong with it.
pub fn model(name: &str, source: Source) -> Result<(Model, Vec<Diagnostic>), Vec<Diagnostic>> {
    let file = File {
        source,
        problems: Problems::default(),
    };
    let profile = profile::profile(&file);
    let n_errors = file.problems.n_errors();
    let found = file.problems.take();
    match profile {
        Some(profile) if n_errors == 0 => {
            let model = Model {
                name: name.to_owned(),
                maker: profile.maker,
                model: profile.model,
                source: profile.source,
                note: profile.note,
                is_verified: profile.is_verified,
                points: profile.points,
                limits: profile.limits.filled(),
                marks: profile.marks,
            };
            Ok((model, found))
        }
        _ => Err(found),
    }
}

/// Every model of `meters/`, in the order of names; a file that cannot be used is told beside them.
pub fn models(data: &DataFiles) -> (Vec<Model>, Vec<Diagnostic>) {
    let (mut models, mut problems) = (vec![], vec![]);
    for name in data.names(Folder::Meters) {
        let read = data.read(Folder::Meters, &name);
        let made = read.map(|source| {
            source
                .map_err(|error| vec![error])
                .and_then(|source| model(&name, source))
        });
        match made {
            Some(Ok((model, _))) => models.push(model),
            Some(Err(found)) => problems.extend(found),
            None => {}
        }
    }
    (models, problems)
}

/// The model of a name in `meters/`, or what is wrong; `None` where there is no such file.
pub fn find(data: &DataFiles, name: &str) -> Option<Result<Model, Vec<Diagnostic>>> {
    let source = data.read(Folder::Meters, name)?;
    let made = source
        .map_err(|error| vec![error])
        .and_then(|source| model(name, source));
    Some(made.map(|(model, _)| model))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostic::messages;

    const HEAD: &str = "maker = 'm'\nmodel = 'm'\nsource = 's'\nverified = false\n\
                        registers = [{ at = 10, type = 'f32', quantity = 'voltage_l1_v' }]\n";

    fn check(fingerprint: &str, expected: Result<Mark, &str>) {
        let text = format!("{HEAD}[[fingerprint]]\nsource = 's'\n{fingerprint}");
        let got = model("p", Source::new("p", &text)).map(|(model, _)| model.marks);
        let got = got.map_err(messages);
        assert_eq!(
            got,
            expected.map(|mark| vec![mark]).map_err(|why| vec![why.to_owned()]),
            "{fingerprint}"
        );
    }

    #[test]
    fn every_shipped_sunspec_model_is_seen_by_its_head_in_each_poll() {
        let (models, _) = models(&DataFiles::beside(std::path::Path::new("/nonexistent")));
        let sunspec: Vec<_> = models.iter().filter(|model| model.limits.sunspec.is_some()).collect();
        assert_eq!(sunspec.len(), crate::acquire::modbus::sunspec::METERS.len());
        for model in sunspec {
            assert!(crate::acquire::modbus::sunspec::METERS.contains(&model.limits.sunspec.unwrap()));
            let meter = crate::acquire::modbus::MeterPoints {
                name: "m".into(),
                unit: 1,
                points: model.points.clone(),
                limits: model.limits.clone(),
            };
            let reads = crate::acquire::modbus::plan::plan(&[meter]).unwrap().reads;
            assert_eq!(
                (reads[0].at, reads[0].table),
                (0, RegisterTable::Holding),
                "{}",
                model.name
            );
        }
    }

    #[test]
    fn a_fingerprint_is_words_a_code_a_text_or_what_the_device_says() {
        let table = RegisterTable::Input;
        check(
            "at = 5\ntable = 'input'\nwords = [0x1234]",
            Ok(Mark::Words {
                at: 5,
                table,
                words: vec![0x1234],
            }),
        );
        check(
            "at = 11\ntable = 'input'\ncodes = [331, 341]",
            Ok(Mark::Code {
                at: 11,
                table,
                codes: vec![331, 341],
            }),
        );
        let text = "PM5110".to_owned();
        check(
            "at = 29\nregisters = 20\ntext = 'PM5110'",
            Ok(Mark::Text {
                at: 29,
                table: RegisterTable::Holding,
                registers: 20,
                text: text.clone(),
            }),
        );
        check("says = 'PM5110'", Ok(Mark::Says(text)));
        let why = "a fingerprint has at and words, or at and codes, or at, registers and text, or says";
        for wrong in [
            "at = 5",
            "says = ''",
            "words = [1]",
            "codes = [1]",
            "at = 5\nwords = [1]\ncodes = [1]",
            "at = 5\nwords = [1]\ntext = 'x'",
        ] {
            check(wrong, Err(why));
        }
    }
}
