//! Keeping every channel's `run` alive.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::{pin, select};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Hub, Running, backoff};
use crate::{
    clock::Timestamp,
    error::{Result, Retry},
};

/// After a run of this long a fault counts as the first one: a poll that was cut had been held open.
const HEALTHY: Duration = Duration::from_secs(20);
/// A channel does not stay deaf for longer than this because of its own faults; a provider may ask for longer.
const DEAF_MAX: Duration = Duration::from_mins(1);
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

    /// Runs a channel until it is stopped or has nothing more to receive; after a fault it runs again, by and by. Where
    /// other servers share the store, one of them runs it at a time.
    pub(super) async fn supervise(self: Arc<Self>, running: Arc<Running>, stop: CancellationToken) {
        let Some(shared) = self.has_company(&stop).await else { return };
        let name = running.channel().name();
        let mut faults: u32 = 0;
        loop {
            let held = if shared {
                let Some(held) = self.take_run(name, &stop).await else { return };
                Some(held)
            } else {
                None
            };
            let begun = self.clock.now();
            let ended = self.run_channel(&running, held, &stop).await;
            if shared {
                self.release_run(name).await;
            }
            let result = match ended {
                Ended::ByItself(result) => result,
                Ended::Overdue => return,
                Ended::LeaseLost => continue,
            };
            running.note(result.as_ref().copied());
            let Err(error) = result else { return };
            if stop.is_cancelled() {
                return;
            }
            if self.clock.now().since(begun) >= HEALTHY {
                faults = 0;
            }
            faults = faults.saturating_add(1);
            let retry = if error.retry() == Retry::Never { Retry::Backoff } else { error.retry() };
            let wait = match retry {
                Retry::After(_) => backoff::wait(faults, retry, &self.ids),
                _ => backoff::wait(faults, retry, &self.ids).min(DEAF_MAX),
            };
            warn!(channel = %name, %error, ?wait, "a channel stopped receiving; it runs again");
            select! {
                () = self.clock.sleep_until(self.clock.now().after(wait)) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Runs a channel once, for as long as the lease lasts that counts from `held` on.
    async fn run_channel(
        self: &Arc<Self>,
        running: &Running,
        held: Option<Timestamp>,
        stop: &CancellationToken,
    ) -> Ended {
        let channel = running.channel();
        let told = stop.child_token();
        let run = channel.run(self.clone(), told.clone());
        pin!(run);
        let lost = async {
            match held {
                Some(held) => self.keep_run(channel.name(), held).await,
                None => pending().await,
            }
        };
        let overdue = async {
            stop.cancelled().await;
            self.clock.sleep_until(self.clock.now().after(STOP_GRACE)).await;
        };
        let end = select! {
            biased;
            end = lost => end,
            ended = &mut run => return Ended::ByItself(ended),
            () = overdue => return Ended::Overdue,
        };
        warn!(channel = %channel.name(), "the lease to run a channel is lost");
        told.cancel();
        select! {
            biased;
            () = self.clock.sleep_until(end) => {}
            _ = &mut run => {}
        }
        Ended::LeaseLost
    }
}

/// How a run came to its end.
enum Ended {
    /// By itself: because it was told to, because nothing is left to receive, or by a fault.
    ByItself(Result<()>),
    /// It did not heed that it was told to stop.
    Overdue,
    /// Another server may run the channel.
    LeaseLost,
}
