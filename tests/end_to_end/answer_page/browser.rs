//! A real browser: one whose scripts are switched off, and one that is signed in.

use hearback::config::AnswerSignIn;
use serde_json::json;

use super::{link, now};
use crate::{
    page::browser::Browser,
    server::{PASSWORD, TestServer},
};

#[tokio::test]
async fn an_approval_and_a_form_are_answered_without_a_script() {
    let Some(browser) = Browser::without_scripts().await else { return };
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;

    let approval = agent.ask(&[&ana]).await;
    browser.open(&link(&server, &approval, &ana).await).await;
    browser.read(".prompt", "Deploy 1.4.2?").await;
    browser.fill("textarea[name=comment]", "Not before Monday.").await;
    browser.click("button[value=rejected]").await;
    browser.read("[data-ending=answered]", "Rejected by you on the web").await;
    browser.read("blockquote", "Not before Monday.").await;
    let outcome = &now(&agent, &approval).await["outcome"];
    assert_eq!((&outcome["value"], &outcome["comment"]), (&json!("rejected"), &json!("Not before Monday.")));

    let form = agent.put(json!({
        "kind": "form", "prompt": "What happened?", "to": ["ana"],
        "schema": {
            "type": "object", "required": ["contact", "affected", "impact"],
            "properties": {
                "contact": {"type": "string", "title": "Who takes calls?", "minLength": 3},
                "affected": {"type": "integer", "title": "Customers affected", "minimum": 0},
                "impact": {"enum": ["none", "slow", "outage"]},
                "published": {"type": "boolean", "title": "Already on the status page"},
                "areas": {"type": "array", "items": {"enum": ["web", "mail"]}},
                "hosts": {"type": "array", "items": {"type": "string"}},
            },
        },
    }));
    let form = form.await;
    let field = |name: &str| format!("[name='value.{name}']");
    browser.open(&link(&server, &form, &ana).await).await;
    browser.fill(&field("contact"), "Alma").await;
    browser.fill(&field("affected"), "many").await;
    browser.choose(&field("impact"), "outage").await;
    browser.click(&field("published")).await;
    browser.click("input[name='value.areas'][value='1']").await;
    browser.fill(&field("hosts"), "web-1\nweb-2").await;
    browser.click("button.primary").await;
    browser.read("[data-error-for='value.affected']", "Write a number").await;
    assert_eq!(browser.value(&field("affected")).await, "many");
    assert!(browser.ticked(&field("published")).await);
    browser.fill(&field("affected"), "1200").await;
    browser.click("button.primary").await;
    browser.read("[data-ending=answered]", "Answered by you on the web").await;
    let value = json!({
        "contact": "Alma", "affected": 1200, "impact": "outage", "published": true, "areas": ["mail"],
        "hosts": ["web-1", "web-2"],
    });
    assert_eq!(now(&agent, &form).await["outcome"]["value"], value);
    browser.reload().await;
    browser.close(&["responded with a status of 422"]).await;
}

#[tokio::test]
async fn where_a_sign_in_is_required_the_page_leads_there_and_on_from_a_mail() {
    let Some(browser) = Browser::start().await else { return };
    let server = TestServer::with(|config| config.answer_sign_in = AnswerSignIn::Required).await;
    let ana = server.register("ana").await;
    let request = ana.ask(&[&ana]).await;
    let url = link(&server, &request, &ana).await;
    browser.open(&url).await;
    browser.read("h1", "Sign in to see this question").await;
    browser.click("a[href='../']").await;
    browser.fill_sign_in("ana", PASSWORD).await;
    browser.see_inbox().await;
    // A browser keeps the sign-in's cookies back on the way from another site, and sends them from there on.
    browser.open(&format!("data:text/html,<a href='{url}'>Answer</a>")).await;
    browser.click("a").await;
    browser.read("h1", "Sign in to see this question").await;
    browser.click("a[href='']").await;
    browser.read(".prompt", "Deploy 1.4.2?").await;
    // The sign-in ends while the answer is written. What was written is there, and goes out once they are back.
    let said = "Only after lunch.\nSay \"hello\" & <wait>.";
    browser.fill("textarea[name=comment]", said).await;
    let changed = json!({"current_password": PASSWORD, "new_password": "lamp and lamp 9"});
    assert!(ana.post("/api/auth/password", changed).await.status.is_success());
    browser.click("button[value=approved]").await;
    browser.read(".nothing", "What you wrote is kept here").await;
    assert_eq!(now(&ana, &request).await["status"], "pending");
    browser.click("a[href='../']").await;
    browser.turn_to(1).await;
    browser.fill_sign_in("ana", "lamp and lamp 9").await;
    browser.see_inbox().await;
    browser.turn_to(0).await;
    browser.click("button").await;
    browser.read("[data-ending=answered]", "Approved by you on the web").await;
    let outcome = &now(&ana, &request).await["outcome"];
    assert_eq!((&outcome["by"]["username"], &outcome["comment"]), (&json!("ana"), &json!(said)));
    browser.close(&["responded with a status of 401", "responded with a status of 403"]).await;
}
