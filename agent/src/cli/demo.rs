//! `wattwarden demo`: a simulated plant on real sockets, and the agent that `run` starts, with its data time running
//! faster than the wall. It needs no configuration and no network, and leaves nothing behind but what it was asked for.

use std::{
    fs::{self, File},
    io::BufWriter,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use energy::{
    Finding,
    calendar::HolidayCalendar,
    finding::{Condition, Severity},
};
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use super::{
    INPUT, INTERNAL, Lang, fail, language, print,
    run::{status_of, stop_signal},
};
use crate::{
    app::{self, App},
    clock::Clock,
    config::{
        self, Config,
        data::{DataFiles, Folder, load_alone},
        diagnostic::{Paint, Severity as Weight},
    },
    health::Health,
    language::Language,
    plant::{self, PlantConfig, Waste},
    report::{Origin, words::money},
    store::{LogError, Reader, Store},
};

mod receiver;

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wattwarden demo\n  wattwarden demo --seed 7 --duration 30s --truth truth.jsonl\n  \
    wattwarden demo --influx http://127.0.0.1:8086"
)]
pub struct DemoArgs {
    /// How many times as fast as the wall data time runs.
    #[arg(long, default_value_t = 60.0, value_parser = speed)]
    pub speed: f64,
    /// The plant is drawn from this: another seed, other waste.
    #[arg(long, default_value_t = 1, value_parser = seed)]
    pub seed: u64,
    /// Leave all waste out of the plant: whatever is found then is false.
    #[arg(long)]
    pub no_waste: bool,
    /// Write the plant's true waste to this file at the end, as JSON lines.
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
    /// End by itself after this long, wall time (30s, 5m).
    #[arg(long, value_parser = crate::cli::duration, value_name = "TIME")]
    pub duration: Option<Duration>,
    /// Where the page listens; a free port where 8420 is taken.
    #[arg(long, value_name = "ADDRESS", value_parser = loopback)]
    pub listen: Option<SocketAddr>,
    /// Language of what is printed, and the page's first; else that of LANG.
    #[arg(long, value_enum)]
    pub lang: Option<Lang>,
    /// Also send to this InfluxDB (1.x or 2.x).
    #[arg(long, value_name = "URL", value_parser = receiver::address)]
    pub influx: Option<reqwest::Url>,
    /// Organisation, for InfluxDB 2.
    #[arg(long, requires = "influx", value_name = "NAME")]
    pub influx_org: Option<String>,
    /// Bucket, for InfluxDB 2.
    #[arg(long, requires = "influx", value_name = "NAME")]
    pub influx_bucket: Option<String>,
    /// File with the token, for InfluxDB 2.
    #[arg(long, requires = "influx", value_name = "FILE")]
    pub influx_token_file: Option<PathBuf>,
}

/// Fastest and slowest data time: beyond 600 a poll takes longer than it represents.
fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| format!("{text:?} is not a number"))?;
    if (1.0..=600.0).contains(&speed) {
        Ok(speed)
    } else {
        Err("a speed from 1 to 600 is wanted".into())
    }
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("a whole number from 0 to {} is wanted", u64::MAX))
}

/// An address of this machine alone, as a configuration's `web.listen`.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let listen: SocketAddr = text
        .replacen("localhost:", "127.0.0.1:", 1)
        .parse()
        .map_err(|_| format!("write it as 127.0.0.1:{PORT}"))?;
    if listen.ip().is_loopback() {
        return Ok(listen);
    }
    let port = listen.port();
    Err(format!(
        "the page has no sign-in yet, so it stays on this machine: write 127.0.0.1:{port} and reach it through an SSH tunnel"
    ))
}

/// Port of the page where it is free.
const PORT: u16 = 8420;
/// Rows of the log read at once.
const ROWS: usize = 256;

/// Why the demo could not run, and the exit status that says whose matter it is.
struct Failure(u8, String);

impl Failure {
    fn new(status: u8, why: impl std::fmt::Display) -> Self {
        Self(status, why.to_string())
    }
}

/// Runs the demo.
pub fn run(args: &DemoArgs) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(INTERNAL, format!("starting the runtime: {error}")),
    };
    let folder = std::env::temp_dir().join(format!("wattwarden-demo-{}", std::process::id()));
    let ran = fs::create_dir_all(&folder)
        .map_err(|error| Failure::new(INTERNAL, format!("making {}: {error}", folder.display())))
        .and_then(|()| runtime.block_on(demo(args, &folder)));
    if let Err(error) = fs::remove_dir_all(&folder) {
        tracing::warn!(%error, folder = %folder.display(), "the demo's folder is left behind");
    }
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(status, why)) => fail(status, why),
    }
}

async fn demo(args: &DemoArgs, folder: &Path) -> Result<(), Failure> {
    let language = language(args.lang);
    // What could not be written at the end is not begun.
    let truth = args.truth.as_ref().map(|path| {
        File::create(path).map_err(|error| Failure::new(INPUT, format!("--truth {}: {error}", path.display())))
    });
    let truth = truth.transpose()?;
    let plant_config = plant_config(args)?;
    let clock = Clock::scaled(plant_config.start, args.speed);
    let stop_plant = CancellationToken::new();
    let plant = plant::run(plant_config, clock.clone(), stop_plant.clone())
        .await
        .map_err(|error| Failure::new(INTERNAL, format!("starting the simulated plant: {error}")))?;
    let config = agent_config(args, folder, &plant, language).await?;
    let zone = config.site.zone.clone();
    let health = Health::default();
    let app = app::start(config, &clock, &health, Origin::Demo)
        .map_err(|error| Failure(status_of(&error), error.to_string()))?;
    print(&greeting(args, &app, &plant, language));
    let watch = tokio::spawn(watch(
        app.store().clone(),
        Teller {
            language,
            zone,
            paint: Paint::of(&std::io::stdout()),
        },
    ));
    tokio::select! {
        () = stop_signal() => {}
        () = tokio::time::sleep(args.duration.unwrap_or(Duration::MAX)) => {}
    }
    let ended = clock.now();
    app.stop().await;
    watch.abort();
    if let Some(file) = truth {
        plant::truth::write(&plant.plant, plant.plant.config().start, ended, BufWriter::new(file))
            .map_err(|error| Failure::new(INPUT, format!("writing the truth: {error}")))?;
    }
    if args.influx.is_some() {
        print(&receiver::delivered(&health, language));
    }
    stop_plant.cancel();
    plant.stopped().await;
    print(match language {
        Language::Ko => "데모를 마쳤습니다.\n",
        Language::En => "The demo has ended.\n",
    });
    Ok(())
}

fn plant_config(args: &DemoArgs) -> Result<PlantConfig, Failure> {
    let data = DataFiles::beside(Path::new("."));
    let calendar: HolidayCalendar = load_alone(&data, Folder::Calendars, "kr").map_err(|found| {
        Failure::new(
            INTERNAL,
            found
                .iter()
                .map(|d| d.message.en.as_str())
                .collect::<Vec<_>>()
                .join("; "),
        )
    })?;
    let waste = if args.no_waste { Waste::Off } else { Waste::On };
    Ok(PlantConfig::demo(args.seed, waste, calendar.days()))
}

/// The configuration of the simulated plant's site, through the reader that every configuration goes through.
async fn agent_config(
    args: &DemoArgs,
    folder: &Path,
    plant: &plant::Running,
    language: Language,
) -> Result<Config, Failure> {
    let listen = args.listen.unwrap_or_else(free_port);
    let text = format!(
        "{}\n[store]\npath = \"store\"\n\n[record]\nlateness = \"20s\"\n\n[web]\nlisten = \"{listen}\"\n",
        plant::config_toml(&plant.addresses, plant.plant.config())
    );
    let path = folder.join("wattwarden.toml");
    fs::create_dir_all(folder.join("store"))
        .and_then(|()| fs::write(&path, text))
        .map_err(|error| Failure::new(INTERNAL, format!("writing {}: {error}", path.display())))?;
    let mut config = config::load(&path)
        .map_err(|found| {
            let paint = Paint::of(&std::io::stderr());
            Failure::new(
                INTERNAL,
                found
                    .iter()
                    .filter(|diagnostic| diagnostic.severity() == Weight::Error)
                    .map(|diagnostic| diagnostic.render(paint))
                    .collect::<Vec<_>>()
                    .join("\n"),
            )
        })?
        .config;
    config.language = language;
    if let Some(url) = &args.influx {
        config.influx.push(receiver::config(args, url).await?);
    }
    Ok(config)
}

/// The page's usual port, or any free one.
fn free_port() -> SocketAddr {
    let usual = SocketAddr::from(([127, 0, 0, 1], PORT));
    match std::net::TcpListener::bind(usual) {
        Ok(_) => usual,
        Err(_) => SocketAddr::from(([127, 0, 0, 1], 0)),
    }
}

fn greeting(args: &DemoArgs, app: &App, plant: &plant::Running, language: Language) -> String {
    let config = plant.plant.config();
    let start = config.start.to_zoned_datetime(config.zone.clone());
    let (speed, seed, page) = (args.speed, args.seed, app.page());
    let at = start.strftime("%Y-%m-%d %H:%M");
    let plan = match language {
        Language::Ko => format!(
            "Wattwarden 데모: 모의 공장 (시드 {seed}), 금요일 {at}부터,\n\
             데이터 시간은 실제의 {speed}배 속도\n  \
             주 계량기, 머시닝센터 2, 프레스, 공기압축기, 사출성형기 (Modbus TCP),\n  \
             조명 (MQTT)\n"
        ),
        Language::En => format!(
            "Wattwarden demo: a simulated plant (seed {seed}), from Friday {at},\n\
             data time {speed} times as fast as the wall\n  \
             main meter, two machining centres, press, compressor, injection moulding\n  \
             machine (Modbus TCP), hall lighting (MQTT)\n"
        ),
    };
    let stop = match language {
        Language::Ko => "Ctrl-C로 마칩니다.",
        Language::En => "Ctrl-C ends it.",
    };
    format!("{plan}\n  http://{page}\n\n{stop}\n\n")
}

/// How findings are told on the terminal.
struct Teller {
    language: Language,
    zone: TimeZone,
    paint: Paint,
}

/// Tells each finding as it opens and closes, from the log like every other reader of it.
async fn watch(store: Store, teller: Teller) {
    let mut committed = store.committed();
    let Ok(reader) = store.reader() else { return };
    let mut next = 1;
    let mut open = std::collections::BTreeSet::new();
    while committed.changed().await.is_ok() {
        let head = *committed.borrow_and_update();
        while next <= head {
            let (findings, seen) = newest(&reader, next);
            next = seen + 1;
            for finding in findings {
                let is_news = match finding.state {
                    Condition::Open => open.insert(finding.id.clone()),
                    Condition::Closed => {
                        open.remove(&finding.id);
                        true
                    }
                };
                if is_news {
                    print(&teller.line(&finding));
                }
            }
        }
    }
}

/// The findings of the rows from `next` on, and the last row looked at.
fn newest(reader: &Reader, next: u64) -> (Vec<Finding>, u64) {
    match reader.entries(next, ROWS) {
        Ok(entries) => {
            let seen = entries.last().map_or(next, |entry| entry.seq);
            (entries.into_iter().flat_map(|entry| entry.findings).collect(), seen)
        }
        Err(LogError::Damaged { seq, .. }) => (vec![], seq),
        Err(LogError::Store(error)) => {
            tracing::warn!(%error, "the demo cannot read its store");
            (vec![], next)
        }
    }
}

impl Teller {
    /// One finding: when, how urgent, opened or closed; its sentence; kWh, money, CO2.
    fn line(&self, finding: &Finding) -> String {
        let at = finding
            .until
            .unwrap_or(finding.detected_at)
            .to_zoned_datetime(self.zone.clone());
        let mark = match finding.severity {
            Severity::P1 => "▲ P1",
            Severity::P2 => "◆ P2",
            Severity::P3 => "● P3",
        };
        let word = match (self.language, finding.state) {
            (Language::Ko, Condition::Open) => "발생",
            (Language::Ko, Condition::Closed) => "종료",
            (Language::En, Condition::Open) => "opened",
            (Language::En, Condition::Closed) => "closed",
        };
        let mut sums = Vec::new();
        sums.extend(finding.energy_kwh.map(|kwh| format!("{kwh:.1} kWh")));
        sums.extend(finding.cost.as_ref().map(|cost| money(cost, self.language)));
        sums.extend(finding.kgco2e.map(|kgco2e| format!("{kgco2e:.1} kgCO2e")));
        let sums = if sums.is_empty() {
            String::new()
        } else {
            format!("\n              {}", sums.join(" · "))
        };
        let days = match self.language {
            Language::Ko => ["월", "화", "수", "목", "금", "토", "일"],
            Language::En => ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
        };
        let day = days[at.weekday().to_monday_zero_offset() as usize];
        let lead = format!("{day} {} ", at.strftime("%H:%M"));
        let rest = format!(" {word:<6} {}", self.language.pick(&finding.title));
        let rest = self.paint.wrapped(&format!("{lead}{mark}"), &rest, 14);
        let mark = match finding.state {
            Condition::Open => self.paint.on("31", mark),
            Condition::Closed => mark.to_owned(),
        };
        format!("{lead}{mark}{}{sums}\n", rest.trim_end())
    }
}
