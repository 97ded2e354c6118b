//! How often somebody may answer by links, and with what that counts.

use std::{sync::Arc, time::Duration};

use hearback_core::{
    Clock,
    clock::{ManualClock, SystemClock},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{link, now, open, post, responses, send, sign_in::cookies, text};
use crate::{
    limits::rate,
    server::{Answered, TestServer, read},
};

const YES: [(&str, &str); 1] = [("value", "approved")];

async fn server(limit: u32) -> (Arc<ManualClock>, TestServer) {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let server = TestServer::on(clock.clone(), |config| config.rate_limit_channel = limit).await;
    (clock, server)
}

#[tokio::test]
async fn who_answers_too_often_sees_a_page_that_says_so_and_the_question_stays() {
    let (clock, server) = server(1).await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let agent = server.agent(&ana).await;
    let (first, second) = (agent.ask(&[&ana]).await, agent.ask(&[&ana, &ben]).await);
    let (one, other) = (link(&server, &first, &ana).await, link(&server, &second, &ana).await);
    send(&one, &open(&one).await, &YES).await.shows(200, &["Thank you"]);

    let page = open(&other).await;
    for refused in [send(&other, &page, &YES).await, post(&other, &[]).await] {
        refused.shows(429, &["too many answers within a minute"]).lacks(&["Deploy", "Thank you"]);
        let told = ["retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];
        assert_eq!(told.map(|name| refused.headers[name].to_str().unwrap()), ["60", "1", "0", "60"]);
        let document = server.nobody().get("/openapi.json").await.body;
        let described = &document["paths"]["/answer/{token}"]["post"]["responses"]["429"]["headers"];
        let described: Vec<_> = described.as_object().unwrap().keys().map(|name| name.to_lowercase()).collect();
        assert!(told.iter().all(|name| described.iter().any(|known| known == name)), "{described:?}");
        assert_eq!(refused.headers["cache-control"], "no-store");
    }
    assert_eq!(now(&agent, &second).await["status"], "pending");
    assert_eq!(responses(&agent, &second).await, [""; 0], "it is not kept either");
    for _ in 0..3 {
        open(&other).await.shows(200, &["Deploy"]);
        open(&one).await.shows(200, &["This question is closed"]);
    }
    // A link that is none counts for nobody, and what one person does not for another.
    post(&format!("{}/answer/x", server.url()), &YES).await.shows(404, &["leads to no question"]);
    let of_ben = link(&server, &second, &ben).await;
    send(&of_ben, &open(&of_ben).await, &[("value", "maybe")]).await.shows(422, &["Deploy"]);
    clock.advance(Duration::from_mins(1));
    send(&other, &page, &YES).await.shows(200, &["Thank you"]);
}

#[tokio::test]
async fn answers_by_links_count_with_those_of_the_page_at_the_root_and_not_with_the_api() {
    let (_, server) = server(2).await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let cookies = cookies(&server, &ana).await;
    let csrf = cookies.split("; ").find_map(|cookie| cookie.strip_prefix("hb_csrf=")).unwrap();
    let in_browser = async |request: &Value| -> Answered {
        let path = format!("/api/feedback/{}/responses", text(&request["id"]));
        let call = server.nobody().call(Method::POST, &path).header("Cookie", &cookies).header("X-CSRF-Token", csrf);
        read(call.header("Origin", server.url()).json(&json!({"value": "approved"})).send().await.unwrap()).await
    };
    let mut questions = Vec::new();
    for _ in 0..4 {
        questions.push(agent.ask(&[&ana]).await);
    }
    let answered = in_browser(&questions[0]).await;
    assert_eq!((answered.status.as_u16(), &rate(&answered)[..2]), (200, &[2, 1][..]));
    let url = link(&server, &questions[1], &ana).await;
    send(&url, &open(&url).await, &YES).await.shows(200, &["Thank you"]);

    let refused = in_browser(&questions[2]).await;
    assert_eq!((refused.problem(), rate(&refused)), ("too_many_requests", [2, 0, 60]));
    let url = link(&server, &questions[2], &ana).await;
    send(&url, &open(&url).await, &YES).await.shows(429, &[]);
    assert_eq!(now(&agent, &questions[2]).await["status"], "pending");
    let over_api = ana.answer(&questions[3], json!("approved")).await;
    assert_eq!((over_api.status.as_u16(), &rate(&over_api)[..2]), (200, &[2, 1][..]));
}
