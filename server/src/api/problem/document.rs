//! A problem as it is answered, and as the OpenAPI document describes it.

use std::iter;

use hearback_core::{error::FieldError, feedback::RequestDocument};
use poem_openapi::{
    ApiResponse,
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CONTENT_TYPE, Problem};
use crate::api::{limits, schema};

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
    /// On `late`, `cancelled`, `expired` and `ended`, where they are about a request: it, with who won.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<RequestDocument>,
}

/// What the document says of each status. Those that no operation gives are not among them: 405 is the answer of a path,
/// 414 and 431 are answers to a call's head, whatever it is for.
const STATUSES: [(u16, &str); 13] = [
    (400, "`malformed`: the body is not JSON, or a path, query or header cannot be read."),
    (401, "`unauthenticated`: no, a malformed, an expired or a foreign token, a wrong password or a wrong signature."),
    (403, "`forbidden`: this is not yours to do; `origin`: the page that calls is unknown; `registration_closed`."),
    (404, "`not_found`: no such object, or it is not yours."),
    (409, "`late`, `cancelled`, `ended`, `taken` or `idempotency_running`: what is there already speaks against it."),
    (
        410,
        "`expired`: the deadline has passed, or the code is good no more; `cursor_expired`: the hub keeps no events from as far back.",
    ),
    (413, "`too_large`: the body is larger than 1 MiB."),
    (415, "`unsupported_media_type`: the body is of a content type that is not read here."),
    (422, "`invalid`: fields are not as they must be; `idempotency_mismatch`: the key was used with another body."),
    (429, "`too_many_requests`: a limit is reached."),
    (500, "`internal`: a fault of the hub."),
    (502, "`undeliverable`: the channel did not take what was to be sent."),
    (503, "`unavailable`: the hub is stopping, or its database or the channel does not answer."),
];

impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        let response = |(status, description)| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType { content_type: CONTENT_TYPE, schema: schema::reference::<ProblemDocument>() }],
            headers: match status {
                401 => vec![text_header("WWW-Authenticate", "`Bearer`, where a token would help.")],
                429 => iter::once(retry_after()).chain(limits::described()).collect(),
                503 => vec![retry_after()],
                _ => Vec::new(),
            },
        };
        MetaResponses { responses: STATUSES.map(response).into() }
    }

    fn register(registry: &mut Registry) {
        schema::register_answer::<ProblemDocument>(registry);
    }
}

fn retry_after() -> MetaHeader {
    text_header("Retry-After", "Seconds after which another try may help.")
}

/// The description of a header that holds a text.
pub(in crate::api) fn text_header(name: &str, description: &str) -> MetaHeader {
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
    use crate::api::problem::ProblemKind;

    #[test]
    fn every_status_that_an_operation_gives_is_documented() {
        for kind in ProblemKind::ALL {
            let documented =
                STATUSES.iter().any(|(status, text)| *status == kind.status() && text.contains(kind.code()));
            assert_eq!(documented, ![405, 414, 431].contains(&kind.status()), "{kind:?}");
        }
    }
}
