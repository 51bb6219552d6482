//! `[[machine]]`: what consumes, how its states are told apart, when it works, and what is looked for.
//!
//! Its kind's defaults are read in `kinds.rs`. Invariants: a machine's meter exists; `off <= standby <= running` hold; a
//! site with a main meter has exactly one machine of kind `site`.

use std::ops::Range;

use energy::{
    both,
    calendar::Hours,
    quantity::Quantity,
    site::{Machine, MachineKind, StateLimits},
};
use toml::Spanned;

use super::{
    Context,
    diagnostic::Code,
    kinds::{self, Defaults, Detect, KINDS, Kinds, Unknown},
    lines::{Lines, name},
    names::Names,
    read::{self, At, File, Table},
    site::{SitePart, positive, stretches},
    suggest,
};

/// A machine that wakes above its standby by half again is no longer in standby (default, configurable).
const STANDBY_MARGIN: f64 = 1.5;

/// Reads every `[[machine]]`; adds the one of the whole site where only the main meter speaks for it.
pub(super) fn machines<'a>(
    context: &Context<'a>,
    root: &mut Table<'a>,
    site: &SitePart<'a>,
    lines: &Lines,
    kinds: &Kinds,
) -> Vec<Machine> {
    let mut reader = Reader {
        context,
        site,
        lines,
        kinds,
        names: Names::new(both!("설비", "machine")),
        site_span: None,
    };
    let tables = root.tables("machine");
    let mut machines: Vec<Machine> = tables.into_iter().filter_map(|table| reader.machine(table)).collect();
    if let Some(whole) = reader.whole_site(&machines) {
        machines.insert(0, whole);
    }
    machines
}

struct Reader<'r, 'a> {
    context: &'r Context<'a>,
    site: &'r SitePart<'a>,
    lines: &'r Lines,
    kinds: &'r Kinds,
    names: Names,
    /// Where the machine of kind `site` is written, if one is.
    site_span: Option<Range<usize>>,
}

impl<'a> Reader<'_, 'a> {
    fn machine(&mut self, mut table: Table<'a>) -> Option<Machine> {
        let file = self.context.file;
        let name = name(&mut table, &mut self.names);
        let kind = table.choice("kind", KINDS);
        let kind = table.required("kind", kind);
        let meter = table.text("meter");
        let meter = table.required("meter", meter);
        let meter = meter.filter(|meter| self.lines.meter_names.find(file, meter));
        let area = table.text("area").map(|area| (*area.get_ref()).to_owned());
        let rated_kw = positive(&mut table, "rated_kw").map(Spanned::into_inner);
        let none = Defaults::default();
        let defaults = kind
            .as_ref()
            .and_then(|kind| self.kinds.get(kind.get_ref()))
            .unwrap_or(&none);
        let states = states(&mut table, rated_kw, defaults);
        let hours = self.hours(&mut table);
        let own = kinds::detect(&mut table, Unknown::Warned);
        self.inputs(&mut table);
        self.orders(&mut table);
        let span = table.span();
        table.finish();
        let (name, kind, meter) = (name?, kind?.into_inner(), meter?);
        if kind == MachineKind::Site {
            self.declared_site(&span, &meter);
        }
        Some(Machine {
            name: (*name.get_ref()).into(),
            kind,
            meter: (*meter.get_ref()).into(),
            area,
            rated_kw,
            states,
            hours,
            detect: kinds::merged(&defaults.detect, own),
        })
    }

    fn hours(&self, table: &mut Table<'a>) -> Option<Hours> {
        let shift = table.text("shift");
        let shift = shift.filter(|shift| self.site.shift_names.find(self.context.file, shift));
        let shift = shift.and_then(|shift| self.site.shifts.get(*shift.get_ref()));
        let open = stretches(table, "open");
        self.site.hours(shift, open)
    }

    /// A machine of kind `site` speaks for the main meter, once.
    fn declared_site(&mut self, span: &Range<usize>, meter: &At<&str>) {
        let file = self.context.file;
        if let Some(first) = &self.site_span {
            let line = file.source.place(first.clone()).line;
            let message = both!(
                "kind가 site인 설비가 둘입니다. 첫 번째는 {line}행에 있습니다",
                "a second machine of kind site; the first stands on line {line}"
            );
            file.report(Code::Contradiction, span.clone(), message);
        }
        self.site_span = Some(span.clone());
        let main = self.site.main_meter.as_ref();
        if let Some(main) = main.filter(|main| main.get_ref() != meter.get_ref()) {
            let message = both!(
                "kind가 site인 설비의 계측기가 main_meter에 적힌 {:?}과(와) 다릅니다",
                "the machine of kind site has another meter than main_meter, {:?}",
                main.get_ref()
            );
            file.report(Code::Contradiction, meter.span(), message);
        }
    }

    /// The machine that stands for the whole site, where nobody declared it.
    fn whole_site(&self, machines: &[Machine]) -> Option<Machine> {
        let main = self.site.main_meter.as_ref()?;
        if self.site_span.is_some() || !self.lines.meter_names.find(self.context.file, main) {
            return None;
        }
        let name = self.site.tag();
        if machines.iter().any(|machine| machine.name == name) {
            let message = both!(
                "설비 {name:?}의 이름이 사업장과 같은데 kind는 site가 아닙니다",
                "machine {name:?} has the site's name but not its kind"
            );
            let help = Some(both!(
                "그 설비의 이름을 바꾸거나 kind = \"site\"로 적으십시오",
                "give that machine another name, or kind = \"site\""
            ));
            self.context
                .file
                .report_with(Code::Contradiction, self.site.name.span(), message, help);
            return None;
        }
        let defaults = self.kinds.get(&MachineKind::Site);
        Some(Machine {
            name,
            kind: MachineKind::Site,
            meter: (*main.get_ref()).into(),
            area: None,
            rated_kw: None,
            states: None,
            hours: None,
            detect: defaults
                .map(|kind| kinds::merged(&kind.detect, Detect::default()))
                .unwrap_or_default(),
        })
    }

    /// Checks `inputs`: name → other meter's quantity.
    fn inputs(&self, table: &mut Table<'a>) {
        let Some(entries) = table.table("inputs") else { return };
        let file = self.context.file;
        not_used_yet(file, "inputs", entries.span());
        for (name, value) in entries.entries() {
            let Some(text) = read::text(file, name.get_ref(), value) else {
                continue;
            };
            if let Some((meter, quantity)) = text.get_ref().rsplit_once('.') {
                self.input(&text, meter, quantity);
            } else {
                let message = both!(
                    "{:?}은(는) 계측기의 물리량이 아닙니다. \"METER.QUANTITY\"처럼 계측기와 물리량을 쓰십시오",
                    "{:?} is not a meter's quantity: write \"METER.QUANTITY\"",
                    text.get_ref()
                );
                file.report(Code::BadValue, text.span(), message);
            }
        }
    }

    fn input(&self, text: &At<&str>, meter: &str, quantity: &str) {
        let file = self.context.file;
        let inner = text.span().start + 1..text.span().end - 1;
        let exists = self.lines.meter_names.find(file, &Spanned::new(inner, meter));
        let Some(wanted) = super::points::known_quantity(file, &Spanned::new(text.span(), quantity)) else {
            return;
        };
        let given = self
            .lines
            .quantities(meter)
            .filter(|given| exists && !given.contains(wanted.get_ref()));
        if let Some(given) = given {
            let message = both!(
                "계측기 {meter:?}에 {quantity} 값이 없습니다",
                "meter {meter:?} does not give {quantity}"
            );
            let names: Vec<&str> = given.iter().copied().map(Quantity::name).collect();
            file.report_with(
                Code::UnknownReference,
                text.span(),
                message,
                suggest::help(quantity, names),
            );
        }
    }

    /// Checks that the file of `orders_file` is there.
    fn orders(&self, table: &mut Table<'a>) {
        let Some(path) = table.text("orders_file") else { return };
        not_used_yet(self.context.file, "orders_file", path.span());
        let full = self.context.folder.join(path.get_ref());
        if !full.is_file() {
            let message = both!(
                "작업 지시 파일이 없습니다: {}",
                "no file of orders at {}",
                full.display()
            );
            self.context.file.report(Code::Unreadable, path.span(), message);
        }
    }
}

/// Says of a key that it is checked, but changes nothing in this version: whoever wrote it must not count on it.
fn not_used_yet(file: &File, key: &str, span: Range<usize>) {
    file.report(
        Code::NotUsedYet,
        span,
        both!(
            "{key:?} 키는 읽기만 하고 아직 쓰지 않습니다",
            "{key:?} is read but not used yet"
        ),
    );
}

/// Limits between the states: what is written in kW, else the kind's shares of the rated power.
fn states(table: &mut Table<'_>, rated_kw: Option<f64>, defaults: &Defaults) -> Option<StateLimits> {
    let mut written = |key| table.amount(key).map(Spanned::into_inner);
    let off = written("off_below_kw");
    let standby_below = written("standby_below_kw");
    let standby = written("standby_kw");
    let running = written("running_from_kw");
    let shares = rated_kw.zip(defaults.shares);
    let off_below_kw = off.or_else(|| shares.map(|(rated, shares)| rated * shares.off_below));
    let running_from_kw = running.or_else(|| shares.map(|(rated, shares)| rated * shares.running_from));
    let (Some(off_below_kw), Some(running_from_kw)) = (off_below_kw, running_from_kw) else {
        if off.or(standby_below).or(standby).or(running).is_some() {
            let title = table.title();
            let message = both!(
                [title],
                "{title}: 상태를 구분하려면 rated_kw, 또는 off_below_kw와 running_from_kw 둘 다 필요합니다",
                "{title}: its states need rated_kw, or both off_below_kw and running_from_kw"
            );
            table.file().report(Code::MissingKey, table.span(), message);
        }
        return None;
    };
    let by_kind = shares
        .filter(|_| off.is_none())
        .map(|(rated, shares)| (rated * shares.standby, rated * shares.standby_below));
    let standby_kw = standby.or(by_kind.map(|(standby, _)| standby)).unwrap_or(0.0);
    let from_standby =
        standby.map(|standby| (standby * STANDBY_MARGIN).clamp(off_below_kw, running_from_kw.max(off_below_kw)));
    let standby_below_kw = standby_below
        .or(from_standby)
        .or(by_kind.map(|(_, below)| below))
        .unwrap_or(off_below_kw);
    let limits = StateLimits {
        off_below_kw,
        standby_below_kw,
        running_from_kw,
        standby_kw,
    };
    let ascend =
        off_below_kw <= standby_below_kw && standby_below_kw <= running_from_kw && standby_kw <= standby_below_kw;
    if !ascend {
        let title = table.title();
        let message = both!(
            [title],
            "{title}: 상태의 한계가 차례로 커지지 않습니다. 정지 {off_below_kw} kW 미만, 대기 {standby_kw} kW, 대기 상한 \
                 {standby_below_kw} kW, 가동 {running_from_kw} kW 이상",
            "{title}: its states do not ascend: off below {off_below_kw} kW, standby {standby_kw} kW, up to {standby_below_kw} kW, running from {running_from_kw} kW"
        );
        table.file().report(Code::Contradiction, table.span(), message);
        return None;
    }
    Some(limits)
}
