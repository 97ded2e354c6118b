//! What comes in: believed, read, stored, answered.

use std::sync::Arc;

use futures_util::poll;
use hearback_core::{
    ErrorKind, Retry,
    channel::{Callback, CallbackReply, Inbound, Reach},
    clock::Clock,
    feedback::Verdict,
};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use super::{
    NOW, World, ana, delivery,
    fake::{Plugin, Script, TestInbox, answer},
    key, question, request, world,
};
use crate::signature::{ID, SIGNATURE, TIMESTAMP};

fn signed(id: &str, time: i64, body: &[u8]) -> Callback {
    let (signature, time) = (key().sign(id, time, body), time.to_string());
    let pairs = [(ID, id), (TIMESTAMP, &time), (SIGNATURE, &signature)];
    let headers: HeaderMap = pairs.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect();
    let (tail, query, body) = ("events".into(), String::new(), body.to_vec().into());
    Callback { method: Method::POST, tail, query, headers, body }
}

fn event(id: &str, body: &Value) -> Callback {
    signed(id, NOW, body.to_string().as_bytes())
}

fn response(from: &str) -> Value {
    json!({"type": "response", "request_id": request().id, "from": from, "value": "approved"})
}

fn said(reply: &CallbackReply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

fn quiet() -> (World, Arc<TestInbox>) {
    (world("http://127.0.0.1:9/", &json!({"inbound": true, "receipts": true})), TestInbox::of(request()))
}

#[tokio::test]
async fn what_is_not_signed_right_and_now_is_401_and_nothing_is_stored() {
    let (world, inbox) = quiet();
    let body = response("ana").to_string();
    let good = || signed("evt_1", NOW, body.as_bytes());
    let mut cases = vec![signed("evt_1", NOW - 301, body.as_bytes()), signed("evt_1", NOW + 301, body.as_bytes())];
    for name in [ID, TIMESTAMP, SIGNATURE] {
        let mut call = good();
        call.headers.remove(name);
        cases.push(call);
    }
    let mut changed = good();
    changed.body = body.replace("approved", "rejected").into();
    let mut other = good();
    other.headers.insert(ID, "evt_2".parse().unwrap());
    // Unread, whatever it is.
    let mut noise = good();
    noise.body = "{not json".into();
    cases.extend([changed, other, noise]);
    for call in cases {
        let reply = world.channel.callback(call, inbox.clone()).await.unwrap();
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
        assert_eq!(reply.content_type.as_ref().unwrap(), "application/problem+json");
        assert_eq!(said(&reply)["type"], "urn:hearback:problem:unauthenticated");
    }
    assert!(inbox.events.lock().is_empty());
    assert_eq!(world.channel.callback(good(), inbox).await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn a_response_is_told_its_verdict_and_a_repetition_the_same() {
    let (world, inbox) = quiet();
    for duplicate in [false, true] {
        let reply = world.channel.callback(event("evt_1", &response("ana")), inbox.clone()).await.unwrap();
        assert_eq!(reply.status, StatusCode::OK);
        let said = said(&reply);
        assert_eq!((&said["verdict"], &said["duplicate"]), (&json!("accepted"), &json!(duplicate)));
        assert_eq!((&said["errors"], &said["reason"]), (&json!([]), &Value::Null));
        assert_eq!(said["request"]["id"], json!(request().id));
    }
    let Inbound::Response { channel, from, event: Some(id), .. } = inbox.events.lock()[0].clone() else { panic!() };
    assert_eq!((channel.as_str(), from.as_str(), id.as_str()), ("hook", "ana", "evt_1"));

    *inbox.verdict.lock() = Verdict::Invalid;
    let text = json!({"type": "text", "request_id": request().id, "from": "ana", "text": "perhaps"});
    let reply = said(&world.channel.callback(event("evt_2", &text), inbox.clone()).await.unwrap());
    assert_eq!((&reply["verdict"], &reply["errors"][0]["field"]), (&json!("invalid"), &json!("value")));
}

#[tokio::test]
async fn who_is_refused_is_shown_nothing_of_the_question() {
    let (world, inbox) = quiet();
    let reply = world.channel.callback(event("evt_1", &response("mallory")), inbox).await.unwrap();
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(said(&reply), json!({"verdict": "refused", "reason": "because", "duplicate": false, "errors": []}));
}

#[tokio::test]
async fn who_is_disconnected_is_reached_later_until_they_connect() {
    let (world, inbox) = quiet();
    assert_eq!(world.channel.reach(&ana()).await, Reach::Now, "nothing was said of her");
    // The last one is the first once more, as a plug-in sends it that heard no answer.
    for (id, kind, reach) in [
        ("evt_1", "disconnected", Reach::Later),
        ("evt_2", "connected", Reach::Now),
        ("evt_1", "disconnected", Reach::Now),
    ] {
        let said = event(id, &json!({"type": kind, "address": "ana"}));
        assert_eq!(world.channel.callback(said, inbox.clone()).await.unwrap().status, StatusCode::OK);
        assert_eq!(world.channel.reach(&ana()).await, reach, "{kind}");
    }
}

#[tokio::test]
async fn other_events_are_noted() {
    let (world, inbox) = quiet();
    for (index, body) in [
        json!({"type": "delivered", "from": "ana", "receipt": "m-1"}),
        json!({"type": "read", "from": "ana", "receipt": "m-1"}),
        json!({"type": "connected", "address": "ana"}),
        json!({"type": "disconnected", "address": "ana"}),
        json!({"type": "receipt", "delivery": delivery(), "receipt": "m-1"}),
    ]
    .iter()
    .enumerate()
    {
        let reply = world.channel.callback(event(&format!("evt_{index}"), body), inbox.clone()).await.unwrap();
        assert_eq!((reply.status, said(&reply)), (StatusCode::OK, json!({})));
    }
    let events = inbox.events.lock();
    assert!(matches!(events[0], Inbound::Acknowledged { read: false, .. }));
    assert!(matches!(events[1], Inbound::Acknowledged { read: true, .. }));
    assert!(matches!(events[2], Inbound::Connected { .. }) && matches!(events[3], Inbound::Disconnected { .. }));
    assert!(matches!(&events[4], Inbound::Sent { delivery: id, .. } if id.uuid() == delivery()));
}

#[tokio::test]
async fn what_is_not_as_documented_names_the_field_and_is_not_stored() {
    let (world, inbox) = quiet();
    let with = |name: &str, value: Value| {
        let mut body = response("ana");
        body[name] = value;
        body
    };
    let without = |name: &str| {
        let mut body = response("ana");
        body.as_object_mut().unwrap().remove(name);
        body
    };
    for (body, field) in [
        (json!([]), "body"),
        (json!({}), "type"),
        (with("type", json!("request")), "type"),
        (with("user", json!("ana")), "user"),
        (with("request_id", json!("x")), "request_id"),
        (with("from", json!("")), "from"),
        (with("from", json!(5)), "from"),
        (with("comment", json!({})), "comment"),
        (with("value", json!({"a": ["\u{0}"]})), "value"),
        (without("value"), "value"),
        (without("from"), "from"),
        (json!({"type": "receipt", "delivery": delivery(), "receipt": ""}), "receipt"),
        (json!({"type": "read", "from": "ana", "receipt": "x".repeat(513)}), "receipt"),
        (json!({"type": "connected"}), "address"),
    ] {
        let reply = world.channel.callback(event("evt_1", &body), inbox.clone()).await.unwrap();
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(said(&reply)["errors"][0]["field"], field, "{body}: {}", said(&reply));
    }
    let reply = world.channel.callback(event("evt_1", &with("type", json!("x"))), inbox.clone()).await.unwrap();
    assert_eq!(said(&reply)["errors"][0]["allowed"].as_array().unwrap().len(), 7);
    let reply = world.channel.callback(event("evt_1", &with("user", json!(1))), inbox.clone()).await.unwrap();
    assert_eq!(said(&reply)["errors"][0]["allowed"], json!(["request_id", "from", "value", "comment"]));

    let malformed = world.channel.callback(signed("evt_1", NOW, b"{"), inbox.clone()).await.unwrap();
    assert_eq!(malformed.status, StatusCode::BAD_REQUEST);
    let mut elsewhere = event("evt_1", &response("ana"));
    elsewhere.tail = "other".into();
    assert_eq!(world.channel.callback(elsewhere, inbox.clone()).await.unwrap().status, StatusCode::NOT_FOUND);
    let mut read = event("evt_1", &response("ana"));
    read.method = Method::GET;
    let refused = world.channel.callback(read, inbox.clone()).await.unwrap();
    assert_eq!((refused.status, &refused.headers["allow"]), (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap()));
    assert!(inbox.events.lock().is_empty());

    let mut unknown = response("ana");
    unknown["request_id"] = json!(delivery());
    let reply = world.channel.callback(event("evt_1", &unknown), inbox).await.unwrap();
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_not_declared_is_not_taken_and_says_what_to_declare() {
    let receipt = |kind: &str| json!({"type": kind, "from": "ana", "receipt": "m-1"});
    let text = json!({"type": "text", "request_id": request().id, "from": "ana", "text": "yes"});
    let always = ["receipt", "connected", "disconnected"];
    for (declared, events, needs, more) in [
        (json!({}), [response("ana"), text], "inbound", &[][..]),
        (json!({}), [receipt("delivered"), receipt("read")], "receipts", &[]),
        (json!({"inbound": true}), [receipt("delivered"), receipt("read")], "receipts", &["response", "text"]),
    ] {
        let (world, inbox) = (world("http://127.0.0.1:9/", &declared), TestInbox::of(request()));
        for body in events {
            let reply = world.channel.callback(event("evt_1", &body), inbox.clone()).await.unwrap();
            let said = said(&reply);
            assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {said}");
            let fault = &said["errors"][0];
            assert_eq!((&said["errors"][1], &fault["field"]), (&Value::Null, &json!("type")));
            let line = format!("`{needs} = true` into the capabilities of [channels.hook] in hearback.toml");
            assert!(fault["detail"].as_str().unwrap().contains(&line), "{fault}");
            let allowed: Vec<&str> = fault["allowed"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert_eq!(allowed, [more, &always].concat(), "{fault}");
        }
        let known = json!({"type": "receipt", "delivery": delivery(), "receipt": "m-1"});
        let reply = world.channel.callback(event("evt_2", &known), inbox.clone()).await.unwrap();
        assert_eq!((reply.status, inbox.events.lock().len()), (StatusCode::OK, 1), "only what is taken is stored");
    }
}

#[tokio::test]
async fn what_could_not_be_stored_is_asked_for_again() {
    let (world, inbox) = quiet();
    for kind in [ErrorKind::Unavailable, ErrorKind::Unexpected] {
        *inbox.fails.lock() = Some(kind);
        let error = world.channel.callback(event("evt_1", &response("ana")), inbox.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_ne!(error.retry(), Retry::Never);
    }
    *inbox.fails.lock() = None;
    let reply = world.channel.callback(event("evt_1", &response("ana")), inbox).await.unwrap();
    assert_eq!(said(&reply)["duplicate"], false);
}

#[tokio::test]
async fn a_late_receipt_ends_the_send_that_waits_for_it_and_is_stored() {
    let plugin = Plugin::scripted([answer(202, &json!({}))]).await;
    let (world, inbox) = (world(&plugin.url(), &json!({})), TestInbox::of(request()));
    let (to, what) = (ana(), question());
    let mut send = world.channel.send(&to, &what);
    while plugin.calls().is_empty() {
        assert!(poll!(&mut send).is_pending());
        tokio::task::yield_now().await;
    }
    let body = json!({"type": "receipt", "delivery": delivery(), "receipt": "late-1"});
    // While it cannot be stored, the send waits on.
    *inbox.fails.lock() = Some(ErrorKind::Unavailable);
    world.channel.callback(event("evt_1", &body), inbox.clone()).await.unwrap_err();
    assert!(poll!(&mut send).is_pending());
    *inbox.fails.lock() = None;
    world.channel.callback(event("evt_1", &body), inbox.clone()).await.unwrap();
    assert_eq!(send.await.unwrap().as_str(), "late-1");
    assert!(matches!(inbox.events.lock()[0], Inbound::Sent { .. }));
    assert_eq!(world.webhook.waiting.count(), 0);
    assert!(world.clock.now().micros() == NOW * 1_000_000);
}

#[tokio::test]
async fn a_receipt_that_comes_before_the_answer_is_not_lost() {
    let plugin = Plugin::scripted([Script::Cut]).await;
    let (world, inbox) = (world(&plugin.url(), &json!({})), TestInbox::of(request()));
    let (to, what) = (ana(), question());
    let mut send = world.channel.send(&to, &what);
    assert!(poll!(&mut send).is_pending());
    let body = json!({"type": "receipt", "delivery": delivery(), "receipt": "early-1"});
    // A notice's delivery is not stored anywhere, and its send is told nevertheless.
    *inbox.fails.lock() = Some(ErrorKind::NotFound);
    assert_eq!(world.channel.callback(event("evt_1", &body), inbox.clone()).await.unwrap().status, StatusCode::OK);
    assert_eq!(send.await.unwrap().as_str(), "early-1");
    let reply = world.channel.callback(event("evt_2", &body), inbox).await.unwrap();
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
}
