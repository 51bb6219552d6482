//! One InfluxDB.

use std::time::Duration;

use crate::secret::Secret;

/// Settings of one InfluxDB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Its name.
    pub name: String,
    /// Base address.
    pub url: String,
    /// Version with what belongs to it.
    pub version: Version,
    /// Lines of one write.
    pub batch_lines: usize,
    /// How long a write may take.
    pub timeout: Duration,
}

/// Version of an InfluxDB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// 1.x.
    V1 {
        /// Database.
        database: String,
        /// User.
        username: Option<String>,
        /// Password.
        password: Option<Secret>,
    },
    /// 2.x.
    V2 {
        /// Organisation.
        org: String,
        /// Bucket.
        bucket: String,
        /// Token.
        token: Secret,
    },
}
