//! Wattwarden: how what we know about energy meets the world. `main.rs` starts it; `app.rs` is the table of contents.

pub mod clock;
pub mod health;
pub mod report;
pub mod secret;
pub mod store;
pub mod web;
