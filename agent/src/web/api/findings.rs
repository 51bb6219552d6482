//! Findings and what people do with them: lists, one, acknowledgement.

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{JsonRejection, QueryRejection},
    },
    http::HeaderMap,
};
use energy::{
    Finding,
    finding::{Condition, Kind},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    store::{self, FindingFilter, StoredFinding},
    web::{data::Web, error::ApiError, guard, stream::Event},
};

/// A finding with its life among people.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FindingView {
    #[serde(flatten)]
    finding: Finding,
    incident: Incident,
    acknowledged: Option<AcknowledgedView>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Incident {
    Open,
    Acknowledged,
    Closed,
}

#[derive(Debug, Clone, Serialize)]
struct AcknowledgedView {
    at: Timestamp,
    by: String,
    comment: Option<String>,
}

impl From<StoredFinding> for FindingView {
    fn from(stored: StoredFinding) -> Self {
        let StoredFinding { finding, acknowledged } = stored;
        let incident = match (finding.state, &acknowledged) {
            (Condition::Closed, _) => Incident::Closed,
            (Condition::Open, Some(_)) => Incident::Acknowledged,
            (Condition::Open, None) => Incident::Open,
        };
        Self {
            finding,
            incident,
            acknowledged: acknowledged.map(|seen| AcknowledgedView {
                at: seen.at,
                by: seen.by,
                comment: Some(seen.comment).filter(|comment| !comment.is_empty()),
            }),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    state: Option<Condition>,
    kind: Option<Kind>,
    machine: Option<String>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(crate) struct ListView {
    /// How many there are, the ones beyond the limit included.
    total: usize,
    findings: Vec<FindingView>,
}

/// Findings in one answer when nothing is said: more than a page shows.
const LIMIT: usize = 100;
/// Findings in one answer at most: about a megabyte.
const MAX_LIMIT: usize = 1000;

/// `GET /api/v1/findings`: open ones first, newest first.
pub(crate) async fn list(
    State(web): State<Web>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<ListView>, ApiError> {
    let Query(query) = query?;
    let limit = query.limit.unwrap_or(LIMIT).min(MAX_LIMIT);
    let filter = FindingFilter {
        state: query.state,
        kind: query.kind,
        machine: query.machine,
        from: query.from,
        until: query.until,
        limit: None,
    };
    let mut found = web.read(move |_, reader| reader.findings(&filter)).await?;
    found.retain(|stored| query.from.is_none_or(|from| stored.finding.since >= from));
    found.sort_by_key(|stored| {
        let finding = &stored.finding;
        (
            finding.state == Condition::Closed,
            std::cmp::Reverse(finding.since),
            finding.id.clone(),
        )
    });
    Ok(Json(ListView {
        total: found.len(),
        findings: found.into_iter().take(limit).map(FindingView::from).collect(),
    }))
}

/// `GET /api/v1/findings/{id}`.
pub(crate) async fn one(State(web): State<Web>, Path(id): Path<String>) -> Result<Json<FindingView>, ApiError> {
    stored(&web, id).await.map(|found| Json(found.into()))
}

/// The finding of an id.
pub(crate) async fn stored(web: &Web, id: String) -> Result<StoredFinding, ApiError> {
    let missing = ApiError::missing(format!("there is no finding {id:?}"));
    web.read(move |_, reader| reader.finding(&id)).await?.ok_or(missing)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acknowledgement {
    by: String,
    comment: Option<String>,
}

/// Longest name of a person, in characters.
const MAX_BY: usize = 80;
/// Longest comment, in characters: a shift's note, not a report.
const MAX_COMMENT: usize = 1000;

/// `POST /api/v1/findings/{id}/acknowledge`.
pub(crate) async fn acknowledge(
    State(web): State<Web>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Json<Acknowledgement>, JsonRejection>,
) -> Result<Json<FindingView>, ApiError> {
    guard::own_page(&headers)?;
    let Json(said) = body?;
    let by = said.by.trim();
    let comment = said.comment.as_deref().map(str::trim).filter(|text| !text.is_empty());
    if by.is_empty() || by.chars().count() > MAX_BY {
        return Err(ApiError::bad(format!(
            "`by` must hold 1 to {MAX_BY} characters: who has seen it"
        )));
    }
    if comment.is_some_and(|text| text.chars().count() > MAX_COMMENT) {
        return Err(ApiError::bad(format!(
            "`comment` must not be longer than {MAX_COMMENT} characters"
        )));
    }
    stored(&web, id.clone()).await?;
    web.parts
        .store
        .acknowledge(store::Acknowledgement {
            id: id.clone(),
            by: by.to_owned(),
            comment: comment.unwrap_or_default().to_owned(),
            at: web.parts.clock.now(),
        })
        .await?;
    web.parts.health.counter("web_acknowledgements_total", &[]).one();
    let seen = FindingView::from(stored(&web, id).await?);
    // Nobody watching is no loss.
    drop(web.events.send(Event::Finding(Box::new(seen.clone()))));
    Ok(Json(seen))
}
