//! What holds at every step of a route: nobody is asked on the next channel too early, and the asker hears the truth.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Duration,
};

use hearback_core::{
    Timestamp,
    feedback::{Delivery, DeliveryState, Request, Strategy},
    id::{DeliveryId, RequestId, UserId},
    store::{MemoryStore, RouteAdvance, RouteClaim, Store},
};

use super::{gate::Life, invariant::Invariant, world::World};

/// For so long somebody has to be disconnected before what is out to them counts as unseen.
pub const AWAY_AFTER: Duration = Duration::from_secs(10);
/// So many rounds go by before the asker is told that nobody was reached.
const ROUNDS_UNTOLD: u32 = 10;

/// A route as it was when a server last began to look at it.
#[derive(Debug)]
struct Look {
    at: Timestamp,
    lease: Timestamp,
    rounds: u32,
    deliveries: Vec<Delivery>,
    /// Those whose person is connected, as the store was told.
    present: BTreeSet<DeliveryId>,
    /// Those whose person is connected, and neither the store nor the server that looks can know it.
    unknown: BTreeSet<DeliveryId>,
}

/// How the routes go.
#[derive(Debug, Default)]
pub struct Routes {
    looks: Mutex<BTreeMap<(RequestId, UserId), Look>>,
    told: Mutex<BTreeSet<RequestId>>,
}

async fn deliveries(store: &MemoryStore, request: RequestId) -> Vec<Delivery> {
    store.deliveries(request, None, 1000).await.unwrap().items
}

/// Whether a delivery has failed for good.
#[must_use]
pub fn has_failed(delivery: &Delivery) -> bool {
    matches!(delivery.state, DeliveryState::Failed { .. })
}

/// How long what was sent may stay without an answer.
#[must_use]
pub fn patience(request: &Request) -> Duration {
    Duration::from_secs(request.terms.fallback_after.into())
}

impl Routes {
    /// A request begins with these deliveries.
    pub fn begin(world: &World, request: &Request, first: &[Delivery]) {
        for person in &request.terms.to {
            let count = first.iter().filter(|one| one.user_id == person.id).count();
            if request.terms.strategy == Strategy::Fallback && count > 1 {
                world.broken(Invariant::PatienceIsKept, format!("{} begins at {count} stops", request.id));
            }
        }
    }

    /// Whether the asker was told that nobody was reached.
    #[must_use]
    pub fn was_told(&self, request: RequestId) -> bool {
        self.told.lock().unwrap().contains(&request)
    }

    fn rounds(&self, request: RequestId, person: UserId) -> u32 {
        self.looks.lock().unwrap().get(&(request, person)).map_or(0, |look| look.rounds)
    }

    /// A server begins to look at a route.
    pub async fn is_claimed(&self, world: &World, store: &MemoryStore, claim: &RouteClaim) {
        let RouteClaim { request, person, deliveries: of_person, rounds, lease, .. } = claim;
        let look = Look {
            at: world.now(),
            lease: *lease,
            rounds: *rounds,
            deliveries: of_person.clone(),
            present: BTreeSet::new(),
            unknown: BTreeSet::new(),
        };
        self.looks.lock().unwrap().insert((request.id, person.user.id), look);
        if *rounds <= ROUNDS_UNTOLD || self.was_told(request.id) {
            return;
        }
        let out = deliveries(store, request.id).await.iter().any(|one| one.state.receipt().is_some());
        let all = request.terms.to.iter().all(|person| self.rounds(request.id, person.id) > ROUNDS_UNTOLD);
        if all && !out {
            let detail =
                format!("nobody was reached with {} in {rounds} rounds, and the asker is not told", request.id);
            world.broken(Invariant::UndeliverableIsTold, detail);
        }
    }

    /// Notes who is connected as this server begins to look at a route.
    pub fn is_looked_at_by(&self, life: &Life, claim: &RouteClaim) {
        let (people, now) = (&life.world.people, life.world.now());
        let mut looks = self.looks.lock().unwrap();
        let Some(look) = looks.get_mut(&(claim.request.id, claim.person.user.id)) else { return };
        for delivery in &claim.deliveries {
            let place = (delivery.channel.clone(), delivery.address.clone());
            if people.is_present(&place, now) {
                look.present.insert(delivery.id);
            } else if !people.servers_of(&place).is_empty() && !people.is_at(&place, &life.name) {
                look.unknown.insert(delivery.id);
            }
        }
    }

    /// A server has carried a route on; `told` when the asker was told by it that nobody was reached.
    pub async fn goes_on(&self, world: &World, store: &MemoryStore, step: &RouteAdvance, told: bool) {
        let now = deliveries(store, step.request).await;
        let Some(request) = store.request(step.request).await.unwrap() else { return };
        if told {
            self.told.lock().unwrap().insert(request.id);
            for person in &request.terms.to {
                self.is_not_reached(world, &request, person.id, &now);
            }
        }
        let begun: Vec<_> = step.begin.iter().filter(|one| now.iter().any(|stored| stored.id == one.id)).collect();
        if request.terms.strategy == Strategy::Broadcast || begun.is_empty() {
            return;
        }
        if begun.len() > 1 {
            world.broken(Invariant::PatienceIsKept, format!("{} goes on to {} stops", request.id, begun.len()));
        }
        let looks = self.looks.lock().unwrap();
        let Some(look) = looks.get(&(step.request, step.user)).filter(|look| look.lease == step.lease) else { return };
        for before in &look.deliveries {
            if holds_back(world, &request, before, look) {
                let present = look.present.contains(&before.id);
                let broken = if present { Invariant::NobodyPresentIsGone } else { Invariant::PatienceIsKept };
                let (next, state) = (&begun[0].channel, &before.state);
                let detail =
                    format!("{} begins on {next} while {} on {} is {state:?}", request.id, before.id, before.channel);
                world.broken(broken, detail);
            }
        }
    }

    /// The asker is told that a person was not reached: nothing is out to them, and all has failed for good, or in ten
    /// rounds.
    fn is_not_reached(&self, world: &World, request: &Request, person: UserId, all: &[Delivery]) {
        let mut theirs = all.iter().filter(|one| one.user_id == person);
        if let Some(out) = theirs.clone().find(|one| one.state.receipt().is_some()) {
            let detail = format!("{} is told to be undeliverable, but {} is {:?}", request.id, out.id, out.state);
            world.broken(Invariant::UndeliverableIsTold, detail);
        }
        let rounds = self.rounds(request.id, person);
        if !theirs.all(has_failed) && rounds < ROUNDS_UNTOLD {
            let detail = format!("{} is told to be undeliverable after {rounds} rounds for {person}", request.id);
            world.broken(Invariant::UndeliverableIsTold, detail);
        }
    }
}

/// Whether a delivery as it was at this look does not let the next stop begin yet.
fn holds_back(world: &World, request: &Request, delivery: &Delivery, look: &Look) -> bool {
    match &delivery.state {
        DeliveryState::Sending { .. } => return true,
        DeliveryState::Queued { due, .. } => return *due <= look.at,
        state if state.receipt().is_none() => return false,
        _ => {}
    }
    let silent = delivery.attempts.last().is_some_and(|sent| sent.at.after(patience(request)) <= world.now());
    let place = (delivery.channel.clone(), delivery.address.clone());
    let gone = world.people.was_away_for(&place, AWAY_AFTER, (look.at, world.now()));
    !silent && !gone && !look.unknown.contains(&delivery.id)
}
