//! Every kind of question, answered by the page's own controls.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{browser::Browser, now, on, status};
use crate::server::{Caller, TestServer};

/// The verdicts on what was answered so far.
async fn verdicts(caller: &Caller, request: &Value) -> Vec<Value> {
    let path = format!("/api/feedback/{}/responses", request["id"].as_str().unwrap());
    let answer = caller.get(&path).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.body["items"].as_array().unwrap().iter().map(|response| response["verdict"].clone()).collect()
}

async fn send(browser: &Browser, request: &Value) {
    browser.click(&on(request, "[data-answer=submit]")).await;
}

/// Waits for the ending, and checks what the hub holds.
async fn ends_with(browser: &Browser, caller: &Caller, request: &Value, value: Value) {
    browser.read(&on(request, "[data-ending=answered]"), "Answered by you on the web").await;
    assert_eq!(now(caller, request).await["outcome"]["value"], value);
}

#[tokio::test]
async fn approvals_and_choices() {
    let Some(browser) = Browser::start().await else { return };
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    browser.sign_in(&server.url(), &ana).await;

    let approval = agent.ask(&[&ana]).await;
    browser.click(&on(&approval, "[data-answer=rejected]")).await;
    browser.read(&on(&approval, "[data-ending=answered]"), "Rejected by you on the web").await;
    let outcome = &now(&agent, &approval).await["outcome"];
    assert_eq!((&outcome["value"], &outcome["comment"]), (&json!("rejected"), &Value::Null));

    let options =
        json!([{"value": "eu", "label": "Europe"}, {"value": "us", "label": "United States"}, {"value": "ap"}]);
    let draft = json!({"kind": "choice", "prompt": "Which region?", "options": options, "to": ["ana"]});
    let one = agent.put(draft.clone()).await;
    send(&browser, &one).await;
    browser.read(&on(&one, "[data-error-for=value]"), "Choose one.").await;
    browser.click(&on(&one, "input[value=us]")).await;
    browser.read(&on(&one, "label:has(:checked)"), "United States").await;
    send(&browser, &one).await;
    ends_with(&browser, &agent, &one, json!("us")).await;
    browser.read(&on(&one, ".outcome-value"), "United States").await;

    let mut draft = draft;
    draft["multiple"] = json!(true);
    let many = agent.put(draft).await;
    send(&browser, &many).await;
    browser.read(&on(&many, "[data-error-for=value]"), "Choose at least one.").await;
    browser.click(&on(&many, "input[value=eu]")).await;
    browser.click(&on(&many, "input[value=ap]")).await;
    send(&browser, &many).await;
    ends_with(&browser, &agent, &many, json!(["eu", "ap"])).await;
    assert_eq!(verdicts(&agent, &many).await, ["accepted"]);
    browser.close(&[]).await;
}

#[tokio::test]
async fn an_input_whose_wrong_text_is_told_at_its_field() {
    let Some(browser) = Browser::start().await else { return };
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    browser.sign_in(&server.url(), &ana).await;

    // The page leaves this pattern to the hub, and checks the length itself.
    let request = agent.put(json!({
        "kind": "input", "prompt": "A name for the release?", "min_length": 3, "max_length": 20,
        "pattern": r"^\p{Lu}", "to": ["ana"],
    }));
    let request = request.await;
    let (field, error) = (on(&request, "[name=value]"), on(&request, "[data-error-for=value]"));
    browser.fill(&field, "fa").await;
    send(&browser, &request).await;
    browser.read(&error, "At least 3 characters; this has 2.").await;
    assert_eq!(verdicts(&agent, &request).await, [""; 0]);
    browser.fill(&field, "falcon").await;
    send(&browser, &request).await;
    browser.read(&error, r"^\p{Lu}").await;
    assert_eq!(verdicts(&agent, &request).await, ["invalid"]);
    assert_eq!(browser.value(&field).await, "falcon");
    browser.fill(&field, "Ördög 🦅").await;
    send(&browser, &request).await;
    ends_with(&browser, &agent, &request, json!("Ördög 🦅")).await;

    let open = agent.put(json!({"kind": "input", "prompt": "Anything else?", "to": ["ana"]})).await;
    browser.fill(&on(&open, "textarea[name=value]"), "Two\nlines").await;
    send(&browser, &open).await;
    ends_with(&browser, &agent, &open, json!("Two\nlines")).await;
    browser.close(&[status!(422)]).await;
}

#[tokio::test]
async fn a_form_is_drawn_from_its_schema() {
    let Some(browser) = Browser::start().await else { return };
    let server = TestServer::start().await;
    let ana = server.register("ana").await;
    let agent = server.agent(&ana).await;
    browser.sign_in(&server.url(), &ana).await;

    let request = agent.put(json!({
        "kind": "form", "prompt": "What happened?", "to": ["ana"],
        "schema": {
            "type": "object",
            "properties": {
                "contact": {"type": "string", "title": "Who takes calls?", "minLength": 3},
                "affected": {"type": "integer", "title": "Customers affected", "minimum": 0},
                "impact": {"enum": ["none", "slow", "outage"]},
                "published": {"type": "boolean", "title": "Already on the status page"},
                "note": {"type": "string"},
            },
            "required": ["contact", "affected", "impact"],
            "additionalProperties": false,
            // A rule across fields, which only the hub checks.
            "if": {"properties": {"impact": {"const": "outage"}}},
            "then": {"properties": {"affected": {"minimum": 1}}},
        },
    }));
    let request = request.await;
    let field = |name: &str| on(&request, &format!("[name='value.{name}']"));
    let error = |name: &str| on(&request, &format!("[data-error-for='value.{name}']"));

    browser.read(&on(&request, ".form"), "Customers affected").await;
    browser.fill(&field("contact"), "al").await;
    browser.fill(&field("affected"), "3.5").await;
    send(&browser, &request).await;
    browser.read(&error("contact"), "At least 3 characters").await;
    browser.read(&error("affected"), "Write a whole number.").await;
    browser.read(&error("impact"), "This is needed.").await;
    assert_eq!(verdicts(&agent, &request).await, [""; 0]);

    browser.fill(&field("contact"), "Alma").await;
    browser.fill(&field("affected"), "0").await;
    browser.choose(&field("impact"), "outage").await;
    browser.click(&field("published")).await;
    send(&browser, &request).await;
    browser.read(&error("affected"), "1").await;
    browser.see_gone(&error("contact")).await;
    assert_eq!(verdicts(&agent, &request).await, ["invalid"]);

    browser.fill(&field("affected"), "1200").await;
    send(&browser, &request).await;
    let value = json!({"contact": "Alma", "affected": 1200, "impact": "outage", "published": true});
    ends_with(&browser, &agent, &request, value).await;
    browser.read(&on(&request, ".outcome-value"), "1200").await;
    browser.close(&[status!(422)]).await;
}
