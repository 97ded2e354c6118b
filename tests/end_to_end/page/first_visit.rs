//! From an empty hub to the first answer that an agent hears.

use serde_json::json;

use super::{browser::Browser, card, now, on};
use crate::server::TestServer;

#[tokio::test]
async fn a_newcomer_makes_an_account_and_a_token_and_the_agent_hears_the_answer() {
    let Some(browser) = Browser::start().await else { return };
    let server = TestServer::start().await;
    browser.open(&server.url()).await;
    browser.read("#register-form h1", "Create the administrator’s account").await;
    browser.register("ana").await;
    browser.read("[data-view=inbox]", "Nothing waits for you").await;
    browser.click("#account summary").await;
    browser.read("#account", "Administrator").await;

    let token = browser.make_token("deploy-bot").await;
    let lines = browser.text("#new-token-lines").await;
    for part in [format!("HEARBACK_URL={}", server.url()), format!("HEARBACK_TOKEN={token}"), "--to ana".into()] {
        assert!(lines.lines().any(|line| line.contains(&part)), "{part} in {lines}");
    }
    browser.read("#token-list", "deploy-bot").await;
    browser.click("a[href='#/']").await;
    browser.see("[data-view=inbox]").await;
    browser.run("window.loaded = 'once'").await;

    let agent = server.caller(&token);
    let request = agent.put(json!({"kind": "approval", "prompt": "Deploy **1.4.2**?", "to": ["ana"]})).await;
    let path = format!("/api/feedback/{}?wait=60", request["id"].as_str().unwrap());
    let waiter = tokio::spawn({
        let agent = agent.clone();
        async move { agent.get(&path).await.body }
    });
    browser.see(&format!("{}[data-status=pending][data-kind=approval]", card(&request))).await;
    browser.read(&card(&request), "deploy-bot").await;
    assert_eq!(browser.text(&on(&request, ".prompt strong")).await, "1.4.2");
    assert_eq!(browser.text("#pending-count").await.lines().next(), Some("1"));
    assert!(!waiter.is_finished(), "nobody has answered yet");

    browser.fill(&on(&request, "[data-comment]"), "After the backup.").await;
    browser.click(&on(&request, "[data-answer=approved]")).await;
    let heard = waiter.await.unwrap();
    assert_eq!(heard["status"], "answered");
    let outcome = &heard["outcome"];
    assert_eq!(outcome["value"], "approved");
    assert_eq!(outcome["comment"], "After the backup.");
    assert_eq!((&outcome["channel"], &outcome["source"]), (&json!("web"), &json!("person")));
    assert_eq!(outcome["by"]["username"], "ana");
    assert_eq!(now(&agent, &request).await, heard);

    browser.read(&on(&request, "[data-ending=answered]"), "Approved by you on the web at").await;
    browser.read(&on(&request, "[data-ending=answered]"), "After the backup.").await;
    browser.see_gone("#pending-count").await;
    assert_eq!(browser.run("return window.loaded").await, "once");
    browser.close(&[]).await;
}

#[tokio::test]
async fn a_revoked_token_leaves_the_list_and_asks_no_more() {
    let Some(browser) = Browser::start().await else { return };
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    browser.sign_in(&server.url(), &ana).await;
    let agent = server.caller(&browser.make_token("ci").await);
    agent.ask(&[&ana]).await;
    browser.click("[data-revoke]").await;
    browser.click("dialog[open] button.reject").await;
    browser.see_gone("[data-revoke]").await;
    browser.see_gone("#new-token").await;
    assert_eq!(agent.get("/api/feedback").await.status, 401);
    browser.close(&[]).await;
}
