//! What channels ask the hub, and people who block one.

use super::*;
use crate::{
    channel::{About, Receipt, Reply},
    person::{BLOCKED, Linked},
};

const LINKS: Capabilities = Capabilities { links: true, ..MemoryChannel::CAPABILITIES };

fn two() -> World {
    World::with(&[("first", LINKS), ("second", MemoryChannel::CAPABILITIES)])
}

fn first() -> crate::channel::ChannelName {
    "first".parse().unwrap()
}

#[tokio::test]
async fn who_has_blocked_a_channel_is_asked_on_the_next_one_without_a_call() {
    let world = two();
    world.channel.fail_next(world::error(ErrorKind::Rejected).blocked());
    let refused = world.ask_ana(json!({})).await;
    world.until(&refused, &[Failed, Sent]).await;
    let second = world.ask_ana(json!({})).await;
    world.until(&second, &[Failed, Sent]).await;
    assert_eq!(world.delivery_of(&second, 0).await.state.reason(), Some(BLOCKED));
    assert!(world.delivery_of(&second, 0).await.attempts.is_empty(), "no attempt was made");
    assert!(world.channel.sent().is_empty());
    world.hub.accept(Inbound::Unblocked { channel: first(), address: address("ana") }).await.unwrap();
    let third = world.ask_ana(json!({})).await;
    world.until(&third, &[Sent]).await;
}

#[tokio::test]
async fn who_blocks_a_channel_with_a_question_before_them_is_asked_on_the_next_one() {
    let world = two();
    let request = world.ask_ana(json!({})).await;
    world.until(&request, &[Sent]).await;
    world.hub.accept(Inbound::Blocked { channel: first(), address: address("ana") }).await.unwrap();
    world.until(&request, &[Sent, Sent]).await;
}

#[tokio::test]
async fn an_error_of_another_kind_blocks_nobody() {
    let world = two();
    world.channel.fail_next(world::error(ErrorKind::Rejected));
    let request = world.ask_ana(json!({})).await;
    world.until(&request, &[Failed, Sent]).await;
    let next = world.ask_ana(json!({})).await;
    world.until(&next, &[Sent]).await;
}

#[tokio::test]
async fn what_awaits_somebody_comes_where_they_ask_for_it() {
    let world = two();
    let elsewhere = world.ask_ana(json!({"channels": ["second"]})).await;
    let here = world.ask_ana(json!({"channels": ["first"]})).await;
    world.until(&elsewhere, &[Sent]).await;
    world.until(&here, &[Sent]).await;
    let pending = world.hub.pending(&first(), &address("ana"), 5).await.unwrap().unwrap();
    assert_eq!((pending.person.username.as_str(), pending.sending, pending.more), ("ana", 1, false));
    let [out] = pending.out.as_slice() else { panic!("{:?}", pending.out) };
    assert_eq!(out.receipt, Receipt::from("memory-1".to_owned()));
    assert_eq!(out.outbound.id, world.delivery_of(&here, 0).await.id.uuid());
    world.until(&elsewhere, &[Sent, Sent]).await;
    let one = world.hub.pending(&first(), &address("ana"), 1).await.unwrap().unwrap();
    assert_eq!((one.out.len(), one.more), (1, true));
    assert!(world.hub.pending(&first(), &address("max"), 5).await.unwrap().is_none());
}

#[tokio::test]
async fn words_about_what_was_not_sent_are_about_nothing() {
    let world = two();
    let said = || Inbound::Text {
        channel: first(),
        from: address("ana"),
        about: About::Sent(Receipt::from("memory-1".to_owned())),
        text: "approve".into(),
        event: None,
    };
    assert_eq!(world.hub.accept(said()).await.unwrap_err().kind(), ErrorKind::NotFound);
    // A send is under way, which may be what they reply to; it hangs.
    world.channel.hang_next();
    world.ask_ana(json!({})).await;
    world.calm().await;
    let (hub, words) = (world.hub.clone(), said());
    let waiting = tokio::spawn(async move { hub.accept(words).await });
    world.calm().await;
    world.pass(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished(), "it waits for the receipt");
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn how_much_there_is_is_counted_once_a_minute() {
    let world = two();
    assert_eq!(world.hub.counts().await.unwrap().pending, 0);
    world.ask_ana(json!({})).await;
    assert_eq!(world.hub.counts().await.unwrap().pending, 0, "everybody may ask for it");
    world.pass(Duration::from_mins(1)).await;
    assert_eq!(world.hub.counts().await.unwrap().pending, 1);
}

#[tokio::test]
async fn what_links_nobody_says_so() {
    let world = two();
    let linked = Inbound::Linked { channel: first(), from: address("4711"), code: "nobodys".into() };
    assert!(matches!(world.hub.accept(linked).await.unwrap(), Reply::Linked(Linked::Stale)));
    let unlinked = Inbound::Unlinked { channel: first(), from: address("4711") };
    assert!(matches!(world.hub.accept(unlinked).await.unwrap(), Reply::Unlinked(None)));
}
