//! A day on which every secret travels: right and wrong, where it belongs and where it does not.

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{Planted, hub::Hub};
use crate::{
    auth::text,
    called_back::receiver::Receiver,
    plug_ins::fake::PlugIn,
    server::{Answered, read},
    socket::connect,
};

/// Two channels of programs, one that answers and one that nobody can reach, and their tables.
pub async fn channels(planted: &Planted) -> (PlugIn, String) {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let plug_in = PlugIn::credulous().await;
    let mut toml = Vec::new();
    for (name, address) in [("desk", plug_in.url()), ("lost", "http://127.0.0.1:9/hearback".into())] {
        let key: [u8; 32] = rand::random();
        planted.known("[channels.NAME] secret", key);
        planted.known("[channels.NAME] secret", STANDARD.encode(key));
        let query = planted.text("[channels.NAME] url: its query");
        let url = format!("{address}?key={query}");
        let secret = STANDARD.encode(key);
        let able = "capabilities = { buttons = true, edit = true, inbound = true }";
        let table = format!("kind = \"webhook\"\nurl = \"{url}\"\nsecret = \"whsec_{secret}\"\n{able}\n");
        toml.push(format!("[channels.{name}]\n{table}"));
    }
    (plug_in, toml.concat())
}

pub(super) struct Day<'a> {
    pub(super) hub: &'a Hub,
    pub(super) planted: &'a Planted,
    pub(super) client: Client,
}

/// The last part of an access token, which alone is secret: without it the rest is worth nothing.
pub(super) fn signature(token: &str) -> &str {
    token.rsplit('.').next().unwrap()
}

#[track_caller]
pub(super) fn told(answer: &Answered, status: u16) {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
}

pub(super) async fn send(call: RequestBuilder) -> Answered {
    read(call.send().await.unwrap()).await
}

/// Everything, with a harmless prompt that may be found.
pub async fn all(hub: &Hub, planted: &Planted, harmless: &str, mut receiver: Receiver, mut plug_in: PlugIn) {
    // It errs only when another test has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let day = Day { hub, planted, client: Client::new() };
    let password = planted.text("a password: of an account");
    let access = day.accounts(&password).await;
    day.wrong_passwords(&password).await;
    let created = day.service_token(&access).await;
    let agent = text(&created, "token");
    day.cookies(&password).await;
    day.questions(agent, &access, harmless, &mut receiver, &mut plug_in).await;
    day.addresses(&access, &mut plug_in).await;
    day.answer_page(agent, &mut plug_in).await;
    day.sockets(agent).await;
    day.misplaced(&access).await;
    day.service_user(&access, &mut receiver).await;
    day.passwords(&access, agent, &password).await;
    day.endings(&access, &created).await;
}

impl Day<'_> {
    pub(super) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.hub.url))
    }

    pub(super) async fn post(&self, path: &str, token: &str, body: Value) -> Answered {
        send(self.call(Method::POST, path).bearer_auth(token).json(&body)).await
    }

    /// An account, and an access token of it.
    async fn accounts(&self, password: &str) -> String {
        let account = json!({"email": "ana@example.com", "password": password, "username": "ana"});
        let made = send(self.call(Method::POST, "/api/auth/register").json(&account)).await;
        told(&made, 201);
        let form = [("username", "ana"), ("password", password)];
        let login = send(self.call(Method::POST, "/api/auth/login").form(&form)).await;
        assert_eq!(login.status, 200);
        for tokens in [&made.body, &login.body] {
            self.planted.known("an access token: its signature", signature(text(tokens, "access_token")));
            self.planted.known("a refresh token", text(tokens, "refresh_token"));
        }
        // One is renewed, and shown again.
        for expected in [StatusCode::OK, StatusCode::UNAUTHORIZED] {
            let again = json!({"refresh_token": login.body["refresh_token"]});
            let renewed = send(self.call(Method::POST, "/api/auth/refresh").json(&again)).await;
            assert_eq!(renewed.status, expected);
            if expected == StatusCode::OK {
                self.planted.known("an access token: its signature", signature(text(&renewed.body, "access_token")));
                self.planted.known("a refresh token", text(&renewed.body, "refresh_token"));
            }
        }
        let unknown = json!({"refresh_token": self.planted.text("a refresh token: unknown")});
        told(&send(self.call(Method::POST, "/api/auth/refresh").json(&unknown)).await, 401);
        text(&made.body, "access_token").to_owned()
    }

    async fn wrong_passwords(&self, right: &str) {
        let planted = self.planted;
        let wrong = planted.text("a password: a wrong one");
        for (path, name, password) in [
            ("/api/auth/login", "ana", &*wrong),
            ("/api/auth/session", "ana", &wrong),
            ("/api/auth/login", "nobody", right),
        ] {
            let form = [("username", name), ("password", password)];
            told(&send(self.call(Method::POST, path).form(&form)).await, 401);
        }
        let register = |body: String, content_type: &str| {
            send(self.call(Method::POST, "/api/auth/register").header("Content-Type", content_type).body(body))
        };
        let refused = planted.text("a password: refused when registering");
        for body in [
            json!({"email": "ana@example.com", "username": "ana", "password": refused}),
            json!({"email": "no e-mail", "password": refused}),
            json!({"email": "ben@example.com", "password": [refused]}),
            json!({"email": "ben@example.com", "password": refused.replace('4', "a").repeat(20) + &refused}),
            json!(refused),
        ] {
            let answer = register(body.to_string(), "application/json").await;
            assert!([409, 422].contains(&answer.status.as_u16()), "{answer:?}");
        }
        let unknown = json!({"email": "ben@example.com", "pasword": planted.text("a password: in an unknown field")});
        assert_eq!(register(unknown.to_string(), "application/json").await.status, 422);
        let cut = format!(
            "{{\"email\": \"b@example.com\", \"password\": \"{}",
            planted.text("a password: in a body that is cut off")
        );
        assert_eq!(register(cut, "application/json").await.status, 400);
        let other = format!("password={}", planted.text("a password: in a body of another content type"));
        assert_eq!(register(other, "text/plain").await.status, 415);
        let query = format!("/api/auth/login?password={}", planted.text("a password: in the query"));
        send(self.call(Method::POST, &query)).await;
        let basic = self.call(Method::GET, "/api/auth/me");
        let basic = basic.basic_auth("ana", Some(planted.text("a password: as HTTP basic credentials")));
        told(&send(basic).await, 401);
    }

    /// A service token, made twice with one key: its answer is kept.
    async fn service_token(&self, access: &str) -> Value {
        let call = || {
            let call = self.call(Method::POST, "/api/tokens").bearer_auth(access);
            call.header("Idempotency-Key", "one").json(&json!({"name": "deploy-bot"}))
        };
        let created = send(call()).await;
        told(&created, 201);
        assert_eq!(send(call()).await.body, created.body);
        let webhook = text(&created.body, "webhook_secret").trim_start_matches("whsec_");
        self.planted.known("a service token", text(&created.body, "token").trim_start_matches("hb_"));
        self.planted.known("a webhook secret", webhook);
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, webhook).unwrap();
        self.planted.known("a webhook secret", bytes);
        let unknown = format!("hb_{}", self.planted.text("a service token: unknown"));
        told(&self.post("/api/feedback", &unknown, json!({})).await, 401);
        created.body
    }

    async fn cookies(&self, password: &str) {
        let form = [("username", "ana"), ("password", password)];
        let signed = send(self.call(Method::POST, "/api/auth/session").form(&form)).await;
        let value = |name: &str| {
            let all = signed.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
            let mut named = all.filter_map(|cookie| cookie.strip_prefix(&format!("{name}=")));
            named.next().unwrap().split(';').next().unwrap().to_owned()
        };
        let (access, refresh, csrf) = (value("hb_access"), value("hb_refresh"), value("hb_csrf"));
        self.planted.known("a cookie: hb_access, its signature", signature(&access));
        self.planted.known("a cookie: hb_refresh", &*refresh);
        self.planted.known("a cookie: hb_csrf", &*csrf);
        let cookies = format!("hb_access={access}; hb_refresh={refresh}; hb_csrf={csrf}");
        let call = |method, path: &str, csrf: &str| {
            let call = self.call(method, path).header("Cookie", &cookies).header("Origin", &self.hub.origin);
            send(call.header("X-CSRF-Token", csrf))
        };
        assert_eq!(call(Method::GET, "/api/auth/me", &csrf).await.status, 200);
        let wrong = self.planted.text("X-CSRF-Token: a wrong one");
        assert_eq!(call(Method::POST, "/api/auth/logout", &wrong).await.status, 403);
        let renewed = call(Method::POST, "/api/auth/refresh", &csrf).await;
        told(&renewed, 204);
        assert_eq!(call(Method::POST, "/api/auth/refresh", &csrf).await.status, 401, "it was used");
    }

    /// A question that a channel's program, a receiver and nobody else are told of.
    async fn questions(
        &self,
        agent: &str,
        access: &str,
        harmless: &str,
        receiver: &mut Receiver,
        plug_in: &mut PlugIn,
    ) {
        let route = json!([{"channel": "lost", "address": "a"}, {"channel": "desk", "address": "b"}, "websocket"]);
        let draft = json!({
            "kind": "approval", "prompt": harmless, "to": ["ana"], "channels": route, "strategy": "broadcast",
            "callback_url": receiver.url(),
        });
        // The id of a request is for the log, and the prompt for the database.
        let ask = self.call(Method::POST, "/api/feedback").header("X-Request-Id", harmless);
        let asked = send(ask.bearer_auth(agent).json(&draft)).await;
        told(&asked, 201);
        plug_in.told("request").await;
        let id = text(&asked.body, "id");
        let answered = self.post(&format!("/api/feedback/{id}/responses"), access, json!({"value": "approved"})).await;
        told(&answered, 200);
        receiver.call().await;
        let deliveries = format!("/api/feedback/{id}/deliveries");
        told(&send(self.call(Method::GET, &deliveries).bearer_auth(agent)).await, 200);
        // A call to a channel that its secret did not sign.
        let forged = self.call(Method::POST, "/api/channels/desk/callback").header("webhook-signature", "v1,AAAA");
        send(forged.body("{}")).await;
        let mut events = self.call(Method::GET, "/api/feedback/events").bearer_auth(agent).send().await.unwrap();
        assert!(events.chunk().await.unwrap().is_some());
    }

    async fn sockets(&self, agent: &str) {
        let url = format!("{}/ws", self.hub.url.replacen("http", "ws", 1));
        let protocol = |token: &str| [("sec-websocket-protocol", format!("bearer, {token}"))];
        let mut socket = connect(&url, &protocol(agent)).await.map_err(|refused| format!("{refused:?}")).unwrap();
        socket.expect("connection_established").await;
        let spoken = self.planted.text("a token: in a message on the socket");
        socket.say(json!({"type": "authenticate", "token": spoken})).await;
        socket.expect("error").await;
        let wrong = self.planted.text("a token: in Sec-WebSocket-Protocol");
        assert_eq!(connect(&url, &protocol(&wrong)).await.err().unwrap().0, 401);
        assert_eq!(connect(&url, &protocol(&format!("hb_{wrong}"))).await.err().unwrap().0, 401);
        let query = self.planted.text("a token: in the socket's query");
        assert_eq!(connect(&format!("{url}?token=hb_{query}"), &[]).await.err().unwrap().0, 401);
    }

    /// Tokens where no tokens belong.
    async fn misplaced(&self, access: &str) {
        let planted = self.planted;
        let query = planted.text("a token: in the query");
        for path in ["/api/auth/me", "/api/feedback", "/api/feedback/events", "/", "/nowhere"] {
            send(self.call(Method::GET, &format!("{path}?access_token={query}"))).await;
            send(self.call(Method::GET, &format!("{path}?cursor={query}")).bearer_auth(access)).await;
        }
        let (known, unknown) = (planted.text("a token: in a known path"), planted.text("a token: in an unknown path"));
        for path in ["/api/feedback/", "/api/tokens/", "/api/channels/", "/assets/", "/api/users/"] {
            for method in [Method::GET, Method::DELETE, Method::PUT] {
                send(self.call(method, &format!("{path}hb_{known}")).bearer_auth(access)).await;
            }
        }
        for path in ["/", "/api/", "/docs/", "/api/auth/me/", "/ws/"] {
            told(&send(self.call(Method::GET, &format!("{path}hb_{unknown}"))).await, 404);
            send(self.call(Method::POST, &format!("{path}eyJ0.{unknown}.x/more"))).await;
        }
        for path in ["/", "/api/feedback/", "/other/"] {
            let url = format!("{}{path}hb_{unknown}?token=hb_{unknown}", self.hub.origin);
            send(self.client.get(url)).await;
        }
        let scheme = planted.text("a token: with another scheme");
        for value in [format!("Token {scheme}"), scheme.clone(), format!("Bearer {scheme} {scheme}")] {
            told(&send(self.call(Method::GET, "/api/auth/me").header("Authorization", value)).await, 401);
        }
        let header = planted.text("a token: in a header of another name");
        send(self.call(Method::GET, "/api/auth/me").header("X-Api-Key", &header).header("Last-Event-ID", &header))
            .await;
        let foreign = planted.text("an access token: foreign");
        let (head, _) = access.rsplit_once('.').unwrap();
        for token in [format!("{head}.{foreign}"), format!("{foreign}.{foreign}.{foreign}")] {
            told(&send(self.call(Method::GET, "/api/auth/me").bearer_auth(token)).await, 401);
        }
    }

    async fn endings(&self, access: &str, created: &Value) {
        let token = format!("/api/tokens/{}", text(created, "id"));
        let revoked = send(self.call(Method::DELETE, &token).bearer_auth(access)).await;
        told(&revoked, 204);
        told(&self.post("/api/feedback", text(created, "token"), json!({})).await, 401);
        told(&self.post("/api/auth/logout", access, json!({})).await, 204);
        told(&send(self.call(Method::GET, "/api/auth/me").bearer_auth(access)).await, 401);
    }
}
