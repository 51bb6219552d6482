//! What every sender to the outside shares: the HTTP client with TLS, back-off, and how an answer is read.
//!
//! It knows no receiver. Invariants: no redirect is followed (a login page is not a delivery), no answer is read beyond
//! a bound, and every wait has a longest.

use std::{
    hash::{BuildHasher, Hasher},
    sync::Once,
    time::Duration,
};

use reqwest::{
    Client, Response,
    header::{DATE, HeaderMap, RETRY_AFTER},
};

/// Connecting takes longer than this only when nobody is there; slow TLS on a loaded gateway takes two seconds.
const CONNECT: Duration = Duration::from_secs(10);

/// A receiver may ask for patience, but not for more than this: after a mistaken header data would wait for days.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(5);

/// Bytes read of an answer: enough for an error that repeats a few lines, too few to fill the memory.
const ANSWER_LIMIT: usize = 64 * 1024;

/// An HTTP client over TLS by ring and the system's certificates; every request ends after `timeout`.
pub fn tls_client(timeout: Duration) -> Result<Client, reqwest::Error> {
    static PROVIDER: Once = Once::new();
    // An earlier installer is as good: all parts of the agent bring ring.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    Client::builder()
        .user_agent(concat!("wattwarden/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT.min(timeout))
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .build()
}

/// Waits between attempts: doubling from `first` to `longest`, each between its half and its whole at random, so that
/// many agents do not come back at once.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// No failure yet.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }

    /// The wait after one more failure; at least what the receiver asked for.
    pub fn after_failure(&mut self, asked: Option<Duration>) -> Duration {
        let whole = self.first.saturating_mul(1 << self.failures.min(20)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        let own = whole.mul_f64(0.5 + 0.5 * random_share());
        asked.map_or(own, |asked| asked.max(own))
    }

    /// It works again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A share 0..1 from the seed that the standard library draws for each of its hash maps.
fn random_share() -> f64 {
    let bits = std::hash::RandomState::new().build_hasher().finish();
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// What a `Retry-After` asks for: seconds, or a date, which counts from the answer's own `Date`. Capped.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let asked = text(RETRY_AFTER)?;
    let wait = if let Ok(seconds) = asked.parse() {
        Duration::from_secs(seconds)
    } else {
        let date = |text| Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp());
        let left = date(asked)?.duration_since(date(text(DATE)?)?);
        left.try_into().unwrap_or(Duration::ZERO)
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

/// The start of an answer's body as text; an answer that breaks off is an error.
pub async fn body_start(mut response: Response) -> Result<String, reqwest::Error> {
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_LIMIT {
        let Some(chunk) = response.chunk().await? else { break };
        bytes.extend_from_slice(&chunk);
    }
    bytes.truncate(ANSWER_LIMIT);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What went wrong with a request, without the address: it may hold a secret.
pub fn transport_error(error: reqwest::Error) -> String {
    use std::error::Error;
    let error = error.without_url();
    let mut text = if error.is_timeout() {
        "timed out".to_owned()
    } else {
        error.to_string()
    };
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date_and_capped() {
        fn check(asked: &'static str, date: Option<&'static str>, expected: Option<u64>) {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(asked));
            if let Some(date) = date {
                headers.insert(DATE, HeaderValue::from_static(date));
            }
            assert_eq!(retry_after(&headers), expected.map(Duration::from_secs), "{asked}");
        }
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        check("17", None, Some(17));
        check("999999999", None, Some(300));
        check("Sun, 06 Nov 1994 08:50:07 GMT", date, Some(30));
        check("Sun, 06 Nov 1994 07:50:07 GMT", date, Some(0));
        check("Sun, 06 Nov 1994 08:50:07 GMT", None, None);
        check("soon", date, None);
        check("-3", date, None);
    }

    #[test]
    fn waits_double_up_to_the_longest_and_obey_the_receiver() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        for whole in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            let wait = backoff.after_failure(None).as_secs_f64();
            assert!((whole / 2.0..=whole).contains(&wait), "{wait} of {whole}");
        }
        assert_eq!(backoff.after_failure(Some(Duration::from_secs(100))).as_secs(), 100);
        backoff.reset();
        assert!(backoff.after_failure(None) <= Duration::from_secs(1));
        backoff.failures = u32::MAX;
        assert!(backoff.after_failure(None) <= Duration::from_secs(30));
    }
}
