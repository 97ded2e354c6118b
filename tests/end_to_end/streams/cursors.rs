//! Going on after a cut, and places that nobody can go on from.

use std::{sync::Arc, time::Duration};

use hearback_core::{Timestamp, clock::ManualClock};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::client::{Stream, of_request};
use crate::{
    server::{Caller, TestServer, read, unlimited},
    socket::{SOON, Socket},
};

const OF_AGENT: &str = "/api/feedback/events";

/// Reads events up to the last one of a burst, and cuts the stream after every so many.
async fn cut_every(
    agent: &Caller,
    path: &str,
    events: usize,
    over: impl Fn(&[(u64, Value)]) -> bool,
) -> Vec<(u64, Value)> {
    let mut told: Vec<(u64, Value)> = Vec::new();
    while !over(&told) {
        let last = told.last().map_or(0, |(id, _)| *id);
        let mut stream = Stream::resume(agent, path, last).await;
        for _ in 0..events {
            let event = stream.next().await.unwrap();
            let about = event.json["data"]["request_id"].as_str().or(event.json["data"]["id"].as_str());
            told.push((event.id(), json!([event.event, about])));
            if over(&told) {
                break;
            }
        }
    }
    told
}

#[tokio::test]
async fn a_stream_cut_in_a_burst_and_resumed_misses_nothing_and_repeats_nothing() {
    const REQUESTS: usize = 40;
    let server = TestServer::with(unlimited).await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let mut socket = Socket::open(&server, &ana, None).await;
    socket.expect("connection_established").await;
    let burst = tokio::spawn({
        let (agent, ana) = (agent.clone(), ana.clone());
        async move {
            for _ in 0..REQUESTS {
                let request = agent.ask(&[&ana]).await;
                ana.answer(&request, json!("approved")).await;
            }
        }
    });
    let of = |told: &[(u64, Value)], name: &str| told.iter().filter(|(_, told)| told[0] == name).count();
    // Of each: put, one response, answered.
    let over = |told: &[(u64, Value)]| of(told, "feedback.answered") == REQUESTS;
    let (cut, whole) = tokio::join!(cut_every(&agent, OF_AGENT, 7, over), cut_every(&agent, OF_AGENT, 10_000, over));
    burst.await.unwrap();
    assert_eq!(cut, whole, "event by event");
    for name in ["feedback.created", "feedback.response"] {
        assert_eq!(of(&cut, name), REQUESTS, "{name}");
    }
    assert!(cut.is_sorted_by(|(one, _), (next, _)| one < next), "{cut:?}");

    let request = agent.ask(&[&ana]).await;
    for _ in 0..30 {
        ana.answer(&request, json!("perhaps")).await;
    }
    ana.answer(&request, json!("approved")).await;
    let over = |told: &[(u64, Value)]| of(told, "feedback.answered") == 1;
    let path = of_request(&request);
    let (cut, whole) = tokio::join!(cut_every(&agent, &path, 3, over), cut_every(&agent, &path, 10_000, over));
    assert_eq!(cut, whole);
    assert_eq!((of(&cut, "feedback.created"), of(&cut, "feedback.response")), (1, 31));
}

#[tokio::test]
async fn the_beginning_of_an_agents_stream_is_a_place_to_go_on_from() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let (pending, over) = (agent.ask(&[&ana]).await, agent.ask(&[&ana]).await);
    ana.answer(&over, json!("approved")).await;
    let mut stream = Stream::open(&agent, OF_AGENT).await;
    let told = stream.expect("feedback.created").await;
    assert_eq!(told.json["data"]["id"], pending["id"]);
    let place = stream.block().await.unwrap();
    assert!(place.json.is_null() && place.id() > told.id(), "a place without an event: {place:?}");
    let mut resumed = Stream::resume(&agent, OF_AGENT, place.id()).await;
    let next = agent.ask(&[&ana]).await;
    assert_eq!(resumed.tells("feedback.created").await.json["data"]["id"], next["id"], "what was over stays so");
}

#[tokio::test]
async fn a_cursor_that_is_none_names_its_field() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let request = agent.ask(&[&ana]).await;
    for path in [OF_AGENT.into(), of_request(&request)] {
        for bad in ["yesterday", "-1", "", "1000000", "18446744073709551615", "18446744073709551616"] {
            let by_query = agent.get(&format!("{path}?after={bad}")).await;
            let by_header = agent.call(Method::GET, &format!("{path}?after=0")).header("Last-Event-ID", bad);
            for (refused, field) in
                [(by_query, "after"), (read(by_header.send().await.unwrap()).await, "Last-Event-ID")]
            {
                assert_eq!((refused.status, refused.problem()), (StatusCode::BAD_REQUEST, "malformed"), "{path} {bad}");
                assert_eq!(refused.fields(), [field], "{path} {bad}");
            }
        }
        let call = agent.call(Method::GET, &format!("{path}?after=yesterday")).header("Last-Event-ID", 0);
        let mut stream = Stream::begin(call).await;
        let first = stream.expect("feedback.created").await;
        assert_eq!(first.json["data"]["id"], request["id"], "a client that reconnects repeats its query");
    }
}

#[tokio::test]
async fn a_cursor_older_than_the_log_is_told_apart_and_the_requests_are_all_there() {
    let start: Timestamp = serde_json::from_value(json!("2026-11-20T09:30:00Z")).unwrap();
    let clock = Arc::new(ManualClock::at(start));
    let server = TestServer::on(clock.clone(), |config| config.event_retention_days = 1).await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let long = json!({"kind": "approval", "prompt": "Some day?", "to": ["ana"], "expires_in": 7 * 24 * 3600});
    let request = agent.put(long.clone()).await;
    clock.advance(Duration::from_hours(26));
    let newer = agent.put(long).await;
    clock.advance(Duration::from_hours(1));
    let expired = async || {
        loop {
            let refused = agent.call(Method::GET, OF_AGENT).header("Last-Event-ID", 0).send().await.unwrap();
            if refused.status() == StatusCode::GONE {
                return read(refused).await;
            }
            tokio::task::yield_now().await;
        }
    };
    let refused = timeout(SOON, expired()).await.expect("the hub removes what is old in time");
    assert_eq!(refused.problem(), "cursor_expired");
    assert!(refused.body["detail"].as_str().unwrap().contains("Begin again without it"), "{refused:?}");
    let of_request_expired = agent.get(&format!("{}?after=0", of_request(&request))).await;
    assert_eq!((of_request_expired.status, of_request_expired.problem()), (StatusCode::GONE, "cursor_expired"));
    for (after, text) in [("0", "does not reach back"), ("1000000", "is not in the log")] {
        let mut socket = Socket::open(&server, &agent, Some(after)).await;
        let error = socket.expect("error").await;
        assert_eq!(error["code"], "cursor");
        assert!(error["message"].as_str().unwrap().contains(text), "{error}");
        assert_eq!(socket.close_code().await, Some(1008));
    }

    let mut stream = Stream::open(&agent, OF_AGENT).await;
    for pending in [&request, &newer] {
        assert_eq!(stream.expect("feedback.created").await.json["data"]["id"], pending["id"]);
    }
    assert_eq!(agent.get("/api/feedback").await.body["items"].as_array().unwrap().len(), 2);
    let login = json!({"username": "ana", "password": crate::server::PASSWORD});
    let call = server.nobody().call(Method::POST, "/api/auth/login").form(&login);
    let token = read(call.send().await.unwrap()).await.body["access_token"].as_str().unwrap().to_owned();
    let ana = server.caller(&token);
    let mut of_request = Stream::open(&agent, &of_request(&request)).await;
    ana.answer(&request, json!("approved")).await;
    of_request.tells("feedback.response").await;
    of_request.tells("feedback.answered").await;
}
