//! The Telegram channel before a Bot API over real HTTP that does what it is told to.

use std::sync::Arc;

use async_trait::async_trait;
use hearback_adapters::telegram::Telegram;
use hearback_core::{
    channel::{Address, Callback, Capabilities, Channel, Inbox, Parts},
    clock::ManualClock,
    feedback::Request,
    layer::Operation,
    person::UserRef,
    vault::MemoryVault,
};
use hearback_tests::{
    channel::{
        Applies, Event, Fault, Harness, Heard, Proof,
        bench::{SEND_TIMEOUT, channel_name},
        call_back,
    },
    telegram::{BotApi, TOKEN, Wrong, tap},
};
use http::{HeaderMap, Method};
use serde_json::json;

/// The number of the person who is asked.
const PERSON: i64 = 700_100;

#[derive(Debug)]
struct Bot {
    channel: Arc<dyn Channel>,
    api: Arc<BotApi>,
}

const fn method(operation: Operation) -> &'static str {
    match operation {
        Operation::Probe | Operation::Link | Operation::Callback => "getMe",
        Operation::Send => "sendMessage",
        Operation::Settle => "editMessageText",
    }
}

#[async_trait]
impl Harness for Bot {
    const KIND: &'static str = Telegram::KIND;

    fn variants() -> Vec<Capabilities> {
        vec![Telegram::CAPABILITIES]
    }

    fn inbound() -> Applies {
        Applies::Yes(())
    }

    fn event_ids() -> Applies {
        Applies::Yes(())
    }

    fn signatures() -> Applies {
        Applies::Yes(())
    }

    fn doubt() -> Applies {
        Applies::Yes(())
    }

    async fn open(_: Capabilities, clock: Arc<ManualClock>) -> Self {
        let api = BotApi::start().await;
        let parts = Parts {
            clock,
            vault: Arc::new(MemoryVault::default()),
            callbacks_url: "https://hub.example/api/channels/".into(),
            public_url: "https://hub.example/".into(),
            outbound_allow: "127.0.0.0/8".parse().unwrap(),
            send_timeout: SEND_TIMEOUT,
        };
        let settings = json!({"kind": Self::KIND, "bot_token": TOKEN, "api_url": api.url()});
        let channel = hearback_adapters::configurable().build(channel_name().as_str(), settings, &parts).unwrap();
        Self { channel, api }
    }

    fn channel(&self) -> Arc<dyn Channel> {
        self.channel.clone()
    }

    fn address(&self, _: &UserRef) -> Address {
        PERSON.to_string().parse().unwrap()
    }

    fn secrets(&self) -> Applies<Vec<String>> {
        Applies::Yes(vec![TOKEN.into(), TOKEN.split_once(':').unwrap().1.into()])
    }

    async fn put(&self, request: Request) -> Arc<Request> {
        Arc::new(request)
    }

    fn script(&self, operation: Operation, fault: Fault) -> Applies {
        if (operation, fault) == (Operation::Settle, Fault::Echo) {
            return Applies::No("whatever it says with `ok`, it has edited");
        }
        let wrong = match fault {
            Fault::Status { status, retry_after } => Wrong::Repeats(status, retry_after.map(|after| after.as_secs())),
            Fault::Hang => Wrong::Hangs,
            Fault::Cut => Wrong::Cut,
            Fault::Echo => Wrong::Echoes,
        };
        self.api.wrong(method(operation), wrong);
        Applies::Yes(())
    }

    async fn hanging(&self) {
        self.api.hangs().await;
    }

    fn arrived(&self) -> Vec<String> {
        self.api.messages().iter().map(|message| message.text().to_owned()).collect()
    }

    fn calls(&self) -> Applies<usize> {
        Applies::Yes(self.api.calls().len())
    }

    async fn inject(&self, channel: &Arc<dyn Channel>, inbox: Arc<dyn Inbox>, event: &Event, proof: Proof) -> Heard {
        let message = self.api.messages().into_iter().next_back();
        let (shows, at) = match event.value.as_str() {
            Some("approved") => ("Approve", message),
            _ => ("Reject", message),
        };
        // After a restart the button is in another bot's chat of this fake; what it says is the same.
        let data = match at {
            Some(message) => message.button(shows),
            None => button(&event.request),
        };
        let number: i64 = event.id.trim_start_matches("event-").parse().unwrap();
        let mut update = tap(event.from.as_str().parse().unwrap(), PERSON, 1, &data);
        update["update_id"] = number.into();
        let secret = self.api.until("a webhook", |api| api.webhook()["secret_token"].as_str().map(String::from)).await;
        let secret = if proof == Proof::Good { secret } else { "somebody-elses".into() };
        let mut headers = HeaderMap::new();
        headers.insert("x-telegram-bot-api-secret-token", secret.parse().unwrap());
        let (tail, query, body) = (Telegram::TAIL.into(), String::new(), update.to_string().into());
        call_back(channel, Callback { method: Method::POST, tail, query, headers, body }, inbox).await
    }
}

/// What the first button of an approval says.
fn button(request: &Request) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    format!("a{}0", URL_SAFE_NO_PAD.encode(request.id.uuid().as_bytes()))
}

hearback_tests::channel_conformance!(Bot);
