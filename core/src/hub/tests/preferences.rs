//! How people like to be reached: their quiet hours, their language, and the codes that confirm their addresses.

use super::*;
use crate::{error::Retry, hub::Code};

const SEVEN: Duration = Duration::from_hours(7);
/// The world's clock stands at a second after midnight at first.
const UNTIL_SEVEN: Duration = Duration::from_secs(7 * 3600 - 1);

/// The channel that is called first, then the others.
fn two_with(preferences: Value) -> World {
    let world = World::two();
    prefer(&world, preferences);
    world
}

/// Gives ana preferences, and the order of the channels.
fn prefer(world: &World, preferences: Value) {
    let names: Vec<_> = world.all.iter().map(|channel| channel.name().clone()).collect();
    let preferences = Preferences { channels: names.clone(), ..serde_json::from_value(preferences).unwrap() };
    let addresses = names.into_iter().map(|name| (name, address("ana"))).collect();
    world.store.replace_person(&Person { user: world.people[0].clone(), preferences, addresses });
}

fn quiet(from: &str) -> Value {
    json!({"quiet_hours": {"from": from, "to": "07:00"}})
}

fn at(since_midnight: Duration) -> Timestamp {
    Timestamp::from_micros(0).after(since_midnight)
}

#[tokio::test]
async fn what_is_asked_in_quiet_hours_goes_out_at_their_end_and_falls_back_from_then_on() {
    let world = two_with(quiet("22:00"));
    let request = world.ask_ana(json!({"fallback_after": 60})).await;
    world.until(&request, &[Queued]).await;
    let due = DeliveryState::Queued { due: at(SEVEN), reason: None };
    assert_eq!(world.delivery_of(&request, 0).await.state, due, "and it shows until when");
    world.pass(UNTIL_SEVEN.saturating_sub(Duration::from_secs(1))).await;
    assert_eq!((world.statuses(&request).await, world.channel.sent().len()), (vec![Queued], 0));
    world.pass(Duration::from_secs(1)).await;
    world.until(&request, &[Sent]).await;
    world.pass(Duration::from_secs(59)).await;
    assert_eq!(world.statuses(&request).await, [Sent]);
    world.pass(Duration::from_secs(1)).await;
    world.until(&request, &[Sent, Sent]).await;
}

#[tokio::test]
async fn what_is_urgent_or_would_be_over_by_then_goes_out_at_once() {
    for change in [json!({"urgent": true}), json!({"expires_in": UNTIL_SEVEN.as_secs()})] {
        let world = two_with(quiet("22:00"));
        let request = world.ask_ana(change).await;
        world.until(&request, &[Sent]).await;
    }
}

#[tokio::test]
async fn a_broadcast_waits_on_every_channel() {
    let world = two_with(quiet("22:00"));
    let request = world.ask_ana(json!({"strategy": "broadcast"})).await;
    world.pass(Duration::from_hours(6)).await;
    assert_eq!(world.statuses(&request).await, [Queued, Queued]);
    world.pass(Duration::from_hours(1)).await;
    world.until(&request, &[Sent, Sent]).await;
}

#[tokio::test]
async fn quiet_hours_that_begin_meanwhile_stop_the_next_channel_and_the_next_round() {
    let world = two_with(quiet("00:01"));
    let request = world.ask_ana(json!({"fallback_after": 60})).await;
    world.until(&request, &[Sent]).await;
    world.pass(Duration::from_mins(1)).await;
    world.until(&request, &[Sent, Queued]).await;
    world.pass(Duration::from_hours(6)).await;
    assert_eq!(world.statuses(&request).await, [Sent, Queued]);
    world.pass(Duration::from_hours(1)).await;
    world.until(&request, &[Sent, Sent]).await;

    let world = World::plain();
    prefer(&world, quiet("00:01"));
    world.channel.fail_next(error(ErrorKind::RateLimited).with_retry(Retry::After(Duration::from_mins(1))));
    let request = world.ask_ana(json!({})).await;
    world.calm().await;
    world.pass(Duration::from_hours(6)).await;
    assert_eq!((world.statuses(&request).await, world.channel.sent().len()), (vec![Queued], 0));
    world.pass(Duration::from_hours(1)).await;
    world.until(&request, &[Sent]).await;
}

#[tokio::test]
async fn who_connects_in_quiet_hours_is_awake() {
    let world = World::plain();
    prefer(&world, quiet("00:01"));
    world.channel.set_connected(&address("ana"), false);
    let request = world.ask_ana(json!({})).await;
    world.until(&request, &[Skipped]).await;
    world.pass(Duration::from_hours(1)).await;
    world.channel.set_connected(&address("ana"), true);
    let (channel, address) = (world.channel.name().clone(), address("ana"));
    world.hub.accept(Inbound::Connected { channel, address, connection: Connection::Here }).await.unwrap();
    world.until(&request, &[Sent]).await;
}

#[tokio::test]
async fn what_a_stopped_hub_could_not_bring_before_the_quiet_hours_waits_for_their_end() {
    for (change, before_seven) in [(json!({}), Queued), (json!({"urgent": true}), Sent)] {
        let mut world = World::plain();
        prefer(&world, quiet("00:01"));
        world.stop.cancel();
        world.calm().await;
        let request = world.ask_ana(change).await;
        world.restart(Duration::from_hours(1), &[world.channel.clone()]).await;
        world.until(&request, &[before_seven]).await;
        let delivery = world.delivery_of(&request, 0).await;
        if before_seven == Queued {
            assert_eq!(delivery.state, DeliveryState::Queued { due: at(SEVEN), reason: None });
            assert_eq!(delivery.attempts, [], "the channel was not called");
        }
        world.pass(Duration::from_hours(6)).await;
        world.until(&request, &[Sent]).await;
    }
}

#[tokio::test]
async fn what_a_crash_cut_off_is_sent_again_at_the_end_of_the_quiet_hours_and_no_other_channel_begins_before() {
    let again = Capabilities { idempotent_send: true, ..MemoryChannel::CAPABILITIES };
    // The lease of what was cut off is over before the quiet hours begin, and in them.
    for from in ["00:01", "00:00"] {
        let mut world = World::with(&[("first", again), ("second", again)]);
        world.stop.cancel();
        world.calm().await;
        let request = world.ask_ana(json!({"fallback_after": 60})).await;
        prefer(&world, quiet(from));
        let (dead, now) = (uuid::Uuid::from_u128(7).into(), world.clock.now());
        let claimed = world.store.claim_sends(dead, now, now.after(Duration::from_secs(30)), 10).await.unwrap().claimed;
        assert_eq!(claimed.len(), 1);
        let channels = world.all.clone();
        world.restart(Duration::from_hours(1), &channels).await;
        world.pass(Duration::from_mins(10)).await;
        let delivery = world.delivery_of(&request, 0).await;
        assert_eq!(delivery.state, DeliveryState::Queued { due: at(SEVEN), reason: None });
        assert_eq!(world.statuses(&request).await, [Queued], "no other channel begins");
        world.pass(Duration::from_hours(6)).await;
        world.until(&request, &[Sent]).await;
    }
}

#[tokio::test]
async fn questions_notices_and_codes_are_in_the_language_of_their_person() {
    let capabilities = Capabilities { edit: false, ..MemoryChannel::CAPABILITIES };
    let world = World::new(capabilities);
    prefer(&world, json!({"locale": "de-at"}));
    let request = world.ask(json!({})).await;
    world.until(&request, &[Sent, Sent]).await;
    world.answer(&request, 1, json!("approved")).await;
    world.until(&request, &[Settled, Settled]).await;
    world.hub.send_code(world.channel.name(), &address("ana"), code()).await.unwrap();
    let sent = world.channel.sent();
    assert_eq!(sent.len(), 5, "two questions, two notices and a code");
    for one in sent {
        let expected = (one.to == address("ana")).then_some("de-AT");
        assert_eq!(one.what.locale.as_deref(), expected, "{:?}", one.what.content);
    }
}

fn code() -> Code {
    Code { code: "12345678".into(), expires_at: at(SEVEN), locale: Some("de-AT".parse().unwrap()) }
}

#[tokio::test]
async fn a_code_that_the_channel_does_not_take_is_a_fault_of_the_kind_that_it_has() {
    let world = World::plain();
    let (name, ana) = (world.channel.name().clone(), address("ana"));
    let nowhere = world.hub.send_code(&"nowhere".parse().unwrap(), &ana, code()).await.unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::NotFound);
    world.channel.set_connected(&ana, false);
    assert_eq!(world.hub.send_code(&name, &ana, code()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    world.channel.set_connected(&ana, true);
    world.channel.fail_next(error(ErrorKind::Rejected));
    assert_eq!(world.hub.send_code(&name, &ana, code()).await.unwrap_err().kind(), ErrorKind::Rejected);
    world.channel.fail_next(error(ErrorKind::Auth));
    assert_eq!(world.hub.send_code(&name, &ana, code()).await.unwrap_err().kind(), ErrorKind::Auth);
    let refused = world.hub.send_code(&name, &ana, code()).await.unwrap_err();
    assert_eq!((refused.kind(), refused.is_uncalled()), (ErrorKind::Unavailable, true), "its credentials are wrong");
    assert!(matches!(refused.retry(), Retry::After(_)), "{refused:?}");
    assert!(world.channel.sent().is_empty());
}

#[tokio::test]
async fn an_e_mail_address_is_the_same_in_any_letters() {
    let world = World::new(Capabilities { email_addresses: true, ..MemoryChannel::CAPABILITIES });
    let user = world.people[0].clone();
    let (mail, address): (_, Address) = (world.channel.name().clone(), "ana@example.com".parse().unwrap());
    let addresses = vec![(mail.clone(), address.clone())];
    world.store.replace_person(&Person { user, preferences: Preferences::default(), addresses });
    let stop = json!([{"channel": mail, "address": "Ana@Example.COM"}]);
    let request = world.ask_ana(json!({"channels": stop})).await;
    world.until(&request, &[Sent]).await;
    assert_eq!(world.channel.sent()[0].to, address);
    let answer = Inbound::Response {
        channel: mail,
        from: "ANA@example.com".parse().unwrap(),
        request: request.id,
        value: json!("approved"),
        comment: None,
        event: None,
    };
    world.hub.accept(answer).await.unwrap();
    assert_eq!(world.now(&request).await.state.status(), Status::Answered);
}
