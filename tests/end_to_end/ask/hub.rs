//! `hearback ask` with a real hub, and with the whole program as the hub.

use std::{path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
    time::timeout,
};

use crate::{
    program::{BOUND, Served, hearback, next},
    server::{Caller, TestServer},
};

/// A program that asks, whose progress can be followed.
struct Asking {
    child: Child,
    progress: Lines<BufReader<ChildStderr>>,
    /// The id of the request that it waits for.
    id: String,
}

impl Asking {
    /// Asks, and returns once the hub has the question.
    async fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut progress = BufReader::new(child.stderr.take().unwrap()).lines();
        let asked = next(&mut progress).await;
        let id = asked.split(['(', ')']).nth(1).unwrap_or_else(|| panic!("not asked: {asked}")).to_owned();
        Self { child, progress, id }
    }

    /// The exit code, and what was printed.
    async fn ended(mut self) -> (Option<i32>, String) {
        let mut out = String::new();
        let ended = async {
            while self.progress.next_line().await.unwrap().is_some() {}
            self.child.stdout.take().unwrap().read_to_string(&mut out).await.unwrap();
            self.child.wait().await.unwrap().code()
        };
        let code = timeout(BOUND, ended).await.expect("the program ends");
        (code, out)
    }
}

/// `hearback ask` in this folder, against the hub at `url`.
fn ask(folder: &Path, url: &str, token: &str, args: &[&str]) -> Command {
    let mut command = hearback(folder, &[&["ask"], args].concat());
    command.env("HEARBACK_URL", url).env("HEARBACK_TOKEN", token);
    command
}

async fn asked_and_answered(
    server: &TestServer,
    (ana, agent): (&Caller, &Caller),
    args: &[&str],
    value: Value,
) -> (Option<i32>, String) {
    let args = [&["What now?", "--to", "ana", "--timeout", "5m"], args].concat();
    let asking = Asking::start(ask(server.dir(), &server.url(), agent.token.as_deref().unwrap(), &args)).await;
    let accepted = ana.answer(&json!({"id": asking.id}), value).await;
    assert_eq!(accepted.status, 200, "{accepted:?}");
    asking.ended().await
}

#[tokio::test]
async fn every_kind_is_asked_answered_and_told() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let schema = json!({"type": "object", "properties": {"minutes": {"type": "integer"}}, "required": ["minutes"]});
    std::fs::write(server.dir().join("schema.json"), schema.to_string()).unwrap();
    for (args, value, code, printed) in [
        (&["--approval"][..], json!("approved"), 0, "approved\n"),
        (&["--on-expiry", "rejected", "--urgent"], json!("rejected"), 1, "rejected\n"),
        (&["--choice", "blue=Blue,green"], json!("green"), 0, "green\n"),
        (&["--choice", "a,b,c", "--multiple"], json!(["c", "a"]), 0, "c\na\n"),
        (&["--input", "--min-length", "2", "--pattern", "^v"], json!("v1"), 0, "v1\n"),
        (&["--form", "schema.json"], json!({"minutes": 5}), 0, "{\n  \"minutes\": 5\n}\n"),
    ] {
        let told = asked_and_answered(&server, (&ana, &agent), args, value).await;
        assert_eq!(told, (Some(code), printed.to_owned()), "{args:?}");
    }
}

#[tokio::test]
async fn a_deadline_and_a_cancellation_wake_the_program() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let token = agent.token.as_deref().unwrap();
    let args = ["Deploy?", "--to", "ana", "--timeout", "1s", "--on-expiry", "rejected"];
    let expiring = Asking::start(ask(server.dir(), &server.url(), token, &args)).await;
    assert_eq!(expiring.ended().await, (Some(2), "rejected\n".to_owned()));

    let open = Asking::start(ask(server.dir(), &server.url(), token, &["Deploy?", "--to", "ana"])).await;
    let cancelled = agent.post(&format!("/api/feedback/{}/cancel", open.id), json!({})).await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    assert_eq!(open.ended().await, (Some(2), String::new()));
}

#[tokio::test]
async fn the_hubs_own_problems_are_told() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let token = agent.token.as_deref().unwrap();
    for (args, token, expected) in [
        (&["Deploy?", "--to", "nobody-here"][..], token, "to[0]"),
        (&["Deploy?", "--to", "ana", "--on-expiry", "approved"], token, "on_expiry"),
        (&["Deploy?", "--to", "ana", "--channel", "slak"], token, "(allowed: websocket)"),
        (&["Deploy?", "--to", "ana"], "hb_wrong", "set HEARBACK_TOKEN"),
    ] {
        let told = crate::program::ended(ask(server.dir(), &server.url(), token, args)).await;
        assert_eq!((told.code, told.out.as_str()), (Some(3), ""), "{args:?}");
        assert!(told.err.contains(expected), "{args:?}: {}", told.err);
    }
}

/// Posts JSON with a bearer token and returns what is answered.
async fn post(url: String, token: Option<&str>, body: Value) -> Value {
    // It errs only when another test has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let request = reqwest::Client::new().post(url).json(&body);
    let request = token.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth);
    request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_waiting_program_outlives_a_restart_of_the_hub() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Served::start(folder.path(), "127.0.0.1:0").await;
    let url = hub.url.clone();
    let account = json!({"email": "ana@example.org", "password": "a green lamp 7", "username": "ana"});
    let ana = post(format!("{url}/api/auth/register"), None, account).await;
    let ana = ana["access_token"].as_str();
    let agent = post(format!("{url}/api/tokens"), ana, json!({"name": "deploy-bot"})).await;
    let args = ["Deploy 1.4.2?", "--to", "ana", "--approval", "--timeout", "10m"];
    let mut asking = Asking::start(ask(folder.path(), &url, agent["token"].as_str().unwrap(), &args)).await;

    hub.stop().await;
    while !next(&mut asking.progress).await.contains("trying again") {}
    let hub = Served::start(folder.path(), url.strip_prefix("http://").unwrap()).await;

    let answer = json!({"value": "approved", "comment": "Go."});
    post(format!("{url}/api/feedback/{}/responses", asking.id), ana, answer).await;
    assert_eq!(asking.ended().await, (Some(0), "approved\n".to_owned()));
    hub.stop().await;
}
