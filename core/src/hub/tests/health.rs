//! How a channel fares, and what that makes of questions and settlements.

use super::*;
use crate::{channel::SendRate, layer::BreakerState};

#[tokio::test]
async fn an_open_breaker_costs_no_attempt_and_no_time() {
    let world = World::two();
    for _ in 0..5 {
        world.channel.fail_next(error(ErrorKind::Unavailable));
        let request = world.ask_ana(json!({})).await;
        world.until(&request, &[Queued, Sent]).await;
    }
    assert_eq!(world.hub.channels().get(world.channel.name()).unwrap().breaker().state, BreakerState::Open);
    let request = world.ask_ana(json!({})).await;
    world.until(&request, &[Queued, Sent]).await;
    let held = world.delivery_of(&request, 0).await;
    assert!(held.attempts.is_empty());
    assert_eq!(held.state.reason(), Some("the channel's breaker is open"));
    assert!(world.channel.sent().is_empty());
}

#[tokio::test]
async fn a_channel_that_needs_auth_is_passed_over_until_a_probe_finds_it_well() {
    let world = World::two();
    world.calm().await;
    world.channel.fail_probes(Some(ErrorKind::Auth));
    world.channel.fail_next(error(ErrorKind::Auth));
    let request = world.ask_ana(json!({})).await;
    world.until(&request, &[Failed, Sent]).await;
    let second = world.ask_ana(json!({})).await;
    world.until(&second, &[Queued, Sent]).await;
    assert!(world.delivery_of(&second, 0).await.attempts.is_empty());
    let state = || world.hub.channels().get(world.channel.name()).unwrap().state();
    for _ in 0..3 {
        world.pass(Duration::from_secs(30)).await;
        assert_eq!(state(), ChannelState::NeedsAuth);
    }
    world.channel.fail_probes(None);
    world.pass(Duration::from_secs(30)).await;
    assert_eq!(state(), ChannelState::Up);
    let third = world.ask_ana(json!({})).await;
    world.until(&third, &[Sent]).await;
}

#[tokio::test]
async fn a_settlement_outlives_an_open_breaker() {
    let world = World::plain();
    let request = world.ask_ana(json!({})).await;
    world.until(&request, &[Sent]).await;
    for _ in 0..5 {
        world.channel.fail_next(error(ErrorKind::Unavailable));
        world.ask_ana(json!({})).await;
        world.calm().await;
    }
    assert_eq!(world.hub.channels().get(world.channel.name()).unwrap().breaker().state, BreakerState::Open);
    world.answer(&request, 0, json!("approved")).await;
    world.calm().await;
    assert_eq!(world.statuses(&request).await, [Sent]);
    for _ in 0..4 {
        world.pass(Duration::from_secs(30)).await;
    }
    world.until(&request, &[Settled]).await;
}

#[tokio::test]
async fn hanging_sends_do_not_keep_settlements_from_their_turn() {
    let world = World::two();
    let request = world.ask_ana(json!({"channels": ["second"]})).await;
    world.until(&request, &[Sent]).await;
    for _ in 0..3 {
        world.channel.hang_next();
    }
    for _ in 0..3 {
        world.ask_ana(json!({"channels": ["first"]})).await;
    }
    world.calm().await;
    world.answer(&request, 0, json!("approved")).await;
    world.until(&request, &[Settled]).await;
}

#[tokio::test]
async fn a_channel_s_own_send_rate_is_no_attempt() {
    let rate = SendRate { per_second: 1, burst: 1 };
    let slow = Capabilities { send_rate: Some(rate), ..MemoryChannel::CAPABILITIES };
    let world = World::with(&[("first", slow), ("second", MemoryChannel::CAPABILITIES)]);
    let mut last = None;
    for _ in 0..8 {
        last = Some(world.ask_ana(json!({})).await);
        world.calm().await;
    }
    let last = last.unwrap();
    world.until(&last, &[Queued, Sent]).await;
    assert!(world.delivery_of(&last, 0).await.attempts.is_empty());
}

#[tokio::test]
async fn the_last_error_names_the_cause_and_not_the_open_breaker() {
    let world = World::plain();
    let last = || world.hub.channels().get(world.channel.name()).unwrap().last_error().map(|(error, _)| error);
    for _ in 0..5 {
        world.channel.fail_next(error(ErrorKind::Unavailable));
        world.ask_ana(json!({})).await;
        world.calm().await;
    }
    world.ask_ana(json!({})).await;
    world.calm().await;
    assert_eq!(last().as_deref(), Some("memory.send: as scripted"));
    world.channel.fail_probes(Some(ErrorKind::Unavailable));
    world.pass(Duration::from_secs(30)).await;
    let probed = last();
    assert!(probed.as_deref().is_some_and(|error| error.starts_with("memory.probe")), "{probed:?}");
    world.ask_ana(json!({})).await;
    world.calm().await;
    assert_eq!(last(), probed);
}

#[tokio::test]
async fn a_channel_whose_probe_fails_is_degraded_whatever_the_fault() {
    let world = World::plain();
    world.calm().await;
    let running = world.hub.channels().get(world.channel.name()).unwrap();
    assert_eq!(running.state(), ChannelState::Up);
    world.channel.fail_probes(Some(ErrorKind::Config));
    world.pass(Duration::from_mins(5)).await;
    assert_eq!(running.state(), ChannelState::Degraded);
    let noted = Some(("memory.probe: as scripted".into(), world.clock.now()));
    assert_eq!(running.last_error(), noted);
    world.channel.fail_probes(None);
    world.pass(Duration::from_secs(30)).await;
    assert_eq!((running.state(), running.last_error()), (ChannelState::Up, noted), "it is told how long ago that was");
}

#[tokio::test]
async fn a_question_that_is_gone_when_it_is_settled_is_no_fault_of_its_channel() {
    let world = World::plain();
    let request = world.ask_ana(json!({})).await;
    world.until(&request, &[Sent]).await;
    world.channel.fail_next(Error::new(ErrorKind::NotFound, "memory.settle", "gone"));
    world.answer(&request, 0, json!("approved")).await;
    world.until(&request, &[Settled]).await;
    assert_eq!(world.hub.channels().get(world.channel.name()).unwrap().last_error(), None);
}

#[tokio::test]
async fn where_nothing_can_be_edited_the_notice_is_no_longer_than_the_channel_takes() {
    for (text_max, expected) in [(None, "This question is closed: ana already"), (Some(30), "This question is closed.")]
    {
        let world = World::new(Capabilities { edit: false, text_max, ..MemoryChannel::CAPABILITIES });
        let request = world.ask_ana(json!({})).await;
        world.until(&request, &[Sent]).await;
        world.answer(&request, 0, json!("approved")).await;
        world.until(&request, &[Settled]).await;
        let sent = world.channel.sent();
        assert!(sent[1].what.text().starts_with(expected), "{sent:?}");
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_channel_that_hangs() {
    let mut world = World::two();
    world.channel.hang_next();
    let request = world.ask_ana(json!({})).await;
    world.until(&request, &[Sending]).await;
    world.stop.cancel();
    world.calm().await;
    world.pass(Duration::from_secs(4)).await;
    assert_eq!(world.statuses(&request).await, [Sending]);
    world.pass(Duration::from_secs(1)).await;
    let delivery = world.delivery_of(&request, 0).await;
    assert_eq!(delivery.state, DeliveryState::Unknown { reason: "the hub stopped during the send".into() });
    let all = world.all.clone();
    world.restart(Duration::ZERO, &all).await;
    world.until(&request, &[Unknown, Sent]).await;
}

#[tokio::test]
async fn what_a_stop_finds_before_its_channel_was_called_is_sent_after_it() {
    let mut world = World::plain();
    world.channel.hang_reach(true);
    let due = world.clock.now();
    let request = world.ask_ana(json!({})).await;
    world.until(&request, &[Sending]).await;
    world.stop.cancel();
    world.calm().await;
    world.pass(Duration::from_secs(5)).await;
    let delivery = world.delivery_of(&request, 0).await;
    assert_eq!(delivery.state, DeliveryState::Queued { due, reason: None });
    assert!(delivery.attempts.is_empty());
    world.channel.hang_reach(false);
    let all = world.all.clone();
    world.restart(Duration::ZERO, &all).await;
    world.until(&request, &[Sent]).await;
}
