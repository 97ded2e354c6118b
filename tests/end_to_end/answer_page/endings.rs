//! What becomes of an answer, and what is shown when the question is over.

use std::{sync::Arc, time::Duration};

use hearback_core::{Timestamp, clock::ManualClock};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{call, link, now, open, post, responses, send};
use crate::{program::BOUND, server::TestServer};

const YES: [(&str, &str); 2] = [("value", "approved"), ("comment", "go ahead")];

#[tokio::test]
async fn a_form_that_is_sent_twice_answers_once() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let request = ana.ask(&[&ana]).await;
    let url = link(&server, &request, &ana).await;
    let page = open(&url).await;
    let (one, other) = tokio::join!(send(&url, &page, &YES), send(&url, &page, &YES));
    for done in [one, other, send(&url, &page, &YES).await] {
        done.shows(200, &["Thank you", "Approved by you on the web"]);
    }
    assert_eq!(responses(&ana, &request).await, ["accepted web \"approved\""]);
    // The other button of the same form is another answer, and so is the same one by another form.
    send(&url, &page, &[("value", "rejected")]).await.shows(409, &["Approved by you on the web", "was not counted"]);
    let stale = [("form", "another"), YES[0]];
    post(&url, &stale).await.shows(409, &["Approved by you"]);
    post(&url, &stale).await.shows(409, &["Approved by you"]);
    let kept = ["accepted web \"approved\"", "late web \"rejected\"", "late web \"approved\""];
    assert_eq!(responses(&ana, &request).await, kept);
}

#[tokio::test]
async fn an_invalid_answer_is_corrected_also_by_the_form_that_was_wrong() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let draft = json!({"kind": "input", "prompt": "?", "min_length": 3, "to": ["ana"]});
    let request = ana.put(draft).await;
    let url = link(&server, &request, &ana).await;
    let old = open(&url).await;
    let wrong = send(&url, &old, &[("value", "a")]).await;
    wrong.shows(422, &["has 1 characters"]);
    assert_ne!(wrong.form(), old.form());
    let again = send(&url, &old, &[("value", "a")]).await;
    again.shows(422, &["has 1 characters"]);
    assert_eq!(responses(&ana, &request).await, ["invalid web \"a\""], "the same twice is one");
    let long = "c".repeat(4001);
    send(&url, &old, &[("value", "abc"), ("comment", &long)])
        .await
        .shows(422, &["data-error-for=\"comment\"", "at most 4000"]);
    // Gone back to in the browser.
    send(&url, &old, &[("value", "abc")]).await.shows(200, &["Thank you"]);
    assert_eq!(now(&ana, &request).await["outcome"]["value"], "abc");
}

#[tokio::test]
async fn what_was_not_sent_by_a_form_of_the_page_answers_nothing() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let request = ana.ask(&[&ana]).await;
    let url = link(&server, &request, &ana).await;
    let page = post(&url, &YES).await;
    page.shows(422, &["not sent by the form of this page", "go ahead</textarea>"]);
    assert_eq!(now(&ana, &request).await["status"], "pending");
    send(&url, &page, &YES).await.shows(200, &["Thank you"]);
}

#[tokio::test]
async fn reading_never_answers_whoever_reads() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let request = ana.ask(&[&ana]).await;
    let url = link(&server, &request, &ana).await;
    let scanners = [
        ("User-Agent", "BingPreview/1.0b"),
        ("Sec-Purpose", "prefetch;prerender"),
        ("Purpose", "prefetch"),
        ("X-Moz", "prefetch"),
        ("Accept", "*/*"),
    ];
    let mut forms = std::collections::HashSet::new();
    for (name, value) in scanners {
        for (method, query) in [(Method::HEAD, ""), (Method::GET, ""), (Method::GET, "?value=approved&form=x")] {
            let answer = call(method.clone(), &format!("{url}{query}")).header(name, value).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 200, "{method} {name}");
            let html = answer.text().await.unwrap();
            assert_eq!(html.is_empty(), method == Method::HEAD);
        }
        forms.insert(open(&url).await.form().unwrap().to_owned());
    }
    assert_eq!(forms.len(), scanners.len(), "every form has a text of its own");
    for method in [Method::PUT, Method::DELETE, Method::OPTIONS] {
        assert_eq!(call(method.clone(), &url).send().await.unwrap().status().as_u16(), 405, "{method}");
    }
    assert_eq!(responses(&ana, &request).await, [""; 0]);
    assert_eq!(now(&ana, &request).await["status"], "pending");
    send(&url, &open(&url).await, &YES).await.shows(200, &["Thank you"]);
}

#[tokio::test]
async fn who_comes_too_late_is_told_who_answered_and_keeps_what_was_typed() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let ben = server.register("ben").await;
    let schema =
        json!({"type": "object", "properties": {"n": {"type": "integer", "title": "Number"}}, "required": ["n"]});
    let draft = json!({"kind": "form", "prompt": "How many?", "schema": schema, "to": ["ana", "ben"]});
    let request = ana.put(draft).await;
    let url = link(&server, &request, &ben).await;
    let page = open(&url).await;
    page.shows(200, &["You answer as <strong dir=\"auto\">ben</strong>"]);
    assert!(ana.answer(&request, json!({"n": 4})).await.status.is_success());
    let closed = ["Answered by ana over the API", "<dt dir=\"auto\">Number</dt>"];
    open(&url).await.shows(200, &closed).shows(200, &["This question is closed"]).lacks(&["<form", "<button"]);
    let late = send(&url, &page, &[("value.n", "5"), ("comment", "mine")]).await;
    late.shows(409, &closed).shows(409, &["too late", "Number: 5\nmine"]).lacks(&["<form"]);
    send(&url, &page, &[("value.n", "five")]).await.shows(409, &closed);
    let kept = ["accepted api {\"n\":4}", "late web {\"n\":5}", "late web {\"value.n\":[\"five\"]}"];
    assert_eq!(responses(&ana, &request).await, kept);
}

#[tokio::test]
async fn a_question_that_was_taken_back_says_so() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let request = ana.ask(&[&ana]).await;
    let url = link(&server, &request, &ana).await;
    let page = open(&url).await;
    let path = format!("/api/feedback/{}/cancel", request["id"].as_str().unwrap());
    assert!(ana.post(&path, Value::Null).await.status.is_success());
    open(&url).await.shows(200, &["This question is closed", "Cancelled by the asker"]).lacks(&["<form"]);
    send(&url, &page, &YES).await.shows(409, &["Cancelled by the asker"]);
    assert_eq!(responses(&ana, &request).await, ["late web \"approved\""]);
}

#[tokio::test]
async fn a_deadline_that_passes_while_somebody_thinks_has_passed() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_795_253_400_000_000)));
    let server = TestServer::on(clock.clone(), |_| {}).await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let draft = json!({"kind": "approval", "prompt": "?", "to": ["ana"], "expires_in": 600, "on_expiry": "rejected"});
    let request = agent.put(draft).await;
    let url = link(&server, &request, &ana).await;
    let page = open(&url).await;
    page.shows(200, &["Answer by 21 Nov 2026, 09:40 UTC", "10 minutes left"]);
    clock.advance(Duration::from_mins(10));
    let over = ["Expired without an answer, 21 Nov 2026, 09:40 UTC; rejected stands"];
    open(&url).await.shows(200, &over).lacks(&["<form"]);
    send(&url, &page, &YES).await.shows(410, &over);
    assert_eq!(responses(&agent, &request).await, ["late web \"approved\""]);
    let read = now(&agent, &request).await;
    assert_eq!((&read["status"], &read["outcome"]["source"]), (&json!("expired"), &json!("on_expiry")));
}

#[tokio::test]
async fn an_agent_that_waits_is_woken() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let request = agent.ask(&[&ana]).await;
    let url = link(&server, &request, &ana).await;
    let page = open(&url).await;
    let (waiter, wait) = (agent.clone(), format!("/api/feedback/{}?wait=60", request["id"].as_str().unwrap()));
    let waiting = tokio::spawn(async move { waiter.get(&wait).await });
    server.parked(1).await;
    send(&url, &page, &YES).await.shows(200, &["Thank you"]);
    let heard = timeout(BOUND, waiting).await.expect("the agent hears back").unwrap().body;
    assert_eq!((&heard["outcome"]["value"], &heard["outcome"]["comment"]), (&json!("approved"), &json!("go ahead")));
}

#[tokio::test]
async fn a_hub_that_cannot_read_its_database_says_so_on_a_page() {
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let request = ana.ask(&[&ana]).await;
    let url = link(&server, &request, &ana).await;
    let page = open(&url).await;
    server.running().storage().close().await;
    for page in [open(&url).await, send(&url, &page, &YES).await] {
        page.shows(503, &["This did not work", "Nothing is lost"]);
        assert!(page.headers.contains_key("retry-after") && page.headers["cache-control"] == "no-store");
    }
}
