//! The adapter over real HTTP, on a clock that stands still.

mod checked;
mod documented;
mod fake;
mod incoming;
mod network;
mod outgoing;

use std::{sync::Arc, time::Duration};

use hearback_core::{
    Clock, Result, Timestamp,
    channel::{Address, Channel, Content, Outbound, Parts, Receipt, Settlement},
    clock::ManualClock,
    error::FieldError,
    feedback::{Ending, Question, Request, RequestState, Strategy, Terms},
    layer,
    person::{Asker, UserRef},
    secret::Secret,
    vault::MemoryVault,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Webhook, signature::Key};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW: i64 = 1_795_000_000;
const TIMEOUT: Duration = Duration::from_secs(10);

fn key() -> Key {
    Key::parse(&Secret::from(SECRET)).unwrap()
}

fn parts(allow: &str) -> (Arc<ManualClock>, Parts) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(NOW * 1_000_000)));
    let parts = Parts {
        clock: clock.clone(),
        vault: Arc::new(MemoryVault::default()),
        callbacks_url: "https://hub.example/api/channels/".into(),
        public_url: "https://hub.example/".into(),
        outbound_allow: allow.parse().unwrap(),
        send_timeout: TIMEOUT,
    };
    (clock, parts)
}

struct World {
    clock: Arc<ManualClock>,
    webhook: Arc<Webhook>,
    /// The same with every layer around it.
    channel: Arc<dyn Channel>,
}

fn world(url: &str, capabilities: &Value) -> World {
    build(url, capabilities, "127.0.0.0/8").unwrap()
}

fn build(url: &str, capabilities: &Value, allow: &str) -> Result<World, FieldError> {
    let (clock, parts) = parts(allow);
    let settings = json!({"url": url, "secret": SECRET, "capabilities": capabilities});
    let settings = hearback_core::channel::read_settings(settings)?;
    let webhook = Arc::new(Webhook::new("hook".parse().unwrap(), settings, &parts)?);
    let shared: Arc<dyn Clock> = clock.clone();
    let channel = layer::surround(webhook.clone(), &shared, TIMEOUT).channel;
    Ok(World { clock, webhook, channel })
}

fn ana() -> Address {
    "ana".parse().unwrap()
}

fn user(name: &str) -> UserRef {
    UserRef { id: Uuid::from_u128(7).into(), username: name.into() }
}

fn request() -> Arc<Request> {
    let at = Timestamp::from_micros(NOW * 1_000_000);
    Arc::new(Request {
        id: Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001).into(),
        asker: Asker { user: user("ci"), token: None },
        terms: Terms {
            question: Question::Approval,
            prompt: "Deploy 1.4.2 to production?".into(),
            context: None,
            to: vec![user("ana")],
            channels: Vec::new(),
            strategy: Strategy::Fallback,
            fallback_after: 300,
            expires_in: 600,
            urgent: false,
            on_expiry: None,
            callback_url: None,
            session_id: None,
            metadata: serde_json::Map::new(),
        },
        created_at: at,
        expires_at: at.after(Duration::from_mins(10)),
        created_event: serde_json::from_value(json!("1")).unwrap(),
        state: RequestState::Pending,
    })
}

fn delivery() -> Uuid {
    Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0002)
}

fn outbound(content: Content) -> Outbound {
    Outbound {
        id: delivery(),
        content,
        answer_url: Some("https://hub.example/answer/1".into()),
        thread: None,
        locale: Some("de".into()),
    }
}

fn question() -> Outbound {
    outbound(Content::Request { request: request(), person: user("ana") })
}

async fn settle(channel: &dyn Channel) -> Result<()> {
    let (request, receipt) = (request(), Receipt::from(String::from("m-1")));
    let ending = Ending::Cancelled { at: request.created_at };
    let (to, delivery) = (ana(), delivery().into());
    channel.settle(&Settlement { delivery, to: &to, receipt: &receipt, request: &request, ending: &ending }).await
}
