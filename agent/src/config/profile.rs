//! Profiles of `meters/`: what a maker's device has in its registers or payloads, with its source and its proof.
//!
//! It does not know which meters use it. Invariant: a profile with a test vector decodes that vector to the values that
//! stand beside it, else nobody gets it.

use std::{ops::Range, time::Duration};

use energy::{both, finding::Title, quantity::Quantity};
use toml::Spanned;

use super::{
    diagnostic::Code,
    model::{self, Mark},
    payload::Payloads,
    points, read,
    read::{File, Table},
    registers, units,
};
use crate::acquire::modbus::{Limits, MAX_REGISTERS, Point, Table as RegisterTable, decode};

/// What a profile of `meters/` brings.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Profile {
    /// Registers.
    pub points: Vec<Point>,
    /// MQTT payloads.
    pub payloads: Payloads,
    /// What the device can bear.
    pub limits: OwnLimits,
    /// Whether somebody has checked it against a device or the maker's document.
    pub is_verified: bool,
    /// Who makes the device.
    pub maker: String,
    /// What the maker calls it.
    pub model: String,
    /// Where its registers were found.
    pub source: String,
    /// What a reader must know beside it.
    pub note: Option<String>,
    /// By what a device shows that it is this model.
    pub marks: Vec<Mark>,
}

/// Reads a profile file.
pub(super) fn profile(file: &File) -> Option<Profile> {
    let parsed = read::parse(file)?;
    let mut table = Table::new(file, both!("프로파일", "the profile"), &parsed);
    let [maker, model, source] = ["maker", "model", "source"].map(|key| {
        let text = table.text(key);
        let text = table.required(key, text);
        text.map(|text| (*text.get_ref()).to_owned()).unwrap_or_default()
    });
    let is_verified = table.flag("verified");
    let is_verified = table.required("verified", is_verified);
    let note = table.text("note").map(|note| (*note.get_ref()).to_owned());
    let profile = Profile {
        marks: model::marks(&mut table),
        maker,
        model,
        source,
        note,
        points: registers::all(&mut table),
        payloads: Payloads::read(&mut table),
        limits: OwnLimits::read(&mut table),
        is_verified: is_verified.unwrap_or(false),
    };
    for vector in table.tables("vector") {
        prove(vector, &profile.points);
    }
    table.finish();
    Some(profile)
}

/// How a device wants to be read, as far as a profile, a meter or a bus says so.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct OwnLimits {
    max_gap: Option<u16>,
    max_registers: Option<u16>,
    holes: Vec<(u16, u16)>,
    pause: Option<Duration>,
    latency: Option<Duration>,
    checks_values: Option<bool>,
    sunspec: Option<u16>,
}

/// The longest wait between two requests that makes sense.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

impl OwnLimits {
    /// The keys of a profile or a meter.
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        let gap = table.integer("max_gap", 0..=i64::from(MAX_REGISTERS));
        let most = table.integer("max_registers", 1..=i64::from(MAX_REGISTERS));
        Self {
            max_gap: gap.map(|gap| gap.into_inner() as u16),
            max_registers: most.map(|most| most.into_inner() as u16),
            holes: holes(table),
            checks_values: table.flag("check_values"),
            sunspec: table.integer("sunspec", 1..=65_534).map(|id| id.into_inner() as u16),
            ..Self::of_bus(table)
        }
    }

    /// The keys of a bus, which its meters inherit.
    pub(super) fn of_bus(table: &mut Table<'_>) -> Self {
        Self {
            pause: at_most(table, "pause"),
            latency: at_most(table, "latency"),
            ..Self::default()
        }
    }

    /// What is said here, else there.
    pub(super) fn or(self, other: &Self) -> Self {
        Self {
            max_gap: self.max_gap.or(other.max_gap),
            max_registers: self.max_registers.or(other.max_registers),
            holes: if self.holes.is_empty() {
                other.holes.clone()
            } else {
                self.holes
            },
            pause: self.pause.or(other.pause),
            latency: self.latency.or(other.latency),
            checks_values: self.checks_values.or(other.checks_values),
            sunspec: self.sunspec.or(other.sunspec),
        }
    }

    /// With what is usual where nothing is said.
    pub(super) fn filled(self) -> Limits {
        let usual = Limits::default();
        Limits {
            max_gap: self.max_gap.unwrap_or(usual.max_gap),
            max_registers: self.max_registers.unwrap_or(usual.max_registers),
            holes: self.holes,
            pause: self.pause.unwrap_or(usual.pause),
            latency: self.latency,
            answers: usual.answers,
            checks_values: self.checks_values.unwrap_or(usual.checks_values),
            sunspec: self.sunspec,
        }
    }
}

fn at_most(table: &mut Table<'_>, key: &'static str) -> Option<Duration> {
    let wait = table.parsed(key, units::duration)?;
    if *wait.get_ref() > LONGEST_PAUSE {
        let message = both!(
            "{key:?} 값이 {:?}입니다. {LONGEST_PAUSE:?} 이하여야 합니다",
            "{key:?} is {:?}: it must be at most {LONGEST_PAUSE:?}",
            wait.get_ref()
        );
        table.file().report(Code::BadValue, wait.span(), message);
        return None;
    }
    Some(wait.into_inner())
}

/// `[[100, 119], [200, 200]]`: first and last register that no read may touch.
fn holes(table: &mut Table<'_>) -> Vec<(u16, u16)> {
    let file = table.file();
    let mut holes = vec![];
    for item in table.list("holes") {
        match read::all_bits(file, "holes", item).as_slice() {
            [first, last] if first.get_ref() <= last.get_ref() && *last.get_ref() <= 0xFFFF => {
                holes.push((*first.get_ref() as u16, *last.get_ref() as u16));
            }
            _ => file.report(
                Code::BadValue,
                item.span(),
                both!(
                    "읽지 않을 구간은 [100, 119]처럼 첫 레지스터와 마지막 레지스터로 쓰십시오",
                    "a hole is its first and last register, as [100, 119]"
                ),
            ),
        }
    }
    holes
}

/// Decodes the words of a test vector and compares with the values that stand beside them.
fn prove(mut vector: Table<'_>, points: &[Point]) {
    let file = vector.file();
    let source = vector.text("source");
    vector.required("source", source);
    let replies = replies(&mut vector);
    let tolerance = vector.amount("tolerance").map_or(1e-6, Spanned::into_inner);
    let Some(values) = vector.table("values") else {
        vector.required::<()>("values", None);
        return vector.finish();
    };
    for (name, value) in values.entries() {
        let Some(quantity) = points::known_quantity(file, &name) else {
            continue;
        };
        let Some(expected) = read::number(file, name.get_ref(), value) else {
            continue;
        };
        let got = decoded(*quantity.get_ref(), points, &replies);
        let difference = got.map(|got| (got - expected.get_ref()).abs());
        let allowed = tolerance * expected.get_ref().abs().max(1.0);
        if difference.is_none_or(|difference| difference > allowed) {
            disproved(file, value.span(), *quantity.get_ref(), *expected.get_ref(), got);
        }
    }
    vector.finish();
}

fn disproved(file: &File, span: Range<usize>, quantity: Quantity, expected: f64, got: Option<f64>) {
    let got = got.map_or_else(
        || both!("없음(믿을 수 없음)", "nothing that can be trusted"),
        |got| Title::same(got.to_string()),
    );
    let message = both!(
        [got],
        "시험 벡터의 물리량 {quantity} 값이 다릅니다. 있어야 할 값 {expected}, 나온 값 {got}",
        "the test vector gives {got} for {quantity}, not {expected}"
    );
    let help = both!(
        "주소, 형식, 바이트 순서, 배율을 시험 벡터의 출처와 비교하십시오",
        "compare address, type, order and scale with the source of the vector"
    );
    file.report_with(Code::BadDataFile, span, message, Some(help));
}

/// The words of a vector: table, first register, words.
fn replies(vector: &mut Table<'_>) -> Vec<(RegisterTable, u16, Vec<u16>)> {
    let file = vector.file();
    let mut replies = vec![];
    for item in vector.list("replies") {
        let Some(mut reply) = read::table(file, both!("응답", "the reply"), "replies", item) else {
            continue;
        };
        let at = reply.integer("at", 0..=65_535);
        let at = reply.required("at", at);
        let table = reply.choice("table", registers::TABLES);
        let words = registers::words(&mut reply, "words");
        reply.finish();
        if let Some(at) = at {
            let table = table.map_or(RegisterTable::Holding, Spanned::into_inner);
            replies.push((table, at.into_inner() as u16, words));
        }
    }
    replies
}

fn decoded(quantity: Quantity, points: &[Point], replies: &[(RegisterTable, u16, Vec<u16>)]) -> Option<f64> {
    let point = points.iter().find(|point| point.quantity == quantity)?;
    let mut of_table = replies.iter().filter(|(table, ..)| *table == point.table);
    let reading = of_table.find_map(|(_, at, words)| decode::reading(point, *at, words))?;
    reading.quality.is_trusted().then_some(reading.value)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use super::*;
    use crate::config::{
        data::{DataFiles, Folder},
        diagnostic::{Source, messages},
        read::Problems,
    };

    fn check(text: &str, expected: &[&str]) -> Option<Profile> {
        let file = File {
            source: Source::new("p", text),
            problems: Problems::default(),
        };
        let profile = profile(&file);
        let messages: Vec<String> = messages(file.problems.take());
        assert_eq!(messages, expected, "{text}");
        profile
    }

    const HEAD: &str = "maker = 'm'\nmodel = 'm'\nsource = 's'\nverified = true\n";
    const POINT: &str = "registers = [{ at = 10, type = 'f32', quantity = 'voltage_l1_v' }]\n";

    #[test]
    fn a_profile_must_give_what_its_vector_says() {
        let with = |vector: &str, expected: &[&str]| {
            check(&format!("{HEAD}{POINT}[[vector]]\n{vector}"), expected);
        };
        let right = "source = 's'\nreplies = [{ at = 9, words = [0, 0x4366, 0x199A] }]\n";
        with(&format!("{right}values = {{ voltage_l1_v = 230.1 }}"), &[]);
        with(
            &format!("{right}values = {{ voltage_l1_v = 230.2 }}"),
            &["the test vector gives 230.10000610351563 for voltage_l1_v, not 230.2"],
        );
        with(
            &format!("{right}tolerance = 0.01\nvalues = {{ voltage_l1_v = 230.2 }}"),
            &[],
        );
        with(
            &format!("{right}values = {{ current_l1_a = 1, voltage = 2 }}"),
            &[
                "the test vector gives nothing that can be trusted for current_l1_a, not 1",
                "no quantity is called \"voltage\"",
            ],
        );
        with(
            "replies = [{ words = [0x10000] }, { at = 10, words = [0x4366] }]\nvalues = { voltage_l1_v = 230.1 }",
            &[
                "[[vector]] has no \"source\"",
                "the reply has no \"at\"",
                "a word of a register is 0 to 0xFFFF",
                "the test vector gives nothing that can be trusted for voltage_l1_v, not 230.1",
            ],
        );
        with("source = 's'", &["[[vector]] has no \"values\""]);
    }

    #[test]
    fn what_a_device_can_bear_is_the_meters_then_the_profiles_then_the_buss() {
        let limits = |keys: &str| check(&format!("{HEAD}{POINT}{keys}"), &[]).unwrap().limits;
        let profile =
            limits("sunspec = 203\nmax_gap = 4\nmax_registers = 80\nholes = [[100, 119], [7, 7]]\nlatency = '30ms'");
        let meter = limits("max_gap = 0\ncheck_values = false");
        let bus = limits("latency = '5ms'\npause = '20ms'");
        let filled = meter.or(&profile).or(&bus).filled();
        let expected = Limits {
            max_gap: 0,
            max_registers: 80,
            holes: vec![(100, 119), (7, 7)],
            pause: Duration::from_millis(20),
            latency: Some(Duration::from_millis(30)),
            answers: vec![],
            checks_values: false,
            sunspec: Some(203),
        };
        assert_eq!(filled, expected);
        assert_eq!(OwnLimits::default().filled(), Limits::default());
        let hole = "a hole is its first and last register, as [100, 119]";
        check(
            &format!("{HEAD}{POINT}holes = [[119, 100], 7, [1, 2, 3]]\nmax_registers = 126"),
            &[hole, hole, hole, "\"max_registers\" is 126: it must be 1 to 125"],
        );
    }

    /// What the vectors of a profile say of each quantity.
    fn values(file: &File) -> BTreeMap<String, f64> {
        let parsed = read::parse(file).unwrap();
        let mut root = Table::new(file, both!("파일", "the profile"), &parsed);
        let tables = root.tables("vector").into_iter();
        let entries = tables.flat_map(|mut vector| vector.table("values").unwrap().entries().collect::<Vec<_>>());
        let number = |value| read::number(file, "value", value).unwrap().into_inner();
        entries
            .map(|(name, value)| ((*name.get_ref()).to_owned(), number(value)))
            .collect()
    }

    /// Relations that hold of every load, checked where a vector has all that they need; whole numbers round.
    fn is_one_load(values: &BTreeMap<String, f64>) -> Result<usize, String> {
        let of = |names: &[&str]| {
            names
                .iter()
                .map(|name| values.get(*name).copied())
                .collect::<Option<Vec<f64>>>()
        };
        let (volts, amperes) = (
            of(&["voltage_l1_v", "voltage_l2_v", "voltage_l3_v"]),
            of(&["current_l1_a", "current_l2_a", "current_l3_a"]),
        );
        let vi_kva = volts.zip(amperes).map(|(volts, amperes)| {
            let vi = volts.iter().zip(amperes).map(|(volts, amperes)| volts * amperes);
            vi.sum::<f64>() / 1000.0
        });
        let one = |name| values.get(name).copied();
        let phases = of(&["active_power_l1_kw", "active_power_l2_kw", "active_power_l3_kw"]);
        let (kw, kvar, kva) = (
            one("active_power_kw"),
            one("reactive_power_kvar"),
            one("apparent_power_kva"),
        );
        let relations = [
            ("P = P1 + P2 + P3", kw, phases.map(|phases| phases.iter().sum())),
            (
                "P = V·I·PF",
                kw,
                vi_kva.zip(one("power_factor")).map(|(vi, pf)| vi * pf),
            ),
            ("S = V·I", kva, vi_kva),
            ("S² = P² + Q²", kva, kw.zip(kvar).map(|(kw, kvar)| kw.hypot(kvar))),
            ("P = S·PF", kw, kva.zip(one("power_factor")).map(|(kva, pf)| kva * pf)),
        ];
        let mut n_checked = 0;
        for (name, left, right) in relations {
            let Some((left, right)) = left.zip(right) else { continue };
            n_checked += 1;
            if (left - right).abs() > 0.01 * right.abs() {
                return Err(format!("{name}: {left} and {right}"));
            }
        }
        Ok(n_checked)
    }

    #[test]
    fn every_shipped_profile_is_proven_and_its_vector_is_of_one_load() {
        let files = DataFiles::beside(Path::new("/nonexistent"));
        let (mut n_profiles, mut n_relations) = (0, 0);
        for name in files.names(Folder::Meters) {
            let file = File {
                source: files.read(Folder::Meters, &name).unwrap().unwrap(),
                problems: Problems::default(),
            };
            let profile = profile(&file).unwrap();
            assert_eq!(file.problems.take(), [], "{name}");
            if profile.points.is_empty() {
                continue; // an MQTT preset
            }
            n_profiles += 1;
            let values = values(&file);
            for point in &profile.points {
                let quantity = point.quantity.name();
                assert!(values.contains_key(quantity), "{name}: no vector for {quantity}");
            }
            assert_eq!(values.len(), profile.points.len(), "{name}");
            n_relations += is_one_load(&values).unwrap_or_else(|why| panic!("{name}: {why}"));
        }
        assert!(
            n_profiles >= 57 && n_relations > 2 * n_profiles,
            "{n_profiles} {n_relations}"
        );
    }
}
