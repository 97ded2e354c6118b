//! The signature, verified by the official Standard Webhooks library for Python.

use std::{env, io::Write, path::PathBuf, process::Stdio, thread};

use serde_json::json;
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use super::{
    World,
    receiver::{Call, Receiver},
};
use crate::program::BOUND;

/// Reads a secret, headers and a body as JSON, and prints the type of what it believes.
const VERIFY: &str = "
import json, sys
from standardwebhooks import Webhook, WebhookVerificationError
given = json.load(sys.stdin)
try:
    print(Webhook(given['secret']).verify(given['body'], given['headers'])['type'])
except WebhookVerificationError as error:
    print('not believed:', error)
";

/// The folder that the library was installed into.
fn library() -> Option<PathBuf> {
    if let Some(folder) = env::var_os("TEST_STANDARDWEBHOOKS").filter(|path| !path.is_empty()) {
        return Some(folder.into());
    }
    let test = thread::current().name().unwrap_or_default().to_owned();
    let line = format!("{test}: needs the folder of Python's package standardwebhooks in TEST_STANDARDWEBHOOKS");
    assert!(env::var_os("TEST_REQUIRE_SERVICES").is_none_or(|value| value != "1"), "{line}");
    // Not by eprintln, whose text is only shown of tests that fail.
    std::io::stderr().write_all(format!("SKIPPED {line}\n").as_bytes()).unwrap();
    None
}

async fn verify(library: &PathBuf, secret: &str, call: &Call, body: &str) -> String {
    let headers: serde_json::Map<_, _> =
        call.headers.iter().map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap()))).collect();
    let given = json!({"secret": secret, "headers": headers, "body": body});
    let mut python = Command::new("python3");
    python.args(["-c", VERIFY]).env("PYTHONPATH", library).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.kill_on_drop(true).spawn().unwrap();
    child.stdin.take().unwrap().write_all(given.to_string().as_bytes()).await.unwrap();
    let output = timeout(BOUND, child.wait_with_output()).await.expect("it ends").unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn the_official_library_believes_what_the_hub_signs_and_nothing_else() {
    let Some(library) = library() else { return };
    let world = World::start().await;
    let mut receiver = Receiver::start([]).await;
    let request = world.ask(&receiver.url()).await;
    world.ana.post(&super::path(&request, "/responses"), json!({"value": "approved", "comment": "grün ✓"})).await;
    let call = receiver.call().await;
    assert_eq!(verify(&library, &world.secret, &call, &call.raw).await, "feedback.answered");
    let forged = call.raw.replace("approved", "rejected");
    for (secret, body) in [(&*world.secret, &*forged), ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &*call.raw)] {
        assert_eq!(verify(&library, secret, &call, body).await, "not believed: No matching signature found");
    }
}
