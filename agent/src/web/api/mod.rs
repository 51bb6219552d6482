//! The routes of `/api/v1`, one file a subject.

pub(crate) mod evidence;
pub(crate) mod findings;
pub(crate) mod health;
pub(crate) mod intervals;
pub(crate) mod now;
pub(crate) mod report;
pub(crate) mod series;
pub(crate) mod site;

use energy::{Site, site::Meter};
use jiff::{SignedDuration, Timestamp};

use super::{data::Web, error::ApiError};

/// A path below `/api` that nothing answers to.
pub(crate) async fn unknown() -> ApiError {
    ApiError::missing("the API has no such path")
}

/// The meter of a name.
fn meter<'a>(site: &'a Site, name: &str) -> Result<&'a Meter, ApiError> {
    let found = site.meters.iter().find(|meter| &*meter.name == name);
    found.ok_or_else(|| ApiError::missing(format!("no meter is called {name:?}")))
}

/// A stretch that a question asks for: until now and 24 hours long where nothing is said, at most `longest`.
fn stretch(
    web: &Web,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    longest: SignedDuration,
) -> Result<(Timestamp, Timestamp), ApiError> {
    let until = until.unwrap_or_else(|| web.parts.clock.now() + SignedDuration::from_millis(1));
    let day_before = until.saturating_sub(SignedDuration::from_hours(24));
    let from = match from {
        Some(from) => from,
        None => day_before.map_err(|error| ApiError::bad(error.to_string()))?,
    };
    let length = until.duration_since(from);
    if length <= SignedDuration::ZERO {
        return Err(ApiError::bad(format!(
            "`from` {from} does not lie before `until` {until}"
        )));
    }
    if length > longest {
        let days = longest.as_hours() / 24;
        return Err(ApiError::bad(format!(
            "{from} to {until} is longer than {days} days: ask in parts"
        )));
    }
    Ok((from, until))
}
