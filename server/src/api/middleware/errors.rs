//! Every error becomes a problem.

use std::collections::HashMap;

use hearback_core::error::FieldError;
use http::{HeaderValue, Method, StatusCode, header};
use poem::{
    Error, Response,
    error::{MethodNotAllowedError, NotFoundError},
};
use poem_openapi::{
    error::{ParseParamError, ParsePathError},
    registry::MetaApi,
};

use super::Said;
use crate::api::problem::{Chain, Problem, ProblemKind};

/// What each path of an operation takes, by the router's pattern for it.
#[derive(Debug, Default)]
pub(in crate::api) struct Allowed(HashMap<String, Taken>);

#[derive(Debug, Default)]
struct Taken {
    path: String,
    methods: Vec<Method>,
    parameters: Vec<String>,
}

impl Allowed {
    /// What the paths of operations take, below a prefix. Every other path takes GET.
    pub(in crate::api) fn of(apis: &[MetaApi], prefix: &str) -> Self {
        let mut allowed: HashMap<_, Taken> = HashMap::new();
        for path in apis.iter().flat_map(|api| &api.paths) {
            let (pattern, parameters) = pattern(&path.path);
            let taken = allowed.entry(format!("{prefix}{pattern}")).or_default();
            taken.methods.extend(path.operations.iter().map(|operation| operation.method.clone()));
            taken.parameters = parameters;
            taken.path = format!("{prefix}{}", path.path);
        }
        Self(allowed)
    }

    fn at(&self, pattern: Option<&str>) -> Option<&Taken> {
        pattern.and_then(|pattern| self.0.get(pattern))
    }

    /// The methods that a path takes, in the order of their names.
    fn methods(&self, pattern: Option<&str>) -> Vec<&str> {
        let taken = self.at(pattern);
        let mut methods: Vec<_> = taken.map_or(vec!["GET"], |taken| taken.methods.iter().map(Method::as_str).collect());
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.sort_unstable();
        methods
    }

    /// The path as the document writes it, where the router's pattern is that of an operation.
    pub(super) fn path<'a>(&'a self, pattern: &'a str) -> &'a str {
        self.at(Some(pattern)).map_or(pattern, |taken| &taken.path)
    }

    /// The name of a parameter that the router calls `param0`, `param1`, ….
    fn parameter<'a>(&'a self, pattern: Option<&str>, name: &'a str) -> &'a str {
        let index = name.strip_prefix("param").and_then(|number| number.parse::<usize>().ok());
        let named = index.and_then(|index| self.at(pattern)?.parameters.get(index));
        named.map_or(name, String::as_str)
    }
}

/// The router's pattern for a path of the document, where poem-openapi calls the parameters `param0`, `param1`, …; and
/// their names.
fn pattern(path: &str) -> (String, Vec<String>) {
    let mut names = Vec::new();
    let segments =
        path.split('/').map(|segment| match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => {
                names.push(name.to_owned());
                format!(":param{}", names.len() - 1)
            }
            None => segment.to_owned(),
        });
    let pattern = segments.collect::<Vec<_>>().join("/");
    (pattern, names)
}

/// The answer to a call that failed.
pub(super) fn answer(
    error: Error,
    said: &Said,
    pattern: Option<&str>,
    allowed: &Allowed,
    request_id: &str,
) -> Response {
    if error.is_from_response() && !(error.status().is_client_error() || error.status().is_server_error()) {
        return error.into_response();
    }
    problem(error, said, pattern, allowed).into_response(request_id)
}

fn problem(error: Error, said: &Said, pattern: Option<&str>, allowed: &Allowed) -> Problem {
    let error = match error.downcast::<Problem>() {
        Ok(problem) => return problem,
        Err(error) => error,
    };
    if let Some(ParseParamError { name, reason }) = error.downcast_ref() {
        return unreadable(name, reason);
    }
    if let Some(ParsePathError { name, reason }) = error.downcast_ref() {
        return unreadable(allowed.parameter(pattern, name), reason);
    }
    if error.is::<NotFoundError>() {
        return Problem::not_found("There is nothing at this path.");
    }
    if error.is::<MethodNotAllowedError>() {
        return not_allowed(said, &allowed.methods(pattern));
    }
    match error.status() {
        StatusCode::UNAUTHORIZED => Problem::unauthenticated("Sign in, or send a token."),
        StatusCode::FORBIDDEN => Problem::forbidden("You may not do this."),
        StatusCode::NOT_FOUND => Problem::not_found("There is nothing at this path."),
        StatusCode::METHOD_NOT_ALLOWED => not_allowed(said, &allowed.methods(pattern)),
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(ProblemKind::TooLarge, "The body is larger than 1 MiB."),
        StatusCode::SERVICE_UNAVAILABLE => Problem::unavailable("The hub cannot do this now. Try again shortly."),
        status if status.is_client_error() => Problem::malformed(format!("The request cannot be read: {error}.")),
        _ => {
            tracing::error!(error = %Chain(&error), "a fault of the hub");
            Problem::internal()
        }
    }
}

fn unreadable(name: &str, reason: &str) -> Problem {
    // poem-openapi says which of its types it tried to read, in quotation marks; the rest is for people.
    let (of, reason) = match reason.strip_prefix("failed to parse \"").and_then(|rest| rest.split_once("\": ")) {
        Some((of, reason)) => (of, reason),
        None => ("", reason),
    };
    let reason = match of {
        "string(uuid)" => "expected a UUID",
        _ if reason.contains("expected type") => "is required",
        _ => reason.split_once(" (occurred while parsing").map_or(reason, |(reason, _)| reason),
    };
    Problem::malformed(format!("`{name}` cannot be read: {reason}.")).with_errors(vec![FieldError::new(name, reason)])
}

fn not_allowed(said: &Said, methods: &[&str]) -> Problem {
    let shown: Vec<_> = methods.iter().copied().filter(|method| *method != "HEAD").collect();
    let verb = if shown.len() == 1 { "is" } else { "are" };
    let detail = format!("{} is not allowed here; {} {verb}.", said.method, shown.join(" and "));
    let problem = Problem::new(ProblemKind::MethodNotAllowed, detail);
    match HeaderValue::try_from(methods.join(", ")) {
        Ok(allow) => problem.with_header(header::ALLOW, allow),
        Err(_) => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_document_is_known_by_the_routers_pattern() {
        let (pattern, names) = pattern("/api/sessions/{id}/messages/{message_id}");
        assert_eq!(pattern, "/api/sessions/:param0/messages/:param1");
        assert_eq!(names, ["id", "message_id"]);
    }
}
