//! The orchestrator on the in-memory store, the in-memory channel and a clock that is moved by hand.

mod callbacks;
mod desk;
mod health;
mod preferences;
mod presence;
mod retention;
mod routes;
mod servers;
mod world;

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Answer, ChannelState, Channels, CreateError, Hub, Parts, Responded};
use crate::{
    Clock, Error, ErrorKind, Timestamp,
    channel::{Address, AnswerUrls, Capabilities, Channel, Connection, Content, Inbound, Inbox, MemoryChannel},
    clock::ManualClock,
    event::Bus,
    feedback::{Delivery, DeliveryState, DeliveryStatus, Draft, Request, Source, Status, Verdict},
    id::{Ids, UserId},
    limits::Unlimited,
    person::{Asker, Person, Preferences, TokenRef, UserRef},
    store::{Created, Ended, Idempotency, MemoryStore, Store},
};

use world::{Pages, RETENTION, TOKEN, World, address, error};

use DeliveryStatus::{Delivered, Failed, Queued, Read, Sending, Sent, Settled, Skipped, Unknown};

#[tokio::test]
async fn a_link_that_answers_in_somebodys_name_goes_to_no_address_that_the_asker_named() {
    let world = World::plain();
    let request = world.ask(json!({"to": ["ana"], "channels": [{"channel": "memory", "address": "group-1"}]})).await;
    world.until(&request, &[Sent]).await;
    let sent = world.channel.sent();
    assert_eq!(sent[0].to.as_str(), "group-1");
    assert_eq!(sent[0].what.answer_url, Some(format!("http://localhost:8000/#/requests/{}", request.id)));
}

#[tokio::test]
async fn a_request_reaches_everybody_asked_with_a_link_to_it() {
    let world = World::plain();
    let request = world.ask(json!({})).await;
    world.until(&request, &[Sent, Sent]).await;
    let mut sent = world.channel.sent();
    sent.sort_by(|one, other| one.to.cmp(&other.to));
    assert_eq!(sent.iter().map(|sent| sent.to.as_str()).collect::<Vec<_>>(), ["at-ana", "at-ben"]);
    let deliveries = world.store.deliveries(request.id, None, 2).await.unwrap().items;
    for (sent, asked) in sent.iter().zip(&request.terms.to) {
        let Content::Request { person, .. } = &sent.what.content else { panic!("{sent:?}") };
        assert_eq!(person, asked);
        let own = deliveries.iter().find(|delivery| delivery.user_id == asked.id).unwrap().id;
        let own = format!("http://localhost:8000/answer/{}/{own}", request.id);
        assert_eq!(sent.what.answer_url, Some(own), "a link of their own");
    }
}

#[tokio::test]
async fn the_first_valid_answer_wins_and_every_message_shows_it() {
    let world = World::plain();
    let request = world.ask(json!({})).await;
    world.until(&request, &[Sent, Sent]).await;
    let first = world.answer(&request, 1, json!("approved")).await.recorded;
    assert_eq!(first.response.verdict, Verdict::Accepted);
    let second = world.answer(&request, 0, json!("rejected")).await.recorded;
    assert_eq!(second.response.verdict, Verdict::Late);
    assert!(second.response.reason.unwrap().starts_with("ben already answered on api at"));
    world.until(&request, &[Settled, Settled]).await;
    for sent in world.channel.sent() {
        assert_eq!(sent.ending.unwrap().outcome().unwrap().value, json!("approved"));
    }
}

#[tokio::test]
async fn bystanders_are_refused_and_invalid_answers_change_nothing() {
    let world = World::plain();
    let request = world.ask(json!({})).await;
    let refused = world.answer(&request, 2, json!("approved")).await.recorded;
    assert_eq!(refused.response.verdict, Verdict::Refused);
    let invalid = world.answer(&request, 0, json!("yes")).await;
    assert_eq!(invalid.recorded.response.verdict, Verdict::Invalid);
    assert_eq!(invalid.faults[0].allowed, ["approved", "rejected"]);
    assert!(world.now(&request).await.is_pending());
    assert_eq!(world.store.responses(request.id, None, 10).await.unwrap().items.len(), 2);
}

#[tokio::test]
async fn of_a_response_that_cannot_be_accepted_no_more_is_kept_than_of_one_that_can() {
    let world = World::plain();
    let request = world.ask(json!({})).await;
    for (who, verdict) in [(2, Verdict::Refused), (0, Verdict::Invalid)] {
        let kept = world.answer(&request, who, json!("x".repeat(70_000))).await.recorded.response;
        assert_eq!((kept.verdict, kept.value), (verdict, Value::Null));
        assert!(kept.reason.unwrap().ends_with("(its value of 70002 bytes is not kept)"));
    }
    let answer = Answer {
        request: request.id,
        by: Some(world.people[0].clone()),
        channel: "api".parse().unwrap(),
        value: json!("approved"),
        comment: Some("ü".repeat(5_000)),
        event: None,
    };
    let responded = world.hub.respond(answer).await.unwrap().unwrap();
    assert_eq!(responded.faults[0].field, "comment");
    assert_eq!(responded.recorded.response.comment.unwrap().chars().count(), 4_000);
    assert!(world.now(&request).await.is_pending());
}

#[tokio::test]
async fn who_leaves_during_the_send_is_skipped_as_if_they_had_been_away() {
    let world = World::new(Capabilities { idempotent_send: true, ..MemoryChannel::CAPABILITIES });
    world.channel.hang_next();
    let request = world.ask(json!({"to": ["ana"]})).await;
    world.until(&request, &[Sending]).await;
    tokio::task::yield_now().await;
    world.channel.set_connected(&address("ana"), false);
    world.clock.advance(Duration::from_secs(10));
    world.until(&request, &[Skipped]).await;
}

#[tokio::test]
async fn the_deadline_ends_it_with_the_outcome_the_asker_named_and_approves_nothing() {
    let world = World::plain();
    let request = world.ask(json!({"expires_in": 60, "on_expiry": "rejected"})).await;
    world.until(&request, &[Sent, Sent]).await;
    world.clock.advance(Duration::from_mins(1));
    world.until(&request, &[Settled, Settled]).await;
    let ended = world.now(&request).await;
    assert_eq!(ended.state.status(), Status::Expired);
    let outcome = ended.ending().unwrap().outcome().unwrap();
    assert_eq!((outcome.source, &outcome.value), (Source::OnExpiry, &json!("rejected")));
    assert_eq!(world.answer(&request, 0, json!("approved")).await.recorded.response.verdict, Verdict::Late);
    assert_eq!(world.now(&request).await.state, ended.state);
}

#[tokio::test]
async fn a_nearer_deadline_is_kept_although_the_hub_sleeps_towards_a_later_one() {
    let world = World::plain();
    let later = world.ask(json!({"expires_in": 100})).await;
    world.until(&later, &[Sent, Sent]).await;
    let sooner = world.ask(json!({"expires_in": 5})).await;
    world.until(&sooner, &[Sent, Sent]).await;
    world.clock.advance(Duration::from_secs(5));
    world.until(&sooner, &[Settled, Settled]).await;
    assert!(world.now(&later).await.is_pending());
}

#[tokio::test]
async fn a_cancelled_request_is_settled_and_cannot_be_cancelled_twice() {
    let world = World::plain();
    let request = world.ask(json!({})).await;
    world.until(&request, &[Sent, Sent]).await;
    assert!(matches!(world.hub.cancel(request.id).await.unwrap(), Some(Ended::Now(_))));
    assert!(matches!(world.hub.cancel(request.id).await.unwrap(), Some(Ended::Before(_))));
    world.until(&request, &[Settled, Settled]).await;
}

#[tokio::test]
async fn where_a_message_cannot_be_edited_a_notice_says_that_it_is_over() {
    let world = World::new(Capabilities { edit: false, ..MemoryChannel::CAPABILITIES });
    let request = world.ask(json!({"to": ["ana"]})).await;
    world.until(&request, &[Sent]).await;
    world.answer(&request, 0, json!("approved")).await;
    world.until(&request, &[Settled]).await;
    let sent = world.channel.sent();
    assert!(matches!(&sent[1].what.content, Content::Notice { text } if text.contains("ana already answered")));
    assert_eq!(sent[1].what.thread.as_ref(), Some(&sent[0].receipt));
}

#[tokio::test]
async fn who_is_away_is_skipped_and_gets_it_on_return() {
    let world = World::plain();
    world.channel.set_connected(&address("ana"), false);
    let request = world.ask(json!({"to": ["ana"]})).await;
    world.until(&request, &[Skipped]).await;
    world.channel.set_connected(&address("ana"), true);
    let connected = Inbound::Connected {
        channel: world.channel.name().clone(),
        address: address("ana"),
        connection: Connection::Here,
    };
    world.hub.accept(connected).await.unwrap();
    world.until(&request, &[Sent]).await;
}

#[tokio::test]
async fn a_passing_fault_is_tried_again_and_a_lasting_one_is_not() {
    let world = World::plain();
    world.channel.fail_next(Error::new(ErrorKind::Unavailable, "memory.send", "down"));
    let request = world.ask(json!({"to": ["ana"]})).await;
    while world.store.deliveries(request.id, None, 1).await.unwrap().items[0]
        .attempts
        .iter()
        .all(|one| one.error.is_none())
    {
        tokio::task::yield_now().await;
    }
    world.until(&request, &[Queued]).await;
    world.clock.advance(Duration::from_secs(1));
    world.until(&request, &[Sent]).await;
    let attempts = world.store.deliveries(request.id, None, 1).await.unwrap().items.remove(0).attempts;
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0].error.as_deref(), Some("memory.send: down"));

    world.channel.fail_next(Error::new(ErrorKind::Auth, "memory.send", "revoked"));
    let request = world.ask(json!({"to": ["ana"]})).await;
    world.until(&request, &[Failed]).await;
    assert_eq!(world.hub.channels().iter().next().unwrap().state(), ChannelState::NeedsAuth);
}

#[tokio::test]
async fn a_hanging_send_is_unknown_and_not_repeated() {
    let world = World::plain();
    world.channel.hang_next();
    let request = world.ask(json!({"to": ["ana"]})).await;
    world.until(&request, &[Sending]).await;
    tokio::task::yield_now().await;
    world.clock.advance(Duration::from_secs(10));
    world.until(&request, &[Unknown]).await;
    world.clock.advance(Duration::from_hours(1));
    world.until(&request, &[Unknown]).await;
    assert!(world.channel.sent().is_empty());
}

#[tokio::test]
async fn a_send_cut_off_by_a_crash_is_repeated_only_where_that_is_harmless_and_never_after_the_end() {
    for (idempotent_send, cancelled, expected) in [(false, false, Unknown), (true, false, Sent), (true, true, Unknown)]
    {
        let world = World::new(Capabilities { idempotent_send, ..MemoryChannel::CAPABILITIES });
        // Another server claims the delivery, and dies.
        world.stop.cancel();
        let request = world.ask(json!({"to": ["ana"]})).await;
        let lease = world.clock.now().after(Duration::from_secs(30));
        world.store.claim_sends(Uuid::nil().into(), world.clock.now(), lease, 1).await.unwrap();
        if cancelled {
            world.hub.cancel(request.id).await.unwrap();
        }
        world.clock.advance(Duration::from_secs(30));
        tokio::spawn(world.hub.clone().run(CancellationToken::new()));
        world.until(&request, &[expected]).await;
        assert_eq!(world.channel.sent().len(), usize::from(expected == Sent));
    }
}

#[tokio::test]
async fn a_failed_settlement_is_tried_again_until_the_person_is_told() {
    let world = World::plain();
    let request = world.ask(json!({"to": ["ana"]})).await;
    world.until(&request, &[Sent]).await;
    world.channel.fail_next(Error::new(ErrorKind::RateLimited, "memory.settle", "slow down"));
    world.answer(&request, 0, json!("approved")).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.statuses(&request).await, [Sent]);
    world.clock.advance(Duration::from_secs(1));
    world.until(&request, &[Settled]).await;
    assert!(world.channel.sent()[0].ending.is_some());
}

#[tokio::test]
async fn acknowledgements_go_forward_only() {
    let world = World::plain();
    let request = world.ask(json!({"to": ["ana"]})).await;
    world.until(&request, &[Sent]).await;
    let receipt = world.channel.sent()[0].receipt.clone();
    let acknowledge = |read| Inbound::Acknowledged {
        channel: world.channel.name().clone(),
        from: address("ana"),
        receipt: receipt.clone(),
        read,
    };
    world.hub.accept(acknowledge(false)).await.unwrap();
    assert_eq!(world.statuses(&request).await, [Delivered]);
    world.hub.accept(acknowledge(true)).await.unwrap();
    assert_eq!(world.statuses(&request).await, [Read]);
    world.hub.accept(acknowledge(false)).await.unwrap();
    assert_eq!(world.statuses(&request).await, [Read]);
}

#[tokio::test]
async fn an_acknowledgement_that_overtakes_the_record_of_its_send_is_kept_for_it() {
    let world = World::plain();
    let early = Inbound::Acknowledged {
        channel: world.channel.name().clone(),
        from: address("ana"),
        receipt: String::from("memory-1").into(),
        read: false,
    };
    world.hub.accept(early).await.unwrap();
    let request = world.ask(json!({"to": ["ana"]})).await;
    world.until(&request, &[Delivered]).await;
}

#[tokio::test]
async fn a_waiter_hears_the_ending_and_one_whose_time_is_up_sees_it_pending() {
    let world = World::plain();
    let request = world.ask(json!({})).await;
    let until = world.clock.now().after(Duration::from_secs(30));
    let (hub, id) = (world.hub.clone(), request.id);
    let waiter = tokio::spawn(async move { hub.wait(id, until, &CancellationToken::new()).await });
    tokio::task::yield_now().await;
    world.answer(&request, 0, json!("approved")).await;
    assert_eq!(waiter.await.unwrap().unwrap().unwrap().state.status(), Status::Answered);

    let other = world.ask(json!({})).await;
    let seen = world.hub.wait(other.id, world.clock.now(), &CancellationToken::new()).await.unwrap();
    assert!(seen.unwrap().is_pending());
}

#[tokio::test]
async fn unknown_people_and_channels_are_named_and_nothing_is_stored() {
    let world = World::plain();
    let Err(CreateError::UnknownPeople(faults)) = world.try_ask(json!({"to": ["ana", "nobody"]})).await else {
        panic!("created")
    };
    assert_eq!(faults[0].field, "to[1]");
    let Err(CreateError::Invalid(faults)) = world.try_ask(json!({"channels": ["slack"]})).await else {
        panic!("created")
    };
    assert_eq!((faults[0].field.as_str(), faults[0].allowed.as_slice()), ("channels[0]", &["memory".to_string()][..]));
    assert_eq!(world.store.head().await.unwrap().0, 0);
}

#[tokio::test]
async fn the_same_key_asks_once() {
    let world = World::plain();
    let draft =
        || serde_json::from_value::<Draft>(json!({"kind": "approval", "prompt": "Deploy?", "to": ["ana"]})).unwrap();
    let asker = || Asker { user: world.people[2].clone(), token: None };
    let key = |fingerprint| Some(Idempotency { key: [1; 32], fingerprint: [fingerprint; 32] });
    let Ok(Created::New(first)) = world.hub.create(asker(), draft(), key(1)).await else { panic!("not created") };
    let Ok(Created::Replayed(again)) = world.hub.create(asker(), draft(), key(1)).await else { panic!("not replayed") };
    assert_eq!(first.id, again.id);
    assert!(matches!(world.hub.create(asker(), draft(), key(2)).await, Ok(Created::Mismatch)));
    assert_eq!(world.store.head().await.unwrap().0, 1);
}

#[tokio::test]
async fn a_repeated_event_of_a_provider_is_one_response() {
    let world = World::plain();
    let request = world.ask(json!({"to": ["ana"]})).await;
    let click = || Inbound::Response {
        channel: world.channel.name().clone(),
        from: address("ana"),
        request: request.id,
        value: json!("approved"),
        comment: None,
        event: Some("evt-1".into()),
    };
    for duplicate in [false, true] {
        let crate::channel::Reply::Response(responded) = world.hub.accept(click()).await.unwrap() else { panic!() };
        assert_eq!(responded.recorded.duplicate, duplicate);
        assert_eq!(responded.recorded.response.verdict, Verdict::Accepted);
    }
    assert_eq!(world.store.responses(request.id, None, 10).await.unwrap().items.len(), 1);
}
