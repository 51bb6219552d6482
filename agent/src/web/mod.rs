//! The page.

use std::net::SocketAddr;

/// Settings of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
}
