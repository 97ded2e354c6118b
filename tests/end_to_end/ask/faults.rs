//! What goes wrong on the way, and what becomes of it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
};

use super::{FakeHub, Reply, answered, approval, ask, contract, id, pending, problem};
use crate::program::ended;

#[tokio::test]
async fn a_refused_question_is_told_with_its_fields_and_not_put_again() {
    for name in ["unauthenticated", "not_found", "invalid", "forbidden", "idempotency_mismatch", "too_large"] {
        let told = contract(&format!("problems/{name}.json"));
        let mut expected = vec![told["detail"].as_str().unwrap().to_owned()];
        for error in told["errors"].as_array().into_iter().flatten() {
            let text = |field: &str| error[field].as_str().unwrap().to_owned();
            expected.push(format!("{}: {}", text("field"), text("detail")));
            let allowed = error["allowed"].as_array().into_iter().flatten();
            expected.extend(allowed.map(|value| value.as_str().unwrap().to_owned()));
        }
        if name == "unauthenticated" {
            expected.push("set HEARBACK_TOKEN".into());
        }
        let mut hub = FakeHub::start([problem(name)]).await;
        let ended = approval(&hub, &[]).await;
        assert_eq!((ended.code, ended.out.as_str()), (Some(3), ""), "{name}");
        for text in &expected {
            assert!(ended.err.contains(text), "{name}: {}", ended.err);
        }
        assert_eq!(hub.line().await, "POST /api/feedback");
        assert!(!hub.was_called_again(), "{name}");
    }
}

#[tokio::test]
async fn what_is_no_hub_is_told_apart() {
    for (reply, expected) in [
        (Reply::Answer(404, "", Value::Null), "a hub, with its path prefix?"),
        (Reply::Answer(200, "", json!("hello")), "does not answer as a hub does"),
        (
            Reply::Answer(308, "location: https://ask.example/api/feedback\r\n", Value::Null),
            "redirects to https://ask.example",
        ),
    ] {
        let hub = FakeHub::start([reply]).await;
        let ended = approval(&hub, &[]).await;
        assert_eq!(ended.code, Some(3));
        assert!(ended.err.contains(expected), "{}", ended.err);
    }
}

#[tokio::test]
async fn a_question_is_sent_again_under_the_same_key() {
    let passing = [problem("internal"), Reply::Cut, problem("idempotency_running"), problem("unavailable")];
    let script = passing.into_iter().chain([Reply::created(answered("approved"))]);
    let mut hub = FakeHub::start(script).await;
    let ended = approval(&hub, &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.err.contains("the hub answered 500: Something went wrong here."), "{}", ended.err);
    let first = hub.call().await;
    for _ in 0..4 {
        let again = hub.call().await;
        assert_eq!(again.headers["idempotency-key"], first.headers["idempotency-key"]);
        assert_eq!(again.body, first.body);
    }
    assert!(!hub.was_called_again());
}

#[tokio::test]
async fn retry_after_is_honoured_and_one_beyond_patience_ends_it() {
    let limited = |after| Reply::Answer(429, after, Value::Null);
    let mut hub = FakeHub::start([limited("retry-after: 2\r\n"), Reply::created(answered("approved"))]).await;
    assert_eq!(approval(&hub, &[]).await.code, Some(0));
    let first = hub.call().await;
    assert!(hub.call().await.at - first.at >= Duration::from_secs(2));

    let mut hub = FakeHub::start([limited("retry-after: 3600\r\n")]).await;
    assert_eq!(approval(&hub, &[]).await.code, Some(3));
    hub.call().await;
    assert!(!hub.was_called_again());
}

#[tokio::test]
async fn a_cut_while_waiting_is_waited_through() {
    let waits = [Reply::Cut, problem("unavailable"), Reply::ok(answered("approved"))];
    let mut hub = FakeHub::start([Reply::created(pending())].into_iter().chain(waits)).await;
    let ended = approval(&hub, &[]).await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "approved\n"));
    assert!(ended.err.contains("the hub answered 503"), "{}", ended.err);
    assert_eq!(hub.line().await, "POST /api/feedback");
    for _ in 0..3 {
        assert_eq!(hub.line().await, format!("GET /api/feedback/{}?wait=30", id()));
    }
}

#[tokio::test]
async fn a_token_that_is_revoked_while_waiting_ends_it_and_says_how_to_go_on() {
    let hub = FakeHub::start([Reply::created(pending()), problem("unauthenticated")]).await;
    let ended = approval(&hub, &[]).await;
    assert_eq!(ended.code, Some(3));
    assert!(ended.err.contains(&format!("hearback ask --resume {}", id())), "{}", ended.err);
}

#[tokio::test]
async fn a_hub_that_is_not_running_is_hinted_at_and_may_still_start() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://{address}");
    let folder = tempfile::tempdir().unwrap();
    let mut command = crate::program::hearback(folder.path(), &["ask", "Deploy 1.4.2?", "--to", "ana"]);
    command.args(["--url", &url, "--token", "hb_x"]).stderr(std::process::Stdio::piped());
    let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap().unwrap();
    assert!(first.contains(&format!("Is the hub running at {url}?")), "{first}");
    let _hub = FakeHub::start_at(address, [Reply::created(answered("rejected"))]).await;
    while lines.next_line().await.unwrap().is_some() {}
    assert_eq!(child.wait().await.unwrap().code(), Some(1));
}

#[tokio::test]
async fn a_hub_without_tls_needs_no_certificate_authorities() {
    let hub = FakeHub::start([Reply::created(answered("approved"))]).await;
    let (_folder, mut command) = ask(&hub, &["Deploy 1.4.2?", "--to", "ana"]);
    command.env("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent");
    let told = ended(command).await;
    assert_eq!(told.code, Some(0), "{}", told.err);
}

#[tokio::test]
async fn the_dotenv_of_a_folder_cannot_send_a_token_of_the_environment_elsewhere() {
    let mut hub = FakeHub::start([]).await;
    let (folder, mut command) = ask(&hub, &["Deploy 1.4.2?", "--to", "ana"]);
    std::fs::write(folder.path().join(".env"), format!("HEARBACK_URL={}\n", hub.url())).unwrap();
    command.env_remove("HEARBACK_URL");
    let told = ended(command).await;
    assert_eq!(told.code, Some(3));
    assert!(told.err.contains("may not say where your token goes"), "{}", told.err);
    assert!(!hub.was_called_again());
}

#[tokio::test]
async fn what_the_options_lack_is_told_before_anything_is_sent() {
    let mut hub = FakeHub::start([]).await;
    for (args, expected) in [
        (&["--url", "http://127.0.0.1:1/?token=hb_secret"][..], "a token belongs into HEARBACK_TOKEN"),
        (&["--token", "hb_\nsecret"], "the token holds characters"),
        (&["--metadata", "[1]"], "--metadata: expected a JSON object"),
        (&["--form", "missing.json"], "--form: cannot read missing.json"),
        (&["--context", "@missing.md"], "--context: cannot read missing.md"),
        (&["--form", "-", "--context", "-"], "cannot both read standard input"),
        (&["--timeout", "1500ms"], "--timeout: expected whole seconds"),
    ] {
        let ended = approval(&hub, args).await;
        assert_eq!(ended.code, Some(3), "{args:?}");
        assert!(ended.err.contains(expected) && !ended.err.contains("secret"), "{}", ended.err);
    }
    let (_folder, mut command) = ask(&hub, &["Deploy 1.4.2?", "--to", "ana"]);
    command.env_remove("HEARBACK_TOKEN");
    let ended = ended(command).await;
    assert_eq!(ended.code, Some(3));
    assert!(ended.err.contains("no service token: make one on the hub's page"), "{}", ended.err);
    assert!(!hub.was_called_again());
}
