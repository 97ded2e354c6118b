//! The API's description of itself, its page, and what surrounds it.

mod limits;

use std::collections::BTreeSet;

use jsonschema::Validator;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{TestServer, read};

/// The operations that are for everybody.
const PUBLIC: [&str; 14] = [
    "answer_by_link",
    "call_channel",
    "call_channel_delete",
    "call_channel_get",
    "call_channel_put",
    "get_health",
    "get_livez",
    "get_readyz",
    "get_root",
    "login",
    "open_session",
    "refresh",
    "register",
    "show_answer_page",
];

fn operations(document: &Value) -> impl Iterator<Item = (String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap();
        methods.iter().map(move |(method, operation)| (format!("{method} {path}"), operation))
    })
}

fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_operation_describes_itself_whole() {
    let server = TestServer::start().await;
    let document = server.nobody().get("/openapi.json").await.body;
    assert_eq!(document["openapi"], "3.0.0");
    assert_eq!(document["servers"], json!([{"url": "/"}]));
    let mut public = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for (name, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{name} has no id"));
        assert!(ids.insert(id), "{id} twice");
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{name} has no summary");
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{name} has no tag");
        let security = operation["security"].as_array().unwrap_or_else(|| panic!("{name} says no security"));
        if security.is_empty() {
            public.insert(id);
        } else {
            assert_eq!(*security, [json!({"bearer": []}), json!({"cookie": []})], "{name}");
            assert!(operation["responses"].get("401").is_some(), "{name}");
        }
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name} never succeeds");
        for (status, response) in responses {
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{name} {status}");
            assert!(response["headers"].get("X-Request-Id").is_some(), "{name} {status}");
            // The adapters' answers, whatever they are; and pages, since a browser is the reader of the answer page.
            let adapters = id.starts_with("call_channel") && status == "default";
            let page = response["content"].get("text/html; charset=utf-8").is_some();
            if !status.starts_with('2') && !adapters && !page {
                let schema = &response["content"]["application/problem+json"]["schema"];
                assert_eq!(*schema, json!({"$ref": "#/components/schemas/Problem"}), "{name} {status}");
            }
        }
        if let Some(body) = operation.get("requestBody") {
            for status in ["400", "413", "422"] {
                assert!(responses.contains_key(status), "{name} {status}");
            }
            let takes_any_type = body["content"].get("*/*").is_some();
            assert_eq!(responses.contains_key("415"), !takes_any_type, "{name}");
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let described = parameter["description"].as_str().is_some_and(|text| !text.is_empty());
            assert!(described || parameter["in"] == "path", "{name}: {parameter}");
        }
    }
    assert_eq!(public, BTreeSet::from(PUBLIC));
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    assert_eq!(schemes.keys().collect::<Vec<_>>(), ["bearer", "cookie"]);
}

#[tokio::test]
async fn every_reference_of_the_document_resolves() {
    let server = TestServer::start().await;
    let document = server.nobody().get("/openapi.json").await.body;
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.contains("#/components/schemas/FeedbackRequest"), "{found:?}");
    for reference in &found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in schemas.keys() {
        assert!(found.contains(format!("#/components/schemas/{name}").as_str()), "{name} is not used");
        assert!(!name.contains(char::is_whitespace), "{name}");
    }
    for field in ["kind", "prompt", "to"] {
        assert!(schemas["FeedbackRequestDraft"]["required"].as_array().unwrap().contains(&json!(field)), "{field}");
    }
    assert_eq!(schemas["FeedbackRequestDraft"]["additionalProperties"], json!(false));
}

/// OpenAPI 3.0 writes `nullable` where JSON Schema has a type `null`.
fn without_nullable(schema: Value) -> Value {
    match schema {
        Value::Object(mut fields) => {
            let nullable = fields.remove("nullable") == Some(Value::Bool(true));
            let fields = fields.into_iter().map(|(name, value)| (name, without_nullable(value))).collect();
            if nullable { json!({"anyOf": [Value::Object(fields), {"type": "null"}]}) } else { Value::Object(fields) }
        }
        Value::Array(items) => items.into_iter().map(without_nullable).collect(),
        other => other,
    }
}

/// Checks bodies against the schemas of the document.
struct Described(Value);

impl Described {
    async fn by(server: &TestServer) -> Self {
        let mut document = server.nobody().get("/openapi.json").await.body;
        Self(without_nullable(document["components"].take()))
    }

    fn validator(&self, schema: &str) -> Validator {
        let root = json!({"$ref": format!("#/components/schemas/{schema}"), "components": self.0});
        jsonschema::draft202012::new(&root).unwrap()
    }

    fn allows(&self, schema: &str, body: &Value) -> bool {
        self.validator(schema).is_valid(body)
    }

    fn check(&self, schema: &str, body: &Value) {
        let validator = self.validator(schema);
        let faults: Vec<_> =
            validator.iter_errors(body).map(|fault| format!("{}: {fault}", fault.instance_path)).collect();
        assert!(faults.is_empty(), "{schema}: {faults:?} in {body}");
        // What the document does not speak of is not refused in answers, but it is no less undocumented.
        let unknown = self.unknown(schema, body);
        assert!(unknown.is_empty(), "{schema} does not describe {unknown:?} of {body}");
    }

    fn unknown<'a>(&self, schema: &str, body: &'a Value) -> Vec<&'a str> {
        let schema = &self.0["schemas"][schema];
        let parts = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|word| schema[word].as_array()).flatten();
        let known = |key: &str| {
            let mut all = parts.clone().chain([schema]);
            all.any(|part| part["properties"].get(key).is_some())
        };
        body.as_object().unwrap().keys().map(String::as_str).filter(|key| !known(key)).collect()
    }
}

#[tokio::test]
async fn answers_are_as_the_document_says() {
    let server = TestServer::start().await;
    let described = Described::by(&server).await;
    let ana = server.register("ana").await;
    let schema = json!({"type": "object", "properties": {"tag": {"type": "string"}}});
    let drafts = [
        json!({"kind": "approval", "prompt": "?", "to": ["ana"], "on_expiry": "rejected"}),
        json!({"kind": "choice", "prompt": "?", "to": ["ana"], "options": [{"value": "a"}, {"value": "b", "label": "B"}]}),
        json!({"kind": "input", "prompt": "?", "to": ["ana"], "max_length": 9, "channels": ["websocket"]}),
        json!({"kind": "form", "prompt": "?", "to": ["ana"], "schema": schema, "metadata": {"a": 1}}),
    ];
    for draft in drafts {
        described.check("FeedbackRequest", &ana.put(draft).await);
    }
    let request = ana.ask(&[&ana]).await;
    described.check("AcceptedResponse", &ana.answer(&request, json!("approved")).await.body);
    described.check("Problem", &ana.answer(&request, json!("approved")).await.body);
    described.check("CreatedServiceToken", &ana.post("/api/tokens", json!({"name": "n"})).await.body);
    let id = request["id"].as_str().unwrap();
    let reads = [
        ("/api/feedback".to_owned(), "FeedbackRequestPage"),
        (format!("/api/feedback/{id}"), "FeedbackRequest"),
        (format!("/api/feedback/{id}/responses"), "ResponsePage"),
        (format!("/api/feedback/{id}/deliveries"), "DeliveryPage"),
        ("/api/channels".into(), "ChannelPage"),
        ("/api/auth/me".into(), "User"),
        ("/api/tokens".into(), "ServiceTokenPage"),
        ("/health".into(), "Health"),
        ("/readyz".into(), "Alive"),
        ("/nowhere".into(), "Problem"),
    ];
    for (path, schema) in reads {
        described.check(schema, &ana.get(&path).await.body);
    }
    let root = ana.call(Method::GET, "/").header("Accept", "application/json").send().await.unwrap();
    described.check("Root", &read(root).await.body);
}

#[tokio::test]
async fn the_readers_of_the_document_need_no_network() {
    let server = TestServer::start().await;
    for path in ["/docs", "/redoc"] {
        let answer = server.nobody().call(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'; script-src 'self';") && !policy.contains("http"), "{policy}");
        let html = answer.text().await.unwrap();
        for outside in ["fonts.googleapis", "<link href=\"http", "src=\"http", "@import", "<script>", " onload="] {
            assert!(!html.contains(outside), "{path} has {outside}");
        }
        let mut scripts = Vec::new();
        for src in html.split("src=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            let script = server.nobody().call(Method::GET, &format!("/{src}"));
            let small = server.nobody().call(Method::GET, &format!("/{src}")).header("Accept-Encoding", "gzip");
            let (script, small) = (script.send().await.unwrap(), small.send().await.unwrap());
            assert_eq!(script.headers()["content-type"], "text/javascript; charset=utf-8");
            assert_eq!(small.headers()["content-encoding"], "gzip");
            scripts.push(script.text().await.unwrap());
            assert!(small.bytes().await.unwrap().len() < scripts.last().unwrap().len());
        }
        let [library, start] = &scripts[..] else { panic!("{path} has {} scripts", scripts.len()) };
        assert!(library.len() > 100_000 && start.contains("\"create_feedback\""), "{path} has the document");
        let none = server.nobody().get(&format!("{path}/2.js")).await;
        assert_eq!(none.problem(), "not_found");
    }
}

#[tokio::test]
async fn the_page_is_served_with_its_files_and_a_strict_policy() {
    let server = TestServer::start().await;
    let nobody = server.nobody();
    let page = nobody.call(Method::GET, "/").header("Accept", "text/html,*/*;q=0.8").send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(
        page.headers()["content-security-policy"],
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         form-action 'self'; base-uri 'self'; frame-ancestors 'none'"
    );
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    assert_eq!(page.headers()["referrer-policy"], "no-referrer");
    let vary: Vec<_> = page.headers().get_all("vary").iter().map(|value| value.to_str().unwrap().to_owned()).collect();
    assert!(vary.contains(&"Accept".to_owned()), "{vary:?}");
    let html = page.text().await.unwrap();
    let files = html.split('"').filter(|text| text.starts_with("assets/"));
    for (path, expected) in files.map(|path| (path, path.rsplit('.').next().unwrap())) {
        let file = nobody.call(Method::GET, &format!("/{path}")).send().await.unwrap();
        assert_eq!(file.status(), StatusCode::OK, "{path}");
        let content_type = file.headers()["content-type"].to_str().unwrap().to_owned();
        let right = match expected {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(content_type, right, "{path}");
        assert_eq!(file.headers()["cache-control"], "no-cache");
        let etag = file.headers()["etag"].clone();
        let again = nobody.call(Method::GET, &format!("/{path}")).header("If-None-Match", etag).send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
    }
    for wrong in
        ["/assets/../Cargo.toml", "/assets/%2e%2e/Cargo.toml", "/assets/package.json", "/assets/index.html", "/assets/"]
    {
        assert_eq!(nobody.get(wrong).await.status, StatusCode::NOT_FOUND, "{wrong}");
    }
}

#[tokio::test]
async fn everything_is_below_the_prefix() {
    let server = TestServer::with(|config| {
        config.path_prefix = "/hub".into();
        config.public_url = "http://127.0.0.1:0/hub".parse().unwrap();
    })
    .await;
    let ana = server.register("ana").await;
    assert_eq!(ana.get("/api/auth/me").await.body["username"], "ana");
    let document = ana.get("/openapi.json").await.body;
    assert_eq!(document["servers"], json!([{"url": "/hub"}]));
    let root = ana.call(Method::GET, "/").header("Accept", "application/json").send().await.unwrap();
    assert_eq!(read(root).await.body["api"], "/hub/api");
    let address = format!("http://{}", server.running().app().config.bind);
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let bare = client.get(format!("{address}/hub?x=1")).send().await.unwrap();
    assert_eq!((bare.status().as_u16(), bare.headers()["location"].to_str().unwrap()), (308, "/hub/?x=1"));
    for outside in ["/", "/health", "/api/auth/me", "/hubs", "/hub2/health"] {
        let answer = read(client.get(format!("{address}{outside}")).send().await.unwrap()).await;
        assert_eq!(answer.problem(), "not_found", "{outside}");
    }
    let wrong_method = ana.call(Method::PUT, "/api/tokens").send().await.unwrap();
    assert_eq!(wrong_method.headers()["allow"], "GET, HEAD, POST");
}

#[tokio::test]
async fn a_hub_whose_database_does_not_answer_lives_and_is_not_ready() {
    let server = TestServer::start().await;
    server.running().storage().close().await;
    let ready = server.nobody().get("/readyz").await;
    assert_eq!((ready.status, ready.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    let health = server.nobody().get("/health").await;
    assert_eq!((health.status, &health.body["database"]), (StatusCode::OK, &json!("down")));
    assert_eq!(server.nobody().get("/livez").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_hub_tells_how_it_fares() {
    let server = TestServer::start().await;
    let health = server.nobody().get("/health").await.body;
    assert_eq!((&health["status"], &health["database"]), (&json!("up"), &json!("up")));
    assert_eq!(health["channels"], json!({"up": 1, "degraded": 0, "down": 0, "needs_auth": 0}));
    for path in ["/livez", "/readyz"] {
        assert_eq!(server.nobody().get(path).await.body, json!({"status": "up"}), "{path}");
    }
    assert_eq!(server.nobody().get("/metrics").await.problem(), "not_found", "none are collected in this test");
}
