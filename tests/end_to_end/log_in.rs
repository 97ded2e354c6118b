//! Log-ins that fail are slowed, whoever tries, and nobody learns from it which accounts there are.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use hearback::{config::Registration, storage::postgres::Scratch};
use hearback_core::{Timestamp, clock::ManualClock};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{
    auth::{log_in, send},
    server::{Answered, PASSWORD, TestServer},
};

const WRONG: &str = "wrong horse 1";

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_micros(1_795_253_400_000_000)))
}

async fn log_in_from(server: &TestServer, address: &str, login: &str, password: &str) -> Answered {
    let call = server.nobody().call(Method::POST, "/api/auth/login").header("X-Forwarded-For", address);
    send(call.form(&[("username", login), ("password", password)])).await
}

#[tokio::test]
async fn failed_log_ins_are_slowed_by_name_and_unknown_names_just_the_same() {
    let clock = clock();
    let trusting =
        TestServer::on(clock.clone(), |config| config.trusted_proxies = "127.0.0.0/8".parse().unwrap()).await;
    trusting.register("ana").await;
    for name in ["ana", "nobody", "ana@example.com", "nobody@example.com"] {
        // Each from an address of its own, so that the name alone is what is slowed.
        let mut address = (1..).map(|host| format!("203.0.113.{host}"));
        let mut try_in = async |password| log_in_from(&trusting, &address.next().unwrap(), name, password).await;
        for _ in 0..10 {
            assert_eq!(try_in(WRONG).await.problem(), "unauthenticated", "{name}");
        }
        let slowed = try_in(WRONG).await;
        assert_eq!((slowed.problem(), &slowed.headers["retry-after"]), ("too_many_requests", &"6".parse().unwrap()));
        assert_eq!(slowed.body["detail"], "Too many attempts have failed. Try again in 6 s.");
        assert_eq!(try_in(PASSWORD).await.problem(), "too_many_requests", "the right one too: it would tell");
        clock.advance(Duration::from_secs(6));
        let known = name.starts_with("ana");
        let expected = if known { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        assert_eq!(try_in(PASSWORD).await.status, expected, "{name}");
        clock.advance(Duration::from_mins(1));
    }
}

#[tokio::test]
async fn nobody_learns_by_registering_which_accounts_there_are_faster_than_by_logging_in() {
    let clock = clock();
    let server = TestServer::on(clock.clone(), |config| config.registration = Registration::Open).await;
    server.register("ana").await;
    let register = async |name: &str| {
        let account = json!({"email": format!("{name}@example.com"), "password": PASSWORD, "username": name});
        server.nobody().post("/api/auth/register", account).await
    };
    for _ in 0..10 {
        let taken = register("ana").await;
        assert_eq!((taken.problem(), taken.fields()), ("taken", vec!["email"]));
    }
    // Whether a name is free or not: the answer would tell.
    for name in ["ana", "ben"] {
        let slowed = register(name).await;
        assert_eq!((slowed.problem(), &slowed.headers["retry-after"]), ("too_many_requests", &"6".parse().unwrap()));
    }
    clock.advance(Duration::from_secs(6));
    for name in ["ben", "cora"] {
        assert_eq!(register(name).await.status, StatusCode::CREATED, "what is made counts for nothing");
    }
}

#[tokio::test]
async fn failed_log_ins_are_slowed_by_address_and_only_trusted_proxies_tell_it() {
    let clock = clock();
    let server = TestServer::on(clock.clone(), |_| {}).await;
    server.register("ana").await;
    for number in 0..10 {
        let refused = log_in_from(&server, &format!("203.0.113.{number}"), &format!("name-{number}"), WRONG).await;
        assert_eq!(refused.problem(), "unauthenticated");
    }
    let slowed = log_in_from(&server, "203.0.113.99", "ana", PASSWORD).await;
    assert_eq!(slowed.problem(), "too_many_requests", "what a caller writes is not where it is");

    let behind = TestServer::on(clock, |config| config.trusted_proxies = "127.0.0.0/8".parse().unwrap()).await;
    behind.register("ana").await;
    for number in 0..10 {
        log_in_from(&behind, "198.51.100.1, 203.0.113.7", &format!("name-{number}"), WRONG).await;
    }
    assert_eq!(log_in_from(&behind, "203.0.113.7", "ana", PASSWORD).await.problem(), "too_many_requests");
    assert_eq!(log_in_from(&behind, "203.0.113.8", "ana", PASSWORD).await.status, StatusCode::OK);
}

#[tokio::test]
async fn log_ins_that_succeed_are_not_slowed_and_guesses_at_once_get_no_further() {
    let server = TestServer::on(clock(), |_| {}).await;
    server.register("ana").await;
    for _ in 0..25 {
        assert_eq!(log_in(&server, "ana", PASSWORD).await.status, StatusCode::OK);
    }
    let guesses = (0..30).map(|_| log_in(&server, "ana", WRONG));
    let answers = join_all(guesses).await;
    let tried = answers.iter().filter(|answer| answer.problem() == "unauthenticated").count();
    assert_eq!(tried, 10, "{answers:?}");
    let off = TestServer::on(clock(), |config| config.rate_limit_login = 0).await;
    for _ in 0..15 {
        assert_eq!(log_in(&off, "ana", WRONG).await.problem(), "unauthenticated");
    }
}

/// Who has a token may not guess the password either.
#[tokio::test]
async fn guesses_at_the_present_password_are_slowed() {
    let server = TestServer::on(clock(), |_| {}).await;
    let ana = server.register("ana").await;
    let guess =
        || ana.post("/api/auth/password", json!({"current_password": WRONG, "new_password": "lamp and lamp 9"}));
    for _ in 0..10 {
        assert_eq!(guess().await.problem(), "invalid");
    }
    assert_eq!(guess().await.problem(), "too_many_requests");
}

#[tokio::test]
async fn failed_log_ins_count_on_all_servers() {
    let Some(database) = Scratch::for_test().await else { return };
    let clock = clock();
    let one = TestServer::beside_on(&database, clock.clone()).await;
    let other = TestServer::beside_on(&database, clock.clone()).await;
    one.register("ana").await;
    for number in 0..10 {
        let server = if number % 2 == 0 { &one } else { &other };
        assert_eq!(log_in(server, "ana", WRONG).await.problem(), "unauthenticated");
    }
    for server in [&one, &other] {
        assert_eq!(log_in(server, "ana", PASSWORD).await.problem(), "too_many_requests");
    }
    clock.advance(Duration::from_secs(6));
    assert_eq!(log_in(&other, "ana", PASSWORD).await.status, StatusCode::OK);
    // What succeeded is given back, on every server.
    assert_eq!(log_in(&one, "ana", PASSWORD).await.status, StatusCode::OK);
}
