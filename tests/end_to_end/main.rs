//! The program and its parts together, as their users meet them.

// The helpers of a test fail as the test does: they say what they expect by panicking.
#![allow(clippy::unwrap_used, reason = "clippy lets only the test functions themselves unwrap")]

mod access;
mod accounts;
mod addresses;
mod answer_page;
mod ask;
mod auth;
mod backups;
mod callbacks;
mod called_back;
mod config;
mod contract;
mod credentials;
mod docs;
mod feedback;
mod forged;
mod hardened;
mod idle;
mod keys;
mod limits;
mod log_in;
mod my_addresses;
mod page;
mod plug_ins;
mod preferences;
mod problems;
mod program;
mod secrets;
mod server;
mod several;
mod socket;
mod storage;
mod streams;
mod telegram;
mod tokens;
