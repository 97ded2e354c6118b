//! How a question stands, in words: the same as the page at `/` uses, with times in UTC, since nothing on this page knows the
//! reader's.

use std::time::Duration;

use chrono::DateTime;
use hearback_core::{
    Timestamp,
    feedback::{ChoiceOption, Ending, Outcome, Question, Request, Source},
    id::UserId,
};
use serde_json::{Map, Value};

use super::{
    posted::{Posted, VALUE},
    values,
};

/// "24 Nov 2026, 09:30 UTC"
pub(super) fn moment(at: Timestamp) -> String {
    let moment = DateTime::from_timestamp_micros(at.micros()).unwrap_or(DateTime::<chrono::Utc>::MAX_UTC);
    moment.format("%-d %b %Y, %H:%M UTC").to_string()
}

/// "2 days": rounded down, so that nobody is promised more.
pub(super) fn span(span: Duration) -> String {
    let minutes = span.as_secs() / 60;
    let (count, unit) = match minutes {
        0 => return "less than a minute".into(),
        1..120 => (minutes, "minute"),
        120..2880 => (minutes / 60, "hour"),
        _ => (minutes / 1440, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// "Approved by you on slack, 24 Nov 2026, 09:30 UTC"
pub(super) fn sentence(request: &Request, ending: &Ending, reader: UserId) -> String {
    let at = moment(ending.at());
    match ending {
        Ending::Cancelled { .. } => format!("Cancelled by the asker, {at}"),
        Ending::Expired { outcome: None, .. } => format!("Expired without an answer, {at}"),
        Ending::Expired { outcome: Some(outcome), .. } => {
            let value = match &outcome.value {
                Value::Object(_) => "the answer below".into(),
                value => plain(&request.terms.question, value),
            };
            format!("Expired without an answer, {at}; {value} stands, as the asker had set for that case")
        }
        Ending::Answered(outcome) => {
            let verb = match (&request.terms.question, outcome.value.as_str()) {
                (Question::Approval, Some("approved")) => "Approved",
                (Question::Approval, _) => "Rejected",
                _ => "Answered",
            };
            let by = match &outcome.by {
                Some(by) if by.id == reader => "you",
                Some(by) => &by.username,
                None => "somebody",
            };
            let place = match outcome.channel.as_ref().map(hearback_core::channel::ChannelName::as_str) {
                Some("web") => " on the web".into(),
                Some("api") => " over the API".into(),
                Some(channel) => format!(" on {channel}"),
                None => String::new(),
            };
            format!("{verb} by {by}{place}, {at}")
        }
    }
}

/// The colour and the sign of an ending: `good`, `bad`, `late` or `neutral`.
pub(super) fn tone(request: &Request, ending: &Ending) -> &'static str {
    match ending {
        Ending::Cancelled { .. } => "neutral",
        Ending::Expired { .. } => "late",
        Ending::Answered(Outcome { value, .. }) => {
            if request.terms.question == Question::Approval && value == "rejected" { "bad" } else { "good" }
        }
    }
}

/// An accepted value as it is shown: by name, with one nameless entry for what is no object. Nothing where the sentence says
/// it all.
pub(super) fn value(question: &Question, outcome: &Outcome) -> Vec<(String, String)> {
    match (question, &outcome.value) {
        (Question::Approval, _) => Vec::new(),
        (_, Value::Object(fields)) => named(question, fields),
        (_, _) if outcome.source == Source::OnExpiry => Vec::new(),
        (_, value) => vec![(String::new(), plain(question, value))],
    }
}

/// The parts of a form's value, by the titles of the schema.
fn named(question: &Question, fields: &Map<String, Value>) -> Vec<(String, String)> {
    let schema = if let Question::Form { schema } = question { schema.get("properties") } else { None };
    let title = |name: &str| schema?.get(name)?.get("title")?.as_str();
    let parts = fields.iter();
    parts.map(|(name, part)| (title(name).unwrap_or(name).to_owned(), plain(question, part))).collect()
}

/// A value in words: labels where options have them.
fn plain(question: &Question, value: &Value) -> String {
    let options: &[ChoiceOption] = if let Question::Choice { options, .. } = question { options } else { &[] };
    match value {
        Value::String(text) => {
            options.iter().find(|option| option.value == *text).map_or(text.as_str(), ChoiceOption::label).to_owned()
        }
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.into(),
        Value::Array(items) if !items.iter().any(|item| item.is_object() || item.is_array()) => {
            items.iter().map(|item| plain(question, item)).collect::<Vec<_>>().join(", ")
        }
        Value::Array(_) | Value::Object(_) => serde_json::to_string_pretty(value).unwrap_or_default(),
        other => other.to_string(),
    }
}

/// What was sent and not counted, to be read and copied by who wrote it: as it was understood, else as it was typed.
pub(super) fn sent(question: &Question, posted: &Posted) -> String {
    let parts: Vec<(String, String)> = match (values::read(question, posted), posted.raw_value()) {
        (Ok(Value::Object(fields)), _) => named(question, &fields),
        (Ok(value), _) => vec![(String::new(), plain(question, &value))],
        (Err(_), Value::Object(typed)) => {
            let typed = typed.iter().map(|(name, texts)| (name.trim_start_matches(VALUE), plain(question, texts)));
            typed.map(|(name, text)| (name.trim_start_matches('.').to_owned(), text)).collect()
        }
        (Err(_), _) => Vec::new(),
    };
    let said = parts.into_iter().filter(|(_, text)| !text.is_empty());
    let said = said.map(|(name, text)| if name.is_empty() { text } else { format!("{name}: {text}") });
    said.chain(posted.comment()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use hearback_core::person::UserRef;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const AT: Timestamp = Timestamp::from_micros(1_795_512_600_000_000);

    fn outcome(value: Value, by: Option<u128>) -> Outcome {
        let by = by.map(|id| UserRef { id: Uuid::from_u128(id).into(), username: "ben".into() });
        let (channel, source) = match by {
            Some(_) => (Some("slack".parse().unwrap()), Source::Person),
            None => (None, Source::OnExpiry),
        };
        Outcome { value, comment: None, by, channel, at: AT, source }
    }

    fn request(question: &Value) -> Request {
        let terms = json!({
            "prompt": "?", "context": null, "to": [], "channels": [], "strategy": "fallback", "fallback_after": 300,
            "expires_in": 60, "urgent": false, "on_expiry": null, "callback_url": null, "session_id": null, "metadata": {},
        });
        let mut terms = terms.as_object().unwrap().clone();
        terms.extend(question.as_object().unwrap().clone());
        Request {
            id: Uuid::nil().into(),
            asker: hearback_core::person::Asker {
                user: UserRef { id: Uuid::nil().into(), username: "ana".into() },
                token: None,
            },
            terms: serde_json::from_value(terms.into()).unwrap(),
            created_at: AT,
            expires_at: AT,
            created_event: hearback_core::event::EventId::default(),
            state: hearback_core::feedback::RequestState::Pending,
        }
    }

    #[test]
    fn every_ending_has_its_sentence() {
        let approval = request(&json!({"kind": "approval"}));
        let you = Uuid::from_u128(7).into();
        let says = |request: &Request, ending: &Ending| sentence(request, ending, you);
        let when = "24 Nov 2026, 09:30 UTC";
        let cases = [
            (Ending::Answered(outcome(json!("approved"), Some(7))), format!("Approved by you on slack, {when}")),
            (Ending::Answered(outcome(json!("rejected"), Some(8))), format!("Rejected by ben on slack, {when}")),
            (Ending::Cancelled { at: AT }, format!("Cancelled by the asker, {when}")),
            (Ending::Expired { at: AT, outcome: None }, format!("Expired without an answer, {when}")),
            (
                Ending::Expired { at: AT, outcome: Some(outcome(json!("rejected"), None)) },
                format!("Expired without an answer, {when}; rejected stands, as the asker had set for that case"),
            ),
        ];
        for (ending, expected) in cases {
            assert_eq!(says(&approval, &ending), expected);
        }
        let options = json!([{"value": "eu", "label": "Europe"}, {"value": "us"}]);
        let choice = request(&json!({"kind": "choice", "options": options, "multiple": true}));
        let mut over_api = outcome(json!(["eu", "us"]), Some(8));
        over_api.channel = Some("api".parse().unwrap());
        assert_eq!(value(&choice.terms.question, &over_api), [(String::new(), "Europe, us".into())]);
        assert_eq!(says(&choice, &Ending::Answered(over_api)), format!("Answered by ben over the API, {when}"));
    }

    #[test]
    fn a_forms_value_is_shown_by_its_titles() {
        let schema = json!({"type": "object", "properties": {"n": {"title": "Number"}}});
        let question = request(&json!({"kind": "form", "schema": schema})).terms.question;
        let shown = value(&question, &outcome(json!({"n": 3, "sure": true, "x": {"y": [1]}}), Some(7)));
        let names: Vec<_> = shown.iter().map(|(name, text)| format!("{name}={text}")).collect();
        assert_eq!(names[..2], ["Number=3", "sure=yes"]);
        assert!(names[2].starts_with("x={\n"));
    }

    #[test]
    fn what_came_too_late_is_shown_as_it_was_meant_or_as_it_was_typed() {
        let schema = json!({"type": "object", "properties": {
            "n": {"type": "integer", "title": "Number"}, "size": {"enum": ["small", "large"]},
        }});
        let form = request(&json!({"kind": "form", "schema": schema})).terms.question;
        let posted = |text: &str| Posted::read(text.as_bytes());
        let meant = sent(&form, &posted("form=f&value.n=5&value.size=1&comment=mine"));
        assert_eq!(meant, "Number: 5\nsize: large\nmine");
        assert_eq!(sent(&form, &posted("form=f&value.n=five&value.size=")), "n: five");
        let input = request(&json!({"kind": "input"})).terms.question;
        assert_eq!(sent(&input, &posted("form=f&value=two%0D%0Alines")), "two\nlines");
        let approval = request(&json!({"kind": "approval"})).terms.question;
        assert_eq!(sent(&approval, &posted("value=approved&comment=go")), "approved\ngo");
    }

    #[test]
    fn spans_are_rounded_down() {
        let cases = [
            (59, "less than a minute"),
            (60, "1 minute"),
            (7199, "119 minutes"),
            (7200, "2 hours"),
            (172_800, "2 days"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(span(Duration::from_secs(seconds)), expected);
        }
    }
}
