//! The live stream: `now` when something was committed, at most once a second, and `finding` at each transition.
//!
//! One task reads the store for all listeners. Invariants: the stream says what the other routes would say; who falls
//! behind is told to load everything again and counted.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use futures_util::stream::unfold;
use serde::Serialize;
use tokio::sync::broadcast::{self, error::RecvError};

use super::{
    api::{
        findings::FindingView,
        now::{NowView, now_view},
    },
    data::Web,
    error::ApiError,
};
use crate::store::{Entry, LogError, Reader, StoreError};

/// A page needs no more than one picture of the moment a second.
const EVERY: Duration = Duration::from_secs(1);

/// Log rows looked through at a time for transitions: one a second is usual; after a larger burst pages load everything.
const ROWS: usize = 256;

/// Pages that may watch: a wall and a dozen phones twice over. Each costs a connection and a queue.
const MAX_LISTENERS: usize = 32;

/// What is sent to every listener.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// The moment, as `GET now` says it.
    Now(Box<NowView>),
    /// Too much has changed at once to be told one by one.
    Reload,
    /// A finding has opened, changed or closed, or somebody has acknowledged it.
    Finding(Box<FindingView>),
}

impl Event {
    fn to_sse(&self) -> sse::Event {
        match self {
            Self::Now(now) => sse_event("now", now),
            Self::Reload => sse_event("reload", &()),
            Self::Finding(finding) => sse_event("finding", finding),
        }
    }
}

fn sse_event(name: &str, data: &impl Serialize) -> sse::Event {
    let event = sse::Event::default().event(name);
    match serde_json::to_string(data) {
        Ok(text) => event.data(text),
        Err(error) => event.comment(error.to_string()),
    }
}

/// `GET /api/v1/stream`.
pub(crate) async fn stream(State(web): State<Web>) -> Result<Response, ApiError> {
    let listeners = web.events.receiver_count();
    web.parts.health.gauge("web_listeners", &[]).set(listeners as f64 + 1.0);
    if listeners >= MAX_LISTENERS {
        web.parts.health.dropped("web", "too_many_listeners").one();
        return Err(ApiError::unavailable(format!(
            "{listeners} pages are watching, no more are served"
        )));
    }
    let first = web.read(now_view).await?;
    let events = web.events.subscribe();
    let state = (Some(Event::Now(Box::new(first))), events, web);
    let events = unfold(state, |(first, mut events, web)| async move {
        let event = match first {
            Some(first) => first.to_sse(),
            None => next_event(&mut events, &web).await?,
        };
        Some((Ok::<_, Infallible>(event), (None, events, web)))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

/// The next event; `None` ends the connection.
async fn next_event(events: &mut broadcast::Receiver<Event>, web: &Web) -> Option<sse::Event> {
    tokio::select! {
        () = web.stop.cancelled() => None,
        event = events.recv() => match event {
            Ok(event) => Some(event.to_sse()),
            Err(RecvError::Lagged(missed)) => {
                web.parts.health.dropped("web", "listener_too_slow").add(missed);
                Some(Event::Reload.to_sse())
            }
            Err(RecvError::Closed) => None,
        },
    }
}

/// Tells all listeners what was committed, until the page stops.
pub(crate) async fn publish(web: Web) {
    let mut committed = web.parts.store.committed();
    let mut seen = *committed.borrow_and_update();
    loop {
        tokio::select! {
            () = web.stop.cancelled() => return,
            changed = committed.changed() => if changed.is_err() { return },
        }
        let highest = *committed.borrow_and_update();
        if highest - seen > ROWS as u64 {
            drop(web.events.send(Event::Reload));
        } else if web.events.receiver_count() > 0 {
            publish_since(&web, seen).await;
        }
        seen = highest;
        tokio::select! {
            () = web.stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn publish_since(web: &Web, seen: u64) {
    let told = web.read(move |web, reader| Ok((transitions(reader, seen)?, now_view(web, reader)?)));
    match told.await {
        Ok((findings, now)) => {
            let findings = findings.into_iter().map(|finding| Event::Finding(Box::new(finding)));
            for event in findings.chain([Event::Now(Box::new(now))]) {
                // Nobody listening any more is no loss.
                drop(web.events.send(event));
            }
        }
        Err(error) => {
            tracing::warn!(error = error.message, "the live stream cannot read the store");
            web.parts.health.counter("web_stream_errors_total", &[]).one();
        }
    }
}

/// Findings that changed after row `seen`, each in its last state.
fn transitions(reader: &Reader, seen: u64) -> Result<Vec<FindingView>, StoreError> {
    let rows = match reader.entries(seen + 1, ROWS) {
        Ok(rows) => rows,
        // A damaged row is the store's matter; pages see the findings of the rows after it.
        Err(LogError::Damaged { .. }) => vec![],
        Err(LogError::Store(error)) => return Err(error),
    };
    let mut ids: Vec<String> = rows
        .iter()
        .flat_map(|Entry { findings, .. }| findings)
        .map(|f| f.id.clone())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let stored = ids.iter().map(|id| reader.finding(id));
    stored
        .filter_map(|found| found.transpose().map(|found| found.map(FindingView::from)))
        .collect()
}
