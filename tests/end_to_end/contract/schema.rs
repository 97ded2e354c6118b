//! The OpenAPI document and the examples say the same of every body.

use std::collections::BTreeSet;

use hearback::api;
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use super::{
    example, files, path,
    types::{BODIES, Body, Place},
};
use crate::server::TestServer;

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";
const STREAM: &str = "text/event-stream";

/// A schema of `OpenAPI` 3.0 in the words of JSON Schema 2020-12.
fn translated(schema: &Value) -> Value {
    let Value::Object(fields) = schema else {
        let Value::Array(items) = schema else { return schema.clone() };
        return items.iter().map(translated).collect();
    };
    let mut fields: Map<_, _> = fields.iter().map(|(name, value)| (name.clone(), translated(value))).collect();
    match fields.remove("nullable") {
        Some(Value::Bool(true)) => json!({"anyOf": [fields, {"type": "null"}]}),
        _ => Value::Object(fields),
    }
}

/// The schemas of a document, each for itself complete: what it does not describe is a fault here, though readers are to
/// ignore it.
fn components(document: &Value) -> Value {
    let mut schemas = translated(&document["components"]["schemas"]);
    for schema in schemas.as_object_mut().unwrap().values_mut() {
        if schema["type"] == "object" {
            schema["unevaluatedProperties"] = false.into();
        }
    }
    json!({ "schemas": schemas })
}

fn validator(components: &Value, reference: &str) -> Validator {
    let schema = json!({"$ref": reference, "components": components});
    let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
    options.build(&schema).unwrap_or_else(|error| panic!("{reference}: {error}"))
}

fn check(components: &Value, reference: &str, file: &str) {
    let (validator, example) = (validator(components, reference), example(file));
    let faults: Vec<_> =
        validator.iter_errors(&example).map(|fault| format!("{}: {fault}", fault.instance_path)).collect();
    assert!(faults.is_empty(), "docs/contract/{file} is not {reference}:\n{}", faults.join("\n"));
}

fn operations(document: &Value) -> impl Iterator<Item = &Value> {
    document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values())
}

/// The reference to the schema of a body of an operation, where it is JSON.
fn reference(body: &Value) -> Option<&str> {
    body["content"][JSON]["schema"]["$ref"].as_str()
}

#[tokio::test]
async fn every_body_is_described_and_every_description_has_an_example() {
    let server = TestServer::start().await;
    let document = api::openapi(server.running().app());
    let components = components(&document);
    let mut shown = BTreeSet::new();
    for Body(name, _, place) in BODIES {
        let (Place::Sent(id) | Place::Answer(id, _)) = place;
        let operation = operations(&document).find(|operation| operation["operationId"] == id);
        let operation = operation.unwrap_or_else(|| panic!("there is no operation {id}"));
        let body = match place {
            Place::Sent(_) => &operation["requestBody"],
            Place::Answer(_, status) => &operation["responses"][status],
        };
        let reference = reference(body).unwrap_or_else(|| panic!("{id} has no schema for {name}"));
        check(&components, reference, &format!("bodies/{name}"));
        shown.insert(reference);
    }
    let answers = operations(&document).flat_map(|operation| operation["responses"].as_object().unwrap().values());
    let described =
        operations(&document).map(|operation| &operation["requestBody"]).chain(answers).filter_map(reference);
    assert_eq!(described.collect::<BTreeSet<_>>(), shown, "described, and shown by an example");
}

#[tokio::test]
async fn every_event_of_a_stream_is_described() {
    let server = TestServer::start().await;
    let document = api::openapi(server.running().app());
    let components = components(&document);
    for id in ["stream_events", "stream_request_events"] {
        let operation = operations(&document).find(|operation| operation["operationId"] == id).unwrap();
        let schema = operation["responses"]["200"]["content"][STREAM]["schema"]["$ref"].as_str().unwrap();
        for file in files(&path("docs/contract/stream")) {
            check(&components, schema, &format!("stream/{file}"));
        }
        for status in ["400", "401", "403", "410", "500", "503"] {
            assert!(operation["responses"].get(status).is_some(), "{id} {status}");
        }
    }
}

#[tokio::test]
async fn every_problem_is_described() {
    let server = TestServer::start().await;
    let document = api::openapi(server.running().app());
    let components = components(&document);
    let problems = operations(&document)
        .flat_map(|operation| operation["responses"].as_object().unwrap().values())
        .filter_map(|answer| answer["content"][PROBLEM]["schema"]["$ref"].as_str())
        .collect::<BTreeSet<_>>();
    let [problem] = *problems.into_iter().collect::<Vec<_>>() else { panic!("problems have one schema") };
    for file in files(&path("docs/contract/problems")) {
        check(&components, problem, &format!("problems/{file}"));
    }
}
