//! The page and its API: `/api/v1`, the live stream, `/metrics`, the embedded dashboard.
//!
//! It has its own thread and its own runtime, so that no page can slow a meter, and reads through its own read-only
//! connections; it never sees the engine. It changes one thing only, an acknowledgement, through the store's writer.
//! Invariants: it listens on loopback until sign-in exists; every route stands in `openapi.json`.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread,
    time::Duration,
};

use energy::Site;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    health::Health,
    report::{Language, Origin},
    store::Store,
};

mod api;
mod data;
mod downsample;
mod error;
mod guard;
mod page;
mod routes;
mod stream;

pub use routes::paths;

/// Where the page is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// A loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// What the page shows and how it reaches it.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The plant, as the configuration says at the time.
    pub site: watch::Receiver<Arc<Site>>,
    /// Language the page opens in.
    pub language: Language,
    /// Whether the plant is simulated.
    pub origin: Origin,
    /// The store; read through connections of our own.
    pub store: Store,
    /// Data time.
    pub clock: Clock,
    /// Counters of all parts.
    pub health: Health,
}

/// Why the page could not be served.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Anybody in the network could acknowledge findings.
    #[error(
        "the page cannot listen on {0}: until sign-in exists it listens on loopback only; \
         set `listen` in [web] to 127.0.0.1 and reach it through a tunnel (ssh -L)"
    )]
    NotLoopback(SocketAddr),
    /// The port is taken or forbidden.
    #[error("the page cannot listen on {0}: {1}; set another port with `listen` in [web]")]
    Listen(SocketAddr, #[source] io::Error),
    /// The system has no thread left.
    #[error("the page's thread could not be started: {0}")]
    Thread(#[source] io::Error),
}

/// The running page.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    stop: CancellationToken,
    thread: thread::JoinHandle<()>,
}

/// How long open connections may take to end when the page stops: longer than any answer, shorter than systemd waits.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Serves the page until it is stopped.
pub fn start(config: Config, parts: Parts) -> Result<Server, StartError> {
    if !config.listen.ip().is_loopback() {
        return Err(StartError::NotLoopback(config.listen));
    }
    let refused = |error| StartError::Listen(config.listen, error);
    let listener = TcpListener::bind(config.listen).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    let addr = listener.local_addr().map_err(refused)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(data::READERS)
        .build()
        .map_err(StartError::Thread)?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let thread = thread::Builder::new()
        .name("web".into())
        .spawn(move || {
            if let Err(error) = runtime.block_on(serve(listener, parts, stopped)) {
                tracing::error!(%error, "the page has stopped");
            }
            runtime.shutdown_background();
        })
        .map_err(StartError::Thread)?;
    Ok(Server { addr, stop, thread })
}

async fn serve(listener: TcpListener, parts: Parts, stop: CancellationToken) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let web = data::Web::new(parts, stop.clone());
    tokio::spawn(stream::publish(web.clone()));
    let ended = stop.clone();
    let serving =
        axum::serve(listener, routes::router(web)).with_graceful_shutdown(async move { ended.cancelled().await });
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(STOP_WITHIN).await;
    };
    tokio::select! {
        served = serving.into_future() => served,
        () = late => Ok(()),
    }
}

impl Server {
    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends all connections and waits for the thread, at most a few seconds.
    pub fn stop(self) {
        self.stop.cancel();
        if self.thread.join().is_err() {
            tracing::error!("the page's thread has panicked");
        }
    }
}
