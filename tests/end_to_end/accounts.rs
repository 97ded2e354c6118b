//! Managing accounts: roles, deactivation, service users, and new passwords.

use std::{pin::pin, time::Duration};

use hearback::{account::Over, storage::postgres::Scratch};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    auth::{log_in, refresh, send, text},
    server::{Answered, Caller, PASSWORD, TestServer},
    socket::{SOON, Socket},
    streams::client::Stream,
};

const NEW_PASSWORD: &str = "another green lamp 8";
/// What DESIGN.md, section 8, allows for open sockets, streams and waits to end.
const AT_ONCE: Duration = Duration::from_secs(1);

pub(crate) async fn id(person: &Caller) -> String {
    text(&person.get("/api/auth/me").await.body, "id").to_owned()
}

pub(crate) async fn change(by: &Caller, id: &str, changes: Value) -> Answered {
    send(by.call(Method::PATCH, &format!("/api/users/{id}")).json(&changes)).await
}

#[tokio::test]
async fn an_administrator_changes_accounts_and_one_administrator_stays() {
    let server = TestServer::start().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let (ana_id, ben_id) = (id(&ana).await, id(&ben).await);
    let read = ana.get(&format!("/api/users/{ben_id}")).await;
    assert_eq!(
        (read.status, &read.body["role"], &read.body["active"]),
        (StatusCode::OK, &json!("member"), &json!(true))
    );
    assert_eq!(change(&ben, &ben_id, json!({"role": "administrator"})).await.problem(), "forbidden");
    for (changes, field) in [(json!({"role": "member"}), "role"), (json!({"active": false}), "active")] {
        let refused = change(&ana, &ana_id, changes).await;
        assert_eq!((refused.problem(), refused.fields()), ("invalid", vec![field]), "{refused:?}");
    }
    let made = change(&ana, &ben_id, json!({"role": "administrator", "email_confirmed": true})).await;
    assert_eq!((&made.body["role"], &made.body["email_confirmed"]), (&json!("administrator"), &json!(true)));
    ana.put(json!({"kind": "approval", "prompt": "By e-mail?", "to": ["ben@example.com"]})).await;
    assert_eq!(change(&ben, &ana_id, json!({"role": "member"})).await.status, StatusCode::OK);
    assert_eq!(ana.get("/api/users").await.problem(), "forbidden", "the very next call");
    assert_eq!(change(&ben, &ben_id, json!({})).await.body["role"], "administrator", "nothing changes nothing");
    for (changes, field) in [
        (json!({"role": "king"}), "role"),
        (json!({"active": "no"}), "active"),
        (json!({"password": "short 1"}), "password"),
        (json!({"password": "password123"}), "password"),
        (json!({"email": "new@example.com"}), "email"),
    ] {
        let refused = change(&ben, &ana_id, changes).await;
        assert_eq!((refused.problem(), refused.fields()), ("invalid", vec![field]), "{refused:?}");
    }
    let nobody = "01a1f84a-95c0-7f2b-9cf4-bb99f4bea973";
    assert_eq!(change(&ben, nobody, json!({"active": false})).await.problem(), "not_found");
    assert_eq!(ben.get(&format!("/api/users/{nobody}")).await.problem(), "not_found");
}

#[tokio::test]
async fn who_is_deactivated_is_cut_off_at_once_cannot_be_asked_and_comes_back_whole() {
    let server = TestServer::start().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let (agent, ben_id) = (server.agent(&ben).await, id(&ben).await);
    let asked = ana.ask(&[&ben]).await;
    let own = agent.ask(&[&ana]).await;
    let tokens = log_in(&server, "ben", PASSWORD).await.body;
    let mut socket = Socket::open(&server, &ben, None).await;
    socket.expect("connection_established").await;
    let mut of_agent = Socket::open(&server, &agent, None).await;
    of_agent.expect("connection_established").await;
    let mut stream = Stream::open(&agent, "/api/feedback/events").await;
    stream.expect("feedback.created").await;
    let (waiter, path) = (agent.clone(), format!("/api/feedback/{}?wait=60", text(&own, "id")));
    let waiting = tokio::spawn(async move { waiter.get(&path).await });
    server.parked(1).await;

    assert_eq!(change(&ana, &ben_id, json!({"active": false})).await.body["active"], false);
    let ended = async {
        assert_eq!(socket.close_code().await, Some(1008));
        assert_eq!(of_agent.close_code().await, Some(1008));
        stream.end().await;
        assert_eq!(waiting.await.unwrap().problem(), "unauthenticated");
    };
    timeout(AT_ONCE, ended).await.expect("all of it ends within a second");
    for caller in [&ben, &agent, &server.caller(text(&tokens, "access_token"))] {
        assert_eq!(caller.get("/api/feedback").await.problem(), "unauthenticated");
    }
    assert_eq!(refresh(&server, text(&tokens, "refresh_token")).await.problem(), "unauthenticated");
    let right = log_in(&server, "ben", PASSWORD).await;
    assert!(right.problem() == "forbidden" && text(&right.body, "detail").contains("deactivated"), "{right:?}");
    assert_eq!(log_in(&server, "ben", "wrong horse 1").await.problem(), "unauthenticated", "others are told nothing");
    let put = ana.post("/api/feedback", json!({"kind": "approval", "prompt": "?", "to": ["ben"]})).await;
    assert_eq!((put.problem(), put.fields()), ("not_found", vec!["to[0]"]));
    assert_eq!(ana.get(&format!("/api/feedback/{}", text(&asked, "id"))).await.body["status"], "pending");

    assert_eq!(change(&ana, &ben_id, json!({"active": true})).await.body["active"], true);
    assert_eq!(ben.get("/api/feedback").await.problem(), "unauthenticated", "sign-ins do not come back");
    assert_eq!(agent.get("/api/feedback").await.status, StatusCode::OK, "service tokens do");
    let back = log_in(&server, "ben", PASSWORD).await;
    let back = server.caller(text(&back.body, "access_token"));
    assert_eq!(back.answer(&asked, json!("approved")).await.status, StatusCode::OK);
}

/// What waits for its turn is given up, and the asker hears that nobody is left to be reached.
#[tokio::test]
async fn what_was_on_its_way_to_who_is_deactivated_is_not_sent() {
    let server = TestServer::with(|config| {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        // Nothing listens there, so what goes there waits for its next round.
        let desk = json!({"kind": "webhook", "url": "http://127.0.0.1:1/", "secret": secret});
        config.channels.insert("desk".into(), desk);
        config.outbound_allow = "127.0.0.0/8".parse().unwrap();
    })
    .await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let ben_id = id(&ben).await;
    let address = json!({"channel": "desk", "address": "front"});
    ana.post(&format!("/api/users/{ben_id}/addresses"), address).await;
    let draft = json!({"kind": "approval", "prompt": "?", "to": ["ben"], "channels": ["desk"]});
    let request = ana.put(draft).await;
    let path = format!("/api/feedback/{}/deliveries", text(&request, "id"));
    let reason = async |wanted: &str| {
        let seen = async {
            loop {
                let delivery = ana.get(&path).await.body["items"][0].clone();
                if delivery["status"] == wanted {
                    return delivery;
                }
            }
        };
        timeout(SOON, seen).await.unwrap_or_else(|_| panic!("it becomes {wanted}"))
    };
    reason("queued").await;
    assert_eq!(change(&ana, &ben_id, json!({"active": false})).await.status, StatusCode::OK);
    assert_eq!(reason("failed").await["next_attempt_at"], Value::Null);
    // What is theirs is not given away meanwhile, and what was asked comes to them when they are back.
    let address = json!({"channel": "desk", "address": "front"});
    let given = ana.post(&format!("/api/users/{}/addresses", id(&ana).await), address).await;
    assert_eq!((given.problem(), given.fields()), ("taken", vec!["address"]));
    assert_eq!(change(&ana, &ben_id, json!({"active": true})).await.status, StatusCode::OK);
    reason("queued").await;
}

/// Who is known at the beginning of a call is to be good at its end, however long its body takes.
#[tokio::test]
async fn a_call_whose_body_comes_after_its_sign_in_has_ended_changes_nothing() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let body = json!({"name": "left behind"}).to_string();
    let address = server.url().strip_prefix("http://").unwrap().to_owned();
    let mut socket = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /api/tokens HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        ana.token.as_ref().unwrap(),
        body.len()
    );
    let (first, rest) = body.split_at(1);
    socket.write_all(format!("{head}{first}").as_bytes()).await.unwrap();
    // The hub has begun with it, or not yet: it is the same to whoever sends it.
    assert_eq!(ana.get("/api/auth/me").await.status, StatusCode::OK);
    assert_eq!(ana.post("/api/auth/logout", json!({})).await.status, StatusCode::NO_CONTENT);
    socket.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let again = log_in(&server, "ana", PASSWORD).await;
    let again = server.caller(text(&again.body, "access_token"));
    assert_eq!(again.get("/api/tokens").await.body["items"], json!([]));
}

#[tokio::test]
async fn another_backend_is_connected_in_one_call() {
    let server = TestServer::start().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let draft = json!({"username": "Billing", "email": "Ops@Example.org"});
    let made = send(ana.call(Method::POST, "/api/users/service").header("Idempotency-Key", "k1").json(&draft)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let again = send(ana.call(Method::POST, "/api/users/service").header("Idempotency-Key", "k1").json(&draft)).await;
    assert_eq!((&again.body, &again.headers["idempotent-replayed"]), (&made.body, &"true".parse().unwrap()));
    let user = &made.body["user"];
    assert_eq!(
        (&user["username"], &user["email"], &user["service"]),
        (&json!("billing"), &json!("ops@example.org"), &json!(true))
    );
    assert_eq!(made.body["expires_at"], Value::Null);
    let backend = server.caller(text(&made.body, "token"));
    let request = backend.ask(&[&ben]).await;
    assert_eq!(request["asker"]["username"], "billing");
    assert_eq!(backend.get("/api/users").await.problem(), "forbidden");

    for password in ["", PASSWORD] {
        assert_eq!(log_in(&server, "billing", password).await.problem(), "unauthenticated", "it cannot sign in");
    }
    let service_id = text(user, "id");
    for (changes, field) in [(json!({"password": PASSWORD}), "password"), (json!({"role": "administrator"}), "role")] {
        let refused = change(&ana, service_id, changes).await;
        assert_eq!((refused.problem(), refused.fields()), ("invalid", vec![field]), "{refused:?}");
    }
    for name in ["billing", service_id, "ops@example.org"] {
        let put = ana.post("/api/feedback", json!({"kind": "approval", "prompt": "?", "to": [name]})).await;
        assert_eq!(put.problem(), "not_found", "nobody asks a program: {name}");
    }
    assert_eq!(ben.post("/api/users/service", draft.clone()).await.problem(), "forbidden");
    let mismatch = json!({"username": "other", "email": "ops@example.org"});
    let call = ana.call(Method::POST, "/api/users/service").header("Idempotency-Key", "k1").json(&mismatch);
    assert_eq!(send(call).await.problem(), "idempotency_mismatch");
    for (draft, problem, fields) in [
        (json!({"username": "billing", "email": "new@example.org"}), "taken", vec!["username"]),
        (json!({"username": "new", "email": "ops@example.org"}), "taken", vec!["email"]),
        (json!({"username": "-", "email": "x"}), "invalid", vec!["email", "username"]),
        (json!({"username": "new", "email": "n@example.org", "scopes": []}), "invalid", vec!["scopes"]),
        (json!({"username": "new", "email": "n@example.org", "scopes": ["admin"]}), "invalid", vec!["scopes"]),
        (json!({"username": "new"}), "invalid", vec!["email"]),
    ] {
        let refused = ana.post("/api/users/service", draft).await;
        assert_eq!((refused.problem(), refused.fields()), (problem, fields), "{refused:?}");
    }
    change(&ana, service_id, json!({"active": false})).await;
    assert_eq!(backend.get("/api/feedback").await.problem(), "unauthenticated");
}

#[tokio::test]
async fn a_token_manages_the_hub_while_its_owner_does() {
    let server = TestServer::start().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let draft = json!({"name": "ops", "scopes": ["admin"]});
    let refused = ben.post("/api/tokens", draft.clone()).await;
    assert_eq!((refused.problem(), refused.fields()), ("invalid", vec!["scopes"]));
    assert!(!refused.body["errors"][0]["allowed"].as_array().unwrap().contains(&json!("admin")), "{refused:?}");
    let made = ana.post("/api/tokens", draft).await;
    let ops = server.caller(text(&made.body, "token"));
    assert_eq!(server.agent(&ana).await.get("/api/users").await.problem(), "forbidden", "not without asking for it");
    assert_eq!(ops.get("/api/users").await.status, StatusCode::OK);
    assert_eq!(ops.get("/api/feedback").await.problem(), "forbidden", "it has no other scope");
    let (ana_id, ben_id) = (id(&ana).await, id(&ben).await);
    assert_eq!(change(&ops, &ben_id, json!({"email_confirmed": true})).await.status, StatusCode::OK);
    for changes in [json!({"role": "administrator"}), json!({"password": NEW_PASSWORD})] {
        assert_eq!(change(&ops, &ben_id, changes).await.problem(), "forbidden", "no token makes itself somebody else");
    }
    assert_eq!(change(&ana, &ben_id, json!({"role": "administrator"})).await.status, StatusCode::OK);
    assert_eq!(change(&ben, &ana_id, json!({"role": "member"})).await.status, StatusCode::OK);
    assert_eq!(ops.get("/api/users").await.problem(), "forbidden");
}

#[tokio::test]
async fn a_new_password_ends_all_other_sign_ins() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let other = log_in(&server, "ana", PASSWORD).await.body;
    let mut elsewhere = Socket::open(&server, &server.caller(text(&other, "access_token")), None).await;
    elsewhere.expect("connection_established").await;
    let change = async |current: &str, new: &str| {
        ana.post("/api/auth/password", json!({"current_password": current, "new_password": new})).await
    };
    for (current, new, field) in [
        ("wrong horse 1", NEW_PASSWORD, "current_password"),
        (PASSWORD, "short 1", "new_password"),
        (PASSWORD, "Password123", "new_password"),
    ] {
        let refused = change(current, new).await;
        assert_eq!((refused.problem(), refused.fields()), ("invalid", vec![field]), "{refused:?}");
    }
    assert_eq!(change(PASSWORD, NEW_PASSWORD).await.status, StatusCode::NO_CONTENT);
    assert_eq!(timeout(AT_ONCE, elsewhere.close_code()).await.unwrap(), Some(1008));
    assert_eq!(refresh(&server, text(&other, "refresh_token")).await.problem(), "unauthenticated");
    assert_eq!(ana.get("/api/auth/me").await.status, StatusCode::OK, "the one that changed it goes on");
    assert_eq!(agent.get("/api/feedback").await.status, StatusCode::OK, "service tokens do too");
    assert_eq!(log_in(&server, "ana", PASSWORD).await.problem(), "unauthenticated");
    assert_eq!(log_in(&server, "ana", NEW_PASSWORD).await.status, StatusCode::OK);
    assert_eq!(agent.post("/api/auth/password", json!({})).await.problem(), "forbidden");
}

#[tokio::test]
async fn a_password_that_an_administrator_gives_ends_every_sign_in() {
    let server = TestServer::start().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let changed = change(&ana, &id(&ben).await, json!({"password": NEW_PASSWORD})).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_eq!(ben.get("/api/auth/me").await.problem(), "unauthenticated");
    assert_eq!(log_in(&server, "ben", NEW_PASSWORD).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_one_server_deactivates_is_cut_off_on_the_others() {
    let Some(database) = Scratch::for_test().await else { return };
    let (one, other) = (TestServer::beside(&database).await, TestServer::beside(&database).await);
    let (ana, ben) = (one.register("ana").await, one.register("ben").await);
    let there = other.caller(ben.token.as_ref().unwrap());
    let auth = &other.running().app().auth;
    let (over, mut heard) = (auth.over(), auth.over());
    let principal = auth.authenticate_bearer(there.token.as_ref().unwrap()).await.unwrap();
    let end = pin!(auth.until_over(&principal, over));
    let ben_id = id(&ben).await;
    change(&ana, &ben_id, json!({"active": false})).await;
    timeout(SOON, end).await.expect("the other server hears of it");
    let told = async { while heard.recv().await.unwrap() != Over::Account(ben_id.parse().unwrap()) {} };
    timeout(SOON, told).await.expect("by its name");
    assert_eq!(there.get("/api/feedback").await.problem(), "unauthenticated");
}
