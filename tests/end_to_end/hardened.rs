//! What stands between the hub and hostile pages, heads and bodies: headers, origins, limits, injection, content types.

use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    auth::{send, text},
    program::BOUND,
    server::{PASSWORD, TestServer, read},
    socket::connect,
};

#[tokio::test]
async fn answers_forbid_browsers_what_nobody_needs() {
    let server = TestServer::start().await;
    for path in ["/", "/docs", "/redoc", "/nowhere", "/health", "/api/auth/me", "/assets/app.js"] {
        let answer = server.nobody().call(Method::GET, path).send().await.unwrap();
        for (name, value) in [
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
        ] {
            assert_eq!(answer.headers()[name], value, "{path}");
        }
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        let scripts = policy.split("; ").find(|part| part.starts_with("script-src"));
        assert!(scripts.is_none_or(|scripts| scripts == "script-src 'self'"), "{path}: {policy}");
        assert!(!answer.headers().contains_key("strict-transport-security"), "{path}: the hub is opened by http");
    }
    let server = TestServer::with(|config| config.public_url = "https://hub.example/".parse().unwrap()).await;
    for path in ["/", "/nowhere", "/api/auth/me"] {
        let answer = server.nobody().get(path).await;
        assert_eq!(answer.headers["strict-transport-security"], "max-age=31536000", "{path}");
    }
}

/// The origins that are nearly one that may call.
const ALMOST: [&str; 10] = [
    "null",
    "https://DESK.example",
    "http://desk.example",
    "https://desk.example:444",
    "https://desk.example.",
    "https://desk.example.evil.example",
    "https://evil-desk.example",
    "https://a.desk.example",
    "https://desk.example@evil.example",
    "https://desk.example/",
];

fn shares(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("access-control-"))
}

#[tokio::test]
async fn no_page_of_another_origin_reads_anything_unless_it_is_named() {
    for named in [vec![], vec!["https://desk.example".to_owned()]] {
        let server = TestServer::with(|config| config.cors_origins = named.clone()).await;
        let ana = server.register("ana").await;
        let origins = ALMOST.into_iter().chain(["https://desk.example"].into_iter().filter(|_| named.is_empty()));
        for origin in origins {
            for (method, path) in
                [(Method::GET, "/health"), (Method::GET, "/api/auth/me"), (Method::GET, "/openapi.json")]
            {
                let answer = send(ana.call(method, path).header("Origin", origin)).await;
                assert!(answer.status == StatusCode::OK && !shares(&answer.headers), "{origin} {path}: {answer:?}");
                assert_eq!(answer.headers["cross-origin-resource-policy"], "same-origin");
            }
            let preflight = ana.call(Method::OPTIONS, "/api/tokens").header("Origin", origin);
            let preflight = preflight.header("Access-Control-Request-Method", "POST");
            let answer = send(preflight.header("Access-Control-Request-Headers", "authorization")).await;
            assert!(
                answer.status == StatusCode::METHOD_NOT_ALLOWED && !shares(&answer.headers),
                "{origin}: {answer:?}"
            );
            let without_token =
                send(server.nobody().call(Method::POST, "/api/auth/refresh").header("Origin", origin)).await;
            assert!(without_token.problem() == "origin" && !shares(&without_token.headers), "{origin}");
        }
    }
    let server = TestServer::with(|config| config.cors_origins = vec!["https://desk.example".into()]).await;
    let read = send(server.nobody().call(Method::GET, "/api/auth/me").header("Origin", "https://desk.example")).await;
    assert_eq!(read.status, StatusCode::UNAUTHORIZED, "and an error can be read, too");
    assert_eq!(read.headers["access-control-allow-origin"], "https://desk.example");
    assert_eq!(read.headers["access-control-allow-credentials"], "true");
    assert!(!read.headers.contains_key("cross-origin-resource-policy"));
}

/// A browser sends its cookies with any page's handshake.
#[tokio::test]
async fn cookies_open_a_socket_only_from_a_known_origin() {
    let server = TestServer::with(|config| config.cors_origins = vec!["https://desk.example".into()]).await;
    server.register("ana").await;
    let form = [("username", "ana"), ("password", PASSWORD)];
    let signed = send(server.nobody().call(Method::POST, "/api/auth/session").form(&form)).await;
    let cookie = signed.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let refused = async |origin: &str| {
        let headers = [("cookie", cookie.clone()), ("origin", origin.to_owned())];
        connect(&server.socket_url(), &headers).await.err().map(|(status, _)| status)
    };
    for origin in ALMOST {
        assert_eq!(refused(origin).await, Some(403), "{origin}");
    }
    assert_eq!(
        connect(&server.socket_url(), &[("cookie", cookie.clone())]).await.err().map(|(status, _)| status),
        Some(403)
    );
    assert_eq!(refused("https://desk.example").await, None);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_a_problem_and_changes_nothing() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let make = || ana.call(Method::POST, "/api/tokens").json(&json!({"name": "n"}));
    let one = send(make().header("X-Trace", "x".repeat(33 * 1024))).await;
    let many = (0..60).fold(make(), |call, number| call.header(format!("X-Trace-{number}"), "x".repeat(600)));
    for answer in [one, send(many).await] {
        assert_eq!((answer.status.as_u16(), answer.problem()), (431, "headers_too_large"), "{answer:?}");
    }
    for target in [format!("/api/tokens?cursor={}", "x".repeat(9000)), format!("/{}", "x/".repeat(5000))] {
        let answer = send(ana.call(Method::POST, &target).json(&json!({"name": "n"}))).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (414, "uri_too_long"));
    }
    assert_eq!(ana.get("/api/tokens").await.body["items"], json!([]));
    assert_eq!(send(make().header("X-Trace", "x".repeat(30 * 1024))).await.status, StatusCode::CREATED);
}

/// Sends bytes that no HTTP library would, and returns what comes back until the hub hangs up.
async fn said_to(server: &TestServer, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.running().app().config.bind).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A hub that has refused hangs up, perhaps before it has read everything.
    let _ = timeout(BOUND, stream.read_to_end(&mut answer)).await.expect("it hangs up");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn heads_that_are_no_http_are_refused_and_the_hub_goes_on() {
    let server = TestServer::start().await;
    for head in [
        &b"GET /health HTTP/1.1\r\nHost: a\r\nX-Request-Id: a\0b\r\nConnection: close\r\n\r\n"[..],
        b"GET /health HTTP/1.1\r\nHost: a\r\nX-Request-Id : a\r\nConnection: close\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nX-Request-Id: a\r\n folded\r\nConnection: close\r\n\r\n",
        b"GET /health\rX: y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET /he alth HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\nConnection: close\r\n\r\nabcde",
        b"POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\nConnection: close\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ] {
        let answer = said_to(&server, head).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{}: {answer}", String::from_utf8_lossy(head));
    }
    let many = (0..200).map(|number| format!("X-{number}: x\r\n")).collect::<Vec<_>>().concat();
    let large = format!("X-Large: {}\r\n", "x".repeat(500 * 1024));
    for headers in [many, large] {
        let answer = said_to(&server, format!("GET /health HTTP/1.1\r\nHost: a\r\n{headers}\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    let target = "x".repeat(70_000);
    let answer = said_to(&server, format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 414 "), "{answer}");
    assert_eq!(server.nobody().get("/health").await.status, StatusCode::OK);
}

/// Texts with line breaks, a NUL, and what would follow them in a head.
const BREAKS: [&str; 4] = ["a\r\nX-Forged: 1", "a\nX-Forged: 1", "a\0b", "a\r\n\r\n<script>alert(1)</script>"];

#[tokio::test]
async fn what_callers_say_is_in_no_header() {
    let server = TestServer::with(|config| {
        config.path_prefix = "/hub".into();
        config.public_url = "http://127.0.0.1:0/hub".parse().unwrap();
    })
    .await;
    let ana = server.register("ana").await;
    let plain = |headers: &HeaderMap, what: &str| {
        assert!(!headers.contains_key("x-forged"), "{what}: {headers:?}");
        for (name, value) in headers {
            let text = String::from_utf8_lossy(value.as_bytes());
            assert!(!text.contains("Forged") && !text.contains("script>"), "{what}: {name}: {text}");
        }
    };
    for text in BREAKS {
        let account = json!({"email": "b@example.com", "username": text, "password": PASSWORD});
        let registered = server.nobody().post("/api/auth/register", account).await;
        assert_eq!(registered.fields(), ["username"], "{text:?}");
        let token = ana.post("/api/tokens", json!({ "name": text })).await;
        assert_eq!(token.fields(), ["name"], "{text:?}");
        let to = ana.post("/api/feedback", json!({"kind": "approval", "prompt": "?", "to": [text]})).await;
        assert!(to.status.is_client_error(), "{text:?}: {to:?}");
        let channel = json!({"kind": "approval", "prompt": "?", "to": ["ana"], "channels": [text]});
        let channel = ana.post("/api/feedback", channel).await;
        assert!(channel.status.is_client_error(), "{text:?}: {channel:?}");
        // A prompt may have lines. It is data, and stays that.
        let asked = ana.post("/api/feedback", json!({"kind": "approval", "prompt": text, "to": ["ana"]})).await;
        let encoded = text.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
        let mut answers = vec![registered, token, to, channel, asked];
        for path in ["/api/feedback/", "/api/channels/", "/api/tokens/", "/assets/", "/docs/", "/"] {
            for method in [Method::GET, Method::DELETE, Method::POST] {
                answers.push(send(ana.call(method, &format!("{path}{encoded}"))).await);
            }
        }
        for query in ["cursor", "status", "as", "after", "limit"] {
            answers.push(ana.get(&format!("/api/feedback?{query}={encoded}")).await);
        }
        let outside = format!("http://{}", server.running().app().config.bind);
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        for target in
            [format!("/hub?x={encoded}"), format!("/{encoded}"), format!("//{encoded}"), format!("/hub{encoded}")]
        {
            answers.push(read(client.get(format!("{outside}{target}")).send().await.unwrap()).await);
        }
        for answer in &answers {
            plain(&answer.headers, text);
            assert!(!answer.status.is_server_error(), "{answer:?}");
            let location = answer.headers.get("location").map(|location| location.to_str().unwrap());
            let ours = |location: &str| location.starts_with("/hub/") || location.starts_with("/hub?");
            assert!(location.is_none_or(ours), "{location:?}");
            assert!(!answer.headers.contains_key("content-disposition"));
        }
    }
}

/// With a body of another type, or of none, nothing is read; the answer says what is.
#[tokio::test]
async fn every_operation_with_a_body_names_the_types_that_it_reads() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let document = ana.get("/openapi.json").await.body;
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(content) = operation["requestBody"]["content"].as_object() else { continue };
            let types: Vec<_> = content.keys().cloned().collect();
            if types == ["*/*"] {
                continue;
            }
            operations += 1;
            let path: String = path
                .split('/')
                .map(|part| if part.starts_with('{') { "01a1fd70-f1c0-7cf2-bc68-87782b491044" } else { part })
                .collect::<Vec<_>>()
                .join("/");
            let method: Method = method.to_uppercase().parse().unwrap();
            for wrong in
                ["text/plain", "text/html; charset=utf-8", "application/xml", "multipart/form-data; boundary=x", "a"]
            {
                let call = ana.call(method.clone(), &path).header("Content-Type", wrong).body("{\"name\": \"n\"}");
                let answer = send(call).await;
                let told = (answer.status.as_u16(), answer.problem());
                assert_eq!(told, (415, "unsupported_media_type"), "{method} {path} {wrong}: {answer:?}");
                let allowed: Vec<&str> =
                    answer.body["errors"][0]["allowed"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
                assert_eq!(allowed, types, "{method} {path}");
                assert_eq!(text(&answer.body["errors"][0], "field"), "Content-Type");
            }
        }
    }
    assert!(operations > 6, "{operations} operations have bodies");
    assert_eq!(ana.get("/api/tokens").await.body["items"], json!([]));
}
