//! A power cut moves nothing: the real program killed again and again while a press idles, and a recorder cut off at
//! any point between a sample's arrival and its commit, find what an undisturbed life finds.
//!
//! Not here: that a morning replays as it was lived (`replay_equals_live.rs`), that the store keeps what it has
//! acknowledged (`store_kill.rs`).

use std::{fs, path::Path, process::Stdio, sync::Arc, time::Duration};

use crate::life_support::{Life, SITE, findings, settings, site, start};
use crate::store_support::{Folder, store_in};
use energy::{Quantity, Reading, Sample};
use jiff::{SignedDuration, Timestamp};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};
use wattwarden::{clock::Clock, health::Health, store::Reader};

// ---------------------------------------------------------------------------------------------- the real program

/// How often the program is killed while the press idles, and how many samples it gets in between.
const KILLS: usize = 4;
const SAMPLES_BETWEEN: usize = 3;

fn program(config: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_wattwarden"))
        .args(["run", "--config"])
        .arg(config)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Every sample on the disk, as a reader beside the program sees it; none before there is a store.
fn samples(folder: &Path) -> Vec<Sample> {
    let Ok(reader) = Reader::open(&store_in(folder)) else {
        return Vec::new();
    };
    let entries = reader.entries(1, 10_000).unwrap_or_default();
    entries.into_iter().flat_map(|entry| entry.samples).collect()
}

/// Polls the disk until `what` is there; at most two minutes, which is more than two whole minutes' ticks need.
async fn wait_for<T>(program: &mut Child, what: impl Fn() -> Option<T>) -> T {
    for _ in 0..2400 {
        if let Some(found) = what() {
            return found;
        }
        assert_eq!(program.try_wait().unwrap(), None, "the program ended by itself");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing came within two minutes");
}

/// A plant that never rests, with a press behind a meter at `port`.
fn site_read_at(port: u16) -> String {
    format!(
        r#"
        [site]
        name = "plant"
        zone = "Asia/Seoul"
        shifts = {{ always = "mon-sun 00:00-24:00" }}
        main_meter = "press"
        [[bus]]
        name = "panel"
        modbus = "tcp://127.0.0.1:{port}"
        every = "1s"
        timeout = "500ms"
        [[meter]]
        name = "press"
        bus = "panel"
        unit = 1
        registers = [{{ at = 0, type = "f32", quantity = "active_power_kw", scale = 0.001 }}]
        [[machine]]
        name = "press"
        kind = "press"
        meter = "press"
        rated_kw = 55
        shift = "always"
        off_below_kw = 2
        running_from_kw = 14
        detect.idle_running = {{ after = "20s" }}
        [record]
        commit_every = "200ms"
        lateness = "1s"
        [store]
        path = "."
        [web]
        listen = "127.0.0.1:0"
        "#
    )
}

#[tokio::test]
async fn a_program_killed_while_a_press_idles_finds_it_from_its_first_sample() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let meter = tokio::spawn(crate::meter_support::serve(listener));
    let folder = Folder::new();
    let config = folder.path().join("wattwarden.toml");
    fs::write(&config, site_read_at(port)).unwrap();

    for life in 1..=KILLS {
        let mut program = program(&config);
        wait_for(&mut program, || {
            (samples(folder.path()).len() >= life * SAMPLES_BETWEEN).then_some(())
        })
        .await;
        program.kill().await.unwrap();
    }
    let before = samples(folder.path());
    let mut program = program(&config);
    let found = wait_for(&mut program, || {
        let found = findings(&Reader::open(&store_in(folder.path())).ok()?);
        (!found.is_empty()).then_some(found)
    })
    .await;
    program.kill().await.unwrap();
    meter.abort();

    let after = samples(folder.path());
    assert_eq!(after[..before.len()], before, "what was on the disk stays as it was");
    assert!(after.windows(2).all(|pair| pair[0].at < pair[1].at), "no instant twice");
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].kind.name(), "idle_running");
    assert_eq!(
        found[0].since, after[0].at,
        "since the very first sample of the first life"
    );
    assert!(found[0].detected_at.duration_since(found[0].since) >= SignedDuration::from_secs(20));
}

// --------------------------------------------------------------------------------------- cut off at any point

const MINUTES: i64 = 120;
const LATENESS: Duration = Duration::from_secs(2);

/// The press idles, falls silent for a quarter of an hour and runs; both are away for four minutes; the plant peaks.
fn kw(meter: &str, minute: i64) -> Option<f64> {
    match (meter, minute) {
        (_, 80..84) | ("press", 52..67) => None,
        ("press", 12..40) => Some(9.0),
        ("press", _) => Some(30.0),
        (_, 92..110) => Some(140.0),
        _ => Some(60.0),
    }
}

/// The main meter's register: it counts on while nobody hears it.
fn counter_kwh(step: i64) -> f64 {
    let drawn = (0..step).map(|step| kw("main", step / 6).unwrap_or(60.0) / 360.0);
    5000.0 + drawn.sum::<f64>()
}

/// What the meters send at one instant.
fn spoken(step: i64) -> Vec<Sample> {
    let at = start() + SignedDuration::from_secs(step * 10);
    let wavering = 1.0 + (step % 7) as f64 / 100.0;
    let meters = ["main", "press"].into_iter();
    meters
        .filter_map(|meter| {
            let mut readings = vec![Reading::new(Quantity::ActivePower, kw(meter, step / 6)? * wavering)];
            if meter == "main" {
                readings.push(Reading::new(Quantity::EnergyImport, counter_kwh(step)));
            }
            Some(Sample {
                meter: meter.into(),
                at,
                readings,
            })
        })
        .collect()
}

fn begin(folder: &Folder, clock: &Clock) -> Life {
    Life::begin(folder, site(SITE), clock, settings(LATENESS), &Health::default())
}

/// Draws where a life is cut off; without a seed it never is.
struct Dice(Option<u64>);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        let Some(state) = &mut self.0 else { return u64::MAX };
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) % n
    }

    fn is_cut(&mut self) -> bool {
        self.below(25) == 0
    }

    /// Lets the recorder come a little further, or not at all.
    async fn linger(&mut self) {
        for _ in 0..self.below(6) {
            tokio::task::yield_now().await;
        }
    }
}

/// Two hours of the plant, cut off where the dice say: the number of cuts, how many samples are on the disk twice, and
/// all that the store then knows.
async fn lived(seed: Option<u64>) -> (usize, usize, [String; 3]) {
    let (folder, clock, mut dice) = (Folder::new(), Clock::scaled(start(), 1.0), Dice(seed));
    let mut life = begin(&folder, &clock);
    let mut cuts = 0;
    for step in 0..=MINUTES * 6 {
        let now = start() + SignedDuration::from_secs(step * 10);
        clock.sleep_until(now).await;
        let samples = spoken(step);
        let mut answers = life.send(&samples).await;
        while dice.is_cut() {
            dice.linger().await;
            life.cut().await;
            life = begin(&folder, &clock);
            cuts += 1;
            // Nothing was acknowledged: the broker sends all of it again, also what is on the disk already.
            answers = life.send(&samples).await;
        }
        for answer in answers {
            answer.await.unwrap();
        }
        // Not at the very end: paused time does not wait for the commit, and the last tick would never come.
        if step < MINUTES * 6 && dice.is_cut() {
            // The same configuration, taken up again: nothing may come of it.
            life.site.send_replace(Arc::new(site(SITE)));
            dice.linger().await;
        }
        if step % 6 == 0 && dice.is_cut() {
            // In the middle of the tick's own commit.
            clock
                .sleep_until(now + SignedDuration::try_from(LATENESS).unwrap())
                .await;
            dice.linger().await;
            life.cut().await;
            life = begin(&folder, &clock);
            cuts += 1;
        }
    }
    clock
        .sleep_until(start() + SignedDuration::from_secs(MINUTES * 60 + 5))
        .await;
    life.end().await;
    let reader = Reader::open(&store_in(folder.path())).unwrap();
    let intervals = reader.intervals(None, Timestamp::MIN, Timestamp::MAX).unwrap();
    let known = [
        serde_json::to_string_pretty(&findings(&reader)),
        serde_json::to_string_pretty(&intervals),
        serde_json::to_string_pretty(&reader.now().unwrap()),
    ];
    let n_spoken = (0..=MINUTES * 6).map(|step| spoken(step).len()).sum::<usize>();
    let twice = samples(folder.path()).len() - n_spoken;
    (cuts, twice, known.map(Result::unwrap))
}

#[tokio::test(start_paused = true)]
async fn a_life_cut_off_at_any_point_knows_what_an_undisturbed_one_knows() {
    let (_, _, [findings, intervals, now]) = lived(None).await;
    let kinds = ["idle_running", "meter_silent", "demand_peak"];
    for kind in kinds {
        assert_eq!(
            findings.matches(&format!("\"kind\": \"{kind}\"")).count(),
            1,
            "{findings}"
        );
    }
    assert_eq!(findings.matches("\"kind\"").count(), kinds.len(), "{findings}");
    assert!(intervals.matches("\"start\"").count() >= 14, "{intervals}");
    for seed in 1..=4 {
        let (cuts, twice, known) = lived(Some(seed)).await;
        assert!(
            cuts >= 15 && (1..cuts * 2).contains(&twice),
            "seed {seed}: {cuts} cuts, {twice} twice"
        );
        for (known, undisturbed) in known.iter().zip([&findings, &intervals, &now]) {
            let differs = known.lines().zip(undisturbed.lines()).find(|(a, b)| a != b);
            assert!(
                known == undisturbed,
                "seed {seed}, {cuts} cuts: {differs:?}\n{known}\nbut undisturbed\n{undisturbed}"
            );
        }
        println!("seed {seed}: cut off {cuts} times, {twice} samples on the disk twice, nothing moved");
    }
}
