//! From the command line to the draft that the hub is sent. Limits are the hub's to check, so that an older program
//! does not stand between its user and a newer hub.

use std::{
    fs,
    io::{self, Read},
    time::Duration,
};

use hearback_core::feedback::{ChoiceOption, Draft, DraftStep, Kind, Strategy};
use serde_json::{Map, Value};

use super::options::QuestionOptions;

/// Standard input, as a name of a file.
const STDIN: &str = "-";

/// Builds the draft, reading the files that the options name. A fault is a sentence for people.
pub(super) fn draft(prompt: String, options: QuestionOptions) -> Result<Draft, String> {
    if options.form.as_deref() == Some(STDIN) && options.context.as_deref() == Some(STDIN) {
        return Err("--form and --context cannot both read standard input".into());
    }
    let kind = match &options {
        QuestionOptions { input: true, .. } => Kind::Input,
        QuestionOptions { form: Some(_), .. } => Kind::Form,
        QuestionOptions { choice, .. } if !choice.is_empty() => Kind::Choice,
        _ => Kind::Approval,
    };
    let on_expiry = options.on_expiry.map(|text| on_expiry(kind, options.multiple, text)).transpose()?;
    let choices = options.choice.iter().map(|text| choice(text)).collect();
    let strategy = options.strategy.map(|word| match word.as_str() {
        "broadcast" => Strategy::Broadcast,
        _ => Strategy::Fallback,
    });
    let steps: Vec<_> = options.channels.into_iter().map(DraftStep::Channel).collect();
    Ok(Draft {
        kind,
        prompt,
        context: options.context.map(context).transpose()?,
        options: (kind == Kind::Choice).then_some(choices),
        multiple: options.multiple.then_some(true),
        min_length: options.min_length,
        max_length: options.max_length,
        pattern: options.pattern,
        schema: options.form.map(|file| object("--form", &read_file("--form", &file)?)).transpose()?,
        to: options.to,
        channels: (!steps.is_empty()).then_some(steps),
        strategy,
        fallback_after: options.fallback_after.map(|span| whole_seconds("--fallback-after", span)).transpose()?,
        expires_in: options.timeout.map(|span| whole_seconds("--timeout", span)).transpose()?,
        urgent: options.urgent.then_some(true),
        on_expiry,
        callback_url: None,
        session_id: None,
        metadata: options.metadata.map(|text| object("--metadata", &text)).transpose()?,
    })
}

fn choice(text: &str) -> ChoiceOption {
    match text.split_once('=') {
        Some((value, label)) => ChoiceOption { value: value.trim().into(), label: Some(label.trim().into()) },
        None => ChoiceOption { value: text.trim().into(), label: None },
    }
}

fn on_expiry(kind: Kind, multiple: bool, text: String) -> Result<Value, String> {
    match kind {
        Kind::Form => object("--on-expiry", &text).map(Value::Object),
        Kind::Choice if multiple => Ok(text.split(',').map(|value| Value::from(value.trim())).collect()),
        Kind::Approval | Kind::Choice | Kind::Input => Ok(text.into()),
    }
}

fn context(text: String) -> Result<String, String> {
    match text.strip_prefix('@') {
        Some(file) => read_file("--context", file),
        None if text == STDIN => read_file("--context", STDIN),
        None => Ok(text),
    }
}

fn read_file(option: &str, file: &str) -> Result<String, String> {
    let mut text = String::new();
    let read =
        if file == STDIN { io::stdin().read_to_string(&mut text).map(|_| text) } else { fs::read_to_string(file) };
    let name = if file == STDIN { "standard input" } else { file };
    read.map_err(|error| format!("{option}: cannot read {name}: {error}"))
}

fn object(option: &str, text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(format!("{option}: expected a JSON object, as {{\"key\": \"value\"}}")),
        Err(error) => Err(format!("{option}: is not JSON: {error}")),
    }
}

fn whole_seconds(option: &str, span: Duration) -> Result<u32, String> {
    if span.subsec_nanos() != 0 {
        return Err(format!("{option}: expected whole seconds"));
    }
    u32::try_from(span.as_secs()).map_err(|_| format!("{option}: is longer than any hub allows"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;
    use crate::ask::Options;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn sent(args: &[&str]) -> Value {
        let line = Line::try_parse_from(["ask"].iter().chain(args)).unwrap();
        serde_json::to_value(draft(line.options.prompt.unwrap(), line.options.question).unwrap()).unwrap()
    }

    fn contract(name: &str) -> Value {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/contract/bodies");
        serde_json::from_str(&fs::read_to_string(folder.join(name)).unwrap()).unwrap()
    }

    fn text<'a>(value: &'a Value, field: &str) -> &'a str {
        value[field].as_str().unwrap()
    }

    #[test]
    fn an_approval_is_sent_as_the_contract_shows_it() {
        let expected = contract("feedback.create.approval.json");
        let metadata = expected["metadata"].to_string();
        let args = [text(&expected, "prompt"), "--to", "ana", "--to", "ben", "--context", text(&expected, "context")];
        let more = ["--channel", "websocket", "--strategy", "fallback", "--fallback-after", "5m", "--timeout", "10m"];
        let last = ["--urgent", "--on-expiry", "rejected", "--metadata", &metadata];
        assert_eq!(sent(&[&args[..], &more, &last].concat()), expected);
    }

    #[test]
    fn a_choice_is_sent_as_the_contract_shows_it() {
        let mut expected = contract("feedback.create.choice.json");
        // What the hub takes for granted is not sent.
        expected.as_object_mut().unwrap().remove("multiple");
        let args = [text(&expected, "prompt"), "--to", "ana,ben", "--channel", "websocket"];
        let choices = ["--choice", "blue=Blue (Frankfurt),green=Green (Dublin)", "--choice", "none=Neither today"];
        assert_eq!(sent(&[&args[..], &choices].concat()), expected);
    }

    #[test]
    fn an_input_is_sent_as_the_contract_shows_it() {
        let expected = contract("feedback.create.input.json");
        let args = [text(&expected, "prompt"), "--to", "ben", "--channel", "websocket", "--input", "--timeout", "15m"];
        let limits = ["--min-length", "6", "--max-length", "40", "--pattern", text(&expected, "pattern")];
        let more = ["--context", text(&expected, "context"), "--on-expiry", "v1.4.1"];
        assert_eq!(sent(&[&args[..], &limits, &more].concat()), expected);
    }

    #[test]
    fn a_form_is_sent_as_the_contract_shows_it() {
        let expected = contract("feedback.create.form.json");
        let folder = tempfile::tempdir().unwrap();
        let schema = folder.path().join("schema.json");
        fs::write(&schema, expected["schema"].to_string()).unwrap();
        let metadata = expected["metadata"].to_string();
        let args = [text(&expected, "prompt"), "--to", "ana,ben", "--channel", "websocket", "--timeout", "1day"];
        let more = ["--form", schema.to_str().unwrap(), "--strategy", "broadcast", "--metadata", &metadata];
        assert_eq!(sent(&[&args[..], &more].concat()), expected);
    }

    #[test]
    fn on_expiry_is_a_value_of_the_kind() {
        let sent = |args: &[&str]| sent(&[&["?", "--to", "ana"], args].concat())["on_expiry"].clone();
        assert_eq!(sent(&["--choice", "a,b", "--on-expiry", "a"]), "a");
        let several = sent(&["--choice", "a,b", "--multiple", "--on-expiry", "a,b"]);
        assert_eq!(several, Value::from(vec!["a", "b"]));
    }
}
