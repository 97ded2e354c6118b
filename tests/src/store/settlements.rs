//! What the end of a request makes of its deliveries.

use std::{collections::HashMap, time::Duration};

use hearback_core::{
    feedback::{DeliveryState, DeliveryStatus, IN_DOUBT, Status},
    person::{Person, Preferences, UserRef},
    store::{FinishedSend, SettleResult},
};
use serde_json::json;

use super::{Harness, LEASE, OPEN, World, receipt};

/// What nobody saw is settled by the end itself; what was sent keeps its state and falls due; what failed stays failed.
/// So it is by an answer, by the deadline and by a cancellation.
pub async fn the_end_settles_what_nobody_saw_and_what_was_sent_falls_due(harness: &dyn Harness) {
    for end in [Status::Answered, Status::Expired, Status::Cancelled] {
        let names = ["ana", "ben", "carl", "dora", "eve", "finn", "gil", "hal"];
        let (world, people) = World::with_people(harness, &names).await;
        let reason = || "why".to_owned();
        let states = [
            (DeliveryState::Queued { due: world.now(), reason: None }, DeliveryStatus::Settled),
            (DeliveryState::Held { reason: reason(), until: world.now() }, DeliveryStatus::Settled),
            (DeliveryState::Skipped { reason: reason() }, DeliveryStatus::Settled),
            (DeliveryState::Sent { receipt: receipt("r1") }, DeliveryStatus::Sent),
            (DeliveryState::Delivered { receipt: receipt("r2") }, DeliveryStatus::Delivered),
            (DeliveryState::Read { receipt: receipt("r3") }, DeliveryStatus::Read),
            (DeliveryState::Failed { reason: reason() }, DeliveryStatus::Failed),
            (DeliveryState::Unknown { reason: reason() }, DeliveryStatus::Unknown),
        ];
        let mut new = world.ask(&people);
        for (delivery, (state, _)) in new.deliveries.iter_mut().zip(&states) {
            delivery.state = state.clone();
        }
        let expected: HashMap<_, _> =
            new.deliveries.iter().zip(&states).map(|(delivery, (_, after))| (delivery.id, *after)).collect();
        let request = world.create(new).await;
        let other = world.create(world.ask(&people[..1])).await;
        match end {
            Status::Answered => drop(world.respond(world.candidate(&request, &people[0])).await),
            Status::Cancelled => drop(world.store.cancel(request.id, world.now()).await.unwrap()),
            _ => {
                world.clock.advance(OPEN);
                assert_eq!(world.store.expire(world.now(), 1).await.unwrap().0, 1);
            }
        }
        for delivery in world.store.deliveries(request.id, None, 10).await.unwrap().items {
            assert_eq!(delivery.state.status(), expected[&delivery.id], "{end}");
            let kept = matches!(delivery.state.status(), DeliveryStatus::Failed | DeliveryStatus::Unknown);
            assert_eq!(delivery.state.reason(), kept.then_some("why"), "{end}");
        }
        let lease = world.now().after(LEASE);
        let claims = world.store.claim_settlements(world.now(), lease, 10).await.unwrap();
        assert_eq!(claims.claimed.len(), 3, "{end}");
        for claim in &claims.claimed {
            assert_eq!((claim.tries, claim.lease, claim.request.state.status()), (0, lease, end));
            assert!(claim.delivery.state.receipt().is_some());
        }
        assert_eq!(world.delivery(&other).await.state.status(), DeliveryStatus::Queued);
        let sends = world.claim_up_to(10, lease).await;
        assert!(sends.claimed.iter().all(|claim| claim.request.id == other.id), "what is settled is not sent");
    }
}

/// What may have arrived is not called settled: without a receipt nobody was told.
pub async fn what_is_in_doubt_ends_unknown_whatever_came_after(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let reason = || "why".to_owned();
    let states = [
        DeliveryState::Queued { due: world.now(), reason: None },
        DeliveryState::Held { reason: reason(), until: world.now() },
        DeliveryState::Skipped { reason: reason() },
    ];
    let lease = world.now().after(LEASE);
    for state in states {
        let request = world.create(world.ask(&people)).await;
        let claims = world.claim_sends().await;
        let again = DeliveryState::Queued { due: world.now(), reason: None };
        world.finish(FinishedSend { in_doubt: true, ..world.finished(&claims[0], again) }).await;
        let claims = world.claim_sends().await;
        world.finish(world.finished(&claims[0], state.clone())).await;
        assert!(world.delivery(&request).await.in_doubt, "one attempt says nothing about another");
        world.store.cancel(request.id, world.now()).await.unwrap();
        let delivery = world.delivery(&request).await;
        assert_eq!(delivery.state, DeliveryState::Unknown { reason: IN_DOUBT.into() }, "{state:?}");
        let due = world.store.claim_settlements(world.now(), lease, 10).await.unwrap();
        assert_eq!((due.claimed.len(), due.next_due), (0, None));
        let noted = world.store.note_receipt(&world.channel, delivery.id, &receipt("r1"), world.now()).await;
        assert!(noted.unwrap().is_some_and(|noted| noted.is_news && noted.address == delivery.address));
        let due = world.store.claim_settlements(world.now(), lease, 10).await.unwrap();
        assert_eq!(due.claimed.len(), 1, "now the person can be told");
        world.store.finish_settlement(delivery.id, lease, SettleResult::Settled, world.now()).await.unwrap();
    }
    let request = world.create(world.ask(&people)).await;
    let claims = world.claim_sends().await;
    world.store.cancel(request.id, world.now()).await.unwrap();
    let held = DeliveryState::Held { reason: reason(), until: world.now() };
    world.finish(FinishedSend { in_doubt: true, ..world.finished(&claims[0], held) }).await;
    assert_eq!(world.delivery(&request).await.state, DeliveryState::Unknown { reason: IN_DOUBT.into() });
}

/// An attempt that ends after the request: what was sent is to be settled, what was not has nothing to settle.
pub async fn what_was_sent_during_the_end_is_settled_too(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben", "carl", "dora"]).await;
    let request = world.create(world.ask(&people)).await;
    let lease = world.now().after(LEASE);
    let claimed = world.claim_sends().await;
    assert_eq!(claimed.len(), 4);
    world.respond(world.candidate(&request, &people[0])).await;
    assert!(world.store.claim_settlements(world.now(), lease, 10).await.unwrap().claimed.is_empty());
    world.tick();
    let states = [
        DeliveryState::Sent { receipt: receipt("r1") },
        DeliveryState::Queued { due: world.now(), reason: None },
        DeliveryState::Failed { reason: "gone".into() },
        DeliveryState::Held { reason: "busy".into(), until: world.now() },
    ];
    let statuses = [DeliveryStatus::Sent, DeliveryStatus::Settled, DeliveryStatus::Failed, DeliveryStatus::Settled];
    for (claim, state) in claimed.iter().zip(states) {
        world.finish(world.finished(claim, state)).await;
    }
    let read = world.store.deliveries(request.id, None, 10).await.unwrap().items;
    for (claim, status) in claimed.iter().zip(statuses) {
        let delivery = read.iter().find(|delivery| delivery.id == claim.delivery.id).unwrap();
        assert_eq!(delivery.state.status(), status);
    }
    let claims = world.store.claim_settlements(world.now(), world.now().after(LEASE), 10).await.unwrap();
    assert_eq!(claims.claimed.len(), 1);
    assert_eq!(claims.claimed[0].delivery.id, claimed[0].delivery.id);
}

/// A settlement has a lease, is tried again when it is told to, and ends as settled or as given up.
pub async fn settlements_are_tried_again_and_given_up(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben"]).await;
    let mut new = world.ask(&people);
    for (index, delivery) in new.deliveries.iter_mut().enumerate() {
        delivery.state = DeliveryState::Sent { receipt: receipt(&index.to_string()) };
    }
    let (first, second) = (new.deliveries[0].id, new.deliveries[1].id);
    let request = world.create(new).await;
    world.store.cancel(request.id, world.now()).await.unwrap();
    let claim = async |limit| {
        let lease = world.now().after(LEASE);
        let claims = world.store.claim_settlements(world.now(), lease, limit).await.unwrap();
        let tries: HashMap<_, _> = claims.claimed.iter().map(|claim| (claim.delivery.id, claim.tries)).collect();
        (lease, tries, claims.next_due)
    };
    let state = async |id| {
        let deliveries = world.store.deliveries(request.id, None, 10).await.unwrap().items;
        deliveries.into_iter().find(|delivery| delivery.id == id).unwrap().state
    };
    let (_, tries, next) = claim(1).await;
    assert_eq!((tries.len(), next), (1, Some(world.now())), "the other one is due");
    claim(1).await;
    let (_, tries, next) = claim(10).await;
    assert_eq!((tries.len(), next), (0, Some(world.now().after(LEASE))), "both are leased");

    world.clock.advance(LEASE);
    let (lease, tries, _) = claim(10).await;
    assert_eq!(tries, HashMap::from([(first, 1), (second, 1)]));
    world.store.finish_settlement(first, world.now(), SettleResult::Settled, world.now()).await.unwrap();
    assert_eq!(state(first).await.status(), DeliveryStatus::Sent, "that lease was lost");
    world.store.finish_settlement(first, lease, SettleResult::Settled, world.now()).await.unwrap();
    assert_eq!(state(first).await, DeliveryState::Settled);
    let again = world.now().after(Duration::from_secs(5));
    world.store.finish_settlement(second, lease, SettleResult::Again(again), world.now()).await.unwrap();
    let (_, tries, next) = claim(10).await;
    assert_eq!((tries.len(), next), (0, Some(again)));

    world.clock.advance(Duration::from_secs(5));
    let (lease, tries, _) = claim(10).await;
    assert_eq!(tries, HashMap::from([(second, 2)]));
    world.store.finish_settlement(second, lease, SettleResult::GivenUp("blocked".into()), world.now()).await.unwrap();
    assert_eq!(state(second).await, DeliveryState::Failed { reason: "blocked".into() });
    world.clock.advance(OPEN);
    let (_, tries, next) = claim(10).await;
    assert_eq!((tries.len(), next), (0, None));
    world.store.finish_settlement(world.ids.next(), lease, SettleResult::Settled, world.now()).await.unwrap();
}

/// What is sent comes with how its person likes to be reached and when it was due, and what is said at the end with their
/// language.
pub async fn what_is_claimed_comes_with_how_its_person_likes_to_be_reached(harness: &dyn Harness) {
    let (world, mut people) = World::with_people(harness, &["ana"]).await;
    let ben = UserRef { id: world.ids.next(), username: "ben".into() };
    let preferences = Preferences {
        channels: vec!["websocket".parse().unwrap()],
        locale: Some("de-AT".parse().unwrap()),
        timezone: Some("Europe/Vienna".parse().unwrap()),
        quiet_hours: Some(serde_json::from_value(json!({"from": "22:00", "to": "07:00"})).unwrap()),
    };
    let added = Person { user: ben.clone(), preferences: preferences.clone(), addresses: Vec::new() };
    harness.add_person(added, None).await;
    people.push(ben.clone());
    let language = |user| (user == ben.id).then(|| "de-AT".parse().unwrap());
    let request = world.create(world.ask(&people)).await;
    let due = world.now();
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.claim_sends().await.iter().map(|claim| claim.due).collect::<Vec<_>>(), [due, due]);
    let over = world.now().after(LEASE);
    world.clock.advance(LEASE);
    let claimed = world.claim_sends().await;
    assert_eq!(claimed.len(), 2);
    for claim in claimed {
        assert_eq!((claim.due, claim.interrupted), (over, true), "when its lease was over");
        let expected = if claim.delivery.user_id == ben.id { preferences.clone() } else { Preferences::default() };
        assert_eq!(claim.preferences, expected);
        let (id, now) = (claim.delivery.id, world.now());
        let state = DeliveryState::Sent { receipt: receipt(&id.to_string()) };
        let (lease, attempted, error, in_doubt, route_due) = (now.after(LEASE), true, None, false, None);
        let end = FinishedSend { id, lease, state, attempted, error, in_doubt, route_due, now };
        world.store.finish_send(end).await.unwrap();
    }
    world.store.cancel(request.id, world.now()).await.unwrap();
    let settlements = world.store.claim_settlements(world.now(), world.now().after(LEASE), 10).await.unwrap().claimed;
    assert_eq!(settlements.len(), 2);
    for claim in settlements {
        assert_eq!(claim.locale, language(claim.delivery.user_id));
    }
}
