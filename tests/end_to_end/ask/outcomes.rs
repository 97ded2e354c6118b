//! What is printed, and the exit code.

use serde_json::{Value, json};

use super::{FakeHub, Reply, TOKEN, answered, approval, ask, contract, id, pending};
use crate::program::{Ended, ended};

/// Asks, and the hub knows the ending at once.
async fn told(request: Value, more: &[&str]) -> Ended {
    let hub = FakeHub::start([Reply::created(request)]).await;
    approval(&hub, more).await
}

#[tokio::test]
async fn an_approval_is_put_awaited_and_told() {
    let mut hub =
        FakeHub::start([Reply::created(pending()), Reply::ok(pending()), Reply::ok(answered("approved"))]).await;
    let ended = approval(&hub, &["--approval", "--timeout", "10m"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "approved\n"), "{}", ended.err);
    assert!(ended.err.contains("approved by ana on web at 2026-11-21T09:30:42.730518Z"), "{}", ended.err);
    assert!(ended.err.contains("comment: Looked good.\u{fffd}[2J"), "{}", ended.err);
    assert!(ended.err.contains(&format!("asked ana, ben ({})", id())), "{}", ended.err);

    let create = hub.call().await;
    assert_eq!(create.line, "POST /api/feedback");
    assert_eq!(create.headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(create.headers["idempotency-key"].len(), 36);
    assert_eq!(create.headers["content-type"], "application/json");
    assert_eq!(create.body, json!({"kind": "approval", "prompt": "Deploy 1.4.2?", "to": ["ana"], "expires_in": 600}));
    let wait = format!("GET /api/feedback/{}?wait=30", id());
    assert_eq!([hub.line().await, hub.line().await], [wait.clone(), wait]);
    assert!(!hub.was_called_again());
}

#[tokio::test]
async fn a_rejection_ends_with_1() {
    let ended = told(answered("rejected"), &[]).await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), "rejected\n"));
    assert!(ended.err.contains("rejected by ana"));
}

#[tokio::test]
async fn an_expired_or_cancelled_request_ends_with_2_and_its_outcome_is_printed() {
    let expired = told(contract("bodies/feedback.read.input.expired.json"), &[]).await;
    assert_eq!((expired.code, expired.out.as_str()), (Some(2), "v1.4.1\n"));
    let cancelled = told(contract("bodies/feedback.read.form.cancelled.json"), &[]).await;
    assert_eq!((cancelled.code, cancelled.out.as_str()), (Some(2), ""));
    assert!(cancelled.err.contains("cancelled"));
}

#[tokio::test]
async fn the_other_kinds_print_their_value_and_end_with_0() {
    let choice = told(contract("bodies/feedback.read.choice.answered.json"), &[]).await;
    assert_eq!((choice.code, choice.out.as_str()), (Some(0), "blue\n"));

    let mut several = contract("bodies/feedback.read.choice.answered.json");
    several["multiple"] = json!(true);
    several["outcome"]["value"] = json!(["blue", "green"]);
    assert_eq!(told(several, &[]).await.out, "blue\ngreen\n");

    let mut input = contract("bodies/feedback.read.input.expired.json");
    input["status"] = json!("answered");
    input["outcome"]["value"] = json!("rejected");
    let input = told(input, &[]).await;
    assert_eq!((input.code, input.out.as_str()), (Some(0), "rejected\n"), "a text is no verdict");

    let mut form = contract("bodies/feedback.read.form.cancelled.json");
    form["status"] = json!("answered");
    form["outcome"] = answered(json!({"window": "tonight", "minutes": 30}))["outcome"].take();
    let form = told(form, &[]).await;
    assert_eq!(form.code, Some(0));
    assert_eq!(form.out, "{\n  \"minutes\": 30,\n  \"window\": \"tonight\"\n}\n");
}

#[tokio::test]
async fn json_is_one_line_with_what_a_newer_hub_adds() {
    let mut request = answered("rejected");
    request["of_a_later_version"] = json!({"a": [1]});
    request["outcome"]["source_detail"] = json!("new");
    let ended = told(request.clone(), &["--json"]).await;
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.out.lines().count(), 1);
    assert_eq!(serde_json::from_str::<Value>(&ended.out).unwrap(), request);
}

#[tokio::test]
async fn quiet_prints_the_outcome_alone() {
    let hub = FakeHub::start([Reply::created(pending()), Reply::Cut, Reply::ok(answered("approved"))]).await;
    let ended = approval(&hub, &["--quiet"]).await;
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (Some(0), "approved\n", ""));
}

#[tokio::test]
async fn the_hub_and_the_token_may_stand_in_dotenv_and_the_hub_below_a_path() {
    let mut hub = FakeHub::start([Reply::created(answered("approved"))]).await;
    let (folder, mut command) = ask(&hub, &["Deploy 1.4.2?", "--to", "ana"]);
    std::fs::write(folder.path().join(".env"), format!("HEARBACK_URL={}/hub/\nHEARBACK_TOKEN={TOKEN}\n", hub.url()))
        .unwrap();
    command.env_remove("HEARBACK_URL").env("HEARBACK_TOKEN", "");
    assert_eq!(ended(command).await.code, Some(0));
    let call = hub.call().await;
    assert_eq!(call.line, "POST /hub/api/feedback");
    assert_eq!(call.headers["authorization"], format!("Bearer {TOKEN}"));
}
