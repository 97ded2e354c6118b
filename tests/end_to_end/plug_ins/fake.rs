//! A plug-in, with nothing of the adapter in it: what anybody could write by the protocol.

use std::{net::SocketAddr, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use hearback_core::{Clock, clock::SystemClock};
use poem::{
    Endpoint, EndpointExt, Request, Response, Server,
    endpoint::make,
    listener::{Acceptor, Listener, TcpListener},
};
use reqwest::header::HeaderMap;
use ring::hmac;
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    program::BOUND,
    server::{Answered, read},
};

/// What both sides sign with.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The longest prompt that it shows.
const TEXT_MAX: usize = 300;
/// How old a signature may be, in seconds.
const WINDOW: u64 = 300;

/// How a plug-in goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// It gives receipts at once.
    Prompt,
    /// So it does to whoever calls.
    Credulous,
    /// It answers 202, and calls back: with the receipt, and with an answer to an approval.
    CallsBack,
    /// It answers 202 and calls nobody.
    Mute,
    /// It calls back, and signs with something else than the secret.
    Forges,
}

/// A running plug-in.
pub struct PlugIn {
    address: SocketAddr,
    told: mpsc::UnboundedReceiver<Value>,
}

fn key() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap())
}

fn signature(id: &str, time: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&key(), &[id.as_bytes(), b".", time.as_bytes(), b".", body].concat());
    format!("v1,{}", STANDARD.encode(tag))
}

fn now() -> u64 {
    u64::try_from(SystemClock.now().micros() / 1_000_000).unwrap()
}

/// Whether the hub says this, and just now.
fn believed(headers: &HeaderMap, body: &[u8]) -> bool {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(id), Some(time), Some(signatures)) =
        (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"))
    else {
        return false;
    };
    let recent = time.parse().is_ok_and(|time: u64| now().abs_diff(time) <= WINDOW);
    recent && signatures.split(' ').any(|given| given == signature(id, time, body))
}

/// What it answers to what it is told.
fn answer(message: &Value) -> (u16, Value) {
    let delivery = message["delivery"].as_str().unwrap_or_default();
    match message["type"].as_str() {
        Some("probe") => {
            let capabilities = json!({
                "buttons": true, "edit": true, "inbound": true, "idempotent_send": true, "email_addresses": true,
                "text_max": TEXT_MAX,
            });
            (200, json!({ "capabilities": capabilities }))
        }
        Some("request") if message["request"]["prompt"].as_str().unwrap_or_default().chars().count() > TEXT_MAX => {
            (413, json!({"error": "too_long"}))
        }
        Some("code") if message["to"] == "gone" => (404, json!({"error": "not_found"})),
        Some("code") if message["to"] == "busy" => (429, json!({"error": "rate_limited"})),
        Some("code") if message["to"] == "ill" => (503, json!({"error": "unavailable"})),
        Some("request" | "notice" | "code") => (200, json!({"receipt": format!("shown-{delivery}")})),
        Some("settle") => (200, json!({})),
        Some(_) => (501, json!({"error": "unsupported"})),
        None => (400, json!({"error": "malformed"})),
    }
}

/// What it has to tell of a message that it takes.
fn events(message: &Value) -> Vec<Value> {
    let (delivery, request) = (&message["delivery"], &message["request"]);
    let mut events = vec![json!({"type": "receipt", "delivery": delivery, "receipt": format!("shown-{delivery}")})];
    if request["kind"] == "approval" {
        let (id, from) = (&request["id"], &message["to"]);
        events.push(json!({"type": "response", "request_id": id, "from": from, "value": "approved"}));
    }
    events
}

/// Tells it all, each thing until it is taken or refused.
async fn call_back(message: Value, manner: Manner) {
    for event in events(&message) {
        let id = format!("{}_{}", event["type"].as_str().unwrap(), message["delivery"].as_str().unwrap());
        let (time, mut signature) = PlugIn::signed_at(&id, 0, &event.to_string());
        if manner == Manner::Forges {
            signature = format!("v1,{}", STANDARD.encode([7; 32]));
        }
        for _ in 0..10 {
            let headers = [("webhook-id", &*id), ("webhook-timestamp", &time), ("webhook-signature", &signature)];
            let answer = PlugIn::post(&message["callback_url"], headers, event.to_string()).await;
            if !answer.status.is_server_error() {
                break;
            }
        }
    }
}

fn endpoint(tx: mpsc::UnboundedSender<Value>, manner: Manner) -> impl Endpoint<Output = Response> + 'static {
    let tx = Arc::new(tx);
    make(move |mut request: Request| {
        let tx = tx.clone();
        async move {
            let body = request.take_body().into_bytes().await?;
            let (status, said) = if manner != Manner::Credulous && !believed(request.headers(), &body) {
                (401, json!({"error": "bad_signature"}))
            } else {
                match serde_json::from_slice::<Value>(&body) {
                    Ok(message) => {
                        let mut answer = answer(&message);
                        let later = matches!(manner, Manner::CallsBack | Manner::Mute | Manner::Forges);
                        if later && answer.1["receipt"].is_string() {
                            answer = (202, json!({}));
                            if manner != Manner::Mute {
                                tokio::spawn(call_back(message.clone(), manner));
                            }
                        }
                        // A test that has seen enough drops its end.
                        let _ = tx.send(message);
                        answer
                    }
                    Err(_) => (400, json!({"error": "malformed"})),
                }
            };
            let status = poem::http::StatusCode::from_u16(status).unwrap();
            let response = Response::builder().status(status).content_type("application/json");
            Ok::<_, poem::Error>(response.body(said.to_string()))
        }
    })
    .map_to_response()
}

impl PlugIn {
    /// A plug-in that keeps the protocol.
    pub async fn start() -> Self {
        Self::run(Manner::Prompt).await
    }

    /// A plug-in that believes whoever calls.
    pub async fn credulous() -> Self {
        Self::run(Manner::Credulous).await
    }

    /// A plug-in that calls back with the receipts of what it takes, and answers every approval.
    pub async fn calling_back() -> Self {
        Self::run(Manner::CallsBack).await
    }

    /// A plug-in that says it would call back, and never does.
    pub async fn mute() -> Self {
        Self::run(Manner::Mute).await
    }

    /// A plug-in that calls back without the secret.
    pub async fn forging() -> Self {
        Self::run(Manner::Forges).await
    }

    async fn run(manner: Manner) -> Self {
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
        let address = *acceptor.local_addr()[0].as_socket_addr().unwrap();
        let (tx, told) = mpsc::unbounded_channel();
        tokio::spawn(Server::new_with_acceptor(acceptor).run(endpoint(tx, manner)));
        Self { address, told }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hearback", self.address)
    }

    /// The next message of a type. Others before it are passed over.
    pub async fn told(&mut self, kind: &str) -> Value {
        let next = async {
            loop {
                let message = self.told.recv().await.unwrap();
                if message["type"] == kind {
                    return message;
                }
            }
        };
        timeout(BOUND, next).await.unwrap_or_else(|_| panic!("{kind} arrives"))
    }

    /// Whether it was told anything that was not looked at.
    pub fn was_told(&mut self) -> bool {
        self.told.try_recv().is_ok()
    }

    /// Tells the hub something, rightly signed.
    pub async fn tell(callback_url: &Value, id: &str, event: &Value) -> Answered {
        let (time, body) = (now().to_string(), event.to_string());
        let signature = signature(id, &time, body.as_bytes());
        Self::post(
            callback_url,
            [("webhook-id", id), ("webhook-timestamp", &time), ("webhook-signature", &signature)],
            body,
        )
        .await
    }

    /// Tells the hub something with these headers.
    pub async fn post(callback_url: &Value, headers: [(&str, &str); 3], body: String) -> Answered {
        let call = reqwest::Client::new().post(callback_url.as_str().unwrap()).body(body);
        let call = headers.into_iter().fold(call, |call, (name, value)| call.header(name, value));
        read(call.send().await.unwrap()).await
    }

    /// Signs for a moment before or after now.
    pub fn signed_at(id: &str, shift: i64, body: &str) -> (String, String) {
        let time = now().saturating_add_signed(shift).to_string();
        let signature = signature(id, &time, body.as_bytes());
        (time, signature)
    }
}
