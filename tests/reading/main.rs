//! The reader of plain-language answers, by a corpus of what people write and by what must hold for every message.

// The helpers of a test fail as the test does: they say what they expect by panicking.
#![allow(clippy::unwrap_used, reason = "clippy lets only the test functions themselves unwrap")]

mod corpus;
mod properties;
