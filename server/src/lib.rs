//! The `hearback` program: the hub's HTTP server, its storage, and its commands.

pub mod account;
pub mod ask;
pub mod commands;
pub mod config;
pub mod logging;
pub mod storage;
pub mod wiring;
