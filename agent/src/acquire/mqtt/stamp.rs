//! Which instant a message's values are of, and whether that can be believed. Pure.
//!
//! Invariant: an old value never passes for a new one: what has no time that can be believed is marked.

use energy::{Name, Quality, Sample};
use jiff::{SignedDuration, Timestamp};

use super::payload;

/// How far ahead of ours a payload's clock may be: more than a gateway's drift between two synchronisations, less than
/// a demand interval.
const MAX_AHEAD: SignedDuration = SignedDuration::from_secs(60);

/// Instants before this, 1 January 2000, come from clocks that were never set.
const FIRST_SENSIBLE_S: i64 = 946_684_800;

/// The sample of one message: under the payload's own time where that can be believed, else under its arrival.
pub(super) fn stamped(meter: &Name, content: payload::Content, arrival: Timestamp, is_retained: bool) -> Sample {
    let (at, at_best) = match content.at {
        Some(at) if at.as_second() >= FIRST_SENSIBLE_S && at.duration_since(arrival) <= MAX_AHEAD => (at, Quality::Ok),
        Some(_) => (arrival, Quality::ClockSuspect),
        None if is_retained => (arrival, Quality::Stale),
        None if content.unread_time.is_some() => (arrival, Quality::ClockSuspect),
        None => (arrival, Quality::Ok),
    };
    let mut readings = content.readings;
    for reading in &mut readings {
        reading.quality = reading.quality.max(at_best);
    }
    Sample {
        meter: Name::clone(meter),
        at,
        readings,
    }
}

#[cfg(test)]
mod tests {
    use energy::{Quantity, Reading};

    use super::*;

    #[test]
    fn a_sample_never_passes_off_an_old_value_as_new() {
        let arrival: Timestamp = "2026-08-28T08:10:00Z".parse().unwrap();
        let meter: Name = "dryer".into();
        for (time, is_retained, expected_at, expected_quality) in [
            (None, false, "2026-08-28T08:10:00Z", Quality::Ok),
            (None, true, "2026-08-28T08:10:00Z", Quality::Stale),
            (Some("2026-08-28T08:09:00Z"), true, "2026-08-28T08:09:00Z", Quality::Ok),
            (Some("2026-08-28T08:11:00Z"), false, "2026-08-28T08:11:00Z", Quality::Ok),
            (
                Some("2026-08-28T08:11:01Z"),
                false,
                "2026-08-28T08:10:00Z",
                Quality::ClockSuspect,
            ),
            (
                Some("1970-01-01T00:10:00Z"),
                false,
                "2026-08-28T08:10:00Z",
                Quality::ClockSuspect,
            ),
        ] {
            let content = payload::Content {
                at: time.map(|time| time.parse().unwrap()),
                unread_time: None,
                unread_values: None,
                readings: vec![
                    Reading::new(Quantity::ActivePower, 1.0),
                    Reading::new(Quantity::PowerFactor, 9.0),
                ],
            };
            let sample = stamped(&meter, content, arrival, is_retained);
            assert_eq!(sample.at.to_string(), expected_at, "{time:?}");
            assert_eq!(sample.readings[0].quality, expected_quality, "{time:?}");
            assert_eq!(sample.readings[1].quality, Quality::Bad, "{time:?}");
        }
    }

    #[test]
    fn a_time_that_cannot_be_read_is_a_doubtful_one() {
        let content = payload::Content {
            at: None,
            unread_time: Some("\"yesterday\"".to_owned()),
            unread_values: None,
            readings: vec![Reading::new(Quantity::ActivePower, 1.0)],
        };
        let sample = stamped(&"dryer".into(), content, Timestamp::UNIX_EPOCH, false);
        assert_eq!(sample.readings[0].quality, Quality::ClockSuspect);
    }
}
