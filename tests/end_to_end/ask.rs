//! `hearback ask` against a hub that answers by a script.

mod fake;
mod faults;
mod hub;
mod interruption;
mod outcomes;

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::program::{Ended, ended, hearback};
use fake::{FakeHub, Reply};

const TOKEN: &str = "hb_the-token-of-this-test";

/// A body or problem of the contract.
fn contract(path: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/contract");
    serde_json::from_str(&fs::read_to_string(folder.join(path)).unwrap()).unwrap()
}

/// The contract's pending approval.
fn pending() -> Value {
    contract("bodies/feedback.read.approval.pending.json")
}

/// The same request, answered by Ana.
fn answered(value: impl Into<Value>) -> Value {
    let mut request = pending();
    request["status"] = json!("answered");
    request["outcome"] = json!({
        "value": value.into(), "comment": "Looked good.\u{1b}[2J", "by": request["to"][0], "channel": "web",
        "at": "2026-11-21T09:30:42.730518Z", "source": "person",
    });
    request
}

fn id() -> String {
    pending()["id"].as_str().unwrap().to_owned()
}

/// A problem of the contract, with its status.
fn problem(name: &str) -> Reply {
    let problem = contract(&format!("problems/{name}.json"));
    let status = problem["status"].as_u64().unwrap().try_into().unwrap();
    Reply::Answer(status, "content-type: application/problem+json\r\n", problem)
}

/// `hearback ask`, set to the fake hub.
fn ask(hub: &FakeHub, args: &[&str]) -> (TempDir, Command) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = hearback(folder.path(), &[&["ask"], args].concat());
    command.env("HEARBACK_URL", hub.url()).env("HEARBACK_TOKEN", TOKEN);
    (folder, command)
}

/// Asks Ana for an approval and returns what the program left behind.
async fn approval(hub: &FakeHub, more: &[&str]) -> Ended {
    let (_folder, command) = ask(hub, &[&["Deploy 1.4.2?", "--to", "ana"], more].concat());
    let ended = ended(command).await;
    assert!(!ended.out.contains(TOKEN) && !ended.err.contains(TOKEN), "the token was printed: {ended:?}");
    ended
}
