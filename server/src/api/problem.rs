//! Every error of the API: RFC 9457 problems, with a stable type for each case.

use std::{borrow::Cow, error::Error as StdError, fmt};

use hearback_core::{
    ErrorKind,
    error::FieldError,
    feedback::RequestDocument,
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use poem::{Response, error::ResponseError};
use poem_openapi::{
    ApiResponse,
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Seconds after which a caller may try again when the database does not answer.
const RETRY_AFTER: u64 = 1;

/// The content type of every error.
pub const CONTENT_TYPE: &str = "application/problem+json";

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident, $code:literal, $status:literal, $title:literal;)*) => {
        /// What kind of problem it is: one for each row of the table in `docs/contract/README.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ProblemKind {
            $($(#[$doc])* $name,)*
        }

        impl ProblemKind {
            /// Every kind, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The last part of its `type`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status),* }
            }

            /// A few words for people; the same for every problem of the kind.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }
        }
    };
}

kinds! {
    /// The body is not JSON, or a path, query or header cannot be read.
    Malformed, "malformed", 400, "The request cannot be read";
    /// No, a malformed, an expired or a foreign token; a wrong password.
    Unauthenticated, "unauthenticated", 401, "Not signed in";
    /// The caller may not do this.
    Forbidden, "forbidden", 403, "Not allowed";
    /// The call came from a page of an unknown origin, or without its CSRF token.
    Origin, "origin", 403, "Unknown origin";
    /// Nobody may register.
    RegistrationClosed, "registration_closed", 403, "Registration is closed";
    /// No such path or object, or it is not the caller's.
    NotFound, "not_found", 404, "Not found";
    /// The path does not take this method.
    MethodNotAllowed, "method_not_allowed", 405, "Method not allowed";
    /// Somebody else answered first.
    Late, "late", 409, "Already answered";
    /// The asker took the question back.
    Cancelled, "cancelled", 409, "Cancelled";
    /// A request that is no longer pending cannot be cancelled.
    Ended, "ended", 409, "Already over";
    /// The e-mail or username belongs to another account.
    Taken, "taken", 409, "Already taken";
    /// The first call with this idempotency key has not answered yet.
    IdempotencyRunning, "idempotency_running", 409, "Still running";
    /// The deadline has passed.
    Expired, "expired", 410, "Expired";
    /// The body is above the limit.
    TooLarge, "too_large", 413, "Too large";
    /// The body is of a content type that is not read here.
    UnsupportedMediaType, "unsupported_media_type", 415, "Content type not read";
    /// A field is unknown, missing, of the wrong type or out of range.
    Invalid, "invalid", 422, "Invalid";
    /// The idempotency key was used with another body.
    IdempotencyMismatch, "idempotency_mismatch", 422, "Key used before";
    /// A limit is reached.
    TooManyRequests, "too_many_requests", 429, "Too many requests";
    /// A fault of the hub.
    Internal, "internal", 500, "Fault of the hub";
    /// The hub is stopping, or its database does not answer.
    Unavailable, "unavailable", 503, "Not available";
}

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
        Self::new(ProblemKind::Unauthenticated, detail).with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
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
        let fault = FieldError::new("Content-Type", "not a content type that is read here").allowing(read.iter().copied());
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

    /// The same problem with the seconds after which another try may help.
    #[must_use]
    pub fn with_retry_after(self, seconds: u64) -> Self {
        self.with_header(header::RETRY_AFTER, seconds.into())
    }

    /// The same problem with one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// What kind of problem it is.
    #[must_use]
    pub const fn kind(&self) -> ProblemKind {
        self.0.kind
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

/// An error.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct ProblemDocument {
    /// The stable name of the case, `urn:hearback:problem:…`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The case in a few words. May be reworded.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A sentence for people. May be reworded.
    pub detail: String,
    /// The `X-Request-Id` of the answer, for the log.
    pub request_id: String,
    /// The fields at fault, where fields are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// On `late`, `cancelled`, `expired` and `ended`: the request, with who won.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<RequestDocument>,
}

/// What the document says of each status. 405 is not among them: it is the answer of a path, not of an operation.
const STATUSES: [(u16, &str); 12] = [
    (400, "`malformed`: the body is not JSON, or a path, query or header cannot be read."),
    (401, "`unauthenticated`: no, a malformed, an expired or a foreign token, or a wrong password."),
    (403, "`forbidden`: this is not yours to do; `origin`: the page that calls is unknown; `registration_closed`."),
    (404, "`not_found`: no such object, or it is not yours."),
    (409, "`late`, `cancelled`, `ended`, `taken` or `idempotency_running`: what is there already speaks against it."),
    (410, "`expired`: the deadline has passed."),
    (413, "`too_large`: the body is larger than 1 MiB."),
    (415, "`unsupported_media_type`: the body is of a content type that is not read here."),
    (422, "`invalid`: fields are not as they must be; `idempotency_mismatch`: the key was used with another body."),
    (429, "`too_many_requests`: a limit is reached."),
    (500, "`internal`: a fault of the hub."),
    (503, "`unavailable`: the hub is stopping, or its database does not answer."),
];

impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        let response = |(status, description)| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType { content_type: CONTENT_TYPE, schema: schema::reference::<ProblemDocument>() }],
            headers: match status {
                401 => vec![text_header("WWW-Authenticate", "`Bearer`.")],
                429 | 503 => vec![text_header("Retry-After", "Seconds after which another try may help.")],
                _ => Vec::new(),
            },
        };
        MetaResponses { responses: STATUSES.map(response).into() }
    }

    fn register(registry: &mut Registry) {
        schema::register_answer::<ProblemDocument>(registry);
    }
}

/// The description of a header that holds a text.
pub(super) fn text_header(name: &str, description: &str) -> MetaHeader {
    MetaHeader {
        name: name.into(),
        description: Some(description.into()),
        required: false,
        deprecated: false,
        schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("string"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_but_405_is_documented_for_operations() {
        for kind in ProblemKind::ALL {
            let documented = STATUSES.iter().any(|(status, text)| *status == kind.status() && text.contains(kind.code()));
            assert_eq!(documented, *kind != ProblemKind::MethodNotAllowed, "{kind:?}");
        }
    }

    #[test]
    fn a_fault_of_the_hub_shows_nothing_internal() {
        let error = hearback_core::Error::new(ErrorKind::Unexpected, "storage.create", "no such table: secrets");
        assert_eq!(Problem::from(error).detail(), Problem::internal().detail());
    }
}
