//! Every error of the API: RFC 9457 problems, with a stable type for each case.

mod document;
mod kind;

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use hearback_core::{ErrorKind, error::FieldError, feedback::RequestDocument, limits::whole_seconds};
use http::{HeaderName, HeaderValue, StatusCode, header};
use poem::{Response, error::ResponseError};

use super::answer::IDEMPOTENT_REPLAYED;
pub use document::ProblemDocument;
pub(super) use document::text_header;
pub use kind::ProblemKind;

/// How long until a caller may try again when the database does not answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The content type of every error.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// An error of an operation. Its text is safe to show: no secret and nothing internal is in it.
#[derive(Clone)]
pub struct Problem(Box<Parts>);

#[derive(Clone)]
struct Parts {
    kind: ProblemKind,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    feedback: Option<RequestDocument>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem of a kind. `detail` is a sentence for people.
    pub fn new(kind: ProblemKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts { kind, detail: detail.into(), errors: Vec::new(), feedback: None, headers: Vec::new() }))
    }

    /// What cannot be read: a body that is not JSON, a path, query or header.
    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemKind::Malformed, detail)
    }

    /// Who calls is not known.
    pub fn unauthenticated(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemKind::Unauthenticated, detail)
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// The caller may not do this.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemKind::Forbidden, detail)
    }

    /// There is no such thing, or it is not the caller's.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemKind::NotFound, detail)
    }

    /// Fields are not as they must be.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => format!("`{}`: {}.", one.field, one.detail),
            more => format!("{} fields are not as they must be.", more.len()),
        };
        Self::new(ProblemKind::Invalid, detail).with_errors(errors)
    }

    /// The body is of another content type than those that are read.
    #[must_use]
    pub fn unsupported_media_type(found: Option<&str>, read: &[&str]) -> Self {
        let detail = match found {
            Some(found) => format!("The body is {found}."),
            None => "The body has no Content-Type.".into(),
        };
        let fault =
            FieldError::new("Content-Type", "not a content type that is read here").allowing(read.iter().copied());
        Self::new(ProblemKind::UnsupportedMediaType, detail).with_errors(vec![fault])
    }

    /// A fault of the hub. What it was goes to the log, not to the caller.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(ProblemKind::Internal, "Something went wrong here. The log has more under this request_id.")
    }

    /// The hub cannot do it now, but may soon.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemKind::Unavailable, detail).with_retry_after(RETRY_AFTER)
    }

    /// The hub is about to end.
    #[must_use]
    pub fn stopping() -> Self {
        Self::unavailable("The hub is stopping. Try again shortly.")
    }

    /// The same problem with the fields at fault.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// The same problem with the request it is about, which tells who won.
    #[must_use]
    pub fn with_feedback(mut self, feedback: RequestDocument) -> Self {
        self.0.feedback = Some(feedback);
        self
    }

    /// The same problem with how long it is until another try may help, in whole seconds.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        self.with_header(header::RETRY_AFTER, whole_seconds(wait).into())
    }

    /// The same problem with one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// The same problem, marked as the answer to an earlier call with the same `Idempotency-Key` or not.
    #[must_use]
    pub fn replayed(self, replayed: bool) -> Self {
        if replayed { self.with_header(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true")) } else { self }
    }

    /// What kind of problem it is.
    #[must_use]
    pub const fn kind(&self) -> ProblemKind {
        self.0.kind
    }

    /// The headers that its answer has besides those of every problem.
    #[must_use]
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.0.headers
    }

    /// The sentence for people.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The fields at fault.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The answer, with the id under which the log has this call.
    #[must_use]
    pub fn into_response(self, request_id: &str) -> Response {
        let Parts { kind, detail, errors, feedback, headers } = *self.0;
        let document = ProblemDocument {
            kind: format!("urn:hearback:problem:{}", kind.code()),
            title: kind.title().into(),
            status: kind.status(),
            detail: detail.into_owned(),
            request_id: request_id.into(),
            errors,
            feedback,
        };
        let status = StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Response::builder()
            .status(status)
            .content_type(CONTENT_TYPE)
            .body(serde_json::to_vec(&document).unwrap_or_default());
        response.headers_mut().extend(headers);
        response
    }
}

impl From<hearback_core::Error> for Problem {
    fn from(error: hearback_core::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::not_found(format!("Not found: {}.", error.detail())),
            ErrorKind::Unavailable => {
                tracing::error!(error = %Chain(&error), "unavailable");
                Self::unavailable("The hub cannot reach what it needs. Try again shortly.")
            }
            _ => {
                tracing::error!(error = %Chain(&error), "a fault of the hub");
                Self::internal()
            }
        }
    }
}

/// Prints an error with what lies below it.
pub(super) struct Chain<'a>(pub &'a dyn StdError);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut below = self.0.source();
        while let Some(error) = below {
            write!(f, ": {error}")?;
            below = error.source();
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind.code(), self.0.detail)
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for Problem {}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    // The middleware answers with problems, and knows the id. This is for an endpoint that stands outside of it.
    fn as_response(&self) -> Response {
        self.clone().into_response("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_the_hub_shows_nothing_internal() {
        let error = hearback_core::Error::new(ErrorKind::Unexpected, "storage.create", "no such table: secrets");
        assert_eq!(Problem::from(error).detail(), Problem::internal().detail());
    }
}
