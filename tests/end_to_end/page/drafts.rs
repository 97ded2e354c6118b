//! What was typed and not sent: it stays, also when somebody else was first.

use serde_json::{Value, json};

use super::{browser::Browser, card, now, on};
use crate::server::TestServer;

#[tokio::test]
async fn who_was_first_is_told_live_and_the_unsent_text_stays() {
    let Some(browser) = Browser::start().await else { return };
    let server = TestServer::start().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let agent = server.agent(&ana).await;
    browser.sign_in(&server.url(), &ana).await;
    let request = agent.ask(&[&ana, &ben]).await;
    browser.fill(&on(&request, "[data-comment]"), "Wait for the backup").await;

    let path = format!("/api/feedback/{}/responses", request["id"].as_str().unwrap());
    let first = ben.post(&path, json!({"value": "rejected", "comment": "Not on a Friday."})).await;
    assert!(first.status.is_success(), "{first:?}");
    let ending = on(&request, "[data-ending=answered]");
    browser.read(&ending, "Rejected by ben over the API at").await;
    browser.read(&ending, "Not on a Friday.").await;
    browser.read(&on(&request, ".unsent"), "Wait for the backup").await;
    browser.see_gone(&on(&request, "[data-answer]")).await;
    browser.see_gone("#pending-count").await;
    browser.read("#announcer", "Rejected by ben").await;

    browser.reload().await;
    browser.read(&on(&request, ".unsent"), "Wait for the backup").await;
    browser.click(&on(&request, ".unsent button:last-child")).await;
    browser.reload().await;
    browser.read("#ended", "Rejected by ben over the API").await;
    assert_eq!(browser.count(".unsent").await, 0);
    assert_eq!(ana.get(&path).await.body["items"].as_array().map(Vec::len), Some(1));
    browser.close(&[]).await;
}

#[tokio::test]
async fn unsent_text_survives_a_reload_and_is_gone_once_sent() {
    let Some(browser) = Browser::start().await else { return };
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    let input = agent.put(json!({"kind": "input", "prompt": "Release note?", "to": ["ana"]})).await;
    let options = json!([{"value": "eu"}, {"value": "us"}]);
    let choice = json!({"kind": "choice", "prompt": "Where?", "options": options, "to": ["ana"]});
    let choice = agent.put(choice).await;
    let schema = json!({"type": "object", "properties": {"team": {"type": "string"}, "paged": {"type": "boolean"}}});
    let form = agent.put(json!({"kind": "form", "prompt": "Who?", "schema": schema, "to": ["ana"]})).await;
    browser.sign_in(&server.url(), &ana).await;

    browser.fill(&on(&input, "[name=value]"), "Faster \"search\" <b>\n& fewer bugs").await;
    browser.fill(&on(&input, "[data-comment]"), "Ask Ben, too").await;
    browser.click(&on(&choice, "input[value=us]")).await;
    browser.fill(&on(&form, "[name='value.team']"), "storage").await;
    browser.click(&on(&form, "[name='value.paged']")).await;
    browser.reload().await;
    browser.see_inbox().await;
    assert_eq!(browser.value(&on(&input, "[name=value]")).await, "Faster \"search\" <b>\n& fewer bugs");
    assert_eq!(browser.value(&on(&input, "[data-comment]")).await, "Ask Ben, too");
    assert!(browser.ticked(&on(&choice, "input[value=us]")).await);
    assert_eq!(browser.value(&on(&form, "[name='value.team']")).await, "storage");
    assert!(browser.ticked(&on(&form, "[name='value.paged']")).await);

    for (request, value) in [
        (&input, json!("Faster \"search\" <b>\n& fewer bugs")),
        (&choice, json!("us")),
        (&form, json!({"team": "storage", "paged": true})),
    ] {
        browser.click(&on(request, "[data-answer=submit]")).await;
        browser.see(&on(request, "[data-ending=answered]")).await;
        assert_eq!(now(&agent, request).await["outcome"]["value"], value);
    }
    let kept = "return Object.keys(localStorage).filter((key) => key.startsWith('hearback.draft.'))";
    assert_eq!(browser.run(kept).await, Value::Array(vec![]));
    browser.reload().await;
    browser.see(&format!("#ended [data-request-id={:?}]", form["id"].as_str().unwrap())).await;
    assert_eq!(browser.count(&card(&input)).await, 0);
    browser.close(&[]).await;
}
