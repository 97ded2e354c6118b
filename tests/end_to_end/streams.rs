//! Server-sent events over real HTTP: what a request's stream and an agent's tell.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`client`] | a client that reads a stream |
//! | [`cursors`] | going on after a cut, and places that nobody can go on from |
//! | [`ends`] | how streams end, and clients that read slowly or not at all |

pub mod client;
mod cursors;
mod ends;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    server::{Caller, TestServer},
    socket::Socket,
};
use client::{Stream, of_request};

/// The deliveries of a request as they are now.
async fn delivery(caller: &Caller, request: &Value) -> Value {
    let list = caller.get(&format!("/api/feedback/{}/deliveries", request["id"].as_str().unwrap())).await.body;
    let mut delivery = list["items"][0].clone();
    delivery["request_id"] = request["id"].clone();
    delivery
}

#[tokio::test]
async fn the_stream_of_a_request_tells_its_whole_life() {
    let server = TestServer::start().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let agent = server.agent(&ben).await;
    let mut socket = Socket::open(&server, &ana, None).await;
    socket.expect("connection_established").await;
    let request = agent.ask(&[&ana]).await;
    let mut stream = Stream::open(&agent, &of_request(&request)).await;
    let created = stream.expect("feedback.created").await;
    assert_eq!((&created.json["data"], &created.json["timestamp"]), (&request, &request["created_at"]));
    let asked = socket.expect("feedback_request").await;
    let mut told = vec![created];
    told.push(stream.expect("feedback.delivery").await);
    assert_eq!(told[1].json["data"]["status"], "sent");
    assert_eq!(told[1].json["data"], delivery(&agent, &request).await);
    socket.say(json!({"type": "ack", "event_id": asked["event_id"]})).await;
    told.push(stream.expect("feedback.delivery").await);
    assert_eq!(told[2].json["data"]["status"], "delivered");

    let refused = ana.answer(&request, json!("maybe")).await;
    assert_eq!(refused.problem(), "invalid");
    told.push(stream.expect("feedback.response").await);
    assert_eq!(told[3].json["data"]["verdict"], "invalid");
    let accepted = ana.answer(&request, json!("approved")).await.body;
    told.push(stream.expect("feedback.response").await);
    assert_eq!(told[4].json["data"], accepted["response"]);
    told.push(stream.expect("feedback.answered").await);
    assert_eq!(told[5].json["data"], accepted["feedback"]);
    told.push(stream.expect("feedback.delivery").await);
    assert_eq!(told[6].json["data"]["status"], "settled");
    assert_eq!(told[6].json["data"], delivery(&agent, &request).await);
    assert_eq!(ana.answer(&request, json!("rejected")).await.problem(), "late");
    told.push(stream.expect("feedback.response").await);
    assert_eq!(told[7].json["data"]["verdict"], "late");
    let ids: Vec<u64> = told.iter().map(client::Block::id).collect();
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");

    let mut of_ana = Stream::open(&ana, &of_request(&request)).await;
    for event in &told {
        let again = of_ana.next().await.unwrap();
        assert_eq!((again.id, &again.event), (event.id, &event.event), "who is asked sees the same");
    }
    let carl = server.register("carl").await;
    for stranger in [&carl, &server.agent(&ana).await] {
        let refused = stranger.get(&of_request(&request)).await;
        assert_eq!((refused.status, refused.problem()), (StatusCode::NOT_FOUND, "not_found"));
    }
}

#[tokio::test]
async fn the_stream_of_an_agent_begins_with_what_is_pending_and_tells_what_it_asked() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let (agent, other) = (server.agent(&ana).await, server.agent(&ana).await);
    let (first, over, second) = (agent.ask(&[&ana]).await, agent.ask(&[&ana]).await, agent.ask(&[&ana]).await);
    ana.answer(&over, json!("approved")).await;
    let mut stream = Stream::open(&agent, "/api/feedback/events").await;
    for request in [&first, &second] {
        assert_eq!(stream.expect("feedback.created").await.json["data"], *request);
    }
    other.ask(&[&ana]).await;
    ana.ask(&[&ana]).await;
    let third = agent.ask(&[&ana]).await;
    assert_eq!(stream.tells("feedback.created").await.json["data"], third, "nobody else's, and nothing twice");
    agent.post(&format!("/api/feedback/{}/cancel", first["id"].as_str().unwrap()), json!({})).await;
    assert_eq!(stream.tells("feedback.cancelled").await.json["data"]["id"], first["id"]);
    let accepted = ana.answer(&second, json!("rejected")).await.body;
    assert_eq!(stream.tells("feedback.response").await.json["data"], accepted["response"]);
    assert_eq!(stream.tells("feedback.answered").await.json["data"], accepted["feedback"]);

    let refused = ana.get("/api/feedback/events").await;
    assert_eq!((refused.status, refused.problem()), (StatusCode::FORBIDDEN, "forbidden"));
    assert!(refused.body["detail"].as_str().unwrap().contains("service tokens"), "{refused:?}");
    let asks_only = ana.post("/api/tokens", json!({"name": "asks", "scopes": ["feedback:write"]})).await;
    let asks_only = server.caller(asks_only.body["token"].as_str().unwrap());
    for path in ["/api/feedback/events".into(), of_request(&third)] {
        assert_eq!(asks_only.get(&path).await.problem(), "forbidden", "{path}");
        assert_eq!(server.nobody().get(&path).await.problem(), "unauthenticated", "{path}");
    }
}
