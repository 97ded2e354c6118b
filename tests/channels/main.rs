//! The suite of channels on every registered kind, each before a fake of its provider.

// A fake that cannot do what it is for fails the test, by panicking.
#![allow(clippy::unwrap_used, reason = "this crate is tests alone")]

mod memory;
mod telegram;
mod webhook;
mod websocket;

use std::path::Path;

use hearback_adapters::websocket::Websocket;
use hearback_tests::channel::completeness;

/// Every kind that is put through the suite. A kind that is registered and not here fails below.
const HARNESSES: [&str; 4] = [memory::SUITE, telegram::SUITE, webhook::SUITE, websocket::SUITE];

#[test]
fn every_kind_has_a_harness_and_a_readme() {
    let configurable = hearback_adapters::configurable();
    let kinds: Vec<&str> = configurable.kinds().chain([Websocket::KIND]).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let missing = completeness::missing(&kinds, &HARNESSES, &root);
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
