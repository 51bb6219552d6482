//! The store on disk: where it is and how large it may grow.

use std::path::PathBuf;

/// Settings of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Folder.
    pub path: PathBuf,
    /// Bytes it may take.
    pub max_size: u64,
}
