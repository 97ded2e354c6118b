//! Groups, where everybody sees a question and only the people asked answer it.

use super::*;

const GROUP: i64 = -100_123;

async fn ask_in_group(world: &World, question: Value) -> (Value, Message) {
    let channels = json!([{"channel": "telegram", "address": GROUP.to_string()}]);
    let mut draft = json!({"prompt": "Deploy?", "to": ["ana"], "channels": channels});
    draft.as_object_mut().unwrap().extend(question.as_object().unwrap().clone());
    let request = world.agent.put(draft).await;
    (request, world.api.message(&GROUP.to_string(), 1).await)
}

#[tokio::test]
async fn a_bystander_is_refused_privately_and_the_person_asked_answers() {
    let world = World::start().await;
    let ben = world.server.register("ben").await;
    world.give(&ben, BEN).await;
    let (request, question) = ask_in_group(&world, json!({"kind": "approval"})).await;
    assert!(question.text().contains("asks ana:"), "{}", question.text());
    assert!(world.tap(BEN, &question, "Approve").await.contains("You are not asked"));
    assert!(world.tap(MAX, &question, "Approve").await.contains("link this account"));
    assert!(world.tap(MAX, &question, "Approve with a comment").await.contains("link this account"));
    assert!(world.tap(BEN, &question, "Reject with a comment").await.contains("You are not asked"));
    let verdicts: Vec<_> = world.responses(&request).await.iter().map(|one| one["verdict"].clone()).collect();
    assert_eq!(verdicts, ["refused", "refused"]);
    world.tap(ANA, &question, "Reject with a comment").await;
    let prompt = world.api.message(&GROUP.to_string(), 2).await;
    assert!(prompt.text().contains(&format!("tg://user?id={ANA}")), "her app alone asks for it: {}", prompt.text());
    assert_eq!(prompt.fields["reply_markup"]["selective"], true);
    world.api.tell(text(BEN, GROUP, "I say so, too", Some(prompt.id)));
    assert_eq!(world.tap(ANA, &question, "Approve").await, "Your answer: Approved.");
    assert_eq!(world.outcome(&request).await["by"]["username"], "ana");
    let closed = world.api.shows(question.id, "ana on telegram answered").await;
    assert!(closed.buttons().is_empty(), "{:?}", closed.buttons());
}

#[tokio::test]
async fn a_link_in_a_group_answers_in_nobodys_name() {
    let world = World::start().await;
    let (_, question) = ask_in_group(&world, json!({"kind": "approval"})).await;
    let page = reqwest::get(question.button("Open in the browser")).await.unwrap().text().await.unwrap();
    assert!(!page.contains("Deploy?"), "whoever opens it has to sign in first");
}

#[tokio::test]
async fn everybody_ticks_for_themselves() {
    let world = World::start().await;
    let ben = world.server.register("ben").await;
    world.give(&ben, BEN).await;
    let options = json!([{"value": "eu"}, {"value": "us"}]);
    let asked = json!({"kind": "choice", "options": options, "multiple": true, "to": ["ana", "ben"]});
    let (request, question) = ask_in_group(&world, asked).await;
    assert!(world.tap(ANA, &question, "eu").await.starts_with("Chosen: eu."));
    assert!(world.tap(BEN, &question, "us").await.starts_with("Chosen: us."));
    assert!(world.tap(MAX, &question, "us").await.contains("link this account"));
    assert_eq!(world.tap(BEN, &question, "Done").await, "Your answer: us.");
    assert_eq!(world.outcome(&request).await["value"], json!(["us"]));
    let shown = shown(&world.api.message(&GROUP.to_string(), 1).await);
    assert!(!shown.iter().any(|text| text.contains('☑')), "nobody's ticks are shown to all: {shown:?}");
}

#[tokio::test]
async fn what_people_say_to_each_other_is_not_answered() {
    let world = World::start().await;
    let ben = world.server.register("ben").await;
    world.give(&ben, BEN).await;
    let (request, question) = ask_in_group(&world, json!({"kind": "approval"})).await;
    for words in ["what is that?", "/weather", "/info@another_bot", "approve"] {
        world.api.tell(text(ANA, GROUP, words, None));
    }
    world.api.tell(text(ANA, GROUP, "nice", Some(question.id + 500)));
    world.api.tell(text(MAX, GROUP, "approve", Some(question.id)));
    world.api.tell(text(BEN, GROUP, "approve", Some(question.id)));
    let refused = world.api.message(&BEN.to_string(), 1).await;
    assert!(refused.text().contains("You are not asked"), "privately: {}", refused.text());
    world.api.tell(text(ANA, GROUP, "approve", Some(question.id)));
    assert_eq!(world.outcome(&request).await["value"], "approved");
    let said = world.api.message(&GROUP.to_string(), 2).await;
    assert_eq!(said.text(), "Your answer: Approved.", "nothing else was said to all");
}

#[tokio::test]
async fn a_group_that_has_moved_is_asked_where_it_is_now() {
    let world = World::start().await;
    let moved = "Bad Request: group chat was upgraded to a supergroup chat";
    world.api.wrong("sendMessage", hearback_tests::telegram::Wrong::Moved(moved.into(), -100_999));
    let channels = json!([{"channel": "telegram", "address": GROUP.to_string()}]);
    let draft = json!({"kind": "approval", "prompt": "Deploy?", "to": ["ana"], "channels": channels});
    let request = world.agent.put(draft).await;
    let question = world.api.message("-100999", 1).await;
    world.tap(ANA, &question, "Approve").await;
    assert_eq!(world.outcome(&request).await["value"], "approved");
    world.api.shows(question.id, "answered").await;
}

#[tokio::test]
async fn a_group_that_moves_with_a_question_in_it_is_told_where_it_is_now() {
    let world = World::start().await;
    let (request, _) = ask_in_group(&world, json!({"kind": "approval"})).await;
    let moved = "Bad Request: group chat was upgraded to a supergroup chat";
    for method in ["editMessageText", "sendMessage"] {
        world.api.wrong(method, hearback_tests::telegram::Wrong::Moved(moved.into(), -100_999));
    }
    world.ana.answer(&request, json!("approved")).await;
    let notice = world.api.message("-100999", 1).await;
    assert!(notice.text().contains("This question is closed"), "{}", notice.text());
}

/// A link to the answer page that goes to a person's own address answers in their name.
#[tokio::test]
async fn a_group_is_nobodys_own_address() {
    let world = World::start().await;
    let id = world.ana.get("/api/auth/me").await.body["id"].as_str().unwrap().to_owned();
    let group = json!({"channel": "telegram", "address": GROUP.to_string()});
    for path in ["/api/me/addresses", &format!("/api/users/{id}/addresses")] {
        let refused = world.ana.post(path, group.clone()).await;
        assert_eq!(
            (refused.status, refused.fields()),
            (StatusCode::UNPROCESSABLE_ENTITY, vec!["address"]),
            "{refused:?}"
        );
    }
    assert!(world.api.messages().is_empty(), "no code goes there");
}
