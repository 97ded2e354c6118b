//! How streams end, and clients that read slowly or not at all.

use std::{sync::Arc, time::Duration};

use hearback_core::{Timestamp, clock::ManualClock};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use super::client::{Stream, of_request};
use crate::{
    server::{Caller, TestServer},
    socket::SOON,
};

const OF_AGENT: &str = "/api/feedback/events";
/// As many of the largest requests as no connection buffers.
const MANY: usize = 250;

async fn manual() -> (Arc<ManualClock>, TestServer) {
    let start: Timestamp = serde_json::from_value(json!("2026-11-20T09:30:00Z")).unwrap();
    let clock = Arc::new(ManualClock::at(start));
    let server = TestServer::on(clock.clone(), |_| {}).await;
    (clock, server)
}

/// Returns when so many streams are open.
async fn open(server: &TestServer, streams: usize) {
    let reached = async {
        while server.running().app().streams.len() != streams {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, reached).await.expect("they open and close in time");
}

/// Puts many large requests.
async fn put_many(agent: &Caller, ana: &Caller) -> Vec<Value> {
    let draft = json!({"kind": "approval", "prompt": "?", "context": "x".repeat(64 * 1024), "to": [ana.username]});
    let mut ids = Vec::new();
    for _ in 0..MANY {
        ids.push(agent.put(draft.clone()).await["id"].clone());
    }
    ids
}

#[tokio::test]
async fn a_stream_is_not_stored_nor_buffered_nor_compressed_and_is_kept_alive() {
    let (clock, server) = manual().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let request = agent.ask(&[&ana]).await;
    let call = agent.call(Method::GET, &of_request(&request)).header("Accept-Encoding", "gzip");
    let mut stream = Stream::begin(call).await;
    let headers = stream.response.headers().clone();
    for (name, value) in
        [("content-type", "text/event-stream"), ("cache-control", "no-store"), ("x-accel-buffering", "no")]
    {
        assert_eq!(headers[name], value);
    }
    assert!(headers.get("content-encoding").is_none() && headers.get("content-length").is_none(), "{headers:?}");
    stream.tells("feedback.created").await;
    // That Ana is not connected is told as well; nothing else is before time passes.
    stream.tells("feedback.delivery").await;
    for _ in 0..3 {
        let comment = async {
            loop {
                clock.advance(Duration::from_secs(15));
                if let Ok(block) = timeout(Duration::from_millis(50), stream.block()).await {
                    return block.expect("the stream goes on");
                }
            }
        };
        let block = timeout(SOON, comment).await.expect("a comment in time");
        assert!(block.comment.is_some_and(|text| text.is_empty()) && block.json.is_null());
    }
}

#[tokio::test]
async fn a_stream_ends_with_what_it_was_opened_with() {
    let (clock, server) = manual().await;
    let ana = server.register("ana").await;
    let created = ana.post("/api/tokens", json!({"name": "deploy-bot"})).await.body;
    let agent = server.caller(created["token"].as_str().unwrap());
    let short = ana.post("/api/tokens", json!({"name": "short", "expires_in": 600})).await.body;
    let short = server.caller(short["token"].as_str().unwrap());
    let request = agent.ask(&[&ana]).await;
    let mut of_agent = [Stream::open(&agent, OF_AGENT).await, Stream::open(&agent, &of_request(&request)).await];
    let mut of_ana = Stream::open(&ana, &of_request(&request)).await;
    let mut of_short = Stream::open(&short, OF_AGENT).await;
    open(&server, 4).await;
    let over = Some("the token or sign-in is no longer valid".to_owned());
    ana.delete(&format!("/api/tokens/{}", created["id"].as_str().unwrap())).await;
    for stream in &mut of_agent {
        assert_eq!(stream.end().await, over);
    }
    open(&server, 2).await;
    clock.advance(Duration::from_mins(10));
    assert_eq!(of_short.end().await, over);
    open(&server, 1).await;
    ana.post("/api/auth/logout", json!({})).await;
    assert_eq!(of_ana.end().await, over);
    open(&server, 0).await;
}

#[tokio::test]
async fn a_stop_ends_streams_and_opens_none() {
    let mut server = TestServer::start().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let request = agent.ask(&[&ana]).await;
    let mut streams = [Stream::open(&agent, OF_AGENT).await, Stream::open(&ana, &of_request(&request)).await];
    server.running().app().stopping.cancel();
    assert_eq!(agent.get(OF_AGENT).await.problem(), "unavailable");
    assert_eq!(ana.get(&of_request(&request)).await.problem(), "unavailable");
    server.stop().await;
    for stream in &mut streams {
        assert_eq!(stream.end().await.as_deref(), Some("the hub is stopping"));
    }
}

#[tokio::test]
async fn who_hangs_up_frees_the_place() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let address = server.running().app().config.bind;
    let token = agent.token.as_ref().unwrap();
    let call = format!("GET {OF_AGENT} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
    let mut connections = Vec::new();
    for _ in 0..10 {
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(call.as_bytes()).await.unwrap();
        connections.push(connection);
    }
    open(&server, 10).await;
    drop(connections);
    open(&server, 0).await;
}

#[tokio::test]
async fn a_slow_client_gets_everything_in_order() {
    let (_, server) = manual().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let mut stream = Stream::open(&agent, OF_AGENT).await;
    let put = put_many(&agent, &ana).await;
    let mut last = 0;
    for id in put {
        let created = stream.tells("feedback.created").await;
        assert_eq!(created.json["data"]["id"], id);
        assert!(created.id() > last);
        last = created.id();
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_given_up() {
    let (clock, server) = manual().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let stream = Stream::open(&agent, OF_AGENT).await;
    put_many(&agent, &ana).await;
    let given_up = async {
        while !server.running().app().streams.is_empty() {
            clock.advance(Duration::from_secs(20));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, given_up).await.expect("it is given up in time");
    drop(stream);
}
