//! Labels of time as recordings write them, which no parser of clock times takes.
//!
//! It knows no zone. Invariant: only an hour is taken for one.

/// Where the hour of "24:00", or of KEPCO's "2400", stands: no clock time to the parser, but the end of the day it is of. The
/// minute of 10:24:00 is none.
pub(super) fn midnight_24(text: &str, format: &str) -> Option<usize> {
    let is_hour = |at: &usize| !text[..*at].ends_with(|c: char| c.is_ascii_digit() || c == ':');
    let mut colons = text.match_indices("24:00").map(|(at, _)| at);
    let is_compact = format.ends_with("%H%M") && text.ends_with("2400");
    colons.find(is_hour).or(is_compact.then(|| text.len() - 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, format: &str, expected: Option<usize>) {
        assert_eq!(midnight_24(text, format), expected, "{text} {format}");
    }

    #[test]
    fn only_an_hour_is_the_end_of_a_day() {
        check("01-01-2018 24:00", "%d-%m-%Y %H:%M", Some(11));
        check("01-01-2018 24:00:00", "%d-%m-%Y %H:%M:%S", Some(11));
        check("01-01-2018 10:24:00", "%d-%m-%Y %H:%M:%S", None);
        check("01-01-2018 00:00", "%d-%m-%Y %H:%M", None);
        check("20180101 2400", "%Y%m%d %H%M", Some(9));
        check("20240101 0015", "%Y%m%d %H%M", None);
        check("2018-01-01 2400", "%Y-%m-%d %H:%M", None);
    }
}
