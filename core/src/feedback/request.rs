//! Feedback requests: their terms, which never change, and their state, which ends once.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Ending, Outcome, Question, Source};
use crate::{
    channel::{Address, ChannelName},
    clock::Timestamp,
    event::EventId,
    id::{RequestId, UserId},
    person::{Asker, Reader, UserRef},
};

/// Whether the channels of a route are tried one after another or at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// One after another.
    #[default]
    Fallback,
    /// All at once.
    Broadcast,
}

/// One step of the route that the asker named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RouteStep {
    /// The channel's name.
    pub channel: ChannelName,
    /// Where on it, instead of the person's own address.
    pub address: Option<Address>,
}

/// What was asked, of whom, by what way and until when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Terms {
    /// The question's kind with its parts.
    #[serde(flatten)]
    pub question: Question,
    /// The question, in Markdown.
    pub prompt: String,
    /// Detail, in Markdown.
    pub context: Option<String>,
    /// The people asked.
    pub to: Vec<UserRef>,
    /// The route that the asker named; empty for each person's own.
    pub channels: Vec<RouteStep>,
    /// How the route is gone.
    pub strategy: Strategy,
    /// Seconds of silence after which the next channel is tried.
    pub fallback_after: u32,
    /// Seconds from creation to the deadline.
    pub expires_in: u32,
    /// Whether quiet hours are passed over.
    pub urgent: bool,
    /// The outcome when nobody answers in time.
    pub on_expiry: Option<Value>,
    /// The URL that is told of the ending.
    pub callback_url: Option<String>,
    /// The chat session it belongs to.
    pub session_id: Option<String>,
    /// The asker's own data.
    pub metadata: Map<String, Value>,
}

/// Where a request stands, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It waits for an answer.
    Pending,
    /// It was answered.
    Answered,
    /// Its deadline passed.
    Expired,
    /// The asker took it back.
    Cancelled,
}

impl Status {
    /// Every status, in the order of the API's documentation.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Answered, Self::Expired, Self::Cancelled];

    /// The name in JSON and in storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Answered => "answered",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a request stands. An ending is final: no transition leads out of it.
#[derive(Clone, Debug, PartialEq)]
pub enum RequestState {
    /// It waits for an answer.
    Pending,
    /// It is over.
    Ended(Ending),
}

impl RequestState {
    /// Its name.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Pending => Status::Pending,
            Self::Ended(ending) => ending.status(),
        }
    }
}

/// The question put to one or more people.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// Who asks.
    pub asker: Asker,
    /// What was asked, of whom, by what way.
    pub terms: Terms,
    /// When it was put.
    pub created_at: Timestamp,
    /// The deadline.
    pub expires_at: Timestamp,
    /// The event of its creation; zero until it is stored.
    pub created_event: EventId,
    /// Where it stands.
    pub state: RequestState,
}

impl Request {
    /// How it ended, if it has.
    #[must_use]
    pub const fn ending(&self) -> Option<&Ending> {
        match &self.state {
            RequestState::Pending => None,
            RequestState::Ended(ending) => Some(ending),
        }
    }

    /// Whether it still waits for an answer.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        matches!(self.state, RequestState::Pending)
    }

    /// Whether `user` is asked.
    #[must_use]
    pub fn asks(&self, user: UserId) -> bool {
        self.terms.to.iter().any(|person| person.id == user)
    }

    /// The request with this ending. A request ends once: an earlier ending stays.
    #[must_use]
    pub fn ended(mut self, ending: Ending) -> Self {
        if self.is_pending() {
            self.state = RequestState::Ended(ending);
        }
        self
    }

    /// The ending that the deadline gives it: with `on_expiry`, an outcome marked as such.
    #[must_use]
    pub fn expiry(&self) -> Ending {
        let at = self.expires_at;
        let outcome = self.terms.on_expiry.clone().map(|value| Outcome {
            value,
            comment: None,
            by: None,
            channel: None,
            at,
            source: Source::OnExpiry,
        });
        Ending::Expired { at, outcome }
    }

    /// Whose event log it stands in: the people asked, and the token that asked.
    pub fn readers(&self) -> impl Iterator<Item = Reader> + '_ {
        let people = self.terms.to.iter().map(|person| Reader::Person(person.id));
        people.chain(self.asker.token.as_ref().map(|token| Reader::Token(token.id)))
    }
}

/// Who asked, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Asker")]
pub struct AskerDocument {
    /// The account that asked.
    pub id: UserId,
    /// Its name.
    pub username: String,
    /// The name of the service token it asked with; `null` when the person asked.
    pub token: Option<String>,
}

/// A feedback request as the API, the socket and callbacks show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "FeedbackRequest")]
pub struct RequestDocument {
    /// Its id.
    pub id: RequestId,
    /// What was asked.
    #[serde(flatten)]
    pub terms: Terms,
    /// Who asked.
    pub asker: AskerDocument,
    /// Where it stands.
    pub status: Status,
    /// When it was put.
    pub created_at: Timestamp,
    /// The deadline.
    pub expires_at: Timestamp,
    /// When it ended; `null` while it is pending.
    pub ended_at: Option<Timestamp>,
    /// The accepted value, if there is one.
    pub outcome: Option<Outcome>,
}

impl From<&Request> for RequestDocument {
    fn from(request: &Request) -> Self {
        Self {
            id: request.id,
            terms: request.terms.clone(),
            asker: AskerDocument {
                id: request.asker.user.id,
                username: request.asker.user.username.clone(),
                token: request.asker.token.as_ref().map(|token| token.name.clone()),
            },
            status: request.state.status(),
            created_at: request.created_at,
            expires_at: request.expires_at,
            ended_at: request.ending().map(Ending::at),
            outcome: request.ending().and_then(Ending::outcome).cloned(),
        }
    }
}
