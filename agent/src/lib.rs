//! Wattwarden: how what we know about energy meets the world. `main.rs` starts it; `app.rs` is the table of contents.

pub mod acquire;
pub mod alert;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod forward;
pub mod health;
pub mod language;
pub mod outbound;
pub mod plant;
pub mod record;
pub mod replay;
pub mod report;
pub mod secret;
pub mod store;
pub mod web;
