//! An event as it is told. `docs/contract/stream` has an example of each.

use hearback_core::{
    Timestamp,
    event::{Event, EventKind},
    feedback::{Delivery, DeliveryDocument, RequestDocument, Response, Status},
    id::RequestId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happened to a request. What it is about is shown as it stands when it is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum StreamEvent {
    /// It was put; or it is pending, and this is where a stream begins.
    #[serde(rename = "feedback.created")]
    Created {
        /// When.
        timestamp: Timestamp,
        /// The request.
        data: Box<RequestDocument>,
    },
    /// Somebody asked gave a valid answer.
    #[serde(rename = "feedback.answered")]
    Answered {
        /// When.
        timestamp: Timestamp,
        /// The request with its outcome.
        data: Box<RequestDocument>,
    },
    /// Its deadline passed.
    #[serde(rename = "feedback.expired")]
    Expired {
        /// When that was noted.
        timestamp: Timestamp,
        /// The request, with an outcome if `on_expiry` gave one.
        data: Box<RequestDocument>,
    },
    /// The asker took it back.
    #[serde(rename = "feedback.cancelled")]
    Cancelled {
        /// When.
        timestamp: Timestamp,
        /// The request.
        data: Box<RequestDocument>,
    },
    /// Nobody asked could be reached so far. It stays answerable.
    #[serde(rename = "feedback.undeliverable")]
    Undeliverable {
        /// When.
        timestamp: Timestamp,
        /// The request.
        data: Box<RequestDocument>,
    },
    /// One of its deliveries changed.
    #[serde(rename = "feedback.delivery")]
    Delivery {
        /// When.
        timestamp: Timestamp,
        /// The delivery.
        data: Box<StreamDelivery>,
    },
    /// Somebody responded; the verdict tells what became of it.
    #[serde(rename = "feedback.response")]
    Response {
        /// When.
        timestamp: Timestamp,
        /// The response.
        data: Box<Response>,
    },
}

/// A delivery, and what it delivers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StreamDelivery {
    /// The request.
    pub request_id: RequestId,
    /// The delivery.
    #[serde(flatten)]
    pub delivery: DeliveryDocument,
}

impl StreamEvent {
    /// What an event tells of its request. `None` of one that is about a part of it.
    #[must_use]
    pub fn of_request(event: &Event) -> Option<Self> {
        let (timestamp, data) = (event.at, || Box::new(event.request.as_ref().into()));
        Some(match (event.kind, event.request.state.status()) {
            (EventKind::Created, _) => Self::Created { timestamp, data: data() },
            (EventKind::Undeliverable, _) => Self::Undeliverable { timestamp, data: data() },
            (EventKind::Ended, Status::Expired) => Self::Expired { timestamp, data: data() },
            (EventKind::Ended, Status::Cancelled) => Self::Cancelled { timestamp, data: data() },
            (EventKind::Ended, Status::Answered | Status::Pending) => Self::Answered { timestamp, data: data() },
            (EventKind::Delivery(_) | EventKind::Response(_), _) => return None,
        })
    }

    /// A delivery changed.
    #[must_use]
    pub fn of_delivery(timestamp: Timestamp, delivery: Delivery) -> Self {
        let data = StreamDelivery { request_id: delivery.request_id, delivery: delivery.into() };
        Self::Delivery { timestamp, data: Box::new(data) }
    }

    /// A response was recorded.
    #[must_use]
    pub fn of_response(timestamp: Timestamp, response: Response) -> Self {
        Self::Response { timestamp, data: Box::new(response) }
    }

    /// Its `type`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Created { .. } => "feedback.created",
            Self::Answered { .. } => "feedback.answered",
            Self::Expired { .. } => "feedback.expired",
            Self::Cancelled { .. } => "feedback.cancelled",
            Self::Undeliverable { .. } => "feedback.undeliverable",
            Self::Delivery { .. } => "feedback.delivery",
            Self::Response { .. } => "feedback.response",
        }
    }
}
