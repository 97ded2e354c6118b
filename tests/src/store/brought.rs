//! What is sent to somebody where they are, and what is known of it by its receipt.

use std::time::Duration;

use hearback_core::{
    event::EventKind,
    feedback::{Delivery, DeliveryState, DeliveryStatus},
    person::UserRef,
    store::{Counts, SettleResult},
};

use super::{Harness, LEASE, World, address, name, receipt};

/// A delivery of a request to somebody elsewhere than where their route leads.
fn elsewhere(world: &World, of: &Delivery) -> Delivery {
    Delivery {
        id: world.ids.next(),
        channel: name("telegram"),
        address: address("4711"),
        state: DeliveryState::Queued { due: world.now(), reason: None },
        attempts: Vec::new(),
        ..of.clone()
    }
}

async fn bring(world: &World, delivery: &Delivery) -> bool {
    world.store.bring(delivery.clone(), world.now()).await.expect("brought")
}

/// Where nothing was sent, a delivery begins, and is told and claimed like any other.
pub async fn a_request_is_brought_where_it_was_not_sent(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let request = world.create(world.ask(&people)).await;
    let delivery = elsewhere(&world, &world.delivery(&request).await);
    assert!(bring(&world, &delivery).await);
    let again = Delivery { id: world.ids.next(), ..delivery.clone() };
    assert!(bring(&world, &again).await, "it is on its way");
    let all = world.store.deliveries(request.id, None, 10).await.unwrap().items;
    assert_eq!(all.iter().map(|one| one.id).filter(|id| *id == delivery.id || *id == again.id).count(), 1);
    let events = world.store.request_events(request.id, Some(request.created_event), 10).await.unwrap().unwrap();
    let told: Vec<_> = events.iter().map(|event| event.kind).collect();
    assert_eq!(told, [EventKind::Delivery(delivery.id)]);
    let claimed: Vec<_> = world.claim_sends().await.into_iter().map(|claim| claim.delivery.id).collect();
    assert!(claimed.contains(&delivery.id), "{claimed:?}");
}

/// What waits, was skipped or given up, or is of unknown end is queued now; what is out, or under way, stays as it is.
pub async fn what_is_there_already_is_queued_or_stays(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let later = world.now().after(Duration::from_hours(8));
    let reason = || "why".to_owned();
    let queued = [
        DeliveryState::Queued { due: later, reason: None },
        DeliveryState::Held { reason: reason(), until: later },
        DeliveryState::Failed { reason: reason() },
        DeliveryState::Skipped { reason: reason() },
        DeliveryState::Unknown { reason: reason() },
    ];
    for state in queued {
        let mut new = world.ask(&people);
        new.deliveries[0].state = state.clone();
        let there = new.deliveries[0].clone();
        let request = world.create(new).await;
        assert!(bring(&world, &Delivery { id: world.ids.next(), ..there }).await, "{state:?}");
        let now = DeliveryState::Queued { due: world.now(), reason: None };
        assert_eq!(world.delivery(&request).await.state, now, "{state:?}");
    }
    for state in [DeliveryState::Sent { receipt: receipt("r") }, DeliveryState::Read { receipt: receipt("r") }] {
        let mut new = world.ask(&people);
        new.deliveries[0].state = state.clone();
        let there = new.deliveries[0].clone();
        let request = world.create(new).await;
        assert!(!bring(&world, &Delivery { id: world.ids.next(), ..there }).await, "{state:?}");
        assert_eq!(world.delivery(&request).await.state, state);
    }
    let request = world.create(world.ask(&people)).await;
    world.claim_sends().await;
    let sending = world.delivery(&request).await;
    assert!(bring(&world, &Delivery { id: world.ids.next(), ..sending.clone() }).await);
    assert_eq!(world.delivery(&request).await, sending);
}

/// Nothing is brought of what is over, or was never asked.
pub async fn what_is_over_is_not_brought(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let request = world.create(world.ask(&people)).await;
    let delivery = elsewhere(&world, &world.delivery(&request).await);
    world.store.cancel(request.id, world.now()).await.unwrap();
    assert!(!bring(&world, &delivery).await);
    assert!(!bring(&world, &Delivery { request_id: world.ids.next(), ..delivery.clone() }).await);
    assert_eq!(world.store.deliveries(request.id, None, 10).await.unwrap().items.len(), 1);
}

/// What was sent is known by its channel and its receipt, also when it was settled or given up since.
pub async fn a_question_is_known_by_its_receipt(harness: &dyn Harness) {
    for result in [SettleResult::Settled, SettleResult::GivenUp("why".into())] {
        let (world, people) = World::with_people(harness, &["ana"]).await;
        let request = world.create(world.ask(&people)).await;
        let claims = world.claim_sends().await;
        world.finish(world.finished(&claims[0], DeliveryState::Sent { receipt: receipt("5:1") })).await;
        let known =
            async |channel: &str, text: &str| world.store.sent_as(&name(channel), &receipt(text)).await.unwrap();
        assert_eq!(known("slack", "5:1").await, Some(request.id));
        assert_eq!(known("slack", "5:2").await, None);
        assert_eq!(known("telegram", "5:1").await, None, "another channel's");
        world.respond(world.candidate(&request, &people[0])).await;
        let lease = world.now().after(LEASE);
        let claims = world.store.claim_settlements(world.now(), lease, 10).await.unwrap();
        let id = claims.claimed[0].delivery.id;
        world.store.finish_settlement(id, lease, result.clone(), world.now()).await.unwrap();
        assert!(matches!(
            world.delivery(&request).await.state.status(),
            DeliveryStatus::Settled | DeliveryStatus::Failed
        ));
        assert_eq!(known("slack", "5:1").await, Some(request.id), "{result:?}");
    }
}

/// People who can be asked, and requests that wait.
pub async fn what_there_is_is_counted(harness: &dyn Harness) {
    let (world, people): (World, Vec<UserRef>) = World::with_people(harness, &["ana", "ben"]).await;
    let ended = world.create(world.ask(&people)).await;
    world.create(world.ask(&people)).await;
    world.store.cancel(ended.id, world.now()).await.unwrap();
    assert_eq!(world.store.counts().await.unwrap(), Counts { people: 3, pending: 1 });
}
