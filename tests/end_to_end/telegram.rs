//! Telegram, before a Bot API that does what it is told to: as people tap and write, and as Telegram refuses.

mod asking;
mod commands;
mod emulator;
mod failing;
mod groups;
mod hearing;
mod linking;
mod settling;

use std::{sync::Arc, time::Duration};

use hearback_core::{
    Clock, Timestamp,
    clock::{ManualClock, SystemClock},
};
use hearback_tests::telegram::{BotApi, Message, TOKEN, tap, text};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::server::{Caller, TestServer, unlimited};

/// Ana's number on Telegram, which is her chat's with the bot.
const ANA: i64 = 700_100;
/// Ben's.
const BEN: i64 = 700_200;
/// Somebody's whom the hub does not know.
const MAX: i64 = 700_300;

/// A hub with a Telegram bot, and an agent that asks.
struct World {
    api: Arc<BotApi>,
    server: TestServer,
    ana: Caller,
    agent: Caller,
}

impl World {
    /// One in which Ana is reached on Telegram.
    async fn start() -> Self {
        let world = Self::unlinked().await;
        world.give(&world.ana, ANA).await;
        world
    }

    /// One in which nobody is.
    async fn unlinked() -> Self {
        Self::on(Arc::new(SystemClock), None).await
    }

    /// The same at a public URL, which Telegram can call.
    async fn public(url: &str) -> Self {
        let world = Self::on(Arc::new(SystemClock), Some(url)).await;
        world.give(&world.ana, ANA).await;
        world
    }

    async fn on(clock: Arc<dyn Clock>, public_url: Option<&str>) -> Self {
        let api = BotApi::start().await;
        let (server, ana, agent) = hub(clock, &api.url(), public_url).await;
        Self { api, server, ana, agent }
    }

    /// Gives somebody their address on Telegram, as administrators do.
    async fn give(&self, to: &Caller, number: i64) {
        let id = to.get("/api/auth/me").await.body["id"].as_str().unwrap().to_owned();
        let address = json!({"channel": "telegram", "address": number.to_string()});
        let given = self.ana.post(&format!("/api/users/{id}/addresses"), address).await;
        assert_eq!(given.status, StatusCode::CREATED, "{given:?}");
    }

    /// Asks Ana over Telegram, and returns the request with its message, which is this one in her chat.
    async fn ask(&self, count: usize, question: Value) -> (Value, Message) {
        let mut draft = json!({"prompt": "Deploy 1.4.2?", "to": ["ana"], "channels": ["telegram"]});
        draft.as_object_mut().unwrap().extend(question.as_object().unwrap().clone());
        let request = self.agent.put(draft).await;
        (request, self.api.message(&ANA.to_string(), count).await)
    }

    /// Lets somebody tap a button of a message, and returns what they are told.
    async fn tap(&self, from: i64, message: &Message, shows: &str) -> String {
        let count = self.api.answers().len();
        let chat = message.chat.parse().unwrap();
        let mut tapped = tap(from, chat, message.id, &message.button(shows));
        tapped["callback_query"]["message"]["reply_markup"] = message.fields["reply_markup"].clone();
        self.api.tell(tapped);
        self.api.answer(count + 1).await
    }

    /// Lets somebody write in their own chat, and returns what they are told.
    async fn write(&self, from: i64, words: &str, reply_to: Option<i32>) -> Message {
        let chat = from.to_string();
        let count = self.api.messages().iter().filter(|message| message.chat == chat).count();
        self.api.tell(text(from, from, words, reply_to));
        self.api.message(&chat, count + 1).await
    }

    /// Starts the hub again on the same data, and everybody's calls go there.
    async fn restart(&mut self) {
        self.server.restart().await;
        self.call_again();
    }

    /// After a start of the hub.
    fn call_again(&mut self) {
        for caller in [&mut self.ana, &mut self.agent] {
            let mut again = self.server.caller(caller.token.as_ref().unwrap());
            again.username.clone_from(&caller.username);
            *caller = again;
        }
    }

    /// Returns once a second delivery of a request has begun.
    async fn second_delivery(&self, request: &Value) -> Vec<Value> {
        let begun = async {
            loop {
                let deliveries = self.deliveries(request).await;
                if deliveries.len() == 2 && deliveries[1]["status"] != "queued" {
                    return deliveries;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(crate::socket::SOON, begun).await.expect("the next channel begins")
    }

    async fn outcome(&self, request: &Value) -> Value {
        let id = request["id"].as_str().unwrap();
        self.agent.get(&format!("/api/feedback/{id}?wait=20")).await.body["outcome"].clone()
    }

    async fn responses(&self, request: &Value) -> Vec<Value> {
        let id = request["id"].as_str().unwrap();
        self.agent.get(&format!("/api/feedback/{id}/responses")).await.body["items"].as_array().unwrap().clone()
    }

    async fn deliveries(&self, request: &Value) -> Vec<Value> {
        let id = request["id"].as_str().unwrap();
        self.agent.get(&format!("/api/feedback/{id}/deliveries")).await.body["items"].as_array().unwrap().clone()
    }

    /// The channel as the API shows it, once it looks like this.
    async fn channel(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            loop {
                let channels = self.ana.get("/api/channels").await.body;
                let telegram =
                    channels["items"].as_array().unwrap().iter().find(|one| one["name"] == "telegram").cloned();
                if let Some(found) = telegram.filter(|one| holds(one)) {
                    return found;
                }
                tokio::task::yield_now().await;
            }
        };
        let within = tokio::time::timeout(crate::socket::SOON, found).await;
        within.unwrap_or_else(|_| panic!("the channel is not {what}"))
    }
}

/// A hub with a bot at this API, its first person, and an agent of hers.
async fn hub(clock: Arc<dyn Clock>, api_url: &str, public_url: Option<&str>) -> (TestServer, Caller, Caller) {
    let server = TestServer::on(clock, |config| {
        let settings = json!({"kind": "telegram", "bot_token": TOKEN, "api_url": api_url});
        config.channels.insert("telegram".into(), settings);
        if let Some(url) = public_url {
            config.public_url = url.parse().unwrap();
        }
        unlimited(config);
    })
    .await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    (server, ana, agent)
}

/// Moves a clock on until something holds.
async fn advance_until(clock: &ManualClock, step: Duration, holds: impl Fn() -> bool) {
    let moved = async {
        while !holds() {
            clock.advance(step);
            // Lets what the clock woke get as far as its next call.
            for _ in 0..200 {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::time::timeout(crate::socket::SOON, moved).await.expect("it holds in time");
}

fn at(text: &str) -> Timestamp {
    serde_json::from_value(json!(text)).unwrap()
}

fn shown(message: &Message) -> Vec<String> {
    message.buttons().into_iter().map(|(text, _)| text).collect()
}
