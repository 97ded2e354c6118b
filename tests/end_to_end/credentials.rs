//! What ends with a token or a sign-in: open sockets and parked waits, however it ends.

use std::{pin::pin, sync::Arc, time::Duration};

use hearback::api::problem::ProblemKind;
use hearback_core::{Timestamp, clock::ManualClock};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    auth::{log_in, refresh, text},
    server::{PASSWORD, TestServer},
    socket::{SOON, Socket},
};

/// Long enough for what would be wrong to show.
const A_MOMENT: Duration = Duration::from_millis(200);
/// More ends than a listener may fall behind.
const MANY: u32 = 300;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_micros(1_795_253_400_000_000)))
}

#[tokio::test]
async fn showing_a_used_refresh_token_closes_the_sockets_of_its_sign_in() {
    let server = TestServer::start().await;
    server.register("ana").await;
    let first = log_in(&server, "ana", PASSWORD).await.body;
    let other = log_in(&server, "ana", PASSWORD).await.body;
    let caller = |tokens: &Value| server.caller(text(tokens, "access_token"));
    let mut socket = Socket::open(&server, &caller(&first), None).await;
    let mut elsewhere = Socket::open(&server, &caller(&other), None).await;
    socket.expect("connection_established").await;
    elsewhere.expect("connection_established").await;
    assert_eq!(refresh(&server, text(&first, "refresh_token")).await.status, StatusCode::OK);
    assert_eq!(refresh(&server, text(&first, "refresh_token")).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(socket.close_code().await, Some(1008));
    elsewhere.say(json!({"type": "ping"})).await;
    elsewhere.expect("pong").await;
}

#[tokio::test]
async fn a_token_that_expires_closes_its_sockets_and_ends_its_waits() {
    let clock = clock();
    let server = TestServer::on(clock.clone(), |_| {}).await;
    let ana = server.register("ana").await;
    let made = ana.post("/api/tokens", json!({"name": "deploy-bot", "expires_in": 10})).await.body;
    let agent = server.caller(text(&made, "token"));
    let request = agent.ask(&[&ana]).await;
    let mut socket = Socket::open(&server, &agent, None).await;
    socket.expect("connection_established").await;
    let path = format!("/api/feedback/{}", text(&request, "id"));
    let (waiter, wait) = (agent.clone(), format!("{path}?wait=60"));
    let waiting = tokio::spawn(async move { waiter.get(&wait).await });
    server.parked(1).await;
    clock.advance(Duration::from_secs(9));
    assert_eq!(agent.get(&path).await.status, StatusCode::OK);
    clock.advance(Duration::from_secs(1));
    assert_eq!(socket.close_code().await, Some(1008));
    let ended = timeout(SOON, waiting).await.expect("the wait ends").unwrap();
    assert_eq!((ended.status, ended.problem()), (StatusCode::UNAUTHORIZED, "unauthenticated"));
}

#[tokio::test]
async fn a_sign_in_is_good_for_as_long_as_it_is_renewed() {
    let clock = clock();
    let server = TestServer::on(clock.clone(), |_| {}).await;
    server.register("ana").await;
    let tokens = log_in(&server, "ana", PASSWORD).await.body;
    let auth = &server.running().app().auth;
    let over = auth.over();
    let principal = auth.authenticate_bearer(text(&tokens, "access_token")).await.unwrap();
    let mut end = pin!(auth.until_over(&principal, over));
    let days = |days: u64| Duration::from_hours(days * 24);
    clock.advance(days(6));
    assert_eq!(refresh(&server, text(&tokens, "refresh_token")).await.status, StatusCode::OK);
    clock.advance(days(6));
    assert!(timeout(A_MOMENT, &mut end).await.is_err(), "it was renewed");
    clock.advance(days(1));
    assert_eq!(timeout(SOON, end).await.expect("its end").kind(), ProblemKind::Unauthenticated);
}

#[tokio::test]
async fn who_missed_what_was_ended_asks_and_is_told_that_it_is_still_good() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let auth = &server.running().app().auth;
    for token in [&ana.token, &agent.token] {
        let over = auth.over();
        let principal = auth.authenticate_bearer(token.as_ref().unwrap()).await.unwrap();
        for _ in 0..MANY {
            auth.sign_out(Uuid::nil()).await.unwrap();
        }
        let mut end = pin!(auth.until_over(&principal, over));
        assert!(timeout(A_MOMENT, &mut end).await.is_err(), "what ended were others");
    }
    // And when it was among what was missed, it is told so; when nobody can tell, that.
    let (over, deaf) = (auth.over(), auth.over());
    let principal = auth.authenticate_bearer(ana.token.as_ref().unwrap()).await.unwrap();
    let other = auth.authenticate_bearer(agent.token.as_ref().unwrap()).await.unwrap();
    ana.post("/api/auth/logout", json!({})).await;
    for _ in 0..MANY {
        auth.sign_out(Uuid::nil()).await.unwrap();
    }
    assert_eq!(timeout(SOON, auth.until_over(&principal, over)).await.unwrap().kind(), ProblemKind::Unauthenticated);
    server.running().storage().close().await;
    assert_eq!(timeout(SOON, auth.until_over(&other, deaf)).await.unwrap().kind(), ProblemKind::Unavailable);
}
