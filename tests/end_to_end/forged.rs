//! Tokens that are not what they should be, wherever they may be shown: each is refused with a clear problem, and
//! changes nothing. That none of them is in the log is held by [`crate::secrets`].

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hearback::storage::SecretKey;
use hearback_core::{Timestamp, clock::ManualClock};
use reqwest::{Method, StatusCode};
use ring::hmac;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    auth::{log_in, refresh, send, text},
    server::{PASSWORD, SECRET, TestServer},
    socket::connect,
};

const NOW: i64 = 1_795_253_400;

/// What this hub signs with.
fn key() -> [u8; 32] {
    SecretKey::new(SECRET.into()).unwrap().derive("access token")
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn signed(algorithm: hmac::Algorithm, key: &[u8], header: &Value, claims: &Value) -> String {
    let text = format!("{}.{}", encoded(header), encoded(claims));
    let tag = hmac::sign(&hmac::Key::new(algorithm, key), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// The claims of a good token, changed.
fn with(good: &Value, change: &Value) -> Value {
    let mut claims = good.as_object().unwrap().clone();
    claims.extend(change.as_object().unwrap().clone());
    // What is to be missing is null.
    claims.into_iter().filter(|(_, value)| !value.is_null()).collect::<serde_json::Map<_, _>>().into()
}

/// Every token that is no good, and what is said of it.
fn forged(good: &str) -> Vec<(&'static str, String, &'static str)> {
    const FOREIGN: &str = "The access token is not one of this hub's.";
    let parts: Vec<_> = good.split('.').collect();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let ours = |change: Value| signed(hmac::HMAC_SHA256, &key(), &header, &with(&claims, &change));
    let by = |algorithm, name: &str| signed(algorithm, &key(), &json!({"alg": name, "typ": "JWT"}), &claims);
    assert_eq!(ours(json!({})).split('.').count(), 3);
    vec![
        ("no algorithm", format!("{}.{}.", encoded(&json!({"alg": "none"})), parts[1]), FOREIGN),
        ("no algorithm, signed", by(hmac::HMAC_SHA256, "none"), FOREIGN),
        ("another algorithm", by(hmac::HMAC_SHA512, "HS512"), FOREIGN),
        ("another algorithm's name", by(hmac::HMAC_SHA256, "RS256"), FOREIGN),
        ("an unknown algorithm", by(hmac::HMAC_SHA256, "hs256"), FOREIGN),
        ("a foreign key", signed(hmac::HMAC_SHA256, &[7; 32], &header, &claims), FOREIGN),
        (
            "a foreign key that it brings",
            {
                let jwk =
                    json!({"alg": "HS256", "jwk": {"kty": "oct", "k": URL_SAFE_NO_PAD.encode([7; 32])}, "kid": "../x"});
                signed(hmac::HMAC_SHA256, &[7; 32], &jwk, &claims)
            },
            FOREIGN,
        ),
        ("a cut signature", good.chars().take(good.len() - 4).collect(), FOREIGN),
        ("no signature", format!("{}.{}.", parts[0], parts[1]), FOREIGN),
        ("two parts", format!("{}.{}", parts[0], parts[1]), FOREIGN),
        ("four parts", format!("{good}.{}", parts[2]), FOREIGN),
        ("another's audience", ours(json!({"aud": "elsewhere"})), FOREIGN),
        ("another's issuer", ours(json!({"iss": "elsewhere"})), FOREIGN),
        ("no audience", ours(json!({"aud": null})), FOREIGN),
        ("no issuer", ours(json!({"iss": null})), FOREIGN),
        ("no subject", ours(json!({"sub": null})), FOREIGN),
        ("no sign-in", ours(json!({"sid": null})), FOREIGN),
        ("no time", ours(json!({"iat": null})), FOREIGN),
        ("no end", ours(json!({"exp": null})), FOREIGN),
        ("an end that is no number", ours(json!({"exp": "later"})), FOREIGN),
        ("a subject that is no id", ours(json!({"sub": "ana"})), FOREIGN),
        ("expired", ours(json!({"iat": NOW - 1600, "exp": NOW})), "The access token has expired."),
        ("from the future", ours(json!({"iat": NOW + 120})), "The access token is not valid yet."),
        ("not yet", ours(json!({"nbf": NOW + 120})), "The access token is not valid yet."),
        (
            "of an account that is not there",
            ours(json!({"sub": Uuid::from_u128(7)})),
            "You have signed out, or your sign-in was revoked.",
        ),
        (
            "of a sign-in that is not there",
            ours(json!({"sid": Uuid::from_u128(7)})),
            "You have signed out, or your sign-in was revoked.",
        ),
        ("huge", format!("{good}{}", "A".repeat(20_000)), FOREIGN),
        ("not ASCII", format!("{good}é"), "The Authorization header must be `Bearer TOKEN`."),
        ("a service token's beginning", format!("hb_{good}"), "The service token is unknown, revoked or expired."),
    ]
}

#[tokio::test]
async fn a_forged_token_opens_nothing_anywhere() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(NOW * 1_000_000)));
    let server = TestServer::on(clock, |config| config.secret_key = Some(SECRET.into())).await;
    let ana = server.register("ana").await;
    for (what, token, detail) in forged(ana.token.as_deref().unwrap()) {
        let bearer = || reqwest::header::HeaderValue::from_bytes(format!("Bearer {token}").as_bytes()).unwrap();
        let call = |method: Method, path: &str| {
            let nobody = server.nobody();
            send(nobody.call(method, path).header("Authorization", bearer()).json(&json!({"name": "n"})))
        };
        for (method, path) in [
            (Method::GET, "/api/auth/me"),
            (Method::GET, "/api/feedback/events"),
            (Method::POST, "/api/tokens"),
            (Method::POST, "/api/auth/logout"),
        ] {
            let answer = call(method, path).await;
            let told = (answer.status, answer.problem(), text(&answer.body, "detail"));
            assert_eq!(told, (StatusCode::UNAUTHORIZED, "unauthenticated", detail), "{what} at {path}");
            assert_eq!(answer.headers["www-authenticate"], "Bearer", "{what}");
        }
        if token.is_ascii() {
            let shown =
                [("authorization", format!("Bearer {token}")), ("sec-websocket-protocol", format!("bearer, {token}"))];
            for header in shown {
                let (status, body) = connect(&server.socket_url(), &[header]).await.err().unwrap();
                assert!(status == 401 && body.contains(detail), "{what}: {status} {body}");
            }
            let cookie =
                server.nobody().call(Method::GET, "/api/auth/me").header("Cookie", format!("hb_access={token}"));
            assert_eq!(send(cookie).await.problem(), "unauthenticated", "{what} as a cookie");
            assert_eq!(refresh(&server, &token).await.problem(), "unauthenticated", "{what} to renew with");
        }
    }
    assert_eq!(ana.get("/api/tokens").await.body["items"], json!([]), "nothing was made");
    assert_eq!(ana.get("/api/auth/me").await.status, StatusCode::OK, "nobody was signed out");
}

#[tokio::test]
async fn no_token_does_the_work_of_another_kind() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let signed = log_in(&server, "ana", PASSWORD).await.body;
    let agent = server.agent(&ana).await;
    let (access, renewing) = (text(&signed, "access_token"), text(&signed, "refresh_token"));
    let service = agent.token.as_deref().unwrap();
    for wrong in [renewing, &format!("hb_{renewing}"), &format!("{service}x"), service.trim_start_matches("hb_")] {
        assert_eq!(server.caller(wrong).get("/api/auth/me").await.problem(), "unauthenticated", "{wrong}");
    }
    for wrong in [access, service] {
        assert_eq!(refresh(&server, wrong).await.problem(), "unauthenticated");
    }
    // None of this ended anything.
    assert_eq!(server.caller(access).get("/api/auth/me").await.status, StatusCode::OK);
    assert_eq!(agent.get("/api/feedback").await.status, StatusCode::OK);
    assert_eq!(refresh(&server, renewing).await.status, StatusCode::OK);
}

/// What is larger than any token is refused before it is looked at.
#[tokio::test]
async fn a_token_larger_than_all_headers_may_be_is_refused() {
    let server = TestServer::start().await;
    let answer = server.caller(&"a".repeat(40_000)).get("/api/auth/me").await;
    assert_eq!((answer.status.as_u16(), answer.problem()), (431, "headers_too_large"));
}
