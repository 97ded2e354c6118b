//! How much people may do in a minute: over the API, on the socket, over channels, on several servers.

use std::{sync::Arc, time::Duration};

use hearback::storage::postgres::Scratch;
use hearback_core::{Timestamp, clock::ManualClock};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    auth::text,
    server::{Answered, Caller, TestServer},
    socket::Socket,
};

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_micros(1_795_253_400_000_000)))
}

/// A call that counts: an answer that comes too late.
async fn act(person: &Caller, over: &Value) -> Answered {
    person.answer(over, json!("approved")).await
}

/// What the headers say: limit, remaining, reset.
pub(crate) fn rate(answer: &Answered) -> [u64; 3] {
    ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]
        .map(|name| answer.headers[name].to_str().unwrap().parse().unwrap())
}

async fn ended(server: &TestServer, asker: &Caller, person: &Caller) -> Value {
    let request = server.agent(asker).await.ask(&[person]).await;
    asker.post(&format!("/api/feedback/{}/cancel", text(&request, "id")), json!({})).await;
    request
}

#[tokio::test]
async fn what_counts_says_how_much_is_left_and_too_much_changes_nothing() {
    let clock = clock();
    let server = TestServer::on(clock.clone(), |_| {}).await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let request = agent.ask(&[&ana]).await;
    let first = act(&ana, &request).await;
    assert_eq!((first.status, rate(&first)), (StatusCode::OK, [20, 19, 3]));
    for left in (0..19).rev() {
        let late = act(&ana, &request).await;
        assert_eq!((late.problem(), rate(&late)[1]), ("late", left), "refusals count as well");
    }
    let open = agent.ask(&[&ana]).await;
    let refused = act(&ana, &open).await;
    assert_eq!((refused.problem(), rate(&refused)), ("too_many_requests", [20, 0, 60]));
    assert_eq!(refused.headers["retry-after"], "3");
    let detail = "You do more than 20 a minute over this channel: nothing was done, try again in 3 s.";
    assert_eq!(refused.body["detail"], detail);
    let path = format!("/api/feedback/{}", text(&open, "id"));
    assert_eq!(agent.get(&path).await.body["status"], "pending");
    assert_eq!(agent.get(&format!("{path}/responses")).await.body["items"], json!([]), "it is not kept either");
    for _ in 0..40 {
        assert_eq!(ana.get("/api/feedback").await.status, StatusCode::OK, "reading does not count");
        assert_eq!(agent.post("/api/feedback", json!({})).await.problem(), "invalid", "nor do agents");
    }
    let standing = ana.get("/api/me/limits").await.body["limits"].clone();
    assert_eq!((&standing[0]["name"], &standing[0]["remaining"]), (&json!("channel"), &json!(0)));
    assert_eq!((&standing[1]["name"], &standing[1]["remaining"]), (&json!("user"), &json!(10)));
    clock.advance(Duration::from_secs(3));
    assert_eq!(act(&ana, &open).await.status, StatusCode::OK);
}

#[tokio::test]
async fn one_person_s_limit_is_not_another_s_and_0_is_none() {
    let server = TestServer::on(clock(), |config| {
        config.rate_limit_user = 2;
        config.rate_limit_channel = 0;
    })
    .await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let request = ended(&server, &ana, &ben).await;
    for _ in 0..2 {
        assert_eq!(act(&ben, &request).await.problem(), "cancelled");
    }
    assert_eq!(act(&ben, &request).await.problem(), "too_many_requests");
    assert_eq!(act(&ana, &request).await.problem(), "forbidden");
    let off = TestServer::on(clock(), |config| {
        (config.rate_limit_user, config.rate_limit_channel) = (0, 0);
    })
    .await;
    let ana = off.register("ana").await;
    let request = ended(&off, &ana, &ana).await;
    for _ in 0..40 {
        let answer = act(&ana, &request).await;
        assert_eq!(answer.problem(), "cancelled");
        assert!(!answer.headers.contains_key("x-ratelimit-limit"));
    }
    assert_eq!(ana.get("/api/me/limits").await.body["limits"], json!([]));
}

#[tokio::test]
async fn the_socket_counts_with_the_api_and_says_when_it_is_too_much() {
    let clock = clock();
    let server = TestServer::on(clock.clone(), |config| config.rate_limit_user = 3).await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let mut socket = Socket::open(&server, &ana, None).await;
    socket.expect("connection_established").await;
    let gone = ended(&server, &ana, &ana).await;
    socket.expect("feedback_request").await;
    socket.expect("feedback_settled").await;
    act(&ana, &gone).await;
    for _ in 0..2 {
        socket.answer(&gone, json!("approved")).await;
        assert_eq!(socket.expect("error").await["code"], "cancelled");
    }
    let open = agent.ask(&[&ana]).await;
    socket.expect("feedback_request").await;
    socket.answer(&open, json!("approved")).await;
    let exceeded = socket.expect("rate_limit_exceeded").await;
    assert_eq!((&exceeded["request_id"], &exceeded["retry_after"]), (&open["id"], &json!(20)));
    socket.say(json!({"type": "get_rate_limit_status"})).await;
    let status = socket.expect("rate_limit_status").await;
    assert_eq!(status["limits"][0], json!({"name": "user", "limit": 3, "remaining": 0, "reset": 60}));
    assert_eq!(status["limits"][1]["remaining"], 18, "over the socket alone");
    clock.advance(Duration::from_secs(20));
    socket.answer(&open, json!("approved")).await;
    assert_eq!(socket.expect("feedback_settled").await["request"]["status"], "answered");
    let mut of_agent = Socket::open(&server, &agent, None).await;
    of_agent.expect("connection_established").await;
    of_agent.say(json!({"type": "get_rate_limit_status"})).await;
    assert_eq!(of_agent.expect("rate_limit_status").await["limits"], json!([]), "what agents ask is not limited");
}

#[tokio::test]
async fn limits_hold_across_servers() {
    let Some(database) = Scratch::for_test().await else { return };
    let clock = clock();
    let one = TestServer::beside_on(&database, clock.clone()).await;
    let other = TestServer::beside_on(&database, clock.clone()).await;
    let ana = one.register("ana").await;
    let there = other.caller(ana.token.as_ref().unwrap());
    let request = ended(&one, &ana, &ana).await;
    for number in 0..20 {
        let left = rate(&act(if number % 2 == 0 { &ana } else { &there }, &request).await)[1];
        assert_eq!(left, 19 - number);
    }
    for caller in [&ana, &there] {
        let refused = act(caller, &request).await;
        assert_eq!((refused.problem(), rate(&refused)), ("too_many_requests", [20, 0, 60]));
    }
    assert_eq!(there.get("/api/me/limits").await.body["limits"][0]["remaining"], 0);
    clock.advance(Duration::from_secs(3));
    assert_eq!(act(&there, &request).await.problem(), "cancelled");
    assert_eq!(act(&ana, &request).await.problem(), "too_many_requests");
}
