//! One file a command: each takes its arguments and gives the exit status.

pub mod check;
