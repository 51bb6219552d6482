//! `wattwarden run`: the agent in the foreground, until a signal. Under systemd it says when it is ready and alive.
//!
//! A configuration that was written anew, or SIGHUP, is taken up while it runs; one with errors changes nothing.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{INPUT, INTERNAL, Secrets, fail, load};
use crate::{
    app::{self, App, AppError, Fixed},
    clock::{self, Clock},
    config::{
        diagnostic::{Paint, Severity},
        watch::Watch,
    },
    health::Health,
    report::Origin,
};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wattwarden run --config /etc/wattwarden/wattwarden.toml")]
pub struct RunArgs {
    /// The configuration.
    #[arg(long, short, value_name = "FILE", default_value = "/etc/wattwarden/wattwarden.toml")]
    pub config: PathBuf,
}

/// Runs the agent.
pub fn run(args: &RunArgs) -> ExitCode {
    let config = match load(&args.config, Secrets::Read) {
        Ok(config) => config,
        Err(status) => return status,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(INTERNAL, format!("starting the runtime: {error}")),
    };
    runtime.block_on(async {
        let (health, fixed) = (Health::default(), Fixed::of(&config));
        match app::start(config, &Clock::system(), &health, Origin::Plant) {
            Ok(mut app) => {
                tracing::info!(page = %format!("http://{}", app.page()), "started");
                until_stopped(&args.config, fixed, &mut app, &health).await;
                if app.stop().await {
                    tracing::info!("stopped; everything that was taken in is on the disk");
                    ExitCode::SUCCESS
                } else {
                    tracing::error!("stopped; what was taken in last is not on the disk, and was not acknowledged");
                    ExitCode::from(INTERNAL)
                }
            }
            Err(error) => fail(status_of(&error), error),
        }
    })
}

/// Threads of the runtime: acquisition waits for sockets and the recorder for the disk; more threads are more memory.
const WORKERS: usize = 2;

/// Whether the user can mend it.
pub(super) fn status_of(error: &AppError) -> u8 {
    match error {
        AppError::Store(_) | AppError::Web(_) => INPUT,
        AppError::Restore(_) => INTERNAL,
    }
}

/// Says "ready" to systemd, then "alive" as long as the recorder goes round, and takes up what is written into the
/// configuration, until SIGINT or SIGTERM.
async fn until_stopped(path: &Path, mut fixed: Fixed, app: &mut App, health: &Health) {
    let mut watch = Watch::of(path);
    let hangup = signal(SignalKind::hangup());
    let mut hangup = hangup
        .inspect_err(|error| tracing::warn!(%error, "SIGHUP cannot be caught"))
        .ok();
    notify(sd_notify::NotifyState::Ready);
    let stop = stop_signal();
    tokio::pin!(stop);
    let beats = health.counter("recorder_rounds_total", &[]);
    let mut last_beat = beats.get();
    let pause = watchdog_pause();
    let mut next_beat = clock::monotonic() + pause.unwrap_or_default();
    loop {
        tokio::select! {
            () = &mut stop => break,
            () = tokio::time::sleep_until(next_beat), if pause.is_some() => {
                let beat = beats.get();
                if beat == last_beat {
                    tracing::error!("the recorder does not go round; the watchdog is not told that all is well");
                } else {
                    notify(sd_notify::NotifyState::Watchdog);
                }
                last_beat = beat;
                next_beat += pause.unwrap_or_default();
            }
            () = watch.changed() => renew(path, &mut fixed, app, health),
            Some(()) = hung_up(&mut hangup) => {
                watch = Watch::of(path); // what is read now is not told again
                renew(path, &mut fixed, app, health);
            }
        }
    }
    notify(sd_notify::NotifyState::Stopping);
}

/// The next SIGHUP; without a way to hear it, none.
async fn hung_up(hangup: &mut Option<Signal>) -> Option<()> {
    match hangup {
        Some(hangup) => hangup.recv().await,
        None => std::future::pending().await,
    }
}

/// Takes up the configuration as it is written now; while it has errors all goes on as it was.
fn renew(path: &Path, running: &mut Fixed, app: &mut App, health: &Health) {
    let result = |result| health.counter("reloads_total", &[("result", result)]).one();
    match crate::config::load_with(path, Secrets::Read) {
        Err(found) => {
            let paint = Paint::of(&io::stderr());
            for diagnostic in &found {
                eprintln!("{}", diagnostic.render(paint));
            }
            result("refused");
            let n_errors = found.iter().filter(|found| found.severity() == Severity::Error).count();
            tracing::error!(
                n_errors,
                "the configuration has errors; the agent goes on by the former one"
            );
        }
        Ok(loaded) => {
            let fixed = Fixed::of(&loaded.config);
            for part in running.differences(&fixed) {
                tracing::warn!(
                    part,
                    "this part of the configuration is taken up at the next start only"
                );
            }
            app.renew(loaded.config);
            *running = fixed;
            result("ok");
            tracing::info!("the configuration was taken up");
        }
    }
}

/// A third of what systemd waits for, so that one late beat is no restart; `None` without a watchdog.
fn watchdog_pause() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|timeout| timeout / 3)
}

fn notify(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd could not be told of our state");
    }
}

/// Ends at SIGINT or SIGTERM.
pub(super) async fn stop_signal() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                terminate.recv().await;
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be caught; use SIGINT");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => {
            if let Err(error) = interrupted {
                tracing::warn!(%error, "SIGINT cannot be caught");
                std::future::pending::<()>().await;
            }
        }
        () = terminated => {}
    }
}
