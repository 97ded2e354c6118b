//! The program under measurement, in a process of its own.

use std::{
    net::{SocketAddr, TcpListener},
    process::Stdio,
    time::Duration,
};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::{client, database::Database};

/// How long a program may take to start.
const START_MAX: Duration = Duration::from_secs(20);

/// A running hub with one person and one agent; killed when dropped.
pub(crate) struct Hub {
    child: Child,
    database: Database,
    client: Client,
    pub(crate) address: SocketAddr,
    /// An access token of `ana`.
    pub(crate) person: String,
    /// A service token.
    pub(crate) agent: String,
}

/// What is asked, again and again: as long as questions are.
pub(crate) fn question() -> String {
    let context = "All checks of 1.4.2 have passed. It changes the schema of two tables, which takes about a minute, \
        during which orders are taken but not confirmed. The last deployment was on Monday.";
    // Its route is not to go on while it is measured.
    json!({"kind": "approval", "prompt": "Deploy 1.4.2 to production?", "context": context, "to": ["ana"],
        "fallback_after": 172_800, "metadata": {"run": "8f14e45f", "service": "orders"}})
    .to_string()
}

/// Starts this program with another command, listening on a free address of this machine.
pub(crate) fn start(command: &str, more: impl FnOnce(&mut Command)) -> (Child, SocketAddr) {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = {
        let mut started = Command::new(std::env::current_exe().unwrap());
        started.arg(command).env_clear().env("HEARBACK_BIND", address.to_string());
        started
    };
    more(&mut command);
    (command.stderr(Stdio::inherit()).kill_on_drop(true).spawn().unwrap(), address)
}

/// Returns once a program takes connections.
pub(crate) async fn started(address: SocketAddr) {
    let connected = async {
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(START_MAX, connected).await.expect("the program started");
}

impl Hub {
    pub(crate) async fn start(database: Database) -> Self {
        Self::with(database, &[]).await
    }

    /// Starts it with some more settings.
    pub(crate) async fn with(database: Database, settings: &[(&str, &str)]) -> Self {
        let (child, address) = start("serve", |command| {
            command
                .current_dir(database.dir.path())
                .env("DATABASE_URL", &database.url)
                .env("MIGRATE", "auto")
                .env("SECRET_KEY", "only for measurements, and for as long as they last")
                .env("LOG_LEVEL", "off")
                // What is done counts, and is never too much.
                .env("RATE_LIMIT_USER", "1000000000")
                .env("RATE_LIMIT_CHANNEL", "1000000000")
                .env("MAX_WEBSOCKET_CONNECTIONS_PER_USER", "0")
                .env("MAX_TOTAL_WEBSOCKET_CONNECTIONS", "0")
                .envs(settings.iter().copied());
        });
        started(address).await;
        let (person, agent) = (String::new(), String::new());
        let mut hub = Self { child, database, client: Client::new(), address, person, agent };
        let account = json!({"email": "ana@example.com", "username": "ana", "password": "correct horse 1"});
        hub.person = text(&hub.post("/api/auth/register", "", &account).await["access_token"]);
        hub.agent = text(&hub.post("/api/tokens", &hub.person, &json!({"name": "bench"})).await["token"]);
        hub
    }

    async fn post(&self, path: &str, token: &str, body: &Value) -> Value {
        let call = self.client.post(format!("http://{}{path}", self.address)).bearer_auth(token).json(body);
        let answer = call.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let call = self.client.get(format!("http://{}{path}", self.address)).bearer_auth(&self.agent);
        call.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// The call that asks `ana`, as the client sends it.
    pub(crate) fn create(&self) -> Vec<u8> {
        client::request("/api/feedback", &self.agent, Some(&question()))
    }

    /// Checks that everything asked so far was sent to the addressee: this is what a create costs, too.
    pub(crate) async fn assert_all_sent(&self) {
        let channels = self.get("/api/channels").await;
        let websocket = &channels["items"][0];
        assert_eq!(websocket["name"], "websocket");
        let deliveries = &websocket["deliveries"];
        assert!(deliveries["queued"] == 0 && deliveries["failed"] == 0, "not everything was sent: {deliveries}");
    }

    /// Ends the program, and leaves its database.
    pub(crate) async fn stop(mut self) -> Database {
        self.child.kill().await.unwrap();
        self.database
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().into()
}
