//! Leaving off, and taking up again.

use std::process::{ExitStatus, Stdio};

use serde_json::json;
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
};

use super::{FakeHub, Reply, answered, ask, contract, id, pending, problem};
use crate::program::ended;

/// Starts asking and returns once the hub holds the program's call open.
async fn waiting(hub: &mut FakeHub, more: &[&str]) -> (tempfile::TempDir, Child) {
    let (folder, mut command) = ask(hub, &[&["Deploy 1.4.2?", "--to", "ana"], more].concat());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(hub.line().await, "POST /api/feedback");
    assert_eq!(hub.line().await, format!("GET /api/feedback/{}?wait=30", id()));
    (folder, child)
}

async fn signal(child: &mut Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().await.unwrap().success());
}

async fn ended_with(mut child: Child) -> (ExitStatus, String, String) {
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).await.unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).await.unwrap();
    (child.wait().await.unwrap(), out, err)
}

#[tokio::test]
async fn an_interrupted_wait_leaves_the_question_open_and_says_how_to_go_on() {
    for name in ["-INT", "-TERM"] {
        let mut hub = FakeHub::start([Reply::created(pending()), Reply::Hold]).await;
        let (_folder, mut child) = waiting(&mut hub, &["--quiet"]).await;
        signal(&mut child, name).await;
        let (status, out, err) = ended_with(child).await;
        assert_eq!((status.code(), out.as_str()), (Some(3), ""), "{err}");
        assert_eq!(err, format!("still open; take it up again with: hearback ask --resume {}\n", id()));
        assert!(!hub.was_called_again());
    }
}

#[tokio::test]
async fn an_interruption_can_cancel() {
    let mut cancelled = pending();
    cancelled["status"] = json!("cancelled");
    let mut hub = FakeHub::start([Reply::created(pending()), Reply::Hold, Reply::ok(cancelled)]).await;
    let (_folder, mut child) = waiting(&mut hub, &["--cancel-on-interrupt"]).await;
    signal(&mut child, "-INT").await;
    let (status, out, err) = ended_with(child).await;
    assert_eq!((status.code(), out.as_str()), (Some(2), ""), "{err}");
    assert!(err.ends_with("cancelled\n"), "{err}");
    assert_eq!(hub.line().await, format!("POST /api/feedback/{}/cancel", id()));
}

#[tokio::test]
async fn an_answer_that_came_before_the_cancellation_counts() {
    let late = [problem("ended"), Reply::ok(answered("approved"))];
    let mut hub = FakeHub::start([Reply::created(pending()), Reply::Hold].into_iter().chain(late)).await;
    let (_folder, mut child) = waiting(&mut hub, &["--cancel-on-interrupt"]).await;
    signal(&mut child, "-TERM").await;
    let (status, out, err) = ended_with(child).await;
    assert_eq!((status.code(), out.as_str()), (Some(0), "approved\n"), "{err}");
}

#[tokio::test]
async fn an_interruption_before_the_hub_confirmed_says_so() {
    let mut hub = FakeHub::start([Reply::Hold]).await;
    let (_folder, mut command) = ask(&hub, &["Deploy 1.4.2?", "--to", "ana"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    hub.call().await;
    signal(&mut child, "-INT").await;
    let (status, _, err) = ended_with(child).await;
    assert_eq!(status.code(), Some(3));
    assert!(err.starts_with("interrupted before the hub confirmed the question"), "{err}");
}

#[tokio::test]
async fn a_question_is_taken_up_again_without_being_asked_again() {
    let script = [Reply::Cut, Reply::ok(pending()), Reply::ok(answered("rejected"))];
    let mut hub = FakeHub::start(script).await;
    let (_folder, command) = ask(&hub, &["--resume", &id()]);
    let told = ended(command).await;
    assert_eq!((told.code, told.out.as_str()), (Some(1), "rejected\n"), "{}", told.err);
    let read = format!("GET /api/feedback/{}", id());
    assert_eq!(hub.line().await, read);
    assert_eq!(hub.line().await, read);
    assert_eq!(hub.line().await, format!("{read}?wait=30"));
    assert!(!hub.was_called_again());

    let over = FakeHub::start([Reply::ok(contract("bodies/feedback.read.choice.answered.json"))]).await;
    let (_folder, command) = ask(&over, &["--resume", "01a1fd5a-0ed6-74ef-9a94-e3e8ab73738f"]);
    let told = ended(command).await;
    assert_eq!((told.code, told.out.as_str()), (Some(0), "blue\n"));

    let unknown = FakeHub::start([problem("not_found")]).await;
    let (_folder, command) = ask(&unknown, &["--resume", &id()]);
    assert_eq!(ended(command).await.code, Some(3));
}
