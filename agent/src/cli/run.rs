//! `wattwarden run`: the agent in the foreground, until a signal. Under systemd it says when it is ready and alive.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use tokio::signal::unix::{SignalKind, signal};

use super::{INPUT, INTERNAL, Secrets, fail, load};
use crate::{
    app::{self, AppError},
    clock::Clock,
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
        let health = Health::default();
        match app::start(config, &Clock::system(), &health, Origin::Plant) {
            Ok(app) => {
                tracing::info!(page = %format!("http://{}", app.page()), "started");
                until_signal(&health).await;
                app.stop().await;
                tracing::info!("stopped; everything that was taken in is on the disk");
                ExitCode::SUCCESS
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

/// Says "ready" to systemd, then "alive" as long as the recorder goes round, until SIGINT or SIGTERM.
async fn until_signal(health: &Health) {
    notify(sd_notify::NotifyState::Ready);
    let stop = stop_signal();
    tokio::pin!(stop);
    let beats = health.counter("recorder_rounds_total", &[]);
    let mut last_beat = beats.get();
    let pause = watchdog_pause();
    loop {
        tokio::select! {
            () = &mut stop => break,
            () = tokio::time::sleep(pause.unwrap_or(Duration::MAX)) => {
                let beat = beats.get();
                if beat == last_beat {
                    tracing::error!("the recorder does not go round; the watchdog is not told that all is well");
                } else {
                    notify(sd_notify::NotifyState::Watchdog);
                }
                last_beat = beat;
            }
        }
    }
    notify(sd_notify::NotifyState::Stopping);
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
