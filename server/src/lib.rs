//! The `hearback` program: the hub's HTTP server, its storage, and its commands.

pub mod account;
pub mod storage;
