//! Wattwarden: how what we know about energy meets the world. `main.rs` starts it; `app.rs` is the table of contents.

pub mod acquire;
pub mod alert;
<<<<<<< HEAD
pub mod clock;
pub mod forward;
pub mod health;
<<<<<<< HEAD
pub mod outbound;
pub mod record;
pub mod replay;
=======
pub mod plant;
>>>>>>> plant
pub mod secret;
pub mod store;
=======
pub mod cli;
pub mod clock;
pub mod config;
pub mod forward;
pub mod health;
pub mod language;
pub mod record;
pub mod secret;
pub mod store;
pub mod web;
>>>>>>> config
