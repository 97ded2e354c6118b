//! docs/plug-ins.md says what the program does.

use std::{collections::BTreeSet, fs, path::PathBuf};

use hearback_core::{channel::Content, feedback::Question};
use schemars::schema_for;
use serde_json::{Value, json};

use super::{
    ana,
    fake::{Plugin, answer},
    outbound, question, settle, world,
};
use crate::{
    answer::{ErrorWord, Probed},
    callback::{ProblemDocument, Refusal, VerdictDocument},
    event::Event,
    message::Message,
    settings::Settings,
};

fn docs(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

/// The JSON blocks of the page.
fn examples() -> Vec<Value> {
    let page = fs::read_to_string(docs("plug-ins.md")).unwrap();
    let blocks = page.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.map(|block| serde_json::from_str(block).unwrap_or_else(|error| panic!("{error}: {block}"))).collect()
}

fn fields(value: &Value) -> BTreeSet<&String> {
    value.as_object().unwrap().keys().collect()
}

/// One of each that goes out.
async fn sent() -> Vec<Value> {
    let declared = json!({"edit": true});
    let plugin = Plugin::scripted([answer(200, &json!({"receipt": "m-1", "capabilities": declared}))]).await;
    let world = world(&plugin.url(), &declared);
    world.channel.probe().await.unwrap();
    world.channel.send(&ana(), &question()).await.unwrap();
    let code = Content::Code { code: "123456".into(), expires_at: super::request().expires_at };
    for content in [Content::Message { text: "hi".into() }, Content::Notice { text: "so".into() }, code] {
        world.channel.send(&ana(), &outbound(content)).await.unwrap();
    }
    settle(world.channel.as_ref()).await.unwrap();
    plugin.calls().iter().map(super::fake::Call::json).collect()
}

#[tokio::test]
async fn every_message_has_an_example_with_its_fields() {
    let examples = examples();
    for message in sent().await {
        let kind = &message["type"];
        let example = examples.iter().find(|example| example["type"] == *kind);
        let example = example.unwrap_or_else(|| panic!("no example of {kind}:\n{message:#}"));
        assert_eq!(fields(example), fields(&message), "{kind}");
        if kind == "request" || kind == "settle" {
            assert_eq!(fields(&example["request"]), fields(&message["request"]), "{kind}");
        }
    }
}

#[test]
fn every_event_has_an_example_that_is_read() {
    let examples = examples();
    for kind in ["response", "text", "receipt", "delivered", "read", "connected", "disconnected"] {
        let example = examples.iter().find(|example| example["type"] == kind);
        let example = example.unwrap_or_else(|| panic!("no example of {kind}"));
        Event::read(example.clone()).unwrap_or_else(|faults| panic!("{kind}: {faults:?}"));
    }
    assert!(examples.iter().any(|example| example["verdict"] == "late"));
    let probed = examples.iter().find(|example| example.get("capabilities").is_some()).unwrap();
    serde_json::from_value::<Probed>(probed.clone()).unwrap();
}

#[test]
fn a_choice_has_an_example_that_is_read() {
    let examples = examples();
    let choice = examples.iter().find(|example| example["kind"] == "choice").expect("an example of a choice");
    let question: Question = serde_json::from_value(choice.clone()).unwrap();
    let fields = serde_json::to_value(question).unwrap();
    assert!(fields.as_object().unwrap().iter().all(|(name, value)| choice[name] == *value), "{fields}");
}

#[test]
fn a_problem_has_an_example_with_its_words() {
    let examples = examples();
    let problem = examples.iter().find(|example| example.get("title").is_some()).expect("an example of a problem");
    let mut wrong = examples.iter().find(|example| example["type"] == "connected").unwrap().clone();
    wrong["from"] = json!("ana");
    let reply = Refusal::Invalid(Event::read(wrong).unwrap_err()).reply();
    let mut said: Value = serde_json::from_slice(&reply.body).unwrap();
    // The server adds that.
    said["request_id"] = problem["request_id"].clone();
    assert_eq!(*problem, said);
}

#[test]
fn the_schemas_are_those_of_the_types() {
    let schemas = json!({
        "message": schema_for!(Message<'static>),
        "probe_answer": schema_for!(Probed),
        "error": schema_for!(ErrorWord),
        "event": schema_for!(Event),
        "verdict": schema_for!(VerdictDocument),
        "problem": schema_for!(ProblemDocument),
        "settings": schema_for!(Settings),
    });
    let wanted = serde_json::to_string_pretty(&schemas).unwrap() + "\n";
    let path = docs("plug-ins.schema.json");
    if std::env::var_os("HEARBACK_WRITE_DOCS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(path).unwrap();
    assert!(found == wanted, "docs/plug-ins.schema.json is old: run these tests once with HEARBACK_WRITE_DOCS=1");
}
