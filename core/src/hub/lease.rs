//! Which server runs a channel: of those that share the store one at a time, by a lease.

use std::time::Duration;

use tokio::{pin, select};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Hub, STORE_PAUSE};
use crate::{channel::ChannelName, clock::Timestamp, store::Hold};

/// How long a channel may be run after the store was asked.
const LEASE: Duration = Duration::from_secs(45);
/// How often a lease is renewed.
const RENEW_AFTER: Duration = Duration::from_secs(15);
/// One that could not be renewed for this long is given up: the run is told to stop.
const GIVE_UP_AFTER: Duration = Duration::from_secs(35);
/// And after this long it has ended, whatever it does, well before another server may begin.
const CUT_AFTER: Duration = Duration::from_secs(40);
/// How long the store may take to hear that a lease is let go. After that it runs out.
const RELEASE_MAX: Duration = Duration::from_secs(2);

impl Hub {
    /// Waits until this server may run a channel; says from when its lease counts. `None` when it is stopped before.
    pub(super) async fn take_run(&self, channel: &ChannelName, stop: &CancellationToken) -> Option<Timestamp> {
        loop {
            let free = self.servers.runs_free.notified();
            pin!(free);
            // From now on no word is missed, while the store is asked.
            free.as_mut().enable();
            let now = self.clock.now();
            let asked = select! {
                biased;
                () = stop.cancelled() => return None,
                asked = self.store.hold_run(channel, self.server, now, now.after(LEASE)) => asked,
                // An answer that takes longer is worth nothing.
                () = self.clock.sleep_until(now.after(RENEW_AFTER)) => continue,
            };
            let next = match asked {
                Ok(Hold::Held) => return Some(now),
                Ok(Hold::HeldUntil(until)) => until,
                Err(error) => {
                    warn!(%error, %channel, "it is not known who runs a channel");
                    self.clock.now().after(STORE_PAUSE)
                }
            };
            select! {
                biased;
                () = stop.cancelled() => return None,
                () = free => {}
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    /// Renews the lease that counts from `held` on. Returns when it is lost: by when the run has to have ended.
    pub(super) async fn keep_run(&self, channel: &ChannelName, mut held: Timestamp) -> Timestamp {
        let mut next = held.after(RENEW_AFTER);
        loop {
            let give_up = held.after(GIVE_UP_AFTER);
            self.clock.sleep_until(next.min(give_up)).await;
            let now = self.clock.now();
            if now >= give_up {
                return held.after(CUT_AFTER);
            }
            let asked = select! {
                biased;
                // One that hangs is let go, and tried again.
                () = self.clock.sleep_until(now.after(RENEW_AFTER).min(give_up)) => continue,
                asked = self.store.hold_run(channel, self.server, now, now.after(LEASE)) => asked,
            };
            match asked {
                Ok(Hold::Held) => {
                    held = now;
                    next = held.after(RENEW_AFTER);
                }
                Ok(Hold::HeldUntil(_)) => return now,
                Err(error) => {
                    warn!(%error, %channel, "the lease to run a channel could not be renewed");
                    next = self.clock.now().after(STORE_PAUSE);
                }
            }
        }
    }

    /// Lets other servers run a channel.
    pub(super) async fn release_run(&self, channel: &ChannelName) {
        let released = select! {
            biased;
            released = self.store.release_run(channel, self.server) => released,
            () = self.clock.sleep_until(self.clock.now().after(RELEASE_MAX)) => return,
        };
        if let Err(error) = released {
            warn!(%error, %channel, "the lease to run a channel could not be let go");
        }
    }
}
