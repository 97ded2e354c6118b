//! A hub in this process: real HTTP on a free port, real SQLite in a folder of its own.

use std::{sync::Arc, time::Duration};

use hearback::{
    config::Config,
    storage::{Migrate, postgres::Scratch},
    wiring::{self, Running},
};
use hearback_core::{Clock, clock::SystemClock};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The password of every account that a test makes.
pub const PASSWORD: &str = "correct horse 1";

/// The secret of servers that share a database.
pub const SECRET: &str = "the same on every server of a database";

/// Switches the limits of people off, for tests that do more in a minute than a person may.
pub fn unlimited(config: &mut Config) {
    (config.rate_limit_user, config.rate_limit_channel) = (0, 0);
}

/// A running hub.
pub struct TestServer {
    running: Option<Running>,
    dir: TempDir,
    config: Config,
    clock: Arc<dyn Clock>,
    client: Client,
    _database: Option<Scratch>,
}

/// Somebody who calls: nobody, a person or an agent.
#[derive(Clone)]
pub struct Caller {
    client: Client,
    url: String,
    /// The bearer token.
    pub token: Option<String>,
    /// The username of a person; empty otherwise.
    pub username: String,
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Answered {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    /// `null` when the body is not JSON.
    pub body: Value,
}

impl TestServer {
    /// A hub with the default configuration, but for the port.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A hub whose configuration is changed first.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::on(Arc::new(SystemClock), change).await
    }

    /// One of several hubs on this PostgreSQL database.
    pub async fn beside(database: &Scratch) -> Self {
        Self::beside_on(database, Arc::new(SystemClock)).await
    }

    /// The same, on a clock of the test's.
    pub async fn beside_on(database: &Scratch, clock: Arc<dyn Clock>) -> Self {
        Self::on(clock, |config| {
            config.database_url = database.url().into();
            config.migrate = Migrate::Auto;
            config.secret_key = Some(SECRET.into());
        })
        .await
    }

    /// A hub on a clock of the test's.
    pub async fn on(clock: Arc<dyn Clock>, change: impl FnOnce(&mut Config)) -> Self {
        // It errs only when another test has installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        // With TEST_END_TO_END_ON=postgres every hub has a PostgreSQL database of its own.
        let on_postgres = std::env::var("TEST_END_TO_END_ON").is_ok_and(|database| database == "postgres");
        let database = if on_postgres { Scratch::for_test().await } else { None };
        let file = format!("sqlite://{}/hearback.db", dir.path().display());
        let mut config = Config {
            database_url: database.as_ref().map_or(file, |database| database.url().to_owned()),
            migrate: Migrate::Auto,
            secret_key: database.as_ref().map(|_| SECRET.into()),
            bind: "127.0.0.1:0".parse().unwrap(),
            public_url: "http://127.0.0.1:0/".parse().unwrap(),
            ..Config::default()
        };
        change(&mut config);
        let running = wiring::start(config.clone(), clock.clone(), None).await.unwrap();
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { running: Some(running), dir, config, clock, client, _database: database }
    }

    /// The hub's own address, past any proxy, without a slash at its end.
    pub fn url(&self) -> String {
        let config = &self.running().app().config;
        format!("http://{}{}", config.bind, config.path_prefix)
    }

    /// The socket's address.
    pub fn socket_url(&self) -> String {
        format!("{}/ws", self.url().replacen("http", "ws", 1))
    }

    /// The folder of its data.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    /// Stops the hub.
    pub async fn stop(&mut self) {
        self.running.take().unwrap().stop(Duration::ZERO).await;
    }

    /// Stops the hub and starts it again on the same data and the same clock, on another port.
    pub async fn restart(&mut self) {
        self.restart_with(|_| {}).await;
    }

    /// The same, with another configuration.
    pub async fn restart_with(&mut self, change: impl FnOnce(&mut Config)) {
        self.stop().await;
        change(&mut self.config);
        self.start_again().await;
    }

    /// Starts it after a stop, on the same data and the same clock, on another port.
    pub async fn start_again(&mut self) {
        let running = wiring::start(self.config.clone(), self.clock.clone(), None).await.unwrap();
        self.running = Some(running);
    }

    /// Returns when this many calls wait for an ending.
    pub async fn parked(&self, calls: usize) {
        let reached = async {
            while self.running().app().parked.len() != calls {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reached).await.expect("they are parked in time");
    }

    /// Somebody without a token.
    pub fn nobody(&self) -> Caller {
        Caller { client: self.client.clone(), url: self.url(), token: None, username: String::new() }
    }

    /// Somebody with this token.
    pub fn caller(&self, token: &str) -> Caller {
        Caller { token: Some(token.into()), ..self.nobody() }
    }

    /// A new person, signed in with an access token.
    pub async fn register(&self, username: &str) -> Caller {
        let account = json!({"email": format!("{username}@example.com"), "password": PASSWORD, "username": username});
        let answer = self.nobody().post("/api/auth/register", account).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        Caller { username: username.into(), ..self.caller(answer.body["access_token"].as_str().unwrap()) }
    }

    /// A new agent with a service token of `owner`.
    pub async fn agent(&self, owner: &Caller) -> Caller {
        let answer = owner.post("/api/tokens", json!({"name": "deploy-bot"})).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        self.caller(answer.body["token"].as_str().unwrap())
    }
}

impl Caller {
    /// A call that a test completes itself.
    pub fn call(&self, method: Method, path: &str) -> RequestBuilder {
        let call = self.client.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => call.bearer_auth(token),
            None => call,
        }
    }

    pub async fn get(&self, path: &str) -> Answered {
        read(self.call(Method::GET, path).send().await.unwrap()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answered {
        read(self.call(Method::POST, path).json(&body).send().await.unwrap()).await
    }

    pub async fn delete(&self, path: &str) -> Answered {
        read(self.call(Method::DELETE, path).send().await.unwrap()).await
    }

    /// Puts an approval to people and returns it.
    pub async fn ask(&self, to: &[&Caller]) -> Value {
        let to: Vec<_> = to.iter().map(|person| person.username.as_str()).collect();
        self.put(json!({"kind": "approval", "prompt": "Deploy 1.4.2?", "to": to})).await
    }

    /// Puts a request and returns it.
    pub async fn put(&self, draft: Value) -> Value {
        let answer = self.post("/api/feedback", draft).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.body
    }

    /// Answers a request.
    pub async fn answer(&self, request: &Value, value: Value) -> Answered {
        let id = request["id"].as_str().unwrap();
        self.post(&format!("/api/feedback/{id}/responses"), json!({"value": value})).await
    }
}

/// Reads an answer whole.
pub async fn read(response: Response) -> Answered {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default();
    Answered { status, headers, body }
}

impl Answered {
    /// The last part of a problem's type.
    pub fn problem(&self) -> &str {
        let kind = self.body["type"].as_str().unwrap_or_default();
        kind.strip_prefix("urn:hearback:problem:").unwrap_or_default()
    }

    /// The fields that a problem names.
    pub fn fields(&self) -> Vec<&str> {
        self.body["errors"].as_array().into_iter().flatten().filter_map(|fault| fault["field"].as_str()).collect()
    }
}
