//! Ending what nobody answered in time, and forgetting what is old.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{BATCH, Hub, STORE_PAUSE};
use crate::{clock::Timestamp, error::Result, store::Prune};

/// How long an idempotency key is kept.
const IDEMPOTENCY_KEPT: Duration = Duration::from_hours(24);
/// How many events are removed at once: writers wait meanwhile.
const PRUNE_BATCH: usize = 250;
/// How often old idempotency keys are forgotten, and old events removed.
const PRUNE_EVERY: Duration = Duration::from_hours(1);

impl Hub {
    pub(super) async fn expire_overdue(self: Arc<Self>, stop: CancellationToken) {
        let mut pruned_at = Timestamp::from_micros(0);
        loop {
            let now = self.clock.now();
            if now.since(pruned_at) >= PRUNE_EVERY {
                // What one step leaves is removed by the next, so that deadlines do not wait for a long log.
                match self.prune(now).await {
                    Ok(true) => self.deadline_moved.notify_one(),
                    Ok(false) => pruned_at = now,
                    Err(error) => {
                        pruned_at = now;
                        error!(%error, "old events and idempotency keys could not be removed");
                    }
                }
            }
            // While looking, every new deadline may be missed by the look: each one calls for another.
            self.next_deadline.store(i64::MAX, Ordering::Release);
            let next_deadline = match self.store.expire(now, BATCH).await {
                Ok((0, next)) => next,
                Ok(_) => {
                    self.note_ending(true);
                    if stop.is_cancelled() {
                        return;
                    }
                    continue;
                }
                Err(error) => {
                    error!(%error, "overdue requests could not be ended");
                    Some(now.after(STORE_PAUSE))
                }
            };
            self.next_deadline.store(next_deadline.map_or(i64::MAX, Timestamp::micros), Ordering::Release);
            if self.rest(&self.deadline_moved, next_deadline, &stop).await {
                return;
            }
        }
    }

    /// Removes some of what is old; says whether there may be more.
    async fn prune(&self, now: Timestamp) -> Result<bool> {
        let (keys_before, events_before) = (now.before(IDEMPOTENCY_KEPT), now.before(self.event_retention));
        self.store.prune(Prune { keys_before, events_before, limit: PRUNE_BATCH }).await
    }
}
