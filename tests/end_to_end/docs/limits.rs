//! What the document allows the hub takes, and what it refuses the hub refuses, at the limits of what is sent.

use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::Described;
use crate::{
    plug_ins::fake::SECRET,
    server::{Caller, TestServer, read},
};

/// A body with one field as a limit allows it, and the same with one that is beyond.
struct Limit {
    field: &'static str,
    within: Vec<Value>,
    beyond: Vec<Value>,
}

fn limit(
    field: &'static str,
    within: impl IntoIterator<Item = Value>,
    beyond: impl IntoIterator<Item = Value>,
) -> Limit {
    Limit { field, within: within.into_iter().collect(), beyond: beyond.into_iter().collect() }
}

/// Sends every body, and holds the hub against the document.
async fn hold(caller: &Caller, described: &Described, path: &str, schema: &str, base: &Value, limits: Vec<Limit>) {
    for Limit { field, within, beyond } in limits {
        let values =
            within.into_iter().map(|value| (value, true)).chain(beyond.into_iter().map(|value| (value, false)));
        for (value, allowed) in values {
            let mut body: Map<_, _> = base.as_object().unwrap().clone();
            body.insert(field.into(), value.clone());
            let body = Value::Object(body);
            let shown: String = body.to_string().chars().take(200).collect();
            assert_eq!(described.allows(schema, &body), allowed, "the document on {field} of {shown}");
            let answer = caller.post(path, body).await;
            // 409: what is right may be taken.
            let taken = answer.status == StatusCode::CREATED || answer.status == StatusCode::CONFLICT;
            assert_eq!(taken, allowed, "the hub on {field} of {shown}: {answer:?}");
            assert!(allowed || answer.problem() == "invalid", "{field} of {shown}: {answer:?}");
        }
    }
}

fn text(length: usize) -> Value {
    "x".repeat(length).into()
}

#[tokio::test]
async fn requests_are_limited_as_the_document_says() {
    let server = TestServer::start().await;
    let described = Described::by(&server).await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let ask = async |base: Value, limits| {
        hold(&agent, &described, "/api/feedback", "FeedbackRequestDraft", &base, limits).await;
    };
    let year = 31_536_000;
    let plain = json!({"kind": "approval", "prompt": "?", "to": ["ana"]});
    let limits = vec![
        limit("prompt", [text(4000)], [text(0), text(4001)]),
        limit("context", [text(65_536), Value::Null], [text(65_537)]),
        limit("expires_in", [json!(1), json!(year)], [json!(0), json!(year + 1), json!(-1), json!(1.5)]),
        limit("fallback_after", [json!(1), json!(year)], [json!(0), json!(year + 1)]),
        limit("session_id", [Value::Null], [text(1), text(0)]),
        limit("callback_url", [json!("https://example.org/x")], [text(0), json!("ftp://example.org/x")]),
        limit(
            "channels",
            [json!([]), json!(["websocket"]), json!(vec!["websocket"; 20]), json!([{"channel": "websocket"}])],
            [json!(vec!["websocket"; 21]), json!(["Web Socket"]), json!([""]), json!([{"channel": "1"}]), json!([{}])],
        ),
    ];
    ask(plain, limits).await;
    let choice = json!({"kind": "choice", "prompt": "?", "to": ["ana"]});
    let options = |value: Value, label: Value| json!([{"value": value, "label": label}, {"value": "other"}]);
    let limits = vec![limit(
        "options",
        [options(text(1), Value::Null), options(text(200), text(200)), options(text(1), text(1))],
        [options(text(0), Value::Null), options(text(201), Value::Null), options(text(1), text(0)), json!([])],
    )];
    ask(choice, limits).await;
    let input = json!({"kind": "input", "prompt": "?", "to": ["ana"]});
    let limits = vec![
        limit("max_length", [json!(1), json!(10_000)], [json!(0), json!(10_001)]),
        limit("min_length", [json!(0), json!(10_000)], [json!(10_001)]),
    ];
    ask(input, limits).await;
}

#[tokio::test]
async fn accounts_and_tokens_are_limited_as_the_document_says() {
    let server = TestServer::start().await;
    let described = Described::by(&server).await;
    let ana = server.register("ana").await;
    let century = 3_155_760_000_u64;
    let limits = vec![
        limit("name", [text(1), text(100)], [text(0), text(101)]),
        limit("expires_in", [json!(1), json!(century)], [json!(0), json!(century + 1)]),
        limit("scopes", [json!(["feedback:read"]), Value::Null], [json!([]), json!(["all"])]),
    ];
    hold(&ana, &described, "/api/tokens", "NewServiceToken", &json!({"name": "n"}), limits).await;
    let good = ["a@b", "ana.b+c@example.org", "a..b@c", "ä@example.org"].map(Value::from);
    let bad =
        ["", "a@", "@b", "a@b@c", "a b@c", ".a@b", "a.@b", "a@.b", "a@b.", "a\u{7}@b", "a(b@c", "a\"b@c", "a\\b@c"];
    let limits = vec![
        limit("email", good, bad.map(Value::from)),
        limit("username", ["ab", "A1._-", &"a".repeat(40)].map(Value::from), ["a", "-a", "a b"].map(Value::from)),
        limit(
            "password",
            ["1234567ä", &"x1".repeat(128)].map(Value::from),
            ["1234567", &"x1".repeat(129)].map(Value::from),
        ),
    ];
    let base = json!({"email": "ben@example.org", "username": "ben", "password": "a green lamp 7"});
    hold(&server.nobody(), &described, "/api/auth/register", "Registration", &base, limits).await;
    let scopes = limit(
        "scopes",
        [json!(["feedback:read"]), Value::Null],
        [json!([]), json!(["admin"]), json!(["feedback:read", "admin"])],
    );
    let base = json!({"email": "backend@example.org", "username": "backend"});
    hold(&ana, &described, "/api/users/service", "NewServiceUser", &base, vec![scopes]).await;
}

#[tokio::test]
async fn an_address_is_limited_as_the_document_says() {
    let server = TestServer::with(|config| {
        let desk = json!({"kind": "webhook", "url": "http://192.0.2.1/", "secret": SECRET});
        config.channels.insert("desk".into(), desk);
    })
    .await;
    let described = Described::by(&server).await;
    let ana = server.register("ana").await;
    let path = format!("/api/users/{}/addresses", ana.get("/api/auth/me").await.body["id"].as_str().unwrap());
    let limits = vec![
        limit("address", ["a", &"a".repeat(512), "team:user"].map(Value::from), ["", "a\nb"].map(Value::from)),
        limit("channel", [json!("desk")], ["", "Desk", "1desk", &"a".repeat(41)].map(Value::from)),
    ];
    hold(&ana, &described, &path, "AddressDraft", &json!({"channel": "desk", "address": "a"}), limits).await;
}

#[tokio::test]
async fn a_key_is_limited_as_the_document_says() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let document = ana.get("/openapi.json").await.body;
    let parameters = document["paths"]["/api/tokens"]["post"]["parameters"].as_array().unwrap();
    let key = parameters.iter().find(|parameter| parameter["name"] == "Idempotency-Key").unwrap();
    let schema = jsonschema::draft202012::new(&key["schema"]).unwrap();
    for (key, allowed) in
        [("k", true), (&*"~".repeat(255), true), (&*"k".repeat(256), false), ("a b", false), ("", false)]
    {
        assert_eq!(schema.is_valid(&json!(key)), allowed, "{key}");
        let call = ana.call(Method::POST, "/api/tokens").header("Idempotency-Key", key).json(&json!({"name": "n"}));
        assert_eq!(read(call.send().await.unwrap()).await.status == StatusCode::CREATED, allowed, "{key}");
    }
}
