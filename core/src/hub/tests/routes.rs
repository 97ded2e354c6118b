//! The orchestrator's table, row by row: what happens to a delivery, and where its person's route goes then.

use super::*;
use crate::{
    channel::{ChannelName, SendRate},
    error::Retry,
    event::EventKind,
    person::Reader,
};

#[tokio::test]
async fn silence_goes_on_to_the_next_channel_after_fallback_after_and_not_before() {
    let world = World::two();
    let request = world.ask_ana(json!({"fallback_after": 60})).await;
    world.until(&request, &[Sent]).await;
    world.pass(Duration::from_secs(59)).await;
    assert_eq!(world.statuses(&request).await, [Sent]);
    world.pass(Duration::from_secs(1)).await;
    world.until(&request, &[Sent, Sent]).await;
    world.pass(Duration::from_hours(1)).await;
    assert_eq!(world.statuses(&request).await, [Sent, Sent], "the route is at its end");
    world.answer(&request, 0, json!("approved")).await;
    world.until(&request, &[Settled, Settled]).await;
    assert!(world.all.iter().all(|channel| channel.sent()[0].ending.is_some()));
}

#[tokio::test]
async fn every_fault_goes_on_to_the_next_channel_without_waiting() {
    let faults = [
        (ErrorKind::Unavailable, Queued),
        (ErrorKind::RateLimited, Queued),
        (ErrorKind::Rejected, Failed),
        (ErrorKind::NotFound, Failed),
        (ErrorKind::Auth, Failed),
        (ErrorKind::Config, Failed),
        (ErrorKind::Unexpected, Failed),
        (ErrorKind::Ambiguous, Unknown),
    ];
    for (kind, status) in faults {
        let world = World::two();
        world.channel.fail_next(error(kind));
        let request = world.ask_ana(json!({})).await;
        world.until(&request, &[status, Sent]).await;
        let failed = world.delivery_of(&request, 0).await;
        assert_eq!(failed.state.reason(), Some("memory.send: as scripted"), "{kind:?}");
        assert_eq!(failed.attempts[0].error.as_deref(), Some("memory.send: as scripted"), "{kind:?}");
        let needs_auth = world.hub.channels().get(world.channel.name()).unwrap().state() == ChannelState::NeedsAuth;
        assert_eq!(needs_auth, kind == ErrorKind::Auth, "{kind:?}");
    }
}

#[tokio::test]
async fn a_broadcast_starts_every_channel_at_once_and_repeats_the_one_that_failed_for_now() {
    let world = World::two();
    world.all[1].fail_next(error(ErrorKind::Unavailable));
    let request = world.ask_ana(json!({"strategy": "broadcast"})).await;
    world.until(&request, &[Sent, Queued]).await;
    world.pass(Duration::from_secs(1)).await;
    world.until(&request, &[Sent, Sent]).await;
    world.answer(&request, 0, json!("approved")).await;
    world.until(&request, &[Settled, Settled]).await;
}

#[tokio::test]
async fn routes_run_for_each_person() {
    let world = World::two();
    world.channel.set_connected(&address("ana"), false);
    let request = world.ask(json!({})).await;
    world.calm().await;
    let page = world.store.deliveries(request.id, None, 10).await.unwrap();
    let of = |who: usize| {
        let deliveries = page.items.iter().filter(|one| one.user_id == world.people[who].id);
        deliveries.map(|one| (one.channel.as_str(), one.state.status())).collect::<Vec<_>>()
    };
    assert_eq!(of(0), [("first", Skipped), ("second", Sent)]);
    assert_eq!(of(1), [("first", Sent)]);
}

#[tokio::test]
async fn a_route_that_failed_whole_is_tried_again_in_rounds_that_honour_retry_after() {
    let world = World::two();
    let asked = Duration::from_secs(90);
    world.channel.fail_next(error(ErrorKind::RateLimited).with_retry(Retry::After(asked)));
    world.all[1].fail_next(error(ErrorKind::Rejected));
    let request = world.ask_ana(json!({})).await;
    world.until(&request, &[Queued, Failed]).await;
    world.calm().await;
    let queued = world.delivery_of(&request, 0).await;
    assert!(matches!(queued.state, DeliveryState::Queued { due, .. } if due >= world.clock.now().after(asked)));
    assert_eq!(queued.state.reason(), Some("memory.send: as scripted"), "it says why it waits");
    world.pass(Duration::from_secs(89)).await;
    assert_eq!(world.statuses(&request).await, [Queued, Failed]);
    world.pass(Duration::from_secs(2)).await;
    world.until(&request, &[Sent, Failed]).await;
}

#[tokio::test]
async fn after_ten_rounds_the_asker_is_told_once_and_the_rounds_go_on() {
    let world = World::plain();
    let told = |world: &World| {
        let head = world.store.clone();
        async move {
            let reader = Reader::Token(TOKEN.parse().unwrap());
            let events = head.events(reader, crate::event::EventId(0), 100).await.unwrap().unwrap();
            events.iter().filter(|event| event.kind == EventKind::Undeliverable).count()
        }
    };
    for _ in 0..40 {
        world.channel.fail_next(error(ErrorKind::RateLimited));
    }
    let request = world.ask_as_agent(json!({"to": ["ana"], "expires_in": 864_000})).await;
    world.calm().await;
    let mut attempts = 1;
    while attempts < 11 {
        assert_eq!(told(&world).await, 0, "after {attempts} attempts");
        let before = world.delivery_of(&request, 0).await.attempts.len();
        while world.delivery_of(&request, 0).await.attempts.len() == before {
            world.pass(Duration::from_secs(1)).await;
        }
        attempts = world.delivery_of(&request, 0).await.attempts.len();
    }
    world.calm().await;
    assert_eq!(told(&world).await, 1);
    assert!(world.now(&request).await.is_pending());
    for _ in 0..3 {
        world.pass(Duration::from_hours(1)).await;
    }
    assert!(world.delivery_of(&request, 0).await.attempts.len() >= 13, "an hour is the longest wait");
    assert_eq!(told(&world).await, 1);
    let answered = world.answer(&request, 0, json!("approved")).await;
    assert_eq!(answered.recorded.response.verdict, Verdict::Accepted);
}

#[tokio::test]
async fn where_nothing_can_be_tried_again_the_asker_is_told_at_once_but_only_when_nobody_is_reached() {
    let told = |world: &World, request: Arc<Request>| {
        let store = world.store.clone();
        async move {
            let reader = Reader::Token(TOKEN.parse().unwrap());
            let events = store.events(reader, crate::event::EventId(0), 100).await.unwrap().unwrap();
            events.iter().any(|event| event.kind == EventKind::Undeliverable && event.request.id == request.id)
        }
    };
    let world = World::plain();
    world.channel.fail_next(error(ErrorKind::NotFound));
    let request = world.ask_as_agent(json!({"to": ["ana"]})).await;
    world.until(&request, &[Failed]).await;
    world.calm().await;
    assert!(told(&world, request).await);

    world.channel.fail_next(error(ErrorKind::NotFound));
    let request = world.ask_as_agent(json!({"to": ["ana", "ben"]})).await;
    world.calm().await;
    assert!(!told(&world, request).await, "ben has it");

    world.channel.set_connected(&address("ana"), false);
    let request = world.ask_as_agent(json!({"to": ["ana"]})).await;
    world.until(&request, &[Skipped]).await;
    assert!(!told(&world, request).await, "ana gets it when she comes back");
}

#[tokio::test]
async fn an_empty_route_leaves_the_request_answerable_and_is_gone_when_a_channel_appears() {
    let world = World::two();
    let (store, clock) = (world.store.clone(), world.clock.clone());
    let nowhere = UserRef { id: "018f0000-0000-7000-8000-00000000dada".parse().unwrap(), username: "dora".into() };
    store
        .add_person(Person { user: nowhere.clone(), preferences: Preferences::default(), addresses: Vec::new() }, None);
    let request = world.ask(json!({"to": ["dora"]})).await;
    world.calm().await;
    assert!(world.statuses(&request).await.is_empty());
    // The hub stops, dora gets an address, and the hub starts again.
    world.stop.cancel();
    world.calm().await;
    let name: ChannelName = "second".parse().unwrap();
    store.replace_person(&Person {
        user: nowhere.clone(),
        preferences: Preferences { channels: vec![name.clone()], ..Preferences::default() },
        addresses: vec![(name, address("dora"))],
    });
    tokio::spawn(world.hub.clone().run(CancellationToken::new()));
    world.calm().await;
    clock.advance(Duration::from_secs(10));
    world.until(&request, &[Sent]).await;
}

#[tokio::test]
async fn a_receipt_that_turns_up_late_makes_an_unknown_delivery_sent_and_settled() {
    let world = World::two();
    world.channel.fail_next(error(ErrorKind::Ambiguous));
    let request = world.ask_ana(json!({})).await;
    world.until(&request, &[Unknown, Sent]).await;
    // It had arrived after all.
    let what = world.all[1].sent()[0].what.clone();
    let receipt = world.channel.send(&address("ana"), &what).await.unwrap();
    let delivery = world.delivery_of(&request, 0).await.id;
    let sent = |channel: usize| Inbound::Sent {
        channel: world.all[channel].name().clone(),
        delivery,
        receipt: receipt.clone(),
    };
    assert_eq!(world.hub.accept(sent(1)).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(world.statuses(&request).await, [Unknown, Sent], "another channel's word changes nothing");
    // A device can be faster than the word of what was sent to it.
    let (from, channel) = (address("ana"), world.channel.name().clone());
    let seen = Inbound::Acknowledged { channel, from, receipt: receipt.clone(), read: false };
    world.hub.accept(seen).await.unwrap();
    assert_eq!(world.statuses(&request).await, [Unknown, Sent]);
    world.hub.accept(sent(0)).await.unwrap();
    assert_eq!(world.statuses(&request).await, [Delivered, Sent]);
    world.answer(&request, 0, json!("approved")).await;
    world.until(&request, &[Settled, Settled]).await;
    assert!(world.channel.sent()[0].ending.is_some());
}

#[tokio::test]
async fn what_is_harmless_to_send_twice_is_tried_again_after_an_unknown_end() {
    let world = World::new(Capabilities { idempotent_send: true, ..MemoryChannel::CAPABILITIES });
    world.channel.fail_next(error(ErrorKind::Ambiguous));
    let request = world.ask_ana(json!({})).await;
    world.until(&request, &[Queued]).await;
    world.calm().await;
    world.pass(Duration::from_secs(1)).await;
    world.until(&request, &[Sent]).await;
}

#[tokio::test]
async fn what_may_have_arrived_is_not_called_settled_when_the_end_comes_before_another_try() {
    let world = World::new(Capabilities { idempotent_send: true, ..MemoryChannel::CAPABILITIES });
    for doubtful in [error(ErrorKind::Ambiguous), error(ErrorKind::Unavailable).in_doubt()] {
        world.channel.fail_next(doubtful);
        let request = world.ask_ana(json!({})).await;
        world.calm().await;
        assert_eq!(world.statuses(&request).await, [Queued]);
        world.answer(&request, 0, json!("approved")).await;
        assert_eq!(world.statuses(&request).await, [Unknown]);
    }
    world.channel.fail_next(error(ErrorKind::Unavailable));
    let request = world.ask_ana(json!({})).await;
    world.calm().await;
    assert_eq!(world.statuses(&request).await, [Queued]);
    world.answer(&request, 0, json!("approved")).await;
    assert_eq!(world.statuses(&request).await, [Settled], "nobody saw it");
}

#[tokio::test]
async fn a_broadcast_tries_again_what_failed_before_its_last_attempt_ended() {
    let slow = Capabilities { send_rate: Some(SendRate { per_second: 1, burst: 1 }), ..MemoryChannel::CAPABILITIES };
    let world = World::with(&[("slow", slow), ("quick", MemoryChannel::CAPABILITIES)]);
    let before = world.ask_ana(json!({})).await;
    world.until(&before, &[Sent]).await;
    world.all[1].fail_next(error(ErrorKind::Unavailable));
    let request = world.ask_ana(json!({"strategy": "broadcast"})).await;
    world.until(&request, &[Sending, Queued]).await;
    world.pass(Duration::from_secs(1)).await;
    world.until(&request, &[Sent, Queued]).await;
    world.pass(Duration::from_secs(1)).await;
    world.until(&request, &[Sent, Sent]).await;
}

#[tokio::test]
async fn an_answer_in_words_counts_when_it_is_plain_and_is_asked_back_when_not() {
    let world = World::plain();
    let request = world.ask_ana(json!({})).await;
    let said = |text: &str, event: &str| Inbound::Text {
        channel: world.channel.name().clone(),
        from: address("ana"),
        about: crate::channel::About::Request(request.id),
        text: text.into(),
        event: Some(event.into()),
    };
    let heard = async |what| match world.hub.accept(what).await.unwrap() {
        crate::channel::Reply::Response(responded) => *responded,
        other => panic!("not a response: {other:?}"),
    };
    let unsure = heard(said("yes but not today", "1")).await;
    assert_eq!(unsure.recorded.response.verdict, Verdict::Invalid);
    assert_eq!(unsure.recorded.response.value, json!("yes but not today"));
    assert!(unsure.faults[0].detail.contains("approve"), "{:?}", unsure.faults);
    let sure = heard(said("Yes, go ahead!", "2")).await;
    assert_eq!((sure.recorded.response.verdict, sure.recorded.response.value), (Verdict::Accepted, json!("approved")));
}

#[tokio::test]
async fn the_same_stop_named_twice_is_asked_once() {
    let world = World::plain();
    let route = json!(["memory", "memory", {"channel": "memory", "address": "at-ana"}]);
    for strategy in ["broadcast", "fallback"] {
        let change = json!({"channels": route, "strategy": strategy, "fallback_after": 1});
        let request = world.ask_ana(change).await;
        world.until(&request, &[Sent]).await;
        world.pass(Duration::from_mins(1)).await;
        assert_eq!(world.statuses(&request).await, [Sent]);
    }
}

#[tokio::test]
async fn a_send_cut_off_by_a_crash_is_of_unknown_end_also_when_its_channel_is_configured_no_more() {
    let mut world = World::two();
    world.stop.cancel();
    world.calm().await;
    let request = world.ask_ana(json!({})).await;
    let lease = world.clock.now().after(Duration::from_secs(30));
    world.store.claim_sends(Uuid::nil().into(), world.clock.now(), lease, 1).await.unwrap();
    let left = [world.all[1].clone()];
    world.restart(Duration::from_secs(30), &left).await;
    let delivery = world.delivery_of(&request, 0).await;
    assert_eq!(delivery.state, DeliveryState::Unknown { reason: "the hub stopped during the send".into() });
    assert_eq!(delivery.attempts.len(), 1);
    world.until(&request, &[Unknown, Sent]).await;
}

#[tokio::test]
async fn what_may_have_arrived_is_not_told_as_undeliverable() {
    let world = World::plain();
    world.channel.fail_next(error(ErrorKind::Ambiguous));
    let request = world.ask_as_agent(json!({"to": ["ana"]})).await;
    world.until(&request, &[Unknown]).await;
    world.calm().await;
    let reader = Reader::Token(TOKEN.parse().unwrap());
    let events = world.store.events(reader, crate::event::EventId(0), 100).await.unwrap().unwrap();
    assert!(events.iter().all(|event| event.kind != EventKind::Undeliverable), "{events:?}");
}
