//! What is told of a request that is over: the outcome on standard output, the rest on standard error, the exit code.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use hearback_core::feedback::{Kind, Question, RequestDocument, Status};
use serde_json::Value;

use super::{
    client::Answer,
    progress::{Progress, printable},
};

/// Approved, or answered.
const YES: u8 = 0;
/// Rejected.
const NO: u8 = 1;
/// Expired or cancelled.
const NEITHER: u8 = 2;

/// Tells the ending and gives the exit code.
///
/// # Errors
///
/// Standard output cannot be written to, and the caller must not take silence for an answer.
pub(super) fn tell(answer: &Answer, json: bool, progress: &Progress) -> io::Result<u8> {
    let request = &answer.request;
    progress.note(printable(&sentence(request)));
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", answer.raw)?;
    } else if let Some(outcome) = &request.outcome {
        write!(out, "{}", value(request.terms.question.kind(), &outcome.value))?;
    }
    out.flush()?;
    Ok(exit_code(request))
}

fn exit_code(request: &RequestDocument) -> u8 {
    match request.status {
        Status::Expired | Status::Cancelled | Status::Pending => NEITHER,
        Status::Answered => match (&request.terms.question, &request.outcome) {
            (Question::Approval, Some(outcome)) if outcome.value == "approved" => YES,
            (Question::Approval, _) => NO,
            _ => YES,
        },
    }
}

/// The value in lines: of several chosen ones one a line, a form as JSON.
fn value(kind: Kind, value: &Value) -> String {
    match (kind, value) {
        (Kind::Form, form) => format!("{form:#}\n"),
        (_, Value::String(text)) => format!("{text}\n"),
        (_, Value::Array(chosen)) => {
            let lines = chosen.iter().filter_map(Value::as_str).flat_map(|one| [one, "\n"]);
            lines.collect()
        }
        (_, other) => format!("{other}\n"),
    }
}

/// Who, where, when and the comment.
fn sentence(request: &RequestDocument) -> String {
    let at = request.ended_at.map(|at| format!(" at {at}")).unwrap_or_default();
    let mut text = match (request.status, &request.outcome) {
        (Status::Answered, Some(outcome)) => {
            let by = outcome.by.as_ref().map_or("somebody", |user| user.username.as_str());
            let on = outcome.channel.as_ref().map(|channel| format!(" on {channel}")).unwrap_or_default();
            let did = match (&request.terms.question, &outcome.value) {
                (Question::Approval, Value::String(word)) => word.as_str(),
                _ => "answered",
            };
            format!("{did} by {by}{on} at {}", outcome.at)
        }
        (Status::Expired, Some(_)) => format!("expired{at}; the outcome is what was to hold then"),
        (status, _) => format!("{status}{at}"),
    };
    if let Some(comment) = request.outcome.as_ref().and_then(|outcome| outcome.comment.as_deref()) {
        let _ = write!(text, "\ncomment: {comment}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn told(name: &str) -> (u8, String, String) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/contract/bodies").join(name);
        let request: RequestDocument = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let out = request.outcome.as_ref().map(|outcome| value(request.terms.question.kind(), &outcome.value));
        (exit_code(&request), out.unwrap_or_default(), sentence(&request))
    }

    #[test]
    fn the_contracts_requests_are_told_in_their_own_words() {
        let (code, out, sentence) = told("feedback.read.choice.answered.json");
        assert_eq!((code, out.as_str()), (0, "blue\n"));
        assert!(sentence.starts_with("answered by ana on web at 2026-"), "{sentence}");
        assert!(sentence.ends_with("\ncomment: Green is still being patched."), "{sentence}");

        let (code, out, sentence) = told("feedback.read.input.expired.json");
        assert_eq!((code, out.as_str()), (2, "v1.4.1\n"));
        assert!(sentence.starts_with("expired"), "{sentence}");

        let (code, out, sentence) = told("feedback.read.form.cancelled.json");
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(sentence.starts_with("cancelled"), "{sentence}");
    }
}
