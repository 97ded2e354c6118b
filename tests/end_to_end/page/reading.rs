//! Opening a link, or everything that can be got, answers nothing.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{browser::Browser, card, now, on};
use crate::server::TestServer;

#[tokio::test]
async fn opening_a_request_and_getting_everything_answers_nothing() {
    let Some(browser) = Browser::start().await else { return };
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let request = agent.ask(&[&ana]).await;
    let id = request["id"].as_str().unwrap();
    let page = format!("{}/#/requests/{id}", server.url());

    browser.open(&page).await;
    browser.fill_sign_in(&ana.username, crate::server::PASSWORD).await;
    browser.see(&format!("[data-view=request] {}[data-status=pending]", card(&request))).await;
    browser.reload().await;
    browser.see(&on(&request, "[data-answer=approved]")).await;

    let document = server.nobody().get("/openapi.json").await.body;
    let described = document["paths"].as_object().unwrap().keys().map(|path| path.replace("{id}", id));
    let besides = ["/docs", "/redoc", "/openapi.json", "/metrics", "/ws", "/assets/app.js"].map(String::from);
    for path in described.chain(besides) {
        for query in ["", "?value=approved", "?answer=approved&comment=x"] {
            for (method, caller) in [(Method::GET, &ana), (Method::HEAD, &ana), (Method::GET, &server.nobody())] {
                let call = caller.call(method, &format!("{path}{query}")).send();
                // A stream stays open, but what it would change is changed by now.
                let answer = timeout(Duration::from_secs(10), call).await.unwrap().unwrap();
                assert!(!answer.status().is_server_error(), "{path}{query}: {answer:?}");
            }
        }
    }
    let still = now(&agent, &request).await;
    assert_eq!((&still["status"], &still["outcome"]), (&json!("pending"), &Value::Null));
    let responses = agent.get(&format!("/api/feedback/{id}/responses")).await.body;
    assert_eq!(responses["items"], json!([]));

    browser.click(&on(&request, "[data-answer=approved]")).await;
    browser.see(&on(&request, "[data-ending=answered]")).await;
    browser.open(&format!("{}/#/requests/01890000-0000-7000-8000-000000000000", server.url())).await;
    browser.read("[data-view=request] [role=alert]", "There is no such request for you").await;
    browser.close(&[super::status!(404)]).await;
}
