//! The `hearback` program: the hub's HTTP server, its storage, and its commands.

pub mod account;
pub mod api;
pub mod app;
pub mod ask;
pub mod auth;
pub mod callbacks;
pub mod commands;
pub mod config;
pub mod digest;
pub mod limits;
pub mod logging;
pub mod storage;
pub mod wiring;
