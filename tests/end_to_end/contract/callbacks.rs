//! What an agent is told at its `callback_url`, of requests that a hub of its own cannot deliver.

use std::{sync::Arc, time::Duration};

use hearback_core::{Clock, clock::ManualClock};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{example, shown::Shown};
use crate::{
    called_back::receiver::{Answer, Receiver},
    program::BOUND,
    server::{Caller, TestServer},
};

pub async fn told(clock: &Arc<ManualClock>, shown: &mut Shown) {
    let shared: Arc<dyn Clock> = clock.clone();
    let server = TestServer::on(shared, |config| {
        config.outbound_allow = "127.0.0.0/8".parse().unwrap();
        config.channels.insert("pager".into(), json!({"kind": "memory", "text_max": 3}));
    })
    .await;
    let ana = server.register("ana").await;
    let created = ana.post("/api/tokens", shown.sent("bodies/token.create.json")).await;
    let agent = server.caller(created.body["token"].as_str().unwrap());
    let mut receiver = Receiver::start([]).await;
    for kind in ["answered", "expired", "cancelled"] {
        let request = ask(&agent, &receiver).await;
        let path = format!("/api/feedback/{}", request["id"].as_str().unwrap());
        say(shown, &mut receiver, "feedback.undeliverable").await;
        // Before the hub has heard the answer, time may not pass.
        tried(&agent, &format!("{path}/callbacks")).await;
        clock.advance(Duration::from_secs(1));
        match kind {
            "answered" => {
                receiver.script([Answer::Status(503, "")]);
                let answer = json!({"value": "approved", "comment": "Go ahead, but watch the login page."});
                let answer = ana.post(&format!("{path}/responses"), answer).await;
                assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            }
            "expired" => clock.advance(Duration::from_mins(10)),
            _ => drop(agent.post(&format!("{path}/cancel"), json!({})).await),
        }
        say(shown, &mut receiver, &format!("feedback.{kind}")).await;
        if kind == "answered" {
            let listed = tried(&agent, &format!("{path}/callbacks")).await;
            shown.said("bodies/callback.list.json", &as_shown(&listed, &receiver));
            clock.advance(Duration::from_secs(10));
            say(shown, &mut receiver, "feedback.answered").await;
        }
    }
}

async fn ask(agent: &Caller, receiver: &Receiver) -> Value {
    let mut draft = example("bodies/feedback.create.approval.json");
    draft["to"] = json!(["ana"]);
    draft["channels"] = json!([{"channel": "pager", "address": "desk"}]);
    draft["callback_url"] = receiver.url().into();
    agent.put(draft).await
}

/// The next call, compared with the example of its kind.
async fn say(shown: &mut Shown, receiver: &mut Receiver, kind: &str) {
    let call = receiver.call().await;
    shown.said(&format!("callbacks/{kind}.json"), &as_shown(&call.body, receiver));
}

/// The list once every callback in it has been tried, and one is there.
async fn tried(agent: &Caller, path: &str) -> Value {
    let reached = async {
        loop {
            let list = agent.get(path).await.body;
            let items = list["items"].as_array().unwrap();
            if !items.is_empty() && items.iter().all(|callback| callback["attempts"] == 1) {
                return list;
            }
        }
    };
    timeout(BOUND, reached).await.expect("both are tried in time")
}

/// With the URL that the receiver has in the examples.
fn as_shown(value: &Value, receiver: &Receiver) -> Value {
    let url = example("bodies/callback.list.json")["items"][0]["url"].as_str().unwrap().to_owned();
    serde_json::from_str(&value.to_string().replace(&receiver.url(), &url)).unwrap()
}
