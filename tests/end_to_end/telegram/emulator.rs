//! Telegram as somebody else emulates it: npm's `telegram-test-api`, over real HTTP, by polls and by its calls.
//!
//! It holds no poll open, tells no webhook, sends no secret, and leaves out much of what Telegram documents. The secret is put
//! in between: what lies there rewrites where the emulator is to call, and calls on with the header that Telegram would send.

use std::{env, ffi::OsString, io::Write, process::Stdio, sync::Mutex, thread};

use poem::{
    EndpointExt, IntoResponse, Response, Route, Server, get, handler,
    http::StatusCode as PoemStatus,
    listener::{Acceptor, Listener, TcpListener},
    post,
    web::{Data, Path},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use super::*;
use crate::program::BOUND;

/// Starts the emulator on a free port, and prints that.
const START: &str = "
const net = require('net');
const TelegramServer = require('telegram-test-api').default || require('telegram-test-api');
const free = net.createServer();
free.listen(0, '127.0.0.1', () => {
  const { port } = free.address();
  free.close(async () => {
    await new TelegramServer({ host: '127.0.0.1', port, storeTimeout: 600 }).start();
    console.log(port);
  });
});
";

/// The folder in which npm has installed it.
fn folder() -> Option<OsString> {
    if let Some(folder) = env::var_os("TEST_TELEGRAM_TEST_API").filter(|path| !path.is_empty()) {
        return Some(folder);
    }
    let test = thread::current().name().unwrap_or_default().to_owned();
    let line =
        format!("{test}: needs Node, and the node_modules with npm's telegram-test-api in TEST_TELEGRAM_TEST_API");
    assert!(env::var_os("TEST_REQUIRE_SERVICES").is_none_or(|value| value != "1"), "{line}");
    // Not by eprintln, whose text is only shown of tests that fail.
    std::io::stderr().write_all(format!("SKIPPED {line}\n").as_bytes()).unwrap();
    None
}

/// The emulator, and the people who use it.
struct Emulator {
    url: String,
    _node: Child,
}

impl Emulator {
    async fn start() -> Option<Self> {
        let folder = folder()?;
        let mut node = Command::new("node");
        node.args(["-e", START]).env("NODE_PATH", folder).stdout(Stdio::piped()).kill_on_drop(true);
        let mut node = node.spawn().expect("Node runs");
        let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
        let port = timeout(BOUND, lines.next_line()).await.expect("it starts").unwrap().expect("its port");
        Some(Self { url: format!("http://127.0.0.1:{port}"), _node: node })
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let call = reqwest::Client::new().post(format!("{}/{path}", self.url)).json(&body);
        call.send().await.unwrap().json().await.unwrap()
    }

    /// What Ana does, as the emulator's own client says it.
    async fn do_as_ana(&self, path: &str, more: Value) {
        let from = json!({"id": ANA, "first_name": "Ana", "username": "ana", "is_bot": false});
        let chat = json!({"id": ANA, "first_name": "Ana", "username": "ana", "type": "private"});
        let mut body = json!({"botToken": TOKEN, "from": from, "chat": chat, "date": 1_795_000_000});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.post(path, body).await;
    }

    /// What the bot has sent, as it stands, once it holds this.
    async fn shows(&self, part: &str) -> Value {
        let found = async {
            loop {
                let history = self.post("getUpdatesHistory", json!({"token": TOKEN})).await;
                let sent = history["result"].as_array().cloned().unwrap_or_default();
                let text = |one: &Value| one["message"].to_string().contains(part);
                let by_bot = |one: &Value| !one["message"]["chat_id"].is_null();
                if let Some(found) = sent.iter().rev().find(|one| by_bot(one) && text(one)) {
                    return found.clone();
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(BOUND, found).await.unwrap_or_else(|_| panic!("the bot does not show `{part}`"))
    }
}

/// What lies between the hub and the emulator.
struct Between {
    emulator: String,
    own: String,
    hub: Mutex<String>,
    secret: Mutex<String>,
}

/// A call of the hub's.
#[handler]
async fn call_emulator(
    Path((bot, method)): Path<(String, String)>,
    body: String,
    between: Data<&Arc<Between>>,
) -> Response {
    let mut body: Value = serde_json::from_str(&body).unwrap();
    if method == "setWebhook" {
        body["secret_token"].as_str().unwrap().clone_into(&mut between.secret.lock().unwrap());
        body["url"] = json!(format!("{}/hook", between.own));
    }
    let call = reqwest::Client::new().post(format!("{}/{bot}/{method}", between.emulator)).json(&body);
    let answer = call.send().await.unwrap();
    let status = PoemStatus::from_u16(answer.status().as_u16()).unwrap();
    answer.text().await.unwrap().with_status(status).into_response()
}

/// A call of the emulator's.
#[handler]
async fn call_hub(body: String, between: Data<&Arc<Between>>) -> Response {
    let (hub, secret) = (between.hub.lock().unwrap().clone(), between.secret.lock().unwrap().clone());
    let call = reqwest::Client::new().post(format!("{hub}/api/channels/telegram/webhook")).body(body);
    let answer = call.header("x-telegram-bot-api-secret-token", secret).send().await.unwrap();
    PoemStatus::from_u16(answer.status().as_u16()).unwrap().into_response()
}

impl Between {
    async fn start(emulator: &Emulator) -> Arc<Self> {
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
        let address = *acceptor.local_addr()[0].as_socket_addr().unwrap();
        let (hub, secret) = Default::default();
        let between = Arc::new(Self { emulator: emulator.url.clone(), own: format!("http://{address}"), hub, secret });
        let routes = Route::new()
            .at("/hook", post(call_hub).get(get(call_hub)))
            .at("/:bot/:method", post(call_emulator))
            .data(between.clone());
        tokio::spawn(Server::new_with_acceptor(acceptor).run(routes));
        between
    }
}

/// A story from the link to the last answer.
async fn story(emulator: &Emulator, ana: &Caller, agent: &Caller) {
    let link = ana.post("/api/me/addresses", json!({"channel": "telegram"})).await;
    assert_eq!(link.status, StatusCode::CREATED, "{link:?}");
    let command = format!("/start {}", link.body["code"].as_str().unwrap());
    let entities = json!([{"offset": 0, "length": 6, "type": "bot_command"}]);
    emulator.do_as_ana("sendCommand", json!({"text": command, "entities": entities})).await;
    emulator.shows("linked to ana").await;

    let draft = |question: Value| {
        let mut draft = json!({"to": ["ana"], "channels": ["telegram"]});
        draft.as_object_mut().unwrap().extend(question.as_object().unwrap().clone());
        draft
    };
    let outcome = async |request: &Value| {
        let id = request["id"].as_str().unwrap();
        agent.get(&format!("/api/feedback/{id}?wait=20")).await.body["outcome"].clone()
    };
    let said = |shown: &Value, row: usize, column: usize| {
        shown["message"]["reply_markup"]["inline_keyboard"][row][column]["callback_data"].clone()
    };
    let request = agent.put(draft(json!({"kind": "approval", "prompt": "Deploy 1.4.2?"}))).await;
    let question = emulator.shows("Deploy 1.4.2?").await;
    emulator.do_as_ana("sendCallback", json!({"data": said(&question, 0, 0), "message": {"chat": {"id": ANA}}})).await;
    assert_eq!(outcome(&request).await["value"], "approved");
    emulator.shows("ana on telegram answered: <b>Approved</b>").await;

    let options = json!([{"value": "eu"}, {"value": "us"}, {"value": "ap"}]);
    let choice = json!({"kind": "choice", "prompt": "Which regions?", "options": options, "multiple": true});
    let request = agent.put(draft(choice)).await;
    let question = emulator.shows("Which regions?").await;
    let message = json!({"message_id": question["messageId"], "chat": {"id": ANA, "type": "private"}});
    // Called while its call before is under way, the emulator gives both the same number.
    for (row, shows) in [(0, "1 chosen"), (2, "2 chosen"), (3, "answered: <b>eu, ap</b>")] {
        emulator.do_as_ana("sendCallback", json!({"data": said(&question, row, 0), "message": message})).await;
        emulator.shows(shows).await;
    }
    assert_eq!(outcome(&request).await["value"], json!(["eu", "ap"]));

    let request = agent.put(draft(json!({"kind": "input", "prompt": "Which version?"}))).await;
    let question = emulator.shows("Which version?").await;
    let replied = json!({"message_id": question["messageId"], "chat": {"id": ANA, "type": "private"}});
    emulator.do_as_ana("sendMessage", json!({"text": "1.4.2", "reply_to_message": replied})).await;
    assert_eq!(outcome(&request).await["value"], "1.4.2");
    emulator.shows("Taken as your answer: “1.4.2”").await;
}

#[tokio::test]
async fn somebody_elses_telegram_is_polled() {
    let Some(emulator) = Emulator::start().await else { return };
    let (_server, ana, agent) = hub(Arc::new(SystemClock), &emulator.url, None).await;
    story(&emulator, &ana, &agent).await;
}

#[tokio::test]
async fn somebody_elses_telegram_calls_the_hub() {
    let Some(emulator) = Emulator::start().await else { return };
    let between = Between::start(&emulator).await;
    let (server, ana, agent) = hub(Arc::new(SystemClock), &between.own, Some("https://hub.example.org/")).await;
    *between.hub.lock().unwrap() = server.url();
    let set = async {
        while between.secret.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(BOUND, set).await.expect("the webhook is set");
    story(&emulator, &ana, &agent).await;
}
