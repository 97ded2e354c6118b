//! Carrying routes on: to the next channel, to the next round, to the word that nobody could be reached.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    BATCH, Hub, OnDrop, STORE_PAUSE, backoff,
    route::{self, Next, Situation, Stop},
};
use crate::{
    clock::Timestamp,
    error::Retry,
    feedback::{Delivery, DeliveryState},
    id::{RequestId, UserId},
    store::{RouteAdvance, RouteClaim},
};

/// A lease on a route covers no call but those of the store.
const LEASE: Duration = Duration::from_secs(30);

impl Hub {
    pub(super) async fn advance_routes(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let now = self.clock.now();
            let next_due = match self.store.claim_routes(now, now.after(LEASE), BATCH).await {
                Ok(claims) => {
                    let full = claims.claimed.len() == BATCH;
                    // Together, so that they share commits.
                    join_all(claims.claimed.into_iter().map(|claim| self.advance(claim))).await;
                    if full && !stop.is_cancelled() {
                        continue;
                    }
                    claims.next_due
                }
                Err(error) => {
                    error!(%error, "due routes could not be claimed");
                    Some(now.after(STORE_PAUSE))
                }
            };
            if self.rest(&self.routes_due, next_due, &stop).await {
                return;
            }
        }
    }

    async fn advance(&self, claim: RouteClaim) {
        let presence = self.whereabouts(&claim).await;
        let now = self.clock.now();
        let plan = route::plan(&claim.request.terms, &claim.person, &self.channels);
        let situation = Situation {
            strategy: claim.request.terms.strategy,
            patience: Duration::from_secs(claim.request.terms.fallback_after.into()),
            plan: &plan,
            deliveries: &claim.deliveries,
            unseen: &presence.unseen,
            back: &presence.back,
            rounds: claim.rounds,
            now,
        };
        let step = self.step(&claim, situation.next(), presence.next, now);
        let (sends, later) = (!step.begin.is_empty() || !step.again.is_empty(), step.due.is_some());
        let tells = step.exhausted && claim.request.terms.callback_url.is_some();
        if step.exhausted {
            info!(request = %step.request, person = %step.user, "nobody was reached on the whole route");
        }
        if let Err(error) = self.store.finish_route(step).await {
            // The lease runs out, and the route is looked at again.
            warn!(%error, request = %claim.request.id, "a route could not be carried on");
        }
        if sends {
            self.sends_due.notify_one();
        }
        if later {
            self.routes_due.notify_one();
        }
        if tells {
            self.callbacks_due.notify_one();
        }
    }

    fn step(&self, claim: &RouteClaim, next: Next, watch: Option<Timestamp>, now: Timestamp) -> RouteAdvance {
        let (request, user) = (claim.request.id, claim.person.user.id);
        let mut step = RouteAdvance {
            request,
            user,
            lease: claim.lease,
            begin: Vec::new(),
            again: Vec::new(),
            rounds: claim.rounds,
            exhausted: false,
            due: None,
            now,
        };
        match next {
            Next::Begin(stops) => {
                let due = claim.person.preferences.due(&claim.request, now);
                step.begin = stops.into_iter().map(|stop| self.delivery(claim.request.id, user, stop, due)).collect();
            }
            Next::Again(back) => step.again = back.into_iter().map(|id| (id, now)).collect(),
            Next::Wait(until) => step.due = Some(watch.map_or(until, |watch| watch.min(until))),
            Next::Round { not_before, exhausted } => {
                let wait = backoff::wait(claim.rounds + 1, Retry::Backoff, &self.ids);
                let due = claim.person.preferences.due(&claim.request, now.after(wait).max(not_before));
                let held_until = |delivery: &Delivery| match delivery.state {
                    DeliveryState::Held { until, .. } if until <= due => Some((delivery.id, due)),
                    _ => None,
                };
                step.again = claim.deliveries.iter().filter_map(held_until).collect();
                step.rounds = claim.rounds.saturating_add(1);
                step.exhausted = exhausted;
            }
            Next::Rest { exhausted } => step.exhausted = exhausted,
        }
        step
    }

    /// A delivery that begins.
    pub(super) fn delivery(
        &self,
        request_id: RequestId,
        user_id: UserId,
        (channel, address): Stop,
        due: Timestamp,
    ) -> Delivery {
        let state = DeliveryState::Queued { due, reason: None };
        let attempts = Vec::new();
        Delivery { id: self.ids.next(), request_id, user_id, channel, address, state, in_doubt: false, attempts }
    }

    /// Held by others than the hub while they make routes due, as when a person gets an address: these are looked at once it
    /// is dropped, also when the caller hangs up half-way.
    #[must_use]
    pub fn routes_change(&self) -> impl Drop + '_ {
        OnDrop(|| self.routes_due.notify_one())
    }

    /// Held by others than the hub while they change when deliveries are due, as when a person gets other quiet hours.
    #[must_use]
    pub fn sends_change(&self) -> impl Drop + '_ {
        OnDrop(|| self.sends_due.notify_one())
    }
}
