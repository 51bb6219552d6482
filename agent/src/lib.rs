//! Wattwarden: how what we know about energy meets the world. `main.rs` starts it; `app.rs` is the table of contents.

pub mod clock;
pub mod health;
pub mod plant;
pub mod secret;
