//! Server-sent events: what happens to a request, or to all requests of an agent, as it happens.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `document.rs` | an event as it is told |
//! | `feed.rs` | one stream: from the log to the client, until one of them ends |
//! | `answer.rs` | the answer that carries it |

mod answer;
mod document;
mod feed;

use std::sync::Arc;

use hearback_core::{
    error::FieldError,
    event::{BadCursor, EventId},
};
use poem::Request;
use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
};
use uuid::Uuid;

use super::{
    Tag,
    feedback::{self, View},
    problem::{Problem, ProblemKind},
};
use crate::{account::TokenScope, app::App, auth::Authenticated, auth::Principal};

pub use document::{StreamDelivery, StreamEvent};

use answer::EventStream;
use feed::{Feed, Of};

/// The header in which a client that reconnects says how far it has come.
const LAST_EVENT_ID: &str = "Last-Event-ID";

/// The streams of events.
pub struct StreamApi(pub Arc<App>);

#[OpenApi(prefix_path = "/api/feedback", tag = "Tag::Feedback")]
impl StreamApi {
    /// Hear what happens to your requests
    ///
    /// Server-sent events of every request that the calling service token put. The stream begins with `feedback.created` for
    /// everything that is pending, then tells what happens. A client that reconnects with the id of the last event that it
    /// has misses nothing and gets nothing twice.
    #[oai(path = "/events", method = "get", operation_id = "stream_events")]
    async fn of_agent(
        &self,
        _authenticated: Authenticated,
        call: &Request,
        /// The id of the last event that the client has.
        #[oai(name = "Last-Event-ID")]
        last_event_id: Header<Option<String>>,
        /// The same, for clients that cannot set the header, which comes before it.
        after: Query<Option<String>>,
    ) -> Result<EventStream, Problem> {
        let over = self.0.auth.over();
        let principal = self.0.auth.authenticate(call).await?;
        principal.require(TokenScope::FeedbackRead)?;
        let Principal::Agent(agent) = &principal else {
            let detail = "This is for service tokens. What you are asked comes over the socket at `/ws`.";
            return Err(Problem::forbidden(detail));
        };
        let (of, cursor) = (Of::Agent(agent.token.id), Cursor::read(last_event_id.0.as_deref(), after.0.as_deref())?);
        let feed = Feed::open(self.0.clone(), of, View::Whole, cursor).await?;
        Ok(EventStream(feed.start(principal, over)))
    }

    /// Hear what happens to a request
    ///
    /// Server-sent events of one request, for who asked it and who is asked, who hears of deliveries and responses what concerns
    /// them: from its beginning, as far back as the hub keeps events. A client that reconnects with the id of the last event that it has misses nothing and gets nothing twice.
    #[oai(path = "/:id/events", method = "get", operation_id = "stream_request_events")]
    async fn of_request(
        &self,
        _authenticated: Authenticated,
        call: &Request,
        id: Path<Uuid>,
        /// The id of the last event that the client has.
        #[oai(name = "Last-Event-ID")]
        last_event_id: Header<Option<String>>,
        /// The same, for clients that cannot set the header, which comes before it.
        after: Query<Option<String>>,
    ) -> Result<EventStream, Problem> {
        let over = self.0.auth.over();
        let principal = self.0.auth.authenticate(call).await?;
        let request = feedback::visible(&self.0, &principal, id.0).await?;
        let (of, cursor) = (Of::Request(request.id), Cursor::read(last_event_id.0.as_deref(), after.0.as_deref())?);
        let view = View::of(&principal, &request);
        let feed = Feed::open(self.0.clone(), of, view, cursor).await?;
        Ok(EventStream(feed.start(principal, over)))
    }
}

/// Where a client wants to go on, and where it said so.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    after: EventId,
    field: &'static str,
}

impl Cursor {
    /// A client that reconnects sends the header by itself, and the query as it was at first: the header is newer.
    fn read(header: Option<&str>, query: Option<&str>) -> Result<Option<Self>, Problem> {
        let given = header.map(|text| (text, LAST_EVENT_ID)).or(query.map(|text| (text, "after")));
        let Some((text, field)) = given else { return Ok(None) };
        match text.parse() {
            Ok(after) => Ok(Some(Self { after, field })),
            Err(_) => Err(Self::unknown(field)),
        }
    }

    fn refused(self, bad: BadCursor) -> Problem {
        match bad {
            BadCursor::Unknown => Self::unknown(self.field),
            BadCursor::Expired => {
                let detail = format!(
                    "The hub keeps no events from as far back as `{}`. Begin again without it, and read over the API how \
                     requests stand.",
                    self.field
                );
                Problem::new(ProblemKind::CursorExpired, detail)
            }
        }
    }

    fn unknown(field: &'static str) -> Problem {
        let fault = FieldError::new(field, "expected the id of the last event that the client has, or none");
        Problem::malformed(format!("`{field}` is not the id of an event.")).with_errors(vec![fault])
    }
}
