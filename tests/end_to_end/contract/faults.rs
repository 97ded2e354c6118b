//! The problems that the story does not meet.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use hearback::config::Registration;
use hearback_core::clock::ManualClock;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;
use tokio::time::timeout;

use super::shown::Shown;
use crate::{
    server::{Answered, Caller, PASSWORD, TestServer, read},
    socket::{SOON, Socket, connect},
};

pub async fn told(shown: &mut Shown) {
    let mut server = TestServer::start().await;
    shown.at(&server);
    let ana = server.register("ana").await;
    of_calls(&server, &ana, shown).await;
    of_bodies(&ana, shown).await;
    of_keys(&ana, shown).await;
    of_sockets(&server, &ana, shown).await;
    of_a_stopping_hub(&server, shown).await;
    server.stop().await;
    of_an_old_cursor(shown).await;
    let closed = TestServer::with(|config| config.registration = Registration::Closed).await;
    closed.register("ana").await;
    let ben = json!({"email": "ben@example.org", "password": PASSWORD});
    shown.refused("registration_closed", &closed.nobody().post("/api/auth/register", ben).await);
}

async fn send(call: RequestBuilder) -> Answered {
    read(call.send().await.unwrap()).await
}

async fn of_calls(server: &TestServer, ana: &Caller, shown: &mut Shown) {
    let elsewhere = server.nobody().call(Method::POST, "/api/auth/login").header("Origin", "https://elsewhere.example");
    shown.refused("origin", &send(elsewhere).await);
    let put = send(ana.call(Method::PUT, "/api/tokens")).await;
    assert_eq!(put.headers["allow"], "GET, HEAD, POST");
    shown.refused("method_not_allowed", &put);
    let long = format!("/api/feedback?cursor={}", "a".repeat(8 * 1024));
    shown.refused("uri_too_long", &send(ana.call(Method::GET, &long)).await);
    let large = ana.call(Method::GET, "/api/feedback").header("X-Trace", "a".repeat(32 * 1024));
    shown.refused("headers_too_large", &send(large).await);
    let unknown = json!({"kind": "approval", "prompt": "Deploy 1.4.2?", "to": ["anna"]});
    shown.refused("not_found", &ana.post("/api/feedback", unknown).await);
    let taken = json!({"email": "ana@example.org", "username": "ana", "password": PASSWORD});
    shown.refused("taken", &server.nobody().post("/api/auth/register", taken).await);
}

async fn of_bodies(ana: &Caller, shown: &mut Shown) {
    let body = |content_type: &str, body: String| {
        send(ana.call(Method::POST, "/api/feedback").header("Content-Type", content_type).body(body))
    };
    let no_comma = "{\n  \"kind\": \"approval\"\n    \"prompt\": \"Deploy 1.4.2?\"\n}";
    shown.refused("malformed", &body("application/json", no_comma.into()).await);
    shown.refused("too_large", &body("application/json", " ".repeat(1024 * 1024 + 1)).await);
    shown.refused("unsupported_media_type", &body("text/plain", "Deploy 1.4.2?".into()).await);
    let wrong = json!({
        "kind": "choice", "prompt": "Which pool?", "to": ["ana"], "on_expiry": "red",
        "options": [{"value": "blue"}, {"value": "green", "label": ""}, {"value": "none"}],
    });
    shown.refused("invalid", &ana.post("/api/feedback", wrong).await);
}

async fn of_keys(ana: &Caller, shown: &mut Shown) {
    let call = |key: &str, name: &str| {
        send(ana.call(Method::POST, "/api/tokens").header("Idempotency-Key", key).json(&json!({ "name": name })))
    };
    call("deploy-1873", "deploy-bot").await;
    shown.refused("idempotency_mismatch", &call("deploy-1873", "nightly-report").await);
    // Of calls at once with one key most meet the first one while it writes; it is not certain of any one round.
    let mut told_to_wait = None;
    for round in 0..50 {
        let key = format!("round-{round}");
        let answers = join_all((0..8).map(|_| call(&key, "deploy-bot"))).await;
        told_to_wait = answers.into_iter().find(|answer| answer.status == StatusCode::CONFLICT);
        if told_to_wait.is_some() {
            break;
        }
    }
    shown.refused("idempotency_running", &told_to_wait.expect("two of 8 calls at once, in 50 rounds"));
}

async fn of_sockets(server: &TestServer, ana: &Caller, shown: &mut Shown) {
    let mut open = Vec::new();
    for _ in 0..server.running().app().config.max_websocket_connections_per_user {
        open.push(Socket::open(server, ana, None).await);
    }
    let bearer = ("authorization", format!("Bearer {}", ana.token.as_ref().unwrap()));
    let (status, problem) = connect(&server.socket_url(), &[bearer]).await.err().unwrap();
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    shown.said("problems/too_many_requests.json", &serde_json::from_str(&problem).unwrap());
}

/// A hub of its own, on which days pass.
async fn of_an_old_cursor(shown: &mut Shown) {
    let clock = Arc::new(ManualClock::at(serde_json::from_value(json!("2026-11-20T09:30:00Z")).unwrap()));
    let server = TestServer::on(clock.clone(), |config| config.event_retention_days = 1).await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    for _ in 0..2 {
        agent.ask(&[&ana]).await;
        clock.advance(Duration::from_hours(26));
    }
    let removed = async {
        loop {
            let resumed = agent.call(Method::GET, "/api/feedback/events").header("Last-Event-ID", "0");
            let answer = resumed.send().await.unwrap();
            if answer.status() == StatusCode::GONE {
                return read(answer).await;
            }
        }
    };
    shown.refused("cursor_expired", &timeout(SOON, removed).await.expect("the hub removes what is old in time"));
}

async fn of_a_stopping_hub(server: &TestServer, shown: &mut Shown) {
    server.running().app().stopping.cancel();
    let ready = server.nobody().get("/readyz").await;
    assert_eq!(ready.headers["retry-after"], "1");
    shown.refused("unavailable", &ready);
}
