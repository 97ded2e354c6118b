//! Questions of every kind, answered by taps and replies.

use super::*;

#[tokio::test]
async fn an_approval_is_answered_by_a_tap() {
    let world = World::start().await;
    let context = "Build **91** <passed> & is *green*.";
    let (request, question) = world.ask(1, json!({"kind": "approval", "context": context, "urgent": true})).await;
    let buttons =
        ["✅ Approve", "❌ Reject", "✅ Approve with a comment", "❌ Reject with a comment", "🌐 Open in the browser"];
    assert_eq!(shown(&question), buttons);
    assert_eq!(question.fields["parse_mode"], "HTML");
    for part in
        ["deploy-bot asks", "Deploy 1.4.2?", "Build <b>91</b> &lt;passed&gt; &amp; is <i>green</i>.", "🔴", "Answer by"]
    {
        assert!(question.text().contains(part), "{part}: {}", question.text());
    }
    assert_eq!(world.tap(ANA, &question, "❌ Reject").await, "Your answer: Rejected.");
    let outcome = world.outcome(&request).await;
    assert_eq!((&outcome["value"], &outcome["channel"]), (&json!("rejected"), &json!("telegram")));
    assert_eq!(outcome["by"]["username"], "ana");
}

#[tokio::test]
async fn an_answer_can_have_a_comment() {
    let world = World::start().await;
    let (request, question) = world.ask(1, json!({"kind": "approval"})).await;
    let told = world.tap(ANA, &question, "Reject with a comment").await;
    assert!(told.contains("comment"), "{told}");
    let prompt = world.api.message(&ANA.to_string(), 2).await;
    assert_eq!(prompt.fields["reply_markup"]["force_reply"], true);
    assert_eq!(prompt.fields["reply_parameters"]["message_id"], question.id);
    assert!(prompt.text().contains("<b>Rejected</b>") && prompt.text().contains("Deploy 1.4.2?"), "{}", prompt.text());
    assert!(world.outcome_now(&request).await.is_null(), "nothing is answered yet");
    let said = world.write(ANA, "Not on a Friday.", Some(prompt.id)).await;
    assert_eq!(said.text(), "Your answer: Rejected. Your comment is kept with it.");
    let outcome = world.outcome(&request).await;
    assert_eq!((&outcome["value"], &outcome["comment"]), (&json!("rejected"), &json!("Not on a Friday.")));
    let closed = world.api.shows(question.id, "answered").await;
    assert!(
        closed.text().contains("<b>Rejected</b>") && closed.text().contains("Not on a Friday."),
        "{}",
        closed.text()
    );
}

#[tokio::test]
async fn a_comment_is_known_by_its_prompt_after_a_restart() {
    let mut world = World::start().await;
    let (request, question) = world.ask(1, json!({"kind": "approval"})).await;
    world.tap(ANA, &question, "Approve with a comment").await;
    let prompt = world.api.message(&ANA.to_string(), 2).await;
    world.restart().await;
    world.write(ANA, "Go.", Some(prompt.id)).await;
    let outcome = world.outcome(&request).await;
    assert_eq!((&outcome["value"], &outcome["comment"]), (&json!("approved"), &json!("Go.")));
}

#[tokio::test]
async fn a_choice_is_tapped_on_whatever_page_it_stands() {
    let world = World::start().await;
    let options: Vec<_> =
        (0..20).map(|number| json!({"value": format!("v{number}"), "label": format!("Region {number}")})).collect();
    let (request, question) = world.ask(1, json!({"kind": "choice", "prompt": "Where?", "options": options})).await;
    assert!(shown(&question).contains(&"1 / 3".to_owned()), "{:?}", shown(&question));
    assert_eq!(world.tap(ANA, &question, "◀").await, "Page 3");
    let last = world
        .api
        .until("the last page", |api| {
            api.messages().into_iter().find(|one| one.id == question.id && shown(one).contains(&"3 / 3".to_owned()))
        })
        .await;
    assert!(
        shown(&last).contains(&"🌐 Open in the browser".to_owned()),
        "the way to the page stays: {:?}",
        shown(&last)
    );
    assert_eq!(world.tap(ANA, &last, "Region 18").await, "Your answer: Region 18.");
    assert_eq!(world.outcome(&request).await["value"], "v18");
}

#[tokio::test]
async fn a_long_label_is_read_whole_in_the_message() {
    let world = World::start().await;
    let long = "A label that is a good deal longer than what fits on a button of a phone".to_owned();
    let options = json!([{"value": "a", "label": long}, {"value": "b", "label": "Short"}]);
    let (request, question) = world.ask(1, json!({"kind": "choice", "options": options})).await;
    assert!(question.text().contains(&format!("1. {long}")), "{}", question.text());
    world.tap(ANA, &question, "2. Short").await;
    assert_eq!(world.outcome(&request).await["value"], "b");
}

#[tokio::test]
async fn of_many_options_some_are_ticked_and_then_done() {
    let mut world = World::start().await;
    let options = json!([{"value": "eu"}, {"value": "us"}, {"value": "ap"}]);
    let (request, question) = world.ask(1, json!({"kind": "choice", "options": options, "multiple": true})).await;
    assert_eq!(world.tap(ANA, &question, "eu").await, "Chosen: eu. Tap Done when that is all.");
    assert_eq!(world.tap(ANA, &question, "us").await, "Chosen: eu, us. Tap Done when that is all.");
    // Telegram tells a tap again, and the hub has forgotten nothing: it ticks once.
    world.restart().await;
    assert_eq!(world.tap(ANA, &question, "eu").await, "Chosen: us. Tap Done when that is all.");
    assert_eq!(world.tap(ANA, &question, "ap").await, "Chosen: us, ap. Tap Done when that is all.");
    let ticked = world
        .api
        .until("the ticks", |api| {
            api.messages().into_iter().find(|one| one.id == question.id && shown(one).contains(&"☑ ap".to_owned()))
        })
        .await;
    assert!(shown(&ticked).contains(&"✔ Done (2 chosen)".to_owned()), "{:?}", shown(&ticked));
    assert_eq!(world.tap(ANA, &question, "Done").await, "Your answer: us, ap.");
    assert_eq!(world.outcome(&request).await["value"], json!(["us", "ap"]));
}

#[tokio::test]
async fn a_text_is_answered_by_a_reply_and_checked() {
    let world = World::start().await;
    let (request, question) = world
        .ask(1, json!({"kind": "input", "prompt": "Which version?", "pattern": "^[0-9.]+$", "max_length": 8}))
        .await;
    assert_eq!(question.fields["reply_markup"]["force_reply"], true);
    assert!(question.text().contains("Reply to this message"), "{}", question.text());
    let wrong = world.write(ANA, "the newest", Some(question.id)).await;
    assert!(wrong.text().contains("does not answer the question yet"), "{}", wrong.text());
    let unbound = world.write(ANA, "1.4.2", None).await;
    assert!(unbound.text().contains("reply to the question itself"), "{}", unbound.text());
    let right = world.write(ANA, "1.4.2", Some(question.id)).await;
    assert_eq!(right.text(), "Taken as your answer: “1.4.2”");
    assert_eq!(world.outcome(&request).await["value"], "1.4.2");
}

#[tokio::test]
async fn a_text_may_begin_with_a_slash() {
    let world = World::start().await;
    let (request, question) = world.ask(1, json!({"kind": "input", "prompt": "Which folder?"})).await;
    world.write(ANA, "/var/log", Some(question.id)).await;
    assert_eq!(world.outcome(&request).await["value"], "/var/log");
}

#[tokio::test]
async fn a_reply_in_plain_words_counts_when_it_is_plain() {
    let world = World::start().await;
    let (request, question) = world.ask(1, json!({"kind": "approval"})).await;
    let unsure = world.write(ANA, "yes but not today", Some(question.id)).await;
    assert!(unsure.text().contains("approve"), "{}", unsure.text());
    assert!(world.outcome_now(&request).await.is_null());
    let sure = world.write(ANA, "Yes, go ahead!", Some(question.id)).await;
    assert_eq!(sure.text(), "Your answer: Approved.");
    assert_eq!(world.outcome(&request).await["value"], "approved");
}

#[tokio::test]
async fn a_form_is_filled_in_on_the_page_that_its_button_opens() {
    let world = World::start().await;
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
    let (_, question) = world.ask(1, json!({"kind": "form", "schema": schema})).await;
    assert_eq!(shown(&question), ["📝 Fill in the form"]);
    let url = question.button("Fill in");
    let page = reqwest::get(&url).await.unwrap();
    assert_eq!(page.status(), StatusCode::OK, "{url}");
    assert!(page.text().await.unwrap().contains("Deploy 1.4.2?"));
}

#[tokio::test]
async fn a_long_text_is_shortened_where_one_sees_it() {
    let world = World::start().await;
    let (_, question) = world.ask(1, json!({"kind": "approval", "context": "lorem & ipsum ".repeat(600)})).await;
    assert!(question.text().contains("✂️ Shortened.") && question.text().contains(">Read the whole.</a>"));
    let plain = regex::Regex::new("<[^>]*>").unwrap().replace_all(question.text(), "").replace("&amp;", "&");
    let length = plain.encode_utf16().count();
    assert!((3_900..=4_096).contains(&length), "{length}");
    assert!(question.text().contains("Deploy 1.4.2?") && question.text().contains("Tap a button"));
}

#[tokio::test]
async fn what_is_no_text_and_what_is_no_button_of_ours_is_told_so() {
    let world = World::start().await;
    let mut photo = text(ANA, ANA, "", None);
    photo["message"]["text"] = Value::Null;
    world.api.tell(photo);
    assert!(world.api.message(&ANA.to_string(), 1).await.text().contains("text only"));
    for data in ["", "x", "a", "aAAAAAAAAAAAAAAAAAAAAAA0", "tAAAAAAAAAAAAAAAAAAAAAAxx"] {
        let count = world.api.answers().len();
        world.api.tell(tap(ANA, ANA, 1, data));
        let said = world.api.answer(count + 1).await;
        assert!(said.contains("none of mine") || said.contains("not known"), "{data}: {said}");
    }
}

impl World {
    async fn outcome_now(&self, request: &Value) -> Value {
        let id = request["id"].as_str().unwrap();
        self.agent.get(&format!("/api/feedback/{id}")).await.body["outcome"].clone()
    }
}
