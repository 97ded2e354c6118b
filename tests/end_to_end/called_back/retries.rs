//! What is not taken comes again, with the same id, until it is taken or given up.

use std::{sync::Arc, time::Duration};

use hearback_core::{Clock, Timestamp, clock::ManualClock};
use serde_json::{Value, json};

use super::{
    World,
    receiver::{Answer, Receiver},
};
use crate::server::{PASSWORD, read};

/// A world on a clock that is moved by hand.
async fn manual() -> (World, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_795_000_000_000_000)));
    let world = World::on(clock.clone(), |config| config.outbound_allow = "127.0.0.0/8".parse().unwrap()).await;
    (world, clock)
}

/// How long it is until the next attempt.
fn wait(clock: &ManualClock, callback: &Value) -> Duration {
    let due: Timestamp = serde_json::from_value(callback["next_attempt_at"].clone()).unwrap();
    due.since(clock.now())
}

#[tokio::test]
async fn whatever_a_receiver_does_wrong_it_is_told_again_with_the_same_id() {
    let (world, clock) = manual().await;
    let script = [
        (Answer::Status(500, ""), "the receiver answered 500", 0),
        (Answer::Cut, "the connection to the receiver of callbacks", 0),
        (Answer::Status(429, "Retry-After: 600\r\n"), "the receiver answered 429", 600),
        (Answer::Status(404, ""), "the receiver answered 404", 0),
        (Answer::Redirect("http://127.0.0.1:9/".into()), "the receiver answered 302, which is not followed", 0),
        (Answer::Status(503, "Retry-After: 999999999\r\n"), "the receiver answered 503", 24 * 3600),
        (Answer::Hang, "no answer within 10 s", 0),
    ];
    let mut receiver = Receiver::start(script.iter().map(|(answer, ..)| answer.clone())).await;
    let request = world.cancelled(&receiver.url()).await;
    let mut first = None;
    for (attempts, (answer, error, at_least)) in (1..).zip(&script) {
        let call = receiver.call().await;
        let (id, raw) = first.get_or_insert_with(|| (call.header("webhook-id").to_owned(), call.raw.clone()));
        assert_eq!((call.header("webhook-id"), &call.raw), (id.as_str(), &*raw), "{answer:?}");
        assert_eq!(call.header("webhook-timestamp"), (clock.now().micros() / 1_000_000).to_string(), "{answer:?}");
        if matches!(answer, Answer::Hang) {
            clock.advance(Duration::from_secs(10));
        }
        let callback = world.tried(&request, attempts).await;
        assert!(callback["last_error"].as_str().unwrap().starts_with(error), "{callback}");
        assert_eq!(callback["status"], "queued");
        let wait = wait(&clock, &callback);
        let ceiling = 10 << (attempts - 1);
        assert!((*at_least..=at_least + ceiling).contains(&wait.as_secs()), "{answer:?}: {wait:?}");
        clock.advance(wait);
    }
    receiver.call().await;
    let callback = world.delivered(&request).await;
    assert_eq!((&callback["attempts"], &callback["next_attempt_at"]), (&json!(8), &Value::Null));
    assert_eq!(callback["last_error"], "no answer within 10 s", "what went wrong last is still told");
}

#[tokio::test]
async fn a_success_is_one_by_its_status_and_one_that_hangs_delays_no_other() {
    let world = World::start().await;
    let (mut slow, mut quick) = (Receiver::start([Answer::Hang]).await, Receiver::start([Answer::Endless]).await);
    world.cancelled(&slow.url()).await;
    slow.call().await;
    let request = world.cancelled(&quick.url()).await;
    quick.call().await;
    world.delivered(&request).await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_not_called_for_this_token_any_more() {
    let world = World::start().await;
    let mut receiver = Receiver::start([Answer::Status(410, "")]).await;
    let disabled = |callback: &Value| callback["status"] == "disabled";
    let request = world.cancelled(&receiver.url()).await;
    let callback = world.callback(&request, disabled).await;
    assert_eq!((&callback["attempts"], &callback["next_attempt_at"]), (&json!(1), &Value::Null));
    assert_eq!(callback["last_error"], "the receiver answered 410 Gone");
    receiver.call().await;
    let request = world.cancelled(&receiver.url()).await;
    assert_eq!(world.callback(&request, disabled).await["attempts"], 0);
    assert!(!receiver.was_called());

    // The ways back: another URL, or another token.
    let request = world.cancelled(&format!("{}&again", receiver.url())).await;
    world.delivered(&request).await;
    let other = World { agent: world.server.agent(&world.ana).await, ..world };
    let request = other.cancelled(&receiver.url()).await;
    other.delivered(&request).await;
}

#[tokio::test]
async fn a_restart_loses_no_callback() {
    let (mut world, clock) = manual().await;
    let mut receiver = Receiver::start([Answer::Status(500, ""), Answer::Hang]).await;
    let request = world.cancelled(&receiver.url()).await;
    let id = receiver.call().await.header("webhook-id").to_owned();
    let callback = world.tried(&request, 1).await;
    world.restart().await;
    assert_eq!(world.tried(&request, 1).await, callback);
    clock.advance(wait(&clock, &callback));
    assert_eq!(receiver.call().await.header("webhook-id"), id);
    // This one is cut off by the stop. Nobody knows how it went, so it comes again when its lease has run out.
    let passing = async {
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        loop {
            pace.tick().await;
            clock.advance(Duration::from_secs(1));
        }
    };
    tokio::select! {
        () = world.restart() => {}
        () = passing => {}
    }
    clock.advance(Duration::from_mins(2));
    assert_eq!(receiver.call().await.header("webhook-id"), id);
    world.delivered(&request).await;
}

#[tokio::test]
async fn nothing_is_told_on_behalf_of_a_token_that_is_revoked_or_has_expired() {
    let (mut world, clock) = manual().await;
    let mut receiver = Receiver::start([Answer::Status(500, ""), Answer::Status(500, "")]).await;
    let lives = json!({"name": "short", "expires_in": 5});
    let short = world.ana.post("/api/tokens", lives).await.body;
    let revoked = world.cancelled(&receiver.url()).await;
    let of_revoked = world.tried(&revoked, 1).await;
    let token = world.ana.get("/api/tokens").await.body["items"][1]["id"].as_str().unwrap().to_owned();
    world.agent = world.server.caller(short["token"].as_str().unwrap());
    let expired = world.cancelled(&receiver.url()).await;
    let of_expired = world.tried(&expired, 1).await;
    assert_eq!(world.ana.delete(&format!("/api/tokens/{token}")).await.status.as_u16(), 204);
    clock.advance(Duration::from_secs(5).max(wait(&clock, &of_revoked)).max(wait(&clock, &of_expired)));
    world.agent = world.ana.clone();
    for request in [revoked, expired] {
        let callback = world.callback(&request, |callback| callback["status"] == "failed").await;
        assert_eq!(callback["last_error"], "the service token that asked is revoked or has expired");
        assert_eq!(callback["attempts"], 1);
    }
    receiver.call().await;
    receiver.call().await;
    assert!(!receiver.was_called());
}

#[tokio::test]
async fn what_cannot_be_signed_waits_for_its_secret() {
    let (mut world, clock) = manual().await;
    let right = Some("x".repeat(32).into());
    world.restart_with(|config| config.secret_key.clone_from(&right)).await;
    let created = world.server.caller(&signed_in(&world).await).post("/api/tokens", json!({"name": "later"})).await;
    world.agent = world.server.caller(created.body["token"].as_str().unwrap());
    let mut receiver = Receiver::start([Answer::Status(500, "")]).await;
    let request = world.cancelled(&receiver.url()).await;
    receiver.call().await;
    let callback = world.tried(&request, 1).await;
    world.restart_with(|config| config.secret_key = Some("y".repeat(32).into())).await;
    clock.advance(wait(&clock, &callback));
    let callback = world.tried(&request, 2).await;
    assert_eq!(callback["last_error"], "the hub could not read the secret that signs");
    assert!(!receiver.was_called());
    world.restart_with(|config| config.secret_key.clone_from(&right)).await;
    clock.advance(wait(&clock, &callback));
    receiver.call().await;
    world.delivered(&request).await;
}

/// An access token for Ana: that of before was signed by another secret.
async fn signed_in(world: &World) -> String {
    let form = [("username", "ana"), ("password", PASSWORD)];
    let call = world.server.nobody().call(reqwest::Method::POST, "/api/auth/login").form(&form);
    read(call.send().await.unwrap()).await.body["access_token"].as_str().unwrap().to_owned()
}
