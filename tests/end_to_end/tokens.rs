//! Service tokens: made once, listed, used, revoked, and what they are good for.

use std::{sync::Arc, time::Duration};

use hearback_core::{Timestamp, clock::ManualClock};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    auth::{send, text},
    server::{Caller, TestServer},
};

#[tokio::test]
async fn a_service_token_is_shown_once_listed_used_and_revoked() {
    let server = TestServer::start().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let made = ana.post("/api/tokens", json!({"name": "deploy-bot", "expires_in": 3600})).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let (token, id) = (text(&made.body, "token").to_owned(), text(&made.body, "id").to_owned());
    assert!(token.starts_with("hb_") && token.len() == 46, "{token}");
    assert!(text(&made.body, "webhook_secret").starts_with("whsec_"));
    assert_eq!(made.body["scopes"], json!(["feedback:write", "feedback:read", "sessions:write"]));

    let agent = server.caller(&token);
    assert_eq!(agent.get("/api/feedback").await.status, StatusCode::OK);
    let listed = ana.get("/api/tokens").await.body;
    assert_eq!(listed["items"][0]["name"], "deploy-bot");
    assert!(listed["items"][0].get("token").is_none() && listed["items"][0].get("webhook_secret").is_none());
    assert_eq!(ben.get("/api/tokens").await.body["items"], json!([]));

    let path = format!("/api/tokens/{id}");
    assert_eq!(ben.delete(&path).await.problem(), "not_found", "another's");
    let mut over = server.running().app().auth.over();
    assert_eq!(ana.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert!(over.try_recv().is_ok(), "open sockets and waits are told");
    assert_eq!(agent.get("/api/feedback").await.problem(), "unauthenticated");
    assert_eq!(ana.delete(&path).await.problem(), "not_found");
    assert_eq!(ana.get("/api/tokens").await.body["items"], json!([]));
    for wrong in ["/api/tokens/x", "/api/tokens/01a1f84a"] {
        let answer = ana.delete(wrong).await;
        assert_eq!((answer.problem(), answer.fields()), ("malformed", vec!["id"]), "{wrong}");
    }
}

#[tokio::test]
async fn a_service_token_ceases_to_work_when_it_expires_and_its_use_is_noted_by_the_minute() {
    let start = Timestamp::from_micros(1_795_253_400_000_000);
    let clock = Arc::new(ManualClock::at(start));
    let server = TestServer::on(clock.clone(), |config| config.access_token_minutes = 600).await;
    let ana = server.register("ana").await;
    let made = ana.post("/api/tokens", json!({"name": "deploy-bot", "expires_in": 3600})).await;
    let agent = server.caller(text(&made.body, "token"));
    let last_used = |expected: Value| {
        let ana = ana.clone();
        async move {
            // It is noted after the answer.
            let noted = async {
                while ana.get("/api/tokens").await.body["items"][0]["last_used_at"] != expected {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), noted).await.is_ok()
        }
    };
    assert!(last_used(Value::Null).await);
    agent.get("/api/feedback").await;
    assert!(last_used(json!(start)).await);
    clock.advance(Duration::from_secs(59));
    agent.get("/api/feedback").await;
    clock.advance(Duration::from_secs(1));
    agent.get("/api/feedback").await;
    assert!(last_used(json!(start.after(Duration::from_mins(1)))).await);
    clock.advance(Duration::from_mins(59));
    assert_eq!(agent.get("/api/feedback").await.problem(), "unauthenticated");
}

#[tokio::test]
async fn agents_may_do_what_their_scopes_say_and_nothing_that_is_for_people() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let with_scopes = |scopes: Value| {
        let ana = ana.clone();
        async move { ana.post("/api/tokens", json!({"name": "n", "scopes": scopes})).await }
    };
    let reader = with_scopes(json!(["feedback:read"])).await;
    let reader = server.caller(text(&reader.body, "token"));
    let ask = reader.post("/api/feedback", json!({"kind": "approval", "prompt": "?", "to": ["ana"]})).await;
    assert_eq!((ask.status, ask.problem()), (StatusCode::FORBIDDEN, "forbidden"));
    assert!(text(&ask.body, "detail").contains("feedback:write"));
    assert_eq!(reader.get("/api/feedback").await.status, StatusCode::OK);
    let agent = server.agent(&ana).await;
    for answer in [
        agent.get("/api/auth/me").await,
        agent.get("/api/tokens").await,
        agent.post("/api/tokens", json!({"name": "n"})).await,
        agent.post("/api/auth/logout", json!({})).await,
        agent.delete("/api/auth/session").await,
    ] {
        assert_eq!((answer.status, answer.problem()), (StatusCode::FORBIDDEN, "forbidden"));
    }
    let unknown = with_scopes(json!(["feedback:own"])).await;
    assert_eq!((unknown.problem(), unknown.fields()), ("invalid", vec!["scopes[0]"]));
    let all = json!(["feedback:write", "feedback:read", "sessions:write", "admin"]);
    assert_eq!(unknown.body["errors"][0]["allowed"], all);
    assert_eq!(with_scopes(json!([])).await.fields(), ["scopes"]);
}

#[tokio::test]
async fn the_same_key_makes_one_token_and_shows_it_again() {
    let server = TestServer::start().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let create = |who: &Caller, key: &str, name: &str| {
        send(who.call(Method::POST, "/api/tokens").header("Idempotency-Key", key).json(&json!({ "name": name })))
    };
    let first = create(&ana, "k-1", "bot").await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let again = create(&ana, "k-1", "bot").await;
    assert_eq!((again.status, &again.body), (StatusCode::CREATED, &first.body));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let other_body = create(&ana, "k-1", "other").await;
    assert_eq!((other_body.status.as_u16(), other_body.problem()), (422, "idempotency_mismatch"));
    assert_ne!(create(&ben, "k-1", "bot").await.body["token"], first.body["token"], "keys belong to their callers");
    // A call that failed is not kept.
    assert_eq!(create(&ana, "k-2", "").await.problem(), "invalid");
    assert_eq!(create(&ana, "k-2", "bot").await.status, StatusCode::CREATED);
    let items = ana.get("/api/tokens").await.body["items"].as_array().unwrap().len();
    assert_eq!(items, 2);
    for wrong in ["", "a b", &"k".repeat(256), "ä"] {
        let answer = create(&ana, wrong, "bot").await;
        assert_eq!((answer.problem(), answer.fields()), ("malformed", vec!["Idempotency-Key"]), "{wrong}");
    }
    assert_eq!(create(&ana, &"k".repeat(255), "bot").await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn tokens_come_in_pages_whose_cursors_and_limits_are_checked() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    for number in 0..5 {
        ana.post("/api/tokens", json!({"name": format!("bot-{number}")})).await;
    }
    let mut names = Vec::new();
    let mut path = "/api/tokens?limit=2".to_owned();
    loop {
        let page = ana.get(&path).await.body;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        names.extend(items.iter().map(|item| text(item, "name").to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/tokens?limit=2&cursor={cursor}");
    }
    assert_eq!(names, ["bot-4", "bot-3", "bot-2", "bot-1", "bot-0"]);
    for wrong in ["0", "101", "-1", "x", "", "1.5", "18446744073709551617"] {
        let answer = ana.get(&format!("/api/tokens?limit={wrong}")).await;
        assert_eq!((answer.problem(), answer.fields()), ("malformed", vec!["limit"]), "{wrong}");
        assert!(text(&answer.body, "detail").contains("1 to 100"), "{answer:?}");
    }
    let (_, cursor) = path.rsplit_once('=').unwrap();
    for wrong in ["x", "", "..%2F..", &cursor.replacen('d', "e", 1), "AAAA"] {
        let answer = ana.get(&format!("/api/tokens?cursor={wrong}")).await;
        assert_eq!((answer.problem(), answer.fields()), ("malformed", vec!["cursor"]), "{wrong}");
    }
    let elsewhere = ana.get(&format!("/api/feedback?cursor={cursor}")).await;
    assert_eq!(elsewhere.problem(), "malformed", "a cursor belongs to its list");
}
