//! What callers do wrong is answered with a problem that helps, and changes nothing. That each problem is as its example
//! shows it is held by [`crate::contract`].

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;

use crate::server::{Answered, TestServer, read};

async fn send(call: RequestBuilder) -> Answered {
    read(call.send().await.unwrap()).await
}

#[tokio::test]
async fn of_calls_at_once_with_one_key_one_makes_something() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    for round in 0..5 {
        let key = format!("k-{round}");
        let call = || ana.call(Method::POST, "/api/tokens").header("Idempotency-Key", &key).json(&json!({"name": "n"}));
        let answers = join_all((0..8).map(|_| send(call()))).await;
        let made: BTreeSet<_> = answers.iter().filter_map(|answer| answer.body["token"].as_str()).collect();
        assert_eq!(made.len(), 1, "one token for one key");
        let new = answers.iter().filter(|answer| {
            answer.status == StatusCode::CREATED && !answer.headers.contains_key("idempotent-replayed")
        });
        assert_eq!(new.count(), 1);
    }
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
