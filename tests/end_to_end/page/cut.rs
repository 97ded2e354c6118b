//! The line is cut, or the hub restarts: the page says so, and afterwards knows everything, once.

use std::net::SocketAddr;

use serde_json::json;

use super::{browser::Browser, card, line::Line, now, on, status};
use crate::server::TestServer;

/// What the browser writes down of a line that is cut.
const CUT: [&str; 3] = ["ERR_", "WebSocket connection", "responded with a status of 503"];

/// A hub that people reach over a line.
async fn hub_behind_a_line() -> (TestServer, Line) {
    let line = Line::new().await;
    let server = TestServer::with(|config| config.public_url = line.url().parse().unwrap()).await;
    line.lead_to(address(&server));
    (server, line)
}

fn address(server: &TestServer) -> SocketAddr {
    server.running().app().config.bind
}

#[tokio::test]
async fn after_a_cut_nothing_is_missing_and_nothing_is_there_twice() {
    let Some(browser) = Browser::start().await else { return };
    let (server, line) = hub_behind_a_line().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let agent = server.agent(&ana).await;
    browser.sign_in(&line.url(), &ana).await;
    let (before, shared) = (agent.ask(&[&ana]).await, agent.ask(&[&ana, &ben]).await);
    browser.see(&card(&before)).await;
    browser.see(&card(&shared)).await;
    assert!(!browser.text("body").await.contains("Not connected"));

    line.cut();
    browser.see("#connection[data-state=offline]").await;
    browser.read("#offline-banner", "Not connected").await;
    let meanwhile = agent.ask(&[&ana]).await;
    assert!(ben.answer(&shared, json!("approved")).await.status.is_success());
    browser.fill(&on(&before, "[data-comment]"), "Go ahead").await;
    browser.click(&on(&before, "[data-answer=approved]")).await;
    browser.read(&on(&before, ".said"), "Not sent").await;
    assert_eq!(browser.value(&on(&before, "[data-comment]")).await, "Go ahead");
    browser.see(&format!("{}[data-status=pending]", card(&shared))).await;

    line.lead_to(address(&server));
    browser.see("#connection[data-state=online]").await;
    browser.see_gone("#offline-banner").await;
    browser.see(&on(&meanwhile, "[data-answer=approved]")).await;
    browser.read(&on(&shared, "[data-ending=answered]"), "Approved by ben over the API").await;
    for request in [&before, &shared, &meanwhile] {
        assert_eq!(browser.count(&format!("[data-request-id={:?}]", request["id"].as_str().unwrap())).await, 1);
    }
    assert_eq!(now(&agent, &before).await["status"], "pending", "what was pressed while cut off is not sent later");
    browser.click(&on(&before, "[data-answer=approved]")).await;
    browser.read(&on(&before, "[data-ending=answered]"), "Go ahead").await;
    assert_eq!(now(&agent, &before).await["outcome"]["comment"], "Go ahead");
    browser.close(&CUT).await;
}

#[tokio::test]
async fn a_restarted_hub_is_found_again() {
    let Some(browser) = Browser::start().await else { return };
    let (mut server, line) = hub_behind_a_line().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    browser.sign_in(&line.url(), &ana).await;
    let before = agent.ask(&[&ana]).await;
    browser.see(&card(&before)).await;
    browser.run("window.loaded = 'once'").await;

    // The hub closes the socket itself as it stops, and nothing listens where it was.
    server.restart().await;
    browser.see("#offline-banner").await;
    line.lead_to(address(&server));
    browser.see("#connection[data-state=online]").await;
    browser.see_gone("#offline-banner").await;
    let agent = server.caller(agent.token.as_ref().unwrap());
    let after = agent.ask(&[&ana]).await;
    browser.see(&card(&after)).await;
    assert_eq!(browser.count("article").await, 2);
    assert_eq!(browser.run("return window.loaded").await, "once");
    browser.click(&on(&after, "[data-answer=approved]")).await;
    browser.see(&on(&after, "[data-ending=answered]")).await;
    browser.close(&CUT).await;
}

#[tokio::test]
async fn an_answer_that_comes_second_is_told_who_was_first() {
    let Some(browser) = Browser::start().await else { return };
    let (server, line) = hub_behind_a_line().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    browser.sign_in(&line.url(), &ana).await;
    let request = ben.ask(&[&ana, &ben]).await;
    browser.fill(&on(&request, "[data-comment]"), "Mine").await;
    // This page no longer hears the hub, but its calls arrive.
    line.lead_calls_to(address(&server));
    browser.see("#offline-banner").await;
    assert!(ben.answer(&request, json!("rejected")).await.status.is_success());
    browser.click(&on(&request, "[data-answer=approved]")).await;
    browser.read(&on(&request, "[data-ending=answered]"), "Rejected by ben over the API").await;
    browser.read(&on(&request, ".unsent"), "Mine").await;
    assert_eq!(now(&ben, &request).await["outcome"]["value"], "rejected");
    browser.close(&[CUT.as_slice(), &[status!(409)]].concat()).await;
}
