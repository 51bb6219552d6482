//! A message → one HTTP POST → what its answer means.
//!
//! It does not try again: the reader of the log does. Invariant: neither an error nor a log line shows the address.

use std::time::Duration;

use reqwest::{Client, Url, header::CONTENT_TYPE};

use super::{Config, Message};
use crate::outbound;

/// Posts to one address.
pub(super) struct Webhook {
    client: Client,
    url: Url,
    timeout: Duration,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The receiver has it.
    Delivered,
    /// Not now.
    Later { asked: Option<Duration>, why: String },
    /// Never.
    Refused { why: String },
}

impl Webhook {
    pub(super) fn new(config: &Config) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: outbound::tls_client(config.timeout)?,
            url: config.webhook.clone(),
            timeout: config.timeout,
        })
    }

    pub(super) async fn post(&self, message: &Message) -> Answer {
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("Idempotency-Key", &message.id)
            .body(body(message));
        match request.send().await {
            Ok(response) => judge(response.status().as_u16(), outbound::retry_after(response.headers())),
            Err(error) if error.is_timeout() => Answer::Later {
                asked: None,
                why: format!("no answer within {} s", self.timeout.as_secs_f64()),
            },
            Err(error) => Answer::Later {
                asked: None,
                why: outbound::transport_error(error),
            },
        }
    }
}

/// The JSON of a message.
pub(super) fn body(message: &Message) -> String {
    serde_json::to_string(message).expect("a message has text keys only")
}

/// What a status means. A redirect is no delivery, but may be a portal that goes away.
fn judge(status: u16, asked: Option<Duration>) -> Answer {
    let why = format!("the receiver answered {status}");
    match status {
        200..=299 => Answer::Delivered,
        // An address or a right that a person can mend is no reason to lose the message.
        401 | 403 | 404 | 408 | 429 => Answer::Later { asked, why },
        400..=499 => Answer::Refused { why },
        _ => Answer::Later { asked, why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_the_message_goes_again() {
        fn check(statuses: &[u16], expected: &str) {
            for &status in statuses {
                let answer = match judge(status, None) {
                    Answer::Delivered => "delivered",
                    Answer::Later { .. } => "later",
                    Answer::Refused { .. } => "refused",
                };
                assert_eq!(answer, expected, "{status}");
            }
        }
        check(&[200, 201, 202, 204], "delivered");
        check(&[301, 302, 401, 403, 404, 408, 429, 500, 502, 503, 504], "later");
        check(&[400, 405, 410, 413, 422], "refused");
    }
}
