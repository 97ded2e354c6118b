//! What an asker sends, and the check that makes it the terms of a request.

use std::{borrow::Cow, collections::HashSet, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};
use url::Url;

use super::{
    ChoiceOption, INPUT_MAX, Kind, Question, RouteStep, Strategy, Terms, form::check_schema, question::compile_pattern,
};
use crate::{
    channel::{Address, ChannelName},
    error::FieldError,
    person::UserRef,
};

/// The longest prompt, in Unicode scalar values.
pub const PROMPT_MAX: usize = 4_000;
/// The largest context, in bytes.
const CONTEXT_MAX: usize = 64 * 1024;
/// The largest metadata, in bytes of JSON.
const METADATA_MAX: usize = 16 * 1024;
/// The longest callback URL, in bytes.
const CALLBACK_URL_MAX: usize = 2_048;
/// The longest value or label of an option, in Unicode scalar values.
const OPTION_TEXT_MAX: usize = 200;
/// The most people one request asks.
const PEOPLE_MAX: usize = 1_000;
/// The most steps of a route.
const ROUTE_MAX: usize = 20;
/// A deadline lies at most a year ahead, in seconds.
const EXPIRES_IN_MAX: u32 = 365 * 24 * 3600;
/// The default deadline: 48 hours.
const EXPIRES_IN: u32 = 48 * 3600;
/// The default silence after which the next channel is tried.
const FALLBACK_AFTER: u32 = 300;

/// A step of a route as the asker writes it: a channel's name, or a name with an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum DraftStep {
    /// The person's own address on this channel.
    Channel(ChannelName),
    /// This address on this channel, which may be a group.
    At {
        /// The channel's name.
        channel: ChannelName,
        /// Where on it.
        address: Option<Address>,
    },
}

impl<'de> Deserialize<'de> for DraftStep {
    // By hand, since an untagged enum cannot say which field is wrong.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct At {
            channel: ChannelName,
            #[serde(default)]
            address: Option<Address>,
        }
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = DraftStep;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a channel's name or {\"channel\", \"address\"}")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<DraftStep, E> {
                name.parse().map(DraftStep::Channel).map_err(E::custom)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<DraftStep, A::Error> {
                let At { channel, address } = At::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(DraftStep::At { channel, address })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for DraftStep {
    fn schema_name() -> Cow<'static, str> {
        "RouteStepDraft".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let channel = generator.subschema_for::<ChannelName>();
        let address = generator.subschema_for::<Option<Address>>();
        json_schema!({"oneOf": [
            channel,
            {"type": "object", "required": ["channel"], "additionalProperties": false,
             "properties": {"channel": channel, "address": address}},
        ]})
    }
}

/// A question as the asker puts it. What a kind does not use must be absent.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FeedbackRequestDraft")]
pub struct Draft {
    /// Which kind of question.
    pub kind: Kind,
    /// The question, in Markdown: 1 to 4,000 characters.
    #[schemars(length(min = 1, max = 4000))]
    pub prompt: String,
    /// Detail, in Markdown: at most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65_536))]
    pub context: Option<String>,
    /// Choice: what can be chosen, 2 to 100 options with unique values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 100))]
    pub options: Option<Vec<ChoiceOption>>,
    /// Choice: whether several may be chosen; the answer is then a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiple: Option<bool>,
    /// Input: the least number of Unicode scalar values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 10_000))]
    pub min_length: Option<u32>,
    /// Input: the greatest number of Unicode scalar values, 1 to 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_length: Option<u32>,
    /// Input: a regular expression the text must match (without look-around and back-references).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Form: JSON Schema 2020-12 of an object: at most 64 KiB, 64 levels of nesting, 2,000 subschemas and 100 patterns;
    /// references only within itself; without `unevaluated*` and `$dynamicRef`. Its answers: at most 64 KiB, 32 levels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Map<String, Value>>,
    /// Whom to ask: usernames, confirmed e-mails or user ids.
    #[schemars(length(min = 1, max = 1000))]
    pub to: Vec<String>,
    /// The route, at most 20 steps; each person's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20))]
    pub channels: Option<Vec<DraftStep>>,
    /// How the route is gone; `fallback` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Seconds of silence after which the next channel is tried, 1 to 31,536,000; 300 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub fallback_after: Option<u32>,
    /// Seconds until the deadline, 1 to 31,536,000; 172,800 (48 hours) when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub expires_in: Option<u32>,
    /// Whether quiet hours are passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urgent: Option<bool>,
    /// The outcome when nobody answers in time: a valid answer, but never `approved`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_expiry: Option<Value>,
    /// For service tokens: the http or https URL that is called, signed by the token's `webhook_secret`, when the
    /// request is answered, expired, cancelled or found undeliverable; at most 2,048 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = "^https?://"))]
    pub callback_url: Option<String>,
    /// Reserved: this version takes only `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "()")]
    pub session_id: Option<String>,
    /// The asker's own data, at most 16 KiB, given back as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

impl Draft {
    /// Checks everything that can be checked without knowing the people and the channels.
    ///
    /// # Errors
    ///
    /// Every fault, each with its field and the values that would do.
    pub fn check(self) -> Result<CheckedDraft, Vec<FieldError>> {
        let mut faults = Faults::default();
        faults.length("prompt", self.prompt.trim().chars().count(), 1, PROMPT_MAX, "characters");
        if let Some(context) = &self.context {
            faults.length("context", context.len(), 0, CONTEXT_MAX, "bytes");
        }
        if let Some(metadata) = &self.metadata {
            let size = serde_json::to_string(metadata).map_or(usize::MAX, |text| text.len());
            faults.length("metadata", size, 0, METADATA_MAX, "bytes of JSON");
        }
        faults.length("to", self.to.len(), 1, PEOPLE_MAX, "people");
        faults.length("channels", self.channels.as_ref().map_or(0, Vec::len), 0, ROUTE_MAX, "steps");
        if self.expires_in.is_some_and(|seconds| seconds == 0 || seconds > EXPIRES_IN_MAX) {
            faults.add("expires_in", format!("expected 1 to {EXPIRES_IN_MAX} seconds"));
        }
        if self.fallback_after.is_some_and(|seconds| seconds == 0 || seconds > EXPIRES_IN_MAX) {
            faults.add("fallback_after", format!("expected 1 to {EXPIRES_IN_MAX} seconds"));
        }
        faults.0.extend(self.callback_url.as_deref().and_then(check_callback_url));
        if self.session_id.is_some() {
            faults.add("session_id", "this version of the hub has no chat sessions: leave it out");
        }
        let question = self.question(&mut faults);
        if let (Some(question), Some(value)) = (&question, &self.on_expiry) {
            check_on_expiry(question, value, &mut faults);
        }
        match question {
            Some(question) if faults.0.is_empty() => Ok(CheckedDraft { question, draft: self }),
            _ => Err(faults.0),
        }
    }

    fn question(&self, faults: &mut Faults) -> Option<Question> {
        let of_kind = [
            ("options", Kind::Choice, self.options.is_some()),
            ("multiple", Kind::Choice, self.multiple.is_some()),
            ("min_length", Kind::Input, self.min_length.is_some()),
            ("max_length", Kind::Input, self.max_length.is_some()),
            ("pattern", Kind::Input, self.pattern.is_some()),
            ("schema", Kind::Form, self.schema.is_some()),
        ];
        for (field, kind, given) in of_kind {
            if given && kind != self.kind {
                let kind = serde_json::to_value(kind).unwrap_or_default();
                faults.add(field, format!("is only for kind {kind}"));
            }
        }
        match self.kind {
            Kind::Approval => Some(Question::Approval),
            Kind::Choice => {
                let Some(options) = &self.options else {
                    faults.add("options", "is required for kind \"choice\"");
                    return None;
                };
                check_options(options, faults);
                Some(Question::Choice { options: options.clone(), multiple: self.multiple.unwrap_or_default() })
            }
            Kind::Input => {
                self.check_input(faults);
                Some(Question::Input {
                    min_length: self.min_length,
                    max_length: self.max_length,
                    pattern: self.pattern.clone(),
                })
            }
            Kind::Form => {
                let Some(schema) = &self.schema else {
                    faults.add("schema", "is required for kind \"form\"");
                    return None;
                };
                faults.0.extend(check_schema(schema).err());
                Some(Question::Form { schema: schema.clone() })
            }
        }
    }

    fn check_input(&self, faults: &mut Faults) {
        let max = self.max_length.unwrap_or(INPUT_MAX);
        if max == 0 || max > INPUT_MAX {
            faults.add("max_length", format!("expected 1 to {INPUT_MAX}"));
        }
        if self.min_length.is_some_and(|min| min > max) {
            faults.add("min_length", format!("expected at most max_length, which is {max}"));
        }
        if let Some(Err(error)) = self.pattern.as_deref().map(compile_pattern) {
            faults.add("pattern", format!("is not a regular expression that the hub reads: {error}"));
        }
    }
}

/// Whether the address behind it may be called is decided at each call.
fn check_callback_url(text: &str) -> Option<FieldError> {
    let fault = |detail: String| Some(FieldError::new("callback_url", detail));
    if text.len() > CALLBACK_URL_MAX {
        return fault(format!("has {} bytes, expected at most {CALLBACK_URL_MAX}", text.len()));
    }
    if text.chars().any(|char| char.is_control() || char.is_whitespace()) {
        return fault("may not hold spaces or control characters".into());
    }
    match Url::parse(text) {
        Err(error) => fault(format!("is not a URL: {error}")),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => fault("expected an http or https URL".into()),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            fault("may not hold a username or password: the signature shows who calls".into())
        }
        Ok(_) => None,
    }
}

fn check_options(options: &[ChoiceOption], faults: &mut Faults) {
    faults.length("options", options.len(), 2, 100, "options");
    let mut seen = HashSet::new();
    for (index, option) in options.iter().enumerate() {
        faults.length(
            &format!("options[{index}].value"),
            option.value.chars().count(),
            1,
            OPTION_TEXT_MAX,
            "characters",
        );
        if let Some(label) = &option.label {
            faults.length(&format!("options[{index}].label"), label.chars().count(), 1, OPTION_TEXT_MAX, "characters");
        }
        if !seen.insert(option.value.as_str()) {
            faults.add(format!("options[{index}].value"), "stands twice: values are unique");
        }
    }
}

/// Silence is not consent: the outcome of a passed deadline is a valid answer, but never an approval.
fn check_on_expiry(question: &Question, value: &Value, faults: &mut Faults) {
    if matches!(question, Question::Approval) {
        if value != "rejected" {
            let fault =
                FieldError::new("on_expiry", "silence is not consent: an approval may only lapse into a rejection");
            faults.0.push(fault.allowing(["rejected"]));
        }
        return;
    }
    if let Err(found) = question.validate(value) {
        faults.0.extend(found.into_iter().map(|mut fault| {
            fault.field = fault.field.replacen("value", "on_expiry", 1);
            fault
        }));
    }
}

/// A draft whose own parts are sound; people and channels are still to be found.
#[derive(Clone, Debug)]
pub struct CheckedDraft {
    question: Question,
    draft: Draft,
}

impl CheckedDraft {
    /// Whom the asker named.
    #[must_use]
    pub fn to(&self) -> &[String] {
        &self.draft.to
    }

    /// Where the asker is to be called back.
    #[must_use]
    pub fn callback_url(&self) -> Option<&str> {
        self.draft.callback_url.as_deref()
    }

    /// The route that the asker named.
    #[must_use]
    pub fn channels(&self) -> Vec<RouteStep> {
        let steps = self.draft.channels.iter().flatten();
        steps
            .map(|step| match step {
                DraftStep::Channel(channel) => RouteStep { channel: channel.clone(), address: None },
                DraftStep::At { channel, address } => RouteStep { channel: channel.clone(), address: address.clone() },
            })
            .collect()
    }

    /// The terms, with the people found and every default filled in.
    #[must_use]
    pub fn terms(self, to: Vec<UserRef>) -> Terms {
        let channels = self.channels();
        let draft = self.draft;
        Terms {
            question: self.question,
            prompt: draft.prompt,
            context: draft.context,
            to,
            channels,
            strategy: draft.strategy.unwrap_or_default(),
            fallback_after: draft.fallback_after.unwrap_or(FALLBACK_AFTER),
            expires_in: draft.expires_in.unwrap_or(EXPIRES_IN),
            urgent: draft.urgent.unwrap_or_default(),
            on_expiry: draft.on_expiry,
            callback_url: draft.callback_url,
            session_id: draft.session_id,
            metadata: draft.metadata.unwrap_or_default(),
        }
    }
}

#[derive(Default)]
struct Faults(Vec<FieldError>);

impl Faults {
    fn add(&mut self, field: impl Into<String>, detail: impl Into<String>) {
        self.0.push(FieldError::new(field, detail));
    }

    fn length(&mut self, field: &str, found: usize, min: usize, max: usize, unit: &str) {
        if found < min || found > max {
            self.add(field, format!("has {found} {unit}, expected {min} to {max}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(change: &Value) -> Vec<FieldError> {
        let mut draft = json!({"kind": "approval", "prompt": "Deploy?", "to": ["ana"]});
        draft.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let draft: Draft = serde_json::from_value(draft).unwrap();
        draft.check().err().unwrap_or_default()
    }

    #[test]
    fn every_fault_is_named_by_its_field() {
        let cases = [
            (json!({"prompt": "  "}), "prompt"),
            (json!({"prompt": "x".repeat(4001)}), "prompt"),
            (json!({"context": "x".repeat(65_537)}), "context"),
            (json!({"metadata": {"a": "x".repeat(16_385)}}), "metadata"),
            (json!({"to": []}), "to"),
            (json!({"expires_in": 0}), "expires_in"),
            (json!({"expires_in": 31_536_001}), "expires_in"),
            (json!({"fallback_after": 0}), "fallback_after"),
            (json!({"callback_url": "example.com/hook"}), "callback_url"),
            (json!({"callback_url": "ftp://example.com"}), "callback_url"),
            (json!({"callback_url": "https://example.com/a\u{0}b"}), "callback_url"),
            (json!({"callback_url": " https://example.com"}), "callback_url"),
            (json!({"callback_url": "https://ana@example.com"}), "callback_url"),
            (json!({"callback_url": "https://:secret@example.com"}), "callback_url"),
            (json!({"callback_url": format!("https://example.com/{}", "x".repeat(2_029))}), "callback_url"),
            (json!({"session_id": "s"}), "session_id"),
            (json!({"channels": vec!["websocket"; 21]}), "channels"),
            (json!({"options": []}), "options"),
            (json!({"schema": {}}), "schema"),
            (json!({"pattern": "x"}), "pattern"),
            (json!({"kind": "choice"}), "options"),
            (json!({"kind": "choice", "options": [{"value": "a"}]}), "options"),
            (json!({"kind": "choice", "options": [{"value": "a"}, {"value": "a"}]}), "options[1].value"),
            (json!({"kind": "choice", "options": [{"value": ""}, {"value": "a"}]}), "options[0].value"),
            (json!({"kind": "choice", "options": [{"value": "a", "label": ""}, {"value": "b"}]}), "options[0].label"),
            (json!({"kind": "input", "max_length": 10_001}), "max_length"),
            (json!({"kind": "input", "min_length": 3, "max_length": 2}), "min_length"),
            (json!({"kind": "input", "pattern": "("}), "pattern"),
            (json!({"kind": "form"}), "schema"),
            (json!({"kind": "form", "schema": {"type": "array"}}), "schema.type"),
            (json!({"kind": "input", "max_length": 2, "on_expiry": "long"}), "on_expiry"),
        ];
        for (change, field) in cases {
            let found = faults(&change);
            assert!(found.iter().any(|fault| fault.field == field), "{change}: {found:?}");
        }
        assert!(faults(&json!({})).is_empty());
        for url in ["http://10.0.0.1:8080/hook", &format!("https://example.com/{}", "x".repeat(2_028))] {
            assert!(faults(&json!({ "callback_url": url })).is_empty(), "{url}");
        }
    }

    #[test]
    fn silence_is_never_consent() {
        assert_eq!(faults(&json!({"on_expiry": "approved"}))[0].allowed, ["rejected"]);
        assert!(faults(&json!({"on_expiry": "rejected"})).is_empty());
    }

    #[test]
    fn a_route_is_names_or_names_with_addresses_and_a_wrong_step_says_why() {
        let step = |value| serde_json::from_value::<DraftStep>(value);
        assert!(step(json!("slack")).is_ok());
        assert!(step(json!({"channel": "slack", "address": "T1:U1"})).is_ok());
        assert!(step(json!({"channel": "slack", "adress": "T1:U1"})).unwrap_err().to_string().contains("adress"));
        assert!(step(json!("Not A Name")).is_err());
        assert!(step(json!(5)).is_err());
    }
}
