//! This server among those that share the store: it says that it lives, and hears of the work that others make due.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{select, sync::Notify};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Hub, STORE_PAUSE, presence::AWAY_AFTER};
use crate::{event::Work, store::Company};

/// How long a server counts as alive after it has said so.
const LIFE: Duration = Duration::from_secs(90);
/// How often it says so.
const SAY_EVERY: Duration = Duration::from_secs(30);
/// How long the store may take to hear that it has stopped. After that its life runs out.
const LEAVE_MAX: Duration = Duration::from_secs(2);

/// What is known of the others.
#[derive(Debug)]
pub(super) struct Servers {
    /// Whether there may be any; not known until this one has said that it lives.
    shared: OnceLock<bool>,
    /// Cancelled once that is known.
    known: CancellationToken,
    /// Told, all who wait, when nobody runs some channel any more.
    pub(super) runs_free: Notify,
}

impl Default for Servers {
    fn default() -> Self {
        Self { shared: OnceLock::new(), known: CancellationToken::new(), runs_free: Notify::new() }
    }
}

impl Hub {
    /// Says that this server lives: once where no other can share the store, else again and again.
    pub(super) async fn stay(self: Arc<Self>, stop: CancellationToken) {
        // Whether the store has to be told who is connected here.
        let mut untold = false;
        loop {
            let now = self.clock.now();
            let due = now.after(AWAY_AFTER);
            let said = select! {
                biased;
                () = stop.cancelled() => return,
                said = self.store.stay(self.server, now, now.after(LIFE), due) => Some(said),
                // A call that hangs must not cost the life of a server that could say so by the next one.
                () = self.clock.sleep_until(now.after(SAY_EVERY)) => None,
            };
            let next = match said {
                Some(Ok(company)) => {
                    self.servers.shared.get_or_init(|| company != Company::Alone);
                    self.servers.known.cancel();
                    self.is_in(company);
                    if company == Company::Alone {
                        return;
                    }
                    untold |= matches!(company, Company::Shared { anew: true, .. });
                    let soon = now.after(SAY_EVERY);
                    untold = untold
                        && select! {
                            biased;
                            () = stop.cancelled() => return,
                            told = self.say_who_is_here() => !told,
                            () = self.clock.sleep_until(soon) => true,
                        };
                    if untold { self.clock.now().after(STORE_PAUSE).min(soon) } else { soon }
                }
                // The store may have heard it all the same, and its answer, that all was forgotten, is lost.
                Some(Err(error)) => {
                    error!(%error, "that this server lives could not be said");
                    untold = true;
                    self.clock.now().after(STORE_PAUSE)
                }
                None => {
                    untold = true;
                    now
                }
            };
            select! {
                biased;
                () = stop.cancelled() => return,
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    fn is_in(&self, company: Company) {
        if let Company::Shared { bereft: true, .. } = company {
            info!("the life of another server has run out: its work goes on here");
        }
        if company != (Company::Shared { anew: false, bereft: false }) {
            self.routes_due.notify_one();
            self.sends_due.notify_one();
        }
    }

    /// Whether other servers may share the store; `None` when it is not known before `stop`.
    pub(super) async fn has_company(&self, stop: &CancellationToken) -> Option<bool> {
        stop.run_until_cancelled(self.servers.known.cancelled()).await?;
        self.servers.shared.get().copied()
    }

    /// What others have made due is looked for at once.
    pub(super) async fn hear_of_work(self: Arc<Self>, stop: CancellationToken) {
        while let Some(works) = stop.run_until_cancelled(self.bus.woken()).await {
            for work in works {
                match work {
                    Work::Sends => self.sends_due.notify_one(),
                    Work::Routes => self.routes_due.notify_one(),
                    Work::Settlements => self.settlements_due.notify_one(),
                    Work::Deadlines => self.deadline_moved.notify_one(),
                    Work::Runs => self.servers.runs_free.notify_waiters(),
                    Work::Callbacks => self.callbacks_due.notify_one(),
                }
            }
        }
    }

    /// This server's life ends in good order: what is left for it alone goes to others at once.
    pub(super) async fn leave(&self) {
        if self.servers.shared.get() != Some(&true) {
            return;
        }
        let now = self.clock.now();
        let left = select! {
            biased;
            left = self.store.leave(self.server, now) => left,
            () = self.clock.sleep_until(now.after(LEAVE_MAX)) => return,
        };
        if let Err(error) = left {
            // Its life runs out.
            warn!(%error, "that this server has stopped could not be said");
        }
    }
}
