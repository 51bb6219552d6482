//! `wattwarden energy tree`: the meters above and below each other in a month: what each measured, what nobody below a
//! meter measures, and whether a meter and those below it agree.
//!
//! It judges nothing; the crate `energy` does. Invariant: what no child measures is told only over the intervals in
//! which the parent and every child are known whole, and it is said which share of the time that is.

use std::{io, process::ExitCode};

use energy::{
    Interval, Name, Site,
    consistency::{Check, ConsistencyRules, Evidence, Limits, Method, Verdict, checks, verdict},
    meter_tree::{Family, Share, children, families},
    unit::percent_seen,
};
use jiff::{Timestamp, civil::Date};

use super::number;
use crate::{
    cli::{
        INPUT, Lang, Secrets, fail, load,
        past::{self, PastArgs},
        table::{table, wrapped},
    },
    config::{
        Config,
        data::{Folder, load_alone},
        diagnostic::Paint,
    },
    language::Language,
    report::{
        Month,
        words::{part, status_name},
    },
};

/// Arguments of `energy tree`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wattwarden energy tree --month 2026-10\n  \
    wattwarden energy tree -c steel.toml --from steel-2018 --lang ko\n\n\
    Coverage of what is unmetered is the share of the intervals in which the parent\n\
    and every meter below it are known whole; it is told, and its share taken, over\n\
    these alone.")]
pub(super) struct TreeArgs {
    #[command(flatten)]
    past: PastArgs,
    /// The month, as 2026-10; without it, the newest that the main meter has.
    #[arg(long)]
    month: Option<Month>,
    /// Language.
    #[arg(long, value_enum)]
    lang: Option<Lang>,
}

/// The tree and the checks.
pub(super) fn made(args: &TreeArgs) -> Result<String, ExitCode> {
    let config = load(&args.past.config, Secrets::LeaveOut)?;
    let month = month(args, &config)?;
    let bounds = month.bounds(&config.site.zone);
    let intervals = past::intervals_within(&args.past, &config, None, bounds)?;
    if intervals.is_empty() {
        return Err(fail(INPUT, format!("nothing is known of any meter in {month}")));
    }
    let tree = Tree {
        site: &config.site,
        passed_min: passed_min(bounds, &intervals, past::heard_until(&args.past, &config)?),
        intervals: &intervals,
        language: args.lang.map_or(config.language, Language::from),
    };
    let (first, last) = (
        intervals.iter().map(|one| one.start).min(),
        intervals.iter().map(|one| one.end).max(),
    );
    let is_whole = first <= Some(bounds.0) && Some(bounds.1) <= last;
    Ok(format!(
        "{month}{}\n\n{}{}",
        part(is_whole, tree.language),
        tree.shown(),
        tree.checked(limits(&config, month.first)?.as_ref())
    ))
}

/// The month asked for, else the newest one that the main meter (without one, any meter) has.
fn month(args: &TreeArgs, config: &Config) -> Result<Month, ExitCode> {
    if let Some(month) = args.month {
        return Ok(month);
    }
    let known = past::intervals(&args.past, config, config.site.main_meter.as_deref())?;
    let newest = known.iter().map(|interval| interval.start).max();
    let newest = newest.ok_or_else(|| {
        fail(
            INPUT,
            "nothing is known of the main meter yet: its first demand interval is not over",
        )
    })?;
    Ok(Month::of(newest, &config.site.zone))
}

/// The limits of consistency that hold on a day.
fn limits(config: &Config, day: Date) -> Result<Option<Limits>, ExitCode> {
    let rules: Result<ConsistencyRules, _> = load_alone(&config.data, Folder::Top, "consistency");
    let rules = rules.map_err(|found| {
        let paint = Paint::of(&io::stderr());
        for diagnostic in found {
            eprintln!("{}", diagnostic.render(paint));
        }
        ExitCode::from(INPUT)
    })?;
    Ok(rules.on(day).cloned())
}

/// The time that coverage is a share of: the month, as far as it has passed.
fn passed_min((from, until): (Timestamp, Timestamp), intervals: &[Interval], heard_until: Timestamp) -> f64 {
    let last = intervals.iter().map(|interval| interval.end).max();
    let passed = until.min(last.map_or(heard_until, |last| last.max(heard_until)));
    minutes(from, passed)
}

fn minutes(from: Timestamp, until: Timestamp) -> f64 {
    until.duration_since(from).as_secs_f64() / 60.0
}

/// A month of a site.
struct Tree<'a> {
    site: &'a Site,
    intervals: &'a [Interval],
    passed_min: f64,
    language: Language,
}

impl Tree<'_> {
    fn word(&self, ko: &'static str, en: &'static str) -> &'static str {
        match self.language {
            Language::Ko => ko,
            Language::En => en,
        }
    }

    fn shown(&self) -> String {
        let head = match self.language {
            Language::Ko => ["계측기", "kWh", "확보율", "상위 대비"],
            Language::En => ["meter", "kWh", "coverage", "of parent"],
        };
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        let mut silent = Vec::new();
        let meters = self.site.meters.iter();
        for root in meters.filter(|meter| meter.parent.is_none()) {
            let is_alone = children(self.site, &root.name).is_empty();
            if is_alone && self.energy(&root.name).0.is_none() {
                silent.push(&*root.name);
            } else {
                self.branch(&root.name, None, 0, &mut rows);
            }
        }
        let mut text = table(&rows, &[false, true, true, true]);
        if !silent.is_empty() {
            let head = self.word("이 기간의 전력량 없음", "no energy in this time");
            text += &wrapped(&format!("{head}: {}", silent.join(", ")), 0);
        }
        text
    }

    /// A meter, those below it, and what they leave over.
    fn branch(&self, meter: &Name, share: Option<Share>, depth: usize, rows: &mut Vec<Vec<String>>) {
        let (kwh, coverage) = self.energy(meter);
        let name = format!("{}{meter}", "  ".repeat(depth));
        rows.push(vec![name, number(kwh), percent_seen(coverage), of_parent(share)]);
        let below = children(self.site, meter);
        if below.is_empty() {
            return;
        }
        let families = families(self.site, meter, self.intervals);
        for (index, child) in below.into_iter().enumerate() {
            let share = Share::of(&families, |family| family.children_kwh[index]);
            self.branch(child, share, depth + 1, rows);
        }
        let rest = Share::of(&families, Family::remainder_kwh);
        let interval_min = self.site.demand_interval.as_secs_f64() / 60.0;
        let known = rest.map_or(0, |rest| rest.n_intervals) as f64 * interval_min / self.passed_min;
        rows.push(vec![
            format!("{}{}", "  ".repeat(depth + 1), self.word("(미계측)", "(unmetered)")),
            rest.map_or_else(
                || self.word("알 수 없음", "unknown").to_owned(),
                |rest| number(Some(rest.kwh)),
            ),
            percent_seen(known),
            of_parent(rest),
        ]);
    }

    /// What a meter measured, kWh, and the share of the time in which it did.
    fn energy(&self, meter: &Name) -> (Option<f64>, f64) {
        let own = self.intervals.iter().filter(|interval| interval.meter == *meter);
        let (mut energy_kwh, mut seen_min) = (None, 0.0);
        for interval in own {
            seen_min += interval.coverage * minutes(interval.start, interval.end);
            if let Some(kwh) = interval.energy_import_kwh {
                energy_kwh = Some(energy_kwh.unwrap_or(0.0) + kwh);
            }
        }
        (energy_kwh, seen_min / self.passed_min)
    }

    /// Whether each parent and its children agree, by the guideline's methods.
    fn checked(&self, limits: Option<&Limits>) -> String {
        let parents = self.site.meters.iter().map(|meter| &meter.name);
        let parents: Vec<&Name> = parents.filter(|name| !children(self.site, name).is_empty()).collect();
        let Some(limits) = limits.filter(|_| !parents.is_empty()) else {
            let why = if parents.is_empty() {
                self.word(
                    "parent가 있는 계측기가 없어 정합성을 비교할 수 없음",
                    "no meter has a parent: nothing can be compared",
                )
            } else {
                self.word(
                    "이 달에 유효한 정합성 한계가 없음 (consistency.toml)",
                    "no limits of consistency hold in this month (consistency.toml)",
                )
            };
            return format!("\n{}", wrapped(why, 0));
        };
        let mut text = String::new();
        for parent in parents {
            text += &self.agreement(parent, limits);
        }
        let status = limits.status.as_deref();
        let status = status.map(|status| format!(" [{}]", status_name(status, self.language)));
        let head = self.word("한계", "limits");
        let source = format!(
            "{head}: {}, {}, {}{}",
            limits.from,
            limits.authority,
            limits.source,
            status.unwrap_or_default()
        );
        text + "\n" + &wrapped(&source, 0)
    }

    /// The methods in the guideline's order on a parent and all its children, then, unless they agree, child by child.
    fn agreement(&self, parent: &Name, limits: &Limits) -> String {
        let below = children(self.site, parent);
        let families = families(self.site, parent, self.intervals);
        let evidence = |child: Option<usize>, name: &Name| Evidence {
            families: &families,
            child,
            rated_kwh: self.rated_kwh(name),
            ..Evidence::default()
        };
        let whole = checks(&evidence(None, parent), limits);
        let said = verdict(&whole);
        let mut text = match self.language {
            Language::Ko => format!("\n{parent} – 하위 계측기 {}개: {}\n", below.len(), self.said(said)),
            Language::En => format!("\n{parent} and {} below it: {}\n", below.len(), self.said(said)),
        };
        let rows: Vec<Vec<String>> = whole.iter().map(|check| self.method_row(check)).collect();
        let lines = table(&rows, &[false, false, true, false]);
        for (line, check) in lines.lines().zip(&whole) {
            text += line;
            text += "\n";
            text += &wrapped(self.language.pick(&check.reason), 6);
        }
        if said != Verdict::Consistent {
            text += self.word("  하위 계측기별\n", "  each of those below\n");
            let rows = below.iter().enumerate().map(|(index, name)| {
                let own = checks(&evidence(Some(index), name), limits);
                let deciding = own.iter().rfind(|check| check.verdict != Verdict::CannotTell);
                let mut row = vec![format!("  {name}"), self.said(verdict(&own)).to_owned()];
                row.extend(
                    deciding
                        .map(|check| self.method_row(check))
                        .map_or_else(Vec::new, |row| {
                            vec![row[0].trim().to_owned(), row[2].clone(), row[3].clone()]
                        }),
                );
                row
            });
            text += &table(&rows.collect::<Vec<_>>(), &[false, false, false, true, false]);
        }
        text
    }

    /// Number and name of a method, its verdict, statistic and limit.
    fn method_row(&self, check: &Check) -> Vec<String> {
        let (ko, en) = name(check.method);
        let (statistic, limit) = match check.method {
            Method::Regression => (
                check.statistic.map_or("–".to_owned(), |r2| format!("{r2:.3}")),
                format!("≥ {:.3}", check.limit),
            ),
            _ => (
                percent(check.statistic, 2),
                format!("≤ {}", percent(Some(check.limit), 2)),
            ),
        };
        vec![
            format!("  ({}) {}", check.method.number(), self.word(ko, en)),
            self.said(check.verdict).to_owned(),
            statistic,
            limit,
        ]
    }

    fn said(&self, verdict: Verdict) -> &'static str {
        match verdict {
            Verdict::Consistent => self.word("정합", "consistent"),
            Verdict::Inconsistent => self.word("부정합", "inconsistent"),
            Verdict::CannotTell => self.word("판단 불가", "cannot tell"),
        }
    }

    /// What the machines of a meter take in one interval at their rated power, kWh; `None` where one is not known.
    fn rated_kwh(&self, meter: &Name) -> Option<f64> {
        let machines = self.site.machines.iter().filter(|machine| machine.meter == *meter);
        let rated_kw: f64 = machines.map(|machine| machine.rated_kw).sum::<Option<f64>>()?;
        (rated_kw > 0.0).then(|| rated_kw * self.site.demand_interval.as_secs_f64() / 3600.0)
    }
}

fn name(method: Method) -> (&'static str, &'static str) {
    match method {
        Method::Sum => ("합계 비교", "sum"),
        Method::Regression => ("회귀분석", "regression"),
        Method::Production => ("생산량 환산", "production"),
        Method::FlatPattern => ("일정 패턴", "flat pattern"),
        Method::Utilisation => ("가동률", "utilisation"),
        Method::ConstantRatio => ("일정 비율", "constant ratio"),
        Method::ConstantDifference => ("일정 차이", "constant difference"),
        Method::Capacity => ("설비용량", "capacity"),
    }
}

fn of_parent(share: Option<Share>) -> String {
    percent(share.and_then(|share| share.of_parent()), 1)
}

/// `12.3 %` of 0.123; `–` where nothing is known.
fn percent(share: Option<f64>, decimals: usize) -> String {
    share.map_or("–".to_owned(), |share| format!("{:.decimals$} %", 100.0 * share))
}
