//! The messages on the socket. `docs/contract/socket` has an example of each.

use hearback_core::{event::EventId, feedback::RequestDocument, id::RequestId, limits::RateLimit, person::UserRef};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A message from a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientMessage {
    /// An answer to a request.
    FeedbackResponse {
        /// Which.
        request_id: RequestId,
        /// The value.
        value: Value,
        /// What is said besides.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
    },
    /// What an event stated has arrived.
    Ack {
        /// Which event.
        event_id: EventId,
    },
    /// Is anybody there?
    Ping {},
    /// How do this person's limits stand?
    GetRateLimitStatus {},
}

/// A message from the hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum HubMessage {
    /// The first message.
    ConnectionEstablished {
        /// Every event that follows has a greater id.
        after: EventId,
        /// Who is connected; `null` for a service token.
        user: Option<UserRef>,
    },
    /// A question: asked of this person, or put by this agent.
    FeedbackRequest {
        /// The event that states it.
        event_id: EventId,
        /// The question, as it is now.
        request: Box<RequestDocument>,
    },
    /// Nobody asked could be reached so far. The question stays answerable. Only who asked is told.
    FeedbackUndeliverable {
        /// The event that states it.
        event_id: EventId,
        /// The question.
        request: Box<RequestDocument>,
    },
    /// A question ended.
    FeedbackSettled {
        /// The event that states it.
        event_id: EventId,
        /// The question with its ending.
        request: Box<RequestDocument>,
    },
    /// Somebody is.
    Pong {},
    /// How this person's limits stand. A service token has none.
    RateLimitStatus {
        /// Those that are on, the tightest first.
        limits: Vec<RateLimit>,
    },
    /// The person did more than a limit allows: the answer was not taken.
    RateLimitExceeded {
        /// The request that was answered.
        request_id: RequestId,
        /// What is wrong, for people.
        message: String,
        /// Seconds until it may be sent again.
        retry_after: u64,
    },
    /// The client's message came to nothing.
    Error {
        /// Which kind of fault; a stable word.
        code: ErrorCode,
        /// What is wrong, for people.
        message: String,
        /// The request it is about, where it is about one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<RequestId>,
    },
}

/// Why a client's message came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// It is not a message of this protocol.
    Malformed,
    /// The value does not answer the question.
    Invalid,
    /// Somebody else was first.
    Late,
    /// The deadline has passed.
    Expired,
    /// The asker took the question back.
    Cancelled,
    /// This client is not asked.
    Forbidden,
    /// There is no such request.
    NotFound,
    /// `after` is not a place in the log, or older than what the log keeps: connect without it.
    Cursor,
    /// The hub is stopping, or its database does not answer: connect again.
    Stopping,
}
