//! A day at a hub: accounts are made, an agent asks, people answer, over HTTP, the page's cookies and the socket. On the
//! way the hub takes every body and message that the examples send, and says every one that they show.

use std::{sync::Arc, time::Duration};

use hearback::config::Config;
use hearback_core::clock::ManualClock;
use hearback_tests::telegram::{BotApi, TOKEN};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::shown::Shown;
use crate::{
    plug_ins::fake::{PlugIn, SECRET},
    server::{Answered, Caller, PASSWORD, TestServer, read},
    socket::{Socket, delivery_status},
    streams::client::Stream,
};

/// Who takes part.
struct Story<'a> {
    server: &'a TestServer,
    clock: &'a Arc<ManualClock>,
    shown: &'a mut Shown,
    ana: Caller,
    ben: Caller,
    carl: Caller,
    agent: Caller,
}

/// Ana's browser, which signs in with cookies.
struct Page<'a> {
    server: &'a TestServer,
    cookie: String,
    csrf: String,
}

pub async fn told(server: &TestServer, clock: &Arc<ManualClock>, shown: &mut Shown) {
    the_hub(server, shown).await;
    let mut story = accounts(server, clock, shown).await;
    story.tokens().await;
    story.answers().await;
    story.a_cancelled_form().await;
    story.an_expired_input().await;
    let choice = story.an_answered_choice().await;
    story.a_pending_approval(&choice).await;
    story.refusals(&choice).await;
    nobody_is_reached(shown).await;
    an_address_is_given(shown).await;
    an_account_is_linked(shown).await;
    a_stream_tells(shown).await;
    a_limit_is_reached(shown).await;
}

/// Adds a channel that may not be called.
fn with_a_pager(config: &mut Config) {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let pager = json!({"kind": "webhook", "url": "http://127.0.0.1:9/", "secret": secret});
    config.channels.insert("pager".into(), pager);
}

/// A question that only the pager carries.
fn to_nobody(shown: &mut Shown) -> Value {
    let mut draft = shown.sent("bodies/feedback.create.approval.json");
    draft["to"] = json!(["ana"]);
    draft["channels"] = json!([{"channel": "pager", "address": "desk"}]);
    draft
}

/// A hub of its own, whose one other channel may not be called: nothing is left to try.
async fn nobody_is_reached(shown: &mut Shown) {
    let server = TestServer::with(with_a_pager).await;
    let ana = server.register("ana").await;
    let created = ana.post("/api/tokens", shown.sent("bodies/token.create.json")).await;
    let agent = server.caller(created.body["token"].as_str().unwrap());
    let mut socket = Socket::open(&server, &agent, None).await;
    socket.expect("connection_established").await;
    agent.put(to_nobody(shown)).await;
    socket.expect("feedback_request").await;
    shown.said("socket/hub/feedback_undeliverable.json", &socket.next().await.unwrap());
}

/// A hub of its own, and an agent that hears what becomes of all it asks.
async fn a_stream_tells(shown: &mut Shown) {
    let clock = Arc::new(ManualClock::at(serde_json::from_value(json!("2026-11-20T09:30:00Z")).unwrap()));
    let server = TestServer::on(clock.clone(), with_a_pager).await;
    let ana = server.register("ana").await;
    server.register("ben").await;
    let created = ana.post("/api/tokens", shown.sent("bodies/token.create.json")).await;
    let agent = server.caller(created.body["token"].as_str().unwrap());
    let mut socket = Socket::open(&server, &ana, None).await;
    socket.expect("connection_established").await;
    let mut stream = Stream::open(&agent, "/api/feedback/events").await;

    let request = agent.put(shown.sent("bodies/feedback.create.approval.json")).await;
    shown.said("stream/feedback.created.json", &stream.expect("feedback.created").await.json);
    let mut delivery = stream.expect("feedback.delivery").await;
    // Ana is connected and Ben is not.
    while delivery.json["data"]["status"] != "skipped" {
        delivery = stream.expect("feedback.delivery").await;
    }
    shown.said("stream/feedback.delivery.json", &delivery.json);
    ana.post(&path(&request, "/responses"), shown.sent("bodies/response.create.approval.json")).await;
    shown.said("stream/feedback.response.json", &stream.tells("feedback.response").await.json);
    shown.said("stream/feedback.answered.json", &stream.tells("feedback.answered").await.json);

    let request = agent.put(shown.sent("bodies/feedback.create.form.json")).await;
    stream.tells("feedback.created").await;
    agent.post(&path(&request, "/cancel"), json!({})).await;
    shown.said("stream/feedback.cancelled.json", &stream.tells("feedback.cancelled").await.json);

    agent.put(shown.sent("bodies/feedback.create.input.json")).await;
    stream.tells("feedback.created").await;
    clock.advance(Duration::from_mins(15));
    shown.said("stream/feedback.expired.json", &stream.tells("feedback.expired").await.json);

    agent.put(to_nobody(shown)).await;
    stream.tells("feedback.created").await;
    shown.said("stream/feedback.undeliverable.json", &stream.tells("feedback.undeliverable").await.json);
}

/// A hub of its own, with a channel that knows people by addresses.
async fn an_address_is_given(shown: &mut Shown) {
    let mut plug_in = PlugIn::start().await;
    let server = TestServer::with(|config| {
        let terminal = json!({"kind": "webhook", "url": plug_in.url(), "secret": SECRET});
        config.channels.insert("terminal".into(), terminal);
        config.outbound_allow = "127.0.0.0/8".parse().unwrap();
    })
    .await;
    let ana = server.register("ana").await;
    server.register("ben").await;
    let users = ana.get("/api/users").await.body;
    shown.said("bodies/user.list.json", &users);
    let service = ana.post("/api/users/service", shown.sent("bodies/user.service.create.json")).await;
    shown.said("bodies/user.service.created.json", &service.body);
    let addresses = format!("/api/users/{}/addresses", users["items"][1]["id"].as_str().unwrap());
    let added = ana.post(&addresses, shown.sent("bodies/address.create.json")).await;
    assert_eq!(added.status, StatusCode::CREATED, "{added:?}");
    shown.said("bodies/address.json", &added.body);
    for path in [addresses.as_str(), "/api/me/addresses"] {
        shown.said("bodies/address.list.json", &ana.get(path).await.body);
    }
    let path = format!("/api/me/addresses/{}", added.body["id"].as_str().unwrap());
    assert_eq!(ana.delete(&path).await.status, StatusCode::NO_CONTENT);
    let claimed = ana.post("/api/me/addresses", shown.sent("bodies/address.create.json")).await;
    shown.said("bodies/address.waiting.json", &claimed.body);
    let mut proof = shown.sent("bodies/address.confirm.json");
    proof["code"] = plug_in.told("code").await["code"].clone();
    let path = format!("/api/me/addresses/{}/confirm", claimed.body["id"].as_str().unwrap());
    shown.said("bodies/address.json", &ana.post(&path, proof).await.body);
    let gone = ana.post("/api/me/addresses", json!({"channel": "terminal", "address": "gone"})).await;
    shown.refused("undeliverable", &gone);

    let preferences = ana.call(Method::PUT, "/api/me/preferences").json(&shown.sent("bodies/preferences.set.json"));
    for answer in [read(preferences.send().await.unwrap()).await, ana.get("/api/me/preferences").await] {
        shown.said("bodies/preferences.json", &answer.body);
    }
    let ben = format!("/api/users/{}", users["items"][0]["id"].as_str().unwrap());
    let change = ana.call(Method::PATCH, &ben).json(&shown.sent("bodies/user.change.json"));
    shown.said("bodies/user.changed.json", &read(change.send().await.unwrap()).await.body);
    let password =
        json!({"current_password": PASSWORD, "new_password": shown.sent("bodies/auth.password.json")["new_password"]});
    let changed = ana.post("/api/auth/password", password).await;
    assert_eq!(changed.status, StatusCode::NO_CONTENT, "{changed:?}");
}

/// A hub of its own, with a Telegram bot.
async fn an_account_is_linked(shown: &mut Shown) {
    let api = BotApi::start().await;
    let server = TestServer::with(|config| {
        let bot = json!({"kind": "telegram", "bot_token": TOKEN, "api_url": api.url()});
        config.channels.insert("telegram".into(), bot);
    })
    .await;
    let ana = server.register("ana").await;
    let linked = ana.post("/api/me/addresses", shown.sent("bodies/address.link.create.json")).await;
    assert_eq!(linked.status, StatusCode::CREATED, "{linked:?}");
    // Every link has a code of its own.
    let (code, example) = (linked.body["code"].as_str().unwrap(), super::example("bodies/address.link.json"));
    let same = linked.body.to_string().replace(code, example["code"].as_str().unwrap());
    shown.said("bodies/address.link.json", &serde_json::from_str(&same).unwrap());
}

/// A hub of its own, whose channels take one answer a minute of each person.
async fn a_limit_is_reached(shown: &mut Shown) {
    let clock = Arc::new(ManualClock::at(serde_json::from_value(json!("2026-11-20T09:30:00Z")).unwrap()));
    for per_channel in [20, 1] {
        let server = TestServer::on(clock.clone(), |config| config.rate_limit_channel = per_channel).await;
        let ana = server.register("ana").await;
        let mut socket = Socket::open(&server, &ana, None).await;
        socket.expect("connection_established").await;
        let first = ana.ask(&[&ana]).await;
        socket.expect("feedback_request").await;
        socket.answer(&first, json!("rejected")).await;
        socket.expect("feedback_settled").await;
        if per_channel == 20 {
            socket.say(shown.sent("socket/client/get_rate_limit_status.json")).await;
            shown.said("socket/hub/rate_limit_status.json", &socket.next().await.unwrap());
            ana.answer(&first, json!("rejected")).await;
            clock.advance(Duration::from_secs(2));
            shown.said("bodies/limits.json", &ana.get("/api/me/limits").await.body);
        } else {
            let second = ana.ask(&[&ana]).await;
            socket.expect("feedback_request").await;
            socket.answer(&second, json!("rejected")).await;
            shown.said("socket/hub/rate_limit_exceeded.json", &socket.next().await.unwrap());
        }
    }
}

async fn the_hub(server: &TestServer, shown: &mut Shown) {
    let nobody = server.nobody();
    let root = nobody.call(Method::GET, "/").header("Accept", "application/json").send().await.unwrap();
    shown.said("bodies/root.json", &read(root).await.body);
    for name in ["health", "livez", "readyz"] {
        shown.said(&format!("bodies/{name}.json"), &nobody.get(&format!("/{name}")).await.body);
    }
}

async fn accounts<'a>(server: &'a TestServer, clock: &'a Arc<ManualClock>, shown: &'a mut Shown) -> Story<'a> {
    let caller = |tokens: &Answered| server.caller(tokens.body["access_token"].as_str().unwrap());
    let registered = server.nobody().post("/api/auth/register", shown.sent("bodies/auth.register.json")).await;
    assert_eq!(registered.status, StatusCode::CREATED, "{registered:?}");
    shown.said("bodies/auth.tokens.json", &registered.body);
    let mut refresh = shown.sent("bodies/auth.refresh.json");
    refresh["refresh_token"] = registered.body["refresh_token"].clone();
    let refreshed = server.nobody().post("/api/auth/refresh", refresh).await;
    shown.said("bodies/auth.tokens.json", &refreshed.body);
    let mut ana = caller(&refreshed);
    ana.username = "ana".into();
    shown.said("bodies/user.json", &ana.get("/api/auth/me").await.body);
    let (ben, carl) = (server.register("ben").await, server.register("carl").await);
    let created = ana.post("/api/tokens", shown.sent("bodies/token.create.json")).await;
    shown.said("bodies/token.created.json", &created.body);
    let agent = server.caller(created.body["token"].as_str().unwrap());
    Story { server, clock, shown, ana, ben, carl, agent }
}

impl Story<'_> {
    /// Puts the example of a draft.
    async fn ask(&mut self, kind: &str) -> Value {
        // Ids begin with the millisecond, and lists are in the order of ids.
        self.clock.advance(Duration::from_secs(1));
        self.agent.put(self.shown.sent(&format!("bodies/feedback.create.{kind}.json"))).await
    }

    async fn tokens(&mut self) {
        self.agent.get("/api/feedback").await;
        self.clock.advance(Duration::from_secs(1));
        self.ana.post("/api/tokens", json!({"name": "nightly-report", "scopes": ["feedback:read"]})).await;
        self.shown.said("bodies/token.list.json", &self.ana.get("/api/tokens").await.body);
        self.shown.said("bodies/channel.list.json", &self.agent.get("/api/channels").await.body);
    }

    /// Every example of an answer is taken.
    async fn answers(&mut self) {
        let page = Page::of(self.server, &self.ana).await;
        let request = self.ask("approval").await;
        let accepted = page.answer(&request, self.shown.sent("bodies/response.create.approval.json")).await;
        self.shown.said("bodies/response.accepted.json", &accepted.body);
        for kind in ["choice", "input", "form"] {
            let request = self.ask(kind).await;
            let answer = self.shown.sent(&format!("bodies/response.create.{kind}.json"));
            let accepted = self.ben.post(&path(&request, "/responses"), answer).await;
            assert_eq!(accepted.status, StatusCode::OK, "{accepted:?}");
        }
    }

    async fn a_cancelled_form(&mut self) {
        let request = self.ask("form").await;
        let cancelled = self.agent.post(&path(&request, "/cancel"), json!({})).await;
        self.shown.said("bodies/feedback.read.form.cancelled.json", &cancelled.body);
        self.shown.refused("cancelled", &self.ana.answer(&request, json!({})).await);
    }

    async fn an_expired_input(&mut self) {
        let request = self.ask("input").await;
        self.clock.advance(Duration::from_mins(15));
        let expired = self.agent.get(&path(&request, "?wait=60")).await;
        self.shown.said("bodies/feedback.read.input.expired.json", &expired.body);
        self.shown.refused("expired", &self.ben.answer(&request, json!("v1.4.2")).await);
    }

    async fn an_answered_choice(&mut self) -> Value {
        let page = Page::of(self.server, &self.ana).await;
        let request = self.ask("choice").await;
        page.answer(&request, json!({"value": "red"})).await;
        self.clock.advance(Duration::from_secs(1));
        let opinion = json!({"value": "green", "comment": "I would take Dublin."});
        let refused = self.carl.post(&path(&request, "/responses"), opinion).await;
        self.shown.refused("forbidden", &refused);
        self.clock.advance(Duration::from_secs(1));
        page.answer(&request, self.shown.sent("bodies/response.create.choice.json")).await;
        let answered = self.agent.get(&path(&request, "")).await.body;
        self.shown.said("bodies/feedback.read.choice.answered.json", &answered);
        request
    }

    /// Ana is connected and Ben is not; she answers on the socket.
    async fn a_pending_approval(&mut self, choice: &Value) {
        let mut socket = Socket::open(self.server, &self.ana, None).await;
        self.shown.said("socket/hub/connection_established.json", &socket.next().await.unwrap());
        socket.say(self.shown.sent("socket/client/ping.json")).await;
        self.shown.said("socket/hub/pong.json", &socket.next().await.unwrap());

        let request = self.ask("approval").await;
        self.shown.said("bodies/feedback.read.approval.pending.json", &request);
        let asked = socket.next().await.unwrap();
        self.shown.said("socket/hub/feedback_request.json", &asked);
        let mut ack = self.shown.sent("socket/client/ack.json");
        ack["event_id"] = asked["event_id"].clone();
        // Before it is sent, it cannot be delivered.
        delivery_status(&self.agent, &request, "sent").await;
        socket.say(ack).await;
        for status in ["delivered", "skipped"] {
            delivery_status(&self.agent, &request, status).await;
        }
        let mut deliveries = self.agent.get(&path(&request, "/deliveries")).await.body;
        // They are equally old, so their order is nobody's.
        let ana = |delivery: &Value| delivery["user_id"] == request["to"][0]["id"];
        deliveries["items"].as_array_mut().unwrap().sort_by_key(|delivery| !ana(delivery));
        self.shown.said("bodies/delivery.list.json", &deliveries);
        self.shown.said("bodies/feedback.list.json", &self.agent.get("/api/feedback?limit=3").await.body);

        let mut late = Socket::open(self.server, &self.ben, None).await;
        late.expect("connection_established").await;
        late.expect("feedback_request").await;
        late.answer(choice, json!("green")).await;
        self.shown.said("socket/hub/error.json", &late.next().await.unwrap());

        let mut answer = self.shown.sent("socket/client/feedback_response.json");
        answer["request_id"] = request["id"].clone();
        socket.say(answer).await;
        self.shown.said("socket/hub/feedback_settled.json", &socket.next().await.unwrap());
    }

    async fn refusals(&mut self, choice: &Value) {
        let responses = self.agent.get(&path(choice, "/responses")).await.body;
        self.shown.said("bodies/response.list.json", &responses);
        self.shown.refused("late", &self.ben.answer(choice, json!("green")).await);
        self.shown.refused("ended", &self.agent.post(&path(choice, "/cancel"), json!({})).await);
        self.clock.advance(Duration::from_mins(25));
        self.shown.refused("unauthenticated", &self.ana.get("/api/auth/me").await);
    }
}

impl<'a> Page<'a> {
    async fn of(server: &'a TestServer, person: &Caller) -> Self {
        let password = super::example("bodies/auth.register.json")["password"].as_str().unwrap().to_owned();
        let form = [("username", person.username.as_str()), ("password", &password)];
        let call = server.nobody().call(Method::POST, "/api/auth/session").form(&form);
        let answer = call.send().await.unwrap();
        let cookies = answer.headers().get_all("set-cookie").iter();
        let pairs: Vec<_> = cookies.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap()).collect();
        let csrf = pairs.iter().find_map(|pair| pair.strip_prefix("hb_csrf=")).unwrap().to_owned();
        Self { server, cookie: pairs.join("; "), csrf }
    }

    async fn answer(&self, request: &Value, answer: Value) -> Answered {
        let call = self.server.nobody().call(Method::POST, &path(request, "/responses"));
        let call =
            call.header("Cookie", &self.cookie).header("X-CSRF-Token", &self.csrf).header("Origin", self.server.url());
        read(call.json(&answer).send().await.unwrap()).await
    }
}

fn path(request: &Value, tail: &str) -> String {
    format!("/api/feedback/{}{tail}", request["id"].as_str().unwrap())
}
