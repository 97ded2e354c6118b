//! Carrying routes on: to the next channel, to the next round, to the word that nobody could be reached.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    BATCH, Hub, OnDrop, STORE_PAUSE, backoff,
    route::{self, Next, Situation, Stop},
};
use crate::{
    channel::{Address, ChannelName, Reach},
    clock::Timestamp,
    error::{Result, Retry},
    feedback::{Delivery, DeliveryState},
    id::{DeliveryId, RequestId, UserId},
    store::{RouteAdvance, RouteClaim},
};

/// How long a person may be disconnected before what is out to them counts as unseen. A page that is loaded again takes
/// less.
const AWAY_AFTER: Duration = Duration::from_secs(10);
/// A lease on a route covers no call but those of the store.
const LEASE: Duration = Duration::from_secs(30);

/// Since when people are disconnected, as far as this server has heard it.
#[derive(Debug)]
pub(super) struct Absences {
    since: Mutex<HashMap<(ChannelName, Address), Timestamp>>,
    /// When this server started: nobody can have been connected to it before.
    started: Timestamp,
}

impl Absences {
    pub(super) fn new(started: Timestamp) -> Self {
        Self { since: Mutex::default(), started }
    }

    fn begin(&self, channel: &ChannelName, address: &Address, now: Timestamp) {
        let mut since = self.since.lock();
        // Whoever has been away for longer than that is away without a proof.
        since.retain(|_, since| now.since(*since) < AWAY_AFTER);
        since.insert((channel.clone(), address.clone()), now);
    }

    fn end(&self, channel: &ChannelName, address: &Address) {
        self.since.lock().remove(&(channel.clone(), address.clone()));
    }

    /// Until when a person who is not connected may yet come back in time; `None` when that has passed.
    fn grace(&self, channel: &ChannelName, address: &Address, now: Timestamp) -> Option<Timestamp> {
        let since = self.since.lock().get(&(channel.clone(), address.clone())).copied().unwrap_or(self.started);
        Some(since.after(AWAY_AFTER)).filter(|end| *end > now)
    }
}

/// Whether the person of a route is connected where they are asked.
#[derive(Default)]
struct Presence {
    /// What is out where they have been away for so long that it counts as unseen.
    unseen: Vec<DeliveryId>,
    /// What was skipped where they are connected again.
    back: Vec<DeliveryId>,
    /// When they will have been away for so long, where they have just left.
    next: Option<Timestamp>,
}

impl Hub {
    pub(super) async fn advance_routes(self: Arc<Self>, stop: CancellationToken) {
        // What happened while the hub was down made no route due: sockets closed, channels were added or removed.
        while let Err(error) = self.store.hasten_all_routes(self.clock.now().after(AWAY_AFTER)).await {
            error!(%error, "the routes could not be looked at after the start");
            if self.rest(&self.routes_due, Some(self.clock.now().after(STORE_PAUSE)), &stop).await {
                return;
            }
        }
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
        let presence = self.presence(&claim).await;
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
                step.begin = stops.into_iter().map(|stop| self.delivery(claim.request.id, user, stop, now)).collect();
            }
            Next::Again(back) => step.again = back.into_iter().map(|id| (id, now)).collect(),
            Next::Wait(until) => step.due = Some(watch.map_or(until, |watch| watch.min(until))),
            Next::Round { not_before, exhausted } => {
                let wait = backoff::wait(claim.rounds + 1, Retry::Backoff, &self.ids);
                let due = now.after(wait).max(not_before);
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

    /// A delivery that is due now.
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

    async fn presence(&self, claim: &RouteClaim) -> Presence {
        let mut presence = Presence::default();
        for delivery in &claim.deliveries {
            let skipped = matches!(delivery.state, DeliveryState::Skipped { .. });
            if !skipped && delivery.state.receipt().is_none() {
                continue;
            }
            let Some(running) = self.channels.get(&delivery.channel) else { continue };
            let reach = running.channel().reach(&delivery.address).await;
            if skipped && reach == Reach::Now {
                presence.back.push(delivery.id);
            } else if !skipped && reach == Reach::Later {
                match self.absences.grace(&delivery.channel, &delivery.address, self.clock.now()) {
                    Some(end) => presence.next = Some(presence.next.map_or(end, |next| next.min(end))),
                    None => presence.unseen.push(delivery.id),
                }
            }
        }
        presence
    }

    /// Held by others than the hub while they make routes due, as when a person gets an address: these are looked at once it
    /// is dropped, also when the caller hangs up half-way.
    #[must_use]
    pub fn routes_change(&self) -> impl Drop + '_ {
        OnDrop(|| self.routes_due.notify_one())
    }

    /// Somebody can be reached again: what was skipped for them is sent.
    pub(super) async fn connected(&self, channel: &ChannelName, address: &Address) -> Result<()> {
        // Word of it may come late: they may have left again.
        if !self.is_away(channel, address).await {
            self.absences.end(channel, address);
        }
        let _wake = OnDrop(|| self.sends_due.notify_one());
        self.store.requeue_skipped(channel, address, self.clock.now()).await?;
        Ok(())
    }

    async fn is_away(&self, channel: &ChannelName, address: &Address) -> bool {
        let Some(running) = self.channels.get(channel) else { return false };
        running.channel().reach(address).await == Reach::Later
    }

    /// Whoever left while they were being sent something had nothing out that would have been looked at.
    pub(super) async fn note_departure(&self, delivery: &Delivery) {
        let Delivery { channel, address, .. } = delivery;
        if !self.is_away(channel, address).await {
            return;
        }
        let _wake = OnDrop(|| self.routes_due.notify_one());
        if let Err(error) = self.store.hasten_routes(channel, address, self.clock.now().after(AWAY_AFTER)).await {
            warn!(%error, delivery = %delivery.id, "it could not be noted that somebody left");
        }
    }

    /// Somebody cannot be reached any more: if they stay away, their routes go on.
    pub(super) async fn disconnected(&self, channel: &ChannelName, address: &Address) -> Result<()> {
        let now = self.clock.now();
        self.absences.begin(channel, address, now);
        let _wake = OnDrop(|| self.routes_due.notify_one());
        self.store.hasten_routes(channel, address, now.after(AWAY_AFTER)).await?;
        Ok(())
    }
}
