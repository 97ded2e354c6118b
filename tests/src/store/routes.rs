//! Routes of the people asked: claims and their leases, steps, haste.

use std::{collections::HashSet, sync::Arc, time::Duration};

use hearback_core::{
    Timestamp,
    feedback::{Delivery, DeliveryState, Request},
    id::RequestId,
    person::UserRef,
    store::{FinishedSend, NewRequest, RouteAdvance, RouteClaim},
};

use super::{Harness, LEASE, World, address, name, receipt};

impl World {
    /// Claims all routes that are due, leased for [`LEASE`], and says when the next one is due.
    pub(super) async fn claim_routes(&self) -> (Vec<RouteClaim>, Option<Timestamp>) {
        let claims = self.store.claim_routes(self.now(), self.now().after(LEASE), 100).await.unwrap();
        (claims.claimed, claims.next_due)
    }

    /// A step on a claimed route that changes nothing but that it is not due.
    pub(super) fn step(&self, claim: &RouteClaim) -> RouteAdvance {
        RouteAdvance {
            request: claim.request.id,
            user: claim.person.user.id,
            lease: claim.lease,
            begin: Vec::new(),
            again: Vec::new(),
            rounds: claim.rounds,
            exhausted: false,
            due: None,
            now: self.now(),
        }
    }

    /// A delivery to the same person over another channel.
    pub(super) fn beside(&self, claim: &RouteClaim) -> Delivery {
        Delivery {
            id: self.ids.next(),
            request_id: claim.request.id,
            user_id: claim.person.user.id,
            channel: name("gmail"),
            address: address("ana@example.com"),
            state: DeliveryState::Queued { due: self.now(), reason: None },
            in_doubt: false,
            attempts: Vec::new(),
        }
    }

    async fn deliveries(&self, id: RequestId) -> Vec<Delivery> {
        self.store.deliveries(id, None, 100).await.unwrap().items
    }

    /// Stores a request, and sends everything that is due; its routes are looked at next at `route_due`.
    async fn sent(&self, to: &[UserRef], route_due: Option<Timestamp>) -> Arc<Request> {
        let request = self.create(self.ask(to)).await;
        for claim in self.claim_sends().await {
            let state = DeliveryState::Sent { receipt: receipt(&claim.delivery.id.to_string()) };
            self.finish(FinishedSend { route_due, ..self.finished(&claim, state) }).await;
        }
        request
    }
}

fn held(until: Timestamp) -> DeliveryState {
    DeliveryState::Held { reason: "busy".into(), until }
}

fn asked(claims: &[RouteClaim]) -> Vec<(RequestId, &str)> {
    claims.iter().map(|claim| (claim.request.id, &*claim.person.user.username)).collect()
}

/// A route is due when the end of an attempt said so; whoever claims it gets all that it needs. The longest overdue
/// comes first.
pub async fn a_due_route_is_claimed_with_all_that_it_needs(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben"]).await;
    let mut new = world.ask(&people);
    let second = Delivery { id: world.ids.next(), channel: name("gmail"), ..new.deliveries[0].clone() };
    new.deliveries.push(second);
    let both = world.create(new).await;
    let (claims, next_due) = world.claim_routes().await;
    assert_eq!((claims.len(), next_due), (0, None), "a new request's route waits for an attempt");

    let soon = world.now().after(Duration::from_secs(2));
    let sent = |claim: &hearback_core::store::SendClaim, route_due| {
        let state = DeliveryState::Sent { receipt: receipt("r1") };
        FinishedSend { route_due, ..world.finished(claim, state) }
    };
    let of_ana = |delivery: &Delivery| delivery.user_id == people[0].id;
    let sends = world.claim_sends().await;
    for (index, claim) in sends.iter().filter(|claim| of_ana(&claim.delivery)).enumerate() {
        world.finish(sent(claim, (index == 0).then_some(soon))).await;
    }
    let earlier = world.now().after(Duration::from_secs(1));
    world.tick();
    let other = world.sent(&people[1..], Some(earlier)).await;
    let of_other = world.now().after(LEASE);
    let (claims, next_due) = world.claim_routes().await;
    assert_eq!(asked(&claims), [(other.id, "ben")]);
    assert_eq!(next_due, Some(soon), "what was just claimed is no unclaimed piece");
    world.tick();
    let lease = world.now().after(LEASE);
    let (claims, next_due) = world.claim_routes().await;
    assert_eq!(asked(&claims), [(both.id, "ana")]);
    assert_eq!(next_due, Some(of_other), "the other one's lease");
    let claim = &claims[0];
    assert_eq!((claim.rounds, claim.lease), (0, lease));
    assert_eq!(claim.request, both);
    let known = world.store.people(&[people[0].id.to_string()]).await.unwrap();
    assert_eq!(known, [Some(claim.person.clone())]);
    let expected: Vec<_> = world.deliveries(both.id).await.into_iter().filter(of_ana).collect();
    assert_eq!(claim.deliveries, expected);
    assert_eq!(expected.iter().map(|delivery| delivery.attempts.len()).collect::<Vec<_>>(), [1, 1]);

    // A lease that ran out is claimed again, and the limit is kept.
    world.clock.advance(LEASE);
    let lease = world.now().after(LEASE);
    let first = world.store.claim_routes(world.now(), lease, 1).await.unwrap();
    assert_eq!(asked(&first.claimed), [(other.id, "ben")], "the longest overdue");
    assert_eq!(first.next_due, Some(world.now()), "what did not fit");
    let (claims, next_due) = world.claim_routes().await;
    assert_eq!((asked(&claims), next_due), (vec![(both.id, "ana")], Some(lease)));
}

/// Claimers that run at the same time share the routes, and none is claimed twice.
pub async fn two_claimers_share_the_routes(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben", "carl"]).await;
    for _ in 0..20 {
        world.create(world.ask(&people)).await;
    }
    world.hasten_all_routes(world.now()).await;
    let (now, lease) = (world.now(), world.now().after(LEASE));
    let claimers: Vec<_> = (0..12)
        .map(|_| {
            let store = world.store.clone();
            tokio::spawn(async move { store.claim_routes(now, lease, 7).await.unwrap() })
        })
        .collect();
    let mut claimed = HashSet::new();
    for claimer in claimers {
        let claims = claimer.await.unwrap();
        assert!(claims.claimed.len() <= 7);
        for claim in claims.claimed {
            assert_eq!(claim.deliveries.len(), 1);
            assert_eq!(claim.deliveries[0].user_id, claim.person.user.id);
            assert!(claimed.insert((claim.request.id, claim.person.user.id)), "claimed twice");
        }
    }
    assert_eq!(claimed.len(), 60);
    let (claims, next_due) = world.claim_routes().await;
    assert_eq!((claims.len(), next_due), (0, Some(lease)));
}

/// A step begins deliveries, queues those again that are held or skipped, and keeps what the next look needs.
pub async fn a_route_goes_on_as_it_is_told(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben"]).await;
    let mut new = world.ask(&people);
    let until = world.now();
    new.deliveries[0].state = held(until);
    new.deliveries[1].state = DeliveryState::Failed { reason: "gone".into() };
    let skipped = DeliveryState::Skipped { reason: "not connected".into() };
    new.deliveries.push(Delivery { id: world.ids.next(), state: skipped, ..new.deliveries[0].clone() });
    let before = new.deliveries.clone();
    let request = world.create(new).await;
    let mut elsewhere = world.ask(&people[..1]);
    elsewhere.deliveries[0].state = held(until);
    let elsewhere = world.create(elsewhere).await;
    assert!(world.claim_sends().await.is_empty(), "what is held waits for its route");
    world.hasten_all_routes(world.now()).await;
    let (claims, _) = world.claim_routes().await;
    let of_ana = claims.iter().find(|claim| asked(&[(*claim).clone()]) == [(request.id, "ana")]).unwrap();
    assert_eq!(
        of_ana.deliveries,
        [before[0].clone(), before[2].clone()],
        "what is held reads back with its reason and its time"
    );

    world.tick();
    let again = world.now().after(Duration::from_secs(3));
    let due = world.now().after(Duration::from_mins(5));
    let begun = world.beside(of_ana);
    let step = RouteAdvance {
        begin: vec![begun.clone()],
        again: before.iter().map(|one| (one.id, again)).chain([(world.ids.next(), again)]).collect(),
        rounds: 3,
        due: Some(due),
        ..world.step(of_ana)
    };
    world.store.finish_route(step).await.unwrap();
    let reason = before[0].state.reason().map(Into::into);
    let queued = Delivery { state: DeliveryState::Queued { due: again, reason }, ..before[0].clone() };
    let back = Delivery { state: DeliveryState::Queued { due: again, reason: None }, ..before[2].clone() };
    assert_eq!(world.deliveries(request.id).await, [queued, before[1].clone(), back, begun.clone()]);
    assert_eq!(world.delivery(&elsewhere).await.state, held(until), "another request's waits for its own route");
    let sends = world.claim_sends().await;
    assert_eq!(sends.iter().map(|claim| claim.delivery.id).collect::<Vec<_>>(), [begun.id]);
    world.clock.advance(Duration::from_secs(3));
    let sends = world.claim_sends().await;
    assert_eq!(sends.iter().map(|claim| claim.delivery.id).collect::<Vec<_>>(), [before[0].id, before[2].id]);

    for claim in claims.iter().filter(|claim| claim.request.id != request.id || claim.person.user.id != people[0].id) {
        world.store.finish_route(world.step(claim)).await.unwrap();
    }
    let (claims, next_due) = world.claim_routes().await;
    assert_eq!((claims.len(), next_due), (0, Some(due)), "the others are not due at all");
    world.clock.advance(due.since(world.now()));
    let (claims, next_due) = world.claim_routes().await;
    assert_eq!((asked(&claims), next_due), (vec![(request.id, "ana")], None));
    assert_eq!(claims[0].rounds, 3);
    let ids: Vec<_> = claims[0].deliveries.iter().map(|delivery| delivery.id).collect();
    assert_eq!(ids, [before[0].id, before[2].id, begun.id]);
}

/// Who lost the lease begins nothing, queues nothing again, and leaves the route as it is.
pub async fn a_lost_lease_changes_nothing(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let mut new = world.ask(&people);
    new.deliveries[0].state = held(world.now());
    let request = world.create(new).await;
    let before = world.deliveries(request.id).await;
    let stepped = async |claim: &RouteClaim, due| {
        let begin = vec![world.beside(claim)];
        let again = vec![(before[0].id, world.now())];
        let step = RouteAdvance { begin, again, rounds: 7, exhausted: true, due, ..world.step(claim) };
        world.store.finish_route(step).await.unwrap();
        world.deliveries(request.id).await
    };
    let head = world.store.head().await.unwrap();
    world.hasten_all_routes(world.now()).await;
    let (first, _) = world.claim_routes().await;
    world.clock.advance(LEASE);
    let (second, _) = world.claim_routes().await;
    assert_eq!(second.len(), 1, "the first lease ran out");
    assert_eq!(stepped(&first[0], None).await, before);
    assert_eq!(world.store.head().await.unwrap(), head);
    let mut stranger = second[0].clone();
    stranger.person.user.id = world.asker.user.id;
    assert_eq!(stepped(&stranger, None).await, before, "nobody asked them");
    let (_, next_due) = world.claim_routes().await;
    assert_eq!(next_due, Some(second[0].lease));
    world.clock.advance(LEASE);
    let (third, _) = world.claim_routes().await;
    assert_eq!(third[0].rounds, 0);

    assert_eq!(stepped(&third[0], None).await.len(), 2);
    let after = world.deliveries(request.id).await;
    assert_eq!(stepped(&third[0], Some(world.now())).await, after, "a step is made once");
    assert_eq!(world.claim_routes().await.1, None);
}

/// What an attempt's end says comes after what the claimer saw: its step is void, and the route is looked at again.
pub async fn an_attempt_that_ends_takes_the_route_from_its_claimer(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben"]).await;
    let request = world.create(world.ask(&people)).await;
    let sends = world.claim_sends().await;
    world.hasten_all_routes(world.now()).await;
    let (claims, _) = world.claim_routes().await;
    world.tick();
    let of_ana = claims.iter().position(|claim| claim.person.user.id == people[0].id).unwrap();
    let due = world.now().after(Duration::from_secs(1));
    for send in &sends {
        // For Ben nothing is said, so that his claimer keeps the route.
        let route_due = (send.delivery.user_id == people[0].id).then_some(due);
        let state = DeliveryState::Failed { reason: "gone".into() };
        world.finish(FinishedSend { route_due, ..world.finished(send, state) }).await;
    }
    for claim in &claims {
        let step = RouteAdvance { begin: vec![world.beside(claim)], ..world.step(claim) };
        world.store.finish_route(step).await.unwrap();
    }
    let begun = world.deliveries(request.id).await.into_iter().skip(2).collect::<Vec<_>>();
    assert_eq!(begun.iter().map(|delivery| delivery.user_id).collect::<Vec<_>>(), [people[1].id]);
    assert_eq!(world.claim_routes().await.1, Some(due));
    world.tick();
    let (again, next_due) = world.claim_routes().await;
    assert_eq!((asked(&again), next_due), (vec![(request.id, "ana")], None));
    let step = RouteAdvance { begin: vec![world.beside(&claims[of_ana])], ..world.step(&again[0]) };
    world.store.finish_route(step).await.unwrap();
    assert_eq!(world.deliveries(request.id).await.len(), 4);

    // It overwrites a time, too: what was due before is due when the newest end says.
    let later = world.now().after(Duration::from_mins(5));
    let request = world.sent(&people[..1], Some(later)).await;
    let (claims, next_due) = world.claim_routes().await;
    assert_eq!((claims.len(), next_due), (0, Some(later)));
    let delivery = world.delivery(&request).await;
    assert!(delivery.state.receipt().is_some());
}

/// The end of a request ends its routes: none is due, and a step on one is void. An attempt's end makes none due again.
pub async fn a_route_ends_with_its_request(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben"]).await;
    let mut ends = Vec::new();
    for end in 0..3 {
        let mut new = world.ask(&people);
        if end == 1 {
            new.request.expires_at = world.now().after(Duration::from_secs(1));
        }
        ends.push(world.create(new).await);
    }
    let sends = world.claim_sends().await;
    world.hasten_all_routes(world.now()).await;
    let (claims, _) = world.claim_routes().await;
    assert_eq!(claims.len(), 6);
    world.tick();
    world.respond(world.candidate(&ends[0], &people[0])).await;
    assert_eq!(world.store.expire(world.now(), 10).await.unwrap().0, 1);
    world.store.cancel(ends[2].id, world.now()).await.unwrap();
    for claim in &claims {
        let begin = vec![world.beside(claim)];
        let step = RouteAdvance { begin, due: Some(world.now()), ..world.step(claim) };
        world.store.finish_route(step).await.unwrap();
    }
    for send in &sends {
        let state = DeliveryState::Sent { receipt: receipt(&send.delivery.id.to_string()) };
        world.finish(FinishedSend { route_due: Some(world.now()), ..world.finished(send, state) }).await;
    }
    for request in &ends {
        assert_eq!(world.deliveries(request.id).await.len(), 2);
    }
    world.hasten_all_routes(world.now()).await;
    assert_eq!(world.store.hasten_routes(&world.channel, &address("ana"), world.now()).await.unwrap(), 0);
    world.clock.advance(LEASE);
    let (claims, next_due) = world.claim_routes().await;
    assert_eq!((claims.len(), next_due), (0, None));
}

/// Who has something out at an address is looked at by a time at the latest, and nobody else is.
pub async fn what_is_out_at_an_address_is_hastened(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben"]).await;
    let soon = world.now().after(Duration::from_secs(10));
    let hasten = async |text: &str, due| world.store.hasten_routes(&world.channel, &address(text), due).await.unwrap();
    world.create(world.ask(&people)).await;
    assert_eq!(hasten("ana", soon).await, 0, "nothing is out yet");
    let mut out = vec![world.sent(&people, None).await];
    out.push(world.sent(&people[..1], Some(soon.after(Duration::from_mins(5)))).await);
    let early = world.now().after(Duration::from_secs(5));
    out.push(world.sent(&people[..1], Some(early)).await);
    let states = [
        (DeliveryState::Delivered { receipt: receipt("d") }, true),
        (DeliveryState::Read { receipt: receipt("r") }, true),
        (DeliveryState::Failed { reason: "gone".into() }, false),
        (DeliveryState::Skipped { reason: "gone".into() }, false),
        (held(world.now()), false),
    ];
    for (state, is_out) in states {
        let mut new = world.ask(&people[..1]);
        new.deliveries[0].state = state;
        let request = world.create(new).await;
        out.extend(is_out.then_some(request));
    }
    let gone = world.sent(&people[..1], None).await;
    world.store.cancel(gone.id, world.now()).await.unwrap();

    // The first request of all was claimed and sent with the second.
    assert_eq!(hasten("ana", soon).await, 6);
    assert_eq!(world.store.hasten_routes(&name("gmail"), &address("ana"), soon).await.unwrap(), 0);
    assert_eq!(world.claim_routes().await.1, Some(early), "what is due before stays so");
    world.clock.advance(early.since(world.now()));
    let (claims, next_due) = world.claim_routes().await;
    assert_eq!((asked(&claims), next_due), (vec![(out[2].id, "ana")], Some(soon)));
    world.clock.advance(soon.since(world.now()));
    let (others, _) = world.claim_routes().await;
    assert_eq!(others.len(), 5);
    assert!(others.iter().all(|claim| claim.person.user.id == people[0].id));
    let hastened: HashSet<_> = others.iter().map(|claim| claim.request.id).collect();
    assert!(out.iter().filter(|request| request.id != out[2].id).all(|request| hastened.contains(&request.id)));

    // Haste leaves a route to its claimer, and is not lost on it.
    assert_eq!(hasten("ana", world.now()).await, 6);
    world
        .store
        .finish_route(RouteAdvance { begin: vec![world.beside(&claims[0])], ..world.step(&claims[0]) })
        .await
        .unwrap();
    assert_eq!(world.deliveries(out[2].id).await.len(), 2);
    let claims = world.claim_routes().await.0;
    assert_eq!(claims.len(), 6);

    // Nor is one that comes behind the lease, on a step that comes later still.
    let lease = world.now().after(LEASE);
    assert_eq!(hasten("ana", lease.after(Duration::from_secs(5))).await, 6);
    world.clock.advance(LEASE + Duration::from_secs(10));
    world.store.finish_route(world.step(&claims[0])).await.unwrap();
    let (again, _) = world.claim_routes().await;
    assert!(asked(&again).contains(&(claims[0].request.id, "ana")), "it is looked at in spite of the step");
}

/// Every route of what is pending is looked at by a time at the latest, with something out or not.
pub async fn all_pending_routes_are_hastened(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben"]).await;
    let soon = world.now().after(Duration::from_secs(10));
    let early = world.now().after(Duration::from_secs(5));
    let first = world.sent(&people[..1], Some(early)).await;
    let second = world.create(world.ask(&people)).await;
    let third = world.create(NewRequest { deliveries: Vec::new(), ..world.ask(&people[1..]) }).await;
    let (empty, _) = world.claim_routes().await;
    assert_eq!(asked(&empty), [(third.id, "ben")], "an empty route is looked at at once");
    assert!(empty[0].deliveries.is_empty());
    world.store.finish_route(world.step(&empty[0])).await.unwrap();
    let ended = world.create(world.ask(&people)).await;
    world.respond(world.candidate(&ended, &people[0])).await;
    world.hasten_all_routes(soon).await;
    world.clock.advance(early.since(world.now()));
    let (claims, next_due) = world.claim_routes().await;
    assert_eq!((asked(&claims), next_due), (vec![(first.id, "ana")], Some(soon)));
    world.clock.advance(soon.since(world.now()));
    let (claims, _) = world.claim_routes().await;
    let found: HashSet<_> = asked(&claims).into_iter().collect();
    assert_eq!(found, HashSet::from([(second.id, "ana"), (second.id, "ben"), (third.id, "ben")]));
}
