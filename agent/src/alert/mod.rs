//! Messages about findings.

use energy::finding::Severity;

/// One receiver of alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Its name.
    pub name: String,
    /// Where the message is posted.
    pub webhook: reqwest::Url,
    /// This severity and above.
    pub severity: Severity,
}
