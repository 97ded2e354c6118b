//! What providers have to tell the hub: told again until the hub has taken it, and sometimes after that.

use std::sync::Mutex;

use hearback_core::{Timestamp, channel::Inbound};

use super::ledger::Expected;

/// Something to tell.
#[derive(Clone, Debug)]
pub struct Letter {
    /// What.
    pub what: Inbound,
    /// For a response: what its verdict may be.
    pub expected: Expected,
    /// The server that is told; `None` for any one.
    pub server: Option<String>,
}

/// What is still to be told, by when.
#[derive(Debug, Default)]
pub struct Outbox(Mutex<Vec<(Timestamp, Letter)>>);

impl Outbox {
    /// Puts something that is no response.
    pub fn put(&self, at: Timestamp, what: Inbound) {
        self.put_letter(at, Letter { what, expected: Expected::Valid, server: None });
    }

    /// Puts something that one server is told, as it comes by a connection to it.
    pub fn put_at(&self, at: Timestamp, server: &str, what: Inbound) {
        self.put_letter(at, Letter { what, expected: Expected::Valid, server: Some(server.into()) });
    }

    /// Puts something.
    pub fn put_letter(&self, at: Timestamp, letter: Letter) {
        self.0.lock().unwrap().push((at, letter));
    }

    /// Takes what is due.
    pub fn take_due(&self, now: Timestamp) -> Vec<Letter> {
        let mut letters = self.0.lock().unwrap();
        let (due, later) = std::mem::take(&mut *letters).into_iter().partition(|(at, _)| *at <= now);
        *letters = later;
        Vec::into_iter(due).map(|(_, letter)| letter).collect()
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}
