//! How everybody learns that a question is over.

use std::time::Instant;

use super::*;
use crate::socket::Socket;

/// In both ways round: the one who answers first settles the other within a second.
#[tokio::test]
async fn what_is_asked_on_telegram_and_the_page_is_settled_in_both_within_a_second() {
    let world = World::start().await;
    let mut socket = Socket::open(&world.server, &world.ana, None).await;
    socket.expect("connection_established").await;
    let both = json!({"kind": "approval", "channels": ["telegram", "websocket"], "strategy": "broadcast"});

    let (request, question) = world.ask(1, both.clone()).await;
    assert_eq!(socket.expect("feedback_request").await["request"]["id"], request["id"]);
    let tapped = Instant::now();
    world.api.tell(tap(ANA, ANA, question.id, &question.button("Approve")));
    let settled = socket.expect("feedback_settled").await;
    assert!(tapped.elapsed() < Duration::from_secs(1), "{:?}", tapped.elapsed());
    assert_eq!(settled["request"]["outcome"]["channel"], "telegram");
    world.api.shows(question.id, "ana on telegram answered: <b>Approved</b>").await;
    assert!(tapped.elapsed() < Duration::from_secs(1), "{:?}", tapped.elapsed());

    let (request, question) = world.ask(2, both).await;
    socket.expect("feedback_request").await;
    let answered = Instant::now();
    socket.answer(&request, json!("rejected")).await;
    let closed = world.api.shows(question.id, "ana on websocket answered: <b>Rejected</b>").await;
    assert!(answered.elapsed() < Duration::from_secs(1), "{:?}", answered.elapsed());
    assert!(closed.buttons().is_empty(), "{closed:?}");
    socket.expect("feedback_settled").await;
    assert!(answered.elapsed() < Duration::from_secs(1), "{:?}", answered.elapsed());
    assert!(closed.text().contains("Deploy 1.4.2?"), "the question stays to be read: {}", closed.text());
}

#[tokio::test]
async fn whoever_comes_late_is_told_who_was_first() {
    let world = World::start().await;
    let (request, question) = world.ask(1, json!({"kind": "approval"})).await;
    world.ana.answer(&request, json!("rejected")).await;
    world.api.shows(question.id, "ana on api answered").await;
    let tapped = world.tap(ANA, &question, "Approve").await;
    assert!(tapped.starts_with("Too late: ana already answered on api"), "{tapped}");
    let commented = world.tap(ANA, &question, "Approve with a comment").await;
    assert!(commented.starts_with("Too late: ana already answered on api"), "{commented}");
    let replied = world.write(ANA, "approve", Some(question.id)).await;
    assert!(replied.text().starts_with("Too late: ana already answered on api"), "{}", replied.text());
    let verdicts: Vec<_> = world.responses(&request).await.iter().map(|one| one["verdict"].clone()).collect();
    assert_eq!(verdicts, ["accepted", "late", "late"]);
}

#[tokio::test]
async fn what_was_taken_back_shows_that() {
    let world = World::start().await;
    let (request, question) = world.ask(1, json!({"kind": "approval"})).await;
    let id = request["id"].as_str().unwrap();
    world.agent.post(&format!("/api/feedback/{id}/cancel"), Value::Null).await;
    let closed = world.api.shows(question.id, "took the question back").await;
    assert!(closed.buttons().is_empty());
}

/// A message that is gone cannot be edited, nor one that forced a reply.
#[tokio::test]
async fn what_cannot_be_edited_gets_a_notice_below_it() {
    let world = World::start().await;
    let (gone, first) = world.ask(1, json!({"kind": "approval"})).await;
    world.api.delete(first.id);
    world.ana.answer(&gone, json!("approved")).await;
    let notice = world.api.message(&ANA.to_string(), 2).await;
    assert!(notice.text().contains("This question is closed: ana already answered on api"), "{}", notice.text());
    assert_eq!(notice.fields["reply_parameters"], json!({"message_id": first.id, "allow_sending_without_reply": true}));
    let (forced, second) = world.ask(3, json!({"kind": "input"})).await;
    world.ana.answer(&forced, json!("1.4.2")).await;
    let notice = world.api.message(&ANA.to_string(), 4).await;
    assert_eq!(notice.fields["reply_parameters"]["message_id"], second.id);
    for request in [&gone, &forced] {
        crate::socket::delivery_status(&world.agent, request, "settled").await;
    }
}

#[tokio::test]
async fn an_answer_of_many_long_options_settles_too() {
    let world = World::start().await;
    let options: Vec<_> = (0..100)
        .map(|number| json!({"value": format!("v{number}"), "label": format!("{number} {}", "x".repeat(190))}))
        .collect();
    let (request, question) = world.ask(1, json!({"kind": "choice", "options": options, "multiple": true})).await;
    let all: Vec<_> = (0..100).map(|number| format!("v{number}")).collect();
    world.ana.answer(&request, json!(all)).await;
    let closed = world.api.shows(question.id, "ana on api answered").await;
    let plain = regex::Regex::new("<[^>]*>").unwrap().replace_all(closed.text(), "").into_owned();
    assert!(plain.encode_utf16().count() <= 4096 && closed.buttons().is_empty(), "{closed:?}");
}

/// A keyboard that is shown late does not bring the buttons of a settled question back.
#[tokio::test]
async fn what_is_ticked_at_the_last_moment_brings_no_button_back() {
    let world = World::start().await;
    let options = json!([{"value": "eu"}, {"value": "us"}]);
    let (request, question) = world.ask(1, json!({"kind": "choice", "options": options, "multiple": true})).await;
    let limited = hearback_tests::telegram::Wrong::Refused(429, "Too Many Requests: retry after 1".into(), Some(1));
    world.api.wrong("editMessageReplyMarkup", limited);
    world.tap(ANA, &question, "eu").await;
    world.ana.answer(&request, json!(["us"])).await;
    world.api.shows(question.id, "ana on api answered").await;
    // What was put off is over once she is answered again: one thing is said to her after another.
    world.tap(ANA, &question, "eu").await;
    let closed = world.api.messages().into_iter().find(|one| one.id == question.id).unwrap();
    assert!(closed.buttons().is_empty() && closed.text().contains("answered"), "{closed:?}");
}
