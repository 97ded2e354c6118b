//! Attempts: claims and their leases, ends, acknowledgements.

use std::{collections::HashSet, time::Duration};

use hearback_core::{
    feedback::{Attempt, DeliveryState},
    store::{DeliveryCounts, FinishedSend},
};

use super::{Harness, LEASE, World, address, name, receipt};

/// Claimers that run at the same time share the work, and nothing is claimed twice.
pub async fn two_claimers_never_get_the_same(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben", "carl"]).await;
    for _ in 0..20 {
        world.create(world.ask(&people)).await;
    }
    let (server, now, lease) = (world.server, world.now(), world.now().after(LEASE));
    let claimers: Vec<_> = (0..12)
        .map(|_| {
            let store = world.store.clone();
            tokio::spawn(async move { store.claim_sends(server, now, lease, 7).await.unwrap() })
        })
        .collect();
    let mut claimed = HashSet::new();
    for claimer in claimers {
        let claims = claimer.await.unwrap();
        assert!(claims.claimed.len() <= 7);
        for claim in claims.claimed {
            assert_eq!(claim.delivery.state, DeliveryState::Sending { lease });
            assert_eq!(claim.delivery.attempts, [Attempt { number: 1, at: now, error: None }]);
            assert_eq!(claim.delivery.request_id, claim.request.id);
            assert!(!claim.interrupted);
            assert!(claimed.insert(claim.delivery.id), "claimed twice");
        }
    }
    assert_eq!(claimed.len(), 60);
    let none = world.claim_up_to(7, lease).await;
    assert!(none.claimed.is_empty());
    assert_eq!(none.next_due, Some(lease), "the next thing to look after is a lease");
}

/// A lease that ran out is claimed again, in the attempt that was cut off: whether it was sent is not known. What is not due is left, and its time told.
pub async fn what_a_dead_claimer_left_is_claimed_again(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let first = world.create(world.ask(&people)).await;
    let mut later = world.ask(&people);
    let due = world.now().after(Duration::from_mins(5));
    later.deliveries[0].state = DeliveryState::Queued { due, reason: None };
    world.create(later).await;

    let lease = world.now().after(LEASE);
    let claims = world.claim_up_to(10, lease).await;
    assert_eq!(claims.claimed.len(), 1);
    assert_eq!(claims.next_due, Some(due), "what was just claimed is no unclaimed piece");
    world.clock.advance(LEASE.checked_sub(Duration::from_micros(1)).unwrap());
    assert!(world.claim_up_to(10, lease).await.claimed.is_empty());
    world.clock.advance(Duration::from_micros(1));
    let lease = world.now().after(LEASE);
    let claims = world.claim_up_to(10, lease).await;
    assert_eq!(claims.claimed.len(), 1);
    let claim = &claims.claimed[0];
    assert!(claim.interrupted);
    assert_eq!(claim.request.id, first.id);
    assert_eq!(claim.delivery.attempts, [Attempt { number: 1, at: first.created_at, error: None }]);
    assert_eq!(claim.delivery, world.delivery(&first).await);

    world.clock.advance(Duration::from_mins(10));
    let claims = world.claim_up_to(1, world.now().after(LEASE)).await;
    assert_eq!(claims.claimed[0].request.id, first.id, "the longest overdue comes first");
    assert_eq!(claims.next_due, Some(due), "what did not fit is due already");
}

/// Where the channel was not called, there was no attempt. Of an attempt that was cut off, the end is written into it.
pub async fn an_attempt_without_a_call_is_taken_back(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let request = world.create(world.ask(&people)).await;
    let begun = world.now();
    let attempt = |number, at, error: Option<&str>| Attempt { number, at, error: error.map(Into::into) };
    let queued = || DeliveryState::Queued { due: world.now(), reason: None };
    let held = || DeliveryState::Held { reason: "breaker open".into(), until: world.now() };

    let claim = &world.claim_sends().await[0];
    world.finish(FinishedSend { attempted: false, ..world.finished(claim, queued()) }).await;
    assert_eq!(world.delivery(&request).await.attempts, []);
    let claim = &world.claim_sends().await[0];
    assert_eq!(claim.delivery.attempts, [attempt(1, begun, None)]);
    world.finish(FinishedSend { error: Some("busy".into()), ..world.finished(claim, queued()) }).await;
    world.tick();
    let claim = &world.claim_sends().await[0];
    assert_eq!(claim.delivery.attempts[1], attempt(2, world.now(), None));
    world.finish(FinishedSend { attempted: false, ..world.finished(claim, queued()) }).await;
    assert_eq!(world.delivery(&request).await.attempts, [attempt(1, begun, Some("busy"))]);

    let again = world.now();
    world.claim_sends().await;
    world.clock.advance(LEASE);
    let claim = &world.claim_sends().await[0];
    assert!(claim.interrupted);
    let attempts = [attempt(1, begun, Some("busy")), attempt(2, again, None)];
    assert_eq!(claim.delivery.attempts, attempts);
    world.finish(FinishedSend { error: Some("cut off".into()), ..world.finished(claim, held()) }).await;
    let [first, _] = attempts;
    assert_eq!(world.delivery(&request).await.attempts, [first, attempt(2, again, Some("cut off"))]);
    assert_eq!(world.delivery(&request).await.state, held());
}

/// Every state that an attempt can end with reads back with what belongs to it, and the attempt with its error.
pub async fn an_attempt_ends_with_its_state(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let reason = || "no such chat".to_owned();
    let states = [
        DeliveryState::Sent { receipt: receipt("r1") },
        DeliveryState::Delivered { receipt: receipt("r2") },
        DeliveryState::Queued { due: world.now().after(Duration::from_hours(1)), reason: None },
        DeliveryState::Held { reason: reason(), until: world.now() },
        DeliveryState::Failed { reason: reason() },
        DeliveryState::Skipped { reason: reason() },
        DeliveryState::Unknown { reason: reason() },
    ];
    for state in states {
        let request = world.create(world.ask(&people)).await;
        let claimed = world.claim_sends().await;
        assert_eq!(claimed.len(), 1, "nothing is due that was finished before");
        let error = state.receipt().is_none().then(reason);
        world.finish(FinishedSend { error: error.clone(), ..world.finished(&claimed[0], state.clone()) }).await;
        let delivery = world.delivery(&request).await;
        assert_eq!(delivery.state, state);
        assert_eq!(delivery.attempts, [Attempt { number: 1, at: world.now(), error }]);
    }
}

/// Who lost the lease changes nothing, but for a receipt that turns up for what was unknown.
pub async fn a_finish_without_its_lease_changes_nothing(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let request = world.create(world.ask(&people)).await;
    let sent = || DeliveryState::Sent { receipt: receipt("r1") };
    let finish = async |lease, state, error: Option<&str>| {
        let (id, now) = (world.delivery(&request).await.id, world.now());
        let error = error.map(Into::into);
        world
            .finish(FinishedSend {
                id,
                lease,
                state,
                attempted: true,
                error,
                in_doubt: false,
                route_due: Some(now),
                now,
            })
            .await;
        world.delivery(&request).await
    };
    let first = world.now().after(LEASE);
    let untouched = world.delivery(&request).await;
    assert_eq!(finish(first, sent(), None).await, untouched, "nobody has claimed it");
    world.claim_up_to(1, first).await;
    world.clock.advance(LEASE);
    let second = world.now().after(LEASE);
    world.claim_up_to(1, second).await;
    let claimed = world.delivery(&request).await;
    let failed = DeliveryState::Failed { reason: "x".into() };
    assert_eq!(finish(first, failed.clone(), Some("x")).await, claimed, "the first lease was lost");

    let unknown = DeliveryState::Unknown { reason: "timed out".into() };
    let delivery = finish(second, unknown.clone(), Some("timed out")).await;
    assert_eq!(delivery.state, unknown);
    assert_eq!(delivery.attempts[0].error.as_deref(), Some("timed out"));
    assert_eq!(finish(second, failed, Some("x")).await, delivery, "only a receipt clears it up");
    let delivery = finish(first, sent(), None).await;
    assert_eq!(delivery.state, sent());
    assert_eq!(delivery.attempts[0].error, None);
    let (id, now) = (world.ids.next(), world.now());
    let nothing = FinishedSend {
        id,
        lease: first,
        state: sent(),
        attempted: true,
        error: None,
        in_doubt: false,
        route_due: None,
        now,
    };
    world.finish(nothing).await;
}

/// Attempts that end together each get their own state.
pub async fn many_attempts_end_at_once(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    for _ in 0..40 {
        world.create(world.ask(&people)).await;
    }
    let claimed = world.claim_sends().await;
    let finishes: Vec<_> = claimed
        .iter()
        .enumerate()
        .map(|(index, claim)| {
            let (store, id) = (world.store.clone(), claim.delivery.id);
            let state = match index % 2 {
                0 => DeliveryState::Sent { receipt: receipt(&id.to_string()) },
                _ => DeliveryState::Failed { reason: id.to_string() },
            };
            let error = (index % 2 == 1).then(|| id.to_string());
            let end = FinishedSend { error, ..world.finished(claim, state) };
            tokio::spawn(async move { store.finish_send(end).await.unwrap() })
        })
        .collect();
    for finish in finishes {
        finish.await.unwrap();
    }
    for (index, claim) in claimed.iter().enumerate() {
        let delivery = world.delivery(&claim.request).await;
        let id = delivery.id.to_string();
        match (index % 2, &delivery.state) {
            (0, DeliveryState::Sent { receipt }) => assert_eq!(receipt.as_str(), id),
            (1, DeliveryState::Failed { reason }) => {
                assert_eq!(*reason, id);
                assert_eq!(delivery.attempts[0].error, Some(id));
            }
            (_, other) => panic!("{other:?}"),
        }
    }
}

/// What arrived is delivered, what was seen is read, and neither goes back. What was not sent is not known.
pub async fn an_acknowledgement_never_goes_back(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana"]).await;
    let request = world.create(world.ask(&people)).await;
    let known = async |address_text: &str, receipt_text: &str, read| {
        let (address, receipt) = (address(address_text), receipt(receipt_text));
        world.store.acknowledge(&world.channel, &address, &receipt, read, world.now()).await.unwrap()
    };
    assert!(!known("ana", "r1", true).await);
    let sent = DeliveryState::Sent { receipt: receipt("r1") };
    world.finish(world.finished(&world.claim_sends().await[0], sent.clone())).await;
    assert!(!known("ben", "r1", true).await, "another's address");
    assert!(!known("ana", "r2", true).await, "another receipt");
    assert!(
        !world.store.acknowledge(&name("gmail"), &address("ana"), &receipt("r1"), true, world.now()).await.unwrap()
    );
    assert_eq!(world.delivery(&request).await.state, sent);
    let delivered = DeliveryState::Delivered { receipt: receipt("r1") };
    let read = DeliveryState::Read { receipt: receipt("r1") };
    for (seen, state) in [(false, &delivered), (false, &delivered), (true, &read), (false, &read), (true, &read)] {
        assert!(known("ana", "r1", seen).await);
        assert_eq!(world.delivery(&request).await.state, *state);
    }
}

/// What was skipped for an address is due as soon as it can be reached again; nothing else is touched.
pub async fn what_was_skipped_is_queued_again(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben"]).await;
    let skipped = DeliveryState::Skipped { reason: "not connected".into() };
    let mut requests = Vec::new();
    for person in [&people[0], &people[0], &people[1]] {
        let mut new = world.ask(std::slice::from_ref(person));
        new.deliveries[0].state = skipped.clone();
        requests.push(world.create(new).await);
    }
    let mut ended = world.ask(&people[..1]);
    ended.deliveries[0].state = skipped.clone();
    let ended = world.create(ended).await;
    world.store.cancel(ended.id, world.now()).await.unwrap();
    world.tick();
    assert_eq!(
        world.store.connected(&name("gmail"), &address("ana"), Some(world.server), world.now()).await.unwrap(),
        0
    );
    assert_eq!(
        world.store.connected(&world.channel, &address("ana"), Some(world.server), world.now()).await.unwrap(),
        2
    );
    assert_eq!(
        world.store.connected(&world.channel, &address("ana"), Some(world.server), world.now()).await.unwrap(),
        0
    );
    for (index, request) in requests.iter().enumerate() {
        let expected =
            if index < 2 { DeliveryState::Queued { due: world.now(), reason: None } } else { skipped.clone() };
        assert_eq!(world.delivery(request).await.state, expected);
    }
    assert_eq!(world.delivery(&ended).await.state, DeliveryState::Settled, "its request has ended");
    let routes = world.store.claim_routes(world.now(), world.now(), 10).await.unwrap();
    assert_eq!((routes.claimed.len(), routes.next_due), (0, None), "no route is looked at because of it");
    let claims = world.claim_up_to(10, world.now().after(LEASE)).await;
    assert_eq!(claims.claimed.len(), 2);
}

/// Deliveries of a request come oldest first, page by page, and are counted by their channel.
pub async fn deliveries_are_paged_and_counted(harness: &dyn Harness) {
    let (world, people) = World::with_people(harness, &["ana", "ben", "carl", "dora", "eve"]).await;
    let states = [
        DeliveryState::Queued { due: world.now(), reason: None },
        DeliveryState::Sent { receipt: receipt("r1") },
        DeliveryState::Read { receipt: receipt("r2") },
        DeliveryState::Failed { reason: "gone".into() },
        DeliveryState::Skipped { reason: "not connected".into() },
    ];
    let mut new = world.ask(&people);
    for (delivery, state) in new.deliveries.iter_mut().zip(&states) {
        world.tick();
        delivery.id = world.ids.next();
        delivery.state = state.clone();
    }
    let expected = new.deliveries.clone();
    let request = world.create(new).await;
    world.create(world.ask(&people)).await;

    let mut read = Vec::new();
    loop {
        let page = world
            .store
            .deliveries(request.id, read.last().map(|delivery: &hearback_core::feedback::Delivery| delivery.id), 2)
            .await
            .unwrap();
        read.extend(page.items);
        if !page.more {
            break;
        }
    }
    assert_eq!(read, expected);
    let counts = world.store.delivery_counts(&world.channel).await.unwrap();
    assert_eq!(counts, DeliveryCounts { queued: 6, sent: 2, failed: 1 });
    assert_eq!(world.store.delivery_counts(&name("gmail")).await.unwrap(), DeliveryCounts::default());
    world.claim_up_to(2, world.now().after(LEASE)).await;
    assert_eq!(world.store.delivery_counts(&world.channel).await.unwrap(), counts, "an attempt waits too");
    world.store.cancel(request.id, world.now()).await.unwrap();
}
