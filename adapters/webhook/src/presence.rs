//! Who cannot be reached, as far as the plug-in has said so.

use std::collections::{HashSet, VecDeque};

use hearback_core::channel::{Address, Reach};
use parking_lot::Mutex;

/// So many addresses are remembered; of more, each one is taken for connected, and the plug-in answers for itself.
const REMEMBERED_MAX: usize = 65_536;

/// So many events are remembered, by which a repetition is known.
const EVENTS_MAX: usize = 1024;

/// The addresses that are disconnected. Kept in memory: after a start everybody counts as connected.
#[derive(Debug, Default)]
pub(crate) struct Presence(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    away: HashSet<Address>,
    events: VecDeque<String>,
}

impl Presence {
    /// Notes what an event says. One that is repeated says nothing new, and may have been overtaken by another.
    pub(crate) fn note(&self, event: &str, address: &Address, connected: bool) {
        let State { away, events } = &mut *self.0.lock();
        if events.iter().any(|earlier| earlier == event) {
            return;
        }
        if events.len() == EVENTS_MAX {
            events.pop_front();
        }
        events.push_back(event.into());
        if connected {
            away.remove(address);
        } else if away.len() < REMEMBERED_MAX {
            away.insert(address.clone());
        }
    }

    /// Asking the plug-in would cost as much as sending, so what it has said counts.
    pub(crate) fn reach(&self, address: &Address) -> Reach {
        if self.0.lock().away.contains(address) { Reach::Later } else { Reach::Now }
    }
}
