//! Telling the asker: what is called at a request's `callback_url`, and the port that makes the call.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    clock::Timestamp,
    feedback::{Request, RequestDocument, RequestState, Status},
    id::{CallbackId, RequestId, TokenId},
};

/// What a callback tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CallbackKind {
    /// Nobody asked could be reached, for as long as the hub tries before it says so. The request stays answerable.
    #[serde(rename = "feedback.undeliverable")]
    Undeliverable,
    /// Somebody asked has answered.
    #[serde(rename = "feedback.answered")]
    Answered,
    /// The deadline passed.
    #[serde(rename = "feedback.expired")]
    Expired,
    /// The asker took it back.
    #[serde(rename = "feedback.cancelled")]
    Cancelled,
}

impl CallbackKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Undeliverable, Self::Answered, Self::Expired, Self::Cancelled];

    /// The name in JSON and in storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Undeliverable => "feedback.undeliverable",
            Self::Answered => "feedback.answered",
            Self::Expired => "feedback.expired",
            Self::Cancelled => "feedback.cancelled",
        }
    }

    /// What there is to tell of a request that stands so: of one that waits, only that nobody is reached.
    const fn of(status: Status) -> Self {
        match status {
            Status::Pending => Self::Undeliverable,
            Status::Answered => Self::Answered,
            Status::Expired => Self::Expired,
            Status::Cancelled => Self::Cancelled,
        }
    }
}

/// Where a callback stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallbackState {
    /// It is to be made.
    Queued {
        /// Not before this time; while it is being made, when the lease on that runs out.
        due: Timestamp,
    },
    /// The receiver took it.
    Delivered {
        /// When.
        at: Timestamp,
    },
    /// Given up, as the last error says.
    Failed,
    /// The receiver had asked to be called no more.
    Disabled,
}

/// A callback's state, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallbackStatus {
    /// It is to be made.
    Queued,
    /// The receiver took it.
    Delivered,
    /// Given up.
    Failed,
    /// The receiver had asked to be called no more.
    Disabled,
}

impl CallbackStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Queued, Self::Delivered, Self::Failed, Self::Disabled];

    /// The name in JSON and in storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Disabled => "disabled",
        }
    }
}

impl CallbackState {
    /// Its name.
    #[must_use]
    pub const fn status(&self) -> CallbackStatus {
        match self {
            Self::Queued { .. } => CallbackStatus::Queued,
            Self::Delivered { .. } => CallbackStatus::Delivered,
            Self::Failed => CallbackStatus::Failed,
            Self::Disabled => CallbackStatus::Disabled,
        }
    }
}

/// One thing told to the asker of one request. It is stored with the event that it tells of, and made until it is
/// taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// Its id, the same at every attempt.
    pub id: CallbackId,
    /// The request it is about.
    pub request_id: RequestId,
    /// The service token that asked, whose secret signs.
    pub token: TokenId,
    /// Where it goes, as the asker wrote it.
    pub url: String,
    /// What it tells.
    pub kind: CallbackKind,
    /// When that happened.
    pub created_at: Timestamp,
    /// Where it stands.
    pub state: CallbackState,
    /// How many attempts have ended.
    pub attempts: u32,
    /// What went wrong last, if anything did. The asker reads it.
    pub last_error: Option<String>,
}

impl Callback {
    /// What is to be told of `request` as it stands since `at`: its ending, or while it is pending that nobody is
    /// reached. `None` when it has no `callback_url`.
    #[must_use]
    pub fn of(request: &Request, at: Timestamp) -> Option<Self> {
        let (Some(url), Some(token)) = (&request.terms.callback_url, &request.asker.token) else { return None };
        let kind = CallbackKind::of(request.state.status());
        Some(Self {
            id: id(request.id, kind, at),
            request_id: request.id,
            token: token.id,
            url: url.clone(),
            kind,
            created_at: at,
            state: CallbackState::Queued { due: at },
            attempts: 0,
            last_error: None,
        })
    }
}

/// A UUIDv7 of the moment `at` whose random part is the request's, with the kind in its last three bits: each thing is
/// told of a request once, so stores need no source of ids.
fn id(request: RequestId, kind: CallbackKind, at: Timestamp) -> CallbackId {
    let mut bytes = request.uuid().into_bytes();
    let millis = u64::try_from(at.micros() / 1000).unwrap_or_default();
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    bytes[15] = (bytes[15] & !0b111) | kind as u8;
    Uuid::from_bytes(bytes).into()
}

/// The body of a callback.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "FeedbackCallback")]
pub struct CallbackMessage {
    /// What it tells.
    #[serde(rename = "type")]
    pub kind: CallbackKind,
    /// When that happened.
    pub timestamp: Timestamp,
    /// The request as it stood then.
    pub data: RequestDocument,
}

impl CallbackMessage {
    /// The body of `callback`, the same at every attempt, though its request may have ended meanwhile.
    #[must_use]
    pub fn new(callback: &Callback, request: &Request) -> Self {
        let data = match callback.kind {
            CallbackKind::Undeliverable => {
                RequestDocument::from(&Request { state: RequestState::Pending, ..request.clone() })
            }
            CallbackKind::Answered | CallbackKind::Expired | CallbackKind::Cancelled => request.into(),
        };
        Self { kind: callback.kind, timestamp: callback.created_at, data }
    }
}

/// A callback as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Callback")]
pub struct CallbackDocument {
    /// Its id: the `webhook-id` of every attempt.
    pub id: CallbackId,
    /// What it tells.
    #[serde(rename = "type")]
    pub kind: CallbackKind,
    /// Where it goes.
    pub url: String,
    /// Where it stands.
    pub status: CallbackStatus,
    /// How many attempts have ended.
    pub attempts: u32,
    /// When the next attempt is due, while one is.
    pub next_attempt_at: Option<Timestamp>,
    /// What went wrong last, if anything did.
    pub last_error: Option<String>,
    /// When what it tells happened.
    pub created_at: Timestamp,
    /// When the receiver took it.
    pub delivered_at: Option<Timestamp>,
}

impl From<Callback> for CallbackDocument {
    fn from(callback: Callback) -> Self {
        let (next_attempt_at, delivered_at) = match callback.state {
            CallbackState::Queued { due } => (Some(due), None),
            CallbackState::Delivered { at } => (None, Some(at)),
            CallbackState::Failed | CallbackState::Disabled => (None, None),
        };
        Self {
            id: callback.id,
            kind: callback.kind,
            status: callback.state.status(),
            url: callback.url,
            attempts: callback.attempts,
            next_attempt_at,
            last_error: callback.last_error,
            created_at: callback.created_at,
            delivered_at,
        }
    }
}

/// Why a callback was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// It is tried again.
    Again {
        /// What went wrong, for the asker and the log: without a secret, and without an address of the hub's own
        /// network.
        error: String,
        /// How long the receiver asks to be left alone.
        after: Option<Duration>,
    },
    /// The receiver asks to be called no more.
    Gone,
    /// The service token that asked is revoked or has expired: there is nothing to sign with.
    TokenEnded,
}

/// Makes callbacks.
#[async_trait]
pub trait CallbackCaller: fmt::Debug + Send + Sync + 'static {
    /// Makes one attempt, signed by the secret of the token that asked. Returns once the receiver has taken it. The hub
    /// limits its time: to drop it ends the attempt.
    async fn call(&self, callback: &Callback, message: &CallbackMessage) -> Result<(), NotTaken>;
}
