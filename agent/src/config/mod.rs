//! The configuration: as written → checked and ready. [`load`] gives every part its own `Config`, or all errors at once.
//!
//! It starts nothing and keeps nothing: no part imports it. Paths in a file are relative to that file; data files come
//! from the folders beside it, else from the program itself. Invariant: what [`load`] returns has been checked whole.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use energy::{both, site::Site};
use jiff::{SignedDuration, tz::TimeZone};

use crate::{acquire, alert, forward, language::Language, record, store, web};

mod broker;
pub mod bus;
mod carbon;
pub mod data;
pub mod diagnostic;
pub mod factor_check;
mod kinds;
mod lines;
mod machines;
pub mod mapping;
pub mod meter_card;
pub mod model;
mod names;
mod outputs;
mod payload;
mod points;
mod profile;
pub mod read;
mod registers;
mod secret_file;
mod site;
pub(crate) mod suggest;
mod tariff_check;
pub mod units;
pub mod watch;

use data::{DataFiles, Folder};
use diagnostic::{Code, Diagnostic, Place, Severity, Source};
use read::{File, Problems, Table};

/// Demand interval where no tariff says one: a quarter of an hour, as in Korea.
const USUAL_DEMAND_INTERVAL: SignedDuration = SignedDuration::from_mins(15);

/// A checked configuration, part by part.
#[derive(Debug, Clone)]
pub struct Config {
    /// The plant, for the engine.
    pub site: Site,
    /// Language of what people read.
    pub language: Language,
    /// Modbus lines.
    pub buses: Vec<acquire::modbus::Config>,
    /// MQTT brokers.
    pub brokers: Vec<acquire::mqtt::Config>,
    /// The recorder.
    pub record: record::Config,
    /// The store.
    pub store: store::Config,
    /// InfluxDBs.
    pub influx: Vec<forward::influx::Config>,
    /// Receivers of alerts.
    pub alerts: Vec<alert::Config>,
    /// The page.
    pub web: web::Config,
    /// Where data files come from.
    pub data: DataFiles,
}

/// A configuration without errors.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings and notes.
    pub warnings: Vec<Diagnostic>,
    /// Where `store.path` is written, if it is: whether that folder can be used depends on the computer.
    pub store_path: Option<Place>,
}

/// What becomes of secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// Their files are read; one that is missing is an error.
    Read,
    /// Nothing will be sent: they are left empty. For `replay` and `report` on another computer.
    LeaveOut,
}

/// What every part of the reading needs.
pub(crate) struct Context<'a> {
    file: &'a File,
    folder: &'a Path,
    data: &'a DataFiles,
    secrets: Secrets,
}

/// Reads and checks the configuration at `path`; on errors all of them, warnings among them, by place.
pub fn load(path: &Path) -> Result<Loaded, Vec<Diagnostic>> {
    load_with(path, Secrets::Read)
}

/// As [`load`], for a command that sends nothing when `secrets` is [`Secrets::LeaveOut`].
pub fn load_with(path: &Path, secrets: Secrets) -> Result<Loaded, Vec<Diagnostic>> {
    let source = Source::read(path).map_err(|error| vec![error])?;
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    parse(source, &folder, secrets)
}

/// As [`load_with`], of a text that stands in `folder`.
pub fn parse(source: Source, folder: &Path, secrets: Secrets) -> Result<Loaded, Vec<Diagnostic>> {
    let file = File {
        source,
        problems: Problems::default(),
    };
    let data = DataFiles::beside(folder);
    let context = Context {
        file: &file,
        folder,
        data: &data,
        secrets,
    };
    let parsed = read::parse(&file);
    let config = parsed
        .as_ref()
        .and_then(|parsed| config(&context, Table::new(&file, both!("파일", "the file"), parsed)));
    match config {
        Some(config) if file.problems.n_errors() == 0 => Ok(Loaded {
            config,
            warnings: file.problems.take(),
            store_path: parsed.and_then(|parsed| store_path(&file, &parsed)),
        }),
        _ => Err(file.problems.take()),
    }
}

fn store_path(file: &File, parsed: &toml::Spanned<toml::de::DeTable<'_>>) -> Option<Place> {
    let mut store = Table::new(file, both!("파일", "the file"), parsed).table("store")?;
    store.text("path").map(|path| file.source.place(path.span()))
}

fn config<'a>(context: &Context<'a>, mut root: Table<'a>) -> Option<Config> {
    let site = site::site(context, &mut root);
    let contracts = site::contracts(
        context,
        &mut root,
        site.as_ref().map_or(&TimeZone::unknown(), |site| &site.zone),
    );
    let mut lines = lines::lines(context, &mut root);
    // Two gateways on one broker must not share a session: each would take the other's messages.
    let site_name = site.as_ref().map_or("site", |site| site.name.get_ref());
    for broker in lines.brokers.iter_mut().filter(|broker| broker.client_id.is_empty()) {
        broker.client_id = format!("wattwarden-{site_name}-{}", broker.name);
    }
    let kinds = kinds(context);
    let record = outputs::record(&mut root);
    lines.warn_of_throttling(context);
    let machines = site
        .as_ref()
        .zip(kinds.as_ref())
        .map(|(site, kinds)| machines::machines(context, &mut root, site, &lines, kinds));
    // Without a site the machines cannot be read, but their table is not an unknown key.
    root.list("machine");
    let fuel_meters = carbon::fuel_meters(context, &mut root, &lines);
    let instruments = carbon::instruments(context, &mut root);
    let store = outputs::store(context, &mut root);
    let influx = outputs::influx(context, &mut root);
    let alerts = outputs::alerts(&mut root);
    let web = outputs::web(&mut root);
    root.finish();
    let (site, machines) = (site?, machines?);
    check_main_meter(context, &site, &lines, contracts.len());
    let fuelled: Vec<&str> = fuel_meters.iter().map(|fuel| fuel.meter.as_ref()).collect();
    note_unused(context, &lines, &machines, &site, &fuelled);
    let billed = contracts.iter().find_map(|contract| contract.rules.demand.as_ref());
    let billed = billed.map(|rule| SignedDuration::from_mins(rule.interval_min.into()));
    let demand_interval = demand_interval(context, &site, billed);
    Some(Config {
        language: site.language,
        site: Site {
            name: site.tag(),
            demand_interval,
            meters: lines.meters,
            machines,
            main_meter: site.main_meter.as_ref().map(|main| (*main.get_ref()).into()),
            contracts,
            carbon: site.carbon,
            fuel_meters,
            instruments,
            zone: site.zone,
            days_off: site.days_off,
        },
        buses: lines.buses,
        brokers: lines.brokers,
        record,
        store,
        influx,
        alerts,
        web,
        data: context.data.clone(),
    })
}

/// The interval over which demand is measured: as set, else the tariff's.
fn demand_interval(context: &Context<'_>, site: &site::SitePart<'_>, billed: Option<SignedDuration>) -> SignedDuration {
    let usual = billed.unwrap_or(USUAL_DEMAND_INTERVAL);
    let Some(set) = &site.demand_interval else { return usual };
    if billed.is_some_and(|billed| billed != *set.get_ref()) {
        let message = both!(
            "수요 시한이 {:#}인데 요금제는 {usual:#}의 최대수요를 청구합니다. 청구서와 맞을 수 없습니다",
            "demand is measured over {:#}, but the tariff bills the highest of {usual:#}: no bill can agree",
            set.get_ref()
        );
        context.file.report(Code::DemandInterval, set.span(), message);
    }
    *set.get_ref()
}

fn kinds(context: &Context<'_>) -> Option<kinds::Kinds> {
    let found = context.data.read(Folder::Top, "machines")?;
    match found {
        Ok(source) => kinds::kinds(&File {
            source,
            problems: context.file.problems.clone(),
        }),
        Err(diagnostic) => {
            context.file.problems.push(diagnostic);
            None
        }
    }
}

fn check_main_meter(context: &Context<'_>, site: &site::SitePart<'_>, lines: &lines::Lines, n_contracts: usize) {
    match &site.main_meter {
        // A machine of kind site without main_meter, or a site without a bill, is fine.
        None if n_contracts == 0 => {}
        None => {
            let message = both!(
                "계약은 있는데 [site]에 main_meter가 없습니다. 요금을 계산할 수 없습니다",
                "[site] has a contract but no main_meter: no bill can be made"
            );
            context.file.report(Code::NoEffect, site.name.span(), message);
        }
        Some(main) => {
            lines.meter_names.find(context.file, main);
        }
    }
}

fn note_unused(
    context: &Context<'_>,
    lines: &lines::Lines,
    machines: &[energy::site::Machine],
    site: &site::SitePart<'_>,
    fuelled: &[&str],
) {
    let used = machines.iter().map(|machine| machine.meter.as_ref());
    let used: BTreeSet<&str> = used.chain(fuelled.iter().copied()).collect();
    let main = site.main_meter.as_ref().map(|main| *main.get_ref());
    for meter in &lines.meters {
        if !used.contains(meter.name.as_ref()) && main != Some(meter.name.as_ref()) {
            let message = both!(
                "계측기 {:?}은(는) 기록되지만 어느 설비도 쓰지 않습니다",
                "meter {:?} is recorded, but no machine uses it",
                meter.name
            );
            let place = lines.meter_names.place(&meter.name).unwrap_or(0..0);
            let help = both!(
                "[[machine]]의 `meter`에 적으십시오. 적지 않아도 값은 저장됩니다",
                "give it to a [[machine]] with `meter`; what it measures is kept either way"
            );
            context.file.report_with(Code::Unused, place, message, Some(help));
        }
    }
}

/// Whether `found` holds an error.
pub fn has_errors(found: &[Diagnostic]) -> bool {
    found.iter().any(|diagnostic| diagnostic.severity() == Severity::Error)
}
