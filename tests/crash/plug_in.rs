//! A plug-in with two channels, which outlives every life of the hub and counts what it was told: `desk`, where a
//! question that is sent twice shows twice, and `board`, where it shows once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hearback_core::{Clock, Timestamp, clock::SystemClock};
use hearback_tests::simulation::random::Chance;
use poem::{
    Endpoint, EndpointExt, Request, Response, Server,
    endpoint::make,
    http::StatusCode,
    listener::{Acceptor, Listener, TcpListener},
};
use ring::hmac;
use serde_json::{Value, json};
use tokio::{sync::oneshot, time::sleep};

/// What both sides sign with.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The channels, and whether each shows a repeated question once.
pub const CHANNELS: [(&str, bool); 2] = [("desk", false), ("board", true)];
/// The path at which askers are called back.
const CALLBACK: &str = "callback";
/// Nobody waits for longer than this for an answer that is held back.
const HELD_FOR: Duration = Duration::from_secs(20);

/// What somebody waits for at the plug-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It has got a question, and does not answer.
    Asked,
    /// It answers a question just now.
    Answers,
    /// It has got a settlement, and does not answer.
    Told,
}

/// What it knows of one delivery.
#[derive(Clone, Default)]
pub struct Shown {
    pub channel: String,
    pub request: String,
    /// The question as it came, each time.
    pub asked: Vec<Timestamp>,
    /// The ids that it came under.
    pub ids: BTreeSet<String>,
    /// When the hub was given the receipt.
    pub receipted: Vec<Timestamp>,
    /// When the hub acknowledged a receipt that was brought to it.
    pub brought: Option<Timestamp>,
    /// How the question ended, by each settlement that came.
    pub settled: Vec<(Timestamp, Value)>,
    /// When the hub was first seen to know that it is sent.
    pub known_sent: Option<Timestamp>,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channel, request, asked, ids, receipted, brought, settled, known_sent } = self;
        write!(
            f,
            "{channel} was asked {request} {} times by {} ids, gave {} receipts and {} later, was told {} ends; known \
             to be sent: {}",
            asked.len(),
            ids.len(),
            receipted.len(),
            usize::from(brought.is_some()),
            settled.len(),
            known_sent.is_some()
        )
    }
}

/// What an asker was told at its `callback_url` of one request, by one type of message.
#[derive(Clone, Debug, Default)]
pub struct Called {
    /// The ids that it came under.
    pub ids: BTreeSet<String>,
    /// The request as it came, each time.
    pub requests: Vec<Value>,
}

/// What is left to do once the hub has its answer.
#[derive(Clone, Debug)]
pub enum Errand {
    /// Bring the receipt of a delivery that was only taken.
    Receipt { channel: String, delivery: String },
    /// Somebody may answer what was shown to them.
    Answer { channel: String, delivery: String, to: String, request: Value },
}

/// The plug-in.
#[derive(Debug)]
pub struct PlugIn {
    port: u16,
    shown: Mutex<BTreeMap<String, Shown>>,
    called: Mutex<BTreeMap<(String, String), Called>>,
    waiting: Mutex<Option<(Moment, oneshot::Sender<()>)>>,
    faults: Mutex<Vec<String>>,
    errands: tokio::sync::mpsc::UnboundedSender<Errand>,
    chance: Chance,
}

/// The headers that sign an event now.
pub fn signed(id: &str, body: &str) -> [(&'static str, String); 3] {
    let now = (SystemClock.now().micros() / 1_000_000).to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap());
    let tag = hmac::sign(&key, format!("{id}.{now}.{body}").as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(tag));
    [("webhook-id", id.to_owned()), ("webhook-timestamp", now), ("webhook-signature", signature)]
}

pub fn receipt_of(delivery: &str) -> String {
    format!("shown-{delivery}")
}

impl PlugIn {
    /// Starts it. What it has to do of its own accord comes out of `errands`.
    pub async fn start(seed: u64, errands: tokio::sync::mpsc::UnboundedSender<Errand>) -> Arc<Self> {
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
        let port = acceptor.local_addr()[0].as_socket_addr().unwrap().port();
        let plug_in = Arc::new(Self {
            port,
            shown: Mutex::default(),
            called: Mutex::default(),
            waiting: Mutex::default(),
            faults: Mutex::default(),
            errands,
            chance: Chance::new(seed),
        });
        tokio::spawn(Server::new_with_acceptor(acceptor).run(endpoint(plug_in.clone())));
        plug_in
    }

    /// The tables that make it two channels of the hub.
    pub fn tables(&self) -> String {
        let table = |(name, idempotent): (&str, bool)| {
            format!(
                "[channels.{name}]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{}/{name}\"\nsecret = \"{SECRET}\"\n\
                 capabilities = {{ buttons = true, edit = true, inbound = true, idempotent_send = {idempotent} }}\n",
                self.port
            )
        };
        CHANNELS.map(table).concat()
    }

    /// Where it takes what askers are told.
    pub fn callback_url(&self) -> String {
        format!("http://127.0.0.1:{}/{CALLBACK}", self.port)
    }

    /// What askers were told, by the request and the type of the message.
    pub fn all_called(&self) -> BTreeMap<(String, String), Called> {
        self.called.lock().unwrap().clone()
    }

    pub fn is_called(&self, call: &(String, String)) -> bool {
        self.called.lock().unwrap().contains_key(call)
    }

    /// Takes a callback, or asks for it again.
    fn called_back(&self, id: String, message: &Value) -> (StatusCode, Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut called = self.called.lock().unwrap();
        let called = called.entry((text(&message["data"]["id"]), text(&message["type"]))).or_default();
        called.ids.insert(id);
        called.requests.push(message["data"].clone());
        let status = if self.chance.happens(100) { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        (status, json!({}))
    }

    /// Completes at the next such moment.
    pub fn next(&self, moment: Moment) -> oneshot::Receiver<()> {
        let (tx, rx) = oneshot::channel();
        *self.waiting.lock().unwrap() = Some((moment, tx));
        rx
    }

    /// Says that the moment is there, if somebody waits for it.
    fn reached(&self, moment: Moment) -> bool {
        let mut waiting = self.waiting.lock().unwrap();
        let is_it = waiting.as_ref().is_some_and(|(wanted, _)| *wanted == moment);
        is_it && waiting.take().is_some_and(|(_, tx)| tx.send(()).is_ok())
    }

    pub fn all_shown(&self) -> BTreeMap<String, Shown> {
        self.shown.lock().unwrap().clone()
    }

    pub fn shown(&self, delivery: &str) -> Option<Shown> {
        self.shown.lock().unwrap().get(delivery).cloned()
    }

    /// What it was told that the hub may not say.
    pub fn take_faults(&self) -> Vec<String> {
        std::mem::take(&mut self.faults.lock().unwrap())
    }

    /// The hub said, just now, that it knows this delivery to be sent.
    pub fn is_known_sent(&self, delivery: &str) {
        if let Some(shown) = self.shown.lock().unwrap().get_mut(delivery) {
            shown.known_sent.get_or_insert_with(|| SystemClock.now());
        }
    }

    /// The hub acknowledged the receipt that was brought to it.
    pub fn is_brought(&self, delivery: &str) {
        if let Some(shown) = self.shown.lock().unwrap().get_mut(delivery) {
            shown.brought.get_or_insert_with(|| SystemClock.now());
        }
    }

    async fn told(&self, channel: &str, id: String, message: &Value) -> (StatusCode, Value) {
        let delivery = message["delivery"].as_str().unwrap_or_default().to_owned();
        match message["type"].as_str() {
            Some("probe") => {
                let capabilities = json!({"buttons": true, "edit": true, "inbound": true, "idempotent_send": true});
                (StatusCode::OK, json!({ "capabilities": capabilities }))
            }
            Some("request") => self.asked(channel, id, delivery, message).await,
            Some("settle") => {
                {
                    let mut shown = self.shown.lock().unwrap();
                    let shown = shown.entry(delivery.clone()).or_default();
                    shown.settled.push((SystemClock.now(), message["request"].clone()));
                    if message["receipt"] != receipt_of(&delivery) {
                        self.faults.lock().unwrap().push(format!("settled by another receipt: {message}"));
                    }
                }
                if self.reached(Moment::Told) {
                    sleep(HELD_FOR).await;
                }
                (StatusCode::OK, json!({}))
            }
            _ => {
                self.faults.lock().unwrap().push(format!("nothing that it is to be told: {message}"));
                (StatusCode::NOT_IMPLEMENTED, json!({"error": "unsupported"}))
            }
        }
    }

    async fn asked(&self, channel: &str, id: String, delivery: String, message: &Value) -> (StatusCode, Value) {
        let request = &message["request"];
        {
            let mut shown = self.shown.lock().unwrap();
            let shown = shown.entry(delivery.clone()).or_default();
            channel.clone_into(&mut shown.channel);
            request["id"].as_str().unwrap_or_default().clone_into(&mut shown.request);
            shown.asked.push(SystemClock.now());
            shown.ids.insert(id);
        }
        let to = message["to"].as_str().unwrap_or_default().to_owned();
        let answer =
            Errand::Answer { channel: channel.into(), delivery: delivery.clone(), to, request: request.clone() };
        // What is shown is shown, whether the hub hears of it or not. Nobody listens any more when the run is over.
        let _ = self.errands.send(answer);
        if self.reached(Moment::Asked) {
            sleep(HELD_FOR).await;
        }
        if self.chance.happens(150) {
            let _ = self.errands.send(Errand::Receipt { channel: channel.into(), delivery });
            return (StatusCode::ACCEPTED, json!({}));
        }
        if let Some(shown) = self.shown.lock().unwrap().get_mut(&delivery) {
            shown.receipted.push(SystemClock.now());
        }
        self.reached(Moment::Answers);
        (StatusCode::OK, json!({"receipt": receipt_of(&delivery)}))
    }
}

fn endpoint(plug_in: Arc<PlugIn>) -> impl Endpoint<Output = Response> + 'static {
    make(move |mut request: Request| {
        let plug_in = plug_in.clone();
        async move {
            let body = request.take_body().into_bytes().await?;
            let channel = request.uri().path().trim_start_matches('/').to_owned();
            let id = request.header("webhook-id").unwrap_or_default().to_owned();
            let message: Value = serde_json::from_slice(&body).unwrap_or_default();
            let (status, said) = match channel.as_str() {
                CALLBACK => plug_in.called_back(id, &message),
                channel => plug_in.told(channel, id, &message).await,
            };
            Ok::<_, poem::Error>(
                Response::builder().status(status).content_type("application/json").body(said.to_string()),
            )
        }
    })
    .map_to_response()
}
