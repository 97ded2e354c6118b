//! Ending what nobody answered in time.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{BATCH, Hub, STORE_PAUSE};
use crate::clock::Timestamp;

/// How long an idempotency key is kept.
const IDEMPOTENCY_KEPT: Duration = Duration::from_hours(24);
/// How often old idempotency keys are forgotten.
const PRUNE_EVERY: Duration = Duration::from_hours(1);

impl Hub {
    pub(super) async fn expire_overdue(self: Arc<Self>, stop: CancellationToken) {
        let mut pruned_at = Timestamp::from_micros(0);
        loop {
            let now = self.clock.now();
            if now.since(pruned_at) >= PRUNE_EVERY {
                pruned_at = now;
                let before =
                    Timestamp::from_micros(now.micros() - i64::try_from(IDEMPOTENCY_KEPT.as_micros()).unwrap_or(0));
                if let Err(error) = self.store.prune(before).await {
                    error!(%error, "old idempotency keys could not be forgotten");
                }
            }
            // While looking, every new deadline may be missed by the look: each one calls for another.
            self.next_deadline.store(i64::MAX, Ordering::Release);
            let next_deadline = match self.store.expire(now, BATCH).await {
                Ok((0, next)) => next,
                Ok(_) => {
                    self.settlements_due.notify_one();
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
}
