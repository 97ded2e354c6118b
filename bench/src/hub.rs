//! The program under measurement, in a process of its own.

use std::{net::TcpListener, process::Stdio, time::Duration};

use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// How long the program may take to start.
const START_MAX: Duration = Duration::from_secs(20);

/// A running hub with one person and one agent; killed when dropped.
pub(crate) struct Hub {
    child: Child,
    _dir: TempDir,
    pub(crate) client: Client,
    pub(crate) url: String,
    /// An access token of `ana`.
    pub(crate) person: String,
    /// A service token.
    pub(crate) agent: String,
}

impl Hub {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(std::env::current_exe().unwrap())
            .arg("serve")
            .current_dir(dir.path())
            .env("HEARBACK_BIND", format!("127.0.0.1:{port}"))
            .env("LOG_LEVEL", "off")
            .env("MAX_WEBSOCKET_CONNECTIONS_PER_USER", "0")
            .env("MAX_TOTAL_WEBSOCKET_CONNECTIONS", "0")
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (client, url) = (Client::new(), format!("http://127.0.0.1:{port}"));
        let started = async {
            while client.get(format!("{url}/readyz")).send().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(START_MAX, started).await.expect("the hub started");
        let mut hub = Self { child, _dir: dir, client, url, person: String::new(), agent: String::new() };
        let account = json!({"email": "ana@example.com", "username": "ana", "password": "correct horse 1"});
        hub.person = text(&hub.post("/api/auth/register", "", &account).await["access_token"]);
        hub.agent = text(&hub.post("/api/tokens", &hub.person, &json!({"name": "bench"})).await["token"]);
        hub
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> Value {
        let call = self.client.post(format!("{}{path}", self.url)).bearer_auth(token).json(body);
        let answer = call.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    /// The resident memory of the program, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().into()
}
