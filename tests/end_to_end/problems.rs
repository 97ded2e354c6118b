//! Every error is a problem of a stable type, as the examples in `docs/contract/problems` show it.

use std::{collections::BTreeSet, fs, path::PathBuf, sync::Arc, time::Duration};

use futures_util::future::join_all;
use hearback::{
    api::{
        self,
        problem::{ProblemDocument, ProblemKind},
    },
    config::Registration,
};
use hearback_core::{Timestamp, clock::ManualClock};
use poem::Endpoint;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::server::{Answered, TestServer, read};

fn example(code: &str) -> Value {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/contract/problems");
    serde_json::from_slice(&fs::read(root.join(format!("{code}.json"))).unwrap()).unwrap()
}

fn keys(body: &Value) -> BTreeSet<&str> {
    body.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Whether an answer has the shape of the example of its type.
fn is_as_shown(answer: &Answered, code: &str) {
    assert_eq!(answer.problem(), code, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.headers["x-request-id"], answer.body["request_id"].as_str().unwrap());
    assert_eq!(answer.body["status"], answer.status.as_u16());
    let example = example(code);
    for field in ["type", "title", "status"] {
        assert_eq!(answer.body[field], example[field], "{code}");
    }
    assert_eq!(keys(&answer.body), keys(&example), "{code}");
    if let Some(errors) = answer.body.get("errors") {
        assert!(errors[0]["field"].is_string() && errors[0]["detail"].is_string(), "{code}");
    }
    if let Some(feedback) = answer.body.get("feedback") {
        let common = |body: &Value| {
            let of_kind = ["options", "multiple", "min_length", "max_length", "pattern", "schema"];
            keys(body).into_iter().filter(|key| !of_kind.contains(key)).map(str::to_owned).collect::<BTreeSet<_>>()
        };
        assert_eq!(common(feedback), common(&example["feedback"]), "{code}");
    }
}

async fn send(call: RequestBuilder) -> Answered {
    read(call.send().await.unwrap()).await
}

#[test]
fn every_kind_of_problem_has_an_example_and_every_example_a_kind() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/contract/problems");
    let files: BTreeSet<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let kinds: BTreeSet<_> = ProblemKind::ALL.iter().map(|kind| kind.code().to_owned()).collect();
    assert_eq!(files, kinds);
    for kind in ProblemKind::ALL {
        let example = example(kind.code());
        let document: ProblemDocument = serde_json::from_value(example.clone()).unwrap();
        assert_eq!(serde_json::to_value(&document).unwrap(), example, "{kind:?}");
        assert_eq!(document.kind, format!("urn:hearback:problem:{}", kind.code()));
        assert_eq!((document.title.as_str(), document.status), (kind.title(), kind.status()));
    }
}

#[tokio::test]
async fn what_callers_do_wrong_is_answered_as_shown() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let ben = server.register("ben").await;
    let post = |body: &'static str| {
        ana.call(Method::POST, "/api/tokens").header("Content-Type", "application/json").body(body)
    };
    is_as_shown(&send(post("{\"name\": \"n\"\n\"x\": 1}")).await, "malformed");
    is_as_shown(&server.nobody().get("/api/auth/me").await, "unauthenticated");
    let request = ana.ask(&[&ana]).await;
    let not_asked = ben.answer(&request, json!("approved")).await;
    is_as_shown(&not_asked, "forbidden");
    is_as_shown(
        &send(server.nobody().call(Method::POST, "/api/auth/login").header("Origin", "https://x.example")).await,
        "origin",
    );
    let unknown = ana.post("/api/feedback", json!({"kind": "approval", "prompt": "?", "to": ["anna"]})).await;
    is_as_shown(&unknown, "not_found");
    is_as_shown(&send(ana.call(Method::PUT, "/api/tokens")).await, "method_not_allowed");
    let taken = json!({"email": "new@example.com", "username": "ana", "password": "correct horse 1"});
    is_as_shown(&server.nobody().post("/api/auth/register", taken).await, "taken");
    let large = format!("{{\"name\": \"{}\"}}", "n".repeat(1024 * 1024));
    let large = ana.call(Method::POST, "/api/tokens").header("Content-Type", "application/json").body(large);
    is_as_shown(&send(large).await, "too_large");
    let plain = ana.call(Method::POST, "/api/tokens").header("Content-Type", "text/plain").body("n");
    is_as_shown(&send(plain).await, "unsupported_media_type");
    is_as_shown(&ana.post("/api/tokens", json!({"name": "n", "x": 1})).await, "invalid");
    let keyed = |name: &str| {
        ana.call(Method::POST, "/api/tokens").header("Idempotency-Key", "k").json(&json!({ "name": name }))
    };
    send(keyed("one")).await;
    is_as_shown(&send(keyed("two")).await, "idempotency_mismatch");
}

#[tokio::test]
async fn what_comes_too_late_is_answered_as_shown() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_795_253_400_000_000)));
    let server = TestServer::on(clock.clone(), |_| {}).await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let request = ana.ask(&[&ana, &ben]).await;
    ana.answer(&request, json!("approved")).await;
    is_as_shown(&ben.answer(&request, json!("approved")).await, "late");
    let cancel = |request: &Value| {
        let path = format!("/api/feedback/{}/cancel", request["id"].as_str().unwrap());
        let ana = ana.clone();
        async move { send(ana.call(Method::POST, &path)).await }
    };
    is_as_shown(&cancel(&request).await, "ended");
    let request = ana.ask(&[&ana, &ben]).await;
    assert_eq!(cancel(&request).await.status, StatusCode::OK);
    is_as_shown(&ben.answer(&request, json!("approved")).await, "cancelled");
    let request = ana.put(json!({"kind": "approval", "prompt": "?", "to": ["ben"], "expires_in": 60})).await;
    clock.advance(Duration::from_secs(61));
    is_as_shown(&ben.answer(&request, json!("approved")).await, "expired");
}

#[tokio::test]
async fn a_closed_hub_and_a_stopping_hub_answer_as_shown() {
    let server = TestServer::with(|config| config.registration = Registration::Closed).await;
    server.register("ana").await;
    let ben = json!({"email": "ben@example.com", "password": "correct horse 1"});
    is_as_shown(&server.nobody().post("/api/auth/register", ben).await, "registration_closed");

    // Over the network the server would hang up, so the routes are called directly.
    let app = server.running().app().clone();
    let routes = api::routes(app.clone());
    app.stopping.cancel();
    let ready = poem::Request::builder().uri(poem::http::Uri::from_static("/readyz")).finish();
    let mut ready = routes.call(ready).await.unwrap();
    assert_eq!(ready.headers()["retry-after"], "1");
    let body = ready.take_body().into_json().await.unwrap();
    is_as_shown(&Answered { status: ready.status(), headers: ready.headers().clone(), body }, "unavailable");
}

#[tokio::test]
async fn a_key_whose_first_call_is_running_is_answered_as_shown() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    for round in 0..50 {
        let key = format!("k-{round}");
        let call = || ana.call(Method::POST, "/api/tokens").header("Idempotency-Key", &key).json(&json!({"name": "n"}));
        let answers = join_all((0..8).map(|_| send(call()))).await;
        let made: BTreeSet<_> = answers.iter().filter_map(|answer| answer.body["token"].as_str()).collect();
        assert_eq!(made.len(), 1, "one token for one key");
        let new = answers.iter().filter(|answer| {
            answer.status == StatusCode::CREATED && !answer.headers.contains_key("idempotent-replayed")
        });
        assert_eq!(new.count(), 1);
        if let Some(told_to_wait) = answers.iter().find(|answer| answer.status == StatusCode::CONFLICT) {
            return is_as_shown(told_to_wait, "idempotency_running");
        }
    }
    panic!("in 50 rounds of 8 calls at once no two met");
}

#[tokio::test]
async fn every_path_names_the_methods_it_takes() {
    let server = TestServer::start().await;
    let nobody = server.nobody();
    let cases = [
        (Method::PUT, "/api/tokens", "GET, HEAD, POST"),
        (Method::GET, "/api/auth/register", "POST"),
        (Method::PATCH, "/api/auth/session", "DELETE, POST"),
        (Method::GET, "/api/tokens/01a1f84a-95c0-7f2b-9cf4-bb99f4bea973", "DELETE"),
        (Method::POST, "/", "GET, HEAD"),
        (Method::DELETE, "/docs", "GET, HEAD"),
        (Method::POST, "/assets/app.js", "GET, HEAD"),
        (Method::OPTIONS, "/health", "GET, HEAD"),
        (Method::TRACE, "/health", "GET, HEAD"),
        (Method::from_bytes(b"BREW").unwrap(), "/health", "GET, HEAD"),
    ];
    for (method, path, allow) in cases {
        let answer = send(nobody.call(method.clone(), path)).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            "{method} {path}"
        );
        assert_eq!(answer.headers["allow"], allow, "{method} {path}");
    }
    assert_eq!(
        send(nobody.call(Method::PUT, "/api/tokens")).await.body["detail"],
        "PUT is not allowed here; GET and POST are."
    );
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = TestServer::start().await;
    for path in ["/nowhere", "/api", "/api/", "/api/nowhere", "/api/auth/mee", "/docs/x", "/api/auth/me/x", "//"] {
        let answer = server.nobody().get(path).await;
        assert_eq!((answer.status, answer.problem()), (StatusCode::NOT_FOUND, "not_found"), "{path}");
    }
}

#[tokio::test]
async fn wrong_bodies_name_their_fields_and_change_nothing() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let json = |path: &str, body: Vec<u8>| {
        send(ana.call(Method::POST, path).header("Content-Type", "application/json; charset=utf-8").body(body))
    };
    let deep = format!("{{\"name\": {}1{}}}", "[".repeat(5000), "]".repeat(5000)).into_bytes();
    let malformed: [&[u8]; 8] = [
        b"",
        b"{",
        b"nul",
        b"{\"name\": \"\xff\"}",
        b"{\"name\": \"a\nb\"}",
        b"\xfe\xff\0{",
        b"{\"name\": 1e999}",
        &deep,
    ];
    for path in ["/api/tokens", "/api/auth/register", "/api/auth/refresh", "/api/feedback"] {
        for body in malformed {
            let answer = json(path, body.to_vec()).await;
            assert_eq!((answer.status, answer.problem()), (StatusCode::BAD_REQUEST, "malformed"), "{path} {answer:?}");
        }
        for body in [&b"[]"[..], b"null", b"5", b"\"text\"", b"{}", b"{\"x\": 1}"] {
            let answer = json(path, body.to_vec()).await;
            assert_eq!((answer.status.as_u16(), answer.problem()), (422, "invalid"), "{path} {answer:?}");
            assert_eq!(answer.fields().len(), 1);
        }
    }
    let cases = [
        (&b"{\"name\": 5}"[..], "name"),
        (b"{\"name\": null}", "name"),
        (b"{\"name\": \"a\", \"name\": \"b\"}", "name"),
        (b"{\"name\": \"a\\u0000\"}", "name"),
        (b"{\"name\": \"\"}", "name"),
        (b"{\"name\": \"n\", \"scopes\": \"feedback:read\"}", "scopes"),
        (b"{\"name\": \"n\", \"scopes\": [5]}", "scopes[0]"),
        (b"{\"name\": \"n\", \"expires_in\": -1}", "expires_in"),
        (b"{\"name\": \"n\", \"expires_in\": 1.5}", "expires_in"),
        (b"{\"name\": \"n\", \"expires_in\": \"60\"}", "expires_in"),
        (b"{\"name\": \"n\", \"token\": \"hb_mine\"}", "token"),
    ];
    for (body, field) in cases {
        let answer = json("/api/tokens", body.to_vec()).await;
        assert_eq!((answer.problem(), answer.fields()), ("invalid", vec![field]), "{}", String::from_utf8_lossy(body));
    }
    for path in ["/api/auth/login", "/api/auth/session"] {
        let form = |body: &'static str| {
            let call =
                server.nobody().call(Method::POST, path).header("Content-Type", "application/x-www-form-urlencoded");
            send(call.body(body))
        };
        assert_eq!(form("username=a").await.fields(), ["password"]);
        assert_eq!(form("").await.problem(), "invalid");
        assert_eq!(form("username=a&password=b&remember=1").await.fields(), ["remember"]);
        assert_eq!(form("username=a&username=b&password=c").await.fields(), ["username"]);
        let as_json = server.nobody().post(path, json!({"username": "a", "password": "b"})).await;
        assert_eq!(as_json.body["errors"][0]["allowed"], json!(["application/x-www-form-urlencoded"]));
    }
    let types =
        ["", "text/plain", "application/jsonx", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"];
    for content_type in types {
        let call = ana.call(Method::POST, "/api/tokens").header("Content-Type", content_type).body("{\"name\": \"n\"}");
        let answer = send(call).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (415, "unsupported_media_type"), "{content_type}");
        assert_eq!(answer.body["errors"][0]["allowed"], json!(["application/json"]));
    }
    let none = send(ana.call(Method::POST, "/api/tokens").body("{\"name\": \"n\"}")).await;
    assert_eq!(none.problem(), "unsupported_media_type");
    let compressed =
        ana.call(Method::POST, "/api/tokens").header("Content-Encoding", "gzip").json(&json!({"name": "n"}));
    assert_eq!(send(compressed).await.problem(), "unsupported_media_type");
    assert_eq!(ana.get("/api/tokens").await.body["items"], json!([]));
}

#[tokio::test]
async fn large_bodies_and_headers_are_refused_and_the_hub_goes_on() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    for size in [1024 * 1024 + 1, 4 * 1024 * 1024] {
        let call = ana.call(Method::POST, "/api/tokens").header("Content-Type", "application/json");
        let answer = send(call.body(vec![b' '; size])).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (413, "too_large"));
    }
    let fits = format!("{{\"name\": \"n\"{}}}", " ".repeat(1024 * 1024 - 13));
    assert_eq!(fits.len(), 1024 * 1024);
    let call = ana.call(Method::POST, "/api/tokens").header("Content-Type", "application/json");
    assert_eq!(send(call.body(fits)).await.status, StatusCode::CREATED);
    // The HTTP library itself answers this one, before there is a call to speak of.
    let large = ana.call(Method::GET, "/health").header("X-Large", "x".repeat(1024 * 1024)).send().await;
    assert!(large.map_or(true, |answer| answer.status().is_client_error()));
    assert_eq!(ana.get("/api/auth/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn request_ids_are_taken_over_when_they_are_fit_for_a_log() {
    let server = TestServer::start().await;
    let id = |given: &'static str| {
        let call = server.nobody().call(Method::GET, "/nowhere").header("X-Request-Id", given);
        async { send(call).await }
    };
    assert_eq!(id("mine-1").await.body["request_id"], "mine-1");
    for unfit in ["a b", "a\"b", "{\"x\":1}", "<script>", "a=b\\n"] {
        let answer = id(unfit).await;
        let own = answer.body["request_id"].as_str().unwrap();
        assert!(own.len() == 36 && answer.headers["x-request-id"] == own, "{unfit}: {own}");
    }
}

#[tokio::test]
async fn reading_changes_nothing() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let request = ana.ask(&[&ana]).await;
    let id = request["id"].as_str().unwrap();
    let paths = [
        "/",
        "/health",
        "/livez",
        "/readyz",
        "/docs",
        "/openapi.json",
        "/assets/app.js",
        "/api/auth/me",
        "/api/tokens",
        "/api/feedback",
        "/api/channels",
        "/api/auth/logout",
        "/api/auth/session",
        "/api/auth/refresh",
        &format!("/api/feedback/{id}"),
        &format!("/api/feedback/{id}/cancel"),
        &format!("/api/feedback/{id}/responses"),
    ];
    for path in paths {
        let get = ana.call(Method::GET, path).send().await.unwrap();
        let head = ana.call(Method::HEAD, path).send().await.unwrap();
        assert_eq!(head.status(), get.status(), "{path}");
        assert_eq!(head.headers().get("content-type"), get.headers().get("content-type"), "{path}");
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
    }
    assert_eq!(ana.get("/api/auth/me").await.status, StatusCode::OK);
    assert_eq!(ana.get(&format!("/api/feedback/{id}")).await.body, request);
    assert_eq!(ana.get("/api/tokens").await.body["items"], json!([]));
}

#[tokio::test]
async fn every_answer_has_its_headers() {
    let server = TestServer::start().await;
    for path in ["/", "/nowhere", "/health", "/api/auth/me", "/assets/app.js", "/docs"] {
        let answer = server.nobody().call(Method::GET, path).send().await.unwrap();
        for (name, value) in [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")] {
            assert_eq!(answer.headers()[name], value, "{path}");
        }
        assert!(answer.headers().contains_key("x-request-id"), "{path}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
    }
}
