//! The socket: live questions and endings, answers, resumption without loss or repetition, limits and log-ins.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http::HeaderValue},
};

use crate::server::{Caller, PASSWORD, TestServer, unlimited};

/// What should come at once comes within this, on the slowest machine.
pub const SOON: Duration = Duration::from_secs(20);

pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

pub async fn connect(url: &str, headers: &[(&'static str, String)]) -> Result<Socket, (u16, String)> {
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
    }
    match connect_async(request).await {
        Ok((socket, _)) => Ok(Socket(socket)),
        Err(Error::Http(response)) => {
            let body = response.body().clone().unwrap_or_default();
            Err((response.status().as_u16(), String::from_utf8(body).unwrap()))
        }
        Err(error) => panic!("{error}"),
    }
}

impl Socket {
    pub async fn open(server: &TestServer, caller: &Caller, after: Option<&str>) -> Self {
        let query = after.map(|after| format!("?after={after}")).unwrap_or_default();
        let bearer = ("authorization", format!("Bearer {}", caller.token.as_ref().unwrap()));
        connect(&format!("{}{query}", server.socket_url()), &[bearer])
            .await
            .map_err(|refused| format!("{refused:?}"))
            .unwrap()
    }

    /// The next message; `None` when the hub closed the socket.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            match timeout(SOON, self.0.next()).await.expect("a message in time") {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_))) => return None,
                other => panic!("{other:?}"),
            }
        }
    }

    pub async fn expect(&mut self, kind: &str) -> Value {
        let message = self.next().await.expect("a message, not the end");
        assert_eq!(message["type"], kind, "{message}");
        message
    }

    pub async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    pub async fn answer(&mut self, request: &Value, value: Value) {
        self.say(json!({"type": "feedback_response", "request_id": request["id"], "value": value})).await;
    }

    /// The code with which the hub closed it, after whatever else it still says.
    pub async fn close_code(&mut self) -> Option<u16> {
        loop {
            match timeout(SOON, self.0.next()).await.expect("the end in time") {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                _ => return None,
            }
        }
    }
}

pub async fn delivery_status(caller: &Caller, request: &Value, expected: &str) {
    let path = format!("/api/feedback/{}/deliveries", request["id"].as_str().unwrap());
    let reached = timeout(SOON, async {
        loop {
            let deliveries = caller.get(&path).await.body;
            if deliveries["items"].as_array().unwrap().iter().any(|delivery| delivery["status"] == expected) {
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    reached.await.unwrap_or_else(|_| panic!("no delivery became {expected}"));
}

#[tokio::test]
async fn a_person_sees_live_what_is_asked_and_how_it_ends() {
    let server = TestServer::start().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let mut socket = Socket::open(&server, &ana, None).await;
    let established = socket.expect("connection_established").await;
    assert_eq!(established["user"]["username"], "ana");

    let request = ben.ask(&[&ana, &ben]).await;
    let asked = socket.expect("feedback_request").await;
    assert_eq!(asked["request"], request);
    delivery_status(&ben, &request, "sent").await;
    socket.say(json!({"type": "ack", "event_id": asked["event_id"]})).await;
    delivery_status(&ben, &request, "delivered").await;

    let accepted = ben.answer(&request, json!("rejected")).await;
    let settled = socket.expect("feedback_settled").await;
    assert_eq!(settled["request"], accepted.body["feedback"]);
    delivery_status(&ben, &request, "settled").await;
    socket.say(json!({"type": "ping"})).await;
    socket.expect("pong").await;
}

#[tokio::test]
async fn a_socket_cut_in_a_burst_and_resumed_misses_nothing_and_repeats_nothing() {
    const REQUESTS: usize = 150;
    let server = TestServer::with(unlimited).await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let mut socket = Socket::open(&server, &ana, None).await;
    let mut last = socket.expect("connection_established").await["after"].as_str().unwrap().to_owned();
    let burst = tokio::spawn({
        let (agent, ana) = (agent.clone(), ana.clone());
        async move {
            let mut asked = Vec::new();
            for number in 0..REQUESTS {
                let request = agent.ask(&[&ana]).await;
                if number % 3 == 0 {
                    ana.answer(&request, json!("approved")).await;
                }
                asked.push(request["id"].clone());
            }
            asked
        }
    });
    let expected = REQUESTS + REQUESTS.div_ceil(3);
    let (mut ids, mut asked, mut settled) = (Vec::<u64>::new(), Vec::new(), 0);
    while ids.len() < expected {
        // Every 20 messages the connection is dropped, without a closing handshake.
        if ids.len() % 20 == 19 {
            drop(socket);
            socket = Socket::open(&server, &ana, Some(&last)).await;
            assert_eq!(socket.expect("connection_established").await["after"], last.as_str());
        }
        let message = socket.next().await.unwrap();
        last = message["event_id"].as_str().unwrap().to_owned();
        ids.push(last.parse().unwrap());
        match message["type"].as_str().unwrap() {
            "feedback_request" => asked.push(message["request"]["id"].clone()),
            "feedback_settled" => settled += 1,
            other => panic!("{other}"),
        }
    }
    assert!(ids.is_sorted_by(|one, next| one < next), "in order, none twice");
    assert_eq!(asked, burst.await.unwrap());
    assert_eq!(settled, REQUESTS.div_ceil(3));
}

#[tokio::test]
async fn without_a_place_in_the_log_the_pending_come_first_and_nothing_that_is_over() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let (first, over, last) = (ana.ask(&[&ana]).await, ana.ask(&[&ana]).await, ana.ask(&[&ana]).await);
    delivery_status(&ana, &first, "skipped").await;
    ana.answer(&over, json!("approved")).await;
    let mut socket = Socket::open(&server, &ana, None).await;
    let after: u64 = socket.expect("connection_established").await["after"].as_str().unwrap().parse().unwrap();
    for request in [&first, &last] {
        let asked = socket.expect("feedback_request").await;
        assert_eq!(asked["request"]["id"], request["id"]);
        assert!(asked["event_id"].as_str().unwrap().parse::<u64>().unwrap() > after);
        delivery_status(&ana, request, "sent").await;
    }
}

#[tokio::test]
async fn answers_over_the_socket_are_judged_and_each_refusal_has_its_code() {
    let server = TestServer::start().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let agent = server.agent(&ben).await;
    let mut socket = Socket::open(&server, &ana, None).await;
    socket.expect("connection_established").await;
    let request = agent.ask(&[&ana]).await;
    socket.expect("feedback_request").await;

    socket.answer(&request, json!("maybe")).await;
    let invalid = socket.expect("error").await;
    assert_eq!((invalid["code"].as_str(), &invalid["request_id"]), (Some("invalid"), &request["id"]));
    assert!(invalid["message"].as_str().unwrap().contains("approved, rejected"));
    // Not every database keeps such a text; what is kept of it shows that something stood there.
    let answer = json!({"type": "feedback_response", "request_id": request["id"], "value": "a\0b", "comment": "a\0b"});
    socket.say(answer).await;
    let invalid = socket.expect("error").await;
    assert_eq!(invalid["code"], "invalid", "{invalid}");
    let kept = agent.get(&format!("/api/feedback/{}/responses", request["id"].as_str().unwrap())).await;
    assert_eq!(kept.body["items"][1]["comment"], "a\u{fffd}b", "{kept:?}");
    socket
        .say(json!({"type": "feedback_response", "request_id": request["id"], "value": "approved", "comment": "\0"}))
        .await;
    let invalid = socket.expect("error").await;
    assert!(invalid["message"].as_str().unwrap().contains("comment: holds a NUL character"), "{invalid}");
    socket.answer(&request, json!("approved")).await;
    let settled = socket.expect("feedback_settled").await;
    assert_eq!(settled["request"]["outcome"]["channel"], "websocket");
    socket.answer(&request, json!("rejected")).await;
    let late = socket.expect("error").await;
    assert_eq!(late["code"], "late");
    assert!(late["message"].as_str().unwrap().contains("ana already answered on websocket"));

    let others = agent.ask(&[&ben]).await;
    socket.answer(&others, json!("approved")).await;
    assert_eq!(socket.expect("error").await["code"], "forbidden");
    socket.answer(&json!({"id": "019aa5b0-0000-7000-8000-000000000000"}), json!("approved")).await;
    assert_eq!(socket.expect("error").await["code"], "not_found");
    for text in ["{", "[]", "{\"type\": \"dance\"}", "{\"type\": \"ping\", \"extra\": 1}", "{\"type\": \"ack\"}"] {
        socket.0.send(Message::text(text)).await.unwrap();
        assert_eq!(socket.expect("error").await["code"], "malformed", "{text}");
    }
    socket.0.send(Message::binary(vec![0])).await.unwrap();
    assert_eq!(socket.expect("error").await["code"], "malformed");
    socket.say(json!({"type": "ping"})).await;
    socket.expect("pong").await;
}

#[tokio::test]
async fn an_agent_gets_what_it_asked_and_cannot_answer() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let (agent, other) = (server.agent(&ana).await, server.agent(&ana).await);
    let mut socket = Socket::open(&server, &agent, None).await;
    assert_eq!(socket.expect("connection_established").await["user"], Value::Null);
    other.ask(&[&ana]).await;
    let request = agent.ask(&[&ana]).await;
    assert_eq!(socket.expect("feedback_request").await["request"]["id"], request["id"]);
    socket.answer(&request, json!("approved")).await;
    assert_eq!(socket.expect("error").await["code"], "forbidden");
    ana.answer(&request, json!("approved")).await;
    assert_eq!(socket.expect("feedback_settled").await["request"]["outcome"]["value"], "approved");
}

#[tokio::test]
async fn only_who_proves_themselves_from_a_known_origin_gets_a_socket() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let token = ana.token.clone().unwrap();
    let url = server.socket_url();
    let refused = |headers: Vec<(&'static str, String)>, url: String| async move {
        connect(&url, &headers).await.err().map(|(status, _)| status)
    };
    assert_eq!(refused(vec![], url.clone()).await, Some(401));
    assert_eq!(refused(vec![], format!("{url}?token={token}")).await, Some(401));
    assert_eq!(refused(vec![("authorization", "Bearer nonsense".into())], url.clone()).await, Some(401));
    assert_eq!(refused(vec![("sec-websocket-protocol", "bearer, nonsense".into())], url.clone()).await, Some(401));
    assert_eq!(refused(vec![("sec-websocket-protocol", format!("bearer, {token}"))], url.clone()).await, None);

    let form = [("username", "ana"), ("password", PASSWORD)];
    let signed_in = server.nobody().call(reqwest::Method::POST, "/api/auth/session").form(&form).send().await.unwrap();
    let cookies = signed_in.headers().get_all("set-cookie").iter();
    let pairs: Vec<_> = cookies.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned()).collect();
    let cookie = ("cookie", pairs.join("; "));
    assert_eq!(refused(vec![cookie.clone()], url.clone()).await, Some(403));
    let foreign = ("origin", String::from("https://evil.example"));
    assert_eq!(refused(vec![cookie.clone(), foreign], url.clone()).await, Some(403));
    assert_eq!(refused(vec![cookie, ("origin", server.url())], url).await, None);
}

#[tokio::test]
async fn a_place_that_is_not_in_the_log_is_told_so() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let mut socket = Socket::open(&server, &ana, Some("999999")).await;
    assert_eq!(socket.expect("error").await["code"], "cursor");
    assert_eq!(socket.close_code().await, Some(1008));
    let bearer = ("authorization", format!("Bearer {}", ana.token.as_ref().unwrap()));
    let (status, problem) = connect(&format!("{}?after=x", server.socket_url()), &[bearer]).await.err().unwrap();
    assert_eq!(status, 400);
    assert!(problem.contains("\"after\""));
}

#[tokio::test]
async fn one_socket_above_the_limit_is_refused_and_a_closed_one_makes_room() {
    let server = TestServer::with(|config| config.max_websocket_connections_per_user = 2).await;
    let ana = server.register("ana").await;
    let mut first = Socket::open(&server, &ana, None).await;
    let _second = Socket::open(&server, &ana, None).await;
    let bearer = ("authorization", format!("Bearer {}", ana.token.as_ref().unwrap()));
    let (status, problem) = connect(&server.socket_url(), std::slice::from_ref(&bearer)).await.err().unwrap();
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS.as_u16());
    assert!(problem.contains("2 sockets"));
    first.0.close(None).await.unwrap();
    first.close_code().await;
    let again = timeout(SOON, async {
        while connect(&server.socket_url(), std::slice::from_ref(&bearer)).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    again.await.expect("room after the first closed");
}

#[tokio::test]
async fn a_revoked_token_and_a_stopping_hub_close_sockets_with_a_reason() {
    let mut server = TestServer::start().await;
    let ana = server.register("ana").await;
    let created = ana.post("/api/tokens", json!({"name": "ci"})).await.body;
    let agent = server.caller(created["token"].as_str().unwrap());
    let mut revoked = Socket::open(&server, &agent, None).await;
    let mut stopped = Socket::open(&server, &ana, None).await;
    revoked.expect("connection_established").await;
    ana.delete(&format!("/api/tokens/{}", created["id"].as_str().unwrap())).await;
    assert_eq!(revoked.close_code().await, Some(1008));
    let (code, ()) = tokio::join!(stopped.close_code(), server.stop());
    assert_eq!(code, Some(1001));
}
