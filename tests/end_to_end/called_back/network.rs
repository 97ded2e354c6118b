//! Which addresses are called at all. What must not be called is, in these tests, a receiver that listens.

use std::{path::Path, process::Stdio, sync::Arc};

use hearback_core::clock::SystemClock;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{
    World,
    receiver::{Answer, Receiver},
};
use crate::{
    program::{hearback, next},
    server::PASSWORD,
};

/// Spellings of addresses that are not public; those of loopback lead to the receiver.
const PRIVATE: [&str; 9] = [
    "127.0.0.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "2130706433",
    "0x7f.1",
    "localhost",
    "169.254.169.254",
    "10.0.0.1",
    "[fd00::1]",
];

#[tokio::test]
async fn private_addresses_in_every_spelling_are_refused_and_the_setting_is_named() {
    let world = World::on(Arc::new(SystemClock), |_| {}).await;
    let mut receiver = Receiver::start([]).await;
    for host in PRIVATE {
        let request = world.cancelled(&format!("http://{host}:{}/?key=of-the-query", receiver.port())).await;
        let callback = world.callback(&request, |callback| callback["attempts"] != 0).await;
        let error = callback["last_error"].as_str().unwrap();
        assert!(error.contains("has a private address") && error.contains("OUTBOUND_ALLOW"), "{host}: {error}");
        assert!(!error.contains("of-the-query"), "{error}");
        // What a name of the operator's network stands for is nobody's business.
        assert!(host != "localhost" || !error.contains("127.0.0") && !error.contains("::1"), "{error}");
        assert_eq!(callback["status"], "queued", "the name may lead elsewhere tomorrow");
    }
    assert!(!receiver.was_called());
}

#[tokio::test]
async fn an_allowed_network_is_called_by_literal_and_by_name() {
    let world = World::start().await;
    let mut receiver = Receiver::start([]).await;
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "localhost"] {
        let request = world.cancelled(&format!("http://{host}:{}/", receiver.port())).await;
        world.delivered(&request).await;
        receiver.call().await;
    }
}

#[tokio::test]
async fn a_redirect_leads_nowhere() {
    let world = World::start().await;
    let mut target = Receiver::start([]).await;
    let mut receiver = Receiver::start([Answer::Redirect(target.url())]).await;
    let request = world.cancelled(&receiver.url()).await;
    let callback = world.tried(&request, 1).await;
    assert_eq!(callback["last_error"], "the receiver answered 302, which is not followed");
    receiver.call().await;
    assert!(!target.was_called());
}

#[tokio::test]
async fn https_is_spoken_to_nobody_without_a_certificate() {
    let world = World::start().await;
    let mut receiver = Receiver::start([]).await;
    let request = world.cancelled(&format!("https://127.0.0.1:{}/?key=of-the-query", receiver.port())).await;
    let callback = world.tried(&request, 1).await;
    let error = callback["last_error"].as_str().unwrap();
    assert!(!error.is_empty() && !error.contains("of-the-query"), "{error}");
    assert!(!receiver.was_called());
}

/// The lines that the program logs until `last` is in one, while a callback to `url` is refused twice.
async fn log_of_refusals(folder: &Path, url: &str) -> (Vec<String>, String) {
    let mut command = hearback(folder, &[]);
    command.env("HEARBACK_BIND", "127.0.0.1:0").env("LOG_FORMAT", "json").env("LOG_LEVEL", "debug");
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let hub = loop {
        let line: Value = serde_json::from_str(&next(&mut log).await).unwrap();
        if let Some(url) = line["url"].as_str() {
            break url.trim_end_matches('/').to_owned();
        }
    };
    let client = reqwest::Client::new();
    let post = |path: &str, token: &str, body: Value| {
        let call = client.post(format!("{hub}/api/{path}")).bearer_auth(token).json(&body);
        async move { call.send().await.unwrap().json::<Value>().await.unwrap() }
    };
    let account = json!({"email": "ana@example.com", "username": "ana", "password": PASSWORD});
    let ana = post("auth/register", "", account).await;
    let token = post("tokens", ana["access_token"].as_str().unwrap(), json!({"name": "ci"})).await;
    let bearer = token["token"].as_str().unwrap();
    for _ in 0..2 {
        let draft = json!({"kind": "approval", "prompt": "?", "to": ["ana"], "callback_url": url});
        let request = post("feedback", bearer, draft).await;
        post(&format!("feedback/{}/cancel", request["id"].as_str().unwrap()), bearer, json!({})).await;
    }
    let (mut lines, mut refused) = (Vec::new(), 0);
    while refused < 2 {
        let line = next(&mut log).await;
        refused += usize::from(line.contains("a callback was not taken"));
        lines.push(line);
    }
    (lines, token["webhook_secret"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_log_tells_the_operator_once_what_to_allow_and_holds_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let (lines, secret) = log_of_refusals(folder.path(), "http://localhost:9/?key=of-the-query").await;
    let hints: Vec<_> =
        lines.iter().filter(|line| line.contains("set OUTBOUND_ALLOW to a network that it is in")).collect();
    let named: Vec<_> =
        hints.iter().filter(|line| line.contains("as 127.0.0.0/8") || line.contains("as ::1/128")).collect();
    assert_eq!(named.len(), 1, "{hints:#?}");
    assert!(named[0].contains("a receiver of callbacks is at a private address"), "{named:?}");
    for line in &lines {
        assert!(!line.contains("of-the-query") && !line.contains(secret.trim_start_matches("whsec_")), "{line}");
    }
}
