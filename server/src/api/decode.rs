//! What callers send becomes typed values here, or problems that name the field and the values that would do.

use hearback_core::error::FieldError;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, error::Category};

use super::{
    problem::Problem,
    strict::{Sound, Strict},
};

/// Reads a JSON object as a `T`.
///
/// # Errors
///
/// `malformed` where it is not JSON, with line and column; `invalid` where it is not a `T`, with the field.
pub fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Problem::malformed(format!("The body is not UTF-8: byte {} is wrong.", error.valid_up_to() + 1))
    })?;
    if text.trim().is_empty() {
        return Err(Problem::malformed("The body is empty; it must be JSON."));
    }
    // The whole text is read before any of it is believed, so that what is not JSON is never called a wrong field.
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let sound = serde_path_to_error::deserialize(&mut deserializer);
    let Sound(value) = sound.map_err(|error| {
        if error.inner().classify() == Category::Data { invalid(error) } else { not_json(error.inner()) }
    })?;
    deserializer.end().map_err(|error| not_json(&error))?;
    serde_path_to_error::deserialize(Strict(value)).map_err(invalid)
}

/// Reads a URL-encoded form as a `T` whose fields are texts.
///
/// # Errors
///
/// `invalid` where it is not a `T`, with the field.
pub(super) fn form<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut fields = Map::new();
    for (name, value) in url::form_urlencoded::parse(bytes) {
        if name.contains('\0') || value.contains('\0') {
            return Err(Problem::invalid(vec![FieldError::new(name.replace('\0', ""), "holds a NUL character")]));
        }
        if fields.insert(name.to_string(), value.into_owned().into()).is_some() {
            return Err(Problem::invalid(vec![FieldError::new(name, "stands twice")]));
        }
    }
    serde_path_to_error::deserialize(Value::Object(fields)).map_err(invalid)
}

fn invalid(error: serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let path = error.path().to_string();
    Problem::invalid(vec![fault(path, &error.into_inner())])
}

fn not_json(error: &serde_json::Error) -> Problem {
    let reason = without_place(error);
    Problem::malformed(format!("The body is not JSON: {reason} at line {}, column {}.", error.line(), error.column()))
}

/// The message without the place that `serde_json` puts behind it.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).map(str::to_owned).unwrap_or(text)
}

/// What serde says, as a field with the values that would do.
fn fault(path: String, error: &serde_json::Error) -> FieldError {
    let message = without_place(error);
    // Of a key that is wrong itself, serde tells the path of its object or its own, by where it noticed.
    let inside = |name: &str| match path.as_str() {
        "." => name.to_owned(),
        path if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        path => format!("{path}.{name}"),
    };
    if let Some((name, expected)) = named(&message, "unknown field") {
        return FieldError::new(inside(name), "is not known here").allowing(listed(expected));
    }
    if let Some((name, _)) = named(&message, "missing field") {
        return FieldError::new(inside(name), "is required");
    }
    if let Some((name, _)) = named(&message, "duplicate field") {
        return FieldError::new(inside(name), "stands twice");
    }
    let field = if path == "." { "body".to_owned() } else { path };
    if let Some((name, expected)) = named(&message, "unknown variant") {
        // The path may end with the wrong variant itself, which is no field.
        let field = field.strip_suffix(&format!(".{name}")).map(str::to_owned).unwrap_or(field);
        return FieldError::new(field, format!("\"{name}\" is none of the values")).allowing(listed(expected));
    }
    for prefix in ["invalid type: ", "invalid value: "] {
        if let Some((found, expected)) = message.strip_prefix(prefix).and_then(|rest| rest.rsplit_once(", expected ")) {
            return FieldError::new(field, format!("expected {}, found {}", plain(expected), plain(found)));
        }
    }
    FieldError::new(field, message)
}

/// The name in back quotes after `what`, and the rest.
fn named<'a>(message: &'a str, what: &str) -> Option<(&'a str, &'a str)> {
    let rest = message.strip_prefix(what)?.strip_prefix(" `")?;
    let split = ["`, expected ", "`, there are "].into_iter().find_map(|end| rest.split_once(end));
    split.or_else(|| Some((rest.strip_suffix('`')?, "")))
}

/// The names in back quotes.
fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// serde's words for types, in JSON's words.
fn plain(text: &str) -> String {
    match text {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not negative".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a sequence" | "sequence" => "a list".into(),
        "a map" | "map" => "an object".into(),
        "null" | "unit" => "null".into(),
        other if other.starts_with("struct ") => "an object".into(),
        other if other.starts_with("string ") => "a string".into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use hearback_core::feedback::Draft;
    use serde::Deserialize;

    use super::*;
    use crate::api::problem::ProblemKind;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Login {
        username: String,
        password: String,
    }

    fn fault_of(text: &str) -> FieldError {
        let problem = json::<Draft>(text.as_bytes()).unwrap_err();
        assert_eq!(problem.kind(), ProblemKind::Invalid, "{problem}");
        problem.errors()[0].clone()
    }

    #[test]
    fn wrong_fields_are_named_with_what_would_do() {
        let base = r#""kind":"choice","prompt":"p","to":["ana"]"#;
        let cases = [
            (r#"{"kind":"approval","prompt":"p"}"#.to_owned(), "to", "is required", ""),
            (format!("{{{base},\"colour\":1}}"), "colour", "is not known here", "prompt"),
            (format!("{{{base},\"prompt\":\"again\"}}"), "prompt", "stands twice", ""),
            (
                r#"{"kind":"vote","prompt":"p","to":["ana"]}"#.into(),
                "kind",
                "\"vote\" is none of the values",
                "approval",
            ),
            (format!("{{{base},\"multiple\":\"yes\"}}"), "multiple", "expected a boolean, found a string", ""),
            (
                format!("{{{base},\"expires_in\":-1}}"),
                "expires_in",
                "expected a whole number, not negative, found integer `-1`",
                "",
            ),
            (
                format!("{{{base},\"options\":[{{\"value\":\"a\"}},{{\"value\":5}}]}}"),
                "options[1].value",
                "expected a string, found integer `5`",
                "",
            ),
            (
                format!("{{{base},\"options\":[{{\"value\":\"a\",\"colour\":1}}]}}"),
                "options[0].colour",
                "is not known here",
                "label",
            ),
            (format!("{{{base},\"options\":[{{\"label\":\"a\"}}]}}"), "options[0].value", "is required", ""),
            (format!("{{{base},\"metadata\":{{\"a\":{{\"b\":1,\"b\":2}}}}}}"), "metadata.a.b", "stands twice", ""),
            (format!("{{{base},\"context\":\"a\\u0000b\"}}"), "context", "holds a NUL character", ""),
            (r#"{"kind":5,"prompt":"p","to":["ana"]}"#.into(), "kind", "expected a string, found integer `5`", ""),
            (format!("{{{base},\"options\":[[\"a\",\"A\"]]}}"), "options[0]", "expected an object, found a list", ""),
            ("[]".into(), "body", "expected an object, found a list", ""),
            ("null".into(), "body", "expected an object, found null", ""),
            (r#"["approval","p"]"#.into(), "body", "expected an object, found a list", ""),
        ];
        for (text, field, detail, allowed) in cases {
            let found = fault_of(&text);
            assert_eq!((found.field.as_str(), found.detail.as_str()), (field, detail), "{text}");
            assert!(allowed.is_empty() == found.allowed.is_empty(), "{text}: {found:?}");
            assert!(allowed.is_empty() || found.allowed.iter().any(|value| value == allowed), "{text}: {found:?}");
        }
    }

    #[test]
    fn what_is_not_json_is_malformed_with_its_place() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        let cases: [(&[u8], &str); 10] = [
            (b"", "empty"),
            (b"  \n", "empty"),
            (b"{\"kind\": \"vote\",\n  \"to\" 5}", "line 2, column 8"),
            (b"{\"colour\": 1", "line 1, column 12"),
            (b"{} {}", "trailing characters"),
            (b"{\"kind\": \"\xff\"}", "byte 11"),
            (b"\xef\xbb\xbf{}", "line 1, column 1"),
            (b"{\"prompt\": \"\0\"}", "control character"),
            (b"{\"expires_in\": 1e999}", "out of range"),
            (deep.as_bytes(), "recursion limit"),
        ];
        for (bytes, place) in cases {
            let problem = json::<Draft>(bytes).unwrap_err();
            assert_eq!(problem.kind(), ProblemKind::Malformed, "{problem}");
            assert!(problem.detail().contains(place), "{problem}");
        }
    }

    #[test]
    fn forms_are_read_like_bodies() {
        let login: Login = form(b"username=ana%40example.org&password=a+green+lamp%207").unwrap();
        assert_eq!((login.username.as_str(), login.password.as_str()), ("ana@example.org", "a green lamp 7"));
        let fault = |text: &[u8]| form::<Login>(text).unwrap_err().errors()[0].to_string();
        assert_eq!(fault(b"username=ana"), "password: is required");
        assert_eq!(fault(b"username=a&username=b"), "username: stands twice");
        assert_eq!(fault(b"username=a&password=b&x=c"), "x: is not known here (allowed: username, password)");
        assert_eq!(fault(b"username=a%00&password=b"), "username: holds a NUL character");
    }
}
