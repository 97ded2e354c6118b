//! What the tests of several crates share: the suites that every implementation of a port passes.

// A suite fails as a test does: it says what it expects by panicking.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "this crate is linked into tests alone")]

pub mod channel;
pub mod simulation;
pub mod store;
pub mod telegram;
