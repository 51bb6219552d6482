//! Where demand intervals begin and end: on the clock of the site's zone, whatever its offset, across changes of it.
//!
//! Invariants: intervals adjoin; none is longer than its length; one is shorter only where the zone's offset changes by
//! a part of that length (Lord Howe's half hour against intervals of an hour).

use jiff::tz::TimeZone;

use super::point::timestamp;

/// Offsets are whole quarter hours, in all zones since 1972.
const QUARTER_MS: i64 = 900_000;

/// Start of the interval of `interval_ms` that holds `at_ms`.
pub(crate) fn start_of(at_ms: i64, interval_ms: i64, zone: &TimeZone) -> i64 {
    if QUARTER_MS % interval_ms == 0 {
        return floor(at_ms, interval_ms);
    }
    let offset_ms = offset_ms(at_ms, zone);
    let start_ms = floor(at_ms + offset_ms, interval_ms) - offset_ms;
    if self::offset_ms(start_ms, zone) == offset_ms {
        return start_ms;
    }
    // The offset changed in between: the clock's block begins where the clock was set.
    let changes = zone.preceding(timestamp(at_ms + 1));
    let changed_ms = changes.map(|change| change.timestamp().as_millisecond()).next();
    changed_ms.map_or(start_ms, |changed_ms| changed_ms.max(start_ms))
}

/// End of the interval that begins at `start_ms`.
pub(crate) fn end_of(start_ms: i64, interval_ms: i64, zone: &TimeZone) -> i64 {
    start_of(start_ms + interval_ms, interval_ms, zone)
}

fn offset_ms(at_ms: i64, zone: &TimeZone) -> i64 {
    i64::from(zone.to_offset(timestamp(at_ms)).seconds()) * 1000
}

/// The whole multiple of `step_ms` at or before `at_ms`.
pub(crate) fn floor(at_ms: i64, step_ms: i64) -> i64 {
    at_ms.div_euclid(step_ms) * step_ms
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn check(zone: &str, minutes: i64, at: &str, expected: &str) {
        let zone = TimeZone::get(zone).expect("in the database");
        let at: Timestamp = at.parse().expect("valid");
        let start = timestamp(start_of(at.as_millisecond(), minutes * 60_000, &zone));
        assert_eq!(
            start.to_zoned_datetime(zone).strftime("%m-%d %H:%M%:z").to_string(),
            expected,
            "{at} {minutes}"
        );
    }

    #[test]
    fn intervals_begin_on_the_zones_clock() {
        check("Asia/Seoul", 15, "2026-03-02T10:29:59Z", "03-02 19:15+09:00");
        check("Asia/Kolkata", 60, "2026-03-02T10:29:59Z", "03-02 15:00+05:30");
        check("Asia/Kolkata", 30, "2026-03-02T10:29:59Z", "03-02 15:30+05:30");
        check("Asia/Kathmandu", 60, "2026-03-02T10:14:00Z", "03-02 15:00+05:45");
        check("Asia/Kathmandu", 30, "2026-03-02T10:14:00Z", "03-02 15:30+05:45");
        check("Asia/Kathmandu", 10, "2026-03-02T10:14:00Z", "03-02 15:50+05:45");
        check("America/St_Johns", 60, "2026-03-08T05:29:00Z", "03-08 01:00-03:30");
        // Clocks go from 02:00 to 03:00, and back from 03:00 to 02:00.
        check("Europe/Berlin", 60, "2026-03-29T01:30:00Z", "03-29 03:00+02:00");
        check("Europe/Berlin", 60, "2026-10-25T01:30:00Z", "10-25 02:00+01:00");
        // Lord Howe: from 02:00 to 02:30 on 4 October, and back from 02:00 to 01:30 on 5 April.
        check("Australia/Lord_Howe", 60, "2026-10-03T15:45:00Z", "10-04 02:30+11:00");
        check("Australia/Lord_Howe", 60, "2026-10-03T16:05:00Z", "10-04 03:00+11:00");
        check("Australia/Lord_Howe", 60, "2026-04-04T15:10:00Z", "04-05 01:30+10:30");
    }

    proptest! {
        /// From any instant on, intervals adjoin and begin where the clock's minutes are whole multiples, or where the
        /// clock was set.
        #[test]
        fn intervals_adjoin(
            zone in prop::sample::select(vec!["Asia/Seoul", "Asia/Kathmandu", "Australia/Lord_Howe", "Europe/Berlin", "America/St_Johns"]),
            minutes in prop::sample::select(vec![1i64, 5, 10, 15, 30, 60]),
            hour in 0i64..10_000,
            ms in 0i64..3_600_000,
        ) {
            let zone = TimeZone::get(zone).expect("in the database");
            let interval_ms = minutes * 60_000;
            let at_ms = 1_767_193_200_000 + hour * 3_600_000 + ms;
            let start_ms = start_of(at_ms, interval_ms, &zone);
            let end_ms = end_of(start_ms, interval_ms, &zone);
            prop_assert!(start_ms <= at_ms && at_ms < end_ms && end_ms - start_ms <= interval_ms);
            prop_assert_eq!(start_of(start_ms, interval_ms, &zone), start_ms);
            prop_assert_eq!(start_of(end_ms - 1, interval_ms, &zone), start_ms);
            prop_assert_eq!(start_of(end_ms, interval_ms, &zone), end_ms);
        }
    }
}
