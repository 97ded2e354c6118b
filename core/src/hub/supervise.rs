//! Keeping every channel's `run` alive.

use std::{sync::Arc, time::Duration};

use tokio::select;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Hub, Running, backoff};
use crate::error::Retry;

/// After a run of this long a fault counts as the first one.
const HEALTHY: Duration = Duration::from_mins(10);
/// A channel that does not heed `stop` for this long is dropped.
const STOP_GRACE: Duration = Duration::from_secs(5);

impl Hub {
    /// Probes a channel at the start and then on a schedule, so that its state is known before a question meets it, and
    /// so that one that was ill or disconnected is taken up again.
    pub(super) async fn watch(self: Arc<Self>, running: Arc<Running>, stop: CancellationToken) {
        loop {
            let probed = select! {
                probed = running.channel().probe() => probed,
                () = stop.cancelled() => return,
            };
            running.note_probe(probed.as_ref().copied());
            let probed_at = self.clock.now();
            loop {
                select! {
                    () = self.clock.sleep_until(probed_at.after(running.probe_every())) => break,
                    () = running.troubled.notified() => {}
                    () = stop.cancelled() => return,
                }
            }
        }
    }

    /// Runs a channel until it is stopped or has nothing more to receive; after a fault it runs again, by and by.
    pub(super) async fn supervise(self: Arc<Self>, running: Arc<Running>, stop: CancellationToken) {
        let mut faults: u32 = 0;
        loop {
            let begun = self.clock.now();
            let run = running.channel().run(self.clone(), stop.clone());
            let overdue = async {
                stop.cancelled().await;
                self.clock.sleep_until(self.clock.now().after(STOP_GRACE)).await;
            };
            let ended = select! {
                ended = run => ended,
                () = overdue => return,
            };
            running.note(ended.as_ref().copied());
            let Err(error) = ended else { return };
            if stop.is_cancelled() {
                return;
            }
            if self.clock.now().since(begun) >= HEALTHY {
                faults = 0;
            }
            faults = faults.saturating_add(1);
            let retry = if error.retry() == Retry::Never { Retry::Backoff } else { error.retry() };
            let wait = backoff::wait(faults, retry, &self.ids);
            warn!(channel = %running.channel().name(), %error, ?wait, "a channel stopped receiving; it runs again");
            select! {
                () = self.clock.sleep_until(self.clock.now().after(wait)) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}
