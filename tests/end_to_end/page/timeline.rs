//! A request's timeline: what became of it, told in order as it happens.

use reqwest::StatusCode;
use serde_json::json;

use super::{browser::Browser, card, on, status};
use crate::server::{PASSWORD, TestServer};

/// From now on the page's calls for deliveries never arrive.
const CUT_DELIVERIES: &str = "
    const real = fetch;
    window.fetch = (url, ...rest) => /deliveries/.test(url) ? Promise.reject(new TypeError('cut')) : real(url, ...rest);
";

/// The selector of the `n`th entry, counted from 1.
fn nth(n: usize) -> String {
    format!(".timeline .entry:nth-child({n})")
}

/// The selector of an entry of this kind.
fn entry(kind: &str) -> String {
    format!(".timeline [data-entry={kind}]")
}

#[tokio::test]
async fn a_timeline_tells_deliveries_responses_and_the_ending_as_they_come() {
    let Some(browser) = Browser::start().await else { return };
    let server = TestServer::start().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let agent = server.agent(&ana).await;
    let options = json!([{"value": "eu", "label": "Europe"}, {"value": "us"}]);
    let request = agent
        .put(json!({
            "kind": "choice", "prompt": "Which region?", "options": options, "to": ["ana", "ben"],
            "channels": ["websocket"],
        }))
        .await;
    browser.open(&format!("{}/#/requests/{}", server.url(), request["id"].as_str().unwrap())).await;
    browser.fill_sign_in("ana", PASSWORD).await;

    browser.read(&nth(1), "Asked by deploy-bot (your token), of you and ben").await;
    // Ben has no socket; ana's has just come, and its acknowledgement is not told by it but found by looking again.
    browser.read(".timeline", "Delivery to ben over websocket Skipped").await;
    browser.read(".timeline", "Sent as soon as ben connects.").await;
    browser.read(".timeline", "not connected").await;
    browser.read(".timeline", "Delivery to you over websocket Delivered").await;
    browser.read(".timeline", "to reach you over websocket No error").await;
    assert!(!browser.text(".timeline").await.contains("Address"), "an account's id is no address to read");
    assert_eq!(browser.count(&entry("response")).await, 0);
    assert_eq!(browser.count(&entry("ending")).await, 0);

    // What is typed meanwhile stays.
    browser.fill(&on(&request, "[data-comment]"), "Mine").await;
    assert_eq!(ben.answer(&request, json!("<b>mars</b>")).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let invalid = format!("{}[data-tone=bad]", entry("response"));
    browser.read(&invalid, "Response from ben over the API Invalid").await;
    browser.read(&invalid, "<b>mars</b>").await;
    browser.read(&invalid, "Reason").await;
    assert_eq!(browser.count(".timeline b").await, 0);
    assert_eq!(browser.value(&on(&request, "[data-comment]")).await, "Mine");

    assert!(ben.answer(&request, json!("eu")).await.status.is_success());
    browser.see(&format!("{}[data-status=answered]", card(&request))).await;
    let accepted = format!("{}[data-tone=good]", entry("response"));
    browser.read(&accepted, "Response from ben over the API Accepted").await;
    browser.read(&accepted, "Europe").await;
    browser.read(&entry("ending"), "Answered by ben over the API").await;
    browser.read(&entry("ending"), "Europe").await;
    browser.read(".timeline", "Delivery to you over websocket Settled").await;

    let late = ana.answer(&request, json!("us")).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    browser.reload().await;
    browser.read(&format!("{} ~ [data-entry=response][data-tone=late]", entry("ending")), "Late").await;
    let order = "return [...document.querySelectorAll('.timeline time')].map((time) => time.dateTime.slice(0, 23))";
    let times = browser.run(order).await;
    let times: Vec<_> = times.as_array().unwrap().iter().map(|time| time.as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(times.len() >= 8, "{times:?}");
    browser.close(&[]).await;
}

#[tokio::test]
async fn an_asker_sees_what_became_of_a_question_to_somebody_else() {
    let Some(browser) = Browser::start().await else { return };
    let server = TestServer::start().await;
    let (ana, ben) = (server.register("ana").await, server.register("ben").await);
    let request = ana.ask(&[&ben]).await;
    browser.sign_in(&server.url(), &ana).await;
    browser.open(&format!("{}/#/requests/{}", server.url(), request["id"].as_str().unwrap())).await;
    browser.read(&nth(1), "Asked by you, of ben").await;
    browser.see(&entry("delivery")).await;
    // No socket tells the asker, so this is found by looking again.
    assert!(ben.answer(&request, json!("rejected")).await.status.is_success());
    browser.read(&on(&request, "[data-ending=answered]"), "Rejected by ben over the API").await;
    browser.read(&format!("{}[data-tone=bad]", entry("ending")), "Rejected by ben over the API").await;

    // A timeline that cannot be loaded takes nothing else away.
    let open = ana.ask(&[&ana]).await;
    browser.run(CUT_DELIVERIES).await;
    let hash = format!("location.hash = '#/requests/{}'", open["id"].as_str().unwrap());
    browser.run(&hash).await;
    browser.read(".timeline [role=alert]", "Its deliveries could not be loaded.").await;
    browser.click(&on(&open, "[data-answer=approved]")).await;
    browser.read(&entry("ending"), "Approved by you on the web").await;
    let stranger = server.register("carl").await.ask(&[&ben]).await;
    browser.run(&format!("location.hash = '#/requests/{}'", stranger["id"].as_str().unwrap())).await;
    browser.read("[data-view=request] [role=alert]", "There is no such request for you").await;
    assert_eq!(browser.count(".timeline").await, 0);
    browser.close(&[status!(404)]).await;
}
