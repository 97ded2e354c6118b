//! Calls of providers and plug-ins: `/api/channels/{name}/{tail}`. What a plug-in says there is in [`crate::plug_ins`].

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{Answered, Caller, TestServer, read};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

async fn hub() -> TestServer {
    TestServer::with(|config| {
        let desk = json!({"kind": "webhook", "url": "http://192.0.2.1/", "secret": SECRET});
        config.channels.insert("desk".into(), desk);
    })
    .await
}

async fn call(caller: &Caller, method: Method, path: &str) -> Answered {
    read(caller.call(method, path).send().await.unwrap()).await
}

#[tokio::test]
async fn a_call_reaches_its_channel_by_any_content_type_and_without_a_token() {
    let server = hub().await;
    let nobody = server.nobody();
    // The adapter's own word, which is that the signature lacks.
    for content_type in ["", "application/json", "text/plain", "application/x-www-form-urlencoded", "no type at all"] {
        let call = nobody.call(Method::POST, "/api/channels/desk/events").header("Content-Type", content_type);
        let answer = read(call.body("{}").send().await.unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (401, "unauthenticated"), "{content_type}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(answer.headers["x-request-id"], answer.body["request_id"].as_str().unwrap(), "as every problem");
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
    // A token and a cookie of the hub's are no signature.
    let ana = server.register("ana").await;
    assert_eq!(call(&ana, Method::POST, "/api/channels/desk/events").await.problem(), "unauthenticated");
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let answer = call(&nobody, method.clone(), "/api/channels/desk/events?challenge=1").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "the adapter takes POST alone, not {method}");
        assert_eq!(answer.headers["allow"], "POST", "it is the adapter that says so");
    }
    let head = nobody.call(Method::HEAD, "/api/channels/desk/events").send().await.unwrap();
    assert_eq!(head.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(head.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_no_channel_takes_is_not_found() {
    let server = hub().await;
    let nobody = server.nobody();
    for (path, detail) in [
        ("/api/channels/nobody/events", "There is no channel of this name."),
        ("/api/channels/web/events", "There is no channel of this name."),
        ("/api/channels/N%20o/events", "There is no channel of this name."),
        ("/api/channels/websocket/events", "This channel takes no calls."),
        ("/api/channels/desk", "There is nothing at this path."),
        ("/api/channels/desk/", "There is nothing at this path."),
        ("/api/channels/desk/events/more", "There is nothing at this path."),
    ] {
        for method in [Method::GET, Method::POST] {
            let answer = call(&nobody, method.clone(), path).await;
            assert_eq!((answer.status.as_u16(), answer.problem()), (404, "not_found"), "{method} {path}");
            assert_eq!(answer.body["detail"], detail, "{method} {path}");
        }
    }
    let other = call(&nobody, Method::PATCH, "/api/channels/desk/events").await;
    assert_eq!(
        (other.problem(), other.headers["allow"].to_str().unwrap()),
        ("method_not_allowed", "DELETE, GET, HEAD, POST, PUT")
    );
}

#[tokio::test]
async fn the_hubs_own_paths_never_reach_an_adapter() {
    let server = hub().await;
    for tail in ["status", "auth", "callback", "disconnect", "test", "%74est"] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            let path = format!("/api/channels/desk/{tail}");
            let answer = call(&server.nobody(), method.clone(), &path).await;
            let told = ["not_found", "method_not_allowed"].contains(&answer.problem());
            assert!(told, "{method} {path}: {answer:?}");
            // That is what the adapter says to every path but its own.
            assert!(!answer.body["detail"].as_str().unwrap().contains("Plug-ins call"), "{method} {path}: {answer:?}");
        }
    }
    assert_eq!(server.nobody().get("/api/channels").await.problem(), "unauthenticated", "the list is there as before");
}

#[tokio::test]
async fn a_call_has_at_most_1_mib() {
    let server = hub().await;
    for (size, status) in [(1024 * 1024, 401), (1024 * 1024 + 1, 413)] {
        let call = server.nobody().call(Method::POST, "/api/channels/desk/events").body(vec![b'a'; size]);
        let answer = read(call.send().await.unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    }
}

#[tokio::test]
async fn the_origin_of_a_call_does_not_matter_but_on_the_hubs_own_paths() {
    let server = hub().await;
    let from_elsewhere = async |path: &str| {
        let call = server.nobody().call(Method::POST, path).header("Origin", "https://provider.example");
        read(call.body("{}").send().await.unwrap()).await
    };
    assert_eq!(from_elsewhere("/api/channels/desk/events").await.problem(), "unauthenticated");
    for path in ["/api/channels/desk/disconnect", "/api/channels/desk/%64isconnect", "/api/tokens"] {
        assert_eq!(from_elsewhere(path).await.problem(), "origin", "{path}");
    }
}

#[tokio::test]
async fn the_document_describes_the_calls_with_a_binary_body() {
    let server = hub().await;
    let document = server.nobody().get("/openapi.json").await.body;
    let path = &document["paths"]["/api/channels/{name}/{tail}"];
    let methods: Vec<_> = path.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(methods, ["delete", "get", "post", "put"]);
    let binary = json!({"type": "string", "format": "binary"});
    for (method, operation) in path.as_object().unwrap() {
        assert_eq!(operation["security"], json!([]), "{method}");
        let body = &operation["requestBody"]["content"]["*/*"]["schema"];
        let expected = if ["post", "put"].contains(&method.as_str()) { &binary } else { &Value::Null };
        assert_eq!(body, expected, "{method}");
        let statuses: Vec<_> = operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(statuses, ["200", "400", "401", "404", "413", "422", "429", "500", "503", "default"], "{method}");
        // What an adapter answers may be JSON as well.
        for status in ["200", "default"] {
            assert_eq!(operation["responses"][status]["content"]["*/*"]["schema"], json!({}), "{method}");
        }
    }
}
