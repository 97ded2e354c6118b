//! Receipts that come by another way than the end of their attempt.

use std::sync::Arc;

use hearback_core::{
    event::{Event, EventKind},
    feedback::{Delivery, DeliveryState, Request},
    person::Reader,
    store::{FinishedSend, RouteAdvance, RouteClaim, SettleResult},
};

use super::{Harness, LEASE, World, name, receipt};

fn sent() -> DeliveryState {
    DeliveryState::Sent { receipt: receipt("r1") }
}

fn unknown() -> DeliveryState {
    DeliveryState::Unknown { reason: "timed out".into() }
}

async fn note(world: &World, delivery: &Delivery, text: &str) -> bool {
    let noted = world.store.note_receipt(&world.channel, delivery.id, &receipt(text), world.now()).await;
    noted.unwrap().expect("it is on the channel").is_news
}

/// A request with its delivery in this state; `None` leaves an attempt in it.
async fn with_delivery(world: &World, new: hearback_core::store::NewRequest, state: Option<DeliveryState>) -> Delivery {
    let request = world.create(new).await;
    let claimed = world.claim_sends().await;
    if let Some(state) = state {
        world.finish(world.finished(&claimed[0], state)).await;
    }
    world.delivery(&request).await
}

/// What has been attempted without a receipt is sent after all, whatever was thought of it. Everything else stays as it
/// is, and so does the route.
pub async fn a_receipt_is_noted_for_what_is_open(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let reason = || "why".to_owned();
    let open = [
        unknown(),
        DeliveryState::Queued { due: world.now().after(LEASE), reason: None },
        DeliveryState::Held { reason: reason(), until: world.now() },
        DeliveryState::Failed { reason: reason() },
        DeliveryState::Skipped { reason: reason() },
    ];
    for state in open.map(Some).into_iter().chain([None]) {
        let before = with_delivery(&world, world.ask(&people), state).await;
        let elsewhere = world.store.note_receipt(&name("gmail"), before.id, &receipt("r1"), world.now()).await;
        assert_eq!(elsewhere.unwrap(), None, "another channel's");
        let read = async || world.store.deliveries(before.request_id, None, 1).await.unwrap().items.remove(0);
        assert_eq!(read().await, before);
        assert!(note(&world, &before, "r1").await);
        let after = Delivery { state: sent(), ..before.clone() };
        assert_eq!(read().await, after);
        assert!(!note(&world, &before, "r2").await, "it has one");
        assert_eq!(read().await, after);
    }
    for state in [DeliveryState::Read { receipt: receipt("r0") }, DeliveryState::Settled] {
        let before = with_delivery(&world, world.ask(&people), Some(state.clone())).await;
        assert!(!note(&world, &before, "r1").await);
        let request = world.store.request(before.request_id).await.unwrap().unwrap();
        assert_eq!(world.delivery(&request).await.state, state);
    }
    let unsent = world.create(world.ask(&people)).await;
    let before = world.delivery(&unsent).await;
    assert!(!note(&world, &before, "r1").await, "nothing was sent");
    assert_eq!(world.delivery(&unsent).await, before);
    let nowhere = world.store.note_receipt(&world.channel, world.ids.next(), &receipt("r1"), world.now()).await;
    assert_eq!(nowhere.unwrap(), None);
    let routes = world.store.claim_routes(world.now(), world.now().after(LEASE), 10).await.unwrap();
    let noted = |claim: &RouteClaim| claim.deliveries.iter().all(|one| one.state.receipt() == Some(&receipt("r1")));
    assert!(
        !routes.claimed.is_empty() && routes.claimed.iter().all(noted),
        "only those routes are looked at: {routes:?}"
    );
    let settlements = world.store.claim_settlements(world.now(), world.now().after(LEASE), 10).await.unwrap();
    assert_eq!((settlements.claimed.len(), settlements.next_due), (0, None), "nothing has ended");
}

/// The end of the attempt comes too late to make anything else of it.
pub async fn a_noted_receipt_outlives_the_end_of_its_attempt(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let request = world.create(world.ask(&people)).await;
    let claimed = world.claim_sends().await;
    assert!(note(&world, &claimed[0].delivery, "r1").await);
    let end = world.finished(&claimed[0], unknown());
    world.finish(FinishedSend { error: Some("timed out".into()), route_due: Some(world.now()), ..end }).await;
    let delivery = world.delivery(&request).await;
    assert_eq!(delivery.state, sent());
    assert_eq!(delivery.attempts[0].error, None);
    world.clock.advance(LEASE);
    assert!(world.claim_sends().await.is_empty(), "it has no lease that could run out");
    let routes = world.store.claim_routes(world.now(), world.now(), 10).await.unwrap();
    assert_eq!(routes.claimed.len(), 1, "its route waits for an answer from now on");
}

/// What turns out to have been sent when its request has ended is to be settled.
pub async fn a_receipt_after_the_end_is_to_be_settled(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    for state in [None, Some(unknown())] {
        let new = world.ask(&people);
        let request: Request = new.request.clone();
        let delivery = with_delivery(&world, new, state).await;
        world.store.cancel(request.id, world.now()).await.unwrap();
        world.tick();
        let lease = world.now().after(LEASE);
        let claims = world.store.claim_settlements(world.now(), lease, 10).await.unwrap();
        assert_eq!((claims.claimed.len(), claims.next_due), (0, None));
        assert!(note(&world, &delivery, "r1").await);
        assert_eq!(world.delivery(&request).await.state, sent());
        let claims = world.store.claim_settlements(world.now(), lease, 10).await.unwrap();
        let [claim] = &*claims.claimed else { panic!("expected one settlement, found {claims:?}") };
        assert_eq!((claim.delivery.id, claim.tries), (delivery.id, 0));
        assert!(!note(&world, &delivery, "r1").await, "a repeated receipt takes no lease away");
        world.store.finish_settlement(delivery.id, lease, SettleResult::Settled, world.now()).await.unwrap();
        assert_eq!(world.delivery(&request).await.state, DeliveryState::Settled);
    }
}

/// Whoever looks at a route as the receipt comes takes what is out for failed: their step is void, and the route is looked at
/// again.
pub async fn a_receipt_voids_a_look_that_has_begun(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let failed = DeliveryState::Failed { reason: "why".into() };
    let delivery = with_delivery(&world, world.ask(&people), Some(failed)).await;
    world.hasten_all_routes(world.now()).await;
    let (claims, _) = world.claim_routes().await;
    let head = world.store.head().await.unwrap();
    assert!(note(&world, &delivery, "r1").await);
    let step = RouteAdvance { exhausted: true, ..world.step(&claims[0]) };
    world.store.finish_route(step).await.unwrap();
    assert_eq!(world.claim_routes().await.0.len(), 1);
    let events = world.store.events(Reader::Token(world.token()), head, 10).await.unwrap();
    let told = |event: &&Arc<Event>| event.kind == EventKind::Undeliverable;
    assert_eq!(events.unwrap().iter().filter(told).count(), 0, "nobody is told that they were not reached");
}
