//! Candidate answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    channel::ChannelName,
    clock::Timestamp,
    id::{RequestId, ResponseId},
    person::UserRef,
};

/// The longest comment, in Unicode scalar values.
pub const COMMENT_MAX: usize = 4_000;

/// What became of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The first valid one: it made the outcome.
    Accepted,
    /// It does not answer the question.
    Invalid,
    /// The request had ended.
    Late,
    /// Its sender is not asked.
    Refused,
}

/// A candidate answer from a person on a channel. Every one is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Response {
    /// Its id.
    pub id: ResponseId,
    /// The request it is for.
    pub request_id: RequestId,
    /// Who gave it; `null` when the sender has no account here.
    pub by: Option<UserRef>,
    /// The channel it came by; `web` and `api` stand for the page and the HTTP API.
    pub channel: ChannelName,
    /// The value given.
    pub value: Value,
    /// What was said besides.
    pub comment: Option<String>,
    /// What became of it.
    pub verdict: Verdict,
    /// Why, where it was not accepted.
    pub reason: Option<String>,
    /// When the hub took it.
    pub at: Timestamp,
}
