//! Time that goes on from one sleeper's moment to the next, and wakes them in the order of their moments.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    task::{Poll, Waker},
    time::Duration,
};

use async_trait::async_trait;
use hearback_core::{Clock, Timestamp};
use tokio_util::sync::CancellationToken;

/// The time of a whole simulation. Unlike `ManualClock` it wakes sleepers in a fixed order, and nobody before their time.
#[derive(Debug)]
pub struct SimClock {
    now: AtomicI64,
    number: AtomicU64,
    sleepers: Mutex<BTreeMap<(Timestamp, u64), Waker>>,
}

impl SimClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { now: AtomicI64::new(now.micros()), number: AtomicU64::new(0), sleepers: Mutex::default() }
    }

    /// The moment of the first sleeper.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.sleepers.lock().unwrap().keys().next().map(|(moment, _)| *moment)
    }

    /// Goes on to `moment`, if that is ahead, and wakes everybody whose moment has come.
    pub fn go_to(&self, moment: Timestamp) {
        self.now.fetch_max(moment.micros(), Ordering::AcqRel);
        let now = self.now();
        let woken = {
            let mut sleepers = self.sleepers.lock().unwrap();
            if sleepers.keys().next().is_none_or(|(first, _)| *first > now) {
                return;
            }
            let later = sleepers.split_off(&(now.after(Duration::from_micros(1)), 0));
            std::mem::replace(&mut *sleepers, later)
        };
        woken.into_values().for_each(Waker::wake);
    }

    /// Goes on a little: whatever is done takes time.
    pub fn tick(&self, span: Duration) {
        self.go_to(self.now().after(span));
    }
}

/// A sleeper's place; dropping it leaves.
struct Place<'a> {
    clock: &'a SimClock,
    key: (Timestamp, u64),
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.clock.sleepers.lock().unwrap().remove(&self.key);
    }
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.load(Ordering::Acquire))
    }

    async fn sleep_until(&self, moment: Timestamp) {
        let place = Place { clock: self, key: (moment, self.number.fetch_add(1, Ordering::Relaxed)) };
        poll_fn(|context| {
            if self.now() >= moment {
                return Poll::Ready(());
            }
            self.sleepers.lock().unwrap().insert(place.key, context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// The clock as one server sees it: for a dead one it stands still for ever.
#[derive(Debug)]
pub struct ServerClock {
    clock: Arc<SimClock>,
    died: CancellationToken,
}

impl ServerClock {
    /// The clock of the server whose death `died` tells.
    #[must_use]
    pub fn new(clock: Arc<SimClock>, died: CancellationToken) -> Self {
        Self { clock, died }
    }
}

#[async_trait]
impl Clock for ServerClock {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn sleep_until(&self, moment: Timestamp) {
        self.clock.sleep_until(moment).await;
        if self.died.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }
}
