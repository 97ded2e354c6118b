//! The comparison of an example with what a hub says: equal, but for ids, times and secrets.

use std::collections::{BTreeSet, HashMap};

use chrono::DateTime;
use serde_json::Value;
use uuid::Uuid;

use super::example;
use crate::server::{Answered, TestServer};

/// Fields that hold something new each time, and that no other field refers to.
const OPAQUE: [&str; 7] =
    ["access_token", "refresh_token", "webhook_secret", "next_cursor", "event_id", "after", "version"];
/// The address of the hub in the examples.
const URL: &str = "http://127.0.0.1:8000";

/// Which examples a hub has been seen to take or to say.
pub struct Shown {
    url: String,
    files: BTreeSet<String>,
    faults: Vec<String>,
}

impl Shown {
    pub fn by(server: &TestServer) -> Self {
        Self { url: server.url(), files: BTreeSet::new(), faults: Vec::new() }
    }

    /// From now on another hub is told of.
    pub fn at(&mut self, server: &TestServer) {
        self.url = server.url();
    }

    /// The example that a hub is now sent.
    pub fn sent(&mut self, file: &str) -> Value {
        self.files.insert(file.into());
        example(file)
    }

    /// What the hub said, to be compared with its example.
    pub fn said(&mut self, file: &str, actual: &Value) {
        self.files.insert(file.into());
        let mut faults = Vec::new();
        let (expected, actual) =
            (Comparable::default().of(&example(file)), Comparable::default().of(&self.local(actual)));
        differences("", &expected, &actual, &mut faults);
        self.faults.extend(faults.into_iter().map(|fault| format!("docs/contract/{file} {fault}")));
    }

    /// The problem that the hub answered with, under its own content type and the id that its header has.
    pub fn refused(&mut self, code: &str, answer: &Answered) {
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{answer:?}");
        assert_eq!(answer.headers["x-request-id"], answer.body["request_id"].as_str().unwrap(), "{answer:?}");
        assert_eq!(answer.body["status"], answer.status.as_u16(), "{answer:?}");
        self.said(&format!("problems/{code}.json"), &answer.body);
    }

    /// Whether every example agreed; all that do not are told at once.
    pub fn all_agreed(self) -> BTreeSet<String> {
        assert!(self.faults.is_empty(), "the hub says otherwise than the contract:\n{}", self.faults.join("\n"));
        self.files
    }

    /// With the address that the hub has in the examples.
    fn local(&self, value: &Value) -> Value {
        serde_json::from_str(&value.to_string().replace(&self.url, URL)).unwrap()
    }
}

/// Replaces what is new each time: an id by its place among the ids, so that the same one stays the same.
#[derive(Default)]
struct Comparable {
    ids: HashMap<Uuid, usize>,
}

impl Comparable {
    fn of(&mut self, value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                let field = |(name, value): (&String, &Value)| {
                    let opaque = OPAQUE.contains(&name.as_str()) && value.is_string();
                    (name.clone(), if opaque { "…".into() } else { self.of(value) })
                };
                Value::Object(fields.iter().map(field).collect())
            }
            Value::Array(items) => items.iter().map(|item| self.of(item)).collect(),
            Value::String(text) => text.split(' ').map(|word| self.word(word)).collect::<Vec<_>>().join(" ").into(),
            other => other.clone(),
        }
    }

    fn word(&mut self, word: &str) -> String {
        let bare = word.trim_end_matches(['.', ',']);
        if let Ok(id) = bare.parse() {
            let next = self.ids.len();
            return format!("id {}", self.ids.entry(id).or_insert(next));
        }
        if DateTime::parse_from_rfc3339(bare).is_ok() {
            return word.replace(bare, "time");
        }
        if bare.starts_with("hb_") { "hb_…".into() } else { word.into() }
    }
}

/// Every place at which two values differ.
fn differences(place: &str, expected: &Value, actual: &Value, faults: &mut Vec<String>) {
    match (expected, actual) {
        (Value::Object(left), Value::Object(right)) => {
            for name in left.keys().chain(right.keys()).collect::<BTreeSet<_>>() {
                let place = format!("{place}.{name}");
                match (left.get(name), right.get(name)) {
                    (Some(left), Some(right)) => differences(&place, left, right, faults),
                    (Some(_), None) => faults.push(format!("{place}: the hub does not say it")),
                    _ => faults.push(format!("{place}: the example lacks it")),
                }
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                differences(&format!("{place}[{index}]"), left, right, faults);
            }
        }
        _ if expected != actual => faults.push(format!("{place}: example {expected}, hub {actual}")),
        _ => {}
    }
}
