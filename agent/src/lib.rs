//! Wattwarden: how what we know about energy meets the world. `main.rs` starts it; `app.rs` is the table of contents.

pub mod acquire;
pub mod clock;
pub mod health;
pub mod secret;
