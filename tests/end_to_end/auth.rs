//! Accounts: registering, signing in by token and by cookie, renewing, signing out; whose pages may call.

use std::{sync::Arc, time::Duration};

use hearback::config::Registration;
use hearback_core::{Timestamp, clock::ManualClock};
use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

use crate::server::{Answered, Caller, PASSWORD, TestServer, read};

pub(crate) fn text<'a>(body: &'a Value, field: &str) -> &'a str {
    body[field].as_str().unwrap_or_default()
}

pub(crate) async fn send(call: RequestBuilder) -> Answered {
    read(call.send().await.unwrap()).await
}

pub(crate) async fn log_in(server: &TestServer, login: &str, password: &str) -> Answered {
    send(server.nobody().call(Method::POST, "/api/auth/login").form(&[("username", login), ("password", password)]))
        .await
}

pub(crate) async fn refresh(server: &TestServer, token: &str) -> Answered {
    server.nobody().post("/api/auth/refresh", json!({ "refresh_token": token })).await
}

/// A sign-in on the page: its cookies as a browser would send them.
struct Browser {
    nobody: Caller,
    origin: String,
    access: String,
    refresh: String,
    csrf: String,
    set: Vec<String>,
}

impl Browser {
    async fn sign_in(server: &TestServer, login: &str) -> Self {
        let nobody = server.nobody();
        let form = [("username", login), ("password", PASSWORD)];
        let answer = send(nobody.call(Method::POST, "/api/auth/session").form(&form)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert!(answer.body.get("access_token").is_none() && text(&answer.body, "username") == "ana", "{answer:?}");
        let url: url::Url = server.url().parse().unwrap();
        Self::from(nobody, url.origin().ascii_serialization(), &answer.headers)
    }

    fn from(nobody: Caller, origin: String, headers: &HeaderMap) -> Self {
        let set: Vec<String> =
            headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap().to_owned()).collect();
        let value = |name: &str| {
            let cookie = set.iter().find_map(|cookie| cookie.strip_prefix(&format!("{name}="))).unwrap_or_default();
            cookie.split(';').next().unwrap_or_default().to_owned()
        };
        let (access, refresh, csrf) = (value("hb_access"), value("hb_refresh"), value("hb_csrf"));
        Self { nobody, origin, access, refresh, csrf, set }
    }

    /// A call with the cookies and nothing else.
    fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        let cookies = format!("hb_access={}; hb_refresh={}; hb_csrf={}", self.access, self.refresh, self.csrf);
        self.nobody.call(method, path).header("Cookie", cookies)
    }

    /// A call as the page makes it.
    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).header("Origin", &self.origin).header("X-CSRF-Token", &self.csrf)
    }
}

#[tokio::test]
async fn the_first_account_is_the_administrators_and_signs_in_by_name_or_email() {
    let server = TestServer::start().await;
    let root = send(server.nobody().call(Method::GET, "/").header("Accept", "application/json")).await;
    assert_eq!((&root.body["first_account"], &root.body["registration"]), (&json!(true), &json!("open")));
    let account = json!({"email": "Ana@Example.com", "password": PASSWORD});
    let ana = server.nobody().post("/api/auth/register", account).await;
    assert_eq!(ana.status, StatusCode::CREATED);
    assert_eq!((&ana.body["token_type"], &ana.body["expires_in"]), (&json!("bearer"), &json!(1500)));
    assert_eq!(ana.headers["cache-control"], "no-store");
    let ben = server.register("ben").await;
    let me = server.caller(text(&ana.body, "access_token")).get("/api/auth/me").await;
    assert_eq!(me.body["role"], "administrator");
    assert_eq!((text(&me.body, "username"), text(&me.body, "email")), ("ana", "ana@example.com"));
    assert_eq!(ben.get("/api/auth/me").await.body["role"], "member");
    for login in ["ana", "ANA", "ana@example.com", " Ana@Example.COM "] {
        assert_eq!(log_in(&server, login, PASSWORD).await.status, StatusCode::OK, "{login}");
    }
    for (login, password) in [("ana", "wrong horse 1"), ("nobody", PASSWORD), ("", ""), ("ana", "")] {
        let refused = log_in(&server, login, password).await;
        assert_eq!(refused.problem(), "unauthenticated", "{login}");
        assert_eq!(refused.body["detail"], "The username or the password is wrong.");
        assert_eq!(refused.headers["www-authenticate"], "Bearer");
    }
}

#[tokio::test]
async fn registering_names_every_wrong_field_and_what_is_taken() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let register = |body: Value| {
        let nobody = server.nobody();
        async move { nobody.post("/api/auth/register", body).await }
    };
    let base = |change: Value| {
        let mut body = json!({"email": "new@example.com", "password": PASSWORD, "username": "new"});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    };
    let cases = [
        (json!({"email": "no-at-sign"}), "invalid", vec!["email"]),
        (json!({"email": "a@b\r\nBcc: x@y"}), "invalid", vec!["email"]),
        (json!({"email": 5}), "invalid", vec!["email"]),
        (json!({"password": "short 1"}), "invalid", vec!["password"]),
        (json!({"password": "no number here"}), "invalid", vec!["password"]),
        (json!({"password": "1".repeat(257)}), "invalid", vec!["password"]),
        (json!({"password": "nul 1234\u{0}"}), "invalid", vec!["password"]),
        (json!({"username": "-x", "password": "x"}), "invalid", vec!["password", "username"]),
        (json!({"username": "01a1f84a-95c0-7f2b-9cf4-bb99f4bea973"}), "invalid", vec!["username"]),
        (json!({"role": "administrator"}), "invalid", vec!["role"]),
        (json!({"username": "ANA"}), "taken", vec!["username"]),
        (json!({"email": "ANA@example.com"}), "taken", vec!["email"]),
    ];
    for (change, problem, fields) in cases {
        let answer = register(base(change.clone())).await;
        assert_eq!((answer.problem(), answer.fields()), (problem, fields), "{change}: {answer:?}");
    }
    let unknown = register(base(json!({"role": "administrator"}))).await;
    assert_eq!(unknown.body["errors"][0]["allowed"], json!(["email", "password", "username"]));
    assert_eq!(register(json!({"email": "new@example.com"})).await.fields(), ["password"]);
    // `ana` would follow from the e-mail, and is taken.
    let taken = register(json!({"email": "ana@elsewhere.example", "password": PASSWORD})).await;
    assert_eq!((taken.problem(), taken.fields()), ("taken", vec!["username"]));
    // Nothing of this made an account.
    assert_eq!(log_in(&server, "new", PASSWORD).await.problem(), "unauthenticated");
    assert_eq!(ana.get("/api/auth/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn registration_can_be_closed_after_the_first_account() {
    let server = TestServer::with(|config| config.registration = Registration::Closed).await;
    server.register("ana").await;
    let ben = json!({"email": "ben@example.com", "password": PASSWORD});
    let refused = server.nobody().post("/api/auth/register", ben).await;
    assert_eq!((refused.status, refused.problem()), (StatusCode::FORBIDDEN, "registration_closed"));
    let root = send(server.nobody().call(Method::GET, "/").header("Accept", "application/json")).await;
    assert_eq!((&root.body["first_account"], &root.body["registration"]), (&json!(false), &json!("closed")));
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_showing_it_again_ends_the_sign_in() {
    let server = TestServer::start().await;
    server.register("ana").await;
    let first = log_in(&server, "ana", PASSWORD).await.body;
    let other = log_in(&server, "ana", PASSWORD).await.body;
    let second = refresh(&server, text(&first, "refresh_token")).await;
    assert_eq!(second.status, StatusCode::OK);
    assert_ne!(second.body["refresh_token"], first["refresh_token"]);
    let caller = |tokens: &Value| server.caller(text(tokens, "access_token"));
    assert_eq!(caller(&second.body).get("/api/auth/me").await.status, StatusCode::OK);

    let reused = refresh(&server, text(&first, "refresh_token")).await;
    assert_eq!((reused.status, reused.problem()), (StatusCode::UNAUTHORIZED, "unauthenticated"));
    for tokens in [&first, &second.body] {
        assert_eq!(caller(tokens).get("/api/auth/me").await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(refresh(&server, text(&second.body, "refresh_token")).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(caller(&other).get("/api/auth/me").await.status, StatusCode::OK, "another sign-in goes on");
    for foreign in ["", "x", text(&other, "access_token")] {
        assert_eq!(refresh(&server, foreign).await.problem(), "unauthenticated", "{foreign}");
    }
}

#[tokio::test]
async fn tokens_live_as_long_as_the_hubs_clock_says() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_795_253_400_000_000)));
    let server = TestServer::on(clock.clone(), |_| {}).await;
    let ana = server.register("ana").await;
    let first = log_in(&server, "ana", PASSWORD).await.body;
    clock.advance(Duration::from_mins(25) - Duration::from_secs(1));
    assert_eq!(ana.get("/api/auth/me").await.status, StatusCode::OK);
    clock.advance(Duration::from_secs(1));
    let expired = ana.get("/api/auth/me").await;
    assert_eq!(
        (expired.problem(), text(&expired.body, "detail")),
        ("unauthenticated", "The access token has expired.")
    );
    let second = refresh(&server, text(&first, "refresh_token")).await;
    assert_eq!(second.status, StatusCode::OK);
    clock.advance(Duration::from_hours(7 * 24));
    assert_eq!(refresh(&server, text(&second.body, "refresh_token")).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn signing_out_ends_the_sign_in() {
    let server = TestServer::start().await;
    server.register("ana").await;
    let tokens = log_in(&server, "ana", PASSWORD).await.body;
    let ana = server.caller(text(&tokens, "access_token"));
    let mut over = server.running().app().auth.over();
    assert_eq!(send(ana.call(Method::POST, "/api/auth/logout")).await.status, StatusCode::NO_CONTENT);
    assert!(over.try_recv().is_ok(), "open sockets are told");
    assert_eq!(ana.get("/api/auth/me").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(&server, text(&tokens, "refresh_token")).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn whoever_shows_no_good_token_is_not_signed_in() {
    let (server, elsewhere) = (TestServer::start().await, TestServer::start().await);
    let (ana, stranger) = (server.register("ana").await, elsewhere.register("ana").await);
    let good = ana.token.clone().unwrap();
    let (rest, signature) = good.rsplit_once('.').unwrap();
    let claims = rest.split_once('.').unwrap().1;
    // {"typ":"JWT","alg":"none"}
    let none = format!("eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.{claims}");
    let turned: String = signature.chars().rev().collect();
    let headers = [
        String::new(),
        "Bearer".into(),
        "Bearer ".into(),
        format!("Basic {good}"),
        format!("Token {good}"),
        good.clone(),
        format!("Bearer {none}."),
        format!("Bearer {none}.{signature}"),
        format!("Bearer {rest}.{turned}"),
        format!("Bearer {rest}"),
        format!("Bearer {}", stranger.token.unwrap()),
        "Bearer hb_unknown".into(),
        format!("Bearer {good} {good}"),
    ];
    for header in &headers {
        let answer = send(server.nobody().call(Method::GET, "/api/auth/me").header("Authorization", header)).await;
        assert_eq!((answer.status, answer.problem()), (StatusCode::UNAUTHORIZED, "unauthenticated"), "{header}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    let twice = server.nobody().call(Method::GET, "/api/auth/me").bearer_auth(&good).bearer_auth(&good);
    assert_eq!(send(twice).await.problem(), "unauthenticated");
    assert_eq!(server.nobody().get("/api/auth/me").await.problem(), "unauthenticated");
    let lower = server.nobody().call(Method::GET, "/api/auth/me").header("Authorization", format!("bearer {good}"));
    assert_eq!(send(lower).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_page_signs_in_with_cookies_that_scripts_cannot_read() {
    let server = TestServer::start().await;
    server.register("ana").await;
    let ana = Browser::sign_in(&server, "ana").await;
    let flags = |name: &str| {
        let cookie = ana.set.iter().find(|cookie| cookie.starts_with(name)).unwrap();
        cookie.split_once("; ").unwrap().1.to_owned()
    };
    assert_eq!(flags("hb_access"), "Path=/; Max-Age=1500; SameSite=Strict; HttpOnly");
    assert_eq!(flags("hb_refresh"), "Path=/api/auth; Max-Age=604800; SameSite=Strict; HttpOnly");
    assert_eq!(flags("hb_csrf"), "Path=/; Max-Age=604800; SameSite=Strict");
    assert_eq!(send(ana.bare(Method::GET, "/api/auth/me")).await.body["username"], "ana");

    let renewed = send(ana.call(Method::POST, "/api/auth/refresh")).await;
    assert_eq!(renewed.status, StatusCode::NO_CONTENT, "{renewed:?}");
    let renewed = Browser::from(server.nobody(), ana.origin.clone(), &renewed.headers);
    assert!(renewed.refresh != ana.refresh && renewed.csrf == ana.csrf, "other tabs may be sending the old CSRF text");
    assert_eq!(send(renewed.bare(Method::GET, "/api/auth/me")).await.status, StatusCode::OK);

    let out = send(renewed.call(Method::DELETE, "/api/auth/session")).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    let cleared: Vec<_> = out.headers.get_all("set-cookie").iter().collect();
    assert!(cleared.len() == 3 && cleared.iter().all(|cookie| cookie.to_str().unwrap().contains("Max-Age=0")));
    assert_eq!(send(renewed.bare(Method::GET, "/api/auth/me")).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(send(server.nobody().call(Method::POST, "/api/auth/refresh")).await.problem(), "unauthenticated");
}

#[tokio::test]
async fn cookies_are_secure_where_the_hub_is_not_plain_loopback_and_stay_below_the_prefix() {
    let server = TestServer::with(|config| {
        config.public_url = "https://hub.example/x".parse().unwrap();
        config.path_prefix = "/x".into();
        config.registration = Registration::Open;
    })
    .await;
    let address = format!("http://{}", server.running().app().config.bind);
    let client = reqwest::Client::new();
    let account = json!({"email": "ana@example.com", "password": PASSWORD});
    let made = client.post(format!("{address}/x/api/auth/register")).json(&account).send().await.unwrap();
    assert_eq!(made.status(), StatusCode::CREATED);
    let form = [("username", "ana"), ("password", PASSWORD)];
    let answer = client.post(format!("{address}/x/api/auth/session")).form(&form).send().await.unwrap();
    let set: Vec<_> = answer.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    assert!(set.iter().all(|cookie| cookie.ends_with("; Secure")), "{set:?}");
    assert!(set[0].contains("Path=/x;") && set[1].contains("Path=/x/api/auth;") && set[2].contains("Path=/x;"));
}

#[tokio::test]
async fn a_call_with_cookies_that_changes_something_must_come_from_the_page() {
    let server = TestServer::start().await;
    server.register("ana").await;
    let ana = Browser::sign_in(&server, "ana").await;
    let create = |call: RequestBuilder| async { send(call.json(&json!({"name": "n"}))).await };
    let bare = || ana.bare(Method::POST, "/api/tokens");
    let refused = [
        ("nothing", bare()),
        ("no csrf", bare().header("Origin", &ana.origin)),
        ("a wrong csrf", bare().header("Origin", &ana.origin).header("X-CSRF-Token", "wrong")),
        ("an empty csrf", bare().header("Origin", &ana.origin).header("X-CSRF-Token", "")),
        ("no origin", bare().header("X-CSRF-Token", &ana.csrf)),
        ("a foreign origin", bare().header("X-CSRF-Token", &ana.csrf).header("Origin", "https://evil.example")),
        ("no real origin", bare().header("X-CSRF-Token", &ana.csrf).header("Origin", "null")),
        ("a foreign referer", bare().header("X-CSRF-Token", &ana.csrf).header("Referer", "https://evil.example/")),
    ];
    for (what, call) in refused {
        let answer = create(call).await;
        assert_eq!((answer.status, answer.problem()), (StatusCode::FORBIDDEN, "origin"), "{what}: {answer:?}");
    }
    for path in ["/api/auth/refresh", "/api/auth/logout"] {
        assert_eq!(
            send(ana.bare(Method::POST, path).header("Origin", &ana.origin)).await.problem(),
            "origin",
            "{path}"
        );
    }
    assert_eq!(send(ana.bare(Method::DELETE, "/api/auth/session")).await.problem(), "origin");
    let tokens = send(ana.bare(Method::GET, "/api/tokens")).await;
    assert_eq!(tokens.body["items"], json!([]), "nothing of this made one");

    assert_eq!(create(ana.call(Method::POST, "/api/tokens")).await.status, StatusCode::CREATED);
    let referred = bare().header("X-CSRF-Token", &ana.csrf).header("Referer", format!("{}/some/page", ana.origin));
    assert_eq!(create(referred).await.status, StatusCode::CREATED);
    let localhost = ana.origin.replace("127.0.0.1", "localhost");
    let other_name = bare().header("X-CSRF-Token", &ana.csrf).header("Origin", localhost);
    assert_eq!(create(other_name).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn pages_of_unknown_origins_change_nothing_even_without_cookies() {
    let server = TestServer::start().await;
    let nobody = server.nobody();
    let evil = |call: RequestBuilder| send(call.header("Origin", "https://evil.example"));
    let account = json!({"email": "eve@example.com", "password": PASSWORD});
    let register = evil(nobody.call(Method::POST, "/api/auth/register").json(&account)).await;
    assert_eq!((register.status, register.problem()), (StatusCode::FORBIDDEN, "origin"));
    assert!(text(&register.body, "detail").contains("PUBLIC_URL"));
    for path in ["/api/auth/login", "/api/auth/session"] {
        let answer = evil(nobody.call(Method::POST, path).form(&[("username", "eve"), ("password", PASSWORD)])).await;
        assert_eq!(answer.problem(), "origin", "{path}");
    }
    let root = send(nobody.call(Method::GET, "/").header("Accept", "application/json")).await;
    assert_eq!(root.body["first_account"], true, "no account was made");
    let ana = server.register("ana").await;
    assert_eq!(
        evil(ana.call(Method::POST, "/api/auth/logout")).await.status,
        StatusCode::NO_CONTENT,
        "a token is enough"
    );
}

#[tokio::test]
async fn other_origins_call_when_the_configuration_names_them() {
    let server = TestServer::with(|config| config.cors_origins = vec!["https://desk.example".into()]).await;
    let nobody = server.nobody();
    let preflight = |origin: &'static str| {
        let call = nobody.call(Method::OPTIONS, "/api/tokens").header("Origin", origin);
        send(call.header("Access-Control-Request-Method", "POST"))
    };
    let allowed = preflight("https://desk.example").await;
    assert_eq!(allowed.status, StatusCode::NO_CONTENT);
    assert_eq!(allowed.headers["access-control-allow-origin"], "https://desk.example");
    assert!(allowed.headers["access-control-allow-headers"].to_str().unwrap().contains("Idempotency-Key"));
    let refused = preflight("https://evil.example").await;
    assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(!refused.headers.contains_key("access-control-allow-origin"));
    let read = send(nobody.call(Method::GET, "/health").header("Origin", "https://desk.example")).await;
    assert_eq!(read.headers["access-control-allow-origin"], "https://desk.example");
    assert!(read.headers.get_all("vary").iter().any(|value| value == "Origin"));
}
