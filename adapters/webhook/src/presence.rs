//! Who cannot be reached, as far as the plug-in has said so.

use std::collections::HashSet;

use hearback_core::channel::{Address, Reach};
use parking_lot::Mutex;

/// So many addresses are remembered; of more, each one is taken for connected, and the plug-in answers for itself.
const REMEMBERED_MAX: usize = 65_536;

/// The addresses that are disconnected. Kept in memory: after a start everybody counts as connected.
#[derive(Debug, Default)]
pub(crate) struct Presence(Mutex<HashSet<Address>>);

impl Presence {
    pub(crate) fn connected(&self, address: &Address) {
        self.0.lock().remove(address);
    }

    pub(crate) fn disconnected(&self, address: &Address) {
        let mut away = self.0.lock();
        if away.len() < REMEMBERED_MAX {
            away.insert(address.clone());
        }
    }

    /// Asking the plug-in would cost as much as sending, so what it has said counts.
    pub(crate) fn reach(&self, address: &Address) -> Reach {
        if self.0.lock().contains(address) { Reach::Later } else { Reach::Now }
    }
}
