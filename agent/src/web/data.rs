//! What every route shares: the parts, a few read-only connections, the channel of the live stream.
//!
//! The only place that opens a reader. Invariant: a slow question holds one connection and one blocking thread, never
//! the runtime; the questions beyond [`READERS`] wait in line.

use std::sync::{Arc, Mutex, PoisonError};

use energy::Site;
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use super::{Parts, error::ApiError, stream::Event};
use crate::{
    report::Month,
    store::{Reader, StoreError},
};

/// Questions answered at a time: a page asks three at once, and two cores serve no more.
pub(crate) const READERS: usize = 4;

/// Events that a slow listener may lie behind: a minute at one a second, findings between; then it is told to reload.
const STREAM_EVENTS: usize = 128;

/// The state of every route; cheap to clone.
#[derive(Clone)]
pub(crate) struct Web(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) parts: Parts,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) stop: CancellationToken,
    readers: Mutex<Vec<Reader>>,
    turns: Arc<Semaphore>,
}

impl std::ops::Deref for Web {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Web {
    pub(crate) fn new(parts: Parts, stop: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            parts,
            events: broadcast::Sender::new(STREAM_EVENTS),
            stop,
            readers: Mutex::default(),
            turns: Arc::new(Semaphore::new(READERS)),
        }))
    }

    /// Asks the store, off the runtime's thread.
    pub(crate) async fn read<T, F>(&self, question: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&Web, &Reader) -> Result<T, StoreError> + Send + 'static,
    {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let web = self.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let reader = web.reader()?;
            let answer = question(&web, &reader)?;
            // A connection whose question failed is not kept: the next one opens its own.
            web.readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
            Ok(answer)
        });
        answer
            .await
            .unwrap_or_else(|_| Err(ApiError::unavailable("reading the store has panicked")))
    }

    fn reader(&self) -> Result<Reader, ApiError> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(match kept {
            Some(reader) => reader,
            None => self.parts.store.reader()?,
        })
    }

    /// The plant, as the configuration says now.
    pub(crate) fn site(&self) -> Arc<Site> {
        Arc::clone(&self.parts.site.borrow())
    }

    /// The month in which data time stands.
    pub(crate) fn this_month(&self) -> Month {
        Month::of(self.parts.clock.now(), &self.site().zone)
    }
}
