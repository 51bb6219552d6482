//! Readers of the log that carry it elsewhere, each at its own pace, with its place kept in the store.
//!
//! Nothing here changes what is recorded. Invariant: a reader's place moves only when the receiver has the data or has
//! refused it for good, and what was refused lies in the dead letters.

pub mod influx;
