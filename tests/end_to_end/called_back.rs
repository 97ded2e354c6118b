//! What agents are told at their `callback_url`, over real HTTP.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`receiver`] | a fake receiver, whose answers are scripted |
//! | [`retries`] | faults, `Retry-After`, 410, a restart, tokens that end |
//! | [`network`] | which addresses are called at all |
//! | [`library`] | the signature, verified by the official library for Python |

mod library;
mod network;
pub mod receiver;
mod retries;

use std::sync::Arc;

use hearback::config::Config;
use hearback_core::{Clock, clock::SystemClock};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    program::BOUND,
    server::{Caller, TestServer},
};
use receiver::Receiver;

/// A hub with a person and an agent of theirs, which may call loopback.
struct World {
    server: TestServer,
    ana: Caller,
    agent: Caller,
    /// What the agent's callbacks are signed with.
    secret: String,
}

impl World {
    async fn start() -> Self {
        Self::on(Arc::new(SystemClock), |config| config.outbound_allow = "127.0.0.0/8".parse().unwrap()).await
    }

    async fn on(clock: Arc<dyn Clock>, change: impl FnOnce(&mut Config)) -> Self {
        let server = TestServer::on(clock, change).await;
        let ana = server.register("ana").await;
        let created = ana.post("/api/tokens", json!({"name": "deploy-bot"})).await.body;
        let agent = server.caller(created["token"].as_str().unwrap());
        Self { server, ana, agent, secret: created["webhook_secret"].as_str().unwrap().into() }
    }

    /// The hub stops and starts again on the same data.
    async fn restart(&mut self) {
        self.restart_with(|_| {}).await;
    }

    async fn restart_with(&mut self, change: impl FnOnce(&mut Config)) {
        self.server.restart_with(change).await;
        let caller = |caller: &Caller| self.server.caller(caller.token.as_ref().unwrap());
        (self.ana, self.agent) = (caller(&self.ana), caller(&self.agent));
    }

    /// An approval asked of Ana, of whose end the agent wants to be told at `url`.
    async fn ask(&self, url: &str) -> Value {
        let draft = json!({"kind": "approval", "prompt": "Deploy 1.4.2?", "to": ["ana"], "callback_url": url});
        self.agent.put(draft).await
    }

    /// The same, taken back at once.
    async fn cancelled(&self, url: &str) -> Value {
        let request = self.ask(url).await;
        let cancelled = self.agent.post(&path(&request, "/cancel"), json!({})).await;
        assert_eq!(cancelled.status, StatusCode::OK, "{cancelled:?}");
        cancelled.body
    }

    async fn callbacks(&self, request: &Value) -> Vec<Value> {
        let answer = self.agent.get(&path(request, "/callbacks")).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.body["items"].as_array().unwrap().clone()
    }

    /// The only callback of a request, once it is as `wanted`.
    async fn callback(&self, request: &Value, wanted: impl Fn(&Value) -> bool) -> Value {
        let reached = async {
            loop {
                if let [callback] = &*self.callbacks(request).await
                    && wanted(callback)
                {
                    return callback.clone();
                }
            }
        };
        let Ok(callback) = timeout(BOUND, reached).await else {
            panic!("callbacks stand {:?}", self.callbacks(request).await);
        };
        callback
    }

    async fn delivered(&self, request: &Value) -> Value {
        self.callback(request, |callback| callback["status"] == "delivered").await
    }

    /// The only callback, after so many attempts.
    async fn tried(&self, request: &Value, attempts: u64) -> Value {
        self.callback(request, |callback| callback["attempts"] == attempts).await
    }
}

fn path(request: &Value, tail: &str) -> String {
    format!("/api/feedback/{}{tail}", request["id"].as_str().unwrap())
}

#[tokio::test]
async fn an_agent_is_told_how_its_request_ended_and_shown_that_it_was() {
    let world = World::start().await;
    let mut receiver = Receiver::start([]).await;
    let url = receiver.url();
    let answered = world.ask(&url).await;
    assert_eq!(answered["callback_url"], url);
    assert_eq!(world.callbacks(&answered).await, [Value::Null; 0]);
    world.ana.answer(&answered, json!("approved")).await;
    let call = receiver.call().await;
    assert_eq!((call.body["type"].as_str(), call.path.as_str()), (Some("feedback.answered"), "/hook?of=deployer"));
    let now = world.agent.get(&path(&answered, "")).await.body;
    assert_eq!(call.body["data"], now, "the request as the API shows it");
    assert_eq!(call.body["timestamp"], now["ended_at"]);
    let callback = world.delivered(&answered).await;
    assert_eq!(call.header("webhook-id"), callback["id"]);
    assert_eq!(call.header("content-type"), "application/json");
    assert_eq!((&callback["type"], &callback["url"]), (&json!("feedback.answered"), &json!(url)));
    assert_eq!((&callback["attempts"], &callback["last_error"]), (&json!(1), &Value::Null));
    assert_eq!((&callback["next_attempt_at"], callback["delivered_at"].is_string()), (&Value::Null, true));

    let cancelled = world.cancelled(&url).await;
    let call = receiver.call().await;
    assert_eq!((&call.body["type"], &call.body["data"]), (&json!("feedback.cancelled"), &cancelled));

    let draft = json!({
        "kind": "input", "prompt": "Which one?", "to": ["ana"], "callback_url": url,
        "expires_in": 1, "on_expiry": "none"
    });
    world.agent.put(draft).await;
    let call = receiver.call().await;
    assert_eq!((&call.body["type"], &call.body["data"]["status"]), (&json!("feedback.expired"), &json!("expired")));
    assert_eq!(call.body["data"]["outcome"]["value"], "none");
}

#[tokio::test]
async fn an_agent_is_told_that_nobody_is_reached_and_then_how_it_ended() {
    let world = World::on(Arc::new(SystemClock), |config| {
        config.outbound_allow = "127.0.0.0/8".parse().unwrap();
        config.channels.insert("narrow".into(), json!({"kind": "memory", "text_max": 3}));
    })
    .await;
    let mut receiver = Receiver::start([]).await;
    let channels = json!([{"channel": "narrow", "address": "desk"}]);
    let draft = json!({
        "kind": "approval", "prompt": "Deploy 1.4.2?", "to": ["ana"],
        "channels": channels, "callback_url": receiver.url()
    });
    let request = world.agent.put(draft).await;
    let first = receiver.call().await;
    assert_eq!((&first.body["type"], &first.body["data"]), (&json!("feedback.undeliverable"), &request));
    world.ana.answer(&request, json!("rejected")).await;
    let second = receiver.call().await;
    assert_eq!(second.body["type"], "feedback.answered");
    assert_ne!(first.header("webhook-id"), second.header("webhook-id"));

    let pages = path(&request, "/callbacks?limit=1");
    let page = world.agent.get(&pages).await.body;
    assert_eq!(page["items"][0]["type"], "feedback.undeliverable", "oldest first");
    let next = world.agent.get(&format!("{pages}&cursor={}", page["next_cursor"].as_str().unwrap())).await.body;
    assert_eq!((&next["items"][0]["type"], &next["next_cursor"]), (&json!("feedback.answered"), &Value::Null));
}

#[tokio::test]
async fn only_the_asker_sees_callbacks() {
    let world = World::start().await;
    let (ben, stranger) = (world.server.register("ben").await, world.server.register("carl").await);
    let draft = json!({"kind": "approval", "prompt": "?", "to": ["ben"], "callback_url": "https://agent.example/"});
    let request = world.agent.put(draft).await;
    let path = path(&request, "/callbacks");
    for (caller, status) in [
        (&world.agent, StatusCode::OK),
        (&world.ana, StatusCode::OK),
        (&ben, StatusCode::FORBIDDEN),
        (&stranger, StatusCode::NOT_FOUND),
        (&world.server.nobody(), StatusCode::UNAUTHORIZED),
    ] {
        let answer = caller.get(&path).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    let wrong = world.agent.get(&format!("{path}?cursor=zzz")).await;
    assert_eq!((wrong.status, wrong.fields()), (StatusCode::BAD_REQUEST, vec!["cursor"]));
}

#[tokio::test]
async fn a_callback_url_is_for_agents_and_a_plain_http_one() {
    let world = World::start().await;
    let draft = |url: &str| json!({"kind": "approval", "prompt": "?", "to": ["ana"], "callback_url": url});
    let in_person = world.ana.post("/api/feedback", draft("https://agent.example/")).await;
    assert_eq!((in_person.status.as_u16(), in_person.fields()), (422, vec!["callback_url"]));
    for wrong in ["", "agent.example", "ftp://agent.example/", "file:///etc/passwd", "https://me:secret@agent.example/"]
    {
        let answer = world.agent.post("/api/feedback", draft(wrong)).await;
        assert_eq!((answer.status.as_u16(), answer.fields()), (422, vec!["callback_url"]), "{wrong}");
        assert!(!answer.body.to_string().contains("secret"), "{answer:?}");
    }
}
