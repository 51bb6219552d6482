//! Tasks by name, each with the settings it runs by: what a new configuration changes is told to the task it concerns.
//!
//! It knows no task. Invariants: a task whose settings stay as they are hears nothing; one that is not wanted any more is
//! stopped.

use std::{collections::BTreeMap, future::Future};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Running tasks of one kind.
#[derive(Debug)]
pub(super) struct Running<C>(BTreeMap<String, (watch::Sender<C>, CancellationToken)>);

impl<C> Default for Running<C> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<C: PartialEq> Running<C> {
    /// Makes the running tasks those that are wanted: `start` begins one, which ends with `stop`.
    pub(super) fn arrange(
        &mut self,
        wanted: impl Iterator<Item = (String, C)>,
        stop: &CancellationToken,
        start: impl Fn(watch::Receiver<C>, CancellationToken),
    ) {
        let mut former = std::mem::take(&mut self.0);
        for (name, config) in wanted {
            let task = if let Some((settings, stop)) = former.remove(&name) {
                settings.send_if_modified(|old| {
                    let is_new = *old != config;
                    if is_new {
                        *old = config;
                    }
                    is_new
                });
                (settings, stop)
            } else {
                let ((settings, taken), stop) = (watch::channel(config), stop.child_token());
                start(taken, stop.clone());
                (settings, stop)
            };
            self.0.insert(name, task);
        }
        for (_, stop) in former.into_values() {
            stop.cancel();
        }
    }
}

/// Runs `run` by the settings, and again from the start by each new value of them, until `stop` is cancelled.
pub(super) async fn each<C, P, F>(
    mut settings: watch::Receiver<C>,
    stop: CancellationToken,
    parts: P,
    run: impl Fn(C, P, CancellationToken) -> F,
) where
    C: Clone,
    P: Clone,
    F: Future<Output = ()>,
{
    while !stop.is_cancelled() {
        let config = settings.borrow_and_update().clone();
        let ended = stop.child_token();
        let one = run(config, parts.clone(), ended.clone());
        tokio::pin!(one);
        tokio::select! {
            // It gave up: only other settings can help.
            () = &mut one => match stop.run_until_cancelled(settings.changed()).await {
                Some(Ok(())) => {}
                _ => break,
            },
            Ok(()) = settings.changed() => {
                ended.cancel();
                one.await;
            }
        }
    }
}
