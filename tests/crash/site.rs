//! Where the hubs are at present, for those who call them.

use std::{sync::Mutex, time::Duration};

use hearback_core::{Clock, Timestamp, clock::SystemClock};
use hearback_tests::simulation::random::Chance;
use tokio::sync::{Notify, watch};

/// Between a death and its being noted.
const A_LITTLE: Duration = Duration::from_millis(500);

/// The hubs, up or down, and when they died.
#[derive(Debug)]
pub struct Site {
    urls: Vec<watch::Sender<Option<String>>>,
    /// A client begins a call that changes something.
    calls: Notify,
    killed: Mutex<Vec<Timestamp>>,
    chance: Chance,
}

impl Site {
    pub fn new(hubs: usize, seed: u64) -> Self {
        let urls = (0..hubs).map(|_| watch::Sender::new(None)).collect();
        Self { urls, calls: Notify::new(), killed: Mutex::default(), chance: Chance::new(seed) }
    }

    pub fn hubs(&self) -> usize {
        self.urls.len()
    }

    pub fn is_up(&self, hub: usize, url: String) {
        self.urls[hub].send_replace(Some(url));
    }

    pub fn is_down(&self, hub: usize) {
        self.urls[hub].send_replace(None);
        self.killed.lock().unwrap().push(SystemClock.now());
    }

    /// The URL of one hub, or of any that is up, once there is one.
    pub async fn up(&self, hub: Option<usize>) -> String {
        let hub = hub.unwrap_or_else(|| {
            let up: Vec<_> = (0..self.urls.len()).filter(|hub| self.urls[*hub].borrow().is_some()).collect();
            if up.is_empty() { self.chance.below(self.urls.len()) } else { *self.chance.of(&up) }
        });
        let mut url = self.urls[hub].subscribe();
        let url = url.wait_for(Option::is_some).await.unwrap();
        url.clone().unwrap()
    }

    /// A client begins such a call.
    pub fn called(&self) {
        self.calls.notify_waiters();
    }

    /// Returns when a client begins a call that changes something.
    pub async fn next_call(&self) {
        self.calls.notified().await;
    }

    /// Whether a hub died from a little before a moment until `within` after it.
    pub fn died_after(&self, moment: Timestamp, within: Duration) -> bool {
        let latest = moment.after(within);
        self.killed.lock().unwrap().iter().any(|at| at.after(A_LITTLE) >= moment && *at <= latest)
    }
}
