//! What keeps strangers out: the token, the origin, the policy, and a log that tells nobody a link.

use hearback::{auth::AnswerTokens, config::AnswerSignIn};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use super::{Page, call, link, now, open, post, responses, send};
use crate::{
    accounts::{change, id},
    program::{hearback, next},
    server::TestServer,
};

#[tokio::test]
async fn a_token_that_is_not_whole_leads_nowhere_and_says_the_same_whatever_is_wrong() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let request = ana.ask(&[&ana]).await;
    let url = link(&server, &request, &ana).await;
    let (base, token) = url.rsplit_once('/').unwrap();
    let app = server.running().app();
    let claims = app.answer_tokens.read(token).unwrap();
    let issue = |change: &dyn Fn(&mut hearback::auth::AnswerClaims)| {
        let mut claims = claims;
        change(&mut claims);
        app.answer_tokens.issue(claims)
    };
    let flipped = format!("{}{}", if token.starts_with('A') { "B" } else { "A" }, token.get(1..).unwrap());
    let wrong = [
        flipped,
        token.get(..token.len() - 1).unwrap().to_owned(),
        format!("{token}A"),
        "x".into(),
        "%00".into(),
        "🦅".into(),
        AnswerTokens::new(&[[7; 32]], String::new()).issue(claims),
        // Signed by the hub, but for nothing that there is: only a stolen key makes these.
        issue(&|claims| claims.delivery = Uuid::nil().into()),
        issue(&|claims| claims.deadline = claims.deadline.after(std::time::Duration::from_secs(1))),
    ];
    for token in wrong {
        let url = format!("{base}/{token}");
        let (read, sent) = (open(&url).await, post(&url, &[("form", "f"), ("value", "approved")]).await);
        for page in [&read, &sent] {
            page.shows(404, &["This link leads to no question"]).lacks(&["Deploy", "<form"]);
        }
        assert_eq!(read.html, sent.html, "{token}");
    }
    assert_eq!(responses(&ana, &request).await, [""; 0]);
    assert_eq!(call(Method::GET, &format!("{base}/")).send().await.unwrap().status().as_u16(), 404);
}

#[tokio::test]
async fn the_link_of_who_is_deactivated_leads_nowhere_until_they_are_back() {
    let server = TestServer::start().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let ben_id = id(&ben).await;
    let request = ana.ask(&[&ben]).await;
    let url = link(&server, &request, &ben).await;
    let page = open(&url).await;
    page.shows(200, &["Deploy"]);
    assert_eq!(change(&ana, &ben_id, json!({"active": false})).await.body["active"], false);
    for page in [open(&url).await, send(&url, &page, &[("value", "approved")]).await] {
        page.shows(404, &["This link leads to no question"]).lacks(&["Deploy", "<form"]);
    }
    assert_eq!(responses(&ana, &request).await, [""; 0]);
    assert_eq!(now(&ana, &request).await["status"], "pending");
    change(&ana, &ben_id, json!({"active": true})).await;
    send(&url, &page, &[("value", "approved")]).await.shows(200, &["Thank you"]);
}

#[tokio::test]
async fn every_page_keeps_scripts_frames_caches_and_search_engines_out() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let request = ana.ask(&[&ana]).await;
    let url = link(&server, &request, &ana).await;
    let form = open(&url).await;
    let pages = [
        open(&format!("{}/answer/x", server.url())).await,
        send(&url, &form, &[]).await,
        send(&url, &form, &[("value", "approved")]).await,
        form,
    ];
    for page in pages {
        let header = |name: &str| page.headers[name].to_str().unwrap();
        assert_eq!(
            header("content-security-policy"),
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        );
        assert_eq!(header("content-type"), "text/html; charset=utf-8");
        assert_eq!((header("referrer-policy"), header("cache-control")), ("same-origin", "no-store"));
        assert_eq!((header("x-robots-tag"), header("x-content-type-options")), ("noindex", "nosniff"));
        page.lacks(&["<script", " style=", " onclick"]);
        for path in page.html.split('"').filter(|text| text.contains("assets/")) {
            let asset = url::Url::parse(&url).unwrap().join(path).unwrap();
            assert_eq!(call(Method::GET, asset.as_str()).send().await.unwrap().status().as_u16(), 200, "{asset}");
        }
    }
    let page = call(Method::GET, &format!("{}/", server.url())).send().await.unwrap();
    assert_eq!(page.headers()["referrer-policy"], "no-referrer", "of every other page");
}

#[tokio::test]
async fn a_form_of_another_site_answers_nothing() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let request = ana.ask(&[&ana]).await;
    let url = link(&server, &request, &ana).await;
    let page = open(&url).await;
    let fields = [("form", page.form().unwrap()), ("value", "approved")];
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        let answer = call(Method::POST, &url).header("Origin", origin).form(&fields).send().await.unwrap();
        let refused = crate::server::read(answer).await;
        assert_eq!((refused.status.as_u16(), refused.problem()), (403, "origin"), "{origin}");
    }
    assert_eq!(responses(&ana, &request).await, [""; 0]);
    let own = call(Method::POST, &url).header("Origin", server.url()).form(&fields).send().await.unwrap();
    Page::read(own).await.shows(200, &["Thank you"]);
}

#[tokio::test]
async fn what_no_form_sends_is_a_problem() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let request = ana.ask(&[&ana]).await;
    let url = link(&server, &request, &ana).await;
    let cases = [
        (call(Method::POST, &url).json(&json!({"value": "approved"})), 415, "unsupported_media_type"),
        (call(Method::POST, &url).body("value=approved"), 415, "unsupported_media_type"),
        (call(Method::POST, &url).form(&[("comment", "c".repeat(1 << 20))]), 413, "too_large"),
        (call(Method::PUT, &url).form(&[("value", "approved")]), 405, "method_not_allowed"),
    ];
    for (call, status, problem) in cases {
        let answer = crate::server::read(call.send().await.unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.problem()), (status, problem));
        assert!(!answer.body.to_string().contains(url.rsplit('/').next().unwrap()));
    }
    assert_eq!(now(&ana, &request).await["status"], "pending");
}

#[tokio::test]
async fn the_log_has_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = hearback(folder.path(), &[]);
    command.env("HEARBACK_BIND", "127.0.0.1:0").env("LOG_LEVEL", "debug").stderr(std::process::Stdio::piped());
    let mut hub = command.spawn().unwrap();
    let mut log = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(hub.stderr.take().unwrap()));
    let mut lines = Vec::new();
    let url = loop {
        lines.push(next(&mut log).await);
        let Some((_, rest)) = lines.last().unwrap().split_once("http://127.0.0.1:") else { continue };
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        if port != "0" {
            break format!("http://127.0.0.1:{port}");
        }
    };
    let token = "SECRET".repeat(16) + "AA";
    let calls = [
        (Method::GET, format!("/answer/{token}")),
        (Method::HEAD, format!("/answer/{token}")),
        (Method::POST, format!("/answer/{token}")),
        (Method::PUT, format!("/answer/{token}")),
        (Method::GET, format!("/answer/{token}/")),
        (Method::GET, format!("/answer/{token}?token={token}")),
        (Method::GET, format!("//answer/{token}")),
        (Method::GET, format!("/hub/answer/{token}")),
        (Method::OPTIONS, format!("/answer/{token}")),
    ];
    for (method, path) in calls {
        call(method.clone(), &format!("{url}{path}")).send().await.unwrap();
        let foreign = call(method, &format!("{url}{path}")).header("Origin", "https://evil.example");
        foreign.form(&[("value", "approved")]).send().await.unwrap();
    }
    call(Method::GET, &format!("{url}/livez")).send().await.unwrap();
    while !lines.last().unwrap().contains("\"/livez\"") {
        lines.push(next(&mut log).await);
    }
    let told = lines.iter().filter(|line| line.contains("SECRET")).collect::<Vec<_>>();
    assert!(told.is_empty(), "{told:?}");
    assert!(lines.iter().filter(|line| line.contains("/answer/{token}")).count() >= 6, "{lines:?}");
}

#[tokio::test]
async fn a_link_stays_good_across_a_restart() {
    let mut server = TestServer::start().await;
    let ana = server.register("ana").await;
    let request = ana.ask(&[&ana]).await;
    let token = link(&server, &request, &ana).await.rsplit('/').next().unwrap().to_owned();
    server.restart_with(|config| config.answer_sign_in = AnswerSignIn::Off).await;
    let url = format!("{}/answer/{token}", server.url());
    send(&url, &open(&url).await, &[("value", "approved")]).await.shows(200, &["Thank you"]);
}
